//! Interfaces → uplinks: an interface of IPv4 and one of IPv6 on the same device are one.

use super::Notes;
use super::interface::Interface;
use super::sections::{Section, find, of_kind};
use crate::types::Family;

/// What becomes a provider.
#[derive(Debug)]
pub(super) struct Uplink<'a> {
    pub(super) id: String,
    pub(super) enabled: bool,
    /// the one whose settings count
    pub(super) first: Interface<'a>,
    /// that of IPv6, when the first is of IPv4
    pub(super) second: Option<Interface<'a>>,
}

impl<'a> Uplink<'a> {
    /// One or two.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &Interface<'a>> {
        [&self.first].into_iter().chain(&self.second)
    }

    /// Its interface in a family.
    pub(super) fn of(&self, family: Family) -> Option<&Interface<'a>> {
        self.interfaces().find(|one| one.family == family)
    }
}

/// Joins the interfaces that are to be, in the order of the file.
pub(super) fn join<'a>(
    sections: &'a [Section],
    network: &[Section],
    notes: &mut Notes,
) -> Vec<Uplink<'a>> {
    let mut interfaces: Vec<Interface<'a>> = Vec::new();
    for section in of_kind(sections, "interface") {
        interfaces.extend(Interface::read(section, network, notes));
    }
    let mut uplinks: Vec<Uplink<'a>> = Vec::new();
    while !interfaces.is_empty() {
        let one = interfaces.remove(0);
        let other = interfaces
            .iter()
            .position(|other| same(&one, other).is_some());
        let other = other.map(|place| interfaces.remove(place));
        let (first, second) = pair(one, other, notes);
        let uplink = Uplink {
            id: id(&first, sections, &uplinks, notes),
            enabled: first.enabled,
            first,
            second,
        };
        for other in uplinks.iter().filter(|other| share_device(other, &uplink)) {
            let what = [
                "has the device of '",
                &other.id,
                "'; of two providers on one device, one waits",
            ];
            uplink.first.note(&what, notes);
        }
        uplinks.push(uplink);
    }
    uplinks
}

/// Of two, IPv4's comes first; one that is out of use while the other is not is left out.
fn pair<'a>(
    one: Interface<'a>,
    other: Option<Interface<'a>>,
    notes: &mut Notes,
) -> (Interface<'a>, Option<Interface<'a>>) {
    let Some(other) = other else {
        return (one, None);
    };
    let (first, second) = match one.family {
        Family::V4 => (one, other),
        Family::V6 => (other, one),
    };
    let (kept, left) = match (first.enabled, second.enabled) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        _ => {
            let (name, why) = (first.name(), same(&first, &second).unwrap_or_default());
            second.note(&["one provider with '", name, "': ", why], notes);
            if first.timing != second.timing || first.reliability != second.reliability {
                let what = [
                    "a provider has one timing, and one quorum: that of '",
                    name,
                    "' counts",
                ];
                second.note(&what, notes);
            }
            return (first, Some(second));
        }
    };
    let what = "'; `list interface` and checks of its family bring it in";
    left.note(
        &["disabled: left out of provider '", kept.name(), what],
        notes,
    );
    (kept, None)
}

/// Why two interfaces are one uplink.
fn same(one: &Interface<'_>, other: &Interface<'_>) -> Option<&'static str> {
    if one.family == other.family {
        return None;
    }
    match (&one.device, &other.device) {
        (Some(one), Some(other)) => (one == other).then_some("they have the same device"),
        _ => (stem(one) == stem(other))
            .then_some("their names say so; make two of it if their devices differ"),
    }
}

/// `wan6`, `wan_6` and `wan_4` belong to `wan`.
fn stem<'a>(interface: &Interface<'a>) -> &'a str {
    let name = interface.name();
    let endings: &[&str] = match interface.family {
        Family::V4 => &["_4"],
        Family::V6 => &["_v6", "v6", "_6", "6"],
    };
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending));
    stem.unwrap_or(name)
}

fn share_device(one: &Uplink<'_>, other: &Uplink<'_>) -> bool {
    let shared = |one: &Interface<'_>| {
        let mut others = other.interfaces();
        one.device.is_some() && others.any(|other| other.device == one.device)
    };
    one.enabled && other.enabled && one.interfaces().any(shared)
}

/// The interface's name, unless our configuration needs it for something else.
fn id(
    first: &Interface<'_>,
    sections: &[Section],
    uplinks: &[Uplink<'_>],
    notes: &mut Notes,
) -> String {
    let mut id = first.name().to_owned();
    let is_checks = CHECK_PREFIXES.iter().any(|prefix| id.starts_with(prefix));
    if !["auto", "globals"].contains(&&*id) && !is_checks {
        return id;
    }
    let taken = |id: &str| {
        find(sections, "interface", id).is_some() || uplinks.iter().any(|other| other.id == id)
    };
    let mut number = 0_u32;
    while number == 0 || taken(&id) {
        number += 1;
        id = ["uplink", &number.to_string()].concat();
    }
    first.note(
        &["the name is reserved: the provider is '", &id, "'"],
        notes,
    );
    id
}

/// The names of checks begin so: with their type.
pub(super) const CHECK_PREFIXES: [&str; 4] = ["ping_", "tcp_", "arp_", "ndp_"];
