//! The snapshot: the current state, from the engine and the mirror of the kernel. Status, explain, hooks, warnings and the
//! saved state are all made from it.

use core::net::IpAddr;

use super::routes::{LaidOut, RouteSync};
use crate::config::{Check, Provider};
use crate::engine::journal::Entry;
use crate::engine::path::{Path, State};
use crate::engine::rounds::Rounds;
use crate::engine::{Engine, HeldBack};
use crate::limits::{DNS_SHOWN_MAX, PATHS_MAX};
use crate::routing::layout::{
    ErrorEffect, best_of_others, error_effect, everywhere, overridden_by, pref,
};
use crate::routing::manual::ManualDefault;
use crate::routing::mirror::Mirror;
use crate::routing::objects::{Route, Selector};
use crate::routing::others;
use crate::routing::uplink::Uplink;
use crate::text::text;
use crate::types::{
    Cause, CheckSet, DeviceName, Duration, Duty, Family, GivenDevice, Instant, Kind, Lead, Measure,
    Metric, Name, PROTOCOL, PathId, PerFamily, Slot, TABLE_MAIN, Waiting,
};
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{
    self, Active, CheckState, Counters, ErrorRoute, Header, InMain, Level, ManualRoute, Marked,
    ProviderHead, ProviderState, Reason, Rtt, Terms,
};

/// The state at a time.
#[derive(Clone, Copy)]
pub(super) struct Snapshot<'a> {
    pub(super) engine: &'a Engine,
    pub(super) mirror: &'a Mirror,
    pub(super) uplinks: &'a heapless::Vec<Uplink, PATHS_MAX>,
    pub(super) laid_out: &'a PerFamily<LaidOut>,
    /// The foreign default route that traffic leaves by instead of by the leader.
    pub(super) manual: PerFamily<Option<&'a ManualDefault>>,
    /// Whether connections are marked by their provider.
    pub(super) marked: PerFamily<bool>,
    pub(super) now: Instant,
}

impl<'a> Snapshot<'a> {
    pub(super) fn of(engine: &'a Engine, routes: &'a RouteSync<'_>, now: Instant) -> Snapshot<'a> {
        Snapshot {
            engine,
            mirror: routes.mirror,
            uplinks: routes.uplinks,
            laid_out: routes.laid_out,
            manual: PerFamily {
                v4: routes.manual(Family::V4).obeyed(),
                v6: routes.manual(Family::V6).obeyed(),
            },
            marked: PerFamily {
                v4: routes.marks.v4.is_some(),
                v6: routes.marks.v6.is_some(),
            },
            now,
        }
    }

    /// A provider's id.
    pub(super) fn id(&self, slot: Option<Slot>) -> Option<&'a Name> {
        let provider = self.engine.config().at(slot?);
        provider.map(|provider| &provider.id)
    }

    /// The pinned provider.
    pub(super) fn pinned(&self) -> Option<&'a Name> {
        self.id(self.engine.pinned())
    }

    /// What becomes of a family's traffic.
    pub(super) fn lead(&self, family: Family) -> Lead<&'a Name> {
        let lead = self.engine.lead_of(family);
        lead.named(|slot| self.id(Some(slot)))
    }

    /// The provider that traffic leaves by: none while a manual default prevails.
    pub(super) fn carrier(&self, family: Family) -> Option<Slot> {
        match self.manual[family] {
            Some(_) => None,
            None => self.engine.carrier(family),
        }
    }

    /// The cause of the last override by a manual default, as the journal has it.
    pub(super) fn overridden_cause(&self, family: Family) -> Option<&'a Cause> {
        let last = self.last_entry(None, Some(family), &|entry| entry.kind == Kind::Overridden);
        last.map(|entry| &entry.cause)
    }

    /// Why a family's traffic leaves as it does, as the journal has it.
    pub(super) fn lead_cause(&self, family: Family) -> Option<&'a Cause> {
        let lead = self.lead(family);
        if lead == Lead::Unknown {
            return None;
        }
        let is_meant = |entry: &Entry| entry.kind.is_of_traffic() && entry.kind != Kind::Overridden;
        let last = self.last_entry(lead.carrier(), Some(family), &is_meant);
        last.map(|entry| &entry.cause)
    }

    /// Why a path is in its state, as the journal has it since the path is in that state: a transition of its own; or a pin
    /// or its end, which tells no paths.
    pub(super) fn cause(&self, path: &Path) -> Option<&'a Entry> {
        let id = self.id(Some(path.id.slot))?;
        let (state, family) = (path.state(), Some(path.id.family));
        let is_true = |cause: &Cause| match cause {
            Cause::Dropped(_) => path.is_cut_off(),
            // A path that is waiting waits for the same, whatever its configuration.
            Cause::ConfigurationChanged => state != State::Waiting,
            _ => true,
        };
        let mut recent = self.engine.journal().recent();
        let last = recent.find(|entry| match entry.kind {
            Kind::State { to, .. } => {
                to == state
                    && entry.subject.provider.as_ref() == Some(id)
                    && entry.subject.family == family
                    && is_true(&entry.cause)
            }
            Kind::Pinned | Kind::Unpinned => entry.at == path.since,
            _ => false,
        });
        last.filter(|entry| entry.at >= path.since)
    }

    /// How long ago the user did this to a provider, if the journal still has it.
    fn done_ms(&self, provider: Option<&Name>, done: Kind) -> Option<u64> {
        let last = self.last_entry(Some(provider?), None, &|entry| entry.kind == done);
        last.map(|entry| self.ms_since(entry.at))
    }

    #[inline(never)] // for the size of the program
    fn last_entry(
        &self,
        provider: Option<&Name>,
        family: Option<Family>,
        is_meant: &dyn Fn(&Entry) -> bool,
    ) -> Option<&'a Entry> {
        let entries = self.engine.journal().entries();
        entries
            .filter(|entry| entry.subject.provider.as_ref() == provider)
            .filter(|entry| entry.subject.family == family && is_meant(entry))
            .last()
    }

    /// The uplink of a path, once it is known.
    #[inline(never)] // called in many places; where it stands is a multiplication by a constant
    pub(super) fn uplink(&self, path: PathId) -> Option<&'a Uplink> {
        self.uplinks.get(path.index())
    }

    /// Probes lost in the window, to a tenth of a percent; none before one is settled.
    pub(super) fn loss(&self, path: &Path) -> Option<Decimal> {
        percent(path.loss(self.window(path.id.slot)))
    }

    /// Round-trip times over the window.
    pub(super) fn rtt(&self, path: &Path) -> Rtt {
        let Some(rtt) = path.rounds.rtt(self.window(path.id.slot)) else {
            return Rtt::default();
        };
        let ms = |micros| Some(Decimal::new(micros));
        Rtt {
            last: ms(rtt.last),
            avg: ms(rtt.avg),
            stddev: ms(rtt.stddev),
            min: ms(rtt.min),
            max: ms(rtt.max),
        }
    }

    fn window(&self, slot: Slot) -> u8 {
        let provider = self.engine.config().at(slot);
        provider.map_or(0, |provider| provider.timing.window)
    }

    /// The daemon as a whole, without its counters and its start time, which are not known here.
    pub(super) fn header(&self, counters: &Counters, started_at: Instant) -> Header {
        let globals = &self.engine.config().globals;
        let lead = |family| self.lead(family).named(|id| Some(id.clone()));
        Header {
            version: text(format_args!("{}", env!("CARGO_PKG_VERSION"))),
            uptime_s: self.ms_since(started_at) / 1000,
            pinned: self.pinned().cloned(),
            pinned_ms: self.done_ms(self.pinned(), Kind::Pinned),
            table: globals.table,
            mark_mask: match self.marked {
                PerFamily {
                    v4: false,
                    v6: false,
                } => 0,
                _ => globals.mark_mask.bits(),
            },
            connections_marked: Marked {
                ipv4: self.marked.v4,
                ipv6: self.marked.v6,
            },
            active: Active {
                ipv4: lead(Family::V4),
                ipv6: lead(Family::V6),
            },
            overridden_by: InMain {
                ipv4: self.manual_route(Family::V4),
                ipv6: self.manual_route(Family::V6),
            },
            fallback: InMain {
                ipv4: self.fallback(Family::V4),
                ipv6: self.fallback(Family::V6),
            },
            error_routes: Family::ALL.map(|family| self.error_route(family)),
            counters: self.counters(counters),
            swaps: Family::ALL.map(|family| self.engine.swaps_by_family()[family]),
            preempt: globals.preempt,
            last_resort: globals.last_resort,
        }
    }

    fn manual_route(&self, family: Family) -> Option<ManualRoute> {
        let ManualDefault { device, metric, .. } = self.manual[family]?;
        Some(ManualRoute {
            device: device.clone(),
            metric: metric.0,
            table: TABLE_MAIN,
        })
    }

    /// The default route of another program that traffic leaves by because no provider can have one.
    fn fallback(&self, family: Family) -> Option<ManualRoute> {
        self.fallback_route(family).map(|route| self.named(route))
    }

    fn fallback_route(&self, family: Family) -> Option<&'a Route> {
        let refused = matches!(self.error_effect(family), Some((_, ErrorEffect::Obeyed)));
        if self.engine.lead_of(family) != Lead::NoRoute || self.manual[family].is_some() || refused
        {
            return None;
        }
        let swap_table = self.engine.config().globals.table;
        let best = |table| best_of_others(self.mirror.routes(), family, table);
        let route = best(swap_table).or_else(|| best(TABLE_MAIN))?;
        Some(route).filter(|route| route.kind.leads())
    }

    /// A route of another program, with its device's name.
    fn named(&self, route: &Route) -> ManualRoute {
        let mut links = self.mirror.links().iter();
        let link = links.find(|link| link.index == route.device);
        ManualRoute {
            device: link.map(|link| link.name.clone()).unwrap_or_default(),
            metric: route.metric.0,
            table: route.table,
        }
    }

    /// The default route of another device that may keep a path's DHCP client from adding its own.
    fn rival(&self, path: &Path, uplink: &Uplink) -> Option<ManualRoute> {
        path.waiting().filter(|why| *why == Waiting::NoGateway)?;
        let route = others::rival(self.mirror.routes(), path.id.family, uplink.index)?;
        Some(self.named(route))
    }

    /// The default route in `main` that refuses, and what it does.
    pub(super) fn error_effect(&self, family: Family) -> Option<(Metric, ErrorEffect)> {
        error_effect(self.mirror.routes(), family, &self.engine.config().globals)
    }

    /// The same for status and explain, where it concerns the traffic.
    fn error_route(&self, family: Family) -> Option<ErrorRoute> {
        let config = self.engine.config();
        let (metric, effect) = self.error_effect(family)?;
        let concerns = config.manages(family) && config.globals.table != TABLE_MAIN;
        (concerns && effect != ErrorEffect::Spared).then_some(ErrorRoute {
            metric,
            obeyed: effect == ErrorEffect::Obeyed,
        })
    }

    fn counters(&self, counters: &Counters) -> Counters {
        let mirror = self.mirror.counters;
        Counters {
            swaps: self.engine.swaps(),
            overruns: mirror.overruns,
            undecodable: mirror.undecodable,
            overflows: mirror.overflows,
            ..*counters
        }
    }

    pub(super) fn provider(&self, provider: &Provider) -> ProviderHead {
        let Provider {
            slot,
            rank,
            enabled,
            ..
        } = *provider;
        let disabled = self.engine.is_disabled(slot);
        let paths = self.engine.paths().filter(|path| path.id.slot == slot);
        let state = if self.engine.pinned() == Some(slot) {
            ProviderState::Pinned
        } else if disabled || !enabled {
            ProviderState::Disabled
        } else {
            ProviderState::Is(paths.map(Path::state).min().unwrap_or(State::Waiting))
        };
        ProviderHead {
            id: provider.id.clone(),
            slot,
            rank,
            state,
            disabled,
            disabled_ms: match disabled {
                true => self.done_ms(Some(&provider.id), Kind::Disabled),
                false => None,
            },
            enabled,
        }
    }

    pub(super) fn path(&self, provider: &Provider, path: &Path) -> snapshot::Path {
        let (timing, family) = (&provider.timing, path.id.family);
        let unknown = Uplink::default();
        let uplink = self.uplink(path.id).unwrap_or(&unknown);
        let metric = self.metric(family, uplink);
        let (good, failed) = path.rounds.verdicts(timing.window);
        let checks = (0_u8..).zip(self.engine.config().path_checks(provider, family));
        let held_back = self.engine.held_back(path);
        let holder = self.engine.carrier(family).filter(|_| held_back.is_some());
        let better = self.engine.better(path);
        let cause = self.cause(path);
        snapshot::Path {
            family,
            device: self.device(provider, family, uplink),
            state: path.state(),
            reason: self.reason(path),
            since_ms: self.ms_since(path.since),
            address: uplink.address,
            address_deprecated: uplink.deprecated,
            gateway: uplink.gateway,
            gateways: uplink.gateways,
            resolvers: self.resolvers(path.id),
            metric,
            installed: metric.is_some_and(|metric| self.has(family, uplink, metric)),
            overridden_by: metric.and_then(|metric| self.overridden_by(family, metric)),
            held_back_by: self.id(holder).cloned(),
            takes_over_in_ms: match held_back {
                Some(HeldBack::Until(at)) => Some(self.ms_until(at)),
                _ => None,
            },
            rounds: snapshot::Rounds {
                good,
                failed,
                streak: path.rounds.streak(),
            },
            loss_percent: self.loss(path),
            rtt_ms: self.rtt(path),
            checks: checks
                .map(|(number, check)| self.check(&path.rounds, timing.window, number, check))
                .collect(),
            history: None,
            cause: cause.map(|entry| entry.cause.clone()),
            cause_ms: cause.map_or(0, |entry| self.ms_since(entry.at)),
            verdict: path.verdict(),
            better: better.and_then(|better| {
                let id = self.id(Some(better.id.slot))?.clone();
                Some((id, better.state() == State::Online))
            }),
            rival: self.rival(path, uplink),
            terms: Terms {
                up: timing.up,
                down: timing.down,
                window: timing.window,
                max_failed: timing.max_failed,
                quorum: u8::try_from(path.quorum()).unwrap_or(u8::MAX),
            },
            levels: Measure::ALL.map(|measure| {
                timing.quality.of(measure).map(|threshold| Level {
                    value: path.quality(measure),
                    most: threshold.most,
                    recover: threshold.recover,
                    is_poor: path.is_poor(measure),
                })
            }),
            outage_ms: path.outage(self.now).total_millis(),
        }
    }

    /// The device of a path; where there is none, what the configuration calls it.
    fn device(&self, provider: &Provider, family: Family, uplink: &Uplink) -> Option<GivenDevice> {
        let found = Some(uplink.device.as_str()).filter(|device| !device.is_empty());
        let device = found.unwrap_or(&provider.device[family]);
        let device = GivenDevice::try_from(device).unwrap_or_default();
        Some(device).filter(|device| !device.is_empty())
    }

    /// The resolvers that the kernel has a rule for, which leads to this path.
    fn resolvers(&self, path: PathId) -> heapless::Vec<Option<IpAddr>, DNS_SHOWN_MAX> {
        let first = self.engine.config().globals.rule_pref + pref::RESOLVER;
        let of_path = (path.family, first + u32::from(path.slot.0), PROTOCOL);
        let mut resolvers = heapless::Vec::new();
        for rule in self.mirror.rules() {
            if let Selector::OwnTo(to) = rule.selector
                && (rule.family, rule.pref, rule.protocol) == of_path
            {
                let _ = resolvers.push(Some(to.address().into())); // those that fit tell enough
            }
        }
        resolvers
    }

    /// Why a path is in its state, apart from its rounds.
    pub(super) fn reason(&self, path: &Path) -> Reason {
        let other = match (path.waiting(), path.duty()) {
            (Some(Waiting::DeviceTaken(by)), _) => self.id(Some(by)),
            (_, Duty::Frozen) => self.pinned(),
            _ => None,
        };
        Reason {
            waiting: path.waiting(),
            duty: path.duty(),
            unchecked: path.unchecked(),
            other: other.cloned(),
            refused: self.refused_in_main(path),
            dropped: self.dropped_at(path),
        }
    }

    /// The device at which answers to a path's probes arrive that do not reach us.
    fn dropped_at(&self, path: &Path) -> Option<DeviceName> {
        let uplink = self.uplink(path.id).filter(|_| path.is_cut_off())?;
        Some(uplink.device.clone())
    }

    /// The metric of a default route in `main` that refuses the probes of an offline path.
    fn refused_in_main(&self, path: &Path) -> Option<Metric> {
        let (metric, effect) = self.error_effect(path.id.family)?;
        let refuses = matches!(effect, ErrorEffect::Obeyed | ErrorEffect::Spared);
        (path.state() == State::Offline && refuses).then_some(metric)
    }

    fn check(&self, rounds: &Rounds, window: u8, number: u8, check: &Check) -> snapshot::Check {
        let facts = rounds.facts(number);
        let past = |at: Instant| (at != Instant::ZERO).then(|| self.ms_since(at));
        snapshot::Check {
            name: check.name.clone(),
            kind: text(format_args!("{}", check.kind.name())),
            target: check.target.clone(),
            state: match facts.last {
                None => CheckState::Pending,
                Some(true) => CheckState::Ok,
                Some(false) => CheckState::Lost,
            },
            rtt_ms: (facts.rtt_us != 0).then(|| Decimal::new(facts.rtt_us)),
            loss_percent: percent(rounds.loss(window, CheckSet::of(number))),
            sent: facts.sent,
            received: facts.received,
            ok: facts.settled.ok,
            lost: facts.settled.lost,
            failing_s: past(facts.failing_since)
                .map(|ms| u32::try_from(ms / 1000).unwrap_or(u32::MAX)),
            required: check.required,
            fault: facts.fault,
            asked_ms: self.ms_since(facts.asked_at()),
            answered_ms: past(facts.answered_at),
            again_in_ms: (facts.next_at > self.now).then(|| self.ms_until(facts.next_at)),
        }
    }

    /// The wanted metric of the route through this uplink in the swap table.
    fn metric(&self, family: Family, uplink: &Uplink) -> Option<Metric> {
        let mut places = self.laid_out[family].places.iter();
        let place = places.find(|(device, _)| *device == uplink.index && uplink.index != 0);
        place.map(|(_, metric)| *metric)
    }

    /// Whether the kernel has that route.
    fn has(&self, family: Family, uplink: &Uplink, metric: Metric) -> bool {
        let table = self.engine.config().globals.table;
        let wanted = (table, everywhere(family), metric, uplink.index);
        let route = |r: &Route| (r.table, r.destination, r.metric, r.device);
        let mut ours = self
            .mirror
            .routes()
            .iter()
            .filter(|r| r.protocol == PROTOCOL);
        ours.any(|r| route(r) == wanted)
    }

    /// The metric of another program's default route that wins over the best of ours.
    pub(super) fn overridden(&self, family: Family) -> Option<Metric> {
        let (_, best) = self.laid_out[family].places.first()?;
        self.overridden_by(family, *best)
    }

    /// The metric of another program's default route that wins over ours of this metric.
    fn overridden_by(&self, family: Family, metric: Metric) -> Option<Metric> {
        let table = self.engine.config().globals.table;
        overridden_by(self.mirror.routes(), family, table, metric)
    }

    /// The index of the device by which traffic is said to leave: that of the provider that leads, of the manual default that
    /// prevails over it, or of what carries while no provider can; 0 while nothing is to leave.
    pub(super) fn leading_device(&self, family: Family) -> Option<u32> {
        if let Some(default) = self.manual[family] {
            return Some(default.index);
        }
        let of = |index| Some(index).filter(|index| *index != 0);
        match self.engine.lead_of(family) {
            Lead::By(slot) => of(self.uplink(PathId { slot, family })?.index),
            Lead::Unknown => None,
            Lead::NoRoute | Lead::Refused => match self.fallback_route(family) {
                Some(route) => of(route.device), // 0: several
                None => Some(0),
            },
        }
    }

    /// The table of a default route of another program that prevails over ours: traffic follows it, and another field of the
    /// status says so.
    pub(super) fn prevailing_table(&self, family: Family) -> Option<u32> {
        let table = self.engine.config().globals.table;
        match self.manual[family] {
            Some(_) => Some(TABLE_MAIN),
            None => self.overridden(family).map(|_| table),
        }
    }

    /// 0 for a time in the future.
    #[inline(never)] // for the size of the program
    pub(super) fn ms_since(&self, at: Instant) -> u64 {
        (self.now - at.min(self.now)).total_millis()
    }

    /// 0 for a time in the past.
    #[inline(never)] // for the size of the program
    fn ms_until(&self, at: Instant) -> u64 {
        let left: Duration = at - self.now.min(at);
        left.total_millis()
    }
}

fn percent((lost, of): (u32, u32)) -> Option<Decimal> {
    (lost * 1000)
        .checked_div(of)
        .map(|tenths| Decimal::new(tenths * 100))
}

#[cfg(test)]
mod properties;
