//! The router's firewall: NAT as `fw4` or a user has it, port forwards, and connection tracking.

use std::time::{Duration, Instant};

use rtnetlink::sys::Socket;

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
    /// Loads tables into the router. A statement may end at a brace, too.
    pub fn nft(&self, text: &str) {
        self.router
            .feed(&["nft", "-f", "-"], &text.replace('}', "\n}"));
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
            "table ip lab {{ chain leaving {{ type nat hook postrouting priority 100\n {leaving} }} }}"
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
            "table ip lab_forwards {{ chain arriving {{ type nat hook prerouting priority -100\n {rules} }} }}"
        ));
    }

    /// The router's entries of connection tracking, as the kernel prints them, with these words.
    pub fn entries(&self, words: &[&str]) -> Vec<String> {
        let text = self.router.run(&["cat", "/proc/net/nf_conntrack"]);
        let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
        text.lines().filter(has_all).map(str::to_owned).collect()
    }

    /// The ct marks of entries with these words.
    pub fn marks(&self, words: &[&str]) -> Vec<u32> {
        let mark = |line: &String| {
            let (_, rest) = line.split_once(" mark=")?;
            rest.split(' ').next()?.parse().ok()
        };
        self.entries(words).iter().filter_map(mark).collect()
    }

    /// Deletes the IPv4 entries whose ct mark is this in these bits, by one request; returns how long the kernel took.
    pub fn delete_marked(&self, mark: u32, mask: u32) -> Duration {
        // linux/netfilter/nfnetlink_conntrack.h: IPCTNL_MSG_CT_DELETE, with CTA_MARK and CTA_MARK_MASK.
        let mut request = Vec::new();
        let attributes = [(8_u16, mark), (21, mask)];
        request.extend(36_u32.to_ne_bytes());
        request.extend(0x0102_u16.to_ne_bytes());
        request.extend(5_u16.to_ne_bytes());
        request.extend([0; 8]);
        request.extend([2, 1, 0, 0]);
        for (kind, value) in attributes {
            request.extend(8_u16.to_ne_bytes());
            request.extend(kind.to_ne_bytes());
            request.extend(value.to_be_bytes());
        }
        self.router.enter(|| {
            let netfilter = Socket::new(12).expect("there is room for a socket");
            let start = Instant::now();
            let sent = netfilter.send(&request, 0);
            let answer = netfilter.recv_from_full().map(|(answer, _)| answer);
            assert!(
                sent.is_ok()
                    && answer.is_ok_and(|answer| answer[16..20] == [0; 4]
                        || answer[16..20] == (-2_i32).to_ne_bytes())
            );
            start.elapsed()
        })
    }

    /// Number of entries of the router's connection tracking.
    pub fn tracked(&self) -> u32 {
        let file = "/proc/sys/net/netfilter/nf_conntrack_count";
        let text = self.router.enter(|| std::fs::read_to_string(file));
        let count = text.ok().and_then(|text| text.trim().parse().ok());
        count.expect("the kernel tracks connections")
    }
}
