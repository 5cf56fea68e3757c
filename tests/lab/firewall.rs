//! The router's firewall: NAT as `fw4` or a user has it, port forwards, and connection tracking.

use super::topology::{Family, Lab};

/// What the router's firewall does with packets that leave by a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// nothing: the provider's modem translates, or routes the LAN's addresses
    Off,
    /// the address of the device, found again when a connection's device changes
    Masquerade,
    /// the address of the device, written into the rule: it stays with a connection for good
    Snat,
}

/// Ports of the router that are forwarded to the same port of the LAN host, less this.
pub const FORWARDED: u16 = 10_000;

impl Lab {
    /// Loads a table into the router.
    pub fn nft(&self, text: &str) {
        self.router.feed(&["nft", "-f", "-"], text);
    }

    pub(super) fn translate(&self, nat: Nat) {
        let mut leaving = String::new();
        for provider in &self.providers {
            let own = provider.own(Family::V4);
            leaving += &match nat {
                Nat::Off => continue,
                Nat::Masquerade => format!("oifname {} masquerade\n", provider.device),
                Nat::Snat => format!("oifname {} snat to {own}\n", provider.device),
            };
        }
        self.nft(&format!(
            "table ip lab {{ chain leaving {{ type nat hook postrouting priority 100\n {leaving} }}\n }}"
        ));
    }

    /// The router tracks connections in both families, and drops what belongs to none: as firewalls do.
    pub fn track(&self) {
        self.nft(
            "table inet lab_filter {
                chain pass { type filter hook forward priority 0;
                    ct state established,related accept; ct state invalid drop; }
                chain hear { type filter hook input priority 0;
                    ct state established,related accept; ct state invalid drop; }
            }",
        );
    }

    /// Connections to port [`FORWARDED`] plus P of the router's addresses go to port P of the LAN host, in IPv4.
    pub fn forward_ports(&self, ports: &[u16]) {
        let mut rules = String::new();
        for port in ports {
            let outer = FORWARDED + port;
            rules += &format!(
                "iifname \"eth*\" meta l4proto {{ tcp, udp }} th dport {outer} dnat to 198.51.100.2:{port}\n"
            );
        }
        self.nft(&format!(
            "table ip lab_forwards {{ chain arriving {{ type nat hook prerouting priority -100\n {rules} }}\n }}"
        ));
    }

    /// Number of entries of the router's connection tracking.
    pub fn tracked(&self) -> u32 {
        let file = "/proc/sys/net/netfilter/nf_conntrack_count";
        let text = self.router.enter(|| std::fs::read_to_string(file));
        let count = text.ok().and_then(|text| text.trim().parse().ok());
        count.expect("the kernel tracks connections")
    }
}
