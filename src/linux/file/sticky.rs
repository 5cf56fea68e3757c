//! The sticky file: holds the pinned provider's id. It takes effect also if another program writes it.
//!
//! To unpin, the file is removed. An empty file has the same meaning.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::super::errno::errno_of;
use super::error::FileError;
use super::open::open;
use super::path_watch::PathWatch;
use super::{durable, lines};
use crate::limits::NAME_MAX;
use crate::types::Name;

/// Largest valid file, in bytes.
pub const SIZE_MAX: usize = 64;

/// The content of the sticky file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// no provider: the file is absent, empty or blank, or contains `auto`
    None,
    /// this id, which need not be a provider's
    Provider(Name),
    /// an invalid id; the text says what is wrong and what to do
    Invalid(String),
}

/// The sticky file, which is watched.
#[derive(Debug)]
pub struct Sticky {
    path: PathBuf,
    watch: PathWatch,
    /// the content that was read or written last
    known: Pinned,
}

impl Sticky {
    /// Begins to watch the file, and reads it: see [`Sticky::pinned`].
    pub fn open(path: &str) -> Result<Sticky, FileError> {
        let path = PathBuf::from(path);
        let watch = PathWatch::new(&path)?;
        let known = look(&path);
        Ok(Sticky { path, watch, known })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The content as last read or written.
    pub fn pinned(&self) -> &Pinned {
        &self.known
    }

    /// To be called when the descriptor is readable: whether the content has changed. [`Sticky::write`] is no change.
    pub fn changed(&mut self) -> Result<bool, FileError> {
        if !self.watch.changed()? {
            return Ok(false);
        }
        let former = core::mem::replace(&mut self.known, look(&self.path));
        Ok(former != self.known)
    }

    /// Pins a provider, or none. The file changes atomically and durably, or not at all.
    pub fn write(&mut self, id: Option<&str>) -> Result<(), FileError> {
        let wanted = match id {
            Some(id) => Pinned::Provider(Name::try_from(id).map_err(|_| {
                FileError::new("write", &self.path, ErrorKind::InvalidInput.into())
            })?),
            None => Pinned::None,
        };
        // Flash memory is not written without need.
        if look(&self.path) != wanted {
            write(&self.path, id)?;
        }
        self.known = wanted;
        Ok(())
    }
}

impl AsFd for Sticky {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// Reads a sticky file.
pub fn look(path: &Path) -> Pinned {
    match read(path) {
        Ok(bytes) => parse(&bytes).unwrap_or_else(|wrong| {
            Pinned::Invalid(format!(
                "{}: {wrong}; expected one provider's id, or an empty file",
                path.display()
            ))
        }),
        // A file in place of a directory, or a dangling link, is no pin either; a write reports it.
        Err(e) if matches!(errno_of(&e), Errno::ENOENT | Errno::ENOTDIR) => Pinned::None,
        Err(e) => Pinned::Invalid(FileError::new("read", path, e).to_string()),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Do not wait until the other end of a pipe is opened.
    let file = open(path, OFlag::O_NONBLOCK, 0)?;
    let mut bytes = Vec::new();
    lines::read(&file, SIZE_MAX + 1, &mut bytes)?;
    Ok(bytes)
}

/// Parses the text of a sticky file: its first line that is not blank, without surrounding blanks.
///
/// # Errors
/// It is no valid id; the text says why.
pub fn parse(bytes: &[u8]) -> Result<Pinned, String> {
    if bytes.len() > SIZE_MAX {
        return Err(format!("holds more than {SIZE_MAX} bytes"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err("holds something other than text".to_string());
    };
    let id = text.trim().lines().next().unwrap_or_default().trim_end();
    if id.is_empty() || id == "auto" {
        return Ok(Pinned::None);
    }
    if id.chars().any(char::is_control) {
        return Err("holds something other than text".to_string());
    }
    match Name::try_from(id) {
        Ok(name) => Ok(Pinned::Provider(name)),
        Err(_) => Err(format!("`{id}` is longer than {NAME_MAX} bytes")),
    }
}

fn write(path: &Path, id: Option<&str>) -> Result<(), FileError> {
    match id {
        Some(id) => durable::write(path, format!("{id}\n").as_bytes(), 0o644),
        None => durable::remove(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(id: &str) -> Result<Pinned, String> {
        Ok(Pinned::Provider(Name::try_from(id).unwrap()))
    }

    #[test]
    fn an_id_is_found_among_blanks() {
        for text in [
            "isp2",
            "isp2\n",
            "isp2\r\n",
            "  isp2\t\n",
            "\n\nisp2\n",
            "isp2\nisp1\n",
            // no-break and ideographic spaces, of a page that it was copied from
            "\u{a0}isp2\u{3000}\n",
        ] {
            assert_eq!(parse(text.as_bytes()), provider("isp2"), "{text:?}");
        }
        for text in ["", "\n", " \r\n\t ", "auto\n"] {
            assert_eq!(parse(text.as_bytes()), Ok(Pinned::None), "{text:?}");
        }
    }

    #[test]
    fn an_invalid_id_is_refused_with_the_reason() {
        let longest = "x".repeat(NAME_MAX);
        assert_eq!(parse(longest.as_bytes()), provider(&longest));
        for (bytes, reason) in [
            (&b"isp\xff"[..], "other than text"),
            (b"isp\x002", "other than text"),
            (&[b'x'; NAME_MAX + 1], "longer than 31 bytes"),
            (&[b' '; SIZE_MAX + 1], "more than 64 bytes"),
        ] {
            let wrong = parse(bytes).unwrap_err();
            assert!(wrong.contains(reason), "{wrong}");
        }
    }
}
