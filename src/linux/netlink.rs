//! rtnetlink without an executor: one socket for requests, one for events.
//!
//! Requests go over rtnetlink's connection, which is a future. We poll it ourselves, with a waker that does nothing, whenever
//! its socket is readable or there is something to send; the socket is ours, non-blocking, and hands over one message at a
//! time, so that nothing queues up on the heap and every message that the decoder could not read is noticed. Events answer
//! no request, so they need no connection: they are decoded as they come.
//!
//! | module | job |
//! |---|---|
//! | [`requests`] | carry out a change; dump a kind of things into the mirror |
//! | [`events`] | what the kernel tells unasked, into the mirror |
//! | `socket` | datagrams → single messages |
//! | `prefilter` | which messages concern us, told before they are decoded |
//! | `codec` | messages ↔ datagrams |
//! | `body` | what a message says, as rtnetlink's connection carries it |
//! | `attribute` | values ↔ the bytes of attributes |
//! | `decode` | message → [`crate::routing::mirror::News`] |
//! | `encode` | [`crate::routing::objects::Change`] → message |

mod attribute;
mod body;
mod codec;
mod decode;
mod encode;
pub mod events;
mod prefilter;
pub mod requests;
mod socket;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_channel::mpsc::UnboundedReceiver;
use futures_core::Stream;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::proto;
use rtnetlink::sys::SocketAddr;

use body::Body;
use codec::Codec;
use socket::MessageSocket;

pub use events::{Drained, Events};
pub use requests::Requests;

type Message = NetlinkMessage<Body>;
type Connection = proto::Connection<Body, MessageSocket, Codec>;
type Handle = proto::ConnectionHandle<Body>;
type Unasked = UnboundedReceiver<(Message, SocketAddr)>;

/// Let the connection read at most one message, and send what there is to send. False: it has ended.
fn advance(connection: &mut Connection) -> bool {
    connection.socket_mut().allow_one();
    let mut context = Context::from_waker(Waker::noop());
    Future::poll(Pin::new(connection), &mut context).is_pending()
}

/// What a stream holds now.
fn take<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> Poll<Option<T>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

#[cfg(test)]
mod tests;
