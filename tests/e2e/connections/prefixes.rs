//! IPv6 prefixes that providers delegate: each provider routes its own, and drops what comes from others.

use super::*;
use crate::lab::rights::in_lab;

/// Each LAN address leaves by its provider; and by the other one, translated, while that does not work.
fn sources(lab: &Lab, daemon: &Daemon, by: [u8; 2]) {
    for (source, by) in [1, 2].into_iter().zip(by) {
        lab.lan_prefers(source);
        let right = || {
            let session = Session::open(&lab.lan, target(Family::V6));
            session.is_ok_and(|session| session.by == by)
        };
        assert!(
            wait_until(SOON, right),
            "prefix of isp{source} not by isp{by}\n{}",
            daemon.log()
        );
    }
}

#[test]
fn each_address_leaves_by_its_provider_while_that_works() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        let daemon = begin(&lab, &staying(&lab));
        sources(&lab, &daemon, [1, 2]);
        first_dies(&lab, &daemon);
        sources(&lab, &daemon, [2, 2]);
        first_returns(&lab, &daemon);
        sources(&lab, &daemon, [1, 2]);
        daemon.must(&["use", "isp1"]);
        sources(&lab, &daemon, [1, 1]);
        daemon.must(&["use", "isp2"]);
        sources(&lab, &daemon, [2, 2]);
    });
}

/// As a DHCPv6 client or odhcp6c sets them: `default from PREFIX`.
#[test]
fn prefixes_are_learned_from_routes() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        let settings = Settings::fast(&lab).global("connections", "stay");
        for provider in &lab.providers {
            let (prefix, device) = (Provider::in_prefix(provider.number, 0), &provider.device);
            let gateway = provider.gateway_address(Family::V6);
            lab.router.ip(&format!(
                "route add default from {prefix}/64 via {gateway} dev {device} proto static metric 512"
            ));
        }
        let daemon = begin(&lab, &settings);
        sources(&lab, &daemon, [1, 2]);
        first_dies(&lab, &daemon);
        sources(&lab, &daemon, [2, 2]);
        first_returns(&lab, &daemon);
        sources(&lab, &daemon, [1, 2]);
    });
}

/// Its prefix is told by the option, or by the kernel alone.
#[test]
fn that_of_a_provider_that_is_not_enabled_is_anothers() {
    for is_configured in [true, false] {
        in_lab(|| {
            let (lab, _services) = household(Nat::Masquerade);
            let settings = match is_configured {
                true => staying(&lab),
                false => {
                    let provider = lab.provider(1);
                    let gateway = provider.gateway_address(Family::V6);
                    lab.router.ip(&format!(
                        "route add default from {}/64 via {gateway} dev {} proto static metric 512",
                        Provider::in_prefix(1, 0),
                        provider.device
                    ));
                    Settings::fast(&lab).global("connections", "stay")
                }
            };
            let settings = settings.provider("isp1", "enabled", "0");
            let daemon = online_with(&lab, &settings);
            has_table(&lab, &daemon);
            sources(&lab, &daemon, [2, 2]);
        });
    }
}

#[test]
fn translation_of_other_prefixes_can_be_switched_off() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        let settings = staying(&lab).global("ipv6_foreign", "off");
        let daemon = begin(&lab, &settings);
        sources(&lab, &daemon, [1, 2]);
        first_dies(&lab, &daemon);
        lab.lan_prefers(1);
        let session = Session::open(&lab.lan, target(Family::V6));
        assert!(session.is_err(), "{session:?}");
    });
}

/// An address of the LAN that no provider has delegated is never translated.
#[test]
fn an_unknown_source_is_not_translated() {
    in_lab(|| {
        let lab = Lab::builder().tracks().build().carrying();
        let _services = Services::everywhere(&lab);
        let daemon = begin(&lab, &staying(&lab));
        let session = Session::open(&lab.lan, target(Family::V6)).unwrap();
        let port = format!("dport={} ", session.local().port());
        let reply = format!("dst={} ", expanded(session.local().ip()));
        let entries = lab.entries(&["ipv6", &port]);
        assert!(entries[0].contains(&reply), "{entries:?}\n{}", daemon.log());
    });
}

/// As the kernel prints it there.
fn expanded(address: IpAddr) -> String {
    let IpAddr::V6(address) = address else {
        return address.to_string();
    };
    let parts = address.segments().map(|part| format!("{part:04x}"));
    parts.join(":")
}
