//! Warnings about connections that do not stay with their provider.

use std::fs;

use super::super::SOON;
use super::super::lab::rights::in_lab;
use super::super::lab::{Daemon, Lab, Settings, wait_until};
use super::{Cure, Of, Row, Stage};

/// Refuses while there is a file; otherwise it is the real one.
const NFT: &str = "#!/bin/sh\n[ -e \"$REFUSES\" ] || exec /usr/sbin/nft \"$@\"\n\
    cat > /dev/null\necho 'Error: Could not process rule: No such file or directory' >&2\nexit 1\n";

fn has_table(stage: &Stage<'_>) -> bool {
    let router = &stage.lab.router;
    let listed = router.output(&["nft", "list", "table", "inet", "failover"]);
    listed.status.success()
}

/// With a table that is asked for.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "no-forwarding",
        of: Of::Daemon,
        what: "masquerade is without effect: this machine does not forward IPv4",
        change: "`sysctl -w net.ipv4.ip_forward=1`, and in /etc/sysctl.d/",
        make: |stage| {
            stage.lab.router.sysctl("ipv4/ip_forward", 0);
            let settings = stage.settings.clone();
            stage.reload(&settings.provider("isp1", "masquerade", "1"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.lab.router.sysctl("ipv4/ip_forward", 1);
            let warnings = || stage.daemon.status()["warnings"].to_string();
            assert!(wait_until(SOON, || !warnings().contains("no-forwarding")));
            stage.restore();
        }),
    },
    Row {
        name: "no-nft",
        of: Of::Daemon,
        what: "connections do not stay with their provider, and inbound ones are not answered by theirs: `nft` cannot load \
               table inet failover: Error: Could not process rule: No such file or directory",
        change: "install nftables (OpenWrt: the packages nftables, kmod-nft-fib and kmod-nft-nat), then `failover reload`",
        make: |stage| {
            assert!(
                wait_until(SOON, || has_table(stage)),
                "{}",
                stage.daemon.log()
            );
            fs::write(stage.daemon.file("refuses"), "").unwrap();
            stage
                .lab
                .router
                .run(&["nft", "delete", "table", "inet", "failover"]);
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            fs::remove_file(stage.daemon.file("refuses")).unwrap();
            stage.must(&["reload"]);
            assert!(
                wait_until(SOON, || has_table(stage)),
                "{}",
                stage.daemon.log()
            );
        }),
    },
    Row {
        name: "src-valid-mark",
        of: Of::Provider("isp2"),
        what: "strict rp_filter on eth2 drops replies to marked packets: connections do not stay with it, and inbound ones \
               are not answered by it while another leads",
        change: "sysctl -w net.ipv4.conf.eth2.src_valid_mark=1",
        make: |stage| {
            stage.lab.router.sysctl("ipv4/conf/eth2/rp_filter", 1);
            Vec::new()
        },
        cure: Cure::Command,
    },
];

/// Those that the kernel of the tests cannot be brought to, and that have a test of their own.
pub(super) const ELSEWHERE: [&str; 3] = [
    // It needs netifd: `e2e::netifd::a_host_route_that_holds_a_tunnel_to_one_provider_is_told_of`.
    "host-route",
    // It needs an option of `run`: `e2e::last_good::a_copy_that_cannot_be_written_stops_nothing`.
    "last-good",
    // It needs one without ctnetlink.
    "no-ctnetlink",
];

#[test]
fn of_connections() {
    in_lab(|| {
        let lab = Lab::new();
        // Few rounds are enough here.
        let settings = Settings::fast(&lab)
            .global("up", "2")
            .global("connections", "stay");
        let mut daemon = Daemon::prepare(&lab.router, &settings);
        daemon.install("nft", NFT);
        daemon.set("REFUSES", daemon.file("refuses").display().to_string());
        daemon.launch();
        let mut stage = Stage {
            lab: &lab,
            daemon,
            settings,
        };
        stage.play(ROWS);
    });
}
