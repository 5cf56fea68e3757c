//! The kernel's state changes while the daemon runs: by users, DHCP clients, cables, drivers.

use std::fmt::Write;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::inspect::{Usage, counter, lookups, no_hole, ours, path};
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::uplink::Provider;
use super::lab::{Family, Flow, Lab, Settings, wait_until};
use super::{OURS, SOON, TABLE, leads, online, online_with};

/// Thousands of changes while the daemon sleeps, more than its socket holds; one of them deletes a route of ours.
#[test]
fn an_overrun_is_detected_and_repaired() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let routes = || Family::ALL.map(|family| lab.router.defaults(family, TABLE));
        let (before, all) = (routes(), ours(&lab));
        let overruns = counter(&daemon, "overruns");
        for family in ["-4", "-6"] {
            daemon.signal(Signal::SIGSTOP);
            let mut lines = String::new();
            for number in 0..6000 {
                // Default routes concern the daemon in any table.
                let metric = 10 + number % 100;
                writeln!(
                    lines,
                    "route replace default dev lan0 table 99 metric {metric}"
                )
                .unwrap();
                writeln!(lines, "route del default dev lan0 table 99 metric {metric}").unwrap();
            }
            lines += "route del default table 176 metric 100\nrule del pref 32765\n";
            lab.router.feed(&["ip", family, "-batch", "-"], &lines);
            daemon.signal(Signal::SIGCONT);
            let back = || routes() == before && ours(&lab) == all;
            assert!(wait_until(SOON, back), "{:?}\n{}", routes(), daemon.log());
        }
        assert!(
            counter(&daemon, "overruns") >= overruns + 2,
            "{}",
            daemon.status()
        );
        // The event loop still works, and processes new events.
        lab.pull_cable(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        lab.plug_cable(1);
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}

/// Another program deletes our best routes and rules every 50 ms: they are restored, but soon only once per second.
#[test]
fn repairs_are_limited_in_rate() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let (before, all) = (counter(&daemon, "repairs"), ours(&lab));
        let lines = "route del default table 176 metric 100\nrule del pref 32765\n";
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            for family in ["-4", "-6"] {
                let _ = lab.router.output(&[
                    "sh",
                    "-c",
                    &format!(
                        "printf '{}' | ip {family} -force -batch -",
                        lines.replace('\n', "\\n")
                    ),
                ]);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let back = || ours(&lab) == all;
        assert!(wait_until(SOON, back), "{}", daemon.log());
        // Two families, a route and a rule in each: sixteen times at once, and then once a second.
        let repairs = counter(&daemon, "repairs") - before;
        assert!(
            (16..=2 * 2 * (16 + 7)).contains(&repairs),
            "{repairs}\n{}",
            daemon.log()
        );
        // Logged once in each family; the counter counts the others.
        let told = daemon.whole_log().matches("put back").count();
        assert_eq!(told, 2, "{}", daemon.log());
        let journal = daemon.must(&["log"]);
        let line = journal.lines().find(|line| line.contains("put back"));
        let named =
            |line: &str| line.contains("metric 100 in table 176") || line.contains("rule 32765");
        assert!(line.is_some_and(named), "{journal}");
        assert!(leads(&lab, 1));
    });
}

/// All rules are deleted, also those of `main` and `default`: traffic continues by ours. Then one of ours is deleted five
/// times in a row. With a second between repairs, it would take five seconds.
#[test]
fn flushed_rules_come_back_at_once() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        // Where the kernel's last rule is gone, ours after its model is none of ours.
        let (all, before) = (ours(&lab) - 1, counter(&daemon, "repairs"));
        let flows = Family::ALL.map(|family| Flow::start(&lab, target(family)));
        assert!(flows.iter().all(|flow| flow.goes_by(1, SOON)));
        let begun = Instant::now();
        for deletion in ["flush", "del", "del", "del", "del", "del"] {
            for family in ["-4", "-6"] {
                let one = ["ip", family, "rule", deletion, "pref", "32765"];
                // The list that `ip` deletes by may be older than what is put back meanwhile: then it fails at its end.
                match deletion {
                    "flush" => drop(lab.router.output(&one[..4])),
                    _ => drop(lab.router.run(&one)),
                }
            }
            let back = || ours(&lab) == all;
            assert!(wait_until(SOON, back), "{}", daemon.log());
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}\n{}", daemon.log());
        assert!(counter(&daemon, "repairs") > before);
        for (family, flow) in Family::ALL.into_iter().zip(flows) {
            assert!(flow.goes_by(1, SOON), "{family}\n{}", daemon.log());
            let rules = lab.router.rules(family);
            let theirs = rules
                .iter()
                .filter(|rule| rule.pref > 0 && rule.protocol != OURS);
            assert_eq!(theirs.count(), 0, "those of others are theirs to restore");
        }
        assert!(
            daemon
                .path_states()
                .iter()
                .all(|(_, _, state)| state == "online")
        );
    });
}

/// Changed, not deleted: another gateway, another device, another source, by a program that uses our protocol number.
#[test]
fn changed_routes_are_restored() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let before = lab.router.defaults(Family::V4, TABLE);
        let gateway = lab.provider(2).gateway_address(Family::V4);
        for change in [
            format!("route replace default via {gateway} dev eth2 table 176 metric 100 proto 176"),
            format!("route replace default via {gateway} dev eth2 table 176 metric 100"),
            format!("route add default via {gateway} dev eth2 table 176 metric 50 proto 176"),
            "route flush table 176".to_owned(),
            "route flush table 17601".to_owned(),
        ] {
            let all = ours(&lab);
            lab.router.ip(&format!("{change}\n"));
            let back = || {
                let mut now = lab.router.defaults(Family::V4, TABLE);
                now.retain(|route| route.protocol == OURS);
                let same = |a: &super::lab::observe::Route, b: &super::lab::observe::Route| {
                    (&a.dev, &a.via) == (&b.dev, &b.via)
                };
                now.len() == before.len()
                    && now.iter().zip(&before).all(|(a, b)| same(a, b))
                    && ours(&lab) == all
            };
            assert!(
                wait_until(SOON, back),
                "{change}: {:?}\n{}",
                lab.router.defaults(Family::V4, TABLE),
                daemon.log()
            );
            // A foreign route stays, and is reported; its owner deletes it.
            lab.router.output(&[
                "ip", "route", "del", "default", "table", "176", "proto", "boot",
            ]);
            let exact = || lab.router.defaults(Family::V4, TABLE) == before;
            assert!(
                wait_until(SOON, exact),
                "{change}: {:?}\n{}",
                lab.router.defaults(Family::V4, TABLE),
                daemon.log()
            );
            assert!(counter(&daemon, "repairs") > 0);
        }
    });
}

fn addresses(provider: &Provider, steps: u8) -> [String; 2] {
    let a = provider.addresses();
    let [x, y, z, host] = a.own_v4.octets();
    let v6 = a.own_v6.segments();
    [
        format!("{x}.{y}.{z}.{}/{}", host + steps, a.prefix_v4),
        format!(
            "{:x}:{:x}:{:x}::{:x}/64",
            v6[0],
            v6[1],
            v6[2],
            v6[7] + u16::from(steps)
        ),
    ]
}

/// The old address is deleted after the new one was added, or before; the outage is short.
#[test]
fn an_address_is_renewed_in_either_order() {
    in_lab(|| {
        for new_first in [true, false] {
            let lab = Lab::builder().nat().build();
            let daemon = online(&lab);
            let flow = Flow::start(&lab, target(Family::V4));
            assert!(flow.goes_by(1, SOON));
            let (old, new) = (
                addresses(lab.provider(1), 0),
                addresses(lab.provider(1), 20),
            );
            let add = format!(
                "addr add {} dev eth1\naddr add {} dev eth1 nodad\n",
                new[0], new[1]
            );
            let del = format!(
                "addr del {} dev eth1\naddr del {} dev eth1\n",
                old[0], old[1]
            );
            let begun = flow.now();
            if new_first {
                lab.router.ip(&add);
                std::thread::sleep(Duration::from_millis(300));
                assert!(daemon.path_states().iter().all(|(_, _, s)| s == "online"));
                lab.router.ip(&del);
            } else {
                lab.router.ip(&(del + &add));
            }
            for (family, new) in Family::ALL.into_iter().zip(&new) {
                let own = new.split('/').next().unwrap();
                let followed = || {
                    let status = daemon.status();
                    let src = lab
                        .router
                        .defaults(family, TABLE)
                        .first()
                        .and_then(|r| r.src.clone());
                    path(&status, "isp1", family.name())["address"] == own
                        && (family == Family::V6 || src.as_deref() == Some(own))
                };
                assert!(
                    wait_until(SOON, followed),
                    "{new_first}: {:?}\n{}",
                    lab.router.rules(family),
                    daemon.log()
                );
            }
            daemon.wait_for_all("online");
            assert!(leads(&lab, 1), "{}", daemon.log());
            // If it was handed over between the two addresses, it stays there; new ones take the better line.
            assert!(!new_first || flow.goes_by(1, SOON), "{}", daemon.log());
            let other = Flow::start(&lab, target(Family::V4));
            assert!(other.goes_by(1, SOON), "{}", daemon.log());
            let (lost, outage) = (flow.lost(begun), flow.outage(begun));
            assert!(
                lost <= 30,
                "new first: {new_first}, {lost} lost, {outage:?}\n{}",
                daemon.log()
            );
            let state = path(&daemon.status(), "isp1", "ipv4").clone();
            assert_eq!(state["address"].as_str(), new[0].split('/').next());
        }
    });
}

/// A device is identified by its name: with another name it is another device.
#[test]
fn a_device_is_renamed_and_gets_its_name_back() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let lookups = lookups(&lab);
        lab.router.ip("link set eth1 name wan1\n");
        assert!(leads(&lab, 2), "{}", daemon.log());
        daemon.wait_for("isp1", "ipv4", "waiting");
        let status = daemon.status();
        assert_eq!(path(&status, "isp1", "ipv4")["reason"], "no device");
        lab.router.ip("link set wan1 name eth1\n");
        assert!(leads(&lab, 1), "{}", daemon.log());
        daemon.wait_for_all("online");
        no_hole(lookups, &daemon);
    });
}

/// Deleted and created again at once, with the same name: another device with another index.
#[test]
fn a_device_is_replaced_at_once() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        for _ in 0..5 {
            lab.remove_device(1);
            lab.insert_device(1);
        }
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
        for family in Family::ALL {
            let device = lab.provider(1).device.clone();
            let rules = lab.router.rules(family);
            let bound = rules.iter().find(|r| r.oif.as_ref() == Some(&device));
            let table = bound.and_then(|rule| rule.table).unwrap();
            let there = || !lab.router.defaults(family, table).is_empty();
            assert!(wait_until(SOON, there), "{}", daemon.log());
        }
    });
}

/// A bad contact: fifty times down and up, as fast as possible.
#[test]
fn a_cable_with_a_bad_contact() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let before = Usage::of(&daemon);
        let lookups = lookups(&lab);
        lab.provider(1)
            .gateway
            .ip(&"link set line down\nlink set line up\n".repeat(50));
        lab.plug_cable(1);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
        no_hole(lookups, &daemon);
        assert_eq!(Usage::of(&daemon).descriptors, before.descriptors);
    });
}

/// An address, and the device itself, are added and deleted as fast as possible.
#[test]
fn flapping_addresses_and_devices() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let (before, all) = (Usage::of(&daemon), ours(&lab));
        let lookups = lookups(&lab);
        let [v4, v6] = addresses(lab.provider(1), 0);
        lab.router.ip(&format!(
            "addr del {v4} dev eth1\naddr del {v6} dev eth1\naddr add {v4} dev eth1\naddr add {v6} dev eth1 nodad\n"
        ).repeat(50));
        let device_lines =
            format!("link set eth1 down\nlink set eth1 up\naddr replace {v6} dev eth1 nodad\n");
        lab.router.ip(&device_lines.repeat(50));
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
        let complete = || ours(&lab) == all;
        assert!(wait_until(SOON, complete), "{}", daemon.log());
        no_hole(lookups, &daemon);
        assert_eq!(Usage::of(&daemon).descriptors, before.descriptors);
    });
}

/// The gateway of a learned default route changes back and forth; so does the metric of a foreign route.
#[test]
fn a_gateway_changes_repeatedly() {
    in_lab(|| {
        let lab = Lab::new();
        let learn = || {
            for number in [1, 2] {
                let metric = 10 + u32::try_from(number).unwrap();
                lab.learn_default(number, Family::V4, "dhcp", metric);
                lab.learn_default(number, Family::V6, "ra", metric);
            }
        };
        learn();
        let daemon = online_with(&lab, &Settings::learning(&lab));
        let all = ours(&lab);
        for _ in 0..4 {
            let moved = lab.move_gateway(1);
            learn();
            for family in Family::ALL {
                let gateway = Some(moved.gateway(family).to_string());
                let followed = || {
                    lab.router
                        .defaults(family, TABLE)
                        .iter()
                        .any(|r| r.via == gateway)
                };
                assert!(wait_until(SOON, followed), "{}", daemon.log());
            }
        }
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
        assert_eq!(ours(&lab), all);
    });
}
