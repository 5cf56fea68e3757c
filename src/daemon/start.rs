//! From a configuration file to a running daemon, and to its end.

use std::path::Path;
use std::sync::Mutex;
use std::{fmt, io};

use nix::errno::Errno;

use super::announcer::Announcer;
use super::asking::Asking;
use super::context::Context;
use super::control::Control;
use super::firewall::Firewall;
use super::last_good::LastGood;
use super::netifd::NetifdWatch;
use super::pin::Pin;
use super::probing::Probing;
use super::reload::{Configuration, FileProblems};
use super::routes::{RouteSync, remove_ours};
use super::saving::{self, Saving};
use super::state_dir::StateDir;
use super::token::Token;
use super::warnings::Warnings;
use super::{Daemon, Memory};
use crate::config::{Config, Ids, OnStop};
use crate::engine::Engine;
use crate::linux::clock::{self, now, pause};
use crate::linux::file::config_file;
use crate::linux::file::error::FileError;
use crate::linux::file::lock::{Lock, NotLocked};
use crate::linux::file::saved_state::{self, Loaded};
use crate::linux::netfilter::Netfilter;
use crate::linux::netlink::Requests;
use crate::linux::netns_lock::{NetnsLock, NetnsTaken};
use crate::linux::signals::Signals;
use crate::linux::{log, privileges};
use crate::option::{Problem, Severity};
use crate::routing::mirror::{Kinds, Mirror};
use crate::text::text;
use crate::types::{Cause, Duration, Kind};
use crate::wire::saved_state::BootId;

/// All large data, for the life of the process.
static MEMORY: Mutex<Memory> = Mutex::new(Memory::new());

/// How long the lock may still be held by a child that a dead daemon was just starting.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts to take the lock.
const PAUSE_MS: u8 = 10;

/// Why the daemon does not run.
pub enum Failure {
    /// the configuration is bad: the number of errors, which are reported already
    Configuration(u32),
    /// the configuration cannot be read, and why
    Unreadable(String),
    /// the process lacks a right: what to do
    NotPermitted(String),
    /// another daemon uses the state directory, or a system call failed
    Unavailable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Configuration(1) => f.write_str("the configuration has an error"),
            Failure::Configuration(errors) => write!(f, "the configuration has {errors} errors"),
            Failure::Unreadable(what)
            | Failure::NotPermitted(what)
            | Failure::Unavailable(what) => f.write_str(what),
        }
    }
}

/// A system call failed that the daemon depends on.
fn unavailable(error: impl fmt::Display) -> Failure {
    Failure::Unavailable(error.to_string())
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        unavailable(io::Error::from(errno))
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Failure {
        unavailable(error)
    }
}

/// A configuration that can be used.
pub(super) struct Good {
    /// for the status
    pub(super) warnings: Vec<String>,
    /// the file's
    pub(super) text: Vec<u8>,
}

/// Runs the daemon until it is asked to stop; if the file is bad, on the copy of the last good one, if that is named. Problems
/// of the configuration go to `report`, as lines of text.
pub fn run(
    file: &Path,
    last_good: Option<&Path>,
    foreground: bool,
    report: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Result<(), Failure> {
    // First: threads and children inherit the blocked signals.
    let signals = Signals::new()?;
    let mut memory = MEMORY.lock().map_err(unavailable)?;
    let memory = &mut *memory;
    let mut last_good = LastGood::new(last_good.map(Path::to_owned));
    let config = memory.engine.first_config();
    let problems = last_good.begin(file, config, report)?;
    let globals = &memory.engine.config().globals;
    let missing = privileges::missing();
    log::init(foreground, globals.syslog_level);
    if !globals.enabled {
        report(format_args!(
            "{}: option enabled is '0' in section globals: nothing to do",
            file.display()
        ));
        return match globals.on_stop {
            OnStop::Restore if missing.is_none() => remove_leavings(&mut memory.mirror),
            _ => Ok(()),
        };
    }
    if let Some(missing) = missing {
        return Err(Failure::NotPermitted(missing.to_owned()));
    }
    live(memory, signals, file, last_good, problems)
}

/// From the lock to the stop. A function of its own, so that the daemon reuses the stack that reading a configuration took.
#[inline(never)]
fn live(
    memory: &mut Memory,
    signals: Signals,
    file: &Path,
    last_good: LastGood,
    problems: FileProblems,
) -> Result<(), Failure> {
    let globals = &memory.engine.config().globals;
    let lock = patiently(
        || Lock::take_if_there_is_room(&globals.state_dir),
        NotLocked::by_dead,
    )?;
    let passes = |held: &NetnsTaken| held.by_dead() || held.by_probe();
    let netns_lock = patiently(NetnsLock::take, passes)?;
    let pin = Pin::open(memory.engine.config())?;
    let boot = clock::boot_id()?;
    if !recall(&mut memory.engine, boot) {
        pin.adopt(&mut memory.engine);
    }
    let mut daemon = Daemon {
        announcer: Announcer::new(&mut memory.heard, &memory.engine),
        cx: Context::new(&mut memory.engine)?,
        routes: RouteSync::new(
            &mut memory.mirror,
            &mut memory.uplinks,
            &mut memory.tables,
            (&mut memory.delegated, &mut memory.resolvers),
            &mut memory.laid_out,
            &mut memory.refusals,
            &mut memory.wanted,
        )
        .map_err(unavailable)?,
        firewall: Firewall::new(&mut memory.firewall, &mut memory.handovers),
        asking: Asking::default(),
        probing: Probing::new(&mut memory.prober),
        netifd: NetifdWatch::new(&mut memory.interfaces),
        control: Control::new(&mut memory.server),
        pin,
        warnings: Warnings::default(),
        saving: Saving::new(boot),
        state_dir: StateDir::new(lock, netns_lock),
        configuration: Configuration {
            file: file.to_owned(),
            candidate: &mut memory.candidate,
            reloads: 0,
            problems,
        },
        last_good,
        signals,
        started_at: now(),
        stopping: None,
    };
    daemon.configuration.problems.log_copy();
    log::info(format_args!(
        "failover {} takes care of {}",
        env!("CARGO_PKG_VERSION"),
        Ids(daemon.cx.engine.config())
    ));
    daemon.begin()?;
    if std::env::var_os(privileges::CONFINED_VARIABLE).is_some()
        && let Err(errno) = privileges::confine()
    {
        log::warn(format_args!(
            "capabilities cannot be given up: {}",
            io::Error::from(errno)
        ));
    }
    let on_stop = daemon.serve()?;
    daemon.end(on_stop);
    Ok(())
}

/// Takes the lock of the state directory; waits a little if a dead daemon still holds it.
fn patiently<T, E: fmt::Display>(
    take: impl Fn() -> Result<T, E>,
    by_dead: fn(&E) -> bool,
) -> Result<T, Failure> {
    let end = now() + PATIENCE;
    loop {
        match take() {
            Err(error) if by_dead(&error) && now() < end => pause(PAUSE_MS),
            result => return result.map_err(unavailable),
        }
    }
}

/// Cleans up after a former run that was killed, if no daemon is to take over from it now.
fn remove_leavings(mirror: &mut Mirror) -> Result<(), Failure> {
    let Ok(_netns_lock) = NetnsLock::take() else {
        return Ok(()); // another daemon uses them
    };
    let mut requests = Requests::open().map_err(unavailable)?;
    requests.dump(mirror, Kinds::ALL).map_err(unavailable)?;
    remove_ours(&mut requests, mirror);
    let _ = Netfilter::new().delete_table(); // where the kernel has such
    Ok(())
}

/// Reads a configuration into `config`.
pub(super) fn load(
    file: &Path,
    config: &mut Config,
    report: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Result<Good, Failure> {
    let content = config_file::read(file).map_err(|error| match error.errno() {
        Some(Errno::EACCES) => Failure::NotPermitted(error.to_string()),
        _ => Failure::Unreadable(error.to_string()),
    })?;
    let name = file.display();
    let mut warnings = Vec::new();
    let errors = config_file::load_text(&content, config, &mut |problem| {
        report(format_args!("{name}:{problem}"));
        if problem.severity == Severity::Warning {
            let Problem { line, message, .. } = problem;
            warnings.push(format!("{name}:{line}: {message}"));
        }
    });
    match errors {
        0 => Ok(Good {
            warnings,
            text: content,
        }),
        errors => Err(Failure::Configuration(errors)),
    }
}

impl Daemon<'_> {
    /// Adopts the kernel's routes, and opens the control socket.
    fn begin(&mut self) -> Result<(), Failure> {
        let Daemon {
            cx,
            routes,
            firewall,
            probing,
            netifd,
            pin,
            ..
        } = self;
        let begun = routes.begin(cx.engine, netifd.interfaces);
        begun.map_err(unavailable)?;
        firewall.begin(cx, routes, now());
        probing.fit(cx.engine);
        pin.obey(cx);
        netifd.follow(cx, now());
        routes.devices_named(cx.engine, netifd.interfaces, now());
        routes.look_at_uplinks(cx, probing, netifd.interfaces, now());
        self.sync();
        self.state_dir.begin(&self.cx, &mut self.control)?;
        self.cx.watch(self.routes.events.fd(), Token::Kernel)?;
        self.cx.watch(&self.signals, Token::Signal)?;
        self.pin.watch(&self.cx)?;
        self.state_dir.watch_netns_lock(&self.cx)?;
        self.announcer.log(&mut self.cx);
        self.saving
            .save(&mut self.cx, &self.routes, &mut self.state_dir);
        Ok(())
    }

    /// A clean stop.
    fn end(&mut self, on_stop: OnStop) {
        self.probing.stop();
        self.netifd.interfaces.stop();
        self.announcer.stop();
        self.control.server.close();
        if on_stop == OnStop::Restore {
            self.routes.remove_routes();
        }
        self.firewall.stop(on_stop == OnStop::Restore);
        let engine = &mut self.cx.engine;
        engine.note(now(), None, None, Kind::Stopped, Cause::Cleanly);
        self.cx.save_due = true;
        self.saving
            .save(&mut self.cx, &self.routes, &mut self.state_dir);
        log::info(format_args!("stopped"));
    }
}

/// Puts the first configuration into force, with the slots and the saved state of a former run. Returns whether there is a
/// saved state.
fn recall(engine: &mut Engine, boot: BootId) -> bool {
    let saved = match saved_state::read(&engine.config().globals.state_dir, boot) {
        Loaded::Nothing => None,
        Loaded::Ignored(why) => {
            log::warn(format_args!("{why}"));
            None
        }
        Loaded::Saved(saved) => Some(saved),
    };
    let slot_of = |id: &str| {
        let saved = saved.as_ref()?;
        saving::slot_of(saved, id)
    };
    engine.first_config().assign_slots(&slot_of);
    engine.begin(now());
    if let Some(saved) = &saved {
        saving::restore(engine, saved.records(), now());
    }
    let version = Cause::Version(text(format_args!("{}", env!("CARGO_PKG_VERSION"))));
    engine.note(now(), None, None, Kind::Started, version);
    saved.is_some()
}
