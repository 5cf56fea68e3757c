//! Connections: keeps our firewall table in force where it is wanted, and hands connections over.
//!
//! | module | job |
//! |---|---|
//! | `plan` | whether the table is wanted, and what it depends on |
//! | `handing` | hands connections over, one provider's at a time |
//! | `warn` | the warnings about all this |
//!
//! The kernel is asked which table it has only at the start and when another program may have deleted it. `nft` runs only
//! when that is not the wanted one: a swap does not change it.

mod handing;
mod plan;
mod warn;

use heapless::Vec;

use super::context::Context;
use super::routes::RouteSync;
use super::token::Token;
use crate::config::Config;
use crate::firewall::handover::Handovers;
use crate::firewall::plan::Plan;
use crate::firewall::text;
use crate::limits::LEFT_MAX;
use crate::linux::log;
use crate::linux::netfilter::{self, Netfilter, TableWatch};
use crate::linux::poll::Interest;
use crate::linux::process::nft::{Failure, Nft};
use crate::types::{DeviceName, Duration, Family, Fault, Instant, Name, PerFamily, Slot, soonest};

/// Between two looks at what no event tells: forwarding, connection tracking, settings of devices. And before another
/// attempt to load a table that was refused.
const MINUTE: Duration = Duration::from_secs(60);
/// The shortest pause between two loads: each doubles it, up to [`MINUTE`], until there was none for a minute.
const PAUSE: Duration = Duration::from_secs(1);

/// The table, and the connections to be handed over.
pub(super) struct Firewall<'m> {
    /// What the wanted table depends on. It does not change while `nft` runs.
    plan: &'m mut Plan,
    handovers: &'m mut PerFamily<Handovers>,
    netfilter: Netfilter,
    /// Tells of the deletion of tables; opened with the first table.
    watch: Option<TableWatch>,
    nft: Nft,
    /// The families that the table is wanted for.
    wanted: PerFamily<bool>,
    /// The digest of the wanted table; none: there shall be none.
    digest: Option<u32>,
    /// The digest of the plan; none: it has changed since.
    digested: Option<u32>,
    /// That of the table that the kernel has.
    in_force: Option<u32>,
    /// That of the table that `nft` is loading.
    loading: u32,
    /// The kernel must be asked for its table.
    doubted: bool,
    /// The leaders' devices, for as long as the table that is replaced has them in `moved`.
    moved: PerFamily<DeviceName>,
    /// The devices that the replaced table has in `left`, for as long.
    left: Vec<DeviceName, LEFT_MAX>,
    /// Until when the table has them.
    moved_until: Instant,
    /// The first plan is not made yet, and there is a table of a former run.
    adopts: bool,
    /// What a former run may have left to hand over is not handed over yet.
    resumes: bool,
    /// The plan must be made again: something that it depends on may have changed.
    planned: bool,
    /// [`RouteSync::delegations`] at the last plan.
    delegations: u32,
    /// Providers, bit by bit, whose device checks sources strictly, but not by marks: their connections follow.
    strict: u64,
    /// When to look again at what no event tells.
    look_at: Instant,
    /// The pause after the next look, while there is no table for want of something to do.
    gap: Duration,
    /// No load before this time.
    not_before: Instant,
    /// The pause after the next load.
    pause: Duration,
    /// Why the wanted table is not in force.
    failure: Option<Failure>,
    /// The kernel lacks what deletes entries of connection tracking.
    lacks_deletion: bool,
    /// Members of the plan, bit by bit, that a reload took out: they go with the next plan.
    forgotten: u64,
    /// A provider that a reload took out, while its connections are not handed over yet.
    removed: Option<(Slot, Name)>,
}

impl<'m> Firewall<'m> {
    /// Takes its memory.
    pub(super) fn new(plan: &'m mut Plan, handovers: &'m mut PerFamily<Handovers>) -> Firewall<'m> {
        plan.ipsec = true;
        Firewall {
            plan,
            handovers,
            netfilter: Netfilter::new(),
            watch: None,
            nft: Nft::new(),
            wanted: PerFamily::default(),
            digest: None,
            digested: None,
            in_force: None,
            loading: 0,
            doubted: false,
            moved: PerFamily::default(),
            left: Vec::new(),
            moved_until: Instant::ZERO,
            adopts: false,
            resumes: false,
            planned: true,
            delegations: 0,
            strict: 0,
            look_at: Instant::ZERO,
            gap: PAUSE,
            not_before: Instant::ZERO,
            pause: PAUSE,
            failure: None,
            lacks_deletion: false,
            forgotten: 0,
            removed: None,
        }
    }

    /// At the start: a table of a former run is adopted. Call it before routes are set: its rules must stay.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, routes: &mut RouteSync<'_>, now: Instant) {
        self.in_force = self.netfilter.table_digest().unwrap_or_default();
        self.time_passes(cx, routes, now);
        if self.in_force.is_some() {
            self.adopts = true;
            self.watch_tables(cx);
            self.look_for_deletion(cx);
            self.adopt_connections(cx.engine);
        }
    }

    /// Whether the table is in force in a family.
    pub(super) fn is_in_force(&self, family: Family) -> bool {
        self.wanted[family] && self.in_force.is_some()
    }

    /// Whether the table translates what leaves with an address of another provider's prefix.
    pub(super) fn masquerades(&self) -> bool {
        self.is_in_force(Family::V6) && self.plan.foreign
    }

    /// A table was deleted.
    pub(super) fn read_events(&mut self) {
        if let Some(watch) = &mut self.watch {
            self.doubted |= watch.drain();
        }
    }

    /// When [`Firewall::work`] or [`Firewall::time_passes`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let load =
            (self.digest != self.in_force && !self.nft.is_running()).then_some(self.not_before);
        soonest(&[
            &load,
            &Some(self.look_at),
            &self.nft.next_deadline(),
            &self.handovers.v4.next_deadline(),
            &self.handovers.v6.next_deadline(),
        ])
    }

    /// Looks again at what no event tells: a person may have changed it.
    pub(super) fn look_again(&mut self) {
        self.look_at = Instant::ZERO;
    }

    /// Looks at what no event tells, and marks as changed what is due by now. Call it before routes and rules are set.
    pub(super) fn time_passes(
        &mut self,
        cx: &mut Context<'_>,
        routes: &mut RouteSync<'_>,
        now: Instant,
    ) {
        if self.look_at <= now {
            self.look_around(cx, routes, now);
            if self.lacks_deletion {
                self.look_for_deletion(cx);
            }
        }
        let mask = cx.engine.config().globals.mark_mask;
        let may_be = self.in_force.is_some() || self.failure.is_none();
        for &family in &Family::ALL {
            let marks = (self.wanted[family] && may_be).then_some(mask);
            routes.set_marks(family, marks, cx);
            routes.set_live(family, self.handovers[family].live(), cx);
            let due = self.handovers[family].next_deadline();
            cx.ranked |= due.is_some_and(|at| at <= now);
        }
    }

    /// Does what is due, once routes and rules are set. Some of it may ask for other rules.
    pub(super) fn work(&mut self, cx: &mut Context<'_>, routes: &RouteSync<'_>, now: Instant) {
        self.hand_over(cx, routes, now);
        self.nft.give_up(now);
        if core::mem::take(&mut cx.devices_due) {
            self.planned = true;
            self.expect_connections(now);
        }
        self.planned |= self.delegations != routes.delegations;
        // Another table begins without the devices that were added to `moved` while it was loaded.
        if self.nft.is_running() || cx.handing_over {
            return;
        }
        if self.planned {
            self.make_plan(cx, routes);
        }
        if core::mem::take(&mut self.doubted) {
            self.ask_kernel();
        }
        match self.digest {
            _ if self.planned => {} // an uplink is awaited
            wanted if wanted == self.in_force => {}
            None => self.delete_table(),
            Some(digest) if self.not_before <= now => self.load(digest, cx, routes, now),
            Some(_) => {}
        }
    }

    /// Finds out whether the kernel can delete the entries of connections.
    fn look_for_deletion(&mut self, cx: &mut Context<'_>) {
        let lacks = !self.netfilter.has_ctnetlink() && !netfilter::deletes_by_address();
        cx.warnings_due |= core::mem::replace(&mut self.lacks_deletion, lacks) != lacks;
    }

    /// Asks the kernel for its table.
    fn ask_kernel(&mut self) {
        let had = self.in_force;
        self.in_force = self.netfilter.table_digest().unwrap_or_default();
        if had.is_some() && self.in_force.is_none() && self.digest.is_some() {
            log::warn(format_args!(
                "another program has deleted table inet failover: it is made again"
            ));
        }
    }

    /// Begins to load the wanted table.
    fn load(&mut self, digest: u32, cx: &mut Context<'_>, routes: &RouteSync<'_>, now: Instant) {
        self.watch_tables(cx);
        self.pause = match now < self.not_before + MINUTE {
            true => (self.pause * 2).min(MINUTE),
            false => PAUSE,
        };
        (self.not_before, self.loading) = (now + self.pause, digest);
        if self.moved_until <= now {
            self.moved = PerFamily::default();
            self.left.clear();
        }
        let token = Token::Nft.to_u64();
        let begun = self.nft.start(now).and_then(|input| {
            let added = cx.poller.add(input, token, Interest::WRITE);
            added.map_err(Failure::NotStarted)
        });
        match begun {
            Ok(()) => self.write(routes),
            Err(failure) => self.failed(failure, cx, now),
        }
    }

    /// Writes as much of the text as `nft` takes. If a prefix has changed meanwhile, it gets no consistent text: it must end.
    pub(super) fn write(&mut self, routes: &RouteSync<'_>) {
        let (plan, delegated) = (&*self.plan, routes.delegated());
        if self.delegations != routes.delegations {
            self.planned = true;
            self.nft.stop();
        }
        let (moved, left) = (&self.moved, &self.left);
        self.nft.write(&|out| {
            text::write(plan, delegated, out)?;
            text::add_devices(plan, delegated, [&moved.v4, &moved.v6], left, out)
        });
    }

    /// A child has ended, possibly `nft`.
    pub(super) fn reap(&mut self, cx: &mut Context<'_>, now: Instant) {
        match self.nft.outcome() {
            None => {}
            Some(Ok(())) => {
                (self.in_force, self.failure) = (Some(self.loading), None);
                cx.warnings_due = true;
                self.look_for_deletion(cx);
            }
            Some(Err(failure)) => self.failed(failure, cx, now),
        }
    }

    /// The table was not loaded. A kernel without IPsec may accept it without the expression for it; otherwise the next
    /// attempt comes in a minute.
    fn failed(&mut self, failure: Failure, cx: &mut Context<'_>, now: Instant) {
        if matches!(failure, Failure::Refused(_)) && self.plan.ipsec {
            (self.plan.ipsec, self.planned, self.digested) = (false, true, None);
            self.not_before = now;
            return;
        }
        self.not_before = now + MINUTE;
        self.failure = Some(failure);
        cx.warnings_due = true;
    }

    /// Opens the socket that tells of the deletion of tables.
    fn watch_tables(&mut self, cx: &Context<'_>) {
        if self.watch.is_none()
            && let Ok(watch) = TableWatch::open()
            && cx.watch(watch.fd(), Token::Table).is_ok()
        {
            self.watch = Some(watch);
        }
    }

    /// Deletes the table.
    fn delete_table(&mut self) {
        match self.netfilter.delete_table() {
            Ok(()) | Err(Fault::NotSupported) => self.in_force = None,
            Err(fault) => {
                log::error(format_args!("table inet failover stays behind: {fault}"));
                self.digest = self.in_force; // until the next look
            }
        }
    }

    /// A configuration is about to be in force: what was refused is tried again.
    pub(super) fn reload(&mut self, running: &Config, candidate: &Config) {
        self.forget_changed(running, candidate);
        self.plan.ipsec |= self.failure.take().is_some();
        self.digested = None;
        (self.not_before, self.gap) = (Instant::ZERO, PAUSE);
        self.look_again();
    }

    /// The daemon ends; whether the table goes, too.
    pub(super) fn stop(&mut self, restores: bool) {
        let may_be = self.in_force.is_some() || self.nft.is_running();
        self.nft.stop();
        if restores && may_be {
            self.delete_table();
        }
    }
}
