//! Responses of a web server: the result must not depend on how the response is cut into pieces, and a text that is found
//! must be in the body.
//!
//! Input: the text to look for, as a piece; the lengths of the pieces, as a piece; then the response.

#![no_main]

use failover::limits::HTTP_TEXT_MAX;
use failover::wire::http::{Broken, Progress, Response};
use failover_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let look_for = input.text();
    let look_for = look_for.get(..HTTP_TEXT_MAX).unwrap_or(look_for);
    if look_for.len() > HTTP_TEXT_MAX {
        return; // it was cut inside a character
    }
    let lengths = input.piece();
    let response = input.rest();
    let whole = outcome([response].into_iter(), look_for);
    let by_bytes = outcome(response.chunks(1), look_for);
    let pieces = Pieces {
        lengths: lengths.iter().cycle(),
        rest: response,
    };
    assert_eq!(outcome(pieces, look_for), whole);
    assert_eq!(by_bytes, whole);
    if let Ok(seen) = whole {
        check(response, look_for, &seen);
    }
});

/// The result of a response.
#[derive(Debug, PartialEq)]
struct Seen {
    status: Option<u16>,
    found: bool,
    progress: Progress,
    end: Result<(), Broken>,
}

fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>, look_for: &str) -> Result<Seen, Broken> {
    let mut response = Response::default();
    let mut progress = Progress::More;
    for piece in pieces {
        progress = response.read(piece, look_for)?;
        if progress == Progress::Whole {
            break; // the rest is not read
        }
    }
    Ok(Seen {
        status: response.status(),
        found: response.found(),
        progress,
        end: response.end(),
    })
}

/// Compares the result with the text of the response.
fn check(response: &[u8], look_for: &str, seen: &Seen) {
    let mut lines = response.split_inclusive(|byte| *byte == b'\n');
    let status_line = lines.next().filter(|line| line.ends_with(b"\n"));
    assert_eq!(seen.status.is_some(), status_line.is_some());
    let mut at = status_line.map_or(0, <[u8]>::len);
    let body = lines.find_map(|line| {
        at += line.len();
        matches!(line, b"\n" | b"\r\n").then(|| &response[at..])
    });
    let text = look_for.as_bytes();
    let has = |body: &[u8]| !text.is_empty() && body.windows(text.len()).any(|part| part == text);
    let holds = body.is_some_and(has);
    assert!(!seen.found || holds);
    assert!(seen.end.is_err() || body.is_some());
    match seen.progress {
        Progress::More => assert!(!holds && (body.is_none() || !text.is_empty())),
        // The header is complete, and no text is looked for, or it is found, or the body is complete.
        Progress::Whole => {
            assert!(body.is_some() && (text.is_empty() || seen.found || seen.end.is_ok()))
        }
    }
    assert!(
        seen.status
            .is_none_or(|status| (100..=999).contains(&status))
    );
}

/// A response cut into pieces of these lengths, repeated; no length: one piece.
struct Pieces<'a, L> {
    lengths: L,
    rest: &'a [u8],
}

impl<'a, L: Iterator<Item = &'a u8>> Iterator for Pieces<'a, L> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let length = self
            .lengths
            .next()
            .map_or(self.rest.len(), |length| usize::from(*length) + 1);
        let (piece, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}
