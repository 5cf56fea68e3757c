//! Reads the kernel's events into the mirror.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use crate::limits::{DATAGRAM_MAX, DATAGRAMS_PER_DRAIN, EVENTS_BUFFER};
use crate::linux::netlink::prefilter::{concerns_us, kinds_of};
use crate::linux::netlink::socket::{CutOff, Message, NetlinkSocket};
use crate::linux::netlink::{Requests, decode};
use crate::routing::mirror::{Kinds, Mirror};
use crate::types::Fault;

/// The event socket: receives every change of links, addresses, routes and rules.
pub struct Events {
    socket: NetlinkSocket,
    /// the last drain has left something to read
    more: bool,
}

/// The result of one [`Events::drain`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// what has changed in the mirror
    pub changed: Kinds,
    /// there is more to read: call it again after other work
    pub more: bool,
}

#[allow(clippy::cast_sign_loss)] // bits
const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV4_RULE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE) as u32
    | 1 << (libc::RTNLGRP_IPV6_RULE - 1)
    | 1 << (RTNLGRP_IPV6_IFINFO - 1);
// linux/rtnetlink.h
const RTNLGRP_IPV6_IFINFO: u32 = 12;

impl Events {
    /// Opens the socket. There are no events for what happened before: dump everything after this.
    ///
    /// # Errors
    /// No netlink socket could be opened.
    pub fn open() -> io::Result<Events> {
        let socket = NetlinkSocket::open(libc::NETLINK_ROUTE, GROUPS, DATAGRAM_MAX)?;
        // More than `net.core.rmem_max` requires CAP_NET_ADMIN, as changing routes does.
        if setsockopt(&socket, sockopt::RcvBufForce, &EVENTS_BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &EVENTS_BUFFER);
        }
        Ok(Events::over(socket))
    }

    pub(super) fn over(mut socket: NetlinkSocket) -> Events {
        // Missing before Linux 5.3, as nexthop objects are.
        let _ = socket.join(libc::RTNLGRP_NEXTHOP);
        Events {
            socket,
            more: false,
        }
    }

    /// The descriptor to poll before [`Events::drain`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads events into the mirror, a bounded number per call. Costs one system call if there are none.
    ///
    /// Check [`Mirror::needs`] afterwards: what is set there must be dumped before the mirror is used.
    pub fn drain(&mut self, mirror: &mut Mirror) -> Drained {
        let mut changed = Kinds::NONE;
        self.more = true;
        for _ in 0..DATAGRAMS_PER_DRAIN {
            match self.socket.receive() {
                Ok(messages) => messages.for_each(|message| changed.add(learn(mirror, message))),
                Err(Errno::EAGAIN) => {
                    self.more = false;
                    break;
                }
                Err(Errno::EINTR) => {}
                // ENOBUFS. Any other error is handled in the same way.
                Err(_) => {
                    mirror.counters.overruns = mirror.counters.overruns.wrapping_add(1);
                    mirror.need(Kinds::ALL);
                }
            }
        }
        Drained {
            changed,
            more: self.more,
        }
    }

    /// Dumps what the mirror needs, unless the last [`Events::drain`] has left events to read. Returns whether it was done.
    ///
    /// After an overrun the kernel drops all events, without an error, until the receive queue has been read to its end
    /// (`NETLINK_S_CONGESTED`, net/netlink/af_netlink.c). If the dump came earlier, changes after it would be missed. Drain
    /// again afterwards, and check [`Mirror::needs`].
    ///
    /// # Errors
    /// See [`Requests::dump`].
    pub fn renew(&self, requests: &mut Requests, mirror: &mut Mirror) -> Result<bool, Fault> {
        if self.more {
            return Ok(false);
        }
        let needs = mirror.needs();
        requests.dump(mirror, needs).map(|_| true)
    }

    #[cfg(test)]
    pub(super) fn socket(&self) -> &NetlinkSocket {
        &self.socket
    }
}

/// Applies a message to the mirror; returns the change. A message that cannot be decoded is counted, and the kinds that it
/// may concern must be dumped.
fn learn(mirror: &mut Mirror, message: Result<Message<'_>, CutOff>) -> Kinds {
    let doubtful = match message {
        Err(CutOff) => Kinds::ALL,
        Ok(message) if !concerns_us(&message) => return Kinds::NONE,
        Ok(message) => {
            let kind = message.message_type();
            match decode::news(kind, message.flags(), message.payload()) {
                Some(news) => return mirror.apply(news),
                None => kinds_of(kind),
            }
        }
    };
    mirror.counters.undecodable = mirror.counters.undecodable.wrapping_add(1);
    mirror.need(doubtful);
    Kinds::NONE
}
