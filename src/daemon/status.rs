//! The observable snapshot: core and kernel → the frames of a status.

use core::net::IpAddr;

use super::explain;
use super::routes::LaidOut;
use crate::config::{Check, Provider};
use crate::engine::journal::Entry;
use crate::engine::path::{Duty, Path, State};
use crate::engine::rounds::Rounds;
use crate::engine::{Engine, HeldBack};
use crate::limits::WARNINGS_MAX;
use crate::routing::layout::{everywhere, overridden_by};
use crate::routing::mirror::Mirror;
use crate::routing::objects::Route;
use crate::routing::uplink::Uplink;
use crate::text::text;
use crate::types::{
    CheckSet, Duration, Family, Instant, Metric, Name, PROTOCOL, PathId, PerFamily, Slot, Waiting,
};
use crate::wire::control::{
    self, Active, Counters, Header, OverriddenBy, Reply, Request, Target, Warning,
};
use crate::wire::decimal::Decimal;

/// All that a status tells of.
pub(super) struct View<'a> {
    pub(super) core: &'a Engine,
    pub(super) mirror: &'a Mirror,
    pub(super) uplinks: &'a [Uplink],
    pub(super) laid_out: &'a PerFamily<LaidOut>,
    pub(super) warnings: &'a [Warning],
    pub(super) counters: &'a Counters,
    pub(super) overridden_by: OverriddenBy,
    pub(super) started_at: Instant,
    pub(super) now: Instant,
}

impl View<'_> {
    /// The next frame of an answer; none when all is said. Much may change between two of them, so each thing has a place
    /// of its own in the count of `at`, whatever there is of others: what belongs together stays together.
    pub(super) fn answer(&self, request: &Request, at: &mut u32) -> Option<Reply> {
        match request {
            Request::Status => self.status(at),
            Request::Explain(id) => explain::sentence(self, id.as_ref(), at).map(Reply::Note),
            Request::Log => self.next_entry(at),
            _ => None,
        }
    }

    /// The journal's entries have the places at which they were written, plus one.
    fn next_entry(&self, at: &mut u32) -> Option<Reply> {
        let journal = self.core.journal();
        *at = (*at).max(journal.oldest());
        let entry = journal.since(*at).next()?;
        *at += 1;
        Some(Reply::Entry(self.entry(entry)))
    }

    fn entry(&self, entry: &Entry) -> control::Entry {
        control::Entry {
            ago_ms: (self.now - entry.at).total_millis(),
            who: entry.who.clone(),
            kind: entry.kind,
            cause: entry.cause.clone(),
        }
    }

    /// A header, then room for all warnings that there can be, then for each provider and its paths.
    fn status(&self, at: &mut u32) -> Option<Reply> {
        loop {
            let place = usize::try_from(*at).ok()?;
            *at += 1;
            let Some(place) = place.checked_sub(1) else {
                return Some(Reply::Header(self.header()));
            };
            let Some(place) = place.checked_sub(WARNINGS_MAX) else {
                match self.warnings.get(place) {
                    Some(warning) => return Some(Reply::Warning(warning.clone())),
                    None => continue,
                }
            };
            let parts = 1 + Family::ALL.len();
            let provider = self.core.config().providers.get(place / parts)?;
            let Some(family) = (place % parts).checked_sub(1) else {
                return Some(Reply::Provider(self.provider(provider)));
            };
            let (slot, family) = (provider.slot, Family::ALL[family]);
            if let Some(path) = self.core.path(PathId { slot, family }) {
                return Some(Reply::Path(self.path(provider, path)));
            }
        }
    }

    fn paths(&self, provider: &Provider) -> impl Iterator<Item = &Path> {
        let slot = provider.slot;
        let ids = Family::ALL.map(|family| PathId { slot, family });
        ids.into_iter().filter_map(|id| self.core.path(id))
    }

    fn header(&self) -> Header {
        let leader = |family| self.id(self.core.carrier(family));
        Header {
            version: text(format_args!("{}", env!("CARGO_PKG_VERSION"))),
            uptime_s: seconds(self.now - self.started_at),
            pinned: self.id(self.core.pinned()),
            table: self.core.config().globals.table,
            active: Active {
                ipv4: leader(Family::V4),
                ipv6: leader(Family::V6),
            },
            overridden_by: self.overridden_by.clone(),
            counters: self.counters(),
        }
    }

    fn id(&self, slot: Option<Slot>) -> Option<Name> {
        let provider = self.core.config().at(slot?);
        provider.map(|provider| provider.id.clone())
    }

    fn counters(&self) -> Counters {
        let mirror = self.mirror.counters;
        Counters {
            swaps: self.core.swaps(),
            overruns: mirror.overruns,
            undecodable: mirror.undecodable,
            overflows: mirror.overflows,
            ..*self.counters
        }
    }

    fn provider(&self, provider: &Provider) -> control::ProviderHead {
        let disabled = self.core.is_disabled(provider.slot);
        let state = if self.core.pinned() == Some(provider.slot) {
            text(format_args!("pinned"))
        } else if disabled || !provider.enabled {
            text(format_args!("disabled"))
        } else {
            text(format_args!(
                "{}",
                self.paths(provider)
                    .map(Path::state)
                    .min()
                    .unwrap_or(State::Waiting)
            ))
        };
        control::ProviderHead {
            id: provider.id.clone(),
            rank: provider.rank,
            state,
            disabled,
        }
    }

    fn path(&self, provider: &Provider, path: &Path) -> control::Path {
        let (window, family) = (provider.timing.window, path.id.family);
        let unknown = Uplink::default();
        let uplink = self.uplinks.get(path.id.index()).unwrap_or(&unknown);
        let metric = self.metric(family, uplink);
        let installed = metric.is_some_and(|metric| self.has(family, uplink, metric));
        let (good, failed) = path.rounds.verdicts(window);
        let checks = (0_u8..).zip(self.core.config().path_checks(provider, family));
        let held_back = self.core.held_back(path);
        let holder = self.core.carrier(family).filter(|_| held_back.is_some());
        control::Path {
            family,
            device: Some(uplink.device.clone()).filter(|device| !device.is_empty()),
            state: text(format_args!("{}", path.state())),
            reason: reason(self.core, path),
            since_s: seconds(self.now - path.since),
            address: uplink.address.map(shown),
            gateway: uplink.gateway.map(shown),
            metric: metric.map(|Metric(metric)| metric),
            installed,
            overridden_by: metric
                .and_then(|metric| self.overridden_by(family, metric))
                .map(|Metric(metric)| metric),
            held_back_by: self.id(holder),
            takes_over_in_ms: match held_back {
                Some(HeldBack::Until(at)) => Some((at - self.now.min(at)).total_millis()),
                _ => None,
            },
            rounds: control::Rounds {
                good,
                failed,
                streak: path.rounds.streak(),
            },
            loss_percent: percent(path.loss(window)),
            rtt_ms: rtt(&path.rounds, window),
            checks: checks
                .map(|(number, check)| self.check(&path.rounds, window, number, check))
                .collect(),
        }
    }

    fn check(&self, rounds: &Rounds, window: u8, number: u8, check: &Check) -> control::Check {
        let facts = rounds.facts(number);
        let state = match facts.last {
            None => "pending",
            Some(true) => "ok",
            Some(false) => "lost",
        };
        let failing =
            (facts.failing_since != Instant::ZERO).then(|| self.now - facts.failing_since);
        control::Check {
            name: check.name.clone(),
            kind: text(format_args!("{}", check.kind.name())),
            target: check.target.clone(),
            state: text(format_args!("{state}")),
            rtt_ms: (facts.rtt_us != 0).then(|| Decimal::new(facts.rtt_us)),
            loss_percent: percent(rounds.loss(window, CheckSet::of(number))),
            sent: facts.sent,
            received: facts.received,
            failing_s: failing.map(|time| u32::try_from(seconds(time)).unwrap_or(u32::MAX)),
        }
    }

    /// The metric that the route through this uplink shall have in the swap table.
    fn metric(&self, family: Family, uplink: &Uplink) -> Option<Metric> {
        let mut places = self.laid_out[family].places.iter();
        let place = places.find(|(device, _)| *device == uplink.index && uplink.index != 0);
        place.map(|(_, metric)| *metric)
    }

    /// Whether the kernel has that route.
    fn has(&self, family: Family, uplink: &Uplink, metric: Metric) -> bool {
        let table = self.core.config().globals.table;
        let wanted = (table, everywhere(family), metric, uplink.index);
        let route = |r: &Route| (r.table, r.destination, r.metric, r.device);
        let mut ours = self
            .mirror
            .routes()
            .iter()
            .filter(|r| r.protocol == PROTOCOL);
        ours.any(|r| route(r) == wanted)
    }

    /// The metric of somebody else's default route that wins over a path's.
    pub(super) fn overridden(&self, path: &Path) -> Option<Metric> {
        let metric = self.metric(path.id.family, self.uplinks.get(path.id.index())?)?;
        self.overridden_by(path.id.family, metric)
    }

    /// The metric of somebody else's default route that wins over ours.
    fn overridden_by(&self, family: Family, metric: Metric) -> Option<Metric> {
        overridden_by(
            self.mirror.routes(),
            family,
            self.core.config().globals.table,
            metric,
        )
    }
}

/// Why a path is in its state, when there is more to say than the state does.
fn reason<const N: usize>(core: &Engine, path: &Path) -> Option<heapless::String<N>> {
    Some(match (path.waiting, path.duty) {
        (Some(Waiting::DeviceTaken(by)), _) => {
            let by = core
                .config()
                .at(by)
                .map_or("another provider", |p| p.id.as_str());
            text(format_args!("device taken by {by}"))
        }
        (Some(waiting), _) => text(format_args!("{waiting}")),
        (None, Duty::Pinned) => text(format_args!("pinned: not checked")),
        (None, Duty::Frozen) => {
            let pinned = core.pinned().and_then(|slot| core.config().at(slot));
            text(format_args!(
                "{} is pinned",
                pinned.map_or("another", |p| p.id.as_str())
            ))
        }
        (None, Duty::Checked) if path.unchecked() => text(format_args!("unchecked")),
        (None, Duty::Checked) => return None,
    })
}

fn rtt(rounds: &Rounds, window: u8) -> control::Rtt {
    let Some(rtt) = rounds.rtt(window) else {
        return control::Rtt::default();
    };
    let ms = |micros| Some(Decimal::new(micros));
    control::Rtt {
        last: ms(rtt.last),
        avg: ms(rtt.avg),
        stddev: ms(rtt.stddev),
        min: ms(rtt.min),
        max: ms(rtt.max),
    }
}

fn shown(address: IpAddr) -> Target {
    text(format_args!("{address}"))
}

/// To the tenth.
fn percent((lost, of): (u32, u32)) -> Option<Decimal> {
    (lost * 1000)
        .checked_div(of)
        .map(|tenths| Decimal::new(tenths * 100))
}

/// Whole seconds.
pub(super) fn seconds(duration: Duration) -> u64 {
    duration.total_micros() / 1_000_000
}
