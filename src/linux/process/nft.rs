//! Loads the text of our nftables table by `nft -f -`, a child: one at a time, without blocking the daemon.
//!
//! The text is made while it is written: as much of it as the pipe has room for. When the pipe has room again, the text is
//! made once more, and its beginning is skipped. So no memory holds it. It must be the same each time.

#[cfg(test)]
mod tests;

use core::fmt::{self, Write};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::{String, Vec};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read, write};

use super::child::Child;
use crate::limits::NFT_ERROR_MAX;
use crate::text::end_cut;
use crate::types::{Duration, Instant};

/// Timeout of a child, which usually takes some milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes per write. Less than PIPE_BUF: they are written as a whole, or not at all (pipe(7)).
const PIECE: usize = 512;
/// Bytes of its errors that are read: the first error, the line that it is about, and one with marks below that.
const ERRORS: usize = 512;

/// Writes the text.
pub type Text<'a> = &'a dyn Fn(&mut dyn Write) -> fmt::Result;

/// The running child, if any. All zero bytes when new.
#[derive(Debug)]
pub struct Nft {
    running: Vec<Running, 1>,
}

/// Why the text was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// there is no program `nft`
    Missing,
    /// it cannot be started
    NotStarted(Errno),
    /// it has refused the text, or cannot load it: the first of its errors, cut if it is long
    Refused(String<NFT_ERROR_MAX>),
    /// it has not ended in time, and was killed
    TimedOut,
    /// a signal of another program has ended it
    Killed,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// its standard input; closed at the end of the text
    input: Option<OwnedFd>,
    /// its errors
    errors: OwnedFd,
    /// how much of the text was written
    written: usize,
    /// to be killed at this time; none after that
    deadline: Option<Instant>,
}

impl Nft {
    /// No child.
    #[allow(clippy::new_without_default)] // a default would be made on the stack
    pub const fn new() -> Nft {
        Nft {
            running: Vec::new(),
        }
    }

    /// Whether a child is running. Its outcome must be taken before the next one is started.
    pub fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Starts a child. Returns the descriptor to poll until it is writable: then, [`Nft::write`] is to be called.
    ///
    /// # Errors
    /// [`Failure::Missing`], or [`Failure::NotStarted`] (also if one is running).
    pub fn start(&mut self, now: Instant) -> Result<BorrowedFd<'_>, Failure> {
        self.start_program(c"nft", now)
    }

    fn start_program(&mut self, program: &CStr, now: Instant) -> Result<BorrowedFd<'_>, Failure> {
        if self.is_running() {
            return Err(Failure::NotStarted(Errno::EBUSY));
        }
        let running = Running::start(program, now).map_err(|errno| match errno {
            Errno::ENOENT => Failure::Missing,
            errno => Failure::NotStarted(errno),
        })?;
        let _ = self.running.push(running); // it was empty
        let running = self.running.first();
        let input = running.and_then(|running| running.input.as_ref());
        input
            .map(AsFd::as_fd)
            .ok_or(Failure::NotStarted(Errno::EBADF))
    }

    /// Writes as much of the text as the child takes now. Closes the descriptor at the end of the text, or if the child does
    /// not read any more.
    pub fn write(&mut self, text: Text<'_>) {
        let Some(running) = self.running.first_mut() else {
            return;
        };
        if let Some(input) = &running.input
            && !fill(input, &mut running.written, text)
        {
            running.input = None;
        }
    }

    /// The outcome of a child that has ended, once; to be called when a child of this process has ended. `Ok`: the kernel
    /// has the table.
    pub fn outcome(&mut self) -> Option<Result<(), Failure>> {
        if !self.running.first()?.child.has_ended() {
            return None;
        }
        let running = self.running.pop()?;
        let timed_out = running.deadline.is_none();
        Some(match running.child.reap_group() {
            Some(0) => Ok(()),
            Some(_) => Err(Failure::Refused(first_error(&running.errors))),
            None if timed_out => Err(Failure::TimedOut),
            None => Err(Failure::Killed),
        })
    }

    /// When [`Nft::give_up`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.running.first()?.deadline
    }

    /// Kills the child if its deadline has passed.
    pub fn give_up(&mut self, now: Instant) {
        if let Some(running) = self.running.first_mut() {
            running.child.give_up(&mut running.deadline, now);
        }
    }

    /// Kills the child, because the daemon ends. What it has begun to load is loaded when this returns.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.pop() {
            running.child.kill();
            running.child.wait();
        }
    }
}

impl Running {
    fn start(program: &CStr, now: Instant) -> Result<Running, Errno> {
        let (text, input) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&input, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // Both ends do not block: what there is no room for is lost, and the child never waits for this process.
        let (errors, output) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let streams = [Some(text.as_fd()), None, Some(output.as_fd())];
        Ok(Running {
            child: Child::start_with(&[program, c"-f", c"-"], &[], streams)?,
            input: Some(input),
            errors,
            written: 0,
            deadline: Some(now + PATIENCE),
        })
    }
}

/// Writes from the text what was not written yet. Returns whether there is more to write later.
fn fill(input: &OwnedFd, written: &mut usize, text: Text<'_>) -> bool {
    let mut pipe = Pipe {
        input,
        skip: *written,
        written,
        piece: Vec::new(),
        is_full: false,
    };
    let _ = text(&mut pipe).and_then(|()| pipe.flush());
    pipe.is_full
}

/// Collects pieces of the text, and writes them.
struct Pipe<'a> {
    input: &'a OwnedFd,
    /// how much of the text was written before
    skip: usize,
    /// how much of the text is written in all
    written: &'a mut usize,
    piece: Vec<u8, PIECE>,
    /// it takes no more for now
    is_full: bool,
}

impl Write for Pipe<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let known = text.len().min(self.skip);
        self.skip -= known;
        for byte in text.bytes().skip(known) {
            if self.piece.is_full() {
                self.flush()?;
            }
            let _ = self.piece.push(byte); // there is room
        }
        Ok(())
    }
}

impl Pipe<'_> {
    fn flush(&mut self) -> fmt::Result {
        while !self.piece.is_empty() {
            match write(self.input, &self.piece) {
                Ok(_) => {
                    *self.written += self.piece.len();
                    self.piece.clear();
                }
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    self.is_full = errno == Errno::EAGAIN;
                    return Err(fmt::Error);
                }
            }
        }
        Ok(())
    }
}

/// The first line of a child's errors, and the part of the text that it is about: the name of what the kernel lacks.
fn first_error(errors: &OwnedFd) -> String<NFT_ERROR_MAX> {
    let mut bytes = [0; ERRORS];
    let length = read(errors, &mut bytes).unwrap_or(0);
    let mut lines = bytes
        .get(..length)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n');
    let mut error = String::new();
    push(&mut error, lines.next());
    if let Some(part) = marked(lines.next(), lines.next()) {
        push(&mut error, Some(b": "));
        push(&mut error, Some(part));
    }
    error
}

/// The part of a line that the next one marks by `^`.
fn marked<'a>(line: Option<&'a [u8]>, marks: Option<&[u8]>) -> Option<&'a [u8]> {
    let is_mark = |byte: &u8| *byte == b'^';
    let begin = marks?.iter().position(is_mark)?;
    let length = marks?
        .iter()
        .skip(begin)
        .take_while(|byte| is_mark(byte))
        .count();
    line?.get(begin..begin + length)
}

/// Adds as much as there is room for, and `…` if that is not all.
fn push(text: &mut String<NFT_ERROR_MAX>, bytes: Option<&[u8]>) {
    for chunk in bytes.unwrap_or_default().utf8_chunks() {
        for char in chunk.valid().chars() {
            if text.push(char).is_err() {
                return end_cut(text);
            }
        }
    }
}
