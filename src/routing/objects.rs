//! What the kernel has, as we see it: links, addresses, routes, rules. And the changes we ask it for.

use core::fmt;
use core::net::IpAddr;

use heapless::Vec;

use crate::limits::{ALTNAMES_MAX, EXTRAS_BYTES_MAX};
use crate::text::text;
use crate::types::{DeviceName, Family, Mark, Metric, Ours, PROTOCOL, Prefix, address_in};

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// its number
    pub index: u32,
    /// its name
    pub name: DeviceName,
    /// its alternative names
    pub altnames: Vec<NameHash, ALTNAMES_MAX>,
    /// `IFF_UP`: not administratively down
    pub up: bool,
    /// `IFF_LOWER_UP`: the cable is in
    pub carrier: bool,
    /// `IFF_POINTOPOINT`: needs no gateway
    pub point_to_point: bool,
    /// `ARPHRD_ETHER`: Ethernet, or as if it were
    pub ethernet: bool,
}

impl Link {
    /// Whether this is its name, or one of its alternative names. No other device has it then: the kernel sees to that.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.altnames.contains(&NameHash::of(name))
    }
}

/// Stands for a device's name where the name itself is too long to be held (32-bit FNV-1a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameHash(u32);

impl NameHash {
    /// That of a name.
    pub fn of(name: &str) -> NameHash {
        NameHash(name.bytes().fold(0x811c_9dc5, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        }))
    }
}

/// An address of ours on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// the device's number
    pub device: u32,
    /// the address with its prefix length
    pub prefix: Prefix,
    /// the other end, on a point-to-point device (then the connected prefix is the peer's)
    pub peer: Option<IpAddr>,
    /// of link or host scope
    pub near: bool,
    /// whether it is fit to be a source
    pub state: AddressState,
    /// `IFA_F_SECONDARY`, which in IPv6 means temporary: others are preferred
    pub secondary: bool,
}

impl Address {
    /// It, without its prefix length.
    pub fn ip(&self) -> IpAddr {
        address_in(&self.prefix)
    }

    /// Whether this is it.
    #[inline(never)] // one for all callers
    pub fn is(&self, ip: &IpAddr) -> bool {
        self.ip() == *ip
    }

    /// Its family.
    pub fn family(&self) -> Family {
        Family::of_prefix(&self.prefix)
    }

    /// Whether a socket can be bound to it.
    pub fn is_usable(&self) -> bool {
        self.state <= AddressState::Deprecated
    }

    /// Whether it is an IPv6 one of the Internet.
    pub fn is_global(&self) -> bool {
        !self.near && matches!(self.ip(), IpAddr::V6(v6) if !v6.is_unique_local())
    }
}

/// Whether an address is fit to be a source: the best is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressState {
    /// it is (in IPv6 also while it is optimistic)
    Preferred,
    /// it is, but others are preferred: its preferred lifetime has ended (`IFA_F_DEPRECATED`)
    Deprecated,
    /// it is not yet: duplicate address detection is running
    Tentative,
    /// another host on the link has it (`IFA_F_DADFAILED`)
    Duplicate,
    /// the same, and as it has a lifetime, the kernel has deleted it
    Withdrawn,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// its table
    pub table: u32,
    /// where it leads; a default route is 0.0.0.0/0 or ::/0
    pub destination: Prefix,
    /// its metric
    pub metric: Metric,
    /// who made it: `RTPROT_*`, ours is [`crate::types::PROTOCOL`]
    pub protocol: u8,
    /// what it does
    pub kind: RouteKind,
    /// the device's number; 0 when it has none, or several (but see [`Route::is_joined`])
    pub device: u32,
    /// its gateway; none on the link itself
    pub gateway: Option<IpAddr>,
    /// the preferred source address (`RTA_PREFSRC`)
    pub source: Option<IpAddr>,
    /// `RTNH_F_ONLINK`: the gateway need not be in a connected network
    pub onlink: bool,
    /// IPv6: only for packets from this prefix (`RTA_SRC`)
    pub from: Option<Prefix>,
    /// what it carries besides
    pub extras: Extras,
}

/// What a route carries besides its way. Two routes of one mirror carry the same if and only if these are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// the number that the mirror has given to the [`Attributes`]; 0: there are none
    pub number: u8,
    /// IPv6: the router preference as `RTA_PREF` has it (RFC 4191 section 2.1): 0 medium, 1 high, 3 low
    pub preference: u8,
}

impl Extras {
    /// The number of attributes that there is no room for.
    pub const LEFT_OUT: u8 = u8::MAX;

    /// What ours carry, where the learned route carries this.
    #[must_use]
    pub fn copied(self) -> Extras {
        match self.number {
            Extras::LEFT_OUT => Extras { number: 0, ..self },
            _ => self,
        }
    }

    /// The order by router preference: high, medium, low.
    pub fn order(self) -> u8 {
        match self.preference {
            1 => 0,
            3 => 2,
            _ => 1,
        }
    }
}

/// The attributes of a route that are copied as they are: `RTA_METRICS`, `RTA_FLOW`, `RTA_ENCAP_TYPE` and `RTA_ENCAP`, each
/// with its header (`struct rtattr`, linux/rtnetlink.h).
pub type Attributes = Vec<u8, EXTRAS_BYTES_MAX>;

impl Route {
    /// Whether both are for one destination, in one table.
    pub(super) fn is_beside(&self, other: &Route) -> bool {
        self.table == other.table && self.destination == other.destination
    }

    /// Whether the kernel holds these for one another's successor: table, destination and metric are a route's key, and in
    /// IPv6 the prefix it is for.
    pub(super) fn has_key_of(&self, other: &Route) -> bool {
        self.is_beside(other) && self.metric == other.metric && self.from == other.from
    }

    /// Whether it leads by the one device that it names.
    pub(super) fn is_way(&self) -> bool {
        matches!(self.kind, RouteKind::Unicast | RouteKind::Hop)
    }

    /// Whether the ways that it leads by are routes of their own in the mirror, of kind [`RouteKind::Hop`].
    pub(super) fn has_hops(&self) -> bool {
        matches!(self.kind, RouteKind::Multipath | RouteKind::Nexthop(_))
    }

    /// Whether it is an IPv6 route of ours that others have joined (`ip -6 route append` does it): the kernel holds each
    /// way for a route, and shows them as one. Device and gateway are those of our way, which alone may be deleted; to
    /// replace it would replace all.
    pub fn is_joined(&self) -> bool {
        self.kind == RouteKind::Multipath && self.gateway.is_some()
    }
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// leads somewhere by one way
    Unicast,
    /// leads somewhere by several ways (`RTA_MULTIPATH`)
    Multipath,
    /// leads somewhere by the ways of the nexthop object of this number, which tells them only when asked
    Nexthop(u32),
    /// one way of a route that is of one of the two kinds before: it tells of an uplink, and is no route in the kernel
    Hop,
    /// ends the look-up in its table: the next rule is asked (`throw`)
    Throw,
    /// refuses, or does something else that is not leading
    Other,
}

impl RouteKind {
    /// Whether packets go somewhere by such a route.
    pub fn leads(self) -> bool {
        !matches!(self, RouteKind::Throw | RouteKind::Other)
    }
}

/// A policy rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// its family
    pub family: Family,
    /// its preference: lower ones are asked first
    pub pref: u32,
    /// who made it (`FRA_PROTOCOL`)
    pub protocol: u8,
    /// which packets it is for
    pub selector: Selector,
    /// what happens to them
    pub verdict: RuleVerdict,
}

impl Rule {
    /// Whether it does this to all packets.
    pub(super) fn is_for_all(&self, verdict: RuleVerdict) -> bool {
        matches!(self.selector, Selector::All) && self.verdict == verdict
    }

    /// Whether it is another program's, in this family.
    pub(super) fn is_foreign(&self, family: Family) -> bool {
        self.family == family && self.protocol != PROTOCOL
    }
}

/// Which packets a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// all
    All,
    /// those with this firewall mark
    Mark(Mark),
    /// those from this address or prefix
    From(Prefix),
    /// the router's own packets (`iif lo`) from this address or prefix
    OwnFrom(Prefix),
    /// the router's own packets to this address
    OwnTo(Prefix),
    /// those of a socket bound to this device
    Oif(DeviceName),
    /// a selection that we never make
    Foreign,
}

/// What happens to the packets of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleVerdict {
    /// look the route up in this table
    Lookup(u32),
    /// the same, but default routes there do not count (`suppress_prefixlength 0`)
    LookupSpecific(u32),
    /// go on at the first rule of this preference; while there is none, at the next rule
    Goto(u32),
    /// refuse
    Unreachable,
    /// something that we never ask for
    Foreign,
}

/// One change that we ask the kernel for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add the route, or replace the one of the same table, destination and metric in place.
    SetRoute(Route),
    /// Delete exactly this route. That it is gone already is success.
    DeleteRoute(Route),
    /// Add the rule. That it exists already is success.
    AddRule(Rule),
    /// Put a rule of ours behind all others of its preference: add it once more, then delete the first.
    MoveRule(Rule),
    /// Delete exactly this rule. That it is gone already is success.
    DeleteRule(Rule),
}

/// What it is about, not what is done to it.
impl From<&Change> for Ours {
    fn from(change: &Change) -> Ours {
        match change {
            Change::AddRule(rule) | Change::MoveRule(rule) | Change::DeleteRule(rule) => {
                Ours::Rule(rule.pref)
            }
            Change::SetRoute(route) | Change::DeleteRoute(route) => Ours::Route {
                to: (route.destination.prefix_len() != 0)
                    .then(|| text(format_args!("{}", route.destination))),
                metric: route.metric,
                table: route.table,
            },
        }
    }
}

/// As what it is about: `default route of metric 100 in table 176`, `rule 32765`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ours::from(self).fmt(f)
    }
}
