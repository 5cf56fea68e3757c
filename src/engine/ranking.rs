//! The order of preference among the paths of one family: which leads, and which follow.

use super::path::{Duty, Path};
use super::{Plan, RankedPath};
use crate::config::{LastResort, Preempt};
use crate::types::{Instant, Slot, Verdict};

/// How good a path is, the best first. Within one class the rank decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Pinned,
    Online,
    /// presumed good: never judged, or good when last probed
    Fresh,
    /// disabled; would be `Online` or `Fresh` otherwise
    Spare,
    Returning,
    /// offline, though answers arrive at its device
    Deaf,
    Offline,
    Waiting,
    /// disabled, and does not work
    Disabled,
}

impl Class {
    const ALL: [Class; 9] = [
        Class::Pinned,
        Class::Online,
        Class::Fresh,
        Class::Spare,
        Class::Returning,
        Class::Deaf,
        Class::Offline,
        Class::Waiting,
        Class::Disabled,
    ];

    /// Whether it can carry traffic, as far as is known.
    pub(crate) fn healthy(self) -> bool {
        self <= Class::Spare
    }
}

/// One routable path, as the choice of a leader sees it. Candidates come in the order of rank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) slot: Slot,
    pub(crate) class: Class,
    /// see [`RankedPath::usable`]
    pub(crate) usable: bool,
    /// since when it is in this class
    pub(crate) since: Instant,
    /// whether it leads now
    pub(crate) leads: bool,
}

impl Candidate {
    pub(crate) fn of(path: &Path, disabled: bool, leads: bool) -> Candidate {
        let class = match (path.duty(), path.waiting(), path.verdict()) {
            (Duty::Pinned, _, _) => Class::Pinned,
            (_, None, Verdict::Online | Verdict::Fresh) if disabled => Class::Spare,
            _ if disabled => Class::Disabled,
            (_, Some(_), _) => Class::Waiting,
            // It was online at its last probe, before the pin.
            (Duty::Frozen, None, Verdict::Online) => Class::Fresh,
            (_, None, Verdict::Online) => Class::Online,
            (_, None, Verdict::Fresh) => Class::Fresh,
            (_, None, Verdict::Returning) => Class::Returning,
            (_, None, Verdict::Offline) if path.is_reached() => Class::Deaf,
            (_, None, Verdict::Offline) => Class::Offline,
        };
        let pinned = path.duty() == Duty::Pinned;
        Candidate {
            slot: path.id.slot,
            class,
            usable: path.is_usable() && (pinned || !disabled),
            since: path.since,
            leads,
        }
    }
}

/// The leader: its place among the candidates, and when the choice may change without an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) leader: Option<usize>,
    pub(crate) revise_at: Option<Instant>,
}

/// Chooses among candidates that are in the order of rank.
pub(crate) fn choose(
    candidates: &[Candidate],
    preempt: Preempt,
    last_resort: LastResort,
    now: Instant,
) -> Choice {
    let class = candidates.iter().map(|c| c.class).min();
    let mut choice = Choice {
        leader: candidates.iter().position(|c| Some(c.class) == class),
        revise_at: None,
    };
    let mut ranked = candidates.iter().enumerate();
    let (Some(class), Some((current, incumbent))) = (class, ranked.find(|(_, c)| c.leads)) else {
        return choice;
    };
    match (incumbent.class, class) {
        (_, Class::Pinned) => {}
        // A leader that works, or is presumed to, stays until another is known to be better.
        (Class::Online | Class::Fresh, _) => {
            choice = preempted(candidates, current, preempt, now);
        }
        (Class::Spare, Class::Spare) => choice.leader = Some(current),
        (Class::Returning | Class::Deaf | Class::Offline, class)
            if !class.healthy()
                && last_resort == LastResort::Keep
                && (incumbent.class, class) != (Class::Offline, Class::Deaf) =>
        {
            choice.leader = Some(current);
        }
        _ => {}
    }
    choice
}

/// Whether a provider of better rank takes over from a leader that works. Only one that is online can: its own rounds have
/// been judged.
fn preempted(candidates: &[Candidate], current: usize, preempt: Preempt, now: Instant) -> Choice {
    let mut choice = Choice {
        leader: Some(current),
        revise_at: None,
    };
    for (rank, better) in candidates.iter().enumerate().take(current) {
        let at = match preempt {
            Preempt::No => break,
            _ if better.class != Class::Online => continue,
            Preempt::Yes => now,
            Preempt::After(wait) => better.since + wait,
        };
        if at <= now {
            choice.leader = Some(rank);
            break;
        }
        if choice.revise_at.is_none_or(|soonest| at < soonest) {
            choice.revise_at = Some(at);
        }
    }
    choice
}

/// The leader first, the others behind it in the order of preference. Traffic is refused when all are worse than `refuse`.
pub(crate) fn plan(candidates: &[Candidate], leader: Option<usize>, refuse: Option<Class>) -> Plan {
    let mut plan = Plan::new();
    let mut push = |candidate: &Candidate| {
        let Candidate { slot, usable, .. } = *candidate;
        let pushed = plan.order.push(RankedPath { slot, usable });
        debug_assert!(pushed.is_ok(), "one per provider");
    };
    let best = leader.and_then(|place| candidates.get(place));
    best.into_iter().for_each(&mut push);
    for class in Class::ALL {
        for (place, candidate) in candidates.iter().enumerate() {
            if candidate.class == class && Some(place) != leader {
                push(candidate);
            }
        }
    }
    plan.none_works = best.is_some_and(|best| !best.class.healthy());
    plan.unreachable = refuse.is_some_and(|worst| candidates.iter().all(|c| c.class > worst));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Duration;
    use Class::*;

    /// The leader among these classes, in the order of rank; `current` leads now.
    fn leader(
        classes: &[Class],
        current: Option<usize>,
        preempt: Preempt,
        last_resort: LastResort,
    ) -> Option<usize> {
        let candidates: Vec<Candidate> = classes
            .iter()
            .enumerate()
            .map(|(i, &class)| Candidate {
                slot: Slot(0),
                class,
                usable: class.healthy(),
                since: Instant::ZERO,
                leads: current == Some(i),
            })
            .collect();
        choose(&candidates, preempt, last_resort, Instant::ZERO).leader
    }

    #[test]
    fn the_order_of_preference() {
        let plain =
            |classes: &[Class], current| leader(classes, current, Preempt::Yes, LastResort::First);
        assert_eq!(plain(&[], None), None);
        assert_eq!(plain(&[Fresh, Fresh], None), Some(0));
        assert_eq!(
            plain(&[Fresh, Online], Some(0)),
            Some(0),
            "a lower rank answered first"
        );
        assert_eq!(plain(&[Fresh, Online], None), Some(1));
        assert_eq!(
            plain(&[Online, Online], Some(1)),
            Some(0),
            "return to the better one"
        );
        assert_eq!(plain(&[Offline, Online], Some(0)), Some(1));
        assert_eq!(
            plain(&[Returning, Online], Some(0)),
            Some(1),
            "unproven gives way"
        );
        assert_eq!(
            plain(&[Returning, Fresh], Some(1)),
            Some(1),
            "a pin taken away: the old leader stays until judged"
        );
        assert_eq!(
            plain(&[Fresh, Fresh], Some(1)),
            Some(1),
            "a pin taken away: the better one is not known to work"
        );
        assert_eq!(plain(&[Online, Fresh], Some(1)), Some(0), "now it is");
        assert_eq!(plain(&[Fresh, Offline], Some(1)), Some(0), "presumed");
        assert_eq!(plain(&[Fresh, Waiting], Some(1)), Some(0), "presumed");
        assert_eq!(plain(&[Offline, Returning], Some(0)), Some(1));
        assert_eq!(plain(&[Online, Pinned], Some(0)), Some(1));
        assert_eq!(plain(&[Waiting, Offline], Some(0)), Some(1));
        assert_eq!(plain(&[Disabled, Offline], Some(0)), Some(1));
        for worse in [Offline, Waiting, Returning, Disabled] {
            assert_eq!(plain(&[Spare, worse], Some(1)), Some(0), "{worse:?}");
        }
        for better in [Pinned, Online, Fresh] {
            assert_eq!(plain(&[Spare, better], Some(0)), Some(1), "{better:?}");
        }
        assert_eq!(plain(&[Spare, Spare], Some(1)), Some(1), "no better");
        assert_eq!(
            plain(&[Offline, Offline], Some(1)),
            Some(0),
            "last resort: the first"
        );
        for (worse, leader) in [(Returning, 0), (Offline, 1), (Waiting, 1), (Deaf, 0)] {
            assert_eq!(plain(&[worse, Deaf], Some(0)), Some(leader), "{worse:?}");
        }
    }

    #[test]
    fn a_last_resort_that_keeps() {
        let keep =
            |classes: &[Class], current| leader(classes, current, Preempt::Yes, LastResort::Keep);
        assert_eq!(keep(&[Offline, Offline], Some(1)), Some(1));
        assert_eq!(keep(&[Online, Offline], Some(1)), Some(0));
        assert_eq!(keep(&[Spare, Offline], Some(1)), Some(0), "it works");
        assert_eq!(keep(&[Deaf, Offline], Some(1)), Some(0), "its line works");
        assert_eq!(keep(&[Deaf, Deaf], Some(1)), Some(1));
        assert_eq!(
            keep(&[Offline, Waiting], Some(1)),
            Some(0),
            "a pulled cable is not kept"
        );
    }

    #[test]
    fn preemption_never_or_later() {
        let no =
            |classes: &[Class], current| leader(classes, current, Preempt::No, LastResort::First);
        assert_eq!(no(&[Online, Online], Some(1)), Some(1));
        assert_eq!(no(&[Fresh, Fresh], Some(1)), Some(1));
        assert_eq!(no(&[Online, Fresh], Some(1)), Some(1));
        assert_eq!(no(&[Online, Offline], Some(1)), Some(0));

        let second = Duration::from_secs(1);
        let at = |since, leads| Candidate {
            slot: Slot(0),
            class: Online,
            usable: true,
            since: Instant::from_secs(since),
            leads,
        };
        let after = |candidates: &[Candidate], now| {
            choose(
                candidates,
                Preempt::After(second * 10),
                LastResort::First,
                Instant::from_secs(now),
            )
        };
        let three = [at(100, false), at(95, false), at(0, true)];
        let revise = |at| Some(Instant::from_secs(at));
        assert_eq!(
            after(&three, 101),
            Choice {
                leader: Some(2),
                revise_at: revise(105)
            }
        );
        assert_eq!(
            after(&three, 105),
            Choice {
                leader: Some(1),
                revise_at: revise(110)
            }
        );
        assert_eq!(
            after(&three, 110),
            Choice {
                leader: Some(0),
                revise_at: None
            }
        );
    }
}
