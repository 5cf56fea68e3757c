//! DNS: one question and its answer, over UDP (RFC 1035; IPv6 addresses: RFC 3596).
//!
//! A query has one question and asks for recursion. What answers it has its number and repeats its question; anything
//! else is a stranger's, and to be passed over. The socket sees to it that it comes from the server asked.
//!
//! Of its records, those count whose owner is the name asked for, or the name that an alias in the answer leads to; and of
//! the addresses, those that a host elsewhere can have.

use core::net::IpAddr;

use heapless::Vec;

use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRecord, DnsRecordData, DnsRepr,
};

use crate::limits::HOST_MAX;
use crate::types::Family;

/// Bytes of the longest query: a header, the name in labels, type and class.
pub const QUERY_MAX: usize = 12 + HOST_MAX + 2 + 4;
/// The port of DNS servers.
pub const PORT: u16 = 53;

/// Most aliases (CNAME records) on the way from the name asked for to that which has the records.
const ALIASES_MAX: usize = 16;

/// What is asked about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    /// its IPv4 addresses
    A,
    /// its IPv6 addresses
    Aaaa,
    /// its name servers
    Ns,
}

impl RecordType {
    /// The type of a family's addresses.
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
    /// a number that a stranger does not know
    pub id: u16,
    /// the name asked for, as [`is_name`] takes it
    pub name: &'a str,
    /// what about it
    pub record: RecordType,
}

/// An answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// RFC 1035's RCODE: 0 is no error, 3 says that there is no such name
    pub rcode: u8,
    /// records of the type asked for, and of the name
    pub records: u16,
    /// the first address among them, and for how many seconds it holds
    pub address: Option<(IpAddr, u32)>,
    /// whether the address looked for is among them
    pub found: bool,
}

/// Why a message is no answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// of another number or to another question, or no answer at all: whose it is nobody knows
    Stranger,
    /// it has our number and our question, and cannot be read further
    Malformed,
}

/// Whether a text is a name that can be asked for: labels of 1 to 63 letters, digits, `-` and `_`, with dots in between; or
/// `.`, the root.
pub fn is_name(text: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(fit);
    let labels = text.strip_suffix('.').unwrap_or(text);
    text.len() <= HOST_MAX && (text == "." || labels.split('.').all(label))
}

/// Writes a query; its length.
pub fn query(question: &Question<'_>, buffer: &mut [u8; QUERY_MAX]) -> usize {
    let mut name = [0; HOST_MAX + 2];
    let repr = DnsRepr {
        transaction_id: question.id,
        opcode: DnsOpcode::Query,
        flags: DnsFlags::RECURSION_DESIRED,
        question: DnsQuestion {
            name: labels(question.name, &mut name),
            type_: question.record.wire(),
        },
    };
    let length = repr.buffer_len();
    repr.emit(&mut DnsPacket::new_unchecked(&mut buffer[..length]));
    length
}

/// Reads what a server says; `look_for` is an address that should be among the records.
pub fn parse(
    question: &Question<'_>,
    look_for: Option<IpAddr>,
    message: &[u8],
) -> Result<Answer, Rejected> {
    let packet = DnsPacket::new_checked(message).map_err(|_| Rejected::Stranger)?;
    let answers = packet.transaction_id() == question.id
        && packet.flags().contains(DnsFlags::RESPONSE)
        && packet.opcode() == DnsOpcode::Query
        && packet.question_count() == 1;
    if !answers {
        return Err(Rejected::Stranger);
    }
    let (mut rest, repeated) =
        DnsQuestion::parse(packet.payload()).map_err(|_| Rejected::Stranger)?;
    let mut name = [0; HOST_MAX + 2];
    let name = labels(question.name, &mut name);
    if repeated.type_ != question.record.wire() || !repeated.name.eq_ignore_ascii_case(name) {
        return Err(Rejected::Stranger);
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
    // Names refer back (RFC 1035 section 4.1.4), not to what follows the last record.
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

/// The records of an answer, all of which can be read.
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

    /// A name, and those that its aliases lead to, in whatever order the records are.
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

    /// Whether two names are the same; they do not heed case, and may refer to what is elsewhere in the message.
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

/// Whether a host elsewhere can have an address.
fn is_elsewhere(address: IpAddr) -> bool {
    let nowhere = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    let special = match address {
        IpAddr::V4(address) => address.is_broadcast() || address.octets()[0] == 0,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    !nowhere && !special
}

impl Answer {
    fn take(&mut self, wanted: RecordType, record: &DnsRecord<'_>, look_for: Option<IpAddr>) {
        let address = match (&record.data, wanted) {
            (DnsRecordData::A(address), RecordType::A) => Some(IpAddr::V4(*address)),
            (DnsRecordData::Aaaa(address), RecordType::Aaaa) => Some(IpAddr::V6(*address)),
            (DnsRecordData::Other(DnsQueryType::Ns, _), RecordType::Ns) => None,
            // The names on the way to it, and what nobody asked for.
            _ => return,
        };
        if !address.is_none_or(is_elsewhere) {
            return;
        }
        self.records = self.records.saturating_add(1);
        self.found |= address.is_some() && address == look_for;
        self.address = self
            .address
            .or(address.map(|address| (address, record.ttl)));
    }
}

/// A name as it goes over the wire: each label behind its length, and an empty one at the end.
fn labels<'b>(name: &str, buffer: &'b mut [u8; HOST_MAX + 2]) -> &'b [u8] {
    let mut length = 0;
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let end = length + 1 + label.len();
        // What is longer was refused with the configuration; the last byte stays the empty label.
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
    /// `192.0.2.7` for a name that points at the question's.
    const ADDRESS: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x07";
    /// The question's name is an alias of what follows its first dot.
    const ALIAS: &[u8] = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x02\xc0\x10";
    /// `192.0.2.7` for what follows its first dot.
    const OF_ALIAS: &[u8] = b"\xc0\x10\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x07";
    /// And that is an alias of the question's name.
    const LOOP: &[u8] = b"\xc0\x10\0\x05\0\x01\0\0\x01\x2c\0\x02\xc0\x0c";
    /// `192.0.2.7` for a name of nobody's.
    const STRANGE: &[u8] = b"\x01x\0\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x07";

    fn asked(question: &Question<'_>) -> Vec<u8> {
        let mut buffer = [0; QUERY_MAX];
        let length = query(question, &mut buffer);
        buffer[..length].to_vec()
    }

    /// What a server makes of a query.
    fn answer(question: &Question<'_>, rcode: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut message = asked(question);
        message[2] |= 0x80;
        message[3] = 0x80 | rcode;
        message[7] = u8::try_from(records.len()).unwrap();
        message.extend(records.concat());
        message
    }

    #[test]
    fn a_query_is_as_rfc_1035_has_it() {
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
    fn an_answer_tells_its_records() {
        let wanted = "192.0.2.7".parse().ok();
        let told = parse(
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
        assert_eq!(told, Ok(expected));
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
        assert_eq!(count(&[STRANGE, STRANGE]), 0);
        assert_eq!(count(&[OF_ALIAS]), 0, "no alias leads there");
        assert_eq!(count(&[ALIAS, OF_ALIAS, STRANGE]), 1);
        assert_eq!(count(&[OF_ALIAS, ALIAS]), 1, "in whatever order");
        assert_eq!(count(&[ALIAS, LOOP, OF_ALIAS, ADDRESS]), 2);
        assert_eq!(count(&[LOOP, STRANGE]), 0);
        let mut louder = answer(&ASKED, 0, &[b"\x03WWW\xc0\x10", &ADDRESS[2..]]);
        louder[7] = 1;
        assert_eq!(parse(&ASKED, None, &louder).unwrap().records, 1);
    }

    /// An alias by a pointer to just behind the message, where its name may follow, and an address of that.
    #[test]
    fn no_name_stands_behind_the_last_record() {
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
    fn addresses_that_nobody_elsewhere_has_do_not_count() {
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
    fn strangers_are_passed_over() {
        let good = answer(&ASKED, 0, &[ADDRESS]);
        let stranger = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = good.clone();
            change(&mut message);
            assert_eq!(parse(&ASKED, None, &message), Err(Rejected::Stranger));
        };
        stranger(&|message| message[0] ^= 1); // another number
        stranger(&|message| message[2] &= 0x7f); // a query
        stranger(&|message| message[2] |= 0x10); // another operation
        stranger(&|message| message[5] = 2); // two questions
        stranger(&|message| message[13] = b'x'); // another name
        stranger(&|message| message[30] = 28); // another type
        stranger(&|message| message[32] = 3); // another class
        stranger(&|message| message.truncate(20));
        stranger(&|message| message.clear());
        let mut louder = good.clone();
        louder[13] = b'W'; // names do not heed case
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
