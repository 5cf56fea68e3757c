//! Each provider's own resolvers are asked through it while its path is usable.

use std::process::Command;

use serde_json::{Value, json};

use super::inspect::{Monitor, ours, path};
use super::lab::daemon::program;
use super::lab::rights::in_lab;
use super::lab::topology::{LAN_ROUTER, target};
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::netifd::{all_is_up, down, prepared, set_interface, settings, up};
use super::overflow::warning;
use super::{OURS, SOON, leads, leads_in, online_with};

/// By family: the resolvers of the first and of the second provider, and one that both name.
const FIRST: [&str; 2] = ["203.0.113.101", "2001:db8:53::101"];
const SECOND: [&str; 2] = ["203.0.113.102", "2001:db8:53::102"];
const SHARED: [&str; 2] = ["203.0.113.103", "2001:db8:53::103"];

/// Asserts that the router's packets to an address soon leave by a provider's device.
#[track_caller]
fn goes_by(lab: &Lab, daemon: &Daemon, to: &str, number: usize) {
    let device = Some(lab.provider(number).device.clone());
    let so = || lab.router.way(to, &[]) == device;
    assert!(wait_until(SOON, so), "{to}: {}", daemon.log());
}

/// The preferences of our rules for resolvers.
fn preferences(lab: &Lab, family: Family) -> Vec<u32> {
    let rules = lab.router.rules(family).into_iter();
    let ours = rules.filter(|rule| rule.protocol == OURS && (17750..17900).contains(&rule.pref));
    ours.map(|rule| rule.pref).collect()
}

/// What the status says of a path's resolvers.
fn told(daemon: &Daemon, provider: &str, family: Family) -> Value {
    path(&daemon.status(), provider, &family.to_string())["resolvers"].clone()
}

/// What `check` warns of.
fn warned(daemon: &Daemon) -> String {
    String::from_utf8(daemon.command(&["check"]).stderr).unwrap()
}

/// Both providers name one of their own, one that the other has, too, and what a check asks.
fn named(lab: &Lab) -> Settings {
    let mut settings = Settings::fast(lab);
    for family in [0, 1] {
        let checked = target(Family::ALL[family]).to_string();
        for one in [FIRST[family], SHARED[family]] {
            settings = settings.list("provider", "isp1", "dns", one);
        }
        for one in [SHARED[family], SECOND[family], &checked] {
            settings = settings.list("provider", "isp2", "dns", one);
        }
        let near = LAN_ROUTER[family].to_string();
        let host = near.strip_suffix('1').unwrap().to_owned() + "77";
        settings = settings
            .list("provider", "isp2", "dns", &near)
            .list("provider", "isp2", "dns", &host);
    }
    settings
}

#[test]
fn each_is_asked_through_its_provider_while_that_works() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &named(&lab));
        assert!(leads(&lab, 1));
        for (at, family) in Family::ALL.into_iter().enumerate() {
            let foreign = format!("rule add pref 17751 to {} lookup 300", SHARED[at]);
            lab.router.batch(family, &foreign);
            let by = |to, number| goes_by(&lab, &daemon, to, number);
            by(SECOND[at], 2);
            by(FIRST[at], 1);
            by(SHARED[at], 1);
            by(&target(family).to_string(), 1);
            assert_eq!(preferences(&lab, family), [17750, 17751]);
            assert_eq!(told(&daemon, "isp1", family), json!([FIRST[at]]));
            assert_eq!(told(&daemon, "isp2", family), json!([SECOND[at]]));
            let said = daemon.must(&["explain", "isp2"]);
            let sentence = format!("Resolver {} is asked through it.", SECOND[at]);
            assert!(said.contains(&sentence), "{said}");
            // What hosts of the LAN send there follows the order.
            let host = LAN_ROUTER[at].to_string().replace("::1", "::2");
            let host = host.replace(".100.1", ".100.2");
            let forwarded = ["from", &host, "iif", "lan0"];
            let first = Some("eth1".to_owned());
            assert_eq!(lab.router.way(SECOND[at], &forwarded), first);
        }

        lab.upstream_dies(2);
        for resolver in SECOND {
            goes_by(&lab, &daemon, resolver, 1);
        }
        for family in Family::ALL {
            assert_eq!(preferences(&lab, family), [17750]);
            assert_eq!(told(&daemon, "isp2", family), json!([]));
        }
        lab.upstream_returns(2);
        daemon.wait_for_all("online");
        // The other one leads.
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for resolver in [FIRST, SECOND, SHARED].concat() {
            goes_by(&lab, &daemon, resolver, 2);
        }
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        for resolver in FIRST {
            goes_by(&lab, &daemon, resolver, 1);
        }

        // A restart changes nothing.
        let (before, monitor) = (ours(&lab), Monitor::start(&lab, &daemon));
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        assert_eq!(told(&daemon, "isp2", Family::V6), json!([SECOND[1]]));
        assert_eq!((monitor.deleted().len(), monitor.set()), (0, 0));
        assert_eq!(ours(&lab), before);
        drop(monitor);
        for family in Family::ALL {
            let rules = lab.router.rules(family).into_iter();
            let foreign = rules.filter(|rule| rule.pref == 17751 && rule.protocol != OURS);
            assert_eq!(foreign.count(), 1);
        }
    });
}

#[test]
fn a_reload_adds_moves_and_removes_them() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = |of_first: &[&str], of_second: &[&str]| {
            let mut settings = Settings::fast(&lab);
            for (id, list) in [("isp1", of_first), ("isp2", of_second)] {
                for one in list {
                    settings = settings.list("provider", id, "dns", one);
                }
            }
            settings
        };
        let daemon = online_with(&lab, &settings(&[], &[]));
        assert!(preferences(&lab, Family::V4).is_empty());
        let reload = |settings: &Settings| {
            daemon.configure(settings);
            daemon.must(&["reload"]);
        };
        reload(&settings(&[], &[SECOND[0], SHARED[0]]));
        goes_by(&lab, &daemon, SECOND[0], 2);
        goes_by(&lab, &daemon, SHARED[0], 2);
        reload(&settings(&[SHARED[0]], &[SECOND[0], SHARED[0]]));
        goes_by(&lab, &daemon, SHARED[0], 1);
        goes_by(&lab, &daemon, SECOND[0], 2);
        let said = warned(&daemon);
        let shared = format!("dns '{}' is provider 'isp1's, too", SHARED[0]);
        assert!(said.contains(&shared), "{said}");
        // Each has the other's now.
        reload(&settings(&[SECOND[0]], &[SHARED[0]]));
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        goes_by(&lab, &daemon, SECOND[0], 2);
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        goes_by(&lab, &daemon, SECOND[0], 1);
        goes_by(&lab, &daemon, SHARED[0], 2);
        assert_eq!(preferences(&lab, Family::V4), [17750, 17751]);

        // Without them, and without a table.
        let given = settings(&[], &[SECOND[0]]);
        for option in ["dns_route", "rt_table"] {
            reload(&given);
            goes_by(&lab, &daemon, SECOND[0], 2);
            let value = if option == "rt_table" { "none" } else { "0" };
            reload(&given.clone().provider("isp2", option, value));
            goes_by(&lab, &daemon, SECOND[0], 1);
            let said = warned(&daemon);
            let why = format!("with {option} '{value}'");
            assert!(said.contains(&why), "{said}");
        }
        reload(&given.clone().global("dns_route", "0"));
        goes_by(&lab, &daemon, SECOND[0], 1);
        let one = given.global("dns_route", "0");
        reload(&one.provider("isp2", "dns_route", "1"));
        goes_by(&lab, &daemon, SECOND[0], 2);
    });
}

#[test]
fn of_more_than_there_is_room_for_a_warning_tells() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = (101..=250).fold(Settings::fast(&lab), |settings, host| {
            settings.list("provider", "isp2", "dns", &format!("203.0.113.{host}"))
        });
        let daemon = online_with(&lab, &settings);
        let all = || preferences(&lab, Family::V4) == [17751; 150];
        assert!(wait_until(SOON, all), "{}", daemon.log());
        assert_eq!(warning(&daemon), None);
        daemon.configure(&settings.list("provider", "isp1", "dns", "2001:db8:53::1"));
        daemon.must(&["reload"]);
        let told = || warning(&daemon).is_some_and(|text| text.contains("resolvers"));
        assert!(wait_until(SOON, told), "{}", daemon.log());
        goes_by(&lab, &daemon, "203.0.113.249", 2);
        goes_by(&lab, &daemon, "203.0.113.250", 1);
        assert_eq!(preferences(&lab, Family::V6), [17750]);
        let status = daemon.status();
        let shown = path(&status, "isp2", "ipv4")["resolvers"].as_array();
        assert_eq!(shown.map(Vec::len), Some(8));
    });
}

/// Netifd's interfaces, each with these resolvers.
fn set_resolvers(lab: &Lab, daemon: &Daemon, interface: &str, resolvers: &[&str]) {
    let (number, families) = match interface {
        "wan" => (1, &[Family::V4][..]),
        "wan6" => (1, &[Family::V6][..]),
        _ => (2, &Family::ALL[..]),
    };
    let provider = lab.provider(number);
    let gateways = families
        .iter()
        .map(|&family| provider.gateway_address(family));
    let mut status = up(&provider.device, &gateways.collect::<Vec<_>>(), true);
    status["dns-server"] = json!(resolvers);
    // With `peerdns` 0, netifd does not use these.
    status["inactive"]["dns-server"] = json!(["203.0.113.199"]);
    set_interface(daemon, interface, &status);
}

/// Gives what follows a `/tmp` of its own, in which there are the daemon's directory, `$0`, and that of the program, `$1`.
const OWN_TMP: &str = r#"
mount -t tmpfs none /mnt && mkdir /mnt/tmp || exit
for directory in "$0" "$1"; do mkdir -p "/mnt$directory" && mount --bind "$directory" "/mnt$directory" || exit; done
mount --rbind /mnt/tmp /tmp && shift && exec "$@"
"#;

/// netifd tells no hotplug script of a lease that is renewed with nothing but other resolvers. It writes its file anew.
#[test]
fn a_renewal_of_nothing_else_is_heard_of() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        all_is_up(&lab, &daemon);
        let private = ["unshare", "--mount", "--propagation", "private"];
        let (directory, program) = (daemon.file(""), program());
        let seen = [&directory, program.parent().unwrap()].map(|path| path.to_str().unwrap());
        daemon.launch_by(&[&private[..], &["sh", "-c", OWN_TMP], &seen].concat());
        daemon.wait_for_all("online");

        // As netifd does: the directory is made at its start, the file is replaced whole.
        const WRITTEN: &str = "cd /tmp/resolv.conf.d && echo > resolv.conf.auto.tmp && mv resolv.conf.auto.tmp resolv.conf.auto";
        set_resolvers(&lab, &daemon, "wanb", &SECOND);
        inside(&daemon, "mkdir /tmp/resolv.conf.d");
        inside(&daemon, WRITTEN);
        goes_by(&lab, &daemon, SECOND[0], 2);
        set_resolvers(&lab, &daemon, "wanb", &["203.0.113.104"]);
        inside(&daemon, WRITTEN);
        goes_by(&lab, &daemon, "203.0.113.104", 2);
        goes_by(&lab, &daemon, SECOND[0], 1);
    });
}

/// Runs a line of shell where the daemon sees its files.
fn inside(daemon: &Daemon, line: &str) {
    let pid = daemon.pid().to_string();
    let command = ["--target", &pid, "--mount", "sh", "-c", line];
    let status = Command::new("nsenter").args(command).status().unwrap();
    assert!(status.success(), "{line}");
}

#[test]
fn netifds_are_followed() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = prepared(&lab, &settings(&lab));
        let set = |daemon: &Daemon, interface, resolvers: &[&str]| {
            set_resolvers(&lab, daemon, interface, resolvers);
        };
        set(&daemon, "wan", &[FIRST[0], SHARED[0], "127.0.0.1"]);
        set(&daemon, "wan6", &[FIRST[1], "fe80::1"]);
        let of_second = [SECOND[0], SECOND[1], SHARED[0]];
        set(&daemon, "wanb", &of_second);
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
        for at in [0, 1] {
            goes_by(&lab, &daemon, SECOND[at], 2);
            goes_by(&lab, &daemon, FIRST[at], 1);
            let family = Family::ALL[at];
            assert_eq!(preferences(&lab, family), [17750, 17751]);
        }
        goes_by(&lab, &daemon, "203.0.113.199", 1);

        // A restart, with netifd asked anew.
        let monitor = Monitor::start(&lab, &daemon);
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        let all = || {
            let told = |provider, at: usize| told(&daemon, provider, Family::ALL[at]);
            (0..2).all(|at| {
                told("isp1", at) == json!([FIRST[at]]) && told("isp2", at) == json!([SECOND[at]])
            })
        };
        assert!(wait_until(SOON, all), "{:#}", daemon.status());
        assert_eq!((monitor.deleted().len(), monitor.set()), (0, 0));
        drop(monitor);

        // A lease is renewed with another one; the first provider drops the one that both had.
        set(&daemon, "wanb", &["203.0.113.104", SECOND[1], SHARED[0]]);
        set(&daemon, "wan", &[FIRST[0]]);
        daemon.must(&["refresh"]);
        goes_by(&lab, &daemon, "203.0.113.104", 2);
        goes_by(&lab, &daemon, SHARED[0], 2);
        goes_by(&lab, &daemon, SECOND[0], 1);
        assert_eq!(preferences(&lab, Family::V4), [17750, 17751, 17751]);

        // One family is lost: its resolver alone is asked otherwise.
        set_interface(&daemon, "wan6", &down("eth1"));
        daemon.must(&["refresh", "wan6"]);
        assert!(leads_in(&lab, 2, Family::V6), "{}", daemon.log());
        goes_by(&lab, &daemon, FIRST[1], 2);
        assert_eq!(preferences(&lab, Family::V6), [17751]);
        assert_eq!(preferences(&lab, Family::V4), [17750, 17751, 17751]);
    });
}
