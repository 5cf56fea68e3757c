//! One daemon a network namespace: two would take one another's routes for what a former run left, and fight, also with
//! different state directories.
//!
//! A file that is named after the network namespace is locked, in a directory that only root may write to, and the kernel
//! takes the lock back when its holder ends, however it ends. Beside it is a socket. Nobody says anything on it; whoever
//! finds the lock held connects, so that a probe by hand makes room for a daemon. The holder has to let go of those: when
//! more have connected than there is room for, the next one cannot ask.
//!
//! (A name in the abstract namespace of unix(7) could be taken by any user.)

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen,
    socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};

use super::errno;
use super::file::lock::{Lock, NotLocked, command_line, holder};
use super::file::open::open_to_read;
use super::file::state_dir;

/// Where daemons find one another, whatever their state directories are.
const DIRECTORY: &str = "/var/run/failover";
/// The network namespace that we are in.
const NAMESPACE: &str = "/proc/thread-self/ns/net";
/// So many may ask while the holder is busy.
const ASKERS_MAX: i32 = 64;

/// Held as long as this lives.
#[derive(Debug, Default)]
pub struct NetnsLock {
    /// None where there can be none.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    lock: Lock,
    socket: UnixListener,
    path: PathBuf,
}

/// Why this is not the only daemon here.
#[derive(Debug)]
pub enum NetnsTaken {
    /// another process has the lock
    Held {
        /// its process id, when it has said so
        pid: Option<u32>,
        /// its command line, when it can be read
        command: Option<String>,
    },
    /// the system refuses
    System(io::Error),
}

impl NetnsTaken {
    /// Whether the holder lives no more: what is left is a child of its that has not become another program yet.
    pub fn by_dead(&self) -> bool {
        matches!(self, NetnsTaken::Held { command: None, .. })
    }

    /// Whether the holder is no daemon: it makes checks by hand, and will be done with that.
    pub fn by_probe(&self) -> bool {
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

/// What a command line of ours asks for, of what matters here.
fn verb(command: &str) -> Option<&str> {
    let mut words = command.split(' ').skip(1);
    words.find(|word| matches!(*word, "run" | "probe"))
}

impl From<io::Error> for NetnsTaken {
    fn from(error: io::Error) -> NetnsTaken {
        NetnsTaken::System(error)
    }
}

/// The daemon of this network namespace, as far as we may know of it.
pub fn daemon() -> Option<u32> {
    let namespace = fs::metadata(NAMESPACE).ok()?.ino();
    let file = open_to_read(format!("{DIRECTORY}/netns-{namespace}.lock")).ok()?;
    let pid = holder(&file)?;
    command_line(pid)
        .is_some_and(|command| verb(&command) == Some("run"))
        .then_some(pid)
}

impl NetnsLock {
    /// What becomes readable when somebody has asked; none when there is nobody who could.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(|held| held.socket.as_fd())
    }

    /// Lets go of whoever has asked. Whether one of them is to be a daemon.
    pub fn dismiss(&self) -> bool {
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

    /// Whether others notice: nobody has deleted the files.
    pub fn holds(&self) -> bool {
        let found = |held: &Held| held.lock.holds() && held.path.exists();
        self.held.as_ref().is_none_or(found)
    }

    /// Takes the lock. Never waits. Where there is no place for it, that is told, and no second daemon will be noticed.
    pub fn take() -> Result<NetnsLock, NetnsTaken> {
        let namespace = fs::metadata(NAMESPACE)?.ino();
        let name = format!("netns-{namespace}");
        let unnoticed = |why: &dyn fmt::Display| {
            log::warn!("{why}: a second daemon in this network namespace will not be noticed");
            Ok(NetnsLock { held: None })
        };
        if let Err(found) = state_dir::make(DIRECTORY) {
            return unnoticed(&found);
        }
        let path = PathBuf::from(format!("{DIRECTORY}/{name}.sock"));
        match Lock::take_file(DIRECTORY, &format!("{name}.lock")) {
            // Its former holder has deleted it meanwhile.
            Ok(lock) if !lock.holds() => Err(NetnsTaken::Held {
                pid: None,
                command: None,
            }),
            Ok(lock) => match door(&path) {
                Ok(socket) => Ok(NetnsLock {
                    held: Some(Held { lock, socket, path }),
                }),
                Err(errno) => {
                    let why = errno::text(&errno.into());
                    unnoticed(&format_args!("{}: {why}", path.display()))
                }
            },
            Err(NotLocked::Held { pid, command, .. }) => {
                knock(&path);
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

fn open() -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// Listens, in place of what a killed holder left.
fn door(path: &Path) -> Result<UnixListener, Errno> {
    let _ = fs::remove_file(path);
    let ours = open()?;
    fchmod(&ours, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(ours.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&ours, Backlog::new(ASKERS_MAX)?)?;
    Ok(ours.into())
}

/// Has the holder look who is there. That it knows already is as good.
fn knock(path: &Path) {
    let _ = open().and_then(|asking| connect(asking.as_raw_fd(), &UnixAddr::new(path)?));
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
                f.write_str("another daemon")?;
                if let Some(pid) = pid {
                    write!(f, ", process {pid}")?;
                }
                if let Some(command) = command {
                    write!(f, " ({command})")?;
                }
                f.write_str(
                    ", takes care of this network namespace: stop it first; one daemon manages all providers",
                )
            }
        }
    }
}

impl std::error::Error for NetnsTaken {}
