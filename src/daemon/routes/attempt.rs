//! One attempt at bringing a family to its plan: change after change, each of which may be refused.

use super::refusals::Refusals;
use crate::linux::netlink::Requests;
use crate::routing::objects::Change;
use crate::types::{Fault, Instant};

pub(super) struct Attempt<'a> {
    requests: &'a mut Requests,
    refusals: &'a mut Refusals,
    now: Instant,
    outcome: Outcome,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    /// Changes made.
    pub(super) made: u32,
    /// The first of them.
    pub(super) first: Option<Change>,
    /// Requests that were not granted.
    pub(super) errors: u32,
    /// What is not a matter of what was asked for.
    pub(super) stalled: Option<Fault>,
    /// There is no room to remember all that was refused.
    pub(super) crowded: bool,
    /// What was refused before is accepted now.
    pub(super) accepted: bool,
    /// What is refused over and over is not what it was.
    pub(super) news: bool,
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(
        requests: &'a mut Requests,
        refusals: &'a mut Refusals,
        now: Instant,
    ) -> Attempt<'a> {
        refusals.begin();
        Attempt {
            requests,
            refusals,
            now,
            outcome: Outcome::default(),
        }
    }

    /// Asks the kernel for a change, unless it has just refused it. Whether it was made.
    pub(super) fn ask(&mut self, change: Change) -> bool {
        let outcome = &mut self.outcome;
        let deletes = matches!(change, Change::DeleteRoute(_) | Change::DeleteRule(_));
        let held = self.refusals.hold_back(&change, self.now);
        // What is deleted may rely on what did not come through.
        if held || outcome.stalled.is_some() && deletes {
            return false;
        }
        match self.requests.carry_out(&change) {
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
