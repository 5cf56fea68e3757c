//! Bytes ↔ meaning: what goes over wires and into files. DNS is smoltcp's, the saved state is postcard's.
//!
//! | module | job |
//! |---|---|
//! | [`icmp`] | probes and their answers |
//! | [`control`] | what daemon and client say to each other |
//! | [`snapshot`] | how things stand, as types; the field names of `status --json` |
//! | [`codec`] | the fields of a control message ↔ bytes |
//! | [`dns`] | a question to a DNS server and its answer |
//! | [`http`] | a request to a web server and its response |
//! | [`neighbour`] | ARP, and IPv6 neighbour discovery |
//! | [`decimal`] | a number with three decimals |
//! | [`frame`] | a control message → one frame, and back |
//! | [`json`] | a streaming JSON parser |
//! | [`netifd`] | the interface dump of OpenWrt's netifd |
//! | `parts` | messages as parts in a row, and their checksum |
//! | `seal` | a keyed hash, which authenticates probes |
//! | [`journal`] | the kinds and causes of the journal |
//! | [`saved_state`] | the state that a run leaves to the next one |

pub mod codec;
pub mod control;
pub mod decimal;
pub mod dns;
pub mod frame;
pub mod http;
pub mod icmp;
pub mod journal;
pub mod json;
pub mod neighbour;
pub mod netifd;
mod parts;
pub mod saved_state;
pub(crate) mod seal;
pub mod snapshot;
