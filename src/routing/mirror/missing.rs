//! What the kernel has and there is no room for.

use super::Kinds;

/// Of each kind, how much of it is not in the mirror. All zero bytes when new.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    /// something is missing
    any: Kinds,
    /// something is missing that concerns us, though others that are akin and better were there
    concerning: Kinds,
    /// something is missing that concerns us, and little that is akin was there
    blind: Kinds,
    /// as many as the last dump has shown, and fewer by those that went since
    count: [u16; Kinds::EACH.len()],
}

impl Missing {
    pub(crate) const fn new() -> Missing {
        Missing {
            any: Kinds::NONE,
            concerning: Kinds::NONE,
            blind: Kinds::NONE,
            count: [0; Kinds::EACH.len()],
        }
    }

    /// The kinds that are not complete.
    pub(crate) const fn any(&self) -> Kinds {
        self.any
    }

    /// The kinds in which what concerns us is not complete.
    pub(crate) fn concerning(&self) -> Kinds {
        let mut kinds = self.concerning;
        kinds.add(self.blind);
        kinds
    }

    /// The kinds that tell too little of what concerns us.
    pub(crate) const fn blind(&self) -> Kinds {
        self.blind
    }

    /// What is missing may be what concerns us.
    pub(crate) const fn suspect(&mut self) {
        self.concerning.add(self.any);
    }

    pub(crate) fn count(&self, kinds: Kinds) -> u16 {
        let each = Kinds::EACH.iter().zip(self.count);
        each.filter(|(kind, _)| kinds.has(**kind))
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// One more of a kind has no room. `counted`: it was not counted before.
    pub(crate) fn add(&mut self, kind: Kinds, counted: bool) {
        let first = !self.any.has(kind);
        self.any.add(kind);
        if counted || first {
            self.change(kind, |count| count.saturating_add(1));
        }
    }

    /// The last one added concerns us. `blind`: little that is akin is known.
    pub(crate) fn add_concerning(&mut self, kind: Kinds, blind: bool) {
        self.concerning.add(kind);
        self.blind.add(kind.when(blind));
    }

    /// One of those that are missing is gone.
    pub(crate) fn gone(&mut self, kind: Kinds) {
        self.change(kind, |count| count.saturating_sub(1));
    }

    /// A dump of a kind begins to count.
    pub(crate) fn forget(&mut self, kind: Kinds) {
        self.any.drop(kind);
        self.concerning.drop(kind);
        self.blind.drop(kind);
        self.change(kind, |_| 0);
    }

    /// A dump of a kind was not whole: what was missing before may be missing now.
    pub(crate) fn restore(&mut self, kind: Kinds, before: &Missing) {
        self.any.add(before.any.and(kind));
        self.concerning.add(before.concerning.and(kind));
        self.blind.add(before.blind.and(kind));
        let known = before.count(kind);
        self.change(kind, |count| count.max(known));
    }

    fn change(&mut self, kind: Kinds, change: impl Fn(u16) -> u16) {
        for (each, count) in Kinds::EACH.iter().zip(&mut self.count) {
            if each.has(kind) && *count != change(*count) {
                *count = change(*count);
            }
        }
    }
}
