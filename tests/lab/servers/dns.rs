//! A DNS server with configurable behaviour.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, sendto,
    socket,
};

use super::super::topology::Provider;
use super::{POLL_MS, Server, Shared};

/// The port of DNS servers.
pub const PORT: u16 = 53;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// with this address, and a TTL in seconds
    Right(IpAddr, u32),
    /// with this address, by busy polling, so that it is fast
    Busy(IpAddr),
    /// with this address, for another name
    OfOther(IpAddr),
    /// with this address, after a delay
    Late(IpAddr, Duration),
    /// with an RCODE
    Rcode(u8),
    /// without a record
    Empty,
    /// with another ID
    WrongId(IpAddr),
    /// to a question for another name
    WrongQuestion(IpAddr),
    /// with a query instead of an answer
    Query,
    /// from its second address
    FromElsewhere(IpAddr),
    /// from another port
    FromOtherPort(IpAddr),
    /// by way of another provider
    ByOtherPath(IpAddr),
    /// with all of the wrong answers, and then the right one
    ForgedThenRight(IpAddr),
    /// with an ICMP error, by its codes for IPv4 and IPv6; then with this address, or not
    Unreachable(u8, u8, Option<IpAddr>),
    /// with a truncated answer
    CutShort(IpAddr),
    /// with garbage
    Garbage,
    /// not at all
    Silent,
    /// not once, then with this address
    DeafOnce(IpAddr),
    /// its port is closed
    Gone,
}

/// One query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// the name asked for
    pub name: String,
    /// the client
    pub from: SocketAddr,
    /// when
    pub at: Instant,
}

/// A DNS server.
pub type DnsServer = Server<Behaviour, Query>;

type Its = Shared<Behaviour, Query>;

/// Its sockets.
struct Sockets {
    address: SocketAddr,
    usual: Option<UdpSocket>,
    elsewhere: UdpSocket,
    other_port: UdpSocket,
    other_path: Option<UdpSocket>,
    icmp: OwnedFd,
}

impl DnsServer {
    /// Starts at an address behind a provider; `elsewhere` is its second address, and another provider its second path.
    pub fn start(
        provider: &Provider,
        address: IpAddr,
        elsewhere: IpAddr,
        other: Option<&Provider>,
        behaviour: Behaviour,
    ) -> DnsServer {
        let bound = |address, port| UdpSocket::bind((address, port)).expect("the port is free");
        let address = SocketAddr::new(address, PORT);
        let other_path = other.map(|other| other.server.enter(|| bound(address.ip(), PORT)));
        let (namespace_file, sockets) = provider.server.enter(|| {
            let sockets = Sockets {
                address,
                usual: None,
                elsewhere: bound(elsewhere, PORT),
                other_port: bound(address.ip(), 5300),
                other_path,
                icmp: icmp(address.ip()),
            };
            let file = std::fs::File::open("/proc/thread-self/ns/net");
            (file.expect("it is ours"), sockets)
        });
        Server::run(behaviour, move |shared| {
            nix::sched::setns(namespace_file, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("the namespace is held open");
            serve(sockets, shared);
        })
    }
}

/// A raw socket that sends the ICMP errors of routers.
fn icmp(address: IpAddr) -> OwnedFd {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let socket = socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
        .expect("a process that can make namespaces is allowed to");
    let own = SockaddrStorage::from(SocketAddr::new(address, 0));
    bind(socket.as_raw_fd(), &own).expect("it is an address of this namespace");
    socket
}

fn serve(mut sockets: Sockets, shared: &Its) {
    let mut deaf = false;
    while shared.runs() {
        let behaviour = shared.behaviour();
        if behaviour == Behaviour::Gone {
            sockets.usual = None;
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let address = sockets.address;
        let usual = sockets
            .usual
            .get_or_insert_with(|| UdpSocket::bind(address).expect("the port is free"));
        let mut fds = [PollFd::new(usual.as_fd(), PollFlags::POLLIN)];
        let nap = match behaviour {
            Behaviour::Busy(_) => 0,
            _ => POLL_MS,
        };
        if poll(&mut fds, PollTimeout::from(nap)).unwrap_or(0) == 0 {
            continue;
        }
        let mut buffer = [0; 512];
        let Ok((length, from)) = usual.recv_from(&mut buffer) else {
            continue; // an ICMP error for an answer
        };
        let query = &buffer[..length];
        shared.record(Query {
            name: name(query),
            from,
            at: Instant::now(),
        });
        // The behaviour may have changed meanwhile.
        let behaviour = shared.behaviour();
        if let (Behaviour::DeafOnce(_), false) = (behaviour, deaf) {
            deaf = true;
            continue;
        }
        deaf &= matches!(behaviour, Behaviour::DeafOnce(_));
        sockets.answer(behaviour, query, from);
    }
}

impl Sockets {
    fn answer(&self, behaviour: Behaviour, query: &[u8], from: SocketAddr) {
        let say = |message: &[u8]| {
            let usual = self.usual.as_ref().expect("the query arrived by it");
            let _ = usual.send_to(message, from);
        };
        match behaviour {
            Behaviour::Right(address, ttl) => say(&answer(query, Some(address), ttl)),
            Behaviour::Busy(address) => say(&answer(query, Some(address), 60)),
            Behaviour::OfOther(address) => {
                let mut message = answer(query, Some(address), 3600);
                // The record's owner points to the question's name: now to the name after its first label.
                let first = usize::from(query[12]) + 1;
                message[query.len() + 1] += u8::try_from(first).expect("labels are short");
                say(&message);
            }
            Behaviour::DeafOnce(address) => say(&answer(query, Some(address), 60)),
            Behaviour::Late(address, delay) => {
                let usual = self.usual.as_ref().expect("the query arrived by it");
                let usual = usual.try_clone().expect("there is room for a descriptor");
                let message = answer(query, Some(address), 60);
                thread::spawn(move || {
                    thread::sleep(delay);
                    let _ = usual.send_to(&message, from);
                });
            }
            Behaviour::Rcode(rcode) => {
                let mut message = answer(query, None, 0);
                message[3] = 0x80 | rcode;
                say(&message);
            }
            Behaviour::Empty => say(&answer(query, None, 0)),
            Behaviour::WrongId(address) => say(&of_wrong_id(query, address)),
            Behaviour::WrongQuestion(address) => say(&to_wrong_question(query, address)),
            Behaviour::Query => say(query),
            Behaviour::FromElsewhere(address) => {
                let _ = self
                    .elsewhere
                    .send_to(&answer(query, Some(address), 60), from);
            }
            Behaviour::FromOtherPort(address) => {
                let _ = self
                    .other_port
                    .send_to(&answer(query, Some(address), 60), from);
            }
            Behaviour::ByOtherPath(address) => {
                let other = self.other_path.as_ref().expect("it was given one");
                let _ = other.send_to(&answer(query, Some(address), 60), from);
            }
            Behaviour::ForgedThenRight(address) => {
                for behaviour in [
                    Behaviour::FromElsewhere(address),
                    Behaviour::FromOtherPort(address),
                    Behaviour::WrongId(address),
                    Behaviour::WrongQuestion(address),
                    Behaviour::Query,
                    Behaviour::Garbage,
                    Behaviour::Right(address, 60),
                ] {
                    self.answer(behaviour, query, from);
                }
            }
            Behaviour::Unreachable(code_v4, code_v6, then) => {
                self.unreachable(code_v4, code_v6, query.len(), from);
                if let Some(address) = then {
                    // So that the ICMP error arrives first.
                    self.answer(
                        Behaviour::Late(address, Duration::from_millis(20)),
                        query,
                        from,
                    );
                }
            }
            Behaviour::CutShort(address) => {
                let whole = answer(query, Some(address), 60);
                say(&whole[..whole.len() - 3]);
            }
            Behaviour::Garbage => {
                say(b"\xff\x00\xaa\x55\xff\x00\xaa\x55\xff\x00\xaa\x55\xff\x00\xaa\x55")
            }
            Behaviour::Silent | Behaviour::Gone => {}
        }
    }

    /// Sends "destination unreachable" for a query, and quotes it (RFC 792, RFC 4443).
    fn unreachable(&self, code_v4: u8, code_v6: u8, length: usize, from: SocketAddr) {
        let udp_length = u16::try_from(8 + length).expect("a query is short");
        let mut udp = Vec::new();
        udp.extend(from.port().to_be_bytes());
        udp.extend(PORT.to_be_bytes());
        udp.extend(udp_length.to_be_bytes());
        udp.extend([0, 0]);
        let mut message = match (from.ip(), self.address.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut message = vec![3, code_v4, 0, 0, 0, 0, 0, 0];
                message.extend([0x45, 0]);
                message.extend((20 + udp_length).to_be_bytes());
                message.extend([0, 0, 0, 0, 60, 17, 0, 0]);
                message.extend(from.octets());
                message.extend(to.octets());
                message
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let mut message = vec![1, code_v6, 0, 0, 0, 0, 0, 0];
                message.extend([0x60, 0, 0, 0]);
                message.extend(udp_length.to_be_bytes());
                message.extend([17, 60]);
                message.extend(from.octets());
                message.extend(to.octets());
                message
            }
            _ => return,
        };
        message.extend(udp);
        if from.is_ipv4() {
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let to = SockaddrStorage::from(SocketAddr::new(from.ip(), 0));
        let _ = sendto(self.icmp.as_raw_fd(), &message, &to, MsgFlags::empty());
    }
}

/// RFC 1071.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded")
}

/// The answer to a query: with an address of the query's type, if that fits.
fn answer(query: &[u8], address: Option<IpAddr>, ttl: u32) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2] |= 0x80; // it is an answer
    message[3] = 0x80; // recursion is available
    let Some(address) = address else {
        return message;
    };
    message[7] = 1;
    let (kind, octets) = match address {
        IpAddr::V4(address) => (1_u16, address.octets().to_vec()),
        IpAddr::V6(address) => (28, address.octets().to_vec()),
    };
    message.extend([0xc0, 0x0c]); // of the question's name
    message.extend(kind.to_be_bytes());
    message.extend(1_u16.to_be_bytes());
    message.extend(ttl.to_be_bytes());
    message.extend(u16::try_from(octets.len()).expect("4 or 16").to_be_bytes());
    message.extend(octets);
    message
}

fn of_wrong_id(query: &[u8], address: IpAddr) -> Vec<u8> {
    let mut message = answer(query, Some(address), 60);
    message[1] ^= 1;
    message
}

fn to_wrong_question(query: &[u8], address: IpAddr) -> Vec<u8> {
    let mut message = answer(query, Some(address), 60);
    message[13] ^= 1; // the first letter of the first label
    message
}

/// The name that a query asks for.
fn name(query: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = query.get(12..).unwrap_or_default();
    while let Some((length, behind)) = rest.split_first().filter(|(length, _)| **length != 0) {
        let Some((label, behind)) = behind.split_at_checked(usize::from(*length)) else {
            break;
        };
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = behind;
    }
    labels.join(".")
}
