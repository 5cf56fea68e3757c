//! The times of rounds, and the statistics of their answers.

use failover::config::{Config, Timing};
use failover::engine::path::State;
use failover::engine::rounds::Rtt;
use failover::limits::ROUNDS_APART;
use failover::types::{CheckSet, Duration, Instant};

use crate::sim::{BRISK, Fate, World, config, ms};
use crate::{TARGET, two, two_running};

/// The gaps between the rounds of all paths in normal operation.
fn gaps(config: &Config) -> Vec<Duration> {
    let mut world = World::new(config);
    world.run(ms(5000));
    let start = world.sent.len();
    world.run(ms(5000));
    let times: Vec<Instant> = world.sent[start..].iter().map(|p| p.at).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn the_rounds_of_all_paths_are_spread_over_the_interval() {
    for count in [2, 3, 4] {
        let ids: Vec<String> = (1..=count).map(|n| format!("isp{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let gaps = gaps(&config(&ids, &[TARGET], BRISK));
        let fair = BRISK.interval / count;
        let rounding = Duration::from_micros(u64::from(count));
        assert!(gaps.iter().all(|gap| *gap >= fair - rounding), "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= fair + rounding), "{gaps:?}");
    }
}

#[test]
fn many_paths_share_wakeups() {
    for count in [8_u32, 10, 32] {
        let ids: Vec<String> = (1..=count).map(|n| format!("isp{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let gaps = gaps(&config(&ids, &[TARGET], BRISK));
        let together = gaps.split(|gap| *gap == ROUNDS_APART);
        let most = usize::try_from(count.div_ceil(4)).unwrap();
        // So many in each quarter of the interval, and nothing in between.
        for group in together {
            assert!(group.len() < most, "{gaps:?}");
            assert!(group.iter().all(|gap| *gap == Duration::ZERO), "{gaps:?}");
        }
    }
}

#[test]
fn paths_that_do_not_probe_take_no_place_in_the_interval() {
    let mut config = config(&["isp1", "isp2", "isp3"], &[TARGET], BRISK);
    config.providers[1].checks = 0;
    assert!(gaps(&config).iter().all(|gap| *gap == BRISK.interval / 2));
}

#[test]
fn one_round_an_interval_whatever_comes_back() {
    let mut world = two_running();
    world.line("isp1", |probe| match probe.round.0 % 5 {
        0 => Fate::Lost,
        n => Fate::Answered(ms(u64::from(n) * 99)),
    });
    world.run(ms(10_000));
    let rounds = world.rounds_of("isp1");
    assert!(rounds.windows(2).all(|r| r[1] - r[0] == BRISK.interval));
}

#[test]
fn there_is_one_wakeup_per_round_while_all_answers_arrive() {
    let timing = Timing {
        timeout: ms(60),
        ..BRISK
    };
    let mut config = config(&["isp1", "isp2"], &[TARGET], timing);
    config.checks[0].interval = Some(ms(1000));
    let mut world = World::new(&config);
    world.run(ms(10_000));
    let rounds = world.path("isp1").rounds.verdicts(64);
    assert_eq!(
        (rounds, world.ticks),
        ((64, 0), 201),
        "with or without probes"
    );
    config.checks[0].interval = None;
    let mut world = World::new(&config);
    world.run(ms(10_000));
    assert_eq!(world.ticks, world.sent.len());
    world.kill("isp1");
    let (ticks, rounds) = (world.ticks, world.sent.len());
    world.run(ms(1060));
    assert_eq!(world.ticks - ticks, world.sent.len() - rounds + 10);
}

#[test]
fn after_a_delay_rounds_continue_without_a_burst() {
    let mut world = two_running();
    world.now += ms(10_000);
    world.run(ms(1000));
    let rounds = world.rounds_of("isp1");
    assert!(rounds.windows(2).all(|r| r[1] - r[0] >= BRISK.interval / 2));
    let early = rounds.iter().filter(|at| **at < crate::sim::at(2001));
    assert_eq!(early.count(), 11, "a second's worth");
    assert!(rounds.len() <= 22, "{} in two seconds", rounds.len());
}

#[test]
fn a_check_with_an_interval_of_its_own() {
    // One check in each round, the other every two seconds, both required.
    let timing = Timing {
        quorum: failover::config::Quorum::All,
        ..BRISK
    };
    let mut config = config(&["isp1", "isp2"], &[TARGET, "203.0.113.9"], timing);
    config.checks[1].interval = Some(ms(2000));
    let mut world = World::new(&config);
    world.run(ms(10_000));
    assert_eq!(world.state("isp1"), State::Online);
    let isp1 = world.path("isp1").id;
    let dear = |world: &World| -> Vec<Instant> {
        let probes = world.sent.iter();
        let probes = probes.filter(|p| p.path == isp1 && p.check == 1);
        probes.map(|p| p.at).collect()
    };
    let asked = dear(&world);
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert!(asked.windows(2).all(|at| at[1] - at[0] == ms(2000)));

    // It fails just after its probe; the good result holds until the next one.
    let last = asked[5];
    world.line("isp1", |probe| match probe.check {
        0 => Fate::Answered(ms(20)),
        _ => Fate::Lost,
    });
    let left = world.run_to_swap(ms(5000)).unwrap();
    let confirmed = timing.timeout + timing.timeout;
    assert_eq!(left, last + ms(2000) + confirmed, "with its second loss");
    let word = world.last_word_of("isp1");
    assert_eq!(
        word,
        "online → offline: 3 rounds failed: 203.0.113.9 unanswered"
    );

    // It recovers: nothing changes until its next probe.
    world.heal("isp1");
    world.run_to_swap(ms(5000)).unwrap();
    assert_eq!(world.leader(), "isp1");
    // The third probe is sent when the second is lost; then the interval applies.
    assert_eq!(dear(&world).last(), Some(&(last + ms(4600))));
}

#[test]
fn a_single_check_with_a_long_interval_judges_every_round() {
    let mut config = two();
    config.checks[0].interval = Some(ms(1000));
    let mut world = World::new(&config);
    world.run(ms(3050));
    assert_eq!(world.rounds_of("isp1").len(), 4);
    assert!(world.path("isp1").rounds.streak() >= 30);
    assert!(
        world.ticks <= 2 * 31,
        "no wake-up for a round without probes"
    );
    world.kill("isp1");
    let left = world.run_to_swap(ms(5000)).unwrap();
    let confirmed = crate::sim::at(5000) + BRISK.timeout + BRISK.timeout;
    assert_eq!(
        left, confirmed,
        "asked at 5000, and again when that is lost"
    );
    assert_eq!(
        world.last_word_of("isp1"),
        "online → offline: 3 rounds failed: 203.0.113.8 unanswered"
    );
}

#[test]
fn statistics_against_an_independent_computation() {
    let rtt = |round: u32| 10 + u64::from(round.wrapping_mul(2_654_435_761) >> 24);
    let mut world = World::new(&two());
    world.line("isp1", move |probe| match probe.round.0 % 7 {
        0 => Fate::Lost,
        // Late: 300 ms and more.
        1 => Fate::Answered(ms(300 + rtt(probe.round.0))),
        _ => Fate::Answered(ms(rtt(probe.round.0))),
    });
    world.run(ms(20_000));
    world.heal("isp1");
    world.pull_cable("isp2");
    // The answers of the last rounds that are not in yet are not to be counted.
    let times: Vec<(u32, f64)> = world
        .sent
        .iter()
        .filter(|p| p.path == world.path("isp1").id && p.round.0 % 7 != 0)
        .map(|p| {
            let late = if p.round.0 % 7 == 1 { 300 } else { 0 };
            (p.round.0, (late + rtt(p.round.0)) as f64 * 1000.0)
        })
        .filter(|(round, rtt)| f64::from(*round) * 100_000.0 + rtt < 20_000_000.0)
        .collect();
    let rounds = &world.path("isp1").rounds;
    let sent = world.rounds_of("isp1").len();
    assert_eq!(rounds.facts(0).sent as usize, sent);
    assert_eq!(rounds.facts(0).received as usize, times.len());
    for window in [1_usize, 10, 50, 64] {
        let first = sent.saturating_sub(window);
        let times: Vec<f64> = times
            .iter()
            .filter(|(round, _)| *round as usize >= first)
            .map(|(_, rtt)| *rtt)
            .collect();
        let Some(got) = rounds.rtt(u8::try_from(window).unwrap()) else {
            assert!(times.is_empty());
            continue;
        };
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let squares = times.iter().map(|t| (t - mean).powi(2)).sum::<f64>();
        let want = Rtt {
            last: got.last,
            avg: mean as u32,
            stddev: (squares / times.len() as f64).sqrt() as u32,
            min: times.iter().copied().fold(f64::MAX, f64::min) as u32,
            max: times.iter().copied().fold(0.0, f64::max) as u32,
            rounds: times.len() as u32,
        };
        assert!(got.avg.abs_diff(want.avg) <= 1, "{got:?} {want:?}");
        assert!(got.stddev.abs_diff(want.stddev) <= 1, "{got:?} {want:?}");
        assert_eq!(
            (got.min, got.max, got.rounds),
            (want.min, want.max, want.rounds)
        );
    }
    // One in seven is lost. Rounds 196 and 199 are the youngest that may still be open.
    let (lost, settled) = rounds.loss(50, CheckSet::ALL);
    let settled_rounds = (sent - 50..sent).filter(|round| {
        let answered = times.iter().any(|(r, _)| *r as usize == *round);
        answered || (*round as u64) * 100 + 300 <= 20_000
    });
    let unanswered = |round: &usize| !times.iter().any(|(r, _)| *r as usize == *round);
    let rounds: Vec<usize> = settled_rounds.collect();
    assert_eq!(settled as usize, rounds.len());
    assert_eq!(
        lost as usize,
        rounds.iter().filter(|r| unanswered(r)).count()
    );
}
