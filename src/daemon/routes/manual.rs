//! The foreign default route in `main` that prevails over ours: found anew at each change, and reported when it comes and
//! goes.

use super::RouteSync;
use crate::daemon::context::Context;
use crate::engine::Engine;
use crate::linux::process::ubus::{Interfaces, told_of};
use crate::routing::manual::{Manual, ManualDefault};
use crate::types::{Cause, Family, Instant, Kind};

impl RouteSync<'_> {
    /// The default route that prevails over ours, or may be meant to.
    pub(in crate::daemon) fn manual(&self, family: Family) -> &Manual {
        &self.families[family].manual
    }

    /// Whether one prevailed at the first search; none before that.
    pub(in crate::daemon) fn manual_at_start(&self, family: Family) -> Option<bool> {
        self.families[family].manual_at_start
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
        let is_named = |name: &str| {
            let names = |p| Family::ALL.map(|family| told_of(interfaces, p, family).device);
            let mut devices = config.providers.iter().flat_map(names);
            devices.any(|device| device == name)
        };
        let found = match config.manages(family) {
            true => {
                let (routes, links) = (self.mirror.routes(), self.mirror.links());
                Manual::find(routes, links, family, &config.globals, &is_named)
            }
            false => Manual::None,
        };
        let sync = &mut self.families[family];
        sync.manual_at_start.get_or_insert(found.obeyed().is_some());
        (sync.manual != found).then(|| core::mem::replace(&mut sync.manual, found))
    }

    /// Records which route or provider carries traffic from now on.
    pub(super) fn manual_changed(
        &mut self,
        family: Family,
        before: &Manual,
        cx: &mut Context<'_>,
        now: Instant,
    ) {
        cx.warnings_due = true;
        let of = |default: &ManualDefault| (default.device.clone(), default.metric);
        let [before, after] = [before, self.manual(family)].map(Manual::obeyed);
        let leader = cx.engine.carrier(family);
        let (slot, kind, cause) = match (before.map(of), after.map(of)) {
            (before, after) if before == after => return,
            (_, Some((device, metric))) => (None, Kind::Overridden, Cause::Manual(device, metric)),
            (Some((device, metric)), None) => {
                let kind = leader.map_or(Kind::NoRoute, |_| Kind::Leads);
                (leader, kind, Cause::ManualGone(device, metric))
            }
            (None, None) => return,
        };
        cx.engine.note(now, slot, Some(family), kind, cause);
        (cx.hooks_due, cx.save_due) = (true, true);
    }
}
