//! The types of checks: the options of each, how it probes, and which answers are good.
//!
//! Each type is a file here and a line in the list below. Nothing here does I/O: `linux` sends the output of a check, and
//! passes what is received to it.
//!
//! | module | probes |
//! |---|---|
//! | [`ping`] | a host, by ICMP echo |
//! | [`tcp`] | a port, for a connection |
//! | [`dns`] | a DNS server, for a name |
//! | [`http`] | a web server, for a page: finds captive portals |
//! | [`neighbour`] | the gateway on the link (`arp` and `ndp`) |
//! | [`exec`] | with a command |

pub mod dns;
pub mod exec;
pub mod http;
pub mod neighbour;
pub mod ping;
mod session;
pub mod tcp;

use core::net::IpAddr;

use heapless::String;

use crate::limits::TARGET_MAX;
use crate::option::section::{Given, Options, Value};
use crate::option::value::{address, number};
use crate::types::{Duration, Family};

pub use session::{Input, Learned, OUTPUT_MAX, Output, Step, Transport};

types! {
    Ping "ping" ping::Ping,
    Tcp "tcp" tcp::Tcp,
    Dns "dns" dns::Dns,
    Http "http" http::Http,
    Arp "arp" neighbour::Arp,
    Ndp "ndp" neighbour::Ndp,
    Exec "exec" exec::Exec,
}

/// One type of check.
pub(crate) trait Type: Sized {
    /// The state of a session between steps; all zero bytes when new.
    type Session: Default;

    /// Reads the type's options. Returns the check and its family; `None` if an option is wrong, which is reported.
    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Self, Family)>;

    /// The default interval between probes.
    fn pace(&self) -> Pace {
        Pace::EACH_ROUND
    }

    /// How the check is made.
    fn way(&self) -> Way<'_>;

    /// The host that it asks, where it asks one by its address: for a name, the resolver.
    fn host(&self) -> Option<IpAddr> {
        None
    }

    /// One step of a session, for types that have sessions.
    fn step(&self, _: &mut Self::Session, _: Input<'_>, _: &mut Output) -> Step {
        Step::Wait
    }
}

/// The options that all checks have.
pub(crate) struct Common {
    /// the target; empty if it is not given
    pub(crate) target: Value,
    pub(crate) given: Given<()>,
    pub(crate) family: Given<Family>,
}

/// The default interval between probes of a check: at least this time, and at least so many rounds. So a fast profile
/// does not send ten requests a second to a public server, and a metered line carries few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// at least this time
    pub least: Duration,
    /// and at least so many rounds
    pub rounds: u32,
}

/// Whether a target is written as a URL, `http://…`.
fn is_url(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(_, rest)| rest.starts_with("//"))
}

/// Whether a target that is no address is one with a port, as `192.0.2.1:80` or `[2001:db8::1]:80`.
fn has_port(text: &str) -> bool {
    let colon = text.bytes().rposition(|byte| byte == b':');
    colon.is_some_and(|colon| {
        let (host, port) = (&text[..colon], &text[colon + 1..]);
        let host = host.strip_prefix("[").unwrap_or(host);
        let host = host.strip_suffix("]").unwrap_or(host);
        number(port).is_some() && host.parse::<IpAddr>().is_ok()
    })
}

impl Pace {
    const EACH_ROUND: Pace = Pace {
        least: Duration::ZERO,
        rounds: 0,
    };
}

/// How a check is made.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// by ICMP echo, over the path's raw socket
    Echo(&'a ping::Ping),
    /// by ARP or neighbour discovery, over the path's packet socket: this address, or the gateway's
    Link(Option<IpAddr>),
    /// by a session over its own socket: see [`CheckKind::step`]
    Session,
    /// by a command for `/bin/sh -c`
    Run(&'a str),
}

impl Common {
    /// The target, which must be an address; `meaning` says what of.
    fn address(&self, options: &mut Options<'_, '_, '_>, meaning: &str) -> Option<IpAddr> {
        let line = self.line(options, meaning)?;
        self.accept(options, line)
    }

    /// The line of the target, which is required.
    fn line(&self, options: &mut Options<'_, '_, '_>, meaning: &str) -> Option<u32> {
        match self.given {
            Given::Is((), line) => Some(line),
            Given::Bad => None,
            Given::Absent => {
                let mut what: String<{ 2 * TARGET_MAX }> = String::new();
                let _ = what
                    .push_str("has no target: expected option target with ")
                    .and_then(|()| what.push_str(meaning));
                options.missing(&what);
                None
            }
        }
    }

    /// The address that the target must be, of the given family.
    fn accept(&self, options: &mut Options<'_, '_, '_>, line: u32) -> Option<IpAddr> {
        let text = self.target.as_str();
        match address(text) {
            Ok(address) => {
                self.agree(options, address);
                Some(address)
            }
            Err(expected) => {
                let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
                let expected = match () {
                    () if text.parse::<IpAddr>().is_ok() => expected,
                    () if is_url(text) => {
                        "expected an address, not a URL; a page is for type http, with its server as target, and option path"
                    }
                    () if text.contains(',') || text.contains(' ') => {
                        "expected one address: write a check for each"
                    }
                    () if has_port(text) => {
                        "expected the address alone; the port goes into option port"
                    }
                    () if has_letters && !text.contains([':', '/', '%', ' ']) => {
                        "this check needs an IPv4 or IPv6 address, not a name"
                    }
                    () => expected,
                };
                options.refuse("target", text, line, expected);
                None
            }
        }
    }

    /// The given family, if any, must be that of the target's address.
    fn agree(&self, options: &mut Options<'_, '_, '_>, address: IpAddr) {
        if let Given::Is(family, line) = self.family
            && family != Family::of(address)
        {
            let expected = "the target is an address of the other family";
            options.refuse("family", family.name(), line, expected);
        }
    }
}

/// From the list of types, makes the enum of checks, the enum of session states, and the table of names.
macro_rules! types {
    ($($variant:ident $name:literal $module:ident::$kind:ident,)*) => {
        /// The type of a check, with its options.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum CheckKind {
            $($variant($module::$kind),)*
        }

        /// The state of a check's session.
        #[derive(Debug, Default)]
        pub struct Session(Kept);

        #[derive(Debug, Default)]
        enum Kept {
            #[default]
            Nothing,
            $($variant(<$module::$kind as Type>::Session),)*
        }

        /// A type's name, and the function that reads its options.
        pub(crate) struct Named {
            pub(crate) name: &'static str,
            pub(crate) read: fn(&mut Options<'_, '_, '_>, &Common) -> Option<(CheckKind, Family)>,
        }

        /// Every type.
        pub(crate) static TYPES: &[Named] = &[$(Named {
            name: $name,
            read: |options, common| {
                let (kind, family) = <$module::$kind as Type>::read(options, common)?;
                Some((CheckKind::$variant(kind), family))
            },
        },)*];

        impl CheckKind {
            /// The type's name.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(CheckKind::$variant(_) => $name,)*
                }
            }

            /// The default interval between probes.
            pub fn pace(&self) -> Pace {
                match self {
                    $(CheckKind::$variant(kind) => kind.pace(),)*
                }
            }

            /// How the check is made.
            pub fn way(&self) -> Way<'_> {
                match self {
                    $(CheckKind::$variant(kind) => kind.way(),)*
                }
            }

            /// The host beyond the link that it asks, where it asks one by its address: for a name, the resolver.
            pub fn host(&self) -> Option<IpAddr> {
                match self {
                    $(CheckKind::$variant(kind) => kind.host(),)*
                }
            }

            /// One step of a session: takes an input and says what to do next. Bytes to send are put into `output`.
            pub fn step(&self, session: &mut Session, input: Input<'_>, output: &mut Output) -> Step {
                if matches!(session.0, Kept::Nothing) {
                    session.0 = match self {
                        $(CheckKind::$variant(_) => Kept::$variant(Default::default()),)*
                    };
                }
                match (self, &mut session.0) {
                    $((CheckKind::$variant(kind), Kept::$variant(session)) => {
                        kind.step(session, input, output)
                    })*
                    // The check was replaced after the session began: the answer is ignored.
                    _ => Step::Wait,
                }
            }
        }
    };
}
use types;
