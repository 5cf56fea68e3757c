//! Good and bad configurations, and their messages.

#![allow(clippy::panic, clippy::unwrap_used)] // a test may

use cases::{FILES, REFUSED, WARNED};
use failover::config::*;
use failover::limits::FILE_MAX;

#[path = "config/cases.rs"]
mod cases;
#[path = "config/fuzz.rs"]
mod fuzz;
#[path = "config/good.rs"]
mod good_ones;
#[path = "config/mistakes.rs"]
mod mistakes;

fn tables(name: &str) -> Option<u32> {
    match name {
        "failover" => Some(176),
        "isp" => Some(201),
        "zero" => Some(0),
        _ => None,
    }
}

/// Loads a text; returns the configuration and all messages.
fn load_whole(text: &[u8]) -> (Result<(), Refused>, Box<Config>, Vec<String>) {
    let mut config = Box::new(Config::new());
    let mut said = Vec::new();
    let result = load(text, &tables, &mut config, &mut |problem| {
        said.push(problem.to_string());
    });
    (result, config, said)
}

/// The messages that every text with [`BASE`] has: it has one provider, and many texts add to its sections.
const SAID_OF_BASE: [&str; 2] = [
    "1: warning: only one provider is enabled: there is nothing to fail over to",
    "already, and this is added to it: another ",
];

/// Loads a text; returns the configuration and the messages, without those due to [`BASE`].
fn load_text(text: impl AsRef<[u8]>) -> (Result<(), Refused>, Box<Config>, Vec<String>) {
    let (result, config, mut said) = load_whole(text.as_ref());
    said.retain(|text| !SAID_OF_BASE.iter().any(|of_base| text.contains(of_base)));
    (result, config, said)
}

/// Loads a configuration that must have no problem.
#[track_caller]
fn good(text: &str) -> Box<Config> {
    let (result, config, said) = load_text(text);
    assert_eq!(said, [""; 0], "{text}");
    assert_eq!(result, Ok(()));
    config
}

/// Lines 1 to 5 of most texts: a later section with the same name adds to it.
const BASE: &str = "\
config provider 'isp1'
	option device 'eth1'
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
";

/// A text, and its messages.
type Case = (&'static str, &'static [&'static str]);

fn errors_in(said: &[&str]) -> u32 {
    let errors = said.iter().filter(|text| !text.contains(": warning: "));
    u32::try_from(errors.count()).unwrap()
}

#[track_caller]
fn assert_said(text: &str, expected: &[&str]) {
    let (result, _, said) = load_text(text);
    assert_result(text, result, &said, expected);
}

#[track_caller]
fn assert_result(text: &str, result: Result<(), Refused>, said: &[String], expected: &[&str]) {
    assert_eq!(said, expected, "{text}");
    let errors = errors_in(expected);
    assert_eq!(
        result,
        if errors == 0 {
            Ok(())
        } else {
            Err(Refused { errors })
        }
    );
}

#[test]
fn every_error_is_reported_with_its_line() {
    for (text, expected) in REFUSED {
        assert!(errors_in(expected) > 0, "{text}");
        assert_said(&format!("{BASE}{text}"), expected);
    }
    for (text, expected) in FILES {
        let (result, _, said) = load_whole(text.as_bytes());
        assert_result(text, result, &said, expected);
    }
}

#[test]
fn unusual_settings_are_used_with_a_warning() {
    for (text, expected) in WARNED {
        assert_eq!(errors_in(expected), 0, "{text}");
        assert_said(&format!("{BASE}{text}"), expected);
    }
}

/// Providers with these names and further lines, each with its own device.
fn providers(lines: &[(&str, &str)]) -> String {
    let mut text =
        String::from("config check web\n option type ping\n option target 198.51.100.1\n");
    for (index, (name, line)) in lines.iter().enumerate() {
        text += &format!("config provider {name}\n option device eth{index}\n{line}\n");
    }
    text
}

#[test]
fn a_configuration_that_exceeds_a_capacity_is_refused() {
    let many: Vec<String> = (0..65).map(|index| format!("isp{index}")).collect();
    let lines: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(good(&providers(&lines[..64])).providers.len(), 64);
    assert_said(
        &providers(&lines),
        &["196: too many providers: expected at most 64"],
    );

    let checks = |count: usize| -> String {
        let check = |index| {
            format!(
                "config check c{index}\n option type ping\n option target 198.51.100.{}\n",
                index + 1
            )
        };
        (0..count).map(check).collect()
    };
    let one = "config provider isp1\n option device eth1\n";
    assert_eq!(
        good(&format!("{one}{}", checks(8))).providers[0].checks,
        0xff
    );
    assert_said(
        &format!("{one}{}", checks(9)),
        &["1: 9 ipv4 checks of one provider: expected at most 8, chosen by list check"],
    );
    let chosen = format!("{one} list check 'c0 c1 c2 c3 c4 c5 c6 c7'\n list check c8\n");
    let (result, _, said) = load_text(format!("{chosen}{}", checks(9)));
    assert!(result.is_err());
    assert_eq!(
        said,
        ["3: 9 ipv4 checks of one provider: expected at most 8, chosen by list check"]
    );
    let four = format!("{one} option check 'c0 c31'\n");
    let (result, config, said) = load_text(format!("{four}{}", checks(32)));
    assert_eq!((result, said.len()), (Ok(()), 30), "30 are unused");
    assert_eq!(config.providers[0].checks, 0x8000_0001);
    assert_said(
        &format!("{four}{}", checks(33)),
        &["100: too many checks: expected at most 32"],
    );

    let comment = "#".repeat(FILE_MAX);
    assert_said(&comment, FILES[0].1);
    assert_said(
        &format!("{comment}#"),
        &["1: the file has more than 65536 bytes: expected at most that"],
    );
    let anonymous = "config check\n".repeat(129);
    let (result, _, said) = load_text(anonymous);
    assert!(result.is_err());
    assert_eq!(said[0], "129: too many sections: expected at most 128");
}

#[test]
fn a_refused_value_causes_no_other_error() {
    // The window is unknown, so no value can exceed it; nor can a refused device equal another one.
    let (_, _, said) = load_text(format!(
        "{BASE}config provider isp1\n option window 99\n option up 60\n option down 64\nconfig provider isp2\n option device e/1\nconfig provider isp3\n option device e/1\n"
    ));
    assert_eq!(
        said,
        [
            "7: window '99': expected a whole number from 1 to 64",
            "11: device 'e/1': expected a device's name, without blanks, '/' and ':'",
            "13: device 'e/1': expected a device's name, without blanks, '/' and ':'",
        ]
    );
}

#[test]
fn no_large_value_is_moved() {
    assert!(size_of::<Provider>() < 1024, "{}", size_of::<Provider>());
    assert!(size_of::<Check>() < 512, "{}", size_of::<Check>());
    let config = Config::new();
    assert!(config.providers.is_empty() && config.globals.state_dir.is_empty());
}
