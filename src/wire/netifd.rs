//! Parses the output of `ubus call network.interface dump`: the default routes and addresses of netifd's logical
//! interfaces (OpenWrt). It is one JSON object, `{"interface": [{"interface": "wan", …}, …]}`, most of which is ignored. It
//! may be long (about 2 KB per interface), and is parsed as a stream in memory of a fixed size.
//!
//! | module | job |
//! |---|---|
//! | `place` | the meaning of a value, by its position |
//! | `meaning` | interprets the parser's events |
//! | `draft` | one interface that is being parsed |

mod draft;
mod meaning;
mod place;

use core::net::IpAddr;

use heapless::Vec;

use super::json::Reader;
use crate::limits::{DNS_READ_MAX, HOSTS_READ_MAX, PREFIXES_MAX};
use crate::types::{DeviceName, Family, PerFamily, Prefix};
use meaning::Meaning;

/// A logical interface, as far as it matters for an uplink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// whether netifd has it up
    pub up: bool,
    /// whether netifd made it by itself, for another interface whose name its own begins with: see [`parent`]
    pub dynamic: bool,
    /// whether its protocol is WireGuard, or derived from it
    pub wireguard: bool,
    /// the device to bind to (`l3_device`), per family; empty if there is none with a name that the configuration accepts
    pub device: PerFamily<DeviceName>,
    /// the next hop of its default route, per family
    pub way: PerFamily<Option<Way>>,
    /// whether it has an address, per family
    pub addressed: PerFamily<bool>,
    /// the delegated IPv6 prefixes, the first ones, as netifd has them
    pub delegated: Vec<Prefix, DELEGATED_READ_MAX>,
    /// the resolvers that it names, the first ones: those that the peer names, unless `peerdns` is 0, and `dns`
    pub dns: Vec<IpAddr, DNS_READ_MAX>,
    /// the hosts that its own routes lead to, the first ones; not those that netifd has added for a tunnel
    pub hosts: Vec<IpAddr, HOSTS_READ_MAX>,
}

/// Delegated prefixes that are read: one more than a provider may have, so that there being more is seen.
const DELEGATED_READ_MAX: usize = PREFIXES_MAX + 1;

/// A default route's next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// a gateway
    Gateway(IpAddr),
    /// no gateway: the route is on-link
    Direct,
}

impl Interface {
    /// Whether it serves a family: by a default route, an address, or (in IPv6) a delegated prefix.
    pub fn brings(&self, family: Family) -> bool {
        let delegated = family == Family::V6 && !self.delegated.is_empty();
        self.way[family].is_some() || self.addressed[family] || delegated
    }

    /// Takes over from a dynamic interface of this one what serves a family better: a modem's addresses and routes are those
    /// of its dynamic interfaces, and so are the IPv6 ones of a PPP line, or the IPv4 ones of an IPv6-only line.
    pub fn take_over(&mut self, child: &Interface) {
        if !child.up {
            return;
        }
        self.up = true;
        for family in Family::ALL {
            if child.worth(family) > self.worth(family) {
                self.device[family] = child.device[family].clone();
                self.way[family] = child.way[family];
                self.addressed[family] = child.addressed[family];
            }
        }
        for prefix in &child.delegated {
            let _ = self.delegated.push(*prefix);
        }
        for resolver in &child.dns {
            let _ = self.dns.push(*resolver);
        }
        for host in &child.hosts {
            let _ = self.hosts.push(*host);
        }
    }

    /// How well it serves a family.
    fn worth(&self, family: Family) -> u8 {
        let has_way = self.way[family].is_some();
        match self.device[family].is_empty() {
            true => 0,
            false => 1 + u8::from(self.addressed[family]) + 2 * u8::from(has_way),
        }
    }
}

/// The interface that one of this name belongs to, if netifd made it by itself: `wan` is that of `wan_6`, which is that of
/// `wan_6_4`.
pub fn parent(name: &str) -> Option<&str> {
    let parent = name.strip_suffix("_4").or_else(|| name.strip_suffix("_6"));
    parent.filter(|parent| !parent.is_empty())
}

/// A text is no dump: it is truncated, no JSON, or has no list of interfaces. Or one interface cannot be read: a value has
/// an unexpected type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Is called with each interface of a dump, and its name.
pub type Sink<'a> = &'a mut dyn FnMut(&str, Result<Interface, Unreadable>);

/// A dump that is being parsed.
#[derive(Clone, Debug)]
pub struct Dump {
    json: Reader,
    meaning: Meaning,
    broken: bool,
}

impl Dump {
    /// Nothing parsed yet.
    pub const fn new() -> Dump {
        Dump {
            json: Reader::new(),
            meaning: Meaning::new(),
            broken: false,
        }
    }

    /// Parses the next piece, of any size. The sink gets each interface when it is complete.
    pub fn feed(&mut self, bytes: &[u8], sink: Sink<'_>) {
        for byte in bytes {
            if self.broken {
                return;
            }
            let Dump { json, meaning, .. } = self;
            let mut result = Ok(());
            let read = json.feed(*byte, &mut |event| result = meaning.take(event, sink));
            self.broken = read.and(result).is_err();
        }
    }

    /// Ends the dump.
    ///
    /// # Errors
    /// It was no valid dump: the interfaces that the sink got are not valid either.
    pub fn finish(&self) -> Result<(), Unreadable> {
        match !self.broken && self.json.is_done() && self.meaning.listed {
            true => Ok(()),
            false => Err(Unreadable),
        }
    }
}

impl Default for Dump {
    fn default() -> Dump {
        Dump::new()
    }
}

#[cfg(test)]
mod tests;
