//! One daemon per network namespace: two daemons, even with different state directories, would take each other's routes
//! for leftovers of an earlier run, and overwrite them.
//!
//! A file named after the network namespace is locked, in a directory that only root can write to. The kernel releases the
//! lock when its holder ends, however it ends. Beside it is a socket: a process that finds the lock held connects to it, so
//! that `failover probe` makes room for a daemon. No data is sent. The holder has to close these connections: when the
//! backlog is full, no further process can connect.
//!
//! (A name in the abstract namespace of unix(7) could be bound by any user.)

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use nix::sys::socket::{UnixAddr, connect, getsockopt, sockopt};

use super::errno;
use super::file::lock::{Lock, NotLocked, command_line, holder, show_holder};
use super::file::open::{c_path, open_to_read};
use super::file::state_dir;
use super::listener::{listener, unconnected};
use super::log;

/// The directory of the lock, independent of state directories.
const DIRECTORY: &str = "/var/run/failover";
/// The current network namespace.
const NAMESPACE: &str = "/proc/thread-self/ns/net";

/// The lock is held until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct NetnsLock {
    /// none if the lock could not be created
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    lock: Lock,
    socket: UnixListener,
    path: PathBuf,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum NetnsTaken {
    /// another process has the lock
    Held {
        /// its process id, if it is known
        pid: Option<u32>,
        /// its command line, if it can be read
        command: Option<String>,
    },
    /// a system call failed
    System(io::Error),
}

impl NetnsTaken {
    /// Whether the holder is dead: the lock is still held by a child of it, until that calls exec.
    pub(crate) fn by_dead(&self) -> bool {
        matches!(self, NetnsTaken::Held { command: None, .. })
    }

    /// Whether the holder is `failover probe`, which ends by itself.
    pub(crate) fn by_probe(&self) -> bool {
        let NetnsTaken::Held {
            command: Some(command),
            ..
        } = self
        else {
            return false;
        };
        verb(command) == Some("probe")
    }
}

/// The subcommand in a command line, if it is `run` or `probe`.
fn verb(command: &str) -> Option<&str> {
    let (_, words) = command.split_once(' ')?;
    words
        .split(' ')
        .find(|word| matches!(*word, "run" | "probe"))
}

impl From<io::Error> for NetnsTaken {
    fn from(error: io::Error) -> NetnsTaken {
        NetnsTaken::System(error)
    }
}

/// The pid of this network namespace's daemon, if it can be found.
pub fn daemon() -> Option<u32> {
    let namespace = fs::metadata(NAMESPACE).ok()?.ino();
    let file = open_to_read(format!("{DIRECTORY}/netns-{namespace}.lock")).ok()?;
    let pid = holder(&file)?;
    command_line(pid)
        .is_some_and(|command| verb(&command) == Some("run"))
        .then_some(pid)
}

impl NetnsLock {
    /// Becomes readable when another process has connected; none if there is no lock.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(|held| held.socket.as_fd())
    }

    /// Closes all pending connections. Returns whether one of them came from a starting daemon.
    pub(crate) fn dismiss(&self) -> bool {
        let mut daemon = false;
        if let Some(held) = &self.held {
            while let Ok((asker, _)) = held.socket.accept() {
                let asker = getsockopt(&asker, sockopt::PeerCredentials);
                let pid = asker.map(|asker| u32::try_from(asker.pid()).unwrap_or(0));
                let command = pid.ok().and_then(command_line);
                daemon |= command.is_some_and(|command| verb(&command) == Some("run"));
            }
        }
        daemon
    }

    /// Whether other processes can find the lock: its files were not deleted.
    pub(crate) fn holds(&self) -> bool {
        let found = |held: &Held| held.lock.holds() && held.path.exists();
        self.held.as_ref().is_none_or(found)
    }

    /// Takes the lock. Never blocks. If the lock cannot be created, this is logged, and a second daemon is not detected.
    pub(crate) fn take() -> Result<NetnsLock, NetnsTaken> {
        let namespace = fs::metadata(NAMESPACE)?.ino();
        let name = format!("netns-{namespace}");
        let unnoticed = |why: &dyn fmt::Display| {
            log::warn(format_args!(
                "{why}: a second daemon in this network namespace will not be noticed"
            ));
            Ok(NetnsLock { held: None })
        };
        if let Err(found) = state_dir::make(DIRECTORY) {
            return unnoticed(&found);
        }
        let path = PathBuf::from(format!("{DIRECTORY}/{name}.sock"));
        match Lock::take_file(DIRECTORY, &format!("{name}.lock")) {
            // Its previous holder has deleted it meanwhile.
            Ok(lock) if !lock.holds() => Err(NetnsTaken::Held {
                pid: None,
                command: None,
            }),
            Ok(lock) => {
                let _ = fs::remove_file(&path); // a killed holder's
                match listener(&path) {
                    Ok(socket) => Ok(NetnsLock {
                        held: Some(Held { lock, socket, path }),
                    }),
                    Err(errno) => {
                        let why = errno::text(&errno.into());
                        unnoticed(&format_args!("{}: {why}", path.display()))
                    }
                }
            }
            Err(NotLocked::Held { pid, command, .. }) => {
                notify_holder(&path);
                Err(NetnsTaken::Held { pid, command })
            }
            Err(error) => unnoticed(&error),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.lock.holds() {
            let _ = fs::remove_file(&self.path);
            self.lock.remove();
        }
    }
}

/// Notifies the holder by connecting. An error means that it has been notified already.
fn notify_holder(path: &Path) {
    let _ = unconnected()
        .and_then(|asking| connect(asking.as_raw_fd(), &UnixAddr::new(&*c_path(path)?)?));
}

impl fmt::Display for NetnsTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetnsTaken::System(error) => {
                write!(f, "cannot find out whether a daemon runs: {error}")
            }
            NetnsTaken::Held { pid: Some(pid), .. } if self.by_probe() => write!(
                f,
                "process {pid} makes checks by hand here, and takes its routes away in the end: wait for that"
            ),
            NetnsTaken::Held { pid, command } => {
                show_holder(f, *pid, command.as_deref())?;
                f.write_str(
                    ", takes care of this network namespace: stop it first; one daemon manages all providers",
                )
            }
        }
    }
}

impl std::error::Error for NetnsTaken {}
