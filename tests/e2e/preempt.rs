//! Whether and when traffic returns to a provider of better rank; and disabled providers.

use std::time::{Duration, Instant};

use super::explain::explanation;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Flow, Lab, Lookups, Settings, wait_until};
use super::{SOON, TABLE, leads, leads_in, online, online_with};

/// Long enough to detect a swap that must not happen: some rounds of `profile fast`.
const A_WHILE: Duration = Duration::from_millis(400);

fn preempting(lab: &Lab, value: &str) -> Settings {
    Settings::fast(lab).global("preempt", value)
}

/// The first provider fails and returns; the second leads now.
fn fail_and_return(lab: &Lab, daemon: &Daemon) {
    lab.upstream_dies(1);
    assert!(leads(lab, 2), "{}", daemon.log());
    daemon.wait_for("isp1", "ipv4", "offline");
    daemon.wait_for("isp1", "ipv6", "offline");
    lab.upstream_returns(1);
    daemon.wait_for_all("online");
}

/// The leader in the swap table stays this one, in both families.
fn stays(lab: &Lab, number: usize) -> bool {
    let device = Some(lab.provider(number).device.clone());
    let moved = || {
        Family::ALL
            .into_iter()
            .any(|family| lab.router.leader(family, TABLE) != device)
    };
    !wait_until(A_WHILE, moved)
}

#[test]
fn yes_returns_at_once() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &preempting(&lab, "yes"));
        fail_and_return(&lab, &daemon);
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}

#[test]
fn no_stays_until_the_other_fails() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &preempting(&lab, "no"));
        fail_and_return(&lab, &daemon);
        assert!(stays(&lab, 2), "{}", daemon.log());
        lab.upstream_dies(2);
        assert!(leads(&lab, 1), "{}", daemon.log());
        lab.upstream_returns(2);
        daemon.wait_for_all("online");
        assert!(stays(&lab, 1), "{}", daemon.log());
    });
}

/// The flow uses the second provider all the time, without interruption.
#[test]
fn no_holds_across_reload_restart_and_sigkill() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = preempting(&lab, "no").global("on_stop", "keep");
        let mut daemon = online_with(&lab, &settings);
        fail_and_return(&lab, &daemon);
        let flows = Family::ALL.map(|family| Flow::start(&lab, target(family)));
        assert!(flows.iter().all(|flow| flow.goes_by(2, SOON)));

        daemon.must(&["reload"]);
        assert!(stays(&lab, 2), "after a reload\n{}", daemon.log());
        // A change of the first provider is no reason to prefer it.
        daemon.configure(&settings.clone().provider("isp1", "interval", "50ms"));
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        assert!(stays(&lab, 2), "after a changed one\n{}", daemon.log());
        // Nor is a change of the second.
        daemon.configure(&settings.clone().provider("isp2", "interval", "50ms"));
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        assert!(stays(&lab, 2), "after another\n{}", daemon.log());

        assert!(daemon.terminate().success());
        daemon.launch();
        assert!(stays(&lab, 2), "after a restart\n{}", daemon.log());
        daemon.kill9();
        daemon.launch();
        assert!(stays(&lab, 2), "after a sudden death\n{}", daemon.log());
        daemon.wait_for_all("online");
        assert!(stays(&lab, 2), "when all are judged\n{}", daemon.log());
        for flow in &flows {
            let strayed = flow.datagrams(Duration::ZERO);
            let strayed = strayed
                .iter()
                .skip_while(|d| d.answer.is_none_or(|(_, by)| by != 2));
            let strayed = strayed.filter(|d| d.answer.is_some_and(|(_, by)| by != 2));
            assert_eq!(strayed.count(), 0, "{}", daemon.log());
        }
    });
}

/// A clean stop that deletes all routes keeps the state, too.
#[test]
fn no_holds_across_a_stop_that_restores() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &preempting(&lab, "no"));
        fail_and_return(&lab, &daemon);
        assert!(daemon.terminate().success());
        daemon.launch();
        assert!(leads(&lab, 2), "{}", daemon.log());
        daemon.wait_for_all("online");
        assert!(stays(&lab, 2), "{}", daemon.log());
    });
}

#[test]
fn a_duration_returns_later() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &preempting(&lab, "1s"));
        fail_and_return(&lab, &daemon);
        let back = Instant::now();
        assert!(leads(&lab, 1), "{}", daemon.log());
        let after = back.elapsed();
        let bounds = Duration::from_millis(500)..Duration::from_millis(1500);
        assert!(bounds.contains(&after), "{after:?}\n{}", daemon.log());
    });
}

/// A provider that fails again while it waits starts the wait anew.
#[test]
fn a_duration_starts_anew_with_each_failure() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &preempting(&lab, "2s"));
        fail_and_return(&lab, &daemon);
        lab.upstream_dies(1);
        daemon.wait_for("isp1", "ipv4", "offline");
        lab.upstream_returns(1);
        daemon.wait_for("isp1", "ipv4", "online");
        let back = Instant::now();
        assert!(leads_in(&lab, 1, Family::V4), "{}", daemon.log());
        let after = back.elapsed();
        assert!(
            after > Duration::from_millis(1500),
            "{after:?}\n{}",
            daemon.log()
        );
    });
}

/// The time that a provider is back already counts when the daemon starts again.
#[test]
fn a_duration_goes_on_across_a_restart() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &preempting(&lab, "2s"));
        fail_and_return(&lab, &daemon);
        let back = Instant::now();
        assert!(stays(&lab, 2), "{}", daemon.log());
        daemon.kill9();
        daemon.launch();
        assert!(stays(&lab, 2), "{}", daemon.log());
        assert!(leads(&lab, 1), "{}", daemon.log());
        let after = back.elapsed();
        let bounds = Duration::from_millis(1500)..Duration::from_millis(2500);
        assert!(bounds.contains(&after), "{after:?}\n{}", daemon.log());
    });
}

/// How many probes the first provider's checks have sent.
fn sent(daemon: &Daemon) -> u64 {
    let status = daemon.status();
    let paths = status["providers"][0]["paths"].as_array().cloned();
    let checks = paths
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| path["checks"][0]["sent"].as_u64());
    checks.sum()
}

/// Out of use for maintenance: no traffic uses it, but it is still checked.
#[test]
fn a_disabled_provider_is_left_and_checked_on() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let flows = Family::ALL.map(|family| Flow::start(&lab, target(family)));
        let lookups = Family::ALL.map(|family| Lookups::start(&lab.router, target(family)));
        assert!(flows.iter().all(|flow| flow.goes_by(1, SOON)));
        daemon.must(&["disable", "isp1"]);
        assert!(
            flows.iter().all(|flow| flow.goes_by(2, SOON)),
            "{}",
            daemon.log()
        );
        assert_eq!(daemon.status()["providers"][0]["state"], "disabled");
        assert_eq!(daemon.status()["providers"][0]["disabled"], true);
        assert_eq!(daemon.status()["active"]["ipv4"], "isp2");
        let before = sent(&daemon);
        assert!(wait_until(SOON, || sent(&daemon) >= before + 10));
        assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
        // Its checks go on telling.
        lab.upstream_dies(1);
        daemon.wait_for("isp1", "ipv4", "offline");
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        assert!(stays(&lab, 2), "{}", daemon.log());
        daemon.must(&["enable", "isp1"]);
        assert!(
            flows.iter().all(|flow| flow.goes_by(1, SOON)),
            "{}",
            daemon.log()
        );
        for (flow, hammer) in flows.iter().zip(lookups) {
            assert!(flow.lost(Duration::ZERO) <= 6);
            let found = hammer.stop();
            assert_eq!(found.failures, 0, "{found:?}");
        }

        daemon.must(&["disable", "isp1"]);
        assert!(leads(&lab, 2));
        daemon.must(&["reload"]);
        assert!(stays(&lab, 2), "a reload does not enable\n{}", daemon.log());
        daemon.kill9();
        daemon.launch();
        assert!(leads(&lab, 1), "a restart forgets\n{}", daemon.log());
        assert_eq!(daemon.status()["providers"][0]["disabled"], false);
    });
}

/// A disabled provider is the last that carries, but it carries before what does not work; a pin is stronger.
#[test]
fn a_disabled_provider_relieves_what_does_not_work() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        daemon.must(&["disable", "isp1"]);
        assert!(leads(&lab, 2));
        let head =
            "ipv4 and ipv6 leave by isp1, though that is disabled: no enabled provider works";
        let relieved = || {
            assert!(leads(&lab, 1), "{}", daemon.log());
            let status = daemon.must(&["status"]);
            assert!(status.contains(head), "{status}");
            let text = explanation(&daemon, "isp1", Family::V4);
            let why = "It carries ipv4 although it was disabled by hand, until `failover enable isp1`: no enabled provider works.";
            assert!(text.contains(why), "{text}");
        };
        let returns = || {
            daemon.wait_for_all("online");
            assert!(leads(&lab, 2), "{}", daemon.log());
        };
        lab.upstream_dies(2);
        relieved();
        lab.upstream_returns(2);
        returns();
        lab.pull_cable(2);
        relieved();
        lab.plug_cable(2);
        returns();
        lab.device_down(2);
        relieved();
        lab.device_up(2);
        returns();
        // Where neither works, the disabled one is the last.
        lab.upstream_dies(1);
        lab.upstream_dies(2);
        daemon.wait_for_all("offline");
        assert!(leads(&lab, 2), "{}", daemon.log());
        daemon.must(&["use", "isp1"]);
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}

/// What a table of states would hide.
#[test]
fn status_tells_until_when_a_line_stands_by() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &preempting(&lab, "1h"));
        fail_and_return(&lab, &daemon);
        let path = &daemon.status()["providers"][0]["paths"][0];
        assert_eq!(path["held_back_by"], "isp2");
        let time = path["takes_over_in_ms"].as_u64().unwrap();
        assert!((3_500_000..=3_600_000).contains(&time), "{time}");
        let table = daemon.must(&["status"]);
        assert!(table.contains("stands by until "), "{table}");
        assert!(daemon.status()["providers"][1]["paths"][0]["held_back_by"].is_null());
        daemon.terminate();
        daemon.configure(&preempting(&lab, "no"));
        daemon.launch();
        let table = daemon.must(&["status"]);
        let words = "stands by until isp2 fails: preempt is no";
        assert!(table.contains(words), "{table}");
    });
}
