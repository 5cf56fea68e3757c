//! Every fault of an uplink: the length of the outage, and that traffic returns.

use std::time::Duration;

use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Family, Flow, Lab, Lookups};
use super::{SLACK, SOON, online};

/// `profile fast`: rounds 100 ms apart, three of which fail, the last after its timeout of 300 ms; and a tenth.
const SILENT_DEATH_MAX: Duration = Duration::from_millis((3 * 100 + 300) * 11 / 10);
/// The kernel reports these faults.
const TOLD_FAULT_MAX: Duration = Duration::from_millis(20);
/// Datagrams that a swap between two healthy providers may lose: those in flight, and one for neighbour discovery.
const LOST_IN_SWAP_MAX: usize = 3;

/// A fault, its longest outage, and its repair.
struct Fault {
    happens: fn(&Lab),
    felt_at_most: Duration,
    is_mended: fn(&Lab),
}

const UPSTREAM_DIES: Fault = Fault {
    happens: |lab| lab.upstream_dies(1),
    felt_at_most: SILENT_DEATH_MAX,
    is_mended: |lab| lab.upstream_returns(1),
};
const GATEWAY_DIES: Fault = Fault {
    happens: |lab| lab.gateway_dies(1),
    felt_at_most: SILENT_DEATH_MAX,
    is_mended: |lab| lab.gateway_returns(1),
};
const CABLE_IS_PULLED: Fault = Fault {
    happens: |lab| lab.pull_cable(1),
    felt_at_most: TOLD_FAULT_MAX,
    is_mended: |lab| lab.plug_cable(1),
};
const DEVICE_GOES_DOWN: Fault = Fault {
    happens: |lab| lab.device_down(1),
    felt_at_most: TOLD_FAULT_MAX,
    is_mended: |lab| lab.device_up(1),
};
const DEVICE_VANISHES: Fault = Fault {
    happens: |lab| lab.remove_device(1),
    felt_at_most: TOLD_FAULT_MAX,
    is_mended: |lab| lab.insert_device(1),
};

/// The first provider has the fault; traffic moves to the second, and returns after the repair.
fn costs(fault: &Fault, family: Family) {
    let lab = Lab::new();
    let daemon = online(&lab);
    let flow = Flow::start(&lab, target(family));
    assert!(flow.goes_by(1, SOON));

    let struck = flow.now();
    (fault.happens)(&lab);
    assert!(
        flow.goes_by(2, SOON),
        "traffic did not leave\n{}",
        daemon.log()
    );
    let outage = flow.outage(struck);
    println!("{family}: felt for {} ms", outage.as_millis());
    let bound = fault.felt_at_most + SLACK;
    assert!(outage <= bound, "{outage:?} > {bound:?}\n{}", daemon.log());

    let hammer = Lookups::start(&lab.router, target(family));
    let mended = flow.now();
    (fault.is_mended)(&lab);
    assert!(
        flow.goes_by(1, SOON),
        "traffic did not return\n{}\n{}\n{}",
        daemon.must(&["status", "--json"]),
        lab.router.run(&["ip", "route", "show", "table", "all"]),
        lab.router
            .run(&["sh", "-c", "ip rule; ip neigh; ip -s link show eth1"]),
    );
    let lost = flow.lost(mended);
    assert!(lost <= LOST_IN_SWAP_MAX, "{lost} lost on return");
    let found = hammer.stop();
    assert_eq!(found.failures, 0, "{found:?}");
}

#[test]
fn a_dead_upstream_in_ipv4() {
    in_lab(|| costs(&UPSTREAM_DIES, Family::V4));
}

#[test]
fn a_dead_upstream_in_ipv6() {
    in_lab(|| costs(&UPSTREAM_DIES, Family::V6));
}

#[test]
fn a_dead_gateway_in_ipv4() {
    in_lab(|| costs(&GATEWAY_DIES, Family::V4));
}

#[test]
fn a_dead_gateway_in_ipv6() {
    in_lab(|| costs(&GATEWAY_DIES, Family::V6));
}

#[test]
fn a_pulled_cable_in_ipv4() {
    in_lab(|| costs(&CABLE_IS_PULLED, Family::V4));
}

#[test]
fn a_pulled_cable_in_ipv6() {
    in_lab(|| costs(&CABLE_IS_PULLED, Family::V6));
}

#[test]
fn a_device_down_and_up_in_ipv4() {
    in_lab(|| costs(&DEVICE_GOES_DOWN, Family::V4));
}

#[test]
fn a_device_down_and_up_in_ipv6() {
    in_lab(|| costs(&DEVICE_GOES_DOWN, Family::V6));
}

#[test]
fn a_device_gone_and_back_in_ipv4() {
    in_lab(|| costs(&DEVICE_VANISHES, Family::V4));
}

#[test]
fn a_device_gone_and_back_in_ipv6() {
    in_lab(|| costs(&DEVICE_VANISHES, Family::V6));
}

/// A fault of the provider that does not lead interrupts no traffic, and is detected.
#[test]
fn a_standby_may_fail() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let flows = Family::ALL.map(|family| Flow::start(&lab, target(family)));
        assert!(flows.iter().all(|flow| flow.goes_by(1, SOON)));
        lab.upstream_dies(2);
        daemon.wait_for("isp2", "ipv4", "offline");
        daemon.wait_for("isp2", "ipv6", "offline");
        lab.upstream_returns(2);
        daemon.wait_for_all("online");
        assert!(flows.iter().all(|flow| flow.lost(Duration::ZERO) == 0));
    });
}
