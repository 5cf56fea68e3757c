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
    let mask = |octets: &mut [u8]| {
        let mut left = prefix.prefix_len();
        for octet in octets {
            let bits = left.min(8);
            *octet &= !(0xff_u8.checked_shr(bits.into()).unwrap_or(0));
            left -= bits;
        }
    };
    let address: IpAddr = match prefix.address().into() {
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
