//! The real program on configurations of mwan3: the shipped one, and one with everything that makes an import hard.
//!
//! Each directory of `tests/data/mwan3` has the input, `mwan3` and optionally `network`, and the expected output:
//! `failover` (stdout) and `notes` (stderr). After an intended change of the program, run this with
//! `FAILOVER_EXPECT=write`, and review the changes of these two files.

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

/// Imports a directory's configuration; the output is as expected, and is a valid configuration with these warnings.
fn import(name: &str, warnings: &[&str]) {
    let directory = data(name);
    let output = failover(&directory, &["import-mwan3", "mwan3"]);
    assert_eq!(output.status.code(), Some(0));
    expect(&directory.join("failover"), &output.stdout);
    expect(&directory.join("notes"), &output.stderr);
    let checked = failover(&directory, &["check", "--config", "failover"]);
    assert_eq!(checked.status.code(), Some(0));
    let told = String::from_utf8_lossy(&checked.stderr);
    // It needs netifd, which this machine may not have.
    let told: Vec<&str> = told
        .lines()
        .filter(|line| !line.contains("no netifd"))
        .collect();
    assert_eq!(told, warnings);
}

#[test]
fn the_shipped_configuration() {
    // Its second uplink is disabled.
    let alone =
        "failover:1: warning: only one provider is enabled: there is nothing to fail over to";
    import("shipped", &[alone]);
}

#[test]
fn a_hard_configuration() {
    import("hard", &[]);
}

#[test]
fn an_unusable_configuration_has_its_exit_code() {
    let directory = std::env::temp_dir().join(format!("failover-import-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let output = failover(&directory, &["import-mwan3", "none"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(output.stdout, b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with("failover: cannot read none: "), "{told}");

    // The output is harmless even if it is installed; a file's name appears only in a comment.
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
