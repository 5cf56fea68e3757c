//! Sessions of checks with servers, told as `linux/sessions.rs` tells them: what is asked, what is learned, and what is
//! taken for a good answer is held against the bytes that came.
//!
//! Input: the check, see [`kind`]; whether it is IPv6's, and whether an address was known (1); what the socket comes to and
//! what comes over it, see [`Session::next`].

#![no_main]

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use failover::check::dns::Dns;
use failover::check::http::{Http, RESOLVERS, Server};
use failover::check::tcp::Tcp;
use failover::check::{CheckKind, Heard, Learned, SAY_MAX, Say, Session, Step, Transport};
use failover::limits::{HOST_MAX, HTTP_PATH_MAX, HTTP_TEXT_MAX};
use failover::types::{Family, Fault};
use failover::wire::dns::{RecordType, is_name};
use failover_fuzz::{Input, damage};
use libfuzzer_sys::fuzz_target;

/// As many bytes are read at once, at most.
const READ_LEN: usize = 2048;
/// Longer sessions say nothing new.
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

/// A check, as the configuration may have it: its type and which options it has; a name, as a piece; two numbers; a text, as
/// a piece.
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
            // See its `read`: an address is looked for only where it can be.
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
            server: match place {
                2 => Server::Address(target),
                _ => Server::Name(
                    fit(if name == "." { "a" } else { name }),
                    RESOLVERS[family as usize],
                ),
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

/// A session that is open.
struct Exchange<'a> {
    kind: &'a CheckKind,
    family: Family,
    session: Session,
    transport: Transport,
    to: SocketAddr,
    connected: bool,
    /// what was said to whom it is connected to
    said: Vec<u8>,
    /// what that one has said, and the last piece of it
    heard: Vec<u8>,
    last: Vec<u8>,
}

impl<'a> Exchange<'a> {
    fn hold(kind: &'a CheckKind, family: Family, known: Option<IpAddr>, input: &mut Input<'_>) {
        let (mut session, mut say) = (Session::default(), Say::default());
        let begin = Heard::Begin { family, known };
        let step = kind.step(&mut session, begin, &mut say);
        let Step::Connect(transport, to) = step else {
            panic!("it begins with {step:?}");
        };
        assert!(say.bytes.is_empty() && say.learned == Learned::Nothing);
        let expected = match kind {
            CheckKind::Tcp(tcp) => (Transport::Tcp, tcp.target),
            CheckKind::Dns(dns) => (Transport::Udp, dns.server),
            CheckKind::Http(http) => match (&http.server, known) {
                (Server::Name(_, resolver), None) => {
                    (Transport::Udp, SocketAddr::new(*resolver, 53))
                }
                (Server::Address(address), _) => {
                    (Transport::Tcp, SocketAddr::new(*address, http.port))
                }
                (_, Some(address)) => (Transport::Tcp, SocketAddr::new(address, http.port)),
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
            said: Vec::new(),
            heard: Vec::new(),
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
        session.hear(Heard::TimedOut);
    }

    /// The next event, which a byte tells; whether it was the last. Nothing comes before the socket is connected.
    fn next(&mut self, input: &mut Input<'_>) -> bool {
        let how = input.byte();
        let (what, number) = (how & 7, how >> 3);
        let fault = Heard::Failed(FAULTS[usize::from(number) % FAULTS.len()]);
        if !self.connected && what < 7 {
            let random = match (self.transport, input.array()) {
                (Transport::Udp, random) => u16::from_be_bytes(random),
                (Transport::Tcp, _) => 0,
            };
            return self.hear(Heard::Connected { random });
        }
        let message = match (what, self.transport) {
            (0 | 1, _) => input.piece().repeat(1 << (number & 7)),
            (2..=4, Transport::Udp) => self.answer(number, input),
            (2..=4, Transport::Tcp) => self.page(number, input),
            (5, Transport::Udp) => Vec::new(),
            (5, Transport::Tcp) => return self.hear(Heard::Ended),
            (6, _) => return self.hear(Heard::TimedOut),
            _ => return self.hear(fault),
        };
        let length = message.len().min(READ_LEN);
        if length == 0 && self.transport == Transport::Tcp {
            return false;
        }
        self.last = message[..length].to_vec();
        self.heard.extend(&message[..length]);
        let last = self.last.clone();
        self.hear(Heard::Said(&last))
    }

    /// What a DNS server answers: records as the bits of a number say, the RCODE (1), and damage as a piece.
    fn answer(&self, records: u8, input: &mut Input<'_>) -> Vec<u8> {
        let mut message = self.said.clone();
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

    /// A part of what a web server responds, and damage as a piece.
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

    /// One step; whether it was the last.
    fn hear(&mut self, heard: Heard<'_>) -> bool {
        let mut say = Say::default();
        let step = self.kind.step(&mut self.session, heard, &mut say);
        let Say { bytes, learned } = say;
        assert!(bytes.len() <= SAY_MAX);
        match heard {
            Heard::Connected { random } => {
                self.connected = true;
                self.said = bytes.to_vec();
                self.check_said(random, step);
            }
            // All else is nothing to be said about: nor is anything said with the last step.
            _ => assert!(bytes.is_empty(), "{heard:?}"),
        }
        self.check_learned(heard, learned, step);
        match step {
            Step::Connect(transport, to) => {
                assert!(matches!(heard, Heard::Said(_)));
                assert!(self.transport == Transport::Udp && transport == Transport::Tcp);
                (self.transport, self.to, self.connected) = (transport, to, false);
                self.said.clear();
                self.heard.clear();
            }
            // The socket of a stream would be ready for ever; that of datagrams has told of somebody on the way.
            Step::Wait => assert!(
                self.transport == Transport::Udp
                    || !matches!(heard, Heard::Ended | Heard::Failed(_)),
                "{heard:?}"
            ),
            Step::End(Ok(())) => self.check_good(heard),
            Step::End(Err(_)) => assert!(
                self.transport == Transport::Tcp
                    || matches!(heard, Heard::Said(_) | Heard::TimedOut),
                "{heard:?}"
            ),
        }
        matches!(step, Step::End(_)) || matches!(heard, Heard::TimedOut)
    }

    fn check_said(&self, random: u16, step: Step) {
        let said = &*self.said;
        match (self.transport, self.kind) {
            (Transport::Udp, _) => {
                assert_eq!(said[..2], random.to_be_bytes());
                assert_eq!(said[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
                assert_eq!(step, Step::Wait);
            }
            (_, CheckKind::Http(http)) => {
                let head = format!("GET {} HTTP/1.0\r\nHost: {}", http.path, http.host);
                assert!(said.starts_with(head.as_bytes()) && said.ends_with(b"\r\n\r\n"));
                assert_eq!(step, Step::Wait);
            }
            _ => assert!(said.is_empty() && step == Step::End(Ok(()))),
        }
    }

    /// An address is learned of an answer to the question for it, and asked at once; forgotten when the page is not there.
    fn check_learned(&self, heard: Heard<'_>, learned: Learned, step: Step) {
        match learned {
            Learned::Nothing => assert!(!matches!(step, Step::Connect(..))),
            Learned::Address(address, _) => {
                let CheckKind::Http(http) = self.kind else {
                    panic!("{learned:?} by {:?}", self.kind);
                };
                assert!(matches!(http.server, Server::Name(..)));
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
                assert!(matches!(step, Step::End(Err(_))) || matches!(heard, Heard::TimedOut));
            }
        }
    }

    fn check_good(&self, heard: Heard<'_>) {
        match self.kind {
            CheckKind::Tcp(tcp) => {
                let refused = matches!(heard, Heard::Failed(Fault::Refused)) && tcp.accept_refused;
                assert!(refused || matches!(heard, Heard::Connected { .. }));
            }
            CheckKind::Dns(dns) => {
                assert!(matches!(heard, Heard::Said(_)));
                self.check_answers();
                assert_eq!(self.last[3] & 15, dns.rcode);
                let records = u16::from_be_bytes([self.last[6], self.last[7]]);
                assert!(dns.rcode != 0 || records > 0 && self.last.len() > self.said.len());
                assert!(dns.expect.is_none_or(|address| self.has(address)));
            }
            CheckKind::Http(http) => {
                assert!(matches!(heard, Heard::Said(_) | Heard::Ended));
                self.check_page(http);
            }
            other => panic!("{other:?} took something for an answer"),
        }
    }

    /// The last message has the number and the question of what was said.
    fn check_answers(&self) {
        let (said, message) = (&self.said, &self.last);
        assert_eq!(message[..2], said[..2]);
        assert!(message[2] & 0xf8 == 0x80 && message[4..6] == [0, 1]);
        let (question, rest) = message[12..].split_at(said.len() - 12);
        assert!(question.eq_ignore_ascii_case(&said[12..]) && rest.len() < READ_LEN);
        assert_eq!(question[question.len() - 4..], said[said.len() - 4..]);
    }

    /// The last message has this address, behind the question.
    fn has(&self, address: IpAddr) -> bool {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let records = &self.last[self.said.len()..];
        records.windows(octets.len()).any(|part| part == octets)
    }

    /// The page has the status and the text that are expected.
    fn check_page(&self, http: &Http) {
        let page = &*self.heard;
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
