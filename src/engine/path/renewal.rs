//! When the probes of an offline path take another ICMP identifier.
//!
//! A modem whose outer address has changed keeps what its NAT remembers of a conversation as long as packets belong to it.
//! So probes that never stop would never be translated to the new address.

use crate::limits::{IDENTIFIER_APART, IDENTIFIER_ROUNDS};
use crate::types::{Duration, Instant};

/// How long the present identifier is used.
#[derive(Debug)]
pub(super) struct Renewal {
    /// rounds with it
    rounds: u8,
    /// when the first of them began
    since: Instant,
}

impl Renewal {
    pub(super) const NEW: Renewal = Renewal {
        rounds: 0,
        since: Instant::ZERO,
    };

    /// A round begins: whether it does so with another identifier. Replies are accepted to probes with this and the former
    /// identifier, so that a slow line loses none within its `timeout`.
    pub(super) fn begin_round(
        &mut self,
        is_offline: bool,
        timeout: Duration,
        now: Instant,
    ) -> bool {
        let apart = IDENTIFIER_APART.max(timeout);
        let takes = is_offline && self.rounds >= IDENTIFIER_ROUNDS && self.since + apart <= now;
        if takes {
            self.rounds = 0;
        }
        if self.rounds == 0 {
            self.since = now;
        }
        self.rounds = self.rounds.saturating_add(1);
        takes
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// The rounds, of so many so far apart, that begin with another identifier.
    fn renewed(
        interval_ms: u64,
        timeout_ms: u64,
        count: u64,
        is_offline: impl Fn(u64) -> bool,
    ) -> Vec<u64> {
        let mut renewal = Renewal::NEW;
        let timeout = Duration::from_millis(timeout_ms);
        let begins = |round: &u64| {
            let now = Instant::ZERO + Duration::from_millis(1 + round * interval_ms);
            renewal.begin_round(is_offline(*round), timeout, now)
        };
        (0..count).filter(begins).collect()
    }

    #[test]
    fn an_offline_path_takes_one_each_five_rounds() {
        assert_eq!(renewed(1000, 900, 16, |_| true), [5, 10, 15]);
    }

    #[test]
    fn they_are_two_seconds_apart() {
        assert_eq!(renewed(100, 100, 60, |_| true), [20, 40]);
        assert_eq!(renewed(399, 100, 13, |_| true), [6, 12]);
    }

    #[test]
    fn replies_within_the_timeout_are_to_this_or_the_former_one() {
        assert_eq!(renewed(1000, 8000, 20, |_| true), [8, 16]);
    }

    #[test]
    fn a_path_that_is_not_offline_keeps_its_own_and_takes_one_at_once_when_it_goes_offline() {
        assert_eq!(renewed(1000, 900, 1000, |_| false), [0_u64; 0]);
        assert_eq!(
            renewed(1000, 900, 616, |round| round >= 604),
            [604, 609, 614]
        );
    }
}
