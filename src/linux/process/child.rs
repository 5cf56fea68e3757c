//! Child processes: each is in its own process group, which can be killed as a whole, except processes that have left the
//! group (setsid(1)).
//!
//! SIGCHLD must not be ignored: a child has to stay a zombie until it is waited for, so that its pid is not reused.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::super::ffi;
use super::super::file::open::c_path;
use crate::types::Instant;

/// A child that was not waited for yet. It must be reaped: `Child::reap`.
#[derive(Debug, PartialEq, Eq)]
pub struct Child(pub(crate) Pid);

impl Child {
    /// Starts a program, found by `PATH`, with its name and arguments, and with variables in addition to our environment.
    ///
    /// Its standard input is /dev/null, and so is its output (or `output`, if given). It inherits no other descriptor, and
    /// has no signal blocked or ignored.
    ///
    /// posix_spawn(3) does not copy the page tables, unlike fork(2): the event loop is blocked for about 100 µs, whatever
    /// the size of this process. (std's `Command` would pass on the signal mask, in which the signals of signalfd are
    /// blocked.)
    ///
    /// # Errors
    /// The program does not exist, or the system has no room for another process.
    pub fn start(
        arguments: &[&CStr],
        variables: &[(&str, &str)],
        output: Option<BorrowedFd<'_>>,
    ) -> Result<Child, Errno> {
        Child::start_with(arguments, variables, [None, output, None])
    }

    /// The same, with its standard input, output and errors; those that are not given are /dev/null.
    pub(super) fn start_with(
        arguments: &[&CStr],
        variables: &[(&str, &str)],
        streams: [Option<BorrowedFd<'_>>; 3],
    ) -> Result<Child, Errno> {
        let name = arguments.first().ok_or(Errno::EINVAL)?;
        let program = c_path(&program(name)?)?;
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
        let mut actions = PosixSpawnFileActions::init()?;
        for (descriptor, stream) in (0..).zip(streams) {
            let end = stream.map_or(null, |stream| stream.as_raw_fd());
            actions.add_dup2(end, descriptor)?;
        }
        ffi::close_on_exec();
        let environment = environment(variables);
        posix_spawn(&*program, &actions, &attributes, arguments, &environment).map(Child)
    }

    /// Whether it has ended (or is no child of this process), without reaping it.
    pub(crate) fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(
            waitid(Id::Pid(self.0), flags),
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
        )
    }

    /// Kills its group, and itself in case it has left the group. Its pid cannot have been reused: it was not waited for.
    pub fn kill(&self) {
        let _gone = killpg(self.0, Signal::SIGKILL);
        let _gone = kill(self.0, Signal::SIGKILL);
    }

    /// Kills it once if its deadline has passed.
    pub(super) fn give_up(&self, deadline: &mut Option<Instant>, now: Instant) {
        if deadline.take_if(|at| *at <= now).is_some() {
            self.kill();
        }
    }

    /// Waits until it has ended, and reaps it.
    pub(super) fn wait(&self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(self.0), flags) == Err(Errno::EINTR) {}
        self.reap();
    }

    /// Its exit status, after its end; none if a signal ended it. Other processes in its group are killed: before the wait,
    /// while the group's number cannot be reused.
    pub(crate) fn reap_group(&self) -> Option<u8> {
        let _gone = killpg(self.0, Signal::SIGKILL);
        self.reap()
    }

    /// Its exit status, after its end; none if a signal ended it. Other processes in its group keep running.
    pub(crate) fn reap(&self) -> Option<u8> {
        match waitid(Id::Pid(self.0), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
            Ok(WaitStatus::Exited(_, status)) => u8::try_from(status).ok(),
            _ => None,
        }
    }
}

/// The file of a program, searched by `PATH` if it is no path, as execvp(3) does. To start a missing one would cost a
/// process.
pub(super) fn program(name: &CStr) -> Result<PathBuf, Errno> {
    let name = Path::new(OsStr::from_bytes(name.to_bytes()));
    let directories = std::env::var_os("PATH").unwrap_or("/usr/local/bin:/bin:/usr/bin".into());
    let mut why = Errno::ENOENT;
    for directory in std::env::split_paths(&directories) {
        // An absolute path stays as it is when it is joined to another.
        match directory.join(name) {
            file if is_executable(&file) => return Ok(file),
            file if file.exists() => why = Errno::EACCES,
            _ => {}
        }
    }
    Err(why)
}

pub(super) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The environment of this process, with these variables.
fn environment(variables: &[(&str, &str)]) -> Vec<CString> {
    let mut environment = Vec::new();
    let mut add = |mut entry: Vec<u8>, value: &[u8]| {
        entry.push(b'=');
        entry.extend_from_slice(value);
        environment.extend(CString::new(entry));
    };
    for (name, value) in std::env::vars_os() {
        if variables.iter().all(|(ours, _)| name != *ours) {
            add(name.into_vec(), value.as_bytes());
        }
    }
    for (name, value) in variables {
        add(name.as_bytes().to_vec(), value.as_bytes());
    }
    environment
}
