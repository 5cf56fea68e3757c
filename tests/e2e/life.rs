//! Start, reload, stop, and SIGKILL.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::inspect::ours;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Lookups, Settings, wait_until};
use super::{SOON, TABLE, leads, online, online_with};

#[test]
fn a_clean_stop_restores() {
    in_lab(|| {
        let lab = Lab::new();
        lab.learn_default(2, Family::V4, "dhcp", 5);
        let mut daemon = online(&lab);
        assert!(ours(&lab) > 0);
        assert!(daemon.terminate().success());
        assert_eq!(ours(&lab), 0);
        assert_eq!(lab.router.defaults(Family::V4, 254).len(), 1);
        assert!(!daemon.file("state/control.sock").exists());
    });
}

#[test]
fn a_clean_stop_keeps() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &Settings::fast(&lab).global("on_stop", "keep"));
        let before = ours(&lab);
        assert!(before > 0);
        assert!(daemon.terminate().success());
        assert_eq!(ours(&lab), before);
    });
}

/// Killed and started again: the routes stay, and the state is restored.
#[test]
fn sigkill_is_survived() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        lab.upstream_dies(1);
        assert!(leads(&lab, 2));
        daemon.wait_for("isp1", "ipv4", "offline");
        daemon.wait_for("isp1", "ipv6", "offline");
        let before = ours(&lab);
        let lookups = Family::ALL.map(|family| Lookups::start(&lab.router, target(family)));
        daemon.kill9();
        assert_eq!(ours(&lab), before);
        daemon.launch();
        assert_eq!(daemon.path_state("isp1", "ipv4"), "offline");
        assert!(leads(&lab, 2));
        assert_eq!(ours(&lab), before);
        for hammer in lookups {
            let found = hammer.stop();
            assert_eq!(found.failures, 0, "{found:?}");
        }
    });
}

/// Killed at any instant while it swaps.
#[test]
fn sigkill_in_the_middle_of_swaps() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let lookups = Family::ALL.map(|family| Lookups::start(&lab.router, target(family)));
        for round in 0..20_u64 {
            let choice = if round % 2 == 0 { "isp2" } else { "isp1" };
            fs::write(daemon.sticky_file(), choice).unwrap();
            std::thread::sleep(Duration::from_micros(250 * round));
            daemon.kill9();
            daemon.launch();
        }
        for hammer in lookups {
            let found = hammer.stop();
            assert_eq!(found.failures, 0, "{found:?}");
        }
        for family in Family::ALL {
            assert_eq!(lab.router.defaults(family, TABLE).len(), 2);
        }
    });
}

#[test]
fn a_second_daemon_refuses_to_start() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let before = ours(&lab);
        let output = daemon.command(&["run", "--foreground"]);
        assert!(!output.status.success());
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(complaint.contains(&daemon.pid().to_string()), "{complaint}");
        assert_eq!(ours(&lab), before);
        assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
    });
}

/// An unchanged provider keeps its rounds and verdicts; a changed one is judged anew.
#[test]
fn a_reload_changes_what_has_changed() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let sent = |number: usize| {
            let status = daemon.status();
            status["providers"][number - 1]["paths"][0]["checks"][0]["sent"]
                .as_u64()
                .unwrap()
        };
        let before = sent(1);
        daemon.configure(&Settings::fast(&lab).provider("isp2", "interval", "50ms"));
        daemon.must(&["reload"]);
        assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
        assert!(sent(1) >= before);
        assert!(leads(&lab, 1));
        daemon.wait_for_all("online");

        // SIGHUP has the same effect; here the order of the providers changes.
        let turned = Settings::fast(&lab)
            .provider("isp1", "rank", "2")
            .provider("isp2", "rank", "1");
        daemon.configure(&turned);
        daemon.signal(Signal::SIGHUP);
        assert!(leads(&lab, 2), "{}", daemon.log());
    });
}

#[test]
fn a_bad_reload_is_refused_with_its_errors() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let before = ours(&lab);
        // The client finds the daemon by the state directory, which a damaged file still names.
        daemon.configure_raw(&format!(
            "config globals\n\toption state_dir '{}'\nconfig provider 'isp1'\n\toption device 'eth1'\n\toption intervall '1s'\n",
            daemon.file("state").display()
        ));
        let output = daemon.command(&["reload"]);
        assert!(!output.status.success());
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            complaint.contains(":5: ") && complaint.contains("interval"),
            "{complaint}"
        );
        assert_eq!(ours(&lab), before);
        // The client still finds the daemon when the file is good again.
        daemon.configure(&Settings::fast(&lab));
        daemon.must(&["reload"]);
        assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
    });
}

#[test]
fn a_bad_configuration_is_refused_at_start() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        daemon.configure_raw("config provider 'isp1'\n\toption devise 'eth1'\n");
        for words in [&["check"][..], &["run", "--foreground"]] {
            let output = daemon.command(words);
            assert_eq!(output.status.code(), Some(78), "{words:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(":2: "));
        }
        assert_eq!(ours(&lab), 0);
    });
}

/// Routes and rules of an earlier run with another configuration are deleted.
#[test]
fn leftovers_are_deleted() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &Settings::fast(&lab).global("start_metric", "300"));
        daemon.kill9();
        daemon.configure(&Settings::fast(&lab));
        daemon.launch();
        let tidy = || {
            Family::ALL.into_iter().all(|family| {
                let defaults = lab.router.defaults(family, TABLE);
                let metrics: Vec<u32> = defaults.iter().map(|route| route.metric).collect();
                metrics == [100, 101]
            })
        };
        assert!(
            wait_until(SOON, tidy),
            "{:?}\n{}",
            lab.router.defaults(Family::V4, TABLE),
            daemon.log()
        );
    });
}

/// Killed, and disabled before the next start: its routes are deleted, because no daemon adopts them.
#[test]
fn leftovers_are_deleted_when_it_is_disabled() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let before = ours(&lab);
        let off = Settings::fast(&lab).global("enabled", "0");
        // A running daemon's routes are not affected.
        daemon.configure(&off);
        assert!(daemon.command(&["run", "--foreground"]).status.success());
        assert_eq!(ours(&lab), before);

        daemon.kill9();
        daemon.configure(&off.clone().global("on_stop", "keep"));
        assert!(daemon.command(&["run", "--foreground"]).status.success());
        assert_eq!(ours(&lab), before);
        daemon.configure(&off);
        assert!(daemon.command(&["run", "--foreground"]).status.success());
        assert_eq!(ours(&lab), 0);
    });
}
