//! Which messages concern us, told from their bytes alone, before anything is decoded.

use nix::libc;
use rtnetlink::packet_core::{NLM_F_REPLACE, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN};

use crate::routing::mirror::Kinds;
use crate::types::{PROTOCOL, TABLE_MAIN};

/// The length of a message's header (`struct nlmsghdr`).
const HEADER: usize = 16;
const RTM_NEWLINK: u16 = libc::RTM_NEWLINK;
const RTM_DELLINK: u16 = libc::RTM_DELLINK;
const RTM_NEWADDR: u16 = libc::RTM_NEWADDR;
const RTM_DELADDR: u16 = libc::RTM_DELADDR;
const RTM_NEWROUTE: u16 = libc::RTM_NEWROUTE;
const RTM_DELROUTE: u16 = libc::RTM_DELROUTE;
const RTM_NEWRULE: u16 = libc::RTM_NEWRULE;
const RTM_DELRULE: u16 = libc::RTM_DELRULE;
// linux/rtnetlink.h; since Linux 5.3
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;
const INET: u8 = 2;
const INET6: u8 = 10;

/// What kinds of things a message of this type may have told of.
pub(super) fn kinds_of(message_type: u16) -> Kinds {
    match message_type {
        RTM_NEWLINK | RTM_DELLINK => Kinds::LINKS,
        RTM_NEWADDR | RTM_DELADDR => Kinds::ADDRESSES,
        RTM_NEWROUTE | RTM_DELROUTE => Kinds::ROUTES,
        RTM_NEWRULE | RTM_DELRULE => Kinds::RULES,
        _ => Kinds::ALL,
    }
}

/// The first message of a datagram (`struct nlmsghdr`, linux/netlink.h), and how far it is to the next one; none when it
/// is not whole.
pub(super) fn first_message(datagram: &[u8]) -> Option<(&[u8], usize)> {
    let length = datagram.first_chunk::<4>()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let message = datagram.get(..length).filter(|_| length >= HEADER)?;
    Some((message, length.next_multiple_of(4).min(datagram.len())))
}

/// A message's type.
pub(super) fn kind(message: &[u8]) -> u16 {
    u16_at(message, 4)
}

/// A message's flags.
pub(super) fn flags(message: &[u8]) -> u16 {
    u16_at(message, 6)
}

/// Whether a message says that a nexthop object has changed or gone.
pub(super) fn is_nexthop(message: &[u8]) -> bool {
    matches!(kind(message), RTM_NEWNEXTHOP | RTM_DELNEXTHOP)
}

fn u16_at(message: &[u8], offset: usize) -> u16 {
    match message.get(offset..offset + 2) {
        Some(&[a, b]) => u16::from_ne_bytes([a, b]),
        _ => 0,
    }
}

/// Whether anybody wants to know of a message; cheap, since a router with a full Internet table sends a million others.
pub(super) fn concerns_us(message: &[u8]) -> bool {
    let body = &message[HEADER..];
    let Some(&family) = body.first() else {
        return kind(message) == NLMSG_DONE;
    };
    let inet = family == INET || family == INET6;
    match kind(message) {
        NLMSG_ERROR | NLMSG_DONE | NLMSG_OVERRUN => true,
        // A bridge tells of its ports by the same types, in another family: a port that leaves is not gone.
        RTM_NEWLINK | RTM_DELLINK => family == 0,
        RTM_NEWADDR | RTM_DELADDR | RTM_NEWRULE | RTM_DELRULE => inet,
        RTM_NEWROUTE | RTM_DELROUTE => inet && route_concerns_us(message),
        _ => false,
    }
}

/// `struct rtmsg`, linux/rtnetlink.h.
fn route_concerns_us(message: &[u8]) -> bool {
    const RTM_F_CLONED: u32 = 0x200;
    let Some(
        &[
            _,
            destination_length,
            _,
            tos,
            table,
            protocol,
            _,
            _,
            ref bits @ ..,
        ],
    ) = message[HEADER..].first_chunk::<12>()
    else {
        return true; // not readable: let the decoder say so
    };
    // A cache entry is no route. A route for one type of service is none for the traffic at large.
    if tos != 0 || u32::from_ne_bytes(*bits) & RTM_F_CLONED != 0 {
        return false;
    }
    // A foreign route that replaces one of ours concerns us; in `main` only our default routes can be hit.
    let replaces = flags(message) & NLM_F_REPLACE != 0
        && kind(message) == RTM_NEWROUTE
        && u32::from(table) != TABLE_MAIN;
    destination_length == 0 || protocol == PROTOCOL || replaces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes
    }

    fn route(destination_length: u8, tos: u8, table: u8, protocol: u8) -> [u8; 12] {
        [
            INET,
            destination_length,
            0,
            tos,
            table,
            protocol,
            0,
            1,
            0,
            0,
            0,
            0,
        ]
    }

    #[test]
    fn of_a_full_table_only_default_routes_and_ours_pass() {
        let passes = |flags, body: [u8; 12]| concerns_us(&message(RTM_NEWROUTE, flags, &body));
        assert!(passes(0, route(0, 0, 254, 186)));
        assert!(passes(0, route(24, 0, 0, PROTOCOL)));
        assert!(!passes(0, route(24, 0, 254, 186)));
        assert!(!passes(NLM_F_REPLACE, route(24, 0, 254, 186)), "in main");
        assert!(
            passes(NLM_F_REPLACE, route(24, 0, 0, 4)),
            "may replace ours"
        );
        assert!(!passes(0, route(0, 16, 254, 4)), "for one type of service");
    }

    #[test]
    fn a_bridge_port_that_leaves_is_not_a_device_that_is_gone() {
        assert!(concerns_us(&message(RTM_DELLINK, 0, &[0; 16])));
        let mut bridge = [0; 16];
        bridge[0] = 7;
        assert!(!concerns_us(&message(RTM_DELLINK, 0, &bridge)));
    }

    #[test]
    fn datagrams_are_cut_into_messages_and_a_bad_length_ends_them() {
        let mut datagram = message(RTM_NEWLINK, 0, &[0; 5]);
        datagram.extend([0; 3]); // padding
        datagram.extend(message(RTM_NEWADDR, 0, &[INET; 8]));
        let (first, step) = first_message(&datagram).unwrap();
        assert_eq!((first.len(), step), (21, 24));
        let (second, step) = first_message(&datagram[step..]).unwrap();
        assert_eq!((second.len(), step), (24, 24));
        assert_eq!(first_message(&datagram[..20]), None, "cut off");
        assert_eq!(first_message(&[15, 0, 0, 0, 0, 0]), None);
        assert_eq!(first_message(&[0; 32]), None, "would never advance");
    }
}
