//! The kernel settings that hinder probes and marked traffic: reading them, and the command that changes them. And whether
//! packets are forwarded.
//!
//! Those are per device under `net.ipv4.conf` (Documentation/networking/ip-sysctl.rst). Some are combined with `all`.

use std::fmt;

use heapless::String;

use super::file::open::read_text;
use crate::text::text;
use crate::types::Family;

/// Longer than a path with any name of a device and an option.
const PATH_MAX: usize = 80;
const ROOT: &str = "/proc/sys/net/ipv4/conf";

/// The effective reverse-path filtering of a device: 0 none, 1 strict, 2 loose; the larger value of `all` and the device.
/// None if there is no such device.
pub fn rp_filter(device: &str) -> Option<u8> {
    Some(read(device, "rp_filter")?.max(read("all", "rp_filter")?))
}

/// Whether reverse-path filtering uses the packet's mark: set for `all` or the device.
pub fn src_valid_mark(device: &str) -> Option<bool> {
    either(device, "src_valid_mark")
}

/// Whether a device answers ARP requests for the addresses of other devices: `arp_ignore` and `arp_filter` are 0, both of the
/// device and of `all`.
pub fn answers_for_others(device: &str) -> bool {
    let is_on = |option| either(device, option) == Some(false);
    is_on("arp_ignore") && is_on("arp_filter")
}

/// Whether the kernel forwards packets of a family.
pub fn forwards(family: Family) -> bool {
    let path = match family {
        Family::V4 => "/proc/sys/net/ipv4/ip_forward",
        Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
    };
    read_text(path, &mut [0; 8]).is_some_and(|value| value != "0")
}

fn either(device: &str, option: &str) -> Option<bool> {
    Some((read(device, option)? | read("all", option)?) != 0)
}

fn read(device: &str, option: &str) -> Option<u8> {
    let path: String<PATH_MAX> = text(format_args!("{ROOT}/{device}/{option}"));
    let number: u32 = read_text(&path, &mut [0; 8])?.parse().ok()?;
    u8::try_from(number).ok()
}

/// Shown as the command that sets a device's option: `sysctl -w net.ipv4.conf.eth1.rp_filter=2`.
#[derive(Clone, Copy, Debug)]
pub struct Cure<'a> {
    /// the device, or `all`
    pub device: &'a str,
    /// the option, as `rp_filter`
    pub option: &'a str,
    /// what to set it to
    pub value: u8,
}

impl fmt::Display for Cure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sysctl -w {}", Setting(*self))
    }
}

/// The same without the name of the command, which takes several.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a>(pub Cure<'a>);

impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting(Cure {
            device,
            option,
            value,
        }) = self;
        // A device's name may contain dots; with slashes as separators, sysctl(8) keeps them.
        let dot = if device.contains('.') { '/' } else { '.' };
        write!(f, "net{dot}ipv4{dot}conf{dot}{device}{dot}{option}={value}")
    }
}
