//! A word of UCI text: a run of bare, `'…'` and `"…"` pieces, borrowed from the text and unquoted byte by byte.

use core::fmt;
use core::iter::from_fn;

use heapless::{String, Vec};

/// One word, borrowed from the text with its quotes and backslashes.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    raw: &'a [u8],
    offset: usize,
}

/// Why a word cannot be a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// it is longer than the string's capacity
    TooLong,
    /// it is not UTF-8
    NotUtf8,
}

impl<'a> Word<'a> {
    /// `text[start..end]` must be one whole word as returned by the lexer.
    pub(super) fn new(text: &'a [u8], start: usize, end: usize) -> Word<'a> {
        Word {
            raw: text.get(start..end).unwrap_or_default(),
            offset: start,
        }
    }

    /// With its quotes and backslashes.
    pub(crate) const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Its offset in the text.
    pub(super) const fn offset(self) -> usize {
        self.offset
    }

    /// Its bytes without quotes and escapes.
    pub const fn bytes(self) -> Bytes<'a> {
        Bytes {
            raw: self.raw,
            quote: None,
        }
    }

    /// Without trailing white space.
    pub(super) fn trimmed(self) -> Word<'a> {
        Word {
            raw: self.raw.trim_ascii_end(),
            ..self
        }
    }

    /// Whether it is empty without its quotes.
    pub fn is_empty(self) -> bool {
        self.bytes().next().is_none()
    }

    /// Whether it equals this, without quotes and escapes.
    pub fn is(self, what: &str) -> bool {
        self.bytes().eq(what.bytes())
    }

    /// Whether both are equal without quotes and escapes.
    pub fn same(self, other: Word<'_>) -> bool {
        self.bytes().eq(other.bytes())
    }

    /// As a string, without quotes and escapes.
    pub fn text<const N: usize>(self) -> Result<String<N>, Unfit> {
        let mut bytes: Vec<u8, N> = Vec::new();
        for byte in self.bytes() {
            bytes.push(byte).map_err(|_| Unfit::TooLong)?;
        }
        String::from_utf8(bytes).map_err(|_| Unfit::NotUtf8)
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.bytes();
        show(f, &mut || bytes.next())
    }
}

/// Text of any origin, fit for a message: see its `Display`.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.bytes();
        show(f, &mut || bytes.next())
    }
}

/// Most bytes of a word that a message shows.
const SHOWN_MAX: usize = 40;

/// Writes in single quotes, cut if long, without control characters. The bytes come by a closure: a `dyn Iterator` brings
/// methods with it that are not used.
fn show(f: &mut fmt::Formatter<'_>, next: &mut dyn FnMut() -> Option<u8>) -> fmt::Result {
    f.write_str("'")?;
    for (index, byte) in from_fn(next).enumerate() {
        if index == SHOWN_MAX {
            f.write_str("...")?;
            break;
        }
        let printable = byte == b' ' || byte.is_ascii_graphic();
        fmt::Write::write_char(f, if printable { char::from(byte) } else { '?' })?;
    }
    f.write_str("'")
}

/// The bytes of a [`Word`], unquoted.
#[derive(Clone, Debug)]
pub struct Bytes<'a> {
    raw: &'a [u8],
    quote: Option<u8>,
}

impl Iterator for Bytes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            let (&byte, rest) = self.raw.split_first()?;
            self.raw = rest;
            match (self.quote, byte) {
                (None, b'\'' | b'"') => self.quote = Some(byte),
                (Some(quote), _) if quote == byte => self.quote = None,
                (None | Some(b'"'), b'\\') => {
                    // A backslash at the end of a line joins it with the next.
                    if let [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] = self.raw {
                        self.raw = rest;
                    } else {
                        let (&escaped, rest) = self.raw.split_first()?;
                        self.raw = rest;
                        return Some(escaped);
                    }
                }
                _ => return Some(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(raw: &[u8]) -> Word<'_> {
        Word::new(raw, 0, raw.len())
    }

    #[test]
    fn quotes_and_escapes_are_taken_off() {
        for (raw, said) in [
            ("plain", "plain"),
            ("'a b'\"c d\"e", "a bc de"),
            ("'it'\\''s'", "it's"),
            (r#""a\"b\nc\\d""#, r#"a"bnc\d"#),
            (r"'a\nb'", r"a\nb"),
            ("foo\\\nbar", "foobar"),
            ("\"foo\\\r\nbar\"", "foobar"),
            ("'l1\nl2'", "l1\nl2"),
            ("end\\", "end"),
            ("''\"\"", ""),
        ] {
            let word = word(raw.as_bytes());
            assert_eq!(word.text::<32>().unwrap(), said, "{raw}");
            assert!(word.is(said));
            assert_eq!(word.is_empty(), said.is_empty());
        }
    }

    #[test]
    fn a_word_that_does_not_fit_is_an_error() {
        assert_eq!(word(b"'12345'").text::<4>(), Err(Unfit::TooLong));
        assert_eq!(word(b"\xe9").text::<4>(), Err(Unfit::NotUtf8));
    }

    #[test]
    fn a_message_shows_no_control_bytes_and_cuts_long_words() {
        assert_eq!(word(b"'a\x1b[2Jb\xe9'").to_string(), "'a?[2Jb?'");
        let long = "x".repeat(50);
        assert_eq!(Shown(&long).to_string(), format!("'{}...'", "x".repeat(40)));
    }
}
