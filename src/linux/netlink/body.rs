//! What a message says: of all that rtnetlink could read and write, the four kinds of things that we exchange.
//!
//! Its own type for this, `RouteNetlinkMessage`, knows hundreds of attributes of devices, queues and tunnels. The code
//! that reads and writes them would be more than all the rest of the program.

use core::fmt;

use nix::libc;
use rtnetlink::packet_core::{
    DecodeError, Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkPayload,
    NetlinkSerializable, NlasIterator, Parseable, parse_string,
};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkHeader;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;

/// A message without its header.
pub(super) struct Body {
    /// the message's type (`RTM_*`)
    pub(super) kind: u16,
    pub(super) thing: Thing,
}

/// What it is about.
pub(super) enum Thing {
    /// of all its attributes, the name
    Link(LinkHeader, String),
    Address(AddressMessage),
    Route(RouteMessage),
    Rule(RuleMessage),
}

impl NetlinkDeserializable for Body {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Body, DecodeError> {
        let kind = header.message_type;
        let thing = match kind {
            libc::RTM_NEWLINK | libc::RTM_DELLINK => {
                Thing::Link(LinkHeader::parse(payload)?, link_name(payload)?)
            }
            libc::RTM_NEWADDR | libc::RTM_DELADDR => {
                Thing::Address(AddressMessage::parse(payload)?)
            }
            libc::RTM_NEWROUTE | libc::RTM_DELROUTE => Thing::Route(RouteMessage::parse(payload)?),
            libc::RTM_NEWRULE | libc::RTM_DELRULE => Thing::Rule(RuleMessage::parse(payload)?),
            _ => return Err("a type that nobody asked for".into()),
        };
        Ok(Body { kind, thing })
    }
}

fn link_name(payload: &[u8]) -> Result<String, DecodeError> {
    let attributes = payload.get(LinkHeader::default().buffer_len()..);
    for attribute in NlasIterator::new(attributes.unwrap_or_default()) {
        let attribute = attribute?;
        if attribute.kind() == libc::IFLA_IFNAME {
            return parse_string(attribute.value());
        }
    }
    Err("a device without a name".into())
}

impl NetlinkSerializable for Body {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.thing.emitable().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        self.thing.emitable().emit(buffer);
    }
}

impl Thing {
    /// What is sent. We only ever ask to see all links and addresses: that takes their header alone.
    fn emitable(&self) -> &dyn Emitable {
        match self {
            Thing::Link(header, _) => header,
            Thing::Address(message) => &message.header,
            Thing::Route(message) => message,
            Thing::Rule(message) => message,
        }
    }
}

impl From<Body> for NetlinkPayload<Body> {
    fn from(body: Body) -> Self {
        NetlinkPayload::InnerMessage(body)
    }
}

/// For the log lines of netlink-proto, which nobody reads.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message of type {}", self.kind)
    }
}
