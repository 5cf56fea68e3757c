//! The door for clients, in the state directory, which others may delete.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::token::Token;
use super::{Daemon, Failure};
use crate::linux::clock::now;
use crate::linux::file::error::FileError;
use crate::linux::file::lock::Lock;
use crate::linux::file::state_dir::{Guard, is_full};
use crate::linux::file::table_names;
use crate::linux::netns_lock::NetnsLock;
use crate::linux::poll::Interest;
use crate::types::{Duration, Instant};

/// From the first thing that is deleted to making all of it again: until then it is all gone.
const CALM: Duration = Duration::from_secs(1);
/// Between two attempts, also to save the state.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

impl Daemon<'_> {
    /// At the start. Where nothing can be written, it is tried again later: failover matters more.
    pub(super) fn open_door(&mut self) -> Result<(), Failure> {
        match self.listen() {
            Err(trouble) if is_full(trouble.errno()) => {
                log::warn!("{trouble}; until then no command reaches this daemon");
                self.mend_at = Some(now() + PAUSE);
            }
            result => result?,
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<(), FileError> {
        let state_dir = &self.memory.engine.config().globals.state_dir;
        self.memory.server.open(Path::new(state_dir.as_str()))?;
        self.admit();
        // Every client is gone.
        self.clients = Default::default();
        self.guard = Guard::new(state_dir).ok();
        let watch = |fd, token: Token| self.poller.add(fd, token.to_u64(), Interest::READ);
        let listener = self.memory.server.listener();
        let watched = listener.map_or(Ok(()), |fd| watch(fd, Token::Listener));
        let guard = self.guard.as_ref().map(std::os::fd::AsFd::as_fd);
        let watched = watched.and(guard.map_or(Ok(()), |fd| watch(fd, Token::StateDir)));
        watched.map_err(|errno| FileError::new("watch", state_dir.as_str(), errno.into()))
    }

    /// Lets the members of `control_group` ask.
    pub(super) fn admit(&self) {
        let globals = &self.memory.engine.config().globals;
        let (wanted, state_dir) = (&globals.control_group, &globals.state_dir);
        let group = table_names::group(wanted);
        if group.is_none() && !wanted.is_empty() {
            log::error!(
                "control_group '{wanted}': there is no such group; only root may session to the daemon"
            );
        }
        if let Err(trouble) = self.memory.server.admit(group) {
            log::error!("{trouble}");
        }
        if group.is_some_and(|group| !may_enter(state_dir, group)) {
            log::warn!("members of control_group cannot enter state_dir: `chmod a+x {state_dir}`");
        }
    }

    /// Something was deleted there.
    pub(super) fn state_dir_changed(&mut self) {
        if let Some(guard) = &self.guard {
            guard.drain();
        }
        self.mend_at.get_or_insert(now() + CALM);
    }

    /// Makes the directory, the lock and the socket again, where they are missing.
    pub(super) fn mend_state_dir(&mut self, now: Instant) {
        if self.mend_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        if !self.netns_lock.holds() {
            self.take_netns_lock();
        }
        let held = self.lock.holds();
        if held && self.memory.server.is_reachable() {
            self.save_wanted |= self.unsaved;
            return;
        }
        let state_dir = self.memory.engine.config().globals.state_dir.clone();
        if !held {
            match Lock::take(&state_dir) {
                Ok(lock) => self.lock = lock,
                Err(error) => return self.not_mended(&error, now),
            }
        }
        match self.listen() {
            Ok(()) => log::warn!("state_dir {state_dir}: what was missing is there again"),
            Err(trouble) => return self.not_mended(&trouble, now),
        }
        self.unmended = false;
        self.save_wanted = true;
    }

    /// What tells other daemons that there is one was deleted, too.
    fn take_netns_lock(&mut self) {
        self.netns_lock = NetnsLock::default();
        match NetnsLock::take() {
            Ok(netns_lock) => self.netns_lock = netns_lock,
            Err(error) => log::error!("{error}"),
        }
        if let Some(askers) = self.netns_lock.fd() {
            // Without it only the queue of askers fills.
            let _ = self
                .poller
                .add(askers, Token::NetnsLock.to_u64(), Interest::READ);
        }
    }

    /// Tells of it once.
    fn not_mended(&mut self, error: &dyn std::fmt::Display, now: Instant) {
        self.mend_at = Some(now + PAUSE);
        if !std::mem::replace(&mut self.unmended, true) {
            log::error!("{error}; until that is mended no command reaches this daemon");
        }
    }
}

/// Whether a group may reach what is in a directory, as far as that itself goes.
fn may_enter(directory: &str, group: u32) -> bool {
    let of_group = |found: &fs::Metadata| found.gid() == group && found.mode() & 0o010 != 0;
    fs::metadata(directory).is_ok_and(|found| found.mode() & 0o001 != 0 || of_group(&found))
}
