//! Opens files, and makes directories. std's `OpenOptions` has error texts of its own, which bring the escaping of texts and
//! its tables into the program: five kilobytes. std's `DirBuilder` compares paths: another kilobyte.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{mkdir, read, write};

/// Opens a file to be read, or as `flags` say (open(2)); one that is made has this mode. A child has it until it becomes
/// another program.
pub fn open(path: impl AsRef<Path>, flags: OFlag, mode: u16) -> io::Result<File> {
    open_path(path.as_ref(), flags, Mode::from_bits_truncate(mode.into()))
}

fn open_path(path: &Path, flags: OFlag, mode: Mode) -> io::Result<File> {
    loop {
        match nix::fcntl::open(path, flags | OFlag::O_CLOEXEC, mode) {
            Err(Errno::EINTR) => {}
            opened => return Ok(opened?.into()),
        }
    }
}

/// A path for the kernel: nix's functions that take a `Path` make it with code of their own each.
pub(crate) fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// Opens a file to be read.
pub fn open_to_read(path: impl AsRef<Path>) -> io::Result<File> {
    open(path, OFlag::O_RDONLY, 0)
}

/// Writes all of these bytes.
pub(crate) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads once: as much as the buffer has room for, or as is there.
pub(crate) fn read_some(from: &File, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match read(from, buffer) {
            Err(Errno::EINTR) => {}
            got => return got,
        }
    }
}

/// Reads a short text of the kernel's, as far as the buffer has room for it.
pub(crate) fn read_text<'b>(path: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    let length = read_some(&open_to_read(path).ok()?, buffer).ok()?;
    let text = core::str::from_utf8(buffer.get(..length)?).ok()?;
    Some(text.trim_ascii())
}

/// The directory of a file, as its path says, and its name there. std's `parent` and `file_name` take another kilobyte.
pub fn directory_and_name(path: &Path) -> (&Path, &OsStr) {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    let directory = match &bytes[..bytes.len() - name.len()] {
        b"/" => b"/",
        above => above.strip_suffix(b"/").unwrap_or_default(),
    };
    (
        Path::new(OsStr::from_bytes(directory)),
        OsStr::from_bytes(name),
    )
}

/// Makes a directory, and those above it, for all to read. One that exists is no error.
pub fn make_directories(path: &Path) -> io::Result<()> {
    let mode = Mode::from_bits_truncate(0o755);
    let c_path = c_path(path)?;
    let mut made = mkdir(&*c_path, mode);
    if made == Err(Errno::ENOENT)
        && let (above, _) = directory_and_name(path)
        && !above.as_os_str().is_empty()
    {
        make_directories(above)?;
        made = mkdir(&*c_path, mode);
    }
    match made {
        Err(errno) if !path.is_dir() => Err(errno.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        for (path, directory, name) in [
            ("/etc/config/dhcp", "/etc/config", "dhcp"),
            ("etc/config", "etc", "config"),
            ("/etc", "/", "etc"),
            ("/", "/", ""),
            ("etc", "", "etc"),
            ("", "", ""),
        ] {
            let found = directory_and_name(Path::new(path));
            assert_eq!(found, (Path::new(directory), OsStr::new(name)), "{path}");
        }
    }

    #[test]
    fn directories_are_made_with_all_above_them() {
        let top = std::env::temp_dir().join(format!("failover-made-{}", std::process::id()));
        let lowest = top.join("a/b");
        for _ in 0..2 {
            make_directories(&lowest).unwrap();
        }
        let made = std::fs::metadata(&lowest).unwrap();
        assert!(made.is_dir() && made.permissions().mode() & 0o777 & !0o755 == 0);
        std::fs::write(top.join("file"), "").unwrap();
        for place in ["file", "file/a"] {
            let error = make_directories(&top.join(place)).unwrap_err();
            assert!(error.raw_os_error().is_some(), "{place}: {error}");
        }
        std::fs::remove_dir_all(top).unwrap();
    }
}
