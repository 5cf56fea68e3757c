// A collector of prometheus-node-exporter-ucode. That may run in a jail without programs, but with ubus.
const answer = ubus.call("failover", "metrics");
if (!answer)
	return false;

if ("uhttpd" in global)
	uhttpd.send(answer.text);
else
	print(answer.text);
