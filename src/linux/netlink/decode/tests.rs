//! Messages as rtnetlink writes them, and damaged ones.

use rtnetlink::packet_core::Emitable;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
    RouteRealm, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::*;

fn address(payload: &[u8]) -> Option<Address> {
    match super::address(payload) {
        Some(Object::Address(address)) => Some(address),
        _ => None,
    }
}

fn route(payload: &[u8]) -> Option<(Route, Aside)> {
    match super::route(payload) {
        Some(Object::Route(route, aside)) => Some((route, aside)),
        _ => None,
    }
}

fn rule(payload: &[u8]) -> Option<Rule> {
    match super::rule(payload) {
        Some(Object::Rule(rule)) => Some(rule),
        _ => None,
    }
}

/// The message as rtnetlink encodes it.
fn bytes(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

#[test]
fn an_address_with_a_peer_is_the_local_one() {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = 32;
    message.attributes = vec![
        AddressAttribute::Address("192.0.2.1".parse().unwrap()),
        AddressAttribute::Local("198.51.100.7".parse().unwrap()),
    ];
    let address = address(&bytes(&message)).unwrap();
    assert_eq!(address.prefix, "198.51.100.7/32".parse().unwrap());
    assert_eq!(address.peer, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(
        (address.state, address.near),
        (AddressState::Preferred, false)
    );
}

#[test]
fn the_state_and_the_scope_of_an_address_are_told() {
    let decoded = |flags, scope| {
        let mut message = AddressMessage::default();
        message.header.scope = scope;
        message.attributes = vec![
            AddressAttribute::Address("2001:db8::1".parse().unwrap()),
            AddressAttribute::Flags(flags),
        ];
        let address = address(&bytes(&message)).unwrap();
        (address.state, address.near)
    };
    let state = |flags| decoded(flags, AddressScope::Universe).0;
    assert_eq!(state(AddressFlags::empty()), AddressState::Preferred);
    assert_eq!(state(AddressFlags::Deprecated), AddressState::Deprecated);
    assert_eq!(state(AddressFlags::Tentative), AddressState::Tentative);
    let failed = AddressFlags::Tentative | AddressFlags::Dadfailed;
    assert_eq!(state(failed), AddressState::Withdrawn);
    let permanent = failed | AddressFlags::Permanent;
    assert_eq!(state(permanent), AddressState::Duplicate);
    let optimistic = AddressFlags::Tentative | AddressFlags::Optimistic;
    assert_eq!(state(optimistic), AddressState::Preferred);
    let near = |scope| decoded(AddressFlags::empty(), scope).1;
    assert!(near(AddressScope::Link) && near(AddressScope::Host));
    assert!(!near(AddressScope::Universe) && !near(AddressScope::Site));
}

#[test]
fn a_selection_that_we_never_make_is_foreign() {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![RuleAttribute::Table(176), RuleAttribute::FwMark(1)];
    let selector = |message: &RuleMessage| rule(&bytes(message)).unwrap().selector;
    assert!(matches!(selector(&message), Selector::Mark(_)));
    message
        .attributes
        .push(RuleAttribute::Iifname("lan0".into()));
    assert_eq!(selector(&message), Selector::Foreign);
}

#[test]
fn the_routers_own_packets_are_told_from_forwarded_ones() {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    message.header.src_len = 24;
    message.attributes = vec![
        RuleAttribute::Table(17601),
        RuleAttribute::Source("192.0.2.0".parse().unwrap()),
    ];
    let selector = |message: &RuleMessage| rule(&bytes(message)).unwrap().selector;
    let network = "192.0.2.0/24".parse().unwrap();
    assert_eq!(selector(&message), Selector::From(network));
    let by = |device: &str| RuleAttribute::Iifname(device.into());
    message.attributes.push(by("lo"));
    assert_eq!(selector(&message), Selector::OwnFrom(network));
    message.attributes.push(RuleAttribute::FwMark(1));
    assert_eq!(selector(&message), Selector::Foreign);
    message.attributes.truncate(2);
    message.attributes.push(by("lan0"));
    assert_eq!(selector(&message), Selector::Foreign);
    message.header.src_len = 0;
    message.attributes = vec![by("lo")];
    assert_eq!(selector(&message), Selector::Foreign);
}

#[test]
fn a_rule_for_what_the_router_sends_to_an_address_is_known() {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    message.header.dst_len = 32;
    message.attributes = vec![
        RuleAttribute::Table(17601),
        RuleAttribute::Destination("192.0.2.53".parse().unwrap()),
    ];
    let selector = |message: &RuleMessage| rule(&bytes(message)).unwrap().selector;
    assert_eq!(
        selector(&message),
        Selector::Foreign,
        "of forwarded ones, too"
    );
    message.attributes.push(RuleAttribute::Iifname("lo".into()));
    let to = Selector::OwnTo("192.0.2.53/32".parse().unwrap());
    assert_eq!(selector(&message), to);
    message.header.src_len = 32;
    let from = RuleAttribute::Source("192.0.2.7".parse().unwrap());
    message.attributes.push(from);
    assert_eq!(selector(&message), Selector::Foreign);
}

#[test]
fn a_rule_for_all_but_no_place_is_for_all() {
    for (family, length, nowhere) in [
        (AddressFamily::Inet, 32, "0.0.0.0"),
        (AddressFamily::Inet6, 128, "::"),
    ] {
        let mut message = RuleMessage::default();
        message.header.family = family;
        message.header.action = RuleAction::ToTable;
        message.header.dst_len = length;
        message.header.flags = RuleFlags::Invert;
        let to = |place: &str| RuleAttribute::Destination(place.parse().unwrap());
        message.attributes = vec![RuleAttribute::Table(254), to(nowhere)];
        let selector = |message: &RuleMessage| rule(&bytes(message)).unwrap().selector;
        assert_eq!(selector(&message), Selector::All);
        message.header.flags = RuleFlags::empty();
        assert_eq!(selector(&message), Selector::Foreign);
        message.header.flags = RuleFlags::Invert;
        message.attributes[1] = to(if length == 32 {
            "192.0.2.1"
        } else {
            "2001:db8::1"
        });
        assert_eq!(selector(&message), Selector::Foreign);
        message.header.dst_len = 0;
        message.attributes.truncate(1);
        assert_eq!(selector(&message), Selector::Foreign);
    }
}

#[test]
fn of_several_ways_the_first_of_ours_is_told() {
    let way = |device, gateway: &str| {
        let mut way = RouteNextHop::default();
        way.interface_index = device;
        way.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet6(
            gateway.parse().unwrap(),
        ))];
        way
    };
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet6;
    message.attributes = vec![RouteAttribute::MultiPath(vec![
        way(3, "fe80::3"),
        way(4, "fe80::4"),
    ])];
    let told = |message: &RouteMessage| {
        let (route, _) = route(&bytes(message)).unwrap();
        assert_eq!(route.kind, RouteKind::Multipath);
        (route.device, route.gateway)
    };
    assert_eq!(told(&message), (0, None));
    message.header.protocol = PROTOCOL.into();
    assert_eq!(told(&message), (3, Some("fe80::3".parse().unwrap())));
}

#[test]
fn a_gateway_may_be_of_the_other_family() {
    let gateway: IpAddr = "fe80::1".parse().unwrap();
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.attributes = vec![RouteAttribute::Via(gateway.into())];
    let (route, _) = route(&bytes(&message)).unwrap();
    assert_eq!(route.gateway, Some(gateway));
}

/// A default over two ways, with metrics and a realm, and what is made of it.
fn over_two_ways() -> (RouteMessage, [Route; 2]) {
    let way = |device, gateway: &str, flags| {
        let mut way = RouteNextHop::default();
        (way.interface_index, way.flags) = (device, flags);
        let gateway = RouteAddress::Inet(gateway.parse().unwrap());
        way.attributes = vec![
            RouteAttribute::Gateway(gateway),
            RouteAttribute::Realm(RouteRealm {
                source: 0,
                destination: 7,
            }),
        ];
        way
    };
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Metrics(vec![RouteMetric::Mtu(1400)]),
        RouteAttribute::MultiPath(vec![
            way(3, "192.0.2.1", RouteNextHopFlags::Onlink),
            way(4, "192.0.2.65", RouteNextHopFlags::empty()),
        ]),
    ];
    let (whole, _) = route(&bytes(&message)).unwrap();
    let hop = |device, gateway: &str, onlink| Route {
        kind: RouteKind::Hop,
        device,
        gateway: gateway.parse().ok(),
        onlink,
        ..whole
    };
    let hops = [hop(3, "192.0.2.1", true), hop(4, "192.0.2.65", false)];
    (message, hops)
}

#[test]
fn each_way_of_several_is_told_with_all_that_it_carries() {
    let (message, expected) = over_two_ways();
    let mut carried = Vec::new();
    let mut found = Vec::new();
    hops(&bytes(&message), &mut |object| {
        let Object::Route(route, aside) = object else {
            panic!("{object:?}");
        };
        found.push(route);
        carried.push(aside.attributes.to_vec());
    });
    assert_eq!(found, expected);
    let mtu = [12_u16, 8, 8, 2].map(u16::to_ne_bytes).concat();
    let realm = [8_u16, 11].map(u16::to_ne_bytes).concat();
    let all = [
        mtu,
        1400_u32.to_ne_bytes().to_vec(),
        realm,
        7_u32.to_ne_bytes().to_vec(),
    ];
    assert_eq!(carried, [all.concat(), all.concat()]);
}

#[test]
fn attributes_without_room_are_left_out_as_a_whole() {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    let carried = |message: &RouteMessage| {
        let (route, aside) = route(&bytes(message)).unwrap();
        (route.extras.number, aside.attributes.len())
    };
    let metrics = |count| RouteAttribute::Metrics(vec![RouteMetric::Mtu(1400); count]);
    message.attributes = vec![metrics(11)];
    assert_eq!(carried(&message), (0, 92));
    message.attributes.push(RouteAttribute::Realm(RouteRealm {
        source: 0,
        destination: 7,
    }));
    assert_eq!(carried(&message), (Extras::LEFT_OUT, 0));
}

#[test]
fn a_nexthop_object_is_a_way_or_a_group() {
    let (_, [whole, _]) = over_two_ways();
    let object = |attributes: &[(u16, &[u8])]| {
        let mut message = vec![2, 0, 0, 0, 4, 0, 0, 0]; // onlink
        for (kind, value) in attributes {
            let length = u16::try_from(value.len() + 4).unwrap();
            message.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
            message.extend_from_slice(value);
        }
        message
    };
    let device = 5_u32.to_ne_bytes();
    let single = object(&[(NHA_OIF, &device), (NHA_GATEWAY, &[192, 0, 2, 9])]);
    let mut members = Members::new();
    let hop = nexthop(&single, whole, &mut members).unwrap();
    assert_eq!((hop.device, hop.gateway), (5, Some([192, 0, 2, 9].into())));
    assert!(hop.onlink && members.is_empty());
    let member = |number: u32| [number.to_ne_bytes(), [0; 4]].concat();
    let group = object(&[(NHA_GROUP, &[member(1), member(2)].concat())]);
    let whole = Route { device: 0, ..whole };
    assert_eq!(nexthop(&group, whole, &mut members), None);
    assert_eq!(members, [1, 2]);
    let crowd: Vec<u8> = (0..100).flat_map(member).collect();
    nexthop(&object(&[(NHA_GROUP, &crowd)]), whole, &mut members);
    assert_eq!(members.len(), NEXTHOPS_MAX);
    for end in 0..single.len() {
        let _ = nexthop(&single[..end], whole, &mut members);
    }
}

#[test]
fn no_bytes_panic() {
    let (message, [_, second]) = over_two_ways();
    let whole = bytes(&message);
    for end in 0..=whole.len() {
        for at in 0..end {
            for byte in [0, 1, 3, 5, 7, 0x7f, 0xff] {
                let mut cut = whole[..end].to_vec();
                cut[at] = byte;
                for kind in libc::RTM_NEWLINK..=libc::RTM_DELRULE {
                    let _ = news(kind, 0, &cut);
                }
                let mut count = 0;
                hops(&cut, &mut |_| count += 1);
                assert!(count <= 2, "no way is told twice: {cut:?}");
                let _ = nexthop(&cut, second, &mut Members::new());
            }
        }
    }
}

#[test]
fn a_prefix_length_out_of_range_is_no_panic() {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 33;
    assert_eq!(route(&bytes(&message)), None);
}
