//! What the kernel's state makes of a provider in one family: its device, address and gateway, or why it must wait.

mod own;

use core::net::IpAddr;

use heapless::Vec;

use crate::config::{Config, Provider};
use crate::limits::{GATEWAYS_MAX, PROVIDERS_MAX};
use crate::routing::mirror::{Mirror, family, is_default, is_policy_table, preference};
use crate::routing::objects::{Address, AddressState, Extras, Link, Route};
use crate::types::{
    DeviceName, Family, GivenDevice, PROTOCOL, Prefix, Slot, TABLE_MAIN, Waiting, network_of,
};
use crate::wire::netifd::Way;
use own::Choice;
pub use own::Former;

/// A provider's way out in one family, as far as the kernel's state tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uplink {
    /// the kernel's name of its device; when there is none, what it is called, if the kernel allows such a name
    pub device: DeviceName,
    /// its device's number; 0 when there is no such device
    pub index: u32,
    /// its own address; while it waits because that is a duplicate, that one
    pub address: Option<IpAddr>,
    /// that is deprecated
    pub deprecated: bool,
    /// that, or that there is none, is no more than a guess: the kernel has not been asked yet, or had no answer
    pub guessed: bool,
    /// its routes name the own address as their source: in IPv4 always, in IPv6 where the learned one does, or where the
    /// kernel may choose one that is not the path's
    pub sourced: bool,
    /// its gateway; in IPv4 it may be an IPv6 one (RFC 8950)
    pub gateway: Option<IpAddr>,
    /// it needs no gateway
    pub direct: bool,
    /// its connected network
    pub network: Option<Prefix>,
    /// its gateway lies outside every connected network of its device
    pub onlink: bool,
    /// why it cannot be probed, when it cannot
    pub waiting: Option<Waiting>,
    /// whether a default route through it can be installed: that also works without carrier
    pub routable: bool,
    /// the kernel refuses its default route in the swap table, over and over
    pub refused: bool,
    /// what its learned default route carries, for ours
    pub extras: Extras,
    /// how many gateways its default routes name
    pub gateways: u8,
}

/// What is said of a provider's way out in one family, by the configuration or by netifd.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// its device, by any of its names; empty when that is not known yet
    pub device: GivenDevice,
    /// its way out, where the kernel does not tell one
    pub way: Option<Way>,
    /// a prefix to take an own address from, of any device, where its own has none
    pub delegated: Option<Prefix>,
    /// the own address that was found before: it stays as long as it is usable
    pub former: Option<Former>,
    /// the own address that the kernel chooses, if it was asked: see [`Uplink::asks`]
    pub chosen: Option<IpAddr>,
}

impl Told {
    /// The device, and nothing else.
    pub fn device(name: &GivenDevice) -> Told {
        Told {
            device: name.clone(),
            ..Told::default()
        }
    }
}

/// What the mirror makes of a provider in a family, and of what is told of it.
pub fn resolve(
    config: &Config,
    provider: &Provider,
    family: Family,
    told: &Told,
    mirror: &Mirror,
) -> Uplink {
    let link = mirror.link_named(&told.device);
    let Some(link) = link.filter(|_| !told.device.is_empty()) else {
        return Uplink {
            device: DeviceName::try_from(told.device.as_str()).unwrap_or_default(),
            waiting: Some(Waiting::NoDevice),
            ..Uplink::default()
        };
    };
    let addresses = mirror.addresses();
    let (learned, gateways) = learned_route(config, family, link, mirror);
    let (hop, no_hop) = next_hop(learned, told, link);
    let gateway = provider.gateway[family].as_ref().or(hop);
    let direct = gateway.is_none() && no_hop;
    let choice = Choice {
        family,
        link,
        mirror,
        addresses,
        gateway,
        learned,
        told,
        by_netifd: !provider.interfaces.is_empty(),
    };
    let wanted = provider.address[family].as_ref();
    let (own, guessed) = match wanted {
        Some(wanted) => (configured_address(wanted, link, addresses), false),
        None => choice.make(),
    };
    let held = |own: &IpAddr| of_link(link, addresses).find(|a| a.is(own));
    let held = own.as_ref().and_then(held);
    let duplicate = duplicate(family, wanted, link, addresses).filter(|_| own.is_none());
    let has_way = gateway.is_some() || direct;
    let named = own.as_ref().is_some_and(|ip| {
        learned.is_some_and(|route| route.source.as_ref() == Some(ip)) || choice.is_to_be_named(ip)
    });
    Uplink {
        device: link.name.clone(),
        index: link.index,
        address: own.or_else(|| duplicate.map(Address::ip)),
        sourced: family == Family::V4 || named,
        deprecated: held.is_some_and(|a| a.state == AddressState::Deprecated),
        guessed,
        gateway: gateway.copied(),
        direct,
        // The network of an address of another device is not its.
        network: provider.network[family].or_else(|| connected(held?)),
        onlink: gateway.is_some_and(|gateway| {
            is_onlink(gateway, link, addresses)
                || learned
                    .is_some_and(|route| route.onlink && route.gateway.as_ref() == Some(gateway))
        }),
        waiting: match waiting(link, own.is_some(), has_way) {
            Some(Waiting::NoAddress) if duplicate.is_some() => Some(Waiting::Duplicate),
            waiting => waiting,
        },
        routable: link.up && own.is_some() && has_way,
        refused: false,
        extras: learned.map_or(Extras::default(), |route| route.extras),
        gateways,
    }
}

/// The gateway, unless one is configured; or that none is needed.
fn next_hop<'a>(
    learned: Option<&'a Route>,
    told: &'a Told,
    link: &Link,
) -> (Option<&'a IpAddr>, bool) {
    match (learned, &told.way) {
        (Some(route), _) => (route.gateway.as_ref(), route.gateway.is_none()),
        (None, Some(Way::Gateway(gateway))) => (Some(gateway), false),
        (None, Some(Way::Direct)) => (None, true),
        (None, None) => (None, link.point_to_point),
    }
}

/// Which provider has which device, in one family.
pub type Claims = Vec<(u32, Slot), PROVIDERS_MAX>;

impl Uplink {
    /// Whether another provider has its device.
    pub fn is_taken(&self) -> bool {
        matches!(self.waiting, Some(Waiting::DeviceTaken(_)))
    }

    /// Whether a socket that was bound for this is right for the other as well. One that waited has perhaps gone deaf:
    /// its device may have been another of the same name.
    pub fn has_same_socket(&self, other: &Uplink) -> bool {
        let bound = |uplink: &Uplink| (uplink.index, uplink.address);
        self.waiting.is_none() && self.device == other.device && bound(self) == bound(other)
    }

    /// Whether the kernel is to be asked which own address it chooses for a socket that is bound to the device. Then resolve
    /// it again, with the answer.
    pub fn asks(&self) -> bool {
        let works = !matches!(self.waiting, Some(Waiting::Down | Waiting::NoCarrier));
        self.guessed && works && (self.gateway.is_some() || self.direct)
    }

    /// Whether its own address is another device's, and was not before, or is of a device that the mirror does not know.
    pub fn has_borrowed(&self, told: &Told, mirror: &Mirror) -> bool {
        let before = told.former.map(|former| former.address);
        let here = |a: &Address| a.device == self.index && self.has(a);
        self.address.is_some()
            && !mirror.addresses().iter().any(here)
            && (self.address != before || self.has_lost_address(mirror))
    }

    /// Whether no device has its own address.
    pub fn has_lost_address(&self, mirror: &Mirror) -> bool {
        self.address.is_some() && !mirror.addresses().iter().any(|a| self.has(a))
    }

    fn has(&self, address: &Address) -> bool {
        self.address.is_some_and(|own| address.is(&own))
    }

    /// What is to be remembered of its own address.
    pub fn former(&self) -> Option<Former> {
        self.address.map(|address| Former {
            address,
            gateway: self.gateway,
            guessed: self.guessed,
        })
    }

    /// Its route is refused: as long as that is so, it is no way out.
    pub fn refuse(&mut self) {
        self.refused = self.routable;
        if self.refused {
            self.waiting = self.waiting.or(Some(Waiting::RouteRefused));
        }
    }

    /// What is found in a picture that lacks something, for one that was known: an address or a gateway that is not seen
    /// there may exist all the same. That a device is gone, down or without carrier is certain.
    #[must_use]
    pub fn unless_unseen(self, known: &Uplink) -> Uplink {
        let gone = matches!(self.waiting, Some(Waiting::NoDevice | Waiting::Down));
        if gone || self.index != known.index || !known.routable {
            return self;
        }
        Uplink {
            waiting: self.waiting.filter(|why| *why == Waiting::NoCarrier),
            refused: false,
            ..known.clone()
        }
    }

    /// Two paths must not share a device in a family: the later in rank waits. Call this for all of a family, best rank
    /// first.
    pub fn claim_device(&mut self, slot: Slot, claims: &mut Claims) {
        if self.index == 0 {
            return;
        }
        match claims.iter().find(|(index, _)| *index == self.index) {
            Some((_, holder)) => {
                self.waiting = Some(Waiting::DeviceTaken(*holder));
                self.routable = false;
            }
            // There are never more than PROVIDERS_MAX.
            None => drop(claims.push((self.index, slot))),
        }
    }
}

/// Foreign IPv6 default routes for some sources only: in `main` they win over any plain one.
pub fn source_specific_defaults(mirror: &Mirror) -> impl Iterator<Item = &Route> {
    foreign_defaults(mirror, Family::V6).filter(|route| route.from.is_some())
}

/// In the order in which a person would mend it.
fn waiting(link: &Link, has_address: bool, has_way: bool) -> Option<Waiting> {
    if !link.up {
        Some(Waiting::Down)
    } else if !link.carrier {
        Some(Waiting::NoCarrier)
    } else if !has_address {
        Some(Waiting::NoAddress)
    } else if !has_way {
        Some(Waiting::NoGateway)
    } else {
        None
    }
}

/// A configured address, when the device has it. In IPv4 it may be of any scope; an IPv6 one must be fit to be bound to.
fn configured_address(wanted: &IpAddr, link: &Link, addresses: &[Address]) -> Option<IpAddr> {
    let fits = |a: &Address| a.is_usable() && (!a.near || wanted.is_ipv4()) && a.is(wanted);
    of_link(link, addresses).any(fits).then_some(*wanted)
}

/// An address of the device, or the configured one, that it cannot have because another host has it.
fn duplicate<'a>(
    family: Family,
    wanted: Option<&IpAddr>,
    link: &Link,
    addresses: &'a [Address],
) -> Option<&'a Address> {
    of_link(link, addresses)
        .filter(|a| a.state >= AddressState::Duplicate && a.family() == family)
        .find(|a| wanted.is_none_or(|wanted| a.is(wanted)))
}

/// The best foreign default route on the device: it tells the gateway, or that none is needed. And how many gateways such
/// routes name: [`GATEWAYS_MAX`] or more count as so many.
fn learned_route<'a>(
    config: &Config,
    family: Family,
    link: &Link,
    mirror: &'a Mirror,
) -> (Option<&'a Route>, u8) {
    let mut known: Vec<IpAddr, GATEWAYS_MAX> = Vec::new();
    let mut best: Option<&Route> = None;
    let routes = foreign_defaults(mirror, family)
        .filter(|route| route.device == link.index && route.is_way())
        .filter(|route| !is_our_table(config, route.table));
    for route in routes {
        if let Some(gateway) = route.gateway
            && !known.contains(&gateway)
        {
            let _ = known.push(gateway);
        }
        if best.is_none_or(|best| preference(route) < preference(best)) {
            best = Some(route);
        }
    }
    (best, u8::try_from(known.len()).unwrap_or(u8::MAX))
}

fn foreign_defaults(mirror: &Mirror, of: Family) -> impl Iterator<Item = &Route> {
    mirror
        .routes()
        .iter()
        .filter(|route| is_default(route) && route.protocol != PROTOCOL)
        .filter(move |route| family(route) == of)
}

/// Tables that are for us alone: what a foreigner puts there tells nothing about an uplink.
fn is_our_table(config: &Config, table: u32) -> bool {
    (table == config.globals.table && table != TABLE_MAIN) || is_policy_table(table)
}

/// Whether the kernel would refuse the gateway as unreachable. IPv6 link-local ones are on every link.
fn is_onlink(gateway: &IpAddr, link: &Link, addresses: &[Address]) -> bool {
    let near = matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local());
    !near && !of_link(link, addresses).any(|address| reaches(address, gateway))
}

/// Whether a host is in the network that an address connects to.
fn reaches(address: &Address, host: &IpAddr) -> bool {
    other_end(address).contains_addr(&(*host).into())
}

/// What an address connects to, with host bits.
fn other_end(address: &Address) -> Prefix {
    match address.peer {
        Some(peer) => Prefix::new(peer.into(), address.prefix.prefix_len()),
        None => address.prefix,
    }
}

/// The network that an address connects to: the peer's, if it has one.
pub(in crate::routing) fn connected(address: &Address) -> Option<Prefix> {
    let length = if address.family() == Family::V4 {
        32
    } else {
        128
    };
    let is_single = address.peer.is_none() && address.prefix.prefix_len() == length;
    (!is_single).then(|| network_of(other_end(address)))
}

fn of_link<'a>(link: &Link, addresses: &'a [Address]) -> impl Iterator<Item = &'a Address> {
    let device = link.index;
    addresses
        .iter()
        .filter(move |address| address.device == device)
}

#[cfg(test)]
mod tests;
