//! Interprets the events of a dump.

use heapless::Vec;

use super::Sink;
use super::draft::{Draft, Item};
use super::place::Place;
use crate::option::value;
use crate::wire::json::{self, Event, Malformed, Value};

/// Interprets the events of a dump.
#[derive(Clone, Debug)]
pub(super) struct Meaning {
    /// the meaning of each open bracket, the innermost last
    open: Vec<Place, { json::DEPTH_MAX }>,
    /// the meaning of the next value
    next: Place,
    /// the list of interfaces was found
    pub(super) listed: bool,
    draft: Draft,
    item: Item,
}

impl Meaning {
    pub(super) const fn new() -> Meaning {
        Meaning {
            open: Vec::new(),
            next: Place::Dump,
            listed: false,
            draft: Draft::new(),
            item: Item::new(),
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>, sink: Sink<'_>) -> Result<(), Malformed> {
        match event {
            Event::Key(key) => {
                let here = self.open.last().copied().unwrap_or(Place::Ignored);
                self.next = here.member(key);
                return Ok(());
            }
            Event::Object => self.opens(self.next.is_object())?,
            Event::List => self.opens(self.next.is_list())?,
            Event::Value(value) => {
                let understood = match self.next {
                    // A dump without interfaces is invalid.
                    Place::Dump | Place::Interfaces | Place::Interface => return Err(Malformed),
                    place => self.value(place, value),
                };
                self.draft.wrong |= understood.is_none();
            }
            Event::End => self.closes(sink),
        }
        let here = self.open.last().copied().unwrap_or(Place::Ignored);
        self.next = here.item();
        Ok(())
    }

    fn opens(&mut self, expected: bool) -> Result<(), Malformed> {
        let place = match self.next {
            place if expected => place,
            Place::Dump | Place::Interfaces | Place::Interface => return Err(Malformed),
            Place::Ignored => Place::Ignored,
            _ => {
                self.draft.wrong = true;
                Place::Ignored
            }
        };
        match place {
            Place::Interfaces => self.listed = true,
            Place::Interface => self.draft = Draft::new(),
            Place::Network(_) | Place::Route { .. } => self.item = Item::new(),
            _ => {}
        }
        self.open.push(place).map_err(|_| Malformed)
    }

    fn closes(&mut self, sink: Sink<'_>) {
        let understood = match self.open.pop() {
            Some(Place::Interface) => {
                self.draft.tell(sink);
                return;
            }
            Some(Place::Network(kind)) => self.draft.network(kind, &self.item),
            Some(Place::Route { in_force }) => self.draft.route(in_force, &self.item),
            _ => return,
        };
        self.draft.wrong |= understood.is_none();
    }

    /// Takes a value; none if its type is unexpected.
    fn value(&mut self, place: Place, value: Value<'_>) -> Option<()> {
        match (place, value) {
            (Place::Ignored, _) => {}
            (Place::Name, Value::String(name)) => {
                // A name that the configuration does not accept is ignored.
                self.draft.name.clear();
                let _ = self.draft.name.push_str(name.unwrap_or_default());
            }
            (Place::Up, Value::Bool(up)) => self.draft.interface.up = up,
            (Place::Dynamic, Value::Bool(dynamic)) => self.draft.interface.dynamic = dynamic,
            (Place::Protocol, Value::String(name)) => {
                self.draft.interface.wireguard =
                    name.is_some_and(|name| ["wireguard", "amneziawg"].contains(&name));
            }
            (Place::Device, Value::String(name)) => {
                self.draft.device.clear();
                let name = name.filter(|name| value::device(name).is_ok());
                let _ = self.draft.device.push_str(name.unwrap_or_default());
            }
            (Place::Device, Value::Null) => self.draft.device.clear(),
            (Place::Address, Value::String(address)) => {
                self.item.address = Some(address?.parse().ok()?);
            }
            (Place::Resolver, Value::String(address)) => {
                // One that the configuration would refuse has no rule: peers tell 0.0.0.0 for none.
                if let Some(address) = address.and_then(|address| value::resolver(address).ok()) {
                    let _ = self.draft.interface.dns.push(address);
                }
            }
            (Place::Mask, Value::Number(mask)) => {
                self.item.mask = Some(u8::try_from(mask?.parse::<u32>().ok()?).ok()?);
            }
            (Place::NextHop, Value::String(hop)) => {
                self.item.hop = hop?.parse().ok();
                self.item.wrong_hop = self.item.hop.is_none();
            }
            (Place::Table, Value::Number(table)) => {
                let _: u32 = table?.parse().ok()?;
                self.item.in_table = true;
            }
            (Place::NextHop | Place::Table | Place::Protocol, Value::Null) => {}
            _ => return None,
        }
        Some(())
    }
}
