# The network of the VM, which is the router itself: four providers, and a host in its LAN. Only functions; read by
# `init`, the scenario, and the shell.
#
#                      ┌ eth1   ── line │ gw1 │ core ── eth0 │ net1 │
#                      ├ eth2   ── line │ gw2 │ core ── eth0 │ net2 │
#   lan │ eth0 ── lan0 ┤
#                      ├ eth3.7 ── line │ gw3 │ core ── eth0 │ net3 │    a VLAN
#                      └ eth4   ── line │ gw4 │ core ── eth0 │ net4 │
#
# Every box is a network namespace (`ip netns exec gw1 …`). The targets 203.0.113.8 and .9, 2001:db8:53::8 and ::9 are in
# each of `net1` to `net4`: one hop behind each gateway, so that an answer comes back by the way of its question.
# The providers' networks are 192.0.2.0/26, .64/26, .128/26, .192/26, and 2001:db8:1::/64 to 2001:db8:4::/64.
# shellcheck shell=dash

providers="1 2 3 4"

# BusyBox's shell takes its own commands before any others.
ip() {
    /bin/ip "$@"
}
tc() {
    /sbin/tc "$@"
}

# Sets what a provider has: `device` of the router, `cable` at the gateway, and addresses of both in each family.
describe() { # PROVIDER
    device="eth$1"
    cable=line
    if [ "$1" = 3 ]; then
        device=eth3.7
        cable=cable
    fi
    own4=192.0.2.$(($1 * 64 - 62))
    gateway4=192.0.2.$(($1 * 64 - 63))
    own6=2001:db8:$1::2
    gateway6=2001:db8:$1::1
}

build_network() {
    be_calm
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.forwarding=1
    ip link set lo up
    add_lan
    for number in $providers; do
        add_provider "$number"
    done
}

# Addresses are usable at once, and there is no proxy ARP: otherwise a socket that is bound to a device would reach the
# targets without any route, which would hide a routing mistake.
be_calm() { # in this namespace, or by `ip netns exec NAME`
    "$@" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv6.conf.all.accept_dad=0 \
        net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.router_solicitations=0
}

new_namespace() { # NAME
    ip netns add "$1"
    be_calm ip netns exec "$1"
}

add_lan() {
    new_namespace lan
    ip -batch - <<END
link add lan0 index 1000 type veth peer name eth0 netns lan
address add 198.51.100.1/24 dev lan0
address add 2001:db8:100::1/64 dev lan0 nodad
link set lan0 up
END
    ip -n lan -batch - <<END
link set lo up
address add 198.51.100.2/24 dev eth0
address add 2001:db8:100::2/64 dev eth0 nodad
link set eth0 up
route add default via 198.51.100.1
route add ::/0 via 2001:db8:100::1
END
}

add_provider() { # PROVIDER
    local n="$1"
    describe "$n"
    new_namespace "gw$n"
    new_namespace "net$n"
    ip netns exec "gw$n" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    # Both ends of a cable need different indices: with equal ones the kernel tells late of a lost carrier.
    ip link add "eth$n" index "100$n" type veth peer name "$cable" netns "gw$n"
    ip link set "eth$n" up
    if [ "$device" != "eth$n" ]; then
        ip link add link "eth$n" name "$device" type vlan id 7
        ip -n "gw$n" link add link cable name line type vlan id 7
    fi
    connect_internet "$n"
    plug_cable "$n"
    address_device "$n"
}

# The gateway's way to the Internet, and the targets there.
connect_internet() { # PROVIDER
    local n="$1" even=$(($1 * 2 + 126))
    ip -n "gw$n" -batch - <<END
link set lo up
link add core index 1000 type veth peer name eth0 netns net$n
address add 203.0.113.$((even + 1))/31 dev core
address add 2001:db8:fe:$n::1/64 dev core nodad
link set core up
route add default via 203.0.113.$even onlink dev core
route add ::/0 via 2001:db8:fe:$n::2 dev core
END
    ip -n "net$n" -batch - <<END
link set lo up
address add 203.0.113.$even/31 dev eth0
address add 2001:db8:fe:$n::2/64 dev eth0 nodad
link set eth0 up
route add default via 203.0.113.$((even + 1))
route add ::/0 via 2001:db8:fe:$n::1
address add 203.0.113.8/32 dev lo
address add 203.0.113.9/32 dev lo
address add 2001:db8:53::8/128 dev lo nodad
address add 2001:db8:53::9/128 dev lo nodad
END
}

# The router's end. The first provider's gateways are learned: default routes in the main table tell them.
address_device() { # PROVIDER
    describe "$1"
    ip -batch - <<END
address add $own4/26 dev $device
address add $own6/64 dev $device nodad
link set $device up
END
    [ "$1" = 1 ] || return 0
    ip -batch - <<END
route add default via $gateway4 dev $device proto dhcp metric 1024
route add ::/0 via $gateway6 dev $device proto ra metric 1024
END
}

# --- what can go wrong with a provider, and how it is mended

plug_cable() { # PROVIDER: the gateway's end comes up, and has the addresses that it lost with the carrier
    describe "$1"
    ip -n "gw$1" -batch - <<END
link set $cable up
link set line up
address replace $gateway4/26 dev line
address replace $gateway6/64 dev line nodad
address replace fe80::1/64 dev line nodad
route replace 198.51.100.0/24 via $own4 dev line onlink
route replace 2001:db8:100::/64 via $own6 dev line onlink
END
}

pull_cable() { # PROVIDER: the router's device loses its carrier
    describe "$1"
    ip -n "gw$1" link set "$cable" down
}

upstream_dies() { # PROVIDER: beyond the gateway everything is lost, without a word; the gateway itself goes on answering
    swallow "$1" add
}

upstream_returns() { # PROVIDER
    swallow "$1" del
}

swallow() { # PROVIDER add|del
    local family
    for family in 4 6; do
        ip "-$family" -n "gw$1" -batch - <<END
rule $2 pref 1 iif line blackhole
rule $2 pref 1 iif core blackhole
END
    done
}

slow_line() { # PROVIDER NETEM…: as `slow_line 1 delay 200ms loss 20%`, on what it sends to the Internet
    local number="$1"
    shift
    tc -n "gw$number" qdisc replace dev core root netem "$@"
}

clear_line() { # PROVIDER
    tc -n "gw$1" qdisc del dev core root
}
