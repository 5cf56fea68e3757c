//! One daemon a state directory: a lock that the kernel takes back when its holder ends, however it ends.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::{Mode, fchmod};

use super::error::FileError;
use super::lines;
use super::open::{open, open_to_read};
use super::state_dir::{self, Unsafe, is_full};

const NAME: &str = "lock";
/// Longest command line that is shown, in bytes.
const COMMAND_MAX: usize = 120;

/// Held as long as this lives. The file stays: whoever deletes it would let a second daemon in.
#[derive(Debug)]
pub struct Lock {
    /// none when there is no room for it
    file: Option<Flock<File>>,
    path: PathBuf,
}

impl Lock {
    /// As [`Lock::take`]; but where nothing can be written (a full tmpfs, say), there is a warning and no lock: failover
    /// matters more.
    pub fn take_if_there_is_room(state_dir: &str) -> Result<Lock, NotLocked> {
        match Lock::take(state_dir) {
            Err(NotLocked::FileError(trouble)) if is_full(trouble.errno()) => {
                log::warn!("{trouble}; running without a lock");
                Ok(Lock {
                    file: None,
                    path: Path::new(state_dir).join(NAME),
                })
            }
            result => result,
        }
    }

    /// Whether it is what its path leads to: else it keeps nobody out.
    pub fn holds(&self) -> bool {
        let held = self.file.as_ref().and_then(|file| file.metadata().ok());
        let found = std::fs::symlink_metadata(&self.path).ok();
        let place = |found: Metadata| (found.dev(), found.ino());
        held.is_some() && held.map(place) == found.map(place)
    }

    /// Deletes the file, before the lock is given back.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Makes the state directory when there is none, and locks it (flock(2)). Never waits.
    pub fn take(state_dir: &str) -> Result<Lock, NotLocked> {
        state_dir::make(state_dir).map_err(|found| match found {
            Unsafe::FileError(trouble) => NotLocked::FileError(trouble),
            found => NotLocked::Unsafe(found),
        })?;
        Lock::take_file(state_dir, NAME)
    }

    /// Locks a file of a directory that nobody else may write to.
    pub(crate) fn take_file(state_dir: &str, name: &str) -> Result<Lock, NotLocked> {
        let path = Path::new(state_dir).join(name);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        // Who may open it may lock it: nobody else, not even to read, whatever the mode that a former version gave it.
        let file = open(&path, flags, 0o600)
            .and_then(lines::regular)
            .and_then(|file| {
                fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR)?;
                Ok(file)
            })
            .map_err(|e| FileError::new("open", &path, e))?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => return Err(held(state_dir, &file)),
            Err((_, errno)) => return Err(FileError::new("lock", &path, errno.into()).into()),
        };
        // The pid is only for people.
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        if let Err(error) = written {
            log::warn!("{}", FileError::new("write", &path, error));
        }
        Ok(Lock {
            file: Some(file),
            path,
        })
    }
}

/// The process that a lock's file names; none when its holder has not written yet.
pub(crate) fn holder(file: &File) -> Option<u32> {
    let mut text = Vec::new();
    lines::read(file, 16, &mut text).ok()?;
    str::from_utf8(&text).ok()?.trim().parse().ok()
}

/// Finds out who holds the lock, from what the holder has written into the file.
fn held(state_dir: &str, file: &File) -> NotLocked {
    let pid = holder(file);
    NotLocked::Held {
        state_dir: PathBuf::from(state_dir),
        pid,
        command: pid.and_then(command_line),
    }
}

/// A process' words, fit to be shown (proc_pid_cmdline(5)).
pub(crate) fn command_line(pid: u32) -> Option<String> {
    let mut bytes = Vec::new();
    let file = open_to_read(format!("/proc/{pid}/cmdline")).ok()?;
    lines::read(&file, COMMAND_MAX, &mut bytes).ok()?;
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_string())
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum NotLocked {
    /// another daemon has it
    Held {
        /// what it holds
        state_dir: PathBuf,
        /// the holder, when it has said so
        pid: Option<u32>,
        /// its command line, when it can be read
        command: Option<String>,
    },
    /// others could meddle with the directory
    Unsafe(Unsafe),
    /// the directory or the file could not be had
    FileError(FileError),
}

impl NotLocked {
    /// Whether the holder lives no more: what is left is a child of its that has not become another program yet.
    pub fn by_dead(&self) -> bool {
        matches!(self, NotLocked::Held { command: None, .. })
    }
}

impl From<FileError> for NotLocked {
    fn from(trouble: FileError) -> NotLocked {
        NotLocked::FileError(trouble)
    }
}

impl fmt::Display for NotLocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotLocked::FileError(trouble) => trouble.fmt(f),
            NotLocked::Unsafe(found) => found.fmt(f),
            NotLocked::Held {
                state_dir,
                pid,
                command,
            } => {
                f.write_str("another daemon")?;
                if let Some(pid) = pid {
                    write!(f, ", process {pid}")?;
                }
                if let Some(command) = command {
                    write!(f, " ({command})")?;
                }
                let state_dir = state_dir.display();
                write!(f, ", holds {state_dir}: stop it first")
            }
        }
    }
}

impl std::error::Error for NotLocked {}
