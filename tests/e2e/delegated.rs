//! Hosts of the LAN with addresses from each provider's delegated prefix: what they send leaves by the provider of their
//! address as long as that works, for it drops what has another's.

use serde_json::{Value, json};

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::netifd::{all_is_up, down, prepared, set_interface, settings, up};
use super::overflow::warning;
use super::query::{Outcome, Query};
use super::{OURS, SOON, leads_in, online_with};

const V6: Family = Family::V6;

/// The host's address in prefix `number`, 2001:db8:1000+number::/56.
fn host(number: usize) -> String {
    format!("2001:db8:{}:1::2", 1000 + number)
}

fn prefix(number: usize) -> String {
    format!("2001:db8:{}::/56", 1000 + number)
}

/// A provider delegates a prefix: its gateway routes it to the router, and the router and the host have addresses in it.
fn delegate(lab: &Lab, provider: usize, number: usize) {
    let rule = format!(
        "rule add pref 11 from {} iif line lookup main",
        prefix(number)
    );
    lab.provider(provider).gateway.batch(V6, &rule);
    route_back(lab, provider, number);
    let router = host(number).replace("::2", "::1");
    lab.router
        .ip(&format!("addr add {router}/64 dev lan0 nodad"));
    let host = host(number);
    lab.lan.ip(&format!("addr add {host}/64 dev eth0 nodad"));
}

fn route_back(lab: &Lab, provider: usize, number: usize) {
    let (prefix, own) = (prefix(number), lab.provider(provider).own(V6));
    let route = format!("route replace {prefix} via {own} dev line");
    lab.provider(provider).gateway.batch(V6, &route);
}

/// Providers drop what has no address of theirs.
fn strict(lab: &Lab) {
    for provider in &lab.providers {
        let own = provider.own(V6);
        let lines = format!(
            "rule add pref 10 from {own}/64 iif line lookup main
             rule add pref 12 iif line blackhole"
        );
        provider.gateway.batch(V6, &lines);
    }
}

/// A lab with a prefix of each provider, the numbers of which are the providers'.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.serve();
    strict(&lab);
    for number in [1, 2] {
        delegate(&lab, number, number);
    }
    lab
}

/// As netifd and others do it: `default from PREFIX`.
fn learn(lab: &Lab, provider: usize, number: usize) {
    route(lab, "add", provider, number);
}

fn route(lab: &Lab, verb: &str, provider: usize, number: usize) {
    let provider = lab.provider(provider);
    let (gateway, device) = (provider.gateway_address(V6), &provider.device);
    let from = prefix(number);
    lab.router.ip(&format!(
        "route {verb} ::/0 from {from} via {gateway} dev {device} proto static metric 512"
    ));
}

/// What the host sends from its address in this prefix leaves by this provider, as the kernel says when it is asked.
fn leaves(lab: &Lab, daemon: &Daemon, number: usize, provider: usize) {
    let (host, target) = (host(number), target(V6).to_string());
    let device = Some(lab.provider(provider).device.clone());
    let way = || lab.router.way(&target, &["from", &host, "iif", "lan0"]);
    assert!(
        wait_until(SOON, || way() == device),
        "{host} by {:?}, not {device:?}\n{}\n{}",
        way(),
        lab.router.run(&["ip", "-6", "rule"]),
        daemon.log()
    );
}

/// The same, and it is answered.
fn reaches(lab: &Lab, daemon: &Daemon, number: usize, provider: u8) {
    leaves(lab, daemon, number, usize::from(provider));
    let from = Query::from(host(number).parse().unwrap());
    assert_eq!(from.send(&lab.lan, target(V6)), Outcome::By(provider));
}

/// The preferences and prefixes of our rules for them.
fn rules(lab: &Lab) -> Vec<(u32, String)> {
    let mut rules = lab.router.rules(V6);
    rules.retain(|rule| rule.protocol == OURS && (32900..33900).contains(&rule.pref));
    rules
        .into_iter()
        .map(|rule| (rule.pref, rule.src))
        .collect()
}

#[test]
fn each_source_leaves_by_its_own_provider_while_that_works() {
    in_lab(|| {
        let lab = lab();
        learn(&lab, 1, 1);
        let mut daemon = online_with(&lab, &Settings::fast(&lab));
        reaches(&lab, &daemon, 1, 1);
        leaves(&lab, &daemon, 2, 1);
        // It is told while the daemon runs.
        learn(&lab, 2, 2);
        reaches(&lab, &daemon, 2, 2);
        reaches(&lab, &daemon, 1, 1);
        let both = [(32900, prefix(1)), (32915, prefix(2))];
        assert_eq!(rules(&lab), both);
        // The standby dies and returns, and then the leader.
        lab.upstream_dies(2);
        leaves(&lab, &daemon, 2, 1);
        assert_eq!(rules(&lab), both[..1]);
        lab.upstream_returns(2);
        reaches(&lab, &daemon, 2, 2);
        lab.upstream_dies(1);
        leaves(&lab, &daemon, 1, 2);
        reaches(&lab, &daemon, 2, 2);
        lab.upstream_returns(1);
        reaches(&lab, &daemon, 1, 1);
        reaches(&lab, &daemon, 2, 2);
        // The leader is another, and each works still.
        daemon.must(&["disable", "isp1"]);
        leaves(&lab, &daemon, 1, 2);
        daemon.must(&["enable", "isp1"]);
        reaches(&lab, &daemon, 1, 1);
        // While one is chosen by hand, the others take nothing.
        daemon.must(&["use", "isp1"]);
        leaves(&lab, &daemon, 2, 1);
        assert_eq!(rules(&lab), both[..1]);
        daemon.must(&["use", "auto"]);
        reaches(&lab, &daemon, 2, 2);
        lab.pull_cable(2);
        leaves(&lab, &daemon, 2, 1);
        lab.plug_cable(2);
        route_back(&lab, 2, 2);
        daemon.wait_for("isp2", "ipv6", "online");
        reaches(&lab, &daemon, 2, 2);
        // Another program's rule wins.
        let from = format!("rule add pref 30000 from {} lookup 17601", prefix(2));
        lab.router.batch(V6, &from);
        leaves(&lab, &daemon, 2, 1);
        lab.router.batch(V6, "rule del pref 30000");
        // Killed, and started again: nothing is made anew. Stopped: nothing stays.
        daemon.kill9();
        assert_eq!(rules(&lab), both);
        daemon.launch();
        daemon.wait_for_all("online");
        reaches(&lab, &daemon, 2, 2);
        assert_eq!(rules(&lab), both);
        daemon.terminate();
        assert_eq!(rules(&lab), []);
    });
}

#[test]
fn a_renumbered_prefix_is_followed() {
    in_lab(|| {
        let lab = lab();
        delegate(&lab, 2, 3);
        for number in [1, 2] {
            learn(&lab, number, number);
        }
        let daemon = online_with(&lab, &Settings::fast(&lab));
        reaches(&lab, &daemon, 2, 2);
        learn(&lab, 2, 3);
        reaches(&lab, &daemon, 3, 2);
        reaches(&lab, &daemon, 2, 2);
        route(&lab, "del", 2, 2);
        leaves(&lab, &daemon, 2, 1);
        reaches(&lab, &daemon, 3, 2);
        reaches(&lab, &daemon, 1, 1);
        assert_eq!(rules(&lab), [(32900, prefix(1)), (32915, prefix(3))]);
        // The other provider gets it.
        learn(&lab, 1, 2);
        leaves(&lab, &daemon, 2, 1);
        let all = [(32900, prefix(1)), (32900, prefix(2)), (32915, prefix(3))];
        assert_eq!(rules(&lab), all);
        // Several ways of one route are several providers': the best of them has it.
        let way = |number: usize| {
            let provider = lab.provider(number);
            let (gateway, device) = (provider.gateway_address(V6), &provider.device);
            format!("nexthop via {gateway} dev {device}")
        };
        let (from, ways) = (prefix(4), [way(1), way(2)].join(" "));
        lab.router
            .ip(&format!("route add ::/0 from {from} metric 600 {ways}"));
        leaves(&lab, &daemon, 4, 1);
        lab.upstream_dies(1);
        leaves(&lab, &daemon, 4, 2);
        let has = |pref| rules(&lab).contains(&(pref, prefix(4)));
        assert!(has(32915) && !has(32900), "{:?}", rules(&lab));
    });
}

#[test]
fn neither_a_metered_line_nor_one_without_a_table_takes_them() {
    in_lab(|| {
        let lab = lab();
        for number in [1, 2] {
            learn(&lab, number, number);
        }
        let settings = Settings::fast(&lab);
        let daemon = online_with(&lab, &settings);
        reaches(&lab, &daemon, 2, 2);
        let metered = settings
            .clone()
            .provider("isp2", "profile", "metered")
            .provider("isp2", "interval", "100ms")
            .provider("isp2", "timeout", "300ms");
        for other in [
            metered,
            settings.clone().provider("isp2", "rt_table", "none"),
        ] {
            daemon.configure(&other);
            daemon.must(&["reload"]);
            leaves(&lab, &daemon, 2, 1);
            daemon.wait_for_all("online");
            assert_eq!(rules(&lab), [(32900, prefix(1))]);
            daemon.configure(&settings);
            daemon.must(&["reload"]);
            reaches(&lab, &daemon, 2, 2);
        }
    });
}

/// `ipv6-prefix`, as netifd has it.
fn with_prefixes(mut status: Value, numbers: &[usize]) -> Value {
    let entry = |number: &usize| {
        let address = prefix(*number).replace("/56", "");
        json!({
            "address": address, "mask": 56, "preferred": 600, "valid": 1200, "class": "wan6",
            "assigned": {"lan": {"address": address.replace("::", ":1::"), "mask": 64}}
        })
    };
    status["ipv6-prefix"] = numbers.iter().map(entry).collect();
    status
}

#[test]
fn netifd_tells_prefixes_and_their_renumbering() {
    in_lab(|| {
        let lab = lab();
        delegate(&lab, 2, 3);
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        let both = Family::ALL.map(|family| lab.provider(2).gateway_address(family));
        let wanb = |numbers: &[usize]| with_prefixes(up("eth2", &both, true), numbers);
        let wan6 = |numbers: &[usize]| {
            let gateway = lab.provider(1).gateway_address(V6);
            with_prefixes(up("eth1", &[gateway], true), numbers)
        };
        set_interface(&daemon, "wan6", &wan6(&[1]));
        set_interface(&daemon, "wanb", &wanb(&[2]));
        daemon.launch();
        daemon.wait_for_all("online");
        reaches(&lab, &daemon, 1, 1);
        reaches(&lab, &daemon, 2, 2);
        // Another beside it; then the first goes.
        for (numbers, by) in [(&[2, 3][..], 2), (&[3], 1)] {
            set_interface(&daemon, "wanb", &wanb(numbers));
            daemon.must(&["refresh", "wanb"]);
            reaches(&lab, &daemon, 3, 2);
            leaves(&lab, &daemon, 2, by);
        }
        assert_eq!(rules(&lab), [(32900, prefix(1)), (32915, prefix(3))]);
        set_interface(&daemon, "wanb", &down("eth2"));
        daemon.must(&["refresh", "wanb"]);
        leaves(&lab, &daemon, 3, 1);
        set_interface(&daemon, "wanb", &wanb(&[3]));
        daemon.must(&["refresh", "wanb"]);
        reaches(&lab, &daemon, 3, 2);
    });
}

#[test]
fn of_more_than_fifteen_the_lowest_count_and_a_warning_says_so() {
    in_lab(|| {
        let lab = lab();
        let daemon = online_with(&lab, &Settings::fast(&lab));
        assert!(leads_in(&lab, 1, V6));
        for number in (2..18).rev() {
            learn(&lab, 2, number);
        }
        let all = |numbers: std::ops::Range<usize>| {
            let all = numbers.map(|number| (32915, prefix(number)));
            all.collect::<Vec<_>>()
        };
        let sorted = || {
            let mut rules = rules(&lab);
            rules.sort();
            rules
        };
        let crowded = || warning(&daemon).is_some_and(|text| text.contains("delegated"));
        assert!(wait_until(SOON, crowded), "{}", daemon.log());
        assert!(
            wait_until(SOON, || sorted() == all(2..17)),
            "{:?}",
            rules(&lab)
        );
        leaves(&lab, &daemon, 2, 2);
        route(&lab, "del", 2, 2);
        assert!(
            wait_until(SOON, || sorted() == all(3..18)),
            "{:?}",
            rules(&lab)
        );
        assert!(wait_until(SOON, || !crowded()), "{}", daemon.log());
    });
}

#[test]
fn option_prefix_overrides_what_is_learned() {
    in_lab(|| {
        let lab = lab();
        delegate(&lab, 2, 3);
        learn(&lab, 2, 2);
        let settings = Settings::fast(&lab).list("provider", "isp2", "prefix", &prefix(3));
        let daemon = online_with(&lab, &settings);
        reaches(&lab, &daemon, 3, 2);
        assert_eq!(rules(&lab), [(32915, prefix(3))]);
        leaves(&lab, &daemon, 2, 1);
        daemon.configure(&Settings::fast(&lab));
        daemon.must(&["reload"]);
        reaches(&lab, &daemon, 2, 2);
        assert_eq!(rules(&lab), [(32915, prefix(2))]);
    });
}

/// With the device of a provider goes what tells its prefix; hosts keep their addresses for a while.
#[test]
fn hosts_with_the_address_of_a_provider_that_is_gone_are_translated() {
    in_lab(|| {
        let lab = lab();
        for number in [1, 2] {
            learn(&lab, number, number);
        }
        let settings = Settings::fast(&lab).global("ipv6_foreign", "masquerade");
        let daemon = online_with(&lab, &settings);
        reaches(&lab, &daemon, 2, 2);
        lab.remove_device(2);
        leaves(&lab, &daemon, 2, 1);
        let from = Query::from(host(2).parse().unwrap());
        let by = || from.send(&lab.lan, target(V6)) == Outcome::By(1);
        assert!(wait_until(SOON, by), "{}", daemon.log());
        lab.insert_device(2);
        learn(&lab, 2, 2);
        route_back(&lab, 2, 2);
        daemon.wait_for("isp2", "ipv6", "online");
        let back = || from.send(&lab.lan, target(V6)) == Outcome::By(2);
        assert!(wait_until(SOON, back), "{}", daemon.log());
    });
}
