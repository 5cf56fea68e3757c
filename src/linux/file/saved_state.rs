//! The saved state's file, `state` in the state directory: written on transitions, read once at start.
//!
//! It is replaced by rename(2), so that a reader finds either the old or the new file, complete. It is not flushed to disk:
//! the state directory is on a tmpfs, and after a power failure the state would be of another boot anyway.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::super::errno::errno_of;
use super::error::FileError;
use super::lines;
use super::open::{open, write_all};
use crate::wire::saved_state::{
    BootId, Record, Records, STATE_MAX, Unusable, VERSION, Writer, records,
};

const NAME: &str = "state";
const NAME_UNFINISHED: &str = "state.tmp";
/// Size of the write buffer, in bytes.
const BUFFER: usize = 1024;

/// Replaces the file by one with the records that `fill` writes.
pub fn write(
    state_dir: &str,
    boot: BootId,
    fill: impl FnOnce(&mut dyn FnMut(&Record<'_>)),
) -> Result<(), FileError> {
    let path = Path::new(state_dir).join(NAME);
    let unfinished = Path::new(state_dir).join(NAME_UNFINISHED);
    let written = write_file(&unfinished, boot, fill).and_then(|()| fs::rename(&unfinished, &path));
    written.map_err(|e| {
        // A partial file only takes room, and the old file would give the next run outdated state.
        let _ = fs::remove_file(&unfinished);
        let _ = fs::remove_file(&path);
        FileError::new("save the state in", &path, e)
    })
}

fn write_file(
    path: &Path,
    boot: BootId,
    fill: impl FnOnce(&mut dyn FnMut(&Record<'_>)),
) -> io::Result<()> {
    // An existing file is left by a run that was killed, or is foreign: it may be a link to another file.
    match fs::remove_file(path) {
        Err(e) if errno_of(&e) != Errno::ENOENT => return Err(e),
        _ => {}
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let file = open(path, flags, 0o600)?;
    let mut unwritten = Vec::with_capacity(BUFFER);
    let mut writer = Writer::new(boot, |bytes: &[u8]| {
        if unwritten.len() + bytes.len() > BUFFER {
            write_all(file.as_fd(), &unwritten)?;
            unwritten.clear();
        }
        unwritten.extend_from_slice(bytes);
        Ok::<_, io::Error>(())
    })?;
    let mut result = Ok(());
    fill(&mut |record| {
        if result.is_ok() {
            result = writer.record(record);
        }
    });
    result?;
    writer.finish()?;
    Ok(write_all(file.as_fd(), &unwritten)?)
}

/// The result of reading the file.
pub enum Loaded {
    /// no file
    Nothing,
    /// a file that cannot be used; the text says why, for the log
    Ignored(String),
    /// a valid file of this boot
    Saved(Saved),
}

/// A valid file.
pub struct Saved {
    bytes: Vec<u8>,
    boot: BootId,
}

impl Saved {
    /// Its records, in the order written. May be called more than once.
    pub fn records(&self) -> Records<'_> {
        records(&self.bytes, self.boot).unwrap_or_default()
    }
}

/// Reads the file, at most [`STATE_MAX`] bytes of it.
pub fn read(state_dir: &str, boot: BootId) -> Loaded {
    let path = Path::new(state_dir).join(NAME);
    let ignored = |why: &str| Loaded::Ignored(format!("ignoring {}: {why}", path.display()));
    let mut bytes = Vec::new();
    // In a directory that other users can write to, it could be a link, or a pipe.
    let file = lines::open(&path, OFlag::O_NOFOLLOW);
    match file.and_then(|file| lines::read(&file, STATE_MAX + 1, &mut bytes)) {
        Err(e) if errno_of(&e) == Errno::ENOENT => return Loaded::Nothing,
        Err(e) => return Loaded::Ignored(FileError::new("read", &path, e).to_string()),
        Ok(()) if bytes.len() > STATE_MAX => return ignored("it is too long to be a saved state"),
        Ok(()) => {}
    }
    match records(&bytes, boot) {
        Ok(_) => Loaded::Saved(Saved { bytes, boot }),
        Err(Unusable::Boot) => ignored("it was saved before the machine was started anew"),
        Err(Unusable::Version(version)) => ignored(&format!(
            "it has format {version}, of another version of failover; this one reads {VERSION}"
        )),
        Err(Unusable::Damaged) => ignored("it is damaged"),
    }
}
