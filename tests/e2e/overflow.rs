//! The kernel has more objects that concern the daemon than there is room for: the most important ones are kept, a warning
//! is shown, and the rest is read as soon as there is room. For other objects see [`super::crowd`].

use nix::sys::signal::Signal;

use super::inspect::{counter, lookups, no_hole, path};
use super::lab::namespace::Namespace;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{OURS, SOON, TABLE, leads, online_with};

/// A provider's gateways are learned again, from its DHCP client and router advertisements: in IPv6, the second provider's
/// after all others.
pub(super) fn relearn(lab: &Lab, number: usize) {
    let metric = u32::try_from(number).unwrap();
    lab.learn_default(number, Family::V4, "dhcp", 20 + metric);
    lab.learn_default(number, Family::V6, "ra", 5000 * metric);
}

/// A lab with learned default routes and gateways, and foreign routes in our tables.
pub(super) fn learned() -> Lab {
    let lab = Lab::new();
    for number in [1, 2] {
        relearn(&lab, number);
    }
    for ip in ["-4", "-6"] {
        let lines = "route add unreachable default proto static metric 101 table 176
             route add unreachable default proto static metric 5 table 17602";
        lab.router.feed(&["ip", ip, "-batch", "-"], lines);
    }
    lab
}

pub(super) fn settings(lab: &Lab) -> Settings {
    Settings::learning(lab).global("last_resort", "keep")
}

pub(super) fn batch(namespace: &Namespace, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    namespace.ip(&lines.join("\n"));
}

pub(super) fn warning(daemon: &Daemon) -> Option<String> {
    let status = daemon.status();
    let mut warnings = status["warnings"].as_array().into_iter().flatten();
    let found = warnings.find(|warning| warning["code"] == "overflow")?;
    found["text"].as_str().map(str::to_owned)
}

fn told(daemon: &Daemon, what: &str) {
    let so = || warning(daemon).is_some_and(|text| text.contains(what));
    assert!(
        wait_until(SOON, so),
        "{:?}\n{}",
        warning(daemon),
        daemon.log()
    );
}

fn told_no_more(daemon: &Daemon) {
    let so = || warning(daemon).is_none();
    assert!(
        wait_until(SOON, so),
        "{:?}\n{}",
        warning(daemon),
        daemon.log()
    );
}

/// All routes, foreign and ours, of our tables.
pub(super) fn tables(lab: &Lab) -> Vec<String> {
    let mut all = Vec::new();
    for family in Family::ALL {
        for table in [TABLE, 17601, 17602, 17601 + 64, 17602 + 64] {
            for route in lab.router.routes(family, table) {
                let origin = if route.protocol == OURS {
                    "ours"
                } else {
                    "theirs"
                };
                let (dev, metric) = (route.dev.unwrap_or_default(), route.metric);
                all.push(format!(
                    "{family} {table} {origin} {} {dev} {metric}",
                    route.dst
                ));
            }
        }
    }
    all.sort();
    all
}

/// What there was when all paths were online.
pub(super) struct Before {
    pub(super) tables: Vec<String>,
    log: usize,
}

impl Before {
    pub(super) fn now(lab: &Lab, daemon: &Daemon) -> Before {
        Before {
            tables: tables(lab),
            log: daemon.log().len(),
        }
    }
}

/// Since then, no path has gone offline, or has changed its metric.
pub(super) fn assert_unaffected(lab: &Lab, daemon: &Daemon, before: &Before) {
    let log = daemon.whole_log().split_off(before.log);
    let states = daemon.path_states();
    assert!(
        states.iter().all(|(_, _, state)| state == "online"),
        "{states:?}\n{log}"
    );
    for word in ["→ waiting", "→ offline", "gateway lost", "put back"] {
        assert!(!log.contains(word), "{log}");
    }
    assert_eq!(tables(lab), before.tables, "{log}");
}

/// A run with too many objects: they are added, the daemon restarts, an upstream fails and returns, and they are deleted.
fn with_too_much(what: &str, come: impl Fn(&Lab), go: impl Fn(&Lab)) {
    let lab = learned();
    let mut daemon = online_with(&lab, &settings(&lab));
    assert!(leads(&lab, 1));
    let before = Before::now(&lab, &daemon);
    let lookups = lookups(&lab);
    come(&lab);
    told(&daemon, what);
    assert_unaffected(&lab, &daemon, &before);
    // The daemon has only the result of one dump.
    daemon.kill9();
    daemon.launch();
    daemon.wait_for_all("online");
    told(&daemon, what);
    assert_unaffected(&lab, &daemon, &before);
    daemon.must(&["reload"]);
    assert_unaffected(&lab, &daemon, &before);
    no_hole(lookups, &daemon);
    lab.upstream_dies(1);
    assert!(leads(&lab, 2), "{}", daemon.log());
    lab.upstream_returns(1);
    assert!(leads(&lab, 1), "{}", daemon.log());
    // A pulled cable moves traffic at once, however many routes there are.
    lab.pull_cable(1);
    assert!(leads(&lab, 2), "{}", daemon.log());
    lab.plug_cable(1);
    relearn(&lab, 1);
    daemon.wait_for_all("online");
    assert!(leads(&lab, 1), "{}", daemon.log());
    go(&lab);
    told_no_more(&daemon);
    assert_eq!(tables(&lab), before.tables, "{}", daemon.log());
    for family in Family::ALL {
        let way = lab.router.way(&target(family).to_string(), &[]);
        assert_eq!(way.as_deref(), Some("eth1"), "{}", daemon.log());
    }
}

/// 1,200 default routes are added, and deleted again; `route` is the route with a number.
fn with_too_many_routes(route: fn(u32) -> String) {
    in_lab(|| {
        let lines = |verb: &'static str| {
            move |lab: &Lab| {
                let routes = (1..=1200).map(|n| format!("route {verb} {}", route(n)));
                batch(&lab.router, routes);
            }
        };
        with_too_much("default routes cannot", lines("add"), lines("del"));
    });
}

/// As if many routers advertised themselves on one provider's link.
#[test]
fn of_default_routes_by_a_providers_device() {
    with_too_many_routes(|n| format!("::/0 via fe80::{n:x} dev eth1 proto ra metric {}", 6000 + n));
}

#[test]
fn of_addresses() {
    in_lab(|| {
        let come = |lab: &Lab| {
            let line = |n| format!("addr add 2001:db8:a::{n:x}/128 dev eth2 nodad");
            batch(&lab.router, (1..=600).map(line));
        };
        let go = |lab: &Lab| {
            let flush = "addr flush dev eth2 to 2001:db8:a::/64";
            lab.router.feed(&["ip", "-6", "-batch", "-"], flush);
        };
        with_too_much("addresses cannot", come, go);
    });
}

#[test]
fn of_rules_for_everything() {
    in_lab(|| {
        let lines = |verb: &'static str| {
            move |lab: &Lab| {
                let rules = (1..=1100).map(|n| format!("rule {verb} pref {} lookup 300", 100 + n));
                batch(&lab.router, rules);
            }
        };
        with_too_much("rules cannot", lines("add"), lines("del"));
    });
}

/// `ip` lines for routers on the link of a provider, the last the best.
fn routers(verb: &str, number: u32, which: std::ops::RangeInclusive<u32>) -> Vec<String> {
    let line = |n| {
        let metric = 4000 + 5000 * number - n;
        format!("route {verb} ::/0 via fe80::{n:x} dev eth{number} proto ra metric {metric}")
    };
    which.map(line).collect()
}

/// All known gateways of a path are deleted at once, while others had no room.
#[test]
fn the_gateway_in_use_goes_meanwhile() {
    in_lab(|| {
        let lab = learned();
        let daemon = online_with(&lab, &settings(&lab));
        batch(&lab.router, routers("add", 2, 1..=900).into_iter());
        batch(&lab.router, routers("add", 1, 1..=400).into_iter());
        told(&daemon, "default routes cannot");
        let gateway = || path(&daemon.status(), "isp1", "ipv6")["gateway"].clone();
        let becomes = |gateway_wanted: &str| {
            let so = || gateway() == gateway_wanted;
            assert!(wait_until(SOON, so), "{}\n{}", gateway(), daemon.log());
        };
        becomes(&lab.provider(1).gateway_address(Family::V6).to_string());
        lab.router.ip("route del ::/0 dev eth1 metric 5000");
        becomes("fe80::190");
        let overruns = counter(&daemon, "overruns");
        daemon.signal(Signal::SIGSTOP);
        batch(&lab.router, routers("del", 1, 251..=400).into_iter());
        daemon.signal(Signal::SIGCONT);
        becomes("fe80::fa");
        assert_eq!(
            counter(&daemon, "overruns"),
            overruns,
            "nothing else asked for a dump"
        );
        let log = daemon.whole_log();
        assert!(!log.contains("→ waiting"), "{log}");
        batch(&lab.router, routers("del", 2, 1..=900).into_iter());
        told_no_more(&daemon);
        becomes("fe80::fa");
    });
}

/// Default routes by more devices than there is room for, none of them a provider's: that is told, and told no more.
#[test]
fn defaults_by_too_many_devices_of_others_are_told_of() {
    in_lab(|| {
        let lab = learned();
        let daemon = online_with(&lab, &settings(&lab));
        assert!(leads(&lab, 1));
        let before = Before::now(&lab, &daemon);
        let each = |line: &dyn Fn(u32) -> String| batch(&lab.router, (1..=20).map(line));
        each(&|n| format!("link add other{n} type veth peer name peer{n}"));
        each(&|n| format!("link set peer{n} up"));
        each(&|n| format!("link set other{n} up"));
        each(&|n| format!("route add default dev other{n} metric {}", 9000 + n));
        told(
            &daemon,
            "4 default routes lead by devices that cannot be watched: there is room for 16",
        );
        assert_unaffected(&lab, &daemon, &before);
        batch(
            &lab.router,
            (1..=4).map(|n| format!("route del default dev other{n} metric {}", 9000 + n)),
        );
        told_no_more(&daemon);
        // The last of them is known, and obeyed.
        lab.router.ip("route add default dev other20 metric 5");
        let target = target(Family::V4).to_string();
        let obeyed = || lab.router.way(&target, &[]).as_deref() == Some("other20");
        assert!(wait_until(SOON, obeyed), "{}", daemon.log());
    });
}

/// Other programs have routes at all metrics of ours: that is warned of metric by metric, as far as there is room.
#[test]
fn warnings_without_room_are_told_of() {
    in_lab(|| {
        let lab = learned();
        let lines = |verb: &str| {
            let metrics = (102..=120).map(|n| {
                format!("route {verb} unreachable default proto static metric {n} table 176")
            });
            let lines: Vec<String> = metrics.collect();
            for family in Family::ALL {
                lab.router.batch(family, &lines.join("\n"));
            }
        };
        lines("add");
        let settings = settings(&lab).global("start_metric", "101");
        let daemon = online_with(&lab, &settings);
        told(&daemon, "more warnings are not shown: there is room for 32");
        let count = || daemon.status()["warnings"].as_array().unwrap().len();
        assert_eq!(count(), 32);
        lines("del");
        told_no_more(&daemon);
        assert!(count() < 32);
    });
}
