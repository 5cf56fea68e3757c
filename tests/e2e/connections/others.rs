//! Marks, rules and connections of other programs stay what they were.

use std::net::{Ipv4Addr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};

use super::*;
use crate::lab::flows::LINES;
use crate::lab::rights::in_lab;

/// A death, a return, a pin.
fn events(lab: &Lab, daemon: &Daemon, mut after_each: impl FnMut(&str)) {
    after_each("start");
    first_dies(lab, daemon);
    after_each("death");
    first_returns(lab, daemon);
    after_each("return");
    daemon.must(&["use", "isp2"]);
    assert!(leads(lab, 2));
    after_each("use isp2");
}

/// A third line that the daemon does not know: a tunnel, for example.
fn with_tunnel() -> (Lab, Vec<Services>) {
    let lab = Lab::builder().providers(3).household(Nat::Masquerade);
    let lab = lab.build().carrying();
    let services = Services::everywhere(&lab);
    (lab, services)
}

fn without_tunnel(lab: &Lab) -> Settings {
    staying(lab).without_section("provider", "isp3")
}

/// Connections go by the tunnel of the others' rule, and stay there, whatever happens to our providers; their entries have
/// this mark.
fn stay_in_the_tunnel(lab: &Lab, daemon: &Daemon, mark: u32) {
    let port = format!("dport={LINES} ");
    let mut sessions = Vec::new();
    events(lab, daemon, |when| {
        let session = Session::open(&lab.lan, target(Family::V4)).unwrap();
        assert_eq!(session.by, 3, "{when}\n{}", daemon.log());
        sessions.push(session);
        for session in &mut sessions {
            assert_eq!(session.say(), Ok(()), "{when}\n{}", daemon.log());
        }
        let marks = lab.marks(&["src=198.51.100.2 ", &port]);
        assert!(marks.iter().all(|of| *of == mark), "{when} {marks:x?}");
    });
}

/// `ip rule fwmark 1 lookup 100`, without a mask: it matches only if no other bit is set.
#[test]
fn an_exact_rule_of_others_still_matches() {
    in_lab(|| {
        let (lab, _services) = with_tunnel();
        let gateway = lab.provider(3).gateway_address(Family::V4);
        lab.router.ip(&format!(
            "route add default via {gateway} dev eth3 table 100\nrule add pref 30000 fwmark 1 lookup 100"
        ));
        lab.nft(&format!(
            "table ip lab_marks {{ chain arriving {{ type filter hook prerouting priority mangle
                iifname lan0 tcp dport {LINES} meta mark set 1 }}
            }}"
        ));
        let daemon = begin(&lab, &without_tunnel(&lab));
        stay_in_the_tunnel(&lab, &daemon, 0);
    });
}

/// A VPN comes up: the rules and marks appear while connections run, and hold for these, too.
#[test]
fn a_rule_of_others_that_comes_later_takes_what_runs() {
    in_lab(|| {
        let lab = Lab::builder().providers(3).tracks().build().carrying();
        let _services = Services::everywhere(&lab);
        let settings = Settings::fast(&lab)
            .global("connections", "stay")
            .without_section("provider", "isp3");
        let daemon = begin(&lab, &settings);
        let call = Call::start(&lab.lan, target(Family::V4));
        assert!(call.goes_by(1, SOON));
        let gateway = lab.provider(3).gateway_address(Family::V4);
        lab.router.ip(&format!(
            "route add default via {gateway} dev eth3 table 100\nrule add pref 30000 fwmark 1 lookup 100"
        ));
        lab.nft(
            "table ip lab_marks { chain arriving { type filter hook prerouting priority mangle
                iifname lan0 meta mark set 1 }
            }",
        );
        assert!(call.goes_by(3, SOON), "{}", daemon.log());
    });
}

/// A socket of a program on the router that marks its packets.
fn marked(lab: &Lab, own: IpAddr) -> UdpSocket {
    lab.router.enter(|| {
        let socket = UdpSocket::bind((own, 0)).unwrap();
        setsockopt(&socket, sockopt::Mark, &51820).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket
    })
}

/// wg-quick: packets of the tunnel itself have a mark; what has none goes into the tunnel.
#[test]
fn packets_that_a_program_marked_itself_are_not_touched() {
    in_lab(|| {
        let (lab, _services) = with_tunnel();
        lab.serve();
        let gateway = lab.provider(3).gateway_address(Family::V4);
        lab.router.ip(&format!(
            "route add default via {gateway} dev eth3 table 51820
             rule add pref 32765 not fwmark 51820 lookup 51820
             rule add pref 32764 lookup main suppress_prefixlength 0"
        ));
        lab.nft(
            "table ip lab_seen { chain leaving { type filter hook postrouting priority 200
                oifname \"eth*\" udp dport { 7, 7777 } meta mark != 51820 counter }
            }",
        );
        let daemon = online_with(&lab, &without_tunnel(&lab));
        has_table(&lab, &daemon);
        let socket = marked(&lab, Ipv4Addr::UNSPECIFIED.into());
        let timeout = Duration::from_millis(300);
        socket.set_read_timeout(Some(timeout)).unwrap();
        let port = format!("sport={} ", socket.local_addr().unwrap().port());
        let ask = || {
            let _ = socket.send_to(b"x", (target(Family::V4), 7));
            let mut answer = [0; 8];
            matches!(socket.recv(&mut answer), Ok(2)).then(|| answer[1])
        };
        let after_each = |when: &str| {
            let answered = wait_until(SOON, || ask().is_some_and(|by| by != 3));
            assert!(answered, "{when}\n{}", daemon.log());
            let marks = lab.marks(&["udp", &port]);
            assert!(
                marks.iter().all(|mark| mark & OURS == 0),
                "{when} {marks:x?}"
            );
        };
        after_each("start");
        lab.upstream_dies(1);
        daemon.wait_for("isp1", "ipv4", "offline");
        after_each("death");
        lab.upstream_returns(1);
        daemon.wait_for("isp1", "ipv4", "online");
        after_each("return");
        // What it answers, too: by the line by which it was asked.
        let own = lab.provider(2).own(Family::V4);
        let listener = marked(&lab, own);
        let stranger = &lab.provider(2).server;
        let stranger = stranger.enter(|| UdpSocket::bind("0.0.0.0:7777").unwrap());
        stranger.set_read_timeout(Some(SOON)).unwrap();
        stranger
            .send_to(b"x", listener.local_addr().unwrap())
            .unwrap();
        let mut buffer = [0; 8];
        let (_, from) = listener.recv_from(&mut buffer).unwrap();
        listener.send_to(b"y", from).unwrap();
        assert!(stranger.recv_from(&mut buffer).is_ok(), "{}", daemon.log());
        let seen = lab.router.run(&["nft", "list", "table", "ip", "lab_seen"]);
        assert!(seen.contains("packets 0 "), "{seen}");
    });
}

/// The recipe of many guides: the mark of a packet is saved and restored as a whole.
#[test]
fn marks_that_others_save_and_restore_stay_exact() {
    in_lab(|| {
        let (lab, _services) = with_tunnel();
        let gateway = lab.provider(3).gateway_address(Family::V4);
        lab.router.ip(&format!(
            "route add default via {gateway} dev eth3 table 100\nrule add pref 30000 fwmark 2 lookup 100"
        ));
        lab.nft(&format!(
            "table ip lab_marks {{
                chain restore {{ type filter hook prerouting priority mangle
                    ct mark != 0 meta mark set ct mark
                    iifname lan0 ct state new tcp dport {LINES} meta mark set 2
                }}
                chain save {{ type filter hook postrouting priority mangle
                    meta mark != 0 ct mark set meta mark
                }}
            }}"
        ));
        let daemon = begin(&lab, &without_tunnel(&lab));
        stay_in_the_tunnel(&lab, &daemon, 2);
        // Packets without a mark of others are not affected either.
        let call = Call::start(&lab.lan, target(Family::V4));
        assert!(call.goes_by(2, SOON), "{}", daemon.log());
    });
}

/// Docker: a published port, by DNAT for everybody, and source NAT for its network.
#[test]
fn containers_and_lan_connections_are_not_touched() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        lab.nft(
            "table ip lab_docker {
                chain in { type nat hook prerouting priority dstnat
                    fib daddr type local tcp dport 8022 dnat to 198.51.100.2:22 }
                chain own { type nat hook output priority -100
                    ip daddr != 127.0.0.0/8 fib daddr type local tcp dport 8022 dnat to 198.51.100.2:22 }
                chain hairpin { type nat hook postrouting priority srcnat
                    ip saddr 198.51.100.0/24 oifname lan0 masquerade }
            }",
        );
        let _home = at_home(&lab);
        let daemon = begin(&lab, &staying(&lab));
        let first = lab.provider(1).own(Family::V4);
        let mut sessions = vec![
            Session::open_at(&lab.router, (first, 8022).into()).unwrap(),
            Session::open_at(&lab.lan, (first, 8022).into()).unwrap(),
            Session::open_at(
                &lab.provider(2).server,
                (lab.provider(2).own(Family::V4), 8022).into(),
            )
            .unwrap(),
        ];
        events(&lab, &daemon, |when| {
            for session in &mut sessions {
                assert_eq!(session.by, AT_HOME);
                assert_eq!(session.say(), Ok(()), "{when}\n{}", daemon.log());
            }
            for session in &sessions[..2] {
                let port = format!("sport={} ", session.local().port());
                let marks = lab.marks(&["tcp", &port]);
                assert!(marks.iter().all(|mark| *mark == 0), "{when} {marks:x?}");
            }
        });
    });
}

/// Everything in the ruleset, and every rule, that is not ours.
fn of_others(lab: &Lab) -> String {
    let whole = lab.router.run(&["nft", "-s", "list", "ruleset"]);
    let mut kept = String::new();
    let mut ours = false;
    for line in whole.lines() {
        ours |= line == "table inet failover {";
        if !ours {
            kept.push_str(line);
            kept.push('\n');
        }
        ours &= line != "}";
    }
    for family in ["-4", "-6"] {
        let rules = lab.router.run(&["ip", "-details", family, "rule", "show"]);
        let others = rules.lines().filter(|line| !line.contains("proto 176"));
        kept.extend(others.flat_map(|line| [line, "\n"]));
    }
    kept
}

#[test]
fn rules_and_tables_of_others_stay() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        for family in Family::ALL {
            lab.router.batch(
                family,
                "rule add pref 5000 fwmark 0x10000/0xff0000 lookup 52\n",
            );
        }
        lab.nft("table inet fw4 { chain mangle { type filter hook prerouting priority mangle; meta mark set meta mark and 0xff000000; }\n }");
        let before = of_others(&lab);
        let mut daemon = begin(&lab, &staying(&lab));
        events(&lab, &daemon, |when| {
            assert_eq!(of_others(&lab), before, "{when}")
        });
        assert!(daemon.terminate().success());
        assert_eq!(of_others(&lab), before);
        assert_eq!(table(&lab), None);
    });
}
