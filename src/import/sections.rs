//! UCI text → sections that own what they say, however many there are.

use super::Notes;
use crate::uci::{Command, Word, statements};

/// All `config` statements of one name together, options settled as `uci` does.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) kind: String,
    /// empty when it has none
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) settings: Vec<Setting>,
}

/// One option, or one item of a list.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) line: u32,
}

impl Section {
    /// What an option says, or a list says first.
    pub(super) fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// The value of an option; empty when it is not there.
    pub(super) fn value(&self, name: &str) -> &str {
        self.setting(name).map_or("", |setting| &setting.value)
    }

    /// Every word of an option or list, with its line: a shell splits values at blanks, so mwan3 does.
    pub(super) fn words(&self, name: &str) -> Vec<(&str, u32)> {
        let mut words = Vec::new();
        for item in self.settings.iter().filter(|item| item.name == name) {
            words.extend(item.value.split_whitespace().map(|word| (word, item.line)));
        }
        words
    }

    fn set(&mut self, name: Word<'_>, value: Word<'_>, line: u32, is_list: bool) {
        let (name, value) = (said(name), said(value));
        if !is_list {
            if value.is_empty() {
                return;
            }
            self.settings.retain(|setting| setting.name != name);
        }
        self.settings.push(Setting { name, value, line });
    }
}

/// Reads what can be read, and notes what cannot.
pub(super) fn read(text: &[u8], notes: &mut Notes) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut inside: Option<usize> = None;
    for statement in statements(text) {
        let statement = match statement {
            Ok(statement) => statement,
            Err(error) => {
                notes.add(error.line, &[&error.fault.to_string()]);
                inside = inside.filter(|_| !error.opens_section);
                continue;
            }
        };
        let line = statement.line;
        let section = inside.and_then(|place| sections.get_mut(place));
        match (statement.command, section) {
            (Command::Config { kind, name }, _) => {
                let (kind, name) = (said(kind), name.map(said).unwrap_or_default());
                let same = |section: &Section| !name.is_empty() && section.name == name;
                inside = sections.iter().position(same);
                match inside.and_then(|place| sections.get(place)) {
                    None => {
                        inside = Some(sections.len());
                        sections.push(Section {
                            kind,
                            name,
                            line,
                            settings: Vec::new(),
                        });
                    }
                    Some(first) if first.kind != kind => {
                        let what = ["section '", &name, "' has another type above: ", IGNORED];
                        notes.add(line, &what);
                        inside = None;
                    }
                    Some(_) => {}
                }
            }
            (Command::Option { name, value }, Some(section)) => {
                section.set(name, value, line, false);
            }
            (Command::List { name, value }, Some(section)) => section.set(name, value, line, true),
            _ => {}
        }
    }
    sections
}

/// The sections of a kind.
pub(super) fn of_kind<'a>(sections: &'a [Section], kind: &str) -> Vec<&'a Section> {
    let mut found = Vec::new();
    for section in sections {
        if section.kind == kind {
            found.push(section);
        }
    }
    found
}

/// The section of a kind and name.
pub(super) fn find<'a>(sections: &'a [Section], kind: &str, name: &str) -> Option<&'a Section> {
    let is = |section: &&Section| section.name == name && section.kind == kind;
    sections.iter().find(is).filter(|_| !name.is_empty())
}

/// What becomes of what cannot be read.
pub(super) const IGNORED: &str = "left out";

fn said(word: Word<'_>) -> String {
    let bytes: Vec<u8> = word.bytes().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
