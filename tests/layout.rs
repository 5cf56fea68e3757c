//! Layout and differences on the real kernel: the changes are made with `ip`, and read back.
//!
//! Each test creates network namespaces, so it must run as root.
#![allow(clippy::panic, clippy::unwrap_used)] // it is all tests

#[path = "layout/router.rs"]
mod router;

use failover::config::RtTable;
use failover::routing::layout::overridden_by;
use failover::types::{Family, MarkMask, Metric, Slot, TABLE_MAIN};
use router::{Router, TARGET};

/// Runs a test with three uplinks, in each family, in a new namespace each time.
fn in_both_families(story: impl Fn(&mut Router)) {
    for family in Family::ALL {
        story(&mut Router::new(family));
    }
}

#[test]
fn a_first_start_determines_every_lookup() {
    in_both_families(|router| {
        router.settle();
        assert_eq!(router.way(""), Some("eth1"));
        for (slot, device) in ["eth1", "eth2", "eth3"].into_iter().enumerate() {
            let address = router.address(slot);
            assert_eq!(router.way(&format!("oif {device}")), Some(device));
            assert_eq!(router.way(&format!("from {address}")), Some(device));
            assert_eq!(router.way(&format!("mark {}", slot + 1)), Some(device));
        }
        assert_eq!(router.table(176), ["100 eth1", "101 eth2", "102 eth3"]);
        assert_eq!(router.table(17602), ["176 eth2"]);
    });
}

#[test]
fn specific_routes_precede_all_of_our_tables() {
    in_both_families(|router| {
        router.settle();
        let target = TARGET[router.family as usize];
        router.ip(&format!("route add {target} dev eth3"));
        for choice in ["", "mark 1", "oif eth3"] {
            assert_eq!(router.way(choice), Some("eth3"), "{choice}");
        }
    });
}

#[test]
fn a_swap_moves_all_traffic_without_a_chosen_provider() {
    in_both_families(|router| {
        router.settle();
        router.order(&[1, 2, 0]);
        router.plan.order[2].usable = false;
        let changes = router.settle();
        assert_eq!(changes, 4, "three places, one mark");
        assert_eq!(router.table(176), ["100 eth2", "101 eth3", "102 eth1"]);
        assert_eq!(router.way(""), Some("eth2"));
        assert_eq!(router.way("mark 1"), Some("eth2"));
        assert_eq!(router.way("oif eth1"), Some("eth1"));
    });
}

/// The marks of what came and left by each path.
fn marks(slot: u8) -> [String; 2] {
    let usual = MarkMask::USUAL;
    [usual.inbound(Slot(slot)), usual.outbound(Slot(slot))].map(|mark| format!("mark {mark:#x}"))
}

#[test]
fn connections_stay_while_their_path_is_usable_and_answers_always_go_back() {
    in_both_families(|router| {
        router.marks = Some(MarkMask::USUAL);
        router.settle();
        let by = |router: &Router, slot: u8| marks(slot).map(|mark| router.way(&mark));
        let all = [Some("eth1"), Some("eth2"), Some("eth3")];
        let stay = |router: &Router| {
            for (slot, device) in (0..3).zip(all) {
                assert_eq!(by(router, slot), [device; 2]);
            }
        };
        stay(router);
        // Bits of others make no difference.
        assert_eq!(router.way("mark 0x2000105"), Some("eth2"));
        // A better one returns: nothing moves but what is new.
        router.order(&[2, 0, 1]);
        assert_eq!(router.settle(), 3, "three places");
        stay(router);
        assert_eq!(router.way(""), Some("eth3"));
        // One dies: what left by it follows, what came by it is answered.
        router.order(&[0, 1, 2]);
        router.plan.order[2].usable = false;
        router.settle();
        assert_eq!(by(router, 2), [Some("eth3"), Some("eth1")]);
        assert_eq!(by(router, 1), [Some("eth2"); 2]);
        // Handed over although it is usable.
        router.handed_over = 0b10;
        assert_eq!(router.settle(), 1);
        assert_eq!(by(router, 1), [Some("eth2"), Some("eth1")]);
        // The table is no longer in force.
        router.marks = None;
        router.settle();
        assert_eq!(by(router, 1), [Some("eth1"); 2]);
    });
}

#[test]
fn rules_for_connections_are_adopted_and_removed() {
    in_both_families(|router| {
        router.marks = Some(MarkMask::USUAL);
        let whole = router.count();
        for done in (0..whole).step_by(3) {
            router.order(&[0, 1, 2]);
            router.settle_partly(done);
            router.order(&[1, 0, 2]);
            router.plan.order[1].usable = false;
            router.settle();
            assert_eq!(router.way(&marks(0)[0]), Some("eth1"));
            assert_eq!(router.way(&marks(0)[1]), Some("eth2"));
            router.remove();
            assert_eq!(router.ours(), 0);
        }
    });
}

#[test]
fn the_routes_of_a_killed_run_are_adopted_at_any_point() {
    in_both_families(|router| {
        let whole = router.count();
        for done in 0..whole {
            router.order(&[0, 1, 2]);
            router.settle_partly(done);
            router.order(&[1, 0, 2]);
            router.plan.order[1].usable = false;
            router.settle();
            assert_eq!(router.way(""), Some("eth2"));
            router.remove();
        }
    });
}

#[test]
fn after_a_clean_stop_foreign_routes_are_used() {
    in_both_families(|router| {
        router.ip(&format!("route add default dev {} metric 5000", "eth3"));
        router.settle();
        router.remove();
        assert_eq!(router.way(""), Some("eth3"));
        assert_eq!(router.ours(), 0);

        router.config.globals.table = TABLE_MAIN;
        router.settle();
        assert_eq!(router.way(""), Some("eth1"));
        router.remove();
        assert_eq!(router.way(""), Some("eth3"));
        assert_eq!(router.ours(), 0);
    });
}

#[test]
fn foreign_routes_at_our_metrics_stay_and_ours_skip_them() {
    in_both_families(|router| {
        let gateway = router.gateway(2);
        for metric in [101, 102] {
            router.ip(&format!(
                "route add default via {gateway} dev eth3 table 176 metric {metric} proto ra"
            ));
        }
        router.ip("route add default dev eth3 table 17602 metric 1");
        router.settle();
        let expected = ["100 eth1", "101 eth3", "102 eth3", "103 eth2", "104 eth3"];
        assert_eq!(router.table(176), expected);
        assert_eq!(router.wanted.taken.len(), 2);
        assert_eq!(router.table(17602), ["1 eth3"]);
        assert_eq!(router.way("oif eth2"), Some("eth2"));
        router.order(&[2, 1, 0]);
        router.settle();
        let expected = ["100 eth3", "101 eth3", "102 eth3", "103 eth2", "104 eth1"];
        assert_eq!(router.table(176), expected);
    });
}

#[test]
fn without_policy_tables_bound_sockets_still_find_their_way() {
    in_both_families(|router| {
        for provider in &mut router.config.providers {
            provider.rt_table = RtTable::None;
        }
        router.settle();
        for unreachable in [false, true, false] {
            router.plan.unreachable = unreachable;
            router.settle();
            assert_eq!(router.way("oif eth2"), Some("eth2"));
            assert_eq!(router.way(""), (!unreachable).then_some("eth1"));
        }
    });
}

#[test]
fn in_the_main_table_a_foreign_route_with_a_lower_metric_precedes() {
    in_both_families(|router| {
        router.config.globals.table = TABLE_MAIN;
        router.config.globals.start_metric = Metric(1023);
        router.ip("route add default dev eth3 metric 7");
        router.settle();
        assert_eq!(router.way(""), Some("eth3"));
        let second = if router.family == Family::V4 {
            1024 // the kernel's default in IPv6
        } else {
            1025
        };
        let metrics: Vec<u32> = router.wanted.routes.iter().map(|r| r.metric.0).collect();
        assert_eq!(metrics[..2], [1023, second]);
        let routes = router.routes();
        let over = overridden_by(&routes, router.family, TABLE_MAIN, Metric(1023));
        assert_eq!(over, Some(Metric(7)));
    });
}

#[test]
fn tables_and_preferences_move_without_a_hole() {
    in_both_families(|router| {
        router.settle();
        for (table, pref, metric) in [
            (TABLE_MAIN, 17600, 100),
            (300, 17600, 200),
            (176, 10000, 200),
            (176, 20000, 50),
            (176, 20050, 50),
        ] {
            router.config.globals.table = table;
            router.config.globals.rule_pref = pref;
            router.config.globals.start_metric = Metric(metric);
            router.config.providers[1].rt_table = RtTable::Id(metric + 1);
            router.settle();
            assert_eq!(router.way(""), Some("eth1"));
            assert_eq!(router.way("mark 2"), Some("eth2"));
        }
    });
}

#[test]
fn a_gateway_outside_the_network_and_no_gateway() {
    in_both_families(|router| {
        let elsewhere = ["192.0.2.254", "2001:db8:fff::1"][router.family as usize];
        router.uplinks[0].gateway = Some(elsewhere.parse().unwrap());
        router.uplinks[0].onlink = true;
        router.uplinks[1].direct = true;
        router.settle();
        assert_eq!(router.table(176), ["100 eth1", "101 eth2", "102 eth3"]);
        router.uplinks[0].direct = true;
        router.uplinks[1].direct = false;
        router.settle();
        assert_eq!(router.table(176), ["100 eth1", "101 eth2", "102 eth3"]);
    });
}

#[test]
fn a_renewed_address_updates_its_routes() {
    in_both_families(|router| {
        router.settle();
        let old = router.address(0);
        let length = router.renew(0);
        router.settle();
        router.ip(&format!("addr del {old}/{length} dev eth1"));
        assert_eq!(router.settle(), 0, "nothing hung on the old address");
        assert_eq!(router.way(""), Some("eth1"));
    });
}

#[test]
fn deleted_routes_and_rules_are_restored() {
    in_both_families(|router| {
        router.settle();
        router.ip("route del default table 176 metric 100");
        router.ip("route flush table 17602");
        router.ip("rule del pref 32765");
        router.ip("rule del pref 18931");
        assert_eq!(router.settle_from_outage(), 5);
        assert_eq!(router.way(""), Some("eth1"));
    });
}

#[test]
fn several_routes_of_ours_at_one_metric_become_one() {
    in_both_families(|router| {
        router.settle();
        let gateway = router.gateway(1);
        let more = "table 176 metric 100 proto 176";
        router.ip(&format!(
            "route append default via {gateway} dev eth2 {more}"
        ));
        router.ip(&format!("route append default dev eth3 {more}"));
        router.settle();
        assert_eq!(router.table(176), ["100 eth1", "101 eth2", "102 eth3"]);
    });
}

#[test]
fn a_device_that_is_deleted_and_returns_keeps_its_rules() {
    in_both_families(|router| {
        router.settle();
        let (index, address) = (router.uplinks[0].index, router.uplinks[0].address);
        router.ip("link set eth1 down");
        router.uplinks[0].index = 0;
        router.uplinks[0].address = None;
        router.plan.order.retain(|hop| hop.slot != Slot(0));
        router.settle_from_outage();
        assert_eq!(router.way(""), Some("eth2"));

        router.ip("link set eth1 up");
        router.restore_address(0);
        (router.uplinks[0].index, router.uplinks[0].address) = (index, address);
        router.order(&[0, 1, 2]);
        router.settle();
        assert_eq!(router.way("oif eth1"), Some("eth1"));
        assert_eq!(router.way(""), Some("eth1"));
    });
}
