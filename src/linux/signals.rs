//! Signals as a descriptor (signalfd(2)): they are blocked, so that none interrupts, and read by the event loop.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const SIGHUP: u32 = Number::SIGHUP as u32;
const SIGCHLD: u32 = Number::SIGCHLD as u32;

/// The meaning of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT: end
    Stop,
    /// SIGHUP: read the configuration again
    Reload,
    /// SIGCHLD: at least one child has ended; one signal may stand for several
    Child,
}

/// The handled signals. They stay blocked for the life of the process, and in children that `std::process::Command` starts
/// (since Rust 1.66 it does not reset the mask; verified). A shell whose SIGCHLD is blocked may wait for ever: so children
/// are started by `posix_spawn` with `POSIX_SPAWN_SETSIGMASK` and an empty mask.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals in this thread, which must be the only one: later threads inherit the mask.
    pub(crate) fn new() -> Result<Signals, Errno> {
        let mut set = SigSet::empty();
        for number in &[
            Number::SIGTERM,
            Number::SIGINT,
            Number::SIGHUP,
            Number::SIGCHLD,
        ] {
            set.add(*number);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Signals(SignalFd::with_flags(&set, flags)?))
    }

    /// The next pending signal. Allocates nothing.
    pub(crate) fn take(&mut self) -> Result<Option<Signal>, Errno> {
        let Some(info) = self.0.read_signal()? else {
            return Ok(None);
        };
        Ok(Some(match info.ssi_signo {
            SIGHUP => Signal::Reload,
            SIGCHLD => Signal::Child,
            _ => Signal::Stop,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn signals_are_translated() {
        let mut signals = Signals::new().unwrap();
        assert_eq!(signals.take(), Ok(None));
        for (number, meaning) in [
            (Number::SIGTERM, Signal::Stop),
            (Number::SIGINT, Signal::Stop),
            (Number::SIGHUP, Signal::Reload),
            (Number::SIGCHLD, Signal::Child),
        ] {
            // To this thread only: threads of other tests do not block it.
            raise(number).unwrap();
            assert_eq!(signals.take(), Ok(Some(meaning)));
        }
        assert_eq!(signals.take(), Ok(None));
    }
}
