//! Probes: their sockets and commands.
//!
//! | module | job |
//! |---|---|
//! | [`prober`] | sends the probes of all types, receives their answers |
//! | [`icmp`] | the raw sockets that send echo requests and receive their answers |
//! | [`session`] | the sessions of checks with servers, over TCP and UDP |
//! | `ports` | their local ports, which do not come again soon |
//! | [`packet`] | the packet sockets for ARP and neighbour discovery |
//! | `arrivals` | the packet sockets that see answers which this machine drops |
//! | [`exec`] | the commands of `exec` checks |
//! | [`share`] | how the room for sessions and commands is shared |
//! | `bpf` | the socket filters: only replies to our probes wake the process |

mod arrivals;
pub(super) mod bpf;
pub mod exec;
pub mod icmp;
pub mod packet;
mod ports;
pub mod prober;
pub mod session;
pub mod share;

use std::os::fd::BorrowedFd;

use heapless::VecView;
use nix::errno::Errno;

use super::poll::Interest;
use session::Serial;

/// Names a socket of the prober.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// a path's raw socket, by the path's index
    Echo(usize),
    /// a path's packet socket, likewise
    Link(usize),
    /// a session's socket
    Session(Serial),
}

/// Registers a socket with the poller; the last argument: the socket is new.
pub(crate) type Register<'w> =
    &'w dyn Fn(BorrowedFd<'_>, Source, Interest, bool) -> Result<(), Errno>;

/// Removes the entries that are not kept; the others do not stay in order. An empty list is not written to: that would touch
/// its memory pages.
fn keep_only<T>(list: &mut VecView<T>, is_kept: &dyn Fn(&T) -> bool) {
    let mut place = 0;
    while let Some(entry) = list.get(place) {
        if is_kept(entry) {
            place += 1;
        } else {
            list.swap_remove(place);
        }
    }
}
