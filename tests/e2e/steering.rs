//! Traffic for which a provider is chosen: by firewall mark, by device, by source address.

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, Query, other_target, query};
use super::{OURS, SOON, online_with};

/// The mark of the second provider, and bits that other programs may use.
const MARK: u32 = 0x100;
const OTHER_BITS: u32 = 0x3_0055;

/// The router's firewall marks packets from the LAN to the second targets.
const MARKING: &str = "
    table inet steering {
        chain arriving {
            type filter hook prerouting priority mangle;
            iifname \"lan0\" ip daddr 203.0.113.9 meta mark set 0x30155
            iifname \"lan0\" ip6 daddr 2001:db8:53::9 meta mark set 0x30155
        }
    }
";

/// The router's firewall restores the mark of replies.
const RESTORING: &str = "
    table inet restoring {
        chain arriving {
            type filter hook prerouting priority mangle;
            iifname \"eth*\" meta mark set ct mark
        }
        chain leaving {
            type filter hook postrouting priority mangle;
            meta mark != 0 ct mark set meta mark
        }
    }
";

fn by(number: u8) -> Outcome {
    Outcome::By(number)
}

/// Marked traffic, of both families and kinds, uses one provider, and unmarked traffic the other.
fn steered(lab: &Lab, daemon: &Daemon, marked: u8, plain: u8) {
    for family in Family::ALL {
        let (target, other) = (target(family), other_target(family));
        let all = || {
            [
                Query::marked(MARK).send(&lab.router, target),
                Query::marked(MARK | OTHER_BITS).send(&lab.router, target),
                query(&lab.lan, other),
            ] == [by(marked); 3]
                && [
                    Query::marked(MARK << 1).send(&lab.router, target),
                    Query::marked(OTHER_BITS).send(&lab.router, target),
                    query(&lab.router, target),
                    query(&lab.lan, target),
                ] == [by(plain); 4]
        };
        assert!(
            wait_until(SOON, all),
            "{family}: marked {marked}, plain {plain}: {:?} {:?} {:?}\n{}",
            Query::marked(MARK).send(&lab.router, target),
            query(&lab.lan, other),
            query(&lab.lan, target),
            daemon.log()
        );
    }
}

fn marks(lab: &Lab, settings: Settings) {
    lab.serve();
    lab.router.feed(&["nft", "-f", "-"], MARKING);
    let daemon = online_with(lab, &settings.provider("isp2", "mark", "0x100/0xff00"));
    steered(lab, &daemon, 2, 1);
    // Offline: its traffic uses the best provider, until it returns.
    lab.upstream_dies(2);
    steered(lab, &daemon, 1, 1);
    lab.upstream_returns(2);
    steered(lab, &daemon, 2, 1);
    // Waiting: the same.
    lab.pull_cable(2);
    steered(lab, &daemon, 1, 1);
    lab.plug_cable(2);
    steered(lab, &daemon, 2, 1);
    lab.remove_device(2);
    steered(lab, &daemon, 1, 1);
    lab.insert_device(2);
    steered(lab, &daemon, 2, 1);
    // It leads: no difference for marked traffic.
    lab.upstream_dies(1);
    steered(lab, &daemon, 2, 2);
    lab.upstream_returns(1);
    steered(lab, &daemon, 2, 1);
    // Disabled.
    daemon.must(&["disable", "isp2"]);
    steered(lab, &daemon, 1, 1);
    daemon.must(&["enable", "isp2"]);
    steered(lab, &daemon, 2, 1);
    // While another is pinned, it is not known to work.
    daemon.must(&["use", "isp1"]);
    steered(lab, &daemon, 1, 1);
    daemon.must(&["use", "isp2"]);
    steered(lab, &daemon, 2, 2);
    daemon.must(&["use", "auto"]);
    steered(lab, &daemon, 2, 1);
}

/// The rules with marks that are ours.
fn marked_rules(lab: &Lab, family: Family) -> Vec<(u32, String)> {
    let rules = lab.router.rules(family).into_iter();
    let ours = rules.filter(|rule| rule.protocol == OURS);
    ours.filter_map(|rule| Some((rule.pref, rule.fwmark?)))
        .collect()
}

/// A mark without a mask is compared in all bits but ours. A former version compared ours, too: its rule is replaced.
#[test]
fn by_a_mark_without_a_mask() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let settings = Settings::fast(&lab).provider("isp2", "mark", "0x100");
        let mut daemon = online_with(&lab, &settings);
        let only = [(17602, "0x100/0xffffff".to_owned())];
        for family in Family::ALL {
            let send = |mark| Query::marked(mark).send(&lab.router, target(family));
            let all = || {
                [MARK, MARK | 0x4000_0000, MARK | 0xc000_0000].map(send) == [by(2); 3]
                    && [MARK | OTHER_BITS, 0x4000_0000].map(send) == [by(1); 2]
            };
            assert!(wait_until(SOON, all), "{family}: {}", daemon.log());
            assert_eq!(marked_rules(&lab, family), only);
        }
        daemon.kill9();
        for family in Family::ALL {
            let old = format!(
                "rule add pref 17602 fwmark 0x100 lookup 17602 protocol {OURS}
                 rule del pref 17602 fwmark 0x100/0xffffff"
            );
            lab.router.batch(family, &old);
            assert_eq!(marked_rules(&lab, family), [(17602, "0x100".to_owned())]);
        }
        daemon.launch();
        let is_new = || {
            Family::ALL
                .iter()
                .all(|&family| marked_rules(&lab, family) == only)
        };
        assert!(wait_until(SOON, is_new), "{}", daemon.log());
    });
}

#[test]
fn by_mark() {
    in_lab(|| {
        let lab = Lab::new();
        marks(&lab, Settings::fast(&lab));
    });
}

#[test]
fn by_mark_in_main() {
    in_lab(|| {
        let lab = Lab::new();
        marks(&lab, Settings::fast(&lab).global("table", "main"));
    });
}

#[test]
fn by_mark_behind_nat() {
    in_lab(|| {
        let lab = Lab::builder().nat().build();
        marks(&lab, Settings::fast(&lab));
    });
}

/// Strict filters look up the route back to the source, and replies have no mark: a warning shows the command that cures
/// it. Restoring the marks cures it, too.
#[test]
fn by_mark_with_strict_filters() {
    in_lab(|| {
        let lab = Lab::builder().nat().rp_filter(1).build();
        lab.serve();
        lab.router.feed(&["nft", "-f", "-"], MARKING);
        let settings = Settings::fast(&lab).provider("isp2", "mark", "0x100/0xff00");
        let daemon = online_with(&lab, &settings);
        let warning = || {
            let status = daemon.status();
            let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
            let cure = |w: &serde_json::Value| w["cure"].as_str().map(str::to_owned);
            let about =
                |w: &&serde_json::Value| w["code"] == "src-valid-mark" && w["provider"] == "isp2";
            warnings.iter().find(about).and_then(cure)
        };
        let marked = other_target(Family::V4);
        assert_eq!(query(&lab.lan, marked), Outcome::Lost);
        let command = warning().expect("it is told, with its cure");
        assert_eq!(command, "sysctl -w net.ipv4.conf.eth2.rp_filter=2");
        lab.router.run(&["sh", "-c", &command]);
        assert_eq!(query(&lab.lan, marked), by(2));
        assert_eq!(warning(), None);

        lab.router.sysctls(&[
            ("ipv4/conf/eth2/rp_filter", 1),
            ("ipv4/conf/all/src_valid_mark", 1),
        ]);
        lab.router.feed(&["nft", "-f", "-"], RESTORING);
        assert_eq!(query(&lab.lan, marked), by(2));
        assert_eq!(warning(), None);
    });
}

/// Whichever provider leads and works: traffic by a device, or from its address, uses that provider.
fn chosen(lab: &Lab, daemon: &Daemon, addresses: bool, alive: [bool; 2]) {
    for family in Family::ALL {
        for (provider, alive) in lab.providers.iter().zip(alive) {
            let number = u8::try_from(provider.number).expect("there are two");
            let outcome = if alive { by(number) } else { Outcome::Lost };
            let own = provider.own(family);
            let mut queries = vec![Query::by_device(&provider.device)];
            queries.push(Query {
                source: Some(own),
                ..queries[0].clone()
            });
            if addresses {
                queries.push(Query::from(own));
            }
            for query in queries {
                let got = query.send(&lab.router, target(family));
                assert_eq!(got, outcome, "{query:?}\n{}", daemon.log());
            }
            if alive {
                let target = target(family).to_string();
                lab.router
                    .run(&["ping", "-n", "-c1", "-W1", "-I", &provider.device, &target]);
            }
        }
    }
}

/// Whichever provider leads, online or not; `addresses`: whether a source address is a choice, too.
fn out_by_choice(settings: impl Fn(&Lab) -> Settings, addresses: bool) {
    let lab = Lab::new();
    lab.serve();
    let daemon = online_with(&lab, &settings(&lab));
    chosen(&lab, &daemon, addresses, [true, true]);
    daemon.must(&["use", "isp2"]);
    chosen(&lab, &daemon, addresses, [true, true]);
    daemon.must(&["use", "auto"]);
    daemon.wait_for_all("online");
    lab.upstream_dies(1);
    daemon.wait_for("isp1", "ipv4", "offline");
    daemon.wait_for("isp1", "ipv6", "offline");
    chosen(&lab, &daemon, addresses, [false, true]);
    lab.upstream_dies(2);
    daemon.wait_for_all("offline");
    // They are about to return, which a user may notice first.
    daemon.configure(&settings(&lab).global("up", "63").global("window", "64"));
    daemon.must(&["reload"]);
    lab.upstream_returns(1);
    lab.upstream_returns(2);
    chosen(&lab, &daemon, addresses, [true, true]);
    let states = daemon.path_states();
    assert!(
        states.iter().all(|(_, _, state)| state == "offline"),
        "{states:?}"
    );
}

fn with(lab: &Lab, table: &str, rt_table: &str) -> Settings {
    Settings::fast(lab)
        .global("table", table)
        .provider("isp1", "rt_table", rt_table)
        .provider("isp2", "rt_table", rt_table)
}

#[test]
fn by_device_or_address() {
    in_lab(|| out_by_choice(|lab| with(lab, "176", "auto"), true));
}

#[test]
fn by_device_or_address_in_main() {
    in_lab(|| out_by_choice(|lab| with(lab, "main", "auto"), true));
}

/// Without a policy table, a source address does not choose a provider: the leader is used.
#[test]
fn by_device_without_policy_tables() {
    in_lab(|| out_by_choice(|lab| with(lab, "176", "none"), false));
}

#[test]
fn by_device_in_main_without_policy_tables() {
    in_lab(|| out_by_choice(|lab| with(lab, "main", "none"), false));
}

/// Even while all other traffic is refused.
#[test]
fn by_device_while_unreachable() {
    in_lab(|| {
        for (table, rt_table) in [("176", "auto"), ("176", "none"), ("main", "none")] {
            out_by_choice(
                |lab| with(lab, table, rt_table).global("last_resort", "unreachable"),
                rt_table == "auto",
            );
        }
    });
}

/// A foreign default route of metric 0 in `main` overrides ours; a socket bound to a device still uses that device.
#[test]
fn by_device_against_a_foreign_default() {
    in_lab(|| {
        for rt_table in ["auto", "none"] {
            let lab = Lab::new();
            lab.serve();
            for family in Family::ALL {
                lab.learn_default(2, family, "static", 1);
            }
            let daemon = online_with(&lab, &with(&lab, "main", rt_table));
            chosen(&lab, &daemon, rt_table == "auto", [true, true]);
            for family in Family::ALL {
                let best = lab.router.defaults(family, 254)[0].clone();
                assert_eq!((best.metric, best.protocol), (1, 4), "it is not ours");
                assert_eq!(query(&lab.lan, target(family)), by(2));
            }
        }
    });
}
