//! One daemon per state directory: a lock that the kernel releases when its holder ends, however it ends.

use std::fmt;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{ftruncate, write};

use super::error::FileError;
use super::lines;
use super::open::{open, open_to_read};
use super::state_dir::{self, Unsafe, is_full};
use crate::linux::log;

const NAME: &str = "lock";
/// Longest command line that is shown, in bytes.
const COMMAND_MAX: usize = 120;

/// The lock is held until this is dropped. The file stays: deleting it would admit a second daemon.
#[derive(Debug)]
pub struct Lock {
    /// none if the file system has no room for it
    file: Option<Flock<File>>,
    path: PathBuf,
}

impl Lock {
    /// As [`Lock::take`]; but if nothing can be written (a full tmpfs, for example), warns and returns without a lock,
    /// because failover is more important.
    pub(crate) fn take_if_there_is_room(state_dir: &str) -> Result<Lock, NotLocked> {
        match Lock::take(state_dir) {
            Err(NotLocked::FileError(error)) if is_full(error.errno()) => {
                log::warn(format_args!("{error}; running without a lock"));
                Ok(Lock {
                    file: None,
                    path: Path::new(state_dir).join(NAME),
                })
            }
            result => result,
        }
    }

    /// Whether the locked file is still the file at its path: otherwise the lock excludes no other process.
    pub fn holds(&self) -> bool {
        let held = self.file.as_ref().and_then(|file| file.metadata().ok());
        let found = std::fs::symlink_metadata(self.path.as_path()).ok();
        let place = |found: Metadata| (found.dev(), found.ino());
        held.is_some() && held.map(place) == found.map(place)
    }

    /// Deletes the file, before the lock is released.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Creates the state directory if it does not exist, and locks it (flock(2)). Never blocks.
    pub fn take(state_dir: &str) -> Result<Lock, NotLocked> {
        state_dir::make(state_dir).map_err(|found| match found {
            Unsafe::FileError(error) => NotLocked::FileError(error),
            found => NotLocked::Unsafe(found),
        })?;
        Lock::take_file(state_dir, NAME)
    }

    /// Locks a file in a directory that no other user can write to.
    pub(crate) fn take_file(state_dir: &str, name: &str) -> Result<Lock, NotLocked> {
        let path = Path::new(state_dir).join(name);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        // A user that can open the file, even for reading, can lock it: so the mode is set to 0600, also for a file of an
        // earlier version.
        let file = open(&path, flags, 0o600)
            .and_then(lines::regular)
            .and_then(|file| {
                fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR)?;
                Ok(file)
            })
            .map_err(|e| FileError::new("open", &path, e))?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => return Err(held(state_dir, &file)),
            Err((_, errno)) => return Err(FileError::new("lock", &path, errno.into()).into()),
        };
        // The pid is only informative.
        let pid = format!("{}\n", std::process::id());
        if let Err(errno) = ftruncate(&*file, 0).and_then(|()| write(&*file, pid.as_bytes())) {
            log::warn(format_args!(
                "{}",
                FileError::new("write", &path, errno.into())
            ));
        }
        Ok(Lock {
            file: Some(file),
            path,
        })
    }
}

/// The pid in a lock file; none if its holder has not written it yet.
pub(crate) fn holder(file: &File) -> Option<u32> {
    let mut text = Vec::new();
    lines::read(file, 16, &mut text).ok()?;
    str::from_utf8(&text).ok()?.trim_ascii().parse().ok()
}

/// Describes the holder of the lock, from the pid in the file.
fn held(state_dir: &str, file: &File) -> NotLocked {
    let pid = holder(file);
    NotLocked::Held {
        state_dir: PathBuf::from(state_dir),
        pid,
        command: pid.and_then(command_line),
    }
}

/// The command line of a process, without control characters (proc_pid_cmdline(5)).
pub(crate) fn command_line(pid: u32) -> Option<String> {
    let mut bytes = Vec::new();
    let file = open_to_read(format!("/proc/{pid}/cmdline")).ok()?;
    lines::read(&file, COMMAND_MAX, &mut bytes).ok()?;
    let mut text = String::new();
    for c in String::from_utf8_lossy(&bytes).chars() {
        text.push(if c.is_control() { ' ' } else { c });
    }
    text.truncate(text.trim_ascii_end().len());
    (!text.is_empty()).then_some(text)
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum NotLocked {
    /// another daemon has it
    Held {
        /// the state directory
        state_dir: PathBuf,
        /// the holder's pid, if it is known
        pid: Option<u32>,
        /// its command line, if it can be read
        command: Option<String>,
    },
    /// other users can write to the directory
    Unsafe(Unsafe),
    /// the directory or the file could not be created or opened
    FileError(FileError),
}

impl NotLocked {
    /// Whether the holder is dead: the lock is still held by a child of it, until that calls exec.
    pub(crate) fn by_dead(&self) -> bool {
        matches!(self, NotLocked::Held { command: None, .. })
    }
}

impl From<FileError> for NotLocked {
    fn from(error: FileError) -> NotLocked {
        NotLocked::FileError(error)
    }
}

impl fmt::Display for NotLocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotLocked::FileError(error) => error.fmt(f),
            NotLocked::Unsafe(found) => found.fmt(f),
            NotLocked::Held {
                state_dir,
                pid,
                command,
            } => {
                show_holder(f, *pid, command.as_deref())?;
                let state_dir = state_dir.display();
                write!(f, ", holds {state_dir}: stop it first")
            }
        }
    }
}

/// Shows the daemon that has a lock, as far as it is known.
pub(crate) fn show_holder(
    f: &mut fmt::Formatter<'_>,
    pid: Option<u32>,
    command: Option<&str>,
) -> fmt::Result {
    f.write_str("another daemon")?;
    if let Some(pid) = pid {
        write!(f, ", process {pid}")?;
    }
    match command {
        Some(command) => write!(f, " ({command})"),
        None => Ok(()),
    }
}

impl std::error::Error for NotLocked {}
