//! Who leads in a family, and the plan that follows from it.

use heapless::{String, Vec};

use super::path::{Path, State, Verdict};
use super::ranking::{Candidate, Choice, choose, plan};
use super::{Action, Actions, Failover, Plan};
use crate::config::{CAUSE_MAX, PROVIDERS_MAX, PathId, Slot};
use crate::net::{Family, Instant};
use crate::text::text;

/// What the journal says of who leads from now on.
pub const LEADS: &str = "leads";

impl Failover {
    /// Finds who leads in a family, and the order of the others, once all of its uplinks are known: a leader of a
    /// former run must not lose its place because another's uplink was told first.
    pub(super) fn rank(&mut self, family: Family, now: Instant, actions: &mut Actions) {
        self.revise_at[family] = None;
        if self.awaits_uplinks(family) {
            return;
        }
        let mut slots: Vec<Slot, PROVIDERS_MAX> = Vec::new();
        let mut candidates: Vec<Candidate, PROVIDERS_MAX> = Vec::new();
        for provider in self.config.enabled() {
            let id = PathId {
                slot: provider.slot,
                family,
            };
            let Some(path) = self
                .paths
                .get(id.index())
                .filter(|p| p.terms.is_some() && p.routable)
            else {
                continue;
            };
            let leads = self.leaders[family] == Some(id.slot);
            let pushed = candidates
                .push(Candidate::of(path, self.is_disabled(id.slot), leads))
                .is_ok()
                && slots.push(id.slot).is_ok();
            debug_assert!(pushed, "one a provider");
        }
        let globals = &self.config.globals;
        let Choice { leader, revise_at } =
            choose(&candidates, globals.preempt, globals.last_resort, now);
        self.revise_at[family] = revise_at;
        let plan = if self.paths().any(|path| path.id.family == family) {
            plan(&slots, &candidates, leader, globals.last_resort)
        } else {
            // Nobody is asked to manage this family: nothing of it is refused, and nobody leads.
            self.leaders[family] = None;
            Plan::new()
        };
        self.lead(family, plan.order.first().map(|hop| hop.slot), now);
        if plan.unreachable && !self.plans[family].unreachable {
            self.alarm(
                now,
                None,
                Some(family),
                format_args!("refused"),
                format_args!("no provider works, and last_resort is unreachable"),
            );
        }
        if plan != self.plans[family] {
            self.plans[family] = plan;
            let pushed = actions.push(Action::Routes(family));
            debug_assert!(pushed.is_ok(), "one a family");
        }
    }

    /// Whether an uplink of a family has not been told yet: until then the kernel keeps what a former run left.
    pub fn awaits_uplinks(&self, family: Family) -> bool {
        self.paths().any(|p| p.id.family == family && !p.told)
    }

    /// Whether whoever leads works no better than the others.
    fn is_last_resort(&self, leader: Option<Slot>, family: Family) -> bool {
        let path = leader.and_then(|slot| self.path(PathId { slot, family }));
        path.is_some_and(|path| path.waiting.is_some() || path.verdict == Verdict::Offline)
    }

    /// Says who leads now, and why it is not who led before.
    fn lead(&mut self, family: Family, leader: Option<Slot>, now: Instant) {
        let old = self.leaders[family];
        // Nobody is routable: whoever led comes first again when it is back and `preempt` says so.
        if leader.is_none() || old == leader {
            return;
        }
        self.leaders[family] = leader;
        let Some(old) = old else {
            self.note(
                now,
                leader,
                Some(family),
                format_args!("{LEADS}"),
                format_args!("first in order"),
            );
            return;
        };
        self.swaps = self.swaps.wrapping_add(1);
        let id = self.config.at(old).map_or("", |p| p.id.as_str());
        let state_of = |slot| self.path(PathId { slot, family }).map(Path::state);
        let state = state_of(old);
        let cause: String<CAUSE_MAX> = match state {
            _ if self.pinned == leader => text(format_args!("pinned by hand")),
            _ if self.is_disabled(old) => text(format_args!("{id} is disabled")),
            Some(State::Online) | None => text(format_args!("preferred to {id}")),
            // After a pin, say: neither is worse than the other.
            Some(State::Probing) if leader.and_then(state_of) == state => {
                text(format_args!("preferred to {id}"))
            }
            Some(state) if self.is_last_resort(leader, family) => text(format_args!(
                "last resort: {id} is {state}, and nobody works"
            )),
            Some(state) => text(format_args!("{id} is {state}")),
        };
        let what = format_args!("{LEADS}");
        self.note(now, leader, Some(family), what, format_args!("{cause}"));
    }
}
