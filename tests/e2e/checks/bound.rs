//! What belongs to a path leaves by its device, and from a port that is nobody else's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::lab::capture::{Capture, Packet, flag, index};
use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{DnsServer, Mood as Dns};
use super::super::lab::servers::http::{HttpServer, Mood as Http};
use super::super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, answer, bare, elsewhere, record, target, with_check};

/// Checks of all types in a family, asked in each round.
pub fn all_types(mut settings: Settings, family: Family) -> Settings {
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
            .list("provider", "isp1", "check", &check);
    }
    settings
}

/// Servers for all of them, who are asked for a name's address each time anew.
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

/// What has left for the target, or to ask for the first gateway.
fn ours(lab: &Lab, packets: &[Packet]) -> Vec<(usize, String)> {
    let gateway = lab.provider(1).addresses().gateway_v4.octets();
    let gateway_v6 = lab.provider(1).addresses().gateway_v6.octets();
    let mut seen = Vec::new();
    for packet in packets.iter().filter(|packet| packet.outgoing) {
        let to = packet.destination();
        let to_target = Family::ALL.map(target).iter().any(|at| to == Some(*at));
        let asks = packet.is_neighbour_question()
            && (packet.bytes.ends_with(&gateway)
                || packet.bytes.windows(16).any(|bytes| bytes == gateway_v6));
        if to_target || asks {
            let kind = if asks { 0 } else { packet.protocol() };
            seen.push((packet.device, format!("{kind} to {to:?}")));
        }
    }
    seen
}

/// All types are asked by the first provider, and by it alone, while everything happens to it.
#[test]
fn nothing_leaves_by_another_device() {
    in_lab(|| {
        let lab = super::two_providers();
        let _servers = [all_servers(&lab, 1), all_servers(&lab, 2)];
        let mut settings = bare(&lab);
        for family in Family::ALL {
            let other = format!("other_{family}");
            let at = elsewhere(family).to_string();
            settings = all_types(settings, family);
            settings = with_check(settings, &other, &[("type", "ping"), ("target", &at)])
                .list("provider", "isp2", "check", &other);
        }
        settings = settings.provider("isp1", "quorum", "all");
        let mut capture = Capture::start(&lab.router);
        let others = ["eth2", "lan0", "lo"].map(|device| index(&lab.router, device));
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");

        let (device, table) = ("eth1", "17601");
        let delete_rules = |family: Family| {
            for rule in lab.router.rules(family) {
                if rule.oif.as_deref() == Some(device) || rule.table == Some(17601) {
                    let flag = if family == Family::V4 { "-4" } else { "-6" };
                    let pref = rule.pref.to_string();
                    // The daemon may have been quicker.
                    lab.router
                        .output(&["ip", flag, "rule", "del", "pref", &pref]);
                }
            }
        };
        let troubles: [(&str, &dyn Fn(), &dyn Fn()); 6] = [
            ("dead upstream", &|| lab.upstream_dies(1), &|| {
                lab.upstream_returns(1)
            }),
            ("device down", &|| lab.device_down(1), &|| lab.device_up(1)),
            ("no carrier", &|| lab.pull_cable(1), &|| lab.plug_cable(1)),
            ("device gone", &|| lab.remove_device(1), &|| {
                lab.insert_device(1)
            }),
            (
                "no routes",
                &|| {
                    for flag in ["-4", "-6"] {
                        lab.router
                            .output(&["ip", flag, "route", "flush", "table", table]);
                    }
                },
                &|| {},
            ),
            (
                "no rules",
                &|| Family::ALL.into_iter().for_each(delete_rules),
                &|| {},
            ),
        ];
        for (name, trouble, cure) in troubles {
            capture.clear();
            trouble();
            let lasting = !matches!(name, "no routes" | "no rules");
            for family in Family::ALL {
                let gone = || daemon.path_state("isp1", family.name()) != "online";
                assert!(!lasting || wait_until(SOON, gone), "{}", daemon.log());
            }
            cure();
            daemon.wait_for_all("online");
            let mut kinds = Vec::new();
            let all = || {
                let seen = ours(&lab, capture.packets());
                let astray: Vec<_> = seen.iter().filter(|(d, _)| others.contains(d)).collect();
                assert!(astray.is_empty(), "{name}: {astray:?}");
                kinds = seen.into_iter().map(|(_, kind)| kind).collect();
                kinds.sort_unstable();
                kinds.dedup();
                // ICMP, TCP, UDP and the link's, in both families
                kinds.len() >= 8
            };
            assert!(wait_until(SOON, all), "{name}: {kinds:?}\n{}", daemon.log());
        }
    });
}

/// Conversations of two providers with equal addresses, between few ports.
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
            let mood = Dns::Late(answer(family), late);
            (
                DnsServer::start(provider, at, elsewhere(family), None, mood),
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
        // Its ports rest for a minute afterwards, so this is asked seldom.
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

        // From the question to its answer, and from a connection's begin to its end.
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
            let begins = packet.outgoing && (packet.protocol() == 17 || packet.says(flag::SYN));
            let ends =
                !packet.outgoing && (packet.protocol() == 17 || packet.says(flag::FIN | flag::RST));
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

/// There was always a port.
fn never_refused(daemon: &Daemon) {
    let said = daemon.must(&["explain"]);
    assert!(!said.contains("error"), "{said}");
}
