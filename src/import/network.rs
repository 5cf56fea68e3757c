//! netifd's configuration → which device an interface is on.

use super::sections::{Section, find};

/// So far aliases of aliases are followed.
const ALIASES_MAX: usize = 8;

/// What tells an interface's device from others': the device's name, or `@` and the interface that makes a device of its
/// own. None when the configuration does not say.
pub(super) fn device(interface: &str, network: &[Section]) -> Option<String> {
    let mut name = interface;
    for _ in 0..ALIASES_MAX {
        let Some(section) = find(network, "interface", name) else {
            // netifd makes `wan_6` by itself when `wan` is PPP or a modem.
            name = ["_4", "_6"].iter().find_map(|end| name.strip_suffix(end))?;
            continue;
        };
        let device = match section.value("device") {
            "" => section.value("ifname"), // until OpenWrt 19.07
            device => device,
        };
        if let Some(alias) = device.strip_prefix('@') {
            name = alias;
            continue;
        }
        let proto = section.value("proto");
        let is_plain = matches!(proto, "" | "none" | "static" | "dhcp" | "dhcpv6");
        let is_bridge = !section.value("type").is_empty();
        let makes_own = !is_plain || is_bridge || device.is_empty();
        return Some(match makes_own {
            true => ["@", name].concat(),
            false => device.to_owned(),
        });
    }
    None
}
