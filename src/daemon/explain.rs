//! `explain`: in sentences, why a provider is or is not in use, since when, what would change it, and what its checks said.
//!
//! The first sentence of a path begins a line; the others, behind a blank, belong to it.

use core::fmt;

use super::status::View;
use crate::config::{Check, LastResort, Preempt, Provider, Timing};
use crate::engine::path::{Duty, Path};
use crate::engine::rounds::CheckFacts;
use crate::engine::{HeldBack, Lead};
use crate::linux::clock;
use crate::text::{Limit, Span, Timestamp, text};
use crate::types::{
    Cause, Duration, Family, Instant, Kind, Measure, Name, PathId, Slot, State, Verdict, Waiting,
};
use crate::wire::control::Text;
use crate::wire::decimal::Decimal;

/// Room for the sentences on one path.
const SENTENCES_MAX: u32 = 64;

/// The next sentence, on one provider or on all; none when all is said. First comes the time, then as many places for
/// each path as there can be sentences.
pub(super) fn sentence(view: &View<'_>, id: Option<&Name>, at: &mut u32) -> Option<Text> {
    let wall_clock_ms = clock::wall_clock_ms();
    let Some(place) = at.checked_sub(1) else {
        *at += 1;
        let now = self::at(wall_clock_ms, view.now, view.now);
        return Some(text(format_args!("At {now} UTC:")));
    };
    let (mut path, mut left) = (place / SENTENCES_MAX, place % SENTENCES_MAX);
    loop {
        let families = Family::ALL.len();
        let index = usize::try_from(path).ok()?;
        let provider = view.core.config().providers.get(index / families)?;
        let mut sentence = None;
        if id.is_none_or(|id| provider.id == *id) {
            let mut telling = Telling {
                view,
                wall_clock_ms,
                say: &mut |said| {
                    if left == 0 && sentence.is_none() {
                        sentence = Some(text(said));
                    }
                    left = left.saturating_sub(1);
                },
            };
            telling.tell(provider, Family::ALL[index % families]);
        }
        if sentence.is_some() {
            *at += 1;
            return sentence;
        }
        (path, left) = (path + 1, 0);
        *at = 1 + path * SENTENCES_MAX;
    }
}

struct Telling<'a, 'v> {
    view: &'a View<'v>,
    wall_clock_ms: u64,
    say: &'a mut dyn FnMut(fmt::Arguments<'_>),
}

impl<'a> Telling<'a, '_> {
    fn tell(&mut self, provider: &Provider, family: Family) {
        let (id, slot) = (&provider.id, provider.slot);
        if !provider.enabled && family == Family::V4 {
            (self.say)(format_args!(
                "{id} is not used: option enabled is '0' in the configuration."
            ));
        }
        if let Some(path) = self.view.core.path(PathId { slot, family }) {
            self.tell_path(provider, path);
        }
    }

    fn tell_path(&mut self, provider: &Provider, path: &Path) {
        let (id, family, state) = (&provider.id, path.id.family, path.state());
        let since = self.at(path.since);
        match self.cause(provider, path) {
            Some(cause) => (self.say)(format_args!(
                "{id} {family} is {state} since {since}: {cause}."
            )),
            None => (self.say)(format_args!("{id} {family} is {state} since {since}.")),
        }
        self.tell_use(provider, path);
        self.tell_change(provider, path);
        let checks = self.view.core.config().path_checks(provider, family);
        for (number, check) in (0_u8..).zip(checks) {
            self.tell_check(check, &path.rounds.facts(number), path);
        }
    }

    /// Why it is in its state, as the journal has it.
    fn cause(&self, provider: &Provider, path: &Path) -> Option<&'a Cause> {
        let state = path.state();
        let entries = self.view.core.journal().entries();
        let became = entries.filter(|entry| {
            entry.who.provider.as_ref() == Some(&provider.id)
                && entry.who.family == Some(path.id.family)
                && matches!(entry.kind, Kind::State { to, .. } if to == state)
        });
        became.last().map(|entry| &entry.cause)
    }

    fn name(&self, slot: Option<Slot>) -> &'a str {
        let core = self.view.core;
        let provider = slot.and_then(|slot| core.config().at(slot));
        provider.map_or("another provider", |provider| provider.id.as_str())
    }

    /// Why it carries traffic, or does not.
    fn tell_use(&mut self, provider: &Provider, path: &Path) {
        let core = self.view.core;
        let (slot, family) = (provider.slot, path.id.family);
        let lead = core.lead_of(family);
        if lead == Lead::By(slot) {
            return self.tell_lead(provider, path);
        }
        let id = &provider.id;
        let pinned = self.name(core.pinned());
        let say = &mut self.say;
        match path.duty {
            Duty::Pinned => say(format_args!(
                " It is pinned, until `failover use auto`, but can have no default route."
            )),
            Duty::Frozen => say(format_args!(
                " It is not used, and not checked: {pinned} is pinned, until `failover use auto`."
            )),
            Duty::Checked if core.is_disabled(slot) => say(format_args!(
                " It is not used: it was disabled by hand, until `failover enable {id}`."
            )),
            Duty::Checked => {}
        }
        let idle = path.duty == Duty::Checked && !core.is_disabled(slot);
        match lead {
            Lead::Refused => say(format_args!(
                " No provider carries {family}: no enabled provider works, and last_resort is unreachable."
            )),
            Lead::NoRoute => say(format_args!(
                " No provider carries {family}: none can have a default route."
            )),
            Lead::Unknown => say(format_args!(
                " It is not known yet which provider carries {family}."
            )),
            Lead::By(carrier) if idle => self.tell_standby(provider, path, carrier),
            Lead::By(_) => {}
        }
    }

    /// Why another one carries, and not this one.
    fn tell_standby(&mut self, provider: &Provider, path: &Path, carrier: Slot) {
        let (id, family) = (&provider.id, path.id.family);
        let carrier = self.name(Some(carrier));
        let (wall_clock_ms, now) = (self.wall_clock_ms, self.view.now);
        let say = &mut self.say;
        match self.view.core.held_back(path) {
            Some(HeldBack::Until(until)) => {
                let (at, wait) = (at(wall_clock_ms, now, until), Span(until - path.since));
                say(format_args!(
                    " It stands by: preempt lets it take over from {carrier} at {at}, when it has been online for {wait}."
                ));
            }
            Some(HeldBack::WhileItWorks) => say(format_args!(
                " It stands by: {carrier} carries {family} until that fails, for preempt is no; `failover use {id}` prefers this one."
            )),
            None if path.state() == State::Online => say(format_args!(
                " It stands by: {carrier} carries {family}, and is before it in the order."
            )),
            None => say(format_args!(" It is not used: {carrier} carries {family}.")),
        }
    }

    fn tell_lead(&mut self, provider: &Provider, path: &Path) {
        let core = self.view.core;
        let (id, family) = (&provider.id, path.id.family);
        let last_resort = core.config().globals.last_resort;
        let healthy = matches!(path.verdict, Verdict::Online | Verdict::Fresh);
        let better = core
            .better(path)
            .map(|path| (path.state(), self.name(Some(path.id.slot))));
        let pinned = self.name(core.pinned());
        let say = &mut self.say;
        match last_resort {
            _ if path.duty == Duty::Pinned => say(format_args!(
                " It carries {family} because it is pinned, until `failover use auto`; no provider is checked meanwhile."
            )),
            _ if path.duty == Duty::Frozen => say(format_args!(
                " It carries {family} because {pinned}, which is pinned, can have no default route."
            )),
            _ if healthy && path.waiting.is_none() => match better {
                _ if core.is_disabled(provider.slot) => say(format_args!(
                    " It carries {family} although it was disabled by hand, until `failover enable {id}`: no enabled provider works."
                )),
                Some((State::Online, better)) => say(format_args!(
                    " It carries {family}: {better} is before it in the order and works again, but preempt lets it stay."
                )),
                Some((_, better)) if core.config().globals.preempt == Preempt::No => {
                    say(format_args!(
                        " It carries {family}: {better} is before it in the order, but preempt lets it stay."
                    ))
                }
                Some((_, better)) => say(format_args!(
                    " It carries {family} until {better}, which is before it in the order, is known to work."
                )),
                None => say(format_args!(
                    " It carries {family}: it is the first in the order that works."
                )),
            },
            LastResort::Keep => say(format_args!(
                " It carries {family} all the same: no enabled provider works, and last_resort is keep."
            )),
            _ => say(format_args!(
                " It carries {family} all the same: no enabled provider works, and it is the last resort."
            )),
        }
        if let Some(by) = self.view.overridden_by.of(family) {
            (self.say)(format_args!(
                " But it is overridden by {by}: traffic leaves by that until it is gone."
            ));
        }
        if let Some(metric) = self.view.overridden(path) {
            (self.say)(format_args!(
                " But somebody else's default route wins over ours, by its metric {metric}: traffic leaves by that."
            ));
        }
    }

    /// What would change its state.
    fn tell_change(&mut self, provider: &Provider, path: &Path) {
        if let Some(waiting) = path.waiting {
            return self.tell_waiting(waiting, path);
        }
        if path.duty != Duty::Checked || self.view.core.is_disabled(provider.slot) {
            return;
        }
        if path.unchecked() {
            let family = path.id.family;
            return (self.say)(format_args!(
                " It has no check of {family}: it counts as online while its uplink is there."
            ));
        }
        self.tell_round(path);
        let timing = &provider.timing;
        let (good, failed) = path.rounds.verdicts(timing.window);
        let (of, streak) = (good + failed, path.rounds.streak());
        let (up, down, most) = (timing.up, timing.down, timing.max_failed);
        let in_a_row = Streak(streak);
        let failures = most < timing.window;
        let say = &mut self.say;
        if path.verdict == Verdict::Online {
            say(format_args!(
                " It goes offline after {down} failed rounds in a row; {in_a_row}."
            ));
            if failures {
                say(format_args!(
                    " It also does when more than {most} of the last {} rounds fail; of {of}, {failed} did.",
                    timing.window
                ));
            }
        } else {
            let verb = if path.verdict == Verdict::Fresh {
                "comes online"
            } else {
                "returns"
            };
            say(format_args!(
                " It {verb} after {up} good rounds in a row; {in_a_row}."
            ));
            if failures && failed > u32::from(most) {
                say(format_args!(
                    " It must also have failed at most {most} of the last {} rounds; of {of}, it failed {failed}.",
                    timing.window
                ));
            }
        }
        self.tell_quality(path, timing);
    }

    /// When a round is good.
    fn tell_round(&mut self, path: &Path) {
        let (quorum, checks, required) = path.quorum();
        let must: &str = match required {
            true if quorum < checks => ", and each that is required",
            _ => "",
        };
        let say = &mut self.say;
        match checks {
            1 => say(format_args!(" A round is good when its check is answered.")),
            _ if quorum == checks => say(format_args!(
                " A round is good when all of its {checks} checks are answered."
            )),
            _ => {
                let are = if quorum == 1 { "is" } else { "are" };
                say(format_args!(
                    " A round is good when {quorum} of its {checks} checks {are} answered{must}."
                ));
            }
        }
    }

    fn tell_quality(&mut self, path: &Path, timing: &Timing) {
        for measure in Measure::ALL {
            let Some(threshold) = timing.quality.of(measure) else {
                continue;
            };
            let name = measure.name();
            let limit = |value| Limit { measure, value };
            let (most, recover) = (limit(threshold.most), limit(threshold.recover));
            let value: Text = match path.quality(measure) {
                Some(value) => text(format_args!("{}", limit(value))),
                None => text(format_args!("not known yet")),
            };
            if path.is_poor(measure) {
                (self.say)(format_args!(
                    " Its {name} must come down to recover_{name} {recover}; it is {value}."
                ));
            } else {
                (self.say)(format_args!(
                    " Its {name} may be at most max_{name} {most}; it is {value}."
                ));
            }
        }
    }

    fn tell_waiting(&mut self, waiting: Waiting, path: &Path) {
        let family = path.id.family;
        let uplink = self.view.uplinks.get(path.id.index());
        let device = uplink.map_or("", |uplink| uplink.device.as_str());
        let holder: Text = match waiting {
            Waiting::DeviceTaken(slot) => text(format_args!("{}", self.name(Some(slot)))),
            _ => Text::new(),
        };
        let say = &mut self.say;
        match waiting {
            Waiting::NoDevice if device.is_empty() => {
                say(format_args!(
                    " It is ready as soon as netifd tells its device."
                ));
            }
            Waiting::NoDevice => say(format_args!(
                " It is ready as soon as there is a device {device}: `ip link` shows those that there are."
            )),
            Waiting::Down => say(format_args!(
                " It is ready as soon as {device} is up: `ip link set {device} up`."
            )),
            Waiting::NoCarrier => say(format_args!(
                " It is ready as soon as {device} has a carrier: look at the cable, the modem and its power."
            )),
            Waiting::NoAddress => say(format_args!(
                " It is ready as soon as {device} has an {family} address: from DHCP, say, or by hand."
            )),
            Waiting::NoGateway => say(format_args!(
                " It is ready as soon as its gateway is known: by option gateway, or a default route on {device}."
            )),
            Waiting::RouteRefused => say(format_args!(
                " It is ready as soon as the kernel accepts its route: `failover status` says why it does not."
            )),
            Waiting::DeviceTaken(_) => say(format_args!(
                " It is ready as soon as {holder} leaves it the device {device}: two cannot share one."
            )),
        }
    }

    /// What was asked last, with which answer.
    fn tell_check(&mut self, check: &Check, facts: &CheckFacts, path: &Path) {
        let Check { name, kind, .. } = check;
        let kind = kind.name();
        let target = match check.target.as_str() {
            "" => name.as_str(),
            target => target,
        };
        let must = if check.required { ", required" } else { "" };
        let asked: Text = match (facts.last, facts.asked_at()) {
            _ if path.waiting.is_some() => {
                text(format_args!("not asked while there is no way out"))
            }
            _ if path.duty != Duty::Checked => text(format_args!("not asked while one is pinned")),
            (None, _) if facts.sent == 0 => text(format_args!("not asked yet")),
            (None, _) => text(format_args!("asked, not answered yet")),
            (Some(true), at) => text(format_args!("asked last at {}: answered", self.at(at))),
            (Some(false), at) => match facts.fault {
                None => text(format_args!("asked last at {}: unanswered", self.at(at))),
                Some(fault) => text(format_args!("asked last at {}: {fault}", self.at(at))),
            },
        };
        let (sent, received) = (facts.sent, facts.received);
        let next: Text = match facts.next_at {
            at if facts.last == Some(false) && at > self.view.now => {
                text(format_args!("; asked again at {}", self.at(at)))
            }
            _ => Text::new(),
        };
        if facts.answered_at == Instant::ZERO {
            (self.say)(format_args!(
                " Check {name} ({kind} {target}{must}): {asked}; {received} of {sent} answered{next}."
            ));
        } else {
            let at = self.at(facts.answered_at);
            let rtt = Decimal::new(facts.rtt_us);
            (self.say)(format_args!(
                " Check {name} ({kind} {target}{must}): {asked}; last answer from {target} at {at} after {rtt} ms{next}."
            ));
        }
    }

    fn at(&self, at: Instant) -> At {
        self::at(self.wall_clock_ms, self.view.now, at)
    }
}

fn at(wall_clock_ms: u64, now: Instant, at: Instant) -> At {
    let wall_clock_ms = match at <= now {
        true => wall_clock_ms.saturating_sub((now - at).total_millis()),
        false => wall_clock_ms + (at - now).total_millis(),
    };
    At {
        wall_clock_ms,
        is_today: now.max(at) - now.min(at) < Duration::from_secs(24 * 60 * 60),
    }
}

/// A time on the wall: within a day, that of the day.
#[derive(Clone, Copy)]
struct At {
    wall_clock_ms: u64,
    is_today: bool,
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
