//! Traffic as users have it, and what they notice of it. Each flow runs in a thread, records what it meets, and ends when
//! it is dropped.
//!
//! | flow | what it is |
//! |---|---|
//! | [`Transfer`] | a TCP download or upload at a steady rate |
//! | [`Session`] | a TCP connection that is idle but for a line every now and then, as SSH |
//! | [`super::Flow`] | datagrams with answers, as games or DNS |
//! | [`Call`] | a registration, and datagrams in both directions, as SIP and RTP; QUIC is the same without the registration |
//!
//! The servers are [`Services`]: behind each provider, on the LAN host, or on the router. One server on the Internet is
//! one here, too: a call that moves to another provider is known there.

mod call;
mod tcp;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::LIFETIME;
use super::namespace::Namespace;
use super::topology::{Lab, TARGETS_V4, TARGETS_V6};

pub use call::Call;
pub use tcp::{End, Session, Transfer};

/// TCP: sends at a steady rate.
pub const DOWNLOAD: u16 = 19;
/// TCP: takes all, and sends one byte for each piece.
pub const UPLOAD: u16 = 9;
/// TCP: answers each line.
pub const LINES: u16 = 22;
/// UDP: calls.
pub const MEDIA: u16 = 5004;
/// UDP: registrations of calls.
pub const SIGNAL: u16 = 5060;
/// What is forwarded to the LAN host where a test forwards ports.
pub const ALL: [u16; 5] = [DOWNLOAD, UPLOAD, LINES, MEDIA, SIGNAL];

/// A transfer's piece, and the time between two.
pub(super) const PIECE: [u8; 1200] = [b'.'; 1200];
/// See [`PIECE`].
pub(super) const EVERY: Duration = Duration::from_millis(4);
/// The time between two datagrams of a call, in each direction.
pub(super) const MEDIA_EVERY: Duration = Duration::from_millis(10);

/// Servers in one namespace, which tell a number to their clients; they stop when this is dropped.
#[derive(Debug)]
pub struct Services {
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Services {
    /// Behind each provider, at its first targets; they tell the provider's number.
    pub fn everywhere(lab: &Lab) -> Vec<Services> {
        let targets: [IpAddr; 2] = [TARGETS_V4[0].into(), TARGETS_V6[0].into()];
        let of = |provider: &super::topology::Provider| {
            let number = u8::try_from(provider.number).expect("64 at most");
            Services::start(&provider.server, &targets, number)
        };
        lab.providers.iter().map(of).collect()
    }

    /// At these addresses of a namespace.
    pub fn start(namespace: &Namespace, addresses: &[IpAddr], number: u8) -> Services {
        let (stop, addresses) = (Arc::new(AtomicBool::new(false)), addresses.to_vec());
        let (tcp, udp) = namespace.enter(move || {
            let all = |ports: &[u16]| -> Vec<SocketAddr> {
                let at = |port: u16| addresses.iter().map(move |a| (*a, port).into());
                ports.iter().copied().flat_map(at).collect()
            };
            let listen = |a: SocketAddr| TcpListener::bind(a).expect("the port is free");
            let open = |a: SocketAddr| Arc::new(UdpSocket::bind(a).expect("the port is free"));
            let tcp: Vec<_> = all(&[DOWNLOAD, UPLOAD, LINES]);
            let udp: Vec<_> = all(&[MEDIA, SIGNAL]);
            let tcp: Vec<TcpListener> = tcp.into_iter().map(listen).collect();
            let udp: Vec<Arc<UdpSocket>> = udp.into_iter().map(open).collect();
            (tcp, udp)
        });
        for listener in &tcp {
            listener.set_nonblocking(true).expect("it is a socket");
        }
        for socket in &udp {
            socket.set_nonblocking(true).expect("it is a socket");
        }
        let asked = Arc::clone(&stop);
        let server = thread::spawn(move || serve(&tcp, &udp, number, &asked));
        Services {
            stop,
            server: Some(server),
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn serve(tcp: &[TcpListener], udp: &[Arc<UdpSocket>], number: u8, stop: &Arc<AtomicBool>) {
    let end = Instant::now() + LIFETIME;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        let sockets = tcp.iter().map(AsFd::as_fd);
        let sockets = sockets.chain(udp.iter().map(|socket| socket.as_fd()));
        let mut waiting: Vec<PollFd> = sockets
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let _ = poll(&mut waiting, PollTimeout::from(50_u8));
        for listener in tcp {
            let port = listener.local_addr().map_or(0, |address| address.port());
            while let Ok((stream, _)) = listener.accept() {
                let stop = Arc::clone(stop);
                // It ends with the connection, or soon after the servers.
                thread::spawn(move || attend(stream, port, number, &stop));
            }
        }
        for socket in udp {
            call::hear(socket, number);
        }
    }
}

/// The first byte tells the number.
fn attend(mut stream: TcpStream, port: u16, number: u8, stop: &AtomicBool) -> Option<()> {
    stream.set_nonblocking(false).ok()?;
    stream.set_nodelay(true).ok()?;
    let patience = Some(Duration::from_millis(50));
    stream.set_read_timeout(patience).ok()?;
    stream.write_all(&[number]).ok()?;
    let end = Instant::now() + LIFETIME;
    let runs = || !stop.load(Ordering::Relaxed) && Instant::now() < end;
    match port {
        DOWNLOAD => {
            stream.set_write_timeout(patience).ok()?;
            while runs() {
                go_on(stream.write(&PIECE))?;
                thread::sleep(EVERY);
            }
        }
        UPLOAD => {
            let mut buffer = [0; 4096];
            while runs() {
                if go_on(stream.read(&mut buffer))? {
                    stream.write_all(&[number]).ok()?;
                }
            }
        }
        _ => {
            let mut lines = BufReader::new(stream.try_clone().ok()?);
            let mut line = String::new();
            while runs() {
                if go_on(lines.read_line(&mut line))? {
                    stream.write_all(&[number]).ok()?;
                }
            }
        }
    }
    None
}

/// Whether something was moved; none at the end of the connection.
fn go_on(moved: std::io::Result<usize>) -> Option<bool> {
    match moved {
        Ok(0) => None,
        Ok(_) => Some(true),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(false),
        Err(_) => None,
    }
}
