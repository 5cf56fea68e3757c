//! `tcp`: a connection to a port; nothing is sent over it.

use core::net::{IpAddr, SocketAddr};

use super::{Common, Input, Output, Pace, Step, Transport, Type, Way};
use crate::option::section::{Given, Options};
use crate::types::{Duration, Family, Fault};

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// address and port
    pub target: SocketAddr,
    /// whether a refused connection counts as success: the host is up
    pub accept_refused: bool,
}

/// The port of an option, 1 to 65535.
pub(super) fn port(options: &mut Options<'_, '_, '_>) -> Given<u16> {
    let number = options.number("port", 1, u16::MAX.into());
    number.map(|port| u16::try_from(port).unwrap_or(u16::MAX))
}

/// The pace of small requests to public servers.
pub(super) const PACE: Pace = Pace {
    least: Duration::from_secs(5),
    rounds: 1,
};

impl Type for Tcp {
    type Session = ();

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Tcp, Family)> {
        let port = port(options);
        if port.is_absent() {
            options.missing("has no port: expected option port with the one to connect to, as 443");
        }
        let accept_refused = options.boolean("accept_refused").or(false);
        let target: IpAddr = common.address(options, "the address to connect to")?;
        let target = SocketAddr::new(target, port.or(0));
        let tcp = Tcp {
            target,
            accept_refused,
        };
        Some((tcp, Family::of(target.ip())))
    }

    fn pace(&self) -> Pace {
        PACE
    }

    fn way(&self) -> Way<'_> {
        Way::Session
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.target.ip())
    }

    fn step(&self, (): &mut (), input: Input<'_>, _: &mut Output) -> Step {
        match input {
            Input::Begin { .. } => Step::Connect(Transport::Tcp, self.target),
            Input::Failed(Fault::Refused) if self.accept_refused => Step::End(Ok(())),
            Input::Failed(fault) => Step::End(Err(fault)),
            Input::Connected { .. } | Input::Received(_) | Input::Closed => Step::End(Ok(())),
            Input::TimedOut => Step::Wait,
        }
    }
}
