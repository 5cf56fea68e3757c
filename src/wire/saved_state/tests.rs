use proptest::prelude::*;

use super::*;
use crate::limits::{CAUSE_MAX, PATH_CHECKS_MAX};
use crate::types::{
    Family, Fault, Ground, Judged, Measure, Measured, Metric, Missed, Name, Other, Ours, State,
    Waiting,
};

const BOOT: BootId = BootId(*b"0123456789abcdef");

fn file(records: &[Record<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let sink = |piece: &[u8]| {
        assert!(piece.len() <= RECORD_MAX);
        bytes.extend_from_slice(piece);
        Ok::<(), ()>(())
    };
    let mut writer = Writer::new(BOOT, sink).unwrap();
    for record in records {
        writer.record(record).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

fn sample() -> Vec<u8> {
    let path = Path {
        verdict: Verdict::Online,
        since_micros: 123_456_789,
    };
    file(&[
        Record::Leaders(PerFamily {
            v4: Some("isp1"),
            v6: None,
        }),
        Record::Provider {
            id: "isp1",
            slot: Slot(3),
            paths: PerFamily {
                v4: Some(path),
                v6: None,
            },
        },
        Record::Entry {
            at_micros: 123_456_789,
            provider: Some("isp1"),
            family: Some(Family::V6),
            kind: Kind::State {
                from: State::Online,
                to: State::Waiting,
            },
            cause: Cause::Lost(Waiting::NoCarrier),
        },
        Record::Told {
            pinned: Some("isp1"),
            leads: PerFamily {
                v4: Lead::By("isp1"),
                v6: Lead::Refused,
            },
        },
        Record::Repeats {
            times: 37,
            for_ms: 4000,
        },
    ])
}

#[test]
fn the_checksum_is_crc_32() {
    let mut crc = Crc::new();
    crc.add(b"123456789");
    assert_eq!(crc.value(), 0xcbf4_3926);
}

#[test]
fn a_boot_id_is_32_digits() {
    let text = b"01234567-89ab-cdef-0123-456789ABCDEF";
    let id = [
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
        0xef,
    ];
    assert_eq!(BootId::parse(text), Some(BootId(id)));
    assert_eq!(BootId::parse(&text[..35]), None);
    assert_eq!(BootId::parse(b"0123456789abcdef0123456789abcdef0"), None);
    assert_eq!(BootId::parse(b"0123456789abcdef0123456789abcdeg"), None);
    assert_eq!(BootId::parse(b""), None);
}

#[test]
fn each_changed_byte_and_each_truncation_is_detected() {
    let good = sample();
    assert_eq!(records(&good, BOOT).unwrap().count(), 5);
    for place in 0..good.len() {
        assert!(records(&good[..place], BOOT).is_err(), "cut at {place}");
        for change in 1..=255 {
            let mut bad = good.clone();
            bad[place] ^= change;
            assert!(records(&bad, BOOT).is_err(), "{change} at {place}");
        }
    }
    let mut long = good.clone();
    long.push(0);
    assert_eq!(records(&long, BOOT).unwrap_err(), Unusable::Damaged);
}

#[test]
fn another_boot_and_another_version_are_distinguished_from_damage() {
    let mut file = sample();
    let other = BootId([7; 16]);
    assert_eq!(records(&file, other).unwrap_err(), Unusable::Boot);
    file[MAGIC.len()] = VERSION + 1;
    assert_eq!(
        records(&file, BOOT).unwrap_err(),
        Unusable::Version(VERSION + 1)
    );
    assert_eq!(records(b"", BOOT).unwrap_err(), Unusable::Damaged);
}

#[test]
fn invalid_records_are_damage_even_with_a_correct_checksum() {
    let mut bytes = sample();
    bytes.truncate(bytes.len() - TAIL);
    bytes.push(250); // no record has this tag
    let mut crc = Crc::new();
    crc.add(&bytes);
    bytes.extend_from_slice(&crc.value().to_le_bytes());
    assert_eq!(records(&bytes, BOOT).unwrap_err(), Unusable::Damaged);
}

#[test]
fn a_file_without_records_is_valid() {
    assert_eq!(records(&file(&[]), BOOT).unwrap().count(), 0);
}

#[test]
fn the_longest_records_fit_and_longer_ones_are_left_out() {
    let name = "n".repeat(NAME_MAX);
    let mut missed = Missed::default();
    let target = "t".repeat((CAUSE_MAX - 7) / PATH_CHECKS_MAX);
    for _ in 0..PATH_CHECKS_MAX {
        missed.add(&target, Some(Fault::Errno(i32::MIN)));
    }
    assert_eq!(missed.iter().count(), PATH_CHECKS_MAX);
    let measured = Measured {
        measure: Measure::Jitter,
        value: u32::MAX,
        limit: u32::MAX,
        is_above: true,
    };
    let entry = Record::Entry {
        at_micros: i64::MIN,
        provider: Some(&name),
        family: Some(Family::V6),
        kind: Kind::State {
            from: State::Waiting,
            to: State::Offline,
        },
        cause: Cause::Judged(Judged {
            ground: Ground::GoodAgain(u32::MAX, measured),
            missed,
            unreachable: Some(u8::MAX),
        }),
    };
    let longer = "n".repeat(RECORD_MAX);
    let longer = Record::Told {
        pinned: Some(&longer),
        leads: PerFamily {
            v4: Lead::Unknown,
            v6: Lead::Unknown,
        },
    };
    let bytes = file(&[longer, entry.clone()]);
    let read: Vec<Record<'_>> = records(&bytes, BOOT).unwrap().collect();
    assert_eq!(read, [entry]);
}

/// A file of an earlier version is not read, whatever it contains, but distinguished from damage.
#[test]
fn a_file_with_a_journal_as_text_is_of_another_version() {
    let old: &[u8] = b"fost\x010123456789abcdef\x02\x02\x00\x00\x07started\x0dversion 1.2.3";
    assert_eq!(records(old, BOOT).unwrap_err(), Unusable::Version(1));
}

const KINDS: [Kind; 4] = [
    Kind::Started,
    Kind::Leads,
    Kind::RoutesPutBack,
    Kind::State {
        from: State::Frozen,
        to: State::Probing,
    },
];
const CAUSES: usize = 6;

fn causes(text: &str) -> Vec<Cause> {
    let id = text.chars().take(5).collect::<String>();
    let id = || Name::try_from(id.as_str()).unwrap();
    let mut missed = Missed::default();
    missed.add(&id(), None);
    missed.add("192.0.2.1", Some(Fault::Status(500)));
    let judged = Judged {
        ground: Ground::FailedInWindow(7, 50),
        missed,
        unreachable: Some(13),
    };
    let route = Ours::Route {
        to: Some("192.0.2.0/24".try_into().unwrap()),
        metric: Metric(100),
        table: 176,
    };
    vec![
        Cause::Cleanly,
        Cause::Version(id()),
        Cause::Other(id(), Other::LastResort(State::Offline)),
        Cause::Changed(route, 3),
        Cause::Kernel(Fault::Errno(-1)),
        Cause::Judged(judged),
    ]
}

/// A record without its borrowed texts.
type Owned = (Option<String>, String, i64, u8);

fn record((name, text, micros, kind): &Owned) -> Record<'_> {
    let verdicts = [
        Verdict::Fresh,
        Verdict::Returning,
        Verdict::Online,
        Verdict::Offline,
    ];
    let path = verdicts.get(*kind as usize / 3).map(|verdict| Path {
        verdict: *verdict,
        since_micros: *micros,
    });
    let name = name.as_deref();
    match kind % 4 {
        3 => Record::Told {
            pinned: name,
            leads: PerFamily {
                v4: Lead::By(text),
                v6: Lead::NoRoute,
            },
        },
        0 => Record::Leaders(PerFamily {
            v4: name,
            v6: Some(text),
        }),
        1 => Record::Provider {
            id: text,
            slot: Slot(*kind),
            paths: PerFamily { v4: path, v6: None },
        },
        _ => Record::Entry {
            at_micros: *micros,
            provider: name,
            family: kind.is_multiple_of(4).then_some(Family::V4),
            kind: KINDS[usize::from(*kind) % KINDS.len()],
            cause: causes(text).swap_remove(text.len() % CAUSES),
        },
    }
}

proptest! {
    #[test]
    fn any_records_decode_to_themselves(
        owned in prop::collection::vec(
            (prop::option::of("[a-z→]{0,10}"), "[ -~é]{0,15}", any::<i64>(), 0_u8..15), 0..50)
    ) {
        let written: Vec<Record<'_>> = owned.iter().map(record).collect();
        let bytes = file(&written);
        let read: Vec<Record<'_>> = records(&bytes, BOOT).unwrap().collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn no_bytes_cause_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), sealed: bool) {
        if sealed {
            // With a valid checksum, so that the decoder reads them.
            let mut file = MAGIC.to_vec();
            file.push(VERSION);
            file.extend_from_slice(&BOOT.0);
            file.append(&mut bytes);
            let mut crc = Crc::new();
            crc.add(&file);
            file.extend_from_slice(&crc.value().to_le_bytes());
            bytes = file;
        }
        if let Ok(records) = records(&bytes, BOOT) {
            records.for_each(drop);
        }
    }
}
