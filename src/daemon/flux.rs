//! ARP flux: two providers on one link. By Linux's defaults, each of their devices also answers ARP requests for the other's
//! address, and then replies come in by the wrong one.

use core::fmt;

use super::routes::RouteSync;
use super::snapshot::Snapshot;
use super::warnings::Warnings;
use crate::config::{Config, Provider};
use crate::linux::sysctl;
use crate::routing::uplink::Uplink;
use crate::types::{Family, PathId, Slot};

/// Two providers whose devices are, by their addresses, in one network, and answer for each other.
pub(super) struct Flux<'a> {
    provider: &'a Provider,
    devices: [&'a str; 2],
    cure: Cure<'a>,
}

/// Providers, one bit per slot.
#[derive(Clone, Copy, Default)]
pub(super) struct Strayed(u64);

impl Strayed {
    pub(super) fn contains(self, Slot(slot): Slot) -> bool {
        self.0 >> slot & 1 != 0
    }

    pub(super) fn insert(&mut self, Slot(slot): Slot) {
        self.0 |= 1 << slot;
    }

    /// Removes those that are so; whether there was one.
    pub(super) fn remove_if(&mut self, is_so: impl Fn(Slot) -> bool) -> bool {
        let before = self.0;
        if before != 0 {
            let slots = (0..64).map(Slot).filter(|slot| self.contains(*slot));
            self.0 = slots
                .filter(|slot| !is_so(*slot))
                .fold(0, |all, Slot(slot)| all | 1 << slot);
        }
        self.0 != before
    }
}

/// Whether another provider's device is in the same IPv4 network as that of a path: then answers may come in by it.
pub(super) fn has_twin(config: &Config, routes: &RouteSync<'_>, path: PathId) -> bool {
    let uplink = |slot| {
        routes.uplink(PathId {
            slot,
            family: Family::V4,
        })
    };
    let own = uplink(path.slot).filter(|_| path.family == Family::V4);
    let mut others = config.enabled().filter_map(|other| uplink(other.slot));
    own.is_some_and(|own| others.any(|other| share_a_network(own, other)))
}

/// Tells of all of them.
///
/// Two modems of one make have the same address on two links. So where the gateways are the same, it is said only if answers
/// have strayed; and not where our own addresses are the same.
#[inline(never)]
pub(super) fn each(snapshot: &Snapshot<'_>, strayed: Strayed, tell: &mut dyn FnMut(&Flux<'_>)) {
    let uplink = |provider: &Provider| {
        let id = PathId {
            slot: provider.slot,
            family: Family::V4,
        };
        let uplink = snapshot.uplink(id).filter(|uplink| uplink.index != 0);
        uplink.filter(|_| provider.enabled)
    };
    let providers = &snapshot.engine.config().providers;
    for (number, first) in (1..).zip(providers) {
        for provider in providers.iter().skip(number) {
            let (Some(one), Some(other)) = (uplink(first), uplink(provider)) else {
                continue;
            };
            let harms = strayed.contains(first.slot) || strayed.contains(provider.slot);
            if !share_a_network(one, other) || (one.gateway == other.gateway && !harms) {
                continue;
            }
            let devices = [one, other].map(|uplink| uplink.device.as_str());
            let open = devices.map(|at| Some(at).filter(|at| sysctl::answers_for_others(at)));
            if open != [None, None] {
                tell(&Flux {
                    provider,
                    devices,
                    cure: Cure(open),
                });
            }
        }
    }
}

/// Warns of each.
pub(super) fn warn(snapshot: &Snapshot<'_>, strayed: Strayed, warnings: &mut Warnings) {
    each(snapshot, strayed, &mut |flux| {
        let ([one, other], cure) = (flux.devices, &flux.cure);
        let what = format_args!(
            "{one} and {other} are in one IPv4 network, and each answers ARP requests for the other's address: if they are \
             on one link, replies come in by the wrong one"
        );
        let id = &flux.provider.id;
        warnings.add_with_command("arp-flux", id, what, format_args!("{cure}"));
    });
}

fn share_a_network(one: &Uplink, other: &Uplink) -> bool {
    let has = |network: &Uplink, host: &Uplink| {
        let (network, host) = (network.network, host.address);
        matches!((network, host), (Some(network), Some(host)) if network.contains_addr(&host.into()))
    };
    one.index != other.index && one.address != other.address && (has(one, other) || has(other, one))
}

/// The command for one or both devices.
struct Cure<'a>([Option<&'a str>; 2]);

impl fmt::Display for Cure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cure(devices) = self;
        f.write_str("sysctl -w")?;
        for device in devices.iter().flatten() {
            let cure = sysctl::Cure {
                device,
                option: "arp_ignore",
                value: 1,
            };
            write!(f, " {}", sysctl::Setting(cure))?;
        }
        Ok(())
    }
}
