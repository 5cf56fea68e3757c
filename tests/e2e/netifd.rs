//! Providers that name OpenWrt's logical interfaces: netifd's data, and their effect.

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::inspect::{children, lookups, no_hole, path};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, leads, leads_in};

/// Replaces OpenWrt's `ubus`: one interface for each file in the directory `$NETIFD`, with the file's content as its data.
/// It takes as many seconds as `.late` says, or for ever if `.hangs` exists.
const UBUS: &str = r#"#!/bin/sh
[ "$*" = "call network.interface dump" ] || exit 2
echo dump >> "$NETIFD/.asked"
if [ -e "$NETIFD/.late" ]; then sleep "$(cat "$NETIFD/.late")"; fi
if [ -e "$NETIFD/.hangs" ]; then sleep 60; fi
if [ -e "$NETIFD/.garbage" ]; then printf '{\n\t"interface": [\n\t\t{ "inter'; exit; fi
if [ -e "$NETIFD/.gone" ]; then
    echo "Command failed: Not found" >&2
    exit 4
fi
printf '{\n\t"interface": [\n'
comma=
for file in "$NETIFD"/*; do
    printf '%s' "$comma"
    sed "1s/{/{\"interface\": \"${file##*/}\",/" "$file"
    comma=,
done
printf '\n\t]\n}\n'
"#;

/// isp1 by the interfaces `wan` and `wan6`, isp2 by `wanb`.
pub(super) fn settings(lab: &Lab) -> Settings {
    Settings::learning(lab)
        .without("provider", "isp1", "device")
        .without("provider", "isp2", "device")
        .list("provider", "isp1", "interface", "wan")
        .list("provider", "isp1", "interface", "wan6")
        .list("provider", "isp2", "interface", "wanb")
}

/// A daemon with this netifd, not started yet.
pub(super) fn prepared<'lab>(lab: &'lab Lab, settings: &Settings) -> Daemon<'lab> {
    let mut daemon = Daemon::prepare(&lab.router, settings);
    let netifd = daemon.file("netifd");
    fs::create_dir(&netifd).unwrap();
    daemon.set("NETIFD", netifd.display().to_string());
    daemon.install("ubus", UBUS);
    daemon
}

/// An interface that is up, with these gateways: installed, or not (`defaultroute 0`).
pub(super) fn up(device: &str, gateways: &[IpAddr], in_force: bool) -> Value {
    let route = |gateway: &IpAddr| {
        let everywhere = if gateway.is_ipv4() { "0.0.0.0" } else { "::" };
        json!({"target": everywhere, "mask": 0, "nexthop": gateway.to_string(), "source": format!("{everywhere}/0")})
    };
    let routes: Vec<Value> = gateways.iter().map(route).collect();
    let (main, kept) = if in_force {
        (routes, Vec::new())
    } else {
        (Vec::new(), routes)
    };
    json!({
        "up": true, "pending": false, "available": true, "uptime": 5, "l3_device": device, "proto": "dhcp", "device": device,
        "updated": ["addresses", "routes"], "metric": 0, "ipv4-address": [], "ipv6-address": [], "ipv6-prefix": [],
        "route": main, "dns-server": ["192.0.2.53"], "inactive": {"ipv4-address": [], "route": kept, "neighbors": []},
        "data": {"leasetime": 600, "nested": {"deeper": [1, 2.5, null, true, {"deepest": "\"]}"}]}}
    })
}

pub(super) fn down(device: &str) -> Value {
    json!({"up": false, "pending": true, "available": true, "proto": "dhcp", "device": device, "data": {}})
}

/// Sets netifd's data of an interface.
pub(super) fn set_interface(daemon: &Daemon, interface: &str, status: &Value) {
    set_interface_text(
        daemon,
        interface,
        &serde_json::to_string_pretty(status).unwrap(),
    );
}

fn set_interface_text(daemon: &Daemon, interface: &str, text: &str) {
    let whole = daemon.file(&format!("netifd/.{interface}"));
    fs::write(&whole, text).unwrap();
    fs::rename(whole, daemon.file(&format!("netifd/{interface}"))).unwrap();
}

/// Both providers are up, with both families each.
pub(super) fn all_is_up(lab: &Lab, daemon: &Daemon) {
    let gateway = |number: usize, family| lab.provider(number).gateway_address(family);
    let [v4, v6] = Family::ALL.map(|family| gateway(1, family));
    set_interface(daemon, "wan", &up("eth1", &[v4], true));
    set_interface(daemon, "wan6", &up("eth1", &[v6], true));
    let both = Family::ALL.map(|family| gateway(2, family));
    set_interface(daemon, "wanb", &up("eth2", &both, false));
}

/// Number of calls of `ubus`.
pub(super) fn asked(daemon: &Daemon) -> usize {
    let asked = fs::read_to_string(daemon.file("netifd/.asked"));
    asked.unwrap_or_default().lines().count()
}

fn warnings(daemon: &Daemon, code: &str) -> Vec<String> {
    let status = daemon.status();
    let all = status["warnings"].as_array().unwrap();
    let found = all.iter().filter(|warning| warning["code"] == code);
    found
        .map(|w| w["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn interfaces_are_uplinks_and_come_and_go() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
        for number in [1, 2] {
            let gateway = lab.provider(number).gateway_address(Family::V4).to_string();
            let status = daemon.status();
            assert_eq!(
                path(&status, &format!("isp{number}"), "ipv4")["gateway"],
                gateway
            );
        }

        // ifdown: the kernel's device stays as it is.
        set_interface(&daemon, "wan", &down("eth1"));
        daemon.must(&["refresh", "wan"]);
        assert!(leads_in(&lab, 2, Family::V4));
        daemon.wait_for("isp1", "ipv4", "waiting");
        daemon.wait_for("isp1", "ipv6", "online");
        set_interface(&daemon, "wan6", &down("eth1"));
        daemon.must(&["refresh", "wan6"]);
        assert!(leads(&lab, 2));
        assert_eq!(
            path(&daemon.status(), "isp1", "ipv4")["reason"],
            "no device"
        );

        // ifup
        all_is_up(&lab, &daemon);
        daemon.must(&["refresh"]);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));

        // A lease is renewed with another gateway.
        let moved = lab.move_gateway(1);
        set_interface(
            &daemon,
            "wan",
            &up("eth1", &[moved.gateway_v4.into()], true),
        );
        daemon.must(&["refresh", "wan"]);
        let gateway = moved.gateway_v4.to_string();
        let so = || path(&daemon.status(), "isp1", "ipv4")["gateway"] == gateway;
        assert!(wait_until(SOON, so), "{}", daemon.log());
        daemon.wait_for("isp1", "ipv4", "online");
    });
}

#[test]
fn an_interface_that_is_down_or_unknown_is_waited_for() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        fs::remove_file(daemon.file("netifd/wan")).unwrap();
        set_interface(&daemon, "wanb", &down("eth2"));
        daemon.launch();
        daemon.wait_for("isp1", "ipv6", "online");
        for (provider, family) in [("isp1", "ipv4"), ("isp2", "ipv4"), ("isp2", "ipv6")] {
            daemon.wait_for(provider, family, "waiting");
        }
        let text = warnings(&daemon, "interface-unknown");
        assert!(
            text.len() == 1 && text[0].contains("no interface wan;"),
            "{text:?}"
        );

        all_is_up(&lab, &daemon);
        daemon.must(&["refresh"]);
        daemon.wait_for_all("online");
        assert!(warnings(&daemon, "interface-unknown").is_empty());
    });
}

#[test]
fn two_providers_that_turn_out_to_have_one_device() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        let gateways = Family::ALL.map(|family| lab.provider(1).gateway_address(family));
        set_interface(&daemon, "wanb", &up("eth1", &gateways, true));
        daemon.launch();
        daemon.wait_for("isp1", "ipv4", "online");
        daemon.wait_for("isp2", "ipv4", "waiting");
        assert_eq!(
            path(&daemon.status(), "isp2", "ipv4")["reason"],
            "device taken by isp1"
        );
    });
}

#[test]
fn answers_that_are_damaged_or_do_not_come_change_nothing() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        daemon.launch();
        daemon.wait_for_all("online");
        let asked = || asked(&daemon);
        let complaints = || {
            let log = daemon.log();
            log.matches("netifd does not tell of interface wan any more")
                .count()
        };
        let good = fs::read_to_string(daemon.file("netifd/wan")).unwrap();
        let types = good.replace("true", "\"true\"");
        for damaged in [&good[..good.len() / 2], &types, "", "\u{1b}[0m"] {
            set_interface_text(&daemon, "wan", damaged);
            let before = asked();
            daemon.must(&["refresh", "wan"]);
            assert!(wait_until(SOON, || asked() > before), "{}", daemon.log());
            // The answer is read; the next call follows only after a pause.
            assert!(wait_until(SOON, || children(daemon.pid()).is_empty()));
            daemon.must(&["status"]);
            let states = daemon.path_states();
            assert!(
                states.iter().all(|(_, _, state)| state == "online"),
                "{damaged:.40}: {states:?}"
            );
            // An interface that cannot be read does not affect the others, if its end is found.
            let silent = if damaged == types { 1 } else { 3 };
            assert_eq!(
                warnings(&daemon, "no-netifd").len(),
                silent,
                "{damaged:.40}"
            );
        }
        // It is reported when it begins, and not again when it comes back at once.
        assert_eq!(complaints(), 1, "{}", daemon.log());
        set_interface_text(&daemon, "wan", &good);
        daemon.must(&["refresh", "wan"]);
        assert!(wait_until(SOON, || warnings(&daemon, "no-netifd").is_empty()));
        set_interface_text(&daemon, "wan", "");
        daemon.must(&["refresh", "wan"]);
        assert!(wait_until(SOON, || !warnings(&daemon, "no-netifd").is_empty()));
        assert_eq!(complaints(), 1, "{}", daemon.log());

        // A call that hangs is killed with its process group, and blocks nothing.
        fs::write(daemon.file("netifd/.hangs"), "").unwrap();
        set_interface_text(&daemon, "wan", &good);
        daemon.must(&["refresh", "wan"]);
        assert!(wait_until(SOON, || !children(daemon.pid()).is_empty()));
        lab.upstream_dies(1);
        assert!(leads(&lab, 2));
        lab.upstream_returns(1);
        assert!(leads(&lab, 1));
        let patience = 2 * SOON + Duration::from_secs(2);
        assert!(wait_until(patience, || children(daemon.pid()).is_empty()));
        daemon.wait_for_all("online");
    });
}

#[test]
fn an_interface_that_no_provider_uses_is_no_failure_but_told() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        daemon.launch();
        daemon.wait_for_all("online");
        let asked = || asked(&daemon);
        let before = asked();
        let output = daemon.command(&["refresh", "lan"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.is_empty(), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("no provider uses"), "{told}");
        assert!(told.contains("wan, wan6, wanb"), "{told}");
        assert_eq!(asked(), before);
        // A name that is too long for a message stands for all.
        let long = "a_name_that_is_too_long_for_a_message";
        assert!(daemon.must(&["refresh", long]).contains("asked again"));
        assert!(daemon.must(&["refresh", "wanb"]).contains("asked again"));
        assert!(daemon.must(&["refresh"]).contains("asked again"));
    });
}

/// As on a machine without OpenWrt.
#[test]
fn without_ubus_it_says_what_to_do() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::prepare(&lab.router, &settings(&lab));
        daemon.launch();
        daemon.wait_for_all("waiting");
        let so = || {
            warnings(&daemon, "no-netifd")
                .iter()
                .any(|text| text.contains("`option device`"))
        };
        assert!(wait_until(SOON, so), "{}", daemon.log());
    });
}

/// All interfaces of a large router in one call: more than a pipe holds.
#[test]
fn netifd_is_asked_once_for_all_interfaces_however_many_there_are() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        for number in 0..90 {
            let lan: IpAddr = "192.0.2.99".parse().unwrap();
            set_interface(&daemon, &format!("lan{number}"), &up("lan0", &[lan], true));
        }
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
        assert_eq!(asked(&daemon), 1);
    });
}

/// A provider that is changed to a netifd interface keeps its device until netifd has answered.
#[test]
fn a_reload_with_a_new_interface_waits_for_netifd() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &Settings::fast(&lab));
        all_is_up(&lab, &daemon);
        fs::write(daemon.file("netifd/.late"), "1").unwrap();
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
        let (lookups, log) = (lookups(&lab), daemon.log().len());
        daemon.configure(&settings(&lab));
        daemon.must(&["reload"]);
        let told = || asked(&daemon) == 1 && children(daemon.pid()).is_empty();
        assert!(wait_until(SOON, told), "{}", daemon.log());
        daemon.wait_for_all("online");
        no_hole(lookups, &daemon);
        assert!(leads(&lab, 1));
        let since = &daemon.whole_log()[log..];
        assert!(
            !since.contains("gone") && !since.contains("waiting"),
            "{since}"
        );
    });
}

/// A provider that takes another's place does not take over its device, though netifd has not told of its own yet.
#[test]
fn a_new_provider_has_no_device_until_netifd_tells() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &Settings::fast(&lab));
        fs::write(daemon.file("netifd/.hangs"), "").unwrap();
        daemon.launch();
        daemon.wait_for_all("online");
        let settings = Settings::fast(&lab).without_section("provider", "isp1");
        daemon.configure(&settings.list("provider", "other", "interface", "elsewhere"));
        daemon.must(&["reload"]);
        assert!(leads(&lab, 2), "{}", daemon.log());
        let status = daemon.status();
        for family in Family::ALL {
            let path = path(&status, "other", family.name());
            assert_eq!(
                (&path["device"], &path["state"]),
                (&Value::Null, &json!("waiting"))
            );
        }
    });
}

/// netifd's hotplug event comes after the default route of an interface: that is not taken for a manual one meanwhile.
#[test]
fn a_default_that_comes_before_netifds_word_is_not_manual() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        for interface in ["wan", "wan6"] {
            set_interface(&daemon, interface, &down("eth1"));
        }
        daemon.launch();
        daemon.wait_for("isp2", "ipv4", "online");
        assert!(leads(&lab, 2), "{}", daemon.log());
        let known = asked(&daemon);
        all_is_up(&lab, &daemon);
        lab.learn_default(1, Family::V4, "static", 50);
        daemon.wait_for("isp1", "ipv4", "online");
        assert!(asked(&daemon) > known);
        assert!(
            !daemon.whole_log().contains("overridden"),
            "{}",
            daemon.log()
        );
    });
}

/// A modem's interface, as netifd has it: the interface itself has no address and no route, the dynamic ones have. Their
/// hotplug events count. `defaultroute 0`, so that the kernel has no route to learn from.
#[test]
fn a_modems_interface_works_in_both_families_by_its_dynamic_ones() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let name = "a_modem_with_a_name_of_more_than_31_bytes";
        let settings = Settings::learning(&lab)
            .without("provider", "isp1", "device")
            .without("provider", "isp2", "device")
            .list("provider", "isp1", "interface", name)
            .list("provider", "isp2", "interface", "wanb");
        let mut daemon = prepared(&lab, &settings);
        all_is_up(&lab, &daemon);
        let child = |daemon: &Daemon, family, gateway| {
            let mut child = up("eth1", &[gateway], false);
            child["dynamic"] = json!(true);
            child["data"]["zone"] = json!("wan");
            set_interface(daemon, &format!("{name}_{family}"), &child);
        };
        set_interface(&daemon, name, &up("eth1", &[], true));
        let [v4, v6] = Family::ALL.map(|family| lab.provider(1).gateway_address(family));
        child(&daemon, 4, v4);
        child(&daemon, 6, v6);
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
        for (family, gateway) in [("ipv4", v4), ("ipv6", v6)] {
            assert_eq!(
                path(&daemon.status(), "isp1", family)["gateway"],
                gateway.to_string()
            );
        }

        // The IPv4 session gets another gateway.
        let moved = lab.move_gateway(1);
        child(&daemon, 4, moved.gateway_v4.into());
        daemon.must(&["refresh", &format!("{name}_4")]);
        let gateway = moved.gateway_v4.to_string();
        let so = || path(&daemon.status(), "isp1", "ipv4")["gateway"] == gateway;
        assert!(wait_until(SOON, so), "{}", daemon.log());

        // The modem hangs up: its dynamic interfaces are gone.
        for family in [4, 6] {
            fs::remove_file(daemon.file(&format!("netifd/{name}_{family}"))).unwrap();
        }
        set_interface(&daemon, name, &down("eth1"));
        daemon.must(&["refresh", name]);
        assert!(leads(&lab, 2));
        assert_eq!(
            path(&daemon.status(), "isp1", "ipv4")["reason"],
            "no device"
        );
    });
}

/// A redial whose hotplug event is late, as netifd calls the scripts of one interface after those of another: the route that
/// comes has netifd asked.
#[test]
fn an_interface_that_is_up_again_is_found_before_its_hotplug_event() {
    in_lab(|| {
        let lab = Lab::new();
        lab.serve();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        daemon.launch();
        daemon.wait_for_all("online");
        for interface in ["wan", "wan6"] {
            set_interface(&daemon, interface, &down("eth1"));
        }
        daemon.must(&["refresh"]);
        daemon.wait_for("isp1", "ipv4", "waiting");
        daemon.wait_for("isp1", "ipv6", "waiting");
        all_is_up(&lab, &daemon);
        // Another one is better.
        let gateway = lab.provider(1).gateway_address(Family::V4);
        lab.router.ip(&format!(
            "route add default via {gateway} dev eth1 metric 9000"
        ));
        daemon.wait_for("isp1", "ipv4", "online");
        daemon.wait_for("isp1", "ipv6", "online");
        assert!(leads(&lab, 1));
    });
}

/// netifd adds a host route for each peer of a WireGuard interface, which its dump does not show.
#[test]
fn a_host_route_that_holds_a_tunnel_to_one_provider_is_told_of() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        let gateway = lab.provider(1).gateway_address(Family::V4);
        let change = |what: &str, host: &str| {
            lab.router.ip(&format!(
                "route {what} {host}/32 via {gateway} dev eth1 proto static"
            ));
        };
        // As `config route` does: netifd tells of it.
        let mut wan = up("eth1", &[gateway], true);
        wan["route"].as_array_mut().unwrap().push(
            json!({"target": "203.0.113.98", "mask": 32, "nexthop": gateway.to_string(), "source": "0.0.0.0/0"}),
        );
        set_interface(&daemon, "wan", &wan);
        change("add", "203.0.113.98");
        change("add", "203.0.113.99");
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(warnings(&daemon, "host-route").is_empty());

        // The tunnel comes up, of which no provider knows.
        let mut tunnel = up("wg0", &[], true);
        tunnel["proto"] = json!("wireguard");
        set_interface(&daemon, "vpn", &tunnel);
        daemon.must(&["refresh"]);
        let told = || warnings(&daemon, "host-route");
        assert!(wait_until(SOON, || told().len() == 1), "{}", daemon.log());
        let text = told().concat();
        assert!(
            text.contains("203.0.113.99") && text.contains("vpn"),
            "{text}"
        );
        let explained = daemon.must(&["explain", "isp1"]);
        assert!(explained.contains("option nohostroute '1'"), "{explained}");
        assert!(
            explained.contains("ip -4 route del 203.0.113.99"),
            "{explained}"
        );

        change("del", "203.0.113.99");
        daemon.must(&["refresh"]);
        assert!(wait_until(SOON, || told().is_empty()), "{}", daemon.log());
        change("add", "203.0.113.99");
        daemon.must(&["refresh"]);
        assert!(wait_until(SOON, || told().len() == 1));

        // Without the tunnel such a route is of no interest.
        fs::remove_file(daemon.file("netifd/vpn")).unwrap();
        daemon.must(&["refresh"]);
        assert!(wait_until(SOON, || told().is_empty()), "{}", daemon.log());
    });
}

/// Without netifd, `ubus` knows no such object.
#[test]
fn a_netifd_that_does_not_run_is_reported() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        fs::write(daemon.file("netifd/.gone"), "").unwrap();
        daemon.launch();
        daemon.wait_for_all("waiting");
        let text = warnings(&daemon, "no-netifd");
        assert!(
            text[0].contains("interface wan (it does not run)"),
            "{text:?}"
        );
    });
}
