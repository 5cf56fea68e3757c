//! Asks what checks ask, in whatever way they ask it, and hears what comes of it.
//!
//! Whoever owns one waits for its sockets, by the [`Source`]s that it names them with, and tells it when they are ready.

use core::net::IpAddr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::super::errno::fault;
use super::super::poll::Interest;
use super::exec::{Asked, Commands, Environment, Finished, NotStarted, not_started};
use super::icmp::Probes;
use super::packet::Neighbours;
use super::session::{Outlet, Serial, Sessions};
use super::share::Shares;
use crate::check::Way;
use crate::config::{Check, Config, Provider};
use crate::limits::PATH_CHECKS_MAX;
use crate::routing::objects::Address;
use crate::routing::uplink::Uplink;
use crate::types::{Fault, Instant, PathId};
use crate::wire::icmp::Rejected;

/// The sockets and child processes of all probes. All zero bytes when new.
#[derive(Debug, Default)]
#[repr(C)] // as given: what is small stands by the beginning of a list
pub struct Prober {
    echoes: Probes,
    commands: Commands,
    neighbours: Neighbours,
    sessions: Sessions,
}

/// What is asked, whose it is, and the way out.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// whose check it is
    pub provider: &'a Provider,
    /// what is asked
    pub check: &'a Check,
    /// the path's way out
    pub uplink: &'a Uplink,
    /// all addresses of this machine
    pub own: &'a [Address],
}

/// The question of a check's number on a path; none when there is none any more.
pub type Find<'f> = &'f dyn Fn(PathId, u8) -> Option<Question<'f>>;

/// A socket that was opened, or is to be waited for in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// a path's raw socket, by the path's index
    Echo(usize),
    /// a path's packet socket, likewise
    Link(usize),
    /// a session's socket
    Session(Serial),
}

/// Has a socket waited for; whether it is a new one.
pub type Watch<'w> = &'w dyn Fn(BorrowedFd<'_>, Source, Interest, bool) -> Result<(), Errno>;

/// What came of a look at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// a probe has come to its end
    Finished(Finished),
    /// the network says that a probe of this path cannot be delivered, with ICMP's code
    Unreachable(PathId, u8),
    /// somebody said what is no answer to us
    Rejected,
    /// a neighbour answered somebody else, as our own kernel, which asks for its own packets' sake
    Overheard,
}

impl Prober {
    /// Nothing open.
    pub const fn new() -> Prober {
        Prober {
            echoes: Probes::new(),
            commands: Commands::new(),
            neighbours: Neighbours::new(),
            sessions: Sessions::new(),
        }
    }

    /// Opens a path's raw socket on its present device and address, or opens it anew; what is on its way by other sockets
    /// is given up.
    pub fn open(&mut self, path: PathId, uplink: &Uplink, watch: Watch<'_>) -> Result<(), Fault> {
        self.sessions.drop_path(path);
        self.neighbours.close(path); // to be opened when it is needed
        self.echoes.bind(path, &uplink.device, uplink.address)?;
        let Some(fd) = self.echoes.fd(path) else {
            return Ok(());
        };
        watch(fd, Source::Echo(path.index()), Interest::READ, true).map_err(fault)
    }

    /// Whether a path's raw socket is open.
    pub fn is_open(&self, path: PathId) -> bool {
        self.echoes.fd(path).is_some()
    }

    /// Closes all that a path has open.
    pub fn close(&mut self, path: PathId) {
        self.echoes.close(path);
        self.commands.kill_path(path);
        self.neighbours.close(path);
        self.sessions.drop_path(path);
    }

    /// Forgets all sessions but those of checks that are kept.
    pub fn keep(&mut self, is_kept: &dyn Fn(PathId, u8) -> bool) {
        self.sessions.keep(is_kept);
    }

    /// From now on the room for sessions and commands is shared among the paths of this configuration.
    pub fn share(&mut self, config: &Config) {
        self.sessions
            .share(Shares::of(config, &Check::needs_session));
        self.commands
            .share(Shares::of(config, &Check::needs_command));
    }

    /// Ends all commands.
    pub fn stop(&mut self) {
        self.commands.kill_all();
    }

    /// Sends one probe. What comes of it, when that is known at once.
    pub fn ask(
        &mut self,
        asked: Asked,
        question: &Question<'_>,
        now: Instant,
        watch: Watch<'_>,
    ) -> Result<Option<Finished>, NotStarted> {
        let Asked { path, check, round } = asked;
        let failed = |fault| match fault {
            Fault::Errno(errno) => not_started(Errno::from_raw(errno)),
            fault => NotStarted::Failed(fault),
        };
        let Question {
            provider, uplink, ..
        } = *question;
        let timeout = provider.timing.timeout;
        let kind = &question.check.kind;
        match kind.way() {
            Way::Echo(ping) => {
                let sent = self.echoes.send(path, check, ping, round, now);
                sent.map_err(failed)?;
            }
            Way::Link(target) => {
                // A point-to-point device has no gateway, and nobody to ask for it.
                let target = target
                    .or(uplink.gateway)
                    .ok_or(failed(Fault::NoNeighbours))?;
                self.open_packet_socket(path, uplink, watch)
                    .map_err(failed)?;
                let sent = self.neighbours.send(path, check, target, round, now);
                sent.map_err(failed)?;
            }
            Way::Session => {
                let outlet = outlet(question);
                let watch = talk_watch(watch);
                return self
                    .sessions
                    .start(asked, kind, &outlet, now, timeout, &watch);
            }
            Way::Run(command) => {
                let environment = Environment {
                    provider: &provider.id,
                    device: &uplink.device,
                    address: uplink.address,
                    gateway: uplink.gateway,
                    target: &question.check.target,
                };
                self.commands
                    .start(asked, command, &environment, now, timeout)?;
            }
        }
        Ok(None)
    }

    /// Looks at a source that may be ready; none when there is nothing more. `heard_at` is when it came.
    pub fn hear(
        &mut self,
        source: Source,
        find: Find<'_>,
        heard_at: Instant,
        watch: Watch<'_>,
    ) -> Option<News> {
        match source {
            Source::Echo(index) => self.hear_echo(PathId::from_index(index)?, find, heard_at),
            Source::Link(index) => self.hear_link(PathId::from_index(index)?, find, heard_at),
            Source::Session(serial) => {
                let Asked { path, check, .. } = self.sessions.asked(serial)?;
                let Some(question) = find(path, check) else {
                    self.sessions.drop_path(path);
                    return None;
                };
                let (kind, outlet) = (&question.check.kind, outlet(&question));
                self.sessions
                    .hear(serial, kind, &outlet, heard_at, &talk_watch(watch))
                    .map(News::Finished)
            }
        }
    }

    /// One session after the other, by place: for who looks at them all.
    pub fn session(&self, place: usize) -> Option<Source> {
        self.sessions.serial(place).map(Source::Session)
    }

    /// When [`Prober::give_up`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.commands.next_deadline(), self.sessions.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Ends what takes too long. What comes of one probe that does, if that is more than that nobody answers; to be called
    /// until there is none.
    pub fn give_up(&mut self, find: Find<'_>, now: Instant) -> Option<Finished> {
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

    /// One command that ended; none when none has. To be called on SIGCHLD until it says none.
    pub fn reap(&mut self, heard_at: Instant) -> Option<Finished> {
        self.commands.reap(heard_at)
    }

    /// Opens a path's packet socket, unless it is open.
    fn open_packet_socket(
        &mut self,
        path: PathId,
        uplink: &Uplink,
        watch: Watch<'_>,
    ) -> Result<(), Fault> {
        if self.neighbours.fd(path).is_some() {
            return Ok(());
        }
        self.neighbours.bind(path, uplink.index, uplink.address)?;
        let Some(fd) = self.neighbours.fd(path) else {
            return Ok(());
        };
        watch(fd, Source::Link(path.index()), Interest::READ, true).map_err(fault)
    }

    fn hear_echo(&mut self, path: PathId, find: Find<'_>, heard_at: Instant) -> Option<News> {
        Some(match self.echoes.receive(path, heard_at)? {
            Ok(reply) if ping_of(find, path, reply.check) == Some((reply.source, reply.size)) => {
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

    fn hear_link(&mut self, path: PathId, find: Find<'_>, heard_at: Instant) -> Option<News> {
        let Some(who) = self.neighbours.receive(path)? else {
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
            if target.or(uplink.gateway) != Some(who) {
                continue;
            }
            if let Some((round, rtt)) = self.neighbours.answered(path, check, heard_at) {
                return Some(News::Finished(Finished {
                    asked: Asked { path, check, round },
                    result: Ok(rtt),
                }));
            }
        }
        Some(News::Overheard)
    }
}

/// Who was asked by a check of a path, and with how many bytes, if it is a ping.
fn ping_of(find: Find<'_>, path: PathId, check: u8) -> Option<(IpAddr, u16)> {
    match find(path, check)?.check.kind.way() {
        Way::Echo(ping) => Some((ping.target, ping.size)),
        _ => None,
    }
}

fn outlet<'a>(question: &Question<'a>) -> Outlet<'a> {
    Outlet {
        device: &question.uplink.device,
        address: question.uplink.address,
        own: question.own,
    }
}

fn talk_watch(
    watch: Watch<'_>,
) -> impl Fn(BorrowedFd<'_>, Serial, Interest, bool) -> Result<(), Errno> {
    move |socket, serial, interest, is_new| watch(socket, Source::Session(serial), interest, is_new)
}
