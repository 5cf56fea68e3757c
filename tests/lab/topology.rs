//! Who is connected to whom, with which addresses: [`Lab`] builds it and holds it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

pub use failover::net::Family;

use super::internet::Internet;
use super::namespace::Namespace;
use super::wire::Wire;

/// The most providers of a lab.
pub const PROVIDERS_MAX: usize = 64;
/// The targets in each family, on the Internet's side of each provider.
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

/// What a provider is connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// a cable: gateway, ARP, carrier
    Ethernet,
    /// a device with `IFF_POINTOPOINT`, without gateway or ARP (needs `/dev/net/tun` and `socat`)
    PointToPoint,
}

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Builder {
    providers: usize,
    kinds: Vec<(usize, Kind)>,
    only_ipv4: Vec<usize>,
    same_addresses: bool,
    nat: bool,
    rp_filter: u32,
}

impl Builder {
    /// So many providers, from 1 to [`PROVIDERS_MAX`].
    #[must_use]
    pub fn providers(mut self, providers: usize) -> Builder {
        assert!((1..=PROVIDERS_MAX).contains(&providers));
        self.providers = providers;
        self
    }

    /// What provider `number` (from 1) is connected by.
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

    /// The router masquerades what leaves by a provider, and providers drop what does not come from their own
    /// addresses. Needs `nft`.
    #[must_use]
    pub fn nat(mut self) -> Builder {
        self.nat = true;
        self
    }

    /// The router's `rp_filter`: 0 none (default), 1 strict, 2 loose.
    #[must_use]
    pub fn rp_filter(mut self, value: u32) -> Builder {
        self.rp_filter = value;
        self
    }

    /// Builds it.
    pub fn build(self) -> Lab {
        let router = new_namespace("router");
        router.sysctls(&[
            ("ipv4/ip_forward", 1),
            ("ipv6/conf/default/forwarding", 1),
            ("ipv6/conf/all/forwarding", 1),
            // The maximum of `all` and the device's counts, and new devices take `default`.
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
        Lab {
            internet: Mutex::new(None),
            providers,
            router,
            lan,
            nat: self.nat,
        }
    }

    fn provider(&self, number: usize, router: &Namespace) -> Provider {
        let kind = self.kinds.iter().find(|(n, _)| *n == number);
        let provider = Provider {
            number,
            name: format!("isp{number}"),
            device: format!("eth{number}"),
            kind: kind.map_or(Kind::Ethernet, |(_, kind)| *kind),
            ipv6: !self.only_ipv4.contains(&number),
            routes_lan: !self.nat,
            gateway: new_namespace(&format!("gateway of isp{number}")),
            server: new_namespace(&format!("Internet by isp{number}")),
            addresses: Mutex::new(Addresses::new(self, number)),
            wire: Mutex::new(None),
            wires: AtomicU32::new(0),
        };
        let gateway = &provider.gateway;
        gateway.sysctls(&[
            ("ipv4/ip_forward", 1),
            ("ipv6/conf/default/forwarding", 1),
            ("ipv6/conf/all/forwarding", 1),
        ]);
        gateway.ip(&provider.uplink_lines());
        provider.server.ip(&provider.server_lines());
        provider.connect(router);
        provider
    }
}

/// IPv4 and IPv6 leave with the address of the device they leave by.
const MASQUERADE: &str = "
    table ip lab {
        chain leaving { type nat hook postrouting priority 100; oifname \"eth*\" masquerade; }
    }
    table ip6 lab {
        chain leaving { type nat hook postrouting priority 100; oifname \"eth*\" masquerade; }
    }
";

/// A namespace in which nothing waits: addresses are usable at once, and nobody answers for what is not on the link.
fn new_namespace(name: &str) -> Namespace {
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

/// The whole laboratory. Dropping it takes everything away.
#[derive(Debug)]
pub struct Lab {
    pub(super) internet: Mutex<Option<Internet>>,
    /// the uplinks
    pub providers: Vec<Provider>,
    /// where the daemon runs: devices `eth1`, `eth2` … and `lan0`
    pub router: Namespace,
    /// a host behind the router
    pub lan: Namespace,
    /// whether the router masquerades
    pub nat: bool,
}

impl Lab {
    /// Two providers, no NAT, no reverse path filter.
    #[allow(clippy::new_without_default)] // it builds half a dozen namespaces
    pub fn new() -> Lab {
        Lab::builder().build()
    }

    /// For everything else.
    pub fn builder() -> Builder {
        Builder {
            providers: 2,
            kinds: Vec::new(),
            only_ipv4: Vec::new(),
            same_addresses: false,
            nat: false,
            rp_filter: 0,
        }
    }

    /// Provider `number`, from 1.
    pub fn provider(&self, number: usize) -> &Provider {
        &self.providers[number - 1]
    }

    /// Starts the echo servers on the Internet's side of each provider, once.
    pub fn serve(&self) {
        let mut internet = self
            .internet
            .lock()
            .expect("nobody panics while holding it");
        if internet.is_none() {
            *internet = Some(Internet::start(self));
        }
    }
}

/// One uplink: the wire, the gateway at its end, and the Internet behind.
#[derive(Debug)]
pub struct Provider {
    /// from 1
    pub number: usize,
    /// `isp1` …
    pub name: String,
    /// the router's device: `eth1` …
    pub device: String,
    /// what it is connected by
    pub kind: Kind,
    /// whether it has IPv6
    pub ipv6: bool,
    routes_lan: bool,
    /// its gateway: `line` towards the router, `core` towards the Internet
    pub gateway: Namespace,
    /// the Internet as seen through it
    pub server: Namespace,
    addresses: Mutex<Addresses>,
    wire: Mutex<Option<Wire>>,
    /// how many there have been
    wires: AtomicU32,
}

/// The addresses of one provider's link to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// the router's, in IPv4
    pub own_v4: Ipv4Addr,
    /// the gateway's, in IPv4
    pub gateway_v4: Ipv4Addr,
    /// the length of the IPv4 network's prefix
    pub prefix_v4: u8,
    /// the router's, in IPv6 (/64)
    pub own_v6: Ipv6Addr,
    /// the gateway's, in IPv6; it has `fe80::1`, too
    pub gateway_v6: Ipv6Addr,
}

impl Addresses {
    /// Up to four providers get a /26 each, more a /30.
    fn new(builder: &Builder, number: usize) -> Addresses {
        let place = if builder.same_addresses { 1 } else { number };
        let (prefix_v4, size) = if builder.providers <= 4 {
            (26, 64)
        } else {
            (30, 4)
        };
        let first = u8::try_from((place - 1) * size).expect("64 providers at most");
        let net = u16::try_from(place).expect("64 providers at most");
        let v6 = |host| Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host);
        Addresses {
            own_v4: Ipv4Addr::new(192, 0, 2, first + 2),
            gateway_v4: Ipv4Addr::new(192, 0, 2, first + 1),
            prefix_v4,
            own_v6: v6(2),
            gateway_v6: v6(1),
        }
    }

    /// The router's address.
    pub fn own(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.own_v4.into(),
            Family::V6 => self.own_v6.into(),
        }
    }

    /// The gateway's address.
    pub fn gateway(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.gateway_v4.into(),
            Family::V6 => self.gateway_v6.into(),
        }
    }

    /// The address `steps` further in the same network.
    pub(super) fn further_v4(address: Ipv4Addr, steps: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(address.to_bits() + steps)
    }

    /// The address `steps` further in the same network.
    pub(super) fn further_v6(address: Ipv6Addr, steps: u128) -> Ipv6Addr {
        Ipv6Addr::from_bits(address.to_bits() + steps)
    }
}

impl Provider {
    /// Its addresses as they are now.
    pub fn addresses(&self) -> Addresses {
        *self
            .addresses
            .lock()
            .expect("nobody panics while holding it")
    }

    pub(super) fn set_addresses(&self, addresses: Addresses) {
        *self
            .addresses
            .lock()
            .expect("nobody panics while holding it") = addresses;
    }

    /// The router's address.
    pub fn own(&self, family: Family) -> IpAddr {
        self.addresses().own(family)
    }

    /// The gateway's address.
    pub fn gateway_address(&self, family: Family) -> IpAddr {
        self.addresses().gateway(family)
    }

    /// Lays the wire between router and gateway, and gives both ends their addresses.
    pub(super) fn connect(&self, router: &Namespace) {
        let device = &self.device;
        let number = self.wires.fetch_add(1, Ordering::Relaxed);
        // The kernel takes a device for its own lower one when both ends have the same index, and tells of its
        // carrier up to a second later. So this is an index that no gateway's device has; and a new one each time.
        let index = 1000 * (number + 1) + u32::try_from(self.number).expect("64 at most");
        match self.kind {
            Kind::Ethernet => router.ip(&format!(
                "link add {device} index {index} type veth peer name line netns {}",
                self.gateway.thread_id()
            )),
            Kind::PointToPoint => {
                let wire = Wire::lay(router, device, &self.gateway, "line");
                *self.wire.lock().expect("nobody panics while holding it") = Some(wire);
            }
        }
        self.gateway.ip(&self.gateway_lines());
        router.ip(&self.router_lines());
    }

    /// Takes the wire away, with the devices at both ends.
    pub(super) fn disconnect(&self, router: &Namespace) {
        match self.kind {
            Kind::Ethernet => router.ip(&format!("link del {}", self.device)),
            Kind::PointToPoint => drop(self.wire.lock().expect("nobody panics").take()),
        }
    }

    /// The router's end of the wire.
    fn router_lines(&self) -> String {
        let (device, a) = (&self.device, self.addresses());
        let v4 = match self.kind {
            Kind::Ethernet => format!("{}/{}", a.own_v4, a.prefix_v4),
            Kind::PointToPoint => format!("{} peer {}", a.own_v4, a.gateway_v4),
        };
        format!(
            "addr add {v4} dev {device}\nlink set {device} up\n{}",
            self.router_lines_v6()
        )
    }

    /// What the router loses in IPv6 when its device goes down, and its network configuration sets again.
    pub(super) fn router_lines_v6(&self) -> String {
        let (device, a) = (&self.device, self.addresses());
        match (self.ipv6, self.kind) {
            (false, _) => String::new(),
            (true, Kind::Ethernet) => format!("addr replace {}/64 dev {device} nodad\n", a.own_v6),
            (true, Kind::PointToPoint) => {
                format!(
                    "addr replace {} peer {} dev {device} nodad\n",
                    a.own_v6, a.gateway_v6
                )
            }
        }
    }

    /// The gateway's end of the wire. May be repeated.
    pub(super) fn gateway_lines(&self) -> String {
        let a = self.addresses();
        let v4 = match self.kind {
            Kind::Ethernet => format!("{}/{}", a.gateway_v4, a.prefix_v4),
            Kind::PointToPoint => format!("{} peer {}", a.gateway_v4, a.own_v4),
        };
        let mut lines = format!("link set line up\naddr replace {v4} dev line\n");
        if self.ipv6 {
            let v6 = match self.kind {
                Kind::Ethernet => format!("{}/64", a.gateway_v6),
                Kind::PointToPoint => format!("{} peer {}", a.gateway_v6, a.own_v6),
            };
            lines += &format!(
                "addr replace {v6} dev line nodad\naddr replace fe80::1/64 dev line nodad\n"
            );
        }
        lines + &self.lan_lines()
    }

    /// The gateway's ways to the LAN, through the router.
    pub(super) fn lan_lines(&self) -> String {
        let a = self.addresses();
        let mut lines = String::new();
        if self.routes_lan {
            lines += &format!(
                "route replace 198.51.100.0/24 via {} dev line onlink\n",
                a.own_v4
            );
        }
        if self.routes_lan && self.ipv6 {
            lines += &format!(
                "route replace 2001:db8:100::/64 via {} dev line onlink\n",
                a.own_v6
            );
        }
        lines
    }

    /// The gateway's uplink to the Internet: addresses from 203.0.113.128 and 2001:db8:fe::.
    fn uplink_lines(&self) -> String {
        let (even, net) = (self.number * 2 + 126, self.number);
        format!(
            "link set lo up
             link add core index 1000 type veth peer name eth0 netns {}
             addr add 203.0.113.{}/31 dev core
             addr add 2001:db8:fe:{net:x}::1/64 dev core nodad
             link set core up
             route add default via 203.0.113.{even} onlink dev core
             route add ::/0 via 2001:db8:fe:{net:x}::2 dev core",
            self.server.thread_id(),
            even + 1,
        )
    }

    /// The Internet's side: the targets, and the way back.
    fn server_lines(&self) -> String {
        let (even, net) = (self.number * 2 + 126, self.number);
        let mut lines = format!(
            "link set lo up
             addr add 203.0.113.{even}/31 dev eth0
             addr add 2001:db8:fe:{net:x}::2/64 dev eth0 nodad
             link set eth0 up
             route add default via 203.0.113.{}
             route add ::/0 via 2001:db8:fe:{net:x}::1\n",
            even + 1,
        );
        for target in TARGETS_V4 {
            lines += &format!("addr add {target}/32 dev lo\n");
        }
        for target in TARGETS_V6 {
            lines += &format!("addr add {target}/128 dev lo nodad\n");
        }
        lines
    }
}
