//! Messages of a raw ICMP socket. A message that is accepted must be, bit for bit, the answer to a probe.
//!
//! Input: the case, identity (18), probe (13), the payload's size (2); then the message, or the damage to a good one.

#![no_main]

use failover::types::{Family, Instant, Round};
use failover::wire::icmp::{Identity, MESSAGE_MAX, Probe, Rejected, parse, request};
use failover_fuzz::{Input, damage, internet_checksum};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let family = Family::ALL[usize::from(how & 1)];
    let identity = Identity {
        identifier: u16::from_be_bytes(input.array()),
        token: input.array(),
    };
    let probe = Probe {
        check: input.byte(),
        round: Round(u32::from_be_bytes(input.array())),
        sent: Instant::from_micros(i64::from_be_bytes(input.array())),
    };
    let size = u16::from_be_bytes(input.array());
    let mut received = match how >> 1 & 3 {
        0 => input.rest().to_vec(),
        1 => enclosed(family, answer(family, &identity, &probe, size)),
        2 => enclosed(family, quoting(family, &identity, &probe, size)),
        _ => enclosed(family, asked(family, &identity, &probe, size)),
    };
    let made = how >> 1 & 3 != 0;
    if made {
        damage(&mut received, input.rest());
    }
    if how & 8 != 0 {
        seal(family, &mut received);
    }
    let result = parse(family, &identity, &received);
    if made && input.rest().len() < 3 {
        untouched(how >> 1 & 3, &probe, result.map(|(probe, _)| probe));
    }
    let message = || message_of(family, &received);
    match result {
        Ok((probe, size)) => {
            let (message, expected) = (message(), answer(family, &identity, &probe, size));
            assert_eq!(message.len(), 8 + usize::from(size));
            // It may be longer than any probe: the rest is zeros.
            let (own, more) = message.split_at(expected.len());
            assert_eq!(own[..2], expected[..2]);
            assert_eq!(own[4..], expected[4..]);
            assert!(more.iter().all(|byte| *byte == 0));
            assert!(family == Family::V6 || internet_checksum(&[message]) == 0);
        }
        Err(Rejected::Identifier) => {
            assert_ne!(message()[4..6], identity.identifier.to_be_bytes());
        }
        Err(Rejected::Token) => {
            let message = message();
            let [round, sent] = [24, 32].map(|place| message[place..].first_chunk::<8>());
            let (Some([a, b, c, d, check, ..]), Some(sent)) = (round, sent) else {
                panic!("it is too short to have any");
            };
            let told = Probe {
                check: *check,
                round: Round(u32::from_be_bytes([*a, *b, *c, *d])),
                sent: Instant::from_micros(i64::from_be_bytes(*sent)),
            };
            let expected = answer(family, &identity, &told, 32);
            assert_ne!(message[8..24], expected[8..24]);
        }
        Err(Rejected::Sequence) => assert_ne!(message()[6..8], message()[26..28]),
        Err(Rejected::Unreachable { code }) => {
            assert_eq!(message()[..2], [unreachable_type(family), code]);
            let identifier = identity.identifier.to_be_bytes();
            assert!(message()[8..].windows(2).any(|pair| pair == identifier));
        }
        Err(Rejected::NotReply) => assert_ne!(message()[0], answer_type(family)),
        Err(Rejected::Malformed) => {}
    }
});

/// The result of an undamaged message.
fn untouched(kind: u8, probe: &Probe, result: Result<Probe, Rejected>) {
    let ours = probe.check < 8 && probe.sent >= Instant::ZERO;
    match kind {
        1 if ours => assert_eq!(result, Ok(*probe)),
        1 => assert_eq!(result, Err(Rejected::Malformed)),
        2 => assert_eq!(result, Err(Rejected::Unreachable { code: 1 })),
        _ => assert_eq!(result, Err(Rejected::NotReply)),
    }
}

fn answer_type(family: Family) -> u8 {
    match family {
        Family::V4 => 0,
        Family::V6 => 129,
    }
}

fn unreachable_type(family: Family) -> u8 {
    match family {
        Family::V4 => 3,
        Family::V6 => 1,
    }
}

fn asked(family: Family, identity: &Identity, probe: &Probe, size: u16) -> Vec<u8> {
    let mut buffer = [0; MESSAGE_MAX];
    request(family, identity, probe, size, &mut buffer).to_vec()
}

fn answer(family: Family, identity: &Identity, probe: &Probe, size: u16) -> Vec<u8> {
    let mut message = asked(family, identity, probe, size);
    message[0] = answer_type(family);
    seal_message(family, &mut message);
    message
}

/// "Host unreachable", or IPv6's "administratively prohibited".
fn quoting(family: Family, identity: &Identity, probe: &Probe, size: u16) -> Vec<u8> {
    let mut message = vec![unreachable_type(family), 1, 0, 0, 0, 0, 0, 0];
    let header = match family {
        Family::V4 => ipv4_header().to_vec(),
        Family::V6 => {
            let mut header = vec![0; 40];
            header[6] = 58;
            header
        }
    };
    message.extend(header);
    message.extend(asked(family, identity, probe, size));
    seal_message(family, &mut message);
    message
}

fn ipv4_header() -> [u8; 20] {
    let mut header = [0; 20];
    (header[0], header[9]) = (0x45, 1);
    header
}

fn enclosed(family: Family, message: Vec<u8>) -> Vec<u8> {
    match family {
        Family::V4 => [&ipv4_header()[..], &message].concat(),
        Family::V6 => message,
    }
}

/// Offset of the message after the IP header, if there is one.
fn start(family: Family, received: &[u8]) -> usize {
    match (family, received.first()) {
        (Family::V4, Some(first)) => usize::from(first & 0xf) * 4,
        _ => 0,
    }
}

fn message_of(family: Family, received: &[u8]) -> &[u8] {
    &received[start(family, received)..]
}

/// Sets a correct checksum in IPv4.
fn seal(family: Family, received: &mut [u8]) {
    let start = start(family, received);
    if let Some(message) = received.get_mut(start..) {
        seal_message(family, message);
    }
}

fn seal_message(family: Family, message: &mut [u8]) {
    if family == Family::V4 && message.len() >= 4 {
        message[2..4].fill(0);
        let checksum = internet_checksum(&[message]);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
}
