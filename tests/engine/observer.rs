//! Two engines with the same events, and an observer that compares them with each other, with the model, and with the
//! rules after each event.

use std::collections::{BTreeMap, HashMap};

use failover::config::Config;
use failover::engine::path::State;
use failover::engine::rounds::Settled;
use failover::engine::{ACTIONS_MAX, Action, Actions, Engine, Event, Lead};
use failover::limits::JOURNAL_MAX;
use failover::types::{
    Duration, Duty, Family, Instant, Kind, PathId, PerFamily, Round, Slot, Verdict, Waiting,
};

use crate::model::Model;
use crate::order;
use crate::random::{Line, Setup, Step, path};
use crate::sim::at;

pub(crate) struct Observer {
    engine: Box<Engine>,
    twin: Box<Engine>,
    config: Box<Config>,
    now: Instant,
    models: HashMap<PathId, Model>,
    uplinks: HashMap<PathId, (Option<Waiting>, bool)>,
    lines: HashMap<PathId, Line>,
    flying: BTreeMap<(Instant, usize), Event>,
    flown: usize,
    /// The last round of each path: its number, when it was sent, and its interval then.
    last: HashMap<PathId, (u32, Instant, Duration)>,
    /// Rounds sent since the counter was reset.
    counted: HashMap<PathId, u64>,
    online_since: HashMap<PathId, Instant>,
    /// Of each path, whether it was out, since when that is known, and for how long it was out before.
    outages: HashMap<PathId, (bool, Instant, Duration)>,
    /// Settled probes of each check.
    settled_probes: HashMap<(PathId, u8), Settled>,
    states: HashMap<PathId, (State, Verdict, Instant)>,
    /// Whether a path was waiting or frozen since its uplink was first up. Of those that were configured anew, it is not
    /// known.
    comes_back: HashMap<PathId, bool>,
    pinned: Option<Slot>,
    leaders: PerFamily<Option<Slot>>,
    leads: PerFamily<Lead>,
    /// The state of all uplinks was passed to the engines.
    settled: bool,
}

impl Observer {
    pub(crate) fn new(setup: &Setup) -> Observer {
        let mut observer = Observer {
            engine: Box::new(Engine::new()),
            twin: Box::new(Engine::new()),
            config: Box::default(),
            now: at(0),
            models: HashMap::new(),
            uplinks: HashMap::new(),
            lines: HashMap::new(),
            flying: BTreeMap::new(),
            flown: 0,
            last: HashMap::new(),
            counted: HashMap::new(),
            online_since: HashMap::new(),
            outages: HashMap::new(),
            settled_probes: HashMap::new(),
            states: HashMap::new(),
            comes_back: HashMap::new(),
            pinned: None,
            leaders: PerFamily::default(),
            leads: PerFamily {
                v4: Lead::Unknown,
                v6: Lead::Unknown,
            },
            settled: false,
        };
        observer.configure(setup.config());
        observer
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Advance(time) => self.advance(*time),
            Step::Oversleep(time) => self.now += *time,
            Step::Line(number, line) => {
                self.lines.insert(path(*number), *line);
            }
            Step::Uplink(number, waiting, routable) => {
                let path = path(*number);
                self.uplinks.insert(path, (*waiting, *routable));
                if self.engine.path(path).is_some() {
                    self.tell_uplink(path);
                    self.compare();
                }
            }
            Step::Reply {
                path: number,
                back,
                check,
                rtt,
            } => {
                let (path, check, rtt) = (path(*number), *check, *rtt);
                let round = self.round_before(path, *back);
                self.tell(Event::Reply {
                    path,
                    check,
                    round,
                    rtt,
                });
            }
            Step::Failed {
                path: number,
                back,
                check,
                fault,
            } => {
                let (path, check, fault) = (path(*number), *check, *fault);
                let round = self.round_before(path, *back);
                self.tell(Event::Failed {
                    path,
                    check,
                    round,
                    fault,
                });
            }
            Step::Pin(slot) => self.pin(slot.map(Slot)),
            Step::Disable(slot, disabled) => self.tell(Event::Disable(Slot(*slot), *disabled)),
            Step::Configure(setup) => self.configure(setup.config()),
        }
    }

    fn round_before(&self, path: PathId, back: u32) -> Round {
        let last = self.last.get(&path).map_or(0, |(number, ..)| *number);
        Round(last.wrapping_sub(back))
    }

    fn configure(&mut self, config: Box<Config>) {
        // What the model cannot tell of the last event, it learns from the engine: it judges on from there.
        self.compare();
        let written = self.engine.journal().written();
        let actions = self.engine.configure(&mut config.clone(), self.now);
        let twin = self.twin.configure(&mut config.clone(), self.now);
        assert_eq!(actions, twin);
        let same = |slot: Slot| {
            let id = |config: &Config| {
                let provider = config.at(slot).filter(|p| p.enabled);
                provider.map(|p| p.id.clone())
            };
            id(&self.config).is_some_and(|old| id(&config) == Some(old))
        };
        let mut models = HashMap::new();
        for path in self.engine.paths().map(|path| path.id) {
            let model = match self.models.get(&path) {
                Some(model) if same(path.slot) => model.reconfigured(&config, path),
                Some(_) => {
                    // The slot of another provider: only the state of its uplink is kept.
                    let mut heir = Model::new(&config, path);
                    heir.uplink(self.uplinks[&path].0);
                    heir
                }
                None => Model::new(&config, path),
            };
            models.insert(path, model);
        }
        let is_new = |path: &&PathId| !self.models.contains_key(path);
        self.comes_back = models.keys().filter(is_new).map(|p| (*p, false)).collect();
        self.outages
            .retain(|path, _| same(path.slot) && models.contains_key(path));
        self.settled_probes.clear();
        self.models = models;
        self.config = config;
        // A pin of a provider that was removed ends with the old configuration.
        if self.engine.pinned().is_none() && self.was_pinned() {
            self.models.values_mut().for_each(Model::thaw);
        }
        self.settled = false;
        self.look(&actions, written);
        let paths: Vec<PathId> = self.engine.paths().map(|path| path.id).collect();
        for path in paths {
            self.uplinks.entry(path).or_insert((None, true));
            self.tell_uplink(path);
        }
        self.settled = true;
        self.check_counts();
        self.compare();
    }

    fn was_pinned(&self) -> bool {
        self.states
            .values()
            .any(|(state, ..)| *state == State::Frozen)
    }

    fn tell_uplink(&mut self, path: PathId) {
        let (waiting, routable) = self.uplinks[&path];
        if let Some(model) = self.models.get_mut(&path) {
            model.uplink(waiting);
        }
        self.tell(Event::Uplink {
            path,
            waiting,
            routable,
        });
    }

    fn pin(&mut self, slot: Option<Slot>) {
        let before = self.engine.pinned();
        self.tell(Event::Pin(slot));
        match (before, self.engine.pinned()) {
            (None, Some(_)) => self.models.values_mut().for_each(Model::abandon),
            (Some(pinned), None) => {
                for (path, model) in &mut self.models {
                    if path.slot == pinned {
                        model.renew()
                    } else {
                        model.thaw()
                    }
                }
            }
            _ => {}
        }
        let known = |slot| self.config.at(slot).is_some_and(|p| p.enabled);
        let want = if slot.is_none_or(known) { slot } else { before };
        assert_eq!(self.engine.pinned(), want);
        self.compare();
    }

    /// Advances the time; everything happens when it is due.
    fn advance(&mut self, time: Duration) {
        self.catch_up();
        let (start, end) = (self.now, self.now + time);
        self.counted.clear();
        loop {
            let due = self.engine.next_deadline();
            assert!(
                due.is_none_or(|due| due > self.now),
                "handled, and due again"
            );
            let flying = self.flying.keys().next().map(|(at, _)| *at);
            let next = due.into_iter().chain(flying).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = next.max(self.now);
            self.catch_up();
        }
        self.now = end;
        self.check_pace(end - start);
    }

    /// Exactly one round per interval.
    fn check_pace(&self, time: Duration) {
        for (path, model) in self.models.iter().filter(|(_, model)| model.simple()) {
            let rounds = self.counted.get(path).copied().unwrap_or(0);
            let interval = model.timing().interval;
            let fair = time.total_micros() / interval.total_micros();
            if self.engine.pinned().is_some() || !model.fit() {
                assert_eq!(rounds, 0, "{path:?} does not probe");
                continue;
            }
            assert!(rounds <= fair + 2, "{rounds} rounds of {path:?} in {time}");
            // With 63 intervals to a timeout there may be no room for another round after an oversleep.
            if model.timing().timeout < interval * 60 {
                assert!(rounds + 2 >= fair, "{rounds} rounds of {path:?} in {time}");
            }
        }
    }

    /// Received answers are processed before the clock is read, as in the daemon.
    fn catch_up(&mut self) {
        while let Some(entry) = self.flying.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let event = entry.remove();
            self.tell(event);
        }
        let now = self.now;
        if self.engine.pinned().is_none() {
            self.models.values_mut().for_each(|model| model.expire(now));
        }
        for _ in 0..1000 {
            if self.engine.next_deadline().is_none_or(|at| at > now) {
                self.compare();
                return;
            }
            self.tell(Event::Tick);
        }
        panic!("busy at {now}");
    }

    fn tell(&mut self, event: Event) {
        self.tell_model(&event);
        let written = self.engine.journal().written();
        let actions = self.engine.handle(event, self.now);
        assert_eq!(
            actions,
            self.twin.handle(event, self.now),
            "same events, same actions"
        );
        self.look(&actions, written);
    }

    fn tell_model(&mut self, event: &Event) {
        let (Event::Reply { path, .. } | Event::Failed { path, .. }) = *event else {
            return;
        };
        let Some(model) = self.models.get_mut(&path) else {
            return;
        };
        match *event {
            Event::Reply {
                check, round, rtt, ..
            } => model.answered(round, check, rtt),
            Event::Failed { check, round, .. } => model.failed(round, check),
            _ => {}
        }
        if self.engine.pinned().is_none() {
            model.judge();
        }
    }

    /// The properties that hold after each event.
    fn look(&mut self, actions: &Actions, written: u32) {
        assert!(actions.len() <= ACTIONS_MAX);
        assert!(self.engine.journal().entries().count() <= JOURNAL_MAX);
        for action in actions {
            if let Action::Probe {
                path,
                round,
                checks,
                ..
            } = *action
            {
                self.check_round(path, round);
                if let Some(model) = self.models.get_mut(&path) {
                    model.sent(round, checks, self.now);
                }
                for check in (0..8).filter(|check| checks.0 & (1 << check) != 0) {
                    self.fly(path, round, check);
                }
            }
        }
        self.note_comebacks();
        self.check_counts();
        self.check_causes(written);
        let saves = actions.contains(&Action::Save);
        assert_eq!(saves, self.engine.journal().written() != written);
        if self.settled {
            for family in Family::ALL {
                let led = self.leaders[family];
                let online_since = |slot| self.online_since.get(&PathId { slot, family }).copied();
                order::check(
                    &self.engine,
                    &self.config,
                    family,
                    led,
                    online_since,
                    |slot| self.comes_back.get(&PathId { slot, family }).copied(),
                    self.now,
                );
            }
        }
        for family in Family::ALL {
            self.leaders[family] = self.engine.leader(family);
            self.leads[family] = self.engine.lead_of(family);
        }
        let probes = |path: &PathId| self.settled && self.models[path].fit();
        if self.engine.pinned().is_none() && self.models.keys().any(probes) {
            assert!(
                self.engine.next_deadline().is_some(),
                "a path that probes has no deadline"
            );
        }
    }

    /// An outage lasts as long as a path is not usable, unless another is pinned. One that is checked, and to be judged for
    /// the first time, or after another was pinned, is out only if it was so before. Settled probes never become fewer.
    fn check_counts(&mut self) {
        let (now, settled) = (self.now, self.settled);
        for path in self.engine.paths() {
            let known = self.outages.entry(path.id);
            let (was_out, since, total) = known.or_insert((false, now, Duration::ZERO));
            let is_checked = path.duty() == Duty::Checked;
            let is_out = match (path.state(), path.verdict()) {
                (State::Frozen, _) => false,
                (State::Probing, Verdict::Fresh) if is_checked => *was_out,
                _ => settled && !path.is_usable(),
            };
            if *was_out {
                *total += now - *since;
            }
            (*was_out, *since) = (is_out, now);
            assert_eq!(path.outage(now), *total, "{:?}", path.id);
            for check in 0..8 {
                let Settled { ok, lost } = path.rounds.facts(check).settled;
                let before = self.settled_probes.entry((path.id, check));
                let before = before.or_insert(Settled { ok, lost });
                let more = [ok.wrapping_sub(before.ok), lost.wrapping_sub(before.lost)];
                assert!(more.iter().all(|more| *more < 1000), "{more:?}");
                *before = Settled { ok, lost };
            }
        }
    }

    fn note_comebacks(&mut self) {
        let before = core::mem::replace(&mut self.pinned, self.engine.pinned());
        for path in self.engine.paths() {
            let was = self.states.get(&path.id).map(|(state, ..)| *state);
            if path.waiting().is_some() && was.is_some_and(|state| state != State::Waiting) {
                self.comes_back.insert(path.id, true);
            }
            if let (Some(pinned), None, Some(_)) = (before, self.pinned, was) {
                self.comes_back.insert(path.id, path.id.slot != pinned);
            }
        }
    }

    fn check_round(&mut self, path: PathId, Round(number): Round) {
        assert_eq!(
            self.engine.pinned(),
            None,
            "only the pinned provider is probed"
        );
        let interval = self.models[&path].timing().interval;
        let last = self.last.insert(path, (number, self.now, interval));
        if let Some((before, at, former)) = last {
            let ahead = number.wrapping_sub(before);
            assert!(ahead > 0 && ahead < 1 << 31, "no round twice");
            assert!(
                self.now - at >= interval.min(former) / 2,
                "{path:?} is too fast"
            );
        }
        *self.counted.entry(path).or_default() += 1;
    }

    /// Every change of a verdict or leader has a journal entry with its cause; `since` is when the state changed.
    fn check_causes(&mut self, written: u32) {
        let engine = &self.engine;
        let news: Vec<_> = engine.journal().since(written).collect();
        let told = |slot, family| {
            let provider = self.config.at(slot).map(|p| p.id.as_str());
            news.iter().any(|entry| {
                let by_hand = entry.subject.family.is_none();
                by_hand
                    || entry.subject.provider.as_deref() == provider
                        && entry.subject.family == Some(family)
            })
        };
        for family in Family::ALL {
            let lead = engine.lead_of(family);
            if lead == self.leads[family] {
                continue;
            }
            match lead {
                Lead::By(leader) => assert!(told(leader, family), "why does {leader:?} lead?"),
                Lead::NoRoute | Lead::Refused => {
                    let mut of_family = news.iter().filter(|e| e.subject.family == Some(family));
                    let told = of_family
                        .any(|entry| entry.subject.provider.is_none() && entry.kind.is_grave());
                    assert!(told, "the end of {:?} is silent", self.leads[family]);
                }
                Lead::Unknown => {}
            }
        }
        let mut states = HashMap::new();
        for path in engine.paths() {
            let now = (path.state(), path.verdict(), path.since);
            if let Some(before) = self.states.get(&path.id) {
                let PathId { slot, family } = path.id;
                if (before.0, before.1) != (now.0, now.1) {
                    assert!(told(slot, family), "{before:?} became {now:?} silently");
                }
                if before.0 != now.0 {
                    assert_eq!(path.since, self.now, "{before:?} became {now:?}");
                } else if path.since != before.2 {
                    // Its state changed in between, or another provider got its slot.
                    assert_eq!(path.since, self.now);
                    let heir = news.iter().any(|entry| entry.kind == Kind::Removed);
                    assert!(heir || told(slot, family), "{before:?} became {now:?}");
                    self.online_since.remove(&path.id);
                }
            }
            if path.state() != State::Online {
                self.online_since.remove(&path.id);
            } else {
                self.online_since.entry(path.id).or_insert(self.now);
            }
            states.insert(path.id, now);
        }
        self.states = states;
    }

    /// Compares with the model.
    fn compare(&mut self) {
        let pinned = self.engine.pinned().is_some();
        for (id, model) in &mut self.models {
            let path = self.engine.path(*id).unwrap();
            if !model.simple() {
                model.adopt(path.verdict());
                continue;
            }
            if !pinned {
                model.judge();
            }
            model.check(path);
        }
    }

    fn fly(&mut self, path: PathId, round: Round, check: u8) {
        let line = self.lines.get(&path).copied().unwrap_or(Line::Answers(20));
        let answer = |rtt| {
            (
                rtt,
                Event::Reply {
                    path,
                    check,
                    round,
                    rtt,
                },
            )
        };
        let (time, event) = match line {
            Line::Answers(rtt) => answer(Duration::from_millis(rtt)),
            Line::Dead => return,
            Line::Lossy(of) if round.0.is_multiple_of(of) => return,
            Line::Lossy(_) => answer(Duration::from_millis(5)),
            Line::Refuses(fault) => (
                Duration::ZERO,
                Event::Failed {
                    path,
                    check,
                    round,
                    fault,
                },
            ),
        };
        self.flown += 1;
        self.flying.insert((self.now + time, self.flown), event);
    }
}
