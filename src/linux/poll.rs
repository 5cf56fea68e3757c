//! Waits for any number of descriptors, and for one deadline.
//!
//! The timer is edge-triggered and never read: setting it again clears the last expiration (timerfd_settime(2)). So a
//! wakeup by the deadline costs only `epoll_wait` and `timerfd_settime`. `epoll_pwait2`, with a timeout in nanoseconds,
//! would need no timer, but came with Linux 5.11: too new for routers.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use crate::types::Instant;

/// Most descriptors that one wait returns; the others are returned by the next.
pub(crate) const READY_MAX: usize = 32;
/// The timer's token. A descriptor must have another.
const TIMER: u64 = u64::MAX;

/// The events that a descriptor is polled for. Errors and hang-ups are always reported: remove such a descriptor, or the
/// next wait returns at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// readable
    pub read: bool,
    /// writable
    pub write: bool,
}

impl Interest {
    /// Readable.
    pub(crate) const READ: Interest = Interest {
        read: true,
        write: false,
    };
    /// Writable.
    pub(crate) const WRITE: Interest = Interest {
        read: false,
        write: true,
    };

    fn event(self, token: u64) -> EpollEvent {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, self.read);
        flags.set(EpollFlags::EPOLLOUT, self.write);
        EpollEvent::new(flags, token)
    }
}

/// A ready descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// its token
    pub token: u64,
    /// a read will not block: there is data, end of file or an error
    pub readable: bool,
    /// a write will not block: there is room, or an error
    pub writable: bool,
    /// an error is pending, or the peer has closed
    pub broken: bool,
}

/// Buffer for the result of a wait; to be reused.
pub struct ReadyList([EpollEvent; READY_MAX]);

impl ReadyList {
    /// A buffer for `READY_MAX` descriptors.
    pub const fn new() -> ReadyList {
        ReadyList([EpollEvent::new(EpollFlags::empty(), 0); READY_MAX])
    }
}

impl Default for ReadyList {
    fn default() -> ReadyList {
        ReadyList::new()
    }
}

/// One epoll and one timer. Allocates nothing.
pub struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    /// the timer's time; none after it has expired
    armed: Option<Instant>,
}

impl Poller {
    /// A poller without descriptors.
    pub fn new() -> Result<Poller, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&timer, EpollEvent::new(edge, TIMER))?;
        Ok(Poller {
            epoll,
            timer,
            armed: None,
        })
    }

    /// Adds a descriptor, until it is closed. `u64::MAX` is no valid token.
    pub fn add(&self, descriptor: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        debug_assert_ne!(token, TIMER, "the timer's own");
        self.epoll.add(descriptor, interest.event(token))
    }

    /// Changes a descriptor's interest.
    pub fn modify(
        &self,
        descriptor: impl AsFd,
        token: u64,
        interest: Interest,
    ) -> Result<(), Errno> {
        self.epoll.modify(descriptor, &mut interest.event(token))
    }

    /// Sets when [`Poller::wait`] returns at the latest; at once if that is past. It does so once: afterwards the deadline
    /// must be set again, to the same or another instant.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> Result<(), Errno> {
        if deadline == self.armed {
            return Ok(());
        }
        match deadline {
            Some(at) => {
                let micros = u64::try_from(at.total_micros()).unwrap_or(0);
                // Zero would disarm the timer (timerfd_settime(2)).
                let since_boot = Duration::from_micros(micros).max(Duration::from_nanos(1));
                let once = Expiration::OneShot(since_boot.into());
                self.timer.set(once, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        self.armed = deadline;
        Ok(())
    }

    /// Waits until a descriptor is ready or the deadline has passed; returns the ready ones, none if only the deadline has
    /// passed. So read the clock after each wait.
    pub fn wait<'a>(
        &mut self,
        list: &'a mut ReadyList,
    ) -> Result<impl Iterator<Item = Ready> + use<'a>, Errno> {
        let count = loop {
            match self.epoll.wait(&mut list.0, EpollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                result => break result?,
            }
        };
        let events = list.0.get(..count).unwrap_or_default();
        if events.iter().any(|event| event.data() == TIMER) {
            self.armed = None;
        }
        Ok(events
            .iter()
            .filter(|event| event.data() != TIMER)
            .map(ready))
    }
}

fn ready(event: &EpollEvent) -> Ready {
    let flags = event.events();
    let broken = flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP);
    Ready {
        token: event.data(),
        readable: broken || flags.contains(EpollFlags::EPOLLIN),
        writable: broken || flags.contains(EpollFlags::EPOLLOUT),
        broken,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::linux::clock::now;
    use crate::types::Duration;

    const GUARD: u64 = 1_000_000;

    /// A poller that never blocks for ever: after so many milliseconds another timer becomes ready.
    fn guarded_for(ms: u64) -> (Poller, TimerFd) {
        let poller = Poller::new().unwrap();
        let guard = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC).unwrap();
        let once = Expiration::OneShot(std::time::Duration::from_millis(ms).into());
        guard.set(once, TimerSetTimeFlags::empty()).unwrap();
        poller.add(&guard, GUARD, Interest::READ).unwrap();
        (poller, guard)
    }

    fn guarded() -> (Poller, TimerFd) {
        guarded_for(5000)
    }

    fn tokens(poller: &mut Poller) -> Vec<u64> {
        let mut list = ReadyList::new();
        let ready = poller.wait(&mut list).unwrap();
        ready.map(|ready| ready.token).collect()
    }

    /// So many milliseconds from now.
    fn soon(ms: u64) -> Option<Instant> {
        Some(now() + Duration::from_millis(ms))
    }

    #[test]
    fn a_deadline_wakes_at_its_time_and_not_earlier() {
        let (mut poller, _guard) = guarded();
        for _ in 0..20 {
            let deadline = now() + Duration::from_millis(3);
            poller.set_deadline(Some(deadline)).unwrap();
            assert_eq!(tokens(&mut poller), [0_u64; 0]);
            assert!(now() >= deadline);
        }
    }

    #[test]
    fn a_deadline_wakes_once() {
        let (mut poller, _guard) = guarded_for(100);
        poller.set_deadline(Some(Instant::ZERO)).unwrap();
        assert_eq!(tokens(&mut poller), [0_u64; 0]);
        assert_eq!(tokens(&mut poller), [GUARD]);
    }

    #[test]
    fn a_past_deadline_wakes_at_once_and_each_time_it_is_set() {
        let (mut poller, _guard) = guarded();
        let past = now() - Duration::from_millis(5);
        for deadline in [past, past, Instant::ZERO, Instant::from_micros(-5)] {
            poller.set_deadline(Some(deadline)).unwrap();
            let before = now();
            assert_eq!(tokens(&mut poller), [0_u64; 0]);
            assert!(now() - before < Duration::from_millis(500));
        }
    }

    #[test]
    fn a_deadline_that_was_moved_or_removed_does_not_wake() {
        let (mut poller, _guard) = guarded();
        let (near, far) = (soon(20), soon(150));
        poller.set_deadline(near).unwrap();
        poller.set_deadline(None).unwrap();
        poller.set_deadline(far).unwrap();
        poller.set_deadline(far).unwrap();
        assert_eq!(tokens(&mut poller), [0_u64; 0]);
        assert!(Some(now()) >= far);

        // A deadline that expired unnoticed, and was then moved, leaves no event.
        poller.set_deadline(Some(Instant::ZERO)).unwrap();
        let far = soon(50);
        poller.set_deadline(far).unwrap();
        assert_eq!(tokens(&mut poller), [0_u64; 0]);
        assert!(Some(now()) >= far);
    }

    #[test]
    fn ready_descriptors_are_returned_by_their_tokens_until_removed() {
        let (mut poller, _guard) = guarded();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        poller.add(&near, 7, Interest::READ).unwrap();
        poller.set_deadline(soon(20)).unwrap();
        assert_eq!(tokens(&mut poller), [0_u64; 0]);

        far.write_all(b"x").unwrap();
        let mut list = ReadyList::new();
        let ready: Vec<Ready> = poller.wait(&mut list).unwrap().collect();
        let seven = Ready {
            token: 7,
            readable: true,
            writable: false,
            broken: false,
        };
        assert_eq!(ready, [seven]);
        // A descriptor that was not read is returned again.
        assert_eq!(tokens(&mut poller), [7]);

        poller.modify(&near, 8, Interest::WRITE).unwrap();
        let ready: Vec<Ready> = poller.wait(&mut list).unwrap().collect();
        assert_eq!(
            (ready[0].token, ready[0].readable, ready[0].writable),
            (8, false, true)
        );

        near.read_exact(&mut [0]).unwrap();
        // A child that another test has just forked may still have both ends: closing them is not enough.
        far.shutdown(std::net::Shutdown::Both).unwrap();
        let ready: Vec<Ready> = poller.wait(&mut list).unwrap().collect();
        assert!(ready[0].broken && ready[0].readable);

        drop(near);
        let is_gone = |_| {
            poller.set_deadline(soon(20)).unwrap();
            tokens(&mut poller).is_empty()
        };
        assert!((0..1000).any(is_gone));
    }

    #[test]
    fn descriptors_beyond_the_buffer_are_returned_by_the_next_wait() {
        let (mut poller, _guard) = guarded();
        let pairs: Vec<_> = (0..2 * READY_MAX as u64)
            .map(|token| {
                let (near, mut far) = UnixStream::pair().unwrap();
                poller.add(&near, token, Interest::READ).unwrap();
                far.write_all(b"x").unwrap();
                (near, far)
            })
            .collect();
        let mut seen = tokens(&mut poller);
        seen.extend(tokens(&mut poller));
        seen.sort_unstable();
        assert_eq!(seen, (0..pairs.len() as u64).collect::<Vec<_>>());
    }
}
