//! The demo: `cargo run --release --example demo`. A router with two uplinks and the real daemon, faults of the uplinks,
//! and what a user behind the router notices.

#[path = "demo/connections.rs"]
mod connections;
#[path = "lab/mod.rs"]
pub mod lab;
#[path = "demo/paint.rs"]
mod paint;
#[path = "demo/story.rs"]
mod story;
#[path = "demo/track.rs"]
mod track;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use lab::daemon::program;
use lab::{Lab, rights};
use nix::sys::signal::{SigSet, Signal};
use story::Story;

fn main() -> ExitCode {
    // The reader has closed the pipe: no error. Helper processes end with the demo.
    let complain = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.to_string().contains("Broken pipe") {
            std::process::exit(0);
        }
        complain(panic);
    }));
    let missing = [("ip", "iproute2"), ("setpriv", "util-linux")]
        .into_iter()
        .find(|(program, _)| Command::new(program).arg("-V").output().is_err());
    if let Some((program, package)) = missing {
        eprintln!("The demo needs the program `{program}`: install the package {package}.");
        return ExitCode::from(69);
    }
    // As the calling user, before entering a user namespace.
    if let Err(why) = build_the_daemon() {
        eprintln!("{why}");
        return ExitCode::from(70);
    }
    if let Err(advice) = rights::acquire() {
        eprintln!("{advice}");
        return ExitCode::from(77);
    }
    // Before other threads exist, which inherit it.
    let ends: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    ends.thread_block().expect("these are signals");
    let begun = Instant::now();
    let lab = Lab::new();
    let mut story = Story::begin(&lab);
    let directory = story.daemon.file("");
    std::thread::spawn(move || clean_up_at(ends, &directory));
    story.tell();
    story.tell_of_connections();
    story.sum_up(begun)
}

/// Removes the files when the demo is interrupted. Namespaces and processes end with it anyway.
fn clean_up_at(ends: SigSet, directory: &Path) {
    if ends.wait().is_ok() {
        let _ = std::fs::remove_dir_all(directory);
        eprintln!("\nInterrupted; nothing is left of it.");
        std::process::exit(130); // the shell's status for SIGINT
    }
}

/// Cargo builds no binary for an example, so this runs cargo: this is fast if the binary is up to date.
fn build_the_daemon() -> Result<(), String> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let profile = if cfg!(debug_assertions) {
            "dev"
        } else {
            "release"
        };
        let mut build = Command::new(cargo);
        build.args([
            "build",
            "--quiet",
            "--bin",
            "failover",
            "--profile",
            profile,
        ]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        match build.status() {
            Ok(status) if status.success() => {}
            Ok(_) => return Err("The daemon cannot be built: see above.".to_owned()),
            Err(error) => return Err(format!("Cannot run cargo to build the daemon: {error}.")),
        }
    }
    let program = program();
    if program.exists() {
        return Ok(());
    }
    Err(format!(
        "There is no {}: run the demo by `cargo run --release --example demo`.",
        program.display()
    ))
}
