//! Crafted sessions: a socket of this process plays the kernel (`NETLINK_USERSOCK`).

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::{Pid, geteuid, gettid};
use rtnetlink::packet_core::{
    NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLMSG_DONE as DONE, NLMSG_ERROR as ERROR,
};
use rtnetlink::sys::{Socket, SocketAddr};

use super::socket::NetlinkSocket;
use super::*;
use crate::limits::{DATAGRAM_MAX, DUMP_PATIENCE, REQUEST_PATIENCE};
use crate::routing::mirror::{Kinds, Mirror};
use crate::routing::objects::{Change, Link, Rule, RuleVerdict, Selector};
use crate::types::{Family, Fault};

/// The socket that plays the kernel.
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

    /// The same, once it is there.
    fn await_request(&self) -> (u32, u32) {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, 5000u16).unwrap();
        self.hear()
    }

    fn say(&self, to: u32, datagram: &[u8]) {
        self.0
            .send_to(datagram, &SocketAddr::new(to, 0), 0)
            .unwrap();
    }
}

pub(super) fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// `struct ifinfomsg` and `IFLA_IFNAME`; the bytes of the name need not be text.
fn link(index: u8, name: &[u8; 4]) -> Vec<u8> {
    let mut body = vec![0; 16];
    body[4..8].copy_from_slice(&u32::from(index).to_ne_bytes());
    body.extend(8u16.to_ne_bytes());
    body.extend(libc::IFLA_IFNAME.to_ne_bytes());
    body.extend(name);
    body
}

/// `struct nlmsgerr`: not permitted.
fn refusal(sequence: u32) -> Vec<u8> {
    let mut body = (-libc::EPERM).to_ne_bytes().to_vec();
    body.extend([0; 16]);
    message(ERROR, 0, sequence, &body)
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
    let events = Events::over(NetlinkSocket::to_port(port));
    let port = events.socket().port();
    (events, impostor, port)
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

fn names(mirror: &Mirror) -> Vec<String> {
    let name = |link: &Link| link.name.to_string();
    mirror.links().iter().map(name).collect()
}

/// Requests to an impostor.
fn requests() -> (Requests, Impostor) {
    let (impostor, port) = Impostor::new();
    (Requests::over(NetlinkSocket::to_port(port)), impostor)
}

#[test]
fn a_silent_kernel_costs_no_more_than_the_patience_and_the_next_request_is_fresh() {
    let (mut requests, impostor) = requests();
    let started = Instant::now();
    assert_eq!(requests.carry_out(&rule()), Err(Fault::TimedOut));
    let took = started.elapsed();
    let patience = Duration::from(REQUEST_PATIENCE);
    assert!(took >= patience && took < 2 * patience, "{took:?}");
    // No request waits for the late answer. The next request asks the real kernel.
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
    let server = thread::spawn(move || {
        let answers: [&[u8; 4]; 3] = [b"old\0", b"new\0", b"\xff\xfe\xfd\0"];
        for (turn, name) in (0..).zip(answers) {
            let (sequence, port) = impostor.await_request();
            let interrupted = if turn == 0 { NLM_F_DUMP_INTR } else { 0 };
            let flags = NLM_F_MULTIPART | interrupted;
            let mut datagram = message(NEWLINK, flags, sequence, &link(turn, name));
            datagram.extend(message(DONE, flags, sequence, &[0; 4]));
            impostor.say(port, &datagram);
        }
    });
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
    let server = thread::spawn(move || {
        let (sequence, port) = impostor.await_request();
        impostor.say(port, &refusal(sequence));
    });
    let outcome = requests.dump(&mut mirror, Kinds::LINKS);
    assert_eq!(outcome, Err(Fault::NotPermitted));
    assert_eq!(mirror.needs(), Kinds::LINKS);
    server.join().unwrap();
}

#[test]
fn an_answer_to_another_request_or_of_another_process_is_not_taken() {
    let (mut requests, impostor) = requests();
    let mut mirror = Box::new(Mirror::new());
    let server = thread::spawn(move || {
        let (liar, _) = Impostor::new();
        let (sequence, port) = impostor.await_request();
        let answer = |sequence, index, name: &[u8; 4]| {
            let mut datagram = message(NEWLINK, NLM_F_MULTIPART, sequence, &link(index, name));
            datagram.extend(message(DONE, NLM_F_MULTIPART, sequence, &[0; 4]));
            datagram
        };
        let earlier = sequence.wrapping_sub(1);
        let mut interrupted = message(NEWLINK, NLM_F_DUMP_INTR, earlier, &link(1, b"own\0"));
        interrupted.extend(answer(earlier, 2, b"\xff\xfe\xfd\0"));
        impostor.say(port, &interrupted);
        liar.say(port, &answer(sequence, 3, b"lie\0"));
        impostor.say(port, &answer(sequence, 4, b"new\0"));
        // The next request has another sequence number.
        let (next, port) = impostor.await_request();
        impostor.say(port, &message(ERROR, 0, sequence, &[0; 20]));
        impostor.say(port, &refusal(next));
    });
    assert_eq!(requests.dump(&mut mirror, Kinds::LINKS), Ok(Kinds::LINKS));
    assert_eq!(names(&mirror), ["new"]);
    assert_eq!(mirror.counters.undecodable, 0);
    assert_eq!(requests.carry_out(&rule()), Err(Fault::NotPermitted));
    server.join().unwrap();
}

#[test]
fn messages_that_are_no_answers_do_not_prolong_the_patience() {
    let (mut requests, impostor) = requests();
    let server = thread::spawn(move || {
        let (sequence, port) = impostor.await_request();
        let late = message(ERROR, 0, sequence.wrapping_sub(1), &[0; 20]);
        let to = SocketAddr::new(port, 0);
        // Until the socket is closed, at most as long as a dump may take.
        let until = Instant::now() + Duration::from(DUMP_PATIENCE);
        while impostor.0.send_to(&late, &to, 0).is_ok() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
        Instant::now() < until
    });
    assert_eq!(requests.carry_out(&rule()), Err(Fault::TimedOut));
    assert!(server.join().unwrap(), "it took as long as a dump");
}

/// Requests to the real kernel on a socket whose buffer is full, which requires CAP_NET_ADMIN.
#[test]
fn a_lost_answer_is_told_at_once_and_the_next_request_is_fresh() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root fills the socket of another");
        return;
    }
    let socket = NetlinkSocket::open(libc::NETLINK_ROUTE, 0, DATAGRAM_MAX).unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &0).unwrap();
    let to = SocketAddr::new(socket.port(), 0);
    let liar = Socket::new(libc::NETLINK_ROUTE as isize).unwrap();
    liar.set_non_blocking(true).unwrap();
    let junk = message(ERROR, 0, 0, &[0; 20]);
    while liar.send_to(&junk, &to, 0).is_ok() {}
    let mut requests = Requests::over(socket);
    // It deletes nothing: there is no such rule.
    let Change::AddRule(rule) = rule() else {
        unreachable!()
    };
    let change = Change::DeleteRule(rule);
    assert_eq!(requests.carry_out(&change), Err(Fault::NoBuffers));
    assert_eq!(requests.carry_out(&change), Ok(()));
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

static STOPPED: AtomicBool = AtomicBool::new(false);
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Stops one thread, as SIGSTOP does, until the answer has arrived and the timeout has passed.
extern "C" fn stop(_: libc::c_int) {
    STOPPED.store(true, Ordering::Relaxed);
    let until = Instant::now() + Duration::from(DUMP_PATIENCE);
    while !ANSWERED.load(Ordering::Relaxed) && Instant::now() < until {
        thread::yield_now();
    }
    thread::sleep(Duration::from(REQUEST_PATIENCE));
}

fn handle(number: Signal, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: the handlers above use atomics, the clock and sleep, which may be interrupted anywhere.
    #[allow(unsafe_code)]
    unsafe { signal(number, SigHandler::Handler(handler)) }.unwrap();
}

/// Sends a signal to a thread of this process once it sleeps.
fn interrupt(thread: Pid, number: Signal) {
    let stat = format!("/proc/self/task/{thread}/stat");
    while !std::fs::read_to_string(&stat).unwrap().contains(") S ") {
        thread::yield_now();
    }
    let process = std::process::id();
    // SAFETY: takes numbers only; the thread waits for the one that calls this.
    #[allow(unsafe_code)]
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread.as_raw(), number as i32) };
    assert_eq!(sent, 0);
}

#[test]
fn a_signal_in_the_middle_of_a_request_does_not_end_it() {
    handle(Signal::SIGUSR1, count);
    let (mut requests, impostor) = requests();
    let own = gettid();
    let server = thread::spawn(move || {
        let (sequence, port) = impostor.await_request();
        for earlier in 0..3 {
            interrupt(own, Signal::SIGUSR1);
            while SIGNALS.load(Ordering::Relaxed) == earlier {
                thread::yield_now();
            }
        }
        impostor.say(port, &refusal(sequence));
    });
    assert_eq!(requests.carry_out(&rule()), Err(Fault::NotPermitted));
    server.join().unwrap();
}

#[test]
fn an_answer_that_is_there_counts_however_late_it_is_read() {
    handle(Signal::SIGUSR2, stop);
    let (mut requests, impostor) = requests();
    let own = gettid();
    let server = thread::spawn(move || {
        let (sequence, port) = impostor.await_request();
        interrupt(own, Signal::SIGUSR2);
        while !STOPPED.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        impostor.say(port, &refusal(sequence));
        ANSWERED.store(true, Ordering::Relaxed);
    });
    assert_eq!(requests.carry_out(&rule()), Err(Fault::NotPermitted));
    server.join().unwrap();
}
