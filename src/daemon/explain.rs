//! `explain`: in sentences, why a provider is or is not in use, since when, what would change it, and what its checks said.
//!
//! The first sentence of a path begins a line; the others, behind a blank, belong to it.

use core::fmt;

use super::status::View;
use crate::config::{
    Check, LastResort, Limit, Measure, Name, PathId, Preempt, Provider, Slot, Timing, value::Span,
};
use crate::failover::Waiting;
use crate::failover::path::{Duty, Path, State, Verdict};
use crate::failover::rounds::CheckFacts;
use crate::linux::clock;
use crate::net::{Duration, Family, Instant};
use crate::text::{Timestamp, text};
use crate::wire::control::Text;
use crate::wire::decimal::Decimal;

/// The sentence after `asked` others, on one provider or on all; none when all is said.
pub(super) fn sentence(view: &View<'_>, id: Option<&Name>, asked: usize) -> Option<Text> {
    let mut sentence = None;
    let mut left = asked;
    Telling {
        view,
        wall_clock_ms: clock::wall_clock_ms(),
        say: &mut |said| {
            if left == 0 && sentence.is_none() {
                sentence = Some(text(said));
            }
            left = left.saturating_sub(1);
        },
    }
    .tell(id);
    sentence
}

struct Telling<'a, 'v> {
    view: &'a View<'v>,
    wall_clock_ms: u64,
    say: &'a mut dyn FnMut(fmt::Arguments<'_>),
}

impl Telling<'_, '_> {
    fn tell(&mut self, id: Option<&Name>) {
        let now = self.at(self.view.now);
        (self.say)(format_args!("At {now} UTC:"));
        let config = self.view.core.config();
        for provider in config
            .providers
            .iter()
            .filter(|p| id.is_none_or(|id| p.id == *id))
        {
            let id = &provider.id;
            if !provider.enabled {
                (self.say)(format_args!(
                    "{id} is not used: option enabled is '0' in the configuration."
                ));
            }
            for family in Family::ALL {
                let slot = provider.slot;
                if let Some(path) = self.view.core.path(PathId { slot, family }) {
                    self.tell_path(provider, path);
                }
            }
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

    /// Why it is in its state, in the journal's words.
    fn cause(&self, provider: &Provider, path: &Path) -> Option<Text> {
        let state: Text = text(format_args!("{}", path.state()));
        let of_path = |provider_id: Option<&Name>, family| {
            provider_id == Some(&provider.id) && family == Some(path.id.family)
        };
        let mut cause = None;
        for entry in self.view.core.journal().entries() {
            // "a → b", or "b" when only the reason is another
            let what = entry.what.rsplit(' ').next();
            if of_path(entry.provider.as_ref(), entry.family) && what == Some(state.as_str()) {
                cause = Some(text(format_args!("{}", entry.cause)));
            }
        }
        cause
    }

    fn name(&self, slot: Option<Slot>) -> &str {
        let provider = slot.and_then(|slot| self.view.core.config().at(slot));
        provider.map_or("nobody", |provider| provider.id.as_str())
    }

    /// Why it carries traffic, or does not.
    fn tell_use(&mut self, provider: &Provider, path: &Path) {
        let core = self.view.core;
        let config = core.config();
        let (slot, family) = (provider.slot, path.id.family);
        let leader = core.leader(family);
        if leader == Some(slot) {
            return self.tell_lead(path);
        }
        let id = &provider.id;
        let carrier: Text = text(format_args!("{}", self.name(leader)));
        let before = |other: Option<Slot>| {
            let place = |slot| config.providers.iter().position(|p| p.slot == slot);
            other.and_then(place) > place(slot)
        };
        let say = &mut self.say;
        match (path.duty, path.state()) {
            (Duty::Frozen, _) => say(format_args!(
                " It is not used, and not checked: {carrier} is pinned, until `failover use auto`."
            )),
            _ if core.is_disabled(slot) => say(format_args!(
                " It is not used: it was disabled by hand, until `failover enable {id}`."
            )),
            (_, State::Online) if before(leader) => match config.globals.preempt {
                Preempt::After(wait) => {
                    let at = at(self.wall_clock_ms, self.view.now, path.since + wait);
                    let wait = Span(wait);
                    say(format_args!(
                        " It stands by: preempt lets it take over from {carrier} at {at}, when it has been online for {wait}."
                    ));
                }
                _ => say(format_args!(
                    " It stands by: {carrier} carries {family} until that fails, for preempt is no; `failover use {id}` prefers this one."
                )),
            },
            (_, State::Online) => say(format_args!(
                " It stands by: {carrier} carries {family}, and is before it in the order."
            )),
            _ if core.plan(family).unreachable => say(format_args!(
                " Nobody carries {family}: no provider works, and last_resort is unreachable."
            )),
            _ => say(format_args!(" It is not used: {carrier} carries {family}.")),
        }
    }

    fn tell_lead(&mut self, path: &Path) {
        let core = self.view.core;
        let family = path.id.family;
        let last_resort = core.config().globals.last_resort;
        let healthy = matches!(path.verdict, Verdict::Online | Verdict::Fresh);
        let works =
            |slot| core.path(PathId { slot, family }).map(Path::state) == Some(State::Online);
        let before = core
            .config()
            .enabled()
            .take_while(|p| p.slot != path.id.slot);
        let mut better = before.filter(|p| works(p.slot) && !core.is_disabled(p.slot));
        let better = better.next().map(|p| p.id.as_str());
        let say = &mut self.say;
        match last_resort {
            _ if path.duty == Duty::Pinned => say(format_args!(
                " It carries {family} because it is pinned, until `failover use auto`; nobody is checked meanwhile."
            )),
            _ if core.plan(family).unreachable => say(format_args!(
                " Nobody carries {family}: no provider works, and last_resort is unreachable."
            )),
            _ if healthy && path.waiting.is_none() => match better {
                None => say(format_args!(
                    " It carries {family}: it is the first in the order that works."
                )),
                Some(better) => say(format_args!(
                    " It carries {family}: {better} is before it in the order and works again, but preempt lets it stay."
                )),
            },
            LastResort::Keep => say(format_args!(
                " It carries {family} all the same: no provider works, and last_resort is keep."
            )),
            _ => say(format_args!(
                " It carries {family} all the same: no provider works, and it is the last resort."
            )),
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
