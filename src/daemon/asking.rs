//! Asks the kernel by which route packets would leave (`RTM_GETROUTE`), and warns if that is not what the status says:
//! traffic of a family does not leave by the leading provider, or a reverse-path filter drops what arrives on a path.

use core::fmt;
use core::net::IpAddr;

use super::context::Context;
use super::flux;
use super::host_route::HostRoute;
use super::routes::RouteSync;
use super::snapshot::Snapshot;
use super::warnings::Warnings;
use crate::config::{Config, Provider};
use crate::linux::netlink::Requests;
use crate::linux::process::ubus::Interfaces;
use crate::linux::sysctl;
use crate::routing::asked::{APART, Answer, Question, RuleSearch, Suspicion, candidates, diverted};
use crate::types::{DeviceName, Duration, Family, Instant, Lead, PathId, PerFamily, Slot, soonest};
use crate::wire::control::Diversion;

/// The kernel is asked at least this often: not every change of its answers causes an event.
const AT_LEAST: Duration = Duration::from_secs(60);

/// The kernel's settings are looked at so often while a warning follows from one, as is a route to a host: no event says
/// that it was changed.
const AFTER_FLUX: Duration = Duration::from_secs(10);

/// When the kernel is asked next, and the detours that are known.
#[derive(Default)]
pub(super) struct Asking {
    pub(super) next_at: Option<Instant>,
    asked_at: Option<Instant>,
    families: PerFamily<Observed>,
    /// by slot: the detour of the replies of a path, in IPv4
    ways_back: Vec<Observed>,
    /// devices answer ARP requests for each other
    flux: bool,
    /// the addresses asked about last
    targets: PerFamily<Option<IpAddr>>,
    /// a route that holds a tunnel to one provider
    host_route: Option<HostRoute>,
}

/// A detour, once it is confirmed.
#[derive(Default)]
struct Observed {
    suspicion: Suspicion,
    detour: Option<Detour>,
}

/// The route that packets take instead.
struct Detour {
    answer: Answer,
    device: Option<DeviceName>,
    preference: Option<u32>,
}

impl Asking {
    /// The answers may have changed.
    fn hurry(&mut self, now: Instant) {
        let soonest = self.asked_at.map_or(now, |at| now.max(at + APART));
        self.next_at = Some(self.next_at.map_or(soonest, |at| at.min(soonest)));
    }
}

impl Observed {
    /// Takes the present detour, if there is one. Returns whether the warning changes.
    fn hear(
        &mut self,
        requests: &mut Requests,
        question: Question,
        wrong: Option<Answer>,
        now: Instant,
    ) -> bool {
        let news = self.suspicion.hear(wrong, now);
        if news {
            let told = self.suspicion.told();
            self.detour = told.map(|answer| Detour::find(requests, question, answer));
        }
        news
    }
}

impl Detour {
    fn find(requests: &mut Requests, question: Question, answer: Answer) -> Detour {
        let device = match answer {
            Answer::By(way) => requests.device_name(way.device).ok(),
            Answer::Refused(_) => None,
        };
        let mut search = RuleSearch::new(question, answer);
        let shown = requests.each_rule(Family::of(question.target), &mut |rule| search.see(rule));
        Detour {
            answer,
            device,
            preference: shown.ok().and_then(|()| search.found()),
        }
    }

    fn table(&self) -> Option<u32> {
        match self.answer {
            Answer::By(way) => Some(way.table),
            Answer::Refused(_) => None,
        }
    }
}

/// As `by wg0 (table 51820, rule 32764)`, or `refused (network unreachable)`.
impl fmt::Display for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.answer {
            Answer::By(way) => {
                let device = self.device.as_deref().unwrap_or("another device");
                write!(f, "by {device} (table {}", way.table)?;
            }
            Answer::Refused(fault) => write!(f, "refused ({fault}")?,
        }
        match self.preference {
            Some(preference) => write!(f, ", rule {preference})"),
            None => f.write_str(")"),
        }
    }
}

impl Asking {
    /// Whether the kernel is to be asked.
    pub(super) fn is_due(&mut self, routes: &mut RouteSync<'_>, now: Instant) -> bool {
        if core::mem::take(&mut routes.has_changed) {
            self.hurry(now);
        }
        self.next_at.is_some_and(|at| at <= now)
    }

    /// Asks the kernel, and sets when it is asked again.
    pub(super) fn ask(
        &mut self,
        cx: &mut Context<'_>,
        routes: &mut RouteSync<'_>,
        interfaces: &Interfaces,
        now: Instant,
    ) {
        let own_targets = routes.requests.own_targets(cx.engine.config());
        cx.warnings_due |= core::mem::replace(&mut routes.own_targets, own_targets) != own_targets;
        for &family in &Family::ALL {
            let asked = ask_for_internet(family, cx.engine.config(), routes);
            self.targets[family] = asked.map(|(target, _)| target);
            self.judge_leader(family, asked, cx, routes, now);
            if family == Family::V4 {
                self.judge_ways_back(asked.map(|(target, _)| target), cx, routes, now);
            }
        }
        let host_route = HostRoute::find(cx.engine.config(), routes, interfaces);
        cx.warnings_due |= self.host_route != host_route;
        self.host_route = host_route;
        let next_of = |observed: &Observed| observed.suspicion.next_deadline();
        let PerFamily { v4, v6 } = &self.families;
        let mut next = soonest(&[&next_of(v4), &next_of(v6)]);
        for observed in &self.ways_back {
            next = soonest(&[&next, &next_of(observed)]);
        }
        let mut flux = false;
        let snapshot = Snapshot::of(cx.engine, routes, now);
        flux::each(&snapshot, cx.strayed, &mut |_| flux = true);
        cx.warnings_due |= flux || self.flux;
        self.flux = flux;
        let at_least = match flux || host_route.is_some() {
            true => AFTER_FLUX,
            false => AT_LEAST,
        };
        self.asked_at = Some(now);
        self.next_at = Some(next.unwrap_or(now + at_least).max(now + APART));
    }

    /// Asks whether traffic leaves by the leading provider, by the manual default that prevails, or as is said while none leads.
    fn judge_leader(
        &mut self,
        family: Family,
        asked: Option<(IpAddr, Answer)>,
        cx: &mut Context<'_>,
        routes: &mut RouteSync<'_>,
        now: Instant,
    ) {
        let snapshot = Snapshot::of(cx.engine, routes, now);
        let device = snapshot.leading_device(family);
        let prevailing = snapshot.prevailing_table(family);
        let observed = &mut self.families[family];
        let (Some((target, answer)), Some(device)) = (asked, device) else {
            cx.warnings_due |= observed.suspicion.told().is_some();
            *observed = Observed::default();
            return;
        };
        let wrong = diverted(answer, device, prevailing);
        let question = Question {
            target,
            source: None,
        };
        cx.warnings_due |= observed.hear(&mut routes.requests, question, wrong, now);
    }

    /// Asks whether a reverse-path filter accepts, on a path's device, the replies to packets from its own address.
    fn judge_ways_back(
        &mut self,
        target: Option<IpAddr>,
        cx: &mut Context<'_>,
        routes: &mut RouteSync<'_>,
        now: Instant,
    ) {
        let ways_back = &mut self.ways_back;
        let config = cx.engine.config();
        for (place, observed) in (0..).zip(ways_back.iter_mut()) {
            if config
                .at(Slot(place))
                .is_none_or(|provider| !provider.enabled)
            {
                *observed = Observed::default();
            }
        }
        for provider in cx.engine.config().enabled() {
            let id = PathId {
                slot: provider.slot,
                family: Family::V4,
            };
            let place = usize::from(provider.slot.0);
            if ways_back.len() <= place {
                ways_back.resize_with(place + 1, Observed::default);
            }
            let observed = &mut ways_back[place];
            let uplink = routes.uplink(id).filter(|u| u.waiting.is_none());
            let own = uplink.and_then(|u| u.address.map(|own| (u.index, own)));
            let (Some(target), Some((device, own))) = (target, own) else {
                cx.warnings_due |= observed.suspicion.told().is_some();
                *observed = Observed::default();
                continue;
            };
            let question = Question {
                target,
                source: Some(own),
            };
            let Ok(answer) = routes.requests.ask(question) else {
                observed.suspicion = Suspicion::default();
                continue;
            };
            let wrong = (!answer.lets_in_by(device)).then_some(answer);
            let news = observed.hear(&mut routes.requests, question, wrong, now);
            // The filter is read each time: no event says that it was switched on or off.
            cx.warnings_due |= news || observed.detour.is_some();
        }
    }

    /// The warnings that follow from the kernel's answers.
    pub(super) fn warn(
        &self,
        snapshot: &Snapshot<'_>,
        interfaces: &Interfaces,
        keeps_connections: bool,
        warnings: &mut Warnings,
    ) {
        for &family in &Family::ALL {
            self.warn_of_diversion(family, snapshot, warnings);
        }
        let engine = snapshot.engine;
        if let Some(host_route) = &self.host_route {
            host_route.warn(engine.config(), interfaces, warnings);
        }
        for provider in engine.config().enabled() {
            let Slot(place) = provider.slot;
            let id = PathId {
                slot: provider.slot,
                family: Family::V4,
            };
            let uplink = snapshot.uplink(id).filter(|uplink| uplink.index != 0);
            let Some(uplink) = uplink.filter(|_| engine.path(id).is_some()) else {
                continue;
            };
            let observed = self.ways_back.get(usize::from(place));
            let detour = observed.and_then(|observed| observed.detour.as_ref());
            warn_of_filter(
                warnings,
                provider,
                &uplink.device,
                detour,
                keeps_connections,
            );
        }
    }

    fn warn_of_diversion(&self, family: Family, snapshot: &Snapshot<'_>, warnings: &mut Warnings) {
        let detour = self.families[family].detour.as_ref();
        let (Some(detour), Some(target)) = (detour, self.targets[family]) else {
            return;
        };
        // What leads may have changed since the kernel was asked.
        if let Answer::By(way) = detour.answer
            && snapshot.leading_device(family) == Some(way.device)
        {
            return;
        }
        let (not_by, meant, does) = match (snapshot.manual[family], snapshot.lead(family)) {
            (Some(default), _) => ("not by ", default.device.as_str(), ", which prevails"),
            (None, Lead::By(id)) => ("not by ", id.as_str(), ", which leads"),
            (None, _) => ("while no provider leads", "", ""),
        };
        let by = Leaves(detour);
        let what = format_args!(
            "the router's own unmarked {family} packets to the Internet {by}, {not_by}{meant}{does}"
        );
        let cure = format_args!(
            "`ip route get {target}` shows it: if another program is not meant to do that, stop it, or delete its rule or route"
        );
        let warning = warnings.add("diverted", None, what, cure);
        if let Some(warning) = warning {
            warning.diversion = Some(Diversion {
                family,
                device: detour.device.clone(),
                table: detour.table(),
                preference: detour.preference,
            });
        }
    }
}

/// The first address that stands for the Internet, and the route of packets to it.
fn ask_for_internet(
    family: Family,
    config: &Config,
    routes: &mut RouteSync<'_>,
) -> Option<(IpAddr, Answer)> {
    if !config.manages(family) {
        return None;
    }
    let (requests, resolvers) = (&mut routes.requests, &routes.resolvers.list);
    for target in candidates(config, family) {
        // A resolver that is asked through a provider says nothing of the leader.
        if resolvers.iter().any(|(_, resolver)| *resolver == target) {
            continue;
        }
        let question = Question {
            target,
            source: None,
        };
        match requests.ask(question) {
            Ok(answer) if !answer.is_covered(family) => return Some((target, answer)),
            _ => {}
        }
    }
    None
}

/// A detour, as the text of a warning.
struct Leaves<'a>(&'a Detour);

impl fmt::Display for Leaves<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Leaves(detour) = self;
        let verb = match detour.answer {
            Answer::By(_) => "leave",
            Answer::Refused(_) => "are",
        };
        write!(f, "{verb} {detour}")
    }
}

/// Warns of what a reverse-path filter on a path's device drops: the route back for replies to packets from its own address
/// leaves by another device.
fn warn_of_filter(
    warnings: &mut Warnings,
    provider: &Provider,
    device: &str,
    detour: Option<&Detour>,
    keeps_connections: bool,
) {
    let Some(filter @ (1 | 2)) = sysctl::rp_filter(device) else {
        return;
    };
    let id = &provider.id;
    let cure = |option, value| sysctl::Cure {
        device,
        value,
        option,
    };
    if let Some(detour) = detour {
        // The larger value of the device's and `all`'s is in force.
        let (strict, value, all) = match (detour.table(), sysctl::rp_filter("all")) {
            (None, Some(0) | None) => ("", 0, ""),
            (None, Some(_)) => ("", 0, " net.ipv4.conf.all.rp_filter=0"),
            (Some(_), _) if filter == 1 => ("strict ", 2, ""),
            (Some(_), _) => return,
        };
        let what = format_args!(
            "{strict}rp_filter on {device} drops the replies to its probes: their way back is {detour}"
        );
        let cure = cure("rp_filter", value);
        warnings.add_with_command("rp-filter", id, what, format_args!("{cure}{all}"));
    } else if filter == 1 && sysctl::src_valid_mark(device) == Some(false) {
        let (replies, cure) = match provider.mark {
            Some(_) => (
                "the replies to hosts whose traffic is marked (unless replies are marked again, and src_valid_mark is 1)",
                cure("rp_filter", 2),
            ),
            None if keeps_connections => (
                "replies to marked packets: connections do not stay with it, and inbound ones are not answered by it \
                 while another leads",
                cure("src_valid_mark", 1),
            ),
            None => return,
        };
        let what = format_args!("strict rp_filter on {device} drops {replies}");
        warnings.add_with_command("src-valid-mark", id, what, format_args!("{cure}"));
    }
}
