//! Opens files. std's `OpenOptions` can fail with texts of its own, and so brings along how a text is shown with its
//! characters escaped, with tables of them: five kilobytes of the program.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

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

/// Opens a file to be read.
pub fn open_to_read(path: impl AsRef<Path>) -> io::Result<File> {
    open(path, OFlag::O_RDONLY, 0)
}
