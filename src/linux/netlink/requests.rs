//! Asking the kernel: to carry out a change, to show all of a kind.

use std::io;
use std::os::fd::AsFd;
use std::task::Poll;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::proto;
use rtnetlink::sys::SocketAddr;

use crate::limits::{DUMP_PATIENCE, DUMP_TRIES, REQUEST_PATIENCE};
use crate::linux::clock::now;
use crate::linux::errno::fault;
use crate::linux::netlink::body::Body;
use crate::linux::netlink::socket::MessageSocket;
use crate::linux::netlink::{Connection, Handle, Message, Unasked, advance, encode, take};
use crate::routing::mirror::{Dumped, Kinds, Mirror, News, Object};
use crate::routing::objects::Change;
use crate::types::{Duration, Family, Fault, Instant};

/// The connection that we ask the kernel by. One request at a time, each with a deadline.
pub struct Requests {
    /// None after a request that did not end well: the next one opens a new connection, which no late answer reaches.
    line: Option<Line>,
}

/// One connection, as long as it is good.
pub(super) struct Line {
    connection: Connection,
    handle: Handle,
    unasked: Unasked,
}

/// What a dump is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Worth {
    /// the kernel's picture changed meanwhile
    interrupted: bool,
    /// so many messages could not be read
    unread: u32,
}

impl Requests {
    /// Ready to ask.
    ///
    /// # Errors
    /// No netlink socket could be opened.
    pub fn open() -> io::Result<Requests> {
        MessageSocket::open(0).map(|socket| Requests::on(Line::over(socket)))
    }

    pub(super) fn on(line: Line) -> Requests {
        Requests { line: Some(line) }
    }

    /// Carry out a change; the kernel has done it when this returns.
    ///
    /// # Errors
    /// The kernel's refusal, [`Fault::TimedOut`] when it has not answered in [`REQUEST_PATIENCE`], or
    /// [`Fault::NoBuffers`] when its answer was lost. In the latter two the change may have been made.
    pub fn carry_out(&mut self, change: &Change) -> Result<(), Fault> {
        let message = encode::change(change).ok_or(fault(Errno::EOPNOTSUPP))?;
        match (change, self.transact(message, &mut |_| ())) {
            (Change::DeleteRoute(_), Err(Errno::ESRCH))
            | (Change::AddRule(_), Err(Errno::EEXIST))
            | (Change::DeleteRule(_), Err(Errno::ENOENT)) => Ok(()),
            (_, Ok(_)) => Ok(()),
            (_, Err(errno)) => Err(fault(errno)),
        }
    }

    /// Renew these kinds of things in the mirror; what has changed there. What one dump fails for stays needed.
    ///
    /// Drain the events afterwards: what happened during the dump comes from there (again).
    ///
    /// # Errors
    /// The first dump's that failed. `EINTR`: things changed faster than they could be shown; try again later.
    pub fn dump(&mut self, mirror: &mut Mirror, kinds: Kinds) -> Result<Kinds, Fault> {
        let mut changed = Kinds::NONE;
        let mut result = Ok(());
        for kind in Kinds::EACH {
            if kinds.has(kind) {
                mirror.need(kind);
                let outcome = self.dump_kind(mirror, kind, &mut changed);
                result = result.and(outcome);
            }
        }
        result.map(|()| changed).map_err(fault)
    }

    fn dump_kind(
        &mut self,
        mirror: &mut Mirror,
        kind: Kinds,
        changed: &mut Kinds,
    ) -> Result<(), Errno> {
        let families: &[Family] = match kind {
            Kinds::LINKS | Kinds::ROUTES_V4 => &[Family::V4],
            Kinds::ROUTES_V6 => &[Family::V6],
            _ => &Family::ALL,
        };
        let mut outcome = Err(Errno::EINTR);
        for _ in 0..DUMP_TRIES {
            mirror.begin(kind);
            let worth = self.dump_families(mirror, kind, families, changed);
            let dumped = match worth {
                Err(_) => Dumped::Failed,
                Ok(worth) if worth.interrupted => Dumped::Failed,
                Ok(worth) if worth.unread > 0 => Dumped::InPart,
                Ok(_) => Dumped::Whole,
            };
            changed.add(mirror.end(kind, dumped));
            let unread = worth?.unread;
            if dumped != Dumped::Failed {
                let counter = &mut mirror.counters.undecodable;
                *counter = counter.wrapping_add(unread);
                outcome = Ok(());
                // What was gone has made room for what had none.
                if !mirror.needs().has(kind) {
                    break;
                }
            }
        }
        outcome
    }

    fn dump_families(
        &mut self,
        mirror: &mut Mirror,
        kind: Kinds,
        families: &[Family],
        changed: &mut Kinds,
    ) -> Result<Worth, Errno> {
        let mut total = Worth::default();
        for family in families {
            let request = encode::dump(kind, *family);
            let worth = self.transact(request, &mut |object| changed.add(mirror.record(object)))?;
            total.interrupted |= worth.interrupted;
            total.unread += worth.unread;
        }
        Ok(total)
    }

    /// Send a request, take its answers until the last. Whatever goes wrong on the way, other than the kernel's saying
    /// no, gives the connection up.
    fn transact(&mut self, message: Message, each: &mut dyn FnMut(Object)) -> Result<Worth, Errno> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => Line::over(MessageSocket::open(0).map_err(errno_of)?),
        };
        match line.transact(message, each) {
            Ok(answer) => {
                self.line = Some(line);
                answer
            }
            Err(errno) => Err(errno),
        }
    }
}

impl Line {
    pub(super) fn over(socket: MessageSocket) -> Line {
        let (mut connection, handle, unasked) = proto::from_socket_with_codec(socket);
        connection.set_forward_done(true);
        Line {
            connection,
            handle,
            unasked,
        }
    }

    /// The outer error: the connection is not fit for another request. The inner: the kernel said no.
    fn transact(
        &mut self,
        message: Message,
        each: &mut dyn FnMut(Object),
    ) -> Result<Result<Worth, Errno>, Errno> {
        let mut answers = self
            .handle
            .request(message, SocketAddr::new(0, 0))
            .map_err(|_| Errno::EPIPE)?;
        let started = now();
        let mut heard = started;
        let mut worth = Worth::default();
        let _ = self.connection.socket_mut().take_interrupted();
        // First send; then there is something to receive.
        let mut datagrams = 0;
        loop {
            self.connection.socket_mut().allow_datagrams(datagrams);
            datagrams = 1;
            if !advance(&mut self.connection) {
                return Err(self.connection.socket_mut().send_error());
            }
            let handed = self.connection.socket_mut().handed();
            let more = self.connection.socket_mut().exhausted();
            let mut read = false;
            match take(&mut answers) {
                Poll::Ready(Some(answer)) => {
                    read = true;
                    if let Some(end) = last(answer, each) {
                        let socket = self.connection.socket_mut();
                        worth.interrupted |= socket.take_interrupted();
                        worth.unread += u32::from(socket.take_cut());
                        return Ok(end.map(|()| worth));
                    }
                }
                // An acknowledgement is not shown: it ends the answers.
                Poll::Ready(None) => return Ok(Ok(worth)),
                Poll::Pending => {}
            }
            while let Poll::Ready(Some((message, _))) = take(&mut self.unasked) {
                read = true;
                if let NetlinkPayload::Overrun(_) = message.payload {
                    return Err(Errno::ENOBUFS);
                }
            }
            worth.unread += u32::from(handed && !read);
            if handed || more {
                heard = now();
            } else {
                self.wait(left(heard, REQUEST_PATIENCE)?)?;
            }
            left(started, DUMP_PATIENCE)?;
        }
    }

    fn wait(&mut self, left: Duration) -> Result<(), Errno> {
        // Rounded up, so that the time is over when poll(2) says so.
        let milliseconds = u16::try_from(left.total_millis() + 1).unwrap_or(u16::MAX);
        let socket = self.connection.socket_mut();
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(milliseconds)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// What is left of a patience; ETIMEDOUT when nothing is.
fn left(since: Instant, patience: Duration) -> Result<Duration, Errno> {
    match now() - since {
        passed if passed < patience => Ok(patience - passed),
        _ => Err(Errno::ETIMEDOUT),
    }
}

/// Whether an answer is the last, and what it says then.
fn last(answer: Message, each: &mut dyn FnMut(Object)) -> Option<Result<(), Errno>> {
    let code = match answer.payload {
        NetlinkPayload::InnerMessage(Body::News(News::Is(object) | News::Replaces(object))) => {
            each(object);
            return None;
        }
        NetlinkPayload::Error(error) => error.code.map_or(0, i32::from),
        NetlinkPayload::Done(done) => done.code,
        _ => return None,
    };
    Some(match code {
        0.. => Ok(()),
        refused => Err(Errno::from_raw(refused.saturating_neg())),
    })
}

fn errno_of(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
