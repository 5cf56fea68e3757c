//! Connections stay with the provider by which they left.

use failover::routing::delegated::Delegated;

use super::lab::Family;
use super::plans::two;
use super::world::{Place, World, target};

#[test]
fn a_connection_stays_when_another_provider_leads() {
    let world = World::new();
    world.load(&two(), &Delegated::new());
    for family in Family::ALL {
        world.lead(1);
        for mut talk in world.both(Place::Client, target(family)) {
            assert_eq!(talk.by(), Some('1'));
            assert_eq!(world.marks(family, talk.port()), [0x0100_0000]);
            world.lead(2);
            assert_eq!(talk.by(), Some('1'));
            assert_eq!(talk.by(), Some('1'));
            world.lead(1);
        }
        world.lead(2);
        let new = world.both(Place::Client, target(family));
        if family == Family::V4 {
            for mut talk in new {
                assert_eq!(talk.by(), Some('2'));
                assert_eq!(world.marks(family, talk.port()), [0x0200_0000]);
            }
        }
    }
}

#[test]
fn without_the_mark_a_connection_follows() {
    let world = World::new();
    let mut plan = two();
    plan.members[0].restores = false;
    world.load(&plan, &Delegated::new());
    let mut talk = world.udp(Place::Client, target(Family::V4));
    assert_eq!(talk.by(), Some('1'));
    world.lead(2);
    // The kernel drops a masqueraded connection that leaves by another device, with this packet.
    assert_eq!(talk.by(), None);
    assert_eq!(talk.by(), Some('2'));
    assert_eq!(world.marks(Family::V4, talk.port()), [0x0200_0000]);
}

/// The table is replaced while connections run, with another number of providers each time.
#[test]
fn a_connection_stays_when_the_table_is_replaced() {
    let world = World::new();
    let mut plans = [two(), two()];
    plans[1].members.truncate(1);
    world.load(&plans[0], &Delegated::new());
    let mut talks = Vec::new();
    for family in Family::ALL {
        talks.extend(world.both(Place::Client, target(family)));
    }
    for talk in &mut talks {
        assert_eq!(talk.by(), Some('1'));
    }
    world.lead(2);
    for number in 0..10 {
        world.load(&plans[number % 2], &Delegated::new());
        for talk in &mut talks {
            assert_eq!(talk.by(), Some('1'));
        }
    }
    // Without the table the mark remains, but is not restored.
    world.nft("delete table inet failover");
    assert_eq!(talks[0].by(), None);
}
