//! What concerns us, and so has room in the mirror before anything else.

use core::net::IpAddr;

use heapless::Vec;

use super::{Kinds, family, is_default};
use crate::limits::{PATHS_MAX, PROVIDERS_MAX};
use crate::routing::objects::{Address, Link, Route, RouteKind, Rule};
use crate::types::{DeviceName, Family, Metric, POLICY_TABLE_FIRST, PROTOCOL, Prefix, TABLE_MAIN};

/// What concerns us, named by the configuration, by netifd, or by an uplink.
#[derive(Clone, Debug, PartialEq)]
pub enum Named {
    /// a table of ours, besides the automatic policy tables
    Table(u32),
    /// a provider's device
    Device(DeviceName),
    /// a provider's own address, configured or in use
    Address(IpAddr),
    /// a prefix to take an own address from, whatever device has it
    Prefix(Prefix),
}

/// Tells another each thing that is named: a table of each slot and one more, and one of the others of each path, at most.
pub type EachNamed<'a> = dyn Fn(&mut dyn FnMut(Named)) + 'a;

/// All that is named. All zero bytes when new.
#[derive(Debug)]
#[repr(C)] // what is small stands at the beginning of a list
pub(crate) struct Interest {
    tables: Vec<u32, { PROVIDERS_MAX + 1 }>,
    /// the numbers of `devices`, as far as they exist
    numbers: Vec<u32, PATHS_MAX>,
    addresses: Vec<IpAddr, PATHS_MAX>,
    devices: Vec<DeviceName, PATHS_MAX>,
    prefixes: Vec<Prefix, PATHS_MAX>,
}

/// How much a thing concerns us. A higher class takes the room of a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// it belongs to others
    Other,
    /// it tells of an uplink, or stands in a table of ours
    Concerns,
    /// it is ours, or an uplink depends on it
    Ours,
}

/// A thing that the mirror has only so much room for.
pub(crate) trait Watched: PartialEq {
    /// its kind: one of [`Kinds::EACH`]
    fn kind(&self) -> Kinds;

    fn class(&self, interest: &Interest) -> Class;

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
            addresses: Vec::new(),
            prefixes: Vec::new(),
        }
    }

    /// Take over what is named now; whether there was anything new but addresses. Writes only if something differs.
    pub(crate) fn take_over(&mut self, each: &EachNamed<'_>) -> bool {
        let (mut at, mut addresses_at) = ([0; 3], 0);
        let (mut same, mut same_addresses) = (true, true);
        each(&mut |named| match named {
            Named::Table(table) => same &= is_next(&self.tables, &mut at[0], &table),
            Named::Device(device) => same &= is_next(&self.devices, &mut at[1], &device),
            Named::Prefix(prefix) => same &= is_next(&self.prefixes, &mut at[2], &prefix),
            Named::Address(own) => {
                same_addresses &= is_next(&self.addresses, &mut addresses_at, &own);
            }
        });
        same &= at == [self.tables.len(), self.devices.len(), self.prefixes.len()];
        same_addresses &= addresses_at == self.addresses.len();
        if !same || !same_addresses {
            self.fill(each);
        }
        !same
    }

    fn fill(&mut self, each: &EachNamed<'_>) {
        self.tables.clear();
        self.addresses.clear();
        self.devices.clear();
        self.prefixes.clear();
        // There is room for as many as there may be.
        each(&mut |named| match named {
            Named::Table(table) => drop(self.tables.push(table)),
            Named::Device(device) => drop(self.devices.push(device)),
            Named::Address(own) => drop(self.addresses.push(own)),
            Named::Prefix(prefix) => drop(self.prefixes.push(prefix)),
        });
    }

    /// A device has come, or has got another name.
    pub(crate) fn note(&mut self, link: &Link) {
        self.forget(link.index);
        if self.devices.contains(&link.name) {
            // As many as there are names, and a few that are about to go.
            let _ = self.numbers.push(link.index);
        }
    }

    /// These are all devices that there are.
    pub(crate) fn note_all(&mut self, links: &[Link]) {
        self.numbers
            .retain(|number| links.iter().any(|link| link.index == *number));
        if !self.devices.is_empty() {
            links.iter().for_each(|link| self.note(link));
        }
    }

    /// A device is gone.
    pub(crate) fn forget(&mut self, index: u32) {
        if self.numbers.contains(&index) {
            self.numbers.retain(|number| *number != index);
        }
    }

    fn has_table(&self, table: u32) -> bool {
        is_policy_table(table) || self.tables.contains(&table)
    }

    fn has_device(&self, index: u32) -> bool {
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

/// Whether the next of those that are known is this.
fn is_next<T: PartialEq>(known: &[T], at: &mut usize, this: &T) -> bool {
    *at += 1;
    known.get(*at - 1) == Some(this)
}

/// Whether this is one of the automatic policy tables.
pub(crate) fn is_policy_table(table: u32) -> bool {
    let number = table.checked_sub(POLICY_TABLE_FIRST);
    number.is_some_and(|number| usize::try_from(number).is_ok_and(|number| number < PATHS_MAX))
}

/// The order of foreign default routes by what they tell of their device's uplink: the best is the least.
pub(crate) fn preference(route: &Route) -> (bool, Metric, u32, Option<IpAddr>) {
    let elsewhere = route.table != TABLE_MAIN;
    (elsewhere, route.metric, route.table, route.gateway)
}

impl Watched for Link {
    fn kind(&self) -> Kinds {
        Kinds::LINKS
    }

    fn class(&self, interest: &Interest) -> Class {
        match interest.devices.contains(&self.name) {
            true => Class::Ours,
            false => Class::Other,
        }
    }
}

impl Watched for Address {
    fn kind(&self) -> Kinds {
        Kinds::ADDRESSES
    }

    fn class(&self, interest: &Interest) -> Class {
        let own: IpAddr = self.prefix.address().into();
        let near = interest.has_device(self.device);
        let delegated = |prefix: &Prefix| prefix.contains_addr(&own.into());
        if near && interest.addresses.contains(&own) {
            Class::Ours
        } else if near || interest.prefixes.iter().any(delegated) {
            Class::Concerns
        } else {
            Class::Other
        }
    }

    fn is_akin(&self, other: &Address, _: &Interest) -> bool {
        let of = |address: &Address| Family::of(address.prefix.address().into());
        self.device == other.device && of(self) == of(other)
    }

    /// The wider network is more likely to hold a gateway.
    fn is_better(&self, other: &Address) -> bool {
        let order = |address: &Address| {
            let own: IpAddr = address.prefix.address().into();
            let length = address.prefix.prefix_len();
            (!address.usable, address.secondary, length, own)
        };
        order(self) < order(other)
    }
}

impl Watched for Route {
    fn kind(&self) -> Kinds {
        Kinds::routes(family(self))
    }

    fn class(&self, interest: &Interest) -> Class {
        let leads = || self.kind == RouteKind::Unicast && interest.has_device(self.device);
        if self.protocol == PROTOCOL {
            Class::Ours
        } else if is_default(self) && (interest.has_table(self.table) || leads()) {
            Class::Concerns
        } else {
            Class::Other
        }
    }

    fn is_akin(&self, other: &Route, interest: &Interest) -> bool {
        let of = |route: &Route| (family(route), route.device, interest.place(route));
        let foreign = self.protocol != PROTOCOL && other.protocol != PROTOCOL;
        foreign && of(self) == of(other)
    }

    fn is_better(&self, other: &Route) -> bool {
        preference(self) < preference(other)
    }
}

impl Watched for Rule {
    fn kind(&self) -> Kinds {
        Kinds::RULES
    }

    fn class(&self, _: &Interest) -> Class {
        match self.protocol {
            PROTOCOL => Class::Ours,
            _ => Class::Other,
        }
    }

    /// The kernel asks rules of one preference in the order in which they came.
    fn has_order_with(&self, other: &Rule) -> bool {
        (self.family, self.pref) == (other.family, other.pref)
    }
}
