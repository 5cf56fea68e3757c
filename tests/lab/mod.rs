//! The lab: a router with virtual uplinks in network namespaces, faults of uplinks, and measurements. Shared by the
//! end-to-end tests, the demo and the benches.
//!
//! ```text
//!                          ┌ eth1 ── line │ gateway of isp1 │ core ── eth0 │ Internet by isp1 │
//! │ lan │ eth0 ── lan0 │ router │
//!                          └ eth2 ── line │ gateway of isp2 │ core ── eth0 │ Internet by isp2 │
//! ```
//!
//! Every box is a namespace. The targets (203.0.113.8 and .9, 2001:db8:53::8 and ::9) exist on the Internet side of each
//! provider, one hop behind its gateway, so a reply always takes the path of its request, even if two providers have equal
//! addresses. No host answers ARP or NDP for addresses that are not on the link: otherwise a socket bound to a device would
//! reach the targets without any route, which would hide routing errors.
//!
//! To run one test: `cargo test --test e2e NAME` (a part of its name), as root or in a user namespace, which it creates
//! itself. A test that fails prints the daemon's log. `FAILOVER_BINARY=PROGRAM` selects another build of the daemon. To
//! inspect a running test, insert a `std::thread::sleep`, and meanwhile, with P the pid of `failover run`:
//!
//! ```text
//! nsenter --net --target P ip route show table all proto 176     the router's namespace
//! nsenter --net --target P tcpdump -ni eth1
//! failover status --config /tmp/failover-lab-…/failover.conf     the last word of /proc/P/cmdline
//! ```
//!
//! Nothing is left behind: the namespaces have no names and exist as long as the [`Lab`]; helper processes are killed with
//! the thread that started them; helper threads end by themselves.
#![allow(dead_code)] // each test, demo or bench uses a part of it

pub mod calls;
pub mod capture;
pub mod daemon;
pub mod faults;
pub mod firewall;
pub mod flow;
pub mod flows;
pub mod internet;
pub mod lookups;
pub mod meter;
pub mod namespace;
pub mod observe;
pub mod rights;
pub mod servers;
pub mod settings;
pub mod topology;
pub mod uplink;
pub mod wire;

pub use daemon::Daemon;
pub use flow::Flow;
pub use lookups::Lookups;
pub use namespace::Namespace;
pub use observe::wait_until;
pub use settings::Settings;
pub use topology::{Family, Lab};

use std::time::Duration;

/// Every helper thread ends by itself after this time.
pub const LIFETIME: Duration = Duration::from_secs(180);

/// Fails the test with a message.
#[allow(clippy::panic)] // the lab is test code, which the lint cannot know
pub fn fail(message: &str) -> ! {
    panic!("{message}")
}
