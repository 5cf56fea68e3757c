//! The sessions of `tcp`, `dns` and `http` checks: each has its own socket, bound to the path's device and address, and a
//! deadline.
//!
//! [`crate::check`] makes the requests and judges the answers. No two sessions have the same local port: NAT could not
//! tell them apart if two uplinks have the same local address. For the same reason a port does not come again soon.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, getpeername,
    getsockname, getsockopt, recv, send, setsockopt, socket, sockopt,
};

use super::super::clock::{now as clock, random};
use super::super::errno::fault;
use super::super::ffi;
use super::super::poll::Interest;
use super::arrivals::Arrivals;
use super::exec::{Asked, Finished, NotStarted, not_started};
use super::ports::Ports;
use super::share::{Room, Shares};
use super::{Register, Source, keep_only};
use crate::check::{CheckKind, Input, Learned, Output, Session, Step, Transport};
use crate::limits::SESSIONS_MAX;
use crate::routing::objects::Address;
use crate::types::{Duration, Fault, Instant, PathId};

/// Ports that are tried until one is unused. The last choice is the kernel's.
const PORTS_TRIED: usize = 16;
/// Bytes per read, and reads in a row before other events are served.
const READ_LEN: usize = 2048;
const READS_MAX: usize = 16;
/// Receive buffer in bytes, which the kernel doubles: a server that sends more has to wait.
const RECEIVE_BUFFER: usize = 8 * 1024;
/// Longest time that an address of a name is used, whatever TTL the answer has.
const KNOWN_SECONDS_MAX: u32 = 24 * 60 * 60;

/// The uplink by which sessions leave.
#[derive(Clone, Copy, Debug)]
pub struct Outlet<'a> {
    /// the path's device
    pub device: &'a str,
    /// our address on the device
    pub address: Option<IpAddr>,
    /// the addresses of this machine, as far as they are watched
    pub own: &'a [Address],
}

impl Outlet<'_> {
    /// Whether an address is this machine's: packets to it would not leave.
    fn is_own(&self, address: IpAddr) -> bool {
        self.own.iter().any(|own| own.is(&address))
    }
}

/// A session's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serial(pub u32);

/// The sessions. All zero bytes when new.
#[derive(Debug)]
pub struct Sessions {
    shares: Shares,
    next: u32,
    ports: Ports,
    open: Vec<Open, SESSIONS_MAX>,
    known: Vec<Known, SESSIONS_MAX>,
    /// is told of each session before it is connected
    pub(super) arrivals: Arrivals,
}

#[derive(Debug)]
struct Open {
    asked: Asked,
    serial: Serial,
    started: Instant,
    deadline: Instant,
    stage: Stage,
    /// a request was sent over this socket, so that an answer may arrive
    sent: bool,
    transport: Transport,
    port: u16,
    socket: OwnedFd,
    session: Session,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Kept,
}

/// The address that a check's target has.
#[derive(Debug)]
struct Known {
    path: PathId,
    check: u8,
    address: IpAddr,
    until: Instant,
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions::new()
    }
}

impl Sessions {
    /// No sessions.
    pub const fn new() -> Sessions {
        Sessions {
            shares: Shares::NONE,
            next: 0,
            ports: Ports::NEW,
            open: Vec::new(),
            known: Vec::new(),
            arrivals: Arrivals::new(),
        }
    }

    /// Sets how the room for sessions is shared among the paths.
    pub(crate) fn share(&mut self, shares: Shares) {
        self.shares = shares;
    }

    /// Begins a session that ends at `now + timeout` at the latest. Returns the result if the session ends at once.
    pub(crate) fn start(
        &mut self,
        asked: Asked,
        kind: &CheckKind,
        outlet: &Outlet<'_>,
        now: Instant,
        timeout: Duration,
        register: Register<'_>,
    ) -> Result<Option<Finished>, NotStarted> {
        if self.open.iter().any(|open| open.is_for(asked)) {
            return Err(NotStarted::AlreadyRunning);
        }
        let failed = NotStarted::Failed;
        let mut under_way = self.open.iter().map(|open| open.asked.path);
        if !self.shares.admit(asked.path, SESSIONS_MAX, &mut under_way) {
            return Err(NotStarted::NoRoom(Room::Sessions));
        }
        let input = Input::Begin {
            family: asked.path.family,
            known: self
                .known_address(asked, now)
                .filter(|known| !outlet.is_own(*known)),
        };
        let (mut session, mut output) = (Session::default(), Output::default());
        let Step::Connect(transport, to) = kind.step(&mut session, input, &mut output) else {
            return Err(failed(Fault::Errno(Errno::EPROTO as i32)));
        };
        let started = clock();
        let (socket, port) = match self.connect(asked.path, transport, to, outlet) {
            Ok(socket) => socket,
            Err(errno) => {
                let mut refused = not_started(errno);
                if let NotStarted::Failed(fault) = refused
                    && let Step::End(Err(why)) =
                        self.last_step(asked, &mut session, kind, Input::Failed(fault), now)
                {
                    refused = failed(why);
                }
                return Err(refused);
            }
        };
        let serial = Serial(self.next);
        self.next = self.next.wrapping_add(1);
        let interest = interest(transport);
        register(socket.as_fd(), Source::Session(serial), interest, true).map_err(not_started)?;
        let open = Open {
            asked,
            serial,
            started,
            deadline: now + timeout,
            stage: Stage::Connecting,
            sent: false,
            transport,
            port,
            socket,
            session,
        };
        self.open.push(open).map_err(|_| failed(Fault::NoBuffers))?;
        Ok(match transport {
            // UDP has no handshake to wait for.
            Transport::Udp => self.hear(serial, kind, outlet, now, register),
            Transport::Tcp => None,
        })
    }

    /// The session at a place in the list; none after the last.
    pub(crate) fn serial(&self, place: usize) -> Option<Serial> {
        self.open.get(place).map(|open| open.serial)
    }

    /// The probe that a session makes; none if the session is over.
    pub fn asked(&self, serial: Serial) -> Option<Asked> {
        let open = self.open.iter().find(|open| open.serial == serial)?;
        Some(open.asked)
    }

    /// Reads a session's ready socket. Returns the result if the session ends.
    pub(crate) fn hear(
        &mut self,
        serial: Serial,
        kind: &CheckKind,
        outlet: &Outlet<'_>,
        now: Instant,
        register: Register<'_>,
    ) -> Option<Finished> {
        let mut reads = 0;
        loop {
            let place = self.open.iter().position(|open| open.serial == serial)?;
            let open = self.open.get_mut(place)?;
            let mut buffer = [0; READ_LEN];
            let input = match open.read_input(&mut buffer) {
                Ok(Some(input)) => input,
                Ok(None) => return None,
                Err(errno) => Input::Failed(fault(errno)),
            };
            let over = matches!(input, Input::Closed | Input::Failed(_));
            let connected = matches!(input, Input::Connected { .. });
            let asks = connected && open.transport == Transport::Udp;
            // A stream that is over has no more input, and would be ready for ever.
            let dead = over && open.transport == Transport::Tcp;
            let mut output = Output::default();
            let step = kind.step(&mut open.session, input, &mut output);
            let asked = open.asked;
            self.learn(asked, output.learned, now);
            let done = match step {
                Step::Wait if dead => {
                    self.open.swap_remove(place);
                    return None;
                }
                Step::Wait => self
                    .send_output(place, &output.bytes, connected, register)
                    .map_err(fault),
                Step::Connect(_, to) if outlet.is_own(to.ip()) => Err(Fault::OwnAddress),
                Step::Connect(transport, to) => self
                    .reconnect(place, transport, to, outlet, register)
                    .map_err(fault),
                Step::End(result) => return Some(self.end(place, result, over, now)),
            };
            if let Err(fault) = done {
                return Some(self.abort(place, kind, fault, now));
            }
            reads += 1;
            // A query was just sent: its answer is left to the next event, whose time is the true arrival time.
            if asks || reads >= READS_MAX {
                return None;
            }
        }
    }

    /// The earliest deadline of a session.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.deadline).min()
    }

    /// A session whose deadline has passed; to be ended by `Sessions::give_up`.
    pub fn overdue(&self, now: Instant) -> Option<(Serial, Asked)> {
        let open = self.open.iter().find(|open| open.deadline <= now)?;
        Some((open.serial, open.asked))
    }

    /// Ends a session whose deadline has passed. Returns a result only if there is a cause other than a missing answer.
    pub(crate) fn give_up(
        &mut self,
        serial: Serial,
        kind: Option<&CheckKind>,
        now: Instant,
    ) -> Option<Finished> {
        let place = self.open.iter().position(|open| open.serial == serial)?;
        let mut open = self.open.swap_remove(place);
        open.reset_if_sent();
        let kind = kind?;
        match self.last_step(open.asked, &mut open.session, kind, Input::TimedOut, now) {
            Step::End(Err(fault)) => Some(Finished {
                asked: open.asked,
                result: Err(fault),
            }),
            _ => None,
        }
    }

    /// Ends a path's sessions without results. For a path whose uplink changed.
    pub(crate) fn drop_path(&mut self, path: PathId) {
        keep_only(&mut self.open, &|open| open.asked.path != path);
    }

    /// Forgets the addresses of checks that are not kept, and ends their sessions without results.
    pub fn keep(&mut self, is_kept: &dyn Fn(PathId, u8) -> bool) {
        keep_only(&mut self.open, &|open| {
            is_kept(open.asked.path, open.asked.check)
        });
        keep_only(&mut self.known, &|known| is_kept(known.path, known.check));
    }

    fn known_address(&self, asked: Asked, now: Instant) -> Option<IpAddr> {
        let known = self.known.iter().find(|known| known.is_for(asked))?;
        (now < known.until).then_some(known.address)
    }

    fn learn(&mut self, asked: Asked, learned: Learned, now: Instant) {
        if matches!(learned, Learned::Nothing) {
            return;
        }
        keep_only(&mut self.known, &|known| !known.is_for(asked));
        let Learned::Address(address, seconds) = learned else {
            return;
        };
        if self.known.is_full() {
            let first = (0_usize..)
                .zip(&self.known)
                .min_by_key(|(_, known)| known.until);
            if let Some((place, _)) = first {
                self.known.swap_remove(place);
            }
        }
        let known = Known {
            path: asked.path,
            check: asked.check,
            address,
            until: now + Duration::from_secs(seconds.min(KNOWN_SECONDS_MAX).into()),
        };
        // There is room: an entry was removed above.
        self.known.push(known).unwrap_or_default();
    }

    fn send_output(
        &mut self,
        place: usize,
        bytes: &[u8],
        connected: bool,
        register: Register<'_>,
    ) -> Result<(), Errno> {
        let Some(open) = self.open.get_mut(place) else {
            return Ok(());
        };
        if connected && open.transport == Transport::Tcp {
            register(
                open.socket.as_fd(),
                Source::Session(open.serial),
                Interest::READ,
                false,
            )?;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if open.transport == Transport::Udp {
            open.started = clock();
        }
        open.sent = true;
        // The request is short and the socket's buffer is empty: all of it fits.
        let sent = send(open.socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(Errno::ENOBUFS)
        }
    }

    fn reconnect(
        &mut self,
        place: usize,
        transport: Transport,
        to: SocketAddr,
        outlet: &Outlet<'_>,
        register: Register<'_>,
    ) -> Result<(), Errno> {
        let Some(path) = self.open.get(place).map(|open| open.asked.path) else {
            return Ok(());
        };
        let (socket, port) = self.connect(path, transport, to, outlet)?;
        let Some(open) = self.open.get_mut(place) else {
            return Ok(());
        };
        register(
            socket.as_fd(),
            Source::Session(open.serial),
            interest(transport),
            true,
        )?;
        // Closing the old socket removes it from the poller.
        (open.socket, open.port) = (socket, port);
        (open.transport, open.stage, open.sent) = (transport, Stage::Connecting, false);
        Ok(())
    }

    /// Ends the session at a place because of an error.
    fn abort(&mut self, place: usize, kind: &CheckKind, fault: Fault, now: Instant) -> Finished {
        let mut open = self.open.swap_remove(place);
        let input = Input::Failed(fault);
        let step = self.last_step(open.asked, &mut open.session, kind, input, now);
        let result = match step {
            Step::End(result) => result,
            _ => Err(fault),
        };
        open.finished(result, now)
    }

    /// The step of a session that ends, whatever it says: what it would send is not sent.
    fn last_step(
        &mut self,
        asked: Asked,
        session: &mut Session,
        kind: &CheckKind,
        input: Input<'_>,
        now: Instant,
    ) -> Step {
        let mut output = Output::default();
        let step = kind.step(session, input, &mut output);
        self.learn(asked, output.learned, now);
        step
    }

    /// Ends the session at a place; `over`: the server has closed the connection already.
    fn end(
        &mut self,
        place: usize,
        result: Result<(), Fault>,
        over: bool,
        now: Instant,
    ) -> Finished {
        let open = self.open.swap_remove(place);
        if !over {
            open.reset_if_sent();
        }
        open.finished(result, now)
    }

    /// A connecting socket, and its local port, which no other session has.
    fn connect(
        &mut self,
        path: PathId,
        transport: Transport,
        to: SocketAddr,
        outlet: &Outlet<'_>,
    ) -> Result<(OwnedFd, u16), Errno> {
        for left in (0..PORTS_TRIED).rev() {
            let wanted = if left == 0 { 0 } else { self.ports.next() };
            let (socket, port) = match bound(transport, to, outlet, wanted) {
                Err(Errno::EADDRINUSE | Errno::EACCES) => continue,
                bound => bound?,
            };
            if self.open.iter().any(|open| open.port == port) {
                continue;
            }
            self.arrivals.expect(path, (to.ip(), port));
            return match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
                Ok(()) | Err(Errno::EINPROGRESS) => Ok((socket, port)),
                Err(errno) => Err(errno),
            };
        }
        Err(Errno::EADDRINUSE)
    }
}

/// The event that a connecting socket waits for.
fn interest(transport: Transport) -> Interest {
    match transport {
        Transport::Udp => Interest::READ,
        Transport::Tcp => Interest::WRITE,
    }
}

/// A socket bound to the outlet's device and address, and its local port: the wanted one, or for 0 any.
fn bound(
    transport: Transport,
    to: SocketAddr,
    outlet: &Outlet<'_>,
    port: u16,
) -> Result<(OwnedFd, u16), Errno> {
    let (domain, any) = match to {
        SocketAddr::V4(_) => (AddressFamily::Inet, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => (AddressFamily::Inet6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    };
    let kind = match transport {
        Transport::Udp => SockType::Datagram,
        Transport::Tcp => SockType::Stream,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(domain, kind, flags, None)?;
    ffi::bind_to_device(socket.as_fd(), outlet.device)?;
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    let own = SocketAddr::new(outlet.address.unwrap_or(any), port);
    bind(socket.as_raw_fd(), &SockaddrStorage::from(own))?;
    let own: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let port = match to {
        SocketAddr::V4(_) => own.as_sockaddr_in().map(|own| own.port()),
        SocketAddr::V6(_) => own.as_sockaddr_in6().map(|own| own.port()),
    };
    Ok((socket, port.unwrap_or(0)))
}

impl Open {
    /// Its result, with the time that it took.
    fn finished(&self, result: Result<(), Fault>, now: Instant) -> Finished {
        Finished {
            asked: self.asked,
            result: result.map(|()| now.max(self.started) - self.started),
        }
    }

    /// Whether the session is of the same path and check.
    fn is_for(&self, asked: Asked) -> bool {
        (self.asked.path, self.asked.check) == (asked.path, asked.check)
    }

    /// If a request was sent, closing resets the stream, so that the server stops sending. Otherwise the stream is closed
    /// in order.
    fn reset_if_sent(&self) {
        if self.sent && self.transport == Transport::Tcp {
            let at_once = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            let _ = setsockopt(&self.socket, sockopt::Linger, &at_once);
        }
    }

    /// The next input; none if nothing is there now.
    fn read_input<'b>(
        &mut self,
        buffer: &'b mut [u8; READ_LEN],
    ) -> Result<Option<Input<'b>>, Errno> {
        if self.stage == Stage::Connecting {
            match getsockopt(&self.socket, sockopt::SocketError)? {
                0 => {}
                errno => return Err(Errno::from_raw(errno)),
            }
            if getpeername::<SockaddrStorage>(self.socket.as_raw_fd()).is_err() {
                return Ok(None); // still connecting
            }
            self.stage = Stage::Kept;
            let random = match self.transport {
                Transport::Udp => u16::from_ne_bytes(random()?),
                Transport::Tcp => 0,
            };
            return Ok(Some(Input::Connected { random }));
        }
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty()) {
            Ok(0) if self.transport == Transport::Tcp => Ok(Some(Input::Closed)),
            Ok(length) => Ok(buffer.get(..length).map(Input::Received)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

impl Known {
    fn is_for(&self, asked: Asked) -> bool {
        (self.path, self.check) == (asked.path, asked.check)
    }
}
