//! The validated configuration, and its defaults.
//!
//! [`load()`] reads it from UCI text, and reports all errors of a file, not only the first.
//!
//! | module | job |
//! |---|---|
//! | `load` | reads all sections |
//! | `globals`, `provider`, `check`, `timing` | the options of one section → its part of a [`Config`] |
//! | `quality` | thresholds of loss, latency and jitter |
//! | `compare` | the rules between sections |
//! | `verdict` | when to probe and how to judge, as the engine uses it |
//! | `known` | a provider's id given by the user → the provider, or an error |

use core::net::IpAddr;
use core::slice::Iter;

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
pub use crate::types::{LastResort, Measure, Preempt};
pub use known::{Ids, Unusable};
pub use load::{Refused, load};
pub use verdict::{Profile, Quality, Quorum, Threshold, Timing};

use crate::limits::{
    CATCH_ALL_MAX, CHECKS_MAX, DELEGATED_MAX, DNS_MAX, INTERFACES_MAX, PROVIDERS_MAX, RULE_PREF,
    TARGET_MAX,
};
use crate::types::{
    Duration, Family, FilePath, GivenDevice, InterfaceName, Mark, MarkMask, Metric, Name,
    PerFamily, Prefix, Slot, prefixes_of,
};

/// The configuration files that client and daemon look for, in this order, if none is named.
pub const CONFIG_FILES: [&str; 2] = ["/etc/config/failover", "/etc/failover/failover.conf"];

/// A validated configuration. Large: it lives in a static or on the heap.
///
/// Its beginning is aligned to a memory page: the globals and a few providers touch only that page.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C, align(4096))]
pub struct Config {
    /// `config globals`
    pub globals: Globals,
    /// `config provider`, in the order of preference (rank 1 first).
    pub providers: Vec<Provider, PROVIDERS_MAX>,
    /// `config check`, in the file's order.
    pub checks: Vec<Check, CHECKS_MAX>,
    /// The `prefix`es of all providers, each with its provider; all of one stand together. Here, because few providers have one.
    pub prefixes: Vec<(Slot, Prefix), DELEGATED_MAX>,
    /// The `dns` of all providers, in the same way.
    pub dns: Vec<(Slot, IpAddr), DNS_MAX>,
}

/// Settings of the whole daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Globals {
    /// Whether the daemon runs at all.
    pub enabled: bool,
    /// Metric of the best route; the others follow, +1 each.
    pub start_metric: Metric,
    /// The swap table: 254 is `main`.
    pub table: u32,
    /// Preference of the first of our rules.
    pub rule_pref: u32,
    /// Preference of the rule that leads to the providers' order.
    pub catch_all: u32,
    /// Which default routes of others in `main` prevail over ours.
    pub obeys: Yield,
    /// Holds the pinned provider's id.
    pub sticky_file: FilePath,
    /// Which provider leads when none is healthy.
    pub last_resort: LastResort,
    /// When a better provider takes over from a healthy one.
    pub preempt: Preempt,
    /// What a clean stop leaves in the kernel.
    pub on_stop: OnStop,
    /// The bits of marks that are ours.
    pub mark_mask: MarkMask,
    /// Whether inbound connections are answered by the provider that they came by.
    pub answers: bool,
    /// Whether the providers' resolvers are asked through them, unless a provider's own option says otherwise.
    pub dns_route: bool,
    /// What happens to packets of the LAN with an IPv6 source that is another provider's.
    pub ipv6_foreign: ForeignIpv6,
    /// Whether an option asks for what needs our firewall table, so that it is made in any case.
    pub firewall_asked: bool,
    /// Directory of the control socket and the saved state.
    pub state_dir: FilePath,
    /// Group whose members may query the status; empty: no group.
    pub control_group: Name,
    /// Directory of the executables that run on transitions.
    pub hooks_dir: FilePath,
    /// The most verbose level that is logged.
    pub syslog_level: LogLevel,
}

impl Globals {
    /// All zero bytes, for a static; the defaults are set later.
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
        mark_mask: MarkMask::EMPTY,
        answers: false,
        dns_route: false,
        ipv6_foreign: ForeignIpv6::Masquerade,
        firewall_asked: false,
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
            mark_mask: MarkMask::USUAL,
            answers: true,
            dns_route: true,
            ipv6_foreign: ForeignIpv6::Masquerade,
            firewall_asked: false,
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

/// Which foreign default routes in `main`, with a low metric and by devices that are no provider's, prevail over ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yield {
    /// all except those that a management port may have
    Auto,
    /// all
    All,
    /// none
    None,
}

/// What a provider's connections do while it is usable and another leads. When it is not usable, they are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// what their routes do: nothing is marked or handed over
    Off,
    /// they stay until they end
    Stay,
    /// they stay for this long
    AtMost(Duration),
    /// they are handed over at once
    Follow,
}

/// What happens to packets of the LAN that leave by a provider, but have an IPv6 source that is another provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignIpv6 {
    /// they get an address of the provider
    Masquerade,
    /// nothing
    Off,
}

/// What a clean stop leaves in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// none of our routes and rules
    Restore,
    /// all of our routes and rules
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
    /// its name
    pub id: Name,
    /// its permanent number, see [`Slot`]
    pub slot: Slot,
    /// whether it is managed at all
    pub enabled: bool,
    /// its device in each family, by any of its names; empty if netifd's interfaces determine it
    pub device: PerFamily<GivenDevice>,
    /// netifd's logical interfaces, if given instead of a device
    pub interfaces: Vec<InterfaceName, INTERFACES_MAX>,
    /// its own address, if configured; else it is learned
    pub address: PerFamily<Option<IpAddr>>,
    /// its gateway, if configured; else it is learned
    pub gateway: PerFamily<Option<IpAddr>>,
    /// its connected prefix, if configured; else it is learned
    pub network: PerFamily<Option<Prefix>>,
    /// its policy table
    pub rt_table: RtTable,
    /// the firewall mark that steers traffic to it
    pub mark: Option<Mark>,
    /// what its connections do when another leads
    pub connections: Connections,
    /// whether IPv4 that is not the router's own is masqueraded when it leaves by it
    pub masquerade: bool,
    /// whether its resolvers are asked through it
    pub dns_route: bool,
    /// its `rank`, or else its position among the providers of the file, from 1. Providers are sorted by it; a given rank
    /// precedes an equal position
    pub rank: u32,
    /// its checks: bit i is `Config::checks[i]`
    pub checks: u32,
    /// when to probe and how to judge
    pub timing: Timing,
    /// whether its line is billed by volume (profile `metered`): it takes no traffic that another can carry
    pub metered: bool,
}

/// A provider's own routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtTable {
    /// [`crate::types::POLICY_TABLE_FIRST`] + slot, or the next one that no other program uses
    Auto,
    /// none
    None,
    /// this one
    Id(u32),
}

/// What is probed through a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// its name
    pub name: Name,
    /// its type, with the type's options
    pub kind: CheckKind,
    /// the target as written in the file; empty if an `exec` check has none
    pub target: String<TARGET_MAX>,
    /// the family it belongs to
    pub family: Family,
    /// its `interval`, if given; else see `Check::interval_in`
    pub interval: Option<Duration>,
    /// whether it must succeed, whatever the quorum
    pub required: bool,
}

impl Check {
    /// Whether its answers tell that the line works, and not only the link to the gateway.
    pub(crate) fn tells_of_line(&self) -> bool {
        !matches!(self.kind.way(), Way::Link(_))
    }

    /// The host that it asks, where that is known by its address: of a name, the resolver.
    pub fn asked(&self) -> Option<IpAddr> {
        match self.kind.way() {
            Way::Link(neighbour) => neighbour,
            _ => self.kind.host(),
        }
    }

    /// Whether it needs a session with a server.
    pub(crate) fn needs_session(&self) -> bool {
        matches!(self.kind.way(), Way::Session)
    }

    /// Whether it needs a command.
    pub(crate) fn needs_command(&self) -> bool {
        matches!(self.kind.way(), Way::Run(_))
    }

    /// Its interval on a path with this much time between rounds; zero: once per round.
    pub(crate) fn interval_in(&self, rounds: Duration) -> Duration {
        self.interval.unwrap_or_else(|| {
            let Pace { least, rounds: of } = self.kind.pace();
            let own = least.max(rounds * of);
            if own > rounds { own } else { Duration::ZERO }
        })
    }
}

impl Provider {
    /// Whether everything is the same that its probes and its verdict may depend on.
    pub(crate) fn is_like(&self, other: &Provider) -> bool {
        let Provider {
            id,
            slot,
            enabled,
            device,
            interfaces,
            address,
            gateway,
            network,
            rt_table,
            mark,
            timing,
            connections: _,
            masquerade: _,
            dns_route: _,
            rank: _,
            checks: _,
            metered: _,
        } = self;
        *id == other.id
            && *slot == other.slot
            && *enabled == other.enabled
            && *device == other.device
            && *interfaces == other.interfaces
            && *address == other.address
            && *gateway == other.gateway
            && *network == other.network
            && *rt_table == other.rt_table
            && *mark == other.mark
            && *timing == other.timing
    }
}

impl Config {
    /// All zero bytes, for a static; not valid until [`load()`] has filled it.
    pub const fn new() -> Config {
        Config {
            globals: Globals::EMPTY,
            providers: Vec::new(),
            checks: Vec::new(),
            prefixes: Vec::new(),
            dns: Vec::new(),
        }
    }

    /// Takes the content of another configuration, in parts: a whole one is too large for the stack.
    pub fn take(&mut self, other: &mut Config) {
        core::mem::swap(&mut self.globals, &mut other.globals);
        self.providers.clear();
        self.providers.extend(other.providers.drain(..));
        self.checks.clear();
        self.checks.extend(other.checks.drain(..));
        self.clear_lists();
        let _ = self.prefixes.extend_from_slice(&other.prefixes); // as much room as there
        let _ = self.dns.extend_from_slice(&other.dns);
    }

    /// Writes nothing where there are none, so that their memory is not touched.
    fn clear_lists(&mut self) {
        if !self.prefixes.is_empty() {
            self.prefixes.clear();
        }
        if !self.dns.is_empty() {
            self.dns.clear();
        }
    }

    /// Gives every provider its slot: the one that its id had before, if there is a mark for it, or else the lowest free one.
    pub fn assign_slots(&mut self, previous: &dyn Fn(&str) -> Option<Slot>) {
        let marks = usize::try_from(self.globals.mark_mask.slots()).unwrap_or(PROVIDERS_MAX);
        let most = marks.max(self.providers.len()).min(PROVIDERS_MAX);
        let mut now = [Slot(0); PROVIDERS_MAX]; // by the slot before
        let mut used = [false; PROVIDERS_MAX]; // by slot
        let mut kept = [false; PROVIDERS_MAX]; // by provider
        let mut give = |provider: &mut Provider, slot: Slot| {
            if let Some(now) = now.get_mut(usize::from(provider.slot.0)) {
                *now = slot;
            }
            provider.slot = slot;
        };
        for (provider, kept) in self.providers.iter_mut().zip(&mut kept) {
            if let Some(slot) = previous(&provider.id)
                && let Some(used @ false) = used[..most].get_mut(usize::from(slot.0))
            {
                give(provider, slot);
                *used = true;
                *kept = true;
            }
        }
        let mut free = (0..).map(Slot).zip(&used).filter(|(_, used)| !**used);
        for (provider, kept) in self.providers.iter_mut().zip(kept) {
            if !kept && let Some((slot, _)) = free.next() {
                give(provider, slot);
            }
        }
        let prefixes = self.prefixes.iter_mut().map(|(slot, _)| slot);
        for slot in prefixes.chain(self.dns.iter_mut().map(|(slot, _)| slot)) {
            *slot = now.get(usize::from(slot.0)).copied().unwrap_or(*slot);
        }
    }

    /// A provider's delegated prefixes that are configured.
    pub fn prefixes_of(&self, provider: &Provider) -> &[(Slot, Prefix)] {
        prefixes_of(&self.prefixes, provider.slot)
    }

    /// A provider's resolvers that are configured.
    pub fn dns_of(&self, provider: &Provider) -> impl Iterator<Item = IpAddr> + '_ {
        let slot = provider.slot;
        let all = self.dns.iter().filter(move |(of, _)| *of == slot);
        all.map(|(_, resolver)| *resolver)
    }

    /// Whether a host is the target of a check.
    pub(crate) fn is_target(&self, host: IpAddr) -> bool {
        let mut checks = self.checks.iter();
        checks.any(|check| check.target.parse() == Ok(host))
    }

    /// Not inlined: where the list ends is a multiplication by a constant, which takes ten instructions on MIPS.
    #[inline(never)]
    fn all(&self) -> Iter<'_, Provider> {
        self.providers.iter()
    }

    /// The provider with an id.
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.all().find(|p| p.id == id)
    }

    /// The provider with a slot.
    pub fn at(&self, slot: Slot) -> Option<&Provider> {
        self.all().find(|p| p.slot == slot)
    }

    /// The enabled providers, best rank first.
    pub fn enabled(&self) -> impl Iterator<Item = &Provider> {
        self.all().filter(|p| p.enabled)
    }

    /// The bit of one of these checks in `Provider::checks`; 0 for another.
    pub fn bit_of(&self, check: &Check) -> u32 {
        let mut checks = self.checks.iter();
        let number = checks.position(|other| core::ptr::eq(other, check));
        number.map_or(0, |number| 1 << number)
    }

    /// A provider's checks, in the file's order.
    pub(crate) fn checks_of<'a>(&'a self, provider: &Provider) -> impl Iterator<Item = &'a Check> {
        let chosen = provider.checks;
        let checks = self.checks.iter().enumerate();
        checks.filter_map(move |(i, check)| (chosen & (1 << i) != 0).then_some(check))
    }

    /// A path's checks, in the file's order; a path numbers its checks by their place here, from 0.
    pub fn path_checks<'a>(
        &'a self,
        provider: &'a Provider,
        family: Family,
    ) -> impl Iterator<Item = &'a Check> {
        self.checks_of(provider)
            .filter(move |check| check.family == family)
    }

    /// The families in which an enabled provider has a check that `counts` selects.
    pub fn asking_families<'a>(
        &'a self,
        provider: &'a Provider,
        counts: &'a dyn Fn(&Check) -> bool,
    ) -> impl Iterator<Item = Family> + 'a {
        Family::ALL
            .into_iter()
            .filter(move |family| self.path_checks(provider, *family).any(counts))
    }

    /// Whether any enabled provider has a check in this family. Other families are not managed.
    pub(crate) fn manages(&self, family: Family) -> bool {
        self.enabled()
            .any(|p| self.path_checks(p, family).next().is_some())
    }
}
