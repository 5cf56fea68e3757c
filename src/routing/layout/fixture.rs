//! Configurations, uplinks and plans to test with.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Situation, Tables, Wanted, everywhere};
use crate::config::{Config, Provider, fixture};
use crate::engine::{Plan, RankedPath};
use crate::routing::delegated::Delegated;
use crate::routing::objects::{
    Address, AddressState, Extras, Route, RouteKind, Rule, RuleVerdict, Selector,
};
use crate::routing::uplink::Uplink;
use crate::types::{
    Family, Mark, MarkMask, Metric, Prefix, Slot, TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN,
};

/// A router with its uplinks, in one family.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) config: Box<Config>,
    pub(crate) family: Family,
    pub(crate) plan: Plan,
    /// by slot
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) tables: Tables,
    pub(crate) delegated: Delegated,
    pub(crate) resolvers: Vec<(Slot, IpAddr)>,
    /// what the kernel tells of addresses; those of the uplinks need not be there
    pub(crate) addresses: Vec<Address>,
    /// what others have in the kernel
    pub(crate) foreign: Vec<Route>,
    /// the same, of rules
    pub(crate) rules: Vec<Rule>,
    /// a manual default prevails
    pub(crate) yields: bool,
    /// what our firewall table marks connections by
    pub(crate) marks: Option<MarkMask>,
    /// see [`Situation::handed_over`]
    pub(crate) handed_over: u64,
    /// see [`Situation::live`]
    pub(crate) live: u64,
}

impl Scene {
    /// Providers in slots from 0, all well, on devices eth1 … with the numbers 1 …; slot s has mark s+1.
    pub(crate) fn of(family: Family, providers: u8) -> Scene {
        let mut config: Box<Config> = Box::default();
        let target = own(family, 100, 1).to_string();
        config.checks.push(fixture::ping(&target)).unwrap();
        for slot in 0..providers {
            config.providers.push(provider(slot)).unwrap();
        }
        let mut scene = Scene {
            config,
            family,
            plan: Plan::default(),
            uplinks: (0..providers).map(|slot| uplink(family, slot)).collect(),
            tables: Tables::new(),
            delegated: Delegated::new(),
            resolvers: Vec::new(),
            addresses: Vec::new(),
            foreign: Vec::new(),
            rules: kernel_rules(),
            yields: false,
            marks: None,
            handed_over: 0,
            live: 0,
        };
        scene.order(&(0..providers).collect::<Vec<_>>());
        scene
    }

    /// Plans these slots in this order, all usable.
    pub(crate) fn order(&mut self, slots: &[u8]) {
        let hop = |&slot: &u8| RankedPath {
            slot: Slot(slot),
            usable: true,
        };
        self.plan.order = slots.iter().map(hop).collect();
    }

    /// What is wanted; the tables are chosen, too.
    pub(crate) fn wanted(&mut self) -> Wanted {
        self.tables.choose(&self.config, &self.foreign);
        let mut wanted = Wanted::new();
        wanted.fill(&Situation {
            config: &self.config,
            family: self.family,
            plan: &self.plan,
            uplink: &|slot| self.uplinks.get(usize::from(slot.0)),
            tables: &self.tables,
            delegated: &self.delegated.list,
            resolvers: &self.resolvers,
            addresses: &self.addresses,
            routes: &self.foreign,
            rules: &self.rules,
            yields: self.yields,
            marks: self.marks,
            handed_over: self.handed_over,
            live: self.live,
        });
        wanted
    }
}

/// The rules that the kernel begins with, of both families.
pub(crate) fn kernel_rules() -> Vec<Rule> {
    let rule = |family, pref, table| Rule {
        family,
        pref,
        protocol: 2, // RTPROT_KERNEL
        selector: Selector::All,
        verdict: RuleVerdict::Lookup(table),
    };
    let both = |family| [(0, TABLE_LOCAL), (32766, TABLE_MAIN)].map(|(p, t)| rule(family, p, t));
    let mut rules: Vec<Rule> = Family::ALL.into_iter().flat_map(both).collect();
    rules.push(rule(Family::V4, 32767, TABLE_DEFAULT));
    rules
}

/// Another program's default route, through a device that is not ours.
pub(crate) fn foreign_default(family: Family, table: u32, metric: u32) -> Route {
    Route {
        table,
        destination: everywhere(family),
        metric: Metric(metric),
        protocol: 3, // RTPROT_BOOT
        kind: RouteKind::Unicast,
        device: 99,
        gateway: Some(own(family, 99, 1)),
        source: None,
        onlink: false,
        from: None,
        extras: Extras::default(),
    }
}

/// Address `host` (1 the gateway's, 2 the router's) of an uplink's network.
pub(crate) fn own(family: Family, network: u8, host: u8) -> IpAddr {
    match family {
        Family::V4 => {
            let block = [[192, 0, 2], [198, 51, 100], [203, 0, 113]][usize::from(network / 64)];
            Ipv4Addr::new(block[0], block[1], block[2], network % 64 * 4 + host).into()
        }
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, network.into(), 0, 0, 0, 0, host.into()).into(),
    }
}

/// An address of a device.
pub(crate) fn address(device: u32, prefix: Prefix) -> Address {
    Address {
        device,
        prefix,
        peer: None,
        near: false,
        state: AddressState::Preferred,
        secondary: false,
    }
}

fn uplink(family: Family, slot: u8) -> Uplink {
    let length = if family == Family::V4 { 30 } else { 64 };
    Uplink {
        device: format!("eth{}", slot + 1).as_str().try_into().unwrap(),
        index: u32::from(slot) + 1,
        address: Some(own(family, slot, 2)),
        gateway: Some(own(family, slot, 1)),
        deprecated: false,
        guessed: false,
        sourced: family == Family::V4,
        direct: false,
        network: Some(Prefix::new(own(family, slot, 2).into(), length)),
        onlink: false,
        waiting: None,
        routable: true,
        refused: false,
        extras: Extras::default(),
        gateways: 1,
    }
}

fn provider(slot: u8) -> Provider {
    let number = u32::from(slot) + 1;
    Provider {
        mark: Some(Mark {
            value: number,
            mask: 0xff,
        }),
        ..fixture::provider(&format!("isp{number}"), slot, &format!("eth{number}"))
    }
}
