//! A configuration of mwan3: the converted configuration is valid.
//!
//! Input: mwan3's file; after the first record separator (0x1e), netifd's file.

#![no_main]

use failover::config::{Config, Provider, load};
use failover::import::convert;
use failover::types::Family;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut files = bytes.splitn(2, |byte| *byte == 0x1e);
    let mwan3 = files.next().unwrap_or_default();
    let network = files.next().unwrap_or_default();
    let imported = convert("mwan3", mwan3, network);
    let mut config = Box::new(Config::new());
    let mut problems = Vec::new();
    let loaded = load(
        imported.text.as_bytes(),
        &|_| None,
        &mut config,
        &mut |problem| {
            problems.push(problem.to_string());
        },
    );
    assert!(loaded.is_ok(), "{problems:#?}\n{}", imported.text);
    assert_eq!(config.globals.enabled, imported.usable);
    let is_asked = |provider: &Provider| {
        let asks = |family| config.path_checks(provider, family).count() > 0;
        provider.enabled && Family::ALL.into_iter().any(asks)
    };
    assert!(!imported.usable || config.providers.iter().any(is_asked));
    let why =
        |(_, note): &(u32, String)| note.starts_with("no provider comes out that is enabled ");
    assert_eq!(imported.notes.iter().any(why), !imported.usable);
    // A single provider is valid, with a warning.
    problems.retain(|problem| !problem.ends_with("there is nothing to fail over to"));
    assert!(problems.is_empty() || !imported.usable, "{problems:#?}");
    let lines = mwan3.iter().filter(|byte| **byte == b'\n').count() + 1;
    for (line, note) in &imported.notes {
        assert!(
            usize::try_from(*line).is_ok_and(|line| (1..=lines).contains(&line)),
            "{line}: {note}"
        );
        assert!(!note.contains(char::is_control), "{note:?}");
    }
    assert!(imported.notes.is_sorted_by_key(|(line, _)| *line));
});
