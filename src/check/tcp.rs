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

/// The port of an option, 1 to 65535, if it is given.
pub(super) fn port(options: &mut Options<'_, '_, '_>, port: &mut u16) -> Given<()> {
    let mut number = (*port).into();
    let given = options.number("port", 1, u16::MAX.into(), &mut number);
    *port = u16::try_from(number).unwrap_or(u16::MAX);
    given
}

/// The pace of small requests to public servers.
pub(super) const PACE: Pace = Pace {
    least: Duration::from_secs(5),
    rounds: 1,
};

impl Type for Tcp {
    type Session = ();

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Tcp, Family)> {
        let mut number = 0;
        if port(options, &mut number).is_absent() {
            options.missing("has no port: expected option port with the one to connect to, as 443");
        }
        let mut accept_refused = false;
        options.boolean("accept_refused", &mut accept_refused);
        let target: IpAddr = common.address(options, "the address to connect to")?;
        let target = SocketAddr::new(target, number);
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
