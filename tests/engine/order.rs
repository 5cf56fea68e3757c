//! The order of preference, independent of the engine: "pinned; then online by rank; then never judged; then disabled, but
//! working; then returning; then offline." Providers that cannot be used come last.

use failover::config::{Config, LastResort, Preempt};
use failover::engine::{Engine, Lead, Plan};
use failover::types::{Family, Instant, PathId, Slot, Verdict};

/// The facts about a routable provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    slot: Slot,
    merit: u8,
    rank: usize,
}

const PINNED: u8 = 0;
const ONLINE: u8 = 1;
const NEVER_JUDGED: u8 = 2;
const SPARE: u8 = 3;
const RETURNING: u8 = 4;
const OFFLINE: u8 = 5;
const WAITING: u8 = 6;
const DISABLED: u8 = 7;

/// The routable providers of a family, best first.
fn standings(engine: &Engine, config: &Config, family: Family) -> Vec<Standing> {
    let mut all = Vec::new();
    for (rank, provider) in config.providers.iter().enumerate() {
        let slot = provider.slot;
        let Some(path) = engine
            .path(PathId { slot, family })
            .filter(|p| p.routable())
        else {
            continue;
        };
        let merit = if engine.pinned() == Some(slot) {
            PINNED
        } else {
            let merit = match path.verdict() {
                _ if path.waiting().is_some() => WAITING,
                // While another is pinned, the earlier verdict is only presumed.
                Verdict::Online if engine.pinned().is_some() => NEVER_JUDGED,
                Verdict::Online => ONLINE,
                Verdict::Fresh => NEVER_JUDGED,
                Verdict::Returning => RETURNING,
                Verdict::Offline => OFFLINE,
            };
            match engine.is_disabled(slot) {
                true if merit <= NEVER_JUDGED => SPARE,
                true => DISABLED,
                false => merit,
            }
        };
        all.push(Standing { slot, merit, rank });
    }
    all.sort_by_key(|s| (s.merit, s.rank));
    all
}

/// Whether a provider carries its connections and marked traffic; none: it is not known whether it comes back from where it
/// was not judged.
fn is_usable(engine: &Engine, id: PathId, comes_back: Option<bool>) -> Option<bool> {
    let path = engine.path(id).unwrap();
    match (engine.pinned(), path.verdict()) {
        _ if path.waiting().is_some() => Some(false),
        (Some(pinned), _) => Some(pinned == id.slot),
        _ if engine.is_disabled(id.slot) => Some(false),
        (None, Verdict::Online) => Some(true),
        (None, Verdict::Fresh) => comes_back.map(|back| !back),
        (None, Verdict::Returning | Verdict::Offline) => Some(false),
    }
}

/// Asserts the expected order. `led` led before the event; `online_since` and `comes_back` are as seen by the observer.
pub(crate) fn check(
    engine: &Engine,
    config: &Config,
    family: Family,
    led: Option<Slot>,
    online_since: impl Fn(Slot) -> Option<Instant>,
    comes_back: impl Fn(Slot) -> Option<bool>,
    now: Instant,
) {
    let Plan {
        order,
        unreachable,
        none_works,
    } = engine.plan(family);
    let mut want = standings(engine, config, family);
    let mut slots: Vec<Slot> = order.iter().map(|hop| hop.slot).collect();
    slots.sort();
    let mut routable: Vec<Slot> = want.iter().map(|s| s.slot).collect();
    routable.sort();
    assert_eq!(slots, routable, "each routable provider exactly once");

    let globals = &config.globals;
    let mut paths = engine.paths().filter(|path| path.id.family == family);
    let managed = paths.next().is_some();
    let mut paths = engine.paths().filter(|path| path.id.family == family);
    let all_disabled = paths.all(|path| engine.is_disabled(path.id.slot));
    let enough = if all_disabled { NEVER_JUDGED } else { SPARE };
    let healthy = want.iter().any(|s| s.merit <= enough);
    let refuse = globals.last_resort == LastResort::Unreachable && !healthy && managed;
    assert_eq!(*unreachable, refuse);

    for hop in order {
        let slot = hop.slot;
        let usable = is_usable(engine, PathId { slot, family }, comes_back(slot));
        assert!(usable.is_none_or(|usable| hop.usable == usable), "{hop:?}");
    }

    let lead = match order.first() {
        _ if !managed => Lead::Unknown,
        _ if refuse => Lead::Refused,
        Some(hop) => Lead::By(hop.slot),
        None => Lead::NoRoute,
    };
    assert_eq!(engine.lead_of(family), lead, "what people are told");

    let Some(first) = order.first() else { return };
    let place = want.iter().position(|s| s.slot == first.slot).unwrap();
    let (leader, best) = (want.remove(place), want.first().copied());
    let rest: Vec<Slot> = order.iter().skip(1).map(|hop| hop.slot).collect();
    let others: Vec<Slot> = want.iter().map(|s| s.slot).collect();
    assert_eq!(rest, others, "the others in the order of preference");
    assert_eq!(engine.leader(family), Some(leader.slot));
    let kept = led == Some(leader.slot);
    let former = want.iter().find(|s| Some(s.slot) == led);

    assert_eq!(*none_works, leader.merit > SPARE);

    // A working leader is replaced only by a pinned provider, or by a better one that is known to be online.
    let worked = former.is_some_and(|s| [ONLINE, NEVER_JUDGED].contains(&s.merit));
    let known = leader.merit <= ONLINE;
    assert!(!worked || known, "{former:?} was left for {leader:?}");
    // A provider that does not work never leads while another works, even a disabled one.
    let spare = want.iter().find(|s| s.merit <= SPARE);
    assert!(leader.merit <= SPARE || spare.is_none(), "{spare:?} idles");

    // Online providers of better rank take over exactly when `preempt` allows it.
    let ripe = |s: &Standing| match globals.preempt {
        Preempt::Yes => true,
        Preempt::No => false,
        Preempt::After(wait) => online_since(s.slot).is_some_and(|since| since + wait <= now),
    };
    let better = |s: &&Standing| s.merit == ONLINE && s.rank < leader.rank;
    if [ONLINE, NEVER_JUDGED].contains(&leader.merit) && (kept || worked) {
        // What is due happens at the next tick.
        let due = engine.next_deadline().is_some_and(|at| at <= now);
        let overdue = want.iter().filter(better).any(ripe);
        assert!(due || !overdue, "{leader:?} is to be preempted: {want:?}");
        let beaten = former.is_none_or(|s| leader.rank < s.rank && ripe(&leader));
        assert!(beaten, "{former:?} was left for {leader:?}");
        assert!(best.is_none_or(|b| b.merit >= ONLINE), "pinned is first");
        return;
    }
    let Some(best) = best.filter(|best| key(best) < key(&leader)) else {
        return;
    };
    let keep = globals.last_resort == LastResort::Keep
        && [RETURNING, OFFLINE].contains(&leader.merit)
        && best.merit > SPARE;
    let alike = leader.merit == SPARE && best.merit == SPARE;
    assert!(
        kept && (keep || alike),
        "{best:?} is better than {leader:?}"
    );
}

fn key(standing: &Standing) -> (u8, usize) {
    (standing.merit, standing.rank)
}
