//! The routes and rules in the kernel, and that none is ever missing.

use super::inspect::path;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Family, Lab, Lookups, Settings, wait_until};
use super::{OURS, SOON, TABLE, leads, online, online_with};

#[test]
fn every_provider_has_a_default_route_after_the_leader() {
    in_lab(|| {
        let lab = Lab::new();
        let _daemon = online(&lab);
        for family in Family::ALL {
            let defaults = lab.router.defaults(family, TABLE);
            let expected = [(1, 100), (2, 101)];
            assert_eq!(defaults.len(), expected.len(), "{defaults:?}");
            for (route, (number, metric)) in defaults.iter().zip(expected) {
                let provider = lab.provider(number);
                assert_eq!((route.metric, route.protocol), (metric, OURS));
                assert_eq!(route.dev.as_ref(), Some(&provider.device));
                assert_eq!(
                    route.via,
                    Some(provider.gateway_address(family).to_string())
                );
                if family == Family::V4 {
                    assert_eq!(route.src, Some(provider.own(family).to_string()));
                }
            }
            assert!(
                lab.router.defaults(family, 254).is_empty(),
                "main is not ours"
            );
        }
    });
}

#[test]
fn the_rules_are_those_of_the_design() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::fast(&lab).provider("isp2", "mark", "0x200/0xff00");
        let _daemon = online_with(&lab, &settings);
        for family in Family::ALL {
            let rules: Vec<_> = lab
                .router
                .rules(family)
                .into_iter()
                .filter(|r| r.protocol == OURS)
                .collect();
            let at = |pref| rules.iter().find(|rule| rule.pref == pref);
            let specific = at(17600).expect("main comes first");
            assert_eq!(
                (specific.table, specific.suppress_prefixlength),
                (Some(254), Some(0))
            );
            let marked: Vec<_> = rules.iter().filter(|rule| rule.fwmark.is_some()).collect();
            assert_eq!(marked.len(), 1);
            assert_eq!(marked[0].fwmark.as_deref(), Some("0x200/0xff00"));
            for number in [1, 2] {
                let device = &lab.provider(number).device;
                let from = at(17900 + 16 * (u32::try_from(number).unwrap() - 1));
                let oif = rules.iter().find(|rule| rule.oif.as_ref() == Some(device));
                let table = from
                    .and_then(|rule| rule.table)
                    .expect("each has a rule for its network");
                assert_eq!(oif.and_then(|rule| rule.table), Some(table));
                let policy = lab.router.defaults(family, table);
                assert_eq!(policy.len(), 1);
                assert_eq!(policy[0].dev.as_ref(), Some(device));
            }
            assert_eq!(at(33900).and_then(|rule| rule.table), Some(TABLE));
            assert_eq!(at(33901).and_then(|rule| rule.table), Some(254));
            let last = at(33902).and_then(|rule| rule.table);
            assert_eq!(last, (family == Family::V4).then_some(253));
            let first = rules
                .iter()
                .map(|rule| rule.pref)
                .filter(|pref| *pref > 17664);
            let first: Vec<u32> = first.collect();
            let fixed = [17900, 17916, 18930, 18931, 32765, 32800, 33900, 33901];
            assert_eq!(first[..8], fixed);
        }
    });
}

/// Whichever provider leads: traffic can be sent by a chosen device, or from a chosen address.
#[test]
fn traffic_can_be_sent_by_any_provider() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let all_ways = || {
            for family in Family::ALL {
                for provider in &lab.providers {
                    let (own, target) =
                        (provider.own(family).to_string(), target(family).to_string());
                    for by in [&provider.device, &own] {
                        let ping = ["ping", "-n", "-c", "1", "-W", "1", "-I", by, &target];
                        let output = lab.router.output(&ping);
                        let text = String::from_utf8_lossy(&output.stdout);
                        assert!(output.status.success(), "{ping:?}: {text}");
                    }
                }
            }
        };
        all_ways();
        daemon.must(&["use", "isp2"]);
        assert!(leads(&lab, 2));
        all_ways();
    });
}

/// A DHCP client's default route with metric 0, and one with the same metric as ours, in the swap table.
#[test]
fn foreign_defaults_stay_untouched_in_main() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = Lab::new();
            // Metric 0 is 1024 in IPv6, so 1 is the lowest there.
            lab.learn_default(2, family, "dhcp", 1);
            lab.learn_default(1, family, "static", 100);
            let foreign =
                |protocol| move |route: &super::lab::observe::Route| route.protocol == protocol;
            let theirs = || {
                let defaults = lab.router.defaults(family, 254);
                [16, 4].map(|protocol| defaults.iter().find(|r| foreign(protocol)(r)).cloned())
            };
            let before = theirs();
            assert!(before.iter().all(Option::is_some));
            let daemon = online_with(&lab, &Settings::fast(&lab).global("table", "main"));
            let ours = || {
                let defaults = lab.router.defaults(family, 254);
                defaults
                    .iter()
                    .filter(|route| route.protocol == OURS)
                    .count()
            };
            assert!(
                wait_until(SOON, || ours() == 2),
                "{:?}",
                lab.router.defaults(family, 254)
            );
            daemon.must(&["use", "isp2"]);
            daemon.must(&["use", "auto"]);
            assert_eq!(theirs(), before);
            drop(daemon);
        }
    });
}

/// A route and a rule of ours are deleted by another program; they are restored, and this is counted.
#[test]
fn deleted_routes_and_rules_are_restored() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        for (family, option) in [(Family::V4, "-4"), (Family::V6, "-6")] {
            let (routes, rules) = (lab.router.defaults(family, TABLE), lab.router.rules(family));
            lab.router.run(&[
                "ip", option, "route", "del", "default", "metric", "100", "table", "176",
            ]);
            let back = || lab.router.defaults(family, TABLE) == routes;
            assert!(
                wait_until(SOON, back),
                "{:?}\n{}",
                lab.router.defaults(family, TABLE),
                daemon.log()
            );
            lab.router
                .run(&["ip", option, "rule", "del", "pref", "33900"]);
            let back = || lab.router.rules(family) == rules;
            assert!(
                wait_until(SOON, back),
                "{:?}\n{}",
                lab.router.rules(family),
                daemon.log()
            );
        }
        assert!(daemon.status()["counters"]["repairs"].as_u64() >= Some(4));
    });
}

#[test]
fn gateways_are_learned_and_followed() {
    in_lab(|| {
        let lab = Lab::new();
        let learn = || {
            for number in [1, 2] {
                let metric = 10 + u32::try_from(number).unwrap();
                lab.learn_default(number, Family::V4, "dhcp", metric);
                lab.learn_default(number, Family::V6, "ra", metric);
            }
        };
        learn();
        let daemon = online_with(&lab, &Settings::learning(&lab));
        assert!(leads(&lab, 1));
        let moved = lab.move_gateway(1);
        learn();
        for family in Family::ALL {
            let gateway = Some(moved.gateway(family).to_string());
            let followed = || {
                let defaults = lab.router.defaults(family, TABLE);
                defaults.iter().any(|route| route.via == gateway)
            };
            assert!(
                wait_until(SOON, followed),
                "{:?}\n{}",
                lab.router.defaults(family, TABLE),
                daemon.log()
            );
        }
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
    });
}

#[test]
fn a_renewed_address_is_followed() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let renewed = lab.renew_address(1);
        for family in Family::ALL {
            let own = renewed.own(family).to_string();
            let src = (family == Family::V4).then(|| own.clone());
            let followed = || {
                path(&daemon.status(), "isp1", family.name())["address"] == *own
                    && lab.router.defaults(family, TABLE)[0].src == src
            };
            assert!(wait_until(SOON, followed), "{}", daemon.log());
        }
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
    });
}

/// Both modems have the same addresses.
#[test]
fn equal_addresses_are_kept_apart() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().nat().build();
        let daemon = online(&lab);
        assert!(leads(&lab, 1));
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert_eq!(daemon.path_state("isp2", "ipv4"), "online");
        lab.upstream_returns(1);
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}

#[test]
fn strict_reverse_path_filter_with_policy_tables() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).build();
        let daemon = online(&lab);
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
    });
}

/// None of several hundred thousand lookups fails.
#[test]
fn two_hundred_swaps_without_a_hole() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let lookups = Family::ALL.map(|family| Lookups::start(&lab.router, target(family)));
        for round in 0..200 {
            let (choice, number) = if round % 2 == 0 {
                ("isp2", 2)
            } else {
                ("isp1", 1)
            };
            daemon.must(&["use", choice]);
            if round % 20 == 0 {
                assert!(leads(&lab, number), "{}", daemon.log());
            }
        }
        assert!(leads(&lab, 1));
        for hammer in lookups {
            let found = hammer.stop();
            assert!(found.lookups > 10_000 && found.failures == 0, "{found:?}");
        }
        assert!(daemon.status()["counters"]["swaps"].as_u64() >= Some(200));
    });
}
