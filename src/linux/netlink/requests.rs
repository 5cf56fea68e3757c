//! Asking the kernel: to carry out a change, to show all of a kind.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};

use crate::limits::{DUMP_PATIENCE, DUMP_TRIES, REQUEST_PATIENCE};
use crate::linux::clock::now;
use crate::linux::errno::fault;
use crate::linux::netlink::decode;
use crate::linux::netlink::encode::{self, Request};
use crate::linux::netlink::prefilter::concerns_us;
use crate::linux::netlink::socket::{CutOff, Message, NetlinkSocket, errno_of};
use crate::routing::mirror::{Dumped, Kinds, Mirror, News, Object};
use crate::routing::objects::{Change, RuleVerdict};
use crate::types::{Duration, Family, Fault, Instant};

/// Asks the kernel: one request at a time, each with a deadline.
pub struct Requests {
    /// None after a request whose last answer did not come. The next one opens a new socket, which no late answer reaches.
    socket: Option<NetlinkSocket>,
    /// of the last request
    sequence: u32,
}

/// Reads one answer. `Some`: it is the last, and says this.
type ReadAnswer<'a> = dyn FnMut(&Message<'_>, &mut Worth) -> Option<Result<(), Errno>> + 'a;

/// What a dump is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Worth {
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
        NetlinkSocket::open(0).map(Requests::over)
    }

    pub(super) fn over(socket: NetlinkSocket) -> Requests {
        Requests {
            socket: Some(socket),
            sequence: 0,
        }
    }

    /// Carry out a change; the kernel has done it when this returns.
    ///
    /// # Errors
    /// The kernel's refusal, [`Fault::TimedOut`] when it has not answered in [`REQUEST_PATIENCE`], or
    /// [`Fault::NoBuffers`] when its answer was lost. In the latter two the change may have been made.
    pub fn carry_out(&mut self, change: &Change) -> Result<(), Fault> {
        self.request(change)?;
        match change {
            Change::MoveRule(rule) => self.request(&Change::DeleteRule(rule.clone())),
            // One that was moved half-way is there twice.
            Change::DeleteRule(rule) if matches!(rule.verdict, RuleVerdict::Goto(_)) => {
                self.request(change)
            }
            _ => Ok(()),
        }
    }

    fn request(&mut self, change: &Change) -> Result<(), Fault> {
        let request = encode::change(change).ok_or(fault(Errno::EOPNOTSUPP))?;
        match (change, self.transact(request, &mut |_| ())) {
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
            // One dump may show that another is needed.
            if kinds.has(kind) || mirror.needs().has(kind) {
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

    pub(super) fn transact(
        &mut self,
        mut request: Request,
        each: &mut dyn FnMut(Object),
    ) -> Result<Worth, Errno> {
        self.exchange(request.as_bytes_mut(), &mut |answer, worth| {
            read_answer(answer, worth, each)
        })
    }

    /// Send a request, and read its answers until `read` says what the last one says. The socket is closed after every
    /// error but the kernel's refusal.
    pub(super) fn exchange(
        &mut self,
        request: &mut [u8],
        read: &mut ReadAnswer<'_>,
    ) -> Result<Worth, Errno> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => NetlinkSocket::open(0).map_err(|error| errno_of(&error))?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        NetlinkBuffer::new(&mut *request).set_sequence_number(self.sequence);
        socket.send(request)?;
        let mut worth = Worth::default();
        let end = read_answers(&mut socket, self.sequence, &mut worth, read)?;
        self.socket = Some(socket);
        end.map(|()| worth)
    }
}

/// Read the answers to a request; what the last one says. The outer error: the last did not come.
fn read_answers(
    socket: &mut NetlinkSocket,
    sequence: u32,
    worth: &mut Worth,
    read: &mut ReadAnswer<'_>,
) -> Result<Result<(), Errno>, Errno> {
    let started = now();
    let mut heard = started;
    loop {
        let messages = match socket.receive() {
            Ok(messages) => messages,
            // Only now: answers that are there count, also when this process was stopped for a while.
            Err(Errno::EAGAIN) => {
                let left = left(heard, REQUEST_PATIENCE)?.min(left(started, DUMP_PATIENCE)?);
                wait(socket, left)?;
                continue;
            }
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        };
        let mut answered = false;
        for message in messages {
            match message {
                Ok(message) if message.sequence_number() == sequence => {
                    answered = true;
                    if let Some(end) = read(&message, worth) {
                        return Ok(end);
                    }
                }
                Ok(_) => {}
                Err(CutOff) => worth.unread += 1,
            }
        }
        if answered {
            heard = now();
        }
        left(started, DUMP_PATIENCE)?;
    }
}

/// Read one answer. `Some`: it is the last, and says this.
fn read_answer(
    message: &Message<'_>,
    worth: &mut Worth,
    each: &mut dyn FnMut(Object),
) -> Option<Result<(), Errno>> {
    let (kind, flags) = (message.message_type(), message.flags());
    worth.interrupted |= flags & NLM_F_DUMP_INTR != 0;
    if matches!(kind, NLMSG_ERROR | NLMSG_DONE) {
        return Some(verdict(message));
    }
    if concerns_us(message) {
        match decode::news(kind, flags, message.payload()) {
            Some(News::Is(object) | News::Replaces(object)) => each(object),
            Some(_) => {}
            None => worth.unread += 1,
        }
    }
    None
}

/// What `NLMSG_ERROR` and `NLMSG_DONE` say. Both begin with an errno, negative, or 0 (`struct nlmsgerr`, linux/netlink.h).
pub(super) fn verdict(message: &Message<'_>) -> Result<(), Errno> {
    let code = message.payload().first_chunk().copied();
    match code.map(i32::from_ne_bytes) {
        Some(0..) => Ok(()),
        Some(refused) => Err(Errno::from_raw(refused.saturating_neg())),
        None => Err(Errno::EPROTO),
    }
}

/// Wait until there is something to read, or the time is over.
fn wait(socket: &NetlinkSocket, left: Duration) -> Result<(), Errno> {
    // Rounded up, so that the time is over when poll(2) says so.
    let milliseconds = u16::try_from(left.total_millis() + 1).unwrap_or(u16::MAX);
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(milliseconds)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// What is left of a patience; ETIMEDOUT when nothing is.
fn left(since: Instant, patience: Duration) -> Result<Duration, Errno> {
    match now() - since {
        passed if passed < patience => Ok(patience - passed),
        _ => Err(Errno::ETIMEDOUT),
    }
}
