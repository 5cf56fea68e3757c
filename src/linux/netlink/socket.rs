//! The socket under requests and events: reads datagrams, hands over single messages, drops what concerns nobody.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use bytes::BufMut;
use nix::errno::Errno;
use nix::libc;
use rtnetlink::packet_core::NLM_F_DUMP_INTR;
use rtnetlink::sys::{AsyncSocket, Socket, SocketAddr};

use crate::limits::DATAGRAM_MAX;
use crate::linux::netlink::prefilter;

/// A non-blocking netlink socket that gives single messages: to whoever asks for the [`MessageSocket::next`] one, or to a
/// connection, one each time it is allowed to.
pub(super) struct MessageSocket {
    socket: Socket,
    /// the port that we session with: 0 is the kernel
    peer: u32,
    inbox: RefCell<Inbox>,
    state: Cell<State>,
}

/// The last datagram.
struct Inbox {
    /// as long as the datagram; the memory behind it is touched only by a larger one
    bytes: Vec<u8>,
    /// where the next message begins
    next: usize,
}

/// What the reader may do, and what has happened to it.
#[derive(Clone, Copy, Default)]
struct State {
    /// a message may be handed over
    allowed: bool,
    /// datagrams that may still be received
    datagrams: u16,
    /// a message was handed over since the last permission
    handed: bool,
    /// receiving stopped because no more datagrams were allowed
    exhausted: bool,
    /// a message of a dump was marked `NLM_F_DUMP_INTR`
    interrupted: bool,
    /// messages cut off by the end of the inbox
    cut: u16,
    /// a nexthop object has changed
    nexthops: bool,
    /// the last error of sending
    send_error: i32,
}

/// What netlink-proto takes for an overrun: ENOBUFS as x86 and ARM have it, on every architecture.
const OVERRUN: i32 = 105;

impl MessageSocket {
    /// Open one that sessions with the kernel's rtnetlink, and hears these groups (`RTMGRP_*` bits).
    pub(super) fn open(groups: u32) -> io::Result<MessageSocket> {
        let mut socket = <MessageSocket as AsyncSocket>::new(libc::NETLINK_ROUTE as isize)?;
        socket.socket.bind(&SocketAddr::new(0, groups))?;
        // Acks then quote only the header of what they answer; older kernels quote all.
        let _ = socket.socket.set_cap_ack(true);
        Ok(socket)
    }

    /// Take one that is made already, and sessions with this port.
    fn wrap(socket: Socket, peer: u32) -> io::Result<MessageSocket> {
        socket.set_non_blocking(true)?;
        Ok(MessageSocket {
            socket,
            peer,
            inbox: RefCell::new(Inbox {
                bytes: Vec::with_capacity(DATAGRAM_MAX),
                next: 0,
            }),
            state: Cell::default(),
        })
    }

    /// One that sessions with another process instead of the kernel (`NETLINK_USERSOCK`), for crafted sessions.
    #[cfg(test)]
    pub(super) fn to_port(peer: u32) -> io::Result<MessageSocket> {
        let mut socket = Socket::new(libc::NETLINK_USERSOCK as isize)?;
        socket.bind_auto()?;
        MessageSocket::wrap(socket, peer)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.get();
        change(&mut state);
        self.state.set(state);
    }

    /// Allow one more message to be handed over.
    pub(super) fn allow_one(&self) {
        self.update(|state| {
            state.allowed = true;
            state.handed = false;
            state.exhausted = false;
        });
    }

    /// Allow so many datagrams to be received from now on.
    pub(super) fn allow_datagrams(&self, datagrams: u16) {
        self.update(|state| (state.datagrams, state.exhausted) = (datagrams, false));
    }

    /// Whether a message was handed over since the last [`MessageSocket::allow_one`].
    pub(super) fn handed(&self) -> bool {
        self.state.get().handed
    }

    /// Whether reading stopped at the limit of datagrams, not for want of them.
    pub(super) fn exhausted(&self) -> bool {
        self.state.get().exhausted
    }

    /// Whether a dump was interrupted since this was asked last.
    pub(super) fn take_interrupted(&self) -> bool {
        let interrupted = self.state.get().interrupted;
        self.update(|state| state.interrupted = false);
        interrupted
    }

    /// How many messages were cut off since this was asked last.
    pub(super) fn take_cut(&self) -> u16 {
        let cut = self.state.get().cut;
        self.update(|state| state.cut = 0);
        cut
    }

    /// Whether a nexthop object has changed since this was asked last.
    pub(super) fn take_nexthops(&self) -> bool {
        let nexthops = self.state.get().nexthops;
        self.update(|state| state.nexthops = false);
        nexthops
    }

    /// Why sending failed, after it did.
    pub(super) fn send_error(&self) -> Errno {
        match self.state.get().send_error {
            0 => Errno::EIO,
            errno => Errno::from_raw(errno),
        }
    }

    /// The next message that concerns anybody, appended to `out`, and its type. `None`: there is nothing to read, or no more
    /// datagrams are allowed.
    ///
    /// # Errors
    /// ENOBUFS: messages were lost, as there was no room for them. Anything else is as good as that.
    pub(super) fn next(&self, out: &mut impl BufMut) -> Result<Option<u16>, Errno> {
        loop {
            if let Some(kind) = self.hand_over(out) {
                return Ok(Some(kind));
            }
            if self.state.get().datagrams == 0 {
                self.update(|state| state.exhausted = true);
                return Ok(None);
            }
            self.update(|state| state.datagrams -= 1);
            match self.receive() {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The next message of the inbox that concerns anybody, appended to `out`, and its type.
    fn hand_over(&self, out: &mut impl BufMut) -> Option<u16> {
        let mut inbox = self.inbox.borrow_mut();
        let mut state = self.state.get();
        let mut handed = None;
        while handed.is_none() && inbox.next < inbox.bytes.len() {
            let rest = &inbox.bytes[inbox.next..];
            let Some((message, step)) = prefilter::first_message(rest) else {
                state.cut = state.cut.saturating_add(1);
                inbox.next = inbox.bytes.len();
                break;
            };
            state.interrupted |= prefilter::flags(message) & NLM_F_DUMP_INTR != 0;
            state.nexthops |= prefilter::is_nexthop(message);
            if prefilter::concerns_us(message) {
                out.put_slice(message);
                handed = Some(prefilter::kind(message));
            }
            inbox.next += step;
        }
        self.state.set(state);
        handed
    }

    /// Read the next datagram into the inbox.
    fn receive(&self) -> Result<(), Errno> {
        let mut inbox = self.inbox.borrow_mut();
        inbox.next = 0;
        inbox.bytes.clear();
        let mut room = (&mut inbox.bytes).limit(DATAGRAM_MAX);
        let (_, from) = self
            .socket
            .recv_from(&mut room, libc::MSG_DONTWAIT)
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        // Only the kernel is believed.
        if from.port_number() != self.peer {
            inbox.bytes.clear();
        }
        Ok(())
    }
}

impl AsFd for MessageSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsyncSocket for MessageSocket {
    fn socket_ref(&self) -> &Socket {
        &self.socket
    }

    fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn new(protocol: isize) -> io::Result<Self> {
        MessageSocket::wrap(Socket::new(protocol)?, 0)
    }

    fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_to(context, bytes, &SocketAddr::new(self.peer, 0))
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        bytes: &[u8],
        _: &SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let sent = self
            .socket
            .send_to(bytes, &SocketAddr::new(self.peer, 0), 0);
        if let Err(error) = &sent {
            let errno = error.raw_os_error().unwrap_or_default();
            self.update(|state| state.send_error = errno);
        }
        Poll::Ready(sent)
    }

    fn poll_recv<B: BufMut>(&self, context: &mut Context<'_>, out: &mut B) -> Poll<io::Result<()>> {
        self.poll_recv_from(context, out)
            .map(|result| result.map(|_| ()))
    }

    /// One message, once allowed. An error that is not "nothing there" is told as an overrun: something was lost, and
    /// the connection goes on (it would end at any other error).
    fn poll_recv_from<B: BufMut>(
        &self,
        _: &mut Context<'_>,
        out: &mut B,
    ) -> Poll<io::Result<SocketAddr>> {
        if !self.state.get().allowed {
            return Poll::Pending;
        }
        let next = self.next(out);
        if next == Ok(None) {
            return Poll::Pending;
        }
        self.update(|state| {
            state.allowed = false;
            state.handed |= next.is_ok();
        });
        match next {
            Ok(_) => Poll::Ready(Ok(SocketAddr::new(0, 0))),
            Err(_) => Poll::Ready(Err(io::Error::from_raw_os_error(OVERRUN))),
        }
    }

    /// Never used by a connection, and it would go past the inbox.
    fn poll_recv_from_full(&self, _: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddr)>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
