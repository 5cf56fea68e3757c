//! The copy of the last good configuration, of `run --last-good`: written once a configuration is in force, and run where the
//! file is bad at the start.

use std::path::PathBuf;

use super::context::Context;
use crate::linux::file::{config_file, durable};
use crate::text::text;
use crate::wire::control::Text;

/// Only for its owner, whatever the file's mode: the commands of `exec` checks may hold secrets.
const MODE: u16 = 0o600;

/// The copy.
pub(super) struct LastGood {
    /// Where it is; none without the option.
    file: Option<PathBuf>,
    /// What it is to hold, until that is written.
    due: Option<Vec<u8>>,
    /// Why it could not be written.
    pub(super) problem: Option<Text>,
}

impl LastGood {
    pub(super) fn new(file: Option<PathBuf>) -> LastGood {
        LastGood {
            file,
            due: None,
            problem: None,
        }
    }

    /// Takes the text of the file that comes into force. What the copy holds already is not written: flash memory wears out.
    pub(super) fn keep(&mut self, config: Vec<u8>) {
        let Some(file) = &self.file else { return };
        let is_kept = config_file::read(file).is_ok_and(|kept| kept == config);
        self.due = (!is_kept).then_some(config);
        self.problem = None;
    }

    /// Writes it, if that is due. The loop does so when the routes are set: a flash memory may be slow.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) {
        let (Some(file), Some(config)) = (&self.file, self.due.take()) else {
            return;
        };
        let written = durable::write(file, &config, MODE);
        self.problem = written.err().map(|error| text(format_args!("{error}")));
        cx.warnings_due |= self.problem.is_some();
    }
}
