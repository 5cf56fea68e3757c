//! Netlink: one socket for requests, one for events.
//!
//! Headers and sockets are rtnetlink's. Its connection is not used: it is a future with channels, while a request needs no
//! more than to be sent, and its answers read before a deadline. Its messages are not used either: they read and write
//! every attribute of devices, queues and tunnels, and would be more than half of the program.
//!
//! | module | job |
//! |---|---|
//! | [`requests`] | carry out a change; dump a kind of things into the mirror |
//! | `ask` | ask by which way packets would leave |
//! | [`events`] | what the kernel tells unasked, into the mirror |
//! | `socket` | the socket; datagrams → messages |
//! | `prefilter` | which messages concern us, told before they are decoded |
//! | `attribute` | values ↔ the bytes of attributes |
//! | `decode` | message → [`crate::routing::mirror::News`] |
//! | `encode` | [`crate::routing::objects::Change`] → message |

mod ask;
mod attribute;
mod decode;
mod encode;
pub mod events;
mod prefilter;
pub mod requests;
mod socket;

pub use events::{Drained, Events};
pub use requests::Requests;

#[cfg(test)]
mod tests;
