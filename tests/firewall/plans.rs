//! Plans of tables, and their text.

use failover::firewall::plan::{Member, Plan};
use failover::firewall::text;
use failover::routing::delegated::Delegated;
use failover::types::{DeviceName, MarkMask, PerFamily, Slot};

/// A provider that has the device in both families.
pub(crate) fn member(slot: u8, device: &str) -> Member {
    let device: DeviceName = device.try_into().unwrap();
    Member {
        slot: Slot(slot),
        device: PerFamily {
            v4: device.clone(),
            v6: device,
        },
        own: None,
        answers: true,
        records: true,
        restores: true,
        strict: false,
        masquerade: false,
    }
}

/// All that is on by default.
pub(crate) fn plan(members: &[Member]) -> Plan {
    Plan {
        marks: MarkMask::USUAL,
        answers: true,
        foreign: true,
        ipsec: true,
        members: members.iter().cloned().collect(),
    }
}

/// Two providers.
pub(crate) fn two() -> Plan {
    plan(&[member(0, "wan1"), member(1, "wan2")])
}

/// Prefixes of providers by slot.
pub(crate) fn delegated(list: &[(u8, &str)]) -> Delegated {
    let mut delegated = Delegated::new();
    for (slot, prefix) in list {
        let prefix = prefix.parse().unwrap();
        delegated.list.push((Slot(*slot), prefix)).unwrap();
    }
    delegated
}

/// The whole script.
pub(crate) fn script(plan: &Plan, delegated: &Delegated) -> String {
    let mut script = String::new();
    text::write(plan, delegated, &mut script).unwrap();
    script
}
