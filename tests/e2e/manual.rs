//! Default routes of other programs in `main`: those that prevail over ours, and those that do not. The expected value is the
//! kernel's answer.

use serde_json::{Value, json};

use super::hooks::{RECORDER, calls, wait_for_transitions, with_hooks};
use super::inspect::{counter, lookups, no_hole, ours};
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, leads, online, online_with};

/// A VPN's point-to-point device, and the port of a management network.
pub fn devices(lab: &Lab) {
    lab.router.ip("tuntap add wg0 mode tun
         link add mgmt0 type veth peer name mgmt0peer
         link set mgmt0peer up
         link set mgmt0 up
         link set wg0 up
         addr add 203.0.113.129/30 dev wg0
         addr add 203.0.113.133/30 dev mgmt0
         addr add 2001:db8:ff::1/64 dev wg0 nodad
         addr add 2001:db8:fe::1/64 dev mgmt0 nodad");
}

/// Waits until the router's own packets leave by a device.
#[track_caller]
fn leaves_by(lab: &Lab, daemon: &Daemon, family: Family, device: &str) {
    let target = target(family).to_string();
    let way = || lab.router.way(&target, &[]);
    assert!(
        wait_until(SOON, || way().as_deref() == Some(device)),
        "{family} {:?}, not {device}: {:#?}\n{}",
        way(),
        lab.router.defaults(family, 254),
        daemon.log()
    );
}

/// Waits until the status shows the override of one family, and none of the other.
#[track_caller]
fn is_overridden(daemon: &Daemon, family: Family, by: &Value) {
    let told = || daemon.status()["overridden_by"][family.name()].clone();
    assert!(wait_until(SOON, || told() == *by), "{}", daemon.status());
    let other = Family::ALL.into_iter().find(|other| *other != family);
    assert!(daemon.status()["overridden_by"][other.unwrap().name()].is_null());
}

fn warned(daemon: &Daemon) -> usize {
    let status = daemon.status();
    let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
    let of = |warning: &&Value| warning["code"] == "foreign-default";
    warnings.iter().filter(of).count()
}

#[test]
fn a_manual_default_prevails_until_it_is_gone() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = Lab::new();
            devices(&lab);
            let mut daemon = online(&lab);
            let (whole, lookups) = (ours(&lab), lookups(&lab));
            let swaps = counter(&daemon, "swaps");
            lab.router
                .batch(family, "route add default dev wg0 metric 50 proto static");
            leaves_by(&lab, &daemon, family, "wg0");
            is_overridden(
                &daemon,
                family,
                &json!({"device": "wg0", "metric": 50, "table": 254}),
            );
            let one_less = || ours(&lab) == whole - 1;
            assert!(
                wait_until(SOON, one_less),
                "{:#?}",
                lab.router.rules(family)
            );
            let status = daemon.status();
            assert_eq!(status["active"][family.name()], "isp1");
            assert_eq!(counter(&daemon, "swaps"), swaps);
            let by = "overridden by wg0 (metric 50 in main)";
            assert!(daemon.must(&["status"]).contains(by));
            assert!(daemon.must(&["explain"]).contains(by));
            let line = format!("{family}: overridden: by wg0 (metric 50 in main)");
            daemon.logged(&line);
            assert!(!daemon.whole_log().contains("put back"), "{}", daemon.log());
            // Traffic with specific routes is not affected.
            let target = target(family).to_string();
            for (words, device) in [(["oif", "eth2"], "eth2"), (["oif", "eth1"], "eth1")] {
                assert_eq!(lab.router.way(&target, &words).as_deref(), Some(device));
            }
            assert!(
                daemon
                    .path_states()
                    .iter()
                    .all(|(_, _, state)| state == "online")
            );
            // It also prevails after a pin, a verdict, a reload and a SIGKILL.
            daemon.must(&["use", "isp2"]);
            assert!(leads(&lab, 2));
            leaves_by(&lab, &daemon, family, "wg0");
            daemon.must(&["use", "auto"]);
            lab.upstream_dies(1);
            daemon.wait_for("isp1", family.name(), "offline");
            leaves_by(&lab, &daemon, family, "wg0");
            lab.upstream_returns(1);
            daemon.wait_for_all("online");
            daemon.must(&["reload"]);
            leaves_by(&lab, &daemon, family, "wg0");
            daemon.kill9();
            leaves_by(&lab, &daemon, family, "wg0");
            daemon.launch();
            daemon.wait_for_all("online");
            is_overridden(
                &daemon,
                family,
                &json!({"device": "wg0", "metric": 50, "table": 254}),
            );
            leaves_by(&lab, &daemon, family, "wg0");
            assert!(one_less(), "{:#?}", lab.router.rules(family));

            lab.router
                .batch(family, "route del default dev wg0 metric 50");
            leaves_by(&lab, &daemon, family, "eth1");
            is_overridden(&daemon, family, &Value::Null);
            let line = format!("isp1 {family}: leads: wg0 (metric 50 in main) no longer prevails");
            daemon.logged(&line);
            assert!(wait_until(SOON, || ours(&lab) == whole));
            no_hole(lookups, &daemon);
            // The route exists first, and a stop leaves it.
            assert!(daemon.terminate().success());
            lab.router
                .batch(family, "route add default dev wg0 metric 1 proto static");
            let mut daemon = online(&lab);
            leaves_by(&lab, &daemon, family, "wg0");
            // In IPv4 it is deleted with its device, without an event.
            lab.router.run(&["ip", "link", "set", "wg0", "down"]);
            leaves_by(&lab, &daemon, family, "eth1");
            is_overridden(&daemon, family, &Value::Null);
            assert!(daemon.terminate().success());
        }
    });
}

/// Routes, each with whether it prevails by `auto` and by `1`.
#[test]
fn which_ones_prevail() {
    in_lab(|| {
        let lab = Lab::new();
        devices(&lab);
        let settings = Settings::fast(&lab);
        let daemon = online_with(&lab, &settings);
        let doubted = |family| match family {
            Family::V4 => "dev mgmt0",
            Family::V6 => "dev mgmt0 metric 1024",
        };
        for family in Family::ALL {
            for (route, auto, all, warnings) in [
                ("dev wg0 metric 100 proto static", "eth1", "eth1", 0),
                ("dev mgmt0 metric 99 proto static", "mgmt0", "mgmt0", 0),
                ("dev mgmt0 metric 20 proto dhcp", "eth1", "mgmt0", 1),
                ("dev mgmt0 metric 20 proto ra", "eth1", "mgmt0", 1),
                (doubted(family), "eth1", "mgmt0", 1),
                ("dev wg0", "wg0", "wg0", 0),
                ("dev eth2 metric 1 proto static", "eth1", "eth1", 0),
            ] {
                let route = format!("default {route}");
                lab.router.batch(family, &format!("route add {route}"));
                leaves_by(&lab, &daemon, family, auto);
                assert!(wait_until(SOON, || warned(&daemon) == warnings), "{route}");
                for (option, device) in [("1", all), ("0", "eth1"), ("auto", auto)] {
                    daemon.configure(&settings.clone().global("yield", option));
                    daemon.must(&["reload"]);
                    leaves_by(&lab, &daemon, family, device);
                    let count = if option == "auto" { warnings } else { 0 };
                    assert!(
                        wait_until(SOON, || warned(&daemon) == count),
                        "{option} {route}"
                    );
                }
                lab.router.batch(family, &format!("route del {route}"));
                leaves_by(&lab, &daemon, family, "eth1");
                assert!(wait_until(SOON, || warned(&daemon) == 0), "{route}");
            }
        }
    });
}

/// These are no manual defaults: that of a provider, enabled or not; one for some sources; one in `main` as swap table.
#[test]
fn what_is_a_providers_or_not_for_all_does_not_prevail() {
    in_lab(|| {
        let lab = Lab::new();
        devices(&lab);
        let settings = Settings::fast(&lab).provider("isp2", "enabled", "0");
        let daemon = online_with(&lab, &settings);
        let quiet = |daemon: &Daemon| {
            assert_eq!(
                daemon.status()["overridden_by"],
                json!({"ipv4": null, "ipv6": null})
            );
        };
        for family in Family::ALL {
            lab.router
                .batch(family, "route add default dev eth2 metric 1 proto static");
            // It comes after the provider's, which has a lower metric.
            lab.router
                .batch(family, "route add default dev wg0 metric 2 proto static");
        }
        lab.router.batch(
            Family::V6,
            "route add default from 2001:db8:ff::/64 dev wg0 metric 1",
        );
        daemon.must(&["reload"]);
        for family in Family::ALL {
            leaves_by(&lab, &daemon, family, "eth1");
        }
        quiet(&daemon);
        drop(daemon);
        for family in Family::ALL {
            lab.router
                .batch(family, "route del default dev eth2 metric 1");
        }
        let daemon = online_with(&lab, &settings.global("table", "main"));
        quiet(&daemon);
        for family in Family::ALL {
            leaves_by(&lab, &daemon, family, "wg0");
        }
    });
}

#[test]
fn programs_hear_of_it_each_way() {
    in_lab(|| {
        let lab = Lab::new();
        devices(&lab);
        let mut daemon = with_hooks(&lab, &[("10-record", RECORDER, 0o755)]);
        daemon.launch();
        wait_for_transitions(
            &daemon,
            0,
            &[
                "swap isp1 →isp1",
                "online isp1 waiting→online",
                "online isp2 waiting→online",
            ],
        );
        let last = |daemon: &Daemon| {
            let mut all = calls(daemon);
            let call = all.pop().unwrap();
            ["ACTION", "FAMILY", "DEVICE", "REASON"].map(|name| call[name].clone())
        };
        let known = calls(&daemon).len();
        lab.router
            .batch(Family::V4, "route add default dev wg0 metric 1");
        wait_for_transitions(&daemon, known, &["swap  isp1→"]);
        let expected = ["swap", "ipv4", "wg0", "by wg0 (metric 1 in main)"];
        assert_eq!(last(&daemon), expected);
        // A restart is no transition.
        daemon.kill9();
        daemon.launch();
        daemon.wait_for("isp1", "ipv4", "online");
        lab.router.batch(Family::V4, "route del default dev wg0");
        wait_for_transitions(&daemon, known, &["swap isp1 →isp1"]);
        let expected = [
            "swap",
            "ipv4",
            "eth1",
            "wg0 (metric 1 in main) no longer prevails",
        ];
        assert_eq!(last(&daemon), expected);
        assert_eq!(calls(&daemon).len(), known + 2);
        // What changes while the daemon does not run is told at the next start, each way.
        let told = |daemon: &Daemon| {
            let log = daemon.must(&["log"]);
            log.matches("(metric 1 in main)").count()
        };
        for (times, (change, transition, device)) in (3..).zip([
            ("add", "swap  isp1→", "wg0"),
            ("del", "swap isp1 →isp1", "eth1"),
        ]) {
            let known = calls(&daemon).len();
            daemon.kill9();
            let line = format!("route {change} default dev wg0 metric 1");
            lab.router.batch(Family::V4, &line);
            daemon.launch();
            wait_for_transitions(&daemon, known, &[transition]);
            assert_eq!(last(&daemon)[1..3], ["ipv4", device]);
            assert_eq!(told(&daemon), times, "{}", daemon.log());
        }
        // The same as before is not told again.
        lab.router
            .batch(Family::V4, "route add default dev wg0 metric 1");
        let overridden = || told(&daemon) == 5;
        assert!(wait_until(SOON, overridden));
        daemon.kill9();
        daemon.launch();
        daemon.wait_for("isp1", "ipv4", "online");
        leaves_by(&lab, &daemon, Family::V4, "wg0");
        assert_eq!(told(&daemon), 5, "{}", daemon.log());
    });
}
