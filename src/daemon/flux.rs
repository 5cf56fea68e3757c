//! ARP flux: two providers on one link. By Linux's defaults, each of their devices also answers ARP requests for the other's
//! address, and then replies come in by the wrong one.

use core::fmt;

use super::snapshot::Snapshot;
use super::warnings::{Warnings, command};
use crate::config::Provider;
use crate::linux::sysctl;
use crate::routing::uplink::Uplink;
use crate::types::{Family, PathId};

/// Two providers whose devices are, by their addresses, in one network, and answer for each other.
pub(super) struct Flux<'a> {
    provider: &'a Provider,
    devices: [&'a str; 2],
    cure: Cure<'a>,
}

/// All of them.
///
/// Two modems of one make have the same address on two links. So nothing is said where the gateways are the same, nor where
/// our own addresses are.
pub(super) fn find<'a>(snapshot: &Snapshot<'a>) -> impl Iterator<Item = Flux<'a>> {
    let snapshot = *snapshot;
    let pairs = (1..).zip(uplinks(snapshot)).flat_map(move |(next, one)| {
        let others = uplinks(snapshot).skip(next);
        others.map(move |other| (one.1, other))
    });
    pairs.filter_map(|(one, (provider, other))| {
        if !share_a_network(one, other) {
            return None;
        }
        let devices = [one, other].map(|uplink| uplink.device.as_str());
        let open = devices.map(|device| Some(device).filter(|at| sysctl::answers_for_others(at)));
        (open != [None, None]).then_some(Flux {
            provider,
            devices,
            cure: Cure(open),
        })
    })
}

fn uplinks(snapshot: Snapshot<'_>) -> impl Iterator<Item = (&Provider, &Uplink)> {
    let providers = snapshot.engine.config().enabled();
    providers.filter_map(move |provider| {
        let id = PathId {
            slot: provider.slot,
            family: Family::V4,
        };
        let uplink = snapshot.uplink(id).filter(|uplink| uplink.index != 0)?;
        Some((provider, uplink))
    })
}

/// Warns of each.
pub(super) fn warn(snapshot: &Snapshot<'_>, warnings: &mut Warnings) {
    for Flux {
        provider,
        devices: [one, other],
        cure,
    } in find(snapshot)
    {
        let what = format_args!(
            "{one} and {other} are in one IPv4 network, and each answers ARP requests for the other's address: if they are \
             on one link, replies come in by the wrong one"
        );
        let cure = command(format_args!("{cure}"));
        warnings.add("arp-flux", Some(&provider.id), what, cure);
    }
}

fn share_a_network(one: &Uplink, other: &Uplink) -> bool {
    let has = |network: &Uplink, host: &Uplink| {
        let (network, host) = (network.network, host.address);
        matches!((network, host), (Some(network), Some(host)) if network.contains_addr(&host.into()))
    };
    one.index != other.index
        && one.address != other.address
        && one.gateway != other.gateway
        && (has(one, other) || has(other, one))
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
