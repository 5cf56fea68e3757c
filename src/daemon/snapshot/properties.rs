//! Whatever happens, once the kernel has the routes: what is said of the way of packets is what they do.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::config::LastResort as Resort;
use crate::engine::{Action, Actions, Event};
use crate::routing::diff::changes;
use crate::routing::diff::kernel::{Answer, Kernel, Packet};
use crate::routing::layout::fixture::{Scene, foreign_default};
use crate::routing::layout::{Situation, Wanted};
use crate::routing::manual::Manual;
use crate::routing::mirror::{Aside, Dumped, Kinds, Object};
use crate::routing::objects::{Change, Link};
use crate::types::MarkMask;

const PROVIDERS: u8 = 3;
/// The device of the routes of others.
const FOREIGN: u32 = 99;

#[derive(Clone, Debug)]
enum Step {
    /// a path's uplink lacks something, or not; and can have a route, or not
    Uplink(u8, bool, bool),
    /// its checks are answered, or not
    Line(u8, bool),
    /// so many probes
    Time(u8),
    Pin(Option<u8>),
    Disable(u8, bool),
    /// a default route of others comes, or goes
    Foreign(u32, u32),
    /// the kernel refuses a path's route, or no longer
    Refuses(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || 0..PROVIDERS;
    let table = select(vec![TABLE_MAIN, TABLE_MAIN, 176]);
    let metric = select(vec![1u32, 50, 100, 101, 5000]);
    prop_oneof![
        4 => (slot(), any::<bool>(), any::<bool>()).prop_map(|(s, w, r)| Step::Uplink(s, w, r)),
        3 => (slot(), any::<bool>()).prop_map(|(s, a)| Step::Line(s, a)),
        4 => (1..40u8).prop_map(Step::Time),
        1 => prop::option::of(slot()).prop_map(Step::Pin),
        1 => (slot(), any::<bool>()).prop_map(|(s, d)| Step::Disable(s, d)),
        3 => (table, metric).prop_map(|(t, m)| Step::Foreign(t, m)),
        1 => slot().prop_map(Step::Refuses),
    ]
}

/// The daemon and its kernel, in one family.
struct World {
    family: Family,
    engine: Box<Engine>,
    scene: Scene,
    kernel: Kernel,
    mirror: Box<Mirror>,
    uplinks: Box<heapless::Vec<Uplink, PATHS_MAX>>,
    laid_out: Box<PerFamily<LaidOut>>,
    wanted: Box<Wanted>,
    manual: Manual,
    /// by slot: whether its checks are answered
    answers: [bool; PROVIDERS as usize],
    now: Instant,
}

impl World {
    fn new(family: Family, last_resort: Resort) -> World {
        let mut scene = Scene::of(family, PROVIDERS);
        scene.config.globals.last_resort = last_resort;
        let mut uplinks = Box::new(heapless::Vec::new());
        for path in (0..PATHS_MAX).map_while(PathId::from_index) {
            let known = scene.uplinks.get(usize::from(path.slot.0));
            let known = known.filter(|_| path.family == family).cloned();
            assert!(uplinks.push(known.unwrap_or_default()).is_ok());
        }
        let mut world = World {
            family,
            engine: Box::new(Engine::new()),
            scene,
            kernel: Kernel::default(),
            mirror: Box::new(Mirror::new()),
            uplinks,
            laid_out: Box::new(PerFamily {
                v4: LaidOut::new(),
                v6: LaidOut::new(),
            }),
            wanted: Box::new(Wanted::new()),
            manual: Manual::None,
            answers: [true; PROVIDERS as usize],
            now: Instant::from_secs(1000),
        };
        let actions = world
            .engine
            .configure(&mut world.scene.config.clone(), world.now);
        world.ask(&actions);
        for slot in 0..PROVIDERS {
            world.tell_uplink(slot);
        }
        world.settle();
        world
    }

    fn path(&self, slot: u8) -> PathId {
        PathId {
            slot: Slot(slot),
            family: self.family,
        }
    }

    fn uplink(&mut self, slot: u8) -> &mut Uplink {
        let index = self.path(slot).index();
        &mut self.uplinks[index]
    }

    fn tell(&mut self, event: Event) {
        let actions = self.engine.handle(event, self.now);
        self.ask(&actions);
    }

    fn tell_uplink(&mut self, slot: u8) {
        let path = self.path(slot);
        let uplink = self.uplink(slot);
        let (waiting, routable) = (uplink.waiting, uplink.routable && !uplink.refused);
        self.tell(Event::Uplink {
            path,
            waiting,
            routable,
        });
    }

    /// Probes are answered at once, or never.
    fn ask(&mut self, actions: &Actions) {
        for action in actions {
            let Action::Probe { path, round, .. } = *action else {
                continue;
            };
            if self.answers[usize::from(path.slot.0)] {
                let rtt = Duration::from_millis(1);
                let check = 0;
                self.tell(Event::Reply {
                    path,
                    check,
                    round,
                    rtt,
                });
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Uplink(slot, waits, routable) => {
                let uplink = self.uplink(slot);
                uplink.refused = false;
                uplink.waiting = waits.then_some(Waiting::NoCarrier);
                uplink.routable = routable || !waits;
                self.tell_uplink(slot);
            }
            Step::Line(slot, answers) => self.answers[usize::from(slot)] = answers,
            Step::Time(ticks) => {
                for _ in 0..ticks {
                    let Some(at) = self.engine.next_deadline() else {
                        return;
                    };
                    self.now = self.now.max(at);
                    self.tell(Event::Tick);
                }
            }
            Step::Pin(slot) => self.tell(Event::Pin(slot.map(Slot))),
            Step::Disable(slot, disabled) => self.tell(Event::Disable(Slot(slot), disabled)),
            Step::Foreign(table, metric) => self.toggle(table, metric),
            Step::Refuses(slot) => {
                let key = (u32::from(slot) + 1, 176);
                let refused = &mut self.kernel.refuses.routes;
                match refused.iter().position(|known| *known == key) {
                    Some(at) => drop(refused.remove(at)),
                    None => {
                        refused.push(key);
                        // What took the reason for it away took the route, too.
                        let routes = &mut self.kernel.routes;
                        routes.retain(|r| (r.device, r.table) != key);
                    }
                }
            }
        }
    }

    fn toggle(&mut self, table: u32, metric: u32) {
        let route = foreign_default(self.family, table, metric);
        let key = |r: &Route| (r.table, r.destination, r.metric);
        let routes = &mut self.kernel.routes;
        match routes.iter().position(|r| key(r) == key(&route)) {
            Some(at) if routes[at].protocol != PROTOCOL => drop(routes.remove(at)),
            Some(_) => {} // ours is there
            None => routes.push(route),
        }
    }

    /// A fresh picture of the kernel.
    fn look(&mut self) {
        let mirror = &mut self.mirror;
        mirror.begin(Kinds::LINKS);
        let link = |index: u32, name: &str| Link {
            index,
            name: name.try_into().unwrap(),
            altnames: heapless::Vec::new(),
            up: true,
            carrier: true,
            point_to_point: index == FOREIGN,
            ethernet: index != FOREIGN,
        };
        mirror.record(Object::Link(link(FOREIGN, "wg0")));
        for index in 1..=u32::from(PROVIDERS) {
            mirror.record(Object::Link(link(index, &format!("eth{index}"))));
        }
        mirror.end(Kinds::LINKS, Dumped::Whole);
        let kind = Kinds::routes(self.family);
        mirror.begin(kind);
        for route in &self.kernel.routes {
            mirror.record(Object::Route(*route, Aside::default()));
        }
        mirror.end(kind, Dumped::Whole);
    }

    /// Until nothing is left to do, as the daemon does it.
    fn settle(&mut self) {
        // What was refused is asked for again.
        for slot in 0..PROVIDERS {
            let uplink = self.uplink(slot);
            if core::mem::take(&mut uplink.refused) {
                uplink.waiting = uplink.waiting.filter(|w| *w != Waiting::RouteRefused);
                self.tell_uplink(slot);
            }
        }
        for _ in 0..10 {
            self.look();
            if !self.apply() {
                self.tell(Event::RoutesApplied(self.family));
                return;
            }
        }
        panic!("there is no end");
    }

    /// Whether there was anything to do.
    fn apply(&mut self) -> bool {
        let (family, config) = (self.family, &self.scene.config);
        let is_named = |link: &Link| link.name != "wg0";
        let (routes, links) = (self.mirror.routes(), self.mirror.links());
        self.manual = Manual::find(routes, links, family, &config.globals, &is_named);
        self.scene.tables.choose(config, routes);
        let uplinks = &self.uplinks;
        self.wanted.fill(&Situation {
            config,
            family,
            plan: self.engine.plan(family),
            uplink: &|slot| uplinks.get(PathId { slot, family }.index()),
            tables: &self.scene.tables,
            delegated: &self.scene.delegated.list,
            resolvers: &self.scene.resolvers,
            addresses: self.mirror.addresses(),
            routes,
            rules: &self.kernel.rules,
            yields: self.manual.obeyed().is_some(),
            marks: Some(MarkMask::USUAL),
            handed_over: 0,
            live: 0,
        });
        self.laid_out[family].note(&self.wanted, family, config.globals.table);
        let (routes, rules) = (routes.to_vec(), self.kernel.rules.clone());
        let (kernel, mut refused, mut made) = (&mut self.kernel, Vec::new(), false);
        changes(family, &self.wanted, &routes, &rules, &mut |change| {
            let done = kernel.carry_out(&change);
            made |= done;
            if let Change::SetRoute(route) = change
                && !done
            {
                refused.push(route.device);
            }
            done
        });
        for device in refused {
            let slot = u8::try_from(device - 1).unwrap();
            // What is refused is asked for all the time, and is no news.
            if !self.uplink(slot).refused {
                self.uplink(slot).refuse();
                self.tell_uplink(slot);
                made = true;
            }
        }
        made
    }

    fn snapshot(&self) -> Snapshot<'_> {
        let mut manual = PerFamily { v4: None, v6: None };
        manual[self.family] = self.manual.obeyed();
        Snapshot {
            engine: &self.engine,
            mirror: &self.mirror,
            uplinks: &self.uplinks,
            laid_out: &self.laid_out,
            manual,
            marked: PerFamily::default(),
            now: self.now,
        }
    }

    /// What is said is so.
    fn is_true(&self) {
        let (family, snapshot) = (self.family, self.snapshot());
        let header = snapshot.header(&Counters::default(), Instant::ZERO);
        let active = header.active.of(family).borrowed().carrier();
        let answer = self.kernel.look_up(family, &Packet::default());
        let by = header.overridden_by.of(family);
        let fallback = header.fallback.of(family);
        let mut leads = None;
        for provider in &self.scene.config.providers {
            let id = PathId {
                slot: provider.slot,
                family,
            };
            let path = snapshot.path(provider, self.engine.path(id).unwrap());
            let device = self.uplinks[id.index()].index;
            let has = |r: &Route| (r.table, r.protocol, r.device) == (176, PROTOCOL, device);
            let has = self.kernel.routes.iter().find(|r| has(r));
            assert_eq!(path.installed, has.is_some(), "{path:?}");
            if path.installed {
                assert_eq!(path.metric, has.map(|r| r.metric));
            }
            if active == Some(&provider.id) {
                leads = Some((path, device));
            }
        }
        let best = self.kernel.best(176, family).map(|route| route.device);
        // Those of refused traffic are for the probes.
        let best = best.filter(|_| *header.active.of(family) != Lead::Refused);
        assert_eq!(leads.as_ref().map(|(_, device)| *device), best);
        let expected = match (&leads, by, fallback) {
            (_, Some(_), None) => Answer::Device(FOREIGN),
            (Some((path, _)), None, None) if path.overridden_by.is_some() => {
                Answer::Device(FOREIGN)
            }
            (Some((_, device)), None, None) => Answer::Device(*device),
            (None, None, Some(_)) => Answer::Device(FOREIGN),
            (None, None, None) if *header.active.of(family) == Lead::Refused => Answer::Refused,
            (None, None, None) => Answer::NoRoute,
            told => panic!("{told:?} at once"),
        };
        assert_eq!(answer, expected);
        self.is_told_to_others(&snapshot, active);
    }

    /// Hooks and the journal say the same.
    fn is_told_to_others(&self, snapshot: &Snapshot<'_>, active: Option<&Name>) {
        let carrier = snapshot.id(snapshot.carrier(self.family));
        let manual = self.manual.obeyed().is_some();
        assert_eq!(carrier, active.filter(|_| !manual));
        let entries = self.engine.journal().entries();
        let last = entries
            .filter(|entry| entry.kind.is_of_traffic() && entry.subject.family == Some(self.family))
            .last()
            .unwrap();
        let kind = match snapshot.lead(self.family) {
            Lead::By(_) => Kind::Leads,
            Lead::NoRoute => Kind::NoRoute,
            Lead::Refused => Kind::Refused,
            Lead::Unknown => panic!("every uplink is told"),
        };
        assert_eq!((last.kind, last.subject.provider.as_ref()), (kind, active));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_said_is_what_the_kernel_does(
        family in select(&Family::ALL[..]),
        last_resort in select(vec![Resort::First, Resort::Keep, Resort::Unreachable]),
        steps in vec(step(), 1..40),
    ) {
        let mut world = World::new(family, last_resort);
        world.is_true();
        for step in &steps {
            world.step(step);
            world.settle();
            world.is_true();
        }
    }
}
