//! The text of one value → a typed value. An error says what is expected; a message shows it after the value.

use core::net::{IpAddr, Ipv6Addr};

use crate::limits::{DEVICE_GIVEN_MAX, FILE_PATH_MAX, INTERFACE_NAME_MAX, NAME_MAX};
use crate::types::{Duration, Family, Mark, MarkMask, Prefix, network_of};

/// A value, or the text of what is expected. Of texts, which are kept as they are, there is no value.
pub type Expected<T> = Result<T, &'static str>;

/// `1`, `0` and their names.
pub fn boolean(text: &str) -> Expected<bool> {
    const TRUE: [&str; 5] = ["1", "yes", "on", "true", "enabled"];
    const FALSE: [&str; 5] = ["0", "no", "off", "false", "disabled"];
    match TRUE.contains(&text) {
        true => Ok(true),
        false if FALSE.contains(&text) => Ok(false),
        false => Err("expected 1 or 0 (or yes no, on off, true false, enabled disabled)"),
    }
}

/// A whole number in decimal digits.
pub fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

const DURATION: &str = "expected a duration, as 5, 0.3, 300ms, 5s, 2m or 1h";
/// The most digits after a point: nanoseconds, which are rounded down to microseconds.
const FRACTION_DIGITS_MAX: usize = 9;

/// `5` and `0.3` are seconds; units are `ms`, `s`, `m` and `h`.
pub(crate) fn duration(text: &str) -> Expected<Duration> {
    let unit_at = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit() && byte != b'.');
    let (amount, unit) = text.split_at(unit_at.unwrap_or(text.len()));
    let unit_us: u64 = match unit {
        "" | "s" => 1_000_000,
        "ms" => 1_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(DURATION),
    };
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    if fraction.len() > FRACTION_DIGITS_MAX {
        return Err(DURATION);
    }
    // Both are below 2^32, and a unit is, too: no overflow.
    let micros = u64::from(number(whole).ok_or(DURATION)?) * unit_us;
    let numerator = u64::from(number(fraction).ok_or(DURATION)?);
    let denominator = fraction.bytes().fold(1, |all, _| all * 10);
    Ok(Duration::from_micros(
        micros + numerator * unit_us / denominator,
    ))
}

/// An address of one host: a remote one, or an own address of a device.
pub fn address(text: &str) -> Expected<IpAddr> {
    let address = text.parse().map_err(|_| match text {
        _ if text.contains('%') => "expected an address without %device",
        _ if text.contains('/') => "expected an address without a prefix length",
        _ => "expected an IPv4 or IPv6 address",
    })?;
    match unusable(address) {
        Some(what) => Err(what),
        None => Ok(address),
    }
}

/// Why an address is that of no single host, or of this one.
pub(crate) fn unusable(address: IpAddr) -> Option<&'static str> {
    let begins = |octets: &[u8], special: &[Special]| {
        let found = special.iter().find(|(with, _)| octets.starts_with(with));
        found.map(|(_, what)| *what)
    };
    match address {
        _ if address.is_multicast() => Some("a multicast address is no single host's"),
        IpAddr::V4(v4) => begins(&v4.octets(), &SPECIAL_V4),
        IpAddr::V6(v6) => begins(&v6.octets(), &SPECIAL_V6),
    }
}

/// With what the bytes of special addresses begin, and what they are.
type Special = (&'static [u8], &'static str);

const UNSPECIFIED: &str = "the unspecified address belongs to no host";
const LOOPBACK: &str = "a loopback address never leaves this machine";

const SPECIAL_V4: [Special; 4] = [
    (&[0, 0, 0, 0], UNSPECIFIED),
    (&[0], "an address of 0.0.0.0/8 belongs to no host"),
    (&[127], LOOPBACK),
    (
        &[255, 255, 255, 255],
        "the broadcast address is no single host's",
    ),
];

const SPECIAL_V6: [Special; 3] = [
    (&Ipv6Addr::UNSPECIFIED.octets(), UNSPECIFIED),
    (&Ipv6Addr::LOCALHOST.octets(), LOOPBACK),
    // ::ffff:0.0.0.0/96
    (
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        "write it as an IPv4 address",
    ),
];

/// A resolver that can be asked through one device alone.
pub(crate) fn resolver(text: &str) -> Expected<IpAddr> {
    match address(text)? {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            Err("a link-local address leads by no route: expected another")
        }
        address => Ok(address),
    }
}

/// `192.0.2.7`, or `192.0.2.7/24` with the network that it is in.
pub(crate) fn address_in_network(text: &str, network: &mut Option<Prefix>) -> Expected<IpAddr> {
    let Some((host, length)) = text.split_once('/') else {
        return address(text);
    };
    let host = address(host)?;
    *network = Some(masked(host, length)?);
    Ok(host)
}

/// `192.0.2.0/24`. Bits after the prefix are cleared.
pub(crate) fn network(text: &str) -> Expected<Prefix> {
    const NETWORK: &str = "expected a network, as 192.0.2.0/24 or 2001:db8:1::/64";
    let (base, length) = text.split_once('/').ok_or(NETWORK)?;
    let base: IpAddr = base.parse().map_err(|_| NETWORK)?;
    if base.is_multicast() || base.is_loopback() {
        return Err("expected the network of an uplink");
    }
    masked(base, length)
}

/// A prefix that is delegated: `2001:db8:1::/56`. Bits after it are cleared.
pub(crate) fn delegated(text: &str) -> Expected<Prefix> {
    const DELEGATED: &str = "expected an IPv6 prefix of the LAN's addresses, as 2001:db8:1::/56";
    match network(text) {
        Ok(prefix @ Prefix::Ipv6(v6)) if !v6.address().is_unicast_link_local() => Ok(prefix),
        _ => Err(DELEGATED),
    }
}

fn masked(address: IpAddr, length: &str) -> Expected<Prefix> {
    let (bits, expected) = match address {
        IpAddr::V4(_) => (32, "expected a prefix length from 1 to 32"),
        IpAddr::V6(_) => (128, "expected a prefix length from 1 to 128"),
    };
    let length = number(length)
        .and_then(|length| u8::try_from(length).ok())
        .filter(|length| (1..=bits).contains(length))
        .ok_or(expected)?;
    Ok(network_of(Prefix::new(address.into(), length)))
}

/// Why an address is no host of this network: in IPv4, the first and the last one are not.
pub(crate) fn reserved_in(address: &IpAddr, network: &Prefix) -> Option<&'static str> {
    let (IpAddr::V4(address), Prefix::Ipv4(network)) = (address, network) else {
        return None;
    };
    let host_bits = 32 - u32::from(network.prefix_len());
    if host_bits < 2 {
        return None; // RFC 3021: both ends of a /31 are hosts
    }
    let host_mask = u32::MAX >> (32 - host_bits);
    match address.to_bits() ^ network.address().to_bits() {
        0 => Some("that is the network's own address, not a host's"),
        last if last == host_mask => Some("that is the network's broadcast address"),
        _ => None,
    }
}

/// A device's name, which may be an alternative one: what `dev_valid_name()` of the kernel's `net/core/dev.c` accepts, apart
/// from its length, in printable ASCII.
pub fn device(text: &str) -> Expected<()> {
    const LONG: &str = "a device's name has at most 15 bytes, or 64 as an alternative name: `ip link` shows a shorter one";
    let fit = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
    match text {
        "" | "." | ".." => Err("expected a device's name"),
        "lo" => Err("the loopback device is no uplink"),
        _ if text.contains('@') => {
            Err("of what `ip link` shows, expected only what stands before the '@'")
        }
        _ if text.ends_with(";") => Err("expected a device's name, without the ';' at its end"),
        _ if !fit => Err("expected a device's name, without blanks, '/' and ':'"),
        _ if text.len() > DEVICE_GIVEN_MAX => Err(LONG),
        _ => Ok(()),
    }
}

/// A group of users, by name or number.
pub fn group(text: &str) -> Expected<()> {
    match text.len() <= NAME_MAX && is_name(text) {
        true => Ok(()),
        false => Err("expected a group's name, or its number"),
    }
}

/// Letters, digits, `_`, `-` and `.`.
fn is_name(text: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !text.is_empty() && text.bytes().all(fit)
}

/// A netifd interface's name.
pub fn interface(text: &str) -> Expected<()> {
    match text {
        _ if text.len() > INTERFACE_NAME_MAX => Err("an interface's name has at most 60 bytes"),
        _ if !is_name(text) => Err("expected an interface's name"),
        "loopback" => Err("the loopback interface is no uplink"),
        _ => Ok(()),
    }
}

/// An absolute path of a directory.
pub(crate) fn directory(text: &str) -> Expected<()> {
    match text {
        _ if !text.starts_with('/') => Err("expected an absolute path, beginning with '/'"),
        _ if text.len() > FILE_PATH_MAX => Err("a path may have at most 90 bytes"),
        _ if text.chars().any(char::is_control) => Err("a path must have no control characters"),
        _ => Ok(()),
    }
}

/// An absolute path of a file.
pub(crate) fn file(text: &str) -> Expected<()> {
    match text.ends_with("/") {
        true => directory(text).and(Err("expected a file's path, not a directory's")),
        false => directory(text),
    }
}

const MARK: &str = "expected a firewall mark, as 0x10/0xff or 0x10";

/// `0x10/0xff`, or `0x10` with all bits compared but ours; `none`.
pub(crate) fn mark(text: &str, ours: MarkMask) -> Expected<Option<Mark>> {
    if text == "none" {
        return Ok(None);
    }
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (mark_number(value)?, mark_number(mask)?),
        None => {
            let value = mark_number(text)?;
            (value, value | ours.others())
        }
    };
    match () {
        () if mask == 0 => Err("a mask of 0 would match every packet"),
        () if value & !mask != 0 => Err("the mark has bits outside its mask"),
        () if value == 0 => Err("a mark of 0 would match every unmarked packet"),
        () if mask & ours.bits() != 0 => Err(SHARED),
        () => Ok(Some(Mark { value, mask })),
    }
}

const SHARED: &str = "has bits that are failover's own (mark_mask in globals, 0xff000000 by default): expected others, or another mark_mask";

/// Bits that are ours: `0xff000000`.
pub(crate) fn mark_mask(text: &str) -> Expected<MarkMask> {
    let mask = mark_number(text).ok().and_then(MarkMask::new);
    mask.ok_or("expected two bits or more without a gap, as 0xff000000")
}

fn mark_number(text: &str) -> Expected<u32> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hex {
        Some(digits) if !digits.starts_with('+') => {
            u32::from_str_radix(digits, 16).map_err(|_| MARK)
        }
        Some(_) => Err(MARK),
        None => number(text).ok_or(MARK),
    }
}

/// The family of a prefix.
pub(crate) fn family_of(network: Prefix) -> Family {
    match network {
        Prefix::Ipv4(_) => Family::V4,
        Prefix::Ipv6(_) => Family::V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_fractions() {
        for (text, micros) in [
            ("5", 5_000_000),
            ("0.3", 300_000),
            ("300ms", 300_000),
            ("5s", 5_000_000),
            ("2m", 120_000_000),
            ("1h", 3_600_000_000),
            ("1.5h", 5_400_000_000),
            ("0.5ms", 500),
            ("0.0000019", 1),
            ("0", 0),
            ("007", 7_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in [
            "",
            "s",
            ".5",
            "5.",
            "1.2.3",
            "-1",
            "+1",
            "5 s",
            " 5",
            "5x",
            "1d",
            "1S",
            "1e3",
            "5ss",
            "99999999999999999999",
            "18446744073709551615h",
            "0.0000000000001",
            "1,5",
            "٣",
        ] {
            assert_eq!(duration(text), Err(DURATION), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for (micros, shown) in [
            (1_000_000, "1s"),
            (300_000, "300ms"),
            (1_500, "1.500ms"),
            (0, "0s"),
        ] {
            assert_eq!(
                crate::text::Span(Duration::from_micros(micros)).to_string(),
                shown
            );
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number("4294967295"), Some(u32::MAX));
        for text in ["", "+1", "-1", "4294967296", "0x10", "1 ", "1.0"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn marks_lie_within_their_masks() {
        let mark = |text| mark(text, MarkMask::USUAL);
        let both = |value, mask| Ok(Some(Mark { value, mask }));
        assert_eq!(mark("0x100/0xff00"), both(0x100, 0xff00));
        assert_eq!(mark("0x100"), both(0x100, 0x00ff_ffff));
        assert_eq!(mark("256/65280"), both(0x100, 0xff00));
        assert_eq!(mark("none"), Ok(None));
        for text in [
            "",
            "0x",
            "0x/0xff",
            "0xg",
            "0x+1",
            "-1",
            "0x100/",
            "/0xff",
            "0x1ffffffff",
            "0x100/0xff",
            "0x0/0xff",
            "1/0",
            "0x100/0xff00/1",
        ] {
            assert!(mark(text).is_err(), "{text}");
        }
    }

    #[test]
    fn marks_share_no_bit_with_ours() {
        for text in ["0x1000000", "0x100/0x1ffffff", "0x100/0xffffffff"] {
            assert_eq!(mark(text, MarkMask::USUAL), Err(SHARED), "{text}");
        }
        let low = mark_mask("0xff").unwrap();
        let mark = |text| mark(text, low).map(|mark| mark.map(|mark| mark.mask));
        assert_eq!(mark("0x1000000"), Ok(Some(0xffff_ff00)));
        assert_eq!(mark("0x10/0xf0"), Err(SHARED));
        for text in ["", "0", "0x80", "0x5", "255.0", "-1", "0xff00000000"] {
            assert!(mark_mask(text).is_err(), "{text}");
        }
    }

    #[test]
    fn delegated_prefixes_are_of_ipv6() {
        let shown = |text| delegated(text).map(|prefix| prefix.to_string());
        assert_eq!(shown("2001:db8:1::7/56").unwrap(), "2001:db8:1::/56");
        for text in [
            "192.0.2.0/24",
            "2001:db8::",
            "fe80::/64",
            "ff00::/8",
            "::/0",
        ] {
            assert!(delegated(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_of_single_hosts() {
        for text in ["192.0.2.1", "2001:db8::1", "fe80::1"] {
            assert_eq!(address(text), Ok(text.parse().unwrap()));
        }
        for text in [
            "",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.01",
            "192.0.2.1/24",
            "fe80::1%eth0",
            "0.0.0.0",
            "::",
            "127.0.0.1",
            "::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "0.1.2.3",
            "::ffff:192.0.2.1",
            "example.org",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_masked() {
        let shown = |text| network(text).map(|network| network.to_string());
        assert_eq!(shown("192.0.2.7/24").unwrap(), "192.0.2.0/24");
        assert_eq!(shown("192.0.2.7/32").unwrap(), "192.0.2.7/32");
        assert_eq!(shown("2001:db8::7/64").unwrap(), "2001:db8::/64");
        for text in [
            "",
            "192.0.2.0",
            "192.0.2.0/0",
            "192.0.2.0/33",
            "192.0.2.0/",
            "2001:db8::/129",
            "192.0.2.0/255.255.255.0",
            "224.0.0.0/4",
            "127.0.0.0/8",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_networks_ends_are_no_hosts() {
        let at =
            |host: &str, within| reserved_in(&host.parse().unwrap(), &network(within).unwrap());
        assert!(at("192.0.2.0", "192.0.2.0/24").is_some());
        assert!(at("192.0.2.255", "192.0.2.0/24").is_some());
        assert!(at("192.0.2.1", "192.0.2.0/24").is_none());
        assert!(at("192.0.2.1", "192.0.2.0/31").is_none());
        assert!(at("192.0.2.0", "192.0.2.0/32").is_none());
        assert!(at("198.51.100.0", "192.0.2.0/24").is_none());
        assert!(at("2001:db8::", "2001:db8::/64").is_none());
    }

    #[test]
    fn device_names_are_the_kernels() {
        assert!(device("eth1.100").is_ok());
        assert!(device("exactly15bytes_").is_ok());
        assert!(device(&"altname".repeat(9)).is_ok(), "63 bytes");
        for text in [
            "",
            ".",
            "..",
            "lo",
            "a/b",
            "a b",
            "a:b",
            "a-name-of-more-than-64-bytes-which-is-too-long-for-any-that-is-held",
            "é",
        ] {
            assert!(device(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_absolute() {
        assert!(file("/etc/failover/sticky.provider").is_ok());
        assert!(directory("/var/run/failover/").is_ok());
        for text in ["", "run", "./run", "~/run", "/a/", "/", "/a\nb"] {
            assert!(file(text).is_err(), "{text}");
        }
        let long = format!("/{}", "x".repeat(90));
        assert!(file(&long).is_err() && file(&long[..90]).is_ok());
    }
}
