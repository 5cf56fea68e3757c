use heapless::{String, Vec};
use proptest::prelude::*;

use super::*;
use crate::limits::{DNS_SHOWN_MAX, NAME_MAX, PATH_CHECKS_MAX, TARGET_MAX, WINDOW_MAX};
use crate::types::{
    Cause, Duration, Duty, Family, Fault, Ground, Judged, Kind, LastResort, Lead, Measure,
    Measured, Metric, Missed, Name, Other, Preempt, Repeats, Slot, State, Subject, Verdict,
    Waiting,
};
use crate::wire::control::*;
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::*;

/// Any text of at most `N` bytes.
fn text<const N: usize>() -> impl Strategy<Value = String<N>> {
    proptest::collection::vec(any::<char>(), 0..=N).prop_map(|chars| {
        let mut text = String::new();
        chars.into_iter().all(|c| text.push(c).is_ok());
        text
    })
}

fn maybe<T: fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(of)
}

fn number() -> impl Strategy<Value = Option<Decimal>> {
    any::<Option<u32>>().prop_map(|thousandths| thousandths.map(Decimal::new))
}

fn list<T: fmt::Debug, const N: usize>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<T, N>> {
    proptest::collection::vec(of, 0..=N).prop_map(|items| items.into_iter().collect())
}

fn check() -> impl Strategy<Value = Check> {
    let fault = prop_oneof![
        any::<i32>().prop_map(Fault::Errno),
        any::<u16>().prop_map(Fault::Status),
        Just(Fault::Silent),
    ];
    let state = prop_oneof![
        Just(CheckState::Pending),
        Just(CheckState::Ok),
        Just(CheckState::Lost)
    ];
    let times = any::<(u64, Option<u64>, Option<u64>, bool)>();
    let texts = (text(), text(), text(), state);
    (
        texts,
        number(),
        number(),
        any::<(u32, u32)>(),
        times,
        maybe(fault),
    )
        .prop_map(
            |(texts, rtt_ms, loss_percent, counts, times, fault)| Check {
                name: texts.0,
                kind: texts.1,
                target: texts.2,
                state: texts.3,
                rtt_ms,
                loss_percent,
                sent: counts.0,
                received: counts.1,
                failing_s: Some(counts.0),
                required: times.3,
                fault,
                asked_ms: times.0,
                answered_ms: times.1,
                again_in_ms: times.2,
                ok: !counts.0,
                lost: !counts.1,
            },
        )
}

fn reason() -> impl Strategy<Value = Reason> {
    let duty = prop_oneof![Just(Duty::Checked), Just(Duty::Pinned), Just(Duty::Frozen)];
    let waiting = prop_oneof![
        Just(Waiting::NoCarrier),
        any::<u8>().prop_map(|slot| Waiting::DeviceTaken(Slot(slot)))
    ];
    let refused = maybe(any::<u32>().prop_map(Metric));
    let texts = (maybe(text()), maybe(text()));
    (duty, maybe(waiting), any::<bool>(), texts, refused).prop_map(
        |(duty, waiting, unchecked, (other, dropped), refused)| Reason {
            waiting,
            duty,
            unchecked,
            other,
            refused,
            dropped,
        },
    )
}

fn level() -> impl Strategy<Value = Option<Level>> {
    any::<Option<(Option<u32>, u32, u32, bool)>>().prop_map(|level| {
        level.map(|(value, most, recover, is_poor)| Level {
            value,
            most,
            recover,
            is_poor,
        })
    })
}

fn path() -> impl Strategy<Value = Path> {
    let better = maybe((text(), any::<bool>()));
    let names = (maybe(text()), maybe(text()), better, maybe(text()));
    let rtt = (number(), number(), number(), number(), number());
    let numbers = any::<(u64, Option<u32>, bool, Option<u64>, u32, i32, [u8; 5])>();
    let addresses = any::<(
        Option<core::net::IpAddr>,
        Option<core::net::IpAddr>,
        bool,
        [core::net::IpAddr; 2],
    )>();
    let judged = (
        reason(),
        [level(), level(), level()],
        maybe(text()),
        0..5_usize,
    );
    (names, rtt, numbers, addresses, judged, list(check())).prop_map(
        |(names, rtt, numbers, addresses, judged, checks)| Path {
            family: Family::ALL[usize::from(addresses.2)],
            device: names.0,
            state: State::ALL[judged.3],
            reason: judged.0,
            since_ms: numbers.0,
            address: addresses.0,
            address_deprecated: numbers.2,
            gateway: addresses.1,
            gateways: numbers.6[0],
            resolvers: addresses.3.into_iter().map(Some).collect(),
            metric: numbers.1.map(Metric),
            installed: numbers.2,
            overridden_by: numbers.1.map(Metric),
            held_back_by: names.1,
            takes_over_in_ms: numbers.3,
            rounds: Rounds {
                good: numbers.4,
                failed: numbers.4 / 2,
                streak: numbers.5,
            },
            loss_percent: rtt.0,
            rtt_ms: Rtt {
                last: rtt.0,
                avg: rtt.1,
                stddev: rtt.2,
                min: rtt.3,
                max: rtt.4,
            },
            checks,
            history: None,
            cause: judged.2.map(|id| Cause::Other(id, Other::Preferred)),
            cause_ms: numbers.0 / 2,
            verdict: Verdict::Returning,
            better: names.2,
            rival: names.3.map(|device| ManualRoute {
                device,
                metric: numbers.4,
                table: 254,
            }),
            terms: Terms {
                up: numbers.6[0],
                down: numbers.6[1],
                window: numbers.6[2],
                max_failed: numbers.6[3],
                quorum: numbers.6[4],
            },
            levels: judged.1,
            outage_ms: !numbers.0,
        },
    )
}

fn cure() -> impl Strategy<Value = Option<Cure>> {
    let cure = (any::<bool>(), text()).prop_map(|(is_command, text)| Cure { is_command, text });
    proptest::option::of(cure)
}

fn lead() -> impl Strategy<Value = Lead<Name>> {
    prop_oneof![
        Just(Lead::Unknown),
        Just(Lead::NoRoute),
        Just(Lead::Refused),
        text().prop_map(Lead::By)
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let states = prop_oneof![
        Just(ProviderState::Pinned),
        Just(ProviderState::Disabled),
        (0..5_usize).prop_map(|state| ProviderState::Is(State::ALL[state]))
    ];
    let provider = (text(), any::<(u32, bool, bool)>(), states).prop_map(
        |(id, (rank, disabled, enabled), state)| {
            Reply::Provider(ProviderHead {
                id,
                slot: Slot(rank.to_le_bytes()[0]),
                rank,
                state,
                disabled,
                disabled_ms: disabled.then_some(u64::from(rank)),
                enabled,
            })
        },
    );
    let preempt = prop_oneof![
        Just(Preempt::Yes),
        Just(Preempt::No),
        (1..u64::MAX).prop_map(|micros| Preempt::After(Duration::from_micros(micros)))
    ];
    let numbers = any::<(u64, u32, [u32; 4])>();
    let header = (text(), numbers, maybe(text()), lead(), lead(), preempt).prop_map(
        |(version, (uptime_s, table, counts), pinned, ipv4, ipv6, preempt)| {
            Reply::Header(Header {
                version,
                uptime_s,
                pinned,
                pinned_ms: Some(uptime_s),
                table,
                mark_mask: !table,
                connections_marked: Marked {
                    ipv4: table % 2 == 1,
                    ipv6: table % 3 == 1,
                },
                active: Active { ipv4, ipv6 },
                overridden_by: InMain {
                    ipv4: None,
                    ipv6: (table % 2 == 0).then(|| ManualRoute {
                        device: "wg0".try_into().unwrap(),
                        metric: table,
                        table: 254,
                    }),
                },
                fallback: InMain {
                    ipv4: (table % 3 == 0).then(|| ManualRoute {
                        device: "mgmt0".try_into().unwrap(),
                        metric: counts[0],
                        table,
                    }),
                    ipv6: None,
                },
                error_routes: [
                    None,
                    (table % 5 == 0).then_some(ErrorRoute {
                        metric: Metric(counts[1]),
                        obeyed: table % 2 == 0,
                    }),
                ],
                counters: Counters {
                    swaps: counts[0],
                    probes_sent: counts[1],
                    repairs: counts[2],
                    reloads: counts[3],
                    ..Counters::default()
                },
                swaps: [counts[1], counts[2]],
                preempt,
                last_resort: LastResort::Keep,
            })
        },
    );
    let warning = (
        text(),
        proptest::option::of(text()),
        text(),
        cure(),
        any::<u64>(),
    )
        .prop_map(|(code, provider, text, cure, since_ms)| {
            Reply::Warning(Warning {
                code,
                provider,
                text,
                cure,
                diversion: None,
                since_ms,
            })
        });
    let entry = (
        any::<(u64, u64, u32, u32)>(),
        proptest::option::of(text()),
        text(),
    )
        .prop_map(|((ago_ms, at_micros, times, for_ms), provider, id)| {
            Reply::Entry(Entry {
                ago_ms,
                at_micros,
                subject: Subject {
                    provider,
                    family: Some(Family::V6),
                },
                kind: Kind::Leads,
                cause: Cause::Other(id, Other::Is(State::Offline)),
                repeats: Repeats { times, for_ms },
            })
        });
    prop_oneof![
        4 => path().prop_map(Reply::Path),
        1 => provider,
        1 => header,
        1 => warning,
        1 => entry,
        1 => text().prop_map(Reply::Note),
        1 => text().prop_map(Reply::Error),
        1 => Just(Reply::Done),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_reply_fits_a_frame_and_decodes_to_itself(reply in reply()) {
        let mut buffer = [0; FRAME_MAX];
        let mut told = reply.clone();
        let length = encode(&mut told, &mut buffer).unwrap();
        prop_assert_eq!(&told, &reply, "it stays as it is");
        for half in [0, 1, 2, 3, length / 2, length - 1] {
            prop_assert_eq!(decode::<Reply>(&buffer[..half.min(length - 1)]), Ok(None));
        }
        prop_assert_eq!(decode::<Reply>(&buffer), Ok(Some((reply, length))));
    }

    #[test]
    fn what_is_damaged_is_refused_or_read_as_it_is(reply in reply(), at in any::<usize>(), byte in any::<u8>()) {
        let mut buffer = [0; FRAME_MAX];
        let length = encode(&mut reply.clone(), &mut buffer).unwrap();
        buffer[HEAD + at % (length - HEAD)] = byte;
        if let Ok(Some((read, taken))) = decode::<Reply>(&buffer[..length]) {
            prop_assert_eq!(taken, length);
            let mut again = [0; FRAME_MAX];
            let written = encode(&mut read.clone(), &mut again).unwrap();
            prop_assert!(written <= length);
            prop_assert_eq!(decode::<Reply>(&again[..written]), Ok(Some((read, written))));
        }
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), honest in any::<bool>()) {
        if honest && bytes.len() > HEAD {
            let length = u16::try_from(bytes.len() - LENGTH).unwrap();
            bytes[..LENGTH].copy_from_slice(&length.to_le_bytes());
            bytes[LENGTH] = VERSION;
        }
        let _ = decode::<Reply>(&bytes);
        let _ = decode::<Request>(&bytes);
    }
}

fn full<const N: usize>() -> String<N> {
    let mut text = String::new();
    while text.push('x').is_ok() {}
    text
}

/// A cause of the largest size.
fn longest_cause() -> Cause {
    let mut missed = Missed::default();
    for _ in 0..PATH_CHECKS_MAX {
        missed.add("a-target-of-14", Some(Fault::Errno(i32::MAX)));
    }
    let measured = Measured {
        measure: Measure::Jitter,
        value: u32::MAX,
        limit: u32::MAX,
        is_above: true,
    };
    Cause::Judged(Judged {
        ground: Ground::GoodAgain(u32::MAX, measured),
        missed,
        unreachable: Some(u8::MAX),
    })
}

#[test]
fn the_largest_reply_fits_a_frame() {
    let number = Some(Decimal::new(u32::MAX));
    let check = Check {
        name: full::<NAME_MAX>(),
        kind: full(),
        target: full::<TARGET_MAX>(),
        state: CheckState::Lost,
        rtt_ms: number,
        loss_percent: number,
        sent: u32::MAX,
        received: u32::MAX,
        failing_s: Some(u32::MAX),
        required: true,
        fault: Some(Fault::Errno(i32::MIN)),
        asked_ms: u64::MAX,
        answered_ms: Some(u64::MAX),
        again_in_ms: Some(u64::MAX),
        ok: u32::MAX,
        lost: u32::MAX,
    };
    let reply = Reply::Path(Path {
        family: Family::V6,
        device: Some(full()),
        state: State::Frozen,
        reason: Reason {
            waiting: Some(Waiting::DeviceTaken(Slot(63))),
            duty: Duty::Frozen,
            unchecked: true,
            other: Some(full()),
            refused: Some(Metric(u32::MAX)),
            dropped: Some(full()),
        },
        since_ms: u64::MAX,
        cause_ms: u64::MAX,
        address: Some([u8::MAX; 16].into()),
        address_deprecated: true,
        gateway: Some([u8::MAX; 16].into()),
        gateways: u8::MAX,
        resolvers: [Some([u8::MAX; 16].into()); DNS_SHOWN_MAX]
            .into_iter()
            .collect(),
        metric: Some(Metric(u32::MAX)),
        installed: true,
        overridden_by: Some(Metric(u32::MAX)),
        held_back_by: Some(full()),
        takes_over_in_ms: Some(u64::MAX),
        rounds: Rounds {
            good: u32::MAX,
            failed: u32::MAX,
            streak: i32::MIN,
        },
        loss_percent: number,
        rtt_ms: Rtt {
            last: number,
            avg: number,
            stddev: number,
            min: number,
            max: number,
        },
        checks: core::iter::repeat_n(check, PATH_CHECKS_MAX).collect(),
        history: None,
        cause: Some(longest_cause()),
        verdict: Verdict::Offline,
        better: Some((full(), true)),
        rival: Some(ManualRoute {
            device: full(),
            metric: u32::MAX,
            table: u32::MAX,
        }),
        terms: Terms::default(),
        levels: [Some(Level {
            value: Some(u32::MAX),
            ..Level::default()
        }); 3],
        outage_ms: u64::MAX,
    });
    let mut buffer = [0; FRAME_MAX];
    let length = encode(&mut reply.clone(), &mut buffer).unwrap();
    assert!(length > 1500, "{length}: is it full at all?");
    assert_eq!(decode(&buffer), Ok(Some((reply, length))));
    let rounds = core::iter::repeat_n(u32::MAX, WINDOW_MAX).collect();
    let reply = Reply::History(History(rounds));
    let length = encode(&mut reply.clone(), &mut buffer).unwrap();
    assert_eq!(decode(&buffer), Ok(Some((reply, length))));
}

#[test]
fn what_is_no_choice_is_refused() {
    for message in [&[6_u8][..], &[2, 0, 1, 0, 0, 0, 7, 0, 0], &[3, 2]] {
        let mut frame = std::vec![0, 0, VERSION];
        frame.extend_from_slice(message);
        frame[0] = u8::try_from(message.len() + 1).unwrap();
        let expected = match message {
            [6] => Ok(Some((Reply::Done, 4))),
            _ => Err(FrameError::Message),
        };
        assert_eq!(decode::<Reply>(&frame), expected);
    }
}

#[test]
fn another_version_is_named_at_once() {
    let mut buffer = [0; 32];
    let length = encode(&mut Request::Status, &mut buffer).unwrap();
    buffer[LENGTH] = 9;
    assert_eq!(
        decode::<Request>(&buffer[..3]),
        Err(FrameError::Version(9)),
        "after three bytes"
    );
    let error = decode::<Request>(&buffer[..length]).unwrap_err();
    let both = std::format!("control protocol version 9 met version {VERSION}: daemon and command");
    let text = std::format!("{error}");
    assert!(
        text.starts_with(&both) && text.contains("Restart the service"),
        "{text}"
    );
}

#[test]
fn an_impossible_length_is_refused_at_once() {
    let most = u16::try_from(FRAME_MAX - LENGTH).unwrap();
    for length in [0, 1, most + 1, 0xffff] {
        assert_eq!(
            decode::<Request>(&length.to_le_bytes()),
            Err(FrameError::Length(length))
        );
    }
    assert_eq!(decode::<Request>(&most.to_le_bytes()), Ok(None));
}

#[test]
fn extra_bytes_after_the_message_are_an_error() {
    assert_eq!(
        decode::<Request>(&[3, 0, VERSION, 0, 0]),
        Err(FrameError::Message)
    );
    assert_eq!(
        decode::<Request>(&[2, 0, VERSION, 0, 77]),
        Ok(Some((Request::Status, 4))),
        "the next frame's byte is not ours"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut note = Reply::Note(full());
    assert_eq!(encode(&mut note, &mut [0; 100]), Err(FrameError::TooLong));
    assert_eq!(encode(&mut note, &mut [0; 2]), Err(FrameError::TooLong));
}
