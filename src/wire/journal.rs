//! The journal's kinds and causes ↔ bytes, for frames and the saved state. Written by hand: for enums with so many
//! variants, the code that serde derives is several times as large.
//!
//! A kind is one byte. A cause is a tag, then what belongs to it, as [`Codec`] has it.

use core::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{CAUSE_MAX, PATH_CHECKS_MAX};
use crate::types::{
    Cause, DeviceName, Family, Fault, Ground, Judged, Kind, Measure, Measured, Metric, Missed,
    Name, Other, Ours, Slot, State, Subject, Waiting,
};
use crate::wire::codec::{Codec, Message};
use crate::wire::control::Entry;

/// Longest cause, in bytes: judged rounds, with a measure and the fault of each check.
pub(crate) const CAUSE_BYTES_MAX: usize = 1 + (1 + 8 + 10) + 2 + (6 * PATH_CHECKS_MAX + CAUSE_MAX);

/// The kinds without a state, by their byte.
const KINDS: [Kind; 15] = [
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
    Kind::HandedOver,
];
/// The byte of a change from the first state to itself. The other changes follow.
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
        Kind::HandedOver => 14,
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
    State::ALL.get(usize::from(byte)).copied()
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
        let mut bytes = [0; CAUSE_BYTES_MAX];
        serializer.serialize_bytes(written(&mut self.clone(), &mut bytes))
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
                let mut cause = Cause::default();
                match read(&mut cause, bytes) {
                    true => Ok(cause),
                    false => Err(E::custom("no cause")),
                }
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// The bytes of a cause. Every cause fits: see [`CAUSE_BYTES_MAX`].
fn written<'a>(cause: &mut Cause, room: &'a mut [u8; CAUSE_BYTES_MAX]) -> &'a [u8] {
    let mut codec = Codec::writer(room);
    pass(&mut codec, cause);
    let left = codec.rest();
    debug_assert!(left.is_some(), "there is room");
    &room[..CAUSE_BYTES_MAX - left.unwrap_or(0)]
}

/// Whether these bytes, all of them, are a cause.
fn read(cause: &mut Cause, bytes: &[u8]) -> bool {
    let mut codec = Codec::reader(bytes);
    pass(&mut codec, cause);
    codec.rest() == Some(0)
}

impl Message for Entry {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        let Subject { provider, family } = &mut self.subject;
        codec.long(&mut self.ago_ms);
        codec.long(&mut self.at_micros);
        codec.optional_text(provider);
        codec.optional(family, |codec, family| codec.choice(family, &Family::ALL));
        let mut byte = kind_byte(self.kind);
        codec.byte(&mut byte);
        match kind(byte) {
            Some(kind) => self.kind = kind,
            None => codec.fail(),
        }
        pass_cause(codec, &mut self.cause);
        codec.number(&mut self.repeats.times);
        codec.number(&mut self.repeats.for_ms);
    }
}

/// A cause within a message: after its length, which one byte holds.
pub(super) fn pass_cause(codec: &mut Codec<'_>, cause: &mut Cause) {
    const { assert!(CAUSE_BYTES_MAX <= 255) };
    if !codec.reads() {
        let mut room = [0; CAUSE_BYTES_MAX];
        let bytes = written(cause, &mut room);
        return codec.put_counted(bytes);
    }
    let bytes = codec.take_counted();
    if !read(cause, bytes) {
        codec.fail();
    }
}

fn pass(codec: &mut Codec<'_>, cause: &mut Cause) {
    let mut tag = tag(cause);
    codec.byte(&mut tag);
    if codec.reads() {
        match of_tag(tag) {
            Some(read) => *cause = read,
            None => return codec.fail(),
        }
    }
    match cause {
        Cause::Version(version) => codec.text(version),
        Cause::Lost(waiting) | Cause::Lacks(waiting) => pass_waiting(codec, waiting),
        Cause::Judged(judged) => pass_judged(codec, judged),
        Cause::Other(id, other) => {
            codec.text(id);
            pass_other(codec, other);
        }
        Cause::Kernel(fault) => pass_known_fault(codec, fault),
        Cause::Changed(ours, more) => {
            match ours {
                Ours::Rule(pref) => codec.number(pref),
                Ours::Route { to, metric, table } => {
                    let text = to.get_or_insert_default();
                    codec.text(text);
                    if text.is_empty() {
                        *to = None;
                    }
                    codec.number(&mut metric.0);
                    codec.number(table);
                }
            }
            codec.number(more);
        }
        Cause::Dropped(device) => codec.text(device),
        Cause::Connections(count, to) => {
            codec.number(count);
            codec.text(to);
        }
        Cause::Manual(device, metric) | Cause::ManualGone(device, metric) => {
            codec.text(device);
            codec.number(&mut metric.0);
        }
        _ => {}
    }
}

fn tag(cause: &Cause) -> u8 {
    if let Cause::Changed(Ours::Route { .. }, _) = cause {
        return 23;
    }
    match cause {
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
        Cause::Version(_) => 16,
        Cause::Lost(_) => 17,
        Cause::Lacks(_) => 18,
        Cause::Judged(_) => 19,
        Cause::Other(..) => 20,
        Cause::Kernel(_) => 21,
        Cause::Changed(..) => 22,
        Cause::Manual(..) => 24,
        Cause::ManualGone(..) => 25,
        Cause::Dropped(_) => 26,
        Cause::Connections(..) => 27,
    }
}

/// An empty cause with a tag, to read the rest into.
fn of_tag(tag: u8) -> Option<Cause> {
    Some(match tag {
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
        16 => Cause::Version(Name::new()),
        17 => Cause::Lost(Waiting::default()),
        18 => Cause::Lacks(Waiting::default()),
        19 => Cause::Judged(Judged {
            ground: Ground::Unchecked,
            missed: Missed::default(),
            unreachable: None,
        }),
        20 => Cause::Other(Name::new(), Other::Disabled),
        21 => Cause::Kernel(Fault::TimedOut),
        22 => Cause::Changed(Ours::Rule(0), 0),
        23 => {
            let (to, metric, table) = (None, Metric(0), 0);
            Cause::Changed(Ours::Route { to, metric, table }, 0)
        }
        24 => Cause::Manual(DeviceName::new(), Metric(0)),
        25 => Cause::ManualGone(DeviceName::new(), Metric(0)),
        26 => Cause::Dropped(DeviceName::new()),
        27 => Cause::Connections(0, Name::new()),
        _ => return None,
    })
}

pub(super) fn pass_waiting(codec: &mut Codec<'_>, waiting: &mut Waiting) {
    let mut what = match waiting {
        Waiting::NoDevice => 0,
        Waiting::Down => 1,
        Waiting::NoCarrier => 2,
        Waiting::NoAddress => 3,
        Waiting::NoGateway => 4,
        Waiting::DeviceTaken(_) => 5,
        Waiting::RouteRefused => 6,
        Waiting::Duplicate => 7,
    };
    let mut slot = match waiting {
        Waiting::DeviceTaken(Slot(slot)) => *slot,
        _ => 0,
    };
    codec.byte(&mut what);
    codec.byte(&mut slot);
    *waiting = match WAITING.get(usize::from(what)) {
        Some(Waiting::DeviceTaken(_)) => Waiting::DeviceTaken(Slot(slot)),
        Some(read) => *read,
        None => return codec.fail(),
    };
}

/// In the order of their bytes.
const WAITING: [Waiting; 8] = [
    Waiting::NoDevice,
    Waiting::Down,
    Waiting::NoCarrier,
    Waiting::NoAddress,
    Waiting::NoGateway,
    Waiting::DeviceTaken(Slot(0)),
    Waiting::RouteRefused,
    Waiting::Duplicate,
];

fn pass_other(codec: &mut Codec<'_>, other: &mut Other) {
    let mut what = match other {
        Other::Disabled => 0,
        Other::Preferred => 1,
        Other::Is(_) => 2,
        Other::OnlyDisabledWorks(_) => 3,
        Other::LastResort(_) => 4,
    };
    let mut state = match *other {
        Other::Disabled | Other::Preferred => State::Online,
        Other::Is(state) | Other::OnlyDisabledWorks(state) | Other::LastResort(state) => state,
    };
    codec.byte(&mut what);
    codec.choice(&mut state, &State::ALL);
    *other = match what {
        0 => Other::Disabled,
        1 => Other::Preferred,
        2 => Other::Is(state),
        3 => Other::OnlyDisabledWorks(state),
        4 => Other::LastResort(state),
        _ => return codec.fail(),
    };
}

fn pass_judged(codec: &mut Codec<'_>, judged: &mut Judged) {
    let none = Measured {
        measure: Measure::Loss,
        value: 0,
        limit: 0,
        is_above: false,
    };
    let mut tag = match judged.ground {
        Ground::Unchecked => 0,
        Ground::GoodStreak(_) => 1,
        Ground::FailedStreak(_) => 2,
        Ground::FailedInWindow(..) => 3,
        Ground::Poor(_) => 4,
        Ground::GoodAgain(..) => 5,
    };
    codec.byte(&mut tag);
    if codec.reads() {
        judged.ground = match tag {
            0 => Ground::Unchecked,
            1 => Ground::GoodStreak(0),
            2 => Ground::FailedStreak(0),
            3 => Ground::FailedInWindow(0, 0),
            4 => Ground::Poor(none),
            5 => Ground::GoodAgain(0, none),
            _ => return codec.fail(),
        };
    }
    let (mut one, mut two) = (0, 0);
    let (first, second, measured) = match &mut judged.ground {
        Ground::Unchecked => (&mut one, &mut two, None),
        Ground::GoodStreak(rounds) | Ground::FailedStreak(rounds) => (rounds, &mut two, None),
        Ground::FailedInWindow(failed, of) => (failed, of, None),
        Ground::Poor(measured) => (&mut one, &mut two, Some(measured)),
        Ground::GoodAgain(rounds, measured) => (rounds, &mut two, Some(measured)),
    };
    codec.number(first);
    codec.number(second);
    if let Some(measured) = measured {
        codec.choice(&mut measured.measure, &Measure::ALL);
        codec.flag(&mut measured.is_above);
        codec.number(&mut measured.value);
        codec.number(&mut measured.limit);
    }
    let (mut is_told, mut code) = (judged.unreachable.is_some(), 0);
    code = judged.unreachable.unwrap_or(code);
    codec.flag(&mut is_told);
    codec.byte(&mut code);
    judged.unreachable = is_told.then_some(code);
    pass_missed(codec, &mut judged.missed);
}

/// A list to the end of the bytes.
fn pass_missed(codec: &mut Codec<'_>, missed: &mut Missed) {
    if !codec.reads() {
        for (target, mut fault) in missed.iter() {
            codec.put_counted(target.as_bytes());
            pass_fault(codec, &mut fault);
        }
        return;
    }
    while codec.rest().is_some_and(|left| left > 0) {
        let target = str::from_utf8(codec.take_counted());
        let mut fault = None;
        pass_fault(codec, &mut fault);
        match target {
            Ok(target) if !target.contains('\n') => missed.add(target, fault),
            _ => return codec.fail(),
        }
    }
}

/// The faults without a number, in the order of their bytes from [`FAULT_PLAIN`].
const FAULTS: [Fault; 24] = [
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
    Fault::OwnTarget,
];
/// The first byte of faults without a number. Before it: no fault (0), then the faults with a number.
const FAULT_PLAIN: u8 = 5;

/// The byte of a fault, and its number.
fn fault_code(fault: Fault) -> (u8, u32) {
    match fault {
        Fault::Status(status) => (1, status.into()),
        Fault::Rcode(rcode) => (2, rcode.into()),
        Fault::Exit(status) => (3, status.into()),
        Fault::Errno(errno) => (4, errno.cast_unsigned()),
        plain => (plain_code(&plain), 0),
    }
}

/// The byte of a fault without a number.
#[inline(never)] // so it is a table
fn plain_code(fault: &Fault) -> u8 {
    let place = match fault {
        // These have a number.
        Fault::Status(_) | Fault::Rcode(_) | Fault::Exit(_) | Fault::Errno(_) => 24,
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
        Fault::OwnTarget => 23,
    };
    FAULT_PLAIN + place
}

/// A fault, or none.
pub(super) fn pass_fault(codec: &mut Codec<'_>, fault: &mut Option<Fault>) {
    let (mut code, mut number) = fault.map_or((0, 0), fault_code);
    codec.byte(&mut code);
    codec.number(&mut number);
    match fault_of(code, number) {
        Some(read) => *fault = read,
        None => codec.fail(),
    }
}

fn pass_known_fault(codec: &mut Codec<'_>, fault: &mut Fault) {
    let mut known = Some(*fault);
    pass_fault(codec, &mut known);
    match known {
        Some(known) => *fault = known,
        None => codec.fail(),
    }
}

/// `Some(None)`: no fault.
fn fault_of(code: u8, number: u32) -> Option<Option<Fault>> {
    Some(Some(match code {
        0 => return Some(None),
        1 => Fault::Status(number.try_into().ok()?),
        2 => Fault::Rcode(number.try_into().ok()?),
        3 => Fault::Exit(number.try_into().ok()?),
        4 => Fault::Errno(number.cast_signed()),
        _ => *FAULTS.get(usize::from(code - FAULT_PLAIN))?,
    }))
}

#[cfg(test)]
mod tests;
