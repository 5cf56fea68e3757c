//! The foreign default route in `main` that prevails over ours: found anew at each change, and reported when it comes and
//! goes.

use super::RouteSync;
use crate::config::Config;
use crate::daemon::context::Context;
use crate::engine::Engine;
use crate::linux::process::ubus::{Interfaces, told_of};
use crate::routing::manual::{Manual, ManualDefault};
use crate::routing::mirror::Kinds;
use crate::routing::objects::Link;
use crate::routing::others::is_goto_absent;
use crate::types::{Cause, Family, Instant, Kind, Lead};

impl RouteSync<'_> {
    /// The default route that prevails over ours, or may be meant to.
    pub(in crate::daemon) fn manual(&self, family: Family) -> &Manual {
        &self.families[family].manual
    }

    /// Whether there was no search yet, and one prevailed in a former run.
    pub(in crate::daemon) fn was_overridden(&self, engine: &Engine, family: Family) -> bool {
        !self.families[family].manual_is_known && engine.journal().overridden(family).is_some()
    }

    /// Searches for a foreign default route that prevails. Returns the former result, if it differs.
    pub(super) fn find_manual(
        &mut self,
        family: Family,
        engine: &Engine,
        interfaces: &Interfaces,
    ) -> Option<Manual> {
        let config = engine.config();
        let mut providers = config.providers.iter();
        if providers.any(|provider| interfaces.is_awaited(provider)) {
            return None; // the device of such a route may be a provider's
        }
        let is_named = |link: &Link| {
            let is_of = |p, family| link.is_called(&told_of(interfaces, p, family).device);
            let mut providers = config.providers.iter();
            providers.any(|p| is_of(p, Family::V4) || is_of(p, Family::V6))
        };
        let found = match config.manages(family) {
            true => {
                let (routes, links) = (self.mirror.routes(), self.mirror.links());
                Manual::find(routes, links, family, &config.globals, &is_named)
            }
            false => Manual::None,
        };
        if self.mirror.needs().has(Kinds::LINKS)
            || self.is_in_doubt(family, &found, config, interfaces)
        {
            return None;
        }
        let sync = &mut self.families[family];
        if !core::mem::replace(&mut sync.manual_is_known, true) {
            sync.manual = told(engine, family);
        }
        let former = core::mem::replace(&mut sync.manual, found);
        (former != sync.manual).then_some(former)
    }

    /// Whether netifd is to be asked first: its hotplug event may come after the default route of an interface that a
    /// provider names.
    fn is_in_doubt(
        &mut self,
        family: Family,
        found: &Manual,
        config: &Config,
        interfaces: &Interfaces,
    ) -> bool {
        let sync = &mut self.families[family];
        let known = sync.manual.obeyed().map(|default| &default.device);
        let new = found.obeyed().map(|default| &default.device);
        let asks = || config.providers.iter().any(|p| !p.interfaces.is_empty());
        let Some(new) = new.filter(|new| known != Some(new) && asks()) else {
            sync.candidate = None;
            return false;
        };
        match &sync.candidate {
            Some((device, begun)) if device == new => interfaces.ended() <= *begun,
            _ => {
                sync.candidate = Some((new.clone(), interfaces.begun()));
                self.asks_netifd = true;
                true
            }
        }
    }

    /// Whether a manual default prevails, as far as it is known: before the first search, whether one did in a former run.
    pub(in crate::daemon) fn yields(&self, family: Family) -> bool {
        let sync = &self.families[family];
        sync.manual.obeyed().is_some()
            || !sync.manual_is_known && is_goto_absent(self.mirror.rules(), family)
    }

    /// Records which route or provider carries traffic from now on.
    pub(super) fn manual_changed(
        &mut self,
        family: Family,
        before: &Manual,
        cx: &mut Context<'_>,
        now: Instant,
    ) {
        (cx.warnings_due, cx.ranked) = (true, true);
        let leader = cx.engine.carrier(family);
        let (slot, kind, cause) = match (before.obeyed(), self.manual(family).obeyed()) {
            (Some(a), Some(b)) if (&a.device, a.metric) == (&b.device, b.metric) => return,
            (_, Some(ManualDefault { device, metric, .. })) => {
                let cause = Cause::Manual(device.clone(), *metric);
                (None, Kind::Overridden, cause)
            }
            (Some(ManualDefault { device, metric, .. }), None) => {
                let kind = match cx.engine.lead_of(family) {
                    Lead::By(_) => Kind::Leads,
                    Lead::Refused => Kind::Refused,
                    Lead::NoRoute => Kind::NoRoute,
                    Lead::Unknown => return,
                };
                (leader, kind, Cause::ManualGone(device.clone(), *metric))
            }
            (None, None) => return,
        };
        cx.engine.note(now, slot, Some(family), kind, cause);
        (cx.hooks_due, cx.save_due) = (true, true);
    }
}

/// What prevailed in a former run, as it has told last. The device's number is not known.
fn told(engine: &Engine, family: Family) -> Manual {
    let (index, told) = (0, engine.journal().overridden(family));
    told.map_or(Manual::None, |(device, metric)| {
        Manual::Obeyed(ManualDefault {
            device: device.clone(),
            index,
            metric,
        })
    })
}
