//! `probe`: makes a provider's checks now, by the daemon's own prober, and shows each answer as it comes.
//!
//! | module | job |
//! |---|---|
//! | `uplinks` | the provider's uplinks |
//! | `temporary_routes` | the routes that device-bound probes need, while no daemon keeps any |

mod temporary_routes;
mod uplinks;

use std::fmt::Display;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::errno::Errno;

use super::{complain, look, print, settings};
use crate::check::Way;
use crate::client::cli::Exit;
use crate::config::{Check, Config};
use crate::linux::clock::now;
use crate::linux::netlink::Requests;
use crate::linux::netns_lock::NetnsLock;
use crate::linux::poll::{Interest, Poller, ReadyList};
use crate::linux::privileges;
use crate::linux::probe::Source;
use crate::linux::probe::exec::{Asked, Finished, NotStarted};
use crate::linux::probe::prober::{News, Prober, Question};
use crate::linux::probe::session::Serial;
use crate::linux::signals::{Signal, Signals};
use crate::routing::uplink::Uplink;
use crate::types::{Duration, Instant, PathId, Round, Waiting, soonest};
use crate::wire::decimal::Decimal;
use temporary_routes::TemporaryRoutes;
use uplinks::ProbedProvider;

/// What to probe, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// a provider's id
    pub provider: &'a str,
    /// a check's name; none: all of the provider's
    pub check: Option<&'a str>,
    /// how many times
    pub count: u32,
    /// so much time in between
    pub interval: Duration,
}

/// `probe`. Never inlined, so that its large stack frame is not part of the daemon's.
#[inline(never)]
pub fn probe(file: &Path, errand: &Errand<'_>) -> Exit {
    if errand.count == 0 {
        return complain(Exit::Usage, &"--count 0: expected at least 1");
    }
    let mut config = match settings(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Some(missing) = privileges::missing() {
        return complain(Exit::NotPermitted, &missing);
    }
    if let Err(what) = uplinks::choose(&mut config, errand) {
        return complain(Exit::Usage, &what);
    }
    match probe_with(&config, errand) {
        Ok(exit) => exit,
        Err(what) => complain(Exit::NoDaemon, &what),
    }
}

fn probe_with(config: &Config, errand: &Errand<'_>) -> Result<Exit, String> {
    let mut requests = Requests::open().map_err(|error| error.to_string())?;
    let probed = ProbedProvider::look(config, &mut requests)?;
    Probing::new(&probed, &mut requests)?.run(errand)
}

/// In a function of its own, because it passes through the stack, where each access to what lies behind it takes three
/// instructions.
#[inline(never)]
fn prober() -> Box<Prober> {
    Box::new(Prober::new())
}

/// A check that is made.
struct Line<'a> {
    id: PathId,
    number: u8,
    question: Question<'a>,
    /// the probes on their way, oldest first, and when they are lost
    pending: Vec<(Round, Instant)>,
    sent: u32,
    answered: u32,
    /// the least, the most, and the sum of the round-trip times
    min_us: u32,
    max_us: u32,
    sum_us: u64,
}

/// All probes under way.
struct Probing<'a> {
    lines: Vec<Line<'a>>,
    prober: Box<Prober>,
    poller: Poller,
    signals: Signals,
    /// kept while the probes are on their way
    routes: TemporaryRoutes<'a>,
}

const SIGNALS: u64 = 3;
const ASKERS: u64 = 7;

impl<'a> Probing<'a> {
    fn new(
        probed: &'a ProbedProvider<'a>,
        requests: &'a mut Requests,
    ) -> Result<Probing<'a>, String> {
        // Those that may fail are made first.
        let mut probing = Probing {
            signals: Signals::new().map_err(told)?,
            poller: Poller::new().map_err(told)?,
            routes: TemporaryRoutes::open(probed, requests)?,
            lines: Vec::new(),
            prober: prober(),
        };
        probing
            .poller
            .add(&probing.signals, SIGNALS, Interest::READ)
            .map_err(told)?;
        if let Some(askers) = probing.routes.netns_lock().and_then(NetnsLock::fd) {
            let added = probing.poller.add(askers, ASKERS, Interest::READ);
            added.map_err(told)?;
        }
        probing.prober.by_hand();
        for way in &probed.ways {
            print(&format!("{way}\n"));
            let checks = probed.config.path_checks(probed.provider, way.id.family);
            for (number, check) in (0..).zip(checks) {
                probing.lines.push(Line {
                    id: way.id,
                    number,
                    question: Question {
                        provider: probed.provider,
                        check,
                        uplink: &way.uplink,
                        own: probed.mirror.addresses(),
                        own_target: probed.is_own_target(check),
                    },
                    pending: Vec::new(),
                    sent: 0,
                    answered: 0,
                    min_us: u32::MAX,
                    max_us: 0,
                    sum_us: 0,
                });
            }
            if way.uplink.waiting.is_none() {
                let watch = watch(&probing.poller);
                let opened = probing.prober.open(way.id, &way.uplink, &watch);
                opened.map_err(|fault| format!("no probes on {}: {fault}", way.uplink.device))?;
            }
        }
        Ok(probing)
    }

    fn run(&mut self, errand: &Errand<'_>) -> Result<Exit, String> {
        let mut next_at = now();
        let mut rounds = 0;
        let mut list = ReadyList::new();
        loop {
            let time = now();
            if rounds < errand.count && next_at <= time {
                self.ask_all(Round(rounds), time);
                rounds += 1;
                next_at += errand.interval;
                continue;
            }
            self.give_up(time);
            let first = |line: &Line<'_>| line.pending.first().map(|(_, lost_at)| *lost_at);
            let lost_at = self.lines.iter().filter_map(first).min();
            if rounds == errand.count && lost_at.is_none() {
                break;
            }
            let round_at = (rounds < errand.count).then_some(next_at);
            let deadline = soonest(&[&lost_at, &round_at, &self.prober.next_deadline()]);
            self.poller.set_deadline(deadline).map_err(told)?;
            for ready in self.poller.wait(&mut list).map_err(told)? {
                if ready.token == SIGNALS {
                    if self.signalled() {
                        return Ok(self.conclude(errand));
                    }
                } else if ready.token == ASKERS {
                    let netns_lock = self.routes.netns_lock();
                    if netns_lock.is_some_and(NetnsLock::dismiss) {
                        print("  a daemon starts: the rest is left to it\n");
                        return Ok(self.conclude(errand));
                    }
                } else if let Some(source) = source(ready.token) {
                    self.hear(source);
                }
            }
        }
        Ok(self.conclude(errand))
    }

    fn ask_all(&mut self, round: Round, time: Instant) {
        for place in 0..self.lines.len() {
            let Some(line) = self.lines.get_mut(place) else {
                return;
            };
            if let Some(why) = hindrance(&line.question) {
                line.say(&why);
                line.sent += 1;
                continue;
            }
            let asked = Asked {
                path: line.id,
                check: line.number,
                round,
            };
            let question = line.question;
            line.sent += 1;
            let lost_at = time + question.provider.timing.timeout;
            line.pending.push((round, lost_at));
            let result = self
                .prober
                .ask(asked, &question, time, &watch(&self.poller));
            match result {
                Ok(None) => {}
                Ok(Some(finished)) => self.finish(finished),
                Err(NotStarted::Failed(fault)) => self.finish(Finished {
                    asked,
                    result: Err(fault),
                }),
                Err(NotStarted::AlreadyRunning) => {
                    self.unasked(place, &"the former one is not answered yet");
                }
                Err(NotStarted::NoRoom(room)) => self.unasked(place, &room),
            }
        }
    }

    fn unasked(&mut self, place: usize, why: &dyn Display) {
        if let Some(line) = self.lines.get_mut(place) {
            line.sent -= 1;
            line.pending.pop();
            line.say(&format_args!("not asked: {why}"));
        }
    }

    fn hear(&mut self, source: Source) {
        let lines = &self.lines;
        let find = |path, number| question(lines, path, number);
        let news = self.prober.hear(source, &find, now(), &watch(&self.poller));
        match news {
            Some(News::Finished(finished)) => self.finish(finished),
            Some(News::Unreachable(path, code)) => {
                print(&format!(
                    "  {} the network says unreachable (ICMP code {code})\n",
                    path.family
                ));
            }
            Some(News::Rejected | News::Overheard) | None => {}
        }
    }

    /// Counts as lost the probes that are not answered in time.
    fn give_up(&mut self, time: Instant) {
        loop {
            let lines = &self.lines;
            let find = |path, number| question(lines, path, number);
            let Some(finished) = self.prober.give_up(&find, time) else {
                break;
            };
            self.finish(finished);
        }
        for line in &mut self.lines {
            // Commands are killed; their end is reported by the prober.
            if matches!(line.question.check.kind.way(), Way::Run(_)) {
                continue;
            }
            let is_lost = |pending: &(Round, Instant)| pending.1 <= time;
            while line.pending.first().is_some_and(is_lost) {
                line.pending.remove(0);
                line.say(&"unanswered");
            }
        }
    }

    /// Whether to end.
    fn signalled(&mut self) -> bool {
        while let Ok(Some(signal)) = self.signals.take() {
            match signal {
                Signal::Stop | Signal::Reload => return true,
                Signal::Child => {
                    while let Some(finished) = self.prober.reap(now()) {
                        self.finish(finished);
                    }
                }
            }
        }
        false
    }

    fn finish(&mut self, Finished { asked, result }: Finished) {
        let is_it = |line: &&mut Line<'_>| (line.id, line.number) == (asked.path, asked.check);
        let Some(line) = self.lines.iter_mut().find(is_it) else {
            return;
        };
        let mut pending = line.pending.iter();
        let Some(place) = pending.position(|(round, _)| *round == asked.round) else {
            return; // given up already
        };
        line.pending.remove(place);
        match result {
            Ok(rtt) => {
                let us = u32::try_from(rtt.total_micros()).unwrap_or(u32::MAX);
                line.answered += 1;
                line.min_us = line.min_us.min(us);
                line.max_us = line.max_us.max(us);
                line.sum_us += u64::from(us);
                let ms = Decimal::new(us);
                line.say(&format_args!("answered in {ms} ms"));
            }
            Err(fault) => line.say(&fault),
        }
    }

    /// Prints the totals; returns the exit code.
    fn conclude(&mut self, errand: &Errand<'_>) -> Exit {
        self.prober.stop();
        if errand.count > 1 {
            for line in &self.lines {
                line.sum_up();
            }
        }
        let good = |line: &Line<'_>| line.sent > 0 && line.answered == line.sent;
        match self.lines.iter().all(good) {
            true => Exit::Ok,
            false => Exit::Unanswered,
        }
    }
}

impl Line<'_> {
    fn say(&self, what: &dyn Display) {
        let Check { name, kind, .. } = self.question.check;
        let asked = format!("{} {}", kind.name(), self.target());
        print(&format!(
            "  {} {name} ({}): {what}\n",
            self.id.family,
            asked.trim_ascii_end()
        ));
    }

    fn target(&self) -> String {
        let Question { check, uplink, .. } = self.question;
        match (check.target.as_str(), uplink.gateway) {
            ("", Some(gateway)) if matches!(check.kind.way(), Way::Link(_)) => gateway.to_string(),
            (target, _) => target.to_owned(),
        }
    }

    fn sum_up(&self) {
        let mut what = format!("{} of {} answered", self.answered, self.sent);
        if let Some(avg) = self.sum_us.checked_div(self.answered.into()) {
            let avg = u32::try_from(avg).unwrap_or(u32::MAX);
            let ms = Decimal::new;
            let (min, avg, max) = (ms(self.min_us), ms(avg), ms(self.max_us));
            what.push_str(&format!(", in {min} to {max} ms, {avg} ms on average"));
        }
        self.say(&what);
    }
}

fn question<'a>(lines: &[Line<'a>], path: PathId, number: u8) -> Option<Question<'a>> {
    let mut lines = lines.iter();
    let line = lines.find(|line| line.id == path && line.number == number)?;
    Some(line.question)
}

/// Why nothing can be sent. A neighbour can be probed without an own address.
fn hindrance(question: &Question<'_>) -> Option<Waiting> {
    let waiting = question.uplink.waiting?;
    let link = match question.check.kind.way() {
        Way::Link(target) => target.or(question.uplink.gateway).is_some(),
        _ => false,
    };
    let bearable = matches!(
        waiting,
        Waiting::NoAddress | Waiting::Duplicate | Waiting::NoGateway
    );
    (!(link && bearable)).then_some(waiting)
}

/// The uplink of a provider in a family.
struct OneWay {
    id: PathId,
    uplink: Uplink,
}

impl Display for OneWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Uplink {
            device,
            address,
            gateway,
            waiting,
            ..
        } = &self.uplink;
        write!(f, "{}", self.id.family)?;
        if !device.is_empty() {
            write!(f, " by {device}")?;
        }
        if let Some(address) = address {
            write!(f, ", from {address}")?;
        }
        if let Some(gateway) = gateway {
            write!(f, ", gateway {gateway}")?;
        }
        match waiting {
            Some(waiting) => write!(f, ": {waiting}"),
            None => f.write_str(":"),
        }
    }
}

fn told(errno: Errno) -> String {
    io::Error::from(errno).to_string()
}

/// Adds a socket to the poller.
fn watch(poller: &Poller) -> impl Fn(BorrowedFd<'_>, Source, Interest, bool) -> Result<(), Errno> {
    move |socket, source, interest, is_new| {
        let token = token(source);
        match is_new {
            true => poller.add(socket, token, interest),
            false => poller.modify(socket, token, interest),
        }
    }
}

fn token(source: Source) -> u64 {
    let (kind, index) = match source {
        Source::Echo(index) => (0, index as u64),
        Source::Link(index) => (1, index as u64),
        Source::Session(Serial(number)) => (2, number.into()),
    };
    index * 4 + kind
}

fn source(token: u64) -> Option<Source> {
    let index = token / 4;
    Some(match token % 4 {
        0 => Source::Echo(usize::try_from(index).ok()?),
        1 => Source::Link(usize::try_from(index).ok()?),
        2 => Source::Session(Serial(u32::try_from(index).ok()?)),
        _ => return None,
    })
}
