//! One path: when it probes, and what its rounds say.

mod judgement;
mod outage;
mod quality;
mod renewal;
mod state;

use super::events::Event;
use super::rounds::Rounds;
use super::terms::Terms;
use crate::limits::{CUT_OFF_ROUNDS, REACHED_ROUNDS, WINDOW_MAX};
use crate::types::{CheckSet, Duration, Ground, Instant, Measure, PathId, Round, Verdict, Waiting};
pub use crate::types::{Duty, State};
use outage::Outage;
use quality::measured;
use renewal::Renewal;
use state::PathState;

/// One provider in one family.
pub struct Path {
    /// its provider and family
    pub id: PathId,
    /// how it is judged; none: it is not managed now
    terms: Option<Terms>,
    state: PathState,
    /// since when [`Path::state`] is so
    pub since: Instant,
    /// the code of the last ICMP error since the last answer
    pub unreachable: Option<u8>,
    /// its rounds
    pub rounds: Rounds,
    /// the offset of its rounds in the interval, which spreads the rounds of all paths
    pub(crate) phase: Duration,
    /// Half an interval after the last round. The next one begins no earlier, whatever its uplink or the user does.
    not_before: Instant,
    renewal: Renewal,
    /// its uplink was down, or it was frozen, and it is not judged anew; of no meaning with a verdict
    comes_back: bool,
    /// rounds for which it is still believed that answers arrive, but are dropped on this machine
    cut_off: u8,
    /// the same while it is offline, also when answers reach us again: as a leader it may be heard, and keeps its place
    reached: u8,
    outage: Outage,
}

impl Path {
    /// A path with an unknown uplink and no verdict.
    pub(crate) const fn new(id: PathId) -> Path {
        Path {
            id,
            terms: None,
            state: PathState::new(Duty::Checked),
            since: Instant::ZERO,
            unreachable: None,
            rounds: Rounds::new(),
            phase: Duration::ZERO,
            not_before: Instant::ZERO,
            renewal: Renewal::NEW,
            comes_back: false,
            cut_off: 0,
            reached: 0,
            outage: Outage::NONE,
        }
    }

    /// Resets everything except the numbers of rounds: no answer to an old round may count for a new one.
    pub(crate) fn forget(&mut self) {
        self.forget_provider();
        self.state = PathState::new(self.duty());
    }

    /// Another provider gets its slot. The state of the uplink is kept: the driver reports only changes of it, whichever
    /// provider has it.
    pub(crate) fn forget_provider(&mut self) {
        self.forget_rounds();
        self.terms = None;
        self.forget_verdict();
        self.unreachable = None;
        self.outage = Outage::NONE;
    }

    /// Its rounds begin anew by these terms; its verdict is kept.
    pub(crate) fn set_terms(&mut self, terms: Terms) {
        self.terms = Some(terms);
        self.forget_rounds();
    }

    fn forget_rounds(&mut self) {
        self.rounds.reset();
        self.state.forget_quality();
    }

    /// Its state, as status shows it.
    pub fn state(&self) -> State {
        self.state.state()
    }

    /// Why it cannot be probed; none: it can.
    pub fn waiting(&self) -> Option<Waiting> {
        self.state.waiting()
    }

    /// Whether a default route through it can be installed.
    pub fn routable(&self) -> bool {
        self.state.routable()
    }

    /// Whether it probes while its uplink is up.
    pub fn duty(&self) -> Duty {
        self.state.duty()
    }

    /// The verdict of its rounds so far.
    pub fn verdict(&self) -> Verdict {
        self.state.verdict()
    }

    /// Whether it can carry what chooses it: connections that began by it, and marked traffic. What comes back must be
    /// judged first.
    pub fn is_usable(&self) -> bool {
        match (self.waiting(), self.duty(), self.verdict()) {
            (Some(_), ..) | (_, Duty::Frozen, _) => false,
            (_, Duty::Pinned, _) => true,
            (_, Duty::Checked, Verdict::Fresh) => !self.comes_back,
            (_, Duty::Checked, verdict) => verdict == Verdict::Online,
        }
    }

    /// The time of all its outages until now, since the start.
    pub fn outage(&self, now: Instant) -> Duration {
        self.outage.total(now)
    }

    /// Its state may be another one: begins or ends an outage. While a provider is pinned, it is not known which ones work:
    /// only the loss of an uplink counts. What was not known to be down is not so until its verdict, either.
    pub(crate) fn note_outage(&mut self, now: Instant) {
        let is_out = match (self.duty(), self.verdict()) {
            _ if self.waiting().is_some() => true,
            (Duty::Frozen, _) => false,
            (Duty::Checked, Verdict::Fresh) => self.outage.lasts(),
            _ => !self.is_usable(),
        };
        self.outage.note(is_out && self.is_uplink_known(), now);
    }

    /// Whether the configuration has this path.
    pub(crate) fn is_managed(&self) -> bool {
        self.terms.is_some()
    }

    /// Whether it has no checks: then it is online while it is not waiting.
    pub fn unchecked(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| !terms.has_checks())
    }

    /// How many of its checks must answer in a round.
    pub fn quorum(&self) -> u32 {
        self.terms.as_ref().map_or(0, Terms::quorum)
    }

    /// Whether a measure is beyond its threshold.
    pub fn is_poor(&self, measure: Measure) -> bool {
        let judgement = self.state.judgement();
        judgement.is_some_and(|judgement| judgement.poor.contains(measure))
    }

    /// The value of a measure that has a threshold, in its unit; none: there is too little data.
    pub fn quality(&self, measure: Measure) -> Option<u32> {
        let terms = self.terms.as_ref()?;
        let threshold = terms.timing.quality.of(measure)?;
        measured(&self.rounds, terms, measure, threshold)
    }

    /// Probes lost and settled in the window, of the checks that measure the line. Late answers count as answers.
    pub fn loss(&self, window: u8) -> (u32, u32) {
        self.rounds.loss(window, self.line_checks())
    }

    /// See [`Rounds::history`], of the same checks.
    pub fn history(&self, window: u8) -> heapless::Vec<u32, WINDOW_MAX> {
        self.rounds.history(window, self.line_checks())
    }

    fn line_checks(&self) -> CheckSet {
        let terms = self.terms.as_ref();
        terms.map_or(CheckSet::ALL, |terms| terms.line_checks)
    }

    /// Whether the driver has reported its uplink. Before that, the leader cannot be chosen.
    pub(crate) fn is_uplink_known(&self) -> bool {
        self.state.is_uplink_known()
    }

    /// Restores a verdict of a former run. Call it only before the driver has reported the uplink.
    pub(crate) fn restore(&mut self, verdict: Verdict, since: Instant) {
        self.state.restore(verdict);
        self.since = since;
    }

    /// Restores the duty of a former run. Call it only before the driver has reported the uplink: no round begins yet.
    pub(crate) fn restore_duty(&mut self, duty: Duty) {
        self.comes_back = self.duty() == Duty::Frozen;
        self.state.set_duty(duty, Instant::ZERO);
    }

    /// Drops its verdict: it is presumed good.
    pub(crate) fn forget_verdict(&mut self) {
        self.comes_back = false;
        self.state.forget_verdict();
    }

    /// Sets the state of its uplink. An uplink that lacks nothing is routable.
    pub(crate) fn set_uplink(&mut self, waiting: Option<Waiting>, routable: bool, now: Instant) {
        if let Some(why) = waiting {
            if self.waiting().is_none() {
                // Former rounds say nothing about the uplink when it comes back.
                self.rounds.clear();
                (self.cut_off, self.reached, self.comes_back) = (0, 0, true);
            }
            return self.state.lose_uplink(why, routable);
        }
        // New paths start together, spread over the interval; one that comes back is probed at once.
        let delay = match self.is_uplink_known() && self.verdict() != Verdict::Fresh {
            true => Duration::ZERO,
            false => self.soon(),
        };
        self.state.gain_uplink(self.first_round_at(now, delay));
    }

    /// A provider is pinned, or the pin is removed.
    pub(crate) fn set_duty(&mut self, duty: Duty, now: Instant) {
        if self.duty() == duty {
            return;
        }
        if self.duty() == Duty::Checked {
            self.rounds.abandon();
        }
        self.comes_back = self.duty() == Duty::Frozen && self.is_uplink_known();
        self.state
            .set_duty(duty, self.first_round_at(now, self.soon()));
        // A path without checks is online at once.
        self.judge();
    }

    /// Starts probing, if its state allows it.
    pub(crate) fn restart(&mut self, now: Instant) {
        let first_round_at = self.first_round_at(now, self.soon());
        if let PathState::Checked { next_round_at, .. } = &mut self.state {
            *next_round_at = first_round_at;
        }
    }

    /// The delay of the first round of a path that starts with others: its offset in the interval, at most a second.
    fn soon(&self) -> Duration {
        self.phase.min(Duration::from_secs(1))
    }

    /// When the first round begins: `delay` from now, unless that is too soon after the last one.
    fn first_round_at(&self, now: Instant, delay: Duration) -> Instant {
        let half = self.terms.as_ref().map(|terms| terms.timing.interval / 2);
        // The last round may have been sent when the interval was longer.
        let soonest = self.not_before.min(now + half.unwrap_or_default());
        soonest.max(now + delay)
    }

    /// The interval of its rounds, if it has any: it then gets an offset in it.
    pub(crate) fn pace(&self) -> Option<Duration> {
        let terms = self.terms.as_ref().filter(|terms| terms.has_checks());
        terms.map(|terms| terms.timing.interval)
    }

    /// What became of a probe, or of all that are on their way.
    pub(crate) fn heard(&mut self, event: Event) {
        let Some(terms) = &self.terms else {
            return;
        };
        let rounds = &mut self.rounds;
        match event {
            Event::Reply {
                check, round, rtt, ..
            } => {
                rounds.answered(round, check, rtt, terms);
                (self.unreachable, self.cut_off) = (None, 0);
                if self.reached != 0 {
                    self.reached = REACHED_ROUNDS;
                }
            }
            Event::Failed {
                check,
                round,
                fault,
                ..
            } => rounds.failed(round, check, fault),
            Event::Skipped { check, round, .. } => rounds.skipped(round, check, terms),
            Event::Unasked { check, round, .. } => rounds.unasked(round, check),
            Event::Rebound(_) => rounds.unheard(),
            _ => {}
        }
    }

    /// When [`Path::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let terms = self.terms.as_ref().filter(|terms| terms.has_checks())?;
        let PathState::Checked { next_round_at, .. } = self.state else {
            return None;
        };
        let expiry = self.rounds.deadline(terms.timing.timeout);
        Some(expiry.map_or(next_round_at, |expiry| expiry.min(next_round_at)))
    }

    /// Gives up overdue probes, and starts a round if it is due.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<(Round, CheckSet)> {
        let terms = self.terms.as_ref().filter(|terms| terms.has_checks())?;
        let PathState::Checked { next_round_at, .. } = &mut self.state else {
            return None;
        };
        self.rounds.expire(now, terms.timing.timeout);
        if now < *next_round_at {
            return None;
        }
        let interval = terms.timing.interval;
        self.not_before = now + interval / 2;
        *next_round_at = next_on_grid(self.phase, interval, now);
        // The ring is full of open rounds only if the loop was late: this round is left out.
        if self.rounds.full() {
            return None;
        }
        Some(self.rounds.begin(now, terms)).filter(|(_, asked)| *asked != CheckSet(0))
    }

    /// A round begins: whether its probes have another identifier than those before. `leads`: a reverse-path filter lets its
    /// answers in, so that silence soon means that there are none.
    pub(crate) fn takes_new_identifier(&mut self, leads: bool, now: Instant) -> bool {
        self.cut_off = self.cut_off.saturating_sub(1);
        let less = if leads {
            REACHED_ROUNDS / CUT_OFF_ROUNDS
        } else {
            1
        };
        self.reached = self.reached.saturating_sub(less);
        let timeout = self.terms.as_ref().map(|terms| terms.timing.timeout);
        let apart = timeout.unwrap_or_default();
        self.renewal
            .begin_round(self.verdict() == Verdict::Offline, apart, now)
    }

    /// Whether it is offline, and no check was answered last: then answers may be dropped on this machine.
    pub fn is_silent(&self) -> bool {
        let checked = matches!(self.state, PathState::Checked { .. });
        checked && self.verdict() == Verdict::Offline && self.rounds.is_silent()
    }

    /// Whether answers arrive at its device that do not reach us.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off != 0 && self.is_silent()
    }

    /// Whether answers have arrived at its device that did not reach us, and perhaps others since: the line works.
    pub(crate) fn is_reached(&self) -> bool {
        self.reached != 0
    }

    /// Answers have arrived at its device that did not reach us. Returns whether that is news.
    pub(crate) fn cut_off(&mut self) -> bool {
        let was = self.is_cut_off();
        (self.cut_off, self.reached) = (CUT_OFF_ROUNDS, REACHED_ROUNDS);
        self.is_cut_off() && !was
    }

    /// Judges the rounds that can be judged. Returns why the verdict changed, if it did, and the checks that the last round
    /// lost, if that is the reason.
    pub(crate) fn judge(&mut self) -> Option<(Ground, CheckSet)> {
        let terms = self.terms.as_ref()?;
        if !terms.has_checks() {
            let changed = self.state.pass_unchecked();
            return changed.then_some((Ground::Unchecked, CheckSet(0)));
        }
        let PathState::Checked { judgement, .. } = &mut self.state else {
            return None;
        };
        let changed = judgement.judge(&mut self.rounds, terms);
        if changed.is_some() {
            self.reached = 0;
        }
        changed
    }
}

/// The next time at offset `phase` in the interval, at least half an interval away.
fn next_on_grid(phase: Duration, interval: Duration, now: Instant) -> Instant {
    let micros = |time: Duration| i64::try_from(time.total_micros());
    let interval = micros(interval).unwrap_or(i64::MAX).max(1);
    let phase = micros(phase).unwrap_or(0);
    let earliest = now.total_micros() + interval / 2;
    let steps = (earliest - phase).div_euclid(interval) + 1;
    Instant::from_micros(phase + steps * interval)
}
