//! An interface that a provider names, and what is known of it.

use super::NoAnswer;
use crate::types::InterfaceName;
use crate::wire::netifd::{Interface, Unreadable, parent};

/// An interface that a provider names.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: InterfaceName,
    pub(super) lookup: Lookup,
    /// the first reason why calls fail, while the last data are kept
    pub(super) lost_reason: Option<NoAnswer>,
    /// its result in the output that is being read
    pub(super) new_lookup: Lookup,
}

/// The result of the last call for an interface.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::large_enum_variant)] // there is no heap, and mostly data
pub(super) enum Lookup {
    /// no result yet
    #[default]
    Pending,
    /// netifd's data
    Found(Interface),
    /// netifd knows no such interface
    NotFound,
    /// the call failed
    Failed(NoAnswer),
}

impl Known {
    /// Takes netifd's data of this interface, or of a dynamic one of it.
    pub(super) fn hear(&mut self, name: &str, told: Result<Interface, Unreadable>) {
        let own = self.name == name;
        let Ok(mut told) = told else {
            self.new_lookup = Lookup::Failed(NoAnswer::Unreadable);
            return;
        };
        if !own && !told.dynamic {
            return;
        }
        told.dynamic &= own;
        match &mut self.new_lookup {
            Lookup::Failed(_) => {}
            Lookup::Found(before) if own => {
                told.take_over(before);
                *before = told;
            }
            Lookup::Found(before) => before.take_over(&told),
            lookup => *lookup = Lookup::Found(told),
        }
    }

    /// Takes the result of a call. Returns whether the data have changed.
    pub(super) fn update(&mut self) -> bool {
        let lookup = core::mem::take(&mut self.new_lookup);
        // The last known data are kept.
        if let (Lookup::Found(_), Lookup::Failed(why)) = (&self.lookup, &lookup) {
            return self.lose(*why);
        }
        let news = self.lookup != lookup || self.lost_reason.is_some();
        self.lookup = lookup;
        self.lost_reason = None;
        news
    }

    /// A call has failed, and the last data are kept. Returns whether that is new.
    pub(super) fn lose(&mut self, why: NoAnswer) -> bool {
        let news = self.lost_reason.is_none();
        self.lost_reason.get_or_insert(why);
        news
    }
}

/// The place of an interface that a provider names: of this one, or else of that which it is a dynamic interface of.
pub(super) fn place_of(known: &[Known], mut name: &str) -> Option<usize> {
    loop {
        let place = known.iter().position(|known| known.name == name);
        if place.is_some() {
            return place;
        }
        name = parent(name)?;
    }
}
