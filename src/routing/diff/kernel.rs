//! A kernel to test with: routes and rules, replaced and deleted as Linux does it, and looked up.

use core::net::IpAddr;

use crate::routing::layout::fixture::kernel_rules;
use crate::routing::objects::{Change, Route, RouteKind, Rule, RuleVerdict, Selector};
use crate::types::{DeviceName, Family, Metric, PROTOCOL, Prefix};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kernel {
    /// those of one table, destination and metric are in the order of their age
    pub(crate) routes: Vec<Route>,
    /// those of one preference are in the order of their age
    pub(crate) rules: Vec<Rule>,
    /// what it always refuses
    pub(crate) refuses: Refuses,
}

/// As it comes up: without routes, and with the rules that it begins with.
impl Default for Kernel {
    fn default() -> Kernel {
        Kernel {
            routes: Vec::new(),
            rules: kernel_rules(),
            refuses: Refuses::default(),
        }
    }
}

/// What a kernel refuses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Refuses {
    /// new routes by these devices, in these tables
    pub(crate) routes: Vec<(u32, u32)>,
    /// new rules for these packets
    pub(crate) rules: Vec<Selector>,
}

impl Refuses {
    /// Whether this change is none that it makes.
    pub(crate) fn change(&self, change: &Change) -> bool {
        match change {
            Change::SetRoute(route) => self.route(route),
            Change::AddRule(rule) => self.rules.contains(&rule.selector),
            Change::DeleteRoute(_) | Change::DeleteRule(_) | Change::MoveRule(_) => false,
        }
    }

    pub(crate) fn route(&self, route: &Route) -> bool {
        self.routes.contains(&(route.device, route.table))
    }
}

/// A packet to a place that only default routes lead to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) mark: u32,
    pub(crate) from: Option<IpAddr>,
    pub(crate) to: Option<IpAddr>,
    /// it is forwarded, and not the machine's own
    pub(crate) forwarded: bool,
    /// the name and number of the device its socket is bound to
    pub(crate) bound: Option<(DeviceName, u32)>,
}

/// Where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Device(u32),
    Refused,
    NoRoute,
}

impl Kernel {
    /// Carries a change out, or refuses it, and tells which. Panics when it touches what is not ours, or does nothing.
    pub(crate) fn carry_out(&mut self, change: &Change) -> bool {
        let refused = self.refuses.change(change);
        if !refused {
            self.make(change);
        }
        !refused
    }

    fn make(&mut self, change: &Change) {
        match change {
            Change::SetRoute(route) => self.set_route(*route),
            Change::DeleteRoute(route) => self.delete_route(route),
            Change::AddRule(rule) => {
                assert!(!self.rules.contains(rule), "{rule:?} exists");
                self.rules.push(rule.clone());
            }
            Change::MoveRule(rule) => {
                self.rules.push(rule.clone());
                self.make(&Change::DeleteRule(rule.clone()));
            }
            Change::DeleteRule(rule) => {
                assert_eq!(rule.protocol, PROTOCOL);
                let at = self.rules.iter().position(|r| r == rule);
                self.rules.remove(at.expect("a rule to delete"));
            }
        }
    }

    /// `fib_table_insert` (net/ipv4/fib_trie.c) and `fib6_add_rt2node` (net/ipv6/ip6_fib.c) with `NLM_F_REPLACE`: IPv4
    /// replaces the first of its key; IPv6 the first that, too, can (or cannot) be one way of several, with all its
    /// siblings, else the first.
    fn set_route(&mut self, route: Route) {
        let v4 = family_of(&route) == Family::V4;
        let rivals: Vec<usize> = self.places(|r| key(r) == key(&route)).collect();
        let joins = |&i: &usize| v4 || can_join(&self.routes[i]) == can_join(&route);
        let first = rivals.iter().copied().find(joins);
        let Some(replaced) = first.or(rivals.first().copied()) else {
            self.routes.push(route);
            return;
        };
        assert_eq!(self.routes[replaced].protocol, PROTOCOL, "replaced");
        if v4 {
            let exists = rivals.iter().any(|&i| self.routes[i] == route);
            assert!(!exists || self.routes[replaced] == route, "EEXIST");
        }
        let siblings: Vec<usize> = rivals
            .into_iter()
            .filter(|&i| i != replaced && !v4 && can_join(&route) && can_join(&self.routes[i]))
            .collect();
        self.routes[replaced] = route;
        for i in siblings.into_iter().rev() {
            assert_eq!(self.routes.remove(i).protocol, PROTOCOL, "sibling");
        }
    }

    /// The first that has all that is said of it.
    fn delete_route(&mut self, route: &Route) {
        assert_eq!(route.protocol, PROTOCOL);
        let at = self
            .places(|r| key(r) == key(route) && (r.protocol, r.kind) == (PROTOCOL, route.kind))
            .find(|&i| {
                let other = &self.routes[i];
                (other.device, other.gateway) == (route.device, route.gateway)
                    && (route.source.is_none() || route.source == other.source)
            });
        self.routes.remove(at.expect("a route to delete"));
    }

    fn places(&self, which: impl Fn(&Route) -> bool) -> impl Iterator<Item = usize> {
        let all = self.routes.iter().enumerate();
        all.filter(move |(_, r)| which(r)).map(|(i, _)| i)
    }

    /// What is not ours.
    pub(crate) fn foreign(&self) -> (Vec<Route>, Vec<Rule>) {
        let routes = self.routes.iter().filter(|r| r.protocol != PROTOCOL);
        let rules = self.rules.iter().filter(|r| r.protocol != PROTOCOL);
        (routes.copied().collect(), rules.cloned().collect())
    }

    /// The default route of ours of the lowest metric, in a table.
    pub(crate) fn best(&self, table: u32, family: Family) -> Option<Route> {
        let ours = self.routes.iter().filter(|r| r.protocol == PROTOCOL);
        ours.filter(|r| r.table == table && leads_everywhere(r, family))
            .min_by_key(|r| r.metric)
            .copied()
    }

    /// Goes through the rules (`fib_rules_lookup`, net/core/fib_rules.c).
    pub(crate) fn look_up(&self, family: Family, packet: &Packet) -> Answer {
        let mut rules: Vec<&Rule> = self.rules.iter().filter(|r| r.family == family).collect();
        rules.sort_by_key(|rule| rule.pref); // stable, so by age
        let mut at = 0;
        while let Some(rule) = rules.get(at) {
            at += 1;
            match rule.verdict {
                _ if !packet.matches(rule) => {}
                RuleVerdict::Goto(target) => {
                    assert!(target > rule.pref, "backward goto");
                    let target = rules.iter().position(|rule| rule.pref == target);
                    at = target.unwrap_or(at);
                }
                RuleVerdict::Unreachable => return Answer::Refused,
                RuleVerdict::Lookup(table) => match self.leads(table, family, packet) {
                    Answer::NoRoute => {}
                    answer => return answer,
                },
                // A default that leads is passed over, but not one that refuses.
                RuleVerdict::LookupSpecific(table) => {
                    if self.leads(table, family, packet) == Answer::Refused {
                        return Answer::Refused;
                    }
                }
                RuleVerdict::Foreign => {}
            }
        }
        Answer::NoRoute
    }

    /// Where the defaults of a table lead. A socket that is bound to a device sees its defaults only; in IPv4 also those that
    /// refuse (`fib_table_lookup`, net/ipv4/fib_trie.c), in IPv6 not (`rt6_score_route`, net/ipv6/route.c).
    fn leads(&self, table: u32, family: Family, packet: &Packet) -> Answer {
        let bound = packet.bound.as_ref().map(|(_, index)| *index);
        let seen = |r: &&Route| match r.kind {
            RouteKind::Unicast => bound.is_none_or(|index| index == r.device),
            RouteKind::Multipath | RouteKind::Nexthop(_) | RouteKind::Hop => false,
            RouteKind::Throw | RouteKind::Other => bound.is_none() || family == Family::V4,
        };
        let routes = self.routes.iter().filter(|r| r.table == table);
        let seen = routes.filter(|r| leads_everywhere(r, family)).filter(seen);
        match seen.min_by_key(|r| r.metric) {
            None => Answer::NoRoute,
            Some(route) if route.kind == RouteKind::Throw => Answer::NoRoute,
            Some(route) if route.kind == RouteKind::Other => Answer::Refused,
            Some(route) => Answer::Device(route.device),
        }
    }
}

impl Packet {
    fn matches(&self, rule: &Rule) -> bool {
        match &rule.selector {
            Selector::All => true,
            Selector::Mark(mark) => (self.mark ^ mark.value) & mark.mask == 0,
            Selector::OwnFrom(_) | Selector::OwnTo(_) if self.forwarded => false,
            Selector::OwnTo(prefix) => self.to.is_some_and(|a| prefix.contains_addr(&a.into())),
            Selector::From(prefix) | Selector::OwnFrom(prefix) => {
                self.from.is_some_and(|a| prefix.contains_addr(&a.into()))
            }
            Selector::Oif(device) => self.bound.as_ref().is_some_and(|(name, _)| name == device),
            Selector::Foreign => false,
        }
    }
}

/// What tells a route from others; the prefix it is from is an IPv6 subtree of its own.
fn key(route: &Route) -> (u32, Prefix, Metric, Option<Prefix>) {
    (route.table, route.destination, route.metric, route.from)
}

/// `rt6_qualify_for_ecmp` (include/net/ip6_route.h)
fn can_join(route: &Route) -> bool {
    route.gateway.is_some() || route.kind == RouteKind::Multipath
}

fn leads_everywhere(route: &Route, family: Family) -> bool {
    family_of(route) == family && route.destination.prefix_len() == 0 && route.from.is_none()
}

pub(crate) fn family_of(route: &Route) -> Family {
    Family::of(route.destination.address().into())
}
