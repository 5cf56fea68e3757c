//! The resolvers that are asked through a provider: those that it alone names.
//!
//! One that two providers name, or that is a check's target, is asked as all else: by the leader.

use core::net::IpAddr;

use heapless::Vec;

use super::objects::Address;
use super::uplink::Uplink;
use crate::config::{Config, Provider};
use crate::limits::RESOLVERS_MAX;
use crate::types::{Family, PathId, Slot};

/// The resolvers of all providers.
#[derive(Debug, Default)]
#[repr(C)] // what is small stands by the beginning of the list
pub struct Resolvers {
    /// There are more than there is room for.
    pub is_crowded: bool,
    /// Each with its provider, those of the best rank first.
    pub list: Vec<(Slot, IpAddr), RESOLVERS_MAX>,
}

/// What tells them.
pub struct Told<'a> {
    /// the configuration
    pub config: &'a Config,
    /// a path's uplink
    pub uplink: &'a dyn Fn(PathId) -> Option<&'a Uplink>,
    /// the kernel's addresses
    pub addresses: &'a [Address],
    /// tells another each resolver that netifd has for a provider
    pub netifd: &'a dyn Fn(&Provider, Each<'_>),
}

/// Takes one resolver after another.
pub type Each<'a> = &'a mut dyn FnMut(IpAddr);

impl Resolvers {
    /// None.
    pub const fn new() -> Resolvers {
        Resolvers {
            is_crowded: false,
            list: Vec::new(),
        }
    }

    /// Makes this what is told. Returns whether anything has changed.
    pub fn fill(&mut self, told: &Told<'_>) -> bool {
        let (mut count, mut changed, mut is_crowded) = (0, false, false);
        for provider in told.config.enabled().filter(|provider| provider.dns_route) {
            told.each_named(provider, &mut |resolver| {
                let one = (provider.slot, resolver);
                let found = self.list.get(..count).unwrap_or_default();
                if found.contains(&one) || !told.is_its_own(provider, resolver) {
                    return;
                }
                if self.list.get(count) != Some(&one) {
                    self.list.truncate(count);
                    if self.list.push(one).is_err() {
                        is_crowded = true;
                        return;
                    }
                    changed = true;
                }
                count += 1;
            });
        }
        changed |= count < self.list.len() || is_crowded != self.is_crowded;
        if changed {
            // Only then: unwritten, it takes no memory.
            self.list.truncate(count);
            self.is_crowded = is_crowded;
        }
        changed
    }
}

impl Told<'_> {
    /// Tells another each resolver that a provider names: those of its configuration, else netifd's.
    fn each_named(&self, provider: &Provider, each: Each<'_>) {
        let mut configured = false;
        for resolver in self.config.dns_of(provider) {
            configured = true;
            each(resolver);
        }
        if !configured {
            (self.netifd)(provider, each);
        }
    }

    /// Whether a resolver that a provider names is to be asked through it.
    fn is_its_own(&self, provider: &Provider, resolver: IpAddr) -> bool {
        let mut is_shared = false;
        for other in self.config.enabled() {
            self.each_named(other, &mut |named| {
                is_shared |= named == resolver && other.slot != provider.slot;
            });
        }
        !is_shared
            && !self.is_elsewhere(provider.slot, resolver)
            && !self.config.is_target(resolver)
    }

    /// Whether it is this router, or in the network of a device that is not the provider's, as 127.0.0.1 is.
    fn is_elsewhere(&self, slot: Slot, resolver: IpAddr) -> bool {
        let family = Family::of(resolver);
        let uplink = (self.uplink)(PathId { slot, family });
        let device = uplink.map_or(0, |uplink| uplink.index);
        self.addresses.iter().any(|address| {
            let prefix = address.prefix;
            address.is(&resolver)
                || prefix.contains_addr(&resolver.into())
                    && prefix.prefix_len() != 0
                    && address.device != device
        })
    }
}

#[cfg(test)]
mod tests;
