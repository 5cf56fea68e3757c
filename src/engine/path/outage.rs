//! How long a path was down.

use crate::types::{Duration, Instant};

/// The time of all outages: each from the verdict offline, or the loss of the uplink, until the path is online.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outage {
    /// when the one that lasts began
    since: Option<Instant>,
    /// the time of those before
    past: Duration,
}

impl Outage {
    pub(super) const NONE: Outage = Outage {
        since: None,
        past: Duration::ZERO,
    };

    /// Whether there was one when its state was noted last.
    pub(super) fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// Whether there is one now.
    pub(super) fn note(&mut self, is_out: bool, now: Instant) {
        if is_out != self.lasts() {
            self.past = self.total(now);
            self.since = is_out.then_some(now);
        }
    }

    /// With the one that lasts.
    pub(super) fn total(&self, now: Instant) -> Duration {
        match self.since {
            None => self.past,
            Some(since) => self.past + (now - since.min(now)),
        }
    }
}
