//! A calendar whose days are darker the more was run on them: which days it shows, and how dark each is.

use std::collections::BTreeMap;

use jiff::civil::Date;

/// How dark a day can be; 0 is one without a command.
pub(super) const LEVELS: u8 = 4;

/// A number of whole weeks, the last of which holds today.
pub(super) struct Calendar<'a> {
    by_day: &'a BTreeMap<i64, u64>,
    first: i64,
    today: i64,
    most: u64,
}

impl<'a> Calendar<'a> {
    /// The weeks since the first command, but no more than `most_weeks`; none where there was no command then.
    pub(super) fn new(by_day: &'a BTreeMap<i64, u64>, today: i64, most_weeks: i64) -> Option<Self> {
        let this_week = monday(today);
        let earliest = this_week - 7 * (most_weeks - 1);
        let (oldest, _) = by_day.range(earliest..=today).next()?;
        let most = by_day.range(earliest..=today).map(|(_, count)| *count).max()?;
        Some(Self { by_day, first: monday(*oldest), today, most })
    }

    /// The Mondays of the weeks, the oldest first, in days since 1970.
    pub(super) fn weeks(&self) -> impl Iterator<Item = i64> {
        (self.first..=self.today).step_by(7)
    }

    /// How many commands were run on a day; none for days to come.
    pub(super) fn count(&self, day: i64) -> Option<u64> {
        (day <= self.today).then(|| self.by_day.get(&day).copied().unwrap_or_default())
    }

    /// How dark a day with so many commands is. A few very busy days do not make all others look alike.
    pub(super) fn level(&self, count: u64) -> u8 {
        let share = (count as f64 / self.most as f64).sqrt();
        (1..=LEVELS).rev().find(|level| share > f64::from(level - 1) / f64::from(LEVELS)).unwrap_or(0)
    }

    /// The month that begins in this week, if one does, or that the calendar begins in and goes on for some weeks.
    pub(super) fn month(&self, week: i64) -> Option<&'static str> {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = |day| date(day).month();
        let last = month(week + 6);
        let begins = if week == self.first { month(week + 20) == last } else { month(week - 1) != last };
        begins.then(|| MONTHS.get(usize::try_from(last - 1).ok()?).copied()).flatten()
    }
}

/// The Monday of a day's week.
fn monday(day: i64) -> i64 {
    // The first day of 1970 was a Thursday.
    day - (day + 3).rem_euclid(7)
}

fn date(day: i64) -> Date {
    let midnight = jiff::Timestamp::from_second(day.saturating_mul(86_400)).unwrap_or_default();
    midnight.to_zoned_datetime(jiff::tz::TimeZone::UTC).date()
}

/// A day as 2026-01-31.
pub(super) fn date_text(day: i64) -> String {
    date(day).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28, a Saturday.
    const TODAY: i64 = 20_785;

    #[test]
    fn it_shows_whole_weeks_up_to_today() {
        assert_eq!(date_text(TODAY), "2026-11-28");
        let days = BTreeMap::from([(TODAY - 40, 3), (TODAY - 9, 1), (TODAY, 16)]);
        let calendar = Calendar::new(&days, TODAY, 4).unwrap();
        let weeks: Vec<String> = calendar.weeks().map(date_text).collect();
        assert_eq!(weeks, ["2026-11-16", "2026-11-23"], "older ones have no command, or are too long ago");
        assert_eq!(
            (calendar.count(TODAY), calendar.count(TODAY - 1), calendar.count(TODAY + 1)),
            (Some(16), Some(0), None)
        );
        assert_eq!([0, 1, 2, 4, 5, 9, 10, 16].map(|count| calendar.level(count)), [0, 1, 2, 2, 3, 3, 4, 4]);
        assert!(Calendar::new(&BTreeMap::from([(TODAY + 1, 1)]), TODAY, 4).is_none());
        assert!(Calendar::new(&BTreeMap::new(), TODAY, 4).is_none());
    }

    #[test]
    fn a_month_stands_above_the_week_in_which_it_begins() {
        let days = BTreeMap::from([(TODAY - 63, 1)]);
        let calendar = Calendar::new(&days, TODAY, 53).unwrap();
        let months: Vec<_> = calendar.weeks().map(|week| calendar.month(week)).collect();
        let begins = [None, Some("Oct"), None, None, None, Some("Nov"), None, None, None, None];
        assert_eq!(months, begins);
    }
}
