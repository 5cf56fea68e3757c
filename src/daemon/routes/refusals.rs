//! The changes that the kernel refuses: per route and rule, with the time to try again.

use heapless::Vec;

use crate::limits::REFUSED_MAX;
use crate::routing::objects::{Change, Route};
use crate::types::{Duration, Fault, Instant};

/// The first pause before a refused change is tried again. Each next pause is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The refusals of one family. All zero bytes when new.
pub(in crate::daemon) struct Refusals {
    all: Vec<Refusal, REFUSED_MAX>,
}

/// One change that the kernel refuses.
#[derive(Debug)]
pub(in crate::daemon) struct Refusal {
    pub(in crate::daemon) change: Change,
    pub(in crate::daemon) fault: Fault,
    /// The second attempt was refused, too. The first may have failed because the kernel was in the middle of a change.
    pub(super) confirmed: bool,
    tried_at: Instant,
    /// pause between the last attempt and the next
    pause: Duration,
    /// the present attempt has asked for it
    asked: bool,
}

impl Refusal {
    fn due_at(&self) -> Instant {
        self.tried_at + self.pause
    }
}

impl Refusals {
    pub(in crate::daemon) const fn new() -> Refusals {
        Refusals { all: Vec::new() }
    }

    /// An attempt begins: it will ask for every change that is still wanted.
    pub(super) fn begin(&mut self) {
        self.all
            .iter_mut()
            .for_each(|refusal| refusal.asked = false);
    }

    /// An attempt has ended: a change that it did not ask for is no longer wanted, or made. Returns whether a confirmed
    /// refusal was dropped.
    pub(super) fn end(&mut self) -> bool {
        if self.all.is_empty() {
            return false; // unwritten, it takes no memory
        }
        let confirmed = self.confirmed().count();
        self.all.retain(|refusal| refusal.asked);
        self.confirmed().count() != confirmed
    }

    /// Whether it is too early to try this change again.
    pub(super) fn hold_back(&mut self, change: &Change, now: Instant) -> bool {
        let Some(refusal) = self.find(change) else {
            return false;
        };
        refusal.asked = true;
        // Take the change as it is wanted now: its metric may have changed.
        refusal.change = change.clone();
        now < refusal.due_at()
    }

    /// The kernel has refused a change. `None`: there is no room to record it. Otherwise whether this confirms the refusal.
    pub(super) fn add(&mut self, change: Change, fault: Fault, now: Instant) -> Option<bool> {
        if let Some(known) = self.find(&change) {
            let news = !known.confirmed || known.fault != fault;
            (known.change, known.fault) = (change, fault);
            (known.confirmed, known.asked) = (true, true);
            known.tried_at = now;
            known.pause = (known.pause * 2).min(PAUSE_MAX);
            return Some(news);
        }
        let refusal = Refusal {
            change,
            fault,
            confirmed: false,
            tried_at: now,
            pause: PAUSE_MIN,
            asked: true,
        };
        self.all.push(refusal).ok().map(|()| false)
    }

    /// The kernel has made the change. Returns whether it was refused before.
    pub(super) fn remove(&mut self, change: &Change) -> bool {
        match self.find(change) {
            Some(refusal) => {
                refusal.asked = false;
                true
            }
            None => false,
        }
    }

    /// The devices or addresses of the machine have changed: the kernel may accept what it refused.
    pub(super) fn hurry(&mut self) {
        for refusal in &mut self.all {
            refusal.pause = PAUSE_MIN;
        }
    }

    /// When to try the next one again.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.all.iter().map(Refusal::due_at).min()
    }

    /// The confirmed refusals.
    pub(in crate::daemon) fn confirmed(&self) -> impl Iterator<Item = &Refusal> {
        self.all.iter().filter(|refusal| refusal.confirmed)
    }

    /// Whether this default route is refused again and again, whatever its table and metric.
    pub(super) fn forbid(&self, which: impl Fn(&Route) -> bool) -> bool {
        self.confirmed().any(|refusal| match &refusal.change {
            Change::SetRoute(route) => which(route) && !is_of_all(refusal.fault),
            _ => false,
        })
    }

    fn find(&mut self, change: &Change) -> Option<&mut Refusal> {
        let mut all = self.all.iter_mut();
        all.find(|refusal| is_same(&refusal.change, change))
    }
}

/// Whether the kernel refuses both for the same reason. The metric, which changes with the order, does not matter.
fn is_same(a: &Change, b: &Change) -> bool {
    let mut b = b.clone();
    if let (Change::SetRoute(a), Change::SetRoute(b)) = (a, &mut b) {
        b.metric = a.metric;
    }
    *a == b
}

/// Whether the fault concerns all requests, and not this change.
fn is_of_all(fault: Fault) -> bool {
    matches!(fault, Fault::NotPermitted | Fault::NotSupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::layout::everywhere;
    use crate::routing::objects::{Extras, RouteKind, Rule, RuleVerdict, Selector};
    use crate::types::{Family, Metric, PROTOCOL, TABLE_MAIN};

    fn route(metric: u32) -> Change {
        Change::SetRoute(Route {
            table: 176,
            destination: everywhere(Family::V4),
            metric: Metric(metric),
            protocol: PROTOCOL,
            kind: RouteKind::Unicast,
            device: 1,
            gateway: Some([192, 0, 2, 255].into()),
            source: None,
            onlink: false,
            from: None,
            extras: Extras::default(),
        })
    }

    fn rule() -> Change {
        Change::AddRule(Rule {
            family: Family::V4,
            pref: 17600,
            protocol: PROTOCOL,
            selector: Selector::All,
            verdict: RuleVerdict::LookupSpecific(TABLE_MAIN),
        })
    }

    /// One attempt with these changes, all of which are refused. Returns which of them it asks the kernel for.
    fn pass(refusals: &mut Refusals, wanted: &[Change], now: i64) -> std::vec::Vec<usize> {
        let now = Instant::from_secs(now);
        let mut asked = std::vec::Vec::new();
        refusals.begin();
        for (number, change) in wanted.iter().enumerate() {
            if !refusals.hold_back(change, now) {
                refusals.add(change.clone(), Fault::InvalidArgument, now);
                asked.push(number);
            }
        }
        refusals.end();
        asked
    }

    #[test]
    fn it_is_asked_for_again_after_ever_longer_pauses() {
        let mut refusals = Refusals::new();
        let asked: std::vec::Vec<i64> = (0..250)
            .filter(|&now| !pass(&mut refusals, &[route(100)], now).is_empty())
            .collect();
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    }

    #[test]
    fn at_once_when_it_is_another_or_the_kernel_has_changed() {
        let mut refusals = Refusals::new();
        for now in 0..100 {
            pass(&mut refusals, &[route(100)], now);
        }
        let moved = [route(101)];
        assert!(
            pass(&mut refusals, &moved, 100).is_empty(),
            "the same, elsewhere"
        );
        let told = refusals.confirmed().map(|refusal| &refusal.change);
        assert!(told.eq(&moved), "it is told of where it is wanted");
        assert_eq!(pass(&mut refusals, &[route(101), rule()], 100), [1]);
        refusals.hurry();
        assert_eq!(pass(&mut refusals, &[route(101), rule()], 100), [0]);
        refusals.hurry();
        let again = pass(&mut refusals, &[route(101), rule()], 100);
        assert!(again.is_empty(), "once a second");
        assert!(pass(&mut refusals, &[], 100).is_empty());
        assert_eq!(
            refusals.due_at(),
            None,
            "what is not wanted any more is forgotten"
        );
        assert_eq!(pass(&mut refusals, &moved, 100), [0]);
    }

    #[test]
    fn the_second_refusal_confirms_the_first() {
        let mut refusals = Refusals::new();
        let at = Instant::from_secs;
        let here = |route: &Route| route.table == 176;
        let refuse = |refusals: &mut Refusals, fault, now| refusals.add(route(100), fault, at(now));
        assert_eq!(refuse(&mut refusals, Fault::NotPermitted, 0), Some(false));
        assert_eq!(refusals.confirmed().count(), 0);
        assert_eq!(refuse(&mut refusals, Fault::NotPermitted, 1), Some(true));
        assert!(!refusals.forbid(here), "it is not the route's fault");
        assert_eq!(refuse(&mut refusals, Fault::InvalidArgument, 3), Some(true));
        assert!(refusals.forbid(here) && !refusals.forbid(|route| route.table == 254));
        assert_eq!(
            refuse(&mut refusals, Fault::InvalidArgument, 7),
            Some(false)
        );
        refusals.begin();
        assert!(refusals.remove(&route(102)));
        assert!(refusals.end());
        assert!(!refusals.forbid(here));
    }

    #[test]
    fn what_there_is_no_room_for_is_told() {
        let mut refusals = Refusals::new();
        for table in 0..=u32::try_from(REFUSED_MAX).unwrap() {
            let Change::SetRoute(route) = route(100) else {
                unreachable!()
            };
            let change = Change::SetRoute(Route { table, ..route });
            let known = refusals.add(change, Fault::Exists, Instant::ZERO);
            assert_eq!(
                known.is_some(),
                usize::try_from(table).unwrap() < REFUSED_MAX
            );
        }
    }
}
