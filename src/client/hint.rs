//! The commands that messages name, as they must be typed here: with the `--config` that this command was given.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

/// How every command of ours begins in a message.
const OURS: &str = "`failover ";
/// What stands behind that, when a file was named.
static CONFIG: OnceLock<String> = OnceLock::new();

/// From now on, commands in messages name this file.
pub fn repeat_config(file: &Path) {
    let file = file.to_string_lossy();
    let file = quoted(&file);
    let _ = CONFIG.set(format!("{OURS}--config {file} ")); // it is set once
}

/// A message with commands as they must be typed.
pub(super) fn completed(message: &str) -> Cow<'_, str> {
    match CONFIG.get() {
        Some(ours) if message.contains(OURS) => Cow::Owned(message.replace(OURS, ours)),
        _ => Cow::Borrowed(message),
    }
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
    use super::quoted;

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
