//! The state directory: made when there is none, refused when others could meddle with it, and watched, as cleaners of
//! temporary files take away what nobody has touched for long.

use std::fmt;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::geteuid;

use super::error::FileError;
use super::open::make_directories;

/// May be written by its group, or by all.
const OTHERS_WRITE: u32 = 0o022;

/// Why a directory is no place for the state.
#[derive(Debug)]
pub enum Unsafe {
    /// it belongs to this user, who is not the one we run as
    Owner(PathBuf, u32),
    /// others than its owner may write to it
    Mode(PathBuf, u32),
    /// it could not be made, or looked at
    FileError(FileError),
}

/// Makes the directory, with those above, when there is none, and looks whether it is safe: whoever else may write there
/// could put other files in the place of ours.
pub fn make(state_dir: &str) -> Result<(), Unsafe> {
    let path = Path::new(state_dir);
    let trouble = |error| Unsafe::FileError(FileError::new("create state_dir", path, error));
    make_directories(path).map_err(trouble)?;
    let found = fs::metadata(path).map_err(trouble)?;
    if found.uid() != geteuid().as_raw() {
        return Err(Unsafe::Owner(path.to_owned(), found.uid()));
    }
    match found.mode() & OTHERS_WRITE {
        0 => Ok(()),
        _ => Err(Unsafe::Mode(path.to_owned(), found.mode() & 0o7777)),
    }
}

/// Whether an error says that nothing can be written there, which is no reason to leave a router without failover.
pub fn is_full(errno: Option<Errno>) -> bool {
    matches!(
        errno,
        Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS | Errno::EIO)
    )
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsafe::FileError(trouble) => trouble.fmt(f),
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

/// Becomes readable when something of a state directory, or the directory itself, has been deleted (inotify(7)). What the
/// daemon does there itself is nothing of the kind: it renames.
#[derive(Debug)]
pub struct Guard(Inotify);

impl Guard {
    /// Watches a directory that is there.
    ///
    /// # Errors
    /// It is not, or the system has no room for another watch.
    pub fn new(state_dir: &str) -> Result<Guard, Errno> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let what = AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(state_dir, what)?;
        Ok(Guard(inotify))
    }

    /// Forgets what has happened.
    pub fn drain(&self) {
        let mut waste = [0; 512];
        while nix::unistd::read(&self.0, &mut waste).is_ok_and(|count| count > 0) {}
    }
}

impl AsFd for Guard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
