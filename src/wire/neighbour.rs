//! ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861).
//!
//! If we have no address on the link, the request has the format of duplicate address detection: RFC 5227 section 2.1.1
//! for ARP, RFC 4862 section 5.4.2 for IPv6. Hosts answer both.
//!
//! An answer has no secret: any host on the link can forge it. It tells only that the link works.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::parts::{checksum, write};
use crate::types::Family;

/// Bytes of the longest request, without the link header.
pub const QUESTION_MAX: usize = IPV6_HEADER_LEN + SOLICITATION_LEN;
/// Receive buffer for an answer, with some IPv6 options.
pub const ANSWER_MAX: usize = 128;

const ARP_LEN: usize = 28;
/// Ethernet and IPv4, with addresses of 6 and 4 bytes.
const ARP_FORMAT: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// The protocol number of ICMPv6, and its messages.
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const UNSPECIFIED: [u8; 16] = Ipv6Addr::UNSPECIFIED.octets();
/// The beginning of the group that a host listens to: the end is that of its address (RFC 4291 section 2.7.1).
const SOLICITED_NODE: [u8; 13] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
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

    fn of(parts: &[&[u8]], to: LinkAddress) -> Question {
        let mut bytes = [0; QUESTION_MAX];
        let length = write(parts, &mut bytes);
        Question { bytes, length, to }
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
    let parts: [&[u8]; 6] = [
        &ARP_FORMAT,
        &[0, 1], // a request
        &asker.link,
        &own.octets(),
        &[0; 6],
        &target.octets(),
    ];
    Question::of(&parts, [0xff; 6])
}

fn arp_reply(asker: &Asker, message: &[u8]) -> Option<Ipv4Addr> {
    let message: &[u8; ARP_LEN] = message.first_chunk()?;
    let (format, rest) = message.split_first_chunk()?;
    let (operation, rest) = rest.split_first_chunk()?;
    let (_link, rest) = rest.split_first_chunk::<6>()?;
    let (source, rest) = rest.split_first_chunk::<4>()?;
    let is_answer = *format == ARP_FORMAT && *operation == [0, 2] && rest.starts_with(&asker.link);
    is_answer.then_some(Ipv4Addr::from(*source))
}

fn solicitation(asker: &Asker, target: Ipv6Addr) -> Question {
    let own = match asker.own {
        Some(IpAddr::V6(own)) => own,
        _ => Ipv6Addr::UNSPECIFIED,
    };
    let (own, target) = (own.octets(), target.octets());
    let [.., a, b, c] = target;
    let mut bytes = [0; QUESTION_MAX];
    bytes[8..24].copy_from_slice(&own);
    bytes[24..37].copy_from_slice(&SOLICITED_NODE);
    bytes[37..40].copy_from_slice(&[a, b, c]);
    bytes[40] = SOLICITATION;
    bytes[48..64].copy_from_slice(&target);
    // RFC 4861 section 4.3: without a source address there is no option with the link-layer address.
    let length = match own {
        UNSPECIFIED => 24,
        _ => {
            bytes[64..66].copy_from_slice(&[1, 1]); // its type, and its length in units of 8 bytes
            bytes[66..].copy_from_slice(&asker.link);
            32
        }
    };
    let sum = checksum(&[&bytes[8..], &[0, length, 0, ICMPV6]]); // with the pseudo-header
    bytes[42..44].copy_from_slice(&sum.to_be_bytes());
    bytes[0] = 0x60;
    bytes[5..8].copy_from_slice(&[length, ICMPV6, HOP_LIMIT]);
    Question {
        bytes,
        length: IPV6_HEADER_LEN + usize::from(length),
        to: [0x33, 0x33, 0xff, a, b, c], // RFC 2464 section 7
    }
}

fn advertisement(message: &[u8]) -> Option<Ipv6Addr> {
    let (&[version, _, _, _, high, low, next, hops], rest) = message.split_first_chunk()?;
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let payload = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let (&[kind, code, _, _, flags, _, _, _], rest) = payload.split_first_chunk()?;
    let target: &[u8; 16] = rest.first_chunk()?;
    let pseudo_header = [0, 0, high, low, 0, 0, 0, ICMPV6];
    let is_advertisement = version >> 4 == 6
        && (next, hops) == (ICMPV6, HOP_LIMIT)
        && (kind, code) == (ADVERTISEMENT, 0)
        && checksum(&[source, destination, &pseudo_header, payload]) == 0;
    // Unsolicited advertisements go to all nodes: so do answers to a sender without an address.
    let solicited = flags & 0x40 != 0;
    let is_multicast = destination[0] == 0xff;
    (is_advertisement && (solicited || is_multicast)).then(|| Ipv6Addr::from(*target))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;
    use smoltcp::wire::{Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Packet, NdiscNeighborFlags};

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
