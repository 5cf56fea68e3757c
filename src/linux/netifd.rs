//! OpenWrt's logical interfaces: which device and gateway they have, asked of netifd by `ubus`, one after the other, as a
//! child process that nobody waits for.
//!
//! Asked at the start, where the answers are waited for a little while; at a reload; and when somebody says that an
//! interface has changed ([`Interfaces::refresh`]): netifd runs its hotplug scripts then. In between, the kernel's events tell
//! what becomes of device and addresses.

use std::ffi::CString;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::sleep;

use heapless::Vec;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};

use super::child::Child;
use super::clock::now;
use super::uplink::Told;
use crate::config::{Config, INTERFACES_WATCHED_MAX, NETIFD_ANSWER_MAX, Name, Provider};
use crate::net::{Duration, Family, Instant};
use crate::wire::netifd::{self, Interface};

/// An answer takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before asking again what could not be asked, or was not understood.
const PAUSE: Duration = Duration::from_secs(10);
/// Between the end of what a child prints and its own, some of this.
const BLINK: Duration = Duration::from_millis(1);
/// How `ubus` ends when there is no such object (UBUS_STATUS_NOT_FOUND).
const NOT_FOUND: u8 = 4;

/// The interfaces that providers name, and what netifd said of them. All zero bytes when new.
#[derive(Debug)]
#[repr(C)] // what is small stands by the beginning of the list
pub struct Interfaces {
    /// the question that is asked now
    asking: Vec<Asking, 1>,
    known: Vec<Known, INTERFACES_WATCHED_MAX>,
    answer: [u8; NETIFD_ANSWER_MAX],
}

#[derive(Debug)]
struct Known {
    name: Name,
    /// to be asked
    due: bool,
    /// … but not before: there was no answer
    not_before: Option<Instant>,
    standing: Standing,
    /// why it tells nothing any more, while what it told before holds: the first reason
    silent: Option<NoAnswer>,
}

/// What is said of a provider's way out, by the configuration or by netifd.
pub fn told_of(interfaces: &Interfaces, provider: &Provider, family: Family) -> Told {
    match provider.interfaces.is_empty() {
        true => Told::device(&provider.device[family]),
        false => interfaces.told(provider, family),
    }
}

/// What came of asking last.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// nothing yet
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
pub enum Trouble {
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
            NoAnswer::Program(errno) => f.write_str(errno.desc()),
            NoAnswer::Status(status) => write!(f, "exit {status}"),
            NoAnswer::Killed => f.write_str("no answer in time"),
            NoAnswer::Unreadable => f.write_str("what it says cannot be read"),
        }
    }
}

#[derive(Debug)]
struct Asking {
    name: Name,
    child: Child,
    /// what it prints; closed at its end
    output: Option<OwnedFd>,
    /// so many bytes have come
    filled: usize,
    /// to be killed then
    deadline: Option<Instant>,
}

impl Interfaces {
    /// None.
    #[allow(clippy::new_without_default)] // a default would be made on the stack
    pub const fn new() -> Interfaces {
        Interfaces {
            known: Vec::new(),
            asking: Vec::new(),
            answer: [0; NETIFD_ANSWER_MAX],
        }
    }

    /// A configuration is in force: its interfaces are to be asked for, and no others are known any more.
    pub fn follow(&mut self, config: &Config) {
        let wanted = |name: &Name| config.enabled().any(|p| p.interfaces.contains(name));
        // Nothing is written where nothing is: that would take memory.
        if !self.known.is_empty() {
            self.known.retain(|known| wanted(&known.name));
        }
        for name in config.enabled().flat_map(|provider| &provider.interfaces) {
            if !self.known.iter().any(|known| known.name == *name) {
                // There is room for as many as a configuration may have.
                let _ = self.known.push(Known {
                    name: name.clone(),
                    due: true,
                    not_before: None,
                    standing: Standing::Unasked,
                    silent: None,
                });
            }
        }
        self.refresh(None);
    }

    /// An interface has changed, or any: whether that is one of a provider's.
    pub fn refresh(&mut self, name: Option<&str>) -> bool {
        let mut of_interest = false;
        for known in &mut self.known {
            if name.is_none_or(|name| known.name == name) {
                known.due = true;
                known.not_before = None;
                of_interest = true;
            }
        }
        of_interest
    }

    /// Those that providers name.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.known.iter().map(|known| &known.name)
    }

    /// Asks what is to be asked, unless a question is open: what becomes readable when there is an answer.
    pub fn ask(&mut self, now: Instant) -> Option<BorrowedFd<'_>> {
        if !self.asking.is_empty() {
            return None;
        }
        let is_due = |known: &&mut Known| known.due && known.not_before.is_none_or(|at| at <= now);
        for known in self.known.iter_mut().filter(is_due) {
            known.due = false;
            match Asking::start(&known.name, now) {
                Ok(asking) => {
                    let _ = self.asking.push(asking); // there was none
                    break;
                }
                Err(errno) => {
                    known.takes(Standing::NoAnswer(NoAnswer::Program(errno)), now);
                }
            }
        }
        self.asking.first()?.output.as_ref().map(OwnedFd::as_fd)
    }

    /// Asks for everything that is to be asked, and waits for the answers, but not longer than until `end`. What becomes
    /// readable when there is an answer to a question that is still open then.
    pub fn ask_all(&mut self, end: Instant) -> Option<BorrowedFd<'_>> {
        loop {
            let at = now();
            let open = !self.asking.is_empty() || self.ask(at).is_some();
            if !open || end <= at {
                return self.asking.first()?.output.as_ref().map(OwnedFd::as_fd);
            }
            if let Some(asking) = self.asking.first() {
                asking.wait(end - at);
            }
            self.hear(now());
        }
    }

    /// When [`Interfaces::ask`] or [`Interfaces::give_up`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.asking.first() {
            Some(asking) => asking.deadline,
            None => {
                let due = self.known.iter().filter(|known| known.due);
                due.filter_map(|known| known.not_before).min()
            }
        }
    }

    /// Whether there is anybody to be asked, or an answer to be waited for.
    pub fn is_asking(&self) -> bool {
        let unasked = |known: &Known| known.standing == Standing::Unasked;
        !self.asking.is_empty() || self.known.iter().any(unasked)
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
        let Some(asking) = self.asking.first_mut() else {
            return false;
        };
        asking.read(&mut self.answer);
        if asking.output.is_some() || !asking.child.has_ended() {
            return false;
        }
        let Some(asked) = self.asking.pop() else {
            return false;
        };
        let standing = asked.conclude(&self.answer);
        let Some(known) = self.known.iter_mut().find(|known| known.name == asked.name) else {
            return false; // a reload has left it out
        };
        known.takes(standing, now)
    }

    /// The interfaces of which netifd tells nothing, and why.
    pub fn troubles(&self) -> impl Iterator<Item = (&Name, Trouble)> {
        self.known.iter().filter_map(|known| {
            let trouble = match (&known.standing, known.silent) {
                (Standing::Unknown, _) => Trouble::Unknown,
                (Standing::NoAnswer(why), _) => Trouble::NoAnswer(*why),
                (Standing::Told(_), Some(why)) => Trouble::Silent(why),
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
    fn takes(&mut self, standing: Standing, now: Instant) -> bool {
        if let Standing::NoAnswer(_) = standing {
            // Unless somebody has said meanwhile that it has changed.
            self.not_before = (!self.due).then_some(now + PAUSE);
            self.due = true;
        }
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
    fn start(name: &Name, now: Instant) -> Result<Asking, Errno> {
        let object =
            CString::new(format!("network.interface.{name}")).map_err(|_| Errno::EINVAL)?;
        let (output, input) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let arguments = [c"ubus", c"call", &object, c"status"];
        Ok(Asking {
            name: name.clone(),
            child: Child::start(&arguments, &[], Some(input.as_fd()))?,
            output: Some(output),
            filled: 0,
            deadline: Some(now + PATIENCE),
        })
    }

    /// Waits for what it prints, or else, as it has nothing more to print, for its end.
    fn wait(&self, patience: Duration) {
        let millis = |time: Duration| u16::try_from(time.total_millis()).unwrap_or(u16::MAX);
        match &self.output {
            Some(output) => {
                let mut output = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
                let _ = poll(
                    &mut output,
                    PollTimeout::from(millis(patience).saturating_add(1)),
                );
            }
            None => sleep(BLINK.min(patience).into()),
        }
    }

    /// Reads what there is. What finds no room is thrown away, so that the child can end.
    fn read(&mut self, answer: &mut [u8]) {
        let mut waste = [0; 256];
        while let Some(output) = &self.output {
            let room = match answer.get_mut(self.filled..) {
                Some(room) if !room.is_empty() => room,
                _ => &mut waste,
            };
            match read(output, room) {
                Ok(0) => self.output = None,
                Ok(count) => self.filled = self.filled.saturating_add(count),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.output = None,
            }
        }
    }

    fn conclude(&self, answer: &[u8]) -> Standing {
        match self.child.bury() {
            Some(0) => match answer.get(..self.filled).map(netifd::read) {
                Some(Ok(interface)) => Standing::Told(interface),
                _ => Standing::NoAnswer(NoAnswer::Unreadable),
            },
            Some(NOT_FOUND) => Standing::Unknown,
            Some(status) => Standing::NoAnswer(NoAnswer::Status(status)),
            None => Standing::NoAnswer(NoAnswer::Killed),
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
            due: false,
            not_before: None,
            standing: Standing::Unasked,
            silent: None,
        };
        let mut takes = |standing| known.takes(standing, Instant::from_secs(1));
        assert!(takes(refused(Errno::ENOENT)));
        assert!(takes(told()));
        assert!(!takes(told()));
        assert!(takes(refused(Errno::ENOMEM)));
        let unreadable = Standing::NoAnswer(NoAnswer::Unreadable);
        assert!(!takes(unreadable));
        assert_eq!(known.standing, told());
        assert_eq!(known.silent, Some(NoAnswer::Program(Errno::ENOMEM)));
        let mut takes = |standing| known.takes(standing, Instant::from_secs(2));
        assert!(takes(told()));
        assert!(takes(Standing::Unknown));
        assert_eq!(known.silent, None);
    }
}
