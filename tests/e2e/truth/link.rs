//! Warnings of addresses: of the router that are asked, and of two devices on one link.

use super::super::flux;
use super::super::lab::rights::in_lab;
use super::super::lab::topology::target;
use super::super::lab::{Family, Lab, Settings};
use super::{Cure, Of, Row, Stage};

/// With gateways in the configuration.
pub(super) const ROWS: &[Row] = &[Row {
    name: "own-target",
    of: Of::Daemon,
    what: "{0}, which check google asks, is an address of this router: it is not made, and its probes count as lost",
    change: "let it ask a host behind the providers",
    make: |stage| {
        let target = target(Family::V4);
        let lan = format!("addr add {target}/32 dev lan0");
        stage.lab.router.ip(&lan);
        vec![target.to_string()]
    },
    cure: Cure::Done(|stage| {
        let target = target(Family::V4);
        let lan = format!("addr del {target}/32 dev lan0");
        stage.lab.router.ip(&lan);
    }),
}];

/// With two modems in one switch.
pub(super) const FLUX: &[Row] = &[Row {
    name: "arp-flux",
    of: Of::Provider("isp2"),
    what: "eth1 and eth2 are in one IPv4 network, and each answers ARP requests for the other's address: if they are on one link, replies come in by the wrong one",
    change: "sysctl -w net.ipv4.conf.eth1.arp_ignore=1 net.ipv4.conf.eth2.arp_ignore=1",
    make: |_| Vec::new(),
    cure: Cure::Command,
}];

#[test]
fn of_addresses() {
    in_lab(|| {
        let lab = Lab::new();
        Stage::new(&lab, Settings::fast(&lab)).play(ROWS);
    });
}

#[test]
fn of_one_link() {
    in_lab(|| {
        let (lab, _switch) = flux::in_one_switch(2);
        let mut stage = Stage::new(&lab, flux::settings(&lab, flux::GATEWAYS));
        stage.play_one(&FLUX[0], true);
    });
}
