//! The mirror that events build equals the kernel's state.

use std::os::fd::AsFd;

use failover::config::{Config, load};
use failover::linux::netlink::Drained;
use failover::routing::mirror::{Kinds, Mirror};
use failover::routing::uplink::Told;
use failover::types::Family;
use nix::sys::socket::{setsockopt, sockopt};

use crate::lab::{Lab, default, ip, try_ip};

#[test]
fn changes_by_other_programs_are_seen() {
    let mut lab = Lab::new();
    for (v6, one, other, prefix) in [
        ("", "192.0.2.254", "192.0.2.253", "198.51.100.7/24"),
        ("-6 ", "fe80::1", "fe80::2", "2001:db8:ff::7/64"),
    ] {
        let here = |mirror: &Mirror, gateway: &str| {
            let gateway = gateway.parse().ok();
            mirror
                .routes()
                .iter()
                .filter(|route| route.gateway == gateway)
                .count()
        };
        ip(&format!(
            "{v6}route add default via {one} dev wan1 metric 50"
        ));
        assert!(lab.drain().has(Kinds::ROUTES));
        assert_eq!(here(&lab.mirror, one), 1);
        ip(&format!(
            "{v6}route replace default via {other} dev wan1 metric 50"
        ));
        lab.drain();
        assert_eq!((here(&lab.mirror, one), here(&lab.mirror, other)), (0, 1));
        ip(&format!(
            "{v6}route delete default via {other} dev wan1 metric 50"
        ));
        lab.drain();
        assert_eq!(here(&lab.mirror, other), 0);
        ip(&format!("address add {prefix} dev wan2"));
        assert!(lab.drain().has(Kinds::ADDRESSES));
        let known = |mirror: &Mirror| {
            let prefix = prefix.parse().unwrap();
            mirror
                .addresses()
                .iter()
                .any(|address| address.prefix == prefix)
        };
        assert!(known(&lab.mirror));
        ip(&format!("address delete {prefix} dev wan2"));
        lab.drain();
        assert!(!known(&lab.mirror));
        assert_eq!(lab.mirror.needs(), Kinds::NONE);
        lab.assert_true_picture("now");
    }
    // Foreign routes that are no default routes change nothing.
    ip("route add 203.0.113.0/24 via 192.0.2.254 dev wan1");
    assert_eq!(lab.drain(), Kinds::NONE);
}

#[test]
fn a_pulled_cable_and_a_renamed_and_deleted_device_are_seen() {
    let mut lab = Lab::new();
    ip("link set isp1 down");
    lab.until("carrier lost", |mirror| {
        mirror
            .link_named("wan1")
            .is_some_and(|link| link.up && !link.carrier)
    });
    ip("link set isp1 up");
    lab.until("carrier back", |mirror| {
        mirror.link_named("wan1").is_some_and(|link| link.carrier)
    });
    let wan2 = lab.index("wan2");
    ip("link set wan2 down");
    ip("link set wan2 name usb0");
    lab.drain();
    assert_eq!(lab.index("usb0"), wan2);
    ip("link delete usb0");
    lab.drain();
    assert!(lab.mirror.links().iter().all(|link| link.index != wan2));
    assert!(
        lab.mirror
            .addresses()
            .iter()
            .all(|address| address.device != wan2)
    );
    lab.dump(lab.mirror.needs());
    lab.assert_true_picture("now");
}

#[test]
fn admin_down_deletes_the_ipv4_routes_without_events() {
    let mut lab = Lab::new();
    let (wan1, wan2) = (lab.index("wan1"), lab.index("wan2"));
    lab.set(default(wan1, "192.0.2.254", 100));
    let stays = default(wan2, "192.0.2.254", 101);
    lab.set(stays);
    lab.set(default(wan1, "fe80::1", 100));
    ip("link set wan1 down");
    lab.drain();
    assert_eq!(lab.ours(), [stays], "at once");
    assert!(lab.mirror.needs().has(Kinds::ROUTES_V4));
    let changed = lab.dump(lab.mirror.needs());
    assert_eq!(changed, Kinds::NONE, "the dump confirms it");
    assert_eq!(lab.mirror.needs(), Kinds::NONE);
    lab.assert_true_picture("now");
}

#[test]
fn deleting_the_last_address_deletes_the_ipv4_routes_without_events() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    lab.set(default(wan1, "192.0.2.254", 100));
    ip("address delete 192.0.2.1/24 dev wan1");
    lab.drain();
    assert_eq!(lab.ours(), [], "at once");
    lab.dump(lab.mirror.needs());
    lab.assert_true_picture("now");
}

#[test]
fn multipath_routes_and_nexthop_objects_are_right_after_the_dump_that_they_cause() {
    let mut lab = Lab::new();
    let steps = [
        "-6 route add default via fe80::1 dev wan1 metric 50 table 176",
        "-6 route append default via fe80::2 dev wan1 metric 50 table 176",
        "-6 route delete default via fe80::1 dev wan1 metric 50 table 176",
        "-6 route replace default metric 50 table 176 nexthop via fe80::3 dev wan1 nexthop via fe80::4 dev wan2",
        "-6 route replace default via fe80::5 dev wan1 metric 50 table 176",
        "-6 route append default via fe80::6 dev wan1 metric 50 table 176",
        "-6 route delete default metric 50 table 176",
        "route add default metric 60 nexthop via 192.0.2.253 dev wan1 nexthop via 192.0.2.254 dev wan2",
        "route append default via 192.0.2.252 dev wan1 metric 60",
        "route replace default via 192.0.2.251 dev wan1 metric 60",
        "link set wan2 down",
        "nexthop add id 7 via 192.0.2.9 dev wan1",
        "route add default nhid 7 metric 70",
        "nexthop replace id 7 via 192.0.2.8 dev wan1",
        "nexthop delete id 7",
    ];
    for step in steps {
        ip(step);
        lab.drain();
        lab.dump(lab.mirror.needs());
        lab.assert_true_picture(step);
    }
}

#[test]
fn after_an_overrun_a_dump_corrects_the_mirror() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    setsockopt(&lab.events.fd().as_fd(), sockopt::RcvBuf, &4096).unwrap();
    let mut batch = String::new();
    for number in 0..3000 {
        batch += &format!(
            "route replace default via 192.0.2.{} dev wan1 metric 9\n",
            number % 200 + 3
        );
    }
    let file = std::env::temp_dir().join(format!("failover-overrun-{}", std::process::id()));
    std::fs::write(&file, batch).unwrap();
    ip(&format!("-batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    lab.drain();
    assert!(lab.mirror.counters.overruns > 0);
    assert_eq!(lab.mirror.needs(), Kinds::ALL);
    lab.dump(lab.mirror.needs());
    lab.assert_true_picture("now");
    // Events continue to arrive.
    lab.set(default(wan1, "192.0.2.254", 100));
    assert_eq!(lab.ours().len(), 1);
}

/// Until all events before an overrun are read, the kernel silently drops new ones.
#[test]
fn events_dropped_while_an_overrun_is_read_are_recovered() {
    let mut lab = Lab::new();
    let mut batch = String::new();
    for number in 0..6000 {
        let host = number % 200 + 3;
        batch += &format!("route replace default via 192.0.2.{host} dev wan1 metric 9\n");
    }
    let file = std::env::temp_dir().join(format!("failover-silence-{}", std::process::id()));
    std::fs::write(&file, batch).unwrap();
    ip(&format!("-batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    // As in the daemon: a part of the events; then a dump, if needed, and the events that arrived meanwhile.
    let first = lab.events.drain(&mut lab.mirror);
    assert!(first.more && lab.mirror.counters.overruns == 1);
    let made = lab.events.renew(&mut lab.requests, &mut lab.mirror);
    assert_eq!(made, Ok(false), "there is something left to read");
    ip("route add default via 192.0.2.254 dev wan2 metric 77");
    ip("link set wan1 down");
    let mut rounds = 0;
    while lab.events.drain(&mut lab.mirror).more || !lab.mirror.needs().is_empty() {
        lab.events
            .renew(&mut lab.requests, &mut lab.mirror)
            .unwrap();
        rounds += 1;
        assert!(rounds < 100);
    }
    assert_eq!(
        lab.mirror.counters.overruns, 1,
        "the kernel has not said it again"
    );
    lab.assert_true_picture("now");
}

/// An own address may be looked for while a part of the events is still to be read, and with it what other devices have. What
/// the overrun has left unknown is to be dumped after that, all the same.
#[test]
fn an_own_address_of_another_device_makes_no_dump_superfluous() {
    let mut lab = Lab::new();
    ip("-6 address flush dev wan1 scope global");
    ip("-6 route add default via fe80::1 dev wan1 metric 7");
    lab.drain();
    lab.dump(lab.mirror.needs());
    let text = "config provider 'isp1'\n\toption device 'wan1'\n\
         config check 'six'\n\toption type 'ping'\n\toption target '2001:db8:53::8'\n";
    let mut config = Config::default();
    let loaded = load(text.as_bytes(), &|_| None, &mut config, &mut |_| {});
    assert!(loaded.is_ok());
    let provider = &config.providers[0];
    let told = Told::device(&provider.device[Family::V6]);
    let mut changed = Kinds::NONE;
    lab.mirror.need(Kinds::ALL);
    let (requests, mirror) = (&mut lab.requests, &mut lab.mirror);
    let uplink = requests.uplink(&config, provider, Family::V6, told, mirror, &mut changed);
    assert_eq!(uplink.address, Some("2001:db8:2::1".parse().unwrap()));
    assert_eq!(lab.mirror.needs(), Kinds::ALL);
}

#[test]
fn a_drain_is_bounded() {
    let mut lab = Lab::new();
    let mut batch = String::new();
    for number in 0..400 {
        batch += &format!(
            "route replace default via 192.0.2.{} dev wan1 metric 9\n",
            number % 200 + 3
        );
    }
    let file = std::env::temp_dir().join(format!("failover-bounded-{}", std::process::id()));
    std::fs::write(&file, batch).unwrap();
    ip(&format!("-batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    assert!(lab.events.drain(&mut lab.mirror).more);
    lab.drain();
    assert_eq!(lab.events.drain(&mut lab.mirror), Drained::default());
    assert_eq!(lab.mirror.counters.overruns, 0);
    lab.assert_true_picture("now");
}

/// Pseudo-random numbers, the same in every run: xorshift32.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }
}

#[test]
fn after_random_changes_the_mirror_equals_a_fresh_dump() {
    let mut lab = Lab::new();
    let mut dice = Dice(20_260_101);
    let mut done = 0;
    for _ in 0..150 {
        let device = dice.roll(2) + 1;
        let verb = ["add", "replace", "append", "delete"][dice.roll(4) as usize];
        let simple = ["add", "delete"][dice.roll(2) as usize];
        let metric = 100 + dice.roll(3);
        let host = 200 + dice.roll(4);
        let protocol = [4, 176][dice.roll(2) as usize];
        let table = [254, 176, 17601][dice.roll(3) as usize];
        let way = format!("dev wan{device} metric {metric} proto {protocol}");
        let rest = format!("{way} table {table}");
        let command = match dice.roll(10) {
            0..3 => format!("route {verb} default via 192.0.2.{host} {rest}"),
            3..6 => format!("-6 route {verb} default via fe80::{host} {rest}"),
            // Never in `main`, where we have only default routes: other routes there are ignored.
            6 => format!("route {verb} 203.0.113.0/24 {way} table 17601"),
            7 => format!("address {simple} 192.0.2.{host}/24 dev wan{device}"),
            8 => format!(
                "rule {simple} pref {} lookup {table} protocol {protocol}",
                17600 + host
            ),
            _ => format!(
                "link set wan{device} {}",
                ["up", "down"][dice.roll(2) as usize]
            ),
        };
        done += u32::from(try_ip(&command));
        lab.drain();
        if !lab.mirror.needs().is_empty() {
            lab.dump(lab.mirror.needs());
        }
        lab.assert_true_picture(&command);
    }
    assert!(done > 60, "only {done} commands did anything");
    assert_eq!(lab.mirror.counters, Default::default());
}
