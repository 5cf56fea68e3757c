//! Servers on the Internet's side of a provider, good ones and bad ones: each has a mood, which can be changed while it
//! runs, and remembers who has asked it for what.
//!
//! | module | who |
//! |---|---|
//! | [`dns`] | a DNS server |
//! | [`http`] | a web server, or a portal in its place |
//! | [`echo`] | a host that answers pings by itself, instead of its kernel |

pub mod dns;
pub mod echo;
pub mod http;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::LIFETIME;

/// How long a server waits for something before it looks whether it shall end.
const NAP_MS: u8 = 20;

/// What a server's threads share with the test.
#[derive(Debug)]
pub struct Shared<M, R> {
    mood: Mutex<M>,
    requests: Mutex<Vec<R>>,
    stop: AtomicBool,
    end: Instant,
}

impl<M: Clone, R: Clone> Shared<M, R> {
    fn new(mood: M) -> Arc<Shared<M, R>> {
        Arc::new(Shared {
            mood: Mutex::new(mood),
            requests: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
            end: Instant::now() + LIFETIME,
        })
    }

    fn mood(&self) -> M {
        self.mood.lock().expect("nobody panics with it").clone()
    }

    fn remember(&self, request: R) {
        let mut requests = self.requests.lock().expect("nobody panics with it");
        requests.push(request);
    }

    fn runs(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && Instant::now() < self.end
    }
}

/// A running server; it ends when it is dropped.
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
    fn run(mood: M, serve: impl FnOnce(&Arc<Shared<M, R>>) + Send + 'static) -> Server<M, R> {
        let shared = Shared::new(mood);
        let its = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&its));
        Server {
            shared,
            thread: Some(thread),
        }
    }

    /// From now on it is of this mood.
    pub fn set(&self, mood: M) {
        *self.shared.mood.lock().expect("nobody panics with it") = mood;
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<R> {
        let requests = self.shared.requests.lock().expect("nobody panics with it");
        requests.clone()
    }

    /// How often it was asked so far.
    pub fn asked(&self) -> usize {
        let requests = self.shared.requests.lock().expect("nobody panics with it");
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
