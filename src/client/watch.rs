//! `status --watch`: the status once per second; redrawn in place on a terminal.

use crate::client::cli::Exit;
use crate::client::{complain, print, ticker};
use crate::linux::terminal::{self, Tick};

/// Shows the output of `render` until Ctrl-C. An error of `render` ends the command; on a terminal the error is shown
/// instead, and the status again when the daemon is back.
pub(super) fn watch(
    separator: &str,
    mut render: impl FnMut() -> Result<String, (Exit, String)>,
) -> Exit {
    let mut ticker = match ticker() {
        Ok(ticker) => ticker,
        Err(exit) => return exit,
    };
    let screen = terminal::is_terminal();
    let mut drawn = false;
    let exit = loop {
        let before = match (screen, drawn) {
            (true, false) => START,
            (false, true) => separator,
            _ => "",
        };
        let text = match render() {
            Ok(text) => text,
            Err((_, complaint)) if screen && drawn => complaint,
            Err((exit, complaint)) => break complain(exit, &complaint),
        };
        let text = match screen {
            true => fit(&text, terminal::height()),
            false => text,
        };
        match print(&(before.to_owned() + &text)) {
            Exit::Ok => drawn = true,
            exit => break exit,
        }
        if ticker.wait() == Tick::End {
            break Exit::Ok;
        }
    };
    if screen && drawn {
        print(END);
    }
    exit
}

/// Clear the screen, hide the cursor, cut long lines.
const START: &str = "\x1b[2J\x1b[?25l\x1b[?7l";
/// Undo that.
const END: &str = "\x1b[?7h\x1b[?25h";

/// Draws from the top left corner over the last screen, without clearing it first; at most as many lines as fit.
fn fit(text: &str, height: usize) -> String {
    let room = height.saturating_sub(1).max(2); // the cursor stands below the last line
    let count = text.lines().count();
    let shown = if count > room { room - 1 } else { count };
    let mut out = String::from("\x1b[H");
    for line in text.lines().take(shown) {
        out.push_str(line);
        out.push_str("\x1b[K\n");
    }
    if shown < count {
        out.push_str(&format!(
            "({} more lines: make the window higher)\x1b[K\n",
            count - shown
        ));
    }
    out.push_str("\x1b[J");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_fits_the_screen() {
        assert_eq!(fit("a\nb\n", 24), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(fit("a\nb\n", 3), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(
            fit("a\nb\nc\n", 3),
            "\x1b[Ha\x1b[K\n(2 more lines: make the window higher)\x1b[K\n\x1b[J"
        );
        let many = "line\n".repeat(100);
        assert_eq!(fit(&many, 24).matches('\n').count(), 23);
        assert_eq!(fit(&many, 0).matches('\n').count(), 2);
    }
}
