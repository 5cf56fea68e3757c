//! `status --connections`: counts each provider's connections, in this process, so that the daemon need not.

use crate::client::cli::Exit;
use crate::linux::connection::{Answer, Connections};
use crate::linux::netfilter;
use crate::types::{Fault, MarkMask};

/// Counts them; without marks, or where none are recorded, it is zero for each provider.
pub(super) fn count(answer: &mut Answer) -> Result<(), (Exit, String)> {
    let bits = answer.header.as_ref().map_or(0, |header| header.mark_mask);
    for provider in &mut answer.providers {
        provider.connections = Some(Connections::default());
    }
    let Some(mask) = MarkMask::new(bits) else {
        return Ok(());
    };
    let providers = &mut answer.providers;
    let counted = netfilter::count_by_mark(mask.bits(), &mut |family, mark| {
        let Some(slot) = mask.slot(mark) else { return };
        let mut owners = providers
            .iter_mut()
            .filter(|provider| provider.head.slot == slot);
        if let Some(connections) = owners.next().and_then(|owner| owner.connections.as_mut()) {
            connections.add(family);
        }
    });
    counted.map_err(|fault| match fault {
        Fault::NotPermitted => (
            Exit::NotPermitted,
            "not permitted to count connections: only root may".to_owned(),
        ),
        Fault::NotSupported => (
            Exit::Bug,
            "connections cannot be counted: the kernel lacks nf_conntrack_netlink (OpenWrt: kmod-nf-conntrack-netlink)"
                .to_owned(),
        ),
        fault => (Exit::Bug, format!("connections cannot be counted: {fault}")),
    })
}
