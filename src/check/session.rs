//! A check's session with a server: its inputs, its steps, its output.

use core::net::{IpAddr, SocketAddr};

use heapless::Vec;

use crate::types::{Family, Fault};
use crate::wire::{dns, http};

/// Most bytes that a step sends.
pub const OUTPUT_MAX: usize = if http::REQUEST_MAX > dns::QUERY_MAX {
    http::REQUEST_MAX
} else {
    dns::QUERY_MAX
};

/// An input of a session.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// the session begins
    Begin {
        /// the path's family
        family: Family,
        /// the target's address, if an earlier session learned it and it has not expired
        known: Option<IpAddr>,
    },
    /// the socket that was asked for is connected
    Connected {
        /// a random number for the question; 0 over TCP, which needs none
        random: u16,
    },
    /// bytes of the stream, or one datagram
    Received(&'a [u8]),
    /// the server closed its side of the stream
    Closed,
    /// the connection failed
    Failed(Fault),
    /// the session's deadline has passed
    TimedOut,
}

/// What a session does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// close the open socket, and connect to this address
    Connect(Transport, SocketAddr),
    /// send the output, if any, and wait for the next input
    Wait,
    /// the session is over: it succeeded or failed
    End(Result<(), Fault>),
}

/// The transport of a session's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// datagrams
    Udp,
    /// a stream
    Tcp,
}

/// The output of a step.
#[derive(Debug, Default)]
pub struct Output {
    /// bytes to send to the server
    pub bytes: Vec<u8, OUTPUT_MAX>,
    /// what later sessions of the check need to know
    pub learned: Learned,
}

/// What a session learned about the address of its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Learned {
    /// nothing new
    #[default]
    Nothing,
    /// the target has this address; valid for so many seconds
    Address(IpAddr, u32),
    /// the address learned before does not work
    Forget,
}
