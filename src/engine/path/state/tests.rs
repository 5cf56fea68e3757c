//! The transitions of a path, by name.

use super::*;
use crate::types::Measure;
use crate::types::Slot;
use Verdict::{Fresh, Offline, Online, Returning};

const VERDICTS: [Verdict; 4] = [Fresh, Returning, Online, Offline];
const DUTIES: [Duty; 3] = [Duty::Checked, Duty::Pinned, Duty::Frozen];

fn at(ms: i64) -> Instant {
    Instant::from_millis(ms)
}

/// Its uplink is up.
fn up(duty: Duty, verdict: Verdict) -> PathState {
    PathState::up(duty, Judgement::of(verdict), at(0))
}

/// The change of each verdict when the duty changes, while the uplink is up and while it is waiting.
fn verdicts_after(from: Duty, to: Duty) -> ([Verdict; 4], [Verdict; 4]) {
    let after = |mut state: PathState| {
        state.set_duty(to, at(9));
        assert_eq!(state.duty(), to);
        state.verdict()
    };
    let waiting = |verdict| {
        let mut state = up(from, verdict);
        state.lose_uplink(Waiting::Down, false);
        state
    };
    (
        VERDICTS.map(|verdict| after(up(from, verdict))),
        VERDICTS.map(|verdict| after(waiting(verdict))),
    )
}

#[test]
fn a_new_path_waits_and_cannot_have_a_route() {
    let state = PathState::new(Duty::Checked);
    assert_eq!(state.state(), State::Waiting);
    assert_eq!(state.waiting(), Some(Waiting::NoDevice));
    assert!(!state.routable() && !state.is_uplink_known());
}

#[test]
fn a_new_path_whose_uplink_is_up_is_presumed_good() {
    let mut state = PathState::new(Duty::Checked);
    state.gain_uplink(at(30));
    let checked = PathState::Checked {
        judgement: Judgement::of(Fresh),
        next_round_at: at(30),
    };
    assert_eq!(state, checked);
    assert_eq!(state.state(), State::Probing);
    assert!(state.routable() && state.is_uplink_known());
}

#[test]
fn a_new_path_whose_uplink_lacks_something_waits_for_that() {
    let mut state = PathState::new(Duty::Checked);
    state.lose_uplink(Waiting::NoCarrier, true);
    assert_eq!(state.waiting(), Some(Waiting::NoCarrier));
    assert!(state.routable() && state.is_uplink_known());
    assert_eq!(state.verdict(), Fresh);
}

#[test]
fn a_restored_path_is_what_it_was_when_its_uplink_is_still_up() {
    for (verdict, seen) in [(Online, State::Online), (Offline, State::Offline)] {
        let mut state = PathState::new(Duty::Checked);
        state.restore(verdict);
        assert_eq!((state.state(), state.waiting()), (seen, None));
        assert!(!state.routable() && !state.is_uplink_known());
        state.gain_uplink(at(30));
        assert_eq!((state.state(), state.verdict()), (seen, verdict));
        assert!(state.routable() && state.is_uplink_known());
    }
}

#[test]
fn a_restored_path_whose_uplink_is_gone_returns() {
    let mut state = PathState::new(Duty::Checked);
    state.restore(Online);
    state.lose_uplink(Waiting::NoDevice, false);
    assert_eq!(
        (state.state(), state.verdict()),
        (State::Waiting, Returning)
    );
}

#[test]
fn a_path_that_a_former_run_did_not_judge_is_new() {
    for verdict in [Fresh, Returning] {
        let mut state = PathState::new(Duty::Checked);
        state.restore(verdict);
        assert_eq!((state.state(), state.verdict()), (State::Waiting, verdict));
        state.gain_uplink(at(30));
        assert_eq!((state.state(), state.verdict()), (State::Probing, verdict));
    }
}

#[test]
fn a_lost_uplink_leaves_of_the_verdict_whether_there_was_one() {
    for duty in DUTIES {
        let lost = VERDICTS.map(|verdict| {
            let mut state = up(duty, verdict);
            state.lose_uplink(Waiting::NoCarrier, true);
            assert_eq!((state.state(), state.duty()), (State::Waiting, duty));
            state.verdict()
        });
        assert_eq!(lost, [Fresh, Returning, Returning, Returning]);
    }
}

#[test]
fn another_reason_to_wait_changes_nothing_else() {
    let mut state = up(Duty::Frozen, Offline);
    state.lose_uplink(Waiting::NoCarrier, true);
    state.lose_uplink(Waiting::DeviceTaken(Slot(3)), false);
    let waiting = PathState::Waiting {
        duty: Duty::Frozen,
        why: Waiting::DeviceTaken(Slot(3)),
        routable: false,
        was_judged: true,
    };
    assert_eq!(state, waiting);
}

#[test]
fn a_waiting_path_enters_its_duty_when_its_uplink_is_up() {
    for (duty, seen) in DUTIES
        .into_iter()
        .zip([State::Probing, State::Probing, State::Frozen])
    {
        let mut state = up(Duty::Checked, Online);
        state.lose_uplink(Waiting::NoAddress, false);
        state.set_duty(duty, at(30));
        assert_eq!(state.state(), State::Waiting);
        state.gain_uplink(at(40));
        assert_eq!(state, PathState::up(duty, Judgement::of(Returning), at(40)));
        assert_eq!(state.state(), seen);
    }
}

#[test]
fn an_uplink_that_is_up_already_changes_nothing() {
    for duty in DUTIES {
        let mut state = up(duty, Online);
        state.gain_uplink(at(500));
        assert_eq!(state, up(duty, Online));
    }
}

#[test]
fn a_frozen_path_that_is_thawed_is_presumed_what_it_was() {
    let (up, waiting) = verdicts_after(Duty::Frozen, Duty::Checked);
    assert_eq!(up, [Fresh, Returning, Fresh, Returning]);
    assert_eq!(waiting, [Fresh, Returning, Returning, Returning]);
}

#[test]
fn a_pinned_path_that_is_unpinned_is_presumed_good_whatever_it_was() {
    let (up, waiting) = verdicts_after(Duty::Pinned, Duty::Checked);
    assert_eq!((up, waiting), ([Fresh; 4], [Fresh; 4]));
}

#[test]
fn a_pin_that_comes_or_moves_leaves_every_verdict() {
    let moves = [
        (Duty::Checked, Duty::Pinned),
        (Duty::Checked, Duty::Frozen),
        (Duty::Pinned, Duty::Frozen),
        (Duty::Frozen, Duty::Pinned),
    ];
    for (from, to) in moves {
        let (up, waiting) = verdicts_after(from, to);
        assert_eq!(up, VERDICTS, "{from:?} to {to:?}");
        assert_eq!(waiting, [Fresh, Returning, Returning, Returning]);
    }
}

#[test]
fn a_restored_path_obeys_a_pin_before_its_uplink_is_known() {
    let mut state = PathState::new(Duty::Checked);
    state.restore(Online);
    state.set_duty(Duty::Frozen, at(0));
    assert_eq!((state.state(), state.verdict()), (State::Frozen, Online));
    state.set_duty(Duty::Checked, at(0));
    assert_eq!((state.state(), state.verdict()), (State::Probing, Fresh));
    assert!(!state.is_uplink_known());
}

#[test]
fn a_path_that_is_checked_again_begins_its_rounds_at_the_given_time() {
    for from in [Duty::Pinned, Duty::Frozen] {
        let mut state = up(from, Fresh);
        state.set_duty(Duty::Checked, at(70));
        assert_eq!(
            state,
            PathState::up(Duty::Checked, Judgement::of(Fresh), at(70))
        );
        state.set_duty(Duty::Checked, at(90));
        assert_eq!(
            state,
            PathState::up(Duty::Checked, Judgement::of(Fresh), at(70)),
            "it is checked already"
        );
    }
}

#[test]
fn a_path_without_checks_is_online_while_it_is_checked_and_its_uplink_is_up() {
    for verdict in VERDICTS {
        let mut state = up(Duty::Checked, verdict);
        assert_eq!(state.pass_unchecked(), verdict != Online);
        assert_eq!(state.state(), State::Online);
    }
    let mut waiting = up(Duty::Checked, Offline);
    waiting.lose_uplink(Waiting::Down, false);
    let others = [waiting, up(Duty::Pinned, Fresh), up(Duty::Frozen, Fresh)];
    for mut state in others {
        let before = state.clone();
        assert!(!state.pass_unchecked());
        assert_eq!(state, before);
    }
}

#[test]
fn what_is_forgotten_of_a_path_is_its_verdict_not_its_uplink() {
    let mut waiting = up(Duty::Pinned, Offline);
    waiting.lose_uplink(Waiting::NoGateway, true);
    let mut restored = PathState::new(Duty::Frozen);
    restored.restore(Online);
    let mut unjudged = PathState::new(Duty::Checked);
    unjudged.restore(Returning);
    let states = [unjudged, restored, waiting];
    let up = DUTIES.map(|duty| up(duty, Offline));
    for mut state in states.into_iter().chain(up) {
        let uplink = |s: &PathState| (s.waiting(), s.routable(), s.is_uplink_known(), s.duty());
        let before = uplink(&state);
        state.forget_verdict();
        assert_eq!((state.verdict(), uplink(&state)), (Fresh, before));
    }
}

/// A pin keeps the measured values; a lost uplink drops them.
#[test]
fn a_poor_path_stays_poor_through_a_pin_but_not_without_an_uplink() {
    let poor = Judgement::poor(Offline, Measure::Loss);
    let contains = |state: &PathState| {
        let judgement = state.judgement();
        judgement.is_some_and(|judgement| judgement.poor.contains(Measure::Loss))
    };
    for duty in [Duty::Pinned, Duty::Frozen] {
        let mut state = PathState::up(Duty::Checked, poor, at(0));
        state.set_duty(duty, at(0));
        assert!(contains(&state));
        state.set_duty(Duty::Checked, at(0));
        assert!(contains(&state), "the window is what it was");
        state.lose_uplink(Waiting::Down, false);
        state.gain_uplink(at(0));
        assert!(!contains(&state));
    }
    let mut state = PathState::up(Duty::Checked, poor, at(0));
    state.forget_quality();
    assert_eq!((contains(&state), state.verdict()), (false, Offline));
}

#[test]
fn a_state_has_room_for_what_its_largest_variant_needs_and_no_more() {
    assert!(size_of::<PathState>() <= size_of::<(Instant, Judgement)>());
}
