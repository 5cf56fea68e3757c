//! Marks and traffic of other programs stay what they are.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use failover::firewall::plan::Plan;
use failover::routing::delegated::Delegated;
use failover::types::Mark;
use nix::sys::socket::{setsockopt, sockopt};

use super::lab::{Family, Namespace};
use super::plans::two;
use super::world::{PORT, Place, World, client, own, target};

/// A table of another program: its chain in prerouting, at the priority of iptables' mangle; and its chain in postrouting.
fn mangle(world: &World, prerouting: &str, postrouting: &str) {
    world.nft(&format!(
        "table inet others {{
            chain prerouting {{ type filter hook prerouting priority mangle; {prerouting}; }}
            chain postrouting {{ type filter hook postrouting priority mangle; {postrouting}; }}
        }}"
    ));
}

/// Where the client is reached from provider 2.
fn reachable(family: Family) -> SocketAddr {
    match family {
        Family::V4 => own(family, 2),
        Family::V6 => client(family),
    }
}

/// A rule of another program for exactly this mark: by provider 2.
fn rule(world: &World, mark: &str) {
    for family in Family::ALL {
        let rule = format!("rule add pref 20000 fwmark {mark} lookup 102");
        world.router.batch(family, &rule);
    }
}

#[test]
fn a_packet_with_a_mark_of_others_leaves_as_it_is() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    mangle(&world, "iifname lan0 meta mark set 1", "");
    rule(&world, "1");
    for family in Family::ALL {
        for mut talk in world.both(Place::Client, target(family)) {
            assert_eq!(talk.by(), Some('2'));
            assert_eq!(talk.by(), Some('2'));
            assert_eq!(world.marks(family, talk.port()), [0]);
        }
    }
}

/// A tunnel comes up: from then on, packets of running connections are marked, too.
#[test]
fn a_mark_that_comes_later_prevails() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    rule(&world, "1");
    let mut talk = world.udp(Place::Client, target(Family::V6));
    assert_eq!(talk.by(), Some('1'));
    mangle(&world, "iifname lan0 meta mark set 1", "");
    assert_eq!(talk.by(), Some('2'));
}

#[test]
fn an_answer_keeps_the_mark_of_others() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    mangle(
        &world,
        "iifname lan0 meta mark set 0x10",
        "iifname lan0 oifname wan2 meta mark != 0x82000010 drop",
    );
    for family in Family::ALL {
        let at = reachable(family);
        for mut talk in world.both(Place::Internet(1), at) {
            assert_eq!(talk.by(), Some('c'));
            assert_eq!(talk.by(), Some('c'));
        }
    }
}

#[test]
fn other_bits_of_the_connections_mark_stay() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    mangle(&world, "ct state new ct mark set 0x00123456", "");
    for family in Family::ALL {
        let mut talk = world.udp(Place::Client, target(family));
        assert_eq!(talk.by(), Some('1'));
        assert_eq!(talk.by(), Some('1'));
        assert_eq!(world.marks(family, talk.port()), [0x0112_3456]);
        let at = reachable(family);
        let mut talk = world.udp(Place::Internet(1), at);
        assert_eq!(talk.by(), Some('c'));
        assert_eq!(talk.by(), Some('c'));
        assert_eq!(world.marks(family, talk.port()), [0x8212_3456]);
    }
}

/// `iptables -t mangle`: CONNMARK --restore-mark in PREROUTING, and --save-mark there, in POSTROUTING, or in both.
#[test]
fn programs_may_save_and_restore_the_whole_mark() {
    let save = "ct mark set meta mark";
    for (before, after) in [(save, ""), ("", save), (save, save)] {
        let world = World::new();
        world.load(&two(), &Delegated::new());
        mangle(&world, &format!("meta mark set ct mark; {before}"), after);
        for family in Family::ALL {
            for mut talk in world.both(Place::Client, target(family)) {
                for leader in [1, 2, 1, 2] {
                    world.lead(leader);
                    assert_eq!(talk.by(), Some('1'), "{before}, {after}");
                }
                world.lead(1);
            }
        }
        for mut talk in world.both(Place::Internet(1), own(Family::V4, 2)) {
            for _ in 0..3 {
                assert_eq!(talk.by(), Some('c'), "{before}, {after}");
            }
        }
    }
}

/// A UDP socket of the router, with a mark.
fn marked(world: &World, mark: u32, to: SocketAddr) -> super::world::Talk {
    world.udp_with(Place::Router, None, to, |socket| {
        setsockopt(&socket.as_fd(), sockopt::Mark, &mark).unwrap();
    })
}

fn with_own_mark(value: u32) -> Plan {
    let mut plan = two();
    plan.members[1].own = Some(Mark {
        value,
        mask: 0x00ff_ffff,
    });
    plan
}

#[test]
fn a_program_of_the_router_keeps_its_mark() {
    let world = World::bare();
    world.load(&with_own_mark(0x200), &Delegated::new());
    mangle(&world, "", "");
    rule(&world, "5");
    rule(&world, "0x200");
    for family in Family::ALL {
        let mut talk = marked(&world, 5, target(family));
        assert_eq!(talk.by(), Some('2'));
        assert_eq!(talk.by(), Some('2'));
        assert_eq!(world.marks(family, talk.port()), [0]);
        let mut talk = marked(&world, 0x200, target(family));
        assert_eq!(talk.by(), Some('2'));
        assert_eq!(world.marks(family, talk.port()), [0x0200_0000]);
        let mut talk = marked(&world, 0, target(family));
        assert_eq!(talk.by(), Some('1'));
        assert_eq!(world.marks(family, talk.port()), [0x0100_0000]);
    }
}

/// What a provider's own mark steers is recorded.
#[test]
fn a_providers_own_mark_is_not_one_of_others() {
    let world = World::new();
    world.load(&with_own_mark(0x200), &Delegated::new());
    mangle(&world, "iifname lan0 meta mark set 0x200", "");
    rule(&world, "0x200/0xffffff");
    let mut talk = world.udp(Place::Client, target(Family::V4));
    assert_eq!(talk.by(), Some('2'));
    assert_eq!(talk.by(), Some('2'));
    assert_eq!(world.marks(Family::V4, talk.port()), [0x0200_0000]);
}

/// What arrives in a packet that has our mark has none itself. An inner packet comes by another device: here the mark is
/// left by a chain before ours.
#[test]
fn an_inherited_mark_is_cleared() {
    let world = World::new();
    let mut plan = two();
    plan.members[1].strict = true;
    world.load(&plan, &Delegated::new());
    mangle(&world, "iifname lan0 meta mark set 0x02000000", "");
    let mut talk = world.udp(Place::Client, target(Family::V4));
    assert_eq!(talk.by(), Some('1'));
    assert_eq!(talk.by(), Some('1'));
}

/// A server of the router that marks what it sends.
#[test]
fn a_server_of_the_router_keeps_its_mark() {
    let world = World::bare();
    world.load(&two(), &Delegated::new());
    mangle(&world, "", "udp sport 7000 meta mark != 5 drop");
    for family in Family::ALL {
        let server = world
            .router
            .enter(|| UdpSocket::bind(own(family, 2)).unwrap());
        setsockopt(&server.as_fd(), sockopt::Mark, &5).unwrap();
        let mut talk = world.udp(Place::Internet(1), own(family, 2));
        let echo = || {
            let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
            server.send_to(b"r ::", from).unwrap();
        };
        std::thread::scope(|scope| {
            scope.spawn(echo);
            assert_eq!(talk.by(), Some('r'));
        });
        assert_eq!(world.marks(family, talk.port()), [0x8200_0000]);
    }
}

#[test]
fn what_arrives_has_no_mark() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    mangle(&world, "", "oifname lan0 meta mark != 0 drop");
    for family in Family::ALL {
        for mut talk in world.both(Place::Client, target(family)) {
            assert_eq!(talk.by(), Some('1'));
            assert_eq!(talk.by(), Some('1'));
        }
        let at = reachable(family);
        for mut talk in world.both(Place::Internet(1), at) {
            assert_eq!(talk.by(), Some('c'));
            assert_eq!(talk.by(), Some('c'));
        }
    }
}

#[test]
fn beside_a_strict_uplink_what_arrives_by_another_has_no_mark() {
    let world = World::new();
    let mut plan = two();
    plan.members[1].strict = true;
    world.load(&plan, &Delegated::new());
    mangle(&world, "", "iifname wan1 oifname lan0 meta mark != 0 drop");
    for family in Family::ALL {
        for mut talk in world.both(Place::Client, target(family)) {
            assert_eq!(talk.by(), Some('1'));
            assert_eq!(talk.by(), Some('1'));
        }
    }
}

/// From one provider to a host of the other.
#[test]
fn what_came_by_one_provider_belongs_to_it_wherever_it_leaves() {
    let mut world = World::bare();
    let at = "[2001:db8:f2::1]:7000".parse().unwrap();
    world.serve(Place::Internet(1), at, b'2');
    world.load(&two(), &Delegated::new());
    let from = "2001:db8:f1::1".parse().unwrap();
    let mut talk = world.udp_from(Place::Internet(0), Some(from), at);
    assert_eq!(talk.by(), Some('2'));
    assert_eq!(world.marks(Family::V6, talk.port()), [0x8100_0000]);
}

#[test]
fn traffic_within_the_lan_has_no_mark() {
    let mut world = World::new();
    let other: [SocketAddr; 2] = [
        format!("198.51.100.130:{PORT}").parse().unwrap(),
        format!("[2001:db8:98::2]:{PORT}").parse().unwrap(),
    ];
    world.load(&two(), &Delegated::new());
    mangle(&world, "", "meta mark != 0 drop");
    for (family, at) in Family::ALL.into_iter().zip(other) {
        world.serve(Place::Other, at, b'o');
        for mut talk in world.both(Place::Client, at) {
            assert_eq!(talk.by(), Some('o'));
            assert_eq!(talk.by(), Some('o'));
            assert_eq!(world.marks(family, talk.port()), [0]);
        }
    }
}

/// Two hosts at a bridge of the router, whose packets pass its chains of IP.
#[test]
fn bridged_traffic_has_no_mark() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    mangle(&world, "", "meta mark != 0 drop");
    let hosts = [Namespace::new("left"), Namespace::new("right")];
    world
        .router
        .ip("link add bridge type bridge\nlink set bridge up");
    world.router.sysctl("bridge/bridge-nf-call-iptables", 1);
    for (number, host) in hosts.iter().enumerate() {
        let id = host.thread_id();
        world.router.ip(&format!(
            "link add port{number} type veth peer name eth0 netns {id}\nlink set port{number} master bridge\nlink set port{number} up"
        ));
        host.ip(&format!(
            "address add 192.0.2.{}/26 dev eth0\nlink set eth0 up",
            2 + number
        ));
    }
    hosts[0].run(&["ping", "-c", "2", "-i", "0.1", "-w", "5", "192.0.2.3"]);
    let all = world.router.run(&["conntrack", "-L"]);
    let line = all.lines().find(|line| line.contains("dst=192.0.2.3"));
    let line = line.expect("the bridge tracks connections");
    assert!(line.contains(" mark=0 "), "{line}");
}
