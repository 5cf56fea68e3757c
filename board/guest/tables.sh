# Compares the kernel's routing tables with the expected ones. Only functions.
# shellcheck shell=dash disable=SC2154 # `providers`, `device` and the addresses are network.sh's

# The swap table as the kernel shows it, without the flag of a route whose device has no carrier.
swap_table() { # FAMILY
    ip "-$1" route show table 176 2>/dev/null | sed 's/ linkdown//; s/ *$//'
}

# The swap table with these providers in this order: each with its gateway, its device, our protocol, metrics from 100.
expected_swap_table() { # FAMILY PROVIDER…
    local family="$1" metric=100
    shift
    for number in "$@"; do
        describe "$number"
        case $family in
        4) echo "default via $gateway4 dev $device proto 176 src $own4 metric $metric" ;;
        6) echo "default via $gateway6 dev $device proto 176 metric $metric pref medium" ;;
        esac
        metric=$((metric + 1))
    done
}

# Whether the kernel has these providers in this order, in both families.
order_is() { # PROVIDER…
    [ "$(swap_table 4)" = "$(expected_swap_table 4 "$@")" ] && [ "$(swap_table 6)" = "$(expected_swap_table 6 "$@")" ]
}

# All rules: the kernel's, and ours for four providers, each by its network and by its device.
expected_rules() { # FAMILY
    local network
    printf '0:\tfrom all lookup local\n'
    printf '17600:\tfrom all lookup main suppress_prefixlength 0 proto 176\n'
    for number in $providers; do
        describe "$number"
        case $1 in
        4) network="192.0.2.$((number * 64 - 64))/26" ;;
        6) network="2001:db8:$number::/64" ;;
        esac
        printf '%d:\tfrom %s iif lo lookup 1760%d proto 176\n' $((17884 + 16 * number)) "$network" "$number"
    done
    for number in $providers; do
        describe "$number"
        printf '1893%d:\tfrom all oif %s lookup 1760%d proto 176\n' $((number - 1)) "$device" "$number"
    done
    printf '32765:\tfrom all goto 32800 proto 176\n32766:\tfrom all lookup main\n'
    [ "$1" = 6 ] || printf '32767:\tfrom all lookup default\n'
    printf '32800:\tfrom all lookup main suppress_prefixlength 0 proto 176\n'
    printf '33900:\tfrom all lookup 176 proto 176\n33901:\tfrom all lookup main proto 176\n'
    [ "$1" = 6 ] || printf '33902:\tfrom all lookup default proto 176\n'
}

rules_are_ours() {
    for family in 4 6; do
        # BusyBox leaves the word `not` out.
        [ "$(ip "-$family" rule | sed 's/ *$//; s/\tnot /\t/; s/ to \(0\.0\.0\.0\|::\) / /')" = "$(expected_rules "$family")" ] ||
            return
    done
}

# All routes of ours, and all rules.
all_of_ours() {
    for family in 4 6; do
        ip "-$family" route show table all proto 176
        ip "-$family" rule
    done
}

same_tables() { # FILE FILE WHEN
    cmp -s "$1" "$2" || failed "the kernel's tables differ $3: $(diff "$1" "$2")"
}

# Notes every change of a route or rule, until `must_be_untouched`.
note_changes() {
    : >/tmp/changes
    /bin/ip monitor route rule >/tmp/changes &
    monitor=$!
    await a_change_is_noted
}

# Makes a change that is not ours, which tells whether notes are taken yet.
a_change_is_noted() {
    ip route add 198.51.100.128/25 dev lan0
    ip route del 198.51.100.128/25 dev lan0
    grep -q 198.51.100.128 /tmp/changes
}

# Fails when something of ours was changed, even if it was put back.
must_be_untouched() {
    kill "$monitor"
    ! grep 'proto 176' /tmp/changes >/tmp/said || failed "routes or rules were touched: $(cat /tmp/said)"
}
