//! Small files that outlive a power failure: each changes atomically, or not at all.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::fsync;

use super::super::errno::errno_of;
use super::error::FileError;
use super::lines;
use super::open::{directory_and_name, make_directories, open, open_to_read, write_all};
use super::path_watch::Way;

/// Replaces a file, and makes the directories above it. A new file has this mode.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u16) -> Result<(), FileError> {
    // To rename over a symbolic link would replace the link.
    let path = &target(path)?;
    let (directory, _) = directory_and_name(path);
    make_directories(directory).map_err(|e| FileError::new("create", directory, e))?;
    replace(path, bytes, mode).map_err(|e| FileError::new("write", path, e))?;
    flush(directory);
    Ok(())
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let path = &target(path)?;
    match fs::remove_file(path) {
        Err(e) if !matches!(errno_of(&e), Errno::ENOENT | Errno::ENOTDIR) => {
            return Err(FileError::new("remove", path, e));
        }
        _ => {}
    }
    flush(directory_and_name(path).0);
    Ok(())
}

/// The name, too, is to outlive a power failure. Some file systems cannot promise it: then nothing is lost but that.
fn flush(directory: &Path) {
    let _ = open_to_read(directory).map(fsync);
}

/// Writes a file beside it, and renames that over it: a reader never finds a partial one.
fn replace(path: &Path, bytes: &[u8], mode: u16) -> io::Result<()> {
    let (directory, name) = directory_and_name(path);
    if matches!(name.as_bytes(), b"" | b"." | b"..") {
        return Err(ErrorKind::InvalidFilename.into());
    }
    let mut unfinished = std::ffi::OsString::from(".");
    unfinished.push(name);
    unfinished.push(".tmp");
    let unfinished = directory.join(unfinished);
    // It may be left by a process that was killed. A newly created file is certainly no link.
    let _ = fs::remove_file(&unfinished);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let result = open(&unfinished, flags, mode).and_then(|file| {
        write_all(file.as_fd(), bytes)?;
        fsync(&file)?;
        fs::rename(&unfinished, path)
    });
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result
}

/// The target of a path, with all symbolic links followed, whether it exists or not.
///
/// # Errors
/// One of the links is in a directory that other users can write to: such a link could redirect the write to any file. Or
/// the target is a device, such as `/dev/null`, a pipe or a socket, which a file must not replace.
fn target(path: &Path) -> Result<PathBuf, FileError> {
    let mut way = Way::new(path);
    while let Some(name) = way.names.pop() {
        let next = way.directory.join(&name);
        match fs::read_link(&next) {
            Ok(_) if others_may_write(&way.directory) => {
                let refused = FileError::new("write", path, ErrorKind::PermissionDenied.into());
                return Err(refused.advise(
                    "a symbolic link on the way stands in a directory that others may write to: name the file that it \
                     leads to, or take the right away (chmod go-w)",
                ));
            }
            Ok(target) if way.follow(&target) => {}
            // `..` is resolved by the file system.
            _ => way.directory = next,
        }
    }
    let found = way.directory;
    match fs::symlink_metadata(found.as_path()).map(|found| found.file_type()) {
        Ok(kind) if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) => {
            let refused = FileError::new("replace", &found, lines::not_regular());
            Err(refused.advise("name a file instead"))
        }
        _ => Ok(found),
    }
}

fn others_may_write(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let ours = |owner: u32| owner == 0 || owner == nix::unistd::geteuid().as_raw();
    // A directory that cannot be examined is not trusted.
    !fs::metadata(directory).is_ok_and(|found| found.mode() & 0o022 == 0 && ours(found.uid()))
}
