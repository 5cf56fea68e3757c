//! What the kernel shall have: plan + configuration + uplinks → the routes and rules of one family.

mod connections;
mod error_routes;
mod policy_tables;
mod sources;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

pub use self::error_routes::{ErrorEffect, error_effect};
pub use self::policy_tables::Tables;
use super::objects::{Address, Extras, Route, RouteKind, Rule, RuleVerdict, Selector};
use super::uplink::Uplink;
use crate::config::{Config, Provider};
use crate::engine::{Plan, RankedPath};
use crate::limits::{PREFIXES_MAX, ROUTES_WANTED_MAX, RULES_WANTED_MAX, TAKEN_MAX};
use crate::types::{
    Family, IPV6_USUAL, Mark, MarkMask, Metric, PROTOCOL, Prefix, Slot, TABLE_DEFAULT, TABLE_LOCAL,
    TABLE_MAIN, network_of,
};

/// Preferences of our rules. What must go a certain way stands before the rules of others, counted from `rule_pref`, slot by
/// slot from the first of its kind. What merely chooses among our providers stands behind all rules of others, at fixed
/// places behind `main`'s; a `goto` at `catch_all` leads there.
///
/// The rules for connections ([`IN`](pref::IN), [`OUT`](pref::OUT)) are there where our firewall table marks connections.
///
/// Before all of them, one less than `rule_pref`: `lookup local` where it is not before ours, and `iif lo from` an own address
/// to a gateway that is in another device's network, too.
pub mod pref {
    /// `lookup main suppress_prefixlength 0`: specific routes always win
    pub const SPECIFIC: u32 = 0;
    /// `fwmark`, a provider's own
    pub const MARK: u32 = 1;
    /// `fwmark` of the connections that came by a provider, whether it is usable or not
    pub const IN: u32 = 65;
    /// `iif lo to` a resolver of a provider. All of a slot have one preference, so that none moves when another comes
    pub const RESOLVER: u32 = 150;
    /// `iif lo from` a network or an address of a path: this, 16 further on for the next slot
    pub const FROM: u32 = 300;
    /// `oif`, for sockets bound to a device
    pub const OIF: u32 = 1330;
    /// Where the `goto` leads: `lookup main suppress_prefixlength 0` once more. Documented, for a `goto` of other programs
    pub const ANCHOR: u32 = 32800;
    /// `fwmark` of the connections that left by a provider, and stay with it while it is usable
    pub const OUT: u32 = 32801;
    /// `from` a prefix that is delegated to a provider: this, 15 further on for the next slot. All of a slot have one
    /// preference, so that none moves when another comes
    pub const PREFIX: u32 = 32900;
    /// `lookup` the swap table, or `unreachable`
    pub const SWAP: u32 = 33900;
    /// `lookup main`
    pub const MAIN: u32 = 33901;
    /// `lookup default`: the last of ours
    pub const DEFAULT: u32 = 33902;
}

/// Preferences of one slot for delegated prefixes.
#[allow(clippy::cast_possible_truncation)] // it is 15
const PREFIXES_APART: u32 = PREFIXES_MAX as u32;

/// The metric of our routes in a policy table. Any would do in a table of our own. In a table that other programs fill
/// too, it is before IPv6's usual 1024, and no program gives it to connected networks, which we do not watch.
pub const POLICY_METRIC: Metric = Metric(PROTOCOL as u32);

/// All that the layout of one family depends on.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// the configuration
    pub config: &'a Config,
    /// which family
    pub family: Family,
    /// the order of its paths
    pub plan: &'a Plan,
    /// a slot's uplink in this family
    pub uplink: &'a dyn Fn(Slot) -> Option<&'a Uplink>,
    /// the policy tables
    pub tables: &'a Tables,
    /// the prefixes that are delegated to providers
    pub delegated: &'a [(Slot, Prefix)],
    /// the resolvers that are asked through a provider
    pub resolvers: &'a [(Slot, IpAddr)],
    /// the kernel's addresses, of both families
    pub addresses: &'a [Address],
    /// the kernel's routes; of interest are those of others, whose metrics we must not touch
    pub routes: &'a [Route],
    /// the kernel's rules; of interest are those of others that look up its own tables
    pub rules: &'a [Rule],
    /// a manual default prevails: nothing is to lead past it
    pub yields: bool,
    /// the marks of connections; none: the firewall table that sets them is not in force, and is not about to be
    pub marks: Option<MarkMask>,
    /// by slot, bit by bit: connections that no longer stay with their provider, although it is usable
    pub handed_over: u64,
    /// by slot, bit by bit: providers that may have connections; while none works, these stay where they are
    pub live: u64,
}

/// What the kernel shall have in one family.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C)] // what is small stands by the beginning of a list
pub struct Wanted {
    /// The table of the best default routes; 0 in a family that is not managed.
    pub swap_table: u32,
    /// There are fewer metrics than hops before a default route in `main` that refuses.
    pub is_narrow: bool,
    /// By slot, bit by bit: a path has more networks and addresses than there is room for rules.
    pub crowded: u64,
    /// A checksum of the networks and addresses with a rule, whatever their order.
    pub sources: u64,
    /// What stood in our way, for a warning; not more than fit.
    pub taken: Vec<Taken, TAKEN_MAX>,
    /// The rules, in the order in which they may be added.
    pub rules: Vec<Rule, RULES_WANTED_MAX>,
    /// The swap table's routes, best first; then the policy tables', and those before a route that refuses. No two of the same table, destination and metric.
    pub routes: Vec<Route, ROUTES_WANTED_MAX>,
}

/// A metric that we would have used, but another program has a default route (or one into the uplink's own network) there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// in which table
    pub table: u32,
    /// which
    pub metric: Metric,
}

impl Wanted {
    /// Nothing.
    pub const fn new() -> Wanted {
        Wanted {
            swap_table: 0,
            is_narrow: false,
            crowded: 0,
            sources: 0,
            taken: Vec::new(),
            rules: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Makes this what the situation asks for: nothing in a family that is not managed.
    pub fn fill(&mut self, situation: &Situation<'_>) {
        self.routes.clear();
        self.rules.clear();
        self.taken.clear();
        (self.swap_table, self.is_narrow) = (0, false);
        (self.crowded, self.sources) = (0, 0);
        if situation.config.manages(situation.family) {
            self.swap_table = situation.config.globals.table;
            self.swap_routes(situation);
            self.policy_tables(situation);
            self.pass_error_route(situation);
            self.rules(situation);
        }
    }

    /// One default route a hop: the best at `start_metric`, each other at the next metric that no other route has. Those
    /// that the kernel refuses come last, to be tried again without taking a place.
    fn swap_routes(&mut self, situation: &Situation<'_>) {
        let globals = &situation.config.globals;
        let mut metric = Some(globals.start_metric);
        let hops = situation.hops().map(|(_, _, uplink)| uplink);
        let refused = situation.refused().map(|(_, uplink)| uplink);
        for uplink in hops.chain(refused) {
            let Some(from) = metric else {
                return; // past the highest metric; the configuration does not let it come to that
            };
            let route = default_route(situation.family, globals.table, from, uplink);
            metric = self.add_route(situation, route).and_then(next);
        }
    }

    /// A default route for every provider that has a policy table and can have a route; the plan makes no difference. The
    /// way to its gateway comes first, as the kernel looks a gateway up in the same table.
    fn policy_tables(&mut self, situation: &Situation<'_>) {
        for (provider, uplink) in situation.paths() {
            if !leads(situation.family, uplink) {
                continue;
            }
            let Some(table) = situation.tables.of(provider.slot) else {
                continue;
            };
            let default = default_route(situation.family, table, POLICY_METRIC, uplink);
            if let Some(destination) = on_link(situation.family, provider, &default) {
                let route = Route {
                    destination,
                    gateway: None,
                    onlink: false,
                    extras: Extras::default(),
                    ..default
                };
                self.add_route(situation, route);
            }
            self.add_route(situation, default);
        }
    }

    /// Adds the route at its metric or the next one that is free, and tells which; none when there is none.
    fn add_route(&mut self, situation: &Situation<'_>, mut route: Route) -> Option<Metric> {
        let main_v6 = situation.family == Family::V6 && route.table == TABLE_MAIN;
        loop {
            let same = |other: &&Route| other.is_beside(&route) && other.metric == route.metric;
            let foreign = |other: &&Route| other.protocol != PROTOCOL || other.is_joined();
            // In IPv6 a source-specific route is no obstacle to the kernel, but one to those who read the table.
            if situation.routes.iter().filter(foreign).any(|r| same(&r)) {
                self.report(route.table, route.metric);
            } else if !(situation.family == Family::V6 && route.metric == Metric(0)
                || main_v6 && route.metric == IPV6_USUAL
                || self.routes.iter().any(|r| same(&r)))
            {
                break;
            }
            route.metric = next(route.metric)?;
        }
        let metric = route.metric;
        // There is room for three a hop.
        self.routes.push(route).ok().map(|()| metric)
    }

    fn report(&mut self, table: u32, metric: Metric) {
        let taken = Taken { table, metric };
        if !self.taken.contains(&taken) {
            let _ = self.taken.push(taken); // those that fit tell enough
        }
    }

    /// The rules: first those that others need before them, last the one that leads to the others.
    fn rules(&mut self, situation: &Situation<'_>) {
        let globals = &situation.config.globals;
        let first = globals.rule_pref;
        if !situation.looks_up_before(TABLE_LOCAL, first) {
            let verdict = RuleVerdict::Lookup(TABLE_LOCAL);
            self.add_rule(situation, first.saturating_sub(1), Selector::All, verdict);
        }
        if !situation.ends_at_once() {
            let specific = RuleVerdict::LookupSpecific(TABLE_MAIN);
            self.add_rule(situation, first + pref::SPECIFIC, Selector::All, specific);
        }
        for (hop, provider, uplink) in situation.hops() {
            self.gateway_rule(situation, provider, uplink);
            if !hop.usable {
                continue;
            }
            if let Some(mark) = provider.mark {
                self.add_mark_rule(situation, pref::MARK, hop.slot, mark);
            }
            if !situation.yields {
                self.resolver_rules(situation, hop.slot);
            }
        }
        self.connection_rules(situation);
        self.source_rules(situation);
        for (provider, uplink) in situation.paths() {
            let slot = provider.slot;
            let table = situation.tables.of(slot).unwrap_or(globals.table);
            let selector = Selector::Oif(uplink.device.clone());
            self.add_provider_rule(situation, pref::OIF, slot, selector, table);
        }
        if situation.family == Family::V6 {
            self.prefix_rules(situation);
        }
        self.last_rules(situation);
    }

    /// The resolvers of a provider that is usable are asked through it, but not past a manual default: that may be a tunnel,
    /// and none of its questions is to be seen outside. Without a policy table a provider has no rule for them.
    fn resolver_rules(&mut self, situation: &Situation<'_>, slot: Slot) {
        let Some(table) = situation.tables.of(slot) else {
            return;
        };
        for (of, resolver) in situation.resolvers {
            if *of == slot && fits(situation.family, *resolver) {
                let to = Selector::OwnTo(only(*resolver));
                self.add_provider_rule(situation, pref::RESOLVER, slot, to, table);
            }
        }
    }

    /// Hosts with addresses of a provider leave by it, as long as it works and is not billed by volume. A prefix that
    /// several providers have is the best one's.
    fn prefix_rules(&mut self, situation: &Situation<'_>) {
        let hops = situation.hops().filter(|(hop, ..)| hop.usable);
        for (hop, ..) in hops.filter(|(_, provider, _)| !provider.metered) {
            let Some(table) = situation.tables.of(hop.slot) else {
                continue;
            };
            let pref = pref::PREFIX + u32::from(hop.slot.0) * PREFIXES_APART;
            for (slot, prefix) in situation.delegated {
                let selector = Selector::From(*prefix);
                if *slot == hop.slot && !self.rules.iter().any(|rule| rule.selector == selector) {
                    self.add_rule(situation, pref, selector, RuleVerdict::Lookup(table));
                }
            }
        }
    }

    /// What chooses among our providers, and then does what would have been done without us: it stands in the way of no
    /// other program's rule, and is reached by the `goto` alone, or when `main` has no way either.
    fn last_rules(&mut self, situation: &Situation<'_>) {
        let globals = &situation.config.globals;
        let mut add = |pref, verdict| self.add_rule(situation, pref, Selector::All, verdict);
        if situation.plan.unreachable {
            add(pref::SWAP, RuleVerdict::Unreachable);
        } else if globals.table != TABLE_MAIN {
            add(pref::SWAP, RuleVerdict::Lookup(globals.table));
        }
        add(pref::MAIN, RuleVerdict::Lookup(TABLE_MAIN));
        if situation.family == Family::V4 && situation.looks_up_before(TABLE_DEFAULT, pref::ANCHOR)
        {
            add(pref::DEFAULT, RuleVerdict::Lookup(TABLE_DEFAULT));
        }
        // A `goto` that is there already leads to the others from now on.
        add(pref::ANCHOR, RuleVerdict::LookupSpecific(TABLE_MAIN));
        if !situation.yields {
            add(globals.catch_all, RuleVerdict::Goto(pref::ANCHOR));
        }
    }

    fn add_provider_rule(
        &mut self,
        situation: &Situation<'_>,
        first: u32,
        slot: Slot,
        selector: Selector,
        table: u32,
    ) {
        // From the anchor on, preferences are not counted from `rule_pref`.
        let base = match first < pref::ANCHOR {
            true => situation.config.globals.rule_pref,
            false => 0,
        };
        let pref = base + first + u32::from(slot.0);
        self.add_rule(situation, pref, selector, RuleVerdict::Lookup(table));
    }

    /// A provider without a policy table has no rule for marks.
    fn add_mark_rule(&mut self, situation: &Situation<'_>, first: u32, slot: Slot, mark: Mark) {
        if let Some(table) = situation.tables.of(slot) {
            self.add_provider_rule(situation, first, slot, Selector::Mark(mark), table);
        }
    }

    fn add_rule(
        &mut self,
        situation: &Situation<'_>,
        pref: u32,
        selector: Selector,
        verdict: RuleVerdict,
    ) {
        let rule = Rule {
            family: situation.family,
            pref,
            protocol: PROTOCOL,
            selector,
            verdict,
        };
        let _ = self.rules.push(rule); // there is room for all of them: see its limit
    }
}

impl<'a> Situation<'a> {
    /// The hops of the plan that can have a route, best first. The plan may be older than the uplinks.
    fn hops(&self) -> impl Iterator<Item = (RankedPath, &'a Provider, &'a Uplink)> {
        self.plan.order.iter().filter_map(|&hop| {
            let provider = self.config.at(hop.slot).filter(|p| p.enabled)?;
            let uplink = (self.uplink)(hop.slot)?;
            leads(self.family, uplink).then_some((hop, provider, uplink))
        })
    }

    /// The paths that are no hops because the kernel refuses their route.
    fn refused(&self) -> impl Iterator<Item = (&'a Provider, &'a Uplink)> {
        self.paths().filter(|(provider, uplink)| {
            let mut order = self.plan.order.iter();
            uplink.refused
                && leads(self.family, uplink)
                && !order.any(|hop| hop.slot == provider.slot)
        })
    }

    /// The enabled providers whose device is known and their own, whether they can have a route or not.
    fn paths(&self) -> impl Iterator<Item = (&'a Provider, &'a Uplink)> {
        self.config.enabled().filter_map(|provider| {
            let uplink = (self.uplink)(provider.slot)?;
            (!uplink.device.is_empty() && !uplink.is_taken()).then_some((provider, uplink))
        })
    }

    /// Whether the look-up of our first rule would end at a default route that refuses, as no path has one to stand before it.
    /// Nothing of ours leads anywhere then, and rules of others must be reached.
    fn ends_at_once(&self) -> bool {
        let effect = error_effect(self.routes, self.family, &self.config.globals);
        matches!(effect, Some((_, ErrorEffect::Passed))) && self.hops().next().is_none()
    }

    /// Whether another's rule for all packets looks a table of the kernel's up, before this preference.
    fn looks_up_before(&self, table: u32, pref: u32) -> bool {
        let verdict = RuleVerdict::Lookup(table);
        self.rules.iter().any(|rule| {
            rule.is_foreign(self.family) && rule.pref < pref && rule.is_for_all(verdict)
        })
    }
}

/// The lowest metric in this table of a default route that is not ours and wins over the best of ours, at `best`.
pub fn overridden_by(routes: &[Route], family: Family, table: u32, best: Metric) -> Option<Metric> {
    let other = best_of_others(routes, family, table)?.metric;
    (other < best).then_some(other)
}

/// The default route of ours that a look-up in this table takes.
pub fn best_of_ours(routes: &[Route], family: Family, table: u32) -> Option<&Route> {
    best_default(routes, family, table, &|r| r.protocol == PROTOCOL)
}

/// The foreign default route that a look-up in this table takes.
pub fn best_of_others(routes: &[Route], family: Family, table: u32) -> Option<&Route> {
    best_default(routes, family, table, &|r| r.protocol != PROTOCOL)
}

/// The best of some default routes of a table. Those for packets from one prefix only (IPv6) do not count.
#[inline(never)] // one for all callers
fn best_default<'a>(
    routes: &'a [Route],
    family: Family,
    table: u32,
    of: &dyn Fn(&Route) -> bool,
) -> Option<&'a Route> {
    let default = everywhere(family);
    let mut best: Option<&Route> = None;
    for route in routes {
        if best.is_none_or(|best| route.metric < best.metric)
            && route.table == table
            && route.destination == default
            && route.from.is_none()
            && route.kind != RouteKind::Hop
            && of(route)
        {
            best = Some(route);
        }
    }
    best
}

/// 0.0.0.0/0 or ::/0
pub fn everywhere(family: Family) -> Prefix {
    match family {
        Family::V4 => Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        Family::V6 => Prefix::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    }
}

fn default_route(family: Family, table: u32, metric: Metric, uplink: &Uplink) -> Route {
    let gateway = uplink.gateway.filter(|_| !uplink.direct);
    Route {
        table,
        destination: everywhere(family),
        metric,
        protocol: PROTOCOL,
        kind: RouteKind::Unicast,
        device: uplink.index,
        gateway,
        // Else in IPv6 the kernel chooses among the device's addresses by rules of its own (RFC 6724), and should.
        source: uplink.address.filter(|_| uplink.sourced),
        onlink: uplink.onlink && gateway.is_some(), // the kernel refuses the flag without a gateway
        from: None,
        extras: uplink.extras.copied(),
    }
}

/// Whether a default route can lead through this uplink.
fn leads(family: Family, uplink: &Uplink) -> bool {
    // IPv4 also goes by way of IPv6 routers (RFC 8950).
    let fits = |g: IpAddr| family == Family::V4 || g.is_ipv6();
    let gateway = uplink.gateway.is_some_and(fits);
    uplink.routable && uplink.index != 0 && (uplink.direct || gateway)
}

/// What a policy table leads to without its gateway: the network that the configuration names, but not everything; else the
/// gateway alone. The connected networks are in `main`, which is looked up before. Where one is not (an IPv6 prefix that
/// is not on the link, an address with `noprefixroute`), its hosts are reached by the gateway.
fn on_link(family: Family, provider: &Provider, default: &Route) -> Option<Prefix> {
    let gateway = || {
        let told = default.gateway.filter(|_| !default.onlink);
        told.filter(|gateway| fits(family, *gateway)).map(only)
    };
    match provider.network[family] {
        Some(network) => Some(network_of(network)).filter(|network| network.prefix_len() != 0),
        None => gateway(),
    }
}

/// Whether a rule can tell a path by this address: link-local ones are the same on every device.
fn fits(family: Family, address: IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(a) if a.is_unicast_link_local());
    Family::of(address) == family && !link_local
}

/// The prefix of one address alone.
fn only(address: IpAddr) -> Prefix {
    Prefix::new(address.into(), if address.is_ipv4() { 32 } else { 128 })
}

fn next(metric: Metric) -> Option<Metric> {
    metric.0.checked_add(1).map(Metric)
}
