//! The IPv6 prefixes that are delegated to providers: addresses of the LAN are taken from them.

use heapless::Vec;

use crate::limits::DELEGATED_MAX;
use crate::types::{Prefix, Slot};

/// The prefixes of all providers.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C)] // what is small stands by the beginning of the list
pub struct Delegated {
    /// By slot, bit by bit: a provider has more than there is room for.
    pub crowded: u64,
    /// Each with its provider, slot by slot, without host bits.
    pub list: Vec<(Slot, Prefix), DELEGATED_MAX>,
}

impl Delegated {
    /// None.
    pub const fn new() -> Delegated {
        Delegated {
            crowded: 0,
            list: Vec::new(),
        }
    }
}
