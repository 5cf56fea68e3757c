//! The parts of a journal entry: its subject, what happened, and the cause. `text/journal.rs` renders them as text.

use core::fmt;
use core::mem::discriminant;

use heapless::String;

use super::{DeviceName, Fault, Metric, Name, Waiting};
use crate::limits::{CAUSE_MAX, PATH_CHECKS_MAX, TARGET_MAX};
use crate::types::Family;

/// A path's state, as the status shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum State {
    Online,
    Probing,
    Offline,
    Frozen,
    #[default]
    Waiting,
}

impl State {
    /// All of them, best first.
    pub const ALL: [State; 5] = [
        State::Online,
        State::Probing,
        State::Offline,
        State::Frozen,
        State::Waiting,
    ];

    /// The name in status, journal and hooks.
    pub const fn name(self) -> &'static str {
        match self {
            State::Online => "online",
            State::Probing => "probing",
            State::Offline => "offline",
            State::Frozen => "frozen",
            State::Waiting => "waiting",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an entry is about. Both are none if it is about the daemon as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// the provider's id, if it is about one
    pub provider: Option<Name>,
    /// the family, if it is about one
    pub family: Option<Family>,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// the daemon was started
    #[default]
    Started,
    /// the daemon was stopped
    Stopped,
    /// the configuration was read again
    Configuration,
    /// a provider was pinned
    Pinned,
    /// a provider was unpinned
    Unpinned,
    /// a provider was disabled
    Disabled,
    /// a provider was enabled
    Enabled,
    /// a provider is no longer in the configuration
    Removed,
    /// a path's state changed; if both states are the same, only its cause changed
    State {
        /// before
        from: State,
        /// now
        to: State,
    },
    /// the provider carries the family from now on
    Leads,
    /// no provider carries the family: `last_resort` refuses its traffic
    Refused,
    /// no provider carries the family: none can have a route
    NoRoute,
    /// the family's routes could not be set
    RoutesNotSet,
    /// another program changed routes or rules of ours, which were restored
    RoutesPutBack,
    /// a default route that is not ours carries the family from now on
    Overridden,
    /// the provider's connections were handed over to another
    HandedOver,
}

impl Kind {
    /// Whether the user should see it.
    pub const fn is_grave(self) -> bool {
        matches!(
            self,
            Kind::State {
                to: State::Offline | State::Waiting,
                ..
            } | Kind::Refused
                | Kind::NoRoute
                | Kind::RoutesNotSet
                | Kind::RoutesPutBack
                | Kind::Overridden
        )
    }

    /// Whether it says what becomes of the family's traffic.
    pub const fn is_of_traffic(self) -> bool {
        matches!(
            self,
            Kind::Leads | Kind::Refused | Kind::NoRoute | Kind::Overridden
        )
    }
}

/// How many transitions an entry of the journal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// their number; of a burst at least 3
    pub times: u32,
    /// from the first to the last, in milliseconds
    pub for_ms: u32,
}

impl Repeats {
    /// A single transition.
    pub const ONCE: Repeats = Repeats {
        times: 1,
        for_ms: 0,
    };

    /// Whether these are many.
    pub const fn is_burst(self) -> bool {
        self.times > 1
    }
}

impl Default for Repeats {
    fn default() -> Repeats {
        Repeats::ONCE
    }
}

/// Why it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // a journal's entries are in place, not on a heap
pub enum Cause {
    /// of a start: the daemon's version
    Version(Name),
    /// of a stop: it was asked for
    #[default]
    Cleanly,
    /// of a configuration: it was read again
    Reread,
    /// another configuration came into force
    ConfigurationChanged,
    /// `use`, or the sticky file
    PinnedByHand,
    /// `use auto`, or the sticky file
    UnpinnedByHand,
    /// `disable`
    DisabledByHand,
    /// `enable`
    EnabledByHand,
    /// the uplink has all that it needs
    UplinkUp,
    /// the uplink has lost something
    Lost(Waiting),
    /// the uplink, which was waiting already, now waits for this
    Lacks(Waiting),
    /// the path's rounds were judged
    Judged(Judged),
    /// answers to its probes arrive at this device, and are dropped on this machine
    Dropped(DeviceName),
    /// the provider is the first in the order
    First,
    /// the family's traffic is no longer refused
    NotRefused,
    /// the provider can have a route again
    HasRoute,
    /// the provider that carried before, by id, and what is the matter with it
    Other(Name, Other),
    /// no enabled provider works, and `last_resort` is `unreachable`
    NoneWorks,
    /// no provider can have a default route
    NoneRoutable,
    /// what the kernel answered
    Kernel(Fault),
    /// another program changed this, and so many more
    Changed(Ours, u32),
    /// a default route in `main` by this device, of this metric, prevails
    Manual(DeviceName, Metric),
    /// it no longer does
    ManualGone(DeviceName, Metric),
    /// so many connections, to this provider; with [`OFFLOADED`], and those that were offloaded
    Connections(u32, Name),
}

impl Cause {
    /// Whether both are the same. Of judged rounds and of connections, the details may differ.
    pub(crate) fn is_akin(&self, other: &Cause) -> bool {
        match (self, other) {
            (Cause::Version(of), Cause::Version(with)) => of == with,
            (Cause::Lost(of), Cause::Lost(with)) | (Cause::Lacks(of), Cause::Lacks(with)) => {
                of == with
            }
            (Cause::Dropped(of), Cause::Dropped(with)) => of == with,
            (Cause::Other(of, was), Cause::Other(with, is)) => was == is && of == with,
            (Cause::Kernel(of), Cause::Kernel(with)) => of == with,
            (Cause::Changed(of, more), Cause::Changed(with, others)) => {
                more == others && of == with
            }
            (Cause::Manual(of, metric), Cause::Manual(with, other))
            | (Cause::ManualGone(of, metric), Cause::ManualGone(with, other)) => {
                metric == other && of == with
            }
            _ => discriminant(self) == discriminant(other),
        }
    }
}

/// The bit of a number of connections that says: those that are offloaded are not among them, as the kernel does not tell
/// their number.
pub const OFFLOADED: u32 = 1 << 31;

/// Why another provider carries from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// it is disabled
    Disabled,
    /// it works, but the new one is preferred
    Preferred,
    /// it is in this state
    Is(State),
    /// it is in this state, and only what is disabled works
    OnlyDisabledWorks(State),
    /// it is in this state, and the new one, which does not work either, is the last resort
    LastResort(State),
}

/// A path's rounds were judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// what was found
    pub ground: Ground,
    /// what the last round did not get an answer from; empty where that is not the reason
    pub missed: Missed,
    /// the code of the last ICMP error since the last answer
    pub unreachable: Option<u8>,
}

/// Why a verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// so many good rounds in a row
    GoodStreak(u32),
    /// so many failed rounds in a row
    FailedStreak(u32),
    /// so many failed rounds of the last so many
    FailedInWindow(u32, u32),
    /// no check asks for anything in this family
    Unchecked,
    /// a measure is beyond its threshold
    Poor(Measured),
    /// a measure is within its threshold again, after so many good rounds
    GoodAgain(u32, Measured),
}

/// What of a path's quality is measured, over its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// probes lost, in percent
    Loss,
    /// mean round-trip time
    Latency,
    /// its standard deviation
    Jitter,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 3] = [Measure::Loss, Measure::Latency, Measure::Jitter];

    /// `loss`, `latency`, `jitter`.
    pub const fn name(self) -> &'static str {
        match self {
            Measure::Loss => "loss",
            Measure::Latency => "latency",
            Measure::Jitter => "jitter",
        }
    }
}

/// A measure of a path's quality: whole percents of loss, microseconds of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// of what
    pub measure: Measure,
    /// as measured
    pub value: u32,
    /// the threshold that decided
    pub limit: u32,
    /// whether the limit is `max_…`, which the value is above; otherwise it is `recover_…`, which the value is within
    pub is_above: bool,
}

/// What a round did not get an answer from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// targets, or the names of checks without one, a line each, as far as there is room
    targets: String<CAUSE_MAX>,
    /// how many
    count: u8,
    /// what went wrong, of each; none: no answer came
    faults: [Option<Fault>; PATH_CHECKS_MAX],
}

impl Missed {
    /// Adds one, as long as there is room.
    pub fn add(&mut self, target: &str, fault: Option<Fault>) {
        let separator = if self.count == 0 { "" } else { "\n" };
        if self.targets.len() + separator.len() + target.len() <= self.targets.capacity()
            && let Some(room) = self.faults.get_mut(usize::from(self.count))
        {
            *room = fault;
            self.count += 1;
            let added = self
                .targets
                .push_str(separator)
                .and(self.targets.push_str(target));
            debug_assert!(added.is_ok(), "its length was looked at");
        }
    }

    /// Target, and what went wrong.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<Fault>)> {
        let faults = self.faults.iter().copied().take(self.count.into());
        self.targets.split('\n').zip(faults)
    }
}

/// A route or a rule of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ours {
    /// a route
    Route {
        /// where to, as a prefix; none: everywhere
        to: Option<String<TARGET_MAX>>,
        /// its metric
        metric: Metric,
        /// its table
        table: u32,
    },
    /// the rule of this preference
    Rule(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_akin_when_they_are_the_same_but_for_details() {
        let [one, two]: [Name; 2] = ["isp1", "isp2"].map(|id| id.try_into().unwrap());
        let [eth0, eth1]: [DeviceName; 2] = ["eth0", "eth1"].map(|name| name.try_into().unwrap());
        let causes = [
            Cause::First,
            Cause::HasRoute,
            Cause::Version(one.clone()),
            Cause::Version(two.clone()),
            Cause::Lost(Waiting::Down),
            Cause::Lost(Waiting::NoCarrier),
            Cause::Lacks(Waiting::Down),
            Cause::Dropped(eth0.clone()),
            Cause::Dropped(eth1.clone()),
            Cause::Other(one.clone(), Other::Disabled),
            Cause::Other(one.clone(), Other::Preferred),
            Cause::Other(two.clone(), Other::Disabled),
            Cause::Kernel(Fault::Exists),
            Cause::Kernel(Fault::Exit(1)),
            Cause::Changed(Ours::Rule(1), 0),
            Cause::Changed(Ours::Rule(1), 1),
            Cause::Changed(Ours::Rule(2), 0),
            Cause::Manual(eth0.clone(), Metric(1)),
            Cause::Manual(eth0.clone(), Metric(2)),
            Cause::Manual(eth1, Metric(1)),
            Cause::ManualGone(eth0.clone(), Metric(1)),
            Cause::ManualGone(eth0, Metric(2)),
        ];
        for one in &causes {
            for other in &causes {
                assert_eq!(one.is_akin(other), one == other, "{one:?}, {other:?}");
            }
        }
        assert!(Cause::Connections(1, one).is_akin(&Cause::Connections(2, two)));
    }

    #[test]
    fn what_is_missed_comes_back_as_far_as_there_is_room() {
        let mut missed = Missed::default();
        assert_eq!(missed.iter().count(), 0);
        let long = "x".repeat(TARGET_MAX);
        missed.add("192.0.2.1", None);
        missed.add(&long, Some(Fault::Reset));
        missed.add(&long, None); // there is no room
        missed.add("2001:db8::1", Some(Fault::Exit(1)));
        let expected = [
            ("192.0.2.1", None),
            (long.as_str(), Some(Fault::Reset)),
            ("2001:db8::1", Some(Fault::Exit(1))),
        ];
        assert!(missed.iter().eq(expected));
    }
}
