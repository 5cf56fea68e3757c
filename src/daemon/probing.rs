//! Rounds out, replies in.

use std::net::IpAddr;

use super::{Daemon, Memory, Token};
use crate::config::{CheckKind, PATH_CHECKS_MAX, PATHS_MAX, PathId, WINDOW_MAX};
use crate::failover::{CheckSet, Event, Failover, Fault, Round};
use crate::linux::clock::now;
use crate::linux::exec::{Asked, Environment, Finished, NotStarted};
use crate::linux::fault::fault;
use crate::linux::poll::Interest;
use crate::linux::uplink::Uplink;
use crate::net::Instant;
use crate::wire::icmp::Rejected;

/// Most answers of a path that are read at once: all that its rounds can have asked for.
const WAITING_MAX: usize = WINDOW_MAX * PATH_CHECKS_MAX;

impl Daemon<'_> {
    /// Opens a path's socket on its present device and address, or opens it anew.
    pub(super) fn bind(&mut self, path: PathId) {
        let Err(fault) = self.open(path) else {
            return;
        };
        let Memory { core, uplinks, .. } = &*self.memory;
        let id = core.config().at(path.slot).map_or("", |p| p.id.as_str());
        let device = uplinks.get(path.index()).map_or("", |u| u.device.as_str());
        log::warn!("{id} {}: no probes on {device}: {fault}", path.family);
    }

    fn open(&mut self, path: PathId) -> Result<(), Fault> {
        let Memory {
            uplinks, probes, ..
        } = &mut *self.memory;
        let uplink = uplinks.get(path.index()).ok_or(Fault::NoDevice)?;
        probes.bind(path, &uplink.device, uplink.address)?;
        let Some(fd) = probes.fd(path) else {
            return Ok(());
        };
        self.poller
            .add(fd, Token::Path(path.index()).to_u64(), Interest::READ)
            .map_err(fault)
    }

    /// Closes what no path uses any more.
    pub(super) fn close_unused(&mut self) {
        let Memory {
            core,
            uplinks,
            probes,
            commands,
            ..
        } = &mut *self.memory;
        for path in (0..PATHS_MAX).filter_map(PathId::from_index) {
            if core.path(path).is_none() {
                probes.close(path);
                commands.kill_path(path);
                if let Some(uplink) = uplinks.get_mut(path.index()) {
                    *uplink = Uplink::default();
                }
            }
        }
    }

    /// Sends one probe of each of these checks.
    pub(super) fn probe(
        &mut self,
        path: PathId,
        round: Round,
        CheckSet(checks): CheckSet,
        now: Instant,
    ) {
        if self.memory.probes.fd(path).is_none() {
            // What was refused when the uplink came, for want of descriptors or memory, may be granted by now.
            let _ = self.open(path);
        }
        for check in (0..8).filter(|check| checks & (1 << check) != 0) {
            match self.probe_one(path, round, check, now) {
                Ok(()) => {}
                Err(NotStarted::AlreadyRunning) => {
                    self.tell(Event::Skipped { path, check, round }, now)
                }
                Err(NotStarted::Failed(fault)) => self.tell(
                    Event::Failed {
                        path,
                        check,
                        round,
                        fault,
                    },
                    now,
                ),
            }
        }
    }

    fn probe_one(
        &mut self,
        path: PathId,
        round: Round,
        check: u8,
        now: Instant,
    ) -> Result<(), NotStarted> {
        let Memory {
            core,
            uplinks,
            probes,
            commands,
            ..
        } = &mut *self.memory;
        let config = core.config();
        let provider = config
            .at(path.slot)
            .ok_or(NotStarted::Failed(Fault::NoDevice))?;
        let asked = config
            .path_checks(provider, path.family)
            .nth(usize::from(check))
            .ok_or(NotStarted::Failed(Fault::NoDevice))?;
        self.counters.probes_sent = self.counters.probes_sent.wrapping_add(1);
        match &asked.kind {
            CheckKind::Ping { target } => probes
                .send(path, check, *target, round, now)
                .map_err(NotStarted::Failed),
            CheckKind::Exec { command } => {
                let uplink = uplinks
                    .get(path.index())
                    .ok_or(NotStarted::Failed(Fault::NoDevice))?;
                let asked_for = Asked { path, check, round };
                let environment = Environment {
                    provider: &provider.id,
                    device: &uplink.device,
                    address: uplink.address,
                    gateway: uplink.gateway,
                    target: &asked.target,
                };
                commands.start(
                    asked_for,
                    command,
                    &environment,
                    now,
                    provider.timing.timeout,
                )
            }
        }
    }

    /// The latest time at which what is read now can have come. Had it come after the core's deadline, which the loop
    /// was to wake at, the loop would have read it after that: what waited while we were paused is not late.
    fn heard_at(&self, now: Instant) -> Instant {
        self.due.map_or(now, |due| due.min(now))
    }

    /// Reads all that waited while the loop was paused, before anything is given up for unanswered.
    pub(super) fn catch_up(&mut self) {
        for index in 0..PATHS_MAX {
            let mut answers = 0..WAITING_MAX;
            while answers.next().is_some() && self.receive(index) {}
        }
        self.reap();
    }

    /// A path's socket is readable: one reply. Whether there was any.
    pub(super) fn receive(&mut self, index: usize) -> bool {
        let Some(path) = PathId::from_index(index) else {
            return false;
        };
        let now = now();
        let heard_at = self.heard_at(now);
        let Memory { core, probes, .. } = &mut *self.memory;
        match probes.receive(path, heard_at) {
            None => return false,
            Some(Ok(reply)) if target_of(core, path, reply.check) == Some(reply.source) => {
                self.counters.probes_answered = self.counters.probes_answered.wrapping_add(1);
                let (check, round, rtt) = (reply.check, reply.round, reply.rtt);
                self.tell(
                    Event::Reply {
                        path,
                        check,
                        round,
                        rtt,
                    },
                    now,
                );
            }
            Some(Err(Rejected::Unreachable { code })) => {
                self.counters.icmp_errors = self.counters.icmp_errors.wrapping_add(1);
                self.tell(Event::Unreachable { path, code }, now);
            }
            Some(_) => {
                self.counters.replies_rejected = self.counters.replies_rejected.wrapping_add(1)
            }
        }
        true
    }

    /// Children have ended.
    pub(super) fn reap(&mut self) {
        let now = now();
        let heard_at = self.heard_at(now);
        while let Some(Finished { asked, result }) = self.memory.commands.reap(heard_at) {
            let Asked { path, check, round } = asked;
            let event = match result {
                Ok(rtt) => {
                    self.counters.probes_answered = self.counters.probes_answered.wrapping_add(1);
                    Event::Reply {
                        path,
                        check,
                        round,
                        rtt,
                    }
                }
                Err(fault) => Event::Failed {
                    path,
                    check,
                    round,
                    fault,
                },
            };
            self.tell(event, now);
        }
    }
}

/// Who was asked by a check of a path, if it is a ping.
fn target_of(core: &Failover, path: PathId, check: u8) -> Option<IpAddr> {
    let config = core.config();
    let provider = config.at(path.slot)?;
    match config
        .path_checks(provider, path.family)
        .nth(usize::from(check))?
        .kind
    {
        CheckKind::Ping { target } => Some(target),
        CheckKind::Exec { .. } => None,
    }
}
