//! `log --follow`: each entry once, over restarts of the daemon.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::flapping::{TIMES, flap};
use super::lab::daemon::program;
use super::lab::namespace::mortal;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, wait_until};
use super::{SOON, leads, online};

/// Starts a follower; its output is in files of the daemon's directory.
fn follow(daemon: &Daemon<'_>) -> Child {
    let file = |name| File::create(daemon.file(name)).unwrap();
    let mut command = mortal(program().to_str().unwrap());
    command
        .args(["log", "-f", "--config"])
        .arg(daemon.file("failover.conf"))
        .stdin(Stdio::null())
        .stdout(file("followed"))
        .stderr(file("complaints"));
    command.spawn().unwrap()
}

/// The entries of the journal, or what was followed of it: without their times, and the blanks that align them.
fn entries(text: &str) -> Vec<String> {
    let words = |line: &str| {
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(words).collect()
}

/// Waits until the follower has printed the whole journal, each entry once.
fn catches_up(daemon: &Daemon<'_>) {
    let read = |name| fs::read_to_string(daemon.file(name)).unwrap();
    let is_whole = || entries(&read("followed")) == entries(&daemon.must(&["log"]));
    assert!(
        wait_until(SOON, is_whole),
        "{}\nis not\n{}\n{}",
        read("followed"),
        daemon.must(&["log"]),
        read("complaints")
    );
}

#[test]
fn each_entry_is_followed_once_over_restarts() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        let mut follower = follow(&daemon);
        catches_up(&daemon);
        lab.upstream_dies(1);
        assert!(leads(&lab, 2));
        catches_up(&daemon);

        daemon.kill9();
        daemon.launch();
        catches_up(&daemon);
        assert!(daemon.terminate().success());
        let complaints = || fs::read_to_string(daemon.file("complaints")).unwrap();
        assert!(wait_until(SOON, || !complaints().is_empty()));
        daemon.launch();
        lab.upstream_returns(1);
        assert!(leads(&lab, 1));
        catches_up(&daemon);
        let complaints = fs::read_to_string(daemon.file("complaints")).unwrap();
        let told = complaints.matches("the log goes on when one does").count();
        assert!((1..=2).contains(&told), "{complaints}");
        assert_eq!(complaints.lines().count(), told, "{complaints}");

        let id = i32::try_from(follower.id()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
        assert_eq!(follower.wait().unwrap().code(), Some(0));
    });
}

/// A burst is printed when it is calm, not each time that it has grown.
#[test]
fn a_burst_is_followed_by_one_line() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let mut follower = follow(&daemon);
        catches_up(&daemon);
        for _ in 0..3 {
            flap(
                &lab,
                &daemon,
                |lab| lab.pull_cable(1),
                |lab| lab.plug_cable(1),
            );
        }
        daemon.wait_for_all("online");
        let last = || entries(&daemon.must(&["log"])).pop();
        let followed = || entries(&fs::read_to_string(daemon.file("followed")).unwrap());
        assert!(wait_until(SOON, || followed().last() == last().as_ref()));
        let all = followed();
        let of_path = all.iter().filter(|entry| entry.contains("isp1 ipv4"));
        let (bursts, single): (Vec<_>, Vec<_>) = of_path.partition(|entry| entry.contains('×'));
        // The system log has a burst by the same rule.
        let log = daemon.log();
        let is_burst = |line: &&str| line.contains("isp1 ipv4") && line.contains('×');
        let logged = log.lines().filter(is_burst).count();
        assert!((1..=logged).contains(&bursts.len()), "{all:#?}\n{log}");
        assert!(single.len() < TIMES / 2, "{all:#?}");
        follower.kill().unwrap();
        follower.wait().unwrap();
    });
}
