//! The synchronization of one family with the kernel: whether it is needed, what failed, and when to try again.

use crate::routing::manual::Manual;
use crate::types::{DeviceName, Duration, Fault, Instant, soonest};

/// Pause between two repairs of what another program keeps changing, and after a failed attempt.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many repairs may follow each other at once. Each is paid for by one [`PATIENCE`] without a repair.
const REPAIRS_AT_ONCE: u32 = 16;
/// The shortest pause between two repairs.
const REPAIRS_APART: Duration = Duration::from_millis(10);

/// The synchronization of one family.
#[derive(Default)]
pub(super) struct FamilySync {
    /// The kernel's state has changed: our routes and rules must be compared.
    pub(super) doubted: bool,
    /// The comparison comes no earlier.
    pub(super) not_before: Option<Instant>,
    /// The fault that stopped the last attempt, not due to the change itself.
    pub(super) stalled: Option<Fault>,
    /// The last attempt was not completed: the next changes are no repair.
    pub(super) unfinished: bool,
    /// When to try again the changes that the kernel refuses.
    pub(super) retry_at: Option<Instant>,
    /// When all repairs so far are paid for: one per [`PATIENCE`].
    repaid_at: Option<Instant>,
    /// When the journal last recorded a repair.
    pub(super) reported_at: Option<Instant>,
    /// The foreign default route in `main` that prevails over ours, or may be meant to.
    pub(super) manual: Manual,
    /// One that is not obeyed before netifd has been asked whose device that is: the device, and how many calls had begun
    /// when it was seen.
    pub(super) candidate: Option<(DeviceName, u32)>,
    /// What the last layout took from the foreign routes and rules.
    pub(super) basis: Basis,
    /// There was a first search for it.
    pub(super) manual_is_known: bool,
}

/// What a layout takes from addresses, and from foreign routes and rules: when it changes, what follows is no repair.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Basis {
    /// the number of our routes in `main` before a route that refuses, and the sum of their metrics
    pub(super) in_main: (usize, u32),
    /// the number of our rules that look up the kernel's own tables
    pub(super) rules: usize,
    /// a checksum of the networks and addresses with a rule of ours
    pub(super) sources: u64,
}

impl FamilySync {
    /// When to try again.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let doubted = self.not_before.filter(|_| self.doubted);
        soonest(&[&doubted, &self.retry_at()])
    }

    /// When to try refused changes again. After an attempt that was not completed, the next attempt includes them.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.unfinished)
    }

    /// Whether to synchronize now. An outdated mirror is no reason for a repair.
    pub(super) fn is_due(&self, planned: bool, picture_is_old: bool, now: Instant) -> bool {
        let reached = |at: Instant| at <= now;
        let doubted = self.doubted && self.not_before.is_none_or(reached);
        planned || (doubted || self.retry_at().is_some_and(reached)) && !picture_is_old
    }

    /// An attempt was not completed: the next one comes later.
    pub(super) fn try_again(&mut self, now: Instant) {
        (self.doubted, self.unfinished) = (true, true);
        self.not_before = Some(now + PATIENCE);
    }

    /// A repair was made: sets the time of the next one.
    pub(super) fn pay_for_repair(&mut self, now: Instant) {
        let repaid = self.repaid_at.map_or(now, |at| at.max(now)) + PATIENCE;
        self.repaid_at = Some(repaid);
        // Rules that are deleted one by one, as by `ip rule flush`, cost two repairs, not one per rule.
        let burst = repaid - PATIENCE * (REPAIRS_AT_ONCE - 1);
        self.not_before = Some(burst.max(now + REPAIRS_APART));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of repairs if one is needed every tenth of a second from a time on.
    fn repairs(sync: &mut FamilySync, from: i64, seconds: i64) -> usize {
        let tenths =
            (from * 10..(from + seconds) * 10).map(|tenth| Instant::from_millis(tenth * 100));
        let mut count = 0;
        for now in tenths {
            sync.doubted = true;
            if sync.is_due(false, false, now) {
                sync.pay_for_repair(now);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn repairs_come_in_a_burst_and_then_once_a_second() {
        let mut sync = FamilySync::default();
        assert_eq!(repairs(&mut sync, 100, 1), 10, "nothing is held back");
        assert_eq!(
            repairs(&mut sync, 101, 10),
            16,
            "those of a burst, and of eleven seconds"
        );
        assert_eq!(repairs(&mut sync, 111, 100), 100);
        assert_eq!(repairs(&mut sync, 215, 1), 5, "after so many quiet seconds");
        assert_eq!(repairs(&mut sync, 1000, 3), 18, "after a long peace");
    }

    /// As `ip rule flush` deletes rules: one by one, within some milliseconds.
    #[test]
    fn what_goes_one_by_one_costs_two_repairs() {
        let mut sync = FamilySync::default();
        let flush = (1_000_000..1_004_000)
            .step_by(100)
            .map(Instant::from_micros);
        let mut count = 0;
        for now in flush.chain([Instant::from_millis(1_010), Instant::from_millis(1_020)]) {
            sync.doubted |= now < Instant::from_millis(1_004);
            if sync.is_due(false, false, now) {
                sync.pay_for_repair(now);
                sync.doubted = false;
                count += 1;
            }
        }
        assert_eq!(count, 2);
        assert_eq!(sync.due_at(), None);
    }

    #[test]
    fn what_is_refused_waits_for_what_did_not_come_through() {
        let at = Instant::from_secs;
        let mut sync = FamilySync {
            retry_at: Some(at(3)),
            ..FamilySync::default()
        };
        assert!(!sync.is_due(false, false, at(2)) && sync.is_due(false, false, at(3)));
        assert!(!sync.is_due(false, true, at(3)), "with an old picture");
        (sync.unfinished, sync.doubted, sync.not_before) = (true, true, Some(at(4)));
        assert!(!sync.is_due(false, false, at(3)) && sync.is_due(false, false, at(4)));
        assert_eq!(sync.due_at(), Some(at(4)));
    }
}
