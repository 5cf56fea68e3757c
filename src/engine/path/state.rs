//! The state of one path, and its transitions.
//!
//! ```text
//!         restored from a former run
//!    New ────────────────────────► Restored
//!     │                               │
//!     └───────────────┬───────────────┘
//!                     │ the driver reports the uplink for the first time
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
//! The [`Duty`] of a path says which of the three states in the box it enters. Only pins change it; it is kept outside the
//! box.
//!
//! These transitions change the verdict; every other one keeps it:
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

/// Every state that a path can be in. [`State`] is what status shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PathState {
    /// The driver has not reported its uplink yet: it counts as one without a device.
    New {
        duty: Duty,
        /// as a former run saved it
        was_judged: bool,
    },
    /// The driver has not reported its uplink yet, but a former run judged the path: its uplink was up then.
    Restored { duty: Duty, verdict: Verdict },
    /// Its uplink lacks something.
    Waiting {
        duty: Duty,
        why: Waiting,
        /// whether a default route through it can be installed nevertheless
        routable: bool,
        was_judged: bool,
    },
    /// Its uplink is up, and its checks are made.
    Checked {
        judgement: Judgement,
        /// when the next round begins; without a meaning if there are no checks
        next_round_at: Instant,
    },
    /// Its uplink is up. Its provider is pinned.
    Pinned(Judgement),
    /// Its uplink is up. Another provider is pinned.
    Frozen(Judgement),
}

impl PathState {
    /// The state of a path with an unknown uplink.
    pub(crate) const fn new(duty: Duty) -> PathState {
        PathState::New {
            duty,
            was_judged: false,
        }
    }

    /// Restores the verdict of a former run. Call it only before the driver has reported the uplink.
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
            _ => debug_assert!(
                false,
                "an uplink that the driver has reported is not restored"
            ),
        }
    }

    /// The uplink lacks something. Of the verdict, only whether there was one is kept.
    pub(crate) fn lose_uplink(&mut self, why: Waiting, routable: bool) {
        *self = PathState::Waiting {
            duty: self.duty(),
            why,
            routable,
            was_judged: self.verdict() != Verdict::Fresh,
        };
    }

    /// The uplink is up. If it was not, and the path is checked, its first round begins at `first_round_at`.
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

    /// A provider is pinned, or the pin is removed. If the path is checked from now on, its first round begins at
    /// `first_round_at`.
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

    /// It was frozen: its former verdict is presumed until it is judged anew.
    fn thaw(&mut self) {
        if let Some(verdict) = self.verdict_mut() {
            *verdict = presumed(matches!(verdict, Verdict::Returning | Verdict::Offline));
        }
    }

    /// Drops the verdict: it is presumed good.
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

    /// Its rounds begin anew; its verdict is kept.
    pub(crate) fn forget_quality(&mut self) {
        if let Some(judgement) = self.judgement_mut() {
            *judgement = Judgement::of(judgement.verdict);
        }
    }

    /// A path without checks is online while its uplink is up. Returns whether it was not online before.
    pub(crate) fn pass_unchecked(&mut self) -> bool {
        if self.duty() != Duty::Checked {
            return false;
        }
        self.verdict_mut()
            .is_some_and(|verdict| core::mem::replace(verdict, Verdict::Online) != Verdict::Online)
    }

    /// None if it is only presumed.
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

    /// The judgement of its rounds; none while its uplink is not known to be up.
    pub(crate) const fn judgement(&self) -> Option<&Judgement> {
        match self {
            PathState::New { .. } | PathState::Restored { .. } | PathState::Waiting { .. } => None,
            PathState::Checked { judgement, .. }
            | PathState::Pinned(judgement)
            | PathState::Frozen(judgement) => Some(judgement),
        }
    }

    /// Whether the driver has reported the uplink.
    pub(crate) const fn is_uplink_known(&self) -> bool {
        !matches!(self, PathState::New { .. } | PathState::Restored { .. })
    }

    /// Why it cannot be probed; none: it can.
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

    /// The verdict of its rounds so far.
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

    /// Its state, as status shows it.
    pub(crate) const fn state(&self) -> State {
        match (self.waiting(), self.duty(), self.verdict()) {
            (Some(_), _, _) => State::Waiting,
            (None, Duty::Frozen, _) => State::Frozen,
            (None, _, Verdict::Online) => State::Online,
            (None, _, Verdict::Offline) => State::Offline,
            (None, _, Verdict::Fresh | Verdict::Returning) => State::Probing,
        }
    }
}

/// The verdict that is presumed until there is one.
const fn presumed(was_judged: bool) -> Verdict {
    match was_judged {
        true => Verdict::Returning,
        false => Verdict::Fresh,
    }
}
