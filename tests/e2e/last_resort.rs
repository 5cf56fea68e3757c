//! No provider works: what happens to traffic, and that it returns by itself when a provider works again.

use std::time::Duration;

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, query};
use super::{SLACK, SOON, TABLE, online_with};

/// The table of foreign routes.
const MAIN: u32 = 254;
/// A refusal comes from the router itself, so it takes at most this long.
const AT_ONCE: Duration = Duration::from_millis(20);

/// The layout of routes: the swap table, and whether providers have policy tables.
#[derive(Clone, Copy, Debug)]
struct Layout {
    table: u32,
    rt_table: &'static str,
}

const LAYOUTS: [Layout; 4] = [
    Layout {
        table: TABLE,
        rt_table: "auto",
    },
    Layout {
        table: TABLE,
        rt_table: "none",
    },
    Layout {
        table: MAIN,
        rt_table: "auto",
    },
    Layout {
        table: MAIN,
        rt_table: "none",
    },
];

impl Layout {
    fn settings(self, lab: &Lab, last_resort: &str) -> Settings {
        let table = if self.table == MAIN { "main" } else { "176" };
        Settings::fast(lab)
            .global("last_resort", last_resort)
            .global("table", table)
            .provider("isp1", "rt_table", self.rt_table)
            .provider("isp2", "rt_table", self.rt_table)
    }

    /// Waits until provider `number` leads in both families.
    fn leads(self, lab: &Lab, number: usize) -> bool {
        let device = Some(lab.provider(number).device.clone());
        wait_until(SOON, || {
            Family::ALL
                .into_iter()
                .all(|family| lab.router.leader(family, self.table) == device)
        })
    }
}

fn each_layout(test: fn(Layout)) {
    in_lab(|| LAYOUTS.into_iter().for_each(test));
}

/// The first provider fails; the second takes over, and fails, too.
fn both_fail(lab: &Lab, daemon: &Daemon, layout: Layout) {
    lab.upstream_dies(1);
    assert!(layout.leads(lab, 2), "{layout:?}\n{}", daemon.log());
    lab.upstream_dies(2);
    daemon.wait_for_all("offline");
}

/// Traffic of the LAN and of the router itself uses this provider again, by itself.
fn goes_by(lab: &Lab, daemon: &Daemon, layout: Layout, number: usize) {
    let by = Outcome::By(u8::try_from(number).expect("there are two"));
    for family in Family::ALL {
        for namespace in [&lab.lan, &lab.router] {
            let so = || query(namespace, target(family)) == by;
            assert!(
                wait_until(SOON, so),
                "{layout:?}: {family} of the {} does not go by isp{number}\n{}",
                namespace.name(),
                daemon.log()
            );
        }
    }
}

/// One after the other works again, the second one first.
fn both_return(lab: &Lab, daemon: &Daemon, layout: Layout) {
    lab.upstream_returns(2);
    goes_by(lab, daemon, layout, 2);
    lab.upstream_returns(1);
    goes_by(lab, daemon, layout, 1);
    assert!(layout.leads(lab, 1));
}

/// Traffic of the LAN and of the router itself is refused at once, without a timeout. An exception is the router in IPv6:
/// without a route, its kernel still chooses a source address and repeats the lookup (`ip6_dst_lookup_tail`), and that
/// address has a `from` rule.
fn is_refused(lab: &Lab, daemon: &Daemon, layout: Layout) {
    let askers = [
        (&lab.lan, Family::V4),
        (&lab.lan, Family::V6),
        (&lab.router, Family::V4),
    ];
    for (namespace, family) in askers {
        let mut outcome = query(namespace, target(family));
        let refused =
            |outcome| matches!(outcome, Outcome::Refused(after) if after < AT_ONCE + SLACK);
        for _ in 0..3 {
            if !refused(outcome) {
                // The kernel limits the rate of ICMP errors per destination: a host that sends all the time gets none.
                std::thread::sleep(Duration::from_millis(2100));
                outcome = query(namespace, target(family));
            }
        }
        assert!(
            refused(outcome),
            "{layout:?}: {family} of the {}: {outcome:?}\n{}",
            namespace.name(),
            daemon.log()
        );
    }
}

fn probes_sent(daemon: &Daemon) -> u64 {
    daemon.status()["counters"]["probes_sent"]
        .as_u64()
        .expect("it is a number")
}

#[test]
fn first() {
    each_layout(|layout| {
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "first"));
        both_fail(&lab, &daemon, layout);
        assert!(layout.leads(&lab, 1), "{layout:?}\n{}", daemon.log());
        both_return(&lab, &daemon, layout);
    });
}

#[test]
fn keep() {
    each_layout(|layout| {
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "keep"));
        both_fail(&lab, &daemon, layout);
        assert!(layout.leads(&lab, 2));
        std::thread::sleep(Duration::from_millis(300));
        assert!(layout.leads(&lab, 2), "{layout:?}\n{}", daemon.log());
        both_return(&lab, &daemon, layout);
    });
}

#[test]
fn unreachable() {
    each_layout(|layout| {
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        both_fail(&lab, &daemon, layout);
        is_refused(&lab, &daemon, layout);
        let active = daemon.status()["active"].clone();
        assert!(active["ipv4"].is_null() && active["ipv6"].is_null());
        assert!(daemon.must(&["status"]).contains("no way out"));
        let before = probes_sent(&daemon);
        assert!(wait_until(SOON, || probes_sent(&daemon) > before + 8));
        both_return(&lab, &daemon, layout);
    });
}

/// Cables are pulled instead of failing upstreams: no gateway can be reached.
#[test]
fn unreachable_without_carrier() {
    each_layout(|layout| {
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        for number in [1, 2] {
            lab.pull_cable(number);
        }
        daemon.wait_for_all("waiting");
        is_refused(&lab, &daemon, layout);
        lab.plug_cable(2);
        goes_by(&lab, &daemon, layout, 2);
        lab.plug_cable(1);
        goes_by(&lab, &daemon, layout, 1);
    });
}

/// Both devices are deleted; no route can be installed.
#[test]
fn no_device_is_left() {
    for last_resort in ["first", "keep", "unreachable"] {
        in_lab(|| {
            let layout = LAYOUTS[0];
            let lab = Lab::new();
            lab.serve();
            let daemon = online_with(&lab, &layout.settings(&lab, last_resort));
            for number in [1, 2] {
                lab.remove_device(number);
            }
            daemon.wait_for_all("waiting");
            is_refused(&lab, &daemon, layout);
            lab.insert_device(2);
            goes_by(&lab, &daemon, layout, 2);
            lab.insert_device(1);
            goes_by(&lab, &daemon, layout, 1);
        });
    }
}

/// Traffic stays refused while no daemon runs, and after the next start.
#[test]
fn unreachable_survives_sigkill() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        lab.serve();
        let mut daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        both_fail(&lab, &daemon, layout);
        is_refused(&lab, &daemon, layout);
        daemon.kill9();
        is_refused(&lab, &daemon, layout);
        daemon.launch();
        is_refused(&lab, &daemon, layout);
        let refusing = |family| {
            let rules = lab.router.rules(family);
            rules
                .iter()
                .filter(|rule| rule.action.as_deref() == Some("unreachable"))
                .count()
        };
        assert_eq!(Family::ALL.map(refusing), [1, 1]);
        both_return(&lab, &daemon, layout);
        assert_eq!(Family::ALL.map(refusing), [0, 0]);
    });
}

/// One family of a provider fails: only that one is refused.
#[test]
fn families_are_refused_by_themselves() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        for number in [1, 2] {
            let rule = "rule add pref 1 iif line blackhole";
            let gateway = &lab.provider(number).gateway;
            gateway.feed(&["ip", "-6", "-batch", "-"], rule);
        }
        daemon.wait_for("isp1", "ipv6", "offline");
        daemon.wait_for("isp2", "ipv6", "offline");
        let refused = || matches!(query(&lab.lan, target(Family::V6)), Outcome::Refused(_));
        assert!(wait_until(SOON, refused), "{}", daemon.log());
        assert_eq!(query(&lab.lan, target(Family::V4)), Outcome::By(1));
    });
}

/// The next run keeps the same provider.
#[test]
fn keep_survives_sigkill_and_a_stop() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &layout.settings(&lab, "keep"));
        both_fail(&lab, &daemon, layout);
        daemon.kill9();
        daemon.launch();
        let rounds = |daemon: &Daemon| probes_sent(daemon) > 40;
        assert!(wait_until(SOON, || rounds(&daemon)));
        assert!(layout.leads(&lab, 2), "{}", daemon.log());
        assert!(daemon.terminate().success());
        daemon.launch();
        assert!(wait_until(SOON, || rounds(&daemon)));
        assert!(layout.leads(&lab, 2), "{}", daemon.log());
        let strayed = daemon
            .whole_log()
            .matches("isp1 ipv4: leads: isp2 is offline")
            .count();
        assert_eq!(strayed, 0, "{}", daemon.log());
    });
}

/// A pin has precedence: a pinned provider is used, even if it has failed.
#[test]
fn unreachable_gives_way_to_a_pin() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        both_fail(&lab, &daemon, layout);
        is_refused(&lab, &daemon, layout);
        daemon.must(&["use", "isp2"]);
        lab.upstream_returns(2);
        goes_by(&lab, &daemon, layout, 2);
        lab.upstream_dies(2);
        daemon.must(&["use", "auto"]);
        is_refused(&lab, &daemon, layout);
        lab.upstream_returns(2);
        goes_by(&lab, &daemon, layout, 2);
    });
}

/// All upstreams are dead from the start: the first provider is used until it is judged.
#[test]
fn unreachable_from_the_start() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        lab.serve();
        for number in [1, 2] {
            lab.upstream_dies(number);
        }
        let daemon = Daemon::start(&lab.router, &layout.settings(&lab, "unreachable"));
        daemon.wait_for_all("offline");
        is_refused(&lab, &daemon, layout);
        both_return(&lab, &daemon, layout);
    });
}

/// All providers are disabled: this is the same as if none worked.
#[test]
fn unreachable_when_all_are_disabled() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        for provider in ["isp1", "isp2"] {
            daemon.must(&["disable", provider]);
        }
        is_refused(&lab, &daemon, layout);
        daemon.must(&["enable", "isp2"]);
        goes_by(&lab, &daemon, layout, 2);
    });
}

/// While all traffic is refused, replies to probes must be accepted: the kernel looks up the route back to their source,
/// and drops them if that is refused. With any reverse-path filter, policy tables and addresses, a provider that works
/// again is detected. The only exception, a strict filter without a way to distinguish the paths, has a warning.
#[test]
fn unreachable_is_left_with_any_reverse_path_filter() {
    for rp_filter in [0, 1, 2] {
        for rt_table in ["auto", "none"] {
            for same_addresses in [false, true] {
                in_lab(|| a_filter_lets_replies_in(rp_filter, rt_table, same_addresses));
            }
        }
    }
}

fn a_filter_lets_replies_in(rp_filter: u32, rt_table: &'static str, same_addresses: bool) {
    let builder = Lab::builder().rp_filter(rp_filter);
    let lab = match same_addresses {
        true => builder.same_addresses().build(),
        false => builder.build(),
    };
    lab.serve();
    let layout = Layout {
        table: TABLE,
        rt_table,
    };
    let daemon = Daemon::start(&lab.router, &layout.settings(&lab, "unreachable"));
    let told_apart = rt_table == "auto" && !same_addresses;
    let deaf = rp_filter == 1 && !told_apart;
    let all_are_online = || {
        for (name, family) in [("isp1", "ipv4"), ("isp1", "ipv6"), ("isp2", "ipv6")] {
            daemon.wait_for(name, family, "online");
        }
        daemon.wait_for("isp2", "ipv4", if deaf { "offline" } else { "online" });
    };
    all_are_online();
    for number in [1, 2] {
        lab.upstream_dies(number);
    }
    daemon.wait_for_all("offline");
    is_refused(&lab, &daemon, layout);
    for number in [1, 2] {
        lab.upstream_returns(number);
    }
    all_are_online();
    goes_by(&lab, &daemon, layout, 1);
    let warned = || {
        let status = daemon.status();
        let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
        ["isp1", "isp2"].map(|name| {
            let about = |w: &serde_json::Value| w["code"] == "rp-filter" && w["provider"] == name;
            warnings.iter().any(about)
        })
    };
    let told = || warned() == [false, deaf];
    assert!(wait_until(SOON, told), "{:#}", daemon.status());
}
