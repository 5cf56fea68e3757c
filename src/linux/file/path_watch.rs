//! Detects that the file at a path may have changed; no part of the path need exist (inotify(7)).
//!
//! Every directory of the path is watched for the next name of the path: `/` for `etc`, `/etc` for `failover`,
//! `/etc/failover` for the file; for a symbolic link, its target's path as well. So everything that appears, disappears or
//! is replaced along the path is detected, and the path is walked again.
//!
//! Each directory is watched before the next name is looked up, and all of them before the caller reads the file: a change
//! is either visible to the lookup or an event. Only a mount over a directory is not detected.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::error::FileError;
use super::open::c_path;

/// Most symbolic links in a path; the kernel's own limit is 40.
const LINKS_MAX: usize = 16;
/// Most directories in a path.
const DEPTH_MAX: usize = 64;

/// The events of a name. A written file counts when it is closed: not between `>`, which truncates it, and `echo`, which
/// fills it.
const MASK: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_ONLYDIR);

/// A directory, and the name in it that is watched for.
#[derive(Debug)]
struct Watched {
    descriptor: WatchDescriptor,
    name: OsString,
    /// it is the name of the file, not of a directory
    last: bool,
}

/// Watches one path.
#[derive(Debug)]
pub struct PathWatch {
    inotify: Inotify,
    path: PathBuf,
    watched: Vec<Watched>,
}

impl PathWatch {
    /// Begins to watch: from now on, no change is missed.
    pub fn new(path: &Path) -> Result<PathWatch, FileError> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|errno| watch_error(path, errno))?;
        let mut watch = PathWatch {
            inotify,
            path: path.to_path_buf(),
            watched: Vec::new(),
        };
        watch.walk()?;
        Ok(watch)
    }

    /// Reads all pending events; returns whether the file at the path may have changed. Allocates nothing if it has not.
    pub fn changed(&mut self) -> Result<bool, FileError> {
        let (mut changed, mut way_changed) = (false, false);
        let mut buffer = [0; 1024];
        loop {
            let mut rest = match nix::unistd::read(&self.inotify, &mut buffer) {
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(watch_error(&self.path, errno)),
            };
            while let Some((event, after)) = Event::parse(rest) {
                rest = after;
                if let Some(watched) = self.concerned(&event) {
                    changed = true;
                    way_changed |= !(watched && event.mask.contains(AddWatchFlags::IN_CLOSE_WRITE));
                }
            }
        }
        if way_changed {
            self.walk()?;
        }
        Ok(changed)
    }

    /// `None` if the event is about another name; else whether it is about the file itself.
    fn concerned(&self, event: &Event<'_>) -> Option<bool> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(false);
        }
        let gone = event.mask.contains(AddWatchFlags::IN_IGNORED);
        self.watched
            .iter()
            .find(|watched| {
                watched.descriptor.as_raw() == event.descriptor
                    && (gone || watched.name.as_bytes() == event.name)
            })
            .map(|watched| watched.last && !gone)
    }

    /// Watches every directory of the path as it is now, and no others.
    fn walk(&mut self) -> Result<(), FileError> {
        let former = std::mem::take(&mut self.watched);
        let result = self.follow();
        // After the new ones are set, so that a directory that stays is never unwatched.
        for old in former {
            if !self.watches(old.descriptor) {
                // The kernel removed the watch of a deleted directory.
                let _ = self.inotify.rm_watch(old.descriptor);
            }
        }
        result
    }

    fn watches(&self, descriptor: WatchDescriptor) -> bool {
        self.watched.iter().any(|w| w.descriptor == descriptor)
    }

    fn follow(&mut self) -> Result<(), FileError> {
        let mut way = Way::new(&self.path);
        while let Some(name) = way.names.pop() {
            let directory = c_path(&way.directory);
            match directory.and_then(|directory| self.inotify.add_watch(&*directory, MASK)) {
                Ok(descriptor) if self.watched.len() < DEPTH_MAX => self.watched.push(Watched {
                    descriptor,
                    name: name.clone(),
                    last: way.names.is_empty(),
                }),
                Ok(_) => return Err(watch_error(&way.directory, Errno::ENAMETOOLONG)),
                // It was deleted a moment ago: that is an event of the directory above.
                Err(Errno::ENOENT | Errno::ENOTDIR) => break,
                Err(errno) => return Err(watch_error(&way.directory, errno)),
            }
            let next = way.directory.join(&name);
            match fs::read_link(&next) {
                Ok(target) if way.follow(&target) => {}
                Err(_) if next.is_dir() => way.directory = next,
                // The file, or nothing yet, or a file where a directory should be; or too many links.
                _ => break,
            }
        }
        Ok(())
    }
}

impl AsFd for PathWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// A path that is followed name by name.
pub(super) struct Way {
    /// where it has led so far
    pub(super) directory: PathBuf,
    /// the names still to follow, the next one last
    pub(super) names: Vec<OsString>,
    /// the symbolic links that were followed
    links: usize,
}

impl Way {
    /// At the beginning of a path.
    pub(super) fn new(path: &Path) -> Way {
        Way {
            directory: PathBuf::from(if path.is_absolute() { "/" } else { "." }),
            names: names(path),
            links: 0,
        }
    }

    /// Goes on by the target of a symbolic link. False: there were too many.
    pub(super) fn follow(&mut self, target: &Path) -> bool {
        self.links += 1;
        if self.links > LINKS_MAX {
            return false;
        }
        if target.is_absolute() {
            self.directory = PathBuf::from("/");
        }
        self.names.append(&mut names(target));
        true
    }
}

/// The names of a path, the first one last.
fn names(path: &Path) -> Vec<OsString> {
    let mut names = Vec::new();
    for name in path.as_os_str().as_bytes().rsplit(|byte| *byte == b'/') {
        if !matches!(name, b"" | b".") {
            names.push(OsStr::from_bytes(name).to_os_string());
        }
    }
    names
}

fn watch_error(path: &Path, errno: Errno) -> FileError {
    let error = FileError::new("watch", path, errno.into());
    match errno {
        Errno::ENOSPC => error.advise("raise fs.inotify.max_user_watches with sysctl"),
        Errno::EMFILE => error.advise("raise fs.inotify.max_user_instances with sysctl"),
        _ => error,
    }
}

/// `struct inotify_event` (linux/inotify.h), with numbers in native byte order. Parsed here, because nix allocates for
/// each event.
struct Event<'a> {
    descriptor: i32,
    mask: AddWatchFlags,
    name: &'a [u8],
}

impl<'a> Event<'a> {
    /// The first event of a buffer, and the others.
    fn parse(bytes: &'a [u8]) -> Option<(Event<'a>, &'a [u8])> {
        let (descriptor, rest) = bytes.split_first_chunk::<4>()?;
        let (mask, rest) = rest.split_first_chunk::<4>()?;
        let (_cookie, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
        let (name, rest) = rest.split_at_checked(length)?;
        let event = Event {
            descriptor: i32::from_ne_bytes(*descriptor),
            mask: AddWatchFlags::from_bits_retain(u32::from_ne_bytes(*mask)),
            // Padded with NULs.
            name: name.split(|byte| *byte == 0).next().unwrap_or_default(),
        };
        Some((event, rest))
    }
}
