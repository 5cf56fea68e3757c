//! The real program on configurations of mwan3: what it ships, and one that has everything that makes an import hard.
//!
//! Each folder of `tests/data/mwan3` has `mwan3`, may have `network`, and what is expected: `failover`, what goes to
//! stdout, and `notes`, what goes to stderr. When the program changes on purpose, run this with `FAILOVER_EXPECT=write`,
//! and read what has changed in those two.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy does not take for tests

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_failover");

fn failover(directory: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(words).current_dir(directory);
    command.env_remove("FAILOVER_CONFIG").stdin(Stdio::null());
    command.output().unwrap()
}

fn data(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mwan3");
    directory.join(name)
}

fn expect(file: &Path, found: &[u8]) {
    let found = std::str::from_utf8(found).unwrap();
    if std::env::var_os("FAILOVER_EXPECT").is_some() {
        std::fs::write(file, found).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap();
    assert_eq!(found, expected, "not what {} has", file.display());
}

/// Imports a folder's configuration; what comes out is as expected, and a configuration of ours with these warnings.
fn import(name: &str, warnings: &[&str]) {
    let directory = data(name);
    let output = failover(&directory, &["import-mwan3", "mwan3"]);
    assert_eq!(output.status.code(), Some(0));
    expect(&directory.join("failover"), &output.stdout);
    expect(&directory.join("notes"), &output.stderr);
    let checked = failover(&directory, &["check", "--config", "failover"]);
    assert_eq!(checked.status.code(), Some(0));
    let told = String::from_utf8_lossy(&checked.stderr);
    // It is for a router that has netifd, as this machine may or may not.
    let told: Vec<&str> = told
        .lines()
        .filter(|line| !line.contains("no netifd"))
        .collect();
    assert_eq!(told, warnings);
}

#[test]
fn what_mwan3_ships() {
    // The second uplink is disabled in it.
    let alone =
        "failover:1: warning: only one provider is enabled: there is nothing to fail over to";
    import("shipped", &[alone]);
}

#[test]
fn a_hard_one() {
    import("hard", &[]);
}

#[test]
fn what_cannot_be_used_is_told_by_the_exit_code() {
    let directory = std::env::temp_dir().join(format!("failover-import-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let output = failover(&directory, &["import-mwan3", "none"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(output.stdout, b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with("failover: cannot read none: "), "{told}");

    // Harmless even if it is put in place, and nothing but a comment follows from a file's name.
    let name = "a\nconfig provider x";
    std::fs::write(directory.join(name), "config interface 'wan'\n").unwrap();
    let output = failover(&directory, &["import-mwan3", name]);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains(":1: no provider comes out that is enabled"),
        "{told}"
    );
    std::fs::write(directory.join("failover"), &output.stdout).unwrap();
    let checked = failover(&directory, &["check", "--config", "failover"]);
    assert_eq!(checked.status.code(), Some(0));
    let told = String::from_utf8_lossy(&checked.stdout);
    assert!(told.contains("1 provider, 0 checks"), "{told}");
    let output = failover(&directory, &["run", "--foreground", "--config", "failover"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing to do"));
    std::fs::remove_dir_all(directory).unwrap();
}
