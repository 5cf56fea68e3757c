//! The sticky file: its content is an id, no pin, or an error that can be shown.
//!
//! Input: the file.

#![no_main]

use failover::linux::file::sticky::{Pinned, SIZE_MAX, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match parse(bytes) {
    Ok(Pinned::Provider(id)) => {
        assert!(bytes.len() <= SIZE_MAX && !id.is_empty() && id != "auto");
        assert!(!id.contains(char::is_control) && id.trim() == id);
        // As the daemon writes it.
        let written = format!("{id}\n");
        assert_eq!(parse(written.as_bytes()), Ok(Pinned::Provider(id)));
    }
    Ok(Pinned::None) => {
        let text = String::from_utf8_lossy(bytes);
        assert!(text.trim().is_empty() || text.trim().starts_with("auto"));
    }
    Ok(Pinned::Invalid(_)) => unreachable!("that is for the caller to say"),
    Err(why) => assert!(!why.is_empty() && !why.contains(char::is_control)),
});
