//! The driver: wait → one event → engine → carry out actions. The engine decides, `linux` accesses the system, and this
//! connects them. Each part owns its state, and gets references to what it needs of other parts.
//!
//! | module | job |
//! |---|---|
//! | `start` | from a configuration file to a running daemon, and to its end |
//! | `context` | shared by all parts: the engine, the poller, the work that is due |
//! | `token` | the events that wake the loop |
//! | `commands` | the commands of clients and signals |
//! | `reload` | another configuration comes into force |
//!
//! | part | job |
//! |---|---|
//! | `routes` | the kernel's news → the engine; the engine's plans → the kernel |
//! | `firewall` | the table that marks connections; hands them over |
//! | `asking` | asks the kernel by which route packets leave |
//! | `flux` | two providers on one link |
//! | `probing` | rounds out, replies in |
//! | `netifd` | the state of the providers' interfaces, by netifd |
//! | `control` | the clients of the control socket |
//! | `answers` | the answers to clients, frame by frame |
//! | `snapshot` | the current state, for status, explain, hooks, warnings and the saved state |
//! | `pin` | the sticky file |
//! | `announcer` | logs transitions, and runs hooks for them |
//! | `warnings` | the problems that the user should correct |
//! | `last_good` | the copy of the last good configuration |
//! | `saving` | the state that the next run restores |
//! | `state_dir` | the lock and the socket, made again when their directory was deleted |

mod announcer;
mod answers;
mod asking;
mod commands;
mod context;
mod control;
mod firewall;
mod flux;
mod host_route;
mod last_good;
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
use crate::firewall::handover::Handovers;
use crate::firewall::plan::Plan;
use crate::limits::PATHS_MAX;
use crate::linux::clock::now;
use crate::linux::control::{ClientId, Server};
use crate::linux::poll::ReadyList;
use crate::linux::probe::prober::Prober;
use crate::linux::process::ubus::Interfaces;
use crate::linux::signals::Signals;
use crate::routing::delegated::Delegated;
use crate::routing::layout::{Tables, Wanted};
use crate::routing::mirror::Mirror;
use crate::routing::resolvers::Resolvers;
use crate::routing::uplink::Uplink;
use crate::types::{Instant, PerFamily, soonest};
use announcer::{Announcer, Heard};
use asking::Asking;
use context::Context;
use control::Control;
use firewall::Firewall;
use last_good::LastGood;
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

/// All large data: a static that is all zeroes at first, of which a few providers touch only a few pages. The order of
/// fields is fixed, here and in the parts, so that small fields and the beginnings of long lists share pages.
#[repr(C)]
pub(crate) struct Memory {
    engine: Engine,
    mirror: Mirror,
    /// The result of the last layout, per family.
    laid_out: PerFamily<LaidOut>,
    /// The changes that the kernel refuses, per family.
    refusals: PerFamily<Refusals>,
    tables: Tables,
    /// The IPv6 prefixes that are delegated to providers.
    delegated: Delegated,
    /// The resolvers that are asked through a provider.
    resolvers: Resolvers,
    prober: Prober,
    /// By `PathId::index`.
    uplinks: Vec<Uplink, PATHS_MAX>,
    /// The wanted routes and rules of the family that is being synchronized.
    wanted: Wanted,
    interfaces: Interfaces,
    server: Server,
    heard: Heard,
    /// What is to be handed over, per family.
    handovers: PerFamily<Handovers>,
    /// What the firewall table depends on.
    firewall: Plan,
    /// The memory that a reload reads into.
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
            delegated: Delegated::new(),
            resolvers: Resolvers::new(),
            prober: Prober::new(),
            uplinks: Vec::new(),
            wanted: Wanted::new(),
            interfaces: Interfaces::new(),
            server: Server::new(),
            heard: Heard::new(),
            handovers: PerFamily {
                v4: Handovers::new(),
                v6: Handovers::new(),
            },
            firewall: Plan::new(),
            candidate: Config::new(),
        }
    }
}

/// The running daemon: its parts, and their shared context.
struct Daemon<'m> {
    /// The engine, the poller, and the work that is due.
    cx: Context<'m>,
    routes: RouteSync<'m>,
    firewall: Firewall<'m>,
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
    last_good: LastGood,
    signals: Signals,
    started_at: Instant,
    /// The loop must end; whether it leaves the routes in place.
    stopping: Option<OnStop>,
}

impl Daemon<'_> {
    /// The loop. It blocks in the poller only.
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
            self.last_good.write(&mut self.cx);
            self.note_warnings();
            self.announcer.log(&mut self.cx);
            let interfaces = &*self.netifd.interfaces;
            self.announcer
                .announce(&mut self.cx, &self.routes, interfaces);
            self.saving
                .save(&mut self.cx, &self.routes, &mut self.state_dir);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        soonest(&[
            &self.cx.engine.next_deadline(),
            &self.routes.next_deadline(),
            &self.firewall.next_deadline(),
            &self.asking.next_at,
            &self.probing.next_deadline(),
            &self.netifd.interfaces.next_deadline(),
            &self.control.next_deadline(),
            &self.announcer.next_deadline(),
            &self.state_dir.mend_at,
            &self.cx.handing_over.then_some(Instant::ZERO),
        ])
    }

    /// Handles one event of the poller.
    fn dispatch(&mut self, token: Token) {
        let cx = &mut self.cx;
        match token {
            Token::Probe(source) => {
                self.probing.hear(source, cx, &self.routes);
            }
            Token::Kernel => self.routes.read_events(),
            Token::Netifd => self.hear_netifd(),
            Token::Resolvers => self.netifd.resolvers_changed(cx, now()),
            Token::Signal => self.signalled(),
            Token::Sticky => self.pin.changed(cx),
            Token::StateDir => self.state_dir.changed(),
            Token::Table => self.firewall.read_events(),
            Token::Nft => self.firewall.write(&self.routes),
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

    /// Does the work that is due.
    fn time_passes(&mut self) {
        let now = now();
        let cx = &mut self.cx;
        self.probing.time_passes(cx, &self.routes, now);
        while cx.engine.next_deadline().is_some_and(|at| at <= now) {
            if let Some(probes) = cx.tick(now) {
                if probes.afresh {
                    // For an offline path, the kernel may choose another own address by now.
                    let interfaces = &*self.netifd.interfaces;
                    self.routes
                        .look_at_uplinks(cx, &mut self.probing, interfaces, now);
                }
                self.probing.probe(&probes, cx, &self.routes, now);
            }
        }
        self.netifd.ask(cx, now);
        let unsaved = self.saving.unsaved;
        self.state_dir.mend(cx, &mut self.control, unsaved, now);
        self.announcer.give_up(now);
        self.control.expire(now);
        self.firewall
            .time_passes(&mut self.cx, &mut self.routes, now);
        self.sync();
        if core::mem::take(&mut self.routes.asks_netifd) {
            self.netifd.interfaces.refresh(None);
            self.netifd.ask(&self.cx, now);
            self.sync();
        }
        self.firewall.work(&mut self.cx, &self.routes, now);
        if self.cx.ranked {
            self.sync();
        }
        if self.asking.is_due(&mut self.routes, now) {
            self.ask(now);
        }
    }

    /// Asks the kernel.
    fn ask(&mut self, now: Instant) {
        let interfaces = &*self.netifd.interfaces;
        if self.routes.lack_own_address() {
            // What kept the kernel from choosing one, such as a rule of another program, may be gone.
            self.routes
                .look_at_uplinks(&mut self.cx, &mut self.probing, interfaces, now);
            self.sync();
        }
        let interfaces = &*self.netifd.interfaces;
        self.asking
            .ask(&mut self.cx, &mut self.routes, interfaces, now);
    }

    /// Synchronizes engine and kernel.
    fn sync(&mut self) {
        let interfaces = &*self.netifd.interfaces;
        self.routes
            .sync(&mut self.cx, &mut self.probing, interfaces);
        if self.firewall.look_at_order(&mut self.cx, &mut self.routes) {
            self.routes
                .sync(&mut self.cx, &mut self.probing, interfaces);
        }
    }

    /// Netifd has answered, or a child has ended.
    fn hear_netifd(&mut self) {
        let now = now();
        let cx = &mut self.cx;
        let ended = self.netifd.interfaces.ended();
        let news = self.netifd.interfaces.hear(now);
        self.routes.has_changed |= self.netifd.interfaces.ended() != ended;
        if news {
            let interfaces = &*self.netifd.interfaces;
            cx.warnings_due = true;
            self.routes.devices_named(cx.engine, interfaces, now);
            self.routes
                .look_at_uplinks(cx, &mut self.probing, interfaces, now);
        }
        self.netifd.ask(cx, now);
    }

    /// Finds the warnings anew, if something that they depend on has changed.
    fn note_warnings(&mut self) {
        if core::mem::take(&mut self.cx.warnings_due) {
            self.warnings.find(&Sources {
                snapshot: Snapshot::of(self.cx.engine, &self.routes, now()),
                routes: &self.routes,
                asking: &self.asking,
                probing: &self.probing,
                netifd: &self.netifd,
                file: &self.configuration.problems,
                pin: &self.pin,
                last_good: &self.last_good,
                firewall: &self.firewall,
                strayed: self.cx.strayed,
            });
        }
    }
}
