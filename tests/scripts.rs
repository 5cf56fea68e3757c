//! Timed scripts: lines fail and recover on a virtual clock, and the engine's decisions are checked.
// Helpers of tests are tests: they fail by panicking, and their casts are safe.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod sim;

#[path = "scripts/counts.rs"]
mod counts;
#[path = "scripts/leader.rs"]
mod leader;
#[path = "scripts/pin.rs"]
mod pin;
#[path = "scripts/quality.rs"]
mod quality;
#[path = "scripts/reload.rs"]
mod reload;
#[path = "scripts/rounds.rs"]
mod rounds;
#[path = "scripts/seed.rs"]
mod seed;
#[path = "scripts/usable.rs"]
mod usable;
#[path = "scripts/verdict.rs"]
mod verdict;

use failover::config::Config;
use sim::{BRISK, World, config, ms};

/// The target of the single check of most scripts.
const TARGET: &str = "203.0.113.8";

/// isp1 and isp2, each with one check ten times a second.
fn two() -> Config {
    config(&["isp1", "isp2"], &[TARGET], BRISK)
}

/// The same, a second later: both are online, isp1 leads.
fn two_running() -> World {
    running(&two())
}

/// Any configuration, a second later.
fn running(config: &Config) -> World {
    let mut world = World::new(config);
    world.run(ms(1000));
    assert_eq!(world.leader(), "isp1");
    world
}
