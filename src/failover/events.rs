//! What comes into the core and what goes out of it.

use core::fmt;

use heapless::Vec;

use crate::config::{PROVIDERS_MAX, PathId, Slot};
use crate::net::{Duration, Family};

/// A path's rounds are numbered from 0 since the daemon started; the number wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Round(pub u32);

/// A set of a path's checks: bit i is its check number i.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSet(pub u8);

impl CheckSet {
    /// Each that there may be.
    pub const ALL: CheckSet = CheckSet(u8::MAX);

    /// Only this one.
    pub const fn of(number: u8) -> CheckSet {
        CheckSet(1 << (number & 7))
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The clock has reached [`super::Failover::next_deadline`].
    Tick,
    /// What the kernel knows of a path's uplink: told once of every path that a configuration brings, whatever it is
    /// (nobody leads in a family before), and on every change.
    Uplink {
        /// whose
        path: PathId,
        /// why it cannot be probed, when it cannot
        waiting: Option<Waiting>,
        /// whether a default route through it can be installed
        routable: bool,
    },
    /// A check answered. Told once a probe; late answers too.
    Reply {
        /// whose
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round asked in
        round: Round,
        /// the time from sending to receiving
        rtt: Duration,
    },
    /// A probe could not be sent, or is known to have failed.
    Failed {
        /// whose
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round asked in
        round: Round,
        /// why
        fault: Fault,
    },
    /// The network says that a probe of this path cannot be delivered (ICMP destination unreachable, RFC 792 and
    /// RFC 4443, with its code). It is recorded, not judged: anybody on the way can say so.
    Unreachable {
        /// whose
        path: PathId,
        /// the code of the ICMP message
        code: u8,
    },
    /// A check was not asked after all: its former probe has not ended. Its last result stands for this one.
    Skipped {
        /// whose
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round it was to be asked in
        round: Round,
    },
    /// A check was not asked after all: there was no room. That says nothing of the line: its last result stands, however
    /// old that is; where it has none, and it matters, the round does not count.
    Unasked {
        /// whose
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round it was to be asked in
        round: Round,
    },
    /// A person pinned a provider, or took the pin away. One that is not configured, or not enabled, is ignored.
    Pin(Option<Slot>),
    /// A person took a provider out of use (`true`), or gave it back.
    Disable(Slot, bool),
    /// The kernel has the routes of the latest [`Plan`].
    RoutesApplied(Family),
    /// They did not come through: the kernel had no memory, or did not answer in time.
    RoutesFailed(Family, Fault),
}

/// What the driver must do. At most [`ACTIONS_MAX`] come of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send one probe of each of these checks, now; tell [`Event::Failed`] of each that cannot be sent, and
    /// [`Event::Skipped`] of each whose former probe is still under way and allows no other, and [`Event::Unasked`] of each
    /// that there is no room for. Begin with [`Rounds::turn`](super::rounds::Rounds::turn): so each has its turn.
    Probe {
        /// through which path
        path: PathId,
        /// the round to be echoed
        round: Round,
        /// which of its checks
        checks: CheckSet,
    },
    /// Bring the kernel to [`super::Failover::plan`] of this family, as it is when the driver gets to it.
    Routes(Family),
    /// Write the saved state: something worth remembering has changed.
    Save,
}

/// Most actions of one event.
pub const ACTIONS_MAX: usize = 8;
/// What to do, in this order.
pub type Actions = Vec<Action, ACTIONS_MAX>;

/// Why a path cannot be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Waiting {
    /// its device does not exist
    NoDevice,
    /// its device is administratively down
    Down,
    /// its device has no carrier
    NoCarrier,
    /// it has no address of its own
    NoAddress,
    /// it has no gateway
    NoGateway,
    /// another provider has its device
    DeviceTaken(Slot),
    /// the kernel refuses its default route
    RouteRefused,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Waiting::NoDevice => "no device",
            Waiting::Down => "down",
            Waiting::NoCarrier => "no carrier",
            Waiting::NoAddress => "no address",
            Waiting::NoGateway => "no gateway",
            Waiting::DeviceTaken(_) => "device taken",
            Waiting::RouteRefused => "route refused",
        })
    }
}

/// Why a probe failed at once, or a route was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Fault {
    /// ENETUNREACH
    NetworkUnreachable,
    /// EHOSTUNREACH
    HostUnreachable,
    /// ENODEV, ENXIO
    NoDevice,
    /// ENETDOWN
    NetworkDown,
    /// EPERM, EACCES: mostly a firewall
    NotPermitted,
    /// EADDRNOTAVAIL
    AddressUnavailable,
    /// ENOBUFS, ENOMEM
    NoBuffers,
    /// an operation that did not end in time
    TimedOut,
    /// ECONNREFUSED: somebody is there, but nobody at that port
    Refused,
    /// ECONNRESET, EPIPE: the connection was cut off
    Reset,
    /// the connection is there, but nothing comes over it
    Silent,
    /// an answer that nobody can read
    Malformed,
    /// an answer that has no end
    TooLong,
    /// a web server's answer with this status
    Status(u16),
    /// a web page without the text that must stand in it
    OtherText,
    /// a DNS server's answer with this RCODE
    Rcode(u8),
    /// a DNS server's answer without a record of the type asked for
    NoRecord,
    /// a DNS server's answer without the address that must be in it
    OtherAddress,
    /// the target's name has no address, or nobody tells it
    Unresolved,
    /// the link has no neighbours to ask for
    NoNeighbours,
    /// a command that ended with this status
    Exit(u8),
    /// a command that was killed, or could not be started
    Killed,
    /// any other errno
    Errno(i32),
    /// EINVAL: of a route, mostly its gateway
    InvalidArgument,
    /// EEXIST
    Exists,
    /// EOPNOTSUPP, EAFNOSUPPORT
    NotSupported,
    /// the target's name is said to have an address of our own
    OwnAddress,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::NetworkUnreachable => "network unreachable",
            Fault::HostUnreachable => "host unreachable",
            Fault::NoDevice => "no such device",
            Fault::NetworkDown => "network down",
            Fault::NotPermitted => "not permitted (by a firewall?)",
            Fault::AddressUnavailable => "own address missing",
            Fault::NoBuffers => "no buffers",
            Fault::InvalidArgument => "invalid argument",
            Fault::Exists => "file exists",
            Fault::NotSupported => "not supported",
            Fault::TimedOut => "timed out",
            Fault::Killed => "killed",
            Fault::Refused => "connection refused",
            Fault::Reset => "connection reset",
            Fault::Silent => "accepts, but does not answer",
            Fault::Malformed => "malformed answer",
            Fault::TooLong => "answer without an end",
            Fault::OtherText => "answers with another text (a captive portal?)",
            Fault::NoRecord => "answers without such a record",
            Fault::OtherAddress => "answers with another address",
            Fault::Unresolved => "name not resolved",
            Fault::OwnAddress => "name resolved to an address of this router (a captive portal?)",
            Fault::NoNeighbours => "the device has no neighbours to ask for",
            Fault::Status(status) => {
                let portal = match status {
                    200..400 | 511 => " (a captive portal?)",
                    _ => "",
                };
                return write!(f, "answers with status {status}{portal}");
            }
            Fault::Rcode(rcode) => return write!(f, "answers with {}", Rcode(*rcode)),
            Fault::Exit(status) => return write!(f, "exit {status}"),
            Fault::Errno(errno) => return write!(f, "error {errno}"),
        })
    }
}

/// A DNS server's result, as RFC 1035 and people name it.
struct Rcode(u8);

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            other => return write!(f, "RCODE {other}"),
        })
    }
}

/// How the default routes of one family shall stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every managed provider of the family that is routable, best first.
    pub order: Vec<Hop, PROVIDERS_MAX>,
    /// Whether traffic is to be refused: no provider is healthy, and `last_resort` is `unreachable`.
    pub unreachable: bool,
}

impl Plan {
    /// Nobody.
    pub const fn new() -> Plan {
        Plan {
            order: Vec::new(),
            unreachable: false,
        }
    }
}

/// One place in a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// whose route
    pub slot: Slot,
    /// whether marked traffic is steered to it: its path is neither offline nor waiting
    pub steered: bool,
}
