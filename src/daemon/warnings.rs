//! Warnings: found anew at each change, logged when they are new, shown until their cause is gone.

use core::fmt::{self, Write};

use super::asking::Asking;
use super::firewall::Firewall;
use super::flux::{self, Strayed};
use super::last_good::LastGood;
use super::netifd::NetifdWatch;
use super::pin::Pin;
use super::probing::Probing;
use super::reload::FileProblems;
use super::routes::{Refusal, Refusals, RouteSync};
use super::snapshot::Snapshot;
use crate::check::Way;
use crate::config::{Config, Provider};
use crate::engine::path::Path;
use crate::limits::{
    ADDRESSES_MAX, FLAP_WINDOW, LEADING_MAX, PATH_SOURCES_MAX, PREFIXES_MAX, RESOLVERS_MAX,
    ROUTES_MAX, RULES_MAX, WARNINGS_MAX,
};
use crate::linux::log;
use crate::routing::delegated::strands_hosts;
use crate::routing::layout::{ErrorEffect, Taken};
use crate::routing::manual::{Manual, ManualDefault};
use crate::routing::mirror::Kinds;
use crate::routing::mwan3;
use crate::routing::objects::{Change, Extras, Route};
use crate::routing::others::jumped_over;
use crate::text::fill;
use crate::types::{Duty, Family, Fault, Instant, Name, PathId, TABLE_MAIN};
use crate::wire::control::{Cure, Warning};

/// The warnings that hold now.
#[derive(Default)]
pub(super) struct Warnings {
    all: Vec<Standing>,
    /// How many there was no room for.
    left_out: usize,
    /// Those that are gone for a few seconds, by [`fingerprint`], and since when.
    gone: Vec<(u32, Instant)>,
}

/// A warning, and since when it holds.
pub(super) struct Standing {
    pub(super) warning: Warning,
    pub(super) since: Instant,
}

impl Standing {
    /// Whether another warning is about the same. The number that a text begins with may change.
    fn is_about(&self, other: &Warning) -> bool {
        let this = &self.warning;
        this.code == other.code
            && this.provider == other.provider
            && without_number(&this.text) == without_number(&other.text)
    }
}

fn without_number(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

/// The data that warnings are derived from.
pub(super) struct Sources<'a> {
    pub(super) snapshot: Snapshot<'a>,
    pub(super) routes: &'a RouteSync<'a>,
    pub(super) asking: &'a Asking,
    pub(super) probing: &'a Probing<'a>,
    pub(super) netifd: &'a NetifdWatch<'a>,
    pub(super) file: &'a FileProblems,
    pub(super) pin: &'a Pin,
    pub(super) last_good: &'a LastGood,
    pub(super) firewall: &'a Firewall<'a>,
    pub(super) strayed: Strayed,
}

impl Warnings {
    pub(super) fn all(&self) -> &[Standing] {
        &self.all
    }

    /// Adds a warning, if there is room, with a sentence that says what to do.
    pub(super) fn add(
        &mut self,
        code: &str,
        provider: Option<&Name>,
        what: fmt::Arguments<'_>,
        cure: fmt::Arguments<'_>,
    ) -> Option<&mut Warning> {
        if self.all.len() >= WARNINGS_MAX {
            self.left_out += 1;
            return None;
        }
        self.all.push(Standing {
            warning: Warning::default(),
            since: Instant::ZERO,
        });
        let warning = &mut self.all.last_mut()?.warning;
        fill(&mut warning.code, format_args!("{code}"));
        warning.provider = provider.cloned();
        fill(&mut warning.text, what);
        fill(&mut warning.cure.insert(Cure::default()).text, cure);
        Some(warning)
    }

    /// Adds a warning with a command that ends it.
    pub(super) fn add_with_command(
        &mut self,
        code: &str,
        provider: &Name,
        what: fmt::Arguments<'_>,
        cure: fmt::Arguments<'_>,
    ) {
        let warning = self.add(code, Some(provider), what, cure);
        if let Some(cure) = warning.and_then(|warning| warning.cure.as_mut()) {
            cure.is_command = true;
        }
    }
}

/// A number that hardly any other warning has.
fn fingerprint(warning: &Warning) -> u32 {
    let provider = warning.provider.as_deref().unwrap_or_default();
    let bytes = provider
        .bytes()
        .chain(without_number(&warning.text).bytes());
    // FNV-1a
    bytes.fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

const TWO_MASTERS: &str = "mwan3 is at work too, and two cannot choose the way";
const LEAVE_IT: &str = "`/etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable` leaves it to failover; \
     `failover import-mwan3` makes a configuration of mwan3's";

/// Preferences that a warning names.
const BEHIND_NAMED: usize = 3;

/// The kinds of kernel objects of which there may be too many: how many can be watched, and what to do. There is room for
/// all devices.
const OVERFLOWS: [(Kinds, &str, usize, &str); 3] = [
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
        Kinds::RULES,
        "rules",
        RULES_MAX,
        "`ip rule` and `ip -6 rule` list them: delete those not needed",
    ),
];

impl Warnings {
    /// Finds the warnings that hold now, and logs the new ones.
    pub(super) fn find(&mut self, sources: &Sources<'_>) {
        let known = core::mem::take(&mut self.all);
        let Sources {
            snapshot,
            routes,
            asking,
            probing,
            netifd,
            file,
            pin,
            last_good,
            firewall,
            strayed,
        } = *sources;
        self.warn_of_files(file, pin, last_good);
        if mwan3::is_at_work(routes.mirror.rules()) {
            let (what, cure) = (format_args!("{TWO_MASTERS}"), format_args!("{LEAVE_IT}"));
            self.add("mwan3-running", None, what, cure);
        }
        self.warn_of_overflow(routes);
        for room in probing.lacking() {
            let what = format_args!(
                "probes are not asked, and count as neither good nor failed, for {room}"
            );
            let cure = format_args!("{}", room.cure());
            self.add("no-room", None, what, cure);
        }
        self.warn_of_own_targets(snapshot.engine.config(), routes.own_targets);
        // First those of few: another program's rules may be many.
        firewall.warn(self);
        let keeps_connections = firewall.is_in_force(Family::V4);
        asking.warn(&snapshot, netifd.interfaces, keeps_connections, self);
        flux::warn(&snapshot, strayed, self);
        for &family in &Family::ALL {
            self.warn_of_family(family, &snapshot);
            self.warn_of_neighbours(family, &snapshot, routes.manual(family));
            self.warn_of_refused(family, &snapshot, routes);
        }
        self.warn_of_prefixes(snapshot.engine.config(), routes.delegated().crowded);
        self.warn_of_stranded(&snapshot, firewall.masquerades());
        netifd.warn(snapshot.engine.config(), self);
        for path in snapshot.engine.paths() {
            if let Some(provider) = snapshot.engine.config().at(path.id.slot) {
                self.warn_of_pin(provider, path);
                self.warn_of_extras(provider, path.id, &snapshot);
            }
        }
        self.warn_of_more();
        self.date(&known, snapshot.now);
    }

    /// Says in the place of the last warning how many there was no room for.
    fn warn_of_more(&mut self) {
        let left_out = core::mem::take(&mut self.left_out);
        if left_out > 0 {
            self.all.pop();
            let more = left_out + 1;
            let what = format_args!(
                "{more} more warnings are not shown: there is room for {WARNINGS_MAX}"
            );
            self.add(
                "overflow",
                None,
                what,
                format_args!("end the causes of the others"),
            );
        }
    }

    /// Takes from the known warnings since when each holds, and logs the new ones: not one that was gone for a few seconds.
    fn date(&mut self, known: &[Standing], now: Instant) {
        self.forget_gone(known, now);
        for Standing { warning, since } in &mut self.all {
            let known = known.iter().find(|known| known.is_about(warning));
            *since = known.map_or(now, |known| known.since);
            let this = fingerprint(warning);
            let is_back = self.gone.iter().any(|(gone, _)| *gone == this);
            // What is refused was logged then.
            if known.is_none() && !is_back && warning.code != "config-refused" {
                let provider = warning.provider.as_deref().unwrap_or_default();
                let colon = if provider.is_empty() { "" } else { ": " };
                log::warn(format_args!("{provider}{colon}{warning}"));
            }
        }
    }

    /// Keeps what of those that were known is gone, for the time in which its return is no news.
    fn forget_gone(&mut self, known: &[Standing], now: Instant) {
        self.gone.retain(|(_, at)| now < *at + FLAP_WINDOW);
        for old in known {
            let holds = self.all.iter().any(|new| old.is_about(&new.warning));
            if !holds && self.gone.len() < WARNINGS_MAX {
                self.gone.push((fingerprint(&old.warning), now));
            }
        }
    }

    /// Warns of what is wrong with the files: the configuration that was refused, the one in force, the pin's, the copy.
    fn warn_of_files(&mut self, file: &FileProblems, pin: &Pin, last_good: &LastGood) {
        let correct = "correct it, then `failover check` and `failover reload`";
        self.warn_of_each("config-refused", file.copy.as_slice(), correct);
        self.warn_of_each("config-refused", &file.refused, correct);
        let correct = "correct that line, then `failover reload`";
        self.warn_of_each("config", &file.warnings, correct);
        let write = "write the id of a provider into it, or delete it";
        self.warn_of_each("sticky-file", pin.problem.as_slice(), write);
        let reload = "then `failover reload`: until it is written, a start with a bad file cannot run the present configuration";
        self.warn_of_each("last-good", last_good.problem.as_slice(), reload);
    }

    /// Warns of each of these problems.
    fn warn_of_each(&mut self, code: &str, problems: &[String], cure: &str) {
        for problem in problems {
            let (what, cure) = (format_args!("{problem}"), format_args!("{cure}"));
            self.add(code, None, what, cure);
        }
    }

    /// Warns of kinds of which the kernel has more than can be watched.
    fn warn_of_overflow(&mut self, routes: &RouteSync<'_>) {
        let mirror = &routes.mirror;
        for (kinds, what, room, cure) in &OVERFLOWS {
            if !mirror.lacks().has(*kinds) {
                continue;
            }
            // Events tell of what is gone more surely than of what there is.
            let missing = mirror.missing(*kinds).max(1);
            let what = format_args!(
                "{missing} {what} cannot be watched: there is room for {room}, and the providers' come first"
            );
            let cure = format_args!("{cure}");
            self.add("overflow", None, what, cure);
        }
        let unwatched = mirror.unwatched();
        if unwatched > 0 {
            let what = format_args!(
                "{unwatched} default routes lead by devices that cannot be watched: there is room for {LEADING_MAX} that \
                 are no provider's"
            );
            let cure = format_args!("{}", OVERFLOWS[0].3);
            self.add("overflow", None, what, cure);
        }
        if routes.resolvers.is_crowded {
            let what = format_args!(
                "there is room for {RESOLVERS_MAX} resolvers: others are asked through the leader"
            );
            let cure = format_args!("name those in use by `list dns`");
            self.add("overflow", None, what, cure);
        }
    }

    /// Warns of attributes of a learned default route that are not copied.
    fn warn_of_extras(&mut self, provider: &Provider, id: PathId, snapshot: &Snapshot<'_>) {
        let uplink = snapshot.uplink(id);
        if uplink.is_some_and(|uplink| uplink.extras.number == Extras::LEFT_OUT) {
            let what = format_args!(
                "the metrics of its {} default route are more than there is room for: ours go without",
                id.family
            );
            let cure = format_args!("give the route fewer (`mtu`, `advmss` and the like)");
            self.add("overflow", Some(&provider.id), what, cure);
        }
    }

    /// Warns of a pinned provider that carries no traffic.
    fn warn_of_pin(&mut self, provider: &Provider, path: &Path) {
        if let (Duty::Pinned, Some(waiting)) = (path.duty(), path.waiting()) {
            let family = path.id.family;
            let what = format_args!("pinned, but without use in {family}: {waiting}");
            let cure = format_args!("`failover use auto` lets the others take over");
            self.add("pinned-down", Some(&provider.id), what, cure);
        }
    }

    /// Warns of checks that would ask this router itself.
    fn warn_of_own_targets(&mut self, config: &Config, own: u32) {
        for (number, check) in (0..).zip(&config.checks) {
            let host = check.asked().filter(|_| own & (1_u32 << number) != 0);
            let Some(host) = host else { continue };
            let so = match check.kind.way() {
                Way::Link(_) => "",
                _ => ": it is not made, and its probes count as lost",
            };
            let name = &check.name;
            let what =
                format_args!("{host}, which check {name} asks, is an address of this router{so}");
            let cure = format_args!("let it ask a host behind the providers");
            self.add("own-target", None, what, cure);
        }
    }

    fn warn_of_family(&mut self, family: Family, snapshot: &Snapshot<'_>) {
        let config = snapshot.engine.config();
        if !config.manages(family) {
            return;
        }
        for Taken { table, metric } in &snapshot.laid_out[family].taken {
            let what = format_args!(
                "an {family} route that is not ours has metric {metric} in table {table}: ours use the next ones"
            );
            let cure = format_args!("`option start_metric` moves them away");
            self.add("foreign-route", None, what, cure);
        }
        let table = config.globals.table;
        if let Some(metric) = snapshot.overridden(family) {
            let what = format_args!(
                "an {family} default route that is not ours wins over ours: metric {metric} in table {table}"
            );
            let ip = match family {
                Family::V4 => "ip -4",
                Family::V6 => "ip -6",
            };
            let cure = match table {
                TABLE_MAIN => format_args!("give it a higher metric, or set `option table '176'`"),
                _ => format_args!(
                    "it was set by hand: `{ip} route del default table {table} metric {metric}` deletes it"
                ),
            };
            self.add("overridden", None, what, cure);
        }
        self.warn_of_sources(family, config, snapshot.laid_out[family].crowded);
        self.warn_of_error_route(family, snapshot);
    }

    /// Warns of hosts that reach nothing by another provider than that of their addresses. `masquerades`: whether our table is
    /// in force and translates what they send.
    fn warn_of_stranded(&mut self, snapshot: &Snapshot<'_>, masquerades: bool) {
        let config = snapshot.engine.config();
        if config.manages(Family::V6) && strands_hosts(config, snapshot.mirror, masquerades) {
            let what = format_args!(
                "there are IPv6 default routes for packets from one prefix only: hosts with addresses of one provider \
                 reach nothing by another"
            );
            let cure = format_args!(
                "masquerade IPv6 or use NPTv6 (see docs/troubleshooting.md): the warning stays as long as these routes do"
            );
            self.add("ipv6-source-foreign", None, what, cure);
        }
    }

    /// Warns of providers with more delegated prefixes than there is room for.
    fn warn_of_prefixes(&mut self, config: &Config, crowded: u64) {
        let what = format_args!(
            "there is room for {PREFIXES_MAX} delegated IPv6 prefixes of a provider: \
             hosts with addresses of further ones leave by the leader"
        );
        let cure = format_args!("name those in use by `list prefix`");
        self.warn_of_crowd(config, crowded, what, cure);
    }

    /// Warns of paths with more networks and addresses than rules for what the router sends from there.
    fn warn_of_sources(&mut self, family: Family, config: &Config, crowded: u64) {
        let what = format_args!(
            "there is room for {PATH_SOURCES_MAX} {family} networks and addresses of a provider: \
             replies from further ones leave by the leader"
        );
        let cure = format_args!("`ip -br address` lists them: delete those not needed");
        self.warn_of_crowd(config, crowded, what, cure);
    }

    /// Warns of each provider, bit by bit, that has more of something than there is room for.
    fn warn_of_crowd(
        &mut self,
        config: &Config,
        crowded: u64,
        what: fmt::Arguments<'_>,
        cure: fmt::Arguments<'_>,
    ) {
        for provider in config.enabled() {
            if crowded & provider.slot.bit() != 0 {
                self.add("overflow", Some(&provider.id), what, cure);
            }
        }
    }

    /// Warns of a default route in `main` that refuses, and says what becomes of the traffic.
    fn warn_of_error_route(&mut self, family: Family, snapshot: &Snapshot<'_>) {
        let Some((metric, effect)) = snapshot.error_effect(family) else {
            return;
        };
        let (what, cure) = match effect {
            ErrorEffect::Passed if snapshot.laid_out[family].is_narrow => (
                "leaves too few metrics for defaults of ours before it: probes in IPv4 fail",
                "give it a higher metric, or delete it",
            ),
            ErrorEffect::Passed => (
                "is passed over: defaults of ours stand before it there",
                "it may be a kill switch: give it a metric below `start_metric`, and it is obeyed; else delete it",
            ),
            ErrorEffect::Obeyed => (
                "refuses what comes to it: traffic, and probes in IPv4",
                "it is obeyed, for its metric is below `start_metric`: delete it when it is no longer wanted",
            ),
            ErrorEffect::Spared => (
                "refuses probes in IPv4, by devices without a better default there",
                "as a kill switch, it needs the lowest metric of all defaults there; else delete it",
            ),
            ErrorEffect::Behind => ("comes behind ours", "delete it when it is not wanted"),
        };
        let what = format_args!(
            "an {family} default route in main (metric {metric}: unreachable, blackhole or prohibit) {what}"
        );
        let delete = family.delete_refusing();
        let cure = format_args!("{cure}: `{delete} {metric}`");
        self.add("error-route", None, what, cure);
    }

    /// Warns of routes and rules of other programs without an effect.
    fn warn_of_neighbours(&mut self, family: Family, snapshot: &Snapshot<'_>, manual: &Manual) {
        let config = snapshot.engine.config();
        if matches!(manual, Manual::Obeyed(_)) || !config.manages(family) {
            return;
        }
        if let Manual::Doubted(ManualDefault { device, metric, .. }) = manual {
            let what = format_args!(
                "the {family} default route by {device} (metric {metric} in main) is not obeyed, as it may be a \
                 management port's"
            );
            let cure = format_args!("`option yield '1'` has it obeyed, `'0'` ends this warning");
            self.add("foreign-default", None, what, cure);
        }
        self.warn_of_rules_behind(family, snapshot);
    }

    /// Warns of the rules of other programs that ours jump over: once a family, with the first few preferences.
    fn warn_of_rules_behind(&mut self, family: Family, snapshot: &Snapshot<'_>) {
        let goto = snapshot.engine.config().globals.catch_all;
        let (mut count, mut first) = (0, String::new());
        for rule in jumped_over(snapshot.mirror.rules(), family, goto) {
            if count < BEHIND_NAMED {
                let comma = if count == 0 { "" } else { ", " };
                let _ = write!(first, "{comma}{}", rule.pref); // a String takes all
            }
            count += 1;
        }
        let (rules, they, them) = match count {
            0 => return,
            1 => ("rule that is not ours has", "it has", "it"),
            _ => ("rules that are not ours have", "they have", "them"),
        };
        let number = match count {
            1 => format_args!("an"),
            _ => format_args!("{count}"),
        };
        let more = if count > BEHIND_NAMED { " …" } else { "" };
        let what = format_args!(
            "{number} {family} {rules} preference {first}{more}, behind our {goto}: {they} no effect"
        );
        let cure = format_args!("add {them} again with a preference below {goto}");
        self.add("rules-behind", None, what, cure);
    }

    /// Warns of each route and rule that the kernel refuses again and again.
    fn warn_of_refused(&mut self, family: Family, snapshot: &Snapshot<'_>, routes: &RouteSync<'_>) {
        let refusals = &routes.refusals[family];
        for refusal in refusals.confirmed().filter(|r| !is_told_of(r, refusals)) {
            let fault = refusal.fault;
            let (verb, route) = match &refusal.change {
                Change::SetRoute(route) => ("add", route),
                Change::DeleteRoute(route) => ("delete", route),
                Change::AddRule(rule) | Change::MoveRule(rule) | Change::DeleteRule(rule) => {
                    let (pref, cure) = (rule.pref, Advice(fault, None));
                    let what = format_args!("the kernel refuses {family} rule {pref}: {fault}");
                    let cure = format_args!("{cure}");
                    self.add("rule-refused", None, what, cure);
                    continue;
                }
            };
            let id = |slot| PathId { slot, family };
            let providers = snapshot.engine.config().enabled();
            let mut users = providers.filter_map(|provider| {
                let uplink = snapshot.uplink(id(provider.slot))?;
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
            let cure = format_args!("{}", Advice(fault, gateway));
            let what = format_args!("the kernel refuses {told}: {fault}");
            self.add("route-refused", provider, what, cure);
        }
    }
}

/// Whether a warning names another default route by the same gateway and device, which is before it.
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

/// As the arguments of `ip route`: `add default via 192.0.2.255 dev eth1 metric 100 table 176`.
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
            Advice(Fault::NotPermitted, _) => {
                f.write_str("run failover as root, and not in a user namespace of its own")
            }
            Advice(Fault::NotSupported, _) => f.write_str(
                "the kernel has no policy routing (CONFIG_IP_MULTIPLE_TABLES), or no IPv6",
            ),
            _ => f.write_str("try the same with `ip`, which may say more"),
        }
    }
}
