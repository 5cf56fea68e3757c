//! `log`: a line for each transition, with the time on the wall.

use crate::client::text::{pad, plain};
use crate::wire::control::Entry;

/// The lines, oldest first. The time is in UTC, as ISO 8601 has it: a router's time zone is rarely the reader's.
pub(super) fn render(entries: &[Entry], now_ms: u64) -> String {
    let rows: Vec<[String; 5]> = entries.iter().map(|entry| row(entry, now_ms)).collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            out.push_str(cell);
            pad(&mut out, width + 2 - cell.chars().count());
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

fn row(entry: &Entry, now_ms: u64) -> [String; 5] {
    let provider = entry.provider.as_deref().unwrap_or("-");
    let family = entry.family.map_or("-", |family| family.name());
    [
        timestamp(seconds(now_ms.saturating_sub(entry.ago_ms))),
        plain(provider),
        family.to_owned(),
        plain(&entry.what),
        plain(&entry.cause),
    ]
}

/// Until 2106.
fn seconds(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds / 1000).unwrap_or(u32::MAX)
}

/// `2025-11-23T20:28:55Z` of the seconds since 1970.
fn timestamp(seconds: u32) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date so many days after 1 January 1970. Years are counted from March, so that the leap day is a year's last.
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
    use crate::client::samples::journal;

    #[test]
    fn a_line_for_each_transition() {
        assert_eq!(
            render(&journal(), 1_763_929_735_400),
            "\
2025-11-22T20:28:55Z  -       -     started           version 0.1.0
2025-11-23T19:28:54Z  isp1    ipv4  online → offline  3 rounds failed: 8.8.8.8, 1.1.1.1 unanswered
2025-11-23T20:28:55Z  backup  -     pinned            by hand
"
        );
        assert_eq!(render(&[], 0), "");
    }

    #[test]
    fn days_are_counted_right() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(951_868_799), "2000-02-29T23:59:59Z");
        assert_eq!(timestamp(1_740_787_200), "2025-03-01T00:00:00Z");
        assert_eq!(timestamp(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(timestamp(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(timestamp(1_767_225_599), "2025-12-31T23:59:59Z");
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
