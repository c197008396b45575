# Records what you run in this shell and searches it by key; `caro init powershell` prints it.
#
# The hooks change neither $? nor $LASTEXITCODE, and where caro is missing or fails the shell goes on as if they were not
# there: that it fails is said at the prompt, each trouble once.

if (-not $global:__CaroReady -and (Get-Module -Name PSReadLine)) {
    $global:__CaroReady = $true
    $global:__CaroId = ''
    $global:__CaroTrouble = ''
    $global:__CaroTold = @()
    $env:CARO_SESSION = [guid]::NewGuid().ToString()
    $global:__CaroReadLine = $function:PSConsoleHostReadLine
    $global:__CaroPrompt = $function:prompt

    function global:__CaroIsThere { [bool](Get-Command caro -CommandType Application -ErrorAction Ignore) }

    # Called for each line; what it returns is run. Nothing may come before the one that was there, which looks at $?.
    function global:PSConsoleHostReadLine {
        $line = & $global:__CaroReadLine
        $status = $global:LASTEXITCODE
        $global:__CaroId = ''
        # A leading space hides.
        if ($line -and $line -notmatch '^\s' -and (__CaroIsThere)) {
            # For what is piped below: before 6.0 it would be ASCII.
            $OutputEncoding = [System.Text.UTF8Encoding]::new($false)
            try { $global:__CaroId = ($line | caro history start --session $env:CARO_SESSION --shell powershell --stdin 2>$null) } catch { }
            # 127 is for a program that went away, 130 for Ctrl-C.
            if ($global:LASTEXITCODE -eq 2 -and $line.Length -ge 30000) {
                $global:__CaroTrouble = 'a command that is too long is not recorded'
            } elseif ($global:LASTEXITCODE -notin 0, 127, 130) {
                $global:__CaroTrouble = 'what you run is not recorded; `caro doctor` says why'
            }
            $global:LASTEXITCODE = $status
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
        if ($global:__CaroTrouble -and $global:__CaroTrouble -notin $global:__CaroTold) {
            $global:__CaroTold += $global:__CaroTrouble
            [Console]::Error.WriteLine("caro: $global:__CaroTrouble")
        }
        # $? cannot be set, but something can fail, or not.
        if ($succeeded) { $null = 1 } else { Write-Error '' -ErrorAction Ignore }
        & $global:__CaroPrompt
    }

    # Opens the search with what is typed. Its first line says whether to run or to edit what was chosen. Says whether there
    # was a search; where there was none, the key does what it did before.
    function global:__CaroSearch {
        if ($env:TERM -eq 'dumb' -or -not (__CaroIsThere)) { return $false }
        $line = $null
        $cursor = $null
        [Microsoft.PowerShell.PSConsoleReadLine]::GetBufferState([ref]$line, [ref]$cursor)
        $status = $global:LASTEXITCODE
        $encoding = [Console]::OutputEncoding
        try {
            # In which what caro prints is read.
            [Console]::OutputEncoding = [System.Text.UTF8Encoding]::new($false)
            # Before 7.3 an empty argument is dropped, and the text is none then.
            $chosen = @(caro history search --interactive --widget @args -- $line)
            $opened = $global:LASTEXITCODE -eq 0
        } catch {
            $opened = $false
        } finally {
            [Console]::OutputEncoding = $encoding
            $global:LASTEXITCODE = $status
        }
        if (-not $opened) {
            $global:__CaroTrouble = 'its search does not open; `caro doctor` says why'
            return $false
        }
        [Microsoft.PowerShell.PSConsoleReadLine]::InvokePrompt()
        if ($chosen.Count -gt 1) {
            $command = $chosen[1..($chosen.Count - 1)] -join "`n"
            [Microsoft.PowerShell.PSConsoleReadLine]::Replace(0, $line.Length, $command)
            if ($chosen[0] -eq 'run') { [Microsoft.PowerShell.PSConsoleReadLine]::AcceptLine() }
        }
        return $true
    }

    # [ctrl-r
    Set-PSReadLineKeyHandler -Chord Ctrl+r -BriefDescription 'Search the history' -ScriptBlock {
        if (-not (__CaroSearch)) { [Microsoft.PowerShell.PSConsoleReadLine]::ReverseSearchHistory() }
    }
    # ctrl-r]
    # [up-arrow
    Set-PSReadLineKeyHandler -Chord UpArrow -BriefDescription 'Search the history' -ScriptBlock {
        $line = $null
        $cursor = $null
        [Microsoft.PowerShell.PSConsoleReadLine]::GetBufferState([ref]$line, [ref]$cursor)
        # In a text of several lines it moves.
        if ($line.Contains("`n")) {
            [Microsoft.PowerShell.PSConsoleReadLine]::PreviousLine()
        } elseif (-not (__CaroSearch --up)) {
            [Microsoft.PowerShell.PSConsoleReadLine]::PreviousHistory()
        }
    }
    # up-arrow]
}
