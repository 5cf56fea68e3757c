//! `config check` → [`Check`]: the options that all types have. Those of one type are read in [`crate::check`].

use super::options::{Given, Options};
use super::timing::INTERVAL;
use super::{Check, INTERVAL_MAX, INTERVAL_MIN, Name, TARGET_MAX};
use crate::check::{Common, Named, TYPES};
use crate::net::Family;

/// One check; none when it is wrong, which is reported.
pub(super) fn read(options: &mut Options<'_, '_, '_>, name: Name) -> Option<Check> {
    let errors = options.report.errors;
    let kind = read_type(options);
    let interval = match options.duration("interval", INTERVAL_MIN, INTERVAL_MAX, INTERVAL) {
        Given::Is(interval, _) => Some(interval),
        Given::Absent | Given::Bad => None,
    };
    let required = options.boolean("required").or(false);
    let common = Common {
        family: options.choice("family", &[("ipv4", Family::V4), ("ipv6", Family::V6)]),
        target: options.single("target"),
    };
    let kind = kind?;
    refuse_others(options, kind);
    let (kind, family) = (kind.read)(options, &common)?;
    let target = match common.target {
        Given::Is(text, line) => {
            if text.chars().any(char::is_control) {
                options.refuse("target", &text, line, "expected no control characters");
            }
            let fit = text.as_str().try_into();
            if fit.is_err() {
                options.error(
                    line,
                    format_args!("target: longer than {TARGET_MAX} bytes; a long command goes into option command"),
                );
            }
            fit.ok()?
        }
        Given::Absent | Given::Bad => heapless::String::new(),
    };
    (options.report.errors == errors).then_some(Check {
        name,
        kind,
        target,
        family,
        interval,
        required,
    })
}

fn read_type(options: &mut Options<'_, '_, '_>) -> Option<&'static Named> {
    let mut words: heapless::Vec<(&str, &Named), 16> = heapless::Vec::new();
    words.extend(TYPES.iter().map(|named| (named.name, named)));
    match options.choice("type", &words) {
        Given::Is(named, _) => Some(named),
        Given::Bad => None,
        Given::Absent => {
            options.missing("has no type: expected option type ping, or another");
            None
        }
    }
}

/// Reports options that only checks of other types have.
fn refuse_others(options: &mut Options<'_, '_, '_>, kind: &Named) {
    for other in TYPES.iter().filter(|other| other.name != kind.name) {
        for name in other.options {
            let first = TYPES.iter().find(|named| named.options.contains(name));
            let new = first.is_some_and(|first| first.name == other.name);
            if !new || kind.options.contains(name) {
                continue;
            }
            if let Some(setting) = options.section.get(name) {
                let own = kind.name;
                let mut owners: heapless::String<32> = heapless::String::new();
                for owner in TYPES.iter().filter(|named| named.options.contains(name)) {
                    // What does not fit is left out of a message.
                    let comma = if owners.is_empty() { "" } else { ", " };
                    let _ = owners
                        .push_str(comma)
                        .and_then(|()| owners.push_str(owner.name));
                }
                options.error(
                    setting.line,
                    format_args!("option {name} is for checks of type {owners}, not {own}"),
                );
            }
        }
    }
}
