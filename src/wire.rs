//! Bytes ↔ meaning: what goes over wires and into files. Formats are smoltcp's and postcard's.

pub mod control;
pub mod frame;
pub mod icmp;
pub mod state;
