//! Which path has the next deadline: a binary heap of deadlines, one per path, that can be changed in place.

use heapless::Vec;

use crate::limits::PATHS_MAX;
use crate::types::{Instant, PathId};

/// The earliest deadline is first; setting one costs O(log paths).
pub(crate) struct Timers {
    /// Path indices, a binary heap by `deadlines`.
    heap: Vec<u8, PATHS_MAX>,
    /// The place of a path in `heap`, plus one; 0: none.
    places: [u8; PATHS_MAX],
    deadlines: [Instant; PATHS_MAX],
}

impl Timers {
    pub(crate) const fn new() -> Timers {
        Timers {
            heap: Vec::new(),
            places: [0; PATHS_MAX],
            deadlines: [Instant::ZERO; PATHS_MAX],
        }
    }

    /// The path with the earliest deadline, and that deadline.
    pub(crate) fn first(&self) -> Option<(PathId, Instant)> {
        let path = usize::from(*self.heap.first()?);
        Some((PathId::from_index(path)?, self.deadlines[path]))
    }

    /// Sets or removes the deadline of a path.
    pub(crate) fn set(&mut self, path: PathId, deadline: Option<Instant>) {
        let path = path.index();
        match (self.place(path), deadline) {
            (None, None) => {}
            (None, Some(at)) => {
                self.deadlines[path] = at;
                let place = self.heap.len();
                #[allow(clippy::cast_possible_truncation)] // a path's index is below PATHS_MAX, 128
                let pushed = self.heap.push(path as u8);
                debug_assert!(pushed.is_ok(), "one entry per path");
                self.settle(place);
                self.rise(place);
            }
            (Some(place), Some(at)) => {
                let before = core::mem::replace(&mut self.deadlines[path], at);
                if at < before {
                    self.rise(place);
                } else {
                    self.sink(place);
                }
            }
            (Some(place), None) => {
                self.heap.swap_remove(place);
                self.places[path] = 0;
                if place < self.heap.len() {
                    self.settle(place);
                    self.rise(place);
                    self.sink(place);
                }
            }
        }
    }

    fn place(&self, path: usize) -> Option<usize> {
        usize::from(self.places[path]).checked_sub(1)
    }

    fn deadline_at(&self, place: usize) -> Instant {
        self.deadlines[usize::from(self.heap[place])]
    }

    /// Records the new place of the path that is now at `place`.
    fn settle(&mut self, place: usize) {
        #[allow(clippy::cast_possible_truncation)] // at most PATHS_MAX, 128
        let noted = place as u8 + 1;
        self.places[usize::from(self.heap[place])] = noted;
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.settle(a);
        self.settle(b);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.deadline_at(parent) <= self.deadline_at(place) {
                return;
            }
            self.swap(place, parent);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.deadline_at(child) < self.deadline_at(least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_always_the_earliest(steps in prop::collection::vec((0..PATHS_MAX, prop::option::of(0..1000_i64)), 1..400)) {
            let mut timers = Timers::new();
            let mut model = [None; PATHS_MAX];
            for (path, at) in steps {
                let at = at.map(Instant::from_micros);
                timers.set(PathId::from_index(path).unwrap(), at);
                model[path] = at;
                let earliest = model.iter().flatten().min().copied();
                prop_assert_eq!(timers.first().map(|(_, at)| at), earliest);
                if let Some((path, at)) = timers.first() {
                    prop_assert_eq!(model[path.index()], Some(at));
                }
            }
        }
    }
}
