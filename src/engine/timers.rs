//! Which path has the next deadline.

use heapless::Vec;

use crate::limits::PATHS_MAX;
use crate::types::{Instant, PathId};

/// The deadlines of paths, one per path, in no order: they are few.
pub(crate) struct Timers(Vec<(PathId, Instant), PATHS_MAX>);

impl Timers {
    pub(crate) const fn new() -> Timers {
        Timers(Vec::new())
    }

    /// The path with the earliest deadline, and that deadline.
    pub(crate) fn first(&self) -> Option<(PathId, Instant)> {
        let mut first: Option<&(PathId, Instant)> = None;
        for one in &self.0 {
            if first.is_none_or(|first| one.1 < first.1) {
                first = Some(one);
            }
        }
        first.copied()
    }

    /// Sets or removes the deadline of a path.
    pub(crate) fn set(&mut self, path: PathId, deadline: Option<Instant>) {
        let place = self.0.iter().position(|(of, _)| *of == path);
        if let Some(place) = place {
            self.0.swap_remove(place);
        }
        if let Some(at) = deadline {
            let pushed = self.0.push((path, at));
            debug_assert!(pushed.is_ok(), "one entry per path");
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
