//! ICMP and ICMPv6 echo: requests and replies of probes (RFC 792, RFC 4443).
//!
//! The echo messages of the two families differ in their type and in the checksum; all other fields have the same
//! offsets: type and code, the checksum, the identifier, the sequence number.
//!
//! Checksums: in IPv4 the checksum covers only the message. It is computed and verified here, because the kernel passes
//! unverified messages to raw sockets. In ICMPv6 it also covers the source address, which the kernel chooses later: the
//! kernel computes it on raw ICMPv6 sockets, and drops damaged messages (RFC 3542 section 3.1).
//!
//! The payload has 32 bytes or more (some hosts drop pings without payload):
//!
//! | bytes | content |
//! |---|---|
//! | 0..16 | the seal: a hash of bytes 16 to 31 under the path's secret key, so that no byte can be changed |
//! | 16..20 | the round, big-endian |
//! | 20 | the check |
//! | 21..24 | zero |
//! | 24..32 | time of sending in microseconds of the monotonic clock, big-endian |
//! | 32.. | zero |

use super::parts::{checksum, write};
use super::seal::hash;
use crate::limits::PATH_CHECKS_MAX;
use crate::types::{Family, Instant, Round};

/// Default size of the payload.
pub const PAYLOAD_LEN: u16 = 32;
/// Largest payload: it fills an Ethernet frame in IPv4.
pub(crate) const PAYLOAD_MAX: u16 = 1472;
/// Largest probe: header and payload.
pub const MESSAGE_MAX: usize = HEADER_LEN + PAYLOAD_MAX as usize;
/// Receive buffer: a reply with the longest IPv4 header, or the needed part of an error that quotes a probe.
pub const RECEIVE_LEN: usize = 60 + MESSAGE_MAX;

const HEADER_LEN: usize = 8;
const IPV6_HEADER_LEN: usize = 40;

/// Identifies the probes of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// the ICMP identifier, by which NAT tells flows apart
    pub identifier: u16,
    /// the secret key of the seals; it is never sent
    pub token: [u8; 16],
}

/// The content of a probe, which its reply returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// the number of the check in its path
    pub check: u8,
    /// the round in which it was sent
    pub round: Round,
    /// when it was sent
    pub sent: Instant,
}

/// Why a received message is no reply to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// too short, too long, damaged, or with content that no probe has
    Malformed,
    /// not an echo reply
    NotReply,
    /// another identifier
    Identifier,
    /// a wrong seal: forged, changed, or from an earlier run
    Token,
    /// the sequence number is not the round's
    Sequence,
    /// An ICMP error, "destination unreachable", that quotes a probe; with its code. To be recorded, never judged: any
    /// host can send one, and the quotation may be too short to contain the seal.
    Unreachable {
        /// the code by RFC 792 and RFC 4443
        code: u8,
    },
}

/// The ICMP message types of one family.
pub(crate) struct Types {
    pub(crate) request: u8,
    pub(crate) reply: u8,
    pub(crate) unreachable: u8,
    /// the protocol number in an IP header
    pub(crate) protocol: u8,
}

/// RFC 792 and RFC 4443.
pub(crate) const fn types(family: Family) -> Types {
    match family {
        Family::V4 => Types {
            request: 8,
            reply: 0,
            unreachable: 3,
            protocol: 1,
        },
        Family::V6 => Types {
            request: 128,
            reply: 129,
            unreachable: 1,
            protocol: 58,
        },
    }
}

/// Writes the echo request of a probe, with a payload of so many bytes. In IPv6 its checksum is 0; the kernel fills it.
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
    let sent_us = probe.sent.total_micros().cast_unsigned();
    let contents =
        u128::from(probe.round.0) << 96 | u128::from(probe.check) << 88 | u128::from(sent_us);
    let contents = contents.to_be_bytes();
    let seal = seal(identity, &contents);
    let [i, j] = identity.identifier.to_be_bytes();
    let [s, t] = sequence(probe.round).to_be_bytes();
    let mut header = [types(family).request, 0, 0, 0, i, j, s, t];
    if family == Family::V4 {
        [header[2], header[3]] = checksum(&[&header, &seal, &contents]).to_be_bytes();
    }
    write(&[&header, &seal, &contents], message);
    message
}

/// Parses a message from a raw socket: in IPv4 with its IP header, in IPv6 without. Also returns the payload's size.
///
/// The caller must check the source address, the size, and that the round was sent.
pub fn parse(
    family: Family,
    identity: &Identity,
    received: &[u8],
) -> Result<(Probe, u16), Rejected> {
    let message = match family {
        Family::V4 => after_ipv4_header(received).ok_or(Rejected::Malformed)?,
        Family::V6 => received,
    };
    let (header, data) = message.split_first_chunk().ok_or(Rejected::Malformed)?;
    let &[kind, code, _, _, i, j, s, t]: &[u8; HEADER_LEN] = header;
    let types = types(family);
    if kind == types.unreachable {
        return Err(quotation(family, identity, message).unwrap_or(Rejected::NotReply));
    }
    if kind != types.reply {
        return Err(Rejected::NotReply);
    }
    if [i, j] != identity.identifier.to_be_bytes() {
        return Err(Rejected::Identifier);
    }
    if code != 0 || (family == Family::V4 && checksum(&[message]) != 0) {
        return Err(Rejected::Malformed);
    }
    let (its_seal, contents, probe) = payload(data).ok_or(Rejected::Malformed)?;
    if !same(its_seal, &seal(identity, contents)) {
        return Err(Rejected::Token);
    }
    if [s, t] != sequence(probe.round).to_be_bytes() {
        return Err(Rejected::Sequence);
    }
    let size = u16::try_from(data.len()).map_err(|_| Rejected::Malformed)?;
    Ok((probe, size))
}

/// The sequence number of a round: its low 16 bits.
fn sequence(round: Round) -> u16 {
    (round.0 & 0xffff) as u16
}

fn after_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    packet.get(usize::from(packet.first()? & 0xf) * 4..)
}

/// The seal of the bytes after it.
fn seal(identity: &Identity, contents: &[u8; 16]) -> [u8; 16] {
    let [one, other] = [0, 1].map(|half| hash(&identity.token, contents, half));
    (u128::from(one) << 64 | u128::from(other)).to_be_bytes()
}

/// Seal and contents of a payload; `None` if it has content that no probe has.
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
    let &[kind, _, _, _, i, j, _, _] = message.first_chunk::<HEADER_LEN>()?;
    let ours = protocol == types.protocol
        && kind == types.request
        && [i, j] == identity.identifier.to_be_bytes();
    ours.then_some(Rejected::Unreachable { code })
}

/// Compares in constant time.
fn same(a: &[u8; 16], b: &[u8; 16]) -> bool {
    a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::wire::Icmpv4Packet;
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

    /// The length of a probe with the default payload.
    const MESSAGE_LEN: usize = HEADER_LEN + PAYLOAD_LEN as usize;

    fn usual(family: Family, identity: &Identity, probe: &Probe) -> [u8; MESSAGE_LEN] {
        let mut buffer = [0xaa; MESSAGE_MAX];
        let message = request(family, identity, probe, PAYLOAD_LEN, &mut buffer);
        message.try_into().unwrap()
    }

    /// A host's reply to a request: another type, and in IPv4 an IP header before it.
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
    fn the_payload_is_as_documented() {
        let message = usual(Family::V4, &OURS, &PROBE);
        assert_ne!(message[8..24], OURS.token, "the key is never told");
        let contents = message[24..].first_chunk().unwrap();
        assert_eq!(message[8..24], seal(&OURS, contents));
        assert_eq!(message[24..32], [0, 5, 0, 1, 2, 0, 0, 0]);
        assert_eq!(message[32..], [0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_reply_returns_the_probe() {
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
    fn anything_but_a_reply_to_a_probe_is_rejected() {
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

    /// Also if the checksum is correct for the changed message.
    #[test]
    fn no_byte_of_the_payload_can_be_changed() {
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
    fn an_error_that_quotes_a_probe_is_recognised() {
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
