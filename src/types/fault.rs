//! The causes of failed probes and refused routes.

use core::fmt;

/// Why a probe failed at once, or a route was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// ECONNREFUSED: the host is up, but no program listens on that port
    Refused,
    /// ECONNRESET, EPIPE: the connection was cut off
    Reset,
    /// the connection is established, but no data arrives
    Silent,
    /// an answer that cannot be parsed
    Malformed,
    /// an answer that is longer than allowed
    TooLong,
    /// a web server's answer with this status
    Status(u16),
    /// a web page without the required text
    OtherText,
    /// a DNS server's answer with this RCODE
    Rcode(u8),
    /// a DNS server's answer without a record of the type asked for
    NoRecord,
    /// a DNS server's answer without the address that must be in it
    OtherAddress,
    /// the target's name has no address, or cannot be resolved
    Unresolved,
    /// the device has no neighbours, as a point-to-point device
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
    /// the target's name is resolved to an address of this machine
    OwnAddress,
    /// the host to ask has an address of this machine, which would answer itself
    OwnTarget,
}

impl Fault {
    /// The text of those that have no number.
    #[inline(never)] // so it is a table
    fn text(&self) -> &'static str {
        match self {
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
            Fault::OwnTarget => "is an address of this router",
            Fault::NoNeighbours => "the device has no neighbours to ask for",
            Fault::Status(_) | Fault::Rcode(_) | Fault::Exit(_) | Fault::Errno(_) => "error",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status(status) => {
                let portal = match status {
                    200..400 | 511 => " (a captive portal?)",
                    _ => "",
                };
                write!(f, "answers with status {status}{portal}")
            }
            Fault::Rcode(rcode) => write!(f, "answers with {}", Rcode(*rcode)),
            Fault::Exit(status) => write!(f, "exit {status}"),
            Fault::Errno(errno) => write!(f, "error {errno}"),
            other => f.write_str(other.text()),
        }
    }
}

/// A DNS response code, with its usual name (RFC 1035).
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
