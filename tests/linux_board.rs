//! The files of `board/linux`: the shell completion agrees with the program's command line; the version of the package; its
//! build script. The shipped configuration is tested in `src/config`; installing, running and purging the package in
//! `board/linux/test`; the pages from which the manual is made in `tests/docs.rs`.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy does not take for tests

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const CHANGES: &str = include_str!("../board/linux/debian/changelog");

fn failover(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_failover"));
    command.args(words).output().unwrap()
}

/// The words that begin the lines below a heading of a help.
fn listed(words: &[&str], heading: &str) -> BTreeSet<String> {
    let help = String::from_utf8(failover(words).stdout).unwrap();
    let below = help.lines().skip_while(|line| *line != heading).skip(1);
    let items = below.take_while(|line| line.starts_with("  "));
    let items = items.filter(|line| !line.starts_with("   "));
    let words = items.flat_map(|line| line.trim().split("  ").next().unwrap().split(", "));
    words.map(str::to_owned).collect()
}

fn commands() -> BTreeSet<String> {
    let commands = listed(&["--help"], "Commands:");
    assert!(commands.len() >= 9, "{commands:?}");
    commands
}

/// The long options of a command, or of the program. `--config` may follow every command.
fn options(words: &[&str]) -> BTreeSet<String> {
    let mut options = listed(words, "Options:");
    options.retain(|option| option.starts_with("--"));
    assert!(options.contains("--help"), "{options:?}");
    options.insert("--config".to_owned());
    options
}

/// The completions of the last of these words. The words are split at `=`, as in bash.
fn offered(words: &[&str], config: Option<&PathBuf>) -> BTreeSet<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/board/linux/failover.bash");
    let act = r#"source "$0" && COMP_WORDS=(failover "$@") COMP_CWORD=$# && _failover &&
        for reply in "${COMPREPLY[@]}"; do echo "$reply"; done"#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-euc", act, script]).args(words);
    bash.env_remove("FAILOVER_CONFIG");
    if let Some(config) = config {
        bash.env("FAILOVER_CONFIG", config);
    }
    let Output {
        stdout,
        stderr,
        status,
    } = bash.output().unwrap();
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success() && complaint.is_empty(), "{complaint}");
    let replies = String::from_utf8(stdout).unwrap();
    replies.lines().map(str::to_owned).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn the_completion_offers_each_command_and_option() {
    let mut expected = commands();
    expected.insert("help".to_owned());
    assert_eq!(offered(&[""], None), expected);
    assert_eq!(offered(&["help", ""], None), expected);
    assert_eq!(offered(&["--config", "f", ""], None), expected);
    assert_eq!(offered(&["--config", "=", "f", ""], None), expected);
    assert_eq!(offered(&["rel"], None), set(&["reload"]));

    assert_eq!(offered(&["-"], None), options(&["--help"]));
    for command in commands() {
        let expected = options(&[&command, "--help"]);
        assert_eq!(offered(&[&command, "--"], None), expected, "{command}");
    }
    assert_eq!(offered(&["status", "--j"], None), set(&["--json"]));
}

#[test]
fn the_completion_offers_the_providers_of_the_configuration() {
    let directory =
        std::env::temp_dir().join(format!("failover-completion-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let (one, other) = (directory.join("one file"), directory.join("other"));
    let text = "config provider 'isp1'\nconfig check 'web'\n#config provider 'isp3'\n  config\tprovider \"isp2\" # x\n";
    fs::write(&one, text).unwrap();
    fs::write(&other, "config 'provider' lte\n").unwrap();
    let other_named = other.to_str().unwrap();

    let with_one = |words: &[&str]| offered(words, Some(&one));
    assert_eq!(with_one(&["use", ""]), set(&["auto", "isp1", "isp2"]));
    assert_eq!(with_one(&["disable", "isp"]), set(&["isp1", "isp2"]));
    assert_eq!(with_one(&["enable", ""]), set(&["isp1", "isp2"]));
    assert_eq!(with_one(&["explain", ""]), set(&["isp1", "isp2"]));
    assert_eq!(with_one(&["probe", ""]), set(&["isp1", "isp2"]));
    assert_eq!(with_one(&["probe", "isp1", ""]), set(&["web"]));
    assert_eq!(with_one(&["probe", "-c", ""]), set(&[]));
    for option in [&["-c", "3"][..], &["--interval", "=", "1s"]] {
        let words = [&["probe"], option, &["isp"]].concat();
        assert_eq!(with_one(&words), set(&["isp1", "isp2"]));
    }
    assert_eq!(with_one(&["use", "isp1", ""]), set(&["--config", "--help"]));
    for words in [
        &["--config", other_named, "disable", ""][..],
        &["--config", "=", other_named, "disable", ""],
        &["disable", "--config", other_named, ""],
        &["disable", "--config", "=", other_named, ""],
    ] {
        assert_eq!(with_one(words), set(&["lte"]), "{words:?}");
    }
    let begun = directory.join("on").to_str().unwrap().to_owned();
    let completed = set(&[one.to_str().unwrap()]);
    assert_eq!(with_one(&["status", "--config", &begun]), completed);
    assert_eq!(with_one(&["run", "--last-good", &begun]), completed);
    assert_eq!(with_one(&["import-mwan3", &begun]), completed);
    assert_eq!(with_one(&["--config", "=", &begun]), completed);
    assert_eq!(
        with_one(&["use", "--config", "/nowhere", ""]),
        set(&["auto"])
    );
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_package_has_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(CHANGES.starts_with(&format!("failover ({version}-1) ")));
}

#[test]
fn the_packages_build_script_prints_its_usage_without_building_anything() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/board/linux/deb");
    for (words, exit, told) in [
        (&["--help"][..], 0, ""),
        (&["x86-64", "-h"], 0, ""),
        (&["--halp"], 64, "unknown option --halp\n"),
        (&["windows"], 64, "there is no board windows\n"),
        (&["x86-64", "--output"], 64, "--output lacks its value\n"),
    ] {
        let mut deb = Command::new(script);
        // Neither cargo nor a writable directory.
        deb.args(words).env("PATH", "/usr/bin:/bin");
        deb.env("FAILOVER_CACHE", "/dev/null");
        let output = deb.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {stderr}");
        assert!(stderr.contains(told), "{stderr}");
        let text = String::from_utf8(output.stdout).unwrap() + &stderr;
        assert!(text.contains("usage: board/linux/deb [BOARD]"), "{text}");
    }
}
