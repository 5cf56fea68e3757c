//! The commands in messages, with the `--config` that this command was given.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

/// The beginning of every command of ours in a message, after a backtick.
const OURS: &str = "failover ";
/// What follows it if a file was named.
static CONFIG: OnceLock<String> = OnceLock::new();

/// From now on, commands in messages name this file.
pub fn repeat_config(file: &Path) {
    let file = file.to_string_lossy();
    let file = quoted(&file);
    let _ = CONFIG.set(format!("`{OURS}--config {file} ")); // it is set once
}

/// A message with commands as they must be typed by the user.
pub(super) fn completed(message: &str) -> Cow<'_, str> {
    match CONFIG.get() {
        Some(ours) => Cow::Owned(with(message, ours)),
        None => Cow::Borrowed(message),
    }
}

/// A message with the beginning of commands replaced by `ours`. Character by character, because a text search would be
/// linked into the program for this alone.
fn with(message: &str, ours: &str) -> String {
    let mut parts = message.split('`');
    let mut completed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (start, rest) = match part.strip_prefix(OURS) {
            Some(rest) => (ours, rest),
            None => ("`", part),
        };
        completed.push_str(start);
        completed.push_str(rest);
    }
    completed
}

/// As one word for a shell.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    match word.bytes().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{quoted, with};

    #[test]
    fn commands_of_ours_are_completed_and_no_others() {
        let message = "failover: see `failover status`, not `ip route`; then `failover reload`";
        assert_eq!(
            with(message, "`failover --config x "),
            "failover: see `failover --config x status`, not `ip route`; then `failover --config x reload`"
        );
        assert_eq!(with("", "x"), "");
    }

    #[test]
    fn a_shell_takes_it_for_one_word() {
        assert_eq!(
            quoted("/etc/failover/failover.conf"),
            "/etc/failover/failover.conf"
        );
        assert_eq!(quoted("my file"), "'my file'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
