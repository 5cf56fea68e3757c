//! Sends the probes of all checks, and receives their answers.
//!
//! The owner of a `Prober` polls its sockets, each known by its `Source`, and calls `Prober::hear` when one is ready.

use core::net::IpAddr;

use nix::errno::Errno;

use super::super::errno::fault;
use super::super::poll::Interest;
use super::arrivals::Arrival;
use super::exec::{Asked, Commands, Environment, Finished, NotStarted, not_started};
use super::icmp::Probes;
use super::packet::Neighbours;
use super::session::{Outlet, Sessions};
use super::share::Shares;
use super::{Register, Source};
use crate::check::Way;
use crate::config::{Check, Config, Provider};
use crate::limits::PATH_CHECKS_MAX;
use crate::routing::objects::Address;
use crate::routing::uplink::Uplink;
use crate::types::{Family, Fault, Instant, PathId, soonest};
use crate::wire::icmp::Rejected;

/// The sockets and child processes of all probes. All zero bytes when new.
#[derive(Debug, Default)]
#[repr(C)] // keeps the order: small fields share a memory page with the beginning of a list
pub(crate) struct Prober {
    echoes: Probes,
    commands: Commands,
    neighbours: Neighbours,
    sessions: Sessions,
}

/// A check to make, its provider, and the uplink to make it by.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// the check's provider
    pub provider: &'a Provider,
    /// the check
    pub check: &'a Check,
    /// the path's uplink
    pub uplink: &'a Uplink,
    /// all addresses of this machine
    pub own: &'a [Address],
    /// the host that the check asks is this machine
    pub own_target: bool,
}

/// Finds the question for a check's number on a path; none if it no longer exists.
pub(crate) type Find<'f> = &'f dyn Fn(PathId, u8) -> Option<Question<'f>>;

/// What was read from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// a probe ended
    Finished(Finished),
    /// an ICMP error says that a probe of this path could not be delivered; its code
    Unreachable(PathId, u8),
    /// a message that answers none of our probes
    Rejected,
    /// a neighbour's answer to another request, for example of the local kernel
    Overheard,
}

impl Prober {
    /// Nothing open.
    pub(crate) const fn new() -> Prober {
        Prober {
            echoes: Probes::new(),
            commands: Commands::new(),
            neighbours: Neighbours::new(),
            sessions: Sessions::new(),
        }
    }

    /// Opens, or reopens, a path's raw socket on its current device and address. Closes the path's other sockets.
    pub(crate) fn open(
        &mut self,
        path: PathId,
        uplink: &Uplink,
        register: Register<'_>,
    ) -> Result<(), Fault> {
        self.sessions.drop_path(path);
        self.sessions.arrivals.keep(&|other| other != path);
        self.neighbours.close(path); // opened when needed
        // What NAT keeps of the former address is of no use.
        self.echoes.renew(path);
        self.echoes.bind(path, &uplink.device, uplink.address)?;
        let Some(fd) = self.echoes.fd(path) else {
            return Ok(());
        };
        register(fd, Source::Echo(path.index()), Interest::READ, true).map_err(fault)
    }

    /// The probes of a path are a new conversation from now on, to NAT on the way.
    pub(crate) fn renew(&mut self, path: PathId) {
        self.echoes.renew(path);
        if let Some(identifiers) = self.echoes.identifiers(path) {
            self.sessions.arrivals.identify(path, identifiers);
        }
    }

    /// The probes are a command's, not the daemon's.
    pub(crate) fn by_hand(&mut self) {
        self.echoes.by_hand();
    }

    /// Whether a path's raw socket is open.
    pub(crate) fn is_open(&self, path: PathId) -> bool {
        self.echoes.fd(path).is_some()
    }

    /// Closes all sockets of a path, and kills its commands.
    pub(crate) fn close(&mut self, path: PathId) {
        self.echoes.close(path);
        self.commands.kill_path(path);
        self.neighbours.close(path);
        self.sessions.drop_path(path);
        self.sessions.arrivals.keep(&|other| other != path);
    }

    /// Watches whether answers to a path's probes arrive at this device; 0 is any. Without a socket for that, nothing is
    /// known.
    pub(crate) fn watch_arrivals(&mut self, path: PathId, device: u32) {
        if let Some(identifiers) = self.echoes.identifiers(path) {
            let _ = self.sessions.arrivals.watch(path, device, identifiers);
        }
    }

    /// A round of a path begins: at which device answers arrive that do not reach us, if any do.
    pub(crate) fn cut_off_at(&mut self, path: PathId, find: Find<'_>) -> Option<u32> {
        let echoes = &self.echoes;
        self.sessions.arrivals.look(path, &|arrival| match arrival {
            Arrival::Session => true,
            Arrival::Echo(message, source) => {
                let parsed = echoes.recognise(path, message);
                parsed.is_some_and(|(check, size)| is_ping(find, path, check, source, size))
            }
        })
    }

    /// Watches arrivals of these paths only.
    pub(crate) fn keep_watches(&mut self, is_kept: &dyn Fn(PathId) -> bool) {
        self.sessions.arrivals.keep(is_kept);
    }

    /// Ends all sessions except those of checks that are kept.
    pub(crate) fn keep(&mut self, is_kept: &dyn Fn(PathId, u8) -> bool) {
        self.sessions.keep(is_kept);
    }

    /// Shares the room for sessions and commands among the paths of this configuration.
    pub(crate) fn share(&mut self, config: &Config) {
        self.sessions
            .share(Shares::of(config, &Check::needs_session));
        self.commands
            .share(Shares::of(config, &Check::needs_command));
    }

    /// Kills all commands.
    pub(crate) fn stop(&mut self) {
        self.commands.kill_all();
    }

    /// Sends one probe. Returns the result if it is known at once.
    pub(crate) fn ask(
        &mut self,
        asked: Asked,
        question: &Question<'_>,
        now: Instant,
        register: Register<'_>,
    ) -> Result<Option<Finished>, NotStarted> {
        let Asked { path, check, round } = asked;
        let Question {
            provider, uplink, ..
        } = *question;
        let timeout = provider.timing.timeout;
        let kind = &question.check.kind;
        // It would always answer. A neighbour is asked on the link, where another has that address.
        if question.own_target && !matches!(kind.way(), Way::Link(_)) {
            return Err(NotStarted::Failed(Fault::OwnTarget));
        }
        let sent = match kind.way() {
            Way::Echo(ping) => self.echoes.send(path, check, ping, round, now),
            Way::Link(target) => match target.as_ref().or(uplink.gateway.as_ref()) {
                Some(&target) => self
                    .open_packet_socket(path, Family::of(target), uplink, register)
                    .and_then(|()| self.neighbours.send(path, check, target, round, now)),
                // A point-to-point device has no gateway and no neighbours.
                None => Err(Fault::NoNeighbours),
            },
            Way::Session => {
                let outlet = outlet(question);
                return self
                    .sessions
                    .start(asked, kind, &outlet, now, timeout, register);
            }
            Way::Run(command) => {
                let environment = Environment {
                    provider: &provider.id,
                    device: &uplink.device,
                    address: uplink.address,
                    gateway: uplink.gateway,
                    target: &question.check.target,
                };
                let started = self
                    .commands
                    .start(asked, command, &environment, now, timeout);
                return started.map(|()| None);
            }
        };
        match sent {
            Ok(()) => Ok(None),
            Err(Fault::Errno(errno)) => Err(not_started(Errno::from_raw(errno))),
            Err(fault) => Err(NotStarted::Failed(fault)),
        }
    }

    /// Reads from a source that may be ready; none if there is nothing more. `heard_at` is the time of arrival.
    pub(crate) fn hear(
        &mut self,
        source: Source,
        find: Find<'_>,
        heard_at: Instant,
        register: Register<'_>,
    ) -> Option<News> {
        match source {
            Source::Echo(index) => self.receive_echo(PathId::from_index(index)?, find, heard_at),
            Source::Link(index) => self.receive_link(PathId::from_index(index)?, find, heard_at),
            Source::Session(serial) => {
                let Asked { path, check, .. } = self.sessions.asked(serial)?;
                let Some(question) = find(path, check) else {
                    self.sessions.drop_path(path);
                    return None;
                };
                let (kind, outlet) = (&question.check.kind, outlet(&question));
                self.sessions.arrivals.heard(path);
                self.sessions
                    .hear(serial, kind, &outlet, heard_at, register)
                    .map(News::Finished)
            }
        }
    }

    /// The session at a place in the list, to iterate over all; none after the last.
    pub(crate) fn session(&self, place: usize) -> Option<Source> {
        self.sessions.serial(place).map(Source::Session)
    }

    /// The earliest time at which [`Prober::give_up`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        soonest(&[
            &self.commands.next_deadline(),
            &self.sessions.next_deadline(),
        ])
    }

    /// Ends commands and sessions whose deadline has passed. Returns one result that has a cause other than a missing
    /// answer; to be called until it returns none.
    pub(crate) fn give_up(&mut self, find: Find<'_>, now: Instant) -> Option<Finished> {
        self.commands.kill_overdue(now);
        while let Some((serial, Asked { path, check, .. })) = self.sessions.overdue(now) {
            let question = find(path, check);
            let kind = question.map(|question| &question.check.kind);
            let finished = self.sessions.give_up(serial, kind, now);
            if finished.is_some() {
                return finished;
            }
        }
        None
    }

    /// One command that ended. To be called on SIGCHLD until it returns none.
    pub(crate) fn reap(&mut self, heard_at: Instant) -> Option<Finished> {
        self.commands.reap(heard_at)
    }

    /// Opens a path's packet socket for neighbours of a family if it is not open.
    fn open_packet_socket(
        &mut self,
        path: PathId,
        family: Family,
        uplink: &Uplink,
        register: Register<'_>,
    ) -> Result<(), Fault> {
        if self.neighbours.fd(path, family).is_some() {
            return Ok(());
        }
        self.neighbours
            .bind(path, family, uplink.index, uplink.address)?;
        let Some(fd) = self.neighbours.fd(path, family) else {
            return Ok(());
        };
        register(fd, Source::Link(path.index()), Interest::READ, true).map_err(fault)
    }

    fn receive_echo(&mut self, path: PathId, find: Find<'_>, heard_at: Instant) -> Option<News> {
        let received = self.echoes.receive(path, heard_at)?;
        self.sessions.arrivals.heard(path);
        Some(match received {
            Ok(reply) if is_ping(find, path, reply.check, reply.source, reply.size) => {
                let (check, round) = (reply.check, reply.round);
                News::Finished(Finished {
                    asked: Asked { path, check, round },
                    result: Ok(reply.rtt),
                })
            }
            Err(Rejected::Unreachable { code }) => News::Unreachable(path, code),
            _ => News::Rejected,
        })
    }

    fn receive_link(&mut self, path: PathId, find: Find<'_>, heard_at: Instant) -> Option<News> {
        let Some(neighbour) = self.neighbours.receive(path)? else {
            return Some(News::Overheard);
        };
        #[allow(clippy::cast_possible_truncation)] // 8
        for check in 0..PATH_CHECKS_MAX as u8 {
            let Some(Question {
                check: asked,
                uplink,
                ..
            }) = find(path, check)
            else {
                break;
            };
            let Way::Link(target) = asked.kind.way() else {
                continue;
            };
            if target.as_ref().or(uplink.gateway.as_ref()) != Some(&neighbour) {
                continue;
            }
            let family = Family::of(neighbour);
            if let Some((round, rtt)) = self.neighbours.answered(path, family, check, heard_at) {
                return Some(News::Finished(Finished {
                    asked: Asked { path, check, round },
                    result: Ok(rtt),
                }));
            }
        }
        Some(News::Overheard)
    }
}

/// Whether a check pings this host, with this size.
fn is_ping(find: Find<'_>, path: PathId, check: u8, host: IpAddr, size: u16) -> bool {
    find(path, check).is_some_and(|question| match question.check.kind.way() {
        Way::Echo(ping) => ping.target == host && ping.size == size,
        _ => false,
    })
}

fn outlet<'a>(question: &Question<'a>) -> Outlet<'a> {
    Outlet {
        device: &question.uplink.device,
        address: question.uplink.address,
        own: question.own,
    }
}
