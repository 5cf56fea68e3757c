//! A bounded set of things of one kind, filled in place, that a dump can renew without ever being half empty.

use heapless::Vec;

use super::Kinds;
use super::interest::{Class, Interest, Watched};
use crate::limits::KEPT_MIN;

/// At most `N` things, no two equal, each behind those that were there when it came; one that takes another's room takes its
/// place as well.
///
/// An empty one is all zero bytes. It begins with a page, and with what is small: few things touch one page only.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct Table<T, const N: usize> {
    /// Of each value: the dump in progress has not shown it yet.
    stale: Vec<bool, N>,
    values: Vec<T, N>,
}

/// What [`Table::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// it was there already, and the dump in progress confirms it
    Known,
    /// it was there already, and confirmed: it is told twice, or the kernel has two that look alike here
    Again,
    /// it is new, or differs from what was in its place
    New,
    /// there is no room for one of them
    Without(LeftOut),
}

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) kind: Kinds,
    /// it was there: the new one, which is more worth knowing, took its place
    pub(crate) was_known: bool,
    /// the dump in progress had not shown it
    pub(crate) stale: bool,
    /// it concerns us
    pub(crate) concerns: bool,
    /// fewer are akin to it than are to be kept in any case
    pub(crate) blind: bool,
}

impl<T: Watched, const N: usize> Table<T, N> {
    pub(crate) const fn new() -> Self {
        Table {
            stale: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.values
    }

    /// How many more there is room for.
    pub(crate) fn room(&self) -> usize {
        N - self.values.len()
    }

    /// Put a thing in: in the place of one that is the same in the kernel, else in a free one, else in the place of one that
    /// is less worth knowing.
    #[inline(never)] // most of a mirror is too far from its beginning for one instruction
    pub(crate) fn insert(&mut self, mut value: T, interest: &Interest) -> Inserted {
        if let Some(place) = self.values.iter().position(|old| old.is_same(&value)) {
            let stale = core::mem::take(&mut self.stale[place]);
            if self.values[place] == value {
                self.place_behind_shown(place);
                return if stale {
                    Inserted::Known
                } else {
                    Inserted::Again
                };
            }
            self.values[place] = value;
            return Inserted::New;
        }
        if !self.values.is_full() {
            let _ = self.values.push(value);
            // As long as `values`, and as roomy.
            let _ = self.stale.push(false);
            return Inserted::New;
        }
        let (mut was_known, mut stale) = (false, false);
        if let Some(place) = self.least_worth(&value, interest) {
            core::mem::swap(&mut self.values[place], &mut value);
            (was_known, stale) = (true, core::mem::take(&mut self.stale[place]));
        }
        Inserted::Without(LeftOut {
            kind: value.kind(),
            was_known,
            stale,
            concerns: value.class(interest) > Class::Other,
            blind: self.has_few(&value, interest),
        })
    }

    /// The kernel shows things in its order, and tells of those that come last: one whose order counts is behind all those
    /// known but what the dump in progress has not shown yet.
    fn place_behind_shown(&mut self, place: usize) {
        let value = &self.values[place];
        let rest = self.values.iter().zip(&self.stale).skip(place + 1);
        let shown = |(other, stale): (&T, &bool)| !stale && value.has_order_with(other);
        if rest.into_iter().any(shown) {
            let value = self.values.remove(place);
            let stale = self.stale.remove(place);
            // In the room that they had.
            let _ = self.values.push(value);
            let _ = self.stale.push(stale);
        }
    }

    /// The place of what a thing may take the room of: of what belongs to others; of the worst that is akin, when there
    /// are many; of the worst of another crowd, when there are few. One device's many are never at another's expense.
    ///
    /// That the dump in progress has not shown a thing yet is no reason to give up what is known of it.
    fn least_worth(&self, value: &T, interest: &Interest) -> Option<usize> {
        let class = value.class(interest);
        if class == Class::Other {
            return None;
        }
        let is_other = |v: &T| v.class(interest) == Class::Other;
        if let Some(place) = self.values.iter().position(is_other) {
            return Some(place);
        }
        if class == Class::Concerns && !self.has_few(value, interest) {
            let worst = self.worst_akin(value, interest);
            return worst.filter(|place| value.is_better(&self.values[*place]));
        }
        self.crowded(class, interest)
    }

    /// The worst of a crowd; where there is none, something that concerns us, for what is ours.
    fn crowded(&self, class: Class, interest: &Interest) -> Option<usize> {
        let concerns = |v: &T| v.class(interest) == Class::Concerns;
        let mut values = self.values.iter().filter(|_| T::CROWDS);
        match values.find(|v| concerns(v) && self.akin(v, interest) > KEPT_MIN) {
            Some(one) => self.worst_akin(one, interest),
            None if class == Class::Ours => self.values.iter().position(concerns),
            None => None,
        }
    }

    /// Makes room for this among those akin to it, of which the best few are enough. Whether it belongs to them, and whether
    /// any is left out now.
    pub(crate) fn admit(&mut self, value: &T, interest: &Interest) -> (bool, bool) {
        let few = |v: &T| v.few_suffice(interest) && v.is_akin(value, interest);
        if !value.few_suffice(interest) || self.values.contains(value) {
            return (true, false);
        }
        let (count, worst) = self.worst(&few);
        if count < KEPT_MIN {
            return (true, false);
        }
        match worst.filter(|worst| value.is_better(&self.values[*worst])) {
            Some(worst) => {
                self.values.swap_remove(worst);
                self.stale.swap_remove(worst);
                (true, true)
            }
            None => (false, true),
        }
    }

    /// How many are akin to this; of a crowd, only that it is one.
    fn akin(&self, value: &T, interest: &Interest) -> usize {
        let akin = self.values.iter().filter(|v| v.is_akin(value, interest));
        akin.take(KEPT_MIN + 1).count()
    }

    /// Whether fewer are akin to this than are to be kept in any case.
    fn has_few(&self, value: &T, interest: &Interest) -> bool {
        self.akin(value, interest) < KEPT_MIN
    }

    /// The place of the worst that is akin to this.
    fn worst_akin(&self, value: &T, interest: &Interest) -> Option<usize> {
        let akin = |v: &T| v.class(interest) == Class::Concerns && v.is_akin(value, interest);
        self.worst(&akin).1
    }

    /// How many there are of some, and the place of the worst of them: of equal ones, the last.
    fn worst(&self, of: &dyn Fn(&T) -> bool) -> (usize, Option<usize>) {
        let (mut count, mut worst) = (0, None);
        for (place, v) in self.values.iter().enumerate().filter(|(_, v)| of(v)) {
            count += 1;
            if worst.is_none_or(|worst: usize| !v.is_better(&self.values[worst])) {
                worst = Some(place);
            }
        }
        (count, worst)
    }

    /// Take out every thing that `gone` names; whether there was one.
    pub(crate) fn remove(&mut self, gone: &dyn Fn(&T) -> bool) -> bool {
        self.remove_where(&|value, _| gone(value))
    }

    /// A dump begins: what it does not show will go with [`Table::settle`].
    pub(crate) fn suspect_all(&mut self) {
        self.stale.fill(true);
    }

    /// The same, of a dump of some.
    pub(crate) fn suspect(&mut self, suspected: &dyn Fn(&T) -> bool) {
        for (value, stale) in self.values.iter().zip(&mut self.stale) {
            *stale = suspected(value);
        }
    }

    /// The dump has ended: what it did not show goes when it was whole, else it is known as before; whether anything went.
    pub(crate) fn settle(&mut self, whole: bool) -> bool {
        let removed = whole && self.remove_where(&|_, stale| stale);
        self.stale.fill(false);
        removed
    }

    #[inline(never)] // one for all callers
    fn remove_where(&mut self, gone: &dyn Fn(&T, bool) -> bool) -> bool {
        let before = self.values.len();
        let mut kept = 0;
        for place in 0..before {
            if !gone(&self.values[place], self.stale[place]) {
                if kept != place {
                    self.values.swap(kept, place);
                    self.stale.swap(kept, place);
                }
                kept += 1;
            }
        }
        self.values.truncate(kept);
        self.stale.truncate(kept);
        kept != before
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kinds;
    use super::*;

    /// From 100 on they concern us, and from 1000 on they are ours; those of one hundred are akin, the lowest the best.
    impl Watched for u32 {
        const CROWDS: bool = true;

        fn kind(&self) -> Kinds {
            Kinds::LINKS
        }

        fn class(&self, _: &Interest) -> Class {
            match self {
                0..100 => Class::Other,
                100..1000 => Class::Concerns,
                1000.. => Class::Ours,
            }
        }

        fn is_akin(&self, other: &u32, _: &Interest) -> bool {
            self / 100 == other / 100
        }

        fn is_better(&self, other: &u32) -> bool {
            self < other
        }
    }

    fn insert<const N: usize>(table: &mut Table<u32, N>, value: u32) -> Inserted {
        table.insert(value, &Interest::new())
    }

    /// Inserts what takes another's place: that one.
    fn evicted<const N: usize>(table: &mut Table<u32, N>, value: u32) -> u32 {
        let before = sorted(table);
        let inserted = insert(table, value);
        assert!(matches!(inserted, Inserted::Without(out) if out.was_known && !out.stale));
        let after = sorted(table);
        assert!(after.contains(&value) && after.len() == before.len());
        *before.iter().find(|old| !after.contains(old)).unwrap()
    }

    fn has_no_room<const N: usize>(table: &mut Table<u32, N>, value: u32) -> bool {
        matches!(insert(table, value), Inserted::Without(out) if !out.was_known)
    }

    fn sorted<const N: usize>(table: &Table<u32, N>) -> std::vec::Vec<u32> {
        let mut values = table.as_slice().to_vec();
        values.sort_unstable();
        values
    }

    #[test]
    fn a_dump_renews_the_picture_without_emptying_it() {
        let mut table = Table::<u32, 3>::new();
        for value in 1..=3 {
            assert_eq!(insert(&mut table, value), Inserted::New);
        }
        table.suspect_all();
        assert_eq!(insert(&mut table, 2), Inserted::Known);
        assert_eq!(insert(&mut table, 2), Inserted::Again);
        assert!(
            has_no_room(&mut table, 4),
            "what is not shown yet may be shown still"
        );
        assert_eq!(insert(&mut table, 1), Inserted::Known);
        assert!(table.settle(true));
        assert_eq!(sorted(&table), [1, 2]);
        assert_eq!(table.room(), 1, "and now there is room");
    }

    #[test]
    fn a_failed_dump_loses_nothing() {
        let mut table = Table::<u32, 3>::new();
        insert(&mut table, 1);
        table.suspect_all();
        assert!(!table.settle(false));
        assert!(!table.settle(true), "forgotten suspicions take nothing");
        assert_eq!(table.as_slice().iter().count(), 1);
    }

    #[test]
    fn what_matters_more_takes_the_place_of_what_matters_less() {
        let mut table = Table::<u32, 3>::new();
        for value in [1, 2, 100] {
            insert(&mut table, value);
        }
        assert!(has_no_room(&mut table, 3));
        assert_eq!(evicted(&mut table, 200), 1);
        assert_eq!(evicted(&mut table, 1000), 2);
        assert!(has_no_room(&mut table, 4));
        assert_eq!(sorted(&table), [100, 200, 1000]);
    }

    #[test]
    fn a_crowd_is_at_its_own_expense_and_the_best_of_it_stay() {
        let mut table = Table::<u32, 8>::new();
        for value in [200, 100, 101, 102, 103, 104, 105, 106] {
            assert_eq!(insert(&mut table, value), Inserted::New);
        }
        assert!(has_no_room(&mut table, 107));
        assert_eq!(evicted(&mut table, 201), 106);
        assert_eq!(evicted(&mut table, 1000), 105);
        assert_eq!(evicted(&mut table, 202), 104);
        assert_eq!(sorted(&table), [100, 101, 102, 103, 200, 201, 202, 1000]);
        // No owner has many any more.
        assert!(has_no_room(&mut table, 203));
        assert!(evicted(&mut table, 1001) < 1000);
    }
}
