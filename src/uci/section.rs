//! Sections as a reader of the configuration wants them: statements of the same name merged, options settled.

use super::{Command, Statement, Statements, Word};

/// A section: all `config` statements of its name together. It borrows the text and is read again when asked.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    text: &'a [u8],
    start: usize,
    end: usize,
    /// its type
    pub kind: Word<'a>,
    /// its name, if it has one
    pub name: Option<Word<'a>>,
    /// where its first `config` stands
    pub line: u32,
    /// a statement in it could not be read, so that something may be missing
    pub damaged: bool,
}

/// What an option or list of a section comes to.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    section: Section<'a>,
    name: Word<'a>,
    start: usize,
    /// its value, or the first of the list
    pub value: Word<'a>,
    /// where the value stands
    pub line: u32,
    /// whether it is a list
    pub is_list: bool,
    /// the line of an earlier value that this one replaces
    pub replaces: Option<u32>,
}

/// The sections of a text, in the order of their first `config`. What cannot be read is passed over: ask
/// [`super::statements`] for errors.
pub fn sections(text: &[u8]) -> Sections<'_> {
    Sections {
        statements: Statements::unchecked(text, 0),
    }
}

/// See [`sections`].
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    statements: Statements<'a>,
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        loop {
            let Ok(statement) = self.statements.next()? else {
                continue;
            };
            let Command::Config { kind, name } = statement.command else {
                continue;
            };
            let text = self.statements.text();
            let again =
                name.is_some_and(|name| first_of_name(text, name, statement.offset).is_some());
            if !again {
                return Some(Section::measure(text, kind, name, &statement));
            }
        }
    }
}

/// The first `config` of this name that stands before another statement: its type and line.
pub(super) fn first_of_name<'a>(
    text: &'a [u8],
    name: Word<'_>,
    before: usize,
) -> Option<(Word<'a>, u32)> {
    Statements::unchecked(text, 0)
        .flatten()
        .take_while(|earlier| earlier.offset < before)
        .find_map(|earlier| match earlier.command {
            Command::Config {
                kind,
                name: Some(other),
            } if other.same(name) => Some((kind, earlier.line)),
            _ => None,
        })
}

impl<'a> Section<'a> {
    /// Finds where the last part of a section ends, and whether all of it can be read.
    fn measure(
        text: &'a [u8],
        kind: Word<'a>,
        name: Option<Word<'a>>,
        first: &Statement<'a>,
    ) -> Section<'a> {
        let mut section = Section {
            text,
            start: first.offset,
            end: text.len(),
            kind,
            name,
            line: first.line,
            damaged: false,
        };
        let mut inside = true;
        let mut end = first.offset;
        for statement in Statements::unchecked(text, first.offset) {
            match statement {
                Ok(statement) => {
                    inside = section.holds(&statement, inside);
                    if inside {
                        end = statement.offset + 1;
                    }
                }
                Err(error) if error.opens_section => inside = false,
                Err(_) => section.damaged |= inside,
            }
            if !inside && section.name.is_none() {
                break;
            }
        }
        section.end = end;
        section
    }

    /// Whether a statement belongs to the section, when the one before it did or did not.
    fn holds(&self, statement: &Statement<'_>, inside: bool) -> bool {
        match statement.command {
            Command::Config { kind, name } => {
                statement.offset == self.start
                    || kind.same(self.kind)
                        && matches!((name, self.name), (Some(a), Some(b)) if a.same(b))
            }
            _ => inside,
        }
    }

    /// The `option` and `list` statements that count, in order: not those with an empty `option` value, which
    /// say nothing (as with `uci`).
    pub fn statements(self) -> impl Iterator<Item = Statement<'a>> {
        self.statements_from(self.start)
    }

    fn statements_from(self, start: usize) -> impl Iterator<Item = Statement<'a>> {
        let mut inside = true;
        Statements::unchecked(self.text, start)
            .take_while(move |statement| match statement {
                Ok(statement) => statement.offset < self.end,
                Err(_) => true,
            })
            .filter_map(move |statement| {
                match &statement {
                    Ok(statement) => inside = self.holds(statement, inside),
                    Err(error) => inside &= !error.opens_section,
                }
                statement.ok().filter(|_| inside)
            })
            .filter(|statement| match statement.command {
                Command::Option { value, .. } => !value.is_empty(),
                Command::List { .. } => true,
                Command::Config { .. } | Command::Package { .. } => false,
            })
    }

    /// What an option of this name comes to: the last `option` counts, a `list` behind it makes it a list, an
    /// `option` behind a list replaces it.
    pub fn get(self, name: &str) -> Option<Setting<'a>> {
        let mut found: Option<Setting<'a>> = None;
        for statement in self.statements() {
            let (option, value, is_list) = match statement.command {
                Command::Option { name, value } => (name, value, false),
                Command::List { name, value } => (name, value, true),
                _ => continue,
            };
            if !option.is(name) {
                continue;
            }
            match &mut found {
                Some(setting) if is_list => setting.is_list = true,
                _ => {
                    found = Some(Setting {
                        section: self,
                        name: option,
                        start: statement.offset,
                        value,
                        line: statement.line,
                        is_list,
                        replaces: found.map(|setting| setting.line),
                    });
                }
            }
        }
        found
    }
}

impl<'a> Setting<'a> {
    /// Each value with its line: one of an option, all of a list.
    pub fn values(self) -> impl Iterator<Item = (Word<'a>, u32)> {
        self.section
            .statements_from(self.start)
            .filter_map(move |statement| match statement.command {
                Command::Option { name, value } | Command::List { name, value }
                    if name.same(self.name) =>
                {
                    Some((value, statement.line))
                }
                _ => None,
            })
    }
}
