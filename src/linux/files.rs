//! The configuration file: where it is, and what a command needs to know of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::{CONFIG_FILES, FILE_MAX, Globals};

/// Names a configuration, when no option does.
pub const CONFIG_VARIABLE: &str = "FAILOVER_CONFIG";

/// One thing wrong with a configuration, or odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem<'a> {
    /// the line, from 1; 0 when it is the whole file's
    pub line: usize,
    /// odd, not wrong
    pub warning: bool,
    /// what, and what is expected
    pub text: &'a str,
}

/// What a command needs to know of a configuration. Of a damaged one: as much as could be read, else the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// among them `state_dir` and `sticky_file`
    pub globals: Globals,
    /// how many there are
    pub providers: usize,
    /// how many there are
    pub checks: usize,
    /// problems that are no warnings
    pub errors: usize,
}

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

/// Reads and validates a configuration, and tells of every problem.
///
/// # Errors
/// The file cannot be read. What is wrong within it is a [`Problem`].
pub fn load_config(path: &Path, report: &mut dyn FnMut(Problem<'_>)) -> io::Result<Summary> {
    let text = read(path)?;
    Ok(summary(&text, report))
}

/// Lines of UCI, without its quoting rules: until `config::load` stands here.
fn summary(text: &str, report: &mut dyn FnMut(Problem<'_>)) -> Summary {
    let mut summary = Summary::default();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace().map(|word| word.trim_matches('\''));
        match (words.next(), words.next(), words.next()) {
            (Some("config"), Some("provider"), _) => summary.providers += 1,
            (Some("config"), Some("check"), _) => summary.checks += 1,
            (Some("config" | "list"), _, _) | (None, _, _) => {}
            (Some("option"), Some(name), Some(value)) => {
                let file = match name {
                    "state_dir" => &mut summary.globals.state_dir,
                    "sticky_file" => &mut summary.globals.sticky_file,
                    _ => continue,
                };
                if let Ok(value) = value.try_into() {
                    *file = value;
                }
            }
            (Some(word), _, _) if word.starts_with('#') => {}
            _ => {
                summary.errors += 1;
                report(Problem {
                    line: number + 1,
                    warning: false,
                    text: "neither config, option nor list",
                });
            }
        }
    }
    summary
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let room = u64::try_from(FILE_MAX).unwrap_or(u64::MAX);
    File::open(path)?.take(room + 1).read_to_string(&mut text)?;
    if text.len() > FILE_MAX {
        return Err(io::Error::other(format!(
            "longer than {FILE_MAX} bytes, the most a configuration may have"
        )));
    }
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
