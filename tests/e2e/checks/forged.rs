//! Answers that are not the server's: from hosts on the path, and from other hosts.

use super::super::inspect::counter;
use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{Behaviour as Dns, DnsServer};
use super::super::lab::servers::echo::{Behaviour as Echo, EchoServer};
use super::super::lab::{Daemon, Family, Lab};
use super::{
    answer, behaviours, elsewhere, never_offline, offline_because, one_provider, record,
    single_check, target, wait_for_requests,
};

/// A server, and a daemon with a check of it.
fn server_and_daemon(lab: &Lab, family: Family, good: Dns) -> (DnsServer, Daemon<'_>) {
    let other = lab.providers.get(1);
    let (at, elsewhere) = (target(family), elsewhere(family));
    let server = DnsServer::start(lab.provider(1), at, elsewhere, other, good);
    let options = [
        ("type", "dns"),
        ("query", "www.example.com"),
        ("record", record(family)),
    ];
    let mut settings = single_check(lab, family, &options).list("provider", "isp1", "check", "it");
    if other.is_some() {
        settings = settings
            .ping("ping", family)
            .list("provider", "isp2", "check", "ping");
    }
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");
    (server, daemon)
}

fn forged(family: Family) {
    let lab = one_provider();
    let right = answer(family);
    // Forged answers do not prevent the right one from being accepted.
    let good = Dns::ForgedThenRight(right);
    let (server, daemon) = server_and_daemon(&lab, family, good);
    wait_for_requests(&daemon, &server, 10);
    never_offline(&daemon);
    let bad = [
        Dns::WrongId(right),
        Dns::WrongQuestion(right),
        Dns::Query,
        Dns::FromElsewhere(right),
        Dns::FromOtherPort(right),
    ];
    let bad = bad.map(|behaviour| (behaviour, "unanswered"));
    behaviours(&daemon, family, &server, good, &bad);
}

#[test]
fn forged_answers_do_not_count_in_ipv4() {
    in_lab(|| forged(Family::V4));
}

#[test]
fn forged_answers_do_not_count_in_ipv6() {
    in_lab(|| forged(Family::V6));
}

/// Any router on the path can send an ICMP error. It only explains a missing answer.
fn icmp_errors(family: Family) {
    let lab = one_provider();
    let right = answer(family);
    let (server, daemon) = server_and_daemon(&lab, family, Dns::Right(right, 60));
    // Port unreachable; prohibited; host unreachable, if the kernel reports it.
    for (code_v4, code_v6) in [(3, 4), (13, 1), (1, 3)] {
        server.set(Dns::Unreachable(code_v4, code_v6, Some(right)));
        wait_for_requests(&daemon, &server, 10);
        never_offline(&daemon);
    }
    server.set(Dns::Unreachable(3, 4, None));
    offline_because(&daemon, family, &["connection refused"]);
    server.set(Dns::Right(right, 60));
    daemon.wait_for_all("online");
    server.set(Dns::Unreachable(13, 1, None));
    let reasons = ["host unreachable", "not permitted (by a firewall?)"];
    offline_because(&daemon, family, &reasons);
}

#[test]
fn an_icmp_error_is_no_answer_in_ipv4() {
    in_lab(|| icmp_errors(Family::V4));
}

#[test]
fn an_icmp_error_is_no_answer_in_ipv6() {
    in_lab(|| icmp_errors(Family::V6));
}

/// The same for pings: the error is counted, and reported if there is no answer.
fn icmp_errors_for_pings(family: Family) {
    let lab = one_provider();
    let server = EchoServer::start(lab.provider(1), target(family), Echo::Whole);
    let options = [("type", "ping")];
    let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
    daemon.wait_for_all("online");
    server.set(Echo::Unreachable(13, 1, true));
    wait_for_requests(&daemon, &server, 10);
    never_offline(&daemon);
    assert!(counter(&daemon, "icmp_errors") >= 8);
    server.set(Echo::Unreachable(13, 1, false));
    let code = if family == Family::V4 { 13 } else { 1 };
    let reason = format!("unanswered; the network says unreachable (ICMP code {code})");
    offline_because(&daemon, family, &[&reason]);
}

#[test]
fn an_icmp_error_is_no_answer_to_a_ping_in_ipv4() {
    in_lab(|| icmp_errors_for_pings(Family::V4));
}

#[test]
fn an_icmp_error_is_no_answer_to_a_ping_in_ipv6() {
    in_lab(|| icmp_errors_for_pings(Family::V6));
}

/// The answer arrives at the right address and port, but through the wrong provider.
fn wrong_path(family: Family) {
    let lab = super::two_providers();
    let right = answer(family);
    let (server, daemon) = server_and_daemon(&lab, family, Dns::Right(right, 60));
    let (own, second) = (lab.provider(1).own(family), lab.provider(2));
    let via = second.own(family);
    let gateway = &second.gateway;
    gateway.ip(&format!("route add {own} via {via} dev line"));
    server.set(Dns::ByOtherPath(right));
    offline_because(&daemon, family, &["unanswered"]);
    server.set(Dns::Right(right, 60));
    daemon.wait_for_all("online");
}

#[test]
fn an_answer_by_the_wrong_path_does_not_count_in_ipv4() {
    in_lab(|| wrong_path(Family::V4));
}

#[test]
fn an_answer_by_the_wrong_path_does_not_count_in_ipv6() {
    in_lab(|| wrong_path(Family::V6));
}
