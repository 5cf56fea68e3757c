//! Default routes of others in `main` that refuse: `unreachable`, `blackhole`, `prohibit`. They end the look-up of our first
//! rule, which passes over a default route that leads, but not over one that refuses. So ours stand before them.

use heapless::Vec;

use super::{
    IPV6_USUAL, Situation, Wanted, best_default, best_of_others, default_route, everywhere,
};
use crate::config::Globals;
use crate::limits::PROVIDERS_MAX;
use crate::routing::objects::{Route, RouteKind};
use crate::types::{Family, Metric, PROTOCOL, TABLE_MAIN};

/// What the kernel makes by itself (`RTPROT_KERNEL`): its last word, which any other route comes before.
const OF_KERNEL: u8 = 2;

/// The best default route in `main` that refuses.
fn error_route(routes: &[Route], family: Family) -> Option<Metric> {
    let refuses =
        |r: &Route| r.kind == RouteKind::Other && r.protocol != PROTOCOL && r.protocol != OF_KERNEL;
    best_default(routes, family, TABLE_MAIN, &refuses).map(|r| r.metric)
}

/// What becomes of the traffic beside a default route in `main` that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorEffect {
    /// none: ours are to stand before it there
    Passed,
    /// it is refused: the route's metric is below ours, and it prevails as any other set by hand
    Obeyed,
    /// a better default there spares it, but not IPv4 probes by devices without one of their own
    Spared,
    /// none: the swap table is `main`, where it comes behind ours
    Behind,
}

/// The best default route in `main` that refuses, and what it does.
pub fn error_effect(
    routes: &[Route],
    family: Family,
    globals: &Globals,
) -> Option<(Metric, ErrorEffect)> {
    let metric = error_route(routes, family)?;
    let in_main = globals.table == TABLE_MAIN;
    let is_best = || best_of_others(routes, family, TABLE_MAIN).is_none_or(|r| r.metric == metric);
    let effect = match metric < globals.start_metric {
        true if in_main || is_best() => ErrorEffect::Obeyed,
        true => ErrorEffect::Spared,
        false if in_main => ErrorEffect::Behind,
        false => ErrorEffect::Passed,
    };
    Some((metric, effect))
}

/// So many free metrics before the route that refuses are looked at.
const NEAR: usize = 4 * PROVIDERS_MAX;

/// Whether a free metric in `main` is for ours: the first choice, the second, the third.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// ours is there already
    Ours,
    /// no program is known to use it
    Free,
    /// a DHCP client may want it
    Usual,
}

impl Wanted {
    /// A default route in `main` for each hop, in the order of the swap table, at the highest metrics before the route that
    /// refuses which no DHCP client is known to use: its own would be refused ("File exists"). For the same reason ours stay
    /// where they are: a client that renews its lease deletes its route for a moment. Ours are found first, and passed over. One
    /// alone would not do: an IPv4 look-up for a device sees its own default routes only, and those that refuse. None stands
    /// before a manual default that prevails: traffic would leave by ours.
    pub(super) fn pass_error_route(&mut self, situation: &Situation<'_>) {
        let (family, globals) = (situation.family, &situation.config.globals);
        let effect = error_effect(situation.routes, family, globals);
        let Some((Metric(refusing), ErrorEffect::Passed)) = effect else {
            return;
        };
        let hops = situation.hops().map(|(_, _, uplink)| uplink);
        let count = hops.count();
        let mut metrics: Vec<Metric, PROVIDERS_MAX> = Vec::new();
        for choice in [Choice::Ours, Choice::Free, Choice::Usual] {
            let free = free_before(refusing, situation.routes, family, situation.yields);
            let chosen = free.filter(|metric| situation.choice(*metric) == choice);
            for metric in chosen.take(count - metrics.len()) {
                let lower = metrics.iter().filter(|known| **known < metric).count();
                let _ = metrics.insert(lower, metric); // there are no more hops than providers
            }
        }
        self.is_narrow = metrics.len() < count;
        let hops = situation.hops().map(|(_, _, uplink)| uplink);
        for (uplink, metric) in hops.zip(metrics.iter()) {
            let route = default_route(family, TABLE_MAIN, *metric, uplink);
            // There is room for one more a provider.
            let _ = self.routes.push(route);
        }
    }
}

/// The metrics in `main` for ours, the highest first: below that of the route that refuses, and above that of a manual
/// default that prevails.
fn free_before(
    refusing: u32,
    routes: &[Route],
    family: Family,
    yields: bool,
) -> impl Iterator<Item = Metric> {
    let prevailing = best_of_others(routes, family, TABLE_MAIN).filter(|_| yields);
    let lowest = prevailing.map_or(0, |r| r.metric.0).saturating_add(1);
    let all = (lowest..refusing).rev().map(Metric);
    let free = all.filter(move |metric| is_free(routes, family, *metric));
    free.take(NEAR)
}

/// Whether a program may give this metric to a default route of its own unless told otherwise: round numbers; numbers counted
/// from a hundred (NetworkManager from 100); 512, 1024, 2048 (systemd-networkd, RAs).
fn is_usual(Metric(metric): Metric) -> bool {
    let counted = metric % 100 < 20;
    metric < 32_768 && (metric.is_multiple_of(5) || counted || metric.is_power_of_two())
}

impl Situation<'_> {
    /// Whether a free metric in `main` is for ours.
    fn choice(&self, metric: Metric) -> Choice {
        let mut paths = self.paths();
        // As dhcpcd counts, from hundreds.
        let numbered = paths.any(|(_, uplink)| metric.0 % 100 == uplink.index % 100);
        if is_usual(metric) || numbered && metric.0 < 32_768 {
            return Choice::Usual;
        }
        let place = (TABLE_MAIN, everywhere(self.family), metric);
        let mut ours = self.routes.iter().filter(|r| r.protocol == PROTOCOL);
        match ours.any(|r| (r.table, r.destination, r.metric) == place) {
            true => Choice::Ours,
            false => Choice::Free,
        }
    }
}

/// Whether no default route of others has this metric in `main`.
fn is_free(routes: &[Route], family: Family, metric: Metric) -> bool {
    let reserved = family == Family::V6 && metric == IPV6_USUAL;
    let mut others = routes.iter().filter(|r| {
        let everything = r.destination.prefix_len() == 0 && r.table == TABLE_MAIN;
        everything && (r.protocol != PROTOCOL || r.is_joined()) && r.metric == metric
    });
    let of_family = |r: &Route| crate::routing::mirror::family(r) == family;
    !reserved && !others.any(of_family)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Scene, foreign_default};
    use super::*;

    fn refusing(family: Family, metric: u32) -> Route {
        Route {
            kind: RouteKind::Other,
            device: 0,
            gateway: None,
            ..foreign_default(family, TABLE_MAIN, metric)
        }
    }

    /// The metrics of ours in `main`, with the device of each.
    fn ours(scene: &mut Scene) -> Vec<(u32, u32), 8> {
        let wanted = scene.wanted();
        let in_main = wanted.routes.iter().filter(|r| r.table == TABLE_MAIN);
        in_main.map(|r| (r.metric.0, r.device)).collect()
    }

    fn scene(family: Family, foreign: &[Route]) -> Scene {
        let mut scene = Scene::of(family, 3);
        scene.foreign = foreign.to_vec();
        scene
    }

    #[test]
    fn ours_stand_before_it_in_the_order_of_the_swap_table() {
        for family in Family::ALL {
            let last = 4_278_198_272;
            let mut scene = scene(family, &[refusing(family, last)]);
            assert_eq!(
                ours(&mut scene),
                [(last - 3, 1), (last - 2, 2), (last - 1, 3)]
            );
            scene.order(&[2, 0, 1]);
            assert_eq!(
                ours(&mut scene),
                [(last - 3, 3), (last - 2, 1), (last - 1, 2)]
            );
            scene.foreign.clear();
            assert_eq!(ours(&mut scene), []);
        }
    }

    #[test]
    fn without_a_way_of_ours_rules_of_others_are_reached() {
        for family in Family::ALL {
            let mut scene = scene(family, &[refusing(family, 1024)]);
            let begins = |scene: &mut Scene| {
                let rules = &scene.wanted().rules;
                rules.iter().any(|rule| rule.pref == 17600)
            };
            assert!(begins(&mut scene));
            for uplink in &mut scene.uplinks {
                uplink.routable = false;
            }
            assert!(!begins(&mut scene));
            scene.foreign.clear();
            assert!(begins(&mut scene));
        }
    }

    #[test]
    fn metrics_of_others_are_left_to_them() {
        for family in Family::ALL {
            let taken = [103, 98].map(|metric| foreign_default(family, TABLE_MAIN, metric));
            let mut scene = scene(family, &taken);
            scene.foreign.push(refusing(family, 105));
            assert_eq!(ours(&mut scene), [(96, 1), (97, 2), (99, 3)]);
        }
        let mut scene = scene(Family::V6, &[refusing(Family::V6, 1025)]);
        let metrics = [(1021, 1), (1022, 2), (1023, 3)];
        assert_eq!(ours(&mut scene), metrics, "1024 is for advertised routers");
    }

    #[test]
    fn the_usual_metrics_of_dhcp_clients_are_left_to_them_where_there_are_others() {
        for (last, expected) in [
            (101, [97, 98, 99]),
            (130, [126, 127, 129]),
            (1001, [997, 998, 999]),
            (2049, [2044, 2046, 2047]),
            (40_000, [39_997, 39_998, 39_999]),
        ] {
            let metrics = ours(&mut scene(Family::V4, &[refusing(Family::V4, last)]));
            let metrics: Vec<u32, 8> = metrics.iter().map(|(metric, _)| *metric).collect();
            assert_eq!(metrics, expected, "{last}");
        }
    }

    /// A client that renews its lease deletes its route, and adds it again.
    #[test]
    fn ours_stay_where_they_are() {
        for family in Family::ALL {
            let client = foreign_default(family, TABLE_MAIN, 98);
            let mut scene = scene(family, &[client, refusing(family, 101)]);
            let before = [(96, 1), (97, 2), (99, 3)];
            assert_eq!(ours(&mut scene), before);
            let wanted = scene.wanted().routes;
            let in_main = wanted.iter().filter(|r| r.table == TABLE_MAIN);
            scene.foreign.extend(in_main.copied());
            scene.foreign.remove(0);
            assert_eq!(ours(&mut scene), before);
            scene.order(&[2, 0]);
            assert_eq!(ours(&mut scene), [(97, 3), (99, 1)]);
            // Far from one that refuses later, they move.
            scene.foreign[0] = refusing(family, 40_000);
            assert_eq!(ours(&mut scene), [(39_998, 3), (39_999, 1)]);
        }
    }

    #[test]
    fn metrics_by_the_number_of_a_device_are_left_to_its_client() {
        let mut scene = scene(Family::V4, &[refusing(Family::V4, 1049)]);
        scene.uplinks[1].index = 1148;
        scene.uplinks[2].index = 46;
        scene.uplinks[2].routable = false;
        assert_eq!(ours(&mut scene), [(1044, 1), (1047, 1148)]);
    }

    #[test]
    fn the_best_of_several_counts() {
        let family = Family::V4;
        let several = [5000, 400, 300].map(|metric| refusing(family, metric));
        assert_eq!(ours(&mut scene(family, &several))[2], (299, 3));
    }

    #[test]
    fn none_stands_before_a_manual_default_that_prevails() {
        for family in Family::ALL {
            let manual = foreign_default(family, TABLE_MAIN, 98);
            let mut scene = scene(family, &[manual, refusing(family, 101)]);
            assert_eq!(ours(&mut scene), [(96, 1), (97, 2), (99, 3)]);
            scene.yields = true;
            assert_eq!(ours(&mut scene), [(99, 1), (100, 2)]);
            scene.foreign[0].metric = Metric(100);
            assert_eq!(ours(&mut scene), []);
            scene.foreign[0].metric = Metric(0);
            assert_eq!(ours(&mut scene), [(97, 1), (98, 2), (99, 3)]);
        }
    }

    #[test]
    fn one_before_ours_is_obeyed() {
        for family in Family::ALL {
            let obeyed = |metric| ours(&mut scene(family, &[refusing(family, metric)])).is_empty();
            assert!(obeyed(0) && obeyed(99) && !obeyed(100));
            // Below them is one that is not obeyed, too.
            let both = [99, 5000].map(|metric| refusing(family, metric));
            assert_eq!(ours(&mut scene(family, &both)), []);
        }
    }

    #[test]
    fn no_other_route_asks_for_them() {
        for family in Family::ALL {
            let kernels = Route {
                protocol: OF_KERNEL,
                ..refusing(family, u32::MAX)
            };
            let elsewhere = Route {
                table: 300,
                ..refusing(family, 5000)
            };
            let leads = foreign_default(family, TABLE_MAIN, 5000);
            assert_eq!(ours(&mut scene(family, &[kernels, elsewhere, leads])), []);
        }
    }

    /// There, ours are in `main` anyway.
    #[test]
    fn with_the_swap_table_main_there_is_nothing_to_pass() {
        let mut scene = scene(Family::V4, &[refusing(Family::V4, 5000)]);
        scene.config.globals.table = TABLE_MAIN;
        assert_eq!(ours(&mut scene), [(100, 1), (101, 2), (102, 3)]);
    }

    #[test]
    fn there_is_room_for_sixty_four_providers() {
        let mut scene = Scene::of(Family::V4, 64);
        scene.foreign.push(refusing(Family::V4, 5000));
        let wanted = scene.wanted();
        let in_main = wanted.routes.iter().filter(|r| r.table == TABLE_MAIN);
        assert_eq!(in_main.count(), 64);
    }

    /// Status, explain and warnings all tell this.
    #[test]
    fn what_it_does_depends_on_its_metric_and_on_better_ones() {
        for family in Family::ALL {
            let effect = |foreign: &[Route], globals: &Globals| {
                error_effect(foreign, family, globals).map(|(_, effect)| effect)
            };
            let mut globals = scene(family, &[]).config.globals.clone();
            let low = refusing(family, globals.start_metric.0 - 1);
            let high = refusing(family, globals.start_metric.0 + 5000);
            let better = foreign_default(family, TABLE_MAIN, 1);
            assert_eq!(effect(std::slice::from_ref(&better), &globals), None);
            let pairs = [
                (&low, ErrorEffect::Obeyed, ErrorEffect::Spared),
                (&high, ErrorEffect::Passed, ErrorEffect::Passed),
            ];
            for (route, alone, beside) in pairs {
                assert_eq!(effect(std::slice::from_ref(route), &globals), Some(alone));
                let both = [better, *route];
                assert_eq!(effect(&both, &globals), Some(beside));
            }
            globals.table = TABLE_MAIN;
            assert_eq!(effect(&[low], &globals), Some(ErrorEffect::Obeyed));
            assert_eq!(effect(&[high], &globals), Some(ErrorEffect::Behind));
        }
    }

    #[test]
    fn too_few_metrics_are_noted() {
        let wanted = |metric| scene(Family::V4, &[refusing(Family::V4, metric)]).wanted();
        assert!(!wanted(5000).is_narrow);
        let mut scene = scene(Family::V4, &[refusing(Family::V4, 2)]);
        scene.config.globals.start_metric = Metric(1);
        assert!(scene.wanted().is_narrow, "one metric for several providers");
    }
}
