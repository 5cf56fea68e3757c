//! `http`: a page of a web server. A captive portal answers with another status or another text.
//!
//! The server's name is resolved through the path itself, never by the system's resolver.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use heapless::String;

use super::dns::{ask, name};
use super::{Common, Input, Learned, Output, Pace, Step, Transport, Type, Way, is_url};
use crate::limits::{HOST_MAX, HTTP_PATH_MAX, HTTP_TEXT_MAX};
use crate::option::section::{Given, Options};
use crate::option::value;
use crate::text::fill;
use crate::types::{Duration, Family, Fault};
use crate::wire::dns::{self, Question, RecordType, Rejected};
use crate::wire::http::{self, Broken, PORT, Progress, Response};

/// The default resolvers, per family.
pub const RESOLVERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
    IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe)),
];

/// A request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// the web server's address; if `name` is set, that of the resolver for it
    pub address: IpAddr,
    /// the web server's name; empty if its address is given
    pub name: String<HOST_MAX>,
    /// its port
    pub port: u16,
    /// the value of the Host header
    pub host: String<HOST_MAX>,
    /// the path of the page
    pub path: String<HTTP_PATH_MAX>,
    /// the status that the response must have
    pub expect_status: u16,
    /// text that the body must contain; empty: any body
    pub expect_body: String<HTTP_TEXT_MAX>,
}

/// The state of a session.
#[derive(Debug, Default)]
pub struct HttpState {
    part: Part,
    /// ID of the query to the resolver
    id: u16,
    family: Option<Family>,
    response: Response,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// the server's name is being resolved
    #[default]
    Resolving,
    /// the TCP connection is being made
    Connecting,
    /// the request is sent
    Reading,
}

impl Type for Http {
    type Session = HttpState;

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Http, Family)> {
        let mut http = Http {
            address: RESOLVERS[0],
            name: String::new(),
            port: PORT,
            host: String::new(),
            path: String::new(),
            expect_status: 204,
            expect_body: String::new(),
        };
        super::tcp::port(options, &mut http.port);
        let host = name(options, "host", &mut http.host);
        let _ = http.path.push_str("/"); // there is room
        options.set_text("path", &mut http.path, path);
        let mut status = http.expect_status.into();
        options.number("expect_status", 100, 599, &mut status);
        http.expect_status = u16::try_from(status).unwrap_or(204); // at most 599
        options.set_text("expect_body", &mut http.expect_body, expected_text);
        let mut resolver = None;
        let given = options.set("resolver", &mut resolver, |text| {
            value::address(text).map(Some)
        });
        let line = common.line(options, "the web server's address or name")?;
        let text = common.target.as_str();
        let literal = text.parse().ok();
        let judged = match literal {
            Some(_) => value::address(text).map(drop),
            None => server_name(text),
        };
        if let Err(expected) = judged {
            options.refuse("target", text, line, expected);
            return None;
        }
        let family = match literal {
            Some(address) => {
                common.agree(options, address);
                http.address = address;
                Family::of(address)
            }
            None => {
                let family = common.family.or(Family::V4);
                if let (Some(address), Given::Is((), line)) = (resolver, given)
                    && Family::of(address) != family
                {
                    options.error(
                        line,
                        format_args!("resolver '{address}': it is not of the check's family, {family}; option family sets that"),
                    );
                }
                http.address = resolver.unwrap_or(RESOLVERS[family as usize]);
                let _ = http.name.push_str(text); // it fits
                family
            }
        };
        if !host.is_set() {
            match literal {
                // RFC 3986 section 3.2.2
                Some(IpAddr::V6(address)) => fill(&mut http.host, format_args!("[{address}]")),
                _ => http.host.push_str(text).unwrap_or_default(), // it fits
            }
        }
        Some((http, family))
    }

    fn pace(&self) -> Pace {
        Pace {
            least: Duration::from_secs(30),
            rounds: 10,
        }
    }

    fn way(&self) -> Way<'_> {
        Way::Session
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.address)
    }

    fn step(&self, session: &mut HttpState, input: Input<'_>, output: &mut Output) -> Step {
        let step = self.next_step(session, input, output);
        let failed = match step {
            Step::End(Err(_)) => true,
            Step::Wait => matches!(input, Input::TimedOut),
            _ => false,
        };
        // The address may be wrong: a portal may have answered the query, or the server has moved.
        if failed && session.part != Part::Resolving {
            output.learned = Learned::Forget;
        }
        step
    }
}

impl Http {
    fn next_step(&self, session: &mut HttpState, input: Input<'_>, output: &mut Output) -> Step {
        match (input, session.part) {
            (Input::Begin { family, known, .. }, _) => {
                session.family = Some(family);
                match known {
                    _ if self.name.is_empty() => self.connect(session, self.address),
                    Some(address) => self.connect(session, address),
                    None => Step::Connect(Transport::Udp, SocketAddr::new(self.address, dns::PORT)),
                }
            }
            (Input::Connected { random }, Part::Resolving) => {
                session.id = random;
                ask(&self.question(session), output);
                Step::Wait
            }
            (Input::Received(message), Part::Resolving) => self.resolved(session, message, output),
            // Any router on the way can send an ICMP error: it is no answer.
            (Input::Failed(_) | Input::Closed, Part::Resolving) => Step::Wait,
            (Input::TimedOut, Part::Resolving) => Step::End(Err(Fault::Unresolved)),
            (Input::Connected { .. }, _) => {
                session.part = Part::Reading;
                http::request(&self.host, self.port, &self.path, &mut output.bytes);
                Step::Wait
            }
            (Input::Received(bytes), _) => {
                let progress = session.response.read(bytes, &self.expect_body);
                self.judge(&session.response, progress)
            }
            (Input::Closed, _) => {
                let whole = session.response.end().map(|()| Progress::Whole);
                self.judge(&session.response, whole)
            }
            (Input::Failed(fault), _) => Step::End(Err(fault)),
            (Input::TimedOut, Part::Connecting) => Step::Wait,
            (Input::TimedOut, Part::Reading) => Step::End(Err(Fault::Silent)),
        }
    }

    fn connect(&self, session: &mut HttpState, address: IpAddr) -> Step {
        session.part = Part::Connecting;
        Step::Connect(Transport::Tcp, SocketAddr::new(address, self.port))
    }

    fn question(&self, session: &HttpState) -> Question<'_> {
        Question {
            id: session.id,
            name: &self.name,
            record: RecordType::of(session.family.unwrap_or(Family::V4)),
        }
    }

    fn resolved(&self, session: &mut HttpState, message: &[u8], output: &mut Output) -> Step {
        match dns::parse(&self.question(session), None, message) {
            Err(Rejected::Unrelated) => Step::Wait,
            Err(Rejected::Malformed) => Step::End(Err(Fault::Unresolved)),
            Ok(answer) => match answer.address {
                Some((address, seconds)) if answer.rcode == 0 => {
                    output.learned = Learned::Address(address, seconds);
                    self.connect(session, address)
                }
                _ => Step::End(Err(Fault::Unresolved)),
            },
        }
    }

    /// Judges a response; an unexpected status fails at once.
    fn judge(&self, response: &Response, progress: Result<Progress, Broken>) -> Step {
        if let Some(status) = response.status()
            && status != self.expect_status
        {
            return Step::End(Err(Fault::Status(status)));
        }
        Step::End(match progress {
            Ok(Progress::More) => return Step::Wait,
            Ok(Progress::Whole) if self.expect_body.is_empty() || response.found() => Ok(()),
            Ok(Progress::Whole) => Err(Fault::OtherText),
            Err(Broken::Malformed) => Err(Fault::Malformed),
            Err(Broken::TooLong) => Err(Fault::TooLong),
        })
    }
}

/// Whether a target that is no address is the name of a server.
fn server_name(text: &str) -> value::Expected<()> {
    match () {
        () if text.starts_with("https:") => Err(
            "there is no https: expected a server's name or address; for https, type exec with a command as curl",
        ),
        () if is_url(text) => Err(
            "expected a server's name or address, without http://; the rest goes into option path",
        ),
        () if text.contains(',') || text.contains(' ') => {
            Err("expected one server's name or address: write a check for each")
        }
        () if text.contains(':') => {
            Err("expected a server's name or address alone; the port goes into option port")
        }
        () if text == "." || !dns::is_name(text) => Err("expected a server's name or address"),
        () => Ok(()),
    }
}

fn path(text: &str) -> value::Expected<()> {
    let fit = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    match fit && text.len() <= HTTP_PATH_MAX {
        true => Ok(()),
        false => Err("expected a path of at most 100 bytes, beginning with '/', without blanks"),
    }
}

fn expected_text(text: &str) -> value::Expected<()> {
    match text.len() {
        0 => Err("expected a text that stands in the page"),
        1..=HTTP_TEXT_MAX => Ok(()),
        _ => Err("expected a text of at most 63 bytes"),
    }
}
