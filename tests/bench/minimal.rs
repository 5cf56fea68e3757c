//! A minimal prober: one raw socket per device, one timer, one epoll. It sends pings when the timer expires, and receives
//! the replies without evaluating them.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::hint::black_box;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use super::lab::LIFETIME;
use super::lab::topology::TARGETS_V4;

/// The argument that makes the bench the minimal program; the schedule and the devices follow.
pub const ARGUMENT: &str = "--minimal";
/// The timer's token; a socket's is its index.
const TIMER: u64 = u64::MAX;
/// An ICMP header and 32 bytes, like the daemon's.
const MESSAGE_LEN: usize = 40;

/// When pings are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// by all devices when the timer expires, once per interval
    Burst,
    /// by one device after the other: the timer expires once per device and interval
    Spread,
}

impl Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Schedule::Burst => "burst",
            Schedule::Spread => "spread",
        })
    }
}

/// Pings by each device, every interval, until it is killed. The arguments are a schedule and the devices.
pub fn run(arguments: &[String], interval: Duration) -> nix::Result<()> {
    let (schedule, devices) = arguments.split_first().ok_or(Errno::EINVAL)?;
    let sockets = devices
        .iter()
        .map(|device| open(device))
        .collect::<nix::Result<Vec<OwnedFd>>>()?;
    let (at_once, every) = if *schedule == Schedule::Burst.to_string() {
        (sockets.len(), interval)
    } else {
        let count = u32::try_from(sockets.len()).map_err(|_| Errno::EINVAL)?;
        (1, interval / count.max(1))
    };
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
    for (place, socket) in (0..).zip(&sockets) {
        epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, place))?;
    }
    let every = Expiration::Interval(TimeSpec::from_duration(every));
    timer.set(every, TimerSetTimeFlags::empty())?;
    serve(&epoll, &timer, &sockets, at_once)
}

fn serve(epoll: &Epoll, timer: &TimerFd, sockets: &[OwnedFd], at_once: usize) -> nix::Result<()> {
    let target = SockaddrIn::from(SocketAddrV4::new(TARGETS_V4[0], 0));
    let message = request();
    let mut next = sockets.iter().cycle();
    let mut events = [EpollEvent::empty(); 64];
    let end = Instant::now() + LIFETIME;
    while Instant::now() < end {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            if event.data() == TIMER {
                timer.wait()?;
                for socket in next.by_ref().take(at_once) {
                    sendto(socket.as_raw_fd(), &message, &target, MsgFlags::empty())?;
                }
            } else if let Some(socket) = sockets.get(usize::try_from(event.data()).unwrap_or(0)) {
                let mut answer = [0; 128];
                recvfrom::<SockaddrIn>(socket.as_raw_fd(), &mut answer)?;
                black_box(&answer);
            }
        }
    }
    Ok(())
}

fn open(device: &str) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(
        AddressFamily::Inet,
        SockType::Raw,
        flags,
        SockProtocol::Icmp,
    )?;
    setsockopt(&socket, sockopt::BindToDevice, &OsString::from(device))?;
    Ok(socket)
}

/// An echo request (RFC 792) of zeros, except its type, 8, and its last byte, 1: some kernels send a wrong checksum for a
/// reply of zeros only. So the checksum covers only 0x0800 + 0x0001.
fn request() -> [u8; MESSAGE_LEN] {
    let mut message = [0; MESSAGE_LEN];
    message[0] = 8;
    message[MESSAGE_LEN - 1] = 1;
    message[2..4].copy_from_slice(&(!0x0801_u16).to_be_bytes());
    message
}
