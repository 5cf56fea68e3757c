//! The copy of the last good configuration, of `run --last-good`: written once a configuration is in force, and run where the
//! file is bad at the start.

use std::fmt;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::reload::{FileProblems, Problems, or_why};
use super::start::{Failure, load};
use crate::config::Config;
use crate::linux::file::{config_file, durable};

/// Only for its owner, whatever the file's mode: the commands of `exec` checks may hold secrets.
const MODE: u16 = 0o600;

/// The copy.
pub(super) struct LastGood {
    /// Where it is; none without the option.
    file: Option<PathBuf>,
    /// What it is to hold, until that is written.
    due: Option<Vec<u8>>,
    /// Why it could not be written.
    pub(super) problem: Option<String>,
}

impl LastGood {
    pub(super) fn new(file: Option<PathBuf>) -> LastGood {
        LastGood {
            file,
            due: None,
            problem: None,
        }
    }

    /// Reads the file into `config`; if it is bad, the copy. Returns what is to be warned of.
    pub(super) fn begin(
        &mut self,
        file: &Path,
        config: &mut Config,
        report: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<FileProblems, Failure> {
        let mut problems = Problems::default();
        let loaded = load(file, config, &mut |problem| {
            problems.add(problem);
            report(problem);
        });
        let failure = match loaded {
            Ok(good) => {
                self.keep(good.text);
                return Ok(FileProblems {
                    warnings: good.warnings,
                    ..FileProblems::default()
                });
            }
            Err(failure) => failure,
        };
        // Whether a daemon is to run is told by the file, whatever else is wrong with it.
        let is_off = matches!(failure, Failure::Configuration(_)) && !config.globals.enabled;
        let Some(copy) = self.file.as_deref().filter(|_| !is_off) else {
            return Err(failure);
        };
        let (name, file) = (copy.display(), file.display());
        if let Err(why) = load(copy, config, report) {
            report(format_args!("no copy to run instead, {name}: {why}"));
            return Err(failure);
        }
        let of = config_file::changed_at(copy);
        Ok(FileProblems {
            warnings: Vec::new(),
            refused: or_why(problems.told(), format_args!("{failure}")),
            copy: Some(format!(
                "the copy {name}, of {of}, is in force: {file} was refused at the start"
            )),
        })
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
        self.problem = written.err().map(|error| error.to_string());
        cx.warnings_due |= self.problem.is_some();
    }
}
