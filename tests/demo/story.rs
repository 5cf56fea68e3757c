//! The story: steps, each with an event, the timelines of what it does to traffic, and the daemon's journal.

use std::io::Write;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::flow::Moment;
use crate::lab::topology::target;
use crate::lab::{Daemon, Family, Flow, Lab, Settings};
use crate::paint::Paint;
use crate::track::Watched;

/// Timeout for traffic to move.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time shown before and after the event of a step.
const MARGIN: Duration = Duration::from_millis(150);
/// Shortest time that a step is shown.
const STEP_MIN: Duration = Duration::from_millis(1200);
/// Width of a timeline with its label, and a blank before both: all fits 80 columns.
const WIDTH: usize = 53;

/// A note on what about every second run shows when the cable is plugged in again.
const WHY_SILENT: &str = "\
(Why offline first: the kernel's first ARP or neighbour solicitation came before
  the gateway was ready, and it is repeated after a second. Until then nothing
  can be answered, and 3 rounds fail.)";

/// Prints the steps, and records the measurements for the summary.
pub(crate) struct Story<'lab> {
    pub(crate) lab: &'lab Lab,
    pub(crate) daemon: Daemon<'lab>,
    pub(crate) paint: Paint,
    /// what a step shows
    pub(crate) lines: Vec<Line>,
    rows: Vec<Row>,
    journal_lines: usize,
}

/// A timeline: its label, its name in the summary after that of the step, and the provider by which it is to go at the end.
pub(crate) struct Line {
    label: String,
    part: &'static str,
    provider: u8,
    watched: Box<dyn Watched>,
}

impl Line {
    pub(crate) fn new(
        label: String,
        part: &'static str,
        provider: u8,
        watched: impl Watched + 'static,
    ) -> Line {
        Line {
            label,
            part,
            provider,
            watched: Box::new(watched),
        }
    }
}

/// One line of the summary: for each family, the time without answers, and the number of lost datagrams.
struct Row {
    what: &'static str,
    moved: bool,
    columns: Vec<(Duration, Option<usize>)>,
}

impl<'lab> Story<'lab> {
    pub(crate) fn begin(lab: &'lab Lab) -> Story<'lab> {
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
        let flow = |family: Family| {
            let flow = Flow::start(lab, target(family));
            Line::new(family.to_string(), "", 1, flow)
        };
        Story {
            lab,
            daemon,
            lines: Family::ALL.map(flow).into(),
            paint,
            rows: Vec::new(),
            journal_lines: 0,
        }
    }

    pub(crate) fn tell(&mut self) {
        let upstream_dies = |lab: &Lab, _: &Daemon| lab.upstream_dies(1);
        let upstream_returns = |lab: &Lab, _: &Daemon| lab.upstream_returns(1);
        let pull_cable = |lab: &Lab, _: &Daemon| lab.pull_cable(1);
        let plug_cable = |lab: &Lab, _: &Daemon| lab.plug_cable(1);
        let pin = |_: &Lab, daemon: &Daemon| drop(daemon.must(&["use", "isp2"]));
        let unpin = |_: &Lab, daemon: &Daemon| drop(daemon.must(&["use", "auto"]));

        self.daemon.wait_for_all("online");
        self.step_to(
            1,
            "All is well",
            "both answer, isp1 is preferred",
            |_, _| (),
        );
        self.step_to(
            2,
            "isp1's upstream dies",
            "its cable and gateway stay up",
            upstream_dies,
        );
        self.step_to(
            1,
            "It heals",
            "ten good rounds, and traffic returns",
            upstream_returns,
        );
        self.step_to(
            2,
            "isp1's cable is pulled",
            "carrier loss is seen at once, without a probe",
            pull_cable,
        );
        self.step_to(
            1,
            "It is plugged in again",
            "ten good rounds again",
            plug_cable,
        );
        self.step_to(
            2,
            "failover use isp2",
            "a person pins the second provider",
            pin,
        );
        self.step_to(1, "failover use auto", "the daemon chooses again", unpin);
    }

    /// A step after which everything uses one provider.
    fn step_to(
        &mut self,
        provider: u8,
        what: &'static str,
        remark: &str,
        act: impl FnOnce(&Lab, &Daemon),
    ) {
        for line in &mut self.lines {
            line.provider = provider;
        }
        self.step(what, remark, act);
    }

    /// Makes a change, waits until each line uses its provider, and shows the timelines.
    pub(crate) fn step(
        &mut self,
        what: &'static str,
        remark: &str,
        act: impl FnOnce(&Lab, &Daemon),
    ) {
        println!("{}: {}", self.paint.bold(what), self.paint.dim(remark));
        sleep(MARGIN);
        let acted: Vec<Moment> = self.lines.iter().map(|line| line.watched.now()).collect();
        act(self.lab, &self.daemon);
        let moved = self.watch(&acted);
        self.show_scale(acted[0]);
        self.show_journal();
        if !moved {
            println!("  {}", self.paint.red("The traffic did not move in time."));
        }
        println!();
        self.record(what, moved, &acted);
    }

    /// Lines with the same part stand beside each other in the summary.
    fn record(&mut self, what: &'static str, moved: bool, acted: &[Moment]) {
        let mut part = "";
        self.rows.push(Row {
            what,
            moved,
            columns: Vec::new(),
        });
        for (line, acted) in self.lines.iter().zip(acted) {
            if line.part != part {
                part = line.part;
                self.rows.push(Row {
                    what: part,
                    moved: true,
                    columns: Vec::new(),
                });
            }
            let (outage, lost) = (line.watched.outage(*acted), line.watched.lost(*acted));
            if let Some(row) = self.rows.last_mut() {
                row.columns.push((outage, lost));
            }
        }
    }

    /// Draws the timelines until each line has used its provider for a moment. False on timeout.
    fn watch(&self, acted: &[Moment]) -> bool {
        let begun = Instant::now();
        let there = || {
            let mut lines = self.lines.iter();
            lines.all(|line| line.watched.goes_by(line.provider))
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
                print!("\x1b[{}A", self.lines.len()); // up, over all timelines
            }
            sleep(Duration::from_millis(40));
        }
    }

    /// The number of characters in a timeline.
    fn cells(&self) -> usize {
        let label = self.lines.iter().map(|line| line.label.len()).max();
        WIDTH - 1 - label.unwrap_or_default()
    }

    fn draw(&self, acted: &[Moment]) {
        let count = self.cells();
        for (line, acted) in self.lines.iter().zip(acted) {
            let watched = &line.watched;
            let (from, to) = (acted.saturating_sub(MARGIN), watched.known());
            let cells = watched.timeline(from, to, count);
            let cells: String = cells.iter().map(|cell| self.paint.cell(*cell)).collect();
            let (outage, span) = (ms(watched.outage(*acted)), ms(to.saturating_sub(from)));
            let end = if self.paint.terminal { "\x1b[K" } else { "" };
            let (label, width) = (&line.label, WIDTH - 1 - count);
            println!("  {label:<width$} {cells} {span:>5} ms, out {outage} ms{end}");
        }
        let _ = std::io::stdout().flush();
    }

    /// Prints the scale of the timeline, and the position of the event.
    fn show_scale(&self, acted: Moment) {
        let from = acted.saturating_sub(MARGIN);
        let span = self.lines[0].watched.known().saturating_sub(from);
        let character = span / u32::try_from(self.cells()).expect("it is small");
        let before = MARGIN.as_millis() / ms(character).max(1);
        let scale = format!(
            "one character: {} ms; this happened after the first {before}",
            ms(character)
        );
        println!("  {}", self.paint.dim(&scale));
    }

    /// Prints new entries of the daemon's journal.
    fn show_journal(&mut self) {
        let mut came_back_silent = false;
        for line in self.new_entries() {
            println!("  {}", self.paint.dim(&line));
            came_back_silent |= line.contains("probing → offline");
        }
        if came_back_silent {
            println!("  {}", self.paint.dim(WHY_SILENT));
        }
    }

    /// Entries of the journal that were not asked for yet, without their time, which is first.
    pub(crate) fn new_entries(&mut self) -> Vec<String> {
        let journal = self.daemon.must(&["log"]);
        let new = journal.lines().skip(self.journal_lines);
        self.journal_lines = journal.lines().count();
        let text = |line: &str| {
            let text = line.split_once(' ').map_or(line, |(_, rest)| rest);
            text.trim_start().to_owned()
        };
        new.map(text).collect()
    }

    pub(crate) fn sum_up(&self, begun: Instant) -> ExitCode {
        println!(
            "{}",
            self.paint
                .bold("What the LAN noticed: time without answers, datagrams lost")
        );
        println!("  {:<28} {:>19} {:>19}", "", "IPv4", "IPv6");
        for row in &self.rows {
            let mut line = format!("  {:<28}", row.what);
            for (outage, lost) in &row.columns {
                let lost = lost.map_or_else(String::new, |lost| format!("{lost:>4} lost"));
                line += &format!(" {:>6} ms {lost:<9}", ms(*outage));
            }
            let verdict = if row.moved { "" } else { "  did not move" };
            println!("{}{}", line.trim_end(), self.paint.red(verdict));
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
