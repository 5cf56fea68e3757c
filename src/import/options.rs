//! The tables of mwan3's options: numbers that become an option of ours, and those that have no counterpart here.

use super::sections::Section;
use super::{IGNORED, Mwan3};
use crate::limits::{PATH_CHECKS_MAX, TIMEOUT_INTERVALS_MAX, WINDOW_MAX};
use crate::option::value;

/// Our option, its unit and its default; mwan3's, its default, and the least and the most that are possible here.
type Row = (&'static str, &'static str, u32, &'static str, u32, u32, u32);

/// Timing and verdict.
pub(super) const OPTIONS: [Row; 10] = [
    ("interval", "s", 1, "interval", 10, 1, INTERVAL_MAX),
    ("timeout", "s", 1, "timeout", 4, 1, u32::MAX),
    ("down", "", 3, "down", 5, 1, ROUNDS_MAX),
    ("up", "", 3, "up", 5, 1, ROUNDS_MAX),
    ("window", "", ROUNDS, "", ROUNDS, 1, ROUNDS_MAX),
    ("quorum", "", 1, "reliability", 1, 1, QUORUM_MAX),
    ("max_loss", "%", NONE, "failure_loss", 40, LOSS_MIN, 100),
    ("recover_loss", "%", NONE, "recovery_loss", 10, 0, 100),
    (
        "max_latency",
        "ms",
        NONE,
        "failure_latency",
        1000,
        1,
        HOUR_MS,
    ),
    (
        "recover_latency",
        "ms",
        NONE,
        "recovery_latency",
        500,
        0,
        HOUR_MS,
    ),
];
pub(super) const INTERVAL: usize = 0;
const TIMEOUT: usize = 1;
const DOWN: usize = 2;
const UP: usize = 3;
const WINDOW: usize = 4;
pub(super) const QUORUM: usize = 5;
const LOSS: usize = 6;
const RECOVER_LOSS: usize = 7;
const LATENCY: usize = 8;
const RECOVER_LATENCY: usize = 9;

/// A value of each of [`OPTIONS`].
pub(super) type Values = [u32; OPTIONS.len()];
/// No threshold.
pub(super) const NONE: u32 = u32::MAX;

const QUORUM_MAX: u32 = 8;
const INTERVAL_MAX: u32 = 24 * 60 * 60;
const ROUNDS_MAX: u32 = 64;
/// Rounds that are remembered unless more of them are needed.
const ROUNDS: u32 = 50;
/// Less of it 64 rounds do not show.
const LOSS_MIN: u32 = 2;
const HOUR_MS: u32 = 60 * 60 * 1000;
const _: () = {
    assert!(LOSS_MIN * ROUNDS_MAX >= 100 && (LOSS_MIN - 1) * ROUNDS_MAX < 100);
    assert!(QUORUM_MAX as usize == PATH_CHECKS_MAX);
    assert!(INTERVAL_MAX as u64 == crate::limits::INTERVAL_MAX.secs());
    assert!(ROUNDS_MAX as usize == WINDOW_MAX);
};

/// The kinds of sections whose options are known, with those that are carried over, or matter only together with others
/// that are noted.
const CARRIED: [(&str, &str); 4] = [
    ("globals", ""),
    (
        "interface",
        "enabled family track_ip reliability timeout interval down up failure_interval track_method httping_ssl size \
         max_ttl check_quality failure_latency recovery_latency failure_loss recovery_loss",
    ),
    ("member", "interface metric weight"),
    ("policy", "use_member last_resort"),
];

/// The others, one per line: the kind of section, the option, a value with which nothing is lost (`=`: that of
/// `interval`; `-`: none), and what to do instead.
const LOST: &str = "\
globals mmx_mask - no packet is marked here: nothing to do
globals logging 0 no packet is logged here: let the firewall log it
globals loglevel - `option syslog_level` of globals says what the daemon logs
globals rt_table_lookup - specific routes of table main always win; for another table: \
    `ip rule add pref 17500 lookup TABLE suppress_prefixlength 0`
globals local_source - the router's own traffic goes with all the rest: nothing to do
globals rtmon_interval - routes are followed as they change: nothing to do
globals source_routing 0 policy tables have the source address: nothing to do
interface count 1 a round asks each check once: a larger `down` makes up for single losses
interface recovery_interval = rounds are equally far apart here: coming back takes `up` of them
interface keep_failure_interval 0 rounds are equally far apart here: coming back takes `up` of them
interface initial_state online who is not judged yet comes behind those that are online: nothing to do
interface flush_conntrack never masqueraded connections move by themselves; a script in \
    /etc/hotplug.d/failover may flush others when ACTION is swap
";
const UNKNOWN: &str = "unknown here, left out";

impl Mwan3 {
    /// mwan3's timing and thresholds; what recovers must not be worse than what fails.
    pub(super) fn values(&self, section: &Section, kind: &str, targets: u32) -> Values {
        let mut values = OPTIONS.map(|(_, _, default, ..)| default);
        let mut read = |place: usize, most: u32| {
            values[place] = self.number(section, place, most);
            values[place]
        };
        let down = read(DOWN, NONE);
        let rounds = down.max(read(UP, NONE));
        let interval = read(INTERVAL, NONE);
        let interval = self.interval(section, interval, down, targets);
        read(TIMEOUT, interval * TIMEOUT_INTERVALS_MAX);
        if (1..read(QUORUM, NONE)).contains(&targets) {
            let what = format_args!("there are fewer targets: here all of them must answer");
            self.note_option(section, "reliability", what);
        }
        let mut window = if rounds > ROUNDS { ROUNDS_MAX } else { ROUNDS };
        if value::boolean(section.value("check_quality")) == Ok(true) {
            if kind == "ping" {
                let loss = read(LOSS, NONE);
                read(RECOVER_LOSS, loss);
                let latency = read(LATENCY, NONE);
                read(RECOVER_LATENCY, latency);
                // Few, as each round is judged there; but so many that one does not say all, and that they can show the loss.
                window = (2 * rounds).max(100_u32.div_ceil(loss)).min(ROUNDS_MAX);
                let what = format_args!("judged by the last {window} rounds together, not by each");
                self.note_option(section, "check_quality", what);
                if loss == 100 {
                    values[LOSS..=RECOVER_LOSS].fill(NONE); // that of all is no matter of quality
                }
            } else {
                let what = format_args!("only pings are measured there: {IGNORED}");
                self.note_option(section, "check_quality", what);
            }
        }
        values[INTERVAL] = interval;
        values[WINDOW] = window;
        values
    }

    /// The number of an option, within bounds.
    fn number(&self, section: &Section, place: usize, most: u32) -> u32 {
        let (_, _, _, name, default, least, own_most) = OPTIONS[place];
        let most = most.min(own_most);
        let Some(setting) = section.setting(name) else {
            return default.min(most);
        };
        let given = value::number(&setting.value);
        let number = given.unwrap_or(default).clamp(least, most);
        if given != Some(number) {
            let what =
                format_args!("expected a number from {least} to {most}: here it is {number}");
            self.note_option(section, name, what);
        }
        number
    }

    /// Rounds are equally far apart here: so far that a failure is noticed as soon as by mwan3.
    fn interval(&self, section: &Section, interval: u32, down: u32, targets: u32) -> u32 {
        let failing = value::number(section.value("failure_interval"));
        let Some(failing) = failing.filter(|failing| *failing != interval) else {
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
        let what = "rounds are equally far apart here";
        let what = format_args!("{what}: every {interval}s is as soon to notice");
        self.note_option(section, "failure_interval", what);
        interval
    }

    /// Notes every option that is not carried over, and sections that mwan3 does not have.
    pub(super) fn note_lost(&self) {
        for section in &self.sections {
            match CARRIED.iter().find(|(kind, _)| *kind == section.kind) {
                Some((_, carried)) => self.note_lost_of(section, carried),
                None if section.kind == "rule" => {} // noted as a whole
                None => self.note(section, format_args!("{UNKNOWN}")),
            }
        }
    }

    fn note_lost_of(&self, section: &Section, carried: &str) {
        for setting in &section.settings {
            let name = &*setting.name;
            // Of a list, the first item stands for all.
            let first = section.setting(name);
            let is_first = first.is_some_and(|first| std::ptr::eq(first, setting));
            if !is_first || carried.split(' ').any(|carried| carried == name) {
                continue;
            }
            let lost = LOST.lines().find_map(|line| {
                let rest = line.strip_prefix(&*section.kind)?.strip_prefix(' ')?;
                rest.strip_prefix(name)?.strip_prefix(' ')?.split_once(' ')
            });
            let (neutral, instead) = lost.unwrap_or(("-", UNKNOWN));
            let neutral = match (neutral, section.value("interval")) {
                ("=", "") => "10",
                ("=", interval) => interval,
                ("-", _) => "",
                (neutral, _) => neutral,
            };
            if setting.value != neutral {
                self.note_option(section, name, format_args!("{instead}"));
            }
        }
    }
}
