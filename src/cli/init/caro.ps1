# Records what you run in this shell; `caro init powershell` prints it.
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
}
