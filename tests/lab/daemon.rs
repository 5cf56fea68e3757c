//! The daemon under test, which runs in a router namespace and is killed when it is dropped.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::namespace::{Namespace, mortal};
use super::observe::wait_until;
use super::settings::Settings;

/// Timeout for the daemon's start and end, and for what it is to say: a busy machine may take long.
const PATIENCE: Duration = Duration::from_secs(15);

/// One daemon, with its own directory for all files.
#[derive(Debug)]
pub struct Daemon<'router> {
    router: &'router Namespace,
    directory: PathBuf,
    /// variables in addition to the test's environment
    variables: Vec<(&'static str, String)>,
    /// options of `run` in addition to the usual ones
    options: Vec<String>,
    child: Option<Child>,
}

impl<'router> Daemon<'router> {
    /// Starts it and waits until it answers.
    pub fn start(router: &'router Namespace, settings: &Settings) -> Daemon<'router> {
        let mut daemon = Daemon::prepare(router, settings);
        daemon.launch();
        daemon
    }

    /// Writes its configuration, without starting it.
    pub fn prepare(router: &'router Namespace, settings: &Settings) -> Daemon<'router> {
        let daemon = Daemon {
            router,
            directory: new_directory(),
            variables: Vec::new(),
            options: Vec::new(),
            child: None,
        };
        daemon.configure(settings);
        daemon
    }

    /// Starts it, after [`Daemon::prepare`] or its end, and waits until it answers.
    pub fn launch(&mut self) {
        self.launch_by(&[]);
    }

    /// The same, by a program that becomes it.
    pub fn launch_by(&mut self, by: &[&str]) {
        self.begin(by);
        let up = wait_until(PATIENCE, || self.answers() || !self.is_running());
        assert!(
            up && self.is_running(),
            "the daemon did not start:\n{}",
            self.log()
        );
    }

    /// Starts it without waiting.
    pub fn launch_unasked(&mut self) {
        self.begin(&[]);
    }

    fn begin(&mut self, by: &[&str]) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file("daemon.log"));
        let log = log.expect("its directory is ours");
        let program = program();
        let program = program.to_str().expect("the path of the build is text");
        let (first, others) = by.split_first().unwrap_or((&program, &[]));
        let mut command = mortal(first);
        command.args(others);
        if !by.is_empty() {
            // Another user namespace takes away that it is killed with the lab.
            command.args(["setpriv", "--pdeathsig", "KILL", "--", program]);
        }
        command
            .args(["run", "--foreground", "--config"])
            .arg(self.file("failover.conf"))
            .args(&self.options)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("there is room for a descriptor"))
            .stderr(log);
        let child = self
            .router
            .spawn(command)
            .expect("package util-linux has `setpriv`");
        self.child = Some(child);
    }

    /// Sets a variable of its environment; takes effect at the next start.
    pub fn set(&mut self, name: &'static str, value: String) {
        self.variables.push((name, value));
    }

    /// Adds options of `run`; takes effect at the next start.
    pub fn give(&mut self, options: &[&str]) {
        self.options
            .extend(options.iter().map(|word| (*word).to_owned()));
    }

    /// Installs a program that precedes any other of this name in its `PATH`.
    pub fn install(&mut self, name: &str, script: &str) {
        let programs = self.file("bin");
        fs::create_dir_all(&programs).expect("its directory is ours");
        let file = programs.join(name);
        fs::write(&file, script).expect("its directory is ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is our file");
        let others = std::env::var("PATH").unwrap_or_default();
        self.set("PATH", format!("{}:{others}", programs.display()));
    }

    /// Writes the configuration; it takes effect at the next `reload`.
    pub fn configure(&self, settings: &Settings) {
        let settings = settings
            .clone()
            .global(
                "state_dir",
                self.file("state").to_str().expect("it is text"),
            )
            .global(
                "sticky_file",
                self.sticky_file().to_str().expect("it is text"),
            );
        self.configure_raw(&settings.to_string());
    }

    /// Writes a text as configuration.
    pub fn configure_raw(&self, text: &str) {
        let whole = self.file("failover.conf.new");
        fs::write(&whole, text).expect("its directory is ours");
        fs::rename(whole, self.file("failover.conf")).expect("its directory is ours");
    }

    /// A file in its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The sticky file.
    pub fn sticky_file(&self) -> PathBuf {
        self.file("sticky.provider")
    }

    /// Its log, of all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("daemon.log")).unwrap_or_default()
    }

    /// Waits until its log has this text, and returns how many times it has it. A line comes after the event, the answer to
    /// a command, or the hook that tells of the same.
    pub fn logged(&self, text: &str) -> usize {
        let count = || self.log().matches(text).count();
        let there = wait_until(PATIENCE, || count() > 0);
        assert!(there, "{text:?} is not logged:\n{}", self.log());
        count()
    }

    /// The entries of `failover log`, without their times, which are rounded each time they are told.
    pub fn journal(&self) -> Vec<String> {
        let told = self.must(&["log"]);
        let entries = told.lines().filter_map(|line| line.split_once(' '));
        entries.map(|(_, entry)| entry.to_owned()).collect()
    }

    /// Its log with the lines of all that it has heard by now: each turn of its loop answers commands first, and logs last.
    pub fn whole_log(&self) -> String {
        for _ in 0..2 {
            self.must(&["status"]);
        }
        self.log()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it runs");
        Pid::from_raw(i32::try_from(child.id()).expect("process ids are small"))
    }

    /// Whether the process is running.
    pub fn is_running(&mut self) -> bool {
        let ended = |child: &mut Child| child.try_wait().expect("it is our child").is_some();
        self.child.as_mut().is_some_and(|child| !ended(child))
    }

    /// Whether a process listens on the control socket.
    fn answers(&self) -> bool {
        UnixStream::connect(self.file("state/control.sock")).is_ok()
    }

    /// Runs a command, such as `["use", "isp2"]`, with this daemon's configuration. It is killed after 20 s (status 124).
    pub fn command(&self, words: &[&str]) -> Output {
        let program = program();
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=1", "20"])
            .arg(program)
            .args(words)
            .arg("--config")
            .arg(self.file("failover.conf"))
            .stdin(Stdio::null());
        self.router
            .enter(|| command.output())
            .expect("package coreutils has `timeout`")
    }

    /// Runs a command that must succeed, and returns its output.
    pub fn must(&self, words: &[&str]) -> String {
        let output = self.command(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        assert!(
            status.success(),
            "failover {words:?} ended with {status}: {said}{complaint}\n{}",
            self.log()
        );
        said
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        let said = self.must(&["status", "--json"]);
        serde_json::from_str(&said).unwrap_or_else(|error| {
            super::fail(&format!("status --json is no JSON: {error}\n{said}"))
        })
    }

    /// The state of every path, as `("isp1", "ipv4", "online")`.
    pub fn path_states(&self) -> Vec<(String, String, String)> {
        let status = self.status();
        let mut states = Vec::new();
        for provider in status["providers"].as_array().into_iter().flatten() {
            for path in provider["paths"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                states.push((
                    text(&provider["id"]),
                    text(&path["family"]),
                    text(&path["state"]),
                ));
            }
        }
        states
    }

    /// The state of one path; empty if there is no such path.
    pub fn path_state(&self, provider: &str, family: &str) -> String {
        let states = self.path_states();
        let found = states
            .into_iter()
            .find(|(p, f, _)| p == provider && f == family);
        found.map(|(_, _, state)| state).unwrap_or_default()
    }

    /// Waits until all paths are in this state.
    pub fn wait_for_all(&self, state: &str) {
        let all = || {
            let states = self.path_states();
            !states.is_empty() && states.iter().all(|(_, _, s)| s == state)
        };
        assert!(
            wait_until(PATIENCE, all),
            "not all {state}: {:?}\n{}",
            self.path_states(),
            self.log()
        );
    }

    /// Waits until one path is in this state.
    pub fn wait_for(&self, provider: &str, family: &str, state: &str) {
        let so = || self.path_state(provider, family) == state;
        assert!(
            wait_until(PATIENCE, so),
            "not {state}: {:?}\n{}",
            self.path_states(),
            self.log()
        );
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is our child");
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }

    /// SIGTERM, and its exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for its end. On a busy machine the kernel has taken more than 15 seconds for that, once, after SIGKILL.
    pub fn wait(&mut self) -> ExitStatus {
        assert!(
            wait_until(4 * PATIENCE, || !self.is_running()),
            "it does not end:\n{}",
            self.log()
        );
        let mut child = self.child.take().expect("it ran");
        child.wait().expect("it is our child")
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("The daemon's log:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The program under test: that of `FAILOVER_BINARY`, or the one that cargo has built for this test, or that of the same
/// build as this example.
pub fn program() -> PathBuf {
    let named = std::env::var_os("FAILOVER_BINARY").map(PathBuf::from);
    let built = option_env!("CARGO_BIN_EXE_failover").map(PathBuf::from);
    named.or(built).unwrap_or_else(|| {
        let example = std::env::current_exe().expect("we run");
        let mut ancestors = example.ancestors(); // target/<profile>/examples/<example>
        let profile = ancestors.nth(2).expect("cargo has put us there");
        profile.join("failover")
    })
}

/// A new directory, with a path short enough for a socket's address. Directories of killed runs are removed.
fn new_directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let (parent, us) = (std::env::temp_dir(), std::process::id());
    for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let numbers = name
            .to_str()
            .and_then(|name| name.strip_prefix("failover-lab-"));
        let owner = numbers.and_then(|numbers| numbers.split('-').next());
        if owner.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = parent.join(format!("failover-lab-{us}-{number}"));
    fs::create_dir_all(&directory).expect("the directory for temporary files can be written");
    directory
}
