//! UCI text → statements and sections that borrow from it; errors with line and column.
//!
//! Accepts and interprets the same text as OpenWrt's `uci`, including its peculiarities; the vectors in
//! `tests/data/uci-vectors.jsonl` were printed by `uci`. Two differences: a NUL byte is an error, and after an error
//! reading continues at the next line, so that all errors can be reported.
//!
//! `until_unclosed_quote` finds a forgotten quote, which `uci` would accept.
//!
//! `lex` splits the text into words. [`Word`] is one word, still quoted. [`Section`] gives access to the options of a
//! section.
//!
//! Little is stored: [`Index`] holds where sections begin and end, and their text is parsed again at each access.

use core::fmt;

mod lex;
mod section;
mod word;

pub use section::{Index, Section, Setting};
pub use word::{Bytes, Shown, Unfit, Word};

use lex::{Cursor, Unterminated, newlines};

/// One statement.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// the line in which it begins, from 1
    pub line: u32,
    /// the command
    pub command: Command<'a>,
    offset: usize,
}

/// The command of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Command<'a> {
    /// `package NAME`: has no effect here
    Package {
        /// the package
        name: Word<'a>,
    },
    /// `config TYPE [NAME]`: begins a section, or continues the section with that name
    Config {
        /// its type
        kind: Word<'a>,
        /// its name; none of an anonymous section
        name: Option<Word<'a>>,
    },
    /// `option NAME VALUE`: no effect when the value is empty
    Option {
        /// of the option
        name: Word<'a>,
        /// may be empty
        value: Word<'a>,
    },
    /// `list NAME VALUE`
    List {
        /// of the list
        name: Word<'a>,
        /// may be empty
        value: Word<'a>,
    },
}

/// A syntax error.
#[derive(Clone, Copy, Debug)]
pub struct Error<'a> {
    /// the line of the error, from 1
    pub line: u32,
    /// the text of that line
    pub text: &'a [u8],
    /// the byte in that line, from 1
    pub column: u32,
    /// the line that `uci` would name: the number of lines that it had read completely
    pub uci_line: u32,
    /// what is wrong
    pub fault: Fault<'a>,
    /// the section of the options that follow is unknown
    pub opens_section: bool,
}

/// What is wrong with a statement.
#[derive(Clone, Copy, Debug)]
pub enum Fault<'a> {
    /// a line begins with this
    UnknownCommand(Word<'a>),
    /// a byte order mark
    ByteOrderMark,
    /// this is missing
    Missing(&'static str),
    /// a word too many
    Extra(Word<'a>),
    /// not of letters, digits and `_` only
    BadName(Word<'a>),
    /// a section's type that is not printable ASCII without blanks
    BadType(Word<'a>),
    /// an option or list before any `config`
    NoSection,
    /// a section of this name has another type
    OtherType {
        /// this type
        kind: Word<'a>,
        /// its name
        name: Word<'a>,
        /// where it begins
        line: u32,
    },
    /// more sections than fit
    TooManySections(usize),
    /// a quote that is never closed
    Unterminated(u8),
    /// a `;` at the end of a statement
    Semicolon,
    /// a NUL byte
    Nul,
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, word, after) = match self {
            Fault::UnknownCommand(word) => (
                "unknown command ",
                word,
                ": expected config, option or list",
            ),
            Fault::Extra(word) => (
                "",
                word,
                " is one word too many: put a value with blanks in quotes",
            ),
            Fault::BadName(word) => (
                "name ",
                word,
                ": expected letters, digits and '_', nothing else",
            ),
            Fault::BadType(word) => (
                "section type ",
                word,
                ": expected printable ASCII without blanks",
            ),
            Fault::OtherType { kind, name, line } => {
                return write!(f, "section {name} is of type {kind} in line {line} already");
            }
            Fault::TooManySections(most) => {
                return write!(f, "too many sections: expected at most {most}");
            }
            Fault::Unterminated(quote) => {
                let quote = char::from(*quote);
                return write!(
                    f,
                    "the quote {quote} is never closed: a value stands between two of them"
                );
            }
            Fault::Missing(what) => return write!(f, "{what} is missing"),
            Fault::ByteOrderMark => {
                return f.write_str("a byte order mark: save the file without one");
            }
            Fault::NoSection => return f.write_str("option or list before any config line"),
            Fault::Semicolon => return f.write_str("a line ends without ';': leave it out"),
            Fault::Nul => return f.write_str("a NUL byte: the file is damaged, or no text"),
        };
        write!(f, "{before}{word}{after}")
    }
}

/// Splits the text after the line with a quote that is most likely not closed: the quoted text contains a line that reads
/// as a statement. `uci` accepts this if another quote follows, and then reports other lines. The second part is empty
/// if there is no such quote.
pub(crate) fn until_unclosed_quote(text: &[u8]) -> (&[u8], &[u8]) {
    let mut statements = statements(text);
    while statements.next().is_some() {
        if let Some(opened_at) = statements.cursor.swallowed_by {
            let rest = text.get(opened_at..).unwrap_or_default();
            let line = rest.iter().position(|&byte| byte == b'\n');
            return text.split_at(opened_at + line.map_or(rest.len(), |newline| newline + 1));
        }
    }
    (text, &[])
}

/// The statements of a text, and its errors. Continues at the next line after an error.
pub fn statements(text: &[u8]) -> Statements<'_> {
    let nul_at = text.iter().position(|&byte| byte == 0);
    let text = text.get(..nul_at.unwrap_or(text.len())).unwrap_or_default();
    Statements {
        nul_at,
        ..Statements::at(text, 0, 1)
    }
}

/// See [`statements`].
#[derive(Clone, Debug)]
pub struct Statements<'a> {
    cursor: Cursor<'a>,
    /// an offset, and its line
    counted: (usize, u32),
    has_section: bool,
    nul_at: Option<usize>,
    failure: Option<Failure<'a>>,
}

/// Why a statement cannot be read. It is kept in [`Statements`], and told by [`Failed`]: to pass it on takes a word.
#[derive(Clone, Copy, Debug)]
struct Failure<'a> {
    at: usize,
    fault: Fault<'a>,
    opens_section: bool,
}

/// There is a [`Failure`].
struct Failed;

impl<'a> Statements<'a> {
    /// Starts at the beginning, or at a later statement and its line. The text has no NUL.
    fn at(text: &'a [u8], start: usize, line: u32) -> Statements<'a> {
        let mut cursor = Cursor::new(text, start);
        cursor.skip_space();
        Statements {
            cursor,
            counted: (start, line),
            has_section: start > 0,
            nul_at: None,
            failure: None,
        }
    }

    fn text(&self) -> &'a [u8] {
        self.cursor.text()
    }

    fn line_of(&mut self, offset: usize) -> u32 {
        let (from, line) = self.counted;
        let between = self.text().get(from..offset).unwrap_or_default();
        let line = line.saturating_add(newlines(between));
        self.counted = (offset, line);
        line
    }

    fn error(&self, offset: usize, fault: Fault<'a>) -> Error<'a> {
        let before = self.text().get(..offset).unwrap_or_default();
        let line_start = before.iter().rposition(|&byte| byte == b'\n');
        let line_start = line_start.map_or(0, |newline| newline + 1);
        let column = offset - line_start;
        let rest = self.text().get(line_start..).unwrap_or_default();
        let line_end = rest.iter().position(|&byte| byte == b'\n');
        let (from, line) = match self.counted {
            counted if counted.0 <= offset => counted,
            _ => (0, 1),
        };
        let between = before.get(from..).unwrap_or_default();
        Error {
            line: line.saturating_add(newlines(between)),
            text: rest
                .get(..line_end.unwrap_or(rest.len()))
                .unwrap_or_default(),
            column: u32::try_from(column).map_or(u32::MAX, |column| column.saturating_add(1)),
            uci_line: self.cursor.lines_read(),
            fault,
            opens_section: false,
        }
    }

    fn fail<T>(&mut self, at: usize, fault: Fault<'a>, opens_section: bool) -> Result<T, Failed> {
        self.failure = Some(Failure {
            at,
            fault,
            opens_section,
        });
        Err(Failed)
    }

    /// The next statement of the line; none at its end.
    fn statement(&mut self) -> Result<Option<Statement<'a>>, Failed> {
        let (word, more) = self.cursor.command();
        let offset = word.offset();
        let command = match word.raw() {
            [] | [b'#', ..] => {
                self.cursor.skip_line();
                return Ok(None);
            }
            raw => match command_of(raw) {
                Some(Kind::Package) => self.package(more),
                Some(Kind::Config) => self.config(more),
                Some(Kind::Option) => self.option(offset, more, false),
                Some(Kind::List) => self.option(offset, more, true),
                None => {
                    // Most likely a misspelt `config`.
                    let opens_section = matches!(raw, [b'c' | b'C' | 0xef, ..]);
                    self.fail(offset, unknown(word.trimmed()), opens_section)
                }
            }?,
        };
        Ok(Some(Statement {
            line: self.line_of(offset),
            command,
            offset,
        }))
    }

    fn package(&mut self, more: bool) -> Result<Command<'a>, Failed> {
        let name = self.required(more, "the package's name")?;
        self.named(name, b"-")?;
        self.end()?;
        Ok(Command::Package { name })
    }

    fn config(&mut self, more: bool) -> Result<Command<'a>, Failed> {
        self.has_section = true;
        let read = self.section(more);
        // Options that follow belong to it, whatever is wrong with it.
        if let Some(failure) = &mut self.failure {
            failure.opens_section = true;
        }
        read
    }

    fn section(&mut self, more: bool) -> Result<Command<'a>, Failed> {
        let kind = self.required(more, "the section's type")?;
        if !kind.bytes().all(|byte| byte.is_ascii_graphic()) {
            return self.fail(kind.offset(), Fault::BadType(kind), true);
        }
        let name = self.argument()?;
        self.named(name, b"")?;
        self.end()?;
        let name = Some(name).filter(|name| !name.is_empty());
        Ok(Command::Config { kind, name })
    }

    fn option(&mut self, offset: usize, more: bool, is_list: bool) -> Result<Command<'a>, Failed> {
        if !self.has_section {
            return self.fail(offset, Fault::NoSection, false);
        }
        let name = self.required(more, "the option's name")?;
        self.named(name, b"")?;
        let value = self.argument()?;
        self.end()?;
        Ok(match is_list {
            true => Command::List { name, value },
            false => Command::Option { name, value },
        })
    }

    fn argument(&mut self) -> Result<Word<'a>, Failed> {
        match self.cursor.argument() {
            Ok(word) => Ok(word),
            // All that follows was swallowed.
            Err(Unterminated { quote, at }) => self.fail(at, Fault::Unterminated(quote), true),
        }
    }

    fn required(&mut self, more: bool, what: &'static str) -> Result<Word<'a>, Failed> {
        let at = self.cursor.at;
        if more {
            let word = self.argument()?;
            if !word.is_empty() {
                return Ok(word);
            }
        }
        self.fail(at, Fault::Missing(what), false)
    }

    /// Names are letters, digits, `_`, and what `also` has. Those that are not required may be empty.
    fn named(&mut self, name: Word<'a>, also: &[u8]) -> Result<(), Failed> {
        let fit = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || also.contains(&byte));
        match fit {
            true => Ok(()),
            false => self.fail(name.offset(), Fault::BadName(name), false),
        }
    }

    /// Nothing may follow.
    fn end(&mut self) -> Result<(), Failed> {
        let extra = self.argument()?;
        match extra.is_empty() {
            true => Ok(()),
            false => self.fail(extra.offset(), Fault::Extra(extra), false),
        }
    }
}

/// The commands, whose first letter is enough.
#[derive(Clone, Copy)]
enum Kind {
    Package,
    Config,
    Option,
    List,
}

const COMMANDS: [(&str, Kind); 4] = [
    ("package", Kind::Package),
    ("config", Kind::Config),
    ("option", Kind::Option),
    ("list", Kind::List),
];

fn command_of(word: &[u8]) -> Option<Kind> {
    let mut commands = COMMANDS.iter();
    let found = commands.find(|(name, _)| {
        word == name.as_bytes() || word.len() == 1 && name.as_bytes().starts_with(word)
    });
    found.map(|(_, kind)| *kind)
}

/// What is wrong with a line that begins with this. `uci` takes a newline as part of the word, and so does not recognise it.
fn unknown(word: Word<'_>) -> Fault<'_> {
    match command_of(word.raw()) {
        Some(Kind::Package) => Fault::Missing("the package's name"),
        Some(Kind::Config) => Fault::Missing("the section's type"),
        Some(Kind::Option | Kind::List) => Fault::Missing("the option's name"),
        None => match word.raw() {
            // The rest of a line whose last `;` was taken for an argument.
            [] => Fault::Semicolon,
            [0xef, 0xbb, 0xbf, ..] => Fault::ByteOrderMark,
            _ => Fault::UnknownCommand(word),
        },
    }
}

impl<'a> Iterator for Statements<'a> {
    type Item = Result<Statement<'a>, Error<'a>>;

    fn next(&mut self) -> Option<Result<Statement<'a>, Error<'a>>> {
        loop {
            if self.cursor.at_end_of_line() {
                if !self.cursor.read_line() {
                    let offset = self.nul_at.take()?;
                    return Some(Err(self.error(offset, Fault::Nul)));
                }
                self.cursor.skip_space();
            }
            match self.statement() {
                Ok(None) => {}
                Ok(Some(statement)) => return Some(Ok(statement)),
                Err(Failed) => {
                    let Failure {
                        at,
                        fault,
                        opens_section,
                    } = self.failure.take()?;
                    let error = Error {
                        opens_section,
                        ..self.error(at, fault)
                    };
                    self.has_section |= opens_section;
                    // So that lines are not counted from the beginning for each of many errors.
                    let _ = self.line_of(self.cursor.at);
                    self.cursor.skip_line();
                    return Some(Err(error));
                }
            }
        }
    }
}
