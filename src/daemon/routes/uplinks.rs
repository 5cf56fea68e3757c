//! Finds every path's uplink, from the mirror and netifd, and reports changes to the engine.

use super::RouteSync;
use crate::config::Config;
use crate::daemon::context::Context;
use crate::daemon::probing::Probing;
use crate::engine::{Engine, Event};
use crate::limits::PATHS_MAX;
use crate::linux::process::ubus::{Interfaces, told_of};
use crate::routing::delegated::{self, Delegated};
use crate::routing::layout::{best_of_ours, everywhere};
use crate::routing::mirror::{Kinds, Named};
use crate::routing::resolvers;
use crate::routing::uplink::{Claims, Told, Uplink};
use crate::types::{Family, Instant, Name, PathId, PerFamily, Verdict};

impl RouteSync<'_> {
    /// A path's uplink.
    #[inline(never)] // called in many places; where it stands is a multiplication by a constant
    pub(in crate::daemon) fn uplink(&self, path: PathId) -> Option<&Uplink> {
        self.uplinks.get(path.index())
    }

    /// Whether the kernel was asked for the own address of a path, and had none.
    pub(in crate::daemon) fn lack_own_address(&self) -> bool {
        let lacks = |uplink: &Uplink| uplink.asks() && uplink.address.is_none();
        self.uplinks.iter().any(lacks)
    }

    /// Finds every path's uplink, and reports changed ones to the engine.
    pub(in crate::daemon) fn look_at_uplinks(
        &mut self,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        interfaces: &Interfaces,
        now: Instant,
    ) {
        let changes = self.find_uplinks(cx.engine, interfaces);
        self.believe_order(cx.engine);
        for (index, change) in changes.iter().enumerate() {
            if let (Some(path), Some(moved)) = (PathId::from_index(index), change) {
                self.uplink_changed(path, *moved, cx, probing, now);
            }
        }
        if self.find_delegated(cx.engine, interfaces) {
            cx.planned[Family::V6] = true;
        }
        if self.find_resolvers(cx.engine, interfaces) {
            cx.planned = PerFamily { v4: true, v6: true };
        }
        let awaited = |family| cx.engine.awaits_uplinks(family);
        self.adopting &= awaited(Family::V4) || awaited(Family::V6);
        self.watch_uplinks(cx.engine, interfaces);
    }

    /// Updates the uplinks; for each changed one, whether sockets must be bound anew.
    fn find_uplinks(
        &mut self,
        engine: &Engine,
        interfaces: &Interfaces,
    ) -> [Option<bool>; PATHS_MAX] {
        let (mirror, uplinks) = (&mut *self.mirror, &mut *self.uplinks);
        let config = engine.config();
        let mut changes = [None; PATHS_MAX];
        for &family in &Family::ALL {
            let mut claims = Claims::new();
            for provider in config.enabled() {
                let path = PathId {
                    slot: provider.slot,
                    family,
                };
                while uplinks.len() <= path.index() && uplinks.push(Uplink::default()).is_ok() {}
                let known = uplinks.get_mut(path.index());
                let Some((known, judged)) = known.zip(engine.path(path)) else {
                    continue;
                };
                if interfaces.is_awaited(provider) && (self.adopting || known.index != 0) {
                    // The former uplink is more likely right than none.
                    known.claim_device(path.slot, &mut claims);
                    continue;
                }
                let mut told = told_of(interfaces, provider, family);
                told.former = known.former();
                if let Some(former) = &mut told.former
                    && judged.verdict() == Verdict::Offline
                {
                    // Perhaps it is of a former prefix: the kernel is asked again.
                    former.guessed = true;
                }
                let (requests, news) = (&mut self.requests, &mut self.news);
                let mut uplink = requests.uplink(config, provider, family, told, mirror, news);
                if mirror.is_unsure(Kinds::uplinks(family)) {
                    uplink = uplink.unless_unseen(known);
                }
                uplink.claim_device(path.slot, &mut claims);
                let default = (config.globals.table, everywhere(family), uplink.index);
                if self.refusals[family].forbid(|r| (r.table, r.destination, r.device) == default) {
                    uplink.refuse();
                }
                if *known != uplink {
                    changes[path.index()] = Some(!known.has_same_socket(&uplink));
                    *known = uplink;
                }
            }
        }
        changes
    }

    /// The IPv6 prefixes that are delegated to providers.
    pub(in crate::daemon) fn delegated(&self) -> &Delegated {
        self.delegated
    }

    /// Updates them. Returns whether any has changed.
    fn find_delegated(&mut self, engine: &Engine, interfaces: &Interfaces) -> bool {
        let uplinks = &*self.uplinks;
        let (family, mirror) = (Family::V6, &*self.mirror);
        let changed = self.delegated.fill(&delegated::Told {
            config: engine.config(),
            uplink: &|slot| uplinks.get(PathId { slot, family }.index()),
            idle_device: &|provider| {
                let link = mirror.link_named(&provider.device[family]);
                link.map_or(0, |link| link.index)
            },
            routes: mirror.routes(),
            netifd: &|provider, each| interfaces.tell_delegated(provider, each),
        });
        self.delegations = self.delegations.wrapping_add(changed.into());
        changed
    }

    /// Updates the resolvers that are asked through a provider. Returns whether any has changed.
    fn find_resolvers(&mut self, engine: &Engine, interfaces: &Interfaces) -> bool {
        let uplinks = &*self.uplinks;
        self.resolvers.fill(&resolvers::Told {
            config: engine.config(),
            uplink: &|path| uplinks.get(path.index()),
            addresses: self.mirror.addresses(),
            netifd: &|provider, each| interfaces.tell_resolvers(provider, each),
        })
    }

    /// At the start, the order of the routes in the kernel overrides the saved leader: a swap comes before the state is saved,
    /// and saving may fail, or the file may be lost.
    fn believe_order(&self, engine: &mut Engine) {
        for &family in &Family::ALL {
            if !engine.awaits_uplinks(family) {
                continue;
            }
            let table = engine.config().globals.table;
            let Some(best) = best_of_ours(self.mirror.routes(), family, table) else {
                continue;
            };
            let leads = |slot| {
                let uplink = self.uplink(PathId { slot, family });
                uplink.is_some_and(|uplink| uplink.index == best.device)
            };
            let mut slots = engine.config().enabled().map(|provider| provider.slot);
            let leader = slots.find(|slot| leads(*slot));
            drop(slots);
            if let Some(slot) = leader {
                engine.believe_leader(family, slot);
            }
        }
    }

    fn uplink_changed(
        &self,
        path: PathId,
        moved: bool,
        cx: &mut Context<'_>,
        probing: &mut Probing<'_>,
        now: Instant,
    ) {
        let uplink = self.uplink(path).filter(|_| cx.engine.path(path).is_some());
        let Some(uplink) = uplink else {
            return;
        };
        let (waiting, routable) = (uplink.waiting, uplink.routable && !uplink.refused);
        cx.planned[path.family] = true;
        cx.devices_due = true;
        if waiting.is_none() && moved {
            probing.bind(path, uplink, cx);
            cx.tell(Event::Rebound(path), now);
        }
        cx.tell(
            Event::Uplink {
                path,
                waiting,
                routable,
            },
            now,
        );
    }

    /// Forgets the uplinks of providers whose slots others get in the candidate. Call it before the candidate is in force.
    pub(in crate::daemon) fn forget_changed(&mut self, running: &Config, candidate: &Config) {
        (self.has_changed, self.own_targets) = (true, 0);
        fn id_in(config: &Config, path: PathId) -> Option<&Name> {
            config.at(path.slot).map(|provider| &provider.id)
        }
        for (index, uplink) in self.uplinks.iter_mut().enumerate() {
            let path = PathId::from_index(index);
            let Some(path) = path.filter(|path| id_in(running, *path) != id_in(candidate, *path))
            else {
                continue;
            };
            *uplink = Uplink::default();
            if candidate.at(path.slot).is_some() {
                self.delegated.forget(path.slot);
            }
        }
    }

    /// Forgets the uplinks that no path uses any more.
    pub(in crate::daemon) fn forget_unused(&mut self, engine: &Engine) {
        for (index, uplink) in self.uplinks.iter_mut().enumerate() {
            if PathId::from_index(index).is_some_and(|path| engine.path(path).is_none()) {
                *uplink = Uplink::default();
            }
        }
    }

    /// Gives the objects that uplinks depend on room before all others. Returns whether a dump is needed.
    pub(super) fn watch_uplinks(&mut self, engine: &Engine, interfaces: &Interfaces) -> bool {
        let (uplinks, tables) = (&*self.uplinks, &*self.tables);
        let config = engine.config();
        self.mirror.watch(&|name| {
            name(Named::Table(config.globals.table));
            name(Named::CatchAll(config.globals.catch_all));
            for provider in config.enabled() {
                let slot = provider.slot;
                if let Some(table) = tables.of(slot) {
                    name(Named::Table(table));
                }
                for &family in &Family::ALL {
                    name_told(told_of(interfaces, provider, family), name);
                    let uplink = uplinks.get(PathId { slot, family }.index());
                    let learned = uplink.and_then(|uplink| uplink.address);
                    if let Some(own) = provider.address[family].or(learned) {
                        name(Named::Address(own));
                    }
                }
            }
        })
    }
}

/// Names the configured or learned parts of a provider's uplink.
fn name_told(told: Told, name: &mut dyn FnMut(Named)) {
    if !told.device.is_empty() {
        name(Named::Device(told.device));
    }
    if let Some(prefix) = told.delegated {
        name(Named::Prefix(prefix));
    }
}
