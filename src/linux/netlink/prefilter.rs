//! Selects the messages that concern us, by a few bytes, before they are decoded.

use nix::libc;
use rtnetlink::packet_core::NLM_F_REPLACE;

use crate::linux::netlink::socket::Message;
use crate::routing::asked::is_wide;
use crate::routing::mirror::Kinds;
use crate::types::{Family, PROTOCOL, TABLE_MAIN};

const RTM_NEWLINK: u16 = libc::RTM_NEWLINK;
const RTM_DELLINK: u16 = libc::RTM_DELLINK;
const RTM_NEWADDR: u16 = libc::RTM_NEWADDR;
const RTM_DELADDR: u16 = libc::RTM_DELADDR;
const RTM_NEWROUTE: u16 = libc::RTM_NEWROUTE;
const RTM_DELROUTE: u16 = libc::RTM_DELROUTE;
const RTM_NEWRULE: u16 = libc::RTM_NEWRULE;
const RTM_DELRULE: u16 = libc::RTM_DELRULE;
// linux/rtnetlink.h; since Linux 5.3
pub(super) const RTM_NEWNEXTHOP: u16 = 104;
pub(super) const RTM_DELNEXTHOP: u16 = 105;
pub(super) const RTM_GETNEXTHOP: u16 = 106;
pub(super) const INET: u8 = 2;
pub(super) const INET6: u8 = 10;

/// The kinds of objects that a message of this type may concern.
pub(super) fn kinds_of(message_type: u16) -> Kinds {
    match message_type {
        RTM_NEWLINK | RTM_DELLINK => Kinds::LINKS,
        RTM_NEWADDR | RTM_DELADDR => Kinds::ADDRESSES,
        RTM_NEWROUTE | RTM_DELROUTE => Kinds::ROUTES,
        RTM_NEWRULE | RTM_DELRULE => Kinds::RULES,
        _ => Kinds::ALL,
    }
}

/// Whether a message concerns a watched object. It is cheap, because a full Internet table causes a million other messages.
pub(super) fn concerns_us(message: &Message<'_>) -> bool {
    // All bodies begin with a family.
    let Some(&family) = message.payload().first() else {
        return false;
    };
    let inet = family == INET || family == INET6;
    match message.message_type() {
        // A bridge reports its ports by the same types, in another family: a port that leaves it is not deleted.
        // IPv6 reports its parameters of a device by the same type.
        RTM_NEWLINK => family == 0 || family == INET6,
        RTM_DELLINK => family == 0,
        RTM_NEWADDR | RTM_DELADDR | RTM_NEWRULE | RTM_DELRULE => inet,
        RTM_NEWROUTE | RTM_DELROUTE => inet && route_concerns_us(message),
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => true,
        _ => false,
    }
}

/// `struct rtmsg`, linux/rtnetlink.h.
fn route_concerns_us(message: &Message<'_>) -> bool {
    const RTM_F_CLONED: u32 = 0x200;
    let Some(
        &[
            family,
            destination_length,
            _,
            tos,
            table,
            protocol,
            _,
            _,
            ref bits @ ..,
        ],
    ) = message.payload().first_chunk::<12>()
    else {
        return true; // malformed: the decoder reports it
    };
    // Cache entries are not routes of a table. Routes for one type of service do not apply to other traffic.
    if tos != 0 || u32::from_ne_bytes(*bits) & RTM_F_CLONED != 0 {
        return false;
    }
    // A foreign route that replaces one of ours concerns us; in `main` only our default routes can be hit.
    let replaces = message.flags() & NLM_F_REPLACE != 0
        && message.message_type() == RTM_NEWROUTE
        && u32::from(table) != TABLE_MAIN;
    let family = if family == INET {
        Family::V4
    } else {
        Family::V6
    };
    destination_length == 0
        || protocol == PROTOCOL
        || replaces
        || is_wide(family, destination_length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::netlink::tests::message;

    fn passes(kind: u16, flags: u16, body: &[u8]) -> bool {
        concerns_us(&Message::new(&message(kind, flags, 0, body)))
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
        let passes = |flags, body: [u8; 12]| passes(RTM_NEWROUTE, flags, &body);
        assert!(passes(0, route(0, 0, 254, 186)));
        assert!(passes(0, route(24, 0, 0, PROTOCOL)));
        assert!(!passes(0, route(24, 0, 254, 186)));
        assert!(!passes(NLM_F_REPLACE, route(24, 0, 254, 186)), "in main");
        assert!(
            passes(NLM_F_REPLACE, route(24, 0, 0, 4)),
            "may replace ours"
        );
        assert!(passes(0, route(1, 0, 254, 4)), "half the Internet");
        assert!(!passes(0, route(0, 16, 254, 4)), "for one type of service");
    }

    #[test]
    fn a_bridge_port_that_leaves_is_not_a_device_that_is_gone() {
        assert!(passes(RTM_DELLINK, 0, &[0; 16]));
        assert!(passes(RTM_NEWLINK, 0, &[INET6; 16]));
        assert!(!passes(RTM_DELLINK, 0, &[INET6; 16]));
        let mut bridge = [0; 16];
        bridge[0] = 7;
        assert!(!passes(RTM_DELLINK, 0, &bridge));
    }
}
