//! What is masqueraded, and what is not.

use std::net::IpAddr;

use failover::routing::delegated::Delegated;

use super::lab::Family;
use super::plans::{delegated, two};
use super::world::{End, Place, Talk, World, client, own, target};

/// The address under which the server sees a connection.
fn seen(talk: &mut Talk) -> Option<IpAddr> {
    match talk.ask() {
        End::Answer(_, from) => Some(from),
        _ => None,
    }
}

fn six(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn masquerade_is_for_what_is_not_the_routers_own() {
    let world = World::bare();
    let mut plan = two();
    plan.members[0].masquerade = true;
    world.load(&plan, &Delegated::new());
    let to = target(Family::V4);
    for mut talk in world.both(Place::Client, to) {
        assert_eq!(seen(&mut talk), Some(own(Family::V4, 1).ip()));
        assert_eq!(seen(&mut talk), Some(own(Family::V4, 1).ip()));
        assert_eq!(world.marks(Family::V4, talk.port()), [0x0100_0000]);
    }
    let lan: IpAddr = "198.51.100.1".parse().unwrap();
    let mut talk = world.udp_from(Place::Router, Some(lan), to);
    assert_eq!(seen(&mut talk), Some(lan));
    let mut talk = world.udp(Place::Client, target(Family::V6));
    assert_eq!(seen(&mut talk), Some(client(Family::V6).ip()));
    world.lead(2);
    let mut talk = world.udp(Place::Client, to);
    assert_eq!(
        seen(&mut talk),
        Some(client(Family::V4).ip()),
        "only provider 1 masquerades"
    );
}

#[test]
fn a_forwarded_port_is_answered_by_its_own_address() {
    let world = World::bare();
    let mut plan = two();
    for member in &mut plan.members {
        member.masquerade = true;
    }
    world.load(&plan, &Delegated::new());
    world.nft(
        "table ip fw { chain dstnat { type nat hook prerouting priority dstnat; iifname { wan1, wan2 } meta l4proto { tcp, udp } th dport 7000 dnat to 198.51.100.2; }\n}",
    );
    for number in [1, 2] {
        for mut talk in world.both(Place::Internet(number - 1), own(Family::V4, number)) {
            assert_eq!(seen(&mut talk), Some(target(Family::V4).ip()));
            assert_eq!(seen(&mut talk), Some(target(Family::V4).ip()));
        }
    }
}

/// Asks from an address of the client, and says under which the server sees it.
fn from(world: &World, address: &str) -> IpAddr {
    let mut talk = world.udp_from(Place::Client, Some(six(address)), target(Family::V6));
    seen(&mut talk).expect("an answer")
}

#[test]
fn only_a_prefix_of_another_provider_is_masqueraded() {
    let world = World::bare();
    let prefixes = delegated(&[(0, "2001:db8:1::/48"), (1, "2001:db8:2::/48")]);
    world.load(&two(), &prefixes);
    for (leader, foreign, native) in [
        (1, "2001:db8:2::2", "2001:db8:1::2"),
        (2, "2001:db8:1::2", "2001:db8:2::2"),
    ] {
        world.lead(leader);
        assert_eq!(from(&world, foreign), own(Family::V6, leader).ip());
        assert_eq!(from(&world, native), six(native));
        assert_eq!(
            from(&world, "2001:db8:99::2"),
            six("2001:db8:99::2"),
            "unknown"
        );
    }
    let mut plan = two();
    plan.foreign = false;
    world.load(&plan, &prefixes);
    assert_eq!(from(&world, "2001:db8:1::2"), six("2001:db8:1::2"));
}

#[test]
fn prefixes_may_overlap() {
    let world = World::bare();
    let prefixes = [
        (0, "2001:db8:1::/48"),
        (1, "2001:db8::/45"),
        (1, "2001:db8:1::/48"),
        (0, "2001:db8:2::/64"),
    ];
    world.load(&two(), &delegated(&prefixes));
    for leader in [1, 2] {
        world.lead(leader);
        for address in ["2001:db8:1::2", "2001:db8:2::2"] {
            assert_eq!(from(&world, address), six(address), "it is of both");
        }
    }
    world.load(
        &two(),
        &delegated(&[(0, "2001:db8:1::/48"), (1, "2001:db8::/45")]),
    );
    assert_eq!(from(&world, "2001:db8:1::2"), six("2001:db8:1::2"));
    world.lead(1);
    assert_eq!(from(&world, "2001:db8:1::2"), six("2001:db8:1::2"));
    assert_eq!(from(&world, "2001:db8:2::2"), own(Family::V6, 1).ip());
}
