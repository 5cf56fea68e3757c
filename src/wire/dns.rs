//! DNS: one query and its answer, over UDP (RFC 1035; IPv6 addresses: RFC 3596).
//!
//! A query has one question and asks for recursion. An answer has the query's ID and repeats its question; any other
//! message is unrelated and ignored. The connected socket ensures that it comes from the server asked.
//!
//! Only records count that belong to the name asked for, or to a name that an alias in the answer leads to; of the
//! addresses, only those that a remote host can have.

use core::net::IpAddr;

use heapless::Vec;

use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRecord, DnsRecordData,
};

use super::parts::write;
use crate::limits::HOST_MAX;
use crate::option::value;
use crate::types::Family;

/// Bytes of the longest query: a header, the name in labels, type and class.
pub const QUERY_MAX: usize = 12 + HOST_MAX + 2 + 4;
/// The port of DNS servers.
pub const PORT: u16 = 53;

/// Most aliases (CNAME records) from the name asked for to the name with the records.
const ALIASES_MAX: usize = 16;

/// The type of the records asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    /// IPv4 addresses
    A,
    /// IPv6 addresses
    Aaaa,
    /// name servers
    Ns,
}

impl RecordType {
    /// The record type of a family's addresses.
    pub const fn of(family: Family) -> RecordType {
        match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::Aaaa,
        }
    }

    const fn wire(self) -> DnsQueryType {
        match self {
            RecordType::A => DnsQueryType::A,
            RecordType::Aaaa => DnsQueryType::Aaaa,
            RecordType::Ns => DnsQueryType::Ns,
        }
    }
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// the query's ID: random, so that answers are hard to forge
    pub id: u16,
    /// the name asked for, valid by [`is_name`]
    pub name: &'a str,
    /// the type of records asked for
    pub record: RecordType,
}

/// An answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// the RCODE (RFC 1035): 0 is no error, 3 means that the name does not exist
    pub rcode: u8,
    /// number of records of the type and name asked for
    pub records: u16,
    /// the first address among them, and its TTL in seconds
    pub address: Option<(IpAddr, u32)>,
    /// whether the expected address is among them
    pub found: bool,
}

/// Why a message is no answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// with another ID or question, or no answer at all
    Unrelated,
    /// it has the query's ID and question, but its records cannot be parsed
    Malformed,
}

/// Whether a text is a valid name: labels of 1 to 63 letters, digits, `-` and `_`, separated by dots; or `.`, the root.
pub fn is_name(text: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(fit);
    let labels = text.strip_suffix(".").unwrap_or(text);
    text.len() <= HOST_MAX && (text == "." || labels.split('.').all(label))
}

/// Writes a query; returns its length.
pub fn query(question: &Question<'_>, buffer: &mut [u8; QUERY_MAX]) -> usize {
    let mut name = [0; HOST_MAX + 2];
    let parts: [&[u8]; 5] = [
        &question.id.to_be_bytes(),
        &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], // recursion desired; one question
        labels(question.name, &mut name),
        &u16::from(question.record.wire()).to_be_bytes(),
        &[0, 1], // the Internet
    ];
    write(&parts, buffer)
}

/// Parses a message from the server; `look_for` is an address that is expected among the records.
pub fn parse(
    question: &Question<'_>,
    look_for: Option<IpAddr>,
    message: &[u8],
) -> Result<Answer, Rejected> {
    let packet = DnsPacket::new_checked(message).map_err(|_| Rejected::Unrelated)?;
    let answers = packet.transaction_id() == question.id
        && packet.flags().contains(DnsFlags::RESPONSE)
        && packet.opcode() == DnsOpcode::Query
        && packet.question_count() == 1;
    if !answers {
        return Err(Rejected::Unrelated);
    }
    let (mut rest, repeated) =
        DnsQuestion::parse(packet.payload()).map_err(|_| Rejected::Unrelated)?;
    let mut name = [0; HOST_MAX + 2];
    let name = labels(question.name, &mut name);
    if repeated.type_ != question.record.wire() || !repeated.name.eq_ignore_ascii_case(name) {
        return Err(Rejected::Unrelated);
    }
    let mut answer = Answer {
        rcode: packet.rcode().into(),
        records: 0,
        address: None,
        found: false,
    };
    let records = rest;
    for _ in 0..packet.answer_record_count() {
        (rest, _) = DnsRecord::parse(rest).map_err(|_| Rejected::Malformed)?;
    }
    // Pointers in names refer to earlier bytes (RFC 1035 section 4.1.4), never to bytes after the last record.
    let read = message.len() - rest.len();
    let packet = DnsPacket::new_unchecked(message.get(..read).unwrap_or(message));
    let records = Records {
        packet: &packet,
        bytes: records,
    };
    let names = records.names_of(name);
    for record in records.iter() {
        if names.iter().any(|name| records.same(name, record.name)) {
            answer.take(question.record, &record, look_for);
        }
    }
    Ok(answer)
}

/// The records of an answer, all of which can be parsed.
struct Records<'a> {
    packet: &'a DnsPacket<&'a [u8]>,
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    fn iter(&self) -> impl Iterator<Item = DnsRecord<'a>> {
        let mut rest = self.bytes;
        (0..self.packet.answer_record_count()).map_while(move |_| {
            let (next, record) = DnsRecord::parse(rest).ok()?;
            rest = next;
            Some(record)
        })
    }

    /// A name, and the names that its aliases lead to; the order of the records does not matter.
    fn names_of<'n>(&self, name: &'n [u8]) -> Vec<&'n [u8], { ALIASES_MAX + 1 }>
    where
        'a: 'n,
    {
        let mut names: Vec<&[u8], { ALIASES_MAX + 1 }> = Vec::new();
        let mut next = Some(name);
        while let Some(name) = next
            && !names.iter().any(|known| self.same(known, name))
            && names.push(name).is_ok()
        {
            next = self.iter().find_map(|record| match record.data {
                DnsRecordData::Cname(alias) if self.same(record.name, name) => Some(alias),
                _ => None,
            });
        }
        names
    }

    /// Whether two names are equal, ignoring case; they may have pointers to other parts of the message.
    fn same(&self, one: &[u8], other: &[u8]) -> bool {
        let (mut one, mut other) = (self.packet.parse_name(one), self.packet.parse_name(other));
        loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some(Ok(one)), Some(Ok(other))) if one.eq_ignore_ascii_case(other) => {}
                _ => return false,
            }
        }
    }
}

impl Answer {
    fn take(&mut self, wanted: RecordType, record: &DnsRecord<'_>, look_for: Option<IpAddr>) {
        let address = match (&record.data, wanted) {
            (DnsRecordData::A(address), RecordType::A) => Some(IpAddr::V4(*address)),
            (DnsRecordData::Aaaa(address), RecordType::Aaaa) => Some(IpAddr::V6(*address)),
            (DnsRecordData::Other(DnsQueryType::Ns, _), RecordType::Ns) => None,
            // Aliases, and records of other types.
            _ => return,
        };
        if address.and_then(value::unusable).is_some() {
            return;
        }
        self.records = self.records.saturating_add(1);
        self.found |= address.is_some() && address == look_for;
        self.address = self
            .address
            .or(address.map(|address| (address, record.ttl)));
    }
}

/// A name in wire format: each label after its length, and an empty label at the end.
fn labels<'b>(name: &str, buffer: &'b mut [u8; HOST_MAX + 2]) -> &'b [u8] {
    let mut length = 0;
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let end = length + 1 + label.len();
        // A longer name is refused in the configuration; the last byte stays the empty label.
        let Some(place) = buffer.get_mut(length..end).filter(|_| end < HOST_MAX + 2) else {
            break;
        };
        #[allow(clippy::cast_possible_truncation)] // a label has at most 63 bytes
        let count = label.len() as u8;
        place[0] = count;
        place[1..].copy_from_slice(label.as_bytes());
        length = end;
    }
    &buffer[..=length]
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const ASKED: Question<'static> = Question {
        id: 0xbeef,
        name: "www.Example.com",
        record: RecordType::A,
    };
    /// `192.0.2.7` for a pointer to the question's name.
    const ADDRESS: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x07";
    /// The question's name is an alias of the name after its first dot.
    const ALIAS: &[u8] = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x02\xc0\x10";
    /// `192.0.2.7` for the name after its first dot.
    const OF_ALIAS: &[u8] = b"\xc0\x10\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x07";
    /// The name after the first dot is an alias of the question's name.
    const LOOP: &[u8] = b"\xc0\x10\0\x05\0\x01\0\0\x01\x2c\0\x02\xc0\x0c";
    /// `192.0.2.7` for an unrelated name.
    const UNRELATED: &[u8] = b"\x01x\0\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x07";

    fn asked(question: &Question<'_>) -> Vec<u8> {
        let mut buffer = [0; QUERY_MAX];
        let length = query(question, &mut buffer);
        buffer[..length].to_vec()
    }

    /// A server's answer to a query.
    fn answer(question: &Question<'_>, rcode: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut message = asked(question);
        message[2] |= 0x80;
        message[3] = 0x80 | rcode;
        message[7] = u8::try_from(records.len()).unwrap();
        message.extend(records.concat());
        message
    }

    #[test]
    fn a_query_has_the_format_of_rfc_1035() {
        let expected = b"\xbe\xef\x01\0\0\x01\0\0\0\0\0\0\x03www\x07Example\x03com\0\0\x01\0\x01";
        assert_eq!(asked(&ASKED), expected);
        let root = Question {
            name: ".",
            record: RecordType::Ns,
            ..ASKED
        };
        assert_eq!(asked(&root)[12..], *b"\0\0\x02\0\x01");
    }

    #[test]
    fn the_longest_name_fits() {
        let name = "a.".repeat(HOST_MAX / 2);
        assert!(is_name(&name) && !is_name(&(name.clone() + "b")));
        let long = Question {
            name: &name,
            ..ASKED
        };
        assert_eq!(asked(&long).len(), QUERY_MAX - 1);
        assert_eq!(
            parse(&long, None, &answer(&long, 0, &[])).unwrap().records,
            0
        );
    }

    #[test]
    fn names_are_made_of_labels() {
        for name in ["a", "example.com", "example.com.", "_dns.x-1.org", "."] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", "..", ".a", "a..b", "a b", "ü.de", "a/b", &long] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn the_records_of_an_answer_are_counted() {
        let wanted = "192.0.2.7".parse().ok();
        let parsed = parse(
            &ASKED,
            wanted,
            &answer(&ASKED, 0, &[ALIAS, ADDRESS, ADDRESS]),
        );
        let expected = Answer {
            rcode: 0,
            records: 2,
            address: wanted.map(|address| (address, 300)),
            found: true,
        };
        assert_eq!(parsed, Ok(expected));
        let other = "192.0.2.8".parse().ok();
        assert!(
            !parse(&ASKED, other, &answer(&ASKED, 0, &[ADDRESS]))
                .unwrap()
                .found
        );
        let none = parse(&ASKED, wanted, &answer(&ASKED, 3, &[])).unwrap();
        assert_eq!((none.rcode, none.records, none.found), (3, 0, false));
    }

    #[test]
    fn records_of_other_names_do_not_count() {
        let records = |records: &[&[u8]]| parse(&ASKED, None, &answer(&ASKED, 0, records));
        let count = |found: &[&[u8]]| records(found).unwrap().records;
        assert_eq!(count(&[UNRELATED, UNRELATED]), 0);
        assert_eq!(count(&[OF_ALIAS]), 0, "no alias leads there");
        assert_eq!(count(&[ALIAS, OF_ALIAS, UNRELATED]), 1);
        assert_eq!(count(&[OF_ALIAS, ALIAS]), 1, "in whatever order");
        assert_eq!(count(&[ALIAS, LOOP, OF_ALIAS, ADDRESS]), 2);
        assert_eq!(count(&[LOOP, UNRELATED]), 0);
        let mut louder = answer(&ASKED, 0, &[b"\x03WWW\xc0\x10", &ADDRESS[2..]]);
        louder[7] = 1;
        assert_eq!(parse(&ASKED, None, &louder).unwrap().records, 1);
    }

    /// An alias that points just after the last record, where a name may follow, and an address of that name.
    #[test]
    fn no_name_is_read_after_the_last_record() {
        let end = u8::try_from(answer(&ASKED, 0, &[ALIAS, OF_ALIAS]).len()).unwrap();
        let (mut alias, mut of_alias) = (ALIAS.to_vec(), OF_ALIAS.to_vec());
        (alias[13], of_alias[1]) = (end, end);
        let mut message = answer(&ASKED, 0, &[&alias, &of_alias]);
        for _ in 0..2 {
            assert_eq!(parse(&ASKED, None, &message).unwrap().records, 0);
            message.extend(b"\x03www\0");
        }
    }

    #[test]
    fn addresses_that_no_remote_host_has_do_not_count() {
        let record = |kind: u8, data: &[u8]| {
            let length = u8::try_from(data.len()).unwrap();
            let head = [0xc0, 12, 0, kind, 0, 1, 0, 0, 1, 44, 0, length];
            [&head, data].concat()
        };
        let count = |question: &Question<'_>, kind, data: &[u8]| {
            let message = answer(question, 0, &[&record(kind, data)]);
            parse(question, None, &message).unwrap().records
        };
        for address in [
            [127, 0, 0, 1],
            [127, 1, 2, 3],
            [0, 0, 0, 0],
            [224, 0, 0, 1],
            [255, 255, 255, 255],
        ] {
            assert_eq!(count(&ASKED, 1, &address), 0, "{address:?}");
        }
        assert_eq!(count(&ASKED, 1, &[192, 168, 1, 1]), 1);
        let six = Question {
            record: RecordType::Aaaa,
            ..ASKED
        };
        for address in ["::1", "::", "ff02::1", "::ffff:192.0.2.1"] {
            let octets = address.parse::<core::net::Ipv6Addr>().unwrap().octets();
            assert_eq!(count(&six, 28, &octets), 0, "{address}");
        }
        let octets = "2001:db8::1"
            .parse::<core::net::Ipv6Addr>()
            .unwrap()
            .octets();
        assert_eq!(count(&six, 28, &octets), 1);
    }

    #[test]
    fn records_of_other_types_do_not_count() {
        let servers = Question {
            record: RecordType::Ns,
            ..ASKED
        };
        assert_eq!(
            parse(&servers, None, &answer(&servers, 0, &[ADDRESS, ALIAS]))
                .unwrap()
                .records,
            0
        );
        let server = b"\xc0\x0c\0\x02\0\x01\0\0\x01\x2c\0\x02\xc0\x10";
        assert_eq!(
            parse(&servers, None, &answer(&servers, 0, &[server]))
                .unwrap()
                .records,
            1
        );
    }

    #[test]
    fn unrelated_messages_are_ignored() {
        let good = answer(&ASKED, 0, &[ADDRESS]);
        let unrelated = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = good.clone();
            change(&mut message);
            assert_eq!(parse(&ASKED, None, &message), Err(Rejected::Unrelated));
        };
        unrelated(&|message| message[0] ^= 1); // another number
        unrelated(&|message| message[2] &= 0x7f); // a query
        unrelated(&|message| message[2] |= 0x10); // another operation
        unrelated(&|message| message[5] = 2); // two questions
        unrelated(&|message| message[13] = b'x'); // another name
        unrelated(&|message| message[30] = 28); // another type
        unrelated(&|message| message[32] = 3); // another class
        unrelated(&|message| message.truncate(20));
        unrelated(&|message| message.clear());
        let mut louder = good.clone();
        louder[13] = b'W'; // case does not matter
        assert!(parse(&ASKED, None, &louder).is_ok());
    }

    #[test]
    fn a_cut_off_answer_is_malformed() {
        let good = answer(&ASKED, 0, &[ADDRESS]);
        for length in 33..good.len() {
            assert_eq!(
                parse(&ASKED, None, &good[..length]),
                Err(Rejected::Malformed)
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(message in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&ASKED, None, &message);
        }

        #[test]
        fn damaged_answers_do_not_panic(at in 12_usize..64, byte in any::<u8>()) {
            let mut message = answer(&ASKED, 0, &[ALIAS, ADDRESS]);
            if let Some(place) = message.get_mut(at) {
                *place = byte;
            }
            let _ = parse(&ASKED, None, &message);
        }
    }
}
