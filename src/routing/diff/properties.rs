//! Random scenes, one after another, some of them left half-way: what holds after each single change.

use core::net::IpAddr;

use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::kernel::{Answer, Kernel, Packet, Refuses, family_of};
use super::{best_of_others, changes, is_successor, removal, same_route};
use crate::config::{Connections, Provider, RtTable};
use crate::routing::layout::fixture::{Scene, address, foreign_default, own};
use crate::routing::layout::{Wanted, pref};
use crate::routing::objects::{Change, Route, RouteKind, Rule, RuleVerdict, Selector};
use crate::types::{
    DeviceName, Family, MarkMask, Metric, PROTOCOL, Prefix, Slot, TABLE_LOCAL, TABLE_MAIN,
    network_of,
};

const SWAP_TABLES: [u32; 4] = [176, 176, 254, 300];

fn family() -> impl Strategy<Value = Family> {
    select(&Family::ALL[..])
}

/// One to four providers in any condition, under any settings.
fn scene(family: Family) -> impl Strategy<Value = Scene> {
    let globals = (
        select(&SWAP_TABLES[..]),
        select(vec![0u32, 1, 100, 101, 1022]),
        select(vec![17600u32, 17600, 17500, 18000]),
        select(vec![32765u32, 32765, 32764, 19500]),
    );
    let conditions = vec((any::<[bool; 8]>(), 0..6u8), 4);
    let addresses = vec(
        (
            1..=5u32,
            select(vec![0u8, 1, 2, 3, 9]),
            2..4u8,
            any::<bool>(),
        ),
        0..8,
    );
    let delegated = vec((0..4u8, 0..6u8, any::<bool>()), 0..6);
    let resolvers = vec(0..5u8, 4);
    let plan = (
        Just([0u8, 1, 2, 3]).prop_shuffle(),
        0..=4usize,
        any::<[bool; 5]>(),
        weighted(0.2),
        select(vec![None, Some(MarkMask::USUAL), MarkMask::new(0xff00)]),
        0..32u64,
    );
    let named = (delegated, resolvers);
    let all = (1..=4u8, globals, conditions, plan, addresses, named);
    all.prop_map(
        move |(count, globals, conditions, plan, addresses, (delegated, resolvers))| {
            let mut scene = Scene::of(family, count);
            for (device, network, host, single) in addresses {
                let prefix = prefix(family, network, host, single);
                scene.addresses.push(address(device, prefix));
            }
            // Some have those of others, and some are within their own networks or others'.
            for (slot, number, wide) in delegated {
                let prefix = delegated_prefix(slot, number, wide);
                let entry = (Slot(slot), prefix);
                if !scene.delegated.list.contains(&entry) {
                    scene.delegated.list.push(entry).unwrap();
                }
            }
            // Each is one provider's, or none's.
            for (number, slot) in (0..).zip(resolvers) {
                scene.resolvers.push((Slot(slot), resolver(family, number)));
            }
            scene.config.globals.table = globals.0;
            scene.config.globals.start_metric = Metric(globals.1);
            scene.config.globals.rule_pref = globals.2;
            scene.config.globals.catch_all = globals.3;
            (scene.marks, scene.handed_over) = (plan.4, plan.5);
            scene.config.globals.answers = plan.5 < 24;
            for (slot, (flags, table)) in (0..count).zip(conditions) {
                worsen(&mut scene, slot, flags, table);
            }
            let order: Vec<u8> = plan.0.into_iter().filter(|&s| s < count).collect();
            scene.order(&order[..order.len().min(plan.1)]);
            for (hop, usable) in scene.plan.order.iter_mut().zip(plan.2) {
                hop.usable = usable;
            }
            scene.plan.unreachable = plan.2[4];
            scene.yields = plan.3 && globals.0 != TABLE_MAIN;
            scene
        },
    )
}

/// The network of an uplink, or one that is `wide`, of a slot alone.
fn delegated_prefix(slot: u8, number: u8, wide: bool) -> Prefix {
    let (network, length) = match wide {
        true => (100 + slot * 8 + number, 56),
        false => (number, 64),
    };
    Prefix::new(own(Family::V6, network, 0).into(), length)
}

fn resolver(family: Family, number: u8) -> IpAddr {
    own(family, 60 + number, 1)
}

/// Host 2 or 3 of an uplink's network, with the length of the network or its own.
fn prefix(family: Family, network: u8, host: u8, single: bool) -> Prefix {
    let length = match (family, single) {
        (Family::V4, true) => 32,
        (Family::V4, false) => 30,
        (Family::V6, true) => 128,
        (Family::V6, false) => 64,
    };
    Prefix::new(own(family, network, host).into(), length)
}

fn worsen(scene: &mut Scene, slot: u8, flags: [bool; 8], table: u8) {
    let [rare, enabled, device, shared, direct, onlink, gateway, mark] = flags;
    scene.config.providers[usize::from(slot)].metered = rare && mark;
    let (family, at) = (scene.family, usize::from(slot));
    let provider = &mut scene.config.providers[at];
    provider.enabled = enabled || !rare;
    provider.rt_table = match table {
        0 => RtTable::None,
        1 => RtTable::Id(201 + u32::from(slot)),
        _ => RtTable::Auto,
    };
    provider.connections = match table {
        3 => Connections::Follow,
        4 => Connections::Off,
        _ => Connections::Stay,
    };
    if mark {
        provider.mark = None;
    }
    let uplink = &mut scene.uplinks[at];
    uplink.direct = direct && rare;
    uplink.onlink = onlink;
    uplink.extras.number = u8::from(onlink);
    if shared {
        uplink.address = Some(own(family, 9, 2));
    }
    if gateway {
        uplink.gateway = Some(own(family, 9, 1));
    }
    if device && rare {
        uplink.index = 0;
        uplink.routable = false;
        uplink.address = None;
    }
}

/// What others have: default routes at metrics of ours and elsewhere, and rules at preferences of ours.
fn others() -> impl Strategy<Value = Kernel> {
    let tables = vec![176u32, 254, 254, 300, 201, 17601, 17602];
    let metrics = vec![0u32, 1, 50, 100, 101, 102, 176, 1022, 1024];
    let route = (family(), select(tables), select(metrics), any::<bool>());
    let rule = (
        family(),
        select(vec![17600u32, 17900, 32765, 32765, 32800, 33900, 5000]),
    );
    let local = select(vec![0u32, 0, 17600, 32765]);
    // Defaults that refuse: before ours, in their midst, right behind them, and as systemd and kill switches have them.
    let refusing = (
        family(),
        select(vec![0u32, 99, 100, 103, 1024, 4_278_198_272]),
    );
    let routes = (vec(route, 0..8), vec(refusing, 0..3));
    (routes, vec(rule, 0..4), local).prop_map(|((routes, refusing), rules, local)| {
        let mut kernel = Kernel::default();
        for rule in &mut kernel.rules {
            if rule.verdict == RuleVerdict::Lookup(TABLE_LOCAL) {
                rule.pref = local;
            }
        }
        for (family, table, metric, specific) in routes {
            let mut route = foreign_default(family, table, metric);
            if family == Family::V6 {
                route.metric = Metric(if metric == 0 { 1024 } else { metric });
                route.from = specific.then(source_prefix);
            }
            if !kernel.routes.contains(&route) {
                kernel.routes.push(route);
            }
        }
        for (family, metric) in refusing {
            let mut route = foreign_default(family, TABLE_MAIN, metric.max(1));
            (route.kind, route.device, route.gateway) = (RouteKind::Other, 0, None);
            let taken = |r: &Route| (r.table, r.metric) == (TABLE_MAIN, route.metric);
            if !kernel
                .routes
                .iter()
                .any(|r| taken(r) && family_of(r) == family)
            {
                kernel.routes.push(route);
            }
        }
        for (family, pref) in rules {
            kernel.rules.push(Rule {
                family,
                pref,
                protocol: 3,
                selector: Selector::Foreign,
                verdict: RuleVerdict::Foreign,
            });
        }
        kernel
    })
}

/// What a source-specific route is for.
fn source_prefix() -> Prefix {
    Prefix::new(own(Family::V6, 50, 0).into(), 64)
}

/// Anything under our protocol, at places of ours and elsewhere; several at one place, too.
fn debris(family: Family) -> impl Strategy<Value = Vec<Route>> {
    let route = (
        select(vec![176u32, 176, 254, 17601]),
        select(vec![100u32, 100, 101, 102]),
        1..4u32,
        0..5u8,
    );
    vec(route, 0..12).prop_map(move |routes| {
        let mut all: Vec<Route> = Vec::new();
        for (table, metric, device, form) in routes {
            let mut route = foreign_default(family, table, metric);
            route.protocol = PROTOCOL;
            route.device = device;
            match form {
                0 => route.gateway = None,
                1 => (route.kind, route.device, route.gateway) = (RouteKind::Multipath, 0, None),
                2 if family == Family::V6 => route.from = Some(source_prefix()),
                _ => route.gateway = Some(own(family, form, 1)),
            }
            if !all.contains(&route) {
                all.push(route);
            }
        }
        all
    })
}

/// The rules of a scene as versions before the `goto` had them: all of them before `main`.
fn former_rules(scene: &mut Scene) -> Vec<Rule> {
    let first = scene.config.globals.rule_pref;
    let rule = |pref, selector, verdict| Rule {
        family: scene.family,
        pref: first + pref,
        protocol: PROTOCOL,
        selector,
        verdict,
    };
    let everything = |pref, verdict| rule(pref, Selector::All, verdict);
    let mut rules = vec![everything(0, RuleVerdict::LookupSpecific(TABLE_MAIN))];
    if scene.plan.unreachable {
        rules.push(everything(899, RuleVerdict::Unreachable));
    }
    if scene.config.globals.table != TABLE_MAIN {
        let verdict = RuleVerdict::Lookup(scene.config.globals.table);
        rules.push(everything(900, verdict));
    }
    for wanted in scene.wanted().rules {
        let pref = match wanted.selector {
            Selector::Mark(_) => wanted.pref - first,
            Selector::OwnFrom(_) => 100 + (wanted.pref - first - 300) / 16,
            Selector::Oif(_) => wanted.pref - first - 1130,
            _ => continue,
        };
        rules.push(Rule {
            pref: first + pref,
            selector: for_all_packets(wanted.selector),
            ..wanted
        });
    }
    rules
}

/// The rules of a scene as the versions had them that had one for each path's own address, also for forwarded packets.
fn rules_for_own_addresses(scene: &mut Scene) -> Vec<Rule> {
    let first = scene.config.globals.rule_pref + 300;
    let mut rules = scene.wanted().rules;
    for rule in &mut rules {
        if matches!(rule.selector, Selector::OwnFrom(_)) {
            rule.pref = first + (rule.pref - first) / 16;
            rule.selector = for_all_packets(rule.selector.clone());
        }
    }
    rules.to_vec()
}

fn for_all_packets(selector: Selector) -> Selector {
    match selector {
        Selector::OwnFrom(prefix) => Selector::From(prefix),
        other => other,
    }
}

/// Whether a rule of others stands behind our `goto`, at its preference: it would be jumped over.
fn is_jumped_over(kernel: &Kernel, family: Family) -> bool {
    let jumps = |rule: &Rule| matches!(rule.verdict, RuleVerdict::Goto(_));
    let mut rules = kernel.rules.iter().filter(|rule| rule.family == family);
    let ours = rules.find(|rule| jumps(rule));
    ours.is_some_and(|ours| rules.any(|rule| rule.is_foreign(family) && rule.pref == ours.pref))
}

/// Brings the kernel to what the scene wants, at most `most` changes of it, and looks at it after each.
fn play(kernel: &mut Kernel, scene: &mut Scene, most: usize) -> Wanted {
    scene.foreign = kernel.routes.clone();
    scene.rules = kernel.rules.clone();
    let wanted = scene.wanted();
    let todo = planned(kernel, scene.family, &wanted);
    let moves = todo.iter().filter(|c| matches!(c, Change::MoveRule(_)));
    assert!(todo.len() - moves.count() <= differing(kernel, scene.family, &wanted));

    let mut after = kernel.clone();
    for change in &todo {
        after.carry_out(change);
    }
    let before = kernel.clone();
    let table = scene.config.globals.table;
    let best_before = before.best(table, scene.family);
    let accepted = |r: &&Route| r.table == table && !kernel.refuses.route(r);
    let best_wanted = wanted.routes.iter().find(accepted);
    for change in todo.iter().take(most) {
        kernel.carry_out(change);
        assert_eq!(kernel.foreign(), before.foreign());
        if best_before.is_some() && best_wanted.is_some() {
            assert!(
                kernel.best(table, scene.family).is_some(),
                "a hole after {change:?}"
            );
        }
        look_around([&before, kernel, &after], scene, change);
    }
    wanted
}

/// A look-up that is answered before and after is answered in between; one without any choice goes from the old answer to
/// the new, and nowhere else, if nothing is refused.
fn look_around([before, now, after]: [&Kernel; 3], scene: &Scene, change: &Change) {
    let leads = after
        .best(scene.config.globals.table, scene.family)
        .is_some();
    let refusing = [before, now, after]
        .iter()
        .any(|kernel| has_refusing(kernel, scene.family));
    let unmarked =
        [before, now, after].map(|kernel| kernel.look_up(scene.family, &Packet::default()));
    for (i, packet) in packets(scene).into_iter().enumerate() {
        let answer = |kernel: &Kernel| kernel.look_up(scene.family, &packet);
        let ends = [answer(before), answer(after)];
        let answered = |a: &Answer| matches!(a, Answer::Device(_));
        let in_main = matches!(change, Change::SetRoute(route) if route.table == TABLE_MAIN);
        let moves = |bound| !has_policy_table(before, bound) || in_main && refusing;
        if packet.bound.as_ref().is_some_and(moves) {
            continue; // its route may be between two places
        }
        // While one in `main` refuses, the order of ours before it changes with the rules: that holds for plain packets.
        if ends.iter().all(answered) && (i == 0 || !refusing) {
            assert!(answered(&answer(now)), "{packet:?} after {change:?}");
        }
        // What is marked goes its old or its new way, or that of all other traffic; or that of the provider of its mark, whose
        // route was stolen, and is put back before the rule goes. It never goes by a third one.
        if ends.iter().all(answered) && !refusing && packet.mark != 0 {
            let here = answer(now);
            let mut ways = [&ends[..], &unmarked].concat();
            let providers = scene.config.providers.iter().zip(&scene.uplinks);
            let own =
                providers.filter(|(provider, _)| marks_of(scene, provider).contains(&packet.mark));
            ways.extend(own.map(|(_, uplink)| Answer::Device(uplink.index)));
            assert!(
                ways.contains(&here),
                "{packet:?}: {here:?} after {change:?}"
            );
        }
        let refuses = now.refuses != Refuses::default();
        // A packet that had no way may take what is left of ours: in `main`, before the manual default, or behind one that
        // refuses there.
        let yields = scene.yields && !answered(&ends[0]);
        if i == 0 && answered(&ends[1]) && leads && !refuses && !yields && !refusing {
            let now = answer(now);
            assert!(ends.contains(&now), "{now:?} of {ends:?} after {change:?}");
        }
    }
}

/// Whether there is a default in `main` that refuses.
fn has_refusing(kernel: &Kernel, family: Family) -> bool {
    let mut all = kernel.routes.iter();
    all.any(|r| r.table == TABLE_MAIN && r.kind == RouteKind::Other && family_of(r) == family)
}

/// Whether sockets bound to this device find their way in a table other than the swap table.
fn has_policy_table(kernel: &Kernel, (device, index): &(DeviceName, u32)) -> bool {
    let led = |table: u32| {
        let rules = kernel.rules.iter();
        rules
            .filter(|r| r.verdict == RuleVerdict::Lookup(table))
            .any(|r| matches!(&r.selector, Selector::Oif(name) if name == device))
    };
    let routes = kernel
        .routes
        .iter()
        .filter(|r| r.device == *index && r.destination.prefix_len() == 0);
    routes
        .map(|r| r.table)
        .any(|table| !SWAP_TABLES.contains(&table) && led(table))
}

/// The marks that lead to a provider: its own, and those of its connections.
fn marks_of(scene: &Scene, provider: &Provider) -> Vec<u32> {
    let inbound = |marks: MarkMask| marks.inbound(provider.slot);
    let outbound = |marks: MarkMask| marks.outbound(provider.slot);
    let own = provider.mark.map(|mark| mark.value);
    let marks = [own, scene.marks.map(inbound), scene.marks.map(outbound)];
    marks.into_iter().flatten().collect()
}

/// One without any choice, and those with one choice each.
fn packets(scene: &Scene) -> Vec<Packet> {
    let mut packets = vec![Packet::default()];
    for (provider, uplink) in scene.config.providers.iter().zip(&scene.uplinks) {
        packets.extend(marks_of(scene, provider).into_iter().map(|mark| Packet {
            mark,
            ..Packet::default()
        }));
        packets.push(Packet {
            from: uplink.address,
            ..Packet::default()
        });
        packets.push(Packet {
            bound: Some((uplink.device.clone(), uplink.index)),
            ..Packet::default()
        });
    }
    for (_, resolver) in &scene.resolvers {
        for forwarded in [false, true] {
            packets.push(Packet {
                to: Some(*resolver),
                forwarded,
                ..Packet::default()
            });
        }
    }
    for (_, prefix) in &scene.delegated.list {
        for forwarded in [false, true] {
            packets.push(Packet {
                from: Some(prefix.address().into()),
                forwarded,
                ..Packet::default()
            });
        }
    }
    for address in &scene.addresses {
        for forwarded in [false, true] {
            packets.push(Packet {
                from: Some(address.prefix.address().into()),
                forwarded,
                ..Packet::default()
            });
        }
    }
    packets
}

fn planned(kernel: &Kernel, family: Family, wanted: &Wanted) -> Vec<Change> {
    let mut todo = Vec::new();
    changes(
        family,
        wanted,
        &kernel.routes,
        &kernel.rules,
        &mut |change| {
            let made = !kernel.refuses.change(&change);
            todo.push(change);
            made
        },
    );
    todo
}

fn ours(kernel: &Kernel, family: Family) -> (Vec<Route>, Vec<Rule>) {
    let routes = kernel.routes.iter().filter(|r| r.protocol == PROTOCOL);
    let rules = kernel.rules.iter().filter(|r| r.protocol == PROTOCOL);
    (
        routes.filter(|r| family_of(r) == family).copied().collect(),
        rules.filter(|r| r.family == family).cloned().collect(),
    )
}

/// How many objects are wanted and absent, or present and not wanted.
fn differing(kernel: &Kernel, family: Family, wanted: &Wanted) -> usize {
    let (routes, rules) = ours(kernel, family);
    let absent = |w: &&Route| !routes.iter().any(|has| same_route(w, has));
    let stale = |has: &&Route| !wanted.routes.iter().any(|w| same_route(w, has));
    wanted.routes.iter().filter(absent).count()
        + routes.iter().filter(stale).count()
        + wanted.rules.iter().filter(|r| !rules.contains(r)).count()
        + rules.iter().filter(|r| !wanted.rules.contains(r)).count()
}

/// New routes by some devices in some tables, and new rules for some packets of the scene.
fn refuses(family: Family) -> impl Strategy<Value = Refuses> {
    let longest = if family == Family::V4 { 32 } else { 128 };
    let route = (1..5u32, select(vec![176u32, 176, 254, 300, 17601, 201]));
    let rule = (0..4u8, 0..7u8).prop_map(move |(slot, kind)| match kind {
        5 => Selector::From(delegated_prefix(slot, 2, slot > 1)),
        0 => Selector::All,
        6 => Selector::OwnTo(Prefix::new(resolver(family, slot).into(), longest)),
        1 => Selector::OwnFrom(prefix(family, slot, 2, true)),
        2 => Selector::OwnFrom(network_of(prefix(family, slot, 2, false))),
        _ => Selector::Oif(format!("eth{}", slot + 1).as_str().try_into().unwrap()),
    });
    (vec(route, 0..4), vec(rule, 0..3)).prop_map(|(routes, rules)| Refuses { routes, rules })
}

/// All is as wanted but for what is refused, and what relies on that.
fn assert_converged(kernel: &Kernel, scene: &Scene, wanted: &Wanted) {
    let family = scene.family;
    let (routes, rules) = ours(kernel, family);
    let stands = |w: &Route| routes.iter().any(|has| same_route(w, has));
    let absent = wanted.routes.iter().filter(|w| !stands(w));
    let absent: Vec<&Route> = absent.collect();
    for route in &absent {
        assert!(kernel.refuses.route(route), "{route:?} is not there");
    }
    for rule in wanted.rules.iter().filter(|w| !rules.contains(w)) {
        let refused = kernel.refuses.rules.contains(&rule.selector);
        assert!(refused, "{rule:?} is not there");
    }
    // Whether packets find a way in a table that is to have one.
    let leads = |table: u32| {
        let mut defaults = wanted
            .routes
            .iter()
            .filter(|w| w.table == table && w.destination.prefix_len() == 0);
        let none = defaults.clone().next().is_none();
        none || defaults.any(&stands)
    };
    let left = rules.iter().filter(|has| !wanted.rules.contains(has));
    let left: Vec<&Rule> = left.collect();
    for rule in &left {
        let alike = |w: &&Rule| is_successor(w, rule);
        let mut successors = wanted.rules.iter().filter(alike);
        let reason = match rule.verdict {
            RuleVerdict::Unreachable => {
                successors.next().is_some() || !leads(scene.config.globals.table)
            }
            RuleVerdict::LookupSpecific(_) | RuleVerdict::Lookup(TABLE_LOCAL) if left.len() > 1 => {
                true
            }
            _ => successors.any(|w| {
                !rules.contains(w) || matches!(w.verdict, RuleVerdict::Lookup(t) if !leads(t))
            }),
        };
        assert!(reason, "{rule:?} stays");
    }
    for has in routes
        .iter()
        .filter(|has| !wanted.routes.iter().any(|w| same_route(w, has)))
    {
        let purpose = |r: &Route| (r.table, r.destination, r.from);
        let rivals = wanted.routes.iter().filter(|w| purpose(w) == purpose(has));
        let replaced = rivals.clone().any(stands);
        let predecessor = rivals.clone().any(|w| w.device == has.device);
        let led_to = left
            .iter()
            .any(|rule| rule.verdict == RuleVerdict::Lookup(has.table));
        assert!(!replaced && (predecessor || led_to), "{has:?} stays");
    }
}

/// Takes some of ours away, as another program might.
fn rob(kernel: &mut Kernel, booty: &[Index]) {
    for index in booty {
        if kernel.routes.is_empty() || kernel.rules.is_empty() {
            return;
        }
        let route = index.index(kernel.routes.len());
        if kernel.routes[route].protocol == PROTOCOL {
            kernel.routes.remove(route);
        }
        let rule = index.index(kernel.rules.len());
        if kernel.rules[rule].protocol == PROTOCOL {
            kernel.rules.remove(rule);
        }
    }
}

/// Removes everything of ours: others' stay, and traffic falls once.
fn assert_removed(mut kernel: Kernel, family: Family) {
    let foreign = kernel.foreign();
    let mut todo = Vec::new();
    removal(family, &kernel.routes, &kernel.rules, &mut |change| {
        todo.push(change);
        true
    });
    let mut answers = vec![kernel.look_up(family, &Packet::default())];
    for change in todo {
        kernel.carry_out(&change);
        assert_eq!(kernel.foreign(), foreign);
        answers.push(kernel.look_up(family, &Packet::default()));
    }
    let (routes, rules) = ours(&kernel, family);
    assert!(routes.is_empty() && rules.is_empty());
    answers.retain(|answer| *answer != Answer::Refused);
    answers.dedup();
    assert!(answers.len() <= 2, "{answers:?}");
}

/// A thousand cases; `PROPTEST_CASES` sets more.
fn settings() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        failure_persistence: None,
        cases: default.cases.max(1000),
        ..default
    }
}

proptest! {
    #![proptest_config(settings())]

    /// A first start, killed somewhere; things stolen; then another configuration, and yet another.
    #[test]
    fn no_change_leaves_a_hole_or_touches_what_is_not_ours(
        (mut scenes, mut kernel, others, killed, booty) in family().prop_flat_map(|family| (
            [scene(family), scene(family), scene(family)],
            others(),
            others(),
            0..30usize,
            vec(any::<Index>(), 0..3),
        ))
    ) {
        let family = scenes[0].family;
        play(&mut kernel, &mut scenes[0], killed);
        rob(&mut kernel, &booty);
        for at in 1..scenes.len() {
            scenes[at].tables = scenes[at - 1].tables.clone();
            let wanted = play(&mut kernel, &mut scenes[at], usize::MAX);
            prop_assert_eq!(planned(&kernel, family, &wanted), []);
            prop_assert_eq!(differing(&kernel, family, &wanted), 0);
            prop_assert!(!is_jumped_over(&kernel, family));
            // Others add theirs behind ours.
            let rules = others.rules.iter().filter(|rule| rule.selector == Selector::Foreign);
            kernel.rules.extend(rules.cloned());
        }
    }

    /// What a version before the `goto`, or one after it, has left, whole or not.
    #[test]
    fn the_former_layout_is_taken_over_without_a_hole(
        (mut scenes, mut kernel, stolen, killed, jumps) in family().prop_flat_map(|family| (
            [scene(family), scene(family)],
            others(),
            vec(any::<Index>(), 0..3),
            0..60usize,
            any::<bool>(),
        ))
    ) {
        let family = scenes[0].family;
        // With one, the rule for specific routes, when it was stolen, is there before what precedes that.
        kernel.routes.retain(|route| route.kind != RouteKind::Other);
        scenes[1].yields = false; // else what the rules of old lead to may change before they go
        scenes[0].addresses.clear();
        kernel.routes.extend(scenes[0].wanted().routes);
        let mut former = if jumps {
            rules_for_own_addresses(&mut scenes[0])
        } else {
            former_rules(&mut scenes[0])
        };
        for index in stolen {
            if !former.is_empty() {
                former.remove(index.index(former.len()));
            }
        }
        kernel.rules.extend(former);
        scenes[1].tables = scenes[0].tables.clone();
        play(&mut kernel, &mut scenes[1], killed);
        let wanted = play(&mut kernel, &mut scenes[1], usize::MAX);
        prop_assert_eq!(planned(&kernel, family, &wanted), []);
        prop_assert_eq!(differing(&kernel, family, &wanted), 0);
    }

    /// Some routes and rules are refused: what does not rely on them is done all the same; and they are, too, in the end.
    #[test]
    fn what_is_refused_holds_nothing_else_up(
        (mut scenes, mut kernel, refuses, killed) in family().prop_flat_map(|family| (
            [scene(family), scene(family), scene(family)],
            others(),
            [refuses(family), refuses(family)],
            0..60usize,
        ))
    ) {
        let family = scenes[0].family;
        let mut refuses = refuses.into_iter();
        // With one, an old rule that stays because its successor is refused may lead to it.
        kernel.routes.retain(|route| route.kind != RouteKind::Other);
        let in_main = best_of_others(&kernel.routes, family, TABLE_MAIN).is_some();
        for scene in &mut scenes {
            scene.yields &= in_main; // to what prevails there
        }
        play(&mut kernel, &mut scenes[0], killed);
        for at in 1..scenes.len() {
            scenes[at].tables = scenes[at - 1].tables.clone();
            kernel.refuses = refuses.next().unwrap_or_default();
            let wanted = play(&mut kernel, &mut scenes[at], usize::MAX);
            assert_converged(&kernel, &scenes[at], &wanted);
            for change in planned(&kernel, family, &wanted) {
                prop_assert!(kernel.refuses.change(&change), "{change:?} comes late");
            }
        }
        kernel.refuses = Refuses::default();
        let wanted = play(&mut kernel, &mut scenes[2], usize::MAX);
        prop_assert_eq!(planned(&kernel, family, &wanted), []);
        prop_assert_eq!(differing(&kernel, family, &wanted), 0);
    }

    /// The plan alone changes: only what the order of the hops asks for.
    #[test]
    fn a_swap_changes_the_swap_table_and_marks_alone(
        (mut scene, mut kernel, order) in family().prop_flat_map(|family| (
            scene(family),
            others(),
            Just([0u8, 1, 2, 3]).prop_shuffle(),
        ))
    ) {
        let all: Vec<u8> = order.into_iter().filter(|&s| usize::from(s) < scene.uplinks.len()).collect();
        scene.order(&all);
        play(&mut kernel, &mut scene, usize::MAX);
        // One that several have changes its provider.
        let list = scene.delegated.list.clone();
        let of_one = |(_, prefix): &(Slot, Prefix)| list.iter().filter(|(_, p)| p == prefix).count() == 1;
        scene.delegated.list.retain(of_one);
        play(&mut kernel, &mut scene, usize::MAX);
        scene.plan.order.reverse();
        scene.foreign = kernel.routes.clone();
        scene.rules = kernel.rules.clone();
        let wanted = scene.wanted();
        let follows = |rule: &Rule| {
            let slot = rule.pref.checked_sub(pref::OUT).and_then(|slot| u8::try_from(slot).ok());
            let provider = slot.and_then(|slot| scene.config.at(Slot(slot)));
            provider.is_some_and(|p| p.connections == Connections::Follow)
        };
        // Of providers with one address, the first has its gateway by a rule of its own.
        let first = scene.config.globals.rule_pref;
        let twins = |rule: &Rule| {
            let own = scene.uplinks.iter().filter_map(|uplink| uplink.address);
            let is_its = |own: &IpAddr| {
                matches!(rule.selector, Selector::OwnFrom(of) if of.address() == (*own).into())
            };
            rule.pref < first && own.filter(is_its).count() > 1
        };
        for change in planned(&kernel, scene.family, &wanted) {
            match &change {
                // Those in `main` precede one that refuses there.
                Change::SetRoute(route) => {
                    prop_assert!([scene.config.globals.table, TABLE_MAIN].contains(&route.table));
                }
                Change::AddRule(rule) | Change::DeleteRule(rule) if follows(rule) || twins(rule) => {}
                _ => panic!("{change:?}"),
            }
            kernel.carry_out(&change);
        }
        prop_assert_eq!(differing(&kernel, scene.family, &wanted), 0);
    }

    /// Whatever stands under our protocol is put right, and others' routes of the same metric live.
    #[test]
    fn debris_is_cleared(
        (mut scene, mut kernel, debris) in family().prop_flat_map(|family| (
            scene(family), others(), debris(family),
        ))
    ) {
        let family = scene.family;
        kernel.routes.extend(debris);
        let foreign = kernel.foreign();
        scene.foreign = kernel.routes.clone();
        scene.rules = kernel.rules.clone();
        let wanted = scene.wanted();
        for change in planned(&kernel, family, &wanted) {
            kernel.carry_out(&change);
            prop_assert_eq!(kernel.foreign(), foreign.clone());
        }
        prop_assert_eq!(differing(&kernel, family, &wanted), 0);
        prop_assert_eq!(planned(&kernel, family, &wanted), []);
    }

    /// A clean stop, from the middle of anything: nothing of ours stays, and traffic falls once.
    #[test]
    fn removal_leaves_the_others_alone(
        (mut scene, mut kernel, killed) in family().prop_flat_map(|family| (
            scene(family), others(), 0..40usize,
        ))
    ) {
        play(&mut kernel, &mut scene, killed);
        assert_removed(kernel, scene.family);
    }
}

/// Others have a default in our swap table, one in `main`, and one there that refuses, which ours precede in turn.
#[test]
fn removal_leaves_traffic_with_others_that_has_never_been_ours() {
    for family in Family::ALL {
        for (unreachable, theirs) in [(false, true), (true, false)] {
            let (mut kernel, mut scene) = (Kernel::default(), Scene::of(family, 1));
            scene.plan.order[0].usable = false;
            scene.plan.unreachable = unreachable;
            if theirs {
                kernel.routes.push(foreign_default(family, 176, 50));
            }
            let leading = foreign_default(family, TABLE_MAIN, 100);
            let refusing = Route {
                kind: RouteKind::Other,
                device: 0,
                gateway: None,
                ..foreign_default(family, TABLE_MAIN, 103)
            };
            kernel.routes.extend([leading, refusing]);
            play(&mut kernel, &mut scene, usize::MAX);
            let has = kernel.look_up(family, &Packet::default());
            assert_ne!(has, Answer::Device(1));
            let in_main = kernel.best(TABLE_MAIN, family).unwrap();
            assert!(in_main.metric < leading.metric);
            assert_removed(kernel.clone(), family);
            removal(
                family,
                &kernel.clone().routes,
                &kernel.clone().rules,
                &mut |change| {
                    kernel.carry_out(&change);
                    let answer = kernel.look_up(family, &Packet::default());
                    assert!(
                        answer == has || answer == Answer::Device(99),
                        "after {change:?}"
                    );
                    true
                },
            );
        }
    }
}

/// The kernel has refused the rules that the swap table `main` asked for. A reload names another one, and what others have in
/// `main` prevails then. What others have in that table led so far: ours in `main` never lead in between.
#[test]
fn traffic_falls_past_ours_in_main_onto_a_manual_default() {
    for family in Family::ALL {
        let (mut kernel, mut scene) = (Kernel::default(), Scene::of(family, 1));
        let manual = Route {
            device: 98,
            ..foreign_default(family, TABLE_MAIN, 50)
        };
        kernel.routes = vec![foreign_default(family, 176, 1), manual];
        play(&mut kernel, &mut scene, usize::MAX);
        kernel.refuses.rules = vec![Selector::All];
        scene.config.globals.table = TABLE_MAIN;
        scene.config.globals.start_metric = Metric(10);
        scene.plan.unreachable = true;
        play(&mut kernel, &mut scene, usize::MAX);
        kernel.refuses = Refuses::default();
        assert_eq!(
            kernel.look_up(family, &Packet::default()),
            Answer::Device(99)
        );
        assert_eq!(kernel.best(TABLE_MAIN, family).unwrap().device, 1);
        scene.config.globals.table = 176;
        scene.config.globals.start_metric = Metric(100);
        scene.plan.unreachable = false;
        scene.yields = true;
        play(&mut kernel, &mut scene, usize::MAX);
        assert_eq!(
            kernel.look_up(family, &Packet::default()),
            Answer::Device(98)
        );
    }
}
