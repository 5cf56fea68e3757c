//! Asks the kernel for a way to a target, as fast as it can, and counts how often there is none.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::LIFETIME;
use super::namespace::Namespace;
use super::topology::LAN_ROUTER;

/// What a hammer has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// questions asked
    pub lookups: u64,
    /// questions answered by "unreachable" or any other error
    pub failures: u64,
    /// the longest time of failures only
    pub longest: Duration,
    /// what the first failure was
    pub first: Option<ErrorKind>,
}

/// A running hammer.
#[derive(Debug)]
pub struct Hammer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Findings>,
}

impl Hammer {
    /// Looks routes to the target up in the router, with its LAN address as source: no `from` rule matches it, so it
    /// asks what traffic of the LAN would ask.
    pub fn start(router: &Namespace, target: IpAddr) -> Hammer {
        let own = LAN_ROUTER[usize::from(target.is_ipv6())];
        let socket =
            router.enter(|| UdpSocket::bind((own, 0)).expect("it is the router's address"));
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || hammer(&socket, target, &asked));
        Hammer { stop, thread }
    }

    /// Ends it.
    pub fn stop(self) -> Findings {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a hammer does not panic")
    }
}

/// `connect` on a datagram socket sends nothing: it is a route look-up and little else.
fn hammer(socket: &UdpSocket, target: IpAddr, stop: &AtomicBool) -> Findings {
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
