//! The daemon asks the kernel by which route packets leave, and warns of other programs that divert the traffic, or the
//! replies. The expected value is the kernel's own answer, as `ip route get` shows it.

use serde_json::{Value, json};

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, online, online_with};

const VPN: &str = "vpn0";

/// A router that has a VPN's device as well.
fn lab_with_vpn(lab: Lab) -> Lab {
    lab.router.ip(&format!(
        "link add {VPN} type veth peer name far0
         link set {VPN} up
         link set far0 up"
    ));
    lab
}

/// The rules that wg-quick adds and deletes for `AllowedIPs = 0.0.0.0/0, ::/0`: they precede all others.
fn full_tunnel(lab: &Lab, family: Family, verb: &str) {
    lab.router.batch(
        family,
        &format!(
            "route {verb} default dev {VPN} table 51820
             rule {verb} not fwmark 51820 table 51820
             rule {verb} table main suppress_prefixlength 0"
        ),
    );
}

fn warnings(daemon: &Daemon, code: &str) -> Vec<Value> {
    let status = daemon.status();
    let all = status["warnings"].as_array().cloned().unwrap_or_default();
    let of = |warning: &Value| warning["code"] == code;
    all.into_iter().filter(of).collect()
}

/// The warning `diverted` of a family, once there is one.
fn diverted(daemon: &Daemon, family: Family) -> Value {
    let mut found = None;
    let told = wait_until(SOON, || {
        let of = |warning: &Value| warning["family"] == family.to_string();
        found = warnings(daemon, "diverted").into_iter().find(of);
        found.is_some()
    });
    assert!(told, "{:#}\n{}", daemon.status(), daemon.log());
    found.unwrap()
}

fn nothing_is_diverted(daemon: &Daemon) {
    let gone = || warnings(daemon, "diverted").is_empty();
    assert!(wait_until(SOON, gone), "{:#}", daemon.status());
}

fn way(lab: &Lab, family: Family) -> Option<String> {
    lab.router.way(&target(family).to_string(), &[])
}

/// The preference of the only rule that looks a table up.
fn preference(lab: &Lab, family: Family, table: u32) -> u32 {
    let rules = lab.router.rules(family).into_iter();
    let mut of_table = rules.filter(|rule| rule.table == Some(table));
    let pref = of_table.next().expect("there is one").pref;
    assert_eq!(of_table.next(), None);
    pref
}

#[test]
fn a_full_tunnel_that_comes_later_is_told_of_and_told_no_more() {
    in_lab(|| {
        let lab = lab_with_vpn(Lab::new());
        let daemon = online(&lab);
        for family in Family::ALL {
            full_tunnel(&lab, family, "add");
            assert_eq!(way(&lab, family).as_deref(), Some(VPN));
            let warning = diverted(&daemon, family);
            assert_eq!(warning["device"], VPN);
            assert_eq!(warning["table"], 51820);
            assert_eq!(
                warning["preference"],
                preference(&lab, family, 51820),
                "{warning}"
            );
            let text = warning["text"].as_str().unwrap();
            assert!(text.contains("router's own unmarked"), "{text}");
            assert!(text.contains("not by isp1"), "{text}");
            let other = family.to_string();
            let all = warnings(&daemon, "diverted");
            assert!(all.iter().all(|w| w["family"] == other), "{all:?}");
            full_tunnel(&lab, family, "del");
            nothing_is_diverted(&daemon);
        }
        daemon.logged("unmarked ipv6 packets");
    });
}

/// The warning is the same as the kernel's answer, whichever program is first.
#[test]
fn a_full_tunnel_that_was_there_first_is_told_of_if_it_takes_the_traffic() {
    in_lab(|| {
        let lab = lab_with_vpn(Lab::new());
        for family in Family::ALL {
            full_tunnel(&lab, family, "add");
        }
        let daemon = online(&lab);
        for family in Family::ALL {
            let takes = way(&lab, family).as_deref() == Some(VPN);
            match takes {
                true => assert_eq!(diverted(&daemon, family)["device"], VPN),
                false => assert_eq!(way(&lab, family).as_deref(), Some("eth1")),
            }
        }
    });
}

/// No provider can have a route: the status says that another program's default carries, or nothing. A rule of others may know
/// better.
#[test]
fn what_leaves_while_no_provider_leads_is_told_of() {
    in_lab(|| {
        let lab = lab_with_vpn(Lab::new());
        lab.router.ip("link add mgmt0 type veth peer name mgmt0peer
             link set mgmt0peer up
             link set mgmt0 up");
        let daemon = online(&lab);
        for number in [1, 2] {
            lab.device_down(number);
        }
        for family in Family::ALL {
            let name = family.name();
            for carries in [false, true] {
                let main = "default dev mgmt0 metric 5000";
                if carries {
                    lab.router.batch(family, &format!("route add {main}"));
                }
                let expected = carries.then_some("mgmt0");
                let said = || daemon.status()["fallback"][name]["device"].clone();
                assert!(wait_until(SOON, || said().as_str() == expected));
                nothing_is_diverted(&daemon);
                assert_eq!(way(&lab, family).as_deref(), expected);
                let rule = "pref 30000 lookup 51820";
                let route = format!("default dev {VPN} table 51820");
                lab.router
                    .batch(family, &format!("route add {route}\nrule add {rule}"));
                let warning = diverted(&daemon, family);
                assert_eq!(way(&lab, family).as_deref(), Some(VPN));
                assert_eq!(
                    (
                        &warning["device"],
                        &warning["table"],
                        &warning["preference"]
                    ),
                    (&json!(VPN), &json!(51820), &json!(30000))
                );
                let text = warning["text"].as_str().unwrap();
                assert!(text.contains("while no provider leads"), "{text}");
                lab.router
                    .batch(family, &format!("rule del {rule}\nroute del {route}"));
                nothing_is_diverted(&daemon);
            }
        }
    });
}

/// That a manual default prevails is said of the kernel's way, too: another program's rule may come before it.
#[test]
fn a_full_tunnel_before_a_manual_default_is_told_of() {
    in_lab(|| {
        for family in Family::ALL {
            let lab = lab_with_vpn(Lab::new());
            lab.router.ip("tuntap add wg0 mode tun
                 link set wg0 up");
            let daemon = online(&lab);
            lab.router
                .batch(family, "route add default dev wg0 metric 50");
            let told = || daemon.status()["overridden_by"][family.name()]["device"] == "wg0";
            assert!(wait_until(SOON, told), "{:#}", daemon.status());
            full_tunnel(&lab, family, "add");
            assert_eq!(way(&lab, family).as_deref(), Some(VPN));
            let by_vpn = |warning: Value| {
                assert_eq!(warning["device"], VPN);
                let text = warning["text"].as_str().unwrap();
                assert!(text.contains("not by wg0, which prevails"), "{text}");
            };
            by_vpn(diverted(&daemon, family));
            for provider in [1, 2] {
                lab.router.ip(&format!("link set eth{provider} down"));
            }
            let nothing_leads = || daemon.status()["active"][family.name()].is_null();
            assert!(wait_until(SOON, nothing_leads), "{:#}", daemon.status());
            by_vpn(diverted(&daemon, family));
            full_tunnel(&lab, family, "del");
            nothing_is_diverted(&daemon);
        }
    });
}

/// OpenVPN's two halves of the Internet: there is no event of a default route.
#[test]
fn two_halves_of_the_internet_in_main_are_told_of() {
    in_lab(|| {
        let lab = lab_with_vpn(Lab::new());
        let daemon = online(&lab);
        for family in Family::ALL {
            let halves = match family {
                Family::V4 => ["0.0.0.0/1", "128.0.0.0/1"],
                Family::V6 => ["2000::/3", "::/3"],
            };
            let both = |verb: &str| {
                let lines = halves.map(|half| format!("route {verb} {half} dev {VPN}"));
                lab.router.batch(family, &lines.join("\n"));
            };
            both("add");
            assert_eq!(way(&lab, family).as_deref(), Some(VPN));
            let warning = diverted(&daemon, family);
            assert_eq!(
                (&warning["device"], &warning["table"]),
                (&json!(VPN), &json!(254))
            );
            both("del");
            nothing_is_diverted(&daemon);
        }
    });
}

/// A kill switch of another program: there is no device, and no table.
#[test]
fn a_rule_that_refuses_is_told_of() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        for family in Family::ALL {
            lab.router.batch(family, "rule add pref 99 unreachable");
            let warning = diverted(&daemon, family);
            assert_eq!(warning["device"], Value::Null);
            assert_eq!(warning["table"], Value::Null);
            assert_eq!(warning["preference"], 99, "{warning}");
            lab.router.batch(family, "rule del pref 99");
            nothing_is_diverted(&daemon);
        }
    });
}

/// A target with a route of its own says nothing about the Internet.
#[test]
fn a_route_to_the_target_alone_is_no_diversion_and_hides_none() {
    in_lab(|| {
        let lab = lab_with_vpn(Lab::new());
        let daemon = online(&lab);
        for family in Family::ALL {
            let to = target(family);
            lab.router
                .batch(family, &format!("route add {to} dev {VPN}"));
            assert_eq!(way(&lab, family).as_deref(), Some(VPN));
            full_tunnel(&lab, family, "add");
            // The default resolver of the checks stands for the Internet now.
            let warning = diverted(&daemon, family);
            assert_eq!(warning["table"], 51820);
            full_tunnel(&lab, family, "del");
            nothing_is_diverted(&daemon);
            lab.router
                .batch(family, &format!("route del {to} dev {VPN}"));
        }
    });
}

/// A default route that wins in the swap table causes one warning, and the right one.
#[test]
fn what_overrides_ours_is_not_diverted_besides() {
    in_lab(|| {
        let lab = lab_with_vpn(Lab::new());
        let daemon = online(&lab);
        for family in Family::ALL {
            lab.router.batch(
                family,
                &format!("route add default dev {VPN} table 176 metric 5"),
            );
        }
        let told = || warnings(&daemon, "overridden").len() == 2;
        assert!(wait_until(SOON, told), "{:#}", daemon.status());
        // Both families are checked together: a warning of one shows that the other was checked, too.
        full_tunnel(&lab, Family::V6, "add");
        diverted(&daemon, Family::V6);
        assert_eq!(warnings(&daemon, "diverted").len(), 1);
    });
}

/// The only warning `rp-filter` of a provider.
fn filter(daemon: &Daemon, provider: &str) -> Value {
    let mut found = None;
    let told = wait_until(SOON, || {
        let about = |warning: &Value| warning["provider"] == provider;
        found = warnings(daemon, "rp-filter").into_iter().find(about);
        found.is_some()
    });
    assert!(told, "{:#}\n{}", daemon.status(), daemon.log());
    found.unwrap()
}

/// A rule of another program sends the replies elsewhere: the filter drops what comes in.
#[test]
fn a_rule_for_a_source_and_a_strict_filter() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).build();
        let daemon = online(&lab);
        let own = lab.provider(2).own(Family::V4);
        let gateway = lab.provider(1).gateway_address(Family::V4);
        let lines = |verb: &str| {
            format!(
                "route {verb} default via {gateway} dev eth1 table 300
                 rule {verb} pref 100 from {own} lookup 300"
            )
        };
        lab.router.batch(Family::V4, &lines("add"));
        daemon.wait_for("isp2", "ipv4", "offline");
        let warning = filter(&daemon, "isp2");
        let text = warning["text"].as_str().unwrap();
        assert!(text.contains("by eth1 (table 300, rule 100)"), "{text}");
        assert_eq!(warnings(&daemon, "rp-filter").len(), 1);
        let command = warning["cure"].as_str().unwrap();
        lab.router.run(&["sh", "-c", command]);
        daemon.wait_for_all("online");
        let gone = || warnings(&daemon, "rp-filter").is_empty();
        assert!(wait_until(SOON, gone), "{:#}", daemon.status());
        lab.router.sysctl("ipv4/conf/eth2/rp_filter", 1);
        filter(&daemon, "isp2");
        lab.router.batch(Family::V4, &lines("del"));
        daemon.wait_for_all("online");
        assert!(wait_until(SOON, gone), "{:#}", daemon.status());
    });
}

/// Every path goes offline when a full tunnel starts with strict filters; a warning says why.
#[test]
fn a_full_tunnel_and_a_strict_filter() {
    in_lab(|| {
        let lab = lab_with_vpn(Lab::builder().rp_filter(1).build());
        let daemon = online(&lab);
        full_tunnel(&lab, Family::V4, "add");
        for provider in ["isp1", "isp2"] {
            daemon.wait_for(provider, "ipv4", "offline");
            let warning = filter(&daemon, provider);
            let text = warning["text"].as_str().unwrap();
            let preference = preference(&lab, Family::V4, 51820);
            let by = format!("by {VPN} (table 51820, rule {preference})");
            assert!(text.contains(&by), "{text}");
            lab.router
                .run(&["sh", "-c", warning["cure"].as_str().unwrap()]);
        }
        daemon.wait_for_all("online");
        let gone = || warnings(&daemon, "rp-filter").is_empty();
        assert!(wait_until(SOON, gone), "{:#}", daemon.status());
    });
}

/// A loose filter also drops replies if the route back is refused.
#[test]
fn a_way_back_that_is_refused() {
    in_lab(|| {
        for strictness in [1, 2] {
            let lab = Lab::builder().rp_filter(strictness).build();
            lab.router.sysctl("ipv4/conf/all/rp_filter", strictness);
            let daemon = online_with(&lab, &Settings::fast(&lab));
            let own = lab.provider(2).own(Family::V4);
            // The probes, which are bound to the device, still leave.
            let rules = format!(
                "rule add pref 99 oif eth2 lookup 17602
                 rule add pref 100 from {own} unreachable"
            );
            lab.router.batch(Family::V4, &rules);
            daemon.wait_for("isp2", "ipv4", "offline");
            let warning = filter(&daemon, "isp2");
            let text = warning["text"].as_str().unwrap();
            assert!(
                text.contains("refused") && text.contains("rule 100"),
                "{text}"
            );
            lab.router
                .run(&["sh", "-c", warning["cure"].as_str().unwrap()]);
            daemon.wait_for("isp2", "ipv4", "online");
            let gone = || warnings(&daemon, "rp-filter").is_empty();
            assert!(wait_until(SOON, gone), "{:#}", daemon.status());
        }
    });
}
