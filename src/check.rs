//! The types of checks: what each one's options are, how it asks, and what it takes for a good answer.
//!
//! A type is a file here, and a line in the list below. Nothing here does I/O: what a check has to say goes out by
//! `linux`, and what comes back is told to it.
//!
//! | module | asks |
//! |---|---|
//! | [`ping`] | a host, by ICMP echo |
//! | [`tcp`] | a port, for a connection |
//! | [`dns`] | a DNS server, for a name |
//! | [`http`] | a web server, for a page: finds captive portals |
//! | [`neighbour`] | the gateway itself, on the link (`arp` and `ndp`) |
//! | [`exec`] | a command |

pub mod dns;
pub mod exec;
pub mod http;
pub mod neighbour;
pub mod ping;
mod session;
pub mod tcp;

use core::net::{IpAddr, SocketAddr};

use heapless::String;

use crate::limits::TARGET_MAX;
use crate::option::section::{Given, Options, Value};
use crate::option::value::Expected;
use crate::types::{Duration, Family};

pub use session::{Heard, Learned, SAY_MAX, Say, Step, Transport};

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
    /// What a session of it remembers from one step to the next; all zero bytes when new.
    type Session: Default;

    /// Reads its options; none when they are wrong, which is reported. Also the family that it belongs to.
    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Self, Family)>;

    /// How often it asks when nobody says how often.
    fn pace(&self) -> Pace {
        Pace::EACH_ROUND
    }

    /// How it asks.
    fn way(&self) -> Way<'_>;

    /// The host that it asks, where it asks one by its address: for a name, the resolver.
    fn host(&self) -> Option<IpAddr> {
        None
    }

    /// One step of a session, for those that have any.
    fn step(&self, _: &mut Self::Session, _: Heard<'_>, _: &mut Say) -> Step {
        Step::Wait
    }
}

/// The options that all checks have.
pub(crate) struct Common {
    pub(crate) target: Given<Value>,
    pub(crate) family: Given<Family>,
}

/// How often a check asks when nobody says how often: at most once in this time, and once in so many rounds. So a faster
/// profile does not ask a stranger's server ten times a second, nor a metered one more than it pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// at most once in this time
    pub least: Duration,
    /// and in so many rounds
    pub rounds: u32,
}

/// Whether a target is written as a URL, `http://…`.
fn is_url(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(_, rest)| rest.starts_with("//"))
}

impl Pace {
    const EACH_ROUND: Pace = Pace {
        least: Duration::ZERO,
        rounds: 0,
    };
}

/// How a check asks.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// by ICMP echo, over the path's raw socket
    Echo(&'a ping::Ping),
    /// by ARP or neighbour discovery, over the path's packet socket: this address, or the gateway's
    Link(Option<IpAddr>),
    /// by a session, over a socket of its own: see [`CheckKind::step`]
    Session,
    /// by a command for `/bin/sh -c`
    Run(&'a str),
}

impl Common {
    /// The target, which must be an address.
    fn address(&self, options: &mut Options<'_, '_, '_>, whose: &str) -> Option<IpAddr> {
        let target = self.target(options, whose)?;
        let parsed = crate::option::value::address(&target.0);
        self.accept(options, &target, parsed)
    }

    /// The target and its line, which must be there.
    fn target(&self, options: &mut Options<'_, '_, '_>, whose: &str) -> Option<(Value, u32)> {
        match &self.target {
            Given::Is(text, line) => Some((text.clone(), *line)),
            Given::Bad => None,
            Given::Absent => {
                let mut what: String<{ 2 * TARGET_MAX }> = String::new();
                let _ = what
                    .push_str("has no target: expected option target with ")
                    .and_then(|()| what.push_str(whose));
                options.missing(&what);
                None
            }
        }
    }

    /// An address that was parsed from a target, if it is of the family that was given.
    fn accept(
        &self,
        options: &mut Options<'_, '_, '_>,
        (text, line): &(Value, u32),
        parsed: Expected<IpAddr>,
    ) -> Option<IpAddr> {
        match parsed {
            Ok(address) => {
                self.agree(options, address);
                Some(address)
            }
            Err(expected) => {
                let name = text.parse::<IpAddr>().is_err()
                    && text.bytes().any(|byte| byte.is_ascii_alphabetic())
                    && !text.contains([':', '/', '%', ' ']);
                let expected = if is_url(text) {
                    "expected an address, not a URL; a page is for type http, with its server as target, and option path"
                } else if text.contains([',', ' ']) {
                    "expected one address: write a check for each"
                } else if text.parse::<SocketAddr>().is_ok() {
                    "expected the address alone; the port goes into option port"
                } else if name {
                    "this check needs an IPv4 or IPv6 address, not a name"
                } else {
                    expected
                };
                options.refuse("target", text, *line, expected);
                None
            }
        }
    }

    /// A family that was given must be that of the address asked.
    fn agree(&self, options: &mut Options<'_, '_, '_>, address: IpAddr) {
        if let Given::Is(family, line) = self.family
            && family != Family::of(address)
        {
            let expected = "the target is an address of the other family";
            options.refuse("family", family.name(), line, expected);
        }
    }
}

/// Makes of the list of types: the enum of their checks, that of their sessions, and the table of their names.
macro_rules! types {
    ($($variant:ident $name:literal $module:ident::$kind:ident,)*) => {
        /// The type of a check, with the type's own options.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum CheckKind {
            $($variant($module::$kind),)*
        }

        /// What a session of a check remembers.
        #[derive(Debug, Default)]
        pub struct Session(Kept);

        #[derive(Debug, Default)]
        enum Kept {
            #[default]
            Nothing,
            $($variant(<$module::$kind as Type>::Session),)*
        }

        /// A type's name, and how its own options are read.
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

            /// How often it asks when nobody says how often.
            pub fn pace(&self) -> Pace {
                match self {
                    $(CheckKind::$variant(kind) => kind.pace(),)*
                }
            }

            /// How it asks.
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

            /// One step of a session: something was heard, and this is done about it. What is said stands in `say`.
            pub fn step(&self, session: &mut Session, heard: Heard<'_>, say: &mut Say) -> Step {
                if matches!(session.0, Kept::Nothing) {
                    session.0 = match self {
                        $(CheckKind::$variant(_) => Kept::$variant(Default::default()),)*
                    };
                }
                match (self, &mut session.0) {
                    $((CheckKind::$variant(kind), Kept::$variant(session)) => {
                        kind.step(session, heard, say)
                    })*
                    // The check is another one since: nobody waits for this answer.
                    _ => Step::Wait,
                }
            }
        }
    };
}
use types;
