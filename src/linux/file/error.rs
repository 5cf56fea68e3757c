//! What could not be done with a file, why, and what to do about it.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use nix::errno::Errno;

use crate::linux::errno;

/// One operation on a file or directory that failed. Shown as `cannot write /x: Read-only file system: …`.
#[derive(Debug)]
pub struct FileError {
    /// the verb: `read`, `write`, `watch` …
    doing: &'static str,
    /// what it was done to
    path: PathBuf,
    /// what the system said
    error: io::Error,
    /// what to do; empty when nobody knows
    advice: &'static str,
}

impl FileError {
    /// With the advice that goes with the error whatever was tried.
    pub fn new(doing: &'static str, path: impl AsRef<Path>, error: io::Error) -> FileError {
        FileError {
            advice: advice(&error),
            doing,
            path: path.as_ref().to_path_buf(),
            error,
        }
    }

    /// With better advice.
    pub fn advise(self, advice: &'static str) -> FileError {
        FileError { advice, ..self }
    }

    /// The error number, when the system gave one.
    pub fn errno(&self) -> Option<Errno> {
        self.error.raw_os_error().map(Errno::from_raw)
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => "run as root",
        Some(Errno::EROFS) => "put it on a file system that can be written",
        Some(Errno::ENOSPC) => "make room on that file system",
        Some(Errno::ENOTDIR | Errno::EEXIST) => "remove the file that is in a directory's place",
        Some(Errno::EISDIR) => "remove the directory that is in its place",
        Some(Errno::ELOOP) => "remove the symbolic link that is in its place",
        _ => "",
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileError {
            doing,
            path,
            error,
            advice,
        } = self;
        let said = errno::text(error);
        write!(f, "cannot {doing} {}: {said}", path.display())?;
        if !advice.is_empty() {
            write!(f, ": {advice}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FileError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_where_why_and_what_to_do() {
        let read_only = || io::Error::from_raw_os_error(Errno::EROFS as i32);
        let trouble = FileError::new("write", "/etc/x", read_only());
        assert_eq!(
            trouble.to_string(),
            "cannot write /etc/x: Read-only file system: put it on a file system that can be written"
        );
        assert_eq!(trouble.errno(), Some(Errno::EROFS));
        assert!(trouble.advise("pray").to_string().ends_with(": pray"));
    }
}
