//! The scenarios of `linux_failover`, the predecessor, and each of its settings.

use failover::config::{Config, Quality, Quorum, Timing};
use failover::engine::Action;
use failover::engine::path::State;
use failover::types::{Duration, Family, TABLE_MAIN};

use crate::sim::{BRISK, Fate, World, at, config, ms};
use crate::{TARGET, running};

/// CHECK_INTERVAL = 5, MAX_STORED_TEST_RESULT_COUNT = 10, MAX_FAILED_CHECKS = 2, MIN_CONSECUTIVE_SUCCEEDED_CHECKS = 3.
const SEED: Timing = Timing {
    interval: Duration::from_secs(5),
    timeout: Duration::from_secs(1),
    down: 1,
    up: 4,
    window: 10,
    max_failed: 2,
    quorum: Quorum::All,
    quality: Quality::NONE,
};

fn predecessor(targets: &[&str]) -> Config {
    config(&["isp1", "isp2"], targets, SEED)
}

/// Both are online.
fn started(config: &Config) -> World {
    let mut world = World::new(config);
    world.run(SEED.interval * 6);
    assert_eq!(
        (world.state("isp1"), world.state("isp2")),
        (State::Online, State::Online)
    );
    world
}

/// Lets a provider lose the next `count` rounds.
fn lose(world: &mut World, id: &str, count: u64) {
    world.kill(id);
    world.run(SEED.interval * u32::try_from(count).unwrap());
    world.heal(id);
}

#[test]
fn check_interval() {
    let world = started(&predecessor(&[TARGET]));
    let rounds = world.rounds_of("isp1");
    for pair in rounds.windows(2).skip(1) {
        assert_eq!(pair[1] - pair[0], SEED.interval);
    }
}

#[test]
fn one_failed_check_is_enough_to_leave() {
    let mut world = started(&predecessor(&[TARGET]));
    world.kill("isp1");
    let died = world.now;
    let left = world.run_to_swap(ms(20_000)).unwrap();
    assert!(left - died <= SEED.interval + SEED.timeout);
    assert_eq!(world.leader(), "isp2");
    assert_eq!(
        world.last_word_of("isp1"),
        "online → offline: 1 round failed: 203.0.113.8 unanswered"
    );
}

#[test]
fn min_consecutive_succeeded_checks() {
    let mut world = started(&predecessor(&[TARGET]));
    lose(&mut world, "isp1", 1);
    world.run(SEED.timeout);
    assert_eq!(world.state("isp1"), State::Offline);
    world.run(SEED.interval * 3);
    assert_eq!(world.state("isp1"), State::Offline, "three are not enough");
    world.run(SEED.interval);
    assert_eq!(world.state("isp1"), State::Online);
    assert_eq!(world.leader(), "isp1");
    assert_eq!(
        world.last_word_of("isp1"),
        "leads: preferred to isp2",
        "{:?}",
        world.journal_of("isp1")
    );
}

#[test]
fn max_failed_checks_of_the_stored_results() {
    let mut world = started(&predecessor(&[TARGET]));
    lose(&mut world, "isp1", 3);
    world.run(SEED.interval * 7);
    assert_eq!(world.path("isp1").rounds.streak(), 7);
    assert_eq!(
        world.state("isp1"),
        State::Offline,
        "good for long, but three of the last ten failed"
    );
    assert_eq!(world.engine.swaps(), 1, "nor was it anything else");
    world.run(SEED.interval);
    assert_eq!(
        world.state("isp1"),
        State::Online,
        "the first failure has left the window"
    );
    assert_eq!(world.path("isp1").rounds.verdicts(10), (8, 2));
}

#[test]
fn all_tests_must_pass() {
    let targets = ["203.0.113.8", "203.0.113.9"];
    let mut world = started(&predecessor(&targets));
    world.line("isp1", |probe| match probe.check {
        0 => Fate::Answered(ms(20)),
        _ => Fate::Lost,
    });
    assert!(world.run_to_swap(ms(20_000)).is_some());
    assert_eq!(world.leader(), "isp2");
    assert_eq!(
        world.last_word_of("isp1"),
        "online → offline: 1 round failed: 203.0.113.9 unanswered"
    );
}

#[test]
fn the_first_provider_when_none_is_reliable() {
    let mut world = started(&predecessor(&[TARGET]));
    lose(&mut world, "isp1", 1);
    world.run(SEED.timeout);
    assert_eq!(world.leader(), "isp2");
    world.kill("isp1");
    world.kill("isp2");
    world.run(SEED.interval * 3);
    assert_eq!(world.state("isp2"), State::Offline);
    assert_eq!(world.leader(), "isp1");
    assert_eq!(
        world.last_word_of("isp1"),
        "leads: last resort: isp2 is offline, and no provider works"
    );
}

#[test]
fn a_sticky_provider_stops_the_checks() {
    let mut world = started(&predecessor(&[TARGET]));
    world.pin(Some("isp2"));
    assert_eq!(world.leader(), "isp2", "at once");
    let sent = world.sent.len();
    world.kill("isp2");
    world.run(SEED.interval * 20);
    assert_eq!(world.sent.len(), sent, "no health checks are made");
    assert_eq!(world.leader(), "isp2", "whatever they would say");
    world.pin(None);
    world.run(SEED.interval * 6);
    assert_eq!(world.leader(), "isp1", "now the checks decide again");
    assert_eq!(world.state("isp2"), State::Offline);
}

#[test]
fn providers_swap_only_when_they_must() {
    // 200 rounds, now and then a loss that `down` 3 forgives: the seed would have switched away each time.
    let mut world = running(&config(&["isp1", "isp2"], &[TARGET], BRISK));
    world.line("isp1", |probe| match probe.round.0 % 10 {
        3 | 4 => Fate::Lost,
        _ => Fate::Answered(ms(20)),
    });
    world.run(ms(20_000));
    assert_eq!(world.engine.swaps(), 0);
    assert_eq!(world.path("isp1").rounds.verdicts(50).1, 10);
}

#[test]
fn the_engine_does_not_depend_on_start_metric_and_table() {
    let mut config = predecessor(&[TARGET]);
    config.globals.table = TABLE_MAIN;
    config.globals.start_metric.0 = 7;
    let world = started(&config);
    assert_eq!(world.order(), ["isp1", "isp2"]);
    let routes = |family| {
        let wanted = Action::Routes(family);
        world.actions.iter().filter(|(_, a)| *a == wanted).count()
    };
    assert_eq!((routes(Family::V4), routes(Family::V6)), (1, 0));
    assert_eq!(world.leaders, [(at(1000), Some("isp1".to_owned()))]);
}
