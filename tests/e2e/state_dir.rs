//! A state directory that is full, deleted, or holds what it should not: failover goes on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, Settings, wait_until};
use super::{SOON, leads};

/// A tmpfs without a free byte, until this goes.
struct Full(PathBuf);

impl Full {
    fn mount(place: PathBuf) -> Full {
        fs::create_dir(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=0755", "none"])
            .arg(&place)
            .status();
        assert!(mounted.unwrap().success());
        let full = Full(place);
        let filled = fs::write(full.0.join("filler"), [0; 256 * 1024]);
        assert!(filled.is_err(), "it is not full");
        full
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_one_is_no_reason_not_to_run() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let full = Full::mount(daemon.file("state"));
        daemon.launch();
        daemon.wait_for_all("online");
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert!(
            daemon.log().contains("make room on that file system"),
            "{}",
            daemon.log()
        );
        fs::remove_file(full.0.join("filler")).unwrap();
        lab.upstream_returns(1);
        assert!(leads(&lab, 1), "{}", daemon.log());
        let saved = || full.0.join("state").exists();
        assert!(wait_until(SOON, saved), "{}", daemon.log());
        assert!(daemon.terminate().success());
    });
}

/// As cleaners of temporary files do it. A provider is pinned: there are no probes that would wake the daemon.
#[test]
fn one_that_is_deleted_is_made_again_with_its_socket() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        daemon.must(&["use", "isp1"]);
        let state = daemon.file("state");
        let there = || state.join("control.sock").exists() && state.join("lock").exists();
        fs::remove_dir_all(&state).unwrap();
        assert!(wait_until(SOON, there), "{}", daemon.log());
        assert_eq!(daemon.status()["pinned"], "isp1");
        for name in ["lock", "control.sock"] {
            fs::remove_file(state.join(name)).unwrap();
            assert!(wait_until(SOON, there), "{}", daemon.log());
        }
        daemon.must(&["use", "auto"]);
        daemon.wait_for_all("online");
        assert!(state.join("state").exists());
        assert!(daemon.terminate().success());
        assert!(!state.join("control.sock").exists());
    });
}

#[test]
fn a_pipe_in_the_place_of_the_state_keeps_nobody_waiting() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        fs::create_dir(daemon.file("state")).unwrap();
        mkfifo(&daemon.file("state/state"), Mode::S_IRWXU).unwrap();
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(
            daemon.log().contains("not a regular file"),
            "{}",
            daemon.log()
        );
    });
}
