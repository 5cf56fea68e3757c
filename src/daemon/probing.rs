//! Rounds out, answers in.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::token::Token;
use super::{Daemon, LATE, Memory};
use crate::config::{Check, Config};
use crate::engine::{Engine, Event};
use crate::limits::{PATH_CHECKS_MAX, PATHS_MAX, WINDOW_MAX};
use crate::linux::clock::now;
use crate::linux::poll::{Interest, Poller};
use crate::linux::probe::exec::{Asked, Finished, NotStarted};
use crate::linux::probe::prober::{News, Question, Source};
use crate::routing::mirror::Mirror;
use crate::routing::uplink::Uplink;
use crate::types::{CheckSet, Fault, Instant, PathId, Round};

/// Most answers of a path that are read at once: all that its rounds can have asked for.
const WAITING_MAX: usize = WINDOW_MAX * PATH_CHECKS_MAX;

impl Daemon<'_> {
    /// Opens a path's socket on its present device and address, or opens it anew.
    pub(super) fn bind(&mut self, path: PathId) {
        let Err(fault) = self.open(path) else {
            return;
        };
        let Memory {
            engine, uplinks, ..
        } = &*self.memory;
        let id = engine.config().at(path.slot).map_or("", |p| p.id.as_str());
        let device = uplinks.get(path.index()).map_or("", |u| u.device.as_str());
        log::warn!("{id} {}: no probes on {device}: {fault}", path.family);
    }

    fn open(&mut self, path: PathId) -> Result<(), Fault> {
        let Memory {
            uplinks, prober, ..
        } = &mut *self.memory;
        let uplink = uplinks.get(path.index()).ok_or(Fault::NoDevice)?;
        prober.open(path, uplink, &watch(&self.poller))
    }

    /// Closes what no path uses any more.
    pub(super) fn close_unused(&mut self) {
        let Memory {
            engine,
            uplinks,
            prober,
            ..
        } = &mut *self.memory;
        for path in (0..PATHS_MAX).filter_map(PathId::from_index) {
            if engine.path(path).is_none() {
                prober.close(path);
                if let Some(uplink) = uplinks.get_mut(path.index()) {
                    *uplink = Uplink::default();
                }
            }
        }
    }

    /// Forgets what was asked for checks that the candidate has not, or has others in their places, and the uplinks of
    /// providers whose places others get. To be called before that is in force.
    pub(super) fn forget_changed(&mut self) {
        let Memory {
            engine,
            candidate,
            prober,
            uplinks,
            ..
        } = &mut *self.memory;
        let id_in = |config: &Config, path: PathId| config.at(path.slot).map(|p| p.id.clone());
        for (index, uplink) in uplinks.iter_mut().enumerate() {
            let path = PathId::from_index(index);
            if path.is_some_and(|path| id_in(engine.config(), path) != id_in(candidate, path)) {
                *uplink = Uplink::default();
            }
        }
        prober.keep(&|path, check| {
            check_of(engine.config(), path, check) == check_of(candidate, path, check)
        });
    }

    /// Sends one probe of each of these checks.
    pub(super) fn probe(
        &mut self,
        path: PathId,
        round: Round,
        CheckSet(checks): CheckSet,
        now: Instant,
    ) {
        if !self.memory.prober.is_open(path) {
            // What was refused when the uplink came, for want of descriptors or memory, may be granted by now.
            let _ = self.open(path);
        }
        let turn = self.memory.engine.path(path).map_or(0, |p| p.rounds.turn());
        let in_turn = (turn..8).chain(0..turn.min(8));
        for check in in_turn.filter(|check| checks & (1 << check) != 0) {
            match self.probe_one(Asked { path, check, round }, now) {
                Ok(None) => {}
                Ok(Some(finished)) => self.finish(finished, now),
                Err(NotStarted::AlreadyRunning) => {
                    self.tell(Event::Skipped { path, check, round }, now)
                }
                Err(NotStarted::NoRoom(room)) => {
                    self.warnings_due |= self.warnings.lacks(room, now);
                    self.tell(Event::Unasked { path, check, round }, now);
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

    fn probe_one(&mut self, asked: Asked, now: Instant) -> Result<Option<Finished>, NotStarted> {
        let Memory {
            engine,
            mirror,
            uplinks,
            prober,
            ..
        } = &mut *self.memory;
        let known = (&*engine, &*mirror, &**uplinks);
        let question =
            question(known, asked.path, asked.check).ok_or(NotStarted::Failed(Fault::NoDevice))?;
        let result = prober.ask(asked, &question, now, &watch(&self.poller));
        if matches!(result, Ok(_) | Err(NotStarted::Failed(_))) {
            self.counters.probes_sent = self.counters.probes_sent.wrapping_add(1);
        }
        result
    }

    /// The room for probes is shared among the paths of the configuration in force.
    pub(super) fn share_room(&mut self) {
        let Memory { engine, prober, .. } = &mut *self.memory;
        prober.share(engine.config());
    }

    /// The latest time at which what is read now can have come. Where the loop was paused, that is the engine's deadline,
    /// which it was to wake at: had it come later, it would have been read later, and what waited is not late.
    fn heard_at(&self, now: Instant) -> Instant {
        let paused = self.due.filter(|due| *due + LATE <= now);
        paused.unwrap_or(now)
    }

    /// Reads all that waited while the loop was paused, before anything is given up for unanswered.
    pub(super) fn catch_up(&mut self) {
        for index in 0..PATHS_MAX {
            for source in [Source::Echo(index), Source::Link(index)] {
                let mut answers = 0..WAITING_MAX;
                while answers.next().is_some() && self.hear(source) {}
            }
        }
        let mut place = 0;
        while let Some(session) = self.memory.prober.session(place) {
            self.hear(session);
            if self.memory.prober.session(place) == Some(session) {
                place += 1;
            }
        }
        self.reap();
    }

    /// Something may be there to be heard: one piece of it. Whether there was any.
    pub(super) fn hear(&mut self, source: Source) -> bool {
        let now = now();
        let heard_at = self.heard_at(now);
        let Memory {
            engine,
            mirror,
            uplinks,
            prober,
            ..
        } = &mut *self.memory;
        let find = |path, check| question((engine, mirror, uplinks), path, check);
        let news = prober.hear(source, &find, heard_at, &watch(&self.poller));
        match news {
            None => return false,
            Some(News::Overheard) => {}
            Some(News::Finished(finished)) => self.finish(finished, now),
            Some(News::Unreachable(path, code)) => {
                self.counters.icmp_errors = self.counters.icmp_errors.wrapping_add(1);
                self.tell(Event::Unreachable { path, code }, now);
            }
            Some(News::Rejected) => {
                self.counters.replies_rejected = self.counters.replies_rejected.wrapping_add(1);
            }
        }
        true
    }

    /// Ends the probes that take too long.
    pub(super) fn give_up(&mut self, now: Instant) {
        loop {
            let Memory {
                engine,
                mirror,
                uplinks,
                prober,
                ..
            } = &mut *self.memory;
            let find = |path, check| question((engine, mirror, uplinks), path, check);
            let Some(finished) = prober.give_up(&find, now) else {
                return;
            };
            self.finish(finished, now);
        }
    }

    /// Children have ended.
    pub(super) fn reap(&mut self) {
        let now = now();
        let heard_at = self.heard_at(now);
        while let Some(finished) = self.memory.prober.reap(heard_at) {
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

/// A check of a path, by its number.
fn question<'a>(
    (engine, mirror, uplinks): (&'a Engine, &'a Mirror, &'a [Uplink]),
    path: PathId,
    check: u8,
) -> Option<Question<'a>> {
    let config = engine.config();
    Some(Question {
        provider: config.at(path.slot)?,
        check: check_of(config, path, check)?,
        uplink: uplinks.get(path.index())?,
        own: mirror.addresses(),
    })
}

fn check_of(config: &Config, path: PathId, number: u8) -> Option<&Check> {
    let provider = config.at(path.slot)?;
    config
        .path_checks(provider, path.family)
        .nth(usize::from(number))
}

/// Has the loop wait for a socket.
fn watch(poller: &Poller) -> impl Fn(BorrowedFd<'_>, Source, Interest, bool) -> Result<(), Errno> {
    move |socket, source, interest, is_new| {
        let token = Token::Probe(source).to_u64();
        match is_new {
            true => poller.add(socket, token, interest),
            false => poller.modify(socket, token, interest),
        }
    }
}
