//! Modems that dial in again: their outer address changes, and their NAT keeps translating known conversations to the
//! former one as long as packets of these arrive.

use std::collections::{HashMap, HashSet};

use super::lab::capture::{Capture, Packet, flag, index};
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, online};

/// The modem of provider 1 has another outer address from now on: what it knows already keeps the former one. (The kernel's
/// `masquerade` would forget at once; `snat`, as many modems, does not.)
fn dials_in(lab: &Lab, [v4, v6]: [&str; 2]) {
    let provider = lab.provider(1);
    provider.gateway.run(&["nft", "delete table inet nat"]);
    let rules = format!(
        "table inet nat {{ chain leaving {{ type nat hook postrouting priority 100;
            oifname core snat ip to {v4}
            oifname core snat ip6 to {v6}
        }}
        }}"
    );
    provider.gateway.ip("addr flush dev core");
    provider.gateway.ip(&format!(
        "addr add {v4}/32 dev core
         addr add {v6}/64 dev core nodad
         route replace default via 203.0.113.128 onlink dev core
         route replace ::/0 via 2001:db8:fe:1::2 dev core"
    ));
    provider.gateway.feed(&["nft", "-f", "-"], &rules);
}

/// A lab whose first provider's modem translates.
fn lab() -> Lab {
    let lab = Lab::new();
    let gateway = &lab.provider(1).gateway;
    gateway.run(&["nft", "add table inet nat"]);
    lab.provider(1)
        .server
        .ip("route add 203.0.113.200/31 dev eth0
         route del default
         route del ::/0");
    dials_in(&lab, ["203.0.113.200", "2001:db8:fe:1::200"]);
    lab
}

fn dials_in_again(lab: &Lab) {
    dials_in(lab, ["203.0.113.201", "2001:db8:fe:1::201"]);
}

#[test]
fn a_path_behind_a_modem_that_dials_in_again_comes_back() {
    in_lab(|| {
        let lab = lab();
        let daemon = online(&lab);
        dials_in_again(&lab);
        for family in ["ipv4", "ipv6"] {
            daemon.wait_for("isp1", family, "offline");
        }
        daemon.wait_for_all("online");
    });
}

/// Sequence number and identifier of the echo requests that left by a device, in IPv4.
fn requests(capture: &mut Capture, device: usize) -> Vec<(u16, u16)> {
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let packets = capture.packets().iter();
    let sent = packets.filter(|p| p.device == device && p.outgoing && !p.is_arp);
    sent.filter(|p| p.bytes[0] == 0x45 && p.bytes[9] == 1 && p.bytes[20] == 8)
        .map(|p| (word(&p.bytes, 26), word(&p.bytes, 24)))
        .collect()
}

/// Five rounds or more with each identifier, and no identifier of the other path.
#[test]
fn an_offline_path_takes_new_identifiers_and_an_online_one_does_not() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let mut capture = Capture::start(&lab.router);
        let [eth1, eth2] = ["eth1", "eth2"].map(|device| index(&lab.router, device));
        lab.upstream_dies(1);
        daemon.wait_for("isp1", "ipv4", "offline");
        let identifiers = |sent: &[(u16, u16)]| {
            let mut rounds = HashMap::<u16, usize>::new();
            sent.iter()
                .for_each(|(_, id)| *rounds.entry(*id).or_default() += 1);
            rounds
        };
        let taken = || identifiers(&requests(&mut capture, eth1)).len() >= 5;
        assert!(wait_until(SOON, taken));
        let sent = requests(&mut capture, eth1);
        let rounds = identifiers(&sent);
        let last = sent[sent.len() - 1].1;
        let first = sent[0].1;
        for (id, count) in rounds {
            assert!(
                count >= 5 || id == last || id == first,
                "{id}: {count}: {sent:?}"
            );
        }
        let other = identifiers(&requests(&mut capture, eth2));
        assert_eq!(other.len(), 1);
        assert!(sent.iter().all(|(_, id)| !other.contains_key(id)));
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
    });
}

/// Another own address is another conversation, too, even while the path is online.
#[test]
fn a_new_address_comes_with_a_new_identifier() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let mut capture = Capture::start(&lab.router);
        let eth1 = index(&lab.router, "eth1");
        let mut identifiers = HashSet::new();
        let mut all = |count| {
            let sent = requests(&mut capture, eth1);
            identifiers = sent.into_iter().map(|(_, id)| id).collect();
            identifiers.len() == count
        };
        assert!(wait_until(SOON, || all(1)));
        lab.renew_address(1);
        assert!(wait_until(SOON, || all(2)), "{}", daemon.log());
        daemon.wait_for_all("online");
    });
}

/// Sessions of checks of all types, of both providers, for some seconds, on a range of ports in which some are reserved.
#[test]
fn sessions_never_have_a_port_again() {
    in_lab(|| {
        let lab = Lab::new();
        lab.router
            .run(&["sysctl", "-w", "net.ipv4.ip_local_port_range=40000 49999"]);
        let reserved = "net.ipv4.ip_local_reserved_ports=40000-44000,45001,45003-46000";
        lab.router.run(&["sysctl", "-w", reserved]);
        let check = |settings: Settings, name: &str, kind: &str| {
            settings
                .with("check", name, "type", kind)
                .with("check", name, "interval", "100ms")
                .with("check", name, "target", &target(Family::V4).to_string())
        };
        let settings = check(Settings::fast(&lab), "web", "tcp").with("check", "web", "port", "80");
        let settings = check(settings, "name", "dns").with("check", "name", "query", "example.org");
        let _daemon = Daemon::start(&lab.router, &settings.global("quorum", "1"));
        let mut capture = Capture::start(&lab.router);
        let mut taken = Vec::new();
        let enough = || {
            taken = ports(&mut capture);
            taken.len() > 600
        };
        assert!(wait_until(4 * SOON, enough));
        let mut seen = HashSet::new();
        for port in taken {
            let is_reserved = matches!(port, 40000..=44000 | 45001 | 45003..=46000);
            assert!((40000..50000).contains(&port) && !is_reserved, "{port}");
            assert!(seen.insert(port), "{port} comes again after {}", seen.len());
        }
    });
}

/// The local ports of the first packets of sessions over TCP and UDP, in IPv4.
fn ports(capture: &mut Capture) -> Vec<u16> {
    let sent = capture.packets().iter().filter(|p| p.outgoing);
    let asks = |p: &&Packet| p.version() == 4 && (p.protocol() == 17 || p.has_flags(flag::SYN));
    let from = sent.filter(asks).filter_map(Packet::from);
    from.map(|from| from.port()).collect()
}
