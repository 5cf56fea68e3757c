//! Suggestions for a wrong command line.

use super::commands::{COMMANDS, GLOBAL, OPTIONS};
use crate::option::nearest;

/// Words that other programs use for commands of ours.
const SYNONYMS: [(&str, &str); 13] = [
    ("pin", "use"),
    ("switch", "use"),
    ("select", "use"),
    ("prefer", "use"),
    ("unpin", "use auto"),
    ("auto", "use auto"),
    ("show", "status"),
    ("list", "status"),
    ("validate", "check"),
    ("verify", "check"),
    ("journal", "log"),
    ("why", "explain"),
    ("ping", "probe"),
];

/// The suggestion for a word that argh does not know.
pub(super) fn instead_of(unknown: &str, typed: &[String]) -> Option<String> {
    let command = command_of(typed)?;
    if unknown != command {
        return of_argument(unknown, command, typed);
    }
    if let Some(option) = OPTIONS.iter().find(|option| option.name == unknown) {
        return Some(format!(
            "it follows its command, as in `failover {} {unknown}`",
            option.of
        ));
    }
    if ["start", "stop", "restart"].contains(&unknown) {
        let here = match unknown {
            "stop" => String::new(),
            _ => format!("; here `{}`", with(typed, unknown, "run")),
        };
        return Some(format!(
            "the daemon is a service: `systemctl {unknown} failover`, on OpenWrt `/etc/init.d/failover {unknown}`{here}"
        ));
    }
    if let Some((_, meant)) = SYNONYMS.iter().find(|(word, _)| *word == unknown) {
        let meant = with(typed, unknown, meant);
        return Some(format!("did you mean `{meant}`?"));
    }
    near(unknown)
}

/// The suggestion for a word that follows a command.
fn of_argument(unknown: &str, command: &str, typed: &[String]) -> Option<String> {
    let is_file = unknown.contains('/') || unknown.contains('.');
    if is_file && COMMANDS.iter().any(|entry| entry.name == command) {
        let named = with(typed, unknown, &format!("--config {unknown}"));
        return Some(format!("a file is named by an option: `{named}`"));
    }
    if let Some(near) = near(unknown) {
        return Some(near);
    }
    if command == "status" && !unknown.starts_with('-') {
        let explain = with(typed, command, "explain");
        return Some(format!(
            "status shows every provider; `{explain}` tells of one"
        ));
    }
    None
}

fn near(unknown: &str) -> Option<String> {
    let options = OPTIONS.iter().map(|option| option.name);
    let names = COMMANDS.iter().map(|entry| entry.name);
    let mut known = names.chain(options).chain(GLOBAL);
    let meant = nearest(unknown, &mut known).filter(|meant| *meant != unknown)?;
    Some(format!("did you mean {meant}?"))
}

/// The first word that is neither a global option nor its value.
fn command_of(typed: &[String]) -> Option<&str> {
    match typed {
        [option, _, rest @ ..] if option == "--config" => command_of(rest),
        typed => typed.first().map(String::as_str),
    }
}

/// The command line, with one word replaced.
fn with(typed: &[String], one: &str, other: &str) -> String {
    let mut line = String::from("failover");
    for word in typed {
        line.push(' ');
        line.push_str(if word == one { other } else { word });
    }
    line
}
