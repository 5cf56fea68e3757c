//! Configurations: what good ones come to, and what is said of bad ones.

use failover::config::*;
use failover::net::{Duration, Metric};
use proptest::prelude::*;

fn tables(name: &str) -> Option<u32> {
    match name {
        "failover" => Some(176),
        "isp" => Some(201),
        "zero" => Some(0),
        _ => None,
    }
}

/// What is loaded, and what is said about it.
fn load_text(text: impl AsRef<[u8]>) -> (Result<(), Refused>, Box<Config>, Vec<String>) {
    let mut config = Box::new(Config::new());
    let mut said = Vec::new();
    let result = load(text.as_ref(), &tables, &mut config, &mut |problem| {
        said.push(problem.to_string());
    });
    (result, config, said)
}

/// A configuration without any problem.
#[track_caller]
fn good(text: &str) -> Box<Config> {
    let (result, config, said) = load_text(text);
    assert_eq!(said, [""; 0], "{text}");
    assert_eq!(result, Ok(()));
    config
}

/// Lines 1 to 5 of what the tests add to: a section of the same name goes on with it.
const BASE: &str = "\
config provider 'isp1'
	option device 'eth1'
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
";
