//! The core: [`Engine::handle`] takes one event and the time, and returns the actions that follow.
//!
//! | module | job |
//! |---|---|
//! | `events` | [`Event`], [`Action`] and what they are made of |
//! | `configure` | a configuration comes into force |
//! | `restore` | the saved state of a former run is restored |
//! | [`path`] | one path: its state, when it probes, and what its rounds say about it |
//! | `paths` | all paths |
//! | `terms` | how the rounds of a path are sent and judged |
//! | [`rounds`] | the ring of rounds: what was asked, what came back |
//! | `statistics` | losses and round-trip times of the rounds |
//! | `timers` | which path has the next deadline |
//! | `ranking` | the order of preference |
//! | `leader` | which provider leads, and the plan that follows from it |
//! | [`journal`] | the last transitions, each with its cause |
//! | `cause` | derives the causes |

mod cause;
mod configure;
mod events;
pub mod journal;
mod leader;
pub mod path;
mod paths;
mod ranking;
mod restore;
pub mod rounds;
mod statistics;
mod terms;
mod timers;

use crate::config::Config;
use crate::types::{
    Cause, DeviceName, Family, Instant, Kind, PathId, PerFamily, Slot, Subject, Waiting, soonest,
};
pub use events::{ACTIONS_MAX, Action, Actions, Event, Plan, RankedPath};
use journal::{Entry, Journal};
pub use leader::{HeldBack, Lead};
use path::{Duty, Path, State};
use paths::Paths;
use timers::Timers;

/// Every path of every provider, which of them leads, and why.
///
/// It is large, and lives in a static that is all zeroes at first, so only the memory of configured providers is ever
/// touched. Small fields come first, where they are reached by short offsets, and next to the beginning of a list, to share its page.
#[repr(C)]
pub struct Engine {
    /// The next time at which another provider may lead without an event.
    revise_at: PerFamily<Option<Instant>>,
    /// The provider that led last, also while none can have a route: others are compared with it.
    leaders: PerFamily<Option<Slot>>,
    /// What becomes of the traffic, as the journal said last.
    leads: PerFamily<Lead>,
    pinned: Option<Slot>,
    /// One bit per slot.
    disabled: u64,
    swaps: PerFamily<u32>,
    plans: PerFamily<Plan>,
    timers: Timers,
    config: Config,
    paths: Paths,
    journal: Journal,
}

impl Engine {
    /// A core without providers, all zeroes.
    pub const fn new() -> Engine {
        Engine {
            config: Config::new(),
            paths: Paths::new(),
            journal: Journal::new(),
            revise_at: PerFamily { v4: None, v6: None },
            leaders: PerFamily { v4: None, v6: None },
            leads: PerFamily {
                v4: Lead::Unknown,
                v6: Lead::Unknown,
            },
            pinned: None,
            disabled: 0,
            swaps: PerFamily { v4: 0, v6: 0 },
            plans: PerFamily {
                v4: Plan::new(),
                v6: Plan::new(),
            },
            timers: Timers::new(),
        }
    }

    /// Takes one event; returns what the driver must do.
    pub fn handle(&mut self, event: Event, now: Instant) -> Actions {
        let mut actions = Actions::new();
        let written = self.journal.written();
        match event {
            Event::Tick => self.tick(now, &mut actions),
            Event::Uplink {
                path,
                waiting,
                routable,
            } => self.uplink(path, waiting, routable, now, &mut actions),
            Event::Reply { path, .. }
            | Event::Failed { path, .. }
            | Event::Skipped { path, .. }
            | Event::Unasked { path, .. }
            | Event::Rebound(path) => {
                if let Some(path) = self.paths.get_mut(path) {
                    path.heard(event);
                }
                self.judge(path, now, &mut actions);
            }
            Event::Unreachable { path, code } => {
                if let Some(path) = self.paths.get_mut(path) {
                    path.unreachable = Some(code);
                }
            }
            Event::Pin(slot) => self.pin(slot, now, &mut actions),
            Event::Disable(slot, disabled) => self.disable(slot, disabled, now, &mut actions),
            Event::RoutesApplied(_) => {}
            Event::RoutesFailed(family, fault) => {
                let cause = Cause::Kernel(fault);
                self.note(now, None, Some(family), Kind::RoutesNotSet, cause);
            }
        }
        self.save_if_written(written, &mut actions);
        actions
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(_, at)| at);
        soonest(&[&timer, &self.revise_at.v4, &self.revise_at.v6])
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The wanted order of a family's default routes.
    pub fn plan(&self, family: Family) -> &Plan {
        &self.plans[family]
    }

    /// What becomes of a family's traffic. After a restart it is what the former run said, until all uplinks are known.
    pub fn lead_of(&self, family: Family) -> Lead {
        self.leads[family]
    }

    /// The provider that carries a family's traffic: the one answer for status, explain, hooks and journal.
    pub fn carrier(&self, family: Family) -> Option<Slot> {
        self.leads[family].carrier()
    }

    /// The first in order; while none can have a route, the last one that was. Later choices start from it.
    pub fn leader(&self, family: Family) -> Option<Slot> {
        self.leaders[family]
    }

    /// A path, if it is managed.
    pub fn path(&self, id: PathId) -> Option<&Path> {
        self.paths.get(id).filter(|path| path.is_managed())
    }

    /// Every path that is managed.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(|path| path.is_managed())
    }

    /// The pinned provider.
    pub fn pinned(&self) -> Option<Slot> {
        self.pinned
    }

    /// Whether the user disabled this provider.
    pub fn is_disabled(&self, slot: Slot) -> bool {
        self.disabled & slot.bit() != 0
    }

    /// Changes of the leading provider since the start, in both families.
    pub fn swaps(&self) -> u32 {
        self.swaps.v4.wrapping_add(self.swaps.v6)
    }

    /// The same, by family.
    pub fn swaps_by_family(&self) -> PerFamily<u32> {
        self.swaps
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Writes an entry into the journal.
    pub fn note(
        &mut self,
        now: Instant,
        slot: Option<Slot>,
        family: Option<Family>,
        kind: Kind,
        cause: Cause,
    ) {
        let provider = slot
            .and_then(|slot| self.config.at(slot))
            .map(|p| p.id.clone());
        self.note_about(now, Subject { provider, family }, kind, cause);
    }

    /// The same, also about a provider that is not configured any more.
    pub fn note_about(&mut self, now: Instant, subject: Subject, kind: Kind, cause: Cause) {
        self.journal.write(Entry::new(now, subject, kind, cause));
    }

    /// Answers to a silent path's probes arrive at this device, and are dropped on this machine. Returns what follows.
    pub fn answers_dropped(&mut self, id: PathId, device: &DeviceName, now: Instant) -> Actions {
        let mut actions = Actions::new();
        let written = self.journal.written();
        if self.paths.get_mut(id).is_some_and(Path::cut_off) {
            self.note_state(id, State::Offline, now, Cause::Dropped(device.clone()));
            self.rank(id.family, now, &mut actions);
        }
        self.save_if_written(written, &mut actions);
        actions
    }

    fn tick(&mut self, now: Instant, actions: &mut Actions) {
        for &family in &Family::ALL {
            if self.revise_at[family].is_some_and(|at| at <= now) {
                self.rank(family, now, actions);
            }
        }
        let Some((id, _)) = self.timers.first().filter(|(_, at)| *at <= now) else {
            return;
        };
        let leads = self.leaders[id.family] == Some(id.slot);
        let path = self.paths.get_mut(id);
        if let Some((path, (round, checks))) = path.and_then(|p| p.tick(now).map(|sent| (p, sent)))
        {
            let was_reached = path.is_reached();
            let afresh = path.takes_new_identifier(leads, now);
            if was_reached && !path.is_reached() {
                self.revise_at[id.family] = Some(now);
            }
            let pushed = actions.push(Action::Probe {
                path: id,
                round,
                checks,
                afresh,
            });
            debug_assert!(pushed.is_ok(), "the first or the third of few");
        }
        self.judge(id, now, actions);
    }

    fn uplink(
        &mut self,
        id: PathId,
        waiting: Option<Waiting>,
        routable: bool,
        now: Instant,
        actions: &mut Actions,
    ) {
        let Some(path) = self.paths.get_mut(id).filter(|path| path.is_managed()) else {
            return;
        };
        let (before, was) = (path.state(), path.waiting());
        if path.is_uplink_known() && (was, path.routable()) == (waiting, routable) {
            return;
        }
        path.set_uplink(waiting, routable, now);
        if was != waiting {
            let cause = match waiting {
                Some(what) if was.is_none() => Cause::Lost(what),
                Some(what) => Cause::Lacks(what),
                None => Cause::UplinkUp,
            };
            self.note_state(id, before, now, cause);
        }
        self.judge(id, now, actions);
        self.rank(id.family, now, actions);
    }

    fn pin(&mut self, slot: Option<Slot>, now: Instant, actions: &mut Actions) {
        let known = slot.is_none_or(|slot| self.config.at(slot).is_some_and(|p| p.enabled));
        if slot == self.pinned || !known {
            return;
        }
        let old = core::mem::replace(&mut self.pinned, slot);
        let (of, kind, cause) = match slot {
            Some(_) => (slot, Kind::Pinned, Cause::PinnedByHand),
            None => (old, Kind::Unpinned, Cause::UnpinnedByHand),
        };
        self.note(now, of, None, kind, cause);
        self.assign_duties(now);
        self.rank_both(now, actions);
    }

    /// While a provider is pinned, no path is checked.
    fn assign_duties(&mut self, now: Instant) {
        for path in self.paths.iter_mut() {
            let before = path.state();
            path.set_duty(Duty::of(path.id.slot, self.pinned), now);
            if path.state() != before {
                path.since = now;
            }
            path.note_outage(now);
            self.timers.set(path.id, path.deadline());
        }
    }

    fn disable(&mut self, slot: Slot, disabled: bool, now: Instant, actions: &mut Actions) {
        let known = self.config.at(slot).is_some_and(|p| p.enabled);
        if !known || self.is_disabled(slot) == disabled {
            return;
        }
        self.disabled ^= slot.bit();
        let (kind, cause) = match disabled {
            true => (Kind::Disabled, Cause::DisabledByHand),
            false => (Kind::Enabled, Cause::EnabledByHand),
        };
        self.note(now, Some(slot), None, kind, cause);
        self.rank_both(now, actions);
    }

    /// Judges a path's rounds, and all that follows from another verdict.
    fn judge(&mut self, id: PathId, now: Instant, actions: &mut Actions) {
        if self.judge_path(id, now) {
            self.rank(id.family, now, actions);
        }
    }

    /// Judges a path's rounds: whether its verdict is another.
    fn judge_path(&mut self, id: PathId, now: Instant) -> bool {
        let Some(path) = self.paths.get_mut(id) else {
            return false;
        };
        let before = path.state();
        let ground = path.judge();
        path.note_outage(now);
        self.timers.set(id, path.deadline());
        if let Some((ground, lost)) = ground {
            let cause = self.judged_cause(id, ground, lost);
            self.note_state(id, before, now, cause);
        }
        ground.is_some()
    }

    /// What the journal says is worth saving.
    fn save_if_written(&self, written: u32, actions: &mut Actions) {
        if self.journal.written() != written {
            let pushed = actions.push(Action::Save);
            debug_assert!(
                pushed.is_ok(),
                "an event has fewer actions than ACTIONS_MAX"
            );
        }
    }

    /// The state of a path, or the reason for it, is another one from now on.
    fn note_state(&mut self, id: PathId, before: State, now: Instant, cause: Cause) {
        let Some(path) = self.paths.get_mut(id) else {
            return;
        };
        let after = path.state();
        if before != after {
            path.since = now;
        }
        let kind = Kind::State {
            from: before,
            to: after,
        };
        self.note(now, Some(id.slot), Some(id.family), kind, cause);
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}
