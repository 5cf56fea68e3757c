//! What a user notices, over time: which provider carried it, or that there was no answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lab::flow::{LOST_AFTER, Moment};
use crate::lab::{Flow, LIFETIME, Namespace};

/// What a timeline shows.
pub(crate) trait Watched {
    /// The current moment.
    fn now(&self) -> Moment;
    /// The latest moment of which all is known.
    fn known(&self) -> Moment;
    /// Whether this provider, and no other, carries it now.
    fn goes_by(&self, provider: u8) -> bool;
    /// For each cell, the provider that carried it; none without answers.
    fn timeline(&self, from: Moment, to: Moment, cells: usize) -> Vec<Option<u8>>;
    /// The longest time without answers.
    fn outage(&self, since: Moment) -> Duration;
    /// Number of lost datagrams; none where that has no meaning.
    fn lost(&self, since: Moment) -> Option<usize>;
}

impl Watched for Flow {
    fn now(&self) -> Moment {
        Flow::now(self)
    }

    fn known(&self) -> Moment {
        Flow::now(self).saturating_sub(LOST_AFTER)
    }

    fn goes_by(&self, provider: u8) -> bool {
        Flow::goes_by(self, provider, Duration::ZERO)
    }

    fn timeline(&self, from: Moment, to: Moment, cells: usize) -> Vec<Option<u8>> {
        Flow::timeline(self, from, to, cells)
    }

    fn outage(&self, since: Moment) -> Duration {
        Flow::outage(self, since)
    }

    fn lost(&self, since: Moment) -> Option<usize> {
        Some(Flow::lost(self, since))
    }
}

/// The time between two looks.
const EVERY: Duration = Duration::from_millis(20);

/// One look: which provider carried it.
type Look = (Moment, Option<u8>);

/// Something that is looked at again and again, in a thread that ends when this is dropped.
pub(crate) struct Track {
    start: Instant,
    looks: Arc<Mutex<Vec<Look>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Track {
    /// Looks from inside a namespace.
    pub(crate) fn start(
        from: &Namespace,
        mut look: impl FnMut() -> Option<u8> + Send + 'static,
    ) -> Track {
        let (start, looks) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (looks, stop) = (Arc::clone(&looks), Arc::clone(&stop));
            let run = move || {
                while !stop.load(Ordering::Relaxed) && start.elapsed() < LIFETIME {
                    let (at, seen) = (start.elapsed(), look());
                    let mut looks = looks.lock().expect("no thread panics while holding it");
                    looks.push((at, seen));
                    drop(looks);
                    thread::sleep((at + EVERY).saturating_sub(start.elapsed()));
                }
            };
            // A thread is in the namespace of the one that starts it.
            from.enter(|| thread::spawn(run))
        };
        Track {
            start,
            looks,
            stop,
            thread: Some(thread),
        }
    }

    fn since(&self, since: Moment) -> Vec<Look> {
        let looks = self.looks.lock();
        let looks = looks.expect("no thread panics while holding it");
        let recent = looks.iter().filter(|(at, _)| *at >= since);
        recent.copied().collect()
    }
}

impl Watched for Track {
    fn now(&self) -> Moment {
        self.start.elapsed()
    }

    fn known(&self) -> Moment {
        self.now().saturating_sub(EVERY)
    }

    fn goes_by(&self, provider: u8) -> bool {
        let looks = self.since(Moment::ZERO);
        looks.len() > 3
            && looks
                .iter()
                .rev()
                .take(3)
                .all(|(_, by)| *by == Some(provider))
    }

    /// What the cell's last look saw; without one, what was seen last before, for so long as one look lasts.
    fn timeline(&self, from: Moment, to: Moment, cells: usize) -> Vec<Option<u8>> {
        let looks = self.since(from.saturating_sub(EVERY * 2));
        let width = to.saturating_sub(from) / u32::try_from(cells.max(1)).unwrap_or(u32::MAX);
        let cell = |number: usize| {
            let start = from + width * u32::try_from(number).unwrap_or(u32::MAX);
            let (at, by) = looks.iter().rev().find(|(at, _)| *at < start + width)?;
            by.filter(|_| *at + EVERY * 2 >= start)
        };
        (0..cells).map(cell).collect()
    }

    fn outage(&self, since: Moment) -> Duration {
        let (mut longest, mut last) = (Duration::ZERO, None);
        for (at, by) in self.since(since) {
            let first = *last.get_or_insert(at);
            longest = longest.max(at - first);
            if by.is_some() {
                last = None;
            }
        }
        longest
    }

    fn lost(&self, _since: Moment) -> Option<usize> {
        None
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
