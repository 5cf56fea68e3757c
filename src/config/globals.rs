//! `config globals` → [`Globals`].

use super::{ForeignIpv6, Globals, LastResort, LogLevel, OnStop, Preempt, Yield};
use crate::limits::{
    CATCH_ALL_MAX, INTERVAL_MAX, PROVIDERS_MAX, RULE_PREF, RULE_PREF_MAX, RULE_PREF_MAX_FORMER,
    RULE_PREFS,
};
use crate::option::section::{Given, Options};
use crate::option::value::{self, Expected};
use crate::types::{
    Duration, MarkMask, Metric, POLICY_TABLE_FIRST, TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN,
};

/// Resolves the name of a routing table to its number.
pub(super) type Tables<'t> = &'t dyn Fn(&str) -> Option<u32>;

/// Sets the options of the section. Valid options are set even if others are not valid.
pub(super) fn read(options: &mut Options<'_, '_, '_>, tables: Tables<'_>, globals: &mut Globals) {
    options.boolean("enabled", &mut globals.enabled);
    let Metric(metric) = &mut globals.start_metric;
    options.number("start_metric", 1, u32::MAX, metric);
    options.set("table", &mut globals.table, |text| {
        table_number(text, tables)
    });
    preferences(options, globals);
    options.set_text("sticky_file", &mut globals.sticky_file, value::file);
    options.set_text("state_dir", &mut globals.state_dir, value::directory);
    options.set_text("control_group", &mut globals.control_group, value::group);
    options.set_text("hooks_dir", &mut globals.hooks_dir, value::directory);
    options.choice(
        "last_resort",
        &[
            ("first", LastResort::First),
            ("keep", LastResort::Keep),
            ("unreachable", LastResort::Unreachable),
        ],
        &mut globals.last_resort,
    );
    options.set("preempt", &mut globals.preempt, preempt);
    options.choice(
        "yield",
        &[("auto", Yield::Auto), ("1", Yield::All), ("0", Yield::None)],
        &mut globals.obeys,
    );
    options.choice(
        "on_stop",
        &[("restore", OnStop::Restore), ("keep", OnStop::Keep)],
        &mut globals.on_stop,
    );
    firewall(options, globals);
    options.choice(
        "syslog_level",
        &[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
        ],
        &mut globals.syslog_level,
    );
}

/// What connections need beyond routes.
fn firewall(options: &mut Options<'_, '_, '_>, globals: &mut Globals) {
    let mask = options.set("mark_mask", &mut globals.mark_mask, value::mark_mask);
    if mask.is_bad() {
        globals.mark_mask = MarkMask::EMPTY; // no mark has bits of it
    }
    options.boolean("dns_route", &mut globals.dns_route);
    let answers = options.boolean("answers", &mut globals.answers);
    let foreign = options.choice(
        "ipv6_foreign",
        &[
            ("masquerade", ForeignIpv6::Masquerade),
            ("off", ForeignIpv6::Off),
        ],
        &mut globals.ipv6_foreign,
    );
    globals.firewall_asked = globals.answers && answers.is_set()
        || globals.ipv6_foreign == ForeignIpv6::Masquerade && foreign.is_set();
}

/// The preferences of our rules.
fn preferences(options: &mut Options<'_, '_, '_>, globals: &mut Globals) {
    const { assert!(RULE_PREF_MAX == 31365) };
    let mut pref = globals.rule_pref;
    let given = options.set("rule_pref", &mut pref, |text| {
        let pref = value::number(text).filter(|pref| (1..=RULE_PREF_MAX_FORMER).contains(pref));
        pref.ok_or("expected a whole number from 1 to 31365")
    });
    globals.rule_pref = pref.min(RULE_PREF_MAX);
    let used = globals.rule_pref;
    if let Given::Is((), line) = given {
        if pref > used {
            options.report.warning(
                line,
                format_args!("rule_pref '{pref}': {used} is used, the highest; write that"),
            );
        } else if pref < RULE_PREF {
            options.report.warning(
                line,
                format_args!(
                    "rule_pref '{pref}' no longer puts the providers' order before the rules of other programs: \
                     option catch_all does; without need for another, delete it (default '{RULE_PREF}')"
                ),
            );
        }
    }
    let least = globals.rule_pref + RULE_PREFS + 1;
    options.number("catch_all", least, CATCH_ALL_MAX, &mut globals.catch_all);
}

/// `0` is refused because it is ambiguous: as a boolean it means never, as a duration at once.
fn preempt(text: &str) -> Expected<Preempt> {
    match text {
        "1" => Ok(Preempt::After(Duration::from_secs(1))),
        "0" => Err("expected yes, no, or a duration above 0, as 30s"),
        _ => match value::boolean(text) {
            Ok(true) => Ok(Preempt::Yes),
            Ok(false) => Ok(Preempt::No),
            Err(_) => match value::duration(text) {
                Ok(Duration::ZERO) => Ok(Preempt::Yes),
                Ok(duration) if duration <= INTERVAL_MAX => Ok(Preempt::After(duration)),
                Ok(_) => Err("expected at most 24h"),
                Err(_) => Err("expected yes, no, or a duration, as 30s"),
            },
        },
    }
}

/// The number of a table that the daemon may use as its own, or `main`.
pub(super) fn table_number(text: &str, tables: Tables<'_>) -> Expected<u32> {
    let number = match text {
        "main" => Some(TABLE_MAIN),
        "default" => Some(TABLE_DEFAULT),
        "local" => Some(TABLE_LOCAL),
        "unspec" => Some(0),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => value::number(text),
        _ => tables(text),
    };
    match number {
        None => Err("expected a routing table's number, or its name as in rt_tables"),
        Some(0 | TABLE_DEFAULT | TABLE_LOCAL) => {
            Err("tables 0, 253 (default) and 255 (local) are the kernel's: expected another")
        }
        Some(number) if is_policy_table(number) => {
            Err("tables 17601 to 17664 are for rt_table auto: expected another")
        }
        Some(number) => Ok(number),
    }
}

fn is_policy_table(number: u32) -> bool {
    const { assert!(POLICY_TABLE_FIRST == 17601 && PROVIDERS_MAX == 64) };
    (17601..=17664).contains(&number)
}
