//! The event loop's timer at the shortest interval.

use failover::linux::clock::now;
use failover::linux::poll::{Poller, ReadyList};
use failover::types::Duration;

/// With `strace -f -e epoll_wait,timerfd_settime,read` it shows two calls per turn, and no read.
#[test]
fn rounds_ten_milliseconds_apart_keep_their_time() {
    const ROUNDS: u64 = 100;
    let interval = Duration::from_millis(10);
    let mut poller = Poller::new().unwrap();
    let mut list = ReadyList::new();
    let start = now();
    let mut late_micros = Vec::new();
    let mut deadline = start;
    for _ in 0..ROUNDS {
        deadline += interval;
        poller.set_deadline(Some(deadline)).unwrap();
        assert_eq!(poller.wait(&mut list).unwrap().count(), 0);
        assert!(now() >= deadline, "never early");
        late_micros.push((now() - deadline).total_micros());
    }
    late_micros.sort_unstable();
    let median = late_micros[late_micros.len() / 2];
    println!("late: median {median} us, most {:?} us", late_micros.last());
    // A loaded machine delays some rounds, but the delays must not add up.
    assert!(median < 5_000, "{late_micros:?}");
}
