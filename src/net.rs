//! The few network types that every module shares: family, per-family pair, metric, prefix.

use core::fmt;
use core::net::IpAddr;
use core::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

pub use smoltcp::time::{Duration, Instant};
/// A network prefix with an address in it, as `192.0.2.7/24`.
pub use smoltcp::wire::IpCidr as Prefix;

/// An address family. A provider has one path in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4
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

/// One value a family, indexed by [`Family`].
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

/// The network that an address with its prefix length is in: `192.0.2.7/24` → `192.0.2.0/24`.
pub fn network_of(prefix: Prefix) -> Prefix {
    let length = prefix.prefix_len();
    let hosts = |bits: u8| u128::MAX.checked_shr(128 - u32::from(bits.saturating_sub(length)));
    let address = match IpAddr::from(prefix.address()) {
        IpAddr::V4(address) => {
            #[allow(clippy::cast_possible_truncation)] // at most the lowest 32 bits are set
            let hosts = hosts(32).unwrap_or(0) as u32;
            IpAddr::V4((address.to_bits() & !hosts).into())
        }
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !hosts(128).unwrap_or(0)).into()),
    };
    Prefix::new(address.into(), length)
}

/// A route's metric (the kernel's `RTA_PRIORITY`): the lowest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Metric(pub u32);

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
