//! Whether our firewall table is wanted, and what it depends on: the configuration, the providers' devices, and settings of
//! the kernel.

use super::{Firewall, MINUTE, PAUSE};
use crate::config::{Config, Connections, ForeignIpv6, Provider, RtTable};
use crate::daemon::context::Context;
use crate::daemon::routes::RouteSync;
use crate::firewall::plan::Member;
use crate::firewall::text;
use crate::limits::PROVIDERS_MAX;
use crate::linux::{netfilter, sysctl};
use crate::routing::uplink::Uplink;
use crate::types::{DeviceName, Family, Instant, PathId, PerFamily, Slot};

impl Firewall<'_> {
    /// Looks at what no event tells.
    pub(super) fn look_around(
        &mut self,
        cx: &mut Context<'_>,
        routes: &mut RouteSync<'_>,
        now: Instant,
    ) {
        self.planned = true;
        let config = cx.engine.config();
        let asked = config.globals.firewall_asked;
        // The table itself makes the kernel track connections. Once wanted, it stays.
        let tracks = self.in_force.is_some()
            || self.wanted != PerFamily::default()
            || netfilter::count().is_some_and(|count| count > 0);
        let is_needed = is_needed(config, !routes.delegated().list.is_empty());
        for &family in &Family::ALL {
            let is_useful = asked || tracks && sysctl::forwards(family);
            let wanted = is_needed && is_useful && config.manages(family);
            cx.warnings_due |= self.wanted[family] != wanted;
            self.wanted[family] = wanted;
        }
        // The kernel begins to track connections with the first one after the boot, or after the firewall's start.
        let waits = is_needed && self.wanted == PerFamily::default();
        let pause = if waits { self.gap } else { MINUTE };
        // One that was asked for is besides.
        if core::mem::replace(&mut self.look_at, now + pause) != Instant::ZERO {
            self.gap = (self.gap * 2).min(MINUTE);
        }
    }

    /// An uplink has changed: where there is no table, there may be something to do for one soon.
    pub(super) fn expect_connections(&mut self, now: Instant) {
        if self.wanted == PerFamily::default() {
            self.gap = PAUSE;
            self.look_at = self.look_at.min(now + PAUSE);
        }
    }

    /// Makes the plan, once all uplinks are known.
    pub(super) fn make_plan(&mut self, cx: &mut Context<'_>, routes: &RouteSync<'_>) {
        let wanted = self.wanted.v4 || self.wanted.v6;
        let awaits = |family| cx.engine.awaits_uplinks(family);
        if wanted && (awaits(Family::V4) || awaits(Family::V6)) {
            return;
        }
        self.planned = false;
        if core::mem::replace(&mut self.delegations, routes.delegations) != routes.delegations {
            self.digested = None;
        }
        let config = cx.engine.config();
        // A reload has made the digest unknown.
        let globals = &config.globals;
        self.plan.marks = globals.mark_mask;
        self.plan.answers = globals.answers;
        self.plan.foreign = globals.ipv6_foreign == ForeignIpv6::Masquerade;
        let forgotten = core::mem::take(&mut self.forgotten);
        let members = &mut self.plan.members;
        members.retain(|member| forgotten & member.slot.bit() == 0);
        let mut strict = 0;
        for provider in config.enabled() {
            strict |= self.plan_member(provider, routes);
        }
        if self.strict != strict {
            self.strict = strict;
            (cx.ranked, cx.warnings_due) = (true, true);
        }
        self.digest = match self.digested {
            _ if !wanted => None,
            None => Some(text::digest(self.plan, routes.delegated())),
            known => known,
        };
        if core::mem::take(&mut self.adopts) && self.digest != self.in_force && wanted {
            // A former run may have found that the kernel lacks IPsec.
            self.plan.ipsec = false;
            let without = Some(text::digest(self.plan, routes.delegated()));
            self.plan.ipsec = without != self.in_force;
            if !self.plan.ipsec {
                self.digest = without;
            }
        }
        self.digested = self.digest;
    }

    /// Updates a provider in the plan. Returns its bit if its connections must follow.
    fn plan_member(&mut self, provider: &Provider, routes: &RouteSync<'_>) -> u64 {
        let slot = provider.slot;
        let members = &mut self.plan.members;
        let place = members.iter().position(|member| member.slot >= slot);
        let place = place.unwrap_or(members.len());
        if members.get(place).is_none_or(|member| member.slot != slot)
            && members.insert(place, blank(slot)).is_err()
        {
            return 0; // never: there is room for all
        }
        let Some(member) = members.get_mut(place) else {
            return 0;
        };
        let before = member.clone();
        for &family in &Family::ALL {
            let uplink = routes.uplink(PathId { slot, family });
            let device = uplink.map(|uplink| &uplink.device);
            match device.filter(|device| !device.is_empty()) {
                _ if !self.wanted[family] || uplink.is_some_and(Uplink::is_taken) => {
                    member.device[family].clear();
                }
                // While there is none, it is most likely to come back by its former name.
                Some(device) => member.device[family].clone_from(device),
                None => {}
            }
        }
        let device = &member.device.v4;
        let filters = !device.is_empty() && sysctl::rp_filter(device) == Some(1);
        member.strict = filters && sysctl::src_valid_mark(device) == Some(true);
        let must_follow = filters && !member.strict;
        member.own = provider.mark;
        member.answers = provider.rt_table != RtTable::None;
        member.records = marks(provider);
        // Also of one whose connections follow: they stay as long as none works.
        member.restores = !must_follow;
        member.masquerade = provider.masquerade;
        if *member != before {
            self.digested = None;
        }
        if must_follow { slot.bit() } else { 0 }
    }

    /// Forgets the providers that are not in the candidate, or not enabled there, or that have another device there.
    pub(super) fn forget_changed(&mut self, running: &Config, candidate: &Config) {
        let mut removed = PerFamily { v4: 0, v6: 0 };
        for provider in running.enabled() {
            let heir = candidate.at(provider.slot).filter(|heir| heir.enabled);
            for &family in &Family::ALL {
                if heir.is_none_or(|heir| !is_same_line(heir, provider, family)) {
                    removed[family] |= provider.slot.bit();
                    self.removed = Some((provider.slot, provider.id.clone()));
                }
            }
        }
        self.forgotten |= removed.v4 | removed.v6;
        self.handovers.v4.remove(removed.v4);
        self.handovers.v6.remove(removed.v6);
    }
}

/// Whether connections of a provider can go on by its heir: it names the same device.
fn is_same_line(heir: &Provider, provider: &Provider, family: Family) -> bool {
    heir.id == provider.id
        && heir.device[family] == provider.device[family]
        && heir.interfaces == provider.interfaces
}

/// Whether a configuration has a use for the table; and whether prefixes are delegated.
fn is_needed(config: &Config, has_prefixes: bool) -> bool {
    let mut providers = config.enabled();
    let translates = has_prefixes && config.globals.ipv6_foreign == ForeignIpv6::Masquerade;
    translates
        || config.globals.answers
        || providers.any(|provider| marks(provider) || provider.masquerade)
}

/// Whether a provider's connections are marked as its own.
pub(super) fn marks(provider: &Provider) -> bool {
    provider.rt_table != RtTable::None && provider.connections != Connections::Off
}

fn blank(slot: Slot) -> Member {
    const { assert!(PROVIDERS_MAX <= 64) };
    Member {
        slot,
        device: PerFamily {
            v4: DeviceName::new(),
            v6: DeviceName::new(),
        },
        own: None,
        answers: false,
        records: false,
        restores: false,
        strict: false,
        masquerade: false,
    }
}
