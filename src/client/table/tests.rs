use super::rows::round_trip;
use super::*;
use crate::client::fixture::{healthy, online, provider, troubled};
use crate::client::text::WIDTH;
use crate::types::{Metric, Slot, Waiting};
use crate::wire::control::Diversion;
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{ErrorRoute, ManualRoute};

/// 2025-11-23T20:28:55Z
const NOW_MS: u64 = 1_763_929_735_400;

fn text(answer: &Answer) -> String {
    let text = render(answer, false, NOW_MS).unwrap();
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "too wide: {line}");
        assert_eq!(line, line.trim_end());
    }
    text
}

#[test]
fn a_calm_day() {
    assert_eq!(
        text(&healthy()),
        "\
failover 0.1.0, up 3d 4h
ipv4 and ipv6 leave by isp1

  PROVIDER  FAMILY  STATE     SINCE  LOSS      RTT  METRIC  DEVICE
* isp1      ipv4    online   3h 12m    0%  12.3 ms     100  eth1
*           ipv6    online   3h 12m    0%  12.3 ms     100  eth1
  isp2      ipv4    probing      2s     -        -       -  -
"
    );
}

#[test]
fn what_leaves_by_a_manual_default_does_not_leave_by_the_leader() {
    let mut answer = healthy();
    let by = ManualRoute {
        device: "wg0".try_into().unwrap(),
        metric: 1,
        table: 254,
    };
    let header = answer.header.as_mut().unwrap();
    header.overridden_by.ipv4 = Some(by);
    let head: Vec<String> = text(&answer).lines().map(str::to_owned).collect();
    assert_eq!(
        head[1],
        "ipv4 is overridden by wg0 (metric 1 in main), and leaves by that, not by isp1"
    );
    assert_eq!(head[2], "ipv6 leaves by isp1");
    let header = answer.header.as_mut().unwrap();
    header.active.ipv4 = Lead::NoRoute;
    assert!(text(&answer).contains("(metric 1 in main), and leaves by that\n"));
}

#[test]
fn what_leaves_by_others_or_is_refused_has_no_leader_in_the_head() {
    let mut answer = healthy();
    let header = answer.header.as_mut().unwrap();
    header.active.ipv4 = Lead::NoRoute;
    header.fallback.ipv4 = Some(ManualRoute {
        device: "mgmt0".try_into().unwrap(),
        metric: 5000,
        table: 254,
    });
    let route = |obeyed| ErrorRoute {
        metric: Metric(50),
        obeyed,
    };
    header.error_routes = [None, Some(route(true))];
    let said = "ipv4 leaves by mgmt0 (metric 5000 in main): no provider can have a default route\n\
                    ipv6 is refused by the default route of metric 50 in main\n";
    assert!(text(&answer).contains(said), "{}", text(&answer));
    // Ours stand before it.
    answer.header.as_mut().unwrap().error_routes = [None, Some(route(false))];
    assert!(text(&answer).contains("ipv6 leaves by isp1\n"));
    answer.header.as_mut().unwrap().fallback.ipv4 = None;
    assert!(text(&answer).contains("ipv4 has no way out\n"));
    answer.header.as_mut().unwrap().active.ipv4 = Lead::Unknown;
    assert!(text(&answer).contains("ipv4 is not known yet to have a way out\n"));
    // One is refused: both must not be said to leave by the same.
    let mut answer = healthy();
    answer.header.as_mut().unwrap().error_routes = [Some(route(true)), None];
    let said = "ipv4 is refused by the default route of metric 50 in main\nipv6 leaves by isp1\n";
    assert!(text(&answer).contains(said), "{}", text(&answer));
    let mut warning = troubled().warnings[0].clone();
    warning.diversion = Some(Diversion {
        family: Family::V6,
        ..Diversion::default()
    });
    answer.warnings.push(warning);
    let said = "ipv6 leaves by isp1 at most in part: see `diverted` below\n";
    assert!(text(&answer).contains(said), "{}", text(&answer));
    answer.providers[0].paths[1].installed = false;
    let said = "ipv6 leaves by isp1, though the kernel does not have its route\n";
    assert!(text(&answer).contains(said), "{}", text(&answer));
}

#[test]
fn a_command_has_a_line_of_its_own() {
    let mut answer = troubled();
    answer.warnings[0].text = "it; cure: is no command".try_into().unwrap();
    let text = text(&answer);
    let told = "! rp-filter, isp2, for 42s: it; cure: is no command\n  cure: sysctl -w net.ipv4.conf.eth2.rp_filter=2\n";
    assert!(text.contains(told), "{text}");
}

#[test]
fn a_bad_day() {
    assert_eq!(
        text(&troubled()),
        "\
failover 0.1.0, up 3d 4h
ipv4 leaves by isp1
ipv6 has no way out
isp1 is pinned by hand: `failover use auto` lets the daemon choose again

  PROVIDER  FAMILY  STATE     SINCE   LOSS      RTT      METRIC  DEVICE
* isp1      ipv4    online   3h 12m     0%  12.3 ms         100  eth1
  isp2      ipv4    offline     42s  37.5%  1235 ms         102  eth2
  satellite-of-the-neighbouring-x
            ipv4    online   3h 12m     2%  12.3 ms  4294967295  pppoe-wan
            the kernel does not have its route
            a foreign default route of metric 0 prevails
            ipv6    waiting   1d 1h      -        -           -  wwan-cdc-12345
            no carrier
            out of use: `failover enable satellite-of-the-neighbouring-x` gives
            it back

! rp-filter, isp2, for 42s: strict rp_filter on eth2 drops the replies to its
  probes
  cure: sysctl -w net.ipv4.conf.eth2.rp_filter=2

! overflow, for 1d 1h: 7 addresses cannot be watched; delete those not needed

! no-room, for 0s: probes are not asked; and not counted
"
    );
}

#[test]
fn what_a_calm_table_would_hide() {
    let mut answer = healthy();
    answer.header.as_mut().unwrap().active.ipv6 = Lead::NoRoute;
    let path = &mut answer.providers[0].paths[0];
    path.checks[0].failing_s = Some(4);
    assert!(!text(&answer).contains("fails"));
    let path = &mut answer.providers[0].paths[0];
    path.checks[0].failing_s = Some(65);
    path.held_back_by = Some("isp2".try_into().unwrap());
    path.takes_over_in_ms = Some(125_000);
    answer.providers[0].paths[1].held_back_by = Some("isp2".try_into().unwrap());
    answer.providers[0].head.disabled = true;
    assert_eq!(
        text(&answer),
        "\
failover 0.1.0, up 3d 4h
ipv4 leaves by isp1, though that is disabled: no enabled provider works
ipv6 has no way out

  PROVIDER  FAMILY  STATE     SINCE  LOSS      RTT  METRIC  DEVICE
* isp1      ipv4    online   3h 12m    0%  12.3 ms     100  eth1
            stands by until 20:31:00 UTC: preempt lets isp2 carry till then
            check google (ping 8.8.8.8) fails for 1m 5s
            ipv6    online   3h 12m    0%  12.3 ms     100  eth1
            stands by until isp2 fails: preempt is no
            out of use: `failover enable isp1` gives it back
  isp2      ipv4    probing      2s     -        -       -  -
"
    );
    // An offline path fails all of them.
    answer.providers[0].paths[0].state = State::Offline;
    assert!(!text(&answer).contains("fails for"));
}

#[test]
fn a_last_resort_is_told_from_a_good_way() {
    let mut answer = healthy();
    answer.providers[0].paths[1].state = State::Offline;
    let said = "ipv4 leaves by isp1\nipv6 leaves by isp1, though that is offline\n";
    assert!(text(&answer).contains(said), "{}", text(&answer));
    for path in &mut answer.providers[0].paths {
        path.state = State::Waiting;
    }
    let said = "ipv4 and ipv6 leave by isp1, though that is not connected\n";
    assert!(text(&answer).contains(said), "{}", text(&answer));
}

#[test]
fn round_trips_have_the_digits_that_matter() {
    let shown = [0, 4, 52, 94, 95, 960, 9960, 123_400, 9_999_000, 12_345_000];
    assert_eq!(
        shown.map(|micros| round_trip(Decimal::new(micros))),
        [
            "0 ms", "0 ms", "0.05 ms", "0.09 ms", "0.1 ms", "1 ms", "10 ms", "123 ms", "9999 ms",
            "12.3 s"
        ]
    );
}

#[test]
fn whatever_is_in_it_eighty_columns_hold_it() {
    let mut answer = troubled();
    let mut path = online(Family::V6, "fifteen-letters", u32::MAX);
    path.rtt_ms.avg = Some(Decimal::new(u32::MAX));
    path.loss_percent = Some(Decimal::new(99_900));
    path.since_ms = 8_639_999_000;
    let long = "an-id-of-thirty-one-characters-";
    path.reason.waiting = Some(Waiting::DeviceTaken(Slot(0)));
    path.reason.other = Some(long.try_into().unwrap());
    answer.providers = vec![
        provider(long, 1, ProviderState::Disabled, &[path.clone(), path]),
        provider(
            "short",
            2,
            ProviderState::Is(State::Online),
            &[online(Family::V4, "eth0", 1)],
        ),
    ];
    answer.providers[0].head.disabled = true;
    let header = answer.header.as_mut().unwrap();
    header.pinned = Some(long.try_into().unwrap());
    header.active.ipv6 = Lead::By(long.try_into().unwrap());
    answer.warnings[0].text = "y".repeat(240).as_str().try_into().unwrap();
    assert!(text(&answer).contains("short"));
}

#[test]
fn names_of_thirty_one_bytes_fit_and_are_shown_whole() {
    let id = "satellite-of-the-neighbouring-x";
    for (device, below) in [
        ("fifteen-letters", false),
        ("sixteen-letters-", true),
        ("wwan-modem-of-the-neighbouring-", true),
        (&"x".repeat(64), true),
    ] {
        let mut answer = healthy();
        answer.providers = State::ALL
            .into_iter()
            .map(|state| {
                let path = |family| {
                    let mut path = online(family, device, 4_294_967_295);
                    path.state = state;
                    path
                };
                let paths = Family::ALL.map(path);
                provider(id, 1, ProviderState::Is(state), &paths)
            })
            .collect();
        let shown = text(&answer);
        let whole: String = shown.split_whitespace().collect();
        for name in [id, device] {
            assert!(whole.matches(name).count() >= State::ALL.len(), "{shown}");
        }
        let mut lines = shown.lines();
        let is_below = lines.any(|line| line.trim_start().starts_with("device"));
        assert_eq!(is_below, below, "{shown}");
    }
}

#[test]
fn colours_change_no_letter() {
    let plain = text(&troubled());
    let coloured = render(&troubled(), true, NOW_MS).unwrap();
    let mut letters = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        letters.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    letters.push_str(rest);
    assert_eq!(letters, plain);
    assert!(coloured.contains("\x1b[31moffline\x1b[0m"));
    assert!(coloured.contains("\x1b[32m* \x1b[0m\x1b[1misp1\x1b[0m"));
}

#[test]
fn a_hostile_name_commands_nothing() {
    let mut answer = troubled();
    answer.providers[0].head.id = "\x1b]0;x\x07".try_into().unwrap();
    answer.warnings[0].text = "\x1b[2J".try_into().unwrap();
    assert!(!text(&answer).contains('\x1b'));
}
