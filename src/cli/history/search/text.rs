//! Texts for a screen: made harmless, cut to a width, wrapped, shortened. Pure functions.
//!
//! Widths are those of terminal cells: two for most characters of Chinese, Japanese and Korean and for emoji.

use std::ops::Range;

use ratatui::style::Style;
use ratatui::text::Span;

use super::super::super::ui::visible;
use crate::history::UnixNanos;

/// How much of a command is seen before a match that lies beyond the edge.
const BEFORE_A_MATCH: usize = 8;

/// The cells that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text on one line, without what a terminal would obey.
pub(super) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "⏎").replace('\t', " ")
}

/// The end of a text that fits into so many cells.
pub(super) fn fitting(text: &str, room: usize) -> &str {
    let mut rest = text;
    while width(rest) > room {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    rest
}

/// A command in so many cells, with the matches marked; and how many it takes. Where the first match lies beyond the
/// edge, the start is left out.
pub(super) fn highlighted(
    text: &str,
    ranges: &[Range<usize>],
    room: usize,
    plain: Style,
    found: Style,
) -> (Vec<Span<'static>>, usize) {
    let mut start = 0;
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    if let Some(first) = ranges.first()
        && width(&one_line(head(text, first.end, room))) > room.saturating_sub(1)
    {
        start = text
            .get(..first.start)
            .map_or(0, |before| before.char_indices().rev().nth(BEFORE_A_MATCH).map_or(0, |(at, _)| at));
    }
    if start > 0 && room > 0 {
        spans.push(Span::styled("…", plain));
        used = 1;
    }
    let mut piece = String::new();
    let mut marked = false;
    let mut ranges = ranges.iter().peekable();
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < start) {
        while ranges.next_if(|range| range.end <= at).is_some() {}
        let is_found = ranges.peek().is_some_and(|range| range.start <= at);
        let shown = one_line(c.encode_utf8(&mut [0; 4]));
        let cells = width(&shown);
        // One cell stays for the sign that there is more.
        let last = at + c.len_utf8() == text.len();
        if used + cells + usize::from(!last) > room {
            if used < room {
                flush(&mut spans, &mut piece, if marked { found } else { plain });
                spans.push(Span::styled("…", plain));
                used += 1;
            }
            return (spans, used);
        }
        if is_found != marked {
            flush(&mut spans, &mut piece, if marked { found } else { plain });
            marked = is_found;
        }
        piece.push_str(&shown);
        used += cells;
    }
    flush(&mut spans, &mut piece, if marked { found } else { plain });
    (spans, used)
}

/// What of the start of a text is worth measuring: no line is so wide that more would matter.
fn head(text: &str, end: usize, room: usize) -> &str {
    let most = text.char_indices().nth(2 * room + 1).map_or(text.len(), |(at, _)| at);
    text.get(..end.min(most)).unwrap_or_default()
}

fn flush(spans: &mut Vec<Span<'static>>, piece: &mut String, style: Style) {
    if !piece.is_empty() {
        spans.push(Span::styled(std::mem::take(piece), style));
    }
}

/// A text in lines of so many cells; at least one line.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let cells = width(c.encode_utf8(&mut [0; 4]));
        if used + cells > room && used > 0 {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
        used += cells;
    }
    lines
}

/// A text in lines of so many cells, broken between words where that is possible; at least one line.
pub(super) fn paragraph(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(wrapped(word, room)),
        }
    }
    lines
}

/// How long ago, in at most four characters.
pub(super) fn age(then: UnixNanos, now: UnixNanos) -> String {
    let seconds = now.0.saturating_sub(then.0).max(0) / 1_000_000_000;
    let (amount, unit) = match seconds {
        0..5 => return "now".to_owned(),
        5..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "m"),
        3_600..86_400 => (seconds / 3_600, "h"),
        86_400..31_536_000 => (seconds / 86_400, "d"),
        _ => (seconds / 31_536_000, "y"),
    };
    format!("{amount}{unit}")
}

/// A directory with `~` for the home directory; of a long one the end.
pub(super) fn abbreviated(directory: &str, home: Option<&str>, room: usize) -> String {
    let below = home.filter(|home| home.len() > 1).and_then(|home| directory.strip_prefix(home));
    let short = match below {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("~{rest}"),
        _ => directory.to_owned(),
    };
    if width(&short) <= room {
        return short;
    }
    format!("…{}", fitting(&short, room.saturating_sub(1)))
}

/// A number with its thousands apart.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, ranges: &[Range<usize>], room: usize) -> String {
        let found = Style::new().add_modifier(ratatui::style::Modifier::BOLD);
        let (spans, used) = highlighted(text, ranges, room, Style::new(), found);
        let line: String = spans
            .iter()
            .map(|span| if span.style == found { format!("<{}>", span.content) } else { span.content.to_string() })
            .collect();
        assert_eq!(width(&line.replace(['<', '>'], "")), used);
        assert!(used <= room, "{line}");
        line
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "the one match")]
    fn a_command_is_cut_to_the_room_there_is_and_its_match_stays_seen() {
        assert_eq!(shown("git status", &[4..6], 20), "git <st>atus");
        assert_eq!(shown("git status", &[], 10), "git status");
        assert_eq!(shown("git status", &[], 9), "git stat…");
        assert_eq!(shown("one two three four five six", &[19..23], 16), "…ree four <five> …");
        assert_eq!(shown("日本語 x", &[], 5), "日本…");
        assert_eq!(shown("a\u{1b}[2J\nb", &[], 40), "a\\u{1b}[2J⏎b");
        for room in 0..6 {
            shown("日本語日本語", &[3..6], room);
        }
    }

    #[test]
    fn ages_have_four_characters_at_most() {
        let now = UnixNanos(1_800_000_000_000_000_000);
        let ago = |seconds: i64| age(UnixNanos(now.0 - seconds * 1_000_000_000), now);
        assert_eq!([0, 7, 61, 7_200, 90_000].map(ago), ["now", "7s", "1m", "2h", "1d"]);
        assert_eq!([30_000_000, 40_000_000].map(ago), ["347d", "1y"]);
        assert_eq!([-5, 31_535_999].map(ago), ["now", "364d"]);
    }

    #[test]
    fn directories_are_short_and_numbers_are_readable() {
        assert_eq!(abbreviated("/home/ada/src", Some("/home/ada"), 20), "~/src");
        assert_eq!(abbreviated("/home/adam", Some("/home/ada"), 20), "/home/adam");
        assert_eq!(abbreviated("/home/ada/a/long/way", Some("/home/ada"), 9), "…long/way");
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn long_lines_are_wrapped_by_their_width() {
        assert_eq!(wrapped("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("日", 1), ["日"]);
        assert_eq!(fitting("日本語x", 4), "語x");
    }

    #[test]
    fn sentences_are_broken_between_words() {
        assert_eq!(paragraph("Delete it?  y: yes", 12), ["Delete it? ", "y: yes"]);
        assert_eq!(paragraph("a bc defghij", 4), ["a bc", "defg", "hij"]);
        assert_eq!(paragraph("", 4), [""]);
    }
}
