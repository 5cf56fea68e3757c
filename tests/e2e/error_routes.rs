//! A default route of another program in `main` that refuses traffic (systemd, kill switches): ours precede it there, so that
//! traffic and probes can leave. One with a low metric prevails.

use serde_json::Value;

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, query};
use super::{OURS, SOON, online, online_with};

const MAIN: u32 = 254;
/// The metric that NetworkManager and some kill switches use, and that `unreachable default` gets in IPv6.
const METRICS: [u32; 2] = [4_278_198_272, 1024];

/// The metrics and devices of ours in `main`.
fn ours(lab: &Lab, family: Family) -> Vec<(u32, Option<String>)> {
    let routes = lab.router.defaults(family, MAIN).into_iter();
    let ours = routes.filter(|route| route.protocol == OURS);
    ours.map(|route| (route.metric, route.dev)).collect()
}

fn stand_before(lab: &Lab, daemon: &Daemon, family: Family, metric: u32, devices: [&str; 2]) {
    let [first, second] = devices.map(|device| Some(device.to_owned()));
    let wanted = [(metric - 2, first), (metric - 1, second)];
    let so = || ours(lab, family) == wanted;
    let found = || (ours(lab, family), lab.router.defaults(family, MAIN));
    assert!(wait_until(SOON, so), "{:?}\n{}", found(), daemon.log());
}

fn told(daemon: &Daemon, what: &str) -> bool {
    let status = daemon.status();
    let all = status["warnings"].as_array().cloned().unwrap_or_default();
    let of = |w: &Value| w["code"] == "error-route" && w["text"].as_str().unwrap().contains(what);
    all.iter().any(of)
}

/// What the kernel answers, for traffic and for a socket bound to the standby's device.
fn ways(lab: &Lab, family: Family) -> [Option<String>; 2] {
    let to = target(family).to_string();
    [&[][..], &["oif", "eth2"]].map(|words| lab.router.way(&to, words))
}

#[test]
fn it_comes_and_goes_while_the_daemon_runs() {
    in_lab(|| {
        for kind in ["unreachable", "blackhole", "prohibit"] {
            let lab = Lab::new();
            lab.serve();
            let daemon = online(&lab);
            for (family, metric) in Family::ALL.into_iter().zip(METRICS) {
                lab.router
                    .batch(family, &format!("route add {kind} default metric {metric}"));
                stand_before(&lab, &daemon, family, metric, ["eth1", "eth2"]);
                let by = ["eth1", "eth2"].map(|device| Some(device.to_owned()));
                assert_eq!(ways(&lab, family), by, "{kind} {family}");
                let warned = || told(&daemon, "is passed over");
                assert!(wait_until(SOON, warned), "{:#}", daemon.status());
                daemon.wait_for_all("online");
                assert_eq!(query(&lab.lan, target(family)), Outcome::By(1));
                daemon.must(&["use", "isp2"]);
                stand_before(&lab, &daemon, family, metric, ["eth2", "eth1"]);
                assert_eq!(query(&lab.lan, target(family)), Outcome::By(2));
                daemon.must(&["use", "auto"]);
                lab.router
                    .batch(family, &format!("route del {kind} default metric {metric}"));
                let gone = || ours(&lab, family).is_empty() && !told(&daemon, "");
                assert!(wait_until(SOON, gone), "{:#}", daemon.status());
            }
        }
    });
}

/// No path can have a route: nothing of ours can stand before it, and a VPN's rule is reached all the same.
#[test]
fn without_a_way_of_ours_a_vpn_works() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = Lab::new();
            let mut daemon = online(&lab);
            lab.router.batch(
                family,
                "route add unreachable default metric 1024
                 route add default dev lan0 table 300
                 rule add pref 32764 not fwmark 0x7 lookup 300",
            );
            let by_vpn = || ways(&lab, family)[0].as_deref() == Some("lan0");
            assert!(wait_until(SOON, by_vpn), "{family} {}", daemon.log());
            for number in [1, 2] {
                lab.device_down(number);
                daemon.wait_for(&format!("isp{number}"), family.name(), "waiting");
            }
            assert!(wait_until(SOON, by_vpn), "{family} {}", daemon.log());
            daemon.kill9();
            daemon.launch();
            daemon.must(&["status"]);
            assert!(wait_until(SOON, by_vpn), "{family} {}", daemon.log());
        }
    });
}

/// A route that refuses with a low metric leaves little room before it. The metrics that DHCP clients and network managers use
/// are not taken: an `ip route add` of theirs is not refused ("File exists"), whatever is there first.
#[test]
fn ours_are_not_in_the_way_of_clients() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        for family in Family::ALL {
            for (last, usual) in [
                (101, [10, 100]),
                (103, [100, 102]),
                (1001, [100, 1000]),
                (1025, [1002, 1024]),
                (20_103, [20_100, 20_102]),
            ] {
                let refusing = format!("unreachable default metric {last}");
                lab.router.batch(family, &format!("route add {refusing}"));
                let stand = || ours(&lab, family).len() == 2;
                assert!(wait_until(SOON, stand), "{}", daemon.log());
                for metric in usual {
                    let gateway = lab.provider(2).gateway_address(family);
                    let line = format!("default via {gateway} dev eth2 proto dhcp metric {metric}");
                    // It ends the test if it is refused.
                    lab.router.batch(family, &format!("route add {line}"));
                    assert!(wait_until(SOON, stand), "{:?}", ours(&lab, family));
                    lab.router.batch(family, &format!("route del {line}"));
                }
                lab.router.batch(family, &format!("route del {refusing}"));
                assert!(wait_until(SOON, || ours(&lab, family).is_empty()));
            }
        }
    });
}

/// A client deletes its route when its lease ends, and adds it again with the next one: its metric is left to it meanwhile. One
/// that replaces a route of ours keeps its own, and ours is put elsewhere.
#[test]
fn a_metric_is_left_to_the_client_that_had_it() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        for family in Family::ALL {
            let gateway = lab.provider(2).gateway_address(family);
            let lease = format!("default via {gateway} dev eth2 proto dhcp");
            let line = |line: &str| lab.router.batch(family, &format!("route {line}"));
            let metrics = || ours(&lab, family).into_iter().map(|(metric, _)| metric);
            let are = |expected: [u32; 2]| wait_until(SOON, || metrics().eq(expected));
            line(&format!("add {lease} metric 98"));
            line("add unreachable default metric 101");
            assert!(are([97, 99]), "{:?}", ours(&lab, family));
            for restarts in [false, true] {
                if restarts {
                    daemon.kill9();
                }
                line(&format!("del {lease} metric 98"));
                if restarts {
                    daemon.launch();
                    daemon.wait_for_all("online");
                }
                for _ in 0..3 {
                    daemon.must(&["status"]);
                }
                // It ends the test if it is refused.
                line(&format!("add {lease} metric 98"));
                assert!(are([97, 99]), "{:?}", ours(&lab, family));
            }
            line(&format!("replace {lease} metric 99"));
            assert!(are([96, 97]), "{:?}", ours(&lab, family));
            let theirs = lab.router.defaults(family, 254);
            let dhcp = theirs.iter().filter(|route| route.protocol != OURS);
            assert_eq!(dhcp.count(), 3, "{theirs:?}");
            for metric in [98, 99] {
                line(&format!("del {lease} metric {metric}"));
            }
            line("del unreachable default metric 101");
            assert!(wait_until(SOON, || ours(&lab, family).is_empty()));
        }
    });
}

/// The route exists first, a DHCP client adds its own default, and the daemon is killed, restarted and stopped.
#[test]
fn beside_a_dhcp_client_from_the_start_to_a_stop() {
    in_lab(|| {
        let lab = Lab::new();
        for (family, metric) in Family::ALL.into_iter().zip(METRICS) {
            lab.learn_default(1, family, "dhcp", 10);
            lab.router.batch(
                family,
                &format!("route add unreachable default metric {metric}"),
            );
        }
        let mut daemon = online_with(&lab, &Settings::fast(&lab));
        let stand = |daemon: &Daemon| {
            for (family, metric) in Family::ALL.into_iter().zip(METRICS) {
                stand_before(&lab, daemon, family, metric, ["eth1", "eth2"]);
            }
        };
        stand(&daemon);
        // The client renews its lease.
        for family in Family::ALL {
            let gateway = lab.provider(1).gateway_address(family);
            let line = format!("default via {gateway} dev eth1 proto dhcp metric 10");
            lab.router
                .batch(family, &format!("route del {line}\nroute add {line}"));
        }
        stand(&daemon);
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        stand(&daemon);
        assert!(daemon.terminate().success());
        for family in Family::ALL {
            assert_eq!(ours(&lab, family), []);
            assert_eq!(lab.router.defaults(family, MAIN).len(), 2, "theirs stay");
        }
    });
}

/// No gateway is learned from our routes in `main`: when the client's default is deleted, the path has none.
#[test]
fn ours_are_never_learned_as_a_gateway() {
    in_lab(|| {
        let lab = Lab::new();
        for (family, metric) in Family::ALL.into_iter().zip(METRICS) {
            for number in [1, 2] {
                lab.learn_default(number, family, "dhcp", u32::try_from(number).unwrap());
            }
            lab.router.batch(
                family,
                &format!("route add unreachable default metric {metric}"),
            );
        }
        let daemon = online_with(&lab, &Settings::learning(&lab));
        for family in Family::ALL {
            let gateway = lab.provider(2).gateway_address(family);
            lab.router
                .batch(family, &format!("route del default via {gateway} dev eth2"));
            daemon.wait_for("isp2", &family.to_string(), "waiting");
            let so = || ours(&lab, family).len() == 1;
            assert!(wait_until(SOON, so), "{:?}", ours(&lab, family));
        }
    });
}

/// With a metric below `start_metric` it prevails, as any other route that was set by hand.
#[test]
fn one_of_a_low_metric_is_obeyed() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        for family in Family::ALL {
            lab.router
                .batch(family, "route add unreachable default metric 50");
            let warned = || told(&daemon, "refuses what comes to it");
            assert!(wait_until(SOON, warned), "{:#}", daemon.status());
            assert_eq!(ways(&lab, family)[0], None);
            assert_eq!(ours(&lab, family), []);
            if family == Family::V4 {
                daemon.wait_for("isp1", "ipv4", "offline");
                let reason = || daemon.status()["providers"][0]["paths"][0]["reason"].clone();
                assert_eq!(
                    reason(),
                    "refused by the default route of metric 50 in main"
                );
            }
            lab.router
                .batch(family, "route del unreachable default metric 50");
            daemon.wait_for_all("online");
        }
    });
}

/// It refuses nothing: the kernel goes on with the next rule.
#[test]
fn one_that_throws_is_no_obstacle() {
    in_lab(|| {
        for metric in [50, METRICS[0]] {
            let lab = Lab::new();
            let daemon = online(&lab);
            for family in Family::ALL {
                let route = format!("throw default metric {metric}");
                lab.router.batch(family, &format!("route add {route}"));
                // What comes later in the same order has been seen when this is told of.
                let refusing = "unreachable default metric 4278198273";
                lab.router.batch(family, &format!("route add {refusing}"));
                assert!(wait_until(SOON, || told(&daemon, "metric 4278198273")));
                assert!(!told(&daemon, &format!("metric {metric}:")));
                let ways = ways(&lab, family);
                assert_eq!(ways.map(Option::unwrap), ["eth1", "eth2"]);
                let status = daemon.must(&["status"]);
                assert!(!status.contains("refused by"), "{status}");
                for route in [route.as_str(), refusing] {
                    lab.router.batch(family, &format!("route del {route}"));
                }
                assert!(wait_until(SOON, || !told(&daemon, "metric")));
            }
        }
    });
}

/// Between a manual default and one that refuses there may be no room for ours: the manual one prevails all the same.
#[test]
fn right_behind_a_manual_default() {
    in_lab(|| {
        let lab = Lab::new();
        lab.router.ip("tuntap add wg0 mode tun
             link set wg0 up");
        let daemon = online(&lab);
        for family in Family::ALL {
            lab.router
                .batch(family, "route add default dev wg0 metric 99");
            lab.router
                .batch(family, "route add unreachable default metric 100");
            let narrow = || told(&daemon, "leaves too few metrics");
            assert!(wait_until(SOON, narrow), "{:#}", daemon.status());
            assert_eq!(ways(&lab, family)[0].as_deref(), Some("wg0"));
            assert_eq!(ours(&lab, family), []);
            assert!(!told(&daemon, "is passed over"));
            lab.router
                .batch(family, "route del unreachable default metric 100");
            lab.router
                .batch(family, "route add unreachable default metric 102");
            stand_before(&lab, &daemon, family, 102, ["eth1", "eth2"]);
            assert_eq!(ways(&lab, family)[0].as_deref(), Some("wg0"));
            lab.router
                .batch(family, "route del default dev wg0 metric 99");
            daemon.wait_for_all("online");
            let leads = || ways(&lab, family)[0].as_deref() == Some("eth1");
            assert!(wait_until(SOON, leads), "{:#}", daemon.status());
            lab.router
                .batch(family, "route del unreachable default metric 102");
        }
    });
}
