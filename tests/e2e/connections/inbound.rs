//! Connections from the Internet: answers leave by the provider by which the question came.

use super::*;
use crate::lab::flows::ALL;
use crate::lab::rights::in_lab;

/// The path is offline, though its line works: only the target of the check does not answer.
fn is_judged_offline(lab: &Lab, daemon: &Daemon, number: usize) {
    let silent = [
        ("ipv4/icmp_echo_ignore_all", 1),
        ("ipv6/icmp/echo_ignore_all", 1),
    ];
    lab.provider(number).server.sysctls(&silent);
    let name = &lab.provider(number).name;
    daemon.wait_for(name, "ipv4", "offline");
    daemon.wait_for(name, "ipv6", "offline");
}

/// Opens one connection by each provider, in the ways that `ways` knows.
fn by_each(lab: &Lab, daemon: &Daemon, ways: &[Way]) -> Vec<Session> {
    let mut sessions = Vec::new();
    for number in [1, 2] {
        for (name, way, by) in ways {
            let session = way(lab, number);
            let opened = session.unwrap_or_else(|end| {
                crate::lab::fail(&format!("{name} by isp{number}: {end:?}\n{}", daemon.log()))
            });
            assert_eq!(opened.by, *by, "{name} by isp{number}");
            sessions.push(opened);
        }
    }
    sessions
}

fn all_answer(sessions: &mut [Session], daemon: &Daemon) {
    for session in sessions {
        assert_eq!(session.say(), Ok(()), "{}", daemon.log());
    }
}

type Way = (&'static str, fn(&Lab, usize) -> Result<Session, End>, u8);

const FORWARD: Way = ("a port forward", forwarded, AT_HOME);
const OWN_V4: Way = (
    "the router in IPv4",
    |lab, number| own(lab, number, Family::V4),
    ROUTER,
);
const OWN_V6: Way = (
    "the router in IPv6",
    |lab, number| own(lab, number, Family::V6),
    ROUTER,
);
const ROUTED: Way = ("a LAN host in IPv6", routed, AT_HOME);

fn own(lab: &Lab, number: usize, family: Family) -> Result<Session, End> {
    let provider = lab.provider(number);
    Session::open(&provider.server, provider.own(family))
}

fn routed(lab: &Lab, number: usize) -> Result<Session, End> {
    let host = Provider::in_prefix(number, 2);
    Session::open(&lab.provider(number).server, host.into())
}

fn own_services(lab: &Lab) -> Services {
    let own = |provider: &Provider| Family::ALL.map(|family| provider.own(family));
    let mut all: Vec<IpAddr> = lab.providers.iter().flat_map(own).collect();
    all.sort_unstable();
    all.dedup();
    Services::start(&lab.router, &all, ROUTER)
}

/// Every way, by the leader and by the standby, also offline; and what is open survives every swap.
#[test]
fn every_provider_is_answered_whatever_leads() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        lab.forward_ports(&ALL);
        let _home = (at_home(&lab), own_services(&lab));
        let daemon = begin(&lab, &staying(&lab));
        let ways = [FORWARD, OWN_V4, OWN_V6, ROUTED];
        let mut open = by_each(&lab, &daemon, &ways);
        all_answer(&mut open, &daemon);
        is_judged_offline(&lab, &daemon, 2);
        all_answer(&mut open, &daemon);
        let mut others = by_each(&lab, &daemon, &ways);
        lab.provider(2).server.sysctls(&[
            ("ipv4/icmp_echo_ignore_all", 0),
            ("ipv6/icmp/echo_ignore_all", 0),
        ]);
        daemon.wait_for_all("online");
        is_judged_offline(&lab, &daemon, 1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        all_answer(&mut open, &daemon);
        all_answer(&mut others, &daemon);
        drop(by_each(&lab, &daemon, &ways));
    });
}

#[test]
fn every_provider_is_answered_with_equal_addresses() {
    in_lab(|| {
        let lab = Lab::builder().same_addresses().household(Nat::Masquerade);
        let lab = lab.build().carrying();
        let _services = Services::everywhere(&lab);
        lab.forward_ports(&ALL);
        let _home = (at_home(&lab), own_services(&lab));
        let daemon = begin(&lab, &staying(&lab));
        let ways = [FORWARD, OWN_V4, OWN_V6];
        let mut open = by_each(&lab, &daemon, &ways);
        is_judged_offline(&lab, &daemon, 1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        all_answer(&mut open, &daemon);
        drop(by_each(&lab, &daemon, &ways));
    });
}

/// Media in both directions, and a registration, through forwarded ports.
#[test]
fn a_call_from_outside_stays_where_it_came_by() {
    in_lab(|| {
        use crate::lab::firewall::FORWARDED;
        use crate::lab::flows::{MEDIA, SIGNAL};
        let (lab, _services) = household(Nat::Masquerade);
        lab.forward_ports(&ALL);
        let _home = at_home(&lab);
        let daemon = begin(&lab, &staying(&lab));
        let calls = [1, 2].map(|number| {
            let own = lab.provider(number).own(Family::V4);
            let at = |port| (own, FORWARDED + port).into();
            Call::start_at(&lab.provider(number).server, at(MEDIA), at(SIGNAL))
        });
        for call in &calls {
            assert!(call.goes_by(AT_HOME, SOON), "{}", daemon.log());
            assert_eq!(call.register(), Some(AT_HOME));
        }
        let moments = [calls[0].now(), calls[1].now()];
        is_judged_offline(&lab, &daemon, 1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        for (call, moment) in calls.iter().zip(moments) {
            assert!(call.rings(), "{}", daemon.log());
            let lost = call.lost(moment);
            assert!(lost.iter().all(|lost| *lost <= 2), "{lost:?}");
        }
    });
}

/// A strict reverse-path filter needs `src_valid_mark`.
#[test]
fn a_strict_filter_needs_marks_to_count() {
    in_lab(|| {
        let lab = Lab::builder().rp_filter(1).household(Nat::Masquerade);
        let lab = lab.build().carrying();
        let _services = Services::everywhere(&lab);
        lab.forward_ports(&ALL);
        let _home = at_home(&lab);
        let valid = |value| lab.router.sysctl("ipv4/conf/all/src_valid_mark", value);
        valid(0);
        let daemon = online_with(&lab, &staying(&lab));
        let warned = |daemon: &Daemon| {
            let status = daemon.status();
            let all = status["warnings"].as_array().unwrap();
            all.iter()
                .any(|warning| warning["code"] == "src-valid-mark")
        };
        assert!(wait_until(SOON, || warned(&daemon)), "{}", daemon.log());
        drop(daemon);
        valid(1);
        let daemon = begin(&lab, &staying(&lab));
        assert!(!warned(&daemon));
        let mut open = by_each(&lab, &daemon, &[FORWARD]);
        let mut traffic = Traffic::start(&lab, Family::V4, 1);
        daemon.configure(&staying(&lab).provider("isp1", "rank", "3"));
        daemon.must(&["reload"]);
        assert!(leads(&lab, 2));
        traffic.goes_on_by(1, &daemon);
        all_answer(&mut open, &daemon);
    });
}
