//! Rounds out, answers in.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::{Daemon, Memory, Token};
use crate::check::Way;
use crate::config::{Check, PATH_CHECKS_MAX, PATHS_MAX, PathId, Provider, WINDOW_MAX};
use crate::failover::{CheckSet, Event, Failover, Fault, Round};
use crate::linux::clock::now;
use crate::linux::exec::{Asked, Environment, Finished, NotStarted};
use crate::linux::fault::fault;
use crate::linux::poll::{Interest, Poller};
use crate::linux::talks::{Outlet, Serial};
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
            uplinks,
            probes,
            neighbours,
            talks,
            ..
        } = &mut *self.memory;
        let uplink = uplinks.get(path.index()).ok_or(Fault::NoDevice)?;
        talks.drop_path(path);
        neighbours.close(path); // to be opened anew when it is asked
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
            neighbours,
            talks,
            ..
        } = &mut *self.memory;
        for path in (0..PATHS_MAX).filter_map(PathId::from_index) {
            if core.path(path).is_none() {
                probes.close(path);
                commands.kill_path(path);
                neighbours.close(path);
                talks.drop_path(path);
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
        let asked = Asked { path, check, round };
        let failed = NotStarted::Failed;
        let Memory {
            core,
            uplinks,
            probes,
            commands,
            talks,
            ..
        } = &mut *self.memory;
        let (provider, question) = question(core, path, check).ok_or(failed(Fault::NoDevice))?;
        let uplink = uplinks.get(path.index()).ok_or(failed(Fault::NoDevice))?;
        self.counters.probes_sent = self.counters.probes_sent.wrapping_add(1);
        match question.kind.way() {
            Way::Echo(ping) => probes.send(path, check, ping, round, now).map_err(failed),
            Way::Link(target) => {
                let target = target.or(uplink.gateway);
                self.ask_neighbour(asked, target, now).map_err(failed)
            }
            Way::Talk => {
                let timeout = provider.timing.timeout;
                let (kind, outlet) = (&question.kind, outlet(uplink));
                let poller = &self.poller;
                let over = talks.start(asked, kind, &outlet, now, timeout, &watch(poller))?;
                if let Some(finished) = over {
                    self.finish(finished, now);
                }
                Ok(())
            }
            Way::Run(command) => {
                let environment = Environment {
                    provider: &provider.id,
                    device: &uplink.device,
                    address: uplink.address,
                    gateway: uplink.gateway,
                    target: &question.target,
                };
                commands.start(asked, command, &environment, now, provider.timing.timeout)
            }
        }
    }

    /// Asks on a path's link, whose socket is opened when it is needed.
    fn ask_neighbour(
        &mut self,
        asked: Asked,
        target: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Fault> {
        let Asked { path, check, round } = asked;
        let Memory {
            uplinks,
            neighbours,
            ..
        } = &mut *self.memory;
        // A point-to-point device has no gateway, and nobody to ask for it.
        let target = target.ok_or(Fault::NoNeighbours)?;
        if neighbours.fd(path).is_none() {
            let uplink = uplinks.get(path.index()).ok_or(Fault::NoDevice)?;
            neighbours.bind(path, uplink.index, uplink.address)?;
            if let Some(fd) = neighbours.fd(path) {
                self.poller
                    .add(fd, Token::Link(path.index()).to_u64(), Interest::READ)
                    .map_err(fault)?;
            }
        }
        neighbours.send(path, check, target, round, now)
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
            while answers.next().is_some() && self.hear_neighbour(index) {}
        }
        let mut place = 0;
        while let Some(serial) = self.memory.talks.serial(place) {
            self.hear(serial);
            if self.memory.talks.serial(place) == Some(serial) {
                place += 1;
            }
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
            Some(Ok(reply))
                if ping_of(core, path, reply.check) == Some((reply.source, reply.size)) =>
            {
                let (check, round) = (reply.check, reply.round);
                let finished = Finished {
                    asked: Asked { path, check, round },
                    result: Ok(reply.rtt),
                };
                self.finish(finished, now);
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

    /// Somebody says something on a path's link. Whether there was anything.
    pub(super) fn hear_neighbour(&mut self, index: usize) -> bool {
        let Some(path) = PathId::from_index(index) else {
            return false;
        };
        let now = now();
        let heard_at = self.heard_at(now);
        let Some(who) = self.memory.neighbours.receive(path) else {
            return false;
        };
        let mut answered = false;
        for check in (0..8).filter(|_| who.is_some()) {
            let Memory {
                core,
                uplinks,
                neighbours,
                ..
            } = &mut *self.memory;
            let gateway = uplinks.get(index).and_then(|uplink| uplink.gateway);
            let target = match question(core, path, check).map(|(_, asked)| asked.kind.way()) {
                Some(Way::Link(target)) => target.or(gateway),
                _ => continue,
            };
            if target != who {
                continue;
            }
            if let Some((round, rtt)) = neighbours.answered(path, check, heard_at) {
                answered = true;
                let finished = Finished {
                    asked: Asked { path, check, round },
                    result: Ok(rtt),
                };
                self.finish(finished, now);
            }
        }
        if !answered {
            self.counters.replies_rejected = self.counters.replies_rejected.wrapping_add(1);
        }
        true
    }

    /// A conversation can go on.
    pub(super) fn hear(&mut self, serial: Serial) {
        let now = now();
        let heard_at = self.heard_at(now);
        let Memory {
            core,
            uplinks,
            talks,
            ..
        } = &mut *self.memory;
        let Some(Asked { path, check, .. }) = talks.asked(serial) else {
            return;
        };
        let (Some((_, asked)), Some(uplink)) =
            (question(core, path, check), uplinks.get(path.index()))
        else {
            return talks.drop_path(path);
        };
        let (kind, outlet) = (&asked.kind, outlet(uplink));
        let over = talks.hear(serial, kind, &outlet, heard_at, &watch(&self.poller));
        if let Some(finished) = over {
            self.finish(finished, now);
        }
    }

    /// Ends the conversations whose time is up.
    pub(super) fn give_up_talks(&mut self, now: Instant) {
        let Memory { core, talks, .. } = &mut *self.memory;
        while let Some((serial, Asked { path, check, .. })) = talks.overdue(now) {
            let kind = question(core, path, check).map(|(_, asked)| &asked.kind);
            if let Some(finished) = talks.give_up(serial, kind, now) {
                self.finish(finished, now);
                return self.give_up_talks(now);
            }
        }
    }

    /// Children have ended.
    pub(super) fn reap(&mut self) {
        let now = now();
        let heard_at = self.heard_at(now);
        while let Some(finished) = self.memory.commands.reap(heard_at) {
            self.finish(finished, now);
        }
    }

    /// A probe has come to its end.
    fn finish(&mut self, Finished { asked, result }: Finished, now: Instant) {
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

/// A check of a path, and whose it is.
fn question(core: &Failover, path: PathId, check: u8) -> Option<(&Provider, &Check)> {
    let config = core.config();
    let provider = config.at(path.slot)?;
    let check = config
        .path_checks(provider, path.family)
        .nth(usize::from(check))?;
    Some((provider, check))
}

/// Who was asked by a check of a path, and with how many bytes, if it is a ping.
fn ping_of(core: &Failover, path: PathId, check: u8) -> Option<(IpAddr, u16)> {
    match question(core, path, check)?.1.kind.way() {
        Way::Echo(ping) => Some((ping.target, ping.size)),
        _ => None,
    }
}

fn outlet(uplink: &Uplink) -> Outlet<'_> {
    Outlet {
        device: &uplink.device,
        address: uplink.address,
    }
}

/// Has the loop wait for a conversation's socket.
fn watch(poller: &Poller) -> impl Fn(BorrowedFd<'_>, Serial, Interest, bool) -> Result<(), Errno> {
    move |socket, serial, interest, is_new| {
        let token = Token::Talk(serial).to_u64();
        match is_new {
            true => poller.add(socket, token, interest),
            false => poller.modify(socket, token, interest),
        }
    }
}
