//! A call of netifd that runs: its child and output.

use std::os::fd::{AsFd, OwnedFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

use super::super::child::Child;
use super::{NoAnswer, Tunnels};
use crate::types::{Duration, Instant};
use crate::wire::netifd::{Dump, Sink};

/// Timeout of a call, which usually takes some milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes per read of the output.
const PIECE: usize = 512;

/// A call that runs.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) child: Child,
    /// its output; closed at its end
    pub(super) output: Option<OwnedFd>,
    dump: Dump,
    pub(super) tunnels: Tunnels,
    /// to be killed at this time
    pub(super) deadline: Option<Instant>,
}

impl Asking {
    pub(super) fn start(now: Instant) -> Result<Asking, Errno> {
        let (output, input) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let arguments = [c"ubus", c"call", c"network.interface", c"dump"];
        Ok(Asking {
            child: Child::start(&arguments, &[], Some(input.as_fd()))?,
            output: Some(output),
            dump: Dump::new(),
            tunnels: Vec::new(),
            deadline: Some(now + PATIENCE),
        })
    }

    /// Reads the available output.
    pub(super) fn read(&mut self, sink: Sink<'_>) {
        let mut piece = [0; PIECE];
        while let Some(output) = &self.output {
            match read(output, &mut piece) {
                Ok(0) => self.output = None,
                Ok(count) => self.dump.feed(piece.get(..count).unwrap_or_default(), sink),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.output = None,
            }
        }
    }

    /// The result, after the end of the child.
    pub(super) fn result(&self) -> Result<(), NoAnswer> {
        match self.child.reap_group() {
            Some(0) => self.dump.finish().map_err(|_| NoAnswer::Unreadable),
            Some(status) => Err(NoAnswer::Status(status)),
            None => Err(NoAnswer::Killed),
        }
    }
}
