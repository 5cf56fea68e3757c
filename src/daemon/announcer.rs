//! Other programs hear of transitions.
//!
//! What they have heard is kept, and compared with what is so: whatever changes while one of them runs is told once, as it
//! is in the end. So nothing queues up, and nothing is lost.

use std::path::Path;

use serde::Serialize;

use super::Daemon;
use crate::engine::path::Path as CorePath;
use crate::limits::PATHS_MAX;
use crate::linux::clock::now;
use crate::linux::process::hooks::Announcement;
use crate::text::text;
use crate::types::{Family, PathId, PerFamily, Slot, State, Verdict};
use crate::wire::control::Text;

/// What the programs have heard last. All zero bytes when new.
pub(super) struct Heard {
    /// By `PathId::index`: one more than the state; 0: of none.
    paths: [u8; PATHS_MAX],
    leaders: PerFamily<Option<Slot>>,
    pinned: Option<Slot>,
}

/// One transition; what does not apply is empty. The names are those of the environment, in capitals.
#[derive(Default, Serialize)]
struct Transition<'a> {
    action: &'a str,
    provider: &'a str,
    interface: &'a str,
    device: &'a str,
    family: &'a str,
    old: &'a str,
    new: &'a str,
    reason: Text,
    loss: &'a str,
    rtt: &'a str,
}

impl Heard {
    pub(super) const fn new() -> Heard {
        Heard {
            paths: [0; PATHS_MAX],
            leaders: PerFamily { v4: None, v6: None },
            pinned: None,
        }
    }

    /// It is no news that no provider carries a family.
    pub(super) fn is_overridden(&mut self, family: Family) {
        self.leaders[family] = None;
    }
}

impl Daemon<'_> {
    /// What a former run left is known: it is no news.
    pub(super) fn nothing_is_news(&mut self) {
        let core = &self.memory.core;
        let heard = &mut self.memory.heard;
        for index in 0..PATHS_MAX {
            let path = PathId::from_index(index).and_then(|id| core.path(id));
            heard.paths[index] = path.map_or(0, |path| code(announced(path)));
        }
        for family in Family::ALL {
            heard.leaders[family] = core.carrier(family);
        }
        heard.pinned = core.pinned();
    }

    /// A child has ended: perhaps a hook.
    pub(super) fn reap_hooks(&mut self) {
        self.hooks_due |= self.hooks.reap(now());
    }

    /// Tells the next program of the next transition, if there is one that nobody heard of.
    pub(super) fn announce(&mut self) {
        while self.hooks_due && self.hooks.are_idle() {
            let Some(announcement) = self.next_announcement() else {
                self.hooks_due = false;
                return;
            };
            let directory = &self.memory.core.config().globals.hooks_dir;
            self.hooks
                .announce(announcement, Path::new(directory.as_str()), now());
        }
    }

    fn next_announcement(&mut self) -> Option<Announcement> {
        None.or_else(|| self.pin_announcement())
            .or_else(|| self.swap_announcement())
            .or_else(|| self.path_announcement())
    }

    fn pin_announcement(&mut self) -> Option<Announcement> {
        let pinned = self.memory.core.pinned();
        let old = core::mem::replace(&mut self.memory.heard.pinned, pinned);
        (old != pinned).then(|| {
            announcement(&Transition {
                action: "pin",
                provider: self.id(pinned),
                old: self.id(old),
                new: self.id(pinned),
                reason: text(format_args!("by hand")),
                ..Transition::default()
            })
        })
    }

    fn swap_announcement(&mut self) -> Option<Announcement> {
        let family = Family::ALL
            .into_iter()
            .find(|f| self.carrier(*f) != self.memory.heard.leaders[*f])?;
        let leader = self.carrier(family);
        let old = core::mem::replace(&mut self.memory.heard.leaders[family], leader);
        let path = leader.map(|slot| PathId { slot, family });
        let about = self.about(path, family, true);
        let manual = self.kernel[family].manual.obeyed();
        Some(announcement(&Transition {
            action: "swap",
            device: manual.map_or(about.device, |default| &default.device),
            old: self.id(old),
            new: self.id(leader),
            ..about
        }))
    }

    /// The provider that carries a family's traffic: none while a manual default prevails.
    fn carrier(&self, family: Family) -> Option<Slot> {
        let manual = self.kernel[family].manual.obeyed();
        self.memory
            .core
            .carrier(family)
            .filter(|_| manual.is_none())
    }

    /// A path is in use or out of use; what is in between is no news.
    fn path_announcement(&mut self) -> Option<Announcement> {
        for index in 0..PATHS_MAX {
            let id = PathId::from_index(index)?;
            let state = self.memory.core.path(id).map(|path| path.state());
            let heard = self.memory.heard.paths[index];
            let (action, state) = match state {
                None => {
                    self.memory.heard.paths[index] = 0;
                    continue;
                }
                Some(State::Probing | State::Frozen) => continue,
                Some(state) if code(state) == heard => continue,
                Some(State::Online) => ("online", State::Online),
                Some(state) => ("offline", state),
            };
            self.memory.heard.paths[index] = code(state);
            let was_out = [State::Offline, State::Waiting].map(code).contains(&heard) || heard == 0;
            if action == "offline" && was_out {
                continue; // it is out for another reason
            }
            let path = self.memory.core.path(id);
            let window = self
                .memory
                .core
                .config()
                .at(id.slot)
                .map_or(0, |p| p.timing.window);
            let (lost, asked) = path.map_or((0, 0), |path| path.loss(window));
            let loss = (lost * 1000).checked_div(asked);
            let loss = loss.map_or_else(String::new, |loss| format!("{}.{}", loss / 10, loss % 10));
            let rtt = path.and_then(|path| path.rounds.rtt(window));
            let rtt = rtt.map_or_else(String::new, |rtt| {
                format!("{}.{:03}", rtt.avg / 1000, rtt.avg % 1000)
            });
            let old = name(heard);
            return Some(announcement(&Transition {
                action,
                old: &old,
                new: &name(code(state)),
                loss: &loss,
                rtt: &rtt,
                ..self.about(Some(id), id.family, false)
            }));
        }
        None
    }

    /// Whom a transition is about, and why it came to it, as the journal has it. What becomes of the traffic is the word
    /// on a `swap`, and on nothing else.
    fn about(&self, path: Option<PathId>, family: Family, swap: bool) -> Transition<'_> {
        let provider = path.and_then(|path| self.memory.core.config().at(path.slot));
        let id = provider.map(|provider| provider.id.as_str());
        let uplink = path.and_then(|path| self.memory.uplinks.get(path.index()));
        let interface = provider.and_then(|provider| self.memory.interfaces.of(provider, family));
        let entries = self.memory.core.journal().entries();
        let last = entries
            .filter(|entry| entry.who.provider.as_deref() == id && entry.who.family == Some(family))
            .filter(|entry| entry.kind.is_of_traffic() == swap)
            .last();
        Transition {
            provider: id.unwrap_or_default(),
            interface: interface.map_or("", |name| name.as_str()),
            device: uplink.map_or("", |uplink| uplink.device.as_str()),
            family: family.name(),
            reason: last.map_or_else(Text::new, |entry| text(format_args!("{}", entry.cause))),
            ..Transition::default()
        }
    }

    fn id(&self, slot: Option<Slot>) -> &str {
        let provider = slot.and_then(|slot| self.memory.core.config().at(slot));
        provider.map_or("", |provider| provider.id.as_str())
    }
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
        ("REASON", &transition.reason),
        ("LOSS", transition.loss),
        ("RTT", transition.rtt),
    ];
    let json = serde_json_core::to_string::<_, 1024>(transition);
    Announcement {
        variables: variables
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec(),
        json: json
            .map(|json| json.as_str().to_owned())
            .unwrap_or_default(), // there is room
    }
}

/// What programs were told of a path that a former run knew: nothing, while it was frozen or on its way to a verdict.
fn announced(path: &CorePath) -> State {
    match (path.state(), path.verdict) {
        (State::Frozen | State::Probing, Verdict::Online | Verdict::Fresh) => State::Online,
        (State::Frozen | State::Probing, Verdict::Offline | Verdict::Returning) => State::Offline,
        (state, _) => state,
    }
}

fn code(state: State) -> u8 {
    state as u8 + 1
}

fn name(code: u8) -> String {
    let states = [
        State::Online,
        State::Probing,
        State::Offline,
        State::Frozen,
        State::Waiting,
    ];
    let state = states.into_iter().find(|state| self::code(*state) == code);
    state.map_or_else(String::new, |state| state.to_string())
}
