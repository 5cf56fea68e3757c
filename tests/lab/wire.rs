//! A point-to-point link between two namespaces: a TUN device at each end, and `socat` to carry the packets; or `socat` at
//! each end and a relay in between, which delays each packet.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::LIFETIME;
use super::namespace::{Namespace, mortal};
use super::observe::wait_until;

/// Both devices exist and have carrier until this is dropped.
#[derive(Debug)]
pub struct Wire {
    socats: Vec<Child>,
    relay: Option<Relay>,
}

impl Wire {
    /// Creates the device of each end in its namespace. They are down. `delay` is the delay of each packet.
    pub fn lay(
        near: &Namespace,
        near_device: &str,
        far: &Namespace,
        far_device: &str,
        delay: Duration,
    ) -> Wire {
        let end = |device| format!("TUN,tun-type=tun,iff-no-pi,tun-name={device}");
        let wire = if delay.is_zero() {
            let socat = connect(near, &end(near_device), &end(far_device));
            Wire {
                socats: vec![socat],
                relay: None,
            }
        } else {
            let relay = Relay::start(delay);
            let ends = [("near", near_device), ("far", far_device)];
            Wire {
                socats: ends
                    .map(|(side, device)| connect(near, &end(device), &relay.end(side)))
                    .into(),
                relay: Some(relay),
            }
        };
        let devices_exist = || {
            [near_device, far_device].iter().all(|device| {
                near.output(&["ip", "link", "show", device])
                    .status
                    .success()
            })
        };
        assert!(
            wait_until(Duration::from_secs(2), devices_exist),
            "point-to-point devices need `socat` and /dev/net/tun, and the right to use it"
        );
        near.ip(&format!("link set {far_device} netns {}", far.thread_id()));
        wire
    }
}

fn connect(namespace: &Namespace, one: &str, other: &str) -> Child {
    let mut command = mortal("socat");
    command
        .args([one, other])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    namespace.spawn(command).expect("util-linux has `setpriv`")
}

impl Drop for Wire {
    fn drop(&mut self) {
        for socat in &mut self.socats {
            let _ = socat.kill();
            let _ = socat.wait();
        }
        drop(self.relay.take());
    }
}

/// Forwards datagrams between two ends with a delay.
#[derive(Debug)]
struct Relay {
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    fn start(delay: Duration) -> Relay {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("failover-relay-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _stale = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)
            .expect("the directory for temporary files can be written");
        let stop = Arc::new(AtomicBool::new(false));
        let sockets = ["near", "far"].map(|side| {
            let socket = UnixDatagram::bind(directory.join(format!("from-{side}")));
            let socket = socket.expect("its directory is ours");
            socket.set_nonblocking(true).expect("a socket can be that");
            socket
        });
        let (its, to) = (
            Arc::clone(&stop),
            ["far", "near"].map(|side| directory.join(side)),
        );
        let thread = thread::spawn(move || carry(&sockets, &to, delay, &its));
        Relay {
            directory,
            stop,
            thread: Some(thread),
        }
    }

    /// The `socat` address of one end.
    fn end(&self, side: &str) -> String {
        let [from, own] = [format!("from-{side}"), side.to_owned()].map(|name| {
            let path = self.directory.join(name);
            path.to_str().expect("it is text").to_owned()
        });
        format!("UNIX-SENDTO:{from},bind={own}")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Forwards what arrives at a socket to the path with the same index, with a delay.
fn carry(sockets: &[UnixDatagram; 2], to: &[PathBuf; 2], delay: Duration, stop: &AtomicBool) {
    let end = Instant::now() + LIFETIME;
    let mut waiting: VecDeque<(Instant, usize, Vec<u8>)> = VecDeque::new();
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        let mut fds = sockets
            .each_ref()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        let next = waiting
            .front()
            .map_or(Duration::from_millis(50), |(at, ..)| {
                at.saturating_duration_since(Instant::now())
            });
        let millis = u16::try_from(next.as_millis()).unwrap_or(u16::MAX);
        let _ = poll(&mut fds, PollTimeout::from(millis));
        let mut buffer = [0; 4096];
        for (place, socket) in sockets.iter().enumerate() {
            while let Ok(length) = socket.recv(&mut buffer) {
                waiting.push_back((Instant::now() + delay, place, buffer[..length].to_vec()));
            }
        }
        while waiting
            .front()
            .is_some_and(|(at, ..)| *at <= Instant::now())
        {
            if let Some((_, place, packet)) = waiting.pop_front() {
                let to: &Path = &to[place];
                // Sent from that end's own socket: `socat` accepts no other peer.
                let _ = sockets[1 - place].send_to(&packet, to);
            }
        }
    }
}
