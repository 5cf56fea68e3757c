//! The verdict and the duty of a path, and what becomes of a family's traffic.

use serde::{Deserialize, Serialize};

use super::{Duration, Slot};

/// The verdict of a path's rounds so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Never judged, or good before a pin: presumed good, and not known to be better than the provider that carries now.
    #[default]
    Fresh,
    /// Judged before, but it was waiting or frozen since then: it must be judged anew.
    Returning,
    /// Good.
    Online,
    /// Failed.
    Offline,
}

/// Whether a path probes while its uplink is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duty {
    /// It probes.
    #[default]
    Checked,
    /// Its provider is pinned: it is used whatever the checks say, so it does not probe.
    Pinned,
    /// Another provider is pinned: it does not probe.
    Frozen,
}

impl Duty {
    /// The duty of a provider's paths while `pinned` is pinned.
    pub(crate) fn of(slot: Slot, pinned: Option<Slot>) -> Duty {
        match pinned {
            None => Duty::Checked,
            Some(pinned) if pinned == slot => Duty::Pinned,
            Some(_) => Duty::Frozen,
        }
    }
}

/// What becomes of a family's traffic, for status, explain, hooks, journal and the saved state. The provider is named by its
/// slot, or by its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lead<By = Slot> {
    /// not known yet; or the family is not managed
    #[default]
    Unknown,
    /// no provider can have a default route
    NoRoute,
    /// `last_resort` refuses it
    Refused,
    /// it leaves by this provider
    By(By),
}

impl<By> Lead<By> {
    /// The provider that carries the traffic.
    pub fn carrier(self) -> Option<By> {
        match self {
            Lead::By(provider) => Some(provider),
            Lead::Unknown | Lead::NoRoute | Lead::Refused => None,
        }
    }

    /// The same, with a reference.
    pub fn borrowed(&self) -> Lead<&By> {
        match self {
            Lead::Unknown => Lead::Unknown,
            Lead::NoRoute => Lead::NoRoute,
            Lead::Refused => Lead::Refused,
            Lead::By(provider) => Lead::By(provider),
        }
    }

    /// The same, with the provider named in another way; unknown when it has no such name.
    pub fn named<Other>(self, name: impl FnOnce(By) -> Option<Other>) -> Lead<Other> {
        match self {
            Lead::Unknown => Lead::Unknown,
            Lead::NoRoute => Lead::NoRoute,
            Lead::Refused => Lead::Refused,
            Lead::By(provider) => name(provider).map_or(Lead::Unknown, Lead::By),
        }
    }
}

/// Which provider leads when none is healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastResort {
    /// the first in rank that has a gateway
    #[default]
    First,
    /// the one that leads now
    Keep,
    /// no provider: traffic is refused at once
    Unreachable,
}

/// When a better provider takes over from a healthy one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preempt {
    /// at once
    #[default]
    Yes,
    /// never
    No,
    /// after it has been online this long
    After(Duration),
}
