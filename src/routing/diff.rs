//! The ordered changes that bring the kernel from what it has to what it shall have.
//!
//! What it has may be anything: the result of the last changes, of a former run that was killed half-way, or what
//! another program left of ours. With this order, traffic moves at the first change, and no look-up fails in between:
//!
//! 1. the `goto`, where none is wanted: traffic falls onto what others have, and sees nothing of what comes then; before it
//!    old ones of ours in `main`, if another's leads there;
//! 2. the rules for connections of a path that is no longer usable: they take the way of all other traffic from now on;
//! 3. the swap table, best route first, in place;
//! 4. what is left of ours before the best;
//! 5. where no rules lead to the swap table: those, behind the one for specific routes, and the `goto` that leads to them
//!    last, when nothing old stands in its way;
//! 6. the policy tables;
//! 7. the other new rules, which now lead to routes;
//! 8. the `goto`, behind others of its preference: see [`Change::MoveRule`];
//! 9. old rules: the `goto` of another preference first; then those for all packets, the last of them
//!    before the others, as each hides what stands behind it; all these before the rules that except bound sockets; then
//!    marks and resolvers, which lead to an offline path; and last those for specific routes and for the machine's own addresses, which all
//!    the others need before them;
//! 10. old routes, worst first, so that the best holds until another program's takes over.
//!
//! Any of them may be refused. A route or rule that is refused keeps what it was to replace, and nothing else:
//!
//! - an old route stays while the one for the same device and destination is refused, and no other wanted one is there;
//! - an old rule stays while the one for the same packets is refused, or leads to a table without a way; so do the routes
//!   that it leads to;
//! - the rule that refuses traffic stays while no route leads out;
//! - the rules for specific routes and own addresses stay while another old rule does.
//!
//! One look-up can fail: of a socket bound to the device of a provider without a policy table, while its route is between
//! two places in the swap table, which is for one change; and in IPv4 of any bound socket, where a default in `main` refuses,
//! while the route that precedes it there is between two places.

#[cfg(test)]
pub(crate) mod kernel;
#[cfg(test)]
mod properties;

use super::layout::{Wanted, best_of_others, best_of_ours, everywhere, pref};
use super::objects::{Change, Route, Rule, RuleVerdict, Selector};
use crate::limits::{ROUTES_WANTED_MAX, RULES_MAX, RULES_WANTED_MAX};
use crate::types::{Family, PROTOCOL, TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN};

/// Asks `each` for the changes that bring one family to what is wanted; none when the kernel has it. It tells whether the
/// change was made. `routes` and `rules` are the kernel's, of either family, before all changes.
///
/// When nothing was planned since the last time, each is a repair of what another program has changed.
pub fn changes(
    family: Family,
    wanted: &Wanted,
    routes: &[Route],
    rules: &[Rule],
    each: &mut dyn FnMut(Change) -> bool,
) {
    let wanted = (wanted.swap_table, &wanted.routes[..], &wanted.rules[..]);
    Difference::new(family, wanted, routes, rules).changes(each);
}

/// Asks `each` for the changes that remove everything of ours in one family: traffic falls from the best of ours onto what
/// others have.
pub fn removal(
    family: Family,
    routes: &[Route],
    rules: &[Rule],
    each: &mut dyn FnMut(Change) -> bool,
) {
    Difference::new(family, (0, &[], &[]), routes, rules).changes(each);
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
    /// where the default routes are wanted that the rules lead to
    swap_table: u32,
    wanted_routes: &'a [Route],
    wanted_rules: &'a [Rule],
    routes: &'a [Route],
    rules: &'a [Rule],
    /// Of each wanted route: whether the kernel has refused it.
    refused_routes: [bool; ROUTES_WANTED_MAX],
    /// Of each wanted rule, the same.
    refused_rules: [bool; RULES_WANTED_MAX],
    /// Of each of the kernel's rules: what has become of it.
    fates: [Fate; RULES_MAX],
}

/// What has become of a rule of the kernel.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// nothing yet
    Open,
    /// it is an old one of ours that stays
    Stays,
    /// it is deleted
    Gone,
}

impl<'a> Difference<'a> {
    fn new(
        family: Family,
        (swap_table, wanted_routes, wanted_rules): (u32, &'a [Route], &'a [Rule]),
        routes: &'a [Route],
        rules: &'a [Rule],
    ) -> Difference<'a> {
        Difference {
            family,
            swap_table,
            wanted_routes,
            wanted_rules,
            routes,
            rules,
            refused_routes: [false; ROUTES_WANTED_MAX],
            refused_rules: [false; RULES_WANTED_MAX],
            fates: [Fate::Open; RULES_MAX],
        }
    }

    fn changes(mut self, each: &mut dyn FnMut(Change) -> bool) {
        let jump = self.is_to_jump();
        let falls = self.falls_past_ours();
        let in_the_way = |has: &Route| falls && has.table == TABLE_MAIN;
        self.worst_first(&in_the_way, each);
        if !jump {
            self.old_rules(&jumps, each);
        }
        if jump && self.leads_by_default() {
            let wanted = self.wanted_rules;
            let replaced = |old: &Rule| wanted.iter().any(|new| is_successor(new, old));
            self.old_rules(&|rule| is_outbound(rule) && !replaced(rule), each);
        }
        let swap_table = self.swap_table;
        self.settle_routes(&|route| route.table == swap_table, each);
        let best = self.standing().find(|route| route.table == swap_table);
        let covers = |has: &Route| best.is_some_and(|best| wins(has, best));
        // Those that win over the best: `start_metric` was lower.
        self.worst_first(&covers, each);
        let no_way_out = self.lacks_way_out();
        let way_out = |rule: &Rule| no_way_out && matches!(rule.selector, Selector::All);
        self.new_rules(&way_out, each);
        self.settle_routes(&|route| route.table != swap_table, each);
        self.new_rules(&|rule| !way_out(rule), each);
        self.move_back(each);
        let done = |rule: &Rule| if jump { is_led_to(rule) } else { jumps(rule) };
        self.old_rules(&|rule| !done(rule), each);
        self.worst_first(&|has| !covers(has) && !in_the_way(has), each);
    }

    /// Whether traffic is to fall onto another's default that leads in `main`. Old ones of ours there, before one that refuses
    /// or of a time when the swap table was `main`, are not needed any more: without the `goto` they would lead what another's
    /// in the swap table led, or what was refused.
    fn falls_past_ours(&self) -> bool {
        let theirs = best_of_others(self.routes, self.family, TABLE_MAIN);
        !self.is_to_jump() && theirs.is_some_and(|route| route.kind.leads())
    }

    /// Whether traffic is to leave by a table that no rules of ours lead to.
    fn lacks_way_out(&self) -> bool {
        let (mut looks_up, mut has_jump, mut has_anchor) = (false, false, false);
        for rule in self.our_rules() {
            looks_up |= looks_up_swap(rule);
            has_jump |= jumps(rule);
            has_anchor |= is_anchor(rule);
            // Those of former versions stood before `main`.
            let leads_by_itself = looks_up_swap(rule) && !is_led_to(rule);
            // What is to go from there goes when all the others are there.
            let stale = is_led_to(rule) && !self.wanted_rules.contains(rule);
            if leads_by_itself || stale {
                return false;
            }
        }
        self.wanted_rules.iter().any(looks_up_swap)
            && self.is_to_jump()
            && !(looks_up && has_jump && has_anchor)
    }

    /// Whether what no other rule of ours is for has a way by ours.
    fn leads_by_default(&self) -> bool {
        let mut first: Option<&Rule> = None;
        for rule in self.our_rules() {
            let behind = rule.pref > pref::ANCHOR && matches!(rule.selector, Selector::All);
            if behind && first.is_none_or(|first| rule.pref < first.pref) {
                first = Some(rule);
            }
        }
        let Some(RuleVerdict::Lookup(table)) = first.map(|rule| rule.verdict) else {
            return false;
        };
        best_of_ours(self.routes, self.family, table).is_some()
    }

    fn is_to_jump(&self) -> bool {
        self.wanted_rules.iter().any(jumps)
    }

    /// Settles those of the wanted routes.
    fn settle_routes(
        &mut self,
        which: &dyn Fn(&Route) -> bool,
        each: &mut dyn FnMut(Change) -> bool,
    ) {
        let wanted = self.wanted_routes.iter().enumerate();
        for (place, route) in wanted.filter(|(_, route)| which(route)) {
            let settled = self.settle(route, each);
            mark(&mut self.refused_routes, place, !settled);
        }
    }

    /// Makes ours at this table, destination and metric the wanted one, and the only one. Where there are several, one
    /// stays until the wanted one is there. Whether it is.
    fn settle(&self, wanted: &Route, each: &mut dyn FnMut(Change) -> bool) -> bool {
        let here = || self.ours().filter(|has| wanted.has_key_of(has));
        let right = here().position(|has| same_route(wanted, has));
        let stays = right.unwrap_or(0);
        for (place, has) in here().enumerate() {
            if place != stays {
                each(Change::DeleteRoute(*has));
            }
        }
        right.is_some() || each(Change::SetRoute(*wanted))
    }

    fn new_rules(&mut self, which: &dyn Fn(&Rule) -> bool, each: &mut dyn FnMut(Change) -> bool) {
        let wanted = self.wanted_rules.iter().enumerate();
        for (place, rule) in wanted.filter(|(_, rule)| which(rule)) {
            if is_anchor(rule) && self.is_to_jump() {
                self.old_rules(&is_led_to, each);
            }
            let there = self.rules.contains(rule) || each(Change::AddRule(rule.clone()));
            mark(&mut self.refused_rules, place, !there);
        }
    }

    /// A rule of others that has come to stand behind the `goto`, at the same preference, would be jumped over.
    fn move_back(&self, each: &mut dyn FnMut(Change) -> bool) {
        let behind = |ours: &Rule| {
            let mut rest = self.rules.iter().skip_while(|rule| *rule != ours);
            rest.any(|rule| rule.is_foreign(self.family) && rule.pref == ours.pref)
        };
        for rule in self.wanted_rules.iter().filter(|rule| jumps(rule)) {
            if behind(rule) {
                each(Change::MoveRule(rule.clone()));
            }
        }
    }

    fn old_rules(&mut self, which: &dyn Fn(&Rule) -> bool, each: &mut dyn FnMut(Change) -> bool) {
        let (rules, mut last) = (self.rules, 0);
        loop {
            let mut next: Option<(u64, usize, &Rule)> = None;
            for (place, rule) in rules.iter().enumerate() {
                let turn = turn_to_go(rule, place);
                let is_next = last < turn && next.is_none_or(|(next, ..)| turn < next);
                if is_next && self.is_old(place, rule) && which(rule) {
                    next = Some((turn, place, rule));
                }
            }
            let Some((turn, place, rule)) = next else {
                return;
            };
            last = turn;
            let gone = !self.is_needed(rule) && each(Change::DeleteRule(rule.clone()));
            let fate = if gone { Fate::Gone } else { Fate::Stays };
            mark(&mut self.fates, place, fate);
        }
    }

    /// Whether a rule is one of ours that is there and not wanted.
    fn is_old(&self, place: usize, rule: &Rule) -> bool {
        self.is_ours(rule)
            && !self.wanted_rules.contains(rule)
            && self.fates.get(place) != Some(&Fate::Gone)
    }

    /// Whether an old rule is to stay.
    fn is_needed(&self, old: &Rule) -> bool {
        let (mut has_successor, mut lacks_one) = (false, false);
        for (new, refused) in self.wanted_rules.iter().zip(&self.refused_rules) {
            if is_successor(new, old) {
                has_successor = true;
                lacks_one |= *refused || !self.takes_over(new, old);
            }
        }
        match old.verdict {
            RuleVerdict::LookupSpecific(_) | RuleVerdict::Lookup(TABLE_LOCAL)
                if self.fates.contains(&Fate::Stays) =>
            {
                true
            }
            RuleVerdict::Unreachable if !has_successor => !self.is_led_out(),
            _ => lacks_one,
        }
    }

    /// Whether a rule that is there does what the old one did.
    fn takes_over(&self, new: &Rule, old: &Rule) -> bool {
        match (old.verdict, new.verdict) {
            (RuleVerdict::Unreachable, RuleVerdict::Lookup(_)) => self.is_led_out(),
            (_, RuleVerdict::Lookup(table)) if new.verdict != old.verdict => self.has_way(table),
            _ => true,
        }
    }

    /// Whether there is a default route in a table, if any is wanted there.
    fn has_way(&self, table: u32) -> bool {
        let default = everywhere(self.family);
        let leads = |route: &&Route| route.table == table && route.destination == default;
        self.standing().any(|route| leads(&route))
            || !self.wanted_routes.iter().any(|route| leads(&route))
    }

    /// Whether traffic that is refused no longer finds a way: ours, or another's in the same table.
    fn is_led_out(&self) -> bool {
        let (table, default) = (self.swap_table, everywhere(self.family));
        let leads = |route: &Route| {
            route.table == table
                && route.destination == default
                && route.from.is_none()
                && route.protocol != PROTOCOL
                && route.kind.leads()
        };
        self.has_way(table) || self.routes.iter().any(leads)
    }

    /// The wanted routes that the kernel has by now.
    fn standing(&self) -> impl Iterator<Item = &'a Route> {
        let wanted = self.wanted_routes.iter().zip(self.refused_routes);
        wanted.filter_map(|(route, refused)| (!refused).then_some(route))
    }

    /// Deletes the routes of ours that nothing keeps, if `which` says so, the highest metric first.
    fn worst_first(&self, which: &dyn Fn(&Route) -> bool, each: &mut dyn FnMut(Change) -> bool) {
        let mut last = u64::MAX;
        loop {
            let mut worst: Option<(u64, &Route)> = None;
            for (place, has) in self.ours().enumerate() {
                let turn = u64::from(has.metric.0) << 32 | place as u64;
                let is_worst = turn < last && worst.is_none_or(|(worst, _)| worst < turn);
                if is_worst && which(has) && self.is_left_over(has) && !self.is_kept(has) {
                    worst = Some((turn, has));
                }
            }
            let Some((turn, has)) = worst else {
                return;
            };
            last = turn;
            each(Change::DeleteRoute(*has));
        }
    }

    /// Whether a route stands where none is wanted, or none that the kernel accepts.
    fn is_left_over(&self, has: &Route) -> bool {
        let mut wanted = self.wanted_routes.iter().zip(&self.refused_routes);
        match wanted.find(|(wanted, _)| wanted.has_key_of(has)) {
            None => true,
            // Its siblings are gone already.
            Some((_, true)) => self
                .ours()
                .find(|first| first.has_key_of(has))
                .is_some_and(|first| core::ptr::eq(first, has)),
            Some((_, false)) => false,
        }
    }

    /// Whether a route that is not wanted holds until another can take over.
    fn is_kept(&self, old: &Route) -> bool {
        if self.standing().any(|new| same_purpose(new, old)) {
            return false;
        }
        let mut wanted = self.wanted_routes.iter().zip(&self.refused_routes);
        let mut rules = self.rules.iter().zip(&self.fates);
        wanted.any(|(new, refused)| *refused && new.device == old.device && same_purpose(new, old))
            || rules.any(|(rule, fate)| {
                *fate == Fate::Stays && rule.verdict == RuleVerdict::Lookup(old.table)
            })
    }

    /// The kernel's routes that are ours.
    fn ours(&self) -> impl Iterator<Item = &'a Route> {
        let family = self.family;
        let of_family = move |r: &&Route| Family::of_prefix(&r.destination) == family;
        self.routes
            .iter()
            .filter(|r| r.protocol == PROTOCOL)
            .filter(of_family)
    }

    /// The kernel's rules that are ours.
    fn our_rules(&self) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(|rule| self.is_ours(rule))
    }

    fn is_ours(&self, rule: &Rule) -> bool {
        rule.protocol == PROTOCOL && rule.family == self.family
    }
}

fn mark<T>(marks: &mut [T], place: usize, value: T) {
    if let Some(mark) = marks.get_mut(place) {
        *mark = value;
    }
}

/// Whether these are for the same packets, in the same table.
fn same_purpose(a: &Route, b: &Route) -> bool {
    a.is_beside(b) && a.from == b.from
}

/// Whether a look-up that would take `best` takes this one first.
fn wins(route: &Route, best: &Route) -> bool {
    same_purpose(route, best) && route.metric < best.metric
}

/// Whether it leads all packets to the swap table. What looks the kernel's own tables up, which are never it, does not.
fn looks_up_swap(rule: &Rule) -> bool {
    let swap = |table| !matches!(table, TABLE_MAIN | TABLE_DEFAULT | TABLE_LOCAL);
    matches!((&rule.selector, rule.verdict), (Selector::All, RuleVerdict::Lookup(t)) if swap(t))
}

fn jumps(rule: &Rule) -> bool {
    matches!(rule.verdict, RuleVerdict::Goto(_))
}

/// Whether it is for the connections that left by one provider.
fn is_outbound(rule: &Rule) -> bool {
    rule.pref >= pref::OUT && matches!(rule.selector, Selector::Mark(_))
}

/// Whether the `goto` resolves when it is there.
fn is_anchor(rule: &Rule) -> bool {
    rule.pref == pref::ANCHOR
}

/// Whether the `goto` leads to it.
fn is_led_to(rule: &Rule) -> bool {
    rule.pref >= pref::ANCHOR
}

/// Whether a wanted rule is to do for the same packets what an old one does. To lead all of them and to refuse them take one
/// another's place.
fn is_successor(new: &Rule, old: &Rule) -> bool {
    use core::mem::discriminant;
    let ends = |rule: &Rule| looks_up_swap(rule) || rule.is_for_all(RuleVerdict::Unreachable);
    let alike = discriminant(&new.verdict) == discriminant(&old.verdict);
    // What a rule for all packets from a prefix does behind others' rules, none before them is to do.
    let one_place = is_led_to(new) == is_led_to(old) || !matches!(old.selector, Selector::From(_));
    one_place
        && have_packets_in_common(&new.selector, &old.selector)
        && ends(new) == ends(old)
        && (alike || ends(old))
}

/// Whether these are for the same packets, or, of one source and its network, both. Rules of former versions were for
/// forwarded packets, too.
fn have_packets_in_common(new: &Selector, old: &Selector) -> bool {
    let source = |selector: &Selector| match selector {
        Selector::From(prefix) | Selector::OwnFrom(prefix) => Some(*prefix),
        _ => None,
    };
    match (source(new), source(old)) {
        (Some(new), Some(old)) => {
            new.contains_addr(&old.address()) || old.contains_addr(&new.address())
        }
        _ => new == old,
    }
}

/// When a rule goes: see the head of the file. Those for all packets go from the last to the first: each hides what stands
/// behind it.
fn turn_to_go(rule: &Rule, place: usize) -> u64 {
    let turn: u64 = match (&rule.selector, rule.verdict) {
        (_, RuleVerdict::Goto(_)) => 0,
        (_, RuleVerdict::LookupSpecific(_)) => 4,
        (_, RuleVerdict::Lookup(TABLE_LOCAL)) => 5,
        (Selector::All, _) | (_, RuleVerdict::Unreachable) => 1,
        (Selector::Mark(_) | Selector::OwnTo(_), _) => 2,
        _ => 3,
    };
    turn << 48 | u64::from(u32::MAX - rule.pref) << 16 | (0xffff - place as u64)
}

#[cfg(test)]
mod tests;
