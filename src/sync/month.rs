//! Calendar months in UTC: the only times that leave this machine unsealed, and how segments are cut.

use jiff::Timestamp;

use crate::history::UnixNanos;

/// A month as `YYYYMM`, for example 202611. Orders like time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Month(pub u32);

impl Month {
    /// The month that a time falls into.
    pub(super) fn of(time: UnixNanos) -> Self {
        let date = Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
        let date = jiff::tz::TimeZone::UTC.to_datetime(date);
        let year = u32::try_from(date.year().max(0)).unwrap_or(0);
        Self(year * 100 + u32::from(date.month().unsigned_abs()))
    }

    /// Its first day as RFC 3339, the form in which CoValue headers carry it.
    pub(super) fn first_day(self) -> String {
        format!("{:04}-{:02}-01T00:00:00.000Z", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_its_month_in_utc() {
        let at = |text: &str| UnixNanos(i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap());
        assert_eq!(Month::of(at("2026-11-30T23:59:59.999999999Z")), Month(202_611));
        assert_eq!(Month::of(at("2026-12-01T00:00:00Z")), Month(202_612));
        assert_eq!(Month::of(at("1970-01-01T00:00:00Z")), Month(197_001));
        assert!(Month(202_612) < Month(202_701));
    }

    #[test]
    fn the_first_day_is_what_headers_carry() {
        assert_eq!(Month(202_603).first_day(), "2026-03-01T00:00:00.000Z");
    }
}
