//! Two providers on one link: both modems and both of our devices in one switch, in one network. By Linux's defaults each
//! device answers ARP requests for the other's address, so replies come in by the wrong one.

use super::SOON;
use super::inspect::path;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Namespace, Settings, wait_until};

pub(super) const GATEWAYS: [&str; 2] = ["192.0.2.1", "192.0.2.254"];

/// A lab with everything in one switch, in IPv4, and the switch. Of so many modems; with one, both providers use it.
pub(super) fn in_one_switch(modems: usize) -> (Lab, Namespace) {
    let lab = Lab::builder().only_ipv4(1).only_ipv4(2).build();
    let switch = Namespace::new("switch");
    let id = switch.thread_id();
    switch.ip("link add br0 type bridge\nlink set br0 up");
    let connect = |port: String| {
        switch.ip(&format!("link set {port} master br0\nlink set {port} up"));
    };
    // By default, and not as elsewhere in the lab.
    lab.router.sysctl("ipv4/conf/all/arp_ignore", 0);
    for (number, gateway) in (1..=2).zip(GATEWAYS) {
        lab.remove_device(number);
        lab.router.ip(&format!(
            "link add eth{number} type veth peer name r{number} netns {id}
             addr add 192.0.2.{}/24 dev eth{number}
             link set eth{number} up",
            number + 1
        ));
        connect(format!("r{number}"));
        if number > modems {
            continue;
        }
        let modem = &lab.provider(number).gateway;
        modem.ip(&format!(
            "link add line type veth peer name g{number} netns {id}
             addr add {gateway}/24 dev line
             link set line up"
        ));
        // It soon asks again whom it knows.
        modem.sysctls(&[
            ("ipv4/neigh/line/base_reachable_time_ms", 1000),
            ("ipv4/neigh/line/delay_first_probe_time", 1),
            ("ipv4/neigh/line/ucast_solicit", 1),
        ]);
        connect(format!("g{number}"));
    }
    (lab, switch)
}

pub(super) fn settings(lab: &Lab, gateways: [&str; 2]) -> Settings {
    let settings = Settings::learning(lab).without_section("check", "google6");
    (1..=2)
        .zip(gateways)
        .fold(settings, |settings, (number, gateway)| {
            settings.list("provider", &format!("isp{number}"), "gateway", gateway)
        })
}

/// The cures of the warnings.
fn cures(daemon: &Daemon) -> Vec<String> {
    let status = daemon.status();
    let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
    let about = warnings.iter().filter(|w| w["code"] == "arp-flux");
    about
        .map(|w| w["cure"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A modem takes the first answer, by chance: until it is the wrong one, it is made to ask again.
fn goes_offline(lab: &Lab, daemon: &Daemon, modems: usize) {
    let is_offline = || {
        for number in 1..=modems {
            let modem = &lab.provider(number).gateway;
            modem.run(&["ip", "neigh", "flush", "dev", "line"]);
        }
        let mut states = daemon.path_states().into_iter();
        states.any(|(_, _, state)| state == "offline")
    };
    assert!(wait_until(2 * SOON, is_offline), "{}", daemon.log());
}

fn is_told_of_and_cured(modems: usize, gateways: [&str; 2]) {
    let (lab, _switch) = in_one_switch(modems);
    let daemon = Daemon::start(&lab.router, &settings(&lab, gateways));
    goes_offline(&lab, &daemon, modems);
    let told = || !cures(&daemon).is_empty();
    assert!(wait_until(SOON, told), "{:#}", daemon.status());
    let command = cures(&daemon);
    let expected = "sysctl -w net.ipv4.conf.eth1.arp_ignore=1 net.ipv4.conf.eth2.arp_ignore=1";
    assert_eq!(command, [expected]);
    lab.router.run(&["sh", "-c", &command[0]]);
    let all_online = || {
        let mut states = daemon.path_states().into_iter();
        states.all(|(_, _, state)| state == "online")
    };
    assert!(wait_until(4 * SOON, all_online), "{}", daemon.log());
    let gone = || cures(&daemon).is_empty();
    assert!(wait_until(SOON, gone), "{:#}", daemon.status());
}

#[test]
fn two_providers_in_one_switch_are_told_of_and_cured() {
    in_lab(|| is_told_of_and_cured(2, GATEWAYS));
}

/// Two lines of one provider by one modem, as by macvlan devices: the gateway is the same. That answers come in by the wrong
/// device tells it from two links.
#[test]
fn two_providers_with_one_gateway_are_told_of_when_answers_stray() {
    in_lab(|| is_told_of_and_cured(1, [GATEWAYS[0]; 2]));
}

/// One device is cured already; a filter by route is one, too; and so is the setting for all devices.
#[test]
fn what_is_cured_is_not_told_of() {
    in_lab(|| {
        let (lab, _switch) = in_one_switch(2);
        lab.router.sysctl("ipv4/conf/eth1/arp_filter", 1);
        let daemon = Daemon::start(&lab.router, &settings(&lab, GATEWAYS));
        let told = || cures(&daemon) == ["sysctl -w net.ipv4.conf.eth2.arp_ignore=1"];
        assert!(wait_until(SOON, told), "{:#}", daemon.status());
        lab.router.sysctl("ipv4/conf/all/arp_ignore", 2);
        let gone = || cures(&daemon).is_empty();
        assert!(wait_until(SOON, gone), "{:#}", daemon.status());
    });
}

/// Two modems of one make on two links: the same gateway, with the same or with other addresses of ours.
#[test]
fn two_links_with_equal_gateways_are_not_told_of() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().build();
        lab.router.sysctl("ipv4/conf/all/arp_ignore", 0);
        let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        lab.renew_address(2);
        let addresses = || {
            let status = daemon.status();
            let own = |id| path(&status, id, Family::V4.name())["address"].clone();
            own("isp1") != own("isp2")
        };
        assert!(wait_until(SOON, addresses));
        daemon.wait_for_all("online");
        assert!(cures(&daemon).is_empty(), "{:#}", daemon.status());
    });
}
