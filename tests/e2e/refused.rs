//! What the kernel refuses is told by its name, and holds nothing else up.

use serde_json::Value;

use super::inspect::{counter, path};
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, query};
use super::{OURS, SOON, TABLE, leads, leads_in};

/// The one that no kernel sends anything by: the broadcast address of the network; in IPv6 the router's own.
fn impossible(lab: &Lab, number: usize) -> [String; 2] {
    let addresses = lab.provider(number).addresses();
    let length = u32::from(addresses.prefix_v4);
    let broadcast = addresses.own_v4.to_bits() | (u32::MAX >> length);
    [
        std::net::Ipv4Addr::from_bits(broadcast).to_string(),
        addresses.own_v6.to_string(),
    ]
}

fn with_gateways(settings: Settings, id: &str, gateways: &[String; 2]) -> Settings {
    let settings = settings.without("provider", id, "gateway");
    let add =
        |settings: Settings, gateway: &String| settings.list("provider", id, "gateway", gateway);
    gateways.iter().fold(settings, add)
}

/// The texts of the warnings with this code.
fn warnings(daemon: &Daemon, code: &str) -> Vec<String> {
    let status = daemon.status();
    let all = status["warnings"].as_array().cloned().unwrap_or_default();
    let told = all.iter().filter(|warning| warning["code"] == code);
    told.map(|warning| format!("{}: {}", warning["provider"], warning["text"]))
        .collect()
}

/// Both default routes of this provider are told of as refused, each once.
fn told(daemon: &Daemon, id: &str, device: &str, gateways: &[String; 2]) {
    let mut last = Vec::new();
    let all = wait_until(SOON, || {
        last = warnings(daemon, "route-refused");
        last.len() == 2
            && gateways.iter().all(|gateway| {
                let way = format!("default via {gateway} dev {device} metric 1");
                let so = |text: &&String| {
                    text.contains(id) && text.contains(&way) && text.contains("invalid argument")
                };
                last.iter().filter(so).count() == 1
            })
    });
    assert!(all, "{last:?}\n{}", daemon.log());
}

fn states(daemon: &Daemon, id: &str) -> Vec<Value> {
    let status = daemon.status();
    let state = |family: Family| path(&status, id, family.name())["state"].clone();
    Family::ALL.map(state).to_vec()
}

fn refusing(lab: &Lab) -> [usize; 2] {
    Family::ALL.map(|family| {
        let rules = lab.router.rules(family);
        rules
            .iter()
            .filter(|rule| rule.action.as_deref() == Some("unreachable"))
            .count()
    })
}

/// The traffic of the LAN and of the router goes by the provider in both families.
fn goes_by(lab: &Lab, daemon: &Daemon, number: u8) {
    let device = Some(lab.provider(number.into()).device.clone());
    for family in Family::ALL {
        let target = target(family);
        let so = || {
            lab.router.way(&target.to_string(), &[]) == device
                && query(&lab.lan, target) == Outcome::By(number)
        };
        assert!(wait_until(SOON, so), "{family}\n{}", daemon.log());
    }
}

#[test]
fn an_outage_beside_a_refused_route_ends() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let right = Settings::fast(&lab).global("last_resort", "unreachable");
        let gateways = impossible(&lab, 1);
        let daemon = Daemon::start(
            &lab.router,
            &with_gateways(right.clone(), "isp1", &gateways),
        );
        told(&daemon, "isp1", "eth1", &gateways);
        assert_eq!(states(&daemon, "isp1"), ["waiting", "waiting"]);
        let status = daemon.status();
        assert_eq!(path(&status, "isp1", "ipv4")["reason"], "route refused");
        assert_eq!(path(&status, "isp1", "ipv4")["installed"], false);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for _ in 0..2 {
            lab.upstream_dies(2);
            daemon.wait_for("isp2", "ipv4", "offline");
            daemon.wait_for("isp2", "ipv6", "offline");
            assert!(
                wait_until(SOON, || refusing(&lab) == [1, 1]),
                "{}",
                daemon.log()
            );
            lab.upstream_returns(2);
            goes_by(&lab, &daemon, 2);
            assert!(
                wait_until(SOON, || refusing(&lab) == [0, 0]),
                "{}",
                daemon.log()
            );
        }
        let active = &daemon.status()["active"];
        assert!(active["ipv4"] == "isp2" && active["ipv6"] == "isp2");
        let explained = daemon.must(&["explain", "isp1"]);
        assert!(
            explained.contains("the kernel accepts its route"),
            "{explained}"
        );
        // Each is told once, and none of it is a repair.
        let log = daemon.whole_log();
        assert_eq!(log.matches("the kernel refuses").count(), 2, "{log}");
        assert_eq!(counter(&daemon, "repairs"), 0, "{log}");
        daemon.configure(&right);
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
        let mended = || warnings(&daemon, "route-refused").is_empty();
        assert!(wait_until(SOON, mended), "{}", daemon.status());
        goes_by(&lab, &daemon, 1);
    });
}

/// What is ours and leads by this device, or to its policy table.
fn left_of(lab: &Lab, device: &str, table: u32) -> usize {
    let of_family = |family| {
        let tables = [TABLE, table].into_iter();
        let routes = tables.flat_map(|table| lab.router.routes(family, table));
        let routes =
            routes.filter(|route| route.protocol == OURS && route.dev.as_deref() == Some(device));
        let rules = lab.router.rules(family).into_iter();
        let rules =
            rules.filter(|rule| rule.oif.as_deref() == Some(device) || rule.table == Some(table));
        routes.count() + rules.count()
    };
    Family::ALL.into_iter().map(of_family).sum()
}

#[test]
fn a_provider_is_removed_beside_a_refused_route() {
    in_lab(|| {
        let lab = Lab::builder().providers(3).build();
        let gateways = impossible(&lab, 2);
        let all = with_gateways(Settings::fast(&lab), "isp2", &gateways);
        let daemon = Daemon::start(&lab.router, &all);
        told(&daemon, "isp2", "eth2", &gateways);
        assert!(leads(&lab, 1), "{}", daemon.log());
        assert!(left_of(&lab, "eth3", 17603) >= 10);
        daemon.configure(&all.provider("isp3", "enabled", "0"));
        daemon.must(&["reload"]);
        let gone = || left_of(&lab, "eth3", 17603) == 0;
        assert!(
            wait_until(SOON, gone),
            "{:?}\n{}",
            lab.router.rules(Family::V4),
            daemon.log()
        );
        told(&daemon, "isp2", "eth2", &gateways);
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}

/// In IPv4 only one of another device is refused. Not even when it is pinned a provider without a route carries anything.
#[test]
fn a_gateway_that_is_an_address_of_ours_carries_nothing() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let gateways = ["198.51.100.129".to_owned(), "2001:db8:1::1".to_owned()];
        let take = |verb: &str| {
            let [v4, v6] = &gateways;
            lab.router.ip(&format!(
                "addr {verb} {v4}/32 dev lan0\naddr {verb} {v6}/128 dev lan0 nodad\n"
            ));
        };
        take("add");
        let settings = with_gateways(Settings::fast(&lab), "isp1", &gateways);
        let daemon = Daemon::start(&lab.router, &settings);
        told(&daemon, "isp1", "eth1", &gateways);
        assert!(leads(&lab, 2), "{}", daemon.log());
        daemon.must(&["use", "isp1"]);
        goes_by(&lab, &daemon, 2);
        daemon.must(&["use", "auto"]);
        take("del");
        let accepted = || warnings(&daemon, "route-refused").is_empty();
        assert!(wait_until(SOON, accepted), "{}", daemon.status());
        daemon.wait_for("isp1", "ipv6", "online");
        assert!(leads_in(&lab, 1, Family::V6), "{}", daemon.log());
    });
}
