//! The state directory: created if it does not exist, refused if other users can write to it, and watched, because cleaners
//! of temporary files delete what has not been used for long.

use std::fmt;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::geteuid;

use super::error::FileError;
use super::open::{c_path, make_directories};

/// Write permission for the group or for others.
const OTHERS_WRITE: u32 = 0o022;

/// Why a directory cannot be used as the state directory.
#[derive(Debug)]
pub enum Unsafe {
    /// it belongs to this user, not to the daemon's user
    Owner(PathBuf, u32),
    /// users other than its owner can write to it
    Mode(PathBuf, u32),
    /// it could not be created or examined
    FileError(FileError),
}

/// Creates the directory and its parents if necessary, and checks that it is safe: another user that can write to it could
/// replace the daemon's files.
pub fn make(state_dir: &str) -> Result<(), Unsafe> {
    let path = Path::new(state_dir);
    let failed = |error| Unsafe::FileError(FileError::new("create state_dir", path, error));
    make_directories(path).map_err(failed)?;
    let found = fs::metadata(path).map_err(failed)?;
    if found.uid() != geteuid().as_raw() {
        return Err(Unsafe::Owner(path.to_owned(), found.uid()));
    }
    match found.mode() & OTHERS_WRITE {
        0 => Ok(()),
        _ => Err(Unsafe::Mode(path.to_owned(), found.mode() & 0o7777)),
    }
}

/// Whether an error means that nothing can be written there. This is no reason to leave a router without failover.
pub(crate) fn is_full(errno: Option<Errno>) -> bool {
    matches!(
        errno,
        Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS | Errno::EIO)
    )
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsafe::FileError(error) => error.fmt(f),
            Unsafe::Owner(path, owner) => {
                let (path, us) = (path.display(), geteuid());
                write!(
                    f,
                    "state_dir {path} belongs to user {owner}, who could put other files in the place of ours: `chown {us} \
                     {path}`, or set another state_dir"
                )
            }
            Unsafe::Mode(path, mode) => {
                let path = path.display();
                write!(
                    f,
                    "others than its owner may write to state_dir {path} (mode {mode:04o}): `chmod go-w {path}`, or set \
                     another state_dir"
                )
            }
        }
    }
}

/// Becomes readable when a file of a state directory, or the directory itself, was deleted (inotify(7)). The daemon's own
/// changes do not count: it renames files.
#[derive(Debug)]
pub(crate) struct Guard(Inotify);

impl Guard {
    /// Watches an existing directory.
    ///
    /// # Errors
    /// The directory does not exist, or the system has no room for another watch.
    pub(crate) fn new(state_dir: &str) -> Result<Guard, Errno> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let what = AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(&*c_path(Path::new(state_dir))?, what)?;
        Ok(Guard(inotify))
    }

    /// Discards the pending events.
    pub(crate) fn drain(&self) {
        let mut waste = [0; 512];
        while nix::unistd::read(&self.0, &mut waste).is_ok_and(|count| count > 0) {}
    }
}

impl AsFd for Guard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
