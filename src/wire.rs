//! Bytes ↔ meaning: what goes over wires and into files. Formats are smoltcp's and postcard's.
//!
//! | module | job |
//! |---|---|
//! | [`icmp`] | probes and their answers |
//! | [`control`] | what daemon and client say to each other; the field names of `status --json` |
//! | [`decimal`] | a number with three decimals |
//! | [`frame`] | a control message → one frame, and back |
//! | [`netifd`] | what OpenWrt's netifd says of an interface |
//! | [`state`] | what a run leaves to the next one |

pub mod control;
pub mod decimal;
pub mod frame;
pub mod icmp;
pub mod netifd;
pub mod state;
