//! `caro man DIR`: one manual page a command.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Command;
use clap_mangen::Man;

use super::ui::counted;
use super::{CliError, Ui, command_tree};

/// Write the manual, one page for each command
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  caro man ~/.local/share/man/man1 && man caro-history-search
")]
pub struct Args {
    /// The directory for the pages; made where it does not exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs `caro man`.
pub(super) fn run(args: &Args, ui: &Ui) -> Result<(), CliError> {
    let mut tree = command_tree().disable_help_subcommand(true);
    tree.build();
    let written = fs::create_dir_all(&args.dir).and_then(|()| write(tree, &args.dir));
    let count = written.map_err(|error| {
        CliError::failed(format!("the manual could not be written to {}: {error}", args.dir.display())).hinted(
            match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Make room on the disk and run it again.",
                _ => "Name a directory that is yours.",
            },
        )
    })?;
    ui.status(format_args!("Wrote {} to {}", counted(count, "page"), args.dir.display()));
    Ok(())
}

/// Writes the pages of a command and of those below it, and says how many there are.
fn write(command: Command, dir: &Path) -> io::Result<u64> {
    let mut count = 1;
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        count += write(below.clone(), dir)?;
    }
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(dir.join(man.get_filename()), with_sections(&String::from_utf8_lossy(&page)))?;
    Ok(count)
}

/// Gives what stands below the options its usual names: the generator calls it all "extra".
fn with_sections(page: &str) -> String {
    let mut page = page.to_owned();
    for heading in ["Examples:", "Example:"] {
        page = page.replace(&format!("\n.SH EXTRA\n{heading}\n"), "\n.SH EXAMPLES\n");
        page = page.replace(&format!("\n\n{heading}\n"), "\n.SH EXAMPLES\n");
    }
    page.replace("\n.SH EXTRA\n", "\n.SH NOTES\n")
}
