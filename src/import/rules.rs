//! Rules: those for all traffic say which policy counts; the others steer, which is not carried over.

use super::Notes;
use super::order::Order;
use super::sections::{Section, find, of_kind};
use crate::option::value;
use crate::types::{Family, PerFamily};

/// The rules for all traffic of a family; the first one counts.
pub(super) struct Defaults<'a>(PerFamily<Option<&'a Section>>);

impl<'a> Defaults<'a> {
    pub(super) fn find(sections: &'a [Section]) -> Defaults<'a> {
        let first = |family| {
            let mut rules = of_kind(sections, "rule").into_iter();
            rules.find(|rule| is_for_all(rule, family))
        };
        let [v4, v6] = Family::ALL.map(first);
        Defaults(PerFamily { v4, v6 })
    }

    /// That of a family.
    pub(super) fn rule(&self, family: Family) -> Option<&'a Section> {
        self.0[family]
    }

    fn has(&self, rule: &Section) -> bool {
        let is = |family| self.rule(family).is_some_and(|one| std::ptr::eq(one, rule));
        Family::ALL.into_iter().any(is)
    }
}

/// Whether a rule takes whatever there is in a family.
fn is_for_all(rule: &Section, family: Family) -> bool {
    const NARROWING: [&str; 5] = ["src_ip", "src_port", "src_iface", "dest_port", "ipset"];
    let everything = match family {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "::/0",
    };
    let is = |option, values: &[&str]| values.contains(&rule.value(option));
    is("family", &["", "any", family.name()])
        && is("dest_ip", &["", everything])
        && is("proto", &["", "all"])
        && NARROWING.iter().all(|option| rule.value(option).is_empty())
}

/// Tells of what rules do besides.
pub(super) fn note(
    sections: &[Section],
    defaults: &Defaults<'_>,
    order: &Order<'_>,
    notes: &mut Notes,
) {
    for rule in of_kind(sections, "rule") {
        let policy = find(sections, "policy", rule.value("use_policy"));
        match policy {
            Some(policy) if order.has(policy) => {
                if !defaults.has(rule) {
                    notes.section(rule, &["its traffic goes with all the rest: nothing to do"]);
                }
            }
            _ => notes.section(rule, &[BY_MARK]),
        }
        if let Some(setting) = rule.setting("sticky")
            && value::boolean(&setting.value) != Ok(false)
        {
            let what = "one provider carries all traffic at a time: nothing to do";
            notes.setting(rule, setting, &[what]);
        }
    }
}

const BY_MARK: &str = "not carried over: give the provider that it leads to \
                       `option mark '0x100/0xff00'`, and have the firewall set that mark";
