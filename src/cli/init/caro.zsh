# Records what you run in this shell and searches it by key; `caro init zsh` prints it.
#
# The hooks change neither $? nor $_, and where caro is missing or fails the shell goes on as if they were not there: that it
# fails is said at the prompt, each trouble once. Evaluated again in the same shell, it puts back the hooks that something
# replaced.

if [[ -o interactive ]]; then
    zmodload zsh/datetime 2>/dev/null
    autoload -Uz add-zsh-hook
    if [[ ${__caro_shell-} != $$ ]]; then
        typeset -g __caro_shell=$$ __caro_id= __caro_begun=0 __caro_trouble= __caro_told=
        export CARO_SESSION=${EPOCHSECONDS:-0}-$$-$RANDOM
    fi

    # Whether the program is there: zsh may remember one that is there no more.
    __caro_is_there() {
        emulate -L zsh
        whence -p caro
    } >/dev/null

    # Records a command that begins to run.
    __caro_preexec() {
        emulate -L zsh
        __caro_id=
        # A leading space hides.
        [[ -n $1 && $1 != [[:space:]]* ]] && __caro_is_there || return 0
        local -i failed=0
        if (( $#1 < 30000 )); then
            __caro_id=$(command caro history start --session $CARO_SESSION --shell zsh -- "$1" 2>/dev/null </dev/null) || failed=$?
        else
            __caro_id=$(command caro history start --session $CARO_SESSION --shell zsh --stdin 2>/dev/null <<<"$1") || failed=$?
        fi
        # 127 is for a program that went away, 130 for Ctrl-C.
        if (( failed == 2 && $#1 >= 30000 )); then
            __caro_trouble='a command that is too long is not recorded'
        elif [[ $failed != (0|127|130) ]]; then
            __caro_trouble='what you run is not recorded; `caro doctor` says why'
        fi
        __caro_begun=${EPOCHREALTIME:-0}
        return 0
    }

    # Completes it, in the background, and says that caro fails.
    __caro_precmd() {
        local exit=$?
        emulate -L zsh
        if [[ -n $__caro_trouble && $__caro_told != *$__caro_trouble* ]]; then
            __caro_told+=$__caro_trouble
            print -ru2 -- "caro: $__caro_trouble"
        fi
        [[ -n $__caro_id ]] || return 0
        local -i ran=0
        (( ! __caro_begun || (ran = (EPOCHREALTIME - __caro_begun) * 1000000000) >= 0 )) || ran=0
        (command caro history end $__caro_id --exit $exit --duration-ns $ran &) >/dev/null 2>&1 </dev/null
        __caro_id=
        # The hooks after it see the status of the command all the same; handed on, it would spring a trap of ZERR.
        return 0
    }

    add-zsh-hook preexec __caro_preexec
    # Before the others, so that what they do takes no part of the time.
    typeset -ga precmd_functions
    [[ " ${precmd_functions[*]-} " == *' __caro_precmd '* ]] || precmd_functions=(__caro_precmd "${precmd_functions[@]}")

    # Opens the search with what is typed. Its first line says whether to run or to edit what was chosen. Where there is no
    # search, the key does what it did before.
    __caro_search() {
        emulate -L zsh
        [[ ${TERM-} != dumb ]] && __caro_is_there || return 1
        local chosen
        if ! chosen=$(command caro history search --interactive --widget "$@" -- "$BUFFER" </dev/tty); then
            __caro_trouble='its search does not open; `caro doctor` says why'
            return 1
        fi
        zle reset-prompt
        [[ -n $chosen ]] || return 0
        BUFFER=${chosen#*$'\n'}
        CURSOR=$#BUFFER
        [[ $chosen == run$'\n'* ]] && zle accept-line
        return 0
    }
    # [ctrl-r
    __caro_ctrl_r() {
        emulate -L zsh
        __caro_search || zle history-incremental-search-backward
    }
    zle -N __caro_ctrl_r
    bindkey -M emacs '^R' __caro_ctrl_r
    bindkey -M viins '^R' __caro_ctrl_r
    bindkey -M vicmd '^R' __caro_ctrl_r
    # ctrl-r]
    # [up-arrow
    # In a text of several lines it moves.
    __caro_up() {
        emulate -L zsh
        [[ $BUFFER != *$'\n'* ]] && __caro_search --up || zle up-line-or-history
    }
    zle -N __caro_up
    for __caro_keymap in emacs viins vicmd; do
        bindkey -M $__caro_keymap '^[[A' __caro_up
        bindkey -M $__caro_keymap '^[OA' __caro_up
    done
    bindkey -M vicmd 'k' __caro_up
    unset __caro_keymap
    # up-arrow]
fi
