//! What may happen in a walk: changes that come and go, and what happens at once.

use super::super::lab::topology::{Addresses, Provider};
use super::super::lab::{Family, Lab, Settings};

/// A change that is made, and taken back later. What the kernel refuses, as it lacks a device or an address just now, is
/// none.
pub(super) struct Change {
    pub(super) name: String,
    pub(super) made: Vec<Deed>,
    pub(super) undone: Vec<Deed>,
}

/// A part of it.
#[derive(Clone)]
pub(super) enum Deed {
    /// lines of `ip` in the router
    Router(Family, String),
    Pulls(usize),
    Plugs(usize),
    Dies(usize),
    Returns(usize),
    Unplugs(usize),
    Inserts(usize),
    /// what the network configuration restores of an uplink, unless another change takes it away
    Restores(usize),
    /// the configuration is another: see [`Terms`]
    Reload,
}

/// What the configuration says.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) obeys: &'static str,
    pub(super) start_metric: u32,
    pub(super) catch_all: u32,
    pub(super) first: u32,
    pub(super) refuses: bool,
    /// by provider
    pub(super) enabled: [bool; 2],
    pub(super) gateways: [bool; 2],
    pub(super) last_is_first: bool,
}

/// The options of [`Terms`] that change.
pub(super) const OPTIONS: [&str; 9] = [
    "yield 0",
    "yield 1",
    "start_metric 200",
    "catch_all 31000",
    "rule_pref 18000",
    "last_resort unreachable",
    "isp1 disabled",
    "isp2 with gateways",
    "isp2 before isp1",
];

impl Terms {
    /// With some of [`OPTIONS`].
    pub(super) fn with(options: &[&str]) -> Terms {
        let has = |option: &str| options.contains(&option);
        Terms {
            obeys: match (has("yield 0"), has("yield 1")) {
                (true, _) => "0",
                (_, true) => "1",
                _ => "auto",
            },
            start_metric: if has("start_metric 200") { 200 } else { 100 },
            catch_all: if has("catch_all 31000") { 31000 } else { 32765 },
            first: if has("rule_pref 18000") { 18000 } else { 17600 },
            refuses: has("last_resort unreachable"),
            enabled: [!has("isp1 disabled"), true],
            gateways: [false, has("isp2 with gateways")],
            last_is_first: has("isp2 before isp1"),
        }
    }

    pub(super) fn settings(&self, lab: &Lab) -> Settings {
        let mut settings = Settings::learning(lab)
            .global("up", "2")
            .global("down", "2")
            .global("yield", self.obeys)
            .global("start_metric", &self.start_metric.to_string())
            .global("catch_all", &self.catch_all.to_string())
            .global("rule_pref", &self.first.to_string())
            .global(
                "last_resort",
                if self.refuses { "unreachable" } else { "first" },
            );
        for (provider, place) in lab.providers.iter().zip(0..) {
            let name = &provider.name;
            settings = settings
                .provider(name, "enabled", if self.enabled[place] { "1" } else { "0" })
                .provider(name, "mark", &format!("{}/0xff", mark(place)));
            if self.gateways[place] {
                for family in Family::ALL {
                    let gateway = provider.gateway_address(family).to_string();
                    settings = settings.list("provider", name, "gateway", &gateway);
                }
            }
        }
        match self.last_is_first {
            true => settings
                .provider("isp1", "rank", "2")
                .provider("isp2", "rank", "1"),
            false => settings,
        }
    }

    /// The names of the providers, best first.
    pub(super) fn order(&self) -> [&'static str; 2] {
        match self.last_is_first {
            true => ["isp2", "isp1"],
            false => ["isp1", "isp2"],
        }
    }
}

/// The mark of a provider.
pub(super) fn mark(place: usize) -> &'static str {
    ["0x10", "0x20"][place]
}

/// The number of an uplink's nexthop object.
fn nexthop(provider: &Provider, family: Family) -> usize {
    100 * provider.number + family as usize
}

/// The line that makes it.
pub(super) fn nexthop_line(provider: &Provider, family: Family) -> String {
    let (id, gateway) = (nexthop(provider, family), provider.gateway_address(family));
    format!(
        "nexthop replace id {id} via {gateway} dev {}\n",
        provider.device
    )
}

/// What the router's network configuration sets for an uplink: link, addresses.
pub(super) fn configured(provider: &Provider) -> [(Family, String); 2] {
    let device = &provider.device;
    let Addresses {
        own_v4,
        prefix_v4,
        own_v6,
        ..
    } = provider.addresses();
    [
        (
            Family::V4,
            format!("link set {device} up\naddr add {own_v4}/{prefix_v4} dev {device}\n"),
        ),
        (
            Family::V6,
            format!("addr add {own_v6}/64 dev {device} nodad\n"),
        ),
    ]
}

/// The forms of an uplink's learned default route; the first is the plain one, the last none.
pub(super) fn forms(provider: &Provider, family: Family) -> Vec<String> {
    let Provider { device, number, .. } = provider;
    let gateway = provider.gateway_address(family);
    let metric = number * 10;
    let mut forms = vec![
        format!("default via {gateway} dev {device} metric {metric} proto static"),
        format!("default via {gateway} dev {device} metric {metric} proto dhcp onlink"),
        format!("default via {gateway} dev {device} metric {metric} mtu 1400 advmss 1300"),
        format!("default via {gateway} dev {device} metric 500{number}"),
        format!("default via {gateway} dev {device} metric {metric} table 100{number}"),
        format!("default nhid {} metric {metric}", nexthop(provider, family)),
        format!("default dev {device} metric {metric} scope link"),
    ];
    match family {
        Family::V4 => forms.push(format!(
            "default via inet6 fe80::1 dev {device} metric {metric}"
        )),
        Family::V6 => {
            forms.push(format!(
                "default via fe80::1 dev {device} metric {metric} proto ra"
            ));
            forms.push(format!(
                "default from 2001:db8:{number}::/64 via {gateway} dev {device} metric {metric}"
            ));
        }
    }
    forms.push(String::new());
    forms
}

/// Routes and rules of others, by family: each is added and deleted. `@` stands for the family's whole Internet.
const IN_FAMILY: [&str; 26] = [
    "route default dev mgmt0 metric 5000 proto static",
    "route default dev wg0 metric 50 proto static",
    "route default dev wg0 metric 1",
    "route default dev mgmt0 metric 50 proto static",
    "route default dev mgmt0 metric 20 proto dhcp",
    "route default dev mgmt0 metric 1024 proto ra",
    "route default dev wg0 metric 1024",
    "route default dev wg0 table 176 metric 50",
    "route default dev mgmt0 table 176 metric 101",
    "route unreachable default metric 4278198272",
    "route blackhole default metric 5000",
    "route prohibit default metric 20",
    "rule pref 30000 fwmark 0x10000/0xff0000 lookup 100",
    "rule pref 19000 from VPN lookup 100",
    "rule from VPN lookup 100",
    "rule pref 25000 iif lan0 lookup 100",
    "rule not fwmark 51820 lookup 100",
    "rule pref 32764 not fwmark 51820 lookup 100",
    "rule pref 32765 lookup 100",
    "rule pref 32765 from VPN lookup 100",
    "rule pref 32780 lookup 100",
    "rule pref 32700 lookup 101",
    "rule pref 33900 lookup 100",
    "rule pref 29000 to TARGET unreachable",
    "rule pref 5209 fwmark 0x80000/0xff0000 goto 32800",
    "rule pref 40000 lookup 100",
];

/// What the router's network configuration sets for a device that is no uplink, as [`super::super::manual::devices`] has.
pub(super) fn beside(device: &str, family: Family) -> String {
    let own = match (device, family) {
        ("wg0", Family::V4) => "203.0.113.129/30",
        ("wg0", Family::V6) => "2001:db8:ff::1/64",
        (_, Family::V4) => "203.0.113.133/30",
        (_, Family::V6) => "2001:db8:fe::1/64",
    };
    let nodad = if family == Family::V6 { "nodad" } else { "" };
    let route = match device {
        "wg0" => "route add default dev wg0 table 100\n",
        _ => "",
    };
    format!("link set {device} up\naddr add {own} dev {device} {nodad}\n{route}")
}

/// All changes of this lab.
pub(super) fn changes(lab: &Lab) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |name: String, made: Vec<Deed>, undone: Vec<Deed>| {
        changes.push(Change { name, made, undone });
    };
    for family in Family::ALL {
        let v4 = family == Family::V4;
        let target = super::target(family).to_string();
        let (vpn, halves) = match v4 {
            true => ("203.0.113.129", ["0.0.0.0/1", "128.0.0.0/1"]),
            false => ("2001:db8:ff::1", ["2000::/3", "4000::/2"]),
        };
        for line in IN_FAMILY {
            let (object, rest) = line.split_once(' ').unwrap();
            let rest = rest.replace("VPN", vpn).replace("TARGET", &target);
            let [made, undone] = ["add", "del"]
                .map(|verb| Deed::Router(family, format!("{object} {verb} {rest}\n")));
            add(format!("{family} {line}"), vec![made], vec![undone]);
        }
        let each = |verb: &str| {
            let half = |half| format!("route {verb} {half} dev wg0\n");
            Deed::Router(family, halves.map(half).concat())
        };
        add(
            format!("{family} halves of the Internet"),
            vec![each("add")],
            vec![each("del")],
        );
        let moved = |from: u32, to: u32| {
            let line =
                format!("rule add pref {to} lookup local\nrule del pref {from} lookup local\n");
            Deed::Router(family, line)
        };
        add(
            format!("{family} local moved"),
            vec![moved(0, 32765)],
            vec![moved(32765, 0)],
        );
        for metric in [5, 300] {
            let [one, two] = [1, 2].map(|number| {
                let provider = lab.provider(number);
                let (gateway, device) = (provider.gateway_address(family), &provider.device);
                format!(" nexthop via {gateway} dev {device}")
            });
            let line = |verb| {
                let line = format!("route {verb} default metric {metric}{one}{two}\n");
                Deed::Router(family, line)
            };
            add(
                format!("{family} ways by both, metric {metric}"),
                vec![line("add")],
                vec![line("del")],
            );
        }
        let [one, two] = [1, 2].map(|number| nexthop(lab.provider(number), family));
        let group = 7 + family as usize;
        let made = format!(
            "nexthop add id {group} group {one}/{two}\nroute add default nhid {group} metric 7\n"
        );
        let undone = format!("route del default nhid {group} metric 7\nnexthop del id {group}\n");
        add(
            format!("{family} group of ways"),
            vec![Deed::Router(family, made)],
            vec![Deed::Router(family, undone)],
        );
    }
    for provider in &lab.providers {
        of_uplink(provider, &mut add);
    }
    for device in ["wg0", "mgmt0"] {
        let made = Deed::Router(Family::V4, format!("link set {device} down\n"));
        let undone = Family::ALL.map(|family| Deed::Router(family, beside(device, family)));
        add(format!("{device} down"), vec![made], undone.to_vec());
    }
    for option in OPTIONS {
        add(
            format!("option {option}"),
            vec![Deed::Reload],
            vec![Deed::Reload],
        );
    }
    changes
}

/// What befalls an uplink, and addresses beside its own.
fn of_uplink(provider: &Provider, add: &mut dyn FnMut(String, Vec<Deed>, Vec<Deed>)) {
    let Provider { device, number, .. } = provider;
    let (number, Addresses { own_v4, own_v6, .. }) = (*number, provider.addresses());
    let router = |family: Family, line: String| vec![Deed::Router(family, line)];
    let mut befalls = |name: &str, made: Vec<Deed>, mut undone: Vec<Deed>| {
        undone.push(Deed::Restores(number));
        add(format!("{device} {name}"), made, undone);
    };
    let down = format!("link set {device} down\n");
    befalls("down", router(Family::V4, down), vec![]);
    befalls(
        "without carrier",
        vec![Deed::Pulls(number)],
        vec![Deed::Plugs(number)],
    );
    befalls(
        "gone",
        vec![Deed::Unplugs(number)],
        vec![Deed::Inserts(number)],
    );
    befalls(
        "with a dead upstream",
        vec![Deed::Dies(number)],
        vec![Deed::Returns(number)],
    );
    for (family, own, length) in [
        (Family::V4, own_v4.to_string(), 26),
        (Family::V6, own_v6.to_string(), 64),
    ] {
        let flush = format!("addr flush dev {device} scope global\n");
        befalls(
            &format!("without {family} addresses"),
            router(family, flush),
            vec![],
        );
        let aged = |lifetime: &str| {
            router(
                family,
                format!("addr change {own}/{length} dev {device} preferred_lft {lifetime}\n"),
            )
        };
        befalls(
            &format!("with a deprecated {family} address"),
            aged("0 valid_lft forever"),
            aged("forever valid_lft forever"),
        );
        let net = 16 * number;
        let further = match family {
            Family::V4 => [
                format!("{own}/26@{}", Addresses::further_v4(own_v4, 9)),
                format!("203.0.113.{net}/28@203.0.113.{}", net + 3),
                format!("203.0.113.{}/31@203.0.113.{}", net + 80, net + 80),
                format!("203.0.113.{}/32@203.0.113.{}", net + 82, net + 82),
                format!(
                    "203.0.113.{}/32@203.0.113.{} peer 198.51.100.{}",
                    net + 83,
                    net + 83,
                    200 + number
                ),
            ],
            Family::V6 => [
                format!("{own}/64@2001:db8:{number}::9"),
                format!("2001:db8:a{number}::/64@2001:db8:a{number}::2"),
                format!("2001:db8:b{number}::/127@2001:db8:b{number}::"),
                format!("2001:db8:c{number}::7/128@2001:db8:c{number}::7"),
                format!(
                    "2001:db8:d{number}::7/128@2001:db8:d{number}::7 peer 2001:db8:e{number}::1"
                ),
            ],
        };
        for line in further {
            let (network, words) = line.split_once('@').unwrap();
            let (address, peer) = words.split_once(' ').unwrap_or((words, ""));
            let length = network.split_once('/').unwrap().1;
            let nodad = if family == Family::V6 { "nodad" } else { "" };
            let added = match peer {
                "" => format!("addr add {address}/{length} dev {device} {nodad}\n"),
                _ => format!("addr add {address} {peer} dev {device} {nodad}\n"),
            };
            let gone = match peer {
                "" => format!("addr del {address}/{length} dev {device}\n"),
                _ => format!("addr del {address} {peer} dev {device}\n"),
            };
            befalls(
                &format!("{family} {words}/{length}"),
                router(family, added),
                router(family, gone),
            );
        }
        // The old address goes, another of the same network comes.
        let other = match family {
            Family::V4 => Addresses::further_v4(own_v4, 16).to_string(),
            Family::V6 => format!("2001:db8:{number}::12"),
        };
        let nodad = if family == Family::V6 { "nodad" } else { "" };
        let renumbered = |old: &str, new: &str| {
            let line = format!(
                "addr del {old}/{length} dev {device}\naddr add {new}/{length} dev {device} {nodad}\n"
            );
            router(family, line)
        };
        befalls(
            &format!("{family} renumbered"),
            renumbered(&own, &other),
            renumbered(&other, &own),
        );
    }
}
