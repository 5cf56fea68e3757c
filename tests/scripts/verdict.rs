//! When a path goes online and offline.

use failover::config::{Quorum, Timing};
use failover::engine::path::State;
use failover::types::{CheckSet, Family, Fault, Kind, Waiting};

use crate::sim::{BRISK, Fate, World, config, ms};
use crate::{TARGET, running, two, two_running};

#[test]
fn a_dead_upstream_is_detected_in_time_at_any_point_of_the_interval() {
    let limit = BRISK.interval * 3 + BRISK.timeout;
    for moment in (0..100).step_by(7) {
        let mut world = two_running();
        world.run(ms(moment));
        world.kill("isp1");
        let died = world.now;
        let left = world.run_to_swap(ms(5000)).unwrap();
        assert_eq!(world.leader(), "isp2");
        let outage = left - died;
        assert!(outage <= limit, "{outage} at {moment} ms");
        assert!(outage >= limit - BRISK.interval, "{outage} is too eager");
    }
}

#[test]
fn rounds_overlap_when_the_timeout_is_longer_than_the_interval() {
    let mut world = two_running();
    // A slow line is good as long as its answers are in time.
    world.line("isp1", |_| Fate::Answered(ms(290)));
    world.run(ms(3000));
    assert_eq!(world.engine.swaps(), 0);
    assert_eq!(world.path("isp1").rounds.verdicts(20), (20, 0));
    // 310 ms is too late.
    world.line("isp1", |_| Fate::Answered(ms(310)));
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp2");
    world.run(ms(9000));
    let rounds = &world.path("isp1").rounds;
    assert_eq!(rounds.verdicts(50), (0, 50), "late is failed");
    // But not lost: only the last one that was given up is still on its way.
    assert_eq!(rounds.loss(47, CheckSet::ALL), (1, 44), "late is not lost");
    assert_eq!(rounds.rtt(40).map(|rtt| rtt.min), Some(310_000));
}

#[test]
fn an_undecided_round_delays_the_verdict_of_later_rounds() {
    let mut world = World::new(&two());
    // The first round of isp1 is lost, the others are answered at once: nothing is certain before the timeout.
    world.line("isp1", |probe| match probe.round.0 {
        0 => Fate::Lost,
        _ => Fate::Answered(ms(1)),
    });
    world.run(ms(299));
    assert_eq!(world.path("isp1").rounds.streak(), 0);
    world.run(ms(1));
    assert_eq!(world.path("isp1").rounds.streak(), 2);
    world.run(ms(2));
    assert_eq!(world.path("isp1").rounds.streak(), 3);
    assert_eq!(world.state("isp1"), State::Online);
}

#[test]
fn online_after_so_many_good_rounds_and_no_sooner() {
    let timing = Timing { up: 10, ..BRISK };
    let mut world = World::new(&config(&["isp1", "isp2"], &[TARGET], timing));
    world.run(ms(900 + 19));
    assert_eq!(world.state("isp1"), State::Probing);
    world.run(ms(1));
    assert_eq!(world.state("isp1"), State::Online);
    assert_eq!(world.path("isp1").since, world.now);
    assert_eq!(
        world.last_word_of("isp1"),
        "probing → online: 10 good rounds"
    );
}

#[test]
fn a_lossy_line_goes_offline() {
    // One in four lost: never three in a row, but more than 10 of 50.
    let timing = Timing {
        max_failed: 10,
        ..BRISK
    };
    let mut world = running(&config(&["isp1", "isp2"], &[TARGET], timing));
    world.line("isp1", |probe| match probe.round.0 % 4 {
        0 => Fate::Lost,
        _ => Fate::Answered(ms(20)),
    });
    world.run(ms(4500));
    assert_eq!(world.leader(), "isp2");
    assert_eq!(
        world.last_word_of("isp1"),
        "online → offline: 11 of the last 50 rounds failed: 203.0.113.8 unanswered"
    );
    world.run(ms(20_000));
    assert_eq!(world.state("isp1"), State::Offline, "12 of 50, for good");
    assert_eq!(world.engine.swaps(), 1);
    world.heal("isp1");
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Online);
}

#[test]
fn a_line_that_flaps_faster_than_up_never_comes_back() {
    let mut world = two_running();
    world.kill("isp1");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp2");
    // Repeatedly two good rounds and one bad: `up` is 3.
    world.line("isp1", |probe| match probe.round.0 % 3 {
        0 => Fate::Lost,
        _ => Fate::Answered(ms(20)),
    });
    world.run(ms(30_000));
    assert_eq!(world.engine.swaps(), 1);
}

#[test]
fn a_cable_that_flaps_costs_one_swap_and_no_burst_of_probes() {
    let mut world = two_running();
    let before = world.rounds_of("isp1").len();
    for _ in 0..100 {
        world.pull_cable("isp1");
        world.run(ms(5));
        world.plug_in("isp1");
        world.run(ms(5));
    }
    assert_eq!(world.engine.swaps(), 1, "isp1 has to prove itself first");
    let rounds = world.rounds_of("isp1");
    assert!(rounds.len() - before <= 21, "{} rounds", rounds.len());
    for pair in rounds.windows(2) {
        assert!(pair[1] - pair[0] >= BRISK.interval / 2, "{pair:?}");
    }
}

#[test]
fn a_probe_that_cannot_be_sent_decides_at_once() {
    let mut world = two_running();
    world.line("isp1", |_| Fate::Refused(Fault::NetworkUnreachable));
    let died = world.now;
    let left = world.run_to_swap(ms(5000)).unwrap();
    assert!(
        left - died <= BRISK.interval * 3,
        "no timeout is waited for"
    );
    assert_eq!(
        world.last_word_of("isp1"),
        "online → offline: 3 rounds failed: 203.0.113.8 network unreachable"
    );
}

#[test]
fn the_loss_of_the_uplink_swaps_at_once() {
    let losses = [
        (Waiting::NoCarrier, true, "carrier lost"),
        (Waiting::Down, false, "device is down"),
        (Waiting::NoDevice, false, "device gone"),
        (Waiting::NoAddress, true, "address lost"),
        (Waiting::NoGateway, false, "gateway lost"),
    ];
    for (waiting, routable, words) in losses {
        let mut world = two_running();
        let lost = world.now;
        world.uplink("isp1", Some(waiting), routable);
        assert_eq!(world.leaders.last(), Some(&(lost, Some("isp2".to_owned()))));
        assert_eq!(world.state("isp1"), State::Waiting);
        let journal = world.journal_of("isp1");
        assert_eq!(
            journal.last(),
            Some(&format!("online → waiting: {words}")),
            "{journal:?}"
        );
        let sent = world.rounds_of("isp1").len();
        world.run(ms(1000));
        assert_eq!(world.rounds_of("isp1").len(), sent, "it does not probe");

        world.plug_in("isp1");
        assert_eq!(world.leader(), "isp2", "to be judged anew");
        let back = world.now;
        world.run_to_swap(ms(5000)).unwrap();
        assert_eq!(world.leader(), "isp1");
        let probed: Vec<_> = world.rounds_of("isp1").split_off(sent);
        assert_eq!(probed[0], back, "asked at once");
        assert_eq!(probed.len(), 3);
    }
}

#[test]
fn another_reason_to_wait_is_an_entry_but_no_change_of_state() {
    let mut world = two_running();
    world.pull_cable("isp1");
    let since = world.now;
    world.run(ms(500));
    world.uplink("isp1", Some(Waiting::Down), false);
    assert_eq!(world.path("isp1").since, since);
    assert_eq!(world.last_word_of("isp1"), "waiting: down");
    assert_eq!(world.order(), ["isp2"], "it cannot have a route");
}

#[test]
fn the_ring_survives_verdicts_but_not_a_pulled_cable() {
    let mut world = two_running();
    world.kill("isp1");
    world.run(ms(1000));
    world.heal("isp1");
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Online);
    assert!(world.path("isp1").rounds.verdicts(50).1 > 0);
    let sent = world.path("isp1").rounds.facts(0).sent;
    world.pull_cable("isp1");
    assert_eq!(world.path("isp1").rounds.verdicts(50), (0, 0));
    assert_eq!(world.path("isp1").rounds.rtt(50), None);
    assert_eq!(world.path("isp1").rounds.facts(0).sent, sent);
}

#[test]
fn a_quorum_of_two() {
    let timing = Timing {
        quorum: Quorum::AtLeast(2),
        ..BRISK
    };
    let targets = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    let mut world = running(&config(&["isp1", "isp2"], &targets, timing));
    let dead = |count: u8| {
        move |probe: crate::sim::Probe| match probe.check {
            check if check < count => Fate::Lost,
            _ => Fate::Answered(ms(20)),
        }
    };
    world.line("isp1", dead(1));
    world.run(ms(5000));
    assert_eq!(world.engine.swaps(), 0);
    world.line("isp1", dead(2));
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp2");
    assert_eq!(
        world.last_word_of("isp1"),
        "online → offline: 3 rounds failed: 203.0.113.1, 203.0.113.2 unanswered"
    );
}

#[test]
fn each_family_has_its_own_verdict() {
    let mut world = running(&config(&["isp1", "isp2"], &[TARGET, "2001:db8::8"], BRISK));
    world.line("isp1", |probe| match probe.path.family {
        Family::V4 => Fate::Answered(ms(20)),
        Family::V6 => Fate::Lost,
    });
    world.run(ms(1000));
    assert_eq!(world.leader_in(Family::V4), "isp1");
    assert_eq!(world.leader_in(Family::V6), "isp2");
}

#[test]
fn a_family_without_a_check_is_not_managed() {
    let mut config = two();
    config.globals.last_resort = failover::config::LastResort::Unreachable;
    let mut world = World::new(&config);
    world.run(ms(1000));
    assert!(
        world
            .engine
            .paths()
            .all(|path| path.id.family == Family::V4)
    );
    assert_eq!(world.kernel.v6, Default::default());
    assert_eq!(world.engine.leader(Family::V6), None);
}

#[test]
fn a_provider_without_a_check_is_online_while_it_has_an_uplink() {
    let mut config = two();
    config.providers[1].checks = 0;
    let mut world = World::new(&config);
    assert_eq!(world.state("isp2"), State::Online);
    let word = "probing → online: unchecked: it has no check in this family";
    assert!(world.journal_of("isp2").contains(&word.to_owned()));
    world.kill("isp1");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp2");
    assert!(world.rounds_of("isp2").is_empty());
    world.pull_cable("isp2");
    assert_eq!(world.state("isp2"), State::Waiting);
    world.plug_in("isp2");
    assert_eq!(world.state("isp2"), State::Online);
}

#[test]
fn entries_that_may_need_action_are_marked() {
    let mut world = two_running();
    world.line("isp1", |_| Fate::Lost);
    world.run(ms(1000));
    world.line("isp1", |_| Fate::Answered(ms(5)));
    world.run(ms(1000));
    let entries = world.engine.journal().entries();
    let marked: Vec<(String, bool)> = entries
        .filter(|entry| entry.subject.provider.as_deref() == Some("isp1"))
        .filter(|entry| matches!(entry.kind, Kind::State { from, to } if from != to))
        .map(|entry| (entry.kind.to_string(), entry.kind.is_grave()))
        .collect();
    assert_eq!(
        marked[marked.len() - 2..],
        [
            ("online → offline".to_owned(), true),
            ("offline → online".to_owned(), false)
        ]
    );
}
