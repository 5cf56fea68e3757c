//! Probes on a real kernel: which socket receives which reply, by which device, and that damage is detected.

#![allow(clippy::unwrap_used)] // a test's helpers too

#[path = "probe/netns.rs"]
mod netns;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use failover::check::ping::Ping;
use failover::linux::probe::icmp::{Probes, Received};
use failover::types::{Duration, Family, Fault, Instant, PathId, Round, Slot};
use failover::wire::icmp::{PAYLOAD_LEN, Rejected};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    recvfrom, sendto, socket,
};
use nix::time::{ClockId, clock_gettime};
use smoltcp::wire::Icmpv4Packet;

use netns::{DEVICES, Lab, add_address, beyond, ip, other, own, sysctl, target};

const ROUND: Round = Round(0x0001_0007);

fn path(which: u8, family: Family) -> PathId {
    PathId {
        slot: Slot(which),
        family,
    }
}

fn now() -> Instant {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    Instant::from_micros(now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000)
}

/// The paths of both devices in a family, bound to the router's address.
fn bound(family: Family) -> Probes {
    let mut probes = Probes::new();
    for which in 0..2 {
        let device = DEVICES[usize::from(which)];
        probes
            .bind(path(which, family), device, Some(own(family)))
            .unwrap();
    }
    probes
}

fn readable(fd: BorrowedFd, wait_ms: u16) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(wait_ms)).unwrap() > 0
}

/// Whether a path's socket is readable.
fn woken(probes: &Probes, path: PathId) -> bool {
    readable(probes.fd(path).unwrap(), 0)
}

/// The next message, which must arrive within 5 s.
fn next(probes: &mut Probes, path: PathId) -> Result<Received, Rejected> {
    assert!(readable(probes.fd(path).unwrap(), 5000), "no answer");
    probes.receive(path, now()).unwrap()
}

/// Sends one probe to the peer and receives the reply.
fn ask(probes: &mut Probes, path: PathId) -> Received {
    let target = target(path.family);
    probes
        .send(path, 3, &Ping::new(target), ROUND, now())
        .unwrap();
    let received = next(probes, path).unwrap();
    assert_eq!((received.check, received.round), (3, ROUND));
    assert_eq!(received.source, target);
    received
}

#[test]
fn a_peer_answers() {
    let _lab = Lab::new();
    for family in Family::ALL {
        let mut probes = bound(family);
        let path = path(0, family);
        let received = ask(&mut probes, path);
        assert!(received.rtt > Duration::ZERO && received.rtt < Duration::from_secs(5));
        assert_eq!(probes.receive(path, now()), None);
    }
}

#[test]
fn a_path_without_a_known_address_is_probed_too() {
    let _lab = Lab::new();
    for family in Family::ALL {
        let mut probes = Probes::new();
        let path = path(0, family);
        probes.bind(path, "isp1", None).unwrap();
        ask(&mut probes, path);
    }
}

#[test]
fn a_link_local_target_is_asked_on_the_paths_link() {
    let lab = Lab::new();
    for peer in &lab.peers {
        peer.inside(|| add_address("uplink", "fe80::1".parse().unwrap()));
    }
    let path = path(1, Family::V6);
    let link_local = "fe80::2".parse().unwrap();
    add_address("isp2", link_local);
    for address in [own(Family::V6), link_local] {
        let mut probes = Probes::new();
        probes.bind(path, "isp2", Some(address)).unwrap();
        let target: IpAddr = "fe80::1".parse().unwrap();
        probes
            .send(path, 0, &Ping::new(target), ROUND, now())
            .unwrap();
        assert_eq!(next(&mut probes, path).unwrap().source, target);
    }
}

#[test]
fn a_silent_peer_gives_no_answer() {
    let lab = Lab::new();
    lab.silence(0);
    for family in Family::ALL {
        let mut probes = bound(family);
        let (path, target) = (path(0, family), target(family));
        probes
            .send(path, 0, &Ping::new(target), ROUND, now())
            .unwrap();
        assert!(!readable(probes.fd(path).unwrap(), 300));
        assert_eq!(probes.receive(path, now()), None);
    }
}

#[test]
fn equal_addresses_on_two_devices_do_not_mix() {
    let lab = Lab::new();
    for family in Family::ALL {
        let mut probes = bound(family);
        let paths = [path(0, family), path(1, family)];
        for (check, path) in (0..).zip(paths) {
            let target = target(family);
            probes
                .send(path, check, &Ping::new(target), ROUND, now())
                .unwrap();
        }
        for (check, path) in (0..).zip(paths) {
            assert_eq!(next(&mut probes, path).unwrap().check, check);
        }
        assert!(paths.iter().all(|path| !woken(&probes, *path)));
    }
    // the other peer's replies do not count for a silent peer
    lab.silence(1);
    for family in Family::ALL {
        let mut probes = bound(family);
        let (silent, target) = (path(1, family), target(family));
        probes
            .send(silent, 0, &Ping::new(target), ROUND, now())
            .unwrap();
        ask(&mut probes, path(0, family));
        assert!(!readable(probes.fd(silent).unwrap(), 300));
    }
}

/// A raw socket for the test's own ICMP messages.
fn raw(family: Family) -> OwnedFd {
    let (domain, protocol) = match family {
        Family::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        Family::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap()
}

/// The next echo request that arrives: its ICMP message.
/// The length of a probe with the default payload.
const MESSAGE_LEN: usize = 8 + PAYLOAD_LEN as usize;

fn request(socket: &OwnedFd, family: Family) -> [u8; MESSAGE_LEN] {
    let (header_len, kind) = match family {
        Family::V4 => (20, 8),
        Family::V6 => (0, 128),
    };
    loop {
        assert!(readable(socket.as_fd(), 5000), "no request");
        let mut buffer = [0; 256];
        let (len, _) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), &mut buffer).unwrap();
        if buffer[header_len] == kind {
            return buffer[header_len..len].try_into().unwrap();
        }
    }
}

#[test]
fn each_path_has_an_identifier_and_a_token_of_its_own() {
    let lab = Lab::new();
    for family in Family::ALL {
        let mut probes = bound(family);
        let [first, second] = [0, 1].map(|which: u8| {
            let peer = lab.peers[usize::from(which)].inside(|| raw(family));
            let (path, target) = (path(which, family), target(family));
            probes
                .send(path, 0, &Ping::new(target), ROUND, now())
                .unwrap();
            request(&peer, family)
        });
        assert_ne!(first[4..6], second[4..6]);
        assert_ne!(first[8..24], second[8..24]);
    }
}

/// Answers a request from an address, with one byte of the reply changed.
fn reply(family: Family, source: IpAddr, request: &[u8; MESSAGE_LEN], changed: Option<usize>) {
    let mut message = *request;
    message[0] = if family == Family::V4 { 0 } else { 129 };
    if let Some(place) = changed {
        message[place] ^= 1;
    }
    if family == Family::V4 {
        Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
    }
    let socket = raw(family);
    let address = |ip| SockaddrStorage::from(SocketAddr::new(ip, 0));
    bind(socket.as_raw_fd(), &address(source)).unwrap();
    let (to, flags) = (address(own(family)), MsgFlags::empty());
    sendto(socket.as_raw_fd(), &message, &to, flags).unwrap();
}

#[test]
fn forged_answers_are_rejected() {
    const IDENTIFIER: usize = 5;
    const SEQUENCE: usize = 7;
    const SEAL: usize = 8 + 15;
    const LAST: usize = 8 + 31;
    let lab = Lab::new();
    lab.silence(0);
    for family in Family::ALL {
        let mut probes = bound(family);
        let path = path(0, family);
        let peer = lab.peers[0].inside(|| raw(family));
        probes
            .send(path, 0, &Ping::new(target(family)), ROUND, now())
            .unwrap();
        let request = request(&peer, family);
        lab.peers[0].inside(|| {
            for place in [IDENTIFIER, SEQUENCE, SEAL, LAST] {
                reply(family, target(family), &request, Some(place));
            }
            reply(family, other(family), &request, None);
            reply(family, target(family), &request, None);
        });

        let heard: Vec<_> = (0..5).map(|_| next(&mut probes, path)).collect();
        assert!(heard.contains(&Err(Rejected::Sequence)));
        let unsealed = |heard: &&Result<_, _>| **heard == Err(Rejected::Token);
        assert_eq!(heard.iter().filter(unsealed).count(), 2);
        // the caller compares the source with the target
        let sources: Vec<_> = heard.iter().flatten().map(|good| good.source).collect();
        assert!(sources.contains(&target(family)) && sources.contains(&other(family)));
        // a wrong identifier causes no wakeup
        assert!(!woken(&probes, path));
    }
}

/// A round's replies have the identifier that the round was sent with, and the former one is accepted until the next change.
#[test]
fn each_identifier_is_for_its_own_rounds() {
    let [first, second, third] = [1, 2, 3].map(Round);
    let lab = Lab::new();
    lab.silence(0);
    for family in Family::ALL {
        let mut probes = bound(family);
        let path = path(0, family);
        let peer = lab.peers[0].inside(|| raw(family));
        let sent = |probes: &mut Probes, round| {
            let ping = Ping::new(target(family));
            probes.send(path, 0, &ping, round, now()).unwrap();
            request(&peer, family)
        };
        let old = sent(&mut probes, first);
        probes.renew(path);
        let new = sent(&mut probes, second);
        assert_ne!(old[4..6], new[4..6]);
        let answer = |request: &[u8; MESSAGE_LEN]| {
            lab.peers[0].inside(|| reply(family, target(family), request, None));
        };
        for (request, round) in [(&new, second), (&old, first)] {
            answer(request);
            assert_eq!(next(&mut probes, path).unwrap().round, round);
        }
        for (mut mixed, identifier) in [(new, &old[4..6]), (old, &new[4..6])] {
            mixed[4..6].copy_from_slice(identifier);
            answer(&mixed);
            assert_eq!(next(&mut probes, path), Err(Rejected::Identifier));
        }
        probes.renew(path);
        sent(&mut probes, third);
        answer(&old);
        answer(&new);
        assert_eq!(next(&mut probes, path).unwrap().round, second);
        assert!(!woken(&probes, path));
    }
}

#[test]
fn unrelated_messages_cause_no_wakeup() {
    let _lab = Lab::new();
    for family in Family::ALL {
        let probes = bound(family);
        let path = path(0, family);
        let mut strangers = bound(family);
        ask(&mut strangers, path);

        let socket = UdpSocket::bind(SocketAddr::new(own(family), 0)).unwrap();
        socket.connect(SocketAddr::new(target(family), 9)).unwrap();
        socket.send(&[0]).unwrap();
        // "port unreachable" has arrived
        assert!(socket.recv(&mut [0]).is_err());
        assert!(!woken(&probes, path));
    }
}

#[test]
fn an_error_that_quotes_a_probe_is_reported() {
    let lab = Lab::new();
    lab.peers[0].inside(|| {
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
    });
    for (family, code) in [(Family::V4, 1), (Family::V6, 0)] {
        let beyond = beyond(family);
        ip(&format!(
            "route add {beyond} via {} dev isp1",
            target(family)
        ));
        lab.peers[0].inside(|| ip(&format!("route add unreachable {beyond}")));
        let mut probes = bound(family);
        let path = path(0, family);
        probes
            .send(path, 0, &Ping::new(beyond), ROUND, now())
            .unwrap();
        let heard = next(&mut probes, path);
        assert_eq!(heard, Err(Rejected::Unreachable { code }));
        // the socket still works
        ask(&mut probes, path);
    }
}

#[test]
fn a_device_that_is_down_is_a_fault_and_comes_back() {
    let lab = Lab::new();
    for family in Family::ALL {
        let mut probes = bound(family);
        let path = path(0, family);
        ip("link set isp1 down");
        let fault = probes.send(path, 0, &Ping::new(target(family)), ROUND, now());
        assert_eq!(fault, Err(Fault::NetworkUnreachable), "{family}");
        lab.up(0);
        ask(&mut probes, path);
    }
}

#[test]
fn a_device_that_was_deleted_is_bound_again() {
    let lab = Lab::new();
    for (family, gone) in [
        (Family::V4, Fault::NoDevice),
        (Family::V6, Fault::NetworkUnreachable),
    ] {
        let mut probes = bound(family);
        let (path, target) = (path(0, family), target(family));
        ip("link del isp1");
        assert_eq!(
            probes.send(path, 0, &Ping::new(target), ROUND, now()),
            Err(gone)
        );
        assert_eq!(
            probes.bind(path, "isp1", Some(own(family))),
            Err(Fault::NoDevice)
        );
        // no socket is better than one that might use another device
        assert!(probes.fd(path).is_none());
        let fault = probes.send(path, 0, &Ping::new(target), ROUND, now());
        assert_eq!(fault, Err(Fault::NoDevice));

        lab.plug(0);
        probes.bind(path, "isp1", Some(own(family))).unwrap();
        ask(&mut probes, path);
    }
}

#[test]
fn a_changed_address_is_bound_again_and_replies_in_flight_count() {
    let lab = Lab::new();
    lab.silence(0);
    for family in Family::ALL {
        let mut probes = bound(family);
        let path = path(0, family);
        let peer = lab.peers[0].inside(|| raw(family));
        probes
            .send(path, 0, &Ping::new(target(family)), ROUND, now())
            .unwrap();
        let request = request(&peer, family);

        let absent = probes.bind(path, "isp1", Some(beyond(family)));
        assert_eq!(absent, Err(Fault::AddressUnavailable));
        probes.bind(path, "isp1", Some(own(family))).unwrap();
        lab.peers[0].inside(|| reply(family, target(family), &request, None));
        assert_eq!(next(&mut probes, path).unwrap().round, ROUND);

        probes.close(path);
        assert!(probes.fd(path).is_none());
    }
}

#[test]
fn an_own_address_that_is_gone_is_a_fault() {
    let _lab = Lab::new();
    let mut probes = bound(Family::V4);
    ip("addr del 192.0.2.2/24 dev isp1");
    ip("addr del 192.0.2.2/24 dev isp2");
    ip("addr add 192.0.2.3/24 dev isp1");
    let (path, target) = (path(0, Family::V4), target(Family::V4));
    let fault = probes
        .send(path, 0, &Ping::new(target), ROUND, now())
        .unwrap_err();
    // the errno depends on the kernel
    assert!(matches!(
        fault,
        Fault::AddressUnavailable | Fault::NetworkUnreachable
    ));
}

/// Indexes of the devices by which probes to a target leave, up to that of check `last`.
fn devices_until(watch: &OwnedFd, target: IpAddr, last: u8) -> Vec<(usize, u8)> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|&(_, check)| check != last) {
        assert!(readable(watch.as_fd(), 5000), "{seen:?}");
        let mut packet = [0; 256];
        let (len, from) = recvfrom::<LinkAddr>(watch.as_raw_fd(), &mut packet).unwrap();
        let (address_at, payload_at) = match target {
            IpAddr::V4(_) => (16, 20 + 8),
            IpAddr::V6(_) => (24, 40 + 8),
        };
        let address = match target {
            IpAddr::V4(target) => target.octets().to_vec(),
            IpAddr::V6(target) => target.octets().to_vec(),
        };
        if len == payload_at + 32 && packet[address_at..].starts_with(&address) {
            seen.push((from.unwrap().ifindex(), packet[payload_at + 20]));
        }
    }
    seen
}

#[test]
fn a_probe_never_leaves_by_another_device() {
    let lab = Lab::new();
    for family in Family::ALL {
        let number = |device: &str| nix::net::if_::if_nametoindex(device).unwrap() as usize;
        let (gateway, beyond) = (target(family), beyond(family));
        let flag = if family == Family::V4 { "-4" } else { "-6" };
        ip(&format!("{flag} route add default via {gateway} dev isp2"));
        let kind = (SockType::Datagram, SockProtocol::EthAll);
        let watch = socket(
            AddressFamily::Packet,
            kind.0,
            SockFlag::SOCK_CLOEXEC,
            kind.1,
        )
        .unwrap();

        // without a route by its own device, with one, and after that device is down
        let mut probes = bound(family);
        let (first, second) = (path(0, family), path(1, family));
        let _on_link_or_refused = probes.send(first, 0, &Ping::new(beyond), ROUND, now());
        ip(&format!(
            "{flag} route add default via {gateway} dev isp1 metric 4000"
        ));
        probes
            .send(first, 1, &Ping::new(beyond), ROUND, now())
            .unwrap();
        ip("link set isp1 down");
        assert!(
            probes
                .send(first, 2, &Ping::new(beyond), ROUND, now())
                .is_err()
        );
        probes
            .send(second, 3, &Ping::new(beyond), ROUND, now())
            .unwrap();

        let seen = devices_until(&watch, beyond, 3);
        let by = |device: &str| -> Vec<u8> {
            let by = seen.iter().filter(|(at, _)| *at == number(device));
            by.map(|(_, check)| *check).collect()
        };
        assert_eq!(by("isp2"), [3], "{family}");
        assert!(by("isp1").contains(&1), "{family}");
        lab.up(0);
    }
}
