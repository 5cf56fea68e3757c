//! The control socket with many, slow, silent, broken or malicious clients.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which clippy does not take for tests

mod fake_daemon;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use failover::limits::{CLIENTS_MAX, FRAME_MAX};
use failover::linux::connection::{AskError, ask};
use failover::linux::control::{SOCKET, Server};
use failover::wire::control::{Reply, Request, VERSION};
use failover::wire::frame;
use fake_daemon::{FakeDaemon, directory};

/// The answers: a journal of 900 frames, more than a socket takes at once; one note for other requests.
fn answers(request: &Request, number: u32) -> Option<Reply> {
    let count = if *request == Request::Log { 900 } else { 1 };
    let text = format!("{number:0240}");
    (number < count).then(|| Reply::Note(text.as_str().try_into().unwrap()))
}

fn encoded(request: &Request) -> Vec<u8> {
    let mut buffer = [0; FRAME_MAX];
    let length = frame::encode(&mut request.clone(), &mut buffer).unwrap();
    buffer[..length].to_vec()
}

fn connected(daemon: &FakeDaemon) -> UnixStream {
    let stream = UnixStream::connect(daemon.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// All replies until the daemon closes.
fn everything(stream: &mut UnixStream) -> Vec<Reply> {
    let mut bytes = Vec::new();
    // A connection that is closed with unread bytes ends with a reset, after all replies.
    let _ = stream.read_to_end(&mut bytes);
    let mut replies = Vec::new();
    let mut rest = &bytes[..];
    while let Ok(Some((reply, taken))) = frame::decode(rest) {
        replies.push(reply);
        rest = &rest[taken..];
    }
    assert!(rest.is_empty(), "the last frame is whole");
    replies
}

fn error_of(stream: &mut UnixStream) -> String {
    match &everything(stream)[..] {
        [Reply::Error(text)] => text.to_string(),
        other => panic!("one error is expected, not {other:?}"),
    }
}

/// A proper client is answered soon.
fn assert_served(daemon: &FakeDaemon) {
    let start = Instant::now();
    assert_eq!(
        ask(&daemon.dir, &Request::Status).unwrap().notes.len(),
        1,
        "the answer is whole"
    );
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_millis(1000), "{elapsed:?}");
}

#[test]
fn an_answer_of_many_frames_is_whole_and_in_order() {
    let daemon = FakeDaemon::start("many-frames", answers);
    let notes = ask(&daemon.dir, &Request::Log).unwrap().notes;
    assert_eq!(notes.len(), 900);
    for (number, note) in notes.iter().enumerate() {
        assert_eq!(note.parse::<usize>(), Ok(number));
    }
    assert_eq!(*daemon.requests.lock().unwrap(), [Request::Log]);
}

#[test]
fn only_its_owner_can_open_the_socket_and_a_clean_stop_removes_it() {
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let daemon = FakeDaemon::start("mode", answers);
    nix::sys::stat::umask(umask);
    let mode = std::fs::metadata(daemon.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let socket = daemon.socket();
    drop(daemon);
    assert!(!socket.exists());
}

#[test]
fn a_dead_daemons_socket_is_replaced_but_nothing_else_is() {
    let dir = directory("stale");
    drop(std::os::unix::net::UnixListener::bind(dir.join(SOCKET)).unwrap());
    assert!(matches!(
        ask(&dir, &Request::Status),
        Err(AskError::NoDaemon)
    ));
    assert_served(&FakeDaemon::start_in(&dir, answers));

    let dir = directory("foreign");
    std::fs::write(dir.join(SOCKET), "a file").unwrap();
    let mut server = Box::new(Server::new());
    let error = server.open(&dir).unwrap_err();
    assert!(error.to_string().contains("control.sock"), "{error}");
    assert_eq!(std::fs::read_to_string(dir.join(SOCKET)).unwrap(), "a file");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn twenty_clients_at_once_are_all_served() {
    let daemon = FakeDaemon::start("twenty", answers);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(ask(&daemon.dir, &Request::Log).unwrap().notes.len(), 900));
        }
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let daemon = FakeDaemon::start("bytes", answers);
    let mut stream = connected(&daemon);
    for byte in encoded(&Request::Disable("isp2".try_into().unwrap())) {
        stream.write_all(&[byte]).unwrap();
        assert_served(&daemon);
    }
    assert_eq!(everything(&mut stream).len(), 2);
    let requests = daemon.requests.lock().unwrap();
    assert!(requests.contains(&Request::Disable("isp2".try_into().unwrap())));
}

#[test]
fn garbage_is_answered_with_an_error() {
    let daemon = FakeDaemon::start("garbage", answers);
    let older = VERSION - 1;
    let version = format!("control protocol version {older} met version {VERSION}");
    for (bytes, complaint) in [
        (&b"\xff\xff and more"[..], "a control frame of 65535 bytes"),
        (b"GET / HTTP/1.0\r\n\r\n", "a control frame of 17735 bytes"),
        (&[5, 0, older], version.as_str()),
        (
            &[3, 0, VERSION, 0x63, 0x63],
            "a control message that cannot be read",
        ),
        (&[0; FRAME_MAX], "a control frame of 0 bytes"),
    ] {
        let mut stream = connected(&daemon);
        stream.write_all(bytes).unwrap();
        let error = error_of(&mut stream);
        assert!(error.starts_with(complaint), "{error}");
    }
    assert_eq!(*daemon.requests.lock().unwrap(), []);
    assert_served(&daemon);
}

#[test]
fn a_client_that_leaves_in_the_middle_frees_its_place() {
    let daemon = FakeDaemon::start("leaving", answers);
    for _ in 0..3 * CLIENTS_MAX {
        connected(&daemon).write_all(&[9, 0]).unwrap();
        let mut stream = connected(&daemon);
        stream.write_all(&encoded(&Request::Log)).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    assert_served(&daemon);
}

#[test]
fn silent_and_slow_clients_delay_no_other_and_are_dropped_in_time() {
    let daemon = FakeDaemon::start("slow", answers);
    let mut silent: Vec<_> = (0..CLIENTS_MAX / 2).map(|_| connected(&daemon)).collect();
    silent[0].write_all(&[9]).unwrap(); // half a frame
    let mut slow: Vec<_> = (0..CLIENTS_MAX / 2 - 1)
        .map(|_| connected(&daemon))
        .collect();
    for stream in &mut slow {
        stream.write_all(&encoded(&Request::Log)).unwrap();
    }
    for _ in 0..50 {
        assert_served(&daemon);
    }
    let before = daemon.wakeups.load(Ordering::Relaxed);
    let start = Instant::now();
    for stream in &mut silent {
        assert_eq!(everything(stream), []);
    }
    let waited = start.elapsed();
    assert!(
        waited > Duration::from_secs(2),
        "not dropped at once: {waited:?}"
    );
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    let wakeups = daemon.wakeups.load(Ordering::Relaxed) - before;
    assert!(wakeups < 50, "{wakeups} wakeups: the loop does not spin");
}

#[test]
fn no_client_can_take_all_places() {
    let daemon = FakeDaemon::start("hog", answers);
    let mut hogs: Vec<_> = (0..CLIENTS_MAX).map(|_| connected(&daemon)).collect();
    for (number, hog) in hogs.iter_mut().enumerate() {
        let requests = [vec![], vec![9], encoded(&Request::Log)];
        hog.write_all(&requests[number % 3]).unwrap();
    }
    for _ in 0..10 {
        assert_served(&daemon);
    }
}

#[test]
fn a_flood_of_bytes_is_cut_off() {
    let daemon = FakeDaemon::start("flood", answers);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let mut stream = connected(&daemon);
                    stream.write_all(&[0xfe, 0x0f, 1]).unwrap(); // the longest possible frame
                    while stream.write_all(&[3; 1000]).is_ok() {}
                }
            });
        }
        for _ in 0..20 {
            assert_served(&daemon);
        }
    });
}

#[test]
fn frames_can_be_pushed_until_a_client_must_read() {
    let dir = directory("push");
    let mut server = Box::new(Server::new());
    server.open(&dir).unwrap();
    let now = failover::types::Instant::from_micros(1);
    let mut stream = UnixStream::connect(dir.join(SOCKET)).unwrap();
    stream.write_all(&encoded(&Request::Reload)).unwrap();
    let client = server.accept(now).unwrap();
    assert!(
        !server.push(client, &mut Reply::Done),
        "nothing is asked yet"
    );
    assert_eq!(server.read(client, now), Some(Request::Reload));
    assert_eq!(server.read(client, now), None, "it is asked once");

    let note = |number: u32| Reply::Note(format!("{number:0200}").as_str().try_into().unwrap());
    let mut pushed = 0;
    while server.push(client, &mut note(pushed)) {
        pushed += 1;
        assert!(pushed < 100_000, "a socket has an end");
    }
    let mut end = |_: &Request, number: &mut u32| {
        *number += 1;
        (*number <= 2).then(|| note(pushed + *number - 1))
    };
    server.pump(client, now, &mut end);
    assert!(server.interest(client).is_some(), "it has not read");

    std::thread::scope(|scope| {
        let replies = scope.spawn(|| everything(&mut stream));
        while server.interest(client).is_some() {
            server.pump(client, now, &mut end);
        }
        let replies = replies.join().unwrap();
        let expected = (0..pushed + 2).map(note).chain([Reply::Done]);
        assert!(replies.into_iter().eq(expected));
    });
    assert!(!server.push(client, &mut Reply::Done), "it is gone");
    server.close();
    std::fs::remove_dir_all(dir).unwrap();
}
