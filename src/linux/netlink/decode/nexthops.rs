//! The ways of a route that has several, and nexthop objects.

use super::*;

/// Calls `each` with every way of a route that has several, as a route of its own. Ours have none.
pub(in crate::linux::netlink) fn hops(payload: &[u8], each: &mut dyn FnMut(Object)) {
    let Some(Object::Route(route, carried)) = route(payload) else {
        return;
    };
    if route.protocol == PROTOCOL {
        return;
    }
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
pub(super) fn hop<'a>(
    hops: &'a [u8],
    whole: Route,
    aside: &mut Aside,
) -> Option<(Route, &'a [u8])> {
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
pub(in crate::linux::netlink) type Members = heapless::Vec<u32, NEXTHOPS_MAX>;

/// The way of a route by a nexthop object, as a route of its own; none for a group, whose members are added.
pub(in crate::linux::netlink) fn nexthop(
    payload: &[u8],
    whole: Route,
    members: &mut Members,
) -> Option<Route> {
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
