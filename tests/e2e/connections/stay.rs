//! A better line returns while connections run by another.

use std::time::{Duration, Instant};

use super::*;
use crate::lab::rights::in_lab;

/// The second line has taken over, the first returns: nothing breaks, and new connections take the better line.
fn nothing_breaks_at_a_return(nat: Nat) {
    in_lab(|| {
        let (lab, _services) = household(nat);
        let daemon = begin(&lab, &staying(&lab));
        first_dies(&lab, &daemon);
        let mut all = vec![
            Traffic::start(&lab, Family::V4, 2),
            // Its source is an address that the first provider has delegated.
            Traffic::start(&lab, Family::V6, 2),
        ];
        lab.lan_prefers(2);
        all.push(Traffic::start(&lab, Family::V6, 2));
        lab.lan_prefers(1);
        let mut own = Family::ALL.map(|f| Session::open(&lab.router, target(f)).unwrap());
        let moments: Vec<_> = all.iter().map(|traffic| traffic.call.now()).collect();
        first_returns(&lab, &daemon);
        for family in Family::ALL {
            assert!(new_ones_go_by(&lab, family, 1), "{}", daemon.log());
        }
        for (traffic, since) in all.iter_mut().zip(moments) {
            traffic.goes_on_by(2, &daemon);
            assert!(traffic.call.went_only_by(2, since));
            let lost = traffic.call.lost(since);
            assert!(lost.iter().all(|lost| *lost <= 2), "{lost:?}");
        }
        for session in &mut own {
            assert_eq!((session.by, session.say()), (2, Ok(())), "{}", daemon.log());
        }
    });
}

#[test]
fn nothing_breaks_at_a_return_with_masquerade() {
    nothing_breaks_at_a_return(Nat::Masquerade);
}

#[test]
fn nothing_breaks_at_a_return_with_a_fixed_address() {
    nothing_breaks_at_a_return(Nat::Snat);
}

#[test]
fn nothing_breaks_at_a_return_without_nat() {
    nothing_breaks_at_a_return(Nat::Off);
}

#[test]
fn nothing_breaks_while_a_better_line_flaps() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let daemon = begin(&lab, &staying(&lab));
        first_dies(&lab, &daemon);
        let mut all = Family::ALL.map(|family| Traffic::start(&lab, family, 2));
        lab.upstream_returns(1);
        for _ in 0..4 {
            lab.plug_cable(1);
            assert!(leads(&lab, 1), "{}", daemon.log());
            lab.pull_cable(1);
            assert!(leads(&lab, 2), "{}", daemon.log());
        }
        for traffic in &mut all {
            traffic.goes_on_by(2, &daemon);
            assert!(traffic.call.went_only_by(2, Duration::ZERO));
        }
    });
}

/// Connections stay by the second provider for this long, once the first leads again; then they move. What has an address of
/// the second provider's prefix moves with them only if `metered`: otherwise it leaves by that provider, whatever leads.
fn stayed(settings: impl FnOnce(Settings) -> Settings, at_least: Duration, metered: bool) {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let daemon = begin(&lab, &settings(staying(&lab)));
        first_dies(&lab, &daemon);
        let mut all = Family::ALL.map(|family| Traffic::start(&lab, family, 2));
        lab.lan_prefers(2);
        let mut of_prefix = Session::open(&lab.lan, target(Family::V6)).unwrap();
        lab.lan_prefers(1);
        // Both families take some time to return.
        let before = Instant::now();
        first_returns(&lab, &daemon);
        while before.elapsed() < at_least {
            for traffic in &mut all {
                traffic.goes_on_by(2, &daemon);
            }
        }
        for traffic in all {
            assert!(traffic.call.goes_by(1, SOON), "{}", daemon.log());
            traffic.moves_to(1, &daemon);
        }
        let expected = if metered { Err(End::Reset) } else { Ok(()) };
        assert_eq!(of_prefix.say(), expected, "{}", daemon.log());
    });
}

#[test]
fn a_duration_ends_the_stay() {
    let settings = |settings: Settings| settings.global("connections", "6s");
    stayed(settings, Duration::from_secs(3), false);
}

#[test]
fn connections_follow() {
    let settings = |settings: Settings| settings.provider("isp2", "connections", "follow");
    stayed(settings, Duration::ZERO, false);
}

#[test]
fn connections_of_a_metered_line_follow() {
    let settings = |settings: Settings| {
        let settings = settings.without("globals", "globals", "connections");
        settings
            .global("answers", "1")
            .provider("isp2", "profile", "metered")
            .provider("isp2", "interval", "100ms")
            .provider("isp2", "timeout", "300ms")
    };
    stayed(settings, Duration::ZERO, true);
}

#[test]
fn without_the_feature_there_is_no_table() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        let settings = staying(&lab)
            .global("connections", "off")
            .global("answers", "0")
            .global("ipv6_foreign", "off")
            .provider("isp2", "connections", "follow");
        let daemon = online_with(&lab, &settings);
        first_dies(&lab, &daemon);
        first_returns(&lab, &daemon);
        assert_eq!(table(&lab), None);
    });
}
