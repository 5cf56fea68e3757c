//! The state that the next run restores, whatever happens to the file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use failover::linux::file::saved_state;
use failover::wire::saved_state::{BootId, Record};

use super::inspect::{counter, ours, path};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, Settings, wait_until};
use super::{SOON, leads, online, online_with};

/// Verdicts and their times, the journal, and the leader.
#[test]
fn the_whole_state_is_restored() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &Settings::fast(&lab).global("preempt", "no"));
        lab.upstream_dies(1);
        assert!(leads(&lab, 2));
        lab.upstream_returns(1);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 2), "it does not return by itself");
        std::thread::sleep(Duration::from_millis(1100));
        let told = daemon.must(&["log"]);
        for kill in [true, false] {
            if kill {
                daemon.kill9();
            } else {
                assert!(daemon.terminate().success());
            }
            daemon.launch();
            let status = daemon.status();
            for (id, family) in [("isp1", "ipv4"), ("isp2", "ipv4"), ("isp1", "ipv6")] {
                let path = path(&status, id, family);
                assert_eq!(path["state"], "online", "{status}");
                assert!(path["since_s"].as_u64() >= Some(1), "{path}");
            }
            let now = daemon.must(&["log"]);
            let missing = |line: &&str| {
                // Rounded to seconds, the time may differ by one.
                let words = line.split_once(' ').map_or("", |(_, words)| words);
                !now.contains(words)
            };
            let missing: Vec<&str> = told.lines().filter(missing).collect();
            assert!(missing.is_empty(), "{missing:?} is not in\n{now}");
            assert!(leads(&lab, 2), "{}", daemon.log());
            assert_eq!(daemon.status()["active"]["ipv4"], "isp2");
        }
        daemon.wait_for_all("online");
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert_eq!(counter(&daemon, "swaps"), 0);
    });
}

/// Starts with a damaged state file: this is logged, and the file is ignored.
fn ignored(daemon: &mut Daemon, lab: &Lab, what: &str, spoil: impl FnOnce(&Path)) {
    daemon.kill9();
    let before = daemon.log().len();
    spoil(&daemon.file("state/state"));
    daemon.launch();
    let warned = || daemon.log()[before..].contains("state/state");
    assert!(wait_until(SOON, warned), "{what}: {}", daemon.log());
    daemon.wait_for_all("online");
    assert!(leads(lab, 1), "{what}: {}", daemon.log());
    assert!(wait_until(SOON, || daemon.file("state/state").is_file()));
}

#[test]
fn a_damaged_file_is_ignored_and_logged() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let daemon = &mut daemon;
        let edit = |change: fn(&mut Vec<u8>)| {
            move |file: &Path| {
                let mut bytes = fs::read(file).unwrap();
                change(&mut bytes);
                fs::write(file, bytes).unwrap();
            }
        };
        ignored(daemon, &lab, "empty", edit(Vec::clear));
        ignored(daemon, &lab, "cut", edit(|b| b.truncate(b.len() / 2)));
        ignored(daemon, &lab, "a bit", edit(|b| b[30] ^= 1));
        ignored(daemon, &lab, "longer", edit(|b| b.push(0)));
        ignored(daemon, &lab, "huge", edit(|b| b.resize(10_000_000, 7)));
        ignored(daemon, &lab, "text", edit(|b| *b = b"hello".to_vec()));
        ignored(daemon, &lab, "another boot", |file| {
            let dir = file.parent().unwrap().to_str().unwrap().to_owned();
            let leaders = failover::types::PerFamily {
                v4: Some("isp2"),
                v6: Some("isp2"),
            };
            let put = |put: &mut dyn FnMut(&Record<'_>)| put(&Record::Leaders(leaders));
            saved_state::write(&dir, BootId([7; 16]), put).unwrap();
        });
    });
}

/// Whatever owner the file has, and whatever file is at the temporary file's path.
#[test]
fn odd_files_in_the_state_directory() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        daemon.kill9();
        let file = daemon.file("state/state");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        // In a user namespace there is no other user.
        let _ = chown(&file, Some(1000), Some(1000));
        let precious = daemon.file("precious");
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, daemon.file("state/state.tmp")).unwrap();
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.must(&["use", "isp2"]);
        assert!(leads(&lab, 2));
        daemon.must(&["use", "auto"]);
        assert!(daemon.terminate().success());
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a new file has its own mode");
    });
}

/// The state directory is deleted: the daemon keeps running, logs it at most once, creates it again, and stops cleanly.
#[test]
fn the_state_directory_is_deleted() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        fs::remove_dir_all(daemon.file("state")).unwrap();
        for round in 0..10 {
            let (choice, number) = [("isp2", 2), ("", 1)][round % 2];
            fs::write(daemon.sticky_file(), choice).unwrap();
            assert!(leads(&lab, number), "{}", daemon.log());
        }
        let complaints = |daemon: &Daemon| daemon.log().matches("cannot save").count();
        assert!(complaints(&daemon) <= 1, "{}", daemon.log());
        let saved = daemon.file("state/state");
        let again = || saved.exists() && daemon.command(&["status"]).status.success();
        assert!(wait_until(SOON, again), "{}", daemon.log());
        assert!(daemon.terminate().success());
        assert_eq!(ours(&lab), 0);
    });
}

#[test]
fn a_state_directory_that_cannot_be_created() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        fs::write(daemon.file("plain"), "").unwrap();
        let plain = daemon.file("plain/state");
        let places = [plain.to_str().unwrap().to_owned(), "/proc/sys/x".to_owned()];
        for place in places {
            // `configure` would set another one.
            let text = Settings::fast(&lab).global("state_dir", &place).to_string();
            daemon.configure_raw(&text);
            let output = daemon.command(&["run", "--foreground"]);
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(69), "{complaint}");
            assert!(complaint.contains(&place), "{complaint}");
        }
        assert_eq!(ours(&lab), 0);
    });
}

/// A swap happens before the state is saved: if the file is missing, or older than the swap, the order of the existing
/// routes is newer. Traffic does not return to a dead line because of an outdated file.
#[test]
fn the_order_of_the_routes_takes_precedence_over_the_file() {
    for file_is_old in [true, false] {
        in_lab(|| {
            let lab = Lab::new();
            let mut daemon = online(&lab);
            let file = daemon.file("state/state");
            let old = fs::read(&file).unwrap();
            lab.upstream_dies(1);
            assert!(leads(&lab, 2));
            daemon.wait_for("isp1", "ipv6", "offline");
            daemon.kill9();
            match file_is_old {
                true => fs::write(&file, &old).unwrap(),
                false => fs::remove_file(&file).unwrap(),
            }
            let before = daemon.log().len();
            daemon.launch();
            for (id, state) in [("isp1", "offline"), ("isp2", "online")] {
                for family in ["ipv4", "ipv6"] {
                    daemon.wait_for(id, family, state);
                }
            }
            let log = daemon.whole_log().split_off(before);
            assert!(!log.contains("isp1 ipv4: leads"), "{log}");
            assert!(!log.contains("isp1 ipv6: leads"), "{log}");
            assert!(leads(&lab, 2), "{log}");
            lab.upstream_returns(1);
            assert!(leads(&lab, 1));
        });
    }
}
