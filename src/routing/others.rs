//! What the rules and routes of other programs mean beside ours.

use super::layout::pref;
use super::objects::{Rule, RuleVerdict, Selector};
use crate::types::{Family, PROTOCOL, TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN};

/// The rules of others that our `goto`, at this preference, jumps over, though they do something else than what is done
/// where it leads, or before it.
pub fn jumped_over(rules: &[Rule], family: Family, goto: u32) -> impl Iterator<Item = &Rule> {
    let between = move |rule: &Rule| goto < rule.pref && rule.pref < pref::ANCHOR;
    let known = |rule: &Rule| match rule.verdict {
        RuleVerdict::Lookup(table) => matches!(table, TABLE_LOCAL | TABLE_MAIN | TABLE_DEFAULT),
        RuleVerdict::LookupSpecific(table) => table == TABLE_MAIN,
        _ => false,
    };
    rules.iter().filter(move |rule| {
        let is_done = rule.selector == Selector::All && known(rule);
        rule.is_foreign(family) && between(rule) && !is_done
    })
}

/// Whether a former run has taken its `goto` away, and has left the rest of its rules.
pub fn is_goto_absent(rules: &[Rule], family: Family) -> bool {
    let mut ours = rules
        .iter()
        .filter(|rule| rule.family == family && rule.protocol == PROTOCOL);
    let has_anchor = ours.clone().any(|rule| rule.pref == pref::ANCHOR);
    has_anchor && !ours.any(|rule| matches!(rule.verdict, RuleVerdict::Goto(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::layout::fixture::kernel_rules;
    use crate::types::PROTOCOL;

    #[test]
    fn what_is_done_elsewhere_is_not_missed() {
        let mut rules = kernel_rules();
        let over = |rules: &[Rule], goto| -> Vec<u32> {
            let over = jumped_over(rules, Family::V4, goto);
            over.map(|rule| rule.pref).collect()
        };
        assert!(over(&rules, 19000).is_empty());
        let foreign = |pref, protocol, verdict| Rule {
            family: Family::V4,
            pref,
            protocol,
            selector: Selector::All,
            verdict,
        };
        let lookup = RuleVerdict::Lookup;
        rules.extend([
            foreign(19000, 3, lookup(100)),
            foreign(30000, 3, lookup(100)),
            foreign(32764, 3, RuleVerdict::LookupSpecific(TABLE_MAIN)),
            foreign(32765, 3, lookup(TABLE_LOCAL)),
            foreign(32767, 3, RuleVerdict::Unreachable),
            foreign(32799, 3, lookup(100)),
            foreign(32799, PROTOCOL, lookup(100)),
            foreign(32800, 3, lookup(100)),
        ]);
        assert_eq!(over(&rules, 19000), [30000, 32767, 32799]);
        assert_eq!(over(&rules, 32765), [32767, 32799]);
        rules[7].selector = Selector::Foreign;
        assert_eq!(over(&rules, 19000), [30000, 32764, 32767, 32799]);
        rules[7].family = Family::V6;
        assert_eq!(over(&rules, 19000), [30000, 32767, 32799]);
    }
}
