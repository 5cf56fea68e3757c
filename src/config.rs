//! The configuration: what a validated one holds, and every capacity and default of the program.
//!
//! [`load()`] fills one from UCI text and reports every error of a file, not only the first.
//!
//! | module | job |
//! |---|---|
//! | `load` | the sections in turn |
//! | `globals`, `provider`, `check`, `timing` | the options of one section → its part of a [`Config`] |
//! | `quality` | thresholds of loss, latency and jitter |
//! | `compare` | what sections must be to each other |
//! | `options` | finds a section's options, and reports those that it does not have |
//! | `verdict` | when to probe and how to judge, as the core has it |
//! | `value` | the text of one value → what it means |
//! | `known` | a provider's id, as a person gives it → the provider, or what to say |
//! | `slips` | what is written as other programs have it → how it is written here
//! | `problem` | errors and warnings for people, with the nearest known name |

use core::net::IpAddr;

use heapless::{String, Vec};

mod check;
mod compare;
mod globals;
mod known;
mod load;
pub(crate) mod options;
mod problem;
mod provider;
mod quality;
#[cfg(test)]
mod shipped;
mod slips;
mod timing;
pub mod value;
mod verdict;

use crate::check::Way;
pub use crate::check::{CheckKind, Pace};
pub use known::{Ids, Unusable};
pub use load::{Refused, load};
pub use problem::{Problem, Severity, nearest};
pub use quality::Limit;
pub use verdict::{Measure, Profile, Quality, Quorum, Threshold, Timing};

use crate::net::{Duration, Family, Metric, PerFamily, Prefix};

/// Most providers. A router with two touches only the memory of two.
pub const PROVIDERS_MAX: usize = 64;
/// Most checks in a file.
pub const CHECKS_MAX: usize = 32;
/// Most checks of one path: one bit each in a round's masks.
pub const PATH_CHECKS_MAX: usize = 8;
/// Most rounds remembered: one bit each in a path's history.
pub const WINDOW_MAX: usize = 64;
/// Most paths: each provider in each family.
pub const PATHS_MAX: usize = 2 * PROVIDERS_MAX;
/// Longest id of a provider or name of a check.
pub const NAME_MAX: usize = 31;
/// Longest name of a device (the kernel's `IFNAMSIZ` less its NUL).
pub const DEVICE_MAX: usize = 15;
/// Most netifd interfaces of one provider.
pub const INTERFACES_MAX: usize = 4;
/// Executables in `hooks_dir` that are run.
pub const HOOKS_MAX: usize = 32;
/// Netifd interfaces of all providers.
pub const INTERFACES_WATCHED_MAX: usize = INTERFACES_MAX * PROVIDERS_MAX;
/// Longest target of a check: an address, or a host name.
pub const TARGET_MAX: usize = 64;
/// Longest name of a host, to be asked of a DNS server or of a web server.
pub const HOST_MAX: usize = TARGET_MAX;
/// Longest path of an `http` check.
pub const HTTP_PATH_MAX: usize = 100;
/// Longest text that an `http` check looks for.
pub const HTTP_TEXT_MAX: usize = 63;
/// Bytes that the header of a response to an `http` check may have.
pub const HTTP_HEADER_MAX: usize = 8 * 1024;
/// Bytes that its body may have.
pub const HTTP_BODY_MAX: usize = 16 * 1024;
/// Longest command of an `exec` check.
pub const COMMAND_MAX: usize = 160;
/// Longest `sticky_file`, `hooks_dir` and `state_dir` (a socket's address holds 107 bytes).
pub const FILE_PATH_MAX: usize = 90;
/// Commands of `exec` checks running at once, over all paths.
pub const COMMANDS_MAX: usize = 64;
/// Conversations of checks with servers at once, over all paths.
pub const TALKS_MAX: usize = 64;
/// Largest configuration file, in bytes.
pub const FILE_MAX: usize = 64 * 1024;
/// Most sections of a file: room for all that are allowed, and for some more, to say of what there are too many.
pub const SECTIONS_MAX: usize = 128;
/// Longest message about a configuration, in bytes; longer ones are cut.
pub const MESSAGE_MAX: usize = 200;
/// Errors of a file that are told; of more, how many there are.
pub const ERRORS_TOLD_MAX: u32 = 20;
/// Shortest interval between rounds, and of a check.
pub const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Longest interval between rounds, and of a check: a day. Also the longest `preempt`.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest timeout.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// While none of the checks that are asked in each round answers, the others are asked so often.
pub const SILENCE_APART: Duration = Duration::from_secs(1);
/// Answered rounds that latency and jitter are not judged before.
pub const QUALITY_ROUNDS_MIN: u32 = 5;
/// Rounds of different paths are so far apart (or a quarter of the interval, if that is less), or go out together: to be
/// woken up costs a processor more than to send a few probes.
pub const ROUNDS_APART: Duration = Duration::from_millis(25);
/// Longest timeout, in intervals: so many rounds may be undecided, one bit each.
pub const TIMEOUT_INTERVALS_MAX: u32 = 63;
/// Largest `rank` that can be given.
pub const RANK_MAX: u32 = 65535;
/// Preferences of ours, from `rule_pref`: the last is so far behind the first.
pub const RULE_PREFS: u32 = 900;
/// The last preference before `main`'s.
pub const RULE_PREF_MAX: u32 = 32765;
/// Transitions remembered by the journal.
pub const JOURNAL_MAX: usize = 128;
/// Longest cause of a transition, in bytes; longer ones are cut.
pub const CAUSE_MAX: usize = 120;
/// Clients served at once on the control socket.
pub const CLIENTS_MAX: usize = 8;
/// Largest control frame, in bytes.
pub const FRAME_MAX: usize = 2048;
/// Warnings shown at once in the status.
pub const WARNINGS_MAX: usize = 32;
/// Links of the machine that are watched.
pub const LINKS_MAX: usize = 256;
/// Addresses of the machine that are watched.
pub const ADDRESSES_MAX: usize = 512;
/// Default routes, and routes in our tables, that are watched.
pub const ROUTES_MAX: usize = 1024;
/// Routes that lead by one device, and addresses of one device, that are watched however many there are of others.
pub const KEPT_MIN: usize = 4;
/// Rules that are watched.
pub const RULES_MAX: usize = 1024;
/// Routes that one family is to have: each provider's in the swap table, and two in its policy table.
pub const ROUTES_WANTED_MAX: usize = 3 * PROVIDERS_MAX;
/// Rules that one family is to have: three a provider, and three of the whole.
pub const RULES_WANTED_MAX: usize = 3 * PROVIDERS_MAX + 3;
/// Routes and rules of one family that the kernel refuses and that are told apart; any others are asked for again and again.
pub const REFUSED_MAX: usize = 64;
/// Metrics taken by somebody else that are reported at once.
pub const TAKEN_MAX: usize = 16;

/// The longest wait for the kernel's answer to one netlink request; of a dump: for its next part.
pub const REQUEST_PATIENCE: Duration = Duration::from_millis(500);
/// The longest a whole dump may take (a full Internet table takes about one second).
pub const DUMP_PATIENCE: Duration = Duration::from_millis(5000);
/// How often a dump is made anew because the kernel's picture changed meanwhile.
pub const DUMP_TRIES: u8 = 4;
/// Netlink datagrams read in one go, before other work gets its turn.
pub const DATAGRAMS_PER_DRAIN: u16 = 256;
/// Largest netlink datagram that is read: the kernel never makes larger ones for a reader of this size, except for a
/// single message that does not fit.
pub const DATAGRAM_MAX: usize = 8 * 1024;
/// The kernel's memory for events that we have not read yet, in bytes.
pub const EVENTS_BUFFER: usize = 512 * 1024;

/// The protocol of everything that is ours in the kernel, named `failover` in `rt_protos.d`.
pub const PROTOCOL: u8 = 176;
/// The first automatic policy table; the others follow by slot.
pub const POLICY_TABLE_FIRST: u32 = 17601;
/// Where a client and the daemon look for a configuration, in this order, when nobody names one.
pub const CONFIG_FILES: [&str; 2] = ["/etc/config/failover", "/etc/failover/failover.conf"];

/// A provider's id or a check's name.
pub type Name = String<NAME_MAX>;
/// A device's name.
pub type DeviceName = String<DEVICE_MAX>;
/// A file's path.
pub type FilePath = String<FILE_PATH_MAX>;

/// A provider's place that stays its own across reloads and restarts, from 0: it numbers the policy table, the rules'
/// preferences, and the probes' sockets.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Slot(pub u8);

/// One provider in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId {
    /// whose
    pub slot: Slot,
    /// in which family
    pub family: Family,
}

impl PathId {
    /// From 0 to below [`PATHS_MAX`].
    pub const fn index(self) -> usize {
        self.slot.0 as usize * 2 + self.family as usize
    }

    /// The path of an index; none when there is no such path.
    pub const fn from_index(index: usize) -> Option<PathId> {
        if index >= PATHS_MAX {
            return None;
        }
        let family = if index.is_multiple_of(2) {
            Family::V4
        } else {
            Family::V6
        };
        #[allow(clippy::cast_possible_truncation)] // below PATHS_MAX / 2
        Some(PathId {
            slot: Slot((index / 2) as u8),
            family,
        })
    }
}

/// A validated configuration. Large: it lives in a static or on the heap.
///
/// It begins with a page: the globals and a few providers touch no other.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C, align(4096))]
pub struct Config {
    /// `config globals`
    pub globals: Globals,
    /// `config provider`, in the order of preference (rank 1 first).
    pub providers: Vec<Provider, PROVIDERS_MAX>,
    /// `config check`, in the file's order.
    pub checks: Vec<Check, CHECKS_MAX>,
}

/// Settings of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Globals {
    /// Whether `run` runs at all.
    pub enabled: bool,
    /// Metric of the best route; the others follow, +1 each.
    pub start_metric: Metric,
    /// The swap table: 254 is `main`.
    pub table: u32,
    /// Preference of the first of our rules.
    pub rule_pref: u32,
    /// Holds the pinned provider's id.
    pub sticky_file: FilePath,
    /// Who leads when no provider is healthy.
    pub last_resort: LastResort,
    /// When a better provider takes over from a healthy one.
    pub preempt: Preempt,
    /// What a clean stop leaves.
    pub on_stop: OnStop,
    /// Control socket, saved state.
    pub state_dir: FilePath,
    /// Whose members may ask how things stand; empty: of no group.
    pub control_group: Name,
    /// Executables that hear of transitions.
    pub hooks_dir: FilePath,
    /// The most verbose level that is logged.
    pub syslog_level: LogLevel,
}

/// The main routing table's number.
pub const TABLE_MAIN: u32 = 254;
/// The default routing table's number.
pub const TABLE_DEFAULT: u32 = 253;
/// The number of the kernel's own table.
pub const TABLE_LOCAL: u32 = 255;

impl Globals {
    /// Nothing set, all zeroes: what a static starts as, before the defaults are put in.
    const EMPTY: Globals = Globals {
        enabled: false,
        start_metric: Metric(0),
        table: 0,
        rule_pref: 0,
        sticky_file: String::new(),
        last_resort: LastResort::First,
        preempt: Preempt::Yes,
        on_stop: OnStop::Restore,
        state_dir: String::new(),
        control_group: String::new(),
        hooks_dir: String::new(),
        syslog_level: LogLevel::Error,
    };
}

impl Default for Globals {
    fn default() -> Globals {
        Globals {
            enabled: true,
            start_metric: Metric(100),
            table: 176,
            rule_pref: 17600,
            sticky_file: text("/etc/failover/sticky.provider"),
            last_resort: LastResort::First,
            preempt: Preempt::Yes,
            on_stop: OnStop::Restore,
            state_dir: text("/var/run/failover"),
            control_group: String::new(),
            hooks_dir: text("/etc/failover/hooks.d"),
            syslog_level: LogLevel::Info,
        }
    }
}

fn text<const N: usize>(s: &str) -> String<N> {
    String::try_from(s).unwrap_or_default()
}

/// Who leads when no provider is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastResort {
    /// the first in rank that has a gateway
    First,
    /// who leads now
    Keep,
    /// nobody: traffic is refused at once
    Unreachable,
}

/// When a better provider takes over from a healthy one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// at once
    Yes,
    /// never
    No,
    /// after it has been online this long
    After(Duration),
}

/// What a clean stop leaves in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// nothing of ours
    Restore,
    /// our routes and rules
    Keep,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// An uplink.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// its name for people
    pub id: Name,
    /// its lasting number, see [`Slot`]
    pub slot: Slot,
    /// whether it is managed at all
    pub enabled: bool,
    /// its kernel device in each family; empty when netifd's interfaces tell
    pub device: PerFamily<DeviceName>,
    /// netifd's logical interfaces, when they are given instead of a device
    pub interfaces: Vec<Name, INTERFACES_MAX>,
    /// its own address, when it is not to be learned
    pub address: PerFamily<Option<IpAddr>>,
    /// its gateway, when it is not to be learned
    pub gateway: PerFamily<Option<IpAddr>>,
    /// its connected prefix, when it is not to be learned
    pub network: PerFamily<Option<Prefix>>,
    /// its policy table
    pub rt_table: RtTable,
    /// the firewall mark that steers traffic to it
    pub mark: Option<Mark>,
    /// its `rank` as given, else its position among the providers of the file, from 1. Providers are sorted by it;
    /// where a given one equals a position, the given one is first
    pub rank: u32,
    /// its checks: bit i is `Config::checks[i]`
    pub checks: u32,
    /// when to probe and how to judge
    pub timing: Timing,
}

/// A provider's own routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtTable {
    /// [`POLICY_TABLE_FIRST`] + slot, or the next one that nobody else uses
    Auto,
    /// no table of its own
    None,
    /// this one
    Id(u32),
}

/// A firewall mark under a mask, as `0x100/0xff00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// what the masked mark must equal
    pub value: u32,
    /// which bits are compared
    pub mask: u32,
}

/// What is asked through a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// its name for people
    pub name: Name,
    /// what is done
    pub kind: CheckKind,
    /// who is asked, as the file has it; empty when an `exec` check names none
    pub target: String<TARGET_MAX>,
    /// the family it belongs to
    pub family: Family,
    /// when set, it is asked only that often; else its type knows, see [`Check::interval_in`]
    pub interval: Option<Duration>,
    /// whether it must answer, whatever the quorum
    pub required: bool,
}

impl Check {
    /// Whether its answers say something of the line, and not only of the link to the gateway.
    pub fn tells_of_line(&self) -> bool {
        !matches!(self.kind.way(), Way::Link(_))
    }

    /// Whether it needs a session with a server.
    pub fn needs_session(&self) -> bool {
        matches!(self.kind.way(), Way::Talk)
    }

    /// Whether it needs a command.
    pub fn needs_command(&self) -> bool {
        matches!(self.kind.way(), Way::Run(_))
    }

    /// How often it is asked on a path with so much time between rounds; zero: in each round.
    pub fn interval_in(&self, rounds: Duration) -> Duration {
        self.interval.unwrap_or_else(|| {
            let Pace { least, rounds: of } = self.kind.pace();
            let own = least.max(rounds * of);
            if own > rounds { own } else { Duration::ZERO }
        })
    }
}

impl Provider {
    /// Whether everything but the place in the order of preference is the same.
    pub fn is_like(&self, other: &Provider) -> bool {
        Provider {
            rank: self.rank,
            checks: self.checks,
            ..other.clone()
        } == *self
    }
}

impl Config {
    /// An empty one, all zero bytes, for a static; not valid until [`load()`] has filled it.
    pub const fn new() -> Config {
        Config {
            globals: Globals::EMPTY,
            providers: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Copies another, part by part: a whole one is too large for the stack.
    pub fn assign(&mut self, other: &Config) {
        self.globals = other.globals.clone();
        self.providers.clear();
        self.providers.extend(other.providers.iter().cloned());
        self.checks.clear();
        self.checks.extend(other.checks.iter().cloned());
    }

    /// Gives every provider its slot: the one that its id had before, else the lowest that is free.
    pub fn assign_slots(&mut self, previous: &dyn Fn(&str) -> Option<Slot>) {
        let mut used: u64 = 0; // one bit a slot
        let mut kept: u64 = 0; // one bit a provider
        for (index, provider) in self.providers.iter_mut().enumerate() {
            if let Some(slot) = previous(&provider.id)
                && usize::from(slot.0) < PROVIDERS_MAX
                && used & (1 << slot.0) == 0
            {
                provider.slot = slot;
                used |= 1 << slot.0;
                kept |= 1 << index;
            }
        }
        let mut free = 0;
        for (index, provider) in self.providers.iter_mut().enumerate() {
            if kept & (1 << index) == 0 {
                while used & (1 << free) != 0 {
                    free += 1;
                }
                provider.slot = Slot(free);
                used |= 1 << free;
            }
        }
    }

    /// The provider of an id.
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|p| p.id == id)
    }

    /// The provider of a slot.
    pub fn at(&self, slot: Slot) -> Option<&Provider> {
        self.providers.iter().find(|p| p.slot == slot)
    }

    /// The enabled providers, best rank first.
    pub fn enabled(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter().filter(|p| p.enabled)
    }

    /// A path's checks, in the file's order; a path numbers its checks by their place here, from 0.
    pub fn path_checks<'a>(
        &'a self,
        provider: &'a Provider,
        family: Family,
    ) -> impl Iterator<Item = &'a Check> {
        self.checks
            .iter()
            .enumerate()
            .filter(move |(i, check)| provider.checks & (1 << i) != 0 && check.family == family)
            .map(|(_, check)| check)
    }

    /// The families in which a provider that is enabled has such a check.
    pub fn asking_families<'a>(
        &'a self,
        provider: &'a Provider,
        counts: &'a dyn Fn(&Check) -> bool,
    ) -> impl Iterator<Item = Family> + 'a {
        Family::ALL
            .into_iter()
            .filter(move |family| self.path_checks(provider, *family).any(counts))
    }

    /// Whether any enabled provider has a check in this family. Other families are left alone.
    pub fn manages(&self, family: Family) -> bool {
        self.enabled()
            .any(|p| self.path_checks(p, family).next().is_some())
    }
}
