//! OpenWrt's logical interfaces: which device and gateway they have, asked of netifd by `ubus call network.interface dump`,
//! once for all of them, as a child process that nobody waits for.
//!
//! Asked at the start; at a reload; and when somebody says that an interface has changed ([`Interfaces::refresh`]): netifd
//! runs its hotplug scripts then. In between, the kernel's events tell what becomes of device and addresses.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

use super::child::Child;
use crate::config::{Config, Provider};
use crate::limits::INTERFACES_WATCHED_MAX;
use crate::linux::errno;
use crate::routing::uplink::Told;
use crate::types::{Duration, Family, Instant, Name};
use crate::wire::netifd::{Dump, Interface, Sink, Unreadable};

/// An answer takes some milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Before asking again what could not be asked, or was not understood.
const PAUSE: Duration = Duration::from_secs(10);
/// Since the first question that was not answered, so long an answer is still awaited of an interface that nothing is known
/// of: what a former run left holds meanwhile. Netifd may be starting, or broken for a moment.
const HOLD: Duration = Duration::from_secs(20);
/// Between two questions meanwhile.
const PAUSE_HELD: Duration = Duration::from_secs(1);
/// So much of an answer is read at a time, in bytes.
const PIECE: usize = 512;
/// How `ubus` ends when there is no such object (UBUS_STATUS_NOT_FOUND).
const NOT_FOUND: u8 = 4;

/// The interfaces that providers name, and what netifd said of them. All zero bytes when new.
#[derive(Debug)]
#[repr(C)] // what is small stands by the beginning of the list
pub struct Interfaces {
    /// the question that is asked now
    asking: Vec<Asking, 1>,
    /// to be asked
    due: bool,
    /// … but not before: there was no answer
    not_before: Option<Instant>,
    /// since when there is no answer
    failing_since: Option<Instant>,
    known: Vec<Known, INTERFACES_WATCHED_MAX>,
}

#[derive(Debug)]
struct Known {
    name: Name,
    standing: Standing,
    /// why it tells nothing any more, while what it told before holds: the first reason
    silent: Option<NoAnswer>,
    /// what the answer that is being read says of it
    heard: Standing,
}

/// What is said of a provider's way out, by the configuration or by netifd.
pub fn told_of(interfaces: &Interfaces, provider: &Provider, family: Family) -> Told {
    match provider.interfaces.is_empty() {
        true => Told::device(&provider.device[family]),
        false => interfaces.told(provider, family),
    }
}

/// What came of asking last.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Standing {
    /// nothing yet
    #[default]
    Unasked,
    /// netifd has it so
    Told(Interface),
    /// netifd knows no such interface
    Unknown,
    /// there is no `ubus`, or it did not answer in time, or nothing that can be read
    NoAnswer(NoAnswer),
}

/// Why netifd tells nothing of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// it knows no such interface
    Unknown,
    /// it never told of it, for this reason
    NoAnswer(NoAnswer),
    /// it told of it once, and no more, for this reason; what it told holds
    Silent(NoAnswer),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// it cannot be started
    Program(Errno),
    /// it ended with this status
    Status(u8),
    /// it took too long, or was killed
    Killed,
    /// it printed something else, or too much
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

#[derive(Debug)]
struct Asking {
    child: Child,
    /// what it prints; closed at its end
    output: Option<OwnedFd>,
    dump: Dump,
    /// to be killed then
    deadline: Option<Instant>,
}

impl Interfaces {
    /// None.
    #[allow(clippy::new_without_default)] // a default would be made on the stack
    pub const fn new() -> Interfaces {
        Interfaces {
            asking: Vec::new(),
            due: false,
            not_before: None,
            failing_since: None,
            known: Vec::new(),
        }
    }

    /// A configuration is in force: its interfaces are to be asked for, and no others are known any more.
    pub fn follow(&mut self, config: &Config) {
        // Those of disabled providers, too: what leads by their devices is not set by hand.
        let providers = &config.providers;
        let wanted = |name: &Name| providers.iter().any(|p| p.interfaces.contains(name));
        // Nothing is written where nothing is: that would take memory.
        if !self.known.is_empty() {
            self.known.retain(|known| wanted(&known.name));
        }
        for name in providers.iter().flat_map(|provider| &provider.interfaces) {
            if !self.known.iter().any(|known| known.name == *name) {
                // There is room for as many as a configuration may have.
                let _ = self.known.push(Known {
                    name: name.clone(),
                    standing: Standing::Unasked,
                    silent: None,
                    heard: Standing::Unasked,
                });
            }
        }
        self.refresh(None);
    }

    /// An interface has changed, or any: whether that is one of a provider's.
    pub fn refresh(&mut self, name: Option<&str>) -> bool {
        let mut known = self.known.iter();
        let of_interest = known.any(|known| name.is_none_or(|name| known.name == name));
        if of_interest {
            (self.due, self.not_before) = (true, None);
        }
        of_interest
    }

    /// Those that providers name.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.known.iter().map(|known| &known.name)
    }

    /// Asks if it is time to, unless a question is open: what becomes readable when there is an answer.
    pub fn ask(&mut self, now: Instant) -> Option<BorrowedFd<'_>> {
        let wait = self.not_before.is_some_and(|at| now < at);
        if !self.asking.is_empty() || !self.due || wait || self.known.is_empty() {
            return None;
        }
        self.due = false;
        match Asking::start(now) {
            Ok(asking) => {
                let _ = self.asking.push(asking); // there was none
            }
            Err(errno) => {
                self.conclude(Err(NoAnswer::Program(errno)), now);
            }
        }
        self.asking.first()?.output.as_ref().map(OwnedFd::as_fd)
    }

    /// When [`Interfaces::ask`] or [`Interfaces::give_up`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.asking.first() {
            Some(asking) => asking.deadline,
            None => self.not_before.filter(|_| self.due),
        }
    }

    /// Whether there is anybody to be asked, or an answer to be waited for.
    pub fn is_asking(&self) -> bool {
        let unasked = |known: &Known| known.standing == Standing::Unasked;
        !self.asking.is_empty() || self.known.iter().any(unasked)
    }

    /// Whether netifd has neither told of all of a provider's interfaces yet, nor refused to.
    pub fn is_awaited(&self, provider: &Provider) -> bool {
        let unasked = |known: &Known| known.standing == Standing::Unasked;
        let mut known = self.known.iter().filter(|known| unasked(known));
        known.any(|known| provider.interfaces.contains(&known.name))
    }

    /// Kills a question that is open for too long.
    pub fn give_up(&mut self, now: Instant) {
        if let Some(asking) = self.asking.first_mut()
            && asking.deadline.take_if(|at| *at <= now).is_some()
        {
            asking.child.kill();
        }
    }

    /// Nobody wants to know any more.
    pub fn stop(&mut self) {
        for asking in &self.asking {
            asking.child.kill();
        }
    }

    /// There is something to read, or a child has ended: whether something else is known now.
    pub fn hear(&mut self, now: Instant) -> bool {
        let Interfaces { asking, known, .. } = self;
        let Some(asked) = asking.first_mut() else {
            return false;
        };
        asked.read(&mut |name, told| {
            if let Some(known) = known.iter_mut().find(|known| known.name == name) {
                known.heard = match told {
                    Ok(interface) => Standing::Told(interface),
                    Err(Unreadable) => Standing::NoAnswer(NoAnswer::Unreadable),
                };
            }
        });
        if asked.output.is_some() || !asked.child.has_ended() {
            return false;
        }
        let result = asked.result();
        asking.clear();
        self.conclude(result, now)
    }

    /// This came of asking: whether that is news.
    fn conclude(&mut self, result: Result<(), NoAnswer>, now: Instant) -> bool {
        let (mut news, mut again, mut held) = (false, false, false);
        let since = match result {
            Ok(()) => None,
            Err(_) => Some(self.failing_since.unwrap_or(now)),
        };
        self.failing_since = since;
        let patient = since.is_some_and(|since| now < since + HOLD);
        for known in &mut self.known {
            let standing = match (result, core::mem::take(&mut known.heard)) {
                (Err(why), _) => Standing::NoAnswer(why),
                // Perhaps the answer had passed it by when it was added: another one comes.
                (Ok(()), Standing::Unasked) if self.due && known.standing == Standing::Unasked => {
                    continue;
                }
                (Ok(()), Standing::Unasked) => Standing::Unknown,
                (Ok(()), heard) => heard,
            };
            again |= matches!(standing, Standing::NoAnswer(_));
            match standing {
                // Where there is no `ubus` there never will be.
                Standing::NoAnswer(why)
                    if patient
                        && known.standing == Standing::Unasked
                        && !matches!(why, NoAnswer::Program(_)) =>
                {
                    held = true;
                    news |= known.silent.is_none();
                    known.silent.get_or_insert(why);
                }
                standing => news |= known.takes(standing),
            }
        }
        if again {
            let pause = if held { PAUSE_HELD } else { PAUSE };
            // Unless somebody has said meanwhile that something has changed.
            self.not_before = (!self.due).then_some(now + pause);
            self.due = true;
        }
        news
    }

    /// The interfaces of which netifd tells nothing, and why.
    pub fn troubles(&self) -> impl Iterator<Item = (&Name, Untold)> {
        self.known.iter().filter_map(|known| {
            let trouble = match (&known.standing, known.silent) {
                (Standing::Unknown, _) => Untold::Unknown,
                (Standing::NoAnswer(why), _) => Untold::NoAnswer(*why),
                (Standing::Told(_), Some(why)) => Untold::Silent(why),
                (Standing::Unasked, Some(why)) => Untold::NoAnswer(why),
                (Standing::Told(_) | Standing::Unasked, _) => return None,
            };
            Some((&known.name, trouble))
        })
    }

    /// What netifd has said of a provider in a family: of the first of its interfaces that has a way out there; else that
    /// brings the family; else that is there at all.
    pub fn told(&self, provider: &Provider, family: Family) -> Told {
        let interfaces = || {
            let known = provider
                .interfaces
                .iter()
                .filter_map(|name| self.known(name));
            known.filter(|interface| interface.up && !interface.device.is_empty())
        };
        None.or_else(|| interfaces().find(|interface| interface.way[family].is_some()))
            .or_else(|| interfaces().find(|interface| interface.brings(family)))
            .or_else(|| interfaces().next())
            .map_or_else(Told::default, |interface| Told {
                device: interface.device.clone(),
                way: interface.way[family],
                delegated: interface.delegated.filter(|_| family == Family::V6),
            })
    }

    /// Which of a provider's interfaces that is; else the first that is named.
    pub fn of<'p>(&self, provider: &'p Provider, family: Family) -> Option<&'p Name> {
        let told = self.told(provider, family);
        let same = |name: &&Name| {
            self.known(name).is_some_and(|interface| {
                interface.device == told.device && interface.brings(family)
            })
        };
        let mut names = provider.interfaces.iter();
        names.clone().find(same).or_else(|| names.next())
    }

    fn known(&self, name: &str) -> Option<&Interface> {
        let known = self.known.iter().find(|known| known.name == name)?;
        match &known.standing {
            Standing::Told(interface) => Some(interface),
            _ => None,
        }
    }
}

impl Known {
    /// This came of asking: whether that is news.
    fn takes(&mut self, standing: Standing) -> bool {
        // What it was is more likely than nothing.
        if let (Standing::Told(_), Standing::NoAnswer(why)) = (&self.standing, &standing) {
            let news = self.silent.is_none();
            self.silent.get_or_insert(*why);
            return news;
        }
        let news = self.standing != standing || self.silent.is_some();
        self.standing = standing;
        self.silent = None;
        news
    }
}

impl Asking {
    fn start(now: Instant) -> Result<Asking, Errno> {
        let (output, input) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let arguments = [c"ubus", c"call", c"network.interface", c"dump"];
        Ok(Asking {
            child: Child::start(&arguments, &[], Some(input.as_fd()))?,
            output: Some(output),
            dump: Dump::new(),
            deadline: Some(now + PATIENCE),
        })
    }

    /// Reads what there is.
    fn read(&mut self, sink: Sink<'_>) {
        let mut piece = [0; PIECE];
        while let Some(output) = &self.output {
            match read(output, &mut piece) {
                Ok(0) => self.output = None,
                Ok(count) => self.dump.feed(piece.get(..count).unwrap_or_default(), sink),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.output = None,
            }
        }
    }

    /// Whether the answer is one, after the end of the child.
    fn result(&self) -> Result<(), NoAnswer> {
        match self.child.bury_all() {
            Some(0) => self.dump.finish().map_err(|_| NoAnswer::Unreadable),
            Some(status) => Err(NoAnswer::Status(status)),
            None => Err(NoAnswer::Killed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_holds_while_there_is_no_answer_and_that_is_news_once() {
        let told = || Standing::Told(Interface::default());
        let refused = |errno| Standing::NoAnswer(NoAnswer::Program(errno));
        let mut known = Known {
            name: Name::try_from("wan").unwrap(),
            standing: Standing::Unasked,
            silent: None,
            heard: Standing::Unasked,
        };
        let mut takes = |standing| known.takes(standing);
        assert!(takes(refused(Errno::ENOENT)));
        assert!(takes(told()));
        assert!(!takes(told()));
        assert!(takes(refused(Errno::ENOMEM)));
        let unreadable = Standing::NoAnswer(NoAnswer::Unreadable);
        assert!(!takes(unreadable));
        assert_eq!(known.standing, told());
        assert_eq!(known.silent, Some(NoAnswer::Program(Errno::ENOMEM)));
        let mut takes = |standing| known.takes(standing);
        assert!(takes(told()));
        assert!(takes(Standing::Unknown));
        assert_eq!(known.silent, None);
    }
}
