//! What a person should mend: found anew whenever something changed, logged when it is new, shown until it is mended.

use core::fmt;

use super::{Daemon, Memory};
use crate::config::{Name, PathId, Provider, TABLE_MAIN, WARNINGS_MAX};
use crate::failover::path::{Duty, Path};
use crate::linux::layout::{Taken, overridden_by};
use crate::linux::share::Room;
use crate::linux::{mwan3, sysctl, uplink};
use crate::net::{Duration, Family, Instant};
use crate::text::text;
use crate::wire::control::{Text, Warning};

/// The warnings that hold now.
pub(super) struct Warnings {
    all: Vec<Warning>,
    /// Of the configuration's loading.
    pub(super) config: Vec<Text>,
    /// What is wrong with the sticky file's content.
    pub(super) sticky: Option<Text>,
    /// What there was no room for when probes were to be sent, and until when that is told.
    lacking: [Option<(Room, Instant)>; 3],
}

/// So long after the last probe that there was no room for, a warning tells of that.
const LACK_SHOWN: Duration = Duration::from_secs(60);

impl Warnings {
    /// None yet but those of the configuration's loading.
    pub(super) fn new(config: Vec<Text>) -> Warnings {
        Warnings {
            all: Vec::new(),
            config,
            sticky: None,
            lacking: [None; 3],
        }
    }

    /// There was no room for a probe: whether that is news.
    pub(super) fn lacks(&mut self, room: Room, now: Instant) -> bool {
        let place = self.lacking.get_mut(room as usize);
        place.is_some_and(|place| place.replace((room, now + LACK_SHOWN)).is_none())
    }

    /// When a warning is told no more.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let lacking = self.lacking.iter().flatten();
        lacking.map(|(_, until)| *until).min()
    }

    /// Whether there are warnings that are told no more.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let lacking = self.lacking.iter_mut();
        lacking.fold(false, |expired, place| {
            let is_over = |(_, until): &mut (Room, Instant)| *until <= now;
            expired | place.take_if(is_over).is_some()
        })
    }

    pub(super) fn all(&self) -> &[Warning] {
        &self.all
    }

    pub(super) fn add(&mut self, code: &str, provider: Option<&Name>, what: fmt::Arguments<'_>) {
        if self.all.len() < WARNINGS_MAX {
            let code = text(format_args!("{code}"));
            self.all.push(Warning {
                code,
                provider: provider.cloned(),
                text: text(what),
            });
        }
    }
}

const TWO_MASTERS: &str = "mwan3 is at work too, and two cannot choose the way: \
     `/etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable` leaves it to failover; \
     `failover import-mwan3` makes a configuration of mwan3's";

impl Daemon<'_> {
    /// Finds the warnings that hold now, and logs those that did not before.
    pub(super) fn note_warnings(&mut self) {
        if !core::mem::take(&mut self.warnings_due) {
            return;
        }
        let known = core::mem::take(&mut self.warnings.all);
        for warning in self.warnings.config.clone() {
            self.warnings.add("config", None, format_args!("{warning}"));
        }
        if let Some(warning) = self.warnings.sticky.clone() {
            self.warnings
                .add("sticky-file", None, format_args!("{warning}"));
        }
        if mwan3::is_at_work(self.memory.mirror.rules()) {
            self.warnings
                .add("mwan3-running", None, format_args!("{TWO_MASTERS}"));
        }
        for (room, _) in self.warnings.lacking.into_iter().flatten() {
            let what = format_args!(
                "probes are not asked, and count as neither good nor failed, for {room}"
            );
            self.warnings.add("no-room", None, what);
        }
        for family in Family::ALL {
            self.warn_of_family(family);
        }
        self.warn_of_interfaces();
        let Memory { core, .. } = &*self.memory;
        for path in core.paths() {
            let Some(provider) = core.config().at(path.id.slot) else {
                continue;
            };
            let uplink = self.memory.uplinks.get(path.id.index());
            warn_of_pin(&mut self.warnings, provider, path);
            if let (Family::V4, Some(uplink)) =
                (path.id.family, uplink.filter(|uplink| uplink.index != 0))
            {
                let told_apart =
                    self.memory.tables.of(path.id.slot).is_some() && !self.shares_address(path.id);
                warn_of_filter(&mut self.warnings, provider, &uplink.device, told_apart);
            }
        }
        for warning in self
            .warnings
            .all
            .iter()
            .filter(|warning| !known.contains(warning))
        {
            match &warning.provider {
                Some(provider) => log::warn!("{provider}: {}", warning.text),
                None => log::warn!("{}", warning.text),
            }
        }
    }

    fn warn_of_family(&mut self, family: Family) {
        let Memory {
            core,
            mirror,
            laid_out,
            ..
        } = &*self.memory;
        let laid_out = &laid_out[family];
        let config = core.config();
        if !config.manages(family) {
            return;
        }
        for Taken { table, metric } in &laid_out.taken {
            let what = format_args!(
                "an {family} route that is not ours has metric {metric} in table {table}: ours use the next ones; \
                 `option start_metric` moves them away"
            );
            self.warnings.add("foreign-route", None, what);
        }
        let table = config.globals.table;
        let over = |best| overridden_by(mirror.routes(), family, table, best);
        if let Some(metric) = laid_out.places.first().and_then(|(_, best)| over(*best)) {
            let cure = match table {
                TABLE_MAIN => "give it a higher metric, or set `option table '176'`",
                _ => "it was set by hand: delete it when it is no longer wanted",
            };
            let what = format_args!(
                "an {family} default route that is not ours wins over ours: metric {metric} in table {table}; {cure}"
            );
            self.warnings.add("overridden", None, what);
        }
        if family == Family::V6 && uplink::source_specific_defaults(mirror).next().is_some() {
            let what = format_args!(
                "there are IPv6 default routes for packets from one prefix only: hosts with addresses of one provider \
                 reach nothing by another; masquerade IPv6 or use NPTv6 (see README)"
            );
            self.warnings.add("ipv6-source-foreign", None, what);
        }
    }

    /// Whether another path has the same own address, so that no `from` rule can tell them apart.
    fn shares_address(&self, path: PathId) -> bool {
        let uplinks = &self.memory.uplinks;
        let own = uplinks.get(path.index()).and_then(|uplink| uplink.address);
        let with_own = uplinks
            .iter()
            .filter(|uplink| own.is_some() && uplink.address == own);
        with_own.count() > 1
    }
}

/// A pinned provider that carries nothing is what its owner must hear of.
fn warn_of_pin(warnings: &mut Warnings, provider: &Provider, path: &Path) {
    if let (Duty::Pinned, Some(waiting)) = (path.duty, path.waiting) {
        let (id, family) = (&provider.id, path.id.family);
        let what = format_args!(
            "pinned, but without use in {family}: {waiting}; `failover use auto` lets the others take over"
        );
        warnings.add("pinned-down", Some(id), what);
    }
}

/// Strict reverse path filtering drops replies on a device that the routes do not favour, unless a `from` rule tells
/// the way back.
fn warn_of_filter(warnings: &mut Warnings, provider: &Provider, device: &str, told_apart: bool) {
    if sysctl::rp_filter(device) != Some(1) {
        return;
    }
    let id = &provider.id;
    let cure = sysctl::Cure {
        device,
        option: "rp_filter",
        value: 2,
    };
    if !told_apart {
        let what = format_args!(
            "strict rp_filter on {device} drops the replies to its probes; cure: {cure}"
        );
        warnings.add("rp-filter", Some(id), what);
    } else if provider.mark.is_some() && sysctl::src_valid_mark(device) == Some(false) {
        let what = format_args!(
            "strict rp_filter on {device} drops the replies to hosts whose traffic is marked (unless replies are marked \
             again, and src_valid_mark is 1); cure: {cure}"
        );
        warnings.add("src-valid-mark", Some(id), what);
    }
}
