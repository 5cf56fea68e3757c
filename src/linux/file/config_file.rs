//! The configuration file: finding and reading it.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::clock::now;
use super::super::errno::errno_of;
use super::error::FileError;
use super::open::{directory_and_name, open};
use super::{lines, table_names};
use crate::config::{CONFIG_FILES, Config, load};
use crate::limits::{ERRORS_TOLD_MAX, FILE_MAX};
use crate::option::{Problem, Severity};
use crate::text::{Timestamp, fill};
use crate::types::Duration;

/// Environment variable that names the configuration file if no option does.
pub const CONFIG_VARIABLE: &str = "FAILOVER_CONFIG";

/// Timeout for a configuration that is read from a pipe, in milliseconds.
const PATIENCE_MS: u16 = 1000;
const PATIENCE: Duration = Duration::from_millis(PATIENCE_MS as u64);

/// The configuration file to use: the named one, else the variable's, else the first of [`CONFIG_FILES`] that exists.
/// `None`: none is named, and none exists.
pub fn find_config(named: Option<&Path>, variable: Option<OsString>) -> Option<PathBuf> {
    let variable = variable
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    named.map(Path::to_owned).or(variable).or_else(|| {
        let mut places = CONFIG_FILES.iter().map(Path::new);
        places.find(|place| place.exists()).map(Path::to_owned)
    })
}

/// Where the configuration file is missing: the first of [`CONFIG_FILES`] whose directory exists.
pub fn missing_config() -> &'static Path {
    let [first, second] = CONFIG_FILES.map(Path::new);
    match directory_and_name(first).0.exists() {
        true => first,
        false => second,
    }
}

/// Reads and validates a configuration, and reports its problems in the order of the lines. Returns the number of errors.
/// With errors, `config` holds the valid parts.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn load_config(
    path: &Path,
    config: &mut Config,
    report: &mut dyn FnMut(Problem),
) -> Result<u32, FileError> {
    Ok(load_text(&read(path)?, config, report))
}

/// The same, of the file's text.
pub(crate) fn load_text(text: &[u8], config: &mut Config, report: &mut dyn FnMut(Problem)) -> u32 {
    let mut problems = Vec::new();
    let mut note = |problem: Problem| {
        // Those of one line stay in order. There are few, and std's sort takes room in the program.
        let behind = |other: &Problem| other.line > problem.line;
        let place = problems.iter().position(behind).unwrap_or(problems.len());
        problems.insert(place, problem);
    };
    let loaded = load(text, &table_names::number, config, &mut note);
    tell(problems, report);
    loaded.err().map_or(0, |refused| refused.errors)
}

/// Reports problems; of many errors, only the first ones and the number of the others.
fn tell(problems: Vec<Problem>, report: &mut dyn FnMut(Problem)) {
    let mut errors = 0;
    let mut next = None;
    for problem in problems {
        errors += u32::from(problem.severity == Severity::Error);
        if errors <= ERRORS_TOLD_MAX {
            report(problem);
        } else {
            next.get_or_insert(problem);
        }
    }
    if let Some(mut next) = next {
        let more = errors - ERRORS_TOLD_MAX;
        next.message.clear();
        let rest = format_args!("… and {more} more, from this line on");
        fill(&mut next.message, rest);
        report(next);
    }
}

/// Reads a configuration: at most one byte more than allowed, which `load` reports.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    read_patiently(path).map_err(|error| {
        let directory = errno_of(&error) == Errno::EISDIR;
        let error = FileError::new("read", path, error);
        match directory {
            true => error.advise("name a file"),
            false => error,
        }
    })
}

/// Reads with a timeout, so that a pipe without data does not block the daemon.
fn read_patiently(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = open(path, OFlag::O_NONBLOCK, 0)?;
    let end = now() + PATIENCE;
    loop {
        match lines::read(&file, FILE_MAX + 1, &mut text) {
            Ok(()) => return Ok(text),
            Err(error) if errno_of(&error) == Errno::EAGAIN && now() < end => {
                let more = PollFd::new(file.as_fd(), PollFlags::POLLIN);
                poll(&mut [more], PollTimeout::from(PATIENCE_MS))?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// When a file was last written; the beginning of 1970 if that is not known.
pub(crate) fn changed_at(path: &Path) -> Timestamp {
    let seconds = std::fs::metadata(path).map_or(0, |found| found.mtime());
    Timestamp(seconds.max(0).cast_unsigned() * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_precedes_the_variable() {
        let named = Some(Path::new("/a"));
        let variable = || Some(OsString::from("/b"));
        assert_eq!(find_config(named, variable()), Some("/a".into()));
        assert_eq!(find_config(None, variable()), Some("/b".into()));
        let nothing = Some(OsString::new());
        assert_ne!(find_config(None, nothing), Some("".into()));
    }
}
