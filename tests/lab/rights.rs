//! The right to create network namespaces: root has it, other users get it in a user namespace.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::sched::{CloneFlags, unshare};

/// Set for a process that was restarted inside a user namespace.
const INSIDE: &str = "FAILOVER_LAB_INSIDE";
/// If set, a test that lacks the rights fails instead of being skipped.
const REQUIRED: &str = "FAILOVER_LAB_REQUIRED";

/// Whether this process can create network namespaces as it is.
pub fn have() -> bool {
    static HAVE: OnceLock<bool> = OnceLock::new();
    // In its own thread, which enters the new namespace and ends there.
    *HAVE.get_or_init(|| {
        std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET).is_ok())
            .join()
            .unwrap_or(false)
    })
}

/// Whether a test that lacks the rights fails.
pub fn required() -> bool {
    std::env::var_os(REQUIRED).is_some()
}

/// Advice for a user who lacks the rights.
const ADVICE: &str = "\
The laboratory needs network namespaces, and this user may not make them.
Do one of these:
  - run the same command as root (sudo)
  - allow user namespaces, as root:
      sysctl -w kernel.unprivileged_userns_clone=1               (Debian, older kernels)
      sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   (Ubuntu 23.10 and later)
      sysctl -w user.max_user_namespaces=10000                   (RHEL and relatives)
  - in a container: start it with --privileged";

/// Ensures the rights: restarts this program inside a user namespace if needed. Only for the start of `main`. The error is
/// the advice for the user.
pub fn acquire() -> Result<(), String> {
    if have() {
        return Ok(());
    }
    let mut inside = inside_user_namespace()?;
    let arguments = std::env::args_os().skip(1);
    let error = inside.args(arguments).exec();
    Err(format!("cannot start again in a user namespace: {error}"))
}

/// Runs the body of a test with the rights. Without them, the same test is run again in a user namespace; if that is
/// forbidden, the test prints this and is skipped.
pub fn in_lab<F: FnOnce()>(body: F) {
    if have() {
        return body();
    }
    let mut inside = match inside_user_namespace() {
        Ok(inside) => inside,
        Err(why) => {
            assert!(!required(), "{why}");
            eprintln!("SKIPPED {}: {why}", test_name::<F>());
            return;
        }
    };
    let output = inside
        .args(["--exact", &test_name::<F>(), "--nocapture"])
        .output()
        .expect("the test binary exists: it runs now");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "in a user namespace: {said}{complained}"
    );
}

/// A command that starts this program inside a user namespace.
fn inside_user_namespace() -> Result<Command, String> {
    if std::env::var_os(INSIDE).is_some() {
        return Err(format!("Not even in a user namespace:\n{ADVICE}"));
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--mount", "--"]);
        // The directory of the netns lock; it belongs to root.
        let script = "mount -t tmpfs -o mode=755 none /run && exec \"$@\"";
        command.args(["sh", "-c", script, "sh"]);
        command
    };
    let trial = unshare()
        .arg("true")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run `unshare` (package util-linux): {error}\n{ADVICE}"))?;
    if !trial.status.success() {
        let complaint = String::from_utf8_lossy(&trial.stderr);
        return Err(format!("{}\n{ADVICE}", complaint.trim()));
    }
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot find this very program: {error}\n{ADVICE}"))?;
    let mut command = unshare();
    command.arg(program).env(INSIDE, "1");
    Ok(command)
}

/// The name of the test whose body has type `F`: a closure's type is named after the function that contains it.
fn test_name<F>() -> String {
    let closure = std::any::type_name::<F>();
    let function = closure.split("::{{closure}}").next().unwrap_or(closure);
    let (_crate, path) = function.split_once("::").unwrap_or(("", function));
    path.to_owned()
}
