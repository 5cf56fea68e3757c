//! Helpers of several tests: our routes and rules in the kernel, kernel events, the daemon's resource usage, the status.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::Value;

use super::lab::namespace::mortal;
use super::lab::observe::wait_until;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Lookups};
use super::{OURS, TABLE};

/// Number of routes and rules of ours in the kernel.
pub fn ours(lab: &Lab) -> usize {
    let of_family = |family| {
        let tables = [TABLE, 254].into_iter().chain(17601..17606);
        let routes = tables.flat_map(|table| lab.router.routes(family, table));
        let rules = lab.router.rules(family);
        routes.filter(|route| route.protocol == OURS).count()
            + rules.iter().filter(|rule| rule.protocol == OURS).count()
    };
    Family::ALL.into_iter().map(of_family).sum()
}

/// Starts route lookups in both families, until [`no_hole`].
pub fn lookups(lab: &Lab) -> [Lookups; 2] {
    Family::ALL.map(|family| Lookups::start(&lab.router, target(family)))
}

/// Asserts that every lookup found a route.
pub fn no_hole(lookups: [Lookups; 2], daemon: &Daemon) {
    for hammer in lookups {
        let found = hammer.stop();
        assert!(
            found.lookups > 1000 && found.failures == 0,
            "{found:?}\n{}",
            daemon.log()
        );
    }
}

/// `ip monitor`: the kernel's events about routes and rules in the router.
pub struct Monitor {
    child: Child,
    file: std::path::PathBuf,
}

impl Monitor {
    /// Starts recording.
    pub fn start(lab: &Lab, daemon: &Daemon) -> Monitor {
        let file = daemon.file("monitor");
        let mut command = mortal("ip");
        let out = fs::File::create(&file).expect("its directory is ours");
        command
            .args(["-Numeric", "-timestamp", "monitor", "route", "rule"])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null());
        let child = lab.router.spawn(command).expect("there is `ip`");
        let monitor = Monitor { child, file };
        // It is ready when it reports a change.
        let listens = || {
            lab.router.ip("route add 198.51.100.77/32 dev lan0 metric 77
                 route del 198.51.100.77/32 dev lan0 metric 77");
            monitor.text().contains("198.51.100.77")
        };
        assert!(wait_until(Duration::from_secs(5), listens));
        monitor
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// Our routes and rules that were deleted, one line each.
    pub fn deleted(&self) -> Vec<String> {
        let text = self.text();
        let ours = |line: &&str| line.contains("Deleted") && line.contains("proto 176");
        text.lines().filter(ours).map(str::to_owned).collect()
    }

    /// Number of our routes and rules that were set, or set again.
    pub fn set(&self) -> usize {
        self.set_after(0)
    }

    /// What was recorded so far, in bytes.
    pub fn length(&self) -> usize {
        self.text().len()
    }

    /// The same as [`Monitor::set`], of what is recorded behind so many bytes.
    pub fn set_after(&self, length: usize) -> usize {
        let text = self.text();
        let ours = |line: &&str| !line.contains("Deleted") && line.contains("proto 176");
        let new = text.get(length..).unwrap_or_default();
        new.lines().filter(ours).count()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resource usage of a process.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// open descriptors
    pub descriptors: usize,
    /// anonymous memory, in kB
    pub memory_kb: usize,
}

impl Usage {
    /// The daemon's current usage.
    pub fn of(daemon: &Daemon) -> Usage {
        let pid = daemon.pid();
        // Some descriptors are open only for a moment, while a command is started or a client is served.
        let open = || {
            fs::read_dir(format!("/proc/{pid}/fd"))
                .expect("it runs")
                .count()
        };
        let descriptors = (0..10).map(|_| {
            std::thread::sleep(Duration::from_millis(3));
            open()
        });
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let memory = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
        let memory = memory.and_then(|rest| rest.trim().split(' ').next()?.parse().ok());
        Usage {
            descriptors: descriptors.min().unwrap_or(0),
            memory_kb: memory.expect("the kernel tells it"),
        }
    }
}

/// The processes whose parent is this one, with their states, as `Z`.
pub fn children(parent: Pid) -> Vec<(i32, char)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("it is there").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may contain any character.
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let mut words = rest.split(' ');
        let state = words.next().and_then(|word| word.chars().next());
        let of = words.next().and_then(|word| word.parse::<i32>().ok());
        if let (Some(state), true) = (state, of == Some(parent.as_raw())) {
            found.push((pid, state));
        }
    }
    found
}

/// One provider of a status.
pub fn provider<'s>(status: &'s Value, id: &str) -> &'s Value {
    let all = status["providers"].as_array().expect("it is a list");
    all.iter()
        .find(|provider| provider["id"] == id)
        .unwrap_or(&Value::Null)
}

/// One path of a status.
pub fn path<'s>(status: &'s Value, id: &str, family: &str) -> &'s Value {
    let paths = provider(status, id)["paths"].as_array();
    let mut paths = paths.into_iter().flatten();
    paths
        .find(|path| path["family"] == family)
        .unwrap_or(&Value::Null)
}

/// A counter of the status.
pub fn counter(daemon: &Daemon, name: &str) -> u64 {
    daemon.status()["counters"][name]
        .as_u64()
        .expect("it is a number")
}

/// Pseudo-random numbers, the same in every run.
pub struct Random(pub u64);

impl Random {
    /// A number below `end` (xorshift).
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
