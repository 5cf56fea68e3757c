//! The command line: what was typed, and the exit codes.

use std::ffi::OsString;
use std::path::PathBuf;

mod commands;
mod meant;

use crate::client::Shape;
use crate::types::Duration;

/// How a command ends, as `sysexits.h` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// all went well
    Ok = 0,
    /// a check failed
    Unanswered = 1,
    /// EX_USAGE: a wrong command line, or an argument that names no provider or check
    Usage = 64,
    /// EX_UNAVAILABLE: no daemon answers
    NoDaemon = 69,
    /// EX_SOFTWARE: a bug
    Bug = 70,
    /// EX_NOPERM: not permitted
    NotPermitted = 77,
    /// EX_CONFIG: a bad configuration, or none
    BadConfig = 78,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// `--config`
    pub config: Option<PathBuf>,
    /// the command
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// run the daemon
    Run {
        /// log to stderr
        foreground: bool,
        /// the copy of the last good configuration
        last_good: Option<PathBuf>,
    },
    /// validate the configuration
    Check,
    /// show the status
    Status {
        /// for people, or for programs
        shape: Shape,
        /// again each second
        watch: bool,
        /// with the number of each provider's connections
        connections: bool,
    },
    /// pin a provider; `None` is `auto`
    Use(Option<String>),
    /// this command, which is for one provider, was typed without one
    WithoutProvider(&'static str),
    /// take a provider out of use
    Disable(String),
    /// give it back
    Enable(String),
    /// re-read the configuration
    Reload,
    /// ask netifd again for an interface, or for all of them
    Refresh(Option<String>),
    /// show the journal
    Log {
        /// and each new entry, until interrupted
        follow: bool,
    },
    /// print the metrics
    Metrics,
    /// show our routes and rules as the kernel has them
    Routes,
    /// say why a provider is or is not in use, or all of them
    Explain(Option<String>),
    /// make a provider's checks now
    Probe {
        /// the provider's id
        provider: String,
        /// the check's name; none: all of them
        check: Option<String>,
        /// how many times
        count: u32,
        /// the time in between
        interval: Duration,
    },
    /// convert this configuration of mwan3
    ImportMwan3(PathBuf),
    /// print the version
    Version,
}

/// Only this text is to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// for stdout when all is well, else for stderr
    pub text: String,
    /// [`Exit::Ok`] after `--help`
    pub exit: Exit,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// What to print instead of doing anything: the help, or what is wrong with the arguments.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Invocation, Stop> {
    let mut given = Vec::new();
    for argument in arguments {
        given.push(argument.into_string().map_err(|argument| {
            wrong(&format!(
                "an argument is not UTF-8: {}",
                argument.to_string_lossy()
            ))
        })?);
    }
    let (config, mut words) = take_config(&given)?;
    // `help status` is `status --help`.
    if let [word, command, ..] = &mut words[..]
        && commands::is_help(word)
    {
        (*word, *command) = (*command, "--help");
        words.truncate(2);
    }

    match commands::command(&words) {
        Ok(command) => Ok(Invocation { config, command }),
        Err(early) if early.status.is_ok() => Err(Stop {
            text: early.output,
            exit: Exit::Ok,
        }),
        Err(early) => Err(wrong(&complaint(&early.output, &given))),
    }
}

/// `--config`, which may stand before the command or after it, and the other words.
fn take_config(given: &[String]) -> Result<(Option<PathBuf>, Vec<&str>), Stop> {
    let (mut config, mut others) = (None, Vec::new());
    let mut words = given.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let file = match word.strip_prefix("--config=") {
            None if word == "--config" => words.next(),
            None => {
                others.push(word);
                continue;
            }
            file => file,
        };
        match file {
            None | Some("") => return Err(wrong("--config names no file")),
            Some(file) => config = Some(PathBuf::from(file)),
        }
    }
    Ok((config, others))
}

/// The error of argh, on one line, with a suggestion.
fn complaint(output: &str, typed: &[String]) -> String {
    let mut text = String::new();
    for word in output.split_ascii_whitespace() {
        text.push_str(if text.is_empty() { "" } else { " " });
        text.push_str(word);
    }
    let unknown = text.strip_prefix("Unrecognized argument: ");
    match unknown.and_then(|unknown| meant::instead_of(unknown, typed)) {
        Some(meant) => format!("{text} ({meant})"),
        None => text,
    }
}

fn wrong(what: &str) -> Stop {
    Stop {
        text: format!("failover: {what}\n`failover --help` lists the commands and options.\n"),
        exit: Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::commands::COMMANDS;
    use super::*;

    fn typed(line: &str) -> Result<Invocation, Stop> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn command(line: &str) -> Command {
        typed(line).unwrap().command
    }

    #[test]
    fn every_command_is_understood() {
        for (line, foreground, copy) in [
            ("run", false, None),
            ("run --foreground", true, None),
            ("run --last-good f", false, Some("f")),
            ("run --foreground --last-good f", true, Some("f")),
        ] {
            let last_good = copy.map(PathBuf::from);
            let run = Command::Run {
                foreground,
                last_good,
            };
            assert_eq!(command(line), run, "{line}");
        }
        assert_eq!(command("check"), Command::Check);
        for connections in [false, true] {
            let line = if connections { " --connections" } else { "" };
            assert_eq!(
                command(&format!("status --json --watch{line}")),
                Command::Status {
                    shape: Shape::Json,
                    watch: true,
                    connections
                }
            );
        }
        for (line, shape) in [("", Shape::Table), (" --page", Shape::Page)] {
            let (watch, connections) = (false, false);
            assert_eq!(
                command(&format!("status{line}")),
                Command::Status {
                    shape,
                    watch,
                    connections
                }
            );
        }
        assert_eq!(command("use isp2"), Command::Use(Some("isp2".into())));
        assert_eq!(command("use auto"), Command::Use(None));
        assert_eq!(command("use help"), Command::Use(Some("help".into())));
        assert_eq!(command("use"), Command::WithoutProvider("use"));
        assert_eq!(command("probe"), Command::WithoutProvider("probe"));
        assert_eq!(command("disable isp2"), Command::Disable("isp2".into()));
        assert_eq!(command("enable isp2"), Command::Enable("isp2".into()));
        assert_eq!(command("reload"), Command::Reload);
        assert_eq!(command("refresh"), Command::Refresh(None));
        let wan = Command::Refresh(Some("wan".to_owned()));
        assert_eq!(command("refresh wan"), wan);
        assert_eq!(command("log"), Command::Log { follow: false });
        for line in ["log -f", "log --follow"] {
            assert_eq!(command(line), Command::Log { follow: true });
        }
        assert_eq!(command("metrics"), Command::Metrics);
        assert_eq!(command("routes"), Command::Routes);
        let import = |file: &str| Command::ImportMwan3(file.into());
        assert_eq!(command("import-mwan3"), import("/etc/config/mwan3"));
        assert_eq!(command("import-mwan3 old"), import("old"));
        assert_eq!(command("version"), Command::Version);
        assert_eq!(command("--version"), Command::Version);
    }

    #[test]
    fn the_configuration_is_named_before_or_after_the_command() {
        for line in [
            "--config f log",
            "log --config f",
            "--config=f log",
            "log --config=f",
            "--config g log --config f",
        ] {
            assert_eq!(typed(line).unwrap().config, Some("f".into()), "{line}");
        }
        assert_eq!(typed("log").unwrap().config, None);
    }

    #[test]
    fn help_is_no_error() {
        for line in [
            "--help",
            "-h",
            "help",
            "status --help",
            "status -h",
            "help status",
            "--help status",
        ] {
            let stop = typed(line).unwrap_err();
            assert_eq!(stop.exit, Exit::Ok, "{line}");
            assert!(stop.text.starts_with("Usage: failover"), "{}", stop.text);
            assert_eq!(stop.text.matches("failover ").count(), 1, "{}", stop.text);
            assert_eq!(stop.text.contains("--watch"), line.contains("status"));
        }
    }

    #[test]
    fn a_commands_usage_has_its_name_once() {
        for command in &COMMANDS {
            let command = command.name;
            let stop = typed(&format!("{command} --help")).unwrap_err();
            let usage = stop.text.lines().next().unwrap();
            let rest = usage.strip_prefix(&*format!("Usage: failover {command} "));
            assert!(!rest.unwrap().contains("failover"), "{usage}");
        }
    }

    #[test]
    fn wrong_usage_is_told() {
        for (line, complaint) in [
            ("", "which command? Expected one of: run, check, status,"),
            (
                "stauts",
                "Unrecognized argument: stauts (did you mean status?)",
            ),
            ("status --jsno", "--jsno (did you mean --json?)"),
            ("--config= log", "--config names no file"),
            ("log use", "Unrecognized argument: use\n"),
            ("use isp1 isp2", "Unrecognized argument: isp2"),
            ("log --config", "--config names no file"),
            ("stats", "(did you mean status?)"),
            ("pin isp2", "(did you mean `failover use isp2`?)"),
            (
                "--config f pin isp2",
                "(did you mean `failover --config f use isp2`?)",
            ),
            ("unpin", "(did you mean `failover use auto`?)"),
            (
                "stop",
                "(the daemon is a service: `systemctl stop failover`, on OpenWrt `/etc/init.d/failover stop`)",
            ),
            (
                "start --config f",
                "`/etc/init.d/failover start`; here `failover run --config f`)",
            ),
            ("STATUS", "(did you mean status?)"),
            (
                "status isp1",
                "(status shows every provider; `failover explain isp1` tells of one)",
            ),
            (
                "status isp1 --config f",
                "`failover explain isp1 --config f` tells of one)",
            ),
            ("log isp1", "Unrecognized argument: isp1\n"),
            (
                "check /tmp/f",
                "(a file is named by an option: `failover check --config /tmp/f`)",
            ),
            (
                "run failover.conf",
                "`failover run --config failover.conf`)",
            ),
            (
                "--watch",
                "(it follows its command, as in `failover status --watch`)",
            ),
            ("help nonsense", "Unrecognized argument: nonsense"),
        ] {
            let stop = typed(line).unwrap_err();
            assert_eq!(stop.exit, Exit::Usage, "{line}");
            assert!(stop.text.contains(complaint), "{}", stop.text);
            assert!(stop.text.contains("failover --help"), "{}", stop.text);
        }
        let garbage = OsString::from_vec(vec![b'x', 0xff]);
        let stop = parse([garbage].into_iter()).unwrap_err();
        assert_eq!(stop.exit, Exit::Usage);
        assert!(stop.text.contains("not UTF-8"), "{}", stop.text);
    }
}
