//! Warnings of routes and rules of other programs.

use super::super::lab::rights::in_lab;
use super::super::lab::topology::target;
use super::super::lab::{Family, Lab, Settings, wait_until};
use super::super::manual::devices;
use super::{Cure, Of, Row, SOON, Stage};

/// The device by which the kernel sends, or none.
fn way(stage: &Stage<'_>, family: Family) -> Option<String> {
    stage.lab.router.way(&target(family).to_string(), &[])
}

#[track_caller]
fn leaves_by(stage: &Stage<'_>, family: Family, device: Option<&str>) {
    let so = || way(stage, family).as_deref() == device;
    assert!(
        wait_until(SOON, so),
        "{:?}, not {device:?}",
        way(stage, family)
    );
}

fn v4(stage: &Stage<'_>, lines: &str) {
    stage.lab.router.batch(Family::V4, lines);
}

fn v6(stage: &Stage<'_>, lines: &str) {
    stage.lab.router.batch(Family::V6, lines);
}

/// With our own table; the devices `mgmt0` and `wg0` are there.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "foreign-route",
        of: Of::Daemon,
        what: "an ipv6 route that is not ours has metric 200 in table 176: ours use the next ones",
        change: "`option start_metric` moves them away",
        make: |stage| {
            v6(stage, "route add unreachable default metric 200 table 176");
            stage.reload(&stage.settings.clone().global("start_metric", "200"));
            let first = || stage.lab.router.defaults(Family::V6, 176).remove(0);
            assert!(
                wait_until(SOON, || first().kind == "unreachable"),
                "{:?}",
                first()
            );
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.reload(&stage.settings.clone().global("start_metric", "300"));
        }),
    },
    Row {
        name: "overridden",
        of: Of::Daemon,
        what: "an ipv4 default route that is not ours wins over ours: metric 5 in table 176",
        change: "it was set by hand: `ip -4 route del default table 176 metric 5` deletes it",
        make: |stage| {
            v6(stage, "route del default metric 200 table 176");
            stage.restore();
            v4(stage, "route add default dev mgmt0 table 176 metric 5");
            leaves_by(stage, Family::V4, Some("mgmt0"));
            Vec::new()
        },
        cure: Cure::Quoted(|stage| leaves_by(stage, Family::V4, Some("eth1"))),
    },
    Row {
        name: "overridden",
        of: Of::Daemon,
        what: "an ipv6 default route that is not ours wins over ours: metric 5 in table 176",
        change: "it was set by hand: `ip -6 route del default table 176 metric 5` deletes it",
        make: |stage| {
            v6(stage, "route add default dev mgmt0 table 176 metric 5");
            leaves_by(stage, Family::V6, Some("mgmt0"));
            Vec::new()
        },
        cure: Cure::Quoted(|stage| leaves_by(stage, Family::V6, Some("eth1"))),
    },
    Row {
        name: "error-route",
        of: Of::Daemon,
        what: "(metric 4278198272: unreachable, blackhole or prohibit) is passed over: defaults of ours stand before it",
        change: "it may be a kill switch: give it a metric below `start_metric`, and it is obeyed",
        make: |stage| {
            v6(stage, "route add unreachable default metric 4278198272");
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            leaves_by(stage, Family::V6, Some("eth1"));
            v6(
                stage,
                "route add unreachable default metric 50
                 route del unreachable default metric 4278198272",
            );
        }),
    },
    // As the former says.
    Row {
        name: "error-route",
        of: Of::Daemon,
        what: "an ipv6 default route in main (metric 60: unreachable, blackhole or prohibit) refuses what comes to it",
        change: "delete it when it is no longer wanted: `ip -6 route del default dev lo metric 60`",
        make: |stage| {
            v6(
                stage,
                "route add prohibit default metric 60
                 route del unreachable default metric 50",
            );
            leaves_by(stage, Family::V6, None);
            Vec::new()
        },
        cure: Cure::Quoted(|stage| leaves_by(stage, Family::V6, Some("eth1"))),
    },
    // A router advertisement's has the same metric, and is spared.
    Row {
        name: "error-route",
        of: Of::Daemon,
        what: "an ipv6 default route in main (metric 1024: unreachable, blackhole or prohibit) is passed over",
        change: "else delete it: `ip -6 route del default dev lo metric 1024`",
        make: |stage| {
            v6(
                stage,
                "route add default via fe80::1 dev eth2 metric 1024 proto ra
                 route append unreachable default metric 1024",
            );
            Vec::new()
        },
        cure: Cure::Quoted(|stage| {
            let left = stage.lab.router.defaults(Family::V6, 254);
            assert_eq!(left.len(), 1, "{left:#?}");
            assert_eq!(left[0].dev.as_deref(), Some("eth2"));
            v6(stage, "route del default dev eth2 metric 1024");
        }),
    },
    Row {
        name: "error-route",
        of: Of::Daemon,
        what: "(metric 50: unreachable, blackhole or prohibit) refuses probes in IPv4, by devices without a better default",
        change: "else delete it: `ip -4 route del default metric 50`",
        make: |stage| {
            v4(
                stage,
                "route add default dev wg0 metric 40
                 route add blackhole default metric 50",
            );
            leaves_by(stage, Family::V4, Some("wg0"));
            stage.daemon.wait_for("isp1", "ipv4", "offline");
            Vec::new()
        },
        cure: Cure::Quoted(|stage| {
            stage.daemon.wait_for_all("online");
            v4(stage, "route del default dev wg0");
        }),
    },
    Row {
        name: "error-route",
        of: Of::Daemon,
        what: "(metric 100: unreachable, blackhole or prohibit) leaves too few metrics for defaults of ours before it",
        change: "give it a higher metric, or delete it: `ip -4 route del default metric 100`",
        make: |stage| {
            v4(
                stage,
                "route add default dev wg0 metric 99
                 route add unreachable default metric 100",
            );
            leaves_by(stage, Family::V4, Some("wg0"));
            stage.daemon.wait_for("isp1", "ipv4", "offline");
            Vec::new()
        },
        cure: Cure::Quoted(|stage| v4(stage, "route del default dev wg0")),
    },
    Row {
        name: "foreign-default",
        of: Of::Daemon,
        what: "the ipv4 default route by mgmt0 (metric 20 in main) is not obeyed, as it may be a management port's",
        change: "`option yield '1'` has it obeyed, `'0'` ends this warning",
        make: |stage| {
            v4(stage, "route add default dev mgmt0 metric 20 proto dhcp");
            leaves_by(stage, Family::V4, Some("eth1"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.reload(&stage.settings.clone().global("yield", "1"));
        }),
    },
    Row {
        name: "foreign-default",
        of: Of::Daemon,
        what: "the ipv6 default route by mgmt0 (metric 20 in main) is not obeyed, as it may be a management port's",
        change: "`option yield '1'` has it obeyed, `'0'` ends this warning",
        make: |stage| {
            leaves_by(stage, Family::V4, Some("mgmt0"));
            v4(stage, "route del default dev mgmt0");
            stage.restore();
            v6(stage, "route add default dev mgmt0 metric 20 proto ra");
            leaves_by(stage, Family::V6, Some("eth1"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.reload(&stage.settings.clone().global("yield", "0"));
        }),
    },
    Row {
        name: "rules-behind",
        of: Of::Daemon,
        what: "an ipv4 rule that is not ours has preference 32780, behind our 32765: it has no effect",
        change: "add it again with a preference below 32765",
        make: |stage| {
            leaves_by(stage, Family::V6, Some("eth1"));
            v6(stage, "route del default dev mgmt0");
            stage.restore();
            v4(
                stage,
                "route add default dev mgmt0 table 300
                 rule add pref 32780 lookup 300",
            );
            leaves_by(stage, Family::V4, Some("eth1"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            v4(
                stage,
                "rule add pref 32700 lookup 300
                 rule del pref 32780",
            );
            leaves_by(stage, Family::V4, Some("mgmt0"));
        }),
    },
    Row {
        name: "diverted",
        of: Of::Daemon,
        what: "the router's own unmarked ipv4 packets to the Internet leave by mgmt0 (table 300, rule {0}), not by isp1, which leads",
        change: "shows it: if another program is not meant to do that, stop it, or delete its rule or route",
        make: |stage| {
            v4(
                stage,
                "rule del pref 32700
                 rule add pref 99 lookup 300",
            );
            leaves_by(stage, Family::V4, Some("mgmt0"));
            vec!["99".to_owned()]
        },
        cure: Cure::Done(|stage| {
            let cure = stage.daemon.status()["warnings"][0]["cure"].to_string();
            let command: Vec<&str> = cure.split('`').nth(1).unwrap().split(' ').collect();
            let shown = stage.lab.router.run(&command);
            assert!(shown.contains(" dev mgmt0 "), "{shown}");
            v4(stage, "rule del pref 99");
        }),
    },
    Row {
        name: "mwan3-running",
        of: Of::Daemon,
        what: "mwan3 is at work too, and two cannot choose the way",
        change: "`/etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable` leaves it to failover",
        make: |stage| {
            v4(
                stage,
                "rule add pref 2061 fwmark 0x3d00/0x3f00 blackhole
                 rule add pref 2062 fwmark 0x3e00/0x3f00 unreachable",
            );
            Vec::new()
        },
        // There is no mwan3 here: what its stop does.
        cure: Cure::Done(|stage| {
            v4(
                stage,
                "rule del pref 2061
                 rule del pref 2062",
            );
        }),
    },
    Row {
        name: "ipv6-source-foreign",
        of: Of::Daemon,
        what: "there are IPv6 default routes for packets from one prefix only",
        change: "the warning stays as long as these routes do",
        make: |stage| {
            v6(
                stage,
                "route add default from 2001:db8:100::/48 via 2001:db8:1::1 dev eth1 metric 512",
            );
            Vec::new()
        },
        cure: Cure::Done(|stage| v6(stage, "route del default from 2001:db8:100::/48 metric 512")),
    },
];

/// With `main` as swap table.
pub(super) const IN_MAIN: &[Row] = &[
    Row {
        name: "error-route",
        of: Of::Daemon,
        what: "(metric 5000: unreachable, blackhole or prohibit) comes behind ours",
        change: "delete it when it is not wanted: `ip -4 route del default metric 5000`",
        make: |stage| {
            v4(stage, "route add unreachable default metric 5000");
            leaves_by(stage, Family::V4, Some("eth1"));
            Vec::new()
        },
        cure: Cure::Quoted(|_| {}),
    },
    Row {
        name: "overridden",
        of: Of::Daemon,
        what: "an ipv4 default route that is not ours wins over ours: metric 20 in table 254",
        change: "give it a higher metric, or set `option table '176'`",
        make: |stage| {
            v4(stage, "route add default dev mgmt0 metric 20 proto dhcp");
            leaves_by(stage, Family::V4, Some("mgmt0"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            v4(
                stage,
                "route add default dev mgmt0 metric 2000 proto dhcp
                 route del default dev mgmt0 metric 20",
            );
            leaves_by(stage, Family::V4, Some("eth1"));
        }),
    },
    Row {
        name: "overridden",
        of: Of::Daemon,
        what: "an ipv4 default route that is not ours wins over ours: metric 30 in table 254",
        change: "give it a higher metric, or set `option table '176'`",
        make: |stage| {
            v4(
                stage,
                "route add default dev mgmt0 metric 30 proto dhcp
                 route del default dev mgmt0 metric 2000",
            );
            leaves_by(stage, Family::V4, Some("mgmt0"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.reload(&stage.settings.clone().global("table", "176"));
        }),
    },
];

#[test]
fn of_other_programs() {
    in_lab(|| {
        let lab = Lab::new();
        devices(&lab);
        Stage::new(&lab, Settings::fast(&lab)).play(ROWS);
    });
}

#[test]
fn of_other_programs_in_main() {
    in_lab(|| {
        let lab = Lab::new();
        devices(&lab);
        let settings = Settings::fast(&lab).global("table", "main");
        let mut stage = Stage::new(&lab, settings);
        stage.play(IN_MAIN);
        leaves_by(&stage, Family::V4, Some("eth1"));
    });
}
