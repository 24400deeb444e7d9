# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of fipctl for bash. Commands and options are those that fipctl --help shows, so that this file knows none of
# them; services are those that the broker lists.

# _fipctl_read_help WORD...: what 'fipctl WORD... --help' shows, into the caller's commands, and values: of each option
# the name of its value, maybe empty.
_fipctl_read_help() {
    local line in_commands=
    while IFS= read -r line; do
        if [[ $line =~ ^\ +((-.),\ )?(--[a-z-]+)(\ ([A-Z]+))? ]]; then
            values[${BASH_REMATCH[3]}]=${BASH_REMATCH[5]}
            [ -z "${BASH_REMATCH[2]}" ] || values[${BASH_REMATCH[2]}]=${BASH_REMATCH[5]}
        elif [[ $line == Commands:* ]]; then
            in_commands=1
        elif [[ -n $in_commands && $line =~ ^\ +([a-z-]+) ]]; then
            commands+=("${BASH_REMATCH[1]}")
        else
            in_commands=
        fi
    done < <("$program" "$@" --help 2>/dev/null)
}

# _fipctl_services: only plain names, for others choose them, and the shell reads what is completed.
_fipctl_services() {
    "$program" --json --timeout 500 "${broker[@]}" list 2>/dev/null |
        grep -oE '"name": "[A-Za-z0-9._-]+"' | cut -d '"' -f 4
}

# _fipctl_offer WORD...: those that go on from what was typed.
_fipctl_offer() {
    local word
    for word; do
        [[ $word != "$current"* ]] || COMPREPLY+=("$word")
    done
}

# _fipctl_other_command N: what goes on from the Nth word after the name that is served, as the shell completes it.
_fipctl_other_command() {
    local kind=-f
    if declare -F _command_offset >/dev/null; then # of bash-completion: knows the options of other programs
        _command_offset $((COMP_CWORD - $1 + 1))
        return
    fi
    [ "$1" -gt 1 ] || kind=-c
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$kind" -- "$current")
}

_fipctl() {
    local program=${1/#\~/$HOME} current=${COMP_WORDS[COMP_CWORD]}
    local word option='' command='' n_arguments=0 only_arguments='' i
    local -a commands=() broker=() services=()
    local -A values=()

    COMPREPLY=()
    _fipctl_read_help
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [ -n "$option" ]; then
            [ "$word" != = ] || continue # --option=value comes as three words
            [ "$option" != --socket ] || broker=(--socket "$word")
            option=
        elif [ -z "$only_arguments" ] && [ "$word" = -- ]; then
            only_arguments=1
        elif [ -z "$only_arguments" ] && [[ $word == -?* ]]; then
            [ "$word" != --user ] || broker+=(--user)
            [ -z "${values[$word]-}" ] || option=$word
        elif [ -z "$command" ]; then
            command=$word
            _fipctl_read_help "$command"
        else
            n_arguments=$((n_arguments + 1))
        fi
    done

    if [ -n "$option" ]; then
        [ "$current" != = ] || current=
        case ${values[$option]} in
        FILE | PATH)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        esac
    elif [ -z "$only_arguments" ] && [[ $current == -* ]]; then
        _fipctl_offer "${!values[@]}"
    elif [ -z "$command" ]; then
        _fipctl_offer "${commands[@]}"
    elif [ $n_arguments -eq 0 ] && [[ $command =~ ^(call|wait)$ ]]; then
        mapfile -t services < <(_fipctl_services)
        _fipctl_offer "${services[@]}"
    elif [ $n_arguments -ge 1 ] && [ -n "$only_arguments" ] && [ "$command" = serve ]; then
        _fipctl_other_command $n_arguments
    fi
}

complete -F _fipctl fipctl
