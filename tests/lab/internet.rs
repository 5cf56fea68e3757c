//! Echo servers (UDP and TCP, port 7 of every target) on the Internet side of each provider. An answer is the request plus
//! one byte: the number of the provider that carried it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::LIFETIME;
use super::topology::{Lab, Provider, TARGETS_V4, TARGETS_V6};

/// The echo service's port.
pub const PORT: u16 = 7;

/// The echo servers; they stop when this is dropped.
#[derive(Debug)]
pub struct Internet {
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

/// The service on one target behind one provider.
struct Service {
    provider: u8,
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Internet {
    /// Starts one thread that serves all of them.
    pub(super) fn start(lab: &Lab) -> Internet {
        let services: Vec<Service> = lab.providers.iter().flat_map(open).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let server = thread::spawn(move || serve(&services, &asked));
        Internet {
            stop,
            server: Some(server),
        }
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// The services behind one provider.
fn open(provider: &Provider) -> Vec<Service> {
    let number = u8::try_from(provider.number).expect("64 providers at most");
    let service = |target: IpAddr| {
        let address = SocketAddr::from((target, PORT));
        let udp = UdpSocket::bind(address).expect("the target is an address of this namespace");
        let tcp = TcpListener::bind(address).expect("the target is an address of this namespace");
        udp.set_nonblocking(true).expect("it is a socket");
        tcp.set_nonblocking(true).expect("it is a socket");
        Service {
            provider: number,
            udp,
            tcp,
        }
    };
    provider.server.enter(|| {
        let v4 = TARGETS_V4.into_iter().map(IpAddr::from);
        let v6 = TARGETS_V6.into_iter().map(IpAddr::from);
        v4.chain(v6).map(service).collect()
    })
}

fn serve(services: &[Service], stop: &AtomicBool) {
    let end = Instant::now() + LIFETIME;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        let sockets = services.iter().flat_map(|s| [s.udp.as_fd(), s.tcp.as_fd()]);
        let mut waiting: Vec<PollFd> = sockets
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let _ = poll(&mut waiting, PollTimeout::from(50_u8));
        let ready: Vec<bool> = waiting.iter().map(|fd| fd.any() == Some(true)).collect();
        for (service, ready) in services.iter().zip(ready.chunks(2)) {
            if ready[0] {
                answer_datagrams(service);
            }
            if ready[1] {
                accept(service);
            }
        }
    }
}

fn answer_datagrams(service: &Service) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = service.udp.recv_from(&mut buffer[..2047]) {
        buffer[length] = service.provider;
        let _ = service.udp.send_to(&buffer[..=length], from);
    }
}

/// Each connection gets a thread that ends with it, or after a second without data.
fn accept(service: &Service) {
    let number = service.provider;
    while let Ok((stream, _)) = service.tcp.accept() {
        thread::spawn(move || echo(stream, number));
    }
}

fn echo(mut stream: TcpStream, number: u8) -> Option<()> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let end = Instant::now() + LIFETIME;
    let mut buffer = [0; 2048];
    while Instant::now() < end {
        let length = stream
            .read(&mut buffer[..2047])
            .ok()
            .filter(|length| *length > 0)?;
        buffer[length] = number;
        stream.write_all(&buffer[..=length]).ok()?;
    }
    None
}
