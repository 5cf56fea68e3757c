//! The verdict on a server's answer, and its cause in the journal.

use std::time::Duration;

use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{Behaviour as Dns, DnsServer};
use super::super::lab::servers::http::{Behaviour as Http, HttpServer};
use super::super::lab::{Daemon, Family};
use super::{
    answer, behaviours, elsewhere, never_offline, offline_because, one_provider, record,
    single_check, target, wait_for_answers, wait_for_requests,
};

const UNANSWERED: &str = "unanswered";
const PORTAL: &str = "answers with status 200 (a captive portal?)";

fn by_dns(family: Family) {
    let lab = one_provider();
    let (at, elsewhere, right) = (target(family), elsewhere(family), answer(family));
    let good = Dns::Right(right, 60);
    let server = DnsServer::start(lab.provider(1), at, elsewhere, None, good);
    let settings = single_check(
        &lab,
        family,
        &[
            ("type", "dns"),
            ("query", "www.example.com"),
            ("record", record(family)),
            ("expect", &right.to_string()),
        ],
    );
    let daemon = Daemon::start(&lab.router, &settings);
    let bad = [
        (Dns::Rcode(3), "answers with NXDOMAIN"),
        (Dns::Rcode(2), "answers with SERVFAIL"),
        (Dns::Empty, "answers without such a record"),
        (Dns::OfOther(right), "answers without such a record"),
        (Dns::Right(elsewhere, 60), "answers with another address"),
        (Dns::CutShort(right), "malformed answer"),
        (Dns::Garbage, UNANSWERED),
        (Dns::Silent, UNANSWERED),
        (Dns::Gone, "connection refused"),
    ];
    behaviours(&daemon, family, &server, good, &bad);
    let queries = server.requests();
    assert!(queries.iter().all(|query| query.name == "www.example.com"));
    let own = lab.provider(1).own(family);
    assert!(queries.iter().all(|query| query.from.ip() == own));
}

#[test]
fn of_a_dns_server_in_ipv4() {
    in_lab(|| by_dns(Family::V4));
}

#[test]
fn of_a_dns_server_in_ipv6() {
    in_lab(|| by_dns(Family::V6));
}

/// The time of an answer is measured from the query, however fast the server is.
#[test]
fn an_answer_of_a_dns_server_takes_its_time() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let (at, elsewhere) = (target(family), elsewhere(family));
        let good = Dns::Busy(answer(family));
        let _server = DnsServer::start(lab.provider(1), at, elsewhere, None, good);
        let options = [("type", "dns"), ("query", "www.example.com")];
        let daemon = Daemon::prepare(&lab.router, &single_check(&lab, family, &options));
        let text = daemon.must(&["probe", "isp1", "--count", "100", "--interval", "10ms"]);
        assert!(text.contains("answered in "), "{text}");
        assert!(!text.contains(" 0.0 ms"), "{text}");
    });
}

/// A server that knows nothing is a good one where that is what is asked for.
#[test]
fn a_dns_server_that_must_know_nothing() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let (at, elsewhere) = (target(family), elsewhere(family));
        let server = DnsServer::start(lab.provider(1), at, elsewhere, None, Dns::Rcode(3));
        let options = [("type", "dns"), ("query", "none.example"), ("rcode", "3")];
        let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
        let bad = [
            (Dns::Right(answer(family), 60), "answers with NOERROR"),
            (Dns::Rcode(5), "answers with REFUSED"),
        ];
        behaviours(&daemon, family, &server, Dns::Rcode(3), &bad);
    });
}

fn by_status(family: Family) {
    let lab = one_provider();
    let server = HttpServer::start(lab.provider(1), target(family), Http::NoContent);
    let options = [("type", "http"), ("path", "/generate_204")];
    let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
    let bad = [
        (
            Http::Redirect,
            "answers with status 302 (a captive portal?)",
        ),
        (Http::Page("please pay"), PORTAL),
        (Http::Silent, "accepts, but does not answer"),
        (
            Http::ByteByByte(Duration::from_millis(50)),
            "accepts, but does not answer",
        ),
        (Http::EndlessHeader, "answer without an end"),
        (Http::Garbage, "malformed answer"),
        (Http::Resets, "connection reset"),
        (Http::Refuses, "connection refused"),
    ];
    behaviours(&daemon, family, &server, Http::NoContent, &bad);

    // Whether the request is in time to be reset is not known.
    server.set(Http::Closes);
    offline_because(&daemon, family, &["malformed answer", "connection reset"]);
    // A slow server is a good one, if it is not too slow.
    server.set(Http::ByteByByte(Duration::from_micros(200)));
    daemon.wait_for("isp1", family.name(), "online");

    let requests = server.requests();
    let whole = requests.iter().find(|request| !request.text.is_empty());
    let text = &whole.expect("it was asked").text;
    let host = match target(family) {
        address if address.is_ipv6() => format!("[{address}]"),
        address => address.to_string(),
    };
    assert!(text.starts_with("GET /generate_204 HTTP/1.0\r\n"), "{text}");
    assert!(text.contains(&format!("\r\nHost: {host}\r\n")), "{text}");
}

#[test]
fn of_a_web_server_in_ipv4() {
    in_lab(|| by_status(Family::V4));
}

#[test]
fn of_a_web_server_in_ipv6() {
    in_lab(|| by_status(Family::V6));
}

/// A page must contain a text.
#[test]
fn of_a_web_page() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let good = Http::Page("<title>all is well</title>");
        let server = HttpServer::start(lab.provider(1), target(family), good);
        let options = [
            ("type", "http"),
            ("expect_status", "200"),
            ("expect_body", "all is well"),
            ("host", "www.example.com"),
        ];
        let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
        let bad = [
            (
                Http::Page("<title>please pay</title>"),
                "answers with another text (a captive portal?)",
            ),
            (Http::EndlessBody, "answer without an end"),
            (
                Http::NoContent,
                "answers with status 204 (a captive portal?)",
            ),
        ];
        behaviours(&daemon, family, &server, good, &bad);
        let requests = server.requests();
        assert!(requests[0].text.contains("\r\nHost: www.example.com\r\n"));
    });
}

fn by_connection(family: Family) {
    let lab = one_provider();
    let server = HttpServer::start(lab.provider(1), target(family), Http::Silent);
    let options = [("type", "tcp"), ("port", "80")];
    let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
    let bad = [(Http::Refuses, "connection refused")];
    behaviours(&daemon, family, &server, Http::Silent, &bad);

    // What the server sends does not matter.
    let before = daemon.must(&["log"]);
    for behaviour in [Http::Banner, Http::NoContent, Http::Garbage] {
        server.set(behaviour);
        wait_for_requests(&daemon, &server, 5);
    }
    assert_eq!(daemon.must(&["log"]), before);

    // Dropped packets are not answered.
    let swallow = "table inet swallow {
        chain arriving { type filter hook prerouting priority -300; tcp dport 80 drop; }
    }";
    let gateway = &lab.provider(1).server;
    gateway.feed(&["nft", "-f", "-"], swallow);
    offline_because(&daemon, family, &[UNANSWERED]);
    gateway.feed(&["nft", "-f", "-"], "delete table inet swallow");
    daemon.wait_for("isp1", family.name(), "online");
}

#[test]
fn of_a_connection_in_ipv4() {
    in_lab(|| by_connection(Family::V4));
}

#[test]
fn of_a_connection_in_ipv6() {
    in_lab(|| by_connection(Family::V6));
}

/// A host that refuses the connection is up.
#[test]
fn a_refusal_may_be_a_good_answer() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let server = HttpServer::start(lab.provider(1), target(family), Http::Silent);
        let options = [("type", "tcp"), ("port", "80"), ("accept_refused", "1")];
        let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
        daemon.wait_for("isp1", "ipv4", "online");
        server.set(Http::Refuses);
        wait_for_answers(&daemon, family, 10);
        never_offline(&daemon);
        lab.upstream_dies(1);
        offline_because(&daemon, family, &[UNANSWERED]);
    });
}
