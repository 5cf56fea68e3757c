//! Crafted sessions: a socket of this process plays the kernel (`NETLINK_USERSOCK`).

use std::time::Instant;

use nix::libc;
use rtnetlink::packet_core::{
    NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLMSG_DONE as DONE, NLMSG_ERROR as ERROR,
};
use rtnetlink::sys::{Socket, SocketAddr};

use super::requests::Line;
use super::socket::MessageSocket;
use super::*;
use crate::limits::REQUEST_PATIENCE;
use crate::routing::mirror::{Kinds, Mirror};
use crate::routing::objects::{Change, Rule, RuleVerdict, Selector};
use crate::types::{Family, Fault};

/// Who plays the kernel.
struct Impostor(Socket);

impl Impostor {
    fn new() -> (Impostor, u32) {
        let mut socket = Socket::new(libc::NETLINK_USERSOCK as isize).unwrap();
        let port = socket.bind_auto().unwrap().port_number();
        socket.set_non_blocking(true).unwrap();
        (Impostor(socket), port)
    }

    /// The sequence number and the port of a request that waits to be read.
    fn hear(&self) -> (u32, u32) {
        let (bytes, from) = self.0.recv_from_full().unwrap();
        let sequence = u32::from_ne_bytes(bytes[8..12].try_into().unwrap());
        (sequence, from.port_number())
    }

    fn say(&self, to: u32, datagram: &[u8]) {
        self.0
            .send_to(datagram, &SocketAddr::new(to, 0), 0)
            .unwrap();
    }
}

fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// `struct ifinfomsg` and `IFLA_IFNAME`, whose bytes may be no text.
fn link(index: u8, name: &[u8; 4]) -> Vec<u8> {
    let mut body = vec![0; 16];
    body[4..8].copy_from_slice(&u32::from(index).to_ne_bytes());
    body.extend(8u16.to_ne_bytes());
    body.extend(libc::IFLA_IFNAME.to_ne_bytes());
    body.extend(name);
    body
}

const NEWLINK: u16 = libc::RTM_NEWLINK;

fn rule() -> Change {
    Change::AddRule(Rule {
        family: Family::V4,
        pref: 17600,
        protocol: 176,
        selector: Selector::All,
        verdict: RuleVerdict::Lookup(176),
    })
}

/// An event connection, the impostor it listens to, and its port.
fn events() -> (Events, Impostor, u32) {
    let (impostor, port) = Impostor::new();
    let events = Events::from_port(port).unwrap();
    let mut own = SocketAddr::new(0, 0);
    use rtnetlink::sys::AsyncSocket;
    let socket = events.socket();
    socket.socket_ref().get_address(&mut own).unwrap();
    (events, impostor, own.port_number())
}

#[test]
fn a_message_that_cannot_be_read_is_counted_and_its_kind_dumped() {
    let (mut events, impostor, port) = events();
    let mut mirror = Box::new(Mirror::new());
    let mut datagram = message(NEWLINK, 0, 0, &link(1, b"eth\0"));
    datagram.extend(message(NEWLINK, 0, 0, &link(2, b"\xff\xfe\xfd\0")));
    datagram.extend(message(NEWLINK, 0, 0, &link(3, b"wan\0")));
    impostor.say(port, &datagram);
    let drained = events.drain(&mut mirror);
    assert_eq!(drained.changed, Kinds::LINKS);
    assert_eq!(mirror.links().iter().count(), 2, "those around it are read");
    assert_eq!(mirror.counters.undecodable, 1);
    assert_eq!(mirror.needs(), Kinds::LINKS);
}

#[test]
fn a_message_that_is_cut_off_asks_for_everything() {
    let (mut events, impostor, port) = events();
    let mut mirror = Box::new(Mirror::new());
    let mut datagram = message(NEWLINK, 0, 0, &link(1, b"eth\0"));
    datagram.extend(&message(NEWLINK, 0, 0, &link(2, b"wan\0"))[..30]);
    impostor.say(port, &datagram);
    events.drain(&mut mirror);
    assert_eq!(mirror.links().iter().count(), 1);
    assert_eq!(mirror.counters.undecodable, 1);
    assert_eq!(mirror.needs(), Kinds::ALL);
}

#[test]
fn only_the_kernel_is_believed() {
    let (mut events, _impostor, port) = events();
    let (liar, _) = Impostor::new();
    let mut mirror = Box::new(Mirror::new());
    liar.say(port, &message(NEWLINK, 0, 0, &link(1, b"eth\0")));
    assert_eq!(events.drain(&mut mirror), Drained::default());
    assert_eq!(mirror.links().iter().count(), 0);
}

/// A connection for requests to an impostor.
fn requests() -> (Requests, Impostor) {
    let (impostor, port) = Impostor::new();
    let line = Line::over(MessageSocket::to_port(port).unwrap());
    (Requests::on(line), impostor)
}

#[test]
fn a_silent_kernel_costs_no_more_than_the_patience_and_the_next_request_is_fresh() {
    let (mut requests, impostor) = requests();
    let started = Instant::now();
    assert_eq!(requests.carry_out(&rule()), Err(Fault::TimedOut));
    let took = started.elapsed();
    let patience = std::time::Duration::from(REQUEST_PATIENCE);
    assert!(took >= patience && took < 2 * patience, "{took:?}");
    // The late answer finds nobody, and the next request asks the real kernel.
    let (sequence, port) = impostor.hear();
    let late = message(ERROR, 0, sequence, &[0; 20]);
    assert!(
        impostor
            .0
            .send_to(&late, &SocketAddr::new(port, 0), 0)
            .is_err()
    );
    let mut mirror = Box::new(Mirror::new());
    requests.dump(&mut mirror, Kinds::LINKS).unwrap();
    assert!(mirror.link_named("lo").is_some());
}

#[test]
fn an_interrupted_dump_is_made_anew_and_what_cannot_be_read_takes_nothing_away() {
    let (mut requests, impostor) = requests();
    let mut mirror = Box::new(Mirror::new());
    let server = std::thread::spawn(move || {
        let answers: [&[u8; 4]; 3] = [b"old\0", b"new\0", b"\xff\xfe\xfd\0"];
        for (turn, name) in (0..).zip(answers) {
            let mut fds = [nix::poll::PollFd::new(
                std::os::fd::AsFd::as_fd(&impostor.0),
                nix::poll::PollFlags::POLLIN,
            )];
            nix::poll::poll(&mut fds, 400u16).unwrap();
            let (sequence, port) = impostor.hear();
            let interrupted = if turn == 0 { NLM_F_DUMP_INTR } else { 0 };
            let flags = NLM_F_MULTIPART | interrupted;
            let mut datagram = message(NEWLINK, flags, sequence, &link(turn, name));
            datagram.extend(message(DONE, flags, sequence, &[0; 4]));
            impostor.say(port, &datagram);
        }
    });
    let names = |mirror: &Mirror| -> Vec<String> {
        mirror
            .links()
            .iter()
            .map(|link| link.name.to_string())
            .collect()
    };
    assert_eq!(requests.dump(&mut mirror, Kinds::LINKS), Ok(Kinds::LINKS));
    assert_eq!(names(&mirror), ["new"], "only the second try counts");
    assert_eq!(requests.dump(&mut mirror, Kinds::LINKS), Ok(Kinds::NONE));
    assert_eq!(names(&mirror), ["new"], "it may be the one not read");
    assert_eq!(mirror.counters.undecodable, 1);
    assert_eq!(mirror.needs(), Kinds::NONE);
    server.join().unwrap();
}

#[test]
fn a_refused_dump_is_an_error_and_is_still_needed() {
    let (mut requests, impostor) = requests();
    let mut mirror = Box::new(Mirror::new());
    let server = std::thread::spawn(move || {
        let mut fds = [nix::poll::PollFd::new(
            std::os::fd::AsFd::as_fd(&impostor.0),
            nix::poll::PollFlags::POLLIN,
        )];
        nix::poll::poll(&mut fds, 400u16).unwrap();
        let (sequence, port) = impostor.hear();
        let mut body = (-libc::EPERM).to_ne_bytes().to_vec();
        body.extend([0; 16]);
        impostor.say(port, &message(ERROR, 0, sequence, &body));
    });
    let outcome = requests.dump(&mut mirror, Kinds::LINKS);
    assert_eq!(outcome, Err(Fault::NotPermitted));
    assert_eq!(mirror.needs(), Kinds::LINKS);
    server.join().unwrap();
}
