//! The problems of a configuration, as reported to the user.

use core::fmt;

use heapless::String;

use crate::limits::MESSAGE_MAX;
use crate::text::fill;

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// whether the configuration can be used nevertheless
    pub severity: Severity,
    /// the line, from 1; the section's line for a missing option, 1 if the file lacks a section
    pub line: u32,
    /// what is wrong, and what is expected
    pub message: String<MESSAGE_MAX>,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// the configuration is refused
    Error,
    /// the configuration is used, but probably not as it was meant
    Warning,
}

impl fmt::Display for Problem {
    /// `12: message`, to be written after a file's name and a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}: {mark}{}", self.line, self.message)
    }
}

/// Reports problems, and counts the errors.
pub(crate) struct Report<'r> {
    sink: &'r mut dyn FnMut(Problem),
    pub(crate) errors: u32,
}

impl<'r> Report<'r> {
    pub(crate) fn new(sink: &'r mut dyn FnMut(Problem)) -> Report<'r> {
        Report { sink, errors: 0 }
    }

    pub(crate) fn error(&mut self, line: u32, message: fmt::Arguments<'_>) {
        self.errors = self.errors.saturating_add(1);
        self.tell(Severity::Error, line, message);
    }

    pub(crate) fn warning(&mut self, line: u32, message: fmt::Arguments<'_>) {
        self.tell(Severity::Warning, line, message);
    }

    fn tell(&mut self, severity: Severity, line: u32, message: fmt::Arguments<'_>) {
        let mut problem = Problem {
            severity,
            line,
            message: String::new(),
        };
        fill(&mut problem.message, message);
        (self.sink)(problem);
    }
}

/// ` (did you mean 'NAME'?)`, or nothing.
pub(crate) struct Hint<'n>(pub(crate) Option<&'n str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, " (did you mean '{name}'?)"),
            None => Ok(()),
        }
    }
}

/// The most similar known name, if there is one. Case does not matter.
pub fn nearest<'n>(name: &str, known: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut best = None;
    for other in known {
        let far = distance(name.as_bytes(), other.as_bytes());
        let longer = name.len().max(other.len());
        let near = far <= (longer / 3).max(1) && far < longer;
        if near && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, other));
        }
    }
    best.map(|(_, other)| other)
}

/// The longest name that is compared.
const COMPARED_MAX: usize = 32;

/// The edit distance of two names: bytes inserted, deleted, changed, or swapped with their neighbour (optimal string
/// alignment).
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > COMPARED_MAX || b.len() > COMPARED_MAX {
        return usize::MAX;
    }
    let mut before = [0; COMPARED_MAX + 1];
    let mut above: [usize; COMPARED_MAX + 1] = core::array::from_fn(|column| column);
    for i in 1..=a.len() {
        let mut row = [i; COMPARED_MAX + 1];
        for j in 1..=b.len() {
            let changed = usize::from(!a[i - 1].eq_ignore_ascii_case(&b[j - 1]));
            let mut least = (above[j - 1] + changed).min(above[j].min(row[j - 1]) + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row[j] = least;
        }
        before = above;
        above = row;
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_near() {
        let known = ["gateway", "down", "up", "interval", "interface"];
        for (typed, meant) in [
            ("gatway", Some("gateway")),
            ("gatewya", Some("gateway")),
            ("dwon", Some("down")),
            ("iterval", Some("interval")),
            ("interfaces", Some("interface")),
            ("GATEWAY", Some("gateway")),
            ("UP", Some("up")),
            ("colour", None),
            ("xy", None),
            ("", None),
        ] {
            let found = nearest(typed, &mut known.into_iter());
            assert_eq!(found, meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(100), &mut known.into_iter()), None);
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut told = None;
        let mut sink = |problem| told = Some(problem);
        Report::new(&mut sink).error(3, format_args!("{:>500}", "ä"));
        let message = told.unwrap().message;
        assert!(message.len() <= MESSAGE_MAX && message.ends_with('…'));
    }
}
