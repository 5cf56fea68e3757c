//! Answers that arrive at a path's device and are dropped on this machine: the cause says so, as long as it is so.

use super::checks::bare;
use std::time::Duration;

use super::checks::bound::{all_servers, all_types};
use super::inspect::path;
use super::lab::rights::in_lab;
use super::lab::uplink::Kind;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, online, online_with};

const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

fn sentence(device: &str) -> String {
    format!("answers arrive at {device} but are dropped on this machine (firewall or rp_filter)")
}

/// Waits for a state of the first provider.
fn all(daemon: &Daemon, state: &str) {
    for family in FAMILIES {
        daemon.wait_for("isp1", family, state);
    }
}

/// Status, explain and journal say so of a path.
fn is_told(daemon: &Daemon, provider: &str, family: &str) {
    let device = provider.replace("isp", "eth");
    let sentence = sentence(&device);
    let told = || path(&daemon.status(), provider, family)["reason"] == *sentence;
    assert!(
        wait_until(SOON, told),
        "{:#}\n{}",
        daemon.status(),
        daemon.log()
    );
    let line = format!("{provider} {family}: offline: {sentence}\n");
    assert!(daemon.logged(&line) >= 1, "{}", daemon.log());
    let explained = daemon.must(&["explain", provider]);
    let explained = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    let begin = format!("{provider} {family} is offline since ");
    let of_path = explained.split(&begin).nth(1).unwrap_or_default();
    let said = of_path.split(". ").next().unwrap_or_default();
    assert!(said.ends_with(&sentence), "{explained}");
}

/// It is not said any more, of any path.
fn is_over(daemon: &Daemon) {
    daemon.wait_for_all("online");
    let status = daemon.status();
    for (id, family, _) in daemon.path_states() {
        assert!(
            path(&status, &id, &family)["reason"].is_null(),
            "{status:#}"
        );
    }
}

fn drops(lab: &Lab, table: &str, rules: &str) {
    lab.router.feed(
        &["nft", "-f", "-"],
        &format!("table {table} {{\n{rules}\n}}\n"),
    );
}

/// Drops of echo replies at each place of a firewall where that can be done.
#[test]
fn a_firewall_that_drops_replies_is_named() {
    const REPLIES: &str = "iifname eth1 icmp type echo-reply drop
        iifname eth1 icmpv6 type echo-reply drop";
    let places = [
        ("inet", "hook input priority 0"),
        ("inet", "hook prerouting priority raw"),
        ("inet", "hook prerouting priority mangle"),
        ("netdev", "hook ingress device eth1 priority 0"),
    ];
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        for (number, (family, hook)) in places.into_iter().enumerate() {
            let known = daemon.log().len();
            let rules = format!("chain c {{ type filter {hook};\n{REPLIES}\n}}");
            drops(&lab, &format!("{family} cut"), &rules);
            for of in FAMILIES {
                daemon.wait_for("isp1", of, "offline");
                let told = || path(&daemon.status(), "isp1", of)["reason"] == *sentence("eth1");
                assert!(wait_until(SOON, told), "{hook}: {:#}", daemon.status());
                let count = daemon.whole_log()[known..]
                    .matches(&sentence("eth1"))
                    .count();
                assert!((1..=2).contains(&count), "{}", daemon.log());
            }
            if number == 0 {
                for of in FAMILIES {
                    is_told(&daemon, "isp1", of);
                }
            }
            lab.router
                .run(&["nft", &format!("delete table {family} cut")]);
            is_over(&daemon);
        }
    });
}

/// Of sessions alone: tcp, dns, http, by address and by name. The first answer comes before the daemon goes on.
fn answers_to_sessions_are_recognised(kind: &str) {
    let lab = Lab::new().carrying();
    let _servers = all_servers(&lab, 1);
    let mut settings = bare(&lab);
    for family in Family::ALL {
        settings = all_types(settings, "isp1", family);
    }
    settings = settings.without("provider", "isp1", "check");
    for family in FAMILIES {
        settings = settings.list("provider", "isp1", "check", &format!("{kind}_{family}"));
    }
    let daemon = Daemon::start(&lab.router, &settings);
    all(&daemon, "online");
    let rules = "chain c { type filter hook input priority 0;
        iifname eth1 meta l4proto { tcp, udp } drop\n}";
    drops(&lab, "inet cut", rules);
    all(&daemon, "offline");
    for family in FAMILIES {
        is_told(&daemon, "isp1", family);
    }
    lab.router.run(&["nft", "delete table inet cut"]);
    all(&daemon, "online");
}

#[test]
fn answers_to_tcp_are_recognised() {
    in_lab(|| answers_to_sessions_are_recognised("tcp"));
}

#[test]
fn answers_to_dns_are_recognised() {
    in_lab(|| answers_to_sessions_are_recognised("dns"));
}

#[test]
fn answers_to_http_are_recognised() {
    in_lab(|| {
        answers_to_sessions_are_recognised("http");
        answers_to_sessions_are_recognised("named");
    });
}

#[test]
fn a_strict_filter_is_named() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).build();
        let settings = Settings::fast(&lab)
            .provider("isp1", "rt_table", "none")
            .provider("isp2", "rt_table", "none");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for("isp2", "ipv4", "offline");
        is_told(&daemon, "isp2", "ipv4");
        lab.router.sysctl("ipv4/conf/eth2/rp_filter", 2);
        is_over(&daemon);
    });
}

/// A line that is dead, one whose gateway is dead, and other traffic that arrives, are no such case.
#[test]
fn a_dead_line_is_not_taken_for_a_firewall() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &Settings::fast(&lab));
        lab.upstream_dies(1);
        all(&daemon, "offline");
        let asked = |of: &str| {
            let status = daemon.status();
            path(&status, "isp1", of)["checks"][0]["sent"]
                .as_u64()
                .unwrap()
        };
        for of in FAMILIES {
            let before = asked(of);
            // Pings of another program are answered by the gateway meanwhile.
            let gateway = lab.provider(1).gateway_address(Family::V4).to_string();
            lab.router.run(&["ping", "-c", "3", "-i", "0.2", &gateway]);
            assert!(wait_until(SOON, || asked(of) > before + 30));
        }
        assert!(
            !daemon.whole_log().contains("dropped on this machine"),
            "{}",
            daemon.log()
        );
        lab.upstream_returns(1);
        is_over(&daemon);
        assert!(
            !daemon.whole_log().contains("dropped on this machine"),
            "{}",
            daemon.log()
        );
    });
}

/// Answers that come too late do reach us, also those just before the line dies.
#[test]
fn late_answers_are_not_taken_for_dropped_ones() {
    in_lab(|| {
        let delay = Duration::from_millis(150);
        let lab = Lab::builder()
            .kind(1, Kind::PointToPoint)
            .delay(delay)
            .build();
        let settings = Settings::fast(&lab).provider("isp1", "timeout", "100ms");
        let daemon = Daemon::start(&lab.router, &settings);
        all(&daemon, "offline");
        let count = |field: &str| {
            let status = daemon.status();
            path(&status, "isp1", "ipv4")["checks"][0][field]
                .as_u64()
                .unwrap()
        };
        for _ in 0..3 {
            let heard = count("received");
            assert!(wait_until(SOON, || count("received") > heard + 10));
            lab.upstream_dies(1);
            let sent = count("sent");
            assert!(wait_until(SOON, || count("sent") > sent + 15));
            lab.upstream_returns(1);
        }
        let log = daemon.whole_log();
        assert!(!log.contains("dropped on this machine"), "{log}");
    });
}

/// The sockets are open only while a path is silent.
#[test]
fn the_sockets_are_closed_again() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let sockets = || {
            let all = lab.router.run(&["cat", "/proc/net/packet"]);
            all.lines().skip(1).count()
        };
        assert_eq!(sockets(), 0);
        lab.upstream_dies(1);
        assert!(wait_until(SOON, || sockets() == 2), "{}", sockets());
        daemon.must(&["use", "isp2"]);
        assert!(wait_until(SOON, || sockets() == 0), "{}", sockets());
        daemon.must(&["use", "auto"]);
        all(&daemon, "offline");
        assert!(wait_until(SOON, || sockets() == 2), "{}", sockets());
        lab.pull_cable(1);
        assert!(wait_until(SOON, || sockets() == 0), "{}", sockets());
        lab.plug_cable(1);
        all(&daemon, "offline");
        assert!(wait_until(SOON, || sockets() == 2), "{}", sockets());
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        assert!(wait_until(SOON, || sockets() == 0), "{}", sockets());
    });
}
