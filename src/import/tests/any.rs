//! Whatever goes in: no panic, and our own loader accepts what comes out.

use proptest::prelude::*;

use super::Import;

const NAMES: &[&str] = &[
    "wan", "wan6", "wan_6", "wan_4", "wanb", "wanb6", "lte", "auto", "globals", "ping_1", "tcp_1",
    "uplink1", "loopback", "p", "q", "m", "n", "",
];
const KINDS: &[&str] = &[
    "interface",
    "interface",
    "member",
    "policy",
    "rule",
    "globals",
    "odd",
];
const OPTIONS: &[&str] = &[
    "enabled",
    "family",
    "track_ip",
    "reliability",
    "count",
    "timeout",
    "interval",
    "failure_interval",
    "down",
    "up",
    "interface",
    "metric",
    "weight",
    "use_member",
    "last_resort",
    "use_policy",
    "dest_ip",
    "sticky",
    "proto",
    "device",
    "ifname",
    "type",
    "mmx_mask",
    "track_method",
    "httping_ssl",
    "size",
    "max_ttl",
    "check_quality",
    "failure_loss",
    "recovery_loss",
    "failure_latency",
    "recovery_latency",
];
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "5",
    "10",
    "51",
    "64",
    "100",
    "1000000",
    "99999999999",
    "-1",
    "ipv4",
    "ipv6",
    "any",
    "wan",
    "wan6",
    "wan_6",
    "lte",
    "p",
    "q",
    "m",
    "n",
    "m n",
    "@wan",
    "@@",
    "eth1",
    "eth2",
    "dhcp",
    "pppoe",
    "default",
    "blackhole",
    "1472",
    "httping",
    "arping",
    "nping-tcp",
    "192.0.2.1",
    "192.0.2.2 192.0.2.3",
    "198.51.100.1",
    "2001:db8::1",
    "2001:db8:1111:2222:3333:4444:5555:6666",
    "fe80::1%eth0",
    "127.0.0.1",
    "example.org",
    "0.0.0.0/0",
    "::/0",
    "\x1b[2J",
    "\u{fc}",
    "",
    "  ",
];

/// One line of UCI text, most of them well-formed.
fn line() -> impl Strategy<Value = String> {
    let word = |words: &'static [&'static str]| prop::sample::select(words);
    prop_oneof![
        3 => (word(KINDS), word(NAMES)).prop_map(|(kind, name)| format!("config {kind} '{name}'\n")),
        6 => (word(OPTIONS), word(VALUES)).prop_map(|(name, value)| format!(" option {name} '{value}'\n")),
        6 => (word(OPTIONS), word(VALUES)).prop_map(|(name, value)| format!(" list {name} '{value}'\n")),
        2 => (0..80_u8).prop_map(|n| format!(" list track_ip '192.0.2.{n}'\n option enabled '1'\n")),
        2 => (0..80_u8).prop_map(|n| format!("config interface 'x{n}'\n option enabled '1'\n")),
        1 => ".{0,20}\n",
    ]
}

fn text(lines: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(line(), lines).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn our_loader_accepts_what_comes_out(mwan3 in text(0..300), network in text(0..20)) {
        let import = Import::new(&mwan3, &network);
        let lines = mwan3.lines().count().max(1);
        for (line, note) in &import.imported.notes {
            prop_assert!((1..=lines).contains(&usize::try_from(*line).unwrap()), "{line}: {note}");
            prop_assert!(!note.chars().any(char::is_control), "{note}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm(
        mwan3 in prop::collection::vec(any::<u8>(), 0..200),
        network in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        super::convert("mwan3", &mwan3, &network);
    }
}
