//! The driver: wait → one event → engine → carry out actions. What decides is in the engine, what touches the system is in
//! `linux`; this wires them. Each part owns its state, and is handed what it needs of the others.
//!
//! | module | job |
//! |---|---|
//! | `start` | from a configuration file to a running daemon, and to its end |
//! | `context` | what all parts share: the engine, the poller, what is due |
//! | `token` | what wakes the loop |
//! | `commands` | what clients and signals ask for |
//! | `reload` | another configuration comes into force |
//!
//! | part | job |
//! |---|---|
//! | `routes` | the kernel's news → the engine; the engine's plans → the kernel |
//! | `asking` | the kernel is asked by which way packets leave |
//! | `probing` | rounds out, replies in |
//! | `netifd` | what netifd says of the providers' interfaces |
//! | `control` | the clients of the control socket |
//! | `answers` | what a client asks about, frame by frame |
//! | `snapshot` | how things stand: what status, explain, hooks, warnings and the saved state tell |
//! | `pin` | the sticky file |
//! | `announcer` | transitions are logged, and other programs hear of them |
//! | `warnings` | what a person should mend |
//! | `saving` | what the next run shall know |
//! | `state_dir` | the lock and the socket, made again when their directory was deleted |

mod announcer;
mod answers;
mod asking;
mod commands;
mod context;
mod control;
mod netifd;
mod pin;
mod probing;
mod reload;
mod routes;
mod saving;
mod snapshot;
mod start;
mod state_dir;
mod token;
mod warnings;

use heapless::Vec;

use crate::config::{Config, OnStop};
use crate::engine::Engine;
use crate::limits::PATHS_MAX;
use crate::linux::clock::now;
use crate::linux::control::{ClientId, Server};
use crate::linux::poll::ReadyList;
use crate::linux::probe::prober::Prober;
use crate::linux::process::ubus::Interfaces;
use crate::linux::signals::Signals;
use crate::routing::layout::{Tables, Wanted};
use crate::routing::mirror::Mirror;
use crate::routing::uplink::Uplink;
use crate::types::{Instant, PerFamily};
use announcer::{Announcer, Heard};
use asking::Asking;
use context::Context;
use control::Control;
use netifd::NetifdWatch;
use pin::Pin;
use probing::Probing;
use reload::Configuration;
use routes::{LaidOut, Refusals, RouteSync};
use saving::Saving;
use snapshot::Snapshot;
use state_dir::StateDir;
use token::Token;
use warnings::{Sources, Warnings};

pub use start::{Failure, run};

/// Everything large: a static of zeroes, of which two providers touch only their pages. The order of the parts is given, here
/// and in what they are made of, so that the beginnings of long lists, and what is small, share pages.
#[repr(C)]
pub(crate) struct Memory {
    engine: Engine,
    mirror: Mirror,
    /// What came of the last layout, in each family.
    laid_out: PerFamily<LaidOut>,
    /// What the kernel refuses, in each family.
    refusals: PerFamily<Refusals>,
    tables: Tables,
    prober: Prober,
    /// By `PathId::index`.
    uplinks: Vec<Uplink, PATHS_MAX>,
    /// What the kernel shall have in the family that is looked at.
    wanted: Wanted,
    interfaces: Interfaces,
    heard: Heard,
    server: Server,
    /// What a reload reads into.
    candidate: Config,
}

impl Memory {
    const fn new() -> Memory {
        Memory {
            engine: Engine::new(),
            mirror: Mirror::new(),
            laid_out: PerFamily {
                v4: LaidOut::new(),
                v6: LaidOut::new(),
            },
            refusals: PerFamily {
                v4: Refusals::new(),
                v6: Refusals::new(),
            },
            tables: Tables::new(),
            prober: Prober::new(),
            uplinks: Vec::new(),
            wanted: Wanted::new(),
            interfaces: Interfaces::new(),
            heard: Heard::new(),
            server: Server::new(),
            candidate: Config::new(),
        }
    }
}

/// The running daemon: its parts, and what they share.
struct Daemon<'m> {
    /// The engine, the poller, and what is due.
    cx: Context<'m>,
    routes: RouteSync<'m>,
    asking: Asking,
    probing: Probing<'m>,
    netifd: NetifdWatch<'m>,
    control: Control<'m>,
    pin: Pin,
    announcer: Announcer<'m>,
    warnings: Warnings,
    saving: Saving,
    state_dir: StateDir,
    configuration: Configuration<'m>,
    signals: Signals,
    started_at: Instant,
    /// The loop is to end, and to leave routes behind or not.
    stopping: Option<OnStop>,
}

impl Daemon<'_> {
    /// The loop. Nothing in it waits but the poller.
    fn serve(&mut self) -> Result<OnStop, Failure> {
        let mut list = ReadyList::new();
        loop {
            let engine_due = self.cx.engine.next_deadline();
            self.probing.sleeps_for(engine_due);
            self.cx.poller.set_deadline(self.next_deadline())?;
            for ready in self.cx.poller.wait(&mut list)? {
                if let Some(token) = Token::from_u64(ready.token) {
                    self.dispatch(token);
                }
            }
            if let Some(on_stop) = self.stopping {
                return Ok(on_stop);
            }
            self.time_passes();
            self.note_warnings();
            self.announcer.log(self.cx.engine);
            let interfaces = &*self.netifd.interfaces;
            self.announcer
                .announce(&mut self.cx, &self.routes, interfaces);
            self.saving
                .save(&mut self.cx, &self.routes, &mut self.state_dir);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.cx.engine.next_deadline(),
            self.routes.next_deadline(),
            self.asking.next_deadline(),
            self.probing.next_deadline(),
            self.netifd.interfaces.next_deadline(),
            self.control.next_deadline(),
            self.announcer.next_deadline(),
            self.state_dir.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Something has happened.
    fn dispatch(&mut self, token: Token) {
        let cx = &mut self.cx;
        match token {
            Token::Probe(source) => {
                self.probing.hear(source, cx, &self.routes);
            }
            Token::Kernel => self.routes.read_events(),
            Token::Netifd => self.hear_netifd(),
            Token::Signal => self.signalled(),
            Token::Sticky => self.pin.changed(cx),
            Token::StateDir => self.state_dir.changed(),
            Token::NetnsLock => self.state_dir.dismiss_askers(),
            Token::Listener => self.accept(),
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
        let cx = &mut self.cx;
        self.probing.time_passes(cx, &self.routes, now);
        while cx.engine.next_deadline().is_some_and(|at| at <= now) {
            if let Some(probes) = cx.tick(now) {
                self.probing.probe(&probes, cx, &self.routes, now);
            }
        }
        self.netifd.ask(cx, now);
        let unsaved = self.saving.unsaved;
        self.state_dir.mend(cx, &mut self.control, unsaved, now);
        self.announcer.give_up(now);
        self.control.expire(now);
        self.sync();
        self.asking.ask(&mut self.cx, &mut self.routes, now);
    }

    /// Brings engine and kernel together.
    fn sync(&mut self) {
        let interfaces = &*self.netifd.interfaces;
        self.routes
            .sync(&mut self.cx, &mut self.probing, interfaces);
    }

    /// Netifd has said something, or a child has ended.
    fn hear_netifd(&mut self) {
        let now = now();
        let cx = &mut self.cx;
        if self.netifd.interfaces.hear(now) {
            let interfaces = &*self.netifd.interfaces;
            cx.warnings_due = true;
            self.routes.devices_named(cx.engine, interfaces, now);
            self.routes
                .look_at_uplinks(cx, &mut self.probing, interfaces, now);
        }
        self.netifd.ask(cx, now);
    }

    /// Finds the warnings anew, if something has changed that they are about.
    fn note_warnings(&mut self) {
        if core::mem::take(&mut self.cx.warnings_due) {
            self.warnings.find(&Sources {
                snapshot: Snapshot::of(self.cx.engine, &self.routes, now()),
                routes: &self.routes,
                asking: &self.asking,
                probing: &self.probing,
                netifd: &self.netifd,
                pin: &self.pin,
            });
        }
    }
}
