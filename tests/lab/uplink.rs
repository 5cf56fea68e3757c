//! The provider fixture: one uplink with its link, its gateway, the Internet behind it, and all their addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::firewall::Nat;
use super::namespace::Namespace;
use super::topology::{Builder, Family, TARGETS_V4, TARGETS_V6, new_namespace};
use super::wire::Wire;

/// The kind of link of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// a cable: gateway, ARP, carrier
    Ethernet,
    /// a device with `IFF_POINTOPOINT`, without gateway or ARP (needs `/dev/net/tun` and `socat`)
    PointToPoint,
}

/// One uplink: the link, the gateway at its end, and the Internet behind.
#[derive(Debug)]
pub struct Provider {
    /// from 1
    pub number: usize,
    /// `isp1` …
    pub name: String,
    /// the router's device: `eth1` …
    pub device: String,
    /// the kind of its link
    pub kind: Kind,
    /// whether it has IPv6
    pub ipv6: bool,
    routes_lan: bool,
    delegates: bool,
    /// its gateway: `line` towards the router, `core` towards the Internet
    pub gateway: Namespace,
    /// the Internet behind it
    pub server: Namespace,
    addresses: Mutex<Addresses>,
    wire: Mutex<Option<Wire>>,
    /// the delay of a point-to-point link
    delay: Duration,
    /// the number of links so far
    wires: AtomicU32,
}

impl Builder {
    /// Provider `number`, connected to the router.
    pub(super) fn provider(&self, number: usize, router: &Namespace) -> Provider {
        let kind = self.kinds.iter().find(|(n, _)| *n == number);
        let provider = Provider {
            number,
            name: format!("isp{number}"),
            device: format!("eth{number}"),
            kind: kind.map_or(Kind::Ethernet, |(_, kind)| *kind),
            ipv6: !self.only_ipv4.contains(&number),
            routes_lan: !self.nat && !self.private_lan && self.translation == Nat::Off,
            delegates: self.delegated,
            gateway: new_namespace(&format!("gateway of isp{number}")),
            server: new_namespace(&format!("Internet by isp{number}")),
            addresses: Mutex::new(Addresses::new(self, number)),
            wire: Mutex::new(None),
            delay: self.delay,
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
        if self.delegated {
            provider.drop_foreign_sources();
        }
        provider
    }
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
    /// Up to four providers get a /26 each, more get a /30.
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

    /// The address plus `steps`, in the same network.
    pub fn further_v4(address: Ipv4Addr, steps: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(address.to_bits() + steps)
    }

    /// The address plus `steps`, in the same network.
    pub(super) fn further_v6(address: Ipv6Addr, steps: u128) -> Ipv6Addr {
        Ipv6Addr::from_bits(address.to_bits() + steps)
    }
}

impl Provider {
    /// Its current addresses.
    pub fn addresses(&self) -> Addresses {
        *self
            .addresses
            .lock()
            .expect("no thread panics while holding it")
    }

    pub(super) fn set_addresses(&self, addresses: Addresses) {
        *self
            .addresses
            .lock()
            .expect("no thread panics while holding it") = addresses;
    }

    /// The router's address.
    pub fn own(&self, family: Family) -> IpAddr {
        self.addresses().own(family)
    }

    /// The gateway's address.
    pub fn gateway_address(&self, family: Family) -> IpAddr {
        self.addresses().gateway(family)
    }

    /// Creates the link between router and gateway, and configures the addresses of both ends.
    pub(super) fn connect(&self, router: &Namespace) {
        let device = &self.device;
        let number = self.wires.fetch_add(1, Ordering::Relaxed);
        // If both ends have the same index, the kernel takes a device for its own lower device, and reports its carrier up
        // to a second later. So the index differs from all gateways' devices, and is a new one each time.
        let index = 1000 * (number + 1) + u32::try_from(self.number).expect("64 at most");
        match self.kind {
            Kind::Ethernet => router.ip(&format!(
                "link add {device} index {index} type veth peer name line netns {}",
                self.gateway.thread_id()
            )),
            Kind::PointToPoint => {
                let wire = Wire::lay(router, device, &self.gateway, "line", self.delay);
                *self.wire.lock().expect("no thread panics while holding it") = Some(wire);
            }
        }
        self.gateway.ip(&self.gateway_lines());
        router.ip(&self.router_lines());
    }

    /// Deletes the link with the devices at both ends.
    pub(super) fn disconnect(&self, router: &Namespace) {
        match self.kind {
            Kind::Ethernet => router.ip(&format!("link del {}", self.device)),
            Kind::PointToPoint => drop(
                self.wire
                    .lock()
                    .expect("no thread panics while holding it")
                    .take(),
            ),
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

    /// What the router loses in IPv6 when its device goes down, and its network configuration restores.
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

    /// The gateway's routes to the LAN, through the router.
    pub(super) fn lan_lines(&self) -> String {
        let a = self.addresses();
        let mut lines = String::new();
        if self.routes_lan {
            lines += &format!(
                "route replace 198.51.100.0/24 via {} dev line onlink\n",
                a.own_v4
            );
        }
        if self.delegates {
            let prefix = Provider::in_prefix(self.number, 0);
            lines += &format!(
                "route replace {prefix}/64 via {} dev line onlink\n",
                a.own_v6
            );
        }
        if self.routes_lan && !self.delegates && self.ipv6 {
            lines += &format!(
                "route replace 2001:db8:100::/64 via {} dev line onlink\n",
                a.own_v6
            );
        }
        lines
    }

    /// An address of the prefix that provider `number` delegates to the LAN, of 64 bits.
    pub fn in_prefix(number: usize, host: u16) -> Ipv6Addr {
        let net = u16::try_from(number).expect("64 at most");
        Ipv6Addr::new(0x2001, 0xdb8, 0x1000 + net, 0, 0, 0, 0, host)
    }

    /// See BCP 38. Not followed when addresses change.
    fn drop_foreign_sources(&self) {
        let a = self.addresses();
        let own_v4 = format!("{}/{}", a.gateway_v4, a.prefix_v4);
        let (own_v6, prefix) = (a.gateway_v6, Provider::in_prefix(self.number, 0));
        let of = |family, sources: &[String]| {
            let mut lines = String::new();
            for source in sources {
                lines += &format!("rule add pref 10 iif line from {source} lookup main\n");
            }
            lines += "rule add pref 11 iif line blackhole\n";
            self.gateway.batch(family, &lines);
        };
        let lan = self.routes_lan.then(|| "198.51.100.0/24".to_owned());
        let sources: Vec<String> = [own_v4].into_iter().chain(lan).collect();
        of(Family::V4, &sources);
        of(
            Family::V6,
            &[format!("{own_v6}/64"), format!("{prefix}/64")],
        );
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

    /// The Internet side: the targets, and the route back.
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
