use super::*;
use crate::client::fixture::{healthy, path, provider, troubled};
use crate::types::{Cause, Fault, Metric, Other, Slot};
use crate::wire::snapshot::{ManualRoute, ProviderState};

/// 2025-11-23T20:28:55Z
const NOW_MS: u64 = 1_763_929_735_400;

/// What is said, without its line breaks.
fn said(answer: &Answer) -> String {
    let text = render(answer, NOW_MS).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is said of the first path, after this has become of it.
fn said_after(change: impl FnOnce(&mut Answer)) -> String {
    let mut answer = healthy();
    change(&mut answer);
    answer.providers.truncate(1);
    answer.providers[0].paths.truncate(1);
    said(&answer)
}

fn first(answer: &mut Answer) -> &mut Path {
    &mut answer.providers[0].paths[0]
}

fn head(answer: &mut Answer) -> &mut ProviderHead {
    &mut answer.providers[0].head
}

fn by_another(answer: &mut Answer) -> &mut Header {
    let header = answer.header.as_mut().unwrap();
    header.active.ipv4 = Lead::By("isp2".try_into().unwrap());
    header
}

#[track_caller]
fn holds(sentence: &str, change: impl FnOnce(&mut Answer)) {
    let said = said_after(change);
    assert!(said.contains(sentence), "'{sentence}' is not in: {said}");
}

#[test]
fn a_calm_day() {
    assert_eq!(
        render(&healthy(), NOW_MS).unwrap(),
        "\
At 20:28:55 UTC:
isp1 ipv4 is online since 17:16:55.
  It carries ipv4: it is the first in the order that works.
  A round is good when its check is answered.
  It goes offline after 3 failed rounds in a row; the last 50 were good.
  It also does when more than 10 of the last 50 rounds fail; of 50, 0 did.
  Check google (ping 8.8.8.8): asked last at 20:28:55: answered; last answer
  from 8.8.8.8 at 20:28:55 after 12.346 ms.
isp1 ipv6 is online since 17:16:55.
  It carries ipv6: it is the first in the order that works.
  A round is good when 1 of its 0 checks is answered.
  It goes offline after 3 failed rounds in a row; the last 50 were good.
  It also does when more than 10 of the last 50 rounds fail; of 50, 0 did.
isp2 ipv4 is probing since 20:28:52.
  It is not used: isp1 carries ipv4.
  A round is good when 1 of its 0 checks is answered.
  It comes online after 10 good rounds in a row; none has been judged since.
"
    );
}

#[test]
fn who_carries_nothing_and_why() {
    holds("It is not known yet which provider carries ipv4.", |a| {
        a.header.as_mut().unwrap().active.ipv4 = Lead::Unknown;
    });
    holds("none can have a default route.", |a| {
        a.header.as_mut().unwrap().active.ipv4 = Lead::NoRoute;
    });
    holds("and last_resort is unreachable.", |a| {
        a.header.as_mut().unwrap().active.ipv4 = Lead::Refused;
    });
    holds(
        "none can have a default route. But it is overridden by wg0 (metric 1 in main)",
        |a| {
            let header = a.header.as_mut().unwrap();
            header.active.ipv4 = Lead::NoRoute;
            header.overridden_by.ipv4 = Some(ManualRoute {
                device: "wg0".try_into().unwrap(),
                metric: 1,
                table: 254,
            });
        },
    );
    holds(
        "It is not used: it was disabled by hand, until `failover enable isp1`.",
        |a| {
            by_another(a);
            head(a).disabled = true;
        },
    );
    holds(
        "It is not used, and not checked: isp2 is pinned, until `failover use auto`.",
        |a| {
            by_another(a).pinned = Some("isp2".try_into().unwrap());
            first(a).reason.duty = Duty::Frozen;
        },
    );
    holds(
        "It is pinned, until `failover use auto`, but can have no default route.",
        |a| {
            by_another(a);
            first(a).reason.duty = Duty::Pinned;
        },
    );
    let mut answer = healthy();
    answer.providers = vec![provider("isp3", 3, ProviderState::Disabled, &[])];
    head(&mut answer).enabled = false;
    let off = "At 20:28:55 UTC: isp3 is not used: option enabled is '0' in the configuration. Set it to '1', then `failover reload`.";
    assert_eq!(said(&answer), off);
}

#[test]
fn what_others_do_with_the_traffic() {
    let by = ManualRoute {
        device: "mgmt0".try_into().unwrap(),
        metric: 5000,
        table: 254,
    };
    holds(
        "Traffic leaves by mgmt0 (metric 5000 in main) meanwhile.",
        |a| {
            let header = a.header.as_mut().unwrap();
            (header.active.ipv4, header.fallback.ipv4) = (Lead::NoRoute, Some(by));
        },
    );
    let obeyed = ErrorRoute {
        metric: Metric(50),
        obeyed: true,
    };
    let sentence = "in the order. But nothing leaves: the default route of metric 50 in main";
    holds(sentence, |a| {
        by_another(a).error_routes[0] = Some(obeyed);
    });
    for (obeyed, sentence) in [
        (
            true,
            "nothing leaves: the default route of metric 50 in main",
        ),
        (false, "before the default route of metric 50 there"),
    ] {
        holds(sentence, |a| {
            let metric = Metric(50);
            let route = ErrorRoute { metric, obeyed };
            a.header.as_mut().unwrap().error_routes[0] = Some(route);
        });
    }
    holds("But the kernel does not have its route.", |a| {
        first(a).installed = false;
    });
}

#[test]
fn what_preempt_holds_back() {
    holds(
        "It stands by: isp2 carries ipv4, and is before it in the order.",
        |a| {
            by_another(a);
        },
    );
    holds(
        "It stands by: preempt lets it take over from isp2 at 20:31:00, when it has been online for 90s.",
        |a| {
            by_another(a).preempt = Preempt::After(Duration::from_secs(90));
            first(a).held_back_by = Some("isp2".try_into().unwrap());
            first(a).takes_over_in_ms = Some(125_000);
        },
    );
    holds(
        "It stands by: isp2 carries ipv4 until that fails, for preempt is no; `failover use isp1` prefers this one.",
        |a| {
            by_another(a).preempt = Preempt::No;
            first(a).held_back_by = Some("isp2".try_into().unwrap());
        },
    );
}

#[test]
fn why_it_carries() {
    let better = |is_online| Some(("isp0".try_into().unwrap(), is_online));
    holds(
        "isp0 is before it in the order and works again, but preempt lets it stay.",
        |a| {
            first(a).better = better(true);
        },
    );
    holds(
        "isp0 is before it in the order, but preempt lets it stay.",
        |a| {
            a.header.as_mut().unwrap().preempt = Preempt::No;
            first(a).better = better(false);
        },
    );
    holds(
        "until isp0, which is before it in the order, is known to work.",
        |a| {
            first(a).better = better(false);
        },
    );
    holds(
        "although it was disabled by hand, until `failover enable isp1`",
        |a| {
            head(a).disabled = true;
        },
    );
    holds(
        "because it is pinned, until `failover use auto`; no provider is checked",
        |a| {
            first(a).reason.duty = Duty::Pinned;
        },
    );
    holds(
        "because isp2, which is pinned, can have no default route.",
        |a| {
            a.header.as_mut().unwrap().pinned = Some("isp2".try_into().unwrap());
            first(a).reason.duty = Duty::Frozen;
        },
    );
    holds(
        "all the same: no enabled provider works, and it is the last resort.",
        |a| {
            first(a).verdict = Verdict::Offline;
        },
    );
    holds(
        "all the same: no enabled provider works, and last_resort is keep.",
        |a| {
            a.header.as_mut().unwrap().last_resort = LastResort::Keep;
            first(a).verdict = Verdict::Offline;
        },
    );
    let mut answer = troubled();
    answer.header.as_mut().unwrap().active.ipv4 =
        Lead::By("satellite-of-the-neighbouring-x".try_into().unwrap());
    let over = "But another program's default route wins over ours, by its metric 0: traffic leaves by that.";
    assert!(said(&answer).contains(over), "{}", said(&answer));
}

#[test]
fn what_would_change_its_state() {
    holds(
        "It goes offline after 3 failed rounds in a row; the last 50 were good.",
        |a| {
            first(a).verdict = Verdict::Online;
        },
    );
    holds(
        "It also does when more than 10 of the last 50 rounds fail; of 50, 0 did.",
        |a| {
            first(a).verdict = Verdict::Online;
        },
    );
    holds(
        "It returns after 10 good rounds in a row; the last failed.",
        |a| {
            first(a).verdict = Verdict::Offline;
            first(a).rounds.streak = -1;
        },
    );
    holds(
        "It must also have failed at most 10 of the last 50 rounds; of 50, it failed 11.",
        |a| {
            first(a).verdict = Verdict::Offline;
            (first(a).rounds.good, first(a).rounds.failed) = (39, 11);
        },
    );
    holds(
        "It has no check of ipv4: it counts as online while its uplink is there, until it has one",
        |a| {
            first(a).reason.unchecked = true;
        },
    );
    holds(
        "A round is good when 1 of its 2 checks is answered, and each that is required.",
        |a| {
            let mut second = first(a).checks[0].clone();
            second.required = true;
            first(a).checks.push(second).unwrap();
        },
    );
    let level = |is_poor| Level {
        value: Some(12_000),
        most: 250_000,
        recover: 187_500,
        is_poor,
    };
    holds(
        "Its latency may be at most max_latency 250ms; it is 12ms.",
        |a| {
            first(a).levels[Measure::Latency as usize] = Some(level(false));
        },
    );
    holds(
        "Its jitter must come down to recover_jitter 187.500ms; it is 12ms.",
        |a| {
            first(a).levels[Measure::Jitter as usize] = Some(level(true));
        },
    );
    holds(
        "Its loss may be at most max_loss 30%; it is not known yet.",
        |a| {
            let (value, most) = (None, 30);
            first(a).levels[Measure::Loss as usize] = Some(Level {
                value,
                most,
                ..level(false)
            });
        },
    );
}

#[test]
fn what_a_path_waits_for() {
    let waits = |waiting: Waiting, device: Option<&str>, sentence: &str| {
        holds(sentence, |a| {
            let path = first(a);
            path.device = device.map(|device| device.try_into().unwrap());
            path.reason.waiting = Some(waiting);
            path.reason.other = Some("isp2".try_into().unwrap());
        });
    };
    let device = Some("eth1");
    waits(
        Waiting::NoDevice,
        None,
        "as soon as netifd tells its device.",
    );
    waits(
        Waiting::NoDevice,
        device,
        "there is a device eth1: `ip link` shows those that there are.",
    );
    waits(
        Waiting::Down,
        device,
        "as soon as eth1 is up: `ip link set eth1 up`.",
    );
    waits(
        Waiting::NoCarrier,
        device,
        "eth1 has a carrier: look at the cable, the modem and its power.",
    );
    waits(
        Waiting::NoAddress,
        device,
        "eth1 has an ipv4 address (that of option address, if it names one): from",
    );
    waits(
        Waiting::Duplicate,
        device,
        "It has no address: 192.0.2.7 is a duplicate (DAD failed): another host on the link of eth1 has it.",
    );
    waits(
        Waiting::NoGateway,
        device,
        "by option gateway, or a default route on eth1.",
    );
    holds(
        "there is one by eth2 (metric 0 in main), and a metric has only one. Give each device a metric of its own,",
        |a| {
            first(a).reason.waiting = Some(Waiting::NoGateway);
            first(a).rival = Some(ManualRoute {
                device: "eth2".try_into().unwrap(),
                metric: 0,
                table: 254,
            });
        },
    );
    waits(
        Waiting::RouteRefused,
        device,
        "accepts its route: `failover status` says why it does not.",
    );
    let taken = Waiting::DeviceTaken(Slot(1));
    waits(
        taken,
        device,
        "as soon as isp2 leaves it the device eth1: two cannot share one.",
    );
}

#[test]
fn what_its_checks_said() {
    let check = |change: &dyn Fn(&mut Check), sentence: &str| {
        holds(sentence, |a| change(&mut first(a).checks[0]));
    };
    check(
        &|check| check.required = true,
        "Check google (ping 8.8.8.8, required): asked last at 20:28:55: answered; last answer from 8.8.8.8 at",
    );
    check(
        &|check| (check.state, check.answered_ms) = (CheckState::Pending, None),
        "Check google (ping 8.8.8.8): asked, not answered yet; 299 of 300 answered.",
    );
    check(
        &|check| {
            *check = Check {
                name: "wan".try_into().unwrap(),
                kind: "neighbour".try_into().unwrap(),
                ..Check::default()
            }
        },
        "Check wan (neighbour wan): not asked yet; 0 of 0 answered.",
    );
    check(
        &|check| {
            check.state = CheckState::Lost;
            check.fault = Some(Fault::Refused);
            (check.asked_ms, check.again_in_ms) = (86_400_000, Some(5_000));
        },
        "asked last at 2025-11-22T20:28:55Z: connection refused; last answer from 8.8.8.8 at 20:28:55 after 12.346 \
         ms; asked again at 20:29:00.",
    );
    check(
        &|check| check.state = CheckState::Lost,
        "asked last at 20:28:55: unanswered; last answer",
    );
    holds("(ping 8.8.8.8): not asked while one is pinned; last", |a| {
        first(a).reason.duty = Duty::Pinned;
    });
    holds(
        "(ping 8.8.8.8): not asked while there is no way out; last",
        |a| {
            first(a).reason.waiting = Some(Waiting::Down);
        },
    );
}

#[test]
fn since_when_and_why() {
    let mut waiting = path(Family::V4, State::Waiting);
    (waiting.since_ms, waiting.cause_ms) = (172_800_000, 172_800_000);
    waiting.cause = Some(Cause::Lost(Waiting::NoCarrier));
    let mut answer = healthy();
    answer.providers[0].paths = vec![waiting];
    let lost = "isp1 ipv4 is waiting since 2025-11-21T20:28:55Z: carrier lost.";
    assert!(said(&answer).contains(lost), "{}", said(&answer));
    let leads = Cause::Other("isp2".try_into().unwrap(), Other::Preferred);
    first(&mut answer).cause = Some(leads);
    assert!(said(&answer).contains("Z: preferred to isp2."));
    // Another reason than at first; and one that the journal does not have.
    first(&mut answer).cause = Some(Cause::Lacks(Waiting::NoGateway));
    first(&mut answer).cause_ms = 5000;
    let since = "isp1 ipv4 is waiting since 2025-11-21T20:28:55Z, and since 20:28:50: no gateway.";
    assert!(said(&answer).contains(since), "{}", said(&answer));
    first(&mut answer).cause = None;
    first(&mut answer).reason.waiting = Some(Waiting::NoDevice);
    assert!(said(&answer).contains("Z: no device."));
}

#[test]
fn since_when_by_hand() {
    holds("isp2 was pinned at 20:28:00.", |a| {
        by_another(a).pinned = Some("isp2".try_into().unwrap());
        a.header.as_mut().unwrap().pinned_ms = Some(55_000);
        first(a).reason.duty = Duty::Frozen;
    });
    holds("isp1 was disabled at 20:28:00.", |a| {
        head(a).disabled = true;
        head(a).disabled_ms = Some(55_000);
    });
}

#[test]
fn warnings_of_the_providers_that_are_shown_and_of_none() {
    let answer = troubled();
    let text = render(&answer, NOW_MS).unwrap();
    let expected = "\
Warning rp-filter, isp2, since 20:28:13: strict rp_filter on eth2 drops the
replies to its probes.
  cure: sysctl -w net.ipv4.conf.eth2.rp_filter=2
Warning overflow, since 2025-11-22T19:28:55Z: 7 addresses cannot be watched.
  delete those not needed
Warning no-room, since 20:28:55: probes are not asked; and not counted.
";
    assert!(text.ends_with(expected), "{text}");
    let of_first = said_after(|a| *a = troubled());
    assert!(!of_first.contains("rp-filter"), "{of_first}");
    assert!(of_first.contains("Warning overflow"), "{of_first}");
}

#[test]
fn probes_that_are_refused() {
    holds(
        "Its probes are refused by the default route of metric 5 in main, until that is deleted: `ip -4 route del default \
         metric 5`.",
        |a| first(a).reason.refused = Some(Metric(5)),
    );
}

#[test]
fn without_a_header_nothing_is_said() {
    assert_eq!(render(&Answer::default(), NOW_MS), None);
}
