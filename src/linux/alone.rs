//! One daemon a network namespace: two would take one another's routes for what a former run left, and fight.
//!
//! An abstract socket's name is taken once in a network namespace, and the kernel takes it back when its holder ends,
//! however it ends (unix(7)). Nobody says anything on it; whoever finds it taken asks the kernel by whom.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen,
    socket, sockopt,
};
use nix::unistd::geteuid;

use super::lock::command_line;

const NAME: &[u8] = b"failover";

/// Held as long as this lives.
#[derive(Debug)]
pub struct Alone {
    /// None when somebody has the name who cannot be a daemon.
    _socket: Option<OwnedFd>,
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
}

impl From<Errno> for NotAlone {
    fn from(errno: Errno) -> NotAlone {
        NotAlone::System(errno.into())
    }
}

impl Alone {
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
                listen(&ours, Backlog::new(1)?)?;
                return Ok(Alone {
                    _socket: Some(ours),
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
                Ok(Alone { _socket: None })
            }
        }
    }
}

impl fmt::Display for NotAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAlone::System(error) => write!(f, "cannot find out whether a daemon runs: {error}"),
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
