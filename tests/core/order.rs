//! The order of preference, straight from the design: "pinned; then online by rank; then never judged; then returning;
//! then offline." Who cannot be used at all comes last.

use failover::config::{Config, LastResort, PathId, Preempt, Slot};
use failover::failover::path::Verdict;
use failover::failover::{Failover, Plan};
use failover::net::{Family, Instant};

/// What is to be known of a routable provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    slot: Slot,
    merit: u8,
    rank: usize,
}

const PINNED: u8 = 0;
const ONLINE: u8 = 1;
const NEVER_JUDGED: u8 = 2;
const OFFLINE: u8 = 4;
const WAITING: u8 = 5;
const DISABLED: u8 = 6;

/// The routable providers of a family, best first.
fn standings(core: &Failover, config: &Config, family: Family) -> Vec<Standing> {
    let mut all = Vec::new();
    for (rank, provider) in config.providers.iter().enumerate() {
        let slot = provider.slot;
        let Some(path) = core.path(PathId { slot, family }).filter(|p| p.routable) else {
            continue;
        };
        let merit = if core.pinned() == Some(slot) {
            PINNED
        } else if core.is_disabled(slot) {
            DISABLED
        } else if path.waiting.is_some() {
            WAITING
        } else {
            match path.verdict {
                Verdict::Online => ONLINE,
                Verdict::Fresh => NEVER_JUDGED,
                Verdict::Returning => 3,
                Verdict::Offline => OFFLINE,
            }
        };
        all.push(Standing { slot, merit, rank });
    }
    all.sort_by_key(|s| (s.merit, s.rank));
    all
}

/// That the plan is the one the design wants. `led` led before the event; `online_since` is what a watcher saw.
pub(crate) fn check(
    core: &Failover,
    config: &Config,
    family: Family,
    led: Option<Slot>,
    online_since: impl Fn(Slot) -> Option<Instant>,
    now: Instant,
) {
    let Plan { order, unreachable } = core.plan(family);
    let mut want = standings(core, config, family);
    let mut slots: Vec<Slot> = order.iter().map(|hop| hop.slot).collect();
    slots.sort();
    let mut routable: Vec<Slot> = want.iter().map(|s| s.slot).collect();
    routable.sort();
    assert_eq!(slots, routable, "each routable provider exactly once");

    let globals = &config.globals;
    let healthy = want.iter().any(|s| s.merit <= NEVER_JUDGED);
    let managed = core.paths().any(|path| path.id.family == family);
    let refuse = globals.last_resort == LastResort::Unreachable && !healthy && managed;
    assert_eq!(*unreachable, refuse);

    for hop in order {
        let merit = want.iter().find(|s| s.slot == hop.slot).unwrap().merit;
        assert_eq!(hop.steered, merit < OFFLINE);
    }

    let Some(first) = order.first() else { return };
    let place = want.iter().position(|s| s.slot == first.slot).unwrap();
    let (leader, best) = (want.remove(place), want.first().copied());
    let rest: Vec<Slot> = order.iter().skip(1).map(|hop| hop.slot).collect();
    let others: Vec<Slot> = want.iter().map(|s| s.slot).collect();
    assert_eq!(rest, others, "the others in the order of preference");
    assert_eq!(core.leader(family), Some(leader.slot));

    // Online ones of better rank do not take over before `preempt` says so, and then they do.
    let ripe = |s: &Standing| match globals.preempt {
        Preempt::Yes => true,
        Preempt::No => false,
        Preempt::After(wait) => online_since(s.slot).is_some_and(|since| since + wait <= now),
    };
    let better = |s: &&Standing| s.merit == ONLINE && s.rank < leader.rank;
    let kept = led == Some(leader.slot);
    if leader.merit == ONLINE {
        let mut better = want.iter().filter(better);
        if kept {
            // What is due is done with the next tick.
            let due = core.next_deadline().is_some_and(|at| at <= now);
            assert!(
                due || !better.any(ripe),
                "{leader:?} is to be preempted: {want:?}"
            );
        } else {
            let skipped = better.all(|s| !ripe(s));
            let led_was = want.iter().find(|s| Some(s.slot) == led);
            let preempted = led_was.is_some_and(|s| s.merit == ONLINE);
            assert!(preempted && skipped || best.is_none_or(|b| key(&b) > key(&leader)));
        }
        assert!(best.is_none_or(|b| b.merit >= ONLINE), "pinned is first");
        return;
    }
    let Some(best) = best.filter(|best| key(best) < key(&leader)) else {
        return;
    };
    // At boot a never judged leader is not left for an online one of lower rank that merely answered first.
    let boot = leader.merit == NEVER_JUDGED && best.merit == ONLINE && best.rank > leader.rank;
    let keep = globals.last_resort == LastResort::Keep
        && leader.merit <= OFFLINE
        && best.merit > NEVER_JUDGED;
    assert!(kept && (boot || keep), "{best:?} is better than {leader:?}");
}

fn key(standing: &Standing) -> (u8, usize) {
    (standing.merit, standing.rank)
}
