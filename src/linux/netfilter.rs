//! The kernel's netfilter, by netlink: entries of connection tracking, and our table of nftables.
//!
//! | module | job |
//! |---|---|
//! | `connections` | connection tracking: deletes entries by their mark, counts them |
//! | `table` | our table: its digest, the set `moved`, its deletion |
//! | [`table_watch`] | reports that our table may have been changed by another program |
//!
//! The text of the table is loaded by a child, `nft`: see [`super::process::nft`].

mod connections;
mod table;
pub mod table_watch;
#[cfg(test)]
mod tests;

pub use connections::{count, count_by_mark, delete_by_address, deletes_by_address, offloads};
pub use table::DeviceSet;
pub use table_watch::TableWatch;

use heapless::{Vec, VecView};
use nix::errno::Errno;
use nix::libc;
use rtnetlink::packet_core::NLA_F_NESTED;

use crate::limits::REQUEST_PATIENCE;
use crate::linux::errno::fault;
use crate::linux::netlink::attribute::{Request, copy};
use crate::linux::netlink::exchange::Exchange;
use crate::types::{Family, Fault};

// linux/netfilter/nfnetlink.h
/// A message's type is its subsystem times this, plus the type within the subsystem.
const SUBSYSTEM: u16 = 0x100;
/// The length of `struct nfgenmsg`: family, version, resource (in network order).
const BODY: usize = 4;

/// Room for the datagrams of answers; they have one short message.
const ROOM: usize = 1024;

/// The socket for requests. It is opened by the first one.
pub struct Netfilter {
    exchange: Exchange,
}

/// Attributes of a message, or of an attribute.
type Attributes = Vec<u8, 96>;

impl Netfilter {
    /// Opens nothing yet.
    #[allow(clippy::new_without_default)] // as elsewhere
    pub const fn new() -> Netfilter {
        Netfilter {
            exchange: Exchange::new(libc::NETLINK_NETFILTER, ROOM, REQUEST_PATIENCE),
        }
    }

    /// Sends a request whose last message asks for an acknowledgement; returns that, or the first error.
    fn acknowledged(&mut self, request: &mut Request) -> Result<(), Errno> {
        self.exchange.send(request, &mut |_, _| false).map(drop)
    }
}

/// Adds an attribute that consists of attributes. None: there is no room.
fn nest(attributes: &mut VecView<u8>, kind: u16, inner: &[u8]) -> Option<()> {
    copy(attributes, NLA_F_NESTED | kind, inner)
}

/// The number of an address family.
fn address_family(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// The fault for an errno. The kernel returns EINVAL for a subsystem that it does not have (nfnetlink_rcv_msg,
/// net/netfilter/nfnetlink.c).
fn fault_of(errno: Errno) -> Fault {
    match errno {
        Errno::EINVAL => Fault::NotSupported,
        other => fault(other),
    }
}
