//! Which connections are handed over to another provider, and when.
//!
//! A provider's connections in one family are handed over, as soon as another provider leads that works:
//! - when it is not usable any more: at once; also when a pin, `disable` or a reload takes it out;
//! - while it is usable: at once with [`Connections::Follow`], after its time with [`Connections::AtMost`], but only if it has
//!   led since the last time. What is steered to a provider that does not lead stays.
//!
//! If the provider is usable or leads again before, nothing is handed over. While none works, all stay where they are, but
//! for those of one that a reload takes out.

use crate::config::Connections;
use crate::limits::PROVIDERS_MAX;
use crate::types::{Duration, Instant, Slot};

/// The state of one family. All zero bytes when new. Sets of providers have one bit per slot.
#[repr(C)] // what is small stands by the beginning of the list
pub struct Handovers {
    /// It may have connections: it was usable, or led, since they were handed over last.
    live: u64,
    /// It has led since then.
    led: u64,
    /// Another began to lead at the time that is kept.
    behind: u64,
    /// A reload has taken it out. Its slot may be another's by now.
    removed: u64,
    /// It was usable when looked at last.
    usable: u64,
    /// To be handed over.
    due: u64,
    /// Usable, but its connections are not kept: they have no rule of their own.
    not_kept: u64,
    leader: Option<Slot>,
    /// The leader does not work.
    none_works: bool,
    deadline: Option<Instant>,
    /// When another began to lead, by slot.
    behind_since: [Instant; PROVIDERS_MAX],
}

/// A family's providers, as they are now.
pub struct Present<'a> {
    /// those that are usable
    pub usable: u64,
    /// the one that leads
    pub leader: Option<Slot>,
    /// whether even that one does not work
    pub none_works: bool,
    /// what each does with its connections; `Off` also for those whose connections are not marked
    pub policy: &'a dyn Fn(Slot) -> Connections,
}

/// The connections of a provider are to be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// the provider
    pub from: Slot,
    /// the one that leads
    pub to: Slot,
    /// whether it is still usable: what is not translated may go on, then
    pub is_usable: bool,
    /// whether a reload has taken it out: its slot may be another's
    pub is_removed: bool,
}

impl Handovers {
    /// Of no providers.
    #[allow(clippy::new_without_default)] // a default would be made on the stack
    pub const fn new() -> Handovers {
        Handovers {
            live: 0,
            led: 0,
            behind: 0,
            removed: 0,
            usable: 0,
            due: 0,
            not_kept: 0,
            leader: None,
            none_works: false,
            deadline: None,
            behind_since: [Instant::ZERO; PROVIDERS_MAX],
        }
    }

    /// At the start: any of these may have connections from a former run, in which `leader` led. The duration of others
    /// begins anew.
    pub fn begin(&mut self, all: u64, leader: Option<Slot>, policy: &dyn Fn(Slot) -> Connections) {
        self.live = all;
        self.led = leader.map_or(0, Slot::bit);
        for slot in slots(all) {
            if matches!(policy(slot), Connections::AtMost(_)) {
                self.led |= slot.bit();
            }
        }
    }

    /// A reload takes these out of the family.
    pub fn remove(&mut self, removed: u64) {
        self.removed |= self.live & removed;
        self.led &= !removed;
        self.behind &= !removed;
    }

    /// Looks at the family again, after a change or at [`Handovers::next_deadline`]. Returns whether another leads.
    pub fn look(&mut self, now: &Present<'_>, at: Instant) -> bool {
        let leads = now.leader.map_or(0, Slot::bit);
        let is_another = self.leader != now.leader;
        (self.usable, self.leader, self.deadline) = (now.usable, now.leader, None);
        self.none_works = now.none_works;
        self.live |= now.usable | leads;
        self.led |= leads;
        self.behind &= !leads;
        self.due = self.removed;
        self.not_kept = 0;
        for slot in slots(self.live & !leads) {
            self.look_at(slot, (now.policy)(slot), at);
        }
        is_another
    }

    /// Looks at a provider that does not lead.
    fn look_at(&mut self, slot: Slot, policy: Connections, at: Instant) {
        let this = slot.bit();
        let stays = match policy {
            Connections::Off => {
                self.live &= !this;
                return;
            }
            _ if self.usable & this == 0 => {
                self.due |= this;
                return;
            }
            // As long as none leads, there is none to follow.
            _ if self.leader.is_none() => return,
            Connections::Stay => None,
            Connections::AtMost(duration) => Some(duration),
            Connections::Follow => Some(Duration::ZERO),
        };
        let Some(since) = self.behind_since.get_mut(usize::from(slot.0)) else {
            return;
        };
        if self.behind & this == 0 {
            self.behind |= this;
            *since = at;
        }
        match stays.map(|stays| *since + stays) {
            Some(end) if end <= at => {
                self.not_kept |= this;
                self.due |= self.led & this;
            }
            Some(end) => self.deadline = Some(self.deadline.map_or(end, |first| first.min(end))),
            None => {}
        }
    }

    /// Those that may have connections, and are not taken out.
    pub fn live(&self) -> u64 {
        self.live & !self.removed
    }

    /// Those that are usable, but whose connections have no rule of their own.
    pub fn not_kept(&self) -> u64 {
        self.not_kept
    }

    /// The next to be handed over now. Call [`Handovers::done`] after each.
    pub fn next(&self) -> Option<Handover> {
        let to = self.leader?;
        let ready = match self.none_works {
            true => self.removed,
            false => self.due & !(to.bit() & !self.removed),
        };
        let from = slots(ready).next()?;
        Some(Handover {
            from,
            to,
            is_usable: self.usable & !self.removed & from.bit() != 0,
            is_removed: self.removed & from.bit() != 0,
        })
    }

    /// A provider's connections were handed over, or cannot be.
    pub fn done(&mut self, from: Slot) {
        let (this, leads) = (from.bit(), self.leader.map_or(0, Slot::bit));
        self.due &= !this;
        self.removed &= !this;
        self.led &= !this | leads;
        self.live &= !this | leads | self.usable;
    }

    /// When to look again, without any change.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

fn slots(mut set: u64) -> impl Iterator<Item = Slot> {
    core::iter::from_fn(move || {
        let first = u8::try_from(set.trailing_zeros())
            .ok()
            .filter(|_| set != 0)?;
        set &= set - 1;
        Some(Slot(first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Connections::*;

    const ISP1: Slot = Slot(0);
    const ISP2: Slot = Slot(1);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Two providers with one policy; the time in seconds.
    struct Family {
        state: Handovers,
        policy: Connections,
    }

    impl Family {
        fn new(policy: Connections) -> Family {
            let state = Handovers::new();
            Family { state, policy }
        }

        fn at(&mut self, seconds: i64, usable: u64, leader: Option<Slot>) -> Vec<(u8, u8, bool)> {
            let policy = self.policy;
            let present = Present {
                usable,
                leader,
                none_works: usable == 0,
                policy: &|_| policy,
            };
            self.state.look(&present, Instant::from_secs(seconds));
            let mut all = Vec::new();
            while let Some(handover) = self.state.next() {
                all.push((handover.from.0, handover.to.0, handover.is_usable));
                self.state.done(handover.from);
            }
            all
        }
    }

    #[test]
    fn at_a_death_at_once_and_once() {
        for policy in [Stay, AtMost(MINUTE), Follow] {
            let mut family = Family::new(policy);
            assert_eq!(family.at(0, 0b11, Some(ISP1)), []);
            assert_eq!(
                family.at(1, 0b10, Some(ISP2)),
                [(0, 1, false)],
                "{policy:?}"
            );
            assert_eq!(family.at(2, 0b10, Some(ISP2)), []);
            assert_eq!(family.at(3, 0b11, Some(ISP2)), []);
            assert_eq!(family.at(4, 0b10, Some(ISP2)), [(0, 1, false)], "again");
        }
        let mut off = Family::new(Off);
        assert_eq!(off.at(0, 0b11, Some(ISP1)), []);
        assert_eq!(off.at(1, 0b10, Some(ISP2)), []);
    }

    #[test]
    fn as_soon_as_another_leads() {
        let mut family = Family::new(Stay);
        assert_eq!(family.at(0, 0b01, Some(ISP1)), []);
        assert_eq!(family.at(1, 0, None), []);
        assert_eq!(family.at(2, 0, None), []);
        assert_eq!(family.at(9, 0b10, Some(ISP2)), [(0, 1, false)]);
        // The same leads again.
        let mut family = Family::new(Follow);
        assert_eq!(family.at(0, 0b01, Some(ISP1)), []);
        assert_eq!(family.at(1, 0, None), []);
        assert_eq!(family.at(2, 0b01, Some(ISP1)), []);
    }

    #[test]
    fn none_goes_to_a_last_resort_that_does_not_work() {
        for policy in [Stay, Follow] {
            let mut family = Family::new(policy);
            family.at(0, 0b11, Some(ISP1));
            assert_eq!(family.at(1, 0, Some(ISP1)), []);
            assert_eq!(family.at(2, 0, Some(ISP2)), []);
            assert_eq!(family.state.live(), 0b11);
            // The same comes back.
            assert_eq!(family.at(3, 0b01, Some(ISP1)), [(1, 0, false)]);
            assert_eq!(family.at(4, 0, Some(ISP1)), []);
            assert_eq!(family.at(5, 0, Some(ISP2)), []);
            assert_eq!(family.at(6, 0b10, Some(ISP2)), [(0, 1, false)]);
            assert_eq!(family.state.live(), 0b10);
        }
    }

    #[test]
    fn at_a_return_they_stay_or_follow_at_their_time() {
        let mut stay = Family::new(Stay);
        stay.at(0, 0b10, Some(ISP2));
        assert_eq!(stay.at(1, 0b11, Some(ISP1)), []);
        assert_eq!(stay.state.not_kept(), 0);
        // A reload asks for another policy.
        stay.policy = Follow;
        assert_eq!(stay.at(2, 0b11, Some(ISP1)), [(1, 0, true)]);
        assert_eq!(
            (stay.at(3, 0b11, Some(ISP1)), stay.state.not_kept()),
            (vec![], 0b10)
        );
        assert_eq!(
            (stay.at(4, 0b11, Some(ISP2)), stay.state.not_kept()),
            (vec![(0, 1, true)], 0b01)
        );

        let mut timed = Family::new(AtMost(MINUTE));
        timed.at(0, 0b11, Some(ISP2));
        assert_eq!(timed.at(1, 0b11, Some(ISP1)), []);
        assert_eq!(timed.state.next_deadline(), Some(Instant::from_secs(61)));
        assert_eq!(timed.at(60, 0b11, Some(ISP1)), []);
        assert_eq!(timed.at(61, 0b11, Some(ISP1)), [(1, 0, true)]);
        assert_eq!(
            (timed.state.next_deadline(), timed.state.not_kept()),
            (None, 0b10)
        );
        // Its time begins anew each time that it has led.
        assert_eq!(timed.at(70, 0b11, Some(ISP2)), []);
        assert_eq!(
            (timed.state.next_deadline(), timed.state.not_kept()),
            (Some(Instant::from_secs(130)), 0)
        );
        assert_eq!(timed.at(80, 0b11, Some(ISP1)), []);
        assert_eq!(timed.at(139, 0b11, Some(ISP1)), []);
        assert_eq!(timed.at(140, 0b11, Some(ISP1)), [(1, 0, true)]);
    }

    #[test]
    fn what_a_reload_takes_out_goes_also_if_its_slot_is_given_away() {
        let mut family = Family::new(Stay);
        family.at(0, 0b11, Some(ISP1));
        family.state.remove(0b01);
        assert_eq!(
            family.at(1, 0b11, Some(ISP1)),
            [(0, 0, false)],
            "to its heir"
        );
        assert_eq!(family.at(2, 0b11, Some(ISP2)), []);
        family.state.remove(0b10);
        assert_eq!(family.at(3, 0b01, None), []);
        assert_eq!(family.at(4, 0b01, Some(ISP1)), [(1, 0, false)]);
        family.state.remove(0b100); // it never had any
        assert_eq!(family.at(5, 0b01, Some(ISP1)), []);
        family.at(6, 0b11, Some(ISP2));
        family.state.remove(0b10);
        assert_eq!(
            family.at(7, 0, Some(ISP1)),
            [(1, 0, false)],
            "none works, but it is there no more"
        );
    }

    #[test]
    fn a_start_hands_over_what_died_meanwhile_alone() {
        for (policy, expected) in [(Stay, vec![]), (Follow, vec![(0, 1, true)])] {
            let mut family = Family::new(policy);
            family.state.begin(0b111, Some(ISP1), &|_| policy);
            let third = (2, 1, false);
            let mut found = family.at(0, 0b11, Some(ISP2));
            assert_eq!(found.pop(), Some(third));
            assert_eq!(found, expected, "it led, and does no more");
        }
        let mut family = Family::new(Follow);
        family.state.begin(0b11, Some(ISP1), &|_| Follow);
        assert_eq!(
            family.at(0, 0b11, Some(ISP1)),
            [],
            "what is steered to isp2 stays"
        );
        let mut family = Family::new(AtMost(MINUTE));
        family.state.begin(0b11, Some(ISP1), &|_| AtMost(MINUTE));
        assert_eq!(family.at(0, 0b11, Some(ISP1)), []);
        assert_eq!(family.at(60, 0b11, Some(ISP1)), [(1, 0, true)]);
    }

    /// Random events: of a usable provider that stays nothing is handed over; one that is lost is handed over once, as soon
    /// as another leads; none is handed over to itself.
    #[test]
    fn over_random_events_exactly_once_per_loss() {
        let mut seed = 0x1234_5678_u32;
        let mut random = move |below: u32| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed % below
        };
        let policies = [Stay, Follow, AtMost(MINUTE), Stay, Stay];
        let mut state = Handovers::new();
        let (mut owed, mut usable, mut now) = (0_u64, 0_u64, Instant::ZERO);
        let mut count = 0;
        for _ in 0..100_000 {
            now += Duration::from_secs(random(30).into());
            let change = 1 << random(5);
            let after = usable ^ if random(2) == 0 { change } else { 0 };
            let leader = match random(6) {
                0..5 if after != 0 => slots(after).nth(random(after.count_ones()) as usize),
                5 => Some(Slot(u8::try_from(random(5)).unwrap())),
                _ => None,
            };
            let leads = leader.map_or(0, Slot::bit);
            owed = (owed | usable & !after | leads) & !(after & !leads);
            usable = after;
            let present = Present {
                usable,
                leader,
                none_works: usable & leads == 0,
                policy: &|Slot(slot)| policies[usize::from(slot)],
            };
            state.look(&present, now);
            let mut handed = 0;
            while let Some(Handover {
                from,
                to,
                is_usable,
                ..
            }) = state.next()
            {
                assert_eq!(Some(to), leader);
                assert_ne!(from, to);
                assert_eq!(is_usable, usable & from.bit() != 0);
                assert_eq!(handed & from.bit(), 0, "twice");
                assert!(!is_usable || policies[usize::from(from.0)] != Stay);
                handed |= from.bit();
                state.done(from);
            }
            if usable & leads != 0 {
                let lost = owed & !usable & !leads;
                assert_eq!(handed & !usable, lost);
                owed &= !lost;
                count += handed.count_ones();
            } else {
                assert_eq!(handed, 0);
            }
        }
        assert!(count > 10_000, "{count}");
    }
}
