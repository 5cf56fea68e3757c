//! The commands of `exec` checks: child processes, each with a deadline.

use core::fmt::Write;
use core::net::IpAddr;
use std::ffi::CString;

use heapless::{String, Vec};
use nix::errno::Errno;

use super::super::errno::fault;
use super::super::process::child::Child;
use super::share::{Room, Shares};
use crate::limits::COMMANDS_MAX;
use crate::types::{Duration, Fault, Instant, PathId, Round};

/// The running commands. All zero bytes when new.
#[derive(Debug)]
pub struct Commands {
    shares: Shares,
    running: Vec<Running, COMMANDS_MAX>,
}

/// What a command finds in its environment, besides our own; unknown is empty.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// `PROVIDER`: its id
    pub provider: &'a str,
    /// `DEVICE`
    pub device: &'a str,
    /// `ADDRESS`: the path's own
    pub address: Option<IpAddr>,
    /// `GATEWAY`
    pub gateway: Option<IpAddr>,
    /// `TARGET`, as the configuration has it; `FAMILY` comes from the path
    pub target: &'a str,
}

/// What a command is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// through which path
    pub path: PathId,
    /// the number of the check in its path
    pub check: u8,
    /// the round asked in
    pub round: Round,
}

/// Why a command was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// The former one of the same check has not ended: its last result stands for this one too.
    AlreadyRunning,
    /// There is no room for one more: count this probe as not asked.
    NoRoom(Room),
    /// It failed, as any probe that cannot be sent.
    Failed(Fault),
}

/// A command that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// what it was asked for
    pub asked: Asked,
    /// how long it took, when it ended with status 0
    pub result: Result<Duration, Fault>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    asked: Asked,
    started: Instant,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// to be killed then
    Until(Instant),
    /// killed at its deadline
    Overdue,
    /// killed because nobody wants its answer any more
    Unwanted,
}

impl Default for Commands {
    fn default() -> Commands {
        Commands::new()
    }
}

impl Commands {
    /// None running.
    pub const fn new() -> Commands {
        Commands {
            shares: Shares::NONE,
            running: Vec::new(),
        }
    }

    /// From now on the room is shared so.
    pub fn share(&mut self, shares: Shares) {
        self.shares = shares;
    }

    /// Starts `/bin/sh -c command`, to be killed at `now + timeout`; [`Commands::reap`] tells how it ended.
    pub fn start(
        &mut self,
        asked: Asked,
        command: &str,
        environment: &Environment,
        now: Instant,
        timeout: Duration,
    ) -> Result<(), NotStarted> {
        if self.running.iter().any(|running| running.is_for(asked)) {
            return Err(NotStarted::AlreadyRunning);
        }
        let under_way = self.running.iter().map(|running| running.asked.path);
        if !self.shares.admit(asked.path, COMMANDS_MAX, under_way) {
            return Err(NotStarted::NoRoom(Room::Commands));
        }
        let child = shell(command, asked.path, environment).map_err(|errno| match errno {
            Errno::EAGAIN => NotStarted::NoRoom(Room::System), // of processes, see fork(2)
            other => not_started(other),
        })?;
        let running = Running {
            child,
            asked,
            started: now,
            fate: Fate::Until(now + timeout),
        };
        // there is room: it was asked for above
        self.running.push(running).unwrap_or_default();
        Ok(())
    }

    /// When [`Commands::kill_overdue`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.running.iter().filter_map(Running::deadline);
        deadlines.min()
    }

    /// Kills the process groups of commands whose time is up. They are told of by [`Commands::reap`], as
    /// [`Fault::TimedOut`].
    pub fn kill_overdue(&mut self, now: Instant) {
        for running in &mut self.running {
            if running.deadline().is_some_and(|deadline| deadline <= now) {
                running.kill(Fate::Overdue);
            }
        }
    }

    /// Kills a path's commands; they are never told of. For a path that is closed.
    pub fn kill_path(&mut self, path: PathId) {
        for running in &mut self.running {
            if running.asked.path == path {
                running.kill(Fate::Unwanted);
            }
        }
    }

    /// Kills all commands; they are never told of. For the daemon's stop.
    pub fn kill_all(&mut self) {
        for running in &mut self.running {
            running.kill(Fate::Unwanted);
        }
    }

    /// One command that ended; none when none has. To be called on SIGCHLD until it says none: several deaths may
    /// be one signal. Only our own commands are waited for, never a child we do not know.
    pub fn reap(&mut self, now: Instant) -> Option<Finished> {
        let mut place = 0;
        while let Some(running) = self.running.get(place) {
            if !running.child.has_ended() {
                place += 1;
                continue;
            }
            let ended = self.running.swap_remove(place);
            let result = match (ended.fate, ended.child.bury_all()) {
                (Fate::Unwanted, _) => continue,
                (Fate::Overdue, _) => Err(Fault::TimedOut),
                (Fate::Until(_), Some(0)) => Ok(now.max(ended.started) - ended.started),
                (Fate::Until(_), Some(status)) => Err(Fault::Exit(status)),
                (Fate::Until(_), None) => Err(Fault::Killed),
            };
            return Some(Finished {
                asked: ended.asked,
                result,
            });
        }
        None
    }
}

impl Running {
    /// Whether its check is the one asked for. One nobody wants any more does not stand in the way of a new one.
    fn is_for(&self, asked: Asked) -> bool {
        self.asked.path == asked.path
            && self.asked.check == asked.check
            && self.fate != Fate::Unwanted
    }

    fn deadline(&self) -> Option<Instant> {
        match self.fate {
            Fate::Until(deadline) => Some(deadline),
            Fate::Overdue | Fate::Unwanted => None,
        }
    }

    fn kill(&mut self, fate: Fate) {
        self.fate = fate;
        self.child.kill();
    }
}

/// What it means that the system refuses a socket or a process: where it has no more of them, that is no fault of the line.
pub(crate) fn not_started(errno: Errno) -> NotStarted {
    match errno {
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOSPC => {
            NotStarted::NoRoom(Room::System)
        }
        other => NotStarted::Failed(fault(other)),
    }
}

/// Starts `/bin/sh -c command`, told about its path by its environment.
fn shell(command: &str, path: PathId, told: &Environment) -> Result<Child, Errno> {
    let command = CString::new(command).map_err(|_| Errno::EINVAL)?;
    let (address, gateway) = (text(told.address), text(told.gateway));
    let variables = [
        ("PROVIDER", told.provider),
        ("DEVICE", told.device),
        ("ADDRESS", &address),
        ("GATEWAY", &gateway),
        ("FAMILY", path.family.name()),
        ("TARGET", told.target),
    ];
    Child::start(&[c"/bin/sh", c"-c", &command], &variables, None)
}

fn text(address: Option<IpAddr>) -> String<40> {
    let mut text = String::new();
    if let Some(address) = address {
        // 39 bytes are the longest address
        write!(text, "{address}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests;
