//! Messages ↔ datagrams. netlink-proto's own codec logs whole messages that it cannot read, by code that is longer than
//! all the rest of it; here they are counted (see `socket`).

use std::fmt::Debug;
use std::io;

use bytes::BytesMut;
use rtnetlink::packet_core::{NetlinkDeserializable, NetlinkMessage, NetlinkSerializable};
use rtnetlink::proto::NetlinkMessageCodec;

/// For a socket that hands over one message at a time.
pub(super) struct Codec;

impl NetlinkMessageCodec for Codec {
    /// The message that was handed over, none when there is none, or it cannot be read.
    fn decode<T: NetlinkDeserializable + Debug>(
        handed: &mut BytesMut,
    ) -> io::Result<Option<NetlinkMessage<T>>> {
        // An error would be a text on the heap.
        if handed.is_empty() {
            return Ok(None);
        }
        let message = NetlinkMessage::deserialize(handed).ok();
        handed.clear();
        Ok(message)
    }

    fn encode<T: NetlinkSerializable + Debug>(
        message: NetlinkMessage<T>,
        datagram: &mut BytesMut,
    ) -> io::Result<()> {
        datagram.resize(message.buffer_len(), 0);
        message.serialize(datagram);
        Ok(())
    }
}
