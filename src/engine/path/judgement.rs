//! The verdict on one path, and why it changes.

use super::quality::PoorMeasures;
use crate::engine::rounds::Rounds;
use crate::engine::terms::Terms;
use crate::types::{CheckSet, Ground, Measured, Verdict};

/// The judgement of the rounds since the uplink came up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) poor: PoorMeasures,
    /// the measure that has become good again after everything else was good
    recovered: Option<Measured>,
}

impl Judgement {
    /// Starts with a former verdict.
    pub(crate) const fn of(verdict: Verdict) -> Judgement {
        Judgement {
            verdict,
            poor: PoorMeasures::NONE,
            recovered: None,
        }
    }

    /// Judges the rounds that can be judged. Returns why the verdict changed, if it did, and the checks that the last round
    /// lost, if that is the reason.
    pub(crate) fn judge(
        &mut self,
        rounds: &mut Rounds,
        terms: &Terms,
    ) -> Option<(Ground, CheckSet)> {
        let before = self.verdict;
        let mut ground = None;
        while rounds.judge(terms).is_some() {
            ground = self.weigh_round(rounds, terms).or(ground);
        }
        ground.filter(|_| self.verdict != before)
    }

    /// One more round is judged. Returns why the verdict changed, if it did.
    fn weigh_round(&mut self, rounds: &Rounds, terms: &Terms) -> Option<(Ground, CheckSet)> {
        let timing = &terms.timing;
        let streak = rounds.streak();
        let (good, failed) = rounds.verdicts(timing.window);
        let too_many = failed > u32::from(timing.max_failed);
        let was_poor = self.poor != PoorMeasures::NONE;
        let weighed = self.poor.weigh(rounds, terms);
        let failed_streak = streak <= -i32::from(timing.down);
        if failed_streak || too_many || self.poor != PoorMeasures::NONE {
            if core::mem::replace(&mut self.verdict, Verdict::Offline) == Verdict::Offline {
                return None;
            }
            let lost = rounds.lost_last(terms);
            return Some(match weighed {
                _ if failed_streak => (Ground::FailedStreak(streak.unsigned_abs()), lost),
                Some(measured) if !too_many => (Ground::Poor(measured), CheckSet(0)),
                _ => (Ground::FailedInWindow(failed, good + failed), lost),
            });
        }
        if was_poor {
            self.recovered = weighed;
        }
        if self.verdict == Verdict::Online || streak < i32::from(timing.up) {
            return None;
        }
        self.verdict = Verdict::Online;
        let rounds = streak.unsigned_abs();
        let ground = match self.recovered.take() {
            Some(measured) => Ground::GoodAgain(rounds, measured),
            None => Ground::GoodStreak(rounds),
        };
        Some((ground, CheckSet(0)))
    }
}

#[cfg(test)]
impl Judgement {
    /// By this measure.
    pub(super) fn poor(verdict: Verdict, measure: crate::types::Measure) -> Judgement {
        Judgement {
            poor: PoorMeasures::of(measure),
            ..Judgement::of(verdict)
        }
    }
}
