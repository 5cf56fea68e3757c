//! Required checks, which must succeed whatever the quorum; and checks with a long interval.

use std::time::{Duration, Instant};

use super::super::inspect::path;
use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{Behaviour as Dns, DnsServer};
use super::super::lab::servers::http::{Behaviour as Http, HttpServer};
use super::super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::super::{SOON, leads_in};
use super::{
    answer, bare, elsewhere, never_offline, offline_because, one_provider, single_check, target,
    wait_for_requests, with_check,
};

/// A ping in each round, and a page.
fn ping_and_page(lab: &Lab, family: Family, options: &[(&str, &str)]) -> Settings {
    let target = target(family).to_string();
    let page = [("type", "http"), ("target", target.as_str())];
    let settings = with_check(bare(lab).ping("ping", family), "page", &page);
    with_check(settings, "page", options)
}

fn portal(family: Family) {
    let lab = super::two_providers();
    let servers = [1, 2]
        .map(|number| HttpServer::start(lab.provider(number), target(family), Http::NoContent));
    let options = [("required", "1"), ("interval", "100ms")];
    let daemon = Daemon::start(&lab.router, &ping_and_page(&lab, family, &options));
    daemon.wait_for_all("online");
    assert!(leads_in(&lab, 1, family));

    servers[0].set(Http::Redirect);
    let reason = "answers with status 302 (a captive portal?)";
    offline_because(&daemon, family, &[reason]);
    assert!(leads_in(&lab, 2, family), "{}", daemon.log());
    servers[0].set(Http::NoContent);
    daemon.wait_for_all("online");
    assert!(leads_in(&lab, 1, family), "{}", daemon.log());
}

#[test]
fn a_portal_fails_a_provider_in_ipv4() {
    in_lab(|| portal(Family::V4));
}

#[test]
fn a_portal_fails_a_provider_in_ipv6() {
    in_lab(|| portal(Family::V6));
}

/// One successful check is enough by default.
#[test]
fn a_portal_fails_no_path_when_a_ping_is_enough() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let server = HttpServer::start(lab.provider(1), target(family), Http::NoContent);
        let options = [("interval", "100ms")];
        let daemon = Daemon::start(&lab.router, &ping_and_page(&lab, family, &options));
        daemon.wait_for_all("online");
        for behaviour in [Http::Redirect, Http::Refuses, Http::Silent] {
            server.set(behaviour);
            let bad = || {
                let status = daemon.status();
                let checks = path(&status, "isp1", "ipv4")["checks"].clone();
                let mut checks = checks.as_array().into_iter().flatten();
                let number = |value: &serde_json::Value| value.as_u64().unwrap_or_default();
                checks.any(|check| {
                    check["type"] == "http"
                        && check["state"] == "lost"
                        && number(&check["sent"]) > number(&check["received"]) + 3
                })
            };
            assert!(wait_until(SOON, bad), "{}", daemon.status());
        }
        never_offline(&daemon);
    });
}

/// The time until a dead upstream is detected.
fn detection_time(lab: &Lab, settings: &Settings) -> Duration {
    let daemon = Daemon::start(&lab.router, settings);
    daemon.wait_for_all("online");
    lab.upstream_dies(1);
    let death = Instant::now();
    daemon.wait_for("isp1", "ipv4", "offline");
    let noticed = death.elapsed();
    lab.upstream_returns(1);
    noticed
}

/// A page is requested every 30 s, and its last result holds meanwhile; but it does not outweigh unanswered pings.
#[test]
fn a_required_check_with_a_long_interval_does_not_delay_detection() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let server = HttpServer::start(lab.provider(1), target(family), Http::NoContent);
        let pings = detection_time(&lab, &bare(&lab).ping("ping", family));
        let both = ping_and_page(&lab, family, &[("required", "1")]);
        let with_page = detection_time(&lab, &both);
        let with_page_beside = detection_time(&lab, &both.without("check", "page", "required"));
        assert_eq!(server.asked(), 2, "a page is asked for seldom");
        // By rounds: 3 x 100 ms + 300 ms, plus delays of the machine.
        let bound = pings + Duration::from_millis(600);
        assert!(
            with_page < bound && with_page_beside < bound,
            "{pings:?}, {with_page:?}, {with_page_beside:?}"
        );
    });
}

/// How many probes of the only check were sent, and how many were lost so far.
fn losses(daemon: &Daemon) -> (u64, u64) {
    let status = daemon.status();
    let check = &path(&status, "isp1", "ipv4")["checks"][0];
    let number = |name: &str| check[name].as_u64().unwrap_or_default();
    (number("sent"), number("sent") - number("received"))
}

#[test]
fn one_query_that_is_not_answered_fails_no_path() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let (at, elsewhere, right) = (target(family), elsewhere(family), answer(family));
        let good = Dns::Right(right, 60);
        let server = DnsServer::start(lab.provider(1), at, elsewhere, None, good);
        let options = [
            ("type", "dns"),
            ("query", "www.example.com"),
            ("interval", "1s"),
        ];
        let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
        daemon.wait_for_all("online");
        server.set(Dns::DeafOnce(right));
        wait_for_requests(&daemon, &server, 3);
        let settled = || losses(&daemon).1 == 1;
        assert!(wait_until(SOON, settled), "{:?}", losses(&daemon));
        never_offline(&daemon);
        // Two in a row are still no failure; a third is.
        server.set(Dns::Silent);
        offline_because(&daemon, family, &["unanswered"]);
        server.set(good);
        daemon.wait_for_all("online");
    });
}

#[test]
fn one_segment_that_is_dropped_fails_no_path() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let server = HttpServer::start(lab.provider(1), target(family), Http::NoContent);
        let options = [("type", "http"), ("interval", "1s")];
        let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
        daemon.wait_for_all("online");
        // Only the first one is dropped.
        let drop = "table inet once {
            chain arriving {
                type filter hook prerouting priority -300;
                tcp dport 80 tcp flags & (syn | ack) == syn numgen inc mod 1000000 == 0 drop
            }
        }";
        lab.provider(1).server.feed(&["nft", "-f", "-"], drop);
        wait_for_requests(&daemon, &server, 2);
        let settled = || losses(&daemon).1 == 1;
        assert!(wait_until(SOON, settled), "{:?}", losses(&daemon));
        never_offline(&daemon);
    });
}
