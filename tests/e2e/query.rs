//! A datagram to a target and its result: the provider that carried it, or that it was refused.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use super::lab::Namespace;
use super::lab::internet::PORT;
pub use super::lab::topology::other_target;

/// Timeout for an answer.
const TIMEOUT: Duration = Duration::from_millis(400);

/// The result of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// answered through this provider (from 1)
    By(u8),
    /// refused, by the kernel or by an ICMP error, after this time
    Refused(Duration),
    /// neither
    Lost,
}

/// The options of a query.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// `SO_MARK`
    pub mark: Option<u32>,
    /// `SO_BINDTODEVICE`
    pub device: Option<String>,
    /// the source address
    pub source: Option<IpAddr>,
}

impl Query {
    /// With this mark.
    pub fn marked(mark: u32) -> Query {
        Query {
            mark: Some(mark),
            ..Query::default()
        }
    }

    /// By this device.
    pub fn by_device(device: &str) -> Query {
        Query {
            device: Some(device.to_owned()),
            ..Query::default()
        }
    }

    /// From this address.
    pub fn from(source: IpAddr) -> Query {
        Query {
            source: Some(source),
            ..Query::default()
        }
    }

    /// Sends one datagram to a target (the lab must [`super::Lab::serve`]).
    pub fn send(&self, namespace: &Namespace, target: IpAddr) -> Outcome {
        namespace.enter(|| {
            let start = Instant::now();
            match self.answer(target) {
                Ok(number) => Outcome::By(number),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Outcome::Lost,
                Err(_) => Outcome::Refused(start.elapsed()),
            }
        })
    }

    fn answer(&self, target: IpAddr) -> std::io::Result<u8> {
        let any: IpAddr = if target.is_ipv4() {
            [0, 0, 0, 0].into()
        } else {
            [0_u16; 8].into()
        };
        let socket = UdpSocket::bind((self.source.unwrap_or(any), 0))?;
        if let Some(mark) = self.mark {
            setsockopt(&socket, sockopt::Mark, &mark)?;
        }
        if let Some(device) = &self.device {
            setsockopt(&socket, sockopt::BindToDevice, &device.into())?;
        }
        // Otherwise the socket does not get ICMP's "unreachable", which may be transient (ip(7), "Error handling").
        if target.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.connect(SocketAddr::from((target, PORT)))?;
        socket.send(&[0])?;
        let mut answer = [0; 4];
        let length = socket.recv(&mut answer)?;
        Ok(answer[length - 1])
    }
}

/// Sends a query without options.
pub fn query(namespace: &Namespace, target: IpAddr) -> Outcome {
    Query::default().send(namespace, target)
}
