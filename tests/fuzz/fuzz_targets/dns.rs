//! Answers of a DNS server.
//!
//! Input: the case, the ID (2), the rest of the header (10), the name as a piece; then the bytes after the question, or, in
//! the case without a question, the whole message.

#![no_main]

use std::net::IpAddr;

use failover::wire::dns::{QUERY_MAX, Question, RecordType, Rejected, is_name, parse, query};
use failover_fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// Most bytes per read.
const READ_LEN: usize = 2048;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let id = u16::from_be_bytes(input.array());
    let header: [u8; 10] = input.array();
    let text = input.text();
    let record = [RecordType::A, RecordType::Aaaa, RecordType::Ns][usize::from(how & 3) % 3];
    let name = if is_name(text) {
        text
    } else {
        "www.example.com"
    };
    let question = Question { id, name, record };
    let asked = asked(&question);
    assert_eq!(parse(&question, None, &asked), Err(Rejected::Unrelated));

    let mut message = match how & 4 {
        0 => [&asked, input.rest()].concat(),
        _ => input.rest().to_vec(),
    };
    if how & 4 == 0 {
        if how & 8 == 0 {
            // As from most servers; the count of records is the fuzzer's.
            message[2..4].copy_from_slice(&[0x81, 0x80 | header[1] & 0xf]);
            message[6..8].copy_from_slice(&header[4..6]);
        } else {
            message[2..12].copy_from_slice(&header);
        }
        if how & 16 != 0 {
            message[12..asked.len() - 4].make_ascii_uppercase();
        }
    }
    message.truncate(READ_LEN);
    let result = parse(&question, None, &message);
    if let Ok(answer) = result {
        let told = u16::from_be_bytes([message[6], message[7]]);
        assert_eq!(message[..2], id.to_be_bytes());
        assert!(message[2] & 0x80 != 0 && answer.rcode == message[3] & 0xf);
        assert!(answer.records <= told && !answer.found);
        let has_address = answer.records > 0 && record != RecordType::Ns;
        assert_eq!(answer.address.is_some(), has_address);
        let family = answer.address.map(|(address, _)| address.is_ipv4());
        assert!(family.is_none_or(|ipv4| ipv4 == (record == RecordType::A)));
        // Each record takes a byte for its name and ten for the rest.
        assert!(usize::from(told) * 11 <= message.len() - asked.len());

        let first = answer.address.map(|(address, _)| address);
        let looked_for = parse(&question, first, &message);
        assert_eq!(looked_for.map(|answer| answer.found), Ok(first.is_some()));
        let strange: IpAddr = [233, 252, 0, 77].into();
        let strange = parse(&question, Some(strange), &message).map(|answer| answer.records);
        assert_eq!(strange, Ok(answer.records));
    }
    // Bytes after the last record make no difference, nor does the case of a name.
    message.push(how);
    if result != Err(Rejected::Malformed) && message.len() > 12 {
        assert_eq!(parse(&question, None, &message), result);
    }
});

/// The query, whose format is checked.
fn asked(question: &Question<'_>) -> Vec<u8> {
    let mut buffer = [0; QUERY_MAX];
    let length = query(question, &mut buffer);
    let query = &buffer[..length];
    let mut rest = &query[12..];
    let mut name = String::new();
    while let Some((count, behind)) = rest.split_first().filter(|(count, _)| **count > 0) {
        let (label, behind) = behind.split_at(usize::from(*count));
        name.extend(label.iter().map(|byte| char::from(*byte)));
        name.push('.');
        rest = behind;
    }
    assert_eq!(rest.len(), 5);
    let asked = question.name.trim_end_matches('.');
    assert_eq!(name.trim_end_matches('.'), asked);
    query.to_vec()
}
