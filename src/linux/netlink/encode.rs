//! A change that we ask for → message.

use core::net::IpAddr;

use nix::libc;
use rtnetlink::packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkHeader, NetlinkPayload,
};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressHeader;
use rtnetlink::packet_route::link::LinkHeader;
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteScope, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};

use crate::linux::mirror::{self, Kinds};
use crate::linux::netlink::Message;
use crate::linux::netlink::body::{Body, Request};
use crate::linux::objects::{Change, Route, RouteKind, Rule, RuleVerdict, Selector};
use crate::net::Family;

/// The request of a change; none when it is for something that we never make.
pub(super) fn change(change: &Change) -> Option<Message> {
    Some(match change {
        Change::SetRoute(route) => request(
            libc::RTM_NEWROUTE,
            NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
            self::route(route, new_scope(route))?,
        ),
        // No scope: any. Protocol, table, metric, destination, device and gateway are compared (fib_table_delete,
        // ip6_route_del); a metric of 0 would match any.
        Change::DeleteRoute(route) => request(
            libc::RTM_DELROUTE,
            NLM_F_ACK,
            self::route(route, RouteScope::NoWhere)?,
        ),
        Change::AddRule(rule) => request(
            libc::RTM_NEWRULE,
            NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
            self::rule(rule)?,
        ),
        Change::DeleteRule(rule) => request(libc::RTM_DELRULE, NLM_F_ACK, self::rule(rule)?),
    })
}

/// The request to show all of one kind, in one family where the kind knows families.
pub(super) fn dump(kind: Kinds, family: Family) -> Message {
    let family = address_family(family);
    match kind {
        Kinds::LINKS => request(libc::RTM_GETLINK, NLM_F_DUMP, LinkHeader::default()),
        Kinds::ADDRESSES => {
            let header = AddressHeader {
                family,
                ..AddressHeader::default()
            };
            request(libc::RTM_GETADDR, NLM_F_DUMP, header)
        }
        Kinds::RULES => {
            let header = RuleHeader {
                family,
                ..RuleHeader::default()
            };
            request(libc::RTM_GETRULE, NLM_F_DUMP, header)
        }
        _ => {
            let header = RouteHeader {
                address_family: family,
                ..RouteHeader::default()
            };
            request(libc::RTM_GETROUTE, NLM_F_DUMP, header)
        }
    }
}

fn request(kind: u16, flags: u16, message: impl Emitable + 'static) -> Message {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let message = Box::new(message);
    let body = Body::Request(Request { kind, message });
    Message::new(header, NetlinkPayload::InnerMessage(body))
}

/// IPv4 wants the scope of a route without gateway to be the link; IPv6 has no scopes.
fn new_scope(route: &Route) -> RouteScope {
    match (mirror::family(route), route.gateway) {
        (Family::V4, None) => RouteScope::Link,
        _ => RouteScope::Universe,
    }
}

fn route(route: &Route, scope: RouteScope) -> Option<RouteMessage> {
    if !(route.kind == RouteKind::Unicast || route.is_joined()) || route.from.is_some() {
        return None;
    }
    let family = mirror::family(route);
    let mut message = RouteMessage::default();
    message.header.address_family = address_family(family);
    message.header.destination_prefix_length = route.destination.prefix_len();
    message.header.protocol = route.protocol.into();
    message.header.scope = scope;
    message.header.kind = RouteType::Unicast;
    message.header.table = small_table(route.table);
    if route.onlink {
        message.header.flags = RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.push(RouteAttribute::Priority(route.metric.0));
    if !mirror::is_default(route) {
        let address = IpAddr::from(route.destination.address());
        attributes.push(RouteAttribute::Destination(address.into()));
    }
    if route.device != 0 {
        attributes.push(RouteAttribute::Oif(route.device));
    }
    match route.gateway {
        Some(gateway) if Family::of(gateway) == family => {
            attributes.push(RouteAttribute::Gateway(gateway.into()));
        }
        Some(gateway) => attributes.push(RouteAttribute::Via(gateway.into())),
        None => {}
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    Some(message)
}

fn rule(rule: &Rule) -> Option<RuleMessage> {
    let mut message = RuleMessage::default();
    message.header.family = address_family(rule.family);
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.pref));
    attributes.push(RuleAttribute::Protocol(rule.protocol.into()));
    let table = match rule.verdict {
        RuleVerdict::Lookup(table) | RuleVerdict::LookupSpecific(table) => table,
        RuleVerdict::Unreachable => 0,
        RuleVerdict::Foreign => return None,
    };
    if table == 0 {
        message.header.action = RuleAction::Unreachable;
    } else {
        message.header.action = RuleAction::ToTable;
        message.header.table = small_table(table);
        attributes.push(RuleAttribute::Table(table));
    }
    if matches!(rule.verdict, RuleVerdict::LookupSpecific(_)) {
        attributes.push(RuleAttribute::SuppressPrefixLen(0));
    }
    match &rule.selector {
        Selector::All => {}
        Selector::Mark(mark) => {
            attributes.push(RuleAttribute::FwMark(mark.value));
            attributes.push(RuleAttribute::FwMask(mark.mask));
        }
        Selector::From(prefix) => {
            message.header.src_len = prefix.prefix_len();
            attributes.push(RuleAttribute::Source(prefix.address().into()));
        }
        Selector::Oif(device) => {
            attributes.push(RuleAttribute::Oifname(device.as_str().into()));
        }
        Selector::Foreign => return None,
    }
    Some(message)
}

fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// The header's table: 0 (unspecified) when it does not fit, and the attribute tells.
fn small_table(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(0)
}
