//! What concerns us, and so has room in the mirror before anything else.

use core::net::IpAddr;

use heapless::{Vec, VecView};

use super::{Kinds, family, is_default};
use crate::limits::{CATCH_ALL_MAX, LEADING_MAX, PATHS_MAX, PROVIDERS_MAX};
use crate::routing::objects::{
    Address, Link, NameHash, Route, RouteKind, Rule, RuleVerdict, Selector,
};
use crate::types::{
    Family, GivenDevice, Metric, POLICY_TABLE_FIRST, PROTOCOL, Prefix, TABLE_MAIN, network_of,
};

/// What concerns us, named by the configuration, by netifd, or by an uplink.
#[derive(Clone, Debug, PartialEq)]
pub enum Named {
    /// a table of ours, besides the automatic policy tables
    Table(u32),
    /// a provider's device, by any of its names
    Device(GivenDevice),
    /// a provider's own address, configured or in use
    Address(IpAddr),
    /// a prefix to take an own address from, whatever device has it
    Prefix(Prefix),
    /// the preference of the rule that leads to our choice among providers: rules behind it have no effect
    CatchAll(u32),
}

/// Tells another each thing that is named: a table of each slot and one more, and one of the others of each path, at most.
pub type EachNamed<'a> = dyn Fn(&mut dyn FnMut(Named)) + 'a;

/// All that is named. All zero bytes when new.
#[derive(Debug)]
#[repr(C)] // what is small stands at the beginning of a list
pub(crate) struct Interest {
    /// there are more such devices than there is room for in `leading`
    leads_more: bool,
    /// all rules concern us from this far before [`CATCH_ALL_MAX`] on
    before_last: u32,
    tables: Vec<u32, { PROVIDERS_MAX + 1 }>,
    /// the numbers of `devices`, as far as they exist
    numbers: Vec<u32, PATHS_MAX>,
    devices: Vec<NameHash, PATHS_MAX>,
    /// the numbers of the devices by which default routes of others lead in `main` or in a table of ours
    leading: Vec<u32, LEADING_MAX>,
    addresses: Vec<IpAddr, PATHS_MAX>,
    /// the networks of `numbers`
    networks: Vec<Prefix, PATHS_MAX>,
    /// mostly none: its page of memory is not touched then
    prefixes: Vec<Prefix, PATHS_MAX>,
}

/// How much a thing concerns us. A higher class takes the room of a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// it belongs to others, and is left out
    Other,
    /// it tells of an uplink, or stands in a table of ours
    Concerns,
    /// it is ours, or an uplink depends on it
    Ours,
}

/// A thing that the mirror has only so much room for.
pub(crate) trait Watched: PartialEq {
    /// Whether there are any that are akin.
    const CROWDS: bool = false;

    /// its kind: one of [`Kinds::EACH`]
    fn kind(&self) -> Kinds;

    fn class(&self, interest: &Interest) -> Class;

    /// Whether both have one identity in the kernel.
    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    /// Whether the best few that are akin are enough, however much room there is.
    fn few_suffice(&self, _: &Interest) -> bool {
        false
    }

    /// Whether both, of class [`Class::Concerns`], tell of the same uplink: the best few are enough.
    fn is_akin(&self, _: &Self, _: &Interest) -> bool {
        false
    }

    /// Whether it tells more of the uplink than another that is akin.
    fn is_better(&self, _: &Self) -> bool {
        false
    }

    /// Whether it makes a difference which of the two comes first.
    fn has_order_with(&self, _: &Self) -> bool {
        false
    }
}

impl Interest {
    pub(crate) const fn new() -> Interest {
        Interest {
            tables: Vec::new(),
            numbers: Vec::new(),
            devices: Vec::new(),
            leading: Vec::new(),
            addresses: Vec::new(),
            networks: Vec::new(),
            prefixes: Vec::new(),
            leads_more: false,
            before_last: 0,
        }
    }

    /// Take over what is named now; whether there was anything new but addresses. Writes only if something differs.
    pub(crate) fn take_over(&mut self, each: &EachNamed<'_>) -> bool {
        let (mut at, mut addresses_at, mut changed) = ([0; 3], 0, false);
        each(&mut |named| match named {
            Named::Table(table) => changed |= put(&mut self.tables, &mut at[0], table),
            Named::Device(device) => {
                changed |= put(&mut self.devices, &mut at[1], NameHash::of(&device));
            }
            Named::Prefix(prefix) => changed |= put(&mut self.prefixes, &mut at[2], prefix),
            Named::CatchAll(preference) => {
                let before_last = CATCH_ALL_MAX.saturating_sub(preference);
                changed |= core::mem::replace(&mut self.before_last, before_last) != before_last;
            }
            Named::Address(own) => {
                put(&mut self.addresses, &mut addresses_at, own);
            }
        });
        end(&mut self.addresses, addresses_at);
        changed |= end(&mut self.tables, at[0]);
        changed |= end(&mut self.devices, at[1]);
        changed | end(&mut self.prefixes, at[2])
    }

    /// Name an address besides.
    pub(crate) fn name_address(&mut self, own: Option<IpAddr>) {
        self.addresses
            .extend(own.filter(|_| !self.addresses.is_full()));
    }

    /// Whether nothing is named. Then nothing is left out.
    pub(crate) fn is_general(&self) -> bool {
        self.tables.is_empty() && self.devices.is_empty() && self.prefixes.is_empty()
    }

    /// A device has come, or has got another name; whether it is one of ours now, and was not before.
    pub(crate) fn note(&mut self, link: &Link) -> bool {
        let known = self.numbers.contains(&link.index);
        let named = self.names(link);
        if known && !named {
            keep(&mut self.numbers, &|number| number != link.index);
        } else if named && !known {
            // As many as there are names, and a few that are about to go.
            let _ = self.numbers.push(link.index);
        }
        named && !known
    }

    /// Whether a device is one of those named.
    fn names(&self, link: &Link) -> bool {
        let mut names = link.altnames.iter().copied();
        let named = |name| self.devices.contains(&name);
        named(NameHash::of(&link.name)) || names.any(named)
    }

    /// An address has come; whether it is one of ours in a network that was not known, where others may have some, too.
    /// `may_forget`: a dump is to tell all networks anew when there is no room for it.
    pub(crate) fn note_address(&mut self, address: &Address, may_forget: bool) -> bool {
        let network = network_of(address.prefix);
        let own = address.ip();
        let length = network.prefix_len();
        let is_one = length == 0 || length == if own.is_ipv4() { 32 } else { 128 };
        let is_near = matches!(own, IpAddr::V6(own) if own.is_unicast_link_local());
        let new = !is_one && !is_near && !self.networks.contains(&network);
        if !new || !self.has_device(address.device) {
            return false;
        }
        if may_forget && self.networks.is_full() {
            self.networks.clear();
        }
        self.networks.push(network).is_ok()
    }

    /// The smallest network of ours that an address of another device is in. That one is there says all: a few of each such
    /// network are enough.
    fn neighbourhood(&self, address: &Address) -> Option<&Prefix> {
        let own = address.prefix.address();
        let contains = |prefix: &&Prefix| prefix.contains_addr(&own);
        if self.is_near(address) || self.prefixes.iter().any(|prefix| contains(&prefix)) {
            return None;
        }
        let networks = self.networks.iter().filter(contains);
        networks.max_by_key(|network| network.prefix_len())
    }

    /// Whether it is an address of a provider's device.
    pub(crate) fn is_near(&self, address: &Address) -> bool {
        self.has_device(address.device)
    }

    /// A route has come; whether it leads by a device that was of no interest before. `leads`: whether any does by this one.
    pub(crate) fn note_route(&mut self, route: &Route, leads: &dyn Fn(u32) -> bool) -> bool {
        if !self.is_unnoted(route) {
            return false;
        }
        if self.leading.is_full() {
            keep(&mut self.leading, leads);
        }
        let has_room = self.leading.push(route.device).is_ok();
        self.leads_more |= !has_room;
        has_room
    }

    /// Whether a default route that may win over ours leads by a device that is not held.
    fn is_unnoted(&self, route: &Route) -> bool {
        let known = self.has_device(route.device) || self.leading.contains(&route.device);
        let wins =
            is_default(route) && route.protocol != PROTOCOL && self.is_looked_up(route.table);
        wins && !known && route.device != 0
    }

    /// How many of these routes lead by a device for which there was no room.
    pub(crate) fn unnoted(&self, routes: &[Route]) -> usize {
        let unnoted = routes.iter().filter(|route| self.is_unnoted(route));
        if self.leads_more { unnoted.count() } else { 0 }
    }

    /// These are all routes that are held: notes those that there was no room for, as far as there is some now. Whether there
    /// was room for any.
    pub(crate) fn note_unnoted(&mut self, routes: &[Route]) -> bool {
        if !core::mem::take(&mut self.leads_more) {
            return false;
        }
        let leads = |device| routes.iter().any(|route| route.device == device);
        keep(&mut self.leading, &leads);
        let before = self.leading.len();
        for route in routes {
            let lacks_room = self.is_unnoted(route) && self.leading.push(route.device).is_err();
            self.leads_more |= lacks_room;
        }
        self.leading.len() > before
    }

    /// These are all devices that there are.
    pub(crate) fn note_all(&mut self, links: &[Link]) {
        let is_there = |number| links.iter().any(|link| link.index == number);
        keep(&mut self.numbers, &is_there);
        for link in links {
            self.note(link);
        }
    }

    /// A device is gone.
    pub(crate) fn forget(&mut self, index: u32) {
        keep(&mut self.numbers, &|number| number != index);
        keep(&mut self.leading, &|number| number != index);
    }

    /// The preference from which on all rules concern us.
    fn catch_all(&self) -> u32 {
        CATCH_ALL_MAX - self.before_last
    }

    fn has_table(&self, table: u32) -> bool {
        is_policy_table(table) || self.tables.contains(&table)
    }

    /// Whether a default route of others in this table may win over ours.
    fn is_looked_up(&self, table: u32) -> bool {
        table == TABLE_MAIN || self.tables.contains(&table)
    }

    pub(crate) fn has_device(&self, index: u32) -> bool {
        self.numbers.contains(&index)
    }

    /// The table of ours that a route stands in; 0 for all others, and for `main`, where routes tell of uplinks.
    fn place(&self, route: &Route) -> u32 {
        match route.table {
            table if table != TABLE_MAIN && self.has_table(table) => table,
            _ => 0,
        }
    }
}

/// Keeps some of these numbers of devices. Writes only if one goes.
fn keep(numbers: &mut VecView<u32>, kept: &dyn Fn(u32) -> bool) {
    if !numbers.iter().all(|number| kept(*number)) {
        numbers.retain(|number| kept(*number));
    }
}

/// Makes this the next one in a list. Whether it was not.
fn put<T: PartialEq>(list: &mut VecView<T>, at: &mut usize, this: T) -> bool {
    let changed = list.get(*at) != Some(&this);
    if changed {
        list.truncate(*at);
        let _ = list.push(this); // there is room for as many as there may be
    }
    *at += 1;
    changed
}

/// Makes a list end here. Whether it went on.
fn end<T>(list: &mut VecView<T>, at: usize) -> bool {
    let goes_on = list.len() > at;
    if goes_on {
        list.truncate(at);
    }
    goes_on
}

/// Whether this is one of the automatic policy tables.
pub(crate) fn is_policy_table(table: u32) -> bool {
    let number = table.checked_sub(POLICY_TABLE_FIRST);
    number.is_some_and(|number| usize::try_from(number).is_ok_and(|number| number < PATHS_MAX))
}

/// Whether this may become a policy table, unless others use it: the automatic ones, and some that stand in for them.
fn may_be_policy_table(table: u32) -> bool {
    let number = table.checked_sub(POLICY_TABLE_FIRST);
    number.is_some_and(|number| usize::try_from(number).is_ok_and(|number| number < 2 * PATHS_MAX))
}

/// The order of foreign default routes by what they tell of their device's uplink: the best is the least. Of equal ones it
/// is the one that the kernel shows first.
pub(crate) fn preference(route: &Route) -> (bool, Metric, u8, u32) {
    let elsewhere = route.table != TABLE_MAIN;
    (elsewhere, route.metric, route.extras.order(), route.table)
}

impl Watched for Link {
    fn kind(&self) -> Kinds {
        Kinds::LINKS
    }

    fn class(&self, interest: &Interest) -> Class {
        if interest.names(self) {
            Class::Ours
        } else if interest.leading.contains(&self.index) {
            Class::Concerns
        } else {
            Class::Other
        }
    }

    fn is_same(&self, other: &Link) -> bool {
        self.index == other.index
    }
}

impl Watched for Address {
    const CROWDS: bool = true;

    fn kind(&self) -> Kinds {
        Kinds::ADDRESSES
    }

    fn class(&self, interest: &Interest) -> Class {
        let own = self.ip();
        let near = interest.is_near(self);
        let contains = |prefix: &Prefix| prefix.contains_addr(&own.into());
        let mut prefixes = interest.prefixes.iter().chain(&interest.networks);
        if interest.addresses.contains(&own) {
            Class::Ours
        } else if near || prefixes.any(contains) {
            Class::Concerns
        } else {
            Class::Other
        }
    }

    /// What the kernel tells addresses apart by: in IPv6 the address alone, in IPv4 also its length and peer.
    fn is_same(&self, other: &Address) -> bool {
        self.device == other.device
            && self.prefix.address() == other.prefix.address()
            && (self.family() == Family::V6
                || (self.prefix == other.prefix && self.peer == other.peer))
    }

    fn few_suffice(&self, interest: &Interest) -> bool {
        interest.neighbourhood(self).is_some()
    }

    fn is_akin(&self, other: &Address, interest: &Interest) -> bool {
        let networks = [self, other].map(|address| interest.neighbourhood(address));
        match networks {
            [None, None] => self.device == other.device && self.family() == other.family(),
            [one, other] => one == other,
        }
    }

    /// The wider network is more likely to hold a gateway.
    fn is_better(&self, other: &Address) -> bool {
        let order = |address: &Address| {
            let worse = [
                address.near.into(),
                address.state as u8,
                address.secondary.into(),
                address.prefix.prefix_len(),
            ];
            (u32::from_be_bytes(worse), address.ip())
        };
        order(self) < order(other)
    }
}

impl Watched for Route {
    const CROWDS: bool = true;

    fn kind(&self) -> Kinds {
        Kinds::routes(family(self))
    }

    fn class(&self, interest: &Interest) -> Class {
        let leads = || self.is_way() && interest.has_device(self.device);
        let tells = || interest.is_looked_up(self.table) || may_be_policy_table(self.table);
        if self.protocol == PROTOCOL {
            Class::Ours
        } else if is_default(self) && (leads() || self.kind != RouteKind::Hop && tells()) {
            Class::Concerns
        } else {
            Class::Other
        }
    }

    /// In a table of others it is of interest only where it tells the gateway of a device.
    fn few_suffice(&self, interest: &Interest) -> bool {
        let elsewhere = !interest.is_looked_up(self.table) && !may_be_policy_table(self.table);
        elsewhere && self.protocol != PROTOCOL
    }

    fn is_akin(&self, other: &Route, interest: &Interest) -> bool {
        let of = |route: &Route| (family(route), route.device, interest.place(route));
        let foreign = self.protocol != PROTOCOL && other.protocol != PROTOCOL;
        foreign && of(self) == of(other)
    }

    fn is_better(&self, other: &Route) -> bool {
        preference(self) < preference(other)
    }

    fn has_order_with(&self, other: &Route) -> bool {
        is_default(self) && self.is_beside(other) && self.metric == other.metric
    }
}

impl Watched for Rule {
    fn kind(&self) -> Kinds {
        Kinds::RULES
    }

    /// Of others', those for all packets, those from our `goto` on, and those that refuse what is marked (mwan3's).
    fn class(&self, interest: &Interest) -> Class {
        let refuses = self.verdict == RuleVerdict::Unreachable;
        match self.selector {
            _ if self.protocol == PROTOCOL => Class::Ours,
            Selector::All => Class::Concerns,
            Selector::Mark(_) if refuses => Class::Concerns,
            _ if self.pref >= interest.catch_all() => Class::Concerns,
            _ => Class::Other,
        }
    }

    /// The kernel asks rules of one preference in the order in which they came.
    fn has_order_with(&self, other: &Rule) -> bool {
        (self.family, self.pref) == (other.family, other.pref)
    }
}
