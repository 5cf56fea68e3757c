//! One daemon per state directory, however the previous one ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};

use failover::linux::file::lock::{Lock, NotLocked};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::Scratch;

#[test]
fn the_second_gets_an_error_with_the_holder_and_the_third_gets_the_lock() {
    let scratch = Scratch::new();
    let state_dir = scratch.at("run/failover");
    let first = Lock::take(&state_dir).unwrap();
    let mode = fs::metadata(&state_dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);

    let refused = Lock::take(&state_dir).unwrap_err();
    let NotLocked::Held { pid, command, .. } = &refused else {
        panic!("it is held: {refused}");
    };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(command.is_some());
    let text = refused.to_string();
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    assert!(
        text.contains(&state_dir) && text.contains("stop it first"),
        "{text}"
    );

    drop(first);
    Lock::take(&state_dir).unwrap();
}

#[test]
fn a_longer_pid_of_a_previous_holder_is_overwritten() {
    let scratch = Scratch::new();
    fs::write(scratch.at("lock"), "99999999999\nrubbish\n").unwrap();
    let _lock = Lock::take(&scratch.at("")).unwrap();
    let text = fs::read_to_string(scratch.at("lock")).unwrap();
    assert_eq!(text, format!("{}\n", std::process::id()));
}

#[test]
fn a_directory_that_cannot_be_created_or_used_is_reported() {
    let scratch = Scratch::new();
    fs::write(scratch.at("file"), "").unwrap();
    let refused = Lock::take(&scratch.at("file/run")).unwrap_err().to_string();
    assert!(refused.contains("in a directory's place"), "{refused}");
    let refused = Lock::take("/proc/failover").unwrap_err().to_string();
    assert!(
        refused.starts_with("cannot create state_dir /proc/failover: "),
        "{refused}"
    );
    fs::create_dir(scratch.at("lock")).unwrap();
    let refused = Lock::take(&scratch.at("")).unwrap_err().to_string();
    assert!(refused.contains("remove the directory"), "{refused}");
}

/// Another user that can write to it could replace the daemon's files.
#[test]
fn a_directory_of_another_user_is_refused_with_advice() {
    let scratch = Scratch::new();
    let state_dir = scratch.at("state");
    let refused = || Lock::take(&state_dir).unwrap_err().to_string();
    fs::create_dir(&state_dir).unwrap();
    for mode in [0o777, 0o1777, 0o775, 0o757] {
        fs::set_permissions(&state_dir, fs::Permissions::from_mode(mode)).unwrap();
        assert!(refused().contains(&format!("`chmod go-w {state_dir}`")));
        assert_eq!(fs::read_dir(&state_dir).unwrap().count(), 0);
    }
    fs::set_permissions(&state_dir, fs::Permissions::from_mode(0o750)).unwrap();
    Lock::take(&state_dir).unwrap();
    if chown(&*state_dir, Some(65534), None).is_ok() {
        assert!(refused().contains(&format!("`chown 0 {state_dir}`")));
    }
}

#[test]
fn a_pipe_in_its_place_is_refused() {
    let scratch = Scratch::new();
    mkfifo(&*scratch.join("lock"), Mode::S_IRWXU).unwrap();
    let refused = Lock::take(&scratch.at("")).unwrap_err().to_string();
    assert!(refused.contains("not a regular file"), "{refused}");
}

/// A lock file that was deleted by a cleaner of temporary files excludes no other process.
#[test]
fn it_holds_only_while_its_file_exists() {
    let scratch = Scratch::new();
    let lock = Lock::take(&scratch.at("")).unwrap();
    assert!(lock.holds());
    fs::remove_file(scratch.at("lock")).unwrap();
    assert!(!lock.holds());
    let other = Lock::take(&scratch.at("")).unwrap();
    assert!(other.holds() && !lock.holds());
}

/// A process that takes the lock, starts a child, and runs until it is killed or its input ends.
fn holder(state_dir: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::holds_it", "--nocapture"])
        .env("FAILOVER_TEST_STATE_DIR", state_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = lines
        .map_while(Result::ok)
        .any(|line| line.contains("held"));
    assert!(held);
    child
}

/// The body of another process, started by the test below; as a test it does nothing.
#[test]
fn holds_it() {
    let Ok(state_dir) = std::env::var("FAILOVER_TEST_STATE_DIR") else {
        return;
    };
    let _lock = Lock::take(&state_dir).unwrap();
    // The child reads the input: it survives a SIGKILL of this process, until the test closes the pipe.
    let mut grandchild = Command::new("cat").stdout(Stdio::null()).spawn().unwrap();
    println!("held");
    grandchild.wait().unwrap();
}

#[test]
fn a_killed_holder_releases_the_lock_though_its_child_runs() {
    let scratch = Scratch::new();
    let mut child = holder(&scratch.at(""));
    let refused = Lock::take(&scratch.at("")).unwrap_err();
    let NotLocked::Held { pid, command, .. } = refused else {
        panic!("it is held: {refused}");
    };
    assert_eq!(pid, Some(child.id()));
    assert!(command.unwrap().contains("lock::holds_it"));

    let input = child.stdin.take();
    child.kill().unwrap();
    child.wait().unwrap();
    Lock::take(&scratch.at("")).unwrap();
    drop(input);
}
