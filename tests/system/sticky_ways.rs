//! The path of the sticky file: directories that do not exist yet, are deleted, are moved, or are symbolic links.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use failover::linux::file::path_watch::PathWatch;
use failover::linux::file::sticky::{Pinned, Sticky};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Scratch;
use crate::sticky::{news, provider};

const UNPINNED: Option<Pinned> = Some(Pinned::None);

#[test]
fn directories_may_be_created_later_one_by_one_or_all_at_once() {
    let scratch = Scratch::new();
    let file = scratch.at("a/b/c/pin");
    let mut sticky = Sticky::open(&file).unwrap();
    for directory in ["a", "a/b", "a/b/c"] {
        fs::create_dir(scratch.at(directory)).unwrap();
        assert_eq!(news(&mut sticky), None);
    }
    fs::write(&file, "isp1").unwrap();
    assert_eq!(news(&mut sticky), provider("isp1"));

    fs::remove_dir_all(scratch.at("a")).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);
    // Between the directory's creation and the new watch there are no events for changes inside.
    fs::create_dir_all(scratch.at("a/b/c")).unwrap();
    fs::write(&file, "isp2").unwrap();
    assert_eq!(news(&mut sticky), provider("isp2"));
    fs::remove_dir_all(scratch.at("a/b/c")).unwrap();
    fs::create_dir(scratch.at("a/b/c")).unwrap();
    fs::write(&file, "isp3").unwrap();
    assert_eq!(news(&mut sticky), provider("isp3"), "gone and come unseen");
    fs::write(&file, "isp4").unwrap();
    assert_eq!(news(&mut sticky), provider("isp4"));
}

#[test]
fn a_deleted_directory_that_is_still_open_counts_as_deleted() {
    let scratch = Scratch::new();
    let file = scratch.at("a/pin");
    fs::create_dir(scratch.at("a")).unwrap();
    fs::write(&file, "isp1").unwrap();
    let mut sticky = Sticky::open(&file).unwrap();
    let _shell_stands_in_it = File::open(scratch.at("a")).unwrap();
    fs::remove_dir_all(scratch.at("a")).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);
    fs::create_dir(scratch.at("a")).unwrap();
    fs::write(&file, "isp2").unwrap();
    assert_eq!(news(&mut sticky), provider("isp2"));
}

#[test]
fn a_directory_is_replaced_by_another() {
    let scratch = Scratch::new();
    let file = scratch.at("a/b/pin");
    fs::create_dir_all(scratch.at("a/b")).unwrap();
    fs::write(&file, "isp1").unwrap();
    let mut sticky = Sticky::open(&file).unwrap();

    fs::rename(scratch.at("a"), scratch.at("z")).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);
    fs::write(scratch.at("z/b/pin"), "isp2").unwrap();
    assert_eq!(news(&mut sticky), None, "it is elsewhere now");
    fs::rename(scratch.at("z"), scratch.at("a")).unwrap();
    assert_eq!(news(&mut sticky), provider("isp2"));
}

#[test]
fn a_changed_link_in_the_path_is_followed() {
    let scratch = Scratch::new();
    for (directory, id) in [("one", "isp1"), ("two", "isp2")] {
        fs::create_dir(scratch.at(directory)).unwrap();
        fs::write(scratch.at(&format!("{directory}/pin")), id).unwrap();
    }
    let link = scratch.at("link");
    symlink("one", &link).unwrap();
    let mut sticky = Sticky::open(&scratch.at("link/pin")).unwrap();
    assert_eq!(Some(sticky.pinned().clone()), provider("isp1"));
    fs::write(scratch.at("one/pin"), "isp3").unwrap();
    assert_eq!(news(&mut sticky), provider("isp3"));

    symlink(scratch.at("two"), scratch.at("link.new")).unwrap();
    fs::rename(scratch.at("link.new"), &link).unwrap(); // ln -sfn
    assert_eq!(news(&mut sticky), provider("isp2"));
    fs::write(scratch.at("one/pin"), "isp4").unwrap();
    assert_eq!(news(&mut sticky), None, "the way leads past it now");
    fs::write(scratch.at("two/pin"), "isp5").unwrap();
    assert_eq!(news(&mut sticky), provider("isp5"));

    fs::remove_file(&link).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);
    symlink("../nowhere", &link).unwrap();
    assert_eq!(news(&mut sticky), None);
    fs::remove_file(&link).unwrap();
    symlink(
        format!("../{}/one/../two", scratch.file_name().unwrap().display()),
        &link,
    )
    .unwrap();
    assert_eq!(news(&mut sticky), provider("isp5"), "a winding way");
}

#[test]
fn a_file_in_place_of_a_directory_is_replaced() {
    let scratch = Scratch::new();
    fs::write(scratch.at("a"), "isp1").unwrap();
    let mut sticky = Sticky::open(&scratch.at("a/pin")).unwrap();
    assert_eq!(sticky.pinned(), &Pinned::None);
    fs::remove_file(scratch.at("a")).unwrap();
    fs::create_dir(scratch.at("a")).unwrap();
    fs::write(scratch.at("a/pin"), "isp2").unwrap();
    assert_eq!(news(&mut sticky), provider("isp2"));
}

#[test]
fn events_of_other_names_are_no_change() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.at("a/b")).unwrap();
    let mut watch = PathWatch::new(Path::new(&scratch.at("a/b/pin"))).unwrap();
    for beside in [
        "pin",
        "a/pin",
        "a/b/pi",
        "a/b/pin2",
        "a/b/.pin.tmp",
        "b",
        "a/a",
    ] {
        fs::write(scratch.at(beside), "isp1").unwrap();
        fs::remove_file(scratch.at(beside)).unwrap();
        assert!(!watch.changed().unwrap(), "{beside}");
    }
    fs::write(scratch.at("a/b/pin"), "isp1").unwrap();
    assert!(watch.changed().unwrap());
    assert!(!watch.changed().unwrap());
}

/// Changes during the walk are detected: the last content is read.
#[test]
fn no_change_is_lost_however_fast_they_follow() {
    let scratch = Scratch::new();
    let file = scratch.at("a/b/pin");
    let mut sticky = Sticky::open(&file).unwrap();
    for run in 0..30_u32 {
        let hand = {
            let (file, root, other) = (file.clone(), scratch.at("a"), scratch.at("other"));
            thread::spawn(move || {
                for step in 0..40 {
                    let word = format!("isp{run}-{step}");
                    match (run * 7 + step * 5) % 6 {
                        0 => drop(fs::remove_dir_all(&root)),
                        1 => drop(fs::remove_file(&file)),
                        2 => {
                            fs::write(&other, &word).unwrap();
                            drop(fs::rename(&other, &file));
                        }
                        3 => drop(fs::create_dir_all(root.clone() + "/b")),
                        _ => drop(fs::write(&file, word)),
                    }
                }
                fs::create_dir_all(root + "/b").unwrap();
                fs::write(&file, format!("last{run}")).unwrap();
            })
        };
        // Each wait ends by an event, or fails the test.
        while Some(sticky.pinned().clone()) != provider(&format!("last{run}")) {
            let mut descriptors = [PollFd::new(sticky.as_fd(), PollFlags::POLLIN)];
            let woken = poll(&mut descriptors, PollTimeout::from(5000_u16)).unwrap();
            assert_eq!(woken, 1, "run {run}: {:?}", sticky.pinned());
            sticky.changed().unwrap();
        }
        hand.join().unwrap();
    }
}
