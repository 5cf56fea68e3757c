//! Faults of an uplink, and their repair. Provider numbers count from 1.

use std::net::IpAddr;
use std::thread;

use super::topology::{Addresses, Family, Lab};

/// All packets through the gateway are dropped; the gateway itself still answers.
const SWALLOW: &str = "rule add pref 1 iif line blackhole\nrule add pref 1 iif core blackhole\n";
/// Undoes [`SWALLOW`].
const PASS: &str = "rule del pref 1 iif line blackhole\nrule del pref 1 iif core blackhole\n";

impl Lab {
    /// Everything beyond the gateway becomes unreachable, in both families, without ICMP errors.
    pub fn upstream_dies(&self, number: usize) {
        self.gateway_rules(number, SWALLOW);
    }

    /// Undoes [`Lab::upstream_dies`].
    pub fn upstream_returns(&self, number: usize) {
        self.gateway_rules(number, PASS);
    }

    /// Changes both families at the same time.
    fn gateway_rules(&self, number: usize, lines: &str) {
        let gateway = &self.provider(number).gateway;
        thread::scope(|scope| {
            scope.spawn(|| gateway.feed(&["ip", "-6", "-batch", "-"], lines));
            gateway.feed(&["ip", "-4", "-batch", "-"], lines);
        });
    }

    /// The gateway stops answering, even ARP; the carrier stays.
    pub fn gateway_dies(&self, number: usize) {
        self.upstream_dies(number);
        self.provider(number).gateway.ip("addr flush dev line");
    }

    /// Undoes [`Lab::gateway_dies`].
    pub fn gateway_returns(&self, number: usize) {
        let provider = self.provider(number);
        provider.gateway.ip(&provider.gateway_lines());
        self.upstream_returns(number);
    }

    /// The router's device loses its carrier.
    pub fn pull_cable(&self, number: usize) {
        self.provider(number).gateway.ip("link set line down");
    }

    /// Undoes [`Lab::pull_cable`].
    pub fn plug_cable(&self, number: usize) {
        let provider = self.provider(number);
        provider.gateway.ip(&provider.gateway_lines());
    }

    /// The router's device is set down by an administrator; its IPv6 addresses are deleted, as always.
    pub fn device_down(&self, number: usize) {
        let device = &self.provider(number).device;
        self.router.ip(&format!("link set {device} down"));
    }

    /// Undoes [`Lab::device_down`], and restores the device's IPv6 addresses as a network configuration would.
    pub fn device_up(&self, number: usize) {
        let provider = self.provider(number);
        let device = &provider.device;
        self.router.ip(&format!(
            "link set {device} up\n{}",
            provider.router_lines_v6()
        ));
    }

    /// The router's device is deleted, like a USB modem's.
    pub fn remove_device(&self, number: usize) {
        self.provider(number).disconnect(&self.router);
    }

    /// Undoes [`Lab::remove_device`]; the new device has another index.
    pub fn insert_device(&self, number: usize) {
        self.provider(number).connect(&self.router);
    }

    /// The gateway changes to other addresses in the same networks, which are returned. Only with up to four providers.
    pub fn move_gateway(&self, number: usize) -> Addresses {
        let provider = self.provider(number);
        let old = provider.addresses();
        let new = Addresses {
            gateway_v4: Addresses::further_v4(old.gateway_v4, 8),
            gateway_v6: Addresses::further_v6(old.gateway_v6, 8),
            ..old
        };
        provider.set_addresses(new);
        provider.gateway.ip("addr flush dev line");
        provider.gateway.ip(&provider.gateway_lines());
        new
    }

    /// The router gets other addresses in the same networks, which are returned: the old ones are deleted, then the new
    /// ones are added, as by a DHCP client. Only with up to four providers.
    pub fn renew_address(&self, number: usize) -> Addresses {
        let provider = self.provider(number);
        let (device, old) = (&provider.device, provider.addresses());
        let new = Addresses {
            own_v4: Addresses::further_v4(old.own_v4, 16),
            own_v6: Addresses::further_v6(old.own_v6, 16),
            ..old
        };
        provider.set_addresses(new);
        let mut lines = format!(
            "addr del {}/{} dev {device}\naddr add {}/{} dev {device}\n",
            old.own_v4, old.prefix_v4, new.own_v4, new.prefix_v4
        );
        if provider.ipv6 {
            lines += &format!(
                "addr del {}/64 dev {device}\n{}",
                old.own_v6,
                provider.router_lines_v6()
            );
        }
        self.router.ip(&lines);
        provider.gateway.ip(&provider.lan_lines());
        new
    }

    /// The router gets a default route in table `main`, with protocol `dhcp`, `ra` or `static`.
    pub fn learn_default(&self, number: usize, family: Family, protocol: &str, metric: u32) {
        let gateway = self.provider(number).gateway_address(family);
        self.learn_default_via(number, gateway, protocol, metric);
    }

    /// The same with any gateway, for example a link-local one.
    pub fn learn_default_via(&self, number: usize, gateway: IpAddr, protocol: &str, metric: u32) {
        let everything = if gateway.is_ipv4() {
            "0.0.0.0/0"
        } else {
            "::/0"
        };
        let device = &self.provider(number).device;
        self.router.ip(&format!(
            "route replace {everything} via {gateway} dev {device} proto {protocol} metric {metric}"
        ));
    }
}
