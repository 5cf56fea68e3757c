//! Interfaces → uplinks: what mwan3 tracks, by our measures. An interface of IPv4 and one of IPv6 on the same device are one
//! uplink.

use std::net::IpAddr;

use super::Mwan3;
use super::order::Place;
use super::sections::{IGNORED, Section, device};
use crate::limits::{PATH_CHECKS_MAX, TIMEOUT_INTERVALS_MAX, WINDOW_MAX};
use crate::option::value;
use crate::types::Family;
use crate::wire::icmp::{PAYLOAD_LEN, PAYLOAD_MAX};

/// What becomes a provider.
#[derive(Debug)]
pub(super) struct Uplink<'a> {
    pub(super) id: String,
    pub(super) enabled: bool,
    /// one or two; the settings of the first count
    pub(super) interfaces: Vec<Interface<'a>>,
    pub(super) values: Values,
    /// its place in the policy of each family
    pub(super) places: [Option<Place>; 2],
    /// one bit per check that comes out
    pub(super) checks: u32,
}

/// One interface of netifd's in one family, as mwan3 knows it.
#[derive(Debug)]
pub(super) struct Interface<'a> {
    pub(super) section: &'a Section,
    pub(super) family: Family,
    /// see [`device`]; none when it is not known
    device: Option<String>,
    enabled: bool,
    pub(super) targets: Vec<Target>,
    values: Values,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) method: Method,
}

/// How it is asked: the type of a check, and its options. Those that are 0 are not given.
pub(super) type Method = (&'static str, [(&'static str, u32); 2]);

/// Seconds, rounds, checks, percents, milliseconds, as [`OPTIONS`] has them.
pub(super) type Values = [u32; OPTIONS.len()];

/// Our options of timing and verdict: the name, the unit, and what it is when it is not given.
pub(super) const OPTIONS: [(&str, &str, u32); 10] = [
    ("interval", "s", 1),
    ("timeout", "s", 1),
    ("down", "", 3),
    ("up", "", 3),
    ("window", "", WINDOW),
    ("quorum", "", 1),
    ("max_loss", "%", NONE),
    ("recover_loss", "%", NONE),
    ("max_latency", "ms", NONE),
    ("recover_latency", "ms", NONE),
];
pub(super) const INTERVAL: usize = 0;
pub(super) const QUORUM: usize = 5;
/// No threshold.
pub(super) const NONE: u32 = u32::MAX;

const QUORUM_MAX: u32 = 8;
const INTERVAL_MAX: u32 = 24 * 60 * 60;
const ROUNDS_MAX: u32 = 64;
/// Rounds that are remembered unless more of them are needed.
const WINDOW: u32 = 50;
/// Less of it 64 rounds do not show.
const LOSS_MIN: u32 = 2;
const LATENCY_MAX: u32 = 60 * 60 * 1000;
const _: () = {
    assert!(LOSS_MIN * ROUNDS_MAX >= 100 && (LOSS_MIN - 1) * ROUNDS_MAX < 100);
    assert!(QUORUM_MAX as usize == PATH_CHECKS_MAX);
    assert!(INTERVAL_MAX as u64 == crate::limits::INTERVAL_MAX.secs());
    assert!(ROUNDS_MAX as usize == WINDOW_MAX);
};

/// The names of the checks that come out begin so: with their type.
const CHECKS: [&str; 4] = ["ping_", "tcp_", "arp_", "ndp_"];
const HTTP: &str = "asked for a connection to port 80: a check of `type 'http'` asks for a page, if you know its status";
const HTTPS: &str = "asked for a connection to port 443: a check of `type 'exec'` asks for a page";
const PINGS: &str = "pings are sent instead: a check of `type 'exec'` runs any other program";
const BRING_IN: &str = "`list interface` and checks of its family bring it in";
const FEWER: &str = "there are fewer targets: here all of them must answer";
const ONE_WAITS: &str = "of two providers on one device, one waits";
const ONE_TIMING: &str = "a provider has one timing, and one quorum: that of";

impl<'a> Uplink<'a> {
    pub(super) fn first(&self) -> &'a Section {
        self.interfaces[0].section
    }

    pub(super) fn of(&self, family: Family) -> Option<&Interface<'a>> {
        self.interfaces.iter().find(|one| one.family == family)
    }

    fn shares_device(&self, other: &Uplink<'_>) -> bool {
        let mut others = other.interfaces.iter();
        let shared = |other: &Interface<'_>| {
            let mut own = self.interfaces.iter();
            other.device.is_some() && own.any(|own| own.device == other.device)
        };
        self.enabled && other.enabled && others.any(shared)
    }
}

impl Interface<'_> {
    /// Why two interfaces are one uplink.
    fn same(&self, other: &Interface<'_>) -> Option<&'static str> {
        let (same, why) = match (&self.device, &other.device) {
            (Some(one), Some(other)) => (one == other, "they have the same device"),
            _ => (
                self.stem() == other.stem(),
                "their names say so; make two of it if their devices differ",
            ),
        };
        (self.family != other.family && same).then_some(why)
    }

    /// `wan6`, `wan_6` and `wan_4` belong to `wan`.
    fn stem(&self) -> &str {
        let name = &self.section.name;
        let endings: &[&str] = match self.family {
            Family::V4 => &["_4"],
            Family::V6 => &["_v6", "v6", "_6", "6"],
        };
        let stem = endings.iter().find_map(|ending| name.strip_suffix(ending));
        stem.unwrap_or(name)
    }
}

impl Mwan3 {
    /// Joins the interfaces that are to be, in the order of the file.
    pub(super) fn uplinks(&self) -> Vec<Uplink<'_>> {
        let interfaces = self.of_kind("interface");
        let mut rest: Vec<Interface<'_>> =
            interfaces.filter_map(|one| self.interface(one)).collect();
        let mut uplinks = Vec::new();
        while !rest.is_empty() {
            let mut interfaces = vec![rest.remove(0)];
            let other = rest
                .iter()
                .position(|one| one.same(&interfaces[0]).is_some());
            interfaces.extend(other.map(|place| rest.remove(place)));
            if interfaces[0].family == Family::V6 {
                interfaces.reverse();
            }
            self.note_halves(&mut interfaces);
            let uplink = Uplink {
                id: self.id(interfaces[0].section, &uplinks),
                enabled: interfaces[0].enabled,
                values: interfaces[0].values,
                interfaces,
                places: [None; 2],
                checks: 0,
            };
            for other in uplinks.iter().filter(|other| uplink.shares_device(other)) {
                let id = &other.id;
                let what = format_args!("has the device of '{id}'; {ONE_WAITS}");
                self.note(uplink.first(), &what);
            }
            uplinks.push(uplink);
        }
        uplinks
    }

    /// Leaves one of two out that is disabled while the other is not.
    fn note_halves(&self, interfaces: &mut Vec<Interface<'_>>) {
        let [first, second] = &interfaces[..] else {
            return;
        };
        if first.enabled != second.enabled {
            let left = interfaces.remove(usize::from(first.enabled)).section;
            let kept = &interfaces[0].section.name;
            let what = format_args!("disabled: left out of provider '{kept}'; {BRING_IN}");
            self.note(left, &what);
            return;
        }
        let (name, why) = (&first.section.name, first.same(second).unwrap_or_default());
        let what = format_args!("one provider with '{name}': {why}");
        self.note(second.section, &what);
        if first.values != second.values {
            self.note(
                second.section,
                &format_args!("{ONE_TIMING} '{name}' counts"),
            );
        }
    }

    /// The interface's name, unless our configuration needs it for something else.
    fn id(&self, first: &Section, uplinks: &[Uplink<'_>]) -> String {
        let mut id = first.name.clone();
        let is_check = CHECKS.iter().any(|kind| id.starts_with(kind));
        if !["auto", "globals"].contains(&&*id) && !is_check {
            return id;
        }
        let is_other = |id: &String| uplinks.iter().any(|other| other.id == *id);
        let mut numbers = 1_u32..;
        while first.name == id || self.find("interface", &id).is_some() || is_other(&id) {
            id = format!("uplink{}", numbers.next().unwrap_or(0));
        }
        let what = format_args!("the name is reserved: the provider is '{id}'");
        self.note(first, &what);
        id
    }

    /// None when netifd has no interface of such a name.
    fn interface<'a>(&self, section: &'a Section) -> Option<Interface<'a>> {
        if let Err(expected) = value::interface(&section.name) {
            self.note(section, &format_args!("{expected}: {IGNORED}"));
            return None;
        }
        let family = self.family(section);
        let method = self.method(section, family);
        let targets = self.targets(section, family, method);
        Some(Interface {
            section,
            family,
            device: device(&section.name, &self.network),
            // As mwan3 has it, an interface is enabled only where the file says so.
            enabled: value::boolean(section.value("enabled")) == Ok(true),
            values: self.values(section, method, targets.iter().map(|_| 1).sum()),
            targets,
        })
    }

    fn family(&self, section: &Section) -> Family {
        match section.setting("family") {
            Some(setting) if setting.value == "ipv6" => Family::V6,
            Some(setting) if setting.value != "ipv4" => {
                self.note_setting(setting, &"expected ipv4 or ipv6: here it is ipv4");
                Family::V4
            }
            _ => Family::V4,
        }
    }

    /// The addresses to ask, each once.
    fn targets(&self, section: &Section, family: Family, method: Method) -> Vec<Target> {
        let mut targets = Vec::new();
        for (setting, word) in section.words("track_ip") {
            let why = match value::address(word).map(|address| Target { address, method }) {
                Ok(target) if Family::of(target.address) != family => "of the other family",
                Ok(target) if targets.contains(&target) => continue,
                Ok(_) if targets.len() == PATH_CHECKS_MAX => "a path has at most 8 checks",
                Ok(target) => {
                    targets.push(target);
                    continue;
                }
                Err(expected) => expected,
            };
            self.note_value(setting, word, &format_args!("{why}: {IGNORED}"));
        }
        targets
    }

    fn method(&self, section: &Section, family: Family) -> Method {
        let tcp =
            |port, accept_refused| ("tcp", [("port", port), ("accept_refused", accept_refused)]);
        let Some(setting) = section.setting("track_method") else {
            return self.ping(section);
        };
        let (method, what) = match (&*setting.value, family) {
            ("ping", _) => return self.ping(section),
            ("nping-icmp", _) => return ("ping", NO_OPTIONS),
            ("arping" | "nping-arp", Family::V4) => return ("arp", NO_OPTIONS),
            ("arping" | "nping-arp", Family::V6) => return ("ndp", NO_OPTIONS),
            // nping's own port; a refusal is an answer to it.
            ("nping-tcp", _) => return tcp(80, 1),
            // Whatever the server answers is good there; here one page has one status.
            ("httping", _) => match value::boolean(section.value("httping_ssl")) {
                Ok(true) => (tcp(443, 0), HTTPS),
                _ => (tcp(80, 0), HTTP),
            },
            _ => (self.ping(section), PINGS),
        };
        self.note_setting(setting, &what);
        method
    }

    /// mwan3's own size and time to live were not chosen by the user.
    fn ping(&self, section: &Section) -> Method {
        let chosen = |name, usual: u32, least: u32, most: u32| {
            let setting = section.setting(name)?;
            let given = value::number(&setting.value);
            if given.is_none_or(|given| given != usual && !(least..=most).contains(&given)) {
                let what = format_args!("expected a number from {least} to {most}: {IGNORED}");
                self.note_setting(setting, &what);
                return None;
            }
            given.filter(|given| *given != usual)
        };
        let size = chosen("size", 56, PAYLOAD_LEN.into(), PAYLOAD_MAX.into());
        let ttl = chosen("max_ttl", 60, 1, 255);
        (
            "ping",
            [("size", size.unwrap_or(0)), ("ttl", ttl.unwrap_or(0))],
        )
    }

    /// mwan3's timing and thresholds; what recovers must not be worse than what fails.
    fn values(&self, section: &Section, (kind, _): Method, targets: u32) -> Values {
        let number = |name, default, least, most| self.number(section, name, default, least, most);
        let (down, up) = (
            number("down", 5, 1, ROUNDS_MAX),
            number("up", 5, 1, ROUNDS_MAX),
        );
        let interval = number("interval", 10, 1, INTERVAL_MAX);
        let interval = self.interval(section, interval, down, targets);
        let timeout = number("timeout", 4, 1, interval * TIMEOUT_INTERVALS_MAX);
        let quorum = number("reliability", 1, 1, QUORUM_MAX);
        if let Some(setting) = section.setting("reliability")
            && (1..quorum).contains(&targets)
        {
            self.note_setting(setting, &FEWER);
        }
        let rounds = down.max(up);
        let mut window = if rounds > WINDOW { ROUNDS_MAX } else { WINDOW };
        let mut quality = [NONE; 4];
        match section.setting("check_quality") {
            Some(setting) if value::boolean(&setting.value) != Ok(true) => {}
            Some(setting) if kind != "ping" => {
                self.note_setting(
                    setting,
                    &format_args!("only pings are measured there: {IGNORED}"),
                );
            }
            Some(setting) => {
                let loss = number("failure_loss", 40, LOSS_MIN, 100);
                let latency = number("failure_latency", 1000, 1, LATENCY_MAX);
                let recover_loss = number("recovery_loss", 10, 0, loss);
                let recover_latency = number("recovery_latency", 500, 0, latency);
                quality = [loss, recover_loss, latency, recover_latency];
                // Few, as each round is judged there; but so many that one does not say all, and that they can show the loss.
                window = (2 * rounds).max(100_u32.div_ceil(loss)).min(ROUNDS_MAX);
                let what = format_args!("judged by the last {window} rounds together, not by each");
                self.note_setting(setting, &what);
                if loss == 100 {
                    quality[..2].fill(NONE); // that of all is no matter of quality
                }
            }
            None => {}
        }
        let [loss, recover_loss, latency, recover_latency] = quality;
        [
            interval,
            timeout,
            down,
            up,
            window,
            quorum,
            loss,
            recover_loss,
            latency,
            recover_latency,
        ]
    }

    /// Rounds are equally far apart here: so far that a failure is noticed as soon as by mwan3.
    fn interval(&self, section: &Section, interval: u32, down: u32, targets: u32) -> u32 {
        let setting = section.setting("failure_interval");
        let failing = setting.and_then(|setting| value::number(&setting.value));
        let (Some(setting), Some(failing)) = (setting, failing.filter(|it| *it != interval)) else {
            return interval;
        };
        let plain = |name, default| {
            let given = value::number(section.value(name));
            given.unwrap_or(default).min(INTERVAL_MAX)
        };
        let timeout = plain("timeout", 4);
        // One target after the other is asked, `count` times each, a second apart.
        let asked = targets.max(1) * (timeout + plain("count", 1).saturating_sub(1));
        let noticed = interval + (down - 1) * failing.min(interval) + down * asked;
        let interval = interval.min(noticed.saturating_sub(timeout) / down).max(1);
        let what = format_args!(
            "rounds are equally far apart here: every {interval}s is as soon to notice"
        );
        self.note_setting(setting, &what);
        interval
    }

    /// The number of an option, within bounds.
    fn number(&self, section: &Section, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let Some(setting) = section.setting(name) else {
            return default.min(most);
        };
        let given = value::number(&setting.value);
        let number = given.unwrap_or(default).clamp(least, most);
        if given != Some(number) {
            let what =
                format_args!("expected a number from {least} to {most}: here it is {number}");
            self.note_setting(setting, &what);
        }
        number
    }
}

const NO_OPTIONS: [(&str, u32); 2] = [("", 0); 2];
