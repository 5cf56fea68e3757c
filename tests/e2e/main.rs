//! The real daemon on a real kernel, end to end: a router with failing uplinks, and what its users notice.
//!
//! | module | what it shows |
//! |---|---|
//! | [`outage`] | every fault of an uplink costs at most so much, and is healed |
//! | [`pin`] | a person's choice, by command and by file |
//! | [`routes`] | what is in the kernel, whose it is, and that it is never missing |
//! | [`life`] | start, reload, stop, sudden death |
//! | [`answers`] | which answers to probes count |
//! | [`checks`] | the types of checks, against servers good and bad |
//! | [`preempt`] | whether and when traffic returns; providers taken out of use |
//! | [`last_resort`] | nobody works, and somebody works again |
//! | [`steering`] | by firewall mark, by a chosen device, from a chosen address |
//! | [`foreign`] | what is not ours stays as it is |
//! | [`neighbours`] | rules of other programs beside ours |
//! | [`manual`] | default routes that others set in `main` |
//! | [`filter`] | strict reverse path filters, found and cured |
//! | [`uplinks`] | point-to-point, link-local gateways, one family only |
//! | [`death`] | killed at any instant, over and over |
//! | [`saved`] | what the next run knows, whatever became of the state's file |
//! | [`refused`] | what the kernel refuses, beside what it does not |
//! | [`reload`] | what a reload keeps, and what it changes |
//! | [`stop`] | clean stops, and two daemons at once |
//! | [`outside`] | others change the kernel's state under the daemon's hands |
//! | [`overflow`] | more in the kernel than there is room to watch |
//! | [`exec`] | commands as checks |
//! | [`explain`] | what is said of a provider is what is so |
//! | [`by_hand`] | checks that a person makes, with a daemon and without |
//! | [`hooks`] | other programs hear of transitions |
//! | [`netifd`] | OpenWrt's logical interfaces instead of devices |
//! | [`netifd_death`] | the same, killed and started again |
//! | [`netifd_prefix`] | the same, with a delegated prefix only |
//! | [`stranger`] | what strangers, vandals and programs do |
//! | [`siege`] | a busy, stopped or besieged daemon, and what it uses up |
//! | [`witness`] | what several of these look at |
#![allow(clippy::unwrap_used)] // what tests share is test code, too, which the lint cannot know

pub mod answers;
pub mod by_hand;
pub mod checks;
pub mod death;
pub mod exec;
pub mod explain;
pub mod filter;
pub mod foreign;
pub mod hooks;
#[path = "../lab/mod.rs"]
pub mod lab;
pub mod last_resort;
pub mod life;
pub mod manual;
pub mod neighbours;
pub mod netifd;
pub mod netifd_death;
pub mod netifd_prefix;
pub mod outage;
pub mod outside;
pub mod overflow;
pub mod pin;
pub mod preempt;
pub mod refused;
pub mod reload;
pub mod routes;
pub mod saved;
pub mod siege;
pub mod state_dir;
pub mod steering;
mod stop;
pub mod stranger;
pub mod talk;
pub mod uplinks;
pub mod witness;

use std::time::Duration;

use lab::{Daemon, Family, Lab, Settings, wait_until};

/// Whatever is not measured happens well within this time. Shared machines have been seen to stand still for four seconds.
pub const SOON: Duration = Duration::from_secs(15);
/// The swap table.
pub const TABLE: u32 = 176;
/// The protocol of what is the daemon's.
pub const OURS: u32 = 176;
/// Added to each measured bound: tests run beside each other on machines with two cores, where a process that is
/// ready to run may wait for some turns of 4 ms; and a flow's datagrams are 2 ms apart.
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
