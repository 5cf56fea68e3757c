//! Parses the output of `ubus call network.interface dump`: the default routes and addresses of netifd's logical
//! interfaces (OpenWrt). It is one JSON object, `{"interface": [{"interface": "wan", …}, …]}`, most of which is ignored. It
//! may be long (about 2 KB per interface), and is parsed as a stream in memory of a fixed size.

use core::net::IpAddr;

use super::json::{Event, Malformed, Reader, Text, Value};
use crate::limits::{DNS_READ_MAX, PREFIXES_MAX};
use crate::option::value;
use crate::types::{DeviceName, Family, Name, PerFamily, Prefix};

/// A logical interface, as far as it matters for an uplink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// whether netifd has it up
    pub up: bool,
    /// the device to bind to (`l3_device`); empty if there is none with a name that the configuration accepts
    pub device: DeviceName,
    /// the next hop of its default route, per family
    pub way: PerFamily<Option<Way>>,
    /// whether it has an address, per family
    pub addressed: PerFamily<bool>,
    /// the delegated IPv6 prefixes, the first ones, as netifd has them
    pub delegated: heapless::Vec<Prefix, DELEGATED_READ_MAX>,
    /// the resolvers that it names, the first ones: those that the peer names, unless `peerdns` is 0, and `dns`
    pub dns: heapless::Vec<IpAddr, DNS_READ_MAX>,
}

/// Delegated prefixes that are read: one more than a provider may have, so that there being more is seen.
const DELEGATED_READ_MAX: usize = PREFIXES_MAX + 1;

/// A default route's next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// a gateway
    Gateway(IpAddr),
    /// no gateway: the route is on-link
    Direct,
}

impl Interface {
    /// Whether it serves a family: by a default route, an address, or (in IPv6) a delegated prefix.
    pub fn brings(&self, family: Family) -> bool {
        let delegated = family == Family::V6 && !self.delegated.is_empty();
        self.way[family].is_some() || self.addressed[family] || delegated
    }
}

/// A text is no dump: it is truncated, no JSON, or has no list of interfaces. Or one interface cannot be read: a value has
/// an unexpected type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Is called with each interface of a dump, and its name.
pub type Sink<'a> = &'a mut dyn FnMut(&str, Result<Interface, Unreadable>);

/// A dump that is being parsed.
#[derive(Clone, Debug)]
pub struct Dump {
    json: Reader,
    meaning: Meaning,
    broken: bool,
}

impl Dump {
    /// Nothing parsed yet.
    pub const fn new() -> Dump {
        Dump {
            json: Reader::new(),
            meaning: Meaning::new(),
            broken: false,
        }
    }

    /// Parses the next piece, of any size. The sink gets each interface when it is complete.
    pub fn feed(&mut self, bytes: &[u8], sink: Sink<'_>) {
        for byte in bytes {
            if self.broken {
                return;
            }
            let Dump { json, meaning, .. } = self;
            let mut result = Ok(());
            let read = json.feed(*byte, &mut |event| result = meaning.take(event, sink));
            self.broken = read.and(result).is_err();
        }
    }

    /// Ends the dump.
    ///
    /// # Errors
    /// It was no valid dump: the interfaces that the sink got are not valid either.
    pub fn finish(&self) -> Result<(), Unreadable> {
        match !self.broken && self.json.is_done() && self.meaning.listed {
            true => Ok(()),
            false => Err(Unreadable),
        }
    }
}

impl Default for Dump {
    fn default() -> Dump {
        Dump::new()
    }
}

/// The meaning of a value, by its position in the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// ignored, and so is all inside of it
    Ignored,
    Dump,
    Interfaces,
    Interface,
    Name,
    Up,
    Device,
    Networks(Kind),
    Network(Kind),
    Address,
    Mask,
    /// the routes that netifd does not install: with `defaultroute 0`, the default route is here
    Inactive,
    Routes {
        in_force: bool,
    },
    Route {
        in_force: bool,
    },
    NextHop,
    Table,
    /// a list of them, or one in it
    Resolvers,
}

/// The addresses in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Own(Family),
    Delegated,
}

impl Place {
    /// The member of an object here.
    fn member(self, key: Text<'_>) -> Place {
        match (self, key.unwrap_or_default()) {
            (Place::Dump, "interface") => Place::Interfaces,
            (Place::Interface, "interface") => Place::Name,
            (Place::Interface, "up") => Place::Up,
            (Place::Interface, "l3_device") => Place::Device,
            (Place::Interface, "ipv4-address") => Place::Networks(Kind::Own(Family::V4)),
            (Place::Interface, "ipv6-address") => Place::Networks(Kind::Own(Family::V6)),
            (Place::Interface, "ipv6-prefix") => Place::Networks(Kind::Delegated),
            (Place::Interface, "dns-server") => Place::Resolvers,
            (Place::Interface, "route") => Place::Routes { in_force: true },
            (Place::Interface, "inactive") => Place::Inactive,
            (Place::Inactive, "route") => Place::Routes { in_force: false },
            (Place::Network(_), "address") | (Place::Route { .. }, "target") => Place::Address,
            (Place::Network(_) | Place::Route { .. }, "mask") => Place::Mask,
            (Place::Route { .. }, "nexthop") => Place::NextHop,
            (Place::Route { .. }, "table") => Place::Table,
            _ => Place::Ignored,
        }
    }

    /// An item of a list here.
    fn item(self) -> Place {
        match self {
            Place::Interfaces => Place::Interface,
            Place::Networks(kind) => Place::Network(kind),
            Place::Routes { in_force } => Place::Route { in_force },
            Place::Resolvers => Place::Resolvers,
            _ => Place::Ignored,
        }
    }

    fn is_object(self) -> bool {
        use Place::{Dump, Inactive, Interface, Network, Route};
        matches!(
            self,
            Dump | Interface | Inactive | Network(_) | Route { .. }
        )
    }

    fn is_list(self) -> bool {
        use Place::{Interfaces, Networks, Resolvers, Routes};
        matches!(self, Interfaces | Networks(_) | Resolvers | Routes { .. })
    }
}

/// Interprets the events of a dump.
#[derive(Clone, Debug)]
struct Meaning {
    /// the meaning of each open bracket, the innermost last
    open: heapless::Vec<Place, { super::json::DEPTH_MAX }>,
    /// the meaning of the next value
    next: Place,
    /// the list of interfaces was found
    listed: bool,
    draft: Draft,
    item: Item,
}

impl Meaning {
    const fn new() -> Meaning {
        Meaning {
            open: heapless::Vec::new(),
            next: Place::Dump,
            listed: false,
            draft: Draft::new(),
            item: Item::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, sink: Sink<'_>) -> Result<(), Malformed> {
        match event {
            Event::Key(key) => {
                let here = self.open.last().copied().unwrap_or(Place::Ignored);
                self.next = here.member(key);
                return Ok(());
            }
            Event::Object => self.opens(self.next.is_object())?,
            Event::List => self.opens(self.next.is_list())?,
            Event::Value(value) => {
                let understood = match self.next {
                    // A dump without interfaces is invalid.
                    Place::Dump | Place::Interfaces | Place::Interface => return Err(Malformed),
                    place => self.value(place, value),
                };
                self.draft.wrong |= understood.is_none();
            }
            Event::End => self.closes(sink),
        }
        let here = self.open.last().copied().unwrap_or(Place::Ignored);
        self.next = here.item();
        Ok(())
    }

    fn opens(&mut self, expected: bool) -> Result<(), Malformed> {
        let place = match self.next {
            place if expected => place,
            Place::Dump | Place::Interfaces | Place::Interface => return Err(Malformed),
            Place::Ignored => Place::Ignored,
            _ => {
                self.draft.wrong = true;
                Place::Ignored
            }
        };
        match place {
            Place::Interfaces => self.listed = true,
            Place::Interface => self.draft = Draft::new(),
            Place::Network(_) | Place::Route { .. } => self.item = Item::new(),
            _ => {}
        }
        self.open.push(place).map_err(|_| Malformed)
    }

    fn closes(&mut self, sink: Sink<'_>) {
        let understood = match self.open.pop() {
            Some(Place::Interface) => {
                self.draft.tell(sink);
                return;
            }
            Some(Place::Network(kind)) => self.draft.network(kind, &self.item),
            Some(Place::Route { in_force }) => self.draft.route(in_force, &self.item),
            _ => return,
        };
        self.draft.wrong |= understood.is_none();
    }

    /// Takes a value; none if its type is unexpected.
    fn value(&mut self, place: Place, value: Value<'_>) -> Option<()> {
        match (place, value) {
            (Place::Ignored, _) => {}
            (Place::Name, Value::String(name)) => {
                // A name that the configuration does not accept is ignored.
                let name = name.and_then(|name| Name::try_from(name).ok());
                self.draft.name = name.unwrap_or_default();
            }
            (Place::Up, Value::Bool(up)) => self.draft.interface.up = up,
            (Place::Device, Value::String(name)) => {
                let name = name.and_then(|name| value::device(name).ok());
                let name = name.and_then(|name| DeviceName::try_from(name.as_str()).ok());
                self.draft.interface.device = name.unwrap_or_default();
            }
            (Place::Device, Value::Null) => self.draft.interface.device.clear(),
            (Place::Address, Value::String(address)) => {
                self.item.address = Some(address?.parse().ok()?);
            }
            (Place::Resolvers, Value::String(address)) => {
                // One that cannot be read has no rule.
                if let Some(address) = address.and_then(|address| address.parse().ok()) {
                    let _ = self.draft.interface.dns.push(address);
                }
            }
            (Place::Mask, Value::Number(mask)) => self.item.mask = Some(mask?.parse().ok()?),
            (Place::NextHop, Value::String(hop)) => {
                self.item.hop = hop?.parse().ok();
                self.item.wrong_hop = self.item.hop.is_none();
            }
            (Place::Table, Value::Number(table)) => {
                let _: u32 = table?.parse().ok()?;
                self.item.in_table = true;
            }
            (Place::NextHop | Place::Table, Value::Null) => {}
            _ => return None,
        }
        Some(())
    }
}

/// An interface that is being parsed.
#[derive(Clone, Debug)]
struct Draft {
    name: Name,
    interface: Interface,
    /// The installed default routes, and those not installed.
    ways: [Ways; 2],
    wrong: bool,
}

/// The first default route of the main table, and of any other table.
#[derive(Clone, Copy, Debug)]
struct Ways {
    main: PerFamily<Option<Way>>,
    other: PerFamily<Option<Way>>,
}

/// A network, or a route.
#[derive(Clone, Copy, Debug)]
struct Item {
    address: Option<IpAddr>,
    mask: Option<u8>,
    hop: Option<IpAddr>,
    wrong_hop: bool,
    in_table: bool,
}

impl Item {
    const fn new() -> Item {
        Item {
            address: None,
            mask: None,
            hop: None,
            wrong_hop: false,
            in_table: false,
        }
    }
}

impl Draft {
    const fn new() -> Draft {
        const NONE: PerFamily<Option<Way>> = PerFamily { v4: None, v6: None };
        Draft {
            name: Name::new(),
            interface: Interface {
                up: false,
                device: DeviceName::new(),
                way: NONE,
                addressed: PerFamily {
                    v4: false,
                    v6: false,
                },
                delegated: heapless::Vec::new(),
                dns: heapless::Vec::new(),
            },
            ways: [Ways {
                main: NONE,
                other: NONE,
            }; 2],
            wrong: false,
        }
    }

    /// Takes an item of a list of networks. None if it is no network.
    fn network(&mut self, kind: Kind, item: &Item) -> Option<()> {
        let (address, mask) = (item.address?, item.mask?);
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if mask > longest {
            return None;
        }
        let interface = &mut self.interface;
        match kind {
            Kind::Own(family) => interface.addressed[family] = true,
            Kind::Delegated => {
                let prefix = Prefix::new(address.into(), mask);
                let _ = interface.delegated.push(prefix);
            }
        }
        Some(())
    }

    /// Takes a route; only default routes count. None if it is no route.
    fn route(&mut self, in_force: bool, item: &Item) -> Option<()> {
        let (target, mask) = (item.address?, item.mask?);
        if mask != 0 || !target.is_unspecified() {
            return Some(());
        }
        let way = match item.hop {
            _ if item.wrong_hop => return None,
            Some(hop) if !hop.is_unspecified() => Way::Gateway(hop),
            _ => Way::Direct,
        };
        let [active, inactive] = &mut self.ways;
        let ways = if in_force { active } else { inactive };
        let ways = match item.in_table {
            false => &mut ways.main,
            true => &mut ways.other,
        };
        ways[Family::of(target)].get_or_insert(way);
        Some(())
    }

    /// Ends the interface. Its default route is the first one of the main table, installed or not; else that of its own
    /// table (`ip4table`).
    fn tell(&mut self, sink: Sink<'_>) {
        let [active, inactive] = &self.ways;
        for family in Family::ALL {
            self.interface.way[family] = None
                .or(active.main[family])
                .or(inactive.main[family])
                .or(active.other[family])
                .or(inactive.other[family]);
        }
        if self.name.is_empty() {
            return;
        }
        let told = match self.wrong {
            true => Err(Unreadable),
            false => Ok(self.interface.clone()),
        };
        sink(&self.name, told);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::ToOwned;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// The result of a dump of this one interface.
    fn read(status: &[u8]) -> Result<Interface, Unreadable> {
        let rest = status
            .trim_ascii_start()
            .strip_prefix(b"{")
            .ok_or(Unreadable)?;
        let text = [br#"{"interface":[{"interface":"wan","#, rest, b"]}"].concat();
        match &*dump(&[&text])? {
            [(_, told)] => told.clone(),
            _ => Err(Unreadable),
        }
    }

    type Heard = Vec<(String, Result<Interface, Unreadable>)>;

    fn dump(pieces: &[&[u8]]) -> Result<Heard, Unreadable> {
        let (mut dump, mut heard) = (Dump::new(), Vec::new());
        for piece in pieces {
            dump.feed(piece, &mut |name, told| heard.push((name.to_owned(), told)));
        }
        dump.finish().map(|()| heard)
    }

    /// Every interface of the test data, repeated to exceed a pipe's buffer.
    fn long() -> String {
        let statuses = [WAN, WANB, DSL, LTE, SPARE, VPN, WAN6];
        let all = (0..98).map(|number| {
            let status = str::from_utf8(statuses[number % 7]).unwrap();
            let rest = status.trim().strip_prefix('{').unwrap();
            format!("\t\t{{\n\t\t\t\"interface\": \"if{number}\",{rest}")
        });
        let all: Vec<String> = all.collect();
        format!("{{\n\t\"interface\": [\n{}\n\t]\n}}\n", all.join(",\n"))
    }

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
    fn interfaces_that_are_up_are_read() {
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
    fn an_interface_that_is_down_has_no_device() {
        assert_eq!(read(SPARE).unwrap(), Interface::default());
    }

    #[test]
    fn an_invalid_device_name_is_ignored() {
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
    fn the_main_tables_route_precedes_that_of_another_table() {
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
    fn resolvers_in_use_are_read_up_to_a_number() {
        let dns = |list: &str| {
            let status = format!(
                r#"{{"dns-server": [{list}], "inactive": {{"dns-server": ["192.0.2.99"]}}, "up": true}}"#
            );
            let interface = read(status.as_bytes()).unwrap();
            interface
                .dns
                .iter()
                .map(IpAddr::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(dns(""), [""; 0]);
        let both = ["192.0.2.53", "2001:db8::53"];
        assert_eq!(dns(r#""192.0.2.53", "nonsense", "2001:db8::53", """#), both);
        let many: Vec<String> = (1..=9).map(|host| format!("192.0.2.{host}")).collect();
        let list = many.iter().map(|one| format!("\"{one}\""));
        assert_eq!(
            dns(&list.collect::<Vec<_>>().join(", ")),
            many[..DNS_READ_MAX]
        );
    }

    #[test]
    fn a_delegated_prefix_alone_brings_ipv6() {
        let text = br#"{"up": true, "l3_device": "eth1", "ipv6-prefix": [
            {"address": "2001:db8:1::", "mask": 56, "preferred": 10, "assigned": {"lan": {"address": "2001:db8:1::", "mask": 60}}},
            {"address": "2001:db8:2::", "mask": 56}]}"#;
        let interface = read(text).unwrap();
        let expected = ["2001:db8:1::/56", "2001:db8:2::/56"].map(|p| p.parse().unwrap());
        assert_eq!(interface.delegated, expected);
        assert!(interface.brings(Family::V6) && !interface.brings(Family::V4));
    }

    #[test]
    fn an_invalid_interface_is_refused() {
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
    fn a_truncated_dump_is_refused() {
        for text in [WAN, WANB, DSL, LTE, SPARE, VPN, WAN6] {
            let end = text.iter().rposition(|byte| *byte == b'}').unwrap();
            for length in 0..end {
                assert_eq!(read(&text[..length]), Err(Unreadable), "{length} bytes");
            }
        }
    }

    #[test]
    fn an_interface_that_cannot_be_read_does_not_affect_the_others() {
        let text = br#"{"interface": [{"interface": "wan", "up": 1}, {"up": true, "l3_device": "eth2", "interface": "wanb"},
            {"interface": "a-name-that-is-too-long-for-any-interface", "up": true}, {"up": true}], "more": [[{}]]}"#;
        let wanb = Interface {
            up: true,
            device: "eth2".parse().unwrap(),
            ..Interface::default()
        };
        let expected = [
            ("wan".to_owned(), Err(Unreadable)),
            ("wanb".to_owned(), Ok(wanb)),
        ];
        assert_eq!(dump(&[text]).unwrap(), expected);
        assert_eq!(dump(&[br#"{"interface": []}"#]), Ok(Vec::new()));
    }

    #[test]
    fn an_invalid_dump_is_refused() {
        for text in [
            "{}",
            r#"{"interface": null}"#,
            r#"{"interface": {"wan": {"up": true}}}"#,
            r#"{"interface": ["wan"]}"#,
            r#"{"interface": [["wan"]]}"#,
            r#"[{"interface": []}]"#,
            r#"{"interface": []} {"interface": []}"#,
        ] {
            assert_eq!(dump(&[text.as_bytes()]), Err(Unreadable), "{text}");
        }
    }

    #[test]
    fn many_interfaces_are_read_wherever_the_pieces_end() {
        let text = long();
        assert!(text.len() > 64 * 1024, "{}", text.len());
        let whole = dump(&[text.as_bytes()]).unwrap();
        assert_eq!(whole.len(), 98);
        for (number, (name, told)) in whole.iter().enumerate() {
            assert_eq!(*name, format!("if{number}"));
            assert_eq!(told.as_ref().unwrap().up, number % 7 != 4);
        }
        for size in [1, 7, 64, 1000, 4096] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(dump(&pieces).as_ref(), Ok(&whole), "{size}");
        }
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(cuts in prop::collection::vec(0..2000_usize, 0..20), place in 0..2000_usize, byte: u8) {
            let text = long();
            let mut text = text.as_bytes()[..2000].to_vec();
            text.extend(b"}]}");
            text[place] = byte;
            let mut cuts = cuts;
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let told = |pieces: &[&[u8]]| {
                let (mut dump, mut heard) = (Dump::new(), Vec::new());
                for piece in pieces {
                    dump.feed(piece, &mut |name, told| heard.push((name.to_owned(), told)));
                }
                (heard, dump.finish())
            };
            prop_assert_eq!(told(&pieces), told(&[&text]));
        }

        #[test]
        fn no_text_panics(text: String, place in 0..800_usize, byte: u8) {
            let _ = read(text.as_bytes());
            let mut damaged = WANB.to_vec();
            damaged[place] = byte;
            let _ = read(&damaged);
        }
    }
}
