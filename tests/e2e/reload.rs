//! What a reload keeps, and what it changes; with traffic under way.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::inspect::{Usage, counter, lookups, no_hole, ours, path, provider};
use super::lab::rights::in_lab;
use super::lab::topology::{TARGETS_V4, target};
use super::lab::{Daemon, Family, Flow, Lab, Settings, wait_until};
use super::{OURS, SOON, TABLE, leads, leads_table, online, online_with};

fn reload(daemon: &Daemon, settings: &Settings) {
    daemon.configure(settings);
    daemon.must(&["reload"]);
}

/// Sent, received, rounds remembered, and since when.
fn knowledge(status: &Value, id: &str, family: &str) -> [u64; 4] {
    let path = path(status, id, family);
    let number = |value: &Value| value.as_u64().expect("it is a number");
    let check = &path["checks"][0];
    let rounds = number(&path["rounds"]["good"]) + number(&path["rounds"]["failed"]);
    [
        number(&check["sent"]),
        number(&check["received"]),
        rounds,
        number(&path["since_s"]),
    ]
}

/// One provider has another interval: the other keeps all it knows, and nothing moves.
#[test]
fn one_changes_and_the_others_keep_everything() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        std::thread::sleep(Duration::from_millis(1200));
        let before = daemon.status();
        let swaps = counter(&daemon, "swaps");
        reload(
            &daemon,
            &Settings::fast(&lab).provider("isp2", "interval", "50ms"),
        );
        let after = daemon.status();
        for family in ["ipv4", "ipv6"] {
            let (old, new) = (
                knowledge(&before, "isp1", family),
                knowledge(&after, "isp1", family),
            );
            assert!(new.iter().zip(old).all(|(new, old)| *new >= old));
            assert!(old[2] >= 10 && new[3] >= 1, "{old:?} {new:?}");
            assert_eq!(path(&after, "isp2", family)["state"], "online");
            assert!(knowledge(&after, "isp2", family)[2] < 10, "judged anew");
        }
        daemon.wait_for_all("online");
        assert_eq!(counter(&daemon, "swaps"), swaps);
    });
}

#[test]
fn a_provider_comes_and_goes() {
    in_lab(|| {
        let lab = Lab::builder().providers(3).build();
        let three = Settings::fast(&lab);
        let two = three.clone().provider("isp3", "enabled", "0");
        let daemon = online_with(&lab, &two);
        let (with_two, lookups) = (ours(&lab), lookups(&lab));
        reload(&daemon, &three);
        daemon.wait_for_all("online");
        let complete = || lab.router.defaults(Family::V6, TABLE).len() == 3;
        assert!(wait_until(SOON, complete), "{}", daemon.log());
        assert!(leads(&lab, 1));
        assert!(ours(&lab) > with_two);

        // The leader goes.
        reload(&daemon, &three.clone().provider("isp1", "enabled", "0"));
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert_eq!(ours(&lab), with_two, "{}", daemon.log());
        let status = daemon.status();
        assert_eq!(provider(&status, "isp1")["state"], "disabled");
        for family in Family::ALL {
            let device = lab.provider(1).device.clone();
            let rules = lab.router.rules(family);
            assert!(rules.iter().all(|r| r.oif.as_ref() != Some(&device)));
        }
        reload(&daemon, &three);
        assert!(leads(&lab, 1), "{}", daemon.log());
        daemon.wait_for_all("online");
        no_hole(lookups, &daemon);
    });
}

/// A provider of another name on the same device is another provider.
#[test]
fn a_provider_is_renamed() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let (before, lookups) = (ours(&lab), lookups(&lab));
        let text = fs::read_to_string(daemon.file("failover.conf")).unwrap();
        daemon.configure_raw(&text.replace("'isp1'", "'fibre'"));
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
        let status = daemon.status();
        assert!(provider(&status, "isp1").is_null());
        assert_eq!(status["active"]["ipv4"], "fibre");
        assert_eq!(ours(&lab), before);
        // Two change their names with one another.
        let crossed = text
            .replace("'isp1'", "'isp0'")
            .replace("'isp2'", "'isp1'")
            .replace("'isp0'", "'isp2'");
        daemon.configure_raw(&crossed);
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        assert_eq!(daemon.status()["active"]["ipv4"], "isp2");
        assert!(leads(&lab, 1), "{}", daemon.log());
        assert_eq!(ours(&lab), before);
        no_hole(lookups, &daemon);
    });
}

/// Two providers change their devices with one another.
#[test]
fn devices_are_crossed() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let (before, lookups) = (ours(&lab), lookups(&lab));
        let text = fs::read_to_string(daemon.file("failover.conf")).unwrap();
        let crossed = text
            .replace("'isp1'", "'isp0'")
            .replace("'isp2'", "'isp1'")
            .replace("'isp0'", "'isp2'");
        // The order of the sections is the rank: isp2 is first now, and on eth1.
        daemon.configure_raw(&format!(
            "{crossed}\nconfig provider 'isp1'\n\toption rank '1'\nconfig provider 'isp2'\n\toption rank '2'\n"
        ));
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 2), "isp1 leads, on eth2: {}", daemon.log());
        assert_eq!(daemon.status()["active"]["ipv4"], "isp1");
        assert_eq!(ours(&lab), before);
        no_hole(lookups, &daemon);
    });
}

#[test]
fn the_order_changes() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let flow = Flow::start(&lab, target(Family::V4));
        assert!(flow.goes_by(1, SOON));
        let lookups = lookups(&lab);
        let turned = Settings::fast(&lab)
            .provider("isp1", "rank", "2")
            .provider("isp2", "rank", "1");
        for (settings, number) in [(&turned, 2), (&Settings::fast(&lab), 1)] {
            reload(&daemon, settings);
            assert!(leads(&lab, number.into()), "{}", daemon.log());
            assert!(flow.goes_by(number, SOON));
            assert!(daemon.path_states().iter().all(|(_, _, s)| s == "online"));
        }
        no_hole(lookups, &daemon);
        assert!(flow.lost(Duration::ZERO) <= 4);
    });
}

/// A second check in IPv4; none at all in IPv6, which is not managed any more then.
#[test]
fn checks_come_and_go() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let lookups = lookups(&lab);
        let second = TARGETS_V4[1].to_string();
        let more = Settings::fast(&lab)
            .with("check", "second", "type", "ping")
            .with("check", "second", "target", &second);
        reload(&daemon, &more);
        daemon.wait_for_all("online");
        let checks = |id| path(&daemon.status(), id, "ipv4")["checks"].clone();
        let answered = || checks("isp1")[1]["received"].as_u64() > Some(0);
        assert!(wait_until(SOON, answered), "{}", checks("isp1"));
        assert_eq!(checks("isp1").as_array().map(Vec::len), Some(2));
        assert!(leads(&lab, 1));
        no_hole(lookups, &daemon);

        let text = Settings::fast(&lab).to_string();
        let (only_v4, _) = text.split_once("config check 'google6'").unwrap();
        let here = |what: &str| {
            let whole = fs::read_to_string(daemon.file("failover.conf")).unwrap();
            let globals = |option: &str| {
                let line = whole.lines().find(|l| l.contains(option)).unwrap();
                format!("{line}\n")
            };
            format!(
                "{what}\nconfig globals 'globals'\n{}{}",
                globals("state_dir"),
                globals("sticky_file")
            )
        };
        daemon.configure_raw(&here(only_v4));
        daemon.must(&["reload"]);
        let gone = || {
            let rules = lab.router.rules(Family::V6);
            lab.router.defaults(Family::V6, TABLE).is_empty()
                && rules.iter().all(|rule| rule.protocol != OURS)
        };
        assert!(wait_until(SOON, gone), "{}", daemon.log());
        assert!(path(&daemon.status(), "isp1", "ipv6").is_null());
        assert!(daemon.status()["active"]["ipv6"].is_null());
        assert!(leads_table(&lab, 1, TABLE) || !lab.router.defaults(Family::V4, TABLE).is_empty());
        reload(&daemon, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}

#[test]
fn the_table_moves_to_main_and_back() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let lookups = lookups(&lab);
        let before = ours(&lab);
        let (own, main) = (
            Settings::fast(&lab),
            Settings::fast(&lab).global("table", "main"),
        );
        for _ in 0..5 {
            reload(&daemon, &main);
            assert!(leads_table(&lab, 1, 254), "{}", daemon.log());
            assert!(lab.router.defaults(Family::V4, TABLE).is_empty());
            assert!(lab.router.defaults(Family::V6, TABLE).is_empty());
            reload(&daemon, &own);
            assert!(leads(&lab, 1), "{}", daemon.log());
            assert!(lab.router.defaults(Family::V4, 254).is_empty());
            assert!(lab.router.defaults(Family::V6, 254).is_empty());
        }
        assert_eq!(ours(&lab), before);
        no_hole(lookups, &daemon);
        assert!(daemon.path_states().iter().all(|(_, _, s)| s == "online"));
    });
}

#[test]
fn the_rules_move() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let lookups = lookups(&lab);
        let before = ours(&lab);
        for pref in [20_000, 17_650, 9_000, 17_600] {
            reload(
                &daemon,
                &Settings::fast(&lab).global("rule_pref", &pref.to_string()),
            );
            for family in Family::ALL {
                let mut rules = lab.router.rules(family);
                rules.retain(|rule| rule.protocol == OURS);
                let within = |of| (pref..pref + 1400).contains(&of) || (32765..33903).contains(&of);
                assert!(rules.iter().all(|rule| within(rule.pref)), "{rules:?}");
            }
            assert_eq!(ours(&lab), before);
        }
        no_hole(lookups, &daemon);
    });
}

#[test]
fn metrics_and_policy_tables_change() {
    in_lab(|| {
        let lab = Lab::new();
        let base = Settings::fast(&lab);
        let daemon = online_with(&lab, &base);
        let (before, lookups) = (ours(&lab), lookups(&lab));
        let tables = |one, two| {
            let settings = base.clone().provider("isp1", "rt_table", one);
            settings.provider("isp2", "rt_table", two)
        };
        let without_table = base.clone().global("connections", "off");
        let without_table = without_table.global("answers", "0");
        let without_table = without_table.global("ipv6_foreign", "off");
        for (settings, first) in [
            (base.clone().global("start_metric", "300"), 300),
            (base.clone().global("start_metric", "50"), 50),
            (base.clone().global("start_metric", "51"), 51),
            (base.clone().global("start_metric", "50"), 50),
            (tables("none", "none"), 100),
            (tables("777", "none"), 100),
            (tables("778", "777"), 100),
            (tables("777", "778"), 100),
            (base.clone().provider("isp1", "mark", "0x100/0xff00"), 100),
            (base.clone().provider("isp1", "mark", "0x100"), 100),
            (base.clone().global("mark_mask", "0xff"), 100),
            (base.clone().provider("isp1", "connections", "1m"), 100),
            (base.clone(), 100),
            // The table that the duration asked for has switched connection tracking on: so it stays, unless nothing needs it.
            (without_table, 100),
        ] {
            reload(&daemon, &settings);
            for family in Family::ALL {
                let defaults = lab.router.defaults(family, TABLE);
                let metrics: Vec<u32> = defaults.iter().map(|r| r.metric).collect();
                assert_eq!(metrics, [first, first + 1], "{}", daemon.log());
            }
            assert!(leads(&lab, 1));
            assert!(daemon.path_states().iter().all(|(_, _, s)| s == "online"));
        }
        assert_eq!(ours(&lab), before);
        for family in Family::ALL {
            assert!(lab.router.routes(family, 777).is_empty());
            assert!(lab.router.routes(family, 778).is_empty());
        }
        no_hole(lookups, &daemon);
    });
}

#[test]
fn another_sticky_file() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let other = daemon.file("other.provider");
        fs::write(&other, "isp2").unwrap();
        let text = fs::read_to_string(daemon.file("failover.conf")).unwrap();
        daemon.configure_raw(&text.replace("sticky.provider", "other.provider"));
        daemon.must(&["reload"]);
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert_eq!(daemon.status()["pinned"], "isp2");
        // The old one has no effect now.
        fs::write(daemon.sticky_file(), "isp1").unwrap();
        daemon.must(&["status"]);
        assert_eq!(daemon.status()["pinned"], "isp2");
        fs::write(&other, "").unwrap();
        assert!(leads(&lab, 1), "{}", daemon.log());
        daemon.must(&["use", "isp2"]);
        assert_eq!(fs::read_to_string(&other).unwrap().trim(), "isp2");
        // A file in a directory that does not exist yet.
        daemon.configure_raw(&text.replace("sticky.provider", "later/pin"));
        daemon.must(&["reload"]);
        assert!(leads(&lab, 1), "{}", daemon.log());
        fs::create_dir(daemon.file("later")).unwrap();
        fs::write(daemon.file("later/pin"), "isp2").unwrap();
        assert!(leads(&lab, 2), "{}", daemon.log());
    });
}

/// As at the start: it says so, and exits 0, cleanly.
#[test]
fn switched_off() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        daemon.configure(&Settings::fast(&lab).global("enabled", "0"));
        daemon.must(&["reload"]);
        assert_eq!(daemon.wait().code(), Some(0));
        assert!(daemon.log().contains("enabled"), "{}", daemon.log());
        assert_eq!(ours(&lab), 0);
        let output = daemon.command(&["run", "--foreground"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stderr).contains("enabled"));
    });
}

/// What the new file says of the routes holds, whatever the old one text.
#[test]
fn switched_off_as_the_new_file_says() {
    in_lab(|| {
        let lab = Lab::new();
        let fast = Settings::fast(&lab);
        for (old, new) in [("restore", "keep"), ("keep", "restore")] {
            let mut daemon = online_with(&lab, &fast.clone().global("on_stop", old));
            let before = ours(&lab);
            let off = fast.clone().global("on_stop", new).global("enabled", "0");
            daemon.configure(&off);
            daemon.must(&["reload"]);
            assert_eq!(daemon.wait().code(), Some(0));
            let left = if new == "keep" { before } else { 0 };
            assert_eq!(ours(&lab), left, "{old}, then {new}");
        }
    });
}

/// Nothing is lost, and nothing leaks.
#[test]
fn a_hundred_reloads_under_traffic() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let flows = Family::ALL.map(|family| Flow::start(&lab, target(family)));
        assert!(flows.iter().all(|flow| flow.goes_by(1, SOON)));
        let lookups = lookups(&lab);
        let (same, other) = (
            Settings::fast(&lab),
            Settings::fast(&lab).provider("isp2", "interval", "50ms"),
        );
        let mut settled = None;
        for round in 0..100 {
            daemon.configure([&same, &other][round % 2]);
            if round % 5 == 4 {
                daemon.signal(Signal::SIGHUP);
                // It must have read the file before the next one is written.
                let done = || counter(&daemon, "reloads") == round as u64 + 1;
                assert!(wait_until(SOON, done), "{}", daemon.log());
            } else {
                daemon.must(&["reload"]);
            }
            if round == 20 {
                settled = Some(Usage::of(&daemon));
            }
        }
        assert_eq!(counter(&daemon, "reloads"), 100);
        let (before, after) = (settled.unwrap(), Usage::of(&daemon));
        assert_eq!(after.descriptors, before.descriptors);
        assert!(
            after.memory_kb <= before.memory_kb + 32,
            "{before:?} {after:?}"
        );
        assert!(flows.iter().all(|flow| flow.lost(Duration::ZERO) == 0));
        no_hole(lookups, &daemon);
        daemon.wait_for_all("online");
    });
}
