//! The rules for what the router sends from its own addresses: it leaves by the provider whose device has the address,
//! whichever leads. Replies to inbound connections do so, and programs that choose a source address.
//!
//! Forwarded packets are not meant: a host of the LAN may have an address in a provider's network (10.0.0.0/8 outside,
//! 10.1.0.0/24 inside).

use core::net::IpAddr;

use super::{Situation, Wanted, fits, leads, only, pref};
use crate::config::Provider;
use crate::limits::{PATH_SOURCES_MAX, SOURCES_MAX};
use crate::routing::objects::{Address, RuleVerdict, Selector};
use crate::routing::uplink::{Uplink, connected};
use crate::types::{Family, PROTOCOL, Prefix, Slot, address_in, network_of};

impl Wanted {
    /// The way to a gateway that is in another device's network, too: `main` has it by one device alone, whichever was first.
    /// A strict reverse-path filter, or `arp_filter`, would drop the other gateway's ARP requests, and it would forget us
    /// again and again. Of those with one address, the first in the order has its gateway there.
    pub(super) fn gateway_rule(
        &mut self,
        situation: &Situation<'_>,
        provider: &Provider,
        uplink: &Uplink,
    ) {
        let (Some(own), Some(gateway @ IpAddr::V4(_)), Some(table)) = (
            uplink.address,
            &uplink.gateway,
            situation.tables.of(provider.slot),
        ) else {
            return;
        };
        let is_in = |network: Prefix| network.contains_addr(&(*gateway).into());
        let elsewhere = |a: &Address| a.device != uplink.index && connected(a).is_some_and(is_in);
        let selector = Selector::OwnFrom(only(own));
        // Its table has a way to a configured network, not to the gateway alone.
        if provider.network[Family::V4].is_none()
            && situation.addresses.iter().any(elsewhere)
            && !self.rules.iter().any(|rule| rule.selector == selector)
        {
            let pref = situation.config.globals.rule_pref.saturating_sub(1);
            self.add_rule(
                situation,
                pref,
                selector,
                RuleVerdict::LookupSpecific(table),
            );
        }
    }

    /// One rule per network or address of a path. All of a path have one preference, so that none moves when another comes.
    /// Those for the addresses that probes have come first: they always have room.
    pub(super) fn source_rules(&mut self, situation: &Situation<'_>) {
        for (provider, uplink) in situation.paths() {
            if let Some(own) = uplink.address {
                let mut here = situation.addresses_of(uplink);
                let held = here.find(|address| address.is(&own));
                let source = held.map_or(only(own), |address| situation.source(address));
                self.add_source_rule(situation, provider, source);
            }
        }
        // What has a rule keeps it, in whatever order the addresses are told.
        for &kept in &[true, false] {
            for (provider, uplink) in situation.paths() {
                for address in situation.addresses_of(uplink) {
                    let source = situation.source(address);
                    if !kept || situation.has_source_rule(provider, source) {
                        self.add_source_rule(situation, provider, source);
                    }
                }
            }
        }
    }

    fn add_source_rule(&mut self, situation: &Situation<'_>, provider: &Provider, source: Prefix) {
        let pref = situation.sources_pref(provider);
        let (mut all, mut of_path) = (0, 0);
        for rule in &self.rules {
            if let Selector::OwnFrom(known) = rule.selector {
                all += 1;
                of_path += u32::from(rule.pref == pref);
                if rule.pref == pref
                    && known.prefix_len() <= source.prefix_len()
                    && known.contains_addr(&source.address())
                {
                    return;
                }
            }
        }
        let Some(table) = situation.way_back(provider.slot, source) else {
            return;
        };
        if of_path >= PATH_SOURCES_MAX || all >= SOURCES_MAX {
            self.crowded |= provider.slot.bit();
            return;
        }
        let verdict = RuleVerdict::Lookup(table);
        self.add_rule(situation, pref, Selector::OwnFrom(source), verdict);
        let bits = match address_in(&source) {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        };
        #[allow(clippy::cast_possible_truncation)] // each half by itself
        let one = (bits as u64) ^ ((bits >> 64) as u64) ^ u64::from(source.prefix_len());
        // Squares: else two addresses could make up for one another.
        self.sources = self.sources.wrapping_add(one.wrapping_mul(one));
    }
}

impl<'a> Situation<'a> {
    /// The addresses of an uplink's device that a rule can tell it by, in the order in which they came.
    fn addresses_of(&self, uplink: &Uplink) -> impl Iterator<Item = &'a Address> {
        let (device, family) = (uplink.index, self.family);
        let addresses = self.addresses.iter();
        addresses.filter(move |address| address.device == device && fits(family, address.ip()))
    }

    fn sources_pref(&self, provider: &Provider) -> u32 {
        let first = self.config.globals.rule_pref + pref::FROM;
        first + u32::from(provider.slot.0) * PATH_SOURCES_MAX
    }

    /// Whether the kernel has a rule of ours for a network or an address.
    fn has_source_rule(&self, provider: &Provider, source: Prefix) -> bool {
        let (pref, selector) = (self.sources_pref(provider), Selector::OwnFrom(source));
        let mut ours = self.rules.iter().filter(|rule| rule.protocol == PROTOCOL);
        ours.any(|rule| rule.pref == pref && rule.selector == selector)
    }

    /// What a rule for an address is for: all of its connected network, unless another device has an address there, too.
    /// With a peer, the network is the peer's.
    fn source(&self, address: &Address) -> Prefix {
        let network = network_of(address.prefix);
        let elsewhere = |other: &Address| {
            other.device != address.device && network.contains_addr(&other.prefix.address())
        };
        let alone = address.peer.is_some() || network.prefix_len() == 0;
        match alone || self.addresses.iter().any(elsewhere) {
            true => only(address.ip()),
            false => network,
        }
    }

    /// The table that packets from a network or an address of a path take. Two paths with one address cannot be told apart by
    /// it: `from` would send everything from it to the first of them, online or not. Such an address, and those of a path
    /// without a policy table, have no rule and follow the best path.
    ///
    /// While everything else is refused, the best path's route is not found either, and reverse-path filtering (strict
    /// and loose) drops the replies to probes: the look-up from our address to their sender ends in `unreachable`. Then
    /// such an address has a rule into the swap table, or no path could ever come back.
    fn way_back(&self, slot: Slot, source: Prefix) -> Option<u32> {
        let address = address_in(&source);
        if !fits(self.family, address) {
            return None;
        }
        let shared = source == only(address) && self.is_shared(slot, address);
        let own = self.tables.of(slot).filter(|_| !shared);
        own.or(Some(self.config.globals.table).filter(|_| self.plan.unreachable))
    }

    /// Whether another path that can have a route has the same address.
    fn is_shared(&self, slot: Slot, own: IpAddr) -> bool {
        self.paths().any(|(other, uplink)| {
            let holds = |a: &Address| a.device == uplink.index && a.is(&own);
            other.slot != slot
                && leads(self.family, uplink)
                && (uplink.address == Some(own) || self.addresses.iter().any(holds))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Scene, address, own};
    use super::*;
    use crate::routing::objects::AddressState;

    /// The rules for sources: the slot by its first preference, the network or address, and the table.
    fn rules(scene: &mut Scene) -> Vec<(u32, String, u32)> {
        let wanted = scene.wanted();
        assert!(wanted.rules.iter().all(|rule| rule.protocol == PROTOCOL));
        let told = wanted.rules.iter().filter_map(|rule| {
            let (Selector::OwnFrom(source), RuleVerdict::Lookup(table)) =
                (&rule.selector, rule.verdict)
            else {
                return None;
            };
            Some((rule.pref, source.to_string(), table))
        });
        told.collect()
    }

    /// The networks and addresses of one slot.
    fn of(scene: &mut Scene, slot: u32) -> Vec<String> {
        let mut rules = rules(scene);
        rules.retain(|(pref, _, table)| {
            let right = *pref == 17900 + 16 * slot;
            assert!(!right || *table == 17601 + slot);
            right
        });
        rules.into_iter().map(|(_, source, _)| source).collect()
    }

    /// Devices 1 and 2 are the providers' and have addresses in 192.0.2.0/30 and 192.0.2.4/30.
    fn scene(addresses: &[(u32, &str)]) -> Scene {
        let mut scene = Scene::of(Family::V4, 2);
        let own = [(1, "192.0.2.2/30"), (2, "192.0.2.6/30")];
        for &(device, prefix) in own.iter().chain(addresses) {
            let address = address(device, prefix.parse().unwrap());
            scene.addresses.push(address);
        }
        scene
    }

    #[test]
    fn a_network_has_one_rule_for_all_addresses_in_it() {
        let mut scene = scene(&[
            (1, "192.0.2.1/30"),
            (1, "198.51.100.9/29"),
            (1, "198.51.100.10/29"),
            (1, "198.51.100.11/32"),
            (1, "203.0.113.7/32"),
            (2, "203.0.113.8/31"),
            (3, "203.0.113.16/31"),
        ]);
        let first = ["192.0.2.0/30", "198.51.100.8/29", "203.0.113.7/32"];
        assert_eq!(of(&mut scene, 0), first);
        assert_eq!(of(&mut scene, 1), ["192.0.2.4/30", "203.0.113.8/31"]);
    }

    #[test]
    fn where_another_device_has_an_address_each_of_ours_has_its_own() {
        let mut scene = scene(&[(1, "198.51.100.9/24"), (1, "198.51.100.11/24")]);
        let network = ["192.0.2.0/30", "198.51.100.0/24"];
        assert_eq!(of(&mut scene, 0), network);
        let (lan, inside) = (99, "198.51.100.129/28".parse().unwrap());
        scene.addresses.push(address(lan, inside));
        let each = ["192.0.2.0/30", "198.51.100.9/32", "198.51.100.11/32"];
        assert_eq!(of(&mut scene, 0), each);
        scene.addresses.pop();
        assert_eq!(of(&mut scene, 0), network);
    }

    #[test]
    fn two_uplinks_in_one_network_are_told_apart_by_address() {
        let mut scene = scene(&[(1, "198.51.100.9/24"), (2, "198.51.100.11/24")]);
        assert_eq!(of(&mut scene, 0), ["192.0.2.0/30", "198.51.100.9/32"]);
        assert_eq!(of(&mut scene, 1), ["192.0.2.4/30", "198.51.100.11/32"]);
    }

    #[test]
    fn an_address_that_two_paths_have_tells_none_of_them() {
        let both = "198.51.100.9/24";
        let mut scene = scene(&[(1, both), (2, both), (2, "198.51.100.11/24")]);
        assert_eq!(of(&mut scene, 0), ["192.0.2.0/30"]);
        assert_eq!(of(&mut scene, 1), ["192.0.2.4/30", "198.51.100.11/32"]);
        // It is a path's as long as the other cannot have a route; and anybody's who is no path.
        scene.uplinks[1].routable = false;
        assert_eq!(of(&mut scene, 0), ["192.0.2.0/30", "198.51.100.9/32"]);
        scene.uplinks[1].routable = true;
        scene.addresses[3].device = 99;
        assert_eq!(of(&mut scene, 0), ["192.0.2.0/30", "198.51.100.9/32"]);
        scene.addresses[3].device = 2;
        scene.plan.unreachable = true;
        let swap = |slot: u32| (17900 + 16 * slot, "198.51.100.9/32".to_owned(), 176);
        let rules = rules(&mut scene);
        assert!(
            rules.contains(&swap(0)) && rules.contains(&swap(1)),
            "{rules:?}"
        );
    }

    /// The rules before all others: the address, and the table of whose gateway.
    fn to_gateways(scene: &mut Scene) -> Vec<(String, u32)> {
        let wanted = scene.wanted();
        let told = wanted.rules.iter().filter_map(|rule| {
            let (Selector::OwnFrom(source), RuleVerdict::LookupSpecific(table)) =
                (&rule.selector, rule.verdict)
            else {
                return None;
            };
            assert_eq!(rule.pref, 17599);
            Some((source.to_string(), table))
        });
        told.collect()
    }

    #[test]
    fn a_gateway_in_the_network_of_another_device_is_reached_by_its_own() {
        let mut scene = scene(&[]);
        assert_eq!(to_gateways(&mut scene), []);
        let rule = |scene: &Scene, slot: usize| {
            let own = scene.uplinks[slot].address.unwrap();
            (format!("{own}/32"), 17601 + u32::try_from(slot).unwrap())
        };
        let gateway = scene.uplinks[1].gateway.unwrap();
        let mut lan = address(99, only(gateway));
        lan.prefix = Prefix::new(gateway.into(), 24);
        scene.addresses.push(lan);
        let (first, second) = (rule(&scene, 0), rule(&scene, 1));
        assert!(to_gateways(&mut scene).contains(&second));
        // Two with one address and one gateway: the first in the order has it there.
        scene.uplinks[1].address = scene.uplinks[0].address;
        scene.uplinks[1].gateway = scene.uplinks[0].gateway;
        scene.addresses[1].prefix = scene.addresses[0].prefix;
        scene.addresses.pop();
        assert_eq!(to_gateways(&mut scene), std::slice::from_ref(&first));
        scene.order(&[1, 0]);
        assert_eq!(to_gateways(&mut scene), [(first.0, second.1)]);
    }

    #[test]
    fn with_a_peer_the_network_is_the_peers() {
        let mut scene = scene(&[(1, "198.51.100.9/24"), (1, "203.0.113.7/32")]);
        for address in &mut scene.addresses[2..] {
            address.peer = Some(own(Family::V4, 100, 1));
        }
        let each = ["192.0.2.0/30", "198.51.100.9/32", "203.0.113.7/32"];
        assert_eq!(of(&mut scene, 0), each);
    }

    #[test]
    fn an_own_address_of_another_device_is_told_by_itself() {
        let mut scene = scene(&[(1, "198.51.100.9/24"), (99, "203.0.113.9/24")]);
        scene.uplinks[0].address = Some("203.0.113.9".parse().unwrap());
        let all = ["203.0.113.9/32", "192.0.2.0/30", "198.51.100.0/24"];
        assert_eq!(of(&mut scene, 0), all);
    }

    #[test]
    fn in_ipv6_temporary_and_unfit_addresses_count_and_link_local_ones_do_not() {
        let mut scene = Scene::of(Family::V6, 1);
        for text in [
            "fe80::1/64",
            "2001:db8::2/64",
            "2001:db8::abcd/64",
            "2001:db8:7::7/128",
        ] {
            let mut address = address(1, text.parse().unwrap());
            (address.state, address.secondary) = (AddressState::Deprecated, true);
            scene.addresses.push(address);
        }
        assert_eq!(of(&mut scene, 0), ["2001:db8::/64", "2001:db8:7::7/128"]);
    }

    #[test]
    fn another_address_changes_no_other_rule() {
        for family in Family::ALL {
            let mut scene = Scene::of(family, 2);
            let mut before = rules(&mut scene);
            for number in 1..=15 {
                let single = only(own(family, 100 + number, 2));
                scene.addresses.push(address(1, single));
                let now = rules(&mut scene);
                assert_eq!(now.len(), before.len() + 1);
                assert!(before.iter().all(|rule| now.contains(rule)));
                before = now;
            }
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_noted_and_the_own_address_has_room() {
        for family in Family::ALL {
            let mut scene = Scene::of(family, 3);
            for number in 1..=15 {
                let single = only(own(family, 100 + number, 2));
                scene.addresses.push(address(2, single));
            }
            assert_eq!(scene.wanted().crowded, 0);
            let (all, sum) = (of(&mut scene, 1), scene.wanted().sources);
            let more = only(own(family, 99, 2));
            scene.addresses.push(address(2, more));
            assert_eq!(scene.wanted().crowded, 0b10);
            assert_eq!(of(&mut scene, 1), all);
            assert_eq!(scene.wanted().sources, sum);
            // In whatever order they are told, as after a restart.
            let rules = scene.wanted().rules;
            scene.rules.extend(rules);
            scene.addresses.reverse();
            let kept = of(&mut scene, 1);
            assert!(kept.iter().all(|source| all.contains(source)), "{kept:?}");
            scene.uplinks[1].address = Some(own(family, 99, 2));
            assert_eq!(of(&mut scene, 1)[0], more.to_string());
            assert_ne!(scene.wanted().sources, sum);
        }
    }

    #[test]
    fn sixty_four_paths_have_a_rule_each_before_any_has_more() {
        let mut scene = Scene::of(Family::V6, 64);
        for device in 1..=64 {
            for number in 100..110 {
                let prefix = Prefix::new(own(Family::V6, number, 7).into(), 128);
                let mut address = address(device, prefix);
                address.prefix = match address.prefix.address().into() {
                    IpAddr::V6(own) => {
                        let mut parts = own.segments();
                        parts[4] = u16::try_from(device).unwrap();
                        only(IpAddr::from(parts))
                    }
                    IpAddr::V4(_) => unreachable!(),
                };
                scene.addresses.push(address);
            }
        }
        let rules = rules(&mut scene);
        let of = |slot: u32| rules.iter().filter(move |rule| rule.0 == 17900 + 16 * slot);
        assert!((0..64).all(|slot| of(slot).next().is_some()));
        assert_eq!(rules.len(), SOURCES_MAX);
        assert_eq!(of(0).count(), 11);
        assert_ne!(scene.wanted().crowded, 0);
    }
}
