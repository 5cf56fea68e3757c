//! The commands of `exec` checks: child processes, each in a process group of its own, each with a deadline.

use core::fmt::Write;
use core::net::IpAddr;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;

use heapless::Vec;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::fault::fault;
use super::ffi;
use crate::config::{COMMANDS_MAX, PathId};
use crate::failover::{Fault, Round};
use crate::net::{Duration, Instant};

/// The running commands. All zero bytes when new.
#[derive(Debug)]
pub struct Commands {
    running: Vec<Child, COMMANDS_MAX>,
}

/// What a command is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// through which path
    pub path: PathId,
    /// the number of the check in its path
    pub check: u8,
    /// the round asked in
    pub round: Round,
}

/// What a command finds in its environment, besides our own; unknown is empty.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// `PROVIDER`: its id
    pub provider: &'a str,
    /// `DEVICE`
    pub device: &'a str,
    /// `ADDRESS`: the path's own
    pub address: Option<IpAddr>,
    /// `GATEWAY`
    pub gateway: Option<IpAddr>,
    /// `TARGET`, as the configuration has it; `FAMILY` comes from the path
    pub target: &'a str,
}

/// Why a command was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// The former one of the same check has not ended: count this probe as not asked.
    AlreadyRunning,
    /// It failed, as any probe that cannot be sent.
    Failed(Fault),
}

/// A command that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// what it was asked for
    pub asked: Asked,
    /// how long it took, when it ended with status 0
    pub result: Result<Duration, Fault>,
}

#[derive(Debug)]
struct Child {
    /// its process, and its process group
    pid: Pid,
    asked: Asked,
    started: Instant,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// to be killed then
    Until(Instant),
    /// killed at its deadline
    Overdue,
    /// killed because nobody wants its answer any more
    Unwanted,
}

impl Default for Commands {
    fn default() -> Commands {
        Commands::new()
    }
}

impl Commands {
    /// None running.
    pub const fn new() -> Commands {
        Commands {
            running: Vec::new(),
        }
    }

    /// Starts `/bin/sh -c command`, to be killed at `now + timeout`; [`Commands::reap`] tells how it ended.
    ///
    /// It reads and writes /dev/null, inherits no descriptor, and has no signal blocked or ignored.
    pub fn start(
        &mut self,
        asked: Asked,
        command: &str,
        environment: &Environment,
        now: Instant,
        timeout: Duration,
    ) -> Result<(), NotStarted> {
        if self.running.iter().any(|child| child.is_for(asked)) {
            return Err(NotStarted::AlreadyRunning);
        }
        if self.running.is_full() {
            return Err(NotStarted::Failed(Fault::NoBuffers));
        }
        let pid = spawn(command, &variables(asked.path, environment))
            .map_err(|errno| NotStarted::Failed(fault(errno)))?;
        let child = Child {
            pid,
            asked,
            started: now,
            fate: Fate::Until(now + timeout),
        };
        // there is room: it was asked for above
        self.running.push(child).unwrap_or_default();
        Ok(())
    }

    /// When [`Commands::kill_overdue`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.running.iter().filter_map(Child::deadline);
        deadlines.min()
    }

    /// Kills the process groups of commands whose time is up. They are told of by [`Commands::reap`], as
    /// [`Fault::TimedOut`].
    pub fn kill_overdue(&mut self, now: Instant) {
        for child in &mut self.running {
            if child.deadline().is_some_and(|deadline| deadline <= now) {
                child.kill(Fate::Overdue);
            }
        }
    }

    /// Kills a path's commands; they are never told of. For a path that is closed.
    pub fn kill_path(&mut self, path: PathId) {
        for child in &mut self.running {
            if child.asked.path == path {
                child.kill(Fate::Unwanted);
            }
        }
    }

    /// Kills all commands; they are never told of. For the daemon's stop.
    pub fn kill_all(&mut self) {
        for child in &mut self.running {
            child.kill(Fate::Unwanted);
        }
    }

    /// One command that ended; none when none has. To be called on SIGCHLD until it says none: several deaths may
    /// be one signal. Only our own commands are waited for, never a child we do not know.
    pub fn reap(&mut self, now: Instant) -> Option<Finished> {
        let mut place = 0;
        while let Some(child) = self.running.get(place) {
            if !has_ended(child.pid) {
                place += 1;
                continue;
            }
            let status = child.bury();
            let child = self.running.swap_remove(place);
            let result = match (child.fate, status) {
                (Fate::Unwanted, _) => continue,
                (Fate::Overdue, _) => Err(Fault::TimedOut),
                (Fate::Until(_), Some(0)) => Ok(now.max(child.started) - child.started),
                (Fate::Until(_), Some(status)) => Err(Fault::Exit(status)),
                (Fate::Until(_), None) => Err(Fault::Killed),
            };
            return Some(Finished {
                asked: child.asked,
                result,
            });
        }
        None
    }
}

impl Child {
    /// Whether its check is the one asked for. One nobody wants any more does not stand in the way of a new one.
    fn is_for(&self, asked: Asked) -> bool {
        self.asked.path == asked.path
            && self.asked.check == asked.check
            && self.fate != Fate::Unwanted
    }

    fn deadline(&self) -> Option<Instant> {
        match self.fate {
            Fate::Until(deadline) => Some(deadline),
            Fate::Overdue | Fate::Unwanted => None,
        }
    }

    /// Kills its group, and itself in case it has left that. Its number cannot be another's: we have not waited yet.
    fn kill(&mut self, fate: Fate) {
        self.fate = fate;
        let _gone = killpg(self.pid, Signal::SIGKILL);
        let _gone = kill(self.pid, Signal::SIGKILL);
    }

    /// Its exit status, after its end; none when a signal ended it. What it left behind in its group ends with it:
    /// that has to happen before the wait, while the group's number still cannot be another's.
    fn bury(&self) -> Option<u8> {
        let _gone = killpg(self.pid, Signal::SIGKILL);
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => u8::try_from(status).ok(),
            _ => None,
        }
    }
}

/// Whether a child has ended (or is none any more), without taking it away.
fn has_ended(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(
        waitid(Id::Pid(pid), flags),
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
    )
}

/// posix_spawn(3) does not copy our memory's page tables, which fork(2) does: the loop waits some 100 us, whatever we
/// have grown to. (std's `Command` would pass on our signal mask, in which all that signalfd reads is blocked.)
fn spawn(command: &str, variables: &[CString]) -> Result<Pid, Errno> {
    let command = CString::new(command).map_err(|_| Errno::EINVAL)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_sigmask(&SigSet::empty())?;
    let null = open(
        c"/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut actions = PosixSpawnFileActions::init()?;
    for descriptor in 0..=2 {
        actions.add_dup2(null.as_raw_fd(), descriptor)?;
    }
    ffi::close_on_exec();
    let arguments = [c"sh", c"-c", &command];
    posix_spawn(c"/bin/sh", &actions, &attributes, &arguments, variables)
}

/// Our environment, with what the command is told about its path.
fn variables(path: PathId, told: &Environment) -> std::vec::Vec<CString> {
    let (address, gateway) = (text(told.address), text(told.gateway));
    let told = [
        ("PROVIDER", told.provider),
        ("DEVICE", told.device),
        ("ADDRESS", &address),
        ("GATEWAY", &gateway),
        ("FAMILY", path.family.name()),
        ("TARGET", told.target),
    ];
    let inherited = std::env::vars_os()
        .filter(|(name, _)| told.iter().all(|(ours, _)| name != ours))
        .map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='));
    let added = told
        .iter()
        .map(|(name, value)| [name.as_bytes(), value.as_bytes()].join(&b'='));
    inherited
        .chain(added)
        .filter_map(|variable| CString::new(variable).ok())
        .collect()
}

fn text(address: Option<IpAddr>) -> heapless::String<40> {
    let mut text = heapless::String::new();
    if let Some(address) = address {
        // 39 bytes are the longest address
        write!(text, "{address}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::path::PathBuf;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::unistd::mkfifo;

    use super::*;
    use crate::config::Slot;
    use crate::net::Family;

    const START: Instant = Instant::from_micros_const(1_000_000_000);
    const TIMEOUT: Duration = Duration::from_secs(3);
    const PATH: PathId = PathId {
        slot: Slot(1),
        family: Family::V6,
    };
    const ASKED: Asked = asked(0);
    const ENVIRONMENT: Environment = Environment {
        provider: "isp2",
        device: "eth1",
        address: None,
        gateway: None,
        target: "",
    };

    const fn asked(check: u8) -> Asked {
        Asked {
            path: PATH,
            check,
            round: Round(7),
        }
    }

    impl Commands {
        fn begin(&mut self, asked: Asked, command: &str) -> Result<(), NotStarted> {
            self.start(asked, command, &ENVIRONMENT, START, TIMEOUT)
        }

        /// Waits until every command has ended, as SIGCHLD would tell.
        fn ended(&self) {
            for child in &self.running {
                waitid(
                    Id::Pid(child.pid),
                    WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
                )
                .unwrap();
            }
        }
    }

    /// What a command's end is told as, two seconds after its start.
    fn result_with(environment: &Environment, command: &str) -> Result<Duration, Fault> {
        let mut commands = Commands::new();
        commands
            .start(ASKED, command, environment, START, TIMEOUT)
            .unwrap();
        commands.ended();
        let finished = commands.reap(START + Duration::from_secs(2)).unwrap();
        assert_eq!(finished.asked, ASKED);
        finished.result
    }

    fn result(command: &str) -> Result<Duration, Fault> {
        result_with(&ENVIRONMENT, command)
    }

    const GOOD: Result<Duration, Fault> = Ok(Duration::from_secs(2));

    /// A pipe that ends for its reader when the last process that has opened it for writing is gone.
    struct Pipe(PathBuf);

    impl Pipe {
        fn new(name: &str) -> Pipe {
            let path = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
            let _stale = std::fs::remove_file(&path);
            mkfifo(&path, Mode::S_IRWXU).unwrap();
            Pipe(path)
        }

        fn name(&self) -> &str {
            self.0.to_str().unwrap()
        }

        /// The reading end, once a byte has been written.
        fn open(&self) -> File {
            let mut reader = File::open(&self.0).unwrap();
            reader.read_exact(&mut [0]).unwrap();
            reader
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    /// Nobody writes any more; in much less than the 60 s that the commands sleep.
    fn all_gone(mut reader: File) -> bool {
        let begun = std::time::Instant::now();
        reader.read_to_end(&mut std::vec::Vec::new()).unwrap();
        begun.elapsed().as_secs() < 20
    }

    #[test]
    fn the_exit_status_is_the_result() {
        assert_eq!(result("true"), GOOD);
        assert_eq!(result("exit 3"), Err(Fault::Exit(3)));
        assert_eq!(result("/nonexistent"), Err(Fault::Exit(127)));
    }

    #[test]
    fn no_signal_is_blocked_or_ignored_in_a_command() {
        // as the daemon does, which reads its signals from a descriptor; Rust's start ignores SIGPIPE
        SigSet::all().thread_block().unwrap();
        for signal in ["TERM", "INT", "PIPE"] {
            let command = format!("kill -{signal} $$; exit 0");
            assert_eq!(result(&command), Err(Fault::Killed), "{signal}");
        }
    }

    #[test]
    fn the_environment_tells_about_the_path() {
        let environment = Environment {
            address: Some("2001:db8::7".parse().unwrap()),
            gateway: Some("fe80::1".parse().unwrap()),
            target: "it's $HOME",
            ..ENVIRONMENT
        };
        let command = r#"test "$PROVIDER $DEVICE $ADDRESS $GATEWAY $FAMILY $TARGET" = \
            "isp2 eth1 2001:db8::7 fe80::1 ipv6 it's "'$HOME' && test -n "$PATH""#;
        assert_eq!(result_with(&environment, command), GOOD);
        let unknown = r#"test "${ADDRESS-unset}${GATEWAY-unset}${TARGET-unset}" = "" "#;
        assert_eq!(result(unknown), GOOD);
    }

    #[test]
    fn a_command_leads_a_group_and_inherits_no_descriptor() {
        let group = "read -r pid name state parent group rest < /proc/$$/stat; test $group = $$";
        assert_eq!(result(group), GOOD);
        let null = File::open("/dev/null").unwrap();
        let inherited = fcntl(&null, FcntlArg::F_DUPFD(100)).unwrap();
        let command = format!("! test -e /proc/$$/fd/{inherited}");
        assert_eq!(result(&command), GOOD);
        let standard = "for n in 0 1 2; do test /proc/$$/fd/$n -ef /dev/null || exit 1; done";
        assert_eq!(result(standard), GOOD);
    }

    #[test]
    fn the_whole_group_is_killed_at_the_deadline() {
        let pipe = Pipe::new("failover-exec-deadline");
        let command = format!(
            "trap '' TERM INT HUP; exec 9>{}; (sleep 60)& echo >&9; while :; do sleep 60; done",
            pipe.name()
        );
        let mut commands = Commands::new();
        commands.begin(ASKED, &command).unwrap();
        let reader = pipe.open();

        let deadline = START + TIMEOUT;
        assert_eq!(commands.next_deadline(), Some(deadline));
        commands.kill_overdue(deadline - Duration::from_micros(1));
        assert_eq!(commands.next_deadline(), Some(deadline));
        commands.kill_overdue(deadline);
        assert_eq!(commands.next_deadline(), None);
        assert!(all_gone(reader));
        commands.ended();
        let finished = commands.reap(deadline).unwrap();
        assert_eq!(finished.result, Err(Fault::TimedOut));
        assert_eq!(commands.reap(deadline), None);
    }

    #[test]
    fn what_a_command_leaves_in_its_group_ends_with_it() {
        let pipe = Pipe::new("failover-exec-left");
        let command = format!("exec 9>{}; sleep 60 & echo >&9", pipe.name());
        let mut commands = Commands::new();
        commands.begin(ASKED, &command).unwrap();
        let reader = pipe.open();
        commands.ended();
        assert!(commands.reap(START).unwrap().result.is_ok());
        assert!(all_gone(reader));
    }

    #[test]
    fn a_check_runs_once_at_a_time() {
        let mut commands = Commands::new();
        commands.begin(asked(0), "sleep 60").unwrap();
        let again = Asked {
            round: Round(8),
            ..asked(0)
        };
        assert_eq!(
            commands.begin(again, "true"),
            Err(NotStarted::AlreadyRunning)
        );
        commands.begin(asked(1), "true").unwrap();

        // the path is closed and opened again: its old commands neither speak nor stand in the way
        commands.kill_path(PATH);
        commands.begin(again, "exit 9").unwrap();
        commands.ended();
        let finished = commands.reap(START).unwrap();
        assert_eq!(
            (finished.asked, finished.result),
            (again, Err(Fault::Exit(9)))
        );
        assert_eq!(commands.reap(START), None);
        assert!(commands.running.is_empty());
    }

    #[test]
    fn more_commands_than_there_is_room_for_are_refused() {
        let mut commands = Commands::new();
        for path in 0..COMMANDS_MAX {
            let path = PathId::from_index(path).unwrap();
            commands.begin(Asked { path, ..ASKED }, "sleep 60").unwrap();
        }
        let refused = Err(NotStarted::Failed(Fault::NoBuffers));
        assert_eq!(commands.begin(asked(5), "true"), refused);
        commands.kill_all();
        commands.ended();
        assert_eq!(commands.reap(START), None);
        assert!(commands.running.is_empty());
    }

    #[test]
    fn quick_ones_in_a_row_leave_no_zombie() {
        let mut commands = Commands::new();
        for round in 0..64 {
            let asked = Asked {
                round: Round(round),
                ..ASKED
            };
            commands.begin(asked, "exit 0").unwrap();
            let pid = commands.running[0].pid;
            commands.ended();
            assert_eq!(commands.reap(START).unwrap().asked, asked);
            assert_eq!(waitpid(pid, None), Err(Errno::ECHILD));
        }
    }

    #[test]
    fn children_that_are_not_ours_are_not_waited_for() {
        let mut stranger = std::process::Command::new("false").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(stranger.id()).unwrap());
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        let mut commands = Commands::new();
        assert_eq!(commands.reap(START), None);
        assert_eq!(stranger.wait().unwrap().code(), Some(1));
    }
}
