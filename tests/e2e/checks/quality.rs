//! Thresholds: a provider whose quality is too low is offline until it is good again.

use std::time::Duration;

use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{Behaviour as Dns, DnsServer};
use super::super::lab::servers::echo::{Behaviour as Echo, EchoServer};
use super::super::lab::{Daemon, Family};
use super::super::leads_in;
use super::{
    answer, bare, elsewhere, last_failure, never_offline, one_provider, single_check, target,
    with_check,
};

/// The journal's last cause of the path coming online again.
fn last_return(daemon: &Daemon, family: Family) -> String {
    let journal = daemon.must(&["log"]);
    let family = family.to_string();
    let fits = |line: &&str| {
        line.contains("isp1") && line.contains(&family) && line.contains("offline → online")
    };
    journal.lines().rfind(fits).unwrap_or_default().to_owned()
}

/// The number after some words and before a unit: 41 in `loss of 41% is`.
fn figure(line: &str, before: &str, unit: &str) -> f64 {
    let (_, behind) = line.split_once(before).unwrap_or_default();
    let (number, _) = behind.split_once(unit).unwrap_or_default();
    number.parse().unwrap_or(f64::NAN)
}

/// Every other ping is dropped; there are never three failed rounds in a row.
fn loss(family: Family) {
    let lab = super::two_providers();
    let settings = bare(&lab)
        .ping("ping", family)
        .global("window", "20")
        .global("max_loss", "30%")
        .global("recover_loss", "10%");
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");
    let drop = "table inet lossy {
        chain arriving {
            type filter hook prerouting priority -300;
            icmp type echo-request numgen inc mod 2 == 0 drop
            icmpv6 type echo-request numgen inc mod 2 == 0 drop
        }
    }";
    let server = &lab.provider(1).server;
    server.feed(&["nft", "-f", "-"], drop);
    daemon.wait_for("isp1", family.name(), "offline");
    assert!(leads_in(&lab, 2, family));
    let line = last_failure(&daemon, family);
    assert!(line.ends_with("% is above max_loss 30%"), "{line}");
    let lost = figure(&line, "loss of ", "%");
    assert!((31.0..=60.0).contains(&lost), "{line}");

    server.feed(&["nft", "-f", "-"], "delete table inet lossy");
    daemon.wait_for("isp1", family.name(), "online");
    assert!(leads_in(&lab, 1, family));
    let line = last_return(&daemon, family);
    assert!(line.ends_with("% is within recover_loss 10%"), "{line}");
    assert!(figure(&line, "loss of ", "%") <= 10.0, "{line}");
}

#[test]
fn of_loss_in_ipv4() {
    in_lab(|| loss(Family::V4));
}

#[test]
fn of_loss_in_ipv6() {
    in_lab(|| loss(Family::V6));
}

/// A host answers late.
fn latency(family: Family) {
    let lab = one_provider();
    let server = EchoServer::start(lab.provider(1), target(family), Echo::Whole);
    let settings = bare(&lab)
        .ping("ping", family)
        .global("window", "10")
        .global("max_latency", "100ms")
        .global("recover_latency", "60ms");
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");
    let slow = Duration::from_millis(150);
    server.set(Echo::Late(slow));
    daemon.wait_for("isp1", family.name(), "offline");
    let line = last_failure(&daemon, family);
    assert!(line.ends_with("ms is above max_latency 100ms"), "{line}");
    assert!(figure(&line, "latency of ", "ms") > 100.0, "{line}");
    server.set(Echo::Whole);
    daemon.wait_for("isp1", family.name(), "online");
    let line = last_return(&daemon, family);
    assert!(
        line.ends_with("ms is within recover_latency 60ms"),
        "{line}"
    );
    assert!(figure(&line, "latency of ", "ms") <= 60.0, "{line}");
}

#[test]
fn of_latency_in_ipv4() {
    in_lab(|| latency(Family::V4));
}

#[test]
fn of_latency_in_ipv6() {
    in_lab(|| latency(Family::V6));
}

/// Latency counts for other types of checks, too.
#[test]
fn of_a_slow_dns_server() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let (at, elsewhere, right) = (target(family), elsewhere(family), answer(family));
        let good = Dns::Right(right, 60);
        let server = DnsServer::start(lab.provider(1), at, elsewhere, None, good);
        let options = [("type", "dns"), ("query", "www.example.com")];
        let settings = single_check(&lab, family, &options)
            .global("interval", "200ms")
            .with("check", "it", "interval", "200ms")
            .global("window", "10")
            .global("max_latency", "60ms");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");
        server.set(Dns::Late(right, Duration::from_millis(120)));
        daemon.wait_for("isp1", "ipv4", "offline");
        let line = last_failure(&daemon, family);
        assert!(line.ends_with("ms is above max_latency 60ms"), "{line}");
        server.set(good);
        daemon.wait_for("isp1", "ipv4", "online");
        let line = last_return(&daemon, family);
        assert!(
            line.ends_with("ms is within recover_latency 45ms"),
            "{line}"
        );
    });
}

/// The latency varies between 0 and 120 ms; its average is good.
#[test]
fn of_jitter() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let server = EchoServer::start(lab.provider(1), target(family), Echo::Whole);
        let settings = bare(&lab)
            .ping("ping", family)
            .global("window", "10")
            .global("max_latency", "200ms")
            .global("max_jitter", "30ms");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");
        server.set(Echo::Alternating(Duration::from_millis(120)));
        daemon.wait_for("isp1", "ipv4", "offline");
        let line = last_failure(&daemon, family);
        assert!(
            line.contains(": jitter of ") || line.contains("jitter of "),
            "{line}"
        );
        assert!(line.ends_with("ms is above max_jitter 30ms"), "{line}");
        server.set(Echo::Whole);
        daemon.wait_for("isp1", "ipv4", "online");
    });
}

/// One lost ping is not too much loss.
#[test]
fn one_lost_ping_does_not_count() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let settings = with_check(bare(&lab).ping("ping", family), "ping", &[])
            .global("window", "20")
            .global("max_loss", "5%");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");
        let drop = "table inet once {
            chain arriving {
                type filter hook prerouting priority -300;
                icmp type echo-request numgen inc mod 1000000 == 0 drop
            }
        }";
        lab.provider(1).server.feed(&["nft", "-f", "-"], drop);
        super::wait_for_answers(&daemon, family, 25);
        never_offline(&daemon);
    });
}
