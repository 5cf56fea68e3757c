'use strict';
'require baseclass';

/* Made from src/option/table.rs by `WRITE_OPTIONS=1 cargo test --lib option::described`: the options, by group. `type` is bool,
   number, percent, duration, choice, list or text; `values` are the words that it may be, `range` what else; `preset` is what holds without it,
   a list of three by profile: normal, fast, metered. */
return baseclass.extend({
	GLOBALS: [
		{ name: 'enabled', type: 'bool', preset: '1', help: _('With “0”, the daemon does not run.') },
		{ name: 'start_metric', type: 'number', range: [ '1', '4294967295' ], preset: '100', help: _('The metric of the best default route; the others follow, one higher each.') },
		{ name: 'table', type: 'text', preset: '176', help: _('The swap table, by number or name: it holds the default routes.') },
		{ name: 'rule_pref', type: 'number', range: [ '1', '31365' ], preset: '17600', help: _('The preference of the first of our rules that lead a certain way; the last of these is 1399 higher.') },
		{ name: 'catch_all', type: 'number', range: [ '1401', '32765' ], preset: '32765', help: _('The preference of the rule that leads to the providers\' order, at least “rule_pref” + 1400: what other programs put before it goes first.') },
		{ name: 'yield', type: 'choice', values: [ 'auto', '1', '0' ], preset: 'auto', help: _('Whether a default route of others in “main”, with a metric below “start_metric” and by a device that is no provider\'s, prevails over ours: “1” each, “0” none, “auto” all but those that a management port may have.') },
		{ name: 'sticky_file', type: 'text', preset: '/etc/failover/sticky.provider', help: _('Holds the id of the pinned provider.') },
		{ name: 'last_resort', type: 'choice', values: [ 'first', 'keep', 'unreachable' ], preset: 'first', help: _('What happens when no provider is healthy: the “first” in rank that has a gateway leads, “keep” the current one, or “unreachable”: refuse traffic at once.') },
		{ name: 'preempt', type: 'duration', range: [ '0s', '24h' ], values: [ 'yes', 'no' ], preset: 'yes', help: _('When a better provider recovers: return to it at once (“yes”), never (“no”), or once it has been online for a duration.') },
		{ name: 'on_stop', type: 'choice', values: [ 'restore', 'keep' ], preset: 'restore', help: _('What a clean stop leaves: “restore” removes our routes, rules and firewall table, “keep” leaves them.') },
		{ name: 'answers', type: 'bool', preset: '1', help: _('Inbound connections are answered by the provider they came by.') },
		{ name: 'dns_route', type: 'bool', preset: '1', help: _('A provider\'s own resolvers are asked through it while its path is usable.') },
		{ name: 'ipv6_foreign', type: 'choice', values: [ 'masquerade', 'off' ], preset: 'masquerade', help: _('What happens to packets of the LAN that leave by a provider, but have an IPv6 address from another one\'s prefix: “masquerade”, or “off”: nothing.') },
		{ name: 'mark_mask', type: 'text', preset: '0xff000000', help: _('The bits of firewall marks that are ours: two or more, without a gap.') },
		{ name: 'state_dir', type: 'text', preset: '/var/run/failover', help: _('The control socket, the lock and the saved state.') },
		{ name: 'control_group', type: 'text', help: _('A group, by name or number, whose members may ask for “status”, “explain” and “log”, and nothing else.') },
		{ name: 'hooks_dir', type: 'text', preset: '/etc/failover/hooks.d', help: _('Its executables are run on transitions.') },
		{ name: 'syslog_level', type: 'choice', values: [ 'error', 'warn', 'info', 'debug' ], preset: 'info', help: _('What is logged: messages of this level and above.') }
	],
	PROFILE: [
		{ name: 'profile', type: 'choice', values: [ 'normal', 'fast', 'metered' ], preset: 'normal', help: _('Sets the timing options.') }
	],
	PROVIDER: [
		{ name: 'enabled', type: 'bool', preset: '1', help: _('With “0” the provider is not used: no probes, no routes.') },
		{ name: 'device', type: 'text', help: _('The kernel\'s device.') },
		{ name: 'device6', type: 'text', preset: _('“device”'), help: _('The device for IPv6, if it differs.') },
		{ name: 'interface', type: 'list', help: _('Logical interfaces of OpenWrt\'s netifd, instead of a “device”.') },
		{ name: 'address', type: 'list', preset: _('learned'), help: _('Its own address.') },
		{ name: 'gateway', type: 'list', preset: _('learned'), help: _('The next router.') },
		{ name: 'network', type: 'list', preset: _('as in “main”'), help: _('The connected network, where its hosts are on the link though “main” has no such route.') },
		{ name: 'rt_table', type: 'text', values: [ 'auto', 'none' ], preset: 'auto', help: _('Its policy table: a number or name; “auto”: 17601 and those that follow; “none”: no table.') },
		{ name: 'mark', type: 'text', help: _('A firewall mark: marked traffic leaves by this provider while its path is usable.') },
		{ name: 'prefix', type: 'list', preset: _('learned'), help: _('The prefixes that it delegates to the LAN.') },
		{ name: 'masquerade', type: 'bool', preset: '0', help: _('With “1”, IPv4 that is not the router\'s own is masqueraded when it leaves by this provider.') },
		{ name: 'dns', type: 'list', preset: _('netifd\'s'), help: _('Its resolvers.') },
		{ name: 'dns_route', type: 'bool', preset: _('globals\' option'), help: _('Its resolvers are asked through it while its path is usable.') },
		{ name: 'rank', type: 'number', range: [ '1', '65535' ], preset: _('its position'), help: _('Its place in the order of preference; the lowest is best.') },
		{ name: 'check', type: 'list', values: [ 'all' ], preset: 'all', help: _('The names of the checks that are made through it.') }
	],
	TIMING: [
		{ name: 'interval', type: 'duration', range: [ '10ms', '24h' ], preset: [ '1s', '100ms', '30s' ], help: _('Between rounds.') },
		{ name: 'timeout', type: 'duration', range: [ '1ms', '63s' ], preset: [ '1s', '300ms', '3s' ], help: _('A probe without an answer after this time is lost.') },
		{ name: 'down', type: 'number', range: [ '1', '64' ], preset: [ '3', '3', '3' ], help: _('Consecutive failed rounds to go offline.') },
		{ name: 'up', type: 'number', range: [ '1', '64' ], preset: [ '3', '10', '2' ], help: _('Consecutive good rounds to come online.') },
		{ name: 'window', type: 'number', range: [ '1', '64' ], preset: [ '50', '50', '50' ], help: _('Rounds remembered.') },
		{ name: 'max_failed', type: 'number', range: [ '0', '64' ], preset: _('window'), help: _('More failed rounds than this in the window: offline.') },
		{ name: 'quorum', type: 'number', range: [ '1', '8' ], values: [ 'all' ], preset: [ '1', '1', '1' ], help: _('Checks that must answer in a round.') },
		{ name: 'connections', type: 'duration', range: [ '1s', '24h' ], values: [ 'stay', 'follow', 'off' ], preset: [ 'stay', 'stay', 'follow' ], help: _('What a provider\'s connections do when another leads while it is still usable: “stay” until they end, stay for a duration at most, or “follow”: they are handed over at once.') }
	],
	QUALITY: [
		{ name: 'max_loss', type: 'percent', range: [ '2%', '99%' ], values: [ 'none' ], preset: 'none', help: _('A higher percentage of lost probes: offline.') },
		{ name: 'recover_loss', type: 'percent', range: [ '0%', '99%' ], values: [ 'none' ], preset: _('three quarters of “max_loss”'), help: _('At or below this: online again.') },
		{ name: 'max_latency', type: 'duration', range: [ '0.001ms', '1h' ], values: [ 'none' ], preset: 'none', help: _('A longer average round trip: offline.') },
		{ name: 'recover_latency', type: 'duration', range: [ '0ms', '1h' ], values: [ 'none' ], preset: _('three quarters of “max_latency”'), help: _('At or below this: online again.') },
		{ name: 'max_jitter', type: 'duration', range: [ '0.001ms', '1h' ], values: [ 'none' ], preset: 'none', help: _('A larger standard deviation of the round trips: offline.') },
		{ name: 'recover_jitter', type: 'duration', range: [ '0ms', '1h' ], values: [ 'none' ], preset: _('three quarters of “max_jitter”'), help: _('At or below this: online again.') }
	],
	CHECK: [
		{ name: 'type', type: 'choice', values: [ 'ping', 'tcp', 'dns', 'http', 'arp', 'ndp', 'exec' ], help: _('The type of the check.') },
		{ name: 'target', type: 'text', help: _('What it probes.') },
		{ name: 'interval', type: 'duration', range: [ '10ms', '24h' ], preset: _('by type'), help: _('Time between probes.') },
		{ name: 'required', type: 'bool', preset: '0', help: _('With “1” it must answer in every round, whatever the “quorum”; it also counts for the quorum.') },
		{ name: 'family', type: 'choice', values: [ 'ipv4', 'ipv6' ], preset: _('by the target'), help: _('Of an “exec” or “http” check whose target is not an address; without it: “ipv4”.') }
	],
	PING: [
		{ name: 'size', type: 'number', range: [ '32', '1472' ], preset: '32', help: _('Bytes of payload.') },
		{ name: 'ttl', type: 'number', range: [ '1', '255' ], preset: _('the system\'s'), help: _('Time to live, or hop limit.') },
		{ name: 'dscp', type: 'number', range: [ '0', '63' ], preset: '0', help: _('Code point of differentiated services.') }
	],
	TCP: [
		{ name: 'port', type: 'number', range: [ '1', '65535' ], help: _('The port to connect to.') },
		{ name: 'accept_refused', type: 'bool', preset: '0', help: _('With “1”, a refused connection is a good answer too: the host is there.') }
	],
	DNS: [
		{ name: 'query', type: 'text', help: _('The name to ask for.') },
		{ name: 'record', type: 'choice', values: [ 'A', 'AAAA', 'NS' ], preset: 'A', help: _('The type of the record to ask for.') },
		{ name: 'expect', type: 'text', help: _('An address that must be in the answer.') },
		{ name: 'rcode', type: 'number', range: [ '0', '15' ], preset: '0', help: _('The RCODE that the answer must have.') },
		{ name: 'port', type: 'number', range: [ '1', '65535' ], preset: '53', help: _('The server\'s port.') }
	],
	HTTP: [
		{ name: 'path', type: 'text', preset: '/', help: _('The page to ask for.') },
		{ name: 'expect_status', type: 'number', range: [ '100', '599' ], preset: '204', help: _('The status of a good answer.') },
		{ name: 'expect_body', type: 'text', help: _('A text that the page must contain.') },
		{ name: 'host', type: 'text', preset: _('the target'), help: _('The request\'s “Host” header.') },
		{ name: 'port', type: 'number', range: [ '1', '65535' ], preset: '80', help: _('The server\'s port.') },
		{ name: 'resolver', type: 'text', preset: '9.9.9.9', help: _('The address of the DNS server that resolves a target that is a name; in IPv6 “2620:fe::fe”.') }
	],
	EXEC: [
		{ name: 'command', type: 'text', preset: _('the target'), help: _('What “/bin/sh -c” runs.') }
	]
});
