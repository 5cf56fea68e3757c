//! The packet sockets for ARP and neighbour discovery, one per path and protocol: an IPv4 path may have an IPv6 gateway
//! (RFC 8950). They work below IP, so they need no address of ours.

use core::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socket};

use super::super::errno::fault;
use super::super::ffi;
use super::bpf;
use super::keep_only;
use crate::limits::{PATH_CHECKS_MAX, PATHS_MAX};
use crate::types::{Duration, Family, Fault, Instant, PathId, Round};
use crate::wire::neighbour::{self, ANSWER_MAX, Asker};

/// The packet sockets. All zero bytes when new.
#[derive(Debug, Default)]
pub struct Neighbours {
    sockets: Vec<PacketSocket, PATHS_MAX>,
}

/// A path's packet socket for one protocol.
#[derive(Debug)]
struct PacketSocket {
    path: PathId,
    /// the family of the neighbours
    family: Family,
    socket: OwnedFd,
    device: u32,
    asker: Asker,
    /// The last unanswered request of each check: an answer does not say which request it answers.
    asked: [Option<(Round, Instant)>; PATH_CHECKS_MAX],
}

impl Neighbours {
    /// No sockets.
    pub const fn new() -> Neighbours {
        Neighbours {
            sockets: Vec::new(),
        }
    }

    /// Opens a path's socket for neighbours of a family, on a device, given by its index; `own` is the path's address there,
    /// if it has one.
    pub fn bind(
        &mut self,
        path: PathId,
        family: Family,
        device: u32,
        own: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let (socket, link) = open(family, device).map_err(fault)?;
        let socket = PacketSocket {
            path,
            family,
            socket,
            device,
            asker: Asker {
                link: link.ok_or(Fault::NoNeighbours)?,
                own,
            },
            asked: [None; PATH_CHECKS_MAX],
        };
        self.sockets.push(socket).map_err(|_| Fault::NoBuffers)
    }

    /// Closes a path's sockets.
    pub fn close(&mut self, path: PathId) {
        keep_only(&mut self.sockets, &|socket| socket.path != path);
    }

    /// The file descriptor to poll; none if the path has no socket for this family.
    pub fn fd(&self, path: PathId, family: Family) -> Option<BorrowedFd<'_>> {
        let socket = self.of(path).find(|socket| socket.family == family)?;
        Some(socket.socket.as_fd())
    }

    /// Sends a request for the neighbour with this address.
    pub fn send(
        &mut self,
        path: PathId,
        check: u8,
        target: IpAddr,
        round: Round,
        now: Instant,
    ) -> Result<(), Fault> {
        let socket = self.socket(path, Family::of(target));
        let socket = socket.ok_or(Fault::NoDevice)?;
        let question = neighbour::question(&socket.asker, target);
        let to = ffi::LinkLayer {
            device: socket.device,
            protocol: protocol(socket.family),
            address: question.to,
        };
        ffi::send_to_link(socket.socket.as_fd(), &to, question.bytes()).map_err(fault)?;
        if let Some(asked) = socket.asked.get_mut(usize::from(check)) {
            *asked = Some((round, now));
        }
        Ok(())
    }

    /// Reads one message; none if nothing is there. The inner value is the address of the neighbour that answers, if the
    /// message is an answer.
    pub fn receive(&mut self, path: PathId) -> Option<Option<IpAddr>> {
        let mut buffer = [0; ANSWER_MAX];
        self.of(path).find_map(|socket| {
            let fd = socket.socket.as_raw_fd();
            let length = recv(fd, &mut buffer, MsgFlags::empty()).ok()?;
            let message = buffer.get(..length)?;
            Some(neighbour::answer(socket.family, &socket.asker, message))
        })
    }

    /// Takes the open request of a check that is answered now by a neighbour of this family, and its round-trip time; none
    /// if no request is open.
    pub fn answered(
        &mut self,
        path: PathId,
        family: Family,
        check: u8,
        now: Instant,
    ) -> Option<(Round, Duration)> {
        let socket = self.socket(path, family)?;
        let (round, at) = socket.asked.get_mut(usize::from(check))?.take()?;
        Some((round, now.max(at) - at))
    }

    fn socket(&mut self, path: PathId, family: Family) -> Option<&mut PacketSocket> {
        let mut sockets = self.sockets.iter_mut();
        sockets.find(|socket| (socket.path, socket.family) == (path, family))
    }

    fn of(&self, path: PathId) -> impl Iterator<Item = &PacketSocket> {
        self.sockets
            .iter()
            .filter(move |socket| socket.path == path)
    }
}

/// The EtherType of the messages (linux/if_ether.h).
fn protocol(family: Family) -> u16 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // both have 16 bits
    match family {
        Family::V4 => libc::ETH_P_ARP as u16,
        Family::V6 => libc::ETH_P_IPV6 as u16,
    }
}

/// A socket that receives answers only, and the device's address, if it is an Ethernet device.
fn open(family: Family, device: u32) -> Result<(OwnedFd, Option<[u8; 6]>), Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    // Without a protocol the socket receives nothing until the filter is attached.
    let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, None)?;
    bpf::attach_neighbours(socket.as_fd(), family)?;
    let link = ffi::bind_to_link(socket.as_fd(), device, protocol(family))?;
    Ok((socket, link))
}
