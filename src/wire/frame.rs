//! Control frames: a length, the protocol's version, and one message.
//!
//! The length is two bytes, little-endian, and counts what follows it: the version (one byte) and the message. A
//! whole frame is never longer than [`FRAME_MAX`]. Nothing here blocks or allocates: the caller owns the buffers.

use core::fmt;

use crate::limits::FRAME_MAX;
use crate::wire::codec::{Codec, Message};
use crate::wire::control::VERSION;

/// Bytes of the length.
const LENGTH: usize = 2;
/// Bytes before the message: the length and the version.
const HEAD: usize = LENGTH + 1;

/// Why bytes are no valid frame, or why a message does not fit in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The peer uses this version of the protocol, not [`VERSION`].
    Version(u8),
    /// The frame's length is less than any message has, or more than [`FRAME_MAX`] allows.
    Length(u16),
    /// The message is unknown.
    Message,
    /// The message does not fit.
    TooLong,
}

impl core::error::Error for FrameError {}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Version(found) => write!(
                f,
                "control protocol version {found} met version {VERSION}: daemon and command are of different \
                 versions. Restart the service: `/etc/init.d/failover restart`, or `systemctl restart failover`"
            ),
            FrameError::Length(found) => write!(
                f,
                "a control frame of {found} bytes: between 2 and {} are expected",
                FRAME_MAX - LENGTH
            ),
            FrameError::Message => f.write_str("a control message that cannot be read"),
            FrameError::TooLong => f.write_str("a control message that fits no frame"),
        }
    }
}

/// Writes one frame at the start of a buffer; returns its length in bytes. The message is not changed.
///
/// # Errors
/// [`FrameError::TooLong`] if it does not fit in the buffer, or in a frame.
pub fn encode(message: &mut dyn Message, buffer: &mut [u8]) -> Result<usize, FrameError> {
    let room = buffer.len().min(FRAME_MAX);
    let Some((head, body)) = buffer[..room].split_at_mut_checked(HEAD) else {
        return Err(FrameError::TooLong);
    };
    let room = body.len();
    let mut codec = Codec::writer(body);
    message.pass(&mut codec);
    let written = room - codec.rest().ok_or(FrameError::TooLong)?;
    let length = u16::try_from(written + 1).map_err(|_| FrameError::TooLong)?;
    head[..LENGTH].copy_from_slice(&length.to_le_bytes());
    head[LENGTH] = VERSION;
    Ok(HEAD + written)
}

/// Reads the frame at the start of some bytes: the message, and its number of bytes. `None`: more bytes are needed.
///
/// # Errors
/// Returned as soon as it is certain, before the whole frame has arrived.
pub fn decode<T: Message + Default>(bytes: &[u8]) -> Result<Option<(T, usize)>, FrameError> {
    let mut message = T::default();
    let taken = decode_into(bytes, &mut message)?;
    Ok(taken.map(|taken| (message, taken)))
}

/// The same, into an existing message. Its content is undefined unless the whole frame was read.
///
/// # Errors
/// As [`decode`].
pub fn decode_into(bytes: &[u8], message: &mut dyn Message) -> Result<Option<usize>, FrameError> {
    let Some((&[low, high], rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = u16::from_le_bytes([low, high]);
    if length < 2 || usize::from(length) > FRAME_MAX - LENGTH {
        return Err(FrameError::Length(length));
    }
    match rest.first() {
        None => return Ok(None),
        Some(&VERSION) => {}
        Some(&found) => return Err(FrameError::Version(found)),
    }
    let Some(fields) = rest.get(1..usize::from(length)) else {
        return Ok(None);
    };
    let mut codec = Codec::reader(fields);
    message.pass(&mut codec);
    match codec.rest() {
        Some(0) => Ok(Some(LENGTH + usize::from(length))),
        _ => Err(FrameError::Message),
    }
}

#[cfg(test)]
mod tests;
