//! The sessions of checks that session to a server: each has a socket of its own, bound to the path's device and address,
//! and a deadline.
//!
//! What is said, and what an answer is worth, [`crate::check`] knows. No two sessions have the same port: behind equal
//! own addresses, NAT could not tell them apart.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, bind, connect,
    getpeername, getsockname, getsockopt, recv, send, setsockopt, socket, sockopt,
};

use super::super::clock::{now as clock, random};
use super::super::errno::fault;
use super::super::ffi;
use super::super::poll::Interest;
use super::exec::{Asked, Finished, NotStarted, not_started};
use super::share::{Room, Shares};
use crate::check::{CheckKind, Heard, Learned, Say, Session, Step, Transport};
use crate::limits::SESSIONS_MAX;
use crate::routing::objects::Address;
use crate::types::{Duration, Fault, Instant, PathId};

/// Sockets that are tried until one has a port of its own.
const PORTS_TRIED: usize = 16;
/// What is read in one go, and how often, before other work gets its turn.
const READ_LEN: usize = 2048;
const READS_MAX: usize = 16;
/// What the kernel may hold of what a server says, in bytes before it doubles them: a server that says more waits.
const RECEIVE_BUFFER: usize = 8 * 1024;
/// Longest that a name's address is believed, whatever its server says.
const KNOWN_SECONDS_MAX: u32 = 24 * 60 * 60;

/// Where sessions leave by.
#[derive(Clone, Copy, Debug)]
pub struct Outlet<'a> {
    /// the path's device
    pub device: &'a str,
    /// its own address there
    pub address: Option<IpAddr>,
    /// the addresses of this machine, as far as they are watched
    pub own: &'a [Address],
}

impl Outlet<'_> {
    /// Whether an address is this machine's: what is sent there does not leave.
    fn is_own(&self, address: IpAddr) -> bool {
        self.own
            .iter()
            .any(|own| IpAddr::from(own.prefix.address()) == address)
    }
}

/// Has a session's socket waited for, by the session's number; whether it is a new one.
pub type Watch<'w> = &'w dyn Fn(BorrowedFd<'_>, Serial, Interest, bool) -> Result<(), Errno>;

/// A session's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serial(pub u32);

/// The sessions. All zero bytes when new.
#[derive(Debug)]
pub struct Sessions {
    shares: Shares,
    next: u32,
    open: Vec<Open, SESSIONS_MAX>,
    known: Vec<Known, SESSIONS_MAX>,
}

#[derive(Debug)]
struct Open {
    asked: Asked,
    serial: Serial,
    started: Instant,
    deadline: Instant,
    stage: Stage,
    /// something was said over this socket, so that more may come
    spoken: bool,
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
    /// None.
    pub const fn new() -> Sessions {
        Sessions {
            shares: Shares::NONE,
            next: 0,
            open: Vec::new(),
            known: Vec::new(),
        }
    }

    /// From now on the room is shared so.
    pub fn share(&mut self, shares: Shares) {
        self.shares = shares;
    }

    /// Begins a session, to be over at `now + timeout`. What comes of it, if it is over at once.
    pub fn start(
        &mut self,
        asked: Asked,
        kind: &CheckKind,
        outlet: &Outlet<'_>,
        now: Instant,
        timeout: Duration,
        watch: Watch<'_>,
    ) -> Result<Option<Finished>, NotStarted> {
        if self.open.iter().any(|open| open.is_for(asked)) {
            return Err(NotStarted::AlreadyRunning);
        }
        let failed = NotStarted::Failed;
        let under_way = self.open.iter().map(|open| open.asked.path);
        if !self.shares.admit(asked.path, SESSIONS_MAX, under_way) {
            return Err(NotStarted::NoRoom(Room::Sessions));
        }
        let heard = Heard::Begin {
            family: asked.path.family,
            known: self
                .known_address(asked, now)
                .filter(|known| !outlet.is_own(*known)),
        };
        let (mut session, mut say) = (Session::default(), Say::default());
        let Step::Connect(transport, to) = kind.step(&mut session, heard, &mut say) else {
            return Err(failed(Fault::Errno(Errno::EPROTO as i32)));
        };
        let started = clock();
        let (socket, port) = match self.connect(transport, to, outlet) {
            Ok(socket) => socket,
            Err(errno) => {
                if let NotStarted::NoRoom(room) = not_started(errno) {
                    return Err(NotStarted::NoRoom(room));
                }
                let step = kind.step(&mut session, Heard::Failed(fault(errno)), &mut say);
                self.learn(asked, say.learned, now);
                return Err(failed(match step {
                    Step::End(Err(why)) => why,
                    _ => fault(errno),
                }));
            }
        };
        let serial = Serial(self.next);
        self.next = self.next.wrapping_add(1);
        let interest = interest(transport);
        watch(socket.as_fd(), serial, interest, true).map_err(not_started)?;
        let open = Open {
            asked,
            serial,
            started,
            deadline: now + timeout,
            stage: Stage::Connecting,
            spoken: false,
            transport,
            port,
            socket,
            session,
        };
        self.open.push(open).map_err(|_| failed(Fault::NoBuffers))?;
        Ok(match transport {
            // There is nothing to wait for.
            Transport::Udp => self.hear(serial, kind, outlet, now, watch),
            Transport::Tcp => None,
        })
    }

    /// One session after the other, by place.
    pub fn serial(&self, place: usize) -> Option<Serial> {
        self.open.get(place).map(|open| open.serial)
    }

    /// What a session is about; none when it is over.
    pub fn asked(&self, serial: Serial) -> Option<Asked> {
        let open = self.open.iter().find(|open| open.serial == serial)?;
        Some(open.asked)
    }

    /// A session's socket is ready: what comes of it, if it comes to its end.
    pub fn hear(
        &mut self,
        serial: Serial,
        kind: &CheckKind,
        outlet: &Outlet<'_>,
        now: Instant,
        watch: Watch<'_>,
    ) -> Option<Finished> {
        let mut reads = 0;
        loop {
            let place = self.open.iter().position(|open| open.serial == serial)?;
            let open = self.open.get_mut(place)?;
            let mut buffer = [0; READ_LEN];
            let heard = match open.listen(&mut buffer) {
                Ok(Some(heard)) => heard,
                Ok(None) => return None,
                Err(errno) => Heard::Failed(fault(errno)),
            };
            let over = matches!(heard, Heard::Ended | Heard::Failed(_));
            let connected = matches!(heard, Heard::Connected { .. });
            let asks = connected && open.transport == Transport::Udp;
            // A stream that is over has no more to tell, and would be ready for ever.
            let dead = over && open.transport == Transport::Tcp;
            let mut say = Say::default();
            let step = kind.step(&mut open.session, heard, &mut say);
            let asked = open.asked;
            self.learn(asked, say.learned, now);
            let done = match step {
                Step::Wait if dead => {
                    self.open.swap_remove(place);
                    return None;
                }
                Step::Wait => self
                    .speak(place, &say.bytes, connected, watch)
                    .map_err(fault),
                Step::Connect(_, to) if outlet.is_own(to.ip()) => Err(Fault::OwnAddress),
                Step::Connect(transport, to) => self
                    .reconnect(place, transport, to, outlet, watch)
                    .map_err(fault),
                Step::End(result) => return Some(self.end(place, result, over, now)),
            };
            if let Err(fault) = done {
                return Some(self.break_off(place, kind, fault, now));
            }
            reads += 1;
            // A question was just sent: whoever looks at the clock when its answer is ready has the true time.
            if asks || reads >= READS_MAX {
                return None;
            }
        }
    }

    /// When [`Sessions::overdue`] has somebody to tell of.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.deadline).min()
    }

    /// A session whose time is up; to be ended by [`Sessions::give_up`].
    pub fn overdue(&self, now: Instant) -> Option<(Serial, Asked)> {
        let open = self.open.iter().find(|open| open.deadline <= now)?;
        Some((open.serial, open.asked))
    }

    /// Ends a session whose time is up. What comes of it, if that is more than that nobody answers.
    pub fn give_up(
        &mut self,
        serial: Serial,
        kind: Option<&CheckKind>,
        now: Instant,
    ) -> Option<Finished> {
        let place = self.open.iter().position(|open| open.serial == serial)?;
        let mut open = self.open.swap_remove(place);
        open.cut();
        let kind = kind?;
        let mut say = Say::default();
        let step = kind.step(&mut open.session, Heard::TimedOut, &mut say);
        self.learn(open.asked, say.learned, now);
        match step {
            Step::End(Err(fault)) => Some(Finished {
                asked: open.asked,
                result: Err(fault),
            }),
            _ => None,
        }
    }

    /// Ends a path's sessions; they are never told of. For a path whose way out is another one.
    pub fn drop_path(&mut self, path: PathId) {
        // Nothing is written where nothing is: that would take memory.
        if !self.open.is_empty() {
            self.open.retain(|open| open.asked.path != path);
        }
    }

    /// Forgets what belongs to checks that are not kept, and ends their sessions; they are never told of.
    pub fn keep(&mut self, is_kept: &dyn Fn(PathId, u8) -> bool) {
        // As above.
        if !self.open.is_empty() {
            self.open
                .retain(|open| is_kept(open.asked.path, open.asked.check));
        }
        if !self.known.is_empty() {
            self.known.retain(|known| is_kept(known.path, known.check));
        }
    }

    fn known_address(&self, asked: Asked, now: Instant) -> Option<IpAddr> {
        let known = self.known.iter().find(|known| known.is_for(asked))?;
        (now < known.until).then_some(known.address)
    }

    fn learn(&mut self, asked: Asked, learned: Learned, now: Instant) {
        let (address, seconds) = match learned {
            Learned::Nothing => return,
            Learned::Forget => return self.known.retain(|known| !known.is_for(asked)),
            Learned::Address(address, seconds) => (address, seconds.min(KNOWN_SECONDS_MAX)),
        };
        self.known.retain(|known| !known.is_for(asked));
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
            until: now + Duration::from_secs(seconds.into()),
        };
        // There is room: see above.
        self.known.push(known).unwrap_or_default();
    }

    fn speak(
        &mut self,
        place: usize,
        bytes: &[u8],
        connected: bool,
        watch: Watch<'_>,
    ) -> Result<(), Errno> {
        let Some(open) = self.open.get_mut(place) else {
            return Ok(());
        };
        if connected && open.transport == Transport::Tcp {
            watch(open.socket.as_fd(), open.serial, Interest::READ, false)?;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if open.transport == Transport::Udp {
            open.started = clock();
        }
        open.spoken = true;
        // What is said is short, and the first: an empty socket's buffer takes it all.
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
        watch: Watch<'_>,
    ) -> Result<(), Errno> {
        let (socket, port) = self.connect(transport, to, outlet)?;
        let Some(open) = self.open.get_mut(place) else {
            return Ok(());
        };
        watch(socket.as_fd(), open.serial, interest(transport), true)?;
        // Closing the old one takes it out of the poller.
        (open.socket, open.port) = (socket, port);
        (open.transport, open.stage, open.spoken) = (transport, Stage::Connecting, false);
        Ok(())
    }

    /// Ends the session at a place, which cannot go on.
    fn break_off(
        &mut self,
        place: usize,
        kind: &CheckKind,
        fault: Fault,
        now: Instant,
    ) -> Finished {
        let mut result = Err(fault);
        if let Some(open) = self.open.get_mut(place) {
            let (asked, mut say) = (open.asked, Say::default());
            let step = kind.step(&mut open.session, Heard::Failed(fault), &mut say);
            self.learn(asked, say.learned, now);
            if let Step::End(its) = step {
                result = its;
            }
        }
        self.end(place, result, true, now)
    }

    /// Ends the session at a place; `over`: the other side has ended it already.
    fn end(
        &mut self,
        place: usize,
        result: Result<(), Fault>,
        over: bool,
        now: Instant,
    ) -> Finished {
        let open = self.open.swap_remove(place);
        if !over {
            open.cut();
        }
        Finished {
            asked: open.asked,
            result: result.map(|()| now.max(open.started) - open.started),
        }
    }

    /// A socket on its way to there, and its port, which no other session has.
    fn connect(
        &self,
        transport: Transport,
        to: SocketAddr,
        outlet: &Outlet<'_>,
    ) -> Result<(OwnedFd, u16), Errno> {
        // Held, so that the next one gets another port.
        let mut taken: Vec<OwnedFd, PORTS_TRIED> = Vec::new();
        loop {
            let (socket, port) = bound(transport, to, outlet)?;
            if self.open.iter().any(|open| open.port == port) {
                taken.push(socket).map_err(|_| Errno::EADDRINUSE)?;
                continue;
            }
            return match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
                Ok(()) | Err(Errno::EINPROGRESS) => Ok((socket, port)),
                Err(errno) => Err(errno),
            };
        }
    }
}

/// What a socket on its way is to be waited for.
fn interest(transport: Transport) -> Interest {
    match transport {
        Transport::Udp => Interest::READ,
        Transport::Tcp => Interest::WRITE,
    }
}

/// A socket that leaves by this outlet only, and its port.
fn bound(
    transport: Transport,
    to: SocketAddr,
    outlet: &Outlet<'_>,
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
    let own = SocketAddr::new(outlet.address.unwrap_or(any), 0);
    bind(socket.as_raw_fd(), &SockaddrStorage::from(own))?;
    let own: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let port = match own.family() {
        Some(AddressFamily::Inet) => own.as_sockaddr_in().map(|own| own.port()),
        _ => own.as_sockaddr_in6().map(|own| own.port()),
    };
    Ok((socket, port.unwrap_or(0)))
}

impl Open {
    /// Whether its check is the one asked for.
    fn is_for(&self, asked: Asked) -> bool {
        (self.asked.path, self.asked.check) == (asked.path, asked.check)
    }

    /// Has closing reset the stream, where the other side may still be talking: it is told at once that nothing of that is
    /// wanted. Where nothing was asked for, the stream ends in an orderly way.
    fn cut(&self) {
        if self.spoken && self.transport == Transport::Tcp {
            let at_once = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            let _ = setsockopt(&self.socket, sockopt::Linger, &at_once);
        }
    }

    /// What there is to hear; none when there is nothing now.
    fn listen<'b>(&mut self, buffer: &'b mut [u8; READ_LEN]) -> Result<Option<Heard<'b>>, Errno> {
        if self.stage == Stage::Connecting {
            match getsockopt(&self.socket, sockopt::SocketError)? {
                0 => {}
                errno => return Err(Errno::from_raw(errno)),
            }
            if getpeername::<SockaddrStorage>(self.socket.as_raw_fd()).is_err() {
                return Ok(None); // it is still on its way
            }
            self.stage = Stage::Kept;
            let random = match self.transport {
                Transport::Udp => number().map_err(|_| Errno::EIO)?,
                Transport::Tcp => 0,
            };
            return Ok(Some(Heard::Connected { random }));
        }
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty()) {
            Ok(0) if self.transport == Transport::Tcp => Ok(Some(Heard::Ended)),
            Ok(length) => Ok(buffer.get(..length).map(Heard::Said)),
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

fn number() -> Result<u16, Fault> {
    let bytes = random().map_err(|trouble| fault(trouble.errno().unwrap_or(Errno::EIO)))?;
    Ok(u16::from_ne_bytes(bytes))
}
