//! A model of the verdict, independent of the engine: every round since the last loss of the uplink is kept, and everything
//! is computed from them.

use failover::config::{Config, Provider, Timing};
use failover::engine::path::Path;
use failover::types::{CheckSet, Duration, Instant, PathId, Round, Verdict, Waiting};

/// Rounds that the engine remembers.
const REMEMBERED: usize = 64;

/// The settings by which a path is judged: if they change, its rounds start anew.
#[derive(Clone, Debug, PartialEq)]
struct Terms {
    provider: Provider,
    checks: Vec<failover::config::Check>,
}

#[derive(Clone, Debug)]
struct Sent {
    number: u32,
    at: Instant,
    asked: u8,
    good: u8,
    lost: u8,
    answered: u8,
    rtts: Vec<u64>,
}

/// The model of one path.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    terms: Terms,
    waiting: Option<Waiting>,
    verdict: Verdict,
    rounds: Vec<Sent>,
    judged: usize,
    verdicts: Vec<bool>,
    /// The streak begins here.
    streak_from: usize,
}

impl Model {
    pub(crate) fn new(config: &Config, id: PathId) -> Model {
        let provider = config.at(id.slot).unwrap();
        let checks = config.path_checks(provider, id.family).cloned().collect();
        Model {
            terms: Terms {
                provider: Provider {
                    rank: 0,
                    checks: 0,
                    metered: false,
                    ..provider.clone()
                },
                checks,
            },
            waiting: Some(Waiting::NoDevice),
            verdict: Verdict::Fresh,
            rounds: Vec::new(),
            judged: 0,
            verdicts: Vec::new(),
            streak_from: 0,
        }
    }

    /// The same path under a new configuration.
    pub(crate) fn reconfigured(&self, config: &Config, id: PathId) -> Model {
        let fresh = Model::new(config, id);
        if fresh.terms == self.terms {
            return self.clone();
        }
        let (old, new) = (&self.terms.provider, &fresh.terms.provider);
        let verdict = if old.id == new.id && old.device == new.device {
            self.verdict
        } else {
            Verdict::Fresh
        };
        Model {
            waiting: self.waiting,
            verdict,
            ..fresh
        }
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.terms.provider.timing
    }

    /// A check with its own interval makes rounds that the model does not see: such paths are tested by the scripts.
    pub(crate) fn simple(&self) -> bool {
        self.terms.checks.iter().all(|c| c.interval.is_none())
    }

    pub(crate) fn unchecked(&self) -> bool {
        self.terms.checks.is_empty()
    }

    /// Whether it sends rounds if no provider is pinned.
    pub(crate) fn fit(&self) -> bool {
        self.waiting.is_none() && !self.unchecked()
    }

    pub(crate) fn uplink(&mut self, waiting: Option<Waiting>) {
        if waiting.is_some() && self.waiting.is_none() {
            self.rounds.clear();
            self.verdicts.clear();
            (self.judged, self.streak_from) = (0, 0);
            self.doubt();
        }
        self.waiting = waiting;
    }

    /// A pin: answers to earlier probes no longer count.
    pub(crate) fn abandon(&mut self) {
        for round in &mut self.rounds {
            round.asked &= round.good | round.lost;
        }
        self.judged = self.rounds.len();
        self.streak_from = self.verdicts.len();
    }

    /// The end of a pin of another provider.
    pub(crate) fn doubt(&mut self) {
        if self.verdict != Verdict::Fresh {
            self.verdict = Verdict::Returning;
        }
    }

    /// The end of a pin of another provider: the earlier verdict is presumed.
    pub(crate) fn thaw(&mut self) {
        self.verdict = match self.verdict {
            Verdict::Fresh | Verdict::Online => Verdict::Fresh,
            Verdict::Returning | Verdict::Offline => Verdict::Returning,
        };
    }

    /// The end of a pin of this provider.
    pub(crate) fn renew(&mut self) {
        self.verdict = Verdict::Fresh;
    }

    pub(crate) fn sent(&mut self, Round(number): Round, CheckSet(asked): CheckSet, at: Instant) {
        self.rounds.push(Sent {
            number,
            at,
            asked,
            good: 0,
            lost: 0,
            answered: 0,
            rtts: Vec::new(),
        });
    }

    pub(crate) fn answered(&mut self, round: Round, check: u8, rtt: Duration) {
        let timeout = self.timing().timeout;
        let Some((sent, bit)) = self.find(round, check) else {
            return;
        };
        if sent.answered & bit != 0 {
            return;
        }
        sent.answered |= bit;
        if sent.asked & bit == 0 {
            return;
        }
        sent.rtts.push(rtt.total_micros().max(1));
        if rtt <= timeout && sent.lost & bit == 0 {
            sent.good |= bit;
        }
    }

    pub(crate) fn failed(&mut self, round: Round, check: u8) {
        if let Some((sent, bit)) = self.find(round, check) {
            sent.lost |= bit & sent.asked & !sent.good;
        }
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        let timeout = self.timing().timeout;
        for round in self.rounds.iter_mut().filter(|r| r.at + timeout <= now) {
            round.lost |= round.asked & !round.good;
        }
    }

    /// Judges, in the order sent.
    pub(crate) fn judge(&mut self) {
        let timing = *self.timing();
        if self.unchecked() && self.waiting.is_none() {
            self.verdict = Verdict::Online;
        }
        while let Some(round) = self.rounds.get(self.judged) {
            let open = round.asked & !round.good & !round.lost;
            let (good, open) = (round.good.count_ones(), open.count_ones());
            let quorum = match timing.quorum {
                failover::config::Quorum::All => self.terms.checks.len(),
                failover::config::Quorum::AtLeast(n) => usize::from(n).min(self.terms.checks.len()),
            } as u32;
            if good < quorum && good + open >= quorum {
                return;
            }
            self.verdicts.push(good >= quorum);
            self.judged += 1;
            let too_many = self.window().1 > u32::from(timing.max_failed);
            let streak = self.streak();
            if streak <= -i32::from(timing.down) || too_many {
                self.verdict = Verdict::Offline;
            } else if streak >= i32::from(timing.up) {
                self.verdict = Verdict::Online;
            }
        }
    }

    /// Adopts the engine's verdict.
    pub(crate) fn adopt(&mut self, verdict: Verdict) {
        self.verdict = verdict;
    }

    /// Asserts that the engine agrees.
    pub(crate) fn check(&self, path: &Path) {
        assert_eq!(path.waiting(), self.waiting);
        assert_eq!(path.verdict(), self.verdict, "{:?}", self.verdicts);
        let window = self.timing().window;
        assert_eq!(path.rounds.verdicts(window), self.window());
        assert_eq!(path.rounds.streak(), self.streak());
        assert_eq!(path.rounds.loss(window, CheckSet::ALL), self.loss());
        let (got, want) = (path.rounds.rtt(window), self.rtts());
        assert_eq!(
            got.map(|rtt| (u64::from(rtt.min), u64::from(rtt.max))),
            want.iter().min().copied().zip(want.iter().max().copied())
        );
    }

    fn find(&mut self, Round(number): Round, check: u8) -> Option<(&mut Sent, u8)> {
        let first = self.rounds.len().saturating_sub(REMEMBERED);
        let held = self.rounds[first..].iter_mut();
        let sent = held.rev().find(|sent| sent.number == number)?;
        (check < 8).then(|| (sent, 1 << check))
    }

    fn streak(&self) -> i32 {
        let verdicts = &self.verdicts[self.streak_from..];
        let Some(last) = verdicts.last() else {
            return 0;
        };
        let alike = verdicts.iter().rev().take_while(|v| *v == last).count();
        let alike = i32::try_from(alike).unwrap();
        if *last { alike } else { -alike }
    }

    fn window(&self) -> (u32, u32) {
        let window = usize::from(self.timing().window);
        let first = self.verdicts.len().saturating_sub(window);
        let of = |good| {
            let alike = self.verdicts[first..].iter().filter(|v| **v == good);
            u32::try_from(alike.count()).unwrap()
        };
        (of(true), of(false))
    }

    fn last_rounds(&self) -> &[Sent] {
        let window = usize::from(self.timing().window);
        &self.rounds[self.rounds.len().saturating_sub(window)..]
    }

    fn loss(&self) -> (u32, u32) {
        let settled = |r: &Sent| r.asked & (r.good | r.lost);
        let rounds = self.last_rounds();
        let asked = rounds.iter().map(|r| settled(r).count_ones()).sum();
        let lost = rounds.iter().map(|r| settled(r) & !r.answered);
        (lost.map(u8::count_ones).sum(), asked)
    }

    /// The fastest answer of each round.
    fn rtts(&self) -> Vec<u64> {
        let rounds = self.last_rounds().iter();
        rounds
            .filter_map(|r| r.rtts.iter().min().copied())
            .collect()
    }
}
