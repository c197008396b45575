# Records what you run in this shell and searches it by key; `caro init nu` prints it. Save it to a file and `source` that in config.nu.
#
# Where caro is missing or fails the shell goes on as if the hooks were not there, and has its own keys: that it fails is said
# at the prompt, each trouble once.

# Whether the program is there. Its completions have the same name, and the path of their own file.
def __caro_is_there [] { which --all caro | any {|found| ($found.path | path basename) in [caro caro.exe] } }

# Waits until Nushell has taken the terminal back from a program that has ended, which it does a moment later: a command that
# begins before would not get it. The system says who has it where there is such a file.
def __caro_settle [] {
    let file = $"/proc/($nu.pid)/stat"
    if not ($file | path exists) { return }
    for _ in 0..50 {
        # Behind the name: state, parent, group, session, terminal, and the group that has the terminal.
        let stat = (open --raw $file | split row ") " | last | split row " ")
        if $stat.5 in ["-1" $stat.2] { return }
        sleep 1ms
    }
}

# Opens the search with what is typed. Its first line says whether to run or to edit what was chosen.
def --env __caro_search [...flags: string] {
    if not (__caro_is_there) { return }
    let chosen = (try {
        ^caro history search --interactive --widget ...$flags -- (commandline) | lines
    } catch {
        $env.__CARO_TROUBLE = "its search does not open; `caro doctor` says why"
        $env.__CARO_SEARCHES = false
        []
    })
    if ($chosen | length) > 1 {
        let command = ($chosen | skip 1 | str join "\n")
        if ($chosen | first) == "run" {
            commandline edit --replace --accept $command
        } else {
            commandline edit --replace $command
        }
    }
}

# [up-arrow
# In a text of several lines it moves.
def --env __caro_up [] {
    if not (commandline | str contains "\n") { return (__caro_search '--up') }
    let before = (commandline | str substring --grapheme-clusters 0..<(commandline get-cursor) | split row "\n")
    if ($before | length) > 1 {
        let column = ($before | last | str length --grapheme-clusters)
        let above = ($before | drop | last | str length --grapheme-clusters)
        let first = (commandline get-cursor) - $column - $above - 1
        commandline set-cursor ($first + ([$column $above] | math min))
    }
}
# up-arrow]

# The keys, while the program is there and works. One that finds that it does not is lost; the next is the shell's own.
const __caro_keys = [
    # [ctrl-r
    {
        name: caro_ctrl_r
        modifier: control
        keycode: char_r
        mode: [emacs vi_normal vi_insert]
        event: { send: executehostcommand cmd: "__caro_search" }
    }
    # ctrl-r]
    # [up-arrow
    {
        name: caro_up
        modifier: none
        keycode: up
        mode: [emacs vi_normal vi_insert]
        event: { until: [{ send: menuup } { send: executehostcommand cmd: "__caro_up" }] }
    }
    # up-arrow]
]

if $env.__CARO_SHELL? != $nu.pid {
    $env.__CARO_SHELL = $nu.pid
    $env.CARO_SESSION = (random uuid)
    $env.__CARO_ID = ""
    $env.__CARO_BEFORE = null
    $env.__CARO_KEYS = false
    $env.__CARO_RECORDS = true
    $env.__CARO_SEARCHES = true
    $env.__CARO_TROUBLE = ""
    $env.__CARO_TOLD = []

    $env.config.hooks.pre_execution = ($env.config.hooks.pre_execution? | default []) ++ [{||
        $env.__CARO_ID = ""
        let line = (commandline)
        if $line in [__caro_search __caro_up] {
            # A key is no command: what the one before left is there afterwards.
            $env.__CARO_BEFORE = { exit: $env.LAST_EXIT_CODE, ran: $env.CMD_DURATION_MS? }
        # A leading space hides.
        } else if ($line | is-not-empty) and ($line !~ '^\s') and (__caro_is_there) {
            let begun = ($line | ^caro history start --session $env.CARO_SESSION --shell nu --stdin | complete)
            __caro_settle
            $env.__CARO_ID = ($begun.stdout | str trim)
            let too_long = $begun.exit_code == 2 and ($line | str length) >= 30000
            # 127 is for a program that went away, 130 for Ctrl-C.
            $env.__CARO_RECORDS = $too_long or $begun.exit_code in [0 127 130]
            if $too_long {
                $env.__CARO_TROUBLE = "a command that is too long is not recorded"
            } else if not $env.__CARO_RECORDS {
                $env.__CARO_TROUBLE = "what you run is not recorded; `caro doctor` says why"
            }
        }
    }]

    $env.config.hooks.pre_prompt = ($env.config.hooks.pre_prompt? | default []) ++ [{||
        let was_key = $env.__CARO_BEFORE? != null
        if $was_key {
            $env.LAST_EXIT_CODE = $env.__CARO_BEFORE.exit
            $env.CMD_DURATION_MS = $env.__CARO_BEFORE.ran
            $env.__CARO_BEFORE = null
        }
        let exit = $env.LAST_EXIT_CODE
        let is_there = (__caro_is_there)
        if $is_there and ($env.__CARO_ID? | is-not-empty) {
            let ran = ($env.CMD_DURATION_MS? | default "0")
            let ran = (if ($ran =~ '^[0-9]+$') { $"($ran)000000" } else { "0" })
            ^caro history end $env.__CARO_ID --exit $exit --duration-ns $ran | complete | ignore
            __caro_settle
            $env.LAST_EXIT_CODE = $exit
        }
        $env.__CARO_ID = ""
        # After a key what is printed here would be drawn over.
        if ($env.__CARO_TROUBLE | is-not-empty) and $env.__CARO_TROUBLE not-in $env.__CARO_TOLD and not $was_key {
            $env.__CARO_TOLD ++= [$env.__CARO_TROUBLE]
            print --stderr $"caro: ($env.__CARO_TROUBLE)"
        }
        let keys = $is_there and $env.__CARO_RECORDS and $env.__CARO_SEARCHES and $env.TERM? != "dumb"
        if $keys != $env.__CARO_KEYS {
            let others = ($env.config.keybindings | where {|key| $key.name? not-in $__caro_keys.name })
            # What is assigned is added to what is there, except for nothing.
            $env.config.keybindings = []
            $env.config.keybindings = (if $keys { $others ++ $__caro_keys } else { $others })
            $env.__CARO_KEYS = $keys
        }
    }]
}
