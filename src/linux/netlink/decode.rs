//! Message → what it tells of.

use core::net::IpAddr;

use nix::libc;
use rtnetlink::packet_core::NLM_F_REPLACE;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope,
};
use rtnetlink::packet_route::link::{LinkFlags, LinkHeader};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteType, RouteVia,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use crate::config::{DeviceName, Mark, PROTOCOL};
use crate::linux::mirror::{News, Object};
use crate::linux::netlink::body::{Body, Thing};
use crate::linux::objects::{Address, Link, Route, RouteKind, Rule, RuleVerdict, Selector};
use crate::net::{Family, Metric, Prefix};

/// What an event says. None: it lacks what every such message has.
pub(super) fn news(body: &Body, flags: u16) -> Option<News> {
    let object = object(body)?;
    Some(match body.kind {
        libc::RTM_NEWROUTE if flags & NLM_F_REPLACE != 0 => News::Replaces(object),
        libc::RTM_DELLINK | libc::RTM_DELADDR | libc::RTM_DELROUTE | libc::RTM_DELRULE => {
            News::Gone(object)
        }
        _ => News::Is(object),
    })
}

/// The thing that a message tells of.
pub(super) fn object(body: &Body) -> Option<Object> {
    Some(match &body.thing {
        Thing::Link(header, name) => Object::Link(link(header, name)?),
        Thing::Address(message) => Object::Address(address(message)?),
        Thing::Route(message) => {
            let (route, nexthop) = route(message)?;
            Object::Route(route, nexthop)
        }
        Thing::Rule(message) => Object::Rule(rule(message)?),
    })
}

fn link(header: &LinkHeader, name: &str) -> Option<Link> {
    Some(Link {
        index: header.index,
        name: DeviceName::try_from(name).ok()?,
        up: header.flags.contains(LinkFlags::Up),
        carrier: header.flags.contains(LinkFlags::LowerUp),
        point_to_point: header.flags.contains(LinkFlags::Pointopoint),
    })
}

/// `IFA_LOCAL` is our address when there is one, and `IFA_ADDRESS` then the peer's (linux/if_addr.h).
fn address(message: &AddressMessage) -> Option<Address> {
    let header = &message.header;
    let mut flags = AddressFlags::from_bits_retain(u32::from(header.flags.bits()));
    let (mut address, mut local) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(value) => address = Some(*value),
            AddressAttribute::Local(value) => local = Some(*value),
            AddressAttribute::Flags(value) => flags = *value,
            _ => {}
        }
    }
    let own = local.or(address)?;
    let tentative =
        flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    let unfit = flags.intersects(AddressFlags::Dadfailed | AddressFlags::Deprecated);
    let near = matches!(
        header.scope,
        AddressScope::Link | AddressScope::Host | AddressScope::Nowhere
    );
    Some(Address {
        device: header.index,
        prefix: prefix(own, header.prefix_len)?,
        peer: address.filter(|peer| *peer != own),
        usable: !tentative && !unfit && !near,
        secondary: flags.contains(AddressFlags::Secondary),
    })
}

/// The route, and whether a nexthop object holds its way.
fn route(message: &RouteMessage) -> Option<(Route, bool)> {
    let header = &message.header;
    let family = family(header.address_family)?;
    let nothing = unspecified(family);
    let mut nexthop = false;
    let mut first = None;
    let mut destination = nothing;
    let mut from = None;
    let mut route = Route {
        table: u32::from(header.table),
        destination: prefix(nothing, 0)?,
        metric: Metric(0),
        protocol: header.protocol.into(),
        kind: match header.kind {
            RouteType::Unicast => RouteKind::Unicast,
            _ => RouteKind::Other,
        },
        device: 0,
        gateway: None,
        source: None,
        onlink: header.flags.contains(RouteFlags::Onlink),
        from: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(metric) => route.metric = Metric(*metric),
            RouteAttribute::Oif(device) => route.device = *device,
            RouteAttribute::Destination(address) => destination = ip(address)?,
            RouteAttribute::Source(address) => from = Some(ip(address)?),
            RouteAttribute::Gateway(address) => route.gateway = Some(ip(address)?),
            RouteAttribute::Via(RouteVia::Inet(address)) => route.gateway = Some((*address).into()),
            RouteAttribute::Via(RouteVia::Inet6(address)) => {
                route.gateway = Some((*address).into());
            }
            RouteAttribute::PrefSource(address) => route.source = Some(ip(address)?),
            RouteAttribute::MultiPath(ways) => {
                route.kind = RouteKind::Multipath;
                first = ways.first();
            }
            RouteAttribute::NhId(_) => nexthop = true,
            _ => {}
        }
    }
    route.destination = prefix(destination, header.destination_prefix_length)?;
    route.from = match header.source_prefix_length {
        0 => None,
        length => Some(prefix(from.unwrap_or(nothing), length)?),
    };
    if route.kind == RouteKind::Multipath {
        // In IPv6 the protocol is that of the first way only: then it is ours, and others have joined it.
        let ours = family == Family::V6 && route.protocol == PROTOCOL;
        (route.device, route.gateway) = first.filter(|_| ours).map_or((0, None), way);
    } else if route.kind == RouteKind::Other {
        // IPv6 hangs these on `lo`.
        route.device = 0;
    }
    Some((route, nexthop))
}

/// Device and gateway of one way of several.
fn way(way: &RouteNextHop) -> (u32, Option<IpAddr>) {
    let gateway = way.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        _ => None,
    });
    (way.interface_index, gateway)
}

fn rule(message: &RuleMessage) -> Option<Rule> {
    let header = &message.header;
    let family = family(header.family)?;
    let mut table = u32::from(header.table);
    let (mut pref, mut protocol, mut specific, mut vague) = (0, 0, false, false);
    let (mut mark, mut mask) = (0, 0);
    let (mut source, mut oif) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(value) => pref = *value,
            RuleAttribute::Protocol(value) => protocol = u8::from(*value),
            RuleAttribute::Table(value) => table = *value,
            RuleAttribute::FwMark(value) => mark = *value,
            RuleAttribute::FwMask(value) => mask = *value,
            RuleAttribute::Source(value) => source = Some(*value),
            RuleAttribute::Oifname(name) => oif = Some(DeviceName::try_from(name.as_str()).ok()?),
            // The kernel always says this; -1 is none.
            RuleAttribute::SuppressPrefixLen(0) => specific = true,
            RuleAttribute::SuppressPrefixLen(u32::MAX)
            | RuleAttribute::SuppressIfGroup(u32::MAX) => {}
            _ => vague = true,
        }
    }
    vague |= header.tos != 0 || header.dst_len != 0 || header.flags.contains(RuleFlags::Invert);
    let from = match header.src_len {
        0 => None,
        length => Some(prefix(source.unwrap_or(unspecified(family)), length)?),
    };
    let mark = (mark != 0 || mask != 0).then_some(Mark { value: mark, mask });
    Some(Rule {
        family,
        pref,
        protocol,
        selector: match (vague, mark, from, oif) {
            (false, None, None, None) => Selector::All,
            (false, Some(mark), None, None) => Selector::Mark(mark),
            (false, None, Some(from), None) => Selector::From(from),
            (false, None, None, Some(device)) => Selector::Oif(device),
            _ => Selector::Foreign,
        },
        verdict: match header.action {
            RuleAction::ToTable if specific => RuleVerdict::LookupSpecific(table),
            RuleAction::ToTable => RuleVerdict::Lookup(table),
            RuleAction::Unreachable => RuleVerdict::Unreachable,
            _ => RuleVerdict::Foreign,
        },
    })
}

fn family(family: AddressFamily) -> Option<Family> {
    match family {
        AddressFamily::Inet => Some(Family::V4),
        AddressFamily::Inet6 => Some(Family::V6),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// None when the length is no prefix length of the family.
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
    use super::*;

    #[test]
    fn an_address_with_a_peer_is_the_local_one() {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = 32;
        message.attributes = vec![
            AddressAttribute::Address("192.0.2.1".parse().unwrap()),
            AddressAttribute::Local("198.51.100.7".parse().unwrap()),
        ];
        let address = address(&message).unwrap();
        assert_eq!(address.prefix, "198.51.100.7/32".parse().unwrap());
        assert_eq!(address.peer, Some("192.0.2.1".parse().unwrap()));
        assert!(address.usable);
    }

    #[test]
    fn tentative_deprecated_and_near_addresses_are_unfit() {
        let usable = |flags, scope| {
            let mut message = AddressMessage::default();
            message.header.scope = scope;
            message.attributes = vec![
                AddressAttribute::Address("2001:db8::1".parse().unwrap()),
                AddressAttribute::Flags(flags),
            ];
            address(&message).unwrap().usable
        };
        assert!(usable(AddressFlags::empty(), AddressScope::Universe));
        assert!(!usable(AddressFlags::empty(), AddressScope::Link));
        assert!(!usable(AddressFlags::Deprecated, AddressScope::Universe));
        assert!(!usable(AddressFlags::Tentative, AddressScope::Universe));
        let optimistic = AddressFlags::Tentative | AddressFlags::Optimistic;
        assert!(usable(optimistic, AddressScope::Universe));
    }

    #[test]
    fn a_selection_that_we_never_make_is_foreign() {
        let mut message = RuleMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.action = RuleAction::ToTable;
        message.attributes = vec![RuleAttribute::Table(176), RuleAttribute::FwMark(1)];
        let selector = |message: &RuleMessage| rule(message).unwrap().selector;
        assert!(matches!(selector(&message), Selector::Mark(_)));
        message
            .attributes
            .push(RuleAttribute::Iifname("lan0".into()));
        assert_eq!(selector(&message), Selector::Foreign);
    }

    #[test]
    fn a_prefix_length_out_of_range_is_no_panic() {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.destination_prefix_length = 33;
        assert_eq!(route(&message), None);
    }
}
