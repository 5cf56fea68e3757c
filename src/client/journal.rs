//! `log`: one line per transition, with the wall-clock time.

use std::path::Path;

use crate::client::cli::Exit;
use crate::client::text::{pad, plain};
use crate::client::{complain, print, settings, state_dir, ticker, unasked};
use crate::linux::clock;
use crate::linux::connection::{AskError, ask};
use crate::linux::terminal::Tick;
use crate::text::Timestamp;
use crate::wire::control::{Entry, Request};

/// Time, provider, family, what happened, why.
pub(super) const COLUMNS: usize = 5;

/// `log --follow`: what the journal has, then each new entry, until a signal, or until the reader of the output has gone. The
/// daemon is asked once per second for what is new: a follower holds no place among its clients. While no daemon runs, it
/// waits for the next one.
pub(super) fn follow(file: &Path) -> Exit {
    let config = match settings(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut ticker = match ticker() {
        Ok(ticker) => ticker,
        Err(exit) => return exit,
    };
    let (mut after, mut widths) = (0, [0; COLUMNS]);
    let (mut begun, mut waits) = (false, false);
    loop {
        let request = Request::Follow(after);
        match ask(state_dir(&config), &request) {
            Ok(answer) => {
                if let Some(refused) = &answer.refused {
                    return complain(Exit::NoDaemon, &plain(refused));
                }
                let printed = print(&render(&answer.entries, &mut widths));
                if printed != Exit::Ok {
                    return printed;
                }
                after = answer.entries.last().map_or(after, |last| last.at_micros);
                (begun, waits) = (true, false);
            }
            Err(AskError::NoDaemon | AskError::Silent | AskError::Closed) if begun => {
                if !waits {
                    let text = "the daemon does not answer: the log goes on when one does";
                    complain(Exit::NoDaemon, &text);
                }
                waits = true;
            }
            Err(error) => {
                let (exit, complaint) = unasked(&error, file, &config, &request);
                return complain(exit, &complaint);
            }
        }
        if ticker.wait() == Tick::End {
            return Exit::Ok;
        }
    }
}

/// The lines, oldest first; the columns are at least as wide as before. The time is UTC in ISO 8601: a router's time zone is
/// rarely the reader's.
pub(super) fn render(entries: &[Entry], widths: &mut [usize; COLUMNS]) -> String {
    lines(entries, widths, clock::wall_clock_ms())
}

fn lines(entries: &[Entry], widths: &mut [usize; COLUMNS], now_ms: u64) -> String {
    for entry in entries {
        for (width, cell) in widths.iter_mut().zip(&row(entry, now_ms)) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for entry in entries {
        for (cell, width) in row(entry, now_ms).iter().zip(&*widths) {
            out.push_str(cell);
            pad(&mut out, width + 2 - cell.chars().count());
        }
        out.truncate(out.trim_ascii_end().len());
        out.push('\n');
    }
    out
}

pub(super) fn row(entry: &Entry, now_ms: u64) -> [String; COLUMNS] {
    let provider = entry.subject.provider.as_deref().unwrap_or("-");
    let family = entry.subject.family.map_or("-", |family| family.name());
    [
        Timestamp(now_ms.saturating_sub(entry.ago_ms)).to_string(),
        plain(&provider),
        family.to_owned(),
        plain(&entry.kind),
        plain(&format_args!("{}{}", entry.cause, entry.repeats)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixture::journal;

    #[test]
    fn a_line_for_each_transition() {
        let mut widths = [0; COLUMNS];
        assert_eq!(
            lines(&journal(), &mut widths, 1_763_929_735_400),
            "\
2025-11-22T20:28:55Z  -       -     started            version 0.1.0
2025-11-23T19:28:54Z  isp1    ipv4  online → offline   3 rounds failed: 8.8.8.8, 1.1.1.1 unanswered
2025-11-23T20:27:55Z  isp1    ipv6  waiting → probing  uplink is up ×37 in 4 s
2025-11-23T20:28:55Z  backup  -     pinned             pinned by hand
"
        );
        assert_eq!(lines(&[], &mut widths, 0), "");
        // What comes later stands in the same columns.
        assert_eq!(
            lines(&journal()[..1], &mut widths, 1_763_929_735_400),
            "2025-11-22T20:28:55Z  -       -     started            version 0.1.0\n"
        );
    }
}
