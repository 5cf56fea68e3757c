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
//! | `verdict` | when to probe and how to judge, as the core has it |
//! | `known` | a provider's id, as a person gives it → the provider, or what to say |

use core::net::IpAddr;

use heapless::{String, Vec};

mod check;
mod compare;
#[cfg(test)]
mod described;
#[cfg(test)]
pub(crate) mod fixture;
mod globals;
mod known;
mod load;
mod provider;
mod quality;
#[cfg(test)]
mod shipped;
mod timing;
mod verdict;

use crate::check::Way;
pub use crate::check::{CheckKind, Pace};
pub use crate::types::Measure;
pub use known::{Ids, Unusable};
pub use load::{Refused, load};
pub use verdict::{Profile, Quality, Quorum, Threshold, Timing};

use crate::limits::{
    CATCH_ALL_MAX, CHECKS_MAX, INTERFACES_MAX, PROVIDERS_MAX, RULE_PREF, TARGET_MAX,
};
use crate::types::{
    DeviceName, Duration, Family, FilePath, Mark, Metric, Name, PerFamily, Prefix, Slot,
};

/// Where a client and the daemon look for a configuration, in this order, when none is named.
pub const CONFIG_FILES: [&str; 2] = ["/etc/config/failover", "/etc/failover/failover.conf"];

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
    /// Preference of the rule that leads to what chooses among our providers.
    pub catch_all: u32,
    /// Which default routes of others in `main` prevail over ours.
    pub obeys: Yield,
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

impl Globals {
    /// Nothing set, all zeroes: what a static starts as, before the defaults are put in.
    const EMPTY: Globals = Globals {
        enabled: false,
        start_metric: Metric(0),
        table: 0,
        rule_pref: 0,
        catch_all: 0,
        obeys: Yield::Auto,
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
            rule_pref: RULE_PREF,
            catch_all: CATCH_ALL_MAX,
            obeys: Yield::Auto,
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

/// Which default routes of others in `main`, of a low metric and by devices that are no provider's, prevail over ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yield {
    /// those that look as if they were meant to
    Auto,
    /// all
    All,
    /// none
    None,
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
    /// [`crate::types::POLICY_TABLE_FIRST`] + slot, or the next one that no other program uses
    Auto,
    /// no table of its own
    None,
    /// this one
    Id(u32),
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
        matches!(self.kind.way(), Way::Session)
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
