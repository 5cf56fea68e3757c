//! Events → the mirror: what has come, what is gone, and what follows from that without an event of its own.

use super::interest::{Class, Watched};
use super::*;

impl Mirror {
    pub(super) fn take_in(&mut self, mut news: News) -> Kinds {
        if let News::Is(object) | News::Replaces(object) | News::Gone(object) = &mut news {
            self.number_extras(object);
        }
        match news {
            News::Is(Object::Link(link)) | News::Replaces(Object::Link(link)) => self.link_is(link),
            News::Is(Object::Address(address)) | News::Replaces(Object::Address(address)) => {
                self.record_address(&address)
            }
            News::Is(Object::Rule(rule)) | News::Replaces(Object::Rule(rule)) => {
                self.record_rule(rule)
            }
            News::Is(Object::Route(route, aside)) => self.route_is(&route, aside.nexthop),
            News::Replaces(Object::Route(route, aside)) => {
                self.route_replaces(&route, aside.nexthop)
            }
            News::Gone(Object::Link(link)) => self.link_gone(link.index),
            News::Gone(Object::Address(address)) => self.address_gone(&address),
            News::Gone(Object::Route(route, _)) => self.route_gone(&route),
            News::Gone(Object::Rule(rule)) => self.rule_gone(&rule),
            News::Nexthops => {
                self.needs.add(self.nexthops);
                Kinds::NONE
            }
            News::Parameters => {
                let any = self.routes().iter().any(is_advertised);
                self.needs.add(Kinds::ROUTES_V6.when(any));
                Kinds::NONE
            }
        }
    }

    fn link_is(&mut self, link: Link) -> Kinds {
        let (index, up, carrier) = (link.index, link.up, link.carrier);
        let mut changed = self.record_link(link);
        // The kernel deletes nexthop objects with the carrier, and IPv4 routes by them without an event (nexthop.c:
        // nh_netdev_event).
        let lost = !carrier && changed.has(Kinds::LINKS);
        self.needs.add(self.nexthops.when(lost));
        if !up {
            changed.add(Kinds::ADDRESSES.when(self.forget_withdrawn(index)));
            changed.add(self.device_lost_routes(index, Kinds::ROUTES));
        }
        changed
    }

    fn link_gone(&mut self, index: u32) -> Kinds {
        let known = self.links.remove(&|link| link.index == index);
        self.interest.forget(index);
        if !known {
            self.unknown_gone(Kinds::LINKS);
        }
        let mut changed = Kinds::LINKS.when(known);
        let addresses = self.addresses.remove(&|address| address.device == index);
        changed.add(Kinds::ADDRESSES.when(addresses));
        changed.add(self.device_lost_routes(index, Kinds::ROUTES));
        changed
    }

    fn address_gone(&mut self, gone: &Address) -> Kinds {
        let is_general = self.interest.is_general();
        if self.leaves_out(gone) || !is_general && !self.interest.is_near(gone) {
            return self.other_address_gone(gone);
        }
        if gone.state == AddressState::Withdrawn {
            return self.record_address(gone);
        }
        let known = self.addresses.remove(&|old| old.is_same(gone));
        if !known {
            self.unknown_gone(Kinds::ADDRESSES);
        }
        let mut changed = Kinds::ADDRESSES.when(known);
        // Routes with the address as their source go, stay or lose it, by family, table and kernel version.
        let address = gone.ip();
        if self
            .routes()
            .iter()
            .any(|route| route.source == Some(address))
        {
            self.needs.add(Kinds::routes(gone.family()));
        }
        // An IPv4 device without an address has no IPv4 (fib_frontend.c: fib_inetaddr_event); IPv6 tells.
        let last = gone.family() == Family::V4
            && !self
                .addresses()
                .iter()
                .any(|old| old.device == gone.device && old.family() == Family::V4);
        if last {
            changed.add(self.device_lost_routes(gone.device, Kinds::ROUTES_V4));
        }
        changed
    }

    /// An address of a device of which not all are held: only a dump tells what became of its routes.
    fn other_address_gone(&mut self, gone: &Address) -> Kinds {
        let address = gone.ip();
        let kind = Kinds::routes(gone.family());
        let lost = |route: &Route| route.device == gone.device || route.source == Some(address);
        let any = self.routes().iter().any(|r| r.kind() == kind && lost(r));
        self.needs.add(kind.when(any));
        let known = self.addresses.remove(&|old| old.is_same(gone));
        self.needs.add(self.few.and(Kinds::ADDRESSES.when(known)));
        if !known && gone.class(&self.interest) > Class::Other {
            self.unknown_gone(Kinds::ADDRESSES);
        }
        Kinds::ADDRESSES.when(known)
    }

    /// A device went down, or away: its routes of these kinds are gone, told or not (fib_semantics.c:
    /// fib_sync_down_dev; in IPv6 sysctl skip_notify_on_dev_down).
    fn device_lost_routes(&mut self, device: u32, kinds: Kinds) -> Kinds {
        let lost = |route: &Route| route.device == device && device != 0;
        let mut changed = Kinds::NONE;
        for kind in [Kinds::ROUTES_V4, Kinds::ROUTES_V6] {
            let of_kind = |route: &Route| Kinds::routes(family(route)) == kind;
            if !kinds.has(kind) {
                continue;
            }
            let removed = self.routes.remove(&|route| of_kind(route) && lost(route));
            let multipath = self
                .routes()
                .iter()
                .any(|route| of_kind(route) && route.has_hops());
            changed.add(kind.when(removed));
            self.needs.add(kind.when(removed || multipath));
        }
        changed
    }

    fn route_is(&mut self, route: &Route, nexthop: bool) -> Kinds {
        // An IPv6 sibling joins: the event shows the whole, and the mirror has the part.
        let joined = family(route) == Family::V6
            && self.routes().iter().any(|old| {
                old.has_key_of(route)
                    && old != route
                    && (old.kind == RouteKind::Multipath || route.kind == RouteKind::Multipath)
            });
        self.needs.add(Kinds::ROUTES_V6.when(joined));
        // Among IPv4 routes of one key, it may be the first or the last.
        let beside = |old: &Route| old.has_key_of(route) && old != route;
        let second = family(route) == Family::V4
            && route.protocol != PROTOCOL
            && self.routes().iter().any(beside);
        // The event of a new one comes before its metrics are set.
        let unsure = second || self.lacks_metrics(route, route) || self.leads_by_hops(route);
        self.needs.add(route.kind().when(unsure));
        self.record_route(route, nexthop)
    }

    /// Whether a dump must show the metrics of an advertised route by the device of `best`, where that is or was the best.
    fn lacks_metrics(&self, best: &Route, advertised: &Route) -> bool {
        let better = |old: &Route| {
            old.device == best.device
                && old.protocol != PROTOCOL
                && family(old) == Family::V6
                && preference(old) < preference(best)
        };
        advertised.kind() == best.kind()
            && advertised.device == best.device
            && is_advertised(advertised)
            && !self.routes().iter().any(better)
    }

    /// Whether a dump must show the ways of a route.
    fn leads_by_hops(&self, route: &Route) -> bool {
        let leaves_out = !self.interest.is_general() && route.class(&self.interest) == Class::Other;
        route.has_hops() && route.protocol != PROTOCOL && is_default(route) && !leaves_out
    }

    fn route_replaces(&mut self, route: &Route, nexthop: bool) -> Kinds {
        let kind = route.kind();
        let candidates = self
            .routes()
            .iter()
            .filter(|old| old.has_key_of(route) && old.kind != RouteKind::Hop)
            .count();
        // The key alone does not tell which of several was replaced. Where a dump must show the ways, those that are known
        // are more likely right than none.
        let by_hops = self.leads_by_hops(route);
        if candidates != 1 || by_hops {
            self.needs.add(kind.when(candidates > 1 || by_hops));
            return self.route_is(route, nexthop);
        }
        let unchanged = self.routes().contains(route);
        // It may have been one that looks alike, or, to a network, a foreign one that the mirror does not hold.
        let unsure = self.twins.has(kind) || (!is_default(route) && !unchanged);
        self.needs.add(kind.when(unsure));
        if !unchanged {
            self.needs.add(self.few.and(kind));
            self.routes.remove(&|old| old.has_key_of(route));
            self.record_route(route, nexthop);
        }
        kind.when(!unchanged)
    }

    fn route_gone(&mut self, gone: &Route) -> Kinds {
        let kind = Kinds::routes(family(gone));
        if self.routes.remove(&|old| old == gone) {
            let hop = |old: &Route| old.kind == RouteKind::Hop && old.has_key_of(gone);
            let hops = gone.has_hops() && self.routes.remove(&hop);
            let mut others = self.routes().iter();
            let next = others.any(|other| self.lacks_metrics(gone, other));
            self.needs
                .add(kind.when(hops || next || self.twins.has(kind)));
            let one_of_few = gone.few_suffice(&self.interest);
            self.needs.add(self.few.and(kind.when(one_of_few)));
            return kind;
        }
        // Part of a multipath route, or a route that the mirror knows otherwise.
        let like = self
            .routes()
            .iter()
            .any(|old| old.has_key_of(gone) && (old.device == gone.device || old.has_hops()));
        self.needs.add(kind.when(like));
        if relevant(gone) {
            self.unknown_gone(kind);
        }
        Kinds::NONE
    }

    fn rule_gone(&mut self, gone: &Rule) -> Kinds {
        if self.leaves_out(gone) {
            return Kinds::NONE;
        }
        // Different foreign rules may look alike here.
        let vague = gone.selector == Selector::Foreign || gone.verdict == RuleVerdict::Foreign;
        let unsure = vague || self.twins.has(Kinds::RULES);
        self.needs.add(Kinds::RULES.when(unsure));
        let known = self.rules.remove(&|rule| rule == gone);
        if !known {
            self.unknown_gone(Kinds::RULES);
        }
        Kinds::RULES.when(known)
    }
}
