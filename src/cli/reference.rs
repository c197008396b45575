//! The commands in `docs/cli.md` are what the program says of itself: this puts them there, and sees that they still are.

use std::fmt::Write;

use clap::Command;

use super::command_tree;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
/// Below this line nothing is written by hand.
const BEGIN: &str = "\n## All commands\n";
const WIDTH: usize = 100;

/// To write them anew: `CARO_WRITE_DOCS=1 cargo test --lib the_page_of_commands`.
#[test]
fn the_page_of_commands_says_what_the_program_says() {
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let (by_hand, _) = page.split_once(BEGIN).expect("the line below which nothing is written by hand");
    let mut tree = command_tree().disable_help_subcommand(true);
    tree.build();
    let mut expected = format!(
        "{by_hand}{BEGIN}\nWhat `caro COMMAND -h` says, and the examples of `--help`. All of them have `--color`, `--verbose` and `--help`.\n"
    );
    describe(&tree, &mut expected);
    if std::env::var_os("CARO_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &expected).expect("the page is written");
    } else if page != expected {
        panic!("docs/cli.md is not what the program says; CARO_WRITE_DOCS=1 cargo test --lib the_page_of_commands");
    }
}

/// A command and those below it.
fn describe(command: &Command, page: &mut String) {
    let examples = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let own = command.clone().after_help("").term_width(WIDTH).mut_args(|arg| {
        let is_everywhere = arg.is_global_set() || ["help", "version"].contains(&arg.get_id().as_str());
        arg.hide(is_everywhere)
    });
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let said = format!("{}\n{examples}", own.clone().render_help());
    write!(page, "\n### {name}\n\n```text\n").expect("text");
    let mut before = "";
    for line in said.trim().lines().map(str::trim_end).filter(|line| *line != "Options:" || own.get_opts().count() > 0)
    {
        if !(line.is_empty() && before.is_empty()) {
            writeln!(page, "{line}").expect("text");
        }
        before = line;
    }
    page.push_str("```\n");
    command.get_subcommands().filter(|below| !below.is_hide_set()).for_each(|below| describe(below, page));
}
