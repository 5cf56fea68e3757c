//! An unnamed network namespace: it exists as long as its value.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns, unshare};

use super::{Family, fail};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, and the thread that holds it and is the parent of the processes started in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
    thread_id: i32,
    jobs: Option<mpsc::Sender<Job>>,
    keeper: Option<JoinHandle<()>>,
}

impl Namespace {
    /// Creates an empty one. The name is for messages only.
    pub fn new(name: &str) -> Namespace {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        let keeper = thread::Builder::new()
            .name(format!("keeper of {name}"))
            .spawn(move || {
                let made = unshare(CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from);
                let file = made.and_then(|()| File::open("/proc/thread-self/ns/net"));
                let _ = tell.send((file, nix::unistd::gettid().as_raw()));
                todo.into_iter().for_each(|job| job());
            })
            .expect("there is room for a thread");
        let (file, thread_id) = told.recv().expect("the keeper tells before anything else");
        Namespace {
            name: name.to_owned(),
            file: file.expect("`rights` was checked before the lab is made"),
            thread_id,
            jobs: Some(jobs),
            keeper: Some(keeper),
        }
    }

    /// For messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A number for `ip link … netns NUMBER`.
    pub fn thread_id(&self) -> i32 {
        self.thread_id
    }

    /// Runs `f` inside, in its own thread, and waits for it. Sockets opened inside stay inside.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("the namespace is held open");
            f()
        };
        match thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Starts a process inside. Prefer [`mortal`] commands: they are killed with the lab, however it ends.
    pub fn spawn(&self, mut command: Command) -> std::io::Result<Child> {
        let (tell, told) = mpsc::channel();
        self.jobs
            .as_ref()
            .and_then(|jobs| {
                jobs.send(Box::new(move || drop(tell.send(command.spawn()))))
                    .ok()
            })
            .expect("the keeper works until the namespace is dropped");
        told.recv().expect("the keeper answers each job")
    }

    /// Runs a command inside to its end.
    pub fn output(&self, command: &[&str]) -> Output {
        let (program, arguments) = command.split_first().expect("a command has a name");
        self.enter(|| {
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .output()
        })
        .unwrap_or_else(|error| cannot_run(program, &error))
    }

    /// Runs a command inside that must succeed, and returns its output.
    pub fn run(&self, command: &[&str]) -> String {
        let output = self.output(command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        let (name, status) = (&self.name, output.status);
        assert!(
            status.success(),
            "in {name}, {command:?} ended with {status}: {said}{complaint}"
        );
        said
    }

    /// Writes lines to the input of a command that must succeed: `ip -batch -` makes a hundred changes in the time of one.
    pub fn feed(&self, command: &[&str], lines: &str) {
        let output = self.fed(command, lines);
        let complaint = String::from_utf8_lossy(&output.stderr);
        let name = &self.name;
        assert!(
            output.status.success(),
            "in {name}, {command:?} said: {complaint}\nto:\n{lines}"
        );
    }

    /// The same, and the command may fail.
    pub fn fed(&self, command: &[&str], lines: &str) -> Output {
        let (program, arguments) = command.split_first().expect("a command has a name");
        self.enter(|| {
            let mut child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| cannot_run(program, &error));
            let mut stdin = child.stdin.take().expect("it is piped");
            // A command that fails early closes its input; its message is more useful than the write error.
            let _ = stdin.write_all(lines.as_bytes());
            drop(stdin);
            child.wait_with_output().expect("it is our child")
        })
    }

    /// Runs lines of `ip` commands.
    pub fn ip(&self, lines: &str) {
        self.feed(&["ip", "-batch", "-"], lines);
    }

    /// Runs lines of `ip` commands for one family.
    pub fn batch(&self, family: Family, lines: &str) {
        let option = if family == Family::V4 { "-4" } else { "-6" };
        self.feed(&["ip", option, "-batch", "-"], lines);
    }

    /// Sets a variable under `/proc/sys/net`, as `ipv4/ip_forward`.
    pub fn sysctl(&self, variable: &str, value: u32) {
        self.sysctls(&[(variable, value)]);
    }

    /// Sets variables under `/proc/sys/net`.
    pub fn sysctls(&self, settings: &[(&str, u32)]) {
        self.enter(|| {
            for (variable, value) in settings {
                let path = format!("/proc/sys/net/{variable}");
                if let Err(error) = std::fs::write(&path, value.to_string()) {
                    fail(&format!("cannot set {path} to {value}: {error}"));
                }
            }
        });
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// A command that the kernel kills when the thread that started it ends. Its pid is the program's own.
pub fn mortal(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

fn cannot_run(program: &str, error: &std::io::Error) -> ! {
    fail(&format!(
        "cannot run `{program}`: {error}; `tests/run`, as root, installs what is needed"
    ))
}
