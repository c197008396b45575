# Records what you run in this shell and searches it by key; `caro init bash` prints it.
#
# PS0 is expanded after a command was read and before it runs, PROMPT_COMMAND is run after it. The hooks change
# neither $? nor $_, and where caro is missing or fails the shell goes on as if they were not there: that it fails is said
# at the prompt, each trouble once.

if [[ $- == *i* && -z ${__caro_base-} ]] && ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)); then
    # Names this shell, so that ids made here are made nowhere else.
    printf -v __caro_base '%04x%04x%04x' $((RANDOM * 2 + RANDOM % 2)) $((RANDOM * 2 + RANDOM % 2)) $(($$ & 0xffff))
    printf -v CARO_SESSION '%(%s)T-%s' -1 "$__caro_base"
    export CARO_SESSION
    __caro_serial=0
    __caro_begun=0
    __caro_since=0
    __caro_until=
    __caro_clock=
    __caro_ran=
    __caro_none=-
    __caro_failed=0
    __caro_trouble=
    __caro_told=

    # Whether the program is there. Where bash remembers it is forgotten first: it may be there no more.
    __caro_is_there() {
        builtin hash -d caro
        type -P caro
    } >/dev/null 2>&1

    # The id of the command that runs: a UUID of version 7 from when it began, this shell and its serial number.
    __caro_id() {
        local time
        printf -v time '%012x' $((__caro_begun / 1000))
        printf -v "$1" '%s-%s-7%03x-%04x-%s' "${time:0:8}" "${time:8:4}" $((__caro_begun % 1000)) \
            $((0x8000 | __caro_serial & 0x3fff)) "$__caro_base"
    }

    # In a subshell: records the newest entry of bash's own history.
    __caro_preexec() {
        __caro_begin >/dev/null 2>&1
    }
    __caro_begin() {
        local entry number id
        __caro_is_there || return 0
        entry=$(HISTTIMEFORMAT='' builtin history 1)
        entry=${entry#"${entry%%[![:space:]]*}"}
        number=${entry%%[!0-9]*}
        # The number is followed by a mark and a space.
        entry=${entry#"$number"}
        entry=${entry:2}
        case $entry in '' | [[:space:]]*) return 0 ;; esac
        # No new entry: the same command again, unless there are commands that bash is told to ignore.
        [[ -n ${HISTIGNORE-} && $number -lt ${__caro_next-0} ]] && return 0
        __caro_id id
        if ((${#entry} < 30000)); then
            command caro history start --id "$id" --session "$CARO_SESSION" --shell bash -- "$entry" </dev/null
        else
            # It may be too long: 100 says so.
            command caro history start --id "$id" --session "$CARO_SESSION" --shell bash --stdin <<<"$entry" ||
                return $(($? == 2 ? 100 : $?))
        fi
    }

    # Under bash-preexec, first of what it runs before a prompt: what the others do takes no part of the time.
    __caro_stop() {
        __caro_until=${EPOCHREALTIME-}
    }

    # Completes the command that ran, in the background, and says that caro fails.
    __caro_precmd() {
        local status=$? now=${__caro_until:-${EPOCHREALTIME-}}
        __caro_until=
        if [[ -z $__caro_clock && -n ${bash_preexec_imported-}${__bp_imported-} ]]; then
            __caro_clock=1
            precmd_functions=(__caro_stop "${precmd_functions[@]}")
        fi
        __caro_end >/dev/null 2>&1
        if [[ -n $__caro_trouble && $__caro_told != *"$__caro_trouble"* ]]; then
            __caro_told+=$__caro_trouble
            builtin printf 'caro: %s\n' "$__caro_trouble" >&2
        fi
        # What comes after it in PROMPT_COMMAND sees the same status; under `set -e` it would end the shell.
        [[ $- == *e* ]] || return "$status"
    }
    __caro_end() {
        local id entry number
        # A command with a leading space is to be forgotten, which the hook before it cannot see if bash leaves
        # it out of its history. So it is put there and taken out here, before anything is written to a file.
        case ${HISTCONTROL-} in
            *ignoreboth*) HISTCONTROL=${HISTCONTROL//ignoreboth/ignoredups} __caro_hides=1 ;;
            *ignorespace*) HISTCONTROL=${HISTCONTROL//ignorespace/} __caro_hides=1 ;;
        esac
        if [[ -n $__caro_ran ]]; then
            __caro_ran=
            __caro_id id
            # 127 is for a program that went away, 130 for Ctrl-C.
            if [[ $__caro_failed == 100 ]]; then
                __caro_trouble='a command that is too long is not recorded'
            elif [[ $__caro_failed != @(0|127|130) ]]; then
                __caro_trouble='what you run is not recorded; `caro doctor` says why'
            elif __caro_is_there; then
                if [[ -n $now ]]; then
                    number=$(((${now//[!0-9]/} - __caro_since) * 1000))
                    ((number >= 0)) || number=0
                    (command caro history end "$id" --exit "$status" --duration-ns "$number" </dev/null &)
                else
                    (command caro history end "$id" --exit "$status" </dev/null &)
                fi
            fi
            if [[ -n ${__caro_hides-} ]]; then
                entry=$(HISTTIMEFORMAT='' builtin history 1)
                entry=${entry#"${entry%%[![:space:]]*}"}
                number=${entry%%[!0-9]*}
                entry=${entry#"$number"}
                case ${entry:2} in [[:space:]]*) builtin history -d "$number" ;; esac
            fi
        fi
        [[ -n ${EPOCHREALTIME-} ]] || printf -v __caro_begun '%(%s)T000000' -1
        __caro_next=${HISTCMD-0}
    }

    # What a trap of the user's prints in the subshell must not get into the arithmetic: an error there drops the command.
    # Before 5.0 there is no EPOCHREALTIME, and under `set -u` a name without a value would stop every command.
    PS0=${PS0-}'${__caro_none:$((__caro_serial += 1, __caro_ran = 1, __caro_begun = ${EPOCHREALTIME+${EPOCHREALTIME//[!0-9]/}} + 0 ? ${EPOCHREALTIME+${EPOCHREALTIME//[!0-9]/}} + 0 : __caro_begun + 1, 1)):0}$(__caro_preexec)${__caro_none:$((__caro_failed = $?, __caro_since = ${EPOCHREALTIME+${EPOCHREALTIME//[!0-9]/}} + 0, 1)):0}'
    if [[ $(declare -p PROMPT_COMMAND 2>/dev/null) == 'declare -a'* ]]; then
        PROMPT_COMMAND=(__caro_precmd "${PROMPT_COMMAND[@]}")
    else
        PROMPT_COMMAND=__caro_precmd${PROMPT_COMMAND:+$'\n'$PROMPT_COMMAND}
    fi

    # Opens the search with what is typed. Its first line says whether to run or to edit what was chosen. A key bound to
    # a command cannot run a line, so each key stands for two: this, and one that gets its meaning here. Where there is no
    # search, that is what the key did before.
    __caro_search() {
        local chosen
        __caro_then "$__caro_without"
        [[ ${TERM-} != dumb ]] && __caro_is_there || return 0
        if ! chosen=$(command caro history search --interactive --widget "$@" -- "$READLINE_LINE" </dev/tty); then
            __caro_trouble='its search does not open; `caro doctor` says why'
            return 0
        fi
        __caro_then ''
        [[ -n $chosen ]] || return 0
        READLINE_LINE=${chosen#*$'\n'}
        READLINE_POINT=${#READLINE_LINE}
        case $chosen in run$'\n'*) __caro_then accept-line ;; esac
        return 0
    }
    # What the second key does.
    __caro_then() {
        local keymap
        for keymap in emacs vi-insert vi-command; do
            if [[ -n $1 ]]; then
                bind -m "$keymap" '"\C-x\C-_0": '"$1"
            else
                bind -m "$keymap" '"\C-x\C-_0": ""'
            fi
        done
    }
    if [[ $SHELLOPTS == *emacs* || $SHELLOPTS == *vi* ]]; then
        __caro_then ''
        # [ctrl-r
        __caro_ctrl_r() {
            local __caro_without=reverse-search-history
            __caro_search
        }
        for __caro_keymap in emacs vi-insert vi-command; do
            bind -m "$__caro_keymap" -x '"\C-x\C-_1": __caro_ctrl_r'
            bind -m "$__caro_keymap" '"\C-r": "\C-x\C-_1\C-x\C-_0"'
        done
        # ctrl-r]
        # [up-arrow
        # In a text of several lines it moves.
        __caro_up() {
            local __caro_without=previous-history
            if [[ $READLINE_LINE == *$'\n'* ]]; then
                __caro_then previous-history
            else
                __caro_search --up
            fi
        }
        for __caro_keymap in emacs vi-insert vi-command; do
            bind -m "$__caro_keymap" -x '"\C-x\C-_2": __caro_up'
            bind -m "$__caro_keymap" '"\e[A": "\C-x\C-_2\C-x\C-_0"'
            bind -m "$__caro_keymap" '"\eOA": "\C-x\C-_2\C-x\C-_0"'
        done
        bind -m vi-command '"k": "\C-x\C-_2\C-x\C-_0"'
        # up-arrow]
        unset __caro_keymap
    fi
fi
