//! Hands connections over: one provider's in one family at a time, after the routes are set.

use super::Firewall;
use super::plan::marks;
use crate::config::{Config, Connections};
use crate::daemon::context::Context;
use crate::daemon::routes::RouteSync;
use crate::engine::Engine;
use crate::firewall::handover::{Handover, Present};
use crate::linux::clock::now;
use crate::linux::netfilter::{self, DeviceSet, count};
use crate::types::{
    Cause, DeviceName, Duration, Family, Fault, Instant, Kind, MarkMask, Name, OFFLOADED, PathId,
    Slot, Subject, Verdict,
};

/// How long packets of unknown TCP connections that leave by another provider are reset.
const RESET: Duration = Duration::from_secs(60);
/// How long datagrams may still arrive that were sent before the other end saw a packet by another provider.
const IN_FLIGHT: Duration = Duration::from_secs(2);

impl Firewall<'_> {
    /// There is a table of a former run: the connections of any provider may have its marks.
    pub(super) fn adopt_connections(&mut self, engine: &Engine) {
        self.resumes = true;
        for &family in &Family::ALL {
            let paths = engine.paths().filter(|path| path.id.family == family);
            let all = paths.fold(0, |all, path| all | path.id.slot.bit());
            let policy = |slot| policy(engine.config(), self.strict, slot);
            let leader = engine.carrier(family);
            self.handovers[family].begin(all, leader, &policy);
        }
    }

    /// After the order of providers has changed: which connections are to be handed over. Returns whether rules follow from
    /// that.
    pub(in crate::daemon) fn look_at_order(
        &mut self,
        cx: &mut Context<'_>,
        routes: &mut RouteSync<'_>,
    ) -> bool {
        if !core::mem::take(&mut cx.ranked) {
            return false;
        }
        let now = now();
        for &family in &Family::ALL {
            if cx.engine.awaits_uplinks(family) {
                cx.ranked = true;
                continue;
            }
            let engine = &*cx.engine;
            let order = engine.plan(family).order.iter();
            let usable = order.filter(|hop| hop.usable);
            let present = Present {
                usable: usable.fold(0, |all, hop| all | hop.slot.bit()),
                leader: engine.carrier(family).filter(|_| !routes.yields(family)),
                none_works: engine.plan(family).none_works,
                policy: &|slot| policy(engine.config(), self.strict, slot),
            };
            let handovers = &mut self.handovers[family];
            if handovers.look(&present, now) {
                cx.handed_over[family] = 0;
            }
            let not_kept = handovers.not_kept();
            routes.set_handed_over(family, not_kept, cx);
        }
        cx.planned.v4 || cx.planned.v6
    }

    /// Hands over the connections of the next provider, if the routes are set by which they go on.
    pub(super) fn hand_over(&mut self, cx: &mut Context<'_>, routes: &RouteSync<'_>, now: Instant) {
        let next = Family::ALL.iter().find_map(|&family| {
            let next = self.handovers[family].next()?;
            routes.are_set(family, cx).then_some((family, next))
        });
        let Some((family, handover)) = next else {
            cx.handing_over = false;
            self.resumes = false;
            return;
        };
        // The former run has told of it, and probes are entries, too.
        let is_told = self.resumes && is_offline(cx.engine, family, handover.from);
        let config = cx.engine.config();
        let from = self.name(&handover, config);
        let is_metered = config
            .at(handover.from)
            .is_some_and(|provider| provider.metered);
        if let Some(mask) = routes.marks[family] {
            let mut count = self.delete_entries(family, &handover, mask, is_metered, routes);
            if is_told {
                count = 0;
            }
            cx.handed_over[family] = cx.handed_over[family].saturating_add(count);
            if count > 0 {
                let count = if netfilter::offloads() {
                    count | OFFLOADED
                } else {
                    count
                };
                note(cx, family, from, handover.to, count, now);
            }
        }
        self.handovers[family].done(handover.from);
        (cx.handing_over, cx.hooks_due) = (true, true);
    }

    /// Deletes the entries of a provider's connections. Returns how many entries are fewer.
    fn delete_entries(
        &mut self,
        family: Family,
        handover: &Handover,
        mask: MarkMask,
        is_metered: bool,
        routes: &RouteSync<'_>,
    ) -> u32 {
        let Handover {
            from,
            to,
            is_usable,
            ..
        } = *handover;
        let leader = routes.uplink(PathId { slot: to, family });
        if let Some(leader) = leader {
            // Without the table there is no such set, and none is needed.
            let _ = self
                .netfilter
                .add_device(DeviceSet::Moved, &leader.device, RESET);
            self.moved_until = now() + RESET;
            if !self.nft.is_running() {
                self.moved[family].clone_from(&leader.device);
            }
        }
        let before = count().unwrap_or(0);
        // What is not translated in IPv4 goes on by any provider. In IPv6 it goes on by its own, by the rules of prefixes, as
        // long as there are some; otherwise the next one translates it, as soon as it is new.
        let has_prefix_rules = is_usable && !is_metered;
        let only_translated = family == Family::V4 || has_prefix_rules;
        let (mark, bits) = (mask.outbound(from), mask.bits());
        if !only_translated && let Some(former) = self.former_device(family, handover, routes) {
            for (set, time) in [(DeviceSet::Left, RESET), (DeviceSet::Leaving, IN_FLIGHT)] {
                let _ = self.netfilter.add_device(set, &former, time);
            }
            if !self.nft.is_running() && !self.left.contains(&former) {
                let _ = self.left.push(former); // as many as there is room for
            }
        }
        let deleted = self
            .netfilter
            .delete_by_mark(family, mark, bits, only_translated);
        if deleted == Err(Fault::NotSupported) && !is_usable {
            delete_by_address(PathId { slot: from, family }, routes);
        }
        before.saturating_sub(count().unwrap_or(0))
    }

    /// The device by which a provider's connections came, and come no more. The slot of one that a reload took out may be
    /// another's; where the device is, they are inbound connections by that one.
    fn former_device(
        &self,
        family: Family,
        handover: &Handover,
        routes: &RouteSync<'_>,
    ) -> Option<DeviceName> {
        let slot = handover.from;
        if !handover.is_removed {
            let uplink = routes.uplink(PathId { slot, family });
            return uplink.map(|uplink| uplink.device.clone());
        }
        let mut members = self.plan.members.iter();
        let device = &members.find(|member| member.slot == slot)?.device[family];
        let mut uplinks = routes.uplinks.iter();
        let is_others = uplinks.any(|uplink| uplink.device == *device);
        (!is_others).then(|| device.clone())
    }

    /// A provider's id; also of one that a reload took out last.
    fn name(&self, handover: &Handover, config: &Config) -> Option<Name> {
        let Handover {
            from, is_removed, ..
        } = *handover;
        match &self.removed {
            Some((removed, name)) if is_removed && *removed == from => Some(name.clone()),
            _ if is_removed => None,
            _ => config.at(from).map(|provider| provider.id.clone()),
        }
    }
}

fn is_offline(engine: &Engine, family: Family, slot: Slot) -> bool {
    let path = engine.path(PathId { slot, family });
    path.is_some_and(|path| path.verdict() == Verdict::Offline)
}

fn policy(config: &Config, strict: u64, slot: Slot) -> Connections {
    match config.at(slot) {
        Some(provider) if !marks(provider) => Connections::Off,
        Some(_) if strict & slot.bit() != 0 => Connections::Follow,
        Some(provider) => provider.connections,
        None => Connections::Off,
    }
}

fn note(
    cx: &mut Context<'_>,
    family: Family,
    provider: Option<Name>,
    to: Slot,
    count: u32,
    now: Instant,
) {
    let to = cx
        .engine
        .config()
        .at(to)
        .map_or_else(Name::new, |to| to.id.clone());
    let subject = Subject {
        provider,
        family: Some(family),
    };
    let cause = Cause::Connections(count, to);
    cx.engine.note_about(now, subject, Kind::HandedOver, cause);
    cx.save_due = true;
}

/// Where the kernel cannot delete by mark: deletes all entries with a path's own address, if no other path has it.
fn delete_by_address(path: PathId, routes: &RouteSync<'_>) {
    let own = routes.uplink(path).and_then(|uplink| uplink.address);
    let same = routes.uplinks.iter().filter(|uplink| uplink.address == own);
    if let Some(own) = own
        && same.count() == 1
    {
        let _ = netfilter::delete_by_address(own); // there is a warning if it cannot be
    }
}
