//! Lines of low quality; required checks.

use std::cell::Cell;

use failover::check::neighbour::Arp;
use failover::config::{CheckKind, Config, Measure, Quality, Threshold, Timing};
use failover::engine::path::State;
use failover::types::Fault;

use crate::sim::{BRISK, Fate, World, config, ms};
use crate::{TARGET, running};

/// Fails above 20 % of loss, 200 ms of latency and 40 ms of jitter; is good again at 10 %, 150 ms and 30 ms.
fn demanding() -> Config {
    let quality = [(20, 10), (200_000, 150_000), (40_000, 30_000)]
        .into_iter()
        .zip(Measure::ALL)
        .fold(Quality::NONE, |quality, ((most, recover), measure)| {
            quality.with(measure, Some(Threshold { most, recover }))
        });
    let timing = Timing {
        window: 20,
        max_failed: 20,
        quality,
        ..BRISK
    };
    config(&["isp1", "isp2"], &[TARGET], timing)
}

/// The last journal entry of isp1 after its line has changed.
fn entry_after(world: &mut World, line: impl Fn(u32) -> Fate + 'static) -> String {
    world.line("isp1", move |probe| line(probe.round.0));
    world.run(ms(5000));
    verdict_of(world)
}

/// The last change of isp1's state, with its cause.
fn verdict_of(world: &World) -> String {
    let mut journal = world.journal_of("isp1");
    journal.retain(|entry| entry.contains('→'));
    journal.pop().unwrap_or_default()
}

#[test]
fn loss_without_three_failed_rounds_in_a_row_is_detected() {
    let mut world = running(&demanding());
    let word = entry_after(&mut world, |round| match round % 3 {
        0 => Fate::Lost,
        _ => Fate::Answered(ms(10)),
    });
    assert!(word.starts_with("online → offline: loss of 2"), "{word}");
    assert!(word.ends_with("% is above max_loss 20%"), "{word}");
    assert_eq!(world.leader(), "isp2");

    // One in six is above recover_loss: it stays out. One in ten is not.
    let lossy = |one_in: u32| {
        move |round: u32| match round % one_in {
            0 => Fate::Lost,
            _ => Fate::Answered(ms(10)),
        }
    };
    entry_after(&mut world, lossy(6));
    assert_eq!(world.state("isp1"), State::Offline);
    let word = entry_after(&mut world, lossy(10));
    let (rounds, rest) = word.split_once(" good rounds; ").unwrap();
    assert!(rounds.starts_with("offline → online: "), "{word}");
    assert_eq!(rest, "loss of 10% is within recover_loss 10%");
    assert_eq!(world.leader(), "isp1");
}

#[test]
fn one_lost_probe_is_never_too_much_loss() {
    let mut world = World::new(&demanding());
    world.line("isp1", |probe| match probe.round.0 {
        3 => Fate::Lost,
        _ => Fate::Answered(ms(10)),
    });
    world.run(ms(5000));
    assert_eq!(world.state("isp1"), State::Online);
    let offline = |entry: &String| entry.contains("offline");
    assert!(!world.journal_of("isp1").iter().any(offline));
}

#[test]
fn a_slow_line_is_detected_and_returns_when_it_is_fast_again() {
    let mut config = demanding();
    for provider in &mut config.providers {
        let quality = provider.timing.quality;
        provider.timing.quality = quality.with(Measure::Jitter, None);
    }
    let mut world = running(&config);
    let word = entry_after(&mut world, |_| Fate::Answered(ms(160)));
    assert_eq!(
        word, "probing → online: 3 good rounds",
        "within max_latency"
    );
    let word = entry_after(&mut world, |_| Fate::Answered(ms(240)));
    assert!(word.starts_with("online → offline: latency of 2"), "{word}");
    assert!(word.ends_with("ms is above max_latency 200ms"), "{word}");
    entry_after(&mut world, |_| Fate::Answered(ms(160)));
    assert_eq!(world.state("isp1"), State::Offline, "above recover_latency");
    let word = entry_after(&mut world, |_| Fate::Answered(ms(20)));
    assert!(
        word.ends_with("ms is within recover_latency 150ms"),
        "{word}"
    );
    assert_eq!(world.leader(), "isp1");
}

#[test]
fn jitter_is_detected() {
    let mut world = running(&demanding());
    let word = entry_after(&mut world, |round| match round % 2 {
        0 => Fate::Answered(ms(10)),
        _ => Fate::Answered(ms(110)),
    });
    assert!(word.starts_with("online → offline: jitter of 4"), "{word}");
    assert!(word.ends_with("ms is above max_jitter 40ms"), "{word}");
    let word = entry_after(&mut world, |_| Fate::Answered(ms(60)));
    assert!(word.ends_with("ms is within recover_jitter 30ms"), "{word}");
}

#[test]
fn the_loss_of_a_dead_line_delays_its_return() {
    let mut world = running(&demanding());
    world.kill("isp1");
    let word = entry_after(&mut world, |_| Fate::Lost);
    assert_eq!(
        word,
        "online → offline: 3 rounds failed: 203.0.113.8 unanswered"
    );
    world.heal("isp1");
    world.run(ms(1500));
    assert_eq!(
        world.state("isp1"),
        State::Offline,
        "15 of 20 rounds are good"
    );
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Online);
    assert!(verdict_of(&world).ends_with("loss of 10% is within recover_loss 10%"));
}

#[test]
fn answers_of_a_neighbour_do_not_reduce_the_loss() {
    let mut config = demanding();
    let mut gateway = config.checks[0].clone();
    gateway.kind = CheckKind::Arp(Arp { target: None });
    config.checks.push(gateway).unwrap();
    for provider in &mut config.providers {
        provider.checks = 0b11;
    }
    let mut world = running(&config);
    world.line("isp1", |probe| match (probe.check, probe.round.0 % 3) {
        (0, 0) => Fate::Lost,
        (0, _) => Fate::Answered(ms(100)),
        _ => Fate::Answered(ms(1)),
    });
    world.run(ms(5000));
    let word = verdict_of(&world);
    assert!(word.ends_with("% is above max_loss 20%"), "{word}");
    assert_eq!(
        world.path("isp1").rounds.rtt(20).map(|rtt| rtt.avg),
        Some(100_000)
    );
}

#[test]
fn measurements_before_a_pin_do_not_count_after_it() {
    let mut world = running(&with_page());
    world.pin(Some("isp2"));
    world.line("isp1", |probe| match probe.check {
        0 => Fate::Answered(ms(10)),
        _ => Fate::Refused(Fault::Status(302)),
    });
    world.run(ms(300));
    world.pin(None);
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Offline);
    assert_eq!(world.leader(), "isp2");
}

/// A ping in each round, and a required page every two seconds.
fn with_page() -> Config {
    let mut config = config(&["isp1", "isp2"], &[TARGET, "203.0.113.9"], BRISK);
    config.checks[1].interval = Some(ms(2000));
    config.checks[1].required = true;
    config
}

#[test]
fn a_portal_on_a_line_that_answers_pings_is_detected() {
    let mut world = running(&with_page());
    let word = entry_after(&mut world, |_| Fate::Answered(ms(10)));
    assert_eq!(word, "probing → online: 3 good rounds");
    world.line("isp1", |probe| match probe.check {
        0 => Fate::Answered(ms(10)),
        _ => Fate::Refused(Fault::Status(302)),
    });
    let since = world.now;
    let left = world.run_to_swap(ms(5000)).unwrap();
    assert!(
        left <= since + ms(2000) + ms(300),
        "asked again at once, and again"
    );
    let word = verdict_of(&world);
    let expected = "3 rounds failed: 203.0.113.9 answers with status 302 (a captive portal?)";
    assert_eq!(word, format!("online → offline: {expected}"));
}

#[test]
fn a_check_with_a_long_interval_does_not_delay_detection() {
    let mut world = running(&with_page());
    world.run(ms(500));
    world.kill("isp1");
    let died = world.now;
    let left = world.run_to_swap(ms(5000)).unwrap();
    assert!(left - died <= BRISK.interval * 3 + BRISK.timeout);
}

#[test]
fn one_lost_probe_of_a_required_check_fails_no_path() {
    for lost in 0..2 {
        let mut world = running(&with_page());
        let asked = Cell::new(0);
        world.line("isp1", move |probe| {
            let number = asked.get();
            asked.set(number + u32::from(probe.check));
            match (probe.check, number) {
                (1, number) if number == lost => Fate::Lost,
                _ => Fate::Answered(ms(10)),
            }
        });
        world.run(ms(5000));
        assert_eq!(world.state("isp1"), State::Online);
        assert_eq!(world.engine.swaps(), 0, "{lost}");
        assert_eq!(world.path("isp1").rounds.verdicts(60).1, 1, "{lost}");
    }
}
