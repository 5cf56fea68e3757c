//! Warnings of too much: kernel objects, and checks at once.

use super::super::lab::rights::in_lab;
use super::super::lab::topology::target;
use super::super::lab::{Family, Lab, Settings, wait_until};
use super::super::overflow::{batch, learned};
use super::{Cure, Of, Row, SOON, Stage};

fn addresses(stage: &Stage<'_>, numbers: std::ops::RangeInclusive<u32>) {
    let line = |n| format!("addr add 2001:db8:a::{n:x}/128 dev eth2 nodad");
    batch(&stage.lab.router, numbers.map(line));
}

fn no_addresses(stage: &mut Stage<'_>) {
    stage
        .lab
        .router
        .batch(Family::V6, "addr flush dev eth2 to 2001:db8:a::/64");
}

fn routes(stage: &Stage<'_>, verb: &str) {
    let line = |n| {
        format!(
            "route {verb} ::/0 via fe80::{n:x} dev eth1 proto ra metric {}",
            6000 + n
        )
    };
    batch(&stage.lab.router, (1..=1200).map(line));
}

fn rules(stage: &Stage<'_>, verb: &str) {
    let line = |n| format!("rule {verb} pref {} lookup 300", 100 + n);
    batch(&stage.lab.router, (1..=1100).map(line));
}

/// With gateways that are learned.
pub(super) const OVERFLOWS: &[Row] = &[
    Row {
        name: "overflow",
        of: Of::Daemon,
        what: " addresses cannot be watched: there is room for 512, and the providers' come first",
        change: "`ip -br address` lists them: delete those not needed",
        make: |stage| {
            addresses(stage, 1..=600);
            let listed = stage.lab.router.run(&["ip", "-br", "address"]);
            assert!(listed.contains("2001:db8:a::1/128"));
            Vec::new()
        },
        cure: Cure::Done(no_addresses),
    },
    Row {
        name: "overflow",
        of: Of::Daemon,
        what: " default routes cannot be watched: there is room for 1024, and the providers' come first",
        change: "delete those not needed, or, where routers advertise them, set `net.ipv6.conf.DEVICE.accept_ra_defrtr=0`",
        make: |stage| {
            routes(stage, "add");
            Vec::new()
        },
        cure: Cure::Done(|stage| routes(stage, "del")),
    },
    Row {
        name: "overflow",
        of: Of::Daemon,
        what: " rules cannot be watched: there is room for 1024, and the providers' come first",
        change: "`ip rule` and `ip -6 rule` list them: delete those not needed",
        make: |stage| {
            rules(stage, "add");
            let listed = stage.lab.router.run(&["ip", "rule"]);
            assert!(
                listed.contains("101:\tfrom all lookup 300"),
                "{listed:.300}"
            );
            Vec::new()
        },
        cure: Cure::Done(|stage| rules(stage, "del")),
    },
];

/// Each path makes eight checks, whose servers do not answer: more at once than there is room for.
pub(super) const CHECKS: &[Row] = &[
    Row {
        name: "no-room",
        of: Of::Daemon,
        what: "for there is room for 64 sessions of tcp, dns and http checks at once",
        change: "choose fewer such checks for each provider by `list check`, or shorten `timeout`",
        make: |stage| {
            stage.reload(&eight(stage, &TCP));
            (1..=PROVIDERS).for_each(|number| stage.lab.upstream_dies(number));
            Vec::new()
        },
        cure: Cure::Done(|stage| stage.reload(&one_each(eight(stage, &TCP)))),
    },
    Row {
        name: "no-room",
        of: Of::Daemon,
        what: "for there is room for 64 commands of exec checks at once",
        change: "choose fewer such checks for each provider by `list check`, or shorten `timeout`",
        make: |stage| {
            stage.reload(&eight(stage, &EXEC));
            Vec::new()
        },
        cure: Cure::Done(|stage| stage.reload(&one_each(eight(stage, &EXEC)))),
    },
    Row {
        name: "no-room",
        of: Of::Daemon,
        what: "for the system grants no more sockets or processes",
        change: "raise its limits (`ulimit -n`, `ulimit -u`; of systemd LimitNOFILE, TasksMax), and start failover again",
        make: |stage| {
            stage.reload(&one_each(eight(stage, &TCP)));
            let pid = stage.daemon.pid().to_string();
            let limit = |files: &str| {
                let files = format!("--nofile={files}");
                stage.lab.router.run(&["prlimit", "--pid", &pid, &files]);
            };
            limit("3:1024");
            let lacks = || stage.daemon.log().contains("the system grants no more");
            assert!(wait_until(SOON, lacks), "{}", stage.daemon.log());
            // A request for the status needs a descriptor.
            limit("1024:1024");
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.daemon.terminate();
            stage.daemon.launch();
        }),
    },
];

const PROVIDERS: usize = 9;
const TCP: [(&str, &str); 2] = [("type", "tcp"), ("port", "80")];
const EXEC: [(&str, &str); 2] = [("type", "exec"), ("command", "exec sleep 2")];

/// Eight checks with these options.
fn eight(stage: &Stage<'_>, options: &[(&str, &str)]) -> Settings {
    let at = target(Family::V4).to_string();
    let settings = stage.settings.clone().global("timeout", "2s");
    let settings = settings
        .without_section("check", "google")
        .without_section("check", "google6");
    (1..=8).fold(settings, |settings, number| {
        let usual = [("target", at.as_str()), ("interval", "500ms")];
        let all = usual.iter().chain(options);
        all.fold(settings, |settings, (option, value)| {
            settings.with("check", &format!("check{number}"), option, value)
        })
    })
}

/// Each provider has one of these checks.
fn one_each(settings: Settings) -> Settings {
    (1..=PROVIDERS).fold(settings, |settings, number| {
        settings.list("provider", &format!("isp{number}"), "check", "check1")
    })
}

#[test]
fn of_kernel_objects() {
    in_lab(|| {
        let lab = learned();
        let mut stage = Stage::new(&lab, super::super::overflow::settings(&lab));
        stage.play(OVERFLOWS);
        the_number_is_no_other_warning(&mut stage);
    });
}

/// More of the same, and a reload, do not change since when it is so; and it is logged once.
fn the_number_is_no_other_warning(stage: &mut Stage<'_>) {
    let warning = || {
        let status = stage.daemon.status();
        let all = status["warnings"].as_array().unwrap().clone();
        all.into_iter()
            .find(|warning| warning["code"] == "overflow")
    };
    addresses(stage, 1..=600);
    let old = || warning().is_some_and(|warning| warning["since_s"].as_u64() >= Some(1));
    assert!(wait_until(SOON, old), "{:#}", stage.daemon.status());
    let before = warning().unwrap()["text"].clone();
    let complaints = || {
        stage
            .daemon
            .log()
            .matches("addresses cannot be watched")
            .count()
    };
    let logged = complaints();
    addresses(stage, 601..=620);
    let more = || warning().is_some_and(|warning| warning["text"] != before);
    assert!(wait_until(SOON, more), "{:?}", warning());
    assert!(old(), "{:?}", warning());
    stage.restore();
    assert!(old(), "{:?}", warning());
    assert_eq!(complaints(), logged);
    no_addresses(stage);
}

#[test]
fn of_checks_at_once() {
    in_lab(|| {
        let lab = Lab::builder().providers(PROVIDERS).build().carrying();
        let mut stage = Stage::new(&lab, Settings::fast(&lab));
        for row in CHECKS {
            stage.play_one(row, false);
        }
    });
}
