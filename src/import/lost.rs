//! The options of mwan3 that have no counterpart here, and what to do instead.

use super::Mwan3;
use super::sections::Section;

/// The kinds of sections whose options are known, with those that are carried over, or matter only together with others
/// that are told of.
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
    /// Notes every option that is not carried over, and sections that mwan3 does not have.
    pub(super) fn note_lost(&self) {
        for section in &self.sections {
            match CARRIED.iter().find(|(kind, _)| *kind == section.kind) {
                Some((_, carried)) => self.note_lost_of(section, carried),
                None if section.kind == "rule" => {} // told of as a whole
                None => self.note(section, &UNKNOWN),
            }
        }
    }

    fn note_lost_of(&self, section: &Section, carried: &str) {
        let interval = match section.value("interval") {
            "" => "10",
            interval => interval,
        };
        for setting in &section.settings {
            // Of a list, the first item stands for all.
            let first = section.setting(&setting.name);
            let is_first = first.is_some_and(|first| std::ptr::eq(first, setting));
            if !is_first || carried.split(' ').any(|name| name == setting.name) {
                continue;
            }
            let (neutral, instead) = lost(&section.kind, &setting.name);
            let neutral = match neutral {
                "=" => interval,
                "-" => "",
                neutral => neutral,
            };
            if setting.value != neutral {
                self.note_setting(setting, &instead);
            }
        }
    }
}

/// The neutral value of an option, and what to do instead.
fn lost(kind: &str, name: &str) -> (&'static str, &'static str) {
    let its = LOST.lines().find_map(|line| {
        let rest = line.strip_prefix(kind)?.strip_prefix(' ')?;
        rest.strip_prefix(name)?.strip_prefix(' ')?.split_once(' ')
    });
    its.unwrap_or(("-", UNKNOWN))
}
