//! What daemon and client say to each other over the control socket, and what `status --json` prints.
//!
//! A frame is a length (two bytes, little-endian), the protocol's version (one byte), and a postcard message of at
//! most [`crate::limits::FRAME_MAX`] bytes in all. A client sends one [`Request`]; the daemon answers with the frames
//! named there, the last of which is [`Reply::Done`] or [`Reply::Error`], and closes.
//!
//! The names of the fields of [`Header`], [`ProviderHead`], [`Path`] and [`Check`] are those of the JSON: add, never rename.

use core::fmt;

use heapless::{String, Vec};
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits::{CAUSE_MAX, NAME_MAX, PATH_CHECKS_MAX, TARGET_MAX};
use crate::types::{Cause, DeviceName, Family, Kind, Name, Who};
use crate::wire::decimal::Decimal;

/// The protocol's version: a client of another version is told so.
pub const VERSION: u8 = 4;

/// Longest text of a warning, an error or an explanation.
pub const TEXT_MAX: usize = 240;
/// A text for people.
pub type Text = String<TEXT_MAX>;
/// A state, a code, or the like. One length for all: for each there would be code of its own.
pub type Word = String<NAME_MAX>;
/// An address as people write it, or what else is asked.
pub type Target = String<TARGET_MAX>;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// [`Reply::Header`], a [`Reply::Warning`] each, a [`Reply::Provider`] each, followed by a [`Reply::Path`] for each of
    /// its managed families, [`Reply::Done`].
    Status,
    /// Pin a provider, or none.
    Use(Option<Name>),
    /// Take a provider out of use.
    Disable(Name),
    /// Give it back.
    Enable(Name),
    /// Re-read the configuration: a [`Reply::Note`] for each complaint.
    Reload,
    /// A [`Reply::Entry`] each, oldest first.
    Log,
    /// A netifd interface has changed, or any: look at it again.
    Refresh(Option<Name>),
    /// A [`Reply::Note`] for each sentence on one provider, or on all.
    Explain(Option<Name>),
}

impl Request {
    /// Whether it changes nothing: then it is not for the daemon's owner alone.
    pub fn only_asks(&self) -> bool {
        match self {
            Request::Status | Request::Log | Request::Explain(_) => true,
            Request::Use(_)
            | Request::Disable(_)
            | Request::Enable(_)
            | Request::Reload
            | Request::Refresh(_) => false,
        }
    }
}

/// Why a member of `control_group` gets no more.
pub const NOT_PERMITTED: &str = "not permitted: members of control_group may ask for status, explain and log; the rest is for root";

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // one at a time, on the stack of a client or in a slot of its own
pub enum Reply {
    /// the whole
    Header(Header),
    /// one thing that a person should mend
    Warning(Warning),
    /// one provider, whose paths follow
    Provider(ProviderHead),
    /// one path of the provider told of last
    Path(Path),
    /// one line of the journal
    Entry(Entry),
    /// a line for the person, before the end
    Note(Text),
    /// all is said, and done
    Done,
    /// what was asked was not done, and why
    Error(Text),
}

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// of the daemon
    pub version: Word,
    /// since the daemon's start
    pub uptime_s: u64,
    /// the pinned provider
    pub pinned: Option<Name>,
    /// the swap table
    pub table: u32,
    /// who leads in each family
    pub active: Active,
    /// by what the leader is overridden in each family
    pub overridden_by: OverriddenBy,
    /// see [`Counters`]
    pub counters: Counters,
}

/// Who leads in each family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Active {
    pub ipv4: Option<Name>,
    pub ipv6: Option<Name>,
}

/// In each family, the default route that traffic leaves by instead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OverriddenBy {
    pub ipv4: Option<ManualRoute>,
    pub ipv6: Option<ManualRoute>,
}

impl OverriddenBy {
    /// That of one family.
    pub fn of(&self, family: Family) -> Option<&ManualRoute> {
        match family {
            Family::V4 => self.ipv4.as_ref(),
            Family::V6 => self.ipv6.as_ref(),
        }
    }
}

/// A default route that is not ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManualRoute {
    /// its device
    pub device: DeviceName,
    /// its metric
    pub metric: u32,
    /// its table
    pub table: u32,
}

/// `wg0 (metric 1 in main)`
impl fmt::Display for ManualRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (metric {} in main)", self.device, self.metric)
    }
}

/// One thing that a person should mend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// for programs, as `rp-filter`
    pub code: Word,
    /// whose, when it is one provider's
    pub provider: Option<Name>,
    /// what is wrong, for people
    pub text: Text,
    /// what to do, where that is known
    pub cure: Option<Cure>,
}

/// What a person can do about a [`Warning`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cure {
    /// whether it is a command, to be copied as it is; otherwise a sentence
    pub is_command: bool,
    /// without "cure: " before it
    pub text: Text,
}

/// By hand, and not inlined, to be small.
impl<'de> Deserialize<'de> for Cure {
    #[inline(never)]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cure, D::Error> {
        let (is_command, text) = <(bool, Text)>::deserialize(deserializer)?;
        Ok(Cure { is_command, text })
    }
}

/// What is wrong, then what to do, in one sentence.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.cure {
            None => Ok(()),
            Some(cure) => write!(f, "; {cure}"),
        }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.is_command { "cure: " } else { "" };
        f.write_str(label)?;
        f.write_str(&self.text)
    }
}

/// What has happened since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// changes of who leads, in either family
    pub swaps: u32,
    /// probes sent
    pub probes_sent: u32,
    /// probes answered
    pub probes_answered: u32,
    /// replies that were not ours: forged, stray, or of another run
    pub replies_rejected: u32,
    /// ICMP errors that quote a probe of ours
    pub icmp_errors: u32,
    /// routes and rules of ours that somebody changed, and we put back
    pub repairs: u32,
    /// requests that the kernel refused, or that did not end in time
    pub kernel_errors: u32,
    /// overruns of the event socket, each healed by a fresh dump
    pub overruns: u32,
    /// netlink messages that could not be read, each healed by a fresh dump
    pub undecodable: u32,
    /// things of the kernel's there was no room to watch
    pub overflows: u32,
    /// reloads of the configuration that were carried out
    pub reloads: u32,
}

/// One provider, without its paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderHead {
    /// its name
    pub id: Name,
    /// its place in the order of preference, from 1
    pub rank: u32,
    /// the best state of its paths, or `pinned`, `disabled`
    pub state: Word,
    /// whether a person took it out of use
    pub disabled: bool,
}

/// One provider in one family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// `ipv4` or `ipv6`
    pub family: Family,
    /// its device; null when it is not known yet
    pub device: Option<DeviceName>,
    /// `waiting`, `probing`, `online`, `offline`, `frozen`
    pub state: Word,
    /// why it is so, when there is more to say
    pub reason: Option<String<CAUSE_MAX>>,
    /// since when it is so
    pub since_s: u64,
    /// its own address
    pub address: Option<Target>,
    /// its gateway
    pub gateway: Option<Target>,
    /// the metric of its route in the swap table
    pub metric: Option<u32>,
    /// whether the kernel has that route
    pub installed: bool,
    /// the metric of a foreign default route that wins over ours
    pub overridden_by: Option<u32>,
    /// the provider that carries although this path is online and before it in the order, for `preempt` says so
    pub held_back_by: Option<Name>,
    /// when that ends by time alone
    pub takes_over_in_ms: Option<u64>,
    /// see [`Rounds`]
    pub rounds: Rounds,
    /// over the window, late replies included
    pub loss_percent: Option<Decimal>,
    /// over the window, late replies included
    pub rtt_ms: Rtt,
    /// its checks
    pub checks: Vec<Check, PATH_CHECKS_MAX>,
}

/// Rounds in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rounds {
    /// good ones
    pub good: u32,
    /// failed ones
    pub failed: u32,
    /// the last so many were alike: above 0 good, below 0 failed
    pub streak: i32,
}

/// Round-trip times over the window, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Rtt {
    pub last: Option<Decimal>,
    pub avg: Option<Decimal>,
    pub stddev: Option<Decimal>,
    pub min: Option<Decimal>,
    pub max: Option<Decimal>,
}

/// One check of a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// its name
    pub name: Name,
    /// `ping`, `dns` …
    #[serde(rename = "type")]
    pub kind: Word,
    /// who is asked
    pub target: Target,
    /// `ok`, `lost`, `pending`
    pub state: Word,
    /// of its last answer
    pub rtt_ms: Option<Decimal>,
    /// over the window
    pub loss_percent: Option<Decimal>,
    /// since the start
    pub sent: u32,
    /// since the start
    pub received: u32,
    /// since when each of its probes is lost; null when the last one was answered
    pub failing_s: Option<u32>,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// how long ago, in milliseconds: the client knows the wall time
    pub ago_ms: u64,
    /// what it is about
    pub who: Who,
    /// what happened
    pub kind: Kind,
    /// why
    pub cause: Cause,
}
