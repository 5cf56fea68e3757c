# The shell that a person gets by `board/boot NAME --shell`: the functions of the network, and a word of welcome.
# shellcheck shell=dash

# shellcheck source=board/guest/network.sh
. /guest/network.sh
# shellcheck source=board/guest/steps.sh
. /guest/steps.sh
# shellcheck source=board/guest/tables.sh
. /guest/tables.sh
# shellcheck source=board/guest/watch.sh
. /guest/watch.sh
PS1='router# '

cat <<'END'

This is a router with four providers, as /guest/network.sh draws it. For example:

    start_daemon                      with /etc/failover/failover.conf
    failover status --watch
    ip route show table 176
    upstream_dies 1                   upstream_returns 1
    pull_cable 1                      plug_cable 1
    slow_line 1 delay 200ms loss 5%   clear_line 1
    ip netns exec lan ping 203.0.113.8
    tail /var/log/messages

The providers' gateways are the network namespaces gw1 to gw4. `exit` ends the VM.

END
