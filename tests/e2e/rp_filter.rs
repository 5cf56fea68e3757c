//! Strict reverse-path filters, which drop the replies to a standby's probes: they are detected, reported, and the reported
//! command cures them.

use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, leads_in, online_with};

/// The cures in the warnings about a provider's filter.
fn warnings(daemon: &Daemon, provider: &str) -> Vec<String> {
    let status = daemon.status();
    let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
    let about = warnings
        .iter()
        .filter(|w| w["code"] == "rp-filter" && w["provider"] == provider);
    about
        .map(|w| w["cure"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The command of the warning, from `status --json`; plain `status` shows the same.
fn cure(daemon: &Daemon, provider: &str) -> String {
    let told = || warnings(daemon, provider).len() == 1;
    assert!(wait_until(SOON, told), "{:#}", daemon.status());
    let command = warnings(daemon, provider).remove(0);
    let page = daemon.must(&["status"]);
    let told = format!("  cure: {command}");
    assert!(page.lines().any(|line| line == told), "{page}");
    daemon.logged(&format!("; cure: {command}\n"));
    command
}

fn is_cured(lab: &Lab, settings: &Settings) {
    let daemon = Daemon::start(&lab.router, settings);
    daemon.wait_for("isp1", "ipv4", "online");
    daemon.wait_for("isp2", "ipv4", "offline");
    for path in [("isp1", "ipv6"), ("isp2", "ipv6")] {
        daemon.wait_for(path.0, path.1, "online");
    }
    let command = cure(&daemon, "isp2");
    assert_eq!(command, "sysctl -w net.ipv4.conf.eth2.rp_filter=2");
    lab.router.run(&["sh", "-c", &command]);
    daemon.wait_for_all("online");
    let gone = || warnings(&daemon, "isp2").is_empty();
    assert!(wait_until(SOON, gone), "{:#}", daemon.status());
    // The other may be the standby later; while it leads, its replies are let in.
    assert_eq!(warnings(&daemon, "isp1"), [""; 0]);
    lab.upstream_dies(1);
    daemon.wait_for("isp1", "ipv4", "offline");
    lab.upstream_returns(1);
    daemon.wait_for("isp1", "ipv6", "online");
    let command = cure(&daemon, "isp1");
    lab.router.run(&["sh", "-c", &command]);
    daemon.wait_for_all("online");
    let gone = || warnings(&daemon, "isp1").is_empty();
    assert!(wait_until(SOON, gone), "{:#}", daemon.status());
}

fn without_policy_tables(lab: &Lab) -> Settings {
    Settings::fast(lab)
        .provider("isp1", "rt_table", "none")
        .provider("isp2", "rt_table", "none")
}

#[test]
fn without_policy_tables_it_is_reported_and_cured() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).build();
        is_cured(&lab, &without_policy_tables(&lab));
    });
}

#[test]
fn without_policy_tables_in_main_it_is_reported_and_cured() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).build();
        is_cured(&lab, &without_policy_tables(&lab).global("table", "main"));
    });
}

/// Policy tables do not help when the addresses are the same.
#[test]
fn with_equal_addresses_it_is_reported_and_cured() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().nat().rp_filter(1).build();
        is_cured(&lab, &Settings::fast(&lab));
    });
}

/// While the leader answers, the replies by the standby are dropped. When the leader dies, those that arrive tell which line
/// works: it leads, and is heard.
#[test]
fn a_standby_whose_replies_are_dropped_is_the_last_resort() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).build();
        // No answer is too late on a busy machine.
        let settings = without_policy_tables(&lab).global("timeout", "2s");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for("isp1", "ipv4", "online");
        let dropped = |number: usize| {
            let words = "ipv4: offline: answers arrive at";
            let line = format!("isp{number} {words} eth{number} ");
            daemon.log().matches(&line).count()
        };
        assert!(wait_until(SOON, || dropped(2) == 1), "{}", daemon.log());
        for (dead, heir, times) in [(1, 2, 1), (2, 1, 2)] {
            lab.upstream_dies(dead);
            assert!(leads_in(&lab, heir, Family::V4), "{}", daemon.log());
            daemon.wait_for(&format!("isp{heir}"), "ipv4", "online");
            assert!(leads_in(&lab, heir, Family::V4), "{}", daemon.log());
            lab.upstream_returns(dead);
            let told = || dropped(dead) == times;
            assert!(wait_until(SOON, told), "{}", daemon.log());
            assert!(leads_in(&lab, heir, Family::V4), "{}", daemon.log());
        }
    });
}

#[test]
fn with_policy_tables_there_is_no_warning() {
    in_lab(|| {
        for table in ["176", "main"] {
            let lab = Lab::builder().rp_filter(1).build();
            let daemon = online_with(&lab, &Settings::fast(&lab).global("table", table));
            assert_eq!(
                daemon.status()["warnings"].as_array().map(Vec::len),
                Some(0)
            );
        }
    });
}

#[test]
fn loose_or_no_filters_are_fine() {
    in_lab(|| {
        for filter in [0, 2] {
            let lab = Lab::builder().rp_filter(filter).build();
            let daemon = online_with(&lab, &without_policy_tables(&lab));
            assert_eq!(
                daemon.status()["warnings"].as_array().map(Vec::len),
                Some(0)
            );
        }
    });
}

/// Switched on while the daemon runs: reported when replies are dropped.
#[test]
fn it_is_reported_if_it_is_switched_on_later() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &without_policy_tables(&lab));
        lab.router.sysctl("ipv4/conf/eth2/rp_filter", 1);
        daemon.wait_for("isp2", "ipv4", "offline");
        let command = cure(&daemon, "isp2");
        lab.router.run(&["sh", "-c", &command]);
        daemon.wait_for_all("online");
        let gone = || warnings(&daemon, "isp2").is_empty();
        assert!(wait_until(SOON, gone), "{:#}", daemon.status());
    });
}
