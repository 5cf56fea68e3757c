//! Rules of other programs with ours: VPNs, policies, and programs that move the kernel's own rules. The expected value is
//! the kernel's answer.

use std::fmt::Write;

use super::inspect::{counter, lookups, no_hole, ours};
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::uplink::Kind;
use super::lab::{Daemon, Family, Lab, Lookups, Settings, wait_until};
use super::{OURS, SOON, leads, online, online_with};

/// A VPN's device with an address, and a default route by it in tables 100 and 51820.
fn vpn(lab: &Lab) {
    lab.router.ip("link add wg0 type veth peer name wg0peer
         link set wg0peer up
         link set wg0 up
         addr add 203.0.113.129/30 dev wg0
         addr add 2001:db8:ff::1/64 dev wg0 nodad");
    for family in Family::ALL {
        let lines = "route add default dev wg0 table 100\nroute add default dev wg0 table 51820";
        lab.router.batch(family, lines);
    }
}

fn own_of_vpn(family: Family) -> &'static str {
    match family {
        Family::V4 => "203.0.113.129",
        Family::V6 => "2001:db8:ff::1",
    }
}

/// Waits until the kernel sends packets with these selectors (as for `ip route get`) by a device, in both families.
#[track_caller]
fn goes_by(lab: &Lab, daemon: &Daemon, words: &[&str], device: &str) {
    for family in Family::ALL {
        let target = target(family).to_string();
        let words: Vec<&str> = words
            .iter()
            .map(|word| {
                if *word == "OWN" {
                    own_of_vpn(family)
                } else {
                    word
                }
            })
            .collect();
        let way = || lab.router.way(&target, &words);
        assert!(
            wait_until(SOON, || way().as_deref() == Some(device)),
            "{family} {words:?}: {:?}, not {device}: {:#?}\n{}",
            way(),
            lab.router.rules(family),
            daemon.log()
        );
    }
}

/// Rules as other programs add them: their selectors, and how to delete them.
const PROGRAMS: [(&str, &str, &[&str]); 5] = [
    (
        "rule add not fwmark 51820 table 51820\nrule add table main suppress_prefixlength 0",
        "rule del not fwmark 51820 table 51820\nrule del table main suppress_prefixlength 0",
        &[],
    ),
    (
        "rule add pref 32764 table main suppress_prefixlength 0\nrule add pref 32765 not fwmark 51820 table 51820",
        "rule del pref 32764\nrule del pref 32765 not fwmark 51820 table 51820",
        &[],
    ),
    (
        "rule add pref 30000 fwmark 0x10000/0xff0000 lookup 100",
        "rule del pref 30000",
        &["mark", "0x10000"],
    ),
    (
        "rule add from OWN lookup 100",
        "rule del from OWN lookup 100",
        &["from", "OWN"],
    ),
    (
        "rule add pref 32765 from OWN lookup 100",
        "rule del pref 32765 from OWN lookup 100",
        &["from", "OWN"],
    ),
];

fn each_family(lab: &Lab, lines: &str) {
    for family in Family::ALL {
        lab.router
            .batch(family, &lines.replace("OWN", own_of_vpn(family)));
    }
}

/// Rules that exist before the daemon starts, or come later, also after a restart and a SIGKILL: they prevail until they are
/// deleted.
#[test]
fn a_program_that_adds_rules_prevails_whoever_was_first() {
    in_lab(|| {
        for (add, del, words) in PROGRAMS {
            let lab = Lab::new();
            vpn(&lab);
            each_family(&lab, add);
            // Our rules for specific routes precede theirs.
            let mut daemon = online_with(&lab, &Settings::fast(&lab));
            goes_by(&lab, &daemon, words, "wg0");
            goes_by(&lab, &daemon, &["oif", "eth2"], "eth2");
            goes_by(&lab, &daemon, &["mark", "51820"], "eth1");
            each_family(&lab, del);
            goes_by(&lab, &daemon, &[], "eth1");

            each_family(&lab, add);
            goes_by(&lab, &daemon, words, "wg0");
            daemon.must(&["use", "isp2"]);
            goes_by(&lab, &daemon, words, "wg0");
            goes_by(&lab, &daemon, &["mark", "51820"], "eth2");
            daemon.must(&["use", "auto"]);
            daemon.must(&["reload"]);
            goes_by(&lab, &daemon, words, "wg0");
            daemon.kill9();
            goes_by(&lab, &daemon, words, "wg0");
            daemon.launch();
            daemon.wait_for_all("online");
            goes_by(&lab, &daemon, words, "wg0");
            let whole = ours(&lab);
            each_family(&lab, del);
            goes_by(&lab, &daemon, words, "eth1");
            assert_eq!(ours(&lab), whole, "no rule is there twice, or missing");
            assert!(daemon.terminate().success());
            assert_eq!(ours(&lab), 0);
            for family in Family::ALL {
                let rules = lab.router.rules(family);
                let protocol = |protocol| rules.iter().filter(|r| r.protocol == protocol).count();
                assert_eq!(protocol(OURS), 0, "{rules:?}");
            }
        }
    });
}

/// As `wg-quick down` deletes its rules: each that reads so, however often it comes back.
const WG_QUICK_DOWN: &str = r#"
    while ip -FAMILY rule show | grep -q 'lookup 51820'; do ip -FAMILY rule delete table 51820; done
    while ip -FAMILY rule show | grep -q 'from all lookup main suppress_prefixlength 0'; do
        ip -FAMILY rule delete table main suppress_prefixlength 0
    done"#;

/// The providers' order is reached all the time: without a default in `main`, a look-up would fail otherwise.
#[test]
fn wg_quick_down_leaves_the_order_of_the_providers_alone() {
    in_lab(|| {
        let lab = Lab::new();
        vpn(&lab);
        let mut daemon = online_with(&lab, &Settings::fast(&lab));
        let (whole, lookups) = (ours(&lab), lookups(&lab));
        let down = || {
            for family in ["4", "6"] {
                let script = WG_QUICK_DOWN.replace("FAMILY", family);
                lab.router.run(&["sh", "-c", &script]);
            }
        };
        // It was started after the daemon: none of ours is taken.
        let repairs = counter(&daemon, "repairs");
        for _ in 0..3 {
            each_family(&lab, PROGRAMS[0].0);
            goes_by(&lab, &daemon, &[], "wg0");
            down();
            goes_by(&lab, &daemon, &[], "eth1");
        }
        assert_eq!(counter(&daemon, "repairs"), repairs, "{}", daemon.log());
        // It was started before, or with a preference of its own.
        each_family(&lab, PROGRAMS[1].0);
        goes_by(&lab, &daemon, &[], "wg0");
        down();
        goes_by(&lab, &daemon, &[], "eth1");
        no_hole(lookups, &daemon);
        assert!(wait_until(SOON, || ours(&lab) == whole));
        // The rules of a former version, which read so, are as good, and go with a stop.
        daemon.kill9();
        for family in Family::ALL {
            for pref in [17600, 32800] {
                let plain = format!(
                    "rule del pref {pref} protocol 176\n\
                     rule add pref {pref} lookup main suppress_prefixlength 0 protocol 176"
                );
                lab.router.batch(family, &plain);
            }
        }
        daemon.launch();
        daemon.wait_for_all("online");
        assert_eq!(ours(&lab), whole);
        assert!(daemon.terminate().success());
        assert_eq!(ours(&lab), 0);
    });
}

/// With `catch_all`, the providers' order precedes another program's rules.
#[test]
fn a_lower_catch_all_leads_past_the_rules_of_others() {
    in_lab(|| {
        let lab = Lab::new();
        vpn(&lab);
        each_family(&lab, "rule add pref 30000 lookup 100");
        let settings = Settings::fast(&lab);
        let daemon = online_with(&lab, &settings);
        goes_by(&lab, &daemon, &[], "wg0");
        let lookups = lookups(&lab);
        daemon.configure(&settings.clone().global("catch_all", "29999"));
        daemon.must(&["reload"]);
        goes_by(&lab, &daemon, &[], "eth1");
        // A warning says that their rule has no effect any more.
        assert!(wait_until(SOON, || behind(&daemon) == [30000, 30000]));
        let said = daemon.must(&["status"]);
        assert!(said.contains("preference below 29999"), "{said}");
        daemon.configure(&settings);
        daemon.must(&["reload"]);
        goes_by(&lab, &daemon, &[], "wg0");
        assert!(wait_until(SOON, || behind(&daemon).is_empty()));
        no_hole(lookups, &daemon);
    });
}

/// As Tailscale adds them: its own packets follow `main`, past all that is its own.
const TAILSCALE: &str = "rule add pref 5210 fwmark 0x80000/0xff0000 lookup main
     rule add pref 5250 fwmark 0x80000/0xff0000 unreachable
     rule add pref 5270 lookup 100";

/// The documented cure for packets that another program's rules lead past ours: a `goto` to the providers' order. It leads past
/// a manual default, too, and is skipped without the daemon.
#[test]
fn a_foreign_rule_may_lead_to_the_order_of_the_providers() {
    in_lab(|| {
        let lab = Lab::new();
        vpn(&lab);
        each_family(&lab, TAILSCALE);
        let mut daemon = online_with(&lab, &Settings::fast(&lab));
        let own = ["mark", "0x80000"];
        goes_by(&lab, &daemon, &[], "wg0");
        for family in Family::ALL {
            assert_eq!(lab.router.way(&target(family).to_string(), &own), None);
        }
        each_family(
            &lab,
            "rule add pref 5209 fwmark 0x80000/0xff0000 goto 32800",
        );
        goes_by(&lab, &daemon, &own, "eth1");
        daemon.must(&["use", "isp2"]);
        goes_by(&lab, &daemon, &own, "eth2");
        daemon.must(&["use", "auto"]);
        each_family(&lab, "rule del pref 5270");
        each_family(&lab, "route add default dev wg0 metric 50");
        goes_by(&lab, &daemon, &[], "wg0");
        goes_by(&lab, &daemon, &own, "eth1");
        assert!(daemon.terminate().success());
        for family in Family::ALL {
            let way = lab.router.way(&target(family).to_string(), &own);
            assert_eq!(way.as_deref(), Some("wg0"), "as `main` has it");
        }
        daemon.launch();
        daemon.wait_for_all("online");
        goes_by(&lab, &daemon, &own, "eth1");
    });
}

/// The preferences in the warnings `rules-behind`.
fn behind(daemon: &Daemon) -> Vec<u32> {
    let status = daemon.status();
    let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
    let behind = warnings.iter().filter(|w| w["code"] == "rules-behind");
    let number = |text: &str| {
        let rest = text.split_once("preference ").unwrap().1;
        rest.split(',').next().unwrap().parse().unwrap()
    };
    behind
        .map(|warning| number(warning["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn rules_that_are_jumped_over_are_told_of_and_those_beyond_are_reached() {
    in_lab(|| {
        let lab = Lab::new();
        vpn(&lab);
        let daemon = online(&lab);
        each_family(
            &lab,
            "rule add pref 32766 lookup local\nrule add pref 32780 lookup 100\nrule add pref 90000 lookup 100",
        );
        assert!(wait_until(SOON, || behind(&daemon) == [32780, 32780]));
        goes_by(&lab, &daemon, &[], "eth1");
        // However many there are, they take one warning a family.
        let rule = |n: u32| format!("rule add pref {n} lookup 100");
        let lines: Vec<String> = (32781..32800).map(rule).collect();
        each_family(&lab, &lines.join("\n"));
        let of_all = "20 ipv4 rules that are not ours have preference 32780, 32781, 32782 …, behind our 32765";
        let told = || daemon.must(&["status"]).replace("\n", " ");
        let squeezed = || told().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            wait_until(SOON, || squeezed().contains(of_all)),
            "{}",
            told()
        );
        assert_eq!(behind(&daemon), [32780, 32780]);
        each_family(&lab, &lines.join("\n").replace("add", "del"));
        each_family(&lab, "rule del pref 32780");
        assert!(wait_until(SOON, || behind(&daemon).is_empty()));
        goes_by(&lab, &daemon, &[], "eth1");
        // No provider can be used: the last rules are used, as without the daemon.
        lab.remove_device(1);
        lab.remove_device(2);
        goes_by(&lab, &daemon, &[], "wg0");
        lab.insert_device(1);
        goes_by(&lab, &daemon, &[], "eth1");
    });
}

/// The rules that a killed daemon of a former version has left, all before `main`.
fn former_layout(lab: &Lab) {
    for family in Family::ALL {
        let mut lines = String::from("rule add pref 18500 lookup 176 protocol 176\n");
        for number in [1, 2] {
            let (own, table) = (lab.provider(number).own(family), 17600 + number);
            let device = &lab.provider(number).device;
            writeln!(
                lines,
                "rule add pref {} from {own} lookup {table} protocol 176\n\
                 rule add pref {} oif {device} lookup {table} protocol 176",
                17699 + number,
                17799 + number
            )
            .unwrap();
        }
        for rule in lab.router.rules(family) {
            if rule.protocol == OURS && rule.pref > 17700 {
                writeln!(lines, "rule del pref {} protocol 176", rule.pref).unwrap();
            }
        }
        lab.router.batch(family, &lines);
    }
}

/// Those of the version that had one rule for each path's own address, also for forwarded packets.
fn rules_for_own_addresses(lab: &Lab) {
    for family in Family::ALL {
        let mut lines = String::new();
        for number in [1, 2] {
            let (own, table) = (lab.provider(number).own(family), 17600 + number);
            let pref = 17899 + number;
            writeln!(
                lines,
                "rule add pref {pref} from {own} lookup {table} protocol 176"
            )
            .unwrap();
        }
        lab.router.batch(
            family,
            &(lines + "rule del pref 17900\nrule del pref 17916\n"),
        );
    }
}

/// Without a rule of ours, packets from the providers' addresses are refused.
#[test]
fn an_upgrade_from_one_rule_for_an_address_has_no_hole() {
    in_lab(|| {
        // The first has an address without a network: the old rule and the new one differ in `iif lo` only.
        let lab = Lab::builder().kind(1, Kind::PointToPoint).build();
        let mut daemon = online(&lab);
        let rules = || Family::ALL.map(|family| lab.router.rules(family));
        let mut all = Vec::new();
        for (provider, family) in lab
            .providers
            .iter()
            .flat_map(|p| Family::ALL.map(|f| (p, f)))
        {
            let (own, target) = (provider.own(family), target(family));
            let refuse = format!("rule add pref 20000 from {own} unreachable");
            lab.router.batch(family, &refuse);
            all.push(Lookups::from(&lab.router, own, target));
        }
        let before = rules();
        for _ in 0..10 {
            daemon.kill9();
            rules_for_own_addresses(&lab);
            daemon.launch();
            assert!(wait_until(SOON, || rules() == before), "{:?}", rules());
        }
        for hammer in all {
            let found = hammer.stop();
            assert!(found.lookups > 1000 && found.failures == 0, "{found:?}");
        }
        assert!(!daemon.whole_log().contains("put back"), "{}", daemon.log());
    });
}

#[test]
fn an_upgrade_under_traffic_has_no_hole() {
    in_lab(|| {
        let lab = Lab::new();
        vpn(&lab);
        let mut daemon = online(&lab);
        let prefs = || {
            Family::ALL.map(|family| {
                let rules = lab.router.rules(family);
                rules.iter().map(|rule| rule.pref).collect::<Vec<_>>()
            })
        };
        let before = prefs();
        let lookups = lookups(&lab);
        for _ in 0..10 {
            daemon.kill9();
            former_layout(&lab);
            assert_eq!(prefs()[1].len(), 8, "{:?}", prefs());
            daemon.launch();
            assert!(wait_until(SOON, || prefs() == before), "{:?}", prefs());
            assert!(leads(&lab, 1));
        }
        no_hole(lookups, &daemon);
        // Traffic follows the rules of other programs from the start.
        daemon.kill9();
        former_layout(&lab);
        each_family(&lab, "rule add pref 30000 lookup 100");
        goes_by(&lab, &daemon, &[], "eth1");
        daemon.launch();
        goes_by(&lab, &daemon, &[], "wg0");
    });
}

/// Packets to the router itself are delivered locally.
#[track_caller]
fn keeps_its_own(lab: &Lab, daemon: &Daemon) {
    for family in Family::ALL {
        let [one, two] = [1, 2].map(|number| lab.provider(number).own(family).to_string());
        let near = if family == Family::V4 {
            "127.0.0.1"
        } else {
            "::1"
        };
        let so = || {
            let way = |to: &str, words: &[&str]| lab.router.way(to, words).as_deref() == Some("lo");
            way(&two, &["from", &one]) && way(near, &[]) && way(near, &["from", &one])
        };
        let rules = lab.router.rules(family);
        assert!(
            wait_until(SOON, so),
            "{family} {rules:#?}\n{}",
            daemon.log()
        );
    }
}

/// VRF set-ups move `lookup local` to the end.
#[test]
fn own_addresses_stay_where_local_is_moved() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let before = ours(&lab);
        each_family(&lab, "rule add pref 32765 lookup local\nrule del pref 0");
        keeps_its_own(&lab, &daemon);
        let one_more = || ours(&lab) == before + 2;
        assert!(wait_until(SOON, one_more), "{}", daemon.log());
        lab.upstream_dies(1);
        assert!(leads(&lab, 2));
        keeps_its_own(&lab, &daemon);
        lab.upstream_returns(1);
        assert!(leads(&lab, 1));
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        keeps_its_own(&lab, &daemon);
        assert!(wait_until(SOON, one_more), "{}", daemon.log());
        // The same from the start.
        assert!(daemon.terminate().success());
        assert_eq!(ours(&lab), 0);
        let daemon = online(&lab);
        keeps_its_own(&lab, &daemon);
        each_family(
            &lab,
            "rule add pref 0 lookup local\nrule del pref 32765 lookup local",
        );
        assert!(
            wait_until(SOON, || ours(&lab) == before),
            "{}",
            daemon.log()
        );
        keeps_its_own(&lab, &daemon);
    });
}
