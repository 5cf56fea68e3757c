//! Uplinks → the text of our configuration, within its bounds.

use super::Notes;
use super::interface::{Method, Target, WINDOW};
use super::sections::IGNORED;
use super::uplinks::{CHECK_PREFIXES, Uplink};
use crate::limits::{CHECKS_MAX, NAME_MAX, PROVIDERS_MAX};
use crate::types::Family;

/// The options of timing and verdict: the name, the unit, and what it is when nobody gives it. 0 is `none`.
const TIMING: [(&str, &str, u32); 10] = [
    ("interval", "s", 1),
    ("timeout", "s", 1),
    ("down", "", 3),
    ("up", "", 3),
    ("window", "", WINDOW),
    ("quorum", "", 1),
    ("max_loss", "%", 0),
    ("recover_loss", "%", NOT_GIVEN),
    ("max_latency", "ms", 0),
    ("recover_latency", "ms", NOT_GIVEN),
];
/// Of what has no threshold: no number at all.
const NOT_GIVEN: u32 = u32::MAX;
/// Connections are asked for so often, in seconds, when nobody says how often.
const TCP_INTERVAL: u32 = 5;

/// A provider, and all that is said of it.
struct Provider<'a> {
    uplink: &'a Uplink<'a>,
    /// one bit a check
    checks: u32,
    timing: Timing,
}

/// Values of [`TIMING`].
type Timing = [u32; TIMING.len()];

/// The text, and whether it is of any use: else it is one that does nothing.
pub(super) fn write(
    file: &str,
    uplinks: &[Uplink<'_>],
    last_resort: &str,
    notes: &mut Notes,
) -> (String, bool) {
    let (uplinks, too_many) = uplinks.split_at(uplinks.len().min(PROVIDERS_MAX));
    for uplink in too_many {
        uplink
            .first
            .note(&["too many interfaces: ", IGNORED], notes);
    }
    let checks = all_checks(uplinks, notes);
    let provider = |uplink| provider(uplink, uplinks, &checks, notes);
    let providers: Vec<Provider<'_>> = uplinks.iter().map(provider).collect();
    let asks = |one: &Provider<'_>| one.uplink.enabled && one.checks != 0;
    let usable = providers.iter().any(asks);
    let common = common(&providers);
    let mut text = Text(["# Made from ", file, HEAD].concat());
    text.section("globals", "globals");
    if !usable {
        notes.add(1, &[NOTHING]);
        text.push(&["\t# ", NOTHING, "\n"]);
        text.option("enabled", "0");
    }
    text.option("last_resort", last_resort);
    text.timing(&common, &TIMING.map(|(_, _, default)| default));
    for provider in &providers {
        text.provider(provider, &common, &checks);
    }
    for (number, target) in checks.iter().enumerate() {
        text.check(&check_name(number, &checks), target);
        let users = providers
            .iter()
            .filter(|one| one.checks & (1 << number) != 0);
        let interval = users.map(|one| one.uplink.first.timing.interval).min();
        if let (Method::Tcp { .. }, Some(interval @ ..TCP_INTERVAL)) = (target.method, interval) {
            text.option("interval", &[&interval.to_string(), "s"].concat());
        }
    }
    (text.0, usable)
}

const HEAD: &str = " by `failover import-mwan3`; it says on stderr what is not carried over.
# To switch over, when `failover check` finds nothing wrong:
#   /etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable
#   /etc/init.d/failover enable; /etc/init.d/failover restart
";
const NOTHING: &str = "no provider comes out that is enabled and has an address of its family to ping (track_ip): disabled";
const NO_TARGET: &str = "nothing to ping (track_ip): ";

/// Every target once, those of providers in use first, as many as there may be.
fn all_checks(uplinks: &[Uplink<'_>], notes: &mut Notes) -> Vec<Target> {
    let mut checks = Vec::new();
    for enabled in [true, false] {
        for uplink in uplinks.iter().filter(|uplink| uplink.enabled == enabled) {
            for one in uplink.interfaces() {
                for target in &one.targets {
                    if !checks.contains(target) {
                        checks.push(*target);
                    }
                }
                if checks.len() > CHECKS_MAX {
                    one.note(&["too many checks: not all of its are there"], notes);
                }
                checks.truncate(CHECKS_MAX);
            }
        }
    }
    checks
}

/// As type and target, if that is not too long, and no other check's.
fn check_name(number: usize, checks: &[Target]) -> String {
    let (before, target) = match checks.get(..=number).and_then(<[Target]>::split_last) {
        Some((target, before)) => (before, target),
        None => return String::new(),
    };
    let plain = |target: &Target| {
        let address = target.address.to_string().replace(['.', ':'], "_");
        [prefix(target), &address].concat()
    };
    let name = plain(target);
    if name.len() > NAME_MAX || before.iter().any(|other| plain(other) == name) {
        return [prefix(target), &number.to_string()].concat();
    }
    name
}

fn prefix(target: &Target) -> &'static str {
    let [ping, tcp, arp, ndp] = CHECK_PREFIXES;
    match (target.method, target.address.is_ipv4()) {
        (Method::Ping { .. }, _) => ping,
        (Method::Tcp { .. }, _) => tcp,
        (Method::Link, true) => arp,
        (Method::Link, false) => ndp,
    }
}

/// Those of the checks that ask these targets.
fn mask(checks: &[Target], targets: &[Target]) -> u32 {
    const { assert!(CHECKS_MAX <= 32) };
    let mut mask = 0;
    for (number, target) in checks.iter().enumerate() {
        mask |= u32::from(targets.contains(target)) << number;
    }
    mask
}

/// What the first uplink that has any checks of a family is asked there.
fn mask_of_best(checks: &[Target], uplinks: &[Uplink<'_>], family: Family) -> u32 {
    let of_family = |uplink: &Uplink<'_>| uplink.of(family).map(|one| mask(checks, &one.targets));
    let mut masks = uplinks.iter().filter_map(of_family);
    masks.find(|&mask| mask != 0).unwrap_or(0)
}

fn provider<'a>(
    uplink: &'a Uplink<'a>,
    uplinks: &[Uplink<'_>],
    all: &[Target],
    notes: &mut Notes,
) -> Provider<'a> {
    let mut checks = 0;
    let mut quorum = uplink.first.reliability;
    for one in uplink.interfaces() {
        let own = mask(all, &one.targets);
        checks |= own;
        if own != 0 {
            quorum = quorum.min(own.count_ones());
        }
    }
    if checks == 0 {
        checks = mask_of_best(all, uplinks, uplink.first.family);
        quorum = 1;
        let what = match checks {
            0 => "add a check of its family",
            _ => "asked what the best interface is asked",
        };
        uplink.first.note(&[NO_TARGET, what], notes);
    } else {
        for one in uplink.interfaces().filter(|one| one.targets.is_empty()) {
            let what = "online while it is up, if others are checked in its family";
            one.note(&[NO_TARGET, what], notes);
        }
    }
    let timing = uplink.first.timing;
    let none = (0, NOT_GIVEN);
    let loss = timing.quality.and_then(|quality| quality.loss);
    let (max_loss, recover_loss) = loss.unwrap_or(none);
    let (max_latency, recover_latency) = timing.quality.map_or(none, |quality| quality.latency);
    Provider {
        uplink,
        checks,
        timing: [
            timing.interval,
            timing.timeout,
            timing.down,
            timing.up,
            timing.window(),
            quorum,
            max_loss,
            recover_loss,
            max_latency,
            recover_latency,
        ],
    }
}

/// What most providers have, each value by itself; of equals that of the first in rank.
fn common(providers: &[Provider<'_>]) -> Timing {
    let mut common = TIMING.map(|(_, _, default)| default);
    for (place, common) in common.iter_mut().enumerate() {
        let mut most = 0;
        for one in providers {
            let value = one.timing[place];
            let alike = providers
                .iter()
                .filter(|other| other.timing[place] == value);
            let count = alike.count();
            if count > most {
                (most, *common) = (count, value);
            }
        }
    }
    common
}

/// Where the configuration grows.
struct Text(String);

impl Text {
    fn push(&mut self, parts: &[&str]) {
        self.0.extend(parts.iter().copied());
    }

    fn section(&mut self, kind: &str, name: &str) {
        self.push(&["\nconfig ", kind, " '", name, "'\n"]);
    }

    fn option(&mut self, name: &str, value: &str) {
        self.push(&["\toption ", name, " '", value, "'\n"]);
    }

    fn list(&mut self, name: &str, value: &str) {
        self.push(&["\tlist ", name, " '", value, "'\n"]);
    }

    fn check(&mut self, name: &str, target: &Target) {
        self.section("check", name);
        let kind = prefix(target).trim_end_matches('_');
        self.option("type", kind);
        self.option("target", &target.address.to_string());
        match target.method {
            Method::Ping { size, ttl } => {
                for (name, value) in [("size", size), ("ttl", ttl)] {
                    if value != 0 {
                        self.option(name, &value.to_string());
                    }
                }
            }
            Method::Tcp {
                port,
                accept_refused,
            } => {
                self.option("port", &port.to_string());
                if accept_refused {
                    self.option("accept_refused", "1");
                }
            }
            Method::Link => {}
        }
    }

    fn provider(&mut self, provider: &Provider<'_>, common: &Timing, checks: &[Target]) {
        self.section("provider", &provider.uplink.id);
        if !provider.uplink.enabled {
            self.option("enabled", "0");
        }
        for interface in provider.uplink.interfaces() {
            self.list("interface", interface.name());
        }
        self.timing(&provider.timing, common);
        // Without a list all of them are meant; one of another family comes to none.
        if provider.checks == mask(checks, checks) {
            return;
        }
        for number in 0..checks.len() {
            if provider.checks.max(1) & (1 << number) != 0 {
                self.list("check", &check_name(number, checks));
            }
        }
    }

    /// Those that are not said already.
    fn timing(&mut self, timing: &Timing, said: &Timing) {
        for (place, (name, unit, _)) in TIMING.into_iter().enumerate() {
            if timing[place] == said[place] {
                continue;
            }
            match timing[place] {
                NOT_GIVEN => self.option(name, "none"),
                0 if name.starts_with("max_") => self.option(name, "none"),
                value => self.option(name, &[&value.to_string(), unit].concat()),
            }
        }
    }
}
