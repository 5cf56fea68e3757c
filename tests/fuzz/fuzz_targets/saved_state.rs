//! The saved state: records that were read are written again, and read the same.
//!
//! Input: the case, the boot ID (16); then the file, or the records of a file that is otherwise valid.

#![no_main]

use failover::wire::saved_state::{
    BootId, MAGIC, RECORD_MAX, Record, Records, Unusable, VERSION, Writer, records,
};
use failover_fuzz::{Input, crc32};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let boot = BootId(input.array());
    let mut file = input.rest().to_vec();
    boot_id(&file);
    if how & 1 != 0 {
        file.splice(..0, [&MAGIC[..], &[VERSION], &boot.0].concat());
    }
    if how & 2 != 0 {
        file.extend(crc32(&file).to_le_bytes());
    }
    match records(&file, boot) {
        Ok(read) => {
            if file.len() < 400 {
                cut(&file, boot, read.clone());
            }
            // Only records that the daemon would write: longer ones are left out.
            let read: Vec<Record<'_>> = read.filter(fits).collect();
            let again = written(&read, boot);
            assert!(again.len() <= file.len());
            let other = BootId(boot.0.map(|byte| !byte));
            assert_eq!(records(&file, other).err(), Some(Unusable::Boot));
            let again: Vec<Record<'_>> = records(&again, boot).expect("we wrote it").collect();
            assert_eq!(again, read);
        }
        Err(Unusable::Version(version)) => assert_ne!(version, VERSION),
        Err(Unusable::Damaged | Unusable::Boot) => {}
    }
});

/// A file that is cut off between two records has the records before; one that is cut off inside a record is damaged.
fn cut(file: &[u8], boot: BootId, read: Records<'_>) {
    let read: Vec<Record<'_>> = read.collect();
    let head = MAGIC.len() + 1 + boot.0.len();
    let mut places = 0;
    for length in head..file.len() - 4 {
        let mut part = file[..length].to_vec();
        part.extend(crc32(&part).to_le_bytes());
        match records(&part, boot) {
            Ok(part) => {
                assert!(part.eq(read[..places].iter().cloned()));
                places += 1;
            }
            Err(error) => assert_eq!(error, Unusable::Damaged),
        }
    }
    assert_eq!(places, read.len());
}

fn written(records: &[Record<'_>], boot: BootId) -> Vec<u8> {
    let mut bytes = Vec::new();
    let put = |piece: &[u8]| {
        assert!(piece.len() <= RECORD_MAX);
        bytes.extend_from_slice(piece);
        Ok::<(), ()>(())
    };
    let mut writer = Writer::new(boot, put).expect("memory takes all");
    for record in records {
        writer.record(record).expect("memory takes all");
    }
    writer.finish().expect("memory takes all");
    bytes
}

/// Whether a record is short enough to be written.
fn fits(record: &Record<'_>) -> bool {
    let empty = written(&[], BootId([0; 16])).len();
    let written = written(core::slice::from_ref(record), BootId([0; 16])).len();
    let texts = match record {
        Record::Told { pinned, .. } => pinned.map_or(0, str::len),
        Record::Leaders(leaders) => leaders.v4.map_or(0, str::len) + leaders.v6.map_or(0, str::len),
        Record::Provider { id, .. } => id.len(),
        // The limit has room for every journal entry.
        Record::Entry { provider, .. } => provider.map_or(0, str::len),
        Record::Repeats { .. } => 0,
    };
    // Besides its texts, a record has a few tens of bytes.
    assert!(
        written > empty || texts > RECORD_MAX - 40,
        "it is left out without need"
    );
    written > empty
}

/// The boot ID in the format of the kernel's file.
fn boot_id(text: &[u8]) {
    let digits: Vec<u8> = text.iter().cloned().filter(|byte| *byte != b'-').collect();
    let good = digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit);
    let read = BootId::parse(text);
    assert_eq!(read.is_some(), good);
    if let Some(BootId(id)) = read {
        let again: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(digits.eq_ignore_ascii_case(again.as_bytes()));
    }
}
