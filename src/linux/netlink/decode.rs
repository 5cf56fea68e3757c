//! Message → the object that it describes.
//!
//! Of the hundreds of attributes, only those that concern us are decoded.

mod nexthops;

use core::net::IpAddr;

use nix::libc;
use rtnetlink::packet_core::{NLA_ALIGNTO, NLM_F_REPLACE};
use rtnetlink::packet_route::address::AddressFlags;
use rtnetlink::packet_route::link::LinkFlags;

use crate::limits::NEXTHOPS_MAX;
use crate::linux::netlink::attribute::{
    self, ADDRESS_HEADER, FIB_RULE_INVERT, FR_ACT_GOTO, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, FRA_DST,
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
use nexthops::hop;
pub(super) use nexthops::{Members, hops, nexthop};

/// The object in a message. None: it is of no kind that we watch, or lacks a mandatory attribute.
pub(super) fn news(message_type: u16, flags: u16, payload: &[u8]) -> Option<News> {
    let object = match message_type {
        libc::RTM_NEWLINK if payload.first() == Some(&INET6) => return Some(News::Parameters),
        libc::RTM_NEWLINK | libc::RTM_DELLINK => link(payload)?,
        libc::RTM_NEWADDR | libc::RTM_DELADDR => address(payload)?,
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => route(payload)?,
        libc::RTM_NEWRULE | libc::RTM_DELRULE => rule(payload)?,
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

fn link(payload: &[u8]) -> Option<Object> {
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
    Some(Object::Link(Link {
        index: attribute::number(&numbers[..4])?,
        name: name?,
        altnames,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        point_to_point: flags.contains(LinkFlags::Pointopoint),
        ethernet: u16::from_ne_bytes([a, b]) == libc::ARPHRD_ETHER,
    }))
}

/// `IFA_LOCAL` is our address when there is one, and `IFA_ADDRESS` then the peer's (linux/if_addr.h).
fn address(payload: &[u8]) -> Option<Object> {
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
    let own = *local.as_ref().or(address.as_ref())?;
    let near = match scope {
        libc::RT_SCOPE_UNIVERSE => false,
        libc::RT_SCOPE_LINK.. => true,
        // The kernel chooses no such one in IPv4 where there is a gateway.
        _ => own.is_ipv4(),
    };
    Some(Object::Address(Address {
        device: attribute::number(device)?,
        prefix: prefix(own, length)?,
        peer: address.filter(|peer| *peer != own),
        near,
        state: state(flags),
        secondary: flags.contains(AddressFlags::Secondary),
    }))
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

fn route(payload: &[u8]) -> Option<Object> {
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
    let (mut destination, mut from) = (nothing, nothing);
    let mut nexthop = None;
    let mut aside = Aside::default();
    let mut first = None;
    let mut route = Route {
        table: table.into(),
        destination: prefix(nothing, 0)?,
        metric: Metric(0),
        protocol,
        kind: match kind {
            libc::RTN_UNICAST => RouteKind::Unicast,
            libc::RTN_THROW => RouteKind::Throw,
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
            libc::RTA_SRC => from = attribute::address(value)?,
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
        length => Some(prefix(from, length)?),
    };
    if route.kind == RouteKind::Multipath {
        // In IPv6 the protocol is that of the first nexthop only: then it is ours, and others were added to it.
        let ours = family == Family::V6 && route.protocol == PROTOCOL;
        (route.device, route.gateway) = first.filter(|_| ours).unwrap_or((0, None));
    } else if !route.kind.leads() {
        // In IPv6 these have the device `lo`.
        route.device = 0;
    }
    Some(Object::Route(route, aside))
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

fn rule(payload: &[u8]) -> Option<Object> {
    // `struct fib_rule_hdr` (linux/fib_rules.h)
    let &[
        family,
        mut to_length,
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
    let (mut end, mut oif, mut own) = (unspecified(family), None, false);
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
            FRA_SRC | FRA_DST => end = attribute::address(value)?,
            FRA_OIFNAME => oif = Some(attribute::device(value)?),
            // The kernel always sends these; -1 is none.
            FRA_SUPPRESS_PREFIXLEN | FRA_SUPPRESS_IFGROUP if value == [0xff; 4] => {}
            FRA_SUPPRESS_PREFIXLEN if value == [0; 4] => specific = true,
            _ => vague = true,
        }
        Some(())
    })?;
    let mut inverted = attribute::number(flags)? & FIB_RULE_INVERT != 0;
    if inverted && from_length == 0 && to_length != 0 && end.is_unspecified() {
        // Not to 0.0.0.0 or ::, which is where no packet goes: so ours are written, see `encode`.
        (inverted, to_length) = (false, 0);
    }
    vague |= tos != 0 || inverted;
    // For packets to a place, we have rules only for the router's own, from anywhere.
    vague |= to_length != 0 && (from_length != 0 || !own);
    let end = match from_length | to_length {
        0 => None,
        length => Some(prefix(end, length)?),
    };
    let mark = (mark != 0 || mask != 0).then_some(Mark { value: mark, mask });
    Some(Object::Rule(Rule {
        family,
        pref,
        protocol,
        selector: match (vague, own, mark, end, oif) {
            (false, false, None, None, None) => Selector::All,
            (false, false, Some(mark), None, None) => Selector::Mark(mark),
            (false, false, None, Some(from), None) => Selector::From(from),
            (false, true, None, Some(to), None) if to_length != 0 => Selector::OwnTo(to),
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
    }))
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
mod tests;
