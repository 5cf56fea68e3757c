//! The quality of one path: its losses and round-trip times, against their thresholds.

use crate::config::Threshold;
use crate::engine::rounds::Rounds;
use crate::engine::terms::Terms;
use crate::limits::QUALITY_ROUNDS_MIN;
use crate::types::{Measure, Measured};

/// The measures that exceed their thresholds: one bit per [`Measure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoorMeasures(u8);

impl PoorMeasures {
    pub(crate) const NONE: PoorMeasures = PoorMeasures(0);

    #[cfg(test)]
    pub(super) const fn of(measure: Measure) -> PoorMeasures {
        PoorMeasures(PoorMeasures::bit(measure))
    }

    pub(crate) const fn contains(self, measure: Measure) -> bool {
        self.0 & PoorMeasures::bit(measure) != 0
    }

    /// Compares the quality of rounds with its thresholds. Returns the first measure that exceeds its threshold; else the
    /// first that did before.
    pub(crate) fn weigh(&mut self, rounds: &Rounds, terms: &Terms) -> Option<Measured> {
        let (mut beyond, mut within) = (None, None);
        for measure in Measure::ALL {
            let Some(threshold) = terms.timing.quality.of(measure) else {
                self.0 &= !PoorMeasures::bit(measure);
                continue;
            };
            let Some(value) = measured(rounds, terms, measure, threshold) else {
                continue; // too little data to change the result
            };
            let was_beyond = self.contains(measure);
            let limit = match was_beyond {
                true => threshold.recover,
                false => threshold.most,
            };
            // Above `recover` it fails, or failed before: the limit that it exceeded is `most`.
            let is_above = value > threshold.recover;
            let report = Some(Measured {
                measure,
                value,
                limit: match is_above {
                    true => threshold.most,
                    false => threshold.recover,
                },
                is_above,
            });
            if value > limit {
                self.0 |= PoorMeasures::bit(measure);
                beyond = beyond.or(report);
            } else if was_beyond {
                self.0 &= !PoorMeasures::bit(measure);
                within = within.or(report);
            }
        }
        beyond.or(within)
    }

    const fn bit(measure: Measure) -> u8 {
        1 << measure as u8
    }
}

/// The value of a measure over the window, in the unit of its threshold; none: there is too little data.
pub(super) fn measured(
    rounds: &Rounds,
    terms: &Terms,
    measure: Measure,
    threshold: Threshold,
) -> Option<u32> {
    let timing = &terms.timing;
    if measure == Measure::Loss {
        let (lost, asked) = rounds.loss(timing.window, terms.line_checks);
        // A single lost probe never exceeds it.
        let enough = asked * threshold.most >= 100;
        return enough.then(|| (lost * 100).div_ceil(asked));
    }
    let rtt = rounds.rtt(timing.window)?;
    let enough = rtt.rounds >= QUALITY_ROUNDS_MIN.min(timing.window.into());
    enough.then_some(match measure {
        Measure::Jitter => rtt.stddev,
        Measure::Loss | Measure::Latency => rtt.avg,
    })
}
