//! Configurations of mwan3, and what becomes of them here. Whatever comes out is read by our own loader.

mod any;

use super::{Imported, convert};
use crate::check::CheckKind;
use crate::config::{Config, LastResort, Measure, Provider, Quality, Quorum, Timing, load};
use crate::types::{Duration, Family};

/// An import, and what our loader makes of its text.
struct Import {
    config: Box<Config>,
    imported: Imported,
}

impl Import {
    fn new(mwan3: &str, network: &str) -> Import {
        let imported = convert("mwan3", mwan3.as_bytes(), network.as_bytes());
        let mut config = Box::new(Config::new());
        let mut problems = Vec::new();
        let mut note = |problem: crate::option::Problem| problems.push(problem.to_string());
        let loaded = load(imported.text.as_bytes(), &|_| None, &mut config, &mut note);
        assert!(loaded.is_ok(), "{problems:#?}\n{}", imported.text);
        assert_eq!(config.globals.enabled, imported.usable);
        // Most have one interface only.
        problems.retain(|problem| !problem.ends_with("there is nothing to fail over to"));
        // Of one that does nothing, it may find nothing wrong with what it would do.
        assert!(problems.is_empty() || !imported.usable, "{problems:#?}");
        Import { config, imported }
    }

    fn provider(&self, id: &str) -> &Provider {
        self.config.provider(id).unwrap()
    }

    /// The targets of a provider.
    fn targets(&self, id: &str) -> Vec<&str> {
        let provider = self.provider(id);
        let checks = Family::ALL.map(|family| self.config.path_checks(provider, family));
        checks
            .into_iter()
            .flatten()
            .map(|one| &*one.target)
            .collect()
    }

    /// Every provider with its interfaces, best first; those in parentheses are disabled.
    fn order(&self) -> String {
        let shown = self.config.providers.iter().map(|provider| {
            let interfaces = provider.interfaces.join("+");
            match provider.enabled {
                true => interfaces,
                false => format!("({interfaces})"),
            }
        });
        shown.collect::<Vec<String>>().join(" ")
    }

    /// The notes of a line.
    fn notes(&self, line: u32) -> String {
        let notes = self.imported.notes.iter();
        let of_line = notes.filter(|(at, _)| *at == line).map(|(_, what)| &**what);
        of_line.collect::<Vec<&str>>().join("\n")
    }

    fn all_notes(&self) -> String {
        format!("{:#?}", self.imported.notes)
    }
}

/// Enabled interfaces with a target each; `6` at the end of a name makes one of IPv6.
fn interfaces(names: &str) -> String {
    let section = |name: &str| {
        let (family, target) = match name.ends_with('6') {
            false => ("ipv4", "192.0.2.1"),
            true => ("ipv6", "2001:db8::1"),
        };
        format!(
            "config interface '{name}'\n option enabled '1'\n option family '{family}'\n list track_ip '{target}'\n"
        )
    };
    names.split_whitespace().map(section).collect()
}

/// A policy whose members are `interface:metric:weight`.
fn policy(name: &str, members: &str) -> String {
    let mut text = String::new();
    let mut policy = format!("config policy '{name}'\n");
    for (place, member) in members.split_whitespace().enumerate() {
        let parts: Vec<&str> = member.split(':').collect();
        let [interface, metric, weight] = parts[..] else {
            panic!("{member}");
        };
        text += &format!(
            "config member '{name}{place}'\n option interface '{interface}'\n option metric '{metric}'\n option weight '{weight}'\n"
        );
        policy += &format!(" list use_member '{name}{place}'\n");
    }
    text + &policy
}

fn rule(policy: &str, options: &str) -> String {
    let mut text = format!("config rule\n option use_policy '{policy}'\n");
    for option in options.split_whitespace() {
        let (name, value) = option.split_once('=').unwrap();
        text += &format!(" option {name} '{value}'\n");
    }
    text
}

#[test]
fn the_order_is_by_metric_then_weight_then_place() {
    let text = interfaces("a b c d") + &policy("p", "a:2:9 b:1:2 c:1:3 d:1:2") + &rule("p", "");
    let import = Import::new(&text, "");
    assert_eq!(import.order(), "c b d a");
    assert!(import.all_notes().contains("share the traffic"));

    let text = interfaces("a b") + &policy("p", "a:2:1 b:1:2") + &rule("p", "");
    let import = Import::new(&text, "");
    assert_eq!(import.order(), "b a");
    assert_eq!(import.imported.notes, [], "nothing is lost");
}

#[test]
fn the_first_rule_for_all_traffic_says_which_policy_counts() {
    let policies = || policy("one", "a:1:1 b:2:1") + &policy("two", "b:1:1 a:2:1");
    for (rules, order) in [
        (rule("two", "") + &rule("one", ""), "b a"),
        (
            rule("one", "proto=all dest_ip=0.0.0.0/0") + &rule("two", ""),
            "a b",
        ),
        (rule("one", "proto=tcp") + &rule("two", "family=any"), "b a"),
        (
            rule("one", "src_ip=192.0.2.9") + &rule("two", "family=ipv4"),
            "b a",
        ),
        (rule("one", "dest_port=25") + &rule("two", ""), "b a"),
        (
            rule("one", "family=ipv6") + &rule("two", "family=ipv4"),
            "b a",
        ),
    ] {
        let import = Import::new(&(interfaces("a b") + &policies() + &rules), "");
        assert_eq!(import.order(), order, "{rules}");
    }
}

#[test]
fn without_such_a_rule_the_largest_policy_counts_and_without_one_the_file() {
    let text = interfaces("a b c") + &policy("one", "c:1:1") + &policy("two", "b:1:1 a:2:1");
    let import = Import::new(&text, "");
    assert_eq!(import.order(), "b a c", "c stays, at the end");
    assert!(import.all_notes().contains("no rule for all traffic"));
    let import = Import::new(&(interfaces("b a") + &rule("none", "")), "");
    assert_eq!(import.order(), "b a");
    assert!(import.notes(1).contains("no policy"));
}

#[test]
fn what_traffic_at_large_never_used_is_not_used_by_it_now() {
    let text = interfaces("lte tunnel") + &policy("p", "lte:1:1") + &policy("vpn", "tunnel:1:1");
    let import = Import::new(&(text + &rule("vpn", "proto=udp") + &rule("p", "")), "");
    assert_eq!(import.order(), "lte (tunnel)");
    assert!(import.notes(5).contains("disabled; enable it"));
    // But somebody must be.
    let text = interfaces("wan") + &policy("p", "other:1:1") + &rule("p", "");
    assert_eq!(Import::new(&text, "").order(), "wan");
}

#[test]
fn what_is_refused_when_nobody_works_is_refused_here() {
    for (option, ours) in [
        ("", LastResort::Unreachable),
        (
            " option last_resort 'unreachable'\n",
            LastResort::Unreachable,
        ),
        (" option last_resort 'blackhole'\n", LastResort::Unreachable),
        (" option last_resort 'default'\n", LastResort::First),
    ] {
        let text = interfaces("wan") + &policy("p", "wan:1:1") + option + &rule("p", "");
        let import = Import::new(&text, "");
        assert_eq!(import.config.globals.last_resort, ours);
        let told = import.all_notes().contains("refused at once");
        assert_eq!(told, option.contains("blackhole"));
    }
}

#[test]
fn interfaces_on_one_device_are_one_provider() {
    let network = "config interface wan\n option proto pppoe\n option device eth1\n\
                   config interface dsl6\n option proto dhcpv6\n option device @wan\n\
                   config interface cable\n option proto dhcp\n option ifname eth2\n\
                   config interface coax6\n option proto dhcpv6\n option device eth2\n\
                   config interface lan\n option proto dhcp\n option type bridge\n option ifname eth3\n\
                   config interface lan6\n option proto dhcpv6\n option device eth3\n\
                   config interface a\n option device @b\n\
                   config interface b\n option device @a\n";
    for (names, order) in [
        ("wan dsl6", "wan+dsl6"),
        ("dsl6 wan", "wan+dsl6"),
        ("wan wan_6", "wan+wan_6"),
        ("wan_4 dsl6", "wan_4+dsl6"),
        ("cable coax6", "cable+coax6"),
        ("wan coax6", "wan coax6"),
        ("lan lan6", "lan lan6"),
        ("wan cable", "wan cable"),
        ("a a6", "a+a6"),
    ] {
        let import = Import::new(&interfaces(names), network);
        assert_eq!(import.order(), order);
    }
    let twins =
        "config interface x\n option device eth1\nconfig interface y\n option device eth1\n";
    let import = Import::new(&interfaces("x y"), twins);
    assert!(import.notes(5).contains("has the device of 'x'"));
}

#[test]
fn without_netifds_word_names_tell() {
    for (names, order) in [
        ("wan wan6", "wan+wan6"),
        ("wan6 wanb6 wanb wan", "wan+wan6 wanb+wanb6"),
        ("wwan_4 wwan_6", "wwan_4+wwan_6"),
        ("wan wan_v6", "wan+wan_v6"),
        ("wan wan4 wan6", "wan+wan6 wan4"),
        ("wan dsl6", "wan dsl6"),
    ] {
        let import = Import::new(&interfaces(names), "");
        assert_eq!(import.order(), order);
        assert_eq!(
            import.all_notes().contains("names say so"),
            order.contains('+')
        );
    }
}

#[test]
fn a_half_that_is_out_of_use_is_left_out() {
    let disabled = |text: &str, name: &str| {
        let from = format!("'{name}'\n option enabled '1'");
        text.replace(&from, &format!("'{name}'\n option enabled '0'"))
    };
    let both = interfaces("wan wan6 lte");
    let import = Import::new(&disabled(&both, "wan6"), "");
    assert_eq!(import.order(), "wan lte");
    assert_eq!(import.targets("wan"), ["192.0.2.1"]);
    assert!(import.notes(5).contains("left out of provider 'wan'"));
    let import = Import::new(&disabled(&both, "wan"), "");
    assert_eq!(import.order(), "wan6 lte");
    let import = Import::new(&disabled(&disabled(&both, "wan"), "wan6"), "");
    assert_eq!(import.order(), "(wan+wan6) lte");
}

#[test]
fn timing_and_thresholds_are_the_same() {
    let text = interfaces("wan")
        + " option interval '7'\n option timeout '2'\n option down '4'\n option up '9'\n option reliability '2'\n\
           list track_ip '192.0.2.2'\n option failure_interval '7'\n option size '56'\n option count '1'\n\
           option max_ttl '60'\n option track_method 'ping'\n option httping_ssl '1'\n option check_quality '0'\n";
    let import = Import::new(&text, "");
    let timing = Timing {
        interval: Duration::from_secs(7),
        timeout: Duration::from_secs(2),
        down: 4,
        up: 9,
        window: 50,
        max_failed: 50,
        quorum: Quorum::AtLeast(2),
        quality: Quality::NONE,
    };
    assert_eq!(import.provider("wan").timing, timing);
    assert_eq!(
        import.notes(1),
        "no policy: the order is that of the interfaces in the file"
    );
    assert_eq!(import.imported.notes.len(), 1);

    // mwan3's own where the file says nothing.
    let import = Import::new(&interfaces("wan"), "");
    let timing = import.provider("wan").timing;
    assert_eq!(
        (timing.interval, timing.timeout),
        (Duration::from_secs(10), Duration::from_secs(4))
    );
    assert_eq!((timing.down, timing.up), (5, 5));
}

#[test]
fn a_failure_is_noticed_as_soon_as_mwan3_would() {
    let interval = |options: &str| {
        let import = Import::new(&(interfaces("wan") + options), "");
        (
            import.provider("wan").timing.interval.secs(),
            import.notes(6),
        )
    };
    // 600 s, and two times 5 s, and three pings of 2 s each: 616 s.
    let rare = " option interval '600'\n option failure_interval '5'\n option down '3'\n option timeout '2'\n";
    let (seconds, told) = interval(rare);
    assert_eq!(seconds, (616 - 2) / 3);
    assert!(
        told.contains("equally far apart here: every 204s"),
        "{told}"
    );
    // Usual ones are quick enough as they are.
    let usual = " option interval '10'\n option failure_interval '8'\n option down '3'\n option timeout '4'\n";
    assert_eq!(interval(usual).0, 10);
    let same = " option interval '60'\n option failure_interval '60'\n";
    assert_eq!(interval(same), (60, String::new()));
}

#[test]
fn what_most_have_is_said_once() {
    let text = interfaces("a b c") + " option interval '5'\n";
    let import = Import::new(&text, "");
    let count = |what: &str| import.imported.text.matches(what).count();
    assert_eq!((count("interval '10s'"), count("interval '5s'")), (1, 1));
    assert_eq!(
        import.provider("a").timing.interval,
        Duration::from_secs(10)
    );
    assert_eq!(import.provider("c").timing.interval, Duration::from_secs(5));
}

#[test]
fn what_we_cannot_do_is_brought_within_bounds() {
    let text = interfaces("wan")
        + " option interval '0'\n option timeout '100'\n option down '60'\n option up '65'\n option reliability '3'\n";
    let import = Import::new(&text, "");
    let timing = import.provider("wan").timing;
    assert_eq!(
        (timing.interval, timing.timeout),
        (Duration::from_secs(1), Duration::from_secs(63))
    );
    assert_eq!((timing.down, timing.up, timing.window), (60, 64, 64));
    assert_eq!(timing.quorum, Quorum::AtLeast(1));
    assert!(
        import
            .notes(5)
            .contains("interval '0' of interface 'wan': expected a number from 1")
    );
    assert!(import.notes(6).contains("here it is 63"));
    assert_eq!(import.notes(7), "");
    assert!(import.notes(8).contains("here it is 64"));
    assert!(import.notes(9).contains("fewer targets"));
}

#[test]
fn who_has_no_target_is_asked_what_the_best_is_asked() {
    let bare = "config interface 'bare'\n option enabled '1'\n";
    let import = Import::new(&format!("{bare}{}", interfaces("a b6")), "");
    assert_eq!(import.targets("bare"), ["192.0.2.1"]);
    assert!(import.notes(1).contains("nothing to ping"));
    // Nobody has one in its family: it is in use, but not checked.
    let second = " list track_ip '2001:db8::2'\n";
    let import = Import::new(&format!("{bare}{}{second}", interfaces("b6")), "");
    assert_eq!(import.targets("bare"), ["2001:db8::1"]);
    assert_eq!(import.order(), "bare b6");
}

#[test]
fn with_nothing_of_use_it_is_disabled_and_says_why() {
    for text in [
        "",
        "\0",
        "config interface wan\n option enabled '1'\n",
        "config interface wan\n list track_ip '192.0.2.1'\n",
        "config interface wan\n option enabled '1'\n list track_ip 'example.org'\n",
        "config interface loopback\n option enabled '1'\n list track_ip '192.0.2.1'\n",
        "config interface a_name_that_is_longer_than_any_that_an_interface_of_a_provider_may_have\n option enabled '1'\n list track_ip '192.0.2.1'\n",
        "config interface wan\n option enabled '1'\n list track_ip '2001:db8::1'\n",
    ] {
        assert_useless(&Import::new(text, ""));
    }
}

fn assert_useless(import: &Import) {
    const WHY: &str =
        "no provider comes out that is enabled and has an address of its family to ping";
    let text = &import.imported.text;
    assert!(!import.imported.usable, "{text}");
    assert!(import.notes(1).contains(WHY));
    assert!(text.contains(&format!("# {WHY}")), "{text}");
}

#[test]
fn the_other_familys_targets_are_of_no_use_to_who_has_none() {
    // Ours, which may ask one interface in both families, finds nothing wrong with it.
    let text = "config interface bare\n option enabled '1'\n".to_owned();
    let other = "config interface b6\n option family ipv6\n list track_ip '2001:db8::1'\n";
    let import = Import::new(&(text.clone() + other), "");
    assert_useless(&import);
    assert!(import.notes(1).contains("add a check of its family"));
    assert_eq!(import.order(), "bare (b6)");
    // The same when the rule for all traffic takes the other out of use.
    let policy = "config member m\n option interface bare\nconfig policy p\n list use_member m\n\
                  config rule r\n option use_policy p\n option dest_ip '0.0.0.0/0'\n";
    let other = other.to_owned() + " option enabled '1'\n";
    let import = Import::new(&(text + &other + policy), "");
    assert_useless(&import);
    assert!(import.notes(3).contains("no rule for all traffic uses it"));
    assert_eq!(import.order(), "bare (b6)");
}

#[test]
fn what_there_is_no_room_for_is_of_no_use() {
    let mut text = String::new();
    for number in 0..64 {
        text += &format!("config interface 'w{number}'\n");
    }
    let import = Import::new(&(text + &interfaces("wan")), "");
    assert_useless(&import);
    assert!(import.notes(65).contains("too many interfaces: left out"));
}

#[test]
fn names_that_are_ours_are_not_taken() {
    let import = Import::new(&interfaces("globals auto uplink1 ping_192_0_2_1 ndp_x"), "");
    assert_eq!(import.order(), "globals auto uplink1 ping_192_0_2_1 ndp_x");
    let ids: Vec<&str> = import.config.providers.iter().map(|one| &*one.id).collect();
    assert_eq!(ids, ["uplink2", "uplink3", "uplink1", "uplink4", "uplink5"]);
    assert!(import.notes(5).contains("the provider is 'uplink3'"));
}

#[test]
fn more_than_there_is_room_for_is_left_out_and_told() {
    let mut text = String::new();
    for number in 0..70 {
        text += &format!("config interface 'w{number}'\n option enabled '1'\n");
        text += &format!(" list track_ip '192.0.2.{}'\n", number + 1);
        text += " list track_ip '2001:db8:1111:2222:3333:4444:5555:6666'\n option x y\n";
    }
    let import = Import::new(&text, "");
    assert_eq!(import.config.providers.len(), 64);
    assert_eq!(import.config.checks.len(), 32);
    assert!(import.notes(64 * 5 + 1).contains("too many interfaces"));
    assert!(import.notes(32 * 5 + 1).contains("too many checks"));
    assert_eq!(import.targets("w40"), ["192.0.2.1"]);
    let long = Import::new(&format!("{}{}", interfaces("wan"), "#".repeat(70_000)), "");
    assert!(long.notes(1).contains("too long"));
}

/// What the checks of an interface ask, when these options are all that it has.
fn asked(name: &str, options: &str) -> (Vec<CheckKind>, Import) {
    let import = Import::new(&(interfaces(name) + options), "");
    let kinds = import.config.checks.iter().map(|one| one.kind.clone());
    (kinds.collect(), import)
}

#[test]
fn pings_by_two_methods_are_one_check() {
    let by_nping = " option track_method 'nping-icmp'\n";
    let import = Import::new(&(interfaces("wan lte") + by_nping), "");
    assert_eq!(import.config.checks.len(), 1);
}

#[test]
fn each_method_of_tracking_asks_as_there() {
    for (name, options, expected, told) in [
        ("wan", "", "ping", ""),
        ("wan", " option track_method 'nping-icmp'\n", "ping", ""),
        ("wan", " option track_method 'arping'\n", "arp", ""),
        ("wan", " option track_method 'nping-arp'\n", "arp", ""),
        ("wan6", " option track_method 'arping'\n", "ndp", ""),
        (
            "wan",
            " option track_method 'nping-tcp'\n",
            "tcp 80 true",
            "",
        ),
        (
            "wan",
            " option track_method 'httping'\n",
            "tcp 80 false",
            "asked for a connection to port 80: a check of `type 'http'`",
        ),
        (
            "wan",
            " option track_method 'httping'\n option httping_ssl 'yes'\n",
            "tcp 443 false",
            "asked for a connection to port 443",
        ),
        (
            "wan",
            " option track_method 'nping-udp'\n",
            "ping",
            "pings are sent",
        ),
        ("wan", " option track_method ''\n", "ping", ""),
    ] {
        let (kinds, import) = asked(name, options);
        let [kind] = &kinds[..] else {
            panic!("{kinds:?}");
        };
        let mut found = kind.name().to_owned();
        if let CheckKind::Tcp(tcp) = kind {
            found += &format!(" {} {}", tcp.target.port(), tcp.accept_refused);
        }
        assert_eq!(found, expected, "{options}");
        let note = import.notes(5);
        assert!(
            note.contains(told) && note.is_empty() == told.is_empty(),
            "{note}"
        );
        assert_eq!(import.targets(name).len(), 1);
    }
}

#[test]
fn connections_are_asked_for_as_often_as_there() {
    for (seconds, own) in [("3", Some(3)), ("5", None), ("10", None)] {
        let options = format!(" option track_method 'nping-tcp'\n option interval '{seconds}'\n");
        let (_, import) = asked("wan", &options);
        let interval = import.config.checks[0].interval;
        assert_eq!(interval.map(|interval| interval.secs()), own);
    }
    // The one that asks most often says.
    let quick = interfaces("a") + " option track_method 'nping-tcp'\n option interval '4'\n";
    let quicker = interfaces("b") + " option track_method 'nping-tcp'\n option interval '2'\n";
    let import = Import::new(&(quick + &quicker), "");
    assert_eq!(import.config.checks.len(), 1);
    assert_eq!(
        import.config.checks[0].interval,
        Some(Duration::from_secs(2))
    );
}

#[test]
fn pings_have_the_size_and_the_time_to_live_that_were_chosen() {
    let of = |options: &str| {
        let (kinds, import) = asked("wan", options);
        let CheckKind::Ping(ping) = &kinds[0] else {
            panic!("{kinds:?}");
        };
        (ping.size, ping.ttl, import.notes(5))
    };
    let chosen = of(" option size '1400'\n option max_ttl '9'\n");
    assert_eq!(chosen, (1400, 9, String::new()));
    assert_eq!(of(" option size '56'\n option max_ttl '60'\n").0, 32);
    let (size, _, told) = of(" option size '4000'\n");
    assert_eq!(size, 32);
    assert!(
        told.contains("expected a number from 32 to 1472: left out"),
        "{told}"
    );
    // Checks of one target that differ have names that differ.
    let text = interfaces("a b") + " option size '100'\n";
    let import = Import::new(&text, "");
    let names: Vec<&str> = import.config.checks.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["ping_192_0_2_1", "ping_1"]);
    assert_eq!(import.targets("b"), ["192.0.2.1"]);
}

#[test]
fn thresholds_of_quality_are_the_same() {
    let quality = |options: &str| {
        let text = interfaces("wan") + " option check_quality '1'\n" + options;
        let import = Import::new(&text, "");
        let timing = import.provider("wan").timing;
        let of = |measure, unit| {
            let threshold = timing.quality.of(measure);
            threshold.map(|one| (one.most / unit, one.recover / unit))
        };
        let (loss, latency) = (of(Measure::Loss, 1), of(Measure::Latency, 1000));
        (loss, latency, timing.window, import)
    };
    let (loss, latency, window, import) = quality("");
    assert_eq!(
        (loss, latency, window),
        (Some((40, 10)), Some((1000, 500)), 10)
    );
    let told = import.notes(5);
    assert!(
        told.contains("judged by the last 10 rounds together"),
        "{told}"
    );

    let (loss, latency, window, import) = quality(
        " option failure_loss '5'\n option recovery_loss '0'\n option failure_latency '80'\n option recovery_latency '80'\n",
    );
    assert_eq!((loss, latency, window), (Some((5, 0)), Some((80, 80)), 20));
    assert_eq!([6, 7, 8, 9].map(|line| import.notes(line)), [""; 4]);

    let (loss, latency, window, import) = quality(
        " option failure_loss '0'\n option recovery_loss '50'\n option recovery_latency '9999'\n option down '40'\n",
    );
    assert_eq!(
        (loss, latency, window),
        (Some((2, 2)), Some((1000, 1000)), 64)
    );
    assert!(
        import
            .notes(6)
            .contains("expected a number from 2 to 100: here it is 2")
    );
    assert!(import.notes(7).contains("from 0 to 2: here it is 2"));
    assert!(import.notes(8).contains("here it is 1000"));

    // A loss of all is no matter of quality.
    let (loss, latency, ..) = quality(" option failure_loss '100'\n");
    assert_eq!((loss, latency), (None, Some((1000, 500))));
    let (loss, latency, _, import) = quality(" option track_method 'arping'\n");
    assert_eq!((loss, latency), (None, None));
    assert!(import.notes(5).contains("only pings are measured there"));
    // Who is not to be judged by it is not, whatever most are.
    let judged = " option check_quality '1'\n";
    let text = interfaces("a") + judged + &interfaces("b") + judged + &interfaces("c");
    let import = Import::new(&text, "");
    assert_eq!(import.provider("c").timing.quality, Quality::NONE);
    assert_ne!(import.provider("b").timing.quality, Quality::NONE);
}

#[test]
fn what_has_no_counterpart_is_told_with_its_line() {
    let text = interfaces("wan")
        + " option count '3'\n option track_method 'nping-udp'\n list flush_conntrack 'ifup'\n option novelty '1'\n\
           config rule 'https'\n option sticky '1'\n option dest_port '443'\n option use_policy 'none'\n\
           config thing 'a b'\n option x 'y'\n\
           config globals 'globals'\n option mmx_mask '0x3F00'\n";
    let import = Import::new(&text, "");
    for (line, what) in [
        (
            5,
            "count '3' of interface 'wan': a round asks each check once",
        ),
        (
            6,
            "track_method 'nping-udp' of interface 'wan': pings are sent instead",
        ),
        (7, "flush_conntrack 'ifup' of interface 'wan': "),
        (8, "novelty '1' of interface 'wan': unknown"),
        (9, "rule 'https': not carried over"),
        (10, "sticky '1' of rule 'https': "),
        (13, "name 'a b': expected letters"),
        (
            16,
            "mmx_mask '0x3F00' of globals 'globals': `option mark_mask`",
        ),
    ] {
        assert!(
            import.notes(line).contains(what),
            "{line}: {}",
            import.all_notes()
        );
    }
    assert_eq!(import.notes(11), "");
}
