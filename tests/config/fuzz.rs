//! Random configurations.

use failover::limits::{INTERVAL_MIN, PATH_CHECKS_MAX, PREFIXES_MAX};
use failover::types::Family;
use proptest::prelude::*;

use super::{BASE, load_text};

const WORDS: &[&str] = &[
    "config",
    "option",
    "list",
    "provider",
    "check",
    "globals",
    "isp1",
    "isp2",
    "web",
    "device",
    "device6",
    "interface",
    "address",
    "gateway",
    "network",
    "rt_table",
    "mark",
    "prefix",
    "dns",
    "dns_route",
    "masquerade",
    "connections",
    "answers",
    "ipv6_foreign",
    "mark_mask",
    "2001:db8:1::/56",
    "follow",
    "rank",
    "profile",
    "interval",
    "timeout",
    "down",
    "up",
    "window",
    "max_failed",
    "quorum",
    "enabled",
    "table",
    "rule_pref",
    "catch_all",
    "yield",
    "start_metric",
    "preempt",
    "type",
    "target",
    "family",
    "command",
    "eth1",
    "192.0.2.1",
    "192.0.2.2/24",
    "2001:db8::1",
    "0",
    "1",
    "64",
    "65",
    "4294967295",
    "4294967296",
    "-1",
    "0.0000001",
    "300ms",
    "99999999999999999999h",
    "fast",
    "all",
    "none",
    "auto",
    "main",
    "ping",
    "exec",
    "ipv6",
    "0x100/0xff00",
    "0xffffffff",
    "'",
    "\"",
    "\\",
    "#",
    ";",
    "\0",
    "\u{e9}",
    "''",
    "\n",
    "\nconfig provider isp2\n",
    "\nconfig check c\n option type ping\n option target ",
    "\nconfig globals\n",
    "\n option ",
    "\n list ",
];

/// The base with some of its bytes taken out, and words put in.
fn mutated() -> impl Strategy<Value = String> {
    let change = (
        any::<prop::sample::Index>(),
        0..12_usize,
        prop::sample::select(WORDS),
    );
    prop::collection::vec(change, 0..40).prop_map(|changes| {
        let mut text = BASE.to_owned();
        for (at, removed, word) in changes {
            let floor = |at: usize| {
                (0..=at)
                    .rev()
                    .find(|&at| text.is_char_boundary(at))
                    .unwrap()
            };
            let start = floor(at.index(text.len() + 1));
            let end = floor((start + removed).min(text.len()));
            text.replace_range(start..end.max(start), &format!("{word} "));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// No panic, an end, lines that exist; and what is accepted keeps what the rest of the program relies on.
    #[test]
    fn any_text_is_loaded_or_refused(text in mutated()) {
        let (result, config, said) = load_text(&text);
        let lines = text.lines().count().max(1);
        for problem in &said {
            let line: usize = problem.split(':').next().unwrap().parse().unwrap();
            prop_assert!((1..=lines).contains(&line), "{problem}");
        }
        if result.is_ok() {
            prop_assert!(said.iter().all(|problem| problem.contains(": warning: ")));
            prop_assert!(config.globals.mark_mask.slots() as usize >= config.providers.len());
            for provider in &config.providers {
                let mark = provider.mark.map_or(0, |mark| mark.mask);
                prop_assert_eq!(mark & config.globals.mark_mask.bits(), 0);
                prop_assert!(config.prefixes_of(provider).len() <= PREFIXES_MAX);
                let timing = provider.timing;
                prop_assert!(timing.window >= timing.up.max(timing.down).max(timing.max_failed));
                prop_assert!(timing.interval >= INTERVAL_MIN && timing.interval * 63 >= timing.timeout);
                for family in Family::ALL {
                    prop_assert!(config.path_checks(provider, family).count() <= PATH_CHECKS_MAX);
                }
            }
        } else {
            prop_assert!(said.iter().any(|problem| !problem.contains(": warning: ")));
        }
    }
}
