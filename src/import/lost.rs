//! The options of mwan3 that have no counterpart here, and what to do instead.

use super::Notes;
use super::sections::Section;

/// The options that a kind of section has.
struct Kind {
    name: &'static str,
    /// those that are carried over, or matter only together with others that are told of
    carried: &'static [&'static str],
    /// the others: the option, a value with which nothing is lost, and what to do instead
    lost: &'static [(&'static str, &'static str, &'static str)],
}

const ROUNDS: &str = "rounds are equally far apart here: coming back takes `up` of them";
const OWN: &str = "the router's own traffic goes with all the rest: nothing to do";
const NO_MARKS: &str = "no packet is marked here: nothing to do";

static KINDS: [Kind; 4] = [
    Kind {
        name: "globals",
        carried: &[],
        lost: &[
            ("mmx_mask", "", NO_MARKS),
            (
                "logging",
                "0",
                "no packet is logged here: let the firewall log it",
            ),
            (
                "loglevel",
                "",
                "`option syslog_level` of globals says what the daemon logs",
            ),
            (
                "rt_table_lookup",
                "",
                "specific routes of table main always win; \
                 for another table: `ip rule add pref 17500 lookup TABLE suppress_prefixlength 0`",
            ),
            ("local_source", "", OWN),
            (
                "rtmon_interval",
                "",
                "routes are followed as they change: nothing to do",
            ),
            (
                "source_routing",
                "0",
                "policy tables have the source address: nothing to do",
            ),
        ],
    },
    Kind {
        name: "interface",
        carried: &[
            "enabled",
            "family",
            "track_ip",
            "reliability",
            "timeout",
            "interval",
            "down",
            "up",
            "failure_interval",
            "track_method",
            "httping_ssl",
            "size",
            "max_ttl",
            "check_quality",
            "failure_latency",
            "recovery_latency",
            "failure_loss",
            "recovery_loss",
        ],
        lost: &[
            (
                "count",
                "1",
                "a round asks each check once: a larger `down` makes up for single losses",
            ),
            ("recovery_interval", SAME_AS_INTERVAL, ROUNDS),
            ("keep_failure_interval", "0", ROUNDS),
            (
                "initial_state",
                "online",
                "who is not judged yet comes behind those that are online: nothing to do",
            ),
            (
                "flush_conntrack",
                "never",
                "masqueraded connections move by themselves; a script in \
                 /etc/hotplug.d/failover may flush others when ACTION is swap",
            ),
        ],
    },
    Kind {
        name: "member",
        carried: &["interface", "metric", "weight"],
        lost: &[],
    },
    Kind {
        name: "policy",
        carried: &["use_member", "last_resort"],
        lost: &[],
    },
];

/// An option that mwan3 does not have, or not yet.
const UNKNOWN: (&str, &str, &str) = ("", "", "unknown here, left out");
/// The neutral value of an interval besides the usual one.
const SAME_AS_INTERVAL: &str = "=";
/// What `interval` is, when the file has none.
const INTERVAL: &str = "10";

/// Notes every option that is not carried over, and sections that mwan3 does not have.
pub(super) fn note(sections: &[Section], notes: &mut Notes) {
    for section in sections {
        match KINDS.iter().find(|kind| kind.name == section.kind) {
            Some(kind) => note_options(section, kind, notes),
            None if section.kind == "rule" => {} // told of as a whole
            None => notes.section(section, &[UNKNOWN.2]),
        }
    }
}

fn note_options(section: &Section, kind: &Kind, notes: &mut Notes) {
    let interval = match section.value("interval") {
        "" => INTERVAL,
        interval => interval,
    };
    for setting in &section.settings {
        // Of a list, the first item stands for all.
        let first = section
            .setting(&setting.name)
            .is_some_and(|first| std::ptr::eq(first, setting));
        if kind.carried.contains(&&*setting.name) || !first {
            continue;
        }
        let known = kind.lost.iter().find(|lost| lost.0 == setting.name);
        let (_, neutral, instead) = known.unwrap_or(&UNKNOWN);
        let neutral = match *neutral {
            SAME_AS_INTERVAL => interval,
            neutral => neutral,
        };
        if setting.value != neutral {
            notes.setting(section, setting, &[instead]);
        }
    }
}
