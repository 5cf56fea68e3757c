//! `dns`: a query to a DNS server that is answered as expected.

use core::net::{IpAddr, SocketAddr};

use heapless::string::{String, StringView};

use super::{Common, Input, Output, Pace, Step, Transport, Type, Way};
use crate::limits::HOST_MAX;
use crate::option::section::{Given, Options};
use crate::option::value;
use crate::types::{Family, Fault};
use crate::wire::dns::{self, Answer, PORT, Question, RecordType, Rejected};

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// the server's address and port
    pub server: SocketAddr,
    /// the name asked for
    pub query: String<HOST_MAX>,
    /// the type of records asked for
    pub record: RecordType,
    /// the address that must be in the answer
    pub expect: Option<IpAddr>,
    /// the RCODE that the answer must have
    pub rcode: u8,
}

/// The state of a session: the query's ID, and the socket error that may explain a missing answer.
#[derive(Debug, Default)]
pub struct DnsState {
    id: u16,
    reported: Option<Fault>,
}

impl Type for Dns {
    type Session = DnsState;

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Dns, Family)> {
        let mut query = String::new();
        if name(options, "query", &mut query).is_absent() {
            options.missing(
                "has no query: expected option query with the name to ask for, as example.com",
            );
        }
        let mut record = RecordType::A;
        let given = options.choice(
            "record",
            &[
                ("A", RecordType::A),
                ("AAAA", RecordType::Aaaa),
                ("NS", RecordType::Ns),
            ],
            &mut record,
        );
        let mut address = None;
        let expect = options.set("expect", &mut address, |text| {
            value::address(text).map(Some)
        });
        let mut rcode = 0;
        options.number("rcode", 0, 15, &mut rcode);
        let mut port = PORT;
        super::tcp::port(options, &mut port);
        let server = common.address(options, "the address of the DNS server")?;
        if let (Some(address), Given::Is((), line)) = (address, expect) {
            let fit = RecordType::of(Family::of(address));
            if !given.is_set() {
                record = fit;
            }
            if record != fit || rcode != 0 {
                options.error(
                    line,
                    format_args!(
                        "expect '{address}': the answer that is asked for has no such address"
                    ),
                );
            }
        }
        let dns = Dns {
            server: SocketAddr::new(server, port),
            query,
            record,
            expect: address,
            rcode: u8::try_from(rcode).unwrap_or(0), // at most 15
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

    fn step(&self, asked: &mut DnsState, input: Input<'_>, output: &mut Output) -> Step {
        match input {
            Input::Begin { .. } => return Step::Connect(Transport::Udp, self.server),
            Input::Connected { random } => {
                asked.id = random;
                ask(&self.question(asked), output);
            }
            Input::Received(message) => {
                match dns::parse(&self.question(asked), self.expect, message) {
                    Ok(answer) => return Step::End(self.judge(&answer)),
                    Err(Rejected::Malformed) => return Step::End(Err(Fault::Malformed)),
                    Err(Rejected::Unrelated) => {}
                }
            }
            // Any router on the way can send an ICMP error: it ends nothing, but explains a missing answer.
            Input::Failed(fault) => asked.reported = Some(fault),
            Input::TimedOut => {
                if let Some(fault) = asked.reported {
                    return Step::End(Err(fault));
                }
            }
            Input::Closed => {}
        }
        Step::Wait
    }
}

impl Dns {
    fn question(&self, asked: &DnsState) -> Question<'_> {
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
pub(super) fn name(
    options: &mut Options<'_, '_, '_>,
    option: &str,
    place: &mut StringView,
) -> Given<()> {
    options.set_text(option, place, |text| match dns::is_name(text) {
        true => Ok(()),
        false => Err("expected a name of letters, digits and hyphens, as example.com"),
    })
}

/// Writes a query to the output.
pub(super) fn ask(question: &Question<'_>, output: &mut Output) {
    let mut buffer = [0; dns::QUERY_MAX];
    let length = dns::query(question, &mut buffer);
    // There is room for the longest.
    let _ = output.bytes.extend_from_slice(&buffer[..length]);
}
