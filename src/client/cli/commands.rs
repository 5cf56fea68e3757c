//! The commands in one table: their usage, their help, and what is made of what was typed. argh reads the words, by one
//! struct for all commands: one for each would cost 1 KB a command.

use argh::{EarlyExit, FromArgs};

use super::Command;
use crate::client::Shape;
use crate::client::text::{pad, wrap};
use crate::limits::{INTERVAL_MAX, INTERVAL_MIN};
use crate::option::value;
use crate::types::Duration;

/// What may follow a command: [`OPTIONS`] says which option is of which one.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Typed {
    #[argh(switch)]
    foreground: bool,
    #[argh(option)]
    last_good: Option<String>,
    #[argh(switch)]
    json: bool,
    #[argh(switch)]
    page: bool,
    #[argh(switch)]
    watch: bool,
    #[argh(switch)]
    connections: bool,
    #[argh(switch, short = 'f')]
    follow: bool,
    #[argh(option, short = 'c')]
    count: Option<u32>,
    #[argh(option, short = 'i', from_str_fn(interval))]
    interval: Option<Duration>,
    #[argh(positional)]
    words: Vec<String>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let bounds = INTERVAL_MIN..=INTERVAL_MAX;
    match value::duration(text) {
        Ok(interval) if bounds.contains(&interval) => Ok(interval),
        Ok(_) => Err("expected 10ms to 24h".to_owned()),
        Err(expected) => Err(expected.to_owned()),
    }
}

/// One option.
pub(super) struct Opt {
    /// the command that it follows
    pub(super) of: &'static str,
    pub(super) name: &'static str,
    /// its short form; empty if it has none
    short: &'static str,
    about: &'static str,
}

/// Those that follow a command.
pub(super) static OPTIONS: [Opt; 9] = [
    opt("run", "--foreground", "", "log to stderr, not to syslog"),
    opt(
        "run",
        "--last-good",
        "",
        "keep a copy of the last good configuration there, and run it if the file is bad at the start",
    ),
    opt("status", "--json", "", "one JSON object, for programs"),
    opt(
        "status",
        "--page",
        "",
        "the same, with histories, reasons and journal, for a web page",
    ),
    opt("status", "--watch", "", "again each second, until Ctrl-C"),
    opt(
        "status",
        "--connections",
        "",
        "with the number of each provider's connections",
    ),
    opt(
        "log",
        "--follow",
        "-f",
        "and each new entry as it comes, until Ctrl-C",
    ),
    opt(
        "probe",
        "--count",
        "-c",
        "how often each check is made (default: 1)",
    ),
    opt(
        "probe",
        "--interval",
        "-i",
        "between two of them, as 5, 0.3 or 300ms (default: 1s)",
    ),
];

const fn opt(
    of: &'static str,
    name: &'static str,
    short: &'static str,
    about: &'static str,
) -> Opt {
    Opt {
        of,
        name,
        short,
        about,
    }
}

/// Options that are of no command.
pub(super) const GLOBAL: [&str; 3] = ["--config", "--version", "--help"];

/// One command.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// what follows the name
    usage: &'static str,
    /// what it does
    about: &'static str,
    /// the words that may follow it: their names, and what they are
    words: &'static [(&'static str, &'static str)],
    /// the words are in reverse order
    make: fn(&mut Typed) -> Command,
}

const PROVIDER: (&str, &str) = ("provider", "a provider's id");

/// All of them, in the order of the help.
pub(super) static COMMANDS: [Entry; 15] = [
    Entry {
        name: "run",
        usage: "[--foreground] [--last-good <file>] [--config <file>]",
        about: "run the daemon",
        words: &[],
        make: |typed| Command::Run {
            foreground: typed.foreground,
            last_good: typed.last_good.take().map(Into::into),
        },
    },
    Entry {
        name: "check",
        usage: "[--config <file>]",
        about: "validate the configuration: every error, as file:line: message",
        words: &[],
        make: |_| Command::Check,
    },
    Entry {
        name: "status",
        usage: "[--json|--page] [--watch] [--connections] [--config <file>]",
        about: "show every provider and path",
        words: &[],
        make: |typed| Command::Status {
            shape: match (typed.json, typed.page) {
                (_, true) => Shape::Page,
                (true, false) => Shape::Json,
                _ => Shape::Table,
            },
            watch: typed.watch,
            connections: typed.connections,
        },
    },
    Entry {
        name: "use",
        usage: "[--config <file>] <provider>|auto",
        about: "pin a provider, or let the daemon choose again (auto)",
        words: &[("provider", "a provider's id, or auto")],
        make: |typed| {
            let pin = |id: String| Command::Use((id != "auto").then_some(id));
            typed.provider("use", pin)
        },
    },
    Entry {
        name: "disable",
        usage: "[--config <file>] <provider>",
        about: "take a provider out of use, until enabled or restarted",
        words: &[PROVIDER],
        make: |typed| typed.provider("disable", Command::Disable),
    },
    Entry {
        name: "enable",
        usage: "[--config <file>] <provider>",
        about: "give a disabled provider back",
        words: &[PROVIDER],
        make: |typed| typed.provider("enable", Command::Enable),
    },
    Entry {
        name: "reload",
        usage: "[--config <file>]",
        about: "re-read the configuration; what is unchanged keeps its state",
        words: &[],
        make: |_| Command::Reload,
    },
    Entry {
        name: "refresh",
        usage: "[--config <file>] [<interface>]",
        about: "an interface of netifd's has changed: ask for it again",
        words: &[("interface", "its name (default: all)")],
        make: |typed| Command::Refresh(typed.words.pop()),
    },
    Entry {
        name: "log",
        usage: "[-f] [--config <file>]",
        about: "show the journal: every transition with its cause",
        words: &[],
        make: |typed| Command::Log {
            follow: typed.follow,
        },
    },
    Entry {
        name: "metrics",
        usage: "[--config <file>]",
        about: "print the state as metrics for Prometheus",
        words: &[],
        make: |_| Command::Metrics,
    },
    Entry {
        name: "routes",
        usage: "[--config <file>]",
        about: "show our routes and rules as the kernel has them, and what each is for",
        words: &[],
        make: |_| Command::Routes,
    },
    Entry {
        name: "explain",
        usage: "[--config <file>] [<provider>]",
        about: "say in sentences why a provider is or is not in use",
        words: &[("provider", "a provider's id (default: all)")],
        make: |typed| Command::Explain(typed.words.pop()),
    },
    Entry {
        name: "probe",
        usage: "[--config <file>] [-c <count>] [-i <interval>] <provider> [<check>]",
        about: "make a provider's checks now, and show each answer; needs no daemon",
        words: &[
            PROVIDER,
            ("check", "a check's name (default: all of the provider's)"),
        ],
        make: |typed| {
            let Some(provider) = typed.words.pop() else {
                return Command::WithoutProvider("probe");
            };
            Command::Probe {
                provider,
                check: typed.words.pop(),
                count: typed.count.unwrap_or(1),
                interval: typed.interval.unwrap_or(Duration::from_secs(1)),
            }
        },
    },
    Entry {
        name: "import-mwan3",
        usage: "[--config <file>] [<file>]",
        about: "convert a configuration of mwan3",
        words: &[("file", "its configuration (default: /etc/config/mwan3)")],
        make: |typed| {
            let file = typed.words.pop();
            Command::ImportMwan3(file.unwrap_or_else(|| "/etc/config/mwan3".into()).into())
        },
    },
    Entry {
        name: "version",
        usage: "[--config <file>]",
        about: "print the version",
        words: &[],
        make: |_| Command::Version,
    },
];

impl Typed {
    fn provider(&mut self, command: &'static str, make: fn(String) -> Command) -> Command {
        let id = self.words.pop();
        id.map_or(Command::WithoutProvider(command), make)
    }
}

/// The command that the words are, without `--config`.
///
/// # Errors
/// The help, or what is wrong, in the words of argh.
pub(super) fn command(words: &[&str]) -> Result<Command, EarlyExit> {
    let (name, rest) = match words.strip_prefix(&["--"]).unwrap_or(words) {
        ["--version", ..] => return Ok(Command::Version),
        [word] if is_help(word) => return Err(printed(help())),
        [name, rest @ ..] => (*name, rest),
        [] => {
            let mut names = Vec::new();
            for entry in &COMMANDS {
                names.push(entry.name);
            }
            let names = names.join(", ");
            return Err(["which command? Expected one of: ", &names].concat().into());
        }
    };
    let entry = COMMANDS.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| unknown(name))?;
    for word in rest.iter().take_while(|word| **word != "--") {
        let is_it = |option: &&Opt| option.name == *word || option.short == *word;
        if OPTIONS.iter().find(is_it).is_some_and(|it| it.of != name) {
            return Err(unknown(word));
        }
    }
    let read = Typed::from_args(&[], rest);
    let mut typed = read.map_err(|early| match early.status {
        Ok(()) => printed(entry.help()),
        Err(()) => early,
    })?;
    if let Some(word) = typed.words.get(entry.words.len()) {
        return Err(unknown(word));
    }
    typed.words.reverse();
    Ok((entry.make)(&mut typed))
}

/// Whether a word in the place of a command asks for help.
pub(super) fn is_help(word: &str) -> bool {
    ["-h", "--help", "help"].contains(&word)
}

fn printed(output: String) -> EarlyExit {
    let status = Ok(());
    EarlyExit { output, status }
}

/// As argh says it.
fn unknown(word: &str) -> EarlyExit {
    ["Unrecognized argument: ", word].concat().into()
}

impl Entry {
    fn help(&self) -> String {
        let mut out = ["Usage: failover ", self.name, " ", self.usage, "\n\n"].concat();
        out += self.about;
        if !self.words.is_empty() {
            out += "\n\nPositional Arguments:";
        }
        out.push('\n');
        for (name, about) in self.words {
            item(&mut out, "", name, about);
        }
        out += "\nOptions:\n";
        for option in OPTIONS.iter().filter(|option| option.of == self.name) {
            item(&mut out, option.short, option.name, option.about);
        }
        item(&mut out, "-h", "--help", "display usage information");
        out
    }
}

/// The help about all.
fn help() -> String {
    let mut out = String::from(
        "Usage: failover [--config <file>] [--version] [<command>] [<args>]\n\n\
         multi-WAN failover: probes every uplink and keeps the default routes ordered\n\n\
         Options:\n",
    );
    let config = "configuration file, before or after the command (default: $FAILOVER_CONFIG, /etc/config/failover, \
                  /etc/failover/failover.conf)";
    item(&mut out, "", "--config", config);
    item(&mut out, "", "--version", "print the version");
    item(&mut out, "-h", "--help, help", "display usage information");
    out += "\nCommands:\n";
    for entry in &COMMANDS {
        item(&mut out, "", entry.name, entry.about);
    }
    out += "\nNotes:\n  \
            Exit codes: 0 done, 1 probe: no good answer, 64 wrong usage, 69 no daemon, 70 a bug,\n    \
            77 not permitted, 78 bad configuration.\n";
    out
}

/// A line of the help, or several.
fn item(out: &mut String, short: &str, name: &str, about: &str) {
    let comma = if short.is_empty() { "" } else { ", " };
    let mut first = ["  ", short, comma, name].concat();
    let room = 20_usize.saturating_sub(first.len());
    pad(&mut first, room);
    wrap(out, &first, about);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_the_table_are_those_that_argh_reads() {
        for option in &OPTIONS {
            let typed = |name| command(&[option.of, name, "1"]);
            let long = typed(option.name);
            if !option.short.is_empty() {
                assert_eq!(typed(option.short), long);
            }
            let text = long.map_or_else(|early| early.output, |_| String::new());
            assert!(!text.contains("argument: -"), "{text}");
            for entry in COMMANDS.iter().filter(|entry| entry.name != option.of) {
                let other = command(&[entry.name, option.name]).unwrap_err();
                assert_eq!(other, unknown(option.name), "{}", entry.name);
            }
        }
    }
}
