//! The saved state: what a run leaves to the next run of the same boot.
//!
//! A file is [`MAGIC`], the format's version (one byte), the boot ID (16 bytes), the records in postcard's format, and a
//! CRC-32 of all bytes before it (4 bytes, little-endian). Instants are microseconds of the monotonic clock, which
//! continues across runs while the machine is up.

use serde::{Deserialize, Serialize};

use crate::limits::{JOURNAL_MAX, NAME_MAX, PROVIDERS_MAX};
use crate::types::{Cause, Family, Kind, Lead, PerFamily, Slot, Verdict};
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
        /// the provider concerned, by id
        #[serde(borrow)]
        provider: Option<&'a str>,
        /// the family concerned
        family: Option<Family>,
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
        let mut from = postcard::Deserializer::from_bytes(self.0);
        let record = Record::deserialize(&mut from).ok();
        if record.is_some() {
            self.0 = from.finalize().ok()?;
        }
        record
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
mod tests;
