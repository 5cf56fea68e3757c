//! Signals as a descriptor (signalfd(2)): blocked, so that none interrupts, and read when the loop gets to it.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What the signals mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT: end
    Stop,
    /// SIGHUP: read the configuration again
    Reload,
    /// SIGCHLD: at least one child has ended. Several endings may be told as one
    Child,
}

/// Our signals. They stay blocked for the life of the process, and in the children that `std::process::Command` starts
/// (since Rust 1.66 it leaves the mask alone; tried). A shell whose SIGCHLD is blocked may wait for ever: so start
/// children by `posix_spawn` with `POSIX_SPAWN_SETSIGMASK` and an empty mask.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks them in this thread, which must be the only one yet: those it starts inherit that.
    pub fn new() -> Result<Signals, Errno> {
        let mut set = SigSet::empty();
        for number in [
            Number::SIGTERM,
            Number::SIGINT,
            Number::SIGHUP,
            Number::SIGCHLD,
        ] {
            set.add(number);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Signals(SignalFd::with_flags(&set, flags)?))
    }

    /// The next one; none when there is none now. Allocates nothing.
    pub fn take(&mut self) -> Result<Option<Signal>, Errno> {
        let Some(info) = self.0.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).map_or(Err(Errno::EINVAL), Number::try_from)?;
        Ok(Some(match number {
            Number::SIGHUP => Signal::Reload,
            Number::SIGCHLD => Signal::Child,
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
    fn signals_are_told_in_our_words() {
        let mut signals = Signals::new().unwrap();
        assert_eq!(signals.take(), Ok(None));
        for (number, meaning) in [
            (Number::SIGTERM, Signal::Stop),
            (Number::SIGINT, Signal::Stop),
            (Number::SIGHUP, Signal::Reload),
            (Number::SIGCHLD, Signal::Child),
        ] {
            // To this thread only: another test's thread does not block it.
            raise(number).unwrap();
            assert_eq!(signals.take(), Ok(Some(meaning)));
        }
        assert_eq!(signals.take(), Ok(None));
    }
}
