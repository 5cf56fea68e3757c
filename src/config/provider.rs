//! `config provider` → [`Provider`]: each option by itself. The rules between providers are in `compare`.

use core::net::IpAddr;

use super::globals::{Tables, table_number};
use super::{Check, Config, Connections, Globals, Profile, Provider, RtTable};
use crate::limits::{DNS_MAX, INTERFACES_MAX, PREFIXES_MAX};
use crate::option::section::{Given, Options};
use crate::option::value::{self, Expected};
use crate::types::{Family, GivenDevice, InterfaceName, Name, PerFamily, Prefix, Slot, TABLE_MAIN};

/// A provider without options.
pub(super) fn blank(slot: Slot, position: u32) -> Provider {
    let none = PerFamily { v4: None, v6: None };
    Provider {
        id: Name::new(),
        slot,
        enabled: true,
        device: PerFamily {
            v4: GivenDevice::new(),
            v6: GivenDevice::new(),
        },
        interfaces: heapless::Vec::new(),
        address: none,
        gateway: none,
        network: PerFamily { v4: None, v6: None },
        rt_table: RtTable::Auto,
        mark: None,
        connections: Connections::Stay,
        masquerade: false,
        dns_route: true,
        rank: position,
        checks: 0,
        timing: Profile::Normal.timing(),
        metered: false,
    }
}

/// `device` and `device6`, or `interface`.
pub(super) fn read_device(options: &mut Options<'_, '_, '_>, provider: &mut Provider) {
    let PerFamily { v4, v6 } = &mut provider.device;
    let device = options.set_text("device", v4, value::device);
    let device6 = options.set_text("device6", v6, value::device);
    let interfaces = &mut provider.interfaces;
    let interface = options.each_word("interface", &mut |_, word, _| {
        value::interface(word)?;
        let name = InterfaceName::try_from(word).unwrap_or_default(); // it fits
        if interfaces.contains(&name) {
            return Err("is given twice");
        }
        const { assert!(INTERFACES_MAX == 4) };
        interfaces.push(name).map_err(|_| "expected at most 4")
    });
    match (device, interface) {
        (Given::Absent, Given::Absent) => match device6 {
            Given::Is((), line) => {
                let expected = "expected option device too, for IPv4";
                options.refuse("device6", v6, line, expected);
            }
            Given::Absent => {
                options.missing("has neither device nor interface: expected one of them")
            }
            Given::Bad => {}
        },
        (Given::Absent, _) if device6.is_absent() => return,
        (_, Given::Absent) => {
            if !device6.is_set() {
                *v6 = v4.clone();
            }
            return;
        }
        _ => {
            let line = options.line("device").max(options.line("interface"));
            options.error(
                line,
                format_args!("device and interface exclude each other: expected one of them"),
            );
            interfaces.clear();
        }
    }
    v4.clear();
    v6.clear();
}

/// The lines of the options that are compared with each other.
#[derive(Default)]
struct Lines {
    address: PerFamily<u32>,
    gateway: PerFamily<u32>,
}

/// `address`, `gateway` and `network`.
pub(super) fn read_addresses(options: &mut Options<'_, '_, '_>, provider: &mut Provider) {
    let mut lines = Lines::default();
    let mut learned: PerFamily<Option<Prefix>> = PerFamily { v4: None, v6: None };
    read_hosts(
        options,
        "address",
        value::address_in_network,
        &mut provider.address,
        &mut lines.address,
        &mut learned,
    );
    read_hosts(
        options,
        "gateway",
        |word, _| value::address(word),
        &mut provider.gateway,
        &mut lines.gateway,
        &mut PerFamily::default(),
    );
    options.each_word("network", &mut |_, word, _| {
        let network = value::network(word)?;
        let place = &mut provider.network[value::family_of(network)];
        once(place, network)
    });
    for family in Family::ALL {
        let network = &mut provider.network[family];
        if network.is_none() {
            *network = learned[family];
        }
        compare_addresses(options, provider, family, &lines);
    }
}

/// Reads the addresses of an option, one a family, with their lines, and networks if those are given.
fn read_hosts(
    options: &mut Options<'_, '_, '_>,
    name: &str,
    parse: fn(&str, &mut Option<Prefix>) -> Expected<IpAddr>,
    hosts: &mut PerFamily<Option<IpAddr>>,
    lines: &mut PerFamily<u32>,
    networks: &mut PerFamily<Option<Prefix>>,
) {
    options.each_word(name, &mut |_, word, line| {
        let mut network = None;
        let host = parse(word, &mut network)?;
        let family = Family::of(host);
        once(&mut hosts[family], host)?;
        networks[family] = network;
        lines[family] = line;
        Ok(())
    });
}

/// Sets the value of a family, if it has none.
fn once<T>(place: &mut Option<T>, value: T) -> Expected<()> {
    if place.is_some() {
        return Err("expected one a family at most");
    }
    *place = Some(value);
    Ok(())
}

fn compare_addresses(
    options: &mut Options<'_, '_, '_>,
    provider: &Provider,
    family: Family,
    lines: &Lines,
) {
    let (address, gateway) = (&provider.address[family], &provider.gateway[family]);
    if let (Some(address), Some(gateway)) = (address, gateway)
        && address == gateway
    {
        options.error(
            lines.gateway[family],
            format_args!(
                "gateway '{gateway}' is the provider's own address: expected the next router's"
            ),
        );
        return;
    }
    let Some(network) = &provider.network[family] else {
        return;
    };
    if let Some(address) = address {
        compare_with_network(options, "address", address, lines.address[family], network);
    }
    if let Some(gateway) = gateway {
        compare_with_network(options, "gateway", gateway, lines.gateway[family], network);
    }
}

fn compare_with_network(
    options: &mut Options<'_, '_, '_>,
    name: &str,
    host: &IpAddr,
    line: u32,
    network: &Prefix,
) {
    if let Some(what) = value::reserved_in(host, network) {
        options.error(line, format_args!("{name} '{host}' in {network}: {what}"));
    } else if host.is_ipv4() && !network.contains_addr(&(*host).into()) {
        options.report.warning(
            line,
            format_args!("{name} '{host}' is outside the network {network}"),
        );
    }
}

/// `rt_table`: neither the swap table nor `main`.
pub(super) fn read_table(
    options: &mut Options<'_, '_, '_>,
    tables: Tables<'_>,
    globals: &Globals,
    provider: &mut Provider,
) {
    options.set("rt_table", &mut provider.rt_table, |text| match text {
        "auto" => Ok(RtTable::Auto),
        "none" => Ok(RtTable::None),
        _ => match table_number(text, tables)? {
            TABLE_MAIN => {
                Err("table 254 (main) is shared by all programs: expected another, auto or none")
            }
            number if number == globals.table => {
                Err("that is the swap table (globals' table): expected another, auto or none")
            }
            number => Ok(RtTable::Id(number)),
        },
    });
}

/// `prefix`: adds each to those of all providers.
pub(super) fn read_prefixes(options: &mut Options<'_, '_, '_>, slot: Slot, config: &mut Config) {
    let first = config.prefixes.len();
    options.each_word("prefix", &mut |_, word, _| {
        let prefix = value::delegated(word)?;
        let own = config.prefixes.get(first..).unwrap_or_default();
        if own.contains(&(slot, prefix)) {
            return Err("is given twice");
        }
        const { assert!(PREFIXES_MAX == 15) };
        const MANY: &str = "expected at most 15";
        if own.len() >= PREFIXES_MAX {
            return Err(MANY);
        }
        config.prefixes.push((slot, prefix)).map_err(|_| MANY)
    });
}

/// `dns`: adds each to those of all providers.
pub(super) fn read_dns(options: &mut Options<'_, '_, '_>, slot: Slot, config: &mut Config) {
    options.each_word("dns", &mut |_, word, _| {
        let resolver = value::resolver(word)?;
        const { assert!(DNS_MAX == 512) };
        let full = |_| "there is room for 512 in all";
        config.dns.push((slot, resolver)).map_err(full)
    });
}

/// The named checks, one bit each; `None` if a name is wrong or unknown.
pub(super) fn read_checks(
    options: &mut Options<'_, '_, '_>,
    checks: &[Check],
    exists: &dyn Fn(&str) -> bool,
) -> Option<u32> {
    let all = !(u32::MAX
        .checked_shl(u32::try_from(checks.len()).unwrap_or(32))
        .unwrap_or(0));
    let mut named = 0;
    let mut sure = true;
    let given = options.each_word("check", &mut |options, word, line| {
        match checks.iter().position(|check| check.name == word) {
            Some(index) if named & (1 << index) != 0 => {
                options
                    .report
                    .warning(line, format_args!("check '{word}' is given twice"));
            }
            Some(index) => named |= 1 << index,
            None if word == "all" => named = all,
            None if exists(word) => sure = false, // that check is wrong, which is reported
            None => {
                sure = false;
                let near = crate::option::nearest(
                    word,
                    &mut checks.iter().map(|check| check.name.as_str()),
                );
                let (word, hint) = (crate::uci::Shown(word), crate::option::problem::Hint(near));
                options.error(
                    line,
                    format_args!("check {word}: no check has this name{hint}"),
                );
            }
        }
        Ok(())
    });
    if given.is_absent() {
        return Some(all);
    }
    sure &= !given.is_bad();
    sure.then_some(named)
}
