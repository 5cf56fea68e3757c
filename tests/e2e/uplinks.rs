//! Other uplinks than two cables with a gateway in each family.

use super::lab::rights::in_lab;
use super::lab::topology::{Kind, target};
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::query::{Outcome, Query, query};
use super::{OURS, SOON, TABLE, leads, leads_in, online, online_with};

/// Traffic of the LAN uses this provider in a family.
fn goes_by(lab: &Lab, daemon: &Daemon, family: Family, number: u8) {
    let so = || query(&lab.lan, target(family)) == Outcome::By(number);
    assert!(
        wait_until(SOON, so),
        "{family} not by isp{number}\n{}",
        daemon.log()
    );
}

/// Each provider fails and the other takes over; each can be pinned.
fn serves_like_any_other(lab: &Lab, daemon: &Daemon, families: &[Family]) {
    let all_by = |number| {
        for family in families {
            goes_by(lab, daemon, *family, number);
        }
    };
    all_by(1);
    lab.upstream_dies(1);
    all_by(2);
    lab.upstream_returns(1);
    all_by(1);
    daemon.must(&["use", "isp2"]);
    all_by(2);
    lab.upstream_dies(2);
    daemon.must(&["use", "auto"]);
    all_by(1);
    lab.upstream_returns(2);
    daemon.wait_for_all("online");
    for family in families {
        for number in [1_u8, 2] {
            let device = &lab.provider(usize::from(number)).device;
            let got = Query::by_device(device).send(&lab.router, target(*family));
            assert_eq!(got, Outcome::By(number), "{device} {family}");
        }
    }
}

/// A modem without gateway or ARP, on its own or beside a cable; everything is learned.
#[test]
fn point_to_point() {
    in_lab(|| {
        for (numbers, table, rt_table) in [
            (&[2][..], "176", "auto"),
            (&[1, 2], "176", "auto"),
            (&[1, 2], "main", "none"),
        ] {
            let build = |builder: super::lab::topology::Builder, &number: &usize| {
                builder.kind(number, Kind::PointToPoint)
            };
            let lab = numbers.iter().fold(Lab::builder(), build).build();
            lab.serve();
            let settings = Settings::fast(&lab)
                .global("table", table)
                .provider("isp1", "rt_table", rt_table)
                .provider("isp2", "rt_table", rt_table);
            let daemon = online_with(&lab, &settings);
            serves_like_any_other(&lab, &daemon, &Family::ALL);
            let table = if table == "main" { 254 } else { TABLE };
            for family in Family::ALL {
                let defaults = lab.router.defaults(family, table);
                for number in numbers {
                    let device = Some(lab.provider(*number).device.clone());
                    let route = defaults.iter().find(|route| route.dev == device).unwrap();
                    assert_eq!(route.via, None, "{route:?}");
                }
            }
        }
    });
}

/// It is deleted and created again, as by PPP.
#[test]
fn a_point_to_point_device_is_deleted_and_returns() {
    in_lab(|| {
        let lab = Lab::builder().kind(1, Kind::PointToPoint).build();
        lab.serve();
        let daemon = online(&lab);
        assert!(leads(&lab, 1));
        lab.remove_device(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        daemon.wait_for("isp1", "ipv4", "waiting");
        lab.insert_device(1);
        assert!(leads(&lab, 1), "{}", daemon.log());
        daemon.wait_for_all("online");
        for family in Family::ALL {
            goes_by(&lab, &daemon, family, 1);
        }
    });
}

/// The second provider has no IPv6: only the first serves IPv6, whatever happens, and both serve IPv4.
#[test]
fn a_provider_without_ipv6() {
    in_lab(|| {
        let lab = Lab::builder().only_ipv4(2).build();
        lab.serve();
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for("isp1", "ipv4", "online");
        daemon.wait_for("isp1", "ipv6", "online");
        daemon.wait_for("isp2", "ipv4", "online");
        assert_eq!(daemon.path_state("isp2", "ipv6"), "waiting");
        assert_eq!(daemon.status()["providers"][1]["state"], "online");
        lab.upstream_dies(1);
        assert!(leads_in(&lab, 2, Family::V4), "{}", daemon.log());
        daemon.wait_for("isp1", "ipv6", "offline");
        assert!(leads_in(&lab, 1, Family::V6), "{}", daemon.log());
        assert_eq!(lab.router.defaults(Family::V6, TABLE).len(), 1);
        daemon.must(&["use", "isp2"]);
        goes_by(&lab, &daemon, Family::V4, 2);
        daemon.must(&["use", "auto"]);
        lab.upstream_returns(1);
        goes_by(&lab, &daemon, Family::V4, 1);
        goes_by(&lab, &daemon, Family::V6, 1);
    });
}

/// Only the family that has checks is managed; the other is left as it is.
#[test]
fn one_family_only() {
    in_lab(|| {
        for (family, other, check) in [
            (Family::V4, Family::V6, "google6"),
            (Family::V6, Family::V4, "google"),
        ] {
            let lab = Lab::new();
            lab.serve();
            lab.learn_default(1, other, "static", 100);
            let mut settings = Settings::fast(&lab);
            for option in ["type", "target"] {
                settings = settings.without("check", check, option);
            }
            // An empty section would be an error: it is removed.
            let text = settings
                .to_string()
                .replace(&format!("config check '{check}'\n"), "");
            let daemon = Daemon::prepare(&lab.router, &settings);
            let globals = format!(
                "config globals 'globals'\n\toption state_dir '{}'\n\toption sticky_file '{}'\n",
                daemon.file("state").display(),
                daemon.sticky_file().display()
            );
            daemon.configure_raw(&text.replace("config globals 'globals'\n", &globals));
            let mut daemon = daemon;
            daemon.launch();
            daemon.wait_for_all("online");
            let states = daemon.path_states();
            assert_eq!(states.len(), 2, "{states:?}");
            assert!(states.iter().all(|(_, of, _)| *of == family.to_string()));
            assert!(daemon.status()["active"][other.to_string()].is_null());
            let ours = lab
                .router
                .rules(other)
                .iter()
                .any(|rule| rule.protocol == OURS);
            assert!(!ours, "{:?}", lab.router.rules(other));
            for table in [TABLE, 17601, 17602] {
                assert!(lab.router.routes(other, table).is_empty());
            }
            lab.upstream_dies(1);
            goes_by(&lab, &daemon, family, 2);
            assert_eq!(query(&lab.lan, target(other)), Outcome::Lost);
            daemon.must(&["use", "isp2"]);
            assert_eq!(lab.router.defaults(other, 254).len(), 1);
        }
    });
}

/// A provider without a check, beside one with a check, counts as online while it has carrier.
#[test]
fn unchecked_in_one_family() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let settings = Settings::fast(&lab).list("provider", "isp2", "check", "google");
        let daemon = online_with(&lab, &settings);
        let reason = daemon.status()["providers"][1]["paths"][1]["reason"].clone();
        assert_eq!(reason, "unchecked", "{:#}", daemon.status());
        lab.upstream_dies(1);
        goes_by(&lab, &daemon, Family::V6, 2);
        lab.upstream_returns(1);
        goes_by(&lab, &daemon, Family::V6, 1);
        lab.pull_cable(2);
        daemon.wait_for("isp2", "ipv6", "waiting");
        lab.plug_cable(2);
        daemon.wait_for("isp2", "ipv6", "online");
    });
}

/// The same link-local gateway on both devices, as is common.
fn link_local(lab: &Lab, settings: &Settings) {
    lab.serve();
    let daemon = online_with(lab, settings);
    for number in [1, 2] {
        let device = Some(lab.provider(number).device.clone());
        let defaults = lab.router.defaults(Family::V6, TABLE);
        let route = defaults.iter().find(|route| route.dev == device);
        let via = route.and_then(|route| route.via.as_deref());
        assert_eq!(via, Some("fe80::1"), "{defaults:?}");
    }
    serves_like_any_other(lab, &daemon, &[Family::V6]);
}

#[test]
fn link_local_gateways_by_configuration() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::learning(&lab)
            .list("provider", "isp1", "gateway", "fe80::1")
            .list("provider", "isp2", "gateway", "fe80::1")
            .list("provider", "isp1", "gateway", "192.0.2.1")
            .list("provider", "isp2", "gateway", "192.0.2.65");
        link_local(&lab, &settings);
    });
}

#[test]
fn link_local_gateways_by_router_advertisement() {
    in_lab(|| {
        let lab = Lab::new();
        for number in [1, 2] {
            lab.learn_default(
                number,
                Family::V4,
                "dhcp",
                10 + u32::try_from(number).unwrap(),
            );
        }
        // The kernel gives both metric 1024 if they come from router advertisements; `ip` would merge them.
        lab.learn_default_via(1, "fe80::1".parse().unwrap(), "ra", 1024);
        lab.learn_default_via(2, "fe80::1".parse().unwrap(), "ra", 1025);
        link_local(&lab, &Settings::learning(&lab));
    });
}

/// Two modems with the same gateway and the same own address, behind NAT or not.
#[test]
fn equal_addresses_serve_like_any_others() {
    in_lab(|| {
        for (nat, table, rt_table) in [
            (false, "176", "auto"),
            (true, "176", "none"),
            (true, "main", "auto"),
            (false, "main", "none"),
        ] {
            let builder = Lab::builder().same_addresses();
            let lab = if nat { builder.nat() } else { builder }.build();
            lab.serve();
            let settings = Settings::fast(&lab)
                .global("table", table)
                .provider("isp1", "rt_table", rt_table)
                .provider("isp2", "rt_table", rt_table);
            let daemon = online_with(&lab, &settings);
            serves_like_any_other(&lab, &daemon, &Family::ALL);
            lab.pull_cable(1);
            goes_by(&lab, &daemon, Family::V4, 2);
            lab.plug_cable(1);
            goes_by(&lab, &daemon, Family::V4, 1);
        }
    });
}
