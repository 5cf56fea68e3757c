//! The real `nft` in a network namespace of the test's own, and programs that stand in for it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::kill;

use super::*;
use crate::linux::clock::now;
use crate::linux::fixture::own_namespace;
use crate::linux::poll::{Interest, Poller, ReadyList};

/// Runs a child, as the daemon's loop does. Returns its outcome.
fn load(program: &CStr, text: Text<'_>) -> Result<(), Failure> {
    let mut nft = Nft::new();
    nft.start_program(program, now()).unwrap();
    to_its_end(nft, text)
}

fn to_its_end(mut nft: Nft, text: Text<'_>) -> Result<(), Failure> {
    let mut poller = Poller::new().unwrap();
    let input = nft.running[0].input.as_ref().unwrap();
    poller.add(input, 1, Interest::WRITE).unwrap();
    let until = now() + Duration::from_secs(60);
    loop {
        // In the daemon, SIGCHLD wakes; here, a short deadline.
        let soon = now() + Duration::from_millis(1);
        poller.set_deadline(Some(soon)).unwrap();
        let mut list = ReadyList::new();
        for ready in poller.wait(&mut list).unwrap() {
            assert_eq!(ready.token, 1);
            nft.write(text);
        }
        if let Some(outcome) = nft.outcome() {
            assert!(!nft.is_running());
            return outcome;
        }
        assert!(now() < until, "never ends");
    }
}

/// A table with 8,000 elements: 200 KB, in pieces of all lengths.
fn long(out: &mut dyn Write) -> fmt::Result {
    out.write_str("table inet failover {\n\tset s {\n\t\ttype mark\n\t\telements = {\n")?;
    for number in 0_u32..8000 {
        writeln!(
            out,
            "\t\t\t{number:#x}, # {:width$}",
            "",
            width = number as usize % 21
        )?;
    }
    out.write_str("\t\t}\n\t}\n}\n")
}

#[test]
fn a_text_longer_than_the_pipe_is_loaded_whole() {
    if !own_namespace() {
        return;
    }
    assert_eq!(load(c"nft", &long), Ok(()));
    let mut list = Command::new("nft");
    let listed = list.args(["list", "table", "inet", "failover"]).output();
    let listed = std::string::String::from_utf8(listed.unwrap().stdout).unwrap();
    assert_eq!(listed.matches("0x").count(), 8000);
}

#[test]
fn the_first_error_of_a_refused_text_is_told() {
    if !own_namespace() {
        return;
    }
    let refused = |text: &'static str| match load(c"nft", &|out| out.write_str(text)) {
        Err(Failure::Refused(line)) => line,
        other => panic!("{other:?}"),
    };
    let line = refused("table inet failover {\n\tnonsense\n}\n");
    assert!(line.contains(":2:2-9: Error: syntax error"), "{line}");
    assert!(line.ends_with(": nonsense"), "{line}");
    let line = refused("delete table inet absent\n");
    assert!(
        line.ends_with("No such file or directory: absent"),
        "{line}"
    );
    let whole = |out: &mut dyn Write| {
        long(out)?;
        out.write_str("add rule inet failover absent accept\n")
    };
    assert!(matches!(load(c"nft", &whole), Err(Failure::Refused(_))));
    let outcome = load(c"nft", &|out| out.write_str("list table inet failover"));
    assert!(outcome.is_err(), "nothing of it was loaded");
}

#[test]
fn a_missing_program_is_told_apart() {
    let mut nft = Nft::new();
    let started = nft.start_program(c"/nonexistent/nft", now());
    assert_eq!(started.err(), Some(Failure::Missing));
    assert!(!nft.is_running() && nft.outcome().is_none());
    let started = nft.start_program(c"/dev/null", now());
    assert_eq!(started.err(), Some(Failure::NotStarted(Errno::EACCES)));
}

/// A program that stands in for `nft`.
struct StandIn(PathBuf);

impl StandIn {
    fn new(name: &str, script: &str) -> StandIn {
        let file = format!("failover-nft-{name}-{}", std::process::id());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        StandIn(file)
    }

    fn path(&self) -> CString {
        CString::new(self.0.as_os_str().as_bytes()).unwrap()
    }

    fn start(&self, nft: &mut Nft, now: Instant) {
        // A process that another test has just forked may still have the file open for writing.
        let busy = Failure::NotStarted(Errno::ETXTBSY);
        while nft.start_program(&self.path(), now).err() == Some(busy.clone()) {}
        assert!(nft.is_running());
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn the_text_goes_on_where_the_pipe_was_full() {
    let script = StandIn::new("waits", "read go <\"$0.go\"; cat >\"$0.text\"");
    let beside = |end: &str| script.0.with_added_extension(end);
    let [go, copy] = ["go", "text"].map(beside);
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut nft = Nft::new();
    script.start(&mut nft, now());
    nft.write(&long);
    let written = nft.running[0].written;
    assert!(written >= 4096 && nft.running[0].input.is_some());
    nft.write(&long);
    assert_eq!(nft.running[0].written, written, "the pipe is full");
    std::fs::write(&go, "go\n").unwrap();
    assert_eq!(to_its_end(nft, &long), Ok(()));
    let mut whole = std::string::String::new();
    long(&mut whole).unwrap();
    assert!(whole.len() > 150_000 && whole.len() > written);
    assert!(std::fs::read_to_string(&copy).unwrap() == whole);
    for file in [go, copy] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_program_that_hangs_is_killed_at_the_deadline_with_its_children() {
    let script = StandIn::new("hangs", "sleep 60 & sleep 60");
    let mut nft = Nft::new();
    let started = now();
    script.start(&mut nft, started);
    let second = nft.start_program(c"/bin/true", started);
    assert_eq!(second.err(), Some(Failure::NotStarted(Errno::EBUSY)));
    nft.write(&long);
    nft.write(&long);
    nft.give_up(started + PATIENCE - Duration::from_millis(1));
    assert_eq!(nft.outcome(), None);
    assert_eq!(nft.next_deadline(), Some(started + PATIENCE));
    nft.give_up(started + PATIENCE);
    assert_eq!(nft.next_deadline(), None);
    let outcome = std::iter::repeat_with(|| nft.outcome()).flatten().next();
    assert_eq!(outcome, Some(Err(Failure::TimedOut)));
    assert!(!nft.is_running());
    script.start(&mut nft, started);
    let child = nft.running[0].child.0;
    nft.stop();
    assert!(!nft.is_running());
    assert_eq!(kill(child, None), Err(Errno::ESRCH), "it was reaped");
}

#[test]
fn a_program_that_does_not_read_or_is_killed_or_says_much_is_told_apart() {
    let run = |name, script| {
        let (script, mut nft) = (StandIn::new(name, script), Nft::new());
        script.start(&mut nft, now());
        to_its_end(nft, &long)
    };
    let closes = run("closes", "exec <&-; exit 3");
    assert_eq!(closes, Err(Failure::Refused(String::new())));
    assert_eq!(run("killed", "kill -9 $$"), Err(Failure::Killed));
    // It has not read the text, but says that it is done.
    assert_eq!(run("done", "exit 0"), Ok(()));
    let says = "cat >/dev/null; i=0; while [ $i -lt 3000 ]; do echo \"wrong: ä 0123456789 0123456789\" >&2; i=$((i+1)); done; exit 1";
    let Err(Failure::Refused(line)) = run("says", says) else {
        panic!("it is not stopped by a full pipe");
    };
    assert_eq!(line, "wrong: ä 0123456789 0123456789");
    let marks = "cat >/dev/null; printf 'wrong\\n reject here\\n ^^^^^^\\n' >&2; exit 1";
    let error = Err(Failure::Refused("wrong: reject".try_into().unwrap()));
    assert_eq!(run("marks", marks), error);
    let long = "cat >/dev/null; printf 'x%.0s' 1 2 3 4 5 6 7 8 9 >&2; printf '\\303\\244%0120d' 7 >&2; exit 1";
    let Err(Failure::Refused(line)) = run("long", long) else {
        panic!("it is refused");
    };
    assert!(
        line.starts_with("xxxxxxxxxä000") && line.ends_with("0…") && line.len() == NFT_ERROR_MAX
    );
}
