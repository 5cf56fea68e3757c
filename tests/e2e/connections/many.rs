//! A hundred thousand connections: a hand-over costs what the kernel's deletion costs.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::*;
use crate::SLACK;
use crate::lab::rights::in_lab;

const ALL: u32 = 100_000;
const OF_FIRST: u32 = 5_000;

/// Opens so many connections in the LAN, by datagrams to different ports.
fn open(lab: &Lab, count: u32) {
    let target = target(Family::V4);
    lab.lan.enter(|| {
        let mut left = count;
        while left > 0 {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
            for port in 1024..u16::MAX {
                if left == 0 {
                    return;
                }
                left -= u32::from(
                    socket
                        .send_to(b"", SocketAddr::from((target, port)))
                        .is_ok(),
                );
            }
        }
    });
}

#[test]
fn a_hand_over_among_a_hundred_thousand_takes_what_the_kernel_takes() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Masquerade);
        // The servers are silent: refusals would only cost time.
        for provider in &lab.providers {
            let drop = "rule add pref 2 iif line to 203.0.113.8 ipproto udp blackhole\n";
            provider.gateway.batch(Family::V4, drop);
        }
        let daemon = begin(&lab, &staying(&lab));
        first_dies(&lab, &daemon);
        open(&lab, ALL - OF_FIRST);
        first_returns(&lab, &daemon);
        open(&lab, OF_FIRST);
        assert!(lab.tracked() >= ALL * 9 / 10, "{}", lab.tracked());
        // The kernel walks through its whole table for a mark that no entry has.
        let bare = lab.delete_marked(0x5500_0000, OURS);
        let before = lab.tracked();
        let start = Instant::now();
        lab.pull_cable(1);
        let done = wait_until(SOON, || lab.tracked() + OF_FIRST * 9 / 10 <= before);
        let took = start.elapsed();
        println!("{took:?} for a hand-over, {bare:?} for a deletion alone");
        assert!(done, "{}", daemon.log());
        assert!(took <= bare * 3 + Duration::from_millis(60) + SLACK);
        // What is not the first provider's is still there.
        assert!(lab.tracked() >= (ALL - OF_FIRST) * 9 / 10);
    });
}
