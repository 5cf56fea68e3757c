//! A line dies: its connections are handed over, and only they.

use super::*;
use crate::lab::flows::ALL;
use crate::lab::rights::in_lab;
use crate::lab::topology::LAN_ROUTER;

fn connections_are_handed_over(nat: Nat) {
    in_lab(|| {
        let (lab, _services) = household(nat);
        lab.forward_ports(&ALL);
        let _home = at_home(&lab);
        let _router = Services::start(&lab.router, &LAN_ROUTER, ROUTER);
        let daemon = begin(&lab, &staying(&lab));
        let all = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        let mut others: Vec<Session> = LAN_ROUTER
            .iter()
            .map(|own| Session::open(&lab.lan, *own).unwrap())
            .chain([forwarded(&lab, 2).unwrap()])
            .collect();
        first_dies(&lab, &daemon);
        for traffic in all {
            traffic.moves_to(2, &daemon);
        }
        for session in &mut others {
            assert_eq!(session.say(), Ok(()), "{}", daemon.log());
        }
        for family in Family::ALL {
            assert!(new_ones_go_by(&lab, family, 2), "{}", daemon.log());
        }
    });
}

#[test]
fn connections_are_handed_over_with_masquerade() {
    connections_are_handed_over(Nat::Masquerade);
}

#[test]
fn connections_are_handed_over_with_a_fixed_address() {
    connections_are_handed_over(Nat::Snat);
}

#[test]
fn connections_are_handed_over_without_nat() {
    connections_are_handed_over(Nat::Off);
}

/// With these devices lost, the kernel itself deletes routes, addresses and masqueraded connections.
#[test]
fn connections_are_handed_over_when_the_cable_is_pulled() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let daemon = begin(&lab, &staying(&lab));
        let all = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        lab.pull_cable(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for traffic in all {
            traffic.moves_to(2, &daemon);
        }
    });
}

#[test]
fn connections_are_handed_over_when_the_device_goes_down() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let daemon = begin(&lab, &staying(&lab));
        let all = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        lab.device_down(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for traffic in all {
            traffic.moves_to(2, &daemon);
        }
    });
}

/// First the standby: the leader never has another to hand over to.
fn all_die(lab: &Lab, daemon: &Daemon) {
    lab.upstream_dies(2);
    daemon.wait_for("isp2", "ipv4", "offline");
    daemon.wait_for("isp2", "ipv6", "offline");
    lab.upstream_dies(1);
    daemon.wait_for_all("offline");
}

#[test]
fn connections_are_kept_while_nothing_else_works() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let daemon = begin(&lab, &staying(&lab));
        let mut sessions = Family::ALL.map(|f| Session::open(&lab.lan, target(f)).unwrap());
        all_die(&lab, &daemon);
        first_returns(&lab, &daemon);
        daemon.wait_for("isp1", "ipv4", "online");
        daemon.wait_for("isp1", "ipv6", "online");
        for session in &mut sessions {
            assert_eq!(session.say(), Ok(()), "{}", daemon.log());
        }
    });
}

/// All lines flap: the last resort leads, which does not work either. What runs by another line stays there, in whatever
/// order they return.
fn all_flap(connections: &str) {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        let daemon = begin(&lab, &staying(&lab).global("connections", connections));
        first_dies(&lab, &daemon);
        let mut sessions = Family::ALL.map(|f| Session::open(&lab.lan, target(f)).unwrap());
        lab.upstream_dies(2);
        daemon.wait_for_all("offline");
        assert!(leads(&lab, 1), "{}", daemon.log());
        for (session, family) in sessions.iter_mut().zip(Family::ALL) {
            assert_eq!(session.by, 2, "{family}");
            let said = session.say_within(Duration::from_millis(200));
            assert_eq!(said, Err(End::Silence), "{family}\n{}", daemon.log());
        }
        lab.upstream_returns(2);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for session in &mut sessions {
            assert_eq!(session.say(), Ok(()), "{}", daemon.log());
        }
        lab.upstream_dies(2);
        daemon.wait_for_all("offline");
        lab.upstream_returns(1);
        daemon.wait_for("isp1", "ipv4", "online");
        daemon.wait_for("isp1", "ipv6", "online");
        for session in &mut sessions {
            // The answer to what was said twice may come first.
            let is_reset = wait_until(SOON, || session.say() == Err(End::Reset));
            assert!(is_reset, "{}", daemon.log());
        }
    });
}

#[test]
fn connections_live_through_a_flap_of_all_lines() {
    all_flap("stay");
}

#[test]
fn connections_that_follow_live_through_a_flap_of_all_lines() {
    all_flap("follow");
}

#[test]
fn connections_are_handed_over_as_soon_as_anything_works() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let daemon = begin(&lab, &staying(&lab));
        let sessions = Family::ALL.map(|f| Session::open(&lab.lan, target(f)).unwrap());
        all_die(&lab, &daemon);
        lab.upstream_returns(2);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for mut session in sessions {
            assert_eq!(session.say(), Err(End::Reset), "{}", daemon.log());
        }
    });
}

/// In one family only: what runs in the other one is not touched.
#[test]
fn the_other_family_is_not_touched() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let daemon = begin(&lab, &staying(&lab));
        let [v4, mut v6] = Family::ALL.map(|family| Traffic::start(&lab, family, 1));
        let gateway = &lab.provider(1).gateway;
        gateway.batch(Family::V4, "rule add pref 1 iif line blackhole\n");
        assert!(crate::leads_in(&lab, 2, Family::V4), "{}", daemon.log());
        v4.moves_to(2, &daemon);
        v6.goes_on_by(1, &daemon);
    });
}

#[test]
fn what_was_done_is_told() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        let settings = staying(&lab);
        let daemon = begin(&lab, &settings);
        let sessions: Vec<Session> = (0..20)
            .map(|_| Session::open(&lab.lan, target(Family::V4)).unwrap())
            .collect();
        let count = |daemon: &Daemon, id: &str| {
            let said = daemon.must(&["status", "--connections", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&said).unwrap();
            let connections = &crate::inspect::provider(&status, id)["connections"];
            [&connections["ipv4"], &connections["ipv6"]].map(|n| n.as_u64().unwrap())
        };
        let [v4, v6] = count(&daemon, "isp1");
        assert!(v4 >= 20 && v6 < 20, "{v4} {v6}");
        let plain = daemon.status();
        let plain = crate::inspect::provider(&plain, "isp1");
        assert!(plain["connections"].is_null());
        first_dies(&lab, &daemon);
        let told = || {
            let log = daemon.log();
            let line = log.lines().find(|line| {
                line.contains("ipv4: about") && line.contains("handed over to isp2")
            })?;
            let (_, rest) = line.split_once("about ")?;
            rest.split(' ').next()?.parse::<u32>().ok()
        };
        assert!(wait_until(SOON, || told().is_some()), "{}", daemon.log());
        assert!(told() >= Some(20), "{}", daemon.log());
        // Those of the daemon's own probes come and go.
        let [v4, v6] = count(&daemon, "isp1");
        assert!(v4 < 10 && v6 < 10, "{v4} {v6}");
        drop(sessions);
    });
}
