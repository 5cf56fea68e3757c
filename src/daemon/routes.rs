//! Engine and kernel are kept together: the kernel's news → the engine; the engine's plans → the kernel's routes and rules.
//!
//! | module | job |
//! |---|---|
//! | `attempt` | one attempt at bringing the kernel to a plan |
//! | `manual` | the foreign default route in `main` that prevails over ours |
//! | `picture` | the picture of the kernel's state is kept true |
//! | `refusals` | what the kernel refuses, and when to ask for it again |
//! | `standing` | what is in doubt in one family, and when to try again |
//! | `uplinks` | every path's uplink, found in the picture |

mod attempt;
mod manual;
mod picture;
mod refusals;
mod standing;
mod uplinks;

use std::io;

use heapless::Vec;

use super::context::Context;
use super::probing::Probing;
use crate::engine::{Engine, Event};
use crate::limits::{PATHS_MAX, PROVIDERS_MAX, TAKEN_MAX};
use crate::linux::clock::now;
use crate::linux::netlink::{Events, Requests};
use crate::linux::process::ubus::Interfaces;
use crate::routing::diff;
use crate::routing::layout::{Situation, Tables, Taken, Wanted, everywhere};
use crate::routing::mirror::{Kinds, Mirror};
use crate::routing::objects::Change;
use crate::routing::uplink::Uplink;
use crate::types::{Cause, Duration, Family, Fault, Instant, Kind, Metric, PathId, PerFamily};
use attempt::{Outcome, Pass};
use picture::Gaps;
pub(super) use refusals::{Refusal, Refusals};
use standing::Standing;

/// Between two reports of repairs.
const SILENCE: Duration = Duration::from_secs(60);
/// Own changes bring news, which may bring changes; a program that answers each of ours must wait for the next wake-up.
const NEWS_ROUNDS: usize = 8;

/// The kernel's picture, what the kernel shall have, and how far it has it.
pub(super) struct RouteSync<'m> {
    pub(super) mirror: &'m mut Mirror,
    /// By `PathId::index`.
    pub(super) uplinks: &'m mut Vec<Uplink, PATHS_MAX>,
    pub(super) tables: &'m mut Tables,
    /// What came of the last layout.
    pub(super) laid_out: &'m mut PerFamily<LaidOut>,
    /// What the kernel refuses.
    pub(super) refusals: &'m mut PerFamily<Refusals>,
    /// What the kernel shall have in the family that is looked at.
    wanted: &'m mut Wanted,
    pub(super) requests: Requests,
    pub(super) events: Events,
    standing: PerFamily<Standing>,
    /// What has changed in the kernel, and is not yet told to the engine.
    news: Kinds,
    /// Something has changed that the ways of packets may depend on: the kernel is to be asked for them.
    pub(super) has_changed: bool,
    /// The kernel has told more than was read.
    more_news: bool,
    /// No dump before that: one has failed, or the next would leave the same doubts.
    dump_at: Option<Instant>,
    /// What there was no room for is looked at again.
    gaps: Gaps,
    /// netifd has not told yet of all interfaces since the start, nor refused to: what a former run left, in the kernel
    /// and in its memory, holds.
    adopting: bool,
    /// Routes and rules that another program changed, and that were put back.
    pub(super) repairs: u32,
    /// Requests that the kernel refused, or that did not end in time.
    pub(super) kernel_errors: u32,
}

/// What the last layout of one family says to explanations. All zero bytes when new.
pub(super) struct LaidOut {
    /// Metrics that others have taken from us.
    pub(super) taken: Vec<Taken, TAKEN_MAX>,
    /// What our default routes in the swap table shall be, best first: the device's number, and the metric.
    pub(super) places: Vec<(u32, Metric), PROVIDERS_MAX>,
}

impl LaidOut {
    pub(super) const fn new() -> LaidOut {
        LaidOut {
            taken: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Takes over what is told of a layout.
    pub(super) fn note(&mut self, wanted: &Wanted, family: Family, swap_table: u32) {
        self.taken.clone_from(&wanted.taken);
        let place = (swap_table, everywhere(family));
        let ours = wanted.routes.iter();
        let ours = ours.filter(|r| (r.table, r.destination) == place);
        self.places.clear();
        let places = ours.map(|route| (route.device, route.metric));
        self.places.extend(places); // one a provider: there is room
    }
}

impl<'m> RouteSync<'m> {
    /// With the memory that is its own: nothing is known yet of the kernel. [`RouteSync::begin`] comes next.
    pub(super) fn new(
        mirror: &'m mut Mirror,
        uplinks: &'m mut Vec<Uplink, PATHS_MAX>,
        tables: &'m mut Tables,
        laid_out: &'m mut PerFamily<LaidOut>,
        refusals: &'m mut PerFamily<Refusals>,
        wanted: &'m mut Wanted,
    ) -> io::Result<RouteSync<'m>> {
        Ok(RouteSync {
            mirror,
            uplinks,
            tables,
            laid_out,
            refusals,
            wanted,
            requests: Requests::open()?,
            events: Events::open()?,
            standing: PerFamily::default(),
            news: Kinds::NONE,
            has_changed: true,
            more_news: false,
            dump_at: None,
            gaps: Gaps::default(),
            adopting: true,
            repairs: 0,
            kernel_errors: 0,
        })
    }

    /// Takes the first picture of the kernel.
    pub(super) fn begin(&mut self, engine: &Engine, interfaces: &Interfaces) -> Result<(), Fault> {
        self.watch_uplinks(engine, interfaces);
        self.requests.dump(self.mirror, Kinds::ALL)?;
        self.choose_tables(engine);
        self.found_gaps(now());
        Ok(())
    }

    /// Each provider gets its policy table, among those that are free.
    pub(super) fn choose_tables(&mut self, engine: &Engine) {
        self.tables.choose(engine.config(), self.mirror.routes());
    }

    /// Brings engine and kernel together: until there is no news, the engine hears of the uplinks, and the kernel gets the
    /// plans.
    pub(super) fn sync(
        &mut self,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        interfaces: &Interfaces,
    ) {
        let now = now();
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
            for family in Family::ALL {
                let planned = cx.planned[family];
                let is_due = self.standing[family].is_due(planned, self.more_news, now);
                if is_due && !cx.engine.awaits_uplinks(family) {
                    self.sync_family(family, cx, probing, interfaces, now);
                }
            }
            let planned = Family::ALL.into_iter().any(|family| cx.planned[family]);
            let told = self.news.is_empty() && !self.more_news && !self.dump_is_due(now);
            if told && !planned {
                return;
            }
        }
    }

    /// Whether there is nothing to bring together, as there is not after most replies.
    fn is_settled(&self, cx: &Context<'_>, now: Instant) -> bool {
        let asks = |at: Instant| at <= now;
        let idle = |family: Family| {
            let standing = &self.standing[family];
            !cx.planned[family] && !standing.doubted && !standing.retry_at().is_some_and(asks)
        };
        let news = self.more_news || !self.news.is_empty();
        !news
            && self.mirror.needs().is_empty()
            && !self.gaps.are_due()
            && Family::ALL.into_iter().all(idle)
    }

    /// Tells the engine what the kernel's news mean for the uplinks.
    fn take_news(
        &mut self,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        interfaces: &Interfaces,
        dumps: &mut u8,
        now: Instant,
    ) {
        self.news = Kinds::NONE;
        self.has_changed = true;
        self.look_at_uplinks(cx, probing, interfaces, now);
        if self.dump_is_due(now) {
            // Whatever swap the news ask for goes first: the dump is for what they did not tell.
            for family in Family::ALL {
                if cx.is_planned(family) {
                    self.sync_family(family, cx, probing, interfaces, now);
                }
            }
            if self.news.is_empty() && self.dump(dumps, now) {
                self.news = Kinds::NONE;
                self.look_at_uplinks(cx, probing, interfaces, now);
            }
        }
        for family in Family::ALL {
            self.standing[family].doubted = true;
        }
        cx.warnings_due = true;
    }

    /// What the kernel refuses may be right after a change of devices or addresses.
    fn hurry_refused(&mut self) {
        for family in Family::ALL {
            let refusals = &mut self.refusals[family];
            refusals.hurry();
            self.standing[family].retry_at = refusals.due_at();
        }
    }

    /// Makes the kernel's routes and rules of one family those of the plan.
    fn sync_family(
        &mut self,
        family: Family,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        interfaces: &Interfaces,
        now: Instant,
    ) {
        let manual_before = self.find_manual(family, cx.engine, interfaces);
        let standing = &mut self.standing[family];
        let unfinished = core::mem::take(&mut standing.unfinished);
        let planned =
            core::mem::take(&mut cx.planned[family]) || unfinished || manual_before.is_some();
        (standing.doubted, standing.not_before) = (false, None);
        self.want(family, cx.engine);
        let refusals = &mut self.refusals[family];
        let mut pass = Pass::begin(&mut self.requests, refusals, now);
        let (routes, rules) = (self.mirror.routes(), self.mirror.rules());
        diff::changes(family, self.wanted, routes, rules, &mut |change| {
            pass.ask(change)
        });
        let Outcome {
            made,
            first,
            errors,
            stalled,
            crowded,
            accepted,
            news,
        } = pass.end();
        if made != 0 || errors != 0 {
            self.read_events();
        }
        if let Some(first) = first.filter(|_| !planned && !accepted) {
            self.repaired(family, &first, made, cx, now);
        }
        self.kernel_errors = self.kernel_errors.wrapping_add(errors);
        self.standing[family].retry_at = self.refusals[family].due_at();
        if stalled.is_some() || crowded {
            self.standing[family].try_again(now);
        }
        self.concluded(family, planned, stalled, cx, now);
        if let Some(before) = manual_before {
            self.manual_changed(family, &before, cx, now);
        }
        if news {
            self.look_at_uplinks(cx, probing, interfaces, now);
            cx.warnings_due = true;
        }
    }

    /// What the kernel shall have in a family.
    fn want(&mut self, family: Family, engine: &Engine) {
        let (config, uplinks) = (engine.config(), &*self.uplinks);
        self.wanted.fill(&Situation {
            config,
            family,
            plan: engine.plan(family),
            uplink: &|slot| uplinks.get(PathId { slot, family }.index()),
            tables: self.tables,
            routes: self.mirror.routes(),
            rules: self.mirror.rules(),
            yields: self.standing[family].manual.obeyed().is_some(),
        });
        self.laid_out[family].note(self.wanted, family, config.globals.table);
    }

    /// Something of ours was changed by another program, and is put back.
    fn repaired(
        &mut self,
        family: Family,
        first: &Change,
        made: u32,
        cx: &mut Context<'_>,
        now: Instant,
    ) {
        self.repairs = self.repairs.wrapping_add(made);
        let standing = &mut self.standing[family];
        standing.pay_for_repair(now);
        // A program that never stops shall not fill the journal, nor the log.
        if standing.reported_at.is_some_and(|at| now < at + SILENCE) {
            return;
        }
        standing.reported_at = Some(now);
        let cause = Cause::Changed(first.into(), made.saturating_sub(1));
        cx.engine
            .note(now, None, Some(family), Kind::RoutesPutBack, cause);
        cx.save_due = true;
    }

    /// Tells the engine how it went; what did not come through is told once.
    fn concluded(
        &mut self,
        family: Family,
        planned: bool,
        stalled: Option<Fault>,
        cx: &mut Context<'_>,
        now: Instant,
    ) {
        let before = core::mem::replace(&mut self.standing[family].stalled, stalled);
        match stalled {
            Some(fault) if before != stalled => cx.tell(Event::RoutesFailed(family, fault), now),
            None if planned || before.is_some() => cx.tell(Event::RoutesApplied(family), now),
            _ => {}
        }
    }

    /// When something is to be tried again, or looked at again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let standing = &self.standing;
        let deadlines = [standing.v4.due_at(), standing.v6.due_at(), self.next_dump()];
        deadlines.into_iter().flatten().min()
    }

    /// Takes away everything of ours, as a clean stop does.
    pub(super) fn remove_routes(&mut self) {
        self.last_look();
        remove_ours(&mut self.requests, self.mirror);
    }
}

/// Takes away every route and rule of ours that the mirror shows.
pub(super) fn remove_ours(requests: &mut Requests, mirror: &Mirror) {
    for family in Family::ALL {
        diff::removal(family, mirror.routes(), mirror.rules(), &mut |change| {
            let result = requests.carry_out(&change);
            if let Err(fault) = &result {
                log::error!("the {change} of ours stays behind: {fault}");
            }
            result.is_ok()
        });
    }
}
