//! UCI text → sections that own their text, however many there are.

use super::Notes;
use crate::option::value;
use crate::uci::{Command, Word, statements};

/// All `config` statements of one name together, options settled as `uci` does.
pub(super) struct Section {
    pub(super) kind: String,
    /// empty when it has none
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) settings: Vec<Setting>,
}

/// One option, or one item of a list.
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) line: u32,
}

impl Section {
    /// An option, or the first item of a list.
    pub(super) fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// The value of an option; empty when it is not there.
    pub(super) fn value(&self, name: &str) -> &str {
        self.setting(name).map_or("", |setting| &setting.value)
    }

    /// Whether an option is there, and true.
    pub(super) fn is_on(&self, name: &str) -> bool {
        value::boolean(self.value(name)) == Ok(true)
    }

    /// Every word of an option or list, with its line: a shell splits values at blanks, so mwan3 does.
    pub(super) fn words(&self, name: &str) -> Vec<(u32, &str)> {
        let mut words = Vec::new();
        for item in self.settings.iter().filter(|item| item.name == name) {
            for word in item.value.split_ascii_whitespace() {
                words.push((item.line, word));
            }
        }
        words
    }
}

/// Reads what can be read, and notes what cannot.
pub(super) fn read(text: &[u8], notes: &Notes) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut inside = None;
    for statement in statements(text) {
        let (line, command) = match statement {
            Ok(statement) => (statement.line, statement.command),
            Err(error) => {
                notes.add(error.line, &error.fault);
                inside = inside.filter(|_| !error.opens_section);
                continue;
            }
        };
        let is_list = matches!(command, Command::List { .. });
        match command {
            Command::Config { kind, name } => {
                let (kind, name) = (text_of(kind), name.map(text_of).unwrap_or_default());
                let same = |section: &Section| !name.is_empty() && section.name == name;
                inside = sections.iter().position(same);
                if inside.is_none() {
                    inside = Some(sections.len());
                    sections.push(Section {
                        kind,
                        name,
                        line,
                        settings: Vec::new(),
                    });
                } else if inside.is_some_and(|place| sections[place].kind != kind) {
                    let what = format_args!("section '{name}' has another type above: left out");
                    notes.add(line, &what);
                    inside = None;
                }
            }
            Command::Option { name, value } | Command::List { name, value } => {
                let (name, value) = (text_of(name), text_of(value));
                let section = inside.and_then(|place: usize| sections.get_mut(place));
                if let Some(Section { settings, .. }) = section
                    && (is_list || !value.is_empty())
                {
                    let is_same = |setting: &Setting| !is_list && setting.name == name;
                    while let Some(place) = settings.iter().position(is_same) {
                        settings.remove(place);
                    }
                    settings.push(Setting { name, value, line });
                }
            }
            Command::Package { .. } => {}
        }
    }
    sections
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
        // It was `ifname` until OpenWrt 19.07.
        let device = match section.value("device") {
            "" => section.value("ifname"),
            device => device,
        };
        if let Some(alias) = device.strip_prefix("@") {
            name = alias;
            continue;
        }
        let plain = ["", "none", "static", "dhcp", "dhcpv6"].contains(&section.value("proto"));
        let shared = plain && !device.is_empty() && section.value("type").is_empty();
        return Some(match shared {
            true => device.to_owned(),
            false => format!("@{name}"),
        });
    }
    None
}

fn text_of(word: Word<'_>) -> String {
    let bytes: Vec<u8> = word.bytes().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
