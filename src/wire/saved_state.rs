//! The saved state: what a run leaves to the next run of the same boot.
//!
//! A file is [`MAGIC`], the format's version (one byte), the boot ID (16 bytes), the records in postcard's format, and a
//! CRC-32 of all bytes before it (4 bytes, little-endian). Instants are microseconds of the monotonic clock, which
//! continues across runs while the machine is up.

use serde::{Deserialize, Serialize};

use crate::limits::{JOURNAL_MAX, NAME_MAX, PROVIDERS_MAX};
use crate::types::{Cause, Kind, Lead, PerFamily, Slot, Subject, Verdict};
use crate::wire::journal::CAUSE_BYTES_MAX;

/// The format's version: a file with another version is not read.
pub const VERSION: u8 = 2;
/// The beginning of a file.
pub const MAGIC: [u8; 4] = *b"fost";
/// Longest record, in bytes.
pub const RECORD_MAX: usize = 256;
/// Longest file that is read, in bytes.
pub const STATE_MAX: usize = 64 * 1024;

const HEAD: usize = MAGIC.len() + 1 + 16;
const TAIL: usize = 4;
// The longest record is a journal entry: a tag, an instant, a provider and a family, a kind, a cause with its length.
const _: () = assert!(1 + 10 + (2 + NAME_MAX + 2) + 1 + (2 + CAUSE_BYTES_MAX) <= RECORD_MAX);
// An entry may be followed by its repeats: a tag and two numbers.
const _: () = assert!(
    HEAD + (2 + PROVIDERS_MAX + JOURNAL_MAX) * RECORD_MAX + JOURNAL_MAX * (1 + 5 + 5) + TAIL
        <= STATE_MAX
);

/// The kernel's boot ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// From `/proc/sys/kernel/random/boot_id`: 32 hexadecimal digits, dashes anywhere between them.
    pub fn parse(text: &[u8]) -> Option<BootId> {
        let mut id = [0; 16];
        let mut digits = text.iter().filter(|byte| **byte != b'-');
        let mut digit = || char::from(*digits.next()?).to_digit(16);
        for byte in &mut id {
            *byte = u8::try_from(digit()? << 4 | digit()?).ok()?;
        }
        digits.next().is_none().then_some(BootId(id))
    }
}

/// One record. Its texts have the lengths of [`crate::limits`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // one at a time
pub enum Record<'a> {
    /// the leading providers, by id
    Leaders(#[serde(borrow)] PerFamily<Option<&'a str>>),
    /// one provider
    Provider {
        /// its id
        id: &'a str,
        /// its slot
        slot: Slot,
        /// its path in each family, if it had one
        paths: PerFamily<Option<Path>>,
    },
    /// one entry of the journal; the oldest first
    Entry {
        /// when, in microseconds of the monotonic clock
        at_micros: i64,
        /// the provider and family concerned
        subject: Subject,
        /// what happened
        kind: Kind,
        /// why
        cause: Cause,
    },
    /// what the journal and hooks reported last; after the providers
    Told {
        /// the pinned provider, by id
        #[serde(borrow)]
        pinned: Option<&'a str>,
        /// what became of each family's traffic
        #[serde(borrow)]
        leads: PerFamily<Lead<&'a str>>,
    },
    /// the entry before this record stands for several transitions
    Repeats {
        /// their number
        times: u32,
        /// from the first to the last, in milliseconds
        for_ms: u32,
    },
}

/// What was known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// its verdict
    pub verdict: Verdict,
    /// since when, in microseconds of the monotonic clock
    pub since_micros: i64,
}

/// Writes a file into `sink`, in pieces of at most [`RECORD_MAX`] bytes.
pub struct Writer<S> {
    sink: S,
    crc: Crc,
}

impl<E, S: FnMut(&[u8]) -> Result<(), E>> Writer<S> {
    /// Begins a file.
    pub fn new(boot: BootId, sink: S) -> Result<Writer<S>, E> {
        let crc = Crc::new();
        let mut writer = Writer { sink, crc };
        writer.put(&MAGIC)?;
        writer.put(&[VERSION])?;
        writer.put(&boot.0)?;
        Ok(writer)
    }

    /// Adds a record. A record longer than [`RECORD_MAX`] is left out.
    pub fn record(&mut self, record: &Record<'_>) -> Result<(), E> {
        let mut bytes = [0; RECORD_MAX];
        match postcard::to_slice(record, &mut bytes) {
            Ok(bytes) => self.put(bytes),
            Err(_) => Ok(()),
        }
    }

    /// Ends the file. Without this the file is not valid.
    pub fn finish(mut self) -> Result<(), E> {
        let crc = self.crc.value();
        (self.sink)(&crc.to_le_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.crc.add(bytes);
        (self.sink)(bytes)
    }
}

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// it has another format, or is damaged
    Damaged,
    /// its format has another version
    Version(u8),
    /// the machine has rebooted since
    Boot,
}

/// The records of a file, after a check that the file is undamaged and of this boot.
pub fn records(file: &[u8], boot: BootId) -> Result<Records<'_>, Unusable> {
    let (magic, rest) = file
        .split_first_chunk::<{ MAGIC.len() }>()
        .ok_or(Unusable::Damaged)?;
    if *magic != MAGIC || file.len() < HEAD + TAIL {
        return Err(Unusable::Damaged);
    }
    // Before the checksum, which may be computed differently in another version.
    match rest {
        [VERSION, ..] => {}
        [other, ..] => return Err(Unusable::Version(*other)),
        [] => return Err(Unusable::Damaged),
    }
    let (sound, crc) = file.split_last_chunk::<TAIL>().ok_or(Unusable::Damaged)?;
    let mut own = Crc::new();
    own.add(sound);
    if own.value() != u32::from_le_bytes(*crc) {
        return Err(Unusable::Damaged);
    }
    let (id, body) = sound
        .get(MAGIC.len() + 1..)
        .and_then(<[u8]>::split_first_chunk::<16>)
        .ok_or(Unusable::Damaged)?;
    if *id != boot.0 {
        return Err(Unusable::Boot);
    }
    let records = Records(body);
    let mut probe = records.clone();
    probe.by_ref().for_each(drop);
    match probe.0 {
        [] => Ok(records),
        _ => Err(Unusable::Damaged),
    }
}

/// See [`records`].
#[derive(Clone, Debug, Default)]
pub struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = postcard::take_from_bytes(self.0).ok()?;
        self.0 = rest;
        Some(record)
    }
}

/// CRC-32 as in Ethernet and zip (polynomial 0x04c11db7, reflected), half a byte at a time.
struct Crc(u32);

impl Crc {
    const fn new() -> Crc {
        Crc(!0)
    }

    fn add(&mut self, bytes: &[u8]) {
        const TABLE: [u32; 16] = {
            let mut table = [0; 16];
            let mut index = 0;
            let mut entry: u32 = 0;
            while index < 16 {
                let mut bit = 0;
                while bit < 4 {
                    entry = entry >> 1 ^ if entry & 1 == 1 { 0xedb8_8320 } else { 0 };
                    bit += 1;
                }
                table[index] = entry;
                index += 1;
                #[allow(clippy::cast_possible_truncation)] // at most 16
                {
                    entry = index as u32;
                }
            }
            table
        };
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..2 {
                let low = (self.0 & 0xf) as usize;
                self.0 = self.0 >> 4 ^ TABLE[low];
            }
        }
    }

    const fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
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
                subject: subject(Some("isp1"), Some(Family::V6)),
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
            0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
            0xcd, 0xef,
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
            subject: subject(Some(&name), Some(Family::V6)),
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

    fn subject(provider: Option<&str>, family: Option<Family>) -> Subject {
        let provider = provider.map(|id| id.try_into().unwrap());
        Subject { provider, family }
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
                subject: subject(name, kind.is_multiple_of(4).then_some(Family::V4)),
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
}
