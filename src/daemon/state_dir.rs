//! Our files in the state directory, which other programs may delete: the lock, and the control socket.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use super::Failure;
use super::context::Context;
use super::control::Control;
use super::token::Token;
use crate::config::Globals;
use crate::linux::clock::now;
use crate::linux::file::error::FileError;
use crate::linux::file::lock::Lock;
use crate::linux::file::state_dir::{Guard, is_full};
use crate::linux::file::table_names;
use crate::linux::log;
use crate::linux::netns_lock::NetnsLock;
use crate::types::{Duration, Instant};

/// Pause from the first deletion until the files are made again: until then, all are deleted.
const CALM: Duration = Duration::from_secs(1);
/// Between two attempts, also to save the state.
const PAUSE: Duration = Duration::from_secs(10);

/// The locks that exclude a second daemon, and the watch of our files.
pub(super) struct StateDir {
    /// Held to the end: no second daemon can use this state directory.
    lock: Lock,
    /// Held to the end: no second daemon can use this network namespace.
    netns_lock: NetnsLock,
    /// Reports that another program deletes our files in the state directory.
    guard: Option<Guard>,
    /// When missing files are made again: [`StateDir::mend`] is due.
    pub(super) mend_at: Option<Instant>,
    /// Whether the last attempt failed.
    unmended: bool,
}

impl StateDir {
    pub(super) fn new(lock: Lock, netns_lock: NetnsLock) -> StateDir {
        StateDir {
            lock,
            netns_lock,
            guard: None,
            mend_at: None,
            unmended: false,
        }
    }

    /// Makes the files at the start. If the directory is not writable, the daemon runs without them, and tries again later.
    pub(super) fn begin(
        &mut self,
        cx: &Context<'_>,
        control: &mut Control<'_>,
    ) -> Result<(), Failure> {
        match self.listen(cx, control) {
            Err(error) if is_full(error.errno()) => {
                log::warn(format_args!(
                    "{error}; until then no command reaches this daemon"
                ));
                self.mend_at = Some(now() + PAUSE);
            }
            result => result?,
        }
        Ok(())
    }

    fn listen(&mut self, cx: &Context<'_>, control: &mut Control<'_>) -> Result<(), FileError> {
        let globals = &cx.engine.config().globals;
        let state_dir = globals.state_dir.as_str();
        control.open(state_dir)?;
        admit(control, globals);
        self.guard = Guard::new(state_dir).ok();
        let listener = control.server.listener();
        let watched = listener.map_or(Ok(()), |fd| cx.watch(fd, Token::Listener));
        let guard = self.guard.as_ref();
        let watched = watched.and(guard.map_or(Ok(()), |guard| cx.watch(guard, Token::StateDir)));
        watched.map_err(|errno| FileError::new("watch", state_dir.as_ref(), errno.into()))
    }

    /// A file was deleted in the state directory.
    pub(super) fn changed(&mut self) {
        if let Some(guard) = &self.guard {
            guard.drain();
        }
        self.mend_by(now() + CALM);
    }

    /// The state cannot be saved: the directory may be missing, or full for some time.
    pub(super) fn not_written(&mut self, again: bool) {
        self.mend_by(if again { now() + PAUSE } else { now() });
    }

    fn mend_by(&mut self, at: Instant) {
        self.mend_at.get_or_insert(at);
    }

    /// Makes the directory, the lock and the socket again, if they are missing. A state that could not be saved is then
    /// saved.
    pub(super) fn mend(
        &mut self,
        cx: &mut Context<'_>,
        control: &mut Control<'_>,
        unsaved: bool,
        now: Instant,
    ) {
        if self.mend_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        if !self.netns_lock.holds() {
            self.take_netns_lock(cx);
        }
        let held = self.lock.holds();
        if held && control.server.is_reachable() {
            cx.save_due |= unsaved;
            return;
        }
        let state_dir = &cx.engine.config().globals.state_dir;
        if !held {
            match Lock::take(state_dir) {
                Ok(lock) => self.lock = lock,
                Err(error) => return self.not_mended(&error, now),
            }
        }
        match self.listen(cx, control) {
            Ok(()) => log::warn(format_args!(
                "state_dir {state_dir}: what was missing is there again"
            )),
            Err(error) => return self.not_mended(&error, now),
        }
        self.unmended = false;
        cx.save_due = true;
    }

    /// Opens the network namespace's lock again: its socket was deleted, too.
    fn take_netns_lock(&mut self, cx: &Context<'_>) {
        self.netns_lock = NetnsLock::default();
        match NetnsLock::take() {
            Ok(netns_lock) => self.netns_lock = netns_lock,
            Err(error) => log::error(format_args!("{error}")),
        }
        // Without it, only the queue of the programs that ask fills up.
        let _ = self.watch_netns_lock(cx);
    }

    /// Adds to the poller the socket on which other programs ask for the network namespace.
    pub(super) fn watch_netns_lock(&self, cx: &Context<'_>) -> Result<(), Errno> {
        let askers = self.netns_lock.fd();
        askers.map_or(Ok(()), |askers| cx.watch(askers, Token::NetnsLock))
    }

    /// Closes the connections of the programs that have asked.
    pub(super) fn dismiss_askers(&self) {
        self.netns_lock.dismiss();
    }

    /// Logs an error once.
    fn not_mended(&mut self, error: &dyn std::fmt::Display, now: Instant) {
        self.mend_at = Some(now + PAUSE);
        if !std::mem::replace(&mut self.unmended, true) {
            log::error(format_args!(
                "{error}; until that is mended no command reaches this daemon"
            ));
        }
    }
}

/// Gives the members of `control_group` access to the control socket.
pub(super) fn admit(control: &Control<'_>, globals: &Globals) {
    let (wanted, state_dir) = (&globals.control_group, &globals.state_dir);
    let group = table_names::group(wanted);
    if group.is_none() && !wanted.is_empty() {
        log::error(format_args!(
            "control_group '{wanted}': there is no such group; only root may talk to the daemon"
        ));
    }
    if let Err(error) = control.server.admit(group) {
        log::error(format_args!("{error}"));
    }
    if group.is_some_and(|group| !may_enter(state_dir, group)) {
        log::warn(format_args!(
            "members of control_group cannot enter state_dir: `chmod a+x {state_dir}`"
        ));
    }
}

/// Whether a group may enter a directory, apart from the directories above it.
fn may_enter(directory: &str, group: u32) -> bool {
    let of_group = |found: &fs::Metadata| found.gid() == group && found.mode() & 0o010 != 0;
    fs::metadata(directory).is_ok_and(|found| found.mode() & 0o001 != 0 || of_group(&found))
}
