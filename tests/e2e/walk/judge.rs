//! Whether what the status says is so, and whether the kernel has exactly what it should have of ours.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::inspect::{path, provider};
use super::super::lab::{Daemon, Family, Lab};
use super::super::{OURS, TABLE};
use super::picture::{Address, Link, Picture, Route, Way};
use super::steps::{Terms, mark};

const MAIN: u32 = 254;
/// The policy table of the first provider.
const POLICY: u32 = 17601;
/// The metric of default routes in policy tables.
const POLICY_METRIC: u32 = 176;

/// All that a judgement is made from.
pub(super) struct Judge<'a> {
    pub(super) lab: &'a Lab,
    pub(super) terms: &'a Terms,
    pub(super) status: Value,
    pub(super) family: Family,
    pub(super) kernel: Picture,
}

/// `unreachable`, by its number (`FR_ACT_UNREACHABLE`).
const REFUSES: &str = "from all action 7";

type Verdict = Result<(), String>;

/// Wrong unless it is so.
fn so(is: bool, wrong: impl FnOnce() -> String) -> Verdict {
    if is { Ok(()) } else { Err(wrong()) }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

impl<'a> Judge<'a> {
    /// Takes the status, and the kernel's picture after it.
    pub(super) fn new(
        lab: &'a Lab,
        daemon: &Daemon,
        terms: &'a Terms,
        family: Family,
    ) -> Judge<'a> {
        let status = daemon.status();
        let target = super::target(family);
        let mut questions = vec![target.to_string()];
        for (place, provider) in lab.providers.iter().enumerate() {
            let path = path(&status, &provider.name, family.name());
            let none = if family == Family::V4 {
                "0.0.0.0"
            } else {
                "::"
            };
            let own = path["address"].as_str().unwrap_or(none);
            questions.push(format!("{target} oif {}", provider.device));
            questions.push(format!("{target} from {own}"));
            questions.push(format!("{target} mark {}", mark(place)));
        }
        let kernel = Picture::take(lab, family, &questions);
        Judge {
            lab,
            terms,
            status,
            family,
            kernel,
        }
    }

    fn way(&self) -> Option<&Way> {
        self.kernel.answers[0].as_ref()
    }

    /// By its device, from its address, with its mark.
    fn ways(&self, place: usize) -> &[Option<Way>] {
        &self.kernel.answers[1 + 3 * place..][..3]
    }

    fn path(&self, place: usize) -> &Value {
        let id = &self.lab.providers[place].name;
        path(&self.status, id, self.family.name())
    }

    fn is_pinned(&self, place: usize) -> bool {
        self.status["pinned"] == *self.lab.providers[place].name
    }

    /// Whether it is disabled by hand.
    fn is_disabled(&self, place: usize) -> bool {
        provider(&self.status, &self.lab.providers[place].name)["disabled"] == true
    }

    /// Whether it is certainly usable, in the sense of the documentation.
    fn is_usable(&self, place: usize) -> bool {
        let path = self.path(place);
        let free = self.status["pinned"].is_null() && !self.is_disabled(place);
        let works = path["state"] == "online" && free;
        let pinned = path["state"] != "waiting" && self.is_pinned(place);
        path["installed"] == true && (works || pinned)
    }

    fn device(&self, place: usize) -> &str {
        &self.lab.providers[place].device
    }

    /// The providers that the configuration does not disable.
    fn places(&self) -> impl Iterator<Item = usize> {
        let enabled = self.terms.enabled;
        (0..2).filter(move |place| enabled[*place])
    }

    fn warnings(&self, code: &'static str) -> impl Iterator<Item = &Value> {
        let all = self.status["warnings"].as_array().into_iter().flatten();
        all.filter(move |warning| warning["code"] == code)
    }

    /// Whether a warning speaks of this family.
    fn warned(&self, code: &'static str) -> bool {
        let name = self.family.name();
        self.warnings(code).any(|warning| {
            warning["text"]
                .as_str()
                .is_some_and(|text| text.contains(name))
        })
    }

    /// All of it; the first that is wrong.
    pub(super) fn judge(&self) -> Verdict {
        self.says_by_what_packets_leave()?;
        self.uplinks_are_as_told()?;
        self.routes_are_as_told()?;
        self.rules_are_whole()?;
        self.certain_ways_are_kept()?;
        self.the_best_leads()?;
        self.warnings_are_right()
    }

    fn told(&self, of: &str) -> &Value {
        &self.status[of][self.family.name()]
    }

    fn leader(&self) -> Option<usize> {
        let id = self.told("active").as_str()?;
        self.lab.providers.iter().position(|p| p.name == id)
    }

    fn says_by_what_packets_leave(&self) -> Verdict {
        let way = self.way().map(|way| way.device.clone());
        let [by, fallback] = ["overridden_by", "fallback"].map(|of| text(&self.told(of)["device"]));
        let leader = self.leader();
        so(leader.is_none() || fallback.is_none(), || {
            format!("{leader:?} leads, and {fallback:?} carries")
        })?;
        if let Some(place) = leader {
            let path = self.path(place);
            so(path["installed"] == true, || {
                format!("the leader has no route: {path:#}")
            })?;
        }
        let name = self.family.name();
        let diversion = self
            .warnings("diverted")
            .find(|warning| warning["family"] == name);
        let overridden = self.overridden_in_swap_table();
        let told = match (diversion, &by) {
            (Some(diversion), _) => text(&diversion["device"]),
            (None, Some(_)) => by,
            (None, None) => overridden
                .or(leader.map(|place| self.device(place).to_owned()))
                .or(fallback),
        };
        so(told == way, || {
            format!("leaves by {way:?}, told is {told:?}")
        })?;
        match (leader, self.way()) {
            (Some(place), Some(way)) if diversion.is_none() && way.device == self.device(place) => {
                let gateway = text(&self.path(place)["gateway"]);
                so(way.gateway == gateway, || {
                    format!("leaves by {way:?}, told is {gateway:?}")
                })
            }
            _ => Ok(()),
        }
    }

    /// The device of a default route of others in the swap table that wins over all of ours, which the status tells.
    fn overridden_in_swap_table(&self) -> Option<String> {
        let metric = self.path(self.leader()?)["overridden_by"].as_u64()?;
        let mut foreign = self.kernel.foreign(TABLE);
        let route = foreign.find(|route| u64::from(route.metric) == metric)?;
        Some(route.ways[0].device.clone())
    }

    /// What is learned of an uplink, and why it waits.
    fn uplinks_are_as_told(&self) -> Verdict {
        for place in self.places() {
            let path = self.path(place);
            let (reason, name) = (text(&path["reason"]), self.device(place));
            let waits = path["state"] == "waiting";
            let wrong = |what: &str| format!("{what}: {path:#}");
            let Some(link) = self.kernel.link(name) else {
                so(waits && reason.as_deref() == Some("no device"), || {
                    wrong("no device")
                })?;
                continue;
            };
            let expected = match (
                link.up,
                link.carrier,
                self.has_address(place, link),
                self.has_way(place),
            ) {
                (false, ..) => Some("down"),
                (_, false, ..) => Some("no carrier"),
                (_, _, false, _) => Some("no address"),
                (.., false) => Some("no gateway"),
                _ => None,
            };
            if waits && reason.as_deref() == Some("route refused") {
                so(self.is_refused_by_kernel(place), || wrong("not refused"))?;
                continue;
            }
            match expected {
                // The kernel may choose another device's (RFC 6724).
                Some("no address") if !waits => {}
                Some(expected) => so(waits && reason.as_deref() == Some(expected), || {
                    wrong(expected)
                })?,
                None => so(!waits, || wrong("waits for nothing"))?,
            }
            let routable = link.up && self.has_address(place, link) && self.has_way(place);
            if routable || self.has_address(place, link) {
                so((path["installed"] == true) == routable, || {
                    wrong("installed")
                })?;
            }
            if path["installed"] == true {
                self.is_learned(place, path)?;
            }
            let settled = path["state"] != "probing" || self.is_pinned(place);
            so(settled, || wrong("not settled"))?;
        }
        Ok(())
    }

    /// Defaults of others that name a gateway of this path's device: those in `main` come first.
    fn learned(&self, place: usize) -> Vec<&Route> {
        let device = self.device(place);
        let by_device = |route: &&Route| {
            route.destination == "default"
                && route.unicast
                && route.protocol != OURS
                && route.ways.iter().any(|way| way.device == device)
        };
        let ours = |table: u32| table == TABLE || (POLICY..POLICY + 64).contains(&table);
        let all = self.kernel.routes.iter().filter(by_device);
        let rank = |route: &Route| (route.table != MAIN, route.metric);
        let mut found: Vec<&Route> = all.filter(|route| !ours(route.table)).collect();
        let best = found.iter().map(|route| rank(route)).min();
        found.retain(|route| Some(rank(route)) == best);
        found
    }

    fn has_way(&self, place: usize) -> bool {
        self.terms.gateways[place] || !self.learned(place).is_empty()
    }

    fn has_address(&self, place: usize, link: &Link) -> bool {
        let v4 = self.family == Family::V4;
        let fits = |address: &Address| address.usable && (v4 || !address.near);
        let sources = self.learned(place);
        let named = sources.iter().any(|route| route.source.is_some());
        link.addresses.iter().any(fits) || (v4 && named)
    }

    /// Whether the kernel refuses a default route by the gateway of this path, in a table that no rule uses: also one that is
    /// on the link, as where another device has a route to half of the Internet, which has the gateway.
    fn is_refused_by_kernel(&self, place: usize) -> bool {
        let (path, device) = (self.path(place), self.device(place));
        let gateway = path["gateway"].as_str().unwrap_or_default();
        let option = if self.family == Family::V4 {
            "-4"
        } else {
            "-6"
        };
        ["", " onlink"].iter().all(|flag| {
            let route = format!("default via {gateway} dev {device} table 299{flag}");
            let run = |verb: &str| {
                let line = format!("ip {option} route {verb} {route}");
                let words: Vec<&str> = line.split(' ').collect();
                self.lab.router.output(&words).status.success()
            };
            !(run("add") && run("del"))
        })
    }

    /// Gateway and own address are those of the kernel.
    fn is_learned(&self, place: usize, path: &Value) -> Verdict {
        let (gateway, device) = (text(&path["gateway"]), self.device(place));
        let known: Vec<Option<String>> = match self.terms.gateways[place] {
            true => vec![Some(
                self.lab.providers[place]
                    .gateway_address(self.family)
                    .to_string(),
            )],
            false => {
                let ways = self
                    .learned(place)
                    .into_iter()
                    .flat_map(|route| &route.ways);
                ways.filter(|way| way.device == device)
                    .map(|way| way.gateway.clone())
                    .collect()
            }
        };
        so(known.contains(&gateway), || {
            format!("{gateway:?} is none of {known:?}: {path:#}")
        })?;
        let own = text(&path["address"]).unwrap_or_default();
        let holders = self
            .kernel
            .links
            .iter()
            .filter(|link| link.addresses.iter().any(|a| a.own == own));
        let here = self
            .kernel
            .link(device)
            .is_some_and(|link| !link.addresses.is_empty());
        let held = holders
            .map(|link| &link.name)
            .any(|name| name == device || self.family == Family::V6 || !here);
        so(held, || format!("{own} is not its own: {path:#}"))
    }

    /// Ours are those that the status tells, and no others.
    fn routes_are_as_told(&self) -> Verdict {
        let default = || "default".to_owned();
        let mut wanted: Vec<(u32, String, u32, String)> = Vec::new();
        let (mut found, mut ways) = (Vec::new(), Vec::new());
        let mut hops = 0;
        for place in self.places() {
            let path = self.path(place);
            let device = self.device(place).to_owned();
            let table = POLICY + u32::try_from(place).unwrap();
            if path["installed"] != true {
                // What a refused one was to replace stays.
                if path["reason"] == "route refused" {
                    ways.push((table, default(), POLICY_METRIC, device));
                }
                continue;
            }
            hops += 1;
            let metric = path["metric"]
                .as_u64()
                .and_then(|m| u32::try_from(m).ok())
                .unwrap_or(0);
            wanted.push((TABLE, default(), metric, device.clone()));
            wanted.push((table, default(), POLICY_METRIC, device.clone()));
            // The way to the gateway, unless that was learned as on the link.
            if let Some(gateway) = text(&path["gateway"]) {
                let of_family = gateway.contains(':') == (self.family == Family::V6);
                if of_family && !gateway.starts_with("fe80:") {
                    ways.push((table, gateway, POLICY_METRIC, device));
                }
            }
        }
        let mut in_main = 0;
        for route in self
            .kernel
            .routes
            .iter()
            .filter(|route| route.protocol == OURS)
        {
            so(route.ways.len() == 1 && route.unicast, || {
                format!("not one way: {route:?}")
            })?;
            if route.table == MAIN {
                in_main += 1;
                continue;
            }
            let device = route.ways[0].device.clone();
            let one = (route.table, route.destination.clone(), route.metric, device);
            if let Some(place) = ways.iter().position(|way| *way == one) {
                ways.remove(place);
            } else {
                found.push(one);
            }
        }
        wanted.sort();
        found.sort();
        so(wanted == found, || {
            format!("routes {found:?}, not {wanted:?}")
        })?;
        let passed = self.passes_error_route();
        // A gateway in half of the Internet that another device leads to is refused, even on the link.
        let refused = in_main < hops && self.warnings("route-refused").next().is_some();
        let right = match passed {
            true => in_main == hops || refused,
            false => in_main == 0,
        };
        so(right, || {
            format!("{in_main} of ours in main, {hops} can have one: {passed}")
        })?;
        let mut swap: Vec<_> = found.iter().filter(|route| route.0 == TABLE).collect();
        swap.sort_by_key(|route| route.2);
        let first = swap.first().map(|route| route.3.clone());
        let leads = self.leader().map(|place| self.device(place).to_owned());
        so(
            first == leads || (leads.is_none() && self.is_refused()),
            || format!("{first:?} is the first, {leads:?} leads"),
        )
    }

    /// Whether `last_resort` refuses all traffic.
    fn is_refused(&self) -> bool {
        let mut rules = self.kernel.rules.iter();
        rules.any(|rule| rule.ours && rule.pref == 33900 && rule.text == REFUSES)
    }

    /// The best default route in `main` that refuses, and whether a better one there spares what it refuses.
    fn error_route(&self) -> Option<(u32, bool)> {
        let in_main = || {
            self.kernel
                .foreign(MAIN)
                .filter(|route| route.from.is_none())
        };
        let metric = in_main()
            .filter(|route| !route.unicast)
            .map(|route| route.metric)
            .min()?;
        let best = in_main().map(|route| route.metric).min();
        Some((metric, best != Some(metric)))
    }

    fn passes_error_route(&self) -> bool {
        self.error_route()
            .is_some_and(|(metric, _)| metric >= self.terms.start_metric)
    }

    /// The default route in `main` that prevails over ours, if any: its device; and whether there is one that is doubted.
    fn manual(&self) -> (Option<String>, bool) {
        let none = (None, false);
        let in_main = || {
            self.kernel
                .foreign(MAIN)
                .filter(|route| route.from.is_none())
        };
        let Some(metric) = in_main().map(|route| route.metric).min() else {
            return none;
        };
        let best: Vec<&Route> = in_main().filter(|route| route.metric == metric).collect();
        let named = |route: &&Route| {
            route
                .ways
                .iter()
                .any(|way| way.device.starts_with("eth") || way.device.is_empty())
        };
        if self.terms.obeys == "0"
            || best.iter().any(|route| !route.unicast)
            || best.iter().any(named)
        {
            return none;
        }
        let route = best[best.len() - 1];
        let Some(link) = self.kernel.link(&route.ways[0].device) else {
            return none;
        };
        let plain = metric == if self.family == Family::V4 { 0 } else { 1024 };
        let low = metric < self.terms.start_metric;
        if !low && !plain {
            return none;
        }
        let by_itself = [16, 9].contains(&route.protocol);
        if self.terms.obeys == "1" {
            return (Some(link.name.clone()), false);
        }
        match link.ethernet && (plain || by_itself) {
            true => (None, true),
            false if low || link.point_to_point => (Some(link.name.clone()), false),
            false => none,
        }
    }

    /// Ours are those that the state demands, each once.
    fn rules_are_whole(&self) -> Verdict {
        let first = self.terms.first;
        let v4 = self.family == Family::V4;
        // How often each must be there, and whether it may be.
        let mut wanted: BTreeMap<(u32, String), bool> = BTreeMap::new();
        let mut add = |pref: u32, text: &str, must: bool| {
            wanted.insert((pref, text.to_owned()), must);
        };
        if !self.kernel.has_before(first, "from all lookup 255") {
            add(first - 1, "from all lookup 255", true);
        }
        let nowhere = if v4 { "0.0.0.0" } else { "::" };
        let specific = &format!("not from all to {nowhere} lookup 254 suppress_prefixlength 0");
        let any = self
            .places()
            .any(|place| self.path(place)["installed"] == true);
        if any || !self.passes_error_route() {
            add(first, specific, true);
        }
        let mut sources = Vec::new();
        for place in self.places() {
            let slot = u32::try_from(place).unwrap();
            let (path, table, device) = (self.path(place), POLICY + slot, self.device(place));
            let installed = path["installed"] == true;
            let usable = self.is_usable(place);
            let may_be = usable || installed && path["state"] == "probing";
            if may_be {
                add(
                    first + 1 + slot,
                    &format!("from all fwmark {}/0xff lookup {table}", mark(place)),
                    usable,
                );
            }
            add(
                first + 1330 + slot,
                &format!("from all oif {device} lookup {table}"),
                true,
            );
            sources.push((
                first + 300 + 16 * slot,
                format!(" iif lo lookup {table}"),
                device,
                path,
            ));
            for route in self.kernel.routes.iter().filter(|_| !v4) {
                let by = route.ways.iter().any(|way| way.device == device);
                if let Some(from) = route.from.as_ref().filter(|_| by && may_be) {
                    add(
                        32900 + 15 * slot,
                        &format!("from {from} lookup {table}"),
                        usable,
                    );
                }
            }
        }
        add(32800, specific, true);
        match self.is_refused() {
            true => add(33900, REFUSES, self.terms.refuses),
            false => add(33900, "from all lookup 176", true),
        }
        add(33901, "from all lookup 254", true);
        if v4 && self.kernel.has_before(32800, "from all lookup 253") {
            add(33902, "from all lookup 253", true);
        }
        if self.told("overridden_by").is_null() {
            add(self.terms.catch_all, "from all goto 32800", true);
        }
        let mut found = Vec::new();
        for rule in self.kernel.rules.iter().filter(|rule| rule.ours) {
            let one = (rule.pref, rule.text.clone());
            so(!found.contains(&one), || format!("there twice: {rule:?}"))?;
            let of_source = sources.iter().find(|source| source.0 == rule.pref);
            match of_source {
                Some((_, end, device, path)) => {
                    let prefix = rule
                        .text
                        .strip_prefix("from ")
                        .and_then(|rest| rest.strip_suffix(end));
                    let own = path["address"].as_str().unwrap_or_default();
                    let is =
                        prefix.is_some_and(|prefix| prefix == own || self.holds(device, prefix));
                    so(is, || format!("not by its address: {rule:?}"))?;
                }
                None => so(
                    wanted.contains_key(&one) || self.is_stale_prefix(&one),
                    || format!("not demanded: {rule:?}"),
                )?,
            }
            found.push(one);
        }
        let missing = wanted
            .iter()
            .find(|(rule, must)| **must && !found.contains(rule));
        so(missing.is_none(), || format!("missing: {missing:?}"))?;
        for (pref, _, device, _) in &sources {
            let addresses = self
                .kernel
                .link(device)
                .into_iter()
                .flat_map(|link| &link.addresses);
            for address in addresses.filter(|a| !a.own.starts_with("fe80:")) {
                let covers = |text: &str| {
                    let prefix = text
                        .strip_prefix("from ")
                        .and_then(|rest| rest.split(' ').next());
                    prefix.is_some_and(|prefix| contains(prefix, &address.own))
                };
                let covered = found.iter().any(|(at, text)| at == pref && covers(text));
                so(covered, || format!("no rule for {address:?} of {device}"))?;
            }
        }
        Ok(())
    }

    /// Prefixes stay known while the uplink that told them is gone.
    fn is_stale_prefix(&self, (pref, text): &(u32, String)) -> bool {
        let slot = match pref {
            32900 => 1,
            32915 => 2,
            _ => return false,
        };
        self.family == Family::V6
            && *text == format!("from 2001:db8:{slot}::/64 lookup {}", POLICY - 1 + slot)
    }

    /// Whether a prefix is the network of an address of the device, or the address.
    fn holds(&self, device: &str, prefix: &str) -> bool {
        let addresses = self
            .kernel
            .link(device)
            .into_iter()
            .flat_map(|link| &link.addresses);
        addresses.into_iter().any(|a| {
            let length = prefix
                .split_once('/')
                .and_then(|(_, length)| length.parse().ok());
            contains(prefix, &a.own) && length.is_none_or(|length: u32| length == a.length)
        })
    }

    /// What must go a certain way does: by its device, from its address, with its mark.
    fn certain_ways_are_kept(&self) -> Verdict {
        // One of others that stands before ours takes what has no device.
        let before = self
            .kernel
            .rules
            .iter()
            .filter(|rule| !rule.ours && rule.pref < self.terms.first);
        let mut taken =
            before.filter(|rule| rule.pref > 5209 && !rule.text.ends_with("lookup 255"));
        let taken = taken.any(|_| true);
        let halved = self
            .kernel
            .routes
            .iter()
            .any(|r| r.table == MAIN && ["0.0.0.0/1", "2000::/3"].contains(&&*r.destination));
        let refused = self
            .error_route()
            .is_some_and(|(metric, _)| metric < self.terms.start_metric);
        // An address that two paths have tells none of them.
        let shared = self.path(0)["address"] == self.path(1)["address"];
        for place in self.places() {
            let path = self.path(place);
            if path["installed"] != true {
                continue;
            }
            let device = self.device(place);
            let gateway = text(&path["gateway"]);
            let [by_device, from, marked] = self.ways(place) else {
                unreachable!("three are asked")
            };
            let goes = |way: &Option<Way>| {
                way.as_ref()
                    .is_some_and(|way| way.device == device && way.gateway == gateway)
            };
            so(goes(by_device) || refused, || {
                format!("by {device}: {by_device:?}: {path:#}")
            })?;
            let free = !taken && !halved && !refused;
            so(goes(from) || !free || shared, || {
                format!("from {}: {from:?}", path["address"])
            })?;
            let usable = self.is_usable(place);
            so(goes(marked) || !free || !usable, || {
                format!("with the mark of {device}: {marked:?}")
            })?;
        }
        Ok(())
    }

    /// No provider leads that does not work, while another does.
    fn the_best_leads(&self) -> Verdict {
        let Some(leader) = self.leader() else {
            let any = self
                .places()
                .any(|place| self.path(place)["installed"] == true);
            return so(!any || self.is_refused(), || "none leads".to_owned());
        };
        let pinned = self.status["pinned"].as_str();
        let name = |place: usize| self.lab.providers[place].name.as_str();
        if pinned.is_some() {
            let place = self.places().find(|place| Some(name(*place)) == pinned);
            let leads =
                place.is_none_or(|place| place == leader || self.path(place)["installed"] != true);
            return so(leads, || format!("{pinned:?} is pinned, {leader} leads"));
        }
        let order = self
            .terms
            .order()
            .map(|id| (0..2).find(|place| name(*place) == id).unwrap());
        let best = order
            .into_iter()
            .find(|place| self.terms.enabled[*place] && self.is_usable(*place));
        so(best.is_none_or(|best| best == leader), || {
            format!("{best:?} is better than {leader}")
        })
    }

    fn warnings_are_right(&self) -> Verdict {
        let (manual, doubted) = self.manual();
        let told = text(&self.told("overridden_by")["device"]);
        so(manual == told, || {
            format!("{manual:?} prevails, told is {told:?}")
        })?;
        so(self.warned("foreign-default") == doubted, || {
            format!("doubted: {doubted}")
        })?;
        let error = self.error_route();
        so(self.warned("error-route") == error.is_some(), || {
            format!("refuses: {error:?}")
        })?;
        let kernels = ["lookup 255", "lookup 254", "lookup 253"];
        let jump = "from all goto 32800";
        let behind = self
            .kernel
            .rules
            .iter()
            .skip_while(|rule| !rule.ours || rule.text != jump);
        let behind = behind.take_while(|rule| rule.pref < 32800).any(|rule| {
            let is_kernels = kernels.iter().any(|end| rule.text.ends_with(end));
            !rule.ours && !is_kernels
        });
        let yields = manual.is_some();
        let right = self.warned("rules-behind") == behind || yields;
        so(right, || format!("behind: {behind}"))?;
        for code in [
            "route-refused",
            "rule-refused",
            "overflow",
            "config-refused",
        ] {
            so(!self.warned(code), || {
                format!("{code}: {:#}", self.status["warnings"])
            })?;
        }
        Ok(())
    }
}

/// Whether a prefix, or an address, has an address in it.
fn contains(prefix: &str, address: &str) -> bool {
    let (network, length) = prefix.split_once('/').unwrap_or((prefix, "128"));
    let bits = |text: &str| match text.parse() {
        Ok(std::net::IpAddr::V4(v4)) => (u128::from(v4.to_bits()) << 96, 32),
        Ok(std::net::IpAddr::V6(v6)) => (v6.to_bits(), 128),
        Err(_) => (0, 0),
    };
    let ((network, most), (address, same)) = (bits(network), bits(address));
    let length: u32 = length.parse().unwrap_or(most).min(most);
    most == same && (length == 0 || (network ^ address) >> (128 - length) == 0)
}
