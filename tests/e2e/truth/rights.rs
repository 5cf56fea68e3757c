//! Warnings of a kernel that refuses everything.

use super::super::lab::rights::in_lab;
use super::super::lab::{Family, Lab, Settings};
use super::{Cure, Of, Row, Stage};

/// In a container that has the network of the host, but a user namespace of its own: the daemon is root there, but not to
/// that network.
fn in_a_container(stage: &mut Stage<'_>) -> Vec<String> {
    stage.daemon.terminate();
    stage
        .daemon
        .launch_by(&["unshare", "--user", "--map-root-user", "--"]);
    let ours = stage.lab.router.rules(Family::V4);
    assert!(ours.iter().all(|rule| rule.protocol != 176), "{ours:#?}");
    Vec::new()
}

fn as_root(stage: &mut Stage<'_>) {
    stage.daemon.terminate();
    stage.daemon.launch();
}

/// With gateways in the configuration.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "rule-refused",
        of: Of::Daemon,
        what: "the kernel refuses ipv4 rule 32800: not permitted",
        change: "run failover as root, and not in a user namespace of its own",
        make: in_a_container,
        cure: Cure::Done(as_root),
    },
    Row {
        name: "route-refused",
        of: Of::Provider("isp1"),
        what: "the kernel refuses `add default via 192.0.2.1 dev eth1 metric 100 table 176`: not permitted",
        change: "run failover as root, and not in a user namespace of its own",
        make: in_a_container,
        cure: Cure::Done(as_root),
    },
];

#[test]
fn of_rights() {
    in_lab(|| {
        let lab = Lab::new();
        Stage::new(&lab, Settings::fast(&lab)).play(ROWS);
    });
}
