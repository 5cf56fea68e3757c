//! What a person should mend: found anew whenever something changed, logged when it is new, shown until it is mended.

use core::fmt;

use super::refusals::{Refusal, Refusals};
use super::{Daemon, Memory};
use crate::config::Provider;
use crate::engine::path::{Duty, Path};
use crate::limits::{ADDRESSES_MAX, LINKS_MAX, ROUTES_MAX, RULES_MAX, WARNINGS_MAX};
use crate::linux::probe::share::Room;
use crate::linux::sysctl;
use crate::routing::layout::{Taken, overridden_by};
use crate::routing::manual::{Manual, ManualDefault};
use crate::routing::mirror::Kinds;
use crate::routing::objects::{Change, Route};
use crate::routing::others::jumped_over;
use crate::routing::{mwan3, uplink};
use crate::text::text;
use crate::types::{Duration, Family, Fault, Instant, Name, PathId, TABLE_MAIN};
use crate::wire::control::{Cure, Text, Warning};

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

    pub(super) fn add(
        &mut self,
        code: &str,
        provider: Option<&Name>,
        what: fmt::Arguments<'_>,
        cure: Option<Cure>,
    ) {
        if self.all.len() < WARNINGS_MAX {
            let code = text(format_args!("{code}"));
            self.all.push(Warning {
                code,
                provider: provider.cloned(),
                text: text(what),
                cure,
            });
        }
    }
}

/// A cure that a sentence tells.
pub(super) fn advice(what: fmt::Arguments<'_>) -> Option<Cure> {
    Some(Cure {
        is_command: false,
        text: text(what),
    })
}

const TWO_MASTERS: &str = "mwan3 is at work too, and two cannot choose the way";
const LEAVE_IT: &str = "`/etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable` leaves it to failover; \
     `failover import-mwan3` makes a configuration of mwan3's";

/// What there may be too many of, how many of it can be watched, and what to do.
const OVERFLOWS: [(Kinds, &str, usize, &str); 4] = [
    (
        Kinds::ROUTES,
        "default routes",
        ROUTES_MAX,
        "delete those not needed, or, where routers advertise them, set `net.ipv6.conf.DEVICE.accept_ra_defrtr=0`",
    ),
    (
        Kinds::ADDRESSES,
        "addresses",
        ADDRESSES_MAX,
        "`ip -br address` lists them: delete those not needed",
    ),
    (
        Kinds::LINKS,
        "devices",
        LINKS_MAX,
        "`ip -br link` lists them: delete those not needed",
    ),
    (
        Kinds::RULES,
        "rules",
        RULES_MAX,
        "`ip rule` and `ip -6 rule` list them: delete those not needed",
    ),
];

impl Daemon<'_> {
    /// Finds the warnings that hold now, and logs those that did not before.
    pub(super) fn note_warnings(&mut self) {
        if !core::mem::take(&mut self.warnings_due) {
            return;
        }
        let known = core::mem::take(&mut self.warnings.all);
        for warning in self.warnings.config.clone() {
            self.warnings
                .add("config", None, format_args!("{warning}"), None);
        }
        if let Some(warning) = self.warnings.sticky.clone() {
            self.warnings
                .add("sticky-file", None, format_args!("{warning}"), None);
        }
        if mwan3::is_at_work(self.memory.mirror.rules()) {
            let (what, cure) = (format_args!("{TWO_MASTERS}"), format_args!("{LEAVE_IT}"));
            self.warnings.add("mwan3-running", None, what, advice(cure));
        }
        self.warn_of_overflow();
        for (room, _) in self.warnings.lacking.into_iter().flatten() {
            let what = format_args!(
                "probes are not asked, and count as neither good nor failed, for {room}"
            );
            self.warnings.add("no-room", None, what, None);
        }
        for family in Family::ALL {
            self.warn_of_family(family);
            self.warn_of_refused(family);
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
                Some(provider) => log::warn!("{provider}: {warning}"),
                None => log::warn!("{warning}"),
            }
        }
    }

    /// What the kernel has more of than can be watched.
    fn warn_of_overflow(&mut self) {
        let mirror = &self.memory.mirror;
        for (kinds, what, room, cure) in OVERFLOWS {
            if !mirror.lacks().has(kinds) {
                continue;
            }
            let missing = mirror.missing(kinds);
            let what = format_args!(
                "{missing} {what} cannot be watched: there is room for {room}, and the providers' come first"
            );
            let cure = advice(format_args!("{cure}"));
            self.warnings.add("overflow", None, what, cure);
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
                "an {family} route that is not ours has metric {metric} in table {table}: ours use the next ones"
            );
            let cure = advice(format_args!("`option start_metric` moves them away"));
            self.warnings.add("foreign-route", None, what, cure);
        }
        let table = config.globals.table;
        let over = |best| overridden_by(mirror.routes(), family, table, best);
        if let Some(metric) = laid_out.places.first().and_then(|(_, best)| over(*best)) {
            let cure = match table {
                TABLE_MAIN => "give it a higher metric, or set `option table '176'`",
                _ => "it was set by hand: delete it when it is no longer wanted",
            };
            let what = format_args!(
                "an {family} default route that is not ours wins over ours: metric {metric} in table {table}"
            );
            let cure = advice(format_args!("{cure}"));
            self.warnings.add("overridden", None, what, cure);
        }
        match &self.kernel[family].manual {
            Manual::Obeyed(_) => {}
            Manual::None => self.warn_of_rules(family),
            Manual::Doubted(default) => {
                let ManualDefault { device, metric } = default;
                let what = format_args!(
                    "the {family} default route by {device} (metric {metric} in main) is not obeyed, as it may be a \
                     management port's"
                );
                let cure =
                    format_args!("`option yield '1'` has it obeyed, `'0'` ends this warning");
                self.warnings
                    .add("foreign-default", None, what, advice(cure));
                self.warn_of_rules(family);
            }
        }
        let mirror = &self.memory.mirror;
        if family == Family::V6 && uplink::source_specific_defaults(mirror).next().is_some() {
            let what = format_args!(
                "there are IPv6 default routes for packets from one prefix only: hosts with addresses of one provider \
                 reach nothing by another"
            );
            let cure = advice(format_args!(
                "masquerade IPv6 or use NPTv6 (see docs/troubleshooting.md)"
            ));
            self.warnings.add("ipv6-source-foreign", None, what, cure);
        }
    }

    /// Rules of others without effect.
    fn warn_of_rules(&mut self, family: Family) {
        let Memory { core, mirror, .. } = &*self.memory;
        let goto = core.config().globals.catch_all;
        for rule in jumped_over(mirror.rules(), family, goto) {
            let pref = rule.pref;
            let what = format_args!(
                "an {family} rule that is not ours has preference {pref}, behind our {goto}: it has no effect"
            );
            let cure = format_args!("add it again with a preference below {goto}");
            self.warnings.add("rules-behind", None, what, advice(cure));
        }
    }

    /// What the kernel refuses over and over: each route and rule by its name.
    fn warn_of_refused(&mut self, family: Family) {
        let Memory {
            core,
            uplinks,
            refusals,
            ..
        } = &*self.memory;
        let refusals = &refusals[family];
        for refusal in refusals.confirmed().filter(|r| !is_told_of(r, refusals)) {
            let fault = refusal.fault;
            let (verb, route) = match &refusal.change {
                Change::SetRoute(route) => ("add", route),
                Change::DeleteRoute(route) => ("delete", route),
                Change::AddRule(rule) | Change::MoveRule(rule) | Change::DeleteRule(rule) => {
                    let (pref, cure) = (rule.pref, Advice(fault, None));
                    let what = format_args!("the kernel refuses {family} rule {pref}: {fault}");
                    let cure = advice(format_args!("{cure}"));
                    self.warnings.add("rule-refused", None, what, cure);
                    continue;
                }
            };
            let id = |slot| PathId { slot, family };
            let providers = core.config().enabled();
            let mut users = providers.filter_map(|provider| {
                let uplink = uplinks.get(id(provider.slot).index())?;
                (uplink.index == route.device).then_some((provider, uplink))
            });
            let (provider, device) = match users.next() {
                Some((provider, uplink)) => (Some(&provider.id), uplink.device.as_str()),
                None => (None, "?"),
            };
            let told = Told {
                verb,
                route,
                device,
            };
            let gateway = route.gateway.map(|_| device);
            let cure = advice(format_args!("{}", Advice(fault, gateway)));
            let what = format_args!("the kernel refuses {told}: {fault}");
            self.warnings.add("route-refused", provider, what, cure);
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

/// Whether the same is said of another default route by this way, which stands before it.
fn is_told_of(refusal: &Refusal, all: &Refusals) -> bool {
    let way = |refusal: &Refusal| match &refusal.change {
        Change::SetRoute(route) if route.destination.prefix_len() == 0 => {
            Some((route.device, route.gateway, refusal.fault))
        }
        _ => None,
    };
    let mut before = all
        .confirmed()
        .take_while(|other| other.change != refusal.change);
    way(refusal).is_some_and(|this| before.any(|other| way(other) == Some(this)))
}

/// As `ip route` has it: `add default via 192.0.2.255 dev eth1 metric 100 table 176`.
struct Told<'a> {
    verb: &'a str,
    route: &'a Route,
    device: &'a str,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told {
            verb,
            route,
            device,
        } = *self;
        match route.destination.prefix_len() {
            0 => write!(f, "`{verb} default")?,
            _ => write!(f, "`{verb} {}", route.destination)?,
        }
        if let Some(gateway) = route.gateway {
            write!(f, " via {gateway}")?;
        }
        let (metric, table) = (route.metric, route.table);
        write!(f, " dev {device} metric {metric} table {table}`")
    }
}

/// What to do about a refusal; with the device of a route that has a gateway.
struct Advice<'a>(Fault, Option<&'a str>);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Advice(Fault::InvalidArgument, Some(device)) => write!(
                f,
                "its gateway must be another host in the network of {device}, not the broadcast address nor one of ours"
            ),
            Advice(Fault::NetworkUnreachable | Fault::HostUnreachable, Some(device)) => {
                write!(f, "its gateway must be in a network of {device}")
            }
            Advice(Fault::NotPermitted, _) => f.write_str("run failover as root"),
            Advice(Fault::NotSupported, _) => f.write_str(
                "the kernel has no policy routing (CONFIG_IP_MULTIPLE_TABLES), or no IPv6",
            ),
            _ => f.write_str("try the same with `ip`, which may say more"),
        }
    }
}

/// A pinned provider that carries nothing is what its owner must hear of.
fn warn_of_pin(warnings: &mut Warnings, provider: &Provider, path: &Path) {
    if let (Duty::Pinned, Some(waiting)) = (path.duty, path.waiting) {
        let (id, family) = (&provider.id, path.id.family);
        let what = format_args!("pinned, but without use in {family}: {waiting}");
        let cure = advice(format_args!(
            "`failover use auto` lets the others take over"
        ));
        warnings.add("pinned-down", Some(id), what, cure);
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
    let cure = Some(Cure {
        is_command: true,
        text: text(format_args!("{cure}")),
    });
    if !told_apart {
        let what = format_args!(
            "strict rp_filter on {device} drops the replies to its probes while another provider leads"
        );
        warnings.add("rp-filter", Some(id), what, cure);
    } else if provider.mark.is_some() && sysctl::src_valid_mark(device) == Some(false) {
        let what = format_args!(
            "strict rp_filter on {device} drops the replies to hosts whose traffic is marked (unless replies are marked \
             again, and src_valid_mark is 1)"
        );
        warnings.add("src-valid-mark", Some(id), what, cure);
    }
}
