//! Bytes ↔ meaning: what goes over wires and into files. Formats are smoltcp's, postcard's, and [`codec`]'s.
//!
//! | module | job |
//! |---|---|
//! | [`icmp`] | probes and their answers |
//! | [`control`] | what daemon and client say to each other |
//! | [`snapshot`] | how things stand, as types; the field names of `status --json` |
//! | [`codec`] | the fields of a control message ↔ bytes |
//! | [`dns`] | a question to a DNS server and its answer |
//! | [`http`] | a request to a web server and its response |
//! | [`neighbour`] | who is on the link: ARP, and IPv6's neighbour discovery |
//! | [`decimal`] | a number with three decimals |
//! | [`frame`] | a control message → one frame, and back |
//! | [`json`] | JSON as a stream |
//! | [`netifd`] | what OpenWrt's netifd says of its interfaces |
//! | `seal` | a hash under a secret key: what a probe is known again by |
//! | [`journal`] | the kinds and causes of the journal |
//! | [`saved_state`] | what a run leaves to the next one |

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
mod seal;
pub mod snapshot;
