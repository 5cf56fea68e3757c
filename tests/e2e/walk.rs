//! A random walk: cables, devices, addresses, default routes in all their forms, rules and routes of others, pins, reloads and
//! kills come and go. After each step, once it has settled, what the status says is what the kernel answers when asked, and
//! the kernel has of ours what the situation demands, and nothing else.
//!
//! `WALK_STEPS=5000 WALK_SEED=7 cargo test --test e2e walk::what_is_said_is_so_after_each_step` walks further, or elsewhere. A
//! failure shows seed and steps.
//!
//! | module | what it has |
//! |---|---|
//! | [`steps`] | what may happen |
//! | [`picture`] | what the kernel has |
//! | [`judge`] | whether all is so |

mod judge;
mod picture;
mod steps;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use self::judge::Judge;
use self::picture::Picture;
use self::steps::{Change, Deed, Terms};
use super::inspect::Random;
use super::lab::rights::in_lab;
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{OURS, SOON, TABLE, online_with};

/// Unless the environment has another number.
const STEPS: usize = 40;
const MAIN: u32 = 254;
/// What is put back once a second may take so long, and what flaps.
const SETTLES: Duration = Duration::from_secs(30);
/// Hooks and journal are looked at after so many steps.
const OFTEN: usize = 10;

/// Appends a line for each transition.
const HOOK: &str = "#!/bin/sh\necho \"$ACTION:$PROVIDER:$FAMILY:$NEW:\" >>\"$RECORDS\"\n";

struct Walk<'lab> {
    lab: &'lab Lab,
    daemon: Daemon<'lab>,
    random: Random,
    changes: Vec<Change>,
    /// which changes are made
    made: Vec<bool>,
    /// by provider and family
    forms: [[usize; 2]; 2],
    terms: Terms,
    done: Vec<String>,
}

impl<'lab> Walk<'lab> {
    fn new(lab: &'lab Lab, seed: u64) -> Walk<'lab> {
        let terms = Terms::with(&[]);
        let changes = steps::changes(lab);
        let daemon = Daemon::prepare(&lab.router, &terms.settings(lab));
        let mut walk = Walk {
            lab,
            daemon,
            random: Random(seed),
            made: vec![false; changes.len()],
            changes,
            forms: [[0; 2]; 2],
            terms,
            done: Vec::new(),
        };
        for family in Family::ALL {
            for device in ["wg0", "mgmt0"] {
                walk.try_ip(family, &steps::beside(device, family));
            }
        }
        let hooks = walk.daemon.file("hooks.d");
        fs::create_dir(&hooks).unwrap();
        fs::write(hooks.join("10-record"), HOOK).unwrap();
        fs::set_permissions(hooks.join("10-record"), fs::Permissions::from_mode(0o755)).unwrap();
        let records = walk.daemon.file("records").display().to_string();
        walk.daemon.set("RECORDS", records);
        for number in [1, 2] {
            walk.restore(number);
        }
        walk.configure();
        walk.daemon.launch();
        walk
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap()
    }

    fn family(&mut self) -> Family {
        Family::ALL[self.below(2)]
    }

    /// Lines of `ip`, of which the kernel may refuse some.
    fn try_ip(&self, family: Family, lines: &str) {
        let option = if family == Family::V4 { "-4" } else { "-6" };
        let command = ["ip", "-force", option, "-batch", "-"];
        self.lab.router.fed(&command, lines);
    }

    fn is_made(&self, name: &str) -> bool {
        let place = self.changes.iter().position(|change| change.name == name);
        self.made[place.expect("there is such a change")]
    }

    fn is_gone(&self, number: usize) -> bool {
        self.is_made(&format!("{} gone", self.lab.provider(number).device))
    }

    fn configure(&mut self) {
        let options = steps::OPTIONS.into_iter();
        let options: Vec<&str> = options
            .filter(|option| self.is_made(&format!("option {option}")))
            .collect();
        self.terms = Terms::with(&options);
        let hooks = self.daemon.file("hooks.d").display().to_string();
        let settings = self.terms.settings(self.lab).global("hooks_dir", &hooks);
        self.daemon.configure(&settings);
    }

    /// What the router's network configuration sets for an uplink, but for what another change takes away.
    fn restore(&self, number: usize) {
        let provider = self.lab.provider(number);
        let device = &provider.device;
        if ["down", "gone"]
            .iter()
            .any(|what| self.is_made(&format!("{device} {what}")))
        {
            return;
        }
        for (family, lines) in steps::configured(provider) {
            let lacks = format!("{device} without {family} addresses");
            let renumbered = format!("{device} {family} renumbered");
            if !self.is_made(&lacks) && !self.is_made(&renumbered) {
                self.try_ip(family, &lines);
            } else {
                self.try_ip(Family::V4, &format!("link set {device} up\n"));
            }
            self.try_ip(family, &steps::nexthop_line(provider, family));
            let form = &steps::forms(provider, family)[self.forms[number - 1][family as usize]];
            if !form.is_empty() {
                self.try_ip(family, &format!("route add {form}\n"));
            }
        }
    }

    fn does(&mut self, deed: &Deed) {
        match deed {
            Deed::Router(family, lines) => self.try_ip(*family, lines),
            Deed::Pulls(number) | Deed::Plugs(number) if self.is_gone(*number) => {}
            Deed::Pulls(number) => self.lab.pull_cable(*number),
            Deed::Plugs(number) => self.lab.plug_cable(*number),
            Deed::Dies(number) => self.lab.upstream_dies(*number),
            Deed::Returns(number) => self.lab.upstream_returns(*number),
            Deed::Unplugs(number) => self.lab.remove_device(*number),
            Deed::Inserts(number) => self.lab.insert_device(*number),
            Deed::Restores(number) => self.restore(*number),
            Deed::Reload => {
                self.configure();
                if self.daemon.is_running() {
                    self.daemon.must(&["reload"]);
                }
            }
        }
    }

    fn step(&mut self) {
        let said = match self.below(100) {
            0..50 => self.change(),
            50..62 => self.form(),
            62..68 => self.pin(),
            68..73 => self.disable(),
            73..83 => self.takes_ours(),
            83..88 => self.restarts(true),
            88..91 => self.restarts(false),
            91..95 => self.floods(),
            _ => {
                let (one, two) = (self.change(), self.change());
                format!("{one}, and {two}")
            }
        };
        self.done.push(said);
    }

    /// Makes a change, or takes one back: the more are made, the likelier.
    fn change(&mut self) -> String {
        let count = self.made.iter().filter(|made| **made).count();
        let takes_back = self.below(count + 5) < count;
        let places: Vec<usize> = (0..self.made.len())
            .filter(|place| self.made[*place] == takes_back)
            .collect();
        let place = places[self.below(places.len())];
        self.made[place] = !takes_back;
        let Change { made, undone, name } = &self.changes[place];
        let (deeds, said) = match takes_back {
            true => (undone.clone(), format!("no more {name}")),
            false => (made.clone(), name.clone()),
        };
        for deed in &deeds {
            self.does(deed);
        }
        said
    }

    /// An uplink's default route takes another form.
    fn form(&mut self) -> String {
        let (number, family) = (1 + self.below(2), self.family());
        let provider = self.lab.provider(number);
        let forms = steps::forms(provider, family);
        let old = self.forms[number - 1][family as usize];
        // The plain one often.
        let new = self.below(forms.len() + 3) % forms.len();
        self.forms[number - 1][family as usize] = new;
        let gone = &forms[old];
        if !gone.is_empty() {
            self.try_ip(family, &format!("route del {gone}\n"));
        }
        self.restore(number);
        format!("{family} {}: {}", provider.name, forms[new])
    }

    fn pin(&mut self) -> String {
        let id = ["isp1", "isp2", "auto", "auto", "auto"][self.below(5)];
        self.daemon.command(&["use", id]); // refused for one that the configuration disables
        format!("use {id}")
    }

    fn disable(&mut self) -> String {
        let verb = ["disable", "enable", "enable"][self.below(3)];
        let id = ["isp1", "isp2"][self.below(2)];
        self.daemon.command(&[verb, id]);
        format!("{verb} {id}")
    }

    /// Another program deletes what is ours.
    fn takes_ours(&mut self) -> String {
        let family = self.family();
        let kernel = Picture::take(self.lab, family, &[]);
        let rules: Vec<u32> = kernel
            .rules
            .iter()
            .filter(|r| r.ours)
            .map(|r| r.pref)
            .collect();
        let routes: Vec<_> = kernel
            .routes
            .iter()
            .filter(|r| r.protocol == OURS)
            .collect();
        let line = match self.below(10) {
            0 => format!("rule flush protocol {OURS}"),
            1 => format!("route flush table {TABLE}"),
            2 => format!("route flush table {}", 17601 + self.below(2)),
            3 => format!("route flush table all proto {OURS}"),
            4..7 if !routes.is_empty() => {
                let route = routes[self.below(routes.len())];
                let picture::Route {
                    destination,
                    table,
                    metric,
                    ..
                } = route;
                let verb = ["del", "change"][self.below(2)];
                match verb {
                    "del" => format!("route del {destination} table {table} metric {metric}"),
                    _ => format!(
                        "route replace {destination} dev mgmt0 table {table} metric {metric} proto {OURS}"
                    ),
                }
            }
            _ if !rules.is_empty() => {
                let pref = rules[self.below(rules.len())];
                format!("rule del pref {pref} protocol {OURS}")
            }
            _ => String::new(),
        };
        self.try_ip(family, &format!("{line}\n"));
        format!("{family} {line}")
    }

    /// Killed or stopped, perhaps with a change meanwhile, and started again.
    fn restarts(&mut self, kills: bool) -> String {
        if kills {
            self.daemon.kill9();
        } else {
            assert!(self.daemon.terminate().success(), "{}", self.daemon.log());
            for family in Family::ALL {
                let kernel = Picture::take(self.lab, family, &[]);
                let rules: Vec<_> = kernel.rules.iter().filter(|rule| rule.ours).collect();
                let routes: Vec<_> = kernel
                    .routes
                    .iter()
                    .filter(|r| r.protocol == OURS)
                    .collect();
                assert!(
                    rules.is_empty() && routes.is_empty(),
                    "{rules:?} {routes:?} {}",
                    self.history()
                );
            }
        }
        let said = match self.below(2) {
            0 => self.change(),
            _ => String::new(),
        };
        fs::remove_file(self.daemon.file("records")).unwrap_or_default();
        self.daemon.launch();
        format!(
            "{}, {said}, and a start",
            if kills { "a kill" } else { "a stop" }
        )
    }

    /// More events than the kernel holds for the daemon, which sleeps, and a change among them.
    fn floods(&mut self) -> String {
        self.daemon.signal(Signal::SIGSTOP);
        let mut said = String::new();
        for half in 0..2 {
            let family = self.family();
            let host = if family == Family::V4 {
                "198.51.100.77/32"
            } else {
                "2001:db8:100::77/128"
            };
            let line = |verb: &str| format!("route {verb} {host} dev lan0 table 300\n");
            let lines = [line("add"), line("del")].concat();
            self.try_ip(family, &lines.repeat(500));
            // A reload would wait for an answer.
            if half == 0 {
                let family = self.family();
                let lines = [
                    "route add default dev mgmt0 metric 4000\n",
                    "route del default dev mgmt0 metric 4000\n",
                ];
                lines[self.below(2)].clone_into(&mut said);
                self.try_ip(family, &said);
                said = format!("{family} {}", said.trim());
            }
        }
        self.daemon.signal(Signal::SIGCONT);
        format!("a flood, and {said}")
    }

    /// Waits until all that is said is so.
    fn settles(&self, whole: bool) {
        for family in Family::ALL {
            let mut wrong = String::new();
            let agrees = || {
                wrong = self.disagrees(family, whole).err().unwrap_or_default();
                wrong.is_empty()
            };
            let settled = wait_until(SETTLES, agrees);
            assert!(settled, "{family}: {wrong}\n{}", self.history());
        }
    }

    fn disagrees(&self, family: Family, whole: bool) -> Result<(), String> {
        let judge = Judge::new(self.lab, &self.daemon, &self.terms, family);
        judge.judge()?;
        self.probes_are_so(&judge.status, family)?;
        match whole {
            true => {
                self.is_told_to_people(&judge.status, family)?;
                self.hooks_heard(&judge.status, family)
            }
            false => Ok(()),
        }
    }

    /// All that is needed to see what happened.
    fn history(&self) -> String {
        let show = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            let output = self.lab.router.output(&words);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let made: Vec<&str> = (self.changes.iter().zip(&self.made))
            .filter_map(|(change, made)| made.then_some(change.name.as_str()))
            .collect();
        let last = self.done.len().saturating_sub(400);
        format!(
            "after {} steps, the last of which are {:#?}\nmade: {made:#?}\nforms: {:?}\n{}{}{}{}{}{:#}\n{}",
            self.done.len(),
            &self.done[last..],
            self.forms,
            show("ip -4 rule"),
            show("ip -4 route show table all"),
            show("ip -6 rule"),
            show("ip -6 route show table all"),
            show("ip addr"),
            self.daemon.status(),
            self.daemon.must(&["explain"]),
        )
    }

    /// What is told to be online answers a ping by its device, and what is told to be offline does not.
    fn probes_are_so(&self, status: &Value, family: Family) -> Result<(), String> {
        let target = target(family);
        let mut script = String::new();
        let mut expected = Vec::new();
        for provider in &self.lab.providers {
            let path = super::inspect::path(status, &provider.name, family.name());
            let (Some(own), true) = (path["address"].as_str(), path["reason"].is_null()) else {
                continue;
            };
            let device = &provider.device;
            let name = &provider.name;
            match path["state"].as_str() {
                Some("online") => expected.push((name, true)),
                Some("offline") => expected.push((name, false)),
                _ => continue,
            }
            script += &format!(
                "ping -n -q -c1 -W0.3 -I {device} -I {own} {target} >/dev/null 2>&1 && echo {name} &\n"
            );
        }
        let output = self
            .lab
            .router
            .output(&["sh", "-c", &format!("{script} wait")]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        for (name, answers) in expected {
            if said.lines().any(|line| line == name) != answers {
                return Err(format!("{name} is not so: {script} {said} {status:#}"));
            }
        }
        Ok(())
    }

    /// The status page begins with the same.
    fn is_told_to_people(&self, status: &Value, family: Family) -> Result<(), String> {
        let said = self.daemon.must(&["status"]);
        let name = family.name();
        let head = |begin: &str| said.lines().any(|line| line.starts_with(begin));
        let of = |field: &str| status[field][name]["device"].as_str().map(str::to_owned);
        let active = status["active"][name].as_str();
        let refused = head(&format!("{name} is refused by"));
        let right = match (of("overridden_by"), active, of("fallback")) {
            (Some(by), ..) => head(&format!("{name} is overridden by {by} ")),
            (None, Some(id), _) => {
                refused
                    || head(&format!("{name} leaves by {id}"))
                    || head(&format!("ipv4 and ipv6 leave by {id}"))
            }
            (None, None, Some(by)) => head(&format!("{name} leaves by {by} (")),
            (None, None, None) => refused || head(&format!("{name} has no way out")),
        };
        right.then_some(()).ok_or_else(|| format!("{name}: {said}"))
    }

    /// The last that a hook was told of each path and family is what the status says.
    fn hooks_heard(&self, status: &Value, family: Family) -> Result<(), String> {
        let records = fs::read_to_string(self.daemon.file("records")).unwrap_or_default();
        let name = family.name();
        let last = |begin: &str| {
            records
                .lines()
                .rfind(|line| line.starts_with(begin) && line.contains(&format!(":{name}:")))
        };
        for provider in &self.lab.providers {
            let path = super::inspect::path(status, &provider.name, name);
            let state = path["state"].as_str().unwrap_or_default();
            let id = &provider.name;
            let (mut heard, mut at) = ([None; 2], 0);
            for line in records
                .lines()
                .filter(|line| line.contains(&format!(":{id}:{name}:")))
            {
                at += 1;
                for (place, action) in ["online:", "offline:"].iter().enumerate() {
                    if line.starts_with(action) {
                        heard[place] = Some(at);
                    }
                }
            }
            let is_online = match heard {
                [None, None] => continue,
                [online, offline] => online > offline,
            };
            // A pin tells of no path.
            let is_told = ["online", "offline", "waiting"].contains(&state);
            if is_told && is_online != (state == "online") {
                return Err(format!(
                    "hooks heard {is_online} of {id}: {path:#}\n{records}"
                ));
            }
        }
        let Some(swap) = last("swap:") else {
            return Ok(());
        };
        let overridden = !status["overridden_by"][name].is_null();
        let leads = status["active"][name]
            .as_str()
            .filter(|_| !overridden)
            .unwrap_or_default();
        let right = swap.ends_with(&format!(":{leads}:"));
        right
            .then_some(())
            .ok_or_else(|| format!("{swap}, but {leads} leads: {records}"))
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn walks(seed: u64) {
    in_lab(|| {
        let seed = number("WALK_SEED").unwrap_or(seed);
        let steps = number("WALK_STEPS").map_or(STEPS, |steps| usize::try_from(steps).unwrap());
        println!("WALK_SEED={seed} WALK_STEPS={steps}");
        let lab = Lab::new();
        super::manual::devices(&lab);
        let mut walk = Walk::new(&lab, seed);
        walk.settles(true);
        for step in 1..=steps {
            walk.step();
            walk.settles(step % OFTEN == 0);
            if step % 100 == 0 {
                println!("seed {seed}: {step} steps");
            }
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
            // One in the swap table carries, unless one that refuses is found before it.
            lab.router
                .batch(family, "route add default dev mgmt0 table 176 metric 101");
            let by = serde_json::json!({"device": "mgmt0", "metric": 101, "table": 176});
            let so = || daemon.status()["fallback"][name] == by;
            assert!(wait_until(SOON, so), "{:#}", daemon.status());
            assert_eq!(way().as_deref(), Some("mgmt0"));
            lab.router
                .batch(family, "route add prohibit default metric 20");
            assert!(wait_until(SOON, none), "{:#}", daemon.status());
            assert_eq!(way(), None);
            let head = format!("{name} is refused by the default route of metric 20 in main");
            assert!(daemon.must(&["status"]).contains(&head));
        }
    });
}
