//! A router with a thousand devices, routes and rules of other programs: they take no memory of the daemon, cause no warning
//! and no verdict, and delay nothing.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto, socket,
};

use super::inspect::{counter, lookups, no_hole, path};
use super::lab::capture::index;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, meter, wait_until};
use super::overflow::{
    Before, assert_unaffected, batch, learned, relearn, settings, tables, warning,
};
use super::{SOON, leads, leads_in, online_with};

/// Pages that vary with the stack and with answers to clients.
const NOISE_KB: u64 = 16;

fn memory(daemon: &Daemon) -> u64 {
    daemon.status();
    meter::memory(daemon.pid()).anonymous
}

/// The objects are added, the daemon restarts, an upstream fails and returns, and the objects are deleted.
fn beside(come: impl Fn(&Lab), go: impl Fn(&Lab)) {
    let lab = learned();
    let mut daemon = online_with(&lab, &settings(&lab));
    assert!(leads(&lab, 1));
    let (before, alone) = (Before::now(&lab, &daemon), memory(&daemon));
    let lookups = lookups(&lab);
    come(&lab);
    let nothing = |daemon: &Daemon| {
        assert_unaffected(&lab, daemon, &before);
        assert_eq!(warning(daemon), None);
        assert_eq!(counter(daemon, "overflows"), 0);
        let now = memory(daemon);
        assert!(now <= alone + NOISE_KB, "{alone} kB, then {now} kB");
    };
    nothing(&daemon);
    daemon.kill9();
    daemon.launch();
    daemon.wait_for_all("online");
    nothing(&daemon);
    no_hole(lookups, &daemon);
    lab.upstream_dies(1);
    assert!(leads(&lab, 2), "{}", daemon.log());
    lab.upstream_returns(1);
    assert!(leads(&lab, 1), "{}", daemon.log());
    go(&lab);
    let told = || warning(&daemon).is_none() && tables(&lab) == before.tables;
    assert!(wait_until(SOON, told), "{}", daemon.log());
}

#[test]
fn of_containers() {
    in_lab(|| {
        let come = |lab: &Lab| {
            let lines = (1..=500).map(|n| {
                format!("link add veth{n} up group 7 type veth peer name peer{n} group 7")
            });
            batch(&lab.router, lines);
        };
        beside(come, |lab| lab.router.ip("link del group 7"));
    });
}

/// Each with a default route and a rule, by the device of a provider and by another device.
#[test]
fn of_customers_with_tables() {
    in_lab(|| {
        for device in ["lan0", "eth1"] {
            let lines = |verb: &'static str| {
                move |lab: &Lab| {
                    for (option, source) in [("-4", "198.51.100.7"), ("-6", "2001:db8:100::7")] {
                        let lines: Vec<String> = (1..=1100)
                            .map(|n| {
                                let table = 1000 + n;
                                format!(
                                    "route {verb} default dev {device} table {table} metric 7
                                     rule {verb} pref {table} from {source} iif lan0 lookup {table}"
                                )
                            })
                            .collect();
                        lab.router
                            .feed(&["ip", option, "-batch", "-"], &lines.join("\n"));
                    }
                }
            };
            beside(lines("add"), lines("del"));
        }
    });
}

/// 600 addresses of other devices.
fn of_addresses_beside(own: &str) {
    let come = |lab: &Lab| {
        let lines = (1..=600).map(|n| {
            let device = ["lo", "lan0"][n % 2];
            format!("addr add 2001:db8:a::{n:x}/128 dev {device} nodad")
        });
        batch(&lab.router, std::iter::once(own.to_owned()).chain(lines));
    };
    let go = |lab: &Lab| {
        for device in ["lo", "lan0"] {
            let flush = format!("addr flush dev {device} to 2001:db8:a::/64");
            lab.router.feed(&["ip", "-6", "-batch", "-"], &flush);
        }
    };
    beside(come, go);
}

#[test]
fn of_addresses() {
    in_lab(|| of_addresses_beside(""));
}

/// One would be enough to know that others have a part in it.
#[test]
fn of_addresses_in_a_providers_network() {
    in_lab(|| {
        // The path's own address stays, also after a restart: it is preferred.
        of_addresses_beside(
            "addr add 2001:db8:a::ffff/48 dev eth1 nodad preferred_lft 0 valid_lft 3600",
        );
    });
}

/// Routes in `main`, as a routing daemon adds them.
#[test]
fn of_routes() {
    in_lab(|| {
        let lines = |verb: &'static str| {
            move |lab: &Lab| {
                let routes = (0..100_000_u32).map(|n| {
                    let (high, low) = (0x1000 + n / 0x1000, n % 0x1000);
                    format!("route {verb} 2001:db8:{high:x}:{low:x}::/64 dev lan0 proto bgp")
                });
                batch(&lab.router, routes);
            }
        };
        beside(lines("add"), lines("del"));
    });
}

/// A full table of the Internet in IPv4, in `main` and in another table: as many routes to as many places as the addresses
/// for documentation allow, by many metrics.
#[test]
fn of_ipv4_routes() {
    in_lab(|| {
        let lines = |verb: &'static str| {
            move |lab: &Lab| {
                let routes = (0..100_000_u32).map(|n| {
                    let net = ["192.0.2", "198.51.100", "203.0.113"][(n % 3) as usize];
                    let (host, metric) = (n / 3 % 256, 1000 + n / 768);
                    let table = ["main", "300"][(n % 2) as usize];
                    let to = format!("{net}.{host}/32 dev lan0 proto bgp metric {metric}");
                    format!("route {verb} {to} table {table}")
                });
                batch(&lab.router, routes);
            }
        };
        beside(lines("add"), lines("del"));
    });
}

/// A router advertisement (RFC 4861, section 4.2), for 1800 seconds, from this address of the link, as an IPv6 packet.
fn advertisement(source: Ipv6Addr) -> Vec<u8> {
    let to: Ipv6Addr = "ff02::1".parse().unwrap();
    let mut message = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let addresses = [source.octets(), to.octets()].concat();
    let length = u8::try_from(message.len()).unwrap();
    let words = |bytes: &[u8]| -> u32 {
        let pairs = bytes.chunks(2);
        pairs
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
            .sum()
    };
    let mut sum = words(&addresses) + u32::from(length) + 58 + words(&message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).unwrap();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let header = [0x60, 0, 0, 0, 0, length, 58, 255];
    [&header[..], &addresses, &message].concat()
}

/// Sends one from each of these routers on the link of a provider.
fn advertise(lab: &Lab, number: usize, routers: u16) {
    let gateway = &lab.provider(number).gateway;
    let line = u32::try_from(index(gateway, "line")).unwrap();
    gateway.enter(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let raw = socket(
            AddressFamily::Inet6,
            SockType::Raw,
            flags,
            SockProtocol::Raw,
        )
        .unwrap();
        let all = SocketAddrV6::new("ff02::1".parse().unwrap(), 0, 0, line);
        for router in 0..routers {
            let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa, router);
            let bytes = advertisement(source);
            let to = SockaddrIn6::from(all);
            // It fails while the kernel has no room for neighbours.
            let _ = sendto(raw.as_raw_fd(), &bytes, &to, MsgFlags::empty());
        }
    });
}

/// Their routes are better than that of the provider's router, which is lost in IPv6. No other path is touched.
#[test]
fn of_routers_that_advertise_themselves_on_one_link() {
    in_lab(|| {
        let lab = learned();
        lab.router.sysctl("ipv6/conf/eth2/accept_ra", 2);
        let daemon = online_with(&lab, &settings(&lab));
        assert!(leads(&lab, 1));
        let lookups = lookups(&lab);
        let routes = || lab.router.defaults(Family::V6, 254).len();
        advertise(&lab, 2, 1500);
        // The kernel has little room for neighbours: 512, whatever namespace they are in, until some are old.
        assert!(wait_until(SOON, || routes() > 100), "{} routes", routes());
        let of_a_router = || {
            let gateway = path(&daemon.status(), "isp2", "ipv6")["gateway"].clone();
            gateway
                .as_str()
                .is_some_and(|gateway| gateway.starts_with("fe80::a:"))
        };
        assert!(wait_until(SOON, of_a_router), "{}", daemon.status());
        let touched = || {
            let log = daemon.log();
            let mut lines = log.lines();
            lines.any(|line| {
                line.contains("→ waiting")
                    || line.contains("1 ipv4: online →")
                    || line.contains("isp1 ipv6: online →")
            })
        };
        assert!(!touched(), "{}", daemon.log());
        assert!(leads(&lab, 1));
        lab.upstream_dies(1);
        assert!(leads_in(&lab, 2, Family::V4), "{}", daemon.log());
        lab.upstream_returns(1);
        assert!(leads(&lab, 1), "{}", daemon.log());
        no_hole(lookups, &daemon);
        let flush = "route flush dev eth2 proto ra";
        lab.router.feed(&["ip", "-6", "-batch", "-"], flush);
        relearn(&lab, 2);
        daemon.wait_for_all("online");
    });
}
