//! The engine's input and output.

use heapless::Vec;

use crate::limits::PROVIDERS_MAX;
use crate::types::{CheckSet, Duration, Family, Fault, PathId, Round, Slot, Waiting};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The clock has reached [`super::Engine::next_deadline`].
    Tick,
    /// The state of a path's uplink in the kernel. The driver reports it once for every path of a new configuration, and
    /// on every change. No provider leads in a family until all its paths are reported.
    Uplink {
        /// the path
        path: PathId,
        /// why it cannot be probed, when it cannot
        waiting: Option<Waiting>,
        /// whether a default route through it can be installed: always true if `waiting` is none
        routable: bool,
    },
    /// The path has other sockets, as its address has changed: the probes on their way are not heard any more. Each is as
    /// one that was not made: see [`Event::Unasked`].
    Rebound(PathId),
    /// A check answered. Reported once per probe, also for late answers.
    Reply {
        /// the path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round of the probe
        round: Round,
        /// the time from sending to receiving
        rtt: Duration,
    },
    /// A probe could not be sent, or is known to have failed.
    Failed {
        /// the path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round asked in
        round: Round,
        /// why
        fault: Fault,
    },
    /// An ICMP error says that a probe of this path cannot be delivered (destination unreachable, RFC 792 and RFC 4443,
    /// with its code). It is recorded, not judged: any router on the way can send one.
    Unreachable {
        /// the path
        path: PathId,
        /// the code of the ICMP message
        code: u8,
    },
    /// A check was not probed after all: its former probe has not ended. Its last result is used for this round.
    Skipped {
        /// the path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round it was due in
        round: Round,
    },
    /// A check was not probed after all: there was no room. That says nothing about the line. Its last result is used,
    /// however old it is; if there is none and the verdict depends on it, the round does not count.
    Unasked {
        /// the path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round it was due in
        round: Round,
    },
    /// The user pinned a provider, or removed the pin. One that is not configured, or not enabled, is ignored.
    Pin(Option<Slot>),
    /// The user disabled a provider (`true`), or enabled it again.
    Disable(Slot, bool),
    /// The kernel has the routes of the latest [`Plan`].
    RoutesApplied(Family),
    /// The routes could not be set: the kernel had no memory, or did not answer in time.
    RoutesFailed(Family, Fault),
}

/// What the driver must do. One event causes at most [`ACTIONS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send one probe of each of these checks, now. Report [`Event::Failed`] for each that cannot be sent,
    /// [`Event::Skipped`] for each whose former probe is still under way and allows no other, and [`Event::Unasked`] for
    /// each that there is no room for. Begin with [`Rounds::turn`](super::rounds::Rounds::turn), so that no check is
    /// always the last.
    Probe {
        /// the path to probe through
        path: PathId,
        /// the round, to be given back with the result
        round: Round,
        /// the checks to probe
        checks: CheckSet,
        /// Probe as another conversation than before, so that NAT on the way makes a new mapping: with another ICMP
        /// identifier.
        afresh: bool,
    },
    /// Set the kernel's routes to [`super::Engine::plan`] of this family, as it is when the driver gets to it.
    Routes(Family),
    /// Write the saved state: it has changed.
    Save,
}

/// The most actions of one event.
pub const ACTIONS_MAX: usize = 8;
/// The actions of one event, in this order.
pub type Actions = Vec<Action, ACTIONS_MAX>;

/// The wanted order of one family's default routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every managed provider of the family that is routable, best first.
    pub order: Vec<RankedPath, PROVIDERS_MAX>,
    /// Whether traffic is to be refused: no provider is healthy, and `last_resort` is `unreachable`.
    pub unreachable: bool,
    /// Whether the first in order does not work either, as far as is known: there is nothing better to go to.
    pub none_works: bool,
}

impl Plan {
    /// Without paths.
    pub const fn new() -> Plan {
        Plan {
            order: Vec::new(),
            unreachable: false,
            none_works: false,
        }
    }
}

/// One place in a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankedPath {
    /// the provider of the route
    pub slot: Slot,
    /// whether it carries what chooses it, its connections and marked traffic: it is online, pinned, or was never judged;
    /// not while it is offline, waiting, disabled, or another is pinned, nor when it comes back before its new verdict
    pub usable: bool,
}
