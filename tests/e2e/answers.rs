//! Which answers to probes count.

use super::lab::rights::in_lab;
use super::lab::topology::{TARGETS_V4, TARGETS_V6};
use super::lab::{Daemon, Lab};
use super::online;

fn rejected(daemon: &Daemon<'_>) -> u64 {
    let status = daemon.status();
    status["counters"]["replies_rejected"]
        .as_u64()
        .unwrap_or_default()
}

/// Another host behind the first provider answers in place of the target, and returns the whole probe: identifier, round
/// and token. Only its address differs.
#[test]
fn an_answer_by_another_than_the_target_does_not_count() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        assert_eq!(rejected(&daemon), 0);

        // Before connection tracking, which would restore the source address.
        let rules = format!(
            "table inet elsewhere {{
                chain arriving {{
                    type filter hook prerouting priority -300;
                    ip daddr {} ip daddr set {}
                    ip6 daddr {} ip6 daddr set {}
                }}
            }}",
            TARGETS_V4[0], TARGETS_V4[1], TARGETS_V6[0], TARGETS_V6[1]
        );
        let server = &lab.provider(1).server;
        server.feed(&["nft", "-f", "-"], &rules);
        for family in ["ipv4", "ipv6"] {
            daemon.wait_for("isp1", family, "offline");
        }
        assert!(rejected(&daemon) >= 6, "three rounds in each family");

        server.feed(&["nft", "-f", "-"], "delete table inet elsewhere");
        daemon.wait_for_all("online");
    });
}
