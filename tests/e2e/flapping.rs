//! Uplinks that come and go many times a second: one line of the journal that counts, and hooks hear how it ends.

use super::hooks::{RECORDER, calls, wait_for_transitions, with_hooks};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, wait_until};
use super::manual::devices;
use super::{SOON, leads_in, online};

/// So many times an uplink is lost; more than there could be lines of.
pub const TIMES: usize = 20;

/// The lines of the journal about a path's state, after those before the first loss.
fn lines(daemon: &Daemon, what: &str) -> Vec<String> {
    let log = daemon.must(&["log"]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = log.lines().map(words);
    lines.filter(|line| line.contains(what)).collect()
}

/// Loses and restores the uplink of isp1 again and again; each change is noticed.
pub fn flap(lab: &Lab, daemon: &Daemon, lose: impl Fn(&Lab), restore: impl Fn(&Lab)) {
    let waits = |wanted: bool| {
        let so = || (daemon.path_state("isp1", "ipv4") == "waiting") == wanted;
        assert!(wait_until(SOON, so), "{}", daemon.log());
    };
    for _ in 0..TIMES {
        lose(lab);
        waits(true);
        restore(lab);
        waits(false);
    }
}

/// Whatever the machine's load: few lines for many changes, and as few calls of hooks.
fn is_told_in_short(lab: &Lab, lose: impl Fn(&Lab), restore: impl Fn(&Lab)) {
    let mut daemon = with_hooks(lab, &[("10-record", RECORDER, 0o755)]);
    daemon.launch();
    daemon.wait_for_all("online");
    wait_for_transitions(
        &daemon,
        0,
        &["swap isp1 →isp1", "online isp1 waiting→online"],
    );
    let before = calls(&daemon).len();
    flap(lab, &daemon, lose, restore);
    daemon.wait_for_all("online");
    assert!(leads_in(lab, 1, Family::V4));
    let lines = lines(&daemon, "isp1 ipv4");
    let (bursts, single): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.contains('×'));
    assert!(!bursts.is_empty() && lines.len() < TIMES / 2, "{lines:#?}");
    assert!(single.len() <= 6, "{single:#?}");
    let state = bursts.iter().find(|line| line.contains("online")).unwrap();
    let times = state.split_once('×').unwrap().1.split(' ').next().unwrap();
    assert!(times.parse::<usize>().unwrap() >= TIMES, "{state}");
    // The log has the first lines, and the burst when it is calm; so have hooks.
    let logged = || {
        daemon
            .log()
            .lines()
            .filter(|l| l.contains("isp1 ipv4"))
            .count()
    };
    let log_counts = || daemon.log().contains('×');
    assert!(wait_until(SOON, log_counts), "{}", daemon.log());
    assert!(logged() < TIMES, "{}", daemon.log());
    let calm = || {
        let mut all = calls(&daemon);
        all.retain(|call| call["ACTION"] == "swap" && call["FAMILY"] == "ipv4");
        all.last().is_some_and(|call| call["NEW"] == "isp1")
    };
    assert!(
        wait_until(SOON, calm),
        "{:#?}\n{}",
        calls(&daemon),
        daemon.log()
    );
    let heard = calls(&daemon).split_off(before);
    assert!(heard.len() < TIMES, "{heard:#?}");
}

#[test]
fn a_carrier_that_flaps_is_one_line_that_counts() {
    in_lab(|| {
        is_told_in_short(
            &Lab::new(),
            |lab| lab.pull_cable(1),
            |lab| lab.plug_cable(1),
        )
    });
}

/// A VPN that comes and goes: the journal and hooks tell how it ends.
#[test]
fn a_manual_default_that_flaps() {
    in_lab(|| {
        let lab = Lab::new();
        devices(&lab);
        let mut daemon = with_hooks(&lab, &[("10-record", RECORDER, 0o755)]);
        daemon.launch();
        daemon.wait_for_all("online");
        wait_for_transitions(&daemon, 0, &["swap isp1 →isp1"]);
        let before = calls(&daemon).len();
        let overridden = |wanted: bool| {
            let so = || daemon.status()["overridden_by"]["ipv4"].is_object() == wanted;
            assert!(wait_until(SOON, so), "{}", daemon.log());
        };
        for _ in 0..TIMES {
            lab.router.ip("route add default dev wg0 metric 1");
            overridden(true);
            lab.router.ip("route del default dev wg0 metric 1");
            overridden(false);
        }
        lab.router.ip("route add default dev wg0 metric 1");
        overridden(true);
        let told = lines(&daemon, "in main)");
        assert!(told.len() < TIMES / 2, "{told:#?}");
        assert!(
            told.last()
                .unwrap()
                .contains("overridden by wg0 (metric 1 in main) ×"),
            "{told:#?}"
        );
        let ends = || {
            let all = calls(&daemon);
            all.last()
                .is_some_and(|call| (call["ACTION"].as_str(), call["NEW"].as_str()) == ("swap", ""))
                && all.len() < before + TIMES
        };
        assert!(
            wait_until(SOON, ends),
            "{:#?}\n{}",
            calls(&daemon),
            daemon.log()
        );
    });
}

/// The warning that comes and goes with the carrier is logged once.
#[test]
fn a_pinned_provider_that_flaps() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        daemon.must(&["use", "isp1"]);
        flap(
            &lab,
            &daemon,
            |lab| lab.device_down(1),
            |lab| lab.device_up(1),
        );
        let log = daemon.whole_log();
        let warned = log.matches("isp1: pinned, but without use in ipv4").count();
        assert!((1..TIMES / 2).contains(&warned), "{log}");
        let of_path = |line: &&str| line.contains("isp1 ipv4");
        assert!(log.lines().filter(of_path).count() < TIMES, "{log}");
    });
}

#[test]
fn an_address_that_flaps_is_one_line_that_counts() {
    let address = |lab: &Lab, verb: &str| {
        let own = lab.provider(1).addresses();
        let (address, length) = (own.own_v4, own.prefix_v4);
        lab.router
            .ip(&format!("addr {verb} {address}/{length} dev eth1"));
    };
    in_lab(|| {
        is_told_in_short(
            &Lab::new(),
            |lab| address(lab, "del"),
            |lab| address(lab, "add"),
        );
    });
}
