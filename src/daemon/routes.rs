//! The kernel's news → the core; the core's plans → the kernel's routes and rules.

use heapless::Vec;

use super::attempt::{Outcome, Pass};
use super::{Daemon, Memory};
use crate::engine::Event;
use crate::limits::{PATHS_MAX, PROVIDERS_MAX, TAKEN_MAX};
use crate::linux::clock::now;
use crate::linux::netlink::Requests;
use crate::linux::process::ubus::told_of;
use crate::routing::diff;
use crate::routing::layout::{Situation, Taken, best_of_ours, everywhere};
use crate::routing::manual::{Manual, ManualDefault};
use crate::routing::mirror::{Kinds, Mirror};
use crate::routing::objects::Change;
use crate::routing::uplink::{self, Claims, Uplink};
use crate::types::{
    Cause, Duration, Family, Fault, Instant, Kind, Metric, PathId, PerFamily, TABLE_MAIN,
};
use crate::wire::control::{ManualRoute, OverriddenBy};

/// Between two repairs of what somebody keeps changing, and between two attempts at what did not come through.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many repairs may follow each other at once, after as many times as long a peace.
const REPAIRS_AT_ONCE: u32 = 16;
/// Between two of them, at least.
const REPAIRS_APART: Duration = Duration::from_millis(10);
/// Between two reports of repairs.
const SILENCE: Duration = Duration::from_secs(60);
/// Own changes bring news, which may bring changes; somebody who answers each of ours must wait for the next wake-up.
const NEWS_ROUNDS: usize = 8;

/// How one family stands with the kernel.
#[derive(Default)]
pub(super) struct Standing {
    /// A plan, or an uplink, has changed: the kernel is to follow at once.
    planned: bool,
    /// Something of the kernel's has changed: what is ours is to be looked at.
    doubted: bool,
    /// Not before.
    not_before: Option<Instant>,
    /// What the last attempt did not come through for, whatever it asked for.
    stalled: Option<Fault>,
    /// Something was left undone: what comes next is no repair.
    unfinished: bool,
    /// When to ask again for what the kernel refuses.
    retry_at: Option<Instant>,
    /// The repairs so far are paid for then: one each [`PATIENCE`].
    repaid_at: Option<Instant>,
    /// When the journal last told of a repair.
    reported_at: Option<Instant>,
    /// The default route of others that prevails over ours, or may be meant to.
    pub(super) manual: Manual,
    /// It was looked for.
    looked: bool,
}

/// What the last layout of one family says to those who explain it. All zero bytes when new.
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
}

impl Standing {
    pub(super) fn plan(&mut self) {
        self.planned = true;
    }

    /// When to try again.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let doubted = self.not_before.filter(|_| self.doubted);
        [doubted, self.retry_at()].into_iter().flatten().min()
    }

    /// When to ask for what is refused; after an attempt that did not come through, with the next one.
    fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.unfinished)
    }

    /// Whether there is something to do now. An old picture is no reason to put anything back.
    fn is_due(&self, now: Instant, picture_is_old: bool) -> bool {
        let reached = |at: Instant| at <= now;
        let doubted = self.doubted && self.not_before.is_none_or(reached);
        self.planned || (doubted || self.retry_at().is_some_and(reached)) && !picture_is_old
    }

    /// Something was put back: when the next time may be.
    fn pay_for_repair(&mut self, now: Instant) {
        let repaid = self.repaid_at.map_or(now, |at| at.max(now)) + PATIENCE;
        self.repaid_at = Some(repaid);
        // What is taken away by and by, as `ip rule flush` does it, costs two of them, not one for each rule.
        let burst = repaid - PATIENCE * (REPAIRS_AT_ONCE - 1);
        self.not_before = Some(burst.max(now + REPAIRS_APART));
    }
}

impl Daemon<'_> {
    /// Brings core and kernel together: until there is no news, the core hears of the uplinks, and the kernel gets the
    /// plans.
    pub(super) fn sync(&mut self) {
        let now = now();
        if self.is_settled(now) {
            return;
        }
        self.look_again(now);
        let mut dumps = 0;
        for _ in 0..NEWS_ROUNDS {
            if self.more_news {
                self.kernel_news();
            }
            let dump_is_due = self.dump_is_due(now);
            if dump_is_due || self.news.has(Kinds::LINKS) || self.news.has(Kinds::ADDRESSES) {
                self.hurry_refused();
            }
            if dump_is_due || !self.news.is_empty() {
                self.take_news(&mut dumps, now);
            }
            for family in Family::ALL {
                let awaited = self.memory.core.awaits_uplinks(family);
                if !awaited && self.kernel[family].is_due(now, self.more_news) {
                    self.sync_family(family, now);
                }
            }
            let planned = Family::ALL.iter().any(|f| self.kernel[*f].planned);
            let told = self.news.is_empty() && !self.more_news && !self.dump_is_due(now);
            if told && !planned {
                return;
            }
        }
    }

    /// Whether there is nothing to bring together, as there is not after most replies.
    fn is_settled(&self, now: Instant) -> bool {
        let asks = |at: Instant| at <= now;
        let idle =
            |sync: &Standing| !sync.planned && !sync.doubted && !sync.retry_at().is_some_and(asks);
        let news = self.more_news || !self.news.is_empty();
        !news
            && self.memory.mirror.needs().is_empty()
            && !self.gaps.are_due()
            && idle(&self.kernel.v4)
            && idle(&self.kernel.v6)
    }

    /// Tells the core what the kernel's news mean for the uplinks.
    fn take_news(&mut self, dumps: &mut u8, now: Instant) {
        self.news = Kinds::NONE;
        self.look_at_uplinks(now);
        if self.dump_is_due(now) {
            // Whatever swap the news ask for goes first: the dump is for what they did not tell.
            self.sync_planned(now);
            if self.news.is_empty() && self.dump(dumps, now) {
                self.news = Kinds::NONE;
                self.look_at_uplinks(now);
            }
        }
        for family in Family::ALL {
            self.kernel[family].doubted = true;
        }
        self.warnings_due = true;
    }

    fn sync_planned(&mut self, now: Instant) {
        for family in Family::ALL {
            if self.kernel[family].planned && !self.memory.core.awaits_uplinks(family) {
                self.sync_family(family, now);
            }
        }
    }

    /// Finds every path's uplink, and tells the core of those that changed.
    pub(super) fn look_at_uplinks(&mut self, now: Instant) {
        let Memory {
            core,
            mirror,
            uplinks,
            interfaces,
            refusals,
            ..
        } = &mut *self.memory;
        let table = core.config().globals.table;
        // Of each path's uplink that has changed: whether sockets must be bound anew.
        let mut changes = [None; PATHS_MAX];
        for family in Family::ALL {
            let mut claims = Claims::new();
            for provider in core.config().enabled() {
                let path = PathId {
                    slot: provider.slot,
                    family,
                };
                while uplinks.len() <= path.index() && uplinks.push(Uplink::default()).is_ok() {}
                let known = uplinks.get_mut(path.index());
                let Some(known) = known.filter(|_| core.path(path).is_some()) else {
                    continue;
                };
                if interfaces.is_awaited(provider) && (self.adopting || known.index != 0) {
                    // What was so is more likely than nothing.
                    known.claim_device(path.slot, &mut claims);
                    continue;
                }
                let told = told_of(interfaces, provider, family);
                let mut uplink = uplink::resolve(core.config(), provider, family, told, mirror);
                if mirror.is_unsure(Kinds::uplinks(family)) {
                    uplink = uplink.unless_unseen(known);
                }
                uplink.claim_device(path.slot, &mut claims);
                let default = (table, everywhere(family), uplink.index);
                if refusals[family].forbid(|r| (r.table, r.destination, r.device) == default) {
                    uplink.refuse();
                }
                if *known != uplink {
                    changes[path.index()] = Some(!known.has_same_socket(&uplink));
                    *known = uplink;
                }
            }
        }
        self.believe_order();
        for (index, change) in changes.into_iter().enumerate() {
            if let Some(moved) = change {
                self.uplink_changed(index, moved, now);
            }
        }
        let core = &self.memory.core;
        self.adopting &= Family::ALL
            .into_iter()
            .any(|family| core.awaits_uplinks(family));
        self.watch_uplinks();
    }

    /// At the start, the order of a former run's routes is what it wanted last, whatever it has saved: a swap comes before
    /// its saving, which may fail, and what is saved may be lost.
    fn believe_order(&mut self) {
        let Memory {
            core,
            mirror,
            uplinks,
            ..
        } = &mut *self.memory;
        for family in Family::ALL {
            if !core.awaits_uplinks(family) {
                continue;
            }
            let table = core.config().globals.table;
            let Some(best) = best_of_ours(mirror.routes(), family, table) else {
                continue;
            };
            let leads = |slot| {
                let uplink = uplinks.get(PathId { slot, family }.index());
                uplink.is_some_and(|uplink| uplink.index == best.device)
            };
            let mut slots = core.config().enabled().map(|provider| provider.slot);
            let leader = slots.find(|slot| leads(*slot));
            drop(slots);
            if let Some(slot) = leader {
                core.believe_leader(family, slot);
            }
        }
    }

    fn uplink_changed(&mut self, index: usize, moved: bool, now: Instant) {
        let Some(path) =
            PathId::from_index(index).filter(|id| self.memory.core.path(*id).is_some())
        else {
            return;
        };
        let Some(uplink) = self.memory.uplinks.get(index) else {
            return;
        };
        let (waiting, routable) = (uplink.waiting, uplink.routable && !uplink.refused);
        self.kernel[path.family].plan();
        if waiting.is_none() && moved {
            self.bind(path);
        }
        self.tell(
            Event::Uplink {
                path,
                waiting,
                routable,
            },
            now,
        );
    }

    /// What the kernel refuses may be right after a change of devices or addresses.
    fn hurry_refused(&mut self) {
        for family in Family::ALL {
            let refusals = &mut self.memory.refusals[family];
            refusals.hurry();
            self.kernel[family].retry_at = refusals.due_at();
        }
    }

    /// Makes the kernel's routes and rules of one family those of the plan.
    fn sync_family(&mut self, family: Family, now: Instant) {
        let manual_before = self.find_manual(family);
        let sync = &mut self.kernel[family];
        let unfinished = core::mem::take(&mut sync.unfinished);
        let planned = core::mem::take(&mut sync.planned) || unfinished || manual_before.is_some();
        (sync.doubted, sync.not_before) = (false, None);
        self.want(family);
        let Memory {
            mirror,
            wanted,
            refusals,
            ..
        } = &mut *self.memory;
        let refusals = &mut refusals[family];
        let mut pass = Pass::begin(&mut self.requests, refusals, now);
        let (routes, rules) = (mirror.routes(), mirror.rules());
        diff::changes(family, wanted, routes, rules, &mut |change| {
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
            self.kernel_news();
        }
        if let Some(first) = first.filter(|_| !planned && !accepted) {
            self.repaired(family, &first, made, now);
        }
        self.counters.kernel_errors = self.counters.kernel_errors.wrapping_add(errors);
        self.kernel[family].retry_at = self.memory.refusals[family].due_at();
        if stalled.is_some() || crowded {
            self.try_again(family, now);
        }
        self.concluded(family, planned, stalled, now);
        if let Some(before) = manual_before {
            self.manual_changed(family, &before, now);
        }
        if news {
            self.look_at_uplinks(now);
            self.warnings_due = true;
        }
    }

    /// Looks whether a default route of others prevails. What was known before, if that is another.
    fn find_manual(&mut self, family: Family) -> Option<Manual> {
        let Memory {
            core,
            mirror,
            interfaces,
            ..
        } = &*self.memory;
        let config = core.config();
        let mut providers = config.providers.iter();
        if providers.any(|provider| interfaces.is_awaited(provider)) {
            return None; // its device may be that of such a route
        }
        let is_named = |name: &str| {
            let names = |p| Family::ALL.map(|family| told_of(interfaces, p, family).device);
            let mut devices = config.providers.iter().flat_map(names);
            devices.any(|device| device == name)
        };
        let found = match config.manages(family) {
            true => {
                let (routes, links) = (mirror.routes(), mirror.links());
                Manual::find(routes, links, family, &config.globals, &is_named)
            }
            false => Manual::None,
        };
        let sync = &mut self.kernel[family];
        if !core::mem::replace(&mut sync.looked, true) && found.obeyed().is_some() {
            // A restart is no news.
            self.memory.heard.is_overridden(family);
        }
        (sync.manual != found).then(|| core::mem::replace(&mut sync.manual, found))
    }

    /// Tells who carries from now on.
    fn manual_changed(&mut self, family: Family, before: &Manual, now: Instant) {
        self.warnings_due = true;
        let of = |default: &ManualDefault| (default.device.clone(), default.metric);
        let [before, after] = [before, &self.kernel[family].manual].map(Manual::obeyed);
        let core = &mut self.memory.core;
        let leader = core.carrier(family);
        let (slot, kind, cause) = match (before.map(of), after.map(of)) {
            (before, after) if before == after => return,
            (_, Some((device, metric))) => (None, Kind::Overridden, Cause::Manual(device, metric)),
            (Some((device, metric)), None) => {
                let kind = leader.map_or(Kind::NoRoute, |_| Kind::Leads);
                (leader, kind, Cause::ManualGone(device, metric))
            }
            (None, None) => return,
        };
        core.note(now, slot, Some(family), kind, cause);
        (self.hooks_due, self.save_wanted) = (true, true);
    }

    /// Not all came through.
    fn try_again(&mut self, family: Family, now: Instant) {
        let sync = &mut self.kernel[family];
        (sync.doubted, sync.unfinished) = (true, true);
        sync.not_before = Some(now + PATIENCE);
    }

    /// What the kernel shall have in a family.
    fn want(&mut self, family: Family) {
        let yields = self.kernel[family].manual.obeyed().is_some();
        let Memory {
            core,
            mirror,
            wanted,
            uplinks,
            tables,
            laid_out,
            ..
        } = &mut *self.memory;
        let uplinks = &*uplinks;
        wanted.fill(&Situation {
            config: core.config(),
            family,
            plan: core.plan(family),
            uplink: &|slot| uplinks.get(PathId { slot, family }.index()),
            tables,
            routes: mirror.routes(),
            rules: mirror.rules(),
            yields,
        });
        let laid_out = &mut laid_out[family];
        laid_out.taken.clone_from(&wanted.taken);
        let place = (core.config().globals.table, everywhere(family));
        let ours = wanted
            .routes
            .iter()
            .filter(|r| (r.table, r.destination) == place);
        laid_out.places.clear();
        let places = ours.map(|route| (route.device, route.metric));
        laid_out.places.extend(places); // one a provider: there is room
    }

    /// Something of ours was changed by somebody else, and is put back.
    fn repaired(&mut self, family: Family, first: &Change, made: u32, now: Instant) {
        self.counters.repairs = self.counters.repairs.wrapping_add(made);
        let sync = &mut self.kernel[family];
        sync.pay_for_repair(now);
        // Somebody who never tires of it shall not fill the journal, nor the log.
        if sync.reported_at.is_some_and(|at| now < at + SILENCE) {
            return;
        }
        sync.reported_at = Some(now);
        let cause = Cause::Changed(first.into(), made.saturating_sub(1));
        let core = &mut self.memory.core;
        core.note(now, None, Some(family), Kind::RoutesPutBack, cause);
        self.save_wanted = true;
    }

    /// Tells the core how it went; what did not come through is told once.
    fn concluded(&mut self, family: Family, planned: bool, stalled: Option<Fault>, now: Instant) {
        let before = core::mem::replace(&mut self.kernel[family].stalled, stalled);
        match stalled {
            Some(fault) if before != stalled => self.tell(Event::RoutesFailed(family, fault), now),
            None if planned || before.is_some() => self.tell(Event::RoutesApplied(family), now),
            _ => {}
        }
    }

    /// Takes away everything of ours, as a clean stop does.
    pub(super) fn remove_routes(&mut self) {
        self.last_look();
        remove_ours(&mut self.requests, &self.memory.mirror);
    }

    /// Both families are to be brought to their plans.
    pub(super) fn plan_all(&mut self) {
        for family in Family::ALL {
            self.kernel[family].plan();
        }
    }
}

/// What prevails over the leaders, for a status.
pub(super) fn overridden_by(kernel: &PerFamily<Standing>) -> OverriddenBy {
    let of = |family| {
        let default = kernel[family].manual.obeyed();
        default.map(|default| ManualRoute {
            device: default.device.clone(),
            metric: default.metric.0,
            table: TABLE_MAIN,
        })
    };
    OverriddenBy {
        ipv4: of(Family::V4),
        ipv6: of(Family::V6),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The repairs of one who has something to put back at every tenth of a second from then on.
    fn repairs(standing: &mut Standing, from: i64, seconds: i64) -> usize {
        let tenths =
            (from * 10..(from + seconds) * 10).map(|tenth| Instant::from_millis(tenth * 100));
        let mut count = 0;
        for now in tenths {
            standing.doubted = true;
            if standing.is_due(now, false) {
                standing.pay_for_repair(now);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn repairs_come_in_a_burst_and_then_once_a_second() {
        let mut standing = Standing::default();
        assert_eq!(repairs(&mut standing, 100, 1), 10, "nothing is held back");
        assert_eq!(
            repairs(&mut standing, 101, 10),
            16,
            "those of a burst, and of eleven seconds"
        );
        assert_eq!(repairs(&mut standing, 111, 100), 100);
        assert_eq!(
            repairs(&mut standing, 215, 1),
            5,
            "after so many quiet seconds"
        );
        assert_eq!(repairs(&mut standing, 1000, 3), 18, "after a long peace");
    }

    /// As `ip rule flush` takes them away: within some milliseconds, one by one.
    #[test]
    fn what_goes_one_by_one_costs_two_repairs() {
        let mut standing = Standing::default();
        let flush = (1_000_000..1_004_000)
            .step_by(100)
            .map(Instant::from_micros);
        let mut count = 0;
        for now in flush.chain([Instant::from_millis(1_010), Instant::from_millis(1_020)]) {
            standing.doubted |= now < Instant::from_millis(1_004);
            if standing.is_due(now, false) {
                standing.pay_for_repair(now);
                standing.doubted = false;
                count += 1;
            }
        }
        assert_eq!(count, 2);
        assert_eq!(standing.due_at(), None);
    }

    #[test]
    fn what_is_refused_waits_for_what_did_not_come_through() {
        let at = Instant::from_secs;
        let mut standing = Standing {
            retry_at: Some(at(3)),
            ..Standing::default()
        };
        assert!(!standing.is_due(at(2), false) && standing.is_due(at(3), false));
        assert!(!standing.is_due(at(3), true), "with an old picture");
        (standing.unfinished, standing.doubted, standing.not_before) = (true, true, Some(at(4)));
        assert!(!standing.is_due(at(3), false) && standing.is_due(at(4), false));
        assert_eq!(standing.due_at(), Some(at(4)));
    }
}
