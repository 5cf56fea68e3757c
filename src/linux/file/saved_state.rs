//! The saved state's file, `state` in the state directory: written on transitions, read once at start.
//!
//! It is replaced by rename, so that a reader finds the old or the new one, whole. It is not flushed to the disk: the
//! state directory is on a tmpfs, and a state that did not outlive a power failure would be of another boot anyway.

use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use nix::fcntl::OFlag;

use super::error::FileError;
use super::lines;
use super::open::open;
use crate::wire::saved_state::{
    BootId, Record, Records, STATE_MAX, Unusable, VERSION, Writer, records,
};

const NAME: &str = "state";
const NAME_UNFINISHED: &str = "state.tmp";
/// Gathers records before they go to the file, in bytes.
const BUFFER: usize = 1024;

/// Replaces the file by the records that `fill` puts.
pub fn write(
    state_dir: &str,
    boot: BootId,
    fill: impl FnOnce(&mut dyn FnMut(&Record<'_>)),
) -> Result<(), FileError> {
    let path = Path::new(state_dir).join(NAME);
    let unfinished = Path::new(state_dir).join(NAME_UNFINISHED);
    let written = write_file(&unfinished, boot, fill).and_then(|()| fs::rename(&unfinished, &path));
    written.map_err(|e| {
        // Half a new one only takes room; and an old one would tell the next run what is so no more.
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
    // What stands there is of a run that was killed, or not ours: it may be a link to somebody's file.
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let mut file = BufWriter::with_capacity(BUFFER, open(path, flags, 0o600)?);
    let mut writer = Writer::new(boot, |bytes: &[u8]| file.write_all(bytes))?;
    let mut result = Ok(());
    fill(&mut |record| {
        if result.is_ok() {
            result = writer.record(record);
        }
    });
    result?;
    writer.finish()?;
    file.flush()
}

/// What a former run left.
pub enum Loaded {
    /// no file
    Nothing,
    /// a file that is not to be believed; the text says why, for the log
    Ignored(String),
    /// a sound file of this boot
    Saved(Saved),
}

/// A sound file.
pub struct Saved {
    bytes: Vec<u8>,
    boot: BootId,
}

impl Saved {
    /// What it holds, in the order written. May be asked more than once.
    pub fn records(&self) -> Records<'_> {
        records(&self.bytes, self.boot).unwrap_or_default()
    }
}

/// Reads the file, at most [`STATE_MAX`] bytes of it.
pub fn read(state_dir: &str, boot: BootId) -> Loaded {
    let path = Path::new(state_dir).join(NAME);
    let ignored = |why: &str| Loaded::Ignored(format!("ignoring {}: {why}", path.display()));
    let mut bytes = Vec::new();
    // Where others may write it could be a link, or a pipe without an end.
    let file = lines::open(&path, OFlag::O_NOFOLLOW);
    match file.and_then(|file| lines::read(&file, STATE_MAX + 1, &mut bytes)) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Loaded::Nothing,
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
