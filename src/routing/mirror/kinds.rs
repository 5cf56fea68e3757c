//! Sets of kinds of things in the mirror.

use crate::types::Family;

/// A set of kinds of things: what has changed, or what needs a fresh dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// nothing
    pub const NONE: Kinds = Kinds(0);
    /// devices
    pub const LINKS: Kinds = Kinds(1);
    /// addresses of both families
    pub const ADDRESSES: Kinds = Kinds(2);
    /// IPv4 routes
    pub const ROUTES_V4: Kinds = Kinds(4);
    /// IPv6 routes
    pub const ROUTES_V6: Kinds = Kinds(8);
    /// rules of both families
    pub const RULES: Kinds = Kinds(16);
    /// routes of both families
    pub const ROUTES: Kinds = Kinds(4 | 8);
    /// everything
    pub const ALL: Kinds = Kinds(31);
    /// Each by itself, in the order in which a dump makes most sense.
    pub const EACH: [Kinds; 5] = [
        Kinds::LINKS,
        Kinds::ADDRESSES,
        Kinds::ROUTES_V4,
        Kinds::ROUTES_V6,
        Kinds::RULES,
    ];

    /// The routes of one family.
    pub const fn routes(family: Family) -> Kinds {
        match family {
            Family::V4 => Kinds::ROUTES_V4,
            Family::V6 => Kinds::ROUTES_V6,
        }
    }

    /// What tells of uplinks of one family.
    pub const fn uplinks(family: Family) -> Kinds {
        let mut kinds = Kinds::routes(family);
        kinds.add(Kinds::ADDRESSES);
        kinds.add(Kinds::LINKS);
        kinds
    }

    /// Whether none is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any of `other` is in the set.
    pub const fn has(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` are in the set.
    pub const fn has_all(self, other: Kinds) -> bool {
        other.0 & !self.0 == 0
    }

    /// Add those of `other`.
    pub const fn add(&mut self, other: Kinds) {
        self.0 |= other.0;
    }

    pub(super) const fn drop(&mut self, other: Kinds) {
        self.0 &= !other.0;
    }

    pub(super) const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    pub(super) const fn when(self, condition: bool) -> Kinds {
        if condition { self } else { Kinds::NONE }
    }
}
