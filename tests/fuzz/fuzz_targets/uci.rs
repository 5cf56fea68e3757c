//! A configuration file: its statements and sections, and the loaded configuration.
//!
//! Input: the file.

#![no_main]

use failover::config::{Config, Measure, Quorum, Timing, load};
use failover::limits::{
    CHECKS_MAX, FILE_MAX, PATH_CHECKS_MAX, PROVIDERS_MAX, TIMEOUT_INTERVALS_MAX, TIMEOUT_MIN,
    WINDOW_MAX,
};
use failover::option::{Problem, Severity};
use failover::types::Family;
use failover::uci::{Command, Index, Section, Word, statements};
use libfuzzer_sys::fuzz_target;

/// More sections than an input has.
type Sections<'a> = Index<'a, 4096>;

fuzz_target!(|text: &[u8]| {
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let is_line = |line: u32| usize::try_from(line).is_ok_and(|line| (1..=lines).contains(&line));
    for (count, statement) in statements(text).enumerate() {
        assert!(count <= text.len());
        match statement {
            Ok(statement) => assert!(is_line(statement.line)),
            Err(error) => {
                assert!(is_line(error.line) && error.column > 0);
                harmless(&error.fault.to_string());
            }
        }
    }
    write_again(text);
    let (config, problems, accepted) = loaded(text);
    for problem in &problems {
        assert!(is_line(problem.line), "{problem}");
        harmless(&problem.message);
    }
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    assert_eq!(accepted, errors.count() == 0);
    if accepted {
        check(&config);
        let mut copy = Box::new(Config::new());
        copy.take(&mut config.clone());
        assert_eq!(copy, config);
        copy.assign_slots(&|id| config.provider(id).map(|provider| provider.slot));
        assert_eq!(copy, config);
    }
});

/// Sections that are written again in quotes read the same.
fn write_again(text: &[u8]) {
    let index = Sections::read(text, &mut |_| {});
    let mut again = Vec::new();
    for section in index.sections() {
        again.extend(b"config");
        push(&mut again, section.kind);
        if let Some(name) = section.name {
            push(&mut again, name);
        }
        again.push(b'\n');
        for statement in section.statements() {
            let (command, name, value) = match statement.command {
                Command::Option { name, value } => ("option", name, value),
                Command::List { name, value } => ("list", name, value),
                _ => unreachable!("a section has only options and lists"),
            };
            again.extend(command.as_bytes());
            push(&mut again, name);
            push(&mut again, value);
            again.push(b'\n');
            let setting = section.get(&told(name)).expect("it is set");
            assert!(setting.values().any(|(other, _)| other.same(setting.value)));
        }
    }
    let mut wrong = 0;
    let other = Sections::read(&again, &mut |_| wrong += 1);
    assert_eq!(wrong, 0);
    let sections: Vec<Section<'_>> = index.sections().collect();
    assert_eq!(sections.len(), other.sections().count());
    for (one, other) in sections.iter().zip(other.sections()) {
        assert!(one.kind.same(other.kind));
        assert_eq!(one.name.map(told), other.name.map(told));
        let said = |section: &Section<'_>| -> Vec<(bool, String, Vec<u8>)> {
            let statements = section
                .statements()
                .map(|statement| match statement.command {
                    Command::Option { name, value } => (false, told(name), value.bytes().collect()),
                    Command::List { name, value } => (true, told(name), value.bytes().collect()),
                    _ => unreachable!("a section has only options and lists"),
                });
            statements.collect()
        };
        assert_eq!(said(one), said(&other));
    }
}

/// Appends the word in single quotes.
fn push(text: &mut Vec<u8>, word: Word<'_>) {
    text.extend(b" '");
    for byte in word.bytes() {
        match byte {
            b'\'' => text.extend(b"'\\''"),
            other => text.push(other),
        }
    }
    text.push(b'\'');
}

/// A name, which is ASCII.
fn told(word: Word<'_>) -> String {
    word.bytes().map(char::from).collect()
}

fn loaded(text: &[u8]) -> (Box<Config>, Vec<Problem>, bool) {
    let mut config = Box::new(Config::new());
    let mut problems = Vec::new();
    let tables = |name: &str| (name == "lte").then_some(77);
    let result = load(text, &tables, &mut config, &mut |problem| {
        problems.push(problem)
    });
    if let Err(refused) = result {
        let errors = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error);
        assert_eq!(usize::try_from(refused.errors), Ok(errors.count()));
    }
    assert!(result.is_err() || text.len() <= FILE_MAX);
    (config, problems, result.is_ok())
}

/// What the rest of the program relies on.
fn check(config: &Config) {
    assert!(config.providers.len() <= PROVIDERS_MAX && config.checks.len() <= CHECKS_MAX);
    assert!(config.providers.is_sorted_by_key(|provider| provider.rank));
    let mut slots = 0_u64;
    for provider in &config.providers {
        let slot = 1 << provider.slot.0;
        assert!(slots & slot == 0 && usize::from(provider.slot.0) < config.providers.len());
        slots |= slot;
        assert_eq!(config.provider(&provider.id), Some(provider));
        harmless(&provider.id);
        for family in Family::ALL {
            assert!(config.path_checks(provider, family).count() <= PATH_CHECKS_MAX);
            let device = &provider.device[family];
            assert!(!device.contains(['/', ' ', '\t', '\n']) && device != "." && device != "..");
            let of_family = |address: &_| Family::of(*address) == family;
            assert!(provider.address[family].as_ref().is_none_or(of_family));
            assert!(provider.gateway[family].as_ref().is_none_or(of_family));
        }
        let named = provider.device.v4.is_empty() && provider.device.v6.is_empty();
        assert_ne!(named, provider.interfaces.is_empty());
        check_timing(&provider.timing);
    }
    assert!(!config.globals.enabled || config.enabled().next().is_some());
}

fn check_timing(timing: &Timing) {
    assert!(timing.timeout >= TIMEOUT_MIN);
    assert!(timing.timeout <= timing.interval * TIMEOUT_INTERVALS_MAX);
    let window = usize::from(timing.window);
    assert!((1..=WINDOW_MAX).contains(&window));
    assert!((1..=window).contains(&timing.down.into()) && (1..=window).contains(&timing.up.into()));
    assert!(timing.max_failed <= timing.window);
    assert!(timing.quorum != Quorum::AtLeast(0));
    for measure in Measure::ALL {
        let threshold = timing.quality.of(measure);
        assert!(threshold.is_none_or(|threshold| threshold.recover <= threshold.most));
    }
}

/// No control characters.
fn harmless(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}
