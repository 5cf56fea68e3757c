//! The ordered changes that bring the kernel from what it has to what it shall have.
//!
//! What it has may be anything: the work of a moment ago, of a former run that was killed half-way, or what somebody
//! left of ours. The order is such that traffic moves at the first change, and no look-up goes unanswered in between:
//!
//! 1. the swap table, best route first, in place; then the policy tables;
//! 2. what is left of ours before the best;
//! 3. new rules, which now lead to routes;
//! 4. old rules: the swap table's before the one that refuses, lest that table leads once more; then that, before those
//!    that except bound sockets from it; marks, which lead to an offline path; and last the one for specific routes, which
//!    all the others need before them;
//! 5. old routes, worst first, so that the best holds until somebody else's takes over.
//!
//! One look-up can fail: of a socket bound to the device of a provider without a policy table, while its route is between
//! two places in the swap table, which is for one change.

#[cfg(test)]
mod kernel;
#[cfg(test)]
mod properties;

use super::layout::Wanted;
use super::objects::{Change, Route, Rule, RuleVerdict, Selector};
use crate::config::PROTOCOL;
use crate::net::{Family, Metric};

/// Tells `each` the changes that bring one family to what is wanted; none when the kernel has it. `routes` and `rules` are
/// the kernel's, of either family.
///
/// When the kernel refuses one: go on with those that set or add, but delete nothing, for the deletions trust in what was
/// to come before them.
///
/// When nothing was planned since the last time, each is a repair of what somebody else has changed.
pub fn changes(
    family: Family,
    wanted: &Wanted,
    routes: &[Route],
    rules: &[Rule],
    each: &mut dyn FnMut(Change),
) {
    let difference = Difference {
        family,
        wanted_routes: &wanted.routes,
        wanted_rules: &wanted.rules,
        routes,
        rules,
    };
    difference.changes(each);
}

/// Tells `each` the changes that remove everything of ours in one family: traffic falls from the best of ours onto what
/// others have.
pub fn removal(family: Family, routes: &[Route], rules: &[Rule], each: &mut dyn FnMut(Change)) {
    let difference = Difference {
        family,
        wanted_routes: &[],
        wanted_rules: &[],
        routes,
        rules,
    };
    difference.changes(each);
}

/// Whether a route of the kernel is as wanted. Only what it leads to counts: `onlink` matters to the kernel when it
/// admits a route, not afterwards, and not every kernel tells it in IPv6.
fn same_route(wanted: &Route, has: &Route) -> bool {
    let bare = |route: &Route| Route {
        onlink: false,
        ..*route
    };
    bare(wanted) == bare(has)
}

struct Difference<'a> {
    family: Family,
    wanted_routes: &'a [Route],
    wanted_rules: &'a [Rule],
    routes: &'a [Route],
    rules: &'a [Rule],
}

impl<'a> Difference<'a> {
    fn changes(&self, each: &mut dyn FnMut(Change)) {
        for route in self.wanted_routes {
            self.settle(route, each);
        }
        let best = self.wanted_routes.first();
        let covers = |has: &Route| best.is_some_and(|best| wins(has, best));
        // Those that win over the best: `start_metric` was lower.
        self.worst_first(&covers, each);
        self.new_rules(each);
        self.old_rules(each);
        self.worst_first(&|has| !covers(has), each);
    }

    /// Makes ours at this table, destination and metric the wanted one, and the only one. Where there are several, one
    /// stays until the wanted one is there.
    fn settle(&self, wanted: &Route, each: &mut dyn FnMut(Change)) {
        let here = || self.ours().filter(|has| same_place(wanted, has));
        let right = here().position(|has| same_route(wanted, has));
        let stays = right.unwrap_or(0);
        for (place, has) in here().enumerate() {
            if place != stays {
                each(Change::DeleteRoute(*has));
            }
        }
        if right.is_none() {
            each(Change::SetRoute(*wanted));
        }
    }

    fn new_rules(&self, each: &mut dyn FnMut(Change)) {
        for rule in self.wanted_rules {
            if !self.rules.contains(rule) {
                each(Change::AddRule(rule.clone()));
            }
        }
    }

    fn old_rules(&self, each: &mut dyn FnMut(Change)) {
        for turn in 0..=LAST_TO_GO {
            for rule in self.rules {
                let ours = rule.protocol == PROTOCOL && rule.family == self.family;
                if ours && turn_to_go(rule) == turn && !self.wanted_rules.contains(rule) {
                    each(Change::DeleteRule(rule.clone()));
                }
            }
        }
    }

    /// Deletes the routes of ours that stand where none is wanted, if `which` says so, the highest metric first.
    fn worst_first(&self, which: &dyn Fn(&Route) -> bool, each: &mut dyn FnMut(Change)) {
        let mut last = None;
        let worst_before = |last: Option<(Metric, usize)>| {
            let places = self
                .ours()
                .enumerate()
                .map(|(i, has)| ((has.metric, i), has));
            places
                .filter(|(place, _)| last.is_none_or(|last| *place < last))
                .filter(|(_, has)| which(has) && !self.is_wanted_place(has))
                .max_by_key(|(place, _)| *place)
        };
        while let Some((place, has)) = worst_before(last) {
            last = Some(place);
            each(Change::DeleteRoute(*has));
        }
    }

    fn is_wanted_place(&self, has: &Route) -> bool {
        self.wanted_routes.iter().any(|w| same_place(w, has))
    }

    /// The kernel's routes that are ours.
    fn ours(&self) -> impl Iterator<Item = &'a Route> {
        let family = self.family;
        let of_family = move |r: &&Route| Family::of(r.destination.address().into()) == family;
        self.routes
            .iter()
            .filter(|r| r.protocol == PROTOCOL)
            .filter(of_family)
    }
}

/// Whether the kernel holds these for one another's successor: table, destination and metric are a route's key, and in
/// IPv6 the prefix it is for.
fn same_place(a: &Route, b: &Route) -> bool {
    (a.table, a.destination, a.metric, a.from) == (b.table, b.destination, b.metric, b.from)
}

/// Whether a look-up that would take `best` takes this one first.
fn wins(route: &Route, best: &Route) -> bool {
    (route.table, route.destination, route.from) == (best.table, best.destination, best.from)
        && route.metric < best.metric
}

/// When a rule goes, see the head of the file.
fn turn_to_go(rule: &Rule) -> u8 {
    match (&rule.selector, rule.verdict) {
        (_, RuleVerdict::LookupSpecific(_)) => LAST_TO_GO,
        (_, RuleVerdict::Unreachable) => 1,
        (Selector::All, _) => 0,
        (Selector::Mark(_), _) => 2,
        _ => 3,
    }
}

const LAST_TO_GO: u8 = 4;

#[cfg(test)]
mod tests;
