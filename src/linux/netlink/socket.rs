//! The socket of requests and events: reads datagrams, and splits them into messages.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
#[cfg(test)]
use nix::libc;
use rtnetlink::packet_core::NetlinkBuffer;
use rtnetlink::sys::{Socket, SocketAddr};

use crate::linux::errno::errno_of;

/// The length of a message's header (`struct nlmsghdr`, linux/netlink.h).
pub(in crate::linux) const HEADER: usize = 16;

/// A whole message, within its datagram.
pub(in crate::linux) type Message<'a> = NetlinkBuffer<&'a [u8]>;

/// A non-blocking netlink socket.
pub(in crate::linux) struct NetlinkSocket {
    socket: Socket,
    /// the port of the other end: 0 is the kernel
    peer: u32,
    /// the last datagram; the memory after it is touched only by a larger one
    datagram: Vec<u8>,
}

impl NetlinkSocket {
    /// Opens a socket to a part of the kernel (`NETLINK_*`) that receives these groups (bits). There is room for datagrams
    /// of this length.
    pub(in crate::linux) fn open(
        protocol: i32,
        groups: u32,
        room: usize,
    ) -> io::Result<NetlinkSocket> {
        let socket = NetlinkSocket::bind(protocol, groups, 0, room)?;
        // Acks then contain only the header of the request; older kernels send all of it.
        let _ = socket.socket.set_cap_ack(true);
        Ok(socket)
    }

    fn bind(protocol: i32, groups: u32, peer: u32, room: usize) -> io::Result<NetlinkSocket> {
        let mut socket = Socket::new(protocol as isize)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        Ok(NetlinkSocket {
            socket,
            peer,
            datagram: Vec::with_capacity(room),
        })
    }

    /// Adds a group (`RTNLGRP_*`).
    pub(super) fn join(&mut self, group: u32) -> io::Result<()> {
        self.socket.add_membership(group)
    }

    pub(super) fn send(&self, message: &[u8]) -> Result<(), Errno> {
        let to = SocketAddr::new(self.peer, 0);
        let sent = self.socket.send_to(message, &to, 0);
        sent.map(|_| ()).map_err(|error| errno_of(&error))
    }

    /// Reads the next datagram.
    ///
    /// # Errors
    /// EAGAIN: there is none. ENOBUFS: messages were lost, because the receive buffer was full.
    pub(in crate::linux) fn receive(&mut self) -> Result<Messages<'_>, Errno> {
        self.datagram.clear();
        let received = self.socket.recv_from(&mut self.datagram, 0);
        let (_, from) = received.map_err(|error| errno_of(&error))?;
        // Only messages of the kernel are accepted.
        if from.port_number() != self.peer {
            self.datagram.clear();
        }
        Ok(Messages(&self.datagram))
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The unread messages of a datagram.
pub(in crate::linux) struct Messages<'a>(&'a [u8]);

/// The rest of the datagram is no whole message.
#[derive(Debug)]
pub(in crate::linux) struct CutOff;

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, CutOff>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let length = rest.first_chunk().map(|length| u32::from_ne_bytes(*length));
        let length = length.and_then(|length| usize::try_from(length).ok());
        let whole = length.filter(|length| (HEADER..=rest.len()).contains(length));
        Some(whole.ok_or(CutOff).map(|length| {
            self.0 = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
            Message::new(&rest[..length])
        }))
    }
}

#[cfg(test)]
impl NetlinkSocket {
    /// A socket to another process instead of the kernel (`NETLINK_USERSOCK`), for crafted answers.
    pub(super) fn to_port(peer: u32) -> NetlinkSocket {
        NetlinkSocket::bind(libc::NETLINK_USERSOCK, 0, peer, crate::limits::DATAGRAM_MAX).unwrap()
    }

    /// The port of the socket.
    pub(super) fn port(&self) -> u32 {
        let mut own = SocketAddr::new(0, 0);
        self.socket.get_address(&mut own).unwrap();
        own.port_number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::netlink::tests::message;

    #[test]
    fn datagrams_are_cut_into_messages_and_a_bad_length_ends_them() {
        let mut datagram = message(libc::RTM_NEWLINK, 0, 0, &[0; 5]);
        datagram.extend([0; 3]); // padding
        datagram.extend(message(libc::RTM_NEWADDR, 0, 0, &[2; 8]));
        let lengths = |datagram: &[u8]| -> Vec<Option<usize>> {
            let length = |message: Message<'_>| message.into_inner().len();
            let messages = Messages(datagram).take(9);
            messages.map(|message| message.ok().map(length)).collect()
        };
        assert_eq!(lengths(&datagram), [Some(21), Some(24)]);
        assert_eq!(lengths(&datagram[..47]), [Some(21), None], "cut off");
        assert_eq!(lengths(&datagram[..20]), [None], "cut off");
        assert_eq!(lengths(&datagram[..21]), [Some(21)], "without padding");
        assert_eq!(lengths(&[15, 0, 0, 0, 0, 0]), [None]);
        assert_eq!(lengths(&[0; 32]), [None], "would never advance");
        assert_eq!(lengths(&[0xff; 32]), [None]);
        assert_eq!(lengths(&[]), []);
    }
}
