//! Whether answers to an offline path's probes arrive at its device, although none reaches us: a firewall or a reverse-path
//! filter of this machine drops them.
//!
//! One packet socket per silent path sees packets before any of these. Its filter passes echo replies with the path's
//! identifiers and packets of its sessions' servers to their ports. It is not polled: it is read when a round begins.

use core::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, recvfrom, setsockopt, socket, sockopt,
};

use super::super::ffi;
use super::bpf::{self, Server};
use super::keep_only;
use crate::limits::{ARRIVAL_SERVERS_MAX, PATHS_MAX};
use crate::types::{Family, PathId};
use crate::wire::icmp::RECEIVE_LEN;

/// Receive buffer in bytes, which the kernel doubles: some replies. Further ones say nothing new.
const RECEIVE_BUFFER: usize = 4 * 1024;
/// Packets that are read of one round.
const READS_MAX: usize = 16;

/// The packet sockets. All zero bytes when new.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    open: Vec<Watch, PATHS_MAX>,
}

#[derive(Debug)]
struct Watch {
    path: PathId,
    socket: OwnedFd,
    identifiers: [u16; 2],
    /// of the last sessions, at least of one round
    servers: Vec<Server, ARRIVAL_SERVERS_MAX>,
    /// An answer was there when the last round began, and nothing has reached us since: the index of its device.
    arrived: Option<u32>,
    /// Something has reached us since the last round began: what was seen since then may be the same.
    heard: bool,
}

/// What a packet at the device is.
pub(super) enum Arrival<'b> {
    /// an ICMP message, as a raw socket would receive it, and its source
    Echo(&'b [u8], IpAddr),
    /// from a session's server
    Session,
}

impl Arrivals {
    pub(super) const fn new() -> Arrivals {
        Arrivals { open: Vec::new() }
    }

    /// Watches a path's device, or all devices if it is 0, for replies with these identifiers, and for answers to sessions that
    /// begin from now on.
    pub(super) fn watch(
        &mut self,
        path: PathId,
        device: u32,
        identifiers: [u16; 2],
    ) -> Result<(), Errno> {
        if self.open.iter().any(|watch| watch.path == path) {
            return Ok(());
        }
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        // Without a protocol the socket receives nothing until the filter is attached.
        let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, None)?;
        let watch = Watch {
            path,
            socket,
            identifiers,
            servers: Vec::new(),
            arrived: None,
            heard: false,
        };
        watch.attach()?;
        setsockopt(&watch.socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        // It spares the kernel copies of what is sent; unknown before Linux 4.20, where the filter drops them.
        let _ = ffi::set_words(
            watch.socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            &[1],
        );
        // All protocols: such sockets come before the rules at the device's ingress, which may drop packets, too.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it has 16 bits
        ffi::bind_to_link(watch.socket.as_fd(), device, libc::ETH_P_ALL as u16)?;
        self.open.push(watch).map_err(|_| Errno::ENOBUFS)
    }

    /// A path's probes have these identifiers from now on.
    pub(super) fn identify(&mut self, path: PathId, identifiers: [u16; 2]) {
        self.change(path, |watch| watch.identifiers = identifiers);
    }

    /// A session of a path is about to be connected: its answers may come at once.
    pub(super) fn expect(&mut self, path: PathId, server: Server) {
        self.change(path, |watch| {
            if watch.servers.is_full() {
                watch.servers.remove(0);
            }
            // There is room: an entry was removed above.
            watch.servers.push(server).unwrap_or_default();
        });
    }

    /// Changes what a path's filter passes. If there is no memory for that, it stays as it is.
    fn change(&mut self, path: PathId, change: impl FnOnce(&mut Watch)) {
        if let Some(watch) = self.open.iter_mut().find(|watch| watch.path == path) {
            change(watch);
            let _ = watch.attach();
        }
    }

    /// A round of a path begins: at which device an answer had arrived when the one before began, if nothing reached us
    /// since. `is_answer` says which arrivals are answers.
    pub(super) fn look(
        &mut self,
        path: PathId,
        is_answer: &dyn Fn(Arrival<'_>) -> bool,
    ) -> Option<u32> {
        let watch = self.open.iter_mut().find(|watch| watch.path == path)?;
        let mut buffer = [0; RECEIVE_LEN];
        let before = watch.arrived.take();
        let heard = core::mem::take(&mut watch.heard);
        for _ in 0..READS_MAX {
            let read = recvfrom::<SockaddrStorage>(watch.socket.as_raw_fd(), &mut buffer);
            let Ok((length, Some(from))) = read else {
                break;
            };
            let packet = buffer.get(..length).unwrap_or_default();
            if !heard && arrival(path.family, packet).is_some_and(is_answer) {
                watch.arrived = from
                    .as_link_addr()
                    .and_then(|from| u32::try_from(from.ifindex()).ok());
            }
        }
        before
    }

    /// Something has reached us.
    pub(super) fn heard(&mut self, path: PathId) {
        if let Some(watch) = self.open.iter_mut().find(|watch| watch.path == path) {
            (watch.arrived, watch.heard) = (None, true);
        }
    }

    /// Watches only these paths.
    pub(super) fn keep(&mut self, is_kept: &dyn Fn(PathId) -> bool) {
        keep_only(&mut self.open, &|watch| is_kept(watch.path));
    }
}

impl Watch {
    fn attach(&self) -> Result<(), Errno> {
        let (socket, family) = (self.socket.as_fd(), self.path.family);
        bpf::attach_arrivals(socket, family, self.identifiers, &self.servers)
    }
}

/// Reads the source, and whether it is ICMP: the filter has seen to the rest.
fn arrival(family: Family, packet: &[u8]) -> Option<Arrival<'_>> {
    let (protocol, source, message): (u8, IpAddr, _) = match family {
        Family::V4 => {
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            (*packet.get(9)?, source.into(), packet)
        }
        Family::V6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            (*packet.get(6)?, source.into(), packet.get(40..)?)
        }
    };
    Some(match protocol == bpf::icmp(family) {
        true => Arrival::Echo(message, source),
        false => Arrival::Session,
    })
}
