//! The facts about one check on one path.

use crate::limits::SILENCE_APART;
use crate::types::{Duration, Fault, Instant};

/// Settled probes since the check is configured. These numbers never decrease, as `received` and `sent` may: a late answer
/// leaves them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// answered in time
    pub ok: u32,
    /// not answered in time, or failed
    pub lost: u32,
}

/// The facts about one check on this path.
#[derive(Clone, Copy, Debug)]
pub struct CheckFacts {
    /// probes sent since the start
    pub sent: u32,
    /// probes answered since the start
    pub received: u32,
    /// its settled probes
    pub settled: Settled,
    /// round-trip time of the last answer, in microseconds; 0: no answer yet
    pub rtt_us: u32,
    /// whether the last settled probe was answered in time
    pub last: Option<bool>,
    /// when the last settled probe was sent
    pub(super) last_at: Instant,
    /// why the last probe failed; none if it was only unanswered
    pub fault: Option<Fault>,
    /// when a check with an interval of its own is probed again; zero: in the next round
    pub next_at: Instant,
    /// when the last answer came; zero: no answer yet
    pub answered_at: Instant,
    /// probes lost since the last one that was answered in time
    pub losses: u8,
    /// when the first of these lost probes was sent; zero: none is lost
    pub failing_since: Instant,
}

impl CheckFacts {
    /// When the last settled probe was sent.
    pub fn asked_at(&self) -> Instant {
        self.last_at
    }

    pub(super) const NONE: CheckFacts = CheckFacts {
        sent: 0,
        received: 0,
        settled: Settled { ok: 0, lost: 0 },
        rtt_us: 0,
        last: None,
        last_at: Instant::ZERO,
        fault: None,
        next_at: Instant::ZERO,
        answered_at: Instant::ZERO,
        losses: 0,
        failing_since: Instant::ZERO,
    };

    /// Whether a check with an interval of its own is due at a time. It is due early if a loss must be confirmed, because one
    /// lost packet says little, and while the checks that are probed in each round are silent.
    pub(super) fn is_due(
        &self,
        at: Instant,
        interval: Duration,
        down: u8,
        silent_since: Instant,
    ) -> bool {
        let settled = self.last_at + interval >= self.next_at;
        let silence = silent_since != Instant::ZERO
            && (self.last_at < silent_since || at >= self.last_at + SILENCE_APART);
        at >= self.next_at || (settled && (silence || (1..down).contains(&self.losses)))
    }

    /// Whether the last settled probe was answered in time, and was sent no earlier than a time.
    pub(super) fn answered_since(&self, since: Instant) -> bool {
        self.last == Some(true) && self.last_at >= since
    }
}
