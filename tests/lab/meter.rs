//! What a process costs, by the kernel's own accounts: see proc(5).

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;

use super::fail;
use super::namespace::Namespace;

/// The memory of a process, in kB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// everything in RAM, shared with others or not
    pub resident: u64,
    /// its own: heap, stack, and what it has written of its data
    pub anonymous: u64,
}

/// What a process has done beside talking to the network, since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deeds {
    /// write(2) and its relatives; sendto(2) is none of them
    pub writes: u64,
    /// what it has caused to be written to a disk
    pub bytes_to_disk: u64,
    /// minor page faults of its children that have ended: no process ends without some
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

/// Time on a processor, in user space and in the kernel, of all threads. Exact while the process sleeps.
pub fn processor_time(pid: Pid) -> Duration {
    let of_thread = |thread: fs::DirEntry| {
        let account = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        account.split_whitespace().next()?.parse::<u64>().ok()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap_or_else(|_| gone(pid));
    let nanoseconds = threads.flatten().filter_map(of_thread).sum::<u64>();
    Duration::from_nanos(nanoseconds)
}

/// Its memory now.
pub fn memory(pid: Pid) -> Memory {
    let status = read(pid, "status");
    Memory {
        resident: field(&status, "VmRSS:"),
        anonymous: field(&status, "RssAnon:"),
    }
}

/// Its deeds so far.
pub fn deeds(pid: Pid) -> Deeds {
    let io = read(pid, "io");
    // Behind the name in parentheses: state is field 3, cminflt field 11.
    let stat = read(pid, "stat");
    let (_, behind_name) = stat.rsplit_once(')').unwrap_or_default();
    let childrens_faults = behind_name.split_whitespace().nth(8);
    Deeds {
        writes: field(&io, "syscw:"),
        bytes_to_disk: field(&io, "write_bytes:"),
        childrens_faults: childrens_faults
            .and_then(|faults| faults.parse().ok())
            .unwrap_or_else(|| gone(pid)),
    }
}

impl Namespace {
    /// Who pings, does not matter.
    pub fn pings(&self) -> Pings {
        let file = |name| {
            self.enter(|| fs::read_to_string(format!("/proc/thread-self/net/{name}")))
                .unwrap_or_default()
        };
        // A line of names, then a line of values; a type that was never seen is not there.
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

/// The number behind a word at the start of a line; 0 when there is no such line.
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
