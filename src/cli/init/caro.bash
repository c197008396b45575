# Records what you run in this shell and searches it by key; `caro init bash` prints it.
#
# PS0 is expanded after a command was read and before it runs, PROMPT_COMMAND is run after it. The hooks change
# neither $? nor $_, and where caro is missing or fails the shell goes on as if they were not there: that it fails is said
# at the prompt, each trouble once. Evaluated again in the same shell, it puts back the hooks that something replaced.
#
# What runs is read from bash's own history. A command that bash keeps out of it (a leading space, HISTIGNORE) is one
# after which nothing is new there; that is left to bash, so what it hides gets into no file through this.

if [[ $- == *i* ]] && ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)); then
    if [[ ${__caro_shell-} != "$$" ]]; then
        __caro_shell=$$
        # Names this shell, so that ids made here are made nowhere else.
        printf -v __caro_base '%04x%04x%04x' $((RANDOM * 2 + RANDOM % 2)) $((RANDOM * 2 + RANDOM % 2)) $(($$ & 0xffff))
        printf -v CARO_SESSION '%(%s)T-%s' -1 "$__caro_base"
        export CARO_SESSION
        __caro_serial=0
        __caro_begun=0
        __caro_since=0
        __caro_until=
        __caro_ran=
        __caro_none=-
        # What came of a command's beginning: see __caro_begin.
        __caro_came=0
        # The number that bash's next entry had at the prompt and has now, and when the prompt was.
        __caro_next=0
        __caro_now=0
        __caro_prompted=0
        # Whether bash is to keep no entry that repeats the one before it; HISTCONTROL as that was asked for, and without it.
        __caro_single=
        __caro_asked=
        __caro_control=
        __caro_literal=
        __caro_trouble=
        __caro_told=
    fi

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
    # 0: it is recorded; 1: there is nothing to record; 2: caro failed; 3: it is too long. 4 more: it repeats the one before.
    __caro_begin() {
        local added=$((__caro_now - __caro_next)) entry time again=0 id
        # Without a history every number is 1.
        ((__caro_now > 1)) || return 1
        __caro_entry
        if ((added != 0)); then
            # Another hook may have read entries from a file since. The clock of entries may be behind by a little.
            ((time + 1 >= __caro_prompted)) || return 1
        elif [[ ${HISTCONTROL-} == *@(ignorespace|ignoreboth)* || -n ${HISTIGNORE-} ]]; then
            # Hidden, unless it is an earlier one that was moved here: `erasedups`.
            ((time > __caro_prompted)) || return 1
        fi
        if ((added > 1)) && ! shopt -q cmdhist; then
            __caro_lines
        elif [[ -n $__caro_single && $added == 1 ]] && __caro_repeats; then
            again=4
        fi
        case $entry in '' | [[:space:]]*) return $((again + 1)) ;; esac
        __caro_is_there || return $((again + 1))
        __caro_id id
        if ((${#entry} < 30000)); then
            command caro history start --id "$id" --session "$CARO_SESSION" --shell bash -- "$entry" </dev/null
        else
            command caro history start --id "$id" --session "$CARO_SESSION" --shell bash --stdin <<<"$entry"
        fi
        # 127 is for a program that went away, 130 for Ctrl-C, and of a long text 2 says that it is too long.
        case $? in
            0 | 127 | 130) return "$again" ;;
            2) return $((again + (${#entry} < 30000 ? 2 : 3))) ;;
            *) return $((again + 2)) ;;
        esac
    }
    # The newest entry, and when it was read: `  12* 1700000000 make`.
    __caro_entry() {
        entry=$(HISTTIMEFORMAT='%s ' builtin history 1)
        entry=${entry#"${entry%%[![:space:]]*}"}
        entry=${entry#"${entry%%[!0-9]*}"}
        entry=${entry:2}
        time=${entry%%[!0-9]*}
        entry=${entry#"$time "}
        time=${time:-0}
    }
    # All the entries of a command of several lines.
    __caro_lines() {
        local line
        entry=
        while IFS= read -r line; do
            [[ $line =~ ^' '*[0-9]+[*' ']' '(.*)$ ]] && line=${BASH_REMATCH[1]}
            entry+=${entry:+$'\n'}$line
        done < <(HISTTIMEFORMAT='' builtin history "$added")
    }
    # Whether the entry before the newest is the same.
    __caro_repeats() {
        local both
        # Among commands about the history one may have been written to a file already: see __caro_tidy.
        ((${#entry} < 30000)) && [[ $entry != *history* ]] || return
        both=$(HISTTIMEFORMAT='' builtin history 2)
        both=${both#"${both%%[![:space:]]*}"}
        both=${both#"${both%%[!0-9]*}"}
        both=${both:2}
        [[ ${both:0:${#entry}} == "$entry" && ${both:${#entry}} == $'\n'*([ ])+([0-9])[*\ ]' '"$entry" ]]
    }

    # Takes a repetition out again. After other hooks it may be in a file, and taken out then bash would leave out another one
    # when it appends to that.
    __caro_tidy() {
        if ((__caro_came < 8 && __caro_came & 4)) && [[ $HISTCMD == "$__caro_now" ]]; then
            builtin history -d $((HISTCMD - 1))
        fi
        ((__caro_came &= ~4, 1))
    } >/dev/null 2>&1

    # Under bash-preexec, first of what it runs before a prompt: what the others do takes no part of the time.
    __caro_stop() {
        __caro_until=${EPOCHREALTIME-}
        [[ ${PROMPT_COMMAND-} != __bp_precmd_invoke_cmd* ]] || __caro_tidy
    }

    # Completes the command that ran, in the background, and says that caro fails.
    __caro_precmd() {
        local status=$? now=${__caro_until:-${EPOCHREALTIME-}}
        __caro_until=
        if [[ -n ${bash_preexec_imported-}${__bp_imported-} && ${precmd_functions[*]-} != *__caro_stop* ]]; then
            precmd_functions=(__caro_stop "${precmd_functions[@]}")
        fi
        [[ ${PROMPT_COMMAND-} != "$__caro_hook"* ]] || __caro_tidy
        __caro_end >/dev/null 2>&1
        if [[ -n $__caro_trouble && $__caro_told != *"$__caro_trouble"* ]]; then
            __caro_told+=$__caro_trouble
            builtin printf 'caro: %s\n' "$__caro_trouble" >&2
        fi
        # What comes after it in PROMPT_COMMAND sees the same status.
        return "$status"
    }
    __caro_end() {
        local id number
        if [[ -n $__caro_ran ]]; then
            __caro_ran=
            __caro_id id
            case $__caro_came in
                1) ;;
                2) __caro_trouble='what you run is not recorded; `caro doctor` says why' ;;
                3) __caro_trouble='a command that is too long is not recorded' ;;
                *)
                    if ! __caro_is_there; then
                        :
                    elif [[ -n $now ]]; then
                        number=$(((${now//[!0-9]/} - __caro_since) * 1000))
                        ((number >= 0)) || number=0
                        (command caro history end "$id" --exit "$status" --duration-ns "$number" </dev/null &)
                    else
                        (command caro history end "$id" --exit "$status" </dev/null &)
                    fi
                    ;;
            esac
        fi
        # Where prompts are not expanded PS0 would be shown as it is written.
        if ! shopt -q promptvars; then
            if [[ ${PS0-} == *"$__caro_ps0"* ]]; then
                __caro_literal=1
                PS0=${PS0//"$__caro_ps0"/}
            fi
            __caro_trouble='what you run is not recorded while bash expands no prompts (`shopt -s promptvars`)'
        elif [[ -n $__caro_literal ]]; then
            __caro_literal=
            [[ ${PS0-} == *"$__caro_ps0"* ]] || PS0=${PS0-}$__caro_ps0
        fi
        # Where bash leaves repetitions out by itself, they cannot be told from what is hidden: __caro_tidy does it instead.
        if [[ ${PS0-} != *"$__caro_ps0"* ]]; then
            [[ -z $__caro_single || ${HISTCONTROL-} != "$__caro_control" ]] || HISTCONTROL=$__caro_asked
            __caro_single=
        elif [[ ${HISTCONTROL-} == *@(ignoredups|ignoreboth)* && ${HISTCONTROL@a} != *r* ]]; then
            __caro_single=1
            __caro_asked=$HISTCONTROL
            __caro_control=${HISTCONTROL//ignoreboth/ignorespace}
            __caro_control=${__caro_control//ignoredups/}
            HISTCONTROL=$__caro_control
        elif [[ ${HISTCONTROL-} != "$__caro_control" ]]; then
            __caro_single=
        fi
        [[ -n ${EPOCHREALTIME-} ]] || printf -v __caro_begun '%(%s)T000000' -1
        printf -v __caro_prompted '%(%s)T' -1
        __caro_next=$HISTCMD
    }

    # Both are silent in a shell that inherits them, where there are no such functions. In a list of `&&` a status ends no shell
    # under `set -e` and springs no trap of ERR.
    # What a trap of the user's prints in the subshell must not get into the arithmetic: an error there drops the command.
    # Before 5.0 there is no EPOCHREALTIME, and under `set -u` a name without a value would stop every command.
    __caro_ps0='${__caro_shell:+${__caro_none:$((__caro_serial += 1, __caro_ran = 1, __caro_now = HISTCMD, __caro_begun = ${EPOCHREALTIME+${EPOCHREALTIME//[!0-9]/}} + 0 ? ${EPOCHREALTIME+${EPOCHREALTIME//[!0-9]/}} + 0 : __caro_begun + 1, 1)):0}$(__caro_preexec && :)${__caro_none:$((__caro_came = $?, __caro_next = __caro_now, __caro_since = ${EPOCHREALTIME+${EPOCHREALTIME//[!0-9]/}} + 0, 1)):0}}'
    __caro_hook='case ${__caro_shell-} in $$) __caro_precmd && : ;; *) (exit $?) && : ;; esac'
    [[ ${PS0-} == *"$__caro_ps0"* ]] || PS0=${PS0-}$__caro_ps0
    if [[ ${PROMPT_COMMAND[*]-} == *"$__caro_hook"* ]]; then
        :
    elif [[ $(declare -p PROMPT_COMMAND 2>/dev/null) == 'declare -a'* ]]; then
        PROMPT_COMMAND=("$__caro_hook" "${PROMPT_COMMAND[@]}")
    else
        PROMPT_COMMAND=$__caro_hook${PROMPT_COMMAND:+$'\n'$PROMPT_COMMAND}
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
