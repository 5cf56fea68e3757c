//! The sections and options that there are.

use crate::uci::Word;

/// A kind of section and the options that it may have.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) options: &'static [&'static str],
    /// whether it has those of [`TIMING`] as well
    pub(crate) timing: bool,
    /// whether it has those of the types of checks as well
    pub(crate) types: bool,
}

/// The options of timing and verdict.
pub(crate) const TIMING: [&str; 13] = [
    "interval",
    "timeout",
    "down",
    "up",
    "window",
    "max_failed",
    "quorum",
    "max_loss",
    "recover_loss",
    "max_latency",
    "recover_latency",
    "max_jitter",
    "recover_jitter",
];

impl Kind {
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let timing = TIMING.iter().filter(|_| self.timing);
        let types = CHECK_TYPES.iter().filter(|_| self.types);
        let of_types = types.flat_map(|of_type| of_type.options);
        self.options.iter().chain(timing).chain(of_types).copied()
    }

    pub(crate) fn has(&self, name: Word<'_>) -> bool {
        self.names().any(|known| name.is(known))
    }
}

/// The sections and options that there are.
pub(crate) static KINDS: [Kind; 3] = [
    Kind {
        name: "globals",
        options: &[
            "enabled",
            "start_metric",
            "table",
            "rule_pref",
            "sticky_file",
            "last_resort",
            "preempt",
            "on_stop",
            "state_dir",
            "control_group",
            "hooks_dir",
            "syslog_level",
            "profile",
        ],
        timing: true,
        types: false,
    },
    Kind {
        name: "provider",
        options: &[
            "enabled",
            "device",
            "device6",
            "interface",
            "address",
            "gateway",
            "network",
            "rt_table",
            "mark",
            "rank",
            "check",
            "profile",
        ],
        timing: true,
        types: false,
    },
    Kind {
        name: "check",
        options: &["type", "target", "interval", "family", "required"],
        timing: false,
        types: true,
    },
];

/// A type of check and the options that only checks of it, or of a few types, may have.
pub(crate) struct CheckType {
    pub(crate) name: &'static str,
    pub(crate) options: &'static [&'static str],
}

/// Every type of check.
pub(crate) static CHECK_TYPES: [CheckType; 7] = [
    CheckType {
        name: "ping",
        options: &["size", "ttl", "dscp"],
    },
    CheckType {
        name: "tcp",
        options: &["port", "accept_refused"],
    },
    CheckType {
        name: "dns",
        options: &["query", "record", "expect", "rcode", "port"],
    },
    CheckType {
        name: "http",
        options: &[
            "port",
            "path",
            "host",
            "expect_status",
            "expect_body",
            "resolver",
        ],
    },
    CheckType {
        name: "arp",
        options: &[],
    },
    CheckType {
        name: "ndp",
        options: &[],
    },
    CheckType {
        name: "exec",
        options: &["command"],
    },
];
