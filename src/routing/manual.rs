//! Whether a default route that was set by hand, or by a VPN, prevails over ours.

use super::layout::everywhere;
use super::objects::{Link, Route, RouteKind};
use crate::config::{Globals, Yield};
use crate::types::{
    DeviceName, Family, IPV6_USUAL, Metric, PROTOCOL, RTPROT_DHCP, RTPROT_RA, TABLE_MAIN,
};

/// Nothing that a person has set.
const BY_ITSELF: [u8; 2] = [RTPROT_DHCP, RTPROT_RA];

/// A default route in `main` that nothing there wins over, by a device that is no provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualDefault {
    /// its device
    pub device: DeviceName,
    /// the number of its device
    pub index: u32,
    /// its metric
    pub metric: Metric,
}

/// What there is of it in one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Manual {
    /// nothing
    #[default]
    None,
    /// it prevails: our `goto` is not to lead past it
    Obeyed(ManualDefault),
    /// it does not, for it looks like that of a device for management: the person should say what is meant
    Doubted(ManualDefault),
}

impl Manual {
    /// The one that prevails.
    pub fn obeyed(&self) -> Option<&ManualDefault> {
        match self {
            Manual::Obeyed(default) => Some(default),
            Manual::None | Manual::Doubted(_) => None,
        }
    }

    /// What there is in the kernel's picture. `is_named` tells whether a provider, in use or not, has a device.
    pub fn find(
        routes: &[Route],
        links: &[Link],
        family: Family,
        globals: &Globals,
        is_named: &dyn Fn(&Link) -> bool,
    ) -> Manual {
        if globals.table == TABLE_MAIN || globals.obeys == Yield::None {
            return Manual::None;
        }
        let main = (TABLE_MAIN, everywhere(family), None);
        let theirs = || {
            let all = routes.iter().filter(|r| r.protocol != PROTOCOL);
            all.filter(|r| (r.table, r.destination, r.from) == main)
        };
        let Some(metric) = theirs().map(|route| route.metric).min() else {
            return Manual::None;
        };
        // Of several that are equal, any may be the one that is taken.
        let mut found = None;
        for route in theirs().filter(|route| route.metric == metric) {
            let link = links.iter().find(|link| link.index == route.device);
            let foreign = link.filter(|link| !is_named(link));
            let Some(link) = foreign.filter(|_| route.kind == RouteKind::Unicast) else {
                return Manual::None;
            };
            found = Some((route, link));
        }
        found.map_or(Manual::None, |(route, link)| {
            judge(route, link, family, globals)
        })
    }
}

fn judge(route: &Route, link: &Link, family: Family, globals: &Globals) -> Manual {
    let metric = route.metric;
    // What the kernel gives to a route without a metric.
    let plain = match family {
        Family::V4 => Metric(0),
        Family::V6 => IPV6_USUAL,
    };
    if metric >= globals.start_metric && metric != plain {
        return Manual::None;
    }
    let default = ManualDefault {
        device: link.name.clone(),
        index: link.index,
        metric,
    };
    let unclear = metric == plain || BY_ITSELF.contains(&route.protocol);
    match globals.obeys {
        Yield::All => Manual::Obeyed(default),
        _ if link.ethernet && unclear => Manual::Doubted(default),
        _ if metric < globals.start_metric || link.point_to_point => Manual::Obeyed(default),
        _ => Manual::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::layout::fixture::{foreign_default, own};
    use crate::types::Prefix;

    const WG: u32 = 9;
    const NIC: u32 = 8;
    const ISP: u32 = 1;
    const TAP: u32 = 7;

    fn link(index: u32, name: &str, ethernet: bool, point_to_point: bool) -> Link {
        Link {
            index,
            name: name.try_into().unwrap(),
            altnames: heapless::Vec::new(),
            up: true,
            carrier: true,
            point_to_point,
            ethernet,
        }
    }

    fn by(family: Family, device: u32, metric: u32, protocol: u8) -> Route {
        Route {
            device,
            protocol,
            ..foreign_default(family, TABLE_MAIN, metric)
        }
    }

    fn find(family: Family, routes: &[Route], globals: &Globals) -> Manual {
        let links = [
            link(ISP, "eth1", true, false),
            link(TAP, "gre1", false, false),
            link(NIC, "mgmt0", true, false),
            link(WG, "wg0", false, true),
        ];
        Manual::find(routes, &links, family, globals, &|link| link.name == "eth1")
    }

    fn told(manual: &Manual) -> String {
        match manual {
            Manual::None => "none".to_owned(),
            Manual::Obeyed(of) => format!("{} {}", of.device, of.metric),
            Manual::Doubted(of) => format!("{} {}?", of.device, of.metric),
        }
    }

    #[test]
    fn by_device_metric_and_protocol() {
        let (v4, v6) = (Family::V4, Family::V6);
        for (family, device, metric, protocol, auto, all) in [
            (v4, WG, 0, 4, "wg0 0", "wg0 0"),
            (v4, WG, 1, 4, "wg0 1", "wg0 1"),
            (v6, WG, 1, 4, "wg0 1", "wg0 1"),
            (v6, WG, 1024, 3, "wg0 1024", "wg0 1024"),
            (v4, WG, 1024, 3, "none", "none"),
            (v4, WG, 99, 3, "wg0 99", "wg0 99"),
            (v4, WG, 100, 3, "none", "none"),
            (v4, WG, 50, 16, "wg0 50", "wg0 50"),
            (v4, TAP, 0, 3, "gre1 0", "gre1 0"),
            (v6, TAP, 1024, 3, "none", "gre1 1024"),
            (v4, NIC, 50, 3, "mgmt0 50", "mgmt0 50"),
            (v4, NIC, 0, 3, "mgmt0 0?", "mgmt0 0"),
            (v6, NIC, 1024, 3, "mgmt0 1024?", "mgmt0 1024"),
            (v4, NIC, 50, 16, "mgmt0 50?", "mgmt0 50"),
            (v6, NIC, 50, 9, "mgmt0 50?", "mgmt0 50"),
            (v6, NIC, 1024, 9, "mgmt0 1024?", "mgmt0 1024"),
            (v4, NIC, 1024, 16, "none", "none"),
            (v4, ISP, 1, 4, "none", "none"),
            (v4, WG, 1, PROTOCOL, "none", "none"),
            (v4, 55, 1, 4, "none", "none"),
        ] {
            let route = by(family, device, metric, protocol);
            for (obeys, expected) in [
                (Yield::Auto, auto),
                (Yield::All, all),
                (Yield::None, "none"),
            ] {
                let globals = Globals {
                    obeys,
                    ..Globals::default()
                };
                let found = find(family, &[route], &globals);
                assert_eq!(told(&found), expected, "{obeys:?} {route:?}");
                let in_main = Globals {
                    table: TABLE_MAIN,
                    ..globals
                };
                assert_eq!(find(family, &[route], &in_main), Manual::None);
            }
        }
    }

    #[test]
    fn only_the_best_of_all_counts() {
        let globals = Globals::default();
        for family in Family::ALL {
            let wg = by(family, WG, 50, 3);
            for (others, expected) in [
                (vec![by(family, ISP, 51, 16)], "wg0 50"),
                (vec![by(family, ISP, 50, 16)], "none"),
                (vec![by(family, ISP, 49, 16)], "none"),
                (
                    vec![by(family, NIC, 49, 3), by(family, ISP, 60, 16)],
                    "mgmt0 49",
                ),
                (vec![by(family, NIC, 1, 16)], "mgmt0 1?"),
                (vec![by(family, ISP, 1, PROTOCOL)], "wg0 50"),
                (
                    vec![by(family, ISP, 0, 3)],
                    if family == Family::V4 {
                        "none"
                    } else {
                        "wg0 50"
                    },
                ),
            ] {
                let metric = |route: &Route| match (family, route.metric) {
                    (Family::V6, Metric(0)) => Metric(1024),
                    (_, metric) => metric,
                };
                let others = others.iter().map(|route| Route {
                    metric: metric(route),
                    ..*route
                });
                let routes: Vec<Route> = others.chain([wg]).collect();
                assert_eq!(
                    told(&find(family, &routes, &globals)),
                    expected,
                    "{routes:?}"
                );
            }
            // What is none of this family, of this table, or no default for all.
            let other = if family == Family::V4 {
                Family::V6
            } else {
                Family::V4
            };
            let refuses = Route {
                kind: RouteKind::Other,
                device: 0,
                ..wg
            };
            let elsewhere = Route { table: 176, ..wg };
            let specific = Route {
                from: Some(Prefix::new(own(family, 50, 0).into(), 24)),
                ..wg
            };
            for route in [by(other, WG, 50, 3), refuses, elsewhere, specific] {
                assert_eq!(find(family, &[route], &globals), Manual::None);
            }
        }
    }
}
