//! Texts of bounded length; times, thresholds and the journal as text.

mod journal;

pub(crate) use journal::DroppedAt;

use core::fmt::{self, Write};

use heapless::string::{String, StringView};

use crate::types::{Duration, Measure};

/// A text of bounded length. Where there is no room for its rest, it ends after a whole word with `…`.
pub fn text<const N: usize>(what: fmt::Arguments<'_>) -> String<N> {
    let mut text = String::new();
    fill(&mut text, what);
    text
}

/// The same, into an empty text.
#[inline(never)] // one for all lengths
pub(crate) fn fill(text: &mut StringView, what: fmt::Arguments<'_>) {
    // An error only means that the text is full.
    if Cut(text).write_fmt(what).is_err() {
        end_cut(text);
    }
}

/// Ends a text that has no room for its rest with `…`, after a whole word; in a word if that is longer than what is before.
pub(crate) fn end_cut(text: &mut StringView) {
    let room = text.capacity().saturating_sub('…'.len_utf8());
    let mut end = text.floor_char_boundary(room);
    let is_whole = text[end..].starts_with(' ');
    if let Some(blank) = text[..end]
        .bytes()
        .rposition(|byte| byte == b' ')
        .filter(|blank| !is_whole && *blank > end / 2)
    {
        end = blank;
    }
    text.truncate(text[..end].trim_ascii_end().len());
    let _ = text.push('…'); // a text too short for it ends without
}

/// Writes what fits into a string.
struct Cut<'a>(&'a mut StringView);

impl Write for Cut<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        s.chars()
            .try_for_each(|character| self.0.push(character).map_err(|_| fmt::Error))
    }
}

/// A duration in the format of the configuration.
pub(crate) struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.total_micros();
        let (ms, us) = (micros / 1000, micros % 1000);
        match us {
            0 if ms.is_multiple_of(1000) => write!(f, "{}s", ms / 1000),
            0 => write!(f, "{ms}ms"),
            _ => write!(f, "{ms}.{us:03}ms"),
        }
    }
}

/// A threshold or a measured value, as in `12%`, `250ms`.
pub(crate) struct Limit {
    /// the quantity
    pub measure: Measure,
    /// percent, or microseconds
    pub value: u32,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            Measure::Loss => write!(f, "{}%", self.value),
            _ => Span(Duration::from_micros(self.value.into())).fmt(f),
        }
    }
}

/// Wall-clock time in UTC: milliseconds since 1970. Shown as in ISO 8601, `2025-11-23T20:28:55Z`; until 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub u64);

impl Timestamp {
    fn seconds(self) -> u32 {
        u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)
    }

    /// Writes only the time of day, `20:28:55`.
    pub fn time_of_day(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{hour:02}:{minute:02}:{second:02}")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.seconds() / 86_400);
        write!(f, "{year:04}-{month:02}-{day:02}T")?;
        self.time_of_day(f)?;
        f.write_char('Z')
    }
}

/// Year, month and day of a day number since 1 January 1970. Years are counted from March, so that the leap day is a
/// year's last day.
fn date(days: u32) -> (u32, u32, u32) {
    const FOUR_CENTURIES: u32 = 146_097;
    let days = days + 719_468; // since 1 March of the year 0
    let (era, day) = (days / FOUR_CENTURIES, days % FOUR_CENTURIES);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // months from March have 31 30 31 30 31 31 30 31 30 31 31 days
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    (year + 400 * era, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_words_and_says_so() {
        for (long, expected) in [
            ("its route is in table 100, too", "its route is in…"),
            ("its route is into table 100, too", "its route is into…"),
            ("its route is in ta →→→→", "its route is in…"),
            ("0123456789012345678→9", "01234567890123456…"),
            ("its →→→→→→→→→→→→", "its →→→→…"),
            ("its route is in te 1", "its route is in te 1"),
        ] {
            let cut: String<20> = text(format_args!("{long}"));
            assert_eq!(cut.as_str(), expected);
        }
        let tiny: String<4> = text(format_args!("{}→{}", "ab", "c"));
        assert_eq!(tiny.as_str(), "a…");
        let tiny: String<2> = text(format_args!("abc"));
        assert_eq!(tiny.as_str(), "");
    }

    #[test]
    fn days_are_counted_right() {
        assert_eq!(Timestamp(0_000).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Timestamp(951_782_400_000).to_string(),
            "2000-02-29T00:00:00Z"
        );
        assert_eq!(
            Timestamp(951_868_799_000).to_string(),
            "2000-02-29T23:59:59Z"
        );
        assert_eq!(
            Timestamp(1_740_787_200_000).to_string(),
            "2025-03-01T00:00:00Z"
        );
        assert_eq!(
            Timestamp(1_709_164_800_000).to_string(),
            "2024-02-29T00:00:00Z"
        );
        assert_eq!(
            Timestamp(4_107_542_400_000).to_string(),
            "2100-03-01T00:00:00Z"
        );
        assert_eq!(
            Timestamp(1_767_225_599_000).to_string(),
            "2025-12-31T23:59:59Z"
        );
        // Every day follows the one before.
        let mut before = date(0);
        for day in 1..100_000 {
            let (year, month, day) = date(day);
            let next = match before {
                (y, m, d) if m == month => (y, m, d + 1),
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, _) => (y, m + 1, 1),
            };
            assert_eq!((year, month, day), next);
            before = next;
        }
    }
}
