# Records what you run in this shell and searches it by key; `caro init powershell` prints it.
#
# Where caro is missing or fails the shell goes on as if the hooks were not there.

if (-not $global:__CaroReady -and (Get-Module -Name PSReadLine)) {
    $global:__CaroReady = $true
    $global:__CaroId = ''
    $env:CARO_SESSION = [guid]::NewGuid().ToString()
    $global:__CaroReadLine = $function:PSConsoleHostReadLine
    $global:__CaroPrompt = $function:prompt

    # Called for each line; what it returns is run.
    function global:PSConsoleHostReadLine {
        $line = & $global:__CaroReadLine
        $global:__CaroId = ''
        # A leading space hides.
        if ($line -and $line -notmatch '^\s' -and (Get-Command caro -CommandType Application -ErrorAction Ignore)) {
            try { $global:__CaroId = ($line | caro history start --session $env:CARO_SESSION --shell powershell --stdin 2>$null) } catch { }
        }
        $line
    }

    function global:prompt {
        $succeeded = $?
        $status = $global:LASTEXITCODE
        if ($global:__CaroId) {
            $exit = if ($succeeded) { 0 } elseif ($status) { $status } else { 1 }
            try { caro history end $global:__CaroId --exit $exit *> $null } catch { }
            $global:__CaroId = ''
            $global:LASTEXITCODE = $status
        }
        & $global:__CaroPrompt
    }

    # Opens the search with what is typed. Its first line says whether to run or to edit what was chosen.
    function global:__CaroSearch {
        $line = $null
        $cursor = $null
        [Microsoft.PowerShell.PSConsoleReadLine]::GetBufferState([ref]$line, [ref]$cursor)
        # Before 7.3 an empty argument is dropped, and the text is none then.
        $chosen = @(caro history search --interactive --widget @args -- $line)
        [Microsoft.PowerShell.PSConsoleReadLine]::InvokePrompt()
        if ($chosen.Count -gt 1) {
            $command = $chosen[1..($chosen.Count - 1)] -join "`n"
            [Microsoft.PowerShell.PSConsoleReadLine]::Replace(0, $line.Length, $command)
            if ($chosen[0] -eq 'run') { [Microsoft.PowerShell.PSConsoleReadLine]::AcceptLine() }
        }
    }

    # [ctrl-r
    Set-PSReadLineKeyHandler -Chord Ctrl+r -BriefDescription 'Search the history' -ScriptBlock { __CaroSearch }
    # ctrl-r]
    # [up-arrow
    Set-PSReadLineKeyHandler -Chord UpArrow -BriefDescription 'Search the history' -ScriptBlock {
        $line = $null
        $cursor = $null
        [Microsoft.PowerShell.PSConsoleReadLine]::GetBufferState([ref]$line, [ref]$cursor)
        # In a text of several lines it moves.
        if ($line.Contains("`n")) { [Microsoft.PowerShell.PSConsoleReadLine]::PreviousLine() } else { __CaroSearch --up }
    }
    # up-arrow]
}
