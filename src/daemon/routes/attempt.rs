//! One attempt to apply a family's plan: change by change, each of which may be refused.

use super::refusals::Refusals;
use crate::linux::netlink::Requests;
use crate::routing::mirror::Mirror;
use crate::routing::objects::Change;
use crate::types::{Fault, Instant};

/// The attempt, while changes are made.
pub(super) struct Attempt<'a> {
    requests: &'a mut Requests,
    refusals: &'a mut Refusals,
    mirror: &'a Mirror,
    now: Instant,
    outcome: Outcome,
}

/// The result of an attempt.
#[derive(Default)]
pub(super) struct Outcome {
    /// Changes made.
    pub(super) made: u32,
    /// The first change made.
    pub(super) first: Option<Change>,
    /// Requests that failed.
    pub(super) errors: u32,
    /// A fault that is not due to the change itself.
    pub(super) stalled: Option<Fault>,
    /// Whether there is no room to record all refusals.
    pub(super) crowded: bool,
    /// Whether a change that was refused before is accepted now.
    pub(super) accepted: bool,
    /// Whether the confirmed refusals have changed.
    pub(super) news: bool,
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(
        requests: &'a mut Requests,
        refusals: &'a mut Refusals,
        mirror: &'a Mirror,
        now: Instant,
    ) -> Attempt<'a> {
        refusals.begin();
        Attempt {
            requests,
            refusals,
            mirror,
            now,
            outcome: Outcome::default(),
        }
    }

    /// Asks the kernel for a change, unless it has just refused it. Returns whether it was made.
    pub(super) fn ask(&mut self, change: Change) -> bool {
        let outcome = &mut self.outcome;
        let deletes = matches!(change, Change::DeleteRoute(_) | Change::DeleteRule(_));
        let held = self.refusals.hold_back(&change, self.now);
        // After a failure nothing is deleted: it may still be needed in place of the change that failed.
        if held || outcome.stalled.is_some() && deletes {
            return false;
        }
        match self.requests.carry_out_with(&change, self.mirror) {
            Ok(()) => {
                outcome.made += 1;
                outcome.accepted |= self.refusals.remove(&change);
                outcome.first.get_or_insert(change);
                return true;
            }
            Err(fault @ (Fault::NoBuffers | Fault::TimedOut)) => outcome.stalled = Some(fault),
            Err(fault) => match self.refusals.add(change, fault, self.now) {
                Some(news) => outcome.news |= news,
                None => outcome.crowded = true,
            },
        }
        outcome.errors += 1;
        false
    }

    pub(super) fn end(mut self) -> Outcome {
        self.outcome.news |= self.refusals.end();
        self.outcome
    }
}
