//! Inbound connections are answered by the provider by which they came.

use failover::routing::delegated::Delegated;

use super::lab::Family;
use super::plans::two;
use super::world::{PORT, Place, Talk, World, client, own, target};

/// The client behind the router answers.
fn reached(talk: &mut Talk) {
    assert_eq!(talk.by(), Some('c'));
}

/// The address under which the client is reached from the Internet: in IPv4 by the router's forwarded port.
fn public(family: Family, number: usize) -> std::net::SocketAddr {
    match family {
        Family::V4 => own(family, number),
        Family::V6 => client(family),
    }
}

#[test]
fn a_client_is_reached_by_every_provider() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    for family in Family::ALL {
        for leader in [1, 2, 1] {
            world.lead(leader);
            for number in [1, 2] {
                let from = Place::Internet(number - 1);
                for mut talk in world.both(from, public(family, number)) {
                    reached(&mut talk);
                    world.lead(3 - leader);
                    reached(&mut talk);
                    world.lead(leader);
                    let mark = 0x8000_0000 + (u32::try_from(number).unwrap() << 24);
                    assert_eq!(world.marks(family, talk.port()), [mark]);
                }
            }
        }
    }
}

#[test]
fn without_answers_a_client_is_reached_by_the_leader_only() {
    let world = World::new();
    let mut plan = two();
    plan.answers = false;
    world.load(&plan, &Delegated::new());
    let mut talk = world.udp(Place::Internet(1), own(Family::V4, 2));
    assert_eq!(talk.by(), None);
    let mut talk = world.udp(Place::Internet(0), own(Family::V4, 1));
    reached(&mut talk);
    assert_eq!(world.marks(Family::V4, talk.port()), [0]);
}

#[test]
fn the_routers_own_services_are_reached_by_every_provider() {
    let mut world = World::bare();
    // Both providers have given the router the same address, so that no rule for sources can tell them apart.
    let shared = ["198.51.100.200/32", "2001:db8:fff::2/128"];
    for (number, family) in [
        (1, Family::V4),
        (2, Family::V4),
        (1, Family::V6),
        (2, Family::V6),
    ] {
        let address = shared[family as usize];
        world
            .router
            .batch(family, &format!("address add {address} dev wan{number}"));
        let gateway = own(family, number).ip();
        world.internet[number - 1].batch(
            family,
            &format!(
                "route replace {address} via {gateway} src {}",
                target(family).ip()
            ),
        );
    }
    world.load(&two(), &Delegated::new());
    for family in Family::ALL {
        let address = shared[family as usize].split('/').next().unwrap();
        let at = (address.parse::<std::net::IpAddr>().unwrap(), PORT).into();
        world.serve(Place::Router, at, b'r');
        for leader in [1, 2] {
            world.lead(leader);
            for number in [1, 2] {
                for mut talk in world.both(Place::Internet(number - 1), at) {
                    assert_eq!(talk.by(), Some('r'), "{family} by {number}");
                    world.lead(3 - leader);
                    assert_eq!(talk.by(), Some('r'), "{family} by {number}");
                    world.lead(leader);
                }
            }
        }
    }
}

/// `rp_filter` 1 asks for the way back with the packet's mark, if `src_valid_mark` is 1.
#[test]
fn strict_filters_let_them_in() {
    let world = World::new();
    world.router.sysctls(&[
        ("ipv4/conf/all/src_valid_mark", 1),
        ("ipv4/conf/wan1/rp_filter", 1),
        ("ipv4/conf/wan2/rp_filter", 1),
    ]);
    let mut plan = two();
    for member in &mut plan.members {
        member.strict = true;
    }
    world.load(&plan, &Delegated::new());
    let family = Family::V4;
    for leader in [1, 2] {
        world.lead(leader);
        for number in [1, 2] {
            for mut talk in world.both(Place::Internet(number - 1), own(family, number)) {
                reached(&mut talk);
                world.lead(3 - leader);
                reached(&mut talk);
                world.lead(leader);
            }
        }
        let by = char::from_digit(u32::try_from(leader).unwrap(), 10);
        for mut talk in world.both(Place::Client, target(family)) {
            assert_eq!(talk.by(), by);
            world.lead(3 - leader);
            assert_eq!(talk.by(), by);
            world.lead(leader);
        }
    }
}

/// A host of the LAN that is reached by a rule of another program, behind our rules for answers and before those for what
/// leaves.
#[test]
fn a_host_behind_a_rule_of_others_is_reached() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    for (family, network) in [
        (Family::V4, "198.51.100.0/25"),
        (Family::V6, "2001:db8:1::/64"),
    ] {
        world.router.batch(
            family,
            &format!(
                "route add {network} dev lan0 table 30
                 rule add pref 30000 to {network} lookup 30
                 route delete {network} dev lan0"
            ),
        );
        for mut talk in world.both(Place::Internet(1), public(family, 2)) {
            reached(&mut talk);
            reached(&mut talk);
        }
        for mut talk in world.both(Place::Client, target(family)) {
            assert_eq!(talk.by(), Some('1'));
            world.lead(2);
            assert_eq!(talk.by(), Some('1'));
            world.lead(1);
        }
    }
}
