//! What events and dumps make of the mirror.

use super::*;
use crate::config::DeviceName;
use crate::net::Metric;

fn link(index: u32, up: bool) -> Link {
    Link {
        index,
        name: DeviceName::try_from(["lo", "eth1", "eth2"][index as usize]).unwrap(),
        up,
        carrier: up,
        point_to_point: false,
    }
}

fn address(device: u32, prefix: &str) -> Address {
    Address {
        device,
        prefix: prefix.parse().unwrap(),
        peer: None,
        usable: true,
        secondary: false,
    }
}

/// A foreign default route.
fn route(gateway: &str, device: u32, metric: u32) -> Route {
    let gateway: core::net::IpAddr = gateway.parse().unwrap();
    let everything = if gateway.is_ipv4() {
        "0.0.0.0/0"
    } else {
        "::/0"
    };
    Route {
        table: 254,
        destination: everything.parse().unwrap(),
        metric: Metric(metric),
        protocol: 4,
        kind: RouteKind::Unicast,
        device,
        gateway: Some(gateway),
        source: None,
        onlink: false,
        from: None,
    }
}

fn is(route: &Route) -> News {
    News::Is(Object::Route(*route, false))
}

fn replaces(route: &Route) -> News {
    News::Replaces(Object::Route(*route, false))
}

fn gone(route: &Route) -> News {
    News::Gone(Object::Route(*route, false))
}

fn rule(pref: u32, protocol: u8) -> Rule {
    Rule {
        family: Family::V4,
        pref,
        protocol,
        selector: Selector::All,
        verdict: RuleVerdict::Lookup(176),
    }
}

/// On the heap: a mirror is far too large for a test's stack.
fn mirror(news: &[News]) -> Box<Mirror> {
    let mut mirror = Box::new(Mirror::new());
    for news in news {
        mirror.apply(news.clone());
    }
    mirror
}

fn gateways(mirror: &Mirror) -> Vec<String> {
    let name = |route: &Route| route.gateway.map_or("-".into(), |g| g.to_string());
    let mut gateways: Vec<String> = mirror.routes().iter().map(name).collect();
    gateways.sort();
    gateways
}

#[test]
fn events_may_come_twice() {
    let first = route("192.0.2.1", 1, 100);
    let mut mirror = mirror(&[is(&first)]);
    assert_eq!(mirror.apply(is(&first)), Kinds::NONE);
    assert_eq!(mirror.apply(gone(&first)), Kinds::ROUTES_V4);
    assert_eq!(mirror.apply(gone(&first)), Kinds::NONE);
    assert_eq!(mirror.routes().iter().count(), 0);
}

#[test]
fn a_replacement_takes_the_place_of_the_same_key_only() {
    let mut mirror = mirror(&[
        is(&route("192.0.2.1", 1, 100)),
        is(&route("192.0.2.2", 1, 101)),
        is(&route("2001:db8::1", 1, 100)),
    ]);
    let changed = mirror.apply(replaces(&route("192.0.2.9", 2, 100)));
    assert_eq!(changed, Kinds::ROUTES_V4);
    assert_eq!(gateways(&mirror), ["192.0.2.2", "192.0.2.9", "2001:db8::1"]);
    assert_eq!(mirror.needs(), Kinds::NONE);
}

#[test]
fn without_the_flag_a_route_joins() {
    let mirror = mirror(&[
        is(&route("192.0.2.1", 1, 100)),
        is(&route("192.0.2.2", 1, 100)),
    ]);
    assert_eq!(gateways(&mirror), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn which_of_several_was_replaced_only_a_dump_tells() {
    let mut mirror = mirror(&[
        is(&route("192.0.2.1", 1, 100)),
        is(&route("192.0.2.2", 1, 100)),
    ]);
    mirror.apply(replaces(&route("192.0.2.3", 1, 100)));
    assert_eq!(mirror.needs(), Kinds::ROUTES_V4);
}

#[test]
fn of_routes_that_look_alike_only_a_dump_tells_which_is_left() {
    let twin = route("192.0.2.1", 1, 100);
    let mut mirror = mirror(&[]);
    mirror.begin(Kinds::ROUTES_V4);
    for _ in 0..2 {
        mirror.record(Object::Route(twin, false));
    }
    mirror.end(Kinds::ROUTES_V4, Dumped::Whole);
    assert_eq!(mirror.needs(), Kinds::NONE);
    mirror.apply(replaces(&route("192.0.2.2", 1, 100)));
    assert_eq!(mirror.needs(), Kinds::ROUTES_V4);
}

#[test]
fn a_foreign_route_that_replaces_ours_takes_it_out() {
    let mut ours = route("192.0.2.1", 1, 0);
    (ours.protocol, ours.destination) = (PROTOCOL, "198.51.100.0/24".parse().unwrap());
    let mut mirror = mirror(&[is(&ours)]);
    let foreign = Route {
        protocol: 4,
        ..ours
    };
    assert_eq!(mirror.apply(replaces(&foreign)), Kinds::ROUTES_V4);
    assert_eq!(
        mirror.routes().iter().count(),
        0,
        "and is itself of no concern"
    );
}

#[test]
fn parts_of_a_multipath_route_ask_for_a_dump() {
    let single = route("2001:db8::1", 1, 100);
    let whole = Route {
        kind: RouteKind::Multipath,
        device: 0,
        gateway: None,
        ..single
    };
    let mut joined = mirror(&[is(&single)]);
    joined.apply(is(&whole));
    assert_eq!(joined.needs(), Kinds::ROUTES_V6, "a sibling joined");
    let mut left = mirror(&[is(&whole)]);
    left.apply(gone(&single));
    assert_eq!(left.needs(), Kinds::ROUTES_V6, "a sibling left");
    let mut all_gone = mirror(&[is(&whole)]);
    all_gone.apply(gone(&whole));
    assert_eq!(all_gone.needs(), Kinds::NONE);
}

#[test]
fn a_device_that_goes_down_takes_its_routes_along_at_once() {
    let mut mirror = mirror(&[
        News::Is(Object::Link(link(1, true))),
        is(&route("192.0.2.1", 1, 100)),
        is(&route("2001:db8::1", 1, 100)),
        is(&route("192.0.2.2", 2, 101)),
    ]);
    let changed = mirror.apply(News::Is(Object::Link(link(1, false))));
    assert!(changed.has(Kinds::LINKS) && changed.has(Kinds::ROUTES_V4));
    assert_eq!(gateways(&mirror), ["192.0.2.2"]);
    assert_eq!(mirror.needs(), Kinds::ROUTES, "a dump confirms");
}

#[test]
fn a_device_that_is_gone_takes_everything_along() {
    let mut mirror = mirror(&[
        News::Is(Object::Link(link(1, true))),
        News::Is(Object::Address(address(1, "192.0.2.7/24"))),
        News::Is(Object::Address(address(2, "198.51.100.7/24"))),
        is(&route("192.0.2.1", 1, 100)),
    ]);
    mirror.apply(News::Gone(Object::Link(link(1, false))));
    assert_eq!(mirror.links().iter().count(), 0);
    assert_eq!(mirror.addresses().iter().count(), 1);
    assert_eq!(mirror.routes().iter().count(), 0);
}

#[test]
fn the_last_ipv4_address_takes_the_ipv4_routes_along() {
    let both = [address(1, "192.0.2.7/24"), address(1, "192.0.2.8/24")];
    let mut mirror = mirror(&[
        News::Is(Object::Address(both[0])),
        News::Is(Object::Address(both[1])),
        is(&route("192.0.2.1", 1, 100)),
        is(&route("2001:db8::1", 1, 100)),
    ]);
    mirror.apply(News::Gone(Object::Address(both[0])));
    assert_eq!(mirror.routes().iter().count(), 2);
    assert_eq!(mirror.needs(), Kinds::NONE);
    mirror.apply(News::Gone(Object::Address(both[1])));
    assert_eq!(gateways(&mirror), ["2001:db8::1"]);
    assert_eq!(mirror.needs(), Kinds::ROUTES_V4);
}

#[test]
fn what_becomes_of_a_route_whose_source_is_gone_only_a_dump_tells() {
    let sourced = Route {
        source: Some("192.0.2.7".parse().unwrap()),
        ..route("192.0.2.1", 1, 100)
    };
    let mut mirror = mirror(&[
        News::Is(Object::Address(address(1, "192.0.2.7/24"))),
        News::Is(Object::Address(address(1, "192.0.2.8/24"))),
        is(&sourced),
    ]);
    mirror.apply(News::Gone(Object::Address(address(1, "192.0.2.7/24"))));
    assert_eq!(mirror.routes().iter().count(), 1);
    assert_eq!(mirror.needs(), Kinds::ROUTES_V4);
}

#[test]
fn nexthop_objects_matter_only_to_those_who_use_them() {
    let first = route("192.0.2.1", 1, 100);
    let mut without = mirror(&[is(&first), News::Nexthops]);
    assert_eq!(without.needs(), Kinds::NONE);
    without.apply(News::Is(Object::Route(route("192.0.2.2", 1, 101), true)));
    without.apply(News::Nexthops);
    assert_eq!(without.needs(), Kinds::ROUTES_V4);
}

#[test]
fn a_whole_dump_replaces_the_picture_of_its_kind_only() {
    let (old, kept, v6) = (
        route("192.0.2.1", 1, 100),
        route("192.0.2.2", 1, 101),
        route("2001:db8::1", 1, 100),
    );
    let mut mirror = mirror(&[is(&old), is(&kept), is(&v6)]);
    mirror.need(Kinds::ALL);
    mirror.begin(Kinds::ROUTES_V4);
    assert_eq!(mirror.record(Object::Route(kept, false)), Kinds::NONE);
    assert_eq!(
        mirror.end(Kinds::ROUTES_V4, Dumped::Whole),
        Kinds::ROUTES_V4
    );
    assert_eq!(gateways(&mirror), ["192.0.2.2", "2001:db8::1"]);
    assert!(!mirror.needs().has(Kinds::ROUTES_V4));
    assert!(mirror.needs().has(Kinds::ROUTES_V6));
}

#[test]
fn a_dump_that_is_not_whole_takes_nothing_away() {
    let mut mirror = mirror(&[is(&route("192.0.2.1", 1, 100))]);
    mirror.need(Kinds::ROUTES_V4);
    mirror.begin(Kinds::ROUTES_V4);
    mirror.end(Kinds::ROUTES_V4, Dumped::Failed);
    assert_eq!(mirror.needs(), Kinds::ROUTES_V4, "still needed");
    mirror.begin(Kinds::ROUTES_V4);
    mirror.end(Kinds::ROUTES_V4, Dumped::InPart);
    assert_eq!(mirror.needs(), Kinds::NONE, "another would show no more");
    assert_eq!(mirror.routes().iter().count(), 1);
}

#[test]
fn more_rules_than_there_is_room_for_are_counted_and_ours_come_first() {
    let mut mirror = Box::new(Mirror::new());
    for (pref, _) in (0..).zip(0..=RULES_MAX) {
        mirror.apply(News::Is(Object::Rule(rule(pref, 4))));
    }
    assert_eq!(mirror.rules().iter().count(), RULES_MAX);
    assert_eq!(mirror.counters.overflows, 1);
    mirror.apply(News::Is(Object::Rule(rule(17600, PROTOCOL))));
    assert_eq!(mirror.counters.overflows, 2);
    assert!(mirror.rules().iter().any(|rule| rule.pref == 17600));
}
