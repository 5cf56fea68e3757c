//! The kernel's settings of a device, and the command that changes them, in a network namespace.

use std::process::Command;
use std::{fs, thread};

use failover::linux::sysctl::{Cure, rp_filter, src_valid_mark};
use nix::sched::{CloneFlags, unshare};

fn run(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

fn set(device: &str, option: &str, value: u8) {
    let path = format!("/proc/sys/net/ipv4/conf/{device}/{option}");
    fs::write(path, value.to_string()).unwrap();
}

/// Runs a test in a new network namespace.
fn in_namespace(story: fn()) {
    thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("to be run as root");
        story();
    })
    .join()
    .unwrap();
}

#[test]
fn the_larger_rp_filter_counts_and_the_cure_cures() {
    in_namespace(|| {
        run("ip link add wan0 type veth peer name eth0.2");
        assert_eq!(rp_filter("nosuch"), None);
        for device in ["wan0", "eth0.2"] {
            for (all, own, counts) in [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 2, 2), (2, 1, 2)] {
                set("all", "rp_filter", all);
                set(device, "rp_filter", own);
                assert_eq!(rp_filter(device), Some(counts));
            }
            set("all", "rp_filter", 1);
            set(device, "rp_filter", 1);
            let cure = Cure {
                device,
                option: "rp_filter",
                value: 2,
            };
            run(&cure.to_string());
            assert_eq!(rp_filter(device), Some(2), "{cure}");
        }
    });
}

#[test]
fn booleans_count_if_set_for_all_or_for_the_device() {
    in_namespace(|| {
        run("ip link add wan0 type veth peer name wan1");
        for (all, own) in [(0, 0), (0, 1), (1, 0)] {
            set("all", "src_valid_mark", all);
            set("wan0", "src_valid_mark", own);
            assert_eq!(src_valid_mark("wan0"), Some(all | own != 0));
        }
        assert_eq!(src_valid_mark("nosuch"), None);
    });
}

#[test]
fn names_with_dots_are_written_with_slashes() {
    let cure = |device| {
        let (option, value) = ("rp_filter", 2);
        Cure {
            device,
            option,
            value,
        }
        .to_string()
    };
    assert_eq!(cure("eth1"), "sysctl -w net.ipv4.conf.eth1.rp_filter=2");
    assert_eq!(cure("eth0.2"), "sysctl -w net/ipv4/conf/eth0.2/rp_filter=2");
}
