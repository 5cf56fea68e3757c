//! Message → the object that it describes.
//!
//! Headers and flags are rtnetlink's. Of the hundreds of attributes, only those that concern us are decoded.

use core::net::IpAddr;

use nix::libc;
use rtnetlink::packet_core::{Emitable, NLM_F_REPLACE, NlasIterator};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressFlags, AddressHeader, AddressScope};
use rtnetlink::packet_route::link::{LinkFlags, LinkHeader, LinkLayerType};
use rtnetlink::packet_route::route::{RouteFlags, RouteHeader, RouteType};
use rtnetlink::packet_route::rule::{RuleAction, RuleFlags, RuleHeader};

use crate::linux::netlink::attribute::{
    self, FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_OIFNAME, FRA_PRIORITY, FRA_PROTOCOL, FRA_SRC,
    FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, RTA_NH_ID, RTA_VIA,
};
use crate::linux::netlink::prefilter::{RTM_DELNEXTHOP, RTM_NEWNEXTHOP};
use crate::routing::mirror::{News, Object};
use crate::routing::objects::{
    Address, AddressState, Link, Route, RouteKind, Rule, RuleVerdict, Selector,
};
use crate::types::{Family, Mark, Metric, PROTOCOL, Prefix};

/// The object in a message. None: it is of no kind that we watch, or lacks a mandatory attribute.
pub(super) fn news(message_type: u16, flags: u16, payload: &[u8]) -> Option<News> {
    let object = match message_type {
        libc::RTM_NEWLINK | libc::RTM_DELLINK => Object::Link(link(payload)?),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => Object::Address(address(payload)?),
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => {
            let (route, nexthop) = route(payload)?;
            Object::Route(route, nexthop)
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

/// Calls `each` with the type and the value of every attribute after the header. None: one of them is malformed, or `each`
/// could not decode it.
fn attributes(
    payload: &[u8],
    header: &impl Emitable,
    mut each: impl FnMut(u16, &[u8]) -> Option<()>,
) -> Option<()> {
    NlasIterator::new(payload.get(header.buffer_len()..)?).try_for_each(|attribute| {
        let attribute = attribute.ok()?;
        each(attribute.kind(), attribute.value())
    })
}

fn link(payload: &[u8]) -> Option<Link> {
    let header = LinkHeader::parse(payload).ok()?;
    let mut name = None;
    attributes(payload, &header, |kind, value| {
        if kind == libc::IFLA_IFNAME {
            name = Some(attribute::device(value)?);
        }
        Some(())
    })?;
    Some(Link {
        index: header.index,
        name: name?,
        up: header.flags.contains(LinkFlags::Up),
        carrier: header.flags.contains(LinkFlags::LowerUp),
        point_to_point: header.flags.contains(LinkFlags::Pointopoint),
        ethernet: header.link_layer_type == LinkLayerType::Ether,
    })
}

/// `IFA_LOCAL` is our address when there is one, and `IFA_ADDRESS` then the peer's (linux/if_addr.h).
fn address(payload: &[u8]) -> Option<Address> {
    let header = AddressHeader::parse(payload).ok()?;
    let mut flags = AddressFlags::from_bits_retain(u32::from(header.flags.bits()));
    let (mut address, mut local) = (None, None);
    attributes(payload, &header, |kind, value| {
        match kind {
            libc::IFA_ADDRESS => address = Some(attribute::address(value)?),
            libc::IFA_LOCAL => local = Some(attribute::address(value)?),
            libc::IFA_FLAGS => flags = AddressFlags::from_bits_retain(attribute::number(value)?),
            _ => {}
        }
        Some(())
    })?;
    let own = local.or(address)?;
    let near = match header.scope {
        AddressScope::Universe => false,
        AddressScope::Link | AddressScope::Host | AddressScope::Nowhere => true,
        // The kernel chooses no such one in IPv4 where there is a gateway.
        _ => own.is_ipv4(),
    };
    Some(Address {
        device: header.index,
        prefix: prefix(own, header.prefix_len)?,
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

/// The route, and whether its gateway and device are in a nexthop object.
fn route(payload: &[u8]) -> Option<(Route, bool)> {
    let header = RouteHeader::parse(payload).ok()?;
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
    attributes(payload, &header, |kind, value| {
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
                first = way(value);
            }
            RTA_NH_ID => nexthop = true,
            _ => {}
        }
        Some(())
    })?;
    route.destination = prefix(destination, header.destination_prefix_length)?;
    route.from = match header.source_prefix_length {
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
    Some((route, nexthop))
}

/// Device and gateway of the first of several nexthops (`struct rtnexthop`, linux/rtnetlink.h).
fn way(ways: &[u8]) -> Option<(u32, Option<IpAddr>)> {
    const HEADER: usize = 8;
    let length = u16::from_ne_bytes(*ways.first_chunk()?);
    let way = ways.get(..usize::from(length))?;
    let device = attribute::number(way.get(4..HEADER)?)?;
    let mut gateway = None;
    for attribute in NlasIterator::new(way.get(HEADER..)?) {
        let attribute = attribute.ok()?;
        if attribute.kind() == libc::RTA_GATEWAY {
            gateway = Some(attribute::address(attribute.value())?);
        }
    }
    Some((device, gateway))
}

fn rule(payload: &[u8]) -> Option<Rule> {
    let header = RuleHeader::parse(payload).ok()?;
    let family = family(header.family)?;
    let mut table = u32::from(header.table);
    let (mut pref, mut protocol, mut specific, mut vague) = (0, 0, false, false);
    let (mut mark, mut mask, mut target) = (0, 0, 0);
    let (mut source, mut oif) = (None, None);
    attributes(payload, &header, |kind, value| {
        match kind {
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
            RuleAction::Goto => RuleVerdict::Goto(target),
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
    use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
    use rtnetlink::packet_route::route::{
        RouteAddress, RouteAttribute, RouteMessage, RouteNextHop,
    };
    use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};

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

    #[test]
    fn no_bytes_panic() {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.attributes = vec![RouteAttribute::MultiPath(vec![RouteNextHop::default()])];
        let whole = bytes(&message);
        for end in 0..whole.len() {
            for at in 0..end {
                for byte in [0, 1, 0xff] {
                    let mut cut = whole[..end].to_vec();
                    cut[at] = byte;
                    for kind in libc::RTM_NEWLINK..=libc::RTM_DELRULE {
                        let _ = news(kind, 0, &cut);
                    }
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
