//! `config check` → [`Check`]: the options common to all types. The options of one type are read in [`crate::check`].

use super::Check;
use super::timing::INTERVAL;
use crate::check::{Common, Named, TYPES};
use crate::limits::{INTERVAL_MAX, INTERVAL_MIN, TARGET_MAX};
use crate::option::section::{Given, Options};
use crate::option::table::{CHECK_TYPES, CheckType};
use crate::types::{Family, Name};

/// Reads one check; `None` if it is wrong, which is reported.
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

/// Reports options that only other types have.
fn refuse_others(options: &mut Options<'_, '_, '_>, kind: &Named) {
    let has = |of_type: &CheckType, name| of_type.options.contains(&name);
    let owners = |name| CHECK_TYPES.iter().filter(move |other| has(other, name));
    for other in CHECK_TYPES.iter().filter(|other| other.name != kind.name) {
        for &name in other.options {
            let new = owners(name)
                .next()
                .is_some_and(|first| first.name == other.name);
            if !new || owners(name).any(|owner| owner.name == kind.name) {
                continue;
            }
            if let Some(setting) = options.section.get(name) {
                let own = kind.name;
                let mut names: heapless::String<32> = heapless::String::new();
                for owner in owners(name) {
                    // A type that does not fit is left out of the message.
                    let comma = if names.is_empty() { "" } else { ", " };
                    let _ = names
                        .push_str(comma)
                        .and_then(|()| names.push_str(owner.name));
                }
                options.error(
                    setting.line,
                    format_args!("option {name} is for checks of type {names}, not {own}"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_options_has_the_types_of_checks() {
        let types: Vec<&str> = TYPES.iter().map(|named| named.name).collect();
        let told: Vec<&str> = CHECK_TYPES.iter().map(|of_type| of_type.name).collect();
        assert_eq!(types, told);
    }
}
