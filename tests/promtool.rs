//! `promtool`, Prometheus' checker of metrics and rules.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs it, with a text as its input. Asserts that it finds no fault, and returns what it says.
#[track_caller]
pub(crate) fn promtool(words: &[&str], input: &str) -> String {
    let mut promtool = Command::new("promtool");
    promtool.args(words).stdin(Stdio::piped());
    promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = promtool.spawn();
    let mut child = child.expect("there is `promtool`, of Debian's package prometheus");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it is our child");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{words:?}: {said}\n{input}");
    said
}

/// `promtool check metrics` has nothing to say.
#[track_caller]
pub(crate) fn accepts_metrics(text: &str) {
    assert_eq!(promtool(&["check", "metrics"], text), "", "{text}");
}
