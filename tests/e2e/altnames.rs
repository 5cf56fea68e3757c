//! Devices that the configuration calls by an alternative name (`ip link property add dev eth1 altname NAME`).

use super::explain::explanation;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{OURS, SOON, leads, online_with};

/// As udev makes it of an address.
const SHORT: &str = "enxaabbccddeeff";
/// Longer than any name in the kernel.
const LONG: &str = "wlp0s20f3-the-uplink-by-radio-of-the-house-across-the-street-63";

/// isp1 by a short name, isp2 by a long one.
fn settings(lab: &Lab) -> Settings {
    assert_eq!((SHORT.len(), LONG.len()), (15, 63));
    Settings::fast(lab)
        .provider("isp1", "device", SHORT)
        .provider("isp2", "device", LONG)
}

fn altname(lab: &Lab, verb: &str, device: &str, name: &str) {
    lab.router
        .ip(&format!("link property {verb} dev {device} altname {name}"));
}

/// The devices of our `oif` rules in a family.
fn bound(lab: &Lab, family: Family) -> Vec<String> {
    let rules = lab.router.rules(family);
    let ours = rules.into_iter().filter(|rule| rule.protocol == OURS);
    ours.filter_map(|rule| rule.oif).collect()
}

/// The devices that the status shows of a provider.
fn shown(daemon: &Daemon, provider: usize) -> Vec<String> {
    let status = daemon.status();
    let paths = status["providers"][provider - 1]["paths"].as_array();
    let device = |path: &serde_json::Value| path["device"].as_str().map(str::to_owned);
    paths.into_iter().flatten().filter_map(device).collect()
}

#[test]
fn are_found_and_followed() {
    in_lab(|| {
        let lab = Lab::new();
        altname(&lab, "add", "eth1", "enp1s0");
        altname(&lab, "add", "eth1", SHORT);
        altname(&lab, "add", "eth2", LONG);
        let daemon = online_with(&lab, &settings(&lab));
        assert!(leads(&lab, 1));
        for number in [1, 2] {
            let device = format!("eth{number}");
            assert_eq!(shown(&daemon, number), [&*device, &*device]);
        }
        for family in Family::ALL {
            assert_eq!(bound(&lab, family), ["eth1", "eth2"]);
        }
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        lab.upstream_returns(1);
        daemon.wait_for_all("online");

        for provider in ["isp1", "isp2"] {
            daemon.must(&["probe", provider, "--count", "1"]);
        }

        // The name goes, and comes back to the device.
        altname(&lab, "del", "eth2", LONG);
        for family in ["ipv4", "ipv6"] {
            daemon.wait_for("isp2", family, "waiting");
        }
        assert_eq!(shown(&daemon, 2), [LONG, LONG]);
        let whole = explanation(&daemon, "isp2", Family::V4);
        let sentence = format!("as soon as there is a device {LONG}: `ip link` shows");
        assert!(whole.contains(&sentence), "{whole}");
        let gone = || bound(&lab, Family::V4) == ["eth1"];
        assert!(wait_until(SOON, gone), "{:?}", bound(&lab, Family::V4));
        altname(&lab, "add", "eth2", LONG);
        daemon.wait_for_all("online");
        assert_eq!(shown(&daemon, 2), ["eth2", "eth2"]);
    });
}

/// The device keeps its alternative name, and its rules get the new one.
#[test]
fn outlive_the_name_in_the_kernel() {
    in_lab(|| {
        let lab = Lab::new();
        altname(&lab, "add", "eth1", SHORT);
        altname(&lab, "add", "eth2", LONG);
        let daemon = online_with(&lab, &settings(&lab));
        // While it is up, since Linux 6.3.
        let live = ["ip", "link", "set", "eth1", "name", "cable"];
        if lab.router.output(&live).status.success() {
            let so = || shown(&daemon, 1) == ["cable", "cable"];
            assert!(wait_until(SOON, so), "{:?}", shown(&daemon, 1));
            daemon.wait_for_all("online");
            let so = || bound(&lab, Family::V4) == ["cable", "eth2"];
            assert!(wait_until(SOON, so), "{:?}", bound(&lab, Family::V4));
            lab.router.ip("link set cable name eth1");
        }
        lab.router.ip("link set eth2 down");
        daemon.wait_for("isp2", "ipv4", "waiting");
        lab.router.ip("link set eth2 name radio");
        lab.router.ip("link set radio up");
        for family in Family::ALL {
            let own = lab.provider(2).own(family);
            let length = if family == Family::V4 { 26 } else { 64 };
            let gone = lab
                .router
                .output(&["ip", "address", "show", "dev", "radio"]);
            if !String::from_utf8_lossy(&gone.stdout).contains(&own.to_string()) {
                let nodad = if family == Family::V4 { "" } else { " nodad" };
                lab.router
                    .ip(&format!("address add {own}/{length} dev radio{nodad}"));
            }
        }
        daemon.wait_for_all("online");
        assert_eq!(shown(&daemon, 2), ["radio", "radio"]);
        for family in Family::ALL {
            let so = || bound(&lab, family) == ["eth1", "radio"];
            assert!(wait_until(SOON, so), "{:?}", bound(&lab, family));
        }
    });
}

/// Two devices change places: the name moves, while both are watched or while one is not.
#[test]
fn move_to_another_device() {
    in_lab(|| {
        let lab = Lab::builder().providers(3).build();
        altname(&lab, "add", "eth1", LONG);
        let settings = Settings::fast(&lab)
            .provider("isp1", "device", LONG)
            .without("provider", "isp1", "gateway")
            .provider("isp3", "enabled", "0");
        for family in Family::ALL {
            for number in [1, 3] {
                lab.learn_default(number, family, "dhcp", 200 + u32::try_from(number).unwrap());
            }
        }
        let daemon = Daemon::start(&lab.router, &settings);
        for provider in ["isp1", "isp2"] {
            for family in ["ipv4", "ipv6"] {
                daemon.wait_for(provider, family, "online");
            }
        }
        altname(&lab, "del", "eth1", LONG);
        altname(&lab, "add", "eth3", LONG);
        let moved = || shown(&daemon, 1) == ["eth3", "eth3"];
        assert!(wait_until(SOON, moved), "{:?}", shown(&daemon, 1));
        for family in ["ipv4", "ipv6"] {
            daemon.wait_for("isp1", family, "online");
        }
    });
}

/// A default route by the device of a provider is none that is set by hand, whatever name the provider has for the device, and
/// whether it is in use.
#[test]
fn are_those_of_a_provider_for_routes_in_main() {
    in_lab(|| {
        let lab = Lab::builder().providers(3).build();
        altname(&lab, "add", "eth3", LONG);
        lab.learn_default(3, Family::V4, "static", 50);
        let settings = Settings::fast(&lab)
            .provider("isp3", "device", LONG)
            .provider("isp3", "enabled", "0");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for("isp1", "ipv4", "online");
        assert!(daemon.status()["overridden_by"]["ipv4"].is_null());
        assert_eq!(daemon.status()["active"]["ipv4"], "isp1");
        altname(&lab, "del", "eth3", LONG);
        let prevails = || daemon.status()["overridden_by"]["ipv4"]["device"] == "eth3";
        assert!(wait_until(SOON, prevails), "{:#}", daemon.status());
        altname(&lab, "add", "eth3", LONG);
        let over = || daemon.status()["overridden_by"]["ipv4"].is_null();
        assert!(wait_until(SOON, over), "{:#}", daemon.status());
    });
}
