//! Configurations that are refused, and the copy of the last good one that is run instead at the start (`--last-good`).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::inspect::{counter, ours};
use super::lab::daemon::program;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, Settings, wait_until};
use super::{SOON, leads, online};

const CURE: &str = "; correct it, then `failover check` and `failover reload`";

/// The texts of the warnings with a code, without the cure, by a client with another file of the same state directory.
fn warned(daemon: &Daemon, code: &str) -> Vec<String> {
    let client = daemon.file("client.conf");
    if !client.exists() {
        let state = daemon.file("state");
        let text = format!("config globals\n\toption state_dir '{}'\n", state.display());
        fs::write(&client, text).unwrap();
    }
    let mut command = Command::new(program());
    command.args(["status", "--json", "--config"]).arg(client);
    let output = command.output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = status["warnings"].as_array().unwrap();
    let these = all.iter().filter(|warning| warning["code"] == code);
    let text = |warning: &Value| warning["text"].as_str().unwrap().to_owned();
    these
        .map(|warning| text(warning).replace(CURE, ""))
        .collect()
}

fn refused(daemon: &Daemon) -> Vec<String> {
    warned(daemon, "config-refused")
}

/// The problems of the file, as `failover check` prints them.
fn checked(daemon: &Daemon) -> Vec<String> {
    let output = daemon.command(&["check"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    said.lines().map(str::to_owned).collect()
}

/// Settings with three mistakes.
fn bad(lab: &Lab) -> Settings {
    Settings::fast(lab)
        .provider("isp1", "devise", "eth9")
        .provider("isp2", "interval", "soon")
        .with("check", "spare", "type", "ping")
}

/// The copy in a directory that does not exist yet.
fn copy_of(daemon: &Daemon) -> PathBuf {
    daemon.file("etc/last-good.conf")
}

/// A daemon that is to keep a copy.
fn copying<'lab>(lab: &'lab Lab, settings: &Settings) -> Daemon<'lab> {
    let mut daemon = Daemon::prepare(&lab.router, settings);
    let copy = copy_of(&daemon);
    daemon.give(&["--last-good", copy.to_str().unwrap()]);
    daemon
}

fn is_written(daemon: &Daemon) -> bool {
    let file = daemon.file("failover.conf");
    wait_until(SOON, || {
        fs::read(copy_of(daemon)).ok() == fs::read(&file).ok()
    })
}

#[test]
fn a_refused_reload_is_told_until_a_good_one() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        assert_eq!(refused(&daemon), [""; 0]);
        daemon.configure(&bad(&lab));
        let problems = checked(&daemon);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(daemon.command(&["reload"]).status.code(), Some(78));
        assert_eq!(refused(&daemon), problems);
        for words in ["status", "explain"] {
            let said = daemon.must(&[words]);
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            for problem in &problems {
                assert!(said.contains(problem), "{problem} is not in {said}");
            }
        }
        // Each problem is logged once, with the refusal.
        for problem in &problems {
            assert_eq!(daemon.whole_log().matches(problem).count(), 1, "{problem}");
        }
        // What was in force is written back.
        let before = counter(&daemon, "reloads");
        daemon.configure(&Settings::fast(&lab));
        assert_eq!(refused(&daemon), problems);
        daemon.must(&["reload"]);
        assert_eq!(refused(&daemon), [""; 0]);
        assert_eq!(counter(&daemon, "reloads"), before + 1);

        // By the signal, as on systems without a client.
        daemon.configure(&bad(&lab));
        daemon.signal(Signal::SIGHUP);
        assert!(wait_until(SOON, || refused(&daemon) == problems));
        daemon.configure(&Settings::fast(&lab));
        daemon.signal(Signal::SIGHUP);
        assert!(wait_until(SOON, || refused(&daemon).is_empty()));
        assert!(leads(&lab, 1));
    });
}

#[test]
fn of_many_problems_the_first_are_told_and_the_number_of_the_others() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let good = fs::read_to_string(daemon.file("failover.conf")).unwrap();
        let mut unused = String::new();
        for number in 0..30 {
            // Each is an error of a line, and the same section again a warning.
            unused += &format!("config provider 'isp1'\n\toption wrong{number} 'x'\n");
        }
        daemon.configure_raw(&format!("{good}\n{unused}"));
        assert_eq!(daemon.command(&["reload"]).status.code(), Some(78));
        let (told, all) = (refused(&daemon), checked(&daemon));
        assert_eq!(told[..24], all[..24]);
        let more = all.len() - 24;
        assert!(more > 0, "{all:?}");
        let rest = format!("and {more} more: `failover check` lists them all");
        assert_eq!(told[24..], [rest]);
        daemon.configure(&Settings::fast(&lab));
        daemon.must(&["reload"]);
        assert_eq!(refused(&daemon), [""; 0]);
    });
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let file = daemon.file("failover.conf");
        let told = |what: &str| {
            daemon.signal(Signal::SIGHUP);
            let why = format!("cannot read {}: {what}", file.display());
            let one = || matches!(&refused(&daemon)[..], [one] if one.starts_with(&why));
            assert!(wait_until(SOON, one), "{:?}", refused(&daemon));
        };
        fs::remove_file(&file).unwrap();
        told("No such file or directory");
        fs::create_dir(&file).unwrap();
        told("Is a directory");
        fs::remove_dir(&file).unwrap();
        symlink(&file, &file).unwrap();
        told("Too many levels of symbolic links");
        daemon.configure(&Settings::fast(&lab));
        daemon.must(&["reload"]);
        assert_eq!(refused(&daemon), [""; 0]);
    });
}

#[test]
fn the_copy_is_written_once_a_configuration_is_in_force_and_only_if_it_differs() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = copying(&lab, &Settings::fast(&lab));
        // As on OpenWrt and under systemd: without the right to write what root does not own.
        daemon.set("FAILOVER_CONFINED", "1".to_owned());
        daemon.launch();
        assert!(is_written(&daemon), "{}", daemon.log());
        let copy = copy_of(&daemon);
        let stamp = || {
            let found = fs::metadata(&copy).unwrap();
            (found.ino(), found.mtime(), found.mtime_nsec())
        };
        let first = stamp();
        let mode = fs::metadata(&copy).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        daemon.must(&["reload"]);
        daemon.configure(&bad(&lab));
        assert!(!daemon.command(&["reload"]).status.success());
        daemon.configure(&Settings::fast(&lab));
        daemon.must(&["reload"]);
        daemon.must(&["status"]);
        daemon.kill9();
        daemon.launch();
        daemon.wait_for_all("online");
        assert_eq!(stamp(), first, "it is the same file");

        daemon.configure(&Settings::fast(&lab).provider("isp2", "interval", "50ms"));
        daemon.must(&["reload"]);
        assert!(is_written(&daemon), "{}", daemon.log());
        assert_ne!(stamp(), first);
        // Nothing is left beside it.
        let directory = fs::read_dir(copy.parent().unwrap()).unwrap();
        assert_eq!(directory.count(), 1);
        // A configuration that ends the daemon is not in force.
        let second = stamp();
        daemon.configure(&Settings::fast(&lab).global("enabled", "0"));
        daemon.must(&["reload"]);
        assert_eq!(daemon.wait().code(), Some(0));
        assert_eq!(stamp(), second);
        // A copy that was deleted is made again.
        fs::remove_file(&copy).unwrap();
        daemon.configure(&Settings::fast(&lab));
        daemon.launch();
        assert!(is_written(&daemon), "{}", daemon.log());
        assert_eq!(warned(&daemon, "last-good"), [""; 0]);
    });
}

#[test]
fn a_start_with_a_bad_file_runs_the_copy_and_says_so() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = copying(&lab, &Settings::fast(&lab));
        daemon.launch();
        assert!(is_written(&daemon), "{}", daemon.log());
        daemon.terminate();
        let copy = copy_of(&daemon);
        let touched = Command::new("touch")
            .args(["--date", "2026-03-01T12:30:45Z"])
            .arg(&copy)
            .status();
        assert!(touched.unwrap().success());
        let kept = fs::read(&copy).unwrap();

        daemon.configure(&bad(&lab));
        let problems = checked(&daemon);
        daemon.launch();
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1), "{}", daemon.log());
        let (file, at) = (daemon.file("failover.conf"), copy.display());
        let in_force = format!(
            "the copy {at}, of 2026-03-01T12:30:45Z, is in force: {} was refused at the start",
            file.display()
        );
        let told = refused(&daemon);
        assert_eq!(told[0], in_force);
        assert_eq!(told[1..], problems);
        for line in &told {
            assert_eq!(
                daemon
                    .whole_log()
                    .matches(&format!("error: {line}"))
                    .count(),
                1
            );
        }
        assert_eq!(fs::read(&copy).unwrap(), kept);

        // A reload reads the file proper again: as long as it is bad, the copy stays in force.
        daemon.configure(&Settings::fast(&lab).provider("isp1", "devise", "eth9"));
        assert!(!daemon.command(&["reload"]).status.success());
        assert_eq!(refused(&daemon)[0], in_force);
        assert_eq!(refused(&daemon)[1..], checked(&daemon));
        daemon.configure(&Settings::fast(&lab).provider("isp2", "interval", "50ms"));
        daemon.must(&["reload"]);
        assert_eq!(refused(&daemon), [""; 0]);
        assert!(is_written(&daemon), "{}", daemon.log());
        assert_eq!(counter(&daemon, "reloads"), 1);

        // A file that is missing is bad, too.
        daemon.terminate();
        fs::remove_file(&file).unwrap();
        daemon.launch();
        let told = refused(&daemon);
        assert!(told[1].contains("No such file or directory"), "{told:?}");
        assert_eq!(told.len(), 2);
        daemon.configure(&Settings::fast(&lab));
        daemon.wait_for_all("online");
    });
}

#[test]
fn without_a_good_copy_a_bad_file_ends_the_start_with_78() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let copy = daemon.file("last-good.conf");
        let ends = |options: &[&str]| {
            let output = daemon.command(&[&["run", "--foreground"], options].concat());
            assert_eq!(output.status.code(), Some(78), "{options:?}");
            String::from_utf8(output.stderr).unwrap()
        };
        let with_copy = ["--last-good", copy.to_str().unwrap()];
        daemon.configure(&bad(&lab));
        let problems = checked(&daemon);
        let both_told = |said: &str, why: &str| {
            for problem in &problems {
                assert!(said.contains(problem), "{said}");
            }
            let why = format!("no copy to run instead, {}: {why}", copy.display());
            assert!(said.contains(&why), "{said}");
            assert!(said.contains("failover: the configuration has 3 errors"));
        };
        assert!(!ends(&[]).contains("copy"));
        both_told(&ends(&with_copy), "cannot read");
        fs::write(&copy, "config provider 'isp1'\n\toption devise 'eth1'\n").unwrap();
        let said = ends(&with_copy);
        both_told(&said, "the configuration has");
        assert!(said.contains(&format!("{}:2: ", copy.display())), "{said}");
        // Without the option, a good copy is of no use.
        daemon.configure(&Settings::fast(&lab));
        fs::copy(daemon.file("failover.conf"), &copy).unwrap();
        daemon.configure(&bad(&lab));
        assert!(!ends(&[]).contains("copy"));
        // Nor is it where the file says that no daemon is to run.
        daemon.configure(&bad(&lab).global("enabled", "0"));
        assert!(!ends(&with_copy).contains("copy"));
        assert_eq!(ours(&lab), 0);
    });
}

#[test]
fn a_copy_that_cannot_be_written_stops_nothing() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = copying(&lab, &Settings::fast(&lab));
        let copy = copy_of(&daemon);
        fs::create_dir_all(copy.join("in the way")).unwrap();
        daemon.launch();
        daemon.wait_for_all("online");
        let why = format!("cannot write {}: ", copy.display());
        let is_told =
            || matches!(&warned(&daemon, "last-good")[..], [one] if one.starts_with(&why));
        assert!(wait_until(SOON, is_told), "{}", daemon.status());
        assert_eq!(daemon.logged(&why), 1);
        fs::remove_dir_all(&copy).unwrap();
        daemon.must(&["reload"]);
        assert!(is_written(&daemon), "{}", daemon.log());
        assert_eq!(warned(&daemon, "last-good"), [""; 0]);
    });
}
