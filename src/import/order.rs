//! Rules, policies and members → the order of preference, and what happens when none works.

use std::cmp::Reverse;

use super::Mwan3;
use super::sections::{IGNORED, Section};
use super::uplinks::Uplink;
use crate::option::value;
use crate::types::Family;

/// What counts in each family.
pub(super) struct Order<'a> {
    /// the first rule for all traffic
    rules: [Option<&'a Section>; 2],
    /// none only when there are no policies
    policies: [Option<&'a Section>; 2],
    /// a rule for all traffic names one of them: what is not in it gets none
    by_rule: bool,
}

/// A place in a policy: metric, weight, position. Less is better.
pub(super) type Place = (u32, Reverse<u32>, usize);

/// An interface in a policy.
struct Member<'a> {
    interface: &'a Section,
    place: Place,
}

/// Members of a higher metric are ignored by mwan3.
const METRIC_MAX: u32 = 256;

/// Where the families differ.
const ONE: &str = "here that of IPv4 counts for both";
const SHARED: &str = "members of one metric share the traffic there; here that of the largest weight leads, and the others stand by";
const BY_MARK: &str = "not carried over: give the provider that it leads to `option mark '0x100/0xff00'`, and have the firewall set that mark";

impl Order<'_> {
    fn has(&self, policy: &Section) -> bool {
        let mut policies = self.policies.iter().flatten();
        policies.any(|one| one.name == policy.name)
    }
}

impl Mwan3 {
    /// The policies that the rules for all traffic use; without such a rule, the policy that has most members.
    pub(super) fn order(&self) -> Order<'_> {
        let first = |family| self.of_kind("rule").find(|rule| is_for_all(rule, family));
        let rules = Family::ALL.map(first);
        let [v4, v6] = rules.map(|rule| self.find("policy", rule?.value("use_policy")));
        let by_rule = v4.or(v6);
        let any = by_rule.or_else(|| self.largest());
        Order {
            rules,
            policies: [v4.or(any), v6.or(any)],
            by_rule: by_rule.is_some(),
        }
    }

    /// The policy with most members, the first of equals.
    fn largest(&self) -> Option<&Section> {
        let mut largest: Option<(usize, &Section)> = None;
        for policy in self.of_kind("policy") {
            let size = policy.words("use_member").count();
            if largest.is_none_or(|(most, _)| most < size) {
                largest = Some((size, policy));
            }
        }
        match largest {
            Some((_, policy)) => {
                self.note(policy, &"no rule for all traffic: this gives the order")
            }
            None => self.notes.add(
                1,
                &"no policy: the order is that of the interfaces in the file",
            ),
        }
        largest.map(|(_, policy)| policy)
    }

    /// Sorts the uplinks, and takes those out of use that traffic at large never used.
    pub(super) fn sorted<'a>(
        &self,
        uplinks: Vec<Uplink<'a>>,
        order: &Order<'_>,
    ) -> Vec<Uplink<'a>> {
        let [Some(_), Some(v6)] = order.policies else {
            return uplinks;
        };
        let members = order
            .policies
            .map(|policy| policy.map(|policy| self.members(policy)));
        let key = |uplink: &Uplink<'_>| {
            let place = uplink.places[0].or(uplink.places[1]);
            (place.is_none(), place)
        };
        let mut sorted: Vec<Uplink<'a>> = Vec::new();
        for mut uplink in uplinks {
            for (family, members) in Family::ALL.into_iter().zip(&members) {
                let name = uplink.of(family).map(|one| &one.section.name);
                let members = members.iter().flatten();
                let its = members.filter(|one| Some(&one.interface.name) == name);
                uplink.places[family as usize] = its.map(|one| one.place).min();
            }
            // There are few, and each use of std's sort costs six kilobytes.
            let at = sorted.partition_point(|other| key(other) <= key(&uplink));
            sorted.insert(at, uplink);
        }
        let listed = sorted.partition_point(|uplink| !key(uplink).0);
        let (listed, others) = sorted.split_at_mut(listed);
        let some = listed.iter().any(|uplink| uplink.enabled);
        for uplink in others.iter_mut().filter(|uplink| uplink.enabled) {
            uplink.enabled = !(order.by_rule && some);
            let what = match uplink.enabled {
                true => "in no policy that counts here: it comes last",
                false => "no rule for all traffic uses it: disabled; enable it to let it stand in",
            };
            self.note(uplink.first(), &what);
        }
        // There is one order; in IPv6 mwan3 may have had another.
        let both = listed.iter().filter(|uplink| uplink.places[0].is_some());
        let metrics = both.filter_map(|uplink| uplink.places[1].map(|(metric, ..)| metric));
        if !metrics.is_sorted() {
            self.note(v6, &format_args!("another order in IPv6: {ONE}"));
        }
        sorted
    }

    /// The interfaces of a policy, as far as there are such.
    fn members(&self, policy: &Section) -> Vec<Member<'_>> {
        let mut members = Vec::new();
        for (position, (_, name)) in policy.words("use_member").enumerate() {
            if let Some(member) = self.find("member", name)
                && let Some(interface) = self.find("interface", member.value("interface"))
            {
                let number = |name| value::number(member.value(name)).unwrap_or(1);
                let place = (number("metric"), Reverse(number("weight")), position);
                members.push(Member { interface, place });
            }
        }
        members.retain(|member| member.place.0 <= METRIC_MAX);
        members
    }

    /// `last_resort` of ours.
    pub(super) fn last_resort(&self, order: &Order<'_>) -> &'static str {
        let [Some(v4), Some(v6)] = order.policies else {
            return "first";
        };
        let ours = |policy: &Section| match policy.value("last_resort") {
            "default" => "first",
            _ => "unreachable",
        };
        if ours(v4) != ours(v6) {
            self.note(v6, &format_args!("another last_resort in IPv6: {ONE}"));
        }
        if let Some(setting) = v4.setting("last_resort")
            && setting.value == "blackhole"
        {
            self.note_setting(setting, &"here traffic is refused at once, not dropped");
        }
        ours(v4)
    }

    /// Tells of what policies do besides.
    pub(super) fn note_policies(&self, order: &Order<'_>) {
        let first = order.policies[0].map_or("", |policy| &policy.name);
        for policy in self.of_kind("policy") {
            if !order.has(policy) {
                self.note(
                    policy,
                    &format_args!(
                        "the order here is that of '{first}': {IGNORED}; `failover use` prefers another by hand"
                    ),
                );
            } else if self.shares(policy) {
                self.note(policy, &SHARED);
            }
        }
    }

    /// Whether two interfaces of a family have the same metric in a policy.
    fn shares(&self, policy: &Section) -> bool {
        let members = self.members(policy);
        let is_v6 = |one: &Member<'_>| one.interface.value("family") == Family::V6.name();
        members.iter().any(|one| {
            let alike = |other: &Member<'_>| {
                (other.place.0, is_v6(other)) == (one.place.0, is_v6(one))
                    && other.interface.name != one.interface.name
            };
            members.iter().any(alike)
        })
    }

    /// Tells of what rules do besides.
    pub(super) fn note_rules(&self, order: &Order<'_>) {
        for rule in self.of_kind("rule") {
            let policy = self.find("policy", rule.value("use_policy"));
            let mut counted = order.rules.iter().flatten();
            if !policy.is_some_and(|policy| order.has(policy)) {
                self.note(rule, &BY_MARK);
            } else if !counted.any(|one| std::ptr::eq(*one, rule)) {
                self.note(rule, &"its traffic goes with all the rest: nothing to do");
            }
            if let Some(setting) = rule.setting("sticky")
                && value::boolean(&setting.value) != Ok(false)
            {
                let what = "one provider carries all traffic at a time: nothing to do";
                self.note_setting(setting, &what);
            }
        }
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
