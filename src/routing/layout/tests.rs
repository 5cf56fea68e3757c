//! The layout of small scenes, spelt out.

use std::vec::Vec;

use super::fixture::{Scene, address, foreign_default, own};
use super::*;
use crate::config::RtTable;
use crate::limits::PREFIX_RULES_MAX;
use crate::types::{Mark, Waiting};

const MAIN: u32 = TABLE_MAIN;

/// A route in the form of `ip route`, without what is the same for all.
fn tell(route: &Route) -> String {
    let mut line = format!("{}: {}", route.table, route.destination);
    if let Some(gateway) = route.gateway {
        line += &format!(" via {gateway}");
    }
    line += &format!(" dev {} metric {}", route.device, route.metric);
    if let Some(source) = route.source {
        line += &format!(" src {source}");
    }
    line + if route.onlink { " onlink" } else { "" }
}

fn tell_rule(rule: &Rule) -> String {
    let verdict = match rule.verdict {
        RuleVerdict::Lookup(table) => format!("lookup {table}"),
        RuleVerdict::LookupSpecific(table) => format!("lookup {table} specific"),
        RuleVerdict::Goto(target) => format!("goto {target}"),
        RuleVerdict::Unreachable => "unreachable".to_owned(),
        RuleVerdict::Foreign => panic!("never ours"),
    };
    let selector = match &rule.selector {
        Selector::All => String::new(),
        Selector::Mark(mark) => format!("fwmark {:#x}/{:#x} ", mark.value, mark.mask),
        Selector::OwnFrom(prefix) => format!("iif lo from {prefix} "),
        Selector::OwnTo(prefix) => format!("iif lo to {prefix} "),
        Selector::Oif(device) => format!("oif {device} "),
        Selector::From(prefix) => format!("from {prefix} "),
        Selector::Foreign => panic!("never ours"),
    };
    format!("{}: {selector}{verdict}", rule.pref)
}

fn routes(wanted: &Wanted) -> Vec<String> {
    wanted.routes.iter().map(tell).collect()
}

fn rules(wanted: &Wanted) -> Vec<String> {
    wanted.rules.iter().map(tell_rule).collect()
}

/// The metrics of the table's default routes, with the device of each.
fn defaults(wanted: &Wanted, table: u32) -> Vec<(u32, u32)> {
    let ours = wanted.routes.iter().filter(|r| r.table == table);
    ours.filter(|r| r.destination.prefix_len() == 0)
        .map(|r| (r.metric.0, r.device))
        .collect()
}

#[test]
fn two_providers_in_ipv4() {
    let wanted = Scene::of(Family::V4, 2).wanted();
    assert_eq!(
        routes(&wanted),
        [
            "176: 0.0.0.0/0 via 192.0.2.1 dev 1 metric 100 src 192.0.2.2",
            "176: 0.0.0.0/0 via 192.0.2.5 dev 2 metric 101 src 192.0.2.6",
            "17601: 192.0.2.1/32 dev 1 metric 176 src 192.0.2.2",
            "17601: 0.0.0.0/0 via 192.0.2.1 dev 1 metric 176 src 192.0.2.2",
            "17602: 192.0.2.5/32 dev 2 metric 176 src 192.0.2.6",
            "17602: 0.0.0.0/0 via 192.0.2.5 dev 2 metric 176 src 192.0.2.6",
        ]
    );
    assert_eq!(
        rules(&wanted),
        [
            "17600: lookup 254 specific",
            "17601: fwmark 0x1/0xff lookup 17601",
            "17602: fwmark 0x2/0xff lookup 17602",
            "17900: iif lo from 192.0.2.2/32 lookup 17601",
            "17916: iif lo from 192.0.2.6/32 lookup 17602",
            "18930: oif eth1 lookup 17601",
            "18931: oif eth2 lookup 17602",
            "33900: lookup 176",
            "33901: lookup 254",
            "33902: lookup 253",
            "32800: lookup 254 specific",
            "32765: goto 32800",
        ]
    );
}

#[test]
fn one_provider_in_ipv6_has_no_source_in_its_routes() {
    let mut scene = Scene::of(Family::V6, 1);
    scene.uplinks[0].onlink = true;
    let wanted = scene.wanted();
    assert_eq!(
        routes(&wanted),
        [
            "176: ::/0 via 2001:db8::1 dev 1 metric 100 onlink",
            "17601: ::/0 via 2001:db8::1 dev 1 metric 176 onlink",
        ]
    );
    let rules = rules(&wanted);
    assert_eq!(rules[2], "17900: iif lo from 2001:db8::2/128 lookup 17601");
    assert!(!rules.iter().any(|rule| rule.contains("lookup 253")));
}

#[test]
fn the_plan_orders_the_swap_table_and_steers_the_marks() {
    let mut scene = Scene::of(Family::V4, 3);
    scene.order(&[2, 0, 1]);
    scene.plan.order[2].usable = false;
    let wanted = scene.wanted();
    assert_eq!(defaults(&wanted, 176), [(100, 3), (101, 1), (102, 2)]);
    let marks: Vec<_> = rules(&wanted)
        .into_iter()
        .filter(|r| r.contains("fwmark"))
        .collect();
    assert_eq!(
        marks,
        [
            "17603: fwmark 0x3/0xff lookup 17603",
            "17601: fwmark 0x1/0xff lookup 17601"
        ]
    );
}

#[test]
fn a_point_to_point_device_needs_no_gateway() {
    let mut scene = Scene::of(Family::V4, 1);
    scene.uplinks[0].direct = true;
    scene.uplinks[0].onlink = true;
    scene.uplinks[0].network = None;
    assert_eq!(
        routes(&scene.wanted()),
        [
            "176: 0.0.0.0/0 dev 1 metric 100 src 192.0.2.2",
            "17601: 0.0.0.0/0 dev 1 metric 176 src 192.0.2.2",
        ]
    );
}

#[test]
fn no_policy_table_means_bound_sockets_use_the_swap_table() {
    let mut scene = Scene::of(Family::V4, 1);
    scene.config.providers[0].rt_table = RtTable::None;
    let wanted = scene.wanted();
    assert_eq!(wanted.routes.len(), 1);
    assert_eq!(
        rules(&wanted),
        [
            "17600: lookup 254 specific",
            "18930: oif eth1 lookup 176",
            "33900: lookup 176",
            "33901: lookup 254",
            "33902: lookup 253",
            "32800: lookup 254 specific",
            "32765: goto 32800",
        ]
    );
}

#[test]
fn the_main_table_needs_no_rule_of_its_own() {
    let mut scene = Scene::of(Family::V4, 1);
    scene.config.globals.table = MAIN;
    scene.config.globals.rule_pref = 1000;
    scene.config.providers[0].rt_table = RtTable::None;
    let wanted = scene.wanted();
    assert_eq!(defaults(&wanted, MAIN), [(100, 1)]);
    assert_eq!(
        rules(&wanted),
        [
            "1000: lookup 254 specific",
            "2330: oif eth1 lookup 254",
            "33901: lookup 254",
            "33902: lookup 253",
            "32800: lookup 254 specific",
            "32765: goto 32800",
        ]
    );
}

#[test]
fn refusing_comes_after_the_bound_sockets_rules() {
    let mut scene = Scene::of(Family::V4, 1);
    scene.plan.unreachable = true;
    let rules = rules(&scene.wanted());
    let last = &rules[rules.len() - 6..][..3];
    assert_eq!(
        last,
        [
            "18930: oif eth1 lookup 17601",
            "33900: unreachable",
            "33901: lookup 254"
        ]
    );
}

#[test]
fn a_lost_uplink_keeps_its_rules_but_no_routes() {
    let mut scene = Scene::of(Family::V4, 2);
    scene.uplinks[0].index = 0;
    scene.uplinks[0].address = None;
    let wanted = scene.wanted();
    assert_eq!(defaults(&wanted, 176), [(100, 2)]);
    let rules = rules(&wanted);
    assert!(rules.contains(&"18930: oif eth1 lookup 17601".to_owned()));
    assert!(!rules.iter().any(|r| r.starts_with("17601:")), "{rules:?}");
}

#[test]
fn a_device_that_another_has_is_no_sign_of_a_path() {
    let mut scene = Scene::of(Family::V4, 2);
    scene.uplinks[1].device = "eth1".try_into().unwrap();
    scene.uplinks[1].waiting = Some(Waiting::DeviceTaken(Slot(0)));
    scene.uplinks[1].routable = false;
    let rules = rules(&scene.wanted());
    assert_eq!(rules.iter().filter(|r| r.contains("oif")).count(), 1);
    assert_eq!(rules.iter().filter(|r| r.contains("from")).count(), 1);
}

#[test]
fn a_shared_address_tells_no_path() {
    let mut scene = Scene::of(Family::V4, 3);
    scene.uplinks[1].address = scene.uplinks[0].address;
    let from = |wanted: &Wanted| -> Vec<String> {
        let rules = rules(wanted).into_iter();
        rules.filter(|r| r.contains("from")).collect()
    };
    let third = "17932: iif lo from 192.0.2.10/32 lookup 17603";
    assert_eq!(from(&scene.wanted()), [third]);

    scene.uplinks[1].routable = false;
    let first = "17900: iif lo from 192.0.2.2/32 lookup 17601";
    assert_eq!(from(&scene.wanted()), [first, third]);
}

#[test]
fn while_everything_is_refused_every_own_address_has_a_way_back() {
    let mut scene = Scene::of(Family::V4, 4);
    scene.plan.unreachable = true;
    scene.uplinks[1].address = scene.uplinks[0].address;
    scene.config.providers[2].rt_table = RtTable::None;
    let from = |wanted: &Wanted| -> Vec<String> {
        let rules = rules(wanted).into_iter();
        rules.filter(|r| r.contains("from")).collect()
    };
    let last = "17948: iif lo from 192.0.2.14/32 lookup 17604";
    let into_the_swap_table = [
        "17900: iif lo from 192.0.2.2/32 lookup 176",
        "17916: iif lo from 192.0.2.2/32 lookup 176",
        "17932: iif lo from 192.0.2.10/32 lookup 176",
        last,
    ];
    assert_eq!(from(&scene.wanted()), into_the_swap_table);
    scene.plan.unreachable = false;
    assert_eq!(from(&scene.wanted()), [last]);
}

#[test]
fn link_local_addresses_tell_no_path() {
    let mut scene = Scene::of(Family::V6, 1);
    scene.uplinks[0].address = Some("fe80::2".parse().unwrap());
    assert!(!rules(&scene.wanted()).iter().any(|r| r.contains("from")));
}

#[test]
fn foreign_routes_push_ours_on_and_are_reported() {
    let mut scene = Scene::of(Family::V4, 3);
    scene.foreign = vec![
        foreign_default(Family::V4, 176, 101),
        foreign_default(Family::V4, 176, 102),
        foreign_default(Family::V4, 177, 100),
        foreign_default(Family::V6, 176, 100),
    ];
    let wanted = scene.wanted();
    assert_eq!(defaults(&wanted, 176), [(100, 1), (103, 2), (104, 3)]);
    let taken = |metric| Taken {
        table: 176,
        metric: Metric(metric),
    };
    assert_eq!(wanted.taken, [taken(101), taken(102)]);
}

#[test]
fn a_source_specific_route_counts_as_foreign_too() {
    let mut scene = Scene::of(Family::V6, 1);
    let mut specific = foreign_default(Family::V6, 176, 100);
    specific.from = Some(only(own(Family::V6, 0, 7)));
    scene.foreign = vec![specific];
    assert_eq!(defaults(&scene.wanted(), 176), [(101, 1)]);
}

#[test]
fn a_policy_table_given_by_hand_may_hold_foreign_routes() {
    let mut scene = Scene::of(Family::V4, 1);
    scene.config.providers[0].rt_table = RtTable::Id(201);
    scene.foreign = vec![foreign_default(Family::V4, 201, POLICY_METRIC.0)];
    assert_eq!(defaults(&scene.wanted(), 201), [(177, 1)]);
}

#[test]
fn two_who_were_given_one_table_do_not_fight_for_its_first_place() {
    let mut scene = Scene::of(Family::V4, 2);
    for provider in &mut scene.config.providers {
        provider.rt_table = RtTable::Id(201);
    }
    assert_eq!(defaults(&scene.wanted(), 201), [(176, 1), (177, 2)]);
    scene.order(&[1, 0]);
    assert_eq!(defaults(&scene.wanted(), 201), [(176, 1), (177, 2)]);
}

#[test]
fn ipv6_metrics_keep_off_0_and_off_1024_in_main() {
    let mut scene = Scene::of(Family::V6, 2);
    scene.config.globals.start_metric = Metric(0);
    assert_eq!(defaults(&scene.wanted(), 176), [(1, 1), (2, 2)]);
    scene.config.globals.start_metric = Metric(1023);
    assert_eq!(defaults(&scene.wanted(), 176), [(1023, 1), (1024, 2)]);
    scene.config.globals.table = MAIN;
    assert_eq!(defaults(&scene.wanted(), MAIN), [(1023, 1), (1025, 2)]);
    assert!(scene.wanted().taken.is_empty());

    let mut scene = Scene::of(Family::V4, 1);
    scene.config.globals.start_metric = Metric(0);
    assert_eq!(defaults(&scene.wanted(), 176), [(0, 1)]);
}

#[test]
fn metrics_end_where_numbers_end() {
    let mut scene = Scene::of(Family::V4, 3);
    scene.config.globals.start_metric = Metric(u32::MAX - 1);
    let metrics = [(u32::MAX - 1, 1), (u32::MAX, 2)];
    assert_eq!(defaults(&scene.wanted(), 176), metrics);
}

#[test]
fn a_family_without_checks_is_left_alone() {
    let mut scene = Scene::of(Family::V4, 2);
    scene.config.checks[0].family = Family::V6;
    assert_eq!(scene.wanted(), Wanted::new());
}

#[test]
fn everything_fits() {
    let mut scene = Scene::of(Family::V4, 64);
    scene.plan.unreachable = true;
    scene.marks = Some(MarkMask::USUAL);
    scene.foreign.push(Route {
        kind: RouteKind::Other,
        ..foreign_default(Family::V4, MAIN, 5000)
    });
    scene.rules.retain(|rule| rule.pref != 0);
    for number in 64..192 {
        for host in [2, 3] {
            let single = only(own(Family::V4, number, host));
            scene
                .addresses
                .push(address(u32::from(number) % 64 + 1, single));
        }
    }
    for number in 0..150 {
        let resolver = own(Family::V4, number / 4, number % 4);
        scene.resolvers.push((Slot(number % 64), resolver));
    }
    let wanted = scene.wanted();
    assert_eq!(wanted.routes.len(), ROUTES_WANTED_MAX);
    assert_eq!(wanted.rules.len(), RULES_WANTED_MAX - PREFIX_RULES_MAX);
    let mut scene = Scene::of(Family::V6, 64);
    for number in 0..PREFIX_RULES_MAX {
        let slot = u8::try_from(number / 15).unwrap();
        delegate(&mut scene, slot, &format!("2001:db8:{number:x}::/56"));
    }
    assert_eq!(of_prefixes(&mut scene).len(), PREFIX_RULES_MAX);
}

#[test]
fn a_mark_needs_a_table() {
    let mut scene = Scene::of(Family::V4, 1);
    scene.config.providers[0].mark = Some(Mark { value: 1, mask: 1 });
    scene.config.providers[0].rt_table = RtTable::None;
    assert!(!rules(&scene.wanted()).iter().any(|r| r.contains("fwmark")));
}

/// The rules for marks, in the order of preference.
fn marked(scene: &mut Scene) -> Vec<String> {
    let mut rules = scene.wanted().rules;
    rules.retain(|rule| matches!(rule.selector, Selector::Mark(_)));
    rules.sort_by_key(|rule| rule.pref);
    rules.iter().map(tell_rule).collect()
}

#[test]
fn connections_have_rules_only_while_they_are_marked() {
    for family in Family::ALL {
        let mut scene = Scene::of(family, 2);
        let own = [
            "17601: fwmark 0x1/0xff lookup 17601",
            "17602: fwmark 0x2/0xff lookup 17602",
        ];
        assert_eq!(marked(&mut scene), own);
        scene.marks = Some(MarkMask::USUAL);
        let connections = [
            "17665: fwmark 0x81000000/0xff000000 lookup 17601",
            "17666: fwmark 0x82000000/0xff000000 lookup 17602",
            "32801: fwmark 0x1000000/0xff000000 lookup 17601",
            "32802: fwmark 0x2000000/0xff000000 lookup 17602",
        ];
        assert_eq!(marked(&mut scene), [&own[..], &connections].concat());
        scene.config.globals.answers = false;
        assert_eq!(marked(&mut scene), [&own[..], &connections[2..]].concat());
        for provider in &mut scene.config.providers {
            provider.rt_table = RtTable::None;
        }
        scene.config.globals.answers = true;
        assert_eq!(marked(&mut scene), [""; 0]);
    }
}

/// What came by a path is answered by it, usable or not; what left by it stays while it is usable.
#[test]
fn what_left_by_a_path_stays_while_it_is_usable() {
    let mut scene = Scene::of(Family::V4, 3);
    scene.marks = MarkMask::new(0xff00);
    let outbound = |scene: &mut Scene| -> Vec<u32> {
        let rules = scene.wanted().rules;
        let prefs = rules.iter().map(|rule| rule.pref);
        let mut prefs: Vec<u32> = prefs.filter(|pref| (32801..32865).contains(pref)).collect();
        prefs.sort_unstable();
        prefs
    };
    let inbound = |scene: &mut Scene| {
        marked(scene)
            .into_iter()
            .filter(|r| r.contains("0x8"))
            .count()
    };
    assert_eq!(
        (outbound(&mut scene), inbound(&mut scene)),
        (vec![32801, 32802, 32803], 3)
    );
    scene.plan.order[1].usable = false;
    assert_eq!(
        (outbound(&mut scene), inbound(&mut scene)),
        (vec![32801, 32803], 3)
    );
    scene.uplinks[2].gateway = None;
    assert_eq!(
        (outbound(&mut scene), inbound(&mut scene)),
        (vec![32801], 2)
    );
    scene.yields = true;
    assert_eq!(outbound(&mut scene), [32801], "not reached, but there");
}

#[test]
fn connections_that_do_not_stay_have_no_rule() {
    use crate::config::Connections;
    let mut scene = Scene::of(Family::V6, 3);
    (scene.marks, scene.handed_over) = (Some(MarkMask::USUAL), 0b010);
    let outbound = |scene: &mut Scene| -> Vec<String> {
        let rules = marked(scene).into_iter();
        rules
            .filter(|rule| rule.starts_with("328"))
            .map(|rule| rule[..5].to_owned())
            .collect()
    };
    scene.config.providers[1].connections = Connections::AtMost(crate::types::Duration::ZERO);
    scene.config.providers[2].connections = Connections::Follow;
    assert_eq!(outbound(&mut scene), ["32801"]);
    scene.handed_over = 0;
    assert_eq!(outbound(&mut scene), ["32801", "32802"]);
    scene.order(&[2, 1, 0]);
    assert_eq!(
        outbound(&mut scene),
        ["32801", "32802", "32803"],
        "it leads"
    );
    scene.config.providers[0].connections = Connections::Off;
    assert_eq!(outbound(&mut scene), ["32802", "32803"]);
}

#[test]
fn connections_stay_while_no_provider_works() {
    use crate::config::Connections;
    let mut scene = Scene::of(Family::V4, 4);
    (scene.marks, scene.live) = (Some(MarkMask::USUAL), 0b1101);
    scene.config.providers[2].connections = Connections::Follow;
    scene.config.providers[3].connections = Connections::Off;
    for hop in &mut scene.plan.order {
        hop.usable = false;
    }
    let outbound = |scene: &mut Scene| -> Vec<u32> {
        let rules = scene.wanted().rules;
        let prefs = rules.iter().map(|rule| rule.pref);
        prefs.filter(|pref| (32801..32865).contains(pref)).collect()
    };
    assert_eq!(
        outbound(&mut scene),
        [0_u32; 0],
        "the first is disabled, but works"
    );
    scene.plan.none_works = true;
    assert_eq!(outbound(&mut scene), [32801, 32803]);
    scene.plan.unreachable = true;
    assert_eq!(
        outbound(&mut scene),
        [0_u32; 0],
        "what is refused is refused"
    );
}

/// What the policy table of the only provider leads to besides everything.
fn without_gateway(scene: &mut Scene) -> Option<String> {
    let routes = scene.wanted().routes;
    let mut others = routes.iter().filter(|r| r.destination.prefix_len() != 0);
    let only = others.next();
    assert!(only.is_none_or(|r| (r.table, r.gateway) == (17601, None)));
    assert_eq!(others.next(), None);
    only.map(|r| r.destination.to_string())
}

#[test]
fn a_configured_network_is_masked_and_everything_is_no_network() {
    let of = |network: &str| {
        let (address, length) = network.split_once('/').unwrap();
        let address: IpAddr = address.parse().unwrap();
        let mut scene = Scene::of(Family::of(address), 1);
        let network = Prefix::new(address.into(), length.parse().unwrap());
        scene.config.providers[0].network[scene.family] = Some(network);
        without_gateway(&mut scene)
    };
    assert_eq!(of("192.0.2.77/26").as_deref(), Some("192.0.2.64/26"));
    assert_eq!(of("192.0.2.77/32").as_deref(), Some("192.0.2.77/32"));
    assert_eq!(of("2001:db8::ff/60").as_deref(), Some("2001:db8::/60"));
    assert_eq!(of("0.0.0.0/0"), None);
    assert_eq!(of("::/0"), None);
}

#[test]
fn a_gateway_needs_a_way_in_its_table_unless_it_is_on_the_link() {
    let of = |family, gateway: &str, onlink| {
        let mut scene = Scene::of(family, 1);
        scene.uplinks[0].gateway = Some(gateway.parse().unwrap());
        scene.uplinks[0].onlink = onlink;
        without_gateway(&mut scene)
    };
    let (v4, v6) = ("192.0.2.1", "2001:db8::1");
    assert_eq!(of(Family::V4, v4, false).as_deref(), Some("192.0.2.1/32"));
    assert_eq!(
        of(Family::V6, v6, false).as_deref(),
        Some("2001:db8::1/128")
    );
    assert_eq!(of(Family::V4, v4, true), None);
    assert_eq!(of(Family::V6, v6, true), None);
    assert_eq!(of(Family::V6, "fe80::1", false), None);
    assert_eq!(of(Family::V4, "fe80::1", false), None);
    assert_eq!(of(Family::V4, v6, false), None);
}

#[test]
fn only_a_better_plain_route_overrides() {
    let mut specific = foreign_default(Family::V6, 254, 1);
    specific.from = Some(only(own(Family::V6, 0, 7)));
    let routes = [
        specific,
        foreign_default(Family::V6, 254, 100),
        foreign_default(Family::V6, 254, 7),
        foreign_default(Family::V6, 254, 9),
        foreign_default(Family::V6, 176, 5),
    ];
    let over = |best| overridden_by(&routes, Family::V6, 254, Metric(best));
    assert_eq!(over(100), Some(Metric(7)));
    assert_eq!(over(7), None);
}

#[test]
fn a_manual_default_has_nothing_before_it() {
    let mut scene = Scene::of(Family::V4, 1);
    let lead = rules(&scene.wanted());
    scene.yields = true;
    let mut yields = rules(&scene.wanted());
    yields.push("32765: goto 32800".to_owned());
    assert_eq!(yields, lead);
}

#[test]
fn the_kernels_own_last_table_is_looked_up_where_it_was() {
    let mut scene = Scene::of(Family::V4, 1);
    let last = |scene: &mut Scene| rules(&scene.wanted()).contains(&"33902: lookup 253".to_owned());
    assert!(last(&mut scene));
    scene.rules.retain(|rule| rule.pref != 32767);
    assert!(!last(&mut scene));
}

/// The rules for delegated prefixes.
fn of_prefixes(scene: &mut Scene) -> Vec<String> {
    let mut all = rules(&scene.wanted());
    all.retain(|rule| rule.contains(": from "));
    all
}

fn delegate(scene: &mut Scene, slot: u8, prefix: &str) {
    let entry = (Slot(slot), prefix.parse().unwrap());
    scene.delegated.list.push(entry).unwrap();
}

#[test]
fn a_delegated_prefix_leads_to_its_provider_while_that_works() {
    let mut scene = Scene::of(Family::V6, 3);
    delegate(&mut scene, 0, "2001:db8:100::/56");
    delegate(&mut scene, 0, "2001:db8:200::/56");
    delegate(&mut scene, 2, "2001:db8:300::/60");
    let first = [
        "32900: from 2001:db8:100::/56 lookup 17601",
        "32900: from 2001:db8:200::/56 lookup 17601",
    ];
    let third = "32930: from 2001:db8:300::/60 lookup 17603";
    assert_eq!(of_prefixes(&mut scene), [&first[..], &[third]].concat());
    // Whichever leads.
    scene.order(&[2, 1, 0]);
    assert_eq!(of_prefixes(&mut scene), [&[third], &first[..]].concat());
    scene.plan.order[0].usable = false;
    assert_eq!(of_prefixes(&mut scene), first);
    // Behind the rules of others, and before the order of the providers.
    assert!((pref::ANCHOR..pref::SWAP).contains(&(pref::PREFIX + 63 * PREFIXES_APART)));
    // The volume of a metered line is not for hosts that happen to have its addresses.
    scene.config.providers[0].metered = true;
    assert!(of_prefixes(&mut scene).is_empty());
    scene.config.providers[0].metered = false;
    scene.config.providers[0].rt_table = RtTable::None;
    assert!(of_prefixes(&mut scene).is_empty());
    scene.config.providers[0].rt_table = RtTable::Auto;
    scene.uplinks[0].routable = false;
    assert!(of_prefixes(&mut scene).is_empty());
    assert!(of_prefixes(&mut Scene::of(Family::V6, 3)).is_empty());
}

#[test]
fn a_prefix_of_two_providers_leads_to_the_better_one() {
    let mut scene = Scene::of(Family::V6, 2);
    for slot in [0, 1] {
        delegate(&mut scene, slot, "2001:db8:100::/56");
    }
    let by = |slot| {
        format!(
            "{}: from 2001:db8:100::/56 lookup {}",
            32900 + 15 * slot,
            17601 + slot
        )
    };
    assert_eq!(of_prefixes(&mut scene), [by(0)]);
    scene.order(&[1, 0]);
    assert_eq!(of_prefixes(&mut scene), [by(1)]);
    scene.plan.order[0].usable = false;
    assert_eq!(of_prefixes(&mut scene), [by(0)]);
}

#[test]
fn ipv4_has_no_rules_for_prefixes() {
    let mut scene = Scene::of(Family::V4, 2);
    delegate(&mut scene, 0, "2001:db8:100::/56");
    assert!(of_prefixes(&mut scene).is_empty());
}

/// The rules for resolvers.
fn of_resolvers(scene: &mut Scene) -> Vec<String> {
    let mut all = rules(&scene.wanted());
    all.retain(|rule| rule.contains(": iif lo to "));
    all
}

#[test]
fn a_resolver_leads_to_its_provider_while_that_works() {
    let mut scene = Scene::of(Family::V4, 64);
    for (slot, resolver) in [
        (0, "192.0.2.53"),
        (0, "192.0.2.54"),
        (0, "2001:db8::53"),
        (63, "198.51.100.53"),
    ] {
        let one = (Slot(slot), resolver.parse().unwrap());
        scene.resolvers.push(one);
    }
    let first = [
        "17750: iif lo to 192.0.2.53/32 lookup 17601",
        "17750: iif lo to 192.0.2.54/32 lookup 17601",
    ];
    let last = "17813: iif lo to 198.51.100.53/32 lookup 17664";
    assert_eq!(of_resolvers(&mut scene), [&first[..], &[last]].concat());
    // Whichever leads.
    scene.order(&[63, 1, 0]);
    assert_eq!(of_resolvers(&mut scene), [&[last], &first[..]].concat());
    scene.plan.order[0].usable = false;
    assert_eq!(of_resolvers(&mut scene), first);
    scene.config.providers[0].rt_table = RtTable::None;
    assert!(of_resolvers(&mut scene).is_empty());
    scene.config.providers[0].rt_table = RtTable::Auto;
    scene.uplinks[0].routable = false;
    assert!(of_resolvers(&mut scene).is_empty());
    scene.uplinks[0].routable = true;
    assert!(!of_resolvers(&mut scene).is_empty());
    scene.yields = true;
    assert!(of_resolvers(&mut scene).is_empty());
    // Each family by itself.
    let mut in_v6 = Scene::of(Family::V6, 1);
    in_v6.resolvers = scene.resolvers.clone();
    let only = "17750: iif lo to 2001:db8::53/128 lookup 17601";
    assert_eq!(of_resolvers(&mut in_v6), [only]);
}
