//! The time from a kernel event to the new route, and the outage of a user's traffic.

use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use rtnetlink::packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkFlags, LinkMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

use super::lab::topology::target;
use super::lab::{Daemon, Family, Flow, Lab, Settings, wait_until};

/// The swap table.
const TABLE: u32 = 176;
/// The metric of the best route.
const BEST: u32 = 100;
/// RTNLGRP_LINK and RTNLGRP_IPV4_ROUTE, see linux/rtnetlink.h.
const GROUPS: [u32; 2] = [1, 7];
/// Timeout of a wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// `profile fast`: a round's interval.
const ROUND: Duration = Duration::from_millis(100);
/// `profile fast`: down x interval + timeout.
pub const FAST_MAX: Duration = Duration::from_millis(3 * 100 + 300);

/// Pulls the leader's cable repeatedly. Returns the times between two kernel events, as received by another process: the
/// loss of the carrier, and the change of the best route.
pub fn link_to_route(times: usize) -> Vec<Duration> {
    let lab = Lab::new();
    // The measured time does not depend on the timing; the provider only returns sooner.
    let settings = Settings::fast(&lab)
        .global("interval", "20ms")
        .global("up", "2");
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");
    let [first, second] = [1, 2].map(|number| {
        let device = lab.provider(number).device.as_str();
        lab.router
            .enter(|| if_nametoindex(device))
            .expect("it is there")
    });
    (0..times)
        .map(|_| {
            leads(&lab, 1);
            let listener = Listener::new(&lab);
            lab.pull_cable(1);
            let lost = listener.wait_for("the carrier is lost", |message| match message {
                RouteNetlinkMessage::NewLink(link) => {
                    link.header.index == first && !has_carrier(link)
                }
                _ => false,
            });
            let swapped = listener.wait_for("the best route is another", |message| match message {
                RouteNetlinkMessage::NewRoute(route) => is_best(route, second),
                _ => false,
            });
            lab.plug_cable(1);
            swapped - lost
        })
        .collect()
}

/// Lets the leader's upstream fail silently, repeatedly. Returns the outages of LAN traffic.
pub fn outages(times: usize) -> Vec<Duration> {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab.router, &Settings::fast(&lab));
    daemon.wait_for_all("online");
    let flow = Flow::start(&lab, target(Family::V4));
    (0..times)
        .map(|time| {
            assert!(
                flow.goes_by(1, PATIENCE),
                "traffic did not return\n{}",
                daemon.log()
            );
            // Traffic returns at a round: without this delay, each fault would come at the same time after a round.
            std::thread::sleep(ROUND * u32::try_from(time * 3 % 10).unwrap_or(0) / 10);
            let struck = flow.now();
            lab.upstream_dies(1);
            assert!(
                flow.goes_by(2, PATIENCE),
                "traffic did not leave\n{}",
                daemon.log()
            );
            lab.upstream_returns(1);
            flow.outage(struck)
        })
        .collect()
}

fn leads(lab: &Lab, number: usize) {
    let device = Some(&lab.provider(number).device);
    let so = || lab.router.leader(Family::V4, TABLE).as_ref() == device;
    assert!(wait_until(PATIENCE, so), "provider {number} does not lead");
}

/// Another process that receives kernel events.
struct Listener(Socket);

impl Listener {
    fn new(lab: &Lab) -> Listener {
        let mut socket = lab
            .router
            .enter(|| Socket::new(NETLINK_ROUTE))
            .expect("there is room for a socket");
        socket
            .bind(&SocketAddr::new(0, 0))
            .expect("nothing else has its port");
        for group in GROUPS {
            socket
                .add_membership(group)
                .expect("these groups need no privilege");
        }
        let timeout = TimeVal::new(1, 0);
        setsockopt(&socket, sockopt::ReceiveTimeout, &timeout).expect("it is a socket");
        Listener(socket)
    }

    /// The time of arrival of such a message.
    fn wait_for(&self, what: &str, is_it: impl Fn(&RouteNetlinkMessage) -> bool) -> Instant {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let Ok((bytes, _)) = self.0.recv_from_full() else {
                continue;
            };
            let now = Instant::now();
            if messages(&bytes).any(|message| is_it(&message)) {
                return now;
            }
        }
        super::lab::fail(&format!("the kernel does not say that {what}"))
    }
}

/// The messages of one datagram.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = RouteNetlinkMessage> {
    std::iter::from_fn(move || {
        let length = NetlinkBuffer::new_checked(bytes).ok()?.length() as usize;
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).ok()?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message.payload)
    })
    .filter_map(|payload| match payload {
        NetlinkPayload::InnerMessage(message) => Some(message),
        _ => None,
    })
}

fn has_carrier(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::LowerUp)
}

/// Whether this is the best default route, by this device.
fn is_best(route: &RouteMessage, device: u32) -> bool {
    let attributes = &route.attributes;
    route.header.destination_prefix_length == 0
        && attributes.contains(&RouteAttribute::Table(TABLE))
        && attributes.contains(&RouteAttribute::Priority(BEST))
        && attributes.contains(&RouteAttribute::Oif(device))
}
