//! The tables of mwan3's options: numbers that become an option of ours, and those that have no counterpart here.

use super::Mwan3;
use super::sections::{Section, Setting};
use crate::limits::{PATH_CHECKS_MAX, TIMEOUT_INTERVALS_MAX, WINDOW_MAX};
use crate::option::value;

/// Our option, its unit and its default; mwan3's, its default, and the least and the most that are possible here.
type Row = (&'static str, &'static str, u32, &'static str, u32, u32, u32);

/// Timing and verdict.
#[rustfmt::skip] // a row per line
pub(super) const OPTIONS: [Row; 10] = [
    ("interval", "s", 1, "interval", 10, 1, INTERVAL_MAX),
    ("timeout", "s", 1, "timeout", 4, 1, NONE),
    ("down", "", 3, "down", 5, 1, ROUNDS_MAX),
    ("up", "", 3, "up", 5, 1, ROUNDS_MAX),
    ("window", "", ROUNDS, "", ROUNDS, 1, ROUNDS_MAX),
    ("quorum", "", 1, "reliability", 1, 1, QUORUM_MAX),
    ("max_loss", "%", NONE, "failure_loss", 40, LOSS_MIN, 100),
    ("recover_loss", "%", NONE, "recovery_loss", 10, 0, 100),
    ("max_latency", "ms", NONE, "failure_latency", 1000, 1, HOUR_MS),
    ("recover_latency", "ms", NONE, "recovery_latency", 500, 0, HOUR_MS),
];
pub(super) const INTERVAL: usize = 0;
pub(super) const QUORUM: usize = 5;

/// A value of each of [`OPTIONS`].
pub(super) type Values = [u32; OPTIONS.len()];
/// Our defaults.
pub(super) const DEFAULTS: Values = {
    let (mut defaults, mut place) = ([0; OPTIONS.len()], 0);
    while place < OPTIONS.len() {
        defaults[place] = OPTIONS[place].2;
        place += 1;
    }
    defaults
};
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
globals mmx_mask - `option mark_mask` of globals has our marks, which are others: nothing to do
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
interface flush_conntrack never connections are handed over when their provider fails; at its return, too, with \
    `option connections 'follow'`
";
const FEWER: &str = "there are fewer targets: here all of them must answer";
const ONLY_PINGS: &str = "only pings are measured there: left out";
const UNKNOWN: &str = "unknown here, left out";

impl Mwan3 {
    /// mwan3's timing and thresholds; what recovers must not be worse than what fails.
    pub(super) fn values(&self, section: &Section, kind: &str, targets: u32) -> Values {
        let number = |name, most| self.number(section, name, most);
        let (down, up) = (number("down", NONE), number("up", NONE));
        let interval = self.interval(section, number("interval", NONE), down, targets);
        let timeout = number("timeout", interval * TIMEOUT_INTERVALS_MAX);
        let quorum = number("reliability", NONE);
        if (1..quorum).contains(&targets) {
            self.note_option(section, "reliability", &FEWER);
        }
        let rounds = down.max(up);
        let mut window = if rounds > ROUNDS { ROUNDS_MAX } else { ROUNDS };
        let [mut loss, mut loss_ok, mut delay, mut delay_ok] = [NONE; 4];
        let judged = section.is_on("check_quality");
        if judged && kind != "ping" {
            self.note_option(section, "check_quality", &ONLY_PINGS);
        } else if judged {
            loss = number("failure_loss", NONE);
            loss_ok = number("recovery_loss", loss);
            delay = number("failure_latency", NONE);
            delay_ok = number("recovery_latency", delay);
            // Few, as each round is judged there; but so many that one does not say all, and that they can show the loss.
            window = (2 * rounds).max(100_u32.div_ceil(loss)).min(ROUNDS_MAX);
            let what = format_args!("judged by the last {window} rounds together, not by each");
            self.note_option(section, "check_quality", &what);
        }
        if loss == 100 {
            (loss, loss_ok) = (NONE, NONE); // that of all is no matter of quality
        }
        [
            interval, timeout, down, up, window, quorum, loss, loss_ok, delay, delay_ok,
        ]
    }

    /// The number of an option of mwan3's, within bounds.
    fn number(&self, section: &Section, name: &str, most: u32) -> u32 {
        let row = OPTIONS.iter().find(|(_, _, _, theirs, ..)| *theirs == name);
        let (.., default, least, bound) = *row.unwrap_or(&OPTIONS[INTERVAL]);
        let most = most.min(bound);
        let Some(setting) = section.setting(name) else {
            return default.min(most);
        };
        let given = value::number(&setting.value);
        let number = given.unwrap_or(default).clamp(least, most);
        if given != Some(number) {
            let what =
                format_args!("expected a number from {least} to {most}: here it is {number}");
            self.note_option(section, name, &what);
        }
        number
    }

    /// Rounds are equally far apart here: so far that a failure is noticed as soon as by mwan3.
    fn interval(&self, section: &Section, interval: u32, down: u32, targets: u32) -> u32 {
        let given = |name| value::number(section.value(name));
        let Some(failing) = given("failure_interval").filter(|it| *it != interval) else {
            return interval;
        };
        let plain = |name, default: u32| given(name).unwrap_or(default).min(INTERVAL_MAX);
        let timeout = plain("timeout", 4);
        // One target after the other is asked, `count` times each, a second apart.
        let asked = targets.max(1) * (timeout + plain("count", 1).saturating_sub(1));
        let noticed = interval + (down - 1) * failing.min(interval) + down * asked;
        let interval = interval.min(noticed.saturating_sub(timeout) / down).max(1);
        let what = format_args!(
            "rounds are equally far apart here: every {interval}s is as soon to notice"
        );
        self.note_option(section, "failure_interval", &what);
        interval
    }

    /// Notes every option that is not carried over, and sections that mwan3 does not have.
    pub(super) fn note_lost(&self) {
        // Rules are noted as a whole.
        for section in self.sections.iter().filter(|one| one.kind != "rule") {
            match CARRIED.iter().find(|(kind, _)| *kind == section.kind) {
                Some((_, carried)) => self.note_lost_of(section, carried),
                None => self.note(section, &UNKNOWN),
            }
        }
    }

    fn note_lost_of(&self, section: &Section, carried: &str) {
        for (place, Setting { name, value, .. }) in section.settings.iter().enumerate() {
            // Of a list, the first item stands for all.
            let mut earlier = section.settings[..place].iter();
            if earlier.any(|one| one.name == *name) || carried.split(' ').any(|one| one == name) {
                continue;
            }
            let start = [&*section.kind, " ", name, " "].concat();
            let mut lost = LOST.lines().filter_map(|line| line.strip_prefix(&*start));
            let lost = lost.next().and_then(|rest| rest.split_once(' '));
            let (neutral, instead) = lost.unwrap_or(("-", UNKNOWN));
            let neutral = match (neutral, section.value("interval")) {
                ("=", "") => "10",
                ("=", interval) => interval,
                ("-", _) => "",
                (neutral, _) => neutral,
            };
            if value != neutral {
                self.note_option(section, name, &instead);
            }
        }
    }
}
