//! Strict reverse-path filters, which drop the replies to a standby's probes: they are detected, reported, and the reported
//! command cures them.

use super::inspect::path;
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

/// The modem has forgotten the router, asks for its address, and hears from it.
fn modem_reaches_the_router(lab: &Lab, number: usize) -> bool {
    let provider = lab.provider(number);
    let (modem, own) = (&provider.gateway, provider.own(Family::V4).to_string());
    modem.run(&["ip", "neigh", "flush", "dev", "line"]);
    let ping = ["ping", "-c", "1", "-W", "5", &own];
    modem.output(&ping).status.success()
}

/// The kernel's ways from the router's addresses to its modems.
fn ways_to_modems(lab: &Lab) -> Vec<Option<String>> {
    let way = |number| {
        let provider = lab.provider(number);
        let (own, modem) = (
            provider.own(Family::V4),
            provider.gateway_address(Family::V4),
        );
        lab.router
            .way(&modem.to_string(), &["from", &own.to_string()])
    };
    [1, 2].map(way).to_vec()
}

/// Two modems of one make, each on a link of its own: `main` has their network by one device alone. A strict filter, and
/// `arp_filter` as well, then drop the ARP requests of the other modem, and it forgets the router every few seconds.
#[test]
fn two_modems_with_one_network_both_reach_the_router() {
    in_lab(|| {
        for filter in ["rp_filter", "arp_filter"] {
            let lab = Lab::builder().same_addresses().build().carrying();
            lab.renew_address(2);
            let variable = format!("ipv4/conf/all/{filter}");
            lab.router.sysctl(&variable, 1);
            let daemon = online_with(&lab, &Settings::fast(&lab));
            for dead in [None, Some(1), Some(2)] {
                if let Some(dead) = dead {
                    lab.upstream_dies(dead);
                    assert!(leads_in(&lab, 3 - dead, Family::V4), "{}", daemon.log());
                }
                for number in [1, 2, 1, 2] {
                    assert!(modem_reaches_the_router(&lab, number), "{filter} {number}");
                }
                let ways = [1, 2].map(|number| Some(format!("eth{number}")));
                assert_eq!(ways_to_modems(&lab), ways);
                if let Some(dead) = dead {
                    lab.upstream_returns(dead);
                    daemon.wait_for_all("online");
                }
            }
            assert_eq!(warnings(&daemon, "isp2"), [""; 0]);
        }
    });
}

/// The same with one address, too: the leader's modem is heard, and the verdicts stay as they are.
#[test]
fn of_two_modems_with_one_address_that_of_the_leader_reaches_the_router() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().nat().rp_filter(1).build();
        let lab = lab.carrying();
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for("isp1", "ipv4", "online");
        for (leader, other) in [(1, 2), (2, 1), (1, 2)] {
            // The router asks, so the modem knows it for a while.
            let device = format!("eth{other}");
            let dropped = || {
                lab.router.run(&["ip", "neigh", "flush", "dev", &device]);
                let status = daemon.status();
                let reason = &path(&status, &format!("isp{other}"), "ipv4")["reason"];
                reason
                    .as_str()
                    .unwrap_or_default()
                    .starts_with("answers arrive at")
            };
            assert!(wait_until(SOON, dropped), "{}", daemon.log());
            for _ in 0..3 {
                assert!(modem_reaches_the_router(&lab, leader), "{}", daemon.log());
                let way = Some(format!("eth{leader}"));
                assert_eq!(ways_to_modems(&lab), [way.clone(), way]);
            }
            assert!(leads_in(&lab, leader, Family::V4), "{}", daemon.log());
            lab.upstream_dies(leader);
            assert!(leads_in(&lab, other, Family::V4), "{}", daemon.log());
            daemon.wait_for(&format!("isp{other}"), "ipv4", "online");
            lab.upstream_returns(leader);
        }
        // Once for each death, and at the start for the second.
        let went = daemon.log().matches(" ipv4: online → offline").count();
        assert_eq!(went, 3, "{}", daemon.log());
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
