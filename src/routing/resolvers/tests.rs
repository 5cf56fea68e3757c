//! Resolvers that come, go and are shared.

use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::config::fixture;
use crate::routing::layout::fixture::address;

/// Two providers by the devices 1 and 2, what netifd has for each, and what the kernel has.
struct Scene {
    config: Box<Config>,
    uplinks: Vec<Uplink>,
    addresses: Vec<Address>,
    netifd: [Vec<IpAddr>; 2],
    resolvers: Resolvers,
}

impl Scene {
    fn new() -> Scene {
        let mut config: Box<Config> = Box::default();
        let mut uplinks = Vec::new();
        for target in ["192.0.2.99", "2001:db8::99"] {
            config.checks.push(fixture::ping(target)).unwrap();
        }
        for slot in 0..2 {
            let mut provider = fixture::provider(&format!("isp{slot}"), slot, "eth1");
            provider.checks = 0b11;
            config.providers.push(provider).unwrap();
            uplinks.push(Uplink {
                index: u32::from(slot) + 1,
                ..Uplink::default()
            });
        }
        Scene {
            config,
            uplinks,
            addresses: Vec::new(),
            netifd: Default::default(),
            resolvers: Resolvers::new(),
        }
    }

    /// Whether anything has changed. Asked again, nothing has.
    fn fill(&mut self) -> bool {
        let changed = self.fill_once();
        assert!(!self.fill_once());
        changed
    }

    fn fill_once(&mut self) -> bool {
        let (netifd, uplinks) = (&self.netifd, &self.uplinks);
        self.resolvers.fill(&Told {
            config: &self.config,
            uplink: &|path| uplinks.get(usize::from(path.slot.0)),
            addresses: &self.addresses,
            netifd: &|provider, each| {
                let known = netifd.get(usize::from(provider.slot.0));
                known.into_iter().flatten().for_each(|one| each(*one));
            },
        })
    }

    fn all(&mut self) -> Vec<(u8, String)> {
        self.fill();
        let all = self.resolvers.list.iter();
        all.map(|(slot, one)| (slot.0, one.to_string())).collect()
    }

    fn configure(&mut self, slot: u8, resolver: &str) {
        let one = (Slot(slot), ip(resolver));
        self.config.dns.push(one).unwrap();
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn one(slot: u8, resolver: &str) -> (u8, String) {
    (slot, resolver.to_string())
}

#[test]
fn those_of_the_configuration_come_before_netifds() {
    let mut scene = Scene::new();
    assert!(!scene.fill());
    scene.netifd = [vec![ip("192.0.2.1")], vec![ip("2001:db8::2")]];
    let both = [one(0, "192.0.2.1"), one(1, "2001:db8::2")];
    assert_eq!(scene.all(), both);
    scene.configure(1, "192.0.2.7");
    assert_eq!(scene.all(), [one(0, "192.0.2.1"), one(1, "192.0.2.7")]);
    scene.netifd[0] = vec![ip("192.0.2.3"), ip("192.0.2.1"), ip("192.0.2.3")];
    let three = [
        one(0, "192.0.2.3"),
        one(0, "192.0.2.1"),
        one(1, "192.0.2.7"),
    ];
    assert_eq!(scene.all(), three);
    scene.config.providers[0].dns_route = false;
    assert_eq!(scene.all(), [one(1, "192.0.2.7")]);
    scene.config.providers[1].enabled = false;
    assert!(scene.all().is_empty());
}

/// Also if one of the two has none asked through it.
#[test]
fn one_that_two_providers_name_is_nones_until_one_drops_it() {
    let mut scene = Scene::new();
    scene.configure(0, "192.0.2.7");
    scene.configure(0, "192.0.2.8");
    scene.netifd[1] = vec![ip("192.0.2.7"), ip("192.0.2.9")];
    assert_eq!(scene.all(), [one(0, "192.0.2.8"), one(1, "192.0.2.9")]);
    scene.config.providers[0].dns_route = false;
    assert_eq!(scene.all(), [one(1, "192.0.2.9")]);
    scene.config.providers[0].dns_route = true;
    scene.netifd[1].remove(0);
    let each = [
        one(0, "192.0.2.7"),
        one(0, "192.0.2.8"),
        one(1, "192.0.2.9"),
    ];
    assert_eq!(scene.all(), each);
    scene.netifd[1].push(ip("192.0.2.7"));
    scene.config.providers[1].enabled = false;
    assert_eq!(scene.all(), each[..2]);
}

#[test]
fn what_a_check_asks_is_no_providers() {
    let mut scene = Scene::new();
    scene.netifd[0] = vec![ip("192.0.2.99"), ip("2001:db8::99"), ip("192.0.2.98")];
    assert_eq!(scene.all(), [one(0, "192.0.2.98")]);
}

#[test]
fn one_that_is_near_is_no_providers() {
    let mut scene = Scene::new();
    let near = [
        "198.51.100.2",
        "198.51.100.7",
        "192.0.2.2",
        "192.0.3.7",
        "127.0.0.1",
    ];
    let far = ["192.0.2.1", "198.51.101.7"];
    scene.netifd[0] = near.into_iter().chain(far).map(ip).collect();
    for (device, prefix) in [
        (9, "198.51.100.2/24"),
        (1, "192.0.2.2/24"),
        (2, "192.0.3.2/24"),
        (8, "203.0.113.1/0"),
        (7, "127.0.0.1/8"),
    ] {
        let address = address(device, prefix.parse().unwrap());
        scene.addresses.push(address);
    }
    assert_eq!(scene.all(), far.map(|far| one(0, far)));
    // It is the LAN's no more.
    scene.addresses.remove(0);
    let rest = [near[0], near[1], far[0], far[1]];
    assert_eq!(scene.all(), rest.map(|far| one(0, far)));
}

#[test]
fn of_more_than_there_is_room_for_those_of_the_best_providers_stay() {
    let mut scene = Scene::new();
    let some = |from: u32, count: u32| -> Vec<IpAddr> {
        let first = u32::from(core::net::Ipv4Addr::new(203, 0, 113, 0)) + from;
        (first..first + count)
            .map(|bits| core::net::Ipv4Addr::from_bits(bits).into())
            .collect()
    };
    scene.netifd = [some(0, 100), some(100, 50)];
    assert!(scene.fill() && !scene.resolvers.is_crowded);
    assert_eq!(scene.resolvers.list.len(), RESOLVERS_MAX);
    scene.netifd[0] = some(150, 101);
    assert!(scene.fill() && scene.resolvers.is_crowded);
    let of_first = scene
        .resolvers
        .list
        .iter()
        .filter(|(slot, _)| slot.0 == 0)
        .count();
    assert_eq!((scene.resolvers.list.len(), of_first), (150, 101));
    scene.netifd[1].pop();
    assert!(scene.fill() && !scene.resolvers.is_crowded);
    assert_eq!(scene.resolvers.list.len(), 150);
}
