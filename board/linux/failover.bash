# shellcheck shell=bash
# Completes the command line of failover(8) in bash: commands, options, files, and the ids of the configuration's providers.

# The names of a kind of section in the configuration that the words given name, else in that which failover would take.
_failover_names() {
    local kind=$1 file='' word previous=''
    shift
    for word; do
        # bash takes `--config=file` for three words.
        [[ $word == = ]] && continue
        [[ $previous == --config ]] && file=${word/#\~\//$HOME/}
        previous=$word
    done
    file=${file:-${FAILOVER_CONFIG-}}
    if [[ ! $file ]]; then
        for file in /etc/config/failover /etc/failover/failover.conf; do
            [[ -e $file ]] && break
        done
    fi
    local quote="[\"']\\?" blank='[[:blank:]]'
    sed -n "s/^$blank*config$blank\\+$quote$kind$quote$blank\\+$quote\\([A-Za-z0-9_]\\+\\).*/\\1/p" \
        "$file" 2>/dev/null
}

_failover() {
    local commands='run check status explain probe use disable enable reload refresh log routes metrics import-mwan3 version help'
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    [[ $word == = ]] && word=''
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
    COMPREPLY=()

    if [[ $before == --config || $before == --last-good ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
    fi
    # A number, or a duration.
    [[ $before == --count || $before == --interval || $before == -[ci] ]] && return

    # The command, and what stands behind it.
    local index command='' arguments=0
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${COMP_WORDS[index]} in
        --config | --last-good | --count | --interval | -c | -i)
            [[ ${COMP_WORDS[index + 1]} == = ]] && index=$((index + 1))
            index=$((index + 1))
            ;;
        -*) ;;
        *)
            [[ $command ]] && arguments=$((arguments + 1))
            command=${command:-${COMP_WORDS[index]}}
            ;;
        esac
    done

    local options='--config --help' words=''
    case $command in
    '') options+=' --version' words=$commands ;;
    run) options+=' --foreground --last-good' ;;
    status) options+=' --json --page --watch --connections' ;;
    log) options+=' --follow' ;;
    probe)
        options+=' --count --interval'
        [[ $arguments == 0 ]] && words=$(_failover_names provider "${COMP_WORDS[@]}")
        [[ $arguments == 1 ]] && words=$(_failover_names check "${COMP_WORDS[@]}")
        ;;
    help) options='' words=$commands ;;
    import-mwan3)
        if [[ $arguments == 0 && $word != -* ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
        fi
        ;;
    explain | use | disable | enable)
        [[ $arguments == 0 ]] && words=$(_failover_names provider "${COMP_WORDS[@]}")
        [[ $arguments == 0 && $command == use ]] && words+=' auto'
        ;;
    esac
    # Options are completed after a `-`, or if nothing else can follow.
    [[ $word == -* || ! $words ]] && words=$options
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _failover failover
