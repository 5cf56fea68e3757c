//! A plan → the text of `table inet failover`, for `nft -f -`.
//!
//! | chain | hook | job |
//! |---|---|---|
//! | `prerouting` | filter, mangle + 5 | what goes the way that its connection began: to `out_N` or `fresh`; connections that are inbound: to `in_N` |
//! | `out_N` | | the packet gets the mark OUT, unless it has a mark of others |
//! | `in_N` | | what answers an inbound connection gets the mark IN, beside marks of others |
//! | `fresh` | | new: `came_N` if it arrived by an uplink; a segment in mid-stream is reset if it would leave by a device in `moved` |
//! | `inbound` | | to `in_N`; answers to what came in mid-stream by a device in `left` are reset, as in `fresh` |
//! | `came_N` | | the connection is inbound, by this provider |
//! | `output` | route, mangle + 5 | what the router itself answers: to `in_N` |
//! | `srcnat` | nat, srcnat - 5 | the first packet of a connection: `went_N`, `nat_N` |
//! | `went_N` | | the connection is outbound, by this provider |
//! | `nat_N` | | what is masqueraded when it leaves by this provider |
//!
//! N is the slot, counted from 1. Chains of the type `nat` see only the first packet of a connection. So a packet that is
//! forwarded passes one chain: five expressions on its way in, twelve on its way out. `docs/kernel-objects.md` shows the
//! table. Sets and maps are of `typeof`: nft 1.0.6 crashes when it lists those of `type` that a newer one has made.

use core::fmt::{self, Write};

use super::plan::{Member, Plan};
use crate::routing::delegated::Delegated;
use crate::types::{DeviceName, Family, Mark, Slot};

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

/// Adds these devices to the sets `moved`, and `left` and `leaving`, in the same transaction: those that the replaced table
/// had there. Empty: none.
pub fn add_devices(
    plan: &Plan,
    delegated: &Delegated,
    moved: [&str; 2],
    left: &[DeviceName],
    out: &mut dyn Write,
) -> fmt::Result {
    let mut text = Text::new(plan, delegated, out);
    if text.records {
        for device in moved {
            text.add("moved { \"", device, "\" timeout 60s }\n");
        }
    }
    if text.follows_up() {
        for device in left {
            text.add("left { \"", device, "\" timeout 60s }\n");
            text.add("leaving { \"", device, "\" timeout 2s }\n");
        }
    }
    text.result
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
    /// a set, without chains
    Uplinks,
    Arrives,
    Leaves,
    Translates,
}

struct Text<'a> {
    plan: &'a Plan,
    delegated: &'a Delegated,
    out: &'a mut dyn Write,
    /// the provider that is written of
    slot: Slot,
    /// the mark that is written of
    mark: Mark,
    /// some inbound connections are answered
    answers: bool,
    /// some connections are recorded
    records: bool,
    /// some of these stay with their provider by their mark
    restores: bool,
    /// some uplinks are told apart from other devices
    tells: bool,
    /// some packets that arrive by an uplink get marks
    strict: bool,
    /// something is masqueraded
    translates: bool,
    /// that is, what has addresses of another provider
    foreign: bool,
    /// whether all of it was taken so far
    result: fmt::Result,
}

impl<'a> Text<'a> {
    fn new(plan: &'a Plan, delegated: &'a Delegated, out: &'a mut dyn Write) -> Text<'a> {
        let mut text = Text {
            plan,
            delegated,
            out,
            slot: Slot(0),
            mark: Mark { value: 0, mask: 0 },
            answers: false,
            records: false,
            restores: false,
            tells: false,
            strict: false,
            translates: false,
            foreign: false,
            result: Ok(()),
        };
        for member in &plan.members {
            let (answers, restores) = (text.answers(member), restores(member));
            text.answers |= answers;
            text.records |= member.records;
            text.restores |= restores;
            text.tells |= !member.strict && (answers || restores);
            text.strict |= member.strict;
            text.translates |= text.translates(member);
            text.foreign |= text.foreign(member);
        }
        text
    }

    fn table(mut self) -> fmt::Result {
        if self.answers || self.records {
            self.prerouting();
            self.fresh();
        }
        if self.answers {
            self.output();
        }
        if self.answers || self.records || self.translates {
            self.srcnat();
        }
        for member in &self.plan.members {
            self.slot = member.slot;
            self.member(member);
        }
        self.say("}\n");
        self.result
    }

    fn prerouting(&mut self) {
        self.say(
            "map saved { typeof ct mark : verdict; flags constant; elements = { 0 : goto fresh, ",
        );
        for member in &self.plan.members {
            self.slot = member.slot;
            self.when(restores(member), "$o : goto out_$N, ");
        }
        self.say("} }\nchain prerouting { type filter hook prerouting priority mangle + 5;\n");
        // Strict uplinks need marks in both directions.
        self.when(!self.strict, "ct direction original ");
        self.say("ct mark & $m vmap @saved\n");
        self.when(self.answers, "ct mark & $b != 0 goto inbound\n");
        self.when(
            self.restores && !self.strict,
            "$e ct mark & $m vmap @saved\n",
        );
        self.say("}\n");
        if self.tells {
            self.devices(Devices::Uplinks);
        }
        if self.answers {
            self.say("chain inbound {\nct mark & $m vmap @answers\n");
            self.when(
                self.records,
                "ct mark & $m == $b ct direction reply fib daddr . mark oifname @moved reject with tcp reset\n",
            );
            self.say("}\n");
        }
    }

    fn fresh(&mut self) {
        self.when(
            self.records,
            "set moved { typeof fib daddr . mark oifname; flags timeout; }\n",
        );
        self.when(
            self.follows_up(),
            "set left { typeof iifname; flags timeout; }\nset leaving { typeof iifname; flags timeout; }\n",
        );
        if self.answers {
            self.devices(Devices::Arrives);
        }
        self.say("chain fresh {\n");
        // Inherited from a packet in which it came.
        self.when(
            self.strict,
            "meta mark & $m != 0 meta mark set meta mark & $n\n",
        );
        self.say("ct state != new accept\n");
        // What a server still sends by the former provider is no inbound connection.
        self.when(
            self.follows_up(),
            "tcp flags & (fin | syn | rst | ack) != syn iifname @left ct mark set ct mark & $n | $b accept\n\
             meta nfproto ipv6 meta l4proto udp iifname @leaving drop\n",
        );
        if self.answers {
            self.when(self.plan.ipsec, "meta ipsec exists accept\n");
            self.say("meta nfproto . iifname vmap @arrives\n");
        }
        self.when(
            self.records,
            "tcp flags & (fin | syn | rst | ack) != syn fib daddr . mark oifname @moved reject with tcp reset\n",
        );
        self.say("}\n");
    }

    fn output(&mut self) {
        self.say("map answers { typeof ct mark : verdict; flags constant; elements = { ");
        for member in self.plan.members.iter().filter(|member| member.answers) {
            self.slot = member.slot;
            self.say("$i : goto in_$N, ");
        }
        self.say(
            "} }\nchain output { type route hook output priority mangle + 5; meta mark 0 ct mark & $m vmap @answers; }\n",
        );
    }

    fn srcnat(&mut self) {
        if self.records {
            self.devices(Devices::Leaves);
        }
        if self.translates {
            self.devices(Devices::Translates);
        }
        if self.foreign {
            self.say("chain delegated {\n");
            self.prefixes(None);
            self.say("}\n");
        }
        self.say("chain srcnat { type nat hook postrouting priority srcnat - 5;\n");
        self.when(self.plan.ipsec, "rt ipsec exists accept\n");
        // Programs that save the whole mark have overwritten ours. What came by IPsec cannot be told here.
        self.when(
            self.answers,
            "ct mark & $m == 0 ct status dnat meta nfproto . iifname vmap @arrives\n",
        );
        if self.records {
            let none = Mark {
                value: 0,
                mask: self.plan.marks.others(),
            };
            let own = self.plan.members.iter().filter_map(|member| member.own);
            for mark in core::iter::once(none).chain(own) {
                self.mark = mark;
                self.say(
                    "ct mark & $m == 0 meta mark & $k == $v meta nfproto . oifname vmap @leaves\n",
                );
            }
        }
        self.when(self.translates, "meta nfproto . oifname vmap @translates\n");
        self.say("}\n");
    }

    fn member(&mut self, member: &Member) {
        let translates = self.translates(member);
        if self.answers(member) {
            self.say("chain came_$N {\nct mark set ct mark & $n | $i\n");
            self.when(member.strict, "meta mark set meta mark & $n | $i\n");
            self.say("}\nchain in_$N {\n");
            if !member.strict {
                self.say("$e meta mark set meta mark & $n | $i\nct direction reply ");
            }
            self.say("meta mark set meta mark & $n | $i\n}\n");
        }
        if restores(member) {
            self.say("chain out_$N {\n");
            let others = self.strict && !member.strict;
            let rule = "meta mark & $n == 0 meta mark set $o\n";
            if others {
                self.say("$e ");
                self.say(rule);
                self.say("ct direction original ");
            }
            self.say(rule);
            self.say("}\n");
        }
        if member.records {
            self.say("chain went_$N {\nct mark set ct mark & $n | $o\n");
            self.when(translates, "goto nat_$N\n");
            self.say("}\n");
        }
        if translates {
            self.say("chain nat_$N {\n");
            self.when(
                member.masquerade,
                "meta nfproto ipv4 fib saddr type != local masquerade\n",
            );
            if self.foreign(member) {
                self.prefixes(Some(member.slot));
                self.say("goto delegated\n");
            }
            self.say("}\n");
        }
    }

    /// A provider's own prefixes, which are not translated; or all of them, which are.
    fn prefixes(&mut self, own: Option<Slot>) {
        for (slot, prefix) in &self.delegated.list {
            if own.is_none_or(|own| own == *slot) && prefix.prefix_len() > 0 {
                self.say("ip6 saddr ");
                if self.result.is_ok() {
                    self.result = write!(self.out, "{prefix}");
                }
                self.say(match own {
                    Some(_) => " accept\n",
                    None => " masquerade\n",
                });
            }
        }
    }

    fn devices(&mut self, map: Devices) {
        self.say(match map {
            Devices::Uplinks => "set uplinks { typeof meta nfproto . iifname",
            Devices::Arrives => "map arrives { typeof meta nfproto . iifname : verdict",
            Devices::Leaves => "map leaves { typeof meta nfproto . oifname : verdict",
            Devices::Translates => "map translates { typeof meta nfproto . oifname : verdict",
        });
        self.say("; flags constant; ");
        let mut some = false;
        for &family in &Family::ALL {
            for (at, member) in self.plan.members.iter().enumerate() {
                let device = &member.device[family];
                let mut before = self.plan.members.iter().take(at);
                if !self.stands_in(map, member)
                    || !nameable(device)
                    || before.any(|other| other.device[family] == *device)
                {
                    continue;
                }
                self.slot = member.slot;
                self.when(!some, "elements = { ");
                some = true;
                self.say(family.name());
                self.say(" . \"");
                self.raw(device);
                self.say(match map {
                    Devices::Uplinks => "\", ",
                    Devices::Arrives => "\" : jump came_$N, ",
                    Devices::Leaves => "\" : goto went_$N, ",
                    Devices::Translates => "\" : goto nat_$N, ",
                });
            }
        }
        self.when(some, "} ");
        self.say("}\n");
    }

    fn stands_in(&self, map: Devices, member: &Member) -> bool {
        match map {
            Devices::Uplinks => true,
            Devices::Arrives => self.answers(member),
            Devices::Leaves => member.records,
            Devices::Translates => self.translates(member),
        }
    }

    /// Whether what a server still sends to connections that were handed over could be taken for inbound.
    fn follows_up(&self) -> bool {
        self.answers && self.records
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

    #[inline(never)] // small, but called in many places
    fn when(&mut self, so: bool, text: &str) {
        if so {
            self.say(text);
        }
    }

    /// Writes a text in which stand: `$N` for the slot, counted from 1; `$i` and `$o` for its marks IN and OUT; `$m` for
    /// our bits, `$n` for those of others, `$b` for the one that says inbound; `$e` for what a helper expected: its connection
    /// belongs to the provider of the one that told of it, in whichever direction it began; `$v` and `$k` for the value and the mask of the
    /// mark that is written of.
    fn say(&mut self, text: &str) {
        let mut parts = text.split('$');
        self.raw(parts.next().unwrap_or_default());
        for part in parts {
            let marks = self.plan.marks;
            let what = part.bytes().next().unwrap_or_default();
            let value = match what {
                b'i' => marks.inbound(self.slot),
                b'o' => marks.outbound(self.slot),
                b'm' => marks.bits(),
                b'n' => marks.others(),
                b'b' => marks.inbound(self.slot) & !marks.outbound(self.slot),
                b'v' => self.mark.value,
                b'k' => self.mark.mask,
                _ => u32::from(self.slot.0) + 1,
            };
            match what {
                b'e' => self.raw("ct status expected meta nfproto . iifname != @uplinks"),
                _ => self.number(value, what == b'N'),
            }
            self.raw(part.get(1..).unwrap_or_default());
        }
    }

    fn add(&mut self, set: &str, device: &str, timeout: &str) {
        if nameable(device) {
            for part in &["add element inet failover ", set, device, timeout] {
                self.raw(part);
            }
        }
    }

    fn number(&mut self, value: u32, decimal: bool) {
        if self.result.is_ok() {
            self.result = match decimal {
                true => write!(self.out, "{value}"),
                false => self.out.write_str("0x").and_then(|()| hex(self.out, value)),
            };
        }
    }

    fn raw(&mut self, text: &str) {
        if self.result.is_ok() {
            self.result = self.out.write_str(text);
        }
    }
}

/// Whether a provider's connections are recorded, and stay with it by their mark.
fn restores(member: &Member) -> bool {
    member.records && member.restores
}

/// Whether `nft` takes a device's name literally in quotation marks. One that it does not is left out: such devices are
/// not worth a failure of the whole table.
fn nameable(device: &str) -> bool {
    let is_plain = |byte| !matches!(byte, b'"' | b'*' | b'\\');
    !device.is_empty() && device.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
