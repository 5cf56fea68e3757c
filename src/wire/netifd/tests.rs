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

const WAN: &[u8] = include_bytes!("../../../tests/data/netifd/status-wan.json");
const WANB: &[u8] = include_bytes!("../../../tests/data/netifd/status-wanb.json");
const DSL: &[u8] = include_bytes!("../../../tests/data/netifd/made-dsl.json");
const LTE: &[u8] = include_bytes!("../../../tests/data/netifd/made-lte.json");
const SPARE: &[u8] = include_bytes!("../../../tests/data/netifd/made-spare.json");
const VPN: &[u8] = include_bytes!("../../../tests/data/netifd/made-vpn.json");
const WAN6: &[u8] = include_bytes!("../../../tests/data/netifd/made-wan6.json");

fn both(device: &str) -> PerFamily<DeviceName> {
    let [v4, v6] = [device, device].map(|name| name.parse().unwrap());
    PerFamily { v4, v6 }
}

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
        assert_eq!(interface.device.v4, device);
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
    assert_eq!(named("exactly15bytes_").device.v4, "exactly15bytes_");
    let none = named("");
    assert!(none.up && none.device.v6.is_empty());
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
        let all = interface.dns.iter().map(IpAddr::to_string);
        all.collect::<Vec<_>>()
    };
    assert_eq!(dns(""), [""; 0]);
    let both = ["192.0.2.53", "2001:db8::53"];
    assert_eq!(dns(r#""192.0.2.53", "nonsense", "2001:db8::53", """#), both);
    let none =
        r#""0.0.0.0", "224.0.0.251", "255.255.255.255", "::", "fe80::1", "::ffff:192.0.2.53""#;
    assert_eq!(dns(none), [""; 0], "no single host's, or by no route");
    let many: Vec<String> = (1..=9).map(|host| format!("192.0.2.{host}")).collect();
    let list = many.iter().map(|one| format!("\"{one}\""));
    let list = list.collect::<Vec<_>>().join(", ");
    assert_eq!(dns(&list), many[..DNS_READ_MAX]);
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
        {"interface": "a_name_that_is_too_long_for_any_interface_that_a_provider_may_name_", "up": true}, {"up": true}], "more": [[{}]]}"#;
    let wanb = Interface {
        up: true,
        device: both("eth2"),
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

/// As netifd shows a modem by QMI with an IPv4 and an IPv6 session (`dhcp` and `dhcpv6`): the addresses and routes are those
/// of its dynamic interfaces, on the same device.
const MODEM: &[u8] = include_bytes!("../../../tests/data/netifd/made-dump-qmi.json");
/// An IPv6-only line with DS-Lite: the dynamic interface has a device of its own.
const DSLITE: &[u8] = include_bytes!("../../../tests/data/netifd/made-dump-dslite.json");

fn named<'a>(heard: &'a Heard, name: &str) -> &'a Interface {
    let (_, told) = heard.iter().find(|(known, _)| known == name).unwrap();
    told.as_ref().unwrap()
}

#[test]
fn the_interface_of_a_modem_serves_both_families_by_its_dynamic_ones() {
    let heard = dump(&[MODEM]).unwrap();
    let children = [named(&heard, "wwan_4"), named(&heard, "wwan_6")];
    assert!(children.iter().all(|child| child.dynamic));
    let own = named(&heard, "wwan").clone();
    assert!(own.up && !own.dynamic);
    assert!(!own.brings(Family::V4) && !own.brings(Family::V6));
    for order in [[0, 1], [1, 0]] {
        let mut wwan = own.clone();
        order
            .iter()
            .for_each(|child| wwan.take_over(children[*child]));
        assert_eq!(wwan.device, both("wwan0"));
        assert_eq!(wwan.way.v4, gateway("198.51.100.9"));
        assert_eq!(wwan.way.v6, gateway("fe80::1"));
        assert_eq!(wwan.delegated, ["2001:db8:7:1::/64".parse().unwrap()]);
        // What was there first makes no difference.
        let mut child = children[order[0]].clone();
        child.take_over(children[order[1]]);
        let mut last = own.clone();
        last.take_over(&child);
        assert_eq!((last.device, last.way), (wwan.device, wwan.way));
    }
}

#[test]
fn a_dynamic_interface_may_have_a_device_of_its_own() {
    let heard = dump(&[DSLITE]).unwrap();
    let mut wan6 = named(&heard, "wan6").clone();
    wan6.take_over(named(&heard, "wan6_4"));
    assert_eq!((&*wan6.device.v4, &*wan6.device.v6), ("ds-wan6_4", "eth1"));
    assert_eq!(wan6.way.v4, Some(Way::Direct));
    assert_eq!(wan6.way.v6, gateway("fe80::1"));
    // One that is down takes nothing.
    let mut child = named(&heard, "wan6_4").clone();
    child.up = false;
    let mut wan6 = named(&heard, "wan6").clone();
    wan6.take_over(&child);
    assert_eq!(&wan6, named(&heard, "wan6"));
}

#[test]
fn names_tell_the_interface_of_a_dynamic_one() {
    let parents = ["wan_6", "wan_6_4", "wan", "_4", "wan_4x", "_6_4"].map(parent);
    let expected = [Some("wan"), Some("wan_6"), None, None, None, Some("_6")];
    assert_eq!(parents, expected);
}

#[test]
fn routes_to_hosts_are_read() {
    let route = |target: &str, mask: u8, hop: &str| {
        format!(r#"{{"target": "{target}", "mask": {mask}{hop}}}"#)
    };
    let hop = r#", "nexthop": "192.0.2.1""#;
    let routes = [
        route("203.0.113.9", 32, hop),
        route("203.0.113.8", 31, hop),
        route("203.0.113.7", 32, ""),
        route("2001:db8::9", 128, r#", "nexthop": "fe80::1""#),
        route("2001:db8::", 32, r#", "nexthop": "fe80::1""#),
    ];
    let hosts = with_routes(&routes.join(","), "").hosts;
    assert_eq!(
        hosts,
        ["203.0.113.9", "203.0.113.7", "2001:db8::9"].map(|host| host.parse::<IpAddr>().unwrap())
    );
    let many: Vec<String> = (0..40)
        .map(|n| route(&format!("203.0.113.{n}"), 32, hop))
        .collect();
    assert!(with_routes(&many.join(","), "").hosts.is_full());
}

/// Two hundred interfaces, with long strings, deep lists, many prefixes: memory is bounded, and each is read.
#[test]
fn a_dump_of_two_hundred_interfaces_is_read() {
    let interface = |number: usize| {
        let long = "x".repeat(number * 20);
        let prefixes: Vec<String> = (0..number)
            .map(|prefix| format!(r#"{{"address": "2001:db8:{prefix:x}::", "mask": 56}}"#))
            .collect();
        let prefixes = prefixes.join(",");
        format!(
            r#"{{"interface": "if{number}", "up": true, "l3_device": "eth{number}", "data": {{"text": "{long}",
            "deep": {}{}}}, "{long}": [], "dns-search": ["{long}"], "ipv6-prefix": [{prefixes}],
            "route": [{{"target": "0.0.0.0", "mask": 0, "nexthop": "192.0.2.{number}"}}]}}"#,
            "[".repeat(20),
            "]".repeat(20)
        )
    };
    let all: Vec<String> = (0..200).map(interface).collect();
    let text = format!(r#"{{"interface": [{}]}}"#, all.join(","));
    assert!(text.len() > 1_000_000);
    let heard = dump(&[text.as_bytes()]).unwrap();
    assert_eq!(heard.len(), 200);
    for number in 0..200 {
        let interface = named(&heard, &format!("if{number}"));
        assert_eq!(*interface.device.v4, *format!("eth{number}"));
        assert_eq!(interface.way.v4, gateway(&format!("192.0.2.{number}")));
        assert_eq!(interface.delegated.len(), number.min(DELEGATED_READ_MAX));
    }
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(512).collect();
    assert_eq!(dump(&pieces), Ok(heard));
}
