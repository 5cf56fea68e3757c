//! Policies and members → the order of preference, and what happens when nobody works.

use std::cmp::Reverse;

use super::Notes;
use super::rules::Defaults;
use super::sections::{IGNORED, Section, find, of_kind};
use super::uplinks::Uplink;
use crate::option::value;
use crate::types::{Family, PerFamily};

/// The policies that count, of which there may be none.
pub(super) struct Order<'a> {
    sections: &'a [Section],
    policies: PerFamily<Option<&'a Section>>,
    members: PerFamily<Vec<Member<'a>>>,
    /// a rule for all traffic names one of them: what is not in it gets none
    by_rule: bool,
}

/// A place in a policy: metric, weight, position. Less is better.
type Place = (u32, Reverse<u32>, usize);

/// An interface in a policy.
struct Member<'a> {
    interface: &'a str,
    is_v6: bool,
    place: Place,
}

/// Members of a higher metric are ignored by mwan3.
const METRIC_MAX: u32 = 256;

impl<'a> Order<'a> {
    /// The policies that the rules for all traffic use; without such a rule, the policy that has most members.
    pub(super) fn find(
        sections: &'a [Section],
        defaults: &Defaults<'a>,
        notes: &mut Notes,
    ) -> Order<'a> {
        let [v4, v6] = Family::ALL.map(|family| {
            let rule = defaults.rule(family)?;
            find(sections, "policy", rule.value("use_policy"))
        });
        let by_rule = v4.or(v6);
        let any = by_rule.or_else(|| largest(sections, notes));
        let (v4, v6) = (v4.or(any), v6.or(any));
        Order {
            sections,
            policies: PerFamily { v4, v6 },
            members: PerFamily {
                v4: members(v4, sections),
                v6: members(v6, sections),
            },
            by_rule: by_rule.is_some(),
        }
    }

    /// Whether a policy counts.
    pub(super) fn has(&self, policy: &Section) -> bool {
        let is = |one: Option<&Section>| one.is_some_and(|one| one.name == policy.name);
        is(self.policies.v4) || is(self.policies.v6)
    }

    /// Sorts the uplinks, and takes those out of use that traffic at large never used.
    pub(super) fn apply(&self, uplinks: &mut [Uplink<'_>], notes: &mut Notes) {
        if self.policies.v4.is_none() {
            return;
        }
        let place = |uplink: &Uplink<'_>| {
            let place = self.place(uplink, Family::V4);
            place.or_else(|| self.place(uplink, Family::V6))
        };
        let key = |uplink: &Uplink<'_>| (place(uplink).is_none(), place(uplink));
        // There are few, and each use of std's sort costs six kilobytes.
        for end in 1..uplinks.len() {
            let mut at = end;
            while at > 0 && key(&uplinks[at]) < key(&uplinks[at - 1]) {
                uplinks.swap(at, at - 1);
                at -= 1;
            }
        }
        let is_listed = |uplink: &Uplink<'_>| place(uplink).is_some();
        let some = uplinks
            .iter()
            .any(|uplink| uplink.enabled && is_listed(uplink));
        let others = uplinks
            .iter_mut()
            .filter(|uplink| uplink.enabled && !is_listed(uplink));
        for uplink in others {
            uplink.enabled = !(self.by_rule && some);
            let what = match uplink.enabled {
                true => "in no policy that counts here: it comes last",
                false => "no rule for all traffic uses it: disabled; enable it to let it stand in",
            };
            uplink.first.note(&[what], notes);
        }
        self.compare_families(uplinks, notes);
    }

    /// The place of an uplink in a family.
    fn place(&self, uplink: &Uplink<'_>, family: Family) -> Option<Place> {
        let name = uplink.of(family)?.name();
        let mut best = None;
        for member in &self.members[family] {
            if member.interface == name && best.is_none_or(|best| member.place < best) {
                best = Some(member.place);
            }
        }
        best
    }

    /// There is one order; in IPv6 mwan3 may have had another.
    fn compare_families(&self, uplinks: &[Uplink<'_>], notes: &mut Notes) {
        let of_both = |uplink: &&Uplink<'_>| self.place(uplink, Family::V4).is_some();
        let both = uplinks.iter().filter(of_both);
        let places = both.filter_map(|uplink| self.place(uplink, Family::V6));
        if let Some(policy) = self.policies.v6
            && !places.is_sorted_by_key(|(metric, ..)| metric)
        {
            notes.section(policy, &["another order in IPv6: ", ONE]);
        }
    }

    /// `last_resort` of ours.
    pub(super) fn last_resort(&self, notes: &mut Notes) -> &'static str {
        let ours = |policy: &Section| match policy.value("last_resort") {
            "default" => "first",
            _ => "unreachable",
        };
        let PerFamily { v4, v6 } = self.policies;
        if let Some(policy) = v6
            && v4.map(ours) != v6.map(ours)
        {
            notes.section(policy, &["another last_resort in IPv6: ", ONE]);
        }
        if let Some(policy) = v4
            && let Some(setting) = policy.setting("last_resort")
            && setting.value == "blackhole"
        {
            let what = "here traffic is refused at once, not dropped";
            notes.setting(policy, setting, &[what]);
        }
        v4.map_or("first", ours)
    }

    /// Tells of what policies do besides.
    pub(super) fn note_rest(&self, notes: &mut Notes) {
        let first = self.policies.v4.map_or("", |policy| &policy.name);
        for policy in of_kind(self.sections, "policy") {
            if !self.has(policy) {
                let what = ["': ", IGNORED, "; `failover use` prefers another by hand"];
                notes.section(
                    policy,
                    &["the order here is that of '", first, &what.concat()],
                );
            } else if share(&members(Some(policy), self.sections)) {
                let what = "members of one metric share the traffic there; \
                            here that of the largest weight leads, and the others stand by";
                notes.section(policy, &[what]);
            }
        }
    }
}

/// Whether two interfaces of a family have the same metric.
fn share(members: &[Member<'_>]) -> bool {
    members.iter().any(|one| {
        let alike = |other: &Member<'_>| {
            (other.place.0, other.is_v6) == (one.place.0, one.is_v6)
                && other.interface != one.interface
        };
        members.iter().any(alike)
    })
}

/// Where the families differ.
const ONE: &str = "here that of IPv4 counts for both";

/// The policy with most members, the first of equals.
fn largest<'a>(sections: &'a [Section], notes: &mut Notes) -> Option<&'a Section> {
    let mut largest: Option<(usize, &Section)> = None;
    for policy in of_kind(sections, "policy") {
        let size = policy.words("use_member").len();
        if largest.is_none_or(|(most, _)| most < size) {
            largest = Some((size, policy));
        }
    }
    match largest {
        Some((_, policy)) => {
            let what = "no rule for all traffic: this gives the order";
            notes.section(policy, &[what]);
        }
        None => notes.add(
            1,
            &["no policy: the order is that of the interfaces in the file"],
        ),
    }
    largest.map(|(_, policy)| policy)
}

/// The interfaces of a policy, as far as there are such.
fn members<'a>(policy: Option<&'a Section>, sections: &'a [Section]) -> Vec<Member<'a>> {
    let mut members = Vec::new();
    let names = policy.map(|policy| policy.words("use_member"));
    for (position, (name, _)) in names.unwrap_or_default().into_iter().enumerate() {
        if let Some(member) = find(sections, "member", name)
            && let Some(interface) = find(sections, "interface", member.value("interface"))
        {
            let number = |name| value::number(member.value(name)).unwrap_or(1);
            members.push(Member {
                interface: &interface.name,
                is_v6: interface.value("family") == Family::V6.name(),
                place: (number("metric"), Reverse(number("weight")), position),
            });
        }
    }
    members.retain(|member| member.place.0 <= METRIC_MAX);
    members
}
