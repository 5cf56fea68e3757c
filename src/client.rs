//! The commands: they ask the daemon over its socket, and show the answer.
//!
//! | module | job |
//! |---|---|
//! | `check` | `check` |
//! | `table` | `status` as text |
//! | `json` | `status --json` |
//! | `connections` | `status --connections` |
//! | `explain` | `explain` |
//! | `watch` | `status --watch` |
//! | `journal` | `log` |
//! | `metrics` | `metrics` |
//! | `routes` | `routes` |
//! | `probe` | `probe` |
//! | `hint` | the commands in messages |
//! | `text` | text for a terminal: wrapped, aligned, without control characters |

mod check;
pub mod cli;
mod connections;
mod explain;
#[cfg(test)]
mod fixture;
pub mod hint;
mod journal;
mod json;
mod metrics;
mod probe;
mod routes;
mod table;
pub(crate) mod text;
mod watch;

pub use check::check;
pub use probe::{Errand, probe};
pub use routes::routes;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::client::cli::{Command, Exit};
use crate::config::{CONFIG_FILES, Config, Globals, Ids};
use crate::linux::connection::{Answer, AskError, ask};
use crate::linux::control::SOCKET;
use crate::linux::file::config_file::{CONFIG_VARIABLE, load_config, missing_config};
use crate::linux::file::error::FileError;
use crate::linux::file::open::directory_and_name;
use crate::linux::netlink::Requests;
use crate::linux::terminal::{self, Ticker};
use crate::linux::{clock, netns_lock};
use crate::routing::mirror::{EachNamed, Kinds, Mirror};
use crate::types::{Fault, Name};
use crate::wire::control::{NOT_PERMITTED, Request};
use crate::wire::frame::FrameError;

/// The configuration's place if none is named, and none exists: for a daemon with a copy of it, and for a command while a
/// daemon runs.
pub fn without_config(command: &Command) -> Option<PathBuf> {
    let has_copy = matches!(command, Command::Run { last_good, .. } if last_good.is_some());
    let outlived = || netns_lock::daemon().is_some();
    (has_copy || outlived()).then(|| missing_config().to_owned())
}

/// No configuration is named, and none exists.
pub fn no_config() -> Exit {
    let [first, second] = CONFIG_FILES;
    complain(
        Exit::BadConfig,
        &format_args!(
            "no configuration: ${CONFIG_VARIABLE} is not set, and neither {first} nor {second} exists.\n\
             Write one of them, or name one with --config."
        ),
    )
}

/// `version`
pub fn version() -> Exit {
    print(concat!("failover ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// Frames are missing from an answer.
const INCOMPLETE: &str = "the daemon's status is incomplete";

/// The form of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// for people
    Table,
    /// for programs
    Json,
    /// the same, with all that a web page shows
    Page,
}

/// `status`
pub fn status(file: &Path, shape: Shape, watched: bool, connections: bool) -> Exit {
    let config = match settings(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let colours = terminal::has_colours();
    let render = || {
        let request = match shape {
            Shape::Page => Request::Page,
            _ => Request::Status,
        };
        let mut answer = asked(file, &config, &request)?;
        if let Some(refused) = &answer.refused {
            return Err((Exit::NoDaemon, text::plain(refused)));
        }
        if connections {
            connections::count(&mut answer)?;
        }
        let now_ms = clock::wall_clock_ms();
        let text = match shape {
            Shape::Json => json::render(&answer, None),
            Shape::Table => table::render(&answer, colours, now_ms),
            Shape::Page => json::render(&answer, Some(now_ms)),
        };
        text.ok_or_else(|| (Exit::Bug, INCOMPLETE.to_owned()))
    };
    if watched {
        let between = if shape == Shape::Table { "\n" } else { "" };
        return watch::watch(between, render);
    }
    match render() {
        Ok(text) => print(&text),
        Err((exit, complaint)) => complain(exit, &complaint),
    }
}

/// `log`
pub fn log(file: &Path, follows: bool) -> Exit {
    if follows {
        return journal::follow(file);
    }
    match answer(file, &Request::Log) {
        Ok(answer) => print(&journal::render(
            &answer.entries,
            &mut [0; journal::COLUMNS],
        )),
        Err(exit) => exit,
    }
}

/// `metrics`
pub fn metrics(file: &Path) -> Exit {
    told(file, &Request::Status, &metrics::render)
}

/// `explain`
pub fn explain(file: &Path, provider: Option<&str>) -> Exit {
    match provider.map(name).transpose() {
        Ok(id) => told(file, &Request::Explain(id), &explain::render),
        Err(exit) => exit,
    }
}

/// Prints what the daemon's answer says, at the wall-clock time.
fn told(file: &Path, request: &Request, render: &dyn Fn(&Answer, u64) -> Option<String>) -> Exit {
    let answer = match answer(file, request) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    match render(&answer, clock::wall_clock_ms()) {
        Some(text) => print(&text),
        None => complain(Exit::Bug, &INCOMPLETE),
    }
}

/// The daemon's answer; its notes are printed. Or prints the error, and returns the exit code.
fn answer(file: &Path, request: &Request) -> Result<Box<Answer>, Exit> {
    let config = settings(file)?;
    let answer = match asked(file, &config, request) {
        Ok(answer) => answer,
        Err((exit, complaint)) => return Err(complain(exit, &complaint)),
    };
    let mut notes = String::new();
    for note in &answer.notes {
        notes.push_str(&hint::completed(&text::plain(note)));
        notes.push('\n');
    }
    terminal::note(&notes);
    let Some(refused) = &answer.refused else {
        return Ok(answer);
    };
    let exit = match request {
        _ if refused.as_str() == NOT_PERMITTED => Exit::NotPermitted,
        Request::Status | Request::Log => Exit::NoDaemon,
        Request::Reload => Exit::BadConfig,
        Request::Refresh(_) => Exit::Ok,
        _ => Exit::Usage,
    };
    Err(complain(exit, &text::plain(refused)))
}

/// `use`, `disable`, `enable` and `probe` without a provider: lists the configured ones.
pub fn without_provider(command: &str, file: Option<&Path>) -> Exit {
    let or_auto = if command == "use" { "auto, or " } else { "" };
    let mut config = Box::new(Config::new());
    let loaded = file.map(|file| load_config(file, &mut config, &mut |_| {}));
    let expected = match loaded {
        Some(Ok(_)) if config.enabled().next().is_some() => {
            format!("{or_auto}one of these providers: {}", Ids(&config))
        }
        _ => format!("{or_auto}a provider's id"),
    };
    let words = match command {
        "use" => "PROVIDER` or `failover use auto",
        "probe" => "PROVIDER [CHECK]",
        _ => "PROVIDER",
    };
    let text =
        format_args!("{command} what? Expected {expected}\nUsage: `failover {command} {words}`");
    complain(Exit::Usage, &text)
}

/// `use`
pub fn pin(file: &Path, provider: Option<&str>) -> Exit {
    let Some(id) = provider else {
        return order(file, &Request::Use(None), "the daemon chooses");
    };
    let done = format!("{id} is pinned until `failover use auto`");
    order_about(file, id, &|id| Request::Use(Some(id)), &done)
}

/// `disable`
pub fn disable(file: &Path, provider: &str) -> Exit {
    let done = format!("{provider} is out of use until `failover enable {provider}` or a restart");
    order_about(file, provider, &Request::Disable, &done)
}

/// `enable`
pub fn enable(file: &Path, provider: &str) -> Exit {
    let done = format!("{provider} is not disabled any more");
    order_about(file, provider, &Request::Enable, &done)
}

/// `reload`
pub fn reload(file: &Path) -> Exit {
    order(file, &Request::Reload, "the configuration is loaded")
}

/// `refresh`. An interface that no provider uses is no error: hotplug scripts report them all.
pub fn refresh(file: &Path, interface: Option<&str>) -> Exit {
    // A name that is too long for a message stands for all: one call asks for all.
    let interface = interface.and_then(|name| name.try_into().ok());
    order(file, &Request::Refresh(interface), "netifd is asked again")
}

/// No provider can have an id that is too long for a message, so such an id is refused without the daemon.
fn name(id: &str) -> Result<Name, Exit> {
    let too_long = format_args!("no provider has so long an id: {id}");
    id.try_into().map_err(|_| complain(Exit::Usage, &too_long))
}

fn order_about(file: &Path, id: &str, request: &dyn Fn(Name) -> Request, done: &str) -> Exit {
    match name(id) {
        Ok(id) => order(file, &request(id), done),
        Err(exit) => exit,
    }
}

/// Sends a command to the daemon, and prints that it is done.
fn order(file: &Path, request: &Request, done: &str) -> Exit {
    match answer(file, request) {
        Ok(_) => print(&format!("{}\n", hint::completed(done))),
        Err(exit) => exit,
    }
}

/// The settings that a command needs. The status of the daemon is shown even if the configuration is damaged.
fn settings(file: &Path) -> Result<Box<Config>, Exit> {
    let mut config = Box::new(Config::new());
    let errors = load_config(file, &mut config, &mut |_| {});
    if let Err(error) = &errors {
        let secret = error.errno() == Some(Errno::EACCES);
        let name = file.as_os_str().as_encoded_bytes();
        let usual = || CONFIG_FILES.iter().any(|usual| usual.as_bytes() == name);
        config.globals = Globals::default();
        let state_dir = Path::new(config.globals.state_dir.as_str());
        // A member of `control_group` may have no right to read it; and a daemon outlives its file.
        let may_answer = match secret {
            true => state_dir.join(SOCKET).exists(),
            false => usual() && netns_lock::daemon().is_some(),
        };
        if may_answer {
            if !secret {
                complain(Exit::Ok, error);
            }
            return Ok(config);
        }
    }
    if errors.map_err(|error| unreadable(&error))? > 0 {
        let file = file.display();
        let text = format_args!("{file} has errors: `failover check` lists them");
        complain(Exit::Ok, &text);
    }
    Ok(config)
}

/// The clock of what is shown again and again, if there is one.
fn ticker() -> Result<Ticker, Exit> {
    Ticker::new().map_err(|error| complain(Exit::Bug, &format_args!("no timer: {error}")))
}

/// What the kernel has of these kinds; what is named has room before all others.
fn look(
    requests: &mut Requests,
    named: &EachNamed<'_>,
    kinds: Kinds,
) -> (Box<Mirror>, Result<Kinds, Fault>) {
    let mut mirror = Box::new(Mirror::new());
    mirror.watch(named);
    let dumped = requests.dump(&mut mirror, kinds);
    (mirror, dumped)
}

pub(crate) fn unreadable(error: &FileError) -> Exit {
    let exit = match error.errno() {
        Some(Errno::EACCES) => Exit::NotPermitted,
        _ => Exit::BadConfig,
    };
    complain(exit, error)
}

/// The daemon's answer; or the exit code, and what is wrong.
fn asked(file: &Path, config: &Config, request: &Request) -> Result<Box<Answer>, (Exit, String)> {
    ask(state_dir(config), request).map_err(|error| unasked(&error, file, config, request))
}

fn state_dir(config: &Config) -> &Path {
    Path::new(config.globals.state_dir.as_str())
}

/// Why there is no answer: the exit code, and what is wrong.
fn unasked(error: &AskError, file: &Path, config: &Config, request: &Request) -> (Exit, String) {
    let state_dir = state_dir(config);
    let socket = state_dir.join(SOCKET);
    let socket = socket.display();
    let exit = match error {
        AskError::NotPermitted => Exit::NotPermitted,
        AskError::Errno(_) => Exit::Bug,
        AskError::Frame(FrameError::Version(_)) => Exit::NoDaemon,
        AskError::Frame(_) => Exit::Bug,
        _ => Exit::NoDaemon,
    };
    let about = |error: &dyn Display| format!("{socket}: {error}");
    let what = match error {
        AskError::NoDaemon => match netns_lock::daemon() {
            Some(pid) => format!(
                "the daemon, process {pid}, does not listen on {socket}: it uses another configuration or \
                     state_dir, or is making its state_dir again.\n\
                     Name its configuration with --config; a changed state_dir takes a restart."
            ),
            None => format!(
                "no daemon is running: nothing listens on {socket}.\n{}",
                without_daemon(file, config, request)
            ),
        },
        AskError::NotPermitted => format!(
            "not permitted to open {socket}: only its owner, mostly root, may, and members of control_group, \
                 who must also be able to enter {}.",
            state_dir.display()
        ),
        AskError::Silent => {
            format!("the daemon behind {socket} does not answer: is it stopped, or stuck?")
        }
        AskError::Closed => {
            format!("the daemon behind {socket} is too busy, or ends. Try again.")
        }
        AskError::Frame(error) => about(error),
        AskError::Errno(errno) => about(&io::Error::from(*errno)),
    };
    (exit, what)
}

/// What to do instead.
fn without_daemon(file: &Path, config: &Config, request: &Request) -> String {
    let off = match config.globals.enabled {
        true => String::new(),
        false => format!(
            "It is switched off by `option enabled '0'` in section globals of {}: set that to '1'.\n",
            file.display()
        ),
    };
    off + &instead(config, request)
}

fn instead(config: &Config, request: &Request) -> String {
    let sticky = &config.globals.sticky_file;
    match request {
        Request::Use(Some(id)) => {
            let (directory, _) = directory_and_name(Path::new(sticky.as_str()));
            let make = match directory.exists() {
                false => format!("mkdir -p {} && ", directory.display()),
                true => String::new(),
            };
            let doubt = match config.usable(id) {
                Ok(_) => String::new(),
                Err(unusable) => format!("\nBut {unusable}."),
            };
            format!("`{make}echo {id} > {sticky}` pins it for the next start.{doubt}")
        }
        Request::Use(None) => format!("`: > {sticky}` takes the pin away for the next start."),
        _ => "Start it as a service, or with `failover run`.".to_owned(),
    }
}

/// Prints an error on stderr; returns the exit code.
fn complain(exit: Exit, text: &dyn Display) -> Exit {
    let text = text.to_string();
    let text = hint::completed(&text);
    terminal::note(&format!("failover: {}\n", text.trim_ascii_end()));
    exit
}

/// Prints to stdout. A closed pipe is no error.
pub(crate) fn print(text: &str) -> Exit {
    match terminal::print(text) {
        Ok(()) | Err(Errno::EPIPE) => Exit::Ok,
        Err(errno) => complain(
            Exit::Bug,
            &format_args!("stdout: {}", io::Error::from(errno)),
        ),
    }
}
