//! `config interface` → an [`Interface`]: what mwan3 tracks, by our measures.

use std::net::IpAddr;

use super::Notes;
use super::network::device;
use super::sections::{IGNORED, Section};
use crate::limits::{PATH_CHECKS_MAX, TIMEOUT_INTERVALS_MAX, WINDOW_MAX};
use crate::option::value;
use crate::types::Family;
use crate::wire::icmp::{PAYLOAD_LEN, PAYLOAD_MAX};

/// One interface of netifd's in one family, as mwan3 knows it.
#[derive(Debug)]
pub(super) struct Interface<'a> {
    section: &'a Section,
    pub(super) family: Family,
    /// see [`device`]; none when nobody knows
    pub(super) device: Option<String>,
    pub(super) enabled: bool,
    pub(super) targets: Vec<Target>,
    /// targets that must answer
    pub(super) reliability: u32,
    pub(super) timing: Timing,
}

/// Whom to ask, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) method: Method,
}

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// By ICMP echo. 0: what is usual.
    Ping { size: u32, ttl: u32 },
    /// by a connection to a port; whether a refusal will do
    Tcp { port: u16, accept_refused: bool },
    /// on the link
    Link,
}

/// When to probe and how to judge: in seconds, and in rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) interval: u32,
    pub(super) timeout: u32,
    pub(super) down: u32,
    pub(super) up: u32,
    pub(super) quality: Option<Quality>,
}

/// What is too bad, and what is good again: percents of loss, milliseconds of latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quality {
    /// none when only a loss of all would be too much
    pub(super) loss: Option<(u32, u32)>,
    pub(super) latency: (u32, u32),
}

impl Timing {
    /// How many rounds are to be remembered. For quality few, as it would be judged by each round there; but so many that
    /// one does not say all, and that they can show the loss.
    pub(super) fn window(&self) -> u32 {
        let rounds = self.down.max(self.up);
        let Some(quality) = self.quality else {
            return if rounds > WINDOW { ROUNDS_MAX } else { WINDOW };
        };
        let shown = quality.loss.map_or(0, |(most, _)| 100_u32.div_ceil(most));
        (2 * rounds).max(shown).min(ROUNDS_MAX)
    }
}

impl<'a> Interface<'a> {
    /// None when netifd has no interface of such a name. `network` are the sections of netifd's configuration: none when
    /// there is no such file.
    pub(super) fn read(
        section: &'a Section,
        network: &[Section],
        notes: &mut Notes,
    ) -> Option<Interface<'a>> {
        if let Err(expected) = value::interface(&section.name) {
            notes.section(section, &[expected, ": ", IGNORED]);
            return None;
        }
        let family = family(section, notes);
        let method = method(section, notes);
        let targets = targets(section, family, method, notes);
        let reliability = number(section, "reliability", 1, QUORUM_MAX, notes);
        if let Some(setting) = section.setting("reliability")
            && (1..reliability).contains(&count(&targets))
        {
            let what = "there are fewer targets: here all of them must answer";
            notes.setting(section, setting, &[what]);
        }
        Some(Interface {
            section,
            family,
            device: device(&section.name, network),
            // As mwan3 has it, an interface is enabled only where the file says so.
            enabled: value::boolean(section.value("enabled")) == Ok(true),
            timing: timing(section, method, count(&targets), notes),
            targets,
            reliability,
        })
    }

    /// As netifd calls it.
    pub(super) fn name(&self) -> &'a str {
        &self.section.name
    }

    /// Tells what is to be known of it.
    pub(super) fn note(&self, what: &[&str], notes: &mut Notes) {
        notes.section(self.section, what);
    }
}

const QUORUM_MAX: u32 = 8;
const INTERVAL_MAX: u32 = 24 * 60 * 60;
const ROUNDS_MAX: u32 = 64;
/// Rounds that are remembered unless more of them are needed.
pub(super) const WINDOW: u32 = 50;
/// Less of it 64 rounds do not show.
const LOSS_MIN: u32 = 2;
const LATENCY_MAX: u32 = 60 * 60 * 1000;
const _: () = {
    assert!(LOSS_MIN * ROUNDS_MAX >= 100 && (LOSS_MIN - 1) * ROUNDS_MAX < 100);
    assert!(QUORUM_MAX as usize == PATH_CHECKS_MAX);
    assert!(INTERVAL_MAX as u64 == crate::limits::INTERVAL_MAX.secs());
    assert!(ROUNDS_MAX as usize == WINDOW_MAX);
};

fn count(targets: &[Target]) -> u32 {
    u32::try_from(targets.len()).unwrap_or(u32::MAX)
}

fn timing(section: &Section, method: Method, targets: u32, notes: &mut Notes) -> Timing {
    let down = number(section, "down", 5, ROUNDS_MAX, notes);
    let up = number(section, "up", 5, ROUNDS_MAX, notes);
    let mut interval = number(section, "interval", 10, INTERVAL_MAX, notes);
    if let Some(setting) = section.setting("failure_interval")
        && let Some(failure_interval) = value::number(&setting.value)
        && failure_interval != interval
    {
        let plain = |name, default| {
            value::number(section.value(name))
                .unwrap_or(default)
                .min(INTERVAL_MAX)
        };
        let timeout = plain("timeout", 4);
        // One target after the other is asked, `count` times each, a second apart.
        let asked = targets.max(1) * (timeout + plain("count", 1).saturating_sub(1));
        let noticed = interval + (down - 1) * failure_interval.min(interval) + down * asked;
        interval = interval.min(noticed.saturating_sub(timeout) / down).max(1);
        let what = [
            "rounds are equally far apart here: every ",
            &interval.to_string(),
            "s is as soon to notice",
        ];
        notes.setting(section, setting, &what);
    }
    let timeout = number(
        section,
        "timeout",
        4,
        interval * TIMEOUT_INTERVALS_MAX,
        notes,
    );
    let mut timing = Timing {
        interval,
        timeout,
        down,
        up,
        quality: None,
    };
    if let Some(setting) = section.setting("check_quality")
        && value::boolean(&setting.value) == Ok(true)
    {
        if matches!(method, Method::Ping { .. }) {
            timing.quality = Some(quality(section, notes));
            let rounds = timing.window().to_string();
            let what = [
                "judged by the last ",
                &rounds,
                " rounds together, not by each",
            ];
            notes.setting(section, setting, &what);
        } else {
            notes.setting(
                section,
                setting,
                &["only pings are measured there: ", IGNORED],
            );
        }
    }
    timing
}

/// mwan3's thresholds; what recovers must not be worse than what fails.
fn quality(section: &Section, notes: &mut Notes) -> Quality {
    let mut pair = |[most, recover]: [&str; 2], defaults: [u32; 2], least: u32, limit: u32| {
        let most = between(section, most, defaults[0], least, limit, notes);
        let default = defaults[1].min(most);
        (most, between(section, recover, default, 0, most, notes))
    };
    let loss = pair(["failure_loss", "recovery_loss"], [40, 10], LOSS_MIN, 100);
    let latency = pair(
        ["failure_latency", "recovery_latency"],
        [1000, 500],
        1,
        LATENCY_MAX,
    );
    Quality {
        loss: Some(loss).filter(|(most, _)| *most < 100),
        latency,
    }
}

/// A number from 1 to `most`.
fn number(section: &Section, name: &str, default: u32, most: u32, notes: &mut Notes) -> u32 {
    between(section, name, default, 1, most, notes)
}

fn between(
    section: &Section,
    name: &str,
    default: u32,
    least: u32,
    most: u32,
    notes: &mut Notes,
) -> u32 {
    let Some(setting) = section.setting(name) else {
        return default.min(most);
    };
    let given = value::number(&setting.value);
    let number = given.unwrap_or(default).clamp(least, most);
    if given != Some(number) {
        let (least, most, number) = (least.to_string(), most.to_string(), number.to_string());
        let what = [
            "expected a number from ",
            &least,
            " to ",
            &most,
            ": here it is ",
            &number,
        ];
        notes.setting(section, setting, &what);
    }
    number
}

/// How mwan3 asks.
fn method(section: &Section, notes: &mut Notes) -> Method {
    let Some(setting) = section.setting("track_method") else {
        return ping(section, notes);
    };
    let tcp = |port, accept_refused| Method::Tcp {
        port,
        accept_refused,
    };
    let (method, what) = match &*setting.value {
        "ping" => return ping(section, notes),
        "nping-icmp" => return USUAL_PING,
        "arping" | "nping-arp" => return Method::Link,
        // nping's own port; a refusal is an answer to it.
        "nping-tcp" => return tcp(80, true),
        // Whatever the server answers is good there; here one page has one status.
        "httping" => match value::boolean(section.value("httping_ssl")) {
            Ok(true) => (tcp(443, false), HTTPS),
            _ => (tcp(80, false), HTTP),
        },
        _ => (ping(section, notes), PINGS),
    };
    notes.setting(section, setting, &[what]);
    method
}

const USUAL_PING: Method = Method::Ping { size: 0, ttl: 0 };
const HTTP: &str = "asked for a connection to port 80: a check of `type 'http'` asks for a page, \
    if you know its status";
const HTTPS: &str = "asked for a connection to port 443: a check of `type 'exec'` asks for a page";
const PINGS: &str = "pings are sent instead: a check of `type 'exec'` runs any other program";

/// Of mwan3's own size and time to live, nobody has chosen any.
fn ping(section: &Section, notes: &mut Notes) -> Method {
    let mut chosen = |name, usual: u32, least: u32, most: u32| {
        let setting = section.setting(name)?;
        let given = value::number(&setting.value);
        if given == Some(usual) {
            return None;
        }
        let fit = given.filter(|given| (least..=most).contains(given));
        if fit.is_none() {
            let (least, most) = (least.to_string(), most.to_string());
            let what = [
                "expected a number from ",
                &least,
                " to ",
                &most,
                ": ",
                IGNORED,
            ];
            notes.setting(section, setting, &what);
        }
        fit
    };
    Method::Ping {
        size: chosen("size", 56, PAYLOAD_LEN.into(), PAYLOAD_MAX.into()).unwrap_or(0),
        ttl: chosen("max_ttl", 60, 1, 255).unwrap_or(0),
    }
}

fn family(section: &Section, notes: &mut Notes) -> Family {
    match section.setting("family") {
        Some(setting) if setting.value == "ipv6" => Family::V6,
        Some(setting) if setting.value != "ipv4" => {
            notes.setting(
                section,
                setting,
                &["expected ipv4 or ipv6: here it is ipv4"],
            );
            Family::V4
        }
        _ => Family::V4,
    }
}

/// The addresses to ask, each once.
fn targets(section: &Section, family: Family, method: Method, notes: &mut Notes) -> Vec<Target> {
    let mut targets = Vec::new();
    for (word, line) in section.words("track_ip") {
        let target = |address| Target { address, method };
        let why = match value::address(word) {
            Ok(address) if Family::of(address) != family => "of the other family",
            Ok(address) if targets.contains(&target(address)) => continue,
            Ok(_) if targets.len() == PATH_CHECKS_MAX => "a path has at most 8 checks",
            Ok(address) => {
                targets.push(target(address));
                continue;
            }
            Err(expected) => expected,
        };
        notes.value(section, "track_ip", word, line, &[why, ": ", IGNORED]);
    }
    targets
}
