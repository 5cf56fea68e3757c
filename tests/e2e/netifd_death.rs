//! Sudden death, where netifd tells which devices the providers have: the next daemon knows none of them yet.

use std::fs;

use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab};
use super::netifd::{all_is_up, prepared, settings};
use super::witness::{hammers, no_hole, ours};
use super::{leads, leads_in};

/// Everybody is online, by netifd's word.
fn online(lab: &Lab) -> Daemon<'_> {
    let mut daemon = prepared(lab, &settings(lab));
    all_is_up(lab, &daemon);
    daemon.launch();
    daemon.wait_for_all("online");
    assert!(leads(lab, 1));
    daemon
}

#[test]
fn the_routes_stay_and_so_does_what_was_known() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let (before, log) = (ours(&lab), daemon.log().len());
        let hammers = hammers(&lab);
        for _ in 0..5 {
            daemon.kill9();
            daemon.launch();
            daemon.wait_for_all("online");
        }
        no_hole(hammers, &daemon);
        assert_eq!(ours(&lab), before);
        let since = &daemon.log()[log..];
        for word in ["gone", "waiting", "probing", "leads"] {
            assert!(!since.contains(word), "{since}");
        }
    });
}

/// Where netifd does not answer, it is waited for a little while only.
#[test]
fn a_netifd_that_hangs_does_not_keep_it_from_starting() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        fs::write(daemon.file("netifd/wan.hangs"), "").unwrap();
        daemon.kill9();
        daemon.launch();
        daemon.wait_for("isp1", "ipv4", "waiting");
        // The others need not wait for it until it is given up, and asked again.
        daemon.wait_for("isp2", "ipv4", "online");
        assert!(leads_in(&lab, 2, Family::V4), "{}", daemon.log());
        fs::remove_file(daemon.file("netifd/wan.hangs")).unwrap();
        daemon.must(&["refresh"]);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
    });
}
