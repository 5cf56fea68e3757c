//! The attributes that routes carry besides their way, each kind once: a route names them by a number.

use heapless::Vec;

use crate::limits::EXTRAS_MAX;
use crate::routing::objects::{Attributes, Extras, Route};

/// Attributes by number, from 1. All zero bytes when new.
#[derive(Debug)]
pub(super) struct Known(Vec<Attributes, EXTRAS_MAX>);

impl Known {
    pub(super) const fn new() -> Known {
        Known(Vec::new())
    }

    /// The number of these attributes: a new one where there is room, else that of some that none of `routes` has.
    pub(super) fn number(&mut self, attributes: &Attributes, routes: &[Route]) -> u8 {
        let is_free = |number: u8| routes.iter().all(|route| route.extras.number != number);
        let mut next = 1;
        for (number, known) in (1..).zip(&self.0) {
            if known == attributes {
                return number;
            }
            next = number + 1;
        }
        if self.0.push(attributes.clone()).is_ok() {
            return next;
        }
        for (number, known) in (1..).zip(&mut self.0) {
            if is_free(number) {
                known.clone_from(attributes);
                return number;
            }
        }
        Extras::LEFT_OUT
    }

    /// The attributes of a number; nothing if there are none.
    pub(super) fn of(&self, number: u8) -> &[u8] {
        let place = usize::from(number).checked_sub(1);
        place
            .and_then(|place| self.0.get(place))
            .map_or(&[], |known| known)
    }
}
