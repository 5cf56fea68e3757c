//! The commands of `exec` checks: child processes, each in a process group of its own, each with a deadline.
//!
//! SIGCHLD must not be ignored: a child has to stay until we have waited for it, so that its number is its own.

mod spawn;

use heapless::Vec;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::fault::fault;
use crate::config::{COMMANDS_MAX, PathId};
use crate::failover::{Fault, Round};
use crate::net::{Duration, Instant};
pub use spawn::Environment;
use spawn::spawn;

/// The running commands. All zero bytes when new.
#[derive(Debug)]
pub struct Commands {
    running: Vec<Child, COMMANDS_MAX>,
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
    /// The former one of the same check has not ended: count this probe as not asked.
    AlreadyRunning,
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
struct Child {
    /// its process, and its process group
    pid: Pid,
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
            running: Vec::new(),
        }
    }

    /// Starts `/bin/sh -c command`, to be killed at `now + timeout`; [`Commands::reap`] tells how it ended.
    ///
    /// It reads and writes /dev/null, inherits no descriptor, and has no signal blocked or ignored.
    pub fn start(
        &mut self,
        asked: Asked,
        command: &str,
        environment: &Environment,
        now: Instant,
        timeout: Duration,
    ) -> Result<(), NotStarted> {
        if self.running.iter().any(|child| child.is_for(asked)) {
            return Err(NotStarted::AlreadyRunning);
        }
        if self.running.is_full() {
            return Err(NotStarted::Failed(Fault::NoBuffers));
        }
        let pid = spawn(command, asked.path, environment)
            .map_err(|errno| NotStarted::Failed(fault(errno)))?;
        let child = Child {
            pid,
            asked,
            started: now,
            fate: Fate::Until(now + timeout),
        };
        // there is room: it was asked for above
        self.running.push(child).unwrap_or_default();
        Ok(())
    }

    /// When [`Commands::kill_overdue`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.running.iter().filter_map(Child::deadline);
        deadlines.min()
    }

    /// Kills the process groups of commands whose time is up. They are told of by [`Commands::reap`], as
    /// [`Fault::TimedOut`].
    pub fn kill_overdue(&mut self, now: Instant) {
        for child in &mut self.running {
            if child.deadline().is_some_and(|deadline| deadline <= now) {
                child.kill(Fate::Overdue);
            }
        }
    }

    /// Kills a path's commands; they are never told of. For a path that is closed.
    pub fn kill_path(&mut self, path: PathId) {
        for child in &mut self.running {
            if child.asked.path == path {
                child.kill(Fate::Unwanted);
            }
        }
    }

    /// Kills all commands; they are never told of. For the daemon's stop.
    pub fn kill_all(&mut self) {
        for child in &mut self.running {
            child.kill(Fate::Unwanted);
        }
    }

    /// One command that ended; none when none has. To be called on SIGCHLD until it says none: several deaths may
    /// be one signal. Only our own commands are waited for, never a child we do not know.
    pub fn reap(&mut self, now: Instant) -> Option<Finished> {
        let mut place = 0;
        while let Some(child) = self.running.get(place) {
            if !has_ended(child.pid) {
                place += 1;
                continue;
            }
            let status = child.bury();
            let child = self.running.swap_remove(place);
            let result = match (child.fate, status) {
                (Fate::Unwanted, _) => continue,
                (Fate::Overdue, _) => Err(Fault::TimedOut),
                (Fate::Until(_), Some(0)) => Ok(now.max(child.started) - child.started),
                (Fate::Until(_), Some(status)) => Err(Fault::Exit(status)),
                (Fate::Until(_), None) => Err(Fault::Killed),
            };
            return Some(Finished {
                asked: child.asked,
                result,
            });
        }
        None
    }
}

impl Child {
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

    /// Kills its group, and itself in case it has left that. Its number cannot be another's: we have not waited yet.
    fn kill(&mut self, fate: Fate) {
        self.fate = fate;
        let _gone = killpg(self.pid, Signal::SIGKILL);
        let _gone = kill(self.pid, Signal::SIGKILL);
    }

    /// Its exit status, after its end; none when a signal ended it. What it left behind in its group ends with it:
    /// that has to happen before the wait, while the group's number still cannot be another's.
    fn bury(&self) -> Option<u8> {
        let _gone = killpg(self.pid, Signal::SIGKILL);
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => u8::try_from(status).ok(),
            _ => None,
        }
    }
}

/// Whether a child has ended (or is none any more), without taking it away.
fn has_ended(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(
        waitid(Id::Pid(pid), flags),
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
    )
}

#[cfg(test)]
mod tests;
