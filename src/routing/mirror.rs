//! The mirror: the kernel's links, addresses, routes and rules as far as they concern us, kept by events and dumps.
//!
//! It holds what is ours; the providers' devices, their addresses and a few of others in each of their networks; the default
//! routes by these devices, and those in tables that we look up, with their devices; of the rules of others, those for all
//! packets, and those behind ours; and a few addresses of other devices. Whatever else a router has a thousand of takes no
//! place here: containers, customers' tables and rules. (A mirror that is to watch nothing in particular holds everything.) It is fed only with what the
//! kernel says, never with what we asked it for.
//!
//! Events alone do not tell all: Linux deletes IPv4 routes without a word when their device goes down or loses its last
//! address, and tells of multipath routes only in part. Then the mirror draws the sure conclusions at once and names the
//! [`Kinds`] that a fresh dump must confirm: [`Mirror::needs`].
//!
//! Room is bounded. What concerns us comes first ([`Mirror::watch`]), and of what many tell of one uplink, the best few.
//! What has no room is counted, and dumped as soon as there is room again.

mod events;
mod extras;
mod interest;
mod kinds;
mod missing;
mod table;

use core::net::IpAddr;

use interest::{Class, Interest, Watched};

use crate::limits::{
    ADDRESSES_MAX, KEPT_MIN, LINKS_MAX, OTHER_ADDRESSES_MAX, ROUTES_MAX, RULES_MAX,
};
use crate::routing::asked::is_wide;
use crate::routing::objects::{
    Address, AddressState, Attributes, Extras, Link, Route, RouteKind, Rule, RuleVerdict, Selector,
};
use crate::types::{Family, PROTOCOL};
pub use interest::{EachNamed, Named};
pub(crate) use interest::{is_policy_table, preference};
pub use kinds::Kinds;
use missing::Missing;
use table::{Inserted, Table};

/// A thing that the kernel told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// a device
    Link(Link),
    /// an address
    Address(Address),
    /// a route, and what the mirror does not hold with it
    Route(Route, Aside),
    /// a rule
    Rule(Rule),
}

/// What comes with a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// whether a nexthop object (`RTA_NH_ID`) holds its way
    pub nexthop: bool,
    /// what it carries, unless its [`Extras`] have a number already
    pub attributes: Attributes,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// it exists now, or has changed
    Is(Object),
    /// it exists now, in the place of the one with the same key (`NLM_F_REPLACE`; routes only)
    Replaces(Object),
    /// it exists no longer
    Gone(Object),
    /// a nexthop object has changed or gone, perhaps with its routes
    Nexthops,
    /// the IPv6 parameters of a device have changed, perhaps with the metrics of routes by router advertisements, of which
    /// no event tells (ndisc.c: ndisc_router_discovery)
    Parameters,
}

/// How a dump ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dumped {
    /// it showed everything
    Whole,
    /// it showed everything, but not all could be read: what was known stays
    InPart,
    /// it broke off, and is still needed
    Failed,
}

/// What went wrong with watching, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// the kernel had more events than room for them
    pub overruns: u32,
    /// messages that the decoder could not read
    pub undecodable: u32,
    /// things there was no room to watch
    pub overflows: u32,
}

/// The picture of the kernel's state. See the module.
#[derive(Debug)]
#[repr(C)] // what is small stands by the beginning of a list
pub struct Mirror {
    needs: Kinds,
    /// the kinds with a route whose way is held by a nexthop object
    nexthops: Kinds,
    /// the kinds in which the kernel may have routes that look alike here: they differ in what the mirror does not know
    twins: Kinds,
    /// see [`Counters`]
    pub counters: Counters,
    /// the kind that a dump is showing
    dumping: Kinds,
    /// something that is not held and may change the way of packets has come or gone
    ways_changed: bool,
    /// the kinds of which something was left out since the start, as it does not concern us
    left_out: Kinds,
    /// the kinds of which only the best few are held, and others there are
    few: Kinds,
    /// the same before the dump
    few_before: Kinds,
    /// the kinds of which what was left out concerns us since, as the dump has shown
    again: Kinds,
    missing: Missing,
    /// what was missing before the dump
    missed: Missing,
    interest: Interest,
    links: Table<Link, LINKS_MAX>,
    addresses: Table<Address, ADDRESSES_MAX>,
    routes: Table<Route, ROUTES_MAX>,
    rules: Table<Rule, RULES_MAX>,
    extras: extras::Known,
}

impl Default for Mirror {
    fn default() -> Mirror {
        Mirror::new()
    }
}

impl Mirror {
    /// An empty one: all zero bytes. It is large; it belongs into a static.
    pub const fn new() -> Mirror {
        Mirror {
            links: Table::new(),
            addresses: Table::new(),
            routes: Table::new(),
            rules: Table::new(),
            extras: extras::Known::new(),
            dumping: Kinds::NONE,
            ways_changed: false,
            left_out: Kinds::NONE,
            few: Kinds::NONE,
            few_before: Kinds::NONE,
            again: Kinds::NONE,
            missing: Missing::new(),
            missed: Missing::new(),
            interest: Interest::new(),
            needs: Kinds::NONE,
            nexthops: Kinds::NONE,
            twins: Kinds::NONE,
            counters: Counters {
                overruns: 0,
                undecodable: 0,
                overflows: 0,
            },
        }
    }

    /// The devices.
    pub fn links(&self) -> &[Link] {
        self.links.as_slice()
    }

    /// The addresses.
    pub fn addresses(&self) -> &[Address] {
        self.addresses.as_slice()
    }

    /// Default routes, and every route of ours.
    pub fn routes(&self) -> &[Route] {
        self.routes.as_slice()
    }

    /// Rules, and among them every one of ours.
    pub fn rules(&self) -> &[Rule] {
        self.rules.as_slice()
    }

    /// The device of a name, or of an alternative name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        let mut links = self.links().iter();
        let named = links.find(|link| link.name == name);
        named.or_else(|| self.links().iter().find(|link| link.is_called(name)))
    }

    /// The attributes that a route carries, as netlink has them.
    pub fn attributes(&self, extras: Extras) -> &[u8] {
        self.extras.of(extras.number)
    }

    /// Give an address room that is to be a path's own, until the next call of [`Mirror::watch`].
    pub fn look_for(&mut self, own: Option<IpAddr>) {
        self.interest.name_address(own);
    }

    /// Whether a device is one of those that are named: a provider's.
    pub fn is_watched_device(&self, index: u32) -> bool {
        self.interest.has_device(index)
    }

    /// What a fresh dump must show anew, because events did not tell it for sure.
    pub const fn needs(&self) -> Kinds {
        self.needs
    }

    /// Say that a fresh dump is needed.
    pub const fn need(&mut self, kinds: Kinds) {
        self.needs.add(kinds);
    }

    /// From now on, what is named here has room before anything else. Whether a dump is needed for that.
    pub fn watch(&mut self, each: &EachNamed<'_>) -> bool {
        if !self.interest.take_over(each) {
            return false;
        }
        self.interest.note_all(self.links.as_slice());
        self.missing.suspect();
        let mut unknown = self.missing.any();
        unknown.add(self.left_out);
        self.needs.add(unknown);
        !unknown.is_empty()
    }

    /// The kinds of which the kernel has more than there is room for.
    pub const fn lacks(&self) -> Kinds {
        self.missing.any()
    }

    /// How many of these kinds there was no room for.
    pub fn missing(&self, kinds: Kinds) -> u16 {
        self.missing.count(kinds)
    }

    /// How many default routes that may win over ours lead by devices that there is no room to watch.
    pub fn unwatched(&self) -> usize {
        self.interest.unnoted(self.routes())
    }

    /// Whether the picture may lack what concerns us of these kinds, so that what it does not show may be there.
    pub fn is_unsure(&self, kinds: Kinds) -> bool {
        let doubted = self.missing.concerning().and(self.needs);
        doubted.has(kinds) || self.missing.blind().has(kinds)
    }

    /// Take in an event; what has changed in the picture. Events may come twice.
    pub fn apply(&mut self, news: News) -> Kinds {
        if let News::Is(object) | News::Replaces(object) | News::Gone(object) = &news {
            self.ways_changed |= changes_ways(object);
        }
        let changed = self.take_in(news);
        // What was left out may be better now than what is known.
        self.needs.add(changed.and(self.missing.concerning()));
        self.look_for_room();
        changed
    }

    /// Whether something that may change the way of packets has come or gone since this was last asked, held or not.
    pub const fn take_ways_changed(&mut self) -> bool {
        core::mem::replace(&mut self.ways_changed, false)
    }

    /// A dump of one kind begins: [`Mirror::record`] all it shows, then call [`Mirror::end`].
    pub fn begin(&mut self, kind: Kinds) {
        (self.dumping, self.missed) = (kind, self.missing);
        self.missing.forget(kind);
        self.few_before = self.few;
        self.few.drop(kind);
        self.again.drop(kind);
        self.nexthops.drop(kind);
        self.twins.drop(kind);
        match kind {
            Kinds::LINKS => self.links.suspect_all(),
            Kinds::ADDRESSES => self.addresses.suspect_all(),
            Kinds::RULES => self.rules.suspect_all(),
            routes => self
                .routes
                .suspect(&|route| routes.has(Kinds::routes(family(route)))),
        }
    }

    /// A dump of one kind has ended; what has changed. What a whole one did not show is gone.
    pub fn end(&mut self, kind: Kinds, dumped: Dumped) -> Kinds {
        if dumped != Dumped::Failed {
            self.needs.drop(kind);
        }
        let whole = dumped == Dumped::Whole;
        let changed = match kind {
            Kinds::LINKS => self.links.settle(whole),
            Kinds::ADDRESSES => self.addresses.settle(whole),
            Kinds::RULES => self.rules.settle(whole),
            _ => self.routes.settle(whole),
        };
        if kind == Kinds::LINKS && changed {
            self.interest.note_all(self.links.as_slice());
        }
        self.dumping = Kinds::NONE;
        if whole {
            // What went has made room for what was shown before it went.
            let again = self.missing.any().has(kind) && self.room(kind) > 0;
            self.needs.add(kind.when(again));
            // What went may have been among the best few.
            self.again.add(self.few.and(kind.when(changed)));
        } else {
            self.missing.restore(kind, &self.missed);
            self.few.add(self.few_before.and(kind));
        }
        self.needs.add(self.again.and(kind));
        self.again.drop(kind);
        let more = self
            .missing
            .count(kind)
            .saturating_sub(self.missed.count(kind));
        self.count_overflows(more.into());
        self.look_for_room();
        kind.when(changed)
    }

    /// Take in that a thing exists, without concluding anything from it; what has changed.
    pub fn record(&mut self, mut object: Object) -> Kinds {
        self.number_extras(&mut object);
        match object {
            Object::Link(link) => self.record_link(link),
            Object::Address(address) => self.record_address(&address),
            Object::Route(route, aside) => self.record_route(&route, aside.nexthop),
            Object::Rule(rule) => self.record_rule(rule),
        }
    }

    /// Gives what a route carries its number.
    fn number_extras(&mut self, object: &mut Object) {
        if let Object::Route(route, aside) = object
            && !aside.attributes.is_empty()
            && relevant(route)
        {
            let known = self.routes.as_slice();
            route.extras.number = self.extras.number(&aside.attributes, known);
            aside.attributes.clear();
        }
    }

    fn record_link(&mut self, link: Link) -> Kinds {
        let index = link.index;
        if self.interest.note(&link) {
            self.look_closer(Kinds::ADDRESSES);
            self.look_closer(Kinds::ROUTES);
        }
        if self.leaves_out(&link) {
            // It may have had another name.
            let known = self.links.remove(&|old| old.index == index);
            return Kinds::LINKS.when(known);
        }
        let inserted = self.links.insert(link, &self.interest);
        self.recorded(Kinds::LINKS, inserted)
    }

    fn record_address(&mut self, address: &Address) -> Kinds {
        let may_forget = self.dumping.is_empty();
        if self.interest.note_address(address, may_forget) {
            self.look_closer(Kinds::ADDRESSES);
        }
        let same = |old: &Address| old.is_same(address);
        // A secondary one that is promoted comes behind the other primary ones (devinet.c: `__inet_del_ifa`).
        let v4 = address.family() == Family::V4;
        let promoted = |old: &Address| v4 && old.secondary && !address.secondary && same(old);
        self.addresses.remove(&promoted);
        if address.is_usable() && !address.near {
            self.forget_withdrawn(address.device);
        }
        if self.leaves_out(address) {
            let is_other = |old: &&Address| old.class(&self.interest) == Class::Other;
            let others = self.addresses().iter().filter(is_other).count();
            let known = self.addresses().iter().any(same);
            // One of the Internet may be in a prefix that is delegated to a path without an address.
            let most = OTHER_ADDRESSES_MAX << u8::from(address.is_global());
            if !known && (others >= most || self.addresses.room() == 0) {
                let news = self.dumping.is_empty() && address.is_global();
                return Kinds::ADDRESSES.when(news);
            }
        } else if self.are_enough(address) {
            return Kinds::NONE;
        }
        let inserted = self.addresses.insert(*address, &self.interest);
        self.recorded(Kinds::ADDRESSES, inserted)
    }

    /// It is no longer of interest which addresses a device could not have.
    fn forget_withdrawn(&mut self, device: u32) -> bool {
        let withdrawn = |a: &Address| a.device == device && a.state == AddressState::Withdrawn;
        self.addresses.remove(&withdrawn)
    }

    fn record_route(&mut self, route: &Route, nexthop: bool) -> Kinds {
        if !relevant(route) {
            return Kinds::NONE;
        }
        let kind = route.kind();
        let known = self.routes.as_slice();
        let leads = |device| known.iter().any(|route| route.device == device);
        if self.interest.note_route(route, &leads) {
            self.look_closer(Kinds::LINKS);
        }
        if self.leaves_out(route) || !self.is_among_few(route) {
            return Kinds::NONE;
        }
        self.nexthops.add(kind.when(nexthop));
        let inserted = self.routes.insert(*route, &self.interest);
        let twin = route.kind != RouteKind::Hop && matches!(inserted, Inserted::Again);
        self.twins.add(kind.when(twin));
        let left_out = route.extras.number == Extras::LEFT_OUT && matches!(inserted, Inserted::New);
        self.count_overflows(left_out.into());
        self.recorded(kind, inserted)
    }

    fn record_rule(&mut self, rule: Rule) -> Kinds {
        if self.leaves_out(&rule) {
            return Kinds::NONE;
        }
        let ours = rule.protocol == PROTOCOL;
        let inserted = self.rules.insert(rule, &self.interest);
        // While one is moved behind others, there are two.
        let twin = ours && matches!(inserted, Inserted::Again);
        self.twins.add(Kinds::RULES.when(twin));
        self.recorded(Kinds::RULES, inserted)
    }

    /// Whether an address would be one too many of others in one network of ours.
    fn are_enough(&mut self, address: &Address) -> bool {
        if self.interest.is_general() || !address.few_suffice(&self.interest) {
            return false;
        }
        let known = self.addresses().iter();
        let akin = known.filter(|old| old.is_akin(address, &self.interest));
        let enough = !akin.clone().any(|old| old.is_same(address))
            && akin.take(KEPT_MIN).count() == KEPT_MIN;
        self.few.add(Kinds::ADDRESSES.when(enough));
        self.left_out.add(Kinds::ADDRESSES.when(enough));
        enough
    }

    /// Whether a thing does not concern us, and takes no place.
    fn leaves_out<T: Watched>(&mut self, thing: &T) -> bool {
        let out = !self.interest.is_general() && thing.class(&self.interest) == Class::Other;
        self.left_out.add(thing.kind().when(out));
        out
    }

    /// Whether a route is one of those that are enough, which it may be in another's place.
    fn is_among_few(&mut self, route: &Route) -> bool {
        if self.interest.is_general() {
            return true;
        }
        let (is_one, others) = self.routes.admit(route, &self.interest);
        self.few.add(route.kind().when(others));
        is_one
    }

    /// What was left out of these kinds may concern us since.
    fn look_closer(&mut self, kinds: Kinds) {
        let unknown = self.left_out.and(kinds);
        self.again.add(unknown.and(self.dumping));
        self.needs.add(unknown);
    }

    /// What the recording of a thing of this kind has changed. What is left out is counted.
    fn recorded(&mut self, kind: Kinds, inserted: Inserted) -> Kinds {
        let left_out = match inserted {
            Inserted::Known | Inserted::Again => return Kinds::NONE,
            Inserted::New => return kind,
            Inserted::Without(left_out) => left_out,
        };
        let out = left_out.kind;
        let dumped = self.dumping.has(out);
        // Of what is left out by an event, only a dump tells how many there are: it may be told of again and again.
        // And what a dump has not shown yet is counted when it is shown.
        let counted = match dumped {
            true => !left_out.stale,
            false => left_out.was_known,
        };
        if !dumped {
            self.count_overflows(1);
            self.needs.add(out.when(!self.missing.any().has(out)));
        }
        self.missing.add(out, counted);
        // Of rules of others, none that is not known takes the place of one that has gone.
        if left_out.concerns && out != Kinds::RULES {
            self.missing.add_concerning(out, left_out.blind);
        }
        let mut changed = kind;
        changed.add(out);
        changed.when(left_out.was_known)
    }

    fn count_overflows(&mut self, more: u32) {
        self.counters.overflows = self.counters.overflows.wrapping_add(more);
    }

    /// Something is gone that was perhaps left out.
    fn unknown_gone(&mut self, kind: Kinds) {
        if self.missing.any().has(kind) {
            self.missing.gone(kind);
        }
    }

    /// What was left out is to be dumped as soon as there is room for all of it.
    fn look_for_room(&mut self) {
        if self.interest.note_unnoted(self.routes.as_slice()) {
            self.look_closer(Kinds::LINKS);
        }
        if self.missing.any().is_empty() {
            return;
        }
        for &kind in &Kinds::EACH {
            let fits = self.room(kind) >= usize::from(self.missing.count(kind));
            let again = self.missing.any().has(kind) && fits;
            self.needs.add(kind.when(again));
        }
    }

    fn room(&self, kind: Kinds) -> usize {
        match kind {
            Kinds::LINKS => self.links.room(),
            Kinds::ADDRESSES => self.addresses.room(),
            Kinds::RULES => self.rules.room(),
            _ => self.routes.room(),
        }
    }
}

/// The family of a route.
pub(crate) fn family(route: &Route) -> Family {
    Family::of_prefix(&route.destination)
}

/// Whether its destination is everything.
pub(crate) fn is_default(route: &Route) -> bool {
    route.destination.prefix_len() == 0
}

/// Whether the kernel has made it by a router advertisement (`RTPROT_RA`).
fn is_advertised(route: &Route) -> bool {
    route.protocol == 9 && family(route) == Family::V6 && is_default(route)
}

fn relevant(route: &Route) -> bool {
    is_default(route) || route.protocol == PROTOCOL
}

/// Whether the way of packets may be another when this comes or goes, though it is not ours.
fn changes_ways(object: &Object) -> bool {
    match object {
        Object::Route(route, _) => {
            let length = route.destination.prefix_len();
            route.protocol != PROTOCOL && (length == 0 || is_wide(family(route), length))
        }
        Object::Rule(rule) => rule.protocol != PROTOCOL,
        // Its IPv4 routes go without an event.
        Object::Link(link) => !link.up,
        Object::Address(_) => false,
    }
}

#[cfg(test)]
mod tests;
