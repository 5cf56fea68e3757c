//! The fixture: a router in a network namespace, and the library's mirror of it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failover::linux::netlink::{Events, Requests};
use failover::routing::mirror::{Kinds, Mirror};
use failover::routing::objects::{Change, Extras, Route, RouteKind};
use failover::types::{Metric, PROTOCOL};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, unshare};

/// A router, and the library's mirror of it.
pub(crate) struct Lab {
    pub(crate) requests: Requests,
    pub(crate) events: Events,
    pub(crate) mirror: Box<Mirror>,
}

impl Lab {
    /// Creates a new namespace with `wan1` and `wan2`, up, and their peers `isp1` and `isp2`.
    pub(crate) fn new() -> Lab {
        unshare(CloneFlags::CLONE_NEWNET).expect("root, to make a network namespace");
        ip("link set lo up");
        for number in [1, 2] {
            ip(&format!(
                "link add wan{number} type veth peer name isp{number}"
            ));
            // A tentative address is in dumps, but in no event until it is usable.
            for name in ["wan", "isp"] {
                let dad = format!("/proc/sys/net/ipv6/conf/{name}{number}/accept_dad");
                std::fs::write(dad, "0").unwrap();
            }
            ip(&format!("link set isp{number} up"));
            ip(&format!("link set wan{number} up"));
            ip(&format!("address add 192.0.2.{number}/24 dev wan{number}"));
            ip(&format!(
                "address add 2001:db8:{number}::1/64 dev wan{number} nodad"
            ));
        }
        let events = Events::open().unwrap();
        let mut lab = Lab {
            requests: Requests::open().unwrap(),
            events,
            mirror: Box::new(Mirror::new()),
        };
        lab.dump(Kinds::ALL);
        lab.until("both devices have carrier", |mirror| {
            ["wan1", "wan2"]
                .iter()
                .all(|name| mirror.link_named(name).is_some_and(|link| link.carrier))
        });
        lab
    }

    pub(crate) fn dump(&mut self, kinds: Kinds) -> Kinds {
        self.requests.dump(&mut self.mirror, kinds).unwrap()
    }

    pub(crate) fn drain(&mut self) -> Kinds {
        let mut changed = Kinds::NONE;
        loop {
            let drained = self.events.drain(&mut self.mirror);
            changed.add(drained.changed);
            if !drained.more {
                return changed;
            }
        }
    }

    /// Processes events until a condition holds, for at most five seconds.
    pub(crate) fn until(&mut self, what: &str, so: impl Fn(&Mirror) -> bool) {
        let started = Instant::now();
        self.drain();
        while !so(&self.mirror) {
            assert!(started.elapsed() < Duration::from_secs(5), "never: {what}");
            self.wait();
            self.drain();
        }
    }

    pub(crate) fn index(&self, name: &str) -> u32 {
        self.mirror.link_named(name).unwrap().index
    }

    pub(crate) fn set(&mut self, route: Route) {
        self.requests.carry_out(&Change::SetRoute(route)).unwrap();
        self.drain();
    }

    pub(crate) fn ours(&self) -> Vec<Route> {
        let ours = |route: &&Route| route.protocol == PROTOCOL;
        self.mirror.routes().iter().filter(ours).copied().collect()
    }

    /// Asserts that the mirror built by events equals that of a dump. Link events arrive a little later than dumps show the
    /// change, so there is a timeout of one second.
    pub(crate) fn assert_true_picture(&mut self, when: &str) {
        let started = Instant::now();
        loop {
            let mut fresh = Box::new(Mirror::new());
            self.requests.dump(&mut fresh, Kinds::ALL).unwrap();
            self.drain();
            let difference = difference(&self.mirror, &fresh);
            if difference.is_empty() {
                return;
            }
            let waited = started.elapsed() > Duration::from_secs(1);
            assert!(!waited, "{when}: {difference:#?}");
            self.wait();
            self.drain();
            self.dump(self.mirror.needs());
        }
    }

    /// Waits for the next event, for at most a tenth of a second.
    pub(crate) fn wait(&mut self) {
        let mut fds = [PollFd::new(self.events.fd(), PollFlags::POLLIN)];
        poll(&mut fds, 100u8).unwrap();
    }
}

/// The differences between two mirrors.
pub(crate) fn difference(events: &Mirror, dump: &Mirror) -> Vec<String> {
    let (events, dump) = (picture(events), picture(dump));
    let only = |which: &str, these: &[String], those: &[String]| -> Vec<String> {
        let unknown = these.iter().filter(|thing| !those.contains(thing));
        unknown.map(|thing| format!("{which} {thing}")).collect()
    };
    [
        only("events:", &events, &dump),
        only("dump:", &dump, &events),
    ]
    .concat()
}

pub(crate) fn picture(mirror: &Mirror) -> Vec<String> {
    let mut lines: Vec<String> = mirror
        .links()
        .iter()
        .map(|thing| format!("{thing:?}"))
        .collect();
    lines.extend(mirror.addresses().iter().map(|thing| format!("{thing:?}")));
    lines.extend(mirror.routes().iter().map(|thing| format!("{thing:?}")));
    lines.extend(mirror.rules().iter().map(|thing| format!("{thing:?}")));
    lines.sort();
    lines
}

/// `ip …` in this thread's namespace.
pub(crate) fn ip(arguments: &str) {
    assert!(try_ip(arguments), "ip {arguments}");
}

pub(crate) fn try_ip(arguments: &str) -> bool {
    let arguments = arguments.split_whitespace();
    let mut command = Command::new("ip");
    command.args(arguments).stderr(Stdio::null());
    command.status().unwrap().success()
}

/// The output of `ip … show`.
pub(crate) fn shown(arguments: &str) -> String {
    let arguments = arguments.split_whitespace();
    let output = Command::new("ip").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A default route of ours in table 176.
pub(crate) fn default(device: u32, gateway: &str, metric: u32) -> Route {
    let gateway: std::net::IpAddr = gateway.parse().unwrap();
    let everything = if gateway.is_ipv4() {
        "0.0.0.0/0"
    } else {
        "::/0"
    };
    Route {
        table: 176,
        destination: everything.parse().unwrap(),
        metric: Metric(metric),
        protocol: PROTOCOL,
        kind: RouteKind::Unicast,
        device,
        gateway: Some(gateway),
        source: None,
        onlink: false,
        from: None,
        extras: Extras::default(),
    }
}

pub(crate) const GATEWAYS: [&str; 2] = ["192.0.2.254", "fe80::ffff"];
