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

/// Variables of a command's environment, in addition to the daemon's own; unknown values are empty.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// `PROVIDER`: its id
    pub provider: &'a str,
    /// `DEVICE`
    pub device: &'a str,
    /// `ADDRESS`: our address on the device
    pub address: Option<IpAddr>,
    /// `GATEWAY`
    pub gateway: Option<IpAddr>,
    /// `TARGET`, as in the configuration; `FAMILY` comes from the path
    pub target: &'a str,
}

/// Identifies a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// its path
    pub path: PathId,
    /// the number of the check in its path
    pub check: u8,
    /// its round
    pub round: Round,
}

/// Why a probe was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// The previous probe of the same check has not ended: its last result holds for this one too.
    AlreadyRunning,
    /// There is no room for one more: this probe counts as not made.
    NoRoom(Room),
    /// It failed, like any probe that cannot be sent.
    Failed(Fault),
}

/// A probe that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// the probe
    pub asked: Asked,
    /// how long it took, if it succeeded
    pub result: Result<Duration, Fault>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    asked: Asked,
    started: Instant,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// running, to be killed at this time
    Until(Instant),
    /// killed at its deadline
    Overdue,
    /// killed because its result is not needed any more
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

    /// Sets how the room for commands is shared among the paths.
    pub(crate) fn share(&mut self, shares: Shares) {
        self.shares = shares;
    }

    /// Starts `/bin/sh -c command`, to be killed at `now + timeout`; `Commands::reap` returns its result.
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
        let mut under_way = self.running.iter().map(|running| running.asked.path);
        if !self.shares.admit(asked.path, COMMANDS_MAX, &mut under_way) {
            return Err(NotStarted::NoRoom(Room::Commands));
        }
        let child = shell(command, asked.path, environment).map_err(|errno| match errno {
            Errno::EAGAIN => NotStarted::NoRoom(Room::System), // too many processes, see fork(2)
            other => not_started(other),
        })?;
        let running = Running {
            child,
            asked,
            started: now,
            end: End::Until(now + timeout),
        };
        // there is room: it was checked above
        self.running.push(running).unwrap_or_default();
        Ok(())
    }

    /// The earliest deadline of a command.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.running.iter().filter_map(Running::deadline);
        deadlines.min()
    }

    /// Kills the process groups of commands whose deadline has passed. `Commands::reap` returns them, with
    /// [`Fault::TimedOut`].
    pub(crate) fn kill_overdue(&mut self, now: Instant) {
        for running in &mut self.running {
            if running.deadline().is_some_and(|deadline| deadline <= now) {
                running.kill(End::Overdue);
            }
        }
    }

    /// Kills a path's commands without results. For a path that is closed.
    pub(crate) fn kill_path(&mut self, path: PathId) {
        for running in &mut self.running {
            if running.asked.path == path {
                running.kill(End::Unwanted);
            }
        }
    }

    /// Kills all commands without results. For the daemon's stop.
    pub(crate) fn kill_all(&mut self) {
        for running in &mut self.running {
            running.kill(End::Unwanted);
        }
    }

    /// One command that ended. To be called on SIGCHLD until it returns none: one signal may stand for several children.
    /// Only these commands are waited for, never other children.
    pub(crate) fn reap(&mut self, now: Instant) -> Option<Finished> {
        let mut place = 0;
        while let Some(running) = self.running.get(place) {
            if !running.child.has_ended() {
                place += 1;
                continue;
            }
            let ended = self.running.swap_remove(place);
            let result = match (ended.end, ended.child.reap_group()) {
                (End::Unwanted, _) => continue,
                (End::Overdue, _) => Err(Fault::TimedOut),
                (End::Until(_), Some(0)) => Ok(now.max(ended.started) - ended.started),
                (End::Until(_), Some(status)) => Err(Fault::Exit(status)),
                (End::Until(_), None) => Err(Fault::Killed),
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
    /// Whether it is a needed command of the same path and check. A killed one does not prevent a new one.
    fn is_for(&self, asked: Asked) -> bool {
        self.asked.path == asked.path
            && self.asked.check == asked.check
            && self.end != End::Unwanted
    }

    fn deadline(&self) -> Option<Instant> {
        match self.end {
            End::Until(deadline) => Some(deadline),
            End::Overdue | End::Unwanted => None,
        }
    }

    fn kill(&mut self, end: End) {
        self.end = end;
        self.child.kill();
    }
}

/// The meaning of a refused socket or process: if the system has no more of them, it is no fault of the line.
pub(crate) fn not_started(errno: Errno) -> NotStarted {
    match errno {
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOSPC => {
            NotStarted::NoRoom(Room::System)
        }
        other => NotStarted::Failed(fault(other)),
    }
}

/// Starts `/bin/sh -c command`, with the variables of its path in its environment.
fn shell(command: &str, path: PathId, told: &Environment) -> Result<Child, Errno> {
    let command = CString::new(command.as_bytes()).map_err(|_| Errno::EINVAL)?;
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
        // the longest address has 39 bytes
        write!(text, "{address}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests;
