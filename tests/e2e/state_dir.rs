//! A state directory that is full, deleted, or contains wrong files: failover still works.

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

/// A full tmpfs, until this is dropped.
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
fn the_daemon_runs_with_a_full_state_directory() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let full = Full::mount(daemon.file("state"));
        daemon.launch();
        daemon.wait_for_all("online");
        lab.upstream_dies(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        daemon.logged("make room on that file system");
        fs::remove_file(full.0.join("filler")).unwrap();
        let saved = || full.0.join("state").exists();
        assert!(wait_until(SOON, saved), "{}", daemon.log());
        lab.upstream_returns(1);
        assert!(leads(&lab, 1), "{}", daemon.log());
        assert!(daemon.terminate().success());
    });
}

/// As by cleaners of temporary files. A provider is pinned, so no probes wake the daemon.
#[test]
fn a_deleted_state_directory_is_created_again_with_its_socket() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
        daemon.wait_for_all("online");
        daemon.must(&["use", "isp1"]);
        let state = daemon.file("state");
        let there = || state.join("control.sock").exists() && state.join("lock").exists();
        // The daemon may be saving its state at that moment.
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
fn a_pipe_in_place_of_the_state_file_does_not_block() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        fs::create_dir(daemon.file("state")).unwrap();
        mkfifo(&daemon.file("state/state"), Mode::S_IRWXU).unwrap();
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.logged("not a regular file");
    });
}

/// A group that no user of this machine is in.
const GROUP: u32 = 4242;

/// Runs a command as a user in these groups.
fn of_another_user(daemon: &Daemon, lab: &Lab, groups: &str, words: &[&str]) -> Output {
    let (program, file) = (program(), daemon.file("failover.conf"));
    let mut command = vec!["setpriv", "--reuid=65534", "--regid=65534", groups];
    command.push(program.to_str().unwrap());
    command.extend(words);
    command.extend(["--config", file.to_str().unwrap()]);
    lab.router.output(&command)
}

/// Monitoring does not need root, and cannot change anything.
#[test]
fn members_of_the_control_group_may_only_query() {
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
        let (member, outsider) = (format!("--groups={GROUP}"), "--clear-groups".to_owned());
        let run_as = |groups: &str, words: &[&str]| {
            let output = of_another_user(&daemon, &lab, groups, words);
            let text = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(text).unwrap())
        };
        for words in [
            &["status"][..],
            &["status", "--json"],
            &["explain", "isp1"],
            &["log"],
            &["metrics"],
        ] {
            let (code, text) = run_as(&member, words);
            assert!(
                code == Some(0) && text.contains("isp1"),
                "{words:?}: {text}"
            );
            let (code, text) = run_as(&outsider, words);
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
            let (code, text) = run_as(&member, words);
            assert!(
                code == Some(77) && text.contains("the rest is for root"),
                "{words:?}: {text}"
            );
        }
        assert!(leads(&lab, 1), "{}", daemon.log());
        let log = daemon.whole_log();
        assert!(!log.contains("pinned") && !log.contains("re-read"), "{log}");

        // A reload revokes it.
        daemon.configure(&settings);
        daemon.must(&["reload"]);
        assert_eq!(run_as(&member, &["status"]).0, Some(77));
        let socket = fs::metadata(daemon.file("state/control.sock")).unwrap();
        assert_eq!(socket.mode() & 0o777, 0o600);
    });
}

#[test]
fn an_unknown_group_is_reported() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::fast(&lab).global("control_group", "nosuchgroup");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.logged("no such group");
        let socket = fs::metadata(daemon.file("state/control.sock")).unwrap();
        assert_eq!(socket.mode() & 0o777, 0o600);
    });
}
