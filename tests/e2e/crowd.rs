//! A router with a thousand devices, routes and rules of other programs: they take no memory of the daemon, cause no warning
//! and no verdict, and delay nothing.

use super::inspect::{counter, lookups, no_hole};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, meter, wait_until};
use super::overflow::{assert_unaffected, batch, learned, settings, tables, warning};
use super::{SOON, leads, online_with};

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
    let (before, alone) = (tables(&lab), memory(&daemon));
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
    let told = || warning(&daemon).is_none() && tables(&lab) == before;
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
    in_lab(|| of_addresses_beside("addr add 2001:db8:a::ffff/48 dev eth1 nodad"));
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
