//! A user wants another provider: connections are handed over at once.

use super::*;
use crate::lab::rights::in_lab;

fn handed_over_by(act: impl FnOnce(&Daemon, Settings)) {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab);
        let daemon = begin(&lab, &settings);
        let traffic = Traffic::start(&lab, Family::V4, 1);
        // In IPv6, what a server sends meanwhile begins an inbound connection: only what is idle is sure to move.
        let mut session = Session::open(&lab.lan, target(Family::V6)).unwrap();
        act(&daemon, settings);
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert_eq!(session.say(), Err(End::Reset), "{}", daemon.log());
        traffic.moves_to(2, &daemon);
    });
}

#[test]
fn a_pin_hands_over() {
    handed_over_by(|daemon, _| drop(daemon.must(&["use", "isp2"])));
}

#[test]
fn disable_hands_over() {
    handed_over_by(|daemon, _| drop(daemon.must(&["disable", "isp1"])));
}

#[test]
fn a_reload_without_the_provider_hands_over() {
    handed_over_by(|daemon, settings| {
        daemon.configure(&settings.without_section("provider", "isp1"));
        daemon.must(&["reload"]);
    });
}

/// The provider has the other one's device from now on: what has the address of the former device does not stay.
#[test]
fn a_reload_with_another_device_hands_over() {
    handed_over_by(|daemon, settings| {
        let settings = settings.without_section("provider", "isp1");
        daemon.configure(&settings.renamed("isp2", "isp1"));
        daemon.must(&["reload"]);
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
