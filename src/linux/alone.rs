//! One daemon a network namespace: two would take one another's routes for what a former run left, and fight.
//!
//! An abstract socket's name is taken once in a network namespace, and the kernel takes it back when its holder ends,
//! however it ends (unix(7)). Nobody says anything on it; whoever finds it taken connects, and asks the kernel to whom. The
//! holder has to let go of those: when more have connected than there is room for, the next one cannot ask.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixListener;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen,
    socket, sockopt,
};
use nix::unistd::geteuid;

use super::lock::command_line;

const NAME: &[u8] = b"failover";
/// So many may ask while the holder is busy.
const ASKERS_MAX: i32 = 64;

/// Held as long as this lives.
#[derive(Debug)]
pub struct Alone {
    /// None when somebody has the name who cannot be a daemon.
    socket: Option<UnixListener>,
}

/// Why this is not the only daemon here.
#[derive(Debug)]
pub enum NotAlone {
    /// another process has the name
    Held {
        /// its process id; 0 when it is of another pid namespace
        pid: u32,
        /// its command line, when it can be read
        command: Option<String>,
    },
    /// the system refuses
    System(io::Error),
}

impl NotAlone {
    /// Whether the holder lives no more: what is left is a child of its that has not become another program yet.
    pub fn by_dead(&self) -> bool {
        matches!(self, NotAlone::Held { command: None, .. })
    }

    /// Whether the holder is no daemon: it makes checks by hand, and will be done with that.
    pub fn by_probe(&self) -> bool {
        let NotAlone::Held {
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

impl From<Errno> for NotAlone {
    fn from(errno: Errno) -> NotAlone {
        NotAlone::System(errno.into())
    }
}

impl Alone {
    /// What becomes readable when somebody has asked; none when there is nobody who could.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Lets go of whoever has asked: they have their answer from the kernel. Whether one of them is to be a daemon.
    pub fn dismiss(&self) -> bool {
        let mut daemon = false;
        if let Some(socket) = &self.socket {
            while let Ok((asker, _)) = socket.accept() {
                let asker = getsockopt(&asker, sockopt::PeerCredentials);
                let pid = asker.map(|asker| u32::try_from(asker.pid()).unwrap_or(0));
                let command = pid.ok().and_then(command_line);
                daemon |= command.is_some_and(|command| verb(&command) == Some("run"));
            }
        }
        daemon
    }

    /// Takes the name. Never waits.
    ///
    /// Any user may take it, but not keep the daemon from running by that: only a holder who is root, or who we are,
    /// could be a daemon.
    pub fn take() -> Result<Alone, NotAlone> {
        let name = UnixAddr::new_abstract(NAME)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let open = || socket(AddressFamily::Unix, SockType::Stream, flags, None);
        let ours = open()?;
        match bind(ours.as_raw_fd(), &name) {
            Ok(()) => {
                listen(&ours, Backlog::new(ASKERS_MAX)?)?;
                return Ok(Alone {
                    socket: Some(ours.into()),
                });
            }
            Err(Errno::EADDRINUSE) => {}
            Err(errno) => return Err(errno.into()),
        }
        let asking = open()?;
        let holder = connect(asking.as_raw_fd(), &name)
            .and_then(|()| getsockopt(&asking, sockopt::PeerCredentials));
        match holder {
            Ok(holder) if holder.uid() == 0 || holder.uid() == geteuid().as_raw() => {
                let pid = u32::try_from(holder.pid()).unwrap_or(0);
                Err(NotAlone::Held {
                    pid,
                    command: command_line(pid),
                })
            }
            _ => {
                log::warn!(
                    "a process that is no daemon holds the socket @failover, by which daemons find one another: a \
                     second one will not be noticed"
                );
                Ok(Alone { socket: None })
            }
        }
    }
}

impl fmt::Display for NotAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAlone::System(error) => write!(f, "cannot find out whether a daemon runs: {error}"),
            NotAlone::Held { pid, .. } if self.by_probe() => write!(
                f,
                "process {pid} makes checks by hand here, and takes its routes away in the end: wait for that"
            ),
            NotAlone::Held { pid, command } => {
                write!(f, "another daemon, process {pid}")?;
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

impl std::error::Error for NotAlone {}
