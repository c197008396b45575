# Records what you run in this shell; `caro init fish` prints it.
#
# Where caro is missing or fails the shell goes on as if the hooks were not there.

if status is-interactive; and not set -q __caro_ready
    set -g __caro_ready 1
    set -g __caro_id
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
    end

    function __caro_postexec --on-event fish_postexec
        set -l exit $status
        set -l ran $CMD_DURATION
        test -n "$__caro_id"; or return
        command caro history end $__caro_id --exit $exit --duration-ns {$ran}000000 >/dev/null 2>&1 </dev/null &
        disown 2>/dev/null
        set -g __caro_id
    end
end
