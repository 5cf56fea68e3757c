//! Good configurations, and their values.

use failover::check::exec::Exec;
use failover::check::ping::Ping;
use failover::config::*;
use failover::types::{Duration, Family, Mark, MarkMask, Metric, Slot, TABLE_MAIN};

use super::{BASE, good, providers};

#[test]
fn the_smallest_configuration_has_the_documented_defaults() {
    let config = good(BASE);
    let globals = &config.globals;
    assert!(globals.enabled);
    assert_eq!(globals.start_metric, Metric(100));
    assert_eq!(globals.table, 176);
    assert_eq!((globals.rule_pref, globals.catch_all), (17600, 32765));
    assert_eq!(globals.obeys, Yield::Auto);
    assert_eq!(globals.sticky_file, "/etc/failover/sticky.provider");
    assert_eq!(globals.last_resort, LastResort::First);
    assert_eq!(globals.preempt, Preempt::Yes);
    assert_eq!(globals.on_stop, OnStop::Restore);
    assert_eq!(globals.mark_mask, MarkMask::USUAL);
    assert!(globals.answers && !globals.firewall_asked);
    assert_eq!(globals.ipv6_foreign, ForeignIpv6::Masquerade);
    assert_eq!(globals.state_dir, "/var/run/failover");
    assert_eq!(globals.syslog_level, LogLevel::Info);

    let [provider] = &config.providers[..] else {
        panic!()
    };
    assert_eq!(provider.id, "isp1");
    assert!(provider.enabled);
    assert_eq!(
        (provider.device.v4.as_str(), provider.device.v6.as_str()),
        ("eth1", "eth1")
    );
    assert!(provider.interfaces.is_empty());
    assert_eq!((provider.address.v4, provider.address.v6), (None, None));
    assert_eq!((provider.gateway.v4, provider.gateway.v6), (None, None));
    assert_eq!((provider.network.v4, provider.network.v6), (None, None));
    assert_eq!(provider.rt_table, RtTable::Auto);
    assert_eq!(provider.mark, None);
    assert_eq!(provider.connections, Connections::Stay);
    assert!(!provider.masquerade && config.prefixes.is_empty());
    assert!(provider.dns_route && config.dns.is_empty());
    assert_eq!(provider.rank, 1);
    assert_eq!(provider.slot, Slot(0));
    assert_eq!(provider.checks, 1);
    assert_eq!(provider.timing, timing(1000, 1000, 3, 3));

    let [check] = &config.checks[..] else {
        panic!()
    };
    assert_eq!(check.name, "web");
    assert_eq!(check.target, "198.51.100.1");
    assert_eq!(
        check.kind,
        CheckKind::Ping(Ping::new("198.51.100.1".parse().unwrap()))
    );
    assert_eq!((check.family, check.interval), (Family::V4, None));
}

/// A profile's timing; the other values are the same in all profiles.
fn timing(interval_ms: u64, timeout_ms: u64, down: u8, up: u8) -> Timing {
    Timing {
        interval: Duration::from_millis(interval_ms),
        timeout: Duration::from_millis(timeout_ms),
        down,
        up,
        window: 50,
        max_failed: 50,
        quorum: Quorum::AtLeast(1),
        quality: Quality::NONE,
    }
}

/// The timing of provider `isp1` with these lines after [`BASE`].
#[track_caller]
fn timing_with(lines: &str) -> Timing {
    good(&format!("{BASE}{lines}"))
        .provider("isp1")
        .unwrap()
        .timing
}

#[test]
fn profiles_set_the_timing() {
    for (profile, expected) in [
        ("normal", timing(1_000, 1_000, 3, 3)),
        ("fast", timing(100, 300, 3, 10)),
        ("metered", timing(30_000, 3_000, 3, 2)),
    ] {
        for section in ["provider isp1", "globals"] {
            let lines = format!("config {section}\n option profile {profile}\n");
            assert_eq!(timing_with(&lines), expected, "{lines}");
            let config = good(&format!("{BASE}{lines}"));
            let metered = config.provider("isp1").unwrap().metered;
            assert_eq!(metered, profile == "metered");
        }
    }
}

#[test]
fn the_most_specific_timing_counts() {
    // In this order: provider's option, provider's profile, globals' option, globals' profile, normal.
    let globals = "config globals\n option profile metered\n option up 5\n option interval 7\n";
    let shared = timing_with(globals);
    assert_eq!(
        shared,
        Timing {
            up: 5,
            ..timing(7_000, 3_000, 3, 2)
        }
    );
    let profiled = timing_with(&format!(
        "{globals}config provider isp1\n option profile fast\n"
    ));
    assert_eq!(profiled, timing(100, 300, 3, 10));
    let profiled = format!("{BASE}{globals}config provider isp1\n option profile normal\n");
    assert!(!good(&profiled).provider("isp1").unwrap().metered);
    let own = format!(
        "{globals}config provider isp1\n option profile fast\n option up 6\n option down 2\n"
    );
    assert_eq!(timing_with(&own), timing(100, 300, 2, 6));
    let own = format!(
        "{globals}config provider isp1\n option timeout 2m\n option quorum all\n option max_failed 0\n"
    );
    let expected = Timing {
        timeout: Duration::from_secs(120),
        up: 5,
        quorum: Quorum::All,
        max_failed: 0,
        ..timing(7_000, 0, 3, 0)
    };
    assert_eq!(timing_with(&own), expected);
    // Globals may follow or precede the providers.
    let before = good(&format!("{globals}{BASE}"));
    assert_eq!(before.providers[0].timing, shared);
}

#[test]
fn defaults_are_clamped_to_the_window() {
    let small = timing_with("config provider isp1\n option profile fast\n option window 2\n");
    assert_eq!(
        (small.down, small.up, small.window, small.max_failed),
        (2, 2, 2, 2)
    );
    let shared = timing_with("config globals\n option window 2\n");
    assert_eq!(
        (shared.down, shared.up, shared.window, shared.max_failed),
        (2, 2, 2, 2)
    );
    let large = timing_with("config provider isp1\n option window 64\n option up 64\n");
    assert_eq!((large.up, large.window, large.max_failed), (64, 64, 64));
}

#[test]
fn max_failed_is_the_window_unless_it_is_given() {
    assert_eq!(
        timing_with("config provider isp1\n option window 64\n").max_failed,
        64
    );
    assert_eq!(
        timing_with("config provider isp1\n option window 64\n option max_failed 9\n").max_failed,
        9
    );
}

#[test]
fn globals_are_read() {
    let config = good(&format!(
        "{BASE}config globals 'globals'
	option enabled 'no'
	option start_metric '7'
	option table 'main'
	option rule_pref '31365'
	option catch_all '32765'
	option yield '1'
	option sticky_file '/tmp/sticky'
	option last_resort 'unreachable'
	option preempt '90'
	option on_stop 'keep'
	option answers '0'
	option ipv6_foreign 'off'
	option dns_route '0'
	option mark_mask '0x3fc0'
	option state_dir '/tmp/state'
	option control_group 'monitor'
	option hooks_dir '/var/hooks.d'
	option syslog_level 'debug'
"
    ));
    let globals = Globals {
        enabled: false,
        start_metric: Metric(7),
        table: TABLE_MAIN,
        rule_pref: 31365,
        catch_all: 32765,
        obeys: Yield::All,
        sticky_file: "/tmp/sticky".try_into().unwrap(),
        last_resort: LastResort::Unreachable,
        preempt: Preempt::After(Duration::from_secs(90)),
        on_stop: OnStop::Keep,
        mark_mask: MarkMask::new(0x3fc0).unwrap(),
        answers: false,
        dns_route: false,
        ipv6_foreign: ForeignIpv6::Off,
        firewall_asked: false,
        state_dir: "/tmp/state".try_into().unwrap(),
        control_group: "monitor".try_into().unwrap(),
        hooks_dir: "/var/hooks.d".try_into().unwrap(),
        syslog_level: LogLevel::Debug,
    };
    assert_eq!(config.globals, globals);
}

#[test]
fn keywords_of_globals_have_their_meaning() {
    let with = |option: &str, value: &str| {
        good(&format!("{BASE}config globals\n option {option} {value}\n")).globals
    };
    for (text, expected) in [
        ("yes", Preempt::Yes),
        ("on", Preempt::Yes),
        ("no", Preempt::No),
        ("false", Preempt::No),
        ("0s", Preempt::Yes),
        ("1", Preempt::After(Duration::from_secs(1))),
        ("300ms", Preempt::After(Duration::from_millis(300))),
        ("2m", Preempt::After(Duration::from_secs(120))),
        ("24h", Preempt::After(Duration::from_secs(86_400))),
    ] {
        assert_eq!(with("preempt", text).preempt, expected, "{text}");
    }
    for text in ["1", "yes", "on", "true", "enabled"] {
        assert!(with("enabled", text).enabled, "{text}");
    }
    for text in ["0", "no", "off", "false", "disabled"] {
        assert!(!with("enabled", text).enabled, "{text}");
    }
    assert_eq!(with("table", "failover").table, 176);
    assert_eq!(with("table", "254").table, TABLE_MAIN);
    assert_eq!(with("table", "isp").table, 201);
    assert_eq!(with("last_resort", "keep").last_resort, LastResort::Keep);
    assert_eq!(with("syslog_level", "error").syslog_level, LogLevel::Error);
    assert_eq!(with("syslog_level", "warn").syslog_level, LogLevel::Warn);
}

#[test]
fn a_provider_is_read() {
    let config = good(
        "config provider 'a'
	option enabled '0'
	option device 'eth1'
	option device6 'eth1.6'
	list address '192.0.2.2/24'
	list address '2001:db8::2'
	option gateway '192.0.2.1 fe80::1'
	list network '2001:db8::7/64'
	option rt_table 'isp'
	option mark '0x100/0xff00'
	option rank '9'
	option check 'six four'
config provider 'b'
	option interface 'wan wan6'
	option rt_table 'none'
	option mark '0x200'
	list check 'run'
	option address '203.0.113.9/30'
	option network '203.0.113.0/24'
config check 'four'
	option type 'ping'
	option target '198.51.100.1'
	option interval '5m'
config check 'six'
	option type 'ping'
	option target '2001:db8:1::1'
config check 'run'
	option type 'exec'
	option target '/usr/bin/probe it'
	option family 'ipv6'
config check 'asked'
	option type 'exec'
	option command 'probe \"$TARGET\"'
	option target '::1'
config provider 'c'
	option device 'eth3'
	option check 'all'
",
    );
    let a = config.provider("a").unwrap();
    assert!(!a.enabled);
    assert_eq!(
        (a.device.v4.as_str(), a.device.v6.as_str()),
        ("eth1", "eth1.6")
    );
    assert_eq!(a.address.v4, Some("192.0.2.2".parse().unwrap()));
    assert_eq!(a.address.v6, Some("2001:db8::2".parse().unwrap()));
    assert_eq!(a.gateway.v4, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(a.gateway.v6, Some("fe80::1".parse().unwrap()));
    assert_eq!(a.network.v4.unwrap().to_string(), "192.0.2.0/24");
    assert_eq!(a.network.v6.unwrap().to_string(), "2001:db8::/64");
    assert_eq!(a.rt_table, RtTable::Id(201));
    assert_eq!(
        a.mark,
        Some(Mark {
            value: 0x100,
            mask: 0xff00
        })
    );
    assert_eq!((a.rank, a.checks), (9, 0b0011));

    let b = config.provider("b").unwrap();
    assert_eq!(b.interfaces, ["wan", "wan6"]);
    assert!(b.device.v4.is_empty() && b.device.v6.is_empty());
    assert_eq!(b.network.v4.unwrap().to_string(), "203.0.113.0/24");
    assert_eq!(b.rt_table, RtTable::None);
    assert_eq!(
        b.mark,
        Some(Mark {
            value: 0x200,
            mask: 0x00ff_ffff
        })
    );
    assert_eq!((b.rank, b.checks), (2, 0b0100));
    assert_eq!(config.provider("c").unwrap().checks, 0b1111);

    let [four, six, run, asked] = &config.checks[..] else {
        panic!()
    };
    assert_eq!(four.interval, Some(Duration::from_secs(300)));
    assert_eq!(six.family, Family::V6);
    assert_eq!(
        run.kind,
        CheckKind::Exec(Exec {
            command: "/usr/bin/probe it".try_into().unwrap()
        })
    );
    assert_eq!(
        (run.family, run.target.as_str()),
        (Family::V6, "/usr/bin/probe it")
    );
    assert_eq!(
        asked.kind,
        CheckKind::Exec(Exec {
            command: "probe \"$TARGET\"".try_into().unwrap()
        })
    );
    assert_eq!((asked.family, asked.target.as_str()), (Family::V6, "::1"));
}

/// What the connections of provider `isp1` do with these lines after [`BASE`].
#[track_caller]
fn connections_with(lines: &str) -> Connections {
    let config = good(&format!("{BASE}{lines}"));
    config.provider("isp1").unwrap().connections
}

#[test]
fn the_most_specific_option_says_what_connections_do() {
    let minutes = Connections::AtMost(Duration::from_secs(600));
    for (globals, own, expected) in [
        ("connections 10m", "", minutes),
        ("connections 10m", "connections follow", Connections::Follow),
        ("connections 10m", "profile normal", Connections::Stay),
        ("connections stay", "profile metered", Connections::Follow),
        ("profile metered", "", Connections::Follow),
        ("profile metered", "profile fast", Connections::Stay),
        ("profile metered", "connections stay", Connections::Stay),
        ("profile metered", "connections 600", minutes),
        ("connections follow", "", Connections::Follow),
        ("connections off", "", Connections::Off),
        ("connections off", "connections stay", Connections::Off),
        ("connections off", "profile metered", Connections::Off),
        ("connections off", "rt_table none", Connections::Off),
        ("profile fast", "rt_table none", Connections::Follow),
    ] {
        let lines = format!("config globals\n option {globals}\nconfig provider isp1\n");
        let own = match own {
            "" => String::new(),
            own => format!(" option {own}\n"),
        };
        assert_eq!(
            connections_with(&(lines + &own)),
            expected,
            "{globals}; {own}"
        );
    }
    let both = "config globals\n option profile metered\n option connections stay\n";
    assert_eq!(connections_with(both), Connections::Stay);
}

#[test]
fn an_option_asks_for_the_firewall_by_name() {
    let asks = |section: &str, option: &str| {
        let lines = format!("config {section}\n option {option}\n");
        let six = "config check six\n option type ping\n option target 2001:db8::1\n";
        good(&format!("{BASE}{six}{lines}")).globals.firewall_asked
    };
    for option in ["connections stay", "connections 1h", "connections follow"] {
        assert!(asks("globals", option) && asks("provider isp1", option));
    }
    for option in ["answers 1", "ipv6_foreign masquerade"] {
        assert!(asks("globals", option), "{option}");
    }
    for option in ["prefix 2001:db8:1::/56", "masquerade 1"] {
        assert!(asks("provider isp1", option), "{option}");
    }
    for option in [
        "connections off",
        "answers 0",
        "ipv6_foreign off",
        "mark_mask 0xff",
        "profile metered",
    ] {
        assert!(!asks("globals", option), "{option}");
    }
    assert!(!asks("provider isp1", "masquerade 0"));
    assert!(!asks("provider isp1", "mark 0x10"));
    let off = "globals\n option connections off\nconfig provider isp1";
    assert!(!asks(off, "connections stay"));
    assert!(!asks(
        "provider isp2\n option device eth2\n option enabled 0",
        "masquerade 1"
    ));
}

#[test]
fn resolvers_go_with_their_provider() {
    let six = "config check six\n option type ping\n option target 2001:db8::1\n";
    let globals = "config globals\n option dns_route 0\n";
    let two = providers(&[("a", " option dns_route 1"), ("b", "")]);
    let config = good(&format!("{globals}{two}"));
    let routed = |id: &str| config.provider(id).unwrap().dns_route;
    assert!(routed("a") && !routed("b"));
    let mut config = good(&format!(
        "{}{six}",
        providers(&[
            ("a", " option rank 9\n option dns '192.0.2.53 2001:db8::53'"),
            ("b", ""),
            ("c", " list dns 192.0.2.54"),
        ])
    ));
    let of = |config: &Config, id| -> Vec<String> {
        let own = config.dns_of(config.provider(id).unwrap());
        own.map(|one| one.to_string()).collect()
    };
    let assert_own = |config: &Config| {
        assert_eq!(of(config, "a"), ["192.0.2.53", "2001:db8::53"]);
        assert_eq!(of(config, "b"), [""; 0]);
        assert_eq!(of(config, "c"), ["192.0.2.54"]);
    };
    assert_own(&config);
    config.assign_slots(&|id| (id == "c").then_some(Slot(0)));
    assert_own(&config);
    let mut copy = Box::new(Config::new());
    copy.take(&mut config.clone());
    assert!(copy == config);
    copy.take(&mut good(BASE));
    assert!(copy.dns.is_empty());
}

#[test]
fn prefixes_go_with_their_provider() {
    let six = "config check six\n option type ping\n option target 2001:db8::1\n";
    let mut config = good(&format!(
        "{}{six}",
        providers(&[
            (
                "a",
                " option rank 9\n option prefix '2001:db8:1::7/56 2001:db8:2::/64'"
            ),
            ("b", ""),
            ("c", " list prefix 2001:db8:3::/48"),
        ])
    ));
    let of = |config: &Config, id| -> Vec<String> {
        let provider = config.provider(id).unwrap();
        let own = config.prefixes_of(provider);
        own.iter().map(|(_, prefix)| prefix.to_string()).collect()
    };
    let assert_own = |config: &Config| {
        assert_eq!(of(config, "a"), ["2001:db8:1::/56", "2001:db8:2::/64"]);
        assert_eq!(of(config, "b"), [""; 0]);
        assert_eq!(of(config, "c"), ["2001:db8:3::/48"]);
    };
    assert_own(&config);
    config.assign_slots(&|id| (id == "c").then_some(Slot(0)));
    assert_own(&config);
    config.assign_slots(&|id| (id == "a").then_some(Slot(63)));
    assert_own(&config);
    let mut copy = Box::new(Config::new());
    copy.take(&mut config.clone());
    assert!(copy == config);
}

#[test]
fn a_provider_has_fifteen_prefixes_at_most() {
    let with = |count: usize| {
        let lists = (0..count).map(|n| format!(" list prefix 2001:db8:{n}::/48\n"));
        let six = "config check six\n option type ping\n option target 2001:db8::1\n";
        format!(
            "{BASE}{six}config provider isp1\n{}",
            lists.collect::<String>()
        )
    };
    assert_eq!(good(&with(15)).prefixes.len(), 15);
    super::assert_said(
        &with(16),
        &["25: prefix '2001:db8:15::/48': expected at most 15"],
    );
}

#[test]
fn a_slot_without_a_mark_is_not_kept() {
    let text = providers(&[("a", ""), ("b", "")]);
    let mut config = good(&format!("{text}config globals\n option mark_mask 0x7\n"));
    config.assign_slots(&|id| match id {
        "a" => Some(Slot(3)),
        _ => Some(Slot(2)),
    });
    let slots = ["a", "b"].map(|id| config.provider(id).unwrap().slot);
    assert_eq!(slots, [Slot(0), Slot(2)], "there are marks for three");
}

#[test]
fn providers_are_sorted_by_rank() {
    let order = |lines: &[(&str, &str)]| -> Vec<(String, u32)> {
        let config = good(&providers(lines));
        config
            .providers
            .iter()
            .map(|p| (p.id.to_string(), p.rank))
            .collect()
    };
    let named = |expected: &[(&str, u32)]| -> Vec<(String, u32)> {
        expected
            .iter()
            .map(|(id, rank)| ((*id).to_owned(), *rank))
            .collect()
    };
    assert_eq!(
        order(&[("a", ""), ("b", ""), ("c", "")]),
        named(&[("a", 1), ("b", 2), ("c", 3)])
    );
    assert_eq!(
        order(&[
            ("a", "option rank 30"),
            ("b", "option rank 20"),
            ("c", "option rank 10")
        ]),
        named(&[("c", 10), ("b", 20), ("a", 30)])
    );
    // A given rank precedes an equal position.
    assert_eq!(
        order(&[("a", ""), ("b", ""), ("c", "option rank 1")]),
        named(&[("c", 1), ("a", 1), ("b", 2)])
    );
    assert_eq!(
        order(&[("c", "option rank 2"), ("a", ""), ("b", "")]),
        named(&[("c", 2), ("a", 2), ("b", 3)])
    );
}

#[test]
fn slots_are_kept_by_id() {
    let mut config = good(&providers(&[
        ("a", "option rank 9"),
        ("b", ""),
        ("c", ""),
        ("d", ""),
    ]));
    let slots =
        |config: &Config| ["a", "b", "c", "d"].map(|id| config.provider(id).unwrap().slot.0);
    assert_eq!(slots(&config), [0, 1, 2, 3], "the file's order at first");
    config.assign_slots(&|_| None);
    assert_eq!(
        config
            .providers
            .iter()
            .map(|p| p.slot.0)
            .collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    config.assign_slots(&|id| match id {
        "c" => Some(Slot(0)),
        "a" => Some(Slot(63)),
        "d" => Some(Slot(2)),
        _ => None,
    });
    assert_eq!(slots(&config), [63, 1, 0, 2]);
    // A wrong saved state gives no provider the slot of another, nor a slot that does not exist.
    config.assign_slots(&|id| {
        if id == "b" {
            Some(Slot(64))
        } else {
            Some(Slot(0))
        }
    });
    let mut slots = slots(&config);
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2, 3]);
}
