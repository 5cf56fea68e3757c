//! What the kernel tells unasked, taken into the mirror.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::sys::AsyncSocket;

use crate::limits::{DATAGRAMS_PER_DRAIN, EVENTS_BUFFER};
use crate::linux::netlink::body::Body;
use crate::linux::netlink::prefilter::kinds_of;
use crate::linux::netlink::socket::MessageSocket;
use crate::linux::netlink::{Message, Requests};
use crate::routing::mirror::{Kinds, Mirror, News};
use crate::types::Fault;

/// Hears of every change of links, addresses, routes and rules.
pub struct Events {
    socket: MessageSocket,
    /// the one that is read
    message: Vec<u8>,
    /// the last drain has left something to read
    more: bool,
}

/// What one [`Events::drain`] brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// what has changed in the mirror
    pub changed: Kinds,
    /// there is more to read: come back after other work has had its turn
    pub more: bool,
}

#[allow(clippy::cast_sign_loss)] // bits
const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV4_RULE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE) as u32
    | 1 << (libc::RTNLGRP_IPV6_RULE - 1);

impl Events {
    /// Begin to hear. What happened before is told by no event: dump everything after this.
    ///
    /// # Errors
    /// No netlink socket could be opened.
    pub fn open() -> io::Result<Events> {
        let socket = MessageSocket::open(GROUPS)?;
        // More than `net.core.rmem_max` takes CAP_NET_ADMIN, which changing routes takes as well.
        if setsockopt(&socket, sockopt::RcvBufForce, &EVENTS_BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &EVENTS_BUFFER);
        }
        Ok(Events::over(socket))
    }

    fn over(mut socket: MessageSocket) -> Events {
        // Absent before Linux 5.3, and so are nexthop objects.
        let _ = socket.socket_mut().add_membership(libc::RTNLGRP_NEXTHOP);
        Events {
            socket,
            message: Vec::new(),
            more: false,
        }
    }

    /// What to wait on for [`Events::drain`] to have something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Take in what there is, a bounded part of it at a time. Costs one system call when there is nothing.
    ///
    /// Look at [`Mirror::needs`] afterwards: what is set there must be dumped before the mirror is relied on.
    pub fn drain(&mut self, mirror: &mut Mirror) -> Drained {
        let mut changed = Kinds::NONE;
        self.socket.allow_datagrams(DATAGRAMS_PER_DRAIN);
        loop {
            self.message.clear();
            match self.socket.next(&mut self.message) {
                Ok(Some(kind)) => match Message::deserialize(&self.message).map(|m| m.payload) {
                    Ok(NetlinkPayload::InnerMessage(Body::News(news))) => {
                        changed.add(mirror.apply(news));
                    }
                    Ok(_) => {}
                    Err(_) => undecodable(mirror, 1, kinds_of(kind)),
                },
                Ok(None) => break,
                Err(_) => {
                    mirror.counters.overruns = mirror.counters.overruns.wrapping_add(1);
                    mirror.need(Kinds::ALL);
                }
            }
        }
        undecodable(mirror, self.socket.take_cut(), Kinds::ALL);
        if self.socket.take_nexthops() {
            changed.add(mirror.apply(News::Nexthops));
        }
        self.more = self.socket.exhausted();
        Drained {
            changed,
            more: self.more,
        }
    }

    /// Dump what the mirror needs, unless the last [`Events::drain`] has left something to read. Whether it was done.
    ///
    /// After an overrun the kernel drops all events without a word until everything that it told before has been read
    /// (`NETLINK_S_CONGESTED`, net/netlink/af_netlink.c): a change between an earlier dump and that moment would never be
    /// learned. Drain again afterwards, and see whether that has left doubts.
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
    pub(super) fn socket(&self) -> &MessageSocket {
        &self.socket
    }

    #[cfg(test)]
    pub(super) fn from_port(peer: u32) -> io::Result<Events> {
        MessageSocket::to_port(peer).map(Events::over)
    }
}

/// Count messages that could not be read, and have what they told of dumped.
fn undecodable(mirror: &mut Mirror, messages: u16, kinds: Kinds) {
    if messages > 0 {
        let counter = &mut mirror.counters.undecodable;
        *counter = counter.wrapping_add(u32::from(messages));
        mirror.need(kinds);
    }
}
