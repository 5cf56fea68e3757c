//! One path: when it probes, and what its rounds say about it.

use super::rounds::{Rounds, Terms};
use crate::config::Threshold;
use crate::limits::QUALITY_ROUNDS_MIN;
use crate::types::{
    CheckSet, Duration, Ground, Instant, Measure, Measured, PathId, Round, Verdict, Waiting,
};
pub use crate::types::{Duty, State};

/// One provider in one family.
pub struct Path {
    /// which
    pub id: PathId,
    /// how it is judged; none: there is no such path now
    pub(crate) terms: Option<Terms>,
    /// why it cannot be probed, when it cannot
    pub waiting: Option<Waiting>,
    /// whether a default route through it can be installed
    pub routable: bool,
    /// whether the driver has told of its uplink: before, nobody can say who is to lead
    pub(crate) told: bool,
    /// whether it probes
    pub duty: Duty,
    /// what its rounds say
    pub verdict: Verdict,
    /// since when `state()` is so
    pub since: Instant,
    /// the code of the last ICMP error since the last answer
    pub unreachable: Option<u8>,
    /// its rounds
    pub rounds: Rounds,
    /// the measures that are beyond their thresholds: one bit a [`Measure`]
    poor: u8,
    /// the measure that has become good again, while everything else was good already
    mended: Option<Measured>,
    /// where in the interval its rounds fall, so that those of all paths are spread
    pub(crate) phase: Duration,
    next_round_at: Instant,
    /// Half an interval after the last round: no next one before, whatever its uplink or a person does.
    not_before: Instant,
}

impl Path {
    /// A path nothing is known of: it waits for its uplink.
    pub(crate) const fn new(id: PathId) -> Path {
        Path {
            id,
            terms: None,
            waiting: Some(Waiting::NoDevice),
            routable: false,
            told: false,
            duty: Duty::Checked,
            verdict: Verdict::Fresh,
            since: Instant::ZERO,
            unreachable: None,
            rounds: Rounds::new(),
            poor: 0,
            mended: None,
            phase: Duration::ZERO,
            next_round_at: Instant::ZERO,
            not_before: Instant::ZERO,
        }
    }

    /// As new, but for the numbers of its rounds: no answer to an old one may count for a new one.
    pub(crate) fn forget(&mut self) {
        self.reset();
        self.terms = None;
        (self.waiting, self.routable, self.told) = (Some(Waiting::NoDevice), false, false);
        self.verdict = Verdict::Fresh;
        self.unreachable = None;
    }

    /// Its rounds begin anew.
    pub(crate) fn reset(&mut self) {
        self.rounds.reset();
        (self.poor, self.mended) = (0, None);
    }

    /// What its rounds said means nothing any more.
    pub(crate) fn clear(&mut self) {
        self.rounds.clear();
        (self.poor, self.mended) = (0, None);
        self.doubt();
    }

    /// As people see it.
    pub fn state(&self) -> State {
        match (self.waiting, self.duty, self.verdict) {
            (Some(_), _, _) => State::Waiting,
            (None, Duty::Frozen, _) => State::Frozen,
            (None, _, Verdict::Online) => State::Online,
            (None, _, Verdict::Offline) => State::Offline,
            (None, _, Verdict::Fresh | Verdict::Returning) => State::Probing,
        }
    }

    /// Whether no check asks for anything on this path: it is online while it is not waiting.
    pub fn unchecked(&self) -> bool {
        self.terms
            .as_ref()
            .is_some_and(|terms| terms.intervals.is_empty())
    }

    /// How many of its checks must answer in a round.
    pub fn quorum(&self) -> u32 {
        self.terms.as_ref().map_or(0, Terms::quorum)
    }

    /// Whether a measure is beyond its threshold.
    pub fn is_poor(&self, measure: Measure) -> bool {
        self.poor & (1 << measure as u8) != 0
    }

    /// A measure that has a threshold, as that has it; none when there is too little to measure it by.
    pub fn quality(&self, measure: Measure) -> Option<u32> {
        let terms = self.terms.as_ref()?;
        let threshold = terms.timing.quality.of(measure)?;
        measured(&self.rounds, terms, measure, threshold)
    }

    /// Probes lost and probes settled in the window, late answers included, of the checks that tell of the line.
    pub fn loss(&self, window: u8) -> (u32, u32) {
        let telling = self
            .terms
            .as_ref()
            .map_or(CheckSet::ALL, |terms| terms.telling);
        self.rounds.loss(window, telling)
    }

    fn probes(&self) -> bool {
        self.terms.is_some()
            && self.told
            && self.waiting.is_none()
            && self.duty == Duty::Checked
            && !self.unchecked()
    }

    /// When [`Path::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let terms = self.terms.as_ref()?;
        if !self.probes() {
            return None;
        }
        let expiry = self.rounds.deadline(terms.timing.timeout);
        Some(expiry.map_or(self.next_round_at, |expiry| expiry.min(self.next_round_at)))
    }

    /// Starts probing, the first round `delay` from now, if that is not too soon after the last one.
    pub(crate) fn restart(&mut self, now: Instant, delay: Duration) {
        let half = self.terms.as_ref().map(|terms| terms.timing.interval / 2);
        // The last round may have been sent when the interval was longer.
        let soonest = self.not_before.min(now + half.unwrap_or_default());
        self.next_round_at = soonest.max(now + delay);
    }

    /// Gives up what is overdue, and starts a round when it is time.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<(Round, CheckSet)> {
        if !self.probes() {
            return None;
        }
        let terms = self.terms.as_ref()?;
        self.rounds.expire(now, terms.timing.timeout);
        if now < self.next_round_at {
            return None;
        }
        let interval = terms.timing.interval;
        self.not_before = now + interval / 2;
        self.next_round_at = self.next_on_grid(interval, now);
        // A ring that is full of open rounds is that of a loop that was late: leave this one out.
        let terms = self.terms.as_ref().filter(|_| !self.rounds.full())?;
        Some(self.rounds.begin(now, terms)).filter(|(_, asked)| *asked != CheckSet(0))
    }

    /// The next point of time at `phase` within the interval, at least half an interval away.
    fn next_on_grid(&self, interval: Duration, now: Instant) -> Instant {
        let interval = i64::try_from(interval.total_micros())
            .unwrap_or(i64::MAX)
            .max(1);
        let phase = i64::try_from(self.phase.total_micros()).unwrap_or(0);
        let earliest = now.total_micros() + interval / 2;
        let steps = (earliest - phase).div_euclid(interval) + 1;
        Instant::from_micros(phase + steps * interval)
    }

    /// Judges what can be judged. Why the verdict that stands at the end is another, if it is, and the checks that the last
    /// round lost, where that is the reason.
    pub(crate) fn judge(&mut self) -> Option<(Ground, CheckSet)> {
        let terms = self.terms.as_ref()?;
        let before = self.verdict;
        if !self.probes() {
            if self.unchecked()
                && self.waiting.is_none()
                && self.duty == Duty::Checked
                && before != Verdict::Online
            {
                self.verdict = Verdict::Online;
                return Some((Ground::Unchecked, CheckSet(0)));
            }
            return None;
        }
        let timing = terms.timing;
        let mut ground = None;
        while self.rounds.judge(terms).is_some() {
            let streak = self.rounds.streak();
            let (good, failed) = self.rounds.verdicts(timing.window);
            let too_many = failed > u32::from(timing.max_failed);
            let was_poor = self.poor;
            let weighed = weigh(&self.rounds, terms, &mut self.poor);
            let failed_streak = streak <= -i32::from(timing.down);
            if failed_streak || too_many || self.poor != 0 {
                if self.verdict == Verdict::Offline {
                    continue;
                }
                self.verdict = Verdict::Offline;
                let lost = self.rounds.lost_last(terms);
                ground = Some(match weighed {
                    _ if failed_streak => (Ground::FailedStreak(streak.unsigned_abs()), lost),
                    Some(measured) if !too_many => (Ground::Poor(measured), CheckSet(0)),
                    _ => (Ground::FailedInWindow(failed, good + failed), lost),
                });
            } else {
                if was_poor != 0 {
                    self.mended = weighed;
                }
                if self.verdict == Verdict::Online || streak < i32::from(timing.up) {
                    continue;
                }
                self.verdict = Verdict::Online;
                let rounds = streak.unsigned_abs();
                let good = match self.mended.take() {
                    Some(measured) => Ground::GoodAgain(rounds, measured),
                    None => Ground::GoodStreak(rounds),
                };
                ground = Some((good, CheckSet(0)));
            }
        }
        ground.filter(|_| self.verdict != before)
    }

    /// What was known is no longer: to be judged anew, if it was ever judged.
    pub(crate) fn doubt(&mut self) {
        if self.verdict != Verdict::Fresh {
            self.verdict = Verdict::Returning;
        }
    }

    /// It was frozen: presumed to be what it was, until it is judged anew.
    pub(crate) fn thaw(&mut self) {
        self.verdict = match self.verdict {
            Verdict::Fresh | Verdict::Online => Verdict::Fresh,
            Verdict::Returning | Verdict::Offline => Verdict::Returning,
        };
    }
}

/// Weighs the quality of rounds against its thresholds: `poor` has one bit a measure that is beyond. Tells of the first
/// that is; else of the first that was.
fn weigh(rounds: &Rounds, terms: &Terms, poor: &mut u8) -> Option<Measured> {
    let (mut beyond, mut within) = (None, None);
    for measure in Measure::ALL {
        let bit = 1 << measure as u8;
        let was_beyond = *poor & bit != 0;
        let Some(threshold) = terms.timing.quality.of(measure) else {
            *poor &= !bit;
            continue;
        };
        let Some(value) = measured(rounds, terms, measure, threshold) else {
            continue; // too little is known to change what was
        };
        let limit = if was_beyond {
            threshold.recover
        } else {
            threshold.most
        };
        // Being worse than the one, it fails by the other, now or since before.
        let is_above = value > threshold.recover;
        let told = Some(Measured {
            measure,
            value,
            limit: if is_above {
                threshold.most
            } else {
                threshold.recover
            },
            is_above,
        });
        if value > limit {
            *poor |= bit;
            beyond = beyond.or(told);
        } else if was_beyond {
            *poor &= !bit;
            within = within.or(told);
        }
    }
    beyond.or(within)
}

/// A measure over the window, as its threshold has it; none when there is too little to measure it by.
fn measured(rounds: &Rounds, terms: &Terms, measure: Measure, threshold: Threshold) -> Option<u32> {
    let timing = &terms.timing;
    if measure == Measure::Loss {
        let (lost, asked) = rounds.loss(timing.window, terms.telling);
        // One lost probe alone is never beyond it.
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
