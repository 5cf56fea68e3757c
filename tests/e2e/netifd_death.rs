//! SIGKILL with netifd interfaces: at its start, the next daemon knows no devices of the providers yet.

use std::fs;

use super::inspect::{Monitor, children, lookups, no_hole, ours};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, wait_until};
use super::netifd::{all_is_up, asked, prepared, settings};
use super::{SOON, leads};

/// A daemon whose providers get their devices from netifd; all paths are online.
fn online(lab: &Lab) -> Daemon<'_> {
    let mut daemon = prepared(lab, &settings(lab));
    all_is_up(lab, &daemon);
    daemon.launch();
    daemon.wait_for_all("online");
    assert!(leads(lab, 1));
    daemon
}

#[test]
fn the_routes_stay_and_the_state_is_restored() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let (before, log) = (ours(&lab), daemon.log().len());
        let lookups = lookups(&lab);
        for _ in 0..5 {
            daemon.kill9();
            daemon.launch();
            daemon.wait_for_all("online");
        }
        no_hole(lookups, &daemon);
        assert_eq!(ours(&lab), before);
        let since = &daemon.whole_log()[log..];
        for word in ["gone", "waiting", "probing", "leads"] {
            assert!(!since.contains(word), "{since}");
        }
    });
}

/// The routes of an earlier run stay until netifd has answered, however long that takes; meanwhile the daemon serves
/// clients.
#[test]
fn a_netifd_that_is_slow_leaves_the_routes_as_they_are() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        fs::write(daemon.file("netifd/.late"), "3").unwrap();
        let (before, log) = (ours(&lab), daemon.log().len());
        let (lookups, monitor) = (lookups(&lab), Monitor::start(&lab, &daemon));
        daemon.kill9();
        daemon.launch();
        assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
        assert!(!children(daemon.pid()).is_empty(), "netifd was not late");
        // Also if other events happen in the kernel.
        lab.router
            .ip("link add other type bridge\nlink set other up");
        let told = || children(daemon.pid()).is_empty();
        assert!(wait_until(2 * SOON, told), "{}", daemon.log());
        daemon.wait_for_all("online");
        no_hole(lookups, &daemon);
        assert_eq!(monitor.deleted(), [""; 0]);
        assert_eq!((ours(&lab), asked(&daemon)), (before, 2));
        let since = &daemon.whole_log()[log..];
        for word in ["gone", "waiting", "probing", "leads"] {
            assert!(!since.contains(word), "{since}");
        }
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
    });
}

/// If netifd fails for a moment, or is starting, the routes of an earlier run are not withdrawn.
#[test]
fn a_netifd_that_fails_for_a_moment_leaves_the_routes_as_they_are() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        for fault in [".gone", ".garbage"] {
            let before = ours(&lab);
            let (lookups, monitor) = (lookups(&lab), Monitor::start(&lab, &daemon));
            let fault = daemon.file("netifd").join(fault);
            fs::write(&fault, "").unwrap();
            daemon.kill9();
            let questions = asked(&daemon);
            daemon.launch();
            assert!(
                wait_until(SOON, || asked(&daemon) > questions + 2),
                "{}",
                daemon.log()
            );
            assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
            let warned = daemon.status()["warnings"]
                .to_string()
                .contains("no-netifd");
            assert!(warned, "{}", daemon.log());
            fs::remove_file(&fault).unwrap();
            let mended = || {
                !daemon.status()["warnings"]
                    .to_string()
                    .contains("no-netifd")
            };
            assert!(wait_until(SOON, mended), "{}", daemon.log());
            daemon.wait_for_all("online");
            no_hole(lookups, &daemon);
            assert_eq!(monitor.deleted(), [""; 0]);
            assert_eq!(ours(&lab), before);
        }
    });
}

/// If netifd does not answer, the call is given up: its interfaces wait, other providers work.
#[test]
fn a_netifd_that_hangs_is_given_up() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let mut settings = settings(&lab)
            .without("provider", "isp2", "interface")
            .provider("isp2", "device", "eth2");
        for family in Family::ALL {
            let gateway = lab.provider(2).gateway_address(family).to_string();
            settings = settings.list("provider", "isp2", "gateway", &gateway);
        }
        daemon.configure(&settings);
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        fs::write(daemon.file("netifd/.hangs"), "").unwrap();
        daemon.kill9();
        daemon.launch();
        assert!(leads(&lab, 1));
        daemon.wait_for("isp2", "ipv4", "online");
        let given_up = || daemon.path_state("isp1", "ipv4") == "waiting";
        assert!(wait_until(2 * SOON, given_up), "{}", daemon.log());
        assert!(leads(&lab, 2), "{}", daemon.log());
        fs::remove_file(daemon.file("netifd/.hangs")).unwrap();
        daemon.must(&["refresh"]);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
        // A daemon that is stopped meanwhile does not wait.
        fs::write(daemon.file("netifd/.hangs"), "").unwrap();
        daemon.kill9();
        daemon.launch();
        assert!(!children(daemon.pid()).is_empty());
        assert!(daemon.terminate().success());
        assert_eq!(ours(&lab), 0);
    });
}
