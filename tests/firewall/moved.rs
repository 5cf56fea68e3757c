//! What happens to running connections when they are handed over.

use failover::routing::delegated::Delegated;

use super::lab::{Family, wait_until};
use super::plans::two;
use super::world::{End, PORT, Place, World, client, own, target};

use std::time::Duration;

/// What the daemon does when provider 1 is lost: the rule, the route, the element, the entries.
fn hand_over(world: &World, family: Family, element: bool) {
    world.router.batch(family, "rule delete pref 32801");
    world.lead(2);
    if element {
        world.nft("add element inet failover moved { \"wan2\" timeout 60s }");
    }
    let name = if family == Family::V4 { "ipv4" } else { "ipv6" };
    let mark = "0x01000000/0xff000000";
    // It fails if there is nothing to delete.
    world
        .router
        .run(&["conntrack", "-D", "-f", name, "-m", mark]);
}

/// The server of provider 2 says nothing to segments that it does not know.
fn silent(world: &World) {
    let silence = "table inet silent { chain output { type filter hook output priority 0; tcp flags & rst == rst drop; }\n}\n";
    world.internet[1].feed(&["nft", "-f", "-"], silence);
}

/// How a running connection of the LAN ends when it is handed over, with or without the element.
fn ends(family: Family, element: bool) -> (World, End) {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    silent(&world);
    let mut talk = world.tcp(Place::Client, target(family));
    assert_eq!(talk.by(), Some('1'));
    hand_over(&world, family, element);
    let end = talk.ask();
    (world, end)
}

#[test]
fn a_segment_in_mid_stream_is_reset() {
    for family in Family::ALL {
        let (world, end) = ends(family, true);
        assert_eq!(end, End::Reset, "{family}");
        let mut new = world.tcp(Place::Client, target(family));
        assert_eq!(new.by(), Some('2'));
        assert_eq!(new.by(), Some('2'));
    }
}

#[test]
fn without_the_element_it_is_not() {
    for family in Family::ALL {
        assert_eq!(ends(family, false).1, End::Silence, "{family}");
    }
}

#[test]
fn datagrams_are_answered_by_the_other_provider() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    let mut talk = world.udp(Place::Client, target(Family::V4));
    assert_eq!(talk.by(), Some('1'));
    hand_over(&world, Family::V4, true);
    assert_eq!(talk.by(), Some('2'));
    assert_eq!(world.marks(Family::V4, talk.port()), [0x0200_0000]);
}

/// The element ends by itself. Then a connection that is not known is taken up in mid-stream, as without the table.
#[test]
fn the_element_ends_by_itself() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    world.nft("add element inet failover moved { \"wan1\" timeout 1s }");
    let elements = || {
        world
            .router
            .run(&["nft", "list", "set", "inet", "failover", "moved"])
    };
    assert!(elements().contains("wan1"));
    assert!(wait_until(Duration::from_secs(5), || !elements().contains("wan1")));
    for family in Family::ALL {
        let mut talk = world.tcp(Place::Client, target(family));
        assert_eq!(talk.by(), Some('1'));
        world.router.run(&["conntrack", "-F"]);
        assert_eq!(talk.by(), Some('1'), "{family}");
    }
}

/// Only what leaves by the device is reset: nothing within the LAN, and nothing by another provider.
#[test]
fn others_are_not_reset() {
    let mut world = World::new();
    let other = format!("198.51.100.130:{PORT}").parse().unwrap();
    world.serve(Place::Other, other, b'o');
    world.load(&two(), &Delegated::new());
    let mut inside = world.tcp(Place::Client, other);
    let mut outside = world.tcp(Place::Client, target(Family::V4));
    assert_eq!(inside.by(), Some('o'));
    assert_eq!(outside.by(), Some('1'));
    world.nft("add element inet failover moved { \"wan2\" timeout 60s }");
    world.router.run(&["conntrack", "-F"]);
    assert_eq!(inside.by(), Some('o'));
    assert_eq!(outside.by(), Some('1'));
}

/// Neither is what is known.
#[test]
fn running_connections_of_the_new_leader_are_not_reset() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    world.nft("add element inet failover moved { \"wan1\" timeout 60s }");
    for family in Family::ALL {
        let mut talk = world.tcp(Place::Client, target(family));
        assert_eq!(talk.by(), Some('1'));
        assert_eq!(talk.by(), Some('1'));
    }
}

/// For a moment, IPv6 datagrams that belong to no connection are not taken for inbound by the line that was left.
#[test]
fn datagrams_in_flight_by_the_former_line_are_dropped() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    let reaches = |number| {
        let mut talk = world.udp(Place::Internet(number), client(Family::V6));
        talk.by() == Some('c')
    };
    let mut known = world.udp(Place::Internet(0), client(Family::V6));
    assert_eq!(known.by(), Some('c'));
    world.nft("add element inet failover leaving { \"wan1\" timeout 60s }");
    assert!(!reaches(0) && reaches(1));
    assert_eq!(known.by(), Some('c'));
    let mut forwarded = world.udp(Place::Internet(0), own(Family::V4, 1));
    assert_eq!(forwarded.by(), Some('c'));
    world.nft("flush set inet failover leaving");
    assert!(reaches(0));
}
