//! The kernel's news → the core; the core's plans → the kernel's routes and rules.

use heapless::Vec;

use super::{Daemon, Memory};
use crate::config::{PATHS_MAX, PROVIDERS_MAX, PathId, TAKEN_MAX};
use crate::failover::{Event, Fault};
use crate::linux::clock::now;
use crate::linux::diff;
use crate::linux::layout::{Situation, Taken, everywhere};
use crate::linux::mirror::{Kinds, Mirror};
use crate::linux::netifd::told_of;
use crate::linux::netlink::Requests;
use crate::linux::objects::Change;
use crate::linux::uplink::{self, Claims, Uplink};
use crate::net::{Duration, Family, Instant, Metric};
use crate::text::text;
use crate::wire::control::Text;

/// Between two repairs of what somebody keeps changing, and between two attempts at what the kernel refuses.
const PATIENCE: Duration = Duration::from_secs(1);
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
    /// What the kernel said of the last attempt.
    refused: Option<Fault>,
    /// When the journal last told of a repair.
    reported_at: Option<Instant>,
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
        self.not_before.filter(|_| self.doubted)
    }
}

impl Daemon<'_> {
    /// The events socket is readable.
    pub(super) fn kernel_news(&mut self) {
        let drained = self.events.drain(&mut self.memory.mirror);
        self.news.add(drained.changed);
        self.more_news = drained.more;
    }

    /// Brings core and kernel together: until there is no news, the core hears of the uplinks, and the kernel gets the
    /// plans.
    pub(super) fn sync(&mut self) {
        if self.is_settled() {
            return;
        }
        let now = now();
        for _ in 0..NEWS_ROUNDS {
            if self.more_news {
                self.kernel_news();
            }
            if !self.news.is_empty() || self.dump_is_due(now) {
                self.take_news(now);
            }
            for family in Family::ALL {
                if self.memory.core.awaits_uplinks(family) {
                    continue;
                }
                let sync = &self.kernel[family];
                // An old picture is no reason to put anything back.
                let due = sync.not_before.is_none_or(|at| at <= now) && !self.more_news;
                if sync.planned || sync.doubted && due {
                    self.sync_family(family, now);
                }
            }
            if self.news.is_empty() && !self.more_news {
                return;
            }
        }
    }

    /// Whether there is nothing to bring together, as there is not after most replies.
    fn is_settled(&self) -> bool {
        let idle = |sync: &Standing| !sync.planned && !sync.doubted;
        let news = self.more_news || !self.news.is_empty();
        !news
            && self.memory.mirror.needs().is_empty()
            && idle(&self.kernel.v4)
            && idle(&self.kernel.v6)
    }

    /// Tells the core what the kernel's news mean for the uplinks.
    fn take_news(&mut self, now: Instant) {
        self.news = Kinds::NONE;
        self.look_at_uplinks(now);
        if self.dump_is_due(now) {
            // Whatever swap the news ask for goes first: the dump is for what they did not tell.
            self.sync_planned(now);
            self.dump(now);
            self.look_at_uplinks(now);
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

    /// Whether events have left doubts that only a fresh dump can settle, and the last one did not just fail.
    fn dump_is_due(&self, now: Instant) -> bool {
        !self.memory.mirror.needs().is_empty() && self.dump_at.is_none_or(|at| at <= now)
    }

    /// A fresh picture of what is in doubt.
    fn dump(&mut self, now: Instant) {
        let needs = self.memory.mirror.needs();
        if let Err(fault) = self.requests.dump(&mut self.memory.mirror, needs) {
            self.counters.kernel_errors = self.counters.kernel_errors.wrapping_add(1);
            log::error!("the kernel's routes cannot be read: {fault}; trying again");
        }
        self.kernel_news();
        self.news = Kinds::NONE;
        // What leaves doubts again would do so for ever: a message of a newer kernel's, say.
        let doubts = !self.memory.mirror.needs().is_empty();
        self.dump_at = doubts.then_some(now + PATIENCE);
    }

    /// Finds every path's uplink, and tells the core of those that changed.
    pub(super) fn look_at_uplinks(&mut self, now: Instant) {
        let Memory {
            core,
            mirror,
            uplinks,
            interfaces,
            ..
        } = &mut *self.memory;
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
                uplink.claim_device(path.slot, &mut claims);
                if *known != uplink {
                    changes[path.index()] = Some(!known.has_same_socket(&uplink));
                    *known = uplink;
                }
            }
        }
        for (index, change) in changes.into_iter().enumerate() {
            if let Some(moved) = change {
                self.uplink_changed(index, moved, now);
            }
        }
        let core = &self.memory.core;
        self.adopting &= Family::ALL
            .into_iter()
            .any(|family| core.awaits_uplinks(family));
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
        let (waiting, routable) = (uplink.waiting, uplink.routable);
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

    /// Makes the kernel's routes and rules of one family those of the plan.
    fn sync_family(&mut self, family: Family, now: Instant) {
        let sync = &mut self.kernel[family];
        let planned = core::mem::take(&mut sync.planned);
        (sync.doubted, sync.not_before) = (false, None);
        self.want(family);
        let Memory { mirror, wanted, .. } = &*self.memory;
        let (mut made, mut refused) = (0_u32, None);
        let mut first: Option<Change> = None;
        diff::changes(
            family,
            wanted,
            mirror.routes(),
            mirror.rules(),
            &mut |change| {
                let deletes = matches!(change, Change::DeleteRoute(_) | Change::DeleteRule(_));
                if refused.is_some() && deletes {
                    // What is deleted relies on what was to come before it.
                    return;
                }
                match self.requests.carry_out(&change) {
                    Ok(()) => {
                        made += 1;
                        first.get_or_insert(change);
                    }
                    Err(fault) => refused = Some(fault),
                }
            },
        );
        if made != 0 || refused.is_some() {
            self.kernel_news();
        }
        if let Some(first) = first.filter(|_| !planned) {
            self.repaired(family, &first, made, now);
        }
        self.concluded(family, planned, refused, now);
    }

    /// What the kernel shall have in a family.
    fn want(&mut self, family: Family) {
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
        sync.not_before = Some(now + PATIENCE);
        // Somebody who never tires of it shall not fill the journal, nor the log.
        if sync.reported_at.is_some_and(|at| now < at + SILENCE) {
            return;
        }
        sync.reported_at = Some(now);
        let cause: Text = match made {
            1 => text(format_args!("somebody else changed {first}")),
            _ => text(format_args!(
                "somebody else changed {first}, and {} more",
                made - 1
            )),
        };
        self.memory.core.alarm(
            now,
            None,
            Some(family),
            format_args!("routes put back"),
            format_args!("{cause}"),
        );
        self.save_wanted = true;
    }

    /// Tells the core how it went; what was refused is tried again, and told once.
    fn concluded(&mut self, family: Family, planned: bool, refused: Option<Fault>, now: Instant) {
        let sync = &mut self.kernel[family];
        if refused.is_some() {
            self.counters.kernel_errors += 1;
            sync.doubted = true;
            sync.not_before = Some(now + PATIENCE);
        }
        let before = core::mem::replace(&mut sync.refused, refused);
        match refused {
            Some(fault) if before != refused => self.tell(Event::RoutesFailed(family, fault), now),
            None if planned || before.is_some() => self.tell(Event::RoutesApplied(family), now),
            _ => {}
        }
    }

    /// Takes away everything of ours, as a clean stop does.
    pub(super) fn remove_routes(&mut self) {
        self.kernel_news();
        remove_ours(&mut self.requests, &self.memory.mirror);
    }

    /// Both families are to be brought to their plans.
    pub(super) fn plan_all(&mut self) {
        for family in Family::ALL {
            self.kernel[family].plan();
        }
    }
}

/// Takes away every route and rule of ours that the mirror shows.
pub(super) fn remove_ours(requests: &mut Requests, mirror: &Mirror) {
    for family in Family::ALL {
        diff::removal(family, mirror.routes(), mirror.rules(), &mut |change| {
            if let Err(fault) = requests.carry_out(&change) {
                log::error!("a route or rule of ours stays behind: {fault}");
            }
        });
    }
}
