//! Sections as a reader of the configuration wants them: statements of the same name merged, options settled.

use heapless::Vec;

use super::{Command, Error, Fault, Statement, Statements, Word};

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

/// Where the sections of a text are, in the order of their first `config`; at most `N`.
#[derive(Clone, Debug)]
pub struct Index<'a, const N: usize> {
    text: &'a [u8],
    places: Vec<Place, N>,
}

/// Where a section is, in bytes.
#[derive(Clone, Debug)]
struct Place {
    /// start of its first `config`
    start: u32,
    /// after the beginning of its last statement
    end: u32,
    line: u32,
    damaged: bool,
}

impl<'a, const N: usize> Index<'a, N> {
    /// Reads the text once. Passes every error to `report`, and continues; stops if there are more than `N` sections.
    pub fn read(text: &'a [u8], report: &mut dyn FnMut(&Error<'a>)) -> Index<'a, N> {
        let mut statements = super::statements(text);
        let mut index = Index {
            text: statements.text(),
            places: Vec::new(),
        };
        let mut inside: Option<usize> = None;
        while let Some(statement) = statements.next() {
            let placed =
                statement.and_then(|statement| index.place(&statement, inside, &statements));
            match &placed {
                Ok(place) => inside = *place,
                Err(error) => {
                    report(error);
                    if matches!(error.fault, Fault::TooManySections(_)) {
                        break;
                    }
                    // The missing options may be inside an unclosed quote.
                    let is_its_own =
                        !error.opens_section || matches!(error.fault, Fault::Unterminated(_));
                    if let Some(place) = inside.filter(|_| is_its_own) {
                        index.places[place].damaged = true;
                    }
                    if error.opens_section {
                        inside = None;
                    }
                }
            }
        }
        index
    }

    /// The section that a statement belongs to.
    fn place(
        &mut self,
        statement: &Statement<'a>,
        inside: Option<usize>,
        statements: &Statements<'a>,
    ) -> Result<Option<usize>, Error<'a>> {
        let start = u32::try_from(statement.offset).unwrap_or(u32::MAX);
        let end = start.saturating_add(1);
        let Command::Config { kind, name } = statement.command else {
            if let Some(place) = inside {
                self.places[place].end = end;
            }
            return Ok(inside);
        };
        let fault = match self.named(name) {
            Some((place, first)) if first.kind.same(kind) => {
                self.places[place].end = end;
                return Ok(Some(place));
            }
            Some((_, first)) => Fault::OtherType {
                kind: first.kind,
                name: name.unwrap_or(first.kind),
                line: first.line,
            },
            None => {
                let place = Place {
                    start,
                    end,
                    line: statement.line,
                    damaged: false,
                };
                match self.places.push(place) {
                    Ok(()) => return Ok(Some(self.places.len() - 1)),
                    Err(_) => Fault::TooManySections(N),
                }
            }
        };
        Err(Error {
            opens_section: true,
            ..statements.error(statement.offset, fault)
        })
    }

    fn named(&self, name: Option<Word<'_>>) -> Option<(usize, Section<'a>)> {
        let name = name?;
        self.sections()
            .enumerate()
            .find(|(_, section)| section.name.is_some_and(|found| found.same(name)))
    }

    /// The sections.
    pub fn sections(&self) -> impl Iterator<Item = Section<'a>> {
        (0..N).map_while(|number| self.section(number))
    }

    /// The section with this name.
    pub(crate) fn with_name(&self, name: &str) -> Option<Section<'a>> {
        self.sections()
            .find(|section| section.name.is_some_and(|found| found.is(name)))
    }

    /// The section with this number, from 0.
    pub fn section(&self, number: usize) -> Option<Section<'a>> {
        let place = self.places.get(number)?;
        let start = usize::try_from(place.start).ok()?;
        // It was parsed at this offset before.
        let first = Statements::at(self.text, start, place.line).next()?.ok()?;
        let Command::Config { kind, name } = first.command else {
            return None;
        };
        Some(Section {
            text: self.text,
            start,
            end: usize::try_from(place.end).ok()?,
            kind,
            name,
            line: place.line,
            damaged: place.damaged,
        })
    }
}

impl<'a> Section<'a> {
    /// Whether a statement belongs to the section; `inside`: the statement before it did.
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

    /// The lines of further `config` statements with its name, which add to it.
    pub(crate) fn additions(&self) -> impl Iterator<Item = u32> + use<'a> {
        let start = self.start;
        let is_config =
            |statement: &Statement<'_>| matches!(statement.command, Command::Config { .. });
        self.statements_from(start, self.line, is_config)
            .filter(move |statement| statement.offset != start)
            .map(|statement| statement.line)
    }

    /// The effective `option` and `list` statements, in order: an `option` with an empty value has no effect, as in
    /// `uci`.
    pub fn statements(&self) -> impl Iterator<Item = Statement<'a>> + use<'a> {
        self.statements_from(self.start, self.line, is_effective)
    }

    /// The statements of the section that count, from one of them on.
    fn statements_from(
        &self,
        start: usize,
        line: u32,
        counts: fn(&Statement<'_>) -> bool,
    ) -> Inside<'a> {
        Inside {
            statements: Statements::at(self.text, start, line),
            section: *self,
            is_inside: true,
            counts,
        }
    }

    /// The line of an option, or the section's if it is not set.
    pub(crate) fn line_of(&self, name: &str) -> u32 {
        self.get(name).map_or(self.line, |setting| setting.line)
    }

    /// The effective setting of this name: the last `option` counts, a `list` after it makes it a list, an `option`
    /// after a list replaces it.
    pub fn get(&self, name: &str) -> Option<Setting<'a>> {
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
                        section: *self,
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

/// Whether it sets something.
fn is_effective(statement: &Statement<'_>) -> bool {
    match statement.command {
        Command::Option { value, .. } => !value.is_empty(),
        Command::List { .. } => true,
        Command::Config { .. } | Command::Package { .. } => false,
    }
}

/// See [`Section::statements_from`].
struct Inside<'a> {
    section: Section<'a>,
    statements: Statements<'a>,
    /// whether the last statement belongs to the section
    is_inside: bool,
    counts: fn(&Statement<'_>) -> bool,
}

impl<'a> Iterator for Inside<'a> {
    type Item = Statement<'a>;

    fn next(&mut self) -> Option<Statement<'a>> {
        loop {
            match self.statements.next()? {
                Ok(statement) if statement.offset >= self.section.end => return None,
                Ok(statement) => {
                    self.is_inside = self.section.holds(&statement, self.is_inside);
                    if self.is_inside && (self.counts)(&statement) {
                        return Some(statement);
                    }
                }
                Err(error) => self.is_inside &= !error.opens_section,
            }
        }
    }
}

impl<'a> Setting<'a> {
    /// Each value with its line: one for an option, all of a list.
    pub fn values(&self) -> impl Iterator<Item = (Word<'a>, u32)> + use<'a> {
        let wanted = self.name;
        self.section
            .statements_from(self.start, self.line, is_effective)
            .filter_map(move |statement| match statement.command {
                Command::Option { name, value } | Command::List { name, value }
                    if name.same(wanted) =>
                {
                    Some((value, statement.line))
                }
                _ => None,
            })
    }
}
