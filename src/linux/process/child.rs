//! Child processes: each in a process group of its own, which can be killed as a whole. What has left the group (setsid(1))
//! is out of reach.
//!
//! SIGCHLD must not be ignored: a child has to stay until we have waited for it, so that its number is its own.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::super::ffi;

/// A child that was not waited for yet. It must be buried: [`Child::bury`].
#[derive(Debug, PartialEq, Eq)]
pub struct Child(pub(crate) Pid);

impl Child {
    /// Starts a program, found by `PATH`, with its name and arguments, and with variables more than our environment has.
    ///
    /// It reads /dev/null, writes there too (or to `output`, if that is given), inherits no other descriptor, and has no
    /// signal blocked or ignored.
    ///
    /// posix_spawn(3) does not copy our memory's page tables, which fork(2) does: the loop waits some 100 us, whatever we
    /// have grown to. (std's `Command` would pass on our signal mask, in which all that signalfd reads is blocked.)
    ///
    /// # Errors
    /// The program is not there, or the system has no room for another process.
    pub fn start(
        arguments: &[&CStr],
        variables: &[(&str, &str)],
        output: Option<BorrowedFd<'_>>,
    ) -> Result<Child, Errno> {
        let program = arguments.first().ok_or(Errno::EINVAL)?;
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_sigmask(&SigSet::empty())?;
        let null = open(
            c"/dev/null",
            OFlag::O_RDWR | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let null = null.as_raw_fd();
        let output = output.map_or(null, |output| output.as_raw_fd());
        let mut actions = PosixSpawnFileActions::init()?;
        for (descriptor, end) in [(0, null), (1, output), (2, null)] {
            actions.add_dup2(end, descriptor)?;
        }
        ffi::close_on_exec();
        let environment = environment(variables);
        posix_spawnp(program, &actions, &attributes, arguments, &environment).map(Child)
    }

    /// Whether it has ended (or is no child of ours any more), without taking it away.
    pub fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(
            waitid(Id::Pid(self.0), flags),
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
        )
    }

    /// Kills its group, and itself in case it has left that. Its number cannot be another's: we have not waited yet.
    pub fn kill(&self) {
        let _gone = killpg(self.0, Signal::SIGKILL);
        let _gone = kill(self.0, Signal::SIGKILL);
    }

    /// Its exit status, after its end; none when a signal ended it. What it left behind in its group ends with it:
    /// that has to happen before the wait, while the group's number still cannot be another's.
    pub fn bury_all(&self) -> Option<u8> {
        let _gone = killpg(self.0, Signal::SIGKILL);
        self.bury()
    }

    /// Its exit status, after its end; none when a signal ended it. What it has started lives on.
    pub fn bury(&self) -> Option<u8> {
        match waitpid(self.0, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => u8::try_from(status).ok(),
            _ => None,
        }
    }
}

/// Our environment, with these variables.
fn environment(variables: &[(&str, &str)]) -> Vec<CString> {
    let mut environment = Vec::new();
    let mut add = |name: &[u8], value: &[u8]| {
        environment.extend(CString::new([name, value].join(&b'=')));
    };
    for (name, value) in std::env::vars_os() {
        if variables.iter().all(|(ours, _)| name != *ours) {
            add(name.as_bytes(), value.as_bytes());
        }
    }
    for (name, value) in variables {
        add(name.as_bytes(), value.as_bytes());
    }
    environment
}
