//! The rounds of one path: the probes sent, the answers, and the verdict on each round.
//!
//! Facts are stored, verdicts are computed. A round is *open* until each of its probes is answered or lost, and
//! *undecided* until its verdict is certain, which is often earlier. Rounds are judged strictly in the order sent.

mod check_facts;
#[cfg(test)]
pub(crate) mod tests;

pub use super::statistics::Rtt;
use super::terms::Terms;
use crate::limits::{PATH_CHECKS_MAX, WINDOW_MAX};
use crate::types::{CheckSet, Duration, Fault, Instant, Round};
pub use check_facts::{CheckFacts, Settled};

/// The probes of one round, and their answers. Bit i of a mask is check number i.
#[derive(Clone, Copy)]
pub(super) struct Record {
    sent_at: Instant,
    /// round-trip time of the fastest answer, in microseconds; 0: none
    pub(super) rtt_us: u32,
    pub(super) asked: u8,
    /// answered in time; for checks that were not probed, the result of their last probe
    good: u8,
    /// answered, in time or late
    pub(super) answered: u8,
    /// lost, or could not be sent
    lost: u8,
    /// not probed, because there was no room
    unasked: u8,
}

impl Record {
    const EMPTY: Record = Record {
        sent_at: Instant::ZERO,
        rtt_us: 0,
        asked: 0,
        good: 0,
        answered: 0,
        lost: 0,
        unasked: 0,
    };

    /// Probes on their way.
    pub(super) fn open(&self) -> u8 {
        self.asked & !self.good & !self.lost
    }
}

/// The verdict on a round, as far as it is certain.
enum Judged {
    /// not certain yet
    Uncertain,
    /// there will be none
    Uncounted,
    /// whether it was good
    Certain(bool),
}

/// The ring of the last [`WINDOW_MAX`] rounds, with their verdicts.
pub struct Rounds {
    ring: [Record; WINDOW_MAX],
    /// the number of the next round
    next: u32,
    /// the first round whose probes and answers are counted
    counted_from: u32,
    /// the first round that is open
    settled: u32,
    /// the first round without a verdict
    judged: u32,
    /// rounds in the ring that may be counted
    kept: u8,
    /// one bit per verdict, the youngest is the lowest: 1 is failed
    failed: u64,
    /// how many bits of `failed` are valid
    verdicts: u8,
    streak: i32,
    pub(super) last_rtt_us: u32,
    /// since when none of the checks that are probed in each round answers; zero: one did in the round judged last
    silent_since: Instant,
    /// the check that is probed first
    turn: u8,
    checks: [CheckFacts; PATH_CHECKS_MAX],
}

impl Rounds {
    pub(crate) const fn new() -> Rounds {
        Rounds {
            ring: [Record::EMPTY; WINDOW_MAX],
            next: 0,
            counted_from: 0,
            settled: 0,
            judged: 0,
            kept: 0,
            failed: 0,
            verdicts: 0,
            streak: 0,
            last_rtt_us: 0,
            silent_since: Instant::ZERO,
            turn: 0,
            checks: [CheckFacts::NONE; PATH_CHECKS_MAX],
        }
    }

    /// Forgets all rounds; the counts of probes and answers since the start are kept.
    pub(crate) fn clear(&mut self) {
        self.abandon();
        (self.kept, self.failed, self.verdicts, self.last_rtt_us) = (0, 0, 0, 0);
        for check in &mut self.checks {
            (check.rtt_us, check.answered_at) = (0, Instant::ZERO);
        }
    }

    /// Resets everything except the numbers of rounds.
    pub(crate) fn reset(&mut self) {
        *self = Rounds {
            next: self.next,
            counted_from: self.next,
            settled: self.next,
            judged: self.next,
            ..Rounds::new()
        };
    }

    /// The settled probes of each check.
    pub(crate) fn settled(&self) -> [Settled; PATH_CHECKS_MAX] {
        self.checks.map(|check| check.settled)
    }

    /// Continues to count the settled probes of a check.
    pub(crate) fn keep_settled(&mut self, check: u8, settled: Settled) {
        if let Some((facts, _)) = self.check(check) {
            facts.settled = settled;
        }
    }

    /// Expects no more answers to the probes on their way, and starts a new streak.
    pub(crate) fn abandon(&mut self) {
        while self.settled != self.next {
            let record = self.record(self.settled);
            record.asked &= record.good | record.lost;
            self.settled = self.settled.wrapping_add(1);
        }
        self.judged = self.next;
        self.streak = 0;
        self.silent_since = Instant::ZERO;
        // No former result is used for a check with an interval of its own: it is probed again.
        for check in &mut self.checks {
            (check.last, check.fault, check.losses) = (None, None, 0);
            check.failing_since = Instant::ZERO;
            check.next_at = Instant::ZERO;
        }
    }

    /// Whether there is no room for a round: the oldest is still open, or not judged. A timeout is at most 63 intervals, so
    /// this happens only if rounds are sent late.
    pub(crate) fn full(&self) -> bool {
        let used = |first: u32| self.next.wrapping_sub(first) as usize;
        used(self.settled).max(used(self.judged)) >= WINDOW_MAX
    }

    /// Starts a round, if there is room; returns the checks to probe in it. A check with an interval of its own is probed
    /// when that is over, and at the start.
    pub(crate) fn begin(&mut self, now: Instant, terms: &Terms) -> (Round, CheckSet) {
        let mut asked = 0;
        for (i, (check, interval)) in self.checks.iter_mut().zip(&terms.intervals).enumerate() {
            if *interval != Duration::ZERO {
                // Rounded to the nearest round.
                let slack = Duration::from_micros(terms.timing.interval.total_micros() / 2);
                let (at, down) = (now + slack, terms.timing.down);
                if !check.is_due(at, *interval, down, self.silent_since) {
                    continue;
                }
                check.next_at = now + *interval;
            }
            asked |= 1 << i;
            check.sent = check.sent.wrapping_add(1);
        }
        let round = self.next;
        let mut record = Record {
            sent_at: now,
            asked,
            ..Record::EMPTY
        };
        // The last results are taken now, whatever becomes known before this round is judged.
        (record.good, _) = self.former_results(&record, terms);
        *self.record(round) = record;
        self.next = round.wrapping_add(1);
        if usize::from(self.kept) < WINDOW_MAX {
            self.kept += 1;
        }
        self.settle();
        (Round(round), CheckSet(asked))
    }

    /// An answer has come. After the timeout it counts in the statistics only.
    pub(crate) fn answered(&mut self, round: Round, check: u8, rtt: Duration, terms: &Terms) {
        let CheckSet(line_checks) = terms.line_checks;
        let held = self.holds(round);
        let counted = self.next.wrapping_sub(round.0).wrapping_sub(1)
            < self.next.wrapping_sub(self.counted_from);
        let record = *self.at(round.0);
        let Some((facts, bit)) = self.check(check) else {
            return;
        };
        if held && record.answered & bit != 0 {
            // The network duplicated it.
            return;
        }
        // Not counted: probes before a reload that has restarted the counts, and duplicates that are far too late.
        if counted && facts.received != facts.sent {
            facts.received = facts.received.wrapping_add(1);
        }
        if !held {
            return;
        }
        let rtt_us = u32::try_from(rtt.total_micros()).unwrap_or(u32::MAX).max(1);
        facts.rtt_us = rtt_us;
        facts.answered_at = facts.answered_at.max(record.sent_at + rtt);
        if line_checks & bit != 0 {
            self.last_rtt_us = rtt_us;
        }
        let record = self.record(round.0);
        record.answered |= bit;
        if record.asked & bit == 0 {
            return;
        }
        if line_checks & bit != 0 && (record.rtt_us == 0 || rtt_us < record.rtt_us) {
            record.rtt_us = rtt_us;
        }
        if rtt <= terms.timing.timeout && record.lost & bit == 0 {
            record.good |= bit;
            let at = record.sent_at;
            self.note(check, at, true, None);
            self.settle();
        }
    }

    /// A probe is known to have failed.
    pub(crate) fn failed(&mut self, round: Round, check: u8, fault: Fault) {
        let Some((_, bit)) = self.check(check) else {
            return;
        };
        if !self.holds(round) {
            return;
        }
        let record = self.record(round.0);
        if record.open() & bit != 0 {
            record.lost |= bit;
            let at = record.sent_at;
            self.note(check, at, false, Some(fault));
            self.settle();
        }
    }

    /// A check was not probed after all: its former probe has not ended. With an interval of its own it is due again in the
    /// next round, and its last result is used for this one.
    pub(crate) fn skipped(&mut self, round: Round, check: u8, terms: &Terms) {
        let own = terms.intervals.get(usize::from(check)).copied();
        self.withdraw(round, check);
        if own.is_none_or(|own| own == Duration::ZERO) || !self.holds(round) {
            return;
        }
        let (former, _) = self.former_results(self.at(round.0), terms);
        if let Some((facts, bit)) = self.check(check) {
            facts.next_at = Instant::ZERO;
            self.record(round.0).good |= former & bit;
        }
    }

    /// Records that a check is not probed in a round after all.
    fn withdraw(&mut self, round: Round, check: u8) {
        let Some((facts, bit)) = self.check(check) else {
            return;
        };
        facts.sent = facts.sent.wrapping_sub(1);
        if self.holds(round) {
            self.record(round.0).asked &= !bit;
            self.settle();
        }
    }

    /// A check was not probed after all, because there was no room. It is due again in the next round, which begins with the
    /// first check that had no room.
    pub(crate) fn unasked(&mut self, round: Round, check: u8) {
        let Some((facts, bit)) = self.check(check) else {
            return;
        };
        facts.next_at = Instant::ZERO;
        if self.holds(round) {
            let record = self.record(round.0);
            let first = record.unasked == 0;
            record.unasked |= bit;
            let known = self.facts(check).last;
            if known == Some(true) {
                self.record(round.0).good |= bit;
            }
            if first {
                self.turn = check;
            }
        }
        self.withdraw(round, check);
    }

    /// The probes on their way are not heard any more, through no fault of the line.
    pub(crate) fn unheard(&mut self) {
        let mut round = self.settled;
        while round != self.next {
            let open = self.at(round).open();
            for check in (0..8).filter(|check| open & (1 << check) != 0) {
                self.unasked(Round(round), check);
            }
            round = round.wrapping_add(1);
        }
    }

    /// The number of the check that a round begins with. Checks with higher numbers follow, then those with lower ones.
    pub fn turn(&self) -> u8 {
        self.turn
    }

    /// Whether no check was answered when it was probed last.
    pub(crate) fn is_silent(&self) -> bool {
        self.checks.iter().all(|check| check.last != Some(true))
    }

    /// Gives up the probes that are unanswered for `timeout`.
    pub(crate) fn expire(&mut self, now: Instant, timeout: Duration) {
        while self.deadline(timeout).is_some_and(|at| at <= now) {
            self.lose(self.settled);
            self.settle();
        }
    }

    /// When [`Rounds::expire`] is due: never while no probe is on its way.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        (self.settled != self.next).then(|| self.at(self.settled).sent_at + timeout)
    }

    /// The verdict on the oldest undecided round that counts, once it is certain: whether it was good.
    pub(crate) fn judge(&mut self, terms: &Terms) -> Option<bool> {
        while self.judged != self.next {
            match self.judge_oldest(terms) {
                Judged::Uncertain => return None,
                Judged::Uncounted => self.judged = self.judged.wrapping_add(1),
                Judged::Certain(verdict) => return Some(verdict),
            }
        }
        None
    }

    fn judge_oldest(&mut self, terms: &Terms) -> Judged {
        let record = *self.record(self.judged);
        let (former, _) = self.former_results(&record, terms);
        let each_round = record.asked & terms.each_round();
        let enough = |mut answered: u8| {
            let CheckSet(required) = terms.required;
            if each_round != 0 && answered & each_round == 0 {
                // Results from before the silence say nothing about now.
                answered &= record.asked | self.answered_since_silence(&record);
            }
            CheckSet(answered).count() >= terms.quorum() && required & !answered == 0
        };
        let good = record.good | former;
        let verdict = if enough(good) {
            true
        } else if enough(good | record.open()) {
            return Judged::Uncertain;
        } else if enough(good | record.open() | self.unknown(&record)) {
            return Judged::Uncounted;
        } else {
            false
        };
        if record.good & each_round != 0 {
            self.silent_since = Instant::ZERO;
        } else if each_round & !record.open() == each_round && each_round != 0 {
            self.silent_since = self.silence_at(&record);
        }
        self.judged = self.judged.wrapping_add(1);
        self.failed = self.failed << 1 | u64::from(!verdict);
        if usize::from(self.verdicts) < WINDOW_MAX {
            self.verdicts += 1;
        }
        self.streak = match verdict {
            true => self.streak.max(0).saturating_add(1),
            false => self.streak.min(0).saturating_sub(1),
        };
        Judged::Certain(verdict)
    }

    /// The checks that were not probed in a round because there was no room, and have no former result to use.
    fn unknown(&self, record: &Record) -> u8 {
        let set = |set, (i, check): (usize, &CheckFacts)| match check.last {
            None => set | 1 << i,
            Some(_) => set,
        };
        record.unasked & self.checks.iter().enumerate().fold(0, set)
    }

    /// The checks that are not probed in this round: those with a last result that is good and recent (at most two of the
    /// intervals at which they can be probed), and the others.
    fn former_results(&self, record: &Record, terms: &Terms) -> (u8, u8) {
        let usual = terms.timing.interval.max(terms.timing.timeout);
        let (mut good, mut failed) = (0, 0);
        for (i, (check, interval)) in self.checks.iter().zip(&terms.intervals).enumerate() {
            let Some(answered) = check.last else {
                continue;
            };
            let interval = match *interval {
                Duration::ZERO => usual,
                own => own,
            };
            let bit = 1 << i & !record.asked & !record.good;
            if answered && record.sent_at <= check.last_at + interval + interval {
                good |= bit;
            } else {
                failed |= bit;
            }
        }
        (good, failed)
    }

    /// When the silence began; without one, when the round was sent.
    fn silence_at(&self, record: &Record) -> Instant {
        match self.silent_since {
            Instant::ZERO => record.sent_at,
            since => since,
        }
    }

    /// The checks that have answered since then.
    fn answered_since_silence(&self, record: &Record) -> u8 {
        let since = self.silence_at(record);
        let set = |set, (i, check): (usize, &CheckFacts)| match check.answered_since(since) {
            true => set | 1 << i,
            false => set,
        };
        self.checks.iter().enumerate().fold(0, set)
    }

    /// Good rounds (above 0) or failed ones (below 0) in a row.
    pub fn streak(&self) -> i32 {
        self.streak
    }

    /// Good and failed rounds in the window.
    pub fn verdicts(&self, window: u8) -> (u32, u32) {
        let count = self.verdicts.min(window);
        let mask = if count == 0 {
            0
        } else {
            u64::MAX >> (64 - u32::from(count))
        };
        let failed = (self.failed & mask).count_ones();
        (u32::from(count) - failed, failed)
    }

    /// The facts about a check.
    pub fn facts(&self, check: u8) -> CheckFacts {
        self.checks
            .get(usize::from(check))
            .copied()
            .unwrap_or(CheckFacts::NONE)
    }

    /// The checks that failed the round that was judged last.
    pub(crate) fn lost_last(&self, terms: &Terms) -> CheckSet {
        let record = self.at(self.judged.wrapping_sub(1));
        CheckSet(record.lost | self.former_results(record, terms).1)
    }

    /// The last rounds, youngest first.
    pub(super) fn window(&self, window: u8) -> impl Iterator<Item = &Record> {
        let count = u32::from(self.kept.min(window));
        (1..=count).map(|back| self.at(self.next.wrapping_sub(back)))
    }

    fn lose(&mut self, round: u32) {
        let record = self.record(round);
        let (open, at) = (record.open(), record.sent_at);
        record.lost |= open;
        for check in (0..8).filter(|check| open & (1 << check) != 0) {
            self.note(check, at, false, None);
        }
    }

    /// Skips the rounds that are no longer open.
    fn settle(&mut self) {
        while self.settled != self.next && self.at(self.settled).open() == 0 {
            self.settled = self.settled.wrapping_add(1);
        }
    }

    /// The latest settled probe decides the state of a check.
    fn note(&mut self, check: u8, at: Instant, good: bool, fault: Option<Fault>) {
        let Some((facts, _)) = self.check(check) else {
            return;
        };
        let count = match good {
            true => &mut facts.settled.ok,
            false => &mut facts.settled.lost,
        };
        *count = count.wrapping_add(1);
        if facts.last.is_none() || facts.last_at <= at {
            (facts.last, facts.last_at, facts.fault) = (Some(good), at, fault);
            (facts.losses, facts.failing_since) = match (good, facts.losses) {
                (true, _) => (0, Instant::ZERO),
                (false, 0) => (1, at),
                (false, losses) => (losses.saturating_add(1), facts.failing_since),
            };
        }
    }

    fn check(&mut self, check: u8) -> Option<(&mut CheckFacts, u8)> {
        Some((self.checks.get_mut(usize::from(check))?, 1 << check))
    }

    fn holds(&self, round: Round) -> bool {
        let back = self.next.wrapping_sub(round.0);
        back != 0 && back <= u32::from(self.kept)
    }

    fn at(&self, round: u32) -> &Record {
        &self.ring[round as usize % WINDOW_MAX]
    }

    fn record(&mut self, round: u32) -> &mut Record {
        &mut self.ring[round as usize % WINDOW_MAX]
    }
}
