//! `failover routes`: what the kernel has, and what it is for, with a daemon and without.

use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings};
use super::{leads, online_with};

/// The lines, which fit a terminal, without the blanks that align them.
fn shown(daemon: &Daemon<'_>) -> Vec<String> {
    let told = daemon.must(&["routes"]);
    for line in told.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    told.lines().map(words).collect()
}

/// The preferences that are shown for a family.
fn prefs(lines: &[String], family: Family) -> Vec<u32> {
    let title = format!("{}:", family.name());
    let of_family = lines.iter().skip_while(|line| !line.starts_with(&title));
    let rules = of_family
        .skip(1)
        .take_while(|line| !line.starts_with("table"));
    let first = |line: &String| line.split(' ').next()?.parse().ok();
    rules.filter_map(first).collect()
}

#[test]
fn what_the_kernel_has_is_shown_with_its_purpose() {
    in_lab(|| {
        let lab = Lab::new();
        lab.router
            .ip("rule add to 203.0.113.200 lookup 100 pref 20000");
        let settings = Settings::fast(&lab).provider("isp2", "mark", "0x100");
        let mut daemon = online_with(&lab, &settings);
        assert!(leads(&lab, 1));
        let lines = shown(&daemon);
        for family in Family::ALL {
            let known: Vec<u32> = lab.router.rules(family).iter().map(|r| r.pref).collect();
            assert_eq!(prefs(&lines, family), known, "{lines:#?}");
        }
        for expected in [
            "17602 fwmark 0x100/0xffffff lookup 17602 traffic with the mark of isp2",
            "17900 iif lo from 192.0.2.0/26 lookup 17601 what is sent from there: by isp1",
            "18931 oif eth2 lookup 17602 sockets bound to isp2's device",
            "20000 some packets: lookup 100 not ours",
            "32765 goto 32800 all else: the providers' order",
            "32766 lookup main the kernel's, jumped over",
            "33900 lookup 176 the providers, best first",
            "table 17602: isp2",
            "default via 192.0.2.1 dev eth1 src 192.0.2.2 metric 100 isp1 leads",
            "default via 2001:db8:2::1 dev eth2 metric 101 isp2",
            "now: the router reaches 203.0.113.8 by isp1 (eth1, table 176)",
        ] {
            assert!(
                lines.iter().any(|l| l == expected),
                "{expected}: {lines:#?}"
            );
        }

        daemon.kill9();
        assert_eq!(shown(&daemon), lines, "what a killed one has left");
        lab.router.ip("rule del pref 32800");
        let lost = "32765 goto 32800 (unresolved) all else: the providers' order";
        let lines = shown(&daemon);
        assert!(lines.iter().any(|line| line == lost), "{lines:#?}");

        // A reload changes the order of the providers, not their rules: also who may not ask which those are is told right.
        lab.router.ip("rule add l3mdev pref 20001");
        daemon.launch();
        daemon.wait_for_all("online");
        let file = std::fs::read_to_string(daemon.file("failover.conf")).unwrap();
        let sections: Vec<&str> = file.split("config ").collect();
        let place = |id| sections.iter().position(|section| section.starts_with(id));
        let mut turned = sections.clone();
        turned.swap(
            place("provider 'isp1'").unwrap(),
            place("provider 'isp2'").unwrap(),
        );
        daemon.configure_raw(&turned.join("config "));
        daemon.must(&["reload"]);
        assert!(leads(&lab, 2), "{}", daemon.log());
        daemon.kill9();
        std::fs::remove_file(daemon.file("state/state")).unwrap();
        let lines = shown(&daemon);
        for expected in [
            "17602 fwmark 0x100/0xffffff lookup 17602 traffic with the mark of isp2",
            "18930 oif eth1 lookup 17601 sockets bound to isp1's device",
            "20001 some packets: lookup the VRF's table not ours",
            "default via 192.0.2.65 dev eth2 src 192.0.2.66 metric 100 isp2 leads",
        ] {
            let is_there = lines.iter().any(|line| line == expected);
            assert!(is_there, "{expected}: {lines:#?}");
        }

        daemon.launch();
        daemon.wait_for_all("online");
        assert!(daemon.terminate().success());
        let lines = shown(&daemon);
        for family in Family::ALL {
            let none = format!("{}: no rule or route of ours", family.name());
            assert!(lines.contains(&none), "{lines:#?}");
        }
    });
}
