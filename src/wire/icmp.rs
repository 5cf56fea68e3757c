//! ICMP and ICMPv6 echo: the probe that is sent and the answer that counts (RFC 792, RFC 4443).
//!
//! The two families' echo messages differ in their type, and in who minds the checksum; everything else stands in
//! the same place, so smoltcp's ICMPv4 view serves for both.
//!
//! Checksums: IPv4's covers the message alone; we fill it, and verify it, because the kernel hands raw sockets what it
//! has not verified. ICMPv6's covers the source address too, which routing chooses after us: the kernel fills it on
//! raw ICMPv6 sockets, and drops what is damaged before we see it (RFC 3542 section 3.1).
//!
//! The payload, 32 bytes or more (a ping without payload is dropped by some hosts):
//!
//! | bytes | what |
//! |---|---|
//! | 0..16 | the seal: a hash of bytes 16 to 31 under the path's secret key, so that no byte can be another |
//! | 16..20 | the round, big-endian |
//! | 20 | the check |
//! | 21..24 | zero |
//! | 24..32 | monotonic microseconds of sending, big-endian |
//! | 32.. | zero |

use super::seal::hash;
use smoltcp::wire::{Icmpv4Message, Icmpv4Packet, Icmpv6Message};

use crate::limits::PATH_CHECKS_MAX;
use crate::types::{Family, Instant, Round};

/// A usual probe's payload.
pub const PAYLOAD_LEN: u16 = 32;
/// The longest payload: an Ethernet's packet is full with it, in IPv4.
pub const PAYLOAD_MAX: u16 = 1472;
/// Room for a probe: a header and the payload.
pub const MESSAGE_MAX: usize = HEADER_LEN + PAYLOAD_MAX as usize;
/// Room for an answer with the longest IPv4 header, or for what counts of an error that quotes a probe.
pub const RECEIVE_LEN: usize = 60 + MESSAGE_MAX;

const HEADER_LEN: usize = 8;
const IPV6_HEADER_LEN: usize = 40;

/// What makes a path's probes its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// ICMP's identifier: NAT tells flows apart by it
    pub identifier: u16,
    /// what a stranger cannot know, and never leaves us: the key of the seals
    pub token: [u8; 16],
}

/// What a probe carries, and its answer brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// the number of the check in its path
    pub check: u8,
    /// the round asked in
    pub round: Round,
    /// when it was sent
    pub sent: Instant,
}

/// Why a received message is no answer to a probe of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// too short, too long, damaged, or holding what no probe of ours held
    Malformed,
    /// not an echo reply
    NotReply,
    /// somebody else's identifier
    Identifier,
    /// not sealed with our token: forged, changed, or of a former run
    Token,
    /// the sequence number is not the round's
    Sequence,
    /// An ICMP error that quotes a probe of ours: "destination unreachable", with its code. To be recorded, never
    /// judged: anybody can send one, and the quotation need not reach as far as the token.
    Unreachable {
        /// as RFC 792 and RFC 4443 number them
        code: u8,
    },
}

/// ICMP's numbers of one family.
pub(crate) struct Types {
    pub(crate) request: u8,
    pub(crate) reply: u8,
    pub(crate) unreachable: u8,
    /// the number of the whole in an IP header
    pub(crate) protocol: u8,
}

pub(crate) fn types(family: Family) -> Types {
    match family {
        Family::V4 => Types {
            request: Icmpv4Message::EchoRequest.into(),
            reply: Icmpv4Message::EchoReply.into(),
            unreachable: Icmpv4Message::DstUnreachable.into(),
            protocol: 1,
        },
        Family::V6 => Types {
            request: Icmpv6Message::EchoRequest.into(),
            reply: Icmpv6Message::EchoReply.into(),
            unreachable: Icmpv6Message::DstUnreachable.into(),
            protocol: 58,
        },
    }
}

/// Writes the echo request of a probe, with a payload of so many bytes. In IPv6 its checksum is 0, for the kernel to fill.
pub fn request<'b>(
    family: Family,
    identity: &Identity,
    probe: &Probe,
    size: u16,
    buffer: &'b mut [u8; MESSAGE_MAX],
) -> &'b [u8] {
    let length = HEADER_LEN + usize::from(size.clamp(PAYLOAD_LEN, PAYLOAD_MAX));
    let message = &mut buffer[..length];
    message.fill(0);
    let mut packet = Icmpv4Packet::new_unchecked(&mut *message);
    packet.set_msg_type(types(family).request.into());
    packet.set_echo_ident(identity.identifier);
    packet.set_echo_seq_no(sequence(probe.round));
    let payload = packet.data_mut();
    payload[16..20].copy_from_slice(&probe.round.0.to_be_bytes());
    payload[20] = probe.check;
    payload[24..32].copy_from_slice(&probe.sent.total_micros().to_be_bytes());
    if let Some((place, rest)) = payload.split_first_chunk_mut::<16>()
        && let Some(contents) = rest.first_chunk::<16>()
    {
        *place = seal(identity, contents);
    }
    if family == Family::V4 {
        packet.fill_checksum();
    }
    message
}

/// Reads what a raw socket received: in IPv4 with its IP header, in IPv6 without. Also the size of the payload.
///
/// That it came from the address asked, in full, and that the round was ever sent, is for the caller to check.
pub fn parse(
    family: Family,
    identity: &Identity,
    received: &[u8],
) -> Result<(Probe, u16), Rejected> {
    let message = match family {
        Family::V4 => after_ipv4_header(received).ok_or(Rejected::Malformed)?,
        Family::V6 => received,
    };
    let packet = Icmpv4Packet::new_checked(message).map_err(|_| Rejected::Malformed)?;
    let types = types(family);
    let kind = u8::from(packet.msg_type());
    if kind == types.unreachable {
        return Err(quotation(family, identity, message).unwrap_or(Rejected::NotReply));
    }
    if kind != types.reply {
        return Err(Rejected::NotReply);
    }
    if packet.echo_ident() != identity.identifier {
        return Err(Rejected::Identifier);
    }
    if packet.msg_code() != 0 || (family == Family::V4 && !packet.verify_checksum()) {
        return Err(Rejected::Malformed);
    }
    let (its_seal, contents, probe) = payload(packet.data()).ok_or(Rejected::Malformed)?;
    if !same(its_seal, &seal(identity, contents)) {
        return Err(Rejected::Token);
    }
    if packet.echo_seq_no() != sequence(probe.round) {
        return Err(Rejected::Sequence);
    }
    let size = u16::try_from(packet.data().len()).map_err(|_| Rejected::Malformed)?;
    Ok((probe, size))
}

/// The sequence number of a round: its low 16 bits.
fn sequence(round: Round) -> u16 {
    (round.0 & 0xffff) as u16
}

fn after_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    packet.get(usize::from(packet.first()? & 0xf) * 4..)
}

/// The seal of what stands behind it.
fn seal(identity: &Identity, contents: &[u8; 16]) -> [u8; 16] {
    let [one, other] = [0, 1].map(|half| hash(&identity.token, contents, half));
    (u128::from(one) << 64 | u128::from(other)).to_be_bytes()
}

/// Seal and contents of a payload; nothing when it holds what we never write.
fn payload(payload: &[u8]) -> Option<(&[u8; 16], &[u8; 16], Probe)> {
    let (seal, rest) = payload.split_first_chunk::<16>()?;
    let contents = rest.first_chunk::<16>()?;
    let (round, rest) = rest.split_first_chunk::<4>()?;
    let (&[check, zeros @ ..], rest) = rest.split_first_chunk::<4>()?;
    let (sent_us, rest) = rest.split_first_chunk::<8>()?;
    let sent_us = i64::from_be_bytes(*sent_us);
    let written_by_us = usize::from(check) < PATH_CHECKS_MAX
        && zeros == [0; 3]
        && !sent_us.is_negative()
        && rest.iter().all(|byte| *byte == 0);
    written_by_us.then_some((
        seal,
        contents,
        Probe {
            check,
            round: Round(u32::from_be_bytes(*round)),
            sent: Instant::from_micros(sent_us),
        },
    ))
}

/// Recognises an error that quotes an echo request with our identifier.
fn quotation(family: Family, identity: &Identity, error: &[u8]) -> Option<Rejected> {
    let code = *error.get(1)?;
    let quoted = error.get(HEADER_LEN..)?;
    let (protocol, message) = match family {
        Family::V4 => (*quoted.get(9)?, after_ipv4_header(quoted)?),
        Family::V6 => (*quoted.get(6)?, quoted.get(IPV6_HEADER_LEN..)?),
    };
    let types = types(family);
    let packet = Icmpv4Packet::new_checked(message).ok()?;
    let ours = protocol == types.protocol
        && u8::from(packet.msg_type()) == types.request
        && packet.echo_ident() == identity.identifier;
    ours.then_some(Rejected::Unreachable { code })
}

/// Compares in a time that does not tell where the first difference is.
fn same(a: &[u8; 16], b: &[u8; 16]) -> bool {
    a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    const OURS: Identity = Identity {
        identifier: 0x1234,
        token: *b"sixteen of bytes",
    };
    const PROBE: Probe = Probe {
        check: 2,
        round: Round(0x0005_0001),
        sent: Instant::from_micros_const(0x0102),
    };

    /// The length of a usual probe.
    const MESSAGE_LEN: usize = HEADER_LEN + PAYLOAD_LEN as usize;

    fn usual(family: Family, identity: &Identity, probe: &Probe) -> [u8; MESSAGE_LEN] {
        let mut buffer = [0xaa; MESSAGE_MAX];
        let message = request(family, identity, probe, PAYLOAD_LEN, &mut buffer);
        message.try_into().unwrap()
    }

    /// What a host makes of a request: another type, and in IPv4 the IP header before it.
    fn answer(family: Family, identity: &Identity, probe: &Probe) -> Vec<u8> {
        let mut message = usual(family, identity, probe);
        message[0] = types(family).reply;
        enclose(family, message)
    }

    fn enclose(family: Family, mut message: [u8; MESSAGE_LEN]) -> Vec<u8> {
        match family {
            Family::V4 => {
                Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
                [&ipv4_header()[..], &message].concat()
            }
            Family::V6 => message.to_vec(),
        }
    }

    fn ipv4_header() -> [u8; 20] {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[9] = 1;
        header
    }

    /// "Host unreachable" as a router sends it, quoting the header and `quoted` bytes of a request.
    fn unreachable(family: Family, identity: &Identity, quoted: usize) -> Vec<u8> {
        let sent = usual(family, identity, &PROBE);
        let quotation = &sent[..quoted];
        let mut ipv6_header = [0; 40];
        ipv6_header[6] = 58;
        match family {
            Family::V4 => {
                let error = [3, 1, 0, 0, 0, 0, 0, 0];
                [&ipv4_header()[..], &error, &ipv4_header(), quotation].concat()
            }
            Family::V6 => [&[1, 3, 0, 0, 0, 0, 0, 0], &ipv6_header[..], quotation].concat(),
        }
    }

    #[test]
    fn the_ipv4_checksum_is_that_of_rfc_1071() {
        let identity = Identity {
            identifier: 0x1234,
            token: [0; 16],
        };
        let probe = Probe {
            round: Round(1),
            ..PROBE
        };
        let message = usual(Family::V4, &identity, &probe);
        assert_eq!(message[..2], [8, 0]);
        assert_eq!(message[4..8], [0x12, 0x34, 0, 1]);
        let words = message
            .chunks(2)
            .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
        let sum = words.fold(0, |sum: u32, word| (sum + word) % 0xffff);
        assert_eq!(sum, 0, "all words together, with the carries, are all ones");
    }

    #[test]
    fn the_ipv6_checksum_is_left_to_the_kernel() {
        let message = usual(Family::V6, &OURS, &PROBE);
        assert_eq!(message[..8], [128, 0, 0, 0, 0x12, 0x34, 0, 1]);
    }

    #[test]
    fn the_payload_is_as_the_table_says() {
        let message = usual(Family::V4, &OURS, &PROBE);
        assert_ne!(message[8..24], OURS.token, "the key is never told");
        let contents = message[24..].first_chunk().unwrap();
        assert_eq!(message[8..24], seal(&OURS, contents));
        assert_eq!(message[24..32], [0, 5, 0, 1, 2, 0, 0, 0]);
        assert_eq!(message[32..], [0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn an_answer_brings_the_probe_back() {
        for family in Family::ALL {
            let received = answer(family, &OURS, &PROBE);
            assert_eq!(parse(family, &OURS, &received), Ok((PROBE, PAYLOAD_LEN)));
        }
    }

    #[test]
    fn ip_options_before_an_answer_do_not_matter() {
        let mut received = answer(Family::V4, &OURS, &PROBE);
        received[0] = 0x47;
        received.splice(20..20, [1; 8]);
        assert_eq!(
            parse(Family::V4, &OURS, &received),
            Ok((PROBE, PAYLOAD_LEN))
        );
    }

    #[test]
    fn anything_but_an_answer_to_us_is_rejected() {
        let stranger = Identity {
            identifier: 0x1235,
            ..OURS
        };
        let forger = Identity {
            token: *b"sixteen of bytez",
            ..OURS
        };
        let unknown_check = Probe { check: 8, ..PROBE };
        for family in Family::ALL {
            let rejected = |received: &[u8]| parse(family, &OURS, received).unwrap_err();
            assert_eq!(
                rejected(&answer(family, &stranger, &PROBE)),
                Rejected::Identifier
            );
            assert_eq!(rejected(&answer(family, &forger, &PROBE)), Rejected::Token);
            assert_eq!(
                rejected(&answer(family, &OURS, &unknown_check)),
                Rejected::Malformed
            );
            let ours = usual(family, &OURS, &PROBE);
            assert_eq!(rejected(&enclose(family, ours)), Rejected::NotReply);
            let mut replayed = ours;
            replayed[0] = types(family).reply;
            replayed[7] += 1;
            assert_eq!(rejected(&enclose(family, replayed)), Rejected::Sequence);
            let mut longer = answer(family, &OURS, &PROBE);
            longer.push(1);
            assert_eq!(rejected(&longer), Rejected::Malformed);
        }
    }

    #[test]
    fn a_larger_probe_comes_back_with_its_size() {
        for (family, size) in [
            (Family::V4, 33),
            (Family::V4, 1000),
            (Family::V6, PAYLOAD_MAX),
        ] {
            let mut buffer = [0xaa; MESSAGE_MAX];
            let length = request(family, &OURS, &PROBE, size, &mut buffer).len();
            assert_eq!(length, usize::from(size) + 8);
            buffer[0] = types(family).reply;
            let message = &mut buffer[..length];
            if family == Family::V4 {
                Icmpv4Packet::new_unchecked(&mut *message).fill_checksum();
            }
            let received = match family {
                Family::V4 => [&ipv4_header()[..], message].concat(),
                Family::V6 => message.to_vec(),
            };
            assert_eq!(parse(family, &OURS, &received), Ok((PROBE, size)));
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_rejected() {
        let whole = answer(Family::V4, &OURS, &PROBE);
        for len in 0..whole.len() {
            assert!(parse(Family::V4, &OURS, &whole[..len]).is_err(), "{len}");
        }
        for bit in 20 * 8..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(Family::V4, &OURS, &damaged).is_err(), "bit {bit}");
        }
        let whole = answer(Family::V6, &OURS, &PROBE);
        for len in 0..whole.len() {
            assert!(parse(Family::V6, &OURS, &whole[..len]).is_err(), "{len}");
        }
    }

    /// Also where the checksum is that of the changed message.
    #[test]
    fn no_byte_of_the_payload_can_be_another() {
        for family in Family::ALL {
            for bit in 0..8 * usize::from(PAYLOAD_LEN) {
                let mut message = usual(family, &OURS, &PROBE);
                message[0] = types(family).reply;
                message[HEADER_LEN + bit / 8] ^= 1 << (bit % 8);
                let result = parse(family, &OURS, &enclose(family, message));
                assert!(
                    matches!(result, Err(Rejected::Token | Rejected::Malformed)),
                    "bit {bit}: {result:?}"
                );
            }
        }
    }

    #[test]
    fn an_error_that_quotes_us_is_told_apart() {
        let stranger = Identity {
            identifier: 0x1235,
            ..OURS
        };
        for (family, code) in [(Family::V4, 1), (Family::V6, 3)] {
            for quoted in [8, MESSAGE_LEN] {
                let ours = unreachable(family, &OURS, quoted);
                assert_eq!(
                    parse(family, &OURS, &ours),
                    Err(Rejected::Unreachable { code })
                );
                let other = unreachable(family, &stranger, quoted);
                assert_eq!(parse(family, &OURS, &other), Err(Rejected::NotReply));
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_is_rejected(bytes in prop::collection::vec(any::<u8>(), 0..RECEIVE_LEN)) {
            for family in Family::ALL {
                prop_assert!(parse(family, &OURS, &bytes).is_err());
            }
        }

        #[test]
        fn what_begins_like_an_answer_does_not_panic(
            rest in prop::collection::vec(any::<u8>(), 0..RECEIVE_LEN),
            kind in prop::sample::select(std::vec![0_u8, 1, 3, 129]),
        ) {
            let message = [&[kind, 0, 0, 0, 0x12, 0x34, 0, 0], &OURS.token[..], &rest].concat();
            let _ = parse(Family::V6, &OURS, &message);
            let _ = parse(Family::V4, &OURS, &[&ipv4_header()[..], &message].concat());
        }

        #[test]
        fn any_probe_comes_back(check in 0..8_u8, round: u32, sent in 0..i64::MAX, identifier: u16, token: [u8; 16]) {
            let identity = Identity { identifier, token };
            let probe = Probe { check, round: Round(round), sent: Instant::from_micros(sent) };
            for family in Family::ALL {
                prop_assert_eq!(parse(family, &identity, &answer(family, &identity, &probe)), Ok((probe, PAYLOAD_LEN)));
            }
        }
    }
}
