//! A fixture: a daemon with the real control socket and event loop, and answers given by the test.
#![allow(dead_code)] // each test file uses a part of it

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant as Clock;

use failover::limits::CLIENTS_MAX;
use failover::linux::control::{ClientId, Server};
use failover::types::Instant;
use failover::wire::control::{Reply, Request};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// The daemon's answer: the frame with this number.
pub(crate) type Answers = fn(&Request, u32) -> Option<Reply>;

pub(crate) struct FakeDaemon {
    pub(crate) dir: PathBuf,
    /// number of turns of the event loop
    pub(crate) wakeups: Arc<AtomicU32>,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

/// A directory for this test.
pub(crate) fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("failover-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

impl FakeDaemon {
    pub(crate) fn start(name: &str, answers: Answers) -> FakeDaemon {
        FakeDaemon::start_in(&directory(name), answers)
    }

    pub(crate) fn start_in(dir: &Path, answers: Answers) -> FakeDaemon {
        let (stop, stopped) = UnixStream::pair().unwrap();
        let wakeups = Arc::new(AtomicU32::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut server = Box::new(Server::new());
        server.open(dir).unwrap();
        let thread = std::thread::spawn({
            let (wakeups, requests) = (wakeups.clone(), requests.clone());
            move || run(&mut server, &stopped, answers, &wakeups, &requests)
        });
        FakeDaemon {
            dir: dir.to_owned(),
            wakeups,
            requests,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        let _ = self.stop.write_all(b"x");
        self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

const LISTENER: u64 = CLIENTS_MAX as u64;
const STOP: u64 = LISTENER + 1;

/// The part of the real daemon's loop that serves the control socket.
fn run(
    server: &mut Server,
    stopped: &UnixStream,
    answers: Answers,
    wakeups: &AtomicU32,
    requests: &Mutex<Vec<Request>>,
) {
    let start = Clock::now();
    let now = || Instant::from_micros(i64::try_from(start.elapsed().as_micros()).unwrap());
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let read = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
    epoll.add(stopped.as_fd(), read(STOP)).unwrap();
    epoll
        .add(server.listener().unwrap(), read(LISTENER))
        .unwrap();
    loop {
        let timeout = server.next_deadline().map_or(EpollTimeout::NONE, |at| {
            let millis = (at - now()).total_millis() + 1;
            EpollTimeout::try_from(u32::try_from(millis).unwrap()).unwrap()
        });
        let mut events = [EpollEvent::empty(); 4];
        let count = match epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => continue, // another test's child has ended
            count => count.unwrap(),
        };
        wakeups.fetch_add(1, Ordering::Relaxed);
        server.expire(now());
        for event in &events[..count] {
            let (client, new) = match event.data() {
                STOP => return server.close(),
                LISTENER => match server.accept(now()) {
                    Some(client) => (client, true),
                    None => continue,
                },
                token => (
                    ClientId::from_index(usize::try_from(token).unwrap()).unwrap(),
                    false,
                ),
            };
            if let Some(request) = server.read(client, now()) {
                requests.lock().unwrap().push(request);
            }
            server.pump(client, now(), &mut |request, number| {
                *number += 1;
                answers(request, *number - 1)
            });
            let Some((fd, interest)) = server.interest(client) else {
                continue;
            };
            let flags = match interest.read {
                true => EpollFlags::EPOLLIN,
                false => EpollFlags::EPOLLOUT,
            };
            let mut event = EpollEvent::new(flags, client.index() as u64);
            match new {
                true => epoll.add(fd, event).unwrap(),
                false => epoll.modify(fd, &mut event).unwrap(),
            }
        }
    }
}
