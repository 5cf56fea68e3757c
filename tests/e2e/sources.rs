//! Replies leave by the provider whose device has the address that they are from: with every address of the device, in
//! networks that others have a part in, and while addresses come and go.

use super::inspect::Random;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::uplink::Kind;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, query};
use super::{OURS, SOON, leads, online, online_with};

/// The first preference of the second provider's rules for addresses.
const SECOND: u32 = 17916;

/// Further addresses of a device, as a provider may give them: with `ip`'s words, and the address alone.
struct Further {
    family: Family,
    words: &'static str,
    own: &'static str,
}

const fn further(family: Family, words: &'static str, own: &'static str) -> Further {
    Further { family, words, own }
}

const FURTHER: [Further; 13] = [
    // In the network that it has already, a block, single ones, and one of another network with a peer.
    further(Family::V4, "192.0.2.77/26", "192.0.2.77"),
    further(Family::V4, "192.0.2.193/29", "192.0.2.193"),
    further(Family::V4, "192.0.2.194/29", "192.0.2.194"),
    further(Family::V4, "192.0.2.200/32", "192.0.2.200"),
    further(Family::V4, "192.0.2.202/31", "192.0.2.202"),
    further(Family::V4, "192.0.2.210 peer 192.0.2.65/32", "192.0.2.210"),
    further(Family::V4, "192.0.2.220/30 scope link", "192.0.2.220"),
    further(
        Family::V4,
        "192.0.2.225/30 valid_lft 3600 preferred_lft 0",
        "192.0.2.225",
    ),
    further(Family::V6, "2001:db8:2::77/64 nodad", "2001:db8:2::77"),
    further(Family::V6, "2001:db8:2:1::1/64 nodad", "2001:db8:2:1::1"),
    further(Family::V6, "2001:db8:2:2::1/128 nodad", "2001:db8:2:2::1"),
    further(
        Family::V6,
        "2001:db8:2:3::1 peer 2001:db8:2:3::2 nodad",
        "2001:db8:2:3::1",
    ),
    further(
        Family::V6,
        "2001:db8:2:4::1/64 nodad valid_lft 3600 preferred_lft 0",
        "2001:db8:2:4::1",
    ),
];

/// Waits until packets to the target from this address leave by a device.
fn leaves_by(lab: &Lab, daemon: &Daemon, own: &str, device: &str) {
    let family = if own.contains(':') {
        Family::V6
    } else {
        Family::V4
    };
    let target = target(family).to_string();
    let way = || lab.router.way(&target, &["from", own]);
    let so = || way().as_deref() == Some(device);
    let rules = || lab.router.rules(family);
    assert!(
        wait_until(SOON, so),
        "{own}: {:?}\n{:#?}\n{}",
        way(),
        rules(),
        daemon.log()
    );
}

/// The networks and addresses that have a rule of the second provider.
fn sources(lab: &Lab, family: Family) -> Vec<String> {
    let rules = lab.router.rules(family).into_iter();
    let second =
        rules.filter(|rule| rule.protocol == OURS && (SECOND..SECOND + 16).contains(&rule.pref));
    second.map(|rule| rule.src).collect()
}

fn assert_sources(lab: &Lab, daemon: &Daemon, family: Family, wanted: &[&str]) {
    let so = || sources(lab, family) == wanted;
    assert!(
        wait_until(SOON, so),
        "{:?}, not {wanted:?}\n{}",
        sources(lab, family),
        daemon.log()
    );
}

fn change(lab: &Lab, verb: &str, further: &Further) {
    // A lifetime is no part of what identifies an address.
    let words = further.words.split(" valid_lft").next().unwrap();
    let words = if verb == "add" { further.words } else { words };
    let words = if verb == "add" {
        words.to_owned()
    } else {
        words.replace(" nodad", "")
    };
    lab.router.ip(&format!("addr {verb} {words} dev eth2"));
}

/// A ping from behind the second provider to an address of the router is answered, which it is by that provider alone; and
/// one from that address to the Internet.
fn answers(lab: &Lab, further: &Further) {
    let (provider, family) = (lab.provider(2), further.family);
    let own = provider.own(family);
    let via = format!("route replace {} via {own} dev line onlink", further.own);
    provider.gateway.batch(family, &via);
    let target = target(family).to_string();
    for (namespace, from, to) in [
        (&provider.server, target.as_str(), further.own),
        (&lab.router, further.own, target.as_str()),
    ] {
        let ping = ["ping", "-n", "-c", "1", "-W", "2", "-I", from, to];
        let output = namespace.output(&ping);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{ping:?}: {text}");
    }
}

/// They come and go one by one, at run time and while the daemon is dead; nothing counts as a repair.
fn with_further_addresses(kind: Kind) {
    let lab = Lab::builder().kind(2, kind).rp_filter(1).build();
    let mut daemon = online(&lab);
    assert!(leads(&lab, 1));
    let before = Family::ALL.map(|family| sources(&lab, family));
    for further in &FURTHER {
        change(&lab, "add", further);
        leaves_by(&lab, &daemon, further.own, "eth2");
    }
    for further in &FURTHER {
        leaves_by(&lab, &daemon, further.own, "eth2");
        answers(&lab, further);
    }
    let all = Family::ALL.map(|family| sources(&lab, family));
    daemon.kill9();
    for further in &FURTHER[1..3] {
        change(&lab, "del", further);
    }
    daemon.launch();
    daemon.wait_for_all("online");
    assert_ne!(sources(&lab, Family::V4), all[0]);
    for further in &FURTHER[1..3] {
        change(&lab, "add", further);
        leaves_by(&lab, &daemon, further.own, "eth2");
    }
    for further in FURTHER.iter().rev() {
        change(&lab, "del", further);
    }
    for (family, before) in Family::ALL.into_iter().zip(&before) {
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        assert_sources(&lab, &daemon, family, &before);
    }
    let log = daemon.whole_log();
    assert!(
        !log.contains("put back") && !log.contains("offline"),
        "{log}"
    );
}

#[test]
fn from_every_address_of_a_device() {
    in_lab(|| with_further_addresses(Kind::Ethernet));
}

#[test]
fn from_every_address_of_a_point_to_point_device() {
    in_lab(|| with_further_addresses(Kind::PointToPoint));
}

/// Temporary addresses (RFC 8981) come and go by themselves.
#[test]
fn from_temporary_addresses() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        lab.router.sysctl("ipv6/conf/eth2/use_tempaddr", 2);
        lab.router.ip(
            "addr add 2001:db8:2:9::1/64 dev eth2 nodad mngtmpaddr valid_lft 3600 preferred_lft 1800",
        );
        let temporary = || -> Option<String> {
            let shown =
                lab.router
                    .run(&["ip", "-6", "-o", "addr", "show", "dev", "eth2", "temporary"]);
            let own = shown
                .split_whitespace()
                .skip_while(|word| *word != "inet6")
                .nth(1)?;
            Some(own.split('/').next()?.to_owned())
        };
        assert!(wait_until(SOON, || temporary().is_some()));
        leaves_by(&lab, &daemon, &temporary().unwrap(), "eth2");
        assert_sources(
            &lab,
            &daemon,
            Family::V6,
            &["2001:db8:2::/64", "2001:db8:2:9::/64"],
        );
    });
}

/// A host of the LAN in an uplink's network (10.0.0.0/8 outside, 10.1.0.0/24 inside) follows the leader, whether the
/// router has an address there or not.
#[test]
fn a_lan_in_a_providers_network_is_not_taken_from_the_leader() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let daemon = online(&lab);
        let cases = [
            (
                Family::V4,
                "198.51.100.0/25",
                "198.51.100.9/25",
                "198.51.100.66",
                "198.51.100.65/28",
            ),
            (
                Family::V6,
                "2001:db8:77::/48",
                "2001:db8:77::9/48",
                "2001:db8:77:1::66",
                "2001:db8:77:1::65/64",
            ),
        ];
        for (family, network, outside, host, inside) in cases {
            let nodad = if family == Family::V6 { "nodad" } else { "" };
            let lan = if family == Family::V4 {
                "192.0.2.252"
            } else {
                "fe80::1"
            };
            let own = outside.split('/').next().unwrap();
            // The former address of the LAN would be in the network.
            lab.router.batch(
                family,
                &format!(
                    "addr flush dev lan0 scope global
                     addr add {outside} dev eth2 {nodad}
                     route add {host} via {lan} dev lan0 onlink"
                ),
            );
            let target = target(family).to_string();
            let forwarded = || lab.router.way(&target, &["from", host, "iif", "lan0"]);
            let as_network = |daemon: &Daemon| {
                let so = || sources(&lab, family).iter().any(|source| source == network);
                assert!(
                    wait_until(SOON, so),
                    "{:?}\n{}",
                    sources(&lab, family),
                    daemon.log()
                );
                leaves_by(&lab, daemon, own, "eth2");
                assert_eq!(forwarded().as_deref(), Some("eth1"));
            };
            as_network(&daemon);
            lab.router
                .batch(family, &format!("addr add {inside} dev lan0 {nodad}"));
            let so = || sources(&lab, family).iter().any(|source| source == own);
            assert!(
                wait_until(SOON, so),
                "{:?}\n{}",
                sources(&lab, family),
                daemon.log()
            );
            leaves_by(&lab, &daemon, own, "eth2");
            leaves_by(&lab, &daemon, inside.split('/').next().unwrap(), "eth1");
            assert_eq!(forwarded().as_deref(), Some("eth1"));
            lab.router
                .batch(family, &format!("addr del {inside} dev lan0"));
            as_network(&daemon);
        }
    });
}

/// The same, with real packets of the LAN.
#[test]
fn a_host_in_a_providers_network_reaches_the_internet_by_the_leader() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let daemon = online(&lab);
        lab.router.ip("addr flush dev lan0 scope global
             addr add 198.51.100.9/24 dev eth2
             addr add 198.51.100.129/28 dev lan0
             addr add 2001:db8:100::9/48 dev eth2 nodad
             addr add 2001:db8:100:1::1/64 dev lan0 nodad");
        lab.lan.ip("addr flush dev eth0 scope global
             addr add 198.51.100.130/28 dev eth0
             route add default via 198.51.100.129
             addr add 2001:db8:100:1::2/64 dev eth0 nodad
             route replace ::/0 via 2001:db8:100:1::1");
        let own = lab.provider(1).own(Family::V6);
        let back = format!("route add 2001:db8:100:1::/64 via {own} dev line onlink");
        lab.provider(1).gateway.batch(Family::V6, &back);
        for family in Family::ALL {
            let so = || query(&lab.lan, target(family)) == Outcome::By(1);
            assert!(wait_until(SOON, so), "{family}: {}", daemon.log());
        }
        for own in ["198.51.100.9", "2001:db8:100::9"] {
            leaves_by(&lab, &daemon, own, "eth2");
        }
    });
}

/// Carrier-grade NAT, or two lines of one provider: one network on both devices, and at last one address.
#[test]
fn two_uplinks_in_one_network_are_told_apart() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        for (family, networks, both) in [
            (
                Family::V4,
                ["192.0.2.193/29", "192.0.2.194/29"],
                "192.0.2.195/29",
            ),
            (
                Family::V6,
                ["2001:db8:9::1/64", "2001:db8:9::2/64"],
                "2001:db8:9::3/64",
            ),
        ] {
            let nodad = if family == Family::V6 { "nodad" } else { "" };
            let own = |prefix: &'static str| prefix.split('/').next().unwrap();
            for (number, prefix) in (1..).zip(networks) {
                let line = format!("addr add {prefix} dev eth{number} {nodad}");
                lab.router.batch(family, &line);
            }
            let apart = || {
                for (number, prefix) in (1..).zip(networks) {
                    leaves_by(&lab, &daemon, own(prefix), &format!("eth{number}"));
                }
            };
            apart();
            lab.router
                .batch(family, &format!("addr add {both} dev eth2 {nodad}"));
            leaves_by(&lab, &daemon, own(both), "eth2");
            lab.router
                .batch(family, &format!("addr add {both} dev eth1 {nodad}"));
            leaves_by(&lab, &daemon, own(both), "eth1");
            daemon.must(&["use", "isp2"]);
            leaves_by(&lab, &daemon, own(both), "eth2");
            apart();
            daemon.must(&["use", "auto"]);
            lab.router
                .batch(family, &format!("addr del {} dev eth1", networks[0]));
            lab.router
                .batch(family, &format!("addr del {both} dev eth1"));
            leaves_by(&lab, &daemon, own(both), "eth2");
        }
    });
}

/// Addresses of a few networks come and go on both uplinks and in the LAN, at random.
#[test]
fn addresses_come_and_go_on_all_devices() {
    const STEPS: usize = 60;
    const DEVICES: [&str; 3] = ["eth1", "eth2", "lan0"];
    const V4: [&str; 6] = [
        "192.0.2.193/29",
        "192.0.2.194/29",
        "192.0.2.195/32",
        "192.0.2.200/31",
        "192.0.2.201/31",
        "192.0.2.197/28",
    ];
    const V6: [&str; 6] = [
        "2001:db8:9::1/64",
        "2001:db8:9::2/64",
        "2001:db8:9::3/128",
        "2001:db8:9:1::1/64",
        "2001:db8:9:1::2/127",
        "2001:db8:9::4/48",
    ];
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let mut random = Random(0x5eed);
        let mut below = |end: usize| usize::try_from(random.below(end as u64)).unwrap();
        let mut there: Vec<(Family, &str, &str)> = Vec::new();
        for _ in 0..STEPS {
            let (family, pool) = [(Family::V4, V4), (Family::V6, V6)][below(2)];
            let one = (family, DEVICES[below(3)], pool[below(6)]);
            let verb = match there.iter().position(|other| *other == one) {
                Some(place) => {
                    there.remove(place);
                    "del"
                }
                None => {
                    there.push(one);
                    "add"
                }
            };
            let (_, device, prefix) = one;
            let nodad = if (family, verb) == (Family::V6, "add") {
                "nodad"
            } else {
                ""
            };
            lab.router.batch(
                family,
                &format!("addr {verb} {prefix} dev {device} {nodad}"),
            );
            for &(of, device, prefix) in there.iter().filter(|(_, device, _)| *device != "lan0") {
                let twin = |other: &&str| there.contains(&(of, other, prefix));
                let shared = DEVICES[..2].iter().all(twin);
                let own = prefix.split('/').next().unwrap();
                leaves_by(&lab, &daemon, own, if shared { "eth1" } else { device });
            }
        }
        let log = daemon.whole_log();
        assert!(
            !log.contains("put back") && !log.contains("offline"),
            "{log}"
        );
    });
}

/// The texts of the warnings about a provider.
fn overflows(daemon: &Daemon, provider: &str) -> Vec<String> {
    let status = daemon.status();
    let all = status["warnings"].as_array().into_iter().flatten();
    let about = all.filter(|w| w["code"] == "overflow" && w["provider"] == provider);
    about
        .map(|w| w["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn more_addresses_than_there_are_rules_are_told_of() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let address = |family, number: u32| match family {
            Family::V4 => format!("192.0.2.{}", 192 + number),
            Family::V6 => format!("2001:db8:2:{number:x}::1"),
        };
        let change = |verb: &str, family, numbers: std::ops::RangeInclusive<u32>| {
            let nodad = if family == Family::V6 && verb == "add" {
                "nodad"
            } else {
                ""
            };
            let lines =
                numbers.map(|n| format!("addr {verb} {} dev eth2 {nodad}\n", address(family, n)));
            lab.router.batch(family, &lines.collect::<String>());
        };
        for family in Family::ALL {
            change("add", family, 1..=15);
            leaves_by(&lab, &daemon, &address(family, 15), "eth2");
        }
        assert!(overflows(&daemon, "isp2").is_empty());
        let before = Family::ALL.map(|family| sources(&lab, family));
        for family in Family::ALL {
            change("add", family, 16..=40);
        }
        let told = || overflows(&daemon, "isp2").len() == 2;
        assert!(wait_until(SOON, told), "{:#}", daemon.status());
        for (family, text) in Family::ALL.into_iter().zip(overflows(&daemon, "isp2")) {
            assert!(
                text.contains("16") && text.contains(family.name()),
                "{text}"
            );
        }
        assert!(overflows(&daemon, "isp1").is_empty());
        for (family, before) in Family::ALL.into_iter().zip(&before) {
            assert_eq!(
                sources(&lab, family),
                *before,
                "those that have one keep it"
            );
            leaves_by(&lab, &daemon, &address(family, 40), "eth1");
            change("del", family, 1..=15);
            leaves_by(&lab, &daemon, &address(family, 16), "eth2");
            change("del", family, 31..=40);
            leaves_by(&lab, &daemon, &address(family, 30), "eth2");
        }
        let gone = || overflows(&daemon, "isp2").is_empty();
        assert!(wait_until(SOON, gone), "{:#}", daemon.status());
        let log = daemon.whole_log();
        assert!(!log.contains("put back"), "{log}");
    });
}

/// Everything is refused, and no path could come back if the replies to its probes were: strict filters let them in.
#[test]
fn while_everything_is_refused_replies_still_find_their_way() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).build();
        let settings = Settings::fast(&lab).global("last_resort", "unreachable");
        let daemon = online_with(&lab, &settings);
        change(&lab, "add", &FURTHER[1]);
        leaves_by(&lab, &daemon, FURTHER[1].own, "eth2");
        for number in [1, 2] {
            lab.upstream_dies(number);
        }
        daemon.wait_for_all("offline");
        leaves_by(&lab, &daemon, FURTHER[1].own, "eth2");
        for number in [1, 2] {
            lab.upstream_returns(number);
        }
        daemon.wait_for_all("online");
    });
}
