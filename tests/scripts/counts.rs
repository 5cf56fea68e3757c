//! What is counted since the start: settled probes, outages, swaps.

use failover::engine::rounds::Settled;
use failover::types::{Duration, Family, Waiting};

use crate::sim::{BRISK, Fate, World, config, ms};
use crate::{TARGET, two, two_running};

fn settled(world: &World, id: &str) -> Settled {
    world.path(id).rounds.facts(0).settled
}

fn outage(world: &World, id: &str) -> Duration {
    world.path(id).outage(world.now)
}

#[test]
fn each_probe_is_counted_once_as_answered_in_time_or_lost() {
    let mut world = two_running();
    let before = settled(&world, "isp1");
    assert_eq!(before, Settled { ok: 10, lost: 0 });
    world.kill("isp1");
    world.run(ms(1000));
    let dead = settled(&world, "isp1");
    assert!(dead.ok <= 11, "one was on its way: {dead:?}");
    assert!(
        (6..10).contains(&dead.lost),
        "those whose time is over: {dead:?}"
    );
    // A late answer is received, and lost all the same.
    world.line("isp1", |_| Fate::Answered(ms(450)));
    world.run(ms(1000));
    let late = settled(&world, "isp1");
    assert_eq!(late.ok, dead.ok);
    assert!(late.lost > dead.lost + 6, "{late:?}");
    assert!(world.path("isp1").rounds.facts(0).received > 10);
}

#[test]
fn a_reload_goes_on_counting_the_checks_that_stay() {
    let mut world = World::new(&config(&["isp1"], &[TARGET, "203.0.113.9"], BRISK));
    world.run(ms(1000));
    world.kill("isp1");
    world.run(ms(1000));
    let (counts, outage_before) = (
        world.path("isp1").rounds.facts(1).settled,
        outage(&world, "isp1"),
    );
    assert!(counts.ok >= 10 && counts.lost > 5, "{counts:?}");
    assert!(outage_before > ms(100), "{outage_before}");
    let mut without = config(&["isp1"], &["203.0.113.9"], BRISK);
    without.checks[0].name = world.engine.config().checks[1].name.clone();
    without.providers[0].timing.down = 9;
    world.reload(&without);
    assert_eq!(
        settled(&world, "isp1"),
        counts,
        "the second is the first now"
    );
    assert_eq!(world.path("isp1").rounds.facts(0).sent, 0);
    assert_eq!(outage(&world, "isp1"), outage_before);
    world.reload(&config(&["isp1"], &[TARGET], BRISK));
    let new = world.engine.config().checks[0].name.clone();
    assert_ne!(new, without.checks[0].name);
    assert_eq!(settled(&world, "isp1"), Settled::default(), "another check");
    // Another provider takes nothing over.
    world.reload(&config(&["isp9"], &[TARGET], BRISK));
    assert_eq!(outage(&world, "isp9"), ms(0));
}

#[test]
fn an_outage_lasts_until_the_path_is_online_again() {
    let mut world = two_running();
    assert_eq!(outage(&world, "isp1"), ms(0));
    world.kill("isp1");
    world.run_to_swap(ms(1000)).unwrap();
    world.run(ms(700));
    assert_eq!(outage(&world, "isp1"), ms(700));
    assert_eq!(outage(&world, "isp2"), ms(0));
    world.heal("isp1");
    world.run_to_swap(ms(1000)).unwrap();
    let total = outage(&world, "isp1");
    assert!(total > ms(800), "{total}");
    world.run(ms(500));
    assert_eq!(outage(&world, "isp1"), total, "it is over");
    // The loss of the uplink, until the verdict after it.
    world.pull_cable("isp1");
    world.run(ms(300));
    assert_eq!(outage(&world, "isp1"), total + ms(300));
    world.plug_in("isp1");
    world.run(ms(50));
    assert_eq!(outage(&world, "isp1"), total + ms(350));
    world.run_to_swap(ms(1000)).unwrap();
    let total = outage(&world, "isp1");
    world.run(ms(100));
    assert_eq!(outage(&world, "isp1"), total);
}

#[test]
fn a_pin_is_no_outage_but_a_pulled_cable_is() {
    let mut world = two_running();
    world.kill("isp2");
    world.run(ms(1000));
    let before = outage(&world, "isp2");
    assert!(before > ms(100), "{before}");
    world.pin(Some("isp1"));
    world.run(ms(1000));
    assert_eq!(outage(&world, "isp2"), before, "nothing is known of it");
    world.uplink("isp2", Some(Waiting::NoCarrier), false);
    world.run(ms(400));
    assert_eq!(outage(&world, "isp2"), before + ms(400));
    world.uplink("isp1", Some(Waiting::NoCarrier), false);
    world.run(ms(100));
    assert_eq!(outage(&world, "isp1"), ms(100));
}

#[test]
fn the_end_of_a_pin_is_no_outage_of_a_path_that_worked() {
    let mut world = two_running();
    world.pin(Some("isp1"));
    world.run(ms(500));
    world.pin(None);
    world.run(ms(50));
    assert!(!world.path("isp2").is_usable(), "it is to be judged");
    world.run(ms(1000));
    assert!(world.path("isp2").is_usable());
    assert_eq!(outage(&world, "isp2"), ms(0));
    // One that does not work any more is out from its verdict on.
    world.pin(Some("isp1"));
    world.kill("isp2");
    world.pin(None);
    world.run(ms(1000));
    let total = outage(&world, "isp2");
    assert!(total > ms(100) && total < ms(900), "{total}");
}

#[test]
fn swaps_are_counted_by_family() {
    let mut world = World::new(&config(&["isp1", "isp2"], &[TARGET, "2001:db8::8"], BRISK));
    world.run(ms(1000));
    let dies = |world: &mut World| {
        world.line("isp1", |probe| match probe.path.family {
            Family::V4 => Fate::Lost,
            Family::V6 => Fate::Answered(ms(1)),
        });
        world.run(ms(1000));
    };
    dies(&mut world);
    let swaps = world.engine.swaps_by_family();
    assert_eq!((swaps.v4, swaps.v6, world.engine.swaps()), (1, 0, 1));
    let mut config = two();
    config.providers.truncate(1);
    world.reload(&config);
    assert_eq!(world.engine.swaps_by_family().v6, 0);
}
