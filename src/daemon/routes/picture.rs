//! Keeps the mirror of the kernel's state up to date: reads events, and dumps anew what events leave unknown, or what there
//! was no room for.

use super::RouteSync;
use crate::engine::Engine;
use crate::linux::process::ubus::Interfaces;
use crate::linux::{clock, log};
use crate::routing::mirror::Kinds;
use crate::types::{Duration, Instant, soonest};

/// Pause between two dumps, if one has failed, or would leave the same things unknown.
const PATIENCE: Duration = Duration::from_secs(1);
/// Dumps per wake-up: each for what happened during the one before.
const DUMPS_MAX: u8 = 3;
/// The longest pause between two dumps of things that lack room. The first comes after [`PATIENCE`], each next after twice
/// the last pause.
const GAPS_PATIENCE_MAX: Duration = Duration::from_secs(256);

/// When to dump again the things that lacked room.
#[derive(Default)]
pub(super) struct Gaps {
    at: Option<Instant>,
    after: Duration,
}

impl Gaps {
    pub(super) fn are_due(&self) -> bool {
        self.at.is_some_and(|at| at <= clock::now())
    }

    fn found(&mut self, any: bool, now: Instant) {
        self.after = match self.after {
            after if any && after != Duration::ZERO => (after * 2).min(GAPS_PATIENCE_MAX),
            _ => PATIENCE,
        };
        self.at = any.then_some(now + self.after);
        if !any {
            self.after = Duration::ZERO;
        }
    }
}

impl RouteSync<'_> {
    /// The events socket is readable.
    pub(in crate::daemon) fn read_events(&mut self) {
        let drained = self.events.drain(self.mirror);
        self.news.add(drained.changed);
        self.more_news = drained.more;
        self.has_changed |= self.mirror.take_ways_changed();
    }

    /// Requests a dump of the things that lacked room, if it is due.
    pub(super) fn look_again(&mut self, now: Instant) {
        if self.gaps.at.is_some_and(|at| at <= now) {
            self.gaps.at = None;
            let lacks = self.mirror.lacks();
            self.mirror.need(lacks);
        }
    }

    /// When the next dump is due, without further events.
    pub(super) fn next_dump(&self) -> Option<Instant> {
        let doubts = !self.mirror.needs().is_empty();
        soonest(&[&self.dump_at.filter(|_| doubts), &self.gaps.at])
    }

    /// Whether events require a fresh dump, and none has just failed.
    pub(super) fn dump_is_due(&self, now: Instant) -> bool {
        !self.mirror.needs().is_empty() && self.dump_at.is_none_or(|at| at <= now)
    }

    /// Dumps what is unknown, once all former events have been read. Returns whether it was done; if not, there are more
    /// events to read.
    pub(super) fn dump(&mut self, dumps: &mut u8, now: Instant) -> bool {
        let needs = self.mirror.needs();
        let renewed = self.events.renew(&mut self.requests, self.mirror);
        if renewed == Ok(false) {
            return false;
        }
        if let Err(fault) = renewed {
            self.kernel_errors = self.kernel_errors.wrapping_add(1);
            log::error(format_args!(
                "the kernel's routes cannot be read: {fault}; trying again"
            ));
        }
        self.read_events();
        *dumps += 1;
        let mirror = &*self.mirror;
        let (doubts, lacks) = (!mirror.needs().is_empty(), mirror.lacks());
        // Changes during the dump require another one at once; things that lack room do not. Something that stays unknown
        // after each dump, such as a message of a newer kernel, must not cause dumps without a pause.
        let at_once = renewed.is_ok() && *dumps < DUMPS_MAX && !lacks.has_all(mirror.needs());
        let patient = !at_once && (doubts || !lacks.is_empty());
        self.dump_at = patient.then(|| clock::now() + PATIENCE);
        if lacks.is_empty() || needs.has(lacks) {
            self.found_gaps(now);
        }
        true
    }

    /// A dump has shown more things than there is room for.
    pub(in crate::daemon) fn found_gaps(&mut self, now: Instant) {
        let any = !self.mirror.lacks().is_empty();
        self.gaps.found(any, now);
    }

    /// The configuration, or netifd, names other devices, which then have room before all others. Things that lacked room are
    /// dumped first, so that they are not taken for missing.
    pub(in crate::daemon) fn devices_named(
        &mut self,
        engine: &Engine,
        interfaces: &Interfaces,
        now: Instant,
    ) {
        if self.watch_uplinks(engine, interfaces) {
            self.dump(&mut 0, now);
        }
    }

    /// Dumps everything before our routes and rules are deleted.
    pub(super) fn last_look(&mut self) {
        self.read_events();
        if self.more_news {
            self.mirror.need(Kinds::ALL);
        }
        let needs = self.mirror.needs();
        if !needs.is_empty()
            && let Err(fault) = self.requests.dump(self.mirror, needs)
        {
            log::error(format_args!("the kernel's routes cannot be read: {fault}"));
        }
    }
}
