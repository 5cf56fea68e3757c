//! A check whose target is an address of the router would always be answered: it is refused by `check`, and not made.

use std::path::Path;

use super::checks::with_check;
use super::explain::explanation;
use super::lab::daemon::program;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Namespace, Settings, wait_until};
use super::{SOON, leads_in, online_with};

/// No host's so far.
fn absent(family: Family) -> &'static str {
    match family {
        Family::V4 => "203.0.113.77",
        Family::V6 => "2001:db8:53::77",
    }
}

/// The output of `check` on a machine, and its exit code.
fn checked(machine: &Namespace, file: &Path) -> (String, i32) {
    let (program, file) = (program(), file.to_string_lossy());
    let program = program.to_string_lossy();
    let output = machine.output(&[&*program, "--config", &*file, "check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (said, output.status.code().unwrap_or(-1))
}

#[test]
fn masquerading_needs_a_router_that_forwards() {
    in_lab(|| {
        let lab = Lab::new();
        let said = |machine: &Namespace, value: &str| {
            let settings = Settings::fast(&lab).provider("isp2", "masquerade", value);
            let daemon = Daemon::prepare(machine, &settings);
            let file = daemon.file("failover.conf");
            let (said, code) = checked(machine, &file);
            assert_eq!(code, 0, "{said}");
            let text = std::fs::read_to_string(&file).unwrap();
            let line = text.lines().position(|line| line.contains("masquerade"));
            let begin = format!(
                "{}:{}: warning: masquerade",
                file.display(),
                line.unwrap() + 1
            );
            assert_eq!(
                said.contains(&begin),
                said.contains("ip_forward=1"),
                "{said}"
            );
            said.contains(&begin)
        };
        assert!(!said(&lab.router, "1"));
        lab.router.sysctl("ipv4/ip_forward", 0);
        assert!(said(&lab.router, "1") && said(&lab.router, "yes"));
        assert!(!said(&lab.router, "0"));
        lab.lan.sysctl("ipv4/ip_forward", 0);
        assert!(!said(&lab.lan, "1"), "its devices are not there");
    });
}

#[test]
fn is_refused_on_the_router_and_nowhere_else() {
    in_lab(|| {
        let lab = Lab::new();
        let own = lab.provider(1).own(Family::V4).to_string();
        let of_lan = "192.0.2.253";
        lab.router.ip(&format!("address add {of_lan}/32 dev lan0"));
        let settings = Settings::fast(&lab);
        let pinging = |name: &str, target: &str| {
            with_check(
                settings.clone(),
                name,
                &[("type", "ping"), ("target", target)],
            )
        };
        let asking = [
            (pinging("own", &own), format!("target '{own}'")),
            (pinging("lan", of_lan), format!("target '{of_lan}'")),
            (
                pinging("own6", &lab.provider(2).own(Family::V6).to_string()),
                format!("target '{}'", lab.provider(2).own(Family::V6)),
            ),
            (
                with_check(
                    settings.clone(),
                    "page",
                    &[
                        ("type", "http"),
                        ("target", "www.example.com"),
                        ("resolver", of_lan),
                    ],
                ),
                format!("resolver '{of_lan}'"),
            ),
            (
                settings
                    .clone()
                    .without("provider", "isp1", "gateway")
                    .list("provider", "isp1", "gateway", of_lan),
                format!("gateway '{of_lan}'"),
            ),
        ];
        for (settings, what) in asking {
            let daemon = Daemon::prepare(&lab.router, &settings);
            let file = daemon.file("failover.conf");
            let line = std::fs::read_to_string(&file).unwrap();
            let address = what.split('\'').nth(1).unwrap();
            let line = line
                .lines()
                .position(|line| line.contains(address))
                .unwrap()
                + 1;
            let expected = format!(
                "{}:{line}: {what} is an address of this router: expected another host's\n",
                file.display()
            );
            assert_eq!(checked(&lab.router, &file), (expected, 78));
            // There it is another machine's, and no provider's device is there.
            lab.lan.ip(&format!("address replace {own}/32 dev lo"));
            let (said, code) = checked(&lab.lan, &file);
            assert!(code == 0 && !said.contains("of this router"), "{said}");
        }
        let daemon = Daemon::prepare(&lab.router, &settings);
        assert_eq!(checked(&lab.router, &daemon.file("failover.conf")).1, 0);
    });
}

/// The texts of the warnings.
fn warnings(daemon: &Daemon) -> Vec<String> {
    let status = daemon.status();
    let all = status["warnings"].as_array().cloned().unwrap_or_default();
    let own = all.iter().filter(|w| w["code"] == "own-target");
    own.filter_map(|w| w["text"].as_str().map(str::to_owned))
        .collect()
}

/// It is the router's own from some time on: the path that it kept online fails with its line, and the next takes over.
fn does_not_count(family: Family, device: &str) {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let settings = Settings::fast(&lab);
        let near = [("type", "ping"), ("target", absent(family))];
        let daemon = online_with(&lab, &with_check(settings, "near", &near));
        assert_eq!(warnings(&daemon), [""; 0]);
        let change = |verb: &str| {
            let length = if family == Family::V4 { 32 } else { 128 };
            let nodad = if family == Family::V6 && verb == "add" {
                " nodad"
            } else {
                ""
            };
            lab.router.ip(&format!(
                "address {verb} {}/{length} dev {device}{nodad}",
                absent(family)
            ));
        };
        change("add");
        let told = || warnings(&daemon).len() == 1;
        assert!(wait_until(SOON, told), "{:#}", daemon.status());
        let text = warnings(&daemon).remove(0);
        let expected = format!(
            "{}, which check near asks, is an address of this router: it is not made, and its probes count as lost; let it \
             ask a host behind the providers",
            absent(family)
        );
        assert_eq!(text, expected);
        let why = format!(
            "near (ping {}): not asked, as that is an address of this router;",
            absent(family)
        );
        let reason = "is an address of this router";
        let explained = || explanation(&daemon, "isp1", family).contains(&why);
        assert!(
            wait_until(SOON, explained),
            "{}",
            explanation(&daemon, "isp1", family)
        );
        lab.upstream_dies(1);
        assert!(leads_in(&lab, 2, family), "{}", daemon.log());
        daemon.wait_for("isp1", family.name(), "offline");
        // The same by hand.
        let probed = daemon.command(&["probe", "isp1", "--count", "1"]);
        let said = String::from_utf8_lossy(&probed.stdout).into_owned();
        assert!(said.contains(reason), "{said}");
        change("del");
        let over = || warnings(&daemon).is_empty();
        assert!(wait_until(SOON, over), "{:#}", daemon.status());
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        assert!(leads_in(&lab, 1, family));
    });
}

#[test]
fn does_not_count_where_it_is_the_uplinks_own_in_ipv4() {
    does_not_count(Family::V4, "eth1");
}

#[test]
fn does_not_count_where_it_is_the_uplinks_own_in_ipv6() {
    does_not_count(Family::V6, "eth1");
}

#[test]
fn does_not_count_where_it_is_the_lans_in_ipv4() {
    does_not_count(Family::V4, "lan0");
}
