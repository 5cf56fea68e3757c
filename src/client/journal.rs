//! `log`: one line per transition, with the wall-clock time.

use crate::client::text::{pad, plain};
use crate::text::Timestamp;
use crate::wire::control::Entry;

/// The lines, oldest first. The time is UTC in ISO 8601: a router's time zone is rarely the reader's.
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

pub(super) fn row(entry: &Entry, now_ms: u64) -> [String; 5] {
    let provider = entry.subject.provider.as_deref().unwrap_or("-");
    let family = entry.subject.family.map_or("-", |family| family.name());
    [
        Timestamp(now_ms.saturating_sub(entry.ago_ms)).to_string(),
        plain(provider),
        family.to_owned(),
        plain(&entry.kind.to_string()),
        plain(&format!("{}{}", entry.cause, entry.repeats)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixture::journal;

    #[test]
    fn a_line_for_each_transition() {
        assert_eq!(
            render(&journal(), 1_763_929_735_400),
            "\
2025-11-22T20:28:55Z  -       -     started            version 0.1.0
2025-11-23T19:28:54Z  isp1    ipv4  online → offline   3 rounds failed: 8.8.8.8, 1.1.1.1 unanswered
2025-11-23T20:27:55Z  isp1    ipv6  waiting → probing  uplink is up ×37 in 4 s
2025-11-23T20:28:55Z  backup  -     pinned             pinned by hand
"
        );
        assert_eq!(render(&[], 0), "");
    }
}
