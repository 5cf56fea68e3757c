//! The sticky file: written, emptied, moved and deleted by other programs, and written by us.
//!
//! inotify queues an event before the system call that causes it returns: so no waiting is needed here.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

use failover::linux::file::sticky::{Pinned, Sticky};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Scratch;

pub(crate) fn provider(id: &str) -> Option<Pinned> {
    Some(Pinned::Provider(id.try_into().unwrap()))
}

const UNPINNED: Option<Pinned> = Some(Pinned::None);

/// The change that is read next; the event loop would read because the descriptor is readable.
pub(crate) fn news(sticky: &mut Sticky) -> Option<Pinned> {
    if !wakes(sticky) {
        return None;
    }
    let has_changed = sticky.changed().unwrap();
    assert!(
        !wakes(sticky) || !sticky.changed().unwrap(),
        "one look is enough"
    );
    has_changed.then(|| sticky.pinned().clone())
}

fn wakes(sticky: &Sticky) -> bool {
    let mut descriptors = [PollFd::new(sticky.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::ZERO).unwrap() > 0
}

#[test]
fn a_pin_is_set_and_removed_by_hand() {
    let scratch = Scratch::new();
    let file = scratch.at("sticky.provider");
    let mut sticky = Sticky::open(&file).unwrap();
    assert_eq!(sticky.pinned(), &Pinned::None);

    fs::write(&file, "isp2\n").unwrap(); // echo isp2 >
    assert_eq!(news(&mut sticky), provider("isp2"));
    fs::write(&file, "isp1\n").unwrap();
    assert_eq!(news(&mut sticky), provider("isp1"));
    fs::write(&file, " isp1 ").unwrap();
    assert_eq!(news(&mut sticky), None, "the same is no news");
    fs::write(&file, "").unwrap(); // >
    assert_eq!(news(&mut sticky), UNPINNED);
    fs::write(&file, "isp2\n").unwrap();
    assert_eq!(news(&mut sticky), provider("isp2"));
    fs::remove_file(&file).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);

    let other = scratch.at("other");
    fs::write(&other, "isp3\n").unwrap();
    assert_eq!(news(&mut sticky), None, "another file does not count");
    fs::rename(&other, &file).unwrap(); // mv other sticky.provider
    assert_eq!(news(&mut sticky), provider("isp3"));
    fs::rename(&file, &other).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);
    fs::hard_link(&other, &file).unwrap(); // ln
    assert_eq!(news(&mut sticky), provider("isp3"));
    fs::remove_file(&file).unwrap();
    symlink("other", &file).unwrap(); // ln -s
    assert_eq!(news(&mut sticky), None, "the same again");
    fs::write(&other, "isp4\n").unwrap();
    assert_eq!(news(&mut sticky), provider("isp4"), "through the link");
    fs::remove_file(&other).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);
    fs::write(&other, "isp5\n").unwrap();
    assert_eq!(news(&mut sticky), provider("isp5"), "the link led nowhere");
}

#[test]
fn a_file_takes_effect_when_it_is_closed() {
    let scratch = Scratch::new();
    let file = scratch.at("sticky.provider");
    fs::write(&file, "isp1\n").unwrap();
    let mut sticky = Sticky::open(&file).unwrap();
    assert_eq!(Some(sticky.pinned().clone()), provider("isp1"));

    let mut open = File::create(&file).unwrap(); // truncates
    assert_eq!(news(&mut sticky), None);
    open.write_all(b"is").unwrap();
    assert_eq!(news(&mut sticky), None);
    open.write_all(b"p2\n").unwrap();
    assert_eq!(news(&mut sticky), None);
    drop(open);
    assert_eq!(news(&mut sticky), provider("isp2"));
}

#[test]
fn an_invalid_id_is_reported_once_with_advice() {
    let scratch = Scratch::new();
    let file = scratch.at("sticky.provider");
    let mut sticky = Sticky::open(&file).unwrap();
    fs::write(&file, [0xff; 10]).unwrap();
    let Some(Pinned::Invalid(text)) = news(&mut sticky) else {
        panic!("it is no id");
    };
    assert!(text.starts_with(&file) && text.contains("expected one provider's id"));
    fs::write(&file, [0xff; 10]).unwrap();
    assert_eq!(news(&mut sticky), None);
    fs::write(&file, "isp1").unwrap();
    assert_eq!(news(&mut sticky), provider("isp1"));

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let Some(Pinned::Invalid(text)) = news(&mut sticky) else {
        panic!("a directory is no id");
    };
    assert!(text.contains("remove the directory"), "{text}");
    let refused = sticky.write(Some("isp2")).unwrap_err().to_string();
    assert!(refused.contains("remove the directory"), "{refused}");
    fs::remove_dir(&file).unwrap();
    assert_eq!(news(&mut sticky), UNPINNED);
}

#[test]
fn our_own_write_is_no_change_and_durable() {
    let scratch = Scratch::new();
    let file = scratch.at("etc/failover/sticky.provider");
    let mut sticky = Sticky::open(&file).unwrap();
    sticky.write(Some("isp2")).unwrap();
    assert_eq!(news(&mut sticky), None);
    assert_eq!(Some(sticky.pinned().clone()), provider("isp2"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "isp2\n");
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o644);
    assert_eq!(mode(&scratch.at("etc/failover")), 0o755);

    // Changes by other programs are still reported.
    fs::write(&file, "isp1\n").unwrap();
    assert_eq!(news(&mut sticky), provider("isp1"));
    sticky.write(None).unwrap();
    assert_eq!(news(&mut sticky), None);
    assert!(!fs::exists(&file).unwrap());
    sticky.write(None).unwrap();
    let left: Vec<_> = fs::read_dir(scratch.at("etc/failover")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_unchanged_pin_is_not_written_again() {
    let scratch = Scratch::new();
    let file = scratch.at("sticky.provider");
    fs::write(&file, "isp2").unwrap();
    let mut sticky = Sticky::open(&file).unwrap();
    sticky.write(Some("isp2")).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, "isp2", "without our line feed");
}

#[test]
fn what_is_no_file_is_neither_replaced_nor_removed() {
    // As /dev/null is none: root could replace that, too.
    let scratch = Scratch::new();
    let (socket, link) = (scratch.at("socket"), scratch.at("sticky.provider"));
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    symlink("socket", &link).unwrap();
    for path in [&socket, &link] {
        let mut sticky = Sticky::open(path).unwrap();
        for id in [Some("isp1"), None] {
            let refused = sticky.write(id).unwrap_err().to_string();
            let why = format!("cannot replace {socket}: ");
            assert!(refused.starts_with(&why), "{refused}");
            assert!(refused.ends_with(": name a file instead"), "{refused}");
            let kind = fs::symlink_metadata(&socket).unwrap().file_type();
            assert!(kind.is_socket());
        }
    }
}

#[test]
fn a_symbolic_link_stays_one_when_we_write() {
    let scratch = Scratch::new();
    let file = scratch.at("sticky.provider");
    fs::create_dir(scratch.at("flash")).unwrap();
    symlink("flash/pin", &file).unwrap();
    let mut sticky = Sticky::open(&file).unwrap();
    for id in ["isp1", "isp2"] {
        sticky.write(Some(id)).unwrap();
        let text = fs::read_to_string(scratch.at("flash/pin")).unwrap();
        assert_eq!(text.trim(), id);
    }
    sticky.write(None).unwrap();
    assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
    assert_eq!(news(&mut sticky), None);
    fs::write(&file, "isp3").unwrap();
    assert_eq!(news(&mut sticky), provider("isp3"));
}

/// A user that can write to the directory could redirect the write, or the deletion, to any file.
#[test]
fn nothing_is_written_through_a_link_in_a_directory_that_others_can_write_to() {
    let scratch = Scratch::new();
    fs::write(scratch.at("precious"), "isp9\n").unwrap();
    fs::create_dir(scratch.at("open")).unwrap();
    symlink("../precious", scratch.at("open/pin")).unwrap();
    symlink("..", scratch.at("open/way")).unwrap();
    for file in ["open/pin", "open/way/precious"] {
        let mut sticky = Sticky::open(&scratch.at(file)).unwrap();
        for mode in [0o777, 0o1777, 0o775] {
            fs::set_permissions(scratch.at("open"), fs::Permissions::from_mode(mode)).unwrap();
            for id in [Some("isp1"), None] {
                let refused = sticky.write(id).unwrap_err().to_string();
                assert!(refused.contains("others may write to"), "{refused}");
            }
        }
        assert_eq!(
            fs::read_to_string(scratch.at("precious")).unwrap(),
            "isp9\n"
        );
        fs::set_permissions(scratch.at("open"), fs::Permissions::from_mode(0o755)).unwrap();
        sticky.write(Some("isp1")).unwrap();
        fs::write(scratch.at("precious"), "isp9\n").unwrap();
    }
}

#[test]
fn leftovers_of_a_killed_write_do_not_matter() {
    let scratch = Scratch::new();
    let file = scratch.at("sticky.provider");
    let elsewhere = scratch.at("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, scratch.at(".sticky.provider.tmp")).unwrap();
    let mut sticky = Sticky::open(&file).unwrap();
    sticky.write(Some("isp2")).unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
    assert_eq!(fs::read_to_string(&file).unwrap(), "isp2\n");
}

#[test]
fn a_failed_write_has_advice() {
    let scratch = Scratch::new();
    fs::write(scratch.at("file"), "").unwrap();
    let mut sticky = Sticky::open(&scratch.at("file/sticky.provider")).unwrap();
    assert_eq!(sticky.pinned(), &Pinned::None);
    let refused = sticky.write(Some("isp2")).unwrap_err().to_string();
    assert!(refused.contains("in a directory's place"), "{refused}");
    assert_eq!(sticky.pinned(), &Pinned::None);

    let loops = scratch.at("loop");
    symlink("loop", &loops).unwrap();
    let mut sticky = Sticky::open(&loops).unwrap();
    assert!(matches!(sticky.pinned(), Pinned::Invalid(_)));
    sticky.write(None).unwrap();
    assert_eq!(sticky.pinned(), &Pinned::None);
}
