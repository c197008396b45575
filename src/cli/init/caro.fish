# Records what you run in this shell and searches it by key; `caro init fish` prints it.
#
# Where caro is missing or fails the shell goes on as if the hooks were not there: that it fails is said at the prompt,
# each trouble once.

if status is-interactive; and not set -q __caro_ready
    set -g __caro_ready 1
    set -g __caro_id
    set -g __caro_trouble
    set -g __caro_told
    set -gx CARO_SESSION (date +%s)-$fish_pid-(random)

    function __caro_preexec --on-event fish_preexec
        set -g __caro_id
        # A leading space hides, and so does a private session.
        test -n "$fish_private_mode"; and return
        string match -qr '^\S' -- "$argv[1]"; or return
        type -q caro; or return
        if test (string length -- "$argv[1]") -lt 30000
            set -g __caro_id (command caro history start --session $CARO_SESSION --shell fish -- "$argv[1]" 2>/dev/null </dev/null)
        else
            set -g __caro_id (printf %s "$argv[1]" | command caro history start --session $CARO_SESSION --shell fish --stdin 2>/dev/null)
        end
        set -l failed $status
        # 127 is for a program that went away, 130 for Ctrl-C.
        if test $failed -eq 2 -a (string length -- "$argv[1]") -ge 30000
            set -g __caro_trouble 'a command that is too long is not recorded'
        else if not contains -- $failed 0 127 130
            set -g __caro_trouble 'what you run is not recorded; `caro doctor` says why'
        end
    end

    # Says that caro fails.
    function __caro_say --on-event fish_prompt
        test -n "$__caro_trouble"; and not contains -- "$__caro_trouble" $__caro_told; or return
        set -ga __caro_told $__caro_trouble
        echo "caro: $__caro_trouble" >&2
    end

    function __caro_postexec --on-event fish_postexec
        set -l exit $status
        set -l ran $CMD_DURATION
        test -n "$__caro_id"; or return
        # This job is none of the user's.
        set -l last $last_pid
        command caro history end $__caro_id --exit $exit --duration-ns {$ran}000000 >/dev/null 2>&1 </dev/null &
        disown 2>/dev/null
        if set -q last[1]
            set -g last_pid $last
        else
            set -eg last_pid
        end
        set -g __caro_id
    end

    # Opens the search with what is typed. Its first line says whether to run or to edit what was chosen. Where there is no
    # search, the key does what it did before.
    function __caro_search
        test "$TERM" != dumb; and type -q caro; or return
        set -l chosen (command caro history search --interactive --widget $argv -- (commandline -b | string collect) </dev/tty)
        if test $status -ne 0
            set -g __caro_trouble 'its search does not open; `caro doctor` says why'
            return 1
        end
        if test (count $chosen) -gt 1
            commandline -r -- (string join \n -- $chosen[2..-1] | string collect)
            test "$chosen[1]" = run; and commandline -f execute
        end
        commandline -f repaint
        return 0
    end
    # [ctrl-r
    function __caro_ctrl_r
        __caro_search; or commandline -f history-pager
    end
    bind \cr __caro_ctrl_r
    bind -M insert \cr __caro_ctrl_r
    # ctrl-r]
    # [up-arrow
    # In a text of several lines, in a list of completions and while it searches by itself, it moves.
    function __caro_up
        if commandline --search-mode; or commandline --paging-mode; or test (count (commandline -b)) -gt 1; or not __caro_search --up
            up-or-search
        end
    end
    for __caro_key in \e\[A \eOA
        bind $__caro_key __caro_up
        bind -M insert $__caro_key __caro_up
    end
    set -e __caro_key
    # up-arrow]
end
