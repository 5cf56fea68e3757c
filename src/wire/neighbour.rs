//! ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861).
//!
//! If we have no address on the link, the request has the format of duplicate address detection: RFC 5227 section 2.1.1
//! for ARP, RFC 4862 section 5.4.2 for IPv6. Hosts answer both.
//!
//! An answer has no secret: any host on the link can forge it. It tells only that the link works.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Icmpv6Message, Icmpv6Packet, IpProtocol,
    Ipv6Packet, NdiscNeighborFlags,
};

use crate::types::Family;

/// Bytes of the longest request, without the link header.
pub const QUESTION_MAX: usize = IPV6_HEADER_LEN + SOLICITATION_LEN;
/// Receive buffer for an answer, with some IPv6 options.
pub const ANSWER_MAX: usize = 128;

const ARP_LEN: usize = 28;
const IPV6_HEADER_LEN: usize = 40;
/// Length of a solicitation with one option, our link-layer address.
const SOLICITATION_LEN: usize = 24 + 8;
/// RFC 4861 section 7.1.2: a message that a router forwarded has less.
const HOP_LIMIT: u8 = 255;

/// An Ethernet address.
pub type LinkAddress = [u8; 6];

/// The sender of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// the device's link-layer address
    pub link: LinkAddress,
    /// our address on the device, if it has one of the family
    pub own: Option<IpAddr>,
}

/// A request, and its destination on the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    bytes: [u8; QUESTION_MAX],
    length: usize,
    /// the destination's link-layer address
    pub to: LinkAddress,
}

impl Question {
    /// Its bytes, without the link header.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The request for the neighbour with this address.
pub fn question(asker: &Asker, target: IpAddr) -> Question {
    match target {
        IpAddr::V4(target) => arp_request(asker, target),
        IpAddr::V6(target) => solicitation(asker, target),
    }
}

/// The address of the neighbour that answers; none if the message is no answer to us.
pub fn answer(family: Family, asker: &Asker, message: &[u8]) -> Option<IpAddr> {
    match family {
        Family::V4 => arp_reply(asker, message).map(IpAddr::V4),
        Family::V6 => advertisement(message).map(IpAddr::V6),
    }
}

fn arp_request(asker: &Asker, target: Ipv4Addr) -> Question {
    let own = match asker.own {
        Some(IpAddr::V4(own)) => own,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(asker.link),
        source_protocol_addr: own,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut bytes = [0; QUESTION_MAX];
    repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[..ARP_LEN]));
    Question {
        bytes,
        length: ARP_LEN,
        to: EthernetAddress::BROADCAST.0,
    }
}

fn arp_reply(asker: &Asker, message: &[u8]) -> Option<Ipv4Addr> {
    let packet = ArpPacket::new_checked(message).ok()?;
    match ArpRepr::parse(&packet).ok()? {
        ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_protocol_addr,
            target_hardware_addr,
            ..
        } if target_hardware_addr.0 == asker.link => Some(source_protocol_addr),
        _ => None,
    }
}

fn solicitation(asker: &Asker, target: Ipv6Addr) -> Question {
    let own = match asker.own {
        Some(IpAddr::V6(own)) => own,
        _ => Ipv6Addr::UNSPECIFIED,
    };
    // RFC 4861 section 4.3: without a source address there is no option with the link-layer address.
    let length = if own.is_unspecified() {
        24
    } else {
        SOLICITATION_LEN
    };
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    );
    let mut bytes = [0; QUESTION_MAX];
    let mut packet = Ipv6Packet::new_unchecked(&mut bytes[..IPV6_HEADER_LEN + length]);
    packet.set_version(6);
    #[allow(clippy::cast_possible_truncation)] // 24 or 32
    packet.set_payload_len(length as u16);
    packet.set_next_header(IpProtocol::Icmpv6);
    packet.set_hop_limit(HOP_LIMIT);
    packet.set_src_addr(own);
    packet.set_dst_addr(group);
    let mut message = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.set_msg_type(Icmpv6Message::NeighborSolicit);
    message.set_target_addr(target);
    if let Some((head, address)) = message.payload_mut().split_first_chunk_mut::<2>() {
        *head = [1, 1]; // source link-layer address; length in units of 8 bytes
        address.copy_from_slice(&asker.link);
    }
    message.fill_checksum(&own, &group);
    Question {
        bytes,
        length: IPV6_HEADER_LEN + length,
        to: [0x33, 0x33, 0xff, a, b, c], // RFC 2464 section 7
    }
}

fn advertisement(message: &[u8]) -> Option<Ipv6Addr> {
    let packet = Ipv6Packet::new_checked(message).ok()?;
    if packet.version() != 6
        || packet.next_header() != IpProtocol::Icmpv6
        || packet.hop_limit() != HOP_LIMIT
    {
        return None;
    }
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let message = Icmpv6Packet::new_checked(packet.payload()).ok()?;
    let is_advertisement = message.msg_type() == Icmpv6Message::NeighborAdvert
        && message.msg_code() == 0
        && message.verify_checksum(&source, &destination);
    // Unsolicited advertisements go to all nodes: so do answers to a sender without an address.
    let solicited = message.msg_type() == Icmpv6Message::NeighborAdvert
        && message
            .neighbor_flags()
            .contains(NdiscNeighborFlags::SOLICITED);
    (is_advertisement && (solicited || destination.is_multicast())).then(|| message.target_addr())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const LINK: LinkAddress = [2, 0, 0, 0, 0, 7];
    const NEIGHBOUR: LinkAddress = [2, 0, 0, 0, 0, 9];

    fn asker(own: &str) -> Asker {
        Asker {
            link: LINK,
            own: own.parse().ok(),
        }
    }

    /// The neighbour's answer to a request.
    fn arp_answer(question: &Question) -> Vec<u8> {
        let mut message = question.bytes().to_vec();
        let (sender, target) = (message[8..18].to_vec(), message[24..28].to_vec());
        message[7] = 2;
        message[8..14].copy_from_slice(&NEIGHBOUR);
        message[14..18].copy_from_slice(&target);
        message[18..28].copy_from_slice(&sender);
        message
    }

    fn advertise(source: Ipv6Addr, destination: Ipv6Addr, target: Ipv6Addr, flags: u8) -> Vec<u8> {
        let mut bytes = [0; IPV6_HEADER_LEN + 24];
        let mut packet = Ipv6Packet::new_unchecked(&mut bytes[..]);
        packet.set_version(6);
        packet.set_payload_len(24);
        packet.set_next_header(IpProtocol::Icmpv6);
        packet.set_hop_limit(HOP_LIMIT);
        packet.set_src_addr(source);
        packet.set_dst_addr(destination);
        let mut message = Icmpv6Packet::new_unchecked(packet.payload_mut());
        message.set_msg_type(Icmpv6Message::NeighborAdvert);
        message.set_neighbor_flags(NdiscNeighborFlags::from_bits_truncate(flags));
        message.set_target_addr(target);
        message.fill_checksum(&source, &destination);
        bytes.to_vec()
    }

    #[test]
    fn an_arp_request_is_as_rfc_826_has_it() {
        let asked = question(&asker("192.0.2.7"), "192.0.2.1".parse().unwrap());
        let expected =
            b"\0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x07\xc0\0\x02\x07\0\0\0\0\0\0\xc0\0\x02\x01";
        assert_eq!(asked.bytes(), expected);
        assert_eq!(asked.to, [0xff; 6]);
        let asked = question(&asker(""), "192.0.2.1".parse().unwrap());
        assert_eq!(asked.bytes()[14..18], [0; 4]);
    }

    #[test]
    fn an_arp_reply_to_us_has_the_neighbours_address() {
        for own in ["192.0.2.7", ""] {
            let (asker, target) = (asker(own), "192.0.2.1".parse().unwrap());
            let asked = question(&asker, target);
            let reply = arp_answer(&asked);
            assert_eq!(answer(Family::V4, &asker, &reply), Some(target));
            let mut padded = reply.clone();
            padded.extend([0; 18]); // to the minimum length of Ethernet
            assert_eq!(answer(Family::V4, &asker, &padded), Some(target));
            assert_eq!(answer(Family::V4, &asker, asked.bytes()), None, "a request");
            for (at, what) in [
                (23, "to another"),
                (5, "of another length"),
                (3, "of another protocol"),
            ] {
                let mut other = reply.clone();
                other[at] ^= 1;
                assert_eq!(answer(Family::V4, &asker, &other), None, "{what}");
            }
            for length in 0..reply.len() {
                assert_eq!(answer(Family::V4, &asker, &reply[..length]), None);
            }
        }
    }

    #[test]
    fn a_solicitation_is_as_rfc_4861_has_it() {
        let asked = question(&asker("fe80::7"), "2001:db8::12:3456".parse().unwrap());
        assert_eq!(asked.to, [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        let packet = Ipv6Packet::new_checked(asked.bytes()).unwrap();
        assert_eq!(
            packet.dst_addr(),
            "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap()
        );
        assert_eq!((packet.hop_limit(), packet.payload_len()), (255, 32));
        let message = Icmpv6Packet::new_checked(packet.payload()).unwrap();
        assert!(message.verify_checksum(&packet.src_addr(), &packet.dst_addr()));
        assert_eq!(packet.payload()[24..], [1, 1, 2, 0, 0, 0, 0, 7]);
        let asked = question(&asker(""), "2001:db8::1".parse().unwrap());
        assert_eq!(asked.bytes().len(), 64);
        assert!(asked.bytes()[8..24].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn an_advertisement_has_the_neighbours_address() {
        let (us, them): (Ipv6Addr, Ipv6Addr) =
            ("fe80::7".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let all: Ipv6Addr = "ff02::1".parse().unwrap();
        let told = |message: &[u8]| answer(Family::V6, &asker("fe80::7"), message);
        let solicited = advertise(them, us, them, 0x40);
        assert_eq!(told(&solicited), Some(them.into()));
        assert_eq!(told(&advertise(them, all, them, 0)), Some(them.into()));
        assert_eq!(told(&advertise(them, us, them, 0)), None);
        for (at, what) in [
            (0, "of another version"),
            (7, "came over a router"),
            (6, "no ICMPv6"),
            (40, "another message"),
            (41, "another code"),
            (60, "damaged"),
        ] {
            let mut other = solicited.clone();
            other[at] ^= 0x11;
            assert_eq!(told(&other), None, "{what}");
        }
        for length in 0..solicited.len() {
            assert_eq!(told(&solicited[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(message in prop::collection::vec(any::<u8>(), 0..ANSWER_MAX), head in 0_usize..70) {
            for family in Family::ALL {
                let _ = answer(family, &asker(""), &message);
            }
            let them: Ipv6Addr = "2001:db8::1".parse().unwrap();
            let mut good = advertise(them, them, them, 0x40);
            good.truncate(head);
            good.extend(&message);
            let _ = answer(Family::V6, &asker(""), &good);
        }
    }
}
