//! The packets of checks, and their number.

use std::time::{Duration, Instant};

use super::super::lab::capture::{Capture, Packet, flag, index};
use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{Behaviour as Dns, DnsServer};
use super::super::lab::servers::echo::{Behaviour as Echo, EchoServer};
use super::super::lab::servers::http::{Behaviour as Http, HttpServer};
use super::super::lab::{Daemon, Family, wait_until};
use super::{
    SOON, answer, bare, behaviours, elsewhere, never_offline, one_provider, record, single_check,
    target, wait_for_requests, with_check,
};

/// Bytes after the ICMP header.
fn size(packet: &Packet) -> usize {
    packet.payload().len() - 8
}

/// Pings with and without options, alternating, over one socket.
fn pings(family: Family) {
    let lab = one_provider();
    let [one, other] = [target(family), elsewhere(family)].map(|at| at.to_string());
    let mut settings = bare(&lab);
    for (name, options) in [
        ("plain", &[("target", one.as_str())][..]),
        (
            "marked",
            &[
                ("target", other.as_str()),
                ("size", "1000"),
                ("ttl", "17"),
                ("dscp", "46"),
            ],
        ),
    ] {
        settings = with_check(settings.with("check", name, "type", "ping"), name, options);
    }
    let mut capture = Capture::start(&lab.router);
    let daemon = Daemon::start(&lab.router, &settings.global("quorum", "all"));
    daemon.wait_for_all("online");
    let pings = |capture: &mut Capture, to: std::net::IpAddr| -> Vec<Packet> {
        let all = capture.packets().iter();
        all.filter(|p| p.outgoing && p.is_ping() && p.destination() == Some(to))
            .cloned()
            .collect()
    };
    let (mut plain, mut marked) = (Vec::new(), Vec::new());
    let enough = wait_until(SOON, || {
        plain = pings(&mut capture, target(family));
        marked = pings(&mut capture, elsewhere(family));
        plain.len() > 10 && marked.len() > 10
    });
    assert!(enough, "{}", daemon.log());
    for ping in marked {
        let header = (ping.ttl(), ping.tos(), size(&ping));
        assert_eq!(header, (17, 46 << 2, 1000));
    }
    for ping in plain {
        assert_eq!((ping.ttl(), ping.tos(), size(&ping)), (64, 0, 24 + 8));
    }
}

#[test]
fn pings_are_as_the_options_have_them_in_ipv4() {
    in_lab(|| pings(Family::V4));
}

#[test]
fn pings_are_as_the_options_have_them_in_ipv6() {
    in_lab(|| pings(Family::V6));
}

/// A reply that is not complete, or has other bytes, does not count.
fn in_full(family: Family, size: usize) {
    let lab = one_provider();
    let server = EchoServer::start(lab.provider(1), target(family), Echo::Whole);
    let text = size.to_string();
    let options = [("type", "ping"), ("size", &text)];
    let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
    let bad = [
        Echo::CutShort(size / 2),
        Echo::CutShort(1),
        Echo::Longer,
        Echo::Flipped,
    ];
    let bad = bad.map(|behaviour| (behaviour, "unanswered"));
    behaviours(&daemon, family, &server, Echo::Whole, &bad);
    assert!(server.requests().iter().all(|asked| *asked == size));
}

#[test]
fn a_ping_is_answered_in_full_or_not_in_ipv4() {
    in_lab(|| in_full(Family::V4, 32));
}

#[test]
fn a_ping_is_answered_in_full_or_not_in_ipv6() {
    in_lab(|| in_full(Family::V6, 200));
}

/// Answers to probes before a reload are not counted for probes after it.
#[test]
fn no_more_answers_are_counted_than_probes() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let late = Echo::Late(Duration::from_millis(150));
        let _server = EchoServer::start(lab.provider(1), target(family), late);
        let settings = |interval: &str| {
            single_check(&lab, family, &[("type", "ping"), ("interval", "10ms")])
                .global("interval", interval)
                .global("timeout", "500ms")
        };
        let daemon = Daemon::start(&lab.router, &settings("20ms"));
        daemon.wait_for_all("online");
        let counts = || {
            let status = daemon.status();
            let path = super::super::inspect::path(&status, "isp1", family.name());
            let check = &path["checks"][0];
            ["sent", "received"].map(|what| check[what].as_u64().expect("it is a number"))
        };
        for interval in ["21ms", "20ms", "21ms"] {
            daemon.configure(&settings(interval));
            daemon.must(&["reload"]);
            let mut worst = None;
            let enough = wait_until(SOON, || {
                let [sent, received] = counts();
                if received > sent {
                    worst = Some([sent, received]);
                }
                received >= 5
            });
            assert!(enough && worst.is_none(), "{worst:?} sent and received");
        }
    });
}

/// The TTL is too small: the router's ICMP error is reported, and is no answer.
#[test]
fn a_ping_that_goes_not_far_enough_is_unanswered() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let options = [("type", "ping"), ("ttl", "1")];
        let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
        super::offline_because(&daemon, family, &["unanswered"]);
        daemon.configure(&single_check(
            &lab,
            family,
            &[("type", "ping"), ("ttl", "2")],
        ));
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
    });
}

/// A connection over which nothing is sent is closed at once by FIN, not reset.
fn orderly_close(family: Family) {
    let lab = one_provider();
    let server = HttpServer::start(lab.provider(1), target(family), Http::Silent);
    let options = [("type", "tcp"), ("port", "80")];
    let daemon = Daemon::start(&lab.router, &single_check(&lab, family, &options));
    daemon.wait_for_all("online");
    let mut capture = Capture::start(&lab.router);
    wait_for_requests(&daemon, &server, 15);
    never_offline(&daemon);
    let (mut begun, mut ended) = (0, std::collections::BTreeSet::new());
    for packet in capture.packets() {
        if packet.outgoing && packet.has_flags(flag::SYN) {
            begun += 1;
            ended.remove(&packet.from());
        } else if packet.outgoing && packet.has_flags(flag::FIN) {
            ended.insert(packet.from());
        }
        // Only a segment that arrives after both sides have closed may be reset, by the server.
        let may_be = !packet.outgoing && ended.contains(&packet.to());
        assert!(may_be || !packet.has_flags(flag::RST), "{packet:?}");
    }
    assert!(begun >= 14);
}

#[test]
fn connections_are_not_cut_off_in_ipv4() {
    in_lab(|| orderly_close(Family::V4));
}

#[test]
fn connections_are_not_cut_off_in_ipv6() {
    in_lab(|| orderly_close(Family::V6));
}

/// Most bytes that a web server sends over one connection: the receive buffer, and what is in flight.
const HEARD_MAX: usize = 48 * 1024;

/// An endless page is read only as far as needed.
fn no_more_than_is_asked_for(family: Family, options: &[(&str, &str)]) {
    let lab = one_provider();
    let server = HttpServer::start(lab.provider(1), target(family), Http::EndlessBody);
    let mut capture = Capture::start(&lab.router);
    let usual = [("type", "http"), ("expect_status", "200")];
    let settings = with_check(single_check(&lab, family, &usual), "it", options);
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");
    wait_for_requests(&daemon, &server, 10);
    never_offline(&daemon);
    let mut heard = std::collections::BTreeMap::<_, usize>::new();
    let mut reset = 0;
    for packet in capture.packets() {
        if packet.outgoing && packet.has_flags(flag::RST) {
            reset += 1;
        } else if packet.from() == Some((target(family), 80).into()) {
            *heard.entry(packet.to()).or_default() += packet.length();
        }
    }
    let connections = heard.len();
    let most = heard.into_values().max();
    println!("at most {most:?} bytes over each of {connections} connections, {reset} resets");
    assert!(most.is_some_and(|most| most <= HEARD_MAX), "{most:?}");
    // The last one may still be open.
    assert!(reset + 1 >= connections && connections > 10);
}

#[test]
fn no_more_is_read_than_the_header() {
    in_lab(|| no_more_than_is_asked_for(Family::V4, &[]));
}

#[test]
fn no_more_is_read_than_the_text_that_is_expected() {
    in_lab(|| no_more_than_is_asked_for(Family::V6, &[("expect_body", "and more, and more")]));
}

/// Number of probes of each type: pings, connections to the ports of the `tcp` and the `http` check, DNS queries, and
/// requests on the link.
#[derive(Debug, Default, PartialEq)]
struct Traffic {
    pings: usize,
    tcp: usize,
    http: usize,
    dns: usize,
    link: usize,
}

const A_WHILE: Duration = Duration::from_secs(4);

/// Counts the probes for some time from a daemon's start, with the default intervals of all types.
fn traffic(family: Family, profile: &str) -> (Traffic, f64) {
    let lab = one_provider();
    let provider = lab.provider(1);
    let (at, other) = (target(family), elsewhere(family));
    let _dns = DnsServer::start(provider, at, other, None, Dns::Right(answer(family), 60));
    let _servers = [at, other].map(|at| HttpServer::start(provider, at, Http::NoContent));
    let (one, other_text) = (at.to_string(), other.to_string());
    let neighbours = if family == Family::V4 { "arp" } else { "ndp" };
    let checks: [(&str, &[(&str, &str)]); 5] = [
        ("ping", &[("type", "ping"), ("target", &one)]),
        ("tcp", &[("type", "tcp"), ("target", &one), ("port", "80")]),
        ("http", &[("type", "http"), ("target", &other_text)]),
        (
            "dns",
            &[
                ("type", "dns"),
                ("target", &one),
                ("query", "www.example.com"),
                ("record", record(family)),
            ],
        ),
        ("link", &[("type", neighbours)]),
    ];
    let settings = checks.iter().fold(
        bare(&lab).global("profile", profile),
        |settings, (name, options)| with_check(settings, name, options),
    );
    let mut capture = Capture::start(&lab.router);
    let device = index(&lab.router, "eth1");
    let begun = Instant::now();
    let daemon = Daemon::start(&lab.router, &settings);
    std::thread::sleep(A_WHILE);
    let mut seen = Traffic::default();
    let packets = capture.packets().to_vec();
    let time = begun.elapsed().as_secs_f64();
    for packet in packets.iter().filter(|p| p.outgoing && p.device == device) {
        let to = packet.destination();
        let syn = packet.has_flags(flag::SYN);
        // The kernel's own requests are unicast, ours are multicast; but in ARP, both are broadcast.
        seen.link += usize::from(packet.is_neighbour_request());
        seen.pings += usize::from(packet.is_ping());
        seen.tcp += usize::from(syn && to == Some(at));
        seen.http += usize::from(syn && to == Some(other));
        seen.dns += usize::from(packet.protocol() == 17);
    }
    drop(daemon);
    (seen, time)
}

/// At most one per interval, one at the beginning, and one for the cut intervals at the ends; on the link some more, from
/// the kernel. At least half of that.
fn bounds(family: Family, profile: &str, intervals: [f64; 5]) {
    let (seen, time) = traffic(family, profile);
    let Traffic {
        pings,
        tcp,
        http,
        dns,
        link,
    } = seen;
    let kinds = ["pings", "tcp", "http", "dns", "link"];
    for ((kind, count), interval) in kinds
        .iter()
        .zip([pings, tcp, http, dns, link])
        .zip(intervals)
    {
        let most = time / interval + 2.0 + if *kind == "link" { 4.0 } else { 0.0 };
        let least = (A_WHILE.as_secs_f64() / interval / 2.0).max(1.0);
        #[allow(clippy::cast_precision_loss)]
        let count = count as f64;
        assert!(
            (least.floor()..=most).contains(&count),
            "{profile}: {count} {kind} in {time:.1} s: {seen:?}"
        );
    }
}

#[test]
fn fast_sends_no_more_than_documented() {
    in_lab(|| {
        for family in Family::ALL {
            bounds(family, "fast", [0.1, 5.0, 30.0, 5.0, 1.0]);
        }
    });
}

#[test]
fn normal_sends_no_more_than_documented() {
    in_lab(|| bounds(Family::V4, "normal", [1.0, 5.0, 30.0, 5.0, 1.0]));
}

#[test]
fn metered_sends_no_more_than_documented() {
    in_lab(|| bounds(Family::V6, "metered", [30.0, 30.0, 300.0, 30.0, 30.0]));
}
