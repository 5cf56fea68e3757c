//! Routes for sockets that are bound to a device, while no daemon keeps any: the routes of a policy table, and the rules
//! that look it up. No other traffic uses them. They are deleted after the last probe.

use super::OneWay;
use super::uplinks::ProbedProvider;
use crate::config::Config;
use crate::engine::Plan;
use crate::linux::netlink::Requests;
use crate::linux::netns_lock::{NetnsLock, NetnsTaken};
use crate::routing::diff;
use crate::routing::layout::{Situation, Tables, Wanted};
use crate::routing::objects::{Change, Route, Rule, Selector};
use crate::types::{Family, PROTOCOL, Slot};

/// Held while probes are on their way.
pub(super) struct TemporaryRoutes<'a> {
    requests: &'a mut Requests,
    /// what was added, and is deleted again
    added: Vec<Change>,
    /// keeps a daemon from starting meanwhile, and from finding these routes
    netns_lock: Option<NetnsLock>,
}

impl<'a> TemporaryRoutes<'a> {
    /// Adds what is missing. A running daemon has all routes except those of providers that it does not manage, and would
    /// delete routes that were added for these.
    pub(super) fn open(
        probed: &ProbedProvider<'_>,
        requests: &'a mut Requests,
    ) -> Result<TemporaryRoutes<'a>, String> {
        let mut routes = TemporaryRoutes {
            requests,
            added: Vec::new(),
            netns_lock: match NetnsLock::take() {
                Ok(lock) => Some(lock),
                Err(held @ NetnsTaken::Held { .. }) if !held.by_probe() => None,
                Err(error) => return Err(error.to_string()),
            },
        };
        if routes.netns_lock.is_some() {
            for family in &Family::ALL {
                routes.add(probed, *family)?;
            }
        } else if !probed.ways.iter().all(|way| is_served(probed, way)) {
            let id = &probed.provider.id;
            return Err(format!(
                "the daemon that runs keeps no route for probes of {id}: is option enabled '0', or the file not loaded yet? \
                 Set it to '1' and reload (`failover disable {id}` takes traffic off it), or stop the daemon"
            ));
        }
        Ok(routes)
    }

    /// The lock that is held meanwhile, for other programs that ask for it.
    pub(super) fn netns_lock(&self) -> Option<&NetnsLock> {
        self.netns_lock.as_ref()
    }

    fn add(&mut self, probed: &ProbedProvider<'_>, family: Family) -> Result<(), String> {
        let config = probed.config;
        let routes = probed.mirror.routes();
        let mut tables = Tables::new();
        tables.choose(config, routes);
        let mut wanted = Box::new(Wanted::new());
        let way = probed.ways.iter().find(|way| way.id.family == family);
        let uplink = |_: Slot| way.map(|way| &way.uplink);
        wanted.fill(&Situation {
            config,
            family,
            plan: &Plan::new(),
            uplink: &uplink,
            tables: &tables,
            delegated: &[], // of no interest to sockets that are bound to a device
            resolvers: &[],
            addresses: probed.mirror.addresses(),
            routes,
            rules: probed.mirror.rules(),
            yields: false,
            marks: None,
            handed_over: 0,
            live: 0,
        });
        let mut result = Ok(());
        diff::changes(
            family,
            &wanted,
            routes,
            probed.mirror.rules(),
            &mut |change| {
                let is_ours = |route: &Route| routes.iter().any(|other| same_place(route, other));
                let wanted = match &change {
                    // Left by a killed daemon: used as it is.
                    Change::SetRoute(route) => !is_ours(route),
                    Change::AddRule(rule) => serves_bound(config, rule),
                    Change::DeleteRoute(_) | Change::DeleteRule(_) | Change::MoveRule(_) => false,
                };
                if wanted {
                    match self.requests.carry_out_with(&change, &probed.mirror) {
                        Ok(_) => self.added.push(change),
                        Err(fault) => {
                            result = Err(format!("the kernel refuses the {change}: {fault}"));
                        }
                    }
                }
                result.is_ok()
            },
        );
        result
    }
}

/// Whether a rule is for bound sockets, or must precede those that are: replies to the LAN, and traffic to the machine's own
/// addresses, keep their routes.
fn serves_bound(config: &Config, rule: &Rule) -> bool {
    match rule.selector {
        Selector::All => rule.pref <= config.globals.rule_pref,
        Selector::OwnFrom(_) | Selector::Oif(_) => true,
        _ => false,
    }
}

/// Whether the daemon has a rule for sockets that are bound to this device.
fn is_served(probed: &ProbedProvider<'_>, way: &OneWay) -> bool {
    let device = &way.uplink.device;
    let leads = |rule: &Rule| {
        let ours = (rule.protocol, rule.family) == (PROTOCOL, way.id.family);
        ours && rule.selector == Selector::Oif(device.clone())
    };
    way.uplink.index == 0 || probed.mirror.rules().iter().any(leads)
}

fn same_place(route: &Route, other: &Route) -> bool {
    let place = |route: &Route| (route.table, route.destination, route.metric);
    other.protocol == PROTOCOL && place(route) == place(other)
}

impl Drop for TemporaryRoutes<'_> {
    fn drop(&mut self) {
        for change in self.added.drain(..).rev() {
            let undone = match change {
                Change::SetRoute(route) => Change::DeleteRoute(route),
                Change::AddRule(rule) => Change::DeleteRule(rule),
                other => other,
            };
            // The next daemon deletes what is left.
            let _ = self.requests.carry_out(&undone);
        }
    }
}
