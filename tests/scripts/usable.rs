//! Which paths are usable: connections stay with them, and marked traffic is steered to them.

use failover::types::{Duration, Family, Slot};

use crate::sim::{World, ms};
use crate::{running, two, two_running};

/// The usable providers among isp1 and isp2.
fn usable(world: &World) -> [bool; 2] {
    [0, 1].map(|slot| {
        let mut order = world.engine.plan(Family::V4).order.iter();
        order.any(|hop| hop.slot == Slot(slot) && hop.usable)
    })
}

/// Runs until this is usable.
fn await_usable(world: &mut World, wanted: [bool; 2]) -> Duration {
    let start = world.now;
    while usable(world) != wanted {
        assert!(world.now < start + ms(5000), "{:?}", usable(world));
        world.run(ms(10));
    }
    world.now - start
}

#[test]
fn a_path_is_usable_until_it_is_known_to_be_offline() {
    let mut world = World::new(&two());
    assert_eq!(usable(&world), [true; 2], "never judged");
    world.kill("isp2");
    await_usable(&mut world, [true, false]);
    world.heal("isp2");
    assert!(await_usable(&mut world, [true; 2]) > ms(150), "after `up`");
    world.disable("isp2", true);
    assert_eq!(usable(&world), [true, false]);
    world.disable("isp2", false);
    assert_eq!(usable(&world), [true; 2]);
}

#[test]
fn what_comes_back_is_not_usable_before_its_verdict() {
    let mut world = two_running();
    world.pull_cable("isp2");
    assert_eq!(usable(&world), [true, false]);
    world.plug_in("isp2");
    assert_eq!(usable(&world), [true, false]);
    await_usable(&mut world, [true; 2]);
    // Also before it was ever judged.
    let mut world = World::new(&two());
    world.pull_cable("isp2");
    world.plug_in("isp2");
    assert_eq!(usable(&world), [true, false]);
    await_usable(&mut world, [true; 2]);
}

#[test]
fn during_a_pin_only_the_pinned_one_is_usable_and_it_stays_so() {
    let mut world = two_running();
    world.pin(Some("isp2"));
    assert_eq!(usable(&world), [false, true]);
    world.pull_cable("isp2");
    assert_eq!(usable(&world), [false; 2]);
    world.plug_in("isp2");
    assert_eq!(usable(&world), [false, true], "it is not checked");
    world.pin(None);
    assert_eq!(usable(&world), [false, true], "isp1 is not judged yet");
    await_usable(&mut world, [true; 2]);
    world.kill("isp1");
    await_usable(&mut world, [false, true]);
    world.pin(Some("isp1"));
    assert_eq!(usable(&world), [true, false], "whatever it was");
    world.disable("isp1", true);
    assert_eq!(usable(&world), [true, false], "a pin precedes");
}

#[test]
fn what_has_no_check_is_usable_while_it_has_an_uplink() {
    let mut config = two();
    config.providers[1].checks = 0;
    let mut world = running(&config);
    world.pull_cable("isp2");
    assert_eq!(usable(&world), [true, false]);
    world.plug_in("isp2");
    assert_eq!(usable(&world), [true; 2]);
    world.pin(Some("isp1"));
    assert_eq!(usable(&world), [true, false]);
    world.pin(None);
    assert_eq!(usable(&world), [true; 2], "it is online at once");
}

#[test]
fn another_uplink_is_presumed_good() {
    let mut config = two();
    let mut world = running(&config);
    world.pull_cable("isp2");
    world.plug_in("isp2");
    config.providers[1].device.v4 = "eth9".try_into().unwrap();
    world.reload(&config);
    assert_eq!(usable(&world), [true; 2]);
}
