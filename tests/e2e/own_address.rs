//! The own address of a path: what the kernel chooses, and the same as long as it is usable, without a lost round.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::sockopt::{BindToDevice, Ipv6MulticastHops};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, bind, sendto,
    setsockopt, socket,
};

use super::inspect::path;
use super::lab::rights::in_lab;
use super::lab::topology::{Kind, target};
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, TABLE, leads_in};

/// What the kernel chooses for a UDP socket that is bound to `eth1` and connected to the target.
fn chosen(lab: &Lab, family: Family) -> Option<String> {
    lab.router.enter(|| {
        let any: IpAddr = match family {
            Family::V4 => "0.0.0.0".parse().unwrap(),
            Family::V6 => "::".parse().unwrap(),
        };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        setsockopt(&socket, BindToDevice, &"eth1".into()).unwrap();
        socket.connect((target(family), 9)).ok()?;
        Some(socket.local_addr().unwrap().ip().to_string())
    })
}

/// A lab whose routes are learned, and nothing else; its uplinks have one address in each family.
fn learning() -> Lab {
    let lab = Lab::new();
    for (number, metric) in [(1, 10), (2, 20)] {
        for family in Family::ALL {
            lab.learn_default(number, family, "static", metric);
        }
    }
    lab
}

/// Everything is learned, and no answer is too late on a busy machine.
fn settings(lab: &Lab) -> Settings {
    Settings::learning(lab).global("timeout", "3s")
}

fn online(lab: &Lab) -> Daemon<'_> {
    lab.serve();
    let daemon = Daemon::start(&lab.router, &settings(lab));
    daemon.wait_for_all("online");
    daemon
}

/// The own address of the first provider's path.
fn own(daemon: &Daemon, family: Family) -> String {
    let status = daemon.status();
    let path = path(&status, "isp1", &family.to_string());
    path["address"].as_str().unwrap_or_default().to_owned()
}

/// The path's probes so far, and the answers to them.
fn probes(daemon: &Daemon, family: Family) -> (u64, u64) {
    let status = daemon.status();
    let check = path(&status, "isp1", &family.to_string())["checks"][0].clone();
    let number = |name| check[name].as_u64().unwrap();
    (number("sent"), number("received"))
}

/// How many of its probes have been lost: the fewest that are unanswered while more are answered, looked at often enough to
/// find none on its way.
fn lost(daemon: &Daemon, family: Family) -> u64 {
    let (sent, begin) = probes(daemon, family);
    let (mut fewest, mut looks) = (sent - begin, 0);
    let many = || {
        let (sent, received) = probes(daemon, family);
        fewest = fewest.min(sent - received);
        looks += 1;
        looks > 20 && received > begin + 3
    };
    assert!(wait_until(SOON, many), "{}", daemon.log());
    fewest
}

/// Waits until the path has this address and is online with it.
fn has(daemon: &Daemon, family: Family, address: &str) {
    let so = || {
        let status = daemon.status();
        let path = path(&status, "isp1", &family.to_string());
        path["address"] == address && path["state"] == "online"
    };
    assert!(
        wait_until(SOON, so),
        "not {address}: {:#}\n{}",
        daemon.status(),
        daemon.log()
    );
}

/// The line has been online all the time.
fn was_never_offline(daemon: &Daemon) {
    let log = daemon.whole_log();
    assert!(!log.contains("isp1 ipv4: online →"), "{log}");
    assert!(!log.contains("isp1 ipv6: online →"), "{log}");
    let states = daemon.path_states();
    assert!(states.iter().all(|(.., state)| state == "online"), "{log}");
}

/// What the kernel chooses before the daemon has a route of its own is what the daemon takes.
#[test]
fn it_is_what_the_kernel_chooses() {
    in_lab(|| {
        let lab = learning();
        lab.serve();
        lab.router.sysctl("ipv4/conf/eth1/promote_secondaries", 1);
        let settings = settings(&lab);
        let v4 = "route replace default via 192.0.2.1 dev eth1 proto static metric 10";
        let situations = [
            (Family::V4, "", "192.0.2.2"),
            (Family::V4, "addr add 192.0.2.3/26 dev eth1", "192.0.2.2"),
            (Family::V4, "addr add 192.0.2.4/25 dev eth1", "192.0.2.2"),
            (
                Family::V4,
                "addr add 169.254.7.7/16 scope link dev eth1",
                "192.0.2.2",
            ),
            (
                Family::V4,
                "addr change 192.0.2.2/26 dev eth1 preferred_lft 0 valid_lft 600",
                "192.0.2.2",
            ),
            (Family::V4, &format!("{v4} src 192.0.2.3"), "192.0.2.3"),
            (
                Family::V4,
                &format!("addr add 192.0.2.50/32 dev lo\n{v4} src 192.0.2.50"),
                "192.0.2.50",
            ),
            (Family::V4, v4, "192.0.2.2"),
            // The secondary one that is promoted comes last.
            (
                Family::V4,
                "addr add 192.0.2.33/27 dev eth1\naddr del 192.0.2.2/26 dev eth1",
                "192.0.2.4",
            ),
            (Family::V6, "", "2001:db8:1::2"),
            (
                Family::V6,
                "addr add 2001:db8:53::1:1/128 dev eth1",
                "2001:db8:53::1:1",
            ),
            (
                Family::V6,
                "addr change 2001:db8:53::1:1/128 dev eth1 preferred_lft 0 valid_lft 600",
                "2001:db8:1::2",
            ),
            (
                Family::V6,
                "addr add fd00:1::1/64 dev eth1 nodad",
                "2001:db8:1::2",
            ),
        ];
        for (family, lines, expected) in situations {
            lab.router.ip(lines);
            let kernels = chosen(&lab, family);
            assert_eq!(kernels.as_deref(), Some(expected), "{lines}");
            let mut daemon = Daemon::start(&lab.router, &settings);
            let so = || Some(own(&daemon, family)) == kernels;
            assert!(
                wait_until(SOON, so),
                "after {lines:?} not {kernels:?}: {:#}",
                daemon.status()
            );
            assert!(daemon.terminate().success());
        }
    });
}

#[test]
fn a_new_address_does_not_move_it_and_a_source_of_the_route_does() {
    in_lab(|| {
        let lab = learning();
        let daemon = online(&lab);
        let before = Family::ALL.map(|family| lost(&daemon, family));
        lab.router.ip("addr add 192.0.2.1/32 dev eth1 scope link
             addr del 192.0.2.1/32 dev eth1
             addr add 10.9.0.1/8 dev eth1
             addr add 192.0.2.3/26 dev eth1
             addr add 192.0.2.4/27 dev eth1
             addr add 2001:db8::1/48 dev eth1 nodad
             addr add 2001:db8:1::1:1/64 dev eth1 nodad
             addr add 2001:db8:53::1:1/128 dev eth1 nodad");
        // The last event has been heard when this has.
        lab.router.ip(
            "route replace default via 192.0.2.1 dev eth1 proto static metric 10 src 192.0.2.3",
        );
        has(&daemon, Family::V4, "192.0.2.3");
        has(&daemon, Family::V6, "2001:db8:1::2");
        lab.router.ip(
            "route replace default via 192.0.2.1 dev eth1 proto static metric 10 src 192.0.2.4",
        );
        has(&daemon, Family::V4, "192.0.2.4");
        let route = &lab.router.defaults(Family::V4, 176)[0];
        assert_eq!(route.src.as_deref(), Some("192.0.2.4"));
        lab.router.ip(
            "route replace default via 192.0.2.1 dev eth1 proto static metric 10
             addr del 10.9.0.1/8 dev eth1",
        );
        let after = Family::ALL.map(|family| lost(&daemon, family));
        assert_eq!(before, after, "{}", daemon.log());
        has(&daemon, Family::V4, "192.0.2.4");
        was_never_offline(&daemon);
    });
}

/// A learned IPv6 route names its source, as `PreferredSource=` of systemd-networkd does: ours does, too, and probes have it,
/// whatever else the device has, and after a kill.
#[test]
fn the_source_of_a_learned_ipv6_route_is_that_of_ours() {
    in_lab(|| {
        let lab = learning();
        lab.router.ip(
            "addr add 2001:db8:1::99/64 dev eth1 nodad
             route replace default via 2001:db8:1::1 dev eth1 proto static metric 10 src 2001:db8:1::2",
        );
        let mut daemon = online(&lab);
        let to = target(Family::V6).to_string();
        let is = |daemon: &Daemon, source: &str| {
            has(daemon, Family::V6, source);
            let got = || lab.router.run(&["ip", "-6", "route", "get", &to]);
            let words = format!(" src {source} ");
            assert!(wait_until(SOON, || got().contains(&words)), "{}", got());
        };
        is(&daemon, "2001:db8:1::2");
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        is(&daemon, "2001:db8:1::2");
        lab.router.ip(
            "route replace default via 2001:db8:1::1 dev eth1 proto static metric 10 src 2001:db8:1::99",
        );
        is(&daemon, "2001:db8:1::99");
    });
}

/// With `promote_secondaries`, the device keeps its network when its first address goes. The one that is promoted comes
/// behind the other primary ones.
#[test]
fn when_it_goes_the_kernels_next_takes_its_place() {
    in_lab(|| {
        for (further, next) in [
            ("addr add 192.0.2.3/26 dev eth1", "192.0.2.3"),
            (
                "addr add 192.0.2.3/26 dev eth1\naddr add 192.0.2.4/25 dev eth1",
                "192.0.2.4",
            ),
        ] {
            let lab = learning();
            lab.router.sysctl("ipv4/conf/eth1/promote_secondaries", 1);
            let mut daemon = online(&lab);
            lab.router.ip(further);
            let before = lost(&daemon, Family::V4);
            lab.router.ip("addr del 192.0.2.2/26 dev eth1");
            has(&daemon, Family::V4, next);
            assert!(lost(&daemon, Family::V4) <= before, "{}", daemon.log());
            was_never_offline(&daemon);
            assert!(leads_in(&lab, 1, Family::V4));
            assert!(daemon.terminate().success());
            assert_eq!(chosen(&lab, Family::V4).as_deref(), Some(next));
        }
    });
}

/// The answers of a slow line are on their way to the former address, where nothing hears them any more.
#[test]
fn no_round_is_lost_when_it_moves_on_a_slow_line() {
    in_lab(|| {
        let builder = Lab::builder().kind(1, Kind::PointToPoint);
        let lab = builder.delay(Duration::from_millis(80)).build();
        for family in Family::ALL {
            lab.learn_default(2, family, "static", 20);
        }
        let device = &lab.provider(1).device;
        let gateway = &lab.provider(1).gateway;
        gateway.ip("route add 192.0.2.40 dev line\nroute add 192.0.2.41 dev line");
        lab.router.ip(&format!(
            "addr add 192.0.2.40/32 dev {device}\naddr add 192.0.2.41/32 dev {device}"
        ));
        let daemon = online(&lab);
        for own in ["192.0.2.40", "192.0.2.41", "192.0.2.40"] {
            lab.router.ip(&format!(
                "route replace default dev {device} proto static metric 10 src {own}"
            ));
            has(&daemon, Family::V4, own);
        }
        let more = || {
            let status = daemon.status();
            let rounds = &path(&status, "isp1", "ipv4")["rounds"];
            assert_eq!(rounds["failed"], 0, "{status:#}\n{}", daemon.log());
            rounds["streak"].as_i64() > Some(60)
        };
        assert!(wait_until(SOON, more), "{:#}", daemon.status());
        was_never_offline(&daemon);
    });
}

/// New address first, old one deprecated, then gone.
#[test]
fn it_is_renumbered_without_a_verdict() {
    in_lab(|| {
        let lab = learning();
        let daemon = online(&lab);
        let gateway = &lab.provider(1).gateway;
        gateway.ip("addr add 192.0.2.129/28 dev line\naddr add 2001:db8:a::1/64 dev line nodad");
        let before = Family::ALL.map(|family| lost(&daemon, family));
        let age = |lifetime| {
            lab.router.ip(&format!(
                "addr change 192.0.2.2/26 dev eth1 preferred_lft {lifetime}
                 addr change 2001:db8:1::2/64 dev eth1 preferred_lft {lifetime}"
            ));
        };
        lab.router
            .ip("addr add 192.0.2.130/28 dev eth1\naddr add 2001:db8:a::2/64 dev eth1 nodad");
        age("0 valid_lft 600");
        has(&daemon, Family::V6, "2001:db8:a::2");
        assert_eq!(chosen(&lab, Family::V6).as_deref(), Some("2001:db8:a::2"));
        has(&daemon, Family::V4, "192.0.2.2");
        lab.learn_default_via(1, "192.0.2.129".parse().unwrap(), "static", 10);
        has(&daemon, Family::V4, "192.0.2.130");
        lab.router
            .ip("addr del 192.0.2.2/26 dev eth1\naddr del 2001:db8:1::2/64 dev eth1");
        let after = Family::ALL.map(|family| lost(&daemon, family));
        assert_eq!(before, after, "{:#}\n{}", daemon.status(), daemon.log());
        was_never_offline(&daemon);
    });
}

/// The old address is deprecated and there is no other: it is used, and that is said.
#[test]
fn a_deprecated_address_is_better_than_none() {
    in_lab(|| {
        let lab = learning();
        let daemon = online(&lab);
        let before = Family::ALL.map(|family| lost(&daemon, family));
        for family in Family::ALL {
            let address = own(&daemon, family);
            let length = if family == Family::V4 { 26 } else { 64 };
            lab.router.ip(&format!(
                "addr change {address}/{length} dev eth1 preferred_lft 0 valid_lft 600"
            ));
            let so = || {
                let status = daemon.status();
                let path = path(&status, "isp1", &family.to_string());
                path["address_deprecated"] == true && path["address"] == *address
            };
            assert!(wait_until(SOON, so), "{:#}", daemon.status());
            let said = daemon.must(&["explain", "isp1"]);
            let sentence = format!("Its address {address} is deprecated");
            assert!(said.contains(&sentence), "{said}");
        }
        let after = Family::ALL.map(|family| lost(&daemon, family));
        assert_eq!(before, after, "{}", daemon.log());
        was_never_offline(&daemon);
        // The kernel would take another provider's address, or the LAN's.
        let kernels = chosen(&lab, Family::V6).unwrap();
        assert_ne!(kernels, own(&daemon, Family::V6));
    });
}

/// `use_tempaddr` 2: the kernel prefers a temporary address, and makes another when that is deprecated.
#[test]
fn a_privacy_address_stays_until_it_is_deprecated() {
    in_lab(|| {
        let lab = learning();
        lab.router.sysctl("ipv6/conf/eth1/use_tempaddr", 2);
        lab.router.ip("addr del 2001:db8:1::2/64 dev eth1
             addr add 2001:db8:1::2/64 dev eth1 mngtmpaddr nodad");
        // Those that are preferred.
        let temporary = || -> Vec<String> {
            let shown = lab.router.run(&[
                "ip",
                "-6",
                "-o",
                "addr",
                "show",
                "dev",
                "eth1",
                "temporary",
                "-tentative",
                "-deprecated",
            ]);
            let lines = shown.lines();
            let addresses =
                lines.filter_map(|line| line.split_whitespace().nth(3)?.split('/').next());
            addresses.map(str::to_owned).collect()
        };
        let first = || chosen(&lab, Family::V6).filter(|own| temporary().contains(own));
        assert!(wait_until(SOON, || first().is_some()));
        let first = first().unwrap();
        let daemon = online(&lab);
        assert_eq!(own(&daemon, Family::V6), first);
        let before = lost(&daemon, Family::V6);
        // A second one is made as an hour would: the first is still preferred.
        lab.router
            .ip("addr add 2001:db8:1::5/64 dev eth1 mngtmpaddr nodad
             addr add 2001:db8:1::6/128 dev eth1 nodad");
        let two = || temporary().len() == 2;
        assert!(wait_until(SOON, two));
        assert_eq!(own(&daemon, Family::V6), first);
        assert_eq!(lost(&daemon, Family::V6), before);
        lab.router.ip(&format!(
            "addr change {first}/64 dev eth1 preferred_lft 0 valid_lft 600"
        ));
        // The kernel may make a third one: any of them is its choice at some time.
        let moved = || temporary().contains(&own(&daemon, Family::V6));
        assert!(wait_until(SOON, moved), "{:#}", daemon.status());
        assert_ne!(own(&daemon, Family::V6), first);
        assert!(lost(&daemon, Family::V6) <= before, "{}", daemon.log());
        was_never_offline(&daemon);
    });
}

/// The modem has the router's address. The kernel deletes one with a lifetime, as from DHCPv6.
#[test]
fn a_duplicate_address_is_told() {
    in_lab(|| {
        for lifetime in ["", "valid_lft 600 preferred_lft 300"] {
            let lab = learning();
            lab.serve();
            lab.router.ip("addr del 2001:db8:1::2/64 dev eth1");
            lab.router.sysctl("ipv6/conf/eth1/accept_dad", 1);
            let gateway = &lab.provider(1).gateway;
            gateway.ip("addr add 2001:db8:1::2/64 dev line nodad");
            let daemon = Daemon::start(&lab.router, &settings(&lab));
            daemon.wait_for("isp1", "ipv4", "online");
            let own = format!("addr add 2001:db8:1::2/64 dev eth1 {lifetime}");
            lab.router.ip(&own);
            let so = || {
                let status = daemon.status();
                let path = path(&status, "isp1", "ipv6");
                path["reason"] == "no address: duplicate (DAD failed)"
                    && path["address"] == "2001:db8:1::2"
            };
            assert!(
                wait_until(SOON, so),
                "{:#}\n{}",
                daemon.status(),
                daemon.log()
            );
            let said = daemon.must(&["explain", "isp1"]);
            let sentence = "no address: 2001:db8:1::2 is a duplicate (DAD failed)";
            assert!(said.contains(sentence), "{said}");
            gateway.ip("addr del 2001:db8:1::2/64 dev line");
            if lifetime.is_empty() {
                lab.router.ip("addr del 2001:db8:1::2/64 dev eth1");
            }
            lab.router.ip(&own);
            has(&daemon, Family::V6, "2001:db8:1::2");
            assert!(leads_in(&lab, 1, Family::V6));
        }
    });
}

/// The device has a link-local address only; the LAN has one of the delegated prefix. Beside another provider the kernel
/// might take that one's address, which is never right: then our routes name the right one, and else none.
#[test]
fn an_address_of_a_delegated_prefix_is_enough_without_netifd() {
    in_lab(|| {
        for alone in [true, false] {
            let builder = Lab::builder();
            let lab = if alone { builder.only_ipv4(2) } else { builder }.build();
            lab.serve();
            lab.learn_default(1, Family::V4, "static", 10);
            lab.learn_default(2, Family::V4, "static", 20);
            if !alone {
                lab.learn_default(2, Family::V6, "static", 20);
            }
            lab.router.ip("addr del 2001:db8:1::2/64 dev eth1
                 addr add fe80::2/64 dev eth1 nodad
                 route replace ::/0 via fe80::1 dev eth1 proto ra metric 10
                 addr del 2001:db8:100::1/64 dev lan0
                 addr add fd00::1/64 dev lan0 nodad");
            delegated_prefix(&lab, alone);
        }
    });
}

fn delegated_prefix(lab: &Lab, alone: bool) {
    let gateway = &lab.provider(1).gateway;
    let delegate = |prefix: &str, own: &str| {
        gateway.ip(&format!("route replace {prefix} via fe80::2 dev line"));
        lab.router.ip(&format!("addr add {own}/64 dev lan0 nodad"));
    };
    let judge = |daemon: &Daemon| {
        let so = || chosen(lab, Family::V6) == Some(own(daemon, Family::V6));
        assert!(wait_until(SOON, so), "{:?}", chosen(lab, Family::V6));
        let ours = lab.router.defaults(Family::V6, TABLE);
        let ours = ours.iter().find(|r| r.dev.as_deref() == Some("eth1"));
        assert_eq!(ours.map(|r| r.src.is_none()), Some(alone), "{ours:?}");
    };
    // More than there is room for, of addresses of other devices.
    let others = (1..100).map(|host| format!("addr add fd00:9::{host}/128 dev lo\n"));
    lab.router.ip(&others.collect::<String>());
    let daemon = Daemon::start(&lab.router, &settings(lab));
    daemon.wait_for("isp2", "ipv4", "online");
    let reason = path(&daemon.status(), "isp1", "ipv6")["reason"].clone();
    assert_eq!(reason, "no address", "neither the LAN's own nor isp2's");
    delegate("2001:db8:f00::/56", "2001:db8:f00:1::1");
    has(&daemon, Family::V6, "2001:db8:f00:1::1");
    judge(&daemon);
    let before = lost(&daemon, Family::V6);
    // It is renewed with another prefix.
    delegate("2001:db8:e00::/56", "2001:db8:e00:1::1");
    lab.router
        .ip("addr change 2001:db8:f00:1::1/64 dev lan0 preferred_lft 0 valid_lft 600");
    has(&daemon, Family::V6, "2001:db8:e00:1::1");
    lab.router.ip("addr del 2001:db8:f00:1::1/64 dev lan0");
    assert!(lost(&daemon, Family::V6) <= before, "{}", daemon.log());
    judge(&daemon);
    // The device gets one of its own, which is what the kernel prefers.
    lab.router.ip("addr add 2001:db8:1::2/64 dev eth1 nodad");
    has(&daemon, Family::V6, "2001:db8:1::2");
    assert_eq!(chosen(lab, Family::V6), Some(own(&daemon, Family::V6)));
    assert!(lost(&daemon, Family::V6) <= before, "{}", daemon.log());
    let log = daemon.whole_log();
    assert!(!log.contains("→ offline"), "{log}");
}

/// Two uplinks with link-local addresses only, and an address of each one's delegated prefix in the LAN. The router's own
/// packets have an address of the provider by which they leave, whatever the kernel would choose.
#[test]
fn of_two_delegated_prefixes_packets_have_that_of_their_provider() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        lab.router.ip("addr del 2001:db8:100::1/64 dev lan0
             addr add fd00::1/64 dev lan0 nodad");
        // The kernel prefers one that has more bits in common with the target: 2001:db8:53::8.
        let delegate = |number: usize, prefix: &str| {
            let gateway = &lab.provider(number).gateway;
            gateway.ip(&format!(
                "route replace {prefix}::/56 via fe80::{number}0 dev line"
            ));
            lab.router.ip(&format!(
                "addr add {prefix}::1/64 dev lan0 nodad
                 route add ::/0 from {prefix}::/56 via fe80::1 dev eth{number} proto static metric 512"
            ));
        };
        for (number, prefix) in [(1, "2001:db8:f00"), (2, "2001:db8:52")] {
            lab.learn_default(
                number,
                Family::V4,
                "static",
                10 * u32::try_from(number).unwrap(),
            );
            lab.router.ip(&format!(
                "addr del 2001:db8:{number}::2/64 dev eth{number}
                 addr add fe80::{number}0/64 dev eth{number} nodad"
            ));
            delegate(number, prefix);
        }
        let mut daemon = Daemon::start(&lab.router, &settings(&lab));
        daemon.wait_for_all("online");
        let leaves_with = |daemon: &Daemon, number: usize, own: &str| {
            assert!(leads_in(&lab, number, Family::V6), "{}", daemon.log());
            let so = || sources_of(&lab, number) == [Some(own.to_owned()), Some(own.to_owned())];
            assert!(
                wait_until(SOON, so),
                "{:?}\n{}",
                sources_of(&lab, number),
                daemon.log()
            );
        };
        leaves_with(&daemon, 1, "2001:db8:f00::1");
        lab.upstream_dies(1);
        leaves_with(&daemon, 2, "2001:db8:52::1");
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        leaves_with(&daemon, 1, "2001:db8:f00::1");
        // It is renewed with another prefix: while the daemon runs, and while it does not.
        for (old, new, runs) in [
            ("2001:db8:f00", "2001:db8:e00", true),
            ("2001:db8:e00", "2001:db8:d00", false),
        ] {
            if !runs {
                daemon.kill9();
            }
            delegate(1, new);
            lab.router.ip(&format!(
                "addr change {old}::1/64 dev lan0 preferred_lft 0 valid_lft 600"
            ));
            if !runs {
                daemon.launch();
                daemon.wait_for_all("online");
            }
            leaves_with(&daemon, 1, &format!("{new}::1"));
            lab.router.ip(&format!("addr del {old}::1/64 dev lan0"));
            leaves_with(&daemon, 1, &format!("{new}::1"));
            let log = daemon.whole_log();
            assert_eq!(log.matches("isp1 ipv6: online → ").count(), 1, "{log}");
        }
    });
}

/// The source of IPv6 packets that leave by the leader, and of those that are bound to a provider's device.
fn sources_of(lab: &Lab, number: usize) -> [Option<String>; 2] {
    let device = format!("eth{number}");
    lab.router.enter(|| {
        [None, Some(device.as_str())].map(|device| {
            let socket = UdpSocket::bind(("::", 0)).unwrap();
            if let Some(device) = device {
                setsockopt(&socket, BindToDevice, &device.into()).unwrap();
            }
            socket.connect((target(Family::V6), 9)).ok()?;
            Some(socket.local_addr().unwrap().ip().to_string())
        })
    })
}

/// Sends a router advertisement from the first provider's gateway, with /64 prefixes and their preferred lifetimes.
fn advertise(lab: &Lab, prefixes: &[(&str, u32)]) {
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(600_u16.to_be_bytes());
    message.extend([0; 8]);
    for (prefix, preferred) in prefixes {
        message.extend([3, 4, 64, 0xc0]);
        message.extend(7200_u32.to_be_bytes());
        message.extend(preferred.to_be_bytes());
        message.extend([0; 4]);
        message.extend(prefix.parse::<Ipv6Addr>().unwrap().octets());
    }
    lab.provider(1).gateway.enter(|| {
        let index = nix::net::if_::if_nametoindex("line").unwrap();
        let raw = socket(
            AddressFamily::Inet6,
            SockType::Raw,
            SockFlag::empty(),
            SockProtocol::IcmpV6,
        );
        let raw = raw.unwrap();
        setsockopt(&raw, Ipv6MulticastHops, &255).unwrap();
        let at = |address: &str| {
            SockaddrIn6::from(SocketAddrV6::new(address.parse().unwrap(), 0, 0, index))
        };
        bind(raw.as_raw_fd(), &at("fe80::1")).unwrap();
        let to = at("ff02::1");
        sendto(raw.as_raw_fd(), &message, &to, MsgFlags::empty()).unwrap();
    });
}

/// A lab whose first provider advertises its IPv6 prefix; addresses are tentative at first, as everywhere.
fn advertising() -> Lab {
    let lab = learning();
    lab.router.sysctl("ipv6/conf/eth1/accept_ra", 2);
    lab.router.sysctl("ipv6/conf/eth1/accept_dad", 1);
    lab.router
        .ip("addr del 2001:db8:1::2/64 dev eth1\nroute del ::/0 dev eth1");
    lab
}

/// While duplicate address detection runs, the kernel would take the LAN's address, or another provider's, by which no answer
/// comes. The path waits for its own.
#[test]
fn it_waits_for_an_address_that_is_tentative() {
    in_lab(|| {
        let lab = advertising();
        lab.serve();
        let daemon = Daemon::start(&lab.router, &settings(&lab));
        daemon.wait_for("isp2", "ipv6", "online");
        advertise(&lab, &[("2001:db8:1::", 3600)]);
        let has_route = || {
            let main = lab.router.defaults(Family::V6, 254);
            main.iter()
                .any(|route| route.dev.as_deref() == Some("eth1"))
        };
        assert!(wait_until(SOON, has_route));
        let kernels = chosen(&lab, Family::V6).unwrap();
        assert!(!kernels.starts_with("2001:db8:1:"), "{kernels}");
        let so = || own(&daemon, Family::V6).starts_with("2001:db8:1:");
        assert!(wait_until(SOON, so), "{:#}", daemon.status());
        daemon.wait_for("isp1", "ipv6", "online");
        assert_eq!(chosen(&lab, Family::V6), Some(own(&daemon, Family::V6)));
        let log = daemon.whole_log();
        assert!(!log.contains("→ offline"), "{log}");
        assert_eq!(
            log.matches("isp1 ipv6: waiting → probing").count(),
            1,
            "{log}"
        );
        assert!(!log.contains("isp1 ipv6: probing → waiting"), "{log}");
    });
}

/// The provider gives another prefix from one moment to the next, as after a power cut (RFC 9096): the old address is
/// deprecated while the new one is tentative.
#[test]
fn it_is_renumbered_by_a_router_advertisement() {
    in_lab(|| {
        let lab = advertising();
        lab.serve();
        let gateway = &lab.provider(1).gateway;
        gateway.ip("addr add 2001:db8:b::1/64 dev line nodad");
        advertise(&lab, &[("2001:db8:1::", 3600)]);
        let daemon = Daemon::start(&lab.router, &settings(&lab));
        daemon.wait_for_all("online");
        let old = own(&daemon, Family::V6);
        let before = lost(&daemon, Family::V6);
        advertise(&lab, &[("2001:db8:1::", 0), ("2001:db8:b::", 3600)]);
        let mut seen = Vec::new();
        let moved = || {
            let now = own(&daemon, Family::V6);
            let is_new = now.starts_with("2001:db8:b:");
            seen.push(now);
            is_new
        };
        assert!(wait_until(SOON, moved), "{:#}", daemon.status());
        let new = seen.pop().unwrap();
        assert!(seen.iter().all(|own| *own == old), "{seen:?}");
        assert_eq!(chosen(&lab, Family::V6), Some(new));
        assert!(lost(&daemon, Family::V6) <= before, "{}", daemon.log());
        was_never_offline(&daemon);
    });
}

/// The provider gives another prefix and says nothing of the old one, as a modem that has forgotten it (RFC 8978): the old
/// address is as good as before by its lifetimes, but no answer comes to it. The kernel chooses the new one.
#[test]
fn it_is_renumbered_without_a_word_of_the_old_prefix() {
    in_lab(|| {
        let lab = learning();
        let daemon = online(&lab);
        let (old, new) = (own(&daemon, Family::V6), "2001:db8:1::7");
        lab.router.ip(&format!("addr add {new}/64 dev eth1 nodad"));
        assert_eq!(chosen(&lab, Family::V6).as_deref(), Some(new));
        let had = probes(&daemon, Family::V6).1;
        assert!(wait_until(SOON, || probes(&daemon, Family::V6).1 > had + 5));
        assert_eq!(own(&daemon, Family::V6), old, "it works");
        let line = format!("route add blackhole {old}/128");
        lab.provider(1).gateway.batch(Family::V6, &line);
        let leaves = || own(&daemon, Family::V6) == new;
        assert!(wait_until(SOON, leaves), "{}", daemon.log());
        has(&daemon, Family::V6, new);
        daemon.logged("isp1 ipv6: online → offline: ");
    });
}

/// A route of ours that names it as its source outlives it in the kernel when its device goes down, and the kernel then
/// chooses it for ever.
#[test]
fn an_address_of_another_device_that_has_gone_is_not_kept() {
    in_lab(|| {
        for restarts in [false, true] {
            let lab = learning();
            let mut daemon = online(&lab);
            let own = own(&daemon, Family::V6);
            let others = "2001:db8:fe::1";
            let takes = |daemon: &Daemon, address: &str| {
                let so = || path(&daemon.status(), "isp1", "ipv6")["address"] == *address;
                assert!(wait_until(SOON, so), "{address}: {}", daemon.status());
            };
            lab.router.ip(&format!(
                "link add other0 type veth peer name other1
                 link set other1 up
                 link set other0 up
                 addr add {others}/64 dev other0 nodad
                 addr del {own}/64 dev eth1"
            ));
            takes(&daemon, others);
            if restarts {
                daemon.kill9();
            }
            lab.router.ip("link set other0 down");
            if restarts {
                daemon.launch();
            }
            takes(&daemon, "2001:db8:100::1");
        }
    });
}

/// It waits while another program's rule refuses packets to the target, and no longer.
#[test]
fn the_kernel_is_asked_again_when_a_rule_of_another_program_goes() {
    in_lab(|| {
        let lab = learning();
        let daemon = online(&lab);
        let own = own(&daemon, Family::V6);
        let rule = |verb: &str| {
            let to = target(Family::V6);
            let line = format!("rule {verb} pref 100 to {to} prohibit");
            lab.router.batch(Family::V6, &line);
        };
        rule("add");
        lab.router.ip(&format!("addr del {own}/64 dev eth1"));
        assert_eq!(chosen(&lab, Family::V6), None);
        let waits = || path(&daemon.status(), "isp1", "ipv6")["reason"] == "no address";
        assert!(wait_until(SOON, waits), "{}", daemon.status());
        rule("del");
        let has_that_of_another = || {
            let status = daemon.status();
            let address = path(&status, "isp1", "ipv6")["address"].as_str();
            address.is_some() && address == chosen(&lab, Family::V6).as_deref()
        };
        assert!(wait_until(SOON, has_that_of_another), "{}", daemon.status());
    });
}

/// The device has no IPv4 address: the kernel takes that of another device.
#[test]
fn an_unnumbered_device_has_an_address_of_another() {
    in_lab(|| {
        let lab = learning();
        lab.serve();
        let gateway = &lab.provider(1).gateway;
        gateway.ip("route add 203.0.113.77 dev line");
        lab.router.ip("addr flush dev lan0
             addr del 192.0.2.2/26 dev eth1
             addr add 203.0.113.77/32 dev lo
             route add default via 192.0.2.1 dev eth1 onlink proto static metric 10");
        let kernels = chosen(&lab, Family::V4);
        assert_eq!(kernels.as_deref(), Some("203.0.113.77"));
        let daemon = online(&lab);
        has(&daemon, Family::V4, "203.0.113.77");
        lab.router.ip("addr add 192.0.2.2/26 dev eth1");
        has(&daemon, Family::V4, "192.0.2.2");
        was_never_offline(&daemon);
    });
}
