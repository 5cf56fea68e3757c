//! A simulation on a virtual clock: lines that answer, lose or refuse probes as the test says, and a driver that uses the
//! engine as the daemon does.
#![allow(dead_code)] // each test crate uses a part of it

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use failover::config::{Config, Provider, Timing};
use failover::engine::path::{Path, State};
use failover::engine::{ACTIONS_MAX, Action, Actions, Engine, Event, Plan};
use failover::types::{Duration, Family, Fault, Instant, PathId, PerFamily, Round, Slot, Waiting};

#[path = "../../src/config/fixture.rs"]
mod fixture;
use fixture::TIMING;
pub(crate) use fixture::ping;

/// A duration in milliseconds.
pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An instant, in milliseconds since the start of the simulation.
pub(crate) fn at(ms: i64) -> Instant {
    Instant::from_millis(ms)
}

/// The timing of profile `fast`, with three good rounds to come online.
pub(crate) const BRISK: Timing = Timing {
    interval: Duration::from_millis(100),
    timeout: Duration::from_millis(300),
    ..TIMING
};

/// A configuration with providers in the order of rank, each in the slot of its position, all with checks of all targets.
pub(crate) fn config(providers: &[&str], targets: &[&str], timing: Timing) -> Config {
    let mut config = Config::default();
    for target in targets {
        config.checks.push(ping(target)).unwrap();
    }
    for (place, id) in (0..).zip(providers) {
        config.providers.push(provider(id, place, timing)).unwrap();
    }
    config
}

/// A provider with all checks.
pub(crate) fn provider(id: &str, place: u8, timing: Timing) -> Provider {
    Provider {
        checks: u32::MAX,
        timing,
        ..fixture::provider(id, place, id)
    }
}

/// A probe in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Probe {
    pub(crate) at: Instant,
    pub(crate) path: PathId,
    pub(crate) round: Round,
    pub(crate) check: u8,
}

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Answered(Duration),
    Lost,
    Refused(Fault),
}

type Line = Rc<dyn Fn(Probe) -> Fate>;

pub(crate) struct World {
    pub(crate) engine: Box<Engine>,
    pub(crate) now: Instant,
    /// Every probe that was sent.
    pub(crate) sent: Vec<Probe>,
    /// The plans for the kernel.
    pub(crate) kernel: PerFamily<Plan>,
    /// The leaders in IPv4, and since when.
    pub(crate) leaders: Vec<(Instant, Option<String>)>,
    /// Every action, in order.
    pub(crate) actions: Vec<(Instant, Action)>,
    uplinks: HashMap<PathId, (Option<Waiting>, bool)>,
    lines: HashMap<PathId, Line>,
    flying: BTreeMap<(Instant, usize), Event>,
    flown: usize,
    /// Number of wakeups by the clock.
    pub(crate) ticks: usize,
}

impl World {
    /// A simulation with all uplinks up; every line answers in 20 ms.
    pub(crate) fn new(config: &Config) -> World {
        let mut world = World::before_start();
        world.configure(config);
        world.tell_uplinks();
        world
    }

    /// A simulation without a configuration.
    pub(crate) fn before_start() -> World {
        World {
            engine: Box::new(Engine::new()),
            now: at(1000),
            sent: Vec::new(),
            kernel: PerFamily::default(),
            leaders: Vec::new(),
            actions: Vec::new(),
            uplinks: HashMap::new(),
            lines: HashMap::new(),
            flying: BTreeMap::new(),
            flown: 0,
            ticks: 0,
        }
    }

    pub(crate) fn configure(&mut self, config: &Config) {
        let actions = self.engine.configure(&mut config.clone(), self.now);
        self.carry_out(&actions);
    }

    /// Reports all uplinks, as the daemon does after each configuration.
    pub(crate) fn tell_uplinks(&mut self) {
        let paths: Vec<PathId> = self.engine.paths().map(|path| path.id).collect();
        for path in paths {
            let (waiting, routable) = *self.uplinks.entry(path).or_insert((None, true));
            self.tell(Event::Uplink {
                path,
                waiting,
                routable,
            });
        }
    }

    pub(crate) fn reload(&mut self, config: &Config) {
        self.configure(config);
        self.tell_uplinks();
    }

    pub(crate) fn tell(&mut self, event: Event) -> Actions {
        self.ticks += usize::from(event == Event::Tick);
        let actions = self.engine.handle(event, self.now);
        self.carry_out(&actions);
        actions
    }

    /// Sets the state of the uplinks of a provider, in both families.
    pub(crate) fn uplink(&mut self, id: &str, waiting: Option<Waiting>, routable: bool) {
        for family in Family::ALL {
            let path = self.id(id, family);
            self.uplinks.insert(path, (waiting, routable));
            if self.engine.path(path).is_some() {
                self.tell(Event::Uplink {
                    path,
                    waiting,
                    routable,
                });
            }
        }
    }

    pub(crate) fn pull_cable(&mut self, id: &str) {
        self.uplink(id, Some(Waiting::NoCarrier), true);
    }

    /// The same before the uplinks are reported.
    pub(crate) fn pull_cable_silently(&mut self, id: &str) {
        for family in Family::ALL {
            let state = (Some(Waiting::NoCarrier), true);
            self.uplinks.insert(self.id(id, family), state);
        }
    }

    pub(crate) fn plug_in(&mut self, id: &str) {
        self.uplink(id, None, true);
    }

    /// Sets how a provider's line treats probes, in both families.
    pub(crate) fn line(&mut self, id: &str, line: impl Fn(Probe) -> Fate + 'static) {
        let line: Line = Rc::new(line);
        for family in Family::ALL {
            self.lines.insert(self.id(id, family), line.clone());
        }
    }

    pub(crate) fn kill(&mut self, id: &str) {
        self.line(id, |_| Fate::Lost);
    }

    pub(crate) fn heal(&mut self, id: &str) {
        self.line(id, |_| Fate::Answered(ms(20)));
    }

    pub(crate) fn pin(&mut self, id: Option<&str>) {
        let slot = id.map(|id| self.id(id, Family::V4).slot);
        self.tell(Event::Pin(slot));
    }

    /// An answer was seen at its device (`eth0` for all), which did not reach us.
    pub(crate) fn answer_is_dropped(&mut self, id: &str) {
        let (path, device) = (self.id(id, Family::V4), "eth0".try_into().unwrap());
        let actions = self.engine.answers_dropped(path, &device, self.now);
        self.carry_out(&actions);
    }

    pub(crate) fn disable(&mut self, id: &str, disabled: bool) {
        let slot = self.id(id, Family::V4).slot;
        self.tell(Event::Disable(slot, disabled));
    }

    /// Advances the time; everything happens when it is due.
    pub(crate) fn run(&mut self, time: Duration) {
        self.run_to(self.now + time);
    }

    pub(crate) fn run_to(&mut self, end: Instant) {
        let mut at_once = 0;
        loop {
            let due = self.engine.next_deadline().map(|due| due.max(self.now));
            let flying = self.flying.keys().next().map(|(at, _)| self.now.max(*at));
            let Some(next) = due.into_iter().chain(flying).min().filter(|at| *at <= end) else {
                break;
            };
            at_once = if next == self.now { at_once + 1 } else { 0 };
            assert!(at_once < 1000, "the engine is busy at {next}");
            self.now = next;
            // As in the daemon: received answers are processed before the clock is read.
            match self.flying.pop_first() {
                Some(((at, _), event)) if at <= next => self.tell(event),
                Some((key, event)) => {
                    self.flying.insert(key, event);
                    self.tell(Event::Tick)
                }
                None => self.tell(Event::Tick),
            };
        }
        self.now = end;
    }

    /// Runs until another provider leads in IPv4; returns the time of the swap.
    pub(crate) fn run_to_swap(&mut self, limit: Duration) -> Option<Instant> {
        let (leader, end) = (self.leader(), self.now + limit);
        while self.now < end {
            let next = self.now + ms(1);
            self.run_to(next);
            if self.leader() != leader {
                return self.leaders.last().map(|(at, _)| *at);
            }
        }
        None
    }

    /// The leader in IPv4 by the last plan; empty if there is none.
    pub(crate) fn leader(&self) -> String {
        self.leader_in(Family::V4)
    }

    pub(crate) fn leader_in(&self, family: Family) -> String {
        let first = self.kernel[family].order.first();
        first.map(|hop| self.name(hop.slot)).unwrap_or_default()
    }

    /// The providers in the kernel's order, IPv4.
    pub(crate) fn order(&self) -> Vec<String> {
        let order = self.kernel.v4.order.iter();
        order.map(|hop| self.name(hop.slot)).collect()
    }

    pub(crate) fn path(&self, id: &str) -> &Path {
        self.path_in(id, Family::V4)
    }

    pub(crate) fn path_in(&self, id: &str, family: Family) -> &Path {
        self.engine.path(self.id(id, family)).unwrap()
    }

    pub(crate) fn state(&self, id: &str) -> State {
        self.path(id).state()
    }

    /// The times of a provider's rounds in IPv4.
    pub(crate) fn rounds_of(&self, id: &str) -> Vec<Instant> {
        let path = self.id(id, Family::V4);
        let mut rounds: Vec<_> = self.sent.iter().filter(|p| p.path == path).collect();
        rounds.dedup_by_key(|p| p.round);
        rounds.iter().map(|p| p.at).collect()
    }

    /// The journal's entries of a provider in IPv4 and of both families, as `what: cause`.
    pub(crate) fn journal_of(&self, id: &str) -> Vec<String> {
        let entries = self.engine.journal().entries();
        entries
            .filter(|e| {
                e.subject.provider.as_deref() == Some(id) && e.subject.family != Some(Family::V6)
            })
            .map(|e| format!("{}: {}", e.kind, e.cause))
            .collect()
    }

    pub(crate) fn last_word_of(&self, id: &str) -> String {
        self.journal_of(id).pop().unwrap_or_default()
    }

    pub(crate) fn id(&self, id: &str, family: Family) -> PathId {
        let provider = self.engine.config().provider(id);
        let slot = provider.expect("a provider of the configuration").slot;
        PathId { slot, family }
    }

    fn name(&self, slot: Slot) -> String {
        let provider = self.engine.config().at(slot);
        provider.map_or("?".to_owned(), |p| p.id.to_string())
    }

    fn carry_out(&mut self, actions: &Actions) {
        assert!(actions.len() <= ACTIONS_MAX);
        for action in actions {
            self.actions.push((self.now, *action));
            match *action {
                Action::Probe {
                    path,
                    round,
                    checks,
                    ..
                } => {
                    for check in (0..8).filter(|check| checks.0 & (1 << check) != 0) {
                        self.send(Probe {
                            at: self.now,
                            path,
                            round,
                            check,
                        });
                    }
                }
                Action::Routes(family) => {
                    self.kernel[family] = self.engine.plan(family).clone();
                    let leader = Some(self.leader()).filter(|id| !id.is_empty());
                    if self.leaders.last().is_none_or(|(_, last)| *last != leader) {
                        self.leaders.push((self.now, leader));
                    }
                }
                Action::Save => {}
            }
        }
        for family in Family::ALL {
            assert_eq!(
                &self.kernel[family],
                self.engine.plan(family),
                "a plan without a journal entry"
            );
        }
    }

    fn send(&mut self, probe: Probe) {
        self.sent.push(probe);
        let Probe {
            path, round, check, ..
        } = probe;
        let fate = match self.lines.get(&path) {
            Some(line) => line(probe),
            None => Fate::Answered(ms(20)),
        };
        match fate {
            Fate::Answered(rtt) => self.fly(
                rtt,
                Event::Reply {
                    path,
                    check,
                    round,
                    rtt,
                },
            ),
            Fate::Lost => {}
            Fate::Refused(fault) => self.fly(
                Duration::ZERO,
                Event::Failed {
                    path,
                    check,
                    round,
                    fault,
                },
            ),
        }
    }

    fn fly(&mut self, time: Duration, event: Event) {
        self.flown += 1;
        self.flying.insert((self.now + time, self.flown), event);
    }
}
