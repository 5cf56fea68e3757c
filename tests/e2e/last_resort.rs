//! No provider works: what happens to traffic then, and that it returns by itself when one works again.

use std::time::Duration;

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::talk::{Fate, ask};
use super::{SLACK, SOON, TABLE, online_with};

/// The table that a person's routes are in.
const MAIN: u32 = 254;
/// What is refused is refused by the router itself.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Where routes are: the swap table, and whether providers have policy tables.
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

/// The first provider dies; the second takes over, and dies, too.
fn both_die(lab: &Lab, daemon: &Daemon, layout: Layout) {
    lab.upstream_dies(1);
    assert!(layout.leads(lab, 2), "{layout:?}\n{}", daemon.log());
    lab.upstream_dies(2);
    daemon.wait_for_all("offline");
}

/// Traffic of the LAN and of the router itself goes by this provider again, without anybody's help.
fn goes_by(lab: &Lab, daemon: &Daemon, layout: Layout, number: usize) {
    let by = Fate::By(u8::try_from(number).expect("there are two"));
    for family in Family::ALL {
        for namespace in [&lab.lan, &lab.router] {
            let so = || ask(namespace, target(family)) == by;
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

/// Nobody waits for an answer that cannot come: neither the LAN, nor the router itself. Not so the router in IPv6: when
/// nothing leads to a target, its kernel chooses a source address all the same and asks again (`ip6_dst_lookup_tail`),
/// and that is an address with a `from` rule.
fn is_refused(lab: &Lab, daemon: &Daemon, layout: Layout) {
    let askers = [
        (&lab.lan, Family::V4),
        (&lab.lan, Family::V6),
        (&lab.router, Family::V4),
    ];
    for (namespace, family) in askers {
        let mut fate = ask(namespace, target(family));
        let refused = |fate| matches!(fate, Fate::Refused(after) if after < AT_ONCE + SLACK);
        for _ in 0..3 {
            if !refused(fate) {
                // Kernels send somebody only so many ICMP messages a second, and none to those who ask all the time.
                std::thread::sleep(Duration::from_millis(2100));
                fate = ask(namespace, target(family));
            }
        }
        assert!(
            refused(fate),
            "{layout:?}: {family} of the {}: {fate:?}\n{}",
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
        both_die(&lab, &daemon, layout);
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
        both_die(&lab, &daemon, layout);
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
        both_die(&lab, &daemon, layout);
        is_refused(&lab, &daemon, layout);
        let active = daemon.status()["active"].clone();
        assert!(active["ipv4"].is_null() && active["ipv6"].is_null());
        assert!(daemon.must(&["status"]).contains("no way out"));
        let before = probes_sent(&daemon);
        assert!(wait_until(SOON, || probes_sent(&daemon) > before + 8));
        both_return(&lab, &daemon, layout);
    });
}

/// Cables instead of upstreams: nobody is even there to be asked.
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

/// Both modems vanish; nothing of ours can be installed at all.
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

/// What is refused stays refused while nobody is there, and when somebody is there again who knows it.
#[test]
fn unreachable_survives_sudden_death() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        lab.serve();
        let mut daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        both_die(&lab, &daemon, layout);
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
        let refused = || matches!(ask(&lab.lan, target(Family::V6)), Fate::Refused(_));
        assert!(wait_until(SOON, refused), "{}", daemon.log());
        assert_eq!(ask(&lab.lan, target(Family::V4)), Fate::By(1));
    });
}

/// Who is kept is kept by the next run, too.
#[test]
fn keep_survives_sudden_death_and_a_stop() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &layout.settings(&lab, "keep"));
        both_die(&lab, &daemon, layout);
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
            .log()
            .matches("isp1 ipv4: leads: isp2 is offline")
            .count();
        assert_eq!(strayed, 0, "{}", daemon.log());
    });
}

/// A pin is a person's word: what is pinned is tried, even when it was seen to fail.
#[test]
fn unreachable_gives_way_to_a_pin() {
    in_lab(|| {
        let layout = LAYOUTS[0];
        let lab = Lab::new();
        lab.serve();
        let daemon = online_with(&lab, &layout.settings(&lab, "unreachable"));
        both_die(&lab, &daemon, layout);
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

/// Dead from the very start: the first is tried until it is judged.
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

/// Nobody is to be used: that is as if nobody worked.
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

/// While everything is refused, replies to probes must still be let in: the kernel looks up the way back to their sender,
/// and drops them when that is refused. Whatever the reverse-path filter, the policy tables and the addresses, what
/// works again is found. The one exception has a warning: a strict filter and no way to tell the paths apart.
#[test]
fn unreachable_is_left_whatever_filters_replies() {
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
    let status = daemon.status();
    let warnings = status["warnings"].as_array().expect("it is a list");
    let warned = |name| {
        let about = |warning: &&serde_json::Value| {
            warning["code"] == "rp-filter" && warning["provider"] == name
        };
        warnings.iter().any(|warning| about(&warning))
    };
    assert_eq!(["isp1", "isp2"].map(warned), [deaf; 2], "{status}");
}
