//! When a path is probed and how it is judged; the defaults of each profile.

use crate::types::{Duration, Measure};

/// When to probe and how to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// time between rounds
    pub interval: Duration,
    /// a probe unanswered this long is lost
    pub timeout: Duration,
    /// consecutive failed rounds to go offline
    pub down: u8,
    /// consecutive good rounds to come online
    pub up: u8,
    /// rounds remembered, at most [`crate::limits::WINDOW_MAX`]
    pub window: u8,
    /// more failed rounds than this in the window: offline
    pub max_failed: u8,
    /// checks that must answer in a round
    pub quorum: Quorum,
    /// thresholds of loss, latency and jitter
    pub quality: Quality,
}

/// When a measure fails a path, and when it is good again: percent of loss, microseconds of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// above this value it fails
    pub most: u32,
    /// at or below this value it is good again
    pub recover: u32,
}

/// The thresholds of a path; a measure without a threshold is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality([Option<Threshold>; Measure::ALL.len()]);

impl Quality {
    /// Nothing is judged.
    pub const NONE: Quality = Quality([None; Measure::ALL.len()]);

    /// The threshold of a measure.
    pub const fn of(&self, measure: Measure) -> Option<Threshold> {
        self.0[measure as usize]
    }

    /// With another threshold for a measure.
    pub const fn with(mut self, measure: Measure, threshold: Option<Threshold>) -> Quality {
        self.0[measure as usize] = threshold;
        self
    }
}

/// A set of defaults for [`Timing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// the default
    Normal,
    /// detects a failure within a second; for lines that are not billed by volume
    Fast,
    /// for lines that are billed by volume
    Metered,
}

impl Profile {
    /// Its defaults.
    pub const fn timing(self) -> Timing {
        let (interval_ms, timeout_ms, up) = match self {
            Profile::Normal => (1_000, 1_000, 3),
            Profile::Fast => (100, 300, 10),
            Profile::Metered => (30_000, 3_000, 2),
        };
        Timing {
            interval: Duration::from_millis(interval_ms),
            timeout: Duration::from_millis(timeout_ms),
            down: 3,
            up,
            window: 50,
            max_failed: 50,
            quorum: Quorum::AtLeast(1),
            quality: Quality::NONE,
        }
    }
}

/// How many checks must succeed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// every one
    All,
    /// so many
    AtLeast(u8),
}
