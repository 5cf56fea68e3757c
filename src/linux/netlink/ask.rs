//! Asks the kernel by which route packets to an address would leave (`RTM_GETROUTE`, as `ip route get`). No packet is sent,
//! and no memory is allocated.

use core::net::IpAddr;

use nix::errno::Errno;
use nix::libc;

use crate::config::{Config, Provider};
use crate::linux::errno::fault;
use crate::linux::netlink::attribute::{self, ROUTE_HEADER, RTA_UID, Request};
use crate::linux::netlink::encode;
use crate::linux::netlink::prefilter::{INET, INET6};
use crate::linux::netlink::requests::Requests;
use crate::routing::asked::{Answer, Question, Way, targets};
use crate::routing::mirror::{Kinds, Mirror, Object};
use crate::routing::objects::Rule;
use crate::routing::uplink::{Told, Uplink, resolve};
use crate::types::{DeviceName, Family, Fault};

// linux/rtnetlink.h
/// Return the table; without this, IPv4 always returns `main`.
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
/// Return the route as it is in the table, with the length of its destination (since Linux 4.13).
const RTM_F_FIB_MATCH: u32 = 0x2000;
/// The user ID to ask for: rules for certain users (`uidrange`) do not match. Without it, those for root would.
const NO_USER: u32 = u32::MAX;
/// The reverse-path filter looks up as root does (fib_frontend.c: `__fib_validate_source`).
const ROOT: u32 = 0;

impl Requests {
    /// The route by which packets would leave. Costs two system calls; four if the route has several nexthops: the kernel
    /// returns which one it chooses only when asked again.
    ///
    /// # Errors
    /// There is no answer. (That packets do not leave is an answer.)
    pub fn ask(&mut self, question: Question) -> Result<Answer, Fault> {
        let route = self.look_up(question, RTM_F_FIB_MATCH)?;
        match route {
            Answer::By(way) if way.device == 0 => Ok(match self.look_up(question, 0)? {
                Answer::By(chosen) => Answer::By(Way {
                    device: chosen.device,
                    ..way
                }),
                refused @ Answer::Refused(_) => refused,
            }),
            _ => Ok(route),
        }
    }

    /// What the kernel makes of a provider in a family; it is asked for the own address if that is needed: see
    /// [`Uplink::asks`]. Costs two system calls then, else none. A new address of another device is taken after a dump:
    /// events do not tell that the path's device is about to have one. Then, `changed` gets what that has changed in the
    /// mirror.
    pub fn uplink(
        &mut self,
        config: &Config,
        provider: &Provider,
        family: Family,
        mut told: Told,
        mirror: &mut Mirror,
        changed: &mut Kinds,
    ) -> Uplink {
        let mut uplink = resolve(config, provider, family, &told, mirror);
        if uplink.asks() {
            let target = targets(config, provider, family).next();
            told.chosen = target.and_then(|target| self.own_address(target, uplink.index));
        }
        if told.chosen.is_some() {
            uplink = resolve(config, provider, family, &told, mirror);
            if uplink.has_borrowed(&told, mirror) {
                // Among the addresses of other devices it may have had no room.
                mirror.look_for(uplink.address);
                let needs = mirror.needs();
                changed.add(self.dump(mirror, Kinds::ADDRESSES).unwrap_or_default());
                // That was too early for what an overrun has left unknown: see `Events::renew`.
                mirror.need(needs);
                if uplink.has_lost_address(mirror) {
                    // It is the source of an old route of ours, which the kernel keeps where the address was another device's.
                    told.chosen = None;
                }
                uplink = resolve(config, provider, family, &told, mirror);
            }
        }
        uplink
    }

    /// The source address that the kernel chooses for packets to an address by a device: that of a UDP socket which is
    /// bound to the device and connected to the address. None: there is no route, or no answer. Costs two system calls.
    pub fn own_address(&mut self, target: IpAddr, device: u32) -> Option<IpAddr> {
        let question = Question {
            target,
            source: None,
        };
        let (_, own) = self.send(question, device, 0).ok()?;
        own
    }

    fn look_up(&mut self, question: Question, flags: u32) -> Result<Answer, Fault> {
        match self.send(question, 0, RTM_F_LOOKUP_TABLE | flags) {
            Ok((way, _)) => Ok(Answer::By(way)),
            Err(errno) if refuses(errno) => Ok(Answer::Refused(fault(errno))),
            Err(errno) => Err(fault(errno)),
        }
    }

    /// Asks; returns the way, and the source address that the kernel chooses. A `device` that is not 0: for a socket of ours
    /// that is bound to it.
    fn send(
        &mut self,
        question: Question,
        device: u32,
        flags: u32,
    ) -> Result<(Way, Option<IpAddr>), Errno> {
        let mut request = write(question, device, flags);
        let mut answer = None;
        let result = self.exchange(&mut request, &mut |message, _| {
            let is_answer = message.message_type() == libc::RTM_NEWROUTE;
            if is_answer {
                answer = read(message.payload());
            }
            is_answer
        });
        result.and_then(|_| answer.ok_or(Errno::EPROTO))
    }

    /// The checks in use that would ask this machine itself: bit i is `Config::checks[i]`. Without an answer, none does.
    pub fn own_targets(&mut self, config: &Config) -> u32 {
        let used = config.enabled().fold(0, |used, p| used | p.checks);
        let mut own = 0;
        for (number, check) in (0..).zip(&config.checks) {
            let host = check.asked().filter(|_| used & (1_u32 << number) != 0);
            if host.is_some_and(|host| self.is_own(host)) {
                own |= 1 << number;
            }
        }
        own
    }

    /// Whether packets to a host come to this machine. A link-local address may be another's on each link.
    pub fn is_own(&mut self, target: IpAddr) -> bool {
        if matches!(target, IpAddr::V6(near) if near.is_unicast_link_local()) {
            return false;
        }
        let source = None;
        let answer = self.ask(Question { target, source });
        answer.is_ok_and(|answer| answer.is_own())
    }

    /// The name of a device.
    ///
    /// # Errors
    /// There is no such device, or no answer.
    pub fn device_name(&mut self, index: u32) -> Result<DeviceName, Fault> {
        let mut name = Err(Fault::NoDevice);
        let result = self.transact(&mut encode::link(index), &mut |object| {
            if let Object::Link(link) = object {
                name = Ok(link.name);
            }
        });
        result.map_err(fault).and(name)
    }

    /// Calls `each` with every static route (`RTPROT_STATIC`) to one host in `main`, and its device. No memory is allocated.
    ///
    /// # Errors
    /// The dump is incomplete.
    pub fn each_static_host(
        &mut self,
        family: Family,
        each: &mut dyn FnMut(IpAddr, u32),
    ) -> Result<(), Fault> {
        let bits = inet(family).1;
        let mut request = encode::dump(Kinds::ROUTES, family);
        let result = self.exchange(&mut request, &mut |message, _| {
            let payload = message.payload();
            // The length of the destination; the table, the protocol, the scope, and the type.
            if let [_, length, _, _, table, protocol, _, kind, ..] = *payload
                && (length, table) == (bits, libc::RT_TABLE_MAIN)
                && (protocol, kind) == (libc::RTPROT_STATIC, libc::RTN_UNICAST)
                && let Some((host, device)) = read_host(payload)
            {
                each(host, device);
            }
            false
        });
        result.map(|_| ()).map_err(fault)
    }

    /// Calls `each` with every rule of a family, in the kernel's order; rules that cannot be decoded are left out.
    ///
    /// # Errors
    /// The dump is incomplete.
    pub fn each_rule(&mut self, family: Family, each: &mut dyn FnMut(&Rule)) -> Result<(), Fault> {
        let result = self.dump_one(Kinds::RULES, family, &mut |object| {
            if let Object::Rule(rule) = object {
                each(&rule);
            }
        });
        result.map(|_| ()).map_err(fault)
    }
}

/// Whether an error says that packets do not leave: there is no route, or a route (fib_semantics.c: `fib_props`) or a rule
/// (fib4_rule_action, fib6_rule_action) refuses them.
fn refuses(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL
    )
}

/// Writes a request.
fn write(question: Question, device: u32, flags: u32) -> Request {
    let Question { target, source } = question;
    let (family, bits) = inet(Family::of(target));
    let mut header = [0; ROUTE_HEADER];
    header[..3].copy_from_slice(&[family, bits, if source.is_some() { bits } else { 0 }]);
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    let mut request = Request::new(libc::RTM_GETROUTE, 0, &header);
    request.address(libc::RTA_DST, target);
    if let Some(source) = source {
        request.address(libc::RTA_SRC, source);
    }
    let is_root = source.is_some() || device != 0;
    request.number(RTA_UID, if is_root { ROOT } else { NO_USER });
    if device != 0 {
        request.number(libc::RTA_OIF, device);
    }
    request
}

/// A family's number, and the length of its addresses in bits.
fn inet(family: Family) -> (u8, u8) {
    match family {
        Family::V4 => (INET, 32),
        Family::V6 => (INET6, 128),
    }
}

/// The destination of a route, and its device.
fn read_host(payload: &[u8]) -> Option<(IpAddr, u32)> {
    let (mut host, mut device) = (None, 0);
    for attribute in attribute::Each(payload.get(ROUTE_HEADER..)?) {
        match attribute? {
            (libc::RTA_DST, value) => host = attribute::address(value),
            (libc::RTA_OIF, value) => device = attribute::number(value)?,
            _ => {}
        }
    }
    Some((host?, device))
}

/// Decodes an answer; none if it cannot be decoded. See [`Requests::send`].
fn read(payload: &[u8]) -> Option<(Way, Option<IpAddr>)> {
    let mut source = None;
    let mut way = Way {
        table: u32::from(*payload.get(4)?),
        length: *payload.get(1)?,
        device: 0,
        is_one_of_several: false,
        is_own: matches!(*payload.get(7)?, libc::RTN_LOCAL | libc::RTN_ANYCAST),
    };
    for attribute in attribute::Each(payload.get(ROUTE_HEADER..)?) {
        let (kind, value) = attribute?;
        match kind {
            libc::RTA_TABLE => way.table = attribute::number(value)?,
            libc::RTA_OIF => way.device = attribute::number(value)?,
            libc::RTA_PREFSRC => source = attribute::address(value),
            libc::RTA_MULTIPATH => way.is_one_of_several = true,
            _ => {}
        }
    }
    Some((way, source))
}
