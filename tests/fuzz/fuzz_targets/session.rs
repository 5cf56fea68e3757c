//! Sessions of checks with servers, driven as `linux/probe/session.rs` drives them. The requests, the learned addresses and
//! the results are compared with the bytes that were received.
//!
//! Input: the check, see [`kind`]; one byte: the family, and whether an address is known; then the socket's events and what
//! is received, see [`Exchange::next`].

#![no_main]

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use failover::check::dns::Dns;
use failover::check::http::{Http, RESOLVERS};
use failover::check::tcp::Tcp;
use failover::check::{
    CheckKind, Input as Event, Learned, OUTPUT_MAX, Output, Session, Step, Transport,
};
use failover::limits::{HOST_MAX, HTTP_PATH_MAX, HTTP_TEXT_MAX};
use failover::types::{Family, Fault};
use failover::wire::dns::{RecordType, is_name};
use failover_fuzz::{Input, damage};
use libfuzzer_sys::fuzz_target;

/// Most bytes per read.
const READ_LEN: usize = 2048;
/// Longer sessions test nothing more.
const EVENTS_MAX: usize = 48;
const FAULTS: [Fault; 6] = [
    Fault::Refused,
    Fault::Reset,
    Fault::NetworkUnreachable,
    Fault::HostUnreachable,
    Fault::TimedOut,
    Fault::Errno(71),
];

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let kind = kind(&mut input);
    let how = input.byte();
    let family = Family::ALL[usize::from(how & 1)];
    let mut known = None;
    if how & 2 != 0 {
        known = Some(address(family, how >> 2));
    }
    Exchange::hold(&kind, family, known, &mut input);
});

/// A check as the configuration allows it. Input: its type and which options it has; a name, as a piece; two numbers; a
/// text, as a piece.
fn kind(input: &mut Input<'_>) -> CheckKind {
    let how = input.byte();
    let text = input.text();
    let name = if text.len() <= HOST_MAX && is_name(text) {
        text
    } else {
        "www.example.com"
    };
    let (first, second) = (input.byte(), input.byte());
    let expected = input.text();
    let family = Family::ALL[usize::from(how >> 2 & 1)];
    let target = address(family, first >> 4);
    let has_option = how & 8 != 0;
    match how % 4 {
        0 => CheckKind::Tcp(Tcp {
            target: SocketAddr::new(target, port(second)),
            accept_refused: has_option,
        }),
        1 => {
            let records = [
                RecordType::A,
                RecordType::Aaaa,
                RecordType::Ns,
                RecordType::A,
            ];
            let record = records[usize::from(how >> 4 & 3)];
            let rcode = if how & 64 == 0 { 0 } else { first & 15 };
            // As in its `read`: an address is expected only of a type of record that has one.
            let expect = (has_option && rcode == 0).then(|| match record {
                RecordType::Aaaa => address(Family::V6, second),
                _ => address(Family::V4, second),
            });
            CheckKind::Dns(Dns {
                server: SocketAddr::new(target, port(second)),
                query: fit(name),
                record,
                expect: expect.filter(|_| record != RecordType::Ns),
                rcode,
            })
        }
        place => CheckKind::Http(Http {
            address: match place {
                2 => target,
                _ => RESOLVERS[family as usize],
            },
            name: match place {
                2 => fit(""),
                _ => fit(if name == "." { "a" } else { name }),
            },
            port: port(second),
            host: match how & 32 {
                0 => fit(name),
                _ => fit(&"a".repeat(HOST_MAX)),
            },
            path: match how & 64 {
                0 => fit("/"),
                _ => fit(&"/".repeat(HTTP_PATH_MAX)),
            },
            expect_status: [204, 200, 302, 100 + u16::from(first)][usize::from(first & 3)],
            expect_body: if expected.len() <= HTTP_TEXT_MAX && has_option {
                fit(expected)
            } else {
                fit("")
            },
        }),
    }
}

fn fit<const N: usize>(text: &str) -> heapless::String<N> {
    heapless::String::try_from(text).expect("it is no longer than that")
}

fn port(number: u8) -> u16 {
    [80, 53, 443, u16::MAX][usize::from(number & 3)]
}

fn address(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, number).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

/// An open session.
struct Exchange<'a> {
    kind: &'a CheckKind,
    family: Family,
    session: Session,
    transport: Transport,
    to: SocketAddr,
    connected: bool,
    /// what was sent to the connected server
    sent: Vec<u8>,
    /// what the server has sent, and the last piece of it
    received: Vec<u8>,
    last: Vec<u8>,
}

impl<'a> Exchange<'a> {
    fn hold(kind: &'a CheckKind, family: Family, known: Option<IpAddr>, input: &mut Input<'_>) {
        let (mut session, mut output) = (Session::default(), Output::default());
        let begin = Event::Begin { family, known };
        let step = kind.step(&mut session, begin, &mut output);
        let Step::Connect(transport, to) = step else {
            panic!("it begins with {step:?}");
        };
        assert!(output.bytes.is_empty() && output.learned == Learned::Nothing);
        let expected = match kind {
            CheckKind::Tcp(tcp) => (Transport::Tcp, tcp.target),
            CheckKind::Dns(dns) => (Transport::Udp, dns.server),
            CheckKind::Http(http) => match (http.name.is_empty(), known) {
                (false, None) => (Transport::Udp, SocketAddr::new(http.address, 53)),
                (true, _) => (Transport::Tcp, SocketAddr::new(http.address, http.port)),
                (false, Some(address)) => (Transport::Tcp, SocketAddr::new(address, http.port)),
            },
            _ => unreachable!(),
        };
        assert_eq!((transport, to), expected);
        let mut session = Exchange {
            kind,
            family,
            session,
            transport,
            to,
            connected: false,
            sent: Vec::new(),
            received: Vec::new(),
            last: Vec::new(),
        };
        for _ in 0..EVENTS_MAX {
            if input.rest().is_empty() {
                break;
            }
            if session.next(input) {
                return;
            }
        }
        session.step(Event::TimedOut);
    }

    /// Makes the next event, chosen by a byte; returns whether it was the last. Nothing is received before the socket is
    /// connected.
    fn next(&mut self, input: &mut Input<'_>) -> bool {
        let how = input.byte();
        let (what, number) = (how & 7, how >> 3);
        let fault = Event::Failed(FAULTS[usize::from(number) % FAULTS.len()]);
        if !self.connected && what < 7 {
            let random = match (self.transport, input.array()) {
                (Transport::Udp, random) => u16::from_be_bytes(random),
                (Transport::Tcp, _) => 0,
            };
            return self.step(Event::Connected { random });
        }
        let message = match (what, self.transport) {
            (0 | 1, _) => input.piece().repeat(1 << (number & 7)),
            (2..=4, Transport::Udp) => self.answer(number, input),
            (2..=4, Transport::Tcp) => self.page(number, input),
            (5, Transport::Udp) => Vec::new(),
            (5, Transport::Tcp) => return self.step(Event::Closed),
            (6, _) => return self.step(Event::TimedOut),
            _ => return self.step(fault),
        };
        let length = message.len().min(READ_LEN);
        if length == 0 && self.transport == Transport::Tcp {
            return false;
        }
        self.last = message[..length].to_vec();
        self.received.extend(&message[..length]);
        let last = self.last.clone();
        self.step(Event::Received(&last))
    }

    /// A DNS server's answer: each bit of `records` adds a record; then the RCODE (1), and damage as a piece.
    fn answer(&self, records: u8, input: &mut Input<'_>) -> Vec<u8> {
        let mut message = self.sent.clone();
        let rcode = input.byte();
        let of = |family| match address(family, rcode >> 4) {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (v4, v6) = (of(Family::V4), of(Family::V6));
        let alias = b"\xc0\x0c".to_vec();
        let mut count = 0;
        for (bit, record, data) in [
            (1, 5, &alias),
            (2, 1, &v4),
            (4, 28, &v6),
            (8, 2, &alias),
            (16, 1, &v4),
        ] {
            if records & bit != 0 {
                count += 1;
                let length = u8::try_from(data.len()).expect("it is short");
                message.extend([0xc0, 0x0c, 0, record, 0, 1, 0, 0, 1, 44, 0, length]);
                message.extend(data);
            }
        }
        if message.len() >= 12 {
            message[2..4].copy_from_slice(&[0x81, 0x80 | rcode & 15]);
            message[6..8].copy_from_slice(&[0, count]);
        }
        damage(&mut message, input.piece());
        message
    }

    /// A part of a web server's response, and damage as a piece.
    fn page(&self, part: u8, input: &mut Input<'_>) -> Vec<u8> {
        let CheckKind::Http(http) = self.kind else {
            return vec![part];
        };
        let (status, text) = (http.expect_status, &http.expect_body);
        let mut page = String::new();
        let _ = match part & 7 {
            0 => write!(page, "HTTP/1.1 {status} OK\r\n"),
            1 => write!(page, "Content-Length: {}\r\n", text.len()),
            2 => write!(page, "\r\n"),
            3 => write!(page, "{text}"),
            4 => write!(page, "HTTP/1.0 {status} OK\r\n\r\n{text}"),
            5 => write!(page, "Content-Length: {}\r\n\r\n{text}", text.len()),
            6 => write!(page, "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"),
            _ => write!(page, "HTTP/1.1 "),
        };
        let mut page = page.into_bytes();
        damage(&mut page, input.piece());
        page
    }

    /// Makes one step; returns whether it was the last.
    fn step(&mut self, event: Event<'_>) -> bool {
        let mut output = Output::default();
        let step = self.kind.step(&mut self.session, event, &mut output);
        let Output { bytes, learned } = output;
        assert!(bytes.len() <= OUTPUT_MAX);
        match event {
            Event::Connected { random } => {
                self.connected = true;
                self.sent = bytes.to_vec();
                self.check_sent(random, step);
            }
            // No other event has output, and neither has the last step.
            _ => assert!(bytes.is_empty(), "{event:?}"),
        }
        self.check_learned(event, learned, step);
        match step {
            Step::Connect(transport, to) => {
                assert!(matches!(event, Event::Received(_)));
                assert!(self.transport == Transport::Udp && transport == Transport::Tcp);
                (self.transport, self.to, self.connected) = (transport, to, false);
                self.sent.clear();
                self.received.clear();
            }
            // A closed stream would be ready for ever; a UDP socket has only reported an ICMP error.
            Step::Wait => assert!(
                self.transport == Transport::Udp
                    || !matches!(event, Event::Closed | Event::Failed(_)),
                "{event:?}"
            ),
            Step::End(Ok(())) => self.check_good(event),
            Step::End(Err(_)) => assert!(
                self.transport == Transport::Tcp
                    || matches!(event, Event::Received(_) | Event::TimedOut),
                "{event:?}"
            ),
        }
        matches!(step, Step::End(_)) || matches!(event, Event::TimedOut)
    }

    fn check_sent(&self, random: u16, step: Step) {
        let sent = &*self.sent;
        match (self.transport, self.kind) {
            (Transport::Udp, _) => {
                assert_eq!(sent[..2], random.to_be_bytes());
                assert_eq!(sent[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
                assert_eq!(step, Step::Wait);
            }
            (_, CheckKind::Http(http)) => {
                let head = format!("GET {} HTTP/1.0\r\nHost: {}", http.path, http.host);
                assert!(sent.starts_with(head.as_bytes()) && sent.ends_with(b"\r\n\r\n"));
                assert_eq!(step, Step::Wait);
            }
            _ => assert!(sent.is_empty() && step == Step::End(Ok(()))),
        }
    }

    /// An address is learned from an answer to the query for it, and connected to at once; it is forgotten if the page
    /// cannot be had.
    fn check_learned(&self, event: Event<'_>, learned: Learned, step: Step) {
        match learned {
            Learned::Nothing => assert!(!matches!(step, Step::Connect(..))),
            Learned::Address(address, _) => {
                let CheckKind::Http(http) = self.kind else {
                    panic!("{learned:?} by {:?}", self.kind);
                };
                assert!(!http.name.is_empty());
                assert_eq!(
                    step,
                    Step::Connect(Transport::Tcp, SocketAddr::new(address, http.port))
                );
                self.check_answers();
                assert_eq!(self.last[3] & 15, 0);
                assert_eq!(Family::of(address), self.family);
                assert!(self.has(address));
            }
            Learned::Forget => {
                assert!(matches!(self.kind, CheckKind::Http(_)));
                assert!(self.transport == Transport::Tcp);
                assert!(matches!(step, Step::End(Err(_))) || matches!(event, Event::TimedOut));
            }
        }
    }

    fn check_good(&self, event: Event<'_>) {
        match self.kind {
            CheckKind::Tcp(tcp) => {
                let refused = matches!(event, Event::Failed(Fault::Refused)) && tcp.accept_refused;
                assert!(refused || matches!(event, Event::Connected { .. }));
            }
            CheckKind::Dns(dns) => {
                assert!(matches!(event, Event::Received(_)));
                self.check_answers();
                assert_eq!(self.last[3] & 15, dns.rcode);
                let records = u16::from_be_bytes([self.last[6], self.last[7]]);
                assert!(dns.rcode != 0 || records > 0 && self.last.len() > self.sent.len());
                assert!(dns.expect.is_none_or(|address| self.has(address)));
            }
            CheckKind::Http(http) => {
                assert!(matches!(event, Event::Received(_) | Event::Closed));
                self.check_page(http);
            }
            other => panic!("{other:?} took something for an answer"),
        }
    }

    /// The last message has the ID and the question of the query that was sent.
    fn check_answers(&self) {
        let (sent, message) = (&self.sent, &self.last);
        assert_eq!(message[..2], sent[..2]);
        assert!(message[2] & 0xf8 == 0x80 && message[4..6] == [0, 1]);
        let (question, rest) = message[12..].split_at(sent.len() - 12);
        assert!(question.eq_ignore_ascii_case(&sent[12..]) && rest.len() < READ_LEN);
        assert_eq!(question[question.len() - 4..], sent[sent.len() - 4..]);
    }

    /// Whether the last message has this address after the question.
    fn has(&self, address: IpAddr) -> bool {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let records = &self.last[self.sent.len()..];
        records.windows(octets.len()).any(|part| part == octets)
    }

    /// The response has the expected status and text.
    fn check_page(&self, http: &Http) {
        let page = &*self.received;
        let line = page.split(|byte| *byte == b'\n').next();
        let line = std::str::from_utf8(&line.unwrap_or_default()[..12]);
        let status = line.ok().and_then(|line| line.strip_prefix("HTTP/1."));
        let status = status.and_then(|rest| rest.split(' ').nth(1));
        assert_eq!(status, Some(&*http.expect_status.to_string()));
        let mut at = 0;
        let body = page
            .split_inclusive(|byte| *byte == b'\n')
            .find_map(|line| {
                at += line.len();
                matches!(line, b"\n" | b"\r\n").then(|| &page[at..])
            });
        let (body, text) = (body.expect("the header has an end"), &http.expect_body);
        let found = |part: &[u8]| part == text.as_bytes();
        assert!(text.is_empty() || body.windows(text.len()).any(found));
    }
}
