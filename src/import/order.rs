//! Rules, policies and members → the order of preference, and what happens when none works.

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

/// A place in a policy: metric, lack of weight, position. Less is better.
pub(super) type Place = [u32; 3];
/// The place of what is in no policy that counts.
pub(super) const NOWHERE: Place = [u32::MAX; 3];

/// Members of a higher metric are ignored by mwan3.
const METRIC_MAX: u32 = 256;

const NO_POLICY: &str = "no policy: the order is that of the interfaces in the file";
const ANOTHER_ORDER: &str = "another order in IPv6: here that of IPv4 counts for both";
const ANOTHER_LAST_RESORT: &str = "another last_resort in IPv6: here that of IPv4 counts for both";
const SHARED: &str = "members of one metric share the traffic there; here that of the largest weight leads, and the others stand by";
const LAST: &str = "in no policy that counts here: it comes last";
const UNUSED: &str = "no rule for all traffic uses it: disabled; enable it to let it stand in";
const REFUSED: &str = "here traffic is refused at once, not dropped";
const AT_A_TIME: &str = "one provider carries all traffic at a time: nothing to do";
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
        let rules = [first(Family::V4), first(Family::V6)];
        let used = |rule: Option<&Section>| self.find("policy", rule?.value("use_policy"));
        let (v4, v6) = (used(rules[0]), used(rules[1]));
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
        let mut largest: Option<(usize, &Section)> = None;
        for policy in self.of_kind("policy") {
            let members = policy.words("use_member").len();
            if largest.is_none_or(|(most, _)| members > most) {
                largest = Some((members, policy));
            }
        }
        let largest = largest.map(|(_, policy)| policy);
        match largest {
            Some(policy) => self.note(policy, &"no rule for all traffic: this gives the order"),
            None => self.notes.add(1, &NO_POLICY),
        }
        largest
    }

    /// Sorts the uplinks, and takes those out of use that traffic at large never used.
    pub(super) fn sort(&self, uplinks: &mut [Uplink<'_>], order: &Order<'_>) {
        let Some(policies) = order.policies else {
            return;
        };
        let members = [self.members(policies[0]), self.members(policies[1])];
        for uplink in &mut *uplinks {
            for one in &mut uplink.interfaces {
                for (section, place) in &members[one.family as usize] {
                    if std::ptr::eq(*section, one.section) {
                        one.place = one.place.min(*place);
                    }
                }
            }
        }
        // There are few, and each use of std's sort costs six kilobytes.
        for _ in 0..uplinks.len() {
            for at in 1..uplinks.len() {
                if uplinks[at - 1].place() > uplinks[at].place() {
                    uplinks.swap(at - 1, at);
                }
            }
        }
        let mut some = false;
        for uplink in uplinks.iter_mut().filter(|uplink| uplink.enabled) {
            if uplink.place() != NOWHERE {
                some = true;
                continue;
            }
            uplink.enabled = !(order.by_rule && some);
            let what = if uplink.enabled { LAST } else { UNUSED };
            self.note(uplink.first(), &what);
        }
        // There is one order; in IPv6 mwan3 may have had another.
        let mut before = 0;
        for uplink in uplinks {
            if let [v4, v6] = &uplink.interfaces[..]
                && v4.place != NOWHERE
                && v6.place != NOWHERE
            {
                let [metric, ..] = v6.place;
                if metric < before {
                    self.note(policies[1], &ANOTHER_ORDER);
                    break;
                }
                before = metric;
            }
        }
    }

    /// The interfaces of a policy, as far as there are such.
    fn members(&self, policy: &Section) -> Vec<(&Section, Place)> {
        let mut members = Vec::new();
        for (position, (_, name)) in (0..).zip(policy.words("use_member")) {
            if let Some(member) = self.find("member", name)
                && let Some(interface) = self.find("interface", member.value("interface"))
            {
                let number = |name| value::number(member.value(name)).unwrap_or(1);
                let metric = number("metric");
                if metric <= METRIC_MAX {
                    members.push((interface, [metric, !number("weight"), position]));
                }
            }
        }
        members
    }

    /// `last_resort` of ours.
    pub(super) fn last_resort(&self, order: &Order<'_>) -> &'static str {
        let Some([v4, v6]) = order.policies else {
            return "first";
        };
        let (first, other) = (v4.value("last_resort"), v6.value("last_resort"));
        if (first == "default") != (other == "default") {
            self.note(v6, &ANOTHER_LAST_RESORT);
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
                self.note(
                    policy,
                    &format_args!(
                        "the order here is that of '{first}': left out; `failover use` prefers another by hand"
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
        let is_v6 = |interface: &Section| interface.value("family") == "ipv6";
        let shared = |(one, place): &(&Section, Place)| {
            let mut others = members.iter().filter(|(_, other)| other[0] == place[0]);
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
