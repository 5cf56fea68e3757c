//! `explain`: in sentences, why a provider is or is not in use, since when, what would change it, and what its checks said.

use std::fmt;

use crate::client::hint::completed;
use crate::client::text::{plain, wrap};
use crate::linux::connection::{Answer, Provider};
use crate::text::{Limit, Span, Timestamp};
use crate::types::{
    Duration, Duty, Family, Fault, LastResort, Lead, Measure, Preempt, State, Verdict, Waiting,
};
use crate::wire::snapshot::{
    Check, CheckState, ErrorRoute, Header, Level, Marked, Path, ProviderHead,
};

mod warnings;

/// The sentences, at a wall-clock time. `None`: the daemon's answer has no header.
pub(super) fn render(answer: &Answer, now_ms: u64) -> Option<String> {
    let mut page = Page {
        header: answer.header.as_ref()?,
        now_ms,
        wrapped: true,
        out: String::new(),
    };
    page.say(format_args!("At {} UTC:", page.ago(0)));
    for Provider { head, paths, .. } in &answer.providers {
        if !head.enabled {
            page.say(format_args!(
                "{} is not used: option enabled is '0' in the configuration. Set it to '1', then `failover reload`.",
                head.id
            ));
        }
        for path in paths {
            page.path(head, path);
        }
    }
    page.marks();
    page.warnings(answer);
    Some(page.out)
}

/// The sentences about a path, without those about its checks: its state, and what would change it.
pub(super) fn explained(
    header: &Header,
    head: &ProviderHead,
    path: &Path,
    now_ms: u64,
) -> [String; 2] {
    let mut page = Page {
        header,
        now_ms,
        wrapped: false,
        out: String::new(),
    };
    page.why(head, path);
    let why = std::mem::take(&mut page.out);
    page.what_next(head, path);
    [why, page.out.trim_ascii_start().to_owned()]
}

struct Page<'a> {
    header: &'a Header,
    now_ms: u64,
    /// whether it is for a terminal
    wrapped: bool,
    out: String,
}

impl Page<'_> {
    /// The first sentence of a path begins a line; the others follow after a blank.
    fn say(&mut self, said: fmt::Arguments<'_>) {
        let said = plain(&said);
        if !self.wrapped {
            return self.out.push_str(&completed(&said));
        }
        let first = if said.starts_with(' ') { "  " } else { "" };
        wrap(&mut self.out, first, &said);
    }

    #[inline(never)] // called in many places
    fn ago(&self, ms: u64) -> At {
        At {
            wall_clock_ms: self.now_ms.saturating_sub(ms),
            is_today: is_within_a_day(ms),
        }
    }

    #[inline(never)] // called in many places
    fn within(&self, ms: u64) -> At {
        At {
            wall_clock_ms: self.now_ms.saturating_add(ms),
            is_today: is_within_a_day(ms),
        }
    }

    /// Whether connections can stay with their provider.
    fn marks(&mut self) {
        let families = match self.header.connections_marked {
            Marked {
                ipv4: true,
                ipv6: true,
            } => "ipv4 and ipv6",
            Marked { ipv4: true, .. } => "ipv4",
            Marked { ipv6: true, .. } => "ipv6",
            _ => return,
        };
        self.say(format_args!(
            "Connections are marked by their provider in {families} (table inet failover)."
        ));
    }

    fn path(&mut self, head: &ProviderHead, path: &Path) {
        self.why(head, path);
        self.what_next(head, path);
        for resolver in path.resolvers.iter().flatten() {
            self.say(format_args!(" Resolver {resolver} is asked through it."));
        }
        for check in &path.checks {
            self.check(check, path);
        }
    }

    /// Its state, and why it carries traffic or not.
    fn why(&mut self, head: &ProviderHead, path: &Path) {
        let (id, family, state) = (&head.id, path.family, path.state);
        let since = self.ago(path.since_ms);
        let mut first = format!("{id} {family} is {state} since {since}");
        if path.cause.is_some() && path.since_ms >= path.cause_ms + 1000 {
            // Another reason than at first.
            first += &format!(", and since {}", self.ago(path.cause_ms));
        }
        let why: Option<&dyn fmt::Display> = match (&path.cause, &path.reason.waiting) {
            (Some(cause), _) => Some(cause),
            (None, Some(waiting)) => Some(waiting),
            (None, None) => None,
        };
        match why {
            Some(why) => self.say(format_args!("{first}: {why}.")),
            None => self.say(format_args!("{first}.")),
        }
        if self.header.active.leader(family) == Some(id) {
            self.carries(head, path);
        } else {
            self.does_not_carry(head, path);
        }
        self.by_hand(head, path);
    }

    fn what_next(&mut self, head: &ProviderHead, path: &Path) {
        self.change(head, path);
        if let Some(own) = path.address.filter(|_| path.address_deprecated) {
            self.say(format_args!(
                " Its address {own} is deprecated: it is in use until there is a better one."
            ));
        }
    }

    /// When the user did what keeps its checks from counting.
    fn by_hand(&mut self, head: &ProviderHead, path: &Path) {
        let header = self.header;
        let (id, done, ms) = match (path.reason.duty, &header.pinned) {
            (Duty::Pinned | Duty::Frozen, Some(id)) => (id, "pinned", header.pinned_ms),
            _ => (&head.id, "disabled", head.disabled_ms),
        };
        if let Some(ms) = ms {
            let at = self.ago(ms);
            self.say(format_args!(" {id} was {done} at {at}."));
        }
    }

    /// Why it carries no traffic.
    fn does_not_carry(&mut self, head: &ProviderHead, path: &Path) {
        let (id, family, duty) = (&head.id, path.family, path.reason.duty);
        let header = self.header;
        let pinned = header.pinned.as_deref().unwrap_or("another provider");
        match duty {
            Duty::Pinned => self.say(format_args!(
                " It is pinned, until `failover use auto`, but can have no default route."
            )),
            Duty::Frozen => self.say(format_args!(
                " It is not used, and not checked: {pinned} is pinned, until `failover use auto`."
            )),
            Duty::Checked if head.disabled => self.say(format_args!(
                " It is not used: it was disabled by hand, until `failover enable {id}`."
            )),
            Duty::Checked => {}
        }
        match header.active.of(family) {
            Lead::Refused => self.say(format_args!(
                " No provider carries {family}: no enabled provider works, and last_resort is unreachable."
            )),
            Lead::NoRoute => {
                self.say(format_args!(
                    " No provider carries {family}: none can have a default route."
                ));
                if header.overridden_by.of(family).is_none()
                    && let Some(by) = header.fallback.of(family)
                {
                    self.say(format_args!(" Traffic leaves by {by} meanwhile."));
                }
            }
            Lead::Unknown => self.say(format_args!(
                " It is not known yet which provider carries {family}."
            )),
            Lead::By(carrier) if duty == Duty::Checked && !head.disabled => {
                self.stands_by(id, path, carrier);
            }
            Lead::By(_) => {}
        }
        self.refused(family);
        self.overridden(family);
    }

    /// By which default route of another program traffic is refused, if there is one that is obeyed.
    fn refused(&mut self, family: Family) {
        let route = self.header.error_routes[family as usize];
        if let Some(ErrorRoute { metric, .. }) = route.filter(|route| route.obeyed) {
            self.say(format_args!(
                " But nothing leaves: the default route of metric {metric} in main refuses it, until it is deleted."
            ));
        }
    }

    /// By which default route of another program traffic leaves, if there is one that prevails.
    fn overridden(&mut self, family: Family) {
        if let Some(by) = self.header.overridden_by.of(family) {
            self.say(format_args!(
                " But it is overridden by {by}: traffic leaves by that until it is gone."
            ));
        }
    }

    /// Why another provider carries traffic instead.
    fn stands_by(&mut self, id: &str, path: &Path, carrier: &str) {
        let family = path.family;
        match (&path.held_back_by, path.takes_over_in_ms) {
            (Some(_), Some(ms)) => {
                let (at, wait) = (self.within(ms), self.wait());
                self.say(format_args!(
                    " It stands by: preempt lets it take over from {carrier} at {at}, when it has been online for {wait}."
                ));
            }
            (Some(_), None) => self.say(format_args!(
                " It stands by: {carrier} carries {family} until that fails, for preempt is no; `failover use {id}` prefers this one."
            )),
            (None, _) if path.state == State::Online => self.say(format_args!(
                " It stands by: {carrier} carries {family}, and is before it in the order."
            )),
            (None, _) => self.say(format_args!(" It is not used: {carrier} carries {family}.")),
        }
    }

    fn wait(&self) -> Span {
        Span(match self.header.preempt {
            Preempt::After(wait) => wait,
            Preempt::Yes | Preempt::No => Duration::ZERO,
        })
    }

    /// Why it carries traffic.
    fn carries(&mut self, head: &ProviderHead, path: &Path) {
        let family = path.family;
        let header = self.header;
        let pinned = header.pinned.as_deref().unwrap_or("another provider");
        let healthy = matches!(path.verdict, Verdict::Online | Verdict::Fresh);
        match path.reason.duty {
            Duty::Pinned => self.say(format_args!(
                " It carries {family} because it is pinned, until `failover use auto`; no provider is checked meanwhile."
            )),
            Duty::Frozen => self.say(format_args!(
                " It carries {family} because {pinned}, which is pinned, can have no default route."
            )),
            Duty::Checked if healthy && path.reason.waiting.is_none() => {
                self.carries_well(head, path);
            }
            Duty::Checked => {
                let why = match header.last_resort {
                    LastResort::Keep => "last_resort is keep",
                    _ => "it is the last resort",
                };
                self.say(format_args!(
                    " It carries {family} all the same: no enabled provider works, and {why}."
                ));
            }
        }
        self.refused(family);
        let route = header.error_routes[family as usize];
        if let Some(ErrorRoute { metric, .. }) = route.filter(|route| !route.obeyed) {
            self.say(format_args!(
                " Its route also stands in main, before the default route of metric {metric} there, which would refuse."
            ));
        }
        if !path.installed {
            self.say(format_args!(" But the kernel does not have its route."));
        }
        self.overridden(family);
        if let Some(metric) = path.overridden_by {
            self.say(format_args!(
                " But another program's default route wins over ours, by its metric {metric}: traffic leaves by that."
            ));
        }
    }

    fn carries_well(&mut self, head: &ProviderHead, path: &Path) {
        let (id, family) = (&head.id, path.family);
        match &path.better {
            _ if head.disabled => self.say(format_args!(
                " It carries {family} although it was disabled by hand, until `failover enable {id}`: no enabled provider works."
            )),
            Some((better, works)) if *works || self.header.preempt == Preempt::No => {
                let again = if *works { " and works again" } else { "" };
                self.say(format_args!(
                    " It carries {family}: {better} is before it in the order{again}, but preempt lets it stay."
                ));
            }
            Some((better, _)) => self.say(format_args!(
                " It carries {family} until {better}, which is before it in the order, is known to work."
            )),
            None => self.say(format_args!(
                " It carries {family}: it is the first in the order that works."
            )),
        }
    }

    /// What would change its state.
    fn change(&mut self, head: &ProviderHead, path: &Path) {
        if let Some(waiting) = path.reason.waiting {
            return self.waits(waiting, path);
        }
        if path.reason.duty != Duty::Checked || head.disabled {
            return;
        }
        if path.reason.unchecked {
            let family = path.family;
            return self.say(format_args!(
                " It has no check of {family}: it counts as online while its uplink is there, until it has one in the \
                 configuration."
            ));
        }
        if let Some(metric) = path.reason.refused {
            let delete = path.family.delete_refusing();
            self.say(format_args!(
                " Its probes are refused by the default route of metric {metric} in main, until that is deleted: \
                 `{delete} {metric}`."
            ));
        }
        if let Some(device) = &path.reason.dropped {
            self.say(format_args!(
                " It comes back when this machine lets them in: see `nft list ruleset`, and rp_filter of {device}."
            ));
        }
        self.round(path);
        self.rounds(path);
        for (measure, level) in Measure::ALL.iter().zip(&path.levels) {
            if let Some(level) = level {
                self.level(*measure, level);
            }
        }
    }

    /// When a round is good.
    fn round(&mut self, path: &Path) {
        let (quorum, checks) = (usize::from(path.terms.quorum), path.checks.len());
        let required = path.checks.iter().any(|check| check.required);
        let must = match required && quorum < checks {
            true => ", and each that is required",
            false => "",
        };
        match checks {
            1 => self.say(format_args!(" A round is good when its check is answered.")),
            _ if quorum == checks => self.say(format_args!(
                " A round is good when all of its {checks} checks are answered."
            )),
            _ => {
                let are = if quorum == 1 { "is" } else { "are" };
                self.say(format_args!(
                    " A round is good when {quorum} of its {checks} checks {are} answered{must}."
                ));
            }
        }
    }

    /// How many of them make it online, or offline.
    fn rounds(&mut self, path: &Path) {
        let (failed, of) = (path.rounds.failed, path.rounds.good + path.rounds.failed);
        let in_a_row = Streak(path.rounds.streak);
        let terms = path.terms;
        let (up, down, most, window) = (terms.up, terms.down, terms.max_failed, terms.window);
        let failures = most < window;
        if path.verdict == Verdict::Online {
            self.say(format_args!(
                " It goes offline after {down} failed rounds in a row; {in_a_row}."
            ));
            if failures {
                self.say(format_args!(
                    " It also does when more than {most} of the last {window} rounds fail; of {of}, {failed} did."
                ));
            }
            return;
        }
        let verb = match path.verdict {
            Verdict::Fresh => "comes online",
            _ => "returns",
        };
        self.say(format_args!(
            " It {verb} after {up} good rounds in a row; {in_a_row}."
        ));
        if failures && failed > most.into() {
            self.say(format_args!(
                " It must also have failed at most {most} of the last {window} rounds; of {of}, it failed {failed}."
            ));
        }
    }

    fn level(&mut self, measure: Measure, level: &Level) {
        let name = measure.name();
        let limit = |value| Limit { measure, value };
        let known = level.value.map(limit);
        let value: &dyn fmt::Display = match &known {
            Some(value) => value,
            None => &"not known yet",
        };
        let (must, bound) = match level.is_poor {
            true => ("must come down to recover", level.recover),
            false => ("may be at most max", level.most),
        };
        let bound = limit(bound);
        self.say(format_args!(
            " Its {name} {must}_{name} {bound}; it is {value}."
        ));
    }

    /// What its uplink lacks.
    fn waits(&mut self, waiting: Waiting, path: &Path) {
        let family = path.family;
        let device = path.device.as_deref().unwrap_or_default();
        let holder = path.reason.other.as_deref().unwrap_or("another provider");
        match waiting {
            Waiting::NoDevice if device.is_empty() => self.say(format_args!(
                " It is ready as soon as netifd tells its device."
            )),
            Waiting::NoDevice => self.say(format_args!(
                " It is ready as soon as there is a device {device}: `ip link` shows those that there are."
            )),
            Waiting::Down => self.say(format_args!(
                " It is ready as soon as {device} is up: `ip link set {device} up`."
            )),
            Waiting::NoCarrier => self.say(format_args!(
                " It is ready as soon as {device} has a carrier: look at the cable, the modem and its power."
            )),
            Waiting::NoAddress => self.say(format_args!(
                " It is ready as soon as {device} has an {family} address (that of option address, if it names one): from \
                 DHCP, say, or by hand."
            )),
            Waiting::Duplicate => {
                let own: &dyn fmt::Display = match &path.address {
                    Some(own) => own,
                    None => &"its own",
                };
                self.say(format_args!(
                    " It has no address: {own} is a duplicate (DAD failed): another host on the link of {device} has it. It is ready as soon as {device} has another one, or this one again when that host is gone."
                ));
            }
            Waiting::NoGateway => {
                self.say(format_args!(
                    " It is ready as soon as its gateway is known: by option gateway, or a default route on {device}."
                ));
                if let Some(rival) = &path.rival {
                    self.say(format_args!(
                        " Perhaps one was refused (File exists), or replaced: there is one by {rival}, and a metric has only \
                         one. Give each device a metric of its own, see docs/troubleshooting.md."
                    ));
                }
            }
            Waiting::RouteRefused => self.say(format_args!(
                " It is ready as soon as the kernel accepts its route: `failover status` says why it does not."
            )),
            Waiting::DeviceTaken(_) => self.say(format_args!(
                " It is ready as soon as {holder} leaves it the device {device}: two cannot share one."
            )),
        }
    }

    /// What was asked last, with which answer.
    fn check(&mut self, check: &Check, path: &Path) {
        let Check { name, kind, .. } = check;
        let target = match check.target.as_str() {
            "" => name.as_str(),
            target => target,
        };
        let must = if check.required { ", required" } else { "" };
        let asked = self.asked(check, path);
        let next = match check.again_in_ms {
            Some(ms) if check.state == CheckState::Lost => {
                format!("; asked again at {}", self.within(ms))
            }
            _ => String::new(),
        };
        let answered = match check.answered_ms {
            None => format!("{} of {} answered", check.received, check.sent),
            Some(ms) => {
                let (at, rtt) = (self.ago(ms), check.rtt_ms.unwrap_or_default());
                format!("last answer from {target} at {at} after {rtt} ms")
            }
        };
        self.say(format_args!(
            " Check {name} ({kind} {target}{must}): {asked}; {answered}{next}."
        ));
    }

    fn asked(&self, check: &Check, path: &Path) -> String {
        let at = self.ago(check.asked_ms);
        let answer: Result<&dyn fmt::Display, &str> = match (check.state, &check.fault) {
            _ if path.reason.waiting.is_some() => Err("not asked while there is no way out"),
            _ if path.reason.duty != Duty::Checked => Err("not asked while one is pinned"),
            (CheckState::Pending, _) if check.sent == 0 => Err("not asked yet"),
            (CheckState::Pending, _) => Err("asked, not answered yet"),
            (CheckState::Ok, _) => Ok(&"answered"),
            (CheckState::Lost, None) => Ok(&"unanswered"),
            (CheckState::Lost, Some(Fault::OwnTarget)) => {
                Err("not asked, as that is an address of this router")
            }
            (CheckState::Lost, Some(fault)) => Ok(fault),
        };
        match answer {
            Ok(answer) => format!("asked last at {at}: {answer}"),
            Err(not_asked) => not_asked.to_owned(),
        }
    }
}

fn is_within_a_day(ms: u64) -> bool {
    ms < 24 * 60 * 60 * 1000
}

/// A wall-clock time; without the date within a day.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) wall_clock_ms: u64,
    pub(super) is_today: bool,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = Timestamp(self.wall_clock_ms);
        match self.is_today {
            true => timestamp.time_of_day(f),
            false => timestamp.fmt(f),
        }
    }
}

/// `the last 7 were good`.
struct Streak(i32);

impl fmt::Display for Streak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("none has been judged since"),
            1 => f.write_str("the last was good"),
            -1 => f.write_str("the last failed"),
            2.. => write!(f, "the last {} were good", self.0),
            _ => write!(f, "the last {} failed", self.0.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests;
