//! Messages of ARP and neighbour discovery: only a valid answer yields a neighbour's address.
//!
//! Input: the case, the asker's link address (6) and own address, the target (4 or 16 each); then the message, or the
//! damage to a good one.

#![no_main]

use std::net::IpAddr;

use failover::types::Family;
use failover::wire::neighbour::{Asker, QUESTION_MAX, answer, question};
use failover_fuzz::{Input, damage, internet_checksum};
use libfuzzer_sys::fuzz_target;

const HEADER: usize = 40;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let family = Family::ALL[usize::from(how & 1)];
    let link = input.array();
    let own = Some(address(family, &mut input)).filter(|_| how & 2 != 0);
    let asker = Asker { link, own };
    let target = address(family, &mut input);
    let asked = question(&asker, target);
    assert!(asked.bytes().len() <= QUESTION_MAX);
    assert_eq!(answer(family, &asker, asked.bytes()), None);

    let made = how & 4 != 0;
    let mut message = match family {
        _ if !made => input.rest().to_vec(),
        Family::V4 => arp_reply(asked.bytes()),
        Family::V6 => advertisement(asked.bytes(), how & 8 != 0),
    };
    if made {
        damage(&mut message, input.rest());
        if how & 16 != 0 && family == Family::V6 {
            seal(&mut message);
        }
    }
    let told = answer(family, &asker, &message);
    if made && input.rest().len() < 3 {
        assert_eq!(told, Some(target));
    }
    if let Some(told) = told {
        match family {
            Family::V4 => check_arp(&message, link, told),
            Family::V6 => check_advertisement(&message, told),
        }
    }
});

fn address(family: Family, input: &mut Input<'_>) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from(input.array::<4>()),
        Family::V6 => IpAddr::from(input.array::<16>()),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The neighbour's answer to a request.
fn arp_reply(request: &[u8]) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[7] = 2;
    reply[8..14].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    reply[14..18].copy_from_slice(&request[24..28]);
    reply[18..28].copy_from_slice(&request[8..18]);
    reply
}

/// The neighbour's answer to a solicitation: solicited, or unsolicited.
fn advertisement(solicitation: &[u8], solicited: bool) -> Vec<u8> {
    let target = &solicitation[48..64];
    let mut message = vec![0; HEADER + 24];
    message[0] = 0x60;
    message[5] = 24;
    message[6] = 58;
    message[7] = 255;
    message[8..24].copy_from_slice(target);
    match solicited {
        true => message[24..40].copy_from_slice(&solicitation[8..24]),
        false => (message[24], message[25], message[39]) = (0xff, 2, 1),
    }
    message[HEADER] = 136;
    message[HEADER + 4] = if solicited { 0x40 } else { 0 };
    message[HEADER + 8..].copy_from_slice(target);
    seal(&mut message);
    message
}

/// End of the ICMPv6 message, from the length in the header.
fn payload_end(message: &[u8]) -> usize {
    HEADER + usize::from(u16::from_be_bytes([message[4], message[5]]))
}

fn checksum(message: &[u8]) -> u16 {
    let payload = &message[HEADER..payload_end(message)];
    let length = u32::try_from(payload.len()).unwrap_or_default();
    let pseudo = [&message[8..40], &length.to_be_bytes(), &[0, 0, 0, 58]].concat();
    internet_checksum(&[&pseudo, payload])
}

fn seal(message: &mut [u8]) {
    if message.len() < HEADER + 4 || message.len() < payload_end(message).max(HEADER + 4) {
        return;
    }
    message[HEADER + 2..HEADER + 4].fill(0);
    let checksum = checksum(message);
    message[HEADER + 2..HEADER + 4].copy_from_slice(&checksum.to_be_bytes());
}

fn check_arp(message: &[u8], link: [u8; 6], told: IpAddr) {
    assert_eq!(message[..8], [0, 1, 8, 0, 6, 4, 0, 2]);
    assert_eq!(message[14..18], octets(told));
    assert_eq!(message[18..24], link);
}

fn check_advertisement(message: &[u8], told: IpAddr) {
    assert_eq!((message[0] >> 4, message[6], message[7]), (6, 58, 255));
    assert!(payload_end(message) <= message.len());
    assert!(payload_end(message) >= HEADER + 24);
    assert_eq!(message[HEADER..HEADER + 2], [136, 0]);
    assert_eq!(message[HEADER + 8..HEADER + 24], octets(told));
    assert_eq!(checksum(message), 0);
    assert!(message[HEADER + 4] & 0x40 != 0 || message[24] == 0xff);
}
