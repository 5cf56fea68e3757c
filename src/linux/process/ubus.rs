//! Device and gateway of OpenWrt's logical interfaces, read from netifd by `ubus call network.interface dump`. One call
//! serves all interfaces, and runs as a child process without blocking the daemon.
//!
//! It is called at the start, at a reload, and when netifd's hotplug script reports a change of an interface
//! ([`Interfaces::refresh`]). In between, the kernel's events report changes of device and addresses.
//!
//! | module | job |
//! |---|---|
//! | `call` | a call that runs: its child and output |
//! | `known` | an interface that a provider names, and what is known of it |

mod call;
mod known;

use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;

use crate::config::{Config, Provider};
use crate::limits::{INTERFACES_WATCHED_MAX, TUNNELS_MAX};
use crate::linux::clock::{now, pause};
use crate::linux::errno;
use crate::routing::delegated::Each;
use crate::routing::resolvers;
use crate::routing::uplink::Told;
use crate::types::{Duration, Family, GivenDevice, Instant, InterfaceName};
use crate::wire::netifd::{Interface, parent};
use call::Asking;
use known::{Known, Lookup, place_of};

pub use call::PATIENCE;

/// Pause after a failed call.
const PAUSE: Duration = Duration::from_secs(10);
/// How long after the first failed call an unknown interface counts as pending: netifd may be starting. Meanwhile, the
/// routes of an earlier run stay.
const HOLD: Duration = Duration::from_secs(20);
/// Pause between calls during this time.
const PAUSE_HELD: Duration = Duration::from_secs(1);
/// Pause between two looks for output, where nothing else is to be done.
const BETWEEN_LOOKS_MS: u8 = 5;
/// Exit status of `ubus` if there is no such object (UBUS_STATUS_NOT_FOUND).
const NOT_FOUND: u8 = 4;

/// The interfaces that providers name, and their data from netifd. All zero bytes when new.
#[derive(Debug)]
#[repr(C)] // keeps the order: small fields share a memory page with the beginning of the list
pub struct Interfaces {
    /// the running call
    asking: Vec<Asking, 1>,
    /// a call is due
    due: bool,
    /// … but not earlier, because the last one failed
    not_before: Option<Instant>,
    /// time of the first failed call in a row
    failing_since: Option<Instant>,
    /// calls that have ended, with or without data
    ended: u32,
    /// WireGuard interfaces that are up
    tunnels: Tunnels,
    known: Vec<Known, INTERFACES_WATCHED_MAX>,
}

type Tunnels = Vec<InterfaceName, TUNNELS_MAX>;

/// What the configuration or netifd says about a provider's uplink.
pub(crate) fn told_of(interfaces: &Interfaces, provider: &Provider, family: Family) -> Told {
    match provider.interfaces.is_empty() {
        true => Told::device(&provider.device[family]),
        false => interfaces.told(provider, family),
    }
}

/// Why there are no current data of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceError {
    /// netifd knows no such interface
    Unknown,
    /// there were never data, for this reason
    NoAnswer(NoAnswer),
    /// calls fail for this reason; the last data are kept
    Silent(NoAnswer),
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// `ubus` cannot be started
    Program(Errno),
    /// it ended with this status
    Status(u8),
    /// it took too long, or was killed
    Killed,
    /// its output cannot be parsed
    Unreadable,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Program(errno) => f.write_str(&errno::text(&(*errno).into())),
            NoAnswer::Status(NOT_FOUND) => f.write_str("it does not run"),
            NoAnswer::Status(status) => write!(f, "exit {status}"),
            NoAnswer::Killed => f.write_str("no answer in time"),
            NoAnswer::Unreadable => f.write_str("what it says cannot be read"),
        }
    }
}

impl Interfaces {
    /// No interfaces.
    #[allow(clippy::new_without_default)] // a default would be made on the stack
    pub const fn new() -> Interfaces {
        Interfaces {
            asking: Vec::new(),
            due: false,
            not_before: None,
            failing_since: None,
            ended: 0,
            tunnels: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Follows a new configuration: its interfaces are asked for, others are forgotten.
    pub fn follow(&mut self, config: &Config) {
        // Those of disabled providers, too: a default route by their devices is not a manual one.
        let providers = &config.providers;
        let wanted = |name: &InterfaceName| providers.iter().any(|p| p.interfaces.contains(name));
        // An empty list is not written to: that would touch its memory pages.
        if !self.known.is_empty() {
            self.known.retain(|known| wanted(&known.name));
        }
        for provider in providers {
            for name in &provider.interfaces {
                if !self.known.iter().any(|known| known.name == *name) {
                    // There is room for all interfaces of a configuration.
                    let _ = self.known.push(Known {
                        name: name.clone(),
                        lookup: Lookup::Pending,
                        lost_reason: None,
                        new_lookup: Lookup::Pending,
                    });
                }
            }
        }
        self.refresh(None);
    }

    /// An interface, or any, has changed. Returns whether a provider names it, or one that it is a dynamic interface of. Another
    /// may be a tunnel: that has time.
    pub fn refresh(&mut self, name: Option<&str>) -> bool {
        let of_interest = match name {
            Some(name) => place_of(&self.known, name).is_some(),
            None => !self.known.is_empty(),
        };
        if of_interest {
            (self.due, self.not_before) = (true, None);
        } else if !self.due && !self.known.is_empty() {
            (self.due, self.not_before) = (true, Some(now() + PAUSE));
        }
        of_interest
    }

    /// The interfaces that providers name.
    pub fn names(&self) -> impl Iterator<Item = &InterfaceName> {
        self.known.iter().map(|known| &known.name)
    }

    /// Starts a call if one is due and none is running. Returns the descriptor to poll for its output.
    pub fn ask(&mut self, now: Instant) -> Option<BorrowedFd<'_>> {
        let wait = self.not_before.is_some_and(|at| now < at);
        if !self.asking.is_empty() || !self.due || wait || self.known.is_empty() {
            return None;
        }
        self.due = false;
        match Asking::start(now) {
            Ok(asking) => {
                let _ = self.asking.push(asking); // it was empty
            }
            Err(errno) => {
                self.conclude(Err(NoAnswer::Program(errno)), now);
            }
        }
        self.asking.first()?.output.as_ref().map(OwnedFd::as_fd)
    }

    /// When [`Interfaces::ask`] or `Interfaces::give_up` has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.asking.first() {
            Some(asking) => asking.deadline,
            None => self.not_before.filter(|_| self.due),
        }
    }

    /// How many calls have ended, with or without data.
    pub(crate) fn ended(&self) -> u32 {
        self.ended
    }

    /// How many calls have begun.
    pub(crate) fn begun(&self) -> u32 {
        self.ended + u32::from(!self.asking.is_empty())
    }

    /// Whether a call is due or running.
    pub(crate) fn is_asking(&self) -> bool {
        let unasked = |known: &Known| matches!(known.lookup, Lookup::Pending);
        !self.asking.is_empty() || self.known.iter().any(unasked)
    }

    /// Whether an interface of a provider is still pending.
    pub(crate) fn is_awaited(&self, provider: &Provider) -> bool {
        let unasked = |known: &Known| matches!(known.lookup, Lookup::Pending);
        let mut known = self.known.iter().filter(|known| unasked(known));
        known.any(|known| provider.interfaces.contains(&known.name))
    }

    /// Whether netifd has no device for one of these providers.
    pub(crate) fn lack_any(&self, config: &Config) -> bool {
        config.enabled().any(|provider| {
            let lacks = |family| self.told(provider, family).device.is_empty();
            let named = !provider.interfaces.is_empty() && !self.is_awaited(provider);
            named && Family::ALL.into_iter().all(lacks)
        })
    }

    /// Kills a call whose deadline has passed.
    pub(crate) fn give_up(&mut self, now: Instant) {
        if let Some(asking) = self.asking.first_mut() {
            asking.child.give_up(&mut asking.deadline, now);
        }
    }

    /// Kills the running call, because the daemon ends.
    pub fn stop(&mut self) {
        for asking in &self.asking {
            asking.child.kill();
        }
    }

    /// Reads output, or handles the end of a child. Returns whether the data have changed.
    pub fn hear(&mut self, now: Instant) -> bool {
        let Interfaces { asking, known, .. } = self;
        let Some(asked) = asking.first_mut() else {
            return false;
        };
        // Not those of a call that fails.
        let mut tunnels = core::mem::take(&mut asked.tunnels);
        asked.read(&mut |name, told| {
            if told.as_ref().is_ok_and(|told| told.wireguard && told.up) {
                let name = InterfaceName::try_from(name);
                tunnels.extend(name.ok().filter(|_| !tunnels.is_full()));
            }
            let known = place_of(known, name).and_then(|place| known.get_mut(place));
            if let Some(known) = known {
                known.hear(name, told);
            }
        });
        asked.tunnels = tunnels;
        if asked.output.is_some() || !asked.child.has_ended() {
            return false;
        }
        let result = asked.result();
        let mut news = false;
        if result.is_ok() && self.tunnels != asked.tunnels {
            self.tunnels = core::mem::take(&mut asked.tunnels);
            news = true;
        }
        asking.clear();
        self.conclude(result, now) | news
    }

    /// Handles the result of a call. Returns whether the data have changed.
    fn conclude(&mut self, result: Result<(), NoAnswer>, now: Instant) -> bool {
        self.ended = self.ended.wrapping_add(1);
        let (mut news, mut again, mut held) = (false, false, false);
        let since = match result {
            Ok(()) => None,
            Err(_) => Some(self.failing_since.unwrap_or(now)),
        };
        self.failing_since = since;
        let patient = since.is_some_and(|since| now < since + HOLD);
        for known in &mut self.known {
            let is_pending = matches!(known.lookup, Lookup::Pending);
            if let Err(why) = result {
                known.new_lookup = Lookup::Failed(why);
            } else if matches!(known.new_lookup, Lookup::Pending) {
                // The interface may have been added after its place in the output: another call is due.
                if self.due && is_pending {
                    continue;
                }
                known.new_lookup = Lookup::NotFound;
            }
            if let Lookup::Failed(why) = known.new_lookup {
                again = true;
                // If there is no `ubus`, waiting does not help.
                if patient && is_pending && !matches!(why, NoAnswer::Program(_)) {
                    held = true;
                    known.new_lookup = Lookup::Pending;
                    news |= known.lose(why);
                    continue;
                }
            }
            news |= known.update();
        }
        if again {
            let pause = if held { PAUSE_HELD } else { PAUSE };
            // Unless a change was reported meanwhile.
            self.not_before = (!self.due).then_some(now + pause);
            self.due = true;
        }
        news
    }

    /// The interfaces without current data, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&InterfaceName, InterfaceError)> {
        self.known.iter().filter_map(|known| {
            let failure = match (&known.lookup, known.lost_reason) {
                (Lookup::NotFound, _) => InterfaceError::Unknown,
                (Lookup::Failed(why), _) => InterfaceError::NoAnswer(*why),
                (Lookup::Found(_), Some(why)) => InterfaceError::Silent(why),
                (Lookup::Pending, Some(why)) => InterfaceError::NoAnswer(why),
                (Lookup::Found(_) | Lookup::Pending, _) => return None,
            };
            Some((&known.name, failure))
        })
    }

    /// The WireGuard interfaces of netifd's that are up.
    pub(crate) fn tunnels(&self) -> &[InterfaceName] {
        &self.tunnels
    }

    /// Whether netifd would have told of a provider's route to a host, as it tells of those that are configured or learned;
    /// it does not tell of those that it has added for a tunnel.
    pub(crate) fn has_told_host(&self, provider: &Provider, host: IpAddr) -> bool {
        provider.interfaces.is_empty()
            || self
                .of_provider(provider)
                .any(|known| known.hosts.is_full() || known.hosts.contains(&host))
    }

    /// Those that netifd has made by itself, or that may be such a one that is not there now; and the interface that it has
    /// made it for.
    pub fn dynamic(&self) -> impl Iterator<Item = (&InterfaceName, &str)> {
        self.known.iter().filter_map(|known| {
            let is_one = match &known.lookup {
                Lookup::Found(interface) => interface.dynamic,
                Lookup::NotFound => true,
                _ => false,
            };
            let parent = parent(&known.name).filter(|_| is_one)?;
            Some((&known.name, parent))
        })
    }

    /// Asks netifd, and waits for the answer: at most `patience`, and for one call, or until all interfaces are known.
    pub fn look(&mut self, patience: Duration, once: bool) {
        let end = now() + patience;
        while self.is_asking() && now() < end && !(once && self.ended > 0) {
            let _ = self.ask(now());
            self.give_up(now());
            self.hear(now());
            pause(BETWEEN_LOOKS_MS);
        }
        self.stop();
    }

    /// netifd's data of a provider in a family: of its first interface with a default route there; else the first that
    /// serves the family; else the first that is up.
    pub fn told(&self, provider: &Provider, family: Family) -> Told {
        let (mut best, mut best_fit) = (None, 0);
        for interface in self.of_provider(provider) {
            let fit = match interface {
                Interface { up: false, .. } => 0,
                _ if interface.device[family].is_empty() => 0,
                _ if interface.way[family].is_some() => 3,
                _ if interface.brings(family) => 2,
                _ => 1,
            };
            if fit > best_fit {
                (best, best_fit) = (Some(interface), fit);
            }
        }
        let mut told = Told::default();
        if let Some(interface) = best {
            told.device = GivenDevice::try_from(&*interface.device[family]).unwrap_or_default();
            told.way = interface.way[family];
            let delegated = interface.delegated.first().copied();
            told.delegated = delegated.filter(|_| family == Family::V6);
        }
        told
    }

    /// Tells another each prefix that is delegated to a provider. Returns whether netifd has answered for all its interfaces.
    pub fn tell_delegated(&self, provider: &Provider, each: Each<'_>) -> bool {
        for interface in self.of_provider(provider).filter(|one| one.up) {
            interface.delegated.iter().for_each(|prefix| each(*prefix));
        }
        !self.is_awaited(provider)
    }

    /// Tells another each resolver that netifd has for a provider.
    pub fn tell_resolvers(&self, provider: &Provider, each: resolvers::Each<'_>) {
        for interface in self.of_provider(provider).filter(|one| one.up) {
            interface.dns.iter().for_each(|resolver| each(*resolver));
        }
    }

    /// The interface of [`Interfaces::told`]; else the provider's first.
    pub fn of<'p>(&self, provider: &'p Provider, family: Family) -> Option<&'p InterfaceName> {
        let told = self.told(provider, family);
        let same = |name: &&InterfaceName| {
            self.known(name).is_some_and(|interface| {
                interface.device[family] == told.device && interface.brings(family)
            })
        };
        let mut names = provider.interfaces.iter();
        names.clone().find(same).or_else(|| names.next())
    }

    /// What is known of a provider's interfaces, in its order.
    fn of_provider<'p>(&'p self, provider: &'p Provider) -> impl Iterator<Item = &'p Interface> {
        provider
            .interfaces
            .iter()
            .filter_map(|name| self.known(name))
    }

    fn known(&self, name: &str) -> Option<&Interface> {
        let known = self.known.iter().find(|known| known.name == name)?;
        match &known.lookup {
            Lookup::Found(interface) => Some(interface),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
