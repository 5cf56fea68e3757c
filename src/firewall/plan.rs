//! What the table depends on. Health is not part of it: a swap does not change the table.

use heapless::Vec;

use crate::limits::PROVIDERS_MAX;
use crate::types::{DeviceName, Mark, MarkMask, PerFamily, Slot};

/// What the table depends on.
#[derive(Clone, Debug)]
#[repr(C)] // what is small stands by the beginning of the list
pub struct Plan {
    /// the bits of marks that are ours
    pub marks: MarkMask,
    /// whether inbound connections are answered by the provider that they came by
    pub answers: bool,
    /// whether IPv6 from another provider's prefix is masqueraded
    pub foreign: bool,
    /// whether the kernel can tell what IPsec protects: one without it refuses to be asked
    pub ipsec: bool,
    /// the providers
    pub members: Vec<Member, PROVIDERS_MAX>,
}

/// A provider in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// its slot
    pub slot: Slot,
    /// its devices; empty: none in this family
    pub device: PerFamily<DeviceName>,
    /// its own `mark`, which is not another program's
    pub own: Option<Mark>,
    /// whether inbound connections by it are answered by it, where the plan says so at all (all but `rt_table 'none'`)
    pub answers: bool,
    /// whether its connections are recorded as its own (all but `connections 'off'` and `rt_table 'none'`)
    pub records: bool,
    /// whether its connections stay with it by their mark
    pub restores: bool,
    /// whether the kernel checks sources strictly, marks included (`rp_filter` 1 and `src_valid_mark` 1): packets that
    /// arrive by it need their connection's mark, too
    pub strict: bool,
    /// whether IPv4 that is not the router's own is masqueraded
    pub masquerade: bool,
}

impl Plan {
    /// Nothing, for a static.
    pub const fn new() -> Plan {
        Plan {
            marks: MarkMask::EMPTY,
            answers: false,
            foreign: false,
            ipsec: false,
            members: Vec::new(),
        }
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::new()
    }
}
