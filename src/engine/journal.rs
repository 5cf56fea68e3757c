//! The journal: the last transitions, each with its cause.

use heapless::HistoryBuf;

use crate::limits::JOURNAL_MAX;
use crate::types::{Cause, Instant, Kind, Subject};

/// One transition.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// when, on the monotonic clock
    pub at: Instant,
    /// the provider and family that it is about
    pub subject: Subject,
    /// what happened
    pub kind: Kind,
    /// why
    pub cause: Cause,
}

/// The last [`JOURNAL_MAX`] transitions.
pub struct Journal {
    entries: HistoryBuf<Entry, JOURNAL_MAX>,
    written: u32,
}

impl Journal {
    pub(crate) const fn new() -> Journal {
        Journal {
            entries: HistoryBuf::new(),
            written: 0,
        }
    }

    /// Adds an entry; drops the oldest if the journal is full.
    pub fn write(&mut self, entry: Entry) {
        self.entries.write(entry);
        self.written = self.written.wrapping_add(1);
    }

    /// Entries written since the start. A reader compares this to find out whether there are new ones.
    pub fn written(&self) -> u32 {
        self.written
    }

    /// The number of entries written before the oldest that is still held.
    pub fn oldest(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation)] // at most JOURNAL_MAX
        let held = self.entries.len() as u32;
        self.written.wrapping_sub(held)
    }

    /// The entries still held, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.oldest_ordered()
    }

    /// The entries written since [`Journal::written`] returned `written`, oldest first.
    pub fn since(&self, written: u32) -> impl Iterator<Item = &Entry> {
        let fresh = self.written.wrapping_sub(written) as usize;
        let held = self.entries.len();
        self.entries().skip(held.saturating_sub(fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: usize) -> Entry {
        Entry {
            at: Instant::from_micros(i64::try_from(n).unwrap()),
            subject: Subject::default(),
            kind: Kind::Started,
            cause: Cause::Cleanly,
        }
    }

    fn number(entry: &Entry) -> i64 {
        entry.at.total_micros()
    }

    #[test]
    fn the_oldest_goes_first_and_a_reader_sees_what_is_new() {
        let mut journal = Journal::new();
        for n in 0..JOURNAL_MAX + 5 {
            journal.write(entry(n));
        }
        assert_eq!(journal.entries().count(), JOURNAL_MAX);
        assert_eq!(journal.entries().next().map(number), Some(5));
        let seen = journal.written();
        assert_eq!(journal.since(seen).count(), 0);
        journal.write(entry(1000));
        assert_eq!(journal.since(seen).map(number).collect::<Vec<_>>(), [1000]);
    }
}
