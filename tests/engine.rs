//! Properties of the engine that hold after each event, in any order of events.
// Helpers of tests are tests: they fail by panicking, and their casts are safe.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod model;
mod sim;

#[path = "engine/observer.rs"]
mod observer;
#[path = "engine/order.rs"]
mod order;
#[path = "engine/random.rs"]
mod random;

use failover::engine::Action;
use failover::engine::path::State;
use failover::types::{Duration, Family};
use proptest::prelude::*;
use sim::{BRISK, Fate, World, config, ms};

/// The default number of cases; `PROPTEST_CASES` sets more.
fn cases() -> u32 {
    let more = std::env::var("PROPTEST_CASES").ok();
    more.and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_after_each_event(
        first in random::setup(),
        steps in prop::collection::vec(random::step(), 1..80),
    ) {
        let mut observer = observer::Observer::new(&first);
        for step in &steps {
            observer.take(step);
        }
    }

    /// Lines fail and recover at random moments. A dead line does not lead while another is known to be good.
    #[test]
    fn an_outage_is_never_longer_than_promised(
        deaths in prop::collection::vec((0..3_usize, 0..2000_u64, any::<bool>()), 1..30),
    ) {
        let ids = ["isp1", "isp2", "isp3"];
        let mut world = World::new(&config(&ids, &["203.0.113.8"], BRISK));
        world.run(ms(1000));
        let limit = BRISK.interval * 3 + BRISK.timeout;
        let mut changed = [world.now; 3];
        let mut alive = [true; 3];
        for (which, after, lives) in deaths {
            let end = world.now + ms(after);
            while world.now < end {
                world.run(ms(10));
                let leader = ids.iter().position(|id| *id == world.leader()).unwrap();
                // A line that has been good for long enough is known to be good.
                let settled = |line: usize| world.now - changed[line] > limit + ms(50);
                let rescue = (0..3).any(|line| alive[line] && settled(line));
                prop_assert!(!rescue || alive[leader] || !settled(leader));
            }
            if alive[which] != lives {
                (alive[which], changed[which]) = (lives, world.now);
                if lives { world.heal(ids[which]) } else { world.kill(ids[which]) }
            }
        }
    }
}

#[test]
fn the_largest_configuration() {
    let ids: Vec<String> = (0..64).map(|n| format!("isp{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let targets: Vec<String> = (1..=8)
        .flat_map(|n| [format!("203.0.113.{n}"), format!("2001:db8::{n}")])
        .collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let mut world = World::new(&config(&ids, &targets, BRISK));
    world.run(ms(2000));
    assert_eq!(world.order().len(), 64);
    // Each round of each path, eight probes each.
    assert_eq!(world.sent.len() / (64 * 2 * 8), 20);
    for id in &ids[..63] {
        world.kill(id);
    }
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp63");
    for family in Family::ALL {
        assert_eq!(world.leader_in(family), "isp63");
    }
    for id in &ids[1..] {
        world.pull_cable(id);
    }
    assert_eq!(world.leader(), "isp0");
    world.pin(Some("isp40"));
    world.pin(None);
    world.heal("isp0");
    world.run(ms(1000));
    assert_eq!(world.order()[0], "isp0");
    assert!(world.engine.journal().entries().count() <= failover::limits::JOURNAL_MAX);
    // No path is behind the others, and together they fill the interval.
    world.line("isp0", |_| Fate::Answered(Duration::ZERO));
    world.run(ms(1000));
    assert_eq!(world.path("isp0").rounds.streak(), 20);
}

/// Answers that are dropped on this machine: told once, of a silent path only, and until an answer is heard, or none arrives
/// for some rounds.
#[test]
fn dropped_answers_are_told_once_and_as_long_as_it_is_so() {
    let mut world = World::new(&config(&["isp1", "isp2"], &["203.0.113.8"], BRISK));
    let id = world.id("isp1", Family::V4);
    let device = "eth1".try_into().unwrap();
    let tell = |world: &mut World| {
        let actions = world.engine.answers_dropped(id, &device, world.now);
        (
            actions.contains(&Action::Save),
            world.path("isp1").is_cut_off(),
        )
    };
    world.run(ms(2000));
    assert_eq!(tell(&mut world), (false, false));
    world.kill("isp1");
    world.run(ms(1000));
    assert!(world.path("isp1").is_silent());
    let since = world.path("isp1").since;
    assert_eq!(tell(&mut world), (true, true));
    let sentence = "answers arrive at eth1 but are dropped on this machine (firewall or rp_filter)";
    assert!(world.last_word_of("isp1").ends_with(sentence));
    assert_eq!(world.path("isp1").since, since);
    for _ in 0..50 {
        world.run(BRISK.interval);
        assert_eq!(tell(&mut world), (false, true));
    }
    world.run(BRISK.interval * 30);
    assert!(!world.path("isp1").is_cut_off());
    assert_eq!(tell(&mut world), (true, true));
    world.heal("isp1");
    world.run(BRISK.interval * 2);
    assert_eq!(world.state("isp1"), State::Offline);
    assert!(!world.path("isp1").is_cut_off() && !world.path("isp1").is_silent());
}
