//! `config check` → [`Check`].

use core::net::IpAddr;

use super::options::{Given, Options, Value};
use super::timing::INTERVAL;
use super::value;
use super::{Check, CheckKind, INTERVAL_MAX, INTERVAL_MIN, Name, TARGET_MAX};
use crate::net::Family;

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Ping,
    Exec,
}

/// What later versions will know, and nobody mistyped.
const TYPES_LATER: [&str; 5] = ["tcp", "dns", "http", "arp", "ndp"];

/// One check; none when it is wrong, which is reported.
pub(super) fn read(options: &mut Options<'_, '_, '_>, name: Name) -> Option<Check> {
    let errors = options.report.errors;
    let kind = read_type(options);
    let interval = match options.duration("interval", INTERVAL_MIN, INTERVAL_MAX, INTERVAL) {
        Given::Is(interval, _) => Some(interval),
        Given::Absent | Given::Bad => None,
    };
    let family = options.choice("family", &[("ipv4", Family::V4), ("ipv6", Family::V6)]);
    let target = options.single("target");
    let command = options.single("command");
    let (kind, family) = match kind {
        Given::Is(Type::Ping, _) => ping(options, &target, &command, family)?,
        Given::Is(Type::Exec, _) => exec(options, &target, command, family)?,
        Given::Absent | Given::Bad => return None,
    };
    let target = match target {
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
    })
}

fn read_type(options: &mut Options<'_, '_, '_>) -> Given<Type> {
    let given = options.section.get("type");
    let is = |kind: &&str| given.is_some_and(|given| given.value.is(kind));
    if TYPES_LATER.iter().any(is) {
        return options.parse("type", |_| {
            Err("this version has no such check: expected ping, or exec with a command that does it")
        });
    }
    let kind = options.choice("type", &[("ping", Type::Ping), ("exec", Type::Exec)]);
    if kind.is_absent() {
        options.missing("has no type: expected option type ping or exec");
    }
    kind
}

fn ping(
    options: &mut Options<'_, '_, '_>,
    target: &Given<Value>,
    command: &Given<Value>,
    family: Given<Family>,
) -> Option<(CheckKind, Family)> {
    if let Given::Is(text, line) = command {
        options.refuse("command", text, *line, "only checks of type exec have one");
    }
    let (text, line) = match target {
        Given::Is(text, line) => (text, *line),
        Given::Bad => return None,
        Given::Absent => {
            options.missing("has no target: expected option target with the address to ping");
            return None;
        }
    };
    match value::address(text) {
        Ok(target) => {
            same_family(options, family, target);
            Some((CheckKind::Ping { target }, Family::of(target)))
        }
        Err(expected) => {
            let name =
                text.parse::<IpAddr>().is_err() && text.bytes().any(|b| b.is_ascii_alphabetic());
            let expected = if name && !text.contains([':', '/', '%', ' ']) {
                "ping needs an IPv4 or IPv6 address, not a name"
            } else {
                expected
            };
            options.refuse("target", text, line, expected);
            None
        }
    }
}

fn same_family(options: &mut Options<'_, '_, '_>, family: Given<Family>, target: IpAddr) {
    if let Given::Is(family, line) = family
        && family != Family::of(target)
    {
        let expected = "the target is an address of the other family";
        options.refuse("family", family.name(), line, expected);
    }
}

fn exec(
    options: &mut Options<'_, '_, '_>,
    target: &Given<Value>,
    command: Given<Value>,
    family: Given<Family>,
) -> Option<(CheckKind, Family)> {
    let target = match target {
        Given::Is(text, _) => Some(text),
        Given::Absent => None,
        Given::Bad => return None,
    };
    // Only the command knows what it means: any address will do, a loopback one too.
    let address = target.and_then(|text| text.parse().ok());
    if let Some(address) = address {
        same_family(options, family, address);
    }
    let command = match (command, target) {
        (Given::Is(command, line), _) => {
            if command.trim().is_empty() {
                options.refuse("command", &command, line, "expected what to run");
            }
            command
        }
        (Given::Absent, Some(target)) if address.is_none() => target.clone(),
        (Given::Absent, _) => {
            options.missing("has no command: expected option command with what to run");
            return None;
        }
        (Given::Bad, _) => return None,
    };
    let family = address.map_or(family.or(Family::V4), Family::of);
    Some((CheckKind::Exec { command }, family))
}
