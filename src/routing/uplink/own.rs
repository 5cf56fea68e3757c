//! The own address of a path: what the kernel would choose, and the same as long as that is usable.
//!
//! In IPv4 the kernel's rule is simple (devinet.c: `inet_select_addr`): the source of the learned default route, else the
//! first primary address that reaches the gateway, else the first. In IPv6 (RFC 6724), where the route names none, it
//! depends on sysctls, labels, and the addresses of other devices: there the kernel is asked.

use core::net::IpAddr;

use super::{of_link, reaches};
use crate::routing::mirror::Mirror;
use crate::routing::objects::{Address, AddressState, Link, Route};
use crate::routing::uplink::{Told, source_specific_defaults};
use crate::types::{Family, Prefix};

/// An own address that was found before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Former {
    /// the address
    pub address: IpAddr,
    /// the gateway at that time
    pub gateway: Option<IpAddr>,
    /// see [`super::Uplink::guessed`]
    pub guessed: bool,
}

/// What the own address of a path depends on.
pub(super) struct Choice<'a> {
    pub(super) family: Family,
    pub(super) link: &'a Link,
    pub(super) mirror: &'a Mirror,
    /// the mirror's
    pub(super) addresses: &'a [Address],
    pub(super) gateway: Option<&'a IpAddr>,
    /// the default route that the gateway was learned from
    pub(super) learned: Option<&'a Route>,
    pub(super) told: &'a Told,
    /// its uplink is described by netifd
    pub(super) by_netifd: bool,
}

impl<'a> Choice<'a> {
    /// The address, if there is one; and whether it is but a guess as long as the kernel was not asked.
    pub(super) fn make(&self) -> (Option<IpAddr>, bool) {
        match self.family {
            Family::V4 => {
                let own = self.named().or_else(|| self.first());
                let unnumbered = own.is_none() && self.learned.is_some();
                let chosen = self.told.chosen.filter(|_| unnumbered);
                let chosen = chosen.filter(|own| self.is_possible(own));
                (own.or(chosen), unnumbered && chosen.is_none())
            }
            Family::V6 => match self.named().or_else(|| self.sure()) {
                None => (self.guess(), true),
                sure => (sure, false),
            },
        }
    }

    /// The source of the learned default route. It may be another device's.
    fn named(&self) -> Option<IpAddr> {
        let own = self.learned?.source.as_ref()?;
        self.held(own).any(Address::is_usable).then_some(*own)
    }

    /// In IPv4, the first that fits the gateway. An address of link scope fits where there is none. The former one stays
    /// as long as the gateway does, or while no other fits better.
    fn first(&self) -> Option<IpAddr> {
        let mut best: Option<(u8, &Address)> = None;
        for address in of_link(self.link, self.addresses).filter(|a| a.family() == Family::V4) {
            let former = self.told.former.as_ref();
            let former = former.filter(|former| address.is(&former.address));
            let misfit = match self.gateway {
                None => 0,
                Some(_) if address.near => 2,
                Some(gateway) => u8::from(!reaches(address, gateway)),
            };
            let stays = misfit < 2 && former.is_some_and(|f| f.gateway.as_ref() == self.gateway);
            let worse = u8::from(!stays) << 5
                | misfit << 3
                | u8::from(former.is_none()) << 2
                | u8::from(address.secondary) << 1
                | u8::from(!address.near);
            if best.is_none_or(|(best, _)| worse < best) {
                best = Some((worse, address));
            }
        }
        best.map(|(_, address)| address.ip())
    }

    /// In IPv6, the former one while it is not deprecated, else what the kernel chooses. Where that is not the path's, or a
    /// deprecated one of another device, which a route of ours may name, the best that may be.
    fn sure(&self) -> Option<IpAddr> {
        let is_preferred = |a: &Address| a.state == AddressState::Preferred;
        if let Some(former) = self.told.former.as_ref().filter(|former| !former.guessed)
            && self.held(&former.address).any(is_preferred)
            && self.is_possible(&former.address)
        {
            return Some(former.address);
        }
        let chosen = self.told.chosen.as_ref()?;
        let may_be_named = |a: &Address| a.device != self.link.index && !is_preferred(a);
        let kernels = Some(*chosen).filter(|own| self.is_possible(own));
        if kernels.is_some() && !self.held(chosen).any(may_be_named) {
            return kernels;
        }
        self.best(&|a| self.is_possible(&a.ip())).or(kernels)
    }

    /// Whether our IPv6 routes must name this own address. It is another device's, and the kernel, which knows nothing of paths,
    /// may choose one for our packets that is not the path's.
    pub(super) fn is_to_be_named(&self, own: &IpAddr) -> bool {
        let elsewhere = |a: &&Address| a.device != self.link.index;
        let mut others = self.addresses.iter().filter(elsewhere);
        own.is_ipv6()
            && self.held(own).all(|a| elsewhere(&a))
            && others.any(|a| a.is_global() && a.is_usable() && !self.is_possible(&a.ip()))
    }

    /// In IPv6, as long as the kernel has no route to choose by: the best of the device; else of an address in a prefix that
    /// is known to be the path's.
    fn guess(&self) -> Option<IpAddr> {
        self.best(&|a| a.device == self.link.index).or_else(|| {
            let learned = || self.learned.and_then(|route| route.from);
            let prefix = self.told.delegated.or_else(learned)?;
            self.best(&|a| prefix.contains_addr(&a.ip().into()))
        })
    }

    /// In IPv6, of those that fit: none that others are preferred to; the former one; the lowest (and no unique local one).
    fn best(&self, fits: &dyn Fn(&Address) -> bool) -> Option<IpAddr> {
        let mut best: Option<(u32, IpAddr)> = None;
        let usable = |a: &&Address| a.is_usable() && !a.near && a.family() == Family::V6;
        for a in self.addresses.iter().filter(usable).filter(|a| fits(a)) {
            let worse = [a.state as u8, (!self.was(a)).into(), a.secondary.into(), 0];
            let one = (u32::from_be_bytes(worse), a.ip());
            if best.is_none_or(|best| one < best) {
                best = Some(one);
            }
        }
        best.map(|(_, own)| own)
    }

    fn was(&self, address: &Address) -> bool {
        let former = self.told.former.as_ref();
        former.is_some_and(|former| address.is(&former.address))
    }

    /// Whether a path can have this address. The kernel also chooses from other devices: that is right where a delegated
    /// prefix is in use in the LAN, but not where the address is another provider's or a tunnel's, nor where the device has
    /// one or is about to have one, or where no router told of a way.
    fn is_possible(&self, own: &IpAddr) -> bool {
        let here = |a: &&Address| a.device == self.link.index;
        if let Some(held) = self.held(own).find(here) {
            return held.is_usable() && !held.near;
        }
        let is_tunnel = |a: &Address| {
            let mut links = self.mirror.links().iter();
            links.any(|link| link.index == a.device && link.point_to_point)
        };
        let contains = |prefix: Prefix| prefix.contains_addr(&(*own).into());
        let theirs =
            |a: &Address| !a.is_usable() || self.mirror.is_watched_device(a.device) || is_tunnel(a);
        let is_local = matches!(own, IpAddr::V6(v6) if v6.is_unique_local());
        let mut ours = of_link(self.link, self.addresses);
        let has_one = ours.any(|a| a.family() == self.family && !a.near);
        if is_local || has_one || self.held(own).any(theirs) {
            return false;
        }
        if self.by_netifd {
            return self.told.delegated.is_some_and(contains);
        }
        let leads = |here: bool| {
            source_specific_defaults(self.mirror).any(|route| {
                let ours = route.device == self.link.index;
                ours == here && route.from.is_some_and(contains)
            })
        };
        let plain = self.learned.is_some_and(|route| route.from.is_none());
        leads(true) || (plain && !leads(false))
    }

    fn held(&self, own: &IpAddr) -> impl Iterator<Item = &'a Address> {
        let addresses = self.addresses.iter();
        addresses.filter(|address| address.is(own))
    }
}
