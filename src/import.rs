//! `import-mwan3`: a configuration of mwan3 → one of ours, and what is lost on the way. Texts in, texts out.
//!
//! | module | job |
//! |---|---|
//! | `sections` | UCI text → sections |
//! | `interface` | `config interface` → targets, timing and thresholds |
//! | `network` | the device of an interface |
//! | `uplinks` | interfaces → uplinks: `wan` and `wan6` are one |
//! | `rules` | which policy counts for all traffic |
//! | `order` | policies and members → the order of preference |
//! | `lost` | the options that have no counterpart |
//! | `write` | uplinks → our text |

mod interface;
mod lost;
mod network;
mod order;
mod rules;
mod sections;
#[cfg(test)]
mod tests;
mod uplinks;
mod write;

use order::Order;
use rules::Defaults;
use sections::{Section, Setting};

use std::io::{self, Write};
use std::path::Path;

use crate::client::cli::Exit;
use crate::client::{print, text, unreadable};
use crate::limits::FILE_MAX;
use crate::linux::file::config_file::read;
use crate::uci::Shown;

/// `import-mwan3`: our configuration on stdout, what is not carried over on stderr.
pub fn run(file: &Path) -> Exit {
    let mwan3 = match read(file) {
        Ok(mwan3) => mwan3,
        Err(trouble) => return unreadable(&trouble),
    };
    // Beside it, netifd's tells what has the same device; without it, names do.
    let network = read(&file.with_file_name("network")).unwrap_or_default();
    let name = text::plain(&file.to_string_lossy());
    let imported = convert(&name, &mwan3, &network);
    let mut notes = String::new();
    for (line, note) in &imported.notes {
        notes.push_str(&format!("{name}:{line}: {note}\n"));
    }
    let _ = io::stderr().write_all(notes.as_bytes());
    match print(&imported.text) {
        Exit::Ok if !imported.usable => Exit::BadConfig,
        exit => exit,
    }
}

/// What came of it.
pub struct Imported {
    /// a configuration that ours accepts
    pub text: String,
    /// whether it does anything
    pub usable: bool,
    /// what is not carried over, by the lines of mwan3's configuration
    pub notes: Vec<(u32, String)>,
}

/// Converts the text of mwan3's configuration, which `file` names, with the help of netifd's; that may be empty.
pub fn convert(file: &str, mwan3: &[u8], network: &[u8]) -> Imported {
    let mut notes = Notes(Vec::new());
    if mwan3.len() > FILE_MAX {
        notes.add(
            1,
            &["the file is too long: what follows 64 KiB is not read"],
        );
    }
    let sections = sections::read(mwan3, &mut notes);
    // What is wrong there is netifd's to tell.
    let network = sections::read(network, &mut Notes(Vec::new()));
    let mut uplinks = uplinks::join(&sections, &network, &mut notes);
    let defaults = Defaults::find(&sections);
    let order = Order::find(&sections, &defaults, &mut notes);
    order.apply(&mut uplinks, &mut notes);
    let last_resort = order.last_resort(&mut notes);
    order.note_rest(&mut notes);
    rules::note(&sections, &defaults, &order, &mut notes);
    lost::note(&sections, &mut notes);
    let (text, usable) = write::write(file, &uplinks, last_resort, &mut notes);
    Imported {
        text,
        usable,
        notes: notes.0,
    }
}

/// What is not carried over, by line: what stands there, and what to do instead.
struct Notes(Vec<(u32, String)>);

impl Notes {
    fn add(&mut self, line: u32, parts: &[&str]) {
        // Those of one line stay in order.
        let place = self.0.partition_point(|(at, _)| *at <= line);
        self.0.insert(place, (line, parts.concat()));
    }

    fn section(&mut self, section: &Section, what: &[&str]) {
        let Section {
            kind, name, line, ..
        } = section; // of printable ASCII, as every section's
        self.add(*line, &[kind, " '", name, "': ", &what.concat()]);
    }

    fn setting(&mut self, section: &Section, setting: &Setting, what: &[&str]) {
        self.value(section, &setting.name, &setting.value, setting.line, what);
    }

    fn value(&mut self, section: &Section, name: &str, value: &str, line: u32, what: &[&str]) {
        let value = Shown(value).to_string();
        let (kind, of) = (&section.kind, &section.name);
        let place = [name, " ", &value, " of ", kind, " '", of, "': "];
        self.add(line, &[&place.concat(), &what.concat()]);
    }
}
