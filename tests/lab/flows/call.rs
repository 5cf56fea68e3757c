//! A call: datagrams in both directions, each of which is recorded, and a registration by which the server can ring. Both
//! ends know it by its number, not by addresses, as QUIC connections and calls are known.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::flow::{Datagram, LOST_AFTER, Moment};
use super::super::namespace::Namespace;
use super::super::{LIFETIME, wait_until};
use super::{MEDIA, MEDIA_EVERY, SIGNAL};

/// The address where a datagram came from, the socket that it came to, and the number of the server.
#[derive(Clone, Debug)]
struct Peer {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    number: u8,
}

/// What both ends know of a call.
#[derive(Debug)]
struct Known {
    start: Instant,
    /// from the phone to the server
    up: Mutex<Vec<Datagram>>,
    /// from the server to the phone
    down: Mutex<Vec<Datagram>>,
    /// where the server sends to: where the latest datagram came from
    media: Mutex<Option<Peer>>,
    /// where the server rings
    contact: Mutex<Option<Peer>>,
    /// whether the server sends
    speaks: AtomicBool,
    stop: AtomicBool,
}

/// Every call that runs: all servers are one.
static CALLS: Mutex<BTreeMap<u32, Arc<Known>>> = Mutex::new(BTreeMap::new());
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A running call.
#[derive(Debug)]
pub struct Call {
    id: u32,
    known: Arc<Known>,
    signal: UdpSocket,
    threads: Vec<JoinHandle<()>>,
}

impl Call {
    /// Starts in a namespace, to the servers at this address.
    pub fn start(from: &Namespace, to: IpAddr) -> Call {
        Call::start_at(from, (to, MEDIA).into(), (to, SIGNAL).into())
    }

    /// The same with any ports, as forwarded ones.
    pub fn start_at(from: &Namespace, media: SocketAddr, signal: SocketAddr) -> Call {
        let id = NUMBER.fetch_add(1, Ordering::Relaxed);
        let known = Arc::new(Known {
            start: Instant::now(),
            up: Mutex::default(),
            down: Mutex::default(),
            media: Mutex::default(),
            contact: Mutex::default(),
            speaks: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        calls().insert(id, Arc::clone(&known));
        let socket = open(from, media);
        let ears = socket.try_clone().expect("there is room for a descriptor");
        let speak = {
            let known = Arc::clone(&known);
            thread::spawn(move || {
                send_all(&known, &known.up, |number| {
                    let _ = socket.send(&message(id, number, 0));
                });
            })
        };
        let listen = {
            let known = Arc::clone(&known);
            thread::spawn(move || listen(&ears, id, &known))
        };
        Call {
            id,
            known,
            signal: open(from, signal),
            threads: vec![speak, listen],
        }
    }

    /// The current moment.
    pub fn now(&self) -> Moment {
        self.known.start.elapsed()
    }

    /// Registers, and tells the number of the server that confirmed it; none without an answer.
    pub fn register(&self) -> Option<u8> {
        let mut answer = [0; 9];
        for _ in 0..5 {
            let _ = self.signal.send(&message(self.id, 0, 0));
            if let Ok(9) = self.signal.recv(&mut answer) {
                return Some(answer[8]);
            }
        }
        None
    }

    /// Whether the phone hears it when the server rings at the address of the registration.
    pub fn rings(&self) -> bool {
        let contact = locked(&self.known.contact).clone();
        let Some(peer) = contact else {
            return false;
        };
        let _ = peer.socket.send_to(b"ring", peer.address);
        let mut heard = [0; 9];
        // Late answers to registrations may precede it.
        loop {
            match self.signal.recv(&mut heard) {
                Ok(4) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Numbers of lost datagrams, to the server and from it.
    pub fn lost(&self, since: Moment) -> [usize; 2] {
        let now = self.now();
        [&self.known.up, &self.known.down].map(|way| {
            let all = locked(way);
            let old = |d: &&Datagram| d.sent >= since && d.sent + LOST_AFTER < now;
            all.iter()
                .filter(old)
                .filter(|d| d.answer.is_none())
                .count()
        })
    }

    /// Waits until datagrams in both directions pass by the server of this number, and only there. False on timeout.
    pub fn goes_by(&self, number: u8, timeout: Duration) -> bool {
        wait_until(timeout, || {
            [&self.known.up, &self.known.down].into_iter().all(|way| {
                let all = locked(way);
                let mut latest = all.iter().rev().filter_map(|d| d.answer);
                (0..5).all(|_| {
                    latest
                        .next()
                        .is_some_and(|(at, by)| by == number && self.now() - at < 4 * LOST_AFTER)
                })
            })
        })
    }

    /// Whether all datagrams since then passed by this server.
    pub fn went_only_by(&self, number: u8, since: Moment) -> bool {
        [&self.known.up, &self.known.down].into_iter().all(|way| {
            let all = locked(way);
            let since = all.iter().filter(|d| d.sent >= since);
            since.filter_map(|d| d.answer).all(|(_, by)| by == number)
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.known.stop.store(true, Ordering::Relaxed);
        calls().remove(&self.id);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn calls() -> MutexGuard<'static, BTreeMap<u32, Arc<Known>>> {
    locked(&CALLS)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while holding it")
}

fn open(from: &Namespace, to: SocketAddr) -> UdpSocket {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    from.enter(|| {
        let socket = UdpSocket::bind(any).expect("a port is free");
        let set = socket.connect(to);
        set.and_then(|()| socket.set_read_timeout(Some(Duration::from_millis(200))))
            .expect("there is a route");
        socket
    })
}

/// The call, the number of the datagram, the number of the server.
fn message(id: u32, number: u32, server: u8) -> [u8; 9] {
    let mut bytes = [0; 9];
    bytes[..4].copy_from_slice(&id.to_be_bytes());
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    bytes[8] = server;
    bytes
}

fn parsed(bytes: [u8; 9]) -> (u32, usize, u8) {
    let [a, b, c, d, e, f, g, h, server] = bytes;
    let number = u32::from_be_bytes([e, f, g, h]);
    (u32::from_be_bytes([a, b, c, d]), number as usize, server)
}

/// Sends by the schedule until the call ends; datagrams that are overdue are left out.
fn send_all(known: &Known, way: &Mutex<Vec<Datagram>>, mut send: impl FnMut(u32)) {
    let start = known.start;
    let mut due = start.elapsed();
    while !known.stop.load(Ordering::Relaxed) && due < LIFETIME {
        thread::sleep(due.saturating_sub(start.elapsed()));
        let number = {
            let mut all = locked(way);
            let sent = start.elapsed();
            all.push(Datagram { sent, answer: None });
            due = (due + MEDIA_EVERY).max(sent);
            u32::try_from(all.len() - 1).expect("it ends long before")
        };
        send(number);
    }
}

fn received(known: &Known, way: &Mutex<Vec<Datagram>>, number: usize, by: u8) {
    let at = known.start.elapsed();
    if let Some(datagram) = locked(way).get_mut(number) {
        datagram.answer.get_or_insert((at, by));
    }
}

/// The phone's end.
fn listen(socket: &UdpSocket, id: u32, known: &Known) {
    let mut bytes = [0; 9];
    while !known.stop.load(Ordering::Relaxed) && known.start.elapsed() < LIFETIME {
        if let Ok(9) = socket.recv(&mut bytes) {
            let (of, number, by) = parsed(bytes);
            if of == id {
                received(known, &known.down, number, by);
            }
        }
    }
}

/// The server's end: everything that has arrived at one of its sockets.
pub(super) fn hear(socket: &Arc<UdpSocket>, server: u8) {
    let mut bytes = [0; 9];
    while let Ok((length, address)) = socket.recv_from(&mut bytes) {
        let (id, number, _) = parsed(bytes);
        let call = calls().get(&id).cloned();
        let (Some(known), 9) = (call, length) else {
            continue;
        };
        let peer = Peer {
            socket: Arc::clone(socket),
            address,
            number: server,
        };
        let is_signal = socket.local_addr().is_ok_and(|own| own.port() == SIGNAL);
        if is_signal {
            *locked(&known.contact) = Some(peer);
            let _ = socket.send_to(&message(id, 0, server), address);
            continue;
        }
        received(&known, &known.up, number, server);
        *locked(&known.media) = Some(peer);
        if !known.speaks.swap(true, Ordering::Relaxed) {
            thread::spawn(move || speak(id, &known));
        }
    }
}

/// The server sends to where the latest datagram came from.
fn speak(id: u32, known: &Known) {
    send_all(known, &known.down, |number| {
        if let Some(peer) = &*locked(&known.media) {
            let _ = peer
                .socket
                .send_to(&message(id, number, peer.number), peer.address);
        }
    });
}
