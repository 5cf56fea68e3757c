//! Which own address is chosen, and how long it stays.

use super::*;

/// The uplink that is found after `before`, with what the kernel chooses.
fn after(before: &Uplink, chosen: Option<IpAddr>, family: Family, mirror: &Mirror) -> Uplink {
    let provider = provider();
    let told = Told {
        former: before.former(),
        chosen,
        ..Told::device(&provider.device[family])
    };
    resolve(&Config::default(), &provider, family, &told, mirror)
}

/// The same without a former one, in IPv4.
fn first_v4(addresses: &[Address], routes: &[Route]) -> Option<IpAddr> {
    resolved(&provider(), Family::V4, &mirror(eth1(), addresses, routes)).address
}

fn is(state: AddressState, prefix: &str) -> Address {
    Address {
        state,
        ..address(prefix)
    }
}

fn near(prefix: &str) -> Address {
    Address {
        near: true,
        ..address(prefix)
    }
}

fn secondary(prefix: &str) -> Address {
    Address {
        secondary: true,
        ..address(prefix)
    }
}

/// On another device, which is no provider's.
fn in_lan(prefix: &str) -> Address {
    Address {
        device: 9,
        ..address(prefix)
    }
}

#[test]
fn in_ipv4_it_is_the_first_that_fits_the_gateway() {
    let gateway = [via("192.0.2.1", 0)];
    let (high, low) = (address("192.0.2.7/24"), address("192.0.2.5/24"));
    let far = address("10.0.0.7/8");
    assert_eq!(first_v4(&[far, high, low], &gateway), ip("192.0.2.7"));
    let second = secondary("192.0.2.5/24");
    assert_eq!(first_v4(&[second, high], &gateway), ip("192.0.2.7"));
    let (none_fits, gateway) = ([far, high], [via("198.51.100.1", 0)]);
    assert_eq!(first_v4(&none_fits, &gateway), ip("10.0.0.7"));
    let old = [is(AddressState::Deprecated, "192.0.2.7/24"), low];
    assert_eq!(first_v4(&old, &[via("192.0.2.1", 0)]), ip("192.0.2.7"));
}

#[test]
fn the_source_of_the_learned_route_goes_before_whatever_device_has_it() {
    let sourced = |own| Route {
        source: ip(own),
        ..via("192.0.2.1", 0)
    };
    let (here, far) = (address("192.0.2.7/24"), address("10.0.0.7/8"));
    let loopback = in_lan("203.0.113.7/32");
    let all = [here, far, loopback];
    assert_eq!(first_v4(&all, &[sourced("10.0.0.7")]), ip("10.0.0.7"));
    assert_eq!(first_v4(&all, &[sourced("203.0.113.7")]), ip("203.0.113.7"));
    assert_eq!(first_v4(&all, &[sourced("203.0.113.8")]), ip("192.0.2.7"));
    let mirror = mirror(eth1(), &all, &[sourced("203.0.113.7")]);
    let uplink = resolved(&provider(), Family::V4, &mirror);
    assert_eq!((uplink.network, uplink.waiting), (None, None));
}

#[test]
fn in_ipv4_one_of_link_scope_is_for_where_there_is_no_gateway() {
    let both = [near("169.254.7.7/16"), address("192.0.2.7/24")];
    assert_eq!(first_v4(&both, &[via("192.0.2.1", 0)]), ip("192.0.2.7"));
    let direct = Route {
        gateway: None,
        ..via("192.0.2.1", 0)
    };
    // The kernel holds such ones first, whenever they came.
    let both = [both[1], both[0]];
    assert_eq!(first_v4(&both, &[direct]), ip("169.254.7.7"));
    let gateway = [via("192.0.2.1", 0)];
    assert_eq!(first_v4(&both[1..], &gateway), ip("169.254.7.7"));
}

#[test]
fn in_ipv4_it_stays_while_the_device_has_it() {
    let route = [via("192.0.2.1", 0)];
    let seen = |before: &Uplink, addresses: &[Address], routes: &[Route]| {
        after(before, None, Family::V4, &mirror(eth1(), addresses, routes))
    };
    let (first, second) = (address("192.0.2.7/24"), secondary("192.0.2.5/24"));
    let known = seen(&Uplink::default(), &[first], &route);
    let wide = address("192.0.0.9/16");
    for addresses in [[wide, first], [second, first], [first, second]] {
        let now = seen(&known, &addresses, &route);
        assert!(now.address == ip("192.0.2.7") && known.has_same_socket(&now));
    }
    let far = address("10.0.0.7/8");
    let onlink = seen(&Uplink::default(), &[far], &route);
    assert_eq!(onlink.address, ip("10.0.0.7"));
    let still = seen(&onlink, &[far, first], &route);
    assert_eq!(still.address, ip("10.0.0.7"));
    let promoted = address("192.0.2.5/24");
    let gone = seen(&known, &[promoted, wide], &route);
    assert_eq!(gone.address, ip("192.0.2.5"));
    // A source that is set moves it, and leaves it there.
    let sourced = Route {
        source: ip("192.0.2.5"),
        ..route[0]
    };
    let moved = seen(&known, &[first, second], &[sourced]);
    assert_eq!(moved.address, ip("192.0.2.5"));
    let left = seen(&moved, &[first, second], &route);
    assert_eq!(left.address, ip("192.0.2.5"));
    // Another gateway is reached from another address, where it does not fit.
    let renumbered = [first, address("198.51.100.7/24")];
    let moved = seen(&known, &renumbered, &[via("198.51.100.1", 0)]);
    assert_eq!(moved.address, ip("198.51.100.7"));
    let stayed = seen(&known, &[wide, first], &[via("192.0.2.9", 0)]);
    assert_eq!(stayed.address, ip("192.0.2.7"));
}

#[test]
fn in_ipv6_it_is_what_the_kernel_chooses_and_stays_while_it_is_preferred() {
    let route = [via("fe80::1", 1024)];
    let seen = |before: &Uplink, chosen, addresses: &[Address]| {
        let mirror = mirror(eth1(), addresses, &route);
        after(before, ip(chosen), Family::V6, &mirror)
    };
    let (one, two) = (address("2001:db8::1/64"), address("2001:db8::2/64"));
    let guess = after(
        &Uplink::default(),
        None,
        Family::V6,
        &mirror(eth1(), &[one, two], &route),
    );
    assert!(guess.asks(), "{guess:?}");
    assert_eq!(guess.address, ip("2001:db8::1"));
    let known = seen(&guess, "2001:db8::2", &[one, two]);
    assert_eq!((known.address, known.asks()), (ip("2001:db8::2"), false));
    let still = after(
        &known,
        None,
        Family::V6,
        &mirror(eth1(), &[one, two, address("2001:db8::3/64")], &route),
    );
    assert_eq!((still.address, still.asks()), (ip("2001:db8::2"), false));
    let old = is(AddressState::Deprecated, "2001:db8::2/64");
    let asks = after(
        &known,
        None,
        Family::V6,
        &mirror(eth1(), &[one, old], &route),
    );
    assert!(asks.asks());
    let moved = seen(&known, "2001:db8::1", &[one, old]);
    assert_eq!(
        (moved.address, moved.deprecated),
        (ip("2001:db8::1"), false)
    );
    let kept = seen(&known, "2001:db8::2", &[old]);
    assert_eq!((kept.address, kept.deprecated), (ip("2001:db8::2"), true));
    assert_eq!(kept.waiting, None, "better than none");
}

#[test]
fn without_an_answer_it_is_the_best_that_is_seen() {
    let guessed = |addresses: &[Address]| {
        let mirror = mirror(eth1(), addresses, &[via("fe80::1", 0)]);
        resolved(&provider(), Family::V6, &mirror).address
    };
    let global = address("2001:db8::7/64");
    let temporary = secondary("2001:db8::1/64");
    let tentative = is(AddressState::Tentative, "2001:db8::2/64");
    let old = is(AddressState::Deprecated, "2001:db8::3/64");
    let local = address("fd00::7/64");
    let all = [local, temporary, tentative, old, global, near("fe80::7/64")];
    assert_eq!(guessed(&all), ip("2001:db8::7"));
    assert_eq!(guessed(&[temporary, old]), ip("2001:db8::1"));
    assert_eq!(guessed(&[old]), ip("2001:db8::3"));
    assert_eq!(guessed(&[tentative, near("fe80::7/64")]), None);
    assert_eq!(guessed(&[in_lan("2001:db8:1::1/64")]), None);
}

#[test]
fn an_address_of_the_lan_is_its_own_only_if_it_may_be_in_its_prefix() {
    let eth2 = Link {
        index: 8,
        name: "eth2".try_into().unwrap(),
        ..eth1()
    };
    let wg0 = Link {
        index: 10,
        name: "wg0".try_into().unwrap(),
        point_to_point: true,
        ..eth1()
    };
    let near = near("fe80::7/64");
    let chosen = |own: &str, addresses: &[Address], routes: &[Route]| {
        let mut mirror = mirror(eth1(), &[], &[]);
        mirror.record(Object::Link(eth2.clone()));
        mirror.record(Object::Link(wg0.clone()));
        mirror.watch(&|name| {
            for device in ["eth1", "eth2"] {
                name(crate::routing::mirror::Named::Device(
                    device.try_into().unwrap(),
                ));
            }
        });
        for address in addresses {
            mirror.record(Object::Address(*address));
        }
        for route in routes {
            mirror.record(Object::Route(*route, Aside::default()));
        }
        after(&Uplink::default(), ip(own), Family::V6, &mirror).address
    };
    let route = via("fe80::1", 1024);
    let own = "2001:db8:f00::1";
    let lan = in_lan("2001:db8:f00::1/64");
    assert_eq!(chosen(own, &[near, lan], &[route]), ip(own));
    assert_eq!(chosen(own, &[near, lan], &[]), None, "no router told of it");
    let theirs = Address { device: 8, ..lan };
    assert_eq!(chosen(own, &[near, theirs], &[route]), None);
    let tunnels = Address { device: 10, ..lan };
    assert_eq!(chosen(own, &[near, tunnels], &[route]), None);
    let local = in_lan("fd00::1/64");
    assert_eq!(chosen("fd00::1", &[near, local], &[route]), None);
    let specific = |device, prefix: &str| Route {
        device,
        from: Some(prefix.parse().unwrap()),
        ..route
    };
    let elsewhere = specific(8, "2001:db8:f00::/56");
    assert_eq!(chosen(own, &[near, lan], &[route, elsewhere]), None);
    let here = specific(7, "2001:db8:f00::/56");
    let both = [route, elsewhere, here];
    assert_eq!(chosen(own, &[near, lan], &both), ip(own));
    let other = specific(7, "2001:db8:e00::/56");
    assert_eq!(chosen(own, &[near, lan], &[other]), None);
    // The kernel has no answer where there is none but such a route.
    let mirror = mirror(eth1(), &[near, lan], &[here]);
    assert_eq!(resolved(&provider(), Family::V6, &mirror).address, ip(own));
}

#[test]
fn a_duplicate_is_told() {
    let route = [via("fe80::1", 1024)];
    let duplicate = is(AddressState::Duplicate, "2001:db8::1/64");
    let found = |provider: &Provider, addresses: &[Address]| {
        let uplink = resolved(provider, Family::V6, &mirror(eth1(), addresses, &route));
        (uplink.address, uplink.waiting, uplink.routable)
    };
    let mut provider = provider();
    let told = (ip("2001:db8::1"), Some(Waiting::Duplicate), false);
    assert_eq!(found(&provider, &[duplicate]), told);
    let good = address("2001:db8::2/64");
    let other = (ip("2001:db8::2"), None, true);
    assert_eq!(found(&provider, &[duplicate, good]), other);
    provider.address.v6 = ip("2001:db8::1");
    assert_eq!(found(&provider, &[duplicate, good]), told);
    provider.address.v6 = ip("2001:db8::3");
    let none = (None, Some(Waiting::NoAddress), false);
    assert_eq!(found(&provider, &[duplicate, good]), none);
    let old = is(AddressState::Deprecated, "2001:db8::3/64");
    assert_eq!(found(&provider, &[old]), (ip("2001:db8::3"), None, true));
}
