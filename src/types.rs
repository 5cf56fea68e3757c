//! Types that several layers use.

mod fault;
mod journal;
mod marks;
mod standing;

use core::fmt;
use core::net::IpAddr;
use core::ops::{Index, IndexMut};

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::limits::{DEVICE_GIVEN_MAX, DEVICE_MAX, FILE_PATH_MAX, NAME_MAX, PATHS_MAX, TARGET_MAX};

pub use fault::Fault;
pub use journal::{
    Cause, Ground, Judged, Kind, Measure, Measured, Missed, OFFLOADED, Other, Ours, Repeats, State,
    Subject,
};
pub use marks::MarkMask;
pub use smoltcp::time::{Duration, Instant};
/// A network prefix with an address in it, as `192.0.2.7/24`.
pub use smoltcp::wire::IpCidr as Prefix;
pub use standing::{Duty, LastResort, Lead, Preempt, Verdict};

/// The first of the deadlines that there are.
pub fn soonest(deadlines: &[&Option<Instant>]) -> Option<Instant> {
    deadlines.iter().copied().flatten().min().copied()
}

/// An address family. A provider has one path in each.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Family {
    /// IPv4
    #[default]
    #[serde(rename = "ipv4")]
    V4,
    /// IPv6
    #[serde(rename = "ipv6")]
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The family of a prefix.
    pub const fn of_prefix(prefix: &Prefix) -> Family {
        match prefix {
            Prefix::Ipv4(_) => Family::V4,
            Prefix::Ipv6(_) => Family::V6,
        }
    }

    /// The command that deletes the default route of a metric in `main` that refuses. In IPv6, where another one may have
    /// the same metric, such a route is by the device `lo`.
    pub const fn delete_refusing(self) -> &'static str {
        match self {
            Family::V4 => "ip -4 route del default metric",
            Family::V6 => "ip -6 route del default dev lo metric",
        }
    }

    /// `ipv4` or `ipv6`, as in status and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value per family, indexed by [`Family`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerFamily<T> {
    /// IPv4's
    pub v4: T,
    /// IPv6's
    pub v6: T,
}

impl<T> Index<Family> for PerFamily<T> {
    type Output = T;
    fn index(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

impl<T> IndexMut<Family> for PerFamily<T> {
    fn index_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// The address in a prefix.
#[inline(never)] // one for all callers
pub fn address_in(prefix: &Prefix) -> IpAddr {
    prefix.address().into()
}

/// The network that an address with its prefix length is in: `192.0.2.7/24` → `192.0.2.0/24`.
pub fn network_of(prefix: Prefix) -> Prefix {
    let mask = |octets: &mut [u8]| {
        let mut left = prefix.prefix_len();
        for octet in octets {
            let bits = left.min(8);
            *octet &= !(0xff_u8.checked_shr(bits.into()).unwrap_or(0));
            left -= bits;
        }
    };
    let address: IpAddr = match address_in(&prefix) {
        IpAddr::V4(address) => {
            let mut octets = address.octets();
            mask(&mut octets);
            octets.into()
        }
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            mask(&mut octets);
            octets.into()
        }
    };
    Prefix::new(address.into(), prefix.prefix_len())
}

/// A route's metric (the kernel's `RTA_PRIORITY`): the lowest wins.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Metric(pub u32);

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The protocol of everything that is ours in the kernel, named `failover` in `rt_protos.d`.
pub const PROTOCOL: u8 = 176;

/// The protocol of what DHCP clients set (linux/rtnetlink.h), some of them.
pub const RTPROT_DHCP: u8 = 16;

/// The protocol of what the kernel, and some programs, set by router advertisements.
pub const RTPROT_RA: u8 = 9;

/// The first automatic policy table; the others follow by slot.
pub const POLICY_TABLE_FIRST: u32 = 17601;

/// The metric that the kernel uses for an IPv6 metric of 0, and for routes learned from router advertisements
/// (`IP6_RT_PRIO_USER`, linux/ipv6_route.h).
pub const IPV6_USUAL: Metric = Metric(1024);

/// The main routing table's number.
pub const TABLE_MAIN: u32 = 254;

/// The default routing table's number.
pub const TABLE_DEFAULT: u32 = 253;

/// The number of the kernel's own table.
pub const TABLE_LOCAL: u32 = 255;

/// A provider's id or a check's name.
pub type Name = String<NAME_MAX>;

/// A device's name.
pub type DeviceName = String<DEVICE_MAX>;

/// A name by which a configuration calls a device: the kernel's, or an alternative one (`ip link property add altname`).
pub type GivenDevice = String<DEVICE_GIVEN_MAX>;

/// A name of an interface of netifd's: of a configured one, or of a dynamic one.
pub type InterfaceName = String<TARGET_MAX>;

/// A file's path.
pub type FilePath = String<FILE_PATH_MAX>;

/// A provider's permanent number, from 0, kept across reloads and restarts. The policy table, the rules' preferences and
/// the probes' sockets are numbered by it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Slot(pub u8);

impl Slot {
    /// The set of this one, bit by bit.
    #[inline(never)] // on MIPS, a shift of 64 bits takes a dozen instructions
    pub fn bit(self) -> u64 {
        1_u64.checked_shl(self.0.into()).unwrap_or(0)
    }
}

/// The prefixes of one provider, of a list in which all of a provider stand together.
#[inline(never)]
pub fn prefixes_of(list: &[(Slot, Prefix)], slot: Slot) -> &[(Slot, Prefix)] {
    let mut each = list.chunk_by(|(one, _), (next, _)| one == next);
    let own = each.find(|own| own.first().is_some_and(|(of, _)| *of == slot));
    own.unwrap_or_default()
}

/// One provider in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId {
    /// the provider
    pub slot: Slot,
    /// the family
    pub family: Family,
}

impl PathId {
    /// From 0 to below [`PATHS_MAX`].
    pub const fn index(self) -> usize {
        self.slot.0 as usize * 2 + self.family as usize
    }

    /// The path of an index; none when there is no such path.
    pub const fn from_index(index: usize) -> Option<PathId> {
        if index >= PATHS_MAX {
            return None;
        }
        let family = if index.is_multiple_of(2) {
            Family::V4
        } else {
            Family::V6
        };
        #[allow(clippy::cast_possible_truncation)] // below PATHS_MAX / 2
        Some(PathId {
            slot: Slot((index / 2) as u8),
            family,
        })
    }
}

/// A firewall mark under a mask, as `0x10/0xff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// what the masked mark must equal
    pub value: u32,
    /// which bits are compared
    pub mask: u32,
}

/// A path's rounds are numbered from 0 since the daemon started; the number wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Round(pub u32);

/// A set of a path's checks: bit i is its check number i.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSet(pub u8);

impl CheckSet {
    /// Every check.
    pub const ALL: CheckSet = CheckSet(u8::MAX);

    /// How many.
    #[inline(never)] // counting bits takes two dozen instructions on MIPS
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Only this one.
    pub const fn of(number: u8) -> CheckSet {
        CheckSet(1 << (number & 7))
    }
}

/// Why a path cannot be probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    /// its device does not exist
    #[default]
    NoDevice,
    /// its device is administratively down
    Down,
    /// its device has no carrier
    NoCarrier,
    /// it has no address of its own
    NoAddress,
    /// nor has it this one: another host on the link has it (duplicate address detection failed)
    Duplicate,
    /// it has no gateway
    NoGateway,
    /// another provider has its device
    DeviceTaken(Slot),
    /// the kernel refuses its default route
    RouteRefused,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Waiting::NoDevice => "no device",
            Waiting::Down => "down",
            Waiting::NoCarrier => "no carrier",
            Waiting::NoAddress => "no address",
            Waiting::Duplicate => "no address: duplicate (DAD failed)",
            Waiting::NoGateway => "no gateway",
            Waiting::DeviceTaken(_) => "device taken",
            Waiting::RouteRefused => "route refused",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_no_host_bits() {
        for (prefix, network) in [
            ("192.0.2.77/26", "192.0.2.64/26"),
            ("192.0.2.77/32", "192.0.2.77/32"),
            ("192.0.2.77/31", "192.0.2.76/31"),
            ("203.0.113.9/1", "128.0.0.0/1"),
            ("192.0.2.77/0", "0.0.0.0/0"),
            ("2001:db8:1:5678::1/50", "2001:db8:1:4000::/50"),
            ("2001:db8::1/128", "2001:db8::1/128"),
            ("2001:db8::1/0", "::/0"),
        ] {
            let prefix: Prefix = prefix.parse().unwrap();
            assert_eq!(network_of(prefix), network.parse().unwrap());
        }
    }
}
