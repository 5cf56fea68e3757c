//! How the room for concurrent sessions and commands is shared: each path has a part that no other path can take.

use core::fmt;

use crate::config::{Check, Config};
use crate::limits::{COMMANDS_MAX, PATHS_MAX, PROVIDERS_MAX, SESSIONS_MAX};
use crate::types::PathId;

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// another session of a check with a server
    Sessions,
    /// another command of an `exec` check
    Commands,
    /// another socket or process of this system's
    System,
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Room::Sessions => write!(
                f,
                "there is room for {SESSIONS_MAX} sessions of tcp, dns and http checks at once"
            ),
            Room::Commands => write!(
                f,
                "there is room for {COMMANDS_MAX} commands of exec checks at once"
            ),
            Room::System => f.write_str("the system grants no more sockets or processes"),
        }
    }
}

impl Room {
    /// All, in the order of their numbers.
    pub(crate) const ALL: [Room; 3] = [Room::Sessions, Room::Commands, Room::System];

    /// What to do about the lack of it.
    pub(crate) const fn cure(self) -> &'static str {
        match self {
            Room::Sessions | Room::Commands => {
                "choose fewer such checks for each provider by `list check`, or shorten `timeout`"
            }
            Room::System => {
                "raise its limits (`ulimit -n`, `ulimit -u`; of systemd LimitNOFILE, TasksMax), and start failover again"
            }
        }
    }
}

/// How many paths and providers share the room. All zero bytes when new: one path has all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    paths: u8,
    providers: u8,
}

impl Shares {
    /// One path has all of the room.
    pub(crate) const NONE: Shares = Shares {
        paths: 0,
        providers: 0,
    };

    /// Counts the paths and providers that have checks which `counts` selects.
    pub(crate) fn of(config: &Config, counts: &dyn Fn(&Check) -> bool) -> Shares {
        let mut shares = Shares::default();
        for provider in config.enabled() {
            let paths = config.asking_families(provider, counts).count();
            // At most 64 providers of 2 paths.
            shares.paths += u8::try_from(paths).unwrap_or(2);
            shares.providers += u8::from(paths > 0);
        }
        shares
    }

    /// Whether a path may start one more, if `room` is the total and `under_way` names the path of each running one.
    ///
    /// If there are more paths than places, each provider has a part, which its two paths share.
    pub(crate) fn admit(
        self,
        path: PathId,
        room: usize,
        under_way: &mut dyn Iterator<Item = PathId>,
    ) -> bool {
        let by_path = usize::from(self.paths) <= room;
        let part_of = |path: PathId| match by_path {
            true => path.index(),
            false => usize::from(path.slot.0),
        };
        let parts = usize::from(if by_path { self.paths } else { self.providers }).max(1);
        let each = room / parts;
        let mut held = [0_usize; PATHS_MAX];
        for path in under_way {
            if let Some(held) = held.get_mut(part_of(path)) {
                *held += 1;
            }
        }
        let (mut total, mut used) = (0, 0);
        for held in held {
            total += held;
            used += each.min(held);
        }
        if total >= room {
            return false;
        }
        held.get(part_of(path)).is_some_and(|own| *own < each)
            || total + (parts * each).saturating_sub(used) < room
    }
}

const _: () = assert!(
    SESSIONS_MAX >= PROVIDERS_MAX && COMMANDS_MAX >= PROVIDERS_MAX,
    "each provider has a place"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Family, Slot};

    fn path(slot: u8) -> PathId {
        PathId {
            slot: Slot(slot),
            family: Family::V4,
        }
    }

    /// Path 0 takes all that it gets; then each other path takes all that it gets.
    fn fill(shares: Shares, room: usize, others: u8) -> Vec<usize> {
        let mut under_way: Vec<PathId> = Vec::new();
        let mut counts = Vec::new();
        for path in (0..=others).map(path) {
            let before = under_way.len();
            while shares.admit(path, room, &mut under_way.iter().copied()) {
                under_way.push(path);
            }
            counts.push(under_way.len() - before);
        }
        counts
    }

    #[test]
    fn a_single_path_has_all_the_room() {
        assert_eq!(fill(Shares::default(), 8, 0), [8]);
    }

    #[test]
    fn the_rest_of_the_room_goes_to_the_first_path_and_each_other_keeps_its_part() {
        let shares = Shares {
            paths: 3,
            providers: 3,
        };
        assert_eq!(fill(shares, 8, 2), [4, 2, 2]);
    }

    #[test]
    fn where_there_are_more_paths_than_places_each_provider_has_a_part() {
        let shares = Shares {
            paths: 8,
            providers: 4,
        };
        assert_eq!(fill(shares, 5, 3), [2, 1, 1, 1]);
        let mut six = path(0);
        six.family = Family::V6;
        let full = [path(0), path(0), path(1), path(2)];
        assert!(!shares.admit(six, 5, &mut full.into_iter()));
        assert!(shares.admit(path(3), 5, &mut full.into_iter()));
    }

    #[test]
    fn a_room_that_other_paths_have_filled_is_full() {
        let shares = Shares {
            paths: 2,
            providers: 2,
        };
        let full = [path(7); 4];
        assert!(!shares.admit(path(0), 4, &mut full.into_iter()));
    }
}
