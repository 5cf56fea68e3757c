//! Netlink: one socket for requests, one for events.
//!
//! Headers and sockets are rtnetlink's. Its connection is not used: it is asynchronous, with channels, while here a request
//! is sent and its answers are read before a deadline. Its message types are not used either: they read and write every
//! attribute of devices, queues and tunnels, and would be more than half of the program.
//!
//! | module | job |
//! |---|---|
//! | [`requests`] | makes changes; dumps a kind of object into the mirror |
//! | `ask` | asks by which route packets would leave |
//! | [`events`] | reads the kernel's events into the mirror |
//! | `exchange` | sends one request, and reads its answers |
//! | `socket` | the socket; datagrams → messages |
//! | `prefilter` | selects the messages that concern us, before they are decoded |
//! | `attribute` | values ↔ the bytes of attributes |
//! | `decode` | message → [`crate::routing::mirror::News`] |
//! | `encode` | [`crate::routing::objects::Change`] → message |

mod ask;
pub(super) mod attribute;
mod decode;
mod encode;
pub mod events;
pub(super) mod exchange;
mod prefilter;
pub mod requests;
pub(super) mod socket;

pub use events::{Drained, Events};
pub use requests::Requests;

#[cfg(test)]
mod tests;
