//! The answers to clients, frame by frame.

use super::snapshot::Snapshot;
use super::warnings::Standing;
use crate::config::Provider;
use crate::engine::journal;
use crate::limits::WARNINGS_MAX;
use crate::types::{Family, Instant, Name, PathId};
use crate::wire::control::{Entry, Reply, Request, Warning};
use crate::wire::snapshot::{Counters, History};

/// The data that answers are made from.
pub(super) struct Answers<'a> {
    pub(super) snapshot: Snapshot<'a>,
    pub(super) warnings: &'a [Standing],
    pub(super) counters: &'a Counters,
    pub(super) started_at: Instant,
}

impl Answers<'_> {
    /// The next frame of an answer; none at its end. The state may change between two frames. So each item has a fixed place
    /// in the count of `at`, however many other items there are, and the frames of one provider stay together.
    pub(super) fn next(&self, request: &Request, at: &mut u32) -> Option<Reply> {
        match request {
            Request::Status => self.status(None, false, at),
            Request::Explain(id) => self.status(id.as_ref(), false, at),
            Request::Log => self.next_entry(None, at),
            Request::Follow(after) => self.next_entry(Some(*after), at),
            Request::Page => self.page(at),
            _ => None,
        }
    }

    /// The status, then the journal, whose places come after all others.
    fn page(&self, at: &mut u32) -> Option<Reply> {
        const JOURNAL: u32 = 1 << 31;
        if *at < JOURNAL {
            match self.status(None, true, at) {
                None => *at = JOURNAL,
                told => return told,
            }
        }
        let mut number = *at - JOURNAL;
        let entry = self.next_entry(None, &mut number);
        *at = JOURNAL + number;
        entry
    }

    /// The place of a journal entry is its number, plus one. `after`: only those after this instant; a burst that may still
    /// grow, which takes the last place then, ends the answer.
    fn next_entry(&self, after: Option<u64>, at: &mut u32) -> Option<Reply> {
        let mut entries = self.snapshot.engine.journal().since(*at);
        let entry = entries.find(|entry| after.is_none_or(|after| micros(entry.at) > after))?;
        if after.is_some() && entry.calm_at() > Some(self.snapshot.now) {
            return None;
        }
        *at = entry.number() + 1;
        Some(Reply::Entry(self.entry(entry)))
    }

    fn entry(&self, entry: &journal::Entry) -> Entry {
        Entry {
            ago_ms: self.snapshot.ms_since(entry.at),
            at_micros: micros(entry.at),
            subject: entry.subject.clone(),
            kind: entry.kind,
            cause: entry.cause.clone(),
            repeats: entry.repeats,
        }
    }

    /// The header, then places for the largest number of warnings, then the provider and its paths, of one or of all; after
    /// each path its history, if they are asked for.
    fn status(&self, id: Option<&Name>, histories: bool, at: &mut u32) -> Option<Reply> {
        loop {
            let place = usize::try_from(*at).ok()?;
            *at += 1;
            let Some(place) = place.checked_sub(1) else {
                let header = self.snapshot.header(self.counters, self.started_at);
                return Some(Reply::Header(header));
            };
            let Some(place) = place.checked_sub(WARNINGS_MAX) else {
                match self.warnings.get(place) {
                    Some(standing) => return Some(Reply::Warning(self.warning(standing))),
                    None => continue,
                }
            };
            let parts = 1 + 2 * Family::ALL.len();
            let providers = &self.snapshot.engine.config().providers;
            let provider = providers.get(place / parts)?;
            if id.is_none_or(|id| provider.id == *id)
                && let Some(told) = self.part(provider, place % parts, histories)
            {
                return Some(told);
            }
        }
    }

    fn warning(&self, Standing { warning, since }: &Standing) -> Warning {
        Warning {
            since_ms: self.snapshot.ms_since(*since),
            ..warning.clone()
        }
    }

    /// The provider, or one of its paths, or that path's history.
    fn part(&self, provider: &Provider, part: usize, histories: bool) -> Option<Reply> {
        let Some(part) = part.checked_sub(1) else {
            return Some(Reply::Provider(self.snapshot.provider(provider)));
        };
        let (slot, family) = (provider.slot, Family::ALL[part / 2]);
        let path = self.snapshot.engine.path(PathId { slot, family })?;
        match part % 2 {
            0 => Some(Reply::Path(self.snapshot.path(provider, path))),
            _ => histories.then(|| Reply::History(History(path.history(provider.timing.window)))),
        }
    }
}

/// An instant of the monotonic clock, which begins at 0.
fn micros(at: Instant) -> u64 {
    at.total_micros().cast_unsigned()
}
