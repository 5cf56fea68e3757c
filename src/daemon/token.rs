//! The events that wake the loop, and their numbers in the poller.

use crate::linux::probe::Source;
use crate::linux::probe::session::Serial;

/// An event that wakes the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// the kernel's links, addresses, routes or rules have changed
    Kernel,
    /// another daemon, or a probe by hand, asks for the network namespace
    NetnsLock,
    /// a signal has come
    Signal,
    /// the sticky file may have changed
    Sticky,
    /// a client connects
    Listener,
    /// a client is readable or writable
    Client(usize),
    /// an answer to a probe has come
    Probe(Source),
    /// netifd has answered
    Netifd,
    /// netifd has written other resolvers
    Resolvers,
    /// a file of the state directory was deleted
    StateDir,
    /// a table of nftables was deleted
    Table,
    /// `nft` takes more of the text
    Nft,
}

impl Token {
    /// The kind in the lower half, the index in the upper.
    pub(super) fn to_u64(self) -> u64 {
        let (kind, index) = match self {
            Token::Kernel => (0, 0),
            Token::Signal => (1, 0),
            Token::Sticky => (2, 0),
            Token::Listener => (3, 0),
            Token::Client(index) => (4, index),
            Token::Netifd => (5, 0),
            Token::Probe(Source::Echo(index)) => (6, index),
            Token::Probe(Source::Link(index)) => (7, index),
            Token::Probe(Source::Session(Serial(number))) => (8, number as usize),
            Token::NetnsLock => (9, 0),
            Token::StateDir => (10, 0),
            Token::Table => (11, 0),
            Token::Nft => (12, 0),
            Token::Resolvers => (13, 0),
        };
        (index as u64) << 32 | kind
    }

    pub(super) fn from_u64(token: u64) -> Option<Token> {
        let number = (token >> 32) as u32;
        let index = number as usize;
        Some(match token & 0xff {
            0 => Token::Kernel,
            1 => Token::Signal,
            2 => Token::Sticky,
            3 => Token::Listener,
            4 => Token::Client(index),
            5 => Token::Netifd,
            6 => Token::Probe(Source::Echo(index)),
            7 => Token::Probe(Source::Link(index)),
            8 => Token::Probe(Source::Session(Serial(number))),
            9 => Token::NetnsLock,
            10 => Token::StateDir,
            11 => Token::Table,
            12 => Token::Nft,
            13 => Token::Resolvers,
            _ => return None,
        })
    }
}
