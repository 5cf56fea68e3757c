//! Neighbours on the link, usually the gateway.

use super::super::inspect::{counter, ours};
use super::super::lab::capture::{Capture, Packet, index};
use super::super::lab::rights::in_lab;
use super::super::lab::topology::{Addresses, Kind};
use super::super::lab::{Daemon, Family, Lab, Settings};
use super::{bare, offline_because, one_provider, wait_for_answers, with_check};

/// The gateway is checked in each round.
fn gateway(lab: &Lab, family: Family) -> Settings {
    let kind = match family {
        Family::V4 => "arp",
        Family::V6 => "ndp",
    };
    with_check(
        bare(lab),
        "gateway",
        &[("type", kind), ("interval", "100ms")],
    )
}

/// The address that a request is for.
fn asked_for(packet: &Packet, family: Family) -> std::net::IpAddr {
    let bytes = &packet.bytes;
    match family {
        Family::V4 => <[u8; 4]>::try_from(&bytes[24..28]).unwrap().into(),
        Family::V6 => <[u8; 16]>::try_from(&bytes[48..64]).unwrap().into(),
    }
}

fn dies(family: Family) {
    let lab = one_provider();
    let mut capture = Capture::start(&lab.router);
    let daemon = Daemon::start(&lab.router, &gateway(&lab, family));
    daemon.wait_for_all("online");
    let device = index(&lab.router, "eth1");
    let questions: Vec<Packet> = capture
        .packets()
        .iter()
        .filter(|packet| packet.outgoing && packet.is_neighbour_request())
        .filter(|packet| packet.is_arp == (family == Family::V4))
        .cloned()
        .collect();
    let gateway = lab.provider(1).gateway_address(family);
    let own = lab.provider(1).own(family);
    assert!(questions.len() >= 3);
    for question in questions {
        if asked_for(&question, family) == own {
            continue; // the kernel's duplicate address detection
        }
        assert_eq!(asked_for(&question, family), gateway);
        assert_eq!(question.device, device);
    }
    lab.gateway_dies(1);
    offline_because(&daemon, family, &["gateway unanswered"]);
    let carrier = lab.router.run(&["ip", "link", "show", "eth1"]);
    assert!(carrier.contains("LOWER_UP"), "{carrier}");
    lab.gateway_returns(1);
    daemon.wait_for_all("online");
    // The state of the Internet beyond the gateway does not matter.
    let before = daemon.must(&["log"]);
    lab.upstream_dies(1);
    wait_for_answers(&daemon, family, 10);
    assert_eq!(daemon.must(&["log"]), before);
}

#[test]
fn a_gateway_dies_while_its_carrier_stays_in_ipv4() {
    in_lab(|| dies(Family::V4));
}

#[test]
fn a_gateway_dies_while_its_carrier_stays_in_ipv6() {
    in_lab(|| dies(Family::V6));
}

/// A neighbour answers with another address.
#[test]
fn an_answer_of_another_neighbour_does_not_count() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let daemon = Daemon::start(&lab.router, &gateway(&lab, family));
        daemon.wait_for_all("online");
        let other = "table arp other {
            chain leaving {
                type filter hook output priority 0;
                arp operation reply arp saddr ip set 192.0.2.9
            }
        }";
        let namespace = &lab.provider(1).gateway;
        namespace.feed(&["nft", "-f", "-"], other);
        offline_because(&daemon, family, &["gateway unanswered"]);
        namespace.feed(&["nft", "-f", "-"], "delete table arp other");
        daemon.wait_for_all("online");
    });
}

/// The kernel sends requests for its own packets; their answers do not count.
#[test]
fn answers_to_the_kernel_are_not_counted() {
    in_lab(|| {
        let lab = one_provider();
        let further = Addresses::further_v4(lab.provider(1).addresses().gateway_v4, 2);
        let line = format!("addr add {further}/26 dev line");
        lab.provider(1).gateway.ip(&line);
        let mut settings = gateway(&lab, Family::V4);
        settings = with_check(
            settings,
            "gateway6",
            &[("type", "ndp"), ("interval", "100ms")],
        );
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for_all("online");
        let mut capture = Capture::start(&lab.router);
        let further = further.to_string();
        for _ in 0..5 {
            lab.router.run(&["ping", "-c1", "-W5", &further]);
            lab.router.run(&["ip", "neigh", "flush", "dev", "eth1"]);
        }
        wait_for_answers(&daemon, Family::V4, 3);
        let told = |packet: &&Packet| packet.is_arp && !packet.outgoing && packet.bytes[7] == 2;
        let of_it = |packet: &&Packet| {
            packet.bytes[14..18] == further.parse::<std::net::Ipv4Addr>().unwrap().octets()
        };
        let answers = capture.packets().iter().filter(told).filter(of_it);
        assert!(answers.count() >= 5, "the kernel was answered");
        assert_eq!(counter(&daemon, "replies_rejected"), 0);
    });
}

/// The device has no address yet, as before DHCP.
fn without_address(family: Family) {
    let lab = one_provider();
    let (own, gateway_address) = {
        let provider = lab.provider(1);
        (provider.own(family), provider.gateway_address(family))
    };
    lab.router.ip("addr flush dev eth1");
    assert_ne!(own, gateway_address);
    let daemon = Daemon::prepare(&lab.router, &gateway(&lab, family));
    let probe = |status: i32| {
        let output = daemon.command(&["probe", "isp1", "--count", "3", "--interval", "400ms"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(status), "{text}");
        text
    };
    let text = probe(0);
    let answered = format!("{gateway_address}): answered in ");
    assert_eq!(text.matches(&answered).count(), 3, "{text}");
    assert!(text.contains("no address\n"), "{text}");
    lab.gateway_dies(1);
    assert_eq!(probe(1).matches("unanswered\n").count(), 3);
    assert_eq!(ours(&lab), 0);
}

#[test]
fn a_gateway_is_found_without_an_address_in_ipv4() {
    in_lab(|| without_address(Family::V4));
}

#[test]
fn a_gateway_is_found_without_an_address_in_ipv6() {
    in_lab(|| without_address(Family::V6));
}

/// A point-to-point device has no neighbours.
fn no_neighbours(family: Family) {
    let lab = Lab::builder()
        .providers(1)
        .kind(1, Kind::PointToPoint)
        .build()
        .carrying();
    let target = lab.provider(1).gateway_address(family).to_string();
    for settings in [
        gateway(&lab, family),
        // A configured target is no neighbour either.
        gateway(&lab, family).with("check", "gateway", "target", &target),
    ] {
        let reason = "the device has no neighbours to ask for";
        let mut daemon = Daemon::start(&lab.router, &settings);
        offline_because(&daemon, family, &[reason]);
        let output = daemon.command(&["probe", "isp1"]);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(reason), "{text}");
        daemon.terminate();
    }
}

#[test]
fn a_device_without_neighbours_in_ipv4() {
    in_lab(|| no_neighbours(Family::V4));
}

#[test]
fn a_device_without_neighbours_in_ipv6() {
    in_lab(|| no_neighbours(Family::V6));
}
