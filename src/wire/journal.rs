//! The journal's kinds and causes ↔ bytes, for frames and the saved state. By hand: for enums of so many variants, what
//! serde derives takes several times the room.
//!
//! A kind is one byte. A cause is a tag, then what belongs to it: numbers of four bytes (little-endian), texts after their
//! length in one byte.

use core::fmt;

use heapless::Vec;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{CAUSE_MAX, PATH_CHECKS_MAX};
use crate::types::{
    Cause, Fault, Ground, Judged, Kind, Measure, Measured, Metric, Missed, Other, Ours, Slot,
    State, Waiting,
};

/// Longest cause, in bytes: rounds that were judged, with a measure and what each check missed.
pub const CAUSE_BYTES_MAX: usize = 1 + (1 + 8 + 10) + 2 + (6 * PATH_CHECKS_MAX + CAUSE_MAX);

const STATES: [State; 5] = [
    State::Online,
    State::Probing,
    State::Offline,
    State::Frozen,
    State::Waiting,
];
/// The kinds without a state, by their byte.
const KINDS: [Kind; 14] = [
    Kind::Started,
    Kind::Stopped,
    Kind::Configuration,
    Kind::Pinned,
    Kind::Unpinned,
    Kind::Disabled,
    Kind::Enabled,
    Kind::Removed,
    Kind::Leads,
    Kind::Refused,
    Kind::NoRoute,
    Kind::RoutesNotSet,
    Kind::RoutesPutBack,
    Kind::Overridden,
];
/// The byte of a change of state from the first state to itself: the others follow.
const KIND_OF_STATE: u8 = 32;

fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Started => 0,
        Kind::Stopped => 1,
        Kind::Configuration => 2,
        Kind::Pinned => 3,
        Kind::Unpinned => 4,
        Kind::Disabled => 5,
        Kind::Enabled => 6,
        Kind::Removed => 7,
        Kind::Leads => 8,
        Kind::Refused => 9,
        Kind::NoRoute => 10,
        Kind::RoutesNotSet => 11,
        Kind::RoutesPutBack => 12,
        Kind::Overridden => 13,
        Kind::State { from, to } => KIND_OF_STATE + from as u8 * 8 + to as u8,
    }
}

fn kind(byte: u8) -> Option<Kind> {
    match byte.checked_sub(KIND_OF_STATE) {
        None => KINDS.get(usize::from(byte)).copied(),
        Some(states) => Some(Kind::State {
            from: state(states >> 3)?,
            to: state(states & 7)?,
        }),
    }
}

fn state(byte: u8) -> Option<State> {
    STATES.get(usize::from(byte)).copied()
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(kind_byte(*self))
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
        kind(u8::deserialize(deserializer)?).ok_or(D::Error::custom("no kind"))
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut writer = Writer(Vec::new());
        writer.cause(self);
        serializer.serialize_bytes(&writer.0)
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cause, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Cause;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a cause")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Cause, E> {
                read(bytes).ok_or(E::custom("no cause"))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A cause that takes all of these bytes. Frames and the saved state share the code, which would else stand in each.
#[inline(never)]
fn read(bytes: &[u8]) -> Option<Cause> {
    let mut reader = Reader(bytes);
    reader.cause().filter(|_| reader.0.is_empty())
}

/// The faults without a number, by their byte less [`FAULT_PLAIN`].
const FAULTS: [Fault; 23] = [
    Fault::NetworkUnreachable,
    Fault::HostUnreachable,
    Fault::NoDevice,
    Fault::NetworkDown,
    Fault::NotPermitted,
    Fault::AddressUnavailable,
    Fault::NoBuffers,
    Fault::TimedOut,
    Fault::Refused,
    Fault::Reset,
    Fault::Silent,
    Fault::Malformed,
    Fault::TooLong,
    Fault::OtherText,
    Fault::NoRecord,
    Fault::OtherAddress,
    Fault::Unresolved,
    Fault::NoNeighbours,
    Fault::Killed,
    Fault::InvalidArgument,
    Fault::Exists,
    Fault::NotSupported,
    Fault::OwnAddress,
];
/// Before it are: none (0), then those with a number.
const FAULT_PLAIN: u8 = 5;

/// The byte of a fault, and its number.
fn fault_code(fault: Fault) -> (u8, u32) {
    let plain = match fault {
        Fault::Status(status) => return (1, status.into()),
        Fault::Rcode(rcode) => return (2, rcode.into()),
        Fault::Exit(status) => return (3, status.into()),
        Fault::Errno(errno) => return (4, errno.cast_unsigned()),
        Fault::NetworkUnreachable => 0,
        Fault::HostUnreachable => 1,
        Fault::NoDevice => 2,
        Fault::NetworkDown => 3,
        Fault::NotPermitted => 4,
        Fault::AddressUnavailable => 5,
        Fault::NoBuffers => 6,
        Fault::TimedOut => 7,
        Fault::Refused => 8,
        Fault::Reset => 9,
        Fault::Silent => 10,
        Fault::Malformed => 11,
        Fault::TooLong => 12,
        Fault::OtherText => 13,
        Fault::NoRecord => 14,
        Fault::OtherAddress => 15,
        Fault::Unresolved => 16,
        Fault::NoNeighbours => 17,
        Fault::Killed => 18,
        Fault::InvalidArgument => 19,
        Fault::Exists => 20,
        Fault::NotSupported => 21,
        Fault::OwnAddress => 22,
    };
    (FAULT_PLAIN + plain, 0)
}

/// Writes one cause. There is room for each that there can be: see [`CAUSE_BYTES_MAX`].
struct Writer(Vec<u8, CAUSE_BYTES_MAX>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        let added = self.0.extend_from_slice(bytes);
        debug_assert!(added.is_ok(), "there is room");
    }

    fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    fn number(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        #[allow(clippy::cast_possible_truncation)] // at most CAUSE_MAX
        self.byte(text.len() as u8);
        self.bytes(text.as_bytes());
    }

    fn cause(&mut self, cause: &Cause) {
        let plain = match cause {
            Cause::Cleanly => 0,
            Cause::Reread => 1,
            Cause::ConfigurationChanged => 2,
            Cause::PinnedByHand => 3,
            Cause::UnpinnedByHand => 4,
            Cause::DisabledByHand => 5,
            Cause::EnabledByHand => 6,
            Cause::UplinkUp => 7,
            Cause::First => 8,
            Cause::NotRefused => 9,
            Cause::HasRoute => 10,
            Cause::NoneWorks => 11,
            Cause::NoneRoutable => 12,
            Cause::Version(version) => {
                self.byte(16);
                return self.text(version);
            }
            Cause::Lost(waiting) => return self.waiting(17, *waiting),
            Cause::Lacks(waiting) => return self.waiting(18, *waiting),
            Cause::Judged(judged) => {
                self.byte(19);
                return self.judged(judged);
            }
            Cause::Other(id, other) => {
                self.byte(20);
                self.text(id);
                return self.bytes(&match *other {
                    Other::Disabled => [0, 0],
                    Other::Preferred => [1, 0],
                    Other::Is(state) => [2, state as u8],
                    Other::OnlyDisabledWorks(state) => [3, state as u8],
                    Other::LastResort(state) => [4, state as u8],
                });
            }
            Cause::Kernel(fault) => {
                self.byte(21);
                return self.fault(Some(*fault));
            }
            Cause::Manual(device, metric) => return self.manual(24, device, *metric),
            Cause::ManualGone(device, metric) => return self.manual(25, device, *metric),
            Cause::Changed(Ours::Rule(pref), more) => {
                self.byte(22);
                self.number(*pref);
                return self.number(*more);
            }
            Cause::Changed(Ours::Route { to, metric, table }, more) => {
                self.byte(23);
                self.text(to.as_deref().unwrap_or_default());
                self.number(metric.0);
                self.number(*table);
                return self.number(*more);
            }
        };
        self.byte(plain);
    }

    fn waiting(&mut self, tag: u8, waiting: Waiting) {
        let (what, slot) = match waiting {
            Waiting::NoDevice => (0, 0),
            Waiting::Down => (1, 0),
            Waiting::NoCarrier => (2, 0),
            Waiting::NoAddress => (3, 0),
            Waiting::NoGateway => (4, 0),
            Waiting::DeviceTaken(Slot(slot)) => (5, slot),
            Waiting::RouteRefused => (6, 0),
        };
        self.bytes(&[tag, what, slot]);
    }

    fn judged(&mut self, judged: &Judged) {
        let (tag, numbers, measured) = match judged.ground {
            Ground::Unchecked => (0, [0, 0], None),
            Ground::GoodStreak(rounds) => (1, [rounds, 0], None),
            Ground::FailedStreak(rounds) => (2, [rounds, 0], None),
            Ground::FailedInWindow(failed, of) => (3, [failed, of], None),
            Ground::Poor(measured) => (4, [0, 0], Some(measured)),
            Ground::GoodAgain(rounds, measured) => (5, [rounds, 0], Some(measured)),
        };
        self.byte(tag);
        for number in numbers {
            self.number(number);
        }
        if let Some(measured) = measured {
            self.bytes(&[measured.measure as u8, measured.is_above.into()]);
            self.number(measured.value);
            self.number(measured.limit);
        }
        match judged.unreachable {
            Some(code) => self.bytes(&[1, code]),
            None => self.bytes(&[0, 0]),
        }
        // They go on to the end.
        for (target, fault) in judged.missed.iter() {
            self.text(target);
            self.fault(fault);
        }
    }

    fn manual(&mut self, tag: u8, device: &str, metric: Metric) {
        self.byte(tag);
        self.text(device);
        self.number(metric.0);
    }

    fn fault(&mut self, fault: Option<Fault>) {
        let (code, number) = fault.map_or((0, 0), fault_code);
        self.byte(code);
        self.number(number);
    }
}

/// What is not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn cause(&mut self) -> Option<Cause> {
        Some(match self.byte()? {
            0 => Cause::Cleanly,
            1 => Cause::Reread,
            2 => Cause::ConfigurationChanged,
            3 => Cause::PinnedByHand,
            4 => Cause::UnpinnedByHand,
            5 => Cause::DisabledByHand,
            6 => Cause::EnabledByHand,
            7 => Cause::UplinkUp,
            8 => Cause::First,
            9 => Cause::NotRefused,
            10 => Cause::HasRoute,
            11 => Cause::NoneWorks,
            12 => Cause::NoneRoutable,
            16 => Cause::Version(self.text()?.try_into().ok()?),
            17 => Cause::Lost(self.waiting()?),
            18 => Cause::Lacks(self.waiting()?),
            19 => Cause::Judged(self.judged()?),
            20 => Cause::Other(self.text()?.try_into().ok()?, self.other()?),
            21 => Cause::Kernel(self.fault()??),
            22 => Cause::Changed(Ours::Rule(self.number()?), self.number()?),
            23 => {
                let to = Some(self.text()?).filter(|to| !to.is_empty());
                let to = match to {
                    Some(to) => Some(to.try_into().ok()?),
                    None => None,
                };
                let (metric, table) = (Metric(self.number()?), self.number()?);
                Cause::Changed(Ours::Route { to, metric, table }, self.number()?)
            }
            24 => Cause::Manual(self.text()?.try_into().ok()?, Metric(self.number()?)),
            25 => Cause::ManualGone(self.text()?.try_into().ok()?, Metric(self.number()?)),
            _ => return None,
        })
    }

    fn waiting(&mut self) -> Option<Waiting> {
        let [what, slot] = self.bytes()?;
        Some(match what {
            0 => Waiting::NoDevice,
            1 => Waiting::Down,
            2 => Waiting::NoCarrier,
            3 => Waiting::NoAddress,
            4 => Waiting::NoGateway,
            5 => Waiting::DeviceTaken(Slot(slot)),
            6 => Waiting::RouteRefused,
            _ => return None,
        })
    }

    fn other(&mut self) -> Option<Other> {
        let [what, state] = self.bytes()?;
        let state = self::state(state)?;
        Some(match what {
            0 => Other::Disabled,
            1 => Other::Preferred,
            2 => Other::Is(state),
            3 => Other::OnlyDisabledWorks(state),
            4 => Other::LastResort(state),
            _ => return None,
        })
    }

    fn judged(&mut self) -> Option<Judged> {
        let (tag, first, second) = (self.byte()?, self.number()?, self.number()?);
        let ground = match tag {
            0 => Ground::Unchecked,
            1 => Ground::GoodStreak(first),
            2 => Ground::FailedStreak(first),
            3 => Ground::FailedInWindow(first, second),
            4 => Ground::Poor(self.measured()?),
            5 => Ground::GoodAgain(first, self.measured()?),
            _ => return None,
        };
        let unreachable = match self.bytes()? {
            [0, _] => None,
            [_, code] => Some(code),
        };
        let mut missed = Missed::default();
        while !self.0.is_empty() {
            let target = self.text().filter(|target| !target.contains('\n'))?;
            missed.add(target, self.fault()?);
        }
        Some(Judged {
            ground,
            missed,
            unreachable,
        })
    }

    fn measured(&mut self) -> Option<Measured> {
        let [measure, is_above] = self.bytes()?;
        Some(Measured {
            measure: *Measure::ALL.get(usize::from(measure))?,
            is_above: is_above != 0,
            value: self.number()?,
            limit: self.number()?,
        })
    }

    /// `Some(None)`: no fault.
    fn fault(&mut self) -> Option<Option<Fault>> {
        let (code, number) = (self.byte()?, self.number()?);
        Some(Some(match code {
            0 => return Some(None),
            1 => Fault::Status(number.try_into().ok()?),
            2 => Fault::Rcode(number.try_into().ok()?),
            3 => Fault::Exit(number.try_into().ok()?),
            4 => Fault::Errno(number.cast_signed()),
            _ => *FAULTS.get(usize::from(code - FAULT_PLAIN))?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(cause: &Cause) -> Option<Cause> {
        let mut buffer = [0; CAUSE_BYTES_MAX + 2];
        let bytes = postcard::to_slice(cause, &mut buffer).unwrap();
        postcard::from_bytes(bytes).ok()
    }

    #[test]
    fn each_kind_comes_back() {
        let plain = KINDS.into_iter();
        let pairs = STATES.map(|from| STATES.map(|to| Kind::State { from, to }));
        for kind in plain.chain(pairs.into_iter().flatten()) {
            assert_eq!(super::kind(kind_byte(kind)), Some(kind));
        }
        for byte in 0..=u8::MAX {
            assert!(kind(byte).is_none_or(|kind| kind_byte(kind) == byte));
        }
    }

    #[test]
    fn each_fault_comes_back() {
        let numbers = [
            Fault::Status(599),
            Fault::Rcode(5),
            Fault::Exit(255),
            Fault::Errno(-1),
        ];
        for fault in FAULTS.into_iter().chain(numbers) {
            assert_eq!(again(&Cause::Kernel(fault)), Some(Cause::Kernel(fault)));
        }
        for (place, fault) in (0..).zip(FAULTS) {
            assert_eq!(fault_code(fault), (FAULT_PLAIN + place, 0));
        }
    }

    #[test]
    fn each_cause_comes_back() {
        let name = || "isp1".try_into().unwrap();
        let route = |to: Option<&str>| Ours::Route {
            to: to.map(|to| to.try_into().unwrap()),
            metric: Metric(u32::MAX),
            table: 176,
        };
        let mut causes = vec![
            Cause::Cleanly,
            Cause::Reread,
            Cause::ConfigurationChanged,
            Cause::PinnedByHand,
            Cause::UnpinnedByHand,
            Cause::DisabledByHand,
            Cause::EnabledByHand,
            Cause::UplinkUp,
            Cause::First,
            Cause::NotRefused,
            Cause::HasRoute,
            Cause::NoneWorks,
            Cause::NoneRoutable,
            Cause::Version(name()),
            Cause::Other(name(), Other::Disabled),
            Cause::Other(name(), Other::Preferred),
            Cause::Changed(route(None), 0),
            Cause::Changed(route(Some("192.0.2.0/24")), 7),
            Cause::Changed(Ours::Rule(18500), u32::MAX),
            Cause::Manual("wg0".try_into().unwrap(), Metric(1)),
            Cause::ManualGone("a-name-of-15-by".try_into().unwrap(), Metric(u32::MAX)),
        ];
        for waiting in [
            Waiting::NoDevice,
            Waiting::Down,
            Waiting::NoCarrier,
            Waiting::NoAddress,
            Waiting::NoGateway,
            Waiting::DeviceTaken(Slot(63)),
            Waiting::RouteRefused,
        ] {
            causes.extend([Cause::Lost(waiting), Cause::Lacks(waiting)]);
        }
        for state in STATES {
            let others = [
                Other::Is(state),
                Other::OnlyDisabledWorks(state),
                Other::LastResort(state),
            ];
            causes.extend(others.map(|other| Cause::Other(name(), other)));
        }
        let mut missed = Missed::default();
        missed.add("192.0.2.1", None);
        missed.add("2001:db8::1", Some(Fault::Status(511)));
        for measure in Measure::ALL {
            let measured = Measured {
                measure,
                value: 80_000,
                limit: 90_000,
                is_above: measure == Measure::Loss,
            };
            for ground in [
                Ground::Unchecked,
                Ground::GoodStreak(1),
                Ground::FailedStreak(3),
                Ground::FailedInWindow(11, 50),
                Ground::Poor(measured),
                Ground::GoodAgain(4, measured),
            ] {
                causes.push(Cause::Judged(Judged {
                    ground,
                    missed: missed.clone(),
                    unreachable: Some(13),
                }));
            }
        }
        for cause in causes {
            assert_eq!(again(&cause).as_ref(), Some(&cause));
        }
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_none() {
        let cause = Cause::Other("isp1".try_into().unwrap(), Other::Preferred);
        let mut writer = Writer(Vec::new());
        writer.cause(&cause);
        let mut bytes = writer.0.to_vec();
        bytes.push(0);
        for length in 0..=bytes.len() {
            let mut buffer = [0; 64];
            let part = postcard::to_slice(&bytes[..length], &mut buffer).unwrap();
            let read = postcard::from_bytes::<Cause>(part).ok();
            assert_eq!(read.is_some(), length == bytes.len() - 1, "{length}");
        }
    }
}
