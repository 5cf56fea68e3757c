//! More checks than there is room for at once: no provider takes another provider's part.

use std::process::Output;

use super::super::inspect::path;
use super::super::lab::rights::in_lab;
use super::super::lab::servers::http::{Behaviour as Http, HttpServer};
use super::super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, bare, with_check};

/// More providers than fit, with [`CHECKS`] each.
const PROVIDERS: usize = 24;
const CHECKS: usize = 4;
/// The providers whose upstream dies.
const DYING: usize = 20;
const FAMILY: Family = Family::V4;

fn lab() -> Lab {
    Lab::builder().providers(PROVIDERS).build().carrying()
}

/// Only checks of this type, each made twice a second, each required.
fn settings(lab: &Lab, options: &[(&str, &str)]) -> Settings {
    let target = super::target(FAMILY).to_string();
    let settings = bare(lab)
        .global("interval", "500ms")
        .global("timeout", "2s")
        .global("down", "2")
        .global("quorum", "all");
    (1..=CHECKS).fold(settings, |settings, number| {
        let name = format!("check{number}");
        let usual = [("target", target.as_str()), ("interval", "500ms")];
        with_check(with_check(settings, &name, &usual), &name, options)
    })
}

fn id(number: usize) -> String {
    format!("isp{number}")
}

/// Waits until each check of each working provider was answered so many more times.
fn all_asked(daemon: &Daemon, times: u64) {
    let answers = || -> Vec<u64> {
        let status = daemon.status();
        let living = (DYING + 1..=PROVIDERS).flat_map(|number| {
            let path = path(&status, &id(number), FAMILY.name());
            let checks = path["checks"].as_array().cloned().unwrap_or_default();
            let received = |check: &serde_json::Value| check["received"].as_u64();
            checks.iter().filter_map(received).collect::<Vec<_>>()
        });
        living.collect()
    };
    let before = answers();
    assert_eq!(before.len(), (PROVIDERS - DYING) * CHECKS);
    let enough = || {
        let now = answers();
        now.iter()
            .zip(&before)
            .all(|(now, before)| *now >= before + times)
    };
    assert!(
        wait_until(SOON, enough),
        "asked too seldom\n{}",
        daemon.log()
    );
}

/// Twenty lines fail at once: the others stay online, and each of their checks is still made.
fn the_others_stay_online(daemon: &Daemon, die: impl Fn(usize), returns: impl Fn(usize)) {
    daemon.wait_for_all("online");
    (1..=DYING).for_each(die);
    for number in 1..=DYING {
        daemon.wait_for(&id(number), FAMILY.name(), "offline");
    }
    all_asked(daemon, 5);
    let journal = daemon.must(&["log"]);
    for number in DYING + 1..=PROVIDERS {
        let fell = format!(" {} {FAMILY}: online → offline", id(number));
        let fell = journal.lines().any(|line| line.contains(&fell));
        assert!(!fell, "{} fell with the others\n{journal}", id(number));
        assert_eq!(daemon.path_state(&id(number), FAMILY.name()), "online");
    }

    // It is logged once.
    let status = daemon.status();
    let warnings = status["warnings"].as_array().expect("there is the list");
    let told = warnings
        .iter()
        .filter(|warning| warning["code"] == "no-room");
    assert_eq!(told.count(), 1, "{warnings:?}");
    let log = daemon.whole_log();
    let told = log.matches("probes are not asked").count();
    assert_eq!(told, 1, "{log}");

    // The failed providers return.
    (1..=DYING).for_each(returns);
    daemon.wait_for_all("online");
}

/// The output of `check` on the configuration.
fn checked(daemon: &Daemon, what: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = daemon.command(&["check"]);
    let text = [stdout, stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(status.success() && text.contains(what), "{status}: {text}");
}

/// The system's limits are no fault of a line.
#[test]
fn a_daemon_without_descriptors_takes_no_line_for_dead() {
    in_lab(|| {
        let lab = super::one_provider();
        let server = HttpServer::start(lab.provider(1), super::target(FAMILY), Http::Silent);
        let settings = super::single_check(&lab, FAMILY, &[("type", "tcp"), ("port", "80")]);
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");
        let pid = daemon.pid().to_string();
        let limit = |files: &str| {
            let files = format!("--nofile={files}");
            lab.router.run(&["prlimit", "--pid", &pid, &files]);
        };
        limit("3:1024");
        let warned = || daemon.log().contains("the system grants no more sockets");
        assert!(wait_until(SOON, warned), "{}", daemon.log());
        // A status request needs a descriptor, so none is made meanwhile. A dead line would be offline after these rounds.
        std::thread::sleep(std::time::Duration::from_secs(2));
        let before = server.asked();
        limit("1024:1024");
        super::wait_for_requests(&daemon, &server, 3);
        super::never_offline(&daemon);
        assert!(before > 0);
    });
}

#[test]
fn twenty_dead_lines_leave_the_others_their_sessions() {
    in_lab(|| {
        let lab = lab();
        let at = super::target(FAMILY);
        let start = |provider| HttpServer::start(provider, at, Http::Silent);
        let _servers: Vec<HttpServer> = lab.providers.iter().map(start).collect();
        let settings = settings(&lab, &[("type", "tcp"), ("port", "80")]);
        let daemon = Daemon::start(&lab.router, &settings);
        checked(
            &daemon,
            "24 providers can hold 96 sessions at once; there is room for 64",
        );
        the_others_stay_online(
            &daemon,
            |number| lab.upstream_dies(number),
            |number| lab.upstream_returns(number),
        );
    });
}
