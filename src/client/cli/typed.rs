//! What was typed: the commands in one table, the words that follow them, and the help.

use std::num::ParseIntError;
use std::slice::Iter;

use super::Command;
use crate::client::text::wrap;
use crate::limits::{INTERVAL_MAX, INTERVAL_MIN};
use crate::option::value;
use crate::types::Duration;

const ABOUT: &str = "multi-WAN failover: probes every uplink and keeps the default routes ordered";
const NOTES: &str = "
Notes:
  Exit codes: 0 done, 1 probe: no good answer, 64 wrong usage, 69 no daemon, 70 a bug,
    77 not permitted, 78 bad configuration.
";
/// What is converted when no other file is named.
const MWAN3: &str = "/etc/config/mwan3";
/// How the complaint about a word begins that has no meaning.
pub(super) const UNKNOWN: &str = "Unrecognized argument: ";

/// A command, or the program itself, which has no name.
pub(super) struct Form {
    pub(super) name: &'static str,
    /// what follows its name and `--config`
    usage: &'static str,
    meaning: &'static str,
    /// the words that are no options, and what each means
    words: &'static [(&'static str, &'static str)],
    /// the options besides `--config` and `--help`
    options: &'static [Opt],
}

/// One option. With `--config` a form has at most three.
struct Opt {
    long: &'static str,
    /// empty when there is none
    short: &'static str,
    has_value: bool,
    meaning: &'static str,
}

const OPTIONS_MAX: usize = 3;
/// All of them.
pub(super) const OPTIONS: [&str; 8] = [
    "--config",
    "--foreground",
    "--json",
    "--watch",
    "--count",
    "--interval",
    "--version",
    "--help",
];

const fn switch(long: &'static str, meaning: &'static str) -> Opt {
    Opt {
        long,
        short: "",
        has_value: false,
        meaning,
    }
}

const PROGRAM: Form = Form {
    name: "",
    usage: " [--version] [<command>] [<args>]",
    meaning: ABOUT,
    words: &[],
    options: &[switch("--version", "print the version")],
};

const CONFIG: Opt = Opt {
    long: "--config",
    short: "",
    has_value: true,
    meaning: "configuration file",
};
/// Only the program's help says which file is read without it.
const CONFIG_DEFAULT: &str = "configuration file (default: $FAILOVER_CONFIG, /etc/config/failover, /etc/failover/failover.conf)";

/// The commands, in the order of the help.
pub(super) static COMMANDS: [Form; 13] = [
    Form {
        name: "run",
        usage: " [--foreground]",
        meaning: "run the daemon",
        words: &[],
        options: &[switch("--foreground", "log to stderr, not to syslog")],
    },
    plain(
        "check",
        "validate the configuration: every error, as file:line: message",
    ),
    Form {
        name: "status",
        usage: " [--json] [--watch]",
        meaning: "show every provider and path",
        words: &[],
        options: &[
            switch("--json", "one JSON object, for programs"),
            switch("--watch", "again each second, until Ctrl-C"),
        ],
    },
    of_word(
        "use",
        " <provider>|auto",
        "pin a provider, or let the daemon choose again (auto)",
        &[("provider", "a provider's id, or auto")],
    ),
    of_word(
        "disable",
        " <provider>",
        "take a provider out of use, until enabled or restarted",
        &[("provider", "a provider's id")],
    ),
    of_word(
        "enable",
        " <provider>",
        "give a disabled provider back",
        &[("provider", "a provider's id")],
    ),
    plain(
        "reload",
        "re-read the configuration; what is unchanged keeps its state",
    ),
    of_word(
        "refresh",
        " [--] [<interface>]",
        "an interface of netifd's has changed: ask for it again",
        &[("interface", "its name (default: all)")],
    ),
    plain("log", "show the journal: every transition with its cause"),
    of_word(
        "explain",
        " [--] [<provider>]",
        "say in sentences why a provider is or is not in use",
        &[("provider", "a provider's id (default: all)")],
    ),
    Form {
        name: "probe",
        usage: " [-c <count>] [-i <interval>] <provider> [<check>]",
        meaning: "make a provider's checks now, and show each answer; needs no daemon",
        words: &[
            ("provider", "a provider's id"),
            ("check", "a check's name (default: all of the provider's)"),
        ],
        options: &[
            Opt {
                long: "--count",
                short: "-c",
                has_value: true,
                meaning: "how often each check is made (default: 1)",
            },
            Opt {
                long: "--interval",
                short: "-i",
                has_value: true,
                meaning: "between two of them, as 5, 0.3 or 300ms (default: 1s)",
            },
        ],
    },
    of_word(
        "import-mwan3",
        " [--] [<file>]",
        "convert a configuration of mwan3",
        &[("file", "its configuration (default: /etc/config/mwan3)")],
    ),
    plain("version", "print the version"),
];

const fn plain(name: &'static str, meaning: &'static str) -> Form {
    of_word(name, "", meaning, &[])
}

const fn of_word(
    name: &'static str,
    usage: &'static str,
    meaning: &'static str,
    words: &'static [(&'static str, &'static str)],
) -> Form {
    Form {
        name,
        usage,
        meaning,
        words,
        options: &[],
    }
}

/// Why there is nothing to do.
pub(super) enum Early {
    /// this help is wanted
    Help(String),
    /// this is wrong
    Wrong(String),
}

/// An option as it was typed, and its value; that of a switch is empty.
type Given<'w> = Option<(&'w str, &'w str)>;

/// What was typed for one form.
struct Typed<'w> {
    form: &'static Form,
    words: [Option<&'w str>; 2],
    /// `--config`, then the options of the form
    options: [Given<'w>; OPTIONS_MAX],
    /// the command behind the options of the program, and what follows it
    command: Option<(&'static Form, &'w [&'w str])>,
}

/// Reads a whole command line: the configuration that it names, and the command, if there is one.
pub(super) fn read<'w>(words: &'w [&'w str]) -> Result<(Option<&'w str>, Option<Command>), Early> {
    let program = Typed::read(&PROGRAM, words)?;
    let (mut config, mut command) = (program.config(), None);
    if let Some((form, rest)) = program.command {
        let typed = Typed::read(form, rest)?;
        config = typed.config().or(config);
        command = Some(typed.command()?);
    }
    if program.options[1].is_some() {
        command = Some(Command::Version);
    }
    Ok((config, command))
}

impl<'w> Typed<'w> {
    fn read(form: &'static Form, typed: &'w [&'w str]) -> Result<Typed<'w>, Early> {
        let mut read = Typed {
            form,
            words: [None; 2],
            options: [None; OPTIONS_MAX],
            command: None,
        };
        let is_program = form.name.is_empty();
        let (mut help, mut ended, mut count) = (false, false, 0);
        let mut rest = typed.iter();
        while let Some(&word) = rest.next() {
            let is_option = word.starts_with('-') && !ended;
            if !ended && (matches!(word, "-h" | "--help") || is_program && word == "help") {
                help = true;
            } else if is_option && word == "--" {
                ended = true;
            } else if is_option && help {
                let what = "Trailing arguments are not allowed after `help`.";
                return Err(Early::Wrong(what.to_owned()));
            } else if is_option {
                read.take_option(word, &mut rest)?;
            } else if let Some(command) = command(word).filter(|_| is_program) {
                if help {
                    return Err(Early::Help(command.help()));
                }
                read.command = Some((command, rest.as_slice()));
                return Ok(read);
            } else if count < form.words.len() {
                read.words[count] = Some(word);
                count += 1;
            } else {
                return Err(unknown(word));
            }
        }
        match help {
            true => Err(Early::Help(form.help())),
            false => Ok(read),
        }
    }

    fn take_option(&mut self, word: &'w str, rest: &mut Iter<'w, &'w str>) -> Result<(), Early> {
        let mut options = [&CONFIG].into_iter().chain(self.form.options);
        let is_it = |option: &Opt| option.long == word || option.short == word;
        let Some(place) = options.clone().position(is_it) else {
            return Err(unknown(word));
        };
        let mut value = "";
        if options.nth(place).is_some_and(|option| option.has_value) {
            value = rest
                .next()
                .ok_or_else(|| Early::Wrong(format!("No value provided for option '{word}'.")))?;
            if self.options[place].is_some() {
                return Err(unfit((word, value), "duplicate values provided"));
            }
        }
        self.options[place] = Some((word, value));
        Ok(())
    }

    fn config(&self) -> Option<&'w str> {
        self.options[0].map(|(_, file)| file)
    }

    fn command(&self) -> Result<Command, Early> {
        let [_, first, second] = self.options;
        let [word, check] = self.words.map(|word| word.map(str::to_owned));
        let name = self.form.name;
        Ok(match (name, word) {
            ("run", _) => Command::Run {
                foreground: first.is_some(),
            },
            ("check", _) => Command::Check,
            ("status", _) => Command::Status {
                json: first.is_some(),
                watch: second.is_some(),
            },
            ("use", Some(id)) => Command::Use((id != "auto").then_some(id)),
            ("disable", Some(id)) => Command::Disable(id),
            ("enable", Some(id)) => Command::Enable(id),
            ("reload", _) => Command::Reload,
            ("refresh", interface) => Command::Refresh(interface),
            ("log", _) => Command::Log,
            ("explain", provider) => Command::Explain(provider),
            ("probe", Some(provider)) => Command::Probe {
                provider,
                check,
                count: first.map_or(Ok(1), count)?,
                interval: second.map_or(Ok(Duration::from_secs(1)), interval)?,
            },
            ("import-mwan3", file) => {
                Command::ImportMwan3(file.unwrap_or_else(|| MWAN3.to_owned()).into())
            }
            ("version", _) => Command::Version,
            // It is for one provider, and none was named.
            (_, _) => Command::OfWhom(name),
        })
    }
}

impl Form {
    fn help(&self) -> String {
        let is_program = self.name.is_empty();
        let Form {
            name,
            usage,
            meaning,
            ..
        } = self;
        let blank = if is_program { "" } else { " " };
        let mut out =
            format!("Usage: failover{blank}{name} [--config <file>]{usage}\n\n{meaning}\n");
        if !self.words.is_empty() {
            out.push_str("\nPositional Arguments:\n");
            for (word, meaning) in self.words {
                line(&mut out, "", word, meaning);
            }
        }
        out.push_str("\nOptions:\n");
        let config = if is_program {
            CONFIG_DEFAULT
        } else {
            CONFIG.meaning
        };
        line(&mut out, "", CONFIG.long, config);
        for option in self.options {
            line(&mut out, option.short, option.long, option.meaning);
        }
        let help = if is_program { "--help, help" } else { "--help" };
        line(&mut out, "-h", help, "display usage information");
        if is_program {
            out.push_str("\nCommands:\n");
            for command in &COMMANDS {
                line(&mut out, "", command.name, command.meaning);
            }
            out.push_str(NOTES);
        }
        out
    }
}

/// One line of the help, or several.
fn line(out: &mut String, short: &str, name: &str, meaning: &str) {
    let comma = if short.is_empty() { "" } else { ", " };
    let name = format!("{short}{comma}{name}");
    wrap(out, &format!("  {name:<16}  "), meaning);
}

fn command(name: &str) -> Option<&'static Form> {
    COMMANDS.iter().find(|form| form.name == name)
}

fn unknown(word: &str) -> Early {
    Early::Wrong(format!("{UNKNOWN}{word}"))
}

fn unfit((option, value): (&str, &str), why: &str) -> Early {
    let what = format!("Error parsing option '{option}' with value '{value}': {why}");
    Early::Wrong(what)
}

fn count(given: (&str, &str)) -> Result<u32, Early> {
    given
        .1
        .parse()
        .map_err(|error: ParseIntError| unfit(given, &error.to_string()))
}

fn interval(given: (&str, &str)) -> Result<Duration, Early> {
    let bounds = INTERVAL_MIN..=INTERVAL_MAX;
    match value::duration(given.1) {
        Ok(interval) if bounds.contains(&interval) => Ok(interval),
        Ok(_) => Err(unfit(given, "expected 10ms to 24h")),
        Err(expected) => Err(unfit(given, expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_there_is_room_for_what_is_typed() {
        for form in COMMANDS.iter().chain([&PROGRAM]) {
            assert!(form.words.len() <= 2, "{}", form.name);
            assert!(form.options.len() < OPTIONS_MAX, "{}", form.name);
            for Opt { long, short, .. } in form.options {
                assert!(OPTIONS.contains(long), "{long}");
                let told = if short.is_empty() { long } else { short };
                assert!(form.usage.contains(told), "{long}");
            }
            for (word, _) in form.words {
                assert!(form.usage.contains(&format!("<{word}>")), "{word}");
            }
        }
    }
}
