//! Looks up the route to a target in a loop, as fast as possible, and counts the failures.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::LIFETIME;
use super::namespace::Namespace;
use super::topology::LAN_ROUTER;

/// The result of the lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// number of lookups
    pub lookups: u64,
    /// lookups that failed with "unreachable" or any other error
    pub failures: u64,
    /// the longest time with failures only
    pub longest: Duration,
    /// the first failure
    pub first: Option<ErrorKind>,
}

/// A running loop of lookups.
#[derive(Debug)]
pub struct Lookups {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Findings>,
}

impl Lookups {
    /// Looks up routes to the target in the router, with its LAN address as source: no `from` rule matches it, so the
    /// lookup is the same as for LAN traffic.
    pub fn start(router: &Namespace, target: IpAddr) -> Lookups {
        Lookups::from(router, LAN_ROUTER[usize::from(target.is_ipv6())], target)
    }

    /// The same with another address of the router as source.
    pub fn from(router: &Namespace, own: IpAddr, target: IpAddr) -> Lookups {
        let socket =
            router.enter(|| UdpSocket::bind((own, 0)).expect("it is the router's address"));
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || lookups(&socket, target, &asked));
        Lookups { stop, thread }
    }

    /// Ends the loop.
    pub fn stop(self) -> Findings {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a lookups does not panic")
    }
}

/// `connect` on a datagram socket sends nothing: it is a route lookup.
fn lookups(socket: &UdpSocket, target: IpAddr, stop: &AtomicBool) -> Findings {
    let end = Instant::now() + LIFETIME;
    let mut found = Findings::default();
    let mut failing_since = None;
    while !stop.load(Ordering::Relaxed) {
        found.lookups += 1;
        match socket.connect((target, 9)) {
            Ok(()) => failing_since = None,
            Err(error) => {
                found.failures += 1;
                found.first.get_or_insert(error.kind());
                let since = *failing_since.get_or_insert_with(Instant::now);
                found.longest = found.longest.max(since.elapsed());
            }
        }
        if found.lookups % 1024 == 0 && Instant::now() > end {
            break;
        }
    }
    found
}
