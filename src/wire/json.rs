//! A streaming JSON parser (RFC 8259): bytes come in pieces of any size, and events go out. Its state has a fixed size:
//! the kinds of the open brackets, and one string or word.
//!
//! Escapes, encoding and the digits of numbers are not checked.

use heapless::Vec;

/// Deepest nesting of brackets.
pub(crate) const DEPTH_MAX: usize = 24;
/// Longest string or word in an event, in bytes.
pub(crate) const TEXT_MAX: usize = 64;

/// The text is no JSON, or is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `{`
    Object,
    /// `[`
    List,
    /// `}` or `]`
    End,
    /// the name of an object's next member
    Key(Text<'a>),
    /// a value
    Value(Value<'a>),
}

/// A value that is neither an object nor a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Value<'a> {
    String(Text<'a>),
    Number(Text<'a>),
    Bool(bool),
    Null,
}

/// A string; none if it is longer than `TEXT_MAX`, has escapes, or is not UTF-8.
pub type Text<'a> = Option<&'a str>;

/// The state of the parser.
#[derive(Clone, Debug)]
pub struct Reader {
    expected: Expected,
    /// for each open bracket: whether it is an object's
    open: Vec<bool, DEPTH_MAX>,
    text: Vec<u8, TEXT_MAX>,
    /// `text` was cut
    unfit: bool,
}

/// What may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    /// only white space
    Nothing,
    /// more of a string
    String {
        key: bool,
    },
    /// the character after a backslash
    Escaped {
        key: bool,
    },
    /// more of a number, or of `true`, `false` or `null`
    Word,
}

impl Reader {
    /// At the beginning of a text.
    pub const fn new() -> Reader {
        Reader {
            expected: Expected::Value,
            open: Vec::new(),
            text: Vec::new(),
            unfit: false,
        }
    }

    /// Parses one more byte.
    ///
    /// # Errors
    /// The bytes so far are not the beginning of a JSON text.
    pub fn feed(&mut self, byte: u8, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        match self.expected {
            Expected::String { key } => return self.string(byte, key, sink),
            Expected::Escaped { key } => {
                self.unfit = true;
                self.expected = Expected::String { key };
                return Ok(());
            }
            Expected::Word if is_word(byte) => {
                self.add(byte);
                return Ok(());
            }
            Expected::Word => {
                sink(Event::Value(self.word()?));
                self.after_value();
            }
            _ => {}
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(());
        }
        self.mark(byte, sink)
    }

    /// Whether the text may end here.
    pub(crate) fn is_done(&self) -> bool {
        self.expected == Expected::Nothing
    }

    /// Parses a byte outside of strings and words, or the first byte of one.
    fn mark(&mut self, byte: u8, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        use Expected::{Colon, CommaOrEnd, Key, KeyOrEnd, Value, ValueOrEnd};
        let in_object = self.open.last() == Some(&true);
        match (self.expected, byte) {
            (Value | ValueOrEnd, b'{') => self.open(true, sink)?,
            (Value | ValueOrEnd, b'[') => self.open(false, sink)?,
            (Value | ValueOrEnd, b'"') => self.begin(Expected::String { key: false }),
            (Key | KeyOrEnd, b'"') => self.begin(Expected::String { key: true }),
            (Colon, b':') => self.expected = Value,
            (CommaOrEnd, b',') => self.expected = if in_object { Key } else { Value },
            (KeyOrEnd, b'}') | (ValueOrEnd, b']') => self.close(sink),
            (CommaOrEnd, b'}') if in_object => self.close(sink),
            (CommaOrEnd, b']') if !in_object => self.close(sink),
            (Value | ValueOrEnd, byte) if is_word(byte) => {
                self.begin(Expected::Word);
                self.add(byte);
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn open(&mut self, object: bool, sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        self.open.push(object).map_err(|_| Malformed)?;
        (self.expected, _) = match object {
            true => (Expected::KeyOrEnd, sink(Event::Object)),
            false => (Expected::ValueOrEnd, sink(Event::List)),
        };
        Ok(())
    }

    fn close(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        self.open.pop();
        self.after_value();
        sink(Event::End);
    }

    fn after_value(&mut self) {
        self.expected = match self.open.is_empty() {
            true => Expected::Nothing,
            false => Expected::CommaOrEnd,
        };
    }

    fn begin(&mut self, expected: Expected) {
        self.expected = expected;
        self.text.clear();
        self.unfit = false;
    }

    fn add(&mut self, byte: u8) {
        self.unfit |= self.text.push(byte).is_err();
    }

    fn string(
        &mut self,
        byte: u8,
        key: bool,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Malformed> {
        match byte {
            b'\\' => self.expected = Expected::Escaped { key },
            b'"' if key => {
                self.expected = Expected::Colon;
                sink(Event::Key(self.text()));
            }
            b'"' => {
                self.after_value();
                sink(Event::Value(Value::String(self.text())));
            }
            _ => self.add(byte),
        }
        Ok(())
    }

    fn text(&self) -> Text<'_> {
        let text = str::from_utf8(&self.text).ok();
        text.filter(|_| !self.unfit)
    }

    fn word(&self) -> Result<Value<'_>, Malformed> {
        Ok(match &*self.text {
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"null" => Value::Null,
            [b'-' | b'0'..=b'9', ..] => Value::Number(self.text()),
            _ => return Err(Malformed),
        })
    }
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

/// Whether a byte may be part of a number, or of `true`, `false` or `null`.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    /// The events of a text, one per line; none if it is no JSON.
    fn events(text: &[u8]) -> Option<String> {
        let (mut reader, mut events) = (Reader::new(), String::new());
        for byte in text {
            reader
                .feed(*byte, &mut |event| events += &line(event))
                .ok()?;
        }
        reader.is_done().then_some(events)
    }

    /// Not by `Debug`, whose output is empty in builds for boards.
    fn line(event: Event<'_>) -> String {
        let known = |text: Text<'_>| String::from(text.unwrap_or("(unfit)"));
        let event = match event {
            Event::Object => String::from("{"),
            Event::List => String::from("["),
            Event::End => String::from("end"),
            Event::Key(name) => format!("key {}", known(name)),
            Event::Value(Value::String(text)) => format!("string {}", known(text)),
            Event::Value(Value::Number(text)) => format!("number {}", known(text)),
            Event::Value(Value::Bool(value)) => format!("{value}"),
            Event::Value(Value::Null) => String::from("null"),
        };
        event + "\n"
    }

    #[test]
    fn brackets_keys_and_values_come_in_order() {
        let text = br#" {"a" : [true,-1.5e3, "b" ,{}], "c\"":null} "#;
        let expected =
            "{\nkey a\n[\ntrue\nnumber -1.5e3\nstring b\n{\nend\nend\nkey (unfit)\nnull\nend\n";
        assert_eq!(events(text).unwrap(), expected);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "[1",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1 2]",
            "[1}",
            "{\"a\":1]",
            "{1:2}",
            "[tru]",
            "[True]",
            "[,1]",
            "[]]",
            "[] x",
            "[\"a]",
            "[\"a\\\"]",
            "[e1]",
            "[:]",
        ] {
            assert_eq!(events(text.as_bytes()), None, "{text}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(events(nested(DEPTH_MAX).as_bytes()).is_some());
        assert_eq!(events(nested(DEPTH_MAX + 1).as_bytes()), None);
    }

    #[test]
    fn a_string_that_is_too_long_has_no_text() {
        let string = |length: usize| format!("[\"{}\"]", "x".repeat(length));
        assert!(events(string(TEXT_MAX).as_bytes()).unwrap().contains("xx"));
        assert!(
            !events(string(TEXT_MAX + 1).as_bytes())
                .unwrap()
                .contains("xx")
        );
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_json_is_read(json in any_json(), pretty: bool) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&json).unwrap(),
                false => serde_json::to_string(&json).unwrap(),
            };
            // A word ends at the byte after it.
            prop_assert!(events(format!("{text}\n").as_bytes()).is_some(), "{text}");
            if json.is_object() || json.is_array() {
                prop_assert!((1..text.len()).all(|end| !text.is_char_boundary(end)
                    || events(&text.as_bytes()[..end]).is_none()));
            }
        }

        #[test]
        fn no_text_panics(text: std::vec::Vec<u8>) {
            let _ = events(&text);
        }
    }
}
