# Records what you run in this shell and searches it by key; `caro init nu` prints it. Save it to a file and `source` that in config.nu.
#
# Where caro is missing or fails the shell goes on as if the hooks were not there.

$env.CARO_SESSION = (random uuid)
$env.__CARO_ID = ""

$env.config = ($env.config | upsert hooks.pre_execution (
    ($env.config.hooks.pre_execution? | default []) | append {||
        $env.__CARO_ID = ""
        let line = (commandline)
        # A leading space hides.
        if ($line | is-not-empty) and ($line !~ '^\s') and (which caro | is-not-empty) {
            let begun = ($line | ^caro history start --session $env.CARO_SESSION --shell nu --stdin | complete)
            $env.__CARO_ID = ($begun.stdout | str trim)
        }
    }
))

$env.config = ($env.config | upsert hooks.pre_prompt (
    ($env.config.hooks.pre_prompt? | default []) | append {||
        let exit = $env.LAST_EXIT_CODE
        if ($env.__CARO_ID? | is-not-empty) {
            let ran = ($env.CMD_DURATION_MS? | default "0")
            let ran = (if ($ran =~ '^[0-9]+$') { $"($ran)000000" } else { "0" })
            ^caro history end $env.__CARO_ID --exit $exit --duration-ns $ran | complete | ignore
            $env.__CARO_ID = ""
        }
    }
))

# Opens the search with what is typed. Its first line says whether to run or to edit what was chosen.
def __caro_search [...flags: string] {
    let chosen = (^caro history search --interactive --widget ...$flags -- (commandline) | lines)
    if ($chosen | length) > 1 {
        let command = ($chosen | skip 1 | str join "\n")
        if ($chosen | first) == "run" {
            commandline edit --replace --accept $command
        } else {
            commandline edit --replace $command
        }
    }
}

# [ctrl-r
$env.config = ($env.config | upsert keybindings (
    ($env.config.keybindings? | default []) | append {
        name: caro_ctrl_r
        modifier: control
        keycode: char_r
        mode: [emacs vi_normal vi_insert]
        event: { send: executehostcommand cmd: "__caro_search" }
    }
))
# ctrl-r]

# [up-arrow
$env.config = ($env.config | upsert keybindings (
    ($env.config.keybindings? | default []) | append {
        name: caro_up
        modifier: none
        keycode: up
        mode: [emacs vi_normal vi_insert]
        event: { until: [{ send: menuup } { send: executehostcommand cmd: "__caro_search '--up'" }] }
    }
))
# up-arrow]
