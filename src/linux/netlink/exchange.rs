//! One request at a time to a part of the kernel, and its answers before a deadline.
//!
//! The kernel carries out a request while it is sent (netlink_unicast_kernel, net/netlink/af_netlink.c): the deadline begins
//! afterwards, however long that takes.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};

use crate::limits::REQUEST_PATIENCE;
use crate::linux::clock::now;
use crate::linux::errno::errno_of;
use crate::linux::netlink::attribute::Request;
use crate::linux::netlink::socket::{CutOff, HEADER, Message, NetlinkSocket};
use crate::types::{Duration, Instant};

/// The socket for the requests to one part of the kernel.
pub(in crate::linux) struct Exchange {
    /// the part (`NETLINK_*`)
    protocol: i32,
    /// the longest datagram that is read
    room: usize,
    /// the longest duration of all answers to one request
    patience: Duration,
    /// None before the first request, and after one that was not answered completely. The next one opens a new socket,
    /// which gets no late answers.
    pub(super) socket: Option<NetlinkSocket>,
    /// the sequence number of the last request
    sequence: u32,
}

/// Reads one message of an answer. True: no other follows, although the kernel does not say so.
pub(in crate::linux) type ReadAnswer<'a> = dyn FnMut(&Message<'_>, &mut Worth) -> bool + 'a;

/// The quality of a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::linux) struct Worth {
    /// the kernel's state changed during the dump
    pub(super) interrupted: bool,
    /// the number of messages that could not be decoded
    pub(super) unread: u32,
}

impl Exchange {
    /// The first request opens the socket.
    pub(in crate::linux) const fn new(protocol: i32, room: usize, patience: Duration) -> Exchange {
        Exchange {
            protocol,
            room,
            patience,
            socket: None,
            sequence: 0,
        }
    }

    /// Sends a request, and reads answers until the last, which has the result. The socket is closed after every error except
    /// one that the kernel returns.
    pub(in crate::linux) fn send(
        &mut self,
        request: &mut Request,
        read: &mut ReadAnswer<'_>,
    ) -> Result<Worth, Errno> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => NetlinkSocket::open(self.protocol, 0, self.room)
                .map_err(|error| errno_of(&error))?,
        };
        let request = request.bytes()?;
        self.sequence = self.sequence.wrapping_add(1);
        number(request, self.sequence);
        socket.send(request)?;
        let mut worth = Worth::default();
        let result = self.receive(&mut socket, &mut worth, read)?;
        self.socket = Some(socket);
        result.map(|()| worth)
    }

    /// Reads the answers to the last request, and returns the result. The outer error: the last answer did not arrive.
    fn receive(
        &self,
        socket: &mut NetlinkSocket,
        worth: &mut Worth,
        read: &mut ReadAnswer<'_>,
    ) -> Result<Result<(), Errno>, Errno> {
        let started = now();
        let mut heard = started;
        loop {
            let messages = match socket.receive() {
                Ok(messages) => messages,
                // Checked only now: answers that have arrived count, also if this process was stopped for a while.
                Err(Errno::EAGAIN) => {
                    let left = left(heard, REQUEST_PATIENCE)?.min(left(started, self.patience)?);
                    wait(socket, left)?;
                    continue;
                }
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            let mut answered = false;
            for message in messages {
                match message {
                    Ok(message) if message.sequence_number() == self.sequence => {
                        answered = true;
                        worth.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
                        if matches!(message.message_type(), NLMSG_ERROR | NLMSG_DONE) {
                            return Ok(verdict(&message));
                        }
                        if read(&message, worth) {
                            return Ok(Ok(()));
                        }
                    }
                    Ok(_) => {}
                    Err(CutOff) => worth.unread += 1,
                }
            }
            if answered {
                heard = now();
            }
            left(started, self.patience)?;
        }
    }
}

/// Gives all messages of a request the same sequence number.
fn number(mut request: &mut [u8], sequence: u32) {
    while request.len() >= HEADER {
        let mut message = NetlinkBuffer::new(&mut *request);
        message.set_sequence_number(sequence);
        let length = usize::try_from(message.length()).unwrap_or(HEADER);
        request = request.get_mut(length.max(HEADER)..).unwrap_or_default();
    }
}

/// The result in `NLMSG_ERROR` and `NLMSG_DONE`. Both begin with a negative errno, or 0 (`struct nlmsgerr`, linux/netlink.h).
fn verdict(message: &Message<'_>) -> Result<(), Errno> {
    let code = message.payload().first_chunk().copied();
    match code.map(i32::from_ne_bytes) {
        Some(0..) => Ok(()),
        Some(refused) => Err(Errno::from_raw(refused.saturating_neg())),
        None => Err(Errno::EPROTO),
    }
}

/// Waits until there is something to read, or the timeout.
fn wait(socket: &NetlinkSocket, left: Duration) -> Result<(), Errno> {
    // Rounded up, so that the deadline has passed when poll(2) times out.
    let milliseconds = u16::try_from(left.total_millis() + 1).unwrap_or(u16::MAX);
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(milliseconds)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The time left until the deadline; ETIMEDOUT if there is none.
fn left(since: Instant, patience: Duration) -> Result<Duration, Errno> {
    match now() - since {
        passed if passed < patience => Ok(patience - passed),
        _ => Err(Errno::ETIMEDOUT),
    }
}
