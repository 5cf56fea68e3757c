//! Rounds out, answers in.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::context::{Context, Probes};
use super::flux;
use super::routes::RouteSync;
use super::token::Token;
use crate::config::{Check, Config};
use crate::engine::path::Path;
use crate::engine::{Engine, Event};
use crate::limits::{PATH_CHECKS_MAX, PATHS_MAX, WINDOW_MAX};
use crate::linux::clock::now;
use crate::linux::log;
use crate::linux::poll::{Interest, Poller};
use crate::linux::probe::Source;
use crate::linux::probe::exec::{Asked, Finished, NotStarted};
use crate::linux::probe::prober::{News, Prober, Question};
use crate::linux::probe::share::Room;
use crate::routing::uplink::Uplink;
use crate::types::{CheckSet, Duration, Family, Fault, Instant, PathId, soonest};

/// The most answers of a path that are read at once: as many as its rounds can have.
const WAITING_MAX: usize = WINDOW_MAX * PATH_CHECKS_MAX;
/// If the loop wakes so much after the engine's deadline, the process was paused: stopped, suspended, or not scheduled.
const LATE: Duration = Duration::from_millis(10);
/// How long a warning is shown after the last probe that there was no room for.
const LACK_SHOWN: Duration = Duration::from_secs(60);

/// The probes under way, and their sockets.
pub(super) struct Probing<'m> {
    prober: &'m mut Prober,
    /// The engine's deadline when the loop last slept.
    slept_for: Option<Instant>,
    /// By [`Room`], what lacked room when a probe was sent: until when a warning is shown.
    lacking: [Option<Instant>; Room::ALL.len()],
    pub(super) probes_sent: u32,
    pub(super) probes_answered: u32,
    pub(super) replies_rejected: u32,
    pub(super) icmp_errors: u32,
}

impl<'m> Probing<'m> {
    /// Takes its memory; no socket is open.
    pub(super) fn new(prober: &'m mut Prober) -> Probing<'m> {
        Probing {
            prober,
            slept_for: None,
            lacking: Default::default(),
            probes_sent: 0,
            probes_answered: 0,
            replies_rejected: 0,
            icmp_errors: 0,
        }
    }

    /// Opens a path's socket on its present device and address, and closes the former one.
    pub(super) fn bind(&mut self, path: PathId, uplink: &Uplink, cx: &Context<'_>) {
        let Err(fault) = self.prober.open(path, uplink, &watch(&cx.poller)) else {
            return;
        };
        let config = cx.engine.config();
        let id = config.at(path.slot).map_or("", |p| p.id.as_str());
        let device = uplink.device.as_str();
        log::warn(format_args!(
            "{id} {}: no probes on {device}: {fault}",
            path.family
        ));
    }

    /// Drops the probes of checks that the candidate does not have, or has in other places. Call it before the candidate is
    /// in force.
    pub(super) fn forget_changed(&mut self, running: &Config, candidate: &Config) {
        self.prober.keep(&|path, check| {
            check_of(running, path, check) == check_of(candidate, path, check)
        });
    }

    /// Closes sockets that no path uses, and shares the room for probes among the paths.
    pub(super) fn fit(&mut self, engine: &Engine) {
        for path in (0..PATHS_MAX).filter_map(PathId::from_index) {
            if engine.path(path).is_none() {
                self.prober.close(path);
            }
        }
        self.prober.share(engine.config());
        self.lacking = Default::default(); // there may be room now
    }

    /// Sends one probe of each of these checks.
    pub(super) fn probe(
        &mut self,
        probes: &Probes,
        cx: &mut Context<'_>,
        routes: &RouteSync<'_>,
        now: Instant,
    ) {
        let Probes {
            path,
            round,
            checks: CheckSet(checks),
            afresh,
        } = *probes;
        self.look_for_arrivals(path, cx, routes, now);
        if afresh {
            self.prober.renew(path);
        }
        if let Some(uplink) = routes.uplink(path)
            && !self.prober.is_open(path)
        {
            // The socket may have failed to open for lack of descriptors or memory: try again.
            let _ = self.prober.open(path, uplink, &watch(&cx.poller));
        }
        let turn = cx.engine.path(path).map_or(0, |p| p.rounds.turn());
        for place in turn..turn + 8 {
            let check = place % 8;
            if checks & (1 << check) == 0 {
                continue;
            }
            let asked = Asked { path, check, round };
            match self.probe_one(asked, cx, routes, now) {
                Ok(None) => {}
                Ok(Some(finished)) => self.finish(finished, cx, now),
                Err(NotStarted::AlreadyRunning) => {
                    cx.tell(Event::Skipped { path, check, round }, now)
                }
                Err(NotStarted::NoRoom(room)) => {
                    cx.warnings_due |= self.lacks(room, now);
                    cx.tell(Event::Unasked { path, check, round }, now);
                }
                Err(NotStarted::Failed(fault)) => cx.tell(
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
        if let Some(uplink) = routes.uplink(path).filter(|_| is_silent(cx.engine, path)) {
            let anywhere = flux::has_twin(cx.engine.config(), routes, path);
            let device = if anywhere { 0 } else { uplink.index };
            self.prober.watch_arrivals(path, device);
        }
    }

    /// Tells of answers to a silent path's probes that do not reach us: they arrive at its device, or at another's.
    fn look_for_arrivals(
        &mut self,
        path: PathId,
        cx: &mut Context<'_>,
        routes: &RouteSync<'_>,
        now: Instant,
    ) {
        let find = |path, check| question(cx.engine, routes, path, check);
        let found = self.prober.cut_off_at(path, &find);
        let (Some(device), Some(uplink)) = (found, routes.uplink(path)) else {
            return;
        };
        if device == uplink.index {
            cx.answers_dropped(path, &uplink.device, now);
        } else if !cx.strayed.contains(path.slot) {
            cx.strayed.insert(path.slot);
            cx.warnings_due = true;
        }
    }

    fn probe_one(
        &mut self,
        asked: Asked,
        cx: &Context<'_>,
        routes: &RouteSync<'_>,
        now: Instant,
    ) -> Result<Option<Finished>, NotStarted> {
        let question = question(cx.engine, routes, asked.path, asked.check)
            .ok_or(NotStarted::Failed(Fault::NoDevice))?;
        let result = self.prober.ask(asked, &question, now, &watch(&cx.poller));
        if matches!(result, Ok(_) | Err(NotStarted::Failed(_))) {
            self.probes_sent = self.probes_sent.wrapping_add(1);
        }
        result
    }

    /// There was no room for a probe. Returns whether the warning is new.
    fn lacks(&mut self, room: Room, now: Instant) -> bool {
        let place = self.lacking.get_mut(room as usize);
        place.is_some_and(|until| until.replace(now + LACK_SHOWN).is_none())
    }

    /// What lacks room.
    pub(super) fn lacking(&self) -> impl Iterator<Item = Room> {
        let lacks = |room: &Room| self.lacking[*room as usize].is_some();
        Room::ALL.into_iter().filter(lacks)
    }

    /// When a probe is given up, or the warning of a lack of room ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let [sessions, commands, system] = &self.lacking;
        soonest(&[sessions, commands, system, &self.prober.next_deadline()])
    }

    /// The loop is about to sleep until the engine's deadline, or until an event.
    pub(super) fn sleeps_for(&mut self, deadline: Option<Instant>) {
        self.slept_for = deadline;
    }

    /// The engine's deadline, if the process was paused and the loop has missed the deadline by far.
    fn missed(&self, now: Instant) -> Option<Instant> {
        self.slept_for.filter(|due| *due + LATE <= now)
    }

    /// The time of arrival that is assumed for what is read now. After a pause it is the engine's deadline, at which the loop
    /// should have woken: an answer that waited in the socket during the pause is not late.
    fn heard_at(&self, now: Instant) -> Instant {
        self.missed(now).unwrap_or(now)
    }

    /// Ends overdue probes. It comes before the engine's own timeouts, because a session knows why there is no answer.
    pub(super) fn time_passes(
        &mut self,
        cx: &mut Context<'_>,
        routes: &RouteSync<'_>,
        now: Instant,
    ) {
        if self.missed(now).is_some() {
            self.catch_up(cx, routes);
        }
        self.give_up(cx, routes, now);
        let engine = &*cx.engine;
        self.prober.keep_watches(&|path| is_silent(engine, path));
        let heard = |slot| {
            !is_silent(
                engine,
                PathId {
                    slot,
                    family: Family::V4,
                },
            )
        };
        cx.warnings_due |= cx.strayed.remove_if(heard);
        for until in &mut self.lacking {
            cx.warnings_due |= until.take_if(|until| *until <= now).is_some();
        }
    }

    /// Reads all answers that arrived during a pause, before any probe is counted as lost.
    fn catch_up(&mut self, cx: &mut Context<'_>, routes: &RouteSync<'_>) {
        for index in 0..PATHS_MAX {
            for source in &[Source::Echo(index), Source::Link(index)] {
                let mut answers = 0..WAITING_MAX;
                while answers.next().is_some() && self.hear(*source, cx, routes) {}
            }
        }
        let mut place = 0;
        while let Some(session) = self.prober.session(place) {
            self.hear(session, cx, routes);
            if self.prober.session(place) == Some(session) {
                place += 1;
            }
        }
        self.reap(cx);
    }

    /// Reads one answer of a socket. Returns whether there was one.
    pub(super) fn hear(
        &mut self,
        source: Source,
        cx: &mut Context<'_>,
        routes: &RouteSync<'_>,
    ) -> bool {
        let now = now();
        let heard_at = self.heard_at(now);
        let find = |path, check| question(cx.engine, routes, path, check);
        let news = self
            .prober
            .hear(source, &find, heard_at, &watch(&cx.poller));
        match news {
            None => return false,
            Some(News::Overheard) => {}
            Some(News::Finished(finished)) => self.finish(finished, cx, now),
            Some(News::Unreachable(path, code)) => {
                self.icmp_errors = self.icmp_errors.wrapping_add(1);
                cx.tell(Event::Unreachable { path, code }, now);
            }
            Some(News::Rejected) => {
                self.replies_rejected = self.replies_rejected.wrapping_add(1);
            }
        }
        true
    }

    /// Ends the probes whose time is over.
    fn give_up(&mut self, cx: &mut Context<'_>, routes: &RouteSync<'_>, now: Instant) {
        loop {
            let find = |path, check| question(cx.engine, routes, path, check);
            let Some(finished) = self.prober.give_up(&find, now) else {
                return;
            };
            self.finish(finished, cx, now);
        }
    }

    /// Children have ended.
    pub(super) fn reap(&mut self, cx: &mut Context<'_>) {
        let now = now();
        let heard_at = self.heard_at(now);
        while let Some(finished) = self.prober.reap(heard_at) {
            self.finish(finished, cx, now);
        }
    }

    /// Reports the end of a probe to the engine.
    fn finish(&mut self, Finished { asked, result }: Finished, cx: &mut Context<'_>, now: Instant) {
        let Asked { path, check, round } = asked;
        let event = match result {
            Ok(rtt) => {
                self.probes_answered = self.probes_answered.wrapping_add(1);
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
        cx.tell(event, now);
    }

    /// Ends all probes, as the daemon stops.
    pub(super) fn stop(&mut self) {
        self.prober.stop();
    }
}

fn is_silent(engine: &Engine, path: PathId) -> bool {
    engine.path(path).is_some_and(Path::is_silent)
}

/// A check of a path, by its number.
fn question<'a>(
    engine: &'a Engine,
    routes: &'a RouteSync<'_>,
    path: PathId,
    check: u8,
) -> Option<Question<'a>> {
    let config = engine.config();
    let check = check_of(config, path, check)?;
    Some(Question {
        provider: config.at(path.slot)?,
        check,
        own_target: routes.own_targets != 0 && routes.own_targets & config.bit_of(check) != 0,
        uplink: routes.uplink(path)?,
        own: routes.mirror.addresses(),
    })
}

fn check_of(config: &Config, path: PathId, number: u8) -> Option<&Check> {
    let provider = config.at(path.slot)?;
    config
        .path_checks(provider, path.family)
        .nth(usize::from(number))
}

/// Adds a socket to the poller.
fn watch(poller: &Poller) -> impl Fn(BorrowedFd<'_>, Source, Interest, bool) -> Result<(), Errno> {
    move |socket, source, interest, is_new| {
        let token = Token::Probe(source).to_u64();
        match is_new {
            true => poller.add(socket, token, interest),
            false => poller.modify(socket, token, interest),
        }
    }
}
