//! Foreign routes and rules: never changed, never merged with ours, and reported when they override ours.

use serde_json::Value;

use super::lab::observe::Route;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Lookups, Settings, wait_until};
use super::query::{Outcome, query};
use super::{OURS, SOON, TABLE, online_with};

const MAIN: u32 = 254;
/// `proto static`
const STATIC: u32 = 4;

/// Every foreign route of every table, and every foreign rule, as printed by `ip`.
fn not_ours(lab: &Lab) -> String {
    let mut all = String::new();
    for family in ["-4", "-6"] {
        for words in [&["route", "show", "table", "all"][..], &["rule", "show"]] {
            let mut command = vec!["ip", "-details", "-oneline", "-Numeric", family];
            command.extend(words);
            for line in lab.router.run(&command).lines() {
                if !line.contains("proto 176") {
                    all.push_str(line);
                    all.push('\n');
                }
            }
        }
    }
    all
}

/// The same after the kernel has set up its own routes to a device's addresses, which it does with a delay.
fn not_ours_at_rest(lab: &Lab) -> String {
    let complete = || {
        let local = lab.router.routes(Family::V6, 255);
        lab.providers.iter().all(|provider| {
            let own = provider.own(Family::V6).to_string();
            let near = |route: &Route| {
                route.dst.starts_with("fe80::") && route.dev.as_ref() == Some(&provider.device)
            };
            local.iter().any(|route| route.dst == own)
                && local.iter().filter(|r| near(r)).count() > 1
        })
    };
    assert!(wait_until(SOON, complete));
    not_ours(lab)
}

fn ip_of(family: Family) -> &'static str {
    if family == Family::V4 { "-4" } else { "-6" }
}

/// Routes and rules of an administrator, a DHCP client and other daemons, in each family.
fn settle_in(lab: &Lab) {
    for family in Family::ALL {
        let (gateway, lan) = match family {
            Family::V4 => ("192.0.2.1", "198.51.100.99/32"),
            Family::V6 => ("2001:db8:1::1", "2001:db8:100::99/128"),
        };
        let lines = format!(
            "route add default via {gateway} dev eth1 proto static metric 100
             route add default via {gateway} dev eth1 proto 99 metric 101 table 176
             route add default via {gateway} dev eth1 proto static table 300
             route add {lan} via {gateway} dev eth1 proto static table 176
             route add {lan} via {gateway} dev eth1 proto static table 17601
             route add unreachable {lan} proto static metric 5000
             rule add pref 99 fwmark 0x900 lookup 300
             rule add pref 17600 fwmark 0x900 lookup 300
             rule add pref 17900 from {lan} lookup 300
             rule add pref 32765 iif lan0 fwmark 0x900 unreachable
             rule add pref 33900 oif eth2 fwmark 0x900 lookup 300
             rule add pref 33901 not from {lan} fwmark 0x900 lookup 300"
        );
        let ip = ["ip", ip_of(family), "-batch", "-"];
        lab.router.feed(&ip, &lines);
        lab.learn_default(2, family, "dhcp", 1);
    }
}

/// Everything that a daemon does from start to stop, except faults by which the kernel deletes foreign routes.
fn a_life(table: &'static str, last_resort: &'static str) {
    in_lab(|| {
        let lab = Lab::new();
        settle_in(&lab);
        let before = not_ours_at_rest(&lab);
        let settings = Settings::fast(&lab)
            .global("table", table)
            .global("last_resort", last_resort)
            .provider("isp2", "mark", "0x200/0xff00");
        let mut daemon = online_with(&lab, &settings);
        let untouched = |what: &str, daemon: &Daemon| {
            assert_eq!(not_ours(&lab), before, "{what}\n{}", daemon.log());
        };
        untouched("start", &daemon);
        lab.upstream_dies(1);
        daemon.wait_for("isp1", "ipv4", "offline");
        daemon.wait_for("isp1", "ipv6", "offline");
        untouched("one is dead", &daemon);
        lab.upstream_dies(2);
        daemon.wait_for_all("offline");
        untouched("both are dead", &daemon);
        lab.upstream_returns(1);
        lab.upstream_returns(2);
        daemon.wait_for_all("online");
        untouched("both are back", &daemon);
        for words in [
            ["use", "isp2"],
            ["use", "auto"],
            ["disable", "isp1"],
            ["enable", "isp1"],
        ] {
            daemon.must(&words);
            untouched(&words.join(" "), &daemon);
        }
        daemon.configure(&settings.clone().global("start_metric", "101"));
        daemon.must(&["reload"]);
        untouched("reload", &daemon);
        daemon.kill9();
        daemon.launch();
        untouched("sudden death", &daemon);
        assert!(daemon.terminate().success());
        untouched("stop", &daemon);
    });
}

#[test]
fn a_whole_life_with_a_table_of_its_own() {
    a_life("176", "unreachable");
}

#[test]
fn a_whole_life_in_main() {
    a_life("main", "first");
}

fn metrics(lab: &Lab, family: Family, table: u32, protocol: u32) -> Vec<u32> {
    let defaults = lab.router.defaults(family, table);
    let of = defaults.iter().filter(|route| route.protocol == protocol);
    of.map(|route| route.metric).collect()
}

fn warns(status: &Value, code: &str) -> bool {
    let warnings = status["warnings"].as_array();
    warnings.is_some_and(|all| all.iter().any(|warning| warning["code"] == code))
}

fn overridden_by(status: &Value, family: Family) -> Vec<Value> {
    let paths = status["providers"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|provider| provider["paths"].as_array().into_iter().flatten());
    paths
        .filter(|path| path["family"] == family.to_string())
        .map(|path| path["overridden_by"].clone())
        .collect()
}

/// Asserts that our routes have these metrics, the foreign one is unchanged, and a warning is shown.
fn stand(lab: &Lab, daemon: &Daemon, family: Family, ours: [u32; 2], foreign: Option<u32>) {
    let foreign: Vec<u32> = foreign.into_iter().collect();
    let so = || {
        let defaults = lab.router.defaults(family, MAIN);
        metrics(lab, family, MAIN, OURS) == ours
            && metrics(lab, family, MAIN, STATIC) == foreign
            && defaults.len() == 2 + foreign.len()
            && defaults.iter().all(|route| route.dev.is_some())
    };
    assert!(
        wait_until(SOON, so),
        "expected ours at {ours:?}, theirs at {foreign:?}: {:#?}\n{}",
        lab.router.defaults(family, MAIN),
        daemon.log()
    );
    let over = foreign.first().map_or(Value::Null, |&metric| metric.into());
    let told = || {
        let status = daemon.status();
        overridden_by(&status, family) == [over.clone(), over.clone()]
            && warns(&status, "overridden") != over.is_null()
    };
    assert!(wait_until(SOON, told), "{:#}", daemon.status());
    let table = daemon.must(&["status"]);
    assert_eq!(table.contains("not ours"), !over.is_null(), "{table}");
}

/// A foreign route exists before the start, and is deleted later.
#[test]
fn of_an_equal_or_lower_metric_from_the_start() {
    in_lab(|| {
        for family in Family::ALL {
            for (metric, ours) in [(100, [101, 102]), (50, [100, 101])] {
                let lab = Lab::new();
                lab.serve();
                lab.learn_default(2, family, "static", metric);
                let before = not_ours_at_rest(&lab);
                let daemon = online_with(&lab, &Settings::fast(&lab).global("table", "main"));
                stand(&lab, &daemon, family, ours, Some(metric));
                let status = daemon.status();
                assert_eq!(warns(&status, "foreign-route"), metric == 100);
                assert_eq!(
                    query(&lab.lan, target(family)),
                    Outcome::By(2),
                    "the foreign one wins"
                );
                daemon.must(&["use", "isp2"]);
                stand(&lab, &daemon, family, ours, Some(metric));
                daemon.must(&["use", "auto"]);
                assert_eq!(not_ours(&lab), before);
                let metric = metric.to_string();
                let ip = ip_of(family);
                lab.router
                    .run(&["ip", ip, "route", "del", "default", "metric", &metric]);
                stand(&lab, &daemon, family, [100, 101], None);
                assert!(!warns(&daemon.status(), "foreign-route"));
                let by_the_first = || query(&lab.lan, target(family)) == Outcome::By(1);
                assert!(wait_until(SOON, by_the_first), "{}", daemon.log());
            }
        }
    });
}

/// A foreign route is added while the daemon runs, by each verb of `ip route`, and deleted again.
fn comes_and_goes(family: Family, verb: &str, metric: u32, ours: [u32; 2]) {
    let lab = Lab::new();
    let daemon = online_with(&lab, &Settings::fast(&lab).global("table", "main"));
    stand(&lab, &daemon, family, [100, 101], None);
    let hammer = Lookups::start(&lab.router, target(family));
    let gateway = lab.provider(2).gateway_address(family).to_string();
    let (ip, metric_text) = (ip_of(family), metric.to_string());
    let route = [
        "default",
        "via",
        &gateway,
        "dev",
        "eth2",
        "proto",
        "static",
        "metric",
        &metric_text,
    ];
    let run = |verb: &str| {
        let mut command = vec!["ip", ip, "route", verb];
        command.extend(route);
        lab.router.run(&command);
    };
    run(verb);
    stand(&lab, &daemon, family, ours, Some(metric));
    run("del");
    stand(&lab, &daemon, family, [100, 101], None);
    let found = hammer.stop();
    assert_eq!(found.failures, 0, "{verb} {metric}: {found:?}");
}

#[test]
fn a_lower_one_comes_and_goes() {
    in_lab(|| {
        for family in Family::ALL {
            comes_and_goes(family, "add", 50, [100, 101]);
        }
    });
}

#[test]
fn an_equal_one_is_appended_and_goes_in_ipv4() {
    in_lab(|| comes_and_goes(Family::V4, "append", 100, [101, 102]));
}

/// The kernel first merges it with ours into a multipath route.
#[test]
fn an_equal_one_is_appended_and_goes_in_ipv6() {
    in_lab(|| comes_and_goes(Family::V6, "append", 100, [101, 102]));
}

/// It is merged while no daemon runs, and during a stop.
#[test]
fn joined_routes_over_a_sudden_death_and_a_stop() {
    in_lab(|| {
        let family = Family::V6;
        let lab = Lab::new();
        let settings = Settings::fast(&lab).global("table", "main");
        let mut daemon = online_with(&lab, &settings);
        let before = not_ours_at_rest(&lab);
        let join = |metric: &str| {
            let lines = format!(
                "route append default via 2001:db8:2::9 dev eth2 proto static metric {metric}"
            );
            lab.router.feed(&["ip", "-6", "-batch", "-"], &lines);
        };
        daemon.kill9();
        join("100");
        daemon.launch();
        stand(&lab, &daemon, family, [101, 102], Some(100));
        // A route that is merged at the last moment stays.
        daemon.signal(nix::sys::signal::Signal::SIGSTOP);
        join("101");
        daemon.signal(nix::sys::signal::Signal::SIGTERM);
        daemon.signal(nix::sys::signal::Signal::SIGCONT);
        assert!(daemon.wait().success());
        assert_eq!(metrics(&lab, family, MAIN, STATIC), [100, 101]);
        assert!(metrics(&lab, family, MAIN, OURS).is_empty());
        for metric in ["100", "101"] {
            let ip = ["ip", "-6", "route", "del", "default", "metric", metric];
            lab.router.run(&ip);
        }
        assert_eq!(not_ours(&lab), before);
    });
}

#[test]
fn an_equal_one_takes_our_place_and_goes() {
    in_lab(|| {
        for family in Family::ALL {
            comes_and_goes(family, "replace", 100, [101, 102]);
        }
    });
}

/// At the metric of our second route.
#[test]
fn an_equal_one_takes_the_second_place() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = Lab::new();
            let daemon = online_with(&lab, &Settings::fast(&lab).global("table", "main"));
            lab.learn_default(1, family, "static", 101);
            let so = || {
                metrics(&lab, family, MAIN, OURS) == [100, 102]
                    && metrics(&lab, family, MAIN, STATIC) == [101]
            };
            assert!(
                wait_until(SOON, so),
                "{:?}\n{}",
                lab.router.defaults(family, MAIN),
                daemon.log()
            );
        }
    });
}

/// As added by netifd for DHCPv6. With our own swap table it does not matter; in `main` it always takes precedence.
#[test]
fn a_source_specific_default() {
    in_lab(|| {
        for table in ["176", "main"] {
            let lab = Lab::new();
            lab.serve();
            let ip = |line| lab.router.feed(&["ip", "-6", "-batch", "-"], line);
            ip(
                "route add default from 2001:db8:100::/48 via 2001:db8:1::1 dev eth1 proto static metric 512",
            );
            let before = not_ours_at_rest(&lab);
            let daemon = online_with(&lab, &Settings::fast(&lab).global("table", table));
            assert!(warns(&daemon.status(), "ipv6-source-foreign"));
            let family = Family::V6;
            assert_eq!(query(&lab.lan, target(family)), Outcome::By(1));
            daemon.must(&["use", "isp2"]);
            let leader = if table == "main" { 1 } else { 2 };
            let by = || query(&lab.lan, target(family)) == Outcome::By(leader);
            assert!(wait_until(SOON, by), "{table}\n{}", daemon.log());
            assert_eq!(query(&lab.lan, target(Family::V4)), Outcome::By(2));
            assert_eq!(not_ours(&lab), before);
            ip("route del default from 2001:db8:100::/48");
            let gone = || !warns(&daemon.status(), "ipv6-source-foreign");
            assert!(wait_until(SOON, gone), "{}", daemon.status());
            assert_eq!(query(&lab.lan, target(family)), Outcome::By(2));
        }
    });
}

/// Swaps by verdicts and by pins, in a table that other lookups use, too.
#[test]
fn two_hundred_swaps_without_a_hole_in_main() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::fast(&lab)
            .global("table", "main")
            .global("interval", "20ms")
            .global("timeout", "60ms")
            .global("up", "1")
            .global("down", "1");
        let daemon = online_with(&lab, &settings);
        let lookups = Family::ALL.map(|family| Lookups::start(&lab.router, target(family)));
        let leads = |number: usize| {
            let device = Some(lab.provider(number).device.clone());
            let so = || {
                Family::ALL
                    .iter()
                    .all(|family| lab.router.leader(*family, MAIN) == device)
            };
            assert!(wait_until(SOON, so), "{}", daemon.log());
        };
        for round in 0..25 {
            lab.upstream_dies(1);
            leads(2);
            lab.upstream_returns(1);
            leads(1);
            for _ in 0..3 {
                daemon.must(&["use", "isp2"]);
                daemon.must(&["use", "isp1"]);
            }
            daemon.must(&["use", "auto"]);
            if round % 5 == 0 {
                leads(1);
            }
        }
        for hammer in lookups {
            let found = hammer.stop();
            assert!(found.lookups > 10_000 && found.failures == 0, "{found:?}");
        }
        assert!(daemon.status()["counters"]["swaps"].as_u64() >= Some(400));
        for family in Family::ALL {
            assert!(lab.router.defaults(family, TABLE).is_empty());
        }
    });
}

/// mwan3's rules with its default mask; only in IPv4 if IPv6 is disabled.
fn mwan3(lab: &Lab, action: &str) {
    let lines = format!(
        "rule {action} pref 2061 fwmark 0x3d00/0x3f00 blackhole
         rule {action} pref 2062 fwmark 0x3e00/0x3f00 unreachable"
    );
    lab.router.feed(&["ip", "-4", "-batch", "-"], &lines);
}

#[test]
fn a_running_mwan3_is_reported() {
    in_lab(|| {
        let lab = Lab::new();
        mwan3(&lab, "add");
        let daemon = online_with(&lab, &Settings::fast(&lab));
        let told = || warns(&daemon.status(), "mwan3-running");
        assert!(wait_until(SOON, told), "from the start");
        daemon.logged("mwan3 is at work too");
        let table = daemon.must(&["status"]);
        assert!(table.contains("/etc/init.d/mwan3 disable"), "{table}");

        mwan3(&lab, "del");
        assert!(wait_until(SOON, || !told()), "it has stopped");
        mwan3(&lab, "add");
        assert!(wait_until(SOON, told), "it has started");
    });
}
