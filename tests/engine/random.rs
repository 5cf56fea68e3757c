//! Random configurations and events.

use failover::config::{Config, LastResort, Preempt, Quality, Quorum, Timing};
use failover::types::{Duration, Family, Fault, Slot, Waiting};
use proptest::prelude::*;

use crate::sim::{BRISK, config, ms, ping, provider};

/// Number of possible providers and slots.
pub(crate) const POOL: u8 = 6;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Time passes, and everything happens when it is due.
    Advance(Duration),
    /// Time passes while the daemon sleeps.
    Oversleep(Duration),
    /// A line changes how it treats probes.
    Line(usize, Line),
    Uplink(usize, Option<Waiting>, bool),
    /// An unexpected answer to an earlier round, so many before the last one of the path.
    Reply {
        path: usize,
        back: u32,
        check: u8,
        rtt: Duration,
    },
    Failed {
        path: usize,
        back: u32,
        check: u8,
        fault: Fault,
    },
    Pin(Option<u8>),
    Disable(u8, bool),
    Configure(Setup),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    Answers(u64),
    Dead,
    /// Loses one in so many.
    Lossy(u32),
    Refuses(Fault),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let path = 0..usize::from(POOL) * 2;
    let back = prop_oneof![8 => 0..5_u32, 2 => 0..80_u32, 1 => any::<u32>()];
    let check = prop_oneof![8 => 0..3_u8, 1 => any::<u8>()];
    let slot = prop_oneof![8 => 0..POOL, 1 => any::<u8>()];
    let reply = (path.clone(), back.clone(), check.clone(), rtt());
    let failed = (path.clone(), back, check, fault());
    prop_oneof![
        12 => (0..1500_u64).prop_map(|t| Step::Advance(ms(t))),
        1 => (0..20_000_u64).prop_map(|t| Step::Advance(ms(t))),
        2 => (0..5000_u64).prop_map(|t| Step::Oversleep(ms(t))),
        1 => (0..10_000_000_u64).prop_map(|t| Step::Oversleep(ms(t))),
        6 => (path.clone(), line()).prop_map(|(path, line)| Step::Line(path, line)),
        6 => (path, waiting(), any::<bool>()).prop_map(|(path, waiting, routable)| {
            Step::Uplink(path, waiting, routable || waiting.is_none())
        }),
        4 => reply.prop_map(|(path, back, check, rtt)| Step::Reply { path, back, check, rtt }),
        2 => failed.prop_map(|(path, back, check, fault)| Step::Failed { path, back, check, fault }),
        2 => prop::option::of(slot.clone()).prop_map(Step::Pin),
        1 => Just(Step::Pin(None)),
        2 => (slot, any::<bool>()).prop_map(|(slot, disabled)| Step::Disable(slot, disabled)),
        2 => setup().prop_map(Step::Configure),
    ]
}

fn rtt() -> impl Strategy<Value = Duration> {
    prop_oneof![0..400_u64, 0..100_000_u64].prop_map(ms)
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::NetworkUnreachable),
        any::<u8>().prop_map(Fault::Exit)
    ]
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        4 => (0..500_u64).prop_map(Line::Answers),
        3 => Just(Line::Dead),
        2 => (2..8_u32).prop_map(Line::Lossy),
        1 => fault().prop_map(Line::Refuses),
    ]
}

fn waiting() -> impl Strategy<Value = Option<Waiting>> {
    prop_oneof![
        4 => Just(None),
        2 => Just(Some(Waiting::NoCarrier)),
        1 => Just(Some(Waiting::NoDevice)),
        1 => Just(Some(Waiting::DeviceTaken(Slot(0)))),
    ]
}

fn timing() -> impl Strategy<Value = Timing> {
    let pace = prop_oneof![
        4 => Just((100, 300)),
        2 => Just((1000, 1000)),
        1 => Just((20, 1260)),
        1 => Just((250, 90)),
        1 => Just((30_000, 3000)),
    ];
    let quorum = prop_oneof![
        3 => Just(Quorum::AtLeast(1)),
        1 => Just(Quorum::AtLeast(2)),
        1 => Just(Quorum::All),
    ];
    let window = prop_oneof![Just(10_u8), Just(50), Just(64)];
    let parts = (pace, 1..5_u8, 1..6_u8, window, 3..70_u8, quorum);
    parts.prop_map(
        |((interval, timeout), down, up, window, max_failed, quorum)| Timing {
            interval: ms(interval),
            timeout: ms(timeout),
            down,
            up,
            window,
            max_failed: max_failed.min(window),
            quorum,
            quality: Quality::NONE,
        },
    )
}

/// A compact description of a configuration: the real one is too large to be passed by value.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// best first: the number in the pool, and its settings
    providers: Vec<(u8, Kind)>,
    /// whether it is an IPv6 check, and its interval
    checks: Vec<(bool, Option<u64>)>,
    preempt: Preempt,
    last_resort: LastResort,
    /// Often equal, so that a reconfiguration leaves some providers unchanged.
    alike: bool,
    /// Gives the slot of one to another.
    shift: u8,
}

#[derive(Clone, Debug)]
struct Kind {
    timing: Timing,
    checks: u32,
    enabled: bool,
    moved: bool,
}

impl Setup {
    pub(crate) fn config(&self) -> Box<Config> {
        let mut config = Box::new(config(&[], &["203.0.113.1"], BRISK));
        config.globals.preempt = self.preempt;
        config.globals.last_resort = self.last_resort;
        for (n, (v6, interval)) in self.checks.iter().enumerate() {
            let target = if *v6 {
                format!("2001:db8::{n}")
            } else {
                format!("198.51.100.{n}")
            };
            let mut check = ping(&target);
            check.interval = interval.map(ms);
            config.checks.push(check).unwrap();
        }
        for (number, kind) in &self.providers {
            let slot = (number + self.shift) % POOL;
            let timing = if self.alike { BRISK } else { kind.timing };
            let mut provider = provider(&format!("isp{number}"), slot, timing);
            provider.enabled = kind.enabled;
            if !self.alike {
                provider.checks = kind.checks;
            }
            if kind.moved {
                provider.device.v4 = "eth9".try_into().unwrap();
            }
            config.providers.push(provider).unwrap();
        }
        config
    }
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let (enabled, moved) = (prop::bool::weighted(0.9), prop::bool::weighted(0.1));
    let kind = (timing(), any::<u32>(), enabled, moved);
    let kind = kind.prop_map(|(timing, checks, enabled, moved)| Kind {
        timing,
        checks,
        enabled,
        moved,
    });
    let kinds = prop::collection::vec(kind, usize::from(POOL));
    let order = Just((0..POOL).collect::<Vec<u8>>()).prop_shuffle();
    let providers = (order, kinds, 1..=usize::from(POOL)).prop_map(|(order, kinds, count)| {
        let all = order.into_iter().zip(kinds);
        all.take(count).collect::<Vec<_>>()
    });
    let check = (any::<bool>(), prop::option::weighted(0.1, 1..3000_u64));
    let preempt = prop_oneof![
        2 => Just(Preempt::Yes),
        1 => Just(Preempt::No),
        2 => (0..5000_u64).prop_map(|wait| Preempt::After(ms(wait))),
    ];
    let last_resort = prop_oneof![
        Just(LastResort::First),
        Just(LastResort::Keep),
        Just(LastResort::Unreachable),
    ];
    let parts = (
        providers,
        prop::collection::vec(check, 0..5),
        preempt,
        last_resort,
        prop::bool::weighted(0.7),
        prop_oneof![4 => Just(0), 1 => 0..POOL],
    );
    parts.prop_map(
        |(providers, checks, preempt, last_resort, alike, shift)| Setup {
            providers,
            checks,
            preempt,
            last_resort,
            alike,
            shift,
        },
    )
}

/// The path with a number.
pub(crate) fn path(number: usize) -> failover::types::PathId {
    let slot = Slot(u8::try_from(number / 2).unwrap());
    failover::types::PathId {
        slot,
        family: Family::ALL[number % 2],
    }
}
