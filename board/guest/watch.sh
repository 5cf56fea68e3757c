# The daemon from outside: its status, its cost, and the outages of a user in the LAN.
# Only functions.
# shellcheck shell=dash disable=SC2034,SC2154 # `processor`, `memory`, `outage` are read by others, `now` is steps.sh's

start_daemon() {
    failover run &
    daemon=$!
}

# Whether so many paths are in a state.
paths_are() { # STATE COUNT
    failover status --json >/tmp/status 2>/dev/null &&
        [ "$(grep -o "\"device\":\"[^\"]*\",\"state\":\"$1\"" /tmp/status | wc -l)" = "$2" ]
}

# The status must agree with the kernel.
leaders_are() { # PROVIDER: it leads in both families
    must failover status --json
    grep -q "\"active\":{\"ipv4\":\"$1\",\"ipv6\":\"$1\"}" /tmp/said || failed "the status does not say so: $(cat /tmp/said)"
}

# Whether the last answer through the first provider took longer. Sets `rtt`, in whole milliseconds.
rtt_is_above() { # MILLISECONDS
    failover status --json >/tmp/status 2>/dev/null
    rtt=$(grep -o '"rtt_ms":{"last":[0-9]*' /tmp/status | sed -n '1s/.*://p')
    [ "${rtt:-0}" -gt "$1" ]
}

# --- processor and memory

# Sets `processor`, for people: the percentage of this processor that the daemon takes in a minute, with what the kernel
# does for it. Time here is a number of instructions (`board/machine.py`), and `board/boot` makes that of the figure.
measure_idle_minute() {
    local before after since
    sleep 2
    clock
    since=$now
    read -r before _ <"/proc/$daemon/schedstat" # nanoseconds
    sleep 60
    clock
    read -r after _ <"/proc/$daemon/schedstat"
    echo "@nanoseconds instructions_per_second $(((after - before) * 100 / (now - since)))"
    processor="$(seconds $(((after - before) / 1000 / (now - since)))) % of the processor"
}

# Sets `memory`, for people: what the daemon has of it now, in kB. The figure is the greatest seen.
measure_memory() {
    local anonymous resident
    anonymous=$(awk '/^RssAnon/ { print $2 }' "/proc/$daemon/status")
    resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status")
    echo "@figure anonymous_kb $anonymous"
    echo "@figure resident_kb $resident"
    memory="$resident kB resident, of it $anonymous kB anonymous"
}

# --- a user in the LAN pings the Internet ten times a second in both families

flow_begins() {
    : >/tmp/flow4
    : >/tmp/flow6
    clock
    flow_begun=$now
    /bin/ip netns exec lan ping -i 0.1 203.0.113.8 >/tmp/flow4 &
    flow4=$!
    /bin/ip netns exec lan ping -i 0.1 2001:db8:53::8 >/tmp/flow6 &
    flow6=$!
    await flow_is_answered 3
}

# Whether so many pings were answered in each family.
flow_is_answered() { # COUNT
    [ "$(grep -c seq= /tmp/flow4)" -ge "$1" ] && [ "$(grep -c seq= /tmp/flow6)" -ge "$1" ]
}

# Ends the pings when they are answered again. Sets `outage`: for how long they were not, for people.
flow_ends() {
    local answered
    answered=$(grep -c seq= /tmp/flow4)
    await flow_is_answered $((answered + 3))
    clock
    kill -INT "$flow4" "$flow6"
    wait "$flow4" "$flow6"
    outage="a user in the LAN: $(longest_gap /tmp/flow4) in IPv4, $(longest_gap /tmp/flow6) in IPv6"
}

# The most pings in a row without an answer, times the time from one to the next.
longest_gap() { # FILE
    local gap sent
    gap=$(awk -F 'seq=' -v last=-1 'NF > 1 { n = $2 + 0; if (n - last - 1 > gap) gap = n - last - 1; last = n }
        END { print gap + 0 }' "$1")
    sent=$(awk '/packets transmitted/ { print $1 }' "$1")
    if [ "$gap" = 0 ]; then
        echo "no ping lost"
    else
        echo "out for $(seconds $((gap * (now - flow_begun) / sent))) s"
    fi
}
