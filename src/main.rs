//! Runs the command line and exits with its code.

fn main() -> std::process::ExitCode {
    caro::cli::run(std::env::args_os())
}
