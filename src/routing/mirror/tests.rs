//! What events and dumps make of the mirror.

use super::*;
use crate::routing::objects::NameHash;
use crate::types::{DeviceName, Metric};

fn link(index: u32, up: bool) -> Link {
    Link {
        index,
        name: DeviceName::try_from(["lo", "eth1", "eth2"][index as usize]).unwrap(),
        altnames: heapless::Vec::new(),
        up,
        carrier: up,
        point_to_point: false,
        ethernet: true,
    }
}

fn address(device: u32, prefix: &str) -> Address {
    Address {
        device,
        prefix: prefix.parse().unwrap(),
        peer: None,
        near: false,
        state: AddressState::Preferred,
        secondary: false,
    }
}

/// A foreign default route.
fn route(gateway: &str, device: u32, metric: u32) -> Route {
    let gateway: IpAddr = gateway.parse().unwrap();
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
        extras: Extras::default(),
    }
}

fn is(route: &Route) -> News {
    News::Is(Object::Route(*route, Aside::default()))
}

fn replaces(route: &Route) -> News {
    News::Replaces(Object::Route(*route, Aside::default()))
}

fn gone(route: &Route) -> News {
    News::Gone(Object::Route(*route, Aside::default()))
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
        mirror.record(Object::Route(twin, Aside::default()));
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
}

/// An event has the whole, a dump also each way: what is known of the ways holds until then, and goes with the whole.
#[test]
fn the_ways_of_a_multipath_route_are_known_by_dumps() {
    let single = route("192.0.2.1", 1, 100);
    let whole = Route {
        kind: RouteKind::Multipath,
        device: 0,
        gateway: None,
        ..single
    };
    let hop = Route {
        kind: RouteKind::Hop,
        ..single
    };
    let mut replaced = mirror(&[is(&single)]);
    replaced.apply(replaces(&whole));
    assert_eq!(replaced.needs(), Kinds::ROUTES_V4);
    assert_eq!(gateways(&replaced), ["-", "192.0.2.1"], "until the dump");
    let shown = |mirror: &mut Mirror, routes: &[Route]| {
        mirror.begin(Kinds::ROUTES_V4);
        for route in routes {
            mirror.record(Object::Route(*route, Aside::default()));
        }
        mirror.end(Kinds::ROUTES_V4, Dumped::Whole)
    };
    shown(&mut replaced, &[whole, hop]);
    assert_eq!(replaced.routes(), [whole, hop]);
    assert_eq!(replaced.needs(), Kinds::NONE);
    replaced.apply(replaces(&whole));
    assert_eq!(replaced.needs(), Kinds::ROUTES_V4, "other ways, perhaps");
    shown(&mut replaced, &[whole, hop]);
    replaced.apply(replaces(&single));
    assert_eq!(replaced.routes(), [single]);
    shown(&mut replaced, &[whole, hop]);
    replaced.apply(gone(&whole));
    assert_eq!(replaced.routes(), []);
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
    let by_nexthop = Aside {
        nexthop: true,
        ..Aside::default()
    };
    without.apply(News::Is(Object::Route(
        route("192.0.2.2", 1, 101),
        by_nexthop,
    )));
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
    assert_eq!(
        mirror.record(Object::Route(kept, Aside::default())),
        Kinds::NONE
    );
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

/// What a provider on `eth1` and one on `eth2` name.
fn named() -> Vec<Named> {
    named_with(176)
}

/// The same with another swap table.
fn named_with(table: u32) -> Vec<Named> {
    let device = |name: &str| Named::Device(name.try_into().unwrap());
    vec![Named::Table(table), device("eth1"), device("eth2")]
}

fn watch(mirror: &mut Mirror, named: &[Named]) -> bool {
    mirror.watch(&|name| named.iter().cloned().for_each(name))
}

/// A mirror that watches for them; they exist, as number 1 and 2.
fn watching() -> Box<Mirror> {
    let mut mirror = Box::new(Mirror::new());
    assert!(!watch(&mut mirror, &named()));
    for index in 0..3 {
        mirror.apply(News::Is(Object::Link(link(index, true))));
    }
    mirror
}

/// One of the many default routes in `main` by a device that is no provider's.
fn of_another(number: u32) -> Route {
    route("198.51.100.1", 9, 10_000 + number)
}

/// A default route in a table that no provider uses.
fn elsewhere(number: u32) -> Route {
    Route {
        table: 1_000_000 + number,
        ..route("198.51.100.1", 9, 5)
    }
}

/// The default route of one of many routers on one link.
fn advertised(device: u32, number: u16) -> Route {
    let gateway = std::format!("fe80::{number:x}");
    Route {
        protocol: 9,
        ..route(&gateway, device, 1024)
    }
}

/// Dumps IPv4 and IPv6 routes until nothing more is needed, as requests do; how often.
fn dump(mirror: &mut Mirror, kernel: &[Route]) -> usize {
    let mut dumps = 0;
    for kind in [Kinds::ROUTES_V4, Kinds::ROUTES_V6] {
        mirror.need(kind);
        while mirror.needs().has(kind) {
            dumps += 1;
            assert!(dumps < 10, "it never ends");
            mirror.begin(kind);
            for route in kernel.iter().filter(|r| Kinds::routes(family(r)) == kind) {
                mirror.record(Object::Route(*route, Aside::default()));
            }
            mirror.end(kind, Dumped::Whole);
        }
    }
    dumps
}

/// Tells by events that these exist.
fn tell(mirror: &mut Mirror, routes: &[Route]) {
    for route in routes {
        mirror.apply(is(route));
    }
}

fn has_all(mirror: &Mirror, routes: &[Route]) -> bool {
    routes.iter().all(|route| mirror.routes().contains(route))
}

/// What we have, what stands at our places, and what tells of the uplinks.
fn what_concerns_us(table: u32) -> [Route; 5] {
    let mut ours = route("192.0.2.1", 1, 100);
    (ours.protocol, ours.table) = (PROTOCOL, table);
    let mut theirs = route("198.51.100.1", 9, 101);
    theirs.table = table;
    let mut policy = route("198.51.100.1", 9, 1);
    policy.table = 17602;
    [
        ours,
        theirs,
        policy,
        route("192.0.2.1", 1, 5000),
        route("2001:db8::1", 2, 5000),
    ]
}

#[test]
fn what_concerns_us_has_room_whenever_it_comes() {
    let others: Vec<Route> = (0..1500).map(of_another).collect();
    let concerns = what_concerns_us(176);
    // Before the others, behind them, and in their midst; by events and by a dump.
    for place in [0, 700, 1500] {
        let mut kernel = others.clone();
        kernel.splice(place..place, concerns);
        let mut told = watching();
        tell(&mut told, &kernel);
        assert!(has_all(&told, &concerns), "events, {place}");
        let mut dumped = watching();
        dump(&mut dumped, &kernel);
        assert!(has_all(&dumped, &concerns), "dump, {place}");
        assert_eq!(
            usize::from(dumped.missing(Kinds::ROUTES)),
            1505 - ROUTES_MAX
        );
        assert!(
            !dumped.is_unsure(Kinds::uplinks(Family::V4)),
            "they are all there"
        );
        // The next dump shows others first: what it has not shown yet is kept.
        kernel.rotate_left(place + 5);
        dump(&mut told, &kernel);
        assert!(has_all(&told, &concerns), "both, {place}");
    }
}

#[test]
fn nothing_that_concerns_us_is_gone_for_one_moment_of_a_dump() {
    let concerns = what_concerns_us(176);
    let mut mirror = watching();
    let mut kernel: Vec<Route> = (0..1500).map(of_another).collect();
    kernel.splice(0..0, concerns);
    dump(&mut mirror, &kernel);
    mirror.begin(Kinds::ROUTES_V4);
    for number in 5000..7000 {
        mirror.record(Object::Route(of_another(number), Aside::default()));
        assert!(has_all(&mirror, &concerns));
    }
    mirror.end(Kinds::ROUTES_V4, Dumped::Failed);
    assert!(has_all(&mirror, &concerns));
    assert_eq!(mirror.lacks(), Kinds::ROUTES_V4, "as before");
}

#[test]
fn many_routers_on_one_link_are_at_the_expense_of_no_other_and_the_best_is_known() {
    // Of equal ones, the first.
    let best = advertised(1, 1500);
    // With a swap table of its own, and in `main`.
    for (dumped, table) in [(false, 176), (true, 176), (false, 254), (true, 254)] {
        let concerns = what_concerns_us(table);
        let mut kernel: Vec<Route> = (1..=1500).rev().map(|n| advertised(1, n)).collect();
        kernel.splice(0..0, concerns);
        let mut mirror = watching();
        watch(&mut mirror, &named_with(table));
        if dumped {
            dump(&mut mirror, &kernel);
        } else {
            tell(&mut mirror, &kernel);
        }
        assert!(has_all(&mirror, &concerns) && has_all(&mirror, &[best]));
        // Another provider's come when there is no room any more.
        let late = [advertised(2, 7), advertised(2, 9)];
        tell(&mut mirror, &late);
        assert!(has_all(&mirror, &concerns) && has_all(&mirror, &late));
        // When the best has gone, one of those that are not known may be the best of all.
        dump(&mut mirror, &[&kernel[..], &late].concat());
        assert!(!mirror.is_unsure(Kinds::uplinks(Family::V6)));
        assert!(!mirror.is_unsure(Kinds::uplinks(Family::V4)));
        mirror.apply(gone(&best));
        assert!(mirror.needs().has(Kinds::ROUTES_V6));
        assert!(mirror.is_unsure(Kinds::uplinks(Family::V6)));
    }
}

#[test]
fn as_soon_as_there_is_room_for_all_a_dump_is_asked_for() {
    let mut kernel: Vec<Route> = (0..1100).map(of_another).collect();
    let mut mirror = watching();
    tell(&mut mirror, &kernel);
    let needs = mirror.needs();
    assert!(needs.has(Kinds::ROUTES_V4), "to know how many there are");
    assert!(needs.has(Kinds::LINKS), "to know by which device they lead");
    mirror.begin(Kinds::LINKS);
    for index in 0..3 {
        mirror.record(Object::Link(link(index, true)));
    }
    mirror.end(Kinds::LINKS, Dumped::Whole);
    assert_eq!(dump(&mut mirror, &kernel), 2, "one for each family");
    assert_eq!(
        usize::from(mirror.missing(Kinds::ROUTES)),
        1100 - ROUTES_MAX
    );
    while kernel.len() > ROUTES_MAX {
        // What is not known may be better than what has gone.
        dump(&mut mirror, &kernel);
        assert!(!mirror.lacks().is_empty(), "{} are left", kernel.len());
        // Of both sorts in turn: those that are known, and those that are not.
        let place = kernel.len() % 2 * (kernel.len() - 1);
        mirror.apply(gone(&kernel.remove(place)));
    }
    assert_eq!(mirror.needs(), Kinds::ROUTES_V4);
    dump(&mut mirror, &kernel);
    assert_eq!(
        (mirror.lacks(), mirror.missing(Kinds::ALL)),
        (Kinds::NONE, 0)
    );
    assert!(has_all(&mirror, &kernel));
}

#[test]
fn what_went_during_a_dump_makes_room_in_the_next() {
    let mut mirror = watching();
    let old: Vec<Route> = (0..1024).map(of_another).collect();
    dump(&mut mirror, &old);
    let new: Vec<Route> = (2000..3000).map(of_another).collect();
    dump(&mut mirror, &new);
    assert!(has_all(&mirror, &new));
    assert_eq!((mirror.lacks(), mirror.routes().len()), (Kinds::NONE, 1000));
}

#[test]
fn the_providers_devices_and_addresses_have_room() {
    let mut mirror = watching();
    let other = |index: u32| Link {
        index,
        name: std::format!("veth{index}").as_str().try_into().unwrap(),
        ..link(0, true)
    };
    for index in 10..600 {
        mirror.apply(News::Is(Object::Link(other(index))));
        let second = std::format!("198.51.100.{}/32", index % 250);
        mirror.apply(News::Is(Object::Address(address(index, &second))));
        mirror.apply(News::Is(Object::Address(address(
            2,
            &std::format!("2001:db8::{index}/128"),
        ))));
    }
    assert_eq!(mirror.lacks(), Kinds::ADDRESSES, "one has many");
    assert_eq!(mirror.links().len(), 2, "those of others take no place");
    let own = address(1, "192.0.2.7/24");
    mirror.apply(News::Is(Object::Address(own)));
    assert!(mirror.addresses().contains(&own));
    // Of the many that one has, the ones with a network, and the one in use.
    let mut used = named();
    used.push(Named::Address("2001:db8::fff".parse().unwrap()));
    watch(&mut mirror, &used);
    for wide in ["2001:db8:7::1/64", "2001:db8::fff/128"] {
        let wide = address(2, wide);
        mirror.apply(News::Is(Object::Address(wide)));
        assert!(mirror.addresses().contains(&wide));
    }
    // A device that gets a provider's name, and one that gets one when there is no room left.
    mirror.apply(News::Gone(Object::Link(link(1, true))));
    mirror.apply(News::Is(Object::Link(other(700))));
    assert_eq!(mirror.links().len(), 1);
    for index in [20, 701] {
        let renamed = Link {
            name: "eth1".try_into().unwrap(),
            ..other(index)
        };
        mirror.apply(News::Is(Object::Link(renamed)));
        assert_eq!(
            mirror.link_named("eth1").map(|link| link.index),
            Some(index)
        );
        mirror.apply(News::Is(Object::Link(other(index))));
    }
}

/// What a router has that serves a thousand others.
fn crowd() -> Vec<Object> {
    let mut crowd = Vec::new();
    for number in 0..1500_u32 {
        let index = 1000 + number;
        crowd.push(Object::Link(Link {
            index,
            name: std::format!("veth{number}").as_str().try_into().unwrap(),
            ..link(0, true)
        }));
        crowd.push(Object::Route(elsewhere(number), Aside::default()));
        crowd.push(Object::Rule(Rule {
            selector: Selector::From("198.51.100.7/32".parse().unwrap()),
            ..rule(number, 4)
        }));
    }
    crowd
}

/// The addresses of its devices.
fn crowded_addresses() -> Vec<Object> {
    let of = |number: u32| {
        let local = std::format!("fe80::{number:x}/64");
        let other = std::format!("198.51.100.{}/32", number % 250);
        let both = [local, other].map(|own| Object::Address(address(1000 + number, &own)));
        both.into_iter()
    };
    (0..1500).flat_map(of).collect()
}

fn sizes(mirror: &Mirror) -> [usize; 4] {
    [
        mirror.links().len(),
        mirror.addresses().len(),
        mirror.routes().len(),
        mirror.rules().len(),
    ]
}

#[test]
fn what_does_not_concern_us_takes_no_place_and_asks_for_nothing() {
    let mut mirror = watching();
    for own in ["192.0.2.7/24", "fe80::7/64"] {
        mirror.apply(News::Is(Object::Address(address(1, own))));
    }
    let before = sizes(&mirror);
    let needs = mirror.needs();
    for object in crowd() {
        assert_eq!(mirror.apply(News::Is(object)), Kinds::NONE);
    }
    assert_eq!((sizes(&mirror), mirror.needs()), (before, needs));
    for kind in Kinds::EACH {
        mirror.begin(kind);
        for object in crowd() {
            mirror.record(object);
        }
        mirror.end(kind, Dumped::InPart);
    }
    for object in crowd() {
        assert_eq!(mirror.apply(News::Gone(object)), Kinds::NONE);
    }
    assert_eq!((sizes(&mirror), mirror.needs()), (before, Kinds::NONE));
    assert_eq!(
        (mirror.lacks(), mirror.counters),
        (Kinds::NONE, Counters::default())
    );
}

/// The kernel deletes such an address at once, and says why then only.
#[test]
fn an_address_that_is_withdrawn_as_a_duplicate_is_known_until_there_is_another() {
    let in_state = |state, prefix| Address {
        state,
        ..address(1, prefix)
    };
    let withdrawn = in_state(AddressState::Withdrawn, "2001:db8::1/64");
    let gone = News::Gone(Object::Address(withdrawn));
    let failed = || {
        let mut mirror = watching();
        let tentative = in_state(AddressState::Tentative, "2001:db8::1/64");
        mirror.apply(News::Is(Object::Address(tentative)));
        assert_eq!(mirror.apply(gone.clone()), Kinds::ADDRESSES);
        assert_eq!(mirror.addresses(), [withdrawn]);
        mirror
    };
    let mut mirror = failed();
    let other = address(1, "2001:db8::2/64");
    mirror.apply(News::Is(Object::Address(other)));
    assert_eq!(mirror.addresses(), [other]);
    let mut mirror = failed();
    mirror.apply(News::Is(Object::Link(link(1, false))));
    assert!(mirror.addresses().is_empty());
    let mut mirror = failed();
    mirror.begin(Kinds::ADDRESSES);
    assert_eq!(
        mirror.end(Kinds::ADDRESSES, Dumped::Whole),
        Kinds::ADDRESSES
    );
    // A permanent one is deleted by hand.
    let mut mirror = watching();
    let duplicate = in_state(AddressState::Duplicate, "2001:db8::1/64");
    mirror.apply(News::Is(Object::Address(duplicate)));
    mirror.apply(News::Gone(Object::Address(duplicate)));
    assert!(mirror.addresses().is_empty());
}

/// Of addresses, some are held, to know what the router's own are.
#[test]
fn addresses_of_others_take_little_place() {
    let mut mirror = watching();
    let most = 1 + 2 * OTHER_ADDRESSES_MAX; // many are IPv6 ones of the Internet
    mirror.apply(News::Is(Object::Address(address(1, "192.0.2.7/24"))));
    for object in crowded_addresses() {
        mirror.apply(News::Is(object));
    }
    assert_eq!(mirror.addresses().len(), most);
    mirror.begin(Kinds::ADDRESSES);
    mirror.record(Object::Address(address(1, "192.0.2.7/24")));
    for object in crowded_addresses() {
        mirror.record(object);
    }
    mirror.end(Kinds::ADDRESSES, Dumped::Whole);
    assert_eq!(mirror.addresses().len(), most);
    for object in crowded_addresses() {
        mirror.apply(News::Gone(object));
    }
    assert_eq!(mirror.addresses().len(), 1);
    assert!(!mirror.needs().has(Kinds::ADDRESSES));
    assert_eq!(
        (mirror.lacks(), mirror.counters),
        (Kinds::NONE, Counters::default())
    );
}

/// A mirror that is to watch nothing in particular, for those who look at all that there is.
#[test]
fn where_nothing_is_named_everything_is_held() {
    let mut mirror = Box::new(Mirror::new());
    for object in crowd().into_iter().take(50) {
        mirror.apply(News::Is(object));
    }
    assert_eq!(sizes(&mirror), [17, 0, 17, 16]);
}

#[test]
fn whatever_may_change_the_way_of_packets_is_noticed_though_it_is_not_held() {
    let mut mirror = watching();
    mirror.take_ways_changed();
    let mut half = route("198.51.100.1", 9, 5);
    half.destination = "0.0.0.0/1".parse().unwrap();
    let mut network = half;
    network.destination = "198.51.100.0/24".parse().unwrap();
    let rule = Object::Rule(Rule {
        selector: Selector::Foreign,
        ..rule(7, 4)
    });
    for (object, changes) in [
        (rule, true),
        (Object::Route(half, Aside::default()), true),
        (Object::Route(elsewhere(1), Aside::default()), true),
        (Object::Route(network, Aside::default()), false),
    ] {
        for news in [News::Is(object.clone()), News::Gone(object)] {
            assert_eq!(mirror.apply(news.clone()), Kinds::NONE);
            assert_eq!(mirror.take_ways_changed(), changes, "{news:?}");
            assert!(!mirror.take_ways_changed(), "it is told once");
        }
    }
}

/// They may take the place of ours, be in our way, or mean another program that is at work.
#[test]
fn of_the_rules_of_others_those_that_concern_us_are_held() {
    let mut mirror = watching();
    let mark = Selector::Mark(crate::types::Mark {
        value: 0x3e00,
        mask: 0x3f00,
    });
    let all = [
        (true, Selector::All, RuleVerdict::Lookup(255), 0),
        (true, Selector::Foreign, RuleVerdict::Lookup(300), 32765),
        (true, Selector::Foreign, RuleVerdict::Lookup(300), 32790),
        (true, mark.clone(), RuleVerdict::Unreachable, 2062),
        (false, mark, RuleVerdict::Lookup(300), 2062),
        (false, Selector::Foreign, RuleVerdict::Lookup(300), 99),
    ];
    for (held, selector, verdict, pref) in all {
        let rule = Rule {
            selector,
            verdict,
            ..rule(pref, 4)
        };
        mirror.apply(News::Is(Object::Rule(rule.clone())));
        assert_eq!(mirror.rules().contains(&rule), held, "{rule:?}");
        let changed = mirror.apply(News::Gone(Object::Rule(rule)));
        assert_eq!(changed, Kinds::RULES.when(held));
    }
    // With an earlier `goto`, there are more behind it.
    let behind = Rule {
        selector: Selector::Foreign,
        ..rule(20_000, 4)
    };
    for (held, goto) in [(false, 20_001), (true, 20_000)] {
        let mut named = named();
        named.push(Named::CatchAll(goto));
        watch(&mut mirror, &named);
        mirror.apply(News::Is(Object::Rule(behind.clone())));
        assert_eq!(mirror.rules().contains(&behind), held, "{goto}");
    }
}

/// Whether a provider's own address can be told from those of others depends on them.
#[test]
fn addresses_of_others_are_held_in_a_network_of_ours() {
    let mut mirror = watching();
    let within = address(9, "192.0.2.77/32");
    let many = crowded_addresses();
    for object in many.iter().cloned() {
        mirror.apply(News::Is(object));
    }
    mirror.apply(News::Is(Object::Address(within)));
    assert!(!mirror.addresses().contains(&within), "it takes no place");
    let own = address(1, "192.0.2.7/24");
    mirror.apply(News::Is(Object::Address(own)));
    assert!(mirror.needs().has(Kinds::ADDRESSES), "which was left out?");
    // A dump that tells ours last finds that another is needed, and that one is enough.
    let mut dumps = 0;
    while mirror.needs().has(Kinds::ADDRESSES) {
        dumps += 1;
        mirror.begin(Kinds::ADDRESSES);
        for object in many.iter().cloned() {
            mirror.record(object);
        }
        for known in [within, own] {
            mirror.record(Object::Address(known));
        }
        mirror.end(Kinds::ADDRESSES, Dumped::Whole);
        assert!(dumps < 3);
    }
    assert!(mirror.addresses().contains(&within));
}

/// That there is one at all is what counts: a bridge for each of many containers, in a wide network of ours.
#[test]
fn of_others_in_one_network_of_ours_a_few_are_enough() {
    let mut mirror = watching();
    let own = address(1, "203.0.113.7/24");
    let of = |number: u32| address(1000 + number, &format!("203.0.113.{}/32", 8 + number));
    let others: Vec<Address> = (0..240).map(of).collect();
    let dump = |mirror: &mut Mirror, others: &[Address]| {
        let mut dumps = 0;
        while mirror.needs().has(Kinds::ADDRESSES) {
            dumps += 1;
            mirror.begin(Kinds::ADDRESSES);
            for known in others.iter().chain([&own]) {
                mirror.record(Object::Address(*known));
            }
            mirror.end(Kinds::ADDRESSES, Dumped::Whole);
        }
        dumps
    };
    mirror.apply(News::Is(Object::Address(own)));
    dump(&mut mirror, &[]);
    for other in &others {
        mirror.apply(News::Is(Object::Address(*other)));
    }
    assert_eq!(mirror.addresses().len(), 1 + KEPT_MIN);
    assert_eq!((mirror.lacks(), mirror.needs()), (Kinds::NONE, Kinds::NONE));
    // One that is not held goes without a word; where one goes that is, others are looked for.
    mirror.apply(News::Gone(Object::Address(others[239])));
    assert_eq!(mirror.needs(), Kinds::NONE);
    mirror.apply(News::Gone(Object::Address(others[0])));
    assert_eq!(dump(&mut mirror, &others[1..239]), 1);
    assert_eq!(mirror.addresses().len(), 1 + KEPT_MIN);
    // A smaller network of ours has its own.
    let small = address(1, "203.0.113.201/29");
    mirror.apply(News::Is(Object::Address(small)));
    dump(&mut mirror, &[&others[1..239], &[small]].concat());
    assert_eq!(mirror.addresses().len(), 2 + 2 * KEPT_MIN);
    assert_eq!(mirror.counters, Counters::default());
}

/// Networks that a provider no longer has make room for those that it has.
#[test]
fn networks_of_former_times_are_forgotten() {
    let mut mirror = watching();
    for number in 1..=u32::try_from(OTHER_ADDRESSES_MAX).unwrap() {
        let other = address(9, &format!("2001:db8:ffff::{number:x}/64"));
        mirror.apply(News::Is(Object::Address(other)));
    }
    for number in 0..300_u32 {
        let network = |host: u32| format!("2001:db8:{number:x}::{host}/64");
        let own = address(1, &network(1));
        mirror.apply(News::Is(Object::Address(own)));
        let other = address(9, &network(2));
        mirror.apply(News::Is(Object::Address(other)));
        assert!(mirror.addresses().contains(&other), "{number}");
        for gone in [other, own] {
            mirror.apply(News::Gone(Object::Address(gone)));
        }
    }
}

/// It may have others, which are not held.
#[test]
fn the_last_held_address_of_another_device_takes_no_route_with_it() {
    let mut mirror = watching();
    let vpn = route("198.51.100.1", 9, 1);
    mirror.apply(News::Is(Object::Address(address(1, "192.0.2.7/24"))));
    let within = address(9, "192.0.2.77/32");
    mirror.apply(News::Is(Object::Address(within)));
    mirror.apply(is(&vpn));
    mirror.apply(News::Gone(Object::Address(within)));
    assert!(mirror.routes().contains(&vpn));
    assert!(mirror.needs().has(Kinds::ROUTES_V4), "a dump tells");
}

#[test]
fn a_dump_that_tells_our_network_last_asks_for_another() {
    let mut mirror = watching();
    let kernel = [address(9, "192.0.2.77/32"), address(1, "192.0.2.7/24")];
    let mut dumps = 0;
    mirror.need(Kinds::ADDRESSES);
    while mirror.needs().has(Kinds::ADDRESSES) {
        dumps += 1;
        mirror.begin(Kinds::ADDRESSES);
        for known in kernel {
            mirror.record(Object::Address(known));
        }
        mirror.end(Kinds::ADDRESSES, Dumped::Whole);
    }
    assert_eq!((dumps, mirror.addresses().len()), (2, 2));
}

/// The device by which a default route of others leads in `main`.
#[test]
fn the_device_of_a_default_that_may_win_is_held() {
    let mut mirror = watching();
    let vpn = Link {
        index: 9,
        name: "wg0".try_into().unwrap(),
        point_to_point: true,
        ..link(0, true)
    };
    mirror.apply(News::Is(Object::Link(vpn.clone())));
    assert_eq!(mirror.link_named("wg0"), None);
    mirror.apply(is(&route("198.51.100.1", 9, 1)));
    assert!(mirror.needs().has(Kinds::LINKS));
    mirror.begin(Kinds::LINKS);
    mirror.record(Object::Link(vpn));
    mirror.end(Kinds::LINKS, Dumped::Whole);
    assert!(mirror.link_named("wg0").is_some());
    mirror.apply(News::Gone(Object::Link(Link {
        index: 9,
        ..link(0, true)
    })));
    assert_eq!(mirror.link_named("wg0"), None);
}

/// As soon as one of the devices leads no more, the next has its place.
#[test]
fn of_too_many_devices_by_which_defaults_lead_the_rest_is_counted() {
    let mut mirror = watching();
    let room = u32::try_from(crate::limits::LEADING_MAX).unwrap();
    let by = |n: u32| route("198.51.100.1", 100 + n, n);
    for n in 0..room {
        mirror.apply(is(&by(n)));
    }
    assert_eq!(mirror.unwatched(), 0);
    for n in room..room + 3 {
        mirror.apply(is(&by(n)));
    }
    assert_eq!(mirror.unwatched(), 3);
    // Their devices are asked for.
    mirror.apply(News::Is(Object::Link(Link {
        index: 100 + room,
        ..link(0, true)
    })));
    mirror.begin(Kinds::LINKS);
    mirror.end(Kinds::LINKS, Dumped::Whole);
    assert!(!mirror.needs().has(Kinds::LINKS));
    mirror.apply(gone(&by(0)));
    assert_eq!(mirror.unwatched(), 2);
    assert!(mirror.needs().has(Kinds::LINKS));
    for n in 1..room + 1 {
        mirror.apply(gone(&by(n)));
    }
    assert_eq!(mirror.unwatched(), 0);
}

/// A customer's table each, all by one provider's device: they are worth something only where `main` tells no gateway.
#[test]
fn of_the_defaults_in_tables_of_others_the_best_few_by_a_device_are_held() {
    let customers = |range: std::ops::Range<u32>| -> Vec<Route> {
        let customer = |number| Route {
            device: 1,
            metric: Metric(number),
            ..elsewhere(number)
        };
        range.map(customer).collect()
    };
    let many = customers(0..1500);
    let main = route("192.0.2.1", 1, 5000);
    for backwards in [false, true] {
        let mut kernel = many.clone();
        if backwards {
            kernel.reverse();
        }
        kernel.insert(700, main);
        for dumped in [false, true] {
            let mut mirror = watching();
            if dumped {
                dump(&mut mirror, &kernel);
            } else {
                tell(&mut mirror, &kernel);
            }
            assert!(has_all(&mirror, &many[..4]) && has_all(&mirror, &[main]));
            assert_eq!((mirror.routes().len(), mirror.lacks()), (5, Kinds::NONE));
            // One that is held goes: another takes its place.
            assert!(!mirror.needs().has(Kinds::ROUTES_V4));
            mirror.apply(gone(&many[2]));
            assert!(mirror.needs().has(Kinds::ROUTES_V4));
            kernel.retain(|route| *route != many[2]);
            dump(&mut mirror, &kernel);
            assert!(has_all(&mirror, &[many[3], many[4]]));
            kernel.push(many[2]);
        }
    }
}

/// What is held goes between two dumps without a word, and what is shown before it is found to be gone is not held.
#[test]
fn a_dump_that_finds_some_of_the_few_gone_asks_for_another() {
    let of = |number: u32| Route {
        device: 1,
        metric: Metric(number),
        ..elsewhere(number)
    };
    let kernel: Vec<Route> = (0..10).map(of).collect();
    let mut mirror = watching();
    dump(&mut mirror, &kernel);
    assert_eq!(dump(&mut mirror, &kernel[3..]), 3, "two in IPv4");
    assert!(has_all(&mirror, &kernel[3..7]));
}

#[test]
fn another_name_asks_for_what_was_left_out() {
    let mut mirror = Box::new(Mirror::new());
    watch(&mut mirror, &named());
    let mut more = named();
    more.push(Named::Device("wan".try_into().unwrap()));
    assert!(!watch(&mut mirror, &more), "everything is known");
    let link = Link {
        index: 5,
        name: "lan".try_into().unwrap(),
        ..link(0, true)
    };
    mirror.apply(News::Is(Object::Link(link.clone())));
    mirror.apply(News::Is(Object::Address(address(5, "192.0.2.7/24"))));
    assert!(!watch(&mut mirror, &more), "they are the same names");
    more.push(Named::Device("lan".try_into().unwrap()));
    assert!(watch(&mut mirror, &more));
    assert!(mirror.needs().has_all(Kinds::LINKS) && mirror.needs().has(Kinds::ADDRESSES));
    // The same when the name comes to the device.
    let mut mirror = watching();
    mirror.apply(News::Is(Object::Link(link.clone())));
    mirror.apply(News::Is(Object::Address(address(5, "192.0.2.7/24"))));
    mirror.apply(News::Gone(Object::Link(self::link(1, true))));
    let renamed = Link {
        name: "eth1".try_into().unwrap(),
        ..link
    };
    mirror.apply(News::Is(Object::Link(renamed)));
    assert_eq!(mirror.needs(), Kinds::ADDRESSES);
}

/// It has room like one of that name, and is found by either.
#[test]
fn a_device_is_known_by_an_alternative_name() {
    const LONG: &str = "wlp0s20f3-an-alternative-name";
    let mut mirror = Box::new(Mirror::new());
    watch(&mut mirror, &[Named::Device(LONG.try_into().unwrap())]);
    let called = |names: &[&str]| Link {
        index: 5,
        name: "wan".try_into().unwrap(),
        altnames: names.iter().map(|name| NameHash::of(name)).collect(),
        ..link(0, true)
    };
    mirror.apply(News::Is(Object::Link(called(&["enp3s0"]))));
    mirror.apply(News::Is(Object::Address(address(5, "192.0.2.7/24"))));
    assert!(mirror.links().is_empty());
    let changed = mirror.apply(News::Is(Object::Link(called(&["enp3s0", LONG]))));
    assert_eq!(changed, Kinds::LINKS);
    assert!(mirror.needs().has(Kinds::ADDRESSES), "they were left out");
    for name in ["wan", LONG] {
        assert_eq!(mirror.link_named(name).map(|link| link.index), Some(5));
    }
    // Another's own name comes first: it is the newer one, as no two have one name.
    let named = Link {
        index: 6,
        name: "wlp0s20f3-an".try_into().unwrap(),
        ..link(0, true)
    };
    let mut more = vec![Named::Device(LONG.try_into().unwrap())];
    more.push(Named::Device("wlp0s20f3-an".try_into().unwrap()));
    watch(&mut mirror, &more);
    mirror.apply(News::Is(Object::Link(called(&[LONG, "wlp0s20f3-an"]))));
    mirror.apply(News::Is(Object::Link(named)));
    let found = mirror.link_named("wlp0s20f3-an").map(|link| link.index);
    assert_eq!(found, Some(6));
    mirror.apply(News::Is(Object::Link(called(&[]))));
    assert_eq!(mirror.link_named(LONG), None);
}
