//! A state directory that is full, deleted, or holds what it should not: failover goes on.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::lab::daemon::program;
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
        let saved = || full.0.join("state").exists();
        assert!(wait_until(SOON, saved), "{}", daemon.log());
        lab.upstream_returns(1);
        assert!(leads(&lab, 1), "{}", daemon.log());
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
        // It may be saving something just then.
        assert!(wait_until(SOON, || fs::remove_dir_all(&state).is_ok()));
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

/// A group that no user of this machine is in.
const GROUP: u32 = 4242;

/// A command of a user who is in these groups.
fn of_another_user(daemon: &Daemon, lab: &Lab, groups: &str, words: &[&str]) -> Output {
    let (program, file) = (program(), daemon.file("failover.conf"));
    let mut command = vec!["setpriv", "--reuid=65534", "--regid=65534", groups];
    command.push(program.to_str().unwrap());
    command.extend(words);
    command.extend(["--config", file.to_str().unwrap()]);
    lab.router.output(&command)
}

/// Monitoring need not be root; and cannot change anything.
#[test]
fn members_of_the_control_group_may_ask_and_nothing_else() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::fast(&lab);
        let open = settings.clone().global("control_group", &GROUP.to_string());
        let mut daemon = Daemon::prepare(&lab.router, &open);
        if chown(daemon.file("failover.conf"), None, Some(GROUP)).is_err() {
            eprintln!("SKIPPED: there is one group only in this user namespace");
            return;
        }
        daemon.set("FAILOVER_CONFINED", "1".to_owned());
        daemon.launch();
        daemon.wait_for_all("online");
        let (member, stranger) = (format!("--groups={GROUP}"), "--clear-groups".to_owned());
        let said = |groups: &str, words: &[&str]| {
            let output = of_another_user(&daemon, &lab, groups, words);
            let text = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(text).unwrap())
        };
        for words in [
            &["status"][..],
            &["status", "--json"],
            &["explain", "isp1"],
            &["log"],
        ] {
            let (code, text) = said(&member, words);
            assert!(
                code == Some(0) && text.contains("isp1"),
                "{words:?}: {text}"
            );
            let (code, text) = said(&stranger, words);
            assert!(
                code == Some(77) && text.contains("control_group"),
                "{words:?}: {text}"
            );
        }
        for words in [
            &["use", "isp2"][..],
            &["disable", "isp1"],
            &["enable", "isp1"],
            &["reload"],
            &["refresh"],
        ] {
            let (code, text) = said(&member, words);
            assert!(
                code == Some(77) && text.contains("the rest is for root"),
                "{words:?}: {text}"
            );
        }
        assert!(leads(&lab, 1), "{}", daemon.log());
        assert!(!daemon.log().contains("pinned") && !daemon.log().contains("re-read"));

        // A reload takes it back.
        daemon.configure(&settings);
        daemon.must(&["reload"]);
        assert_eq!(said(&member, &["status"]).0, Some(77));
        let socket = fs::metadata(daemon.file("state/control.sock")).unwrap();
        assert_eq!(socket.mode() & 0o777, 0o600);
    });
}

#[test]
fn a_group_that_is_not_there_is_told_of() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::fast(&lab).global("control_group", "nosuchgroup");
        let daemon = Daemon::start(&lab.router, &settings);
        assert!(daemon.log().contains("no such group"), "{}", daemon.log());
        let socket = fs::metadata(daemon.file("state/control.sock")).unwrap();
        assert_eq!(socket.mode() & 0o777, 0o600);
    });
}
