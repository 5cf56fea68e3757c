//! A pinned provider: by command, by file, across restarts.

use std::fs;
use std::time::Duration;

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Flow, Lab, Lookups, wait_until};
use super::{SLACK, SOON, leads, online};

/// A pin takes effect at once, without waiting for a round.
const AT_ONCE: Duration = Duration::from_millis(50);

fn moves_without_a_hole(act: impl FnOnce(&Daemon)) {
    let lab = Lab::new();
    let daemon = online(&lab);
    let flows = Family::ALL.map(|family| Flow::start(&lab, target(family)));
    let lookups = Family::ALL.map(|family| Lookups::start(&lab.router, target(family)));
    assert!(flows.iter().all(|flow| flow.goes_by(1, SOON)));
    act(&daemon);
    assert!(
        flows.iter().all(|flow| flow.goes_by(2, SOON)),
        "{}",
        daemon.log()
    );
    for (flow, hammer) in flows.iter().zip(lookups) {
        assert!(
            flow.lost(Duration::ZERO) <= 3,
            "{} lost",
            flow.lost(Duration::ZERO)
        );
        let found = hammer.stop();
        assert_eq!(found.failures, 0, "{found:?}");
    }
    assert_eq!(daemon.status()["pinned"], "isp2");
    daemon.must(&["use", "auto"]);
    // As soon as the provider is known to work.
    assert!(
        flows.iter().all(|flow| flow.goes_by(1, SOON)),
        "{}",
        daemon.log()
    );
    assert!(daemon.status()["pinned"].is_null());
}

#[test]
fn by_command() {
    in_lab(|| moves_without_a_hole(|daemon| drop(daemon.must(&["use", "isp2"]))));
}

#[test]
fn by_file() {
    in_lab(|| {
        moves_without_a_hole(|daemon| {
            fs::write(daemon.sticky_file(), "isp2\n").expect("its directory is ours")
        });
    });
}

#[test]
fn the_file_takes_effect_at_once_and_so_does_an_empty_file() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let family = Family::V4;
        let flow = Flow::start(&lab, target(family));
        assert!(flow.goes_by(1, SOON));
        for (text, provider) in [("isp2", 2), ("isp1", 1), ("isp2\n", 2)] {
            fs::write(daemon.sticky_file(), text).unwrap();
            let device = format!("eth{provider}");
            let moved = || lab.router.leader(family, super::TABLE).as_ref() == Some(&device);
            assert!(
                wait_until(AT_ONCE + SLACK, moved),
                "{text:?}\n{}",
                daemon.log()
            );
        }
        fs::write(daemon.sticky_file(), "").unwrap();
        assert!(wait_until(SOON, || daemon.status()["pinned"].is_null()));
        assert!(leads(&lab, 1), "as soon as it is known to work");
        fs::write(daemon.sticky_file(), "isp2").unwrap();
        assert!(leads(&lab, 2));
        fs::remove_file(daemon.sticky_file()).unwrap();
        assert!(leads(&lab, 1));
    });
}

#[test]
fn the_command_writes_the_file() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        daemon.must(&["use", "isp2"]);
        assert_eq!(
            fs::read_to_string(daemon.sticky_file()).unwrap().trim(),
            "isp2"
        );
        daemon.must(&["use", "auto"]);
        let left = fs::read_to_string(daemon.sticky_file()).unwrap_or_default();
        assert_eq!(left.trim(), "");
    });
}

/// A pin in the file before the start, and a pin across a restart, which is not reported again.
#[test]
fn survives_restarts() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        daemon.must(&["use", "isp2"]);
        assert!(leads(&lab, 2));
        let journal_of = |daemon: &Daemon| {
            let journal = daemon.must(&["log"]);
            let news = journal.lines().filter(|line| {
                let own = ["started", "stopped"]
                    .iter()
                    .any(|word| line.contains(word));
                !own
            });
            news.map(str::to_owned).collect::<Vec<_>>()
        };
        let before = journal_of(&daemon);
        assert!(daemon.terminate().success());
        daemon.launch();
        assert!(leads(&lab, 2));
        assert_eq!(journal_of(&daemon), before);
        daemon.kill9();
        daemon.launch();
        assert_eq!(daemon.status()["pinned"], "isp2");
        assert_eq!(daemon.path_state("isp1", "ipv4"), "frozen");
        assert!(leads(&lab, 2));
        assert_eq!(journal_of(&daemon), before);
        // As after a boot: there is no saved state, and the pin is in its file already.
        daemon.kill9();
        fs::remove_file(daemon.file("state/state")).unwrap();
        daemon.launch();
        assert_eq!(daemon.status()["pinned"], "isp2");
        assert!(leads(&lab, 2));
        let journal = daemon.must(&["log"]);
        assert!(!journal.contains("-     pinned"), "{journal}");
        // A change while no daemon runs is reported.
        daemon.kill9();
        fs::remove_file(daemon.sticky_file()).unwrap();
        lab.upstream_dies(1);
        daemon.launch();
        assert!(daemon.must(&["log"]).contains("unpinned by hand"));
        daemon.wait_for("isp1", "ipv4", "offline");
        let strayed = daemon.must(&["log"]);
        assert!(!strayed.contains("preferred to isp2"), "{strayed}");
    });
}

/// After a pin, the pinned provider leads until another is known to be better: isp1 has failed meanwhile.
#[test]
fn the_end_of_a_pin_moves_no_traffic_to_an_untested_provider() {
    in_lab(|| {
        for preempt in ["yes", "no", "1s"] {
            let lab = Lab::new();
            let settings = super::Settings::fast(&lab).global("preempt", preempt);
            let daemon = super::online_with(&lab, &settings);
            let flows = Family::ALL.map(|family| Flow::start(&lab, target(family)));
            daemon.must(&["use", "isp2"]);
            assert!(flows.iter().all(|flow| flow.goes_by(2, SOON)));
            lab.gateway_dies(1);
            let marks = flows.each_ref().map(|flow| flow.now());
            daemon.must(&["use", "auto"]);
            for family in Family::ALL {
                daemon.wait_for("isp1", family.name(), "offline");
                daemon.wait_for("isp2", family.name(), "online");
            }
            for (flow, mark) in flows.iter().zip(marks) {
                assert!(flow.goes_by(2, SOON));
                assert!(flow.lost(mark) <= 3, "{} lost", flow.lost(mark));
            }
            let log = daemon.must(&["log"]);
            let swaps = log.lines().filter(|line| line.contains(" leads "));
            assert_eq!(swaps.count(), 4, "{preempt}: {log}");
        }
    });
}

#[test]
fn an_unknown_provider_changes_nothing() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let output = daemon.command(&["use", "isp7"]);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("isp7"));
        assert!(daemon.status()["pinned"].is_null());
        assert!(
            !daemon.sticky_file().exists()
                || fs::read_to_string(daemon.sticky_file()).unwrap().is_empty()
        );
        assert!(leads(&lab, 1));
    });
}

/// As in `linux_failover`: during a pin there are no checks; they begin anew after it.
#[test]
fn stops_the_checks() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        daemon.must(&["use", "isp2"]);
        daemon.wait_for("isp1", "ipv4", "frozen");
        lab.upstream_dies(2);
        let sent = || daemon.status()["counters"]["probes_sent"].as_u64().unwrap();
        let before = sent();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(sent(), before);
        assert!(leads(&lab, 2));
        daemon.must(&["use", "auto"]);
        daemon.wait_for("isp1", "ipv4", "online");
        assert!(leads(&lab, 1));
    });
}

#[test]
fn a_pinned_provider_that_cannot_work_is_reported() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        daemon.must(&["use", "isp2"]);
        lab.pull_cable(2);
        let warned = || {
            let status = daemon.status();
            let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
            warnings.iter().any(|warning| warning["provider"] == "isp2")
        };
        assert!(wait_until(SOON, warned), "{}", daemon.status());
        lab.plug_cable(2);
        assert!(wait_until(SOON, || !warned()), "{}", daemon.status());
    });
}

#[test]
fn without_a_daemon_the_command_says_what_to_do() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = Daemon::prepare(&lab.router, &super::Settings::fast(&lab));
        let output = daemon.command(&["use", "isp2"]);
        assert_eq!(output.status.code(), Some(69));
        assert!(String::from_utf8_lossy(&output.stderr).contains("sticky.provider"));
    });
}
