//! The user's terminal.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::linux::clock::now;
use crate::linux::ffi;
use crate::linux::file::open::write_all;
use crate::types::{Duration, Instant};

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    ffi::stdout().is_terminal()
}

/// Writes to standard output. std's own would be two kilobytes of the program.
///
/// # Errors
/// EPIPE: the reader has gone.
pub fn print(text: &str) -> Result<(), Errno> {
    write_all(ffi::stdout(), text.as_bytes())
}

/// Writes to standard error. A failure cannot be reported.
pub fn note(text: &str) {
    let _ = write_all(io::stderr().as_fd(), text.as_bytes());
}

/// Ends the program.
pub fn end(status: i32) -> ! {
    ffi::exit(status)
}

/// Whether to use colours: on a terminal with colours, unless `NO_COLOR` is set to anything (no-color.org).
pub(crate) fn has_colours() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    is_terminal() && !no_colour && !dumb
}

/// The number of lines of the terminal; 24 if unknown.
pub(crate) fn height() -> usize {
    match ffi::terminal_rows(ffi::stdout()) {
        None | Some(0) => 24,
        Some(rows) => rows.into(),
    }
}

/// Ticks once per second, until a signal ends it.
#[derive(Debug)]
pub(crate) struct Ticker {
    signals: SignalFd,
    next: Instant,
}

/// The end of a wait of a `Ticker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// redraw: a second has passed, or the window was resized
    Again,
    /// Ctrl-C, or another signal to end
    End,
}

const SECOND: Duration = Duration::from_secs(1);

impl Ticker {
    /// From now on, the signals that end a program only end the ticker.
    ///
    /// # Errors
    /// An error of signalfd(2).
    pub(crate) fn new() -> io::Result<Ticker> {
        let mut signals = SigSet::empty();
        for signal in &[
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGWINCH,
        ] {
            signals.add(*signal);
        }
        signals.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Ticker {
            signals: SignalFd::with_flags(&signals, flags)?,
            next: now() + SECOND,
        })
    }

    /// Waits for the next second. Also ends if the reader of the output has gone.
    pub(crate) fn wait(&mut self) -> Tick {
        let left = match now() {
            now if now < self.next => self.next - now,
            _ => Duration::ZERO,
        };
        let millis = u16::try_from(left.total_millis()).unwrap_or(u16::MAX);
        let mut fds = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(ffi::stdout(), PollFlags::empty()), // errors are always reported
        ];
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(0) => {
                self.next += SECOND;
                if self.next < now() {
                    self.next = now() + SECOND; // the program was stopped, or the daemon was slow
                }
                return Tick::Again;
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Tick::End,
        }
        if fds[1].any() == Some(true) {
            return Tick::End;
        }
        match self.signals.read_signal() {
            Ok(Some(signal)) if signal.ssi_signo != Signal::SIGWINCH as u32 => Tick::End,
            Err(_) => Tick::End,
            Ok(_) => Tick::Again,
        }
    }
}
