//! Message → the object that it describes.
//!
//! Of the hundreds of attributes, only those that concern us are decoded.

use core::net::IpAddr;

use nix::libc;
use rtnetlink::packet_core::{NLA_ALIGNTO, NLM_F_REPLACE};
use rtnetlink::packet_route::address::AddressFlags;
use rtnetlink::packet_route::link::LinkFlags;

use crate::limits::NEXTHOPS_MAX;
use crate::linux::netlink::attribute::{
    self, ADDRESS_HEADER, FIB_RULE_INVERT, FR_ACT_GOTO, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE,
    FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_IIFNAME, FRA_OIFNAME, FRA_PRIORITY, FRA_PROTOCOL,
    FRA_SRC, FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, IFLA_ALT_IFNAME,
    IFLA_PROP_LIST, LINK_HEADER, NEXTHOP_HEADER, NHA_GATEWAY, NHA_GROUP, NHA_OIF, OWN_PACKETS,
    ROUTE_HEADER, RTA_ENCAP, RTA_ENCAP_TYPE, RTA_NH_ID, RTA_PREF, RTA_VIA, RTNH_F_ONLINK,
};
use crate::linux::netlink::prefilter::{INET, INET6, RTM_DELNEXTHOP, RTM_NEWNEXTHOP};
use crate::routing::mirror::{Aside, News, Object};
use crate::routing::objects::{
    Address, AddressState, Extras, Link, NameHash, Route, RouteKind, Rule, RuleVerdict, Selector,
};
use crate::types::{Family, Mark, Metric, PROTOCOL, Prefix};

/// The object in a message. None: it is of no kind that we watch, or lacks a mandatory attribute.
pub(super) fn news(message_type: u16, flags: u16, payload: &[u8]) -> Option<News> {
    let object = match message_type {
        libc::RTM_NEWLINK if payload.first() == Some(&INET6) => return Some(News::Parameters),
        libc::RTM_NEWLINK | libc::RTM_DELLINK => Object::Link(link(payload)?),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => Object::Address(address(payload)?),
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => {
            let (route, aside) = route(payload)?;
            Object::Route(route, aside)
        }
        libc::RTM_NEWRULE | libc::RTM_DELRULE => Object::Rule(rule(payload)?),
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => return Some(News::Nexthops),
        _ => return None,
    };
    Some(match message_type {
        libc::RTM_NEWROUTE if flags & NLM_F_REPLACE != 0 => News::Replaces(object),
        libc::RTM_DELLINK | libc::RTM_DELADDR | libc::RTM_DELROUTE | libc::RTM_DELRULE => {
            News::Gone(object)
        }
        _ => News::Is(object),
    })
}

/// Calls `each` with the type and the value of every attribute after the header, which has this length. None: one of them is
/// malformed, or `each` could not decode it.
#[inline(never)] // one for all
fn attributes(
    payload: &[u8],
    header: usize,
    each: &mut dyn FnMut(u16, &[u8]) -> Option<()>,
) -> Option<()> {
    attribute::Each(payload.get(header..)?).try_for_each(|attribute| {
        let (kind, value) = attribute?;
        each(kind, value)
    })
}

fn link(payload: &[u8]) -> Option<Link> {
    // `struct ifinfomsg` (linux/rtnetlink.h)
    let &[_, _, a, b, ref numbers @ ..] = payload.first_chunk::<LINK_HEADER>()?;
    let flags = LinkFlags::from_bits_retain(attribute::number(&numbers[4..8])?);
    let mut name = None;
    let mut altnames = heapless::Vec::new();
    attributes(payload, LINK_HEADER, &mut |kind, value| {
        match kind {
            libc::IFLA_IFNAME => name = Some(attribute::device(value)?),
            IFLA_PROP_LIST => {
                for (kind, value) in attribute::Each(value).flatten() {
                    if kind == IFLA_ALT_IFNAME {
                        let altname = NameHash::of(attribute::name(value)?);
                        let _ = altnames.push(altname); // those behind the first few are not known
                    }
                }
            }
            _ => {}
        }
        Some(())
    })?;
    Some(Link {
        index: attribute::number(&numbers[..4])?,
        name: name?,
        altnames,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        point_to_point: flags.contains(LinkFlags::Pointopoint),
        ethernet: u16::from_ne_bytes([a, b]) == libc::ARPHRD_ETHER,
    })
}

/// `IFA_LOCAL` is our address when there is one, and `IFA_ADDRESS` then the peer's (linux/if_addr.h).
fn address(payload: &[u8]) -> Option<Address> {
    // `struct ifaddrmsg` (linux/if_addr.h)
    let &[_, length, flags, scope, ref device @ ..] = payload.first_chunk::<ADDRESS_HEADER>()?;
    let mut flags = AddressFlags::from_bits_retain(flags.into());
    let (mut address, mut local) = (None, None);
    attributes(payload, ADDRESS_HEADER, &mut |kind, value| {
        match kind {
            libc::IFA_ADDRESS => address = Some(attribute::address(value)?),
            libc::IFA_LOCAL => local = Some(attribute::address(value)?),
            libc::IFA_FLAGS => flags = AddressFlags::from_bits_retain(attribute::number(value)?),
            _ => {}
        }
        Some(())
    })?;
    let own = local.or(address)?;
    let near = match scope {
        libc::RT_SCOPE_UNIVERSE => false,
        libc::RT_SCOPE_LINK.. => true,
        // The kernel chooses no such one in IPv4 where there is a gateway.
        _ => own.is_ipv4(),
    };
    Some(Address {
        device: attribute::number(device)?,
        prefix: prefix(own, length)?,
        peer: address.filter(|peer| *peer != own),
        near,
        state: state(flags),
        secondary: flags.contains(AddressFlags::Secondary),
    })
}

fn state(flags: AddressFlags) -> AddressState {
    if flags.contains(AddressFlags::Dadfailed) {
        match flags.contains(AddressFlags::Permanent) {
            true => AddressState::Duplicate,
            false => AddressState::Withdrawn,
        }
    } else if flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic) {
        AddressState::Tentative
    } else if flags.contains(AddressFlags::Deprecated) {
        AddressState::Deprecated
    } else {
        AddressState::Preferred
    }
}

fn route(payload: &[u8]) -> Option<(Route, Aside)> {
    // `struct rtmsg` (linux/rtnetlink.h)
    let &[
        family,
        length,
        from_length,
        _,
        table,
        protocol,
        _,
        kind,
        ref flags @ ..,
    ] = payload.first_chunk::<ROUTE_HEADER>()?;
    let family = self::family(family)?;
    let nothing = unspecified(family);
    let mut nexthop = None;
    let mut aside = Aside::default();
    let mut first = None;
    let mut destination = nothing;
    let mut from = None;
    let mut route = Route {
        table: table.into(),
        destination: prefix(nothing, 0)?,
        metric: Metric(0),
        protocol,
        kind: match kind {
            libc::RTN_UNICAST => RouteKind::Unicast,
            _ => RouteKind::Other,
        },
        device: 0,
        gateway: None,
        source: None,
        onlink: attribute::number(flags)? & u32::from(RTNH_F_ONLINK) != 0,
        from: None,
        extras: Extras::default(),
    };
    attributes(payload, ROUTE_HEADER, &mut |kind, value| {
        match kind {
            libc::RTA_TABLE => route.table = attribute::number(value)?,
            libc::RTA_PRIORITY => route.metric = Metric(attribute::number(value)?),
            libc::RTA_OIF => route.device = attribute::number(value)?,
            libc::RTA_DST => destination = attribute::address(value)?,
            libc::RTA_SRC => from = Some(attribute::address(value)?),
            libc::RTA_GATEWAY => route.gateway = Some(attribute::address(value)?),
            RTA_VIA => route.gateway = attribute::any_address(value),
            libc::RTA_PREFSRC => route.source = Some(attribute::address(value)?),
            libc::RTA_MULTIPATH => {
                route.kind = RouteKind::Multipath;
                first = hop(value, route, &mut Aside::default())
                    .map(|(first, _)| (first.device, first.gateway));
            }
            RTA_NH_ID => nexthop = Some(attribute::number(value)?),
            _ => carry(&mut route, &mut aside, kind, value),
        }
        Some(())
    })?;
    aside.nexthop = nexthop.is_some();
    if let Some(number) = nexthop
        && route.kind == RouteKind::Unicast
        && route.device == 0
    {
        // It does not tell the way (`net.ipv4.nexthop_compat_mode=0`).
        route.kind = RouteKind::Nexthop(number);
    }
    route.destination = prefix(destination, length)?;
    route.from = match from_length {
        0 => None,
        length => Some(prefix(from.unwrap_or(nothing), length)?),
    };
    if route.kind == RouteKind::Multipath {
        // In IPv6 the protocol is that of the first nexthop only: then it is ours, and others were added to it.
        let ours = family == Family::V6 && route.protocol == PROTOCOL;
        (route.device, route.gateway) = first.filter(|_| ours).unwrap_or((0, None));
    } else if route.kind == RouteKind::Other {
        // In IPv6 these have the device `lo`.
        route.device = 0;
    }
    Some((route, aside))
}

/// Takes in what the route carries.
fn carry(route: &mut Route, aside: &mut Aside, kind: u16, value: &[u8]) {
    let is_copied = matches!(
        kind,
        libc::RTA_METRICS | libc::RTA_FLOW | RTA_ENCAP_TYPE | RTA_ENCAP
    );
    if kind == RTA_PREF {
        route.extras.preference = value.first().copied().unwrap_or(0);
    } else if is_copied && attribute::copy(&mut aside.attributes, kind, value).is_none() {
        route.extras.number = Extras::LEFT_OUT;
    }
    if route.extras.number == Extras::LEFT_OUT {
        aside.attributes.clear();
    }
}

/// Calls `each` with every way of a route that has several, as a route of its own. Ours have none.
pub(super) fn hops(payload: &[u8], each: &mut dyn FnMut(Object)) {
    let Some((route, carried)) = route(payload).filter(|(route, _)| route.protocol != PROTOCOL)
    else {
        return;
    };
    attributes(payload, ROUTE_HEADER, &mut |kind, mut value| {
        while kind == libc::RTA_MULTIPATH && !value.is_empty() {
            let mut aside = carried.clone();
            let (hop, rest) = hop(value, route, &mut aside)?;
            each(Object::Route(hop, aside));
            value = rest;
        }
        Some(())
    });
}

/// The first of these ways of a route (`struct rtnexthop`, linux/rtnetlink.h), and the others.
fn hop<'a>(hops: &'a [u8], whole: Route, aside: &mut Aside) -> Option<(Route, &'a [u8])> {
    const HEADER: usize = 8;
    let length = usize::from(u16::from_ne_bytes(*hops.first_chunk()?));
    let hop = hops.get(..length)?;
    let mut route = Route {
        kind: RouteKind::Hop,
        device: attribute::number(hop.get(4..HEADER)?)?,
        gateway: None,
        onlink: is_onlink(*hop.get(2)?),
        ..whole
    };
    attributes(hop, HEADER, &mut |kind, value| {
        match kind {
            libc::RTA_GATEWAY => route.gateway = Some(attribute::address(value)?),
            RTA_VIA => route.gateway = attribute::any_address(value),
            _ => carry(&mut route, aside, kind, value),
        }
        Some(())
    })?;
    let rest = hops.get(length.next_multiple_of(NLA_ALIGNTO)..);
    Some((route, rest.unwrap_or_default()))
}

fn is_onlink(flags: u8) -> bool {
    flags & RTNH_F_ONLINK != 0
}

/// The members of a group of nexthop objects.
pub(super) type Members = heapless::Vec<u32, NEXTHOPS_MAX>;

/// The way of a route by a nexthop object, as a route of its own; none for a group, whose members are added.
pub(super) fn nexthop(payload: &[u8], whole: Route, members: &mut Members) -> Option<Route> {
    let mut route = Route {
        kind: RouteKind::Hop,
        onlink: is_onlink(*payload.get(4)?),
        ..whole
    };
    attributes(payload, NEXTHOP_HEADER, &mut |kind, value| {
        match kind {
            NHA_OIF => route.device = attribute::number(value)?,
            NHA_GATEWAY => route.gateway = Some(attribute::address(value)?),
            NHA_GROUP => {
                // `struct nexthop_grp`
                let numbers = value
                    .chunks_exact(8)
                    .filter_map(|one| attribute::number(&one[..4]));
                // As many as fit.
                let _ = numbers
                    .map(|number| members.push(number))
                    .all(|pushed| pushed.is_ok());
            }
            _ => {}
        }
        Some(())
    })?;
    (route.device != 0).then_some(route)
}

fn rule(payload: &[u8]) -> Option<Rule> {
    // `struct fib_rule_hdr` (linux/fib_rules.h)
    let &[
        family,
        to_length,
        from_length,
        tos,
        table,
        _,
        _,
        action,
        ref flags @ ..,
    ] = payload.first_chunk::<ROUTE_HEADER>()?;
    let family = self::family(family)?;
    let mut table = u32::from(table);
    let (mut pref, mut protocol, mut specific, mut vague) = (0, 0, false, false);
    let (mut mark, mut mask, mut target) = (0, 0, 0);
    let (mut source, mut oif, mut own) = (None, None, false);
    attributes(payload, ROUTE_HEADER, &mut |kind, value| {
        match kind {
            FRA_IIFNAME => {
                own = attribute::device(value)? == OWN_PACKETS;
                vague |= !own;
            }
            FRA_PRIORITY => pref = attribute::number(value)?,
            FRA_PROTOCOL => protocol = *value.first()?,
            FRA_TABLE => table = attribute::number(value)?,
            FRA_GOTO => target = attribute::number(value)?,
            FRA_FWMARK => mark = attribute::number(value)?,
            FRA_FWMASK => mask = attribute::number(value)?,
            FRA_SRC => source = Some(attribute::address(value)?),
            FRA_OIFNAME => oif = Some(attribute::device(value)?),
            // The kernel always sends these; -1 is none.
            FRA_SUPPRESS_PREFIXLEN | FRA_SUPPRESS_IFGROUP if value == [0xff; 4] => {}
            FRA_SUPPRESS_PREFIXLEN if value == [0; 4] => specific = true,
            _ => vague = true,
        }
        Some(())
    })?;
    vague |= tos != 0 || to_length != 0 || attribute::number(flags)? & FIB_RULE_INVERT != 0;
    let from = match from_length {
        0 => None,
        length => Some(prefix(source.unwrap_or(unspecified(family)), length)?),
    };
    let mark = (mark != 0 || mask != 0).then_some(Mark { value: mark, mask });
    Some(Rule {
        family,
        pref,
        protocol,
        selector: match (vague, own, mark, from, oif) {
            (false, false, None, None, None) => Selector::All,
            (false, false, Some(mark), None, None) => Selector::Mark(mark),
            (false, false, None, Some(from), None) => Selector::From(from),
            (false, true, None, Some(from), None) => Selector::OwnFrom(from),
            (false, false, None, None, Some(device)) => Selector::Oif(device),
            _ => Selector::Foreign,
        },
        verdict: match action {
            FR_ACT_TO_TBL if specific => RuleVerdict::LookupSpecific(table),
            FR_ACT_TO_TBL => RuleVerdict::Lookup(table),
            FR_ACT_UNREACHABLE => RuleVerdict::Unreachable,
            FR_ACT_GOTO => RuleVerdict::Goto(target),
            _ => RuleVerdict::Foreign,
        },
    })
}

fn family(family: u8) -> Option<Family> {
    match family {
        INET => Some(Family::V4),
        INET6 => Some(Family::V6),
        _ => None,
    }
}

/// None if the length is no prefix length of the family.
fn prefix(address: IpAddr, length: u8) -> Option<Prefix> {
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then(|| Prefix::new(address.into(), length))
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => core::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => core::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_core::Emitable;
    use rtnetlink::packet_route::AddressFamily;
    use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
    use rtnetlink::packet_route::route::{
        RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
        RouteRealm, RouteType,
    };
    use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

    use super::*;

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
}
