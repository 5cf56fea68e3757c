//! What the kernel answers when it is asked by which way packets would leave is what `ip route get` says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use failover::routing::asked::{Answer, Question, RuleSearch, Way};
use failover::types::{Family, Fault, TABLE_MAIN};
use nix::sys::socket::{setsockopt, sockopt::BindToDevice};

use crate::lab::{Lab, ip, shown};

/// A target behind each provider's gateway, the gateways on `wan1` and `wan2`, and what they are addressed with.
const FAMILIES: [(Family, &str, [&str; 2], &str); 2] = [
    (
        Family::V4,
        "203.0.113.8",
        ["192.0.2.254", "192.0.2.253"],
        "192.0.2.1",
    ),
    (
        Family::V6,
        "2001:db8:53::8",
        ["2001:db8:1::fe", "2001:db8:2::fe"],
        "2001:db8:1::1",
    ),
];

fn question(target: &str, source: Option<&str>) -> Question {
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    Question {
        target: parse(target),
        source: source.map(parse),
    }
}

fn way(table: u32, length: u8, device: u32) -> Answer {
    Answer::By(Way {
        table,
        length,
        device,
        is_one_of_several: false,
        is_own: false,
    })
}

fn option(family: Family) -> &'static str {
    ["-4", "-6"][family as usize]
}

#[test]
fn the_table_and_the_length_are_those_of_the_route_that_wins() {
    for (family, target, [first, second], _) in FAMILIES {
        let mut lab = Lab::new();
        let (wan1, wan2) = (lab.index("wan1"), lab.index("wan2"));
        let o = option(family);
        let half = ["0.0.0.0/1", "128.0.0.0/1"];
        let halves = if family == Family::V4 {
            half
        } else {
            ["::/1", "2000::/3"]
        };
        let question = question(target, None);
        let mut ask = || lab.requests.ask(question).unwrap();
        assert_eq!(ask(), Answer::Refused(Fault::NetworkUnreachable));
        ip(&format!(
            "{o} route add default via {first} dev wan1 metric 7"
        ));
        assert_eq!(ask(), way(TABLE_MAIN, 0, wan1));
        ip(&format!(
            "{o} route add {} via {second} dev wan2 metric 9",
            halves[1]
        ));
        let length = halves[1].rsplit('/').next().unwrap().parse().unwrap();
        assert_eq!(ask(), way(TABLE_MAIN, length, wan2));
        ip(&format!(
            "{o} route add default via {first} dev wan1 table 51820"
        ));
        ip(&format!(
            "{o} rule add pref 100 not fwmark 0xca6c lookup 51820"
        ));
        assert_eq!(ask(), way(51820, 0, wan1));
        ip(&format!("{o} route add unreachable {target} table 51820"));
        assert_eq!(ask(), Answer::Refused(Fault::HostUnreachable));
    }
}

#[test]
fn what_refuses_is_an_answer() {
    for (family, target, _, _) in FAMILIES {
        for (kind, rule, route) in [
            (
                "unreachable",
                Fault::NetworkUnreachable,
                Fault::HostUnreachable,
            ),
            ("prohibit", Fault::NotPermitted, Fault::NotPermitted),
            ("blackhole", Fault::InvalidArgument, Fault::InvalidArgument),
        ] {
            let mut lab = Lab::new();
            let o = option(family);
            let mut ask = || lab.requests.ask(question(target, None)).unwrap();
            ip(&format!("{o} route add {kind} default metric 4278198272"));
            assert_eq!(ask(), Answer::Refused(route), "route {kind} {family}");
            ip(&format!("{o} rule add pref 7 {kind}"));
            assert_eq!(ask(), Answer::Refused(rule), "rule {kind} {family}");
        }
    }
}

#[test]
fn of_several_ways_one_is_told() {
    for (family, target, [first, second], _) in FAMILIES {
        let mut lab = Lab::new();
        let devices = [lab.index("wan1"), lab.index("wan2")];
        ip(&format!(
            "{} route add default nexthop via {first} dev wan1 nexthop via {second} dev wan2",
            option(family)
        ));
        let Answer::By(way) = lab.requests.ask(question(target, None)).unwrap() else {
            panic!("{family} is refused");
        };
        assert!(
            way.is_one_of_several && devices.contains(&way.device),
            "{way:?}"
        );
        assert_eq!((way.table, way.length), (TABLE_MAIN, 0));
    }
}

#[test]
fn rules_for_a_source_are_for_packets_from_it() {
    for (family, target, [first, second], own) in FAMILIES {
        let mut lab = Lab::new();
        let (wan1, wan2) = (lab.index("wan1"), lab.index("wan2"));
        let o = option(family);
        ip(&format!("{o} route add default via {first} dev wan1"));
        ip(&format!(
            "{o} route add default via {second} dev wan2 table 300"
        ));
        let from_own = question(target, Some(own));
        assert_eq!(lab.requests.ask(from_own), Ok(way(TABLE_MAIN, 0, wan1)));
        ip(&format!("{o} rule add pref 100 from {own} lookup 300"));
        let answer = lab.requests.ask(from_own).unwrap();
        assert_eq!(answer, way(300, 0, wan2));
        let mut search = RuleSearch::new(from_own, answer);
        let shown = lab.requests.each_rule(family, &mut |rule| search.see(rule));
        assert_eq!((shown, search.found()), (Ok(()), Some(100)));
    }
}

/// The reverse-path filter looks up as root; for other packets, no rule for certain users counts.
#[test]
fn rules_for_root_are_for_the_way_back_alone() {
    for (family, target, [first, second], own) in FAMILIES {
        let mut lab = Lab::new();
        let (wan1, wan2) = (lab.index("wan1"), lab.index("wan2"));
        let o = option(family);
        ip(&format!("{o} route add default via {first} dev wan1"));
        ip(&format!(
            "{o} route add default via {second} dev wan2 table 300"
        ));
        ip(&format!("{o} rule add pref 100 uidrange 0-0 lookup 300"));
        assert_eq!(
            lab.requests.ask(question(target, None)),
            Ok(way(TABLE_MAIN, 0, wan1))
        );
        assert_eq!(
            lab.requests.ask(question(target, Some(own))),
            Ok(way(300, 0, wan2))
        );
    }
}

#[test]
fn a_device_has_its_name_until_it_is_gone() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    assert_eq!(lab.requests.device_name(wan1).as_deref(), Ok("wan1"));
    ip("link del wan1");
    assert_eq!(lab.requests.device_name(wan1), Err(Fault::NoDevice));
}

/// What a UDP socket gets that is bound to `wan1` and connected to the target.
fn by_socket(target: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    setsockopt(&socket, BindToDevice, &"wan1".into()).unwrap();
    socket.connect((target, 9)).ok()?;
    Some(socket.local_addr().unwrap().ip())
}

#[test]
fn the_own_address_is_that_of_a_socket_bound_to_the_device() {
    for (family, target, [first, second], own) in FAMILIES {
        let mut lab = Lab::new();
        let (wan1, o) = (lab.index("wan1"), option(family));
        let target: IpAddr = target.parse().unwrap();
        let (near, other) = match family {
            Family::V4 => ("203.0.113.1/30", "198.51.100.1/32"),
            Family::V6 => ("2001:db8:53::1/128", "2001:db8:1::7/128"),
        };
        let mut ask = |lines: &[&str]| {
            for line in lines {
                ip(&format!("{o} {line}"));
            }
            let own = lab.requests.own_address(target, wan1);
            assert_eq!(own, by_socket(target), "{lines:?}");
            own
        };
        // In IPv4, such a socket takes the target for a neighbour when there is no route.
        let none = by_socket(target);
        assert_eq!(none.is_some(), family == Family::V4);
        let is = |own: &str| Some(own.parse().unwrap());
        let other_default = format!("route add default via {second} dev wan2 metric 1");
        let default = format!("route add default via {first} dev wan1 metric 9");
        assert_eq!(ask(&[&other_default, &default]), is(own), "not by wan2");
        let nodad = if family == Family::V6 { "nodad" } else { "" };
        let add = format!("address add {near} dev wan1 {nodad}");
        let nearest = if family == Family::V6 { near } else { own };
        assert_eq!(ask(&[&add]), is(nearest.split('/').next().unwrap()));
        let add = format!("address add {other} dev lo {nodad}");
        let source = other.split('/').next().unwrap();
        let default = format!("route replace default via {first} dev wan1 metric 9 src {source}");
        assert_eq!(ask(&[&add, &default]), is(source));
        // Rules for the device, and for root, as which the daemon runs.
        let in_table = format!("route add default via {first} dev wan1 table 300");
        ask(&[
            "rule add pref 90 uidrange 0-0 oif wan1 lookup 300",
            &in_table,
        ]);
        ask(&["rule add pref 80 oif wan1 unreachable"]);
    }
}

/// Whether rules exist, and what they look up first, makes no difference.
#[test]
fn what_comes_to_this_machine_is_told() {
    let mut lab = Lab::new();
    ip("address add 192.0.2.7/26 dev wan1");
    ip("address add 2001:db8:7::7/64 dev wan1 nodad");
    ip("address add fe80::7/64 dev wan1 nodad");
    ip("route add local 198.51.100.0/24 dev lo");
    // The kernel sets the routes to IPv6 addresses up later.
    let started = Instant::now();
    for near in ["2001:db8:7::7 ", "fe80::7 "] {
        while !shown("-6 route show table local").contains(near) {
            assert!(started.elapsed() < Duration::from_secs(5), "never: {near}");
            lab.wait();
            lab.drain();
        }
    }
    for has_rules in [false, true] {
        for family in ["-4", "-6"].iter().filter(|_| has_rules) {
            ip(&format!("{family} rule add pref 32000 lookup local"));
            ip(&format!("{family} rule del pref 0"));
            ip(&format!("{family} rule add pref 100 fwmark 7 lookup 7"));
        }
        for own in ["192.0.2.7", "2001:db8:7::7", "198.51.100.7", "127.0.0.1"] {
            assert!(lab.requests.is_own(own.parse().unwrap()), "{own}");
        }
        assert!(shown("-6 route get fe80::7").starts_with("local fe80::7 "));
        for other in [
            "fe80::7",
            "192.0.2.8",
            "192.0.2.63",
            "2001:db8:7::8",
            "203.0.113.7",
        ] {
            assert!(!lab.requests.is_own(other.parse().unwrap()), "{other}");
        }
    }
}
