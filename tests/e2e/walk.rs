//! A random walk: cables, addresses, pins and default routes of others come and go, and after each step, once it has
//! settled, what the status says of the way of packets is what the kernel answers when asked.

use serde_json::Value;

use super::inspect::{Random, path};
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::uplink::Provider;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{OURS, SOON, online_with};

const STEPS: usize = 40;
const MAIN: u32 = 254;

/// Default routes of others in `main`: behind ours, before them, and those that refuse; by the numbers of what toggles them.
const OTHERS: [&str; 4] = [
    "default dev mgmt0 metric 5000 proto static",
    "default dev wg0 metric 50 proto static",
    "unreachable default metric 4278198272",
    "prohibit default metric 20",
];

struct Walk<'lab> {
    lab: &'lab Lab,
    daemon: Daemon<'lab>,
    random: Random,
    /// by provider
    faults: [Option<Fault>; 2],
    /// by family
    others: [[bool; OTHERS.len()]; 2],
    pinned: bool,
    done: Vec<String>,
}

/// What befalls an uplink.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// its cable is out
    Cable,
    /// its device is down
    Device,
    /// it has no address
    Addresses,
}

impl Fault {
    fn befalls(self, lab: &Lab, number: usize) {
        let Provider { device, .. } = lab.provider(number);
        match self {
            Fault::Cable => lab.pull_cable(number),
            Fault::Device => lab.device_down(number),
            Fault::Addresses => lab
                .router
                .ip(&format!("addr flush dev {device} scope global")),
        }
    }

    fn is_mended(self, lab: &Lab, number: usize) {
        let provider = lab.provider(number);
        match self {
            Fault::Cable => lab.plug_cable(number),
            Fault::Device => lab.device_up(number),
            Fault::Addresses => {
                let (device, own) = (&provider.device, provider.addresses());
                let (v4, prefix, v6) = (own.own_v4, own.prefix_v4, own.own_v6);
                lab.router.ip(&format!(
                    "addr add {v4}/{prefix} dev {device}
                     addr add {v6}/64 dev {device} nodad"
                ));
            }
        }
    }
}

impl Walk<'_> {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap()
    }

    fn step(&mut self) {
        let number = 1 + self.below(2);
        let said = match self.below(8) {
            0..=2 => self.uplink(number),
            3 => self.pin(number),
            _ => self.other(),
        };
        self.done.push(said);
    }

    /// Something happens to an uplink that is whole, and is undone on one that is not.
    fn uplink(&mut self, number: usize) -> String {
        let fault = [Fault::Cable, Fault::Device, Fault::Addresses][self.below(3)];
        let lab = self.lab;
        let place = &mut self.faults[number - 1];
        let before = place.take();
        match before {
            None => fault.befalls(lab, number),
            Some(fault) => fault.is_mended(lab, number),
        }
        *place = before.is_none().then_some(fault);
        format!("uplink {number}: {place:?}")
    }

    fn pin(&mut self, number: usize) -> String {
        self.pinned = !self.pinned;
        let id = match self.pinned {
            true => format!("isp{number}"),
            false => "auto".to_owned(),
        };
        self.daemon.must(&["use", &id]);
        format!("use {id}")
    }

    fn other(&mut self) -> String {
        let (place, which) = (self.below(2), self.below(OTHERS.len()));
        let family = Family::ALL[place];
        let is_there = &mut self.others[place][which];
        *is_there = !*is_there;
        let verb = if *is_there { "add" } else { "del" };
        let line = format!("route {verb} {}", OTHERS[which]);
        self.lab.router.batch(family, &line);
        format!("{family} {line}")
    }

    /// Waits until all that is said is so.
    #[track_caller]
    fn settles(&self) {
        for family in Family::ALL {
            let mut wrong = String::new();
            let agreed = || {
                let found = disagreement(self.lab, &self.daemon, family);
                wrong = found.unwrap_or_default();
                wrong.is_empty()
            };
            assert!(
                wait_until(SOON, agreed),
                "{family}: {wrong}\nafter {:#?}\n{:#?}\n{:#?}\n{:#}\n{}",
                self.done,
                self.lab.router.rules(family),
                self.lab.router.defaults(family, MAIN),
                self.daemon.status(),
                self.daemon.log()
            );
        }
    }
}

/// What is said of a family, and is not so; none when all is.
fn disagreement(lab: &Lab, daemon: &Daemon, family: Family) -> Option<String> {
    let status = daemon.status();
    let name = family.name();
    let way = lab.router.way(&target(family).to_string(), &[]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let active = text(&status["active"][name]);
    let [by, fallback] = ["overridden_by", "fallback"].map(|of| text(&status[of][name]["device"]));
    if let Some(wrong) = routes_as_told(lab, &status, family) {
        return Some(wrong);
    }
    if active.is_some() && fallback.is_some() {
        return Some(format!("{active:?} leads, and {fallback:?} carries"));
    }
    let leads = active.map(|id| path(&status, &id, name).clone());
    if let Some(path) = &leads
        && path["installed"] != true
    {
        return Some(format!("the leader has no route: {path:#}"));
    }
    let device = leads.and_then(|path| text(&path["device"]));
    let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
    let mut diversions = warnings.iter().filter(|w| w["code"] == "diverted");
    let diversion = diversions.find(|w| w["family"] == name);
    let told = match (&by, diversion) {
        (Some(_), _) => by.clone(),
        (None, Some(diversion)) => text(&diversion["device"]),
        (None, None) => device.clone().or(fallback.clone()),
    };
    if told != way {
        return Some(format!("leaves by {way:?}, told is {told:?}"));
    }
    // The same, for people.
    let said = daemon.must(&["status"]);
    let head = |begin: &str| said.lines().any(|line| line.starts_with(begin));
    let both = said.contains("ipv4 and ipv6 leave by");
    let refused = head(&format!("{name} is refused by"));
    let right = match (&way, &by) {
        (_, Some(by)) => head(&format!("{name} is overridden by {by} ")),
        (None, None) => refused || head(&format!("{name} has no way out")),
        (Some(_), None) if device.is_some() => {
            !refused && (both || head(&format!("{name} leaves by isp")))
        }
        (Some(way), None) => head(&format!("{name} leaves by {way} (")),
    };
    (!right).then(|| format!("leaves by {way:?}: {said}"))
}

/// The swap table has what `installed` and `metric` say, and the leader is the first of it.
fn routes_as_told(lab: &Lab, status: &Value, family: Family) -> Option<String> {
    let name = family.name();
    let mut routes = lab.router.defaults(family, super::TABLE);
    routes.retain(|route| route.protocol == OURS);
    let mut told = Vec::new();
    for id in ["isp1", "isp2"] {
        let path = path(status, id, name);
        if path["installed"] == true {
            let metric = u32::try_from(path["metric"].as_u64()?).ok()?;
            told.push((metric, path["device"].as_str()?.to_owned(), id));
        }
    }
    told.sort();
    let found = routes
        .iter()
        .map(|r| (r.metric, r.dev.clone().unwrap_or_default()));
    let same = found.eq(told
        .iter()
        .map(|(metric, device, _)| (*metric, device.clone())));
    let first = told.first().map(|(_, _, id)| *id);
    let leads = status["active"][name].as_str() == first;
    (!same || !leads).then(|| format!("{told:?} are told, with {first:?} first: {routes:#?}"))
}

fn walks(seed: u64) {
    in_lab(|| {
        let lab = Lab::new();
        super::manual::devices(&lab);
        let daemon = online_with(&lab, &Settings::fast(&lab));
        let mut walk = Walk {
            lab: &lab,
            daemon,
            random: Random(seed),
            faults: [None; 2],
            others: [[false; OTHERS.len()]; 2],
            pinned: false,
            done: Vec::new(),
        };
        walk.settles();
        for _ in 0..STEPS {
            walk.step();
            walk.settles();
        }
    });
}

#[test]
fn what_is_said_is_so_after_each_step() {
    walks(0x5eed);
}

#[test]
fn what_is_said_is_so_after_each_step_of_another_walk() {
    walks(0xfeed);
}

/// Nothing of ours is there to carry: what is in `main` does, and is named; then nothing.
#[test]
fn what_main_carries_while_no_provider_can_is_named() {
    in_lab(|| {
        let lab = Lab::new();
        lab.router.ip("link add mgmt0 type veth peer name mgmt0peer
             link set mgmt0peer up
             link set mgmt0 up
             addr add 203.0.113.133/30 dev mgmt0
             addr add 2001:db8:fe::1/64 dev mgmt0 nodad");
        let daemon = online_with(&lab, &Settings::fast(&lab));
        for number in [1, 2] {
            lab.device_down(number);
        }
        for family in Family::ALL {
            let name = family.name();
            let line = "default dev mgmt0 metric 5000";
            lab.router.batch(family, &format!("route add {line}"));
            let by = serde_json::json!({"device": "mgmt0", "metric": 5000, "table": MAIN});
            let so = || daemon.status()["fallback"][name] == by;
            assert!(wait_until(SOON, so), "{:#}", daemon.status());
            assert!(daemon.status()["active"][name].is_null());
            let way = || lab.router.way(&target(family).to_string(), &[]);
            assert_eq!(way().as_deref(), Some("mgmt0"));
            let said = daemon.must(&["status"]);
            let head = format!("{name} leaves by mgmt0 (metric 5000 in main): no provider");
            assert!(said.contains(&head), "{said}");
            let said = daemon.must(&["explain"]);
            assert!(
                said.contains("leaves by mgmt0 (metric 5000 in main)"),
                "{said}"
            );
            lab.router.batch(family, &format!("route del {line}"));
            let none = || daemon.status()["fallback"][name].is_null();
            assert!(wait_until(SOON, none), "{:#}", daemon.status());
            assert_eq!(way(), None);
            let head = format!("{name} has no way out");
            assert!(daemon.must(&["status"]).contains(&head));
        }
    });
}
