//! The packets of a path leave by its device, and from a port of their own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::lab::capture::{Capture, Packet, flag, index};
use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{Behaviour as Dns, DnsServer};
use super::super::lab::servers::http::{Behaviour as Http, HttpServer};
use super::super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, answer, bare, elsewhere, record, target, with_check};

/// Checks of all types in a family, made through one provider in each round.
pub fn all_types(mut settings: Settings, provider: &str, family: Family) -> Settings {
    let (at, record, name) = (target(family).to_string(), record(family), family.name());
    let neighbours = if family == Family::V4 { "arp" } else { "ndp" };
    let checks: [(&str, &[(&str, &str)]); 6] = [
        ("ping", &[("type", "ping"), ("target", &at)]),
        ("tcp", &[("type", "tcp"), ("target", &at), ("port", "80")]),
        (
            "dns",
            &[
                ("type", "dns"),
                ("target", &at),
                ("query", "www.example.com"),
                ("record", record),
            ],
        ),
        ("http", &[("type", "http"), ("target", &at)]),
        (
            "named",
            &[
                ("type", "http"),
                ("target", "www.example.com"),
                ("resolver", &at),
                ("family", name),
            ],
        ),
        ("link", &[("type", neighbours)]),
    ];
    for (check, options) in checks {
        let check = format!("{check}_{name}");
        settings = with_check(settings, &check, options)
            .with("check", &check, "interval", "100ms")
            .list("provider", provider, "check", &check);
    }
    settings
}

/// Servers for all of them; a name is resolved anew each time.
pub fn all_servers(lab: &Lab, number: usize) -> Vec<(DnsServer, HttpServer)> {
    let provider = lab.provider(number);
    let start = |family| {
        let at = target(family);
        let good = Dns::Right(at, 0);
        (
            DnsServer::start(provider, at, elsewhere(family), None, good),
            HttpServer::start(provider, at, Http::NoContent),
        )
    };
    Family::ALL.map(start).into()
}

/// The packets to the target, and the requests for the second gateway: their device and their kind.
fn ours(lab: &Lab, packets: &[Packet]) -> Vec<(usize, String)> {
    let [first, second] = [1, 2].map(|number| lab.provider(number).addresses());
    let (v4, v6) = (second.gateway_v4.octets(), second.gateway_v6.octets());
    // With equal addresses it is also the other provider's gateway.
    let told_apart = first.gateway_v4 != second.gateway_v4;
    let mut seen = Vec::new();
    for packet in packets.iter().filter(|packet| packet.outgoing) {
        let to = packet.destination();
        let to_target = Family::ALL.map(target).iter().any(|at| to == Some(*at));
        let asks = packet.is_neighbour_request()
            && (packet.bytes.ends_with(&v4) || packet.bytes.windows(16).any(|bytes| bytes == v6));
        // The kernel itself resets segments that arrive after their socket was closed, by any route.
        let kernels = packet.has_flags(flag::RST)
            || matches!(packet.protocol(), 1 | 58) && !packet.is_ping() && !asks;
        if to_target && !kernels {
            seen.push((packet.device, format!("{} to {to:?}", packet.protocol())));
        } else if asks && told_apart {
            seen.push((packet.device, format!("a question {}", packet.is_arp)));
        }
    }
    seen
}

/// Deletes the second provider's rules.
fn delete_rules(lab: &Lab) {
    for family in Family::ALL {
        let flag = if family == Family::V4 { "-4" } else { "-6" };
        for rule in lab.router.rules(family) {
            if rule.oif.as_deref() == Some("eth2") || rule.table == Some(17602) {
                let pref = rule.pref.to_string();
                // The daemon may have deleted it first.
                lab.router
                    .output(&["ip", flag, "rule", "del", "pref", &pref]);
            }
        }
    }
}

fn flush_table(lab: &Lab) {
    for flag in ["-4", "-6"] {
        lab.router
            .output(&["ip", flag, "route", "flush", "table", "17602"]);
    }
}

/// All types of checks are made through the second provider only, which does not lead, while all kinds of changes happen.
fn by_no_other_device(lab: &Lab, kinds: usize) {
    let _servers = [all_servers(lab, 1), all_servers(lab, 2)];
    let mut settings = bare(lab);
    for family in Family::ALL {
        let other = format!("other_{family}");
        let at = elsewhere(family).to_string();
        settings = all_types(settings, "isp2", family);
        settings = with_check(settings, &other, &[("type", "ping"), ("target", &at)])
            .list("provider", "isp1", "check", &other);
    }
    let settings = settings.provider("isp2", "quorum", "all");
    let mut capture = Capture::start(&lab.router);
    let others = ["eth1", "lan0", "lo"].map(|device| index(&lab.router, device));
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");

    type Deed<'a> = &'a dyn Fn();
    let faults: [(&str, bool, Deed<'_>, Deed<'_>); 6] = [
        ("dead upstream", true, &|| lab.upstream_dies(2), &|| {
            lab.upstream_returns(2)
        }),
        ("device down", true, &|| lab.device_down(2), &|| {
            lab.device_up(2)
        }),
        ("no carrier", true, &|| lab.pull_cable(2), &|| {
            lab.plug_cable(2)
        }),
        ("device gone", true, &|| lab.remove_device(2), &|| {
            lab.insert_device(2)
        }),
        ("no routes", false, &|| flush_table(lab), &|| {}),
        ("no rules", false, &|| delete_rules(lab), &|| {}),
    ];
    for (name, lasts, fault, cure) in faults {
        capture.clear();
        fault();
        for family in Family::ALL {
            let gone = || daemon.path_state("isp2", family.name()) != "online";
            assert!(!lasts || wait_until(SOON, gone), "{}", daemon.log());
        }
        cure();
        daemon.wait_for_all("online");
        let mut seen_kinds = Vec::new();
        let all = || {
            let seen = ours(lab, capture.packets());
            let astray: Vec<_> = seen.iter().filter(|(d, _)| others.contains(d)).collect();
            assert!(astray.is_empty(), "{name}: {astray:?}");
            seen_kinds = seen.into_iter().map(|(_, kind)| kind).collect();
            seen_kinds.sort_unstable();
            seen_kinds.dedup();
            seen_kinds.len() == kinds
        };
        let enough = wait_until(SOON, all);
        assert!(enough, "{name}: {seen_kinds:?}\n{}", daemon.log());
    }
}

#[test]
fn nothing_leaves_by_another_device() {
    // ICMP, TCP, UDP and link-layer requests, in both families
    in_lab(|| by_no_other_device(&super::two_providers(), 8));
}

#[test]
fn nothing_leaves_by_a_device_with_equal_addresses() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().build().carrying();
        by_no_other_device(&lab, 6);
    });
}

/// Sessions of two providers with equal addresses, with few local ports.
#[test]
fn equal_addresses_never_share_a_port() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().build().carrying();
        let range = "40000 40031";
        let file = "/proc/sys/net/ipv4/ip_local_port_range";
        lab.router.enter(|| std::fs::write(file, range)).unwrap();
        let family = Family::V4;
        let (at, late) = (target(family), Duration::from_millis(150));
        let servers = [1, 2].map(|number| {
            let provider = lab.provider(number);
            let behaviour = Dns::Late(answer(family), late);
            (
                DnsServer::start(provider, at, elsewhere(family), None, behaviour),
                HttpServer::start(provider, at, Http::Late("well", late)),
            )
        });
        let at = at.to_string();
        let mut settings = bare(&lab).ping("ping", family);
        for query in ["a", "b", "c", "d", "e"] {
            let options = [
                ("type", "dns"),
                ("target", at.as_str()),
                ("query", query),
                ("interval", "100ms"),
            ];
            settings = with_check(settings, query, &options);
        }
        // Its ports stay in TIME_WAIT for a minute, so its interval is long.
        let options = [
            ("type", "http"),
            ("target", at.as_str()),
            ("expect_status", "200"),
            ("interval", "1s"),
        ];
        settings = with_check(settings, "page", &options);
        let mut capture = Capture::start(&lab.router);
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");
        let enough = || {
            servers
                .iter()
                .all(|(dns, http)| dns.asked() > 100 && http.asked() > 2)
        };
        assert!(wait_until(SOON, enough), "{}", daemon.log());

        // From a query to its answer, and from a connection's begin to its end.
        let mut open: HashMap<SocketAddr, (usize, u8)> = HashMap::new();
        let mut most = 0;
        for packet in capture.packets() {
            let end = match packet.outgoing {
                true => packet.from(),
                false => packet.to(),
            };
            let Some(end) = end.filter(|_| matches!(packet.protocol(), 6 | 17)) else {
                continue;
            };
            let begins =
                packet.outgoing && (packet.protocol() == 17 || packet.has_flags(flag::SYN));
            // A connection with a request is reset by us; if we send FIN, the server does, too.
            let ends = match packet.outgoing {
                true => packet.protocol() == 6 && packet.has_flags(flag::RST),
                false => packet.protocol() == 17 || packet.has_flags(flag::FIN | flag::RST),
            };
            if begins {
                let here = (packet.device, packet.protocol());
                let before = open.insert(end, here);
                assert!(
                    before.is_none_or(|before| before.0 == here.0),
                    "{end} is used by two providers at once"
                );
                most = most.max(open.len());
            } else if ends {
                open.remove(&end);
            }
        }
        assert!(most > 5, "only {most} at once: that proves little");
        never_refused(&daemon);
    });
}

/// No probe failed for want of a port.
fn never_refused(daemon: &Daemon) {
    let text = daemon.must(&["explain"]);
    assert!(!text.contains("error"), "{text}");
}
