//! The IPv6 prefixes that are delegated to providers: addresses of the LAN are taken from them.
//!
//! They are known by the configuration, by netifd, or by a default route that is for packets from one prefix only: such a
//! route says that its provider drops all others.

use core::net::IpAddr;

use heapless::Vec;

use super::mirror::{family, is_default};
use super::objects::Route;
use super::uplink::{Uplink, source_specific_defaults};
use crate::config::{Config, Provider};
use crate::limits::{PREFIX_RULES_MAX, PREFIXES_MAX, PROVIDERS_MAX};
use crate::routing::mirror::Mirror;
use crate::types::{
    Family, PROTOCOL, Prefix, Slot, TABLE_MAIN, address_in, network_of, prefixes_of,
};

/// The prefixes of all providers.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C)] // what is small stands by the beginning of the list
pub struct Delegated {
    /// By slot, bit by bit: a provider has more than there is room for.
    pub crowded: u64,
    /// Each with its provider, slot by slot, without host bits. In the order of addresses, not in that in which they are
    /// told: what is made of them stays as it is while they do.
    pub list: Vec<(Slot, Prefix), PREFIX_RULES_MAX>,
}

/// What tells them.
pub struct Told<'a> {
    /// the configuration
    pub config: &'a Config,
    /// a slot's uplink in IPv6
    pub uplink: &'a dyn Fn(Slot) -> Option<&'a Uplink>,
    /// the index of the device that a provider names, which is not enabled; 0: there is none
    pub idle_device: &'a dyn Fn(&Provider) -> u32,
    /// the kernel's routes
    pub routes: &'a [Route],
    /// tells another each prefix that netifd has for a provider; whether netifd has answered
    pub netifd: &'a dyn Fn(&Provider, Each<'_>) -> bool,
}

/// Takes one prefix after another.
pub type Each<'a> = &'a mut dyn FnMut(Prefix);

/// The prefixes of one provider, the lowest address first.
struct Found {
    slot: Slot,
    list: Vec<(Slot, Prefix), PREFIXES_MAX>,
    is_crowded: bool,
}

impl Delegated {
    /// None.
    pub const fn new() -> Delegated {
        Delegated {
            crowded: 0,
            list: Vec::new(),
        }
    }

    /// Makes this what is told. Returns whether anything has changed.
    ///
    /// A provider whose uplink is gone, and what tells its prefixes with it, keeps them: hosts still have addresses there. So
    /// does one that is not enabled any more, or not configured, until another gets its slot.
    pub fn fill(&mut self, told: &Told<'_>) -> bool {
        let mut changed = false;
        for slot in (0..).take(PROVIDERS_MAX).map(Slot) {
            let mut found = Found::none(slot);
            let provider = told.config.at(slot);
            if provider.is_none_or(|provider| told.find(provider, &mut found)) {
                found.add_all(prefixes_of(&self.list, slot));
            }
            changed |= self.replace(found);
        }
        changed
    }

    /// Forgets those of a slot, which another provider gets.
    pub fn forget(&mut self, slot: Slot) {
        self.replace(Found::none(slot));
    }

    /// Returns whether that changes anything.
    fn replace(&mut self, mut found: Found) -> bool {
        let former = prefixes_of(&self.list, found.slot);
        let count = former.len();
        let room = self.list.capacity() - (self.list.len() - count);
        found.is_crowded |= found.list.len() > room;
        found.list.truncate(room);
        let bit = found.slot.bit();
        let crowded = self.crowded & !bit | if found.is_crowded { bit } else { 0 };
        if self.crowded == crowded && *former == *found.list {
            return false;
        }
        self.crowded = crowded;
        let before = self.list.iter().take_while(|(of, _)| *of < found.slot);
        let begin = before.count();
        for _ in 0..count {
            self.list.remove(begin);
        }
        for (place, one) in (begin..).zip(&found.list) {
            let _ = self.list.insert(place, *one); // there is room
        }
        true
    }
}

impl Told<'_> {
    /// Finds the prefixes of a provider. Returns whether what is not told now may be so still.
    fn find(&self, provider: &Provider, found: &mut Found) -> bool {
        let configured = self.config.prefixes_of(provider);
        if !configured.is_empty() {
            found.add_all(configured);
            return false;
        }
        let mut learn = |prefix| {
            if is_delegated(prefix) {
                found.add(prefix);
            }
        };
        let answered = (self.netifd)(provider, &mut learn);
        let uplink = (self.uplink)(provider.slot);
        let uplink = uplink.filter(|uplink| !uplink.is_taken());
        let device = match provider.enabled {
            true => uplink.map_or(0, |uplink| uplink.index),
            false => (self.idle_device)(provider),
        };
        let routes = self.routes.iter();
        routes
            .filter(|route| is_default(route) && family(route) == Family::V6)
            .filter(|route| route.protocol != PROTOCOL && route.is_way())
            .filter(|route| device != 0 && route.device == device)
            .filter_map(|route| route.from)
            .for_each(learn);
        !answered
            || uplink.is_some_and(|uplink| uplink.waiting.is_some())
            || !provider.enabled && found.list.is_empty()
    }
}

impl Found {
    fn none(slot: Slot) -> Found {
        Found {
            slot,
            list: Vec::new(),
            is_crowded: false,
        }
    }

    fn add_all(&mut self, prefixes: &[(Slot, Prefix)]) {
        for (_, prefix) in prefixes {
            self.add(*prefix);
        }
    }

    /// Of more than there is room for, the lowest stay, in whatever order they are told.
    fn add(&mut self, prefix: Prefix) {
        let prefix = network_of(prefix);
        let one = (self.slot, prefix);
        if self.list.contains(&one) {
            return;
        }
        let before = self.list.iter().take_while(|(_, known)| *known < prefix);
        let place = before.count();
        if self.list.is_full() {
            self.is_crowded = true;
            if place == self.list.len() {
                return;
            }
            self.list.pop();
        }
        let _ = self.list.insert(place, one);
    }
}

/// Whether a prefix may be one that hosts of the Internet send answers to: no single address, not everything, and neither
/// link-local nor unique local (RFC 4193).
fn is_delegated(prefix: Prefix) -> bool {
    let IpAddr::V6(address) = address_in(&prefix) else {
        return false;
    };
    (1..128).contains(&prefix.prefix_len())
        && !address.is_unicast_link_local()
        && !address.is_unique_local()
}

/// Whether hosts with addresses of one provider may reach nothing by another: there are default routes that show that, and
/// our table does not masquerade what they send. In `main`, such a route wins over all of ours, and keeps leading them to a
/// provider that is offline.
pub fn strands_hosts(config: &Config, mirror: &Mirror, masquerades: bool) -> bool {
    let mends = masquerades && config.globals.table != TABLE_MAIN;
    !mends && source_specific_defaults(mirror).next().is_some()
}

#[cfg(test)]
mod tests;
