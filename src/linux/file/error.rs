//! A failed file operation, its cause, and advice for the user.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use nix::errno::Errno;

use crate::linux::errno;

/// A failed operation on a file or directory. Shown as `cannot write /x: Read-only file system: …`.
#[derive(Debug)]
pub struct FileError {
    /// the verb: `read`, `write`, `watch` …
    doing: &'static str,
    /// the file or directory
    path: PathBuf,
    /// the system's error
    error: io::Error,
    /// what the user can do; empty if unknown
    advice: &'static str,
}

impl FileError {
    /// With the advice for this error, whatever the operation.
    pub fn new(doing: &'static str, path: &Path, error: io::Error) -> FileError {
        FileError {
            advice: advice(&error),
            doing,
            path: path.to_path_buf(),
            error,
        }
    }

    /// With other advice.
    pub(crate) fn advise(mut self, advice: &'static str) -> FileError {
        self.advice = advice;
        self
    }

    /// The errno, if there is one.
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
    fn it_names_operation_file_cause_and_advice() {
        let read_only = || io::Error::from_raw_os_error(Errno::EROFS as i32);
        let error = FileError::new("write", Path::new("/etc/x"), read_only());
        assert_eq!(
            error.to_string(),
            "cannot write /etc/x: Read-only file system: put it on a file system that can be written"
        );
        assert_eq!(error.errno(), Some(Errno::EROFS));
        assert!(error.advise("retry").to_string().ends_with(": retry"));
    }
}
