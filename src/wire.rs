//! Bytes ↔ meaning: what goes over wires and into files. DNS is smoltcp's, the saved state is postcard's.
//!
//! | module | job |
//! |---|---|
//! | [`icmp`] | probes and their answers |
//! | `checksum` | of Internet messages |
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
//! | `seal` | a keyed hash, which authenticates probes |
//! | [`journal`] | the kinds and causes of the journal |
//! | [`saved_state`] | the state that a run leaves to the next one |

mod checksum;
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
pub mod saved_state;
pub(crate) mod seal;
pub mod snapshot;
