//! Every form of default route that tells a gateway, and all that it carries.

use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::inspect::Monitor;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, Query, query};
use super::{OURS, SOON, TABLE, online_with};

/// Further addresses of the first provider's gateway, one per family.
const SECOND: [&str; 2] = ["192.0.2.9", "2001:db8:1::9"];

fn ip_of(family: Family) -> &'static str {
    if family == Family::V4 { "-4" } else { "-6" }
}

/// A lab whose first gateway has two addresses per family.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.serve();
    let [v4, v6] = SECOND;
    lab.provider(1).gateway.ip(&format!(
        "addr add {v4}/26 dev line\naddr add {v6}/64 dev line nodad"
    ));
    lab
}

/// Everything is learned, in one family.
fn settings(lab: &Lab, family: Family) -> Settings {
    let other = match family {
        Family::V4 => "google6",
        Family::V6 => "google",
    };
    Settings::learning(lab).without_section("check", other)
}

fn path(daemon: &Daemon, number: usize, family: Family) -> Value {
    let status = daemon.status();
    let paths = status["providers"][number - 1]["paths"].as_array().unwrap();
    let of = |path: &&Value| path["family"] == family.to_string();
    paths.iter().find(of).cloned().unwrap_or_default()
}

/// Status, swap table and policy table all have this gateway, and the path works.
fn goes_via(lab: &Lab, daemon: &Daemon, number: usize, family: Family, gateway: &str) {
    let device = &lab.provider(number).device;
    let by = |table| {
        let defaults = lab.router.defaults(family, table);
        let ours = |via: &Option<String>| via.as_deref() == Some(gateway);
        defaults.iter().any(|route| {
            (route.dev.as_ref(), route.protocol) == (Some(device), OURS) && ours(&route.via)
        })
    };
    let table = 17600 + u32::try_from(number).unwrap();
    let so = || path(daemon, number, family)["gateway"] == gateway && by(TABLE) && by(table);
    assert!(
        wait_until(SOON, so),
        "{family} of isp{number} not via {gateway}:\n{:#}\n{:?}\n{}",
        path(daemon, number, family),
        lab.router.defaults(family, TABLE),
        daemon.log()
    );
    let name = format!("isp{number}");
    daemon.wait_for(&name, &family.to_string(), "online");
    let answered = || {
        Query::by_device(device).send(&lab.router, target(family))
            == Outcome::By(u8::try_from(number).unwrap())
    };
    assert!(wait_until(SOON, answered), "{family} via {gateway}");
}

fn gateways(daemon: &Daemon, number: usize, family: Family) -> Value {
    path(daemon, number, family)["gateways"].clone()
}

/// Gateway addresses of both providers.
fn both(lab: &Lab, family: Family) -> [String; 2] {
    [1, 2].map(|number| lab.provider(number).gateway_address(family).to_string())
}

/// A route over both uplinks, and over two routers of one of them.
#[test]
fn one_route_with_several_ways() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = lab();
            let settings = settings(&lab, family);
            let [first, second] = both(&lab, family);
            let further = SECOND[family as usize];
            let set = |words: &str, ways: &str| {
                lab.router.batch(
                    family,
                    &format!("route {words} default proto static metric 20 {ways}"),
                );
            };
            let way = |gateway: &str, device: &str| format!(" nexthop via {gateway} dev {device}");
            let ways = way(&first, "eth1") + &way(&second, "eth2");
            set("add", &ways);
            let daemon = Daemon::start(&lab.router, &settings);
            goes_via(&lab, &daemon, 1, family, &first);
            goes_via(&lab, &daemon, 2, family, &second);
            assert_eq!(gateways(&daemon, 1, family), 1);
            // Two routers on one link.
            let three = way(further, "eth1") + &ways;
            set("replace", &three);
            goes_via(&lab, &daemon, 1, family, further);
            goes_via(&lab, &daemon, 2, family, &second);
            let two = || gateways(&daemon, 1, family) == 2;
            assert!(wait_until(SOON, two));
            assert_eq!(gateways(&daemon, 2, family), 1);
            // It ends as a route of one way, and not at all.
            set("replace", &format!("via {first} dev eth1"));
            goes_via(&lab, &daemon, 1, family, &first);
            daemon.wait_for("isp2", &family.to_string(), "waiting");
            set("replace", &ways);
            goes_via(&lab, &daemon, 2, family, &second);
            set("del", "");
            daemon.wait_for("isp1", &family.to_string(), "waiting");
            daemon.wait_for("isp2", &family.to_string(), "waiting");
            assert_eq!(path(&daemon, 1, family)["reason"], "no gateway");
        }
    });
}

/// While one of several ways is replaced, the others' paths lose nothing.
#[test]
fn a_change_of_several_ways_leaves_no_hole() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = lab();
            let [first, second] = both(&lab, family);
            let further = SECOND[family as usize];
            let set = |first: &str| {
                let line = format!(
                    "route replace default proto static metric 20 nexthop via {first} dev eth1 \
                     nexthop via {second} dev eth2"
                );
                lab.router.batch(family, &line);
            };
            set(&first);
            let settings = settings(&lab, family);
            let daemon = Daemon::start(&lab.router, &settings);
            daemon.wait_for_all("online");
            let before = daemon.journal();
            for _ in 0..10 {
                set(further);
                goes_via(&lab, &daemon, 1, family, further);
                set(&first);
                goes_via(&lab, &daemon, 1, family, &first);
            }
            assert_eq!(daemon.journal(), before);
        }
    });
}

/// Objects and groups, as FRR installs them; the kernel tells their ways with the routes, or only when asked.
#[test]
fn nexthop_objects() {
    in_lab(|| {
        for (family, compatible) in [
            (Family::V4, 1),
            (Family::V4, 0),
            (Family::V6, 1),
            (Family::V6, 0),
        ] {
            let lab = lab();
            lab.router.sysctl("ipv4/nexthop_compat_mode", compatible);
            let [first, second] = both(&lab, family);
            let further = SECOND[family as usize];
            lab.router.batch(
                family,
                &format!(
                    "nexthop add id 1 via {first} dev eth1 proto zebra
                     nexthop add id 2 via {second} dev eth2 proto zebra
                     nexthop add id 3 via {further} dev eth1 proto zebra
                     route add default nhid 1 proto zebra metric 20 mtu 1400
                     route add default nhid 2 proto zebra metric 21"
                ),
            );
            let settings = settings(&lab, family);
            let daemon = Daemon::start(&lab.router, &settings);
            goes_via(&lab, &daemon, 1, family, &first);
            goes_via(&lab, &daemon, 2, family, &second);
            assert!(carried(&lab, family, "176").contains("mtu 1400"));
            // No event tells of the route.
            let replace = format!("nexthop replace id 1 via {further} dev eth1 proto zebra");
            lab.router.batch(family, &replace);
            goes_via(&lab, &daemon, 1, family, further);
            lab.router.ip("nexthop add id 10 group 2/3 proto zebra");
            lab.router.batch(
                family,
                "route replace default nhid 10 proto zebra metric 20
                 route del default nhid 2 proto zebra metric 21",
            );
            goes_via(&lab, &daemon, 1, family, further);
            goes_via(&lab, &daemon, 2, family, &second);
            lab.router.ip("nexthop replace id 10 group 2");
            daemon.wait_for("isp1", &family.to_string(), "waiting");
            goes_via(&lab, &daemon, 2, family, &second);
            lab.router.ip("nexthop replace id 10 group 1/2/3");
            goes_via(&lab, &daemon, 1, family, further);
            // The kernel deletes it with the carrier.
            lab.pull_cable(2);
            daemon.wait_for("isp2", &family.to_string(), "waiting");
            lab.plug_cable(2);
            let reason = || path(&daemon, 2, family)["reason"] == "no gateway";
            assert!(wait_until(SOON, reason), "{:#}", path(&daemon, 2, family));
            let again = format!("nexthop replace id 2 via {second} dev eth2 proto zebra");
            lab.router.batch(family, &again);
            lab.router.ip("nexthop replace id 10 group 1/2");
            goes_via(&lab, &daemon, 2, family, &second);
            let counters = &daemon.status()["counters"];
            assert_eq!(counters["undecodable"], 0);
            assert_eq!(counters["kernel_errors"], 0);
        }
    });
}

/// Of IPv4 routes with one metric, the first that the kernel shows counts, wherever it was put.
#[test]
fn several_routes_with_one_metric() {
    in_lab(|| {
        let lab = lab();
        let [first, _] = both(&lab, Family::V4);
        let further = SECOND[0];
        let put = |verb: &str, gateway: &str| {
            let words = "dev eth1 proto static metric 20";
            lab.router
                .ip(&format!("route {verb} 0.0.0.0/0 via {gateway} {words}"));
        };
        put("add", &first);
        let daemon = Daemon::start(&lab.router, &settings(&lab, Family::V4));
        goes_via(&lab, &daemon, 1, Family::V4, &first);
        put("append", further);
        let two = || gateways(&daemon, 1, Family::V4) == 2;
        assert!(wait_until(SOON, two));
        goes_via(&lab, &daemon, 1, Family::V4, &first);
        put("del", further);
        put("prepend", further);
        goes_via(&lab, &daemon, 1, Family::V4, further);
        put("del", further);
        goes_via(&lab, &daemon, 1, Family::V4, &first);
    });
}

/// RFC 8950: IPv4 by way of an IPv6 router. `arp` without a target asks for it.
#[test]
fn ipv4_by_way_of_an_ipv6_router() {
    in_lab(|| {
        let lab = lab();
        let far = "2001:db8:1::1";
        lab.router.ip(
            "route add 0.0.0.0/0 via inet6 fe80::1 dev eth1 proto static metric 20
             route add 0.0.0.0/0 via inet6 fe80::1 dev eth2 proto static metric 21",
        );
        let settings = settings(&lab, Family::V4).with("check", "near", "type", "arp");
        let daemon = Daemon::start(&lab.router, &settings);
        goes_via(&lab, &daemon, 1, Family::V4, "fe80::1");
        goes_via(&lab, &daemon, 2, Family::V4, "fe80::1");
        let answered = || {
            let status = daemon.status();
            let checks = status["providers"][0]["paths"][0]["checks"].clone();
            let near = checks
                .as_array()
                .unwrap()
                .iter()
                .find(|c| c["name"] == "near");
            near.is_some_and(|near| near["state"] == "ok")
        };
        assert!(
            wait_until(Duration::from_secs(4), answered),
            "{}",
            daemon.log()
        );
        assert_eq!(query(&lab.lan, target(Family::V4)), Outcome::By(1));
        // By a global address, over several ways.
        lab.router.ip(&format!(
            "route replace 0.0.0.0/0 proto static metric 20 nexthop via inet6 {far} dev eth1 \
             nexthop via inet6 fe80::1 dev eth2"
        ));
        goes_via(&lab, &daemon, 1, Family::V4, far);
        goes_via(&lab, &daemon, 2, Family::V4, "fe80::1");
    });
}

/// `onlink` is kept, and a route of scope `link` needs no gateway.
#[test]
fn a_route_into_the_link() {
    in_lab(|| {
        let lab = lab();
        let gateway = &lab.provider(1).gateway;
        gateway.sysctl("ipv4/conf/line/proxy_arp", 1);
        // Without a delay by chance.
        gateway.sysctl("ipv4/neigh/line/proxy_delay", 0);
        let [first, second] = both(&lab, Family::V4);
        lab.router.ip(&format!(
            "route add 0.0.0.0/0 dev eth1 scope link proto static metric 20
             route add 0.0.0.0/0 via {second} dev eth2 onlink proto static metric 21"
        ));
        let settings = settings(&lab, Family::V4);
        let daemon = online_with(&lab, &settings);
        let defaults = lab.router.defaults(Family::V4, TABLE);
        let of = |device: &str| {
            let mut all = defaults.iter();
            all.find(|route| route.dev.as_deref() == Some(device))
                .unwrap()
        };
        assert_eq!(of("eth1").via, None);
        assert_eq!(gateways(&daemon, 1, Family::V4), 0);
        assert_eq!(query(&lab.lan, target(Family::V4)), Outcome::By(1));
        assert_eq!(of("eth2").via.as_ref(), Some(&second));
        assert!(of("eth2").flags.iter().any(|flag| flag == "onlink"));
        lab.router.ip(&format!(
            "route replace 0.0.0.0/0 via {first} dev eth1 proto static metric 20"
        ));
        goes_via(&lab, &daemon, 1, Family::V4, &first);
    });
}

/// The attributes of a default route of the first provider, as `ip` prints them after the way.
fn carried(lab: &Lab, family: Family, table: &str) -> String {
    let words = [
        "ip",
        "-d",
        ip_of(family),
        "route",
        "show",
        "default",
        "table",
        table,
        "dev",
        "eth1",
    ];
    let shown = lab.router.run(&words);
    let line = shown.lines().next().unwrap_or_default().to_owned();
    let mut words: Vec<&str> = line.split_whitespace().collect();
    // What is ours on purpose.
    for own in [
        "unicast", "default", "proto", "src", "metric", "scope", "expires", "dev", "via",
    ] {
        if let Some(at) = words.iter().position(|word| *word == own) {
            let many = if matches!(own, "unicast" | "default") {
                1
            } else {
                2
            };
            words.drain(at..at + many);
        }
    }
    words.join(" ")
}

/// Metrics and what else changes packets are those of the learned route, and follow it.
#[test]
fn a_default_carries_what_the_learned_one_does() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = lab();
            let [first, second] = both(&lab, family);
            let settings = settings(&lab, family);
            let learn = |extras: &str| {
                let line = format!(
                    "route replace default via {first} dev eth1 proto static metric 20 {extras}"
                );
                lab.router.batch(family, &line);
            };
            learn("mtu lock 1400 advmss 1300");
            let line = format!("route add default via {second} dev eth2 proto static metric 21");
            lab.router.batch(family, &line);
            let daemon = online_with(&lab, &settings);
            let alike = |told: &str| {
                let so = || {
                    let learned = carried(&lab, family, "main");
                    learned.contains(told)
                        && ["176", "17601"].map(|table| carried(&lab, family, table))
                            == [learned.clone(), learned]
                };
                let shown = ["main", "176", "17601"].map(|table| carried(&lab, family, table));
                assert!(wait_until(SOON, so), "{told}: {shown:?}\n{}", daemon.log());
            };
            alike("mtu lock 1400 advmss 1300");
            let way = [
                "ip",
                ip_of(family),
                "route",
                "get",
                &target(family).to_string(),
            ]
            .map(String::from);
            let way: Vec<&str> = way.iter().map(String::as_str).collect();
            assert!(lab.router.run(&way).contains("mtu lock 1400"));
            let realm = if family == Family::V4 {
                "realm 7"
            } else {
                "pref low"
            };
            for extras in [
                "mtu 1300",
                "initcwnd 20 initrwnd 30 quickack 1 congctl reno rto_min 20ms",
                "advmss 1200 hoplimit 33 features ecn",
                realm,
                "",
                "mtu 1380 window 9999 rtt 300ms rttvar 40ms ssthresh 40 cwnd lock 50",
            ] {
                learn(extras);
                alike(extras.split_whitespace().next().unwrap_or(""));
            }
            // Longer than any that is copied: it is left out, and said so.
            learn(
                "mtu 1380 window 9999 rtt 300ms rttvar 40ms ssthresh 40 cwnd 50 reordering 5 advmss 1200 \
                 hoplimit 33 features ecn quickack 1 initcwnd 20 initrwnd 30 rto_min 20ms congctl reno",
            );
            let left_out = || {
                let warnings = daemon.status()["warnings"].clone();
                let all = warnings.as_array().unwrap();
                all.iter().any(|warning| warning["code"] == "overflow")
            };
            assert!(wait_until(SOON, left_out), "{:#}", daemon.status());
            assert_eq!(carried(&lab, family, "176").replace("pref medium", ""), "");
            learn("mtu 1400");
            alike("mtu 1400");
            assert!(wait_until(SOON, || !left_out()));
            let counters = daemon.status()["counters"].clone();
            assert_eq!(
                (&counters["repairs"], &counters["kernel_errors"]),
                (&0.into(), &0.into())
            );
        }
    });
}

/// A route whose attributes are equal is not replaced again and again.
#[test]
fn an_equal_route_is_left_alone() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = lab();
            let [first, _] = both(&lab, family);
            let more = if family == Family::V4 {
                "realm 7"
            } else {
                "pref high expires 1800"
            };
            let line = format!(
                "route add default via {first} dev eth1 proto static metric 20 mtu 1400 congctl reno {more}"
            );
            lab.router.batch(family, &line);
            let settings = settings(&lab, family);
            let mut daemon = Daemon::start(&lab.router, &settings);
            goes_via(&lab, &daemon, 1, family, &first);
            let monitor = Monitor::start(&lab, &daemon);
            // Events by which each route is compared again.
            for number in 0..20 {
                lab.router.batch(
                    family,
                    &format!(
                        "route add default via {first} dev eth1 metric {}",
                        500 + number
                    ),
                );
            }
            let seen = || daemon.status()["counters"]["probes_sent"].as_u64().unwrap();
            let before = seen();
            assert!(wait_until(SOON, || seen() > before + 5));
            assert_eq!((monitor.set(), monitor.deleted().len()), (0, 0));
            // Nor by the next run, which finds it.
            daemon.kill9();
            daemon.launch();
            daemon.wait_for("isp1", &family.to_string(), "online");
            assert_eq!((monitor.set(), monitor.deleted().len()), (0, 0));
        }
    });
}

/// A line of 1400 bytes whose "fragmentation needed" is filtered: uploads stall, unless the MTU of the default counts.
#[test]
fn a_line_of_1400_bytes_does_not_stall() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = lab();
            let [first, _] = both(&lab, family);
            let gateway = &lab.provider(1).gateway;
            gateway.ip("link set core mtu 1400");
            gateway.feed(
                &["nft", "-f", "-"],
                "table inet lab { chain out { type filter hook output priority 0;
                    icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }; }\n",
            );
            let learn = |extras: &str| {
                let line = format!(
                    "route replace default via {first} dev eth1 proto static metric 20 {extras}"
                );
                lab.router.batch(family, &line);
            };
            learn("mtu 1400");
            let settings = settings(&lab, family).without_section("provider", "isp2");
            let daemon = online_with(&lab, &settings);
            assert!(uploads(&lab, family), "{}", daemon.log());
            learn("");
            let plain = || !carried(&lab, family, "176").contains("mtu");
            assert!(wait_until(SOON, plain));
            assert!(!uploads(&lab, family), "the lab's line is no such line");
        }
    });
}

/// Whether 100 kB reach a server through the first provider in time.
fn uploads(lab: &Lab, family: Family) -> bool {
    use std::io::{Read, Write};
    let at: IpAddr = target(family);
    let server = lab
        .provider(1)
        .server
        .enter(|| TcpListener::bind((at, 0)).unwrap());
    let port = server.local_addr().unwrap().port();
    let (send, got) = std::sync::mpsc::channel();
    let served = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        let (mut sum, mut buffer) = (0, vec![0; 65536]);
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            sum += length;
        }
        send.send(sum).unwrap();
    });
    let client = lab.router.enter(|| TcpStream::connect((at, port)).unwrap());
    client
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut client = client;
    let _ = client.write_all(&vec![0; 100_000]);
    let _ = client.shutdown(std::net::Shutdown::Write);
    let sum = got.recv().unwrap();
    served.join().unwrap();
    sum == 100_000
}

/// The copies before a default route that refuses carry the same.
#[test]
fn copies_before_a_route_that_refuses_carry_it_too() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = lab();
            let [first, _] = both(&lab, family);
            lab.router.batch(
                family,
                &format!(
                    "route add default via {first} dev eth1 proto static metric 20 mtu 1400
                     route add unreachable default metric 5000"
                ),
            );
            let settings = settings(&lab, family);
            let daemon = Daemon::start(&lab.router, &settings);
            goes_via(&lab, &daemon, 1, family, &first);
            let copied = || {
                let words = [
                    "ip",
                    ip_of(family),
                    "route",
                    "show",
                    "default",
                    "proto",
                    "176",
                    "table",
                    "main",
                ];
                lab.router.run(&words).contains("mtu 1400")
            };
            assert!(wait_until(SOON, copied), "{}", daemon.log());
        }
    });
}

/// Sends a router advertisement by the first provider's gateway, from this address of its; an MTU of 0 is not told.
fn advertise(lab: &Lab, from: &str, hop_limit: u8, preference: u8, mtu: u16) {
    let [high, low] = mtu.to_be_bytes();
    let flags = preference << 3;
    // RFC 4861 section 4.2: type, code, checksum, hop limit, flags, a lifetime of 1800 s, two times; then the option MTU.
    let message = [
        134, 0, 0, 0, hop_limit, flags, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, high, low,
    ];
    let length = if mtu == 0 { 16 } else { 24 };
    let octal = |byte: &u8| format!("\\{byte:03o}");
    let bytes: String = message[..length].iter().map(octal).collect();
    // IPV6_MULTICAST_HOPS
    let to = format!("IP6-SENDTO:[ff02::1%line]:58,setsockopt=41:18:i255,bind=[{from}%line]");
    let line = format!("printf '{bytes}' | socat -u STDIN '{to}'");
    lab.provider(1).gateway.run(&["sh", "-c", &line]);
}

/// Two routers on one link: of equal metrics, the router preference decides (RFC 4191). Their MTU is taken over.
#[test]
fn two_routers_that_advertise_themselves() {
    in_lab(|| {
        let lab = lab();
        lab.provider(1)
            .gateway
            .ip("addr add fe80::2/64 dev line nodad");
        lab.router.sysctl("ipv6/conf/eth1/accept_ra", 2);
        let settings = settings(&lab, Family::V6);
        let daemon = Daemon::start(&lab.router, &settings);
        let carries = |text: &str| {
            let told = || carried(&lab, Family::V6, "176").contains(text);
            assert!(
                wait_until(SOON, told),
                "{text}: {}",
                carried(&lab, Family::V6, "176")
            );
        };
        // The route's event comes before its hop limit is set.
        advertise(&lab, "fe80::1", 61, 0, 0);
        goes_via(&lab, &daemon, 1, Family::V6, "fe80::1");
        carries("hoplimit 61");
        // The same metric, a higher preference.
        advertise(&lab, "fe80::2", 61, 1, 1480);
        goes_via(&lab, &daemon, 1, Family::V6, "fe80::2");
        carries("pref high");
        assert_eq!(gateways(&daemon, 1, Family::V6), 2);
        // Without an event about a route.
        advertise(&lab, "fe80::2", 61, 1, 1400);
        carries("mtu 1400");
        advertise(&lab, "fe80::2", 61, 3, 1400);
        goes_via(&lab, &daemon, 1, Family::V6, "fe80::1");
        carries("pref medium");
    });
}
