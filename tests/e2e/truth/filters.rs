//! Warnings of reverse-path filters.

use super::super::lab::rights::in_lab;
use super::super::lab::topology::target;
use super::super::lab::{Family, Lab, Settings, wait_until};
use super::super::query::{Outcome, query};
use super::{Cure, Of, Row, SOON, Stage};

const ISP2: Of = Of::Provider("isp2");

/// What becomes of the traffic of a host.
fn comes_to(stage: &Stage<'_>, outcome: Outcome) {
    let asked = || query(&stage.lab.lan, target(Family::V4));
    assert!(wait_until(SOON, || asked() == outcome), "{:?}", asked());
}

/// With strict filters, and hosts whose traffic is marked for the second provider.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "src-valid-mark",
        of: ISP2,
        what: "strict rp_filter on eth2 drops the replies to hosts whose traffic is marked",
        change: "sysctl -w net.ipv4.conf.eth2.rp_filter=2",
        make: |stage| {
            let settings = stage.settings.clone();
            stage.reload(&settings.provider("isp2", "mark", "0x100/0xff00"));
            comes_to(stage, Outcome::Lost);
            Vec::new()
        },
        cure: Cure::Command,
    },
    Row {
        name: "rp-filter",
        of: ISP2,
        what: "strict rp_filter on eth2 drops the replies to its probes: their way back is by eth1 (table 300, rule 100)",
        change: "sysctl -w net.ipv4.conf.eth2.rp_filter=2",
        make: |stage| {
            let lab = stage.lab;
            comes_to(stage, Outcome::By(2));
            lab.router.sysctl("ipv4/conf/eth2/rp_filter", 1);
            let own = lab.provider(2).own(Family::V4);
            let gateway = lab.provider(1).gateway_address(Family::V4);
            lab.router.batch(
                Family::V4,
                &format!(
                    "route add default via {gateway} dev eth1 table 300
                     rule add pref 100 from {own} lookup 300"
                ),
            );
            stage.daemon.wait_for("isp2", "ipv4", "offline");
            Vec::new()
        },
        cure: Cure::Command,
    },
    Row {
        name: "rp-filter",
        of: ISP2,
        what: "rp_filter on eth2 drops the replies to its probes: their way back is refused ({0}, rule 100)",
        change: "sysctl -w net.ipv4.conf.eth2.rp_filter=0 net.ipv4.conf.all.rp_filter=0",
        make: |stage| {
            let router = &stage.lab.router;
            router.sysctl("ipv4/conf/all/rp_filter", 2);
            let own = stage.lab.provider(2).own(Family::V4);
            // The probes, which are bound to the device, still leave.
            router.batch(
                Family::V4,
                &format!(
                    "rule add pref 99 oif eth2 lookup 17602
                     rule del pref 100
                     rule add pref 100 from {own} unreachable"
                ),
            );
            stage.daemon.wait_for("isp2", "ipv4", "offline");
            vec!["network unreachable".to_owned()]
        },
        cure: Cure::Command,
    },
];

/// Marks the LAN's traffic to the target.
const MARKING: &str = "
    table ip marking {
        chain prerouting {
            type filter hook prerouting priority mangle;
            iifname \"lan0\" meta mark set 0x100
        }
    }
";

#[test]
fn of_filters() {
    in_lab(|| {
        let lab = Lab::builder().nat().rp_filter(1).build();
        lab.serve();
        lab.router.feed(&["nft", "-f", "-"], MARKING);
        Stage::new(&lab, Settings::fast(&lab)).play(ROWS);
    });
}
