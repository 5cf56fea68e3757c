//! The state of one path, and its transitions.
//!
//! ```text
//!         a former run judged it
//!    New ────────────────────────► Restored
//!     │                               │
//!     └───────────────┬───────────────┘
//!                     │ the driver tells of the uplink for the first time
//!     lacks something │ is up
//!    ┌────────────────┴───────────────┐
//!    │                                ▼
//!    │              ┌───────────────────────────────────────────────┐
//!    ▼     is up    │           pinned            another pinned    │
//! Waiting ────────► │  Pinned ◄──────── Checked ────────► Frozen    │
//!         ◄──────── │   │ ▲   ────────►         ◄────────   │ ▲     │
//!           lacks   │   │ │    unpinned          unpinned   │ │     │
//!         something │   │ └──────── pinned instead ─────────┘ │     │
//!                   │   └────── another pinned instead ───────┘     │
//!                   └───────────────────────────────────────────────┘
//! ```
//!
//! Which of the three in the box a path enters is its [`Duty`]: only pins change that, and outside the box it is kept.
//!
//! What becomes of the verdict; every other transition leaves it as it is:
//!
//! | transition | `Fresh` | `Returning` | `Online` | `Offline` |
//! |---|---|---|---|---|
//! | to `Waiting` | `Fresh` | `Returning` | `Returning` | `Returning` |
//! | `Frozen` to `Checked` | `Fresh` | `Returning` | `Fresh` | `Returning` |
//! | `Pinned` to `Checked` | `Fresh` | `Fresh` | `Fresh` | `Fresh` |
//!
//! In `Checked`, rounds make it `Online` or `Offline`: see [`Judgement::judge`].

#[cfg(test)]
mod tests;

use super::judgement::Judgement;
use crate::types::{Duty, Instant, State, Verdict, Waiting};

/// Every state that a path can be in. [`State`] is what people see of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PathState {
    /// The driver has not told of its uplink yet: it passes for one without a device.
    New {
        duty: Duty,
        /// by a former run
        was_judged: bool,
    },
    /// The driver has not told of its uplink yet, but a former run judged the path: its uplink was up then.
    Restored { duty: Duty, verdict: Verdict },
    /// Its uplink lacks something.
    Waiting {
        duty: Duty,
        why: Waiting,
        /// whether a default route through it can be installed all the same
        routable: bool,
        was_judged: bool,
    },
    /// Its uplink is up, and its checks are asked.
    Checked {
        judgement: Judgement,
        /// when the next round begins; means nothing where there are no checks
        next_round_at: Instant,
    },
    /// Its uplink is up. Its provider is pinned.
    Pinned(Judgement),
    /// Its uplink is up. Another provider is pinned.
    Frozen(Judgement),
}

impl PathState {
    /// Of a path that nothing is known of.
    pub(crate) const fn new(duty: Duty) -> PathState {
        PathState::New {
            duty,
            was_judged: false,
        }
    }

    /// A former run ended with this verdict. Only before the driver has told of the uplink.
    pub(crate) fn restore(&mut self, verdict: Verdict) {
        match (&mut *self, verdict) {
            (PathState::New { was_judged, .. }, Verdict::Fresh | Verdict::Returning) => {
                *was_judged = verdict == Verdict::Returning
            }
            (PathState::New { duty, .. }, Verdict::Online | Verdict::Offline) => {
                *self = PathState::Restored {
                    duty: *duty,
                    verdict,
                };
            }
            (PathState::Restored { verdict: known, .. }, _) => *known = verdict,
            _ => debug_assert!(false, "what the driver has told is not restored"),
        }
    }

    /// The uplink lacks something: all that is left of the verdict is whether there was one.
    pub(crate) fn lose_uplink(&mut self, why: Waiting, routable: bool) {
        *self = PathState::Waiting {
            duty: self.duty(),
            why,
            routable,
            was_judged: self.verdict() != Verdict::Fresh,
        };
    }

    /// The uplink has all that it needs. If it had not, and the path is checked, its first round begins then.
    pub(crate) fn gain_uplink(&mut self, first_round_at: Instant) {
        let (duty, verdict) = match *self {
            PathState::New { duty, was_judged } => (duty, presumed(was_judged)),
            PathState::Waiting {
                duty, was_judged, ..
            } => (duty, presumed(was_judged)),
            PathState::Restored { duty, verdict } => (duty, verdict),
            PathState::Checked { .. } | PathState::Pinned(_) | PathState::Frozen(_) => return,
        };
        *self = PathState::up(duty, Judgement::of(verdict), first_round_at);
    }

    /// A provider is pinned, or none is any more. If the path is checked from now on, its first round begins then.
    pub(crate) fn set_duty(&mut self, duty: Duty, first_round_at: Instant) {
        match (self.duty(), duty) {
            (Duty::Pinned, Duty::Checked) => self.forget_verdict(),
            (Duty::Frozen, Duty::Checked) => self.thaw(),
            (old, new) if old == new => return,
            _ => {}
        }
        match self {
            PathState::New { duty: of, .. }
            | PathState::Restored { duty: of, .. }
            | PathState::Waiting { duty: of, .. } => *of = duty,
            PathState::Checked { judgement, .. }
            | PathState::Pinned(judgement)
            | PathState::Frozen(judgement) => {
                *self = PathState::up(duty, *judgement, first_round_at);
            }
        }
    }

    fn up(duty: Duty, judgement: Judgement, next_round_at: Instant) -> PathState {
        match duty {
            Duty::Checked => PathState::Checked {
                judgement,
                next_round_at,
            },
            Duty::Pinned => PathState::Pinned(judgement),
            Duty::Frozen => PathState::Frozen(judgement),
        }
    }

    /// It was frozen: presumed to be what it was, until it is judged anew.
    fn thaw(&mut self) {
        if let Some(verdict) = self.verdict_mut() {
            *verdict = presumed(matches!(verdict, Verdict::Returning | Verdict::Offline));
        }
    }

    /// What was known is not known any more: presumed to be good.
    pub(crate) fn forget_verdict(&mut self) {
        match self {
            PathState::New { was_judged, .. } | PathState::Waiting { was_judged, .. } => {
                *was_judged = false;
            }
            _ => {
                if let Some(verdict) = self.verdict_mut() {
                    *verdict = Verdict::Fresh;
                }
            }
        }
    }

    /// Its rounds begin anew, and its verdict stands.
    pub(crate) fn forget_quality(&mut self) {
        if let Some(judgement) = self.judgement_mut() {
            *judgement = Judgement::of(judgement.verdict);
        }
    }

    /// What no check asks for anything on is online while its uplink is up. Whether it was not before.
    pub(crate) fn pass_unchecked(&mut self) -> bool {
        if self.duty() != Duty::Checked {
            return false;
        }
        self.verdict_mut()
            .is_some_and(|verdict| core::mem::replace(verdict, Verdict::Online) != Verdict::Online)
    }

    /// None where it is no more than presumed.
    fn verdict_mut(&mut self) -> Option<&mut Verdict> {
        match self {
            PathState::Restored { verdict, .. } => Some(verdict),
            _ => self.judgement_mut().map(|judgement| &mut judgement.verdict),
        }
    }

    fn judgement_mut(&mut self) -> Option<&mut Judgement> {
        match self {
            PathState::New { .. } | PathState::Restored { .. } | PathState::Waiting { .. } => None,
            PathState::Checked { judgement, .. }
            | PathState::Pinned(judgement)
            | PathState::Frozen(judgement) => Some(judgement),
        }
    }

    /// What its rounds amount to; none while the driver has not said that its uplink is up.
    pub(crate) const fn judgement(&self) -> Option<&Judgement> {
        match self {
            PathState::New { .. } | PathState::Restored { .. } | PathState::Waiting { .. } => None,
            PathState::Checked { judgement, .. }
            | PathState::Pinned(judgement)
            | PathState::Frozen(judgement) => Some(judgement),
        }
    }

    /// Whether the driver has told of the uplink.
    pub(crate) const fn is_told(&self) -> bool {
        !matches!(self, PathState::New { .. } | PathState::Restored { .. })
    }

    /// Why it cannot be probed, when it cannot.
    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            PathState::New { .. } => Some(Waiting::NoDevice),
            PathState::Waiting { why, .. } => Some(*why),
            _ => None,
        }
    }

    /// Whether a default route through it can be installed.
    pub(crate) const fn routable(&self) -> bool {
        match self {
            PathState::New { .. } | PathState::Restored { .. } => false,
            PathState::Waiting { routable, .. } => *routable,
            PathState::Checked { .. } | PathState::Pinned(_) | PathState::Frozen(_) => true,
        }
    }

    /// Whether it probes, or will when its uplink is up.
    pub(crate) const fn duty(&self) -> Duty {
        match self {
            PathState::New { duty, .. }
            | PathState::Restored { duty, .. }
            | PathState::Waiting { duty, .. } => *duty,
            PathState::Checked { .. } => Duty::Checked,
            PathState::Pinned(_) => Duty::Pinned,
            PathState::Frozen(_) => Duty::Frozen,
        }
    }

    /// What its rounds have said so far.
    pub(crate) const fn verdict(&self) -> Verdict {
        match self {
            PathState::New { was_judged, .. } | PathState::Waiting { was_judged, .. } => {
                presumed(*was_judged)
            }
            PathState::Restored { verdict, .. } => *verdict,
            PathState::Checked { judgement, .. }
            | PathState::Pinned(judgement)
            | PathState::Frozen(judgement) => judgement.verdict,
        }
    }

    /// As people see it.
    pub(crate) const fn seen(&self) -> State {
        match (self.waiting(), self.duty(), self.verdict()) {
            (Some(_), _, _) => State::Waiting,
            (None, Duty::Frozen, _) => State::Frozen,
            (None, _, Verdict::Online) => State::Online,
            (None, _, Verdict::Offline) => State::Offline,
            (None, _, Verdict::Fresh | Verdict::Returning) => State::Probing,
        }
    }
}

/// What stands for a verdict until there is one.
const fn presumed(was_judged: bool) -> Verdict {
    match was_judged {
        true => Verdict::Returning,
        false => Verdict::Fresh,
    }
}
