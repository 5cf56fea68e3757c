//! The fixture: a router with two devices in a network namespace, and a peer behind each device. A namespace exists as long
//! as a thread is in it or its file is open.

use std::fs::File;
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;
use std::time::Instant;

use failover::types::Family;
use nix::sched::{CloneFlags, setns, unshare};

pub(crate) struct Namespace(File);

impl Namespace {
    fn new() -> Namespace {
        thread::spawn(Namespace::enter_new).join().unwrap()
    }

    /// Moves the calling thread to a new namespace.
    fn enter_new() -> Namespace {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests make namespaces: run them as root");
        ip("link set lo up");
        Namespace(File::open("/proc/thread-self/ns/net").unwrap())
    }

    /// Runs a function inside, in another thread.
    pub(crate) fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                what()
            });
            there.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

/// Runs `ip` in the calling thread's namespace, and returns its output.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sets a value under `/proc/sys/net` of the calling thread's namespace.
pub(crate) fn sysctl(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
}

/// The router's devices, each with its peer's namespace.
pub(crate) const DEVICES: [&str; 2] = ["isp1", "isp2"];

/// The router is the calling thread's namespace.
pub(crate) struct Lab {
    pub(crate) peers: [Namespace; 2],
}

/// The router's address: the same on both devices.
pub(crate) fn own(family: Family) -> IpAddr {
    match family {
        Family::V4 => "192.0.2.2".parse().unwrap(),
        Family::V6 => "2001:db8::2".parse().unwrap(),
    }
}

/// Either peer's address.
pub(crate) fn target(family: Family) -> IpAddr {
    match family {
        Family::V4 => "192.0.2.1".parse().unwrap(),
        Family::V6 => "2001:db8::1".parse().unwrap(),
    }
}

/// Another address of either peer.
pub(crate) fn other(family: Family) -> IpAddr {
    match family {
        Family::V4 => "192.0.2.99".parse().unwrap(),
        Family::V6 => "2001:db8::99".parse().unwrap(),
    }
}

/// An address that no peer has.
pub(crate) fn beyond(family: Family) -> IpAddr {
    match family {
        Family::V4 => "203.0.113.9".parse().unwrap(),
        Family::V6 => "2001:db8:9::9".parse().unwrap(),
    }
}

/// Adds an address to a device of the calling thread's namespace, and returns when packets to it are received: in IPv6,
/// some time after `ip` has ended, and even after bind(2) accepts it.
pub(crate) fn add_address(device: &str, address: IpAddr) {
    let (family, rest) = match address {
        IpAddr::V4(_) => ("-4", "/24"),
        IpAddr::V6(_) => ("-6", "/64 nodad"),
    };
    ip(&format!("addr replace {address}{rest} dev {device}"));
    let begun = Instant::now();
    let local = format!("{family} route show table local dev {device} {address}");
    while ip(&local).is_empty() {
        assert!(begun.elapsed().as_secs() < 10, "{address} on {device}");
    }
}

impl Lab {
    /// Creates both uplinks; both peers answer.
    pub(crate) fn new() -> Lab {
        Namespace::enter_new();
        sysctl("ipv4/conf/all/rp_filter", "2");
        let lab = Lab {
            peers: [Namespace::new(), Namespace::new()],
        };
        for which in 0..2 {
            lab.plug(which);
        }
        lab
    }

    /// Creates a device with the router's addresses, and its peer.
    pub(crate) fn plug(&self, which: usize) {
        let (device, peer) = (DEVICES[which], &self.peers[which]);
        let router = nix::unistd::gettid();
        peer.inside(|| {
            ip(&format!(
                "link add uplink type veth peer name {device} netns {router}"
            ));
            ip("link set uplink up");
        });
        self.up(which);
        peer.inside(|| {
            for family in Family::ALL {
                add_address("uplink", target(family));
                add_address("uplink", other(family));
            }
        });
    }

    /// Sets a device up, and adds the router's addresses.
    pub(crate) fn up(&self, which: usize) {
        let device = DEVICES[which];
        ip(&format!("link set {device} up"));
        for family in Family::ALL {
            add_address(device, own(family));
        }
    }

    /// Stops a peer's kernel from answering pings.
    pub(crate) fn silence(&self, which: usize) {
        self.peers[which].inside(|| {
            sysctl("ipv4/icmp_echo_ignore_all", "1");
            sysctl("ipv6/icmp/echo_ignore_all", "1");
        });
    }
}
