//! Clean stops, at any instant; and two daemons at once.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::inspect::{Monitor, Random, lookups, no_hole, ours};
use super::lab::namespace::mortal;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, TABLE, leads, leads_table, online, online_with};

fn restores(settings: impl Fn(&Lab) -> Settings) {
    let lab = Lab::new();
    lab.learn_default(2, Family::V4, "dhcp", 5);
    lab.learn_default(2, Family::V6, "ra", 5);
    let theirs =
        || Family::ALL.map(|family| (lab.router.defaults(family, 254), lab.router.rules(family)));
    let before = theirs();
    let mut daemon = online_with(&lab, &settings(&lab));
    // There is a route at each instant, be it a foreign one.
    let lookups = lookups(&lab);
    assert_eq!(daemon.terminate().code(), Some(0));
    no_hole(lookups, &daemon);
    assert_eq!(ours(&lab), 0);
    assert_eq!(theirs(), before);
    assert!(!daemon.file("state/control.sock").exists());
}

#[test]
fn restores_a_table_of_our_own() {
    in_lab(|| restores(Settings::fast));
}

#[test]
fn restores_main() {
    in_lab(|| restores(|lab| Settings::fast(lab).global("table", "main")));
}

/// Traffic continues without a daemon, and the next one adopts the routes.
fn keeps(table: &'static str, number: u32) {
    let lab = Lab::new();
    let settings = Settings::fast(&lab)
        .global("on_stop", "keep")
        .global("table", table);
    let mut daemon = online_with(&lab, &settings);
    lab.upstream_dies(1);
    assert!(leads_table(&lab, 2, number));
    for family in ["ipv4", "ipv6"] {
        daemon.wait_for("isp1", family, "offline");
    }
    let monitor = Monitor::start(&lab, &daemon);
    let (lookups, before) = (lookups(&lab), ours(&lab));
    assert_eq!(daemon.terminate().code(), Some(0));
    assert_eq!(ours(&lab), before);
    assert!(leads_table(&lab, 2, number));
    daemon.launch();
    assert_eq!(daemon.path_state("isp1", "ipv4"), "offline");
    assert!(leads_table(&lab, 2, number));
    assert_eq!(ours(&lab), before);
    assert_eq!((monitor.set(), monitor.deleted().len()), (0, 0));
    no_hole(lookups, &daemon);
}

#[test]
fn keeps_a_table_of_our_own() {
    in_lab(|| keeps("176", TABLE));
}

#[test]
fn keeps_main() {
    in_lab(|| keeps("main", 254));
}

/// Stopped in the middle of swaps, of a start, of a reload.
#[test]
fn stops_cleanly_at_any_instant() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let mut random = Random(0x5709);
        for round in 0..40 {
            match round % 6 {
                0 => fs::write(daemon.sticky_file(), ["isp2", ""][round / 6 % 2]).unwrap(),
                1 => lab.pull_cable(1),
                2 => lab.plug_cable(1),
                3 => lab.remove_device(1),
                4 => lab.insert_device(1),
                _ => daemon.signal(Signal::SIGHUP),
            }
            std::thread::sleep(Duration::from_micros(random.below(3000)));
            assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.log());
            assert_eq!(ours(&lab), 0, "{}", daemon.log());
            assert!(!daemon.log().contains("error:"), "{}", daemon.log());
            if round % 3 == 0 {
                // Early in its start.
                daemon.launch_unasked();
                let made = || has_begun(&daemon);
                assert!(wait_until(SOON, made));
            } else {
                daemon.launch();
            }
        }
    });
}

/// Whether the signals are blocked already: an earlier one ends any process.
fn has_begun(daemon: &Daemon) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let blocked = status.lines().find_map(|l| l.strip_prefix("SigBlk:"));
    blocked.is_some_and(|mask| mask.trim() != "0000000000000000")
}

#[test]
fn the_second_on_a_state_directory_names_the_first() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let monitor = Monitor::start(&lab, &daemon);
        for _ in 0..3 {
            let output = daemon.command(&["run", "--foreground"]);
            assert_eq!(output.status.code(), Some(69));
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            let state = daemon.file("state");
            for word in [&daemon.pid().to_string(), state.to_str().unwrap()] {
                assert!(complaint.contains(word), "{complaint}");
            }
        }
        // It has changed nothing: neither socket nor routes nor state.
        daemon.must(&["use", "isp2"]);
        daemon.must(&["use", "auto"]);
        assert!(leads(&lab, 1));
        assert_eq!(monitor.deleted(), Vec::<String>::new());
    });
}

/// Both use the same protocol number, so each would take the other's routes for leftovers: only one can run.
#[test]
fn the_second_on_another_state_directory_names_the_first() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let monitor = Monitor::start(&lab, &daemon);
        let settings = Settings::fast(&lab).global("start_metric", "300");
        let mut other = Daemon::prepare(&lab.router, &settings);
        let output = other.command(&["run", "--foreground"]);
        assert_eq!(output.status.code(), Some(69));
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let pid = daemon.pid().to_string();
        assert!(complaint.contains(&pid), "{complaint}");
        assert_eq!((monitor.set(), monitor.deleted().len()), (0, 0));
        // A client with another state directory is not told that no daemon runs.
        let output = other.command(&["status"]);
        assert_eq!(output.status.code(), Some(69));
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            complaint.contains(&format!("the daemon, process {pid}, does not listen")),
            "{complaint}"
        );
        // The lock is free at once when the daemon has ended.
        daemon.kill9();
        other.launch();
        other.wait_for_all("online");
        let [first, second] = [0, 1].map(|place| {
            let defaults = lab.router.defaults(Family::V4, TABLE);
            defaults.get(place).map(|route| route.metric)
        });
        assert_eq!((first, second), (Some(300), Some(301)));
    });
}

/// Any user can bind names in the abstract namespace of unix(7); the lock does not use them.
#[test]
fn a_user_cannot_keep_the_daemon_from_running() {
    in_lab(|| {
        let lab = Lab::new();
        let mut squatter = mortal("setpriv");
        squatter
            .args(["--reuid", "65534", "--clear-groups"])
            .args(["socat", "ABSTRACT-LISTEN:failover,fork", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null());
        let mut squatter = lab.router.spawn(squatter).unwrap();
        let taken = || {
            let sockets = lab.router.output(&["cat", "/proc/net/unix"]);
            String::from_utf8_lossy(&sockets.stdout).contains("@failover")
        };
        if wait_until(Duration::from_secs(2), taken) {
            let daemon = online(&lab);
            assert!(leads(&lab, 1));
            assert!(
                !daemon.whole_log().contains("@failover"),
                "{}",
                daemon.log()
            );
            let second = Daemon::prepare(&lab.router, &Settings::fast(&lab));
            let refused = second.command(&["run", "--foreground"]);
            assert_eq!(refused.status.code(), Some(69));
        } else {
            // In a user namespace there is no other user.
            assert!(squatter.try_wait().unwrap().is_some());
        }
        let _ = squatter.kill();
        let _ = squatter.wait();
    });
}
