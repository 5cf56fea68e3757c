//! A flow of datagrams from the LAN to a target and back, each of which is recorded: what a user behind the router notices.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::LIFETIME;
use super::internet::PORT;
use super::topology::Lab;

/// Default time between two datagrams.
pub const EVERY: Duration = Duration::from_millis(2);
/// A datagram without an answer for this long is lost; on these links an answer takes well below a millisecond.
pub const LOST_AFTER: Duration = Duration::from_millis(60);

/// A moment of a flow: the time since its start.
pub type Moment = Duration;

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// when the LAN host sent it
    pub sent: Moment,
    /// when its answer arrived, and the number of the provider that carried it
    pub answer: Option<(Moment, u8)>,
}

/// A running flow; it ends when it is dropped.
#[derive(Debug)]
pub struct Flow {
    start: Instant,
    datagrams: Arc<Mutex<Vec<Datagram>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flow {
    /// Sends a datagram to the target every 2 ms.
    pub fn start(lab: &Lab, target: IpAddr) -> Flow {
        Flow::start_every(lab, target, EVERY)
    }

    /// Sends a datagram to the target at this interval.
    pub fn start_every(lab: &Lab, target: IpAddr, every: Duration) -> Flow {
        lab.serve();
        let socket = lab.lan.enter(|| {
            let any: SocketAddr = if target.is_ipv4() {
                ([0, 0, 0, 0], 0).into()
            } else {
                ([0_u16; 8], 0).into()
            };
            let socket = UdpSocket::bind(any).expect("a port is free");
            let connected = socket.connect((target, PORT));
            connected.expect("the LAN host has a default route");
            socket
        });
        let timeout = Some(Duration::from_millis(50));
        socket.set_read_timeout(timeout).expect("it is not zero");
        let ears = socket.try_clone().expect("there is room for a descriptor");
        let start = Instant::now();
        let datagrams = Arc::new(Mutex::new(Vec::with_capacity(64 * 1024)));
        let stop = Arc::new(AtomicBool::new(false));
        let session = {
            let (stop, datagrams) = (Arc::clone(&stop), Arc::clone(&datagrams));
            thread::spawn(move || session(&socket, start, every, &datagrams, &stop))
        };
        let listen = {
            let (stop, datagrams) = (Arc::clone(&stop), Arc::clone(&datagrams));
            thread::spawn(move || listen(&ears, start, &datagrams, &stop))
        };
        Flow {
            start,
            datagrams,
            stop,
            threads: vec![session, listen],
        }
    }

    /// The current moment.
    pub fn now(&self) -> Moment {
        self.start.elapsed()
    }

    /// The datagrams sent since `since` that were answered, or are old enough to be lost.
    pub fn datagrams(&self, since: Moment) -> Vec<Datagram> {
        let now = self.now();
        let all = self
            .datagrams
            .lock()
            .expect("no thread panics while holding it");
        let known = |d: &&Datagram| d.answer.is_some() || d.sent + LOST_AFTER < now;
        let first = all.partition_point(|d| d.sent < since);
        all[first..].iter().filter(known).copied().collect()
    }

    /// The longest outage: from the first lost datagram to the next answered one. A delay of the sender on a busy machine
    /// does not count.
    pub fn outage(&self, since: Moment) -> Duration {
        let mut longest = Duration::ZERO;
        let mut lost_since = None;
        for datagram in self.datagrams(since) {
            let first = *lost_since.get_or_insert(datagram.sent);
            longest = longest.max(datagram.sent - first);
            if datagram.answer.is_some() {
                lost_since = None;
            }
        }
        longest
    }

    /// Number of lost datagrams.
    pub fn lost(&self, since: Moment) -> usize {
        let datagrams = self.datagrams(since);
        datagrams.iter().filter(|d| d.answer.is_none()).count()
    }

    /// The longest time without a received answer, from `since` to the last answer.
    pub fn longest_gap(&self, since: Moment) -> Duration {
        let datagrams = self.datagrams(since);
        let answered = datagrams.iter().filter_map(|d| Some(d.answer?.0));
        let mut moments: Vec<Moment> = answered.chain([since]).collect();
        moments.sort_unstable();
        let gaps = moments.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or(self.now().saturating_sub(since))
    }

    /// Waits until answers arrive by this provider (from 1), and only by it. False on timeout.
    pub fn goes_by(&self, provider: u8, timeout: Duration) -> bool {
        super::wait_until(timeout, || {
            let datagrams = self
                .datagrams
                .lock()
                .expect("no thread panics while holding it");
            let mut latest = datagrams.iter().rev().filter_map(|d| d.answer);
            (0..5).all(|_| {
                latest
                    .next()
                    .is_some_and(|(at, by)| by == provider && self.now() - at < LOST_AFTER)
            })
        })
    }

    /// The time between two moments, in so many cells: for each, the provider that carried most answers; none if most
    /// datagrams were lost. Where a busy machine has sent none, it is as in the cell before.
    pub fn timeline(&self, from: Moment, to: Moment, cells: usize) -> Vec<Option<u8>> {
        let datagrams = self.datagrams(from);
        let width = to.saturating_sub(from) / u32::try_from(cells.max(1)).unwrap_or(u32::MAX);
        let mut before = None;
        let cell = |number: usize| {
            let start = from + width * u32::try_from(number).unwrap_or(u32::MAX);
            let within = |d: &&Datagram| d.sent >= start && d.sent < start + width;
            let of_cell: Vec<&Datagram> = datagrams.iter().filter(within).collect();
            let mut by: Vec<u8> = of_cell.iter().filter_map(|d| Some(d.answer?.1)).collect();
            by.sort_unstable();
            if !of_cell.is_empty() {
                before = (by.len() * 2 > of_cell.len()).then(|| by[by.len() / 2]);
            }
            before
        };
        (0..cells).map(cell).collect()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Sends by the schedule; datagrams that are overdue are left out.
fn session(
    socket: &UdpSocket,
    start: Instant,
    every: Duration,
    datagrams: &Mutex<Vec<Datagram>>,
    stop: &AtomicBool,
) {
    let mut due = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) && due < LIFETIME {
        thread::sleep(due.saturating_sub(start.elapsed()));
        let number = {
            let mut datagrams = datagrams.lock().expect("no thread panics while holding it");
            let sent = start.elapsed();
            datagrams.push(Datagram { sent, answer: None });
            due = (due + every).max(sent);
            u32::try_from(datagrams.len() - 1).expect("it ends long before")
        };
        // An ICMP error for an earlier datagram is reported here: this one is sent all the same.
        if socket.send(&number.to_be_bytes()).is_err() {
            let _ = socket.send(&number.to_be_bytes());
        }
    }
}

fn listen(socket: &UdpSocket, start: Instant, datagrams: &Mutex<Vec<Datagram>>, stop: &AtomicBool) {
    let mut buffer = [0; 16];
    while !stop.load(Ordering::Relaxed) && start.elapsed() < LIFETIME {
        let Ok(5) = socket.recv(&mut buffer) else {
            continue;
        };
        let at = start.elapsed();
        let number = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        let mut datagrams = datagrams.lock().expect("no thread panics while holding it");
        if let Some(datagram) = datagrams.get_mut(number as usize) {
            datagram.answer.get_or_insert((at, buffer[4]));
        }
    }
}
