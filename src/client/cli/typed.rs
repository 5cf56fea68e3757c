//! The command line as argh parses it: one struct per command. Its comments are the help.

use std::path::PathBuf;

use argh::FromArgs;

use super::Command;
use crate::client::Shape;
use crate::limits::{INTERVAL_MAX, INTERVAL_MIN};
use crate::option::value;
use crate::types::Duration;

/// multi-WAN failover: probes every uplink and keeps the default routes ordered
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help", "help"))]
#[argh(
    note = "Exit codes: 0 done, 1 probe: no good answer, 64 wrong usage, 69 no daemon, 70 a bug,\n  77 not permitted, 78 bad configuration."
)]
pub(super) struct Typed {
    /// configuration file, before or after the command (default: $FAILOVER_CONFIG, /etc/config/failover, /etc/failover/failover.conf)
    #[argh(option, arg_name = "file")]
    #[expect(dead_code, reason = "for the help: it is taken out before")]
    config: Option<String>,

    /// print the version
    #[argh(switch)]
    pub(super) version: bool,

    #[argh(subcommand)]
    pub(super) command: Option<TypedCommand>,
}

/// The command that was typed.
#[derive(FromArgs)]
#[argh(subcommand)]
pub(super) enum TypedCommand {
    Run(Run),
    Check(Check),
    Status(Status),
    Use(Use),
    Disable(Disable),
    Enable(Enable),
    Reload(Reload),
    Refresh(Refresh),
    Log(Log),
    Metrics(Metrics),
    Routes(Routes),
    Explain(Explain),
    Probe(Probe),
    ImportMwan3(ImportMwan3),
    Version(Version),
}

/// run the daemon
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "run",
    help_triggers("-h", "--help"),
    usage = "[--foreground] [--last-good <file>] [--config <file>]"
)]
pub(super) struct Run {
    /// log to stderr, not to syslog
    #[argh(switch)]
    foreground: bool,
    /// keep a copy of the last good configuration there, and run it if the file is bad at the start
    #[argh(option, arg_name = "file")]
    last_good: Option<String>,
}

/// validate the configuration: every error, as file:line: message
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "check",
    help_triggers("-h", "--help"),
    usage = "[--config <file>]"
)]
pub(super) struct Check {}

/// show every provider and path
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("-h", "--help"),
    usage = "[--json|--page] [--watch] [--connections] [--config <file>]"
)]
pub(super) struct Status {
    /// one JSON object, for programs
    #[argh(switch)]
    json: bool,
    /// the same, with histories, reasons and journal, for a web page
    #[argh(switch)]
    page: bool,
    /// again each second, until Ctrl-C
    #[argh(switch)]
    watch: bool,
    /// with the number of each provider's connections
    #[argh(switch)]
    connections: bool,
}

/// pin a provider, or let the daemon choose again (auto)
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "use",
    help_triggers("-h", "--help"),
    usage = "[--config <file>] <provider>|auto"
)]
pub(super) struct Use {
    /// a provider's id, or auto
    #[argh(positional)]
    provider: Option<String>,
}

/// take a provider out of use, until enabled or restarted
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "disable",
    help_triggers("-h", "--help"),
    usage = "[--config <file>] <provider>"
)]
pub(super) struct Disable {
    /// a provider's id
    #[argh(positional)]
    provider: Option<String>,
}

/// give a disabled provider back
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "enable",
    help_triggers("-h", "--help"),
    usage = "[--config <file>] <provider>"
)]
pub(super) struct Enable {
    /// a provider's id
    #[argh(positional)]
    provider: Option<String>,
}

/// re-read the configuration; what is unchanged keeps its state
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "reload",
    help_triggers("-h", "--help"),
    usage = "[--config <file>]"
)]
pub(super) struct Reload {}

/// an interface of netifd's has changed: ask for it again
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "refresh",
    help_triggers("-h", "--help"),
    usage = "[--config <file>] [<interface>]"
)]
pub(super) struct Refresh {
    /// its name (default: all)
    #[argh(positional)]
    interface: Option<String>,
}

/// show the journal: every transition with its cause
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "log",
    help_triggers("-h", "--help"),
    usage = "[-f] [--config <file>]"
)]
pub(super) struct Log {
    /// and each new entry as it comes, until Ctrl-C
    #[argh(switch, short = 'f')]
    follow: bool,
}

/// print the state as metrics for Prometheus
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "metrics",
    help_triggers("-h", "--help"),
    usage = "[--config <file>]"
)]
pub(super) struct Metrics {}

/// show our routes and rules as the kernel has them, and what each is for
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "routes",
    help_triggers("-h", "--help"),
    usage = "[--config <file>]"
)]
pub(super) struct Routes {}

/// say in sentences why a provider is or is not in use
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "explain",
    help_triggers("-h", "--help"),
    usage = "[--config <file>] [<provider>]"
)]
pub(super) struct Explain {
    /// a provider's id (default: all)
    #[argh(positional)]
    provider: Option<String>,
}

/// make a provider's checks now, and show each answer; needs no daemon
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "probe",
    help_triggers("-h", "--help"),
    usage = "[--config <file>] [-c <count>] [-i <interval>] <provider> [<check>]"
)]
pub(super) struct Probe {
    /// how often each check is made (default: 1)
    #[argh(option, short = 'c', default = "1")]
    count: u32,
    /// between two of them, as 5, 0.3 or 300ms (default: 1s)
    #[argh(
        option,
        short = 'i',
        default = "Duration::from_secs(1)",
        from_str_fn(interval)
    )]
    interval: Duration,
    /// a provider's id
    #[argh(positional)]
    provider: String,
    /// a check's name (default: all of the provider's)
    #[argh(positional)]
    check: Option<String>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let bounds = INTERVAL_MIN..=INTERVAL_MAX;
    match value::duration(text) {
        Ok(interval) if bounds.contains(&interval) => Ok(interval),
        Ok(_) => Err("expected 10ms to 24h".to_owned()),
        Err(expected) => Err(expected.to_owned()),
    }
}

/// convert a configuration of mwan3
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "import-mwan3",
    help_triggers("-h", "--help"),
    usage = "[--config <file>] [<file>]"
)]
pub(super) struct ImportMwan3 {
    /// its configuration (default: /etc/config/mwan3)
    #[argh(positional)]
    file: Option<String>,
}

/// print the version
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "version",
    help_triggers("-h", "--help"),
    usage = "[--config <file>]"
)]
pub(super) struct Version {}

/// The file that is converted if none is named.
const MWAN3: &str = "/etc/config/mwan3";

impl From<TypedCommand> for Command {
    fn from(typed: TypedCommand) -> Command {
        match typed {
            TypedCommand::Run(Run {
                foreground,
                last_good,
            }) => Command::Run {
                foreground,
                last_good: last_good.map(PathBuf::from),
            },
            TypedCommand::Check(Check {}) => Command::Check,
            TypedCommand::Status(Status {
                json,
                page,
                watch,
                connections,
            }) => Command::Status {
                shape: match (json, page) {
                    (_, true) => Shape::Page,
                    (true, false) => Shape::Json,
                    _ => Shape::Table,
                },
                watch,
                connections,
            },
            TypedCommand::Use(Use { provider }) => {
                let pin = |id: String| Command::Use((id != "auto").then_some(id));
                provider.map_or(Command::WithoutProvider("use"), pin)
            }
            TypedCommand::Disable(Disable { provider }) => {
                provider.map_or(Command::WithoutProvider("disable"), Command::Disable)
            }
            TypedCommand::Enable(Enable { provider }) => {
                provider.map_or(Command::WithoutProvider("enable"), Command::Enable)
            }
            TypedCommand::Reload(Reload {}) => Command::Reload,
            TypedCommand::Refresh(Refresh { interface }) => Command::Refresh(interface),
            TypedCommand::Log(Log { follow }) => Command::Log { follow },
            TypedCommand::Metrics(Metrics {}) => Command::Metrics,
            TypedCommand::Routes(Routes {}) => Command::Routes,
            TypedCommand::Explain(Explain { provider }) => Command::Explain(provider),
            TypedCommand::Probe(Probe {
                count,
                interval,
                provider,
                check,
            }) => Command::Probe {
                provider,
                check,
                count,
                interval,
            },
            TypedCommand::ImportMwan3(ImportMwan3 { file }) => {
                Command::ImportMwan3(file.unwrap_or_else(|| MWAN3.to_owned()).into())
            }
            TypedCommand::Version(Version {}) => Command::Version,
        }
    }
}
