//! The terminal that data is shown on: how wide it is, and what it can show.

/// What a terminal is taken to be wide that does not say.
const USUAL: usize = 80;

/// Columns of the terminal.
pub(super) fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
    asked.filter(|columns| *columns > 0).or(said).unwrap_or(USUAL)
}

/// Whether it is one on which nothing can be written over.
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

/// Whether the locale says that Unicode is shown, in the order in which the system looks.
pub(super) fn knows_unicode() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8") || (locale.is_empty() && !cfg!(target_os = "linux"))
}
