//! The driver: wait → one event → core → carry out actions. What decides is in the core, what touches the system is in
//! `linux`; this wires them.
//!
//! | module | job |
//! |---|---|
//! | `start` | from a configuration file to a running daemon |
//! | `explain` | why a provider is or is not in use, in sentences |
//! | `announcer` | other programs hear of transitions |
//! | `interfaces` | what netifd says of the providers' interfaces |
//! | `routes` | the kernel's news → the core; the core's plans → the kernel |
//! | `asking` | the kernel is asked by which way packets leave |
//! | `attempt` | one attempt at bringing the kernel to a plan |
//! | `picture` | the picture of the kernel's state is kept true |
//! | `probing` | rounds out, replies in |
//! | `refusals` | what the kernel refuses, and when to ask for it again |
//! | `control` | what clients, signals and the sticky file ask for |
//! | `saving` | what the next run shall know |
//! | `state_dir` | the door for clients, opened again when its directory was deleted |
//! | `status` | the observable snapshot |
//! | `warnings` | what a person should mend |

mod announcer;
mod asking;
mod attempt;
mod control;
mod explain;
mod interfaces;
mod picture;
mod probing;
mod refusals;
mod routes;
mod saving;
mod start;
mod state_dir;
mod status;
mod warnings;

use std::path::PathBuf;

use heapless::Vec;

use crate::config::{Config, OnStop};
use crate::engine::{Action, Actions, Engine, Event};
use crate::limits::{CLIENTS_MAX, PATHS_MAX};
use crate::linux::clock::now;
use crate::linux::control::{ClientId, Server};
use crate::linux::file::lock::Lock;
use crate::linux::file::state_dir::Guard;
use crate::linux::file::sticky::Sticky;
use crate::linux::netlink::{Events, Requests};
use crate::linux::netns_lock::NetnsLock;
use crate::linux::poll::{Interest, Poller, ReadyList};
use crate::linux::probe::prober::{Prober, Source};
use crate::linux::probe::session::Serial;
use crate::linux::process::hooks::Hooks;
use crate::linux::process::ubus::Interfaces;
use crate::linux::signals::Signals;
use crate::routing::layout::{Tables, Wanted};
use crate::routing::mirror::{Kinds, Mirror};
use crate::routing::uplink::Uplink;
use crate::types::{Duration, Instant, PerFamily};
use crate::wire::control::Counters;
use crate::wire::saved_state::BootId;

pub use start::{Failure, run};

/// Everything large: a static of zeroes, of which two providers touch only their pages. The order of the parts is given, here
/// and in what they are made of, so that the beginnings of long lists, and what is small, share pages.
#[repr(C)]
pub(crate) struct Memory {
    core: Engine,
    mirror: Mirror,
    /// What came of the last layout, in each family.
    laid_out: PerFamily<routes::LaidOut>,
    /// What the kernel refuses, in each family.
    refusals: PerFamily<refusals::Refusals>,
    tables: Tables,
    prober: Prober,
    /// By `PathId::index`.
    uplinks: Vec<Uplink, PATHS_MAX>,
    /// What the kernel shall have in the family that is looked at.
    wanted: Wanted,
    interfaces: Interfaces,
    heard: announcer::Heard,
    server: Server,
    /// What a reload reads into.
    candidate: Config,
}

impl Memory {
    const fn new() -> Memory {
        Memory {
            core: Engine::new(),
            mirror: Mirror::new(),
            laid_out: PerFamily {
                v4: routes::LaidOut::new(),
                v6: routes::LaidOut::new(),
            },
            refusals: PerFamily {
                v4: refusals::Refusals::new(),
                v6: refusals::Refusals::new(),
            },
            tables: Tables::new(),
            prober: Prober::new(),
            uplinks: Vec::new(),
            wanted: Wanted::new(),
            interfaces: Interfaces::new(),
            heard: announcer::Heard::new(),
            server: Server::new(),
            candidate: Config::new(),
        }
    }
}

/// A loop that wakes so much after the core's deadline was paused: stopped, suspended, or kept waiting by others.
const LATE: Duration = Duration::from_millis(10);

/// The running daemon.
struct Daemon<'m> {
    memory: &'m mut Memory,
    poller: Poller,
    requests: Requests,
    events: Events,
    signals: Signals,
    sticky: Sticky,
    /// Held for life: no second daemon has this state directory,
    lock: Lock,
    /// or this network namespace.
    alone: NetnsLock,
    /// Tells when another program deletes what is ours in the state directory.
    guard: Option<Guard>,
    /// When the state directory is looked at again: something of it is missing.
    mend_at: Option<Instant>,
    /// The last attempt to mend it failed.
    unmended: bool,
    boot: BootId,
    config_file: PathBuf,
    started_at: Instant,
    counters: Counters,
    /// What has changed in the kernel, and is not yet told to the core.
    news: Kinds,
    /// The kernel has told more than was read.
    more_news: bool,
    kernel: PerFamily<routes::Standing>,
    /// No dump before that: one has failed, or the next would leave the same doubts.
    dump_at: Option<Instant>,
    /// What there was no room for is looked at again.
    gaps: picture::Gaps,
    /// Something has changed that warnings are about.
    warnings_due: bool,
    /// What each client's descriptor is watched for.
    clients: [Option<Interest>; CLIENTS_MAX],
    hooks: Hooks,
    asking: asking::Asking,
    warnings: warnings::Warnings,
    /// The journal's entries that are logged already.
    logged: u32,
    save_wanted: bool,
    /// There may be something that the hooks have not heard of.
    hooks_due: bool,
    /// The last attempt to save failed.
    unsaved: bool,
    /// What the core waited for when the loop last slept.
    due: Option<Instant>,
    /// netifd has not told yet of all interfaces since the start, nor refused to: what a former run left, in the kernel
    /// and in its memory, holds.
    adopting: bool,
    /// The loop is to end, and to leave routes behind or not.
    stopping: Option<OnStop>,
}

/// What wakes the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// the kernel's links, addresses, routes or rules have changed
    Kernel,
    /// somebody has looked whether we are here
    NetnsLock,
    /// a signal has come
    Signal,
    /// something happened around the sticky file
    Sticky,
    /// a client knocks
    Listener,
    /// a client can be read from, or written to
    Client(usize),
    /// an answer to a probe has come
    Probe(Source),
    /// netifd says something
    Netifd,
    /// something of the state directory was deleted
    StateDir,
}

impl Daemon<'_> {
    /// The loop. Nothing in it waits but the poller.
    fn serve(&mut self) -> Result<OnStop, Failure> {
        let mut list = ReadyList::new();
        loop {
            self.due = self.memory.core.next_deadline();
            self.poller.set_deadline(self.next_deadline())?;
            for ready in self.poller.wait(&mut list)? {
                if let Some(token) = Token::from_u64(ready.token) {
                    self.dispatch(token);
                }
            }
            if let Some(on_stop) = self.stopping {
                return Ok(on_stop);
            }
            self.time_passes();
            self.note_warnings();
            self.log_news();
            self.announce();
            self.save();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let Memory {
            core,
            prober,
            interfaces,
            server,
            ..
        } = &*self.memory;
        let deadlines = [
            self.kernel.v4.due_at(),
            self.kernel.v6.due_at(),
            self.next_dump(),
            self.mend_at,
            core.next_deadline(),
            prober.next_deadline(),
            interfaces.next_deadline(),
            self.hooks.next_deadline(),
            server.next_deadline(),
            self.asking.next_deadline(),
            self.warnings.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn dispatch(&mut self, token: Token) {
        match token {
            Token::Probe(source) => {
                self.hear(source);
            }
            Token::Kernel => self.kernel_news(),
            Token::Signal => self.signalled(),
            Token::Sticky => self.sticky_changed(),
            Token::Netifd => self.hear_netifd(),
            Token::StateDir => self.state_dir_changed(),
            Token::Listener => self.accept(),
            Token::NetnsLock => {
                self.alone.dismiss();
            }
            Token::Client(index) => {
                if let Some(client) = ClientId::from_index(index) {
                    self.serve_client(client);
                }
            }
        }
        self.sync();
    }

    /// What is due is done.
    fn time_passes(&mut self) {
        let now = now();
        if self.due.is_some_and(|due| due + LATE <= now) {
            self.catch_up();
        }
        // Before the core does: a session knows why there is no answer.
        self.give_up(now);
        while self.memory.core.next_deadline().is_some_and(|at| at <= now) {
            self.tell(Event::Tick, now);
        }
        self.ask_netifd(now);
        self.mend_state_dir(now);
        self.hooks.give_up(now);
        self.expire_clients(now);
        self.warnings_due |= self.warnings.expire(now);
        self.sync();
        self.ask_kernel(now);
    }

    /// Tells the core of an event, and carries out what it answers.
    fn tell(&mut self, event: Event, now: Instant) {
        let actions = self.memory.core.handle(event, now);
        self.carry_out(&actions, now);
    }

    fn carry_out(&mut self, actions: &Actions, now: Instant) {
        for action in actions {
            match *action {
                Action::Probe {
                    path,
                    round,
                    checks,
                } => self.probe(path, round, checks, now),
                Action::Routes(family) => self.kernel[family].plan(),
                Action::Save => {
                    self.save_wanted = true;
                    self.hooks_due = true;
                    // What has just happened may be what a warning explains.
                    self.warnings_due = true;
                }
            }
        }
    }

    /// Logs what is new in the journal.
    fn log_news(&mut self) {
        let journal = self.memory.core.journal();
        if journal.written() == self.logged {
            return;
        }
        for entry in journal.since(self.logged) {
            let level = match entry.kind.is_grave() {
                true => log::Level::Warn,
                false => log::Level::Info,
            };
            let provider = entry.who.provider.as_deref().unwrap_or("failover");
            match entry.who.family {
                Some(family) => log::log!(
                    level,
                    "{provider} {family}: {}: {}",
                    entry.kind,
                    entry.cause
                ),
                None => log::log!(level, "{provider}: {}: {}", entry.kind, entry.cause),
            }
        }
        self.logged = journal.written();
    }
}

impl Token {
    const KINDS: u64 = 16;

    fn to_u64(self) -> u64 {
        let (kind, index) = match self {
            Token::Kernel => (0, 0),
            Token::Signal => (1, 0),
            Token::Sticky => (2, 0),
            Token::Listener => (3, 0),
            Token::Client(index) => (4, index),
            Token::Netifd => (5, 0),
            Token::Probe(Source::Echo(index)) => (6, index),
            Token::Probe(Source::Link(index)) => (7, index),
            Token::Probe(Source::Session(Serial(number))) => (8, number as usize),
            Token::NetnsLock => (9, 0),
            Token::StateDir => (10, 0),
        };
        index as u64 * Token::KINDS + kind
    }

    fn from_u64(token: u64) -> Option<Token> {
        let index = usize::try_from(token / Token::KINDS).ok()?;
        Some(match token % Token::KINDS {
            0 => Token::Kernel,
            1 => Token::Signal,
            2 => Token::Sticky,
            3 => Token::Listener,
            4 => Token::Client(index),
            5 => Token::Netifd,
            6 => Token::Probe(Source::Echo(index)),
            7 => Token::Probe(Source::Link(index)),
            8 => Token::Probe(Source::Session(Serial(u32::try_from(index).ok()?))),
            9 => Token::NetnsLock,
            10 => Token::StateDir,
            _ => return None,
        })
    }
}
