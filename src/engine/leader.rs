//! Which provider leads in a family, and the plan that follows from it.

use heapless::Vec;

use super::path::{Path, State};
use super::ranking::{Candidate, Choice, Class, choose, plan};
use super::{Action, Actions, Engine, Plan};
use crate::config::{LastResort, Preempt};
use crate::limits::PROVIDERS_MAX;
pub use crate::types::Lead;
use crate::types::{Cause, Family, Instant, Kind, PathId, Slot, Verdict};

/// How long `preempt` keeps traffic on another provider although this one is online and of better rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// as long as the other one works
    WhileItWorks,
    /// until this time at the latest
    Until(Instant),
}

impl Engine {
    /// Whether `preempt` holds a path back.
    pub fn held_back(&self, path: &Path) -> Option<HeldBack> {
        let PathId { slot, family } = path.id;
        let carrier = self.carrier(family).filter(|carrier| *carrier != slot)?;
        let leads = self.path(PathId {
            slot: carrier,
            family,
        })?;
        let works = !self.is_disabled(carrier)
            && leads.waiting().is_none()
            && matches!(leads.verdict(), Verdict::Online | Verdict::Fresh);
        let ready = self.pinned.is_none()
            && !self.is_disabled(slot)
            && path.routable()
            && path.state() == State::Online;
        let mut order = self.config.enabled().map(|provider| provider.slot);
        let before = order.find(|of| [slot, carrier].contains(of)) == Some(slot);
        match self.config.globals.preempt {
            _ if !(works && ready && before) => None,
            Preempt::Yes => None,
            Preempt::No => Some(HeldBack::WhileItWorks),
            Preempt::After(wait) => Some(HeldBack::Until(path.since + wait)),
        }
    }

    /// The first path before this one in the order that is online; else the first that has no verdict yet.
    pub fn better(&self, path: &Path) -> Option<&Path> {
        let PathId { slot, family } = path.id;
        let before = self.config.enabled().take_while(|p| p.slot != slot);
        before
            .filter(|provider| !self.is_disabled(provider.slot))
            .filter_map(|provider| {
                let slot = provider.slot;
                self.path(PathId { slot, family })
            })
            .filter(|path| path.routable() && path.state() <= State::Probing)
            .min_by_key(|path| path.state())
    }

    pub(super) fn rank_both(&mut self, now: Instant, actions: &mut Actions) {
        self.rank(Family::V4, now, actions);
        self.rank(Family::V6, now, actions);
    }

    /// Chooses the leader of a family and the order of the others, once all its uplinks are known: the leader of a
    /// former run must not lose its place because another uplink was reported first.
    pub(super) fn rank(&mut self, family: Family, now: Instant, actions: &mut Actions) {
        self.revise_at[family] = None;
        if self.awaits_uplinks(family) {
            return;
        }
        let mut candidates: Vec<Candidate, PROVIDERS_MAX> = Vec::new();
        for provider in self.config.enabled() {
            let id = PathId {
                slot: provider.slot,
                family,
            };
            let Some(path) = self.path(id).filter(|path| path.routable()) else {
                continue;
            };
            let leads = self.leaders[family] == Some(id.slot);
            let candidate = Candidate::of(path, self.is_disabled(id.slot), leads);
            let pushed = candidates.push(candidate);
            debug_assert!(pushed.is_ok(), "one per provider");
        }
        let globals = &self.config.globals;
        let Choice { leader, revise_at } =
            choose(&candidates, globals.preempt, globals.last_resort, now);
        self.revise_at[family] = revise_at;
        let managed = self.paths().any(|path| path.id.family == family);
        let plan = if managed {
            plan(&candidates, leader, self.refuses(family))
        } else {
            // The family is not managed: no traffic is refused, and no provider leads.
            self.leaders[family] = None;
            Plan::new()
        };
        let lead = match plan.order.first() {
            _ if !managed => Lead::Unknown,
            _ if plan.unreachable => Lead::Refused,
            Some(hop) => Lead::By(hop.slot),
            None => Lead::NoRoute,
        };
        self.set_lead(family, plan.order.first().map(|hop| hop.slot), lead, now);
        if plan != self.plans[family] {
            self.plans[family] = plan;
            let pushed = actions.push(Action::Routes(family));
            debug_assert!(pushed.is_ok(), "one per family");
        }
    }

    /// The worst that is let through where `last_resort` refuses: what is disabled works too, unless a person has disabled
    /// every provider.
    fn refuses(&self, family: Family) -> Option<Class> {
        let mut paths = self.paths().filter(|path| path.id.family == family);
        let all_disabled = paths.all(|path| self.is_disabled(path.id.slot));
        let worst = match all_disabled {
            true => Class::Fresh,
            false => Class::Spare,
        };
        (self.config.globals.last_resort == LastResort::Unreachable).then_some(worst)
    }

    /// Whether an uplink of a family is not reported yet: until then the kernel keeps the routes of a former run.
    pub fn awaits_uplinks(&self, family: Family) -> bool {
        self.paths()
            .any(|p| p.id.family == family && !p.is_uplink_known())
    }

    /// Records what becomes of the traffic from now on, and the cause of the change. `leader` is the first in order; while
    /// none can have a route, later choices still compare others with it.
    fn set_lead(&mut self, family: Family, leader: Option<Slot>, lead: Lead, now: Instant) {
        let before = core::mem::replace(&mut self.leads[family], lead);
        let old = self.leaders[family];
        if leader.is_some() && leader != old {
            self.leaders[family] = leader;
            self.swaps[family] = self.swaps[family].wrapping_add(old.is_some().into());
        }
        if lead == before {
            return;
        }
        let (kind, cause) = match lead {
            Lead::Unknown => return,
            Lead::Refused => (Kind::Refused, Cause::NoneWorks),
            Lead::NoRoute => (Kind::NoRoute, Cause::NoneRoutable),
            Lead::By(slot) => (Kind::Leads, self.lead_cause(family, slot, old, before)),
        };
        self.note(now, lead.carrier(), Some(family), kind, cause);
    }
}
