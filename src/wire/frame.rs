//! Control frames: a length, the protocol's version, and one postcard message.
//!
//! The length is two bytes, little-endian, and counts what follows it: the version (one byte) and the message. A
//! whole frame is never longer than [`FRAME_MAX`]. Nothing here waits or allocates: the caller owns the buffers.

use core::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::limits::FRAME_MAX;
use crate::wire::control::VERSION;

/// Bytes of the length.
const LENGTH: usize = 2;
/// Bytes before the message: the length and the version.
const HEAD: usize = LENGTH + 1;

/// Why bytes are no frame, or a message makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The other side speaks this version of the protocol, not [`VERSION`].
    Version(u8),
    /// The frame claims so many bytes, fewer than any message has or more than [`FRAME_MAX`] allows.
    Length(u16),
    /// The message is not one that we know.
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
                 versions, restart the daemon"
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

/// Puts one frame at the start of a buffer; answers its length in bytes.
///
/// # Errors
/// [`FrameError::TooLong`] when the buffer, or a frame, has no room for it.
pub fn encode<T: Serialize>(message: &T, buffer: &mut [u8]) -> Result<usize, FrameError> {
    let room = buffer.len().min(FRAME_MAX);
    let Some((head, body)) = buffer[..room].split_at_mut_checked(HEAD) else {
        return Err(FrameError::TooLong);
    };
    let written = postcard::to_slice(message, body)
        .map_err(|_| FrameError::TooLong)?
        .len();
    let length = u16::try_from(written + 1).map_err(|_| FrameError::TooLong)?;
    head[..LENGTH].copy_from_slice(&length.to_le_bytes());
    head[LENGTH] = VERSION;
    Ok(HEAD + written)
}

/// Reads the frame at the start of some bytes: the message, and how many bytes it took. `None`: more bytes are needed.
///
/// # Errors
/// Told as soon as it is certain, before the whole frame is there.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<(T, usize)>, FrameError> {
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
    let Some(message) = rest.get(1..usize::from(length)) else {
        return Ok(None);
    };
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok(Some((message, LENGTH + usize::from(length)))),
        _ => Err(FrameError::Message),
    }
}

#[cfg(test)]
mod tests {
    use heapless::{String, Vec};
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{CAUSE_MAX, NAME_MAX, TARGET_MAX};
    use crate::types::{Cause, Family, Kind, Other, State, Who};
    use crate::wire::control::*;
    use crate::wire::decimal::Decimal;

    /// Any text of at most `N` bytes.
    fn text<const N: usize>() -> impl Strategy<Value = String<N>> {
        proptest::collection::vec(any::<char>(), 0..=N).prop_map(|chars| {
            let mut text = String::new();
            chars.into_iter().all(|c| text.push(c).is_ok());
            text
        })
    }

    fn number() -> impl Strategy<Value = Option<Decimal>> {
        any::<Option<u32>>().prop_map(|thousandths| thousandths.map(Decimal::new))
    }

    fn list<T: fmt::Debug, const N: usize>(
        of: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Vec<T, N>> {
        proptest::collection::vec(of, 0..=N).prop_map(|items| items.into_iter().collect())
    }

    fn check() -> impl Strategy<Value = Check> {
        let texts = (text(), text(), text(), text());
        (texts, number(), number(), any::<(u32, u32)>()).prop_map(
            |((name, kind, target, state), rtt_ms, loss_percent, (sent, received))| Check {
                name,
                kind,
                target,
                state,
                rtt_ms,
                loss_percent,
                sent,
                received,
                failing_s: Some(sent),
            },
        )
    }

    fn path() -> impl Strategy<Value = Path> {
        let texts = (
            proptest::option::of(text()),
            text(),
            proptest::option::of(text()),
        );
        let rtt = (number(), number(), number(), number(), number());
        let numbers = any::<(u64, Option<u32>, bool, Option<u32>, u32, u32, i32)>();
        let addresses = (
            proptest::option::of(text()),
            proptest::option::of(text()),
            any::<bool>(),
        );
        (texts, rtt, numbers, addresses, number(), list(check())).prop_map(
            |(texts, rtt, numbers, addresses, loss_percent, checks)| Path {
                family: Family::ALL[usize::from(addresses.2)],
                device: texts.0,
                state: texts.1,
                reason: texts.2,
                since_s: numbers.0,
                address: addresses.0,
                gateway: addresses.1,
                metric: numbers.1,
                installed: numbers.2,
                overridden_by: numbers.3,
                held_back_by: None,
                takes_over_in_ms: Some(numbers.0),
                rounds: Rounds {
                    good: numbers.4,
                    failed: numbers.5,
                    streak: numbers.6,
                },
                loss_percent,
                rtt_ms: Rtt {
                    last: rtt.0,
                    avg: rtt.1,
                    stddev: rtt.2,
                    min: rtt.3,
                    max: rtt.4,
                },
                checks,
            },
        )
    }

    fn cure() -> impl Strategy<Value = Option<Cure>> {
        let cure = (any::<bool>(), text()).prop_map(|(is_command, text)| Cure { is_command, text });
        proptest::option::of(cure)
    }

    fn reply() -> impl Strategy<Value = Reply> {
        let provider =
            (text(), any::<(u32, bool)>(), text()).prop_map(|(id, (rank, disabled), state)| {
                Reply::Provider(ProviderHead {
                    id,
                    rank,
                    state,
                    disabled,
                })
            });
        let names = || proptest::option::of(text());
        let header = (text(), any::<(u64, u32, [u32; 4])>(), names(), names()).prop_map(
            |(version, (uptime_s, table, counts), pinned, ipv4)| {
                Reply::Header(Header {
                    version,
                    uptime_s,
                    pinned: pinned.clone(),
                    table,
                    active: Active { ipv4, ipv6: pinned },
                    overridden_by: OverriddenBy {
                        ipv4: None,
                        ipv6: (table % 2 == 0).then(|| ManualRoute {
                            device: "wg0".try_into().unwrap(),
                            metric: table,
                            table: 254,
                        }),
                    },
                    counters: Counters {
                        swaps: counts[0],
                        probes_sent: counts[1],
                        repairs: counts[2],
                        reloads: counts[3],
                        ..Counters::default()
                    },
                })
            },
        );
        let warning = (text(), proptest::option::of(text()), text(), cure()).prop_map(
            |(code, provider, text, cure)| {
                Reply::Warning(Warning {
                    code,
                    provider,
                    text,
                    cure,
                })
            },
        );
        let entry = (any::<u64>(), proptest::option::of(text()), text()).prop_map(
            |(ago_ms, provider, id)| {
                Reply::Entry(Entry {
                    ago_ms,
                    who: Who {
                        provider,
                        family: Some(Family::V6),
                    },
                    kind: Kind::Leads,
                    cause: Cause::Other(id, Other::Is(State::Offline)),
                })
            },
        );
        prop_oneof![
            4 => path().prop_map(Reply::Path),
            1 => provider,
            1 => header,
            1 => warning,
            1 => entry,
            1 => text().prop_map(Reply::Note),
            1 => text().prop_map(Reply::Error),
            1 => Just(Reply::Done),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_reply_survives_and_fits(reply in reply()) {
            let mut buffer = [0; FRAME_MAX];
            let length = encode(&reply, &mut buffer).unwrap();
            for half in [0, 1, 2, 3, length / 2, length - 1] {
                prop_assert_eq!(decode::<Reply>(&buffer[..half.min(length - 1)]), Ok(None));
            }
            prop_assert_eq!(decode::<Reply>(&buffer), Ok(Some((reply, length))));
        }

        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), honest in any::<bool>()) {
            if honest && bytes.len() > HEAD {
                let length = u16::try_from(bytes.len() - LENGTH).unwrap();
                bytes[..LENGTH].copy_from_slice(&length.to_le_bytes());
                bytes[LENGTH] = VERSION;
            }
            let _ = decode::<Reply>(&bytes);
            let _ = decode::<Request>(&bytes);
        }
    }

    fn full<const N: usize>() -> String<N> {
        let mut text = String::new();
        while text.push('x').is_ok() {}
        text
    }

    #[test]
    fn the_largest_reply_fits_a_frame() {
        let number = Some(Decimal::new(u32::MAX));
        let check = Check {
            name: full::<NAME_MAX>(),
            kind: full(),
            target: full::<TARGET_MAX>(),
            state: full(),
            rtt_ms: number,
            loss_percent: number,
            sent: u32::MAX,
            received: u32::MAX,
            failing_s: Some(u32::MAX),
        };
        let reply = Reply::Path(Path {
            family: Family::V6,
            device: Some(full()),
            state: full(),
            reason: Some(full::<CAUSE_MAX>()),
            since_s: u64::MAX,
            address: Some(full::<TARGET_MAX>()),
            gateway: Some(full::<TARGET_MAX>()),
            metric: Some(u32::MAX),
            installed: true,
            overridden_by: Some(u32::MAX),
            held_back_by: Some(full()),
            takes_over_in_ms: Some(u64::MAX),
            rounds: Rounds {
                good: u32::MAX,
                failed: u32::MAX,
                streak: i32::MIN,
            },
            loss_percent: number,
            rtt_ms: Rtt {
                last: number,
                avg: number,
                stddev: number,
                min: number,
                max: number,
            },
            checks: core::iter::repeat_n(check, 8).collect(),
        });
        let mut buffer = [0; FRAME_MAX];
        let length = encode(&reply, &mut buffer).unwrap();
        assert!(length > 1000, "{length}: is it full at all?");
        assert_eq!(decode(&buffer), Ok(Some((reply, length))));
    }

    #[test]
    fn another_version_is_named_at_once() {
        let mut buffer = [0; 32];
        let length = encode(&Request::Status, &mut buffer).unwrap();
        buffer[LENGTH] = 9;
        assert_eq!(
            decode::<Request>(&buffer[..3]),
            Err(FrameError::Version(9)),
            "after three bytes"
        );
        let error = decode::<Request>(&buffer[..length]).unwrap_err();
        assert!(std::format!("{error}").starts_with("control protocol version 9 met version 4:"));
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_at_once() {
        let most = u16::try_from(FRAME_MAX - LENGTH).unwrap();
        for length in [0, 1, most + 1, 0xffff] {
            assert_eq!(
                decode::<Request>(&length.to_le_bytes()),
                Err(FrameError::Length(length))
            );
        }
        assert_eq!(decode::<Request>(&most.to_le_bytes()), Ok(None));
    }

    #[test]
    fn more_bytes_than_the_message_needs_are_garbage() {
        assert_eq!(
            decode::<Request>(&[3, 0, VERSION, 0, 0]),
            Err(FrameError::Message)
        );
        assert_eq!(
            decode::<Request>(&[2, 0, VERSION, 0, 77]),
            Ok(Some((Request::Status, 4))),
            "the next frame's byte is not ours"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let note = Reply::Note(full());
        assert_eq!(encode(&note, &mut [0; 100]), Err(FrameError::TooLong));
        assert_eq!(encode(&note, &mut [0; 2]), Err(FrameError::TooLong));
    }
}
