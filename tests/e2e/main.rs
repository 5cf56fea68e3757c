//! End-to-end tests: the real daemon on a real kernel, on a router with failing uplinks.
//!
//! | module | what it shows |
//! |---|---|
//! | [`outage`] | the outage after each fault of an uplink is bounded, and ends |
//! | [`pin`] | a pinned provider, by command and by file |
//! | [`routes`] | the routes and rules in the kernel, and that none is ever missing |
//! | [`routes_command`] | `failover routes` |
//! | [`life`] | start, reload, stop, SIGKILL |
//! | [`answers`] | which answers to probes count |
//! | [`checks`] | the types of checks, against servers with good and bad behaviour |
//! | [`preempt`] | whether and when traffic returns; providers taken out of use |
//! | [`last_resort`] | no provider works, and one works again |
//! | [`sources`] | replies leave by the device that has the address they are from |
//! | [`on_link`] | networks of the uplinks: with and without a route in `main` |
//! | [`steering`] | traffic by firewall mark, by device, by source address |
//! | [`asked`] | packets that leave by another way than the status says |
//! | [`error_routes`] | default routes of other programs in `main` that refuse |
//! | [`firewall_table`] | the firewall table that marks connections |
//! | [`page`] | what a web page shows |
//! | [`flapping`] | uplinks that come and go many times a second |
//! | [`follow`] | `log --follow`, over restarts |
//! | [`foreign`] | foreign routes and rules stay unchanged |
//! | [`neighbours`] | rules of other programs beside ours |
//! | [`metrics`] | what Prometheus reads is what the status says |
//! | [`manual`] | default routes that other programs set in `main` |
//! | [`rp_filter`] | strict reverse-path filters are detected and cured |
//! | [`own_address`] | the own address of a path is the kernel's choice, and stays |
//! | [`altnames`] | devices by their alternative names |
//! | [`equal_metrics`] | DHCP clients that cannot add a default route of a metric that another has |
//! | [`uplinks`] | point-to-point links, link-local gateways, one family only |
//! | [`sigkill`] | killed at any instant, repeatedly |
//! | [`saved`] | the state that the next run restores, with a good or bad file |
//! | [`refused`] | routes that the kernel refuses |
//! | [`reload`] | what a reload keeps, and what it changes |
//! | [`last_good`] | refused configurations, and the copy of the last good one |
//! | [`stop`] | clean stops, and two daemons at once |
//! | [`external_changes`] | other programs change the kernel's state |
//! | [`defaults`] | every form of default route, and what it carries |
//! | [`crowd`] | a thousand links, addresses and routes that do not concern the daemon |
//! | [`overflow`] | more routes in the kernel than there is room for |
//! | [`own_target`] | checks whose target is an address of the router |
//! | [`exec`] | commands as checks |
//! | [`explain`] | the output of `explain` is true |
//! | [`probe`] | the command `probe`, with and without a daemon |
//! | [`hooks`] | programs that run on transitions |
//! | [`netifd`] | OpenWrt's logical interfaces instead of devices |
//! | [`netifd_death`] | the same, killed and started again |
//! | [`netifd_prefix`] | the same, with a delegated prefix only |
//! | [`newcomer`] | the first configuration on plain Linux: what it is told when something is missing |
//! | [`foreign_files`] | wrong files in place of configuration and pin; the format of the status |
//! | [`cut_off`] | answers that arrive and are dropped on this machine |
//! | [`flux`] | two providers on one link |
//! | [`connections`] | what happens to connections of users, of others, and to inbound ones |
//! | [`truth`] | every reason and every warning: what is wrong, since when, what would change it |
//! | [`walk`] | after each step of a random walk, the status is what the kernel does |
//! | [`load`] | a daemon that is busy, stopped or flooded by clients, and its resources |
//! | [`query`] | a datagram to a target, and its result |
//! | [`redial`] | modems whose NAT keeps what it knew when their outer address changes |
//! | [`inspect`] | helpers: our routes, kernel events, resource usage, the status |
#![allow(clippy::unwrap_used)] // helpers of tests are test code, too, which the lint cannot know

pub mod altnames;
pub mod answers;
pub mod asked;
pub mod checks;
mod connections;
pub mod crowd;
pub mod cut_off;
pub mod defaults;
pub mod delegated;
pub mod equal_metrics;
pub mod error_routes;
pub mod exec;
pub mod explain;
pub mod external_changes;
pub mod firewall_table;
pub mod flapping;
pub mod flux;
pub mod follow;
pub mod foreign;
pub mod foreign_files;
pub mod hooks;
pub mod inspect;
#[path = "../lab/mod.rs"]
pub mod lab;
mod last_good;
pub mod last_resort;
pub mod life;
pub mod load;
pub mod manual;
mod metrics;
pub mod neighbours;
pub mod netifd;
pub mod netifd_death;
pub mod netifd_prefix;
pub mod newcomer;
pub mod on_link;
pub mod outage;
pub mod overflow;
pub mod own_address;
pub mod own_target;
mod page;
pub mod pin;
pub mod preempt;
pub mod probe;
#[path = "../promtool.rs"]
mod promtool;
pub mod query;
pub mod redial;
pub mod refused;
pub mod reload;
pub mod resolvers;
pub mod routes;
pub mod routes_command;
pub mod rp_filter;
pub mod saved;
pub mod sigkill;
pub mod sources;
pub mod state_dir;
pub mod steering;
mod stop;
mod truth;
pub mod uplinks;
pub mod walk;

use std::time::Duration;

use lab::{Daemon, Family, Lab, Settings, wait_until};

/// Timeout for everything that is not measured. Shared machines have been seen to stall for four seconds.
pub const SOON: Duration = Duration::from_secs(15);
/// The swap table.
pub const TABLE: u32 = 176;
/// The protocol number of the daemon's routes and rules.
pub const OURS: u32 = 176;
/// Added to each measured bound: tests run in parallel on machines with two cores, where a process that is ready to run
/// may wait for some time slices of 4 ms; and a flow's datagrams are 2 ms apart.
pub const SLACK: Duration = Duration::from_millis(40);

/// A daemon with `profile fast` on both providers, all of whose paths are online, in this lab.
pub fn online(lab: &Lab) -> Daemon<'_> {
    online_with(lab, &Settings::fast(lab))
}

/// The same with other settings.
pub fn online_with<'lab>(lab: &'lab Lab, settings: &Settings) -> Daemon<'lab> {
    let daemon = Daemon::start(&lab.router, settings);
    daemon.wait_for_all("online");
    daemon
}

/// Waits until provider `number` leads in the kernel's swap table, in both families.
pub fn leads(lab: &Lab, number: usize) -> bool {
    leads_table(lab, number, TABLE)
}

/// The same in one family.
pub fn leads_in(lab: &Lab, number: usize, family: Family) -> bool {
    leads_table_in(lab, number, TABLE, family)
}

/// The same with any swap table.
pub fn leads_table(lab: &Lab, number: usize, table: u32) -> bool {
    let mut families = Family::ALL.into_iter();
    families.all(|family| leads_table_in(lab, number, table, family))
}

fn leads_table_in(lab: &Lab, number: usize, table: u32, family: Family) -> bool {
    let device = &lab.provider(number).device;
    wait_until(SOON, || {
        lab.router.leader(family, table).as_ref() == Some(device)
    })
}
