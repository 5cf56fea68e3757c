//! Two DHCP clients, or scripts, that set default routes of one metric: the kernel has one of them, and says so or replaces it.

use super::SOON;
use super::explain::explanation;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};

/// Tries to set a default route by an uplink, without a metric, as Debian's dhclient does; the error.
fn set(lab: &Lab, verb: &str, number: usize, family: Family) -> String {
    let provider = lab.provider(number);
    let gateway = provider.gateway_address(family).to_string();
    let option = ["-4", "-6"][family as usize];
    let words = [
        "ip", option, "route", verb, "default", "via", &gateway, "dev",
    ];
    let output = lab
        .router
        .output(&[&words[..], &[&*provider.device]].concat());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What explain says of a rival, if anything.
fn told(daemon: &Daemon, provider: &str, family: Family) -> Option<String> {
    let whole = explanation(daemon, provider, family);
    let (_, rest) =
        whole.split_once("Perhaps one was refused (File exists), or replaced: there is one by ")?;
    let (rival, _) = rest.split_once(", and a metric has only one.")?;
    Some(rival.to_owned())
}

#[test]
fn explain_names_the_other_and_the_cure_works() {
    in_lab(|| {
        let lab = Lab::new();
        for (family, metric) in [(Family::V4, 0), (Family::V6, 1024)] {
            assert_eq!(set(&lab, "add", 1, family), "");
            let refused = set(&lab, "add", 2, family);
            assert!(refused.contains("File exists"), "{refused}");
            let daemon = Daemon::start(&lab.router, &Settings::learning(&lab));
            daemon.wait_for("isp1", family.name(), "online");
            assert_eq!(daemon.path_state("isp2", family.name()), "waiting");
            let rival = told(&daemon, "isp2", family);
            assert_eq!(rival, Some(format!("eth1 (metric {metric} in main)")));
            lab.learn_default(2, family, "boot", 200);
            daemon.wait_for("isp2", family.name(), "online");
            assert_eq!(told(&daemon, "isp2", family), None);
        }
    });
}

/// A client that replaces the route of its metric takes the other's.
#[test]
fn explain_names_the_one_that_took_the_route() {
    in_lab(|| {
        let (lab, family) = (Lab::new(), Family::V4);
        assert_eq!(set(&lab, "add", 1, family), "");
        let daemon = Daemon::start(&lab.router, &Settings::learning(&lab));
        daemon.wait_for("isp1", "ipv4", "online");
        assert_eq!(set(&lab, "replace", 2, family), "");
        daemon.wait_for("isp2", "ipv4", "online");
        daemon.wait_for("isp1", "ipv4", "waiting");
        let rival = told(&daemon, "isp1", family);
        assert_eq!(rival.as_deref(), Some("eth2 (metric 0 in main)"));
        // Without a rival it says nothing of one.
        lab.router.ip("route del default dev eth2");
        daemon.wait_for("isp2", "ipv4", "waiting");
        let none = || {
            ["isp1", "isp2"]
                .iter()
                .all(|p| told(&daemon, p, family).is_none())
        };
        assert!(wait_until(SOON, none), "{}", daemon.log());
    });
}
