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

impl Place {
    /// The member of an object here.
    pub(super) fn member(self, key: Text<'_>) -> Place {
        match (self, key.unwrap_or_default()) {
            (Place::Dump, "interface") => Place::Interfaces,
            (Place::Interface, "interface") => Place::Name,
            (Place::Interface, "up") => Place::Up,
            (Place::Interface, "dynamic") => Place::Dynamic,
            (Place::Interface, "proto") => Place::Protocol,
            (Place::Interface, "l3_device") => Place::Device,
            (Place::Interface, "ipv4-address") => Place::Networks(Kind::Own(Family::V4)),
            (Place::Interface, "ipv6-address") => Place::Networks(Kind::Own(Family::V6)),
            (Place::Interface, "ipv6-prefix") => Place::Networks(Kind::Delegated),
            (Place::Interface, "dns-server") => Place::Resolvers,
            (Place::Interface, "route") => Place::Routes { in_force: true },
            (Place::Interface, "inactive") => Place::Inactive,
            (Place::Inactive, "route") => Place::Routes { in_force: false },
            (Place::Network(_), "address") | (Place::Route { .. }, "target") => Place::Address,
            (Place::Network(_) | Place::Route { .. }, "mask") => Place::Mask,
            (Place::Route { .. }, "nexthop") => Place::NextHop,
            (Place::Route { .. }, "table") => Place::Table,
            _ => Place::Ignored,
        }
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
