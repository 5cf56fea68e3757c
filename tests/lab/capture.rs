//! Captures the packets of all devices of a namespace, in both directions, like `tcpdump -i any`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};

use super::namespace::Namespace;

/// Receive buffer, in bytes.
const ROOM: usize = 64 << 20;

/// One packet, without its link header.
#[derive(Clone, Debug)]
pub struct Packet {
    /// the index of its device
    pub device: usize,
    /// whether it was sent; else it was received
    pub outgoing: bool,
    /// when it was read from the capture, not when it was sent: for order only
    pub read_at: Instant,
    /// whether it is an ARP message
    pub is_arp: bool,
    /// its bytes
    pub bytes: Vec<u8>,
}

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
    packets: Vec<Packet>,
}

/// The index of a device.
pub fn index(namespace: &Namespace, device: &str) -> usize {
    let index = namespace.enter(|| nix::net::if_::if_nametoindex(device));
    index.expect("there is such a device") as usize
}

impl Capture {
    /// Starts a capture in this namespace.
    pub fn start(namespace: &Namespace) -> Capture {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = namespace.enter(|| {
            socket(
                AddressFamily::Packet,
                SockType::Datagram,
                flags,
                SockProtocol::EthAll,
            )
        });
        let socket = socket.expect("a process that can make namespaces is allowed to");
        setsockopt(&socket, sockopt::RcvBufForce, &ROOM)
            .expect("a process that can make namespaces is allowed to");
        Capture {
            socket,
            packets: Vec::new(),
        }
    }

    /// All packets so far.
    pub fn packets(&mut self) -> &[Packet] {
        let arp = u16::try_from(libc::ETH_P_ARP).expect("it has 16 bits");
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
            let from = from.expect("a packet has a device");
            self.packets.push(Packet {
                device: from.ifindex(),
                outgoing: from.pkttype() == libc::PACKET_OUTGOING,
                read_at: Instant::now(),
                is_arp: from.protocol() == arp.to_be(),
                bytes: buffer[..length].to_vec(),
            });
        }
        &self.packets
    }

    /// Discards all packets so far.
    pub fn clear(&mut self) {
        self.packets();
        self.packets.clear();
    }
}

/// Flags of a TCP header.
pub mod flag {
    #![allow(missing_docs)]
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
}

impl Packet {
    /// 4 or 6; 0 when it is no IP packet.
    pub fn version(&self) -> u8 {
        match self.is_arp {
            true => 0,
            false => self.bytes.first().map_or(0, |byte| byte >> 4),
        }
    }

    fn header_len(&self) -> usize {
        match self.version() {
            4 => usize::from(self.bytes[0] & 15) * 4,
            _ => 40,
        }
    }

    /// TCP is 6, UDP 17, ICMP 1, and 58 for IPv6.
    pub fn protocol(&self) -> u8 {
        match self.version() {
            4 => self.bytes[9],
            6 => self.bytes[6],
            _ => 0,
        }
    }

    /// Time to live, or hop limit.
    pub fn ttl(&self) -> u8 {
        match self.version() {
            4 => self.bytes[8],
            _ => self.bytes[7],
        }
    }

    /// Type of service, or traffic class.
    pub fn tos(&self) -> u8 {
        match self.version() {
            4 => self.bytes[1],
            _ => (self.bytes[0] & 15) << 4 | self.bytes[1] >> 4,
        }
    }

    /// The bytes after the IP header.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.header_len()..).unwrap_or_default()
    }

    /// The total length in the header: of long packets that the kernel has merged, not all bytes are kept.
    pub fn length(&self) -> usize {
        let [place, more] = if self.version() == 4 { [2, 0] } else { [4, 40] };
        let length = self.bytes.get(place..place + 2);
        let length = length.and_then(|bytes| bytes.try_into().ok());
        length.map_or(0, |bytes| usize::from(u16::from_be_bytes(bytes)) + more)
    }

    fn address(&self, place_v4: usize, place_v6: usize) -> Option<IpAddr> {
        match self.version() {
            4 => {
                let octets: [u8; 4] = self.bytes.get(place_v4..place_v4 + 4)?.try_into().ok()?;
                Some(Ipv4Addr::from(octets).into())
            }
            6 => {
                let octets: [u8; 16] = self.bytes.get(place_v6..place_v6 + 16)?.try_into().ok()?;
                Some(Ipv6Addr::from(octets).into())
            }
            _ => None,
        }
    }

    /// The source address.
    pub fn source(&self) -> Option<IpAddr> {
        self.address(12, 8)
    }

    /// The destination address.
    pub fn destination(&self) -> Option<IpAddr> {
        self.address(16, 24)
    }

    fn port(&self, place: usize) -> Option<u16> {
        if !matches!(self.protocol(), 6 | 17) {
            return None;
        }
        let bytes = self.payload().get(place..place + 2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// The same with its port, if it is TCP or UDP.
    pub fn from(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.source()?, self.port(0)?))
    }

    /// The same with its port, if it is TCP or UDP.
    pub fn to(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.destination()?, self.port(2)?))
    }

    /// Whether it is a TCP segment with any of these flags.
    pub fn has_flags(&self, flags: u8) -> bool {
        self.protocol() == 6 && self.payload().get(13).is_some_and(|bits| bits & flags != 0)
    }

    /// Whether it is an echo request.
    pub fn is_ping(&self) -> bool {
        matches!(
            (self.protocol(), self.payload().first()),
            (1, Some(8)) | (58, Some(128))
        )
    }

    /// Whether it is an ARP request or a neighbour solicitation.
    pub fn is_neighbour_request(&self) -> bool {
        match self.is_arp {
            true => self.bytes.get(7) == Some(&1),
            false => (self.protocol(), self.payload().first()) == (58, Some(&135)),
        }
    }
}
