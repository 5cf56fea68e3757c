//! Requests to the kernel: to make a change, and to dump a kind of object.

use std::io;

use nix::errno::Errno;
use nix::libc;

use crate::limits::{DATAGRAM_MAX, DUMP_PATIENCE, DUMP_TRIES};
use crate::linux::errno::fault;
use crate::linux::netlink::attribute::Request;
use crate::linux::netlink::decode::{self, Members};
use crate::linux::netlink::encode;
use crate::linux::netlink::exchange::{Exchange, ReadAnswer, Worth};
use crate::linux::netlink::prefilter::{RTM_NEWNEXTHOP, concerns_us};
use crate::linux::netlink::socket::{Message, NetlinkSocket};
use crate::routing::mirror::{self, Aside, Dumped, Kinds, Mirror, News, Object};
use crate::routing::objects::{Change, Route, RouteKind, RuleVerdict};
use crate::types::{Family, Fault};

/// The socket for requests: one request at a time, each with a deadline.
pub struct Requests {
    exchange: Exchange,
}

impl Requests {
    /// Opens the socket.
    ///
    /// # Errors
    /// No netlink socket could be opened.
    pub fn open() -> io::Result<Requests> {
        NetlinkSocket::open(libc::NETLINK_ROUTE, 0, DATAGRAM_MAX).map(Requests::over)
    }

    pub(super) fn over(socket: NetlinkSocket) -> Requests {
        let mut exchange = Exchange::new(libc::NETLINK_ROUTE, DATAGRAM_MAX, DUMP_PATIENCE);
        exchange.socket = Some(socket);
        Requests { exchange }
    }

    /// Makes a change. The kernel has made it when this returns.
    ///
    /// # Errors
    /// The kernel's error; [`Fault::TimedOut`] if it has not answered in [`crate::limits::REQUEST_PATIENCE`];
    /// [`Fault::NoBuffers`] if its answer was lost. In the latter two cases the change may have been made.
    pub fn carry_out(&mut self, change: &Change) -> Result<(), Fault> {
        self.request(change, &[])?;
        match change {
            Change::MoveRule(rule) => self.request(&Change::DeleteRule(rule.clone()), &[]),
            // If only the first half was done, the rule is there twice.
            Change::DeleteRule(rule) if matches!(rule.verdict, RuleVerdict::Goto(_)) => {
                self.request(change, &[])
            }
            _ => Ok(()),
        }
    }

    /// The same; a new route gets the attributes that this mirror knows by its number.
    ///
    /// # Errors
    /// As above.
    pub fn carry_out_with(&mut self, change: &Change, mirror: &Mirror) -> Result<(), Fault> {
        match change {
            Change::SetRoute(route) => self.request(change, mirror.attributes(route.extras)),
            _ => self.carry_out(change),
        }
    }

    fn request(&mut self, change: &Change, extras: &[u8]) -> Result<(), Fault> {
        let mut request = encode::change(change, extras).ok_or(fault(Errno::EOPNOTSUPP))?;
        match (change, self.transact(&mut request, &mut |_| ())) {
            (Change::DeleteRoute(_), Err(Errno::ESRCH))
            | (Change::AddRule(_), Err(Errno::EEXIST))
            | (Change::DeleteRule(_), Err(Errno::ENOENT)) => Ok(()),
            (_, Ok(_)) => Ok(()),
            (_, Err(errno)) => Err(fault(errno)),
        }
    }

    /// The objects of one kind, as they are now, in the kernel's order: of routes, ours and default routes.
    ///
    /// # Errors
    /// As for [`Requests::dump`].
    pub fn all(&mut self, kind: Kinds, family: Family) -> Result<Vec<Object>, Fault> {
        for _ in 0..DUMP_TRIES {
            let mut all = Vec::new();
            let worth = self.dump_one(kind, family, &mut |object| all.push(object));
            if !worth.map_err(fault)?.interrupted {
                return Ok(all);
            }
        }
        Err(fault(Errno::EINTR))
    }

    /// Dumps these kinds of objects into the mirror; returns what changed. A kind whose dump fails stays needed.
    ///
    /// Drain the events afterwards: changes during the dump are there, perhaps a second time.
    ///
    /// # Errors
    /// The error of the first dump that failed. `EINTR`: the state changed faster than it could be dumped; try again later.
    pub fn dump(&mut self, mirror: &mut Mirror, kinds: Kinds) -> Result<Kinds, Fault> {
        let mut changed = Kinds::NONE;
        let mut result = Ok(());
        for kind in Kinds::EACH {
            // A dump may require another one.
            if kinds.has(kind) || mirror.needs().has(kind) {
                mirror.need(kind);
                let outcome = self.dump_kind(mirror, kind, &mut changed);
                result = result.and(outcome);
            }
        }
        result.map(|()| changed).map_err(fault)
    }

    fn dump_kind(
        &mut self,
        mirror: &mut Mirror,
        kind: Kinds,
        changed: &mut Kinds,
    ) -> Result<(), Errno> {
        let mut outcome = Err(Errno::EINTR);
        for _ in 0..DUMP_TRIES {
            mirror.begin(kind);
            let worth = self.dump_families(mirror, kind, changed);
            let dumped = match worth {
                Err(_) => Dumped::Failed,
                Ok(worth) if worth.interrupted => Dumped::Failed,
                Ok(worth) if worth.unread > 0 => Dumped::InPart,
                Ok(_) => Dumped::Whole,
            };
            changed.add(mirror.end(kind, dumped));
            let unread = worth?.unread;
            if dumped != Dumped::Failed {
                let counter = &mut mirror.counters.undecodable;
                *counter = counter.wrapping_add(unread);
                outcome = Ok(());
                // Deleted objects have made room for others.
                if !mirror.needs().has(kind) {
                    break;
                }
            }
        }
        outcome
    }

    fn dump_families(
        &mut self,
        mirror: &mut Mirror,
        kind: Kinds,
        changed: &mut Kinds,
    ) -> Result<Worth, Errno> {
        let families: &[Family] = match kind {
            Kinds::LINKS | Kinds::ROUTES_V4 => &[Family::V4],
            Kinds::ROUTES_V6 => &[Family::V6],
            _ => &Family::ALL,
        };
        let mut total = Worth::default();
        for family in families {
            let worth = self.dump_one(kind, *family, &mut |object| {
                changed.add(mirror.record(object))
            })?;
            total.interrupted |= worth.interrupted;
            total.unread += worth.unread;
        }
        self.ask_nexthops(mirror, kind)?;
        Ok(total)
    }

    /// Dumps these kinds of objects in one family. A kernel without IPv6 (`ipv6.disable=1`) has none there: it refuses to dump
    /// rules, and dumps the routes and addresses of IPv4 instead of the others (rtnl_dump_all).
    pub(super) fn dump_one(
        &mut self,
        kind: Kinds,
        family: Family,
        each: &mut dyn FnMut(Object),
    ) -> Result<Worth, Errno> {
        let dumped = self.transact(&mut encode::dump(kind, family), each);
        match dumped {
            Err(Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP) if family == Family::V6 => {
                Ok(Worth::default())
            }
            _ => dumped,
        }
    }

    /// Asks for the ways of routes by nexthop objects, where the kernel has not told them with the routes
    /// (`net.ipv4.nexthop_compat_mode=0`).
    fn ask_nexthops(&mut self, mirror: &mut Mirror, kind: Kinds) -> Result<(), Errno> {
        let mut place = 0;
        while let Some(route) = mirror.routes().get(place).copied() {
            place += 1;
            if let RouteKind::Nexthop(number) = route.kind
                && Kinds::routes(mirror::family(&route)) == kind
            {
                let mut members = Members::new();
                self.ask_nexthop(mirror, route, number, &mut members)?;
                for member in members {
                    self.ask_nexthop(mirror, route, member, &mut Members::new())?;
                }
            }
        }
        Ok(())
    }

    /// Asks for one nexthop object, and records the route's way by it. Adds the members of a group.
    fn ask_nexthop(
        &mut self,
        mirror: &mut Mirror,
        route: Route,
        number: u32,
        members: &mut Members,
    ) -> Result<(), Errno> {
        let asked = self.exchange(&mut encode::nexthop(number), &mut |message, _| {
            if message.message_type() == RTM_NEWNEXTHOP
                && let Some(hop) = decode::nexthop(message.payload(), route, members)
            {
                mirror.record(Object::Route(hop, Aside::default()));
            }
            false
        });
        match asked {
            Err(Errno::ENOENT) => Ok(()), // it has gone, with its routes
            asked => asked.map(drop),
        }
    }

    pub(super) fn transact(
        &mut self,
        request: &mut Request,
        each: &mut dyn FnMut(Object),
    ) -> Result<Worth, Errno> {
        self.exchange(request, &mut |answer, worth| {
            read_answer(answer, worth, each);
            false
        })
    }

    /// See [`Exchange::send`].
    pub(super) fn exchange(
        &mut self,
        request: &mut Request,
        read: &mut ReadAnswer<'_>,
    ) -> Result<Worth, Errno> {
        self.exchange.send(request, read)
    }
}

/// Reads the object in one message of an answer.
fn read_answer(message: &Message<'_>, worth: &mut Worth, each: &mut dyn FnMut(Object)) {
    if !concerns_us(message) {
        return;
    }
    let payload = message.payload();
    match decode::news(message.message_type(), message.flags(), payload) {
        Some(News::Is(object) | News::Replaces(object)) => {
            let has_hops =
                matches!(&object, Object::Route(route, _) if route.kind == RouteKind::Multipath);
            each(object);
            if has_hops {
                decode::hops(payload, each);
            }
        }
        Some(_) => {}
        None => worth.unread += 1,
    }
}
