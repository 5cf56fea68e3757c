//! Reads the options of one section, and reports their problems.

use core::fmt;

use heapless::string::{String, StringView};

use super::problem::{Hint, Report, nearest};
use super::slips::Slip;
use super::table::{KINDS, Kind};
use super::value::{self, Expected};
use crate::limits::COMMAND_MAX;
use crate::types::Duration;
use crate::uci::{Command, Section, Setting, Shown, Unfit};

/// Room for any single value.
pub(crate) type Value = String<COMMAND_MAX>;

/// From this many seconds on, an interval or timeout without a unit is more likely meant as milliseconds.
const SECONDS_MOST: u32 = 100;

/// One option of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Given<T> {
    /// it is not set
    Absent,
    /// it is wrong, and reported already: it must not cause further errors
    Bad,
    /// its value, and its line
    Is(T, u32),
}

impl<T> Given<T> {
    pub(crate) fn or(self, default: T) -> T {
        match self {
            Given::Is(value, _) => value,
            Given::Absent | Given::Bad => default,
        }
    }

    pub(crate) fn map<U>(self, meaning: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Given::Is(value, line) => Given::Is(meaning(value), line),
            Given::Absent => Given::Absent,
            Given::Bad => Given::Bad,
        }
    }

    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self, Given::Absent)
    }

    pub(crate) const fn is_set(&self) -> bool {
        matches!(self, Given::Is(..))
    }

    pub(crate) const fn is_bad(&self) -> bool {
        matches!(self, Given::Bad)
    }
}

/// The options of one section.
pub(crate) struct Options<'a, 'o, 'r> {
    /// the section's type, as in [`KINDS`]
    pub(crate) kind: &'static str,
    pub(crate) section: &'o Section<'a>,
    pub(crate) report: &'o mut Report<'r>,
}

impl<'a> Options<'a, '_, '_> {
    pub(crate) fn error(&mut self, line: u32, message: fmt::Arguments<'_>) {
        self.report.error(line, message);
    }

    /// Reports that something is missing, unless a damaged line may have contained it.
    pub(crate) fn missing(&mut self, what: &str) {
        if !self.section.damaged {
            let Section { name, line, .. } = *self.section;
            let kind = self.kind;
            match name {
                Some(name) => self.error(line, format_args!("{kind} {name} {what}")),
                None => self.error(line, format_args!("the {kind} {what}")),
            }
        }
    }

    /// The line of an option, or the section's if it is not set.
    pub(crate) fn line(&self, name: &str) -> u32 {
        self.section.line_of(name)
    }

    /// Reports options that sections of this kind do not have, and values that are wrong for any option.
    pub(crate) fn refuse_unknown(&mut self, kind: &Kind) {
        for statement in self.section.statements() {
            let (Command::Option { name, value } | Command::List { name, value }) =
                statement.command
            else {
                continue;
            };
            if let Some(known) = kind.find(&|known| name.is(known)) {
                if let Some(slip) = Slip::of(known, value) {
                    slip.report(known, value, statement.line, self.report);
                }
                continue;
            }
            let elsewhere = KINDS
                .iter()
                .find(|other| other.find(&|known| name.is(known)).is_some());
            let text: Value = name.text().unwrap_or_default();
            let near = nearest(&text, &mut kind.names());
            let (line, kind) = (statement.line, kind.name);
            match (near, elsewhere) {
                (None, Some(other)) => self.error(
                    line,
                    format_args!(
                        "option {name} belongs in a section of type {}, not {kind}",
                        other.name
                    ),
                ),
                _ => self.error(
                    line,
                    format_args!("unknown option {name} of {kind}{}", Hint(near)),
                ),
            }
        }
    }

    /// The text of an option that has one value.
    pub(crate) fn single(&mut self, name: &str, text: &mut Value) -> Given<()> {
        let Some(setting) = self.section.get(name) else {
            return Given::Absent;
        };
        let Setting { value, line, .. } = setting;
        if setting.is_list {
            self.error(
                line,
                format_args!("{name} is a list: expected one value, as option {name} {value}"),
            );
            return Given::Bad;
        }
        if let Some(earlier) = setting.replaces {
            self.report.warning(
                line,
                format_args!("{name} {value} replaces the value in line {earlier}"),
            );
        }
        if Slip::of(name, value).is_some() {
            return Given::Bad; // reported already
        }
        const { assert!(COMMAND_MAX == 160) };
        let what = match value.text() {
            Ok(read) => {
                *text = read;
                return Given::Is((), line);
            }
            Err(Unfit::TooLong) => "longer than 160 bytes",
            Err(Unfit::NotUtf8) => "not UTF-8",
        };
        self.error(line, format_args!("{name} {value}: {what}"));
        Given::Bad
    }

    /// Sets the value of an option that is given and valid.
    pub(crate) fn set<T>(
        &mut self,
        name: &str,
        place: &mut T,
        parse: impl Fn(&str) -> Expected<T>,
    ) -> Given<()> {
        self.understand(name, &mut |text| {
            *place = parse(text)?;
            Ok(())
        })
    }

    /// Sets an option to its text, which has room there if it is valid.
    pub(crate) fn set_text(
        &mut self,
        name: &str,
        place: &mut StringView,
        judge: fn(&str) -> Expected<()>,
    ) -> Given<()> {
        self.understand(name, &mut |text| {
            judge(text)?;
            place.clear();
            let _ = place.push_str(text);
            Ok(())
        })
    }

    /// The part that all types of values share, compiled once.
    fn understand(&mut self, name: &str, take: &mut dyn FnMut(&str) -> Expected<()>) -> Given<()> {
        let mut text = Value::new();
        let given = self.single(name, &mut text);
        if let Given::Is((), line) = given
            && let Err(expected) = take(&text)
        {
            self.refuse(name, &text, line, expected);
            return Given::Bad;
        }
        given
    }

    pub(crate) fn refuse(&mut self, name: &str, value: &str, line: u32, expected: &str) {
        self.error(line, format_args!("{name} {}: {expected}", Shown(value)));
    }

    pub(crate) fn boolean(&mut self, name: &str, place: &mut bool) -> Given<()> {
        self.set(name, place, value::boolean)
    }

    /// A whole number in a range.
    pub(crate) fn number(
        &mut self,
        name: &str,
        least: u32,
        most: u32,
        place: &mut u32,
    ) -> Given<()> {
        let mut text = Value::new();
        let given = self.single(name, &mut text);
        let Given::Is((), line) = given else {
            return given;
        };
        match value::number(&text).filter(|number| (least..=most).contains(number)) {
            Some(number) => *place = number,
            None => {
                let text = Shown(&text);
                self.error(
                    line,
                    format_args!("{name} {text}: expected a whole number from {least} to {most}"),
                );
                return Given::Bad;
            }
        }
        given
    }

    /// A duration in a range; `bounds` is its text.
    pub(crate) fn duration(
        &mut self,
        name: &str,
        least: Duration,
        most: Duration,
        bounds: &'static str,
        place: &mut Duration,
    ) -> Given<()> {
        let given = self.set(name, place, |text| {
            let duration = value::duration(text)?;
            if (least..=most).contains(&duration) {
                Ok(duration)
            } else {
                Err(bounds)
            }
        });
        self.doubt_unit(name, SECONDS_MOST);
        given
    }

    /// Warns of a duration without a unit that is more likely meant as milliseconds.
    pub(crate) fn doubt_unit(&mut self, name: &str, from: u32) {
        let Some(setting) = self.section.get(name) else {
            return;
        };
        let text: Value = setting.value.text().unwrap_or_default();
        if value::number(&text).is_some_and(|seconds| seconds >= from) {
            self.report.warning(
                setting.line,
                format_args!(
                    "{name} '{text}' is {text} seconds: write '{text}ms' if it is milliseconds, else '{text}s'"
                ),
            );
        }
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &str,
        words: &[(&str, T)],
        place: &mut T,
    ) -> Given<()> {
        let mut chosen = words.len();
        let given = self.choose(
            name,
            &|at| words.get(at).map(|(word, _)| *word),
            &mut chosen,
        );
        if let Some((_, meaning)) = words.get(chosen) {
            *place = *meaning;
        }
        given
    }

    /// The place of a word in a list.
    pub(crate) fn choose<'w>(
        &mut self,
        name: &str,
        word: &dyn Fn(usize) -> Option<&'w str>,
        chosen: &mut usize,
    ) -> Given<()> {
        let mut text = Value::new();
        let given = self.single(name, &mut text);
        let Given::Is((), line) = given else {
            return given;
        };
        let words = || (0..).map_while(word);
        if let Some(place) = words().position(|word| word == text) {
            *chosen = place;
            return given;
        }
        let near = nearest(&text, &mut words());
        let mut expected: String<64> = String::new();
        let last = words().count() - 1;
        for (place, word) in words().enumerate() {
            let separator = match place {
                0 => "",
                _ if place == last => " or ",
                _ => ", ",
            };
            // A message is cut off if it is too long.
            let _ = expected
                .push_str(separator)
                .and_then(|()| expected.push_str(word));
        }
        let (text, near) = (Shown(&text), Hint(near));
        self.error(
            line,
            format_args!("{name} {text}: expected {expected}{near}"),
        );
        Given::Bad
    }

    /// Each word of an option or list: `option check 'a b'` is the same as two lists.
    pub(crate) fn each_word(
        &mut self,
        name: &str,
        take: &mut dyn FnMut(&mut Options<'a, '_, '_>, &str, u32) -> Expected<()>,
    ) -> Given<()> {
        let Some(setting) = self.section.get(name) else {
            return Given::Absent;
        };
        if let Some(earlier) = setting.replaces {
            self.report.warning(
                setting.line,
                format_args!(
                    "{name} {} replaces the value in line {earlier}: use list {name} for several",
                    setting.value
                ),
            );
        }
        let mut bad = false;
        for (word, line) in setting.values() {
            if Slip::of(name, word).is_some() {
                bad = true; // which is reported already
                continue;
            }
            let mut text = Value::new();
            let mut some = false;
            let mut bytes = word.bytes();
            loop {
                let byte = bytes.next();
                match byte {
                    // Names and addresses are ASCII, and shorter: anything else is unknown.
                    Some(byte) if !byte.is_ascii_whitespace() => {
                        let known = if byte.is_ascii() { byte } else { b'?' };
                        let _ = text.push(char::from(known));
                    }
                    _ if !text.is_empty() => {
                        if let Err(expected) = take(self, &text, line) {
                            self.refuse(name, &text, line, expected);
                        }
                        some = true;
                        text.clear();
                    }
                    Some(_) => {}
                    None => break,
                }
            }
            if !some {
                self.error(line, format_args!("{name} is empty"));
            }
        }
        match bad {
            true => Given::Bad,
            false => Given::Is((), setting.line),
        }
    }
}
