//! What the kernel says of the way of packets when it is asked (`ip route get`): what to ask for, what an answer means,
//! when it is to be told, and by which rule it came about.
//!
//! It speaks of the router's own packets without a mark. What a rule does to forwarded packets (`iif`), or to marked
//! ones, is invisible to it.

use core::net::IpAddr;

use super::objects::{Rule, RuleVerdict, Selector};
use crate::check::http::RESOLVERS;
use crate::config::{Config, Provider};
use crate::types::{Duration, Family, Fault, Instant, PerFamily, TABLE_MAIN};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// where to
    pub target: IpAddr,
    /// Packets from this address of ours, if any: the look-up by which the kernel judges the way back (`rp_filter`).
    pub source: Option<IpAddr>,
}

/// What the kernel answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// packets leave
    By(Way),
    /// they do not
    Refused(Fault),
}

/// The way by which packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// the table of the route
    pub table: u32,
    /// the prefix length of the route's destination
    pub length: u8,
    /// the device's number
    pub device: u32,
    /// the route has several ways, of which this is one
    pub is_one_of_several: bool,
    /// packets come to this machine itself (`RTN_LOCAL`, `RTN_ANYCAST`)
    pub is_own: bool,
}

/// So long after a first answer, a second one like it is believed.
pub const APART: Duration = Duration::from_secs(1);
/// From this length on, a route is for certain networks, not for the Internet at large. Routes that are shorter are how a
/// VPN takes everything without touching the default route: `0.0.0.0/1`, `2000::/3`.
const NETWORK: PerFamily<u8> = PerFamily { v4: 8, v6: 16 };

/// Whether a route of this length, but a default route, takes much of the Internet.
pub fn is_wide(family: Family, length: u8) -> bool {
    (1..NETWORK[family]).contains(&length)
}

/// Addresses that may stand for the Internet, in the order in which they are to be tried: what the checks ask, then a
/// resolver, for those that ask no address (`exec`, `arp`, `ndp`). The first that is not [`Answer::is_covered`] does.
pub fn candidates(config: &Config, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
    let used = config.enabled().fold(0, |used, p| used | p.checks);
    let numbered = (0..).zip(&config.checks);
    let of_checks = numbered
        .filter(move |(number, check)| used & (1_u32 << number) != 0 && check.family == family)
        .filter_map(|(_, check)| check.kind.host());
    of_checks.chain(Some(RESOLVERS[family as usize]))
}

/// Addresses that a path's checks ask, then a resolver: what its own address is chosen for.
pub fn targets<'a>(
    config: &'a Config,
    provider: &'a Provider,
    family: Family,
) -> impl Iterator<Item = IpAddr> + 'a {
    let of_checks = config.path_checks(provider, family);
    let of_checks = of_checks.filter_map(|check| check.kind.host());
    of_checks.chain(Some(RESOLVERS[family as usize]))
}

impl Answer {
    /// Whether the target stands for a network of its own: `main` has a route to it that no default route would change. Or
    /// for this machine.
    pub fn is_covered(&self, family: Family) -> bool {
        let is_near = |way: &Way| way.table == TABLE_MAIN && way.length >= NETWORK[family];
        self.is_own() || matches!(self, Answer::By(way) if is_near(way))
    }

    /// Whether the target is this machine.
    pub fn is_own(&self) -> bool {
        matches!(self, Answer::By(way) if way.is_own)
    }

    /// Whether packets leave by this device.
    pub fn leaves_by(&self, device: u32) -> bool {
        matches!(self, Answer::By(way) if way.device == device)
    }

    /// Whether a strict reverse-path filter (`rp_filter` 1) lets packets in by this device when the look-up of their way
    /// back is answered so: of several ways, any counts (fib_frontend.c, `fib_info_nh_uses_dev`).
    pub fn lets_in_by(&self, device: u32) -> bool {
        self.leaves_by(device) || matches!(self, Answer::By(way) if way.is_one_of_several)
    }
}

/// What is wrong with an answer where packets are to leave by this device, or by none (0). `prevailing`: the table of a default
/// route of another program that is known to prevail over ours; that traffic follows it is told elsewhere.
pub fn diverted(answer: Answer, device: u32, prevailing: Option<u32>) -> Option<Answer> {
    let is_told = match answer {
        Answer::By(way) => way.device == device || way.length == 0 && Some(way.table) == prevailing,
        Answer::Refused(_) => device == 0,
    };
    (!is_told).then_some(answer)
}

/// Something that should not be so, until it is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspicion {
    since: Option<Instant>,
    told: Option<Answer>,
}

impl Suspicion {
    /// Takes in what is wrong now, if anything; whether there is another thing to tell than before.
    pub fn hear(&mut self, wrong: Option<Answer>, now: Instant) -> bool {
        let before = self.told;
        match (wrong, self.since) {
            (None, _) => *self = Suspicion::default(),
            (Some(_), None) => self.since = Some(now),
            (Some(_), Some(since)) if now - since < APART => {}
            (Some(answer), Some(_)) => self.told = Some(answer),
        }
        self.told != before
    }

    /// What is to be told.
    pub fn told(&self) -> Option<Answer> {
        self.told
    }

    /// When a second answer is wanted.
    pub fn next_deadline(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.told.is_none());
        since.map(|since| since + APART)
    }
}

/// Finds the preference of the rule by which an answer came about, among all rules, in whatever order they come.
///
/// What a rule selects is known in part only. So it is told where the answer leaves no choice: when the first rule that
/// certainly leads there comes before all that perhaps do, or when there is but one that does at all.
#[derive(Clone, Copy, Debug)]
pub struct RuleSearch {
    question: Question,
    answer: Answer,
    certain: Option<u32>,
    perhaps: Option<u32>,
    several: bool,
}

impl RuleSearch {
    /// The search for the rule of this answer to this question.
    pub fn new(question: Question, answer: Answer) -> RuleSearch {
        RuleSearch {
            question,
            answer,
            certain: None,
            perhaps: None,
            several: false,
        }
    }

    /// Looks at a rule.
    pub fn see(&mut self, rule: &Rule) {
        if rule.family != Family::of(self.question.target) || !self.leads_there(rule.verdict) {
            return;
        }
        let first = |known: Option<u32>| Some(known.map_or(rule.pref, |pref| pref.min(rule.pref)));
        match self.selects(&rule.selector) {
            Some(true) => self.certain = first(self.certain),
            None => {
                self.several |= self.perhaps.is_some();
                self.perhaps = first(self.perhaps);
            }
            Some(false) => {}
        }
    }

    /// What was found.
    pub fn found(&self) -> Option<u32> {
        match (self.certain, self.perhaps) {
            (Some(certain), Some(perhaps)) => (certain <= perhaps).then_some(certain),
            (Some(certain), None) => Some(certain),
            // Nothing refuses so surely as a table without a route: that a rule does is no more than possible.
            (None, perhaps) => perhaps.filter(|_| !self.several && !self.is_refused()),
        }
    }

    fn is_refused(&self) -> bool {
        matches!(self.answer, Answer::Refused(_))
    }

    fn leads_there(&self, verdict: RuleVerdict) -> bool {
        match (self.answer, verdict) {
            (Answer::By(way), RuleVerdict::Lookup(table)) => way.table == table,
            (Answer::By(way), RuleVerdict::LookupSpecific(table)) => {
                way.table == table && way.length != 0
            }
            (Answer::Refused(fault), RuleVerdict::Unreachable) => {
                fault == Fault::NetworkUnreachable
            }
            _ => false,
        }
    }

    /// Whether a rule is for the packets in question, as far as that can be told. They have no mark and no device.
    fn selects(&self, selector: &Selector) -> Option<bool> {
        match selector {
            Selector::All => Some(true),
            Selector::Mark(mark) => Some(mark.value & mark.mask == 0),
            Selector::Oif(_) => Some(false),
            Selector::From(prefix) | Selector::OwnFrom(prefix) => match self.question.source {
                Some(source) => Some(prefix.contains_addr(&source.into())),
                // In IPv6 the rule may choose the source, too (`FIB_RULE_FIND_SADDR`).
                None if self.question.target.is_ipv6() => None,
                None => Some(prefix.prefix_len() == 0),
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
