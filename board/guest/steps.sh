# The functions of a scenario: steps, waiting, and the output of a step that fails.
#
# A line that begins with `@` is for `board/boot` on the other side of the console: `@begin SECONDS`,
# `@figure NAME VALUE`, `@nanoseconds NAME VALUE`, `@json TEXT`, `@end STATUS`. All others are for people.
# shellcheck shell=dash disable=SC2034 # what is set here is read by others

# Ten times what the slowest step takes, by the clock of the VM.
patience_s=60

# Sets `now`: hundredths of a second since the kernel started. It starts no process, which would take tens of them.
clock() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
    now=${now#0}
}

seconds() { # HUNDREDTHS: in seconds
    printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

indented() {
    sed 's/^/       /'
}

step() { # DESCRIPTION: begins a step
    step="$*"
    clock
    step_begun=$now
    begun=$now
}

passed() { # RESULT: ends it
    clock
    printf 'ok     %6s s  %s: %s\n' "$(seconds $((now - step_begun)))" "$step" "$1"
}

# Ends the scenario, with all that a person needs to find out why.
failed() { # REASON
    clock
    printf 'FAILED %6s s  %s: %s\n' "$(seconds $((now - step_begun)))" "$step" "$1"
    for command in "ip -4 route show table 176" "ip -4 rule" "ip -6 route show table 176" "ip -6 rule" \
        "ip -brief address" "failover status" "failover log" "tail -n 40 /var/log/messages"; do
        echo "     $command"
        $command 2>&1 | indented
    done
    echo "@end 1"
    poweroff -f
}

# The time from which `await` counts, when it is not that of the step.
begin_clock() {
    clock
    begun=$now
}

# Waits until a command succeeds. Sets `took`: hundredths of a second from `begun`, at most one look too many.
await() { # COMMAND…
    while ! "$@"; do
        clock
        [ $((now - begun)) -lt $((patience_s * 100)) ] || failed "not within $patience_s s: $*"
        usleep 20000
    done
    clock
    took=$((now - begun))
}

must() { # COMMAND…: fails when it fails
    "$@" >/tmp/said 2>&1 || failed "\`$*\` ended with $?: $(cat /tmp/said)"
}
