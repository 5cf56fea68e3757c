//! Control frames, as read by the daemon and by clients: a message that was read is written again, and reads the same.
//!
//! Input: the case; then all bytes of a frame, or the message of a frame with a valid head. The version is replaced by a
//! valid one in most cases, so that inputs found with an older version stay useful.

#![no_main]

use std::fmt::Debug;

use failover::limits::FRAME_MAX;
use failover::wire::codec::Message;
use failover::wire::control::{Reply, Request, VERSION};
use failover::wire::frame::{FrameError, decode, encode};
use failover_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let mut frame = input.rest().to_vec();
    if how & 1 != 0 {
        let length = u16::try_from(frame.len() + 1).unwrap_or(u16::MAX);
        frame.splice(..0, [length.to_le_bytes().as_slice(), &[VERSION]].concat());
    } else if let (0, Some(version)) = (how & 4, frame.get_mut(2)) {
        *version = VERSION;
    }
    match how & 2 {
        0 => try_as::<Reply>(&frame),
        _ => try_as::<Request>(&frame),
    }
});

fn try_as<T: Clone + Debug + Default + PartialEq + Message>(frame: &[u8]) {
    let result = decode::<T>(frame);
    match &result {
        Ok(Some((message, length))) => {
            assert!(*length <= frame.len().min(FRAME_MAX));
            cut::<T>(&frame[..*length]);
            let mut buffer = [0; FRAME_MAX];
            let again =
                encode(&mut message.clone(), &mut buffer).expect("what came in a frame fits one");
            // Of a cause, more may have been missed than there is room for.
            assert!(again <= *length);
            assert_eq!(decode(&buffer[..again]), Ok(Some((message.clone(), again))));
        }
        Ok(None) => assert!(frame.len() < FRAME_MAX),
        Err(error) => {
            assert!(!error.to_string().is_empty() && *error != FrameError::TooLong);
        }
    }
    // Bytes after a frame, or after an error, make no difference.
    if result != Ok(None) {
        assert_eq!(decode::<T>(&[frame, &[frame.len() as u8]].concat()), result);
    }
}

/// More is needed of a frame that is cut off; one whose message is cut off is none.
fn cut<T: Debug + Default + PartialEq + Message>(frame: &[u8]) {
    for length in 0..frame.len() {
        let mut part = frame[..length].to_vec();
        assert_eq!(decode::<T>(&part), Ok(None));
        if length > 3 {
            let claimed = u16::try_from(length - 2).expect("a frame is short");
            part[..2].copy_from_slice(&claimed.to_le_bytes());
            assert_eq!(decode::<T>(&part), Err(FrameError::Message));
        }
    }
}
