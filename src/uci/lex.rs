//! Splits UCI text into words as `uci` does.
//!
//! `uci` reads one line at a time, and further lines if a quote or a backslash continues them. What ends a line early (a
//! comment, a `;` that touches a bare word) ends all that was read. So the cursor tracks how far it has read.

use super::word::Word;

/// An offset in the text, and the end of the lines read so far.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    /// just after a newline, or the end of the text
    read: usize,
    /// newlines read since the cursor began
    lines: u32,
    /// start of a quote that contains a line which reads as a statement
    pub(super) swallowed_by: Option<usize>,
}

/// A quote that is never closed: its offset.
pub(super) struct Unterminated {
    pub(super) quote: u8,
    pub(super) at: usize,
}

/// C's `isspace`.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

impl<'a> Cursor<'a> {
    /// Begins at an offset inside a line: the rest of that line is read.
    pub(super) fn new(text: &'a [u8], at: usize) -> Cursor<'a> {
        let (read, lines) = (at, 0);
        let mut cursor = Cursor {
            text,
            at,
            read,
            lines,
            swallowed_by: None,
        };
        cursor.read_line();
        cursor
    }

    pub(super) const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Complete lines read since the cursor began. If it began at the start of the text, this is the number in the
    /// messages of `uci`.
    pub(super) const fn lines_read(&self) -> u32 {
        self.lines
    }

    /// Reads one more line; `false` at the end of the text.
    pub(super) fn read_line(&mut self) -> bool {
        let rest = self.text.get(self.read..).unwrap_or_default();
        self.read += match rest.iter().position(|&byte| byte == b'\n') {
            Some(newline) => {
                self.lines = self.lines.saturating_add(1);
                newline + 1
            }
            None => rest.len(),
        };
        !rest.is_empty()
    }

    pub(super) fn skip_line(&mut self) {
        self.at = self.read;
    }

    /// The next byte of the lines read.
    fn peek(&self) -> Option<u8> {
        if self.at < self.read {
            self.text.get(self.at).copied()
        } else {
            None
        }
    }

    pub(super) fn at_end_of_line(&self) -> bool {
        self.at >= self.read
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// The command: all bytes up to a blank or tab, including quotes and newlines; empty at the end of the line. The
    /// second value says whether arguments can follow.
    pub(super) fn command(&mut self) -> (Word<'a>, bool) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let start = self.at;
        let rest = self.text.get(start..self.read).unwrap_or_default();
        let blank = rest.iter().position(|byte| matches!(byte, b' ' | b'\t'));
        self.at += blank.unwrap_or(rest.len());
        (Word::new(self.text, start, self.at), blank.is_some())
    }

    /// The next argument; empty if there is none. A `;` in its place counts as an empty argument, and is consumed.
    pub(super) fn argument(&mut self) -> Result<Word<'a>, Unterminated> {
        self.skip_space();
        let start = self.at;
        if self.peek() == Some(b';') {
            self.at += 1;
            return Ok(Word::new(self.text, start, start));
        }
        let end = self.word()?;
        Ok(Word::new(self.text, start, end))
    }

    /// Goes behind a word, and says where it ends.
    fn word(&mut self) -> Result<usize, Unterminated> {
        let mut bare = true;
        loop {
            match self.peek() {
                None => return Ok(self.at),
                Some(b'#') => {
                    let end = self.at;
                    self.skip_line();
                    return Ok(end);
                }
                Some(b';') => {
                    let end = self.at;
                    // `uci` ends a word by a NUL in place; behind a bare word that is where the `;` was, and the
                    // rest of the line is lost. Behind quotes or escapes there is room, and the `;` stays.
                    if bare {
                        self.skip_line();
                    }
                    return Ok(end);
                }
                Some(quote @ (b'\'' | b'"')) => {
                    bare = false;
                    self.quoted(quote)?;
                }
                Some(b'\\') => {
                    bare = false;
                    self.escape();
                }
                Some(_) => self.at += 1,
            }
            if self.peek().is_some_and(is_space) {
                self.at += 1;
                return Ok(self.at - 1);
            }
        }
    }

    /// Goes behind a quoted piece.
    fn quoted(&mut self, quote: u8) -> Result<(), Unterminated> {
        let opened_at = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None if self.read_line() => {
                    if reads_as_statement(self.text.get(self.at..).unwrap_or_default()) {
                        self.swallowed_by.get_or_insert(opened_at);
                    }
                }
                None => {
                    return Err(Unterminated {
                        quote,
                        at: opened_at,
                    });
                }
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') if quote == b'"' => self.escape(),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Goes behind a backslash and what it escapes; at the end of a line it joins the next one.
    fn escape(&mut self) {
        self.at += 1;
        let rest = self.text.get(self.at..self.read).unwrap_or_default();
        if matches!(rest, [] | [b'\n'] | [b'\r', b'\n']) {
            self.skip_line();
            self.read_line();
        } else {
            self.at += 1;
        }
    }
}

/// Whether a line begins with a whole command and a blank.
fn reads_as_statement(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    ["config", "option", "list"].iter().any(|command| {
        let rest = line.strip_prefix(command.as_bytes());
        rest.is_some_and(|rest| matches!(rest, [b' ' | b'\t', ..]))
    })
}

/// How many newlines there are.
pub(super) fn newlines(text: &[u8]) -> u32 {
    text.iter().fold(0u32, |count, &byte| {
        count.saturating_add((byte == b'\n').into())
    })
}
