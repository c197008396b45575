//! Help texts as the parser is to wrap them: a paragraph on one line, so that its lines are as long as there is room for.

use clap::Command;

/// The command and those below it, their texts so that they fill the lines of any width.
pub(super) fn flowing(command: Command) -> Command {
    let text = command.get_after_long_help().map(|text| flow(&text.to_string()));
    let command = match text {
        Some(text) => command.after_long_help(text),
        None => command,
    };
    command.mut_subcommands(flowing)
}

/// Joins the lines of each paragraph. What is indented, and a heading, stays on a line of its own.
fn flow(text: &str) -> String {
    let mut flowing = String::with_capacity(text.len());
    let mut goes_on = false;
    for (number, line) in text.lines().enumerate() {
        let is_prose = line.starts_with(|c: char| !c.is_whitespace());
        if number > 0 {
            flowing.push(if goes_on && is_prose { ' ' } else { '\n' });
        }
        flowing.push_str(line);
        goes_on = is_prose && !line.ends_with(':');
    }
    flowing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_joined_and_examples_are_not() {
        let text = "One two\nthree.\n\nFour\nfive.\n\nExamples:\n  caro a\n  caro b\n";
        assert_eq!(flow(text), "One two three.\n\nFour five.\n\nExamples:\n  caro a\n  caro b");
        assert_eq!(flow("Keys:\n  x  one\nand more\nof it"), "Keys:\n  x  one\nand more of it");
        assert_eq!(flow(""), "");
    }
}
