//! One interface that is being parsed, and one item of its lists.

use core::net::IpAddr;

use heapless::Vec;

use super::place::Kind;
use super::{Interface, Sink, Unreadable, Way};
use crate::types::{DeviceName, Family, InterfaceName, PerFamily, Prefix};

/// An interface that is being parsed.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) name: InterfaceName,
    pub(super) device: DeviceName,
    pub(super) interface: Interface,
    /// The first default routes: of the main table one that is in force, and one that is not; then of other tables.
    ways: [PerFamily<Option<Way>>; 4],
    pub(super) wrong: bool,
}

/// A network, or a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) address: Option<IpAddr>,
    pub(super) mask: Option<u8>,
    pub(super) hop: Option<IpAddr>,
    pub(super) wrong_hop: bool,
    pub(super) in_table: bool,
}

impl Item {
    pub(super) const fn new() -> Item {
        Item {
            address: None,
            mask: None,
            hop: None,
            wrong_hop: false,
            in_table: false,
        }
    }
}

impl Draft {
    pub(super) const fn new() -> Draft {
        const NONE: PerFamily<Option<Way>> = PerFamily { v4: None, v6: None };
        Draft {
            name: InterfaceName::new(),
            device: DeviceName::new(),
            interface: Interface {
                up: false,
                dynamic: false,
                wireguard: false,
                device: PerFamily {
                    v4: DeviceName::new(),
                    v6: DeviceName::new(),
                },
                way: NONE,
                addressed: PerFamily {
                    v4: false,
                    v6: false,
                },
                delegated: Vec::new(),
                dns: Vec::new(),
                hosts: Vec::new(),
            },
            ways: [NONE; 4],
            wrong: false,
        }
    }

    /// Takes an item of a list of networks. None if it is no network.
    pub(super) fn network(&mut self, kind: Kind, item: &Item) -> Option<()> {
        let (address, mask) = (item.address?, item.mask?);
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if mask > longest {
            return None;
        }
        let interface = &mut self.interface;
        match kind {
            Kind::Own(family) => interface.addressed[family] = true,
            Kind::Delegated => {
                let prefix = Prefix::new(address.into(), mask);
                let _ = interface.delegated.push(prefix);
            }
        }
        Some(())
    }

    /// Takes a route; only default routes and those to hosts count. None if it is no route.
    pub(super) fn route(&mut self, in_force: bool, item: &Item) -> Option<()> {
        let (target, mask) = (item.address?, item.mask?);
        if in_force && mask == if target.is_ipv4() { 32 } else { 128 } {
            let _ = self.interface.hosts.push(target);
        }
        if mask != 0 || !target.is_unspecified() {
            return Some(());
        }
        let way = match item.hop {
            _ if item.wrong_hop => return None,
            Some(hop) if !hop.is_unspecified() => Way::Gateway(hop),
            _ => Way::Direct,
        };
        let place = 2 * usize::from(item.in_table) + usize::from(!in_force);
        self.ways[place][Family::of(target)].get_or_insert(way);
        Some(())
    }

    /// Ends the interface. Its default route is the first one of the main table, installed or not; else that of its own
    /// table (`ip4table`).
    pub(super) fn tell(&mut self, sink: Sink<'_>) {
        for family in Family::ALL {
            self.interface.device[family] = self.device.clone();
            self.interface.way[family] = self.ways.iter().find_map(|way| way[family]);
        }
        if self.name.is_empty() {
            return;
        }
        let told = match self.wrong {
            true => Err(Unreadable),
            false => Ok(core::mem::take(&mut self.interface)),
        };
        sink(&self.name, told);
    }
}
