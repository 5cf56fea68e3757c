//! Listening sockets of unix(7), which only their owner can connect to.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};

use super::file::open::c_path;

/// Connections that may be pending while the listener is busy.
const BACKLOG: i32 = 64;

/// Listens at a path where nothing is. Never blocks.
pub(super) fn listener(path: &Path) -> Result<UnixListener, Errno> {
    let ours = unconnected()?;
    // The file is created with the mode of the socket's inode (`unix_bind` in net/unix/af_unix.c): it never has another.
    fchmod(&ours, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(ours.as_raw_fd(), &UnixAddr::new(&*c_path(path)?)?)?;
    listen(&ours, Backlog::new(BACKLOG)?)?;
    Ok(ours.into())
}

/// A socket that does not block.
pub(super) fn unconnected() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}
