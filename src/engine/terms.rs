//! How the rounds of one path are sent and judged.

use heapless::Vec;

use crate::config::{Config, Provider, Quorum, Timing};
use crate::limits::PATH_CHECKS_MAX;
use crate::types::{CheckSet, Duration, Family};

/// How a path's rounds are sent and judged: its provider's timing and its checks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Terms {
    /// the provider's
    pub timing: Timing,
    /// per check, its own interval; zero: it is probed in each round
    pub intervals: Vec<Duration, PATH_CHECKS_MAX>,
    /// the checks that must answer, whatever the quorum
    pub required: CheckSet,
    /// the checks that measure the line: its losses and round-trip times are theirs
    pub line_checks: CheckSet,
}

impl Terms {
    /// The terms of a provider's path.
    pub(crate) fn of(config: &Config, provider: &Provider, family: Family) -> Terms {
        let timing = provider.timing;
        let mut intervals = Vec::new();
        let (mut required, mut line_checks) = (0, 0);
        let checks = config.path_checks(provider, family);
        for (number, check) in checks.take(PATH_CHECKS_MAX).enumerate() {
            let _ = intervals.push(check.interval_in(timing.interval));
            required |= u8::from(check.required) << number;
            line_checks |= u8::from(check.tells_of_line()) << number;
        }
        Terms {
            timing,
            intervals,
            required: CheckSet(required),
            line_checks: match line_checks {
                0 => CheckSet::ALL,
                _ => CheckSet(line_checks),
            },
        }
    }

    /// Whether there is any check.
    pub(crate) fn has_checks(&self) -> bool {
        !self.intervals.is_empty()
    }

    /// The checks that are probed in each round.
    pub(super) fn each_round(&self) -> u8 {
        let set = |set, (i, interval): (usize, &Duration)| match *interval {
            Duration::ZERO => set | 1 << i,
            _ => set,
        };
        self.intervals.iter().enumerate().fold(0, set)
    }

    /// How many checks must answer in a round.
    pub(crate) fn quorum(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation)] // at most PATH_CHECKS_MAX, 8
        let checks = self.intervals.len() as u32;
        match self.timing.quorum {
            Quorum::All => checks,
            Quorum::AtLeast(quorum) => checks.min(quorum.into()),
        }
    }
}
