//! The meaning of a value, by its position in the dump.

use crate::types::Family;
use crate::wire::json::Text;

/// The meaning of a value, by its position in the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// ignored, and so is all inside of it
    Ignored,
    Dump,
    Interfaces,
    Interface,
    Name,
    Up,
    Dynamic,
    Protocol,
    Device,
    Networks(Kind),
    Network(Kind),
    Address,
    Mask,
    /// the routes that netifd does not install: with `defaultroute 0`, the default route is here
    Inactive,
    Routes {
        in_force: bool,
    },
    Route {
        in_force: bool,
    },
    NextHop,
    Table,
    Resolvers,
    Resolver,
}

/// The addresses in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Own(Family),
    Delegated,
}

/// The members of an interface.
const INTERFACE: [(&str, Place); 11] = [
    ("interface", Place::Name),
    ("up", Place::Up),
    ("dynamic", Place::Dynamic),
    ("proto", Place::Protocol),
    ("l3_device", Place::Device),
    ("ipv4-address", Place::Networks(Kind::Own(Family::V4))),
    ("ipv6-address", Place::Networks(Kind::Own(Family::V6))),
    ("ipv6-prefix", Place::Networks(Kind::Delegated)),
    ("dns-server", Place::Resolvers),
    ("route", Place::Routes { in_force: true }),
    ("inactive", Place::Inactive),
];

/// The members of a route.
const ROUTE: [(&str, Place); 4] = [
    ("target", Place::Address),
    ("mask", Place::Mask),
    ("nexthop", Place::NextHop),
    ("table", Place::Table),
];

impl Place {
    /// The member of an object here.
    pub(super) fn member(self, key: Text<'_>) -> Place {
        let members: &[(&str, Place)] = match self {
            Place::Dump => &[("interface", Place::Interfaces)],
            Place::Interface => &INTERFACE,
            Place::Inactive => &[("route", Place::Routes { in_force: false })],
            Place::Network(_) => &[("address", Place::Address), ("mask", Place::Mask)],
            Place::Route { .. } => &ROUTE,
            _ => &[],
        };
        let mut members = members.iter();
        let found = members.find(|(name, _)| key == Some(*name));
        found.map_or(Place::Ignored, |(_, place)| *place)
    }

    /// An item of a list here.
    pub(super) fn item(self) -> Place {
        match self {
            Place::Interfaces => Place::Interface,
            Place::Networks(kind) => Place::Network(kind),
            Place::Routes { in_force } => Place::Route { in_force },
            Place::Resolvers => Place::Resolver,
            _ => Place::Ignored,
        }
    }

    pub(super) fn is_object(self) -> bool {
        use Place::{Dump, Inactive, Interface, Network, Route};
        matches!(
            self,
            Dump | Interface | Inactive | Network(_) | Route { .. }
        )
    }

    pub(super) fn is_list(self) -> bool {
        use Place::{Interfaces, Networks, Resolvers, Routes};
        matches!(self, Interfaces | Networks(_) | Resolvers | Routes { .. })
    }
}
