//! A plan → the text of `table inet failover`, for `nft -f -`.
//!
//! | chain | hook | job |
//! |---|---|---|
//! | `prerouting` | filter, mangle + 5 | a packet of a connection that has our mark: to `out_N` or `in_N`; all others: to `fresh` |
//! | `out_N` | | what goes the way that the connection began gets the mark OUT, unless it has a mark of others |
//! | `in_N` | | what answers an inbound connection gets the mark IN, beside marks of others |
//! | `fresh` | | new: `came_N` if it arrived by an uplink; a segment in mid-stream is reset if it would leave by a device in `moved` |
//! | `came_N` | | the connection is inbound, by this provider |
//! | `output` | route, mangle + 5 | what the router itself answers: to `in_N` |
//! | `srcnat` | nat, srcnat - 5 | the first packet of a connection: `went_N`, `nat_N` |
//! | `went_N` | | the connection is outbound, by this provider |
//! | `nat_N` | | what is masqueraded when it leaves by this provider |
//!
//! N is the slot, counted from 1. Chains of the type `nat` see only the first packet of a connection. So a packet that is
//! forwarded passes one chain, with five or ten expressions. `docs/kernel-objects.md` shows the table.

use core::fmt::{self, Write};

use super::plan::{Member, Plan};
use crate::routing::delegated::Delegated;
use crate::types::{Family, Slot};

/// Writes the script that replaces the table in one transaction.
pub fn write(plan: &Plan, delegated: &Delegated, out: &mut dyn Write) -> fmt::Result {
    out.write_str(
        "table inet failover {}\ndelete table inet failover\ntable inet failover {\ncomment \"failover ",
    )?;
    hex(out, digest(plan, delegated))?;
    out.write_str("\"\n")?;
    Text::new(plan, delegated, out).table()
}

/// A digest of the text, which stands in the table's comment as `failover 0123abcd`.
pub fn digest(plan: &Plan, delegated: &Delegated) -> u32 {
    let mut sum = Fnv(0x811c_9dc5);
    // It takes any text.
    let _ = Text::new(plan, delegated, &mut sum).table();
    sum.0
}

/// FNV-1a.
struct Fnv(u32);

impl Write for Fnv {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for byte in s.bytes() {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
        Ok(())
    }
}

/// Eight hexadecimal digits.
fn hex(out: &mut dyn Write, value: u32) -> fmt::Result {
    for shift in (0..8).rev() {
        let digit = (value >> (4 * shift)) & 0xf;
        out.write_char(char::from_digit(digit, 16).unwrap_or('0'))?;
    }
    Ok(())
}

/// A map from a device to a chain of its provider.
#[derive(Clone, Copy, PartialEq)]
enum Devices {
    Arrives,
    Leaves,
    Translates,
}

struct Text<'a> {
    plan: &'a Plan,
    delegated: &'a Delegated,
    out: &'a mut dyn Write,
    /// some inbound connections are answered
    answers: bool,
    /// some connections are recorded
    records: bool,
    /// some packets that arrive by an uplink get marks
    strict: bool,
    /// something is masqueraded
    translates: bool,
}

impl<'a> Text<'a> {
    fn new(plan: &'a Plan, delegated: &'a Delegated, out: &'a mut dyn Write) -> Text<'a> {
        let mut text = Text {
            plan,
            delegated,
            out,
            answers: false,
            records: false,
            strict: false,
            translates: false,
        };
        for member in &plan.members {
            text.answers |= text.answers(member);
            text.records |= member.records;
            text.strict |= member.strict;
            text.translates |= text.translates(member);
        }
        text
    }

    fn table(&mut self) -> fmt::Result {
        if self.answers || self.records {
            self.prerouting()?;
        }
        if self.answers {
            self.answering()?;
        }
        if self.answers || self.records || self.translates {
            self.leaving()?;
        }
        for member in &self.plan.members {
            self.member(member)?;
        }
        self.say("}\n")
    }

    fn prerouting(&mut self) -> fmt::Result {
        self.say(
            "map saved { typeof ct mark : verdict; flags constant; elements = { 0 : goto fresh",
        )?;
        let marks = self.plan.marks;
        for member in &self.plan.members {
            let slot = member.slot;
            if self.answers(member) {
                self.marked(marks.inbound(slot), "in_", slot)?;
            }
            if member.records && member.restores {
                self.marked(marks.outbound(slot), "out_", slot)?;
            }
        }
        self.say(" } }\nchain prerouting { type filter hook prerouting priority mangle + 5; ")?;
        self.ours("ct mark")?;
        self.say(" vmap @saved; }\n")?;
        self.fresh()
    }

    fn fresh(&mut self) -> fmt::Result {
        if self.records {
            self.say("set moved { typeof fib daddr . mark oifname; flags timeout; }\n")?;
        }
        if self.answers {
            self.devices(Devices::Arrives)?;
        }
        self.say("chain fresh {\n")?;
        if self.strict {
            // Inherited from a packet in which it came.
            self.ours("meta mark")?;
            self.say(" != 0 ")?;
            self.set("meta mark", 0)?;
        }
        self.say("ct state != new accept\n")?;
        if self.answers {
            if self.plan.ipsec {
                self.say("meta ipsec exists accept\n")?;
            }
            self.say("meta nfproto . iifname vmap @arrives\n")?;
        }
        if self.records {
            self.say(
                "tcp flags & (fin | syn | rst | ack) != syn fib daddr . mark oifname @moved reject with tcp reset\n",
            )?;
        }
        self.say("}\n")
    }

    fn answering(&mut self) -> fmt::Result {
        self.say("map answers { typeof ct mark : verdict; flags constant; elements = {")?;
        let marks = self.plan.marks;
        let mut answering = self.plan.members.iter().filter(|member| member.answers);
        if let Some(first) = answering.next() {
            self.verdict(marks.inbound(first.slot), "in_", first.slot)?;
        }
        for member in answering {
            self.marked(marks.inbound(member.slot), "in_", member.slot)?;
        }
        self.say(" } }\nchain output { type route hook output priority mangle + 5; meta mark 0 ")?;
        self.ours("ct mark")?;
        self.say(" vmap @answers; }\n")
    }

    fn leaving(&mut self) -> fmt::Result {
        if self.records {
            self.devices(Devices::Leaves)?;
        }
        if self.translates {
            self.devices(Devices::Translates)?;
        }
        if self.plan.foreign {
            self.prefixes(None)?;
        }
        self.say("chain srcnat { type nat hook postrouting priority srcnat - 5;\n")?;
        if self.plan.ipsec {
            self.say("rt ipsec exists accept\n")?;
        }
        if self.answers {
            // Programs that save the whole mark have overwritten ours. What came by IPsec cannot be told here.
            self.ours("ct mark")?;
            self.say(" == 0 ct status dnat meta nfproto . iifname vmap @arrives\n")?;
        }
        if self.records {
            self.recorded(self.plan.marks.others(), 0)?;
            for mark in self.plan.members.iter().filter_map(|member| member.own) {
                self.recorded(mark.mask, mark.value)?;
            }
        }
        if self.translates {
            self.say("meta nfproto . oifname vmap @translates\n")?;
        }
        self.say("}\n")
    }

    /// Records the connections of packets with this mark.
    fn recorded(&mut self, mask: u32, value: u32) -> fmt::Result {
        self.ours("ct mark")?;
        self.say(" == 0 ")?;
        self.masked("meta mark", mask)?;
        self.say(" == ")?;
        self.number(value)?;
        self.say(" meta nfproto . oifname vmap @leaves\n")
    }

    fn member(&mut self, member: &Member) -> fmt::Result {
        let (slot, strict) = (member.slot, member.strict);
        let inbound = self.plan.marks.inbound(slot);
        let outbound = self.plan.marks.outbound(slot);
        if self.answers(member) {
            self.chain("came_", slot)?;
            self.set("ct mark", inbound)?;
            if strict {
                self.set("meta mark", inbound)?;
            }
            self.say("}\n")?;
            self.chain("in_", slot)?;
            self.say(if strict { "" } else { "ct direction reply " })?;
            self.set("meta mark", inbound)?;
            self.say("}\n")?;
        }
        if member.records {
            if member.restores {
                self.chain("out_", slot)?;
                self.say(if strict { "" } else { "ct direction original " })?;
                self.masked("meta mark", self.plan.marks.others())?;
                self.say(" == 0 meta mark set ")?;
                self.number(outbound)?;
                self.say("\n}\n")?;
            }
            self.chain("went_", slot)?;
            self.set("ct mark", outbound)?;
            if self.translates(member) {
                self.say("goto nat_")?;
                self.slot(slot)?;
                self.say("\n")?;
            }
            self.say("}\n")?;
        }
        match self.translates(member) {
            true => self.translation(member),
            false => Ok(()),
        }
    }

    fn translation(&mut self, member: &Member) -> fmt::Result {
        self.chain("nat_", member.slot)?;
        if member.masquerade {
            self.say("meta nfproto ipv4 fib saddr type != local masquerade\n")?;
        }
        if self.foreign(member) {
            self.prefixes(Some(member.slot))?;
            self.say("goto delegated\n")?;
        }
        self.say("}\n")
    }

    /// A provider's own prefixes, which are not translated; or a chain of all of them, which are.
    fn prefixes(&mut self, own: Option<Slot>) -> fmt::Result {
        if own.is_none() {
            self.say("chain delegated {\n")?;
        }
        for (slot, prefix) in &self.delegated.list {
            if own.is_none_or(|own| own == *slot) && prefix.prefix_len() > 0 {
                write!(self.out, "ip6 saddr {prefix}")?;
                self.say(match own {
                    Some(_) => " accept\n",
                    None => " masquerade\n",
                })?;
            }
        }
        match own {
            Some(_) => Ok(()),
            None => self.say("}\n"),
        }
    }

    fn devices(&mut self, map: Devices) -> fmt::Result {
        self.say(match map {
            Devices::Arrives => "map arrives { typeof meta nfproto . iifname",
            Devices::Leaves => "map leaves { typeof meta nfproto . oifname",
            Devices::Translates => "map translates { typeof meta nfproto . oifname",
        })?;
        self.say(" : verdict; flags constant; ")?;
        let mut some = false;
        for family in Family::ALL {
            for (at, member) in self.plan.members.iter().enumerate() {
                let device = member.device[family].as_str();
                let mut before = self.plan.members.iter().take(at);
                if !self.stands_in(map, member)
                    || !nameable(device)
                    || before.any(|other| other.device[family] == device)
                {
                    continue;
                }
                self.say(if some { ", " } else { "elements = { " })?;
                some = true;
                self.say(family.name())?;
                self.say(" . \"")?;
                self.say(device)?;
                self.say(match map {
                    Devices::Arrives => "\" : jump came_",
                    Devices::Leaves => "\" : goto went_",
                    Devices::Translates => "\" : goto nat_",
                })?;
                self.slot(member.slot)?;
            }
        }
        self.say(if some { " } }\n" } else { "}\n" })
    }

    fn stands_in(&self, map: Devices, member: &Member) -> bool {
        match map {
            Devices::Arrives => self.answers(member),
            Devices::Leaves => member.records,
            Devices::Translates => self.translates(member),
        }
    }

    fn answers(&self, member: &Member) -> bool {
        self.plan.answers && member.answers
    }

    fn translates(&self, member: &Member) -> bool {
        member.masquerade || self.foreign(member)
    }

    /// Whether another provider has a prefix.
    fn foreign(&self, member: &Member) -> bool {
        let mut list = self.delegated.list.iter();
        self.plan.foreign && list.any(|(slot, _)| *slot != member.slot)
    }

    /// The next element of a map from marks to chains.
    fn marked(&mut self, mark: u32, chain: &str, slot: Slot) -> fmt::Result {
        self.say(",")?;
        self.verdict(mark, chain, slot)
    }

    fn verdict(&mut self, mark: u32, chain: &str, slot: Slot) -> fmt::Result {
        self.say(" ")?;
        self.number(mark)?;
        self.say(" : goto ")?;
        self.say(chain)?;
        self.slot(slot)
    }

    fn chain(&mut self, name: &str, slot: Slot) -> fmt::Result {
        self.say("chain ")?;
        self.say(name)?;
        self.slot(slot)?;
        self.say(" {\n")
    }

    /// Our bits of a mark become these.
    fn set(&mut self, mark: &str, bits: u32) -> fmt::Result {
        self.say(mark)?;
        self.say(" set ")?;
        self.masked(mark, self.plan.marks.others())?;
        self.say(" | ")?;
        self.number(bits)?;
        self.say("\n")
    }

    fn ours(&mut self, mark: &str) -> fmt::Result {
        self.masked(mark, self.plan.marks.bits())
    }

    fn masked(&mut self, mark: &str, mask: u32) -> fmt::Result {
        self.say(mark)?;
        self.say(" & ")?;
        self.number(mask)
    }

    fn number(&mut self, value: u32) -> fmt::Result {
        self.say("0x")?;
        hex(self.out, value)
    }

    /// A slot, counted from 1.
    fn slot(&mut self, slot: Slot) -> fmt::Result {
        write!(self.out, "{}", u32::from(slot.0) + 1)
    }

    fn say(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(text)
    }
}

/// Whether `nft` takes a device's name literally in quotation marks. One that it does not is left out: such devices are
/// not worth a failure of the whole table.
fn nameable(device: &str) -> bool {
    !device.is_empty() && !device.contains(['"', '*', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{MarkMask, PerFamily};

    fn member(slot: u8, device: &str) -> Member {
        let device = device.try_into().unwrap();
        Member {
            slot: Slot(slot),
            device: PerFamily {
                v4: device,
                v6: heapless::String::new(),
            },
            own: None,
            answers: true,
            records: true,
            restores: true,
            strict: false,
            masquerade: false,
        }
    }

    fn plan(members: &[Member]) -> Plan {
        Plan {
            marks: MarkMask::USUAL,
            answers: true,
            foreign: true,
            ipsec: true,
            members: members.iter().cloned().collect(),
        }
    }

    fn text(plan: &Plan, delegated: &Delegated) -> String {
        let mut text = String::new();
        write(plan, delegated, &mut text).unwrap();
        text
    }

    fn delegated(list: &[(u8, &str)]) -> Delegated {
        let mut delegated = Delegated::new();
        for (slot, prefix) in list {
            let prefix = prefix.parse().unwrap();
            delegated.list.push((Slot(*slot), prefix)).unwrap();
        }
        delegated
    }

    #[test]
    fn it_replaces_the_table() {
        let text = text(&plan(&[member(0, "wan1")]), &Delegated::new());
        let digest = digest(&plan(&[member(0, "wan1")]), &Delegated::new());
        let begin = format!(
            "table inet failover {{}}\ndelete table inet failover\ntable inet failover {{\ncomment \"failover {digest:08x}\"\n"
        );
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.ends_with("\n}\n"));
    }
}
