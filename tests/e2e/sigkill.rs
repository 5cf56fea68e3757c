//! The daemon is killed at any instant, repeatedly, while it swaps: traffic is not interrupted, no foreign route is
//! deleted, no route is left behind.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::inspect::{Monitor, Random, lookups, no_hole, ours};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, LIFETIME, Lab, Settings, wait_until};
use super::{SOON, leads_table, online_with};

const DEATHS: usize = 100;

/// Pins and unpins, and lets upstreams fail and return, until `stop`.
fn disturb(lab: &Lab, sticky_file: &Path, stop: &AtomicBool) {
    let mut random = Random(0x5eed);
    let mut dead = None;
    let end = Instant::now() + LIFETIME;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1 + random.below(12)));
        let choice = ["", "isp1", "isp2"][usize::try_from(random.below(3)).unwrap()];
        fs::write(sticky_file, choice).unwrap();
        if random.below(40) == 0 {
            if let Some(number) = dead.take() {
                lab.upstream_returns(number);
            } else {
                let number = 1 + usize::try_from(random.below(2)).unwrap();
                lab.upstream_dies(number);
                dead = Some(number);
            }
        }
    }
    if let Some(number) = dead {
        lab.upstream_returns(number);
    }
    fs::write(sticky_file, "").unwrap();
}

/// Some runs are killed before the first dump; the others when they have set some routes, in the middle of a swap or not.
fn kill_repeatedly(daemon: &mut Daemon, monitor: &Monitor) {
    let mut random = Random(0xdead);
    for death in 0..DEATHS {
        if death != 0 {
            daemon.launch_unasked();
        }
        let (routes, more) = match death % 4 {
            0 => (0, random.below(10_000)),
            1 => (0, random.below(40_000)),
            _ => (2 + random.below(12), random.below(3_000)),
        };
        let (begin, routes) = (monitor.length(), usize::try_from(routes).unwrap());
        let swaps = || monitor.set_after(begin) >= routes;
        assert!(wait_until(SOON, swaps), "it swaps: {}", daemon.log());
        std::thread::sleep(Duration::from_micros(more));
        assert!(daemon.is_running(), "{}", daemon.log());
        daemon.kill9();
    }
}

fn survives(settings: impl Fn(&Lab) -> Settings, table: u32) {
    let lab = Lab::new();
    let mut daemon = online_with(&lab, &settings(&lab));
    let before = ours(&lab);
    let monitor = Monitor::start(&lab, &daemon);
    let lookups = lookups(&lab);
    let stop = AtomicBool::new(false);
    let sticky_file = daemon.sticky_file();
    std::thread::scope(|scope| {
        scope.spawn(|| disturb(&lab, &sticky_file, &stop));
        let killed = panic::catch_unwind(AssertUnwindSafe(|| {
            kill_repeatedly(&mut daemon, &monitor);
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(failure) = killed {
            panic::resume_unwind(failure);
        }
    });
    daemon.launch();
    assert!(leads_table(&lab, 1, table), "{}", daemon.log());
    daemon.wait_for_all("online");
    assert_eq!(ours(&lab), before);
    no_hole(lookups, &daemon);
    // Every run has adopted the routes of the one before: replaced in place, or unchanged.
    assert_eq!(monitor.deleted(), Vec::<String>::new(), "{}", daemon.log());

    assert!(daemon.terminate().success());
    assert_eq!(ours(&lab), 0, "{}", daemon.log());
    let mut left: Vec<_> = fs::read_dir(daemon.file("state")).unwrap().collect();
    left.retain(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name != "lock" && name != "state"
    });
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_hundred_times_with_a_table_of_our_own() {
    in_lab(|| survives(Settings::fast, super::TABLE));
}

#[test]
fn a_hundred_times_in_table_main() {
    in_lab(|| survives(|lab| Settings::fast(lab).global("table", "main"), 254));
}

/// A new run adopts at once: it sets no route that exists already.
#[test]
fn a_new_run_changes_no_correct_route() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online_with(&lab, &Settings::fast(&lab));
        let monitor = Monitor::start(&lab, &daemon);
        for _ in 0..5 {
            daemon.kill9();
            daemon.launch();
            daemon.wait_for_all("online");
        }
        assert_eq!((monitor.set(), monitor.deleted().len()), (0, 0));
        for family in Family::ALL {
            let two = || lab.router.defaults(family, super::TABLE).len() == 2;
            assert!(wait_until(SOON, two));
        }
    });
}

/// Killed while everything moves to other tables, metrics and preferences: the next run finds a mixture.
#[test]
fn in_the_middle_of_reloads() {
    in_lab(|| {
        let lab = Lab::new();
        let base = Settings::fast(&lab);
        let variants = [
            base.clone(),
            base.clone().global("table", "main"),
            base.clone().global("start_metric", "300"),
            base.clone()
                .global("start_metric", "50")
                .global("rule_pref", "9000"),
            base.clone()
                .global("table", "200")
                .global("rule_pref", "20000"),
            base.clone()
                .provider("isp1", "rt_table", "none")
                .provider("isp2", "rt_table", "777"),
            base.clone()
                .provider("isp1", "rank", "2")
                .provider("isp2", "rank", "1"),
            base.clone().provider("isp2", "mark", "0x200/0xff00"),
        ];
        let mut daemon = online_with(&lab, &base);
        let before = ours(&lab);
        let (lookups, mut random) = (lookups(&lab), Random(0xfeed));
        for _ in 0..60 {
            let choice = usize::try_from(random.below(variants.len() as u64)).unwrap();
            daemon.configure(&variants[choice]);
            daemon.signal(Signal::SIGHUP);
            std::thread::sleep(Duration::from_micros(random.below(6000)));
            daemon.kill9();
            let choice = usize::try_from(random.below(variants.len() as u64)).unwrap();
            daemon.configure(&variants[choice]);
            daemon.launch_unasked();
            std::thread::sleep(Duration::from_micros(random.below(30_000)));
            daemon.kill9();
            daemon.launch();
        }
        daemon.configure(&base);
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        assert!(leads_table(&lab, 1, super::TABLE), "{}", daemon.log());
        assert_eq!(ours(&lab), before, "{}", daemon.log());
        for family in Family::ALL {
            for table in [200, 777, 254] {
                let mut left = lab.router.routes(family, table);
                left.retain(|route| route.protocol == super::OURS);
                assert!(left.is_empty(), "{left:?}\n{}", daemon.log());
            }
        }
        no_hole(lookups, &daemon);
    });
}
