//! Times as people write and read them.
//!
//! Everything is stored in UTC nanoseconds; what a person types or sees without an offset is in the
//! local time zone, machine-readable output is RFC 3339 in UTC.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

pub use crate::clock::now;
use crate::history::UnixNanos;
use crate::nearest::{edits, nearest};

/// Where the system keeps time zones by name.
#[cfg(unix)]
const ZONES: &str = "/usr/share/zoneinfo";

/// What [`parse`] understands, for help and error messages.
pub const EXAMPLES: &str =
    "2026-01-31, `2026-01-31 14:30`, 2026-01-31T14:30:00Z, @1700000000, `2 hours ago`, yesterday, now";

/// The local time zone. Where it is one file, that is read directly: looking a zone up by name
/// lists the whole database of them first, which takes longer than everything else a command does.
pub fn local_zone() -> TimeZone {
    #[cfg(unix)]
    {
        let file = match std::env::var("TZ") {
            Err(_) => Some(std::path::PathBuf::from("/etc/localtime")),
            Ok(name) if is_zone_name(&name) => Some(std::path::Path::new(ZONES).join(name)),
            Ok(_) => None,
        };
        let zone =
            file.and_then(|file| std::fs::read(file).ok()).and_then(|bytes| TimeZone::tzif("local", &bytes).ok());
        if let Some(zone) = zone {
            return zone;
        }
    }
    TimeZone::system()
}

/// Whether TZ holds a plain name like `Europe/Paris`, as opposed to a rule or a path.
#[cfg(unix)]
fn is_zone_name(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// A moment as `SystemTime` gives it, for example the age of a file.
pub fn from_system(time: std::time::SystemTime) -> Option<UnixNanos> {
    Timestamp::try_from(time).ok().and_then(from_timestamp)
}

/// A month for people, from a number such as 202611.
pub fn month(number: u32) -> String {
    let first_day = || {
        let (year, month) = (i16::try_from(number / 100).ok()?, i8::try_from(number % 100).ok()?);
        jiff::civil::Date::new(year, month, 1).ok()
    };
    first_day().map_or_else(|| number.to_string(), |day| day.strftime("%B %Y").to_string())
}

/// The words that mean a moment.
const WORDS: [&str; 4] = ["now", "today", "yesterday", "tomorrow"];

/// Understands a moment that a person wrote; `now` is what relative times refer to.
///
/// # Errors
/// A sentence that says what is understood.
pub fn parse(text: &str, now: UnixNanos) -> Result<UnixNanos, String> {
    parse_beside(text, now, &[])
}

/// [`parse`] where these words mean something too, so that they may be what was meant.
///
/// # Errors
/// See [`parse`].
pub fn parse_beside(text: &str, now: UnixNanos, others: &[&'static str]) -> Result<UnixNanos, String> {
    let text = text.trim();
    parse_absolute(text).or_else(|| parse_relative(text, now)).and_then(from_timestamp).ok_or_else(|| {
        let words = WORDS.iter().chain(others).copied();
        let others: String = others.iter().flat_map(|word| [word, ", "]).collect();
        match nearest(text, words, |word| edits(text, word)) {
            Some(meant) => format!("`{text}` is not a time; did you mean {meant}? These are: {others}{EXAMPLES}"),
            None => format!("`{text}` is not a time; these are: {others}{EXAMPLES}"),
        }
    })
}

fn parse_absolute(text: &str) -> Option<Timestamp> {
    if let Some(seconds) = text.strip_prefix('@') {
        return Timestamp::from_second(seconds.parse().ok()?).ok();
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    let local: DateTime = text.parse().ok()?;
    Some(local.to_zoned_datetime(local_zone()).ok()?.timestamp())
}

fn parse_relative(text: &str, now: UnixNanos) -> Option<Timestamp> {
    let now = to_timestamp(now).to_zoned_datetime(local_zone());
    let moment = match text {
        "now" => now,
        "today" => now.start_of_day().ok()?,
        "yesterday" => now.yesterday().ok()?.start_of_day().ok()?,
        "tomorrow" => now.tomorrow().ok()?.start_of_day().ok()?,
        _ => {
            let span: Span = text.parse().ok()?;
            // "2 hours ago" is a negative span; a bare "2 hours" means the same here, and "+2 hours" does not.
            let back = if span.is_positive() && !text.starts_with('+') { -span } else { span };
            now.checked_add(back).ok()?
        }
    };
    Some(moment.timestamp())
}

/// Understands the RFC 3339 time of a machine.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence.
pub fn parse_machine(text: &str) -> Result<UnixNanos, &'static str> {
    let timestamp: Timestamp = text.parse().map_err(|_| "not an RFC 3339 time like 2026-01-31T14:30:00Z")?;
    from_timestamp(timestamp).ok_or("out of range: times from 1678 to 2261 are known")
}

/// The same, where it does not matter why.
pub fn parse_rfc3339(text: &str) -> Option<UnixNanos> {
    parse_machine(text).ok()
}

/// The moment in RFC 3339, UTC, as precise as it is known.
pub fn rfc3339(at: UnixNanos) -> String {
    to_timestamp(at).to_string()
}

/// The moment in the local time zone, to the second.
pub fn local(at: UnixNanos, zone: &TimeZone) -> String {
    to_timestamp(at).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An RFC 3339 time as [`local`] shows it; any other text as it is.
pub fn local_text(at: &str) -> String {
    parse_rfc3339(at).map_or_else(|| at.to_owned(), |at| local(at, &local_zone()))
}

/// When the day began in which a moment lies.
pub fn start_of_day(at: UnixNanos, zone: &TimeZone) -> UnixNanos {
    let start = to_timestamp(at).to_zoned_datetime(zone.clone()).start_of_day();
    start.ok().and_then(|start| from_timestamp(start.timestamp())).unwrap_or(at)
}

/// How long something took, in at most five characters where that is possible.
pub fn duration(nanoseconds: i64) -> String {
    let seconds = nanoseconds as f64 / 1e9;
    match nanoseconds {
        // Many sources count in seconds.
        0 => "0s".to_owned(),
        ..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", nanoseconds / 1_000),
        1_000_000..1_000_000_000 => format!("{}ms", nanoseconds / 1_000_000),
        1_000_000_000..60_000_000_000 => format!("{seconds:.1}s"),
        60_000_000_000..3_600_000_000_000 => format!("{}m{:02}s", seconds as i64 / 60, seconds as i64 % 60),
        _ => format!("{}h{:02}m", seconds as i64 / 3600, seconds as i64 / 60 % 60),
    }
}

fn from_timestamp(timestamp: Timestamp) -> Option<UnixNanos> {
    i64::try_from(timestamp.as_nanosecond()).ok().map(UnixNanos)
}

fn to_timestamp(at: UnixNanos) -> Timestamp {
    // Every 64-bit count of nanoseconds is within the years that are known.
    Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    fn after(text: &str) -> i64 {
        (parse(text, NOW).unwrap().0 - NOW.0) / 1_000_000_000
    }

    #[test]
    fn absolute_times() {
        assert_eq!(after("2023-11-14T22:13:20Z"), 0);
        assert_eq!(after("2023-11-14T23:13:21+01:00"), 1);
        assert_eq!(after("@1700000007"), 7);
        let midnight = parse("2023-11-14", NOW).unwrap();
        assert_eq!(parse("2023-11-14 00:00", NOW), Ok(midnight));
        assert_eq!(local(midnight, &local_zone()), "2023-11-14 00:00:00");
    }

    #[cfg(unix)]
    #[test]
    fn only_plain_names_are_looked_up_as_files() {
        for name in ["Europe/Paris", "UTC", "America/Argentina/Ushuaia", "Etc/GMT+5"] {
            assert!(is_zone_name(name));
        }
        for rule in ["", ":Europe/Paris", "/etc/localtime", "../x", "Europe//Paris", "<+03>-3"] {
            assert!(!is_zone_name(rule));
        }
    }

    #[test]
    fn relative_times_look_back() {
        assert_eq!(after("now"), 0);
        assert_eq!(after("2h"), -7200);
        assert_eq!(after("2 hours ago"), -7200);
        assert_eq!(after("1m 30s"), -90);
        assert_eq!((after("+2h"), after("-2h"), after("+1 day")), (7200, -7200, 86_400));
        assert!(after("yesterday") < after("today"));
        assert!(after("today") < after("tomorrow"));
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone() {
        let zone = TimeZone::posix("IST-5:30").unwrap();
        let start = start_of_day(NOW, &zone);
        assert_eq!((local(start, &zone).as_str(), start <= NOW), ("2023-11-15 00:00:00", true));
        assert_eq!(start_of_day(start, &zone), start);
        assert_eq!(local(start_of_day(UnixNanos(start.0 - 1), &zone), &zone), "2023-11-14 00:00:00");
    }

    #[test]
    fn nonsense_is_refused_with_examples() {
        for text in ["", "soon", "2023-13-45", "@x", "9999-12-31T00:00:00Z"] {
            let error = parse(text, NOW).unwrap_err();
            assert!(error.contains("2 hours ago") && !error.contains("did you mean"), "{error}");
        }
        assert!(parse("yesterdy", NOW).unwrap_err().contains("did you mean yesterday?"));
        assert!(parse_beside("weak", NOW, &["week"]).unwrap_err().contains("did you mean week?"));
        let said = parse_beside("fortnight", NOW, &["day", "week"]).unwrap_err();
        assert!(said.contains("`fortnight` is not a time; these are: day, week, 2026-01-31, "), "{said}");
    }

    #[test]
    fn machine_times_round_trip() {
        for at in [i64::MIN, -1, 0, NOW.0 + 123_456_789, i64::MAX] {
            let text = rfc3339(UnixNanos(at));
            assert!(text.ends_with('Z'));
            assert_eq!(parse_rfc3339(&text), Some(UnixNanos(at)));
        }
    }

    #[test]
    fn a_month_has_its_name() {
        assert_eq!((month(202_611), month(197_001)), ("November 2026".into(), "January 1970".into()));
        assert_eq!([month(13), month(u32::MAX)], ["13", "4294967295"]);
    }

    #[test]
    fn durations_are_short() {
        let shown: Vec<_> =
            [0, 7, 7_100, 7_100_000, 7_100_000_000, 67_000_000_000, 4_000_000_000_000].map(duration).into();
        assert_eq!(shown, ["0s", "7ns", "7µs", "7ms", "7.1s", "1m07s", "1h06m"]);
    }
}
