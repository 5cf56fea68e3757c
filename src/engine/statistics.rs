//! Losses and round-trip times of the rounds in the window.

use super::rounds::Rounds;
use crate::limits::WINDOW_MAX;
use crate::types::CheckSet;

/// Round-trip times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    /// of the last answer
    pub last: u32,
    /// mean of the rounds' fastest answers
    pub avg: u32,
    /// standard deviation of the rounds' fastest answers
    pub stddev: u32,
    /// the least
    pub min: u32,
    /// the greatest
    pub max: u32,
    /// answered rounds
    pub rounds: u32,
}

impl Rounds {
    /// Probes of these checks lost and settled in the window. Late answers count as answers.
    pub fn loss(&self, window: u8, CheckSet(mask): CheckSet) -> (u32, u32) {
        let (mut lost, mut asked) = (0, 0);
        for record in self.window(window) {
            let settled = record.asked & !record.open() & mask;
            asked += CheckSet(settled).count();
            lost += CheckSet(settled & !record.answered).count();
        }
        (lost, asked)
    }

    /// The round-trip time of each round in the window, in microseconds, oldest first; 0: each probe of these checks was
    /// lost. Rounds without such a probe are left out, and those that still wait for their answers.
    pub fn history(&self, window: u8, CheckSet(mask): CheckSet) -> heapless::Vec<u32, WINDOW_MAX> {
        let mut history = heapless::Vec::new();
        for record in self.window(window) {
            if record.rtt_us != 0 || (record.asked & mask != 0 && record.open() & mask == 0) {
                let _ = history.push(record.rtt_us);
            }
        }
        history.reverse();
        history
    }

    /// Round-trip times in the window, late answers included; none when nothing was answered.
    pub fn rtt(&self, window: u8) -> Option<Rtt> {
        let mut rtt = Rtt {
            last: self.last_rtt_us,
            min: u32::MAX,
            ..Rtt::default()
        };
        let answered = || self.window(window).filter(|record| record.rtt_us != 0);
        let mut sum = 0;
        for record in answered() {
            rtt.min = rtt.min.min(record.rtt_us);
            rtt.max = rtt.max.max(record.rtt_us);
            rtt.rounds += 1;
            sum += u64::from(record.rtt_us);
        }
        let mean = sum.checked_div(rtt.rounds.into())?;
        rtt.avg = u32::try_from(mean).unwrap_or(u32::MAX);
        let mut squares = 0;
        for record in answered() {
            squares += u64::from(record.rtt_us.abs_diff(rtt.avg)).pow(2);
        }
        rtt.stddev = root(squares / u64::from(rtt.rounds));
        Some(rtt)
    }
}

/// The integer square root. The library's is made for speed, and is ten times as long.
fn root(square: u64) -> u32 {
    let mut root = 0;
    for bit in (0..32).rev() {
        let more = root | 1 << bit;
        if u64::from(more) * u64::from(more) <= square {
            root = more;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::super::rounds::tests::{TIMEOUT, ms, rtt, terms};
    use super::*;

    #[test]
    fn the_history_has_answers_and_losses_in_their_order() {
        let terms = terms(1, &[None]);
        let mut rounds = Rounds::new();
        let all = CheckSet::ALL;
        assert!(rounds.history(64, all).is_empty());
        let (round, _) = rounds.begin(ms(0), &terms);
        rounds.answered(round, 0, rtt(10), &terms);
        rounds.begin(ms(100), &terms);
        assert_eq!(rounds.history(64, all), [10_000], "the second one is open");
        rounds.expire(ms(100) + TIMEOUT, TIMEOUT);
        let (round, _) = rounds.begin(ms(1000), &terms);
        rounds.answered(round, 0, rtt(30), &terms);
        assert_eq!(rounds.history(64, all), [10_000, 0, 30_000]);
        assert_eq!(rounds.history(2, all), [0, 30_000]);
        // Of a check that does not tell of the line, a loss is none of the line's.
        assert_eq!(rounds.history(64, CheckSet(2)), [10_000, 30_000]);
        for at in 2..99 {
            rounds.begin(ms(1000 * at), &terms);
            rounds.expire(ms(1000 * at) + TIMEOUT, TIMEOUT);
        }
        assert_eq!(rounds.history(64, all), [0; 64]);
    }

    #[test]
    fn a_root_is_rounded_down() {
        for (square, wanted) in [(0, 0), (3, 1), (4, 2), (u64::MAX, u32::MAX)] {
            assert_eq!(root(square), wanted);
        }
        for square in 0..9999 {
            assert_eq!(
                u64::from(root(square * square * 99)),
                (square * square * 99).isqrt()
            );
        }
    }

    #[test]
    fn statistics_are_those_of_the_window() {
        let terms = terms(1, &[None]);
        let mut rounds = Rounds::new();
        assert_eq!(rounds.rtt(50), None);
        for (i, value) in [10, 20, 30, 40].into_iter().enumerate() {
            let (round, _) = rounds.begin(ms(100 * i as i64), &terms);
            rounds.answered(round, 0, rtt(value), &terms);
            assert_eq!(rounds.judge(&terms), Some(true));
        }
        let want = Rtt {
            last: 40_000,
            avg: 25_000,
            stddev: 11_180,
            min: 10_000,
            max: 40_000,
            rounds: 4,
        };
        assert_eq!(rounds.rtt(50), Some(want));
        let want = Rtt {
            last: 40_000,
            avg: 35_000,
            stddev: 5_000,
            min: 30_000,
            max: 40_000,
            rounds: 2,
        };
        assert_eq!(rounds.rtt(2), Some(want));
        for at in 4..200 {
            rounds.begin(ms(100 * at), &terms);
            rounds.expire(ms(100 * at + 300), TIMEOUT);
            assert_eq!(rounds.judge(&terms), Some(false));
        }
        assert_eq!(rounds.verdicts(50), (0, 50));
        assert_eq!(rounds.verdicts(64), (0, 64));
        assert_eq!(rounds.loss(64, CheckSet::ALL), (64, 64));
        assert_eq!(rounds.streak(), -196);
        assert_eq!(rounds.facts(0).sent, 200);
    }
}
