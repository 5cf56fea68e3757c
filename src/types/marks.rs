//! The bits of firewall marks that are ours.

use super::Slot;

/// Contiguous bits of packets' and connections' marks (`mark_mask`). The top one says that a connection is inbound, the
/// others hold the slot of its provider, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkMask(u32);

impl MarkMask {
    /// The default.
    pub const USUAL: MarkMask = MarkMask(0xff00_0000);
    /// No bits: all zero bytes, for a static.
    pub(crate) const EMPTY: MarkMask = MarkMask(0);

    /// A mask of at least two bits without a gap.
    pub const fn new(mask: u32) -> Option<MarkMask> {
        let low = mask >> (mask.trailing_zeros() % 32);
        if mask.count_ones() < 2 || low.trailing_ones() != mask.count_ones() {
            return None;
        }
        Some(MarkMask(mask))
    }

    /// Its bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The bits of other programs.
    pub const fn others(self) -> u32 {
        !self.0
    }

    /// How many slots there are marks for.
    #[inline(never)] // counting bits takes two dozen instructions on MIPS
    pub const fn slots(self) -> u32 {
        (1 << self.0.count_ones().saturating_sub(1)) - 1
    }

    /// The mark of what left by a provider first.
    pub const fn outbound(self, slot: Slot) -> u32 {
        ((slot.0 as u32 + 1) << (self.0.trailing_zeros() % 32)) & self.0
    }

    /// The mark of what came by a provider first.
    pub const fn inbound(self, slot: Slot) -> u32 {
        let top = 1 << (31 - self.0.leading_zeros() % 32);
        top | self.outbound(slot)
    }

    /// The provider of a mark, if it has one.
    pub fn slot(self, mark: u32) -> Option<Slot> {
        let number = ((mark & self.0) >> (self.0.trailing_zeros() % 32)) & self.slots();
        let slot = number.checked_sub(1)?;
        u8::try_from(slot).ok().map(Slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_bit_says_inbound() {
        let usual = MarkMask::USUAL;
        assert_eq!(usual.outbound(Slot(0)), 0x0100_0000);
        assert_eq!(usual.inbound(Slot(0)), 0x8100_0000);
        assert_eq!(usual.inbound(Slot(63)), 0xc000_0000);
        assert_eq!(usual.slots(), 127);
        let low = MarkMask::new(0x7).unwrap();
        assert_eq!((low.slots(), low.outbound(Slot(2))), (3, 3));
        assert_eq!(low.inbound(Slot(2)), 7);
        assert_eq!(
            MarkMask::new(u32::MAX).map(MarkMask::slots),
            Some(0x7fff_ffff)
        );
        assert_eq!(MarkMask::new(0xff00), Some(MarkMask(0xff00)));
    }

    #[test]
    fn a_mark_tells_its_provider() {
        let usual = MarkMask::USUAL;
        for slot in (0..64).map(Slot) {
            for mark in [usual.inbound(slot), usual.outbound(slot)] {
                assert_eq!(usual.slot(mark | 0x1234), Some(slot));
            }
        }
        assert_eq!(usual.slot(0x00ff_ffff), None);
        assert_eq!(usual.slot(0x8000_0000), None);
    }

    #[test]
    fn a_mask_has_no_gap() {
        for mask in [0, 1, 0x8000_0000, 0x5, 0xf0f0_0000] {
            assert_eq!(MarkMask::new(mask), None, "{mask:#x}");
        }
    }
}
