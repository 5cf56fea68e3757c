//! `config check` → [`Check`]: the options common to all types. The options of one type are read in [`crate::check`].

use super::Check;
use super::timing::INTERVAL;
use crate::check::{Common, Named, TYPES};
use crate::limits::{INTERVAL_MAX, INTERVAL_MIN, TARGET_MAX};
use crate::option::section::{Given, Options, Value};
use crate::option::table::CHECK_TYPES;
use crate::types::{Duration, Family, Name};

/// Reads one check; `None` if it is wrong, which is reported.
pub(super) fn read(options: &mut Options<'_, '_, '_>, name: Name) -> Option<Check> {
    let errors = options.report.errors;
    let kind = read_type(options);
    let mut interval = Duration::ZERO;
    let given = options.duration(
        "interval",
        INTERVAL_MIN,
        INTERVAL_MAX,
        INTERVAL,
        &mut interval,
    );
    let interval = given.is_set().then_some(interval);
    let mut required = false;
    options.boolean("required", &mut required);
    let mut family = Family::V4;
    let given = options.choice(
        "family",
        &[("ipv4", Family::V4), ("ipv6", Family::V6)],
        &mut family,
    );
    let mut target = Value::new();
    let common = Common {
        family: given.map(|()| family),
        given: options.single("target", &mut target),
        target,
    };
    let kind = kind?;
    refuse_others(options, kind);
    let (kind, family) = (kind.read)(options, &common)?;
    let target = &common.target;
    if let Given::Is((), line) = common.given {
        if target.chars().any(char::is_control) {
            options.refuse("target", target, line, "expected no control characters");
        }
        if target.len() > TARGET_MAX {
            options.error(
                line,
                format_args!("target: longer than {TARGET_MAX} bytes; a long command goes into option command"),
            );
        }
    }
    let target = target.as_str().try_into().ok()?;
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
    let mut chosen = 0;
    let name = |place| TYPES.get(place).map(|named: &Named| named.name);
    match options.choose("type", &name, &mut chosen) {
        Given::Is(..) => TYPES.get(chosen),
        Given::Bad => None,
        Given::Absent => {
            options.missing("has no type: expected option type ping, or another");
            None
        }
    }
}

/// Reports options that only other types have.
fn refuse_others(options: &mut Options<'_, '_, '_>, kind: &Named) {
    for other in &CHECK_TYPES {
        'options: for name in other.options {
            let mut names: heapless::String<32> = heapless::String::new();
            for owner in CHECK_TYPES
                .iter()
                .filter(|owner| owner.options.contains(name))
            {
                // An option of several types is reported with the first of them.
                if owner.name == kind.name || names.is_empty() && owner.name != other.name {
                    continue 'options;
                }
                // A type that does not fit is left out of the message.
                let comma = if names.is_empty() { "" } else { ", " };
                let _ = names
                    .push_str(comma)
                    .and_then(|()| names.push_str(owner.name));
            }
            if let Some(setting) = options.section.get(name) {
                let own = kind.name;
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
