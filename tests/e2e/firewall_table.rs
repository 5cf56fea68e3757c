//! The firewall table that marks connections: where it is, how long it stays, and what is told when it cannot be.

use std::fs;

use super::hooks::{RECORDER, calls, wait_for_transitions, with_hooks};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, other_target, query};
use super::{SOON, leads_in, netifd};

/// The table, as `nft` lists it, with its handle; empty: there is none.
fn table(lab: &Lab) -> String {
    let listed = lab
        .router
        .output(&["nft", "-a", "list", "table", "inet", "failover"]);
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

/// The first line, with the handle, which another table does not have, and the comment.
fn head(lab: &Lab) -> String {
    table(lab).lines().take(2).collect()
}

fn wait_for_table(lab: &Lab, daemon: &Daemon<'_>) -> String {
    let is_there = || table(lab).contains("comment \"failover ");
    assert!(wait_until(SOON, is_there), "{}", daemon.log());
    head(lab)
}

/// Waits until no packet of the daemon's could have made a table any more: it has answered twice.
fn wait_for_none(lab: &Lab, daemon: &Daemon<'_>) {
    assert!(
        wait_until(SOON, || table(lab).is_empty()),
        "{}",
        daemon.log()
    );
    daemon.status();
    daemon.status();
    assert_eq!(table(lab), "");
}

/// A lab whose router tracks connections, as it masquerades, and has tracked one.
fn tracking() -> Lab {
    let lab = Lab::builder().nat().build();
    lab.serve();
    lab
}

fn rules_of_marks(lab: &Lab, family: Family) -> Vec<u32> {
    let rules = lab.router.rules(family).into_iter();
    let ours = rules.filter(|rule| {
        (17_665..17_729).contains(&rule.pref) || (32_801..32_865).contains(&rule.pref)
    });
    ours.map(|rule| rule.pref).collect()
}

#[test]
fn it_is_there_where_forwarded_connections_are_tracked() {
    in_lab(|| {
        let lab = tracking();
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        assert_eq!(query(&lab.lan, other_target(Family::V4)), Outcome::By(1));
        daemon.must(&["reload"]);
        wait_for_table(&lab, &daemon);
        for family in Family::ALL {
            assert_eq!(
                rules_of_marks(&lab, family),
                [17_665, 17_666, 32_801, 32_802],
                "{family}"
            );
        }

        lab.router.sysctl("ipv4/ip_forward", 0);
        daemon.must(&["reload"]);
        let gone = || rules_of_marks(&lab, Family::V4).is_empty();
        assert!(wait_until(SOON, gone), "{}", daemon.log());
        assert!(
            table(&lab).contains("wan2") || table(&lab).contains("eth2"),
            "for IPv6 it stays"
        );
        lab.router.sysctl("ipv6/conf/all/forwarding", 0);
        daemon.must(&["reload"]);
        wait_for_none(&lab, &daemon);
        assert!(rules_of_marks(&lab, Family::V6).is_empty());
    });
}

/// At the boot the firewall starts after the daemon, and the first connection comes later still. No command is needed.
#[test]
fn it_is_there_soon_after_the_first_connection() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        assert_eq!(table(&lab), "");
        lab.nft(
            "table ip lab { chain leaving { type nat hook postrouting priority 100; oifname \"eth*\" masquerade; } }",
        );
        assert_eq!(query(&lab.lan, other_target(Family::V4)), Outcome::By(1));
        let is_there = || table(&lab).contains("comment \"failover ");
        assert!(wait_until(SOON, is_there), "{}", daemon.log());
    });
}

#[test]
fn it_is_nowhere_else() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        daemon.must(&["reload"]);
        wait_for_none(&lab, &daemon);
        assert!(rules_of_marks(&lab, Family::V4).is_empty());
    });
    in_lab(|| {
        // It tracks, but does not forward.
        let lab = tracking();
        lab.router
            .sysctls(&[("ipv4/ip_forward", 0), ("ipv6/conf/all/forwarding", 0)]);
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        wait_for_none(&lab, &daemon);
    });
}

#[test]
fn it_is_adopted_by_the_next_run_and_removed_by_a_clean_stop() {
    in_lab(|| {
        let lab = tracking();
        query(&lab.lan, other_target(Family::V4));
        let settings = Settings::fast(&lab).global("on_stop", "keep");
        let mut daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");
        daemon.must(&["reload"]);
        let first = wait_for_table(&lab, &daemon);
        daemon.kill9();
        assert_eq!(head(&lab), first);
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.status();
        assert_eq!(head(&lab), first, "adopted");
        daemon.terminate();
        assert_eq!(head(&lab), first, "kept");
        daemon.configure(&settings.global("on_stop", "restore"));
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.must(&["reload"]);
        assert_eq!(head(&lab), first, "adopted");
        daemon.terminate();
        assert_eq!(table(&lab), "", "restored");
    });
}

#[test]
fn it_is_made_again_after_flush_ruleset() {
    in_lab(|| {
        let lab = tracking();
        query(&lab.lan, other_target(Family::V4));
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        daemon.must(&["reload"]);
        let first = wait_for_table(&lab, &daemon);
        lab.router.run(&["nft", "flush", "ruleset"]);
        let second = wait_for_table(&lab, &daemon);
        assert_ne!(first, second);
        assert!(
            daemon
                .log()
                .contains("another program has deleted table inet failover")
        );
        // Others' changes are none.
        lab.router.run(&["nft", "add", "table", "inet", "other"]);
        lab.router.run(&["nft", "delete", "table", "inet", "other"]);
        daemon.status();
        assert_eq!(head(&lab), second);
    });
}

/// Without `nft`, or with one that refuses: one warning, everything else works, and a reload tries again.
#[test]
fn without_nft_there_is_one_warning() {
    in_lab(|| {
        let lab = tracking();
        query(&lab.lan, other_target(Family::V4));
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let refuses = "#!/bin/sh\ncat > /dev/null\necho run >> \"$RUNS\"\necho 'Error: no such thing' >&2\nexit 1\n";
        let runs = daemon.file("runs");
        daemon.set("RUNS", runs.display().to_string());
        daemon.install("nft", refuses);
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.must(&["reload"]);
        let warned = |what: &str| {
            let status = daemon.status();
            let warnings = status["warnings"].as_array().unwrap().iter();
            let ours: Vec<_> = warnings.filter(|w| w["code"] == "no-nft").collect();
            ours.len() == 1 && ours[0]["text"].as_str().unwrap().contains(what)
        };
        assert!(
            wait_until(SOON, || warned("Error: no such thing")),
            "{}",
            daemon.log()
        );
        let tries = fs::read_to_string(&runs).unwrap().lines().count();
        assert!(
            tries <= 4,
            "with IPsec and without, at the start and at the reload: {tries}"
        );
        lab.upstream_dies(1);
        assert!(leads_in(&lab, 2, Family::V4), "{}", daemon.log());
        lab.upstream_returns(1);

        fs::remove_file(daemon.file("bin/nft")).unwrap();
        daemon.must(&["reload"]);
        wait_for_table(&lab, &daemon);
        assert!(wait_until(SOON, || !warned("")), "{}", daemon.log());
    });
}

/// The connections of a dead provider are counted in the journal and told to hooks.
#[test]
fn what_is_handed_over_is_told() {
    in_lab(|| {
        let lab = tracking();
        query(&lab.lan, other_target(Family::V4));
        let mut daemon = with_hooks(&lab, &[("10-record", RECORDER, 0o755)]);
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.must(&["reload"]);
        wait_for_table(&lab, &daemon);
        for _ in 0..20 {
            assert_eq!(query(&lab.lan, other_target(Family::V4)), Outcome::By(1));
        }
        let known = calls(&daemon).len();
        lab.upstream_dies(1);
        wait_for_transitions(
            &daemon,
            known,
            &["swap isp2 isp1→isp2", "offline isp1 online→offline"],
        );
        let log = daemon.log();
        let told = log
            .lines()
            .find(|line| line.contains("connections handed over to isp2"));
        let told = told.unwrap_or_else(|| panic!("{log}"));
        let count = told
            .split("isp1 ipv4: about ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        assert!((18..=25).contains(&count.parse::<u32>().unwrap()), "{told}");
        assert!(
            daemon
                .must(&["log"])
                .contains(&format!("about {count} connections handed over to isp2"))
        );
        let all = calls(&daemon);
        let swap = all.iter().rfind(|call| call["ACTION"] == "swap").unwrap();
        assert_eq!(swap["CONNECTIONS"], count);
        let offline = all
            .iter()
            .rfind(|call| call["ACTION"] == "offline")
            .unwrap();
        assert_eq!(offline["CONNECTIONS"], "");
    });
}

/// A daemon whose table is in force, and twenty connections by the first provider.
fn with_connections<'lab>(lab: &'lab Lab, settings: &Settings) -> Daemon<'lab> {
    let daemon = Daemon::start(&lab.router, &settings.clone().global("connections", "stay"));
    daemon.wait_for_all("online");
    wait_for_table(lab, &daemon);
    connect(lab, 1);
    daemon
}

fn connect(lab: &Lab, provider: u8) {
    for _ in 0..20 {
        assert_eq!(
            query(&lab.lan, other_target(Family::V4)),
            Outcome::By(provider)
        );
    }
}

/// What the log says of hand-overs in IPv4: from, about how many, to.
fn handed_over(daemon: &Daemon<'_>) -> Vec<(String, u32, String)> {
    let log = daemon.log();
    let lines = log.lines().filter_map(|line| {
        let (from, rest) = line.split_once(" ipv4: about ")?;
        let (count, to) = rest.split_once(' ')?;
        let to = to.rsplit(' ').next()?;
        Some((
            from.rsplit(' ').next()?.to_owned(),
            count.parse().ok()?,
            to.to_owned(),
        ))
    });
    lines.collect()
}

/// Waits for the hand-over of the twenty connections.
fn wait_for_hand_over(daemon: &Daemon<'_>, from: &str, to: &str) {
    let told = || {
        let all = handed_over(daemon);
        let last = all.last();
        last.is_some_and(|(of, count, by)| {
            (of.as_str(), by.as_str()) == (from, to) && (18..=30).contains(count)
        })
    };
    assert!(wait_until(SOON, told), "{from} to {to}: {}", daemon.log());
}

#[test]
fn a_pin_a_disabled_provider_and_one_taken_out_are_handed_over() {
    in_lab(|| {
        let lab = tracking();
        let settings = Settings::fast(&lab);
        let daemon = with_connections(&lab, &settings);
        daemon.must(&["use", "isp2"]);
        wait_for_hand_over(&daemon, "isp1", "isp2");
        daemon.must(&["use", "auto"]);
        daemon.wait_for_all("online");
        assert!(leads_in(&lab, 1, Family::V4));
        assert_eq!(
            handed_over(&daemon).len(),
            1,
            "those of isp2 stay: {}",
            daemon.log()
        );

        connect(&lab, 1);
        daemon.must(&["disable", "isp1"]);
        assert!(leads_in(&lab, 2, Family::V4));
        let again = || handed_over(&daemon).len() == 2;
        assert!(wait_until(SOON, again), "{}", daemon.log());
        daemon.must(&["enable", "isp1"]);
        assert!(leads_in(&lab, 1, Family::V4));

        // Another takes its slot.
        connect(&lab, 1);
        let settings = settings
            .without_section("provider", "isp1")
            .provider("isp3", "device", "eth7");
        daemon.configure(&settings.global("connections", "stay"));
        daemon.must(&["reload"]);
        assert!(leads_in(&lab, 2, Family::V4));
        let again = || handed_over(&daemon).len() == 3;
        assert!(wait_until(SOON, again), "{}", daemon.log());
        wait_for_hand_over(&daemon, "isp1", "isp2");
    });
}

/// At the return of a better provider, and none of what it has is kept any more.
fn handed_over_at_a_return(connections: &str) {
    in_lab(|| {
        let lab = tracking();
        let settings = Settings::fast(&lab).provider("isp2", "connections", connections);
        let daemon = with_connections(&lab, &settings);
        lab.upstream_dies(1);
        wait_for_hand_over(&daemon, "isp1", "isp2");
        assert!(leads_in(&lab, 2, Family::V4));
        connect(&lab, 2);
        lab.upstream_returns(1);
        wait_for_hand_over(&daemon, "isp2", "isp1");
        assert!(
            !rules_of_marks(&lab, Family::V4).contains(&32_802),
            "none of it is kept"
        );
        assert_eq!(handed_over(&daemon).len(), 2, "{}", daemon.log());
    });
}

#[test]
fn a_provider_that_follows_is_handed_over_at_a_return() {
    handed_over_at_a_return("follow");
}

#[test]
fn one_whose_connections_stay_for_a_time_is_handed_over_afterwards() {
    handed_over_at_a_return("1s");
}

/// A restart hands nothing over, except for what has died meanwhile.
#[test]
fn what_dies_while_no_daemon_runs_is_handed_over_by_the_next() {
    in_lab(|| {
        let lab = tracking();
        let settings = Settings::fast(&lab);
        let mut daemon = with_connections(&lab, &settings);
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.status();
        assert!(handed_over(&daemon).is_empty(), "{}", daemon.log());
        daemon.kill9();
        lab.pull_cable(1);
        daemon.launch();
        wait_for_hand_over(&daemon, "isp1", "isp2");
    });
}

/// Until netifd has told the devices, the plan is not known: the table of the former run stays.
#[test]
fn it_is_adopted_where_netifd_tells_the_devices() {
    in_lab(|| {
        let lab = tracking();
        let settings = netifd::settings(&lab).global("connections", "stay");
        let mut daemon = netifd::prepared(&lab, &settings);
        netifd::all_is_up(&lab, &daemon);
        daemon.launch();
        daemon.wait_for_all("online");
        let devices = || table(&lab).contains("eth1") && table(&lab).contains("eth2");
        assert!(wait_until(SOON, devices), "{}", daemon.log());
        let first = head(&lab);
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.status();
        assert_eq!(head(&lab), first, "{}", daemon.log());

        // While an interface is down, its device is kept in the table: it comes back by its name.
        netifd::set_interface(&daemon, "wanb", &netifd::down("eth2"));
        daemon.must(&["refresh", "wanb"]);
        daemon.wait_for("isp2", "ipv4", "waiting");
        netifd::all_is_up(&lab, &daemon);
        daemon.must(&["refresh", "wanb"]);
        daemon.wait_for_all("online");
        assert_eq!(head(&lab), first, "{}", daemon.log());
    });
}
