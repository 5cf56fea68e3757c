//! Synchronizes engine and kernel: the kernel's changes → the engine; the engine's plans → the kernel's routes and rules.
//!
//! | module | job |
//! |---|---|
//! | `attempt` | one attempt to apply a plan to the kernel |
//! | `manual` | the foreign default route in `main` that prevails over ours |
//! | `picture` | keeps the mirror of the kernel's state up to date |
//! | `refusals` | the changes that the kernel refuses, and when to try them again |
//! | `family_sync` | when one family must be synchronized, and when to try again |
//! | `uplinks` | finds every path's uplink in the mirror |

mod attempt;
mod family_sync;
mod manual;
mod picture;
mod refusals;
mod uplinks;

use std::io;

use heapless::Vec;

use super::context::Context;
use super::probing::Probing;
use crate::engine::{Engine, Event};
use crate::limits::{PATHS_MAX, PROVIDERS_MAX, TAKEN_MAX};
use crate::linux::clock::now;
use crate::linux::log;
use crate::linux::netlink::{Events, Requests};
use crate::linux::process::ubus::Interfaces;
use crate::routing::delegated::Delegated;
use crate::routing::diff;
use crate::routing::layout::{Situation, Tables, Taken, Wanted, everywhere};
use crate::routing::mirror::{Kinds, Mirror};
use crate::routing::objects::{Change, RuleVerdict};
use crate::routing::resolvers::Resolvers;
use crate::routing::uplink::Uplink;
use crate::types::{
    Cause, Duration, Family, Fault, Instant, Kind, MarkMask, Metric, PathId, PerFamily,
    TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN, soonest,
};
use attempt::Attempt;
use family_sync::{Basis, FamilySync};
use picture::Gaps;
pub(super) use refusals::{Refusal, Refusals};

/// Pause between two journal entries of repairs.
const SILENCE: Duration = Duration::from_secs(60);
/// Rounds per wake-up: our own changes cause events, which may cause changes. A program that reacts to each of ours waits
/// for the next wake-up.
const NEWS_ROUNDS: usize = 8;

/// The mirror of the kernel, the wanted routes and rules, and the state of the synchronization.
pub(super) struct RouteSync<'m> {
    pub(super) mirror: &'m mut Mirror,
    /// By `PathId::index`.
    pub(super) uplinks: &'m mut Vec<Uplink, PATHS_MAX>,
    pub(super) tables: &'m mut Tables,
    /// The IPv6 prefixes that are delegated to providers.
    delegated: &'m mut Delegated,
    /// The resolvers that are asked through a provider.
    pub(super) resolvers: &'m mut Resolvers,
    /// How often they have changed.
    pub(super) delegations: u32,
    /// The result of the last layout.
    pub(super) laid_out: &'m mut PerFamily<LaidOut>,
    /// The changes that the kernel refuses.
    pub(super) refusals: &'m mut PerFamily<Refusals>,
    /// The wanted routes and rules of the family that is being synchronized.
    wanted: &'m mut Wanted,
    pub(super) requests: Requests,
    pub(super) events: Events,
    families: PerFamily<FamilySync>,
    /// The marks of connections, in a family where the firewall table sets them, or is about to.
    pub(super) marks: PerFamily<Option<MarkMask>>,
    /// See [`Situation::handed_over`].
    pub(super) handed_over: PerFamily<u64>,
    /// See [`Situation::live`].
    live: PerFamily<u64>,
    /// Changes in the kernel that are not reported to the engine yet.
    news: Kinds,
    /// The routes of packets may have changed: the kernel must be asked again.
    pub(super) has_changed: bool,
    /// The checks that would ask this router itself: bit i is `Config::checks[i]`.
    pub(super) own_targets: u32,
    /// There are more events to read.
    more_news: bool,
    /// Netifd is to be asked: a default route has come, perhaps by one of its devices, or while an interface was down.
    pub(super) asks_netifd: bool,
    /// How many calls of netifd had ended at the last synchronization.
    calls_ended: u32,
    /// No dump before this time: the last one failed, or would leave the same things unknown.
    dump_at: Option<Instant>,
    /// When things that lacked room are read again.
    gaps: Gaps,
    /// Since the start, netifd has neither reported all interfaces nor failed: the routes and the state of a former run are
    /// kept.
    adopting: bool,
    /// Routes and rules that another program changed, and that were restored.
    pub(super) repairs: u32,
    /// Requests that the kernel refused, or did not answer in time.
    pub(super) kernel_errors: u32,
}

/// The result of the last layout of one family, for status and explain. All zero bytes when new.
pub(super) struct LaidOut {
    /// Metrics of ours that other programs use.
    pub(super) taken: Vec<Taken, TAKEN_MAX>,
    /// There are too few metrics for ours before a default route in `main` that refuses.
    pub(super) is_narrow: bool,
    /// See [`Wanted::crowded`].
    pub(super) crowded: u64,
    /// Our wanted default routes in the swap table, best first: the device's index, and the metric.
    pub(super) places: Vec<(u32, Metric), PROVIDERS_MAX>,
}

impl LaidOut {
    pub(super) const fn new() -> LaidOut {
        LaidOut {
            taken: Vec::new(),
            is_narrow: false,
            crowded: 0,
            places: Vec::new(),
        }
    }

    /// Takes over what is told of a layout.
    pub(super) fn note(&mut self, wanted: &Wanted, family: Family, swap_table: u32) {
        self.taken.clone_from(&wanted.taken);
        (self.is_narrow, self.crowded) = (wanted.is_narrow, wanted.crowded);
        let place = (swap_table, everywhere(family));
        let ours = wanted.routes.iter();
        let ours = ours.filter(|r| (r.table, r.destination) == place);
        self.places.clear();
        let places = ours.map(|route| (route.device, route.metric));
        self.places.extend(places); // one a provider: there is room
    }
}

impl<'m> RouteSync<'m> {
    /// Takes its memory; the mirror is empty. Call [`RouteSync::begin`] next.
    pub(super) fn new(
        mirror: &'m mut Mirror,
        uplinks: &'m mut Vec<Uplink, PATHS_MAX>,
        tables: &'m mut Tables,
        (delegated, resolvers): (&'m mut Delegated, &'m mut Resolvers),
        laid_out: &'m mut PerFamily<LaidOut>,
        refusals: &'m mut PerFamily<Refusals>,
        wanted: &'m mut Wanted,
    ) -> io::Result<RouteSync<'m>> {
        Ok(RouteSync {
            mirror,
            uplinks,
            tables,
            delegated,
            resolvers,
            delegations: 0,
            laid_out,
            refusals,
            wanted,
            requests: Requests::open()?,
            events: Events::open()?,
            families: PerFamily::default(),
            marks: PerFamily::default(),
            handed_over: PerFamily::default(),
            live: PerFamily::default(),
            news: Kinds::NONE,
            has_changed: true,
            own_targets: 0,
            more_news: false,
            asks_netifd: false,
            calls_ended: 0,
            dump_at: None,
            gaps: Gaps::default(),
            adopting: true,
            repairs: 0,
            kernel_errors: 0,
        })
    }

    /// Dumps the kernel's state for the first time.
    pub(super) fn begin(&mut self, engine: &Engine, interfaces: &Interfaces) -> Result<(), Fault> {
        self.watch_uplinks(engine, interfaces);
        self.requests.dump(self.mirror, Kinds::ALL)?;
        self.choose_tables(engine);
        self.found_gaps(now());
        Ok(())
    }

    /// Sets whether the firewall table marks the connections of a family, and by what. The rules for them follow at the next
    /// synchronization.
    pub(super) fn set_marks(
        &mut self,
        family: Family,
        marks: Option<MarkMask>,
        cx: &mut Context<'_>,
    ) {
        cx.planned[family] |= self.marks[family] != marks;
        self.marks[family] = marks;
    }

    /// Sets, by slot and bit by bit, which connections no longer stay with their provider although it is usable. The rules
    /// for them follow at the next synchronization.
    pub(super) fn set_handed_over(&mut self, family: Family, slots: u64, cx: &mut Context<'_>) {
        cx.planned[family] |= self.handed_over[family] != slots;
        self.handed_over[family] = slots;
    }

    /// Sets, by slot and bit by bit, which providers may have connections. It matters to the rules only while none works.
    pub(super) fn set_live(&mut self, family: Family, slots: u64, cx: &mut Context<'_>) {
        cx.planned[family] |= self.live[family] != slots && cx.engine.plan(family).none_works;
        self.live[family] = slots;
    }

    /// Gives each provider its policy table, among the free ones.
    pub(super) fn choose_tables(&mut self, engine: &Engine) {
        self.tables.choose(engine.config(), self.mirror.routes());
    }

    /// Synchronizes engine and kernel: reports uplinks to the engine and applies plans to the kernel, until there are no
    /// more events.
    pub(super) fn sync(
        &mut self,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        interfaces: &Interfaces,
    ) {
        let now = now();
        if core::mem::replace(&mut self.calls_ended, interfaces.ended()) != interfaces.ended() {
            // A default route by a device of netifd's is no manual one.
            self.doubt_all();
        }
        if self.is_settled(cx, now) {
            return;
        }
        self.look_again(now);
        let mut dumps = 0;
        for _ in 0..NEWS_ROUNDS {
            if self.more_news {
                self.read_events();
            }
            let dump_is_due = self.dump_is_due(now);
            if dump_is_due || self.news.has(Kinds::LINKS) || self.news.has(Kinds::ADDRESSES) {
                self.hurry_refused();
            }
            if dump_is_due || !self.news.is_empty() {
                self.take_news(cx, probing, interfaces, &mut dumps, now);
            }
            for &family in &Family::ALL {
                let planned = cx.planned[family];
                let is_due = self.families[family].is_due(planned, self.more_news, now);
                if is_due && !cx.engine.awaits_uplinks(family) {
                    self.sync_family(family, cx, probing, interfaces, now);
                }
            }
            let planned = cx.planned.v4 || cx.planned.v6;
            let told = self.news.is_empty() && !self.more_news && !self.dump_is_due(now);
            if told && !planned {
                return;
            }
        }
    }

    /// Whether there is nothing to synchronize, as after most replies.
    fn is_settled(&self, cx: &Context<'_>, now: Instant) -> bool {
        let asks = |at: Instant| at <= now;
        let idle = |family: Family| {
            let sync = &self.families[family];
            !cx.planned[family] && !sync.doubted && !sync.retry_at().is_some_and(asks)
        };
        let news = self.more_news || !self.news.is_empty();
        !news
            && self.mirror.needs().is_empty()
            && !self.gaps.are_due()
            && idle(Family::V4)
            && idle(Family::V6)
    }

    /// Reports to the engine the changes of uplinks that follow from the kernel's events.
    fn take_news(
        &mut self,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        interfaces: &Interfaces,
        dumps: &mut u8,
        now: Instant,
    ) {
        let news = core::mem::replace(&mut self.news, Kinds::NONE);
        self.has_changed = true;
        // An interface may be up again: its hotplug event waits for the scripts of those before it.
        self.asks_netifd |= news.has(Kinds::ROUTES) && interfaces.lack_any(cx.engine.config());
        self.look_at_uplinks(cx, probing, interfaces, now);
        if self.dump_is_due(now) {
            // A swap that follows from these events comes first: the dump is for what they did not contain.
            for &family in &Family::ALL {
                if cx.is_planned(family) {
                    self.sync_family(family, cx, probing, interfaces, now);
                }
            }
            if self.news.is_empty() && self.dump(dumps, now) {
                self.news = Kinds::NONE;
                self.look_at_uplinks(cx, probing, interfaces, now);
            }
        }
        self.doubt_all();
        cx.warnings_due = true;
    }

    /// After a change of devices or addresses, the kernel may accept what it refused.
    fn hurry_refused(&mut self) {
        for &family in &Family::ALL {
            let refusals = &mut self.refusals[family];
            refusals.hurry();
            self.families[family].retry_at = refusals.due_at();
        }
    }

    /// Applies the plan of one family to the kernel's routes and rules.
    fn sync_family(
        &mut self,
        family: Family,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        interfaces: &Interfaces,
        now: Instant,
    ) {
        let manual_before = self.find_manual(family, cx.engine, interfaces);
        let sync = &mut self.families[family];
        let unfinished = core::mem::take(&mut sync.unfinished);
        let planned =
            core::mem::take(&mut cx.planned[family]) || unfinished || manual_before.is_some();
        (sync.doubted, sync.not_before) = (false, None);
        let planned = self.want(family, cx.engine) || planned;
        let refusals = &mut self.refusals[family];
        let mut attempt = Attempt::begin(&mut self.requests, refusals, self.mirror, now);
        let (routes, rules) = (self.mirror.routes(), self.mirror.rules());
        diff::changes(family, self.wanted, routes, rules, &mut |change| {
            attempt.ask(change)
        });
        let outcome = attempt.end();
        let stalled = outcome.stalled;
        if outcome.made != 0 || outcome.errors != 0 {
            self.read_events();
        }
        if let Some(first) = &outcome.first
            && !planned
            && !outcome.accepted
        {
            self.repaired(family, first, outcome.made, cx, now);
        }
        self.kernel_errors = self.kernel_errors.wrapping_add(outcome.errors);
        self.families[family].retry_at = self.refusals[family].due_at();
        if stalled.is_some() || outcome.crowded {
            self.families[family].try_again(now);
        }
        self.concluded(family, planned, stalled, cx, now);
        if let Some(before) = manual_before {
            self.manual_changed(family, &before, cx, now);
        }
        if outcome.news {
            self.look_at_uplinks(cx, probing, interfaces, now);
            cx.warnings_due = true;
        }
    }

    /// What is ours is looked at again.
    fn doubt_all(&mut self) {
        for &family in &Family::ALL {
            self.families[family].doubted = true;
        }
    }

    /// Lays out the wanted routes and rules of a family. Returns whether foreign ones ask for another layout than before.
    fn want(&mut self, family: Family, engine: &Engine) -> bool {
        let (config, uplinks) = (engine.config(), &*self.uplinks);
        self.wanted.fill(&Situation {
            config,
            family,
            plan: engine.plan(family),
            uplink: &|slot| uplinks.get(PathId { slot, family }.index()),
            tables: self.tables,
            delegated: &self.delegated.list,
            resolvers: &self.resolvers.list,
            addresses: self.mirror.addresses(),
            routes: self.mirror.routes(),
            rules: self.mirror.rules(),
            yields: self.yields(family),
            marks: self.marks[family],
            handed_over: self.handed_over[family],
            live: self.live[family],
        });
        self.laid_out[family].note(self.wanted, family, config.globals.table);
        let basis = self.basis(config.globals.table);
        core::mem::replace(&mut self.families[family].basis, basis) != basis
    }

    /// What the layout has taken from addresses, and from foreign routes and rules.
    fn basis(&self, swap_table: u32) -> Basis {
        let routes = self.wanted.routes.iter();
        let in_main = routes.filter(|route| route.table == TABLE_MAIN && swap_table != TABLE_MAIN);
        let verdicts = self.wanted.rules.iter().map(|rule| &rule.verdict);
        let of_kernel = |verdict: &&RuleVerdict| {
            matches!(verdict, RuleVerdict::Lookup(TABLE_LOCAL | TABLE_DEFAULT))
        };
        Basis {
            in_main: in_main.fold((0, 0), |(count, sum), route| {
                (count + 1, u32::wrapping_add(sum, route.metric.0))
            }),
            rules: verdicts.filter(of_kernel).count(),
            sources: self.wanted.sources,
        }
    }

    /// Another program changed routes or rules of ours, and they were restored.
    fn repaired(
        &mut self,
        family: Family,
        first: &Change,
        made: u32,
        cx: &mut Context<'_>,
        now: Instant,
    ) {
        self.repairs = self.repairs.wrapping_add(made);
        let sync = &mut self.families[family];
        sync.pay_for_repair(now);
        // A program that never stops must not fill the journal and the log.
        if sync.reported_at.is_some_and(|at| now < at + SILENCE) {
            return;
        }
        sync.reported_at = Some(now);
        let cause = Cause::Changed(first.into(), made.saturating_sub(1));
        cx.engine
            .note(now, None, Some(family), Kind::RoutesPutBack, cause);
        cx.save_due = true;
    }

    /// Reports the result to the engine; a failure is reported once.
    fn concluded(
        &mut self,
        family: Family,
        planned: bool,
        stalled: Option<Fault>,
        cx: &mut Context<'_>,
        now: Instant,
    ) {
        let before = core::mem::replace(&mut self.families[family].stalled, stalled);
        match stalled {
            Some(fault) if before != stalled => cx.tell(Event::RoutesFailed(family, fault), now),
            None if planned || before.is_some() => cx.tell(Event::RoutesApplied(family), now),
            _ => {}
        }
    }

    /// Whether the wanted routes and rules of a family are set, except for what the kernel refuses.
    pub(super) fn are_set(&self, family: Family, cx: &Context<'_>) -> bool {
        !cx.planned[family] && !self.families[family].unfinished
    }

    /// When a change is tried again, or the kernel is dumped again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let families = &self.families;
        soonest(&[
            &families.v4.due_at(),
            &families.v6.due_at(),
            &self.next_dump(),
        ])
    }

    /// Deletes all our routes and rules, as a clean stop does.
    pub(super) fn remove_routes(&mut self) {
        self.last_look();
        remove_ours(&mut self.requests, self.mirror);
    }
}

/// Deletes every route and rule of ours in the mirror.
pub(super) fn remove_ours(requests: &mut Requests, mirror: &Mirror) {
    for &family in &Family::ALL {
        diff::removal(family, mirror.routes(), mirror.rules(), &mut |change| {
            let result = requests.carry_out(&change);
            if let Err(fault) = &result {
                log::error(format_args!("the {change} of ours stays behind: {fault}"));
            }
            result.is_ok()
        });
    }
}
