//! What each of our rules is for, told by its preference.

use crate::limits::{PATH_SOURCES_MAX, PREFIXES_MAX, PROVIDERS_MAX};
use crate::routing::layout::pref;
use crate::routing::objects::{Rule, RuleVerdict};
use crate::types::Slot;

/// Preferences of rules that are for the same.
struct Place {
    /// the first; below the anchor counted from `rule_pref`
    first: u32,
    /// how many there are
    count: u32,
    /// how many of them each slot has; 0: they are not by slot
    apart: u32,
    /// what they are for; `%` stands for the provider
    text: &'static str,
}

#[allow(clippy::cast_possible_truncation)] // they are 64 and 15
const SLOTS: u32 = PROVIDERS_MAX as u32;
#[allow(clippy::cast_possible_truncation)]
const PREFIXES: u32 = PREFIXES_MAX as u32;

static PLACES: [Place; 12] = [
    one(pref::SPECIFIC, "specific routes always win"),
    by_slot(pref::MARK, 1, "traffic with the mark of %"),
    by_slot(pref::IN, 1, "answers to what came by %"),
    by_slot(pref::RESOLVER, 1, "questions to a resolver of %"),
    by_slot(
        pref::FROM,
        PATH_SOURCES_MAX,
        "what is sent from there: by %",
    ),
    by_slot(pref::OIF, 1, "sockets bound to %'s device"),
    one(pref::ANCHOR, "specific routes win here, too"),
    by_slot(pref::OUT, 1, "connections that began by %"),
    by_slot(pref::PREFIX, PREFIXES, "hosts with addresses of %"),
    one(pref::SWAP, "the providers, best first"),
    one(pref::MAIN, "if no provider has a route"),
    one(pref::DEFAULT, "what the kernel looks up last"),
];

const fn one(first: u32, text: &'static str) -> Place {
    Place {
        first,
        count: 1,
        apart: 0,
        text,
    }
}

const fn by_slot(first: u32, apart: u32, text: &'static str) -> Place {
    Place {
        first,
        count: SLOTS * apart,
        apart,
        text,
    }
}

/// What a rule of ours is for, with `%` for the provider, and which that is, if its preference says so.
pub(super) fn of(rule: &Rule, rule_pref: u32) -> (&'static str, Option<Slot>) {
    match rule.verdict {
        RuleVerdict::Goto(_) => return ("all else: the providers' order", None),
        RuleVerdict::LookupSpecific(_) if rule.pref < rule_pref => {
            return ("to the gateway of %", None);
        }
        RuleVerdict::Unreachable => return ("no provider works: last_resort", None),
        _ => {}
    }
    for place in &PLACES {
        let base = if place.first < pref::ANCHOR {
            rule_pref
        } else {
            0
        };
        let Some(number) = rule.pref.checked_sub(base + place.first) else {
            continue;
        };
        if number < place.count {
            let slot = number.checked_div(place.apart);
            return (
                place.text,
                slot.and_then(|slot| u8::try_from(slot).ok()).map(Slot),
            );
        }
    }
    match rule.pref < rule_pref {
        true => ("the router's own addresses", None),
        false => ("left by another version, or configuration", None),
    }
}

/// The slot whose device a rule is for.
pub(super) fn slot_of_device(rule: &Rule, rule_pref: u32) -> Option<Slot> {
    let number = rule.pref.checked_sub(rule_pref + pref::OIF)?;
    u8::try_from(number)
        .ok()
        .filter(|_| number < SLOTS)
        .map(Slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::objects::Selector;
    use crate::types::{Family, PROTOCOL};

    #[test]
    fn each_preference_tells_its_purpose_and_its_provider() {
        for (pref, text, slot) in [
            (17599, "the router's own addresses", None),
            (17600, "specific routes always win", None),
            (17601, "traffic with the mark of %", Some(0)),
            (17664, "traffic with the mark of %", Some(63)),
            (17665, "answers to what came by %", Some(0)),
            (17728, "answers to what came by %", Some(63)),
            (17750, "questions to a resolver of %", Some(0)),
            (17813, "questions to a resolver of %", Some(63)),
            (17900, "what is sent from there: by %", Some(0)),
            (17916, "what is sent from there: by %", Some(1)),
            (18923, "what is sent from there: by %", Some(63)),
            (18925, "left by another version, or configuration", None),
            (18931, "sockets bound to %'s device", Some(1)),
            (32800, "specific routes win here, too", None),
            (32802, "connections that began by %", Some(1)),
            (32914, "hosts with addresses of %", Some(0)),
            (33859, "hosts with addresses of %", Some(63)),
            (33900, "the providers, best first", None),
            (33902, "what the kernel looks up last", None),
        ] {
            let rule = Rule {
                family: Family::V4,
                pref,
                protocol: PROTOCOL,
                selector: Selector::All,
                verdict: RuleVerdict::Lookup(254),
            };
            assert_eq!(of(&rule, 17600), (text, slot.map(Slot)), "{pref}");
        }
    }
}
