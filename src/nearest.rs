//! The word that somebody most likely meant who made a slip.

/// The one of these that is nearest to what was wanted, unless all are far from it.
pub(crate) fn nearest<'a>(
    wanted: &str,
    all: impl Iterator<Item = &'a str>,
    distance: impl Fn(&str) -> usize,
) -> Option<&'a str> {
    let (steps, nearest) = all.map(|one| (distance(one), one)).min()?;
    (steps <= (wanted.chars().count() / 3).max(1)).then_some(nearest)
}

/// How many letters must be put in, taken out or replaced to get from one word to the other.
pub(crate) fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, from) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let meant = |wanted| nearest(wanted, ["yesterday", "today", "day"].into_iter(), |word| edits(wanted, word));
        assert_eq!(["yesterdy", "tody", "yesterday"].map(meant), [Some("yesterday"), Some("today"), Some("yesterday")]);
        assert_eq!(["soon", "", "yes"].map(meant), [None; 3]);
        assert_eq!([edits("", "abc"), edits("kitten", "sitting")], [3, 3]);
    }
}
