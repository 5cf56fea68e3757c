//! Providers that only delegate an IPv6 prefix: the source address of probes is on another device.

use serde_json::json;

use super::inspect::path;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, wait_until};
use super::netifd::{all_is_up, prepared, set_interface, settings, up};
use super::{SOON, leads};

/// An uplink without a global address of its own: the provider delegates a prefix, which is in use in the LAN.
#[test]
fn a_delegated_prefix_is_enough_for_ipv6() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        let own = lab.provider(1).own(Family::V6);
        lab.router.ip(&format!(
            "addr del {own}/64 dev eth1\naddr add {own}/128 dev lan0 nodad"
        ));
        let gateway = lab.provider(1).gateway_address(Family::V6);
        let mut status = up("eth1", &[gateway], true);
        daemon.launch();
        set_interface(&daemon, "wan6", &status);
        daemon.must(&["refresh", "wan6"]);
        let so = || path(&daemon.status(), "isp1", "ipv6")["reason"] == "no address";
        assert!(
            wait_until(SOON, so),
            "{:#}\n{}",
            daemon.status(),
            daemon.log()
        );
        status["ipv6-prefix"] = json!([{"address": own.to_string(), "mask": 64, "assigned": {}}]);
        set_interface(&daemon, "wan6", &status);
        daemon.must(&["refresh", "wan6"]);
        let so = || {
            let status = daemon.status();
            let path = path(&status, "isp1", "ipv6");
            path["address"] == own.to_string() && path["reason"].is_null()
        };
        assert!(
            wait_until(SOON, so),
            "{:#}\n{}",
            daemon.status(),
            daemon.log()
        );
    });
}

/// Such a provider routes the prefix to the router's link-local address, and drops packets with other source addresses.
/// The prefix is used on the LAN bridge, and may change at any time.
#[test]
fn with_a_delegated_prefix_only_it_is_online() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        let own = lab.provider(1).own(Family::V6);
        lab.router.ip(&format!(
            "addr del {own}/64 dev eth1
             addr add fe80::2/64 dev eth1 nodad
             link add br-lan type bridge
             link set lan0 master br-lan
             link set br-lan up"
        ));
        let isp = |lines: &str| {
            let gateway = &lab.provider(1).gateway;
            gateway.feed(&["ip", "-6", "-batch", "-"], lines);
        };
        let delegate = |daemon: &Daemon, prefix: &str, address: &str| {
            isp(&format!(
                "rule add pref 11 from {prefix} iif line lookup main
                 rule add pref 12 iif line blackhole
                 route add {prefix} via fe80::2 dev line"
            ));
            lab.router.ip(&format!(
                "addr add {address}/64 dev br-lan nodad
                 route add unreachable {prefix} proto static metric 4294967295
                 route add ::/0 from {prefix} via fe80::1 dev eth1 proto static metric 512"
            ));
            let mut status = up("eth1", &["fe80::1".parse().unwrap()], true);
            let (base, length) = prefix.split_once('/').unwrap();
            status["route"][0]["source"] = json!(prefix);
            status["ipv6-prefix"] = json!([{
                "address": base, "mask": length.parse::<u8>().unwrap(), "preferred": 600, "valid": 1200, "class": "wan6",
                "assigned": {"lan": {"address": base, "mask": 60}}
            }]);
            set_interface(daemon, "wan6", &status);
        };
        delegate(&daemon, "2001:db8:f00::/56", "2001:db8:f00:1::1");
        daemon.launch();
        let is_online_as = |address: &str| {
            let status = daemon.status();
            let path = path(&status, "isp1", "ipv6");
            path["state"] == "online" && path["address"] == address
        };
        let so = || is_online_as("2001:db8:f00:1::1");
        assert!(wait_until(SOON, so), "{}", daemon.log());
        assert!(leads(&lab, 1), "{}", daemon.log());

        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());

        // It is renewed with another prefix.
        isp("rule del pref 11
             rule del pref 12
             route del 2001:db8:f00::/56 dev line");
        lab.router.ip("addr del 2001:db8:f00:1::1/64 dev br-lan");
        delegate(&daemon, "2001:db8:e00::/56", "2001:db8:e00:1::1");
        daemon.must(&["refresh", "wan6"]);
        let so = || is_online_as("2001:db8:e00:1::1");
        assert!(wait_until(SOON, so), "{}", daemon.log());
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}
