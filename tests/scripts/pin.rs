//! Pin and unpin, disable and enable.

use failover::config::{LastResort, Preempt};
use failover::engine::path::State;
use failover::engine::{Action, Event};
use failover::types::{Family, Slot, Waiting};

use crate::sim::{BRISK, World, config, ms};
use crate::{TARGET, running, two, two_running};

#[test]
fn a_pin_and_the_verdicts_after_it() {
    let mut world = two_running();
    world.pin(Some("isp2"));
    assert_eq!(world.leader(), "isp2");
    assert_eq!(world.state("isp1"), State::Frozen);
    assert_eq!(world.last_word_of("isp2"), "leads: pinned by hand");
    assert_eq!(world.engine.next_deadline(), None, "nothing to do");
    world.run(ms(5000));
    world.pin(None);
    assert_eq!(world.leader(), "isp2", "no other is known to be better");
    assert_eq!(world.state("isp1"), State::Probing);
    assert_eq!(world.state("isp2"), State::Probing);
    let swapped = world.run_to_swap(ms(1000)).unwrap();
    assert_eq!(world.leader(), "isp1");
    assert_eq!(world.state("isp1"), State::Online);
    assert_eq!(world.path("isp1").since, swapped, "as soon as it is known");
    assert_eq!(world.last_word_of("isp1"), "leads: preferred to isp2");
    world.run(ms(1000));
    assert_eq!(world.state("isp2"), State::Online);
}

/// isp1 fails while isp2 is pinned: the failure is not known when the pin ends.
#[test]
fn no_swap_after_a_pin_to_a_provider_that_failed_meanwhile() {
    for preempt in [Preempt::Yes, Preempt::No, Preempt::After(ms(100))] {
        let mut config = two();
        config.globals.preempt = preempt;
        let mut world = running(&config);
        world.pin(Some("isp2"));
        world.kill("isp1");
        world.run(ms(5000));
        world.pin(None);
        assert_eq!(world.run_to_swap(ms(5000)), None, "{preempt:?}");
        assert_eq!(world.state("isp1"), State::Offline);
    }
}

/// With `preempt no`, the end of a pin is no reason to leave the pinned provider.
#[test]
fn the_pinned_provider_stays_with_preempt_no() {
    let mut config = two();
    config.globals.preempt = Preempt::No;
    let mut world = running(&config);
    world.pin(Some("isp2"));
    world.line("isp2", |_| crate::sim::Fate::Answered(ms(250)));
    world.run(ms(5000));
    world.pin(None);
    assert_eq!(world.run_to_swap(ms(5000)), None, "isp1 is judged first");
    assert_eq!(world.state("isp1"), State::Online);
    world.kill("isp2");
    assert!(world.run_to_swap(ms(1000)).is_some());
    assert_eq!(world.leader(), "isp1");
}

/// A frozen path is presumed good, and used, as soon as the pinned provider is known not to work.
#[test]
fn a_frozen_path_is_used_when_the_pinned_provider_cannot_carry() {
    let mut config = two();
    config.providers[0].timing.up = 20;
    let mut world = World::new(&config);
    world.run(ms(3000));
    world.pin(Some("isp2"));
    world.kill("isp2");
    world.run(ms(5000));
    world.pin(None);
    assert_eq!(world.leader(), "isp2");
    world.run_to_swap(ms(1000)).unwrap();
    assert_eq!(world.state("isp2"), State::Offline);
    assert_eq!(world.leader(), "isp1");
    assert_eq!(world.state("isp1"), State::Probing);

    let mut world = two_running();
    world.pin(Some("isp2"));
    world.pull_cable("isp2");
    world.run(ms(5000));
    assert_eq!(world.leader(), "isp2", "a person said so");
    world.pin(None);
    assert_eq!(world.leader(), "isp1", "at once");
    assert_eq!(world.state("isp1"), State::Probing);
}

/// If the pinned provider has no route, another carries the traffic, and no unprobed provider takes over from it.
#[test]
fn nothing_is_preempted_during_a_pin() {
    let mut config = two();
    config
        .providers
        .push(crate::sim::provider("isp3", 2, BRISK))
        .unwrap();
    config.globals.preempt = Preempt::After(ms(2000));
    let mut world = running(&config);
    world.kill("isp1");
    world.run(ms(1000));
    world.heal("isp1");
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Online);
    world.uplink("isp3", Some(Waiting::NoGateway), false);
    world.pin(Some("isp3"));
    world.run(ms(10_000));
    assert_eq!(world.leader(), "isp2");
    world.kill("isp1");
    world.pin(None);
    world.run(ms(10_000));
    assert_eq!(world.leader(), "isp2");
    assert_eq!(world.engine.swaps(), 1);
}

#[test]
fn a_provider_that_was_offline_before_a_pin_is_judged_after_it() {
    let mut world = two_running();
    world.line("isp1", |_| crate::sim::Fate::Lost);
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Offline);
    world.pin(Some("isp2"));
    world.line("isp1", |_| crate::sim::Fate::Answered(ms(5)));
    world.run(ms(5000));
    world.pin(None);
    assert_eq!(world.leader(), "isp2");
    let unpinned = world.now;
    let back = world.run_to_swap(ms(5000)).unwrap();
    assert!(back - unpinned <= ms(400), "{}", back - unpinned);
    assert_eq!(world.leader(), "isp1");
}

#[test]
fn answers_to_probes_before_a_pin_do_not_count_after_it() {
    let mut world = two_running();
    world.line("isp1", |_| crate::sim::Fate::Answered(ms(299)));
    world.run(ms(1000));
    world.pin(Some("isp2"));
    world.pin(None);
    world.run(ms(90));
    assert_eq!(world.path("isp1").rounds.streak(), 0);
    assert_eq!(world.state("isp1"), State::Probing);
}

#[test]
fn pins_of_one_provider_after_the_other() {
    let mut world = two_running();
    world.pin(Some("isp2"));
    world.pin(Some("isp1"));
    assert_eq!(world.leader(), "isp1");
    assert_eq!(world.state("isp2"), State::Frozen);
    assert_eq!(world.engine.pinned(), Some(Slot(0)));
    let written = world.engine.journal().written();
    world.pin(Some("isp1"));
    assert_eq!(world.engine.journal().written(), written, "nothing new");
}

#[test]
fn a_pin_toggled_fast_makes_no_burst_of_probes() {
    let mut world = two_running();
    for _ in 0..100 {
        world.pin(Some("isp1"));
        world.run(ms(2));
        world.pin(None);
        world.run(ms(8));
    }
    let rounds = world.rounds_of("isp1");
    for pair in rounds.windows(2) {
        assert!(pair[1] - pair[0] >= BRISK.interval / 2, "{pair:?}");
    }
}

#[test]
fn a_pin_of_a_provider_that_is_unknown_changes_nothing() {
    let mut config = two();
    config.providers[1].enabled = false;
    let mut world = World::new(&config);
    world.run(ms(1000));
    for slot in [1, 7, 63, 64, 255] {
        let actions = world.tell(Event::Pin(Some(Slot(slot))));
        assert!(actions.is_empty());
        assert_eq!(world.engine.pinned(), None);
        assert_eq!(world.state("isp1"), State::Online);
    }
}

#[test]
fn a_pinned_provider_keeps_the_lead_without_carrier_but_not_without_gateway() {
    let mut world = two_running();
    world.pin(Some("isp2"));
    world.pull_cable("isp2");
    assert_eq!(world.leader(), "isp2", "a person said so");
    assert_eq!(world.state("isp2"), State::Waiting);
    world.uplink("isp2", Some(Waiting::NoGateway), false);
    assert_eq!(world.leader(), "isp1", "there is no route to give");
    assert_eq!(world.state("isp1"), State::Frozen);
    world.plug_in("isp2");
    assert_eq!(world.leader(), "isp2");
    world.run(ms(5000));
    assert_eq!(world.engine.next_deadline(), None, "no path probes");
}

#[test]
fn a_pinned_provider_that_lacks_a_family_leaves_that_family_as_it_was() {
    let mut world = World::new(&config(&["isp1", "isp2"], &[TARGET, "2001:db8::8"], BRISK));
    let v6 = world.id("isp2", Family::V6);
    world.tell(Event::Uplink {
        path: v6,
        waiting: Some(Waiting::NoAddress),
        routable: false,
    });
    world.run(ms(1000));
    world.pin(Some("isp2"));
    assert_eq!(world.leader_in(Family::V4), "isp2");
    assert_eq!(world.leader_in(Family::V6), "isp1");
    let sent = world.sent.len();
    world.run(ms(5000));
    assert_eq!(world.sent.len(), sent);
    assert_eq!(world.leader_in(Family::V6), "isp1");
}

#[test]
fn an_unchecked_provider_is_online_after_a_pin() {
    let mut config = two();
    config.providers[1].checks = 0;
    let mut world = World::new(&config);
    world.run(ms(1000));
    for pinned in ["isp1", "isp2"] {
        world.pin(Some(pinned));
        world.pull_cable("isp2");
        world.run(ms(1000));
        world.plug_in("isp2");
        world.run(ms(1000));
        world.pin(None);
        assert_eq!(world.state("isp2"), State::Online, "{pinned} was pinned");
    }
}

#[test]
fn disable_for_maintenance_and_enable() {
    let mut world = two_running();
    world.disable("isp1", true);
    assert_eq!(world.leader(), "isp2", "at once");
    assert_eq!(world.last_word_of("isp2"), "leads: isp1 is disabled");
    assert_eq!(world.order(), ["isp2", "isp1"], "it can still be chosen");
    let sent = world.rounds_of("isp1").len();
    world.run(ms(1000));
    assert_eq!(world.rounds_of("isp1").len(), sent + 10, "checks go on");
    assert_eq!(world.state("isp1"), State::Online);
    world.disable("isp1", false);
    assert_eq!(world.leader(), "isp1", "at once: it is known to be good");
}

/// A disabled provider has the lowest preference, except for providers that do not work.
#[test]
fn a_disabled_provider_precedes_one_that_does_not_work() {
    for last_resort in [LastResort::First, LastResort::Keep, LastResort::Unreachable] {
        let mut config = two();
        config.globals.last_resort = last_resort;
        let mut world = running(&config);
        world.disable("isp1", true);
        world.kill("isp2");
        world.run(ms(1000));
        assert_eq!(world.state("isp2"), State::Offline);
        assert_eq!(world.leader(), "isp1", "{last_resort:?}");
        assert!(!world.kernel.v4.unreachable);
        assert_eq!(
            world.last_word_of("isp1"),
            "leads: isp2 is offline, and only what is disabled works"
        );
        world.heal("isp2");
        world.run_to_swap(ms(1000)).unwrap();
        assert_eq!(world.state("isp2"), State::Online, "{last_resort:?}");
        for (waiting, routable) in [
            (Waiting::NoCarrier, true),
            (Waiting::NoAddress, false),
            (Waiting::NoGateway, false),
            (Waiting::NoDevice, false),
        ] {
            world.uplink("isp2", Some(waiting), routable);
            assert_eq!(world.leader(), "isp1", "{waiting} {last_resort:?}");
            assert!(!world.kernel.v4.unreachable);
            world.plug_in("isp2");
            assert_eq!(world.leader(), "isp1", "isp2 is not judged yet");
            world.run_to_swap(ms(1000)).unwrap();
            assert_eq!(world.state("isp2"), State::Online);
        }
        // If neither works, the disabled one is last.
        world.kill("isp1");
        world.kill("isp2");
        world.run(ms(1000));
        assert_eq!(world.kernel.v4.order[0].slot, Slot(1));
        assert_eq!(
            world.kernel.v4.unreachable,
            last_resort == LastResort::Unreachable
        );
    }
}

/// All providers are disabled: `last_resort` decides.
#[test]
fn all_are_disabled() {
    for last_resort in [LastResort::First, LastResort::Unreachable] {
        let mut config = two();
        config.globals.last_resort = last_resort;
        let mut world = running(&config);
        world.disable("isp2", true);
        assert!(!world.kernel.v4.unreachable);
        world.disable("isp1", true);
        assert_eq!(
            world.kernel.v4.unreachable,
            last_resort == LastResort::Unreachable
        );
        assert_eq!(world.leader(), "isp1");
    }
}

#[test]
fn a_pin_precedes_a_disable() {
    let mut world = two_running();
    world.disable("isp2", true);
    world.pin(Some("isp2"));
    assert_eq!(world.leader(), "isp2");
    assert!(world.kernel.v4.order[0].usable);
    world.pin(None);
    assert_eq!(world.leader(), "isp1");
    assert!(world.engine.is_disabled(Slot(1)));
}

#[test]
fn every_pin_and_disable_is_saved() {
    let mut world = two_running();
    for event in [
        Event::Pin(Some(Slot(0))),
        Event::Pin(None),
        Event::Disable(Slot(0), true),
        Event::Disable(Slot(0), false),
    ] {
        assert!(world.tell(event).contains(&Action::Save), "{event:?}");
    }
    assert!(world.tell(Event::Disable(Slot(0), false)).is_empty());
}
