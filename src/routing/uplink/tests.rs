//! What becomes of a provider as its device, addresses and routes come and go.

mod own;

use super::*;
use crate::config::fixture;
use crate::routing::mirror::{Aside, Object};
use crate::routing::objects::{NameHash, RouteKind};
use crate::types::{Metric, PerFamily};

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// isp1 on eth1, everything else to be learned.
fn provider() -> Provider {
    fixture::provider("isp1", 0, "eth1")
}

fn eth1() -> Link {
    Link {
        index: 7,
        name: "eth1".try_into().unwrap(),
        altnames: Vec::new(),
        up: true,
        carrier: true,
        point_to_point: false,
        ethernet: true,
    }
}

fn address(prefix: &str) -> Address {
    Address {
        device: 7,
        prefix: prefix.parse().unwrap(),
        peer: None,
        near: false,
        state: AddressState::Preferred,
        secondary: false,
    }
}

/// A foreign default route on eth1 in `main`.
fn via(gateway: &str, metric: u32) -> Route {
    let gateway: IpAddr = gateway.parse().unwrap();
    let everything = if gateway.is_ipv4() {
        "0.0.0.0/0"
    } else {
        "::/0"
    };
    Route {
        table: TABLE_MAIN,
        destination: everything.parse().unwrap(),
        metric: Metric(metric),
        protocol: 16,
        kind: RouteKind::Unicast,
        device: 7,
        gateway: Some(gateway),
        source: None,
        onlink: false,
        from: None,
        extras: Extras::default(),
    }
}

fn mirror(link: Link, addresses: &[Address], routes: &[Route]) -> Box<Mirror> {
    let mut mirror = Box::new(Mirror::new());
    mirror.record(Object::Link(link));
    for address in addresses {
        mirror.record(Object::Address(*address));
    }
    for route in routes {
        mirror.record(Object::Route(*route, Aside::default()));
    }
    mirror
}

fn resolved(provider: &Provider, family: Family, mirror: &Mirror) -> Uplink {
    let told = Told::device(&provider.device[family]);
    resolve(&Config::default(), provider, family, &told, mirror)
}

#[test]
fn a_device_with_a_dhcp_lease_is_an_uplink() {
    let mirror = mirror(eth1(), &[address("192.0.2.7/24")], &[via("192.0.2.1", 0)]);
    let expected = Uplink {
        device: "eth1".try_into().unwrap(),
        index: 7,
        address: ip("192.0.2.7"),
        deprecated: false,
        guessed: false,
        sourced: true,
        gateway: ip("192.0.2.1"),
        direct: false,
        network: Some("192.0.2.0/24".parse().unwrap()),
        onlink: false,
        waiting: None,
        routable: true,
        refused: false,
        extras: Extras::default(),
        gateways: 1,
    };
    assert_eq!(resolved(&provider(), Family::V4, &mirror), expected);
    let v6 = resolved(&provider(), Family::V6, &mirror);
    assert_eq!(v6.waiting, Some(Waiting::NoAddress), "families are apart");
}

/// What is told of it needs its name in the kernel.
#[test]
fn a_device_has_its_own_name_whatever_it_is_called() {
    const LONG: &str = "wlp0s20f3-an-alternative-name";
    let mut provider = provider();
    provider.device.v4 = LONG.try_into().unwrap();
    let mut link = eth1();
    let resolve = |link: &Link| {
        let addresses = [address("192.0.2.7/24")];
        let routes = [via("192.0.2.1", 0)];
        resolved(
            &provider,
            Family::V4,
            &mirror(link.clone(), &addresses, &routes),
        )
    };
    let unknown = resolve(&link);
    assert_eq!(unknown.waiting, Some(Waiting::NoDevice));
    assert_eq!(unknown.device, "", "no part of it may be taken for a name");
    link.altnames.push(NameHash::of(LONG)).unwrap();
    let known = resolve(&link);
    assert_eq!((known.device.as_str(), known.waiting), ("eth1", None));
}

#[test]
fn what_is_missing_is_said_and_without_carrier_the_route_stays() {
    let (lease, route) = (address("192.0.2.7/24"), via("192.0.2.1", 0));
    let state = |link, addresses: &[Address], routes: &[Route]| {
        let uplink = resolved(&provider(), Family::V4, &mirror(link, addresses, routes));
        (uplink.waiting, uplink.routable)
    };
    let other = Link {
        name: "eth2".try_into().unwrap(),
        ..eth1()
    };
    let down = Link {
        up: false,
        ..eth1()
    };
    let pulled = Link {
        carrier: false,
        ..eth1()
    };
    let lost = |waiting| (Some(waiting), false);
    assert_eq!(state(other, &[lease], &[route]), lost(Waiting::NoDevice));
    assert_eq!(state(down, &[lease], &[route]), lost(Waiting::Down));
    assert_eq!(
        state(pulled.clone(), &[lease], &[route]),
        (Some(Waiting::NoCarrier), true)
    );
    assert_eq!(state(pulled, &[lease], &[]), lost(Waiting::NoCarrier));
    assert_eq!(state(eth1(), &[], &[route]), lost(Waiting::NoAddress));
    assert_eq!(
        state(eth1(), &[lease], &[]),
        lost(Waiting::NoGateway),
        "the DHCP client is gone"
    );
}

#[test]
fn a_provider_of_netifd_interfaces_has_no_device_yet() {
    let mut provider = provider();
    provider.device = PerFamily::default();
    let mirror = mirror(eth1(), &[], &[]);
    let uplink = resolved(&provider, Family::V4, &mirror);
    assert_eq!(uplink.waiting, Some(Waiting::NoDevice));
}

#[test]
fn what_is_configured_goes_before_what_is_learned() {
    let mut provider = provider();
    provider.address.v4 = ip("192.0.2.8");
    provider.gateway.v4 = ip("192.0.2.254");
    let one = [address("192.0.2.7/24")];
    let both = [one[0], address("192.0.2.8/24")];
    let route = [via("192.0.2.1", 0)];
    let uplink = resolved(&provider, Family::V4, &mirror(eth1(), &one, &route));
    assert_eq!(
        uplink.waiting,
        Some(Waiting::NoAddress),
        "not on the device"
    );
    let uplink = resolved(&provider, Family::V4, &mirror(eth1(), &both, &[]));
    assert_eq!(uplink.address, ip("192.0.2.8"));
    assert_eq!(uplink.gateway, ip("192.0.2.254"));
    assert_eq!(uplink.waiting, None);
}

#[test]
fn the_gateway_is_that_of_the_best_foreign_default_route() {
    let ours = Route {
        protocol: PROTOCOL,
        ..via("192.0.2.9", 1)
    };
    let in_swap_table = Route {
        table: 176,
        ..via("192.0.2.8", 0)
    };
    let elsewhere = Route {
        table: 42,
        ..via("192.0.2.3", 0)
    };
    let refusing = Route {
        kind: RouteKind::Other,
        device: 0,
        gateway: None,
        ..via("192.0.2.1", 0)
    };
    let gateway = |routes: &[Route]| {
        let mirror = mirror(eth1(), &[address("192.0.2.7/24")], routes);
        resolved(&provider(), Family::V4, &mirror).gateway
    };
    let main = [via("192.0.2.2", 20), via("192.0.2.1", 10)];
    assert_eq!(gateway(&[ours, in_swap_table, refusing]), None);
    assert_eq!(gateway(&[ours, in_swap_table, elsewhere]), ip("192.0.2.3"));
    assert_eq!(gateway(&[main[0], elsewhere, main[1]]), ip("192.0.2.1"));
}

#[test]
fn a_point_to_point_device_needs_no_gateway() {
    let mut ppp = Address {
        peer: ip("203.0.113.1"),
        ..address("198.51.100.7/32")
    };
    let link = Link {
        point_to_point: true,
        ethernet: false,
        ..eth1()
    };
    let uplink = resolved(&provider(), Family::V4, &mirror(link.clone(), &[ppp], &[]));
    assert!(uplink.direct && uplink.routable && uplink.gateway.is_none());
    assert_eq!(uplink.network, Some("203.0.113.1/32".parse().unwrap()));
    ppp.peer = None;
    let uplink = resolved(&provider(), Family::V4, &mirror(link, &[ppp], &[]));
    assert_eq!(uplink.network, None);
    // Nor does a device with a default route that has none.
    let route = Route {
        gateway: None,
        ..via("192.0.2.1", 0)
    };
    let mirror = mirror(eth1(), &[ppp], &[route]);
    assert!(resolved(&provider(), Family::V4, &mirror).direct);
}

#[test]
fn a_gateway_outside_every_network_of_its_device_is_on_the_link() {
    let onlink = |gateway: &str, addresses: &[Address]| {
        let family = Family::of(gateway.parse().unwrap());
        let mirror = mirror(eth1(), addresses, &[via(gateway, 0)]);
        resolved(&provider(), family, &mirror).onlink
    };
    let two = [address("192.0.2.7/32"), address("198.51.100.7/24")];
    assert!(onlink("192.0.2.1", &two));
    assert!(!onlink("198.51.100.1", &two));
    let peer = Address {
        peer: ip("192.0.2.1"),
        ..two[0]
    };
    assert!(!onlink("192.0.2.1", &[peer]));
    let v6 = [address("2001:db8:1::7/64")];
    assert!(!onlink("fe80::1", &v6));
    assert!(!onlink("2001:db8:1::1", &v6));
    assert!(onlink("2001:db8:2::1", &v6));
    assert!(onlink("2001:db8:2::1", &two), "of another family");
}

#[test]
fn the_connected_network_is_masked() {
    let network = |prefix| {
        let family = address(prefix).family();
        resolved(
            &provider(),
            family,
            &mirror(eth1(), &[address(prefix)], &[]),
        )
        .network
    };
    assert_eq!(
        network("192.0.2.77/26"),
        Some("192.0.2.64/26".parse().unwrap())
    );
    let v6 = Some("2001:db8:1:4000::/50".parse().unwrap());
    assert_eq!(network("2001:db8:1:5678::1/50"), v6);
    assert_eq!(network("2001:db8::1/128"), None);
    assert_eq!(network("2001:db8::1/0"), Some("::/0".parse().unwrap()));
}

#[test]
fn of_two_on_one_device_the_later_in_rank_waits() {
    let on = |index| Uplink {
        index,
        routable: true,
        ..Uplink::default()
    };
    let mut uplinks = [on(7), on(8), on(7), on(0), on(0)];
    let mut claims = Claims::new();
    for (slot, uplink) in (0..).map(Slot).zip(&mut uplinks) {
        uplink.claim_device(slot, &mut claims);
    }
    let waiting = uplinks.clone().map(|uplink| uplink.waiting);
    let taken = Some(Waiting::DeviceTaken(Slot(0)));
    assert_eq!(waiting, [None, None, taken, None, None]);
    assert!(uplinks[0].routable && !uplinks[2].routable);
}

#[test]
fn source_specific_defaults_are_found() {
    let specific = Route {
        from: Some("2001:db8::/48".parse().unwrap()),
        ..via("fe80::1", 10)
    };
    let ours = Route {
        protocol: PROTOCOL,
        ..via("192.0.2.9", 1)
    };
    let routes = [via("192.0.2.1", 50), via("192.0.2.1", 5), ours, specific];
    let mirror = mirror(eth1(), &[], &routes);
    assert!(source_specific_defaults(&mirror).eq([&specific]));
}

#[test]
fn a_socket_is_opened_anew_for_another_device_or_address_but_not_for_another_gateway() {
    let bound = Uplink {
        device: "eth1".try_into().unwrap(),
        index: 7,
        address: ip("192.0.2.2"),
        gateway: ip("192.0.2.1"),
        ..Uplink::default()
    };
    let gateway = ip("192.0.2.3");
    assert!(bound.has_same_socket(&Uplink {
        gateway,
        ..bound.clone()
    }));
    let address = ip("192.0.2.4");
    let others = [
        Uplink {
            index: 8,
            ..bound.clone()
        },
        Uplink {
            address,
            ..bound.clone()
        },
    ];
    assert!(others.iter().all(|other| !bound.has_same_socket(other)));
    let waited = Uplink {
        waiting: Some(Waiting::NoCarrier),
        ..bound.clone()
    };
    assert!(!waited.has_same_socket(&bound));
}

#[test]
fn in_a_picture_that_lacks_something_only_what_is_certain_is_believed() {
    let (lease, route) = (address("192.0.2.7/24"), via("192.0.2.1", 0));
    let seen = |link: Link, addresses: &[Address], routes: &[Route]| {
        resolved(&provider(), Family::V4, &mirror(link, addresses, routes))
    };
    let known = seen(eth1(), &[lease], &[route]);
    for unseen in [seen(eth1(), &[lease], &[]), seen(eth1(), &[], &[route])] {
        assert!(unseen.waiting.is_some());
        assert_eq!(unseen.unless_unseen(&known), known);
    }
    let other = seen(eth1(), &[lease], &[via("192.0.2.9", 5)]);
    assert_eq!(other.unless_unseen(&known), known, "the best may be there");
    let (mut down, mut pulled, mut new) = (eth1(), eth1(), eth1());
    (down.up, pulled.carrier, new.index) = (false, false, 8);
    let pulled = seen(pulled, &[lease], &[]).unless_unseen(&known);
    assert_eq!(pulled.waiting, Some(Waiting::NoCarrier));
    assert_eq!((pulled.routable, pulled.gateway), (true, known.gateway));
    for certain in [down, new] {
        let certain = seen(certain, &[], &[]);
        assert_eq!(certain.clone().unless_unseen(&known), certain);
    }
    let never = Uplink::default();
    let unseen = seen(eth1(), &[lease], &[]);
    assert_eq!(unseen.clone().unless_unseen(&never), unseen);
}

/// Metric first, then router preference, then the order in which the kernel shows them.
#[test]
fn of_several_gateways_the_best_is_taken_with_what_its_route_carries() {
    let of = |gateway, metric, preference, number| Route {
        extras: Extras { number, preference },
        ..via(gateway, metric)
    };
    let [medium, high, low] = [0, 1, 3];
    let own = [address("2001:db8::7/64")];
    let best = |routes: &[Route]| {
        let mirror = mirror(eth1(), &own, routes);
        let uplink = resolved(&provider(), Family::V6, &mirror);
        (uplink.gateway, uplink.extras.number, uplink.gateways)
    };
    let worse = of("fe80::1", 1024, high, 1);
    assert_eq!(best(&[worse]), (ip("fe80::1"), 1, 1));
    let two = [worse, of("fe80::2", 1023, low, 2)];
    assert_eq!(best(&two), (ip("fe80::2"), 2, 2));
    let three = [
        of("fe80::9", 512, low, 1),
        of("fe80::8", 512, medium, 2),
        of("fe80::7", 512, high, 3),
    ];
    assert_eq!(best(&three), (ip("fe80::7"), 3, 3));
    assert_eq!(best(&three[..2]), (ip("fe80::8"), 2, 2));
    let equal = [
        of("fe80::9", 512, high, 1),
        of("fe80::8", 512, high, 2),
        of("fe80::9", 600, high, 3),
    ];
    assert_eq!(
        best(&equal),
        (ip("fe80::9"), 1, 2),
        "the first, and one is told twice"
    );
}

/// A configured gateway gets what belongs to the line, but is not `onlink` because another is.
#[test]
fn onlink_is_copied_with_the_gateway() {
    let learned = Route {
        onlink: true,
        ..via("192.0.2.1", 0)
    };
    let mirror = mirror(eth1(), &[address("192.0.2.7/24")], &[learned]);
    let mut provider = provider();
    assert!(resolved(&provider, Family::V4, &mirror).onlink);
    provider.gateway.v4 = ip("192.0.2.2");
    assert!(!resolved(&provider, Family::V4, &mirror).onlink);
}
