# The scenario that `board/boot` runs in the VM: a router's life. After each step the kernel's own routing tables must be,
# in IPv4 and IPv6, what README says. `order_is 2 3 4 1` is the whole swap table with these providers from metric 100 on.
# shellcheck shell=dash

# shellcheck source=board/guest/network.sh
. /guest/network.sh
# shellcheck source=board/guest/steps.sh
. /guest/steps.sh
# shellcheck source=board/guest/tables.sh
. /guest/tables.sh
# shellcheck source=board/guest/watch.sh
. /guest/watch.sh

clock
echo "@begin $(seconds "$now")"
echo "       Linux $(uname -r) on $(uname -m), $(awk '/^MemTotal/ { print $2 }' /proc/meminfo) kB of memory; $(failover version)"
all_of_ours >/tmp/tables-before

step "the daemon starts"
start_daemon
await order_is 1 2 3 4
rules_are_ours || failed "the rules are not as they should be"
passed "four providers, in the order of their rank"

step "each provider is asked"
await paths_are online 8
order_is 1 2 3 4 || failed "the order has changed"
leaders_are isp1
passed "eight paths are online"
failover status | indented
echo "@json $(failover status --json)"

step "an idle minute"
measure_idle_minute
measure_memory
passed "$processor; $memory"

step "isp1 is slow, and loses a fifth of all packets"
must slow_line 1 delay 300ms loss 20%
await rtt_is_above 300
sleep 5
order_is 1 2 3 4 || failed "the order has changed"
must clear_line 1
passed "it is used on, its RTT is $rtt ms"

step "isp1's upstream fails without an event"
flow_begins
begin_clock
must upstream_dies 1
await order_is 2 3 4 1
flow_ends
leaders_are isp2
passed "isp2 leads after $(seconds "$took") s, $outage"

step "isp1's upstream is back"
must upstream_returns 1
await order_is 1 2 3 4
passed "isp1 leads after $(seconds "$took") s"

step "isp1's cable is pulled"
flow_begins
begin_clock
must pull_cable 1
await order_is 2 3 4 1
flow_ends
leaders_are isp2
passed "isp2 leads, seen after $(seconds "$took") s, $outage"

step "isp2 answers later than its timeout"
must slow_line 2 delay 1500ms
begin_clock
await order_is 3 4 2 1
passed "isp3, a VLAN, leads after $(seconds "$took") s"

step "the cable under the VLAN is pulled"
must pull_cable 3
await order_is 4 2 1 3
passed "isp4 leads, seen after $(seconds "$took") s"

step "all of them are back"
must plug_cable 3
must clear_line 2
must plug_cable 1
await order_is 1 2 3 4
await paths_are online 8
passed "isp1 leads"

step "a person pins isp3"
must failover use isp3
await order_is 3 1 2 4
[ "$(cat /etc/failover/sticky.provider)" = isp3 ] || failed "the sticky file does not say so"
leaders_are isp3
passed "isp3 leads, seen after $(seconds "$took") s"

step "the pin is taken away"
must failover use auto
await order_is 1 2 3 4
await paths_are online 8
passed "isp1 leads, eight paths are online again"

step "the daemon's memory after all this"
measure_memory
passed "$memory"

step "kill -9, and a new start"
flow_begins
all_of_ours >/tmp/tables-living
note_changes
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
all_of_ours >/tmp/tables-orphaned
same_tables /tmp/tables-living /tmp/tables-orphaned "without the daemon"
start_daemon
await paths_are online 8
sleep 2
must_be_untouched
flow_ends
all_of_ours >/tmp/tables-adopted
same_tables /tmp/tables-living /tmp/tables-adopted "after the new start"
passed "every route and rule stayed, $outage"

step "a clean stop"
kill -TERM "$daemon"
wait "$daemon" || failed "it ended with status $?"
all_of_ours >/tmp/tables-after
same_tables /tmp/tables-before /tmp/tables-after "after the stop"
[ -n "$(ip -4 route show default dev eth1 proto dhcp)" ] || failed "the DHCP client's route is gone"
passed "nothing of ours is left, all of others'"

echo "@end 0"
