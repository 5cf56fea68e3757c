//! On the real kernel, with the real `nft`, in a network namespace of the test's own.

use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration as StdDuration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};

use super::*;
use crate::linux::fixture::own_namespace;
use crate::types::Duration;

const MASK: u32 = 0xff00_0000;

/// Runs `nft` with a text, which may begin with `-j`; returns its output.
fn nft(text: &str) -> String {
    let mut command = Command::new("nft");
    let (options, text) = match text.strip_prefix("-j ") {
        Some(text) => (["-j"].as_slice(), text),
        None => (&[][..], text),
    };
    command.args(options).arg(text).stderr(Stdio::inherit());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

/// Entries that the test adds, as traffic would.
struct Entries {
    netfilter: Netfilter,
    made: u16,
}

impl Entries {
    /// Adds an entry: of UDP, with ports of its own.
    fn add(&mut self, family: Family, mark: u32, translated: bool) {
        self.made += 1;
        let [lan, own, server]: [IpAddr; 3] = match family {
            Family::V4 => ["192.0.2.9", "198.51.100.1", "203.0.113.5"],
            Family::V6 => ["2001:db8:1::9", "2001:db8:2::1", "2001:db8:3::5"],
        }
        .map(|address| address.parse().unwrap());
        let mut attributes: Vec<u8, 300> = Vec::new();
        nest(&mut attributes, 1, &self.tuple([lan, server])).unwrap();
        nest(&mut attributes, 2, &self.tuple([server, lan])).unwrap();
        copy(&mut attributes, 7, &600_u32.to_be_bytes()).unwrap();
        copy(&mut attributes, 8, &mark.to_be_bytes()).unwrap();
        if translated {
            let mut source: Vec<u8, 20> = Vec::new();
            match own {
                IpAddr::V4(own) => copy(&mut source, 1, &own.octets()),
                IpAddr::V6(own) => copy(&mut source, 4, &own.octets()),
            }
            .unwrap();
            nest(&mut attributes, 6, &source).unwrap();
        }
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let body = [address_family(family), 0, 0, 0];
        let mut request = Request::new(SUBSYSTEM, flags, &body);
        request.add(&attributes);
        self.netfilter.acknowledged(&mut request).unwrap();
    }

    fn tuple(&self, addresses: [IpAddr; 2]) -> Vec<u8, 100> {
        let mut sides: Vec<u8, 40> = Vec::new();
        for (kind, address) in (1..).zip(addresses) {
            match address {
                IpAddr::V4(address) => copy(&mut sides, kind, &address.octets()),
                IpAddr::V6(address) => copy(&mut sides, kind + 2, &address.octets()),
            }
            .unwrap();
        }
        let mut protocol: Vec<u8, 24> = Vec::new();
        copy(&mut protocol, 1, &[17]).unwrap();
        for kind in [2, 3] {
            copy(&mut protocol, kind, &self.made.to_be_bytes()).unwrap();
        }
        let mut tuple = Vec::new();
        nest(&mut tuple, 1, &sides).unwrap();
        nest(&mut tuple, 2, &protocol).unwrap();
        tuple
    }
}

/// The marks of the entries that have bits of the mask, sorted.
fn marks(mask: u32) -> std::vec::Vec<(Family, u32)> {
    let mut marks = std::vec::Vec::new();
    count_by_mark(mask, &mut |family, mark| marks.push((family, mark))).unwrap();
    marks.sort_by_key(|(family, mark)| (*family == Family::V6, *mark));
    marks
}

#[test]
fn a_deletion_spares_the_other_family_other_marks_and_what_is_not_translated() {
    if !own_namespace() {
        return;
    }
    let netfilter = Netfilter::new();
    let mut entries = Entries { netfilter, made: 0 };
    for family in Family::ALL {
        for mark in [0x0100_0000, 0x0100_0007, 0x0200_0000, 0x8100_0000, 7, 0] {
            for translated in [false, true] {
                entries.add(family, mark, translated);
            }
        }
    }
    let mut netfilter = entries.netfilter;
    assert!(netfilter.has_ctnetlink());
    assert_eq!(count(), Some(24));
    let of = |family, marks: &[u32]| -> std::vec::Vec<_> {
        marks.iter().map(|mark| (family, mark << 24)).collect()
    };
    let whole = [1, 1, 1, 1, 2, 2, 0x81, 0x81];
    let all = |v4: &[u32], v6: &[u32]| [of(Family::V4, v4), of(Family::V6, v6)].concat();
    assert_eq!(marks(MASK), all(&whole, &whole));
    assert_eq!(marks(u32::MAX).len(), 20);

    let mut delete = |family, only_translated| {
        netfilter
            .delete_by_mark(family, 0x0100_0000, MASK, only_translated)
            .unwrap();
    };
    let [translated, every] = [[1, 1, 2, 2, 0x81, 0x81].as_slice(), &[2, 2, 0x81, 0x81]];
    delete(Family::V4, true);
    assert_eq!(marks(MASK), all(translated, &whole));
    delete(Family::V4, false);
    assert_eq!(marks(MASK), all(every, &whole));
    delete(Family::V6, true);
    assert_eq!(marks(MASK), all(every, translated));
    delete(Family::V6, false);
    assert_eq!(marks(MASK), all(every, every));
    delete(Family::V6, false);
    assert_eq!(count(), Some(16), "those without a mark of ours are there");
}

#[test]
fn entries_are_counted_over_many_datagrams() {
    if !own_namespace() {
        return;
    }
    let netfilter = Netfilter::new();
    let mut entries = Entries { netfilter, made: 0 };
    for turn in 0..3000 {
        entries.add(Family::ALL[turn % 2], 0x0100_0000 << (turn % 3), false);
    }
    let [mut v4, mut v6] = [0; 2];
    count_by_mark(0x0300_0000, &mut |family, mark| {
        assert!(matches!(mark, 0x0100_0000 | 0x0200_0000), "{mark:x}");
        match family {
            Family::V4 => v4 += 1,
            Family::V6 => v6 += 1,
        }
    })
    .unwrap();
    assert_eq!([v4, v6], [1000, 1000]);
}

const OURS: &str = "table inet failover { comment \"failover 0badcafe\"; set moved { type ifname; flags timeout; }; }";

/// The seconds that are left to each element of the set, and its name.
fn elements() -> std::vec::Vec<(String, u64)> {
    let text = nft("-j list set inet failover moved");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let elements = json["nftables"][1]["set"]["elem"].as_array().cloned();
    let read = |element: serde_json::Value| {
        let element = &element["elem"];
        let name = element["val"].as_str().unwrap().to_owned();
        (name, element["expires"].as_u64().unwrap())
    };
    elements.unwrap_or_default().into_iter().map(read).collect()
}

#[test]
fn a_moved_device_expires_and_is_renewed() {
    if !own_namespace() {
        return;
    }
    let mut netfilter = Netfilter::new();
    let seconds = Duration::from_secs;
    let none = netfilter.add_device(DeviceSet::Moved, "wan1", seconds(9));
    assert_eq!(none, Err(fault(Errno::ENOENT)), "there is no table");
    nft(OURS);
    netfilter
        .add_device(DeviceSet::Moved, "wan1", seconds(9))
        .unwrap();
    netfilter
        .add_device(DeviceSet::Moved, "fifteen-letters", seconds(500))
        .unwrap();
    assert!(
        netfilter
            .add_device(DeviceSet::Moved, "sixteen--letters", seconds(9))
            .is_err()
    );
    assert!(
        elements()
            .iter()
            .any(|(name, left)| name == "wan1" && *left < 10)
    );
    netfilter
        .add_device(DeviceSet::Moved, "wan1", seconds(300))
        .unwrap();
    assert!(
        elements()
            .iter()
            .any(|(name, left)| name == "wan1" && *left > 200)
    );
    netfilter
        .add_device(DeviceSet::Moved, "wan1", Duration::from_millis(100))
        .unwrap();
    let started = Instant::now();
    while elements().len() > 1 {
        assert!(
            started.elapsed() < StdDuration::from_secs(9),
            "never expires"
        );
    }
    assert_eq!(elements()[0].0, "fifteen-letters");
    netfilter
        .add_device(DeviceSet::Moved, "wan1", seconds(300))
        .unwrap();
    assert_eq!(elements().len(), 2, "also one that has expired");
}

#[test]
fn the_digest_of_a_table_is_read_and_the_table_deleted() {
    if !own_namespace() {
        return;
    }
    let mut netfilter = Netfilter::new();
    assert_eq!(netfilter.table_digest(), Ok(None));
    nft("table ip failover { comment \"failover 00000001\"; }");
    assert_eq!(netfilter.table_digest(), Ok(None), "of another family");
    for (comment, digest) in [
        ("failover 0badcafe", Some(0x0bad_cafe)),
        ("failover ffffffff", Some(0xffff_ffff)),
        ("failover 00000000", Some(0)),
        ("failover 1ffffffff", None),
        ("failover ", None),
        ("mine", None),
    ] {
        nft(&format!("table inet failover {{ comment \"{comment}\"; }}"));
        assert_eq!(netfilter.table_digest(), Ok(digest), "{comment}");
        netfilter.delete_table().unwrap();
    }
    nft("table inet failover { chain c { }; }");
    assert_eq!(netfilter.table_digest(), Ok(None), "without a comment");
    netfilter.delete_table().unwrap();
    netfilter.delete_table().expect("none is success");
    assert!(!nft("list tables").contains("inet"));
    assert!(nft("list tables").contains("table ip failover"));
}

/// Whether a watch wakes now. What the kernel multicasts is there when `nft` has ended.
fn wakes(watch: &TableWatch) -> bool {
    let mut fds = [PollFd::new(watch.fd(), PollFlags::POLLIN)];
    poll(&mut fds, 0_u16).unwrap() > 0
}

#[test]
fn the_loss_of_our_table_is_noticed_and_nothing_else_wakes() {
    if !own_namespace() {
        return;
    }
    let mut watch = TableWatch::open().unwrap();
    nft(OURS);
    let others = "table ip failover { set names { type ifname; }; chain c { }; }";
    nft(&format!(
        "{others}\ntable inet other {{ set s {{ type ifname; }}; }}"
    ));
    watch.drain();
    nft("add element inet other s { \"eth0\" }");
    nft("add rule ip failover c counter");
    nft("delete element inet other s { \"eth0\" }");
    let mut netfilter = Netfilter::new();
    netfilter
        .add_device(DeviceSet::Moved, "wan1", Duration::from_secs(60))
        .unwrap();
    watch.drain();
    nft("add element inet other s { \"eth0\" }");
    nft("add element inet failover moved { \"wan9\" }");
    assert!(!wakes(&watch), "one message");
    nft("delete table ip failover; delete table inet other");
    assert!(!watch.drain(), "tables of others");
    for loss in [
        "flush ruleset",
        "delete table inet failover",
        "flush ruleset inet",
    ] {
        nft(&format!("{OURS}\n{others}"));
        watch.drain();
        nft(loss);
        assert!(wakes(&watch), "{loss}");
        assert!(watch.drain(), "{loss}");
        assert!(!wakes(&watch) && !watch.drain());
    }
    nft(OURS);
    netfilter.delete_table().unwrap();
    assert!(watch.drain(), "by netlink");
}

#[test]
fn lost_messages_count_as_a_change() {
    if !own_namespace() {
        return;
    }
    let mut watch = TableWatch::open().unwrap();
    setsockopt(&watch.fd(), sockopt::RcvBuf, &0).unwrap();
    for _ in 0..99 {
        nft("table ip other { }; delete table ip other");
    }
    assert!(watch.drain());
    assert!(!watch.drain());
}

#[test]
fn deletion_by_address_is_told_to_be_absent() {
    // Tests run on no kernel of OpenWrt's.
    assert!(!deletes_by_address());
    assert!(delete_by_address([192, 0, 2, 1].into()).is_err());
}
