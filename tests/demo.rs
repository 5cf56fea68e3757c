//! The demo: `cargo run --release --example demo`. A router with two uplinks and the real daemon, faults of the uplinks,
//! and what a user behind the router notices.

#[path = "lab/mod.rs"]
pub mod lab;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::daemon::program;
use lab::flow::{LOST_AFTER, Moment};
use lab::topology::target;
use lab::{Daemon, Family, Flow, Lab, Settings, rights};
use nix::sys::signal::{SigSet, Signal};

/// Timeout for traffic to move.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time shown before and after the event of a step.
const MARGIN: Duration = Duration::from_millis(150);
/// Shortest time that a step is shown.
const STEP_MIN: Duration = Duration::from_millis(1200);
/// Width of a timeline: with its labels it fits 80 columns.
const CELLS: usize = 48;

/// A note on what about every second run shows when the cable is plugged in again.
const WHY_SILENT: &str = "\
(Why offline first: the kernel's first ARP or neighbour solicitation came before
  the gateway was ready, and it is repeated after a second. Until then nothing
  can be answered, and 3 rounds fail.)";

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

/// Prints the steps, and records the measurements for the summary.
struct Story<'lab> {
    lab: &'lab Lab,
    daemon: Daemon<'lab>,
    flows: [(Family, Flow); 2],
    paint: Paint,
    rows: Vec<Row>,
    journal_lines: usize,
}

/// One line of the summary.
struct Row {
    what: &'static str,
    moved: bool,
    outage: [Duration; 2],
    lost: [usize; 2],
}

impl<'lab> Story<'lab> {
    fn begin(lab: &'lab Lab) -> Story<'lab> {
        let paint = Paint::for_terminal();
        let title = paint.bold("failover: one router, two ways to the Internet");
        println!(
            "{title}\n
                   ┌─ eth1 ─ isp1 ─┐
       LAN ─ router┤               ├─ 203.0.113.8, 2001:db8:53::8
                   └─ eth2 ─ isp2 ─┘
\nEverything lives in network namespaces of its own. A host in the LAN sends a
datagram every 2 ms, in IPv4 and in IPv6. A timeline shows by which provider the
answers came back, or that one was lost (·). Its length in ms stands behind it,
with the time without answers; below it, the time that one character stands for.\n"
        );
        let daemon = Daemon::start(&lab.router, &Settings::fast(lab));
        let flows = Family::ALL.map(|family| (family, Flow::start(lab, target(family))));
        Story {
            lab,
            daemon,
            flows,
            paint,
            rows: Vec::new(),
            journal_lines: 0,
        }
    }

    fn tell(&mut self) {
        let upstream_dies = |lab: &Lab, _: &Daemon| lab.upstream_dies(1);
        let upstream_returns = |lab: &Lab, _: &Daemon| lab.upstream_returns(1);
        let pull_cable = |lab: &Lab, _: &Daemon| lab.pull_cable(1);
        let plug_cable = |lab: &Lab, _: &Daemon| lab.plug_cable(1);
        let pin = |_: &Lab, daemon: &Daemon| drop(daemon.must(&["use", "isp2"]));
        let unpin = |_: &Lab, daemon: &Daemon| drop(daemon.must(&["use", "auto"]));

        self.daemon.wait_for_all("online");
        self.step(
            "All is well",
            "both answer, isp1 is preferred",
            1,
            |_, _| (),
        );
        self.step(
            "isp1's upstream dies",
            "its cable and gateway stay up",
            2,
            upstream_dies,
        );
        self.step(
            "It heals",
            "ten good rounds, and traffic returns",
            1,
            upstream_returns,
        );
        self.step(
            "isp1's cable is pulled",
            "carrier loss is seen at once, without a probe",
            2,
            pull_cable,
        );
        self.step(
            "It is plugged in again",
            "ten good rounds again",
            1,
            plug_cable,
        );
        self.step(
            "failover use isp2",
            "a person pins the second provider",
            2,
            pin,
        );
        self.step("failover use auto", "the daemon chooses again", 1, unpin);
    }

    /// Makes a change, waits until traffic uses the provider, and shows the timeline.
    fn step(
        &mut self,
        what: &'static str,
        remark: &str,
        provider: u8,
        act: impl FnOnce(&Lab, &Daemon),
    ) {
        println!("{}: {}", self.paint.bold(what), self.paint.dim(remark));
        sleep(MARGIN);
        let acted = self.moments();
        act(self.lab, &self.daemon);
        let moved = self.watch(acted, provider);
        self.show_scale(acted);
        self.show_journal();
        let outage = [0, 1].map(|i| self.flows[i].1.outage(acted[i]));
        let lost = [0, 1].map(|i| self.flows[i].1.lost(acted[i]));
        if !moved {
            println!("  {}", self.paint.red("The traffic did not move in time."));
        }
        println!();
        self.rows.push(Row {
            what,
            moved,
            outage,
            lost,
        });
    }

    fn moments(&self) -> [Moment; 2] {
        [0, 1].map(|i| self.flows[i].1.now())
    }

    /// Draws the timelines until both flows have used the provider for a moment. False on timeout.
    fn watch(&self, acted: [Moment; 2], provider: u8) -> bool {
        let begun = Instant::now();
        let there = || {
            self.flows
                .iter()
                .all(|(_, flow)| flow.goes_by(provider, Duration::ZERO))
        };
        loop {
            let elapsed = begun.elapsed();
            let moved = elapsed > STEP_MIN && there();
            let over = moved || elapsed > PATIENCE;
            if over {
                sleep(MARGIN);
            }
            if over || self.paint.terminal {
                self.draw(acted);
            }
            if over {
                return moved;
            }
            if self.paint.terminal {
                print!("\x1b[2A"); // up by two lines, over both timelines
            }
            sleep(Duration::from_millis(40));
        }
    }

    fn draw(&self, acted: [Moment; 2]) {
        for ((family, flow), acted) in self.flows.iter().zip(acted) {
            let (from, to) = (
                acted.saturating_sub(MARGIN),
                flow.now().saturating_sub(LOST_AFTER),
            );
            let cells = flow.timeline(from, to, CELLS);
            let line: String = cells.iter().map(|cell| self.paint.cell(*cell)).collect();
            let (outage, span) = (ms(flow.outage(acted)), ms(to.saturating_sub(from)));
            let end = if self.paint.terminal { "\x1b[K" } else { "" };
            println!("  {family} {line} {span:>5} ms, out {outage} ms{end}");
        }
        let _ = std::io::stdout().flush();
    }

    /// Prints the scale of the timeline, and the position of the event.
    fn show_scale(&self, acted: [Moment; 2]) {
        let flow = &self.flows[0].1;
        let from = acted[0].saturating_sub(MARGIN);
        let span = flow.now().saturating_sub(LOST_AFTER).saturating_sub(from);
        let character = span / u32::try_from(CELLS).expect("it is small");
        let before = MARGIN.as_millis() / ms(character).max(1);
        let scale = format!(
            "one character: {} ms; this happened after the first {before}",
            ms(character)
        );
        println!("  {}", self.paint.dim(&scale));
    }

    /// Prints new entries of the daemon's journal.
    fn show_journal(&mut self) {
        let journal = self.daemon.must(&["log"]);
        let mut came_back_silent = false;
        for line in journal.lines().skip(self.journal_lines) {
            // Without the time, which is first.
            let line = line.split_once(' ').map_or(line, |(_, rest)| rest);
            println!("  {}", self.paint.dim(line.trim_start()));
            came_back_silent |= line.contains("probing → offline");
        }
        if came_back_silent {
            println!("  {}", self.paint.dim(WHY_SILENT));
        }
        self.journal_lines = journal.lines().count();
    }

    fn sum_up(&self, begun: Instant) -> ExitCode {
        println!(
            "{}",
            self.paint
                .bold("What the LAN noticed: time without answers, datagrams lost")
        );
        println!("  {:<24} {:>16} {:>18}", "", "IPv4", "IPv6");
        for Row {
            what,
            moved,
            outage,
            lost,
        } in &self.rows
        {
            let [v4, v6] = [0, 1].map(|i| format!("{:>5} ms {:>4} lost", ms(outage[i]), lost[i]));
            let verdict = if *moved { "" } else { "  did not move" };
            println!("  {what:<24} {v4:>18} {v6:>18}{}", self.paint.red(verdict));
        }
        println!(
            "\nA silent death costs at most 3 rounds of 100 ms and a timeout of 300 ms\n\
             (profile fast). The whole took {:.1} s; nothing is left of it.",
            begun.elapsed().as_secs_f32()
        );
        let all_moved = self.rows.iter().all(|row| row.moved);
        if all_moved {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn ms(duration: Duration) -> u128 {
    duration.as_millis()
}

/// Colours, on a terminal only.
struct Paint {
    terminal: bool,
    colours: bool,
}

impl Paint {
    fn for_terminal() -> Paint {
        let terminal = std::io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint {
            terminal,
            colours: terminal && !unwanted,
        }
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn red(&self, text: &str) -> String {
        self.with("31", text)
    }

    /// The number of the provider, on its own colour; or a dot.
    fn cell(&self, provider: Option<u8>) -> String {
        match provider {
            Some(1) => self.with("30;42", "1"),
            Some(other) => self.with("30;44", &other.to_string()),
            None => self.with("1;31", "·"),
        }
    }
}
