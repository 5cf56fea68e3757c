//! From a configuration file to a running daemon, and to its end.

use std::path::Path;
use std::sync::Mutex;
use std::thread::sleep;
use std::{fmt, io};

use nix::errno::Errno;

use super::routes::remove_ours;
use super::warnings::Warnings;
use super::{Daemon, Memory, Token, saving};
use crate::config::{Config, Ids, OnStop};
use crate::engine::Engine;
use crate::linux::clock::{self, now};
use crate::linux::file::config_file;
use crate::linux::file::error::FileError;
use crate::linux::file::lock::{Lock, NotLocked};
use crate::linux::file::saved_state::{self, Loaded};
use crate::linux::file::sticky::Sticky;
use crate::linux::netlink::{Events, Requests};
use crate::linux::netns_lock::{NetnsLock, NetnsTaken};
use crate::linux::poll::{Interest, Poller};
use crate::linux::process::hooks::Hooks;
use crate::linux::signals::Signals;
use crate::linux::{log as logging, privileges};
use crate::option::Severity;
use crate::routing::mirror::{Kinds, Mirror};
use crate::text::text;
use crate::types::{Cause, Duration, Kind, PerFamily};
use crate::wire::control::{Counters, Text};
use crate::wire::saved_state::BootId;

/// Everything large, from the start to the end of the process.
static MEMORY: Mutex<Memory> = Mutex::new(Memory::new());

/// A dead daemon's last child is another program, or gone, well within this time.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);

/// Why the daemon does not run.
pub enum Failure {
    /// the configuration is bad: so many errors, each reported already
    Configuration(u32),
    /// the configuration cannot be read, and why
    Unreadable(String),
    /// it lacks a right, with what to do
    NotPermitted(String),
    /// another daemon has the state directory, or the system refuses something
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

/// The system refuses something that the daemon cannot do without.
fn unavailable(error: impl fmt::Display) -> Failure {
    Failure::Unavailable(error.to_string())
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        unavailable(io::Error::from(errno))
    }
}

impl From<FileError> for Failure {
    fn from(trouble: FileError) -> Failure {
        unavailable(trouble)
    }
}

/// Runs the daemon until it is asked to stop. Problems of the configuration go to `report`, as lines for people.
pub fn run(
    file: &Path,
    foreground: bool,
    report: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Result<(), Failure> {
    // Before anything else: threads and children take over what is blocked.
    let signals = Signals::new()?;
    let mut memory = MEMORY.lock().map_err(unavailable)?;
    let memory = &mut *memory;
    let warnings = load(file, memory.core.first_config(), report)?;
    let globals = &memory.core.config().globals;
    let missing = privileges::missing();
    logging::init(foreground, globals.syslog_level);
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
    live(memory, signals, file, warnings)
}

/// From the lock to the stop. The stack that reading a configuration takes is used again for the daemon, which is why this
/// is a call.
#[inline(never)]
fn live(
    memory: &mut Memory,
    signals: Signals,
    file: &Path,
    warnings: Vec<Text>,
) -> Result<(), Failure> {
    let globals = &memory.core.config().globals;
    let lock = patiently(
        || Lock::take_if_there_is_room(&globals.state_dir),
        NotLocked::by_dead,
    )?;
    let passes = |held: &NetnsTaken| held.by_dead() || held.by_probe();
    let alone = patiently(NetnsLock::take, passes)?;
    let sticky = Sticky::open(&globals.sticky_file)?;
    let boot = clock::boot_id()?;
    let recalled = recall(&mut memory.core, boot);
    let mut daemon = Daemon {
        logged: memory.core.journal().written(), // the start is logged below
        memory,
        poller: Poller::new()?,
        requests: Requests::open().map_err(unavailable)?,
        events: Events::open().map_err(unavailable)?,
        signals,
        sticky,
        lock,
        guard: None,
        mend_at: None,
        unmended: false,
        alone,
        boot,
        config_file: file.to_owned(),
        started_at: now(),
        counters: Counters::default(),
        news: Kinds::NONE,
        more_news: false,
        dump_at: None,
        gaps: Default::default(),
        warnings_due: true,
        kernel: PerFamily::default(),
        clients: Default::default(),
        hooks: Hooks::default(),
        asking: Default::default(),
        warnings: Warnings::new(warnings),
        save_wanted: true,
        hooks_due: true,
        unsaved: false,
        due: None,
        adopting: true,
        stopping: None,
    };
    log::info!(
        "failover {} takes care of {}",
        env!("CARGO_PKG_VERSION"),
        Ids(daemon.memory.core.config())
    );
    if !recalled {
        daemon.adopt_pin();
    }
    daemon.begin()?;
    if std::env::var_os(privileges::CONFINED_VARIABLE).is_some()
        && let Err(errno) = privileges::confine()
    {
        log::warn!(
            "capabilities cannot be given up: {}",
            io::Error::from(errno)
        );
    }
    let on_stop = daemon.serve()?;
    daemon.end(on_stop);
    Ok(())
}

/// Takes what one daemon only may have; with some patience where a dead one has it.
fn patiently<T, E: fmt::Display>(
    take: impl Fn() -> Result<T, E>,
    by_dead: fn(&E) -> bool,
) -> Result<T, Failure> {
    let end = now() + PATIENCE;
    loop {
        match take() {
            Err(error) if by_dead(&error) && now() < end => sleep(PAUSE.into()),
            result => return result.map_err(unavailable),
        }
    }
}

/// Does what a former run should have done at its end, but was killed; nobody is to take over from it now.
fn remove_leavings(mirror: &mut Mirror) -> Result<(), Failure> {
    let Ok(_alone) = NetnsLock::take() else {
        return Ok(()); // they are another daemon's
    };
    let mut requests = Requests::open().map_err(unavailable)?;
    requests.dump(mirror, Kinds::ALL).map_err(unavailable)?;
    remove_ours(&mut requests, mirror);
    Ok(())
}

/// Reads a configuration into `config`. Its warnings, for the status.
pub(super) fn load(
    file: &Path,
    config: &mut Config,
    report: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Result<Vec<Text>, Failure> {
    let name = file.display();
    let mut warnings = Vec::new();
    let errors = config_file::load_config(file, config, &mut |problem| {
        report(format_args!("{name}:{problem}"));
        if problem.severity == Severity::Warning {
            warnings.push(text(format_args!(
                "{name}:{}: {}",
                problem.line, problem.message
            )));
        }
    });
    match errors {
        Ok(0) => Ok(warnings),
        Ok(errors) => Err(Failure::Configuration(errors)),
        Err(trouble) if trouble.errno() == Some(Errno::EACCES) => {
            Err(Failure::NotPermitted(trouble.to_string()))
        }
        Err(trouble) => Err(Failure::Unreadable(trouble.to_string())),
    }
}

impl Daemon<'_> {
    /// Takes over the kernel's routes, and opens the door to clients.
    fn begin(&mut self) -> Result<(), Failure> {
        self.watch_uplinks();
        self.requests
            .dump(&mut self.memory.mirror, Kinds::ALL)
            .map_err(unavailable)?;
        let Memory {
            core,
            mirror,
            tables,
            ..
        } = &mut *self.memory;
        tables.choose(core.config(), mirror.routes());
        self.found_gaps(now());
        self.share_room();
        self.nothing_is_news();
        let pinned = self.sticky.pinned().clone();
        self.obey_sticky_file(pinned);
        self.follow_interfaces(now());
        self.devices_named(now());
        self.look_at_uplinks(now());
        self.plan_all();
        self.sync();
        self.open_door()?;
        let Daemon {
            poller,
            events,
            signals,
            sticky,
            alone,
            ..
        } = self;
        poller.add(events.fd(), Token::Kernel.to_u64(), Interest::READ)?;
        poller.add(&*signals, Token::Signal.to_u64(), Interest::READ)?;
        poller.add(&*sticky, Token::Sticky.to_u64(), Interest::READ)?;
        if let Some(askers) = alone.fd() {
            poller.add(askers, Token::NetnsLock.to_u64(), Interest::READ)?;
        }
        self.log_news();
        self.save();
        Ok(())
    }

    /// A clean stop.
    fn end(&mut self, on_stop: OnStop) {
        self.memory.prober.stop();
        self.memory.interfaces.stop();
        self.hooks.stop();
        self.memory.server.close();
        if on_stop == OnStop::Restore {
            self.remove_routes();
        }
        let core = &mut self.memory.core;
        core.note(now(), None, None, Kind::Stopped, Cause::Cleanly);
        self.save_wanted = true;
        self.save();
        log::info!("stopped");
    }
}

/// Puts the first configuration in force, with the slots and the knowledge of a former run.
/// Whether there is any.
fn recall(core: &mut Engine, boot: BootId) -> bool {
    let saved = match saved_state::read(&core.config().globals.state_dir, boot) {
        Loaded::Nothing => None,
        Loaded::Ignored(why) => {
            log::warn!("{why}");
            None
        }
        Loaded::Saved(saved) => Some(saved),
    };
    let slot_of = |id: &str| {
        let saved = saved.as_ref()?;
        saving::slot_of(saved, id)
    };
    core.first_config().assign_slots(&slot_of);
    core.begin(now());
    if let Some(saved) = &saved {
        saving::restore(core, saved.records(), now());
    }
    let version = Cause::Version(text(format_args!("{}", env!("CARGO_PKG_VERSION"))));
    core.note(now(), None, None, Kind::Started, version);
    saved.is_some()
}
