//! Draining without pending events allocates nothing. A separate test binary: it counts every allocation of the process.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use failover::linux::netlink::{Drained, Events, Requests};
use failover::linux::sysctl;
use failover::routing::asked::Question;
use failover::routing::mirror::{Kinds, Mirror};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes every call to the system's allocator, unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` comes from `alloc` above, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn anonymous_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.unwrap().parse().unwrap()
}

#[test]
fn idle_drains_allocate_nothing() {
    static MIRROR: std::sync::Mutex<Mirror> = std::sync::Mutex::new(Mirror::new());
    let mut mirror = MIRROR.lock().unwrap();
    let before = anonymous_kilobytes();
    let mut events = Events::open().unwrap();
    let mut requests = Requests::open().unwrap();
    requests.dump(&mut mirror, Kinds::ALL).unwrap();
    while events.drain(&mut mirror) != Drained::default() {}
    println!("anonymous: {} kB more", anonymous_kilobytes() - before);
    allocates_nothing(&mut || {
        for _ in 0..1000 {
            assert_eq!(events.drain(&mut mirror), Drained::default());
        }
    });
    asking_allocates_nothing(&mut requests);
}

/// The count is of the whole process, and the test harness has a thread, too: one try of several is enough.
fn allocates_nothing(work: &mut dyn FnMut()) {
    let allocations = || ALLOCATIONS.load(Ordering::Relaxed);
    let nothing = |_| {
        let before = allocations();
        work();
        allocations() == before
    };
    assert!((0..10).any(nothing), "it allocates each time");
}

/// By which way packets would leave; told in the same test, for the count is of the whole process.
fn asking_allocates_nothing(requests: &mut Requests) {
    let questions = ["203.0.113.8", "2001:db8::8"].map(|target| Question {
        target: target.parse().unwrap(),
        source: None,
    });
    let started = Instant::now();
    let mut asked = 0;
    allocates_nothing(&mut || {
        for _ in 0..1000 {
            for question in questions {
                requests.ask(question).unwrap();
                asked += 1;
            }
        }
    });
    let each = started.elapsed() / asked;
    allocates_nothing(&mut || assert_eq!(sysctl::rp_filter("lo"), sysctl::rp_filter("lo")));
    println!("a question: {each:?}");
}
