//! What `ubus call network.interface dump` prints, OpenWrt's netifd's word on all of its logical interfaces → what it says of
//! their ways out. One JSON object, `{"interface": [{"interface": "wan", …}, …]}`, of which most is ignored. It may be long
//! (some 2 KB an interface), and is read as it comes, in memory of a fixed size.

use core::net::IpAddr;

use super::json::{Event, Malformed, Reader, Text, Value};
use crate::option::value;
use crate::types::{DeviceName, Family, Name, PerFamily, Prefix};

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

/// Why a text is no dump: it is cut off, or no JSON, or no list of interfaces. Or why an interface of it tells nothing:
/// something of it has another type than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Gets each interface of a dump, with its name.
pub type Sink<'a> = &'a mut dyn FnMut(&str, Result<Interface, Unreadable>);

/// A dump that is being read.
#[derive(Clone, Debug)]
pub struct Dump {
    json: Reader,
    meaning: Meaning,
    broken: bool,
}

impl Dump {
    /// Nothing of it has come yet.
    pub const fn new() -> Dump {
        Dump {
            json: Reader::new(),
            meaning: Meaning::new(),
            broken: false,
        }
    }

    /// Takes what comes next of it, in pieces of any size. Each interface is told when its end has come.
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

    /// All has come.
    ///
    /// # Errors
    /// It was no dump: what was told of interfaces is not to be believed either.
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

/// What a value is, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// of no account, and so is all that is in it
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
    /// what netifd knows of, but keeps from the kernel: with `defaultroute 0` the default route is here
    Inactive,
    Routes {
        in_force: bool,
    },
    Route {
        in_force: bool,
    },
    NextHop,
    Table,
}

/// Which addresses a list is of.
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
        use Place::{Interfaces, Networks, Routes};
        matches!(self, Interfaces | Networks(_) | Routes { .. })
    }
}

/// What the events of a dump mean.
#[derive(Clone, Debug)]
struct Meaning {
    /// what each open bracket is, the innermost last
    open: heapless::Vec<Place, { super::json::DEPTH_MAX }>,
    /// what the next value is
    next: Place,
    /// the list of interfaces was there
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
                    // There is no dump without them.
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

    /// Takes a value; none when it is of another type than expected.
    fn value(&mut self, place: Place, value: Value<'_>) -> Option<()> {
        match (place, value) {
            (Place::Ignored, _) => {}
            (Place::Name, Value::String(name)) => {
                // One that no configuration can name is of no interest.
                let name = name.and_then(|name| Name::try_from(name).ok());
                self.draft.name = name.unwrap_or_default();
            }
            (Place::Up, Value::Bool(up)) => self.draft.interface.up = up,
            (Place::Device, Value::String(name)) => {
                let name = name.and_then(|name| value::device(name).ok());
                self.draft.interface.device = name.unwrap_or_default();
            }
            (Place::Device, Value::Null) => self.draft.interface.device.clear(),
            (Place::Address, Value::String(address)) => {
                self.item.address = Some(address?.parse().ok()?);
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

/// An interface, as far as it has come.
#[derive(Clone, Debug)]
struct Draft {
    name: Name,
    interface: Interface,
    /// The default routes that are in force, and those that are not: of the main table, and of others.
    ways: [Ways; 2],
    wrong: bool,
}

/// The first default route of the main table, and of any other.
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
                delegated: None,
            },
            ways: [Ways {
                main: NONE,
                other: NONE,
            }; 2],
            wrong: false,
        }
    }

    /// Takes an item of a list of networks, of which only the first counts; none when it is no network.
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
                interface.delegated.get_or_insert(prefix);
            }
        }
        Some(())
    }

    /// Takes a route, of which only default ones count; none when it is no route.
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

    /// The end of the interface. Its way is the first default route of the main table, in force or not; else of a table of
    /// its own (`ip4table`).
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

    /// What a dump of this one interface says of it.
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

    /// Every interface there is data of, so often that it exceeds a pipe's buffer.
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

    #[test]
    fn an_interface_that_cannot_be_read_leaves_the_others_alone() {
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
    fn what_is_no_dump_is_refused() {
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
    fn many_interfaces_are_heard_wherever_the_pieces_end() {
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
        fn any_pieces_say_the_same(cuts in prop::collection::vec(0..2000_usize, 0..20), place in 0..2000_usize, byte: u8) {
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
