//! A user wants another provider: connections are handed over at once.

use super::*;
use crate::lab::rights::in_lab;

/// By a command: what is busy, and an idle connection in IPv6.
fn handed_over_by(act: impl FnOnce(&Daemon, Settings)) {
    handed_over(act, |traffic, daemon| traffic.moves_to(2, daemon));
}

fn handed_over(act: impl FnOnce(&Daemon, Settings), moves: impl Fn(Traffic, &Daemon)) {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab);
        let daemon = begin(&lab, &settings);
        let all = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        let mut session = Session::open(&lab.lan, target(Family::V6)).unwrap();
        act(&daemon, settings);
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert_eq!(session.say(), Err(End::Reset), "{}", daemon.log());
        for traffic in all {
            moves(traffic, &daemon);
        }
    });
}

#[test]
fn a_pin_hands_over() {
    handed_over_by(|daemon, _| {
        drop(daemon.must(&["use", "isp2"]));
    });
}

#[test]
fn disable_hands_over() {
    handed_over_by(|daemon, _| {
        drop(daemon.must(&["disable", "isp1"]));
    });
}

#[test]
fn a_reload_without_the_provider_hands_over() {
    handed_over_by(|daemon, settings| {
        daemon.configure(&settings.without_section("provider", "isp1"));
        daemon.must(&["reload"]);
    });
}

#[test]
fn a_reload_that_disables_the_provider_hands_over() {
    handed_over_by(|daemon, settings| {
        daemon.configure(&settings.provider("isp1", "enabled", "0"));
        daemon.must(&["reload"]);
    });
}

/// The provider has the other one's device from now on: what has the address of the former device does not stay.
#[test]
fn a_reload_with_another_device_hands_over() {
    let act = |daemon: &Daemon, settings: Settings| {
        let settings = settings.without_section("provider", "isp1");
        daemon.configure(&settings.renamed("isp2", "isp1"));
        daemon.must(&["reload"]);
    };
    handed_over(act, |mut traffic, daemon| match traffic.family {
        Family::V4 => traffic.moves_to(2, daemon),
        // Calls are lost: the prefix of the former line is no provider's any more.
        Family::V6 => traffic.is_reset(daemon),
    });
}

/// It gets another name, and so is another. In IPv6, what has an address of the first one's prefix goes on by its line.
#[test]
fn a_reload_that_renames_the_provider_hands_over() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab);
        let daemon = begin(&lab, &settings);
        let [v4, mut v6] = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        let settings = settings.renamed("isp1", "wan1");
        daemon.configure(&settings.provider("isp2", "rank", "1"));
        daemon.must(&["reload"]);
        assert!(leads(&lab, 2), "{}", daemon.log());
        v4.moves_to(2, &daemon);
        v6.goes_on_by(1, &daemon);
    });
}

/// The providers change places: their connections stay where they are.
#[test]
fn a_reload_in_another_order_breaks_nothing() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab);
        let daemon = begin(&lab, &settings);
        let mut all = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        let other = settings
            .provider("isp1", "rank", "2")
            .provider("isp2", "rank", "1");
        daemon.configure(&other);
        daemon.must(&["reload"]);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for traffic in &mut all {
            traffic.goes_on_by(1, &daemon);
        }
    });
}

/// A user's own rule steers some connections to the standby: they stay there, and move when that dies.
#[test]
fn what_is_steered_to_a_provider_is_its_own() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        lab.nft(
            "table ip lab_steers { chain arriving { type filter hook prerouting priority mangle
                iifname lan0 tcp dport 22 meta mark set 0x200 } }",
        );
        let settings = staying(&lab).provider("isp2", "mark", "0x200");
        let daemon = begin(&lab, &settings);
        let open = || Session::open(&lab.lan, target(Family::V4)).unwrap();
        let mut steered = open();
        assert_eq!((steered.by, steered.say()), (2, Ok(())));
        let traffic = Call::start(&lab.lan, target(Family::V4));
        assert!(traffic.goes_by(1, SOON));
        lab.upstream_dies(2);
        daemon.wait_for("isp2", "ipv4", "offline");
        assert_eq!(steered.say(), Err(End::Reset), "{}", daemon.log());
        assert_eq!(open().by, 1);
        lab.upstream_returns(2);
        daemon.wait_for("isp2", "ipv4", "online");
        assert_eq!(open().by, 2);
        assert!(traffic.goes_by(1, SOON), "{}", daemon.log());
    });
}
