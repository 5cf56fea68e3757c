//! The one file with `unsafe`: the few system calls that nix has no safe wrapper for.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

/// Lets only those packets into a socket that a classic BPF program accepts (`SO_ATTACH_FILTER`, socket(7)).
pub(super) fn attach_filter(
    socket: BorrowedFd,
    program: &[libc::sock_filter],
) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?,
        filter: program.as_ptr().cast_mut(),
    };
    set_option(
        socket,
        libc::SOL_SOCKET,
        libc::SO_ATTACH_FILTER,
        std::slice::from_ref(&program),
    )
}

/// Sets a socket option that is an array of words.
pub(super) fn set_words(
    socket: BorrowedFd,
    level: libc::c_int,
    name: libc::c_int,
    words: &[u32],
) -> Result<(), Errno> {
    set_option(socket, level, name, words)
}

fn set_option<T>(
    socket: BorrowedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &[T],
) -> Result<(), Errno> {
    let len = libc::socklen_t::try_from(size_of_val(value)).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `value` is valid for reads of `len` bytes, and so is what its one pointer (sock_fprog's) leads to; the
    // kernel copies both during the call and writes neither (net/core/filter.c, copy_bpf_fprog_from_user).
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), len) };
    Errno::result(result).map(drop)
}

/// Keeps every descriptor but the first three from child processes, those too that we were started with
/// (close_range(2), since Linux 5.11; on older kernels nothing happens: ours are all opened with `O_CLOEXEC`).
pub(super) fn close_on_exec() {
    // SAFETY: takes three integers; it sets a flag on descriptors, and closes none.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3 as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

/// How many lines a terminal has (`TIOCGWINSZ`, ioctl_tty(2)). `None`: it is no terminal.
pub(super) fn terminal_rows(terminal: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the descriptor is open for the borrow's time, and TIOCGWINSZ writes one `winsize`, which `size` is.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some(size.ws_row)
}
