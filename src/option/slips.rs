//! Likely slips: syntax of other programs, and how it is written here.

use core::iter::from_fn;

use heapless::String;

use super::problem::Report;
use super::table::KINDS;
use crate::uci::{self, Fault, Shown, Word};

/// A problem of a value that does not depend on the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slip {
    /// `option device =eth1`
    Equals,
    /// `option device “eth1”`
    Typographic,
    /// its closing quote is in a later line
    Lines,
    /// `option check 'one,two'`
    Commas,
}

/// Options with a value that may have several lines: a script, or a text of a page.
const MANY_LINES: [&str; 2] = ["command", "expect_body"];
/// Options with several values that never contain a comma.
const MANY_VALUES: [&str; 7] = [
    "interface",
    "address",
    "gateway",
    "network",
    "prefix",
    "dns",
    "check",
];

impl Slip {
    /// The slip in the value of an option, if there is one.
    pub(crate) fn of(option: &str, value: Word<'_>) -> Option<Slip> {
        let has = |byte| value.bytes().any(|other| other == byte);
        match () {
            () if value.raw().starts_with(b"=") => Some(Slip::Equals),
            () if is_typographic(value.raw()) => Some(Slip::Typographic),
            () if has(b'\n') && !MANY_LINES.contains(&option) => Some(Slip::Lines),
            () if has(b',') && MANY_VALUES.contains(&option) => Some(Slip::Commas),
            () => None,
        }
    }

    /// The message, with the correct syntax.
    pub(crate) fn report(self, option: &str, value: Word<'_>, line: u32, report: &mut Report<'_>) {
        let mut bytes = value.bytes();
        let meant = meant(&mut || bytes.next());
        let meant = Shown(&meant);
        let what = match self {
            Slip::Equals => {
                format_args!("{option} {value}: expected no '=': write option {option} {meant}")
            }
            Slip::Typographic => format_args!(
                "{option}: typographic quotes are no quotes here: write option {option} {meant}"
            ),
            Slip::Lines => format_args!(
                "{option} {meant}: the value goes on in the next line: is its quote not closed?"
            ),
            Slip::Commas => format_args!(
                "{option} {value}: expected no commas: write option {option} {meant}, or list {option} for each"
            ),
        };
        report.error(line, what);
    }
}

/// Room for the part of a value that a message shows.
type Meant = String<48>;

/// A value without the wrong characters.
fn meant(next: &mut dyn FnMut() -> Option<u8>) -> Meant {
    let mut meant = Meant::new();
    let bytes = from_fn(next).take_while(|&byte| byte != b'\n');
    for byte in bytes.filter(u8::is_ascii) {
        let fit = match byte {
            b',' | b' ' | b'\t' => b' ',
            b'=' | b'\'' | b'"' if meant.is_empty() => continue,
            other => other,
        };
        if fit == b' ' && (meant.is_empty() || meant.ends_with(" ")) {
            continue;
        }
        // Cut off if it is too long.
        let _ = meant.push(char::from(fit));
    }
    while meant.ends_with([' ', ';', '\'', '"']) {
        meant.pop();
    }
    meant
}

/// Whether a value begins or ends with a typographic quote (U+2018 to U+201F).
fn is_typographic(written: &[u8]) -> bool {
    let is_quote = |bytes: Option<&[u8]>| matches!(bytes, Some([0xe2, 0x80, last]) if (0x98..=0x9f).contains(last));
    let end = written.len().saturating_sub(3);
    is_quote(written.get(..3)) || is_quote(written.get(end..))
}

/// Reports a line that is no UCI, with the correct syntax if it can be guessed.
pub(crate) fn report_line(error: &uci::Error<'_>, report: &mut Report<'_>) {
    let comment = error.text.iter().position(|&byte| byte == b'#');
    let line = error.text.get(..comment.unwrap_or(error.text.len()));
    let line = line.unwrap_or_default();
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    if line.split(blank).any(is_typographic) {
        let fault = "typographic quotes are no quotes here: write straight ones, as in option device 'eth1'";
        report.error(error.line, format_args!("{fault}"));
        return;
    }
    let fault = &error.fault;
    match as_written_here(line, matches!(fault, Fault::UnknownCommand(_))) {
        Some((command, name, value)) => {
            let mut bytes = value.iter().copied();
            let value = meant(&mut || bytes.next());
            let value = Shown(if value.is_empty() { "VALUE" } else { &value });
            let meant = format_args!("write {command} {name} {value}");
            match fault {
                Fault::UnknownCommand(word) => {
                    report.error(error.line, format_args!("unknown command {word}: {meant}"));
                }
                _ => report.error(error.line, format_args!("expected no '=': {meant}")),
            }
        }
        None => report.error(error.line, format_args!("{fault}")),
    }
}

/// Command, name and value of a line without its command, or with a `=`.
fn as_written_here(line: &[u8], is_unknown: bool) -> Option<(&str, &str, &[u8])> {
    let (first, rest) = word(line);
    let has_equals = rest.starts_with(b"=");
    let value = rest.strip_prefix(b":").unwrap_or(rest);
    let is_kind = KINDS.iter().any(|kind| kind.name == first);
    let is_option = KINDS
        .iter()
        .any(|kind| kind.find(&|name| name == first).is_some());
    match first {
        "config" | "option" | "list" => {
            let (name, value) = word(rest);
            value.starts_with(b"=").then_some((first, name, value))
        }
        _ if !is_unknown => None,
        _ if is_kind && !(is_option && has_equals) => Some(("config", first, value)),
        _ if is_option => Some(("option", first, value)),
        _ => None,
    }
}

/// The letters, digits and `_` that a text begins with, and what follows.
fn word(text: &[u8]) -> (&str, &[u8]) {
    let text = text.trim_ascii_start();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = text.iter().position(|byte| !is_part(byte));
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (
        core::str::from_utf8(word).unwrap_or_default(),
        rest.trim_ascii_start(),
    )
}
