//! Prefixes that come, go and change.

use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::config::fixture;
use crate::routing::layout::fixture::foreign_default;
use crate::routing::mirror::{Aside, Object};
use crate::routing::objects::RouteKind;
use crate::types::Waiting;

/// Two providers by the devices 1 and 2, what netifd has for each, and what the kernel has.
struct Scene {
    config: Box<Config>,
    uplinks: Vec<Uplink>,
    routes: Vec<Route>,
    netifd: Vec<Vec<Prefix>>,
    answered: bool,
    delegated: Delegated,
}

impl Scene {
    fn new() -> Scene {
        let mut config: Box<Config> = Box::default();
        let mut uplinks = Vec::new();
        for slot in 0..2 {
            let provider = fixture::provider(&format!("isp{slot}"), slot, "eth1");
            config.providers.push(provider).unwrap();
            uplinks.push(Uplink {
                index: u32::from(slot) + 1,
                ..Uplink::default()
            });
        }
        Scene {
            config,
            uplinks,
            routes: Vec::new(),
            netifd: vec![Vec::new(); 2],
            answered: true,
            delegated: Delegated::new(),
        }
    }

    /// Whether anything has changed. Asked again, nothing has.
    fn fill(&mut self) -> bool {
        let changed = self.fill_once();
        assert!(!self.fill_once());
        changed
    }

    fn fill_once(&mut self) -> bool {
        let (netifd, answered, uplinks) = (&self.netifd, self.answered, &self.uplinks);
        self.delegated.fill(&Told {
            config: &self.config,
            uplink: &|slot| uplinks.get(usize::from(slot.0)),
            idle_device: &|provider| u32::from(provider.slot.0) + 1,
            routes: &self.routes,
            netifd: &|provider, each| {
                let known = netifd.get(usize::from(provider.slot.0));
                known.into_iter().flatten().for_each(|prefix| each(*prefix));
                answered
            },
        })
    }

    fn all(&self) -> Vec<(u8, String)> {
        let all = self.delegated.list.iter();
        all.map(|(slot, prefix)| (slot.0, prefix.to_string()))
            .collect()
    }

    fn of(&self, slot: u8) -> Vec<String> {
        let own = prefixes_of(&self.delegated.list, Slot(slot)).iter();
        own.map(|(_, prefix)| prefix.to_string()).collect()
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// `default from P dev X`, in this table.
fn default_from(from: &str, device: u32, table: u32) -> Route {
    Route {
        device,
        from: Some(prefix(from)),
        ..foreign_default(Family::V6, table, 512)
    }
}

#[test]
fn they_are_learned_from_default_routes_for_one_prefix_in_every_form() {
    let mut scene = Scene::new();
    assert!(!scene.fill());
    let of = |kind, route| Route { kind, ..route };
    scene.routes = vec![
        default_from("2001:db8:2::/56", 2, 100),
        default_from("2001:db8:1::/64", 1, TABLE_MAIN),
        of(
            RouteKind::Hop,
            default_from("2001:db8:3::/80", 1, TABLE_MAIN),
        ),
        of(
            RouteKind::Other,
            default_from("2001:db8:4::/64", 1, TABLE_MAIN),
        ),
        // Twice, by another metric; of a device that is no provider's; for a destination; and ours.
        default_from("2001:db8:1::7/64", 1, 200),
        default_from("2001:db8:5::/64", 3, TABLE_MAIN),
        default_from("2001:db8:5::/64", 0, TABLE_MAIN),
        Route {
            destination: prefix("2001:db8:53::/48"),
            ..default_from("2001:db8:6::/64", 1, TABLE_MAIN)
        },
        Route {
            protocol: PROTOCOL,
            ..default_from("2001:db8:7::/64", 1, TABLE_MAIN)
        },
        foreign_default(Family::V6, TABLE_MAIN, 1),
    ];
    // None of these is for hosts.
    for none in [
        "2001:db8:1::8/128",
        "fe80::/64",
        "fd00:db8::/48",
        "fc00::/7",
        "::/0",
    ] {
        scene.routes.push(default_from(none, 1, TABLE_MAIN));
    }
    assert!(scene.fill());
    assert_eq!(scene.of(0), ["2001:db8:1::/64", "2001:db8:3::/80"]);
    assert_eq!(scene.of(1), ["2001:db8:2::/56"]);
    // In whatever order.
    scene.routes.reverse();
    assert!(!scene.fill());
}

#[test]
fn netifd_tells_them_and_option_prefix_overrides_both() {
    let mut scene = Scene::new();
    scene.netifd[1] = [
        "2001:db8:b::/48",
        "2001:db8:a::1/56",
        "fd00::/48",
        "192.0.2.0/24",
    ]
    .map(prefix)
    .to_vec();
    scene
        .routes
        .push(default_from("2001:db8:c::/64", 2, TABLE_MAIN));
    assert!(scene.fill());
    let learned = ["2001:db8:a::/56", "2001:db8:b::/48", "2001:db8:c::/64"];
    assert_eq!(scene.of(1), learned);
    let given = (Slot(1), prefix("2001:db8:f::/48"));
    scene.config.prefixes.push(given).unwrap();
    assert!(scene.fill());
    assert_eq!(scene.all(), [(1, "2001:db8:f::/48".to_owned())]);
    scene.config.prefixes.clear();
    assert!(scene.fill());
    assert_eq!(scene.of(1), learned);
}

/// Hosts still have addresses of them, which the others drop.
#[test]
fn one_that_is_disabled_or_taken_out_keeps_them() {
    let mut scene = Scene::new();
    scene.netifd[0] = vec![prefix("2001:db8:a::/56")];
    let route = default_from("2001:db8:b::/56", 2, TABLE_MAIN);
    scene.routes.push(route);
    assert!(scene.fill());
    let before = scene.all();
    for provider in &mut scene.config.providers {
        provider.enabled = false;
    }
    // Netifd is not asked about it, and there is no uplink.
    scene.netifd[0].clear();
    scene.uplinks.clear();
    assert!(!scene.fill());
    assert_eq!(scene.all(), before);
    // What is told is followed.
    scene.routes[0].from = Some(prefix("2001:db8:c::/56"));
    assert!(scene.fill());
    assert_eq!(scene.of(1), ["2001:db8:c::/56"]);
    let given = (Slot(0), prefix("2001:db8:f::/48"));
    scene.config.prefixes.push(given).unwrap();
    assert!(scene.fill());
    assert_eq!(scene.of(0), ["2001:db8:f::/48"]);
    let before = scene.all();
    scene.config.prefixes.clear();
    scene.config.providers.clear();
    assert!(!scene.fill());
    assert_eq!(scene.all(), before);
}

#[test]
fn one_that_is_renumbered_goes_and_others_stay_where_they_are() {
    let mut scene = Scene::new();
    for (slot, text) in [
        (0, "2001:db8:1::/56"),
        (0, "2001:db8:2::/56"),
        (1, "2001:db8:3::/56"),
    ] {
        scene.netifd[slot].push(prefix(text));
    }
    assert!(scene.fill());
    scene.netifd[0] = vec![prefix("2001:db8:9::/56"), prefix("2001:db8:2::/56")];
    assert!(scene.fill());
    assert_eq!(scene.of(0), ["2001:db8:2::/56", "2001:db8:9::/56"]);
    assert_eq!(scene.of(1), ["2001:db8:3::/56"]);
    scene.netifd[0].clear();
    assert!(scene.fill());
    assert_eq!(scene.all(), [(1, "2001:db8:3::/56".to_owned())]);
}

/// The device of a PPP line goes, and its routes and netifd's word with it: hosts keep their addresses for a while, and
/// what they send must be known for what it is.
#[test]
fn a_provider_that_is_gone_keeps_them_until_it_is_back() {
    let mut scene = Scene::new();
    scene.netifd[0] = vec![prefix("2001:db8:1::/56")];
    scene
        .routes
        .push(default_from("2001:db8:2::/56", 1, TABLE_MAIN));
    assert!(scene.fill());
    let before = scene.of(0);
    assert_eq!(before.len(), 2);
    scene.uplinks[0] = Uplink {
        waiting: Some(Waiting::NoDevice),
        ..Uplink::default()
    };
    scene.netifd[0].clear();
    assert!(!scene.fill());
    scene.routes.clear();
    assert!(!scene.fill());
    assert_eq!(scene.of(0), before);
    // It is back, with another.
    scene.uplinks[0] = Uplink {
        index: 7,
        ..Uplink::default()
    };
    scene.netifd[0] = vec![prefix("2001:db8:3::/56")];
    assert!(scene.fill());
    assert_eq!(scene.of(0), ["2001:db8:3::/56"]);
    // Netifd is asked anew.
    (scene.answered, scene.netifd[0]) = (false, Vec::new());
    assert!(!scene.fill());
    scene.answered = true;
    assert!(scene.fill());
    assert!(scene.all().is_empty());
}

#[test]
fn a_device_that_another_has_tells_nothing() {
    let mut scene = Scene::new();
    scene
        .routes
        .push(default_from("2001:db8:1::/56", 1, TABLE_MAIN));
    scene.uplinks[1] = Uplink {
        waiting: Some(Waiting::DeviceTaken(Slot(0))),
        ..scene.uplinks[0].clone()
    };
    assert!(scene.fill());
    assert_eq!(scene.all(), [(0, "2001:db8:1::/56".to_owned())]);
}

#[test]
fn of_too_many_the_lowest_count_in_whatever_order_they_are_told() {
    let mut scene = Scene::new();
    let told = |number: u32| prefix(&format!("2001:db8:{number:x}::/56"));
    scene.netifd[0] = (100..115).map(told).collect();
    scene.netifd[1] = vec![told(1)];
    assert!(scene.fill());
    assert_eq!((scene.of(0).len(), scene.delegated.crowded), (15, 0));
    let before = scene.of(0);
    scene.netifd[0].push(told(200));
    assert!(scene.fill());
    assert_eq!((scene.of(0), scene.delegated.crowded), (before, 1));
    scene.netifd[0].rotate_left(7);
    assert!(!scene.fill());
    scene.netifd[0].push(told(50));
    assert!(scene.fill());
    assert_eq!(scene.of(0)[0], "2001:db8:32::/56");
    assert_eq!(scene.of(1), ["2001:db8:1::/56"]);
    scene.netifd[0].truncate(3);
    assert!(scene.fill());
    assert_eq!((scene.of(0).len(), scene.delegated.crowded), (3, 0));
}

/// Each that is listed has room for a rule.
#[test]
fn there_is_room_for_as_many_as_may_have_a_rule() {
    let mut scene = Scene::new();
    scene.config.providers.clear();
    scene.netifd.clear();
    for slot in 0..64 {
        let provider = fixture::provider(&format!("isp{slot}"), slot, "eth1");
        scene.config.providers.push(provider).unwrap();
        let told = |number: u32| prefix(&format!("2001:db8:{slot:x}:{number:x}::/64"));
        scene.netifd.push((0..15).map(told).collect());
    }
    assert!(scene.fill());
    assert_eq!(scene.delegated.list.len(), PREFIX_RULES_MAX);
    assert_eq!(scene.delegated.crowded.trailing_zeros(), 17);
    assert_eq!(scene.delegated.crowded.count_ones(), 64 - 17);
    let slots: Vec<u8> = scene
        .delegated
        .list
        .iter()
        .map(|(slot, _)| slot.0)
        .collect();
    assert!(slots.is_sorted());
}

#[test]
fn one_that_another_provider_takes_the_slot_of_is_forgotten() {
    let mut scene = Scene::new();
    scene.netifd[0] = vec![prefix("2001:db8:1::/56")];
    scene.netifd[1] = vec![prefix("2001:db8:2::/56")];
    assert!(scene.fill());
    scene.delegated.forget(Slot(0));
    assert_eq!(scene.all(), [(1, "2001:db8:2::/56".to_owned())]);
}

#[test]
fn hosts_are_stranded_where_our_table_does_not_translate_what_they_send() {
    let mut config: Box<Config> = Box::default();
    let mut mirror = Box::new(Mirror::new());
    assert!(!strands_hosts(&config, &mirror, false));
    let route = default_from("2001:db8:1::/56", 1, TABLE_MAIN);
    mirror.record(Object::Route(route, Aside::default()));
    assert!(strands_hosts(&config, &mirror, false));
    assert!(!strands_hosts(&config, &mirror, true));
    // There, that route wins over ours, also while its provider is offline.
    config.globals.table = TABLE_MAIN;
    assert!(strands_hosts(&config, &mirror, true));
}
