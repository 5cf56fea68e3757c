//! `dns`: a question to a DNS server, answered as it should be.

use core::net::{IpAddr, SocketAddr};

use heapless::String;

use super::{Common, Heard, Pace, Say, Step, Transport, Type, Way};
use crate::limits::HOST_MAX;
use crate::option::section::{Given, Options};
use crate::option::value;
use crate::types::{Family, Fault};
use crate::wire::dns::{self, Answer, PORT, Question, RecordType, Rejected};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// to which server
    pub server: SocketAddr,
    /// for which name
    pub query: String<HOST_MAX>,
    /// for what of it
    pub record: RecordType,
    /// the address that must be in the answer
    pub expect: Option<IpAddr>,
    /// the RCODE that the answer must have
    pub rcode: u8,
}

/// What a session remembers: the question's number, and why there may be no answer.
#[derive(Debug, Default)]
pub struct Asked {
    id: u16,
    told: Option<Fault>,
}

impl Type for Dns {
    type Session = Asked;

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Dns, Family)> {
        let query = name(options, "query");
        if query.is_absent() {
            options.missing(
                "has no query: expected option query with the name to ask for, as example.com",
            );
        }
        let records = [
            ("A", RecordType::A),
            ("AAAA", RecordType::Aaaa),
            ("NS", RecordType::Ns),
        ];
        let record = options.choice("record", &records);
        let expect = options.parse("expect", value::address);
        let rcode = options.number("rcode", 0, 15);
        let port = super::tcp::port(options).or(PORT);
        let server = common.address(options, "the address of the DNS server")?;
        let record = record.or(match expect {
            Given::Is(address, _) => RecordType::of(Family::of(address)),
            _ => RecordType::A,
        });
        if let Given::Is(address, line) = expect
            && (record != RecordType::of(Family::of(address)) || rcode.or(0) != 0)
        {
            options.error(
                line,
                format_args!(
                    "expect '{address}': the answer that is asked for has no such address"
                ),
            );
        }
        let expect = match expect {
            Given::Is(address, _) => Some(address),
            _ => None,
        };
        let dns = Dns {
            server: SocketAddr::new(server, port),
            query: query.or(String::new()),
            record,
            expect,
            rcode: u8::try_from(rcode.or(0)).unwrap_or(0), // at most 15
        };
        Some((dns, Family::of(server)))
    }

    fn pace(&self) -> Pace {
        super::tcp::PACE
    }

    fn way(&self) -> Way<'_> {
        Way::Session
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.server.ip())
    }

    fn step(&self, asked: &mut Asked, heard: Heard<'_>, say: &mut Say) -> Step {
        match heard {
            Heard::Begin { .. } => return Step::Connect(Transport::Udp, self.server),
            Heard::Connected { random } => {
                asked.id = random;
                ask(&self.question(asked), say);
            }
            Heard::Said(message) => match dns::parse(&self.question(asked), self.expect, message) {
                Ok(answer) => return Step::End(self.judge(&answer)),
                Err(Rejected::Malformed) => return Step::End(Err(Fault::Malformed)),
                Err(Rejected::Stranger) => {}
            },
            // Anybody on the way can say so: it is no answer, but may be why there is none.
            Heard::Failed(fault) => asked.told = Some(fault),
            Heard::TimedOut => {
                if let Some(fault) = asked.told {
                    return Step::End(Err(fault));
                }
            }
            Heard::Ended => {}
        }
        Step::Wait
    }
}

impl Dns {
    fn question(&self, asked: &Asked) -> Question<'_> {
        Question {
            id: asked.id,
            name: &self.query,
            record: self.record,
        }
    }

    fn judge(&self, answer: &Answer) -> Result<(), Fault> {
        match answer {
            _ if answer.rcode != self.rcode => Err(Fault::Rcode(answer.rcode)),
            _ if self.rcode != 0 => Ok(()),
            _ if answer.records == 0 => Err(Fault::NoRecord),
            _ if self.expect.is_some() && !answer.found => Err(Fault::OtherAddress),
            _ => Ok(()),
        }
    }
}

/// The name of an option.
pub(super) fn name(options: &mut Options<'_, '_, '_>, option: &str) -> Given<String<HOST_MAX>> {
    options.parse(option, |text| {
        const EXPECTED: &str = "expected a name of letters, digits and hyphens, as example.com";
        if !dns::is_name(text) {
            return Err(EXPECTED);
        }
        String::try_from(text).map_err(|_| EXPECTED)
    })
}

/// Says a question.
pub(super) fn ask(question: &Question<'_>, say: &mut Say) {
    let mut buffer = [0; dns::QUERY_MAX];
    let length = dns::query(question, &mut buffer);
    // There is room for the longest.
    let _ = say.bytes.extend_from_slice(&buffer[..length]);
}
