//! Steady state: while probes are sent and answered, the daemon allocates no memory, starts no process, writes no file.
//!
//! Allocations are counted in the daemon's event loop, which runs in a thread of this program. For the rest, the real
//! program is observed from outside.

#[path = "lab/mod.rs"]
pub mod lab;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lab::daemon::Daemon;
use lab::namespace::Namespace;
use lab::servers::dns::{self, DnsServer};
use lab::servers::http::{self, HttpServer};
use lab::topology::{other_target, target};
use lab::uplink::Kind;
use lab::{Family, Lab, Settings, calls, meter, rights, wait_until};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

/// Rounds of all paths during which nothing may be allocated.
const ROUNDS: u64 = 10_000;
/// Rounds during which system calls are counted.
const ROUNDS_TRACED: u64 = 300;
/// Rounds, ten a second, during which wakeups are counted.
const ROUNDS_COUNTED: u64 = 100;
/// Timeout of all waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls to the allocator made by threads that are [`WATCHED`].
static CALLS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, which counts calls.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code)] // an allocator cannot be implemented without it
// SAFETY: every call is passed to the system's allocator unchanged; counting uses an atomic and a constant thread-local
// cell, neither of which allocates or unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

fn count() {
    if WATCHED.get() {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

/// The tests, by name, as in the usual harness.
const PROOFS: [(&str, fn()); 4] = [
    ("a_steady_daemon_allocates_nothing", allocates_nothing),
    (
        "a_steady_daemon_starts_no_process_and_writes_no_file",
        starts_and_writes_nothing,
    ),
    (
        "a_daemon_is_not_woken_by_peers_that_hold_their_connections",
        wakes_for_its_probes_alone,
    ),
    (
        "a_daemon_is_not_woken_by_what_is_dead_or_silent",
        sleeps_with_failed_uplinks,
    ),
];

/// There is no harness, because the signal that stops the daemon must be blocked before other threads exist: the daemon,
/// which reads it from a descriptor, is only one of the threads of this program.
fn main() -> ExitCode {
    if let Err(why) = rights::acquire() {
        eprintln!("SKIPPED steady: {why}");
        println!(
            "test result: ok. 0 passed; 0 failed; {} ignored",
            PROOFS.len()
        );
        return ExitCode::from(u8::from(rights::required()));
    }
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTERM);
    blocked.thread_block().expect("a signal can be blocked");
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    let (mut passed, mut failed) = (0, 0);
    for (name, proof) in PROOFS.into_iter().filter(|(name, _)| chosen(name)) {
        let good = catch_unwind(proof).is_ok();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        *(if good { &mut passed } else { &mut failed }) += 1;
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored");
    ExitCode::from(u8::from(failed > 0))
}

/// A path for the sticky file in directories without activity. The daemon watches them, and in `/tmp` other programs would
/// wake it.
const STICKY_FILE: &str = "/proc/failover/sticky.provider";

/// The page that the checks request.
const PAGE: &str = "<p>all is well</p>";

/// Configures a daemon with four providers in both families: eight paths, with one check of each type except `exec`, which
/// starts processes. A ping is sent in each round, the other checks less often. A busy machine causes no transition.
fn configure(daemon: &Daemon, lab: &Lab, interval: &str) {
    let state = daemon.file("state");
    let mut settings = Settings::fast(lab)
        .global("state_dir", state.to_str().expect("it is text"))
        .global("sticky_file", STICKY_FILE)
        .global("interval", interval)
        .global("timeout", "300ms")
        .global("down", "20")
        .global("max_loss", "90")
        .global("max_latency", "290ms")
        .global("max_jitter", "290ms");
    for family in Family::ALL {
        let (at, name) = (target(family).to_string(), family.name());
        let (record, neighbours) = match family {
            Family::V4 => ("A", "arp"),
            Family::V6 => ("AAAA", "ndp"),
        };
        let checks: [(&str, &[(&str, &str)]); 6] = [
            (
                "large",
                &[
                    ("type", "ping"),
                    ("target", &at),
                    ("size", "600"),
                    ("ttl", "60"),
                ],
            ),
            ("tcp", &[("type", "tcp"), ("target", &at), ("port", "80")]),
            (
                "dns",
                &[
                    ("type", "dns"),
                    ("target", &at),
                    ("query", "www.example.com"),
                    ("record", record),
                ],
            ),
            (
                "page",
                &[
                    ("type", "http"),
                    ("target", "www.example.com"),
                    ("family", name),
                    ("resolver", &at),
                    ("expect_status", "200"),
                    ("expect_body", "all is well"),
                ],
            ),
            ("link", &[("type", neighbours)]),
            (
                "absent",
                &[
                    ("type", "tcp"),
                    ("target", &at),
                    ("port", "81"),
                    ("accept_refused", "1"),
                ],
            ),
        ];
        for (check, options) in checks {
            let check = format!("{check}_{name}");
            for (option, value) in options {
                settings = settings.with("check", &check, option, value);
            }
            settings = settings.with("check", &check, "interval", "200ms");
        }
    }
    daemon.configure_raw(&settings.to_string());
}

/// The servers of the checks, behind each provider. The TTL of addresses is one second.
fn serve(lab: &Lab) -> Vec<(DnsServer, HttpServer)> {
    let start = |(provider, family)| {
        let at = target(family);
        let good = dns::Behaviour::Right(at, 1);
        (
            DnsServer::start(provider, at, other_target(family), None, good),
            HttpServer::start(provider, at, http::Behaviour::Page(PAGE)),
        )
    };
    let providers = lab.providers.iter();
    providers
        .flat_map(|provider| Family::ALL.map(|family| (provider, family)))
        .map(start)
        .collect()
}

fn allocates_nothing() {
    let lab = Lab::builder().providers(4).build();
    let _servers = serve(&lab);
    let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
    configure(&daemon, &lab, "10ms");
    let file = daemon.file("failover.conf");
    let copy = daemon.file("last-good.conf");
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            lab.router.enter(|| {
                WATCHED.set(true);
                let result = failover::daemon::run(&file, Some(&copy), true, &mut |line| {
                    eprintln!("{line}")
                });
                WATCHED.set(false);
                if let Err(failure) = result {
                    eprintln!("The daemon ended: {failure}");
                }
            });
            ended.store(true, Ordering::Release);
        });
        let found = catch_unwind(AssertUnwindSafe(|| observe(&lab.router, &daemon)));
        // The daemon reads it from its descriptor; it is blocked in all threads.
        let _ = kill(Pid::this(), Signal::SIGTERM);
        if !wait_until(PATIENCE, || ended.load(Ordering::Acquire)) {
            eprintln!("The daemon does not stop.");
            std::process::exit(1);
        }
        if let Err(panic) = found {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Observes the daemon that runs in this process.
fn observe(router: &Namespace, daemon: &Daemon) {
    assert!(
        wait_until(PATIENCE, || daemon.file("state/control.sock").exists()),
        "the daemon did not start"
    );
    daemon.wait_for_all("online");
    // Without the times, which may be rounded to another second.
    let journal = || -> Vec<String> {
        let log = daemon.must(&["log"]);
        let what = |line: &str| line.split_once(' ').map(|(_, what)| what.to_owned());
        log.lines().filter_map(what).collect()
    };
    let told = journal();
    let at_start = CALLS.load(Ordering::Relaxed);
    assert!(at_start > 0, "the counter counts nothing");
    pass(router, ROUNDS / 20);

    let before = CALLS.load(Ordering::Relaxed);
    // The kernel is asked by which way packets leave: at once, when a rule has changed, as otherwise once a minute.
    router.ip("rule add pref 99 fwmark 0x1 lookup 300");
    let rounds = pass(router, ROUNDS);
    let calls = CALLS.load(Ordering::Relaxed) - before;

    println!("{at_start} calls to the allocator at the start, {calls} in {rounds} rounds");
    assert_eq!(
        journal(),
        told,
        "this was no steady state: is the machine that busy?"
    );
    assert_eq!(calls, 0, "calls to the allocator in {rounds} rounds");
}

fn starts_and_writes_nothing() {
    let lab = Lab::builder().providers(4).build();
    let _servers = serve(&lab);
    let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
    configure(&daemon, &lab, "20ms");
    let copy = daemon.file("last-good.conf");
    daemon.give(&["--last-good", copy.to_str().expect("it is text")]);
    daemon.launch();
    daemon.wait_for_all("online");
    pass(&lab.router, ROUNDS_TRACED);

    let before = meter::activity(daemon.pid());
    pass(&lab.router, ROUNDS_TRACED);
    assert_eq!(
        meter::activity(daemon.pid()),
        before,
        "something was written, or a child has run"
    );

    let calls = match counted(&lab.router, &daemon, ROUNDS_TRACED) {
        Ok(calls) => calls,
        Err(why) => {
            assert!(!rights::required(), "{why}");
            eprintln!("SKIPPED the system calls: {why}");
            return;
        }
    };
    println!("{calls:?}");
    let of = |name: &str| calls.get(name).copied().unwrap_or(0);
    let (sent, waits) = (of("sendto"), of("epoll_wait") + of("epoll_pwait"));
    assert!(sent >= ROUNDS_TRACED, "{sent} probes only");
    let known = [&A_PROBE[..], &A_CONVERSATION[..]].concat();
    let others: Vec<&String> = calls
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    // Answers and deadlines cause wakeups; each wakeup is one wait, and a deadline is one setting of the timer. A session
    // has a wakeup when it is connected, and reads until there is no more: its answer, its end.
    let sessions = of("connect");
    assert!(sessions > 0, "there were no sessions");
    let slack = sent / 20 + 8;
    assert!(
        of("recvfrom") <= sent + 4 * sessions + slack
            && of("timerfd_settime") <= sent + 2 * sessions + slack
            && waits <= 2 * sent + 4 * sessions + slack
    );
    // One socket per session; no descriptor stays open.
    assert!(of("socket") <= sessions + slack && of("openat") <= sessions + slack);
    assert!(of("epoll_ctl") <= 2 * sessions + slack);
}

/// The daemon's system calls in so many rounds.
fn counted(router: &Namespace, daemon: &Daemon, rounds: u64) -> Result<calls::Calls, String> {
    calls::count(daemon, || {
        pass(router, rounds);
    })
}

/// Settings with a ping in each round, and TCP connections and DNS queries five times a second.
fn asking(lab: &Lab) -> Settings {
    let settings = Settings::fast(lab).global("timeout", "1s");
    let at = target(Family::V4).to_string();
    let checks: [(&str, &[(&str, &str)]); 3] = [
        ("tcp", &[("port", "80")]),
        ("http", &[]),
        ("dns", &[("query", "www.example.com")]),
    ];
    checks.iter().fold(settings, |settings, (kind, options)| {
        let usual = [
            ("type", *kind),
            ("target", at.as_str()),
            ("interval", "200ms"),
        ];
        let options = usual.iter().chain(options.iter());
        options.fold(settings, |settings, (option, value)| {
            settings.with("check", kind, option, value)
        })
    })
}

/// Servers that never close a connection.
fn hold(lab: &Lab) -> Vec<(DnsServer, HttpServer)> {
    let at = target(Family::V4);
    let start = |provider| {
        let good = dns::Behaviour::Right(at, 1);
        (
            DnsServer::start(provider, at, other_target(Family::V4), None, good),
            HttpServer::start(provider, at, http::Behaviour::Holds),
        )
    };
    lab.providers.iter().map(start).collect()
}

/// No descriptor causes a wakeup without an event: there are as many waits as probes, answers and timeouts, which a busy
/// machine may have all of.
fn few_waits(router: &Namespace, daemon: &Daemon) {
    let calls = match counted(router, daemon, ROUNDS_COUNTED) {
        Ok(calls) => calls,
        Err(why) => {
            assert!(!rights::required(), "{why}");
            eprintln!("SKIPPED the system calls: {why}");
            return;
        }
    };
    let of = |name: &str| calls.get(name).copied().unwrap_or(0);
    let (sent, sessions) = (of("sendto"), of("connect"));
    let waits = of("epoll_wait") + of("epoll_pwait");
    println!("{waits} waits for {sent} messages sent and {sessions} connections");
    assert!(sent > 0 && sessions > 0, "too few: {calls:?}");
    assert!(waits <= 3 * sent + 4 * sessions + 20, "{waits}: {calls:?}");
}

/// Answers take 30 ms, so that the daemon sleeps in between; the servers keep connections open.
fn wakes_for_its_probes_alone() {
    let lab = Lab::builder()
        .kind(1, Kind::PointToPoint)
        .kind(2, Kind::PointToPoint)
        .delay(Duration::from_millis(15))
        .build();
    let _servers = hold(&lab);
    let daemon = Daemon::start(&lab.router, &asking(&lab));
    daemon.wait_for_all("online");
    few_waits(&lab.router, &daemon);
    let mut checks = Vec::new();
    let all_answered = || {
        let path = daemon.status()["providers"][0]["paths"][0].clone();
        checks = path["checks"].as_array().cloned().unwrap_or_default();
        !checks.is_empty() && checks.iter().all(|check| check["rtt_ms"].is_number())
    };
    assert!(wait_until(PATIENCE, all_answered), "{checks:?}");
    for check in checks {
        assert!(check["rtt_ms"].as_f64() >= Some(30.0), "{check}");
    }
}

/// One device is down, one cable is pulled, one upstream drops everything, and clients send nothing, or disconnect.
fn sleeps_with_failed_uplinks() {
    let lab = Lab::builder().providers(4).build().carrying();
    let _servers = hold(&lab);
    let settings = asking(&lab)
        .with("check", "link", "type", "arp")
        .with("check", "link", "interval", "200ms");
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");
    lab.device_down(1);
    lab.pull_cable(2);
    lab.upstream_dies(3);
    for (id, state) in [
        ("isp1", "waiting"),
        ("isp2", "waiting"),
        ("isp3", "offline"),
    ] {
        daemon.wait_for(id, "ipv6", state);
    }
    let client = || UnixStream::connect(daemon.file("state/control.sock"));
    let silent = client().expect("it listens");
    let half = client().expect("it listens");
    half.shutdown(Shutdown::Write).expect("it is open");
    few_waits(&lab.router, &daemon);
    drop(silent);
}

/// System calls of a probe over an open socket: one `sendto`, one `recvfrom`, and the wakeups for them.
const A_PROBE: [&str; 5] = [
    "sendto",
    "recvfrom",
    "epoll_wait",
    "epoll_pwait",
    "timerfd_settime",
];

/// Further system calls of a session: its own socket, and a random ID for a DNS query (`openat`, `read`).
const A_CONVERSATION: [&str; 12] = [
    "socket",
    "setsockopt",
    "bind",
    "getsockname",
    "connect",
    "getsockopt",
    "getpeername",
    "epoll_ctl",
    "close",
    // of a closed descriptor, in builds with the standard library's assertions
    "fcntl",
    "openat",
    "read",
];

/// Waits until so many more rounds were sent, at least 50 ms. Returns their number.
fn pass(router: &Namespace, rounds: u64) -> u64 {
    let before = router.pings().sent;
    let mut passed = 0;
    let enough = wait_until(PATIENCE, || {
        thread::sleep(Duration::from_millis(50)); // polling more often would keep a processor busy
        passed = router.pings().sent - before;
        passed >= rounds
    });
    assert!(enough, "{passed} rounds only");
    passed
}
