//! A session with a server: what a check hears, and what it does about it.

use core::net::{IpAddr, SocketAddr};

use heapless::Vec;

use crate::types::{Family, Fault};
use crate::wire::{dns, http};

/// The most that a check says at once.
pub const SAY_MAX: usize = if http::REQUEST_MAX > dns::QUERY_MAX {
    http::REQUEST_MAX
} else {
    dns::QUERY_MAX
};

/// What a session hears.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// it begins
    Begin {
        /// the path's family
        family: Family,
        /// the address that the check had learned before, if that holds still
        known: Option<IpAddr>,
    },
    /// the socket that was asked for is connected
    Connected {
        /// nobody else knows it; over a stream, which has no need of it, 0
        random: u16,
    },
    /// some bytes, or one datagram
    Said(&'a [u8]),
    /// the other side has said all
    Ended,
    /// the connection failed
    Failed(Fault),
    /// time is up
    TimedOut,
}

/// What a session does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// close what is open, and connect to there
    Connect(Transport, SocketAddr),
    /// say what there is to say, and listen
    Wait,
    /// it is over: a good answer, or a failed one
    End(Result<(), Fault>),
}

/// How a socket sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// by datagrams
    Udp,
    /// by a stream
    Tcp,
}

/// What a step has to say, and what it has learned.
#[derive(Debug, Default)]
pub struct Say {
    /// for the other side
    pub bytes: Vec<u8, SAY_MAX>,
    /// for the check's next session
    pub learned: Learned,
}

/// What a session has learned of the address of its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Learned {
    /// nothing
    #[default]
    Nothing,
    /// it has this one, for so many seconds
    Address(IpAddr, u32),
    /// what it was known to have is of no use
    Forget,
}
