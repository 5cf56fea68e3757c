//! The snapshot: the current state, as types. The client renders `status` and `explain` from it.

mod fields;

use core::fmt;
use core::net::IpAddr;

use heapless::{String, Vec};

use crate::limits::{DNS_SHOWN_MAX, NAME_MAX, PATH_CHECKS_MAX, TARGET_MAX, WINDOW_MAX};
use crate::text::DroppedAt;
use crate::types::{
    Cause, DeviceName, Duty, Family, Fault, GivenDevice, LastResort, Lead, Measure, Metric, Name,
    Preempt, Slot, State, TABLE_MAIN, Verdict, Waiting,
};
use crate::wire::decimal::Decimal;

/// A short word, as a code. There is one length for all, because each length is compiled separately.
pub type Word = String<NAME_MAX>;
/// The target of a check: an address, or a name.
pub type Target = String<TARGET_MAX>;

/// The daemon as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// the daemon's version
    pub version: Word,
    /// time since the daemon's start
    pub uptime_s: u64,
    /// the pinned provider
    pub pinned: Option<Name>,
    /// the time since it is pinned, if that is known
    pub pinned_ms: Option<u64>,
    /// the swap table
    pub table: u32,
    /// the bits of marks that say to which provider a connection belongs; 0: connections have none
    pub mark_mask: u32,
    /// the families in which they have
    pub connections_marked: Marked,
    /// what becomes of each family's traffic
    pub active: Active,
    /// the default route that overrides the leader in each family
    pub overridden_by: InMain,
    /// the default route that carries each family while no provider can have one
    pub fallback: InMain,
    /// by family, the default route in `main` that refuses traffic
    pub error_routes: [Option<ErrorRoute>; 2],
    /// see [`Counters`]
    pub counters: Counters,
    /// by family, the changes of the leading provider
    pub swaps: [u32; 2],
    /// when a better provider takes over
    pub preempt: Preempt,
    /// what becomes of the traffic when no provider works
    pub last_resort: LastResort,
}

/// Per family, whether the firewall table marks connections by their provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Marked {
    pub ipv4: bool,
    pub ipv6: bool,
}

/// A default route of another program in `main` that refuses traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorRoute {
    /// its metric
    pub metric: Metric,
    /// whether it refuses all; if not, ours stand before it
    pub obeyed: bool,
}

/// Per family, the foreign default route that traffic leaves by.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct InMain {
    pub ipv4: Option<ManualRoute>,
    pub ipv6: Option<ManualRoute>,
}

impl InMain {
    /// The value of one family.
    pub fn of(&self, family: Family) -> Option<&ManualRoute> {
        match family {
            Family::V4 => self.ipv4.as_ref(),
            Family::V6 => self.ipv6.as_ref(),
        }
    }
}

/// A default route that is not ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManualRoute {
    /// its device
    pub device: DeviceName,
    /// its metric
    pub metric: u32,
    /// its table
    pub table: u32,
}

/// `wg0 (metric 1 in main)`, or `wg0 (metric 1 in table 176)`
impl fmt::Display for ManualRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = match self.device.as_str() {
            "" => "several devices",
            device => device,
        };
        write!(f, "{device} (metric {} in ", self.metric)?;
        match self.table {
            TABLE_MAIN => f.write_str("main)"),
            table => write!(f, "table {table})"),
        }
    }
}

/// What becomes of each family's traffic.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Active {
    pub ipv4: Lead<Name>,
    pub ipv6: Lead<Name>,
}

impl Active {
    /// The provider that leads a family.
    pub fn leader(&self, family: Family) -> Option<&Name> {
        match self.of(family) {
            Lead::By(id) => Some(id),
            _ => None,
        }
    }

    /// The value of one family.
    pub fn of(&self, family: Family) -> &Lead<Name> {
        match family {
            Family::V4 => &self.ipv4,
            Family::V6 => &self.ipv6,
        }
    }
}

/// Counters since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// changes of the leading provider, in either family
    pub swaps: u32,
    /// probes sent
    pub probes_sent: u32,
    /// probes answered
    pub probes_answered: u32,
    /// replies that were not accepted: forged, stray, or of a former run
    pub replies_rejected: u32,
    /// ICMP errors that quote a probe of ours
    pub icmp_errors: u32,
    /// routes and rules of ours that another program changed, and that were put back
    pub repairs: u32,
    /// requests that the kernel refused, or did not answer in time
    pub kernel_errors: u32,
    /// overruns of the event socket; each causes a fresh dump
    pub overruns: u32,
    /// netlink messages that could not be decoded; each causes a fresh dump
    pub undecodable: u32,
    /// kernel objects that there was no room to watch
    pub overflows: u32,
    /// successful reloads of the configuration
    pub reloads: u32,
}

/// One provider, without its paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProviderHead {
    /// its name
    pub id: Name,
    /// its slot, which the marks of its connections hold
    pub slot: Slot,
    /// its place in the order of preference, from 1
    pub rank: u32,
    /// its state as a whole
    pub state: ProviderState,
    /// whether the user disabled it
    pub disabled: bool,
    /// the time since then, if that is known
    pub disabled_ms: Option<u64>,
    /// whether it is enabled in the configuration
    pub enabled: bool,
}

/// The state of a provider as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderState {
    /// the user pinned it
    Pinned,
    /// the user, or the configuration, disabled it
    Disabled,
    /// the best state of its paths
    Is(State),
}

impl ProviderState {
    /// As status has it.
    pub const fn name(self) -> &'static str {
        match self {
            ProviderState::Pinned => "pinned",
            ProviderState::Disabled => "disabled",
            ProviderState::Is(state) => state.name(),
        }
    }
}

impl Default for ProviderState {
    fn default() -> ProviderState {
        ProviderState::Is(State::default())
    }
}

/// One provider in one family.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path {
    /// `ipv4` or `ipv6`
    pub family: Family,
    /// its device; null if it is not known yet
    pub device: Option<GivenDevice>,
    /// `waiting`, `probing`, `online`, `offline`, `frozen`
    pub state: State,
    /// the reason, if there is more to say
    pub reason: Reason,
    /// time since it is in this state
    pub since_ms: u64,
    /// its own address; with reason [`Waiting::Duplicate`], the one that it cannot have
    pub address: Option<IpAddr>,
    /// whether that is deprecated: its preferred lifetime has ended
    pub address_deprecated: bool,
    /// its gateway
    pub gateway: Option<IpAddr>,
    /// how many gateways its default routes name
    pub gateways: u8,
    /// the resolvers that are asked through it, the first ones
    pub resolvers: Vec<Option<IpAddr>, DNS_SHOWN_MAX>,
    /// the metric of its route in the swap table
    pub metric: Option<Metric>,
    /// whether the kernel has that route
    pub installed: bool,
    /// the metric of a foreign default route that wins over ours
    pub overridden_by: Option<Metric>,
    /// the provider that carries traffic because of `preempt`, although this path is online and before it in the order
    pub held_back_by: Option<Name>,
    /// when `preempt` lets this path take over, if that depends on the time alone
    pub takes_over_in_ms: Option<u64>,
    /// see [`Rounds`]
    pub rounds: Rounds,
    /// over the window, late replies included
    pub loss_percent: Option<Decimal>,
    /// over the window, late replies included
    pub rtt_ms: Rtt,
    /// its checks
    pub checks: Vec<Check, PATH_CHECKS_MAX>,
    /// for a page only, and told on its own: its rounds in the window
    pub history: Option<History>,
    /// the cause of its state, as the journal has it
    pub cause: Option<Cause>,
    /// the time since that is the cause
    pub cause_ms: u64,
    /// the verdict of its rounds
    pub verdict: Verdict,
    /// the path before it in the order that is online, or else may be: its provider, and whether it is online
    pub better: Option<(Name, bool)>,
    /// while it waits for a gateway: the default route of another device, beside which a DHCP client may fail to add one
    pub rival: Option<ManualRoute>,
    /// how its rounds are judged
    pub terms: Terms,
    /// by [`Measure`]: those that have a threshold
    pub levels: [Option<Level>; Measure::ALL.len()],
    /// the time of all its outages since the start, with the one that lasts
    pub outage_ms: u64,
}

/// Why a path is in its state, apart from its rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reason {
    /// what its uplink lacks
    pub waiting: Option<Waiting>,
    /// whether it probes
    pub duty: Duty,
    /// it has no check in its family
    pub unchecked: bool,
    /// the other provider that has its device, or is pinned
    pub other: Option<Name>,
    /// of an offline path: the metric of a default route in `main` that refuses traffic and prevails
    pub refused: Option<Metric>,
    /// of an offline path: the device at which answers arrive that are dropped on this machine
    pub dropped: Option<DeviceName>,
}

impl Reason {
    /// Whether there is anything to say.
    pub fn is_told(&self) -> bool {
        self.waiting.is_some()
            || self.duty != Duty::Checked
            || self.unchecked
            || self.refused.is_some()
            || self.dropped.is_some()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = |unknown| self.other.as_deref().unwrap_or(unknown);
        match (self.waiting, self.duty) {
            (Some(Waiting::DeviceTaken(_)), _) => {
                write!(f, "device taken by {}", other("another provider"))
            }
            (Some(waiting), _) => waiting.fmt(f),
            (None, Duty::Pinned) => f.write_str("pinned: not checked"),
            (None, Duty::Frozen) => write!(f, "{} is pinned", other("another")),
            (None, Duty::Checked) if self.unchecked => f.write_str("unchecked"),
            (None, Duty::Checked) => match (self.refused, &self.dropped) {
                (Some(Metric(metric)), _) => {
                    write!(f, "refused by the default route of metric {metric} in main")
                }
                (None, Some(device)) => DroppedAt(device).fmt(f),
                (None, None) => Ok(()),
            },
        }
    }
}

/// Rounds in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rounds {
    /// good ones
    pub good: u32,
    /// failed ones
    pub failed: u32,
    /// how many of the last were the same: above 0 good, below 0 failed
    pub streak: i32,
}

/// Round-trip times over the window, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Rtt {
    pub last: Option<Decimal>,
    pub avg: Option<Decimal>,
    pub stddev: Option<Decimal>,
    pub min: Option<Decimal>,
    pub max: Option<Decimal>,
}

/// Each round's round-trip time, in microseconds, oldest first; 0: it was lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(pub Vec<u32, WINDOW_MAX>);

/// How a path's rounds are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// good rounds in a row that make it online
    pub up: u8,
    /// failed rounds in a row that make it offline
    pub down: u8,
    /// the last rounds that count
    pub window: u8,
    /// more failed ones among these make it offline
    pub max_failed: u8,
    /// how many checks must be answered in a good round
    pub quorum: u8,
}

/// One measure of a path's quality: whole percents of loss, microseconds of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// as measured; none: too little is known
    pub value: Option<u32>,
    /// above this it fails
    pub most: u32,
    /// at or below this it is good again
    pub recover: u32,
    /// whether it fails: it exceeded the upper threshold, and is not good again yet
    pub is_poor: bool,
}

/// One check of a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// its name
    pub name: Name,
    /// `ping`, `dns` …
    pub kind: Word,
    /// its target
    pub target: Target,
    /// `ok`, `lost`, `pending`
    pub state: CheckState,
    /// round-trip time of its last answer
    pub rtt_ms: Option<Decimal>,
    /// over the window
    pub loss_percent: Option<Decimal>,
    /// since the start
    pub sent: u32,
    /// since the start
    pub received: u32,
    /// time since when each of its probes is lost; null if the last one was answered
    pub failing_s: Option<u32>,
    /// whether a round fails without its answer
    pub required: bool,
    /// the fault of its last settled probe; none if it was only unanswered
    pub fault: Option<Fault>,
    /// how long ago that probe was sent
    pub asked_ms: u64,
    /// how long ago the last answer came
    pub answered_ms: Option<u64>,
    /// time until it is probed again, if that is not in the next round
    pub again_in_ms: Option<u64>,
    /// probes answered in time; it never decreases
    pub ok: u32,
    /// the other settled probes; it never decreases
    pub lost: u32,
}

/// The result of the last settled probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckState {
    /// no probe is settled yet
    #[default]
    Pending,
    /// it was answered in time
    Ok,
    /// it was lost
    Lost,
}
