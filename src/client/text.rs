//! Text for a terminal: wrapped, aligned, without control characters.

use std::fmt::Display;

use crate::client::hint::completed;
use crate::wire::decimal::Decimal;

/// The width of all output.
pub(super) const WIDTH: usize = 80;

/// Adds a text, broken between words, so that no line is longer than [`WIDTH`]. The first line starts with `first`, the
/// others with as many blanks. A word that is too long for a line is broken.
pub(super) fn wrap(out: &mut String, first: &str, text: &str) {
    let text = &*completed(text);
    let indent = first.chars().count();
    let room = WIDTH.saturating_sub(indent).max(20);
    let mut column = 0;
    out.push_str(first);
    for word in text.split_ascii_whitespace() {
        if column > 0 {
            if column + 1 + word.chars().count() > room {
                new_line(out, indent, &mut column);
            } else {
                out.push(' ');
                column += 1;
            }
        }
        for c in word.chars() {
            if column == room {
                new_line(out, indent, &mut column);
            }
            out.push(c);
            column += 1;
        }
    }
    out.push('\n');
}

fn new_line(out: &mut String, indent: usize, column: &mut usize) {
    out.push('\n');
    pad(out, indent);
    *column = 0;
}

/// Adds blanks.
pub(super) fn pad(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(" ", count));
}

/// The text of something without control characters.
pub(crate) fn plain(what: &dyn Display) -> String {
    let harmless = |c: char| if c.is_control() { '?' } else { c };
    what.to_string().chars().map(harmless).collect()
}

/// A time in at most seven characters, up to 136 years: `12s`, `5m 12s`, `3h 12m`, `4d 3h`, `120d`.
pub(super) fn age(seconds: u64) -> String {
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let (whole, unit, part, small) = match (days, hours, minutes) {
        (0, 0, 0) => return format!("{seconds}s"),
        (0, 0, _) => (minutes, 'm', seconds % 60, 's'),
        (0, _, _) => (hours, 'h', minutes % 60, 'm'),
        (1..100, _, _) => (days, 'd', hours % 24, 'h'),
        _ => return format!("{days}d"),
    };
    format!("{whole}{unit} {part}{small}")
}

/// A number, with one decimal if it is small and has one: `0`, `12.5`, `100`.
pub(super) fn decimal(number: Decimal) -> String {
    let tenths = number.thousandths.saturating_add(50) / 100;
    match (tenths / 10, tenths % 10) {
        (whole @ 0..100, tenth @ 1..) => format!("{whole}.{tenth}"),
        (whole, tenth) => (whole + u32::from(tenth >= 5)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_are_full_but_not_too_long() {
        let mut out = String::new();
        wrap(&mut out, "! ", &"word ".repeat(40));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], format!("! {}", ["word"; 15].join(" ")));
        assert_eq!(lines[1], format!("  {}", ["word"; 15].join(" ")));
        assert_eq!(lines.len(), 3);

        let mut out = String::new();
        wrap(&mut out, "- ", &format!("see {} there", "x".repeat(100)));
        assert!(out.lines().all(|line| line.len() <= WIDTH), "{out}");
        assert_eq!(out.matches('x').count(), 100);
    }

    #[test]
    fn times_are_short() {
        let ages = [0, 59, 60, 3599, 3600, 86399, 86400, 8_639_999, 8_640_000];
        let texts = ages.map(age);
        assert_eq!(
            texts,
            [
                "0s", "59s", "1m 0s", "59m 59s", "1h 0m", "23h 59m", "1d 0h", "99d 23h", "100d"
            ]
        );
        assert!(texts.iter().all(|text| text.len() <= 7));
    }

    #[test]
    fn numbers_have_the_decimals_that_matter() {
        assert_eq!(
            [0, 40, 60, 9970, 12_340, 99_960, 123_500, u32::MAX]
                .map(|thousandths| decimal(Decimal::new(thousandths))),
            ["0", "0", "0.1", "10", "12.3", "100", "124", "4294967"]
        );
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(plain(&"a\x1b[2J\r\nb → ü\u{9b}"), "a?[2J??b → ü?");
    }
}
