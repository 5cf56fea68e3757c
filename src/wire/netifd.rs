//! What `ubus call network.interface.NAME status` prints, OpenWrt's netifd's word on one logical interface → what it says of
//! the way out. One JSON object, of which most is ignored.

use core::fmt;
use core::net::IpAddr;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::config::{DeviceName, value};
use crate::net::{Family, PerFamily, Prefix};

/// Deeper than any status is nested: what is deeper is no status, and would take stack to ignore.
const DEPTH_MAX: usize = 16;

/// A logical interface, as far as it concerns a way out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// whether netifd has it up
    pub up: bool,
    /// the device to bind to (`l3_device`); empty while there is none that the configuration could name
    pub device: DeviceName,
    /// the way to everywhere, in the families that it has one in
    pub way: PerFamily<Option<Way>>,
    /// the families that it has an address in
    pub addressed: PerFamily<bool>,
    /// the first IPv6 prefix that was delegated to it
    pub delegated: Option<Prefix>,
}

/// A default route's next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// this one
    Gateway(IpAddr),
    /// none is needed
    Direct,
}

impl Interface {
    /// Whether it brings a family: a way out, an address, or (in IPv6) a prefix to take one from.
    pub fn brings(&self, family: Family) -> bool {
        let delegated = family == Family::V6 && self.delegated.is_some();
        self.way[family].is_some() || self.addressed[family] || delegated
    }
}

/// Why a text is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Reads a status.
///
/// # Errors
/// It is cut off, of other types than expected, or no JSON.
pub fn read(text: &[u8]) -> Result<Interface, Unreadable> {
    if depth(text) > DEPTH_MAX {
        return Err(Unreadable);
    }
    let (status, _) = serde_json_core::from_slice::<Status<'_>>(text).map_err(|_| Unreadable)?;
    Ok(Interface {
        up: status.up,
        device: status
            .l3_device
            .and_then(|name| value::device(name).ok())
            .unwrap_or_default(),
        way: PerFamily {
            v4: status.way(Family::V4),
            v6: status.way(Family::V6),
        },
        addressed: PerFamily {
            v4: status.ipv4_address.0.is_some(),
            v6: status.ipv6_address.0.is_some(),
        },
        delegated: status.ipv6_prefix.0,
    })
}

/// How deep brackets are nested, at most; those in strings count too.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status<'a> {
    #[serde(default)]
    up: bool,
    #[serde(borrow, default, rename = "l3_device")]
    l3_device: Option<&'a str>,
    #[serde(default)]
    ipv4_address: FirstNetwork,
    #[serde(default)]
    ipv6_address: FirstNetwork,
    #[serde(default)]
    ipv6_prefix: FirstNetwork,
    #[serde(default)]
    route: Defaults,
    #[serde(default)]
    inactive: Inactive,
}

/// What netifd knows of, but keeps from the kernel: with `defaultroute 0` the default route is here.
#[derive(Default, Deserialize)]
struct Inactive {
    #[serde(default)]
    route: Defaults,
}

impl Status<'_> {
    /// The first default route of the main table, in force or not; else of a table of the interface's own (`ip4table`).
    fn way(&self, family: Family) -> Option<Way> {
        let (route, inactive) = (&self.route, &self.inactive.route);
        None.or(route.main[family])
            .or(inactive.main[family])
            .or(route.other[family])
            .or(inactive.other[family])
    }
}

/// The first of a list of addresses with masks.
#[derive(Default)]
struct FirstNetwork(Option<Prefix>);

#[derive(Deserialize)]
struct Network<'a> {
    #[serde(borrow)]
    address: &'a str,
    mask: u8,
}

impl Network<'_> {
    fn prefix<E: de::Error>(&self) -> Result<Prefix, E> {
        let address: IpAddr = parsed(self.address)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if self.mask > longest {
            return Err(E::custom("a mask that is too long"));
        }
        Ok(Prefix::new(address.into(), self.mask))
    }
}

impl<'de> Deserialize<'de> for FirstNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FirstNetwork, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = FirstNetwork;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("addresses")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FirstNetwork, A::Error> {
                let first = match list.next_element::<Network<'_>>()? {
                    Some(network) => Some(network.prefix()?),
                    None => None,
                };
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstNetwork(first))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// The first default routes of a list of routes: those of the main table, and those of others.
#[derive(Default)]
struct Defaults {
    main: PerFamily<Option<Way>>,
    other: PerFamily<Option<Way>>,
}

#[derive(Deserialize)]
struct Route<'a> {
    #[serde(borrow)]
    target: &'a str,
    mask: u8,
    #[serde(borrow, default)]
    nexthop: Option<&'a str>,
    #[serde(default)]
    table: Option<u32>,
}

impl Defaults {
    fn take<E: de::Error>(&mut self, route: &Route<'_>) -> Result<(), E> {
        let target: IpAddr = parsed(route.target)?;
        if route.mask != 0 || !target.is_unspecified() {
            return Ok(());
        }
        let hop: Option<IpAddr> = route.nexthop.map(parsed).transpose()?;
        let way = match hop {
            Some(hop) if !hop.is_unspecified() => Way::Gateway(hop),
            _ => Way::Direct,
        };
        let ways = match route.table {
            None => &mut self.main,
            Some(_) => &mut self.other,
        };
        ways[Family::of(target)].get_or_insert(way);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Defaults {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Defaults, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Defaults;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("routes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Defaults, A::Error> {
                let mut defaults = Defaults::default();
                while let Some(route) = list.next_element::<Route<'_>>()? {
                    defaults.take(&route)?;
                }
                Ok(defaults)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

fn parsed<E: de::Error>(address: &str) -> Result<IpAddr, E> {
    address.parse().map_err(|_| E::custom("no address"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::format;
    use std::string::String;

    use super::*;

    const WAN: &[u8] = include_bytes!("../../tests/data/netifd/status-wan.json");
    const WANB: &[u8] = include_bytes!("../../tests/data/netifd/status-wanb.json");
    const DSL: &[u8] = include_bytes!("../../tests/data/netifd/made-dsl.json");
    const LTE: &[u8] = include_bytes!("../../tests/data/netifd/made-lte.json");
    const SPARE: &[u8] = include_bytes!("../../tests/data/netifd/made-spare.json");
    const VPN: &[u8] = include_bytes!("../../tests/data/netifd/made-vpn.json");
    const WAN6: &[u8] = include_bytes!("../../tests/data/netifd/made-wan6.json");

    fn gateway(text: &str) -> Option<Way> {
        Some(Way::Gateway(text.parse().unwrap()))
    }

    fn with_routes(routes: &str, inactive: &str) -> Interface {
        let text = format!(
            r#"{{"up": true, "l3_device": "eth1", "route": [{routes}], "inactive": {{"route": [{inactive}]}}}}"#
        );
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_netifd_says_of_interfaces_that_are_up() {
        for (text, device, way) in [
            (WANB, "wanb", gateway("198.51.100.1")),
            (DSL, "pppoe-dsl", gateway("203.0.113.1")),
            (LTE, "wwan0", gateway("192.0.2.1")),
            (VPN, "wg0", Some(Way::Direct)),
        ] {
            let interface = read(text).unwrap();
            assert!(interface.up && interface.brings(Family::V4), "{device}");
            assert!(!interface.brings(Family::V6), "{device}");
            assert_eq!(interface.device, device);
            assert_eq!((interface.way.v4, interface.way.v6), (way, None));
        }
        assert!(read(WAN).unwrap().up);
        let wan6 = read(WAN6).unwrap();
        assert_eq!((wan6.way.v4, wan6.way.v6), (None, gateway("fe80::1")));
    }

    #[test]
    fn one_that_is_down_has_no_device() {
        assert_eq!(read(SPARE).unwrap(), Interface::default());
    }

    #[test]
    fn a_name_that_no_device_can_have_is_none() {
        let named = |name: &str| {
            let text = format!(r#"{{"up": true, "l3_device": "{name}"}}"#);
            read(text.as_bytes()).unwrap()
        };
        assert_eq!(named("exactly15bytes_").device, "exactly15bytes_");
        let none = named("");
        assert!(none.up && none.device.is_empty());
        for name in [
            "exactly16bytes__",
            "../eth1",
            "..",
            "eth0:1",
            "eth 1",
            "eth1\x1b[2J",
            "eth1\0",
            "eth\u{fc}",
            "lo",
        ] {
            assert_eq!(named(name), none, "{name}");
        }
    }

    #[test]
    fn the_main_tables_route_comes_before_one_of_another_table() {
        let main = r#"{"target": "0.0.0.0", "mask": 0, "nexthop": "192.0.2.1", "metric": 5}"#;
        let other = r#"{"target": "0.0.0.0", "mask": 0, "nexthop": "192.0.2.2", "table": 100}"#;
        let network = r#"{"target": "192.0.2.0", "mask": 24, "nexthop": "192.0.2.3"}"#;
        let both = format!("{network}, {other}, {main}");
        assert_eq!(with_routes(&both, "").way.v4, gateway("192.0.2.1"));
        assert_eq!(with_routes(other, main).way.v4, gateway("192.0.2.1"));
        assert_eq!(with_routes(other, "").way.v4, gateway("192.0.2.2"));
        assert_eq!(with_routes(network, "").way.v4, None);
    }

    #[test]
    fn a_delegated_prefix_alone_brings_ipv6() {
        let text = br#"{"up": true, "l3_device": "eth1", "ipv6-prefix": [
            {"address": "2001:db8:1::", "mask": 56, "preferred": 10, "assigned": {"lan": {"address": "2001:db8:1::", "mask": 60}}},
            {"address": "2001:db8:2::", "mask": 56}]}"#;
        let interface = read(text).unwrap();
        assert_eq!(interface.delegated, "2001:db8:1::/56".parse().ok());
        assert!(interface.brings(Family::V6) && !interface.brings(Family::V4));
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            "Command failed: Not found",
            r#"{"up": "yes"}"#,
            r#"{"up": true, "l3_device": 7}"#,
            r#"{"up": true, "route": {"target": "0.0.0.0"}}"#,
            r#"{"up": true, "route": [{"target": "everywhere", "mask": 0}]}"#,
            r#"{"up": true, "ipv4-address": [{"address": "192.0.2.1", "mask": 33}]}"#,
            r#"{"up": true, "ipv4-address": [{"address": "192.0.2.1", "mask": 3000}]}"#,
        ] {
            assert_eq!(read(text.as_bytes()), Err(Unreadable), "{text}");
        }
        let deep = format!(r#"{{"data": {}"#, "[".repeat(8000));
        assert_eq!(read(deep.as_bytes()), Err(Unreadable));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for text in [WAN, WANB, DSL, LTE, SPARE, VPN, WAN6] {
            let end = text.iter().rposition(|byte| *byte == b'}').unwrap();
            for length in 0..end {
                assert_eq!(read(&text[..length]), Err(Unreadable), "{length} bytes");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, place in 0..800_usize, byte: u8) {
            let _ = read(text.as_bytes());
            let mut damaged = WANB.to_vec();
            damaged[place] = byte;
            let _ = read(&damaged);
        }
    }
}
