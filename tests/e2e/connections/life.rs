//! The daemon's own life: restarts, SIGKILL, stops, a flushed ruleset, no `nft`; connections do not notice.

use std::fs;

use failover::wire::saved_state::MAGIC;

use super::*;
use crate::inspect::{Monitor, lookups, no_hole};
use crate::lab::rights::in_lab;

/// The handles of our table's objects: a table that is made anew has others.
fn handles(lab: &Lab) -> Vec<String> {
    let text = table(lab).unwrap_or_default();
    let handle = |line: &str| Some(line.split_once("# handle ")?.1.to_owned());
    text.lines().filter_map(handle).collect()
}

/// With connections by both providers, the first of which leads.
fn with_connections(settings: &Settings, lab: &Lab, act: impl FnOnce(&mut Daemon)) {
    let mut daemon = begin(lab, settings);
    first_dies(lab, &daemon);
    let mut by_second = Family::ALL.map(|family| Traffic::start(lab, family, 2));
    first_returns(lab, &daemon);
    let by_first = Family::ALL.map(|family| Traffic::start(lab, family, 1));
    let before = handles(lab);
    act(&mut daemon);
    assert!(leads(lab, 1), "{}", daemon.log());
    for traffic in &mut by_second {
        traffic.goes_on_by(2, &daemon);
    }
    assert_eq!(handles(lab), before, "{}", daemon.log());
    // It still knows what to do.
    daemon.wait_for_all("online");
    first_dies(lab, &daemon);
    for traffic in by_first {
        traffic.moves_to(2, &daemon);
    }
    for traffic in &mut by_second {
        traffic.goes_on_by(2, &daemon);
    }
}

#[test]
fn a_restart_is_not_noticed() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab).global("on_stop", "keep");
        with_connections(&settings, &lab, |daemon| {
            assert!(daemon.terminate().success());
            daemon.launch();
        });
    });
}

#[test]
fn a_sudden_death_is_not_noticed() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        with_connections(&staying(&lab), &lab, |daemon| {
            daemon.kill9();
            daemon.launch();
        });
    });
}

/// As an upgrade does it, while another provider than the first leads: the kernel is told nothing, and no connection is
/// handed over. The second time, the saved state is of a version that the new program cannot read.
#[test]
fn an_upgrade_while_failed_over_is_not_noticed() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let mut daemon = begin(&lab, &staying(&lab));
        first_dies(&lab, &daemon);
        let mut all = Family::ALL.map(|family| Traffic::start(&lab, family, 2));
        for of_another_version in [false, true] {
            let tracked = || lab.entries(&["ESTABLISHED"]).len();
            let (connections, objects) = (tracked(), handles(&lab));
            let (lookups, monitor) = (lookups(&lab), Monitor::start(&lab, &daemon));
            daemon.kill9();
            if of_another_version {
                let state = daemon.file("state/state");
                let mut saved = fs::read(&state).unwrap();
                saved[MAGIC.len()] += 1;
                fs::write(&state, saved).unwrap();
            }
            daemon.launch();
            for provider in [("isp1", "offline"), ("isp2", "online")] {
                for family in ["ipv4", "ipv6"] {
                    daemon.wait_for(provider.0, family, provider.1);
                }
            }
            no_hole(lookups, &daemon);
            // Providers without a verdict are usable: they get their rules, until they have one.
            let told = (monitor.set(), monitor.deleted());
            assert!(told == (0, Vec::new()) || of_another_version, "{told:?}");
            for traffic in &mut all {
                traffic.goes_on_by(2, &daemon);
            }
            assert!(tracked() >= connections, "{}", daemon.log());
            assert_eq!(handles(&lab), objects, "{}", daemon.log());
            let journal = daemon.journal().join("\n");
            let started = journal.rfind("started").unwrap();
            let handed_over = journal[started..].contains("handed over");
            // What the dead provider may have left is looked for after a verdict.
            assert!(!handed_over || of_another_version, "{journal}");
        }
    });
}

/// The line dies while no daemon runs.
#[test]
fn a_death_in_the_absence_is_made_up_for() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let mut daemon = begin(&lab, &staying(&lab));
        let all = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        daemon.kill9();
        lab.upstream_dies(1);
        daemon.launch();
        assert!(leads(&lab, 2), "{}", daemon.log());
        for traffic in all {
            traffic.moves_to(2, &daemon);
        }
    });
}

/// Killed between the new route and the end of the hand-over, or right after it.
#[test]
fn a_hand_over_that_was_cut_off_is_made_up_for() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let mut daemon = begin(&lab, &staying(&lab));
        for _ in 0..3 {
            let mut sessions = Family::ALL.map(|f| Session::open(&lab.lan, target(f)).unwrap());
            lab.pull_cable(1);
            assert!(crate::leads_in(&lab, 2, Family::V4), "{}", daemon.log());
            daemon.kill9();
            daemon.launch();
            assert!(leads(&lab, 2), "{}", daemon.log());
            for session in &mut sessions {
                let _ = session.say_within(Duration::from_millis(500));
                assert_eq!(session.say(), Err(End::Reset), "{}", daemon.log());
            }
            lab.plug_cable(1);
            assert!(leads(&lab, 1), "{}", daemon.log());
        }
    });
}

#[test]
fn a_clean_stop_removes_the_table() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        for (value, stays) in [("keep", true), ("restore", false)] {
            let mut daemon = begin(&lab, &staying(&lab).global("on_stop", value));
            assert!(daemon.terminate().success());
            assert_eq!(table(&lab).is_some(), stays, "{value}");
        }
    });
}

/// Also right after a SIGKILL, by a run that is switched off.
#[test]
fn what_a_killed_run_left_is_removed() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab);
        let mut daemon = begin(&lab, &settings);
        daemon.kill9();
        daemon.configure(&settings.global("enabled", "0"));
        daemon.launch_unasked();
        assert!(daemon.wait().success());
        assert_eq!(table(&lab), None);
    });
}

#[test]
fn a_flushed_ruleset_is_made_anew() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Off);
        let daemon = begin(&lab, &staying(&lab));
        let mut traffic = Traffic::start(&lab, Family::V4, 1);
        for change in ["flush ruleset", "delete table inet failover"] {
            // Conntrack goes on as long as anything uses it.
            lab.nft(&format!("{change}\ntable inet lab_keeps {{ chain c {{ type filter hook forward priority 0; ct state new accept; }}\n }}"));
            has_table(&lab, &daemon);
            traffic.goes_on_by(1, &daemon);
        }
        first_dies(&lab, &daemon);
        traffic.moves_to(2, &daemon);
    });
}

#[test]
fn other_bits_are_taken_at_a_reload() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab);
        let daemon = begin(&lab, &settings);
        daemon.configure(&settings.global("mark_mask", "0xf000"));
        daemon.must(&["reload"]);
        let mut session = None;
        let marked = || {
            session = Session::open(&lab.lan, target(Family::V4)).ok();
            let port = session
                .as_ref()
                .map(|s| format!("sport={} ", s.local().port()));
            port.is_some_and(|port| lab.marks(&[&port]) == [0x1000])
        };
        assert!(wait_until(SOON, marked), "{}", daemon.log());
        first_dies(&lab, &daemon);
        let said = session.map(|mut session| session.say());
        assert_eq!(said, Some(Err(End::Reset)), "{}", daemon.log());
    });
}

/// Without `nft`: a warning, and everything else.
#[test]
fn without_nft_the_rest_works() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        let mut daemon = Daemon::prepare(&lab.router, &staying(&lab));
        let programs = daemon.file("programs");
        fs::create_dir(&programs).unwrap();
        for name in ["setpriv", "ip", "sh"] {
            let whole = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
            let found = whole.iter().map(|folder| format!("{folder}/{name}"));
            let found = found.into_iter().find(|file| fs::exists(file).unwrap());
            std::os::unix::fs::symlink(found.unwrap(), programs.join(name)).unwrap();
        }
        daemon.set("PATH", programs.display().to_string());
        daemon.launch();
        daemon.wait_for_all("online");
        let warned = || {
            let status = daemon.status();
            let all = status["warnings"].as_array().unwrap();
            all.iter().any(|warning| warning["code"] == "no-nft")
        };
        assert!(wait_until(SOON, warned), "{}", daemon.log());
        assert_eq!(table(&lab), None);
        first_dies(&lab, &daemon);
        assert!(new_ones_go_by(&lab, Family::V4, 2), "{}", daemon.log());
        first_returns(&lab, &daemon);
        assert!(new_ones_go_by(&lab, Family::V4, 1), "{}", daemon.log());
    });
}

/// Plain Linux: no table of the user, only what the option asks for.
#[test]
fn masquerade_needs_no_firewall_of_the_user() {
    in_lab(|| {
        let lab = Lab::builder().private_lan().build().carrying();
        let _services = Services::everywhere(&lab);
        let settings = Settings::fast(&lab)
            .provider("isp1", "masquerade", "1")
            .provider("isp2", "masquerade", "1");
        let daemon = begin(&lab, &settings);
        let traffic = Traffic::start(&lab, Family::V4, 1);
        first_dies(&lab, &daemon);
        traffic.moves_to(2, &daemon);
        let mut traffic = Traffic::start(&lab, Family::V4, 2);
        first_returns(&lab, &daemon);
        traffic.goes_on_by(2, &daemon);
        assert!(new_ones_go_by(&lab, Family::V4, 1), "{}", daemon.log());
    });
}
