//! The few system calls that nix has no safe wrapper for. (The other file with `unsafe` is `heap.rs`.)
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

/// Attaches a classic BPF program to a socket, which drops all packets that it does not accept (`SO_ATTACH_FILTER`,
/// socket(7)).
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

/// Binds a socket to one device (`SO_BINDTODEVICE`, socket(7)). nix's wrapper needs the name on the heap.
pub(super) fn bind_to_device(socket: BorrowedFd, device: &str) -> Result<(), Errno> {
    if device.is_empty() {
        return Err(Errno::ENODEV); // to the kernel, an empty name means any device
    }
    set_option(
        socket,
        libc::SOL_SOCKET,
        libc::SO_BINDTODEVICE,
        device.as_bytes(),
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

/// A link-layer destination, for packet sockets (packet(7)).
pub(super) struct LinkLayer {
    /// the device's index
    pub(super) device: u32,
    /// the EtherType
    pub(super) protocol: u16,
    /// the link-layer address
    pub(super) address: [u8; 6],
}

impl LinkLayer {
    fn raw(&self) -> Result<libc::sockaddr_ll, Errno> {
        let [a, b, c, d, e, f] = self.address;
        Ok(libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).map_err(|_| Errno::EINVAL)?,
            sll_protocol: self.protocol.to_be(),
            sll_ifindex: i32::try_from(self.device).map_err(|_| Errno::EINVAL)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [a, b, c, d, e, f, 0, 0],
        })
    }
}

const LINK_LAYER_LEN: libc::socklen_t = {
    let len = size_of::<libc::sockaddr_ll>();
    assert!(len < 128);
    #[allow(clippy::cast_possible_truncation)] // see above
    let len = len as libc::socklen_t;
    len
};

/// Binds a packet socket to a device and a protocol. Returns the device's address, if it is an Ethernet device.
pub(super) fn bind_to_link(
    socket: BorrowedFd,
    device: u32,
    protocol: u16,
) -> Result<Option<[u8; 6]>, Errno> {
    let place = LinkLayer {
        device,
        protocol,
        address: [0; 6],
    };
    let mut own = place.raw()?;
    // SAFETY: `own` is a sockaddr_ll, and the length is its own; the kernel only reads it.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const own).cast(), LINK_LAYER_LEN) };
    Errno::result(result)?;
    let mut len = LINK_LAYER_LEN;
    // SAFETY: the kernel writes at most `len` bytes to `own`, which has as many, and how many it wrote to `len`.
    let result =
        unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut own).cast(), &raw mut len) };
    Errno::result(result)?;
    let [a, b, c, d, e, f, ..] = own.sll_addr;
    let ethernet = own.sll_hatype == libc::ARPHRD_ETHER && own.sll_halen == 6;
    Ok(ethernet.then_some([a, b, c, d, e, f]))
}

/// Sends one packet, without its link header, over a packet socket.
pub(super) fn send_to_link(socket: BorrowedFd, to: &LinkLayer, bytes: &[u8]) -> Result<(), Errno> {
    let to = to.raw()?;
    // SAFETY: `bytes` is valid for reads of its length, `to` is a sockaddr_ll, and the length is its own.
    let result = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const to).cast(),
            LINK_LAYER_LEN,
        )
    };
    Errno::result(result).map(drop)
}

/// Sets close-on-exec on every descriptor except the first three, including inherited ones (close_range(2), since Linux
/// 5.11; on older kernels nothing happens: this program opens all of its own with `O_CLOEXEC`).
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

/// Standard output. std's own has a buffer, and code to flush it when the program ends.
pub(super) fn stdout() -> BorrowedFd<'static> {
    // SAFETY: std opens the first three descriptors before `main` if they are not, and nothing here closes them.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}

/// Ends the program (_exit(2)): nothing here is buffered, and nothing is to be done at exit.
pub(super) fn exit(status: i32) -> ! {
    // SAFETY: takes one integer, and does not return.
    unsafe { libc::_exit(status) }
}

/// The number of lines of a terminal (`TIOCGWINSZ`, ioctl_tty(2)). `None`: it is no terminal.
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

/// Drops a capability from the bounding set of this process, for itself and its children (PR_CAPBSET_DROP,
/// capabilities(7)).
///
/// # Errors
/// EINVAL: there is no such capability. EPERM: CAP_SETPCAP is missing.
pub(super) fn renounce(capability: u32) -> Result<(), Errno> {
    // SAFETY: this option takes one number, and no pointer.
    let result = unsafe {
        libc::prctl(
            libc::PR_CAPBSET_DROP,
            libc::c_ulong::from(capability),
            0,
            0,
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Keeps only these capabilities, of the first 32, as permitted and effective (capset(2)).
pub(super) fn keep_capabilities(set: u32) -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    // `struct __user_cap_header_struct`: the version, and this thread; two of `struct __user_cap_data_struct`: effective,
    // permitted, inheritable.
    let mut header: [u32; 2] = [VERSION_3, 0];
    let data: [[u32; 3]; 2] = [[set, set, 0], [0; 3]];
    // SAFETY: both are laid out as in linux/capability.h, which has 32-bit numbers only, and live during the call; the
    // kernel reads the data, and may write to the header.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) };
    Errno::result(result).map(drop)
}
