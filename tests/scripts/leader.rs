//! Which provider leads: at boot, after a return, when none is healthy.

use failover::config::{Config, LastResort, Preempt};
use failover::engine::path::State;
use failover::types::{Family, Kind, Waiting};

use crate::sim::{BRISK, World, at, config, ms};
use crate::{TARGET, running, two, two_running};

fn three() -> Config {
    config(&["isp1", "isp2", "isp3"], &[TARGET], BRISK)
}

#[test]
fn nothing_swaps_at_boot_because_a_lower_rank_answered_first() {
    let mut world = World::new(&two());
    world.line("isp1", |_| crate::sim::Fate::Answered(ms(250)));
    world.line("isp2", |_| crate::sim::Fate::Answered(ms(1)));
    world.run(ms(3000));
    assert_eq!(world.leaders, [(at(1000), Some("isp1".to_owned()))]);
    assert_eq!(
        world.last_word_of("isp1"),
        "probing → online: 3 good rounds"
    );
    assert_eq!(world.engine.swaps(), 0);
}

#[test]
fn at_boot_the_uplinks_are_taken_as_a_whole() {
    // The slots are not in the order of rank, and the uplinks are reported in the order of slots.
    let mut config = three();
    config.providers.swap(0, 2);
    let world = World::new(&config);
    assert_eq!(world.leaders, [(at(1000), Some("isp3".to_owned()))]);
    assert_eq!(world.order(), ["isp3", "isp2", "isp1"]);
    assert_eq!(world.engine.swaps(), 0);
}

#[test]
fn a_dead_first_provider_at_boot() {
    let mut world = World::new(&two());
    world.kill("isp1");
    let swapped = world.run_to_swap(ms(5000)).unwrap();
    assert_eq!(swapped, at(1000 + 200 + 300), "as soon as it is known dead");
    assert_eq!(world.leader(), "isp2");
}

#[test]
fn return_after_so_many_good_rounds() {
    let mut world = two_running();
    world.kill("isp1");
    world.run(ms(2000));
    world.heal("isp1");
    let healed = world.now;
    let back = world.run_to_swap(ms(5000)).unwrap();
    // Three rounds, the last of which is answered 20 ms later; rounds are due at 1000 + n * 100.
    assert!(back - healed <= ms(3 * 100 + 20), "{}", back - healed);
    assert!(back - healed >= ms(2 * 100 + 20), "{}", back - healed);
    assert_eq!(world.last_word_of("isp1"), "leads: preferred to isp2");
}

#[test]
fn preempt_no_stays_with_the_healthy_one() {
    let mut config = two();
    config.globals.preempt = Preempt::No;
    let mut world = running(&config);
    world.kill("isp1");
    world.run(ms(1000));
    world.heal("isp1");
    world.run(ms(10_000));
    assert_eq!(world.state("isp1"), State::Online);
    assert_eq!(world.leader(), "isp2");
    // Until it fails.
    world.kill("isp2");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp1");
}

#[test]
fn preempt_after_a_duration() {
    let mut config = two();
    config.globals.preempt = Preempt::After(ms(5000));
    let mut world = running(&config);
    world.kill("isp1");
    world.run(ms(1000));
    world.heal("isp1");
    world.run(ms(500));
    let online = world.path("isp1").since;
    assert_eq!(world.state("isp1"), State::Online);
    // It fails again before the time has passed: the wait begins anew.
    world.run(ms(3000));
    world.kill("isp1");
    world.run(ms(1000));
    world.heal("isp1");
    world.run(ms(500));
    let again = world.path("isp1").since;
    assert!(again > online);
    let back = world.run_to_swap(ms(20_000)).unwrap();
    assert_eq!(back, again + ms(5000));
    assert_eq!(world.leader(), "isp1");
    // A failed leader is left at once, whatever `preempt` says.
    world.kill("isp1");
    world.run(ms(700));
    assert_eq!(world.leader(), "isp2");
}

#[test]
fn a_pin_does_not_restart_the_wait_of_other_providers() {
    let mut world = two_running();
    let since = world.path("isp2").since;
    world.pin(Some("isp2"));
    assert_eq!(world.state("isp2"), State::Online);
    assert_eq!(world.path("isp2").since, since, "still online");
    world.pull_cable("isp1");
    let pulled = world.now;
    world.run(ms(1000));
    world.pin(None);
    assert_eq!(world.state("isp1"), State::Waiting);
    assert_eq!(world.path("isp1").since, pulled, "still waiting");
}

#[test]
fn last_resort_first_and_the_return_from_it() {
    let mut world = two_running();
    world.kill("isp1");
    world.run(ms(1000));
    world.kill("isp2");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp1");
    assert!(!world.kernel.v4.unreachable);
    world.heal("isp2");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp2");
    world.heal("isp1");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp1");
}

#[test]
fn last_resort_first_means_the_first_that_has_a_gateway() {
    let mut world = two_running();
    world.uplink("isp1", Some(Waiting::NoGateway), false);
    world.kill("isp2");
    world.run(ms(1000));
    assert_eq!(world.state("isp2"), State::Offline);
    assert_eq!(world.order(), ["isp2"]);
}

#[test]
fn last_resort_keep_and_the_return_from_it() {
    let mut config = two();
    config.globals.last_resort = LastResort::Keep;
    let mut world = running(&config);
    world.kill("isp1");
    world.run(ms(1000));
    world.kill("isp2");
    world.run(ms(5000));
    assert_eq!(world.leader(), "isp2", "the last leader");
    world.heal("isp1");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp1");
}

/// Where a reverse-path filter drops what asks a standby for its address as well, its gateway forgets us again and again:
/// then no answers arrive. Such a line is tried when the leader dies, until it is silent there, too.
#[test]
fn a_line_whose_answers_were_dropped_lately_is_the_last_resort() {
    for last_resort in [LastResort::First, LastResort::Keep] {
        let mut config = two();
        config.globals.last_resort = last_resort;
        let mut world = running(&config);
        world.kill("isp2");
        world.run(ms(1000));
        world.answer_is_dropped("isp2");
        world.run(ms(10000));
        assert!(!world.path("isp2").is_cut_off());
        world.kill("isp1");
        world.run(ms(1000));
        assert_eq!(world.leader(), "isp2", "{last_resort:?}");
        world.run(ms(4000));
        let heir = match last_resort {
            LastResort::First => "isp1",
            _ => "isp2",
        };
        assert_eq!(world.leader(), heir, "{last_resort:?}");
    }
}

#[test]
fn last_resort_unreachable_and_the_return_from_it() {
    let mut config = two();
    config.globals.last_resort = LastResort::Unreachable;
    let mut world = World::new(&config);
    assert!(!world.kernel.v4.unreachable, "not before anything is known");
    world.run(ms(1000));
    world.kill("isp1");
    world.kill("isp2");
    world.run(ms(1000));
    assert!(world.kernel.v4.unreachable);
    let refused = |world: &World| {
        let entries = world.engine.journal().entries();
        entries
            .filter(|entry| entry.kind == Kind::Refused && entry.kind.is_grave())
            .count()
    };
    assert_eq!(refused(&world), 1, "told once");
    assert_eq!(world.engine.carrier(Family::V4), None);
    assert_eq!(world.order(), ["isp1", "isp2"], "they can still be chosen");
    world.heal("isp2");
    world.run(ms(1000));
    assert!(!world.kernel.v4.unreachable);
    assert_eq!(world.leader(), "isp2");
    assert!(world.last_word_of("isp2").starts_with("leads: "));
    // A pin has precedence: nothing is refused.
    world.kill("isp2");
    world.run(ms(1000));
    assert!(world.kernel.v4.unreachable);
    world.pin(Some("isp1"));
    assert!(!world.kernel.v4.unreachable);
}

#[test]
fn none_works_and_the_first_to_return_leads() {
    let mut world = two_running();
    world.uplink("isp1", Some(Waiting::NoDevice), false);
    world.uplink("isp2", Some(Waiting::NoDevice), false);
    assert!(world.order().is_empty());
    assert_eq!(world.engine.carrier(Family::V4), None);
    let told = |world: &World| {
        let entries = world.engine.journal().entries();
        let told = entries.filter(|e| e.kind == Kind::NoRoute && e.kind.is_grave());
        told.count()
    };
    assert_eq!(told(&world), 1);
    world.run(ms(1000));
    assert_eq!(told(&world), 1, "told once");
    world.plug_in("isp2");
    let again = "leads: it has a route again";
    assert_eq!(world.last_word_of("isp2"), again);
    world.uplink("isp2", Some(Waiting::NoDevice), false);
    assert_eq!(told(&world), 2);
    world.plug_in("isp2");
    assert_eq!(world.leader(), "isp2", "better than nothing");
    world.run(ms(1000));
    world.plug_in("isp1");
    assert_eq!(world.leader(), "isp2");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp1");
}

#[test]
fn the_order_of_all_is_that_of_preference() {
    let ids = ["isp1", "isp2", "isp3", "isp4", "isp5"];
    let mut world = running(&config(&ids, &[TARGET], BRISK));
    world.kill("isp1");
    world.pull_cable("isp2");
    world.uplink("isp4", Some(Waiting::NoDevice), false);
    world.disable("isp3", true);
    world.run(ms(1000));
    assert_eq!(world.order(), ["isp5", "isp3", "isp1", "isp2"]);
    world.plug_in("isp2");
    assert_eq!(world.order(), ["isp5", "isp3", "isp2", "isp1"], "returning");
    let order = &world.kernel.v4.order;
    let usable: Vec<bool> = order.iter().map(|hop| hop.usable).collect();
    assert_eq!(usable, [true, false, false, false]);
    world.kill("isp3");
    world.run(ms(1000));
    assert_eq!(world.order(), ["isp2", "isp5", "isp1", "isp3"]);
}
