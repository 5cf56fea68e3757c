//! The verdicts of rounds from answers, losses and faults, and their time.

use super::*;
use crate::config::fixture::TIMING;
use crate::config::{Quorum, Timing};

pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);

pub(crate) fn terms(quorum: u8, intervals: &[Option<Duration>]) -> Terms {
    Terms {
        timing: Timing {
            interval: Duration::from_millis(100),
            timeout: TIMEOUT,
            quorum: Quorum::AtLeast(quorum),
            ..TIMING
        },
        intervals: intervals
            .iter()
            .map(|own| own.unwrap_or_default())
            .collect(),
        required: CheckSet(0),
        line_checks: CheckSet::ALL,
    }
}

pub(crate) fn ms(ms: i64) -> Instant {
    Instant::from_millis(ms)
}

pub(crate) fn rtt(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_later_good_round_does_not_overtake_an_undecided_one() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    let (first, asked) = rounds.begin(ms(0), &terms);
    assert_eq!(asked, CheckSet(1));
    let (second, _) = rounds.begin(ms(100), &terms);
    rounds.answered(second, 0, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), None);
    rounds.expire(ms(299), TIMEOUT);
    assert_eq!(rounds.judge(&terms), None);
    rounds.expire(ms(300), TIMEOUT);
    assert_eq!(rounds.judge(&terms), Some(false));
    assert_eq!(rounds.judge(&terms), Some(true));
    assert_eq!(rounds.streak(), 1);
    // The late answer to the first probe corrects the loss, not the verdict.
    assert_eq!(rounds.loss(50, CheckSet::ALL), (1, 2));
    rounds.answered(first, 0, rtt(400), &terms);
    assert_eq!(rounds.loss(50, CheckSet::ALL), (0, 2));
    assert_eq!(rounds.verdicts(50), (1, 1));
}

#[test]
fn a_round_is_decided_as_soon_as_it_is_certain() {
    let terms = terms(2, &[None, None, None]);
    let mut rounds = Rounds::new();
    let (round, asked) = rounds.begin(ms(0), &terms);
    assert_eq!(asked, CheckSet(0b111));
    rounds.answered(round, 0, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), None);
    rounds.answered(round, 2, rtt(6), &terms);
    assert_eq!(rounds.judge(&terms), Some(true));

    let (round, _) = rounds.begin(ms(100), &terms);
    rounds.failed(round, 0, Fault::NoDevice);
    assert_eq!(rounds.judge(&terms), None);
    rounds.failed(round, 1, Fault::NoDevice);
    assert_eq!(rounds.judge(&terms), Some(false));
    assert_eq!(rounds.facts(1).fault, Some(Fault::NoDevice));
    assert_eq!(rounds.lost_last(&terms), CheckSet(0b011));
}

#[test]
fn a_reply_counts_once_and_an_unasked_one_not_at_all() {
    let terms = terms(1, &[None, None]);
    let mut rounds = Rounds::new();
    let (round, _) = rounds.begin(ms(0), &terms);
    rounds.answered(round, 0, rtt(5), &terms);
    rounds.answered(round, 0, rtt(900), &terms);
    rounds.answered(Round(7), 0, rtt(5), &terms);
    rounds.answered(round, 200, rtt(5), &terms);
    assert_eq!(rounds.rtt(50).map(|r| (r.min, r.max)), Some((5000, 5000)));
    assert_eq!(rounds.loss(50, CheckSet::of(0)), (0, 1));
    rounds.answered(round, 0, rtt(5), &terms);
    assert_eq!(
        rounds.facts(0).received,
        1,
        "once, and none that was not sent"
    );
}

#[test]
fn a_reply_to_a_round_that_is_not_held_counts_for_no_other() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    for at in 0..64 {
        let (round, _) = rounds.begin(ms(at), &terms);
        rounds.answered(round, 0, rtt(5), &terms);
        assert_eq!(rounds.judge(&terms), Some(true));
    }
    let (round, _) = rounds.begin(ms(64), &terms);
    assert_eq!(round, Round(64), "in the place of round 0");
    rounds.answered(Round(0), 0, rtt(5), &terms);
    rounds.answered(Round(128), 0, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), None, "still open");
}

#[test]
fn a_round_that_is_not_judged_is_not_overwritten() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    for at in 0..64 {
        assert!(!rounds.full());
        rounds.begin(ms(at), &terms);
    }
    assert!(rounds.full());
    rounds.expire(ms(1000), TIMEOUT);
    assert!(rounds.full(), "given up, but not judged");
    assert_eq!(rounds.judge(&terms), Some(false));
    assert!(!rounds.full());
}

#[test]
fn the_result_of_a_rare_check_stands_for_two_of_its_intervals() {
    let own = Duration::from_millis(1000);
    let terms = terms(1, &[Some(own)]);
    let mut rounds = Rounds::new();
    let (round, asked) = rounds.begin(ms(0), &terms);
    assert_eq!(asked, CheckSet(1));
    rounds.answered(round, 0, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), Some(true));
    for at in (100..1000).step_by(100) {
        assert_eq!(rounds.begin(ms(at), &terms).1, CheckSet(0), "at {at} ms");
        assert_eq!(rounds.judge(&terms), Some(true));
    }
    // Probed again and unanswered: the last answer is used until it is too old.
    assert_eq!(rounds.begin(ms(1000), &terms).1, CheckSet(1));
    assert_eq!(rounds.begin(ms(1100), &terms).1, CheckSet(0));
    assert_eq!(rounds.judge(&terms), None);
    rounds.expire(ms(1300), TIMEOUT);
    assert_eq!(rounds.judge(&terms), Some(false), "lost in this round");
    assert_eq!(rounds.judge(&terms), Some(true), "one loss says little");
}

#[test]
fn a_rare_checks_loss_is_confirmed_at_once_and_stands() {
    let own = Duration::from_millis(30_000);
    let terms = terms(1, &[Some(own)]);
    let mut rounds = Rounds::new();
    let (round, _) = rounds.begin(ms(0), &terms);
    rounds.answered(round, 0, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), Some(true));
    let (mut asked, mut failed, mut judged) = (std::vec![], std::vec![], 0);
    for at in (30_000..34_000).step_by(100) {
        rounds.expire(ms(at), TIMEOUT);
        while let Some(good) = rounds.judge(&terms) {
            if !good {
                failed.push(judged);
            }
            judged += 1;
        }
        if rounds.begin(ms(at), &terms).1 != CheckSet(0) {
            asked.push(at);
        }
    }
    assert_eq!(
        asked,
        [30_000, 30_300, 30_600],
        "three in a row, then as usual"
    );
    // Until the first loss is known, the last answer is used.
    assert_eq!(failed[..4], [0, 3, 4, 5]);
    assert_eq!(failed.len(), judged - 2);
}

#[test]
fn a_former_result_does_not_outweigh_that_no_target_answers_now() {
    let own = Duration::from_millis(30_000);
    let terms = terms(1, &[None, Some(own)]);
    let mut rounds = Rounds::new();
    let (round, asked) = rounds.begin(ms(0), &terms);
    assert_eq!(asked, CheckSet(0b11));
    rounds.answered(round, 1, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), Some(true), "it was asked now");
    rounds.expire(ms(300), TIMEOUT);
    let (round, asked) = rounds.begin(ms(300), &terms);
    assert_eq!(asked, CheckSet(0b1));
    assert_eq!(rounds.judge(&terms), None);
    rounds.failed(round, 0, Fault::NetworkUnreachable);
    assert_eq!(rounds.judge(&terms), Some(false));
}

#[test]
fn where_those_of_each_round_are_silent_the_others_are_asked_at_once_and_once_a_second() {
    let own = Duration::from_millis(30_000);
    let terms = terms(1, &[None, Some(own)]);
    let mut rounds = Rounds::new();
    let (mut asked, mut failed) = (std::vec![], 0);
    // From 1 s on no ping is answered, but the rare check is.
    for at in (0..4000).step_by(100) {
        rounds.expire(ms(at), TIMEOUT);
        while let Some(good) = rounds.judge(&terms) {
            failed += u32::from(!good);
        }
        let (round, CheckSet(checks)) = rounds.begin(ms(at), &terms);
        if checks & 0b10 != 0 {
            asked.push(at);
            rounds.answered(round, 1, rtt(20), &terms);
        }
        if at < 1000 {
            rounds.answered(round, 0, rtt(5), &terms);
        }
    }
    assert_eq!(asked, [0, 1300, 2300, 3300]);
    assert_eq!(failed, 1, "the round by which the silence was noticed");
}

#[test]
fn an_answer_ends_the_confirmation_of_a_loss() {
    let own = Duration::from_millis(30_000);
    let terms = terms(1, &[Some(own)]);
    let mut rounds = Rounds::new();
    rounds.begin(ms(0), &terms);
    assert_eq!(rounds.begin(ms(200), &terms).1, CheckSet(0));
    rounds.expire(ms(300), TIMEOUT);
    let (round, asked) = rounds.begin(ms(1000), &terms);
    assert_eq!(asked, CheckSet(1));
    rounds.answered(round, 0, rtt(5), &terms);
    assert_eq!(rounds.begin(ms(2000), &terms).1, CheckSet(0));
    assert_eq!(rounds.begin(ms(31_000), &terms).1, CheckSet(1));
}

#[test]
fn a_required_check_must_answer_whatever_the_quorum() {
    let mut terms = terms(1, &[None, None]);
    terms.required = CheckSet(0b10);
    let mut rounds = Rounds::new();
    let (round, _) = rounds.begin(ms(0), &terms);
    rounds.answered(round, 0, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), None, "it may answer still");
    rounds.failed(round, 1, Fault::Status(302));
    assert_eq!(rounds.judge(&terms), Some(false));
    let (round, _) = rounds.begin(ms(100), &terms);
    rounds.answered(round, 1, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), Some(true), "it is one of the quorum");
    let (round, _) = rounds.begin(ms(200), &terms);
    rounds.failed(round, 1, Fault::Status(302));
    assert_eq!(rounds.judge(&terms), Some(false), "at once");
    rounds.answered(round, 0, rtt(5), &terms);
}

#[test]
fn a_check_that_is_still_busy_stands_by_its_last_result() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    let (first, _) = rounds.begin(ms(0), &terms);
    let (second, _) = rounds.begin(ms(100), &terms);
    rounds.skipped(second, 0, &terms);
    assert_eq!(rounds.judge(&terms), None);
    rounds.answered(first, 0, rtt(150), &terms);
    assert_eq!(rounds.judge(&terms), Some(true));
    assert_eq!(rounds.judge(&terms), Some(true));
    assert_eq!(
        (rounds.facts(0).sent, rounds.loss(50, CheckSet::ALL)),
        (1, (0, 1))
    );
}

/// A lost probe of a check with a long interval fails one round, even if its timeout is long as well.
#[test]
fn a_check_that_was_busy_when_it_was_due_is_asked_as_soon_as_it_can_be() {
    let own = Duration::from_millis(1000);
    let mut terms = terms(1, &[Some(own)]);
    terms.timing.timeout = own;
    let mut rounds = Rounds::new();
    let (round, _) = rounds.begin(ms(0), &terms);
    rounds.answered(round, 0, rtt(5), &terms);
    // The probe of 950 ms is lost; at 1,900 ms the check is still busy with it.
    let (mut asked, mut verdicts) = (std::vec![], std::vec![]);
    for at in (50..3000).step_by(100) {
        rounds.expire(ms(at - 1), own);
        let (round, checks) = rounds.begin(ms(at), &terms);
        if checks != CheckSet(0) {
            asked.push(at);
            match at {
                950 => {}
                951..=1950 => rounds.skipped(round, 0, &terms),
                _ => rounds.answered(round, 0, rtt(5), &terms),
            }
        }
        while let Some(good) = rounds.judge(&terms) {
            verdicts.push(good);
        }
    }
    assert_eq!(asked, [950, 1950, 2050]);
    assert_eq!(verdicts.iter().filter(|good| !**good).count(), 1);
}

/// The address has changed: no answer can come, and none is missed.
#[test]
fn what_is_on_its_way_when_the_socket_changes_is_as_if_it_had_not_been_sent() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    let (first, _) = rounds.begin(ms(0), &terms);
    rounds.answered(first, 0, rtt(5), &terms);
    for at in [100, 200] {
        rounds.begin(ms(at), &terms);
    }
    rounds.unheard();
    let verdicts = core::iter::from_fn(|| rounds.judge(&terms)).collect::<Vec<_>>();
    assert_eq!(verdicts, [true; 3]);
    assert_eq!(rounds.deadline(terms.timing.timeout), None);
    assert_eq!((rounds.facts(0).sent, rounds.facts(0).received), (1, 1));
    // The last result is that of a line that does not answer, if it did not.
    let (fourth, _) = rounds.begin(ms(300), &terms);
    rounds.failed(fourth, 0, Fault::TimedOut);
    rounds.begin(ms(400), &terms);
    rounds.unheard();
    let verdicts = core::iter::from_fn(|| rounds.judge(&terms)).collect::<Vec<_>>();
    assert_eq!(verdicts, [false; 2]);
}

/// A check for which there was no room has no result, and is the first in the next round.
#[test]
fn a_check_without_room_stands_by_its_last_result_however_old_and_is_asked_first_then() {
    let own = Duration::from_secs(5);
    let terms = terms(2, &[Some(own), Some(own)]);
    let mut rounds = Rounds::new();
    let (first, asked) = rounds.begin(ms(0), &terms);
    assert_eq!((asked, rounds.turn()), (CheckSet(0b11), 0));
    rounds.answered(first, 0, rtt(5), &terms);
    rounds.unasked(first, 1);
    assert_eq!(rounds.judge(&terms), None, "nothing is known of the other");
    assert_eq!((rounds.verdicts(50), rounds.streak()), ((0, 0), 0));
    let (second, asked) = rounds.begin(ms(100), &terms);
    assert_eq!((asked, rounds.turn()), (CheckSet(0b10), 1));
    rounds.answered(second, 1, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), Some(true));

    for at in [60_000, 60_100] {
        let (round, asked) = rounds.begin(ms(at), &terms);
        assert_eq!(asked, CheckSet(0b11), "both are due for long");
        rounds.unasked(round, 0);
        rounds.unasked(round, 1);
        assert_eq!((rounds.judge(&terms), rounds.turn()), (Some(true), 0));
    }
    let (round, _) = rounds.begin(ms(60_200), &terms);
    rounds.failed(round, 0, Fault::TimedOut);
    rounds.unasked(round, 1);
    assert_eq!((rounds.judge(&terms), rounds.turn()), (Some(false), 1));
    let (round, asked) = rounds.begin(ms(60_300), &terms);
    assert_eq!(asked, CheckSet(0b11), "a loss is to be confirmed");
    rounds.unasked(round, 0);
    rounds.answered(round, 1, rtt(5), &terms);
    assert_eq!(
        rounds.judge(&terms),
        Some(false),
        "it failed when asked last"
    );
    assert_eq!((rounds.facts(0).sent, rounds.facts(1).sent), (2, 2));
}

#[test]
fn no_more_is_received_than_was_sent_since_a_reload() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    let (before, _) = rounds.begin(ms(0), &terms);
    rounds.reset();
    rounds.answered(before, 0, rtt(150), &terms);
    let counts = |rounds: &Rounds| (rounds.facts(0).sent, rounds.facts(0).received);
    assert_eq!(counts(&rounds), (0, 0));
    let (after, _) = rounds.begin(ms(100), &terms);
    rounds.answered(before, 0, rtt(170), &terms);
    assert_eq!(counts(&rounds), (1, 0));
    rounds.answered(after, 0, rtt(5), &terms);
    assert_eq!(counts(&rounds), (1, 1));
}

#[test]
fn what_was_lost_stays_lost_whatever_comes_later() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    rounds.begin(ms(0), &terms);
    let (second, _) = rounds.begin(ms(100), &terms);
    rounds.failed(second, 0, Fault::NoDevice);
    rounds.answered(second, 0, rtt(5), &terms);
    rounds.expire(ms(300), TIMEOUT);
    assert_eq!(rounds.judge(&terms), Some(false));
    assert_eq!(rounds.judge(&terms), Some(false));
}

#[test]
fn an_answer_to_a_round_long_past_is_not_taken_for_one_to_another() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    for n in 0..100 {
        rounds.begin(ms(100 * n), &terms);
    }
    rounds.expire(ms(100_000), TIMEOUT);
    for stray in [Round(10), Round(35), Round(100), Round(u32::MAX)] {
        rounds.answered(stray, 0, rtt(5), &terms);
    }
    assert_eq!(rounds.loss(64, CheckSet::ALL), (64, 64));
    rounds.answered(Round(36), 0, rtt(5), &terms);
    assert_eq!(rounds.loss(64, CheckSet::ALL), (63, 64));
}

#[test]
fn a_rare_result_grows_too_old_and_a_rare_check_is_not_put_off_by_jitter() {
    let own = Duration::from_millis(200);
    let terms = terms(2, &[None, Some(own)]);
    let mut rounds = Rounds::new();
    let (round, _) = rounds.begin(ms(0), &terms);
    rounds.answered(round, 0, rtt(5), &terms);
    rounds.answered(round, 1, rtt(5), &terms);
    assert_eq!(rounds.judge(&terms), Some(true));
    // Each round comes a little early. The rare check is busy from the time at which it is due again.
    let script = [
        (99, 0b01, true),
        (198, 0b11, true),
        (297, 0b11, true),
        (396, 0b11, true),
        (401, 0b11, false),
    ];
    for (at, asked, good) in script {
        let (round, checks) = rounds.begin(ms(at), &terms);
        assert_eq!(checks, CheckSet(asked), "at {at} ms");
        rounds.answered(round, 0, rtt(5), &terms);
        if asked == 0b11 {
            rounds.skipped(round, 1, &terms);
        }
        assert_eq!(rounds.judge(&terms), Some(good), "at {at} ms");
    }
}

#[test]
fn nothing_happens_when_the_number_of_rounds_wraps() {
    let terms = terms(2, &[None, None]);
    let story = |first: u32| {
        let mut rounds = Rounds::new();
        (rounds.next, rounds.settled, rounds.judged) = (first, first, first);
        let mut told = Vec::new();
        for n in 0..200 {
            let (Round(round), _) = rounds.begin(ms(100 * n), &terms);
            if n % 7 != 0 {
                rounds.answered(Round(round), 0, rtt(5), &terms);
            }
            if n % 5 != 0 {
                rounds.answered(Round(round.wrapping_sub(2)), 1, rtt(205), &terms);
            }
            rounds.answered(Round(round.wrapping_sub(70)), 0, rtt(7000), &terms);
            rounds.expire(ms(100 * n + 50), TIMEOUT);
            while let Some(good) = rounds.judge(&terms) {
                told.push((n, good, rounds.streak(), rounds.verdicts(50)));
            }
            assert!(!rounds.full());
        }
        (told, rounds.loss(64, CheckSet::ALL), rounds.rtt(64))
    };
    assert_eq!(story(0), story(u32::MAX - 100));
}

#[test]
fn clearing_forgets_rounds_but_not_what_was_sent() {
    let terms = terms(1, &[None]);
    let mut rounds = Rounds::new();
    let (round, _) = rounds.begin(ms(0), &terms);
    rounds.clear();
    rounds.answered(round, 0, rtt(5), &terms);
    assert_eq!(
        (
            rounds.judge(&terms),
            rounds.loss(50, CheckSet::ALL),
            rounds.verdicts(50)
        ),
        (None, (0, 0), (0, 0))
    );
    assert_eq!((rounds.facts(0).sent, rounds.facts(0).received), (1, 1));
}
