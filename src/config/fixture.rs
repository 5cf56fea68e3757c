//! Fixtures: providers and checks for tests. Integration tests include this file, so it names the library as they do.
#![allow(dead_code)] // each test crate uses a part of it

use failover::check::CheckKind;
use failover::check::ping::Ping;
use failover::config::{Check, Connections, Provider, Quality, Quorum, RtTable, Timing};
use failover::types::{Duration, Family, GivenDevice, PerFamily, Slot};

/// One round per second, in which one answer is enough; three rounds for a verdict.
pub(crate) const TIMING: Timing = Timing {
    interval: Duration::from_secs(1),
    timeout: Duration::from_secs(1),
    down: 3,
    up: 3,
    window: 50,
    max_failed: 50,
    quorum: Quorum::AtLeast(1),
    quality: Quality::NONE,
};

/// A provider with the first check, ranked by its slot, with one device in both families; everything else is learned.
pub(crate) fn provider(id: &str, slot: u8, device: &str) -> Provider {
    let device: GivenDevice = device.try_into().unwrap();
    Provider {
        id: id.try_into().unwrap(),
        slot: Slot(slot),
        enabled: true,
        device: PerFamily {
            v4: device.clone(),
            v6: device,
        },
        interfaces: Default::default(),
        address: Default::default(),
        gateway: Default::default(),
        network: Default::default(),
        rt_table: RtTable::Auto,
        mark: None,
        connections: Connections::Stay,
        masquerade: false,
        dns_route: true,
        rank: u32::from(slot) + 1,
        checks: 1,
        timing: TIMING,
        metered: false,
    }
}

/// A ping of an address; the check is named after its target.
pub(crate) fn ping(target: &str) -> Check {
    let address = target.parse().unwrap();
    Check {
        name: target.try_into().unwrap(),
        kind: CheckKind::Ping(Ping::new(address)),
        target: target.try_into().unwrap(),
        family: Family::of(address),
        interval: None,
        required: false,
    }
}
