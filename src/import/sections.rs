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
    /// the kind and name of its section
    pub(super) of: String,
}

impl Section {
    /// Every item of a list, or the option.
    pub(super) fn items(&self, name: &str) -> impl Iterator<Item = &Setting> {
        let is = move |setting: &&Setting| setting.name == name;
        self.settings.iter().filter(is)
    }

    /// What an option says, or a list says first.
    pub(super) fn setting(&self, name: &str) -> Option<&Setting> {
        self.items(name).next()
    }

    /// The value of an option; empty when it is not there.
    pub(super) fn value(&self, name: &str) -> &str {
        self.setting(name).map_or("", |setting| &setting.value)
    }

    /// Every word of an option or list: a shell splits values at blanks, so mwan3 does.
    pub(super) fn words<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a Setting, &'a str)> {
        let words = |item: &'a Setting| item.value.split_whitespace().map(move |word| (item, word));
        self.items(name).flat_map(words)
    }
}

/// Reads what can be read, and notes what cannot.
pub(super) fn read(text: &[u8], notes: &Notes) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut inside = None;
    for statement in statements(text) {
        let statement = match statement {
            Ok(statement) => statement,
            Err(error) => {
                notes.add(error.line, &error.fault);
                inside = inside.filter(|_| !error.opens_section);
                continue;
            }
        };
        let line = statement.line;
        let is_list = matches!(statement.command, Command::List { .. });
        match statement.command {
            Command::Config { kind, name } => {
                let name = name.map(said).unwrap_or_default();
                inside = open(&mut sections, said(kind), name, line, notes);
            }
            Command::Option { name, value } | Command::List { name, value } => {
                let (name, value) = (said(name), said(value));
                let section = inside.and_then(|place: usize| sections.get_mut(place));
                if let Some(section) = section
                    && (is_list || !value.is_empty())
                {
                    let of = format!("{} '{}'", section.kind, section.name);
                    let settings = &mut section.settings;
                    settings.retain(|setting| is_list || setting.name != name);
                    settings.push(Setting {
                        name,
                        value,
                        line,
                        of,
                    });
                }
            }
            Command::Package { .. } => {}
        }
    }
    sections
}

/// Where the section of that name is, from now on at least.
fn open(
    sections: &mut Vec<Section>,
    kind: String,
    name: String,
    line: u32,
    notes: &Notes,
) -> Option<usize> {
    let same = |section: &Section| !name.is_empty() && section.name == name;
    let first = sections.iter().position(same);
    match first {
        Some(place) if sections[place].kind == kind => {}
        Some(_) => {
            let what = "has another type above";
            notes.add(line, &format_args!("section '{name}' {what}: {IGNORED}"));
            return None;
        }
        None => sections.push(Section {
            kind,
            name,
            line,
            settings: Vec::new(),
        }),
    }
    first.or(sections.len().checked_sub(1))
}

/// The section of a kind and name.
pub(super) fn find<'a>(sections: &'a [Section], kind: &str, name: &str) -> Option<&'a Section> {
    let is = |section: &&Section| section.name == name && section.kind == kind;
    sections.iter().find(is).filter(|_| !name.is_empty())
}

/// Aliases of aliases are followed so far.
const ALIASES_MAX: usize = 8;

/// netifd's sections → what tells an interface's device from others': the device's name, or `@` and the interface that
/// makes a device of its own. None when the configuration does not say.
pub(super) fn device(interface: &str, network: &[Section]) -> Option<String> {
    let mut name = interface;
    for _ in 0..ALIASES_MAX {
        let Some(section) = find(network, "interface", name) else {
            // netifd makes `wan_6` by itself when `wan` is PPP or a modem.
            name = ["_4", "_6"].iter().find_map(|end| name.strip_suffix(end))?;
            continue;
        };
        let device = match section.value("device") {
            "" => section.value("ifname"), // until OpenWrt 19.07
            device => device,
        };
        if let Some(alias) = device.strip_prefix('@') {
            name = alias;
            continue;
        }
        let plain = ["", "none", "static", "dhcp", "dhcpv6"].contains(&section.value("proto"));
        let shared = plain && section.value("type").is_empty() && !device.is_empty();
        return Some(match shared {
            true => device.to_owned(),
            false => format!("@{name}"),
        });
    }
    None
}

/// What becomes of what cannot be read.
pub(super) const IGNORED: &str = "left out";

fn said(word: Word<'_>) -> String {
    let bytes: Vec<u8> = word.bytes().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
