//! Logs transitions, and runs hooks for them.
//!
//! The state that hooks were told last is kept, and compared with the current one. What changes while a hook runs is told
//! once, by its final state. So there is no queue, and no change is lost. What flaps is told by hooks and log when it is calm.

use std::path::Path;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::context::Context;
use super::routes::RouteSync;
use super::snapshot::Snapshot;
use crate::engine::Engine;
use crate::engine::journal::Entry;
use crate::engine::path::Path as EnginePath;
use crate::limits::PATHS_MAX;
use crate::linux::clock::now;
use crate::linux::log;
use crate::linux::process::hooks::{Announcement, Hooks};
use crate::linux::process::ubus::Interfaces;
use crate::text::text;
use crate::types::{
    Cause, Family, Instant, Kind, Name, PathId, PerFamily, Slot, State, Verdict, soonest,
};
use crate::wire::control::Text;
use crate::wire::decimal::Decimal;

/// The state that hooks were told last. All zero bytes when new.
pub(super) struct Heard {
    /// By `PathId::index`: the state, plus one; 0: not told yet.
    paths: [u8; PATHS_MAX],
    leaders: PerFamily<Option<Slot>>,
    pinned: Option<Slot>,
}

/// The hooks, the state that they were told, and the number of logged entries.
pub(super) struct Announcer<'m> {
    heard: &'m mut Heard,
    hooks: Hooks,
    /// How many of the journal's entries are logged.
    logged: u32,
    /// When they were looked at last.
    looked_at: Instant,
    /// When the first burst is calm.
    calm_at: Option<Instant>,
}

/// The subject of a transition.
struct Facts<'a> {
    snapshot: Snapshot<'a>,
    routes: &'a RouteSync<'a>,
    interfaces: &'a Interfaces,
    /// How many connections were handed over by the last swap; none where they are not marked.
    connections: PerFamily<Option<u32>>,
}

/// One transition; a field that does not apply is empty.
#[derive(Default)]
struct Transition<'a> {
    action: &'a str,
    provider: &'a str,
    interface: &'a str,
    device: &'a str,
    family: &'a str,
    old: &'a str,
    new: &'a str,
    reason: &'a str,
    loss: &'a str,
    rtt: &'a str,
    connections: &'a str,
}

impl Heard {
    pub(super) const fn new() -> Heard {
        Heard {
            paths: [0; PATHS_MAX],
            leaders: PerFamily { v4: None, v6: None },
            pinned: None,
        }
    }
}

impl<'m> Announcer<'m> {
    /// Records the restored state as told and logged.
    pub(super) fn new(heard: &'m mut Heard, engine: &Engine) -> Announcer<'m> {
        for index in 0..PATHS_MAX {
            let path = PathId::from_index(index).and_then(|id| engine.path(id));
            heard.paths[index] = path.map_or(0, |path| code(announced(path)));
        }
        for &family in &Family::ALL {
            let overridden = engine.journal().overridden(family).is_some();
            heard.leaders[family] = engine.carrier(family).filter(|_| !overridden);
        }
        heard.pinned = engine.pinned();
        Announcer {
            heard,
            hooks: Hooks::default(),
            logged: engine.journal().written(),
            looked_at: now(),
            calm_at: None,
        }
    }

    /// Logs the new entries of the journal, and the bursts that are calm now.
    pub(super) fn log(&mut self, cx: &mut Context<'_>) {
        let journal = cx.engine.journal();
        if journal.written() == self.logged && self.calm_at.is_none_or(|at| now() < at) {
            return;
        }
        let now = now();
        self.calm_at = None;
        for entry in journal.entries() {
            match entry.calm_at() {
                Some(at) if at > now => {
                    self.calm_at = soonest(&[&self.calm_at, &Some(at)]);
                }
                Some(at) if at > self.looked_at => {
                    write(entry);
                    cx.hooks_due = true;
                }
                None if entry.number() >= self.logged => write(entry),
                _ => {}
            }
        }
        (self.logged, self.looked_at) = (journal.written(), now);
    }

    /// A child has ended. It may be a hook.
    pub(super) fn reap(&mut self, cx: &mut Context<'_>) {
        cx.hooks_due |= self.hooks.reap(now());
    }

    /// When [`Announcer::give_up`] or [`Announcer::log`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        soonest(&[&self.hooks.next_deadline(), &self.calm_at])
    }

    /// Kills a hook that takes too long.
    pub(super) fn give_up(&mut self, now: Instant) {
        self.hooks.give_up(now);
    }

    /// The daemon ends.
    pub(super) fn stop(&mut self) {
        self.hooks.stop();
    }

    /// Runs the next hook for the next transition, if there is one that was not told.
    pub(super) fn announce(
        &mut self,
        cx: &mut Context<'_>,
        routes: &RouteSync<'_>,
        interfaces: &Interfaces,
    ) {
        while cx.hooks_due && self.hooks.are_idle() && !cx.handing_over {
            let facts = Facts {
                snapshot: Snapshot::of(cx.engine, routes, now()),
                routes,
                interfaces,
                connections: PerFamily {
                    v4: routes.marks.v4.map(|_| cx.handed_over.v4),
                    v6: routes.marks.v6.map(|_| cx.handed_over.v6),
                },
            };
            let Some(announcement) = self.heard.next_announcement(&facts) else {
                cx.hooks_due = false;
                return;
            };
            let directory = &cx.engine.config().globals.hooks_dir;
            self.hooks
                .announce(announcement, Path::new(directory.as_str()), now());
        }
    }
}

/// Writes an entry to the log.
fn write(entry: &Entry) {
    let Entry {
        kind,
        cause,
        repeats,
        ..
    } = entry;
    let provider = entry.subject.provider.as_deref().unwrap_or("failover");
    let family = entry.subject.family.map_or("", Family::name);
    let blank = if family.is_empty() { "" } else { " " };
    let what = match kind {
        Kind::HandedOver => format_args!(""),
        _ => format_args!("{kind}: "),
    };
    let say = match entry.kind.is_grave() {
        true => log::warn,
        false => log::info,
    };
    say(format_args!(
        "{provider}{blank}{family}: {what}{cause}{repeats}"
    ));
}

impl Heard {
    fn next_announcement(&mut self, facts: &Facts<'_>) -> Option<Announcement> {
        None.or_else(|| self.pin_announcement(facts))
            .or_else(|| self.swap_announcement(facts))
            .or_else(|| self.path_announcement(facts))
    }

    fn pin_announcement(&mut self, facts: &Facts<'_>) -> Option<Announcement> {
        let pinned = facts.snapshot.engine.pinned();
        let old = core::mem::replace(&mut self.pinned, pinned);
        (old != pinned).then(|| {
            announcement(&Transition {
                action: "pin",
                provider: facts.id(pinned),
                old: facts.id(old),
                new: facts.id(pinned),
                reason: "by hand",
                ..Transition::default()
            })
        })
    }

    fn swap_announcement(&mut self, facts: &Facts<'_>) -> Option<Announcement> {
        let carrier = |family| {
            let carrier = facts.snapshot.carrier(family);
            carrier.filter(|_| !facts.routes.was_overridden(facts.snapshot.engine, family))
        };
        let mut families = Family::ALL.iter();
        let &family = families.find(|&&family| {
            let (old, new) = (self.leaders[family], carrier(family));
            let subjects = [None, old, new];
            old != new && !subjects.iter().any(|slot| facts.flaps(*slot, family))
        })?;
        let leader = carrier(family);
        let old = core::mem::replace(&mut self.leaders[family], leader);
        let path = leader.map(|slot| PathId { slot, family });
        let manual = facts.snapshot.manual[family];
        let cause = match manual {
            Some(_) => facts.snapshot.overridden_cause(family),
            None => facts.snapshot.lead_cause(family),
        };
        let reason = told(cause);
        let connections = facts.connections[family].map(|count| count.to_string());
        let mut transition = Transition {
            action: "swap",
            old: facts.id(old),
            new: facts.id(leader),
            reason: &reason,
            connections: connections.as_deref().unwrap_or_default(),
            ..Transition::default()
        };
        facts.describe(path, family, &mut transition);
        if let Some(default) = manual {
            transition.device = &default.device;
        }
        Some(announcement(&transition))
    }

    /// Whether a path came into use or went out of use; the states in between are not told.
    fn path_announcement(&mut self, facts: &Facts<'_>) -> Option<Announcement> {
        let snapshot = &facts.snapshot;
        let engine = snapshot.engine;
        for index in 0..PATHS_MAX {
            let id = PathId::from_index(index)?;
            let state = engine.path(id).map(|path| path.state());
            let heard = self.paths[index];
            let (action, state) = match state {
                None => {
                    self.paths[index] = 0;
                    continue;
                }
                Some(State::Probing | State::Frozen) => continue,
                Some(state) if code(state) == heard => continue,
                Some(_) if facts.flaps(Some(id.slot), id.family) => continue,
                Some(State::Online) => ("online", State::Online),
                Some(state) => ("offline", state),
            };
            self.paths[index] = code(state);
            let was_out = [0, code(State::Offline), code(State::Waiting)].contains(&heard);
            if action == "offline" && was_out {
                continue; // not in use for another reason
            }
            let path = engine.path(id)?;
            let loss = snapshot.loss(path).map(|loss| loss.to_string());
            let rtt = snapshot.rtt(path).avg.map(in_full);
            let reason = told(snapshot.cause(path).map(|entry| &entry.cause));
            let mut transition = Transition {
                action,
                old: name(heard),
                new: state.name(),
                reason: &reason,
                loss: loss.as_deref().unwrap_or_default(),
                rtt: rtt.as_deref().unwrap_or_default(),
                ..Transition::default()
            };
            facts.describe(Some(id), id.family, &mut transition);
            return Some(announcement(&transition));
        }
        None
    }
}

impl<'a> Facts<'a> {
    /// Names the path of a transition.
    fn describe(&self, path: Option<PathId>, family: Family, transition: &mut Transition<'a>) {
        transition.family = family.name();
        if let Some(path) = path
            && let Some(provider) = self.snapshot.engine.config().at(path.slot)
        {
            transition.provider = &provider.id;
            let interface = self.interfaces.of(provider, family);
            transition.interface = interface.map_or("", |name| name.as_str());
            let uplink = self.snapshot.uplink(path);
            transition.device = uplink.map_or("", |uplink| uplink.device.as_str());
        }
    }

    /// Whether a path, or without a slot a family's traffic, flaps: hooks hear of it when it is calm.
    fn flaps(&self, slot: Option<Slot>, family: Family) -> bool {
        let Snapshot { engine, now, .. } = self.snapshot;
        let until = engine.journal().flaps_until(self.snapshot.id(slot), family);
        until.is_some_and(|until| now < until)
    }

    fn id(&self, slot: Option<Slot>) -> &'a str {
        self.snapshot.id(slot).map_or("", Name::as_str)
    }
}

/// The reason of a transition.
fn told(cause: Option<&Cause>) -> Text {
    cause.map_or_else(Text::new, |cause| text(format_args!("{cause}")))
}

fn announcement(transition: &Transition<'_>) -> Announcement {
    let variables = [
        ("ACTION", transition.action),
        ("PROVIDER", transition.provider),
        ("INTERFACE", transition.interface),
        ("DEVICE", transition.device),
        ("FAMILY", transition.family),
        ("OLD", transition.old),
        ("NEW", transition.new),
        ("REASON", transition.reason),
        ("LOSS", transition.loss),
        ("RTT", transition.rtt),
        ("CONNECTIONS", transition.connections),
    ];
    let mut json = [0; 1024];
    let length = serde_json_core::to_slice(&Object(&variables), &mut json).unwrap_or(0); // it always fits
    let variables = variables.iter();
    Announcement {
        variables: variables
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        json: String::from_utf8_lossy(&json[..length]).into_owned(),
    }
}

/// The variables as a JSON object, in which their names are in lower case.
struct Object<'a>(&'a [(&'static str, &'a str)]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (name, value) in self.0 {
            object.serialize_entry(name.to_ascii_lowercase().as_str(), value)?;
        }
        object.end()
    }
}

/// The state of a restored path that hooks were told by a former run; none while it was frozen or had no verdict.
fn announced(path: &EnginePath) -> State {
    match (path.state(), path.verdict()) {
        (State::Frozen | State::Probing, Verdict::Online | Verdict::Fresh) => State::Online,
        (State::Frozen | State::Probing, Verdict::Offline | Verdict::Returning) => State::Offline,
        (state, _) => state,
    }
}

fn code(state: State) -> u8 {
    state as u8 + 1
}

fn name(code: u8) -> &'static str {
    let state = State::ALL.iter().find(|state| self::code(**state) == code);
    state.map_or("", |state| state.name())
}

/// Always with three decimals.
fn in_full(Decimal { thousandths }: Decimal) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}
