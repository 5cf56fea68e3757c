//! The topology and its addresses: [`Lab`] builds and owns it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

pub use failover::types::Family;

use super::firewall::Nat;
use super::internet::Internet;
use super::namespace::Namespace;
pub use super::uplink::{Addresses, Kind, Provider};

/// The most providers of a lab.
pub const PROVIDERS_MAX: usize = 64;
/// The IPv4 targets, on the Internet side of each provider.
pub const TARGETS_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(203, 0, 113, 8), Ipv4Addr::new(203, 0, 113, 9)];
/// See [`TARGETS_V4`].
pub const TARGETS_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 8),
    Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 9),
];
/// The router's address towards the LAN.
pub const LAN_ROUTER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 1)),
];

/// The first target of a family.
pub fn target(family: Family) -> IpAddr {
    match family {
        Family::V4 => TARGETS_V4[0].into(),
        Family::V6 => TARGETS_V6[0].into(),
    }
}

/// The second target of a family.
pub fn other_target(family: Family) -> IpAddr {
    match family {
        Family::V4 => TARGETS_V4[1].into(),
        Family::V6 => TARGETS_V6[1].into(),
    }
}

/// Describes a lab to build.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) providers: usize,
    pub(super) kinds: Vec<(usize, Kind)>,
    pub(super) only_ipv4: Vec<usize>,
    pub(super) same_addresses: bool,
    pub(super) nat: bool,
    pub(super) translation: Nat,
    pub(super) tracks: bool,
    pub(super) delegated: bool,
    pub(super) private_lan: bool,
    pub(super) rp_filter: u32,
    pub(super) delay: Duration,
}

impl Builder {
    /// The number of providers, from 1 to [`PROVIDERS_MAX`].
    #[must_use]
    pub fn providers(mut self, providers: usize) -> Builder {
        assert!((1..=PROVIDERS_MAX).contains(&providers));
        self.providers = providers;
        self
    }

    /// The kind of link of provider `number` (from 1).
    #[must_use]
    pub fn kind(mut self, number: usize, kind: Kind) -> Builder {
        self.kinds.push((number, kind));
        self
    }

    /// Provider `number` (from 1) has no IPv6.
    #[must_use]
    pub fn only_ipv4(mut self, number: usize) -> Builder {
        self.only_ipv4.push(number);
        self
    }

    /// All providers have the same gateway address, the same own address and the same network.
    #[must_use]
    pub fn same_addresses(mut self) -> Builder {
        self.same_addresses = true;
        self
    }

    /// The router masquerades packets that leave by a provider, and providers drop packets from foreign addresses. Needs
    /// `nft`.
    #[must_use]
    pub fn nat(mut self) -> Builder {
        self.nat = true;
        self
    }

    /// The router tracks connections, and drops what belongs to none, as firewalls do.
    #[must_use]
    pub fn tracks(mut self) -> Builder {
        self.tracks = true;
        self
    }

    /// The router translates IPv4 like this and tracks connections. Each provider delegates an IPv6 prefix to the LAN, see
    /// [`Provider::prefix`]: the LAN host has an address of each. Providers drop packets from foreign addresses.
    #[must_use]
    pub fn household(mut self, translation: Nat) -> Builder {
        self.translation = translation;
        self.delegated = true;
        self.tracks = true;
        self
    }

    /// Providers do not route the LAN's own addresses: as [`Builder::household`], without any NAT on the router.
    #[must_use]
    pub fn private_lan(mut self) -> Builder {
        self.private_lan = true;
        self
    }

    /// The router's `rp_filter`: 0 none (default), 1 strict, 2 loose.
    #[must_use]
    pub fn rp_filter(mut self, value: u32) -> Builder {
        self.rp_filter = value;
        self
    }

    /// The delay of a point-to-point link, in each direction.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Builder {
        self.delay = delay;
        self
    }

    /// Builds it.
    pub fn build(self) -> Lab {
        let router = new_namespace("router");
        router.sysctls(&[
            ("ipv4/ip_forward", 1),
            ("ipv6/conf/default/forwarding", 1),
            ("ipv6/conf/all/forwarding", 1),
            // The maximum of `all` and the device's value counts, and new devices take `default`.
            ("ipv4/conf/default/rp_filter", self.rp_filter),
        ]);
        let lan = new_namespace("lan");
        router.ip(&format!(
            "link set lo up
             link add lan0 index 1000 type veth peer name eth0 netns {}
             addr add {}/24 dev lan0
             addr add {}/64 dev lan0 nodad
             link set lan0 up",
            lan.thread_id(),
            LAN_ROUTER[0],
            LAN_ROUTER[1],
        ));
        lan.ip("link set lo up
             addr add 198.51.100.2/24 dev eth0
             addr add 2001:db8:100::2/64 dev eth0 nodad
             link set eth0 up
             route add default via 198.51.100.1
             route add ::/0 via 2001:db8:100::1");
        let providers = (1..=self.providers)
            .map(|number| self.provider(number, &router))
            .collect();
        if self.nat {
            router.feed(&["nft", "-f", "-"], MASQUERADE);
        }
        let lab = Lab {
            internet: Mutex::new(None),
            providers,
            router,
            lan,
            nat: self.nat,
        };
        if self.delegated {
            lab.delegate();
        }
        if self.translation != Nat::Off {
            lab.translate(self.translation);
        }
        if self.tracks {
            lab.track();
        }
        lab
    }
}

/// Packets leave with the address of their device.
const MASQUERADE: &str = "
    table ip lab {
        chain leaving { type nat hook postrouting priority 100; oifname \"eth*\" masquerade; }
    }
    table ip6 lab {
        chain leaving { type nat hook postrouting priority 100; oifname \"eth*\" masquerade; }
    }
";

/// A namespace without delays: addresses are usable at once, and no host answers for addresses that are not on the link.
pub(super) fn new_namespace(name: &str) -> Namespace {
    let namespace = Namespace::new(name);
    namespace.sysctls(&[
        ("ipv4/conf/all/arp_ignore", 1),
        ("ipv4/conf/all/rp_filter", 0),
        ("ipv4/conf/default/rp_filter", 0),
        ("ipv4/conf/all/promote_secondaries", 1),
        ("ipv6/conf/all/accept_dad", 0),
        ("ipv6/conf/default/accept_dad", 0),
        ("ipv6/conf/default/accept_ra", 0),
        ("ipv6/conf/default/router_solicitations", 0),
    ]);
    namespace
}

/// The whole lab. Dropping it removes everything.
#[derive(Debug)]
pub struct Lab {
    pub(super) internet: Mutex<Option<Internet>>,
    /// the uplinks
    pub providers: Vec<Provider>,
    /// the namespace of the daemon: devices `eth1`, `eth2` … and `lan0`
    pub router: Namespace,
    /// a host behind the router
    pub lan: Namespace,
    /// whether the router masquerades
    pub nat: bool,
}

impl Lab {
    /// A lab with two providers, without NAT and reverse-path filter.
    #[allow(clippy::new_without_default)] // it builds half a dozen namespaces
    pub fn new() -> Lab {
        Lab::builder().build()
    }

    /// A builder for other labs.
    pub fn builder() -> Builder {
        Builder {
            providers: 2,
            kinds: Vec::new(),
            only_ipv4: Vec::new(),
            same_addresses: false,
            nat: false,
            translation: Nat::Off,
            tracks: false,
            delegated: false,
            private_lan: false,
            rp_filter: 0,
            delay: Duration::ZERO,
        }
    }

    /// Router and LAN host get addresses of each provider's prefix.
    fn delegate(&self) {
        for provider in &self.providers {
            let at = |host| Provider::in_prefix(provider.number, host);
            self.router
                .ip(&format!("addr add {}/64 dev lan0 nodad", at(1)));
            self.lan
                .ip(&format!("addr add {}/64 dev eth0 nodad", at(2)));
        }
    }

    /// The LAN host's new IPv6 connections have its address of this provider's prefix.
    pub fn lan_prefers(&self, number: usize) {
        let (router, host) = (LAN_ROUTER[1], Provider::in_prefix(number, 2));
        self.lan
            .ip(&format!("route replace ::/0 via {router} src {host}"));
    }

    /// Waits until all links transmit: a new one drops packets until the kernel has processed its carrier.
    #[must_use]
    pub fn carrying(self) -> Lab {
        let carries = || {
            self.providers.iter().all(|provider| {
                let router = self.router.is_up(&provider.device);
                let gateway = ["line", "core"].into_iter();
                let gateway = gateway.map(|device| provider.gateway.is_up(device));
                router && gateway.into_iter().all(|up| up) && provider.server.is_up("eth0")
            })
        };
        assert!(super::wait_until(Duration::from_secs(5), carries));
        self
    }

    /// Provider `number`, from 1.
    pub fn provider(&self, number: usize) -> &Provider {
        &self.providers[number - 1]
    }

    /// Starts the echo servers on the Internet side of each provider, once.
    pub fn serve(&self) {
        let mut internet = self
            .internet
            .lock()
            .expect("no thread panics while holding it");
        if internet.is_none() {
            *internet = Some(Internet::start(self));
        }
    }
}
