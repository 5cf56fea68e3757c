//! The journal: the last transitions, each with its cause.
//!
//! What flaps, a path or a family's traffic, has one entry, which counts: the burst. It is of the last transition, and stands
//! last. To flap is to repeat a transition twice within [`FLAP_WINDOW`]; a verdict, which several rounds have confirmed, ten
//! times.

use heapless::Vec;

use crate::limits::{FLAP_CALM, FLAP_WINDOW, JOURNAL_MAX};
use crate::types::{
    Cause, DeviceName, Duration, Family, Instant, Kind, Metric, Name, Repeats, Subject,
};

/// One transition, or a burst.
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
    /// how many transitions it stands for, of which it is the last
    pub repeats: Repeats,
    number: u32,
}

impl Entry {
    /// A single transition.
    pub fn new(at: Instant, subject: Subject, kind: Kind, cause: Cause) -> Entry {
        Entry {
            at,
            subject,
            kind,
            cause,
            repeats: Repeats::ONCE,
            number: 0,
        }
    }

    /// Its place in the order of all entries since the start.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Until when it may grow soon, if it is a burst.
    pub fn calm_at(&self) -> Option<Instant> {
        self.repeats.is_burst().then(|| self.at + FLAP_CALM)
    }

    /// Whether a manual default is the reason.
    fn is_of_manual(&self) -> bool {
        self.kind == Kind::Overridden || matches!(self.cause, Cause::ManualGone(..))
    }

    /// Whether both are about the same: a path's state or connections, the leader of a family, or its manual default.
    fn is_akin(&self, other: &Entry) -> bool {
        let same_thing = match (self.kind, other.kind) {
            (Kind::State { .. }, Kind::State { .. }) | (Kind::HandedOver, Kind::HandedOver) => {
                self.subject.provider == other.subject.provider
            }
            (of, with) if of.is_of_traffic() && with.is_of_traffic() => {
                self.is_of_manual() == other.is_of_manual()
            }
            (of, with) => of == with,
        };
        same_thing && self.subject.family == other.subject.family
    }

    /// Whether both are the same transition. Of judged rounds and of connections, the details may differ.
    fn repeats(&self, other: &Entry) -> bool {
        self.cause.is_akin(&other.cause) && self.kind == other.kind && self.subject == other.subject
    }
}

/// The last [`JOURNAL_MAX`] transitions.
#[repr(C)] // what is small stands by the beginning of the list
pub struct Journal {
    written: u32,
    /// oldest first
    entries: Vec<Entry, JOURNAL_MAX>,
}

impl Journal {
    pub(crate) const fn new() -> Journal {
        Journal {
            written: 0,
            entries: Vec::new(),
        }
    }

    /// Adds an entry; drops the oldest if the journal is full. The entry takes the place of those whose burst it continues.
    pub fn write(&mut self, mut entry: Entry) {
        if let Some(first) = self.burst(&entry) {
            self.absorb(first, &mut entry);
        }
        self.restore(entry);
    }

    /// Adds an entry as it is, without its number.
    pub(super) fn restore(&mut self, mut entry: Entry) {
        if self.entries.is_full() {
            let mut all = self.entries.iter();
            let oldest = all.position(|old| !self.is_needed(old)).unwrap_or(0);
            self.entries.remove(oldest);
        }
        entry.number = self.written;
        let pushed = self.entries.push(entry);
        debug_assert!(pushed.is_ok(), "there is room for one");
        self.written = self.written.wrapping_add(1);
    }

    /// Sets how many transitions the last entry stands for.
    pub(super) fn restore_repeats(&mut self, repeats: Repeats) {
        if let Some(last) = self.entries.last_mut() {
            last.repeats = repeats;
        }
    }

    /// Where the burst begins that a new entry continues, or makes; none if it does neither. An entry without a family is
    /// about what a person did, or the start: what follows is no repetition.
    fn burst(&self, new: &Entry) -> Option<usize> {
        let recent = self.entries.iter().enumerate().rev();
        let recent = recent
            .take_while(|(_, old)| old.subject.family.is_some() && new.at <= old.at + FLAP_WINDOW);
        let mut akin = recent.filter(|(_, old)| old.is_akin(new));
        let mut missing = if matches!(new.cause, Cause::Judged(_) | Cause::Dropped(_)) {
            10
        } else {
            2
        };
        let first = akin.find(|(_, old)| {
            missing -= u8::from(old.repeats(new));
            old.repeats.is_burst() || missing == 0
        });
        first.map(|(index, _)| index)
    }

    /// Removes the entries of a burst, the first of which has this index, and counts them in the new one.
    fn absorb(&mut self, mut index: usize, new: &mut Entry) {
        let mut begin = new.at;
        while let Some(old) = self.entries.get(index) {
            if !old.is_akin(new) {
                index += 1;
                continue;
            }
            let Repeats { times, for_ms } = old.repeats;
            begin = begin.min(old.at - Duration::from_millis(for_ms.into()));
            new.repeats.times = new.repeats.times.saturating_add(times);
            self.entries.remove(index);
        }
        let for_ms = (new.at - begin).total_millis();
        new.repeats.for_ms = u32::try_from(for_ms).unwrap_or(u32::MAX);
    }

    /// Entries written since the start. A reader compares this to find out whether there are new ones.
    pub fn written(&self) -> u32 {
        self.written
    }

    /// The entries still held, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The same, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// The entries written since [`Journal::written`] returned `written`, oldest first.
    pub fn since(&self, written: u32) -> impl Iterator<Item = &Entry> {
        self.entries()
            .skip_while(move |entry| entry.number < written)
    }

    /// The default route, by its device and metric, that prevailed over ours in a family, as was told last.
    pub fn overridden(&self, family: Family) -> Option<(&DeviceName, Metric)> {
        let last = self
            .recent()
            .find(|e| e.subject.family == Some(family) && e.is_of_manual())?;
        match &last.cause {
            Cause::Manual(device, metric) => Some((device, *metric)),
            _ => None,
        }
    }

    /// Whether an entry says which manual default prevails: the next run compares that with what it finds, however long it
    /// is so.
    fn is_needed(&self, entry: &Entry) -> bool {
        let is_other = |e: &Entry| {
            e.is_of_manual() && e.subject.family == entry.subject.family && e.number != entry.number
        };
        entry.kind == Kind::Overridden && !self.entries().any(is_other)
    }

    /// Until when a path's state flaps; a family's traffic, without a provider.
    pub fn flaps_until(&self, provider: Option<&Name>, family: Family) -> Option<Instant> {
        let is_meant = |entry: &Entry| match (provider, entry.kind) {
            (Some(_), Kind::State { .. }) => entry.subject.provider.as_ref() == provider,
            (None, kind) => kind.is_of_traffic(),
            _ => false,
        };
        let mut recent = self.recent();
        let last = recent.find(|entry| entry.subject.family == Some(family) && is_meant(entry));
        last?.calm_at()
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;
    use crate::types::{Ground, Judged, Missed, State, Waiting};

    fn entry(n: usize) -> Entry {
        let at = Instant::from_micros(i64::try_from(n).unwrap());
        Entry::new(at, Subject::default(), Kind::Started, Cause::Cleanly)
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

    #[test]
    fn what_prevails_is_known_however_much_happens() {
        let mut journal = Journal::new();
        let write = |journal: &mut Journal, family, kind, cause| {
            let subject = Subject {
                provider: None,
                family: Some(family),
            };
            let at = Instant::from_secs(journal.written());
            journal.write(Entry::new(at, subject, kind, cause));
        };
        let device: DeviceName = "wg0".try_into().unwrap();
        for family in Family::ALL {
            let cause = Cause::Manual(device.clone(), Metric(1));
            write(&mut journal, family, Kind::Overridden, cause);
        }
        let gone = Cause::ManualGone(device.clone(), Metric(1));
        write(&mut journal, Family::V6, Kind::NoRoute, gone);
        for n in 0..2 * JOURNAL_MAX {
            journal.write(entry(n));
        }
        assert_eq!(journal.entries().count(), JOURNAL_MAX);
        let prevails = Some((&device, Metric(1)));
        assert_eq!(journal.overridden(Family::V4), prevails);
        assert_eq!(journal.overridden(Family::V6), None);
        let of_manual = journal.entries().filter(|e| e.is_of_manual());
        assert_eq!(of_manual.count(), 1, "the others make room");
    }

    fn subject(id: &str, family: Option<Family>) -> Subject {
        let provider = Some(id.try_into().unwrap());
        Subject { provider, family }
    }

    /// A change of the carrier of isp1.
    fn carrier(ms: i64, family: Family, up: bool) -> Entry {
        let (from, to, cause) = match up {
            true => (State::Waiting, State::Probing, Cause::UplinkUp),
            false => (
                State::Online,
                State::Waiting,
                Cause::Lost(Waiting::NoCarrier),
            ),
        };
        let kind = Kind::State { from, to };
        Entry::new(
            Instant::from_millis(ms),
            subject("isp1", Some(family)),
            kind,
            cause,
        )
    }

    fn leads(ms: i64, id: &str) -> Entry {
        let subject = subject(id, Some(Family::V4));
        Entry::new(Instant::from_millis(ms), subject, Kind::Leads, Cause::First)
    }

    fn by_hand(ms: i64) -> Entry {
        let (at, subject) = (Instant::from_millis(ms), subject("isp1", None));
        Entry::new(at, subject, Kind::Pinned, Cause::PinnedByHand)
    }

    /// The journal after these entries, a line each.
    fn told(entries: impl IntoIterator<Item = Entry>) -> Vec<String> {
        let mut journal = Journal::new();
        entries.into_iter().for_each(|entry| journal.write(entry));
        let line = |e: &Entry| {
            let family = e.subject.family.map_or("-", Family::name);
            format!("{family} {}: {}{}", e.kind, e.cause, e.repeats)
        };
        journal.entries().map(line).collect()
    }

    #[test]
    fn flapping_is_one_entry_of_each_path_with_the_last_state() {
        let changes = (0..37).flat_map(|n: i64| {
            let up = n % 2 == 1;
            Family::ALL.map(|family| carrier(n * 100, family, up))
        });
        let expected = |family| format!("{family} online → waiting: carrier lost ×37 in 4 s");
        assert_eq!(told(changes), Family::ALL.map(expected));
        // What follows soon is of the same burst, whatever it is.
        let online = Entry {
            kind: Kind::State {
                from: State::Probing,
                to: State::Online,
            },
            ..carrier(8000, Family::V4, true)
        };
        let changes = (0..36).map(|n| carrier(n * 100, Family::V4, n % 2 == 1));
        let expected = ["ipv4 probing → online: uplink is up ×37 in 8 s"];
        assert_eq!(told(changes.chain([online])), expected);
    }

    #[test]
    fn a_few_outages_and_a_slow_repetition_are_not_flapping() {
        for ms in [
            [0, 10, 20, 30, 5001, 5031],
            [0, 2501, 5002, 7503, 10_004, 12_505],
        ] {
            let changes = (0..6).zip(ms);
            let lines = told(changes.map(|(n, ms)| carrier(ms, Family::V4, n % 2 == 1)));
            assert_eq!(lines.len(), 6, "{lines:?}");
        }
        // A verdict is confirmed by several rounds, and is rarely another at once.
        let judged = |n: i64| {
            let ground = if n % 2 == 1 {
                Ground::GoodStreak(3)
            } else {
                Ground::FailedStreak(3)
            };
            let (missed, unreachable) = (Missed::default(), None);
            Entry {
                cause: Cause::Judged(Judged {
                    ground,
                    missed,
                    unreachable,
                }),
                ..carrier(n * 100, Family::V4, n % 2 == 1)
            }
        };
        assert_eq!(told((0..20).map(judged)).len(), 20);
        assert_eq!(told((0..21).map(judged)).len(), 1);
        // Each is another step to a working uplink.
        let lacks = [
            Waiting::Down,
            Waiting::NoCarrier,
            Waiting::NoAddress,
            Waiting::NoGateway,
        ];
        let steps = lacks.map(|waiting| Entry {
            cause: Cause::Lacks(waiting),
            kind: Kind::State {
                from: State::Waiting,
                to: State::Waiting,
            },
            ..carrier(0, Family::V4, false)
        });
        assert_eq!(told(steps).len(), 4);
    }

    #[test]
    fn what_a_person_does_is_always_told() {
        let swaps = (0..8).flat_map(|n| {
            let id = ["isp1", "isp2"][usize::try_from(n).unwrap() % 2];
            [by_hand(n), leads(n, id)]
        });
        assert_eq!(told(swaps).len(), 16);
        let alone = |times: i64| {
            let swaps = (0..times).map(|n| leads(n, ["isp1", "isp2"][usize::from(n % 2 == 1)]));
            told(swaps)
        };
        assert_eq!(alone(4).len(), 4);
        let lines = alone(8);
        assert_eq!(lines, ["ipv4 leads: first in order ×8 in 1 s"]);
    }

    #[test]
    fn a_burst_is_not_read_twice_nor_missed() {
        let mut journal = Journal::new();
        for n in 0..4 {
            journal.write(carrier(n * 100, Family::V4, n % 2 == 1));
        }
        journal.write(carrier(400, Family::V6, false));
        let first = journal.entries().next().unwrap().number();
        let next = |journal: &Journal, after: u32| {
            let rest = journal.since(after + 1).map(number);
            rest.collect::<Vec<_>>()
        };
        assert_eq!(next(&journal, first), [100_000, 200_000, 300_000, 400_000]);
        journal.write(carrier(500, Family::V4, false));
        assert_eq!(next(&journal, first), [400_000, 500_000]);
        let calm = Instant::from_millis(500) + FLAP_CALM;
        let name = "isp1".try_into().unwrap();
        assert_eq!(journal.flaps_until(Some(&name), Family::V4), Some(calm));
        assert_eq!(journal.flaps_until(Some(&name), Family::V6), None);
        assert_eq!(journal.flaps_until(None, Family::V4), None);
    }
}
