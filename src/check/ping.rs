//! `ping`: an ICMP echo, answered in full by the host that was asked.

use core::net::IpAddr;

use super::{Common, Type, Way};
use crate::option::section::Options;
use crate::types::Family;
use crate::wire::icmp::{PAYLOAD_LEN, PAYLOAD_MAX};

/// An ICMP echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// the address to ping
    pub target: IpAddr,
    /// bytes after the ICMP header
    pub size: u16,
    /// time to live, or hop limit; 0: the system's
    pub ttl: u8,
    /// differentiated services code point (RFC 2474)
    pub dscp: u8,
}

impl Ping {
    /// A ping with default options.
    pub const fn new(target: IpAddr) -> Ping {
        Ping {
            target,
            size: PAYLOAD_LEN,
            ttl: 0,
            dscp: 0,
        }
    }
}

impl Type for Ping {
    type Session = ();

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Ping, Family)> {
        let (mut size, mut ttl, mut dscp) = (PAYLOAD_LEN.into(), 0, 0);
        options.number("size", PAYLOAD_LEN.into(), PAYLOAD_MAX.into(), &mut size);
        options.number("ttl", 1, 255, &mut ttl);
        options.number("dscp", 0, 63, &mut dscp);
        let target = common.address(options, "the address to ping")?;
        let ping = Ping {
            target,
            // Within the bounds above.
            size: size.try_into().ok()?,
            ttl: ttl.try_into().ok()?,
            dscp: dscp.try_into().ok()?,
        };
        Some((ping, Family::of(target)))
    }

    fn way(&self) -> Way<'_> {
        Way::Echo(self)
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.target)
    }
}
