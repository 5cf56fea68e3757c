//! The configuration file: where it is, and what a command needs to know of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::tables;
use crate::config::{CONFIG_FILES, Config, FILE_MAX, Problem, load};

/// Names a configuration, when no option does.
pub const CONFIG_VARIABLE: &str = "FAILOVER_CONFIG";

/// Which configuration to use: the one named, else the variable's, else the first of [`CONFIG_FILES`] that exists.
/// `None`: nobody names one, and none exists.
pub fn find_config(named: Option<&Path>, variable: Option<OsString>) -> Option<PathBuf> {
    let variable = variable
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    named.map(Path::to_owned).or(variable).or_else(|| {
        let mut places = CONFIG_FILES.iter().map(Path::new);
        places.find(|place| place.exists()).map(Path::to_owned)
    })
}

/// Reads and validates a configuration, and tells of every problem in the order of the lines; the number of errors. With
/// errors, `config` holds as much as could be read.
///
/// # Errors
/// The file cannot be read.
pub fn load_config(
    path: &Path,
    config: &mut Config,
    report: &mut dyn FnMut(Problem),
) -> io::Result<u32> {
    let text = read(path)?;
    let mut problems = Vec::new();
    let mut note = |problem| problems.push(problem);
    let loaded = load(&text, &tables::number, config, &mut note);
    problems.sort_by_key(|problem: &Problem| problem.line); // those of one line stay in order
    problems.into_iter().for_each(report);
    Ok(loaded.err().map_or(0, |refused| refused.errors))
}

/// At most one byte more than a configuration may have: `load` says what is wrong with that.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let room = u64::try_from(FILE_MAX).unwrap_or(u64::MAX);
    File::open(path)?.take(room + 1).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_comes_before_the_variable() {
        let named = Some(Path::new("/a"));
        let variable = || Some(OsString::from("/b"));
        assert_eq!(find_config(named, variable()), Some("/a".into()));
        assert_eq!(find_config(None, variable()), Some("/b".into()));
        let nothing = Some(OsString::new());
        assert_ne!(find_config(None, nothing), Some("".into()));
    }
}
