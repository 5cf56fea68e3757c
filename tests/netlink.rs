//! Requests, events and the mirror on a real kernel. Each test has a network namespace of its own; needs root.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failover::config::{Mark, PROTOCOL};
use failover::failover::Fault;
use failover::linux::mirror::{Kinds, Mirror};
use failover::linux::netlink::{Drained, Events, Requests};
use failover::linux::objects::{Change, Route, RouteKind, Rule, RuleVerdict, Selector};
use failover::net::{Family, Metric};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{setsockopt, sockopt};

/// A router of its own, and what the library sees of it.
struct Lab {
    requests: Requests,
    events: Events,
    mirror: Box<Mirror>,
}

impl Lab {
    /// In a fresh namespace: `wan1` and `wan2`, up, with their far ends `isp1` and `isp2`.
    fn new() -> Lab {
        unshare(CloneFlags::CLONE_NEWNET).expect("root, to make a network namespace");
        ip("link set lo up");
        for number in [1, 2] {
            ip(&format!(
                "link add wan{number} type veth peer name isp{number}"
            ));
            // A tentative address is shown by dumps, and by no event until it is fit.
            for name in ["wan", "isp"] {
                let dad = format!("/proc/sys/net/ipv6/conf/{name}{number}/accept_dad");
                std::fs::write(dad, "0").unwrap();
            }
            ip(&format!("link set isp{number} up"));
            ip(&format!("link set wan{number} up"));
            ip(&format!("address add 192.0.2.{number}/24 dev wan{number}"));
            ip(&format!(
                "address add 2001:db8:{number}::1/64 dev wan{number} nodad"
            ));
        }
        let events = Events::open().unwrap();
        let mut lab = Lab {
            requests: Requests::open().unwrap(),
            events,
            mirror: Box::new(Mirror::new()),
        };
        lab.dump(Kinds::ALL);
        lab.until("both devices have carrier", |mirror| {
            ["wan1", "wan2"]
                .iter()
                .all(|name| mirror.link_named(name).is_some_and(|link| link.carrier))
        });
        lab
    }

    fn dump(&mut self, kinds: Kinds) -> Kinds {
        self.requests.dump(&mut self.mirror, kinds).unwrap()
    }

    fn drain(&mut self) -> Kinds {
        let mut changed = Kinds::NONE;
        loop {
            let drained = self.events.drain(&mut self.mirror);
            changed.add(drained.changed);
            if !drained.more {
                return changed;
            }
        }
    }

    /// Take in events until something is so, at most five seconds.
    fn until(&mut self, what: &str, so: impl Fn(&Mirror) -> bool) {
        let started = Instant::now();
        self.drain();
        while !so(&self.mirror) {
            assert!(started.elapsed() < Duration::from_secs(5), "never: {what}");
            self.wait();
            self.drain();
        }
    }

    fn index(&self, name: &str) -> u32 {
        self.mirror.link_named(name).unwrap().index
    }

    fn set(&mut self, route: Route) {
        self.requests.carry_out(&Change::SetRoute(route)).unwrap();
        self.drain();
    }

    fn ours(&self) -> Vec<Route> {
        let ours = |route: &&Route| route.protocol == PROTOCOL;
        self.mirror.routes().iter().filter(ours).copied().collect()
    }

    /// The picture that the events made is the one that a dump makes. Events of a link come a little later than dumps
    /// show what they tell, so there is a second for them to come.
    fn assert_true_picture(&mut self, when: &str) {
        let started = Instant::now();
        loop {
            let mut fresh = Box::new(Mirror::new());
            self.requests.dump(&mut fresh, Kinds::ALL).unwrap();
            self.drain();
            let difference = difference(&self.mirror, &fresh);
            if difference.is_empty() {
                return;
            }
            let waited = started.elapsed() > Duration::from_secs(1);
            assert!(!waited, "{when}: {difference:#?}");
            self.wait();
            self.drain();
            self.dump(self.mirror.needs());
        }
    }

    /// For the next event, a tenth of a second at most.
    fn wait(&mut self) {
        let mut fds = [PollFd::new(self.events.fd(), PollFlags::POLLIN)];
        poll(&mut fds, 100u8).unwrap();
    }
}

/// What only one of two pictures shows.
fn difference(events: &Mirror, dump: &Mirror) -> Vec<String> {
    let (events, dump) = (picture(events), picture(dump));
    let only = |who: &str, these: &[String], those: &[String]| -> Vec<String> {
        let unknown = these.iter().filter(|thing| !those.contains(thing));
        unknown.map(|thing| format!("{who} {thing}")).collect()
    };
    [
        only("events:", &events, &dump),
        only("dump:", &dump, &events),
    ]
    .concat()
}

fn picture(mirror: &Mirror) -> Vec<String> {
    let mut lines: Vec<String> = mirror
        .links()
        .iter()
        .map(|thing| format!("{thing:?}"))
        .collect();
    lines.extend(mirror.addresses().iter().map(|thing| format!("{thing:?}")));
    lines.extend(mirror.routes().iter().map(|thing| format!("{thing:?}")));
    lines.extend(mirror.rules().iter().map(|thing| format!("{thing:?}")));
    lines.sort();
    lines
}

/// `ip …` in this thread's namespace.
fn ip(arguments: &str) {
    assert!(try_ip(arguments), "ip {arguments}");
}

fn try_ip(arguments: &str) -> bool {
    let arguments = arguments.split_whitespace();
    let mut command = Command::new("ip");
    command.args(arguments).stderr(Stdio::null());
    command.status().unwrap().success()
}

/// What `ip … show` prints.
fn shown(arguments: &str) -> String {
    let arguments = arguments.split_whitespace();
    let output = Command::new("ip").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A default route of ours in table 176.
fn default(device: u32, gateway: &str, metric: u32) -> Route {
    let gateway: std::net::IpAddr = gateway.parse().unwrap();
    let everything = if gateway.is_ipv4() {
        "0.0.0.0/0"
    } else {
        "::/0"
    };
    Route {
        table: 176,
        destination: everything.parse().unwrap(),
        metric: Metric(metric),
        protocol: PROTOCOL,
        kind: RouteKind::Unicast,
        device,
        gateway: Some(gateway),
        source: None,
        onlink: false,
        from: None,
    }
}

const GATEWAYS: [&str; 2] = ["192.0.2.254", "fe80::ffff"];

#[test]
fn a_set_route_is_seen_and_replaced_in_place() {
    let mut lab = Lab::new();
    let (wan1, wan2) = (lab.index("wan1"), lab.index("wan2"));
    for gateway in GATEWAYS {
        let first = default(wan1, gateway, 100);
        lab.set(first);
        assert_eq!(lab.ours(), [first]);
        lab.set(first);
        assert_eq!(lab.ours(), [first], "setting it again changes nothing");
        let second = Route {
            device: wan2,
            ..first
        };
        lab.set(second);
        assert_eq!(lab.ours(), [second], "one route, not two");
        lab.assert_true_picture("now");
        let gone = Change::DeleteRoute(second);
        lab.requests.carry_out(&gone).unwrap();
        lab.requests
            .carry_out(&gone)
            .expect("gone already is success");
        lab.drain();
        assert_eq!(lab.ours(), []);
    }
}

#[test]
fn every_field_of_a_route_survives_the_way_there_and_back() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    let plain = default(wan1, "192.0.2.254", 100);
    let routes = [
        Route {
            source: Some("192.0.2.1".parse().unwrap()),
            ..plain
        },
        Route {
            metric: Metric(101),
            gateway: Some("203.0.113.1".parse().unwrap()),
            onlink: true,
            ..plain
        },
        Route {
            table: 17601,
            metric: Metric(0),
            destination: "192.0.2.0/24".parse().unwrap(),
            gateway: None,
            ..plain
        },
        Route {
            metric: Metric(102),
            gateway: None,
            ..plain
        },
        Route {
            metric: Metric(103),
            gateway: Some("fe80::1".parse().unwrap()),
            ..plain
        },
        default(wan1, "fe80::1", 100),
        Route {
            metric: Metric(101),
            onlink: true,
            ..default(wan1, "2001:db8:ffff::1", 101)
        },
        Route {
            table: 17601,
            destination: "2001:db8:1::/64".parse().unwrap(),
            gateway: None,
            ..default(wan1, "fe80::1", 100)
        },
    ];
    for route in routes {
        lab.set(route);
        assert_eq!(lab.ours(), [route]);
        lab.assert_true_picture("now");
        lab.requests.carry_out(&Change::DeleteRoute(route)).unwrap();
        lab.drain();
        assert_eq!(lab.ours(), []);
    }
}

#[test]
fn a_foreign_route_is_never_deleted() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    for (gateway, v6) in GATEWAYS.into_iter().zip(["", "-6 "]) {
        let ours = default(wan1, gateway, 100);
        let foreign = format!("{v6}route add default via {gateway} dev wan1 table 176 metric 100");
        ip(&format!("{foreign} proto static"));
        lab.drain();
        lab.requests.carry_out(&Change::DeleteRoute(ours)).unwrap();
        assert!(shown(&format!("{v6}route show table 176")).contains("proto static"));
        ip(&foreign.replace("add", "delete"));
        // Ours by another gateway, device or metric stays as well.
        lab.set(ours);
        for other in [
            Route {
                metric: Metric(101),
                ..ours
            },
            Route {
                device: lab.index("wan2"),
                ..ours
            },
            Route { table: 177, ..ours },
        ] {
            lab.requests.carry_out(&Change::DeleteRoute(other)).unwrap();
        }
        lab.drain();
        assert_eq!(lab.ours(), [ours]);
        lab.requests.carry_out(&Change::DeleteRoute(ours)).unwrap();
        lab.drain();
    }
}

#[test]
fn refusals_have_their_cause_and_the_connection_goes_on() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    let mut refused = |route| lab.requests.carry_out(&Change::SetRoute(route));
    assert_eq!(
        refused(default(wan1, "203.0.113.1", 100)),
        Err(Fault::NetworkUnreachable),
        "a gateway outside the network"
    );
    let nowhere = Route {
        gateway: None,
        ..default(999, "192.0.2.254", 100)
    };
    assert_eq!(refused(nowhere), Err(Fault::NoDevice));
    assert_eq!(refused(default(wan1, "192.0.2.254", 100)), Ok(()));
}

fn rules() -> [Rule; 6] {
    let rule = |pref, selector, verdict| Rule {
        family: Family::V4,
        pref,
        protocol: PROTOCOL,
        selector,
        verdict,
    };
    let mark = Mark {
        value: 0x100,
        mask: 0xff00,
    };
    let device = "wan1".try_into().unwrap();
    [
        rule(17600, Selector::All, RuleVerdict::LookupSpecific(254)),
        rule(17601, Selector::Mark(mark), RuleVerdict::Lookup(17601)),
        rule(
            17700,
            Selector::From("192.0.2.1/32".parse().unwrap()),
            RuleVerdict::Lookup(17601),
        ),
        rule(17800, Selector::Oif(device), RuleVerdict::Lookup(176)),
        rule(18499, Selector::All, RuleVerdict::Unreachable),
        rule(18500, Selector::All, RuleVerdict::Lookup(176)),
    ]
}

#[test]
fn rules_survive_the_way_there_and_back_and_are_never_doubled() {
    let mut lab = Lab::new();
    for family in Family::ALL {
        for mut rule in rules() {
            rule.family = family;
            if let (Selector::From(prefix), Family::V6) = (&mut rule.selector, family) {
                *prefix = "2001:db8:1::1/128".parse().unwrap();
            }
            let add = Change::AddRule(rule.clone());
            lab.requests.carry_out(&add).unwrap();
            lab.requests
                .carry_out(&add)
                .expect("there already is success");
            lab.drain();
            let ours = |mirror: &Mirror| {
                mirror
                    .rules()
                    .iter()
                    .filter(|r| r.protocol == PROTOCOL)
                    .count()
            };
            assert_eq!(ours(&lab.mirror), 1);
            assert!(lab.mirror.rules().contains(&rule), "{rule:?}");
            lab.assert_true_picture("now");
            // A foreign rule that looks the same stays.
            let foreign = Rule {
                protocol: 4,
                ..rule.clone()
            };
            lab.requests
                .carry_out(&Change::AddRule(foreign.clone()))
                .unwrap();
            let delete = Change::DeleteRule(rule);
            lab.requests.carry_out(&delete).unwrap();
            lab.requests
                .carry_out(&delete)
                .expect("gone already is success");
            lab.drain();
            assert_eq!(ours(&lab.mirror), 0);
            assert!(lab.mirror.rules().contains(&foreign));
            lab.requests
                .carry_out(&Change::DeleteRule(foreign))
                .unwrap();
            lab.drain();
            lab.assert_true_picture("now");
        }
    }
}

#[test]
fn what_others_do_is_seen() {
    let mut lab = Lab::new();
    for (v6, one, other, prefix) in [
        ("", "192.0.2.254", "192.0.2.253", "198.51.100.7/24"),
        ("-6 ", "fe80::1", "fe80::2", "2001:db8:ff::7/64"),
    ] {
        let here = |mirror: &Mirror, gateway: &str| {
            let gateway = gateway.parse().ok();
            mirror
                .routes()
                .iter()
                .filter(|route| route.gateway == gateway)
                .count()
        };
        ip(&format!(
            "{v6}route add default via {one} dev wan1 metric 50"
        ));
        assert!(lab.drain().has(Kinds::ROUTES));
        assert_eq!(here(&lab.mirror, one), 1);
        ip(&format!(
            "{v6}route replace default via {other} dev wan1 metric 50"
        ));
        lab.drain();
        assert_eq!((here(&lab.mirror, one), here(&lab.mirror, other)), (0, 1));
        ip(&format!(
            "{v6}route delete default via {other} dev wan1 metric 50"
        ));
        lab.drain();
        assert_eq!(here(&lab.mirror, other), 0);
        ip(&format!("address add {prefix} dev wan2"));
        assert!(lab.drain().has(Kinds::ADDRESSES));
        let known = |mirror: &Mirror| {
            let prefix = prefix.parse().unwrap();
            mirror
                .addresses()
                .iter()
                .any(|address| address.prefix == prefix)
        };
        assert!(known(&lab.mirror));
        ip(&format!("address delete {prefix} dev wan2"));
        lab.drain();
        assert!(!known(&lab.mirror));
        assert_eq!(lab.mirror.needs(), Kinds::NONE);
        lab.assert_true_picture("now");
    }
    // Routes that are no default and not ours do not even change anything.
    ip("route add 203.0.113.0/24 via 192.0.2.254 dev wan1");
    assert_eq!(lab.drain(), Kinds::NONE);
}

#[test]
fn a_pulled_cable_and_a_renamed_and_deleted_device_are_seen() {
    let mut lab = Lab::new();
    ip("link set isp1 down");
    lab.until("carrier lost", |mirror| {
        mirror
            .link_named("wan1")
            .is_some_and(|link| link.up && !link.carrier)
    });
    ip("link set isp1 up");
    lab.until("carrier back", |mirror| {
        mirror.link_named("wan1").is_some_and(|link| link.carrier)
    });
    let wan2 = lab.index("wan2");
    ip("link set wan2 down");
    ip("link set wan2 name usb0");
    lab.drain();
    assert_eq!(lab.index("usb0"), wan2);
    ip("link delete usb0");
    lab.drain();
    assert!(lab.mirror.link(wan2).is_none());
    assert!(
        lab.mirror
            .addresses()
            .iter()
            .all(|address| address.device != wan2)
    );
    lab.dump(lab.mirror.needs());
    lab.assert_true_picture("now");
}

#[test]
fn admin_down_takes_the_ipv4_routes_along_though_nobody_says_so() {
    let mut lab = Lab::new();
    let (wan1, wan2) = (lab.index("wan1"), lab.index("wan2"));
    lab.set(default(wan1, "192.0.2.254", 100));
    let stays = default(wan2, "192.0.2.254", 101);
    lab.set(stays);
    lab.set(default(wan1, "fe80::1", 100));
    ip("link set wan1 down");
    lab.drain();
    assert_eq!(lab.ours(), [stays], "at once");
    assert!(lab.mirror.needs().has(Kinds::ROUTES_V4));
    let changed = lab.dump(lab.mirror.needs());
    assert_eq!(changed, Kinds::NONE, "the dump confirms it");
    assert_eq!(lab.mirror.needs(), Kinds::NONE);
    lab.assert_true_picture("now");
}

#[test]
fn the_last_address_takes_the_ipv4_routes_along_though_nobody_says_so() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    lab.set(default(wan1, "192.0.2.254", 100));
    ip("address delete 192.0.2.1/24 dev wan1");
    lab.drain();
    assert_eq!(lab.ours(), [], "at once");
    lab.dump(lab.mirror.needs());
    lab.assert_true_picture("now");
}

#[test]
fn multipath_routes_and_nexthop_objects_come_out_right_after_the_dump_they_ask_for() {
    let mut lab = Lab::new();
    let steps = [
        "-6 route add default via fe80::1 dev wan1 metric 50 table 176",
        "-6 route append default via fe80::2 dev wan1 metric 50 table 176",
        "-6 route delete default via fe80::1 dev wan1 metric 50 table 176",
        "-6 route replace default metric 50 table 176 nexthop via fe80::3 dev wan1 nexthop via fe80::4 dev wan2",
        "-6 route replace default via fe80::5 dev wan1 metric 50 table 176",
        "-6 route append default via fe80::6 dev wan1 metric 50 table 176",
        "-6 route delete default metric 50 table 176",
        "route add default metric 60 nexthop via 192.0.2.253 dev wan1 nexthop via 192.0.2.254 dev wan2",
        "route append default via 192.0.2.252 dev wan1 metric 60",
        "route replace default via 192.0.2.251 dev wan1 metric 60",
        "link set wan2 down",
        "nexthop add id 7 via 192.0.2.9 dev wan1",
        "route add default nhid 7 metric 70",
        "nexthop replace id 7 via 192.0.2.8 dev wan1",
        "nexthop delete id 7",
    ];
    for step in steps {
        ip(step);
        lab.drain();
        lab.dump(lab.mirror.needs());
        lab.assert_true_picture(step);
    }
}

#[test]
fn after_an_overrun_a_dump_makes_the_picture_right() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    setsockopt(&lab.events.fd().as_fd(), sockopt::RcvBuf, &4096).unwrap();
    let mut batch = String::new();
    for number in 0..3000 {
        batch += &format!(
            "route replace default via 192.0.2.{} dev wan1 metric 9\n",
            number % 200 + 3
        );
    }
    let file = std::env::temp_dir().join(format!("failover-overrun-{}", std::process::id()));
    std::fs::write(&file, batch).unwrap();
    ip(&format!("-batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    lab.drain();
    assert!(lab.mirror.counters.overruns > 0);
    assert_eq!(lab.mirror.needs(), Kinds::ALL);
    lab.dump(lab.mirror.needs());
    lab.assert_true_picture("now");
    // And events go on.
    lab.set(default(wan1, "192.0.2.254", 100));
    assert_eq!(lab.ours().len(), 1);
}

#[test]
fn a_drain_is_bounded() {
    let mut lab = Lab::new();
    let mut batch = String::new();
    for number in 0..400 {
        batch += &format!(
            "route replace default via 192.0.2.{} dev wan1 metric 9\n",
            number % 200 + 3
        );
    }
    let file = std::env::temp_dir().join(format!("failover-bounded-{}", std::process::id()));
    std::fs::write(&file, batch).unwrap();
    ip(&format!("-batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    assert!(lab.events.drain(&mut lab.mirror).more);
    lab.drain();
    assert_eq!(lab.events.drain(&mut lab.mirror), Drained::default());
    assert_eq!(lab.mirror.counters.overruns, 0);
    lab.assert_true_picture("now");
}

/// The same numbers each time: xorshift32.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }
}

#[test]
fn after_random_changes_the_picture_is_the_one_of_a_fresh_dump() {
    let mut lab = Lab::new();
    let mut dice = Dice(20_260_101);
    let mut done = 0;
    for _ in 0..150 {
        let device = dice.roll(2) + 1;
        let verb = ["add", "replace", "append", "delete"][dice.roll(4) as usize];
        let simple = ["add", "delete"][dice.roll(2) as usize];
        let metric = 100 + dice.roll(3);
        let host = 200 + dice.roll(4);
        let protocol = [4, 176][dice.roll(2) as usize];
        let table = [254, 176, 17601][dice.roll(3) as usize];
        let rest = format!("dev wan{device} metric {metric} proto {protocol} table {table}");
        let command = match dice.roll(10) {
            0..3 => format!("route {verb} default via 192.0.2.{host} {rest}"),
            3..6 => format!("-6 route {verb} default via fe80::{host} {rest}"),
            6 => format!("route {verb} 203.0.113.0/24 {rest}"),
            7 => format!("address {simple} 192.0.2.{host}/24 dev wan{device}"),
            8 => format!(
                "rule {simple} pref {} lookup {table} protocol {protocol}",
                17600 + host
            ),
            _ => format!(
                "link set wan{device} {}",
                ["up", "down"][dice.roll(2) as usize]
            ),
        };
        done += u32::from(try_ip(&command));
        lab.drain();
        if !lab.mirror.needs().is_empty() {
            lab.dump(lab.mirror.needs());
        }
        lab.assert_true_picture(&command);
    }
    assert!(done > 60, "only {done} commands did anything");
    assert_eq!(lab.mirror.counters, Default::default());
}
