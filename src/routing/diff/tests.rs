//! The order of the changes, spelt out for the transitions that happen.

use std::vec::Vec;

use super::kernel::Kernel;
use super::*;
use crate::config::RtTable;
use crate::routing::layout::fixture::{Scene, address, kernel_rules};
use crate::routing::objects::RouteKind;
use crate::types::{MarkMask, Metric, TABLE_MAIN};

/// `set 176/100 dev 2`, `add 17601`, …: the place of each change.
fn tell(change: &Change) -> String {
    match change {
        Change::SetRoute(r) => format!("set {}/{} dev {}", r.table, r.metric, r.device),
        Change::DeleteRoute(r) => format!("delete {}/{} dev {}", r.table, r.metric, r.device),
        Change::AddRule(rule) => format!("add {}", rule.pref),
        Change::MoveRule(rule) => format!("move {}", rule.pref),
        Change::DeleteRule(rule) => format!("remove {}", rule.pref),
    }
}

/// Brings the kernel to what the scene wants, and tells how.
fn steps(kernel: &mut Kernel, scene: &mut Scene) -> Vec<String> {
    scene.foreign = kernel.routes.clone();
    scene.rules = kernel.rules.clone();
    let wanted = scene.wanted();
    let mut todo = Vec::new();
    let before = kernel.clone();
    changes(
        scene.family,
        &wanted,
        &before.routes,
        &before.rules,
        &mut |change| {
            let made = kernel.carry_out(&change);
            todo.push(if made {
                tell(&change)
            } else {
                format!("no {}", tell(&change))
            });
            made
        },
    );
    todo
}

#[test]
fn a_first_start_sets_routes_before_the_rules_that_lead_to_them() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 2));
    assert_eq!(
        steps(&mut kernel, &mut scene),
        [
            "set 176/100 dev 1",
            "set 176/101 dev 2",
            "add 17600",
            "add 33900",
            "add 33901",
            "add 33902",
            "add 32800",
            "add 32765",
            "set 17601/176 dev 1",
            "set 17601/176 dev 1",
            "set 17602/176 dev 2",
            "set 17602/176 dev 2",
            "add 17601",
            "add 17602",
            "add 17900",
            "add 17916",
            "add 18930",
            "add 18931",
        ]
    );
    assert!(steps(&mut kernel, &mut scene).is_empty());
}

#[test]
fn a_verdict_swaps_best_first_and_steers_no_longer() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V6, 2));
    steps(&mut kernel, &mut scene);
    scene.order(&[1, 0]);
    scene.plan.order[1].usable = false;
    let swap = ["set 176/100 dev 2", "set 176/101 dev 1", "remove 17601"];
    assert_eq!(steps(&mut kernel, &mut scene), swap);
}

/// They fall onto the way of all other traffic first, and follow it. What they came by answers all the time.
#[test]
fn at_a_death_connections_move_before_routes_and_at_a_return_after_them() {
    for family in Family::ALL {
        let (mut kernel, mut scene) = (Kernel::default(), Scene::of(family, 3));
        scene.marks = Some(MarkMask::USUAL);
        steps(&mut kernel, &mut scene);
        scene.order(&[1, 2, 0]);
        scene.plan.order[2].usable = false;
        let death = [
            "remove 32801",
            "set 176/100 dev 2",
            "set 176/101 dev 3",
            "set 176/102 dev 1",
            "remove 17601",
        ];
        assert_eq!(steps(&mut kernel, &mut scene), death);
        scene.order(&[0, 1, 2]);
        let back = [
            "set 176/100 dev 1",
            "set 176/101 dev 2",
            "set 176/102 dev 3",
            "add 17601",
            "add 32801",
        ];
        assert_eq!(steps(&mut kernel, &mut scene), back);
        // Of a standby: nothing but its rules.
        scene.plan.order[2].usable = false;
        let standby = ["remove 32803", "remove 17603"];
        assert_eq!(steps(&mut kernel, &mut scene), standby);
    }
}

/// Their rule is all that leads them out: it stays until something else does.
#[test]
fn without_another_way_the_rule_for_connections_goes_late() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 2));
    scene.marks = Some(MarkMask::USUAL);
    for provider in &mut scene.config.providers {
        provider.mark = None;
    }
    steps(&mut kernel, &mut scene);
    kernel.rules.retain(|rule| rule.pref != 33900);
    scene.plan.order[1].usable = false;
    let late = ["add 33900", "remove 32802"];
    assert_eq!(steps(&mut kernel, &mut scene), late);
}

/// A rule for the same connections, but another table, is added before the old one goes.
#[test]
fn a_path_whose_table_changes_keeps_its_connections() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 2));
    scene.marks = Some(MarkMask::USUAL);
    steps(&mut kernel, &mut scene);
    scene.config.providers[1].rt_table = RtTable::Id(300);
    let steps = steps(&mut kernel, &mut scene);
    let place = |what| steps.iter().position(|step| step == what);
    assert!(place("set 300/176 dev 2") < place("add 32802"), "{steps:?}");
    assert!(place("add 32802") < place("remove 32802"), "{steps:?}");
    assert!(place("add 17666") < place("remove 17666"), "{steps:?}");
}

#[test]
fn a_lost_uplink_leaves_the_last_place_empty() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 2));
    scene.config.providers[0].rt_table = RtTable::None;
    steps(&mut kernel, &mut scene);
    scene.uplinks[0].routable = false;
    scene.order(&[1]);
    let moved = ["set 176/100 dev 2", "delete 176/101 dev 2"];
    assert_eq!(steps(&mut kernel, &mut scene), moved);
}

#[test]
fn refusing_and_leading_again() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 2));
    steps(&mut kernel, &mut scene);
    scene.plan.unreachable = true;
    let refusing = ["add 33900", "remove 33900"];
    assert_eq!(steps(&mut kernel, &mut scene), refusing);
    scene.plan.unreachable = false;
    scene.order(&[1, 0]);
    let back = [
        "set 176/100 dev 2",
        "set 176/101 dev 1",
        "add 33900",
        "remove 33900",
    ];
    assert_eq!(steps(&mut kernel, &mut scene), back);
}

#[test]
fn a_renewed_address_is_added_before_the_old_goes() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V6, 1));
    steps(&mut kernel, &mut scene);
    scene.uplinks[0].address = Some("2001:db8::77".parse().unwrap());
    assert_eq!(
        steps(&mut kernel, &mut scene),
        ["add 17900", "remove 17900"]
    );
}

#[test]
fn a_changed_gateway_is_changed_in_place() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    steps(&mut kernel, &mut scene);
    scene.uplinks[0].gateway = Some("192.0.2.3".parse().unwrap());
    assert_eq!(
        steps(&mut kernel, &mut scene),
        [
            "set 176/100 dev 1",
            // The way to the gateway, and to everything.
            "set 17601/176 dev 1",
            "set 17601/176 dev 1",
            "delete 17601/176 dev 1",
        ]
    );
}

#[test]
fn moving_to_another_table_and_other_preferences() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    scene.config.providers[0].rt_table = RtTable::None;
    steps(&mut kernel, &mut scene);
    scene.config.globals.table = TABLE_MAIN;
    scene.config.globals.rule_pref = 20000;
    assert_eq!(
        steps(&mut kernel, &mut scene),
        [
            "set 254/100 dev 1",
            "add 20000",
            "add 21330",
            "remove 33900",
            "remove 18930",
            "remove 17600",
            "delete 176/100 dev 1",
        ]
    );
}

#[test]
fn lower_metrics_of_former_times_go_when_all_routes_are_there() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 3));
    for provider in &mut scene.config.providers {
        provider.rt_table = RtTable::None;
    }
    steps(&mut kernel, &mut scene);
    scene.config.globals.start_metric = Metric(200);
    scene.order(&[2, 1, 0]);
    assert_eq!(
        steps(&mut kernel, &mut scene),
        [
            "set 176/200 dev 3",
            "set 176/201 dev 2",
            "set 176/202 dev 1",
            "delete 176/102 dev 3",
            "delete 176/101 dev 2",
            "delete 176/100 dev 1",
        ]
    );
}

#[test]
fn siblings_go_but_never_all_at_once() {
    let mut scene = Scene::of(Family::V6, 1);
    scene.config.providers[0].rt_table = RtTable::None;
    let mut kernel = Kernel::default();
    steps(&mut kernel, &mut scene);
    let right = kernel.routes[0];
    let direct = Route {
        gateway: None,
        device: 2,
        ..right
    };
    let several = Route {
        kind: RouteKind::Multipath,
        gateway: None,
        device: 0,
        ..right
    };
    kernel.routes = [direct, right].to_vec();
    assert_eq!(steps(&mut kernel, &mut scene), ["delete 176/100 dev 2"]);
    kernel.routes = [direct, several].to_vec();
    let steps = steps(&mut kernel, &mut scene);
    assert_eq!(steps, ["delete 176/100 dev 0", "set 176/100 dev 1"]);
}

/// A former version compared all bits of a mark that is given without a mask.
#[test]
fn a_mark_gets_another_mask_new_before_old() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 2));
    let masked = |mask| Some(crate::types::Mark { value: 0x100, mask });
    scene.config.providers[0].mark = masked(u32::MAX);
    steps(&mut kernel, &mut scene);
    scene.config.providers[0].mark = masked(0x00ff_ffff);
    assert_eq!(
        steps(&mut kernel, &mut scene),
        ["add 17601", "remove 17601"]
    );
    assert_eq!(steps(&mut kernel, &mut scene), [""; 0]);
}

/// As `ip rule flush` does it.
#[test]
fn the_way_out_comes_back_first() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    scene.config.providers[0].mark = None;
    steps(&mut kernel, &mut scene);
    let rules = core::mem::replace(&mut kernel.rules, kernel_rules());
    let out = [
        "add 17600",
        "add 33900",
        "add 33901",
        "add 33902",
        "add 32800",
        "add 32765",
    ];
    let back: Vec<&str> = out.into_iter().chain(["add 17900", "add 18930"]).collect();
    assert_eq!(steps(&mut kernel, &mut scene), back);
    // So it does where only one link is missing.
    for lost in [32765, 32800, 33900] {
        let what = format!("add {lost}");
        kernel
            .rules
            .retain(|rule| rule.pref != lost && rule.pref != 18930);
        assert_eq!(steps(&mut kernel, &mut scene), [&what, "add 18930"]);
    }
    // One that refuses is no way out, and stands before what it refuses.
    kernel.rules = rules;
    scene.plan.unreachable = true;
    steps(&mut kernel, &mut scene);
    kernel.rules = kernel_rules();
    let back = [
        "add 17600",
        "add 17900",
        "add 18930",
        "add 33900",
        "add 33901",
        "add 33902",
        "add 32800",
        "add 32765",
    ];
    assert_eq!(steps(&mut kernel, &mut scene), back);
}

/// A rule for an address, as former versions had it, or one for its network: one of them is there all the time.
#[test]
fn a_rule_for_an_address_stays_until_that_for_its_network_is_there() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    steps(&mut kernel, &mut scene);
    for rule in &mut kernel.rules {
        if let Selector::OwnFrom(own) = rule.selector {
            rule.selector = Selector::From(own);
        }
    }
    let network = "192.0.2.0/30".parse().unwrap();
    scene
        .addresses
        .push(address(1, "192.0.2.2/30".parse().unwrap()));
    kernel.refuses.rules.push(Selector::OwnFrom(network));
    assert_eq!(steps(&mut kernel, &mut scene), ["no add 17900"]);
    kernel.refuses.rules.clear();
    let both = ["add 17900", "remove 17900"];
    assert_eq!(steps(&mut kernel, &mut scene), both);
    // And back, when another device has an address in the network.
    scene
        .addresses
        .push(address(9, "192.0.2.1/32".parse().unwrap()));
    let own = Selector::OwnFrom("192.0.2.2/32".parse().unwrap());
    kernel.refuses.rules.push(own);
    assert_eq!(steps(&mut kernel, &mut scene), ["no add 17900"]);
    kernel.refuses.rules.clear();
    assert_eq!(steps(&mut kernel, &mut scene), both);
}

/// The first one's gateway is none, and it is tried behind the other's.
#[test]
fn a_refused_route_holds_nothing_up() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 3));
    for provider in &mut scene.config.providers {
        (provider.rt_table, provider.mark) = (RtTable::None, None);
    }
    kernel.refuses.routes.push((1, 176));
    steps(&mut kernel, &mut scene);
    scene.uplinks[0].refused = true;
    scene.order(&[1, 2]);
    scene.plan.unreachable = true;
    let refusing = [
        "set 176/100 dev 2",
        "set 176/101 dev 3",
        "no set 176/102 dev 1",
        "add 17900",
        "add 17916",
        "add 17932",
        "add 33900",
        "remove 33900",
        "delete 176/102 dev 3",
    ];
    assert_eq!(steps(&mut kernel, &mut scene), refusing);
    // One is healthy again, the other no longer configured.
    scene.config.providers[2].enabled = false;
    scene.order(&[1]);
    scene.plan.unreachable = false;
    let gone = [
        "no set 176/101 dev 1",
        "add 33900",
        "remove 33900",
        "remove 18932",
        "remove 17932",
        "remove 17916",
        "remove 17900",
        "delete 176/101 dev 3",
    ];
    assert_eq!(steps(&mut kernel, &mut scene), gone);
    kernel.refuses.routes.clear();
    assert_eq!(steps(&mut kernel, &mut scene), ["set 176/101 dev 1"]);
}

/// Its old gateway serves as long as the new one is refused, and nothing else is there.
#[test]
fn a_refused_gateway_leaves_the_old_one_in_use() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 2));
    for provider in &mut scene.config.providers {
        (provider.rt_table, provider.mark) = (RtTable::None, None);
    }
    scene.order(&[0]);
    steps(&mut kernel, &mut scene);
    scene.uplinks[0].gateway = Some("192.0.2.3".parse().unwrap());
    kernel.refuses.routes.push((1, 176));
    assert_eq!(steps(&mut kernel, &mut scene), ["no set 176/100 dev 1"]);
    scene.order(&[0, 1]);
    let other = [
        "no set 176/100 dev 1",
        "set 176/101 dev 2",
        "delete 176/100 dev 1",
    ];
    assert_eq!(steps(&mut kernel, &mut scene), other);
}

/// Without any of its routes the way out stays refused, whatever the plan says: what leads elsewhere is not asked for.
#[test]
fn refusing_stays_while_no_route_leads_out() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    scene.config.providers[0].mark = None;
    scene.plan.unreachable = true;
    scene.order(&[]);
    steps(&mut kernel, &mut scene);
    scene.plan.unreachable = false;
    scene.order(&[0]);
    kernel.refuses.routes.push((1, 176));
    let waiting = ["no set 176/100 dev 1", "add 33900"];
    assert_eq!(steps(&mut kernel, &mut scene), waiting);
    kernel.refuses.routes.clear();
    let leads = ["set 176/100 dev 1", "remove 33900"];
    assert_eq!(steps(&mut kernel, &mut scene), leads);
}

/// The swap table moves, but nothing leads to the new one, or nothing is in it.
#[test]
fn a_rule_stays_while_its_successor_is_refused_or_leads_nowhere() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    (
        scene.config.providers[0].rt_table,
        scene.config.providers[0].mark,
    ) = (RtTable::None, None);
    steps(&mut kernel, &mut scene);
    scene.config.globals.table = 300;
    kernel.refuses.routes.push((1, 300));
    kernel.refuses.rules = vec![Selector::Oif("eth1".try_into().unwrap())];
    let nowhere = ["no set 300/100 dev 1", "no add 18930", "add 33900"];
    assert_eq!(steps(&mut kernel, &mut scene), nowhere);
    kernel.refuses.routes.clear();
    let half = ["set 300/100 dev 1", "no add 18930", "remove 33900"];
    assert_eq!(steps(&mut kernel, &mut scene), half);
    kernel.refuses.rules.clear();
    let whole = ["add 18930", "remove 18930", "delete 176/100 dev 1"];
    assert_eq!(steps(&mut kernel, &mut scene), whole);
}

/// Replacing the one that others have joined would replace theirs, too.
#[test]
fn one_that_others_have_joined_is_left_to_them() {
    let mut scene = Scene::of(Family::V6, 2);
    for provider in &mut scene.config.providers {
        provider.rt_table = RtTable::None;
    }
    let mut kernel = Kernel::default();
    steps(&mut kernel, &mut scene);
    kernel.routes[0].kind = RouteKind::Multipath;
    assert_eq!(
        steps(&mut kernel, &mut scene),
        [
            "set 176/101 dev 1",
            "set 176/102 dev 2",
            "delete 176/100 dev 1"
        ]
    );
}

#[test]
fn what_the_kernel_may_not_tell_is_no_difference() {
    let wanted = Scene::of(Family::V6, 1).wanted().routes[0];
    let onlink = Route {
        onlink: true,
        ..wanted
    };
    assert!(same_route(&onlink, &wanted));
    let chosen = Route {
        source: Some("2001:db8::9".parse().unwrap()),
        ..wanted
    };
    assert!(!same_route(&wanted, &chosen));
}

#[test]
fn a_clean_stop_falls_onto_the_main_table() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    scene.plan.unreachable = true;
    scene.config.globals.table = 300;
    steps(&mut kernel, &mut scene);
    let mut todo = Vec::new();
    removal(Family::V4, &kernel.routes, &kernel.rules, &mut |change| {
        todo.push(tell(&change));
        true
    });
    assert_eq!(
        todo,
        [
            "remove 32765",
            "remove 33902",
            "remove 33901",
            "remove 33900",
            "remove 17601",
            "remove 18930",
            "remove 17900",
            "remove 32800",
            "remove 17600",
            "delete 17601/176 dev 1",
            "delete 17601/176 dev 1",
            "delete 300/100 dev 1",
        ]
    );
    removal(Family::V6, &kernel.routes, &kernel.rules, &mut |change| {
        panic!("{change}")
    });
}

/// What another program adds at the same preference after us would be jumped over.
#[test]
fn the_goto_stands_behind_others_of_its_preference() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V4, 1));
    steps(&mut kernel, &mut scene);
    let foreign = Rule {
        family: Family::V4,
        pref: 32765,
        protocol: 3,
        selector: Selector::Foreign,
        verdict: RuleVerdict::Lookup(51820),
    };
    kernel.rules.insert(0, foreign.clone());
    assert!(steps(&mut kernel, &mut scene).is_empty(), "it was first");
    kernel.rules.push(foreign);
    assert_eq!(steps(&mut kernel, &mut scene), ["move 32765"]);
    assert!(steps(&mut kernel, &mut scene).is_empty());
}

/// As VRF set-ups do it: our rules would take what is for the machine's own addresses.
#[test]
fn own_addresses_come_first_where_others_have_moved_them() {
    let (mut kernel, mut scene) = (Kernel::default(), Scene::of(Family::V6, 1));
    let local = |rule: &&mut Rule| rule.family == Family::V6 && rule.pref == 0;
    kernel.rules.iter_mut().find(local).unwrap().pref = 32765;
    let first = steps(&mut kernel, &mut scene);
    assert_eq!(first[1..3], ["add 17599", "add 17600"], "{first:?}");
    // It comes back, and goes again.
    let own = |rule: &Rule| (rule.family, rule.protocol) == (Family::V6, 2) && rule.pref == 32765;
    let place = kernel.rules.iter().position(own).unwrap();
    kernel.rules[place].pref = 17599;
    assert_eq!(steps(&mut kernel, &mut scene), ["remove 17599"]);
    kernel.rules[place].pref = 17600;
    assert_eq!(steps(&mut kernel, &mut scene), ["add 17599"]);
    let mut last = String::new();
    removal(Family::V6, &kernel.routes, &kernel.rules, &mut |change| {
        if matches!(change, Change::DeleteRule(_)) {
            last = tell(&change);
        }
        true
    });
    assert_eq!(last, "remove 17599");
}
