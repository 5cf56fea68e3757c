//! A router with three uplinks in a network namespace, on which a layout is installed with `ip`.

use std::net::IpAddr;
use std::process::Command;

use failover::config::{Config, Provider};
use failover::engine::{Plan, RankedPath};
use failover::routing::delegated::Delegated;
use failover::routing::diff::{changes, removal};
use failover::routing::layout::{Situation, Tables, Wanted};
use failover::routing::objects::{Change, Extras, Route, RouteKind, Rule, RuleVerdict, Selector};
use failover::routing::uplink::Uplink;
use failover::types::{Family, Mark, MarkMask, Metric, PROTOCOL, Prefix, Slot};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};

#[path = "../../src/config/fixture.rs"]
mod fixture;

/// An address in the Internet, by family.
pub(crate) const TARGET: [&str; 2] = ["192.0.2.200", "2001:db8:ffff::1"];

const DEVICES: [&str; 3] = ["eth1", "eth2", "eth3"];

pub(crate) struct Router {
    pub(crate) family: Family,
    pub(crate) config: Config,
    pub(crate) plan: Plan,
    /// by slot
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) tables: Tables,
    pub(crate) marks: Option<MarkMask>,
    pub(crate) handed_over: u64,
    pub(crate) delegated: Delegated,
    /// the last wanted layout
    pub(crate) wanted: Wanted,
}

impl Router {
    /// Moves this thread into a new namespace with three devices, each with a network, all up.
    pub(crate) fn new(family: Family) -> Router {
        unshare(CloneFlags::CLONE_NEWNET).expect("run me as root: a namespace is needed");
        let mut config = Config::default();
        let target = fixture::ping(TARGET[family as usize]);
        config.checks.push(target).unwrap();
        let slots = 0..u8::try_from(DEVICES.len()).unwrap();
        for slot in slots.clone() {
            config.providers.push(provider(slot)).unwrap();
        }
        let mut router = Router {
            family,
            config,
            plan: Plan::default(),
            uplinks: slots.clone().map(|slot| uplink(family, slot)).collect(),
            tables: Tables::new(),
            marks: None,
            handed_over: 0,
            delegated: Delegated::new(),
            wanted: Wanted::new(),
        };
        router.order(&slots.collect::<Vec<_>>());
        for (slot, device) in DEVICES.into_iter().enumerate() {
            router.ip(&format!("link add {device} type veth peer name peer{slot}"));
            router.ip(&format!("link set peer{slot} up"));
            router.ip(&format!("link set {device} up"));
            router.restore_address(slot);
            router.uplinks[slot].index = if_nametoindex(device).unwrap();
        }
        router
    }

    /// Plans these slots in this order, all with rules.
    pub(crate) fn order(&mut self, slots: &[u8]) {
        let hop = |&slot: &u8| RankedPath {
            slot: Slot(slot),
            usable: true,
        };
        self.plan.order = slots.iter().map(hop).collect();
    }

    pub(crate) fn address(&self, slot: usize) -> IpAddr {
        self.uplinks[slot].address.unwrap()
    }

    pub(crate) fn gateway(&self, slot: usize) -> IpAddr {
        host(self.family, u8::try_from(slot).unwrap(), 1)
    }

    /// Gives a device its address.
    pub(crate) fn restore_address(&self, slot: usize) {
        let network = self.uplinks[slot].network.unwrap();
        let nodad = if self.family == Family::V6 {
            " nodad"
        } else {
            ""
        };
        let device = DEVICES[slot];
        self.ip(&format!("addr replace {network} dev {device}{nodad}"));
    }

    /// Adds another address in the same network to a device, beside the old one; returns the prefix length.
    pub(crate) fn renew(&mut self, slot: usize) -> u8 {
        let length = self.uplinks[slot].network.unwrap().prefix_len();
        let new = host(self.family, u8::try_from(slot).unwrap(), 9);
        self.uplinks[slot].address = Some(new);
        self.uplinks[slot].network = Some(Prefix::new(new.into(), length));
        // Otherwise the new address would be secondary, and be deleted with the old one.
        let promote = "/proc/sys/net/ipv4/conf/all/promote_secondaries";
        std::fs::write(promote, "1").unwrap();
        self.restore_address(slot);
        length
    }

    /// Installs the layout. Asserts that there is a default route at every moment if there was one, that foreign routes are
    /// unchanged, and that no change is left to make. Returns the number of changes.
    pub(crate) fn settle(&mut self) -> usize {
        self.carry_out(usize::MAX, true)
    }

    /// The same if routes may be missing before.
    pub(crate) fn settle_from_outage(&mut self) -> usize {
        self.carry_out(usize::MAX, false)
    }

    /// Makes only so many changes, as if killed.
    pub(crate) fn settle_partly(&mut self, most: usize) {
        self.carry_out(most, true);
    }

    /// The number of changes to make.
    pub(crate) fn count(&mut self) -> usize {
        self.plan_changes().len()
    }

    fn carry_out(&mut self, most: usize, must_lead: bool) -> usize {
        let todo = self.plan_changes();
        let foreign = self.foreign();
        let led = self.way("").is_some();
        for change in todo.iter().take(most) {
            self.ip(&self.command(change));
            let leads = self.way("").is_some() || self.plan.unreachable;
            assert!(leads || !led || !must_lead, "a hole after {change:?}");
            assert_eq!(self.foreign(), foreign, "after {change:?}");
        }
        if most >= todo.len() {
            assert_eq!(self.plan_changes(), [], "it should be done");
        }
        todo.len()
    }

    /// Deletes all of our routes and rules.
    pub(crate) fn remove(&mut self) {
        let foreign = self.foreign();
        let (routes, rules) = (self.routes(), self.rules());
        removal(self.family, &routes, &rules, &mut |change| {
            self.ip(&self.command(&change));
            true
        });
        assert_eq!(self.foreign(), foreign);
    }

    fn plan_changes(&mut self) -> Vec<Change> {
        let (routes, rules) = (self.routes(), self.rules());
        self.tables.choose(&self.config, &routes);
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.fill(&Situation {
            config: &self.config,
            family: self.family,
            plan: &self.plan,
            uplink: &|slot| self.uplinks.get(usize::from(slot.0)),
            tables: &self.tables,
            delegated: &self.delegated.list,
            resolvers: &[],
            addresses: &[],
            routes: &routes,
            rules: &rules,
            yields: false,
            marks: self.marks,
            handed_over: self.handed_over,
        });
        self.wanted = wanted;
        let mut todo = Vec::new();
        changes(self.family, &self.wanted, &routes, &rules, &mut |change| {
            todo.push(change);
            true
        });
        todo
    }

    /// The device of the route to the target, with further arguments for `ip route get`.
    pub(crate) fn way(&self, choice: &str) -> Option<&'static str> {
        let target = TARGET[self.family as usize];
        let answer = self.try_ip(&format!("route get {target} {choice}")).ok()?;
        let device = after(&answer, "dev")?;
        DEVICES.into_iter().find(|d| *d == device)
    }

    /// The default routes of a table, as `metric device`, by metric.
    pub(crate) fn table(&self, table: u32) -> Vec<String> {
        let mut routes = self.routes();
        routes.retain(|r| r.table == table && r.destination.prefix_len() == 0);
        routes.sort_by_key(|r| r.metric);
        let tell = |r: &Route| format!("{} {}", r.metric, self.name(r.device));
        routes.iter().map(tell).collect()
    }

    /// The number of our routes and rules.
    pub(crate) fn ours(&self) -> usize {
        let routes = self.routes().into_iter().map(|r| r.protocol);
        let rules = self.rules().into_iter().map(|r| r.protocol);
        routes.chain(rules).filter(|p| *p == PROTOCOL).count()
    }

    /// Every route and rule that is neither ours nor the kernel's, as printed by `ip`.
    fn foreign(&self) -> String {
        let routes = self.ip("-N route show table all");
        let rules = self.ip("-N rule show");
        let lines = routes.lines().chain(rules.lines());
        lines
            .filter(|line| after(line, "nexthop").is_none())
            .filter(|line| !matches!(after(line, "proto"), Some("176" | "2")))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// The routes that a mirror keeps: default routes and ours.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let text = self.ip("-N route show table all");
        let read = text.lines().filter_map(|line| self.read_route(line));
        read.filter(|r| r.destination.prefix_len() == 0 || r.protocol == PROTOCOL)
            .collect()
    }

    /// Parses a line of `ip -N route`; none if it is of a kind that is not kept.
    fn read_route(&self, line: &str) -> Option<Route> {
        let number = |key: &str, default: u32| {
            after(line, key).map_or(default, |word| word.parse().unwrap())
        };
        let address = |key: &str| after(line, key).map(|word| word.parse().unwrap());
        let device = after(line, "dev").map_or(0, |name| if_nametoindex(name).unwrap());
        Some(Route {
            table: number("table", 254),
            destination: prefix(self.family, line.split_whitespace().next()?)?,
            metric: Metric(number("metric", 0)),
            protocol: u8::try_from(number("proto", 3)).unwrap(),
            kind: match device {
                0 => RouteKind::Multipath,
                _ => RouteKind::Unicast,
            },
            device,
            gateway: address("via"),
            source: address("src"),
            onlink: line.split_whitespace().any(|word| word == "onlink"),
            from: None,
            extras: Extras::default(),
        })
    }

    fn rules(&self) -> Vec<Rule> {
        let text = self.ip("-N rule show");
        text.lines().map(|line| self.read_rule(line)).collect()
    }

    fn read_rule(&self, line: &str) -> Rule {
        let (pref, _) = line.split_once(':').unwrap();
        let selector = if let Some(mark) = after(line, "fwmark") {
            let (value, mask) = mark.split_once('/').unwrap();
            let hex = |word: &str| u32::from_str_radix(&word[2..], 16).unwrap();
            Selector::Mark(Mark {
                value: hex(value),
                mask: hex(mask),
            })
        } else if let Some(device) = after(line, "oif") {
            Selector::Oif(device.try_into().unwrap())
        } else {
            match after(line, "from").unwrap() {
                "all" => match after(line, "to") {
                    Some(to) => Selector::OwnTo(prefix(self.family, to).unwrap()),
                    None => Selector::All,
                },
                address => {
                    let prefix = prefix(self.family, address).unwrap();
                    match after(line, "iif") {
                        Some("lo") => Selector::OwnFrom(prefix),
                        _ => Selector::From(prefix),
                    }
                }
            }
        };
        let number = |key| after(line, key).map(|word| word.parse().unwrap());
        let verdict = match number("lookup") {
            None if line.contains("goto") => RuleVerdict::Goto(number("goto").unwrap()),
            None => RuleVerdict::Unreachable,
            Some(table) if line.contains("suppress_prefixlength 0") => {
                RuleVerdict::LookupSpecific(table)
            }
            Some(table) => RuleVerdict::Lookup(table),
        };
        Rule {
            family: self.family,
            pref: pref.parse().unwrap(),
            protocol: after(line, "proto").map_or(0, |word| word.parse().unwrap()),
            selector,
            verdict,
        }
    }

    /// The arguments of `ip` for a change.
    fn command(&self, change: &Change) -> String {
        match change {
            Change::SetRoute(route) => format!("route replace {}", self.describe(route, true)),
            Change::DeleteRoute(route) => format!("route del {}", self.describe(route, false)),
            Change::AddRule(rule) => format!("rule add {}", describe_rule(rule)),
            Change::DeleteRule(rule) => format!("rule del {}", describe_rule(rule)),
            Change::MoveRule(_) => panic!("ip adds no rule twice"),
        }
    }

    fn describe(&self, route: &Route, whole: bool) -> String {
        let (table, metric, protocol) = (route.table, route.metric, route.protocol);
        let mut words = match route.destination.prefix_len() {
            0 => "default".to_owned(),
            _ => route.destination.to_string(),
        };
        words += &format!(" table {table} metric {metric} proto {protocol}");
        if let Some(gateway) = route.gateway {
            words += &format!(" via {gateway}");
        } else if self.family == Family::V4 {
            words += " scope link";
        }
        if route.device != 0 {
            words += &format!(" dev {}", self.name(route.device));
        }
        if let Some(source) = route.source {
            words += &format!(" src {source}");
        }
        words + if route.onlink && whole { " onlink" } else { "" }
    }

    fn name(&self, index: u32) -> &'static str {
        let named = |device: &&str| if_nametoindex(*device) == Ok(index);
        DEVICES.into_iter().find(named).unwrap()
    }

    /// Runs `ip` for the family, and returns its output.
    pub(crate) fn ip(&self, command: &str) -> String {
        self.try_ip(command)
            .unwrap_or_else(|error| panic!("ip {command}: {error}"))
    }

    fn try_ip(&self, command: &str) -> Result<String, String> {
        let output = Command::new("/usr/sbin/ip")
            .arg(if self.family == Family::V4 {
                "-4"
            } else {
                "-6"
            })
            .args(command.split_whitespace())
            .output()
            .expect("ip should run");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

fn describe_rule(rule: &Rule) -> String {
    let selector = match &rule.selector {
        Selector::All => String::new(),
        Selector::Mark(mark) => format!("fwmark {:#x}/{:#x}", mark.value, mark.mask),
        Selector::From(prefix) => format!("from {prefix}"),
        Selector::OwnFrom(prefix) => format!("iif lo from {prefix}"),
        Selector::OwnTo(prefix) => format!("iif lo to {prefix}"),
        Selector::Oif(device) => format!("oif {device}"),
        Selector::Foreign => panic!("never asked for"),
    };
    let verdict = match rule.verdict {
        RuleVerdict::Lookup(table) => format!("lookup {table}"),
        RuleVerdict::LookupSpecific(table) => format!("lookup {table} suppress_prefixlength 0"),
        RuleVerdict::Unreachable => "unreachable".to_owned(),
        RuleVerdict::Goto(target) => format!("goto {target}"),
        RuleVerdict::Foreign => panic!("never asked for"),
    };
    let (pref, protocol) = (rule.pref, rule.protocol);
    format!("pref {pref} protocol {protocol} {selector} {verdict}")
}

/// The word that follows a word.
fn after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace()
        .skip_while(|word| *word != key)
        .nth(1)
}

/// `default`, an address, or one with a length; none for any other word.
fn prefix(family: Family, word: &str) -> Option<Prefix> {
    let (everything, longest) = match family {
        Family::V4 => ("0.0.0.0/0", 32),
        Family::V6 => ("::/0", 128),
    };
    let word = if word == "default" { everything } else { word };
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address, length.parse().ok()?),
        None => (word, longest),
    };
    let address: IpAddr = address.parse().ok()?;
    Some(Prefix::new(address.into(), length))
}

/// An address in the network of a slot: 1 is the gateway, 2 the router.
fn host(family: Family, slot: u8, number: u8) -> IpAddr {
    let text = match family {
        Family::V4 => {
            let network = ["192.0.2", "198.51.100", "203.0.113"][usize::from(slot)];
            format!("{network}.{number}")
        }
        Family::V6 => format!("2001:db8:{slot}::{number}"),
    };
    text.parse().unwrap()
}

fn uplink(family: Family, slot: u8) -> Uplink {
    let length = if family == Family::V4 { 25 } else { 64 };
    let address = host(family, slot, 2);
    Uplink {
        device: DEVICES[usize::from(slot)].try_into().unwrap(),
        address: Some(address),
        gateway: Some(host(family, slot, 1)),
        network: Some(Prefix::new(address.into(), length)),
        routable: true,
        ..Uplink::default()
    }
}

fn provider(slot: u8) -> Provider {
    let number = u32::from(slot) + 1;
    Provider {
        mark: Some(Mark {
            value: number,
            mask: 0xff,
        }),
        ..fixture::provider(&format!("isp{number}"), slot, DEVICES[usize::from(slot)])
    }
}
