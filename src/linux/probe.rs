//! Probes: the sockets and commands that ask, and what comes back.
//!
//! | module | job |
//! |---|---|
//! | [`prober`] | asks what checks ask, in whatever way they ask it |
//! | [`icmp`] | the raw sockets that send echo requests and receive their answers |
//! | [`session`] | the sessions of checks with servers, over TCP and UDP |
//! | [`packet`] | the packet sockets that ask neighbours on the link |
//! | [`exec`] | the commands of `exec` checks |
//! | [`share`] | how the room for sessions and commands is shared |
//! | `bpf` | the socket filters: only our replies wake us |

mod bpf;
pub mod exec;
pub mod icmp;
pub mod packet;
pub mod prober;
pub mod session;
pub mod share;
