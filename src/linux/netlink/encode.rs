//! A change → message.

use core::net::{Ipv4Addr, Ipv6Addr};

use nix::libc;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE};

use crate::linux::netlink::attribute::{
    ADDRESS_HEADER, FIB_RULE_INVERT, FR_ACT_GOTO, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, FRA_DST,
    FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_IIFNAME, FRA_OIFNAME, FRA_PRIORITY, FRA_PROTOCOL,
    FRA_SRC, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, LINK_HEADER, NEXTHOP_HEADER, NHA_ID, OWN_PACKETS,
    ROUTE_HEADER, RTA_PREF, RTA_VIA, RTNH_F_ONLINK, Request,
};
use crate::linux::netlink::prefilter::{INET, INET6, RTM_GETNEXTHOP};
use crate::routing::mirror::{self, Kinds};
use crate::routing::objects::{Change, Route, RouteKind, Rule, RuleVerdict, Selector};
use crate::types::{Family, Prefix};

/// The request for a change; none for an object that we never make. `extras` are the attributes that a new route carries.
pub(super) fn change(change: &Change, extras: &[u8]) -> Option<Request> {
    let create = NLM_F_ACK | NLM_F_CREATE;
    match change {
        Change::SetRoute(route) => {
            let kind = (libc::RTM_NEWROUTE, create | NLM_F_REPLACE);
            let mut request = self::route(kind, route, new_scope(route))?;
            request.add(extras);
            if route.extras.preference != 0 {
                request.attribute(RTA_PREF, &[route.extras.preference]);
            }
            Some(request)
        }
        // No scope: any. Protocol, table, metric, destination, device and gateway are compared (fib_table_delete,
        // ip6_route_del); a metric of 0 would match any.
        Change::DeleteRoute(route) => {
            let kind = (libc::RTM_DELROUTE, NLM_F_ACK);
            self::route(kind, route, libc::RT_SCOPE_NOWHERE)
        }
        Change::AddRule(rule) => self::rule((libc::RTM_NEWRULE, create | NLM_F_EXCL), rule),
        // Without `NLM_F_EXCL`, a duplicate is no error. The second half, deletion of the old rule, is a request of its own.
        Change::MoveRule(rule) => self::rule((libc::RTM_NEWRULE, create), rule),
        Change::DeleteRule(rule) => self::rule((libc::RTM_DELRULE, NLM_F_ACK), rule),
    }
}

/// The dump request for one kind, in one family if the kind has families.
pub(super) fn dump(kind: Kinds, family: Family) -> Request {
    let (kind, length) = match kind {
        Kinds::LINKS => (libc::RTM_GETLINK, LINK_HEADER),
        Kinds::ADDRESSES => (libc::RTM_GETADDR, ADDRESS_HEADER),
        Kinds::RULES => (libc::RTM_GETRULE, ROUTE_HEADER),
        _ => (libc::RTM_GETROUTE, ROUTE_HEADER),
    };
    // All begin with a family.
    let mut header = [0; LINK_HEADER];
    if kind != libc::RTM_GETLINK {
        header[0] = address_family(family);
    }
    Request::new(kind, NLM_F_DUMP, &header[..length])
}

/// The request for one device, with an ack.
pub(super) fn link(index: u32) -> Request {
    let mut header = [0; LINK_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    Request::new(libc::RTM_GETLINK, NLM_F_ACK, &header)
}

/// The request for one nexthop object, with an ack.
pub(super) fn nexthop(number: u32) -> Request {
    let mut request = Request::new(RTM_GETNEXTHOP, NLM_F_ACK, &[0; NEXTHOP_HEADER]);
    request.number(NHA_ID, number);
    request
}

/// In IPv4, a route without a gateway must have scope `link`; IPv6 has no scopes.
fn new_scope(route: &Route) -> u8 {
    match (mirror::family(route), route.gateway) {
        (Family::V4, None) => libc::RT_SCOPE_LINK,
        _ => libc::RT_SCOPE_UNIVERSE,
    }
}

/// A request of this type and with these flags (`struct rtmsg`, linux/rtnetlink.h).
fn route((kind, flags): (u16, u16), route: &Route, scope: u8) -> Option<Request> {
    if !(route.kind == RouteKind::Unicast || route.is_joined()) || route.from.is_some() {
        return None;
    }
    let family = mirror::family(route);
    let mut header = [0; ROUTE_HEADER];
    header[..8].copy_from_slice(&[
        address_family(family),
        route.destination.prefix_len(),
        0,
        0,
        small_table(route.table),
        route.protocol,
        scope,
        libc::RTN_UNICAST,
    ]);
    header[8] = if route.onlink { RTNH_F_ONLINK } else { 0 };
    let mut request = Request::new(kind, flags, &header);
    request.number(libc::RTA_TABLE, route.table);
    request.number(libc::RTA_PRIORITY, route.metric.0);
    if !mirror::is_default(route) {
        request.address(libc::RTA_DST, route.destination.address().into());
    }
    if route.device != 0 {
        request.number(libc::RTA_OIF, route.device);
    }
    match route.gateway {
        Some(gateway) if Family::of(gateway) == family => {
            request.address(libc::RTA_GATEWAY, gateway);
        }
        Some(gateway) => request.any_address(RTA_VIA, gateway),
        None => {}
    }
    if let Some(source) = route.source {
        request.address(libc::RTA_PREFSRC, source);
    }
    Some(request)
}

/// The same for a rule (`struct fib_rule_hdr`, linux/fib_rules.h).
///
/// A new rule by which specific routes come first is for all packets but those to 0.0.0.0 or ::, which the kernel never looks
/// up: `wg-quick down` deletes each rule that reads `from all lookup main suppress_prefixlength 0`, until there is none. A
/// request to delete one names no destination: it takes the rule of a former version, too.
fn rule((kind, flags): (u16, u16), rule: &Rule) -> Option<Request> {
    let (action, number) = match rule.verdict {
        RuleVerdict::Lookup(table) | RuleVerdict::LookupSpecific(table) => {
            (FR_ACT_TO_TBL, Some((FRA_TABLE, table)))
        }
        RuleVerdict::Goto(target) => (FR_ACT_GOTO, Some((FRA_GOTO, target))),
        RuleVerdict::Unreachable => (FR_ACT_UNREACHABLE, None),
        RuleVerdict::Foreign => return None,
    };
    let specific = matches!(rule.verdict, RuleVerdict::LookupSpecific(_));
    let (mut inverts, nowhere) = (0, only_unspecified(rule.family));
    let (end, to_length, length) = match &rule.selector {
        Selector::From(prefix) | Selector::OwnFrom(prefix) => {
            (Some((FRA_SRC, prefix)), 0, prefix.prefix_len())
        }
        Selector::OwnTo(prefix) => (Some((FRA_DST, prefix)), prefix.prefix_len(), 0),
        Selector::All if specific && kind == libc::RTM_NEWRULE => {
            inverts = FIB_RULE_INVERT;
            (Some((FRA_DST, &nowhere)), nowhere.prefix_len(), 0)
        }
        Selector::Foreign => return None,
        _ => (None, 0, 0),
    };
    let table = match number {
        Some((FRA_TABLE, table)) => small_table(table),
        _ => 0,
    };
    let family = address_family(rule.family);
    let mut header = [
        family, to_length, length, 0, table, 0, 0, action, 0, 0, 0, 0,
    ];
    header[8..].copy_from_slice(&inverts.to_ne_bytes());
    let mut request = Request::new(kind, flags, &header);
    request.number(FRA_PRIORITY, rule.pref);
    request.attribute(FRA_PROTOCOL, &[rule.protocol]);
    if let Some((kind, number)) = number {
        request.number(kind, number);
    }
    if specific {
        request.number(FRA_SUPPRESS_PREFIXLEN, 0);
    }
    if let Some((kind, prefix)) = end {
        request.address(kind, prefix.address().into());
    }
    match &rule.selector {
        Selector::Mark(mark) => {
            request.number(FRA_FWMARK, mark.value);
            request.number(FRA_FWMASK, mark.mask);
        }
        Selector::Oif(device) => request.name(FRA_OIFNAME, device),
        Selector::OwnFrom(_) | Selector::OwnTo(_) => request.name(FRA_IIFNAME, OWN_PACKETS),
        _ => {}
    }
    Some(request)
}

/// 0.0.0.0/32 or ::/128
fn only_unspecified(family: Family) -> Prefix {
    match family {
        Family::V4 => Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 32),
        Family::V6 => Prefix::new(Ipv6Addr::UNSPECIFIED.into(), 128),
    }
}

fn address_family(family: Family) -> u8 {
    match family {
        Family::V4 => INET,
        Family::V6 => INET6,
    }
}

/// The table in the header: 0 (unspecified) if it does not fit; then the attribute has it.
fn small_table(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkBuffer, Parseable};
    use rtnetlink::packet_route::AddressFamily;
    use rtnetlink::packet_route::route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RoutePreference,
        RouteVia,
    };
    use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

    use super::*;
    use crate::routing::objects::Extras;
    use crate::types::{Mark, Metric, PROTOCOL};

    /// The request as rtnetlink decodes it.
    fn read<T: Parseable<[u8]>>(mut request: Request) -> T {
        let message = NetlinkBuffer::new_checked(&*request.bytes().unwrap()).unwrap();
        assert_eq!(message.length() as usize, message.buffer.len());
        assert_eq!(message.port_number(), 0);
        assert_eq!(message.flags() & NLM_F_REQUEST, NLM_F_REQUEST);
        T::parse(message.payload()).unwrap()
    }

    /// `mtu 1400`
    #[cfg(target_endian = "little")]
    const METRICS: [u8; 12] = [12, 0, 8, 0, 8, 0, 2, 0, 0x78, 5, 0, 0];
    #[cfg(target_endian = "big")]
    const METRICS: [u8; 12] = [0, 12, 0, 8, 0, 8, 0, 2, 0, 0, 5, 0x78];

    #[test]
    fn a_route_is_written_as_rtnetlink_reads_it() {
        let route = Route {
            table: 17601,
            destination: "192.0.2.0/24".parse().unwrap(),
            metric: Metric(100),
            protocol: PROTOCOL,
            kind: RouteKind::Unicast,
            device: 3,
            gateway: Some("fe80::1".parse().unwrap()),
            source: Some("192.0.2.7".parse().unwrap()),
            onlink: true,
            from: None,
            extras: Extras {
                number: 1,
                preference: 3,
            },
        };
        let message: RouteMessage = read(change(&Change::SetRoute(route), &METRICS).unwrap());
        let header = &message.header;
        assert_eq!(header.address_family, AddressFamily::Inet);
        assert_eq!((header.destination_prefix_length, header.table), (24, 0));
        assert_eq!(header.flags, RouteFlags::Onlink);
        assert_eq!(u8::from(header.protocol), PROTOCOL);
        assert_eq!(
            message.attributes,
            [
                RouteAttribute::Table(17601),
                RouteAttribute::Priority(100),
                RouteAttribute::Destination(RouteAddress::Inet("192.0.2.0".parse().unwrap())),
                RouteAttribute::Oif(3),
                RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap())),
                RouteAttribute::PrefSource(RouteAddress::Inet("192.0.2.7".parse().unwrap())),
                RouteAttribute::Metrics(vec![RouteMetric::Mtu(1400)]),
                RouteAttribute::Preference(RoutePreference::Low),
            ]
        );
    }

    #[test]
    fn a_rule_is_written_as_rtnetlink_reads_it() {
        let attributes = |selector, verdict| {
            let rule = Rule {
                family: Family::V6,
                pref: 17700,
                protocol: PROTOCOL,
                selector,
                verdict,
            };
            let message: RuleMessage = read(change(&Change::AddRule(rule), &[]).unwrap());
            assert_eq!(message.header.family, AddressFamily::Inet6);
            let start = [
                RuleAttribute::Priority(17700),
                RuleAttribute::Protocol(PROTOCOL.into()),
            ];
            assert_eq!(message.attributes[..2], start);
            (message.header.action, message.attributes[2..].to_vec())
        };
        assert_eq!(
            attributes(
                Selector::OwnFrom("2001:db8::/64".parse().unwrap()),
                RuleVerdict::Lookup(176)
            ),
            (
                RuleAction::ToTable,
                vec![
                    RuleAttribute::Table(176),
                    RuleAttribute::Source("2001:db8::".parse().unwrap()),
                    RuleAttribute::Iifname("lo".into())
                ]
            )
        );
        assert_eq!(
            attributes(
                Selector::OwnTo("2001:db8::53/128".parse().unwrap()),
                RuleVerdict::Lookup(176)
            ),
            (
                RuleAction::ToTable,
                vec![
                    RuleAttribute::Table(176),
                    RuleAttribute::Destination("2001:db8::53".parse().unwrap()),
                    RuleAttribute::Iifname("lo".into())
                ]
            )
        );
        assert_eq!(
            attributes(
                Selector::Oif("eth1".try_into().unwrap()),
                RuleVerdict::LookupSpecific(254)
            ),
            (
                RuleAction::ToTable,
                vec![
                    RuleAttribute::Table(254),
                    RuleAttribute::SuppressPrefixLen(0),
                    RuleAttribute::Oifname("eth1".into())
                ]
            )
        );
        assert_eq!(
            attributes(Selector::All, RuleVerdict::Goto(32800)),
            (RuleAction::Goto, vec![RuleAttribute::Goto(32800)])
        );
        let specific = vec![
            RuleAttribute::Table(254),
            RuleAttribute::SuppressPrefixLen(0),
            RuleAttribute::Destination("::".parse().unwrap()),
        ];
        assert_eq!(
            attributes(Selector::All, RuleVerdict::LookupSpecific(254)),
            (RuleAction::ToTable, specific)
        );
        let mark = Selector::Mark(Mark {
            value: 0x100,
            mask: 0xff00,
        });
        assert_eq!(
            attributes(mark, RuleVerdict::Unreachable),
            (
                RuleAction::Unreachable,
                vec![RuleAttribute::FwMark(0x100), RuleAttribute::FwMask(0xff00)]
            )
        );
    }
}
