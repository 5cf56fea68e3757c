//! The saved state's file: the next run reads it, and invalid files are ignored.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use failover::linux::clock::boot_id;
use failover::linux::file::saved_state::{self, Loaded};
use failover::types::{PerFamily, Slot};
use failover::wire::saved_state::{BootId, Record, STATE_MAX, VERSION};

use crate::Scratch;

const RECORD: Record<'_> = Record::Provider {
    id: "isp1",
    slot: Slot(5),
    paths: PerFamily { v4: None, v6: None },
};

fn write(scratch: &Scratch, count: usize) {
    let boot = boot_id().unwrap();
    saved_state::write(&scratch.at(""), boot, |put| {
        for _ in 0..count {
            put(&RECORD);
        }
    })
    .unwrap();
}

fn ignored(scratch: &Scratch, boot: BootId) -> String {
    match saved_state::read(&scratch.at(""), boot) {
        Loaded::Ignored(why) => why,
        Loaded::Nothing => panic!("there is a file"),
        Loaded::Saved(_) => panic!("it is not to be believed"),
    }
}

#[test]
fn the_last_saved_state_is_read() {
    let scratch = Scratch::new();
    let boot = boot_id().unwrap();
    assert!(matches!(
        saved_state::read(&scratch.at(""), boot),
        Loaded::Nothing
    ));
    for count in [3, 200, 1, 0] {
        write(&scratch, count);
        let Loaded::Saved(saved) = saved_state::read(&scratch.at(""), boot) else {
            panic!("it is sound");
        };
        assert_eq!(saved.records().count(), count);
        assert!(saved.records().all(|record| record == RECORD));
    }
    let mode = fs::metadata(scratch.at("state"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(&*scratch).unwrap().count(), 1);
}

#[test]
fn an_invalid_file_is_ignored_with_the_reason() {
    let scratch = Scratch::new();
    let boot = boot_id().unwrap();
    write(&scratch, 3);
    let why = ignored(&scratch, BootId([7; 16]));
    assert!(why.contains("started anew"), "{why}");

    let file = scratch.at("state");
    let good = fs::read(&file).unwrap();
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    assert!(ignored(&scratch, boot).ends_with("state: it is damaged"));
    fs::write(&file, "").unwrap();
    assert!(ignored(&scratch, boot).ends_with("it is damaged"));
    fs::write(&file, vec![0; STATE_MAX + 1]).unwrap();
    assert!(ignored(&scratch, boot).contains("too long"));
    let mut newer = good.clone();
    newer[4] += 1;
    fs::write(&file, newer).unwrap();
    assert!(
        ignored(&scratch, boot).contains(&format!("format {}, of another version", VERSION + 1))
    );
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(ignored(&scratch, boot).contains("remove the directory"));
}

#[test]
fn a_failed_write_leaves_no_outdated_file() {
    let scratch = Scratch::new();
    write(&scratch, 2);
    fs::create_dir(scratch.at("state.tmp")).unwrap();
    let refused = saved_state::write(&scratch.at(""), boot_id().unwrap(), |put| put(&RECORD));
    let text = refused.unwrap_err().to_string();
    assert!(text.starts_with("cannot save the state in "), "{text}");
    assert!(!fs::exists(scratch.at("state")).unwrap());

    let gone = saved_state::write(&scratch.at("gone"), boot_id().unwrap(), |_| {});
    assert!(gone.is_err());
    assert!(!fs::exists(scratch.at("gone")).unwrap());
}

/// A pipe would block the daemon for ever; a link could lead to any file.
#[test]
fn only_a_regular_file_is_read() {
    let scratch = Scratch::new();
    let boot = boot_id().unwrap();
    let path = scratch.at("state");
    nix::unistd::mkfifo(&*path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let why = ignored(&scratch, boot);
    assert!(why.contains("not a regular file"), "{why}");
    // It is still replaced.
    write(&scratch, 1);
    assert!(matches!(
        saved_state::read(&scratch.at(""), boot),
        Loaded::Saved(_)
    ));
    fs::rename(&path, scratch.at("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    let why = ignored(&scratch, boot);
    assert!(why.contains("symbolic link"), "{why}");
}
