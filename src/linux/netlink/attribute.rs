//! Headers and attributes: the lengths and types that libc does not define; values ↔ bytes.

use core::net::IpAddr;

use heapless::{Vec, VecView};
use nix::errno::Errno;
use rtnetlink::packet_core::{NLA_ALIGNTO, NLA_HEADER_SIZE, NLA_TYPE_MASK, NLM_F_REQUEST};

use crate::limits::DEVICE_MAX;
use crate::linux::netlink::prefilter::{INET, INET6};
use crate::linux::netlink::socket::HEADER;
use crate::types::DeviceName;

/// The device by which the router's own packets come to the rules (`iif`).
pub(super) const OWN_PACKETS: &str = "lo";
/// The length of `struct ifinfomsg`, the longest header.
pub(super) const LINK_HEADER: usize = 16;
/// That of `struct ifaddrmsg`.
pub(super) const ADDRESS_HEADER: usize = 8;
/// That of `struct rtmsg`, and of `struct fib_rule_hdr`, which is like it.
pub(super) const ROUTE_HEADER: usize = 12;
/// That of `struct nhmsg`, the header of a nexthop object (linux/nexthop.h).
pub(super) const NEXTHOP_HEADER: usize = 8;
// linux/rtnetlink.h
pub(super) const RTNH_F_ONLINK: u8 = 4;
pub(super) const RTA_VIA: u16 = 18;
pub(super) const RTA_PREF: u16 = 20;
pub(super) const RTA_ENCAP_TYPE: u16 = 21;
pub(super) const RTA_ENCAP: u16 = 22;
pub(super) const RTA_UID: u16 = 25;
pub(super) const RTA_NH_ID: u16 = 30;
// linux/nexthop.h
pub(super) const NHA_ID: u16 = 1;
pub(super) const NHA_GROUP: u16 = 2;
pub(super) const NHA_OIF: u16 = 5;
pub(super) const NHA_GATEWAY: u16 = 6;
// linux/if_link.h; since Linux 5.5
pub(super) const IFLA_PROP_LIST: u16 = 52;
pub(super) const IFLA_ALT_IFNAME: u16 = 53;
// linux/fib_rules.h
pub(super) const FR_ACT_TO_TBL: u8 = 1;
pub(super) const FR_ACT_GOTO: u8 = 2;
pub(super) const FR_ACT_UNREACHABLE: u8 = 7;
pub(super) const FIB_RULE_INVERT: u32 = 2;
pub(super) const FRA_DST: u16 = 1;
pub(super) const FRA_SRC: u16 = 2;
pub(super) const FRA_IIFNAME: u16 = 3;
pub(super) const FRA_GOTO: u16 = 4;
pub(super) const FRA_PRIORITY: u16 = 6;
pub(super) const FRA_FWMARK: u16 = 10;
pub(super) const FRA_SUPPRESS_IFGROUP: u16 = 13;
pub(super) const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
pub(super) const FRA_TABLE: u16 = 15;
pub(super) const FRA_FWMASK: u16 = 16;
pub(super) const FRA_OIFNAME: u16 = 17;
pub(super) const FRA_PROTOCOL: u16 = 21;

/// The longest request: a batch for one of netfilter's sets of devices.
const REQUEST_MAX: usize = 384;

/// Messages to the kernel that are being written.
pub(in crate::linux) struct Request {
    bytes: Vec<u8, REQUEST_MAX>,
    /// where the last message begins
    start: usize,
    /// there was no room for a part of it
    is_cut: bool,
}

impl Request {
    /// A request with one message. The sequence number is set when it is sent.
    pub(in crate::linux) fn new(kind: u16, flags: u16, header: &[u8]) -> Request {
        let mut request = Request {
            bytes: Vec::new(),
            start: 0,
            is_cut: false,
        };
        request.begin(kind, flags, header);
        request
    }

    /// Begins another message.
    pub(in crate::linux) fn begin(&mut self, kind: u16, flags: u16, header: &[u8]) {
        self.start = self.bytes.len();
        let mut common = [0; HEADER];
        common[4..6].copy_from_slice(&kind.to_ne_bytes());
        common[6..8].copy_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        self.add(&common);
        self.add(header);
    }

    /// Adds attributes that have their headers already, or another part of the message.
    pub(in crate::linux) fn add(&mut self, part: &[u8]) {
        self.is_cut |= self.bytes.extend_from_slice(part).is_err();
        self.set_length();
    }

    /// Adds an attribute.
    pub(in crate::linux) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.is_cut |= copy(&mut self.bytes, kind, value).is_none();
        self.set_length();
    }

    fn set_length(&mut self) {
        let message = &mut self.bytes[self.start..];
        let length = u32::try_from(message.len()).unwrap_or(0);
        if let Some(place) = message.first_chunk_mut() {
            *place = length.to_ne_bytes();
        }
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    pub(super) fn address(&mut self, kind: u16, value: IpAddr) {
        match value {
            IpAddr::V4(v4) => self.attribute(kind, &v4.octets()),
            IpAddr::V6(v6) => self.attribute(kind, &v6.octets()),
        }
    }

    /// An address with its family before it (`struct rtvia`, linux/rtnetlink.h).
    pub(super) fn any_address(&mut self, kind: u16, value: IpAddr) {
        let mut via = [0; 2 + 16];
        let (family, length) = match value {
            IpAddr::V4(v4) => {
                via[2..6].copy_from_slice(&v4.octets());
                (INET, 6)
            }
            IpAddr::V6(v6) => {
                via[2..].copy_from_slice(&v6.octets());
                (INET6, 18)
            }
        };
        via[..2].copy_from_slice(&u16::from(family).to_ne_bytes());
        self.attribute(kind, &via[..length]);
    }

    /// A name, with a terminating zero byte.
    pub(super) fn name(&mut self, kind: u16, value: &str) {
        let mut name = [0; DEVICE_MAX + 1];
        let length = value.len().min(DEVICE_MAX);
        name[..length].copy_from_slice(&value.as_bytes()[..length]);
        self.attribute(kind, &name[..=length]);
    }

    /// The whole.
    ///
    /// # Errors
    /// There was no room for it.
    pub(in crate::linux) fn bytes(&mut self) -> Result<&mut [u8], Errno> {
        match self.is_cut {
            true => Err(Errno::EMSGSIZE),
            false => Ok(&mut self.bytes),
        }
    }
}

/// The attributes in a message: the type and the value of each. `None` is a malformed one, behind which none are found.
pub(in crate::linux) struct Each<'a>(pub(in crate::linux) &'a [u8]);

impl<'a> Iterator for Each<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = core::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        let Some(&[a, b, c, d]) = bytes.first_chunk::<NLA_HEADER_SIZE>() else {
            return Some(None);
        };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(NLA_HEADER_SIZE..length);
        if value.is_some() {
            let padded = length.next_multiple_of(NLA_ALIGNTO);
            self.0 = bytes.get(padded..).unwrap_or_default();
        }
        let kind = u16::from_ne_bytes([c, d]) & NLA_TYPE_MASK;
        Some(value.map(|value| (kind, value)))
    }
}

/// Adds an attribute to those that are copied. None: there is no room.
pub(in crate::linux) fn copy(copied: &mut VecView<u8>, kind: u16, value: &[u8]) -> Option<()> {
    let length = u16::try_from(NLA_HEADER_SIZE + value.len()).ok()?;
    copied.extend_from_slice(&length.to_ne_bytes()).ok()?;
    copied.extend_from_slice(&kind.to_ne_bytes()).ok()?;
    copied.extend_from_slice(value).ok()?;
    let padded = copied.len().next_multiple_of(NLA_ALIGNTO);
    copied.resize(padded, 0).ok()
}

#[inline(never)] // called in many places
pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

/// An address; its length determines the family.
#[inline(never)] // called in many places
pub(super) fn address(value: &[u8]) -> Option<IpAddr> {
    match *value {
        [a, b, c, d] => Some([a, b, c, d].into()),
        _ => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
    }
}

/// See [`Request::any_address`].
pub(super) fn any_address(value: &[u8]) -> Option<IpAddr> {
    address(value.get(2..)?)
}

/// See [`Request::name`].
pub(super) fn device(value: &[u8]) -> Option<DeviceName> {
    DeviceName::try_from(name(value)?).ok()
}

/// A name of any length, with a terminating zero byte.
pub(super) fn name(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|byte| *byte == 0)?;
    core::str::from_utf8(&value[..end]).ok()
}
