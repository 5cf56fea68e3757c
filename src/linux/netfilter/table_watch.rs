//! Reports that our table may be gone: another program has deleted it, for example by `nft flush ruleset`.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc::{
    BPF_ABS, BPF_ADD, BPF_ALU, BPF_B, BPF_JEQ, BPF_JMP, BPF_LD, BPF_LEN, BPF_LSH, BPF_MISC,
    BPF_TAX, BPF_W, BPF_X, NETLINK_NETFILTER, sock_filter,
};

use super::BODY;
use super::table::{INET, NFT_MSG_DELTABLE, NFTA_TABLE_NAME, TABLE};
use crate::limits::DATAGRAMS_PER_DRAIN;
use crate::linux::errno::errno_of;
use crate::linux::ffi::attach_filter;
use crate::linux::netlink::attribute;
use crate::linux::netlink::socket::{Message, NetlinkSocket};
use crate::linux::probe::bpf::{ACCEPT, DROP, equal, load, statement};

/// The bit of NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h).
const GROUP: u32 = 1 << (7 - 1);
/// Room for some messages. Of a longer datagram the rest is not read: it counts as a change.
const ROOM: usize = 1024;

/// Receives the kernel's messages about deleted tables.
pub struct TableWatch {
    socket: NetlinkSocket,
}

impl TableWatch {
    /// Opens the socket.
    ///
    /// # Errors
    /// The kernel has no netfilter, or CAP_NET_ADMIN is missing.
    pub fn open() -> Result<TableWatch, Errno> {
        let socket = NetlinkSocket::open(NETLINK_NETFILTER, GROUP, ROOM);
        let socket = socket.map_err(|error| errno_of(&error))?;
        // Without it, changes of other tables wake this process, too.
        let _ = attach_filter(socket.as_fd(), &FILTER);
        Ok(TableWatch { socket })
    }

    /// The descriptor to poll before [`TableWatch::drain`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads the messages. Returns whether our table may have been deleted since: see
    /// [`super::Netfilter::table_digest`]. What this program has deleted itself is reported, too.
    pub fn drain(&mut self) -> bool {
        let mut changed = false;
        for _ in 0..DATAGRAMS_PER_DRAIN {
            match self.socket.receive() {
                Ok(mut messages) => {
                    changed |= messages.any(|message| message.as_ref().map_or(true, deletes))
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                // ENOBUFS: messages were lost.
                Err(_) => changed = true,
            }
        }
        changed
    }
}

/// Whether a message says that our table is deleted.
fn deletes(message: &Message<'_>) -> bool {
    let payload = message.payload();
    message.message_type() == NFT_MSG_DELTABLE
        && payload.first() == INET.first()
        && attribute::Each(payload.get(BODY..).unwrap_or_default())
            .flatten()
            .any(|(kind, value)| kind == NFTA_TABLE_NAME && value == TABLE)
}

/// Where in a message are the upper and the lower byte of its length (below 65536) and the lower byte of its type, which are
/// in the machine's order (`struct nlmsghdr`, linux/netlink.h).
const UPPER: u32 = if LITTLE { 1 } else { 2 };
const LOWER: u32 = if LITTLE { 0 } else { 3 };
const KIND: u32 = if LITTLE { 4 } else { 5 };
const LITTLE: bool = cfg!(target_endian = "little");

/// Passes deletions of tables, and datagrams with several messages (nft_commit_notify, net/netfilter/nf_tables_api.c), of
/// which any could be one. Drops others with one message: a new generation, an element that `dnsmasq` adds.
const FILTER: [sock_filter; 12] = [
    load(BPF_B | BPF_ABS, UPPER),
    statement(BPF_ALU | BPF_LSH, 8),
    statement(BPF_MISC | BPF_TAX, 0),
    load(BPF_B | BPF_ABS, LOWER),
    statement(BPF_ALU | BPF_ADD | BPF_X, 0),
    statement(BPF_MISC | BPF_TAX, 0),
    statement(BPF_LD | BPF_W | BPF_LEN, 0),
    sock_filter {
        jf: 2, // several messages
        ..statement(BPF_JMP | BPF_JEQ | BPF_X, 0)
    },
    load(BPF_B | BPF_ABS, KIND),
    equal(NFT_MSG_DELTABLE as u32 & 0xff, 0, 1),
    ACCEPT,
    DROP,
];
