//! Tests of the lab itself, with routes set by the test.

#[path = "lab/mod.rs"]
pub mod lab;

use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::internet::PORT;
use lab::rights::in_lab;
use lab::topology::{Kind, target};
use lab::{Family, Flow, Lab, Lookups, wait_until};

const SOON: Duration = Duration::from_secs(2);
const A_WHILE: Duration = Duration::from_millis(200);

/// A static default route by a provider; the lowest metric wins.
fn default_by(lab: &Lab, number: usize, family: Family) {
    lab.learn_default(number, family, "static", 10);
}

/// Whether a datagram from the router itself, bound to the device and its address, comes back within `A_WHILE`.
fn answers_by(lab: &Lab, number: usize, family: Family) -> bool {
    lab.serve();
    let own = lab.provider(number).own(family);
    lab.router.enter(|| {
        let socket = std::net::UdpSocket::bind((own, 0)).expect("it is the router's");
        let device = std::ffi::OsString::from(&lab.provider(number).device);
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::BindToDevice, &device)
            .expect("the device exists");
        socket
            .set_read_timeout(Some(A_WHILE))
            .expect("it is not zero");
        let sent = socket.send_to(b"hello", (target(family), PORT));
        let mut buffer = [0; 16];
        sent.is_ok()
            && socket
                .recv(&mut buffer)
                .is_ok_and(|length| usize::from(buffer[length - 1]) == number)
    })
}

/// The first swap at one metric is a replacement in place.
fn a_flow_moves_with_the_route(family: Family) {
    let lab = Lab::new();
    default_by(&lab, 1, family);
    let flow = Flow::start(&lab, target(family));
    assert!(flow.goes_by(1, SOON));
    let moved = flow.now();
    default_by(&lab, 2, family);
    assert!(flow.goes_by(2, SOON));
    assert!(flow.lost(moved) <= 2, "{} lost", flow.lost(moved));
    assert!(flow.outage(moved) < Duration::from_millis(10));
}

#[test]
fn a_flow_moves_with_the_route_in_ipv4() {
    in_lab(|| a_flow_moves_with_the_route(Family::V4));
}

#[test]
fn a_flow_moves_with_the_route_in_ipv6() {
    in_lab(|| a_flow_moves_with_the_route(Family::V6));
}

#[test]
fn a_lab_is_built_quickly() {
    in_lab(|| {
        let start = Instant::now();
        let lab = Lab::new();
        println!("two providers: {} ms", start.elapsed().as_millis());
        assert!(start.elapsed() < SOON);
        drop(lab);
    });
}

#[test]
fn sixty_four_providers_have_their_own_ways() {
    in_lab(|| {
        let start = Instant::now();
        let lab = Lab::builder().providers(64).build();
        println!("64 providers: {} ms", start.elapsed().as_millis());
        for number in [1, 64] {
            for family in Family::ALL {
                default_by(&lab, number, family);
                assert!(answers_by(&lab, number, family), "isp{number} {family}");
            }
        }
    });
}

/// Without a route, a bound IPv4 socket sends ARP requests on the link: no host may answer.
#[test]
fn gateways_do_not_answer_for_the_targets() {
    in_lab(|| {
        let lab = Lab::new();
        for family in Family::ALL {
            assert!(!answers_by(&lab, 1, family));
            default_by(&lab, 1, family);
            assert!(answers_by(&lab, 1, family));
        }
    });
}

fn a_dead_upstream_is_silent(family: Family) {
    let lab = Lab::new();
    default_by(&lab, 1, family);
    let flow = Flow::start(&lab, target(family));
    assert!(flow.goes_by(1, SOON));
    let died = flow.now();
    lab.upstream_dies(1);
    sleep(A_WHILE);
    lab.upstream_returns(1);
    assert!(flow.goes_by(1, SOON));
    let outage = flow.outage(died);
    assert!((A_WHILE..A_WHILE * 2).contains(&outage), "{outage:?}");
    assert!(flow.longest_gap(died) >= A_WHILE);
    let story = flow.timeline(died, flow.now(), 20);
    assert!(
        story.contains(&None) && story.contains(&Some(1)),
        "{story:?}"
    );
    assert_eq!(refusals_sent(&lab, 1), [0, 0]);
}

/// The "destination unreachable" messages that a gateway has sent, in IPv4 and IPv6.
fn refusals_sent(lab: &Lab, number: usize) -> [u32; 2] {
    let files = ["cat", "/proc/net/snmp", "/proc/net/snmp6"];
    let counters = lab.provider(number).gateway.run(&files);
    let icmp: Vec<&str> = counters
        .lines()
        .filter(|line| line.starts_with("Icmp:"))
        .collect();
    let mut v4 = icmp[0].split(' ').zip(icmp[1].split(' '));
    let mut v6 = counters
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace));
    let found = [
        v4.find(|(name, _)| *name == "OutDestUnreachs"),
        v6.find(|(name, _)| *name == "Icmp6OutDestUnreachs"),
    ];
    found.map(|found| {
        found
            .and_then(|(_, count)| count.trim().parse().ok())
            .expect("the kernel counts it")
    })
}

#[test]
fn a_dead_upstream_is_silent_in_ipv4() {
    in_lab(|| a_dead_upstream_is_silent(Family::V4));
}

#[test]
fn a_dead_upstream_is_silent_in_ipv6() {
    in_lab(|| a_dead_upstream_is_silent(Family::V6));
}

/// A gateway answers if only its upstream has failed, and does not if it has failed itself.
#[test]
fn a_dead_gateway_differs_from_a_dead_upstream() {
    in_lab(|| {
        let lab = Lab::new();
        for family in Family::ALL {
            let gateway = lab.provider(1).gateway_address(family);
            let refuses = || {
                lab.router.enter(|| {
                    let connected =
                        std::net::TcpStream::connect_timeout(&(gateway, 9).into(), A_WHILE);
                    connected
                        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
                })
            };
            assert!(refuses());
            lab.upstream_dies(1);
            assert!(refuses());
            lab.upstream_returns(1);
            lab.gateway_dies(1);
            assert!(!refuses());
            lab.gateway_returns(1);
            assert!(wait_until(SOON, refuses));
            assert!(
                lab.router
                    .run(&["ip", "link", "show", "eth1"])
                    .contains("LOWER_UP")
            );
        }
    });
}

#[test]
fn a_pulled_cable_has_no_carrier() {
    in_lab(|| {
        let lab = Lab::new();
        let carrier = || {
            lab.router
                .run(&["ip", "link", "show", "eth1"])
                .contains("LOWER_UP")
        };
        for family in Family::ALL {
            default_by(&lab, 1, family);
            lab.pull_cable(1);
            assert!(!carrier() && !answers_by(&lab, 1, family));
            lab.plug_cable(1);
            assert!(carrier());
            default_by(&lab, 1, family);
            assert!(wait_until(SOON, || answers_by(&lab, 1, family)));
        }
    });
}

#[test]
fn devices_go_down_and_are_deleted_and_return() {
    in_lab(|| {
        let lab = Lab::new();
        let works = || {
            Family::ALL.into_iter().all(|family| {
                default_by(&lab, 1, family);
                wait_until(SOON, || answers_by(&lab, 1, family))
            })
        };
        lab.device_down(1);
        assert!(lab.router.defaults(Family::V4, 254).is_empty());
        lab.device_up(1);
        assert!(works());
        lab.remove_device(1);
        assert!(!lab.router.run(&["ip", "link"]).contains("eth1"));
        lab.insert_device(1);
        assert!(works());
    });
}

#[test]
fn addresses_move() {
    in_lab(|| {
        let lab = Lab::new();
        let flows = |family| {
            default_by(&lab, 1, family);
            let flow = Flow::start(&lab, target(family));
            flow.goes_by(1, SOON)
        };
        let old = lab.provider(1).addresses();
        let new = lab.move_gateway(1);
        assert_ne!(old.gateway_v4, new.gateway_v4);
        assert!(Family::ALL.into_iter().all(flows));
        let new = lab.renew_address(1);
        assert_ne!(old.own_v6, new.own_v6);
        assert!(Family::ALL.into_iter().all(flows));
    });
}

#[test]
fn providers_with_equal_addresses_are_distinct() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().build();
        for family in Family::ALL {
            assert_eq!(
                lab.provider(1).gateway_address(family),
                lab.provider(2).gateway_address(family)
            );
            for number in [1, 2] {
                default_by(&lab, number, family);
                let flow = Flow::start(&lab, target(family));
                assert!(
                    flow.goes_by(u8::try_from(number).unwrap(), SOON),
                    "isp{number} {family}"
                );
            }
        }
    });
}

/// Behind a masquerading router, the LAN's addresses are never seen.
#[test]
fn masquerade_hides_the_lan() {
    in_lab(|| {
        let lab = Lab::builder().nat().same_addresses().build();
        for family in Family::ALL {
            default_by(&lab, 1, family);
            let flow = Flow::start(&lab, target(family));
            assert!(flow.goes_by(1, SOON), "{family}");
            let moved = flow.now();
            default_by(&lab, 2, family);
            assert!(flow.goes_by(2, SOON), "{family}");
            assert!(flow.lost(moved) <= 3);
        }
        lab.router.run(&["nft", "flush", "ruleset"]);
        let flow = Flow::start(&lab, target(Family::V4));
        assert!(!flow.goes_by(2, A_WHILE));
    });
}

#[test]
fn a_point_to_point_device_needs_no_gateway() {
    in_lab(|| {
        if std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .is_err()
        {
            eprintln!(
                "SKIPPED a_point_to_point_device_needs_no_gateway: /dev/net/tun cannot be opened"
            );
            return;
        }
        let lab = Lab::builder().kind(2, Kind::PointToPoint).build();
        assert!(
            lab.router
                .run(&["ip", "link", "show", "eth2"])
                .contains("POINTOPOINT")
        );
        for everything in ["0.0.0.0/0", "::/0"] {
            lab.router.ip(&format!("route add {everything} dev eth2"));
        }
        for family in Family::ALL {
            let flow = Flow::start(&lab, target(family));
            assert!(flow.goes_by(2, SOON), "{family}");
        }
        lab.remove_device(2);
        assert!(!lab.router.run(&["ip", "link"]).contains("eth2"));
    });
}

/// As in `linux_failover`: the default route is deleted, then added.
#[test]
fn the_lookups_find_a_hole() {
    in_lab(|| {
        let lab = Lab::new();
        for family in Family::ALL {
            default_by(&lab, 1, family);
            let lookups = Lookups::start(&lab.router, target(family));
            for number in [2, 1, 2, 1] {
                sleep(Duration::from_millis(10));
                default_by(&lab, number, family);
            }
            let found = lookups.stop();
            assert!(found.lookups > 1000 && found.failures == 0, "{found:?}");

            let lookups = Lookups::start(&lab.router, target(family));
            let option = if family == Family::V4 { "-4" } else { "-6" };
            lab.router.run(&["ip", option, "route", "del", "default"]);
            sleep(Duration::from_millis(10));
            default_by(&lab, 1, family);
            let found = lookups.stop();
            assert!(
                found.failures > 0 && found.longest >= Duration::from_millis(10),
                "{found:?}"
            );
        }
    });
}

#[test]
fn routes_and_rules_of_the_kernel_are_read() {
    in_lab(|| {
        let lab = Lab::new();
        lab.router.ip(
            "route add default via 192.0.2.1 dev eth1 proto 176 metric 100 table 176 src 192.0.2.2
             route add default via 192.0.2.200 dev eth2 onlink proto dhcp metric 101 table 176
             route add unreachable default metric 200 table 176
             rule add pref 17601 fwmark 0x100/0xff00 lookup 17601 protocol 176
             rule add pref 17700 from 192.0.2.2 lookup 17601 protocol 176
             rule add pref 17800 oif eth1 lookup 17601 protocol 176
             rule add pref 17600 lookup main suppress_prefixlength 0 protocol 176
             rule add pref 18499 unreachable protocol 176",
        );
        let routes = lab.router.defaults(Family::V4, 176);
        let first = &routes[0];
        assert_eq!(
            (first.metric, first.protocol, first.kind.as_str()),
            (100, 176, "unicast")
        );
        assert_eq!(
            (first.via.as_deref(), first.src.as_deref()),
            (Some("192.0.2.1"), Some("192.0.2.2"))
        );
        assert_eq!(lab.router.leader(Family::V4, 176).as_deref(), Some("eth1"));
        assert_eq!(routes[1].protocol, 16);
        assert!(routes[1].flags.contains(&"onlink".to_owned()));
        assert_eq!(
            (routes[2].kind.as_str(), routes[2].dev.as_deref()),
            ("unreachable", None)
        );
        assert!(lab.router.routes(Family::V4, 4711).is_empty());

        let rules = lab.router.rules(Family::V4);
        let at = |pref| rules.iter().find(|rule| rule.pref == pref).unwrap();
        assert_eq!(at(17600).suppress_prefixlength, Some(0));
        assert_eq!(
            (at(17601).fwmark.as_deref(), at(17601).protocol),
            (Some("0x100/0xff00"), 176)
        );
        assert_eq!(
            (at(17700).src.as_str(), at(17700).table),
            ("192.0.2.2", Some(17601))
        );
        assert_eq!(at(17800).oif.as_deref(), Some("eth1"));
        assert_eq!(at(18499).action.as_deref(), Some("unreachable"));
        assert_eq!(lab.router.way("192.0.2.1", &[]).as_deref(), Some("eth1"));
        assert_eq!(lab.router.way("203.0.113.8", &[]), None);
    });
}

/// A router with NAT, and servers on the Internet.
mod flows {
    use std::net::IpAddr;
    use std::time::Instant;

    use super::lab::firewall::{FORWARDED, Nat};
    use super::lab::flows::{ALL, Call, End, LINES, MEDIA, SIGNAL, Services, Session, Transfer};
    use super::*;

    fn household(nat: Nat) -> (Lab, Vec<Services>) {
        let lab = Lab::builder().household(nat).build().carrying();
        let services = Services::everywhere(&lab);
        for family in Family::ALL {
            default_by(&lab, 1, family);
        }
        (lab, services)
    }

    #[test]
    fn transfers_and_sessions_go_on_until_they_are_reset() {
        in_lab(|| {
            let (lab, _services) = household(Nat::Masquerade);
            let to: IpAddr = target(Family::V4);
            let transfers = [
                Transfer::download(&lab.lan, to),
                Transfer::upload(&lab.lan, to),
            ];
            let transfers = transfers.map(|transfer| transfer.expect("the server listens"));
            let mut session = Session::open(&lab.lan, to).expect("the server listens");
            assert!(transfers.iter().all(|t| t.by == 1 && t.goes_on(SOON)));
            assert_eq!((session.by, session.say()), (1, Ok(())));
            // The gateway forgets them, as a modem that starts again.
            let since = Instant::now();
            lab.nft("table inet lab_resets { chain f { type filter hook forward priority 0; meta l4proto tcp reject with tcp reset } }");
            assert_eq!(session.say(), Err(End::Reset));
            for transfer in &transfers {
                let (after, end) = transfer.end_within(SOON, since).expect("it ends");
                assert!(end == End::Reset && after < SOON, "{end:?} {after:?}");
            }
        });
    }

    #[test]
    fn silence_is_not_an_end() {
        in_lab(|| {
            let (lab, _services) = household(Nat::Masquerade);
            let download = Transfer::download(&lab.lan, target(Family::V4)).expect("it listens");
            let mut session = Session::open(&lab.lan, target(Family::V4)).expect("it listens");
            assert!(download.goes_on(SOON));
            lab.upstream_dies(1);
            assert_eq!(session.say_within(A_WHILE), Err(End::Silence));
            assert!(!download.goes_on(A_WHILE) && download.ended().is_none());
            assert!(download.stall() >= A_WHILE);
        });
    }

    #[test]
    fn a_call_is_known_at_every_server() {
        in_lab(|| {
            let (lab, _services) = household(Nat::Off);
            let call = Call::start(&lab.lan, target(Family::V4));
            assert!(call.goes_by(1, SOON));
            assert_eq!(call.register(), Some(1));
            assert!(call.rings());
            let moved = call.now();
            default_by(&lab, 2, Family::V4);
            assert!(call.goes_by(2, SOON));
            let [up, down] = call.lost(moved);
            assert!(up <= 2 && down <= 2, "{up} {down}");
            // No packet has told the server of signals about the other provider.
            lab.upstream_dies(1);
            assert!(!call.rings());
            assert_eq!(call.register(), Some(2));
            assert!(call.rings());
        });
    }

    #[test]
    fn providers_drop_addresses_of_others() {
        in_lab(|| {
            let (lab, _services) = household(Nat::Snat);
            let call = Call::start(&lab.lan, target(Family::V4));
            assert!(call.goes_by(1, SOON));
            default_by(&lab, 2, Family::V4);
            // Its address was written for good.
            let moved = call.now();
            sleep(A_WHILE);
            assert!(!call.goes_by(2, A_WHILE));
            let [up, down] = call.lost(moved);
            assert!(up > 5 && down < 3, "{up} {down}");
        });
    }

    #[test]
    fn forwarded_ports_reach_the_lan_host() {
        in_lab(|| {
            let (lab, _services) = household(Nat::Masquerade);
            lab.forward_ports(&ALL);
            let _inside = Services::start(&lab.lan, &["198.51.100.2".parse().unwrap()], 77);
            let (from, own) = (&lab.provider(1).server, lab.provider(1).own(Family::V4));
            let mut session = Session::open_at(from, (own, FORWARDED + LINES).into());
            let session = session.as_mut().expect("it is forwarded");
            assert_eq!((session.by, session.say()), (77, Ok(())));
            let at = |port| (own, FORWARDED + port).into();
            let call = Call::start_at(from, at(MEDIA), at(SIGNAL));
            assert!(call.goes_by(77, SOON));
            assert!(lab.tracked() >= 2);
        });
    }

    #[test]
    fn each_delegated_prefix_is_routed_by_its_provider_alone() {
        in_lab(|| {
            let (lab, _services) = household(Nat::Masquerade);
            for (source, answered) in [(1, true), (2, false)] {
                lab.lan_prefers(source);
                let session = Session::open(&lab.lan, target(Family::V6));
                assert_eq!(session.is_ok(), answered, "isp{source}");
            }
        });
    }
}
