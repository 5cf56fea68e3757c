//! A server that answers pings in place of the kernel.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, SockaddrStorage, bind,
    recvfrom, sendto, socket,
};

use super::super::topology::Provider;
use super::dns::checksum;
use super::{POLL_MS, Server, Shared};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// correctly
    Whole,
    /// after a delay
    Late(Duration),
    /// after a delay, every other time
    Alternating(Duration),
    /// without so many bytes at the end
    CutShort(usize),
    /// with extra bytes
    Longer,
    /// with one flipped bit in the last byte
    Flipped,
    /// with an ICMP error, by its codes for IPv4 and IPv6; then it answers, or not
    Unreachable(u8, u8, bool),
}

/// A ping server. A request is the number of bytes after the ICMP header.
pub type EchoServer = Server<Behaviour, usize>;

impl EchoServer {
    /// Starts at an address behind a provider, whose kernel stops answering pings.
    pub fn start(provider: &Provider, address: IpAddr, behaviour: Behaviour) -> EchoServer {
        provider.server.sysctls(&[
            ("ipv4/icmp_echo_ignore_all", 1),
            ("ipv6/icmp/echo_ignore_all", 1),
        ]);
        let (domain, protocol) = match address {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let socket = provider.server.enter(|| {
            let socket = socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
                .expect("a process that can make namespaces is allowed to");
            let own = SockaddrStorage::from(SocketAddr::new(address, 0));
            bind(socket.as_raw_fd(), &own).expect("it is an address of this namespace");
            socket
        });
        Server::run(behaviour, move |shared| serve(&socket, address, shared))
    }
}

fn serve(socket: &OwnedFd, address: IpAddr, shared: &Shared<Behaviour, usize>) {
    let is_v4 = address.is_ipv4();
    let mut is_late = false;
    while shared.runs() {
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(POLL_MS)).unwrap_or(0) == 0 {
            continue;
        }
        let mut buffer = [0; 2048];
        let Ok((length, Some(from))) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), &mut buffer)
        else {
            continue;
        };
        // An IPv4 raw socket receives the IP header, an IPv6 one does not.
        let begin = if is_v4 {
            usize::from(buffer[0] & 15) * 4
        } else {
            0
        };
        let message = &buffer[begin..length];
        if message.first() != Some(&if is_v4 { 8 } else { 128 }) {
            continue;
        }
        shared.record(message.len() - 8);
        let mut answer = message.to_vec();
        answer[0] = if is_v4 { 0 } else { 129 };
        let mut delay = Duration::ZERO;
        match shared.behaviour() {
            Behaviour::Whole => {}
            Behaviour::Late(by) => delay = by,
            Behaviour::Alternating(by) => {
                is_late = !is_late;
                delay = if is_late { by } else { Duration::ZERO };
            }
            Behaviour::CutShort(by) => answer.truncate(message.len() - by),
            Behaviour::Longer => answer.extend([0; 16]),
            Behaviour::Flipped => {
                if let Some(last) = answer.last_mut() {
                    *last ^= 1;
                }
            }
            Behaviour::Unreachable(code_v4, code_v6, answers) => {
                let error = match (from_ip(&from), address) {
                    (IpAddr::V6(from), IpAddr::V6(to)) => {
                        let mut quoted = vec![0x60, 0, 0, 0];
                        quoted.extend(
                            u16::try_from(message.len())
                                .expect("it is short")
                                .to_be_bytes(),
                        );
                        quoted.extend([58, 60]);
                        quoted.extend(from.octets());
                        quoted.extend(to.octets());
                        quoted.extend(message);
                        [&[1, code_v6, 0, 0, 0, 0, 0, 0], &quoted[..]].concat()
                    }
                    _ => {
                        let mut error =
                            [&[3, code_v4, 0, 0, 0, 0, 0, 0], &buffer[..length]].concat();
                        let sum = checksum(&error);
                        error[2..4].copy_from_slice(&sum.to_be_bytes());
                        error
                    }
                };
                let to = without_port(from);
                let _ = sendto(socket.as_raw_fd(), &error, &to, MsgFlags::empty());
                if !answers {
                    continue;
                }
            }
        }
        if is_v4 {
            answer[2..4].fill(0);
            let sum = checksum(&answer);
            answer[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let socket = socket.try_clone().expect("there is room for a descriptor");
        let say = move || {
            thread::sleep(delay);
            let _ = sendto(
                socket.as_raw_fd(),
                &answer,
                &without_port(from),
                MsgFlags::empty(),
            );
        };
        match delay {
            Duration::ZERO => say(),
            _ => drop(thread::spawn(say)),
        }
    }
}

/// Raw sockets of IPv6 interpret the port as a protocol.
fn without_port(from: SockaddrStorage) -> SockaddrStorage {
    match from.family() {
        Some(AddressFamily::Inet6) => from.as_sockaddr_in6().map_or(from, |from| {
            SockaddrStorage::from(SocketAddr::new(from.ip().into(), 0))
        }),
        _ => from,
    }
}

fn from_ip(from: &SockaddrStorage) -> IpAddr {
    let v4 = from.as_sockaddr_in().map(|from| from.ip().into());
    let v6 = from.as_sockaddr_in6().map(|from| from.ip().into());
    v4.or(v6).expect("it came by IP")
}
