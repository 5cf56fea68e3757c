//! Reload, and restart with the saved state.

use failover::config::{Connections, LastResort, Preempt};
use failover::engine::Action;
use failover::engine::path::State;
use failover::types::{Family, Instant, Slot, Waiting};

use crate::sim::{BRISK, World, config, ms, ping, provider};
use crate::{TARGET, two, two_running};

#[test]
fn unchanged_paths_keep_their_rounds_and_changed_paths_start_anew() {
    let mut world = two_running();
    let (since, sent) = (world.path("isp1").since, world.sent.len());
    let mut config = two();
    config.providers[1].timing.down = 5;
    world.reload(&config);
    assert_eq!(world.path("isp1").since, since);
    assert_eq!(world.path("isp1").rounds.streak(), 10);
    assert_eq!(world.path("isp2").rounds.verdicts(50), (0, 0));
    assert_eq!(world.path("isp2").rounds.facts(0).sent, 0);
    assert_eq!(world.engine.swaps(), 0);
    world.run(ms(1000));
    let numbers = world
        .sent
        .iter()
        .filter(|p| p.path == world.path("isp2").id);
    let numbers: Vec<u32> = numbers.map(|p| p.round.0).collect();
    assert!(numbers.windows(2).all(|n| n[1] == n[0] + 1), "{numbers:?}");
    assert_eq!(world.sent.len(), sent + 20);
}

#[test]
fn what_concerns_connections_alone_starts_nothing_anew() {
    let mut world = two_running();
    let sent = world.sent.len();
    let mut config = two();
    config.providers[0].connections = Connections::Follow;
    config.providers[1].masquerade = true;
    let prefix = "2001:db8:1::/56".parse().unwrap();
    config.prefixes.push((Slot(1), prefix)).unwrap();
    world.reload(&config);
    for id in ["isp1", "isp2"] {
        assert_eq!(world.path(id).rounds.streak(), 10);
    }
    let now = world.engine.config();
    assert_eq!(now.providers[0].connections, Connections::Follow);
    assert!(now.providers[1].masquerade && now.prefixes.len() == 1);
    world.run(ms(1000));
    assert_eq!(world.sent.len(), sent + 20);
}

#[test]
fn an_answer_to_a_round_before_the_reload_does_not_count_for_one_after_it() {
    let mut world = World::new(&two());
    world.line("isp1", |_| crate::sim::Fate::Answered(ms(250)));
    world.run(ms(50));
    let mut config = two();
    for down in [4, 5] {
        config.providers[0].timing.down = down;
        world.reload(&config);
        world.run(ms(110));
    }
    world.kill("isp1");
    world.run(ms(250));
    assert!(world.path("isp1").rounds.streak() <= 1);
}

#[test]
fn a_changed_timing_moves_no_traffic() {
    // isp1 is dead and isp2 leads when the interval of all is changed.
    let mut world = two_running();
    world.kill("isp1");
    world.run(ms(1000));
    let mut config = two();
    for provider in &mut config.providers {
        provider.timing.interval = ms(200);
    }
    world.reload(&config);
    assert_eq!(world.leader(), "isp2");
    world.run(ms(5000));
    assert_eq!(world.engine.swaps(), 1);
    assert_eq!(world.state("isp1"), State::Offline);
    world.heal("isp1");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp1");
}

#[test]
fn another_device_is_another_uplink() {
    let mut world = two_running();
    let mut config = two();
    config.providers[0].device.v4 = "eth9".try_into().unwrap();
    world.reload(&config);
    assert_eq!(world.state("isp1"), State::Probing);
    let journal = world.journal_of("isp1");
    assert_eq!(
        journal.last().map(String::as_str),
        Some("online → probing: configuration changed"),
        "{journal:?}"
    );
    assert_eq!(world.leader(), "isp1", "as at boot");
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Online);
}

#[test]
fn rounds_that_start_anew_are_spread() {
    let ids = ["isp1", "isp2", "isp3", "isp4"];
    let mut world = World::new(&config(&ids, &[TARGET], BRISK));
    world.run(ms(1000));
    let sent = world.sent.len();
    let mut config = config(&ids, &[TARGET], BRISK);
    for provider in &mut config.providers {
        provider.timing.up = 2;
    }
    world.run(ms(70));
    world.reload(&config);
    world.run(ms(300));
    let times: Vec<Instant> = world.sent[sent..].iter().map(|p| p.at).collect();
    assert!(times.windows(2).all(|t| t[1] > t[0]), "{times:?}");
}

#[test]
fn the_leader_is_removed() {
    let mut world = two_running();
    let mut config = two();
    config.providers.remove(0);
    world.reload(&config);
    assert_eq!(world.order(), ["isp2"]);
    assert_eq!(world.engine.swaps(), 1);
    let journal = world.journal_of("isp1");
    assert_eq!(
        journal.last().map(String::as_str),
        Some("removed: configuration changed")
    );
    assert_eq!(world.last_word_of("isp2"), "leads: first in order");
    assert!(world.actions.contains(&(world.now, Action::Save)));
    // No state of it is left.
    world.run(ms(1000));
    world.reload(&two());
    assert_eq!(world.state("isp1"), State::Probing);
    assert_eq!(world.leader(), "isp2");
    assert_eq!(world.path("isp1").rounds.facts(0).sent, 0);
}

#[test]
fn a_slot_that_another_provider_gets_keeps_no_state() {
    let mut old = two();
    old.globals.preempt = Preempt::No;
    let mut world = World::new(&old);
    world.run(ms(1000));
    world.kill("isp1");
    world.run(ms(1000));
    world.disable("isp2", true);
    world.disable("isp2", false);
    world.heal("isp1");
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp2", "preempt no");

    // isp3 gets the slot of isp2, which led.
    let mut new = old.clone();
    new.providers[1] = provider("isp3", 1, BRISK);
    world.disable("isp2", true);
    world.disable("isp2", false);
    world.disable("isp1", false);
    world.reload(&new);
    assert_eq!(world.leader(), "isp1", "isp3 has never led");
    assert_eq!(world.state("isp3"), State::Probing);
    assert_eq!(world.path("isp3").rounds.facts(0).sent, 0);

    // Neither a pin nor a disable applies to the next provider in the slot.
    world.run(ms(1000));
    world.disable("isp3", true);
    world.pin(Some("isp3"));
    new.providers[1] = provider("isp4", 1, BRISK);
    world.reload(&new);
    assert_eq!(world.engine.pinned(), None);
    assert!(!world.engine.is_disabled(Slot(1)));
    let journal: Vec<String> = world
        .engine
        .journal()
        .entries()
        .map(|e| format!("{} ({})", e.kind, e.cause))
        .collect();
    assert!(
        journal.contains(&"unpinned (configuration changed)".to_owned()),
        "{journal:?}"
    );
    world.run(ms(1000));
    assert_eq!(world.state("isp1"), State::Online, "checks go on");
}

#[test]
fn a_pin_of_an_unchanged_provider_stays() {
    let mut world = two_running();
    world.pin(Some("isp2"));
    let mut config = two();
    config.providers[0].timing.down = 5;
    config.providers[1].timing.down = 5;
    world.reload(&config);
    assert_eq!(world.leader(), "isp2");
    let sent = world.sent.len();
    world.run(ms(1000));
    assert_eq!(world.sent.len(), sent);
    assert_eq!(world.state("isp1"), State::Frozen);
}

#[test]
fn checks_come_and_go() {
    let mut world = two_running();
    let mut config = two();
    // The only check of isp2 goes: it counts as online.
    config.providers[1].checks = 0;
    world.reload(&config);
    world.kill("isp2");
    world.run(ms(1000));
    assert_eq!(world.state("isp2"), State::Online);
    assert!(world.path("isp2").unchecked());
    // It is added again.
    world.reload(&two());
    world.run(ms(1000));
    assert_eq!(world.state("isp2"), State::Offline);
    config.providers[1].checks = 0;
    world.reload(&config);
    assert_eq!(world.state("isp2"), State::Online);
    assert_eq!(
        world.last_word_of("isp2"),
        "offline → online: unchecked: it has no check in this family"
    );
}

#[test]
fn a_family_comes_and_goes() {
    let mut world = two_running();
    let mut config = two();
    config.checks.push(ping("2001:db8::8")).unwrap();
    world.reload(&config);
    world.run(ms(1000));
    assert_eq!(world.leader_in(Family::V6), "isp1");
    assert_eq!(world.path("isp1").rounds.streak(), 20, "IPv4 is as it was");
    world.reload(&two());
    assert_eq!(world.leader_in(Family::V6), "");
    assert_eq!(world.engine.leader(Family::V6), None);
}

#[test]
fn another_order_of_rank_swaps_and_keeps_all_rounds() {
    let mut world = two_running();
    let mut config = two();
    config.providers.swap(0, 1);
    world.reload(&config);
    assert_eq!(world.leader(), "isp2");
    assert_eq!(world.path("isp1").rounds.streak(), 10);
    // But not when nothing is to be preempted.
    let mut config = two();
    config.globals.preempt = Preempt::No;
    world.reload(&config);
    assert_eq!(world.leader(), "isp2");
}

#[test]
fn fifty_providers_lose_their_checks_at_once() {
    let ids: Vec<String> = (0..50).map(|n| format!("isp{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut world = World::new(&config(&ids, &[TARGET], BRISK));
    let mut unchecked = config(&ids, &[TARGET], BRISK);
    for provider in unchecked.providers.iter_mut().skip(1) {
        provider.checks = 0;
    }
    world.reload(&unchecked);
    assert_eq!(world.state("isp49"), State::Online);
}

/// A pin of a provider that is removed from the configuration ends: the frozen paths are judged anew.
#[test]
fn a_reload_without_the_pinned_provider() {
    let mut old = config(&["isp1", "isp2", "isp3"], &[TARGET], BRISK);
    let mut world = World::new(&old);
    world.run(ms(1000));
    // isp3 can have no route, so isp2 carries while it is pinned.
    world.uplink("isp3", Some(Waiting::NoGateway), false);
    world.uplink("isp1", Some(Waiting::NoGateway), false);
    world.pin(Some("isp3"));
    assert_eq!(world.leader(), "isp2");
    world.plug_in("isp1");
    world.run(ms(5000));
    assert_eq!(world.leader(), "isp2", "nothing is known of isp1");
    old.providers.truncate(2);
    world.kill("isp1");
    world.reload(&old);
    assert_eq!(world.engine.pinned(), None);
    assert_eq!(world.run_to_swap(ms(5000)), None);
    assert_eq!(world.state("isp2"), State::Online);
}

/// A new run with the saved state of the old one.
fn restarted(old: &World, uplinks: impl Fn(&mut World)) -> World {
    let config = old.engine.config().clone();
    let mut new = World::before_start();
    new.now = old.now + ms(200);
    new.configure(&config);
    new.engine
        .restore_leader(Family::V4, old.engine.leader(Family::V4).unwrap());
    for path in old.engine.paths() {
        new.engine.restore_path(path.id, path.verdict(), path.since);
    }
    for family in Family::ALL {
        new.engine.restore_lead(family, old.engine.lead_of(family));
    }
    if let Some(pinned) = old.engine.pinned() {
        new.engine.restore_pin(Some(pinned));
    }
    uplinks(&mut new);
    new.tell_uplinks();
    new
}

#[test]
fn a_restart_continues_with_the_saved_state() {
    let mut config = two();
    config.globals.preempt = Preempt::No;
    let mut old = World::new(&config);
    old.run(ms(1000));
    old.kill("isp1");
    old.run(ms(1000));
    old.heal("isp1");
    old.run(ms(1000));
    assert_eq!(old.leader(), "isp2");

    let mut new = restarted(&old, |_| ());
    assert_eq!(new.leaders, [(new.now, Some("isp2".to_owned()))]);
    assert_eq!(new.engine.swaps(), 0);
    assert_eq!(
        new.engine.journal().entries().count(),
        0,
        "nothing has changed"
    );
    for id in ["isp1", "isp2"] {
        assert_eq!(new.state(id), State::Online);
        assert_eq!(new.path(id).since, old.path(id).since);
    }
    let usable = |hop: &failover::engine::RankedPath| hop.usable;
    assert!(new.engine.plan(Family::V4).order.iter().all(usable));
    new.run(ms(1000));
    assert_eq!(new.leader(), "isp2");
    assert_eq!(new.path("isp1").rounds.streak(), 10);
    new.kill("isp2");
    new.run(ms(1000));
    assert_eq!(new.leader(), "isp1");
}

/// A new run does not report the same pin again, nor that no provider leads; it reports a removed pin.
#[test]
fn reported_changes_are_not_reported_again() {
    let mut old = two_running();
    old.pin(Some("isp2"));
    let since = old.path("isp1").since;
    old.kill("isp1");
    old.run(ms(5000));
    let mut new = restarted(&old, |_| ());
    new.kill("isp1");
    new.pin(Some("isp2"));
    assert_eq!(new.engine.journal().entries().count(), 0);
    assert_eq!(new.state("isp1"), State::Frozen);
    assert_eq!(new.path("isp1").since, since);
    new.run(ms(5000));
    assert_eq!(new.sent, [], "no path is probed");
    assert_eq!(new.leader(), "isp2");
    new.pin(None);
    assert_eq!(new.last_word_of("isp2"), "unpinned: unpinned by hand");
    assert_eq!(new.run_to_swap(ms(5000)), None, "isp1 has died meanwhile");

    let mut config = two();
    config.globals.last_resort = LastResort::Unreachable;
    let mut old = World::new(&config);
    for id in ["isp1", "isp2"] {
        old.kill(id);
    }
    old.run(ms(1000));
    let new = restarted(&old, |_| ());
    assert!(new.kernel.v4.unreachable);
    assert_eq!(new.engine.journal().entries().count(), 0);
}

#[test]
fn the_wait_of_preempt_continues_across_a_restart() {
    let mut config = two();
    config.globals.preempt = Preempt::After(ms(5000));
    let mut old = World::new(&config);
    old.run(ms(1000));
    old.kill("isp1");
    old.run(ms(1000));
    old.heal("isp1");
    old.run(ms(1000));
    let online = old.path("isp1").since;
    let mut new = restarted(&old, |_| ());
    assert_eq!(new.run_to_swap(ms(10_000)), Some(online + ms(5000)));
}

#[test]
fn a_cable_that_was_pulled_between_two_runs() {
    let old = two_running();
    let mut new = restarted(&old, |new| new.pull_cable_silently("isp1"));
    assert_eq!(new.leader(), "isp2");
    assert_eq!(new.state("isp1"), State::Waiting);
    assert_eq!(new.path("isp1").since, new.now);
    let journal = new.journal_of("isp1");
    assert_eq!(journal, ["online → waiting: carrier lost"]);
    new.plug_in("isp1");
    assert_eq!(new.state("isp1"), State::Probing, "to be judged anew");
    assert_eq!(new.leader(), "isp2");
    new.run(ms(1000));
    assert_eq!(new.leader(), "isp1");
}

#[test]
fn a_dead_provider_stays_known_as_dead_across_a_restart() {
    let mut old = two_running();
    old.kill("isp1");
    old.run(ms(1000));
    let mut new = restarted(&old, |new| new.kill("isp1"));
    assert_eq!(new.leader(), "isp2");
    assert_eq!(new.state("isp1"), State::Offline);
    new.run(ms(5000));
    assert_eq!(new.engine.swaps(), 0);
}

#[test]
fn the_leader_is_missing_when_the_next_run_starts() {
    let mut old = two_running();
    old.uplink("isp1", Some(Waiting::NoDevice), false);
    old.run(ms(1000));
    let new = restarted(&old, |new| {
        new.pull_cable_silently("isp2");
    });
    assert_eq!(new.leader(), "isp1");
}
