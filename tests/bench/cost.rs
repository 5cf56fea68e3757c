//! Processor time per probe and memory of the daemon, compared with minimal programs.

use std::process::{Child, Stdio};
use std::time::Duration;

use nix::unistd::Pid;

use super::lab::calls::{self, Calls};
use super::lab::meter::{self, Memory};
use super::lab::namespace::mortal;
use super::lab::{Daemon, Lab, Namespace, Settings};
use super::median;
use super::minimal::{self, Schedule};

/// Ten rounds a second.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// Warm-up before measuring.
const WARM_UP: Duration = Duration::from_millis(400);

/// Length and number of measurements.
#[derive(Clone, Copy)]
pub struct Effort {
    /// length of one measurement
    pub time: Duration,
    /// measurements per program; the programs take turns
    pub turns: usize,
}

/// The result of one program.
#[derive(Clone, Debug)]
pub struct Cost {
    /// processor time per probe, for each turn
    pub a_probe: Vec<Duration>,
    /// memory at the end of the last turn
    pub memory: Memory,
}

impl Cost {
    const fn new() -> Cost {
        let nothing = Memory {
            resident: 0,
            anonymous: 0,
        };
        Cost {
            a_probe: Vec::new(),
            memory: nothing,
        }
    }

    fn measure(&mut self, router: &Namespace, pid: Pid, time: Duration) {
        self.a_probe.push(processor_time(router, pid, time));
        self.memory = meter::memory(pid);
    }

    /// The median of its turns.
    pub fn typical(&self) -> Duration {
        median(&self.a_probe)
    }
}

/// The results of all programs in the same lab.
#[derive(Clone, Debug)]
pub struct Row {
    /// number of providers in the lab
    pub providers: usize,
    /// `failover run`
    pub daemon: Cost,
    /// the [`minimal`] program that sends one probe after the other, spread over the interval
    pub spread: Cost,
    /// the [`minimal`] program that sends all probes at once, with the fewest wakeups
    pub burst: Cost,
    /// the daemon's system calls per second; or why they were not counted
    pub calls: Result<Calls, String>,
}

impl Row {
    /// The daemon's processor time divided by another program's: the median ratio of consecutive turns.
    pub fn ratio_to(&self, other: &Cost) -> f64 {
        let turns = self.daemon.a_probe.iter().zip(&other.a_probe);
        let mut ratios: Vec<f64> = turns
            .map(|(ours, least)| ours.as_secs_f64() / least.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

/// Measures all programs in a lab with so many providers, in turns.
pub fn measure(providers: usize, effort: Effort) -> Row {
    let lab = Lab::builder().providers(providers).build();
    // The minimal programs need routes, too: the daemon leaves its own, so all programs use the same rules and tables.
    let settings = Settings::fast(&lab)
        .without_section("check", "google6")
        .global("up", "1")
        .global("on_stop", "keep");
    let mut daemon = Daemon::prepare(&lab.router, &settings);
    let mut calls = Err("not asked for".to_owned());
    let [mut ours, mut spread, mut burst] = [const { Cost::new() }; 3];
    for turn in 0..effort.turns {
        daemon.launch();
        daemon.wait_for_all("online");
        ours.measure(&lab.router, daemon.pid(), effort.time);
        if turn + 1 == effort.turns {
            calls = calls::count(&daemon, || std::thread::sleep(Duration::from_secs(1)));
        }
        daemon.terminate();
        for (schedule, cost) in [
            (Schedule::Spread, &mut spread),
            (Schedule::Burst, &mut burst),
        ] {
            let program = Minimal::start(&lab, schedule);
            cost.measure(&lab.router, program.pid(), effort.time);
        }
    }
    Row {
        providers,
        daemon: ours,
        spread,
        burst,
        calls,
    }
}

/// Processor time per probe.
fn processor_time(router: &Namespace, pid: Pid, time: Duration) -> Duration {
    std::thread::sleep(WARM_UP);
    let (pings, used) = (router.pings(), meter::processor_time(pid));
    std::thread::sleep(time);
    let (pings_after, used_after) = (router.pings(), meter::processor_time(pid));
    let (sent, answered) = (
        pings_after.sent - pings.sent,
        pings_after.answered - pings.answered,
    );
    let difference = sent.abs_diff(answered);
    assert!(
        sent > 0 && difference * 20 <= sent,
        "{sent} probes, {answered} answers"
    );
    (used_after - used) / u32::try_from(sent).expect("the time is short")
}

/// The minimal program, in another process: this program, started with other arguments.
struct Minimal(Child);

impl Minimal {
    fn start(lab: &Lab, schedule: Schedule) -> Minimal {
        let this = std::env::current_exe().expect("we run");
        let mut command = mortal(this.to_str().expect("the path of the build is text"));
        command
            .arg(minimal::ARGUMENT)
            .arg(schedule.to_string())
            .args(lab.providers.iter().map(|provider| &provider.device))
            .stdin(Stdio::null());
        Minimal(
            lab.router
                .spawn(command)
                .expect("package util-linux has `setpriv`"),
        )
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("process ids are small"))
    }
}

impl Drop for Minimal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
