//! What a message says, told apart only as far as we need it.
//!
//! rtnetlink's own type for this, `RouteNetlinkMessage`, reads and writes every attribute of devices, queues and
//! tunnels: with it, that would be more than half of the program.

use core::fmt;

use rtnetlink::packet_core::{
    DecodeError, Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable,
};

use crate::linux::netlink::attribute::Attributes;
use crate::linux::netlink::decode;
use crate::routing::mirror::News;

/// What follows a message's header.
pub(super) enum Body {
    /// heard from the kernel
    News(News),
    /// asked of the kernel
    Request(Request),
}

/// A message to the kernel.
pub(super) struct Request {
    /// its type (`RTM_*`)
    pub(super) kind: u16,
    /// the header that goes with the type
    pub(super) header: Box<dyn Emitable>,
    pub(super) attributes: Attributes,
}

impl NetlinkDeserializable for Body {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Body, DecodeError> {
        decode::news(header.message_type, header.flags, payload)
            .map(Body::News)
            .ok_or_else(|| "it lacks what every such message has".into())
    }
}

/// News are never sent.
impl NetlinkSerializable for Body {
    fn message_type(&self) -> u16 {
        match self {
            Body::Request(request) => request.kind,
            Body::News(_) => 0,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Body::Request(Request {
                header, attributes, ..
            }) => header.buffer_len() + attributes.as_slice().buffer_len(),
            Body::News(_) => 0,
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Body::Request(Request {
            header, attributes, ..
        }) = self
        {
            let (start, rest) = buffer.split_at_mut(header.buffer_len());
            header.emit(start);
            attributes.as_slice().emit(rest);
        }
    }
}

/// For the log lines of netlink-proto, which nobody reads.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }
}
