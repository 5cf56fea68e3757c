//! Resource usage of a process, as accounted by the kernel: see proc(5).

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;

use super::fail;
use super::namespace::Namespace;

/// The memory of a process, in kB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// resident memory, shared or not
    pub resident: u64,
    /// anonymous memory: heap, stack, and written data
    pub anonymous: u64,
}

/// What a process has done since its start, except network traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// write(2) and similar calls; sendto(2) does not count
    pub writes: u64,
    /// bytes written to disk
    pub bytes_to_disk: u64,
    /// minor page faults of its ended children: every process has some
    pub childrens_faults: u64,
}

/// Pings of a namespace, in both families, since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pings {
    /// echo requests sent
    pub sent: u64,
    /// echo replies received
    pub answered: u64,
}

/// Processor time of all threads, in user space and in the kernel. Exact while the process sleeps.
pub fn processor_time(pid: Pid) -> Duration {
    let of_thread = |thread: fs::DirEntry| {
        let account = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        account.split_whitespace().next()?.parse::<u64>().ok()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap_or_else(|_| gone(pid));
    let nanoseconds = threads.flatten().filter_map(of_thread).sum::<u64>();
    Duration::from_nanos(nanoseconds)
}

/// Its current memory.
pub fn memory(pid: Pid) -> Memory {
    let status = read(pid, "status");
    Memory {
        resident: field(&status, "VmRSS:"),
        anonymous: field(&status, "RssAnon:"),
    }
}

/// Its activity so far.
pub fn activity(pid: Pid) -> Activity {
    let io = read(pid, "io");
    // After the name in parentheses: state is field 3, cminflt field 11.
    let stat = read(pid, "stat");
    let (_, behind_name) = stat.rsplit_once(')').unwrap_or_default();
    let childrens_faults = behind_name.split_whitespace().nth(8);
    Activity {
        writes: field(&io, "syscw:"),
        bytes_to_disk: field(&io, "write_bytes:"),
        childrens_faults: childrens_faults
            .and_then(|faults| faults.parse().ok())
            .unwrap_or_else(|| gone(pid)),
    }
}

impl Namespace {
    /// Counts pings of all processes.
    pub fn pings(&self) -> Pings {
        let file = |name| {
            self.enter(|| fs::read_to_string(format!("/proc/thread-self/net/{name}")))
                .unwrap_or_default()
        };
        // A line of names, then a line of values; a type that was never seen is absent.
        let v4 = file("snmp");
        let mut lines = v4.lines().filter(|line| line.starts_with("IcmpMsg:"));
        let (names, values) = (
            lines.next().unwrap_or_default(),
            lines.next().unwrap_or_default(),
        );
        let of_type = |name| {
            let place = names.split(' ').position(|other| other == name)?;
            values.split(' ').nth(place)?.parse::<u64>().ok()
        };
        let v6 = file("snmp6");
        Pings {
            sent: of_type("OutType8").unwrap_or(0) + field(&v6, "Icmp6OutEchos"),
            answered: of_type("InType0").unwrap_or(0) + field(&v6, "Icmp6InEchoReplies"),
        }
    }
}

fn read(pid: Pid, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|_| gone(pid))
}

/// The number after a word at the start of a line; 0 if there is no such line.
fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
        })
        .unwrap_or(0)
}

fn gone<T>(pid: Pid) -> T {
    fail(&format!("process {pid} is gone, or not ours to look at"))
}
