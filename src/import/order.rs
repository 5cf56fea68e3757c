//! Rules, policies and members → the order of preference, and what happens when none works.

use std::cmp::Reverse;

use super::Mwan3;
use super::sections::Section;
use super::uplinks::Uplink;
use crate::option::value;
use crate::types::Family;

/// What counts in each family.
pub(super) struct Order<'a> {
    /// the first rule for all traffic
    rules: [Option<&'a Section>; 2],
    /// none only when there are no policies
    policies: Option<[&'a Section; 2]>,
    /// a rule for all traffic names one of them: what is not in it gets none
    by_rule: bool,
}

/// A place in a policy: metric, weight, position. Less is better.
pub(super) type Place = (u32, Reverse<u32>, usize);

/// Members of a higher metric are ignored by mwan3.
const METRIC_MAX: u32 = 256;

const NO_POLICY: &str = "no policy: the order is that of the interfaces in the file";
/// Where the families differ.
const ONE: &str = "here that of IPv4 counts for both";
const SHARED: &str = "members of one metric share the traffic there; here that of the largest weight leads, and the others stand by";
const LAST: &str = "in no policy that counts here: it comes last";
const UNUSED: &str = "no rule for all traffic uses it: disabled; enable it to let it stand in";
const REFUSED: &str = "here traffic is refused at once, not dropped";
const AT_A_TIME: &str = "one provider carries all traffic at a time: nothing to do";
const ORDER: &str = "the order here is that of";
const BY_HAND: &str = "left out; `failover use` prefers another by hand";
const BY_MARK: &str = "not carried over: give the provider that it leads to `option mark '0x10/0xff'`, and have the firewall set that mark";

impl Order<'_> {
    fn has(&self, policy: &Section) -> bool {
        let is = |policies: [&Section; 2]| policies.iter().any(|one| one.name == policy.name);
        self.policies.is_some_and(is)
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
            policies: any.map(|any| [v4.unwrap_or(any), v6.unwrap_or(any)]),
            by_rule: by_rule.is_some(),
        }
    }

    /// The policy with most members, the first of equals.
    fn largest(&self) -> Option<&Section> {
        let members = |policy: &&Section| policy.words("use_member").count();
        // Of equals, `max_by_key` takes the last.
        let largest = self.of_kind("policy").rev().max_by_key(members);
        match largest {
            Some(policy) => self.note(policy, &"no rule for all traffic: this gives the order"),
            None => self.notes.add(1, &NO_POLICY),
        }
        largest
    }

    /// Sorts the uplinks, and takes those out of use that traffic at large never used.
    pub(super) fn sorted<'a>(&self, all: Vec<Uplink<'a>>, order: &Order<'_>) -> Vec<Uplink<'a>> {
        let Some(policies) = order.policies else {
            return all;
        };
        let members = policies.map(|policy| self.members(policy));
        let key = |uplink: &Uplink<'_>| {
            let place = uplink.interfaces.iter().find_map(|one| one.place);
            (place.is_none(), place)
        };
        let mut sorted: Vec<Uplink<'a>> = Vec::new();
        for mut uplink in all {
            for one in &mut uplink.interfaces {
                let members = members[one.family as usize].iter();
                let its = members.filter(|member| std::ptr::eq(member.0, one.section));
                one.place = its.map(|member| member.1).min();
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
            let what = if uplink.enabled { LAST } else { UNUSED };
            self.note(uplink.first(), &what);
        }
        // There is one order; in IPv6 mwan3 may have had another.
        let metric = |uplink: &Uplink<'_>| match &uplink.interfaces[..] {
            [v4, v6] if v4.place.is_some() => v6.place.map(|(metric, ..)| metric),
            _ => None,
        };
        if !listed.iter().filter_map(metric).is_sorted() {
            self.note(policies[1], &format_args!("another order in IPv6: {ONE}"));
        }
        sorted
    }

    /// The interfaces of a policy, as far as there are such.
    fn members(&self, policy: &Section) -> Vec<(&Section, Place)> {
        let member = |(position, (_, name))| {
            let member = self.find("member", name)?;
            let interface = self.find("interface", member.value("interface"))?;
            let number = |name| value::number(member.value(name)).unwrap_or(1);
            let place = (number("metric"), Reverse(number("weight")), position);
            (place.0 <= METRIC_MAX).then_some((interface, place))
        };
        let names = policy.words("use_member").enumerate();
        names.filter_map(member).collect()
    }

    /// `last_resort` of ours.
    pub(super) fn last_resort(&self, order: &Order<'_>) -> &'static str {
        let Some([v4, v6]) = order.policies else {
            return "first";
        };
        let [first, other] = [v4, v6].map(|policy| policy.value("last_resort"));
        if (first == "default") != (other == "default") {
            self.note(v6, &format_args!("another last_resort in IPv6: {ONE}"));
        }
        match first {
            "default" => return "first",
            "blackhole" => self.note_option(v4, "last_resort", &REFUSED),
            _ => {}
        }
        "unreachable"
    }

    /// Notes what policies do besides.
    pub(super) fn note_policies(&self, order: &Order<'_>) {
        let first = order.policies.map_or("", |[policy, _]| &policy.name);
        for policy in self.of_kind("policy") {
            if !order.has(policy) {
                self.note(policy, &format_args!("{ORDER} '{first}': {BY_HAND}"));
            } else if self.shares(policy) {
                self.note(policy, &SHARED);
            }
        }
    }

    /// Whether two interfaces of a family have the same metric in a policy.
    fn shares(&self, policy: &Section) -> bool {
        let members = self.members(policy);
        let is_v6 = |interface: &Section| interface.value("family") == "ipv6";
        let shared = |(one, place): &(&Section, Place)| {
            let mut others = members.iter().filter(|(_, other)| other.0 == place.0);
            others.any(|(other, _)| is_v6(one) == is_v6(other) && one.name != other.name)
        };
        members.iter().any(shared)
    }

    /// Notes what rules do besides.
    pub(super) fn note_rules(&self, order: &Order<'_>) {
        for rule in self.of_kind("rule") {
            let policy = self.find("policy", rule.value("use_policy"));
            let mut counted = order.rules.iter().flatten();
            if !policy.is_some_and(|policy| order.has(policy)) {
                self.note(rule, &BY_MARK);
            } else if !counted.any(|one| std::ptr::eq(*one, rule)) {
                self.note(rule, &"its traffic goes with all the rest: nothing to do");
            }
            if value::boolean(rule.value("sticky")) != Ok(false) {
                self.note_option(rule, "sticky", &AT_A_TIME);
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
