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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::layout::fixture::foreign_default;
    use crate::types::Family;

    fn attributes(number: u8) -> Attributes {
        Vec::from_slice(&[number; 12]).unwrap()
    }

    #[test]
    fn equal_attributes_have_one_number_and_those_of_no_route_make_room() {
        let mut known = Known::new();
        let mut routes = std::vec::Vec::new();
        let route = |number: u8| {
            let mut route = foreign_default(Family::V4, 254, 0);
            route.extras.number = number;
            route
        };
        for number in 1..=32 {
            assert_eq!(known.number(&attributes(number), &routes), number);
            routes.push(route(number));
        }
        assert_eq!(known.number(&attributes(7), &routes), 7);
        assert_eq!(known.of(7), &attributes(7)[..]);
        assert_eq!(known.number(&attributes(99), &routes), Extras::LEFT_OUT);
        assert!(known.of(Extras::LEFT_OUT).is_empty() && known.of(0).is_empty());
        routes.remove(4);
        assert_eq!(known.number(&attributes(99), &routes), 5);
        assert_eq!(known.of(5), &attributes(99)[..]);
    }
}
