//! What comes into the core and what goes out of it.

use heapless::Vec;

use crate::limits::PROVIDERS_MAX;
use crate::types::{CheckSet, Duration, Family, Fault, PathId, Round, Slot, Waiting};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The clock has reached [`super::Engine::next_deadline`].
    Tick,
    /// What the kernel knows of a path's uplink: told once of every path that a configuration brings, whatever it is
    /// (before, no provider leads in a family), and on every change.
    Uplink {
        /// of which path
        path: PathId,
        /// why it cannot be probed, when it cannot
        waiting: Option<Waiting>,
        /// whether a default route through it can be installed: always, where it lacks nothing
        routable: bool,
    },
    /// A check answered. Told once per probe; late answers too.
    Reply {
        /// of which path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round asked in
        round: Round,
        /// the time from sending to receiving
        rtt: Duration,
    },
    /// A probe could not be sent, or is known to have failed.
    Failed {
        /// of which path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round asked in
        round: Round,
        /// why
        fault: Fault,
    },
    /// The network says that a probe of this path cannot be delivered (ICMP destination unreachable, RFC 792 and
    /// RFC 4443, with its code). It is recorded, not judged: any host on the way can say so.
    Unreachable {
        /// of which path
        path: PathId,
        /// the code of the ICMP message
        code: u8,
    },
    /// A check was not asked after all: its former probe has not ended. Its last result stands for this one.
    Skipped {
        /// of which path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round it was to be asked in
        round: Round,
    },
    /// A check was not asked after all: there was no room. That says nothing of the line: its last result stands, however
    /// old that is; where it has none, and it matters, the round does not count.
    Unasked {
        /// of which path
        path: PathId,
        /// the number of the check in its path
        check: u8,
        /// the round it was to be asked in
        round: Round,
    },
    /// A person pinned a provider, or took the pin away. One that is not configured, or not enabled, is ignored.
    Pin(Option<Slot>),
    /// A person took a provider out of use (`true`), or gave it back.
    Disable(Slot, bool),
    /// The kernel has the routes of the latest [`Plan`].
    RoutesApplied(Family),
    /// They did not come through: the kernel had no memory, or did not answer in time.
    RoutesFailed(Family, Fault),
}

/// What the driver must do. At most [`ACTIONS_MAX`] come of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send one probe of each of these checks, now; tell [`Event::Failed`] of each that cannot be sent, and
    /// [`Event::Skipped`] of each whose former probe is still under way and allows no other, and [`Event::Unasked`] of each
    /// that there is no room for. Begin with [`Rounds::turn`](super::rounds::Rounds::turn): so each has its turn.
    Probe {
        /// through which path
        path: PathId,
        /// the round to be echoed
        round: Round,
        /// which of its checks
        checks: CheckSet,
    },
    /// Bring the kernel to [`super::Engine::plan`] of this family, as it is when the driver gets to it.
    Routes(Family),
    /// Write the saved state: something worth remembering has changed.
    Save,
}

/// Most actions of one event.
pub const ACTIONS_MAX: usize = 8;
/// What to do, in this order.
pub type Actions = Vec<Action, ACTIONS_MAX>;

/// How the default routes of one family shall stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every managed provider of the family that is routable, best first.
    pub order: Vec<RankedPath, PROVIDERS_MAX>,
    /// Whether traffic is to be refused: no provider is healthy, and `last_resort` is `unreachable`.
    pub unreachable: bool,
}

impl Plan {
    /// Without any path.
    pub const fn new() -> Plan {
        Plan {
            order: Vec::new(),
            unreachable: false,
        }
    }
}

/// One place in a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankedPath {
    /// the provider whose route it is
    pub slot: Slot,
    /// whether marked traffic is steered to it: its path is neither offline nor waiting
    pub steered: bool,
}
