//! The raw sockets that send echo requests and receive their replies: one per path, bound to its device and address.
//!
//! In steady state, a probe costs one sendto(2) and a reply one recvfrom(2); nothing is allocated.

use core::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, recvfrom,
    sendto, setsockopt, socket, sockopt,
};

use super::super::clock::random;
use super::super::errno::fault;
use super::super::ffi;
use super::bpf;
use crate::check::ping::Ping;
use crate::limits::PATHS_MAX;
use crate::types::{Duration, Family, Fault, Instant, PathId, Round};
use crate::wire::icmp::{self, Identity, MESSAGE_MAX, Probe, RECEIVE_LEN, Rejected};

/// Receive buffer in bytes, which the kernel doubles: about 80 replies, which a stalled uplink may deliver at once after a
/// second of 8 checks, ten times a second.
const RECEIVE_BUFFER: usize = 32 * 1024;

/// A reply to a probe. The caller must compare its source with the check's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// the number of the check in its path
    pub check: u8,
    /// the round in which it was sent
    pub round: Round,
    /// time from sending to receiving
    pub rtt: Duration,
    /// the source address
    pub source: IpAddr,
    /// bytes of the payload
    pub size: u16,
}

/// The probes' sockets. All zero bytes when new.
#[derive(Debug)]
#[repr(C)] // keeps the order: small fields share a memory page with the beginning of the list
pub struct Probes {
    /// The first identifier of the path of index 0; the others follow.
    identifier_first: u16,
    /// The highest bit of all identifiers: set by hand.
    class: u16,
    /// One per path, at its index; only as many as the highest path ever bound needs.
    ports: Vec<Port, PATHS_MAX>,
}

/// A path's socket.
#[derive(Debug)]
struct Port {
    /// outlives the socket, so that replies to earlier probes are accepted after a rebind
    identity: Identity,
    /// the identifier before this one: replies to probes that were sent with it are still accepted
    former: u16,
    /// the first round with the present identifier; none: none yet, or there is no other
    since: Option<Round>,
    /// the socket, or why there is none
    socket: Result<OwnedFd, Fault>,
    /// the socket's current TTL and DSCP
    header: (u8, u8),
}

impl Default for Probes {
    fn default() -> Probes {
        Probes::new()
    }
}

impl Probes {
    /// No sockets.
    pub const fn new() -> Probes {
        Probes {
            ports: Vec::new(),
            identifier_first: 0,
            class: 0,
        }
    }

    /// The identifiers of a command's probes are none of the daemon's, so that NAT tells them apart.
    pub(crate) fn by_hand(&mut self) {
        self.class = CLASS_BIT;
    }

    /// The probes of a path have another identifier from now on. To NAT they are a new conversation: a mapping that leads
    /// to an address that is no longer valid is never used again, although probes without an answer would keep it alive.
    ///
    /// Replies to probes with the identifier before are accepted until the next call.
    pub fn renew(&mut self, path: PathId) {
        let class = self.class;
        let Some(port) = self.ports.get_mut(path.index()) else {
            return;
        };
        let present = port.identity.identifier;
        let next = after(present, class);
        if let Ok(socket) = &port.socket
            && bpf::attach(socket.as_fd(), path.family, [next, present]).is_err()
        {
            return; // no memory: its replies would not be received
        }
        (port.identity.identifier, port.former, port.since) = (next, present, None);
    }

    /// Opens a path's socket, bound to a device and, if known, to our address there.
    ///
    /// To be called again whenever device, device index or address change: bind(2) works once per socket, and after its
    /// device was deleted a socket receives nothing, even if a device of the same name returns. The new socket is opened
    /// before the old one is closed, so no reply is lost. [`Probes::fd`] changes: poll the new one.
    ///
    /// On failure the path has no socket, and sending returns the same fault: a probe from a wrong device or address would
    /// not test the path.
    pub fn bind(
        &mut self,
        path: PathId,
        device: &str,
        address: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let port = self.port(path)?;
        let identifiers = [port.identity.identifier, port.former];
        let opened = open(path.family, identifiers, device, address);
        port.socket = opened.map_err(fault);
        port.header = USUAL_HEADER;
        port.socket.as_ref().map(drop).map_err(|fault| *fault)
    }

    /// Closes a path's socket. Its identity is kept for a later bind.
    pub fn close(&mut self, path: PathId) {
        if let Some(port) = self.ports.get_mut(path.index()) {
            port.socket = Err(Fault::NoDevice);
        }
    }

    /// The file descriptor to poll; none if the path has no socket.
    pub fn fd(&self, path: PathId) -> Option<BorrowedFd<'_>> {
        let port = self.ports.get(path.index())?;
        port.socket.as_ref().ok().map(AsFd::as_fd)
    }

    /// Sends one probe.
    pub fn send(
        &mut self,
        path: PathId,
        check: u8,
        ping: &Ping,
        round: Round,
        now: Instant,
    ) -> Result<(), Fault> {
        let port = self.ports.get_mut(path.index()).ok_or(Fault::NoDevice)?;
        let socket = port.socket.as_ref().map_err(|fault| *fault)?;
        if port.header != (ping.ttl, ping.dscp) {
            set_header(socket, path.family, ping).map_err(fault)?;
            port.header = (ping.ttl, ping.dscp);
        }
        let socket = socket.as_raw_fd();
        let probe = Probe {
            check,
            round,
            sent: now,
        };
        let mut buffer = [0; MESSAGE_MAX];
        port.since.get_or_insert(round);
        let message = icmp::request(path.family, &port.identity, &probe, ping.size, &mut buffer);
        let flags = MsgFlags::empty();
        if Family::of(ping.target) != path.family {
            return Err(Fault::NotSupported);
        }
        // a link-local target needs no scope: the socket's device is used (rawv6_sendmsg)
        let sent = sendto(socket, message, &without_port(ping.target), flags);
        sent.map(drop).map_err(refusal)
    }

    /// Receives one message; none if nothing is there. Errors of the socket are consumed: link events report what they mean
    /// for the path.
    pub fn receive(&mut self, path: PathId, now: Instant) -> Option<Result<Received, Rejected>> {
        let port = self.ports.get(path.index())?;
        let socket = port.socket.as_ref().ok()?.as_raw_fd();
        let mut buffer = [0; RECEIVE_LEN];
        let (len, from) = recvfrom::<SockaddrStorage>(socket, &mut buffer).ok()?;
        let from = from?;
        let source: IpAddr = match path.family {
            Family::V4 => from.as_sockaddr_in()?.ip().into(),
            Family::V6 => from.as_sockaddr_in6()?.ip().into(),
        };
        let message = buffer.get(..len).unwrap_or_default();
        Some(
            port.parse(path.family, message)
                .and_then(|(probe, size)| received(probe, source, size, now)),
        )
    }

    /// The present identifier of a path's probes, and the one before.
    pub(super) fn identifiers(&self, path: PathId) -> Option<[u16; 2]> {
        let port = self.ports.get(path.index())?;
        Some([port.identity.identifier, port.former])
    }

    /// Parses a message that another socket has seen: the number of its check, and the payload's size.
    pub(super) fn recognise(&self, path: PathId, message: &[u8]) -> Option<(u8, u16)> {
        let parsed = self.ports.get(path.index())?.parse(path.family, message);
        parsed.ok().map(|(probe, size)| (probe.check, size))
    }

    /// A path's entry, which gets its identity at the first call.
    fn port(&mut self, path: PathId) -> Result<&mut Port, Fault> {
        if self.ports.is_empty() {
            self.identifier_first = u16::from_ne_bytes(random().map_err(fault)?);
        }
        while self.ports.len() <= path.index() {
            #[allow(clippy::cast_possible_truncation)] // below PATHS_MAX
            let index = self.ports.len() as u16;
            let identifier = of_class(self.identifier_first.wrapping_add(index), self.class);
            let port = Port {
                identity: Identity {
                    identifier,
                    token: random().map_err(fault)?,
                },
                former: identifier,
                since: None,
                socket: Err(Fault::NoDevice),
                header: USUAL_HEADER,
            };
            self.ports.push(port).map_err(|_| Fault::NoBuffers)?;
        }
        self.ports.get_mut(path.index()).ok_or(Fault::NoBuffers)
    }
}

impl Port {
    /// Parses a message that may be a reply with the present identifier or with the former one. Each is accepted only for
    /// the rounds that were sent with it.
    fn parse(&self, family: Family, message: &[u8]) -> Result<(Probe, u16), Rejected> {
        let parsed = icmp::parse(family, &self.identity, message);
        let is_other = matches!(parsed, Err(Rejected::Identifier | Rejected::NotReply));
        if self.former == self.identity.identifier {
            return parsed;
        }
        let parsed = match is_other {
            false => parsed,
            true => {
                let identity = Identity {
                    identifier: self.former,
                    ..self.identity
                };
                icmp::parse(family, &identity, message)
            }
        };
        parsed.and_then(
            |(probe, size)| match self.is_former(probe.round) == is_other {
                true => Ok((probe, size)),
                false => Err(Rejected::Identifier),
            },
        )
    }

    /// Whether a round was sent with the former identifier.
    fn is_former(&self, round: Round) -> bool {
        let back = |since: Round| since.0.wrapping_sub(round.0).wrapping_sub(1) < u32::MAX / 2;
        self.since.is_none_or(back)
    }
}

/// The highest bit of an identifier tells the daemon's from those of a command by hand.
const CLASS_BIT: u16 = 1 << 15;
/// Paths have consecutive identifiers, and the next ones of each path are so far apart: so no two paths ever have the same,
/// and a path has 256 of them before the first comes again.
#[allow(clippy::cast_possible_truncation)] // 128
const IDENTIFIERS_APART: u16 = PATHS_MAX as u16;
const _: () = assert!(
    CLASS_BIT.is_multiple_of(IDENTIFIERS_APART),
    "identifiers that are counted beyond the class stay apart"
);

/// The identifier after this one.
fn after(identifier: u16, class: u16) -> u16 {
    of_class(identifier.wrapping_add(IDENTIFIERS_APART), class)
}

fn of_class(identifier: u16, class: u16) -> u16 {
    identifier & !CLASS_BIT | class
}

/// The system's default.
const USUAL_HEADER: (u8, u8) = (0, 0);

/// Sets TTL and DSCP of the packets sent from now on.
fn set_header(socket: &OwnedFd, family: Family, ping: &Ping) -> Result<(), Errno> {
    // The DSCP is in the upper six bits, above the two ECN bits (RFC 3168 section 5).
    let class = u32::from(ping.dscp) << 2;
    let ttl = match ping.ttl {
        0 => u32::MAX, // -1: the system's default
        ttl => ttl.into(),
    };
    let (level, of_ttl, of_class) = match family {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_TTL, libc::IP_TOS),
        Family::V6 => (
            libc::IPPROTO_IPV6,
            libc::IPV6_UNICAST_HOPS,
            libc::IPV6_TCLASS,
        ),
    };
    ffi::set_words(socket.as_fd(), level, of_ttl, &[ttl])?;
    ffi::set_words(socket.as_fd(), level, of_class, &[class])
}

/// Opens a socket. It is bound to the device first: so it never receives packets of another device, and a link-local
/// address needs no scope.
fn open(
    family: Family,
    identifiers: [u16; 2],
    device: &str,
    address: Option<IpAddr>,
) -> Result<OwnedFd, Errno> {
    let (domain, protocol) = match family {
        Family::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        Family::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(domain, SockType::Raw, flags, Some(protocol))?;
    ffi::bind_to_device(socket.as_fd(), device)?;
    bpf::attach(socket.as_fd(), family, identifiers)?;
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    if let Some(own) = address {
        bind(socket.as_raw_fd(), &without_port(own))?;
    }
    Ok(socket)
}

fn without_port(address: IpAddr) -> SockaddrStorage {
    SocketAddr::new(address, 0).into()
}

fn received(probe: Probe, source: IpAddr, size: u16, now: Instant) -> Result<Received, Rejected> {
    if probe.sent > now {
        return Err(Rejected::Malformed);
    }
    Ok(Received {
        check: probe.check,
        round: probe.round,
        rtt: now - probe.sent,
        source,
        size,
    })
}

/// The meaning of an error of sendto(2) that is specific to raw sockets.
fn refusal(errno: Errno) -> Fault {
    match errno {
        Errno::EAGAIN => Fault::NoBuffers,
        // the route lookup of IPv4 refuses a source that is no longer an address of the machine (Linux 6.18: ENETUNREACH)
        Errno::EINVAL => Fault::AddressUnavailable,
        other => fault(other),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The owners of all identifiers that some paths ever have: those of the daemon, and those of a command.
    #[test]
    fn no_two_paths_ever_have_one_identifier() {
        let mut owners: HashMap<u16, (u16, usize)> = HashMap::new();
        for (first, class) in [(0xffc7_u16, 0), (0x1234, CLASS_BIT)] {
            for index in 0..PATHS_MAX {
                let place = u16::try_from(index).unwrap();
                let mut identifier = of_class(first.wrapping_add(place), class);
                for turn in 0..256 {
                    let owner = owners.insert(identifier, (class, index));
                    assert_eq!(owner, None, "{identifier} after {turn}");
                    identifier = after(identifier, class);
                }
                assert_eq!(owners.get(&identifier), Some(&(class, index)));
            }
        }
        assert_eq!(owners.len(), 1 << 16);
    }
}
