//! `import-mwan3`: a configuration of mwan3 → one of ours, and what is lost on the way. Texts in, texts out.
//!
//! | module | job |
//! |---|---|
//! | `sections` | UCI text → sections; netifd's say the device of an interface |
//! | `options` | the tables of mwan3's options: those that become ours, and those that have no counterpart |
//! | `uplinks` | interfaces → uplinks with targets: `wan` and `wan6` are one |
//! | `order` | rules, policies and members → the order of preference |
//! | `write` | uplinks → our text |

mod options;
mod order;
mod sections;
#[cfg(test)]
mod tests;
mod uplinks;
mod write;

use sections::{Section, Setting, find};

use std::cell::RefCell;
use std::fmt::{Display, Write as _};
use std::path::Path;

use crate::client::cli::Exit;
use crate::client::{print, text, unreadable};
use crate::limits::FILE_MAX;
use crate::linux::file::config_file::read;
use crate::linux::file::open::directory_and_name;
use crate::linux::terminal;
use crate::uci::Shown;

/// `import-mwan3`: our configuration on stdout, what is not carried over on stderr.
pub fn run(file: &Path) -> Exit {
    let mwan3 = match read(file) {
        Ok(mwan3) => mwan3,
        Err(trouble) => return unreadable(&trouble),
    };
    // netifd's file beside it says which interfaces share a device; without it, their names do.
    let network = read(&directory_and_name(file).0.join("network")).unwrap_or_default();
    let name = text::plain(&file.to_string_lossy());
    let imported = convert(&name, &mwan3, &network);
    let mut notes = String::new();
    for (line, note) in &imported.notes {
        let _ = writeln!(notes, "{name}:{line}: {note}");
    }
    terminal::note(&notes);
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
    let notes = Notes::default();
    if mwan3.len() > FILE_MAX {
        notes.add(1, &"the file is too long: what follows 64 KiB is not read");
    }
    let mwan3 = Mwan3 {
        sections: sections::read(mwan3, &notes),
        // Errors in netifd's file are not reported.
        network: sections::read(network, &Notes::default()),
        notes,
    };
    let mut uplinks = mwan3.uplinks();
    let order = mwan3.order();
    mwan3.sort(&mut uplinks, &order);
    let last_resort = mwan3.last_resort(&order);
    mwan3.note_policies(&order);
    mwan3.note_rules(&order);
    mwan3.note_lost();
    let (text, usable) = mwan3.written(file, uplinks, last_resort);
    Imported {
        text,
        usable,
        notes: mwan3.notes.0.into_inner(),
    }
}

/// What is not carried over, by line: what stands there, and what to do instead.
#[derive(Default)]
struct Notes(RefCell<Vec<(u32, String)>>);

impl Notes {
    fn add(&self, line: u32, what: &dyn Display) {
        let mut notes = self.0.borrow_mut();
        // Those of one line stay in order.
        let place = notes.partition_point(|(at, _)| *at <= line);
        notes.insert(place, (line, what.to_string()));
    }
}

/// The configuration that is converted.
struct Mwan3 {
    sections: Vec<Section>,
    network: Vec<Section>,
    notes: Notes,
}

impl Mwan3 {
    fn of_kind<'a>(&'a self, kind: &'static str) -> impl Iterator<Item = &'a Section> {
        let is = move |section: &&Section| section.kind == kind;
        self.sections.iter().filter(is)
    }

    fn find(&self, kind: &str, name: &str) -> Option<&Section> {
        find(&self.sections, kind, name)
    }

    fn note(&self, section: &Section, what: &dyn Display) {
        let (kind, name) = (&section.kind, &section.name); // of printable ASCII
        let what = format_args!("{kind} '{name}': {what}");
        self.notes.add(section.line, &what);
    }

    /// A note on an option, or the first item of a list; none if the section does not have it.
    fn note_option(&self, section: &Section, option: &str, what: &dyn Display) {
        if let Some(Setting { value, line, .. }) = section.setting(option) {
            self.note_value(section, (*line, option, value), what);
        }
    }

    fn note_value(&self, section: &Section, of: (u32, &str, &str), what: &dyn Display) {
        let (Section { kind, name, .. }, (line, option, value)) = (section, of);
        let value = Shown(value);
        let what = format_args!("{option} {value} of {kind} '{name}': {what}");
        self.notes.add(line, &what);
    }
}
