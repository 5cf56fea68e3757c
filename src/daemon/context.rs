//! Shared by all parts: the engine, the poller, and the work to be done before the loop sleeps again.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::flux::Strayed;
use super::token::Token;
use crate::config::Config;
use crate::engine::{Action, Actions, Engine, Event};
use crate::linux::poll::{Interest, Poller};
use crate::types::{CheckSet, DeviceName, Family, Instant, PathId, PerFamily, Round};

/// The engine, and the actions that are not carried out yet. Except for probes, one flag per action is enough: only the
/// latest state counts.
pub(super) struct Context<'m> {
    pub(super) engine: &'m mut Engine,
    pub(super) poller: Poller,
    /// A plan or an uplink has changed: the kernel's routes must be set.
    pub(super) planned: PerFamily<bool>,
    /// The order of providers has changed, or what becomes of their connections.
    pub(super) ranked: bool,
    /// The device of an uplink may be another.
    pub(super) devices_due: bool,
    /// Something that warnings depend on has changed.
    pub(super) warnings_due: bool,
    /// Providers whose answers in IPv4 come in by another's device.
    pub(super) strayed: Strayed,
    /// There may be a transition that hooks were not told.
    pub(super) hooks_due: bool,
    /// More connections are about to be handed over: hooks hear of a swap afterwards.
    pub(super) handing_over: bool,
    /// How many were handed over since the last swap.
    pub(super) handed_over: PerFamily<u32>,
    /// The saved state must be written.
    pub(super) save_due: bool,
}

/// One probe of each of these checks must be sent.
pub(super) struct Probes {
    pub(super) path: PathId,
    pub(super) round: Round,
    pub(super) checks: CheckSet,
    /// as another conversation than before
    pub(super) afresh: bool,
}

impl<'m> Context<'m> {
    /// At the start, all work is due.
    pub(super) fn new(engine: &'m mut Engine) -> Result<Context<'m>, Errno> {
        Ok(Context {
            engine,
            poller: Poller::new()?,
            planned: PerFamily { v4: true, v6: true },
            ranked: true,
            devices_due: true,
            warnings_due: true,
            strayed: Strayed::default(),
            hooks_due: true,
            handing_over: false,
            handed_over: PerFamily::default(),
            save_due: true,
        })
    }

    /// Passes an event to the engine.
    pub(super) fn tell(&mut self, event: Event, now: Instant) {
        let actions = self.engine.handle(event, now);
        let probes = self.take(&actions);
        debug_assert!(
            probes.is_none(),
            "{event:?} asks for probes: only time does"
        );
    }

    /// Passes the time to the engine; returns the probes to send.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Probes> {
        let actions = self.engine.handle(Event::Tick, now);
        self.take(&actions)
    }

    /// Tells the engine that answers to a path's probes are dropped on this machine.
    pub(super) fn answers_dropped(&mut self, path: PathId, device: &DeviceName, now: Instant) {
        let actions = self.engine.answers_dropped(path, device, now);
        let probes = self.take(&actions);
        debug_assert!(probes.is_none(), "only time asks for probes");
    }

    /// Puts a configuration into force.
    pub(super) fn configure(&mut self, config: &mut Config, now: Instant) {
        let actions = self.engine.configure(config, now);
        let probes = self.take(&actions);
        debug_assert!(probes.is_none(), "only time asks for probes");
    }

    /// Records the engine's actions for the parts that carry them out. Returns the probes to send at once.
    fn take(&mut self, actions: &Actions) -> Option<Probes> {
        let mut probes = None;
        for action in actions {
            match *action {
                Action::Probe {
                    path,
                    round,
                    checks,
                    afresh,
                } => {
                    probes = Some(Probes {
                        path,
                        round,
                        checks,
                        afresh,
                    })
                }
                Action::Routes(family) => {
                    self.planned[family] = true;
                    self.ranked = true;
                }
                Action::Save => {
                    self.save_due = true;
                    self.hooks_due = true;
                    // A warning may depend on the new state.
                    self.warnings_due = true;
                }
            }
        }
        probes
    }

    /// The routes of both families must be set anew.
    pub(super) fn plan_all(&mut self) {
        self.ranked = true;
        self.planned = PerFamily { v4: true, v6: true };
    }

    /// Whether the routes of a family must be set, and its leader is known.
    pub(super) fn is_planned(&self, family: Family) -> bool {
        self.planned[family] && !self.engine.awaits_uplinks(family)
    }

    /// Adds a descriptor to the poller, for reading.
    pub(super) fn watch(&self, descriptor: impl AsFd, token: Token) -> Result<(), Errno> {
        self.poller.add(descriptor, token.to_u64(), Interest::READ)
    }
}
