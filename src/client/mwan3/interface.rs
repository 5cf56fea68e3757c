//! `config interface` → an [`Interface`]: what mwan3 tracks, by our measures.

use std::net::IpAddr;

use super::Notes;
use super::netifd::device;
use super::sections::{IGNORED, Section};
use crate::config::{self, PATH_CHECKS_MAX, TIMEOUT_INTERVALS_MAX, value};
use crate::net::Family;

/// One interface of netifd's in one family, as mwan3 knows it.
#[derive(Debug)]
pub(super) struct Interface<'a> {
    section: &'a Section,
    pub(super) family: Family,
    /// see [`device`]; none when nobody knows
    pub(super) device: Option<String>,
    pub(super) enabled: bool,
    pub(super) targets: Vec<IpAddr>,
    /// targets that must answer
    pub(super) reliability: u32,
    pub(super) timing: Timing,
}

/// When to probe and how to judge: in seconds, and in rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) interval: u32,
    pub(super) timeout: u32,
    pub(super) down: u32,
    pub(super) up: u32,
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
        let targets = targets(section, family, notes);
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
            timing: timing(section, count(&targets), notes),
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
const _: () = {
    assert!(QUORUM_MAX as usize == PATH_CHECKS_MAX);
    assert!(INTERVAL_MAX as u64 == config::INTERVAL_MAX.secs());
    assert!(ROUNDS_MAX as usize == config::WINDOW_MAX);
};

fn count(targets: &[IpAddr]) -> u32 {
    u32::try_from(targets.len()).unwrap_or(u32::MAX)
}

fn timing(section: &Section, targets: u32, notes: &mut Notes) -> Timing {
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
    Timing {
        interval,
        timeout: number(
            section,
            "timeout",
            4,
            interval * TIMEOUT_INTERVALS_MAX,
            notes,
        ),
        down,
        up,
    }
}

/// A number from 1 to `most`.
fn number(section: &Section, name: &str, default: u32, most: u32, notes: &mut Notes) -> u32 {
    let Some(setting) = section.setting(name) else {
        return default.min(most);
    };
    let given = value::number(&setting.value);
    let number = given.unwrap_or(default).clamp(1, most);
    if given != Some(number) {
        let (most, number) = (most.to_string(), number.to_string());
        let what = [
            "expected a number from 1 to ",
            &most,
            ": here it is ",
            &number,
        ];
        notes.setting(section, setting, &what);
    }
    number
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
fn targets(section: &Section, family: Family, notes: &mut Notes) -> Vec<IpAddr> {
    let mut targets = Vec::new();
    for (word, line) in section.words("track_ip") {
        let why = match value::address(word) {
            Ok(target) if Family::of(target) != family => "of the other family",
            Ok(target) if targets.contains(&target) => continue,
            Ok(_) if targets.len() == PATH_CHECKS_MAX => "a path has at most 8 checks",
            Ok(target) => {
                targets.push(target);
                continue;
            }
            Err(expected) => expected,
        };
        notes.value(section, "track_ip", word, line, &[why, ": ", IGNORED]);
    }
    targets
}
