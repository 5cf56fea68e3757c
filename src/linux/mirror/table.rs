//! A bounded set of things of one kind, filled in place, that a dump can renew without ever being half empty.

use heapless::Vec;

/// At most `N` things, in no order, no two equal.
///
/// An empty one is all zero bytes. It begins with a page, and with what is small: few things touch one page only.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(super) struct Table<T, const N: usize> {
    /// Of each value: the dump in progress has not shown it yet.
    stale: Vec<bool, N>,
    values: Vec<T, N>,
}

/// What [`Table::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// it was there already, and the dump in progress confirms it
    Known,
    /// it was there already, and confirmed: it is told twice, or the kernel has two that look alike here
    Again,
    /// it is new, or differs from what was in its place
    New,
    /// it took the place of something less worth knowing
    Evicted,
    /// there was no room for it
    NoRoom,
}

impl<T: PartialEq, const N: usize> Table<T, N> {
    pub(super) const fn new() -> Self {
        Table {
            stale: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.values
    }

    /// Put a thing in: in the place of one that is `same` as it (they have one identity in the kernel), else in a free
    /// one, else in the place of a stale one, else of one that is `lesser`.
    pub(super) fn insert(
        &mut self,
        value: T,
        same: impl Fn(&T) -> bool,
        lesser: impl Fn(&T) -> bool,
    ) -> Inserted {
        if let Some(place) = self.values.iter().position(same) {
            let stale = core::mem::take(&mut self.stale[place]);
            if self.values[place] == value {
                return if stale {
                    Inserted::Known
                } else {
                    Inserted::Again
                };
            }
            self.values[place] = value;
            return Inserted::New;
        }
        let Err(value) = self.values.push(value) else {
            // As long as `values`, and as roomy.
            let _ = self.stale.push(false);
            return Inserted::New;
        };
        if let Some(place) = self.stale.iter().position(|stale| *stale) {
            self.values[place] = value;
            self.stale[place] = false;
            return Inserted::New;
        }
        match self.values.iter().position(lesser) {
            Some(place) => {
                self.values[place] = value;
                Inserted::Evicted
            }
            None => Inserted::NoRoom,
        }
    }

    /// Take out every thing that `gone` names; whether there was one.
    pub(super) fn remove(&mut self, gone: impl Fn(&T) -> bool) -> bool {
        self.remove_where(|value, _| gone(value))
    }

    /// A dump begins: what it does not show will go with [`Table::settle`].
    pub(super) fn suspect(&mut self, suspected: impl Fn(&T) -> bool) {
        for (value, stale) in self.values.iter().zip(&mut self.stale) {
            *stale = suspected(value);
        }
    }

    /// The dump has ended: what it did not show goes when it was whole, else it is known as before; whether anything went.
    pub(super) fn settle(&mut self, whole: bool) -> bool {
        let removed = whole && self.remove_where(|_, stale| stale);
        self.suspect(|_| false);
        removed
    }

    fn remove_where(&mut self, gone: impl Fn(&T, bool) -> bool) -> bool {
        let before = self.values.len();
        let mut place = 0;
        while place < self.values.len() {
            if gone(&self.values[place], self.stale[place]) {
                self.values.swap_remove(place);
                self.stale.swap_remove(place);
            } else {
                place += 1;
            }
        }
        self.values.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(table: &mut Table<u32, 3>, value: u32) -> Inserted {
        table.insert(value, |old| *old == value, |old| *old >= 100)
    }

    #[test]
    fn a_dump_renews_the_picture_without_emptying_it() {
        let mut table = Table::<u32, 3>::new();
        for value in 1..=3 {
            assert_eq!(insert(&mut table, value), Inserted::New);
        }
        table.suspect(|_| true);
        assert_eq!(insert(&mut table, 2), Inserted::Known);
        assert_eq!(insert(&mut table, 2), Inserted::Again);
        assert_eq!(
            insert(&mut table, 4),
            Inserted::New,
            "a stale one makes room"
        );
        assert_eq!(
            table.as_slice().iter().count(),
            3,
            "nothing is lost before the end"
        );
        assert!(table.settle(true));
        let mut left: std::vec::Vec<u32> = table.as_slice().to_vec();
        left.sort_unstable();
        assert_eq!(left, [2, 4]);
    }

    #[test]
    fn a_failed_dump_loses_nothing() {
        let mut table = Table::<u32, 3>::new();
        insert(&mut table, 1);
        table.suspect(|_| true);
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
        assert_eq!(insert(&mut table, 3), Inserted::Evicted);
        assert_eq!(insert(&mut table, 4), Inserted::NoRoom);
    }
}
