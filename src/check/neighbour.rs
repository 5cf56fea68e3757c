//! `arp` and `ndp`: whether a neighbour, usually the gateway, answers on the link. Needs no address of our own.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Common, Pace, Type, Way};
use crate::option::section::{Given, Options};
use crate::types::{Duration, Family};

/// Slow, because requests are broadcast or multicast on the link.
const PACE: Pace = Pace {
    least: Duration::from_secs(1),
    rounds: 1,
};

/// By ARP, in IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// the neighbour's address; none: the gateway's
    pub target: Option<Ipv4Addr>,
}

/// By neighbour discovery, in IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ndp {
    /// the neighbour's address; none: the gateway's
    pub target: Option<Ipv6Addr>,
}

impl Type for Arp {
    type Session = ();

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Arp, Family)> {
        let target = match target(options, common, Family::V4)? {
            Some(IpAddr::V4(target)) => Some(target),
            _ => None,
        };
        Some((Arp { target }, Family::V4))
    }

    fn pace(&self) -> Pace {
        PACE
    }

    fn way(&self) -> Way<'_> {
        Way::Link(self.target.map(IpAddr::V4))
    }
}

impl Type for Ndp {
    type Session = ();

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Ndp, Family)> {
        let target = match target(options, common, Family::V6)? {
            Some(IpAddr::V6(target)) => Some(target),
            _ => None,
        };
        Some((Ndp { target }, Family::V6))
    }

    fn pace(&self) -> Pace {
        PACE
    }

    fn way(&self) -> Way<'_> {
        Way::Link(self.target.map(IpAddr::V6))
    }
}

/// The target, if one is given; it and the family must be those that the type asks for.
fn target(
    options: &mut Options<'_, '_, '_>,
    common: &Common,
    family: Family,
) -> Option<Option<IpAddr>> {
    let expected = match family {
        Family::V4 => "arp is for ipv4; ndp is its like for ipv6",
        Family::V6 => "ndp is for ipv6; arp is its like for ipv4",
    };
    if let Given::Is(given, line) = common.family
        && given != family
    {
        options.refuse("family", given.name(), line, expected);
        return None;
    }
    let Given::Is((), line) = common.given else {
        return common.given.is_absent().then_some(None);
    };
    let target = common.address(options, "")?;
    if Family::of(target) != family {
        options.refuse("target", &common.target, line, expected);
        return None;
    }
    Some(Some(target))
}
