//! Neighbours in an uplink's network: reached as `main` says, on the link or by the gateway.

use std::net::IpAddr;

use failover::types::{Prefix, network_of};
use serde_json::Value;

use super::lab::rights::in_lab;
use super::lab::uplink::Addresses;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, leads, online_with};

/// The kernel's way to an address: its device, and its gateway if there is one.
fn way(lab: &Lab, target: &str, words: &[&str]) -> (String, Option<String>) {
    let mut command = vec!["ip", "-json", "route", "get", target];
    command.extend(words);
    let told = lab.router.output(&command).stdout;
    let told: Value = serde_json::from_slice(&told).unwrap_or_default();
    let text = |key: &str| told[0][key].as_str().map(str::to_owned);
    (text("dev").unwrap_or_default(), text("gateway"))
}

/// A host beside the router in a provider's network.
fn neighbour(lab: &Lab, number: usize, family: Family) -> String {
    match lab.provider(number).own(family) {
        IpAddr::V4(own) => Addresses::further_v4(own, 27).to_string(),
        IpAddr::V6(own) => format!("{own}9"),
    }
}

fn network(lab: &Lab, number: usize, family: Family) -> Prefix {
    let length = if family == Family::V4 { 26 } else { 64 };
    network_of(Prefix::new(lab.provider(number).own(family).into(), length))
}

/// Waits until a provider's neighbours are reached by a gateway or directly: from its address, by a socket that is bound to
/// its device, and both.
fn reaches_neighbours(lab: &Lab, daemon: &Daemon, number: usize, gateway_of: Option<usize>) {
    for family in Family::ALL {
        let (neighbour, provider) = (neighbour(lab, number, family), lab.provider(number));
        let (own, device) = (provider.own(family).to_string(), &*provider.device);
        let gateway = gateway_of.map(|number| match (number, family) {
            (1, Family::V6) => "fe80::1".to_owned(),
            _ => provider.gateway_address(family).to_string(),
        });
        let expected = (device.to_owned(), gateway);
        for words in [
            &["oif", device][..],
            &["from", &own],
            &["from", &own, "oif", device],
        ] {
            let found = || way(lab, &neighbour, words);
            assert!(
                wait_until(SOON, || found() == expected),
                "{neighbour} {words:?}: {:?}\n{}",
                found(),
                daemon.log()
            );
        }
    }
}

fn drop_network(lab: &Lab, number: usize) {
    for family in Family::ALL {
        let network = network(lab, number, family);
        let line = format!("route del {network} dev eth{number}");
        lab.router.batch(family, &line);
    }
}

/// As by a router advertisement whose prefix is not on the link, or an address with `noprefixroute`.
#[test]
fn hosts_of_a_network_without_a_route_are_reached_by_the_gateway() {
    in_lab(|| {
        let lab = Lab::new();
        let line = "route add default via 192.0.2.1 dev eth1 metric 10
             route add default via 192.0.2.65 dev eth2 metric 20 onlink";
        lab.router.batch(Family::V4, line);
        let line = "route add default via fe80::1 dev eth1 metric 10
             route add default via 2001:db8:2::1 dev eth2 metric 20 onlink";
        lab.router.batch(Family::V6, line);
        drop_network(&lab, 1);
        let mut daemon = online_with(&lab, &Settings::learning(&lab));
        reaches_neighbours(&lab, &daemon, 1, Some(1));
        reaches_neighbours(&lab, &daemon, 2, None);
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        reaches_neighbours(&lab, &daemon, 1, Some(1));
        reaches_neighbours(&lab, &daemon, 2, None);
        // While the daemon runs.
        drop_network(&lab, 2);
        reaches_neighbours(&lab, &daemon, 2, Some(2));
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        reaches_neighbours(&lab, &daemon, 1, Some(1));
        // Its networks come back.
        for number in [1, 2] {
            for family in Family::ALL {
                let network = network(&lab, number, family);
                let line = format!("route add {network} dev eth{number}");
                lab.router.batch(family, &line);
            }
            reaches_neighbours(&lab, &daemon, number, None);
        }
    });
}

/// Of two uplinks with equal networks, `main` has both: a socket that is bound to a device finds its own.
#[test]
fn hosts_of_equal_networks_are_told_apart_by_device() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().build();
        for (number, metric) in [(1, 10), (2, 20)] {
            for family in Family::ALL {
                lab.learn_default(number, family, "static", metric);
            }
        }
        let mut daemon = online_with(&lab, &Settings::learning(&lab));
        for again in [false, true] {
            if again {
                daemon.kill9();
                daemon.launch();
                daemon.wait_for_all("online");
            }
            for number in [1, 2] {
                for family in Family::ALL {
                    let (device, host) = (format!("eth{number}"), neighbour(&lab, 1, family));
                    let gateway = lab.provider(1).gateway_address(family).to_string();
                    for host in [host, gateway] {
                        let found = way(&lab, &host, &["oif", &device]);
                        assert_eq!(found, (device.clone(), None), "{}", daemon.log());
                    }
                }
            }
        }
        drop_network(&lab, 2);
        for family in Family::ALL {
            let gateway = lab.provider(2).gateway_address(family).to_string();
            let found = way(&lab, &neighbour(&lab, 2, family), &["oif", "eth2"]);
            assert_eq!(found, ("eth2".to_owned(), Some(gateway)));
        }
    });
}

/// A network that the configuration names is reached without the gateway, whatever `main` has.
#[test]
fn a_configured_network_is_on_the_link() {
    in_lab(|| {
        let lab = Lab::new();
        let mut settings = Settings::fast(&lab);
        for family in Family::ALL {
            let network = network(&lab, 1, family).to_string();
            settings = settings.list("provider", "isp1", "network", &network);
        }
        let daemon = online_with(&lab, &settings);
        drop_network(&lab, 1);
        reaches_neighbours(&lab, &daemon, 1, None);
    });
}
