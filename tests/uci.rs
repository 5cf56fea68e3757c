//! The UCI parser, compared with the output of the real `uci`, and with random text.

#![allow(clippy::panic, clippy::unwrap_used)] // a test may

use failover::uci::{self, Command, Error, Index, Section};
use json::Json;
use proptest::prelude::*;

/// The file is read at run time, so that it can be replaced by other vectors of the same format.
#[test]
fn uci_agrees_with_every_vector() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/uci-vectors.jsonl");
    let vectors = std::fs::read_to_string(file).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in vectors.lines().filter(|line| !line.trim().is_empty()) {
        let vector = json::parse(line);
        count += 1;
        if let Err(difference) = compare(&vector) {
            wrong.push(format!("{difference}\n  {line}"));
        }
    }
    assert!(count > 0, "{file} is empty");
    assert!(
        wrong.is_empty(),
        "{} of {count} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// No vector has so many sections.
type Sections<'a> = Index<'a, 1024>;

fn read(text: &[u8]) -> (Sections<'_>, Vec<Error<'_>>) {
    let mut errors = Vec::new();
    let index = Index::read(text, &mut |error| errors.push(*error));
    (index, errors)
}

fn compare(vector: &Json) -> Result<(), String> {
    let text = latin1(vector.get("input").unwrap().text());
    let (index, errors) = read(&text);
    match (vector.get("error"), errors.first()) {
        (Some(expected), Some(error)) => {
            let expected = line_in(expected.text());
            if error.uci_line != expected {
                return Err(format!(
                    "error ({}) in line {}, expected line {expected}",
                    error.fault, error.uci_line
                ));
            }
            Ok(())
        }
        (Some(expected), None) => Err(format!("no error, expected {}", expected.text())),
        (None, Some(error)) => Err(format!("error: {}", error.fault)),
        (None, None) => {
            let expected = vector.get("sections").unwrap();
            let found = Json::List(index.sections().map(section).collect());
            if &found != expected {
                return Err(format!("read as {found:?}"));
            }
            Ok(())
        }
    }
}

/// A section in the format of the vectors: options in the order in which they were first set.
fn section(section: Section<'_>) -> Json {
    let mut names: Vec<String> = Vec::new();
    for statement in section.statements() {
        let (Command::Option { name, .. } | Command::List { name, .. }) = statement.command else {
            panic!("a section has only options and lists");
        };
        let name = unlatin1(name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let options = names.into_iter().map(|name| {
        let setting = section.get(&name).unwrap();
        let mut values: Vec<Json> = setting
            .values()
            .map(|(value, _)| Json::Text(unlatin1(value)))
            .collect();
        let value = if setting.is_list {
            Json::List(values)
        } else {
            assert_eq!(values.len(), 1);
            assert_eq!(values[0], Json::Text(unlatin1(setting.value)));
            values.remove(0)
        };
        Json::List(vec![Json::Text(name), value])
    });
    let name = section
        .name
        .map_or(Json::Null, |name| Json::Text(unlatin1(name)));
    Json::Object(vec![
        ("type".into(), Json::Text(unlatin1(section.kind))),
        ("name".into(), name),
        ("options".into(), Json::List(options.collect())),
    ])
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn unlatin1(word: uci::Word<'_>) -> String {
    word.bytes().map(char::from).collect()
}

/// The number in `… at line 3, byte 7`.
fn line_in(message: &str) -> u32 {
    let (_, rest) = message.rsplit_once("line ").unwrap();
    rest.split(',').next().unwrap().trim().parse().unwrap()
}

#[test]
fn errors_have_the_position_of_the_fault() {
    for (text, line, column, message) in [
        (
            "config a b\n option x 1 2\n",
            2,
            13,
            "'2' is one word too many: put a value with blanks in quotes",
        ),
        (
            "config a b-c\n",
            1,
            10,
            "name 'b-c': expected letters, digits and '_', nothing else",
        ),
        (
            "config 'a b'\n",
            1,
            8,
            "section type 'a b': expected printable ASCII without blanks",
        ),
        (
            "confg a b\n",
            1,
            1,
            "unknown command 'confg': expected config, option or list",
        ),
        (
            "config a b\n\n\toption\n",
            3,
            2,
            "the option's name is missing",
        ),
        (
            "config a b\n option ''\n",
            2,
            8,
            "the option's name is missing",
        ),
        ("\nlist x 1", 2, 1, "option or list before any config line"),
        (
            "config a b\n option x 'a\n\n\n",
            2,
            11,
            "the quote ' is never closed: a value stands between two of them",
        ),
        (
            "config a b\n\nconfig c b\n",
            3,
            1,
            "section 'b' is of type 'a' in line 1 already",
        ),
        (
            "config a b\n\0\n",
            2,
            1,
            "a NUL byte: the file is damaged, or no text",
        ),
    ] {
        let (_, errors) = read(text.as_bytes());
        let [error] = errors[..] else {
            panic!("not one error in {text:?}: {errors:?}")
        };
        assert_eq!(
            (error.line, error.column, error.fault.to_string().as_str()),
            (line, column, message),
            "{text:?}"
        );
    }
}

#[test]
fn reading_continues_after_an_error() {
    let text = b"config a b\n option x 1 2\n option y 3\nconfig c!\x01\n option z 4\nconfig d e\n option w 5\n";
    let (index, errors) = read(text);
    let lines: Vec<u32> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 4]);
    let sections: Vec<_> = index.sections().collect();
    assert_eq!(sections.len(), 2);
    assert!(sections[0].damaged && sections[0].get("y").is_some());
    assert!(sections[0].get("z").is_none(), "its section is lost");
    assert!(!sections[1].damaged && sections[1].get("w").is_some());
}

#[test]
fn the_number_of_sections_is_limited() {
    let text = "config a\n".repeat(3);
    let mut said = Vec::new();
    let index = Index::<2>::read(text.as_bytes(), &mut |error| {
        said.push((error.line, error.fault.to_string()))
    });
    assert_eq!(index.sections().count(), 2);
    assert_eq!(
        said,
        [(3, "too many sections: expected at most 2".to_owned())]
    );
}

#[test]
fn a_setting_knows_what_it_replaces() {
    let text =
        b"config a b\n option x 1\nconfig a c\nconfig a b\n option x 2\n list y 1\n list y 2\n";
    let section = read(text).0.section(0).unwrap();
    let x = section.get("x").unwrap();
    assert_eq!((x.line, x.replaces), (5, Some(2)));
    let y = section.get("y").unwrap();
    assert!(y.is_list && y.replaces.is_none());
    assert_eq!(y.values().map(|(_, line)| line).collect::<Vec<_>>(), [6, 7]);
}

/// Pieces of UCI text, valid and invalid.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"config "[..],
        b"option ",
        b"list ",
        b"c ",
        b"o ",
        b"l ",
        b"package ",
        b"a ",
        b"b ",
        b"x ",
        b"'",
        b"\"",
        b"\\",
        b"\n",
        b"\r\n",
        b";",
        b"#",
        b"\t",
        b"\0",
        b"\xff",
        b"''",
        b"1",
        b" ",
        b"\x0b",
        b"config a b\n",
        b" option x 1\n",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// No panic, it terminates, and positions are valid.
    #[test]
    fn any_text_ends(text in pieces()) {
        let mut statements = 0;
        for statement in uci::statements(&text) {
            statements += 1;
            prop_assert!(statements <= text.len() + 1);
            let line = statement.map_or_else(|error| error.line, |statement| statement.line);
            let lines = text.iter().filter(|&&byte| byte == b'\n').count() + 1;
            prop_assert!((1..=lines).contains(&usize::try_from(line).unwrap()));
        }
        for found in read(&text).0.sections() {
            section(found);
        }
    }
}

/// A JSON parser, sufficient for the vectors.
mod json {
    #[derive(Debug, PartialEq)]
    pub(super) enum Json {
        Null,
        Text(String),
        List(Vec<Json>),
        Object(Vec<(String, Json)>),
    }

    impl Json {
        pub(super) fn get(&self, key: &str) -> Option<&Json> {
            let Json::Object(members) = self else {
                panic!("not an object: {self:?}")
            };
            members
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value)
        }

        pub(super) fn text(&self) -> &str {
            let Json::Text(text) = self else {
                panic!("not a string: {self:?}")
            };
            text
        }
    }

    pub(super) fn parse(text: &str) -> Json {
        let mut rest = text.trim();
        let value = value(&mut rest);
        assert!(rest.trim().is_empty(), "left over: {rest}");
        value
    }

    fn take(rest: &mut &str, what: &str) -> bool {
        let found = rest.trim_start().strip_prefix(what);
        *rest = found.unwrap_or(rest);
        found.is_some()
    }

    fn value(rest: &mut &str) -> Json {
        if take(rest, "null") {
            Json::Null
        } else if take(rest, "\"") {
            Json::Text(string(rest))
        } else if take(rest, "[") {
            let mut items = Vec::new();
            while !take(rest, "]") {
                items.push(value(rest));
                take(rest, ",");
            }
            Json::List(items)
        } else {
            assert!(take(rest, "{"), "no JSON value: {rest}");
            let mut members = Vec::new();
            while !take(rest, "}") {
                assert!(take(rest, "\""), "no name: {rest}");
                let name = string(rest);
                assert!(take(rest, ":"), "no colon: {rest}");
                members.push((name, value(rest)));
                take(rest, ",");
            }
            Json::Object(members)
        }
    }

    /// After the opening quote.
    fn string(rest: &mut &str) -> String {
        let mut found = String::new();
        let mut chars = rest.chars();
        loop {
            match chars.next().expect("an open string") {
                '"' => break,
                '\\' => match chars.next().expect("an open escape") {
                    'n' => found.push('\n'),
                    't' => found.push('\t'),
                    'r' => found.push('\r'),
                    'b' => found.push('\u{8}'),
                    'f' => found.push('\u{c}'),
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).unwrap();
                        found.push(char::from_u32(code).unwrap());
                    }
                    other => found.push(other),
                },
                other => found.push(other),
            }
        }
        *rest = chars.as_str();
        found
    }
}
