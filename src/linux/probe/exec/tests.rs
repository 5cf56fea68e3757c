//! Commands that succeed, fail, time out or never end.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{Pid, mkfifo};

use super::*;
use crate::types::{Family, Slot};

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

    /// Waits until every command has ended, in place of SIGCHLD.
    fn ended(&self) {
        for running in &self.running {
            waitid(
                Id::Pid(running.child.0),
                WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
            )
            .unwrap();
        }
    }
}

/// The result of a command, two seconds after its start.
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

/// A pipe that ends for its reader when the last process that writes to it is gone.
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

/// Whether all writers are gone, in much less than the 60 s that the commands sleep.
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
    // as in the daemon, which reads its signals from a descriptor; Rust's runtime ignores SIGPIPE
    SigSet::all().thread_block().unwrap();
    for signal in ["TERM", "INT", "PIPE"] {
        let command = format!("kill -{signal} $$; exit 0");
        assert_eq!(result(&command), Err(Fault::Killed), "{signal}");
    }
}

#[test]
fn the_environment_describes_the_path() {
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
fn processes_that_a_command_leaves_in_its_group_are_killed() {
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

    // the path is closed and opened again: its old commands neither return results nor prevent new ones
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
fn more_commands_than_there_is_room_for_are_not_started() {
    let mut commands = Commands::new();
    for path in 0..COMMANDS_MAX {
        let path = PathId::from_index(path).unwrap();
        commands.begin(Asked { path, ..ASKED }, "sleep 60").unwrap();
    }
    let refused = Err(NotStarted::NoRoom(Room::Commands));
    assert_eq!(commands.begin(asked(5), "true"), refused);
    commands.kill_all();
    commands.ended();
    assert_eq!(commands.reap(START), None);
    assert!(commands.running.is_empty());
}

#[test]
fn quick_commands_in_a_row_leave_no_zombie() {
    let mut commands = Commands::new();
    for round in 0..64 {
        let asked = Asked {
            round: Round(round),
            ..ASKED
        };
        commands.begin(asked, "exit 0").unwrap();
        let pid = commands.running[0].child.0;
        commands.ended();
        assert_eq!(commands.reap(START).unwrap().asked, asked);
        assert_eq!(waitpid(pid, None), Err(Errno::ECHILD));
    }
}

#[test]
fn other_children_are_not_waited_for() {
    let mut stranger = std::process::Command::new("false").spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(stranger.id()).unwrap());
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let mut commands = Commands::new();
    assert_eq!(commands.reap(START), None);
    assert_eq!(stranger.wait().unwrap().code(), Some(1));
}
