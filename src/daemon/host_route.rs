//! The host routes that netifd adds to `main` for the endpoints of WireGuard tunnels, by the provider that led when the tunnel
//! came up. They precede our choice among providers: the tunnel stays with that one, whichever leads. netifd leaves them there
//! until that provider's interface goes down, whatever becomes of the tunnel.
//!
//! netifd's dump does not have them, other than the static and learned routes of its interfaces. So they are the static
//! routes to hosts in the kernel, by a provider's device, that netifd does not tell of, while a tunnel of it is up.

use core::net::IpAddr;

use super::routes::RouteSync;
use super::warnings::Warnings;
use crate::config::Config;
use crate::linux::process::ubus::Interfaces;
use crate::types::{Family, PathId, Slot};

/// Such a route.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct HostRoute {
    slot: Slot,
    host: IpAddr,
}

impl HostRoute {
    /// The first one, if there is more than one provider. Nothing is asked while netifd has no tunnel.
    pub(super) fn find(
        config: &Config,
        routes: &mut RouteSync<'_>,
        interfaces: &Interfaces,
    ) -> Option<HostRoute> {
        if interfaces.tunnels().is_empty() || config.enabled().nth(1).is_none() {
            return None;
        }
        let mut found = None;
        let uplinks = &*routes.uplinks;
        for &family in &Family::ALL {
            let is_by = |slot, device| {
                let uplink = uplinks.get(PathId { slot, family }.index());
                device != 0 && uplink.is_some_and(|uplink| uplink.index == device)
            };
            let _ = routes
                .requests
                .each_static_host(family, &mut |host, device| {
                    let mut providers = config.enabled();
                    let by = providers.find(|provider| is_by(provider.slot, device));
                    let by = by.filter(|provider| !interfaces.has_told_host(provider, host));
                    if let (Some(by), None) = (by, found) {
                        found = Some(HostRoute {
                            slot: by.slot,
                            host,
                        });
                    }
                });
        }
        found
    }

    pub(super) fn warn(&self, config: &Config, interfaces: &Interfaces, warnings: &mut Warnings) {
        let (Some(provider), Some(first)) = (config.at(self.slot), interfaces.tunnels().first())
        else {
            return;
        };
        let host = self.host;
        let or = match interfaces.tunnels() {
            [_] => "",
            _ => " or another",
        };
        warnings.add(
            "host-route",
            Some(&provider.id),
            format_args!(
                "netifd has a route to {host} by it, which holds the WireGuard tunnel {first}{or} there, whichever provider leads"
            ),
            format_args!(
                "write `option nohostroute '1'` into the section of {first}{or} in /etc/config/network, then `ifup {first}; \
                 ip -{} route del {host}`",
                if host.is_ipv4() { 4 } else { 6 }
            ),
        );
    }
}
