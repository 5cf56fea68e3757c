//! The system calls of a process, counted or delayed by `strace`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::daemon::Daemon;
use super::namespace::mortal;
use super::observe::wait_until;

/// Timeout for `strace` to attach or detach.
const PATIENCE: Duration = Duration::from_secs(5);

/// Number of calls per system call.
pub type Calls = BTreeMap<String, u64>;

/// Counts the calls of a daemon and its children until this has ended. The daemon is about ten times slower meanwhile.
/// An error with the reason if `strace` is missing or forbidden.
pub fn count(daemon: &Daemon, meanwhile: impl FnOnce()) -> Result<Calls, String> {
    let summary = daemon.file("calls");
    let mut command = mortal("strace");
    command
        .args(["-f", "-c", "-S", "calls", "-o"])
        .arg(&summary)
        .args(["-p", &daemon.pid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut strace = command
        .spawn()
        .map_err(|error| format!("cannot run `setpriv`: {error}"))?;
    let begun = attached(daemon.pid(), &mut strace);
    if begun {
        meanwhile();
    }
    // It detaches, and prints its summary.
    let _ = interrupt(&strace);
    if !wait_until(PATIENCE, || !matches!(strace.try_wait(), Ok(None))) {
        let _ = strace.kill();
    }
    let complaint = strace
        .wait_with_output()
        .map_err(|error| error.to_string())?
        .stderr;
    let seen = std::fs::read_to_string(summary).unwrap_or_default();
    match begun {
        true => Ok(parse(&seen)),
        false => Err(format!(
            "no `strace`: {}",
            String::from_utf8_lossy(&complaint).trim()
        )),
    }
}

/// Delays one system call of a daemon, until this is dropped.
#[derive(Debug)]
pub struct Slowed {
    strace: Child,
    log: PathBuf,
}

impl Slowed {
    /// Starts, with this delay. None if `strace` is missing or forbidden.
    pub fn start(daemon: &Daemon, call: &str, by: Duration) -> Option<Slowed> {
        let log = daemon.file("slowed");
        let delay = format!("inject={call}:delay_exit={}", by.as_micros());
        let mut command = mortal("strace");
        command
            .args([
                "-e",
                &format!("trace={call}"),
                "-e",
                &delay,
                "-s",
                "0",
                "-o",
            ])
            .arg(&log)
            .args(["-p", &daemon.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let mut strace = command.spawn().ok()?;
        let attached = attached(daemon.pid(), &mut strace);
        let slowed = Slowed { strace, log };
        attached.then_some(slowed)
    }

    /// Number of delayed calls so far.
    pub fn calls(&self) -> usize {
        let log = std::fs::read(&self.log).unwrap_or_default();
        log.iter().filter(|byte| **byte == b'\n').count()
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        let _ = interrupt(&self.strace);
        if !wait_until(PATIENCE, || !matches!(self.strace.try_wait(), Ok(None))) {
            let _ = self.strace.kill();
        }
        let _ = self.strace.wait();
    }
}

fn interrupt(strace: &Child) -> nix::Result<()> {
    let pid = i32::try_from(strace.id()).unwrap_or(i32::MAX);
    kill(Pid::from_raw(pid), Signal::SIGINT)
}

/// Waits until the process is traced; false when `strace` gives up.
fn attached(pid: Pid, strace: &mut Child) -> bool {
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.is_some_and(|tracer| tracer.trim() != "0")
    };
    wait_until(PATIENCE, || {
        traced() || !matches!(strace.try_wait(), Ok(None))
    });
    traced()
}

/// Output of `strace -c`: percent, seconds, microseconds per call, calls, errors (optional), name.
fn parse(summary: &str) -> Calls {
    let call = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, count) = (words.last()?, words.get(3)?.parse().ok()?);
        (*name != "total").then(|| ((*name).to_owned(), count))
    };
    summary.lines().filter_map(call).collect()
}
