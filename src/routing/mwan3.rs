//! Whether mwan3 is at work: two masters of the default route are one too many.

use super::objects::{Rule, RuleVerdict, Selector};

/// Where mwan3's rules about marked packets begin.
const PREF: u32 = 2000;
/// It takes no mask of fewer bits.
const BITS_MIN: u32 = 3;

/// Its rules are what steers, so they are what counts: processes and folders stay behind, or come early. One of them is
/// there from its start to its stop, whatever its interfaces do: it refuses packets that carry its mark of last resort.
/// That is its mask without the lowest bit; the rule's preference is 2000 and the mark's bits, squeezed together.
pub fn is_at_work(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| {
        let Selector::Mark(mark) = &rule.selector else {
            return false;
        };
        let lowest = mark.mask & mark.mask.wrapping_neg();
        let bits = mark.mask.count_ones();
        let marks = 1_u32.checked_shl(bits).filter(|_| bits >= BITS_MIN);
        rule.verdict == RuleVerdict::Unreachable
            && mark.value == mark.mask ^ lowest
            && marks.is_some_and(|marks| rule.pref == PREF + marks - 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Family, Mark};

    fn rule(pref: u32, value: u32, mask: u32, verdict: RuleVerdict) -> Rule {
        Rule {
            family: Family::V4,
            pref,
            protocol: 3,
            selector: Selector::Mark(Mark { value, mask }),
            verdict,
        }
    }

    #[test]
    fn its_rule_of_last_resort_gives_it_away_whatever_its_mask() {
        for (pref, value, mask) in [
            (2062, 0x3e00, 0x3f00),
            (2254, 0xfe00, 0xff00),
            (2006, 0x6, 0x7),
            (2062, 0xa1a0, 0xa1b0),
        ] {
            let refuses = rule(pref, value, mask, RuleVerdict::Unreachable);
            assert!(is_at_work(&[refuses]), "{mask:#x}");
        }
    }

    #[test]
    fn other_rules_about_marks_do_not() {
        let refuses = RuleVerdict::Unreachable;
        let others = [
            rule(2061, 0x3d00, 0x3f00, RuleVerdict::Foreign),
            rule(2001, 0x100, 0x3f00, RuleVerdict::Lookup(1)),
            rule(2062, 0x3e00, 0x3f00, RuleVerdict::Lookup(1)),
            rule(2061, 0x3e00, 0x3f00, refuses),
            rule(2062, 0x3d00, 0x3f00, refuses),
            rule(1999, u32::MAX - 1, u32::MAX, refuses),
            rule(u32::MAX, 0, 0, refuses),
            rule(2000, 0, 1, refuses),
            rule(2002, 0x2, 0x3, refuses),
        ];
        assert!(!is_at_work(&others));
        assert!(!is_at_work(&[]));
    }
}
