//! Servers on the Internet side of a provider. Each has a behaviour, which can be changed while it runs, and records its
//! requests.
//!
//! | module | server |
//! |---|---|
//! | [`dns`] | a DNS server |
//! | [`http`] | a web server, or a portal in its place |
//! | [`echo`] | answers pings in place of the kernel |

pub mod dns;
pub mod echo;
pub mod http;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::LIFETIME;

/// Interval at which a server checks whether to stop, in milliseconds.
const POLL_MS: u8 = 20;

/// State shared by a server's threads and the test.
#[derive(Debug)]
pub struct Shared<M, R> {
    behaviour: Mutex<M>,
    requests: Mutex<Vec<R>>,
    stop: AtomicBool,
    end: Instant,
}

impl<M: Clone, R: Clone> Shared<M, R> {
    fn new(behaviour: M) -> Arc<Shared<M, R>> {
        Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            requests: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
            end: Instant::now() + LIFETIME,
        })
    }

    fn behaviour(&self) -> M {
        self.behaviour
            .lock()
            .expect("no thread panics while holding it")
            .clone()
    }

    fn record(&self, request: R) {
        let mut requests = self
            .requests
            .lock()
            .expect("no thread panics while holding it");
        requests.push(request);
    }

    fn runs(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && Instant::now() < self.end
    }
}

/// A running server; it stops when it is dropped.
#[derive(Debug)]
pub struct Server<M, R> {
    shared: Arc<Shared<M, R>>,
    thread: Option<JoinHandle<()>>,
}

impl<M, R> Server<M, R>
where
    M: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    fn run(behaviour: M, serve: impl FnOnce(&Arc<Shared<M, R>>) + Send + 'static) -> Server<M, R> {
        let shared = Shared::new(behaviour);
        let its = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&its));
        Server {
            shared,
            thread: Some(thread),
        }
    }

    /// Sets its behaviour.
    pub fn set(&self, behaviour: M) {
        *self
            .shared
            .behaviour
            .lock()
            .expect("no thread panics while holding it") = behaviour;
    }

    /// Its requests so far.
    pub fn requests(&self) -> Vec<R> {
        let requests = self
            .shared
            .requests
            .lock()
            .expect("no thread panics while holding it");
        requests.clone()
    }

    /// Number of requests so far.
    pub fn asked(&self) -> usize {
        let requests = self
            .shared
            .requests
            .lock()
            .expect("no thread panics while holding it");
        requests.len()
    }
}

impl<M, R> Drop for Server<M, R> {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
